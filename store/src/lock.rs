//! One writer at a time: an advisory lock on the file `lock`, which names its holder.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use crate::error::{OpenError, StorageError};

/// The lock, held until it is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock, or tells who holds it.
    pub(crate) fn take(root: &Path) -> Result<Self, OpenError> {
        let path = root.join("lock");
        let failed = |doing, source| StorageError::Io { doing, path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| failed("open", e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(|e| failed("read", e))?;
                return Err(OpenError::Locked { path: root.to_path_buf(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error).into()),
        }
        let named = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        named.map_err(|e| failed("write", e))?;
        Ok(Self { _file: file })
    }
}
