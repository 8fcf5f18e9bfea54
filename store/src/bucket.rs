//! A bucket: whole objects by name, which several processes read and write, as S3 and its kin keep
//! them.
//!
//! What a log needs of it besides whole reads and writes is one thing: a write that is done only if
//! the object is absent, or still the version that was read, decided by the bucket for everybody.
//! Everything that keeps two writers from forking a log rests on that (Rule R11). Answers may be late,
//! lost, or come twice; a write that reported an error may have been done all the same.

pub(crate) mod ahead;
pub(crate) mod blocks;
pub(crate) mod disk;
mod memory;

use core::{fmt, ops::Range, time::Duration};
use std::{io, path::Path, thread};

pub use self::memory::MemoryBucket;

/// Names the bytes that an object had when they were read or written, as the bucket does (an `ETag`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version(pub String);

/// On what condition an object is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum When {
    /// On none.
    Always,
    /// Only if there is no object of this name (`If-None-Match: *`).
    Absent,
    /// Only if the object is this version still (`If-Match`).
    Is(Version),
}

/// What became of a write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Put {
    /// It is durable, and this version.
    Done(Version),
    /// The condition did not hold, and nothing was written; or the answer to an earlier try was lost, and
    /// that try had done it.
    Refused,
}

/// An object, or part of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The bytes; fewer than asked for where the object ends.
    pub bytes: Vec<u8>,
    /// How long the whole object is, in bytes.
    pub length: u64,
    /// Which version it is.
    pub version: Version,
}

/// How many requests were made, and how many bytes they moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requests {
    /// Objects, or parts of them, that were read; their heads too.
    pub gets: u64,
    /// Objects, or parts of them, that were written, or tried to be; begins and ends of writing in parts too.
    pub puts: u64,
    /// Pages of names.
    pub lists: u64,
    /// Objects that were removed.
    pub removes: u64,
    /// Bytes of what was answered, without headers.
    pub bytes_in: u64,
    /// Bytes of what was sent, without headers.
    pub bytes_out: u64,
}

/// Whole objects by name. Names are relative, with `/` between folders; each call waits for the answer. Errors
/// say what the bucket said; [`io::ErrorKind::PermissionDenied`] for missing rights,
/// [`io::ErrorKind::TimedOut`] if no answer came.
pub trait Bucket: fmt::Debug + Send + Sync {
    /// Says where the bucket is, for messages: `s3://bucket/prefix`.
    fn address(&self) -> String;

    /// Reads the bytes of an object in a range, cut off where the object ends; all of it without a range. `None` if
    /// there is no object.
    ///
    /// # Errors
    /// If the bucket did not answer, or refused.
    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>>;

    /// Writes an object. It is durable when this returns.
    ///
    /// # Errors
    /// If the bucket did not answer, or refused: the object may have been written all the same.
    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put>;

    /// Writes an object from a file of any length, over any older one.
    ///
    /// # Errors
    /// As [`Self::put`], or if the file can't be read.
    fn put_file(&self, name: &str, file: &Path) -> io::Result<()>;

    /// Returns the names in a folder, or with an empty name in the place itself, that come after another one, sorted, without the folder's name: of objects, and
    /// of folders in it. At most `limit`.
    ///
    /// # Errors
    /// If the bucket did not answer, or refused.
    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>>;

    /// Removes an object; it is no error if there is none.
    ///
    /// # Errors
    /// If the bucket did not answer, or refused.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns how many requests were made so far, if they are counted.
    fn requests(&self) -> Option<Requests> {
        None
    }

    /// Tells whether the store may use the bucket from threads of its own, beside the caller's. Where all happens one after
    /// the other, as in a simulation, it may not: then what was signed is published when the store is closed.
    fn has_threads(&self) -> bool {
        true
    }

    /// Waits before something is tried again: this long and, by chance, up to half more, so that several that failed at once do not
    /// meet again.
    fn pause(&self, time: Duration) {
        let mut chance = [0; 1];
        // Without chance they may meet again, and no more than that.
        crate::random(&mut chance).unwrap_or_default();
        thread::sleep(time.saturating_add(time.saturating_mul(chance[0].into()) / 512));
    }
}

/// Bytes of an object at most that is read whole to be changed or believed as one: of the head, a checkpoint, a list.
const WHOLE_BYTES_MAX: u64 = 64 << 20;

/// Reads a whole object that is small by its nature, and no more than that whatever lies there.
///
/// # Errors
/// `InvalidData` if it is longer; as [`Bucket::get`].
pub(crate) fn get_small(bucket: &dyn Bucket, name: &str) -> io::Result<Option<Part>> {
    let found = bucket.get(name, Some(0..WHOLE_BYTES_MAX))?;
    if let Some(part) = found.as_ref().filter(|part| part.length > WHOLE_BYTES_MAX) {
        let why = format!("it has {} bytes, and {WHOLE_BYTES_MAX} are the most that it may have", part.length);
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(found)
}

/// How often something is tried, and how long is waited at first and at most.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Tries something until the bucket answers, or what it says is final. It is such that it may be done more than once.
pub(crate) fn try_again<T, E>(
    bucket: &dyn Bucket,
    is_final: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match attempt() {
            Err(error) if !is_final(&error) => {}
            done => return done,
        }
        bucket.pause(pause);
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
    attempt()
}
