//! The status map of a log, computed again from its published entries.
//!
//! What is fetched is believed only when it leads to the checkpoint's root; only then is a status head in it what
//! the log said, and one with another map root a lie of the log.

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    entry::{Entry, StatusHead},
    status_map::StatusMap,
    tile::{EntryBundle, TILE_WIDTH, decode_entries},
    tree::{Frontier, Rfc9162},
};

use crate::tiles::{Tiles, TilesError};

/// A log's status map, as far as its entries were read.
#[derive(Clone, Debug)]
pub struct Recount {
    frontier: Frontier<Rfc9162>,
    map: StatusMap,
    /// The last entry, if it is a status head.
    head: Option<StatusHead>,
    /// The first thing in the log that does not fit.
    lie: Option<Lie>,
}

/// What is wrong with a log's status map.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lie {
    /// A status head has another root than the map over the entries before it.
    #[error("the status head at index {index} states map root {stated}, and the entries before it give {computed}")]
    MapRoot {
        /// Where it stands.
        index: u64,
        /// What it says.
        stated: Digest,
        /// What the entries give.
        computed: Digest,
    },
    /// A status head names another place than its own.
    #[error("the status head at index {index} says that it stands at {stated}")]
    Place {
        /// Where it stands.
        index: u64,
        /// What it says.
        stated: u64,
    },
    /// An entry that a log of this kind has not.
    #[error("the entry at index {index} can't be read: {why}")]
    Entry {
        /// Where it stands.
        index: u64,
        /// Why not.
        why: String,
    },
    /// The last entry under the checkpoint is no status head.
    #[error("the last of {size} entries is no status head")]
    NoHead {
        /// The size.
        size: u64,
    },
}

/// Why a status map could not be computed again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecountError {
    /// The entries can't be read.
    #[error(transparent)]
    Tiles(#[from] TilesError),
    /// The entries are not those of the checkpoint.
    #[error("the published entries lead to root {computed} at size {size}, and the checkpoint says {expected}")]
    Root {
        /// The size.
        size: u64,
        /// What the entries give.
        computed: Digest,
        /// What the checkpoint says.
        expected: Digest,
    },
    /// The log is larger here than the checkpoint.
    #[error("{reached} entries were read already, and the checkpoint has {size}")]
    Behind {
        /// How far this is.
        reached: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The log lied.
    #[error(transparent)]
    Lie(#[from] Lie),
}

impl Default for Recount {
    fn default() -> Self {
        Self { frontier: Frontier::new(Rfc9162), map: StatusMap::new(), head: None, lie: None }
    }
}

impl Recount {
    /// Returns how many entries were read.
    pub const fn size(&self) -> u64 {
        self.frontier.size().get()
    }

    /// Reads the entries that came since, and compares the map with what the checkpoint's status head says.
    /// Whatever fails, this stays as it was.
    ///
    /// # Errors
    /// [`RecountError`].
    pub async fn advance(&mut self, tiles: &Tiles, checkpoint: &Checkpoint) -> Result<(), RecountError> {
        let (reached, size) = (self.size(), checkpoint.size);
        if size < reached {
            return Err(RecountError::Behind { reached, size });
        }
        let mut next = self.clone();
        while next.size() < size {
            next.bundle(tiles, size).await?;
        }
        let (computed, expected) = (next.frontier.root().unwrap_or(Rfc9162::EMPTY_ROOT), checkpoint.root);
        if computed != expected {
            return Err(RecountError::Root { size, computed, expected });
        }
        // From here on what was read is what the log signed.
        *self = next;
        match (&self.lie, &self.head) {
            (Some(lie), _) => Err(lie.clone().into()),
            (None, None) => Err(Lie::NoHead { size }.into()),
            (None, Some(_)) => Ok(()),
        }
    }

    /// Reads the rest of the bundle that the next entry is in.
    async fn bundle(&mut self, tiles: &Tiles, size: u64) -> Result<(), TilesError> {
        let width = u64::from(TILE_WIDTH);
        let index = self.size() / width;
        let bundle = EntryBundle::in_tree(index, size).ok_or(TilesError::NoBundle { index, size })?;
        let bytes = tiles.bundle(bundle).await?;
        let entries = decode_entries(&bytes, bundle.width())
            .map_err(|e| TilesError::Malformed { path: bundle.path(), why: e })?;
        let seen = usize::try_from(self.size() % width).unwrap_or(usize::MAX);
        for entry in entries.into_iter().skip(seen) {
            self.push(entry);
        }
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) {
        let index = self.size();
        // A tree of 2^64 leaves is in no checkpoint.
        if self.frontier.push(Rfc9162::leaf_hash(bytes)).is_err() {
            return;
        }
        self.head = None;
        let entry = match Entry::parse(bytes) {
            Ok(entry) => entry,
            Err(error) => return self.note(Lie::Entry { index, why: error.to_string() }),
        };
        if let Entry::StatusHead(head) = &entry {
            let computed = self.map.root();
            if head.index != index {
                self.note(Lie::Place { index, stated: head.index });
            }
            if head.map_root != computed {
                self.note(Lie::MapRoot { index, stated: head.map_root, computed });
            }
            self.head = Some(*head);
        }
        for line in entry.map_lines(bytes) {
            self.map.append(line.key.digest(), line.status.digest());
        }
    }

    /// Keeps the first thing that is wrong: a log that lied once is not vouched for again.
    fn note(&mut self, lie: Lie) {
        self.lie.get_or_insert(lie);
    }
}

#[cfg(test)]
mod tests;
