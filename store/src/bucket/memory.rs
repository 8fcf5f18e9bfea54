//! A bucket in memory: for tests, and to measure what the log itself costs.

use core::ops::{Bound, Range};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Bucket, Part, Put, Version, When};
use crate::number::{narrow, wide};

/// A bucket in memory; clones are the same bucket.
#[derive(Clone, Debug, Default)]
pub struct MemoryBucket(Arc<Mutex<Objects>>);

#[derive(Debug, Default)]
struct Objects {
    by_name: BTreeMap<String, (u64, Arc<[u8]>)>,
    writes: u64,
}

impl MemoryBucket {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the names of all objects, sorted.
    pub fn names(&self) -> Vec<String> {
        self.objects().by_name.keys().cloned().collect()
    }
}

fn version(number: u64) -> Version {
    Version(number.to_string())
}

impl Bucket for MemoryBucket {
    fn address(&self) -> String {
        "memory:".to_owned()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        let Some((number, bytes)) = self.objects().by_name.get(name).cloned() else { return Ok(None) };
        let length = wide(bytes.len());
        let range = range.unwrap_or(0..length);
        let (from, to) = (range.start.min(length), range.end.min(length));
        let part = bytes.get(narrow(from)..narrow(to)).unwrap_or_default().to_vec();
        Ok(Some(Part { bytes: part, length, version: version(number) }))
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        let mut objects = self.objects();
        let found = objects.by_name.get(name).map(|(number, _)| version(*number));
        let holds = match when {
            When::Always => true,
            When::Absent => found.is_none(),
            When::Is(expected) => found.as_ref() == Some(expected),
        };
        if !holds {
            return Ok(Put::Refused);
        }
        objects.writes = objects.writes.saturating_add(1);
        let number = objects.writes;
        objects.by_name.insert(name.to_owned(), (number, bytes.into()));
        Ok(Put::Done(version(number)))
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.put(name, &fs::read(file)?, &When::Always).map(|_| ())
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        let inside = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let objects = self.objects();
        let from = after.map_or_else(|| inside.clone(), |after| format!("{inside}{after}"));
        let names = objects.by_name.range::<str, _>((Bound::Included(&*from), Bound::Unbounded));
        let names = names.map_while(|(name, _)| name.strip_prefix(&*inside));
        let names = names.map(|name| name.split_once('/').map_or(name, |(first, _)| first));
        let mut found = BTreeSet::new();
        for name in names.filter(|name| after.is_none_or(|after| *name > after)) {
            if found.len() == limit && !found.contains(name) {
                break;
            }
            found.insert(name.to_owned());
        }
        Ok(found.into_iter().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.objects().by_name.remove(name);
        Ok(())
    }
}
