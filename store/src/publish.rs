//! From a durable segment to a published checkpoint: integrate, move the head, sign.

use griptrace_core::note::NoteSigner;

use crate::{
    catalogue::{Catalogue, Delta},
    error::StorageError,
    head::{Head, publish},
    lock::WriterLock,
    objects::Objects,
    segment::{self, Segment},
    tiles::{Edge, Writes},
};

/// What only the writer has: the lock, the log's key, and the right edge of the tiles.
#[derive(Debug)]
pub(crate) struct Desk {
    _lock: WriterLock,
    signer: NoteSigner,
    origin: String,
    edge: Edge,
}

impl Desk {
    /// Makes the desk of a writer who holds the lock.
    pub(crate) const fn new(lock: WriterLock, signer: NoteSigner, origin: String, edge: Edge) -> Self {
        Self { _lock: lock, signer, origin, edge }
    }

    /// Takes the segment that follows the catalogue from durable to published. The caller applies
    /// what is returned.
    ///
    /// Every hash is made here from the segment's bytes as they are read back, whoever wrote them.
    pub(crate) fn adopt(&mut self, objects: &Objects, catalogue: &Catalogue) -> Result<(Delta, String), StorageError> {
        let first = catalogue.size();
        let name = segment::name(first);
        let bytes = objects.read(&name)?.ok_or_else(|| StorageError::corrupt(&*name, "it is gone again"))?;
        let segment = Segment::parse(&catalogue.home, first, &bytes)?;
        let delta = catalogue.delta(&segment)?;
        let mut writes = Writes::default();
        for (entry, leaf) in segment.entries.iter().zip(&delta.leaves) {
            self.edge.push(entry.bytes, *leaf, &mut writes)?;
        }
        self.edge.finish(&mut writes)?;
        for (name, bytes) in &writes.objects {
            objects.put(name, bytes)?;
            // Crash here: some tiles are of a tree larger than the head's. They are the tiles that
            // will be written again, byte for byte, when the segment is adopted on opening.
        }
        let (size, root) = delta.head();
        let before = (first > 0).then(|| Head { size: first, root: catalogue.root() });
        let note = publish(objects, &self.signer, &self.origin, before, Head { size, root })?;
        for folder in &writes.superfluous {
            // Crash here: partial tiles stay beside the full one. They are right, and nobody reads them.
            objects.remove_folder(folder)?;
        }
        Ok((delta, note))
    }
}
