//! A bucket whose answers get lost, late, or come twice, when it is told so.

use core::{fmt, ops::Range, time::Duration};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::bucket::{Bucket, MemoryBucket, Part, Put, When};

/// How a write goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Storm {
    /// It does nothing and says so.
    Lost,
    /// It says that it failed, and was done all the same.
    Persisted,
    /// It says that it failed, and is done when the next writes have been.
    Late(u32),
    /// It is done, and once more after the next writes.
    Twice(u32),
    /// From then on nothing works: the process is gone.
    Crash,
}

#[derive(Debug, Default)]
struct Sky {
    writes: u64,
    storm: Option<(u64, Storm)>,
    is_gone: bool,
    /// What happens before an object is written whose name begins so.
    meanwhile: Option<Meanwhile>,
    /// What becomes of what is read.
    reading: Option<Reading>,
    /// Writes under way, and after how many others they arrive.
    under_way: Vec<(u32, String, Vec<u8>, When)>,
}

struct Meanwhile(&'static str, Box<dyn FnOnce() + Send>);

type Read = io::Result<Option<Part>>;

type ChangeRead = dyn FnMut(&str, Read) -> Read + Send;

struct Reading(Box<ChangeRead>);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is read is changed")
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "before {}", self.0)
    }
}

/// What one process sees of a bucket. The bucket itself is shared.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather {
    pub(super) bucket: MemoryBucket,
    sky: Arc<Mutex<Sky>>,
}

fn failed() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer came")
}

impl Weather {
    pub(super) fn over(bucket: &MemoryBucket) -> Self {
        Self { bucket: bucket.clone(), sky: Arc::default() }
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.sky.lock().unwrap()
    }

    /// Returns how many writes were asked for so far.
    pub(super) fn writes(&self) -> u64 {
        self.sky().writes
    }

    /// Goes wrong at the `at`-th write from now on, 0 being the next one.
    pub(super) fn brew(&self, at: u64, storm: Storm) {
        let mut sky = self.sky();
        sky.storm = Some((sky.writes + at, storm));
    }

    /// Does something once, just before an object is written whose name begins so.
    pub(super) fn meanwhile(&self, begins: &'static str, what: impl FnOnce() + Send + 'static) {
        self.sky().meanwhile = Some(Meanwhile(begins, Box::new(what)));
    }

    /// Changes what is read from now on.
    pub(super) fn reading(&self, change: impl FnMut(&str, Read) -> Read + Send + 'static) {
        self.sky().reading = Some(Reading(Box::new(change)));
    }

    /// Nothing works any more.
    pub(super) fn cut_off(&self, is_gone: bool) {
        self.sky().is_gone = is_gone;
    }

    /// Lets everything that is under way arrive.
    pub(super) fn settle(&self) {
        let late = core::mem::take(&mut self.sky().under_way);
        for (_, name, bytes, when) in late {
            drop(self.bucket.put(&name, &bytes, &when));
        }
    }

    fn arrive(&self) {
        let mut due = Vec::new();
        self.sky().under_way.retain_mut(|write| {
            write.0 = write.0.saturating_sub(1);
            if write.0 == 0 {
                due.push(write.clone());
            }
            write.0 > 0
        });
        for (_, name, bytes, when) in due {
            drop(self.bucket.put(&name, &bytes, &when));
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.sky().is_gone { Err(failed()) } else { Ok(()) }
    }
}

impl Bucket for Weather {
    fn address(&self) -> String {
        self.bucket.address()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        self.check()?;
        let found = self.bucket.get(name, range);
        // Not held meanwhile: it may do anything.
        let Some(Reading(mut change)) = self.sky().reading.take() else { return found };
        let changed = change(name, found);
        self.sky().reading.get_or_insert(Reading(change));
        changed
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        self.check()?;
        let meanwhile = self.sky().meanwhile.take_if(|meanwhile| name.starts_with(meanwhile.0));
        meanwhile.into_iter().for_each(|Meanwhile(_, what)| what());
        let storm = {
            let mut sky = self.sky();
            let at = sky.writes;
            sky.writes += 1;
            sky.storm.filter(|(due, _)| *due == at).map(|(_, storm)| storm)
        };
        let done = match storm {
            None => self.bucket.put(name, bytes, when),
            Some(Storm::Lost) => Err(failed()),
            Some(Storm::Persisted) => self.bucket.put(name, bytes, when).and(Err(failed())),
            Some(Storm::Late(after)) => {
                self.sky().under_way.push((after, name.to_owned(), bytes.to_vec(), when.clone()));
                return Err(failed());
            }
            Some(Storm::Twice(after)) => {
                self.sky().under_way.push((after, name.to_owned(), bytes.to_vec(), when.clone()));
                return self.bucket.put(name, bytes, when);
            }
            Some(Storm::Crash) => {
                self.sky().is_gone = true;
                Err(failed())
            }
        };
        self.arrive();
        done
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.put(name, &std::fs::read(file)?, &When::Always).map(|_| ())
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        self.check()?;
        self.bucket.list(folder, after, limit)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check()?;
        self.bucket.remove(name)
    }

    fn pause(&self, _time: Duration) {}
}
