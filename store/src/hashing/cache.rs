//! Digests of files that did not change since: by path, size, time of change and inode.
//!
//! A file that changed less than two seconds ago is neither looked up nor kept: it may change once
//! more without a new time of change (git knows the same problem as "racy").

use core::fmt;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use griptrace_core::digest::Digest;

use super::Stamp;
use crate::shelf::{Broken, Shelf};

/// A cache of digests, on disk. It can be deleted at any time.
pub struct HashCache {
    shelf: Shelf,
    /// Files that changed before this are trusted, in nanoseconds since 1970.
    settled_ns: u64,
}

impl fmt::Debug for HashCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashCache").field("settled_ns", &self.settled_ns).finish_non_exhaustive()
    }
}

#[derive(Encode, Decode)]
struct Known {
    size: u64,
    changed_ns: u64,
    inode: u64,
    blake3: [u8; 32],
    sha256: Option<[u8; 32]>,
}

/// Seconds in which a file may change without a new time of change.
const RACY_SECONDS: u64 = 2;

impl HashCache {
    /// Opens the cache in a folder of its own, which is made if need be; `now` is in seconds since
    /// 1970. `None` if another process has it open or it can't be made: then everything is hashed.
    pub fn open(path: &Path, now: u64) -> Option<Self> {
        let settled_ns = now.saturating_sub(RACY_SECONDS).saturating_mul(1_000_000_000);
        Some(Self { shelf: Shelf::open(path)?, settled_ns })
    }

    pub(super) fn get(&self, path: &Path, stamp: &Stamp) -> Option<(Digest, Option<Digest>)> {
        if !self.is_settled(stamp) {
            return None;
        }
        let bytes = self.shelf.get(&key(path)?).ok()??;
        let (known, _): (Known, usize) = bincode::decode_from_slice(&bytes, bincode::config::standard()).ok()?;
        let same = Stamp { size: known.size, changed_ns: known.changed_ns, inode: known.inode } == *stamp;
        same.then(|| (Digest::from_bytes(known.blake3), known.sha256.map(Digest::from_bytes)))
    }

    /// Keeps a file's digests. That they can't be kept only costs hashing them again.
    pub(super) fn put(&self, path: &Path, stamp: &Stamp, blake3: Digest, sha256: Option<Digest>) {
        let Some(key) = key(path).filter(|_| self.is_settled(stamp)) else { return };
        let Stamp { size, changed_ns, inode } = *stamp;
        let known =
            Known { size, changed_ns, inode, blake3: *blake3.as_bytes(), sha256: sha256.map(|d| *d.as_bytes()) };
        if let Ok(bytes) = bincode::encode_to_vec(known, bincode::config::standard()) {
            let _: Result<(), Broken> = self.shelf.write(vec![(key, bytes)]);
        }
    }

    fn is_settled(&self, stamp: &Stamp) -> bool {
        stamp.changed_ns != 0 && stamp.changed_ns < self.settled_ns
    }
}

/// Returns the key of a file: its whole path.
fn key(path: &Path) -> Option<Vec<u8>> {
    let full: PathBuf = std::path::absolute(path).ok()?;
    Some(full.as_os_str().as_encoded_bytes().to_vec())
}
