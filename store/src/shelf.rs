//! Keys and values that can be lost at any time: the one file that names sled.
//!
//! sled 0.34 panics on files that were damaged, and forgets what it acknowledged when the power
//! goes (docs/decisions/0001-advisories.md). So nothing here is needed: every call can fail, a
//! panic is a failure, and a shelf that failed is thrown away and filled again by its user.

use core::panic::AssertUnwindSafe;
use std::{
    fs, io,
    panic::{PanicHookInfo, catch_unwind},
    path::Path,
};

/// A shelf failed: throw it away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Broken;

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// A folder of keys and values.
pub(crate) struct Shelf {
    /// Gone only while it is being dropped.
    db: Option<sled::Db>,
}

/// Bytes of memory that a shelf may take for what it read.
const CACHE_BYTES: u64 = 32 << 20;

impl Shelf {
    /// Opens a shelf; one that can't be opened is emptied. `None` if another process has it, or the
    /// disk does not let it be.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        if let Ok(shelf) = Self::try_open(path) {
            return shelf;
        }
        fs::remove_dir_all(path).ok()?;
        Self::try_open(path).ok().flatten()
    }

    /// Opens a shelf: `Ok(None)` if another process has it.
    pub(crate) fn try_open(path: &Path) -> Result<Option<Self>, Broken> {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(|_| Broken)?;
        }
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        match guarded(|| Ok(config.open())) {
            Ok(Ok(db)) => Ok(Some(Self { db: Some(db) })),
            // What sled says of a lock that another process holds, and of a disk that may not be written.
            Ok(Err(sled::Error::Io(error))) if error.to_string().contains("lock") || is_of_the_disk(&error) => Ok(None),
            Ok(Err(_)) | Err(Broken) => Err(Broken),
        }
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        let db = self.db.as_ref().ok_or(Broken)?;
        guarded(|| db.get(key)).map(|value| value.map(|value| value.to_vec()))
    }

    /// Returns all pairs whose key begins like this, in order.
    #[cfg(test)]
    pub(crate) fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, Broken> {
        let db = self.db.as_ref().ok_or(Broken)?;
        guarded(|| {
            let pairs = db.scan_prefix(prefix).map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
            pairs.collect()
        })
    }

    /// Writes pairs, all or none as long as nothing fails.
    pub(crate) fn write(&self, pairs: Vec<Pair>) -> Result<(), Broken> {
        let db = self.db.as_ref().ok_or(Broken)?;
        let mut batch = sled::Batch::default();
        pairs.into_iter().for_each(|(key, value)| batch.insert(key, value));
        guarded(|| db.apply_batch(batch))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let db = self.db.take();
        drop(catch_unwind(AssertUnwindSafe(|| drop(db))));
    }
}

/// Tells whether a panic began in what keeps the digests of files. It is caught, what failed is made again, and
/// nothing else rests on it: a program that says so in its own panic hook need not print it as its own failure.
pub fn is_of_the_cache(panic: &PanicHookInfo<'_>) -> bool {
    panic.location().is_some_and(|location| is_of_sled(location.file()))
}

fn is_of_sled(file: &str) -> bool {
    file.split(['/', '\\']).any(|part| part.starts_with("sled-"))
}

/// Tells whether the disk can't be written, which says nothing of what is on it.
fn is_of_the_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// Runs what may panic on damaged files. Nothing is used after a panic but to throw it away.
fn guarded<T>(run: impl FnOnce() -> sled::Result<T>) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Broken)?.map_err(|_| Broken)
}

#[cfg(test)]
mod tests {
    use super::is_of_sled;

    #[test]
    fn a_panic_of_ours_is_not_taken_for_one_of_the_index() {
        assert!(is_of_sled("/root/.cargo/registry/src/index/sled-0.34.7/src/pagecache/logger.rs"));
        assert!(is_of_sled("C:\\registry\\sled-0.34.7\\src\\lib.rs"));
        assert!(!is_of_sled("store/src/shelf.rs") && !is_of_sled("/home/sled/store/src/index.rs"));
    }
}
