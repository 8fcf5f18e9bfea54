//! Evidence that a log's key signed two histories (docs/spec/fork.md).
//!
//! Two checkpoints of one log with one size and different roots: no honest log signs both (Rule R11), and whoever has the
//! log's key can check it without the log, the bundles or anybody's word. Of two checkpoints with different sizes nothing
//! can be shown without the tree, so that there is no evidence file for them.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::fmt;

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    digest::Digest,
    limits::NOTE_BYTES_MAX,
    note::{Note, NoteError, NoteVerifier},
};

/// The first line of every evidence file.
pub const MAGIC: &str = "griptrace fork v1\n";
/// What stands before the checkpoint that was seen first, and before the other one.
const HEADINGS: [&str; 2] = ["seen before:\n\n", "shown now:\n\n"];
/// Bytes of a whole file.
pub const FORK_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX + 1_024;

/// Two checkpoints and the key that is said to have signed both; nothing verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fork {
    /// The log's key, as the file has it.
    pub vkey: NoteVerifier,
    /// The signed checkpoint that was seen first, with all its signatures.
    pub before: String,
    /// The one that was shown later.
    pub now: String,
}

/// What the evidence shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forked {
    /// The log.
    pub origin: String,
    /// The size that both checkpoints have.
    pub size: u64,
    /// Their roots.
    pub roots: [Digest; 2],
}

/// Why a file is no evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ForkError {
    /// The file does not begin like evidence of a fork.
    NotEvidence,
    /// It is larger than any such file.
    Size {
        /// Bytes found.
        found: usize,
    },
    /// It does not have its one form.
    Malformed {
        /// What is wrong.
        why: &'static str,
    },
    /// A note can't be read, or a line by the key does not verify.
    Note(NoteError),
    /// A note is no checkpoint.
    Checkpoint(CheckpointError),
    /// The key is not the one that is trusted for the log.
    Key {
        /// The key in the file.
        found: String,
    },
    /// A checkpoint is not signed by the log's key.
    Unsigned,
    /// A checkpoint is of another log.
    Origin {
        /// The log of the key.
        expected: String,
        /// The origin found.
        found: String,
    },
    /// The sizes differ: without the tree two such checkpoints contradict nothing.
    Sizes {
        /// The sizes found.
        found: [u64; 2],
    },
    /// Both roots are the same: there is no fork.
    SameRoot {
        /// The root.
        root: Digest,
    },
}

impl ForkError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotEvidence => "not-a-fork",
            Self::Size { .. } => "fork-size",
            Self::Malformed { .. } => "fork-malformed",
            Self::Note(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::Key { .. } => "fork-key-untrusted",
            Self::Unsigned => "fork-unsigned",
            Self::Origin { .. } => "fork-origin-mismatch",
            Self::Sizes { .. } => "fork-sizes-differ",
            Self::SameRoot { .. } => "fork-same-root",
        }
    }

    /// Tells whether the file could be read at all.
    pub const fn is_readable(&self) -> bool {
        !matches!(self, Self::NotEvidence | Self::Size { .. } | Self::Malformed { .. })
    }
}

impl fmt::Display for ForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEvidence => f.write_str("the file does not begin like evidence of a fork"),
            Self::Size { found } => write!(f, "{found} bytes are above the limit of {FORK_BYTES_MAX}"),
            Self::Malformed { why } => write!(f, "the evidence is malformed: {why}"),
            Self::Note(error) => write!(f, "a checkpoint: {error}"),
            Self::Checkpoint(error) => write!(f, "a checkpoint: {error}"),
            Self::Key { found } => write!(f, "the key {found} is not trusted for its log"),
            Self::Unsigned => f.write_str("a checkpoint is not signed by the log's key"),
            Self::Origin { expected, found } => write!(f, "a checkpoint is of {found}, not of {expected}"),
            Self::Sizes { found: [one, other] } => {
                write!(f, "the sizes are {one} and {other}: without the tree that contradicts nothing")
            }
            Self::SameRoot { root } => write!(f, "both checkpoints have the root {root}: there is no fork"),
        }
    }
}

impl core::error::Error for ForkError {}

impl Fork {
    /// Writes the file.
    pub fn to_text(&self) -> String {
        let [before, now] = HEADINGS;
        let (vkey, old, new) = (self.vkey.to_vkey(), &self.before, &self.now);
        format!("{MAGIC}log {vkey}\n\n{before}{old}\n{now}{new}")
    }

    /// Reads a file strictly: it has one form.
    ///
    /// # Errors
    /// `NotEvidence`, `Size`, `Malformed`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ForkError> {
        if !bytes.starts_with(MAGIC.as_bytes()) {
            return Err(ForkError::NotEvidence);
        }
        if bytes.len() > FORK_BYTES_MAX {
            return Err(ForkError::Size { found: bytes.len() });
        }
        let malformed = |why| ForkError::Malformed { why };
        let text = core::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let rest = text.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix("log "));
        let (vkey, rest) = rest.and_then(|rest| rest.split_once("\n\n")).ok_or(malformed("it names no log"))?;
        let vkey = NoteVerifier::parse(vkey).map_err(|_| malformed("the log's key can't be read"))?;
        let [before, now] = HEADINGS;
        let rest = rest.strip_prefix(before).ok_or(malformed("the first checkpoint has no heading"))?;
        // No line of a note is a heading: a checkpoint's lines are an origin, a number and base64.
        let (old, new) =
            rest.split_once(&format!("\n{now}")).ok_or(malformed("the second checkpoint has no heading"))?;
        let fork = Self { vkey, before: old.to_string(), now: new.to_string() };
        if fork.to_text() == text { Ok(fork) } else { Err(malformed("it has another form")) }
    }

    /// Checks it under the key that is trusted for the log.
    ///
    /// # Errors
    /// What it lacks. Whatever is missing, it accuses nobody.
    pub fn check(&self, trusted: &NoteVerifier) -> Result<Forked, ForkError> {
        if *trusted != self.vkey {
            return Err(ForkError::Key { found: self.vkey.to_vkey() });
        }
        let (old, new) = (signed(trusted, &self.before)?, signed(trusted, &self.now)?);
        if old.size != new.size {
            return Err(ForkError::Sizes { found: [old.size, new.size] });
        }
        if old.root == new.root {
            return Err(ForkError::SameRoot { root: old.root });
        }
        Ok(Forked { origin: old.origin, size: old.size, roots: [old.root, new.root] })
    }
}

/// Reads a checkpoint that the log's key has to have signed.
///
/// # Errors
/// `Note`, `Checkpoint`, `Unsigned`, `Origin`.
pub fn signed(log: &NoteVerifier, note: &str) -> Result<Checkpoint, ForkError> {
    let parsed = Note::parse(note.as_bytes()).map_err(ForkError::Note)?;
    let signatures = parsed.verify(core::slice::from_ref(log)).map_err(ForkError::Note)?;
    if signatures.is_empty() {
        return Err(ForkError::Unsigned);
    }
    let checkpoint = Checkpoint::parse(parsed.text()).map_err(ForkError::Checkpoint)?;
    if checkpoint.origin != log.name() {
        return Err(ForkError::Origin { expected: log.name().to_string(), found: checkpoint.origin });
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteSigner;

    fn signer(name: &str) -> NoteSigner {
        NoteSigner::new(name, &[7; 32]).unwrap()
    }

    fn note(signer: &NoteSigner, size: u64, root: u8) -> String {
        let origin = signer.verifier().name();
        let text = Checkpoint::new(origin, size, Digest::from_bytes([root; 32])).unwrap().to_text();
        Note::new(&text, [signer.sign(&text)].into()).unwrap().to_text()
    }

    fn fork(old: String, new: String) -> Fork {
        Fork { vkey: signer("log.example").verifier().clone(), before: old, now: new }
    }

    #[test]
    fn two_roots_of_one_size_are_shown_and_go_there_and_back() {
        let log = signer("log.example");
        let fork = fork(note(&log, 5, 1), note(&log, 5, 2));
        let shown = fork.check(log.verifier()).unwrap();
        assert_eq!((shown.origin.as_str(), shown.size), ("log.example", 5));
        assert_eq!(shown.roots, [1, 2].map(|root| Digest::from_bytes([root; 32])));
        assert_eq!(Fork::parse(fork.to_text().as_bytes()), Ok(fork));
    }

    #[test]
    fn what_shows_no_fork_accuses_nobody() {
        let (log, other) = (signer("log.example"), signer("other.example"));
        let code = |old: String, new: String| fork(old, new).check(log.verifier()).unwrap_err().code();
        let one = note(&log, 5, 1);
        assert_eq!(code(one.clone(), note(&log, 6, 2)), "fork-sizes-differ");
        assert_eq!(code(one.clone(), one.clone()), "fork-same-root");
        assert_eq!(code(one.clone(), note(&other, 5, 2)), "fork-unsigned");
        let forged = note(&log, 5, 2).replacen("\n5\n", "\n50\n", 1);
        assert_eq!(code(one.clone(), forged), "note-signature-invalid");
        // The log's own key, under a text that names another log.
        let text = Checkpoint::new("other.example", 5, Digest::from_bytes([2; 32])).unwrap().to_text();
        let strayed = Note::new(&text, [log.sign(&text)].into()).unwrap().to_text();
        assert_eq!(code(one.clone(), strayed), "fork-origin-mismatch");
        let second = fork(one, note(&log, 5, 2));
        let stranger = NoteSigner::new("log.example", &[8; 32]).unwrap();
        assert_eq!(second.check(stranger.verifier()).unwrap_err().code(), "fork-key-untrusted");
    }

    #[test]
    fn a_file_has_one_form() {
        let log = signer("log.example");
        let text = fork(note(&log, 5, 1), note(&log, 5, 2)).to_text();
        let code = |text: &str| Fork::parse(text.as_bytes()).map(drop).map_err(|error| error.code());
        assert_eq!(code("griptrace fork v2\n"), Err("not-a-fork"));
        assert_eq!(code(&text.replace("\n\nseen", "\nseen")), Err("fork-malformed"));
        assert_eq!(code(&text.replace("log log", "log  log")), Err("fork-malformed"));
        assert_eq!(code(&text.replace("\nshown now:\n", "\nshown then:\n")), Err("fork-malformed"));
        assert_eq!(code(&format!("{text}{}", " ".repeat(FORK_BYTES_MAX))), Err("fork-size"));
        assert_eq!(Fork::parse(&[MAGIC.as_bytes(), &[0xff]].concat()).unwrap_err().code(), "fork-malformed");
        for cut in 0..text.len() {
            let Some(cut) = text.get(..cut) else { continue };
            let shown = Fork::parse(cut.as_bytes()).and_then(|fork| fork.check(log.verifier()));
            assert!(shown.is_err(), "{cut}");
        }
    }
}
