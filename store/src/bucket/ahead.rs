//! Reading the segments of a bucket ahead: who takes in a long log waits for the processor, and not for
//! one answer after the other.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use super::{
    Bucket,
    blocks::{BLOCK_ENTRIES, Blocks, Segment},
};
use crate::{number::wide, segment};

/// Requests that are under way at once.
const AT_ONCE: usize = 4;
/// Segments that wait to be taken in.
const WAITING: usize = 64;
/// Bytes that wait, from which on nothing more is read.
const WAITING_BYTES: u64 = 64 << 20;
/// How long is waited before that is looked at again.
const PAUSE: Duration = Duration::from_millis(5);

type Read = io::Result<Segment>;

/// The segments of a log in their order, from one on.
#[derive(Debug)]
pub(crate) enum Ahead {
    /// A thread reads them.
    Thread(Receiver<Read>, Arc<AtomicU64>),
    /// Where there are no threads, whoever asks does.
    Caller(Mutex<(Rest, VecDeque<Read>)>),
}

/// What is still to be read.
#[derive(Debug)]
pub(crate) struct Rest {
    bucket: Arc<dyn Bucket>,
    blocks: Arc<Blocks>,
    from: u64,
    size: u64,
}

impl Ahead {
    /// Begins to read at the segment whose first entry is `from`, up to those that begin below `size`. `None` if no thread
    /// can be had.
    pub(crate) fn begin(bucket: Arc<dyn Bucket>, blocks: Arc<Blocks>, from: u64, size: u64) -> Option<Self> {
        let mut rest = Rest { bucket, blocks, from, size };
        if !rest.bucket.has_threads() {
            return Some(Self::Caller(Mutex::new((rest, VecDeque::new()))));
        }
        let (sender, receiver) = sync_channel(WAITING);
        let waiting = Arc::new(AtomicU64::new(0));
        let known = Arc::downgrade(&waiting);
        let read = move || {
            // Whoever waited may have gone.
            while rest.from < rest.size
                && let Some(waiting) = known.upgrade()
            {
                if waiting.load(Ordering::Relaxed) >= WAITING_BYTES {
                    drop(waiting);
                    thread::sleep(PAUSE);
                    continue;
                }
                let more = rest.more();
                let bytes = more.iter().flatten().map(|(_, bytes)| wide(bytes.len())).sum();
                waiting.fetch_add(bytes, Ordering::Relaxed);
                drop(waiting);
                if !more.into_iter().all(|read| sender.send(read).is_ok()) {
                    return;
                }
            }
        };
        thread::Builder::new().name("read ahead".to_owned()).spawn(read).ok()?;
        Some(Self::Thread(receiver, waiting))
    }

    /// Returns the bytes of a segment, if it is the next one; `None` sends the caller to the bucket.
    pub(crate) fn next(&self, first: u64) -> Option<Vec<u8>> {
        loop {
            match self.read()? {
                Ok((found, bytes)) if found == first => return Some(bytes),
                // Of a group that began before, and ended behind it.
                Ok((found, _)) if found < first => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    fn read(&self) -> Option<Read> {
        match self {
            Self::Thread(receiver, waiting) => {
                let read = receiver.recv().ok();
                let bytes = read.iter().flatten().map(|(_, bytes)| wide(bytes.len())).sum();
                waiting.fetch_sub(bytes, Ordering::Relaxed);
                read
            }
            Self::Caller(rest) => {
                let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
                let (rest, read) = &mut *rest;
                if read.is_empty() && rest.from < rest.size {
                    read.extend(rest.more());
                }
                read.pop_front()
            }
        }
    }
}

impl Rest {
    /// Reads some more; behind an error nothing.
    fn more(&mut self) -> Vec<Read> {
        let mut read = read_some(&*self.bucket, &self.blocks, self.from, self.size);
        let failed = read.iter().position(Result::is_err);
        // Whoever waits asks for what failed by itself.
        read.truncate(failed.map_or(read.len(), |at| at.saturating_add(1)));
        let last = read.iter().flatten().map(|(first, _)| first.saturating_add(1)).max();
        self.from = if failed.is_some() { self.size } else { last.unwrap_or(self.size) };
        read
    }
}

/// Reads the segments that begin at an entry or behind it, some of them.
fn read_some(bucket: &dyn Bucket, blocks: &Blocks, from: u64, size: u64) -> Vec<Read> {
    let whole = size / BLOCK_ENTRIES;
    let block = from / BLOCK_ENTRIES;
    if block < whole {
        let some: Vec<u64> = (block..whole).take(AT_ONCE).collect();
        let read = at_once(bucket, &some, |block| blocks.whole(*block));
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
    let firsts: Vec<u64> =
        names.iter().filter_map(|name| segment::first_in_folder(name)).filter(|first| *first < end).collect();
    let gone = || io::Error::new(io::ErrorKind::NotFound, "it was listed, and is gone");
    if firsts.is_empty() {
        return vec![Err(gone())];
    }
    let read = |first: &u64| {
        let part = bucket.get(&segment::name(*first), None)?.ok_or_else(gone)?;
        Ok((*first, part.bytes))
    };
    let (mut found, mut bytes) = (Vec::new(), 0_u64);
    for some in firsts.chunks(AT_ONCE) {
        let read = at_once(bucket, some, read);
        bytes = read.iter().flatten().map(|(_, bytes)| wide(bytes.len())).fold(bytes, u64::saturating_add);
        found.extend(read);
        if bytes >= WAITING_BYTES {
            break;
        }
    }
    found
}

fn at_once<T: Sync, R: Send>(bucket: &dyn Bucket, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if !bucket.has_threads() {
        return items.iter().map(work).collect();
    }
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        running.into_iter().filter_map(|running| running.join().ok()).collect()
    })
}
