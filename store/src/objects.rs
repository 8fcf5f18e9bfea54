//! The objects of a store: files in one folder, each replaced as a whole or never.
//!
//! Every byte that a store writes goes through here, so that faults can be put in at one place. A
//! write is: a temporary file, its fsync, a rename, the fsync of the folder. A reader sees the old
//! object or the new one, and after a power cut it is one of the two as well.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use crate::error::StorageError;

/// Where unfinished writes are; whatever is left here after a crash is nobody's.
const TEMPORARY: &str = "tmp";

/// A folder of objects.
#[derive(Debug)]
pub(crate) struct Objects {
    root: PathBuf,
    counter: AtomicU64,
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    let path = path.to_path_buf();
    move |source| StorageError::Io { doing, path, source }
}

impl Objects {
    /// Looks at a folder, without touching it.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), counter: AtomicU64::new(0) }
    }

    /// Returns the folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of an object.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes the folder itself, durably.
    pub(crate) fn create(&self) -> Result<(), StorageError> {
        make_folder(&self.root)
    }

    /// Makes the folder for temporary files, and empties it: whoever calls this holds the lock, so
    /// what lies there was left by a crash before its rename, and is under no name.
    pub(crate) fn prepare(&self) -> Result<(), StorageError> {
        let folder = self.path(TEMPORARY);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io_error("empty", &folder))?;
        }
        make_folder(&folder)
    }

    /// Reads a whole object; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Opens an object for reading parts of it.
    pub(crate) fn open(&self, name: &str) -> Result<File, StorageError> {
        let path = self.path(name);
        match File::open(&path) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StorageError::corrupt(name, "it is missing, and the log needs it; restore it from a copy"))
            }
            Err(error) => Err(io_error("open", &path)(error)),
        }
    }

    /// Reads `length` bytes at `offset` of an opened object; fewer where it ends.
    pub(crate) fn read_at(
        &self,
        name: &str,
        file: &mut File,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(length).read_to_end(&mut bytes));
        read.map_err(io_error("read", &self.path(name)))?;
        Ok(bytes)
    }

    /// Tells whether there is an object.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Returns the names of the files in a folder, sorted; none if there is no folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let path = self.path(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error("list", &path)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io_error("list", &path))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Writes an object, durably, over any older one.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        make_folder(&folder)?;
        let temporary = self.write_temporary(bytes)?;
        fs::rename(&temporary, &path).map_err(io_error("rename to", &path))?;
        sync_folder(&folder)
    }

    /// Writes an object, durably, where there must be none yet.
    pub(crate) fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        if self.exists(name) {
            return Err(StorageError::corrupt(name, "it stands where a new object was to be written"));
        }
        self.put(name, bytes)
    }

    /// Replaces an object if it still holds what the caller last saw there.
    pub(crate) fn swap(&self, name: &str, expected: Option<&[u8]>, bytes: &[u8]) -> Result<(), StorageError> {
        let found = self.read(name)?;
        if found.as_deref() != expected {
            let show =
                |bytes: Option<&[u8]>| bytes.map_or("nothing".into(), |b| String::from_utf8_lossy(b).into_owned());
            let why =
                format!("it holds {:?}, not {:?}: somebody else moved it", show(found.as_deref()), show(expected));
            return Err(StorageError::corrupt(name, why));
        }
        self.put(name, bytes)
    }

    /// Removes a folder of objects that others make superfluous. Nothing waits for its durability.
    pub(crate) fn remove_folder(&self, name: &str) -> Result<(), StorageError> {
        let path = self.path(name);
        match fs::remove_dir_all(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error("remove", &path)(error)),
        }
    }

    fn write_temporary(&self, bytes: &[u8]) -> Result<PathBuf, StorageError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let path = self.path(TEMPORARY).join(format!("{}-{number}", std::process::id()));
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(io_error("write", &path))?;
        Ok(path)
    }
}

/// Makes a folder and those above it, each durable in the one above.
fn make_folder(folder: &Path) -> Result<(), StorageError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => above.map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_error("create", folder)(error)),
    }
}

/// Makes the names in a folder durable. Systems that can't open folders have nothing to sync here.
fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder).and_then(|file| file.sync_all()).map_err(io_error("sync", folder))
}
