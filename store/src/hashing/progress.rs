//! How far the hashing is, told often enough and not for every file.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use super::HashProgress;

/// Bytes after which a thread tells how far it is: a millisecond's work from memory, a second's
/// from a slow network.
const TELL_BYTES: u64 = 4 << 20;
/// Files after which a thread tells, however small they are.
const TELL_FILES: u64 = 256;

/// What all threads have done.
pub(super) struct Progress<'a> {
    listener: HashProgress<'a>,
    total_bytes: u64,
    total_files: u64,
    done_bytes: AtomicU64,
    done_files: AtomicU64,
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("done_bytes", &self.done_bytes).finish_non_exhaustive()
    }
}

impl<'a> Progress<'a> {
    pub(super) fn new(listener: HashProgress<'a>, total_bytes: u64, total_files: u64) -> Self {
        let (done_bytes, done_files) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { listener, total_bytes, total_files, done_bytes, done_files }
    }

    /// Tells how far it is. A file that grew does not take it beyond the whole.
    pub(super) fn tell(&self) {
        let (bytes, files) = (self.done_bytes.load(Ordering::Relaxed), self.done_files.load(Ordering::Relaxed));
        (self.listener)(bytes.min(self.total_bytes), self.total_bytes, files, self.total_files);
    }
}

/// What one thread has done and not told yet: other threads are not bothered with every file.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    progress: &'a Progress<'a>,
    bytes: u64,
    files: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(progress: &'a Progress<'a>) -> Self {
        Self { progress, bytes: 0, files: 0 }
    }

    pub(super) fn add_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= TELL_BYTES {
            self.tell();
        }
    }

    pub(super) fn add_file(&mut self) {
        self.files = self.files.saturating_add(1);
        if self.files >= TELL_FILES {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.progress.done_bytes.fetch_add(core::mem::take(&mut self.bytes), Ordering::Relaxed);
        self.progress.done_files.fetch_add(core::mem::take(&mut self.files), Ordering::Relaxed);
        self.progress.tell();
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 || self.files > 0 {
            self.tell();
        }
    }
}
