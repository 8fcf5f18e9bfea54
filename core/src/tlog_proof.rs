//! An entry that is proven to be in a log, and the file of C2SP tlog-proof that shows it.
//!
//! The file names neither the entry nor its hash. What the leaf is computed from travels in the line `extra`, which
//! nobody signs: here it is the entry's bytes, so that the leaf is `SHA-256(0x00 || extra)`.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    digest::Digest,
    note::{Note, NoteError},
    tree::{LeafIndex, ProofError, Rfc9162, TreeSize, verify_inclusion},
};

/// The first line of every file.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// An entry whose audit path leads to the root of a checkpoint. Whether the log signed that, the note's reader says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Included<'a> {
    /// The entry's bytes.
    pub entry: &'a [u8],
    /// Its place.
    pub index: u64,
    /// The audit path of RFC 9162, 2.1.3.
    pub path: Vec<Digest>,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    note: Note,
}

/// Why an entry was not shown to be in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IncludedError {
    /// The note can't be read.
    Note(NoteError),
    /// Its text is no checkpoint.
    Checkpoint(CheckpointError),
    /// The path does not lead from the entry to the checkpoint's root.
    Proof(ProofError),
}

impl fmt::Display for IncludedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(error) => write!(f, "checkpoint: {error}"),
            Self::Checkpoint(error) => write!(f, "checkpoint: {error}"),
            Self::Proof(error) => write!(f, "audit path: {error}"),
        }
    }
}

impl core::error::Error for IncludedError {}

impl<'a> Included<'a> {
    /// Follows the path from an entry at `index` to the root of the checkpoint in `note`.
    ///
    /// # Errors
    /// [`IncludedError`].
    pub fn new(entry: &'a [u8], index: u64, path: Vec<Digest>, note: &str) -> Result<Self, IncludedError> {
        let note = Note::parse(note.as_bytes()).map_err(IncludedError::Note)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(IncludedError::Checkpoint)?;
        let (leaf, size) = (Rfc9162::leaf_hash(entry), TreeSize::new(checkpoint.size));
        verify_inclusion(&Rfc9162, LeafIndex::new(index), size, &leaf, &path, &checkpoint.root)
            .map_err(IncludedError::Proof)?;
        Ok(Self { entry, index, path, checkpoint, note })
    }

    /// Returns the checkpoint with its signatures.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Writes the tlog-proof.
    pub fn tlog_proof(&self) -> String {
        let hashes: Vec<String> =
            self.path.iter().map(|hash| format!("{}\n", STANDARD.encode(hash.as_bytes()))).collect();
        let (extra, note) = (STANDARD.encode(self.entry), self.note.to_text());
        format!("{HEADER}\nextra {extra}\nindex {}\n{}\n{note}", self.index, hashes.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{note::NoteSigner, tree::prove_leaves};

    #[test]
    fn only_what_leads_to_the_root_is_written() {
        let entries: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
        let leaves = entries.map(Rfc9162::leaf_hash);
        let root = crate::tree::root(&Rfc9162, &leaves).unwrap();
        let text = Checkpoint::new("log.example", 5, root).unwrap().to_text();
        let signer = NoteSigner::new("log.example", &[1; 32]).unwrap();
        let note = Note::new(&text, Vec::from([signer.sign(&text)])).unwrap().to_text();
        let path = prove_leaves(&Rfc9162, &leaves, &[2]).unwrap();
        let included = Included::new(b"c", 2, path.clone(), &note).unwrap();
        let written = included.tlog_proof();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", "extra Yw==", "index 2"]);
        assert_eq!(lines[3], STANDARD.encode(leaves[3].as_bytes()), "the leaf's sibling is first");
        assert_eq!(lines[3 + path.len()], "");
        assert!(written.ends_with(&format!("\n\n{note}")));
        assert!(Included::new(b"c", 3, path.clone(), &note).is_err());
        assert!(Included::new(b"x", 2, path.clone(), &note).is_err());
        assert!(Included::new(b"c", 2, path[1..].to_vec(), &note).is_err());
    }
}
