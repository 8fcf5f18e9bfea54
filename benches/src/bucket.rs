//! A bucket in memory that takes as long to answer as one far away, and counts what it is asked.

use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{io, path::Path, thread};

use griptrace_store::bucket::{Bucket, MemoryBucket, Part, Put, When};

/// Requests so far; removing costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    /// Writes and lists, which cost the same.
    pub(crate) puts: u64,
    pub(crate) gets: u64,
}

/// The bucket.
#[derive(Debug)]
pub(crate) struct Far {
    near: MemoryBucket,
    put: Duration,
    get: Duration,
    puts: AtomicU64,
    gets: AtomicU64,
}

impl Far {
    /// Makes a bucket that answers a write and a read after so long.
    pub(crate) fn new(near: MemoryBucket, put: Duration, get: Duration) -> Self {
        let [puts, gets] = [0; 2].map(AtomicU64::new);
        Self { near, put, get, puts, gets }
    }

    pub(crate) fn requests(&self) -> Requests {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Requests { puts: read(&self.puts), gets: read(&self.gets) }
    }
}

fn count(count: &AtomicU64, takes: Duration) {
    count.fetch_add(1, Ordering::Relaxed);
    if !takes.is_zero() {
        thread::sleep(takes);
    }
}

impl Bucket for Far {
    fn address(&self) -> String {
        "memory://far".to_owned()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        count(&self.gets, self.get);
        self.near.get(name, range)
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        count(&self.puts, self.put);
        self.near.put(name, bytes, when)
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        count(&self.puts, self.put);
        self.near.put_file(name, file)
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        count(&self.puts, self.get);
        self.near.list(folder, after, limit)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        // Costs nothing.
        thread::sleep(self.get);
        self.near.remove(name)
    }
}
