//! Having the newest checkpoint cosigned: every witness is asked at once, and what they said is kept.

use core::time::Duration;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_core::{
    checkpoint::Checkpoint,
    note::{KeyKind, Note, NoteSignature, NoteVerifier},
};
use griptrace_store::{Cosigned, ReadError, Store, Witnesses};
use griptrace_witness::{
    client::{self, Address, CosignError, Head},
    fetch::Fetcher,
    judge::signed,
    log::origin_hash,
    panel::Panel,
};
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{Instant, sleep},
};

use crate::{config::Witnessing, run::ServeError, standing::Post};

/// Cosigned checkpoints that are looked through for what a witness cosigned last.
const LOOKED_THROUGH: usize = 64;
/// Where what witnesses hold against the log is kept, beside the store.
const EVIDENCE: &str = "evidence";

/// What came of asking all witnesses.
#[derive(Debug)]
pub struct Round {
    /// The size of the checkpoint.
    pub size: u64,
    /// What each address said, in their order, or why it said nothing.
    pub answers: Vec<(String, Result<Said, CosignError>)>,
    /// What is kept of this checkpoint now.
    pub cosigned: Cosigned,
    /// When each of the panel's keys cosigned, of those alone that answered this time.
    answered: Vec<Option<u64>>,
}

/// Who cosigned at one address, each name once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// Whose keys cosigned.
    pub cosigned_by: Vec<String>,
    /// Whose status-map keys did.
    pub map_by: Vec<String>,
}

impl Said {
    /// Sorts the lines of an answer.
    fn of(lines: &[NoteSignature], keys: &[NoteVerifier]) -> Self {
        let mut said = Self::default();
        for key in keys.iter().filter(|key| lines.iter().any(|line| made(key, line))) {
            let names = if key.kind() == KeyKind::StatusMapV1 { &mut said.map_by } else { &mut said.cosigned_by };
            if !names.iter().any(|name| name == key.name()) {
                names.push(key.name().to_owned());
            }
        }
        said
    }
}

fn made(key: &NoteVerifier, line: &NoteSignature) -> bool {
    (key.name(), key.key_id()) == (line.name(), line.key_id())
}

impl Round {
    /// Tells whether the quorum is met; where none is asked for, whether anybody cosigned.
    pub fn is_met(&self, panel: &Panel) -> bool {
        panel.is_met(&self.cosigned.times)
    }

    /// Tells whether it is met by those alone who answered this time.
    pub fn is_met_now(&self, panel: &Panel) -> bool {
        panel.is_met(&self.answered)
    }

    /// Returns the latest time as of which the quorum says that the checkpoint is the newest; where none is asked for,
    /// as of which anybody says so.
    pub fn as_of(&self) -> Option<u64> {
        self.cosigned.as_of.or_else(|| self.cosigned.latest.iter().copied().flatten().max())
    }
}

/// Returns whose cosignatures a store keeps.
pub fn witnesses(panel: &Panel) -> Witnesses {
    Witnesses { keys: panel.keys(), quorum: panel.quorum().cloned() }
}

/// Asks every witness to cosign the newest checkpoint, and keeps what they said. Each has until the deadline.
///
/// # Errors
/// The store could not read, or keep what was said.
pub async fn cosign(store: &Store, panel: &Panel, fetcher: &Fetcher, deadline: Duration) -> Result<Round, ReadError> {
    let unread =
        |why: String| ReadError::Storage(griptrace_store::StorageError::Corrupt { object: "head".into(), why });
    let note = Note::parse(store.checkpoint().as_bytes()).map_err(|e| unread(e.to_string()))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| unread(e.to_string()))?;
    let size = checkpoint.size;
    let kept = witnesses(panel);
    let mut addresses = panel.addresses();
    know_last(store, &kept, &mut addresses)?;
    let log = store.verifiers();
    let proofs = |old| store.consistency(old, size).map_err(Into::into);
    let head = Head { note: &note, checkpoint: &checkpoint, log: &log, proofs: &proofs };
    let answered = client::ask_all(fetcher, &addresses, head, deadline).await;
    let mut lines = Vec::new();
    let mut answers = Vec::with_capacity(answered.len());
    for (address, answer) in addresses.into_iter().zip(answered) {
        let said = answer.map(|answer| {
            let said = Said::of(&answer, &address.keys);
            lines.extend(answer);
            said
        });
        answers.push((address.url, said));
    }
    let cosigned = store.keep_cosignatures(size, &lines, &kept)?;
    let has_answered = |key: &NoteVerifier| lines.iter().any(|line| made(key, line));
    let times = kept.keys.iter().zip(&cosigned.latest);
    let answered = times.map(|(key, time)| time.filter(|_| has_answered(key))).collect();
    Ok(Round { size, answers, cosigned, answered })
}

/// Finds what each witness cosigned last, so that most are asked once only.
fn know_last(store: &Store, kept: &Witnesses, addresses: &mut [Address]) -> Result<(), ReadError> {
    for size in store.last_cosigned(LOOKED_THROUGH)? {
        if addresses.iter().all(|address| address.last > 0) {
            break;
        }
        // Damage to what is kept is told by the audit; here it costs one more question.
        let Ok(Some(cosigned)) = store.cosigned(size, kept) else { continue };
        for address in addresses.iter_mut().filter(|address| address.last == 0) {
            let said = |(key, time): (_, &Option<u64>)| time.is_some() && address.keys.contains(key);
            if kept.keys.iter().zip(&cosigned.times).any(said) {
                address.last = size;
            }
        }
    }
    Ok(())
}

/// Writes down what a witness holds against this log, and returns where.
///
/// # Errors
/// What the system said.
pub fn keep_evidence(folder: &Path, url: &str, note: &Note) -> io::Result<PathBuf> {
    let folder = folder.join(EVIDENCE);
    fs::create_dir_all(&folder)?;
    // The same case has the same name.
    let name = origin_hash(&format!("{url}\n{}", note.to_text())).chars().take(16).collect::<String>();
    let path = folder.join(format!("witness-{name}.note"));
    fs::write(&path, note.to_text())?;
    Ok(path)
}

/// Returns what was written down that a witness holds against this log, if the log does not hold it by now: a checkpoint
/// that its key signed, and that was never its own at that size.
///
/// # Errors
/// The store could not read.
pub fn held_against(folder: &Path, store: &Store) -> Result<Option<PathBuf>, ReadError> {
    let Ok(found) = fs::read_dir(folder.join(EVIDENCE)) else { return Ok(None) };
    let mut paths: Vec<PathBuf> = found.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort_unstable();
    for path in paths {
        let Some(other) = fs::read(&path).ok().and_then(|bytes| signed_by_log(&bytes, &store.verifiers())) else {
            continue;
        };
        let own = if other.size > store.size() { None } else { store.checkpoint_at(other.size)? };
        let own = own.and_then(|note| checkpoint_of(&Note::parse(note.as_bytes()).ok()?));
        if own.is_none_or(|own| own.root != other.root) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn signed_by_log(bytes: &[u8], log: &[NoteVerifier]) -> Option<Checkpoint> {
    let note = Note::parse(bytes).ok()?;
    signed(&note, log).ok()?;
    checkpoint_of(&note)
}

fn checkpoint_of(note: &Note) -> Option<Checkpoint> {
    Checkpoint::parse(note.text()).ok()
}

/// Has the log cosigned again and again, beside everything else: commits never wait for a witness.
pub(crate) struct Keeper {
    store: Store,
    panel: Panel,
    fetcher: Fetcher,
    every: Duration,
    deadline: Duration,
    renew: Duration,
    post: Arc<Post>,
}

/// What the witnesses cosigned last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kept {
    size: u64,
    /// The latest time as of which they say that it is the newest checkpoint.
    as_of: u64,
}

impl Keeper {
    /// Makes what asks the witnesses of the settings.
    ///
    /// # Errors
    /// `Witnesses`.
    pub(crate) fn new(store: &Store, asked: &Witnessing, post: &Arc<Post>) -> Result<Self, ServeError> {
        let wrong = |why: String| ServeError::Witnesses { path: asked.file.clone(), why };
        let maps: Vec<&str> = asked.maps.iter().map(String::as_str).collect();
        let panel = Panel::parse(&asked.policy, &maps, &store.verifiers()).map_err(|e| wrong(e.to_string()))?;
        let fetcher = Fetcher::new().map_err(|e| wrong(e.to_string()))?;
        let (every, deadline, renew) = (asked.every, asked.deadline, asked.renew);
        Ok(Self { store: store.clone(), panel, fetcher, every, deadline, renew, post: Arc::clone(post) })
    }

    /// Returns whose cosignatures bundles show.
    pub(crate) fn witnesses(&self) -> Witnesses {
        witnesses(&self.panel)
    }

    /// Asks for ever, whenever there is a checkpoint that the quorum has not cosigned; and again where it did so a while
    /// ago, so that a log in which nothing happens does not grow old.
    pub(crate) async fn run(self) {
        let mut kept: Option<(Kept, Instant)> = None;
        loop {
            let is_done =
                |(kept, since): &(Kept, Instant)| kept.size == self.store.size() && since.elapsed() < self.renew;
            // Of several servers of one log the one that writes asks.
            if self.post.is_writer() && !kept.as_ref().is_some_and(is_done) {
                let (store, panel, fetcher) = (self.store.clone(), self.panel.clone(), self.fetcher.clone());
                let (handle, deadline) = (Handle::current(), self.deadline);
                // It reads and writes files, which keeps nobody waiting there.
                let asked = spawn_blocking(move || handle.block_on(cosign(&store, &panel, &fetcher, deadline))).await;
                let found = asked.ok().and_then(|round| self.tell(round));
                // What is no later than before is not new: then they are asked again at the next round.
                let is_new = |found: &Kept| kept.as_ref().is_none_or(|(kept, _)| found != kept);
                kept = found.filter(is_new).map(|found| (found, Instant::now())).or(kept);
            }
            sleep(self.every).await;
        }
    }

    /// Tells what came of it; returns what the quorum has cosigned, if it is met.
    fn tell(&self, round: Result<Round, ReadError>) -> Option<Kept> {
        let round = match round {
            Ok(round) => round,
            Err(error) => {
                tracing::error!(%error, "cannot keep what the witnesses said");
                return None;
            }
        };
        let size = round.size;
        for (url, answer) in &round.answers {
            let Err(error) = answer else { continue };
            tracing::warn!(url, size, %error, "a witness did not cosign");
            if let Some(note) = error.evidence() {
                tracing::error!(
                    url,
                    evidence = note.to_text(),
                    "a witness has cosigned this log otherwise than it is here"
                );
            }
        }
        round.is_met(&self.panel).then(|| {
            let as_of = round.as_of().unwrap_or(0);
            tracing::info!(size, as_of, "the witnesses cosigned");
            Kept { size, as_of }
        })
    }
}
