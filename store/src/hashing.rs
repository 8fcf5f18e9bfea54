//! The files behind a dataset or model: walked, hashed on all processors, and sorted.
//!
//! Symbolic links are followed to files, never to folders: a link to a folder could lead out of
//! the tree or around in it. Links that were passed over are named in [`Hashed::passed_over`]. A
//! store is no data: its folder is left out, and named in [`Hashed::left_out`].
//!
//! Small files are hashed side by side, each by one thread; large ones one after the other, each by
//! all threads. What does not change is looked up in a [`HashCache`].

mod cache;
mod large;
mod names;
mod progress;
mod small;
mod stamp;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    io,
    path::{Path, PathBuf},
};

use griptrace_core::{cbor::DecodeError, digest::Digest, limits::MANIFEST_FILES_MAX, manifest::FileRecord};
use rayon::{
    iter::{IntoParallelIterator as _, IntoParallelRefMutIterator as _, ParallelIterator as _},
    slice::ParallelSliceMut as _,
};

pub use cache::HashCache;

use crate::number::wide;
use progress::{Meter, Progress};
use walk::{Candidate, Tree};

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
/// Files from this size on are hashed by all processors together.
const LARGE_BYTES: u64 = 16 << 20;

/// The digests of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Digests {
    blake3: Digest,
    sha256: Option<Digest>,
}

/// Hashes a file, or all files of a folder.
///
/// # Errors
/// [`HashError`]; nothing is hashed if two paths collide.
pub fn hash_path(path: &Path, options: &HashOptions<'_>, progress: HashProgress<'_>) -> Result<Hashed, HashError> {
    let (tree, mut candidates) = Tree::find(path)?;
    candidates.par_sort_by(|a, b| a.name.cmp(&b.name));
    names::refuse(&tree, &candidates)?;
    let total_bytes = candidates.iter().fold(0_u64, |sum, candidate| sum.saturating_add(candidate.stamp.size));
    let progress = Progress::new(progress, total_bytes, wide(candidates.len()));
    let work = Work { options, tree: &tree, progress: &progress };
    work.hash_all(&mut candidates)?;
    progress.tell();
    let cached = candidates.iter().filter(|candidate| candidate.is_cached).count();
    let files: Vec<FileRecord> =
        candidates.into_par_iter().filter_map(|candidate| candidate.into_record(options.sha256)).collect();
    let total_bytes = crate::record::total_bytes(&files);
    let Tree { is_single_file, passed_over, left_out, .. } = tree;
    Ok(Hashed { files, total_bytes, is_single_file, cached, passed_over, left_out })
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HashError {
    let path = path.to_path_buf();
    move |source| HashError::Io { doing, path, source }
}

/// What is to be done with all files.
struct Work<'a> {
    options: &'a HashOptions<'a>,
    tree: &'a Tree,
    progress: &'a Progress<'a>,
}

impl Work<'_> {
    /// Hashes the files, which are in order of their names.
    fn hash_all(&self, candidates: &mut [Candidate]) -> Result<(), HashError> {
        cache::groups(candidates).try_for_each(|files| self.hash_small(files))?;
        let mut large: Vec<&mut Candidate> = candidates.iter_mut().filter(|c| c.digests.is_none()).collect();
        if self.options.sha256 {
            // SHA-256 keeps one thread busy for each file, so several files go side by side.
            return large.into_par_iter().try_for_each(|file| self.hash_large(file));
        }
        large.iter_mut().try_for_each(|file| self.hash_large(file))
    }

    /// Looks up files that lie together in the cache, and hashes the small ones of the others.
    fn hash_small(&self, files: &mut [Candidate]) -> Result<(), HashError> {
        self.look_up(files);
        let is_wanted = |file: &Candidate| file.digests.is_none() && file.stamp.size < LARGE_BYTES;
        if !files.iter().any(is_wanted) {
            return Ok(());
        }
        files.par_iter_mut().filter(|file| is_wanted(file)).try_for_each_init(
            || Meter::new(self.progress),
            |meter, file| {
                let path = self.tree.path_of(&file.name);
                let (stamp, digests) = small::hash(&path, file.stamp, self.options.sha256, meter)?;
                (file.stamp, file.digests) = (stamp, Some(digests));
                meter.add_file();
                Ok(())
            },
        )?;
        self.keep(files);
        Ok(())
    }

    fn hash_large(&self, file: &mut Candidate) -> Result<(), HashError> {
        let path = self.tree.path_of(&file.name);
        let (stamp, digests) = large::hash(&path, self.options.sha256, self.progress)?;
        (file.stamp, file.digests) = (stamp, Some(digests));
        Meter::new(self.progress).add_file();
        if let Some(cache) = self.options.cache {
            cache.keep_alone(&self.file_key(file), file);
        }
        Ok(())
    }

    fn look_up(&self, files: &mut [Candidate]) {
        let Some(cache) = self.options.cache.filter(|_| !self.options.ignore_cache) else { return };
        if !self.tree.is_single_file {
            cache.look_up(&self.group_key(files), files, self.options.sha256);
        }
        for file in files.iter_mut().filter(|file| self.lies_alone(file)) {
            cache.look_up_alone(&self.file_key(file), file, self.options.sha256);
        }
        let mut meter = Meter::new(self.progress);
        for file in files.iter().filter(|file| file.is_cached) {
            meter.add_bytes(file.stamp.size);
            meter.add_file();
        }
    }

    /// Keeps what was hashed. If none of it may be kept, the old item is as good.
    fn keep(&self, files: &[Candidate]) {
        let Some(cache) = self.options.cache else { return };
        let is_new = |file: &&Candidate| !file.is_cached && file.digests.is_some() && cache.is_settled(&file.stamp);
        let (alone, together): (Vec<&Candidate>, Vec<&Candidate>) =
            files.iter().partition(|file| self.lies_alone(file));
        if together.iter().any(is_new) {
            cache.keep(&self.group_key(files), together.into_iter());
        }
        alone.into_iter().filter(is_new).for_each(|file| cache.keep_alone(&self.file_key(file), file));
    }

    /// Whether a file has an item of its own in the cache.
    fn lies_alone(&self, file: &Candidate) -> bool {
        self.tree.is_single_file || file.stamp.size >= LARGE_BYTES
    }

    fn group_key(&self, files: &[Candidate]) -> cache::Key {
        cache::group_key(&self.tree.full, files)
    }

    fn file_key(&self, file: &Candidate) -> cache::Key {
        cache::file_key(&self.tree.full_path_of(&file.name))
    }
}
