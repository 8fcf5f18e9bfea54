//! What came after the snapshot, in memory.

use std::collections::{HashMap, hash_map::Entry};

use griptrace_core::{commit::StatusLine, id::NodeId, node::Role};

use crate::{
    delta::Delta,
    number::{narrow, place},
    placed::{Number, Placed, PlacedAssessment, PlacedCommit, PlacedEdge, PlacedHead},
    snapshot::{Column, Snapshot},
};

#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    /// The number of the first node, and of the first edge.
    pub(super) first_node: Number,
    pub(super) first_edge: u32,
    pub(super) ids: Vec<NodeId>,
    pub(super) nodes: Vec<Placed>,
    pub(super) edges: Vec<PlacedEdge>,
    pub(super) commits: Vec<PlacedCommit>,
    pub(super) heads: Vec<PlacedHead>,
    pub(super) lines: Vec<(u64, StatusLine)>,
    pub(super) changes: Vec<u64>,
    pub(super) assessments: Vec<PlacedAssessment>,
    /// By the first eight bytes of the id. Where another node has the same ones, by the whole id.
    by_prefix: HashMap<u64, Number>,
    by_id: HashMap<NodeId, Number>,
    /// For each node that an edge of the tail leads to: the first and the last such edge.
    led_to: HashMap<Number, (u32, u32)>,
    /// For each edge of the tail: where it comes from, and the next one that leads to the same node.
    links: Vec<(Number, Option<u32>)>,
}

impl Tail {
    /// Begins behind a snapshot.
    pub(super) fn after(snapshot: &Snapshot) -> Self {
        let count = |column| u32::try_from(snapshot.count(column)).unwrap_or(u32::MAX);
        Self { first_node: count(Column::Id), first_edge: count(Column::EdgeTo), ..Self::default() }
    }

    /// Takes in what a group adds.
    pub(super) fn extend(&mut self, delta: Delta) {
        let at = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.number(&delta.ids, self.first_node.saturating_add(at));
        self.ids.extend(delta.ids);
        self.nodes.extend(delta.nodes);
        self.edges.extend(delta.edges);
        self.link(place(at));
        self.commits.extend(delta.commits);
        self.heads.extend(delta.heads);
        self.lines.extend(delta.lines);
        self.changes.extend(delta.changes);
        self.assessments.extend(delta.assessments);
    }

    /// Threads the edges of the nodes from `from` on into the lists of those that lead to a node.
    fn link(&mut self, from: usize) {
        let first_edge = place(self.first_edge);
        for at in from..self.nodes.len() {
            let after = self.nodes.get(at.saturating_add(1));
            let end = after.map_or(self.edges.len(), |node| place(node.first_edge).saturating_sub(first_edge));
            let owner = self.first_node.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            while self.links.len() < end {
                let edge = self.links.len();
                let number = u32::try_from(edge).unwrap_or(u32::MAX);
                let to = self.edges.get(edge).map_or(0, |edge| edge.to);
                let (_, last) = self.led_to.entry(to).or_insert((number, number));
                if let Some((_, next)) = self.links.get_mut(place(*last)) {
                    *next = Some(number);
                }
                *last = number;
                self.links.push((owner, None));
            }
        }
    }

    /// Returns the nodes of the tail with an edge to a node, in log order, with the edge's role.
    pub(super) fn incoming(&self, number: Number) -> impl Iterator<Item = (Role, Number)> + '_ {
        let mut next = self.led_to.get(&number).map(|(first, _)| *first);
        core::iter::from_fn(move || {
            let at = place(next?);
            let (owner, after) = self.links.get(at)?;
            next = *after;
            Some((self.edges.get(at)?.role, *owner))
        })
    }

    /// Drops what a snapshot holds that was made of an earlier state of the same catalogue.
    pub(super) fn drop_what_is_in(&mut self, snapshot: &Snapshot) {
        let empty = Self::after(snapshot);
        let drop = |total: u64, before: u64| narrow(total.saturating_sub(before));
        let nodes = drop(empty.first_node.into(), self.first_node.into());
        let edges = drop(empty.first_edge.into(), self.first_edge.into());
        let size = snapshot.reached.frontier.size().get();
        let old = core::mem::replace(self, empty);
        self.ids = old.ids.into_iter().skip(nodes).collect();
        self.nodes = old.nodes.into_iter().skip(nodes).collect();
        self.edges = old.edges.into_iter().skip(edges).collect();
        self.commits = old.commits.into_iter().filter(|commit| commit.leaf >= size).collect();
        self.heads = old.heads.into_iter().filter(|head| head.index >= size).collect();
        self.changes = old.changes.into_iter().filter(|leaf| *leaf >= size).collect();
        self.lines = old.lines.into_iter().filter(|(leaf, _)| *leaf >= size).collect();
        let first = self.first_node;
        self.assessments = old.assessments.into_iter().filter(|assessment| assessment.node >= first).collect();
        let ids = core::mem::take(&mut self.ids);
        self.number(&ids, first);
        self.ids = ids;
        self.link(0);
    }

    /// Notes which numbers nodes have, from `first` on.
    fn number(&mut self, ids: &[NodeId], first: Number) {
        for (id, number) in ids.iter().zip(first..) {
            match self.by_prefix.entry(beginning(id)) {
                Entry::Vacant(free) => drop(free.insert(number)),
                Entry::Occupied(_) => drop(self.by_id.insert(*id, number)),
            }
        }
    }

    /// Returns the number of a node.
    pub(super) fn number_of(&self, id: &NodeId) -> Option<Number> {
        let number = *self.by_prefix.get(&beginning(id))?;
        let found = self.ids.get(place(number.saturating_sub(self.first_node)))?;
        if found == id { Some(number) } else { self.by_id.get(id).copied() }
    }
}

fn beginning(id: &NodeId) -> u64 {
    id.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
