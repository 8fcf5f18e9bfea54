//! The making of a new log, which can be cut off.

use std::{
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::{entry::Genesis, note::NoteSigner};
use griptrace_store::{OpenOptions, Store};

use crate::{
    error::CommandError,
    keyfile::{self, PrivateKey},
    place::Place,
};

/// What stands in the folder while a new log is made.
const BEGUN: &str = "begun";

/// The making of a new log: one that was cut off is gone on with by the same command. Nobody was told of its keys, so that
/// they are taken as they are.
#[derive(Debug)]
pub(crate) struct Begun {
    folder: PathBuf,
    /// Whether it was begun before.
    pub(crate) was: bool,
    /// Whether the log was made then.
    is_made: bool,
}

impl Begun {
    /// Looks whether one was begun in a folder.
    pub(crate) fn at(folder: &Path, place: &Place) -> Result<Self, CommandError> {
        let was = folder.join(BEGUN).exists();
        Ok(Self { was, is_made: was && place.is_taken()?, folder: folder.to_owned() })
    }

    /// Notes that one is begun.
    pub(crate) fn note(&self) -> Result<(), CommandError> {
        let path = self.folder.join(BEGUN);
        fs::write(&path, "").map_err(|e| CommandError::file("write", &path, e))
    }

    /// Makes a key, or takes the one that is there. One that was torn was used for nothing yet.
    pub(crate) fn key(&self, path: &Path, passphrase: Option<&str>) -> Result<PrivateKey, CommandError> {
        let path = self.folder.join(path);
        if self.was && path.exists() {
            let read = keyfile::read(&path);
            if read.is_ok() || self.is_made {
                return read;
            }
            fs::remove_file(&path).map_err(|e| CommandError::file("remove", &path, e))?;
        }
        let key = PrivateKey::generate(griptrace_core::key::Algorithm::Ed25519)?;
        keyfile::write(&path, &key, passphrase)?;
        Ok(key)
    }

    /// Makes the store, or opens the one that was made of the same.
    pub(crate) fn store(&self, place: &Place, genesis: &Genesis, signer: NoteSigner) -> Result<Store, CommandError> {
        if !self.is_made {
            return place.init(genesis, signer, genesis.time);
        }
        // Read first: with another log's key the refusal would be that it is the wrong one.
        let found = place.open(OpenOptions::default())?;
        let of = |genesis: &Genesis| (genesis.origin.clone(), genesis.key.clone(), genesis.revokers.clone());
        if of(found.genesis()) == of(genesis) {
            drop(found);
            return place.open(OpenOptions { signer: Some(signer), ..OpenOptions::default() });
        }
        let text = format!("{} is there already, and was begun with another origin, key or revokers", place.name());
        let folder = self.folder.display();
        Err(CommandError::failed(text).with_hint(format!(
            "if it was begun here, give the same options again; if somebody else began it, use that one (griptrace init --join) or name another place, in either case with a new folder: nothing was signed with the keys in {folder}"
        )))
    }

    /// Notes that it is made.
    pub(crate) fn end(&self) {
        // Beside settings it says nothing any more.
        drop(fs::remove_file(self.folder.join(BEGUN)));
    }
}
