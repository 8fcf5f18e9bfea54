//! Merkle trees of the RFC 9162 shape, and strict proofs about them.
//!
//! A tree over `n` leaves splits at the largest power of two below `n` (RFC 9162, section 2.1.1). Seen level by
//! level, that is: pair the nodes from the left, and promote a lone last node unchanged. Node `(level, index)`
//! covers the leaves `[index * 2^level, (index + 1) * 2^level)`, cut off at the size of the tree.
//!
//! Two hashes use this shape: [`Rfc9162`] (SHA-256, the log) and every [`Context`] (keyed BLAKE3 over 64 bytes, our
//! own trees). What is here judges proofs that strangers send: it does not panic, it does not allocate by a size
//! that somebody merely claims, and it accepts exactly one proof for one statement.

mod consistency;
mod error;
mod frontier;
mod inclusion;

pub use consistency::{
    consistency_coordinates, prove_consistency, subtree_coordinates, verify_consistency, verify_subtree_consistency,
};
pub use error::ProofError;
pub use frontier::Frontier;
pub use inclusion::{
    narrow_leaves, proof_coordinates, prove_leaves, root_from_leaves, root_from_path, verify_inclusion,
    verify_subtree_inclusion,
};

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::digest::{Context, Digest};

/// How a tree hashes its inner nodes.
pub trait TreeHash {
    /// Hashes two children into their parent.
    fn node(&self, left: &Digest, right: &Digest) -> Digest;

    /// Hashes many pairs, appending the parents to `parents` in order.
    ///
    /// The seam for hashing several nodes at once: an override gives the same digests, only sooner.
    fn nodes(&self, pairs: &[[Digest; 2]], parents: &mut Vec<Digest>) {
        parents.extend(pairs.iter().map(|[left, right]| self.node(left, right)));
    }

    /// Returns the root of the tree without leaves, for hashes that define one.
    fn empty(&self) -> Option<Digest> {
        None
    }
}

/// The hash of the log: SHA-256 with one prefix byte (RFC 9162, section 2.1.1; C2SP tlog-tiles fixes it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rfc9162;

impl Rfc9162 {
    /// The root of a log without entries: SHA-256 of no bytes.
    pub const EMPTY_ROOT: Digest = Digest::from_bytes([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// Hashes an entry into its leaf: `SHA-256(0x00 || entry)`.
    pub fn leaf_hash(entry: &[u8]) -> Digest {
        Digest::from_bytes(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
    }
}

impl TreeHash for Rfc9162 {
    /// Hashes two children: `SHA-256(0x01 || left || right)`.
    fn node(&self, left: &Digest, right: &Digest) -> Digest {
        let hasher = Sha256::new().chain_update([1]).chain_update(left.as_bytes()).chain_update(right.as_bytes());
        Digest::from_bytes(hasher.finalize().into())
    }

    fn empty(&self) -> Option<Digest> {
        Some(Self::EMPTY_ROOT)
    }
}

impl TreeHash for Context {
    fn node(&self, left: &Digest, right: &Digest) -> Digest {
        self.hash_pair(left, right)
    }

    fn nodes(&self, pairs: &[[Digest; 2]], parents: &mut Vec<Digest>) {
        self.hash_pairs(pairs, parents);
    }
}

/// The place of a leaf in a tree, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(u64);

/// How many leaves a tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u64);

impl LeafIndex {
    /// Wraps an index.
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Checks that the leaf stands in a tree of `size` leaves, else [`ProofError::IndexBeyondTree`].
    pub const fn check_in(self, size: TreeSize) -> Result<(), ProofError> {
        if self.0 < size.0 { Ok(()) } else { Err(ProofError::IndexBeyondTree { index: self.0, size: size.0 }) }
    }
}

impl TreeSize {
    /// Wraps a size.
    pub const fn new(size: u64) -> Self {
        Self(size)
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the index of the last leaf, if there is one.
    pub const fn last(self) -> Option<LeafIndex> {
        match self.0.checked_sub(1) {
            Some(index) => Some(LeafIndex(index)),
            None => None,
        }
    }

    /// Checks that a log of this size may have grown to `later`, else [`ProofError::SizeOrder`].
    pub const fn check_grows_to(self, later: Self) -> Result<(), ProofError> {
        if self.0 <= later.0 { Ok(()) } else { Err(ProofError::SizeOrder { old: self.0, new: later.0 }) }
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A node of a tree: how far above the leaves, and which one from the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinate {
    /// How far above the leaves: 0 is a leaf.
    pub level: u8,
    /// Which node of the level, counted from 0 at the left.
    pub index: u64,
}

impl Coordinate {
    /// Returns the leaves under this node in a tree of `size` leaves, or `None` if the tree has no such node.
    pub fn leaves(self, size: u64) -> Option<Range<u64>> {
        let width = 1_u64.checked_shl(u32::from(self.level))?;
        let start = self.index.checked_mul(width)?;
        (start < size).then(|| start..start.saturating_add(width).min(size))
    }

    /// Tells whether the node is complete in a tree of `size` leaves: then it never changes, and tiles store it.
    pub fn is_complete(self, size: u64) -> bool {
        let end = 1_u64
            .checked_shl(u32::from(self.level))
            .and_then(|width| width.checked_mul(self.index)?.checked_add(width));
        end.is_some_and(|end| end <= size)
    }

    /// Returns the node that covers exactly `range`, which must not be empty and must be one subtree.
    fn of(range: &Range<u64>) -> Self {
        let last = range.end.saturating_sub(range.start).saturating_sub(1);
        let level = u64::BITS.saturating_sub(last.leading_zeros());
        let index = range.start.checked_shr(level).unwrap_or(0);
        Self { level: u8::try_from(level).unwrap_or(u8::MAX), index }
    }
}

/// Computes the root over `leaves`, or `None` where there are none. Linear.
pub fn root(hash: &impl TreeHash, leaves: &[Digest]) -> Option<Digest> {
    let mut row = leaves.to_vec();
    while row.len() > 1 {
        row = parents(hash, &row);
    }
    row.first().copied()
}

/// Computes the root of the subtree over the leaves `range`, asking `lookup` for complete nodes only.
///
/// `range` starts at a multiple of the power of two that holds it. This is how a store that reads tiles gets the
/// incomplete nodes at the right edge of a tree. At most 64 look-ups.
///
/// Errors: [`ProofError::SubtreeRange`], and [`ProofError::NodeMissing`] when `lookup` has no answer.
pub fn range_root(
    hash: &impl TreeHash,
    range: Range<u64>,
    mut lookup: impl FnMut(Coordinate) -> Option<Digest>,
) -> Result<Digest, ProofError> {
    check_subtree(&range)?;
    let mut nodes = Vec::new();
    let mut rest = range.clone();
    while rest.start < rest.end {
        let width = floor_power_of_two(rest.end.saturating_sub(rest.start));
        let end = rest.start.saturating_add(width);
        let at = Coordinate::of(&(rest.start..end));
        nodes.push(lookup(at).ok_or(ProofError::NodeMissing { level: at.level, index: at.index })?);
        rest.start = end;
    }
    fold_right(hash, &nodes).ok_or(ProofError::SubtreeRange { start: range.start, end: range.end })
}

/// Computes node `at` of a tree of `size` leaves, complete or not, asking `lookup` for complete nodes only.
///
/// Errors: [`ProofError::NodeMissing`], also when the tree has no such node.
pub fn node_root(
    hash: &impl TreeHash,
    size: u64,
    at: Coordinate,
    mut lookup: impl FnMut(Coordinate) -> Option<Digest>,
) -> Result<Digest, ProofError> {
    let missing = ProofError::NodeMissing { level: at.level, index: at.index };
    if at.is_complete(size) {
        return lookup(at).ok_or(missing);
    }
    range_root(hash, at.leaves(size).ok_or(missing)?, lookup)
}

/// Fetches the nodes at `coordinates` of a tree of `size` leaves: turns coordinates into a proof.
///
/// Errors: [`ProofError::NodeMissing`].
pub fn fetch_proof(
    hash: &impl TreeHash,
    size: u64,
    coordinates: &[Coordinate],
    mut lookup: impl FnMut(Coordinate) -> Option<Digest>,
) -> Result<Vec<Digest>, ProofError> {
    coordinates.iter().map(|at| node_root(hash, size, *at, &mut lookup)).collect()
}

/// Hashes one level into the next, promoting a lone last node (RFC 9162, section 2.1.1).
pub fn parents(hash: &impl TreeHash, row: &[Digest]) -> Vec<Digest> {
    let (pairs, lone) = row.as_chunks::<2>();
    let mut parents = Vec::with_capacity(row.len().div_ceil(2));
    hash.nodes(pairs, &mut parents);
    parents.extend(lone);
    parents
}

/// Hashes complete subtrees, largest first, into the root over all of them.
fn fold_right(hash: &impl TreeHash, nodes: &[Digest]) -> Option<Digest> {
    nodes.iter().rev().copied().reduce(|right, left| hash.node(&left, &right))
}

/// Returns the largest power of two not above `number` (0 for 0).
const fn floor_power_of_two(number: u64) -> u64 {
    match number.checked_ilog2() {
        Some(exponent) => 1_u64.wrapping_shl(exponent),
        None => 0,
    }
}

/// Checks that `range` is a subtree: not empty, and aligned to the power of two that holds it
/// (draft-ietf-plants-merkle-tree-certs, section 4.1).
fn check_subtree(range: &Range<u64>) -> Result<(), ProofError> {
    let wrong = ProofError::SubtreeRange { start: range.start, end: range.end };
    let width = range.end.checked_sub(range.start).filter(|width| *width > 0).ok_or(wrong.clone())?;
    let aligned = match width.checked_next_power_of_two() {
        Some(power) => range.start & power.wrapping_sub(1) == 0,
        None => range.start == 0,
    };
    if aligned { Ok(()) } else { Err(wrong) }
}

/// Widens a length in memory; no platform has one beyond 64 bits.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
