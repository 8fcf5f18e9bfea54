//! Appending to the last segment: the one place where the log grows.
//!
//! Zeros are written ahead of the end, so that most flushes change no file length; they cost the
//! disk half as much (benches/README.md). A group is acknowledged to nobody before its flush
//! returned, and what stands behind the last whole group was acknowledged to nobody: a crash may
//! leave any part of it, and opening cuts it off.
//!
//! In a bucket each group is a segment of its own, written whole if nothing is there yet. So a place
//! in the log is taken once, whoever comes late.

use std::sync::Arc;

use griptrace_core::id::GenesisHash;

use crate::{
    bucket::{Bucket, Put, When, try_again},
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

/// The end of a log, where it grows.
#[derive(Debug)]
pub(crate) enum Appender {
    /// The last segment, in a folder.
    InPlace(LastSegment),
    /// The next segment, in a bucket.
    Whole(NextSegment),
}

impl Appender {
    /// Begins a log, or opens it where its last group ends: in segment `first` at `end`.
    pub(crate) fn at(objects: &Objects, home: GenesisHash, first: u64, end: u64) -> Result<Self, StorageError> {
        if objects.bucket().is_some() {
            return Ok(Self::Whole(NextSegment { home, name: segment::name(first) }));
        }
        let last = if end == 0 {
            LastSegment::create(objects, home, first)
        } else {
            LastSegment::open(objects, home, first, end)
        };
        last.map(Self::InPlace)
    }

    /// Appends a group whose first entry has index `first`, durably. Returns where it stands: the
    /// segment and the offset.
    pub(crate) fn append(&mut self, objects: &Objects, first: u64, group: &[u8]) -> Result<(u64, u64), StorageError> {
        match self {
            Self::InPlace(last) => last.append(objects, first, group),
            Self::Whole(next) => next.append(objects, first, group),
        }
    }

    /// Reads back what stands from an offset to the end of the last group.
    pub(crate) fn read_back(&self, objects: &Objects, begin: u64) -> Result<Vec<u8>, StorageError> {
        match self {
            Self::InPlace(last) => last.read_back(objects, begin),
            Self::Whole(next) => next.read_back(objects, begin),
        }
    }

    /// Returns the name of the segment.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::InPlace(last) => &last.name,
            Self::Whole(next) => &next.name,
        }
    }
}

/// The segment that comes next in a bucket.
#[derive(Debug)]
pub(crate) struct NextSegment {
    home: GenesisHash,
    /// Of the one that was written last.
    name: String,
}

impl NextSegment {
    fn append(&mut self, objects: &Objects, first: u64, group: &[u8]) -> Result<(u64, u64), StorageError> {
        let header = segment::header(&self.home, first);
        self.name = segment::name(first);
        let bytes = [&header, group].concat();
        let Some(bucket) = objects.bucket() else {
            return Err(StorageError::corrupt(&*self.name, "it was to be written into a bucket, and there is none"));
        };
        // Crash here, or an answer that is lost: the segment is there or not. If it is, whoever writes next adopts it, and finds
        // its place taken if it comes with another.
        let is_final = |error: &StorageError| !matches!(error, StorageError::Io { .. });
        try_again(&**bucket, is_final, || self.write(objects, &**bucket, &bytes))?;
        Ok((first, wide(header.len())))
    }

    /// Writes the segment, unless another one stands there.
    fn write(&self, objects: &Objects, bucket: &dyn Bucket, bytes: &[u8]) -> Result<(), StorageError> {
        match bucket.put(&self.name, bytes, &When::Absent).map_err(objects.failed("write", &self.name))? {
            Put::Done(_) => Ok(()),
            Put::Refused => {
                let found = bucket.get(&self.name, None).map_err(objects.failed("read", &self.name))?;
                if found.is_some_and(|part| part.bytes == bytes) {
                    return Ok(());
                }
                Err(StorageError::Fenced { path: objects.root().to_path_buf() })
            }
        }
    }

    fn read_back(&self, objects: &Objects, begin: u64) -> Result<Vec<u8>, StorageError> {
        let bytes = objects.read(&self.name)?.unwrap_or_default();
        Ok(bytes.get(narrow(begin)..).unwrap_or_default().to_vec())
    }
}

/// The last segment of a log in a folder, open for appending.
#[derive(Debug)]
pub(crate) struct LastSegment {
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

impl LastSegment {
    /// Begins a segment whose first entry will have index `first`.
    fn create(objects: &Objects, home: GenesisHash, first: u64) -> Result<Self, StorageError> {
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
    fn open(objects: &Objects, home: GenesisHash, first: u64, end: u64) -> Result<Self, StorageError> {
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

    fn append(&mut self, objects: &Objects, first: u64, group: &[u8]) -> Result<(u64, u64), StorageError> {
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

    fn read_back(&self, objects: &Objects, begin: u64) -> Result<Vec<u8>, StorageError> {
        objects.read_part(&self.name, &*self.file, begin, self.end.saturating_sub(begin))
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

impl Drop for LastSegment {
    /// Takes back the zeros, and after a failed write the group that nobody was told of; that they stay
    /// if this fails costs space, and nothing else. The lock is still held.
    fn drop(&mut self) {
        if self.length > self.end && self.file.length().is_ok_and(|length| length == self.length) {
            drop(self.file.set_length(self.end));
        }
    }
}
