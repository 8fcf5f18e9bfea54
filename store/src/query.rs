//! Questions about ancestry, at a pinned tree size. No depth limit anywhere.

use core::ops::Range;
use std::collections::{BTreeSet, HashSet, VecDeque};

use griptrace_core::{id::NodeId, node::Kind};

use crate::{
    State, Store,
    catalogue::{Catalogue, Number},
    error::{ReadError, StorageError},
    tiles::TileReader,
};

/// A node that a walk came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The node.
    pub id: NodeId,
    /// Its kind.
    pub kind: Kind,
    /// Edges on the shortest way there.
    pub depth: u64,
}

/// Ways from one node to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    /// Each from the node asked about to its ancestor, ends included.
    pub paths: Vec<Vec<NodeId>>,
    /// Whether there are more than were asked for.
    pub cut: bool,
}

/// What the beginning of an id stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolved {
    /// One node.
    One(NodeId),
    /// No node.
    None,
    /// Several nodes, sorted.
    Ambiguous(Vec<NodeId>),
}

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Its leaf index.
    pub index: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Candidates that an ambiguous id lists at most.
const AMBIGUOUS_MAX: usize = 1000;

impl Store {
    /// Returns everything that a node came from, nearest first, in the log of `at` entries (`None`:
    /// now).
    ///
    /// # Errors
    /// `NoNode`, also for a node that came later; `Beyond` for a size that the log has not reached.
    pub fn ancestors(&self, id: &NodeId, at: Option<u64>) -> Result<Vec<Found>, ReadError> {
        self.0.read().walk(id, at, |catalogue, number, next| next.extend(catalogue.parents(number)))
    }

    /// Returns everything that stands on a node, nearest first, in the log of `at` entries (`None`:
    /// now).
    ///
    /// # Errors
    /// As [`Self::ancestors`].
    pub fn descendants(&self, id: &NodeId, at: Option<u64>) -> Result<Vec<Found>, ReadError> {
        self.0.read().walk(id, at, |catalogue, number, next| next.extend(catalogue.children(number)))
    }

    /// Returns up to `limit` ways by which `from` came from `to`.
    ///
    /// # Errors
    /// `NoNode`.
    pub fn paths(&self, from: &NodeId, to: &NodeId, limit: usize) -> Result<Paths, ReadError> {
        let state = self.0.read();
        let (from, to) = (state.number(from)?, state.number(to)?);
        Ok(find_paths(&state.catalogue, from, to, limit))
    }

    /// Returns the nodes whose id begins with these hexadecimal digits (either case).
    ///
    /// # Errors
    /// `Prefix` for anything but up to 64 digits.
    pub fn resolve(&self, hex_prefix: &str) -> Result<Resolved, ReadError> {
        let wrong = || ReadError::Prefix { text: hex_prefix.to_owned() };
        let digits = hex_prefix.len();
        if digits == 0 || digits > 64 || !hex_prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let padded =
            |digit: &str| NodeId::from_hex(&format!("{hex_prefix}{}", digit.repeat(64 - digits))).ok_or_else(wrong);
        let (least, greatest) = (padded("0")?, padded("f")?);
        let state = self.0.read();
        let matches = state.catalogue.nodes.iter().map(|node| node.id).filter(|id| (least..=greatest).contains(id));
        let mut ids: Vec<NodeId> = matches.take(AMBIGUOUS_MAX).collect();
        ids.sort_unstable();
        Ok(match ids.as_slice() {
            [] => Resolved::None,
            [one] => Resolved::One(*one),
            _ => Resolved::Ambiguous(ids),
        })
    }

    /// Returns the nodes of a kind, in log order.
    ///
    /// # Errors
    /// None today; a catalogue that is read from disk may fail.
    pub fn of_kind(&self, kind: Kind) -> Result<Vec<NodeId>, ReadError> {
        let state = self.0.read();
        Ok(state.catalogue.nodes.iter().filter(|node| node.kind == kind).map(|node| node.id).collect())
    }

    /// Returns the assessments that can open a node as their subject, in log order.
    ///
    /// # Errors
    /// `NoNode`.
    pub fn assessments_of(&self, subject: &NodeId) -> Result<Vec<NodeId>, ReadError> {
        let state = self.0.read();
        state.number(subject)?;
        Ok(state.catalogue.assessments_of(subject).map(|number| state.catalogue.node(number).id).collect())
    }

    /// Returns entries of the log, the range held at its end. Each is hashed and compared with the tile above
    /// it.
    ///
    /// # Errors
    /// `Storage` with the damaged object.
    pub fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, ReadError> {
        let size = self.size();
        let mut tiles = TileReader::new(&self.0.objects, size);
        let read = |index| Ok(LogEntry { index, bytes: tiles.entry(index)? });
        let entries: Result<Vec<LogEntry>, StorageError> = (range.start..range.end.min(size)).map(read).collect();
        Ok(entries?)
    }
}

impl State {
    fn walk(
        &self,
        id: &NodeId,
        at: Option<u64>,
        neighbours: impl Fn(&Catalogue, Number, &mut Vec<Number>),
    ) -> Result<Vec<Found>, ReadError> {
        let catalogue = &self.catalogue;
        let size = at.unwrap_or(catalogue.size());
        if size > catalogue.size() {
            return Err(ReadError::Beyond { asked: size, size: catalogue.size() });
        }
        let from = self.number(id)?;
        if catalogue.leaf(from) >= size {
            return Err(ReadError::NoNode { id: *id });
        }
        let mut seen: BTreeSet<Number> = [from].into();
        let mut todo = VecDeque::from([(from, 0_u64)]);
        let mut found = Vec::new();
        let mut next = Vec::new();
        while let Some((number, depth)) = todo.pop_front() {
            if number != from {
                let node = catalogue.node(number);
                found.push(Found { id: node.id, kind: node.kind, depth });
            }
            neighbours(catalogue, number, &mut next);
            let fresh = next.drain(..).filter(|n| catalogue.leaf(*n) < size && seen.insert(*n));
            todo.extend(fresh.map(|n| (n, depth.saturating_add(1))));
        }
        Ok(found)
    }
}

/// Finds ways by parents, depth first in the order of the edges. Only nodes that lead to `to` are
/// walked, so that no step is in vain.
fn find_paths(catalogue: &Catalogue, from: Number, to: Number, limit: usize) -> Paths {
    let leads = leading_to(catalogue, from, to);
    let mut found = Paths { paths: Vec::new(), cut: false };
    if !leads.contains(&from) {
        return found;
    }
    let parents = |number: Number| -> Vec<Number> {
        let mut parents: Vec<Number> = catalogue.parents(number).filter(|p| leads.contains(p)).collect();
        parents.reverse();
        parents
    };
    let mut path = vec![from];
    let mut todo = vec![parents(from)];
    if from == to {
        found.paths.push(vec![catalogue.node(from).id]);
        return found;
    }
    while let Some(last) = todo.last_mut() {
        let Some(number) = last.pop() else {
            todo.pop();
            path.pop();
            continue;
        };
        path.push(number);
        if number != to {
            todo.push(parents(number));
            continue;
        }
        if found.paths.len() == limit {
            found.cut = true;
            return found;
        }
        found.paths.push(path.iter().map(|n| catalogue.node(*n).id).collect());
        path.pop();
    }
    found
}

/// Returns the nodes from which parents lead to `to`, down to `from`: an ancestor has the smaller
/// leaf, or stands in the same commit.
fn leading_to(catalogue: &Catalogue, from: Number, to: Number) -> HashSet<Number> {
    let newest = catalogue.leaf(from);
    let mut leads = HashSet::from([to]);
    let mut todo = vec![to];
    while let Some(number) = todo.pop() {
        for child in catalogue.children(number) {
            if catalogue.leaf(child) <= newest && leads.insert(child) {
                todo.push(child);
            }
        }
    }
    leads
}
