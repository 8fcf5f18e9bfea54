//! Appending to the last segment: the one place where the log grows.
//!
//! Zeros are written ahead of the end, so that most flushes change no file length; they cost the
//! disk half as much (benches/README.md). A group is acknowledged to nobody before its flush
//! returned, and what stands behind the last whole group was acknowledged to nobody: a crash may
//! leave any part of it, and opening cuts it off.

use std::sync::Arc;

use griptrace_core::id::GenesisHash;

use crate::{
    disk::DiskFile,
    error::StorageError,
    number::{narrow, wide},
    objects::Objects,
    segment,
};

/// A segment that is longer than this takes no more groups: what erasure rewrites and an audit
/// reads at once stays small, and 10^8 nodes are a few thousand files. In the store's own tests it is
/// so small that they come by many ends.
pub(crate) const SEGMENT_BYTES: u64 = if cfg!(test) { 32 << 10 } else { 16 << 20 };
/// Zeros that are written ahead at first, and at most: twice as many each time.
const AHEAD_BYTES_MIN: u64 = 64 << 10;
const AHEAD_BYTES_MAX: u64 = 4 << 20;

/// The end of a log, open for appending.
#[derive(Debug)]
pub(crate) struct Appender {
    home: GenesisHash,
    segment: u64,
    name: String,
    file: Arc<dyn DiskFile>,
    /// Where the last group ends.
    end: u64,
    /// How long the file is.
    length: u64,
    ahead: u64,
}

impl Appender {
    /// Begins a segment whose first entry will have index `first`.
    pub(crate) fn create(objects: &Objects, home: GenesisHash, first: u64) -> Result<Self, StorageError> {
        let name = segment::name(first);
        let header = segment::header(&home, first);
        // Crash here: an empty or torn segment, which holds no group. Opening for writing makes it
        // again.
        let file = objects.create(&name)?;
        file.write_at(&header, 0).and_then(|()| file.sync()).map_err(objects.failed("write", &name))?;
        objects.sync_name(&name)?;
        let end = wide(header.len());
        Ok(Self { home, segment: first, name, file, end, length: end, ahead: AHEAD_BYTES_MIN })
    }

    /// Opens a segment whose last group ends at `end`. What stands behind it belongs to no group,
    /// and nobody was told of it: it is cut off.
    pub(crate) fn open(objects: &Objects, home: GenesisHash, first: u64, end: u64) -> Result<Self, StorageError> {
        let name = segment::name(first);
        let gone = || StorageError::corrupt(&*name, "it is gone again");
        let file = objects.open_for_writing(&name)?.ok_or_else(gone)?;
        let length = file.length().map_err(objects.failed("read", &name))?;
        if length < end {
            let why = format!("it has {length} bytes, and its last group ended at {end}: somebody else cut it");
            return Err(StorageError::corrupt(name, why));
        }
        if length > end {
            file.set_length(end).and_then(|()| file.sync()).map_err(objects.failed("cut", &name))?;
        }
        Ok(Self { home, segment: first, name, file, end, length: end, ahead: AHEAD_BYTES_MIN })
    }

    /// Appends a group whose first entry has index `first`, durably. Returns where it stands: the
    /// segment and the offset.
    pub(crate) fn append(&mut self, objects: &Objects, first: u64, group: &[u8]) -> Result<(u64, u64), StorageError> {
        if self.end >= SEGMENT_BYTES {
            self.seal(objects)?;
            *self = Self::create(objects, self.home, first)?;
        }
        self.check_length(objects)?;
        let begin = self.end;
        let end = begin.saturating_add(wide(group.len()));
        let written = self.file.write_at(group, begin).and_then(|()| {
            if end > self.length {
                // A disk that has no room for them may have room for the group.
                let ahead = self.file.write_at(&vec![0; narrow(self.ahead)], end);
                drop(ahead);
                self.length = self.file.length()?;
                self.ahead = self.ahead.saturating_mul(2).min(AHEAD_BYTES_MAX);
            }
            self.file.sync()
        });
        written.map_err(objects.failed("write", &self.name))?;
        self.end = end;
        Ok((self.segment, begin))
    }

    /// Reads back what stands from an offset to the end of the last group.
    pub(crate) fn read_back(&self, objects: &Objects, begin: u64) -> Result<Vec<u8>, StorageError> {
        objects.read_part(&self.name, &*self.file, begin, self.end.saturating_sub(begin))
    }

    /// Returns the name of the segment.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Refuses to write where somebody else did: the other half of moving the head by
    /// compare-and-swap (Rule R11), besides the lock.
    fn check_length(&self, objects: &Objects) -> Result<(), StorageError> {
        let found = self.file.length().map_err(objects.failed("read", &self.name))?;
        if found == self.length {
            return Ok(());
        }
        let why =
            format!("it has {found} bytes, and this process left it at {}: somebody else wrote to it", self.length);
        Err(StorageError::corrupt(&*self.name, why))
    }

    /// Takes back the zeros, so that the segment ends with its last group.
    fn seal(&mut self, objects: &Objects) -> Result<(), StorageError> {
        if self.length > self.end {
            let cut = self.file.set_length(self.end).and_then(|()| self.file.sync());
            cut.map_err(objects.failed("cut", &self.name))?;
            self.length = self.end;
        }
        Ok(())
    }
}

impl Drop for Appender {
    /// Takes back the zeros, and after a failed write the group that nobody was told of; that they stay
    /// if this fails costs space, and nothing else. The lock is still held.
    fn drop(&mut self) {
        if self.length > self.end && self.file.length().is_ok_and(|length| length == self.length) {
            drop(self.file.set_length(self.end));
        }
    }
}
