//! The head and the checkpoints: what the log is, and what was signed of it.

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    note::{Note, NoteSigner, NoteVerifier},
};

use crate::{error::StorageError, objects::Objects};

/// Size and root of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Digest,
}

pub(crate) const HEAD: &str = "head";
pub(crate) const CHECKPOINT: &str = "checkpoint";
const FIRST_LINE: &str = "griptrace head v1";

/// Returns the name under which a published checkpoint is kept.
pub(crate) fn checkpoint_name(size: u64) -> String {
    format!("checkpoints/{size:016}")
}

impl Head {
    /// Returns the bytes of the head.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        format!("{FIRST_LINE}\n{}\n{}\n", self.size, self.root).into_bytes()
    }

    /// Reads the head; `None` if there is none.
    pub(crate) fn read(objects: &Objects) -> Result<Option<Self>, StorageError> {
        let Some(bytes) = objects.read(HEAD)? else { return Ok(None) };
        let parse = || {
            let text = core::str::from_utf8(&bytes).ok()?;
            let mut lines = text.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?.lines();
            let head = Self { size: lines.next()?.parse().ok()?, root: Digest::from_hex(lines.next()?)? };
            (head.to_bytes() == bytes).then_some(head)
        };
        let wrong = || StorageError::corrupt(HEAD, format!("it holds {:?}", String::from_utf8_lossy(&bytes)));
        parse().map(Some).ok_or_else(wrong)
    }
}

/// Rule R11: no honest fork. The head moves by compare-and-swap as an unsigned size and root; exactly
/// that is then signed, kept and published. Nothing is signed that the head does not say, and the
/// head says only what was re-derived from bytes read back.
pub(crate) fn publish(
    objects: &Objects,
    signer: &NoteSigner,
    origin: &str,
    before: Option<Head>,
    now: Head,
) -> Result<String, StorageError> {
    let expected = before.map(Head::to_bytes);
    objects.swap(HEAD, expected.as_deref(), &now.to_bytes())?;
    // Crash here: the head is ahead of the checkpoint. Opening for writing signs exactly the head
    // (`sign_head`, called from `open::recover`).
    sign_head(objects, signer, origin, now)
}

/// Signs the head, keeps the checkpoint and publishes it.
pub(crate) fn sign_head(
    objects: &Objects,
    signer: &NoteSigner,
    origin: &str,
    head: Head,
) -> Result<String, StorageError> {
    let kept = checkpoint_name(head.size);
    let checkpoint = Checkpoint::new(origin, head.size, head.root).map_err(|e| StorageError::corrupt(HEAD, e))?;
    let text = checkpoint.to_text();
    let note = Note::new(&text, vec![signer.sign(&text)]).map_err(|e| StorageError::corrupt(&*kept, e))?;
    let mut note = note.to_text();
    match read_checkpoint(objects, &kept, signer.verifier(), origin)? {
        // Kept before a crash, perhaps cosigned since: the same tree, and never to be lost.
        Some((old, said)) if old == checkpoint => note = said,
        Some((old, _)) => {
            let why = format!("it says root {}, and the head {}", old.root, head.root);
            return Err(StorageError::corrupt(kept, why));
        }
        None => objects.put_new(&kept, note.as_bytes())?,
    }
    // Crash here: the checkpoint is kept, but the old one is still published. Opening for writing
    // comes through here again and finds it.
    objects.put(CHECKPOINT, note.as_bytes())?;
    Ok(note)
}

/// Reads a checkpoint and verifies the log's signature; `None` if there is none.
pub(crate) fn read_checkpoint(
    objects: &Objects,
    name: &str,
    verifier: &NoteVerifier,
    origin: &str,
) -> Result<Option<(Checkpoint, String)>, StorageError> {
    let Some(bytes) = objects.read(name)? else { return Ok(None) };
    let bad = |why: &dyn core::fmt::Display| StorageError::corrupt(name, why);
    let note = Note::parse(&bytes).map_err(|e| bad(&e))?;
    if note.verify(core::slice::from_ref(verifier)).map_err(|e| bad(&e))?.is_empty() {
        return Err(bad(&format!("it is not signed by the log's key {}", verifier.to_vkey())));
    }
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| bad(&e))?;
    if checkpoint.origin != origin {
        return Err(bad(&format!("it is of log {}, and this is {origin}", checkpoint.origin)));
    }
    Ok(Some((checkpoint, note.to_text())))
}
