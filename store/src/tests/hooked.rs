//! A bucket that does something of its own where a test says so: before a request, or to what is read.

use core::{
    fmt,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use griptrace_core::key::{Algorithm, SecretKey};
use tempfile::TempDir;

use super::world::{NOW, World, signer};
use crate::{
    CommitError, OpenError, OpenOptions, Standing, Store,
    bucket::{Bucket, MemoryBucket, Part, Put, When},
    lease::SharedHead,
};

/// A request: what is done, and to which object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked<'a> {
    Get(&'a str),
    Put(&'a str),
    Remove(&'a str),
}

type Before = Box<dyn FnMut(Asked<'_>) + Send>;
type States = Vec<(Vec<u8>, When)>;
type Change = Box<dyn FnMut(&str, io::Result<Option<Part>>) -> io::Result<Option<Part>> + Send>;

/// What one process sees of a bucket, which is shared.
#[derive(Clone, Default)]
pub(super) struct Hooked {
    bucket: MemoryBucket,
    name: String,
    before: Arc<Mutex<Option<Before>>>,
    change: Arc<Mutex<Option<Change>>>,
    requests: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    states: Arc<Mutex<States>>,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl Hooked {
    pub(super) fn over(bucket: &MemoryBucket) -> Self {
        Self::called(bucket, "memory:")
    }

    pub(super) fn called(bucket: &MemoryBucket, name: &str) -> Self {
        Self { bucket: bucket.clone(), name: name.to_owned(), ..Self::default() }
    }

    /// Does this before every request. What it asks for itself goes past it.
    pub(super) fn before(&self, what: impl FnMut(Asked<'_>) + Send + 'static) {
        *self.before.lock().unwrap() = Some(Box::new(what));
    }

    /// Does this once, before the first request that is one of these.
    pub(super) fn once(&self, at: impl Fn(Asked<'_>) -> bool + Send + 'static, what: impl FnOnce() + Send + 'static) {
        let mut what = Some(what);
        self.before(move |asked| {
            if at(asked)
                && let Some(what) = what.take()
            {
                what();
            }
        });
    }

    /// Changes what is read.
    pub(super) fn change(
        &self,
        what: impl FnMut(&str, io::Result<Option<Part>>) -> io::Result<Option<Part>> + Send + 'static,
    ) {
        *self.change.lock().unwrap() = Some(Box::new(what));
    }

    /// Changes the bytes of an object once, when it is read next.
    pub(super) fn change_once(&self, object: &str, what: impl Fn(&mut Vec<u8>) + Send + 'static) {
        let (object, mut is_done) = (object.to_owned(), false);
        self.change(move |name, mut found| {
            if name == object
                && !is_done
                && let Ok(Some(part)) = &mut found
            {
                is_done = true;
                what(&mut part.bytes);
            }
            found
        });
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Writes the object `state` once more each time that it was written, as a bucket may do whose answer was lost.
    pub(super) fn write_states_again(&self) {
        for (bytes, when) in self.states.lock().unwrap().iter() {
            self.bucket.put("state", bytes, when).unwrap();
        }
    }

    fn asked(&self, asked: Asked<'_>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let before = self.before.lock().unwrap().take();
        if let Some(mut before) = before {
            before(asked);
            let mut slot = self.before.lock().unwrap();
            *slot = slot.take().or(Some(before));
        }
    }
}

impl Bucket for Hooked {
    fn address(&self) -> String {
        self.name.clone()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        self.asked(Asked::Get(name));
        let found = self.bucket.get(name, range);
        if let Ok(Some(part)) = &found {
            self.bytes.fetch_add(u64::try_from(part.bytes.len()).unwrap(), Ordering::Relaxed);
        }
        match &mut *self.change.lock().unwrap() {
            Some(change) => change(name, found),
            None => found,
        }
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        self.asked(Asked::Put(name));
        if name == "state" {
            self.states.lock().unwrap().push((bytes.to_vec(), when.clone()));
        }
        self.bucket.put(name, bytes, when)
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.asked(Asked::Put(name));
        self.bucket.put_file(name, file)
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bucket.list(folder, after, limit)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.asked(Asked::Remove(name));
        self.bucket.remove(name)
    }

    fn has_threads(&self) -> bool {
        false
    }

    fn pause(&self, _time: Duration) {}
}

/// Joins with this folder; as one who takes the turn, if it may write.
pub(super) fn join_at(hooked: &Hooked, local: &Path, writes: bool) -> Result<Store, OpenError> {
    let options = OpenOptions { signer: writes.then(signer), ..OpenOptions::default() };
    Store::join_in(Arc::new(hooked.clone()), local, options)
}

/// Joins with a folder of its own.
pub(super) fn join(hooked: &Hooked, writes: bool) -> (Store, TempDir) {
    let local = tempfile::tempdir().unwrap();
    (join_at(hooked, local.path(), writes).unwrap(), local)
}

/// Joins and takes the turn, which is free.
pub(super) fn writer(hooked: &Hooked) -> (Store, TempDir) {
    let (store, local) = join(hooked, true);
    assert_eq!(tend(&store, 0).unwrap(), Standing::Writer);
    (store, local)
}

pub(super) fn commit(store: &Store, name: &str) -> Result<(), CommitError> {
    let node = World::at(store).source(name, "CN");
    let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
    store.commit(vec![node], &committer, "Maker", NOW).map(|_| ())
}

pub(super) fn tend(store: &Store, seconds: u64) -> Result<Standing, OpenError> {
    store.tend(Duration::from_secs(seconds))
}

pub(super) fn head(bucket: &MemoryBucket) -> SharedHead {
    SharedHead::parse(&bytes(bucket, "head")).unwrap()
}

pub(super) fn bytes(bucket: &MemoryBucket, name: &str) -> Vec<u8> {
    bucket.get(name, None).unwrap().unwrap().bytes
}

/// A copy of all that is in a bucket.
pub(super) fn copy_of(from: &MemoryBucket) -> MemoryBucket {
    let to = MemoryBucket::default();
    for name in from.names() {
        to.put(&name, &bytes(from, &name), &When::Always).unwrap();
    }
    to
}
