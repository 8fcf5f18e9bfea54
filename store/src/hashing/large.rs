//! Hashes large files, each by all threads together.
//!
//! BLAKE3 is a tree: threads take subtrees from a counter and read what belongs to them into
//! buffers that stay in their caches. SHA-256 is a chain: one thread follows it, while another reads
//! on and makes BLAKE3 of the next bytes, so that each byte is read once and BLAKE3 costs no time.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    fs::{self, File},
    io,
    path::Path,
};

use blake3::hazmat::{
    ChainingValue, HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use griptrace_core::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::{
    Digests, HashError, io_error,
    progress::{Meter, Progress},
    small::{changed, read_at, with_buffer},
    stamp::Stamp,
};
use crate::number::{narrow, wide};

/// Bytes of one subtree at most: many enough that threads seldom meet, few enough that all of them
/// end at about the same time.
const SUBTREE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of one subtree at least.
const SUBTREE_BYTES_MIN: u64 = 1 << 20;
/// Subtrees that each thread should get, so that a slower one can do fewer.
const SUBTREES_PER_THREAD: u64 = 8;
/// Bytes that are handed from BLAKE3 to SHA-256 at a time: small enough for the caches, and large
/// enough that the handing over costs nothing.
const HANDED_BYTES: usize = 1 << 20;

/// Hashes a file, and returns the stamp it has.
///
/// # Errors
/// `Io`, or `Changed` if the file, or what stands in its place, changed meanwhile.
pub(super) fn hash(path: &Path, with_sha256: bool, progress: &Progress<'_>) -> Result<(Stamp, Digests), HashError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    let before = Stamp::of(&file.metadata().map_err(io_error("read", path))?);
    let subtree = subtree_bytes(before.size);
    let (read, digests) = if with_sha256 || before.size <= subtree {
        // Inside the pool, where a neighbour takes up the other half at once.
        rayon::scope(|_| chain(&file, before.size, with_sha256, &mut Meter::new(progress)))
    } else {
        tree(&file, before.size, subtree, progress)
    }
    .map_err(io_error("read", path))?;
    // By its name, not by the open file: that a new file took the place is a change too.
    let after = Stamp::of(&fs::metadata(path).map_err(io_error("read", path))?);
    match digests.filter(|_| before == after && read == before.size) {
        Some(digests) => Ok((before, digests)),
        None => Err(changed(path, before, after, read)),
    }
}

/// Chooses the size of subtrees: a power of two of chunks.
fn subtree_bytes(size: u64) -> u64 {
    let threads = wide(rayon::current_num_threads());
    let share = size / threads.saturating_mul(SUBTREES_PER_THREAD).max(1);
    share.clamp(SUBTREE_BYTES_MIN, SUBTREE_BYTES_MAX).next_power_of_two()
}

/// Makes BLAKE3 of a file larger than a subtree on all threads, and returns the bytes read; no
/// digest if they are fewer than the file should have.
fn tree(file: &File, size: u64, subtree: u64, progress: &Progress<'_>) -> io::Result<(u64, Option<Digests>)> {
    let work = Subtrees { file, size, subtree, next: AtomicU64::new(0), read: AtomicU64::new(0) };
    let mut values = Vec::new();
    for part in rayon::broadcast(|_| work.take(&mut Meter::new(progress))) {
        values.append(&mut part?);
    }
    values.sort_unstable_by_key(|(start, _)| *start);
    let values: Vec<ChainingValue> = values.into_iter().map(|(_, value)| value).collect();
    let digests = work.root(&values).map(|blake3| Digests { blake3, sha256: None });
    Ok((work.read.into_inner(), digests))
}

/// A file whose subtrees are hashed by many threads.
struct Subtrees<'a> {
    file: &'a File,
    size: u64,
    /// Bytes of one subtree.
    subtree: u64,
    /// Where the next subtree that nobody took begins.
    next: AtomicU64,
    /// Bytes that all threads read.
    read: AtomicU64,
}

impl Subtrees<'_> {
    /// Hashes one subtree after the other, until all are taken or one could not be read.
    fn take(&self, meter: &mut Meter<'_>) -> io::Result<Vec<(u64, ChainingValue)>> {
        let mut values = Vec::new();
        loop {
            let start = self.next.fetch_add(self.subtree, Ordering::Relaxed);
            if start >= self.size {
                return Ok(values);
            }
            let value = with_buffer(|buffer| self.value_of(start, buffer, meter));
            match value {
                Ok(Some(value)) => values.push((start, value)),
                // The others need not go on.
                Ok(None) => self.next.store(self.size, Ordering::Relaxed),
                Err(error) => {
                    self.next.store(self.size, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    }

    /// Hashes the subtree that begins here; `None` if the file ends within it.
    fn value_of(&self, start: u64, buffer: &mut [u8], meter: &mut Meter<'_>) -> io::Result<Option<ChainingValue>> {
        let end = start.saturating_add(self.subtree).min(self.size);
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(start);
        let mut offset = start;
        while offset < end {
            let room = buffer.len().min(narrow(end.saturating_sub(offset)));
            let length = read_at(self.file, buffer.get_mut(..room).unwrap_or_default(), offset)?;
            let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { return Ok(None) };
            hasher.update(chunk);
            offset = offset.saturating_add(wide(length));
            self.read.fetch_add(wide(length), Ordering::Relaxed);
            meter.add_bytes(wide(length));
        }
        Ok(Some(hasher.finalize_non_root()))
    }

    /// Joins the subtrees, of which there must be all, and at least two: a single one has no node
    /// above it that could be the root.
    fn root(&self, values: &[ChainingValue]) -> Option<Digest> {
        if wide(values.len()) != self.size.div_ceil(self.subtree) || self.size <= self.subtree {
            return None;
        }
        let (left, right) = self.children(values, self.size)?;
        Some(Digest::from_bytes(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()))
    }

    /// Returns the values of the two halves of what has so many bytes.
    fn children(&self, values: &[ChainingValue], size: u64) -> Option<(ChainingValue, ChainingValue)> {
        let left_size = left_subtree_len(size);
        let (left, right) = values.split_at_checked(narrow(left_size / self.subtree))?;
        Some((self.joined(left, left_size)?, self.joined(right, size.saturating_sub(left_size))?))
    }

    fn joined(&self, values: &[ChainingValue], size: u64) -> Option<ChainingValue> {
        if size <= self.subtree {
            return values.first().copied();
        }
        let (left, right) = self.children(values, size)?;
        Some(merge_subtrees_non_root(&left, &right, Mode::Hash))
    }
}

/// Makes BLAKE3, and SHA-256 half a step behind it, and returns the bytes read; of a file that
/// grew, not all are read.
fn chain(file: &File, size: u64, with_sha256: bool, meter: &mut Meter<'_>) -> io::Result<(u64, Option<Digests>)> {
    let mut blake3 = blake3::Hasher::new();
    let mut sha256 = with_sha256.then(Sha256::new);
    let (mut handed, mut ahead) = (Vec::new(), vec![0; HANDED_BYTES]);
    let mut read = 0_u64;
    while read <= size {
        let (length, ()) = rayon::join(
            || -> io::Result<usize> {
                let length = fill_at(file, &mut ahead, read)?;
                blake3.update(ahead.get(..length).unwrap_or_default());
                Ok(length)
            },
            || sha256.iter_mut().for_each(|sha256| sha256.update(&handed)),
        );
        let length = length?;
        read = read.saturating_add(wide(length));
        meter.add_bytes(wide(length));
        core::mem::swap(&mut handed, &mut ahead);
        handed.truncate(length);
        if length < HANDED_BYTES {
            break;
        }
        ahead.resize(HANDED_BYTES, 0);
    }
    sha256.iter_mut().for_each(|sha256| sha256.update(&handed));
    let blake3 = Digest::from_bytes(*blake3.finalize().as_bytes());
    let sha256 = sha256.map(|sha256| Digest::from_bytes(sha256.finalize().into()));
    Ok((read, Some(Digests { blake3, sha256 })))
}

/// Reads until the buffer is full or the file ends.
fn fill_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_at(file, rest, offset.saturating_add(wide(filled)))? {
            0 => break,
            read => filled = filled.saturating_add(read),
        }
    }
    Ok(filled)
}
