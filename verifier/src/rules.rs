//! Single rules, for judging and for whoever lists what is recorded by the same rules: what each means is said once.
//!
//! Nothing here judges a bundle, and nothing here is a verdict: whether an assessment covers a shipment also depends on
//! what was made of the data, and on statuses. The rules are those of steps 12 to 14 of docs/spec/verify.md.

use alloc::{collections::BTreeSet, format, string::String};

use griptrace_core::{
    assessment::{Assessed, Assessment, AssessorMark, Outcome},
    cbor::decode,
    cose::{MARK_TYPE, Signed},
    date::Date,
    id::GenesisHash,
    value::Value,
    word::{Country, Word},
};

use crate::{
    finding::Code,
    policy::{Duration, Policy, Require},
    report::{Cut, Strength},
    trust::{Role, Trust, TrustedAssessor},
};

/// Why something does not hold: the code of the finding, and what is the case in words.
pub type Why = (Code, String);

/// What an assessment has to reach.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// On which day.
    pub date: Date,
    /// Going where; `None` where nothing crosses a border.
    pub destination: Option<Country>,
    /// For which purposes: none covers none.
    pub purposes: &'a BTreeSet<Word>,
    /// Of which modalities: none covers none.
    pub modality: &'a [Word],
    /// Up to which grade: a rank in the policy's vocabulary, its length for undetermined.
    pub grade: Option<usize>,
    /// The rule that asks; `None` if none does.
    pub rule: Option<&'a Require>,
}

/// Returns the last day on which an assessment reaches what is asked of it, `None` for one without an end, and what ends it
/// before its own last day. Marks, and whose word it is, are not looked at.
///
/// # Errors
/// The first thing that it does not reach.
pub fn reaches(
    policy: &Policy,
    assessment: &Assessment,
    strength: Strength,
    asked: &Asked<'_>,
) -> Result<(Option<Date>, Option<Cut>), Why> {
    check_rule(assessment, strength, asked.rule)?;
    if assessment.outcome == Outcome::Refused {
        return Err((Code::AssessmentRefused, "the assessor's result is no".into()));
    }
    let end = check_validity(assessment, asked)?;
    check_reach(policy, assessment, asked)?;
    Ok(end)
}

fn check_rule(assessment: &Assessment, strength: Strength, rule: Option<&Require>) -> Result<(), Why> {
    let Some(rule) = rule else { return Ok(()) };
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

/// Returns the last day of an assessment: the earlier of its own end and that of the rule's validity.
pub fn end(assessment: &Assessment, rule: Option<&Require>) -> Option<Date> {
    let by_policy = rule.and_then(|rule| rule.validity.as_ref()).map(|v: &Duration| v.after(assessment.valid_from));
    match (assessment.valid_to, by_policy) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn check_validity(assessment: &Assessment, asked: &Asked<'_>) -> Result<(Option<Date>, Option<Cut>), Why> {
    let (end, own) = (end(assessment, asked.rule), assessment.valid_to);
    let validity = asked.rule.and_then(|rule| rule.validity.as_ref()).filter(|_| end != own);
    if asked.date < assessment.valid_from {
        let text = format!("valid from {}, needed on {}", assessment.valid_from, asked.date);
        return Err((Code::AssessmentNotYetValid, text));
    }
    if let Some(end) = end.filter(|end| *end < asked.date) {
        let own = own.map_or_else(|| "without an end".into(), |own| format!("to {own}"));
        let why = validity.map_or_else(String::new, |validity| {
            format!(" by the policy, whose validity is {validity}; by itself {own}")
        });
        return Err((Code::AssessmentExpired, format!("valid to {end}{why}, needed on {}", asked.date)));
    }
    Ok((end, validity.map(|_| Cut::Policy)))
}

fn check_reach(policy: &Policy, assessment: &Assessment, asked: &Asked<'_>) -> Result<(), Why> {
    if let Some(country) = asked.destination.filter(|country| !assessment.destinations.allow(*country)) {
        return Err((Code::AssessmentDestination, format!("it does not reach {country}")));
    }
    let purpose = asked.purposes.iter().find(|purpose| assessment.purposes.binary_search(purpose).is_err());
    if let Some(purpose) = purpose {
        return Err((Code::AssessmentPurpose, format!("it does not reach the purpose {purpose}")));
    }
    if asked.purposes.is_empty() {
        return Err((Code::AssessmentPurpose, "no purpose is said anywhere, so none is covered".into()));
    }
    let modality = asked.modality.iter().find(|modality| assessment.modalities.binary_search(modality).is_err());
    if let Some(modality) = modality {
        return Err((Code::AssessmentModality, format!("it does not reach the modality {modality}")));
    }
    if asked.modality.is_empty() {
        return Err((Code::AssessmentModality, "no modality is said, so none is covered".into()));
    }
    let reaches = policy.grade_rank(&assessment.grade);
    if reaches.is_none() || reaches < asked.grade {
        let text = format!("it reaches {}, the grade is {}", assessment.grade, grade_word(policy, asked.grade));
        return Err((Code::AssessmentGrade, text));
    }
    Ok(())
}

/// Tells whether an assessment that names streams names every one of some data's; one that names none reaches all.
/// `streams` is the detail of the data, if it is known.
///
/// # Errors
/// That it does not.
pub fn reaches_streams(assessment: &Assessment, streams: Option<&Value>) -> Result<(), Why> {
    if assessment.streams.is_empty() {
        return Ok(());
    }
    let Some(Value::List(streams)) = streams else {
        return Err((Code::AssessmentStreams, "it names streams, and those of the data are not disclosed".into()));
    };
    let name = |stream: &Value| stream.field("name").and_then(Value::as_text).and_then(Word::parse);
    let is_named = |stream| name(stream).is_some_and(|name| assessment.streams.binary_search(&name).is_ok());
    if streams.is_empty() || !streams.iter().all(is_named) {
        return Err((Code::AssessmentStreams, "it does not name every stream of the data".into()));
    }
    Ok(())
}

/// Tells how near an assessment that does not cover came: the later the check that failed, the nearer.
pub fn nearness(code: Code) -> usize {
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

/// Tells whether a rule is for data of a grade. An undetermined one is asked for by every rule: unknown never meets one.
pub fn is_for_grade(policy: &Policy, rule: &Require, grade: usize) -> bool {
    policy.grades.get(grade).is_none_or(|word| rule.grade.contains(word))
}

/// Returns the word of a rank.
pub fn grade_word(policy: &Policy, rank: Option<usize>) -> String {
    rank.and_then(|rank| policy.grades.get(rank)).map_or_else(|| "undetermined".into(), |word| word.as_str().into())
}

/// Returns the rank of a grade's word: the vocabulary's length, undetermined, for none and for one that it lacks.
pub fn rank(policy: &Policy, word: Option<&Word>) -> usize {
    word.and_then(|word| policy.grade_rank(word)).unwrap_or(policy.grades.len())
}

/// Returns the grade that reclassifications of a node begin with, of the grade that counts as its own and the highest of
/// what it came from. A source has to have its own.
pub fn grade_before_marks(policy: &Policy, is_source: bool, own: Option<usize>, inherited: Option<usize>) -> usize {
    match (own, inherited) {
        (None, _) if is_source => policy.grades.len(),
        (own, inherited) => own.max(inherited).unwrap_or(0),
    }
}

/// Whoever reclassified a node.
#[derive(Clone, Copy, Debug)]
pub struct Reclassifier {
    /// Whether it is the party that recorded the node, with the role grade as of when it was recorded.
    pub grades_own: bool,
    /// Whether it has the role regrade, as of when it was recorded.
    pub had_regrade: bool,
    /// Whether it has the role regrade by a key that was not revoked since either.
    pub has_regrade: bool,
}

impl Reclassifier {
    /// Tells whether a reclassification counts: raising is for the node's own party with the role grade, anything for the
    /// role regrade. One that raises counts by whose key it was then: a later revocation does not take it back.
    pub const fn may(self, raises: bool) -> bool {
        if raises { self.had_regrade || self.grades_own } else { self.has_regrade }
    }
}

/// Why a signed assessment is nobody's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoAssessor<'a> {
    /// It names a key of this assessor, and the signature is not by it.
    SignatureInvalid(&'a TrustedAssessor),
    /// The trust file does not have its key as an assessor of the scheme on that day.
    Unknown,
}

/// Returns the place of the assessor in the trust file whose word a signed assessment is (Rule R6), as of the day on which
/// it was recorded; `None` for one that is only stated.
///
/// # Errors
/// Why it is nobody's.
pub fn assessor<'a>(trust: &'a Trust, assessed: &Assessed, day: Date) -> Result<Option<usize>, NoAssessor<'a>> {
    let Some(signed) = &assessed.signed else { return Ok(None) };
    let with_key = || trust.assessors.iter().enumerate().filter(|(_, known)| known.key.id() == signed.key);
    if let Some((_, known)) = with_key().next()
        && signed.verify(&known.key).is_err()
    {
        return Err(NoAssessor::SignatureInvalid(known));
    }
    let good = with_key().find(|(_, known)| {
        known.schemes.contains(&assessed.assessment.scheme)
            && known.from.is_none_or(|from| from <= day)
            && known.to.is_none_or(|to| day <= to)
    });
    good.map(|(place, _)| Some(place)).ok_or(NoAssessor::Unknown)
}

/// Returns the roles that the party of an entry of the trust file has for a log on a day, by any entry with the same party
/// and key.
pub fn roles_of<'a>(
    trust: &'a Trust,
    known: usize,
    origin: Option<&'a str>,
    day: Date,
) -> impl Iterator<Item = Role> + 'a {
    let on = move |from: Option<Date>, to: Option<Date>| {
        from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to)
    };
    let known = trust.committers.get(known);
    let committers = trust.committers.iter().filter(move |other| {
        known.is_some_and(|known| other.name == known.name && other.key == known.key)
            && other.log.as_deref().is_none_or(|log| Some(log) == origin)
            && on(other.from, other.to)
    });
    let assessors = trust.assessors.iter().filter(move |other| {
        known.is_some_and(|known| other.name == known.name && other.key == known.key) && on(other.from, other.to)
    });
    committers.flat_map(|other| &other.roles).chain(assessors.flat_map(|other| &other.roles)).copied()
}

/// Reads an assessor's signed mark: the log that it was made for, the mark, and the place of the assessor in the trust
/// file. `None` unless a key of the trust file's assessors signed it.
pub fn signed_mark(trust: &Trust, bytes: &[u8]) -> Option<(GenesisHash, AssessorMark, usize)> {
    let signed = Signed::parse(bytes, MARK_TYPE).ok()?;
    let mine = |a: &TrustedAssessor| a.key.id() == signed.key && signed.verify(&a.key).is_ok();
    let place = trust.assessors.iter().position(mine)?;
    Some((signed.home, decode(&signed.payload).ok()?, place))
}
