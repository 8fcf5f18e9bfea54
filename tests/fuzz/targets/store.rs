//! What rests on disk: segments, heads, snapshots, records, how far an index is.

use griptrace_store::fuzzing;

use super::guard::bounded;

/// Every reader by its name; a case's first byte is its place.
pub(crate) const READERS: &[&str] = &["segment", "groups", "head", "snapshot", "record", "index"];

pub(crate) fn run(data: &[u8]) {
    let Some((place, bytes)) = data.split_first() else { return };
    let name = READERS[usize::from(*place) % READERS.len()];
    let again = bounded(bytes.len(), || match name {
        "segment" => fuzzing::segment(&[&fuzzing::segment_header(), bytes].concat()).map(|_| bytes.to_vec()),
        "groups" => fuzzing::segment(bytes).map(|_| bytes.to_vec()),
        "head" => fuzzing::head(bytes).map(|again| again[..bytes.len().min(again.len())].to_vec()),
        "snapshot" => fuzzing::snapshot(bytes).then(|| bytes.to_vec()),
        "record" => fuzzing::record(bytes),
        _ => fuzzing::index_meta(bytes).then(|| bytes.to_vec()),
    });
    if let Some(again) = again {
        let read = &bytes[..bytes.len().min(again.len())];
        assert_eq!(again, read, "{name} is written otherwise than it was read");
    }
}
