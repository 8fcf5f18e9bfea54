//! What an assessor signs: assessments, and marks on them (Rule R6).
//!
//! An assessment binds result, grade, scope, validity, destinations and a Merkle root over the
//! salted ids of its subjects. Each use opens one subject; the others stay hidden. The maker pads
//! the subjects to a power of two with random decoys, so that their number is hidden too.

use alloc::vec::Vec;

use crate::{
    cbor::{DecodeError, Next, Reader, Record, Writer, bad_field, decode, encode, within},
    cose::{ASSESSMENT_TYPE, CoseError, Signed},
    date::Date,
    details::Salt,
    digest::{Digest, STATEMENT, SUBJECT_LEAF, SUBJECT_TREE},
    id::{NodeId, StatusKey},
    limits::{STATEMENT_BYTES_MAX, SUBJECTS_MAX, WORDS_MAX},
    node::{Core, Mark, keyed, numbered, read_country, read_date, read_word, read_words, sorted, write_words},
    tree,
    word::{Country, Word},
};

numbered! {
    /// What the assessor found.
    Outcome, "assessment result" {
        /// Passed.
        Passed = 1, "passed";
        /// Passed with the conditions in the details.
        Conditional = 2, "passed-with-conditions";
        /// Refused.
        Refused = 3, "refused";
    }
}

/// Where assessed data may go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destinations {
    /// Anywhere: written as `null`.
    Anywhere,
    /// To these countries, sorted.
    Only(Vec<Country>),
}

impl Destinations {
    /// Tells whether data may go to `country`.
    pub fn allow(&self, country: Country) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Only(countries) => countries.contains(&country),
        }
    }
}

/// The payload of an assessment, signed or stated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assessment {
    /// The scheme, a word of the policy's vocabulary.
    pub scheme: Word,
    /// The result.
    pub outcome: Outcome,
    /// The highest grade that it covers.
    pub grade: Word,
    /// Purposes covered, sorted; empty covers none that is asked for.
    pub purposes: Vec<Word>,
    /// Modalities covered, sorted.
    pub modalities: Vec<Word>,
    /// Streams covered, sorted; empty says nothing of streams.
    pub streams: Vec<Word>,
    /// When it was issued.
    pub issued: Date,
    /// First day of validity.
    pub valid_from: Date,
    /// Last day of validity, if it says one.
    pub valid_to: Option<Date>,
    /// Where the data may go.
    pub destinations: Destinations,
    /// Leaves of the subject tree, decoys included: a power of two.
    pub subjects: u64,
    /// The root over the salted subjects.
    pub subjects_root: Digest,
}

/// The format version of both payloads.
const VERSION: u64 = 1;

impl Record for Assessment {
    fn write(&self, out: &mut Writer<'_>) {
        out.map(13).uint(0).uint(VERSION).uint(1).text(self.scheme.as_str());
        out.uint(2).uint(self.outcome.number().into()).uint(3).text(self.grade.as_str()).uint(4);
        write_words(out, &self.purposes);
        out.uint(5);
        write_words(out, &self.modalities);
        out.uint(6);
        write_words(out, &self.streams);
        out.uint(7).uint(self.issued.days().into()).uint(8).uint(self.valid_from.days().into()).uint(9);
        match self.valid_to {
            Some(date) => out.uint(date.days().into()),
            None => out.null(),
        };
        out.uint(10);
        match &self.destinations {
            Destinations::Anywhere => out.null().end(),
            Destinations::Only(countries) => {
                out.array(countries.len());
                countries.iter().for_each(|country| out.text(country.as_str()).end());
            }
        }
        out.uint(11).uint(self.subjects).uint(12).bytes(self.subjects_root.as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.map("fields of an assessment", 13)? != 13 || keyed(input, 0, Reader::uint)? != VERSION {
            return Err(bad_field("assessment", "is of no version that this version knows"));
        }
        Ok(Self {
            scheme: keyed(input, 1, read_word)?,
            outcome: Outcome::from_number(keyed(input, 2, Reader::uint)?)?,
            grade: keyed(input, 3, read_word)?,
            purposes: keyed(input, 4, read_words)?,
            modalities: keyed(input, 5, read_words)?,
            streams: keyed(input, 6, read_words)?,
            issued: keyed(input, 7, read_date)?,
            valid_from: keyed(input, 8, read_date)?,
            valid_to: keyed(input, 9, |i| nullable(i, read_date))?,
            destinations: keyed(input, 10, read_destinations)?,
            subjects: keyed(input, 11, Reader::uint)?,
            subjects_root: keyed(input, 12, Reader::digest)?,
        })
    }
}

fn nullable<'a, T>(
    input: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if input.next()? == Next::Null {
        return input.null().map(|()| None);
    }
    read(input).map(Some)
}

fn read_destinations(input: &mut Reader<'_>) -> Result<Destinations, DecodeError> {
    let only = nullable(input, |i| i.list("destinations", WORDS_MAX, read_country))?;
    Ok(only.map_or(Destinations::Anywhere, Destinations::Only))
}

impl Assessment {
    /// Reads a payload strictly.
    ///
    /// # Errors
    /// A [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let assessment: Self = decode(bytes)?;
        assessment.check()?;
        Ok(assessment)
    }

    /// Returns the payload's bytes, after the check that a reader would make.
    ///
    /// # Errors
    /// A [`DecodeError`] that says what a reader would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DecodeError> {
        self.check()?;
        let bytes = encode(self);
        within("bytes of an assessment", bytes.len(), STATEMENT_BYTES_MAX)?;
        Ok(bytes)
    }

    fn check(&self) -> Result<(), DecodeError> {
        sorted("purposes", &self.purposes)?;
        sorted("modalities", &self.modalities)?;
        sorted("streams", &self.streams)?;
        if let Destinations::Only(countries) = &self.destinations {
            sorted("destinations", countries)?;
        }
        if !self.subjects.is_power_of_two() || self.subjects > SUBJECTS_MAX {
            return Err(bad_field("subjects", "is not a power of two within the limit"));
        }
        if self.valid_to.is_some_and(|end| end < self.valid_from) {
            return Err(bad_field("valid_to", "is before valid_from"));
        }
        Ok(())
    }
}

/// The salted leaf of one subject.
pub fn subject_leaf(salt: &Salt, subject: &NodeId) -> Digest {
    SUBJECT_LEAF.hash_parts(&[salt, subject.as_bytes()])
}

/// The sorted leaves of a subject tree, and salt and leaf index of each subject.
pub type SubjectLayout = (Vec<Digest>, Vec<(Salt, u64)>);

/// Lays out an assessment's subjects: real ones and decoys, mixed by sorting their salted leaves.
///
/// `random` gives fresh secret bytes: 16 a subject and 32 a decoy. Returns the sorted leaves and,
/// for each subject in the order given, its salt and leaf index. `None` for no subject, too many,
/// or random bytes that repeat.
pub fn lay_out_subjects(subjects: &[NodeId], mut random: impl FnMut(&mut [u8])) -> Option<SubjectLayout> {
    let count = u64::try_from(subjects.len()).ok().filter(|n| (1..=SUBJECTS_MAX).contains(n))?;
    let mut leaves = Vec::new();
    let mut salted = Vec::new();
    for subject in subjects {
        let mut salt = Salt::default();
        random(&mut salt);
        let leaf = subject_leaf(&salt, subject);
        salted.push((salt, leaf));
        leaves.push(leaf);
    }
    for _ in count..count.next_power_of_two() {
        let mut decoy = [0; 32];
        random(&mut decoy);
        leaves.push(Digest::from_bytes(decoy));
    }
    leaves.sort_unstable();
    sorted("subjects", &leaves).ok()?;
    let place = |leaf: &Digest| leaves.binary_search(leaf).ok().and_then(|i| u64::try_from(i).ok());
    let openings = salted.iter().map(|(salt, leaf)| Some((*salt, place(leaf)?))).collect::<Option<Vec<_>>>()?;
    Some((leaves, openings))
}

/// Returns the root over the sorted leaves of an assessment's subjects.
pub fn subjects_root(leaves: &[Digest]) -> Option<Digest> {
    tree::root(&SUBJECT_TREE, leaves)
}

/// An assessor's own mark on an assessment, signed by the assessor's key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssessorMark {
    /// The status key of the signed assessment.
    pub key: StatusKey,
    /// What it says: withdraw or refuse.
    pub mark: Mark,
    /// When it was made.
    pub date: Date,
}

impl Record for AssessorMark {
    fn write(&self, out: &mut Writer<'_>) {
        out.map(4).uint(0).uint(VERSION).uint(1).bytes(self.key.as_bytes());
        out.uint(2).uint(self.mark.number().into()).uint(3).uint(self.date.days().into());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.map("fields of a mark", 4)? != 4 || keyed(input, 0, Reader::uint)? != VERSION {
            return Err(bad_field("mark", "is of no version that this version knows"));
        }
        let mark = Self {
            key: StatusKey::new(keyed(input, 1, Reader::digest)?),
            mark: Mark::from_number(keyed(input, 2, Reader::uint)?)?,
            date: keyed(input, 3, read_date)?,
        };
        if !matches!(mark.mark, Mark::Withdraw | Mark::Refuse) {
            return Err(bad_field("mark", "is none that an assessor makes: withdraw or refuse"));
        }
        Ok(mark)
    }
}

/// Returns the status key of a signed assessment: the digest of what its assessor signed, so that
/// it is the same in every log that records it (Rule R5).
pub fn status_key_of_payload(payload: &[u8]) -> StatusKey {
    StatusKey::new(STATEMENT.hash(payload))
}

/// Why an Assessment node's content was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssessmentError {
    /// The signed object.
    Cose(CoseError),
    /// The payload.
    Payload(DecodeError),
}

impl AssessmentError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cose(error) => error.code(),
            Self::Payload(error) => error.code(),
        }
    }
}

impl core::fmt::Display for AssessmentError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Cose(error) => write!(f, "signed assessment: {error}"),
            Self::Payload(error) => write!(f, "assessment payload: {error}"),
        }
    }
}

impl core::error::Error for AssessmentError {}

/// An Assessment node's payload, and who signed it if anybody did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assessed {
    /// The payload.
    pub assessment: Assessment,
    /// The signed object; `None` for an assessment that the committer states.
    pub signed: Option<Signed>,
    /// What the status map is asked for: the payload's digest if signed, the node's id if stated.
    pub status_key: StatusKey,
}

/// Takes an Assessment node's content apart, without checking a signature.
///
/// # Errors
/// [`AssessmentError`].
pub fn assessed(id: NodeId, core: &Core) -> Result<Assessed, AssessmentError> {
    if let Some(statement) = &core.statement {
        let signed = Signed::parse(statement, ASSESSMENT_TYPE).map_err(AssessmentError::Cose)?;
        let assessment = Assessment::from_bytes(&signed.payload).map_err(AssessmentError::Payload)?;
        let status_key = status_key_of_payload(&signed.payload);
        return Ok(Assessed { assessment, signed: Some(signed), status_key });
    }
    let stated = core.stated.as_deref().unwrap_or_default();
    let assessment = Assessment::from_bytes(stated).map_err(AssessmentError::Payload)?;
    Ok(Assessed { assessment, signed: None, status_key: StatusKey::of_node(id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assessment() -> Assessment {
        let word = |w| Word::parse(w).unwrap();
        Assessment {
            scheme: word("security-assessment"),
            outcome: Outcome::Passed,
            grade: word("important"),
            purposes: [word("train")].into(),
            modalities: [word("visual")].into(),
            streams: Vec::new(),
            issued: Date::parse("2026-04-01").unwrap(),
            valid_from: Date::parse("2026-04-02").unwrap(),
            valid_to: None,
            destinations: Destinations::Only([Country::parse("DE").unwrap()].into()),
            subjects: 4,
            subjects_root: Digest::from_bytes([4; 32]),
        }
    }

    #[test]
    fn payloads_read_back_and_refuse_what_has_no_meaning() {
        assert_eq!(Assessment::from_bytes(&assessment().to_bytes().unwrap()), Ok(assessment()));
        assert!(Assessment { subjects: 3, ..assessment() }.to_bytes().is_err());
        assert!(Assessment { valid_to: Date::parse("2026-04-01"), ..assessment() }.to_bytes().is_err());
    }

    #[test]
    fn subjects_are_padded_and_each_opens_to_the_root() {
        let ids: Vec<NodeId> = (0..5).map(|i| NodeId::new(Digest::from_bytes([i; 32]))).collect();
        let mut counter = 0_u8;
        let random = |out: &mut [u8]| {
            counter += 1;
            out.fill(counter);
        };
        let (leaves, openings) = lay_out_subjects(&ids, random).unwrap();
        assert_eq!(leaves.len(), 8);
        let root = subjects_root(&leaves).unwrap();
        for (id, (salt, index)) in ids.iter().zip(&openings) {
            let proof = tree::prove_leaves(&SUBJECT_TREE, &leaves, &[*index]).unwrap();
            let opened = [(*index, subject_leaf(salt, id))];
            assert_eq!(tree::root_from_leaves(&SUBJECT_TREE, 8, &opened, &proof), Ok(root));
        }
        assert!(lay_out_subjects(&[], |_| ()).is_none());
    }
}
