//! What came after the snapshot, in memory.
//!
//! It only grows, and all who look at a log share it: each sees as much of it as there was when it began to look. So a
//! commit costs what it adds, however many look on, and none of them keeps it waiting.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use griptrace_core::{commit::StatusLine, id::NodeId, node::Role};

use crate::{
    delta::Delta,
    number::{narrow, place},
    placed::{Number, Placed, PlacedAssessment, PlacedCommit, PlacedEdge, PlacedHead},
    snapshot::{Column, Snapshot},
};

/// Rows that are copied at once where many are wanted.
const RUN_ROWS: usize = 256;

/// As much of the rows as there was at one time. Clones share the rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    /// The number of the first node, and of the first edge.
    pub(super) first_node: Number,
    pub(super) first_edge: u32,
    /// How much of the rows belongs to it: others may have added to them.
    ends: Ends,
    /// Held for as long as it takes to look at some rows, and over nothing else.
    rows: Arc<RwLock<Rows>>,
}

/// How many rows of each kind there are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Ends {
    pub(super) nodes: usize,
    pub(super) edges: usize,
    pub(super) commits: usize,
    pub(super) heads: usize,
    pub(super) lines: usize,
    pub(super) changes: usize,
    pub(super) assessments: usize,
}

#[derive(Debug, Default)]
struct Rows {
    ids: Vec<NodeId>,
    nodes: Vec<Placed>,
    edges: Vec<PlacedEdge>,
    commits: Vec<PlacedCommit>,
    heads: Vec<PlacedHead>,
    lines: Vec<(u64, StatusLine)>,
    changes: Vec<u64>,
    assessments: Vec<PlacedAssessment>,
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

    /// Returns how many rows of each kind belong to it.
    pub(super) const fn ends(&self) -> Ends {
        self.ends
    }

    fn rows(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a group adds.
    pub(super) fn extend(&mut self, delta: Delta) {
        if self.rows().ends() != self.ends {
            // Somebody else went on from here, another way.
            let own = self.rows().part(Ends::default(), self.ends, (self.first_node, self.first_edge));
            self.rows = Arc::new(RwLock::new(own));
        }
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        rows.extend(delta, (self.first_node, self.first_edge));
        self.ends = rows.ends();
    }

    /// Drops what a snapshot holds that was made of an earlier state of the same catalogue.
    pub(super) fn drop_what_is_in(&mut self, snapshot: &Snapshot) {
        let empty = Self::after(snapshot);
        let size = snapshot.reached.frontier.size().get();
        let rows = {
            let rows = self.rows();
            let drop = |total: u32, before: u32| narrow(u64::from(total).saturating_sub(before.into()));
            let from = Ends {
                nodes: drop(empty.first_node, self.first_node),
                edges: drop(empty.first_edge, self.first_edge),
                commits: rows.commits.partition_point(|commit| commit.leaf < size),
                heads: rows.heads.partition_point(|head| head.index < size),
                lines: rows.lines.partition_point(|(leaf, _)| *leaf < size),
                changes: rows.changes.partition_point(|leaf| *leaf < size),
                assessments: rows.assessments.partition_point(|assessment| assessment.node < empty.first_node),
            };
            rows.part(from, self.ends, (empty.first_node, empty.first_edge))
        };
        *self = Self { ends: rows.ends(), rows: Arc::new(RwLock::new(rows)), ..empty };
    }

    /// Returns the number of a node.
    pub(super) fn number_of(&self, id: &NodeId) -> Option<Number> {
        let rows = self.rows();
        let number = *rows.by_prefix.get(&beginning(id))?;
        let found = rows.ids.get(place(number.saturating_sub(self.first_node)))?;
        let number = if found == id { Some(number) } else { rows.by_id.get(id).copied() };
        number.filter(|number| place(number.saturating_sub(self.first_node)) < self.ends.nodes)
    }

    /// Returns the nodes of the tail with an edge to a node, in log order, with the edge's role.
    pub(super) fn incoming(&self, number: Number) -> impl Iterator<Item = (Role, Number)> + '_ {
        let mut next = self.rows().led_to.get(&number).map(|(first, _)| *first);
        core::iter::from_fn(move || {
            let at = place(next?);
            if at >= self.ends.edges {
                return None;
            }
            let rows = self.rows();
            let (owner, after) = rows.links.get(at)?;
            next = *after;
            Some((rows.edges.get(at)?.role, *owner))
        })
    }

    /// Returns the ids of the nodes with a number below `end` of which `is_meant` says so, in log order.
    pub(super) fn ids_where(&self, end: Number, is_meant: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
        let end = place(end.saturating_sub(self.first_node)).min(self.ends.nodes);
        self.rows().ids.iter().take(end).filter(|id| is_meant(id)).copied().collect()
    }

    pub(super) fn id(&self, at: usize) -> Option<NodeId> {
        (at < self.ends.nodes).then(|| self.rows().ids.get(at).copied())?
    }

    pub(super) fn node(&self, at: usize) -> Option<Placed> {
        (at < self.ends.nodes).then(|| self.rows().nodes.get(at).copied())?
    }

    pub(super) fn edge(&self, at: usize) -> Option<PlacedEdge> {
        (at < self.ends.edges).then(|| self.rows().edges.get(at).copied())?
    }

    pub(super) fn commit(&self, at: usize) -> Option<PlacedCommit> {
        (at < self.ends.commits).then(|| self.rows().commits.get(at).copied())?
    }

    pub(super) fn head(&self, at: usize) -> Option<PlacedHead> {
        (at < self.ends.heads).then(|| self.rows().heads.get(at).copied())?
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.each(self.ends.nodes, |rows| &rows.ids)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = Placed> + '_ {
        self.each(self.ends.nodes, |rows| &rows.nodes)
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = PlacedEdge> + '_ {
        self.each(self.ends.edges, |rows| &rows.edges)
    }

    pub(super) fn commits(&self) -> impl Iterator<Item = PlacedCommit> + '_ {
        self.each(self.ends.commits, |rows| &rows.commits)
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = PlacedHead> + '_ {
        self.each(self.ends.heads, |rows| &rows.heads)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, StatusLine)> + '_ {
        self.each(self.ends.lines, |rows| &rows.lines)
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = u64> + '_ {
        self.each(self.ends.changes, |rows| &rows.changes)
    }

    pub(super) fn assessments(&self) -> impl Iterator<Item = PlacedAssessment> + '_ {
        self.each(self.ends.assessments, |rows| &rows.assessments)
    }

    /// Returns the rows of one kind, some at a time: whoever takes them may take long.
    fn each<'a, T: Clone + 'a>(&'a self, end: usize, of: fn(&Rows) -> &Vec<T>) -> impl Iterator<Item = T> + 'a {
        (0..end).step_by(RUN_ROWS).flat_map(move |from| {
            let run = from..end.min(from.saturating_add(RUN_ROWS));
            of(&self.rows()).get(run).unwrap_or_default().to_vec()
        })
    }
}

impl Rows {
    fn ends(&self) -> Ends {
        Ends {
            nodes: self.nodes.len(),
            edges: self.edges.len(),
            commits: self.commits.len(),
            heads: self.heads.len(),
            lines: self.lines.len(),
            changes: self.changes.len(),
            assessments: self.assessments.len(),
        }
    }

    /// Copies some of the rows, of which the first node and edge have these numbers.
    fn part(&self, from: Ends, to: Ends, firsts: (Number, u32)) -> Self {
        fn of<T: Clone>(rows: &[T], from: usize, to: usize) -> Vec<T> {
            rows.get(from..to).unwrap_or_default().to_vec()
        }
        let mut part = Self {
            ids: of(&self.ids, from.nodes, to.nodes),
            nodes: of(&self.nodes, from.nodes, to.nodes),
            edges: of(&self.edges, from.edges, to.edges),
            commits: of(&self.commits, from.commits, to.commits),
            heads: of(&self.heads, from.heads, to.heads),
            lines: of(&self.lines, from.lines, to.lines),
            changes: of(&self.changes, from.changes, to.changes),
            assessments: of(&self.assessments, from.assessments, to.assessments),
            ..Self::default()
        };
        part.number(0, firsts.0);
        part.link(0, firsts);
        part
    }

    fn extend(&mut self, delta: Delta, firsts: (Number, u32)) {
        let at = self.nodes.len();
        self.ids.extend(delta.ids);
        self.number(at, firsts.0);
        self.nodes.extend(delta.nodes);
        self.edges.extend(delta.edges);
        self.link(at, firsts);
        self.commits.extend(delta.commits);
        self.heads.extend(delta.heads);
        self.lines.extend(delta.lines);
        self.changes.extend(delta.changes);
        self.assessments.extend(delta.assessments);
    }

    /// Threads the edges of the nodes from `from` on into the lists of those that lead to a node.
    fn link(&mut self, from: usize, (first_node, first_edge): (Number, u32)) {
        for at in from..self.nodes.len() {
            let after = self.nodes.get(at.saturating_add(1));
            let end = after.map_or(self.edges.len(), |node| place(node.first_edge.saturating_sub(first_edge)));
            let owner = first_node.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
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

    /// Notes which numbers the nodes from `from` on have.
    fn number(&mut self, from: usize, first_node: Number) {
        let first = first_node.saturating_add(u32::try_from(from).unwrap_or(u32::MAX));
        for (id, number) in self.ids.iter().skip(from).zip(first..) {
            match self.by_prefix.entry(beginning(id)) {
                Entry::Vacant(free) => drop(free.insert(number)),
                Entry::Occupied(_) => drop(self.by_id.insert(*id, number)),
            }
        }
    }
}

fn beginning(id: &NodeId) -> u64 {
    id.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
