//! Whether a log may be written to where it is: the object `state`.
//!
//! A backup, and a place that a log was moved away from, hold a whole log and its key would sign on it. Nobody who
//! goes on there by mistake is told by the bytes alone, so that it stands there in words (Rule R11).

use core::fmt;

use crate::{
    error::{OpenError, StorageError},
    objects::Objects,
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

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup(of) => write!(f, "it is a backup of {of}"),
            Self::Unfinished(from) => write!(f, "it is being copied from {from}, and is not all there"),
            Self::Moved(to) => write!(f, "the log was moved to {to}"),
        }
    }
}

/// Reads the state; `None` if the log may be written to.
pub(crate) fn read(objects: &Objects) -> Result<Option<Closed>, StorageError> {
    let Some(bytes) = objects.read(STATE)? else { return Ok(None) };
    let lines = core::str::from_utf8(&bytes).ok().and_then(|text| text.strip_prefix(MAGIC)?.strip_prefix('\n'));
    match lines.and_then(|lines| lines.strip_suffix('\n')?.split_once(' ')) {
        Some(("open", "-")) => Ok(None),
        Some(("backup", of)) => Ok(Some(Closed::Backup(of.to_owned()))),
        Some(("unfinished", from)) => Ok(Some(Closed::Unfinished(from.to_owned()))),
        Some(("moved", to)) => Ok(Some(Closed::Moved(to.to_owned()))),
        Some(_) | None => Err(StorageError::corrupt(STATE, "it does not say whether the log may be written to")),
    }
}

/// Writes the state, durably.
pub(crate) fn write(objects: &Objects, state: Option<&Closed>) -> Result<(), StorageError> {
    let (word, place) = match state {
        None => ("open", "-"),
        Some(Closed::Backup(of)) => ("backup", of.as_str()),
        Some(Closed::Unfinished(from)) => ("unfinished", from.as_str()),
        Some(Closed::Moved(to)) => ("moved", to.as_str()),
    };
    objects.put(STATE, format!("{MAGIC}\n{word} {place}\n").as_bytes())
}

/// Refuses to write to a log that is closed where it is.
pub(crate) fn refuse(objects: &Objects) -> Result<(), OpenError> {
    match read(objects)? {
        None => Ok(()),
        Some(state) => Err(OpenError::Closed { path: objects.root().to_path_buf(), state }),
    }
}
