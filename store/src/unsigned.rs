//! What was written where others may write, before the log's key signs over it.
//!
//! A group in a bucket is under no signature of the log until somebody adopts it, and whoever may write to the bucket can
//! have put it there. So all that a commit is held against is held against it again. Who signed a commit can't be told: the log has
//! no committers' keys. Whoever reads it asks for that.

use std::collections::HashSet;

use griptrace_core::{
    entry::Entry,
    id::NodeId,
    node::{Core, Role},
};

use crate::{
    catalogue::Catalogue,
    error::StorageError,
    objects::Objects,
    reading::SegmentReader,
    record::NodeRecord,
    segment::{Group, Rest},
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
        let rests = entry.nodes.iter().map(|node| node.rest(group.name)).collect::<Result<Vec<_>, _>>()?;
        let is_erased = is_erased(catalogue, objects, &rests)?;
        let named: Vec<(NodeId, NodeRecord)> = rests.into_iter().map(named).collect();
        if let Some((id, _)) = named.iter().find(|(id, _)| !seen.insert(*id) || catalogue.number(id).is_some()) {
            return Err(bad(format!("node {id} stands in it, and has a place in the log already")));
        }
        if is_erased {
            continue;
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

/// Tells whether something of these nodes, or what an Erasure among them took, was overwritten already: the group was signed and
/// acknowledged once, and the erasure carried out, before the checkpoint over it was published. What is left is an audit's.
fn is_erased(catalogue: &Catalogue, objects: &Objects, rests: &[Rest]) -> Result<bool, StorageError> {
    let mut reader = SegmentReader::new(objects);
    for rest in rests {
        if rest.is_taken() {
            return Ok(true);
        }
        let core = Core::from_bytes(&rest.record.core).ok();
        let targets =
            core.iter().flat_map(|core| core.edges_of(Role::Erases)).filter_map(|edge| catalogue.number(&edge.to));
        for target in targets {
            if reader.rest(catalogue, target, catalogue.node(target).attached)?.is_taken() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn named(rest: Rest) -> (NodeId, NodeRecord) {
    let record = NodeRecord { remains: rest.remains.map(Box::new), ..rest.record };
    (record.id(), record)
}
