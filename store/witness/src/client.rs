//! Asking witnesses for cosignatures (C2SP tlog-witness v1.0.0, the log's side).

use core::{error::Error, time::Duration};

use futures_util::future::join_all;
use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    limits::NOTE_BYTES_MAX,
    note::{Note, NoteError, NoteSignature, NoteVerifier},
};
use tokio::time::timeout;

use crate::{
    fetch::{FetchError, Fetched, Fetcher},
    judge,
    log::origin_hash,
    wire::{AddCheckpoint, SIZE_TYPE, parse_size_body},
};

/// Bytes of the longest answer: as many lines as a note may have.
const ANSWER_BYTES_MAX: usize = NOTE_BYTES_MAX;
/// Letters of what a witness says that are told on.
const SAID_MAX: usize = 200;

/// A witness at one address, with all its keys that are known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The submission prefix.
    pub url: String,
    /// The keys of which a cosignature is taken.
    pub keys: Vec<NoteVerifier>,
    /// The size that it cosigned last, as far as is known; 0 for unknown.
    pub last: u64,
}

/// Proves that the log grew from an older size to that of the checkpoint.
pub type Proofs<'a> = &'a (dyn Fn(u64) -> Result<Vec<Digest>, Box<dyn Error + Send + Sync>> + Sync);

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CosignError {
    /// There was no answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The deadline came first.
    #[error("there was no answer within {seconds} s")]
    Late {
        /// How long was waited.
        seconds: u64,
    },
    /// It says no.
    #[error("it answered {status}: {said}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// It says that the log is not consistent with what it cosigned.
    #[error("it refuses the log as inconsistent with what it cosigned (422): {said}")]
    Inconsistent {
        /// What it said.
        said: String,
        /// The checkpoint that it cosigned last, signed by the log.
        evidence: Option<Note>,
    },
    /// It cosigned a larger log than this one.
    #[error("it has cosigned this log at {last} entries, and this log has {size}")]
    Ahead {
        /// What it cosigned last.
        last: u64,
        /// The size of the checkpoint that was sent.
        size: u64,
        /// The checkpoint that it cosigned last, signed by the log.
        evidence: Option<Note>,
    },
    /// It asks for another size whatever is sent.
    #[error("it asked for a proof from {last} entries, and again after it was sent")]
    Fickle {
        /// What it asked for last.
        last: u64,
    },
    /// Its answer can't be read.
    #[error("its answer is malformed: {0}")]
    Answer(NoteError),
    /// Its answer tells no size.
    #[error("it answered 409 without a size")]
    NoSize,
    /// None of its keys is known.
    #[error("it cosigned with no key that is known of it")]
    UnknownKey,
    /// The proof can't be made.
    #[error("cannot prove how the log grew")]
    Proof(#[source] Box<dyn Error + Send + Sync>),
}

impl CosignError {
    /// Returns the checkpoint that shows that the log was cosigned otherwise.
    pub const fn evidence(&self) -> Option<&Note> {
        match self {
            Self::Inconsistent { evidence, .. } | Self::Ahead { evidence, .. } => evidence.as_ref(),
            Self::Fetch(_)
            | Self::Late { .. }
            | Self::Refused { .. }
            | Self::Fickle { .. }
            | Self::Answer(_)
            | Self::NoSize
            | Self::UnknownKey
            | Self::Proof(_) => None,
        }
    }
}

/// A checkpoint that is to be cosigned.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The checkpoint, signed by the log.
    pub note: &'a Note,
    /// What it says.
    pub checkpoint: &'a Checkpoint,
    /// The log's keys, those that it has had among them.
    pub log: &'a [NoteVerifier],
    /// How the log grew.
    pub proofs: Proofs<'a>,
}

impl core::fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Head").field("checkpoint", &self.checkpoint).finish_non_exhaustive()
    }
}

/// Asks all witnesses at once, each until the deadline. The answers are in the order of the witnesses; every line
/// in them is verified.
pub async fn ask_all(
    fetcher: &Fetcher,
    witnesses: &[Address],
    head: Head<'_>,
    deadline: Duration,
) -> Vec<Result<Vec<NoteSignature>, CosignError>> {
    let late = |_| Err(CosignError::Late { seconds: deadline.as_secs() });
    let ask = async |witness| timeout(deadline, ask(fetcher, witness, head)).await.unwrap_or_else(late);
    join_all(witnesses.iter().map(ask)).await
}

/// Asks one witness; once more if it tells from which size it wants the proof.
///
/// # Errors
/// [`CosignError`].
pub async fn ask(fetcher: &Fetcher, witness: &Address, head: Head<'_>) -> Result<Vec<NoteSignature>, CosignError> {
    let size = head.checkpoint.size;
    let mut old = witness.last.min(size);
    for _ in 0..2 {
        let proof =
            if old == 0 || old == size { Vec::new() } else { (head.proofs)(old).map_err(CosignError::Proof)? };
        let body = AddCheckpoint { old, proof, note: head.note.clone() }.to_bytes();
        let url = format!("{}/add-checkpoint", witness.url.trim_end_matches('/'));
        let answer = fetcher.post(&url, body, ANSWER_BYTES_MAX).await?;
        match answer.status {
            200 => return lines(head.note, &answer.body, &witness.keys),
            409 => old = told(&answer, old)?,
            422 => {
                let evidence = evidence(fetcher, witness, head).await;
                return Err(CosignError::Inconsistent { said: said(&answer), evidence });
            }
            status => return Err(CosignError::Refused { status, said: said(&answer) }),
        }
        if old > size {
            let evidence = evidence(fetcher, witness, head).await;
            return Err(CosignError::Ahead { last: old, size, evidence });
        }
    }
    Err(CosignError::Fickle { last: old })
}

/// Returns the size that a witness tells.
fn told(answer: &Fetched, sent: u64) -> Result<u64, CosignError> {
    let is_size = answer.kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(SIZE_TYPE));
    let last = parse_size_body(&answer.body).filter(|_| is_size).ok_or(CosignError::NoSize)?;
    if last == sent { Err(CosignError::Fickle { last }) } else { Ok(last) }
}

/// Reads the lines of an answer, and keeps those that known keys made. One that is named and does not verify
/// makes the whole answer worthless (signed-note).
fn lines(note: &Note, body: &[u8], keys: &[NoteVerifier]) -> Result<Vec<NoteSignature>, CosignError> {
    let whole = [note.text().as_bytes(), b"\n", body].concat();
    let answer = Note::parse(&whole).map_err(CosignError::Answer)?;
    if answer.text() != note.text() {
        return Err(CosignError::Answer(NoteError::Text));
    }
    answer.verify(keys).map_err(CosignError::Answer)?;
    let is_known =
        |line: &&NoteSignature| keys.iter().any(|key| key.name() == line.name() && key.key_id() == line.key_id());
    let known: Vec<NoteSignature> = answer.signatures().iter().filter(is_known).cloned().collect();
    if known.is_empty() { Err(CosignError::UnknownKey) } else { Ok(known) }
}

/// Reads the checkpoint that a witness cosigned last, if this log's key signed it: nobody else can have.
async fn evidence(fetcher: &Fetcher, witness: &Address, head: Head<'_>) -> Option<Note> {
    let url = format!("{}/{}/checkpoint", witness.url.trim_end_matches('/'), origin_hash(&head.checkpoint.origin));
    let answer = fetcher.get(&url, ANSWER_BYTES_MAX).await.ok().filter(|answer| answer.status == 200)?;
    let note = Note::parse(&answer.body).ok()?;
    judge::signed(&note, head.log).is_ok().then_some(note)
}

/// Returns the beginning of what a witness said, on one line.
fn said(answer: &Fetched) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect()
}
