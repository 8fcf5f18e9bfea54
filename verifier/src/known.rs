//! What the buyer already has: older bundles and saved checkpoints, and what updates brought.
//!
//! It is compared with a bundle in steps 5 and 10: a log only grows, and forgets no mark. What is taken into
//! [`History`] was checked under the buyer's trust file before.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::fmt;

use griptrace_core::{
    bundle::{BundleError, BundleView},
    checkpoint::Checkpoint,
    digest::Digest,
    fork::{Fork, ForkError, Forked, signed},
    id::{GenesisHash, NodeId, StatusKey},
    note::{Note, NoteVerifier},
};

use crate::{
    evidence::{Broken, Log, broken, check_logs, unreadable},
    finding::{Code, Finding},
    report::GrowthReport,
    trust::{Trust, TrustedLog},
};

/// What the buyer has beside a bundle. None of it is read from the bundle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// What older files show, one for each.
    pub histories: Vec<History>,
    /// Assessors' own signed marks that updates brought; they count as those of the trust file do.
    pub withdrawals: Vec<Vec<u8>>,
    /// Digests of the updates that the bundle was made with, in order.
    pub updated_with: Vec<Digest>,
}

/// What one older bundle or saved checkpoint shows of logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    logs: Vec<KnownLog>,
}

/// What an older file shows of one log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KnownLog {
    pub(crate) origin: String,
    /// `None` where only a checkpoint was saved.
    genesis: Option<GenesisHash>,
    /// By ascending size; never empty.
    checkpoints: Vec<KnownCheckpoint>,
    /// What its commits and key changes add to the status map, with the leaf that each stands in.
    pub(crate) lines: BTreeMap<StatusKey, Vec<(u64, NodeId)>>,
}

/// A checkpoint that the log's key signed.
#[derive(Clone, PartialEq, Eq, Debug)]
struct KnownCheckpoint {
    size: u64,
    root: Digest,
    note: String,
}

/// Why nothing can be compared with an older file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HistoryError {
    /// It begins like no bundle of a version that is known.
    Bundle(BundleError),
    /// It is a bundle that does not hold together (steps 1 to 5).
    Broken(Finding),
    /// It is a checkpoint that can't be read, or that its log did not sign.
    Checkpoint(ForkError),
    /// The trust file does not have the checkpoint's log.
    LogUntrusted {
        /// The log.
        origin: String,
    },
}

impl HistoryError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bundle(error) => error.code(),
            Self::Broken(finding) => finding.code.as_str(),
            Self::Checkpoint(error) => error.code(),
            Self::LogUntrusted { .. } => Code::LogUntrusted.as_str(),
        }
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(error) => fmt::Display::fmt(error, f),
            Self::Broken(finding) => write!(f, "{}: {}", finding.code, finding.text),
            Self::Checkpoint(error) => fmt::Display::fmt(error, f),
            Self::LogUntrusted { origin } => write!(f, "the trust file has no log {origin}"),
        }
    }
}

impl core::error::Error for HistoryError {}

impl History {
    /// Takes what an older bundle shows of its logs, after steps 1 to 5: its checkpoints are signed by trusted logs, and
    /// genesis and commits are leaves under them. What it says of its nodes does not matter here.
    ///
    /// # Errors
    /// `Bundle`, `Broken`.
    pub fn of_bundle(file: &[u8], trust: &Trust) -> Result<Self, HistoryError> {
        let bundle = match BundleView::view(file) {
            Ok(bundle) => bundle,
            Err(error @ (BundleError::NotABundle | BundleError::Version)) => return Err(HistoryError::Bundle(error)),
            Err(error) => return Err(HistoryError::Broken(unreadable(&error))),
        };
        let (logs, entries) = check_logs(&bundle, trust).map_err(HistoryError::Broken)?;
        let mut known: Vec<KnownLog> = logs.iter().zip(&bundle.logs).map(|(log, part)| known_log(log, part)).collect();
        for (place, leaf, entry) in entries {
            let (Some(log), Some(part)) = (known.get_mut(place), bundle.logs.get(place)) else { continue };
            let bytes = part.entries.binary_search_by_key(&leaf, |(index, _)| *index).ok();
            let bytes = bytes.and_then(|at| part.entries.get(at)).map_or(&[][..], |(_, bytes)| *bytes);
            for line in entry.map_lines(bytes) {
                log.lines.entry(line.key).or_default().push((leaf, line.status));
            }
        }
        Ok(Self { logs: known })
    }

    /// Takes a saved checkpoint: a signed note.
    ///
    /// # Errors
    /// `Checkpoint`, `LogUntrusted`.
    pub fn of_checkpoint(note: &[u8], trust: &Trust) -> Result<Self, HistoryError> {
        let parsed = Note::parse(note).map_err(|error| HistoryError::Checkpoint(ForkError::Note(error)))?;
        let stated =
            Checkpoint::parse(parsed.text()).map_err(|error| HistoryError::Checkpoint(ForkError::Checkpoint(error)))?;
        let log = trust.logs.iter().find(|log| log.origin == stated.origin);
        let log = log.ok_or_else(|| HistoryError::LogUntrusted { origin: stated.origin.clone() })?;
        let note = parsed.to_text();
        // It may be from before the log's key changed. Why it is none of an earlier key's does not matter.
        let mut earlier = log.keys().skip(1).filter(|(_, until)| stated.size <= *until);
        let by_earlier = earlier.find_map(|(key, _)| signed(key, &note).ok());
        let checkpoint = by_earlier.map_or_else(|| signed(&log.key, &note), Ok);
        let Checkpoint { origin, size, root } = checkpoint.map_err(HistoryError::Checkpoint)?;
        let checkpoints = [KnownCheckpoint { size, root, note }].into();
        Ok(Self { logs: [KnownLog { origin, genesis: None, checkpoints, lines: BTreeMap::new() }].into() })
    }

    /// Returns what it shows of a log.
    pub(crate) fn of_log(&self, origin: &str) -> Option<&KnownLog> {
        self.logs.iter().find(|log| log.origin == origin)
    }
}

fn known_log(log: &Log, part: &griptrace_core::bundle::LogPart<&[u8]>) -> KnownLog {
    let checkpoints = log.anchors.iter().zip(&part.anchors);
    let checkpoints = checkpoints.map(|(anchor, brought)| KnownCheckpoint {
        size: anchor.size,
        root: anchor.root,
        note: brought.note.clone(),
    });
    KnownLog {
        origin: log.genesis.origin.clone(),
        genesis: Some(log.home),
        checkpoints: checkpoints.collect(),
        lines: BTreeMap::new(),
    }
}

/// What comparing with older files gave.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Logs that were shown to have only grown.
    pub(crate) grown: Vec<GrowthReport>,
    /// What is wrong, short of a fork.
    pub(crate) findings: Vec<(Code, String)>,
}

/// Step 5: each log that an older file shows is the same log here, and has only grown.
pub(crate) fn compare(logs: &[Log], known: &Known) -> Result<Compared, Broken> {
    let mut compared = Compared::default();
    for history in &known.histories {
        let mut shared = 0_usize;
        for (log, old) in logs.iter().filter_map(|log| Some((log, history.of_log(&log.genesis.origin)?))) {
            shared = shared.saturating_add(1);
            check_one_history(log, old)?;
            compared.add(log, old);
        }
        if shared == 0 {
            let origins: BTreeSet<&str> = history.logs.iter().map(|log| log.origin.as_str()).collect();
            let origins = origins.into_iter().collect::<Vec<_>>().join(", ");
            let text = format!("the file that it was to be compared with shows other logs: {origins}");
            compared.findings.push((Code::HistoryNotLinked, text));
        }
    }
    Ok(compared)
}

/// Finds two checkpoints of one size with different roots: what was known, and the root shown here.
fn two_roots<'k>(log: &Log, old: &'k KnownLog) -> Option<(&'k KnownCheckpoint, Digest)> {
    let root_at = |size: u64| {
        let place = log.anchors.binary_search_by_key(&size, |anchor| anchor.size).ok()?;
        log.anchors.get(place).map(|anchor| anchor.root)
    };
    let mut known = old.checkpoints.iter().filter_map(|known| Some((known, root_at(known.size)?)));
    known.find(|(known, root)| known.root != *root)
}

fn check_one_history(log: &Log, old: &KnownLog) -> Result<(), Broken> {
    let origin = &log.genesis.origin;
    if let Some((known, root)) = two_roots(log, old) {
        let text = format!(
            "the key of {origin} signed two checkpoints of size {}, with the roots {} and {root}",
            known.size, known.root
        );
        return Err(broken(Code::HistoryForked, None, text));
    }
    match old.genesis {
        Some(genesis) if genesis != log.home => {
            let text = format!("{origin} began twice: with genesis {genesis} and, as shown here, with {}", log.home);
            Err(broken(Code::HistoryForked, None, text))
        }
        Some(_) | None => Ok(()),
    }
}

impl Compared {
    fn add(&mut self, log: &Log, old: &KnownLog) {
        let (Some(seen), Some(newest)) = (old.checkpoints.last(), log.newest()) else { return };
        let (origin, from_size, to_size) = (log.genesis.origin.clone(), seen.size, newest.size);
        if log.anchors.iter().any(|anchor| anchor.size == from_size) {
            let growth = GrowthReport { origin, from_size, to_size };
            if !self.grown.contains(&growth) {
                self.grown.push(growth);
            }
        } else if old.checkpoints.iter().any(|known| known.size == to_size) {
            let text = format!("{origin} is shown at {to_size} entries, and was seen with {from_size} before");
            self.findings.push((Code::HistoryShorter, text));
        } else {
            let text = format!(
                "{origin} is shown at {to_size} entries, and nothing shows that they and the {from_size} seen before are of one history"
            );
            self.findings.push((Code::HistoryNotLinked, text));
        }
    }
}

/// Returns the evidence of a fork that others can check: a checkpoint of the bundle, and one of what is known, of the
/// same log and size and with different roots, both signed by one key that the trust file has of it. `None` where there
/// are no two such: the log may have signed one of them with a key that others don't have.
pub fn fork(file: &[u8], trust: &Trust, known: &Known) -> Option<Fork> {
    let bundle = BundleView::view(file).ok()?;
    let (logs, _) = check_logs(&bundle, trust).ok()?;
    let pairs = logs.iter().zip(&bundle.logs);
    let mut forks = pairs.flat_map(|pair| known.histories.iter().map(move |history| (pair, history)));
    forks.find_map(|((log, part), history)| {
        let (old, _) = two_roots(log, history.of_log(&log.genesis.origin)?)?;
        let place = log.anchors.binary_search_by_key(&old.size, |anchor| anchor.size).ok()?;
        let (before, now) = (&old.note, &part.anchors.get(place)?.note);
        let trusted = trust.logs.iter().find(|trusted| trusted.origin == log.genesis.origin)?;
        let by = |key: &NoteVerifier| Fork { vkey: key.clone(), before: before.clone(), now: now.clone() };
        trusted.keys().map(|(key, _)| by(key)).find(|fork| check_fork(fork, trusted).is_ok())
    })
}

/// Checks evidence of a fork under the keys that the trust file has of the log: by one that it has as an earlier key,
/// checkpoints up to the size beside it. So no log gets rid of evidence by changing its key.
///
/// # Errors
/// What it lacks ([`ForkError`]). Whatever is missing, it accuses nobody.
pub fn check_fork(fork: &Fork, log: &TrustedLog) -> Result<Forked, ForkError> {
    let untrusted = || ForkError::Key { found: fork.vkey.to_vkey() };
    let (key, until) = log.keys().find(|(key, _)| **key == fork.vkey).ok_or_else(untrusted)?;
    let shown = fork.check(key)?;
    if shown.size <= until { Ok(shown) } else { Err(untrusted()) }
}
