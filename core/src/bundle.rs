//! The bundle: the one file with the evidence of a shipment (docs/spec/bundle.md).
//!
//! A file is the magic line, one deterministic CBOR map, and a digest over every byte before it.
//! Nodes have *ordinals*: they are counted through logs, commits and nodes in the order in which
//! they stand. Reading checks form and limits only; what a bundle shows, `griptrace-verifier` says.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{
    cbor::{DecodeError, Reader, Record, Writer, bad_field, decode_with, wide, within},
    details::{Opening, Salt, check_slot},
    digest::{BUNDLE, BUNDLE_ID, Digest},
    id::{NodeId, StatusKey},
    limits::{
        ANCHORS_MAX, BUNDLE_BYTES_MAX, COMMIT_NODES_MAX, CORE_BYTES_MAX, DETAIL_SLOTS, ENTRIES_MAX, ENTRY_BYTES_MAX,
        LOGS_MAX, MANIFEST_FILES_MAX, NODES_MAX, NOTE_BYTES_MAX, PROOF_BYTES_MAX, STATUSES_PER_KEY_MAX, SUBJECTS_MAX,
        VALUE_BYTES_MAX,
    },
    manifest::FileRecord,
    node::keyed,
};

/// The first bytes of every bundle.
pub const MAGIC: &[u8] = b"griptrace bundle v1\n";
/// What a file must begin with to be called a bundle at all; versions may follow.
const MAGIC_STEM: &[u8] = b"griptrace bundle ";
const VERSION: u64 = 1;

/// The evidence for one node, in the logs that it and its ancestry live in.
///
/// Long byte strings are owned or, in a [`BundleView`], lent by the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle<B = Vec<u8>> {
    /// Ordinal of the one root: a Shipment or, for a pre-check, a Model.
    pub root: u64,
    /// Evidence by log. The first is the root's home.
    pub logs: Vec<LogPart<B>>,
    /// Opened subjects of assessments, by ascending ordinal.
    pub openings: Vec<SubjectOpening>,
    /// Opened details, by ascending ordinal.
    pub disclosures: Vec<Disclosure<B>>,
    /// Opened manifests, by ascending ordinal.
    pub manifests: Vec<ManifestOpening>,
}

/// A bundle that borrows from its file's bytes: a verifier holds nothing twice.
pub type BundleView<'a> = Bundle<&'a [u8]>;

/// The evidence out of one log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPart<B = Vec<u8>> {
    /// Entries by ascending leaf index: the genesis, every commit of the closure, every anchor's
    /// status head.
    pub entries: Vec<(u64, B)>,
    /// Proof that the entries are leaves under the last anchor.
    pub inclusion: Vec<Digest>,
    /// Checkpoints by ascending size. The last is what everything is proven against.
    pub anchors: Vec<Anchor<B>>,
    /// The nodes of the closure, by commit, in the order of the entries.
    pub commits: Vec<CommitPart<B>>,
}

/// A checkpoint that dates what it covers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor<B = Vec<u8>> {
    /// The checkpoint as a signed note, cosignatures included.
    pub note: String,
    /// Proof that the next anchor's tree only grew from this one; empty in the last anchor.
    pub consistency: Vec<Digest>,
    /// The statuses under this checkpoint's status head, if judgement is to be made by it.
    pub status: Option<StatusPart<B>>,
}

/// What the status map says of every key of the closure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusPart<B = Vec<u8>> {
    /// The keys that have statuses, by ascending key, with the ids of the statuses in log order.
    pub present: Vec<(StatusKey, Vec<NodeId>)>,
    /// One batch proof for all keys, present and absent.
    pub proof: B,
    /// Keys, ascending, that it answers for beyond those that it has to: signed assessments of the
    /// bundle that live in other logs (Rule R5). None in the first log, which has to answer for all.
    pub further: Vec<StatusKey>,
}

/// Nodes of one commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitPart<B = Vec<u8>> {
    /// Which of the log's entries the commit is.
    pub entry: u64,
    /// Place of each node among the commit's sorted ids, ascending.
    pub places: Vec<u64>,
    /// The cores, in the order of the places.
    pub cores: Vec<B>,
    /// Proof that they stand there.
    pub proof: Vec<Digest>,
}

/// Subjects of one assessment, opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubjectOpening {
    /// Ordinal of the Assessment.
    pub assessment: u64,
    /// Leaf index, ordinal of the subject and its salt, by ascending leaf index.
    pub subjects: Vec<(u64, u64, Salt)>,
    /// Proof that they stand in the assessment's subject tree.
    pub proof: Vec<Digest>,
}

/// Details of one node, opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disclosure<B = Vec<u8>> {
    /// Ordinal of the node.
    pub node: u64,
    /// The opened slots.
    pub opening: Opening<B>,
}

/// A whole manifest, opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestOpening {
    /// Ordinal of the node.
    pub node: u64,
    /// The secret seed of the leaves' salts.
    pub seed: [u8; 32],
    /// The files, in order of their paths.
    pub files: Vec<FileRecord>,
}

/// Why a file could not be read as a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleError {
    /// The file does not begin like a bundle.
    NotABundle,
    /// It begins like one, of a version that this program does not know.
    Version,
    /// It is cut short, or larger than any bundle may be.
    Size {
        /// Bytes found.
        found: usize,
    },
    /// The digest at its end is not that of its bytes.
    Digest {
        /// The digest at the end.
        stated: Digest,
        /// The digest of the bytes.
        computed: Digest,
    },
    /// What is between is malformed.
    Decode(DecodeError),
}

impl BundleError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotABundle => "not-a-bundle",
            Self::Version => "bundle-version",
            Self::Size { .. } => "bundle-size",
            Self::Digest { .. } => "bundle-digest-mismatch",
            Self::Decode(_) => "bundle-malformed",
        }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABundle => f.write_str("the file does not begin like a bundle"),
            Self::Version => f.write_str("the bundle is of a version that this program does not know"),
            Self::Size { found } => {
                write!(f, "{found} bytes: cut short, or over the limit of {BUNDLE_BYTES_MAX}")
            }
            Self::Digest { stated, computed } => {
                write!(f, "the digest at the end is {stated}, that of the bytes {computed}")
            }
            Self::Decode(error) => write!(f, "the bundle is malformed: {error}"),
        }
    }
}

impl core::error::Error for BundleError {}

/// Returns the digest that reports name a bundle by, over its whole file.
pub fn bundle_digest(file: &[u8]) -> Digest {
    BUNDLE_ID.hash(file)
}

impl Bundle {
    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::after(MAGIC.to_vec());
        self.write(&mut out);
        let mut file = out.into_bytes();
        let digest = BUNDLE.hash(&file);
        file.extend_from_slice(digest.as_bytes());
        file
    }

    /// Reads a file strictly.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn from_bytes(file: &[u8]) -> Result<Self, BundleError> {
        read_file(file)
    }
}

impl<'a> BundleView<'a> {
    /// Reads a file strictly, as [`Bundle::from_bytes`] does, and borrows from it.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn view(file: &'a [u8]) -> Result<Self, BundleError> {
        read_file(file)
    }
}

pub(crate) fn read_file<'a, B: Bytes<'a>>(file: &'a [u8]) -> Result<Bundle<B>, BundleError> {
    let Some(body) = file.strip_prefix(MAGIC) else {
        let known = file.starts_with(MAGIC_STEM);
        return Err(if known { BundleError::Version } else { BundleError::NotABundle });
    };
    if file.len() > BUNDLE_BYTES_MAX {
        return Err(BundleError::Size { found: file.len() });
    }
    let Some((map, stated)) = body.split_last_chunk::<32>() else {
        return Err(BundleError::Size { found: file.len() });
    };
    let stated = Digest::from_bytes(*stated);
    let computed = BUNDLE.hash_parts(&[MAGIC, map]);
    if stated != computed {
        return Err(BundleError::Digest { stated, computed });
    }
    decode_with(map, Bundle::read, Bundle::write).map_err(BundleError::Decode)
}

/// Bytes that are owned, or lent by the file.
pub trait Bytes<'a>: AsRef<[u8]> + From<&'a [u8]> {}

impl<'a, B: AsRef<[u8]> + From<&'a [u8]>> Bytes<'a> for B {}

impl<'a, B: Bytes<'a>> Bundle<B> {
    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if input.map("fields of a bundle", 6)? != 6 || keyed(input, 0, Reader::uint)? != VERSION {
            return Err(bad_field("bundle", "is of no version that this version knows"));
        }
        Ok(Self {
            root: keyed(input, 1, Reader::uint)?,
            logs: keyed(input, 2, |i| i.list("logs of a bundle", LOGS_MAX, LogPart::read))?,
            openings: keyed(input, 3, |i| i.list("opened assessments", NODES_MAX, SubjectOpening::read))?,
            disclosures: keyed(input, 4, |i| i.list("disclosures", NODES_MAX, Disclosure::read))?,
            manifests: keyed(input, 5, |i| i.list("opened manifests", NODES_MAX, ManifestOpening::read))?,
        })
    }
}

impl<B: AsRef<[u8]>> Bundle<B> {
    fn write(&self, out: &mut Writer<'_>) {
        out.map(6).uint(0).uint(VERSION).uint(1).uint(self.root).uint(2).array(self.logs.len());
        self.logs.iter().for_each(|log| log.write(out));
        out.uint(3).array(self.openings.len());
        self.openings.iter().for_each(|opening| opening.write(out));
        out.uint(4).array(self.disclosures.len());
        self.disclosures.iter().for_each(|disclosure| disclosure.write(out));
        out.uint(5).array(self.manifests.len());
        self.manifests.iter().for_each(|manifest| manifest.write(out));
    }
}

/// Writes hashes as one byte string.
fn write_hashes(out: &mut Writer<'_>, hashes: &[Digest]) {
    let mut bytes = Vec::new();
    hashes.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
    out.bytes(&bytes);
}

fn read_hashes(input: &mut Reader<'_>) -> Result<Vec<Digest>, DecodeError> {
    let bytes = input.bytes("bytes of a proof", PROOF_BYTES_MAX)?;
    if bytes.len() % 32 != 0 {
        return Err(bad_field("proof", "is not a whole number of 32-byte hashes"));
    }
    Ok(bytes.chunks_exact(32).filter_map(Digest::from_slice).collect())
}

impl<B: AsRef<[u8]>> LogPart<B> {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(4).array(self.entries.len());
        for (index, entry) in &self.entries {
            out.array(2).uint(*index).bytes(entry.as_ref());
        }
        write_hashes(out, &self.inclusion);
        out.array(self.anchors.len());
        self.anchors.iter().for_each(|anchor| anchor.write(out));
        out.array(self.commits.len());
        self.commits.iter().for_each(|commit| commit.write(out));
    }
}

impl<'a, B: Bytes<'a>> LogPart<B> {
    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.tuple(4)?;
        Ok(Self {
            entries: input.list("entries of a log", ENTRIES_MAX, |i| {
                i.tuple(2)?;
                Ok((i.uint()?, i.bytes("bytes of a log entry", ENTRY_BYTES_MAX)?.into()))
            })?,
            inclusion: read_hashes(input)?,
            anchors: input.list("anchors of a log", ANCHORS_MAX, Anchor::read)?,
            commits: input.list("commits of a log", ENTRIES_MAX, CommitPart::read)?,
        })
    }
}

impl<B: AsRef<[u8]>> Anchor<B> {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(3).text(&self.note);
        write_hashes(out, &self.consistency);
        match &self.status {
            Some(status) => status.write(out),
            None => out.null().end(),
        }
    }
}

impl<'a, B: Bytes<'a>> Anchor<B> {
    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.tuple(3)?;
        let note = input.text("bytes of a note", NOTE_BYTES_MAX)?.into();
        let consistency = read_hashes(input)?;
        let status = if input.next()? == crate::cbor::Next::Null {
            input.null().map(|()| None)?
        } else {
            Some(StatusPart::read(input)?)
        };
        Ok(Self { note, consistency, status })
    }
}

impl<B: AsRef<[u8]>> StatusPart<B> {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(3).array(self.present.len());
        for (key, ids) in &self.present {
            out.array(2).bytes(key.as_bytes()).array(ids.len());
            ids.iter().for_each(|id| out.bytes(id.as_bytes()).end());
        }
        out.bytes(self.proof.as_ref()).array(self.further.len());
        self.further.iter().for_each(|key| out.bytes(key.as_bytes()).end());
    }
}

impl<'a, B: Bytes<'a>> StatusPart<B> {
    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.tuple(3)?;
        let present = input.list("keys with statuses", NODES_MAX, |i| {
            i.tuple(2)?;
            let key = StatusKey::new(i.digest()?);
            Ok((key, i.list("statuses of a key", STATUSES_PER_KEY_MAX, |i| i.digest().map(NodeId::new))?))
        })?;
        Ok(Self {
            present,
            proof: input.bytes("bytes of a status proof", PROOF_BYTES_MAX)?.into(),
            further: input.list("further keys of a status part", NODES_MAX, |i| i.digest().map(StatusKey::new))?,
        })
    }
}

impl<B: AsRef<[u8]>> CommitPart<B> {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(4).uint(self.entry).array(self.places.len());
        self.places.iter().for_each(|place| out.uint(*place).end());
        out.array(self.cores.len());
        self.cores.iter().for_each(|core| out.bytes(core.as_ref()).end());
        write_hashes(out, &self.proof);
    }
}

impl<'a, B: Bytes<'a>> CommitPart<B> {
    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.tuple(4)?;
        let entry = input.uint()?;
        let places = input.list("nodes of a commit", COMMIT_NODES_MAX, Reader::uint)?;
        let cores = input
            .list("nodes of a commit", COMMIT_NODES_MAX, |i| i.bytes("bytes of a core", CORE_BYTES_MAX).map(B::from))?;
        Ok(Self { entry, places, cores, proof: read_hashes(input)? })
    }
}

impl Record for SubjectOpening {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(3).uint(self.assessment).array(self.subjects.len());
        for (index, node, salt) in &self.subjects {
            out.array(3).uint(*index).uint(*node).bytes(salt);
        }
        write_hashes(out, &self.proof);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(3)?;
        let assessment = input.uint()?;
        let limit = usize::try_from(SUBJECTS_MAX).unwrap_or(usize::MAX);
        let subjects = input.list("opened subjects", limit, |i| {
            i.tuple(3)?;
            Ok((i.uint()?, i.uint()?, i.fixed()?))
        })?;
        Ok(Self { assessment, subjects, proof: read_hashes(input)? })
    }
}

impl<B: AsRef<[u8]>> Disclosure<B> {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(3).uint(self.node).array(self.opening.slots.len());
        for (slot, salt, value) in &self.opening.slots {
            out.array(3).uint((*slot).into()).bytes(salt).bytes(value.as_ref());
        }
        write_hashes(out, &self.opening.proof);
    }
}

impl<'a, B: Bytes<'a>> Disclosure<B> {
    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.tuple(3)?;
        let node = input.uint()?;
        let slots = input.list("opened details", usize::from(DETAIL_SLOTS), |i| {
            i.tuple(3)?;
            let slot = check_slot(i.uint()?)?;
            Ok((slot, i.fixed()?, i.bytes("bytes of a detail value", VALUE_BYTES_MAX)?.into()))
        })?;
        Ok(Self { node, opening: Opening { slots, proof: read_hashes(input)? } })
    }
}

impl Record for ManifestOpening {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(3).uint(self.node).bytes(&self.seed).array(self.files.len());
        self.files.iter().for_each(|file| file.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(3)?;
        let (node, seed) = (input.uint()?, input.fixed()?);
        Ok(Self { node, seed, files: input.list("files of a manifest", MANIFEST_FILES_MAX, FileRecord::read)? })
    }
}

impl<B> Bundle<B> {
    /// Counts the nodes of all logs.
    ///
    /// # Errors
    /// `Limit` beyond [`NODES_MAX`].
    pub fn node_count(&self) -> Result<u64, DecodeError> {
        let count =
            self.logs.iter().flat_map(|log| &log.commits).map(|part| part.cores.len()).fold(0, usize::saturating_add);
        within("nodes of a bundle", count, NODES_MAX)?;
        Ok(wide(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let digest = Digest::from_bytes([7; 32]);
        let status = StatusPart {
            present: [(StatusKey::new(digest), [NodeId::new(digest)].into())].into(),
            proof: [1].into(),
            further: [StatusKey::new(digest)].into(),
        };
        let anchor = Anchor { note: "note".into(), consistency: Vec::new(), status: Some(status) };
        let part = CommitPart { entry: 1, places: [0].into(), cores: [[1, 2].into()].into(), proof: [digest].into() };
        let log = LogPart {
            entries: [(0, [1].into()), (4, [2, 3].into())].into(),
            inclusion: [digest].into(),
            anchors: [anchor].into(),
            commits: [part].into(),
        };
        let opening = Opening { slots: [(3, [1; 16], [4].into())].into(), proof: Vec::new() };
        Bundle {
            root: 0,
            logs: [log].into(),
            openings: [SubjectOpening { assessment: 1, subjects: [(0, 2, [9; 16])].into(), proof: Vec::new() }].into(),
            disclosures: [Disclosure { node: 0, opening }].into(),
            manifests: [ManifestOpening { node: 0, seed: [2; 32], files: Vec::new() }].into(),
        }
    }

    #[test]
    fn a_bundle_reads_back_as_written() {
        assert_eq!(Bundle::from_bytes(&bundle().to_bytes()), Ok(bundle()));
    }

    /// Under a digest of its own each change reaches the reader, which lends or copies the same.
    #[test]
    fn a_view_reads_what_a_copy_reads() {
        let file = bundle().to_bytes();
        let body = &file[..file.len() - 32];
        let (mut accepted, mut refused) = (0, 0);
        for at in MAGIC.len()..body.len() {
            for byte in [0, 1, 0x17, 0x18, 0x40, 0x58, 0x80, 0x98, 0x9f, 0xf6, body[at] ^ 1, body[at].wrapping_add(1)] {
                let mut other = body.to_vec();
                other[at] = byte;
                let digest = BUNDLE.hash(&other);
                other.extend_from_slice(digest.as_bytes());
                let (copy, view) = (Bundle::from_bytes(&other), BundleView::view(&other));
                match (copy, view) {
                    (Ok(copy), Ok(view)) => {
                        assert_eq!(copy.to_bytes(), other);
                        assert_eq!(alloc::format!("{view:?}"), alloc::format!("{copy:?}"));
                        accepted += 1;
                    }
                    (Err(copy), Err(view)) => {
                        assert_eq!(copy, view);
                        refused += 1;
                    }
                    (copy, view) => panic!("{copy:?} {view:?}"),
                }
            }
        }
        assert!(accepted > 100 && refused > 100, "{accepted} {refused}");
    }

    #[test]
    fn every_flip_truncation_and_addition_is_refused() {
        let file = bundle().to_bytes();
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 0x01;
            assert!(Bundle::from_bytes(&flipped).is_err(), "byte {at}");
            assert!(Bundle::from_bytes(&file[..at]).is_err(), "cut at {at}");
        }
        let mut longer = file;
        longer.push(0);
        assert_eq!(Bundle::from_bytes(&longer).unwrap_err().code(), "bundle-digest-mismatch");
    }

    #[test]
    fn claimed_counts_cost_no_memory() {
        // An array that claims four billion logs.
        let mut body = MAGIC.to_vec();
        body.extend_from_slice(&[0xa6, 0, 1, 1, 0, 2, 0x9a, 0xff, 0xff, 0xff, 0xff]);
        let digest = BUNDLE.hash(&body);
        body.extend_from_slice(digest.as_bytes());
        assert_eq!(Bundle::from_bytes(&body).unwrap_err().code(), "bundle-malformed");
    }
}
