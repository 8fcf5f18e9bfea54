//! Cosigned checkpoints: what witnesses said of the log, kept so that a bundle can show it.
//!
//! `cosigned/N` is the checkpoint of size N, in 16 digits, with the log's signature and the cosignatures that were collected, behind
//! a checksum: of each key the earliest, which dates the log, and the latest, which tells how current it is. Nothing
//! that was acknowledged rests on it; but a log that ends before one was set back (Rule R11).

mod sizes;

use std::sync::PoisonError;

use griptrace_core::{
    limits::NOTE_SIGNATURES_MAX,
    note::{Note, NoteError, NoteSignature, NoteVerifier},
    quorum::Quorum,
};

use crate::{
    State, Store,
    error::{ReadError, StorageError},
    evidence::signed_at,
    head::{Head, Signature, Signed},
    lease::SharedHead,
    objects::Objects,
    reading::SegmentReader,
    store::Inner,
};

pub(crate) use sizes::{Downwards, Upwards, sizes, strays};

pub(crate) const COSIGNED: &str = "cosigned";

/// Whose cosignatures are kept and count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Witnesses {
    /// The keys; the first of them are those that the quorum is about.
    pub keys: Vec<NoteVerifier>,
    /// Which of the keys have to have cosigned; `None` for none.
    pub quorum: Option<Quorum>,
}

/// A cosigned checkpoint of a size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cosigned {
    /// The note: the log's signature, and the cosignatures by the keys that were given.
    pub note: String,
    /// When each of the keys cosigned first: seconds since 1970.
    pub times: Vec<Option<u64>>,
    /// When each of the keys cosigned last.
    pub latest: Vec<Option<u64>>,
    /// When the quorum was complete; `None` if it is not met, or none is asked for.
    pub completed: Option<u64>,
    /// The latest time as of which the quorum says that it is the newest checkpoint; `None` if there is no such time.
    pub as_of: Option<u64>,
}

impl Store {
    /// Keeps cosignatures of the checkpoint of a size, durably, beside those that were kept before: of each key the
    /// earliest and the latest. Lines by other keys, and such as state no time, are left out. Returns what is there now.
    ///
    /// # Errors
    /// `NoCheckpoint` if none was signed at that size, `Beyond`; `Cosignature` for a line that does not verify; `Storage`.
    pub fn keep_cosignatures(
        &self,
        size: u64,
        lines: &[NoteSignature],
        witnesses: &Witnesses,
    ) -> Result<Cosigned, ReadError> {
        let _one_at_a_time = self.0.cosigning.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = self.checkpoint_at(size)?.ok_or(ReadError::NoCheckpoint { size })?;
        let signed = Note::parse(signed.as_bytes()).map_err(|e| StorageError::corrupt(name(size), e))?;
        let wrong = |why| ReadError::Cosignature { size, why };
        let mut cosigned = Err(ReadError::NoCheckpoint { size });
        // In a bucket another process may keep others at the same time.
        self.0.objects.change(&name(size), |there| {
            let kept = there.map(|bytes| decode(size, bytes)).transpose()?.filter(|kept| kept.text() == signed.text());
            let note = merged(kept.as_ref().unwrap_or(&signed), lines, &witnesses.keys).map_err(wrong)?;
            cosigned = Ok(witnesses.judge(&note).map_err(wrong)?);
            Ok::<_, ReadError>(Some(encode(&note)))
        })?;
        cosigned
    }

    /// Returns the cosigned checkpoint of a size, with what these witnesses said of it; `None` if nothing is kept.
    ///
    /// # Errors
    /// `Storage` if what is kept is not of this log, or a known line in it does not verify.
    pub fn cosigned(&self, size: u64, witnesses: &Witnesses) -> Result<Option<Cosigned>, ReadError> {
        self.0.ask(|state| Ok(cosigned_at(&self.0, state, size, witnesses)?))
    }

    /// Returns the largest sizes whose checkpoints were cosigned, so many at most, descending.
    ///
    /// # Errors
    /// `Storage` if the disk failed.
    pub fn last_cosigned(&self, count: usize) -> Result<Vec<u64>, ReadError> {
        let mut down = Downwards::new(&self.0.objects, u64::MAX, || self.size())?;
        let mut found = Vec::new();
        while found.len() < count
            && let Some(size) = down.next()?
        {
            found.push(size);
        }
        Ok(found)
    }
}

impl Witnesses {
    /// Tells whether a bundle should show that a quorum cosigned.
    pub const fn ask_for_a_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// Verifies the lines of a checkpoint that these witnesses made, and tells when the quorum was complete.
    ///
    /// # Errors
    /// Why a line by a known key does not verify.
    pub fn judge(&self, note: &Note) -> Result<Cosigned, NoteError> {
        let (mut times, mut latest) = (vec![None; self.keys.len()], vec![None; self.keys.len()]);
        for line in note.verify(&self.keys)? {
            // An ML-DSA-44 line without a time dates nothing, and a quorum is a matter of time.
            let (Some(time), Some(first), Some(last)) =
                (line.timestamp, times.get_mut(line.key), latest.get_mut(line.key))
            else {
                continue;
            };
            *first = Some(first.map_or(time, |other: u64| other.min(time)));
            *last = Some(last.map_or(time, |other: u64| other.max(time)));
        }
        let completed = self.quorum.as_ref().and_then(|quorum| quorum.completed(&times));
        let as_of = self.quorum.as_ref().and_then(|quorum| quorum.as_of(&latest));
        Ok(Cosigned { note: note.to_text(), times, latest, completed, as_of })
    }
}

/// Adds lines to what is kept: of each known key the line of the earliest time and, behind all of these, that of the
/// latest. A note that is full has room for the earliest first.
fn merged(kept: &Note, lines: &[NoteSignature], keys: &[NoteVerifier]) -> Result<Note, NoteError> {
    // The log's own, and those of witnesses that are not asked any more.
    let is_others = |line: &&NoteSignature| !keys.iter().any(|key| made(key, line));
    let mut all: Vec<NoteSignature> = kept.signatures().iter().filter(is_others).cloned().collect();
    let mut latest = Vec::new();
    for key in keys {
        let mut said = Vec::new();
        for line in kept.signatures().iter().chain(lines).filter(|line| made(key, line)) {
            let alone = Note::new(kept.text(), vec![line.clone()])?.verify(core::slice::from_ref(key))?;
            said.extend(alone.iter().filter_map(|found| found.timestamp).map(|time| (time, line)));
        }
        said.sort_by_key(|(time, _)| *time);
        let (Some((first, earliest)), Some((last, line))) = (said.first(), said.last()) else { continue };
        all.push((*earliest).clone());
        if first != last {
            latest.push((*line).clone());
        }
    }
    all.extend(latest);
    all.truncate(NOTE_SIGNATURES_MAX);
    Note::new(kept.text(), all)
}

/// Returns what is kept as it is published: with one line of each key, the latest, as others expect it of a note.
pub(crate) fn current(kept: &Note) -> Result<Note, NoteError> {
    let lines = kept.signatures();
    let by_one =
        |one: &NoteSignature, other: &NoteSignature| (one.name(), one.key_id()) == (other.name(), other.key_id());
    let is_last =
        |(at, line): &(usize, &NoteSignature)| !lines.iter().skip(at.saturating_add(1)).any(|l| by_one(l, line));
    Note::new(kept.text(), lines.iter().enumerate().filter(is_last).map(|(_, line)| line.clone()).collect())
}

/// Reads the cosigned checkpoint of a size, and holds it against what was signed.
pub(crate) fn cosigned_at(
    inner: &Inner,
    state: &State,
    size: u64,
    witnesses: &Witnesses,
) -> Result<Option<Cosigned>, StorageError> {
    let Some(kept) = read(&inner.objects, size)? else { return Ok(None) };
    let corrupt = |why: &dyn core::fmt::Display| StorageError::corrupt(name(size), why);
    if !state.catalogue.is_signed(size) {
        return Err(corrupt(&format!("no checkpoint of {size} entries was signed")));
    }
    let (_, signed) = signed_at(state, &mut SegmentReader::new(&inner.objects), size)?;
    let signed = Note::parse(signed.as_bytes()).map_err(|e| corrupt(&e))?;
    if signed.text() != kept.text() {
        return Err(corrupt(&"it is another checkpoint than was signed at this size"));
    }
    let known =
        |line: &&NoteSignature| signed.signatures().contains(line) || witnesses.keys.iter().any(|key| made(key, line));
    let lines = kept.signatures().iter().filter(known).cloned().collect();
    let note = Note::new(kept.text(), lines).map_err(|e| corrupt(&e))?;
    witnesses.judge(&note).map(Some).map_err(|e| corrupt(&e))
}

/// Returns the newest cosigned checkpoint as the log signed it: what the log can't be shorter than.
pub(crate) fn newest(signature: Signature<'_>, objects: &Objects) -> Result<Option<Signed>, StorageError> {
    // Only where to look first: a head that is damaged makes it take longer.
    let said = || SharedHead::size(objects).ok().flatten().unwrap_or(0);
    let Some(size) = Downwards::new(objects, u64::MAX, said)?.next()? else { return Ok(None) };
    let Some(kept) = read(objects, size)? else { return Ok(None) };
    let verifier = signature.keys.verifier(size);
    let is_the_logs = |line: &&NoteSignature| verifier.is_some_and(|key| made(key, line));
    let own = kept.signatures().iter().filter(is_the_logs).cloned().collect();
    let own = Note::new(kept.text(), own).map_err(|e| StorageError::corrupt(name(size), e))?;
    let (head, note) = signature.read(&name(size), own.to_text().as_bytes())?;
    if head.size != size {
        return Err(StorageError::corrupt(name(size), format!("it is the checkpoint of {} entries", head.size)));
    }
    Ok(Some(Signed { object: COSIGNED, head, note }))
}

/// Reads what is kept of a size, and checks its checksum and the log's signature; for the audit.
pub(crate) fn audited(signature: Signature<'_>, objects: &Objects, size: u64) -> Result<Option<Head>, StorageError> {
    let Some(kept) = read(objects, size)? else { return Ok(None) };
    signature.read(&name(size), kept.to_text().as_bytes()).map(|(head, _)| Some(head))
}

/// Returns the object of a size.
pub(crate) fn name(size: u64) -> String {
    format!("{COSIGNED}/{}", in_folder(size))
}

/// Returns its name in its folder: in the order of their sizes, since that is how a bucket lists them.
fn in_folder(size: u64) -> String {
    format!("{size:016}")
}

fn size_of(name: &str) -> Option<u64> {
    name.parse().ok().filter(|size| in_folder(*size) == name)
}

/// Reads a cosigned checkpoint, none of its signatures verified.
pub(crate) fn read(objects: &Objects, size: u64) -> Result<Option<Note>, StorageError> {
    objects.read(&name(size))?.map(|bytes| decode(size, &bytes)).transpose()
}

fn decode(size: u64, bytes: &[u8]) -> Result<Note, StorageError> {
    let corrupt = |why: &dyn core::fmt::Display| StorageError::corrupt(name(size), why);
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| corrupt(&"it is cut short"))?;
    let (sum, note) = bytes.split_at_checked(end).ok_or_else(|| corrupt(&"it is cut short"))?;
    let note = note.get(1..).unwrap_or_default();
    if blake3::hash(note).to_hex().as_bytes() != sum {
        return Err(corrupt(&"it has another checksum than its bytes"));
    }
    Note::parse(note).map_err(|e| corrupt(&e))
}

fn encode(note: &Note) -> Vec<u8> {
    let text = note.to_text();
    format!("{}\n{text}", blake3::hash(text.as_bytes()).to_hex()).into_bytes()
}

fn made(key: &NoteVerifier, line: &NoteSignature) -> bool {
    key.name() == line.name() && key.key_id() == line.key_id()
}
