//! The ancestry of a bundle as nodes and edges, for whoever draws it.
//!
//! It can be had of evidence that holds together only: what ends the procedure (docs/spec/verify.md, steps 1 to 10)
//! leaves nothing to draw. Nothing here judges.

use alloc::{string::String, vec::Vec};

use griptrace_core::{
    date::Date,
    id::NodeId,
    node::{Mark, Role},
    word::{Country, Word},
};

use crate::{
    evidence::{Node, Ordinal},
    judge::Case,
};

/// The checked nodes of a bundle and what leads from one to the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Graph {
    /// The nodes, by their distance from the root, which is the first. Empty of evidence that does not hold together.
    pub nodes: Vec<GraphNode>,
    /// The edges, by their beginning and then by their end.
    pub edges: Vec<GraphEdge>,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GraphNode {
    /// Its id.
    pub id: NodeId,
    /// Its kind, by its word.
    pub kind: &'static str,
    /// Its name, if disclosed.
    pub name: Option<String>,
    /// The country that it says.
    pub country: Option<Country>,
    /// The date that it says.
    pub date: Option<Date>,
    /// The grade that it states.
    pub grade: Option<Word>,
    /// What it does to another, if it is a mark.
    pub mark: Option<Mark>,
    /// The origin of the log that it is recorded in.
    pub log: String,
    /// Who recorded it, by the name in the trust file; empty where the key did not count.
    pub party: String,
}

/// An edge, between places in [`Graph::nodes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GraphEdge {
    /// The node that names the other.
    pub from: usize,
    /// The node that is named.
    pub to: usize,
    /// As what, by the role's word; `opens` from an assessment to what it is shown to be about.
    pub role: &'static str,
}

/// The word for what leads from an assessment to what it opens, which is no edge of the record.
const OPENS: &str = "opens";

/// Puts the graph together. At most `nodes_max` nodes are taken, those that are nearest to the root by edges in either
/// direction; edges to others are left out.
pub(crate) fn graph(case: &Case<'_>, nodes_max: usize) -> Graph {
    let edges = edges(case);
    let order = nearest(case, &edges, nodes_max);
    let mut places = alloc::vec![None; case.evidence.nodes.len()];
    for (place, ordinal) in order.iter().enumerate() {
        if let Some(slot) = places.get_mut(*ordinal) {
            *slot = Some(place);
        }
    }
    let place = |ordinal: Ordinal| places.get(ordinal).copied().flatten();
    let kept = |edge: &GraphEdge| Some(GraphEdge { from: place(edge.from)?, to: place(edge.to)?, role: edge.role });
    let mut edges: Vec<GraphEdge> = edges.iter().filter_map(kept).collect();
    edges.sort_unstable();
    let nodes = order.into_iter().filter_map(|ordinal| case.node(ordinal)).map(|node| view(case, node)).collect();
    Graph { nodes, edges }
}

/// Returns all edges, between ordinals.
fn edges(case: &Case<'_>) -> Vec<GraphEdge> {
    let mut edges = Vec::new();
    for (from, node) in case.evidence.nodes.iter().enumerate() {
        for role in Role::ALL {
            edges.extend(node.to(*role).map(|to| GraphEdge { from, to, role: role.word() }));
        }
    }
    for (to, assessments) in &case.evidence.opened_by {
        edges.extend(assessments.iter().map(|from| GraphEdge { from: *from, to: *to, role: OPENS }));
    }
    edges
}

/// Returns ordinals by their distance from the root.
fn nearest(case: &Case<'_>, edges: &[GraphEdge], nodes_max: usize) -> Vec<Ordinal> {
    let count = case.evidence.nodes.len();
    let mut beside: Vec<Vec<Ordinal>> = alloc::vec![Vec::new(); count];
    for edge in edges {
        for (one, other) in [(edge.from, edge.to), (edge.to, edge.from)] {
            if let Some(list) = beside.get_mut(one) {
                list.push(other);
            }
        }
    }
    let mut seen = alloc::vec![false; count];
    let mut order: Vec<Ordinal> = Vec::new();
    let mut reach = |ordinal: Ordinal, order: &mut Vec<Ordinal>| {
        let is_new = seen.get_mut(ordinal).is_some_and(|seen| !core::mem::replace(seen, true));
        if is_new && order.len() < nodes_max {
            order.push(ordinal);
        }
    };
    reach(case.evidence.root, &mut order);
    let mut at: usize = 0;
    while let Some(ordinal) = order.get(at).copied() {
        at = at.saturating_add(1);
        beside.get(ordinal).into_iter().flatten().for_each(|next| reach(*next, &mut order));
    }
    order
}

fn view(case: &Case<'_>, node: &Node) -> GraphNode {
    let commit = case.evidence.commit_of(node);
    let log = commit.and_then(|commit| case.evidence.logs.get(commit.log));
    let party = commit.and_then(|commit| case.trust.committers.get(commit.committer?));
    GraphNode {
        id: node.id,
        kind: node.core.kind.word(),
        name: Case::name(node),
        country: node.core.country,
        date: node.core.date,
        grade: node.core.words.grade.clone(),
        mark: node.core.mark,
        log: log.map_or_else(String::new, |log| log.genesis.origin.clone()),
        party: party.map_or_else(String::new, |known| known.name.clone()),
    }
}
