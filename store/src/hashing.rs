//! The files behind a dataset or model: walked, hashed on all processors, and sorted.
//!
//! Symbolic links are followed to files, never to folders: a link to a folder could lead out of
//! the tree or around in it. Links that were passed over are named in [`Hashed::passed_over`]. A
//! store is no data: its folder is left out, and named in [`Hashed::left_out`].

mod cache;

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use griptrace_core::{
    cbor::DecodeError,
    digest::Digest,
    limits::MANIFEST_FILES_MAX,
    manifest::{FileRecord, check_path},
};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sha2::{Digest as _, Sha256};

pub use cache::HashCache;

use crate::{
    collision::{find_collision, shown},
    number::{narrow, wide},
};

/// How to hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashOptions<'a> {
    /// Whether to make SHA-256 too.
    pub sha256: bool,
    /// Digests of files that did not change since.
    pub cache: Option<&'a HashCache>,
    /// Whether to hash everything again, and only write to the cache.
    pub ignore_cache: bool,
}

/// Hashed files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hashed {
    /// The files, in bytewise order of their paths.
    pub files: Vec<FileRecord>,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Whether a file was hashed, and not a folder.
    pub is_single_file: bool,
    /// Files whose digests came from the cache.
    pub cached: usize,
    /// Links to folders, which were not followed.
    pub passed_over: Vec<PathBuf>,
    /// Folders of stores, which hold keys and change with every commit.
    pub left_out: Vec<PathBuf>,
}

/// Why files could not be hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The disk failed, or something is not there.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file changed meanwhile.
    #[error("{} changed while it was hashed: {before} before, {after} after; wait for its writer, and try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Size and time of change before.
        before: String,
        /// And after.
        after: String,
    },
    /// Neither a file nor a folder.
    #[error("{} is neither a file nor a folder", path.display())]
    Special {
        /// What it is called.
        path: PathBuf,
    },
    /// What is to be hashed is a store's folder, or in one.
    #[error("{} is, or lies in, the folder {STORE_FOLDER} of a store, which holds its keys", path.display())]
    Store {
        /// The file or folder.
        path: PathBuf,
    },
    /// A folder without files.
    #[error("{} has no files", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// More files than a manifest may have.
    #[error("{}: more than {MANIFEST_FILES_MAX} files; make several data sets of it", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A path that can't stand in a manifest.
    #[error("{}: its path is refused", path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// Two files could not lie side by side everywhere.
    #[error("{first:?} and {second:?} are one path on systems that fold case or Unicode forms; rename one")]
    Collision {
        /// One path.
        first: String,
        /// The other.
        second: String,
    },
}

/// Hears of bytes done, bytes in all, files done and files in all, from any thread.
pub type HashProgress<'a> = &'a (dyn Fn(u64, u64, u64, u64) + Sync);

/// What the folder of a store with its keys is called.
const STORE_FOLDER: &str = ".griptrace";
/// Files from this size on are hashed by all processors together, one after the other.
const LARGE_BYTES: u64 = 16 << 20;
/// Bytes read at a time of a small file: what fits the second cache of a processor.
const SMALL_READ_BYTES: usize = 128 << 10;
/// Bytes read at a time of a large file: what keeps all processors busy.
const LARGE_READ_BYTES: usize = 8 << 20;

/// A file that was found.
struct Candidate {
    /// Its path in the manifest.
    name: Vec<u8>,
    path: PathBuf,
    size: u64,
}

struct Work<'a> {
    options: &'a HashOptions<'a>,
    progress: HashProgress<'a>,
    total_bytes: u64,
    total_files: u64,
    done_bytes: AtomicU64,
    done_files: AtomicU64,
    cached: AtomicU64,
}

/// Hashes a file, or all files of a folder.
///
/// # Errors
/// [`HashError`]; nothing is hashed if two paths collide.
pub fn hash_path(path: &Path, options: &HashOptions<'_>, progress: HashProgress<'_>) -> Result<Hashed, HashError> {
    let metadata = fs::metadata(path).map_err(io_error("read", path))?;
    let is_single_file = !metadata.is_dir();
    refuse_store(path, is_single_file)?;
    let (mut passed_over, mut left_out) = (Vec::new(), Vec::new());
    let mut candidates =
        if is_single_file { single(path, &metadata)? } else { walk(path, &mut passed_over, &mut left_out)? };
    candidates.sort_by(|a, b| a.name.cmp(&b.name));
    for candidate in &candidates {
        check_path(&candidate.name).map_err(|source| HashError::Path { path: candidate.path.clone(), source })?;
    }
    if let Some((first, second)) = find_collision(candidates.iter().map(|c| c.name.as_slice())) {
        return Err(HashError::Collision { first: shown(first), second: shown(second) });
    }
    let total_bytes = candidates.iter().fold(0_u64, |sum, candidate| sum.saturating_add(candidate.size));
    let work = Work {
        options,
        progress,
        total_bytes,
        total_files: wide(candidates.len()),
        done_bytes: AtomicU64::new(0),
        done_files: AtomicU64::new(0),
        cached: AtomicU64::new(0),
    };
    let files = work.hash_all(&candidates)?;
    let total_bytes = crate::record::total_bytes(&files);
    Ok(Hashed { files, total_bytes, is_single_file, cached: narrow(work.cached.into_inner()), passed_over, left_out })
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HashError {
    let path = path.to_path_buf();
    move |source| HashError::Io { doing, path, source }
}

fn single(path: &Path, metadata: &Metadata) -> Result<Vec<Candidate>, HashError> {
    if !metadata.is_file() {
        return Err(HashError::Special { path: path.to_path_buf() });
    }
    let full = fs::canonicalize(path).map_err(io_error("read", path))?;
    let name = bytes_of(path.file_name().or(full.file_name()).unwrap_or_default());
    Ok(vec![Candidate { name, path: path.to_path_buf(), size: metadata.len() }])
}

/// Refuses a store's folder and what lies in one, wherever links lead.
fn refuse_store(path: &Path, is_single_file: bool) -> Result<(), HashError> {
    let full = fs::canonicalize(path).map_err(io_error("read", path))?;
    let mut folders = full.ancestors().skip(usize::from(is_single_file));
    if folders.any(|folder| folder.file_name() == Some(OsStr::new(STORE_FOLDER))) {
        return Err(HashError::Store { path: path.to_path_buf() });
    }
    Ok(())
}

fn walk(
    folder: &Path,
    passed_over: &mut Vec<PathBuf>,
    left_out: &mut Vec<PathBuf>,
) -> Result<Vec<Candidate>, HashError> {
    let mut candidates = Vec::new();
    let mut walk = walkdir::WalkDir::new(folder).follow_root_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_path_buf();
            HashError::Io { doing: "list", path, source: error.into() }
        })?;
        if entry.file_type().is_dir() || entry.depth() == 0 {
            if entry.depth() > 0 && entry.file_name() == STORE_FOLDER {
                left_out.push(entry.path().to_path_buf());
                walk.skip_current_dir();
            }
            continue;
        }
        let path = entry.path();
        let metadata = fs::metadata(path).map_err(io_error("read", path))?;
        if metadata.is_dir() {
            passed_over.push(path.to_path_buf());
            continue;
        }
        if !metadata.is_file() {
            return Err(HashError::Special { path: path.to_path_buf() });
        }
        let relative = path.strip_prefix(folder).unwrap_or(path);
        let name = relative.components().map(|part| bytes_of(part.as_os_str())).collect::<Vec<_>>().join(&b'/');
        candidates.push(Candidate { name, path: path.to_path_buf(), size: metadata.len() });
        if candidates.len() > MANIFEST_FILES_MAX {
            return Err(HashError::TooMany { path: folder.to_path_buf() });
        }
    }
    if candidates.is_empty() {
        return Err(HashError::Empty { path: folder.to_path_buf() });
    }
    Ok(candidates)
}

/// Returns a name as it is: any bytes on Unix, Unicode elsewhere.
fn bytes_of(name: &OsStr) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec();
    #[cfg(not(unix))]
    return name.to_string_lossy().into_owned().into_bytes();
}

impl Work<'_> {
    /// Hashes small files side by side and large ones one after the other, each on all processors.
    fn hash_all(&self, candidates: &[Candidate]) -> Result<Vec<FileRecord>, HashError> {
        let (large, small): (Vec<&Candidate>, Vec<&Candidate>) = candidates.iter().partition(|c| c.size >= LARGE_BYTES);
        let mut files: Vec<FileRecord> = small.par_iter().map(|c| self.hash(c)).collect::<Result<_, _>>()?;
        for candidate in large {
            files.push(self.hash(candidate)?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn hash(&self, candidate: &Candidate) -> Result<FileRecord, HashError> {
        let path = &candidate.path;
        let mut file = File::open(path).map_err(io_error("open", path))?;
        let before = Stamp::of(&file.metadata().map_err(io_error("read", path))?);
        let known = if self.options.ignore_cache { None } else { self.known(path, &before) };
        let (blake3, sha256) = match known {
            Some(known) => {
                self.cached.fetch_add(1, Ordering::Relaxed);
                self.add_bytes(before.size);
                known
            }
            None => self.read(path, &mut file, before)?,
        };
        self.done_files.fetch_add(1, Ordering::Relaxed);
        self.tell();
        Ok(FileRecord { path: candidate.name.clone(), size: before.size, blake3, sha256 })
    }

    fn known(&self, path: &Path, stamp: &Stamp) -> Option<(Digest, Option<Digest>)> {
        let (blake3, sha256) = self.options.cache?.get(path, stamp)?;
        match (self.options.sha256, sha256) {
            (true, None) => None,
            (true, Some(sha256)) => Some((blake3, Some(sha256))),
            (false, _) => Some((blake3, None)),
        }
    }

    fn read(&self, path: &Path, file: &mut File, before: Stamp) -> Result<(Digest, Option<Digest>), HashError> {
        let is_large = before.size >= LARGE_BYTES;
        let room =
            if is_large { LARGE_READ_BYTES } else { SMALL_READ_BYTES.min(narrow(before.size).saturating_add(1)) };
        let mut buffer = vec![0; room];
        let mut blake3 = blake3::Hasher::new();
        let mut sha256 = self.options.sha256.then(Sha256::new);
        let mut read = 0_u64;
        loop {
            let length = fill(file, &mut buffer).map_err(io_error("read", path))?;
            let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
            read = read.saturating_add(wide(length));
            let mut sha256 = || sha256.iter_mut().for_each(|sha256| sha256.update(chunk));
            if is_large {
                rayon::join(|| blake3.update_rayon(chunk).count(), sha256);
            } else {
                blake3.update(chunk);
                sha256();
            }
            self.add_bytes(wide(length));
        }
        // By its name, not by the open file: that a new file took the place is a change too.
        let after = Stamp::of(&fs::metadata(path).map_err(io_error("read", path))?);
        if before != after || read != before.size {
            let (before, after) = (before.to_string(), format!("{after}, {read} bytes read"));
            return Err(HashError::Changed { path: path.to_path_buf(), before, after });
        }
        let blake3 = Digest::from_bytes(*blake3.finalize().as_bytes());
        let sha256 = sha256.map(|sha256| Digest::from_bytes(sha256.finalize().into()));
        if let Some(cache) = self.options.cache {
            cache.put(path, &before, blake3, sha256);
        }
        Ok((blake3, sha256))
    }

    fn add_bytes(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        let (bytes, files) = (self.done_bytes.load(Ordering::Relaxed), self.done_files.load(Ordering::Relaxed));
        (self.progress)(bytes, self.total_bytes, files, self.total_files);
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What shows that a file is another than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    /// Nanoseconds since 1970; 0 for what the system can't say.
    pub(crate) changed_ns: u64,
    pub(crate) inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed_ns = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { size: metadata.len(), changed_ns, inode }
    }
}

impl core::fmt::Display for Stamp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes of {} ns since 1970", self.size, self.changed_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use griptrace_core::digest::file_digest;

    const QUIET: HashProgress<'static> = &|_, _, _, _| {};

    #[test]
    fn a_folder_is_hashed_in_order_of_its_paths() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/x"), "one").unwrap();
        fs::write(dir.path().join("b.txt"), "two").unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        let options = HashOptions { sha256: true, ..HashOptions::default() };
        let hashed = hash_path(dir.path(), &options, QUIET).unwrap();
        let paths: Vec<&[u8]> = hashed.files.iter().map(|file| file.path.as_slice()).collect();
        assert_eq!(paths, [b"a".as_slice(), b"b.txt", b"b/x"]);
        assert_eq!(hashed.files[2].blake3, file_digest(b"one"));
        assert_eq!(hashed.files[2].sha256, Some(Digest::from_bytes(Sha256::digest(b"one").into())));
        assert_eq!((hashed.total_bytes, hashed.is_single_file, hashed.cached), (6, false, 0));
    }

    #[test]
    fn a_large_file_has_the_digest_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.bin");
        let bytes: Vec<u8> = (0..17_u32 << 20).map(|i| i.to_le_bytes()[1]).collect();
        fs::write(&path, &bytes).unwrap();
        let hashed = hash_path(&path, &HashOptions { sha256: true, ..HashOptions::default() }, QUIET).unwrap();
        assert_eq!(hashed.files[0].path, b"large.bin");
        assert_eq!(hashed.files[0].blake3, file_digest(&bytes));
        assert_eq!(hashed.files[0].sha256, Some(Digest::from_bytes(Sha256::digest(&bytes).into())));
        assert!(hashed.is_single_file);
    }

    #[test]
    fn colliding_and_missing_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let none = hash_path(dir.path(), &HashOptions::default(), QUIET);
        assert!(matches!(none, Err(HashError::Empty { .. })));
        fs::write(dir.path().join("Read"), "").unwrap();
        fs::write(dir.path().join("READ"), "").unwrap();
        let error = hash_path(dir.path(), &HashOptions::default(), QUIET).unwrap_err().to_string();
        assert!(error.contains("Read") && error.contains("READ"), "{error}");
        assert!(hash_path(&dir.path().join("absent"), &HashOptions::default(), QUIET).is_err());
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        let change = |_, _, _, _| fs::write(&path, "longer than before").unwrap();
        let error = hash_path(&path, &HashOptions::default(), &change).unwrap_err();
        assert!(matches!(error, HashError::Changed { .. }), "{error}");
    }

    #[test]
    fn stores_are_left_out_and_never_hashed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("in/.griptrace/keys")).unwrap();
        fs::write(dir.path().join("in/.griptrace/keys/log.key"), "secret").unwrap();
        fs::write(dir.path().join("in/file"), "x").unwrap();
        let hashed = hash_path(&dir.path().join("in"), &HashOptions::default(), QUIET).unwrap();
        assert_eq!(hashed.files.len(), 1);
        assert_eq!(hashed.left_out, [dir.path().join("in/.griptrace")]);
        for inside in ["in/.griptrace", "in/.griptrace/keys", "in/.griptrace/keys/log.key"] {
            let refused = hash_path(&dir.path().join(inside), &HashOptions::default(), QUIET);
            assert!(matches!(refused, Err(HashError::Store { .. })), "{inside}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_to_files_and_not_to_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        fs::write(dir.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("outside"), dir.path().join("in/file")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("in/folder")).unwrap();
        let hashed = hash_path(&dir.path().join("in"), &HashOptions::default(), QUIET).unwrap();
        assert_eq!(hashed.files.len(), 1);
        assert_eq!(hashed.passed_over, [dir.path().join("in/folder")]);
        let name = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe");
        fs::write(dir.path().join("in").join(name), "y").unwrap();
        let hashed = hash_path(&dir.path().join("in"), &HashOptions::default(), QUIET).unwrap();
        assert_eq!(hashed.files[1].path, b"\xff\xfe", "names need not be Unicode");
    }

    #[test]
    fn the_cache_spares_unchanged_files_and_distrusts_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        let old = UNIX_EPOCH + core::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let hash = |cache: &HashCache, sha256| {
            let options = HashOptions { sha256, cache: Some(cache), ignore_cache: false };
            hash_path(&path, &options, QUIET).unwrap()
        };
        let cache = HashCache::open(&dir.path().join("cache"), 1_000_000_001).unwrap();
        assert_eq!((hash(&cache, false).cached, hash(&cache, false).cached), (0, 0), "changed a second ago");
        drop(cache);
        let cache = HashCache::open(&dir.path().join("cache"), 1_000_000_100).unwrap();
        assert_eq!((hash(&cache, false).cached, hash(&cache, false).cached), (0, 1));
        assert_eq!(hash(&cache, true).cached, 0, "SHA-256 was not made yet");
        let known = hash(&cache, true);
        assert_eq!((known.cached, known.files[0].blake3), (1, file_digest(b"one")));
        fs::write(&path, "two").unwrap();
        assert_eq!(hash(&cache, false).files[0].blake3, file_digest(b"two"));
    }
}
