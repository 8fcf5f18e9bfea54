//! Step 14, first half: whether one assessment covers one need.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use griptrace_core::{
    assessment::{Assessed, Assessment},
    date::Date,
    id::NodeId,
    node::Kind,
    value::Value,
    word::{Country, Word},
};

use super::{Case, Findings, Instant, order::Work};
use crate::{
    evidence::{Node, Ordinal, status_key},
    finding::{Code, When},
    policy::Require,
    report::{Cut, Strength},
    rules::{self, Asked, NoAssessor, Why},
};

/// Whose word an assessment is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Vouched {
    /// The committer's.
    Stated,
    /// That of an assessor of the trust file, by signature.
    Assessor(usize),
    /// Signed by a key that the trust file does not have as an assessor of the scheme on that day.
    Untrusted(String),
}

/// Rule R6: checks each signed assessment's signature against the trust file's assessors.
pub(super) fn check_words(case: &Case<'_>, findings: &mut Findings) -> BTreeMap<Ordinal, Vouched> {
    let mut words = BTreeMap::new();
    for (ordinal, node) in case.evidence.nodes.iter().enumerate() {
        let Some(assessed) = node.assessed() else { continue };
        words.insert(ordinal, check_word(case, node, assessed, findings));
    }
    words
}

fn check_word(case: &Case<'_>, node: &Node, assessed: &Assessed, findings: &mut Findings) -> Vouched {
    let Some(signed) = &assessed.signed else {
        let stated = case.committer_of(node).map(|_| Vouched::Stated);
        return stated.unwrap_or_else(|| Vouched::Untrusted("a committer whose key had retired".into()));
    };
    let day = Date::from_unix(case.evidence.anchor_of(node).map_or(u64::MAX, |anchor| anchor.time));
    match rules::assessor(case.trust, assessed, day) {
        Ok(Some(place)) => Vouched::Assessor(place),
        Err(NoAssessor::SignatureInvalid(known)) => {
            let text = format!("the assessment's signature by {} does not verify", known.name);
            findings.add(case.policy, Code::AssessmentSignatureInvalid, When::Always, Some(node.id), text);
            Vouched::Untrusted(format!("somebody else than {}", known.name))
        }
        Ok(None) | Err(NoAssessor::Unknown) => {
            Vouched::Untrusted(format!("key {}, who says to be {:?}", signed.key, signed.issuer))
        }
    }
}

/// What has to be covered.
#[derive(Clone, Debug)]
pub(super) struct Need<'a> {
    /// On which day.
    pub(super) date: Date,
    /// Going where; `None` where nothing crosses a border.
    pub(super) destination: Option<Country>,
    /// The purposes along the paths.
    pub(super) purposes: &'a BTreeSet<Word>,
    /// The source's modalities.
    pub(super) modality: &'a [Word],
    /// A grade that has to be reached besides the subject's own.
    pub(super) floor: Option<usize>,
    /// The sources that are to be covered with the subject.
    pub(super) sources: &'a [Ordinal],
    /// What the search costs.
    pub(super) work: &'a Work,
    /// The rule that asks; `None` if none does and the best is only to be told.
    pub(super) rule: Option<&'a Require>,
}

/// An assessment that covers.
#[derive(Clone, Debug)]
pub(crate) struct Cover {
    pub(crate) assessment: Ordinal,
    pub(crate) subject: Ordinal,
    pub(crate) strength: Strength,
    /// Last day, by its own and the policy's validity.
    pub(crate) end: Option<Date>,
    /// What ends it before its own last day.
    pub(crate) cut: Option<Cut>,
}

/// Why none covers: the reason of the one that came nearest.
#[derive(Clone, Debug)]
pub(super) struct Miss {
    pub(super) code: Code,
    pub(super) assessment: Option<NodeId>,
    pub(super) text: String,
}

/// Returns the best assessment that opens `subject` and covers the need (Rule R3: the best one
/// counts, the others merely don't cover).
pub(super) fn best(case: &Case<'_>, instant: &Instant<'_>, subject: Ordinal, need: &Need<'_>) -> Result<Cover, Miss> {
    let mut found: Option<Cover> = None;
    let mut miss = Miss { code: Code::AssessmentMissing, assessment: None, text: "no assessment opens it".into() };
    for assessment in case.evidence.opened_by.get(&subject).into_iter().flatten() {
        if need.work.is_spent() {
            break;
        }
        if !instant.closure.has(*assessment) {
            continue;
        }
        match cover_as_superseded(case, instant, *assessment, subject, need) {
            Ok(cover) => {
                let better = |old: &Cover| {
                    (cover.strength, cover.end.is_none(), cover.end) > (old.strength, old.end.is_none(), old.end)
                };
                if found.as_ref().is_none_or(better) {
                    found = Some(cover);
                }
            }
            Err(other) => {
                if miss.assessment.is_none() || rules::nearness(other.code) > rules::nearness(miss.code) {
                    miss = other;
                }
            }
        }
    }
    found.ok_or(miss)
}

/// An assessment that is superseded covers as far as all that takes its place: the worse counts.
fn cover_as_superseded(
    case: &Case<'_>,
    instant: &Instant<'_>,
    assessment: Ordinal,
    subject: Ordinal,
    need: &Need<'_>,
) -> Result<Cover, Miss> {
    let mut covered = cover(case, instant, assessment, subject, need)?;
    let mut seen = BTreeSet::from([assessment]);
    let mut todo: Vec<Ordinal> = instant.marks.successors_of(assessment).collect();
    while let Some(successor) = todo.pop().filter(|_| !need.work.is_spent()) {
        need.work.count(1);
        if !seen.insert(successor) {
            continue;
        }
        let other = cover(case, instant, successor, subject, need)?;
        if !case.evidence.opened_by.get(&subject).is_some_and(|opened| opened.contains(&successor)) {
            let text = "it takes the place of one that would cover, and is not of this data".into();
            let assessment = case.node(successor).map(|node| node.id);
            return Err(Miss { code: Code::AssessmentMissing, assessment, text });
        }
        covered.strength = covered.strength.min(other.strength);
        if other.end.is_some_and(|end| covered.end.is_none_or(|known| end < known)) {
            (covered.end, covered.cut) = (other.end, other.cut.or(Some(Cut::Successor)));
        }
        todo.extend(instant.marks.successors_of(successor));
    }
    // Streams are the only detail that is read here, and so come last: who hides them hides no other reason.
    seen.iter().try_for_each(|ordinal| check_streams(case, *ordinal, subject, need))?;
    Ok(covered)
}

/// What it costs to look a word up in an assessment's list, in visits.
const COMPARISON: usize = 8;

fn cover(
    case: &Case<'_>,
    instant: &Instant<'_>,
    ordinal: Ordinal,
    subject: Ordinal,
    need: &Need<'_>,
) -> Result<Cover, Miss> {
    let compared = need.purposes.len().saturating_add(need.modality.len());
    need.work.count(compared.saturating_mul(COMPARISON).saturating_add(1));
    let node = case.node(ordinal);
    let assessed = node.and_then(Node::assessed);
    let (Some(node), Some(assessed)) = (node, assessed) else {
        return Err(Miss { code: Code::AssessmentMissing, assessment: None, text: String::new() });
    };
    let why = |(code, text): Why| Miss { code, assessment: Some(node.id), text };
    let miss = |code, text| Err(why((code, text)));
    let assessment = &assessed.assessment;
    let strength = match case.words.get(&ordinal) {
        Some(Vouched::Assessor(_)) => Strength::Signed,
        Some(Vouched::Stated) => Strength::Stated,
        Some(Vouched::Untrusted(who)) => {
            return miss(
                Code::AssessorUntrusted,
                format!("signed by {who}: no assessor of the trust file for {}", assessment.scheme),
            );
        }
        None => return miss(Code::AssessmentMissing, String::new()),
    };
    let asked = Asked {
        date: need.date,
        destination: need.destination,
        purposes: need.purposes,
        modality: need.modality,
        grade: instant.grades.get(subject).copied().max(need.floor),
        rule: need.rule,
    };
    let (end, cut) = rules::reaches(case.policy, assessment, strength, &asked).map_err(why)?;
    if let Some(mark) = instant.marks.terminal.get(&ordinal) {
        return miss(Code::AssessmentWithdrawn, format!("it would cover, but has the mark {mark}"));
    }
    check_status_log(case, ordinal).map_err(why)?;
    Ok(Cover { assessment: ordinal, subject, strength, end, cut })
}

/// Rule R5: where the trust file names the log that has an assessor's statuses, they are looked up
/// there; a bundle whose part of that log does not answer for the assessment leaves its status unknown.
fn check_status_log(case: &Case<'_>, ordinal: Ordinal) -> Result<(), Why> {
    let Some(Vouched::Assessor(place)) = case.words.get(&ordinal) else { return Ok(()) };
    let Some(asked) = case.trust.assessors.get(*place).and_then(|known| known.status_log.as_deref()) else {
        return Ok(());
    };
    let Some(log) = case.evidence.logs.iter().find(|log| log.genesis.origin == asked) else {
        let text = format!("its assessor's statuses are in log {asked}, which the bundle does not show");
        return Err((Code::AssessmentStatusUnknown, text));
    };
    if case.node(ordinal).is_some_and(|node| log.answers.contains(&status_key(node))) {
        return Ok(());
    }
    let text = format!("its assessor's statuses are in log {asked}, which does not answer for it in this bundle");
    Err((Code::AssessmentStatusUnknown, text))
}

/// Checks the subject's streams, and those of the sources that are covered with it.
fn check_streams(case: &Case<'_>, ordinal: Ordinal, subject: Ordinal, need: &Need<'_>) -> Result<(), Miss> {
    let node = case.node(ordinal);
    let named = node.and_then(Node::assessed).map(|assessed| &assessed.assessment).filter(|a| !a.streams.is_empty());
    let Some(assessment) = named else { return Ok(()) };
    [subject].iter().chain(need.sources).try_for_each(|data| {
        check_streams_of(case, assessment, *data, need.work).map_err(|(code, text)| Miss {
            code,
            assessment: node.map(|node| node.id),
            text,
        })
    })
}

/// An assessment that names streams covers data whose disclosed streams are among them, and nothing
/// that has no streams to disclose.
fn check_streams_of(case: &Case<'_>, assessment: &Assessment, subject: Ordinal, work: &Work) -> Result<(), Why> {
    work.count(1);
    let data = case.node(subject).filter(|node| node.core.kind == Kind::Dataset && !work.is_spent());
    let streams = data.and_then(|node| Case::detail(node, "streams"));
    if let Some(Value::List(streams)) = streams {
        work.count(streams.len());
    }
    rules::reaches_streams(assessment, streams)
}
