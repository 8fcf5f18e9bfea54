//! What was written where others may write, before the log's key signs over it.
//!
//! A group in a bucket is under no signature of the log until somebody adopts it, and whoever may write to the bucket can
//! have put it there. So all that a commit is held against is held against it again. Who signed a commit can't be told: the log has
//! no committers' keys. Whoever reads it asks for that.

use std::collections::HashSet;

use griptrace_core::{entry::Entry, id::NodeId};

use crate::{
    catalogue::Catalogue,
    error::StorageError,
    objects::Objects,
    record::NodeRecord,
    segment::{Group, GroupEntry, GroupNode, decode_attachment, decode_node},
    validate::validate,
};

/// Checks each commit of a group that is to follow on a catalogue, as it was checked before it was written.
///
/// # Errors
/// `Corrupt`, naming the segment.
pub(crate) fn check(catalogue: &Catalogue, objects: &Objects, group: &Group<'_>) -> Result<(), StorageError> {
    let bad = |why: String| StorageError::corrupt(group.name, why);
    let mut seen = HashSet::new();
    for entry in &group.entries {
        let Ok(Entry::Commit(commit)) = Entry::parse(entry.bytes) else { continue };
        if commit.payload.home != catalogue.home {
            return Err(bad(format!(
                "a commit in it is for {}, and the log is {}",
                commit.payload.home, catalogue.home
            )));
        }
        let named = named(group.name, entry)?;
        if let Some((id, _)) = named.iter().find(|(id, _)| !seen.insert(*id)) {
            return Err(bad(format!("node {id} stands in it twice")));
        }
        let lines = validate(catalogue, objects, &named);
        let mut lines = lines.map_err(|error| bad(format!("a commit in it would be refused: {error}")))?;
        lines.sort_unstable();
        if lines != commit.payload.statuses {
            return Err(bad("a commit in it states other statuses than its nodes have".to_owned()));
        }
    }
    Ok(())
}

fn named(name: &str, entry: &GroupEntry<'_>) -> Result<Vec<(NodeId, NodeRecord)>, StorageError> {
    let read = |node: &GroupNode<'_>| {
        let mut record = decode_node(name, node.bytes)?;
        if let Some(bytes) = node.attachment {
            let attachment = decode_attachment(name, bytes)?;
            (record.manifest, record.subjects) = (attachment.manifest, attachment.subjects);
        }
        Ok((record.id(), record))
    };
    entry.nodes.iter().map(read).collect()
}
