//! The files of an index: each written once and whole. All of them can be lost or damaged at any time, so that nothing is
//! flushed, every call may fail, and whoever reads one checks it.

use core::cell::RefCell;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::{disk::DiskFile as _, number::narrow};

/// The index failed: it is thrown away and filled again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Broken;

/// Bytes of a part at most: no length is believed beyond it. The chunks of a run are listed in one, and one commit may have models of
/// ten million files each.
pub(super) const PART_BYTES_MAX: usize = 1 << 27;
/// Who has this open and locked has the folder.
const LOCK: &str = "lock";

/// Where the files are.
#[derive(Debug)]
pub(super) enum Place {
    Disk(Folder),
    /// Where the folder can't be had.
    Memory(BTreeMap<String, Vec<u8>>),
}

/// A folder that no other process has.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The files that parts were read of, open.
    open: RefCell<BTreeMap<String, File>>,
    /// Held until it is dropped.
    _lock: File,
}

impl Place {
    /// Takes a folder, which is made if need be; memory if another process has it, or the disk does not let it be.
    pub(super) fn open(path: &Path) -> Self {
        if !path.is_dir() {
            // Nothing else of the store's has this name.
            fs::remove_file(path).unwrap_or_default();
        }
        let lock = path.join(LOCK);
        if lock.is_dir() {
            fs::remove_dir_all(&lock).unwrap_or_default();
        }
        let made = fs::create_dir_all(path);
        let opened = made.and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).open(lock));
        opened.ok().and_then(|lock| Folder::locked(path, lock)).map_or_else(Self::memory, Self::Disk)
    }

    /// Takes a folder as it is, and makes nothing. `None` if nothing was ever in it, or another process has it.
    pub(super) fn inspect(path: &Path) -> Option<Self> {
        let lock = File::open(path.join(LOCK)).ok()?;
        Folder::locked(path, lock).map(Self::Disk)
    }

    /// Begins with nothing, in memory.
    pub(super) const fn memory() -> Self {
        Self::Memory(BTreeMap::new())
    }

    /// Returns a file; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        match self {
            Self::Disk(folder) => fs::read(folder.path.join(name)).ok(),
            Self::Memory(files) => files.get(name).cloned(),
        }
    }

    /// Returns bytes of a file.
    pub(super) fn part(&self, name: &str, from: u64, length: usize) -> Result<Vec<u8>, Broken> {
        match self {
            Self::Disk(folder) => {
                if length > PART_BYTES_MAX {
                    return Err(Broken);
                }
                let mut bytes = vec![0; length];
                let read = folder.read_at(name, &mut bytes, from).map_err(|_| Broken)?;
                if read == length { Ok(bytes) } else { Err(Broken) }
            }
            Self::Memory(files) => {
                let from = narrow(from);
                let found = files.get(name).and_then(|bytes| bytes.get(from..from.checked_add(length)?));
                found.map(<[u8]>::to_vec).ok_or(Broken)
            }
        }
    }

    /// Writes a file, over any older one: there are the old bytes or the new ones.
    pub(super) fn write(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), Broken> {
        match self {
            Self::Disk(folder) => {
                folder.open.get_mut().remove(name);
                let fresh = folder.path.join(format!("{name}.new"));
                let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(fresh, folder.path.join(name)));
                written.map_err(|_| Broken)
            }
            Self::Memory(files) => {
                files.insert(name.to_owned(), bytes);
                Ok(())
            }
        }
    }

    /// Removes everything but these files: what was merged, what a crash left, what another version made.
    pub(super) fn keep(&mut self, names: &BTreeSet<String>) {
        match self {
            Self::Disk(folder) => {
                folder.open.get_mut().retain(|name, _| names.contains(name));
                let found = fs::read_dir(&folder.path).into_iter().flatten().flatten();
                for entry in
                    found.filter(|entry| entry.file_name().to_str().is_none_or(|n| n != LOCK && !names.contains(n)))
                {
                    let path = entry.path();
                    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                    // What stays is in nobody's way.
                    removed.unwrap_or_default();
                }
            }
            Self::Memory(files) => files.retain(|name, _| names.contains(name)),
        }
    }
}

impl Folder {
    fn locked(path: &Path, lock: File) -> Option<Self> {
        lock.try_lock().ok()?;
        Some(Self { path: path.to_path_buf(), open: RefCell::default(), _lock: lock })
    }

    fn read_at(&self, name: &str, buffer: &mut [u8], from: u64) -> io::Result<usize> {
        let mut open = self.open.borrow_mut();
        if let Some(file) = open.get(name) {
            return file.read_at(buffer, from);
        }
        let file = File::open(self.path.join(name))?;
        let read = file.read_at(buffer, from);
        open.insert(name.to_owned(), file);
        read
    }
}
