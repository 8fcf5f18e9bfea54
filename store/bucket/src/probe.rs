//! Whether a bucket is fit for a log.

use std::{io, thread};

use griptrace_store::bucket::{Bucket, Put, Version, When};

/// Writers of a race.
const WRITERS: u8 = 4;

/// Finds out whether a bucket holds its conditions, for one writer after another and for several at once, and whether what was
/// written is read. What it writes is under `probe/`, and is removed.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`], which says what the bucket doesn't hold; and as the calls do.
pub fn probe(bucket: &dyn Bucket) -> io::Result<()> {
    let lot = getrandom::u64().map_err(io::Error::other)?;
    let probe = Probe { bucket, name: format!("probe/{lot:016x}") };
    let found = probe.conditions().and_then(|()| probe.race());
    // Left behind it does no harm; a right that is missing is told by its own check below.
    let removed = bucket.remove(&probe.name);
    found?;
    removed?;
    match bucket.get(&probe.name, None)? {
        None => {
            probe.refused(&When::Is(Version("\"00000000000000000000000000000000\"".into())), b"6", "is some version")
        }
        Some(_) => Err(probe.unfit("what was removed is still read", "a log's readers would see what is gone")),
    }
}

struct Probe<'a> {
    bucket: &'a dyn Bucket,
    name: String,
}

impl Probe<'_> {
    fn conditions(&self) -> io::Result<()> {
        let first = self.done(&When::Absent, b"1", "is absent")?;
        self.reads(b"1", &first)?;
        self.refused(&When::Absent, b"2", "is absent")?;
        self.reads(b"1", &first)?;
        let second = self.done(&When::Is(first.clone()), b"3", "is the version that was read")?;
        if first == second {
            return Err(self.unfit("another object has the same version", "two writers could fork the log"));
        }
        self.refused(&When::Is(first), b"4", "is an older version")?;
        self.reads(b"3", &second)?;
        let third = self.done(&When::Always, b"55555", "")?;
        self.refused(&When::Is(second), b"7", "is an older version")?;
        self.part(b"55555", &third)
    }

    /// Writers at once, on the same condition.
    fn race(&self) -> io::Result<()> {
        let read = self.bucket.get(&self.name, None)?;
        let version = read.ok_or_else(|| self.unread())?.version;
        let when = When::Is(version);
        let done: Vec<io::Result<Put>> = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let when = &when;
                    scope.spawn(move || self.bucket.put(&self.name, &[b'a'.saturating_add(writer)], when))
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap_or(Ok(Put::Refused))).collect()
        });
        let mut winners = 0_u8;
        for put in done {
            if matches!(put?, Put::Done(_)) {
                winners = winners.saturating_add(1);
            }
        }
        // None is possible, if the winner's answer was lost.
        if winners > 1 {
            let said = format!(
                "of {WRITERS} writers at once, on the condition that the object is one version, {winners} were told that they wrote"
            );
            return Err(self.unfit(&said, "two writers could fork the log"));
        }
        Ok(())
    }

    /// Writes where the condition holds. A refusal may be of an earlier try, whose answer was lost.
    fn done(&self, when: &When, bytes: &[u8], condition: &str) -> io::Result<Version> {
        if let Put::Done(version) = self.bucket.put(&self.name, bytes, when)? {
            return Ok(version);
        }
        match self.bucket.get(&self.name, None)? {
            Some(part) if part.bytes == bytes => Ok(part.version),
            Some(_) | None => {
                let said = format!("a write on the condition that the object {condition} was refused, though it is");
                Err(self.unfit(&said, "a log could not be written"))
            }
        }
    }

    /// Writes where the condition does not hold.
    fn refused(&self, when: &When, bytes: &[u8], condition: &str) -> io::Result<()> {
        match self.bucket.put(&self.name, bytes, when)? {
            Put::Refused => Ok(()),
            Put::Done(_) => {
                self.bucket.remove(&self.name).ok();
                let said = format!("a write on the condition that the object {condition} was done, though it is not");
                Err(self.unfit(&said, "two writers could fork the log"))
            }
        }
    }

    fn reads(&self, bytes: &[u8], version: &Version) -> io::Result<()> {
        let part = self.bucket.get(&self.name, None)?.ok_or_else(|| self.unread())?;
        if part.bytes == bytes && part.version == *version { Ok(()) } else { Err(self.unread()) }
    }

    /// Reads in the middle, and finds the name.
    fn part(&self, bytes: &[u8], version: &Version) -> io::Result<()> {
        let part = self.bucket.get(&self.name, Some(1..3))?.ok_or_else(|| self.unread())?;
        if Some(part.bytes.as_slice()) != bytes.get(1..3) || part.length != 5 || part.version != *version {
            return Err(self.unfit("a part of an object is not what was asked for", "a log could not be read"));
        }
        let (folder, name) = self.name.split_once('/').unwrap_or_default();
        // The name just before it, so that others' probes are not in the way.
        let before = name.get(..name.len().saturating_sub(1));
        let found = self.bucket.list(folder, before, 1)?;
        if found.iter().any(|found| found == name) {
            return Ok(());
        }
        Err(self.unfit("what was written is not listed", "a log's objects would be overlooked"))
    }

    fn unread(&self) -> io::Error {
        self.unfit("what was written last is not what is read", "a writer would go on from an older log")
    }

    fn unfit(&self, what: &str, so: &str) -> io::Error {
        let said = format!("{} is not fit for a log: {what}; {so}", self.bucket.address());
        io::Error::new(io::ErrorKind::Unsupported, said)
    }
}
