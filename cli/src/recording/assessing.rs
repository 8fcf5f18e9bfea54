//! Assessments: laid out, signed offline or stated, and recorded.

use griptrace_core::{
    assessment::{Assessment, Destinations, Outcome, lay_out_subjects, subjects_root},
    cose::{ASSESSMENT_TYPE, sign},
    date::Date,
    details::Salt,
    digest::Digest,
    id::{GenesisHash, NodeId},
    key::Signer,
    node::{Core, Kind},
    value::Value,
    word::{Country, Word},
};
use griptrace_store::record::{NodeRecord, SubjectsRecord};

use super::{build::make, details::Details, statement::Statement};
use crate::{error::CommandError, keyfile};

/// What an assessment says, before its subjects are laid out.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The scheme.
    pub(crate) scheme: Word,
    /// The result.
    pub(crate) outcome: Outcome,
    /// The highest grade covered.
    pub(crate) grade: Word,
    /// Purposes covered.
    pub(crate) purposes: Vec<Word>,
    /// Modalities covered.
    pub(crate) modalities: Vec<Word>,
    /// Streams covered.
    pub(crate) streams: Vec<Word>,
    /// When it was issued.
    pub(crate) issued: Date,
    /// First day of validity.
    pub(crate) valid_from: Date,
    /// Last day of validity.
    pub(crate) valid_to: Option<Date>,
    /// Where the data may go; `None` is anywhere.
    pub(crate) destinations: Option<Vec<Country>>,
}

/// An assessment whose subjects are laid out: salted, among decoys.
struct LaidOut {
    payload: Vec<u8>,
    leaves: Vec<Digest>,
    openings: Vec<(NodeId, Salt, u64)>,
}

fn lay_out(terms: &Terms, subjects: &[NodeId]) -> Result<LaidOut, CommandError> {
    let mut failed = None;
    let random = |bytes: &mut [u8]| failed = failed.take().or(keyfile::fill(bytes).err());
    let laid_out = lay_out_subjects(subjects, random);
    if let Some(error) = failed {
        return Err(error);
    }
    let (leaves, salted) =
        laid_out.ok_or_else(|| CommandError::failed("an assessment needs a subject, and not too many"))?;
    let openings = subjects.iter().zip(salted).map(|(subject, (salt, index))| (*subject, salt, index)).collect();
    let sorted = |words: &[Word]| {
        let mut words = words.to_vec();
        words.sort();
        words.dedup();
        words
    };
    let assessment = Assessment {
        scheme: terms.scheme.clone(),
        outcome: terms.outcome,
        grade: terms.grade.clone(),
        purposes: sorted(&terms.purposes),
        modalities: sorted(&terms.modalities),
        streams: sorted(&terms.streams),
        issued: terms.issued,
        valid_from: terms.valid_from,
        valid_to: terms.valid_to,
        destinations: terms.destinations.clone().map_or(Destinations::Anywhere, |mut countries| {
            countries.sort();
            countries.dedup();
            Destinations::Only(countries)
        }),
        subjects: u64::try_from(leaves.len()).unwrap_or(u64::MAX),
        subjects_root: subjects_root(&leaves).unwrap_or(Digest::ZERO),
    };
    let payload = assessment.to_bytes().map_err(|e| CommandError::because("the assessment can't be written", e))?;
    Ok(LaidOut { payload, leaves, openings })
}

/// Signs an assessment of `subjects` for the log `home`.
pub(crate) fn sign_assessment(
    terms: &Terms,
    subjects: &[NodeId],
    home: &GenesisHash,
    key: &dyn Signer,
    issuer: &str,
) -> Result<Statement, CommandError> {
    let LaidOut { payload, leaves, openings } = lay_out(terms, subjects)?;
    let signed = sign(key, ASSESSMENT_TYPE, issuer, home, payload)
        .map_err(|e| CommandError::because("cannot sign the assessment", e))?;
    Ok(Statement { signed, leaves, openings, key: key.public_key().to_string() })
}

/// Makes the node of a signed assessment.
pub(crate) fn signed_record(
    home: GenesisHash,
    statement: Statement,
    details: &Details,
) -> Result<NodeRecord, CommandError> {
    let mut core = Core::new(Kind::Assessment, home, [0; 16], Digest::ZERO);
    core.statement = Some(statement.signed);
    let subjects = SubjectsRecord { leaves: statement.leaves, openings: statement.openings };
    make(core, details.values(), None, Some(subjects))
}

/// Makes the node of an assessment that the committer states.
pub(crate) fn stated_record(
    home: GenesisHash,
    terms: &Terms,
    subjects: &[NodeId],
    details: &Details,
) -> Result<NodeRecord, CommandError> {
    let LaidOut { payload, leaves, openings } = lay_out(terms, subjects)?;
    let mut core = Core::new(Kind::Assessment, home, [0; 16], Digest::ZERO);
    core.stated = Some(payload);
    make(core, details.values(), None, Some(SubjectsRecord { leaves, openings }))
}

/// Returns the details of an assessment: its reference, issuer and paper, as far as they are known.
pub(crate) fn assessment_details(reference: Option<&str>, issuer: Option<&str>, paper: Option<Value>) -> Details {
    let mut details = Details::new(Kind::Assessment);
    for (name, value) in
        [("reference", reference.map(Value::text)), ("issuer", issuer.map(Value::text)), ("paper", paper)]
    {
        if let Some(value) = value {
            details.set(name, value);
        }
    }
    details
}
