//! What shows that a file is another than before.

use core::fmt;
use std::fs::Metadata;

/// A file's size, times and identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Stamp {
    pub(super) size: u64,
    /// When its bytes changed, in nanoseconds since 1970; 0 for what the system can't say.
    pub(super) changed_ns: u64,
    /// When its bytes, times or names changed. Unlike the other time, no program can set it back.
    pub(super) touched_ns: u64,
    pub(super) inode: u64,
}

impl Stamp {
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            size: metadata.len(),
            changed_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            touched_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn of(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let changed_ns = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Self { size: metadata.len(), changed_ns, touched_ns: 0, inode: 0 }
    }

    /// Whether the file last changed before a time, which must be known for that.
    pub(super) fn is_before(&self, time_ns: u64) -> bool {
        self.changed_ns != 0 && self.changed_ns.max(self.touched_ns) < time_ns
    }
}

/// Joins seconds and nanoseconds; 0 before 1970 and after 2554.
#[cfg(unix)]
fn nanoseconds(seconds: i64, rest: i64) -> u64 {
    let sum = seconds.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(rest));
    sum.and_then(|sum| u64::try_from(sum).ok()).unwrap_or(0)
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {} ns since 1970", self.size, self.changed_ns)
    }
}
