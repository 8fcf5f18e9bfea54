//! Where a witness keeps what it remembers: files by name, replaced as a whole, durable before anybody is told.

use core::fmt;
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// A folder of small files. This is the seam at which tests put faults in.
pub trait Shelf: fmt::Debug + Send + Sync {
    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// What the system said.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Writes a file over any older one. When this returns, a power cut leaves the new one; if it fails, either.
    ///
    /// # Errors
    /// What the system said.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Returns the names in a folder, in no order; none if there is no folder.
    ///
    /// # Errors
    /// What the system said.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Removes a folder with all that is in it; it is no error if there is none.
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, folder: &str) -> io::Result<()>;
}

/// A folder of the system's, that one process at a time may open.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Held until the folder is let go.
    _lock: Option<File>,
}

impl Folder {
    /// Opens a folder for the one process that works in it.
    ///
    /// # Errors
    /// `ResourceBusy` if another process has it; what the system said.
    pub fn lock(root: &Path) -> io::Result<Self> {
        let lock = File::options().write(true).create(true).truncate(false).open(root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_path_buf(), _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process works in this folder"))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Opens a folder to look at, or to add a log.
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_path_buf(), _lock: None }
    }
}

impl Shelf for Folder {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.root.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.root.join(name);
        let folder = path.parent().unwrap_or(&self.root);
        make_folder(folder)?;
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // Crash here: the older file stands, and the new one is written over the next time.
        fs::rename(&temporary, &path)?;
        sync_folder(folder)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, folder: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.root.join(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Makes a folder and those above it, each durable in the one above.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    above.map_or(Ok(()), make_folder)?;
    match fs::create_dir(folder) {
        Ok(()) => above.map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the names in a folder durable. Systems that can't open folders have nothing to sync here.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder)?.sync_all()
}
