//! The keys of a log on a server: the one that its first entry names, and those that followed it.
//!
//! A server only shows a change. What proves it is the change itself: it names the log, and is signed by the key before it, or by a
//! revoker that the first entry names, and by the key that follows. So whoever knows any one key of a log can go on to that of now.

use griptrace_core::{
    checkpoint::Checkpoint,
    entry::{Entry, Genesis, genesis_hash},
    id::GenesisHash,
    key::PublicKey,
    key_change::{KeyChange, KeyUse},
    key_history::KeyHistory,
    limits::KEY_CHANGES_MAX,
    note::{Note, NoteVerifier},
};
use griptrace_proto::v1;

use super::{
    check::{self, Pinned},
    lie::Lie,
};
use crate::{error::CommandError, workspace::verifier};

/// Which log a server has, and the keys of that log. That it is the right one, only who knows a key of it can say.
#[derive(Clone, Debug)]
pub(crate) struct LogKeys {
    genesis: Genesis,
    home: GenesisHash,
    /// Keys by the size above which they sign, the first one first.
    keys: Vec<(u64, NoteVerifier)>,
    changes: Vec<Change>,
    history: KeyHistory,
}

/// A change of the log's key, whose signatures were verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Change {
    /// The leaf index that it is said to have.
    pub(super) index: u64,
    /// What was signed.
    pub(super) change: KeyChange,
    /// The entry.
    pub(super) entry: Vec<u8>,
}

impl LogKeys {
    /// Reads what a server says of its log: the changes are signed by whom they concern, and lead from the key of the first entry to
    /// the one that it names.
    pub(super) fn read(answer: &v1::GetLogResponse) -> Result<Self, CommandError> {
        let genesis = match Entry::parse(&answer.genesis) {
            Ok(Entry::Genesis(genesis)) => genesis,
            Ok(Entry::Commit(_) | Entry::KeyChange(_) | Entry::StatusHead(_)) => {
                return Err(Lie::malformed("the log's first entry", "it is another entry").into());
            }
            Err(error) => return Err(Lie::malformed("the log's first entry", error).into()),
        };
        if answer.key_changes.len() > KEY_CHANGES_MAX {
            let found = answer.key_changes.len();
            let why = format!("there are {found}, and {KEY_CHANGES_MAX} at most");
            return Err(Lie::malformed("the changes of the log's key", why).into());
        }
        let changes = answer.key_changes.iter().map(read_change).collect::<Result<_, _>>()?;
        let keys = Self::of(genesis, genesis_hash(&answer.genesis), changes)?;
        let found = keys.newest().map(NoteVerifier::to_vkey).unwrap_or_default();
        if answer.vkey != found || answer.origin != keys.genesis.origin {
            return Err(Lie::Key { stated: format!("{} with the key {}", answer.origin, answer.vkey), found }.into());
        }
        Ok(keys)
    }

    fn of(genesis: Genesis, home: GenesisHash, changes: Vec<Change>) -> Result<Self, CommandError> {
        let history = KeyHistory::of(&genesis, &home, changes.iter().map(|change| (change.index, &change.change)));
        let last = changes.last().map_or(0, |change| change.index);
        let history = history.map_err(|why| Lie::KeyChange { index: last, why: why.to_string() })?;
        let key = |(from, key): (u64, &PublicKey)| {
            Ok::<_, CommandError>((from, verifier(&Genesis { key: key.clone(), ..genesis.clone() })?))
        };
        let keys = history.log_keys().map(key).collect::<Result<_, _>>()?;
        Ok(Self { genesis, home, keys, changes, history })
    }

    /// Returns the keys of a log of `size` entries.
    pub(super) fn at(self, size: u64) -> Result<Self, CommandError> {
        let Self { genesis, home, mut changes, .. } = self;
        changes.retain(|change| change.index < size);
        Self::of(genesis, home, changes)
    }

    /// Returns the log's first entry.
    pub(super) const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Returns the log that nodes are for.
    pub(super) const fn home(&self) -> GenesisHash {
        self.home
    }

    /// Returns which key signed checkpoints when.
    pub(super) const fn history(&self) -> &KeyHistory {
        &self.history
    }

    /// Returns the changes, in log order.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns the key of now.
    pub(super) fn newest(&self) -> Option<&NoteVerifier> {
        self.keys.last().map(|(_, key)| key)
    }

    /// Returns the place of a key among those of the log.
    pub(super) fn place(&self, vkey: &str) -> Option<usize> {
        self.keys.iter().position(|(_, key)| key.to_vkey() == vkey)
    }

    /// Returns the key that signs checkpoints of a size.
    pub(super) fn signs(&self, size: u64) -> Option<&NoteVerifier> {
        self.keys.iter().rev().find(|(from, _)| *from < size || *from == 0).map(|(_, key)| key)
    }

    /// Reads a checkpoint that the key of its size has to have signed.
    pub(super) fn checkpoint(&self, note: &str) -> Result<Pinned, Lie> {
        let key = self.signs(stated_size(note)?);
        check::checkpoint(key.ok_or_else(|| Lie::malformed("the log's keys", "there are none"))?, note)
    }

    /// Returns the change by which a revoker took the first key out of use. That key signed no word of this log then but its
    /// checkpoints up to there, and nobody signs a first entry: another one could name the key too, and a revoker of its own.
    pub(super) fn first_key_revoked(&self) -> Option<&Change> {
        self.changes.first().filter(|first| first.change.revoker.is_some())
    }

    /// Says how the key in a place was followed by the next.
    pub(super) fn told(&self, place: usize) -> Option<String> {
        let (change, (_, from)) = (self.changes.get(place)?, self.keys.get(place)?);
        let (_, to) = self.keys.get(place.saturating_add(1))?;
        let by = match &change.change.revoker {
            Some(revoker) => format!("the revoker {} and the new key signed that", revoker.id()),
            None => "both keys signed that".to_owned(),
        };
        let (origin, from, to) = (&self.genesis.origin, from.to_vkey(), to.to_vkey());
        Some(format!("the key of the log {origin} changed at leaf {}: {to} followed {from}; {by}", change.index))
    }
}

/// Reads the size that a checkpoint states, whoever signed it.
pub(super) fn stated_size(note: &str) -> Result<u64, Lie> {
    let malformed = |why: &dyn core::fmt::Display| Lie::malformed("the checkpoint", why);
    let parsed = Note::parse(note.as_bytes()).map_err(|e| malformed(&e))?;
    Ok(Checkpoint::parse(parsed.text()).map_err(|e| malformed(&e))?.size)
}

/// Reads a change and checks its signatures.
fn read_change(told: &v1::LogKeyChange) -> Result<Change, Lie> {
    let (index, entry) = (told.index, told.entry.to_vec());
    let wrong = |why: String| Lie::KeyChange { index, why };
    let Ok(Entry::KeyChange(signed)) = Entry::parse(&entry) else {
        return Err(wrong("the entry is no key change".to_owned()));
    };
    signed.verify().map_err(|e| wrong(e.to_string()))?;
    if signed.change.of != KeyUse::Log {
        return Err(wrong("it changes no key of the log".to_owned()));
    }
    Ok(Change { index, change: signed.change, entry })
}
