//! The witness: requests in, answers out; what is cosigned is kept before anybody is told.

use core::fmt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use griptrace_core::{
    checkpoint::Checkpoint,
    note::{Cosigner, Note, NoteSignature, NoteVerifier},
};

use crate::{
    judge::{self, Answer, Refusal},
    log::{self, Cosigned, LogError, LogKeys, origin_hash},
    shelf::Shelf,
    wire::AddCheckpoint,
};

/// What a witness signs with.
#[derive(Clone, Debug)]
pub struct Cosigners {
    /// The keys that say: this log only grew. At least one.
    pub plain: Vec<Cosigner>,
    /// The key that says: its status map was recomputed.
    pub map: Option<Cosigner>,
}

impl Cosigners {
    /// Returns the public halves.
    pub fn verifiers(&self) -> Vec<NoteVerifier> {
        self.plain.iter().chain(&self.map).map(|cosigner| cosigner.verifier().clone()).collect()
    }
}

/// A witness, with what it remembers.
pub struct Witness {
    shelf: Box<dyn Shelf>,
    cosigners: Cosigners,
    own: Vec<NoteVerifier>,
    /// By the hash of the origin. A log that was added while this runs is found on the shelf.
    logs: Mutex<HashMap<String, Arc<Log>>>,
}

/// One log, and what was cosigned of it.
#[derive(Debug)]
pub struct Log {
    keys: LogKeys,
    /// Held from the look at the old size until the new one is durable: requests for one log go one by one.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Option<Cosigned>,
    /// Whether a write failed: only opening again tells what is on the disk.
    is_unsure: bool,
}

/// A checkpoint that was cosigned, and what to do about its status map.
#[derive(Clone, Debug)]
pub struct Added {
    /// The log.
    pub log: Arc<Log>,
    /// What was cosigned.
    pub checkpoint: Checkpoint,
    /// The whole note that was kept.
    pub note: String,
    /// The lines to answer.
    pub lines: Vec<NoteSignature>,
    /// Whether the line about the status map is among them.
    pub has_map: bool,
}

impl Log {
    /// Returns whose it is.
    pub const fn keys(&self) -> &LogKeys {
        &self.keys
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("shelf", &self.shelf).field("own", &self.own).finish_non_exhaustive()
    }
}

impl Witness {
    /// Opens a witness, and reads what it remembers of every log.
    ///
    /// # Errors
    /// The first thing that is damaged: from a state that can't be believed nothing is cosigned.
    pub fn open(shelf: Box<dyn Shelf>, cosigners: Cosigners) -> Result<Self, LogError> {
        let own = cosigners.verifiers();
        let witness = Self { shelf, cosigners, own, logs: Mutex::default() };
        for hash in log::names(&*witness.shelf)? {
            witness.log(&hash)?;
        }
        Ok(witness)
    }

    /// Returns the public keys.
    pub fn verifiers(&self) -> &[NoteVerifier] {
        &self.own
    }

    /// Tells whether status maps are recomputed.
    pub const fn recomputes_maps(&self) -> bool {
        self.cosigners.map.is_some()
    }

    /// Answers `add-checkpoint`, but for the status map.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Answer {
        match self.add(body, now) {
            Ok(added) => added.answer(),
            Err(refusal) => refusal.answer(),
        }
    }

    /// Checks a checkpoint, cosigns it, and keeps it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn add(&self, body: &[u8], now: u64) -> Result<Added, Refusal> {
        let request = AddCheckpoint::parse(body).map_err(Refusal::Request)?;
        let checkpoint = judge::checkpoint(&request.note)?;
        let unknown = || Refusal::Unknown { origin: checkpoint.origin.clone() };
        let log = self.log(&origin_hash(&checkpoint.origin)).map_err(|error| {
            tracing::error!(%error, "cannot read a log");
            Refusal::Unkept
        })?;
        let log = log.ok_or_else(unknown)?;
        judge::signed(&request.note, &log.keys.keys)?;
        let mut state = log.state();
        if state.is_unsure {
            return Err(Refusal::Unkept);
        }
        if let Some(last) = &state.last {
            judge::in_use(&request.note, &last.note, &log.keys.keys)?;
            self.keep_split(last, &checkpoint, &request.note);
        }
        judge::check(&request, &checkpoint, state.last.as_ref().map(|last| &last.checkpoint))?;
        if state.last.as_ref().is_some_and(|last| last.time > now) {
            return Err(Refusal::Clock);
        }
        // Sent again within the second it is the same cosignature, and costs no write: anybody may send it.
        let same = state.last.as_ref().filter(|last| last.checkpoint == checkpoint && last.time == now);
        let cosigned = match same {
            Some(last) => last.clone(),
            None => self.cosign(&log.keys, &checkpoint, &request.note, now)?,
        };
        if state.last.as_ref() != Some(&cosigned) {
            self.keep(&mut state, cosigned.clone())?;
        }
        drop(state);
        Ok(self.added(log, cosigned))
    }

    /// Adds the line about the status map to a checkpoint, if that is still the last cosigned one. Returns the line.
    pub fn add_map(&self, log: &Log, checkpoint: &Checkpoint) -> Option<NoteSignature> {
        let cosigner = self.cosigners.map.as_ref()?;
        let mut state = log.state();
        let last = state.last.clone().filter(|last| last.checkpoint == *checkpoint && !state.is_unsure)?;
        let line = cosigner.sign(last.note.text(), last.time).ok()?;
        let mut lines = last.note.signatures().to_vec();
        if !lines.contains(&line) {
            lines.push(line.clone());
            let note = Note::new(last.note.text(), lines).ok()?;
            self.keep(&mut state, Cosigned { note, ..last }).ok()?;
        }
        Some(line)
    }

    /// Keeps what shows that a log lied about its status map.
    pub fn keep_lie(&self, log: &Log, what: &str, evidence: &[u8]) {
        if let Err(error) = log::keep_evidence(&*self.shelf, &log.keys.origin, what, evidence) {
            tracing::error!(origin = log.keys.origin, %error, "cannot keep evidence");
        }
    }

    /// Returns the last cosigned checkpoint of a log, by the hash of its origin: what monitors read.
    pub fn checkpoint(&self, hash: &str) -> Answer {
        let found = self.log(hash).ok().flatten();
        let note = found.and_then(|log| log.state().last.as_ref().map(|last| last.note.to_text()));
        note.map_or_else(|| Answer::text(404, "nothing was cosigned\n"), |note| Answer::text(200, note))
    }

    /// Returns a log, which may have been added since the last look.
    fn log(&self, hash: &str) -> Result<Option<Arc<Log>>, LogError> {
        // What comes from a path must not lead out of the folder.
        if hash.len() != 64 || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(None);
        }
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = logs.get(hash) {
            return Ok(Some(Arc::clone(log)));
        }
        let Some(keys) = log::read_keys(&*self.shelf, hash)? else { return Ok(None) };
        let last = log::read_state(&*self.shelf, &keys, &self.own)?;
        let log = Arc::new(Log { keys, state: Mutex::new(State { last, is_unsure: false }) });
        logs.insert(hash.to_owned(), Arc::clone(&log));
        Ok(Some(log))
    }

    /// Signs. Nobody sees it before it is kept.
    fn cosign(&self, keys: &LogKeys, checkpoint: &Checkpoint, note: &Note, now: u64) -> Result<Cosigned, Refusal> {
        let text = note.text();
        let is_the_logs = |line: &&NoteSignature| {
            keys.keys.iter().any(|key| key.name() == line.name() && key.key_id() == line.key_id())
        };
        let mut lines: Vec<NoteSignature> = note.signatures().iter().filter(is_the_logs).cloned().collect();
        for cosigner in &self.cosigners.plain {
            lines.push(cosigner.sign(text, now).map_err(Refusal::Signature)?);
        }
        let note = Note::new(text, lines).map_err(Refusal::Signature)?;
        Ok(Cosigned { checkpoint: checkpoint.clone(), time: now, note })
    }

    fn keep(&self, state: &mut State, cosigned: Cosigned) -> Result<(), Refusal> {
        if let Err(error) = log::keep(&*self.shelf, &cosigned) {
            // The old state or the new one is there: until it is read again nothing more is cosigned.
            state.is_unsure = true;
            tracing::error!(origin = cosigned.checkpoint.origin, %error, "cannot keep what was cosigned");
            return Err(Refusal::Unkept);
        }
        // Crash here: the log asks again, and is told the new size.
        state.last = Some(cosigned);
        Ok(())
    }

    /// Keeps two checkpoints of one size that differ: nobody but the log can have signed both.
    fn keep_split(&self, last: &Cosigned, checkpoint: &Checkpoint, note: &Note) {
        if last.checkpoint.size != checkpoint.size || last.checkpoint.root == checkpoint.root {
            return;
        }
        let (origin, size) = (&checkpoint.origin, checkpoint.size);
        tracing::error!(origin, size, "the log signed two roots for one size");
        let evidence = format!("{}\n{}", last.note.to_text(), note.to_text());
        if let Err(error) = log::keep_evidence(&*self.shelf, origin, &format!("split-{size}"), evidence.as_bytes()) {
            tracing::error!(origin, %error, "cannot keep evidence");
        }
    }

    fn added(&self, log: Arc<Log>, cosigned: Cosigned) -> Added {
        let by = |key: &NoteVerifier, line: &NoteSignature| key.name() == line.name() && key.key_id() == line.key_id();
        let lines = cosigned.note.signatures().iter().filter(|line| self.own.iter().any(|key| by(key, line)));
        let lines: Vec<NoteSignature> = lines.cloned().collect();
        let map = self.cosigners.map.as_ref().map(Cosigner::verifier);
        let has_map = map.is_some_and(|key| lines.iter().any(|line| by(key, line)));
        Added { log, note: cosigned.note.to_text(), checkpoint: cosigned.checkpoint, lines, has_map }
    }
}

impl Added {
    /// Returns what is answered.
    pub fn answer(&self) -> Answer {
        Answer::text(200, self.lines.iter().map(NoteSignature::to_line).collect::<String>())
    }
}
