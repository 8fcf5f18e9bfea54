//! The page: its texts are the program's, its verifier stands on the crates that are tested here, and its graph shows
//! what was checked.
//!
//! What the page does in a browser is tested in web/verify/test (`.ci/run web`).

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::node::Role;
use griptrace_tests::source::document;
use griptrace_verifier::{
    finding::{Code, Verdict},
    graph::Graph,
    render::{graph_json, meaning},
    report::Report,
    verify::verify_with_graph,
};
use serde_json::Value;

use crate::attacks::catalogue;
use crate::world::Case;

const LANGUAGES: [&str; 3] = ["en", "de", "zh"];

fn texts(language: &str) -> BTreeMap<String, Value> {
    serde_json::from_str(&document(&format!("web/verify/src/findings/{language}.json"))).unwrap()
}

#[test]
fn every_code_has_a_text_in_every_language_of_the_page() {
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    for language in LANGUAGES {
        let texts = texts(language);
        assert_eq!(texts.keys().map(String::as_str).collect::<BTreeSet<_>>(), codes, "{language}");
        for (code, text) in &texts {
            let said = |field: &str| text[field].as_str().is_some_and(|text| !text.trim().is_empty());
            assert!(said("means") && said("clear"), "{language}: {code}");
        }
    }
}

#[test]
fn the_page_says_what_the_program_says() {
    let texts = texts("en");
    for code in Code::ALL {
        let said = meaning(*code).expect("every code has a meaning");
        let text = &texts[code.as_str()];
        for (field, program) in [("means", said.means), ("clear", said.clear)] {
            let page = text[field].as_str().unwrap();
            if names_an_option(program) {
                assert!(!names_an_option(page), "{code}: a page has no options: {page}");
            } else {
                assert_eq!(page, program, "{code}");
            }
        }
    }
}

/// Whether a text names an option of `griptrace-verify`; `griptrace prove` is the exporter's, who has it.
fn names_an_option(text: &str) -> bool {
    text.replace("`griptrace prove --since`", "").replace("`griptrace prove --update-of`", "").contains("--")
}

#[test]
fn the_pages_verifier_stands_on_the_crates_that_are_tested_here() {
    let (ours, its) = (locked("Cargo.lock"), locked("verifier/wasm/Cargo.lock"));
    let others: Vec<_> = its.iter().filter(|one| !ours.contains(*one) && one.0 != "griptrace-verifier-wasm").collect();
    assert!(its.len() > 40, "the lock file names {} packages", its.len());
    assert!(others.is_empty(), "run cargo update in verifier/wasm: {others:?}");
}

/// Returns the packages of a lock file, with their versions.
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let lock = document(path);
    let field = |package: &str, name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|package| Some((field(package, "name")?, field(package, "version")?)))
        .collect()
}

fn drawn(case: &Case, nodes_max: usize) -> (Report, Graph) {
    let buyer = &case.buyer;
    let (trust, policy) = (buyer.read_trust(), buyer.read_policy());
    verify_with_graph(&case.file(), &trust, &policy, &buyer.question, nodes_max).unwrap()
}

#[test]
fn the_graph_is_the_ancestry_that_was_judged() {
    let (report, graph) = drawn(&Case::honest(), usize::MAX);
    assert_eq!(u64::try_from(graph.nodes.len()), Ok(report.nodes));
    assert_eq!(Some(graph.nodes[0].id), report.shipment.as_ref().map(|shipment| shipment.id));
    let ids: BTreeSet<_> = graph.nodes.iter().map(|node| node.id).collect();
    assert_eq!(ids.len(), graph.nodes.len(), "a node is drawn twice");
    for source in &report.sources {
        let node = graph.nodes.iter().find(|node| node.id == source.id).expect("every source is drawn");
        assert_eq!((node.kind, &node.name, &node.party), ("dataset", &source.name, &source.party));
        assert_eq!(node.log, source.log);
    }
    let words: BTreeSet<&str> = Role::ALL.iter().map(|role| role.word()).chain(["opens"]).collect();
    for edge in &graph.edges {
        assert!(words.contains(edge.role) && edge.from != edge.to);
        assert!(edge.from.max(edge.to) < graph.nodes.len());
    }
    let (shipped, model) = (&graph.edges[0], &graph.nodes[graph.edges[0].to]);
    assert_eq!((shipped.from, shipped.role, model.kind), (0, "ships", "model"));
    let assessed = report.sources.iter().filter_map(|source| source.assessment.as_ref());
    for found in assessed {
        let place = |id| graph.nodes.iter().position(|node| node.id == id).expect("it is drawn");
        let (from, to) = (place(found.id), place(found.subject));
        assert!(graph.edges.iter().any(|edge| (edge.from, edge.to, edge.role) == (from, to, "opens")));
    }
    let json = graph_json(&graph);
    assert_eq!(json["edges"][0], serde_json::json!([shipped.from, shipped.to, "ships"]));
    assert_eq!(json["nodes"][0]["id"], graph.nodes[0].id.to_string());
}

#[test]
fn a_part_of_the_graph_is_what_is_nearest_to_the_root() {
    let (_, whole) = drawn(&Case::honest(), usize::MAX);
    for count in [1, 2, whole.nodes.len() - 1] {
        let (_, part) = drawn(&Case::honest(), count);
        assert_eq!(part.nodes, whole.nodes[..count]);
        let among: Vec<_> = whole.edges.iter().filter(|edge| edge.from.max(edge.to) < count).copied().collect();
        assert_eq!(part.edges, among);
    }
}

#[test]
fn a_graph_changes_no_verdict_and_none_is_drawn_of_what_does_not_hold_together() {
    let (mut broken, mut marks) = (0, 0);
    for lie in catalogue() {
        let case = lie.case();
        let buyer = &case.buyer;
        if !case.withdrawals.is_empty() || case.base.is_some() || !buyer.known.is_empty() {
            continue;
        }
        let file = case.file();
        let Ok(report) = buyer.verify(&file) else { continue };
        let (with_graph, graph) = drawn(&case, usize::MAX);
        assert_eq!(with_graph, report, "{}", lie.name);
        // A mark says which it is, and nothing else has one.
        assert!(graph.nodes.iter().all(|node| node.mark.is_some() == (node.kind == "status")), "{}", lie.name);
        marks += graph.nodes.iter().filter(|node| node.mark.is_some()).count();
        if report.nodes == 0 {
            assert_eq!((report.verdict, &graph), (Verdict::Broken, &Graph::default()), "{}", lie.name);
            broken += 1;
        }
    }
    assert!(broken > 50, "{broken} bundles did not hold together");
    assert!(marks > 5, "{marks} marks");
}
