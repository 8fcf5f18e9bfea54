//! From a durable group to a published checkpoint: integrate, sign, and, a little later, publish.

use core::time::Duration;
use std::{sync::Arc, time::Instant};

use griptrace_core::{
    checkpoint::Checkpoint,
    entry::Genesis,
    note::{Note, NoteSigner},
};

use crate::{
    appender::Appender,
    delta::Delta,
    edge::{Edge, Tiles},
    error::StorageError,
    head::{CHECKPOINT, Head, HeadFile, Signature, sign},
    lease::Lease,
    lock::WriterLock,
    log_keys::LogKeys,
    objects::Objects,
    segment::Group,
};

/// What only the writer has: the lock, the end of the log, and what publishing needs.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) publisher: Publisher,
    pub(crate) appender: Appender,
    /// Last, since fields are dropped in their order: what the appender does at its end it does under
    /// the lock.
    #[expect(dead_code, reason = "held until the desk is dropped")]
    pub(crate) lock: Option<WriterLock>,
}

/// The log's key, the edge of the tree, the head, and what waits to be published.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) signer: NoteSigner,
    genesis: Genesis,
    pub(crate) keys: LogKeys,
    pub(crate) edge: Edge,
    head: HeadFile,
    /// The newest checkpoint, unless it was published.
    waiting: Option<String>,
    /// Folders of partial tiles that are superfluous.
    superfluous: Vec<String>,
    published: Option<Instant>,
}

/// How long a checkpoint may wait to be published. Each publication makes and removes files, which
/// costs a file system far more than the two flushes that a commit waits for (benches/README.md).
const PUBLISH_AFTER: Duration = Duration::from_millis(100);
/// The same in a bucket, where each object costs a request, and nobody waits for it.
const PUBLISH_AFTER_IN_BUCKET: Duration = Duration::from_secs(1);

/// Returns how long a checkpoint may wait to be published.
pub(crate) fn publish_after(objects: &Objects) -> Duration {
    if objects.bucket().is_some() { PUBLISH_AFTER_IN_BUCKET } else { PUBLISH_AFTER }
}

/// Returns the size that a checkpoint says; 0 for what is none.
pub(crate) fn size_of(note: &[u8]) -> u64 {
    let note = Note::parse(note).ok();
    note.and_then(|note| Checkpoint::parse(note.text()).ok()).map_or(0, |checkpoint| checkpoint.size)
}

impl Publisher {
    /// Makes the publisher of a log whose tree has this edge.
    pub(crate) const fn new(signer: NoteSigner, genesis: Genesis, keys: LogKeys, edge: Edge, head: HeadFile) -> Self {
        Self { signer, genesis, keys, edge, head, waiting: None, superfluous: Vec::new(), published: None }
    }

    /// Returns the turn to write, in a bucket.
    pub(crate) fn lease(&self) -> Option<Arc<Lease>> {
        match &self.head {
            HeadFile::Shared(lease) => Some(Arc::clone(lease)),
            HeadFile::Slots { .. } => None,
        }
    }

    /// Returns the keys of the log with a group.
    pub(crate) fn keys_with(&self, delta: &Delta) -> Result<LogKeys, StorageError> {
        let mut keys = self.keys.clone();
        for (index, entry) in &delta.log_changes {
            keys = keys.with(&self.genesis, *index, entry)?;
        }
        Ok(keys)
    }

    /// Takes a durable group from the log's end to signed, whoever wrote it, and returns the
    /// checkpoint. `delta` was derived from the group's bytes as they were read back; the caller
    /// applies it afterwards.
    pub(crate) fn adopt(
        &mut self,
        objects: &Objects,
        group: &Group<'_>,
        delta: &Delta,
    ) -> Result<String, StorageError> {
        // Crash here: the group is durable under no head. Whoever writes next adopts it.
        self.head.advance(objects, delta.head())?;
        // Crash here, or before the signature: in a bucket the head was moved, and not signed. Whoever writes next goes on
        // from the newest checkpoint, and signs alike.
        let entries = group.entries.iter().map(|entry| entry.bytes).zip(delta.leaves.iter().copied());
        let writes = self.edge.append(entries)?;
        for (name, bytes) in &writes.full {
            objects.put_unnamed(name, bytes)?;
        }
        // Crash here: some tiles are of a tree larger than was signed. They are the tiles that will
        // be written again, byte for byte, when the group is adopted on opening.
        if !delta.log_changes.is_empty() {
            // Before anything is signed with the new key: without them nobody could verify it. Crash here: up to its
            // size the old key signs, and the group is adopted by whoever opens with the new one.
            self.keys = self.keys_with(delta)?;
            self.keys.write(objects)?;
        }
        let note = sign(&self.signer, &self.genesis.origin, delta.head())?;
        self.head.write(objects, &note)?;
        // Crash here, or before it is published: opening for writing publishes it (`open::Reading::for_writing`).
        self.superfluous.extend(writes.superfluous);
        self.waiting = Some(note.clone());
        Ok(note)
    }

    /// Publishes the newest checkpoint if the last publication is long enough ago, and publishing is quick. Tells whether
    /// one waits still.
    pub(crate) fn publish_if_due(&mut self, objects: &Objects) -> bool {
        let is_due = self.published.is_none_or(|published| published.elapsed() >= PUBLISH_AFTER);
        if is_due && objects.bucket().is_none() {
            self.publish(objects);
        }
        self.waiting.is_some()
    }

    /// Publishes the newest checkpoint. If the disk refuses, it waits for the next try: nothing that was acknowledged rests
    /// on it.
    pub(crate) fn publish(&mut self, objects: &Objects) {
        if let Some(publication) = self.take_waiting()
            && publication.write(objects).is_err()
        {
            self.put_back(publication);
        }
    }

    /// Returns what waits to be published, which waits no more.
    pub(crate) fn take_waiting(&mut self) -> Option<Publication> {
        self.published = Some(Instant::now());
        let note = self.waiting.take()?;
        let Ok(partial) = self.edge.partial() else {
            self.waiting = Some(note);
            return None;
        };
        let superfluous = core::mem::take(&mut self.superfluous);
        Some(Publication { note, partial, superfluous, keys: self.keys.clone(), lease: self.lease() })
    }

    /// Lets what could not be published wait again, unless something newer does.
    pub(crate) fn put_back(&mut self, publication: Publication) {
        let Publication { note, superfluous, .. } = publication;
        self.waiting.get_or_insert(note);
        self.superfluous.extend(superfluous);
    }
}

/// A checkpoint that is published with its partial tiles.
#[derive(Debug)]
pub(crate) struct Publication {
    note: String,
    partial: Tiles,
    /// Folders of partial tiles that are superfluous.
    superfluous: Vec<String>,
    /// What verifies what is published.
    keys: LogKeys,
    /// The turn in which it was signed, in a bucket.
    lease: Option<Arc<Lease>>,
}

impl Publication {
    /// Writes it: partial tiles, then the checkpoint.
    ///
    /// # Errors
    /// `Corrupt`, with the checkpoint as the object, if more was signed than the head tells; `Io`.
    pub(crate) fn write(&self, objects: &Objects) -> Result<(), StorageError> {
        for (name, bytes) in &self.partial {
            objects.put_soft(name, bytes)?;
        }
        let note = self.note.as_bytes();
        let signature = Signature { keys: &self.keys };
        let (ours, _) = signature.read(CHECKPOINT, note)?;
        objects.put_newer(CHECKPOINT, note, |there| match &self.lease {
            Some(lease) => is_behind(objects, signature, lease, ours, there),
            None => Ok(true),
        })?;
        for folder in &self.superfluous {
            // Crash here: partial tiles stay beside the full one. They are right, and nobody reads them.
            objects.remove_folder(folder)?;
        }
        Ok(())
    }
}

/// Tells whether what is published in a bucket is to be replaced by a checkpoint over `ours`. What it says of itself counts only if
/// the log signed it, and the head knows the truth: damage that claims a larger log is replaced by whoever has the turn.
///
/// # Errors
/// `Corrupt` if the log signed what the head does not know (Rule R11); `Io`.
pub(crate) fn is_behind(
    objects: &Objects,
    signature: Signature<'_>,
    lease: &Lease,
    ours: Head,
    there: &[u8],
) -> Result<bool, StorageError> {
    let found = signature.read(CHECKPOINT, there);
    match &found {
        Ok((head, _)) if *head == ours => return Ok(false),
        Ok((head, _)) if head.size < ours.size => return Ok(true),
        Err(_) if size_of(there) < ours.size => return Ok(true),
        Ok(_) | Err(_) => {}
    }
    // Read after what is published: the head moves first.
    let (shared, is_ours) = lease.look(objects)?;
    match found {
        Ok((head, _)) if head.size == ours.size => Err(unknown_to(CHECKPOINT, head, ours)),
        // Another process has gone on, and this one does not know yet.
        Ok((head, _)) if head.size < shared.size || head == shared => Ok(false),
        Ok((head, _)) => Err(unknown_to(CHECKPOINT, head, shared)),
        // Perhaps it was signed with a key that came when another one had the turn.
        Err(_) => Ok(is_ours),
    }
}

/// Makes the error of a checkpoint that was signed, and is not of the log that the head tells of.
pub(crate) fn unknown_to(object: &str, signed: Head, head: Head) -> StorageError {
    let why = format!(
        "the log signed size {} and root {} in it, and its head says size {} and root {}: the head was set back, or two histories were signed; keep both, and put the newest copy back",
        signed.size, signed.root, head.size, head.root
    );
    StorageError::corrupt(object, why)
}
