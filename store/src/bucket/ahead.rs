//! Reading the segments of a bucket ahead: who takes in a long log waits for the processor, and not for
//! one answer after the other.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use super::{
    Bucket,
    blocks::{BLOCK_ENTRIES, Blocks, Segment},
};
use crate::segment;

/// Requests that are under way at once.
const AT_ONCE: usize = 4;
/// Segments that wait to be taken in.
const WAITING: usize = 64;

type Read = io::Result<Segment>;

/// The segments of a log in their order, from one on.
#[derive(Debug)]
pub(crate) struct Ahead(Receiver<Read>);

impl Ahead {
    /// Begins to read at the segment whose first entry is `from`, up to those that begin below `size`. `None` if no thread
    /// can be had.
    pub(crate) fn begin(bucket: Arc<dyn Bucket>, blocks: Arc<Blocks>, from: u64, size: u64) -> Option<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let read = move || {
            let mut first = from;
            while first < size {
                for read in read_some(&*bucket, &blocks, first, size) {
                    let is_last = read.is_err();
                    if let Ok((found, _)) = &read {
                        first = found.saturating_add(1);
                    }
                    // Whoever waited has gone, or will ask for what failed by itself.
                    if sender.send(read).is_err() || is_last {
                        return;
                    }
                }
            }
        };
        thread::Builder::new().name("read ahead".to_owned()).spawn(read).ok()?;
        Some(Self(receiver))
    }

    /// Returns the bytes of a segment, if it is the next one; `None` sends the caller to the bucket.
    pub(crate) fn next(&self, first: u64) -> Option<Vec<u8>> {
        loop {
            match self.0.recv() {
                Ok(Ok((found, bytes))) if found == first => return Some(bytes),
                // Of a group that began before, and ended behind it.
                Ok(Ok((found, _))) if found < first => {}
                Ok(Ok(_) | Err(_)) | Err(_) => return None,
            }
        }
    }
}

/// Reads the segments that begin at an entry or behind it, some of them.
fn read_some(bucket: &dyn Bucket, blocks: &Blocks, from: u64, size: u64) -> Vec<Read> {
    let whole = size / BLOCK_ENTRIES;
    let block = from / BLOCK_ENTRIES;
    if block < whole {
        let some: Vec<u64> = (block..whole).take(AT_ONCE).collect();
        let read = on_threads(&some, |block| blocks.whole(*block));
        let mut found = Vec::new();
        for (block, segments) in some.iter().zip(read) {
            match segments {
                Ok(Some(segments)) => found.extend(segments.into_iter().filter(|(first, _)| *first >= from).map(Ok)),
                // It was not made yet, or is too long to be: one by one.
                Ok(None) if found.is_empty() => {
                    return one_by_one(bucket, from, block.saturating_add(1).saturating_mul(BLOCK_ENTRIES));
                }
                Ok(None) => break,
                Err(error) => {
                    found.push(Err(error));
                    break;
                }
            }
        }
        return if found.is_empty() { one_by_one(bucket, from, size) } else { found };
    }
    one_by_one(bucket, from, size)
}

fn one_by_one(bucket: &dyn Bucket, from: u64, end: u64) -> Vec<Read> {
    let after = from.checked_sub(1).map(segment::name_in_folder);
    let names = match bucket.list(segment::FOLDER, after.as_deref(), WAITING) {
        Ok(names) => names,
        Err(error) => return vec![Err(error)],
    };
    let firsts: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).filter(|first| *first < end).collect();
    let gone = || io::Error::new(io::ErrorKind::NotFound, "it was listed, and is gone");
    if firsts.is_empty() {
        return vec![Err(gone())];
    }
    let read = |first: &u64| {
        let part = bucket.get(&segment::name(*first), None)?.ok_or_else(gone)?;
        Ok((*first, part.bytes))
    };
    firsts.chunks(AT_ONCE).flat_map(|some| on_threads(some, read)).collect()
}

fn on_threads<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        running.into_iter().filter_map(|running| running.join().ok()).collect()
    })
}
