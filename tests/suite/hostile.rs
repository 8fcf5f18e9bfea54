//! Hostile bundles end with a reason, in bounded time, and never in a panic.
//!
//! Most need a committer's and a log's key: the worst enemy is the exporter. Times are for an
//! unoptimised verifier on one core of a small machine; each test states its own.

use core::{panic::AssertUnwindSafe, time::Duration};
use std::{panic::catch_unwind, time::Instant};

use griptrace_core::{
    bundle::{Bundle, MAGIC},
    cbor::{decode, encode},
    digest::{BUNDLE, Digest},
    id::{NodeId, StatusKey},
    node::{Activity, Core, Mark, Origin, Role},
};
use griptrace_tests::seed::{Rng, Seed};
use griptrace_verifier::{
    finding::{Code, Verdict},
    report::Report,
    verify::verify,
};

use crate::world::{Case, Link, NodeSpec, Step, commit, country, date, is_less_cosigned, noon, told, words};

/// Verifies within a time.
fn within(seconds: u64, case: &Case, file: &[u8]) -> Report {
    let (trust, policy) = (case.buyer.read_trust(), case.buyer.read_policy());
    let start = Instant::now();
    let report = verify(file, &trust, &policy, &case.buyer.question).expect("it begins like a bundle");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(seconds), "took {took:?} for {} bytes: {}", file.len(), told(&report));
    report
}

fn has(report: &Report, code: Code) -> bool {
    report.findings.iter().any(|finding| finding.code == code)
}

/// Bytes between magic line and digest, as a file.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut file = [MAGIC, body].concat();
    let digest = BUNDLE.hash(&file);
    file.extend_from_slice(digest.as_bytes());
    file
}

/// Puts a chain of steps between the features and the training, in one commit.
fn chain(case: &mut Case, length: usize, edit: impl Fn(usize, &mut NodeSpec)) {
    let mut nodes = Vec::new();
    let mut last = String::from("features");
    for number in 0..length {
        let step = format!("step-{number}");
        let data = format!("data-{number}");
        nodes.push(NodeSpec::step(&step, Activity::Cleaning, ("CN", "2026-04-17"), &[&last]));
        let mut node = NodeSpec::dataset(&data, "CN", &["visual"], Origin::Derived).by(&step);
        edit(number, &mut node);
        nodes.push(node);
        last = data;
    }
    nodes.iter_mut().for_each(|node| node.open.clear());
    let names = nodes.iter().map(|node| node.name.clone()).collect();
    let place = case.world.place("train");
    case.world.nodes.splice(place..place, nodes);
    case.world.logs[0].steps.insert(3, Step::Commit(commit("maker", noon("2026-04-17"), names)));
    case.world.node("train").links.push(Link::new(Role::Used, &last));
}

#[test]
fn a_chain_of_a_hundred_thousand_nodes_is_judged() {
    let mut case = Case::honest();
    chain(&mut case, 50_000, |_, _| {});
    let report = within(40, &case, &case.file());
    assert!(report.policy_met, "{}", told(&report));
    assert!(report.nodes > 100_000);
}

#[test]
fn a_hundred_thousand_parents_are_judged() {
    let mut case = Case::honest();
    let (mut nodes, mut merged) = (Vec::new(), Vec::new());
    for merge in 0..10 {
        let names: Vec<String> = (0..10_000).map(|number| format!("source-{merge}-{number}")).collect();
        nodes.extend(names.iter().map(|name| NodeSpec::source(name, "DE", "visual", "general")));
        let used: Vec<&str> = names.iter().map(String::as_str).collect();
        nodes.push(NodeSpec::step(&format!("merge-{merge}"), Activity::Merge, ("DE", "2026-04-17"), &used));
        let data = format!("merged-{merge}");
        nodes.push(NodeSpec::dataset(&data, "DE", &["visual"], Origin::Derived).by(&format!("merge-{merge}")));
        merged.push(data);
    }
    nodes.iter_mut().for_each(|node| node.open.clear());
    let names = nodes.iter().map(|node| node.name.clone()).collect();
    let place = case.world.place("train");
    case.world.nodes.splice(place..place, nodes);
    case.world.logs[0].steps.insert(3, Step::Commit(commit("maker", noon("2026-04-17"), names)));
    case.world.node("train").links.extend(merged.iter().map(|name| Link::new(Role::Used, name)));
    let report = within(40, &case, &case.file());
    assert!(report.policy_met, "{}", told(&report));
    assert_eq!(report.sources.len(), 100_002);
    assert_eq!(report.verdict, Verdict::TracedUnassessed, "sources that nothing asks to be assessed");
}

/// Every step of a long chain in another country and on another day.
#[test]
fn more_crossings_than_may_be_judged_are_refused() {
    let days = date("2026-04-17").days();
    // 11 000 kinds of crossing over 22 000 nodes.
    let mut case = Case::honest();
    chain(&mut case, 11_000, |number, node| {
        node.core.country = Some(country(if number.is_multiple_of(2) { "CN" } else { "FR" }));
    });
    for node in case.world.nodes.iter_mut().filter(|node| node.name.starts_with("step-")) {
        let number: u32 = node.name[5..].parse().expect("it is numbered");
        node.core.country = Some(country(if number.is_multiple_of(2) { "CN" } else { "FR" }));
        node.core.date = griptrace_core::date::Date::from_days(days + number);
    }
    let report = within(20, &case, &case.file());
    assert!(has(&report, Code::LimitExceeded) && !report.policy_met, "{}", told(&report));
}

/// Findings on many sources at many crossings: their list stays short.
#[test]
fn a_flood_of_findings_is_not_kept() {
    let mut case = Case::honest();
    let days = date("2026-04-17").days();
    chain(&mut case, 150, |number, node| {
        node.core.country = Some(country(if number.is_multiple_of(2) { "CN" } else { "FR" }));
    });
    for node in case.world.nodes.iter_mut().filter(|node| node.name.starts_with("step-")) {
        let number: u32 = node.name[5..].parse().expect("it is numbered");
        node.core.date = griptrace_core::date::Date::from_days(days + number);
    }
    let names: Vec<String> = (0..400).map(|number| format!("source-{number}")).collect();
    let place = case.world.place("extract");
    let mut sources: Vec<NodeSpec> =
        names.iter().map(|name| NodeSpec::source(name, "CN", "visual", "important")).collect();
    sources.iter_mut().for_each(|node| node.open.clear());
    case.world.nodes.splice(place..place, sources);
    case.world.commit_of("camera").nodes.extend(names.iter().cloned());
    case.world.node("extract").links.extend(names.iter().map(|name| Link::new(Role::Used, name)));
    let report = within(30, &case, &case.file());
    assert!(has(&report, Code::AssessmentMissing), "{}", told(&report));
    assert!(report.findings.len() < 5_000, "{} findings", report.findings.len());
}

/// What flows along all paths would grow with the words times the nodes.
#[test]
fn more_purposes_than_may_flow_are_refused() {
    let mut case = Case::honest();
    chain(&mut case, 2_000, |number, node| {
        let purposes: Vec<String> = (100..300).map(|word| format!("p{word}-{number}")).collect();
        node.core.purpose = words(&purposes.iter().map(String::as_str).collect::<Vec<_>>());
    });
    let report = within(20, &case, &case.file());
    assert!(has(&report, Code::LimitExceeded), "{}", told(&report));
}

/// Thousands of corrections of one source, one after the other.
#[test]
fn a_chain_of_corrections_is_judged() {
    let mut case = Case::honest();
    let mut last = String::from("force");
    let mut nodes = Vec::new();
    for number in 0..700 {
        let name = format!("force-{number}");
        nodes.push(NodeSpec::source(&name, "CN", "force-torque", "general"));
        let mark = format!("mark-{number}");
        nodes.push(NodeSpec::status(&mark, Mark::Supersede, &last, "2026-05-21").successor(&name));
        last = name;
    }
    case.world.record(0, 1, "maker", nodes);
    let report = within(20, &case, &case.file());
    assert!(report.policy_met, "{}", told(&report));
    assert_eq!(report.sources.len(), 702);
}

/// Every data set of a chain crosses on its own, and is assessed as a whole with all behind it.
#[test]
fn a_chain_that_crosses_at_every_link_is_refused() {
    let mut case = Case::honest();
    chain(&mut case, 7_500, |_, _| {});
    let names: Vec<String> = (0..7_500).map(|number| format!("data-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    case.world.node("train").links.extend(names.iter().map(|name| Link::new(Role::Used, name)));
    let links = &mut case.world.node("train").links;
    links.pop();
    case.world.record(0, 1, "maker", vec![NodeSpec::assessment("stated", None, &names, &["force-torque", "visual"])]);
    let report = within(30, &case, &case.file());
    assert!(has(&report, Code::LimitExceeded) && !report.policy_met, "{}", told(&report));
}

/// Long lists are compared for every assessment of a source and every crossing.
#[test]
fn more_comparisons_than_may_be_made_are_refused() {
    let mut case = Case::honest();
    let purposes: Vec<String> = (0..250).map(|number| format!("p{number:03}")).collect();
    let purposes: Vec<&str> = purposes.iter().map(String::as_str).collect();
    case.world.node("force").core.purpose = words(&purposes);
    let stated = (0..800).map(|number| {
        let mut node = NodeSpec::assessment(&format!("stated-{number}"), None, &["force"], &["force-torque"]);
        node.terms().purposes = words(&[&["grasp"], &purposes[..]].concat());
        node.terms().valid_from = date("2020-01-01");
        node.terms().destinations = griptrace_core::assessment::Destinations::Anywhere;
        node.terms().grade = crate::world::word("nothing");
        node
    });
    case.world.record(0, 0, "maker", stated.collect());
    let days = date("2026-04-17").days();
    chain(&mut case, 300, |number, node| {
        node.core.country = Some(country(if number.is_multiple_of(2) { "CN" } else { "FR" }));
    });
    for node in case.world.nodes.iter_mut().filter(|node| node.name.starts_with("step-")) {
        let number: u32 = node.name[5..].parse().expect("it is numbered");
        node.core.country = Some(country(if number.is_multiple_of(2) { "CN" } else { "FR" }));
        node.core.date = griptrace_core::date::Date::from_days(days + number);
    }
    let report = within(30, &case, &case.file());
    assert!(has(&report, Code::LimitExceeded) && !report.policy_met, "{}", told(&report));
}

/// Data and the step that uses it are both superseded many times: each pair of them may cross.
#[test]
fn more_pairs_of_successors_than_may_cross_are_refused() {
    let mut case = Case::honest();
    let mut nodes = Vec::new();
    let (mut data, mut step) = (String::from("force"), String::from("extract"));
    for number in 0..2_000 {
        let (next, later) = (format!("force-{number}"), format!("extract-{number}"));
        nodes.push(NodeSpec::source(&next, "CN", "force-torque", "general"));
        nodes.push(NodeSpec::step(&later, Activity::Feature, ("FR", "2026-05-20"), &["camera-anonymised"]));
        for (what, from, to) in [("data", &data, &next), ("step", &step, &later)] {
            let mark = NodeSpec::status(&format!("{what}-mark-{number}"), Mark::Supersede, from, "2026-05-21");
            nodes.push(mark.successor(to));
        }
        (data, step) = (next, later);
        if nodes.len() >= 700 {
            case.world.record(0, 1, "maker", core::mem::take(&mut nodes));
        }
    }
    case.world.record(0, 1, "maker", nodes);
    let report = within(30, &case, &case.file());
    assert!(has(&report, Code::LimitExceeded) && !report.policy_met, "{}", told(&report));
}

#[test]
fn a_million_lines_in_a_note_are_refused() {
    let mut case = Case::honest();
    case.courier = Some(|b, _| {
        let lines = "\u{2014} a AAAAAAA=\n".repeat(60_000);
        b.logs[0].anchors[0].note += &lines;
    });
    assert!(has(&within(5, &case, &case.file()), Code::CheckpointInvalid));
    case.courier = Some(|b, _| {
        let lines = "\u{2014} a AAAAAAA=\n".repeat(1_000_000);
        b.logs[0].anchors[0].note += &lines;
    });
    assert!(has(&within(5, &case, &case.file()), Code::LimitExceeded));
}

#[test]
fn counts_and_lengths_that_are_only_claimed_cost_nothing() {
    let case = Case::honest();
    // An array of 2^32 - 1, of 2^64 - 1, and a byte string of 2^63, at every place where an array may begin.
    let heads: [&[u8]; 4] = [
        &[0x9a, 0xff, 0xff, 0xff, 0xff],
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0],
        &[0x9f],
    ];
    let honest = &case.file()[MAGIC.len()..];
    for head in heads {
        for at in 0..200 {
            let body = [&honest[..at], head].concat();
            let report = within(1, &case, &framed(&body));
            assert_eq!(report.verdict, Verdict::Broken);
        }
    }
    let nested = [vec![0x81; 1_000_000], vec![0x60]].concat();
    assert_eq!(within(2, &case, &framed(&nested)).verdict, Verdict::Broken);
}

#[test]
fn ordinals_that_lead_anywhere_are_refused() {
    let honest = Case::honest();
    let built = honest.world.build();
    for ordinal in [0, 1, 5, 15, 16, 17, 1 << 31, 1 << 32, u64::MAX] {
        let edits: [&dyn Fn(&mut Bundle); 7] = [
            &|b| b.root = ordinal,
            &|b| b.openings[0].assessment = ordinal,
            &|b| b.openings[0].subjects[0].0 = ordinal,
            &|b| b.openings[0].subjects[0].1 = ordinal,
            &|b| b.disclosures[0].node = ordinal,
            &|b| b.manifests[0].node = ordinal,
            &|b| b.logs[0].commits[0].entry = ordinal,
        ];
        for edit in edits {
            let mut bundle = built.bundle.clone();
            edit(&mut bundle);
            if bundle != built.bundle {
                let report = within(2, &honest, &bundle.to_bytes());
                assert_eq!(report.verdict, Verdict::Broken, "{ordinal}");
            }
        }
    }
}

/// One random change of the decoded bundle.
fn mutate(bundle: &mut Bundle, rng: &mut Rng) {
    let log = &mut bundle.logs[0];
    match rng.below(18) {
        0 => bundle.root = rng.next_u64() >> rng.below(64),
        1 => shuffle_or_drop(&mut log.entries, rng),
        2 => shuffle_or_drop(&mut log.anchors, rng),
        3 => shuffle_or_drop(&mut log.commits, rng),
        4 => shuffle_or_drop(&mut log.inclusion, rng),
        5 => shuffle_or_drop(&mut bundle.openings, rng),
        6 => shuffle_or_drop(&mut bundle.disclosures, rng),
        7 => shuffle_or_drop(&mut bundle.manifests, rng),
        8 => pick(&mut log.entries, rng, |entry, rng| flip(&mut entry.1, rng)),
        9 => pick(&mut log.entries, rng, |entry, rng| entry.0 = rng.next_u64() >> rng.below(64)),
        10 => pick(&mut log.commits, rng, |part, rng| pick(&mut part.cores, rng, edit_core)),
        11 => pick(&mut log.commits, rng, |part, rng| shuffle_or_drop(&mut part.cores, rng)),
        12 => pick(&mut log.commits, rng, |part, rng| shuffle_or_drop(&mut part.places, rng)),
        13 => pick(&mut log.anchors, rng, |anchor, rng| shuffle_or_drop(&mut anchor.consistency, rng)),
        14 => pick(&mut log.anchors, rng, |anchor, rng| {
            if let Some(status) = &mut anchor.status {
                flip(&mut status.proof, rng);
                if rng.one_in(2) {
                    let id = NodeId::new(Digest::from_bytes(rng.array()));
                    status.present.push((StatusKey::of_node(id), vec![id]));
                }
            }
        }),
        15 => pick(&mut bundle.openings, rng, |opening, rng| shuffle_or_drop(&mut opening.subjects, rng)),
        16 => pick(&mut bundle.disclosures, rng, |disclosure, rng| {
            pick(&mut disclosure.opening.slots, rng, |slot, rng| flip(&mut slot.2, rng));
        }),
        _ => pick(&mut bundle.manifests, rng, |manifest, rng| shuffle_or_drop(&mut manifest.files, rng)),
    }
}

fn pick<T>(items: &mut [T], rng: &mut Rng, edit: impl FnOnce(&mut T, &mut Rng)) {
    if !items.is_empty() {
        let place = rng.index(items.len());
        edit(&mut items[place], rng);
    }
}

fn shuffle_or_drop<T: Clone>(items: &mut Vec<T>, rng: &mut Rng) {
    if items.is_empty() {
        return;
    }
    let place = rng.index(items.len());
    match rng.below(4) {
        0 => rng.shuffle(items),
        1 => drop(items.remove(place)),
        2 => items.push(items[place].clone()),
        _ => items.truncate(place),
    }
}

fn flip(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(0);
    }
    let place = rng.index(bytes.len());
    bytes[place] ^= 1 << rng.below(8);
}

fn edit_core(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let Ok(mut core) = decode::<Core>(bytes) else { return flip(bytes, rng) };
    match rng.below(5) {
        0 => core.edges.clear(),
        1 => rng.shuffle(&mut core.edges),
        2 => core.country = None,
        3 => core.nonce = rng.array(),
        _ => return flip(bytes, rng),
    }
    *bytes = encode(&core);
}

#[test]
fn no_mutation_panics_or_is_accepted() {
    const CASES: usize = 3_000;
    let case = Case::honest();
    let built = case.world.build();
    let (trust, policy) = (case.buyer.read_trust(), case.buyer.read_policy());
    let mut rng = Seed::for_test("hostile::no_mutation_panics_or_is_accepted").rng();
    let start = Instant::now();
    let mut changed = 0;
    for number in 0..CASES {
        let mut bundle = built.bundle.clone();
        for _ in 0..=rng.below(3) {
            mutate(&mut bundle, &mut rng);
        }
        if bundle == built.bundle {
            continue;
        }
        changed += 1;
        let file = bundle.to_bytes();
        let judged = catch_unwind(AssertUnwindSafe(|| verify(&file, &trust, &policy, &case.buyer.question)));
        let report = judged.unwrap_or_else(|_| panic!("case {number} panics")).expect("it begins like a bundle");
        // What is opened of the details is the exporter's choice, as long as the buyer does not ask.
        bundle.disclosures.clone_from(&built.bundle.disclosures);
        assert!(!report.policy_met || is_less_cosigned(&bundle, &built.bundle), "case {number}: {}", told(&report));
    }
    assert!(changed > CASES / 2, "{changed}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn no_bytes_panic_the_verifier() {
    const CASES: usize = 20_000;
    let case = Case::honest();
    let (honest, built) = (case.file(), case.world.build());
    let body = &honest[MAGIC.len()..honest.len() - 32];
    let (trust, policy) = (case.buyer.read_trust(), case.buyer.read_policy());
    let mut rng = Seed::for_test("hostile::no_bytes_panic_the_verifier").rng();
    let start = Instant::now();
    for number in 0..CASES {
        let mut bytes = body.to_vec();
        match rng.below(4) {
            0 => flip(&mut bytes, &mut rng),
            1 => bytes.truncate(rng.index(body.len())),
            2 => {
                let (from, to) = (rng.index(body.len()), rng.index(body.len()));
                let part = body[from..(from + 64).min(body.len())].to_vec();
                let end = (to + part.len()).min(bytes.len());
                bytes.splice(to..end, part);
            }
            _ => {
                let size = rng.index(300);
                bytes = rng.bytes(size);
            }
        }
        let file = framed(&bytes);
        let judged = catch_unwind(AssertUnwindSafe(|| verify(&file, &trust, &policy, &case.buyer.question)));
        let report = judged.unwrap_or_else(|_| panic!("case {number} panics")).expect("it begins like a bundle");
        let less = || Bundle::from_bytes(&file).is_ok_and(|bundle| is_less_cosigned(&bundle, &built.bundle));
        assert!(!report.policy_met || less(), "case {number}: {}", told(&report));
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
