//! The right edge of a growing tree.

use alloc::vec::Vec;

use super::{LeafIndex, ProofError, TreeHash, TreeSize, fold_right, wide};
use crate::digest::Digest;

/// The complete subtrees at the right edge of a tree, largest first: all it takes to append and to know the root.
///
/// Also called a compact range (transparency-dev/merkle, `docs/compact_ranges.md`). At most 64 digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier<H> {
    hash: H,
    size: u64,
    nodes: Vec<Digest>,
}

impl<H: TreeHash> Frontier<H> {
    /// Begins an empty tree.
    pub const fn new(hash: H) -> Self {
        Self { hash, size: 0, nodes: Vec::new() }
    }

    /// Restores a tree of `size` leaves from its [`Self::nodes`].
    ///
    /// Errors: [`ProofError::FrontierNodes`] if their number does not fit the size.
    pub fn from_parts(hash: H, size: TreeSize, nodes: Vec<Digest>) -> Result<Self, ProofError> {
        let (expected, actual) = (u64::from(size.get().count_ones()), wide(nodes.len()));
        if expected != actual {
            return Err(ProofError::FrontierNodes { expected, actual });
        }
        Ok(Self { hash, size: size.get(), nodes })
    }

    /// Appends a leaf and returns its index. Constant time, amortised: one hash a leaf.
    ///
    /// Errors: [`ProofError::TreeFull`] at 2^64 - 1 leaves.
    pub fn push(&mut self, leaf: Digest) -> Result<LeafIndex, ProofError> {
        let index = self.size;
        let size = index.checked_add(1).ok_or(ProofError::TreeFull { size: index })?;
        let mut node = leaf;
        for _ in 0..index.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = self.hash.node(&left, &node);
            }
        }
        self.nodes.push(node);
        self.size = size;
        Ok(LeafIndex::new(index))
    }

    /// Returns how many leaves there are.
    pub const fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }

    /// Returns the complete subtrees, largest first: one for each bit set in the size.
    pub fn nodes(&self) -> &[Digest] {
        &self.nodes
    }

    /// Computes the root. For no leaves it is what the hash defines for them, if anything.
    pub fn root(&self) -> Option<Digest> {
        fold_right(&self.hash, &self.nodes).or_else(|| self.hash.empty())
    }
}
