//! The settings beside a store.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use griptrace_core::{id::GenesisHash, key::PublicKey};
use griptrace_store::Store;
use serde::{Deserialize, Serialize};

use super::CONFIG;
use crate::{
    error::CommandError,
    keyfile,
    place::{BucketPlace, Place},
    remote::ServerConfig,
};

/// The settings beside a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the log.
    pub(crate) origin: String,
    /// Who commits.
    pub(crate) issuer: String,
    /// The committer's public key, for who needs no secret.
    pub(crate) committer: String,
    /// The committer's keys that were in use here before, of which what they signed while they counted stays the own party's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<String>,
    /// The bucket that has the log, `s3://BUCKET/FOLDER`, where it is not in this folder; where its service and the bucket are,
    /// if the environment is not to say so; and the log's genesis, as it was pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) store: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) genesis: Option<String>,
    /// Where the keys are.
    pub(crate) keys: KeyPaths,
    /// The server that has the log, where it is not in this folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<ServerConfig>,
    /// Assessors whose statements were recorded with their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) assessor: Vec<KnownAssessor>,
}

impl Config {
    /// Returns the settings of who only asks.
    pub(super) fn of_nobody() -> Self {
        let keys = KeyPaths::new(None, PathBuf::new());
        Self::new(String::new(), String::new(), String::new(), keys)
    }

    pub(super) const fn new(origin: String, issuer: String, committer: String, keys: KeyPaths) -> Self {
        Self {
            origin,
            issuer,
            committer,
            earlier: Vec::new(),
            store: None,
            endpoint: None,
            region: None,
            genesis: None,
            keys,
            server: None,
            assessor: Vec::new(),
        }
    }

    /// Returns the bucket that has the log, if one does.
    pub(crate) fn bucket(&self) -> Option<BucketPlace> {
        let (endpoint, region) = (self.endpoint.clone(), self.region.clone());
        self.store.clone().map(|address| BucketPlace { address, endpoint, region })
    }

    /// Names the place that the log is moved to: a bucket, or the folder itself.
    pub(crate) fn put_place(&mut self, bucket: Option<BucketPlace>, home: GenesisHash) {
        (self.store, self.endpoint, self.region) = (None, None, None);
        if let Some(bucket) = bucket {
            self.put_bucket(bucket, home);
        }
    }

    /// Writes the settings into a folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), CommandError> {
        let path = folder.join(CONFIG);
        let text = toml::to_string(self).map_err(|e| CommandError::because("cannot write the settings", e))?;
        let temporary = folder.join("config.toml.new");
        // A key that the power took from the settings would be missed when the log asks for it.
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| keyfile::sync_folder_of(&path));
        written.map_err(|e| CommandError::file("write", &temporary, e))
    }

    /// Removes the settings from a folder.
    pub(crate) fn remove(folder: &Path) -> std::io::Result<()> {
        fs::remove_file(folder.join(CONFIG))
    }

    /// Says in which bucket which log is.
    pub(super) fn put_bucket(&mut self, place: BucketPlace, home: GenesisHash) {
        let BucketPlace { address, endpoint, region } = place;
        (self.store, self.endpoint, self.region) = (Some(address), endpoint, region);
        self.genesis = Some(home.to_string());
    }

    /// Reads the settings in a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, CommandError> {
        let path = folder.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(|e| CommandError::file("read", &path, e))?;
        toml::from_str(&text).map_err(|e| CommandError::because(format!("{} is wrong", path.display()), e))
    }

    /// Names the committer's key that is in use from now on.
    pub(crate) fn put_committer(&mut self, key: &PublicKey) {
        let old = core::mem::replace(&mut self.committer, key.to_string());
        self.earlier.retain(|known| *known != old && *known != self.committer);
        if old != self.committer {
            self.earlier.push(old);
        }
    }

    /// Returns the committer's public key.
    pub(crate) fn committer_key(&self) -> Result<PublicKey, CommandError> {
        PublicKey::parse(&self.committer).map_err(|e| CommandError::because("the settings' committer key", e))
    }
}

/// Where the keys are; relative paths begin at the folder of the settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyPaths {
    /// The key that signs checkpoints; a server's own folder has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<PathBuf>,
    /// The key that signs commits.
    pub(crate) committer: PathBuf,
    /// The keys that follow these, while they are being changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_log: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_committer: Option<PathBuf>,
}

impl KeyPaths {
    /// Names the keys of a new folder.
    pub(super) const fn new(log: Option<PathBuf>, committer: PathBuf) -> Self {
        Self { log, committer, next_log: None, next_committer: None }
    }
}

/// An assessor's key, as a statement file brought it. Not confirmed by anybody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownAssessor {
    /// Who the assessor says to be.
    pub(crate) name: String,
    /// The public key.
    pub(crate) key: String,
    /// Schemes of recorded assessments.
    pub(crate) schemes: Vec<String>,
}

impl Config {
    /// Refuses a log that is not the one that was pinned when the folder was made.
    pub(super) fn check_home(&self, place: &Place, store: &Store) -> Result<(), CommandError> {
        self.check_pin(&place.name(), store)
    }

    /// Refuses a copy of another log than the settings name.
    pub(crate) fn check_log(&self, place: &str, store: &Store) -> Result<(), CommandError> {
        let origin = &store.genesis().origin;
        if *origin != self.origin {
            return Err(CommandError::failed(format!(
                "{place} has the log {origin}, and {CONFIG} names {}",
                self.origin
            )));
        }
        self.check_pin(place, store)
    }

    fn check_pin(&self, place: &str, store: &Store) -> Result<(), CommandError> {
        let (found, Some(pinned)) = (store.home().to_string(), &self.genesis) else { return Ok(()) };
        if found == *pinned {
            return Ok(());
        }
        Err(CommandError::failed(format!("{place} has the genesis {found}, and {CONFIG} pins {pinned}")).with_hint(
            "it is another log: look whether the address in the settings is right, and whether somebody replaced it",
        ))
    }
}
