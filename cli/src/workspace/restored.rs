//! The settings of a log that is restored where there are none: made of the backup, and of the keys that were kept apart.

use std::path::{Path, PathBuf};

use griptrace_store::Store;
use zeroize::Zeroizing;

use super::{
    CONFIG, Config, FOLDER, KeyPaths, Workspace, check_log_key, committer_of, has_settings, make_folder, party_of,
};
use crate::{error::CommandError, keyfile, place::BucketPlace};

/// What the settings are made of, besides the backup.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Where the log goes, if not into the folder.
    pub(crate) bucket: Option<BucketPlace>,
    /// Who commits.
    pub(crate) name: Option<String>,
    /// Keys in files that stay where they are.
    pub(crate) log_key: Option<PathBuf>,
    pub(crate) committer_key: Option<PathBuf>,
    pub(crate) passphrase: Option<Zeroizing<String>>,
}

impl Workspace {
    /// Returns the folder for keys and settings, made if it is not there.
    pub(crate) fn folder_in(dir: &Path) -> Result<PathBuf, CommandError> {
        let folder = dir.join(FOLDER);
        make_folder(&folder)?;
        Ok(folder)
    }
}

impl Restored {
    /// Makes the settings, and tells that they were not there: what was cut off has them.
    pub(crate) fn settle(folder: &Path, restored: Self, backup: &Store) -> Result<(Config, bool), CommandError> {
        let Self { bucket, name, log_key, committer_key, passphrase } = restored;
        if has_settings(folder)? {
            let config = Config::read(folder)?;
            if config.bucket() == bucket && config.server.is_none() {
                return Ok((config, false));
            }
            let text = format!("{} names another place for the log", folder.join(CONFIG).display());
            return Err(CommandError::failed(text).with_hint("name a new folder, or the same place"));
        }
        let kept = PathBuf::from("keys/log.key");
        let log_key = log_key.or_else(|| folder.join(&kept).exists().then_some(kept));
        if let Some(path) = &log_key {
            check_log_key(backup, &keyfile::read(&folder.join(path))?, path)
                .map_err(|error| error.with_hint("--log-key FILE names another one"))?;
        }
        let passphrase = passphrase.as_deref().map(String::as_str);
        let (committer, path) = committer_of(folder, committer_key, passphrase)?;
        let origin = backup.genesis().origin.clone();
        let issuer = name.unwrap_or_else(|| party_of(&origin));
        let keys = KeyPaths::new(log_key, path);
        let mut config = Config::new(origin, issuer, committer.public()?.to_string(), keys);
        if let Some(bucket) = bucket {
            config.put_bucket(bucket, backup.home());
        }
        config.save(folder)?;
        Ok((config, true))
    }
}
