//! From a durable group to a published checkpoint: integrate, sign, publish.

use griptrace_core::note::NoteSigner;

use crate::{
    appender::Appender,
    delta::Delta,
    edge::Edge,
    error::StorageError,
    head::{CHECKPOINT, HeadFile, sign},
    lock::WriterLock,
    objects::Objects,
    segment::Group,
};

/// What only the writer has: the lock, the end of the log, and what publishing needs.
#[derive(Debug)]
pub(crate) struct Desk {
    #[expect(dead_code, reason = "held until the desk is dropped")]
    pub(crate) lock: WriterLock,
    pub(crate) publisher: Publisher,
    pub(crate) appender: Appender,
}

/// The log's key, the edge of the tree, and the head.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) signer: NoteSigner,
    pub(crate) origin: String,
    pub(crate) edge: Edge,
    pub(crate) head: HeadFile,
}

impl Publisher {
    /// Takes a durable group from the log's end to published, whoever wrote it, and returns the
    /// checkpoint. `delta` was derived from the group's bytes as they were read back; the caller
    /// applies it afterwards.
    pub(crate) fn adopt(
        &mut self,
        objects: &Objects,
        group: &Group<'_>,
        delta: &Delta,
    ) -> Result<String, StorageError> {
        let entries = group.entries.iter().map(|entry| entry.bytes).zip(delta.leaves.iter().copied());
        let writes = self.edge.append(entries)?;
        for (name, bytes) in &writes.full {
            objects.put(name, bytes)?;
        }
        for (name, bytes) in &writes.partial {
            objects.put_soft(name, bytes)?;
        }
        // Crash here: some tiles are of a tree larger than was signed. They are the tiles that will
        // be written again, byte for byte, when the group is adopted on opening.
        let note = sign(&self.signer, &self.origin, delta.head())?;
        self.head.write(objects, &note)?;
        // Crash here: signed, but not published. Opening for writing publishes it (`open::recover`).
        objects.put_soft(CHECKPOINT, note.as_bytes())?;
        for folder in &writes.superfluous {
            // Crash here: partial tiles stay beside the full one. They are right, and nobody reads them.
            objects.remove_folder(folder)?;
        }
        Ok(note)
    }
}
