//! The commits of one group, each of which was checked alone: what stands against them together.

use std::collections::{HashMap, HashSet};

use griptrace_core::{
    commit::StatusLine,
    id::{KeyId, NodeId, StatusKey},
    key_history::KeyHistory,
    limits::STATUSES_PER_KEY_MAX,
};

use crate::{
    catalogue::Catalogue,
    error::{CommitError, Refusal},
};

/// The commits so far.
pub(crate) struct Together<'a> {
    catalogue: &'a Catalogue,
    seen: HashSet<NodeId>,
    counts: HashMap<StatusKey, usize>,
}

impl<'a> Together<'a> {
    /// Begins with none, to follow on a catalogue.
    pub(crate) fn on(catalogue: &'a Catalogue) -> Self {
        Self { catalogue, seen: HashSet::new(), counts: HashMap::new() }
    }

    /// Adds a commit, unless something stands against it.
    ///
    /// # Errors
    /// A node that is in the log or stands twice, a key that does not count any more, or statuses that are too many together
    /// with those of others.
    pub(crate) fn add(
        &mut self,
        history: &KeyHistory,
        key: KeyId,
        ids: &[NodeId],
        lines: &[StatusLine],
    ) -> Result<(), CommitError> {
        let known = |id: &&NodeId| self.seen.contains(*id) || self.catalogue.number(id).is_some();
        if let Some(id) = ids.iter().find(known) {
            return Err(CommitError::Refused { id: *id, why: Refusal::Recorded });
        }
        if let Some(since) = history.end(&key) {
            return Err(CommitError::KeyRetired { key, since });
        }
        // A commit has one line for a key at most.
        if let Some(line) = lines.iter().find(|line| self.count(&line.key) >= STATUSES_PER_KEY_MAX) {
            let why = Refusal::TooManyStatuses { found: STATUSES_PER_KEY_MAX };
            return Err(CommitError::Refused { id: line.status, why });
        }
        for line in lines {
            self.counts.insert(line.key, self.count(&line.key).saturating_add(1));
        }
        self.seen.extend(ids);
        Ok(())
    }

    fn count(&self, key: &StatusKey) -> usize {
        self.counts.get(key).copied().unwrap_or_else(|| self.catalogue.map().statuses(key.digest()).len())
    }
}
