//! What a witness remembers of one log: whose it is, and the last checkpoint that was cosigned.
//!
//! `logs/<hash>/log` says which keys are believed; `logs/<hash>/state` is there from the day the log was added, so
//! that a state that was lost is told from one that never was.

use std::io;

use griptrace_core::{
    checkpoint::{Checkpoint, check_origin},
    digest::Digest,
    note::{KeyKind, Note, NoteVerifier},
};
use sha2::{Digest as _, Sha256};

use crate::{judge, shelf::Shelf};

/// What the first line of every state begins with; the SHA-256 of the rest follows.
const STATE: &str = "griptrace-witness-state-v1";
/// What follows while nothing was cosigned.
const NEVER: &str = "never cosigned\n";
/// Cases of evidence that are kept of one log: more would only fill the disk.
const EVIDENCE_MAX: usize = 64;

/// Whose checkpoints are cosigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogKeys {
    /// The origin: the name of all keys.
    pub origin: String,
    /// The keys that are believed.
    pub keys: Vec<NoteVerifier>,
    /// Where the log's tiles are, for a witness that recomputes the status map.
    pub url: Option<String>,
}

/// The last cosigned checkpoint, with the log's signatures and the witness' own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cosigned {
    /// What was cosigned.
    pub checkpoint: Checkpoint,
    /// When: seconds since 1970.
    pub time: u64,
    /// The whole note.
    pub note: Note,
}

/// Why a log is not opened or added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed.
    #[error("cannot read or write {name}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{name} is damaged: {why}")]
    Damaged {
        /// The file.
        name: String,
        /// What was found.
        why: String,
    },
    /// The key can't be that of a log.
    #[error("{vkey} is not the key of a log: {why}")]
    Key {
        /// The key.
        vkey: String,
        /// Why not.
        why: String,
    },
    /// The log is there already.
    #[error("the log {origin} is there already with this key")]
    Exists {
        /// The log's origin.
        origin: String,
    },
}

impl LogError {
    fn damaged(name: &str, why: &dyn core::fmt::Display) -> Self {
        Self::Damaged { name: name.to_owned(), why: why.to_string() }
    }

    fn io(name: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { name: name.to_owned(), source }
    }
}

/// Returns what a log is called in paths: the SHA-256 of its origin (tlog-witness, monitor retrieval).
pub fn origin_hash(origin: &str) -> String {
    Digest::from_bytes(Sha256::digest(origin).into()).to_string()
}

fn keys_name(hash: &str) -> String {
    format!("logs/{hash}/log")
}

fn state_name(hash: &str) -> String {
    format!("logs/{hash}/state")
}

/// Adds a log, or another key to one.
///
/// # Errors
/// `Key`, `Exists`, `Damaged`, `Io`.
pub fn add(shelf: &dyn Shelf, vkey: &str, url: Option<&str>) -> Result<LogKeys, LogError> {
    let wrong = |why: &dyn core::fmt::Display| LogError::Key { vkey: vkey.to_owned(), why: why.to_string() };
    let key = NoteVerifier::parse(vkey).map_err(|e| wrong(&e))?;
    if key.kind() != KeyKind::Ed25519 {
        return Err(wrong(&"it is a cosigner's"));
    }
    check_origin(key.name()).map_err(|e| wrong(&e))?;
    if url.is_some_and(|url| url.is_empty() || url.contains(char::is_whitespace)) {
        return Err(wrong(&"its URL is empty or has white space"));
    }
    let origin = key.name().to_owned();
    let hash = origin_hash(&origin);
    let mut log = match read_keys(shelf, &hash)? {
        Some(log) => log,
        None => LogKeys { origin: origin.clone(), keys: Vec::new(), url: None },
    };
    let is_known = log.keys.contains(&key);
    if is_known && (url.is_none() || url == log.url.as_deref()) {
        return Err(LogError::Exists { origin });
    }
    if !is_known {
        log.keys.push(key);
    }
    if let Some(url) = url {
        log.url = Some(url.to_owned());
    }
    let state = state_name(&hash);
    if shelf.read(&state).map_err(LogError::io(&state))?.is_none() && log.keys.len() == 1 {
        shelf.replace(&state, &state_bytes(NEVER)).map_err(LogError::io(&state))?;
    }
    // Crash here: a state without keys, which nobody is cosigned from.
    let name = keys_name(&hash);
    shelf.replace(&name, log.to_text().as_bytes()).map_err(LogError::io(&name))?;
    Ok(log)
}

/// Reads the keys of a log; `None` if it was never added.
///
/// # Errors
/// `Damaged`, `Io`.
pub fn read_keys(shelf: &dyn Shelf, hash: &str) -> Result<Option<LogKeys>, LogError> {
    let name = keys_name(hash);
    let Some(bytes) = shelf.read(&name).map_err(LogError::io(&name))? else { return Ok(None) };
    let text = core::str::from_utf8(&bytes).map_err(|e| LogError::damaged(&name, &e))?;
    let mut keys = Vec::new();
    let mut url = None;
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some("log"), Some(vkey)) = (words.next(), words.next()) else {
            return Err(LogError::damaged(&name, &"a line is not `log VKEY [URL]`"));
        };
        keys.push(NoteVerifier::parse(vkey).map_err(|e| LogError::damaged(&name, &e))?);
        url = words.next().map(str::to_owned).or(url);
    }
    let origin = keys.first().map(|key| key.name().to_owned());
    let origin = origin.ok_or_else(|| LogError::damaged(&name, &"it names no key"))?;
    if origin_hash(&origin) != hash || keys.iter().any(|key| key.name() != origin) {
        return Err(LogError::damaged(&name, &format!("it is of the log {origin}")));
    }
    Ok(Some(LogKeys { origin, keys, url }))
}

/// Returns the names of the logs that were added, sorted.
///
/// # Errors
/// `Io`.
pub fn names(shelf: &dyn Shelf) -> Result<Vec<String>, LogError> {
    let mut names = shelf.list("logs").map_err(LogError::io("logs"))?;
    names.sort_unstable();
    Ok(names)
}

/// Reads the last cosigned checkpoint of a log, and verifies that the log and the witness signed it.
///
/// # Errors
/// `Damaged`, also if it is missing; `Io`.
pub fn read_state(shelf: &dyn Shelf, log: &LogKeys, own: &[NoteVerifier]) -> Result<Option<Cosigned>, LogError> {
    let name = state_name(&origin_hash(&log.origin));
    let damaged = |why: &dyn core::fmt::Display| LogError::damaged(&name, why);
    let bytes = shelf.read(&name).map_err(LogError::io(&name))?;
    let bytes = bytes.ok_or_else(|| damaged(&"it is missing, and nothing else tells what was cosigned"))?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let rest = bytes.get(end.saturating_add(1)..).unwrap_or_default();
    if core::str::from_utf8(rest).ok().map(state_bytes).as_ref() != Some(&bytes) {
        return Err(damaged(&"it is no state, or has another checksum than its bytes"));
    }
    if rest == NEVER.as_bytes() {
        return Ok(None);
    }
    let note = Note::parse(rest).map_err(|e| damaged(&e))?;
    judge::signed(&note, &log.keys).map_err(|e| damaged(&e))?;
    let ours = note.verify(own).map_err(|e| damaged(&e))?;
    let time = ours.iter().filter_map(|line| line.timestamp).max();
    let time = time.ok_or_else(|| damaged(&"this witness did not cosign it"))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| damaged(&e))?;
    if checkpoint.origin != log.origin {
        return Err(damaged(&format!("it is of the log {}", checkpoint.origin)));
    }
    Ok(Some(Cosigned { checkpoint, time, note }))
}

/// Keeps a cosigned checkpoint: when this returns, it is durable.
///
/// # Errors
/// What the system said; then the old one or the new one is there.
pub fn keep(shelf: &dyn Shelf, cosigned: &Cosigned) -> io::Result<()> {
    let name = state_name(&origin_hash(&cosigned.checkpoint.origin));
    shelf.replace(&name, &state_bytes(&cosigned.note.to_text()))
}

fn state_bytes(rest: &str) -> Vec<u8> {
    format!("{STATE} {}\n{rest}", origin_hash(rest)).into_bytes()
}

/// Keeps what shows that a log lied, under a name that says how. The same case is kept once.
///
/// # Errors
/// What the system said.
pub fn keep_evidence(shelf: &dyn Shelf, origin: &str, what: &str, evidence: &[u8]) -> io::Result<()> {
    let folder = format!("logs/{}/evidence", origin_hash(origin));
    let digest = Digest::from_bytes(Sha256::digest(evidence).into()).to_string();
    let digest: String = digest.chars().take(16).collect();
    let file = format!("{what}-{digest}");
    let kept = shelf.list(&folder)?;
    if kept.len() >= EVIDENCE_MAX || kept.contains(&file) {
        return Ok(());
    }
    shelf.replace(&format!("{folder}/{file}"), evidence)
}

/// Returns the names of the evidence that is kept of a log, sorted.
///
/// # Errors
/// `Io`.
pub fn evidence(shelf: &dyn Shelf, origin: &str) -> Result<Vec<String>, LogError> {
    let folder = format!("logs/{}/evidence", origin_hash(origin));
    let mut names = shelf.list(&folder).map_err(LogError::io(&folder))?;
    names.sort_unstable();
    Ok(names)
}

impl LogKeys {
    fn to_text(&self) -> String {
        let url = self.url.as_ref().map_or_else(String::new, |url| format!(" {url}"));
        let lines: Vec<String> = self.keys.iter().map(|key| format!("log {}{url}\n", key.to_vkey())).collect();
        lines.concat()
    }
}
