//! Where each id stands among the nodes.

use alloc::{vec, vec::Vec};

use griptrace_core::id::NodeId;

use super::{Node, Ordinal};

/// The ids of a bundle's nodes, sorted, with an index over their first bits.
///
/// Ids are chosen by whoever made the nodes, so that nothing here may go wrong if many begin alike: a search halves
/// what it looks at, however the ids are spread.
#[derive(Debug)]
pub(super) struct Ids<'n> {
    nodes: &'n [Node],
    /// The first eight bytes of each id and its ordinal, by id.
    sorted: Vec<(u64, u32)>,
    /// For each value of the first bits, the first place in `sorted` that has it or a higher one.
    first: Vec<u32>,
    /// How far the first bits are from the right end of eight bytes.
    shift: u32,
}

impl<'n> Ids<'n> {
    pub(super) fn new(nodes: &'n [Node]) -> Self {
        let mut sorted: Vec<(u64, u32)> = (0_u32..).zip(nodes).map(|(i, node)| (beginning(&node.id), i)).collect();
        sorted.sort_unstable_by(|(a, i), (b, j)| a.cmp(b).then_with(|| id(nodes, *i).cmp(&id(nodes, *j))));
        let bits = usize::BITS.saturating_sub(nodes.len().leading_zeros()).clamp(1, 24);
        let shift = u64::BITS.saturating_sub(bits);
        let mut first = vec![0; 1_usize.wrapping_shl(bits).saturating_add(1)];
        let mut last: usize = 0;
        for (place, (begin, _)) in (0_u32..).zip(&sorted) {
            let bucket = usize::try_from(begin.wrapping_shr(shift)).unwrap_or(usize::MAX);
            let passed = first.get_mut(last..=bucket).unwrap_or_default();
            passed.fill(place);
            last = last.max(bucket.saturating_add(1));
        }
        let end = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        first.get_mut(last..).unwrap_or_default().fill(end);
        Self { nodes, sorted, first, shift }
    }

    /// Returns an id that two nodes have.
    pub(super) fn duplicate(&self) -> Option<NodeId> {
        let pairs = self.sorted.iter().zip(self.sorted.iter().skip(1));
        pairs
            .filter(|((a, _), (b, _))| a == b)
            .map(|((_, i), (_, j))| (id(self.nodes, *i), id(self.nodes, *j)))
            .find_map(|(a, b)| a.filter(|_| a == b))
    }

    /// Returns the ordinal of the node that has this id.
    pub(super) fn find(&self, wanted: &NodeId) -> Option<Ordinal> {
        let begin = beginning(wanted);
        let bucket = usize::try_from(begin.wrapping_shr(self.shift)).ok()?;
        let [from, to] = *self.first.get(bucket..)?.first_chunk::<2>()?;
        let near = self.sorted.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)?;
        let before = |(other, i): &(u64, u32)| {
            // The node itself is looked at, which costs, only where the beginnings are the same.
            other.cmp(&begin).then_with(|| id(self.nodes, *i).cmp(&Some(*wanted))).is_lt()
        };
        let (_, ordinal) = near.get(near.partition_point(before))?;
        (id(self.nodes, *ordinal) == Some(*wanted)).then_some(usize::try_from(*ordinal).ok()?)
    }
}

fn id(nodes: &[Node], ordinal: u32) -> Option<NodeId> {
    usize::try_from(ordinal).ok().and_then(|ordinal| nodes.get(ordinal)).map(|node| node.id)
}

fn beginning(id: &NodeId) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, sync::Arc};

    use griptrace_core::{
        digest::{Digest, NODE},
        node::Kind,
    };

    use super::*;
    use crate::evidence::{Facts, Words};

    fn node(id: Digest) -> Node {
        let words = Words { modality: Vec::new(), purpose: Vec::new(), grade: None, basis: None };
        let core = Facts {
            words: Arc::new(words),
            date: None,
            country: None,
            kind: Kind::Model,
            origin: None,
            held: None,
            strength: None,
            persons: None,
            mark: None,
            use_allowed: None,
            has_edges: false,
        };
        Node { id: NodeId::new(id), core, commit: 0, edges: Box::default(), more: None }
    }

    /// Ids that begin alike, as far as somebody may take that.
    fn alike(last: u8) -> Digest {
        let mut bytes = [0xab; 32];
        bytes[31] = last;
        Digest::from_bytes(bytes)
    }

    #[test]
    fn every_id_is_found_where_it_stands_and_no_other() {
        let random = |i: u64| NODE.hash(&i.to_be_bytes());
        for count in [0_u64, 1, 2, 3, 100, 1_000] {
            for same in [0_u8, 1, 2, 200] {
                let ids = (0..count).map(random).chain((0..same).map(alike)).chain([Digest::ZERO]);
                let nodes: Vec<Node> = ids.chain([Digest::from_bytes([0xff; 32])]).map(node).collect();
                let ids = Ids::new(&nodes);
                assert_eq!(ids.duplicate(), None);
                for (ordinal, node) in nodes.iter().enumerate() {
                    assert_eq!(ids.find(&node.id), Some(ordinal));
                }
                for other in [random(count), alike(same), Digest::from_bytes([1; 32])] {
                    assert_eq!(ids.find(&NodeId::new(other)), None);
                }
            }
        }
        assert_eq!(Ids::new(&[]).find(&NodeId::new(Digest::ZERO)), None);
    }

    #[test]
    fn an_id_that_stands_twice_is_found() {
        let nodes: Vec<Node> = [alike(1), alike(2), Digest::ZERO, alike(1)].map(node).into();
        assert_eq!(Ids::new(&nodes).duplicate(), Some(NodeId::new(alike(1))));
    }
}
