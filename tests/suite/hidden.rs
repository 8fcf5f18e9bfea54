//! A hidden field is unknown to every rule: whoever shows less is never judged better.

use griptrace_core::{node::Kind, value::Value};
use griptrace_tests::seed::{Rng, Seed};
use griptrace_verifier::{finding::Code, report::Report};

use crate::attacks::catalogue;
use crate::world::{Case, told, word};

/// Hidings that are tried of each world.
const TRIES: usize = 2;
/// What the policy asks to see.
const ASKS: &str =
    "[[disclose]]\nkind = \"dataset\"\nfields = [\"name\", \"streams\"]\nsource = \"a test\"\nread = \"own-choice\"\n";

/// Opens every detail of every node.
fn open_all(case: &mut Case) {
    for node in &mut case.world.nodes {
        node.open = node.values.keys().copied().collect();
    }
}

/// Lists what a bundle can open, files included, by node and slot.
fn opened(case: &Case) -> Vec<(usize, &'static str)> {
    let slots = |(place, node): (usize, &crate::world::NodeSpec)| {
        let files: &[&str] = if node.files.is_empty() { &[] } else { &["content", "manifest"] };
        node.open.iter().chain(files).map(|slot| (place, *slot)).collect::<Vec<_>>()
    };
    case.world.nodes.iter().enumerate().flat_map(slots).collect()
}

/// Tells how a judgement is better than another of the same that was shown more.
fn better(less: &Report, more: &Report) -> Option<String> {
    if less.verdict < more.verdict || less.policy_met && !more.policy_met {
        return Some(format!("{} (met: {})", less.verdict, less.policy_met));
    }
    for source in &more.sources {
        let found = less.sources.iter().find(|other| other.id == source.id);
        let same = |one: &&griptrace_verifier::report::SourceReport| {
            one.at_shipment >= source.at_shipment
                && one.now >= source.now
                && one.effective_grade == source.effective_grade
                && one.in_scope == source.in_scope
        };
        if less.verdict < griptrace_verifier::finding::Verdict::Broken && !found.as_ref().is_some_and(same) {
            return Some(format!("the source {}", source.id));
        }
    }
    None
}

/// Gives data streams, and assessments streams that they name: all of them, or some.
fn add_streams(case: &mut Case, rng: &mut Rng, all: bool) {
    for node in &mut case.world.nodes {
        if node.core.kind == Kind::Dataset && (all || rng.one_in(2)) {
            let stream = Value::map(vec![("name".into(), Value::text("wrist"))]);
            node.values.insert("streams", Value::List(vec![stream]));
        }
        if let Some(assess) = node.assess.as_mut().filter(|_| all || rng.one_in(2)) {
            assess.assessment.streams = vec![word("wrist")];
        }
    }
}

/// What is done to the streams of a world.
#[derive(Clone, Copy, Debug)]
enum Streams {
    Untouched,
    Some,
    All,
}

/// Judges a case with everything opened, and with less; tells how less was better.
fn try_hiding(case: &mut Case, rng: &mut Rng) -> Option<String> {
    case.buyer.policy = case.buyer.policy.replacen("[[exempt]]", &format!("{ASKS}[[exempt]]"), 1);
    open_all(case);
    let more = case.verify();
    // What breaks the file itself is found only where it is opened, and work has a limit.
    let breaks = [Code::DisclosureMismatch, Code::ManifestMismatch, Code::LimitExceeded];
    if more.findings.iter().any(|finding| breaks.contains(&finding.code)) {
        return None;
    }
    for _ in 0..TRIES {
        let mut less = case.clone();
        for (place, slot) in opened(case) {
            if rng.one_in(2) {
                less.world.nodes[place].hide.push(slot);
            }
        }
        let found = less.verify();
        if let Some(how) = better(&found, &more) {
            return Some(format!("shown less it is {how}\nless:\n{}\nmore:\n{}", told(&found), told(&more)));
        }
    }
    None
}

#[test]
fn who_shows_less_is_never_judged_better() {
    let seed = Seed::for_test("who_shows_less_is_never_judged_better");
    let mut rng = seed.rng();
    let mut tried = 0;
    for attack in catalogue() {
        let case = attack.case();
        // What a courier does afterwards counts on what is opened.
        if case.courier.is_some() || case.bytes.is_some() {
            continue;
        }
        for streams in [Streams::Untouched, Streams::Some, Streams::All] {
            let mut case = case.clone();
            match streams {
                Streams::Untouched => {}
                Streams::Some => add_streams(&mut case, &mut rng, false),
                Streams::All => add_streams(&mut case, &mut rng, true),
            }
            tried += TRIES;
            let wrong = try_hiding(&mut case, &mut rng);
            assert!(wrong.is_none(), "{}, streams {streams:?}: {}", attack.name, wrong.unwrap_or_default());
        }
    }
    assert!(tried > 200, "only {tried} were tried");
}

/// Every slot that a rule reads, with the rule's answer where it is hidden: as long as this list.
#[test]
fn each_slot_that_a_rule_reads_is_unknown_where_it_is_hidden() {
    let cases: [(&str, &str, Code); 6] = [
        ("shipment", "consignee", Code::ConsigneeNotDisclosed),
        ("camera", "streams", Code::AssessmentStreams),
        ("camera", "name", Code::SourceHidden),
        ("grasp-int8", "content", Code::ManifestMismatch),
        ("grasp-int8", "manifest", Code::ManifestMismatch),
        ("camera", "device", Code::DetailNotDisclosed),
    ];
    let mut case = Case::honest();
    let camera = case.world.node("camera");
    let stream = Value::map(vec![("name".into(), Value::text("wrist"))]);
    camera.values.insert("streams", Value::List(vec![stream]));
    camera.values.insert("device", Value::text("camera 7"));
    case.world.node("assessment").terms().streams = vec![word("wrist")];
    case.buyer.policy += "[[disclose]]\nkind = \"dataset\"\nfields = [\"device\"]\nonly_sources = true\nsource = \"a test\"\nread = \"own-choice\"\n";
    case.world.node("force").values.insert("device", Value::text("sensor 2"));
    open_all(&mut case);
    let shown = case.verify();
    assert!(shown.policy_met && shown.findings.is_empty(), "{}", told(&shown));
    for (node, slot, code) in cases {
        let mut hidden = case.clone();
        hidden.world.node(node).hide.push(slot);
        let report = hidden.verify();
        assert!(report.findings.iter().any(|finding| finding.code == code), "{node}.{slot}: {}", told(&report));
        assert!(better(&report, &shown).is_none(), "{node}.{slot}: {}", told(&report));
    }
}

#[test]
fn a_hidden_source_is_counted_graded_and_judged_like_any_other() {
    let shown = Case::honest().verify();
    let mut case = Case::honest();
    case.world.node("camera").hide.push("name");
    let report = case.verify();
    assert!(report.policy_met, "{}", told(&report));
    let hidden: Vec<_> = report.sources.iter().filter(|source| source.hidden).collect();
    assert_eq!((report.sources.len(), hidden.len()), (2, 1));
    let before = shown.sources.iter().find(|source| source.id == hidden[0].id).unwrap();
    assert!(!before.hidden && before.name.is_some() && hidden[0].name.is_none());
    assert_eq!(hidden[0].assessment, before.assessment);
    assert_eq!((hidden[0].country, &hidden[0].effective_grade), (before.country, &before.effective_grade));
    let words = griptrace_verifier::render::words(&report, false);
    assert!(words.contains("(hidden source)"), "{words}");
    let json = griptrace_verifier::render::json(&report);
    let marked: Vec<bool> =
        json["sources"].as_array().unwrap().iter().map(|source| source["hidden"].as_bool().unwrap()).collect();
    assert_eq!(marked.iter().filter(|hidden| **hidden).count(), 1);
}
