//! Step 13, second half: what the nodes state, and what is not said.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use griptrace_core::{
    details::slot_name,
    digest::Digest,
    node::{DigestStrength, Kind, Mark, Persons},
    value::Value,
};

use super::{Case, Findings, Instant, is_source};
use crate::{
    dense,
    evidence::{Node, Ordinal},
    finding::{Code, When},
    policy::Disclose,
};

/// Checks ancestry's ends, licences, digests, persons and disclosures.
pub(super) fn check_statements(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) {
    // The words of the node before, where the policy's vocabulary has them all.
    let mut known = None;
    for ordinal in &instant.order {
        let Some(node) = case.node(*ordinal) else { continue };
        check_end(case, instant, node, findings);
        if !known.is_some_and(|words| Arc::ptr_eq(words, &node.core.words)) {
            known = check_words(case, instant, node, findings).then_some(&node.core.words);
        }
        if matches!(node.core.kind, Kind::Dataset | Kind::Model) {
            check_use(case, instant, node, findings);
        }
    }
    for (ordinal, named) in case.evidence.unresolved.iter().filter(|(ordinal, _)| instant.judges(*ordinal)) {
        let text = format!("it leads to {named} in another log, which the bundle does not hold");
        let id = case.node(*ordinal).map(|node| node.id);
        findings.add(case.policy, Code::ForeignUnresolved, instant.when, id, text);
    }
    if !reaches_source(case) {
        findings.add(case.policy, Code::NoSource, instant.when, None, "no source lies behind the root".into());
    }
    check_aggregate(case, instant, findings);
    if instant.when == When::Now {
        for rule in &case.policy.disclose {
            // What is disclosed does not depend on when it is judged.
            check_disclosure(case, instant, rule, findings);
        }
        check_hidden(case, instant, findings);
    }
}

/// Rule R1: only a Dataset that says collected or external may end a walk.
fn check_end(case: &Case<'_>, instant: &Instant<'_>, node: &Node, findings: &mut Findings) {
    let may_have_parents = matches!(node.core.kind, Kind::Dataset | Kind::Model);
    if may_have_parents && !node.core.has_edges && !is_source(node) {
        let what = node.core.origin.map_or_else(|| "model".into(), |origin| format!("{origin} data set"));
        let text = format!("the ancestry ends at a {what} whose making is not recorded");
        findings.add(case.policy, Code::UpstreamUnknown, instant.when, Some(node.id), text);
    }
}

/// A word that the policy's vocabulary lacks, such as a misspelt one, is unknown and so in scope.
/// Tells whether there is none.
fn check_words(case: &Case<'_>, instant: &Instant<'_>, node: &Node, findings: &mut Findings) -> bool {
    let mut all_known = true;
    for (what, words, vocabulary) in [
        ("modality", &node.core.words.modality, &case.policy.modality),
        ("purpose", &node.core.words.purpose, &case.policy.purpose),
    ] {
        let unknown = words.iter().find(|word| !vocabulary.is_empty() && !vocabulary.contains(word));
        if let Some(word) = unknown {
            let text = format!("its {what} {word} is no word of the policy's vocabulary, and counts as unknown");
            findings.add(case.policy, Code::WordUnknown, instant.when, Some(node.id), text);
            all_known = false;
        }
    }
    all_known
}

fn check_use(case: &Case<'_>, instant: &Instant<'_>, node: &Node, findings: &mut Findings) {
    let mut add = |code, text: &str| findings.add(case.policy, code, instant.when, Some(node.id), text.into());
    let source = is_source(node);
    match node.core.use_allowed {
        Some(false) => add(Code::LicenceForbids, "the recorded licence does not allow this use"),
        None if source => add(Code::LicenceUnknown, "whether the licence allows this use is not said"),
        Some(true) | None => {}
    }
    match node.core.strength {
        Some(DigestStrength::Weak) => add(Code::WeakDigest, "its bytes are known only by a digest that can be forged"),
        Some(DigestStrength::None) => add(Code::WeakDigest, "its bytes are known by no digest"),
        Some(DigestStrength::Strong) | None => {}
    }
    if source && !matches!(node.core.persons, Some(Persons::NoneFound | Persons::Present)) {
        add(Code::PersonsNotExamined, "nobody looked for persons in it, or nobody says so");
    }
}

/// Tells whether the walk from the root by parents alone meets a source.
fn reaches_source(case: &Case<'_>) -> bool {
    let mut seen = dense::Set::default();
    let mut todo = Vec::from([case.evidence.root]);
    while let Some(ordinal) = todo.pop() {
        let Some(node) = case.node(ordinal).filter(|_| seen.insert(ordinal)) else { continue };
        if is_source(node) {
            return true;
        }
        todo.extend(node.parents());
    }
    false
}

fn check_aggregate(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) {
    let Some(aggregate) = &case.policy.aggregate else { return };
    let nodes = || instant.order.iter().filter_map(|o| Some((*o, case.node(*o)?)));
    let sources = nodes().filter(|(_, node)| is_source(node)).count();
    let top = instant.grades.get(case.evidence.root).copied();
    let lowest = top == Some(0);
    let regraded = |(ordinal, node): (Ordinal, &Node)| {
        let statuses = instant.closure.statuses.get(&ordinal).into_iter().flatten().filter_map(|s| case.node(*s));
        !is_source(node) && statuses.into_iter().any(|s| s.core.mark == Some(Mark::Reclassify))
    };
    if lowest && u64::try_from(sources).unwrap_or(u64::MAX) >= aggregate.min_sources && !nodes().any(regraded) {
        let text = format!("{sources} sources of the lowest grade, and no statement on the grade of their sum");
        findings.add(case.policy, Code::AggregateNotRegraded, instant.when, None, text);
    }
}

/// Tells whether a value is disclosed and empty, which answers no question.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.trim().is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(pairs) => pairs.is_empty(),
        Value::Int(_) | Value::Bool(_) => false,
    }
}

/// Tells whether a source shows neither what it is called nor what it consists of. A value that names neither, such as an
/// empty name, shows nothing.
pub(crate) fn is_hidden(node: &Node) -> bool {
    let name = Case::name(node).is_some_and(|name| !name.trim().is_empty());
    let digest = |text: &str| {
        text.split_once(':')
            .is_some_and(|(of, hex)| matches!(of, "blake3" | "tree" | "sha256") && Digest::from_hex(hex).is_some())
    };
    let content = Case::detail(node, "content").and_then(Value::as_text).is_some_and(digest);
    is_source(node) && !name && !content
}

/// A hidden source is counted and judged like any other; the policy says whether that will do.
fn check_hidden(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) {
    for node in instant.order.iter().filter_map(|ordinal| case.node(*ordinal)).filter(|node| is_hidden(node)) {
        let text = "neither its name nor its content is shown".into();
        findings.add(case.policy, Code::SourceHidden, When::Always, Some(node.id), text);
    }
}

fn check_disclosure(case: &Case<'_>, instant: &Instant<'_>, rule: &Disclose, findings: &mut Findings) {
    for node in instant.order.iter().filter_map(|ordinal| case.node(*ordinal)) {
        if node.core.kind != rule.kind || (rule.only_sources && !is_source(node)) {
            continue;
        }
        let missing: Vec<String> = rule
            .slots
            .iter()
            .filter(|slot| node.detail(**slot).is_none_or(says_nothing))
            .map(|slot| slot_name(rule.kind, *slot).unwrap_or("?").into())
            .collect();
        if !missing.is_empty() {
            let point = rule.point.as_deref().map_or_else(String::new, |point| format!(" ({point})"));
            let text = format!("hidden, absent or empty: {}{point}", missing.join(", "));
            findings.add(case.policy, Code::DetailNotDisclosed, When::Always, Some(node.id), text);
        }
    }
}
