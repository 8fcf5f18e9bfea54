//! Cosigned checkpoints: what witnesses said of the log, kept so that a bundle can show it.
//!
//! `cosigned/N` is the checkpoint of size N with the log's signature and the cosignatures that were collected, behind
//! a checksum. Nothing that was acknowledged rests on it; but a log that ends before one was set back (Rule R11).

use std::sync::PoisonError;

use griptrace_core::{
    note::{Note, NoteSignature, NoteVerifier},
    quorum::Quorum,
};

use crate::{
    State, Store,
    error::{ReadError, StorageError},
    evidence::signed_at,
    head::{Head, Signature, Signed},
    objects::Objects,
    reading::SegmentReader,
    store::Inner,
};

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
    /// When each of the keys cosigned: seconds since 1970.
    pub times: Vec<Option<u64>>,
    /// When the quorum was complete; `None` if it is not met, or none is asked for.
    pub completed: Option<u64>,
}

impl Store {
    /// Keeps cosignatures of the checkpoint of a size, durably, beside those that were kept before; of each key the
    /// first one stays, since it dates the log earliest. Lines by other keys are left out. Returns what is there now.
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
        let kept = read(&self.0.objects, size)?.filter(|kept| kept.text() == signed.text());
        let mut all = kept.map_or_else(|| signed.signatures().to_vec(), |kept| kept.signatures().to_vec());
        let known = |line: &&NoteSignature| witnesses.keys.iter().any(|key| made(key, line));
        for line in lines.iter().filter(known) {
            if !all.iter().any(|other| (other.name(), other.key_id()) == (line.name(), line.key_id())) {
                all.push(line.clone());
            }
        }
        let note = Note::new(signed.text(), all).map_err(|why| ReadError::Cosignature { size, why })?;
        let cosigned = judged(&note, witnesses).map_err(|why| ReadError::Cosignature { size, why })?;
        self.0.objects.put(&name(size), &encode(&note))?;
        Ok(cosigned)
    }

    /// Returns the cosigned checkpoint of a size, with what these witnesses said of it; `None` if nothing is kept.
    ///
    /// # Errors
    /// `Storage` if what is kept is not of this log, or a known line in it does not verify.
    pub fn cosigned(&self, size: u64, witnesses: &Witnesses) -> Result<Option<Cosigned>, ReadError> {
        self.0.ask(|state| Ok(cosigned_at(&self.0, state, size, witnesses)?))
    }

    /// Returns the sizes whose checkpoints were cosigned, ascending.
    ///
    /// # Errors
    /// `Storage` if the disk failed.
    pub fn cosigned_sizes(&self) -> Result<Vec<u64>, ReadError> {
        Ok(sizes(&self.0.objects)?)
    }
}

impl Witnesses {
    /// Tells whether a bundle should show that a quorum cosigned.
    pub const fn ask_for_a_quorum(&self) -> bool {
        self.quorum.is_some()
    }
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
    judged(&note, witnesses).map(Some).map_err(|e| corrupt(&e))
}

/// Returns the newest cosigned checkpoint as the log signed it: what the log can't be shorter than.
pub(crate) fn newest(signature: Signature<'_>, objects: &Objects) -> Result<Option<Signed>, StorageError> {
    let Some(size) = sizes(objects)?.pop() else { return Ok(None) };
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

/// Returns the sizes of which anything is kept, ascending.
pub(crate) fn sizes(objects: &Objects) -> Result<Vec<u64>, StorageError> {
    let names = objects.list(COSIGNED)?;
    // A name that is no number is what a crash left, or nobody's.
    let mut sizes: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    sizes.sort_unstable();
    Ok(sizes)
}

/// Returns the object of a size.
pub(crate) fn name(size: u64) -> String {
    format!("{COSIGNED}/{size}")
}

/// Reads a cosigned checkpoint, none of its signatures verified.
pub(crate) fn read(objects: &Objects, size: u64) -> Result<Option<Note>, StorageError> {
    let Some(bytes) = objects.read(&name(size))? else { return Ok(None) };
    let corrupt = |why: &dyn core::fmt::Display| StorageError::corrupt(name(size), why);
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| corrupt(&"it is cut short"))?;
    let (sum, note) = bytes.split_at_checked(end).ok_or_else(|| corrupt(&"it is cut short"))?;
    let note = note.get(1..).unwrap_or_default();
    if blake3::hash(note).to_hex().as_bytes() != sum {
        return Err(corrupt(&"it has another checksum than its bytes"));
    }
    Note::parse(note).map(Some).map_err(|e| corrupt(&e))
}

fn encode(note: &Note) -> Vec<u8> {
    let text = note.to_text();
    format!("{}\n{text}", blake3::hash(text.as_bytes()).to_hex()).into_bytes()
}

fn made(key: &NoteVerifier, line: &NoteSignature) -> bool {
    key.name() == line.name() && key.key_id() == line.key_id()
}

/// Verifies the known lines of a note, and tells when the quorum was complete.
fn judged(note: &Note, witnesses: &Witnesses) -> Result<Cosigned, griptrace_core::note::NoteError> {
    let mut times = vec![None; witnesses.keys.len()];
    for line in note.verify(&witnesses.keys)? {
        if let Some(time) = times.get_mut(line.key) {
            // An ML-DSA-44 line without a time dates nothing, and a quorum is a matter of time.
            *time = line.timestamp.filter(|time| *time > 0);
        }
    }
    let completed = witnesses.quorum.as_ref().and_then(|quorum| quorum.completed(&times));
    Ok(Cosigned { note: note.to_text(), times, completed })
}
