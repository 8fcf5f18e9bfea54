//! What this machine saw of a log in a bucket: its newest checkpoint, so that a bucket that was set back is
//! noticed (Rule R11). A folder has the head for that.

use crate::{
    catalogue::Catalogue,
    disk::{Disk as _, Folder},
    error::StorageError,
    head::{HEAD, Head, Signature},
    lease::SharedHead,
    objects::Objects,
    publish::size_of,
    tiles::TileReader,
};

/// In this machine's folder.
const SEEN: &str = "seen";
const TEMPORARY: &str = "seen.new";

fn read(objects: &Objects, signature: Signature<'_>) -> Result<Option<Head>, StorageError> {
    if objects.bucket().is_none() {
        return Ok(None);
    }
    let path = objects.local().join(SEEN);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let shown = path.display().to_string();
            let hint = |why: StorageError| match why {
                StorageError::Corrupt { object, why } => {
                    let more = "it holds the newest checkpoint that this machine saw of the log here: either it is damaged, or another log was put in the bucket";
                    StorageError::corrupt(object, format!("{why} ({more})"))
                }
                other @ (StorageError::Io { .. } | StorageError::Fenced { .. }) => other,
            };
            signature.read(&shown, &bytes).map(|(head, _)| Some(head)).map_err(hint)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StorageError::Io { doing: "read", path, source }),
    }
}

/// Returns the size of the newest checkpoint that was seen.
pub(crate) fn size(objects: &Objects, signature: Signature<'_>) -> Result<Option<u64>, StorageError> {
    Ok(read(objects, signature)?.map(|head| head.size))
}

/// Refuses a log that is not a later state of the one that was seen. Tells whether the checkpoint of the catalogue is as new.
pub(crate) fn check(objects: &Objects, signature: Signature<'_>, catalogue: &Catalogue) -> Result<bool, StorageError> {
    let Some(seen) = read(objects, signature)? else { return Ok(true) };
    let (root, is_as_new) = if seen.size > catalogue.size() {
        // The head moves before a checkpoint that was signed stands in the bucket.
        let head = objects.bucket().map(|bucket| SharedHead::read(objects, &**bucket)).transpose()?.flatten();
        let head = head.map(|(shared, _)| shared.head);
        match head.filter(|head| head.size >= seen.size) {
            Some(head) => (if head.size == seen.size { head.root } else { seen.root }, false),
            None => return Err(set_back(head.map_or(catalogue.size(), |head| head.size), seen.size)),
        }
    } else {
        (TileReader::new(objects, catalogue).root_at(seen.size)?, true)
    };
    if root == seen.root {
        return Ok(is_as_new);
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
    let kept = std::fs::read(objects.local().join(SEEN)).unwrap_or_default();
    if size_of(&kept) > size_of(note.as_bytes()) {
        return Ok(());
    }
    let (folder, path) = (Folder::new(objects.local()), objects.local().join(TEMPORARY));
    let written = std::fs::write(&path, note).and_then(|()| folder.rename(TEMPORARY, SEEN));
    written.map_err(|source| StorageError::Io { doing: "write", path, source })
}
