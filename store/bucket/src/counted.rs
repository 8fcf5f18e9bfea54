//! How many requests are made: what a bucket costs.

use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{fs, io, path::Path};

use griptrace_store::bucket::{Bucket, Part, Put, When};

/// How many requests were made, and how many bytes they moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requests {
    /// Objects, or parts of them, that were read; their heads too.
    pub gets: u64,
    /// Objects, or parts of them, that were written, or tried to be; begins and ends of writing in parts too.
    pub puts: u64,
    /// Pages of names.
    pub lists: u64,
    /// Objects that were removed.
    pub removes: u64,
    /// Bytes of what was answered, without headers.
    pub bytes_in: u64,
    /// Bytes of what was sent, without headers.
    pub bytes_out: u64,
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sort {
    Get,
    Put,
    List,
    Remove,
}

/// Counts from many threads.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    gets: AtomicU64,
    puts: AtomicU64,
    lists: AtomicU64,
    removes: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Counter {
    pub(crate) fn request(&self, sort: Sort) {
        let counter = match sort {
            Sort::Get => &self.gets,
            Sort::Put => &self.puts,
            Sort::List => &self.lists,
            Sort::Remove => &self.removes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn moved(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Requests {
        Requests {
            gets: self.gets.load(Ordering::Relaxed),
            puts: self.puts.load(Ordering::Relaxed),
            lists: self.lists.load(Ordering::Relaxed),
            removes: self.removes.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }
}

/// Counts what is asked of any bucket: calls, however many requests each of them becomes
/// ([`BucketStore::requests`](crate::BucketStore::requests) counts those).
#[derive(Debug)]
pub struct Counted<B> {
    bucket: B,
    counter: Counter,
}

impl<B: Bucket> Counted<B> {
    /// Begins at zero.
    pub fn new(bucket: B) -> Self {
        Self { bucket, counter: Counter::default() }
    }

    /// Returns the bucket.
    pub const fn bucket(&self) -> &B {
        &self.bucket
    }

    /// Returns what was counted so far. Names that were listed count as the bytes of their letters.
    pub fn requests(&self) -> Requests {
        self.counter.read()
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl<B: Bucket> Bucket for Counted<B> {
    fn address(&self) -> String {
        self.bucket.address()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        self.counter.request(Sort::Get);
        let part = self.bucket.get(name, range)?;
        self.counter.moved(part.as_ref().map_or(0, |part| wide(part.bytes.len())), 0);
        Ok(part)
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        self.counter.request(Sort::Put);
        self.counter.moved(0, wide(bytes.len()));
        self.bucket.put(name, bytes, when)
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.counter.request(Sort::Put);
        self.counter.moved(0, fs::metadata(file)?.len());
        self.bucket.put_file(name, file)
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        self.counter.request(Sort::List);
        let names = self.bucket.list(folder, after, limit)?;
        self.counter.moved(names.iter().map(|name| wide(name.len())).sum(), 0);
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.counter.request(Sort::Remove);
        self.bucket.remove(name)
    }

    fn pause(&self, time: Duration) {
        self.bucket.pause(time);
    }
}
