//! What one server sees of a bucket that several share: all of it, nothing, or no answer at all until it is let go on.

use core::{ops::Range, time::Duration};
use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use griptrace_store::bucket::{Bucket, MemoryBucket, Part, Put, When};

/// How long a server can be stopped.
const STOPPED_MAX: Duration = Duration::from_secs(30);

/// How the bucket answers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Way {
    #[default]
    Open,
    /// Each call fails, and does nothing.
    Failing,
    /// Each call waits, as those of a process that was stopped do, and is made when it goes on.
    Stopped,
}

/// A bucket that others share, seen by one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Tap {
    bucket: MemoryBucket,
    way: Arc<(Mutex<Way>, Condvar)>,
    /// What it read.
    read: Arc<Mutex<Vec<String>>>,
}

impl Tap {
    pub(super) fn on(bucket: &MemoryBucket) -> Self {
        Self { bucket: bucket.clone(), ..Self::default() }
    }

    pub(super) fn turn(&self, way: Way) {
        *self.way.0.lock().unwrap() = way;
        self.way.1.notify_all();
    }

    /// Lets nothing be answered until what is returned is gone: however a test ends, its threads can.
    pub(super) fn stop(&self) -> Stopped {
        self.turn(Way::Stopped);
        Stopped(self.clone())
    }

    /// Returns how often it read an object.
    pub(super) fn reads(&self, name: &str) -> usize {
        self.read.lock().unwrap().iter().filter(|read| *read == name).count()
    }

    fn pass(&self) -> io::Result<&MemoryBucket> {
        // A test that failed lets nobody go on.
        let stopped = |way: &mut Way| *way == Way::Stopped;
        let (way, _) = self.way.1.wait_timeout_while(self.way.0.lock().unwrap(), STOPPED_MAX, stopped).unwrap();
        if *way == Way::Failing {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer came"));
        }
        Ok(&self.bucket)
    }
}

/// A bucket that does not answer.
pub(super) struct Stopped(Tap);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.turn(Way::Open);
    }
}

impl Bucket for Tap {
    fn address(&self) -> String {
        self.bucket.address()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        self.read.lock().unwrap().push(name.to_owned());
        self.pass()?.get(name, range)
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        self.pass()?.put(name, bytes, when)
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.pass()?.put_file(name, file)
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        self.pass()?.list(folder, after, limit)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.pass()?.remove(name)
    }

    fn pause(&self, time: Duration) {
        thread::sleep(time / 20);
    }
}
