//! Where copied groups go: behind one another in the segments of a folder, or each in a segment of a bucket.

use std::{sync::Arc, thread};

use griptrace_core::id::GenesisHash;

use super::guard::Guard;
use crate::{
    appender::SEGMENT_BYTES,
    bucket::{
        Bucket,
        blocks::{self, BLOCK_BYTES_MAX, BLOCK_ENTRIES, Blocks},
    },
    disk::DiskFile,
    error::StorageError,
    number::wide,
    objects::Objects,
    segment,
};

/// Segments that are on their way to a bucket at once.
const AT_ONCE: usize = 8;

/// Takes groups in their order.
pub(super) enum Sink<'a> {
    Folder(InFolder<'a>),
    Bucket(InBucket<'a>),
}

impl<'a> Sink<'a> {
    /// Begins behind a log of `had` entries, whose last segment and its end are given, to end with `size`.
    pub(super) fn new(
        guard: Guard<'a>,
        home: GenesisHash,
        had: u64,
        size: u64,
        end: (u64, u64),
    ) -> Result<Self, StorageError> {
        let objects = guard.objects;
        match (objects.bucket(), objects.blocks()) {
            (Some(bucket), Some(blocks)) => {
                Ok(Self::Bucket(InBucket { guard, bucket, blocks, home, had, size, waiting: Vec::new(), bytes: 0 }))
            }
            (_, _) => Ok(Self::Folder(InFolder::new(objects, home, had, end)?)),
        }
    }

    /// Appends a group.
    pub(super) fn append(&mut self, first: u64, group: &[u8]) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => folder.append(first, group),
            Self::Bucket(bucket) => bucket.append(first, group),
        }
    }

    /// Makes all of it durable.
    pub(super) fn finish(self) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => folder.finish(),
            Self::Bucket(mut bucket) => {
                bucket.flush()?;
                let failed = bucket.guard.objects.failed("put together the segments in", "");
                bucket.blocks.know(bucket.size);
                bucket.blocks.fill(&bucket.home, bucket.size, &|| true).map(|_| ()).map_err(failed)
            }
        }
    }
}

/// The last segment of a folder, and where it ends.
pub(super) struct InFolder<'a> {
    objects: &'a Objects,
    home: GenesisHash,
    last: Option<(String, Arc<dyn DiskFile>, u64)>,
}

impl<'a> InFolder<'a> {
    fn new(objects: &'a Objects, home: GenesisHash, had: u64, end: (u64, u64)) -> Result<Self, StorageError> {
        let mut folder = Self { objects, home, last: None };
        if had > 0 {
            let name = segment::name(end.0);
            let gone = || StorageError::corrupt(&*name, "it is gone again");
            let file = objects.open_for_writing(&name)?.ok_or_else(gone)?;
            // What a copy that was cut off left behind the head's end.
            file.set_length(end.1).map_err(objects.failed("cut", &name))?;
            folder.last = Some((name, file, end.1));
        }
        Ok(folder)
    }

    fn append(&mut self, first: u64, group: &[u8]) -> Result<(), StorageError> {
        if self.last.as_ref().is_none_or(|(_, _, end)| *end >= SEGMENT_BYTES) {
            self.sync()?;
            let (name, header) = (segment::name(first), segment::header(&self.home, first));
            let file = self.objects.create(&name)?;
            file.write_at(&header, 0).map_err(self.objects.failed("write", &name))?;
            self.last = Some((name, file, wide(header.len())));
        }
        if let Some((name, file, end)) = &mut self.last {
            file.write_at(group, *end).map_err(self.objects.failed("write", name))?;
            *end = end.saturating_add(wide(group.len()));
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        let Some((name, file, _)) = &self.last else { return Ok(()) };
        file.sync().map_err(self.objects.failed("sync", name))?;
        self.objects.sync_name(name)
    }

    fn finish(self) -> Result<(), StorageError> {
        self.sync()
    }
}

/// Segments of a bucket that wait, all of one block.
pub(super) struct InBucket<'a> {
    guard: Guard<'a>,
    bucket: &'a Arc<dyn Bucket>,
    blocks: &'a Blocks,
    home: GenesisHash,
    had: u64,
    size: u64,
    waiting: Vec<(u64, Vec<u8>)>,
    bytes: u64,
}

impl InBucket<'_> {
    fn append(&mut self, first: u64, group: &[u8]) -> Result<(), StorageError> {
        let is_next = self.waiting.first().is_some_and(|(of, _)| of / BLOCK_ENTRIES != first / BLOCK_ENTRIES);
        if is_next || self.bytes > BLOCK_BYTES_MAX {
            self.flush()?;
        }
        let bytes = [&segment::header(&self.home, first), group].concat();
        self.bytes = self.bytes.saturating_add(wide(bytes.len()));
        self.waiting.push((first, bytes));
        Ok(())
    }

    /// Writes what waits. Of what lies there no head tells yet, as long as nobody else copies to this place.
    fn flush(&mut self) -> Result<(), StorageError> {
        let waiting = core::mem::take(&mut self.waiting);
        let bytes = core::mem::take(&mut self.bytes);
        let Some((first, _)) = waiting.first() else { return Ok(()) };
        let block = first / BLOCK_ENTRIES;
        let begin = block.saturating_mul(BLOCK_ENTRIES);
        let is_whole = begin >= self.had
            && begin.saturating_add(BLOCK_ENTRIES) <= self.size
            && bytes <= BLOCK_BYTES_MAX
            // One that grew too long was begun in single segments.
            && !self.is_begun(block, *first)?;
        if is_whole {
            return self.guard.put_new(&blocks::name(block), &blocks::encode(&waiting));
        }
        let guard = self.guard;
        let put = |(first, bytes): &(u64, Vec<u8>)| guard.put_new(&segment::name(*first), bytes);
        for some in waiting.chunks(AT_ONCE) {
            let put = &put;
            let done: Vec<_> = thread::scope(|scope| {
                let running: Vec<_> = some.iter().map(|one| scope.spawn(move || put(one))).collect();
                running.into_iter().map(thread::ScopedJoinHandle::join).collect()
            });
            for result in done {
                result
                    .unwrap_or_else(|_| Err(StorageError::corrupt(segment::FOLDER, "a thread that wrote it ended")))?;
            }
        }
        Ok(())
    }

    /// Tells whether segments of a block that come before this one lie about.
    fn is_begun(&self, block: u64, first: u64) -> Result<bool, StorageError> {
        let begin = block.saturating_mul(BLOCK_ENTRIES);
        let after = begin.checked_sub(1).map(segment::name_in_folder);
        let names = self.bucket.list(segment::FOLDER, after.as_deref(), 1);
        let names = names.map_err(self.guard.objects.failed("list", segment::FOLDER))?;
        Ok(names.iter().filter_map(|name| segment::first_in_folder(name)).any(|found| found < first && found >= begin))
    }
}
