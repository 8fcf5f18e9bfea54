//! What was signed: the checkpoints.
//!
//! `head` holds the newest checkpoint, durable before anybody is told of what it covers: without it
//! nobody could tell a log that lost its end from one that never had it. It has two slots that are
//! written in turn, so that a torn write leaves the older one. `checkpoint` is the copy for the
//! world; older checkpoints stand in the segments, each before the group that follows it.

use std::sync::Arc;

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    note::{Note, NoteSigner},
};

use crate::{
    bucket::Bucket,
    cosigned,
    disk::DiskFile,
    error::StorageError,
    lease::{Lease, SharedHead},
    log_keys::LogKeys,
    number::{narrow, wide},
    objects::Objects,
    seen,
};

pub(crate) const HEAD: &str = "head";
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// Bytes of a slot: slots are in different pages of the disk.
const SLOT_BYTES: usize = 4096;
const SLOT_HEAD_BYTES: usize = 36;

/// Size and root of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Digest,
}

/// A checkpoint whose signature was verified, and where it was found.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) object: &'static str,
    pub(crate) head: Head,
    pub(crate) note: String,
}

/// Verifies checkpoints of one log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature<'a> {
    pub(crate) keys: &'a LogKeys,
}

impl Signature<'_> {
    /// Reads a checkpoint that stands in an object, and verifies the log's signature.
    pub(crate) fn read(self, object: &str, bytes: &[u8]) -> Result<(Head, String), StorageError> {
        let bad = |why: &dyn core::fmt::Display| StorageError::corrupt(object, why);
        let note = Note::parse(bytes).map_err(|e| bad(&e))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|e| bad(&e))?;
        let origin = self.keys.origin();
        if checkpoint.origin != origin {
            return Err(bad(&format!("it is of log {}, and this is {origin}", checkpoint.origin)));
        }
        let verifier = self.keys.verifier(checkpoint.size).ok_or_else(|| bad(&"the log has no key"))?;
        if note.verify(core::slice::from_ref(verifier)).map_err(|e| bad(&e))?.is_empty() {
            let size = checkpoint.size;
            return Err(bad(&format!("it is not signed by the log's key at size {size}, {}", verifier.to_vkey())));
        }
        Ok((Head { size: checkpoint.size, root: checkpoint.root }, note.to_text()))
    }

    /// Reads the copy for the world; `None` if there is none.
    pub(crate) fn published(self, objects: &Objects) -> Result<Option<Signed>, StorageError> {
        let Some(bytes) = objects.read(CHECKPOINT)? else { return Ok(None) };
        let (head, note) = self.read(CHECKPOINT, &bytes)?;
        Ok(Some(Signed { object: CHECKPOINT, head, note }))
    }

    /// Reads the slots of the head: for each what it holds, nothing, or why it can't be read.
    pub(crate) fn slots(self, objects: &Objects) -> Result<[Slot; 2], StorageError> {
        if let Some(bucket) = objects.bucket() {
            return Ok([self.shared(objects, &**bucket)?, Slot::Empty]);
        }
        let bytes = objects.read(HEAD)?.unwrap_or_default();
        let slot = |at: usize| self.slot(bytes.get(at..).unwrap_or_default());
        let whole = SLOT_BYTES.saturating_mul(2);
        if bytes.len() == whole || bytes.is_empty() {
            return Ok([slot(0), slot(SLOT_BYTES)]);
        }
        let why = format!("it has {} bytes, and {whole} were written", bytes.len());
        let bad = || Slot::Bad(StorageError::corrupt(HEAD, &why));
        match slot(0) {
            Slot::Empty => Ok([bad(), slot(SLOT_BYTES)]),
            first @ (Slot::Signed(_) | Slot::Bad(_)) => Ok([first, bad()]),
        }
    }

    /// Reads the checkpoint in the head of a bucket.
    fn shared(self, objects: &Objects, bucket: &dyn Bucket) -> Result<Slot, StorageError> {
        match SharedHead::read(objects, bucket) {
            Ok(None) => Ok(Slot::Empty),
            Ok(Some((head, _))) if head.note.is_empty() => Ok(Slot::Empty),
            Ok(Some((head, _))) => Ok(match self.read(HEAD, head.note.as_bytes()) {
                Ok((head, note)) => Slot::Signed(Signed { object: HEAD, head, note }),
                Err(error) => Slot::Bad(error),
            }),
            Err(error @ StorageError::Corrupt { .. }) => Ok(Slot::Bad(error)),
            Err(error) => Err(error),
        }
    }

    /// Reads a slot.
    pub(crate) fn slot(self, bytes: &[u8]) -> Slot {
        let bytes = bytes.get(..SLOT_BYTES.min(bytes.len())).unwrap_or_default();
        if bytes.iter().all(|byte| *byte == 0) {
            return Slot::Empty;
        }
        let bad = |why: &str| Slot::Bad(StorageError::corrupt(HEAD, why));
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return bad("it is cut short") };
        let Some((sum, rest)) = rest.split_first_chunk::<32>() else { return bad("it is cut short") };
        let Some(note) = rest.get(..narrow(u32::from_le_bytes(*length).into())) else {
            return bad("a slot holds no whole checkpoint");
        };
        if blake3::hash(note).as_bytes() != sum {
            return bad("a slot has another checksum than its bytes");
        }
        match self.read(HEAD, note) {
            Ok((head, note)) => Slot::Signed(Signed { object: HEAD, head, note }),
            Err(error) => Slot::Bad(error),
        }
    }

    /// Returns the largest size that anything here tells of, signed or not; `None` if there is nothing.
    ///
    /// # Errors
    /// `Corrupt` for anything that can't be read: it may tell of more.
    pub(crate) fn told(self, objects: &Objects) -> Result<Option<u64>, StorageError> {
        let mut told = cosigned::newest(self, objects)?.map(|signed| signed.head.size);
        for slot in self.slots(objects)? {
            match slot {
                Slot::Signed(signed) => told = told.max(Some(signed.head.size)),
                Slot::Bad(error) => return Err(error),
                Slot::Empty => {}
            }
        }
        told = told.max(self.published(objects)?.map(|signed| signed.head.size));
        Ok(told.max(SharedHead::size(objects)?))
    }

    /// Returns all checkpoints that `head`, `checkpoint` and `cosigned` hold, and the one that this machine saw last, the newest last. What is damaged
    /// there is passed over as long as anything is left.
    pub(crate) fn all(self, objects: &Objects) -> Result<Vec<Signed>, StorageError> {
        let (mut found, mut bad) = (Vec::new(), None);
        // First, so that of the same size the head is the last.
        match cosigned::newest(self, objects) {
            Ok(newest) => found.extend(newest),
            Err(error @ StorageError::Corrupt { .. }) => bad = Some(error),
            Err(error) => return Err(error),
        }
        match seen::newest(objects, self) {
            Ok(seen) => found.extend(seen),
            Err(error @ StorageError::Corrupt { .. }) => bad = bad.or(Some(error)),
            Err(error) => return Err(error),
        }
        for slot in self.slots(objects)? {
            match slot {
                Slot::Signed(signed) => found.push(signed),
                Slot::Bad(error) => bad = Some(error),
                Slot::Empty => {}
            }
        }
        match self.published(objects) {
            Ok(published) => found.extend(published),
            Err(error @ StorageError::Corrupt { .. }) => bad = bad.or(Some(error)),
            Err(error) => return Err(error),
        }
        found.sort_by_key(|signed| signed.head.size);
        match (found.is_empty(), bad) {
            (true, Some(error)) => Err(error),
            (true, None) => Err(StorageError::corrupt(HEAD, "it is missing, and so is the checkpoint; restore it")),
            (false, _) => Ok(found),
        }
    }
}

/// What a slot of the head holds.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Nothing yet.
    Empty,
    /// A checkpoint.
    Signed(Signed),
    /// Something that was torn or damaged.
    Bad(StorageError),
}

/// The head, open for writing.
#[derive(Debug)]
pub(crate) enum HeadFile {
    /// The slots, in a folder.
    Slots {
        file: Arc<dyn DiskFile>,
        /// The slot that is written next.
        next: usize,
    },
    /// The object that moves by compare-and-swap, in a bucket.
    Shared(Arc<Lease>),
}

impl HeadFile {
    /// Makes the head of a new log, or one that was lost, with its first checkpoint.
    pub(crate) fn create(objects: &Objects, note: &str) -> Result<Self, StorageError> {
        let mut bytes = slot_bytes(note)?;
        bytes.resize(SLOT_BYTES.saturating_mul(2), 0);
        objects.put(HEAD, &bytes)?;
        Self::open(objects, 1)
    }

    /// Opens the head to write this slot next.
    pub(crate) fn open(objects: &Objects, next: usize) -> Result<Self, StorageError> {
        let gone = || StorageError::corrupt(HEAD, "it is gone again");
        Ok(Self::Slots { file: objects.open_for_writing(HEAD)?.ok_or_else(gone)?, next })
    }

    /// Moves the head by compare-and-swap, before anything is signed (Rule R11). In a folder the lock, and the
    /// end of the last segment, have done it.
    pub(crate) fn advance(&self, objects: &Objects, head: Head) -> Result<(), StorageError> {
        match self {
            Self::Slots { .. } => Ok(()),
            Self::Shared(lease) => lease.advance(objects, head),
        }
    }

    /// Writes a checkpoint, durably; in a bucket it goes with the next move, since what was moved can be signed again.
    pub(crate) fn write(&mut self, objects: &Objects, note: &str) -> Result<(), StorageError> {
        match self {
            Self::Slots { file, next } => {
                let offset = wide(next.saturating_mul(SLOT_BYTES));
                let bytes = slot_bytes(note)?;
                file.write_at(&bytes, offset).and_then(|()| file.sync()).map_err(objects.failed("write", HEAD))?;
                *next = 1_usize.saturating_sub(*next);
            }
            Self::Shared(lease) => lease.keep(note),
        }
        Ok(())
    }
}

/// Returns the bytes of a slot.
pub(crate) fn slot_bytes(note: &str) -> Result<Vec<u8>, StorageError> {
    let length = u32::try_from(note.len()).unwrap_or(u32::MAX);
    let mut bytes =
        [&length.to_le_bytes(), blake3::hash(note.as_bytes()).as_bytes().as_slice(), note.as_bytes()].concat();
    if bytes.len() > SLOT_BYTES {
        let room = SLOT_BYTES.saturating_sub(SLOT_HEAD_BYTES);
        return Err(StorageError::corrupt(
            HEAD,
            format!("a checkpoint of {length} bytes, and there is room for {room}"),
        ));
    }
    // The whole slot, so that nothing of an older, longer checkpoint stays.
    bytes.resize(SLOT_BYTES, 0);
    Ok(bytes)
}

#[cfg(test)]
thread_local! {
    /// What this thread signed, for tests to see: also what nobody was told of.
    pub(crate) static SIGNED: core::cell::RefCell<Vec<Head>> = const { core::cell::RefCell::new(Vec::new()) };
}

/// Rule R11: no honest fork. What is signed is exactly what the end of a durable group says, after
/// it was derived once more from the bytes read back.
pub(crate) fn sign(signer: &NoteSigner, origin: &str, head: Head) -> Result<String, StorageError> {
    let checkpoint = Checkpoint::new(origin, head.size, head.root).map_err(|e| StorageError::corrupt(HEAD, e))?;
    let text = checkpoint.to_text();
    #[cfg(test)]
    SIGNED.with_borrow_mut(|signed| signed.push(head));
    let note = Note::new(&text, vec![signer.sign(&text)]).map_err(|e| StorageError::corrupt(HEAD, e))?;
    Ok(note.to_text())
}
