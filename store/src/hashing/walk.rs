//! Finds files, with their stamps, by as few questions to the system as there are.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::{
    borrow::Cow,
    ffi::OsStr,
    fs::{self, DirEntry, Metadata},
    path::{Path, PathBuf},
};

use griptrace_core::{limits::MANIFEST_FILES_MAX, manifest::FileRecord};
use rayon::iter::{IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};

use super::{Digests, HashError, STORE_FOLDER, io_error, stamp::Stamp};

/// A file that was found.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its path in the manifest.
    pub(super) name: Vec<u8>,
    pub(super) stamp: Stamp,
    /// Its digests, as soon as they are known.
    pub(super) digests: Option<Digests>,
    pub(super) is_cached: bool,
}

impl Candidate {
    fn new(name: Vec<u8>, metadata: &Metadata) -> Self {
        Self { name, stamp: Stamp::of(metadata), digests: None, is_cached: false }
    }

    /// Makes its record; `None` as long as it was not hashed.
    pub(super) fn into_record(self, with_sha256: bool) -> Option<FileRecord> {
        let Digests { blake3, sha256 } = self.digests?;
        let sha256 = sha256.filter(|_| with_sha256);
        Some(FileRecord { path: self.name, size: self.stamp.size, blake3, sha256 })
    }
}

/// The file or folder that is hashed.
#[derive(Debug)]
pub(super) struct Tree {
    /// As it was given: what is opened, and named in errors.
    path: PathBuf,
    /// Without links, and the same from wherever it is named.
    pub(super) full: PathBuf,
    pub(super) is_single_file: bool,
    pub(super) passed_over: Vec<PathBuf>,
    pub(super) left_out: Vec<PathBuf>,
}

/// What one folder holds.
#[derive(Default)]
struct Listing {
    files: Vec<Candidate>,
    folders: Vec<Vec<u8>>,
    passed_over: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
}

/// An entry of a folder that is to be looked at.
enum Entry {
    /// A file, as the folder says.
    File(Vec<u8>, DirEntry),
    /// A link or something special: the system must say where it leads.
    Other(Vec<u8>),
}

impl Tree {
    /// Finds the file, or all files of the folder, in no order.
    pub(super) fn find(path: &Path) -> Result<(Self, Vec<Candidate>), HashError> {
        let metadata = fs::metadata(path).map_err(io_error("read", path))?;
        let full = fs::canonicalize(path).map_err(io_error("read", path))?;
        let is_single_file = !metadata.is_dir();
        let (passed_over, left_out) = (Vec::new(), Vec::new());
        let mut tree = Self { path: path.to_path_buf(), full, is_single_file, passed_over, left_out };
        tree.refuse_store()?;
        let candidates = if is_single_file { vec![tree.single(&metadata)?] } else { tree.walk()? };
        Ok((tree, candidates))
    }

    /// Returns where a file is, from its path in the manifest.
    pub(super) fn path_of(&self, name: &[u8]) -> PathBuf {
        if self.is_single_file { self.path.clone() } else { joined(&self.path, name) }
    }

    /// Returns the same without links above it.
    pub(super) fn full_path_of(&self, name: &[u8]) -> PathBuf {
        if self.is_single_file { self.full.clone() } else { joined(&self.full, name) }
    }

    /// Refuses a store's folder and what lies in one, wherever links lead.
    fn refuse_store(&self) -> Result<(), HashError> {
        let mut folders = self.full.ancestors().skip(usize::from(self.is_single_file));
        if folders.any(|folder| folder.file_name() == Some(OsStr::new(STORE_FOLDER))) {
            return Err(HashError::Store { path: self.path.clone() });
        }
        Ok(())
    }

    fn single(&self, metadata: &Metadata) -> Result<Candidate, HashError> {
        if !metadata.is_file() {
            return Err(HashError::Special { path: self.path.clone() });
        }
        let name = self.path.file_name().or(self.full.file_name()).unwrap_or_default();
        Ok(Candidate::new(bytes_of(name).into_owned(), metadata))
    }

    /// Lists folders level by level: a recursion could be as deep as paths are long.
    fn walk(&mut self) -> Result<Vec<Candidate>, HashError> {
        let count = AtomicUsize::new(0);
        let mut candidates = Vec::new();
        let mut folders = vec![Vec::new()];
        while !folders.is_empty() {
            let listings: Vec<Listing> =
                folders.par_iter().map(|folder| self.list(folder, &count)).collect::<Result<_, _>>()?;
            folders.clear();
            for mut listing in listings {
                candidates.append(&mut listing.files);
                folders.append(&mut listing.folders);
                self.passed_over.append(&mut listing.passed_over);
                self.left_out.append(&mut listing.left_out);
            }
        }
        if candidates.is_empty() {
            return Err(HashError::Empty { path: self.path.clone() });
        }
        self.passed_over.sort();
        self.left_out.sort();
        Ok(candidates)
    }

    /// Lists one folder in order of its names; its files are looked at side by side.
    fn list(&self, folder: &[u8], count: &AtomicUsize) -> Result<Listing, HashError> {
        let path = joined(&self.path, folder);
        let mut listing = Listing::default();
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path).map_err(io_error("list", &path))? {
            let entry = entry.map_err(io_error("list", &path))?;
            let kind = entry.file_type().map_err(io_error("read", &path))?;
            let own_name = entry.file_name();
            let name = below(folder, &own_name);
            if kind.is_dir() && own_name == STORE_FOLDER {
                listing.left_out.push(entry.path());
            } else if kind.is_dir() {
                listing.folders.push(name);
            } else if count.fetch_add(1, Ordering::Relaxed) >= MANIFEST_FILES_MAX {
                return Err(HashError::TooMany { path: self.path.clone() });
            } else {
                entries.push(if kind.is_file() { Entry::File(name, entry) } else { Entry::Other(name) });
            }
        }
        let found: Vec<Result<Candidate, PathBuf>> =
            entries.into_par_iter().map(|entry| self.look_at(entry)).collect::<Result<_, _>>()?;
        for found in found {
            match found {
                Ok(file) => listing.files.push(file),
                Err(passed_over) => listing.passed_over.push(passed_over),
            }
        }
        listing.files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        listing.folders.sort_unstable();
        Ok(listing)
    }

    /// Asks for an entry's stamp; the inner error is a link to a folder.
    fn look_at(&self, entry: Entry) -> Result<Result<Candidate, PathBuf>, HashError> {
        let (name, metadata) = match entry {
            Entry::File(name, entry) => {
                let metadata = metadata_of(&entry).map_err(|source| io_error("read", &entry.path())(source))?;
                (name, metadata)
            }
            Entry::Other(name) => {
                let path = self.path_of(&name);
                let metadata = fs::metadata(&path).map_err(io_error("read", &path))?;
                if metadata.is_dir() {
                    return Ok(Err(path));
                }
                (name, metadata)
            }
        };
        if !metadata.is_file() {
            return Err(HashError::Special { path: self.path_of(&name) });
        }
        Ok(Ok(Candidate::new(name, &metadata)))
    }
}

/// Asks for a file's metadata from within its folder, which spares the way along the whole path.
#[cfg(unix)]
fn metadata_of(entry: &DirEntry) -> std::io::Result<Metadata> {
    entry.metadata()
}

/// Asks the file itself: what a folder says of it may be old on Windows.
#[cfg(not(unix))]
fn metadata_of(entry: &DirEntry) -> std::io::Result<Metadata> {
    fs::metadata(entry.path())
}

/// Returns the path in the manifest of what lies in a folder.
fn below(folder: &[u8], name: &OsStr) -> Vec<u8> {
    let name = bytes_of(name);
    if folder.is_empty() { name.into_owned() } else { [folder, b"/", &name].concat() }
}

/// Returns a name as it is: any bytes on Unix, Unicode elsewhere. What is not Unicode there has
/// another name then, under which it is not found, and so is refused.
fn bytes_of(name: &OsStr) -> Cow<'_, [u8]> {
    #[cfg(unix)]
    return Cow::Borrowed(std::os::unix::ffi::OsStrExt::as_bytes(name));
    #[cfg(not(unix))]
    return Cow::Owned(name.to_string_lossy().into_owned().into_bytes());
}

/// Joins a folder and a path in the manifest.
fn joined(folder: &Path, name: &[u8]) -> PathBuf {
    if name.is_empty() {
        return folder.to_path_buf();
    }
    let mut path = PathBuf::with_capacity(folder.as_os_str().len().saturating_add(name.len()).saturating_add(1));
    path.push(folder);
    #[cfg(unix)]
    path.push(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name));
    #[cfg(not(unix))]
    path.push(String::from_utf8_lossy(name).as_ref());
    path
}
