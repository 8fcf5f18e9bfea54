//! `serve.toml`, as it is written.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Value;

use super::{Connections, Log};
use crate::{access::Role, limits::Limits};

/// The whole file.
#[derive(Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) http: Option<String>,
    pub(super) tls: Option<TlsPaths>,
    pub(super) client: Vec<ClientEntry>,
    pub(super) committer: Vec<CommitterEntry>,
    pub(super) limits: Limits,
    pub(super) connections: Connections,
    pub(super) log: Log,
    pub(super) trace: Trace,
    pub(super) audit: Option<PathBuf>,
    pub(super) witnesses: Option<WitnessesEntry>,
    pub(super) advertise: Option<String>,
    pub(super) forward: Option<ForwardEntry>,
}

/// How commits are handed in to the server that writes.
#[derive(Clone, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ForwardEntry {
    pub(super) to: Vec<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
}

/// Who cosigns the log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WitnessesEntry {
    pub(super) policy: PathBuf,
    #[serde(default)]
    pub(super) maps: Vec<String>,
    #[serde(default = "minute")]
    pub(super) every_seconds: u64,
    #[serde(default = "ten")]
    pub(super) deadline_seconds: u64,
    #[serde(default = "half_a_day")]
    pub(super) renew_seconds: u64,
}

const fn half_a_day() -> u64 {
    43_200
}

const fn minute() -> u64 {
    60
}

const fn ten() -> u64 {
    10
}

/// Where certificates and keys are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsPaths {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// One client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientEntry {
    pub(super) name: String,
    pub(super) certificate: Option<String>,
    pub(super) token: Option<String>,
    pub(super) token_from: Option<Value>,
    pub(super) token_to: Option<Value>,
    pub(super) roles: Vec<Role>,
    #[serde(default)]
    pub(super) prefix: Option<Vec<String>>,
    #[serde(default = "yes")]
    pub(super) details: bool,
}

const fn yes() -> bool {
    true
}

/// One committer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommitterEntry {
    pub(super) name: String,
    #[serde(default)]
    pub(super) clients: Vec<String>,
    #[serde(default)]
    pub(super) key: Vec<KeyEntry>,
}

/// One key of a committer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEntry {
    pub(super) key: String,
    pub(super) from: Option<Value>,
    pub(super) to: Option<Value>,
}

/// Where spans go.
#[derive(Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Trace {
    pub(super) otlp: Option<String>,
}
