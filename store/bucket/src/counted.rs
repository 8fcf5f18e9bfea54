//! How many requests are made: what a bucket costs.

use core::sync::atomic::{AtomicU64, Ordering};

use griptrace_store::bucket::Requests;

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
