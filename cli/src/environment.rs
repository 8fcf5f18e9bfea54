//! The only reads of the environment.

use std::{env, ffi::OsString, path::PathBuf};

use zeroize::Zeroizing;

/// Returns the store that `GRIPTRACE_STORE` names.
pub(crate) fn store() -> Option<PathBuf> {
    env::var_os("GRIPTRACE_STORE").filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// Returns the passphrase of key files in `GRIPTRACE_PASSPHRASE`.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub(crate) fn passphrase() -> Option<Zeroizing<String>> {
    env::var("GRIPTRACE_PASSPHRASE").ok().filter(|text| !text.is_empty()).map(Zeroizing::new)
}

/// Returns the server that `GRIPTRACE_SERVER` names.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub(crate) fn server() -> Option<String> {
    env::var("GRIPTRACE_SERVER").ok().filter(|text| !text.is_empty())
}

/// Returns the token in `GRIPTRACE_TOKEN`.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub(crate) fn token() -> Option<Zeroizing<String>> {
    env::var("GRIPTRACE_TOKEN").ok().filter(|text| !text.is_empty()).map(Zeroizing::new)
}

/// Returns the file that a variable names.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// Returns the folder for what programs remember of this user: `XDG_STATE_HOME`, or `.local/state` at home.
pub(crate) fn state_folder() -> Option<PathBuf> {
    let home = || path("HOME").map(|home| home.join(".local").join("state"));
    path("XDG_STATE_HOME").filter(|path| path.is_absolute()).or_else(home)
}

/// Returns what the environment says to the programs of clouds, and to us: who asks for a bucket, and where it is.
pub(crate) fn buckets() -> Vec<(String, String)> {
    let is_one = |name: &str| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|family| name.starts_with(family));
    let readable = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    env::vars_os().filter_map(readable).filter(|(name, _)| is_one(name)).collect()
}

/// Returns the settings of a service in `GRIPTRACE_SERVE__...`, without that beginning.
pub(crate) fn serve() -> Vec<(String, String)> {
    let ours = env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix("GRIPTRACE_SERVE__")?.to_owned();
        Some((name, value.to_string_lossy().into_owned()))
    });
    let mut ours: Vec<_> = ours.collect();
    ours.sort();
    ours
}
