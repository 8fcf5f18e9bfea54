//! `verify` on worlds in which everybody with a key lies as they like: nodes, links, marks,
//! assessments, times and cosignatures are changed before all is signed. What then holds together
//! is judged, and the judgement is compared with a plain walk over what the bundle holds.

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    assessment::{Destinations, Outcome},
    bundle::Bundle,
    date::Date,
    id::NodeId,
    node::{Core, Kind, Mark, Origin, Role, node_id},
    word::Word,
};
use griptrace_verifier::{finding::Verdict, report::Report};

use super::{edit, fixtures, input::Input, report::judge};
use crate::world::{Case, Link, NodeSpec, Step};

/// Changes of one case.
const EDITS_MAX: usize = 10;
/// Who may sign. The last is nobody's of the trust file.
const SIGNERS: &[&str] = &["maker", "authority", "clerk", "supplier", "stranger"];
const ASSESSORS: &[&str] = &["office", "bureau", "maker", "stranger"];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let all = fixtures::all();
    let fixture = &all[input.place(all.len())];
    let asked = fixtures::asked(fixture, &mut input);
    let mut case = fixture.buyer.clone();
    for number in 0..EDITS_MAX {
        if input.is_empty() {
            break;
        }
        change(&mut case, number, &mut input);
    }
    let bundle = case.world.build().bundle;
    let report = judge(&bundle.to_bytes(), &asked).expect("it begins like a bundle");
    agrees_with_a_walk(&report, &bundle);
}

/// Makes one change of the world.
fn change(case: &mut Case, number: usize, input: &mut Input<'_>) {
    let world = &mut case.world;
    let names: Vec<String> = world.nodes.iter().map(|node| node.name.clone()).collect();
    let name = |input: &mut Input<'_>| names[input.place(names.len())].clone();
    let one = name(input);
    match input.byte() % 10 {
        0..=2 => core(&mut world.node(&one).core, input),
        3 => world.node(&one).links.push(Link::new(input.one_of(Role::ALL), &name(input))),
        4 => {
            let role = input.one_of(&[Role::Used, Role::GeneratedBy]);
            world.node(&one).links.retain(|link| link.role != role);
        }
        5 => mark(case, &format!("mark-{number}"), &one, &name(input), input),
        6 => terms(case, &one, input),
        7 => assessment(case, &format!("stated-{number}"), &[&one, &name(input)], input),
        8 => head(case, input),
        _ => {
            let signer = input.one_of(SIGNERS);
            let step = world.logs[0].steps.iter_mut().filter_map(|step| match step {
                Step::Commit(commit) => Some(commit),
                Step::Key(_) | Step::Head(_) => None,
            });
            let mut commits: Vec<_> = step.collect();
            let place = input.place(commits.len());
            commits[place].signer = signer;
        }
    }
}

/// Fields only: what builds the world fills in home, nonce, details and edges.
fn core(core: &mut Core, input: &mut Input<'_>) {
    let (home, mark) = (core.home, core.mark);
    edit::core_field(core, input);
    (core.home, core.mark) = (home, mark);
    core.edges.clear();
}

fn mark(case: &mut Case, name: &str, target: &str, other: &str, input: &mut Input<'_>) {
    let mut node = NodeSpec::status(name, input.one_of(Mark::ALL), target, "2026-05-21");
    if node.core.mark == Some(Mark::Supersede) {
        node = node.successor(other);
    }
    if node.core.mark == Some(Mark::Reclassify) {
        node = node.graded(input.one_of(&["general", "important", "core"]));
    }
    node.marked_by = input.one_of(&[None, None, Some("office"), Some("bureau")]);
    node.core.date = node.core.date.and(Date::parse(input.one_of(edit::DATES)));
    if node.core.date.is_none() {
        node.marked_by = None;
    }
    let before = usize::from(input.byte()) % case.world.heads().len();
    case.world.mark(before, input.one_of(SIGNERS), node);
}

fn terms(case: &mut Case, name: &str, input: &mut Input<'_>) {
    let Some(assess) = &mut case.world.node(name).assess else { return };
    assess.signer = input.one_of(&[None, Some("office"), Some("bureau"), Some("stranger")]);
    let terms = &mut assess.assessment;
    let word = |input: &mut Input<'_>| input.one_of(edit::WORDS).and_then(Word::parse);
    match input.byte() % 8 {
        0 => terms.outcome = input.one_of(Outcome::ALL),
        1 => terms.grade = word(input).unwrap_or_else(|| terms.grade.clone()),
        2 => terms.purposes = word(input).into_iter().collect(),
        3 => terms.modalities = word(input).into_iter().collect(),
        4 => terms.valid_from = Date::parse(input.one_of(edit::DATES)).unwrap_or(terms.valid_from),
        5 => terms.valid_to = Date::parse(input.one_of(edit::DATES)),
        6 => terms.destinations = Destinations::Anywhere,
        _ => terms.destinations = Destinations::Only(Vec::new()),
    }
}

fn assessment(case: &mut Case, name: &str, subjects: &[&str], input: &mut Input<'_>) {
    let mut subjects = subjects.to_vec();
    subjects.dedup();
    let signer = input.yes().then(|| input.one_of(ASSESSORS));
    let node = NodeSpec::assessment(name, signer, &subjects, &["force-torque", "visual"]);
    // Subjects have to be known before they are assessed.
    let before = usize::from(input.byte()) % case.world.heads().len();
    case.world.record(0, before, input.one_of(SIGNERS), vec![node]);
}

fn head(case: &mut Case, input: &mut Input<'_>) {
    let mut heads = case.world.heads();
    let place = input.place(heads.len());
    let last = place + 1 == heads.len();
    let head = &mut *heads[place];
    match input.byte() % 5 {
        0 => head.anchor = last,
        1 => head.time = input.number(),
        2 => head.cosigners.clear(),
        3 => head.cosigners = vec![("w2", input.number().clamp(1, u64::MAX >> 1))],
        _ => head.log_signers.clear(),
    }
    if head.cosigners.is_empty() && head.log_signers.is_empty() {
        head.cosigners.push(("w3", 1));
    }
}

/// A node of the bundle by id.
type Nodes = BTreeMap<NodeId, Core>;

/// Every source that the root leads to is in the report, and nothing ends elsewhere unseen (R1).
fn agrees_with_a_walk(report: &Report, bundle: &Bundle) {
    if report.verdict == Verdict::Broken {
        return;
    }
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|part| &part.cores);
    let ids: Vec<NodeId> = cores.clone().map(|core| node_id(core)).collect();
    let read = |bytes: &Vec<u8>| Core::from_bytes(bytes).expect("the verifier read it");
    let nodes: Nodes = ids.iter().copied().zip(cores.map(read)).collect();
    let root = ids[usize::try_from(bundle.root).expect("the verifier found it")];
    let reported: BTreeSet<NodeId> = report.sources.iter().map(|source| source.id).collect();
    let (mut todo, mut seen) = (vec![root], BTreeSet::new());
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(core) = nodes.get(&id) else {
            assert!(report.verdict >= Verdict::UpstreamUnknown, "{id} is not there: {}", report.verdict);
            continue;
        };
        if core.parents().count() == 0 {
            let is_source =
                core.kind == Kind::Dataset && matches!(core.origin, Some(Origin::Collected | Origin::External));
            assert!(is_source || report.verdict >= Verdict::UpstreamUnknown, "{id} has no parents: {}", report.verdict);
            assert!(!is_source || reported.contains(&id), "source {id} is not in the report");
        }
        todo.extend(core.parents().map(|edge| edge.to));
    }
}
