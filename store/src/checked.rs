//! Which snapshot of a bucket this machine has held against the log: its checksum, which covers those of its blocks. It may be
//! another one's work, so that nothing that is asked rests on it before.

use crate::{
    disk::{Disk as _, Folder},
    objects::Objects,
    snapshot::Snapshot,
};

/// In this machine's folder.
const CHECKED: &str = "checked";
const TEMPORARY: &str = "checked.new";

/// Tells whether a snapshot was held against the log here, or is this machine's own as everything in a folder is.
pub(crate) fn is_known(objects: &Objects, snapshot: &Snapshot) -> bool {
    let kept = || std::fs::read_to_string(objects.local().join(CHECKED)).ok();
    objects.bucket().is_none() || kept().as_deref() == Some(&*line(snapshot))
}

/// Keeps that it was. If it can't be kept, the next process does it again.
pub(crate) fn keep(objects: &Objects, snapshot: &Snapshot) {
    if objects.bucket().is_some() && std::fs::write(objects.local().join(TEMPORARY), line(snapshot)).is_ok() {
        drop(Folder::new(objects.local()).rename(TEMPORARY, CHECKED));
    }
}

fn line(snapshot: &Snapshot) -> String {
    format!("{}\n", blake3::Hash::from_bytes(snapshot.sum).to_hex())
}
