//! What rests on disk: segments, heads, snapshots, records, the hash cache.
//!
//! Not part of the build yet. It moves to `targets/` once `griptrace_store::fuzzing` has these
//! functions, each of which reads bytes as if they lay in a store, and returns the bytes that it
//! would write for what it accepted, or nothing for what it refuses:
//!
//! ```text
//! pub fn segment(bytes: &[u8]) -> Option<Vec<u8>>     // a segment file, entries and checksums
//! pub fn head(bytes: &[u8]) -> Option<Vec<u8>>        // the head object
//! pub fn snapshot(bytes: &[u8]) -> Option<Vec<u8>>    // the snapshot of the status map
//! pub fn record(bytes: &[u8]) -> Option<Vec<u8>>      // a sealed record of one node
//! pub fn index_value(bytes: &[u8]) -> Option<Vec<u8>> // a value of the lineage index
//! pub fn hash_cache(bytes: &[u8]) -> Option<Vec<u8>>  // a line of the cache of file hashes
//! ```

use griptrace_store::fuzzing;

use super::guard::bounded;

type Reader = fn(&[u8]) -> Option<Vec<u8>>;

/// Every reader by its name; a case's first byte is its place.
pub(crate) const READERS: &[(&str, Reader)] = &[
    ("segment", fuzzing::segment),
    ("head", fuzzing::head),
    ("snapshot", fuzzing::snapshot),
    ("record", fuzzing::record),
    ("index-value", fuzzing::index_value),
    ("hash-cache", fuzzing::hash_cache),
];

pub(crate) fn run(data: &[u8]) {
    let Some((place, bytes)) = data.split_first() else { return };
    let (name, read) = READERS[usize::from(*place) % READERS.len()];
    if let Some(again) = bounded(bytes.len(), || read(bytes)) {
        assert_eq!(again, bytes, "{name} is written otherwise than it was read");
    }
}
