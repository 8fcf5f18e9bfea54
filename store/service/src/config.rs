//! The settings of a service: a file, the environment over it, and the command line over both.
//!
//! Everything that is wrong is found at once and named: the file or variable, the key, what stands
//! there and what would do. The environment itself is read by the program and comes in as pairs.

mod check;
mod file;
mod peer;
mod problem;
mod sources;

use core::{fmt, net::SocketAddr, time::Duration};
use std::path::{Path, PathBuf};

use griptrace_core::key::PublicKey;
use serde::Deserialize;

pub use problem::{ConfigError, Problem};

use crate::{access::Register, http, limits::Limits, tls::Tls};

/// What is logged unless something else is said. What is asked of a bucket is tried again, and each try is no news.
pub(crate) const FILTER: &str = "info,object_store=error";

/// Threads for what the service does by itself, several times as many as it has tasks.
const OWN_THREADS: usize = 32;

/// What is said of a server that is no replica and can't write all the same.
pub(crate) const NO_LOG_KEY: &str = "never: config.toml names no key of the log (`log` under [keys])";

/// What time it is: seconds since 1970.
pub type Clock = fn() -> u64;

/// Where the settings come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The folder at which relative paths begin where there is no file.
    pub folder: PathBuf,
    /// The variables of the environment, without `GRIPTRACE_SERVE__`, and their values.
    pub environment: Vec<(String, String)>,
    /// What the command line says.
    pub flags: Flags,
    /// The store's own committer, who alone is registered where no other is.
    pub own_committer: OwnCommitter,
    /// Whether there is a key of the log, without which nothing is ever written.
    pub has_log_key: bool,
    /// The clock.
    pub clock: Clock,
}

/// What the command line says.
#[derive(Clone, Default, Debug)]
pub struct Flags {
    /// Where gRPC is served.
    pub listen: Option<String>,
    /// Where the log is served over HTTP; `off` for nowhere.
    pub http: Option<String>,
    /// Whether others than this machine may be served without TLS and without knowing who they are.
    pub is_open_to_everyone: bool,
    /// Whether this one never writes.
    pub is_replica: bool,
    /// Where the addresses are written when both are listened at.
    pub ready_file: Option<PathBuf>,
}

/// The store's own committer.
#[derive(Clone, Debug)]
pub struct OwnCommitter {
    /// Who it says to be.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
}

/// What is in force.
#[derive(Debug)]
pub struct Settings {
    pub(crate) sources: Sources,
    pub(crate) listen: SocketAddr,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) tls: Option<Tls>,
    pub(crate) register: Register,
    pub(crate) limits: Limits,
    pub(crate) connections: Connections,
    pub(crate) log: Log,
    pub(crate) trace: Option<String>,
    pub(crate) audit: PathBuf,
    pub(crate) witnesses: Option<Witnessing>,
    /// Where other servers of the same log hand in commits while this one writes.
    pub(crate) advertise: Option<String>,
    /// How this one hands commits in to the one that writes.
    pub(crate) forward: Option<Forwarding>,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

/// Who cosigns the log, and how often they are asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Witnessing {
    /// The file that was read.
    pub(crate) file: PathBuf,
    /// The policy in it.
    pub(crate) policy: Vec<u8>,
    /// Keys for recomputed status maps.
    pub(crate) maps: Vec<String>,
    pub(crate) every: Duration,
    pub(crate) deadline: Duration,
    /// How long a checkpoint that did not change goes before it is cosigned again.
    pub(crate) renew: Duration,
}

/// How commits are handed in to the server that writes.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Forwarding {
    /// Where the other servers take commits. Who writes tells an address in the bucket, unsigned: it is called only if it is
    /// one of these.
    pub(crate) to: Vec<String>,
    /// Who signed the others' certificates, as PEM; the system's authorities without it.
    pub(crate) authority: Option<Vec<u8>>,
    /// The certificate to show, and its key, as PEM.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The token to show.
    pub(crate) token: Option<String>,
}

/// Tells what is there, and nothing that is secret.
impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Forwarding {
    fn describe(&self) -> String {
        let by = match (&self.identity, &self.token) {
            (Some(_), Some(_)) => "by a certificate and a token",
            (Some(_), None) => "by a certificate",
            (None, Some(_)) => "by a token",
            (None, None) => "without saying who this is",
        };
        format!("to the server that writes, {by}, if it is {}", self.to.join(" or "))
    }
}

/// How many connections there may be, and how long they last.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Connections {
    /// Open at once at one listener.
    pub(crate) open_max: usize,
    /// Calls at once on one connection.
    pub(crate) streams_max: u32,
    /// Seconds that running calls have to finish when the service ends.
    pub(crate) drain_seconds: u64,
    /// Seconds before that in which it says that it closes, and goes on as if it did not: who sends others here looks now and then.
    pub(crate) leave_seconds: u64,
}

impl Default for Connections {
    fn default() -> Self {
        Self { open_max: 1024, streams_max: 128, drain_seconds: 30, leave_seconds: 0 }
    }
}

impl Connections {
    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    pub(crate) const fn leave(&self) -> Duration {
        Duration::from_secs(self.leave_seconds)
    }
}

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// Directives as those of the crate tracing-subscriber.
    pub(crate) filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: FILTER.to_owned() }
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Settings {
    /// Reads the settings, and all files that they name.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        let file = sources::read(&sources)?;
        check::check(sources, file)
    }

    /// Returns where other servers of the same log hand in commits while this one writes; empty for nowhere.
    pub fn advertised(&self) -> &str {
        self.advertise.as_deref().unwrap_or_default()
    }

    /// Tells whether this server is one that takes the turn to write.
    pub(crate) const fn may_write(&self) -> bool {
        !self.sources.flags.is_replica && self.sources.has_log_key
    }

    const fn writes(&self) -> &'static str {
        match (self.sources.flags.is_replica, self.sources.has_log_key) {
            (true, _) => "never: it is a replica",
            (false, true) => "when it is its turn, if the key that it has is the log's: that shows when it starts",
            (false, false) => NO_LOG_KEY,
        }
    }

    /// Returns how many threads a runtime needs for what blocks: one for everything that may wait for the store at once, so that
    /// whatever a bucket does not answer, what tends the store finds one.
    pub fn blocking_threads_max(&self) -> usize {
        let limits = &self.limits;
        let asked = [limits.questions_at_once, limits.proofs_at_once, limits.watchers_max, http::READERS_MAX];
        asked.into_iter().fold(OWN_THREADS, usize::saturating_add)
    }

    /// Returns what is in force, a line each, without secrets.
    pub fn lines(&self) -> Vec<String> {
        let or_off = |text: Option<String>| text.unwrap_or_else(|| "off".to_owned());
        let file = self.sources.file.as_ref().map(|file| file.display().to_string());
        let tls = self.tls.as_ref().map(|tls| tls.describe().to_owned());
        let mut lines = vec![
            format!("file        {}", file.unwrap_or_else(|| "none".to_owned())),
            format!("listen      {}", self.listen),
            format!("http        {}", or_off(self.http.map(|http| http.to_string()))),
            format!("tls         {}", or_off(tls)),
            format!("audit       {}", self.audit.display()),
            format!("log         {:?}, {}", self.log.format, self.log.filter).to_lowercase(),
            format!("trace       {}", or_off(self.trace.clone())),
            format!("witnesses   {}", or_off(self.witnesses.as_ref().map(|w| w.file.display().to_string()))),
            format!("writes      {}", self.writes()),
            format!("advertise   {}", or_off(self.advertise.clone())),
            format!("forward     {}", or_off(self.forward.as_ref().map(Forwarding::describe))),
            format!(
                "connections {} open, {} calls on each, {} s to leave, {} s to finish",
                self.connections.open_max,
                self.connections.streams_max,
                self.connections.leave_seconds,
                self.connections.drain_seconds
            ),
        ];
        // Numbers by their keys, as they stand in the file.
        let limits = toml::to_string(&self.limits).unwrap_or_default();
        lines.extend(limits.lines().map(|line| format!("limit       {line}")));
        lines.extend(self.register.lines());
        lines
    }
}

/// Returns where a path of the configuration leads.
pub(crate) fn resolve(sources: &Sources, path: &Path) -> PathBuf {
    let folder = sources.file.as_deref().and_then(Path::parent).unwrap_or(&sources.folder);
    folder.join(path)
}

#[cfg(test)]
mod tests;
