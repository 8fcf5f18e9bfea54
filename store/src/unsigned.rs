//! What was written where others may write, before the log's key signs over it.
//!
//! A group in a bucket is under no signature of the log until somebody adopts it, and whoever may write to the bucket can
//! have put it there. So all that a commit is held against is held against it again. Who signed a commit can't be told: the log has
//! no committers' keys. Whoever reads it asks for that.

use std::collections::HashSet;

use griptrace_core::{
    commit::Commit,
    entry::{Entry, Genesis},
    id::NodeId,
    node::{Core, Kind, Role, node_id},
};

use crate::{
    catalogue::Catalogue,
    error::StorageError,
    follow::checkpoint_before,
    head::Head,
    log_keys::KnownKeys,
    number::{narrow, wide},
    objects::Objects,
    record::NodeRecord,
    segment::{self, Group, GroupEntry, Groups, Rest},
    together::Together,
    validate::validate_left,
};

/// Checks all of a group that is to follow on a catalogue, as it was checked before it was written: the checkpoint before it, its
/// key changes and its commits. Something may have been signed and acknowledged once, and something of it erased since, before the
/// checkpoint over it was published: of a node of which an Erasure took something the core is checked, and that the Erasure comes; what that left is
/// checked with it. Returns what is known of keys with the group.
///
/// # Errors
/// `Corrupt`, naming the segment.
pub(crate) fn check(
    genesis: &Genesis,
    catalogue: &Catalogue,
    objects: &Objects,
    mut keys: KnownKeys,
    group: &Group<'_>,
) -> Result<KnownKeys, StorageError> {
    let before = Head { size: catalogue.size(), root: catalogue.root() };
    checkpoint_before(&keys.log, group, before)?;
    let together = Together::on(catalogue);
    let mut checking = Checking { catalogue, objects, name: group.name, together, taken: Vec::new() };
    for (index, entry) in (group.first..).zip(&group.entries) {
        match Entry::parse(entry.bytes) {
            Ok(Entry::Commit(commit)) => checking.commit(&keys, &commit, entry)?,
            Ok(Entry::KeyChange(_)) => {
                let with = keys.with(genesis, &catalogue.home, index, entry.bytes);
                keys = with.map_err(|why| checking.bad(format!("entry {index} would be refused: {why}")))?;
            }
            // What is none of the log's is found where the group is read.
            Ok(Entry::Genesis(_) | Entry::StatusHead(_)) | Err(_) => {}
        }
    }
    let taken = checking.taken;
    if !taken.is_empty() {
        check_takers(catalogue, objects, group, taken)?;
    }
    Ok(keys)
}

/// The commits of a group, as they are checked one after the other.
struct Checking<'a> {
    catalogue: &'a Catalogue,
    objects: &'a Objects,
    name: &'a str,
    together: Together<'a>,
    taken: Vec<Taken>,
}

impl Checking<'_> {
    fn bad(&self, why: String) -> StorageError {
        StorageError::corrupt(self.name, why)
    }

    fn commit(&mut self, keys: &KnownKeys, commit: &Commit, entry: &GroupEntry<'_>) -> Result<(), StorageError> {
        let (payload, home) = (&commit.payload, self.catalogue.home);
        if payload.home != home {
            return Err(self.bad(format!("a commit in it is for {}, and the log is {home}", payload.home)));
        }
        let rests = entry.nodes.iter().map(|node| node.rest(self.name)).collect::<Result<Vec<_>, _>>()?;
        let mut left = HashSet::new();
        for rest in rests.iter().filter(|rest| rest.is_taken()) {
            left.insert(rest.record.id());
            self.taken.extend(Taken::of(self.name, rest)?);
        }
        let named: Vec<(NodeId, NodeRecord)> = rests.into_iter().map(named).collect();
        let lines = validate_left(self.catalogue, self.objects, &named, &left);
        let mut lines = lines.map_err(|error| self.bad(format!("a commit in it would be refused: {error}")))?;
        lines.sort_unstable();
        if lines != payload.statuses {
            return Err(self.bad("a commit in it states other statuses than its nodes have".to_owned()));
        }
        let ids: Vec<NodeId> = named.iter().map(|(id, _)| *id).collect();
        let added = self.together.add(&keys.history, commit.key(), &ids, &lines);
        added.map_err(|error| self.bad(format!("a commit in it would be refused: {error}")))
    }
}

/// Something that an Erasure took: which one, and what it has to erase.
struct Taken {
    node: NodeId,
    taker: NodeId,
    target: NodeId,
}

impl Taken {
    /// Returns what was taken of a node. What an Erasure had is only taken by another one of the same node.
    fn of(name: &str, rest: &Rest) -> Result<Vec<Self>, StorageError> {
        let node = rest.record.id();
        let core = Core::from_bytes(&rest.record.core).map_err(|e| StorageError::corrupt(name, e))?;
        let details = rest.details_at.map(|taker| Self { node, taker, target: node });
        let attachment = rest.attachment_at.map(|taker| Self { node, taker, target: target(&core).unwrap_or(node) });
        if core.kind == Kind::Erasure && rest.attachment_at.is_none() && rest.remains.is_none() {
            return Err(StorageError::corrupt(
                name,
                format!("{node} is an Erasure, and has nothing of what it erased"),
            ));
        }
        Ok(details.into_iter().chain(attachment).collect())
    }
}

/// Returns what a node erases.
fn target(core: &Core) -> Option<NodeId> {
    core.edges_of(Role::Erases).next().filter(|_| core.kind == Kind::Erasure).map(|edge| edge.to)
}

/// Checks that each Erasure that took something of a group comes: in it, or in one that lies behind it.
fn check_takers(
    catalogue: &Catalogue,
    objects: &Objects,
    group: &Group<'_>,
    mut taken: Vec<Taken>,
) -> Result<(), StorageError> {
    forget_what_comes(group, &mut taken)?;
    let mut next = group.first.saturating_add(wide(group.entries.len()));
    while !taken.is_empty()
        && let Some(bytes) = objects.read(&segment::name(next))?
    {
        let (name, first) = (segment::name(next), next);
        let header = segment::check_header(&catalogue.home, first, &bytes)?;
        let mut groups = Groups::new(&name, first, bytes.get(narrow(header)..).unwrap_or_default(), header, first);
        while let Some(group) = groups.next()? {
            forget_what_comes(&group, &mut taken)?;
            next = group.first.saturating_add(wide(group.entries.len()));
        }
        if next == first {
            break;
        }
    }
    taken.first().map_or(Ok(()), |Taken { node, taker, target }| {
        let why = format!(
            "something of node {node} was taken by {taker}, and no Erasure of {target} with that id is there or behind it"
        );
        Err(StorageError::corrupt(group.name, why))
    })
}

/// Forgets what was taken by Erasures that are in a group.
fn forget_what_comes(group: &Group<'_>, taken: &mut Vec<Taken>) -> Result<(), StorageError> {
    for node in group.entries.iter().flat_map(|entry| &entry.nodes) {
        let bytes = segment::core_of_node(group.name, node.bytes)?;
        let Some(erased) = Core::from_bytes(bytes).ok().as_ref().and_then(target) else { continue };
        let id = node_id(bytes);
        // Nothing takes from itself.
        taken.retain(|taken| taken.taker != id || taken.target != erased || taken.node == id);
    }
    Ok(())
}

fn named(rest: Rest) -> (NodeId, NodeRecord) {
    let record = NodeRecord { remains: rest.remains.map(Box::new), ..rest.record };
    (record.id(), record)
}
