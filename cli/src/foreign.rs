//! Other companies' nodes, by the names that they go by here.

use core::cell::OnceCell;
use std::collections::BTreeMap;

use griptrace_core::{
    id::NodeId,
    node::{Edge, Kind, Role},
};
use griptrace_store::ForeignNode;
use griptrace_verifier::render::plain;
use serde_json::{Value as Json, json};

use crate::{
    error::CommandError,
    resolve::{beginning_with, is_like_id, newest_of_kind},
    view::{headline, short},
    workspace::Workspace,
};

/// Characters of a name that are shown: it may be another company's choice.
const NAME_MAX: usize = 200;

/// Own nodes that who only looks may mean.
pub(crate) const LOOKED_AT: &[Kind] = &[Kind::Dataset, Kind::Model, Kind::Shipment];

/// Finds the other company's data set or model that `text` means: its whole id, `NAME` or `kind:NAME`. What a node of this log
/// can be meant by too is refused: a name of one of these kinds, the word for a kind, and where anything is looked at the
/// beginning of an id.
pub(crate) fn find(workspace: &Workspace, text: &str, own: &[Kind]) -> Result<Option<ForeignNode>, CommandError> {
    let known = workspace.store.foreign_nodes()?;
    if let Some(node) = NodeId::from_hex(text).and_then(|id| known.iter().find(|node| node.id == id)) {
        return Ok(Some(node.clone()));
    }
    let means = |node: &&ForeignNode| text == node.name || text.split_once(':') == Some((node.kind.word(), &node.name));
    let found: Vec<&ForeignNode> = known.iter().filter(means).collect();
    let Some(node) = found.first() else { return Ok(None) };
    let mut candidates: Vec<String> = found.iter().map(|node| line(node)).collect();
    let is_kind = |kind: Kind| found.iter().any(|node| node.kind == kind) || text == node.name;
    let named = workspace.store.by_name(&node.name);
    for id in named.map_err(|e| e.while_doing(format!("cannot look up the name {:?}", node.name)))? {
        let node = workspace.node(&id)?;
        if own.contains(&node.core.kind) && is_kind(node.core.kind) {
            candidates.push(headline(&node));
        }
    }
    let otherwise = otherwise_meant(workspace, text, own)?;
    let how = if otherwise.is_empty() { "are called" } else { "can be meant by" };
    candidates.extend(otherwise);
    if candidates.len() == 1 {
        return Ok(Some((*node).clone()));
    }
    let error = CommandError::failed(format!("several nodes {how} {text:?}; name one by its id"));
    Err(candidates.iter().fold(error, |error, candidate| error.with_hint(format!("candidate: {candidate}"))))
}

/// Returns the nodes of this log that a name means where it is no name.
fn otherwise_meant(workspace: &Workspace, text: &str, own: &[Kind]) -> Result<Vec<String>, CommandError> {
    let is_looked_at = own == LOOKED_AT;
    let mut candidates = Vec::new();
    if let Some(kind) = Kind::from_word(text).filter(|kind| is_looked_at || own.contains(kind)) {
        let newest = newest_of_kind(workspace, kind)?;
        candidates.extend(newest.map(|node| format!("{}, the newest {kind}", headline(&node))));
    }
    if is_looked_at && is_like_id(text) {
        for id in beginning_with(workspace, text)? {
            candidates.push(headline(&workspace.node(&id)?));
        }
    }
    Ok(candidates)
}

/// Returns the edge to another company's node.
pub(crate) const fn edge(role: Role, node: &ForeignNode) -> Edge {
    Edge { role, home: Some(node.home), to: node.id }
}

/// Returns what is known of the node that an edge names in another log.
pub(crate) fn named(known: &[ForeignNode], edge: &Edge) -> Option<String> {
    let home = edge.home?;
    let node = known.iter().find(|node| node.id == edge.to && node.home == home);
    Some(node.map_or_else(|| format!("{} in the log {home}, not adopted", edge.to), line))
}

/// Returns a node in one phrase.
pub(crate) fn line(node: &ForeignNode) -> String {
    format!("{} {} of {}  {}", node.kind, plain(&node.name, NAME_MAX), node.origin, short(&node.id))
}

/// What nodes of adopted bundles are called, read when first asked for.
#[derive(Debug, Default)]
pub(crate) struct Names(OnceCell<BTreeMap<NodeId, ForeignNode>>);

impl Names {
    /// Returns a node of an adopted bundle.
    pub(crate) fn get(&self, workspace: &Workspace, id: &NodeId) -> Option<&ForeignNode> {
        // Judging names what it can: a bundle that is damaged was an error before.
        let read =
            || workspace.store.adopted_nodes().unwrap_or_default().into_iter().map(|node| (node.id, node)).collect();
        self.0.get_or_init(read).get(id)
    }
}

/// Returns a node as JSON.
pub(crate) fn object(node: &ForeignNode) -> Json {
    json!({
        "id": node.id.to_string(),
        "kind": node.kind.word(),
        "name": node.name,
        "foreign": { "origin": node.origin, "home": node.home.to_string() },
    })
}
