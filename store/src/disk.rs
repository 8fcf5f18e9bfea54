//! The disk under a store: files by name in one folder, and nothing above that.
//!
//! This is the one seam at which tests put faults in: a write that fails, fails and is there all the
//! same, or was acknowledged and is gone after a power cut (`tests::faults`).

use core::fmt;
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A folder of files. Names are relative, with `/` between folders.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file for reading; `None` if there is none.
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>>;
    /// Opens a file for reading and writing; `None` if there is none.
    fn open_for_writing(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>>;
    /// Makes an empty file, over any older one, and the folders above it. Its name is durable
    /// after [`Self::sync_folder`].
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, over any file that had it. Durable after [`Self::sync_folder`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the names in the folder of a file durable.
    fn sync_folder(&self, name: &str) -> io::Result<()>;
    /// Makes a folder and those above it, each durable in the one above.
    fn make_folder(&self, name: &str) -> io::Result<()>;
    /// Removes a folder with all that is in it. Nothing waits for its durability.
    fn remove_folder(&self, name: &str) -> io::Result<()>;
    /// Tells whether there is a file or folder. A disk that can't tell is an error: what is not seen is not gone.
    fn exists(&self, name: &str) -> io::Result<bool>;
    /// Returns the names in a folder, in no order; none if there is no folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
}

/// An open file.
pub(crate) trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads at an offset until the buffer is full or the file ends; returns how much was read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset, beyond the end too.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
    /// Returns the length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Cuts the file off, or extends it by zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;
}

/// A folder of the system's.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Names a folder, without touching it.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }
}

/// Turns a file that is not there into `None`.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn shared(file: File) -> Arc<dyn DiskFile> {
    Arc::new(file)
}

impl Disk for Folder {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        Ok(present(File::open(self.path(name)))?.map(shared))
    }

    fn open_for_writing(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        Ok(present(OpenOptions::new().read(true).write(true).open(self.path(name)))?.map(shared))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path(name);
        let make = || OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        match make() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(path.parent().unwrap_or(&self.root))?;
                make().map(shared)
            }
            other => other.map(shared),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(to.parent().unwrap_or(&self.root))?;
                fs::rename(&from, &to)
            }
            other => other,
        }
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        sync_folder(self.path(name).parent().unwrap_or(&self.root))
    }

    fn make_folder(&self, name: &str) -> io::Result<()> {
        make_folder(&self.path(name))
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        present(fs::remove_dir_all(self.path(name))).map(|_| ())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        match self.path(name).try_exists() {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
            told => told,
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let Some(entries) = present(fs::read_dir(self.path(folder)))? else { return Ok(Vec::new()) };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read_some(self, rest, offset.saturating_add(crate::number::wide(filled))) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match write_some(self, rest, offset.saturating_add(crate::number::wide(written))) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written = written.saturating_add(more),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

#[cfg(unix)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_some(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(windows)]
fn write_some(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

fn make_folder(folder: &Path) -> io::Result<()> {
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
