//! Whether a log may be written to where it is: the object `state`.
//!
//! A backup, and a place that a log was moved away from, hold a whole log and its key would sign on it. Nobody who
//! goes on there by mistake is told by the bytes alone, so that it stands there in words (Rule R11).
//!
//! Whoever writes it has read it, and writes it only while it is still what was read. No two of it have the same bytes, so that
//! a write that arrives late, or once more, finds another one there and does nothing.

use core::fmt;

use griptrace_core::digest::Digest;

use crate::{
    bucket::{Put, Version, When, get_small},
    error::{OpenError, StorageError},
    objects::Objects,
    random,
};

pub(crate) const STATE: &str = "state";
const MAGIC: &str = "griptrace state v1";

/// Why nobody writes to a log where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closed {
    /// It is a backup of the log at this address.
    Backup(String),
    /// It is being copied from this address, and is not all there.
    Unfinished(String),
    /// It went on at this address.
    Moved(String),
}

impl Closed {
    /// Returns the place that it names.
    pub fn into_place(self) -> String {
        match self {
            Self::Backup(place) | Self::Unfinished(place) | Self::Moved(place) => place,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup(of) => write!(f, "it is a backup of {of}"),
            Self::Unfinished(from) => write!(f, "it is being copied from {from}, and is not all there"),
            Self::Moved(to) => write!(f, "the log was moved to {to}"),
        }
    }
}

/// Which state was read or written.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    bytes: Option<Vec<u8>>,
    version: Option<Version>,
}

/// Reads the state; `None` if the log may be written to.
pub(crate) fn read(objects: &Objects) -> Result<Option<Closed>, StorageError> {
    Ok(look(objects)?.0)
}

/// Reads the state, to change it.
pub(crate) fn look(objects: &Objects) -> Result<(Option<Closed>, Mark), StorageError> {
    let mark = mark(objects)?;
    let state = mark.bytes.as_deref().map(parse).transpose()?.flatten();
    Ok((state, mark))
}

fn mark(objects: &Objects) -> Result<Mark, StorageError> {
    let Some(bucket) = objects.bucket() else { return Ok(Mark { bytes: objects.read(STATE)?, version: None }) };
    let found = get_small(&**bucket, STATE).map_err(objects.failed("read", STATE))?;
    Ok(found.map_or(Mark { bytes: None, version: None }, |part| Mark {
        bytes: Some(part.bytes),
        version: Some(part.version),
    }))
}

fn parse(bytes: &[u8]) -> Result<Option<Closed>, StorageError> {
    let bad = || StorageError::corrupt(STATE, "it does not say whether the log may be written to");
    let text = core::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n')).ok_or_else(bad)?;
    let line = match *text.split('\n').collect::<Vec<_>>() {
        // As it was written before it had a checksum.
        [MAGIC, line] => line,
        [MAGIC, line, chance, sum] if sum == checksum(line, chance) => line,
        _ => return Err(bad()),
    };
    match line.split_once(' ') {
        Some(("open", "-")) => Ok(None),
        Some(("backup", of)) => Ok(Some(Closed::Backup(of.to_owned()))),
        Some(("unfinished", from)) => Ok(Some(Closed::Unfinished(from.to_owned()))),
        Some(("moved", to)) => Ok(Some(Closed::Moved(to.to_owned()))),
        Some(_) | None => Err(bad()),
    }
}

fn checksum(line: &str, chance: &str) -> String {
    blake3::hash(format!("{MAGIC}\n{line}\n{chance}\n").as_bytes()).to_hex().to_string()
}

/// Tells whether the state is still the one that was read or written.
pub(crate) fn is_still(objects: &Objects, known: &Mark) -> Result<bool, StorageError> {
    Ok(mark(objects)?.bytes == known.bytes)
}

/// Writes the state, durably, if it is still the one that is known.
///
/// # Errors
/// `Fenced` if another process wrote it meanwhile; `Io`.
pub(crate) fn change(objects: &Objects, known: &Mark, state: Option<&Closed>) -> Result<Mark, StorageError> {
    let (word, place) = match state {
        None => ("open", "-"),
        Some(Closed::Backup(of)) => ("backup", of.as_str()),
        Some(Closed::Unfinished(from)) => ("unfinished", from.as_str()),
        Some(Closed::Moved(to)) => ("moved", to.as_str()),
    };
    let mut chance = [0; 32];
    random(&mut chance).map_err(objects.failed("ask for randomness for", STATE))?;
    // One line: whatever a folder is called.
    let line = format!("{word} {place}").replace('\n', " ");
    let chance = Digest::from_bytes(chance).to_string();
    let bytes = format!("{MAGIC}\n{line}\n{chance}\n{}\n", checksum(&line, &chance)).into_bytes();
    let fenced = || StorageError::Fenced { path: objects.root().to_path_buf() };
    let Some(bucket) = objects.bucket() else {
        // Whoever writes it holds the lock.
        if !is_still(objects, known)? {
            return Err(fenced());
        }
        objects.put(STATE, &bytes)?;
        return Ok(Mark { bytes: Some(bytes), version: None });
    };
    let when = known.version.clone().map_or(When::Absent, When::Is);
    let put = bucket.put(STATE, &bytes, &when).map_err(objects.failed("write", STATE));
    if let Ok(Put::Done(version)) = put {
        return Ok(Mark { bytes: Some(bytes), version: Some(version) });
    }
    // An answer may have been lost: what stands there tells.
    let there = mark(objects)?;
    if there.bytes.as_ref() == Some(&bytes) { Ok(there) } else { put.and_then(|_| Err(fenced())) }
}

/// Writes the state, whatever it is.
#[cfg(test)]
pub(crate) fn write(objects: &Objects, state: Option<&Closed>) -> Result<(), StorageError> {
    change(objects, &mark(objects)?, state).map(drop)
}

/// Refuses to write to a log that is closed where it is.
pub(crate) fn refuse(objects: &Objects) -> Result<(), OpenError> {
    match read(objects)? {
        None => Ok(()),
        Some(state) => Err(OpenError::Closed { path: objects.root().to_path_buf(), state }),
    }
}

/// Refuses what a copying that was cut off left, of which nothing tells yet that it is a log.
pub(crate) fn refuse_unfinished(objects: &Objects) -> Result<(), OpenError> {
    match read(objects) {
        Ok(Some(state @ Closed::Unfinished(_))) => Err(OpenError::Closed { path: objects.root().to_path_buf(), state }),
        // What is damaged here is told by who needs it.
        Ok(_) | Err(StorageError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
