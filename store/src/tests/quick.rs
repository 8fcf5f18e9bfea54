//! How many requests an audit of a log in a bucket takes.

use core::{ops::Range, time::Duration};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use super::{
    hooked::{Asked, Hooked},
    world::{World, signer},
};
use crate::{
    OpenOptions, Place, Store,
    bucket::{Bucket, MemoryBucket, Part, Put, When, blocks::BLOCK_ENTRIES},
};

fn quiet(_: &str, _: u64, _: u64) {}

/// A bucket that takes its time.
#[derive(Clone, Debug)]
struct Slow(MemoryBucket, Duration);

impl Bucket for Slow {
    fn address(&self) -> String {
        self.0.address()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        thread::sleep(self.1);
        self.0.get(name, range)
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        self.0.put(name, bytes, when)
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.0.put_file(name, file)
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        thread::sleep(self.1);
        self.0.list(folder, after, limit)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
}

#[test]
#[ignore = "a measurement: it takes long and judges nothing"]
fn measure_an_audit_of_a_slow_bucket() {
    let world = World::new();
    for i in 0..500 {
        world.add(world.source(&format!("s{i}"), "CN"));
    }
    let bucket = MemoryBucket::default();
    let local = tempfile::tempdir().unwrap();
    world.store.move_to(&Place::Bucket(Arc::new(bucket.clone()), local.path().to_owned()), &quiet).unwrap();
    let slow = Slow(bucket, Duration::from_millis(50));
    let store = Store::join_in(Arc::new(slow), local.path(), OpenOptions::default()).unwrap();
    store.by_name("s7").unwrap();
    let begin = Instant::now();
    assert!(store.fsck(&quiet).unwrap().is_clean());
    println!(
        "an audit of {} entries in blocks of {BLOCK_ENTRIES}, 50 ms a request: {:?}",
        store.size(),
        begin.elapsed()
    );
}

/// An audit asked for each segment of a block by itself.
#[test]
fn an_audit_of_a_bucket_reads_each_block_once() {
    let world = World::new();
    for i in 0..300 {
        world.add(world.source(&format!("s{i}"), "CN"));
    }
    let bucket = MemoryBucket::default();
    let local = tempfile::tempdir().unwrap();
    world.store.move_to(&Place::Bucket(Arc::new(bucket.clone()), local.path().to_owned()), &quiet).unwrap();
    let hooked = Hooked::over(&bucket);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    hooked.before(move |what| {
        if let Asked::Get(name) = what {
            kept.lock().unwrap().push(name.split('/').next().unwrap().to_owned());
        }
    });
    let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
    let store = Store::join_in(Arc::new(hooked), local.path(), options).unwrap();
    assert_eq!(store.by_name("s7").unwrap().len(), 1);
    asked.lock().unwrap().clear();
    let report = store.fsck(&quiet).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    let asked = asked.lock().unwrap().clone();
    let count = |folder: &str| asked.iter().filter(|name| *name == folder).count();
    let blocks = usize::try_from(store.size() / BLOCK_ENTRIES).unwrap();
    // Its table, all of it for the log, all of it for the index, and some that are read ahead of each run of the index.
    let most = (4 * blocks, 2 * 32, 4 * blocks + 64);
    let found = (count("blocks"), count("segments"), asked.len());
    assert!(found.0 <= most.0 && found.1 <= most.1 && found.2 <= most.2, "{found:?} of {most:?}, {blocks} blocks");
}
