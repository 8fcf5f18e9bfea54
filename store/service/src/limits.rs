//! How much of everything, each with its reason.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of the service. What exceeds one is refused with `RESOURCE_EXHAUSTED` and advice, and never queued
/// without end.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one message of a client: a commit with the manifest of a data set of a million files.
    pub message_bytes_max: usize,
    /// Commits that are checked and written at once; more gain nothing, since they share their flushes.
    pub commits_at_once: usize,
    /// Commits that may wait for that.
    pub commits_waiting_max: usize,
    /// Questions that are answered at once, streams included.
    pub questions_at_once: usize,
    /// Questions of one client at once, so that one can't take all.
    pub questions_per_client: usize,
    /// Bundles that are made at once: each holds its evidence in memory.
    pub proofs_at_once: usize,
    /// Bundles that may wait for that.
    pub proofs_waiting_max: usize,
    /// Mebibytes of commits that were read and are not written yet, each counted as one at least.
    pub commits_mebibytes_max: u32,
    /// Mebibytes of bundles that were made and wait for their readers.
    pub bundles_mebibytes_max: u32,
    /// Watchers at once.
    pub watchers_max: usize,
    /// Seconds for which a call may run when the client sets no deadline, and at most when it does.
    pub call_seconds_max: u64,
    /// Seconds for which an answer may wait for its reader before it is given up.
    pub stalled_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 160 << 20,
            commits_at_once: 256,
            commits_waiting_max: 2048,
            questions_at_once: 256,
            questions_per_client: 64,
            proofs_at_once: 2,
            proofs_waiting_max: 32,
            commits_mebibytes_max: 4096,
            bundles_mebibytes_max: 2048,
            watchers_max: 256,
            call_seconds_max: 600,
            stalled_seconds_max: 30,
        }
    }
}

impl Limits {
    pub(crate) const fn call_max(&self) -> Duration {
        Duration::from_secs(self.call_seconds_max)
    }

    pub(crate) const fn stalled_max(&self) -> Duration {
        Duration::from_secs(self.stalled_seconds_max)
    }
}
