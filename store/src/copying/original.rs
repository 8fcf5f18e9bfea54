//! The log that a backup is of: while it is there, whoever goes on from the backup makes a second history (Rule R11).

use std::io::ErrorKind;

use griptrace_core::id::GenesisHash;

use super::Place;
use crate::{
    closed::{self, Closed},
    error::StorageError,
    head::{CHECKPOINT, HEAD, Signature},
    objects::Objects,
    open::read_genesis,
};

/// What is where a backup says that its log was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Original {
    /// Nothing of the log.
    Gone,
    /// The log, whole or not, with so many entries as far as anything there tells.
    There(Option<u64>),
    /// A backup, or what a move left: of this kind is the log at another place.
    Elsewhere(Closed),
}

impl Place {
    /// Returns the folder that the state of a backup names, if it is one of this machine.
    pub fn folder_named(address: &str) -> Option<Self> {
        let path = address.rsplit_once(" on ").map_or(address, |(path, _)| path);
        Some(Self::Folder(path.into())).filter(|place| place.address() == address)
    }

    /// Looks what is here of a log.
    ///
    /// # Errors
    /// `Io` if nobody can tell, `Corrupt` for a state that can't be read.
    pub fn original(&self, home: &GenesisHash) -> Result<Original, StorageError> {
        match look(&self.objects(), home) {
            Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(Original::Gone),
            other => other,
        }
    }
}

fn look(objects: &Objects, home: &GenesisHash) -> Result<Original, StorageError> {
    let log = match read_genesis(objects) {
        Ok(log) => log,
        Err(StorageError::Corrupt { .. }) => None,
        Err(error) => return Err(error),
    };
    if log.as_ref().is_some_and(|log| log.home != *home) {
        return Ok(Original::Gone);
    }
    match closed::read(objects)? {
        // Nobody was told of it yet.
        Some(Closed::Unfinished(_)) => return Ok(Original::Gone),
        Some(state) => return Ok(Original::Elsewhere(state)),
        None => {}
    }
    if !objects.exists(HEAD)? && !objects.exists(CHECKPOINT)? && !objects.has_segments()? {
        return Ok(Original::Gone);
    }
    Ok(Original::There(log.and_then(|log| Signature { keys: &log.keys }.told(objects).ok().flatten())))
}
