//! What a witness cosigns: the rules of C2SP tlog-witness v1.0.0, `add-checkpoint`, in its order.

use griptrace_core::{
    checkpoint::{Checkpoint, CheckpointError},
    note::{Note, NoteError, NoteVerifier},
    tree::{ProofError, Rfc9162, TreeSize, verify_consistency},
};

use crate::wire::{AddCheckpoint, RequestError, SIZE_TYPE};

const TEXT: &str = "text/plain; charset=utf-8";

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Makes an answer of text.
    pub fn text(status: u16, text: impl Into<Vec<u8>>) -> Self {
        Self { status, kind: TEXT, body: text.into() }
    }
}

/// Why a checkpoint is not cosigned.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request can't be read.
    #[error("{0}")]
    Request(RequestError),
    /// The checkpoint can't be read.
    #[error("{0}")]
    Checkpoint(CheckpointError),
    /// The log is not one of those that are witnessed.
    #[error("this witness does not know the log {origin:?}")]
    Unknown {
        /// The log's origin.
        origin: String,
    },
    /// No known key of the log signed.
    #[error("no known key of the log signed the checkpoint")]
    Unsigned,
    /// Only a key signed that another one has followed: the last cosigned checkpoint is that one's.
    #[error("the checkpoint is signed by a key of the log that a later one followed")]
    Retired,
    /// A known key is named, and its signature does not verify.
    #[error("{0}")]
    Signature(NoteError),
    /// The old size is larger than the checkpoint's.
    #[error("the old size {old} is beyond the checkpoint's {size}")]
    OldBeyond {
        /// The old size.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The last cosigned size is another one.
    #[error("the last cosigned size is {last}")]
    Conflict {
        /// The last cosigned size.
        last: u64,
    },
    /// A log without leaves has another root than that of the empty tree.
    #[error("the root of a log without leaves is that of the empty tree")]
    EmptyRoot,
    /// A proof where there is nothing to prove.
    #[error("an old size of 0 takes no proof, and there are {hashes} hashes")]
    NeedlessProof {
        /// How many hashes were sent.
        hashes: usize,
    },
    /// Two roots for one size.
    #[error("at size {size} another root was cosigned")]
    OtherRoot {
        /// The size.
        size: u64,
    },
    /// The log did not grow from what was cosigned.
    #[error("the checkpoint does not extend the last cosigned one: {0}")]
    Inconsistent(ProofError),
    /// The clock is behind the last cosignature.
    #[error("this witness' clock is behind its last cosignature")]
    Clock,
    /// What was cosigned could not be kept, so that nothing is answered.
    #[error("this witness can't keep what it cosigns")]
    Unkept,
}

impl Refusal {
    /// Returns the HTTP status that the protocol gives it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Request(_) | Self::Checkpoint(_) | Self::OldBeyond { .. } => 400,
            Self::Unsigned | Self::Retired | Self::Signature(_) => 403,
            Self::Unknown { .. } => 404,
            Self::Conflict { .. } => 409,
            Self::EmptyRoot | Self::NeedlessProof { .. } | Self::OtherRoot { .. } | Self::Inconsistent(_) => 422,
            Self::Clock | Self::Unkept => 503,
        }
    }

    /// Returns what is answered.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Conflict { last } => Answer { status: 409, kind: SIZE_TYPE, body: format!("{last}\n").into_bytes() },
            Self::Request(_)
            | Self::Checkpoint(_)
            | Self::Unknown { .. }
            | Self::Unsigned
            | Self::Retired
            | Self::Signature(_)
            | Self::OldBeyond { .. }
            | Self::EmptyRoot
            | Self::NeedlessProof { .. }
            | Self::OtherRoot { .. }
            | Self::Inconsistent(_)
            | Self::Clock
            | Self::Unkept => Answer::text(self.status(), format!("{self}\n")),
        }
    }
}

/// Reads the checkpoint of a note. The root of a log without leaves is judged later ([`check`]).
///
/// # Errors
/// `Checkpoint`; `Unknown` for an origin that no log can have.
pub fn checkpoint(note: &Note) -> Result<Checkpoint, Refusal> {
    match Checkpoint::parse(note.text()) {
        Ok(checkpoint) => Ok(checkpoint),
        Err(CheckpointError::EmptyRoot { root }) => {
            let origin = note.text().lines().next().unwrap_or_default().to_owned();
            Ok(Checkpoint { origin, size: 0, root })
        }
        Err(CheckpointError::Origin { origin }) => Err(Refusal::Unknown { origin }),
        Err(error) => Err(Refusal::Checkpoint(error)),
    }
}

/// Checks that one of the log's known keys signed, and that none that is named signed otherwise.
///
/// # Errors
/// `Unsigned`, `Signature`.
pub fn signed(note: &Note, keys: &[NoteVerifier]) -> Result<(), Refusal> {
    match note.verify(keys) {
        Ok(found) if found.is_empty() => Err(Refusal::Unsigned),
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::Signature(error)),
    }
}

/// Checks that no key signed alone that an older checkpoint's had followed already: keys stand in the order in which they
/// were added. Whoever stole a key that retired could else have another history cosigned, and keep the log out for ever.
///
/// # Errors
/// `Retired`.
pub fn in_use(note: &Note, last: &Note, keys: &[NoteVerifier]) -> Result<(), Refusal> {
    let newest = |note: &Note| {
        let has_signed =
            |key: &NoteVerifier| note.signatures().iter().any(|l| key.name() == l.name() && key.key_id() == l.key_id());
        keys.iter().rposition(has_signed)
    };
    if newest(note) < newest(last) { Err(Refusal::Retired) } else { Ok(()) }
}

/// Checks that the checkpoint extends the last one that was cosigned, `None` for none.
///
/// # Errors
/// `OldBeyond`, `Conflict`, `EmptyRoot`, `NeedlessProof`, `OtherRoot`, `Inconsistent`.
pub fn check(request: &AddCheckpoint, checkpoint: &Checkpoint, last: Option<&Checkpoint>) -> Result<(), Refusal> {
    let (old, size) = (request.old, checkpoint.size);
    if old > size {
        return Err(Refusal::OldBeyond { old, size });
    }
    let last_size = last.map_or(0, |last| last.size);
    if old != last_size {
        return Err(Refusal::Conflict { last: last_size });
    }
    if size == 0 && checkpoint.root != Rfc9162::EMPTY_ROOT {
        return Err(Refusal::EmptyRoot);
    }
    let Some(last) = last.filter(|_| old > 0) else {
        let hashes = request.proof.len();
        return if hashes == 0 { Ok(()) } else { Err(Refusal::NeedlessProof { hashes }) };
    };
    if old == size && last.root != checkpoint.root {
        return Err(Refusal::OtherRoot { size });
    }
    let (before, after) = (TreeSize::new(old), TreeSize::new(size));
    verify_consistency(&Rfc9162, before, &last.root, after, &checkpoint.root, &request.proof)
        .map_err(Refusal::Inconsistent)
}
