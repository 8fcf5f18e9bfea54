//! Step 14, first half: whether one assessment covers one need.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use griptrace_core::{
    assessment::{Assessed, Assessment, Outcome},
    date::Date,
    id::NodeId,
    node::Kind,
    value::Value,
    word::{Country, Word},
};

use super::{Case, Findings, Instant, grade::grade_word, order::Work};
use crate::{
    evidence::{Node, Ordinal, status_key},
    finding::{Code, When},
    policy::{Duration, Require},
    report::{Cut, Strength},
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
    let with_key = || case.trust.assessors.iter().enumerate().filter(|(_, known)| known.key.id() == signed.key);
    if let Some((_, known)) = with_key().next()
        && signed.verify(&known.key).is_err()
    {
        let text = format!("the assessment's signature by {} does not verify", known.name);
        findings.add(case.policy, Code::AssessmentSignatureInvalid, When::Always, Some(node.id), text);
        return Vouched::Untrusted(format!("somebody else than {}", known.name));
    }
    let good = with_key().find(|(_, known)| {
        known.schemes.contains(&assessed.assessment.scheme)
            && known.from.is_none_or(|from| from <= day)
            && known.to.is_none_or(|to| day <= to)
    });
    match good {
        Some((place, _)) => Vouched::Assessor(place),
        None => Vouched::Untrusted(format!("key {}, who says to be {:?}", signed.key, signed.issuer)),
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

/// How near a miss came: the later the check that failed, the nearer.
fn nearness(code: Code) -> usize {
    const ORDER: [Code; 12] = [
        Code::AssessmentMissing,
        Code::AssessorUntrusted,
        Code::AssessmentScheme,
        Code::AssessmentOnlyStated,
        Code::AssessmentRefused,
        Code::AssessmentNotYetValid,
        Code::AssessmentDestination,
        Code::AssessmentPurpose,
        Code::AssessmentModality,
        Code::AssessmentGrade,
        Code::AssessmentStreams,
        Code::AssessmentExpired,
    ];
    ORDER.iter().position(|c| *c == code).unwrap_or(ORDER.len())
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
                if miss.assessment.is_none() || nearness(other.code) > nearness(miss.code) {
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
    check_rule(assessment, strength, need).map_err(why)?;
    if assessment.outcome == Outcome::Refused {
        return miss(Code::AssessmentRefused, "the assessor's result is no".into());
    }
    let (end, cut) = check_validity(assessment, need).map_err(why)?;
    check_reach(case, instant, assessment, subject, need).map_err(why)?;
    if let Some(mark) = instant.marks.terminal.get(&ordinal) {
        return miss(Code::AssessmentWithdrawn, format!("it would cover, but has the mark {mark}"));
    }
    check_status_log(case, ordinal).map_err(why)?;
    Ok(Cover { assessment: ordinal, subject, strength, end, cut })
}

type Why = (Code, String);

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

fn check_rule(assessment: &Assessment, strength: Strength, need: &Need<'_>) -> Result<(), Why> {
    let Some(rule) = need.rule else { return Ok(()) };
    if !rule.any_of.contains(&assessment.scheme) {
        return Err((
            Code::AssessmentScheme,
            format!("it is of scheme {}, which this rule does not accept", assessment.scheme),
        ));
    }
    if strength < rule.strength {
        return Err((Code::AssessmentOnlyStated, "the committer states it, and no assessor signed it".into()));
    }
    Ok(())
}

/// Validity is until the earlier of its own end and the policy's.
fn check_validity(assessment: &Assessment, need: &Need<'_>) -> Result<(Option<Date>, Option<Cut>), Why> {
    let own = assessment.valid_to;
    let validity = need.rule.and_then(|rule| rule.validity.as_ref());
    let by_policy = validity.map(|v: &Duration| (v, v.after(assessment.valid_from)));
    let by_policy = by_policy.filter(|(_, end)| own.is_none_or(|own| *end < own));
    let end = by_policy.map(|(_, end)| end).or(own);
    if need.date < assessment.valid_from {
        let text = format!("valid from {}, needed on {}", assessment.valid_from, need.date);
        return Err((Code::AssessmentNotYetValid, text));
    }
    if let Some(end) = end.filter(|end| *end < need.date) {
        let own = own.map_or_else(|| "without an end".into(), |own| format!("to {own}"));
        let why = by_policy.map_or_else(String::new, |(validity, _)| {
            format!(" by the policy, whose validity is {validity}; by itself {own}")
        });
        return Err((Code::AssessmentExpired, format!("valid to {end}{why}, needed on {}", need.date)));
    }
    Ok((end, by_policy.map(|_| Cut::Policy)))
}

fn check_reach(
    case: &Case<'_>,
    instant: &Instant<'_>,
    assessment: &Assessment,
    subject: Ordinal,
    need: &Need<'_>,
) -> Result<(), Why> {
    if let Some(country) = need.destination.filter(|country| !assessment.destinations.allow(*country)) {
        return Err((Code::AssessmentDestination, format!("it does not reach {country}")));
    }
    let purpose = need.purposes.iter().find(|purpose| assessment.purposes.binary_search(purpose).is_err());
    if let Some(purpose) = purpose {
        return Err((Code::AssessmentPurpose, format!("it does not reach the purpose {purpose}")));
    }
    if need.purposes.is_empty() {
        return Err((Code::AssessmentPurpose, "no purpose is said anywhere, so none is covered".into()));
    }
    let modality = need.modality.iter().find(|modality| assessment.modalities.binary_search(modality).is_err());
    if let Some(modality) = modality {
        return Err((Code::AssessmentModality, format!("it does not reach the modality {modality}")));
    }
    if need.modality.is_empty() {
        return Err((Code::AssessmentModality, "no modality is said, so none is covered".into()));
    }
    let effective = instant.grades.get(subject).copied().max(need.floor);
    let reaches = case.policy.grade_rank(&assessment.grade);
    if reaches.is_none() || reaches < effective {
        let text = format!("it reaches {}, the grade is {}", assessment.grade, grade_word(case, effective));
        return Err((Code::AssessmentGrade, text));
    }
    Ok(())
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
    let Some(Value::List(streams)) = data.and_then(|node| Case::detail(node, "streams")) else {
        return Err((Code::AssessmentStreams, "it names streams, and those of the data are not disclosed".into()));
    };
    work.count(streams.len());
    let name = |stream: &Value| stream.field("name").and_then(Value::as_text).and_then(Word::parse);
    let is_named = |stream| name(stream).is_some_and(|name| assessment.streams.binary_search(&name).is_ok());
    if streams.is_empty() || !streams.iter().all(is_named) {
        return Err((Code::AssessmentStreams, "it does not name every stream of the data".into()));
    }
    Ok(())
}
