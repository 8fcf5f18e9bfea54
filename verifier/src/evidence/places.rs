//! The order in which nodes are held: parents first, so that what is judged together lies together in memory.

use alloc::{vec, vec::Vec};

use super::{Node, Ordinal};
use crate::dense;

/// Where each node goes, by its ordinal in the bundle.
#[derive(Debug)]
pub(super) struct Places {
    /// The ordinals in their new order; each stands once.
    order: Vec<u32>,
    /// The place of each ordinal in `order`.
    places: Vec<u32>,
}

impl Places {
    /// Walks from the root to the sources, and puts what the walk does not meet behind, in the order of the bundle.
    pub(super) fn parents_first(root: Ordinal, nodes: &[Node]) -> Self {
        let mut order = Vec::with_capacity(nodes.len());
        let mut seen = dense::Set::default();
        let mut stack = vec![(root, false)];
        while let Some((ordinal, done)) = stack.pop() {
            if done {
                order.push(u32::try_from(ordinal).unwrap_or(u32::MAX));
                continue;
            }
            let Some(node) = nodes.get(ordinal).filter(|_| seen.insert(ordinal)) else { continue };
            stack.push((ordinal, true));
            stack.extend(node.parents().map(|parent| (parent, false)));
        }
        order
            .extend((0_u32..).zip(nodes.iter().enumerate()).filter(|(_, (at, _))| !seen.contains(*at)).map(|(i, _)| i));
        let mut places = vec![0; nodes.len()];
        for (place, ordinal) in (0_u32..).zip(&order) {
            if let Some(slot) = usize::try_from(*ordinal).ok().and_then(|ordinal| places.get_mut(ordinal)) {
                *slot = place;
            }
        }
        Self { order, places }
    }

    /// Returns the new place of a node.
    pub(super) fn of(&self, ordinal: Ordinal) -> Ordinal {
        self.places.get(ordinal).and_then(|place| usize::try_from(*place).ok()).unwrap_or(usize::MAX)
    }

    /// Puts the nodes into their new order, and returns the new place of the root with them.
    pub(super) fn nodes(&self, root: Ordinal, nodes: Vec<Node>) -> (Ordinal, Vec<Node>) {
        let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        let mut take = |ordinal: &u32| {
            let mut node = nodes.get_mut(usize::try_from(*ordinal).ok()?)?.take()?;
            for link in &mut node.edges {
                *link = link.moved(self.of(link.to()));
            }
            Some(node)
        };
        let ordered = self.order.iter().filter_map(&mut take).collect();
        (self.of(root), ordered)
    }
}
