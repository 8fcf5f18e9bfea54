//! A node with everything that stays private: seed, details, manifest, subjects.
//!
//! The bytes are deterministic CBOR, the same in segments and in draft files.

use griptrace_core::{
    assessment::subject_leaf,
    cbor::{DecodeError, Next, Reader, Record, Writer, decode, encode},
    details::{self, Kept, Salt, Values},
    digest::Digest,
    id::NodeId,
    limits::{CORE_BYTES_MAX, DETAIL_SLOTS, MANIFEST_FILES_MAX, SUBJECTS_MAX, VALUE_BYTES_MAX},
    manifest::{self, FileRecord},
    node::{Core, Kind, node_id},
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
    /// The secret that the details' salts derive from, or what an erasure left of it.
    pub secret: Secret,
    /// The details.
    pub values: Values,
    /// The files, for a Dataset or Model whose files were hashed.
    pub manifest: Option<ManifestRecord>,
    /// The subjects, for an Assessment.
    pub subjects: Option<SubjectsRecord>,
    /// For an Erasure that is being committed: what is left of the node that it erases. It is in no record that was read, and
    /// in no bytes that [`Self::to_bytes`] returns.
    pub remains: Option<Box<Remains>>,
}

/// What the salts of details, or of a manifest's files, come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Secret {
    /// All derive from a seed.
    Seed([u8; 32]),
    /// The seed is gone with what was erased: each salt that is still needed, and for what was erased its leaf.
    Kept(Vec<Kept>),
}

/// What an erasure left of a node: it rests with the Erasure, and takes the place of what stood with the node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remains {
    /// What is kept of the details' seed, and the values, if any detail was erased.
    pub(crate) details: Option<(Vec<Kept>, Values)>,
    /// What is kept of the manifest, if any file was erased.
    pub(crate) manifest: Option<ManifestRecord>,
}

/// The files behind a manifest's root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestRecord {
    /// The secret that the leaves' salts derive from, or what an erasure left of it: an entry for each file of the whole.
    pub secret: Secret,
    /// The files that are known, in bytewise order of their paths.
    pub files: Vec<FileRecord>,
}

impl ManifestRecord {
    /// Returns the root over the leaves; `None` without files, or if what is kept does not belong to them.
    pub fn root(&self) -> Option<Digest> {
        match &self.secret {
            Secret::Seed(seed) => manifest::root(seed, &self.files),
            Secret::Kept(kept) => manifest::root_of_kept(kept, &self.files),
        }
    }

    /// Counts the files of the whole, erased ones included.
    pub fn count(&self) -> u64 {
        match &self.secret {
            Secret::Seed(_) => wide(self.files.len()),
            Secret::Kept(kept) => wide(kept.len()),
        }
    }

    /// Counts the files that were erased.
    pub fn erased(&self) -> u64 {
        self.count().saturating_sub(wide(self.files.len()))
    }
}

impl Secret {
    /// Returns the details root of a node with these values; `None` if what is kept does not belong to them.
    pub fn root(&self, kind: Kind, values: &Values) -> Option<Digest> {
        match self {
            Self::Seed(seed) => Some(details::root(kind, seed, values)),
            Self::Kept(kept) => details::root_of_kept(kind, kept, values),
        }
    }

    /// Opens the present ones among `slots`; `None` if none is.
    pub fn open(&self, kind: Kind, values: &Values, slots: &[u8]) -> Option<details::Opening> {
        match self {
            Self::Seed(seed) => details::open(kind, seed, values, slots),
            Self::Kept(kept) => details::open_kept(kind, kept, values, slots),
        }
    }

    /// Returns the seed, unless it went with what was erased.
    pub const fn seed(&self) -> Option<&[u8; 32]> {
        match self {
            Self::Seed(seed) => Some(seed),
            Self::Kept(_) => None,
        }
    }

    /// Returns the slots that were erased, ascending.
    pub fn erased(&self) -> Vec<u8> {
        let Self::Kept(kept) = self else { return Vec::new() };
        let is_gone = |(_, kept): &(u8, &Kept)| matches!(kept, Kept::Leaf(_));
        (0..DETAIL_SLOTS).zip(kept).filter(is_gone).map(|(slot, _)| slot).collect()
    }

    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Self::Seed(seed) => out.bytes(seed).end(),
            Self::Kept(kept) => write_kept(kept, out),
        }
    }

    fn read(input: &mut Reader<'_>, limit: usize) -> Result<Self, DecodeError> {
        if input.next()? == Next::Array {
            read_kept(input, limit).map(Self::Kept)
        } else {
            input.fixed().map(Self::Seed)
        }
    }
}

fn write_kept(kept: &[Kept], out: &mut Writer<'_>) {
    out.array(kept.len());
    for kept in kept {
        match kept {
            Kept::Salt(salt) => out.bytes(salt),
            Kept::Leaf(leaf) => out.bytes(leaf.as_bytes()),
        };
    }
}

fn read_kept(input: &mut Reader<'_>, limit: usize) -> Result<Vec<Kept>, DecodeError> {
    input.list("salts and leaves", limit, |input| {
        let bytes = input.bytes("bytes of a salt or leaf", 32)?;
        let salt = Salt::try_from(bytes).map(Kept::Salt);
        let leaf = || <[u8; 32]>::try_from(bytes).map(|leaf| Kept::Leaf(Digest::from_bytes(leaf)));
        salt.or_else(|_| leaf())
            .map_err(|_| DecodeError::Field { field: "salt or leaf", why: "has neither 16 nor 32 bytes" })
    })
}

/// Checks that there is one entry a slot, and that no value stands where no salt is kept.
fn check_kept(kept: &[Kept], values: &Values) -> Result<(), DecodeError> {
    let wrong = |why| Err(DecodeError::Field { field: "secret of the details", why });
    if kept.len() != usize::from(DETAIL_SLOTS) {
        return wrong("has not one entry a slot");
    }
    let has_salt = |slot: &u8| matches!(kept.get(usize::from(*slot)), Some(Kept::Salt(_)));
    if values.keys().all(has_salt) { Ok(()) } else { wrong("has a value where no salt is kept") }
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
        Ok(Self { secret: Secret::Seed(seed), ..Self::bare(core, values, manifest, subjects) })
    }

    /// Puts a record together without its secret: with a seed of zeros.
    pub const fn bare(
        core: Vec<u8>,
        values: Values,
        manifest: Option<ManifestRecord>,
        subjects: Option<SubjectsRecord>,
    ) -> Self {
        Self { core, secret: Secret::Seed([0; 32]), values, manifest, subjects, remains: None }
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
    /// details' root, the manifest and the subjects are those that the node binds. Some of it may have been erased.
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
        out.array(5).bytes(&self.core);
        self.secret.write(out);
        write_values(&self.values, out);
    }

    /// Returns what the record's bytes do not exceed.
    pub(crate) fn bytes_max(&self) -> u64 {
        let values = self.values.values().fold(0, |sum: u64, value| sum.saturating_add(wide(value.len())));
        self.attachment_bytes_max().saturating_add(values).saturating_add(wide(self.core.len()))
    }

    /// Returns what the bytes of manifest and subjects do not exceed.
    pub(crate) fn attachment_bytes_max(&self) -> u64 {
        let files = self.manifest.as_ref().map_or(0, ManifestRecord::bytes_max);
        let subjects = self.subjects.iter().map(|s| wide(s.leaves.len().saturating_add(s.openings.len())));
        let subjects = subjects.fold(files, |sum, count| sum.saturating_add(count.saturating_mul(80)));
        let remains = self.remains.as_ref().map_or(0, |remains| remains.bytes_max());
        subjects.saturating_add(remains).saturating_add(256)
    }

    /// Returns the bytes of manifest, subjects and remains, as [`Attachment`] reads them; `None` if there is
    /// none of them.
    pub(crate) fn attachment(&self) -> Option<Vec<u8>> {
        if self.manifest.is_none() && self.subjects.is_none() && self.remains.is_none() {
            return None;
        }
        let mut out = Writer::new();
        out.array(if self.remains.is_some() { 3 } else { 2 });
        write_option(&mut out, self.manifest.as_ref());
        write_option(&mut out, self.subjects.as_ref());
        if let Some(remains) = &self.remains {
            remains.write(&mut out);
        }
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
        let secret = Secret::read(input, usize::from(DETAIL_SLOTS))?;
        let values = read_values(input)?;
        if let Secret::Kept(kept) = &secret {
            check_kept(kept, &values)?;
        }
        Ok(Self { secret, ..Self::bare(core, values, read_option(input)?, read_option(input)?) })
    }
}

fn write_values(values: &Values, out: &mut Writer<'_>) {
    out.map(values.len());
    for (slot, value) in values {
        out.uint((*slot).into()).bytes(value);
    }
}

fn read_values(input: &mut Reader<'_>) -> Result<Values, DecodeError> {
    let mut values = Values::new();
    for _ in 0..input.map("details of a node", usize::from(DETAIL_SLOTS))? {
        let slot = input.uint()?;
        let slot = u8::try_from(slot).ok().filter(|slot| *slot < DETAIL_SLOTS);
        let slot = slot.ok_or(DecodeError::Field { field: "detail slot", why: "is not below 32" })?;
        values.insert(slot, input.bytes("bytes of a detail value", VALUE_BYTES_MAX)?.to_vec());
    }
    Ok(values)
}

impl Remains {
    fn bytes_max(&self) -> u64 {
        let values = self.details.iter().flat_map(|(_, values)| values.values());
        let values = values.fold(2048, |sum: u64, value| sum.saturating_add(wide(value.len())));
        self.manifest.as_ref().map_or(values, |manifest| values.saturating_add(manifest.bytes_max()))
    }
}

impl Record for Remains {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(2);
        match &self.details {
            Some((kept, values)) => {
                out.array(2);
                write_kept(kept, out);
                write_values(values, out);
            }
            None => out.null().end(),
        }
        write_option(out, self.manifest.as_ref());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(2)?;
        let details = if input.next()? == Next::Null {
            input.null().map(|()| None)?
        } else {
            input.tuple(2)?;
            let (kept, values) = (read_kept(input, usize::from(DETAIL_SLOTS))?, read_values(input)?);
            check_kept(&kept, &values)?;
            Some((kept, values))
        };
        Ok(Self { details, manifest: read_option(input)? })
    }
}

impl ManifestRecord {
    fn bytes_max(&self) -> u64 {
        let kept = if let Secret::Kept(kept) = &self.secret { wide(kept.len()).saturating_mul(34) } else { 34 };
        self.files.iter().fold(kept, |sum, file| sum.saturating_add(wide(file.path.len())).saturating_add(128))
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
        out.array(2);
        self.secret.write(out);
        out.array(self.files.len());
        self.files.iter().for_each(|file| file.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(2)?;
        let secret = Secret::read(input, MANIFEST_FILES_MAX)?;
        let files = input.list("files of a manifest", MANIFEST_FILES_MAX, FileRecord::read)?;
        if let Secret::Kept(kept) = &secret {
            let salts = kept.iter().filter(|kept| matches!(kept, Kept::Salt(_))).count();
            if salts != files.len() {
                return Err(DecodeError::Field { field: "manifest", why: "has not as many files as salts" });
            }
        }
        Ok(Self { secret, files })
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
    /// Of an Erasure: what is left of what it erased.
    pub(crate) remains: Option<Remains>,
}

impl Attachment {
    /// Reads an attachment strictly.
    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let members = input.array("members of an attachment", 3)?;
        if members < 2 {
            return Err(DecodeError::Field { field: "attachment", why: "has neither two nor three members" });
        }
        let (manifest, subjects) = (read_option(input)?, read_option(input)?);
        let remains = if members == 3 { Some(Remains::read(input)?) } else { None };
        Ok(Self { manifest, subjects, remains })
    }
}

/// Counts the bytes of a manifest's files.
pub(crate) fn total_bytes(files: &[FileRecord]) -> u64 {
    files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
}

#[cfg(test)]
mod tests {
    use griptrace_core::{assessment::lay_out_subjects, digest::file_digest, id::GenesisHash, node::DigestStrength};

    use super::*;

    fn record() -> NodeRecord {
        let mut core = Core::new(Kind::Model, GenesisHash::new(Digest::ZERO), [0; 16], Digest::ZERO);
        core.strength = Some(DigestStrength::Strong);
        let file = FileRecord { path: b"\xff/x".to_vec(), size: 3, blake3: file_digest(b"abc"), sha256: None };
        let manifest = Some(ManifestRecord { secret: Secret::Seed([4; 32]), files: vec![file] });
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
        assert_eq!((core.nonce, &record.secret), ([7; 16], &Secret::Seed([7; 32])));
        assert_eq!(Some(core.details), record.secret.root(Kind::Model, &record.values));
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

    /// What is left of the record: without detail 0, and without its only file.
    fn left() -> (NodeRecord, Remains) {
        let mut record = record();
        let seed = *record.secret.seed().unwrap();
        let value = record.values.remove(&0).unwrap();
        let mut kept = details::kept(&seed);
        kept[0] = Kept::Leaf(details::leaf(Kind::Model, 0, &details::salt(&seed, 0), Some(&value)));
        let whole = record.manifest.take().unwrap();
        let leaf = manifest::leaf(&manifest::salt(whole.secret.seed().unwrap(), 0), &whole.files[0]);
        let manifest = ManifestRecord { secret: Secret::Kept(vec![Kept::Leaf(leaf)]), files: Vec::new() };
        assert_eq!((manifest.root(), manifest.count(), manifest.erased()), (whole.root(), 1, 1));
        let remains = Remains { details: Some((kept.clone(), Values::new())), manifest: Some(manifest.clone()) };
        record.secret = Secret::Kept(kept);
        record.manifest = Some(manifest);
        (record, remains)
    }

    #[test]
    fn what_is_left_of_a_record_reads_back_and_leads_to_the_same_root() {
        let (left, remains) = left();
        assert_eq!(NodeRecord::from_bytes(&left.to_bytes()), Ok(left.clone()));
        assert_eq!(left.secret.root(Kind::Model, &left.values), Some(left.core().unwrap().details));
        assert_eq!(left.secret.erased(), [0]);
        let erasure = NodeRecord { remains: Some(Box::new(remains.clone())), manifest: None, subjects: None, ..left };
        assert_eq!(NodeRecord::from_bytes(&erasure.to_bytes()).unwrap().remains, None, "they stand in no record");
        let attachment = erasure.attachment().unwrap();
        let read = Attachment::read(&mut Reader::new(&attachment)).unwrap();
        assert_eq!(read, Attachment { manifest: None, subjects: None, remains: Some(remains) });
        assert!(wide(attachment.len()) <= erasure.attachment_bytes_max());
        for end in 0..attachment.len() {
            assert!(Attachment::read(&mut Reader::new(&attachment[..end])).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_is_left_is_read_strictly() {
        let (left, _) = left();
        let refused = |change: &dyn Fn(&mut NodeRecord)| {
            let mut other = left.clone();
            change(&mut other);
            NodeRecord::from_bytes(&other.to_bytes()).unwrap_err();
        };
        let kept = |record: &mut NodeRecord, change: &dyn Fn(&mut Vec<Kept>)| {
            if let Secret::Kept(kept) = &mut record.secret {
                change(kept);
            }
        };
        refused(&|record| kept(record, &|kept| kept.truncate(31)));
        refused(&|record| kept(record, &|kept| kept.push(Kept::Salt([0; 16]))));
        refused(&|record| drop(record.values.insert(0, vec![0x61, b'm'])));
        refused(&|record| record.manifest.as_mut().unwrap().secret = Secret::Kept(vec![Kept::Salt([0; 16])]));
        let mut out = Writer::new();
        out.array(5).bytes(&left.core).array(1).bytes(&[0; 17]).map(0).null().null();
        NodeRecord::from_bytes(&out.into_bytes()).unwrap_err();
    }
}
