//! Comparing tiles with what the segments give.

use std::thread;

use griptrace_core::digest::Digest;

use super::Audit;
use crate::{
    edge::{self, Tiles},
    error::StorageError,
    number::wide,
};

/// Tiles that are asked for at once in a bucket, where each answer is waited for.
const AT_ONCE: usize = 16;

impl Audit<'_> {
    /// Compares full tiles, now or when there are some more.
    pub(super) fn tiles_later(&mut self, tiles: Tiles) -> Result<(), StorageError> {
        self.waiting.extend(tiles);
        if self.waiting.len() >= AT_ONCE { self.tiles_now() } else { Ok(()) }
    }

    /// Compares the full tiles that wait for it.
    pub(super) fn tiles_now(&mut self) -> Result<(), StorageError> {
        let waiting = core::mem::take(&mut self.waiting);
        self.tiles(&waiting, None)
    }

    /// Compares tiles: the full ones as the log grows, the partial ones of a size at its end.
    pub(super) fn tiles(&mut self, tiles: &[(String, Vec<u8>)], partial_of: Option<u64>) -> Result<(), StorageError> {
        self.report.tiles += wide(tiles.len());
        let digest = |bytes: &[u8]| Digest::from_bytes(*blake3::hash(bytes).as_bytes());
        let is_done = |(name, expected): &&(String, Vec<u8>)| {
            self.checked.as_ref().is_some_and(|checked| checked.has(name, &digest(expected)))
        };
        let rest: Vec<_> = tiles.iter().filter(|tile| !is_done(tile)).collect();
        for some in rest.chunks(AT_ONCE) {
            let found = self.read_at_once(some)?;
            for ((name, expected), found) in some.iter().zip(found) {
                match found {
                    Some(found) if found == *expected => {
                        if let Some(checked) = self.checked.as_mut().filter(|_| partial_of.is_none()) {
                            checked.add(name, &digest(expected));
                        }
                    }
                    Some(_) => self.fault(name, "it holds other bytes than the segments give"),
                    // A writer that went on removes partial tiles once the full one stands, and it published before.
                    None if partial_of.map_or(Ok(false), |size| self.is_published_beyond(size))? => {}
                    None => self.fault(name, "it is missing"),
                }
            }
        }
        Ok(())
    }

    fn read_at_once(&self, tiles: &[&(String, Vec<u8>)]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let objects = self.objects;
        match objects.bucket() {
            Some(bucket) if bucket.has_threads() => thread::scope(|scope| {
                let running: Vec<_> = tiles.iter().map(|(name, _)| scope.spawn(move || objects.read(name))).collect();
                running.into_iter().filter_map(|running| running.join().ok()).collect()
            }),
            Some(_) | None => tiles.iter().map(|(name, _)| objects.read(name)).collect(),
        }
    }

    /// Compares what partial tiles were before they grew: whoever has an older checkpoint still asks for them.
    pub(super) fn narrower(&mut self, partial: &[(String, Vec<u8>)]) -> Result<(), StorageError> {
        for (name, bytes) in partial {
            let Some((folder, widest)) = name.rsplit_once('/') else { continue };
            let widths = self.objects.list(folder)?;
            let widest = widest.parse().unwrap_or(0);
            for width in widths.iter().filter_map(|width| width.parse().ok()).filter(|width| *width < widest) {
                if let Some(expected) = edge::narrowed(name, bytes, width) {
                    self.tiles(&[(format!("{folder}/{width}"), expected)], None)?;
                }
            }
        }
        Ok(())
    }

    /// Tells whether a checkpoint beyond a size is published by now.
    fn is_published_beyond(&self, size: u64) -> Result<bool, StorageError> {
        match self.signature.published(self.objects) {
            Ok(published) => Ok(published.is_some_and(|published| published.head.size > size)),
            Err(StorageError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
