//! Writing to the place of a copy, as long as nobody else does.

use crate::{
    bucket::{Put, Version, When},
    closed::{self, Mark},
    error::StorageError,
    objects::Objects,
};

/// The place of a copy, and the state that this copying wrote there. Should another one write its own, or open the log there,
/// then nothing of what is there is written over any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard<'a> {
    pub(super) objects: &'a Objects,
    pub(super) mark: &'a Mark,
}

impl Guard<'_> {
    /// Refuses to go on if another process wrote the state.
    pub(super) fn check(self) -> Result<(), StorageError> {
        if closed::is_still(self.objects, self.mark)? { Ok(()) } else { Err(self.fenced()) }
    }

    pub(super) fn fenced(self) -> StorageError {
        StorageError::Fenced { path: self.objects.root().to_path_buf() }
    }

    /// Writes an object where most often none is. What lies there was left by a copy that was cut off.
    pub(super) fn put_new(self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        if self.objects.bucket().is_none() {
            return self.objects.put(name, bytes);
        }
        if self.put_if(name, bytes, &When::Absent)? { Ok(()) } else { self.put(name, bytes) }
    }

    /// Writes an object unless it is there with the same bytes.
    pub(super) fn put(self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let Some(bucket) = self.objects.bucket() else {
            // Under the lock.
            let is_there = self.objects.read(name)?.as_deref() == Some(bytes);
            return if is_there { Ok(()) } else { self.objects.put(name, bytes) };
        };
        let there = bucket.get(name, None).map_err(self.objects.failed("read", name))?;
        match there {
            Some(part) if part.bytes == bytes => Ok(()),
            there => self.put_over(name, bytes, there.map(|part| part.version)),
        }
    }

    /// Writes an object over the version that was read. Whoever writes there without being asked for it has written the state
    /// before: so that is looked at after the reading.
    pub(super) fn put_over(self, name: &str, bytes: &[u8], there: Option<Version>) -> Result<(), StorageError> {
        self.check()?;
        if self.put_if(name, bytes, &there.map_or(When::Absent, When::Is))? {
            return Ok(());
        }
        // An answer may have been lost.
        if self.objects.read(name)?.as_deref() == Some(bytes) { Ok(()) } else { Err(self.fenced()) }
    }

    fn put_if(self, name: &str, bytes: &[u8], when: &When) -> Result<bool, StorageError> {
        let Some(bucket) = self.objects.bucket() else { return Ok(false) };
        let put = bucket.put(name, bytes, when).map_err(self.objects.failed("write", name))?;
        Ok(matches!(put, Put::Done(_)))
    }
}
