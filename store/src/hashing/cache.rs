//! Digests of files that did not change since: by path, size, times and inode.
//!
//! A file that changed less than two seconds ago is neither looked up nor kept: it may change once
//! more without a new time of change (git knows the same problem as "racy").
//!
//! A shelf of many small items is slow and large, so the files of a folder, and of all folders below
//! it, lie together in items of about [`GROUP_FILES`]. Where one item ends and the next begins
//! depends on the names alone, so that a file that comes or goes changes one item and not all behind
//! it. Large files, and files hashed alone, have items of their own: they are then found from
//! wherever they are named. An item begins with a checksum over its key and its bytes; whatever is
//! wrong with it, it only is not there.

use core::fmt;
use std::path::Path;

use bincode::{BorrowDecode, Encode};
use griptrace_core::digest::Digest;
use rayon::{iter::ParallelIterator, slice::ParallelSliceMut as _};

use super::{Digests, names::hash_of, stamp::Stamp, walk::Candidate};
use crate::{
    number::wide,
    shelf::{Broken, Shelf},
};

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

/// A file as it was when it was hashed.
#[derive(Encode, BorrowDecode)]
struct Known<'a> {
    /// Its path in the manifest; empty in an item of its own.
    name: &'a [u8],
    size: u64,
    changed_ns: u64,
    touched_ns: u64,
    inode: u64,
    blake3: [u8; 32],
    sha256: Option<[u8; 32]>,
}

/// The key of an item, which tells whose files it holds.
pub(super) struct Key([u8; 32]);

/// Seconds in which a file may change without a new time of change.
const RACY_SECONDS: u64 = 2;
/// Files in one item, on average: some 100 KB. More are written faster, but more of them are hashed
/// again when the file that ends an item goes. A power of two.
const GROUP_FILES: u64 = 1 << 10;
/// Bytes that reading one item may take, so that a wrong length costs nothing.
const ITEM_BYTES_MAX: usize = 1 << 30;
/// Bytes of the checksum of an item.
const CHECKSUM_BYTES: usize = 32;
/// Contexts of keys and checksums; their version is that of the format.
const GROUP_KEY: &str = "griptrace hash cache v2 key of a group";
const FILE_KEY: &str = "griptrace hash cache v2 key of a file";
const CHECKSUM: &str = "griptrace hash cache v2 checksum";

impl HashCache {
    /// Opens the cache in a folder of its own, which is made if need be; `now` is in seconds since
    /// 1970. `None` if another process has it open or it can't be made: then everything is hashed.
    pub fn open(path: &Path, now: u64) -> Option<Self> {
        let settled_ns = now.saturating_sub(RACY_SECONDS).saturating_mul(1_000_000_000);
        Some(Self { shelf: Shelf::open(path)?, settled_ns })
    }

    #[cfg(test)]
    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Fills in the digests of those files of a group, which are in order, that are as they were.
    pub(super) fn look_up(&self, key: &Key, files: &mut [Candidate], with_sha256: bool) {
        let Some(item) = self.item(key) else { return };
        let mut known = decoded(&item).unwrap_or_default().into_iter().peekable();
        for file in files {
            while known.next_if(|known| known.name < file.name.as_slice()).is_some() {}
            let Some(known) = known.next_if(|known| known.name == file.name.as_slice()) else { continue };
            self.fill_in(file, &known, with_sha256);
        }
    }

    /// Fills in the digests of a file with an item of its own.
    pub(super) fn look_up_alone(&self, key: &Key, file: &mut Candidate, with_sha256: bool) {
        let Some(item) = self.item(key) else { return };
        if let Some([known]) = decoded(&item).as_deref() {
            self.fill_in(file, known, with_sha256);
        }
    }

    /// Keeps the digests of files. That they can't be kept only costs hashing them again.
    pub(super) fn keep<'a>(&self, key: &Key, files: impl Iterator<Item = &'a Candidate>) {
        let known: Vec<Known<'_>> = files.filter_map(|file| self.known(&file.name, file)).collect();
        self.write(key, &known);
    }

    /// Keeps the digests of a file in an item of its own.
    pub(super) fn keep_alone(&self, key: &Key, file: &Candidate) {
        if let Some(known) = self.known(b"", file) {
            self.write(key, &[known]);
        }
    }

    /// Whether a file changed long enough ago to be known by its stamp.
    pub(super) fn is_settled(&self, stamp: &Stamp) -> bool {
        stamp.is_before(self.settled_ns)
    }

    fn fill_in(&self, file: &mut Candidate, known: &Known<'_>, with_sha256: bool) {
        let Known { name: _, size, changed_ns, touched_ns, inode, blake3, sha256 } = *known;
        let is_same = Stamp { size, changed_ns, touched_ns, inode } == file.stamp;
        if is_same && self.is_settled(&file.stamp) && (sha256.is_some() || !with_sha256) {
            let (blake3, sha256) = (Digest::from_bytes(blake3), sha256.map(Digest::from_bytes));
            file.digests = Some(Digests { blake3, sha256 });
            file.is_cached = true;
        }
    }

    fn known<'a>(&self, name: &'a [u8], file: &Candidate) -> Option<Known<'a>> {
        let Digests { blake3, sha256 } = file.digests.filter(|_| self.is_settled(&file.stamp))?;
        let Stamp { size, changed_ns, touched_ns, inode } = file.stamp;
        let (blake3, sha256) = (*blake3.as_bytes(), sha256.map(|digest| *digest.as_bytes()));
        Some(Known { name, size, changed_ns, touched_ns, inode, blake3, sha256 })
    }

    /// Returns what an item holds, if it is what was written there.
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        let item = self.shelf.get(&key.0).ok()??;
        let (sum, body) = item.split_at_checked(CHECKSUM_BYTES)?;
        (sum == checksum(key, body)).then(|| body.to_vec())
    }

    fn write(&self, key: &Key, known: &[Known<'_>]) {
        let mut item = vec![0; CHECKSUM_BYTES];
        if bincode::encode_into_std_write(known, &mut item, config()).is_err() {
            return;
        }
        let sum = checksum(key, item.get(CHECKSUM_BYTES..).unwrap_or_default());
        item.iter_mut().zip(sum).for_each(|(byte, sum)| *byte = sum);
        let _: Result<(), Broken> = self.shelf.write(vec![(key.0.to_vec(), item)]);
    }
}

/// Splits files, which are in order of their names, into what lies together.
pub(super) fn groups(files: &mut [Candidate]) -> impl ParallelIterator<Item = &mut [Candidate]> {
    files.par_chunk_by_mut(|file, _| !ends_group(&file.name))
}

/// Returns the key of files that lie together: by the folder that is hashed, and by the name that
/// ends the group, which the last one has not.
pub(super) fn group_key(folder: &Path, files: &[Candidate]) -> Key {
    let last = files.last().map(|file| file.name.as_slice()).filter(|name| ends_group(name));
    key(GROUP_KEY, &[folder.as_os_str().as_encoded_bytes(), last.unwrap_or_default()])
}

/// Returns the key of a file's own item: by its whole path.
pub(super) fn file_key(path: &Path) -> Key {
    key(FILE_KEY, &[path.as_os_str().as_encoded_bytes()])
}

fn key(context: &str, parts: &[&[u8]]) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&wide(part.len()).to_le_bytes()).update(part);
    }
    Key(*hasher.finalize().as_bytes())
}

fn checksum(key: &Key, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *blake3::Hasher::new_derive_key(CHECKSUM).update(&key.0).update(body).finalize().as_bytes()
}

/// Whether a group ends with this name, as one of [`GROUP_FILES`] does.
fn ends_group(name: &[u8]) -> bool {
    // The upper bits: the lower ones depend on few bits of the name.
    (hash_of(name.iter().copied()) >> 32) % GROUP_FILES == 0
}

fn decoded(body: &[u8]) -> Option<Vec<Known<'_>>> {
    let (known, length) = bincode::borrow_decode_from_slice(body, config()).ok()?;
    (length == body.len()).then_some(known)
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<ITEM_BYTES_MAX>()
}
