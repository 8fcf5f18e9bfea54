//! What was erased, and would come back with what is recorded now.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    details::{read_value, slot},
    digest::Digest,
    id::NodeId,
    node::{Core, Edge, Kind, Role},
};
use griptrace_store::{StoredNode, record::NodeRecord};

use super::build::{core_of, id_of};
use crate::{
    error::CommandError,
    output::Output,
    view::{field_name, headline, short},
    workspace::{Workspace, detail, name},
};

/// A node of which was erased what a new record of the same has.
#[derive(Debug)]
struct Returning {
    /// The new record.
    id: NodeId,
    name: String,
    /// The node that was recorded before.
    before: StoredNode,
    slots: Vec<u8>,
    files: bool,
}

/// Refuses records with which a value comes back that was erased of an earlier record of the same; says so where they are
/// recorded despite that.
///
/// # Errors
/// Such a record, unless the workspace is told to record it.
pub(crate) fn refuse(
    workspace: &Workspace,
    output: &Output,
    records: &[(&NodeRecord, &str)],
) -> Result<(), CommandError> {
    // A server tells of no Erasure, though of each node what was erased.
    if !workspace.store.is_remote() && workspace.store.of_kind(Kind::Erasure)?.is_empty() {
        return Ok(());
    }
    let mut new = Vec::new();
    for (record, name) in records {
        new.push(New { record, core: core_of(record)?, name });
    }
    let mut outputs: BTreeMap<NodeId, Vec<&New<'_>>> = BTreeMap::new();
    for output in &new {
        for edge in output.core.edges_of(Role::GeneratedBy) {
            outputs.entry(edge.to).or_default().push(output);
        }
    }
    let (mut found, mut same) = (Vec::new(), Same::new());
    for record in &new {
        let made = outputs.get(&id_of(record.record)).map(Vec::as_slice).unwrap_or_default();
        let before = before(workspace, record, made)?;
        found.extend(choose(record, &before, &mut same));
    }
    told(workspace, output, &found)
}

/// The earlier records of the same, by the id of the new one.
type Same = BTreeMap<NodeId, BTreeSet<NodeId>>;

/// What is to be recorded.
struct New<'a> {
    record: &'a NodeRecord,
    core: Core,
    name: &'a str,
}

fn told(workspace: &Workspace, output: &Output, found: &[Returning]) -> Result<(), CommandError> {
    let Some((first, more)) = found.split_first() else { return Ok(()) };
    if workspace.despite_erasure {
        for back in found {
            output.warn(format_args!("{}: this is a new record, which has it again", back.told(workspace)?));
            output.talk(format_args!("hint: griptrace erase {} --reason TEXT takes it out again", back.fields()));
        }
        return Ok(());
    }
    let first = first.told(workspace)?;
    let mut error =
        CommandError::failed(format!("{first}: a new record would have it again, and nothing was recorded"));
    for more in more {
        error = error.with_hint(format!("another one: {}", more.told(workspace)?));
    }
    Err(error
        .with_hint("leave out what was erased, wherever this is recorded from: a lineage file, a folder, a draft")
        .with_hint("--despite-erasure records it all the same, as a new record"))
}

impl Returning {
    /// Says what was erased of what, when and why.
    fn told(&self, workspace: &Workspace) -> Result<String, CommandError> {
        let mut by = Vec::new();
        for id in workspace.store.erasures_of(&self.before.id)? {
            let erasure = workspace.node(&id)?;
            let core = &erasure.core;
            let took = core.erased_slots.iter().any(|slot| self.slots.contains(slot))
                || (self.files && core.erased_files.is_some());
            if took {
                let on = core.date.map_or_else(String::new, |date| format!(" on {date}"));
                let why = detail(&erasure, "reason").map_or_else(String::new, |reason| format!(": {reason}"));
                by.push(format!("{on} ({}{why})", short(&id)));
            }
        }
        let kind = self.before.core.kind;
        let fields = self.slots.iter().map(|slot| field_name(kind, *slot));
        let what: Vec<String> = fields.chain(self.files.then(|| "files".to_owned())).collect();
        let (name, before, what, by) = (&self.name, headline(&self.before), what.join(", "), by.join(" and"));
        Ok(format!("{name} was recorded before as {before}, of which {what} was erased{by}"))
    }

    /// Returns the words after `griptrace erase` that take it out of the new record.
    fn fields(&self) -> String {
        let fields = self.slots.iter().map(|slot| field_name(self.before.core.kind, *slot));
        let files = self.files.then(|| "--file PATH".to_owned());
        [short(&self.id)].into_iter().chain(fields).chain(files).collect::<Vec<_>>().join(" ")
    }
}

/// Returns what may be earlier records of the same, the newest first.
fn before(workspace: &Workspace, new: &New<'_>, outputs: &[&New<'_>]) -> Result<Vec<StoredNode>, CommandError> {
    if !matches!(new.core.kind, Kind::Dataset | Kind::Model | Kind::Transformation) {
        return Ok(Vec::new());
    }
    let mut before = recorded_as(workspace, new)?;
    // A step whose name was erased is found by what it made.
    for output in outputs {
        for output in recorded_as(workspace, output)? {
            for edge in output.core.edges_of(Role::GeneratedBy) {
                before.push(workspace.node(&edge.to)?);
            }
        }
    }
    before.retain(|node| node.core.kind == new.core.kind && node.core.activity == new.core.activity);
    before.sort_by_key(|node| Reverse((node.index, node.id)));
    before.dedup_by_key(|node| node.id);
    Ok(before)
}

/// Returns the nodes of this name, and those with this content.
fn recorded_as(workspace: &Workspace, new: &New<'_>) -> Result<Vec<StoredNode>, CommandError> {
    let name = new.name;
    let mut ids = workspace.store.by_name(name).map_err(|e| e.while_doing(format!("cannot look up {name:?}")))?;
    if let Some(digest) = content(new.record, new.core.kind).and_then(|text| digest_of(&text)) {
        ids.extend(workspace.store.by_content(&digest).map_err(|e| e.while_doing("cannot look up a content digest"))?);
    }
    ids.iter().map(|id| workspace.node(id)).collect()
}

/// Chooses the newest earlier record of the same of which was erased what this one has, and what no record after it has.
fn choose(new: &New<'_>, before: &[StoredNode], same: &mut Same) -> Option<Returning> {
    let id = id_of(new.record);
    let mut found = None;
    for (at, node) in before.iter().enumerate() {
        let later = before.get(..at).unwrap_or_default();
        if !is_same(new, node, later.is_empty(), same) {
            continue;
        }
        same.entry(id).or_default().insert(node.id);
        let (slots, files) = erased_of(new, node, later);
        if found.is_none() && (files || !slots.is_empty()) {
            found = Some(Returning { id, name: new.name.to_owned(), before: node.clone(), slots, files });
        }
    }
    found
}

/// Tells whether a node is an earlier record of the same. Where its content was erased nobody knows: unless one that came
/// later shows that the name went on, it is taken for the same.
fn is_same(new: &New<'_>, node: &StoredNode, is_last: bool, same: &Same) -> bool {
    let kind = new.core.kind;
    let erased = node.record.secret.erased();
    if kind == Kind::Transformation && !uses_same(&new.core.edges, &node.core.edges, same) {
        return false;
    }
    if slot(kind, "content").is_some_and(|slot| erased.contains(&slot)) {
        return is_last;
    }
    let called = name(node);
    let is_called = called.is_none() || called.as_deref() == Some(new.name);
    let of_new = content(new.record, kind);
    content(&node.record, kind) == of_new && (of_new.is_some() || is_called)
}

/// Tells whether a step used the same, under whatever ids that was recorded.
fn uses_same(new: &[Edge], old: &[Edge], same: &Same) -> bool {
    let is_same = |new: &Edge, old: &Edge| {
        let to = new.to == old.to || same.get(&new.to).is_some_and(|ids| ids.contains(&old.to));
        to && new.role == old.role && new.home == old.home
    };
    new.len() == old.len() && new.iter().all(|new| old.iter().any(|old| is_same(new, old)))
}

/// Returns the details that were erased of a node and are in the new one, and whether files are so; none that a later
/// record of the same has all the same.
fn erased_of(new: &New<'_>, node: &StoredNode, later: &[StoredNode]) -> (Vec<u8>, bool) {
    let comes_back = |slot: &u8| {
        let value = new.record.values.get(slot);
        value.is_some() && !later.iter().any(|node| node.record.values.get(slot) == value)
    };
    let slots = node.record.secret.erased().into_iter().filter(comes_back).collect();
    let lacks = |record: &NodeRecord| record.manifest.as_ref().is_some_and(|manifest| manifest.erased() > 0);
    let of_new = content(new.record, new.core.kind);
    let has_all = |node: &StoredNode| content(&node.record, new.core.kind) == of_new && !lacks(&node.record);
    (slots, lacks(&node.record) && new.record.manifest.is_some() && !later.iter().any(has_all))
}

fn content(record: &NodeRecord, kind: Kind) -> Option<String> {
    let value = read_value(record.values.get(&slot(kind, "content")?)?).ok()?;
    value.as_text().map(str::to_owned)
}

fn digest_of(text: &str) -> Option<Digest> {
    Digest::from_hex(text.split_once(':')?.1)
}
