//! The keys that a bundle rests on: whoever knows an older or a newer one of them has to find the way between.

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    commit::Commit,
    id::KeyId,
    key_change::{KeyChange, KeyUse},
    key_history::concerned,
};

use super::Prover;
use crate::{State, error::StorageError};

/// Keys and their changes.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The log's first key, those that signed the commits, and all that a change leads to or from these.
    pub(super) keys: BTreeSet<KeyId>,
    /// The leaf indices of these changes.
    pub(super) changes: Vec<u64>,
    /// By the keys that signed commits, the leaf of the last one. A checkpoint soon after that shows that all of them were
    /// there while the key was good: whoever trusts it up to a day only has to see that.
    pub(super) last: BTreeMap<KeyId, u64>,
}

impl Prover<'_> {
    pub(super) fn find_keys(&mut self) -> Result<Keys, StorageError> {
        let mut last = BTreeMap::new();
        let commits: BTreeSet<u32> = self.nodes.iter().map(|number| self.catalogue.node(*number).commit).collect();
        for commit in commits {
            let leaf = self.catalogue.commit(commit).leaf;
            let read = Commit::parse(&self.tiles.entry(leaf)?);
            last.insert(read.map_err(|e| StorageError::corrupt(format!("entry {leaf}"), e))?.key(), leaf);
        }
        let mut keys: BTreeSet<KeyId> = last.keys().copied().chain([self.inner.genesis.key.id()]).collect();
        let changes = changes_of(self.state, self.size, &mut keys);
        Ok(Keys { keys, changes, last })
    }
}

/// Adds to keys all that a change leads to or from them, in the log of `size` entries, and returns the leaf indices of
/// these changes.
pub(crate) fn changes_of(state: &State, size: u64, keys: &mut BTreeSet<KeyId>) -> Vec<u64> {
    let known: Vec<(u64, &KeyChange)> = state.keys.changes.iter().map(|c| (c.index, &c.change)).collect();
    let known: Vec<(u64, &KeyChange)> = known.into_iter().filter(|(index, _)| *index < size).collect();
    let found = concerned(keys, &known.iter().map(|(_, change)| *change).collect::<Vec<_>>());
    known.iter().zip(found).filter(|(_, found)| *found).map(|((index, _), _)| *index).collect()
}

/// Returns the largest size that the log's first key signed, if a revoker took it out of use below `size`.
pub(crate) fn first_key_revoked(state: &State, size: u64) -> Option<u64> {
    let mut changes = state.keys.changes.iter().filter(|placed| placed.index < size);
    let first = changes.find(|placed| placed.change.of == KeyUse::Log)?;
    first.change.revoker.is_some().then_some(first.index)
}
