//! Questions about ancestry, at a pinned tree size. No depth limit anywhere.

use core::ops::Range;
use std::collections::HashSet;

use griptrace_core::{
    id::NodeId,
    node::{Kind, Role},
};

use crate::{
    Store,
    catalogue::Catalogue,
    error::ReadError,
    placed::Number,
    tiles::TileReader,
    walk::{Direction, WalkOptions},
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

/// Ids in all the ways that are found at once, but for the first: 32 MiB.
const PATH_IDS_MAX: usize = 1 << 20;
/// Candidates that an ambiguous id lists at most.
const AMBIGUOUS_MAX: usize = 1000;

impl Store {
    /// Returns everything that a node came from, nearest first, in the log of `at` entries (`None`:
    /// now).
    ///
    /// # Errors
    /// `NoNode`, also for a node that came later; `Beyond` for a size that the log has not reached.
    pub fn ancestors(&self, id: &NodeId, at: Option<u64>) -> Result<Vec<Found>, ReadError> {
        self.walk(*id, &WalkOptions::new(Direction::Ancestors, at))?.rest()
    }

    /// Returns everything that stands on a node, nearest first, in the log of `at` entries (`None`:
    /// now).
    ///
    /// # Errors
    /// As [`Self::ancestors`].
    pub fn descendants(&self, id: &NodeId, at: Option<u64>) -> Result<Vec<Found>, ReadError> {
        self.walk(*id, &WalkOptions::new(Direction::Descendants, at))?.rest()
    }

    /// Returns up to `limit` ways by which `from` came from `to`, in the log of `at` entries (`None`: now); fewer where
    /// they are so long that they have a million ids between them.
    ///
    /// # Errors
    /// As [`Self::ancestors`].
    pub fn paths(&self, from: &NodeId, to: &NodeId, limit: usize, at: Option<u64>) -> Result<Paths, ReadError> {
        self.0.ask(|state| {
            let size = at.unwrap_or(state.catalogue.size());
            state.reached(size)?;
            let (from, to) = (state.number_at(from, size)?, state.number_at(to, size)?);
            Ok(find_paths(&state.catalogue, from, to, limit))
        })
    }

    /// Returns the nodes whose id begins with these hexadecimal digits (either case), in the log of `at` entries
    /// (`None`: now): the first thousand, sorted.
    ///
    /// # Errors
    /// `Prefix` for anything but up to 64 digits; `Beyond` for a size that the log has not reached.
    pub fn resolve(&self, hex_prefix: &str, at: Option<u64>) -> Result<Resolved, ReadError> {
        let wrong = || ReadError::Prefix { text: hex_prefix.to_owned() };
        let digits = hex_prefix.len();
        if digits == 0 || digits > 64 || !hex_prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let padded =
            |digit: &str| NodeId::from_hex(&format!("{hex_prefix}{}", digit.repeat(64 - digits))).ok_or_else(wrong);
        let (least, greatest) = (padded("0")?, padded("f")?);
        let ids: Vec<NodeId> = self.0.ask(|state| {
            let size = at.unwrap_or(state.catalogue.size());
            state.reached(size)?;
            let end = state.catalogue.end_at(size);
            Ok::<_, ReadError>(state.catalogue.ids_between(&least, &greatest, end, AMBIGUOUS_MAX))
        })?;
        Ok(match ids.as_slice() {
            [] => Resolved::None,
            [one] => Resolved::One(*one),
            _ => Resolved::Ambiguous(ids),
        })
    }

    /// Returns the nodes of a kind, in log order.
    ///
    /// # Errors
    /// `Storage` if the catalogue was damaged and can't be derived again.
    pub fn of_kind(&self, kind: Kind) -> Result<Vec<NodeId>, ReadError> {
        self.0.ask(|state| {
            let catalogue = &state.catalogue;
            let found = catalogue.numbers().filter(|number| catalogue.node(*number).kind == kind);
            Ok(found.map(|number| catalogue.id(number)).collect())
        })
    }

    /// Returns the Erasures of a node, in log order.
    ///
    /// # Errors
    /// `NoNode`.
    pub fn erasures_of(&self, id: &NodeId) -> Result<Vec<NodeId>, ReadError> {
        self.0.ask(|state| {
            let incoming = state.catalogue.incoming(state.number(id)?);
            let erasures = incoming.filter(|(role, _)| *role == Role::Erases);
            Ok(erasures.map(|(_, number)| state.catalogue.id(number)).collect())
        })
    }

    /// Returns the assessments that can open a node as their subject, in log order.
    ///
    /// # Errors
    /// `NoNode`.
    pub fn assessments_of(&self, subject: &NodeId) -> Result<Vec<NodeId>, ReadError> {
        self.0.ask(|state| {
            state.number(subject)?;
            Ok(state.catalogue.assessments_of(subject).map(|number| state.catalogue.id(number)).collect())
        })
    }

    /// Returns entries of the log, the range held at its end. Each is hashed and compared with the tile above
    /// it.
    ///
    /// # Errors
    /// `Storage` with the damaged object.
    pub fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, ReadError> {
        self.0.ask(|state| {
            let mut tiles = TileReader::new(&self.0.objects, &state.catalogue);
            let read = |index| Ok(LogEntry { index, bytes: tiles.entry(index)? });
            (range.start..range.end.min(state.catalogue.size())).map(read).collect()
        })
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
    let mut ids = 0_usize;
    let mut path = vec![from];
    let mut todo = vec![parents(from)];
    if from == to {
        found.paths.push(vec![catalogue.id(from)]);
        return found;
    }
    while let Some(last) = todo.last_mut() {
        if catalogue.is_damaged() {
            // Made-up edges may lead in a circle; the answer is thrown away.
            return found;
        }
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
        ids = ids.saturating_add(path.len());
        if found.paths.len() == limit || (ids > PATH_IDS_MAX && !found.paths.is_empty()) {
            found.cut = true;
            return found;
        }
        found.paths.push(path.iter().map(|n| catalogue.id(*n)).collect());
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
