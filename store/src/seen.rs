//! What this machine saw of a log in a bucket: its newest checkpoint, so that a bucket that was set back is
//! noticed (Rule R11). A folder has the head for that.
//!
//! It stands in two files, the newer one and the one before it, and is what any checkpoint of the log is: nothing is opened that
//! ends before it or leads to another root. It is kept whenever a newer one was seen, at most once a second, and
//! before anything is committed in a turn.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::Path,
};

use crate::{
    catalogue::Catalogue,
    disk::{Disk as _, Folder},
    error::StorageError,
    head::{HEAD, Signature, Signed},
    lease::SharedHead,
    objects::Objects,
    publish::size_of,
    tiles::TileReader,
};

/// In this machine's folder.
pub(crate) const SEEN: &str = "seen";
/// The one before it.
const BEFORE: &str = "seen.before";
/// Held by who writes them: several processes may share the folder.
const LOCK: &str = "seen.lock";

/// Counts the files that this process began, of whatever store.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Returns the newest checkpoint that was seen. One that can't be read counts for nothing as long as the other can, and an empty
/// one, which a power cut may leave, for nothing at all.
pub(crate) fn newest(objects: &Objects, signature: Signature<'_>) -> Result<Option<Signed>, StorageError> {
    if objects.bucket().is_none() {
        return Ok(None);
    }
    let (mut found, mut bad) = (None::<Signed>, None);
    for name in [SEEN, BEFORE] {
        match read(objects, signature, name) {
            Ok(Some(signed)) if found.as_ref().is_none_or(|found| found.head.size < signed.head.size) => {
                found = Some(signed);
            }
            Ok(_) => {}
            Err(error @ StorageError::Corrupt { .. }) => bad = bad.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match (found, bad) {
        (None, Some(error)) => Err(error),
        (found, _) => Ok(found),
    }
}

fn read(objects: &Objects, signature: Signature<'_>, name: &str) -> Result<Option<Signed>, StorageError> {
    let path = objects.local().join(name);
    match fs::read(&path) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => {
            let shown = path.display().to_string();
            let hint = |why: StorageError| match why {
                StorageError::Corrupt { object, why } => {
                    let more = "it holds the newest checkpoint that this machine saw of the log here: either it is damaged, or another log was put in the bucket";
                    StorageError::corrupt(object, format!("{why} ({more})"))
                }
                other @ (StorageError::Io { .. } | StorageError::Fenced { .. }) => other,
            };
            let (head, note) = signature.read(&shown, &bytes).map_err(hint)?;
            Ok(Some(Signed { object: SEEN, head, note }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StorageError::Io { doing: "read", path, source }),
    }
}

/// Returns the size of the newest checkpoint that was seen.
pub(crate) fn size(objects: &Objects, signature: Signature<'_>) -> Result<Option<u64>, StorageError> {
    Ok(newest(objects, signature)?.map(|seen| seen.head.size))
}

/// Refuses a log that is not a later state of the one that was seen.
pub(crate) fn check(objects: &Objects, signature: Signature<'_>, catalogue: &Catalogue) -> Result<(), StorageError> {
    let Some(seen) = newest(objects, signature)?.map(|seen| seen.head) else { return Ok(()) };
    if seen.size > catalogue.size() {
        return Err(set_back(catalogue.size(), seen.size));
    }
    if seen.size == catalogue.size() {
        // The checkpoint may be known from here alone: then the head has moved so far at least, unless it is lost.
        match SharedHead::size(objects) {
            Ok(Some(told)) if told < seen.size => return Err(set_back(told, seen.size)),
            Ok(_) | Err(StorageError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let root = TileReader::new(objects, catalogue).root_at(seen.size)?;
    if root == seen.root {
        return Ok(());
    }
    let why = format!(
        "at size {} this machine saw root {} signed, and now it is {root}: two histories were signed",
        seen.size, seen.root
    );
    Err(StorageError::corrupt(HEAD, why))
}

/// Makes the error of a bucket that tells less than was seen of it.
pub(crate) fn set_back(found: u64, seen: u64) -> StorageError {
    let why = format!(
        "it says {found} entries, and {seen} were signed and seen here: the bucket was set back, and going on would fork the log; put the newest copy back"
    );
    StorageError::corrupt(HEAD, why)
}

/// Keeps a checkpoint, unless a newer one is kept. That it can't be kept is no reason to stop: the one before it stays.
///
/// # Errors
/// `Io`: from then on a bucket that is set back to what came after the one before is not noticed by who opens it.
pub(crate) fn keep(objects: &Objects, note: &str) -> Result<(), StorageError> {
    if objects.bucket().is_none() {
        return Ok(());
    }
    let path = || objects.local().join(SEEN);
    write(objects.local(), note).map_err(|source| StorageError::Io { doing: "write", path: path(), source })
}

fn write(local: &Path, note: &str) -> io::Result<()> {
    let lock = File::options().write(true).create(true).truncate(false).open(local.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => {}
        // Another process keeps what is as new, or this one comes again.
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let kept = fs::read(local.join(SEEN)).unwrap_or_default();
    if size_of(&kept) >= size_of(note.as_bytes()) {
        return Ok(());
    }
    let temporary = format!("{SEEN}.{}-{}", std::process::id(), BEGUN.fetch_add(1, Ordering::Relaxed));
    let path = local.join(&temporary);
    let mut file = File::create(&path)?;
    let written = file.write_all(note.as_bytes()).and_then(|()| file.sync_all());
    let written = written.and_then(|()| {
        let folder = Folder::new(local);
        // Crash here: the one before stands. What can't be read is not worth to be that.
        if size_of(&kept) > 0 {
            folder.rename(SEEN, BEFORE)?;
        }
        // Crash here: it does too, under its other name.
        folder.rename(&temporary, SEEN)
    });
    if written.is_err() {
        drop(fs::remove_file(path));
    }
    written
}
