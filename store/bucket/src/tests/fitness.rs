//! Buckets that are not fit for a log, and what the probe says of each.

use core::ops::Range;
use std::{
    io::{self, ErrorKind},
    path::Path,
    sync::Mutex,
};

use griptrace_store::bucket::{Bucket, MemoryBucket, Part, Put, Version, When};

use crate::probe;

/// What it does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// Writes over what is there.
    NeverRefusesAbsent,
    /// Writes over any version.
    NeverRefusesIs,
    /// Writes one that is gone, on the condition that it is some version.
    WritesWhatIsGone,
    /// Refuses always.
    AlwaysRefuses,
    /// Has one version for everything.
    OneVersion,
    /// Reads what was there before.
    ReadsOld,
    /// Reads more than was asked for.
    ReadsAll,
    /// Lists nothing.
    ListsNothing,
    /// Removes nothing.
    RemovesNothing,
    /// Compares, and then writes, with others in between.
    Races,
    /// May not remove.
    MayNotRemove,
    /// Loses its answers to writes on a condition, and tries again.
    LosesAnswers,
}

#[derive(Debug)]
struct Faulty {
    bucket: MemoryBucket,
    fault: Fault,
    old: Mutex<Option<Part>>,
    racers: std::sync::Barrier,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        let (bucket, old) = (MemoryBucket::default(), Mutex::default());
        Self { bucket, fault, old, racers: std::sync::Barrier::new(4) }
    }

    fn always(&self, name: &str, bytes: &[u8]) -> io::Result<Put> {
        self.bucket.put(name, bytes, &When::Always)
    }

    fn same(&self, put: Put) -> Put {
        let is_done = matches!(put, Put::Done(_));
        if is_done && self.fault == Fault::OneVersion { Put::Done(Version("same".into())) } else { put }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "each call has a few faults, and is right otherwise")]
impl Bucket for Faulty {
    fn address(&self) -> String {
        "s3://faulty".into()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        match self.fault {
            Fault::ReadsOld => {
                let now = self.bucket.get(name, range)?;
                let mut old = self.old.lock().unwrap();
                let before = old.replace(now.clone().unwrap());
                Ok(before.or(now))
            }
            Fault::ReadsAll => self.bucket.get(name, None),
            Fault::OneVersion => {
                let part = self.bucket.get(name, range)?;
                Ok(part.map(|part| Part { version: Version("same".into()), ..part }))
            }
            _ => self.bucket.get(name, range),
        }
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        let is_there = self.bucket.get(name, None)?.is_some();
        match (self.fault, when) {
            (Fault::NeverRefusesAbsent, When::Absent) | (Fault::NeverRefusesIs, When::Is(_)) => {
                self.always(name, bytes)
            }
            (Fault::WritesWhatIsGone, When::Is(_)) if !is_there => self.always(name, bytes),
            (Fault::AlwaysRefuses, When::Absent | When::Is(_)) => Ok(Put::Refused),
            (Fault::OneVersion, When::Is(_)) => Ok(self.same(self.always(name, bytes)?)),
            (Fault::Races, When::Is(version)) => {
                let read = self.bucket.get(name, None)?;
                let is_held = read.is_some_and(|part| part.version == *version);
                if is_held && bytes.first().is_some_and(u8::is_ascii_lowercase) {
                    self.racers.wait();
                }
                if is_held { self.always(name, bytes) } else { Ok(Put::Refused) }
            }
            (Fault::LosesAnswers, _) => {
                let first = self.bucket.put(name, bytes, when)?;
                if *when == When::Always { Ok(first) } else { self.bucket.put(name, bytes, when) }
            }
            _ => Ok(self.same(self.bucket.put(name, bytes, when)?)),
        }
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.bucket.put_file(name, file)
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        if self.fault == Fault::ListsNothing { Ok(Vec::new()) } else { self.bucket.list(folder, after, limit) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.fault {
            Fault::RemovesNothing => Ok(()),
            Fault::MayNotRemove => Err(io::Error::new(ErrorKind::PermissionDenied, "it may not be removed")),
            _ => self.bucket.remove(name),
        }
    }
}

#[test]
fn a_fit_bucket_is_found_fit_and_left_empty() {
    for fault in [Fault::None, Fault::LosesAnswers] {
        let faulty = Faulty::new(fault);
        probe(&faulty).unwrap();
        assert_eq!(faulty.bucket.names(), [""; 0]);
    }
}

#[test]
fn every_fault_is_told() {
    let forks = "two writers could fork the log";
    for (fault, what, so) in [
        (
            Fault::NeverRefusesAbsent,
            "a write on the condition that the object is absent was done, though it is not",
            forks,
        ),
        (
            Fault::NeverRefusesIs,
            "a write on the condition that the object is an older version was done, though it is not",
            forks,
        ),
        (
            Fault::WritesWhatIsGone,
            "a write on the condition that the object is some version was done, though it is not",
            forks,
        ),
        (
            Fault::AlwaysRefuses,
            "a write on the condition that the object is absent was refused, though it is",
            "a log could not be written",
        ),
        (Fault::OneVersion, "another object has the same version", forks),
        (Fault::ReadsOld, "what was written last is not what is read", "a writer would go on from an older log"),
        (Fault::ReadsAll, "a part of an object is not what was asked for", "a log could not be read"),
        (Fault::ListsNothing, "what was written is not listed", "a log's objects would be overlooked"),
        (Fault::RemovesNothing, "what was removed is still read", "a log's readers would see what is gone"),
        (
            Fault::Races,
            "of 4 writers at once, on the condition that the object is one version, 4 were told that they wrote",
            forks,
        ),
    ] {
        let error = probe(&Faulty::new(fault)).unwrap_err();
        assert_eq!(error.to_string(), format!("s3://faulty is not fit for a log: {what}; {so}"), "{fault:?}");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{fault:?}");
    }
    let error = probe(&Faulty::new(Fault::MayNotRemove)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}
