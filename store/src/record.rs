//! A node with everything that stays private: seed, details, manifest, subjects.
//!
//! The bytes are deterministic CBOR, the same in segments and in draft files.

use griptrace_core::{
    assessment::subject_leaf,
    cbor::{DecodeError, Next, Reader, Record, Writer, decode, encode},
    details::{self, Salt, Values},
    digest::Digest,
    id::NodeId,
    limits::{CORE_BYTES_MAX, DETAIL_SLOTS, MANIFEST_FILES_MAX, SUBJECTS_MAX, VALUE_BYTES_MAX},
    manifest::FileRecord,
    node::{Core, node_id},
};

use crate::{
    error::Refusal,
    number::{narrow, wide},
    validate::check_alone,
};

/// A node: its core, and what is kept of it in private.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeRecord {
    /// The core's bytes, whose hash is the id.
    pub core: Vec<u8>,
    /// The secret that the details' salts derive from.
    pub seed: [u8; 32],
    /// The details.
    pub values: Values,
    /// The files, for a Dataset or Model whose files were hashed.
    pub manifest: Option<ManifestRecord>,
    /// The subjects, for an Assessment.
    pub subjects: Option<SubjectsRecord>,
}

/// The files behind a manifest's root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestRecord {
    /// The secret that the leaves' salts derive from.
    pub seed: [u8; 32],
    /// The files, in bytewise order of their paths.
    pub files: Vec<FileRecord>,
}

/// The subject tree of an assessment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubjectsRecord {
    /// All leaves, decoys included, sorted.
    pub leaves: Vec<Digest>,
    /// Subjects that can be opened: id, salt, leaf index.
    pub openings: Vec<(NodeId, Salt, u64)>,
}

/// Why a record could not be read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The core, or the record around it.
    #[error("the node cannot be read or written: {0}")]
    Decode(DecodeError),
}

impl NodeRecord {
    /// Makes a node: fills in the core's nonce and details root, and a fresh seed, from `random`.
    ///
    /// # Errors
    /// `Decode` with what a reader of the core would refuse.
    pub fn build(
        mut core: Core,
        values: Values,
        manifest: Option<ManifestRecord>,
        subjects: Option<SubjectsRecord>,
        mut random: impl FnMut(&mut [u8]),
    ) -> Result<Self, RecordError> {
        let mut seed = [0; 32];
        random(&mut core.nonce);
        random(&mut seed);
        core.details = details::root(core.kind, &seed, &values);
        let core = core.to_bytes().map_err(RecordError::Decode)?;
        Ok(Self { core, seed, values, manifest, subjects })
    }

    /// Returns the node's id.
    pub fn id(&self) -> NodeId {
        node_id(&self.core)
    }

    /// Reads the core strictly.
    ///
    /// # Errors
    /// `Decode`.
    pub fn core(&self) -> Result<Core, RecordError> {
        Core::from_bytes(&self.core).map_err(RecordError::Decode)
    }

    /// Checks all that can be checked of a record alone: that core and details are read strictly, that the
    /// details' root, the manifest and the subjects are those that the node binds.
    ///
    /// # Errors
    /// [`Refusal`], as a commit of it would be refused.
    pub fn check(&self) -> Result<(), Refusal> {
        check_alone(self)
    }

    /// Returns the record's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Returns the record's bytes without manifest and subjects.
    pub(crate) fn to_bytes_alone(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.write_alone(&mut out);
        out.null().null();
        out.into_bytes()
    }

    fn write_alone(&self, out: &mut Writer<'_>) {
        out.array(5).bytes(&self.core).bytes(&self.seed).map(self.values.len());
        for (slot, value) in &self.values {
            out.uint((*slot).into()).bytes(value);
        }
    }

    /// Returns what the record's bytes do not exceed.
    pub(crate) fn bytes_max(&self) -> u64 {
        let values = self.values.values().fold(0, |sum: u64, value| sum.saturating_add(wide(value.len())));
        self.attachment_bytes_max().saturating_add(values).saturating_add(wide(self.core.len()))
    }

    /// Returns what the bytes of manifest and subjects do not exceed.
    pub(crate) fn attachment_bytes_max(&self) -> u64 {
        let files = self.manifest.iter().flat_map(|manifest| &manifest.files);
        let files = files.fold(0, |sum: u64, file| sum.saturating_add(wide(file.path.len())).saturating_add(128));
        let subjects = self.subjects.iter().map(|s| wide(s.leaves.len().saturating_add(s.openings.len())));
        subjects.fold(files, |sum, count| sum.saturating_add(count.saturating_mul(80))).saturating_add(256)
    }

    /// Returns the bytes of manifest and subjects, as [`Attachment`] reads them; `None` if there is
    /// neither.
    pub(crate) fn attachment(&self) -> Option<Vec<u8>> {
        if self.manifest.is_none() && self.subjects.is_none() {
            return None;
        }
        let mut out = Writer::new();
        out.array(2);
        write_option(&mut out, self.manifest.as_ref());
        write_option(&mut out, self.subjects.as_ref());
        Some(out.into_bytes())
    }

    /// Reads a record strictly. The core inside is not looked into.
    ///
    /// # Errors
    /// `Decode`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        decode(bytes).map_err(RecordError::Decode)
    }
}

impl SubjectsRecord {
    /// Tells why the openings are not those of the leaves, if so.
    pub(crate) fn fault(&self) -> Option<String> {
        let mut seen = std::collections::BTreeSet::new();
        for (id, salt, index) in &self.openings {
            if self.leaves.get(narrow(*index)) != Some(&subject_leaf(salt, id)) {
                return Some(format!("{id} does not stand at leaf {index} with its salt"));
            }
            if !seen.insert(id) {
                return Some(format!("{id} can be opened twice"));
            }
        }
        None
    }
}

/// Returns the core in a record's bytes, and looks at nothing else.
pub(crate) fn core_bytes(record: &[u8]) -> Result<&[u8], DecodeError> {
    let mut input = Reader::new(record);
    input.tuple(5)?;
    input.bytes("bytes of a core", CORE_BYTES_MAX)
}

impl Record for NodeRecord {
    fn write(&self, out: &mut Writer<'_>) {
        self.write_alone(out);
        write_option(out, self.manifest.as_ref());
        write_option(out, self.subjects.as_ref());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(5)?;
        let core = input.bytes("bytes of a core", CORE_BYTES_MAX)?.to_vec();
        let seed = input.fixed()?;
        let mut values = Values::new();
        for _ in 0..input.map("details of a node", usize::from(DETAIL_SLOTS))? {
            let slot = input.uint()?;
            let slot = u8::try_from(slot).ok().filter(|slot| *slot < DETAIL_SLOTS);
            let slot = slot.ok_or(DecodeError::Field { field: "detail slot", why: "is not below 32" })?;
            values.insert(slot, input.bytes("bytes of a detail value", VALUE_BYTES_MAX)?.to_vec());
        }
        Ok(Self { core, seed, values, manifest: read_option(input)?, subjects: read_option(input)? })
    }
}

fn write_option<T: Record>(out: &mut Writer<'_>, item: Option<&T>) {
    match item {
        Some(item) => item.write(out),
        None => out.null().end(),
    }
}

fn read_option<T: Record>(input: &mut Reader<'_>) -> Result<Option<T>, DecodeError> {
    if input.next()? == Next::Null { input.null().map(|()| None) } else { T::read(input).map(Some) }
}

impl Record for ManifestRecord {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(2).bytes(&self.seed).array(self.files.len());
        self.files.iter().for_each(|file| file.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(2)?;
        let seed = input.fixed()?;
        Ok(Self { seed, files: input.list("files of a manifest", MANIFEST_FILES_MAX, FileRecord::read)? })
    }
}

impl Record for SubjectsRecord {
    fn write(&self, out: &mut Writer<'_>) {
        let leaves: Vec<u8> = self.leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
        out.array(2).bytes(&leaves).array(self.openings.len());
        for (id, salt, index) in &self.openings {
            out.array(3).bytes(id.as_bytes()).bytes(salt).uint(*index);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(2)?;
        let limit = narrow(SUBJECTS_MAX);
        let bytes = input.bytes("bytes of subjects", limit.saturating_mul(32))?;
        let (leaves, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(DecodeError::Field { field: "subjects", why: "is not a whole number of 32-byte hashes" });
        }
        let leaves = leaves.iter().map(|leaf| Digest::from_bytes(*leaf)).collect();
        let openings = input.list("openings of subjects", limit, |i| {
            i.tuple(3)?;
            Ok((NodeId::new(i.digest()?), i.fixed()?, i.uint()?))
        })?;
        Ok(Self { leaves, openings })
    }
}

/// The larger parts of a record, kept apart in a segment so that reading a core need not read them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Attachment {
    pub(crate) manifest: Option<ManifestRecord>,
    pub(crate) subjects: Option<SubjectsRecord>,
}

impl Record for Attachment {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(2);
        write_option(out, self.manifest.as_ref());
        write_option(out, self.subjects.as_ref());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(2)?;
        Ok(Self { manifest: read_option(input)?, subjects: read_option(input)? })
    }
}

/// Counts the bytes of a manifest's files.
pub(crate) fn total_bytes(files: &[FileRecord]) -> u64 {
    files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
}

/// Counts the files of a manifest.
pub(crate) fn file_count(files: &[FileRecord]) -> u64 {
    wide(files.len())
}

#[cfg(test)]
mod tests {
    use griptrace_core::{
        assessment::lay_out_subjects,
        digest::file_digest,
        id::GenesisHash,
        node::{DigestStrength, Kind},
    };

    use super::*;

    fn record() -> NodeRecord {
        let mut core = Core::new(Kind::Model, GenesisHash::new(Digest::ZERO), [0; 16], Digest::ZERO);
        core.strength = Some(DigestStrength::Strong);
        let file = FileRecord { path: b"\xff/x".to_vec(), size: 3, blake3: file_digest(b"abc"), sha256: None };
        let manifest = Some(ManifestRecord { seed: [4; 32], files: vec![file] });
        let id = NodeId::new(Digest::from_bytes([9; 32]));
        let (leaves, openings) = lay_out_subjects(&[id], |out| out.fill(5)).unwrap();
        let openings = openings.into_iter().map(|(salt, index)| (id, salt, index)).collect();
        let values = [(0, vec![0x61, b'm'])].into();
        let subjects = Some(SubjectsRecord { leaves, openings });
        NodeRecord::build(core, values, manifest, subjects, |out| out.fill(7)).unwrap()
    }

    #[test]
    fn a_record_reads_back_as_written() {
        let record = record();
        assert_eq!(NodeRecord::from_bytes(&record.to_bytes()), Ok(record.clone()));
        let core = record.core().unwrap();
        assert_eq!((core.nonce, record.seed), ([7; 16], [7; 32]));
        assert_eq!(core.details, details::root(Kind::Model, &record.seed, &record.values));
        assert_eq!(record.subjects.as_ref().unwrap().fault(), None);
    }

    #[test]
    fn anything_else_is_refused() {
        let bytes = record().to_bytes();
        for end in 0..bytes.len() {
            assert!(NodeRecord::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(NodeRecord::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "a byte too many");
        let mut out = Writer::new();
        out.array(5).bytes(b"core").bytes(&[0; 32]).map(2).uint(3).bytes(b"").uint(1).bytes(b"").null().null();
        assert!(NodeRecord::from_bytes(&out.into_bytes()).is_err(), "details out of order");
    }
}
