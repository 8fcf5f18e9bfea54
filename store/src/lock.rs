//! One writer at a time: an advisory lock on the file `lock`, which names its holder.
//!
//! A commit is short: who finds the lock taken waits a while before giving up.

use core::time::Duration;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
    thread,
};

use crate::{
    error::{OpenError, StorageError},
    lease::SharedHead,
    objects::Objects,
};

/// How often the lock is tried again, and how long is waited each time: 5 s in all.
const RETRIES: u32 = 100;
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The lock, held until it is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Tells whether somebody writes to the store.
    pub(crate) fn is_held(objects: &Objects) -> Result<bool, StorageError> {
        if let Some(bucket) = objects.bucket() {
            return match SharedHead::read(objects, &**bucket) {
                Ok(head) => Ok(head.is_some_and(|(head, _)| head.turn.writer.is_some())),
                // Then it tells of nobody.
                Err(StorageError::Corrupt { .. }) => Ok(false),
                Err(error) => Err(error),
            };
        }
        let file = File::open(objects.root().join("lock"));
        Ok(file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))))
    }

    /// Takes the lock, or tells who has held it for as long as was waited.
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
        let mut retries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if retries < RETRIES => {
                    retries += 1;
                    thread::sleep(RETRY_AFTER);
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    file.read_to_string(&mut holder).map_err(|e| failed("read", e))?;
                    // Empty for a moment: between taking the lock and writing its number.
                    let holder = if holder.trim().is_empty() { "of unknown number" } else { holder.trim() };
                    return Err(OpenError::Locked { path: root.to_path_buf(), holder: holder.to_owned() });
                }
                Err(TryLockError::Error(error)) => return Err(failed("lock", error).into()),
            }
        }
        let named = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        named.map_err(|e| failed("write", e))?;
        Ok(Self { _file: file })
    }
}
