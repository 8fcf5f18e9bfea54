//! Proofs that a tree is the beginning of another (RFC 9162, section 2.1.4), and that a subtree is part of a tree
//! (draft-ietf-plants-merkle-tree-certs, section 4.4). The first is the second with a subtree that starts at leaf 0.
//!
//! Prover and verifier walk the same [`Path`] from the root down to the largest node that lies wholly inside the
//! subtree; the verifier then climbs back up and rebuilds both roots at once.

use alloc::vec::Vec;
use core::ops::Range;

use super::{Coordinate, ProofError, TreeHash, TreeSize, check_subtree, fetch_proof, floor_power_of_two, root, wide};
use crate::digest::Digest;

/// Proves that the first `old` of `leaves` were a tree of their own. Linear in the leaves for each hash of the proof.
///
/// Errors: [`ProofError::ConsistencyFromEmpty`], [`ProofError::SizeOrder`].
pub fn prove_consistency(hash: &impl TreeHash, leaves: &[Digest], old: TreeSize) -> Result<Vec<Digest>, ProofError> {
    let size = wide(leaves.len());
    let coordinates = consistency_coordinates(old, TreeSize::new(size))?;
    fetch_proof(hash, size, &coordinates, |at| {
        let range = at.leaves(size)?;
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        root(hash, leaves.get(range)?)
    })
}

/// Returns which nodes of the newer tree, in order, prove consistency with the older one. At most 65.
///
/// Errors: [`ProofError::ConsistencyFromEmpty`], [`ProofError::SizeOrder`].
pub fn consistency_coordinates(old: TreeSize, new: TreeSize) -> Result<Vec<Coordinate>, ProofError> {
    check_sizes(old, new)?;
    Ok(Path::new(0..old.get(), new.get()).coordinates())
}

/// Returns which nodes of the tree, in order, prove that `subtree` is part of it. At most 65.
///
/// Errors: [`ProofError::SubtreeRange`], [`ProofError::SubtreeBeyondTree`].
pub fn subtree_coordinates(subtree: &Range<u64>, size: TreeSize) -> Result<Vec<Coordinate>, ProofError> {
    check_subtree(subtree)?;
    check_end(subtree, size)?;
    Ok(Path::new(subtree.clone(), size.get()).coordinates())
}

/// Verifies that the tree of `old` leaves with `old_root` is the beginning of the tree of `new` leaves with
/// `new_root` (RFC 9162, section 2.1.4.2). Equal sizes demand equal roots and an empty proof.
///
/// Errors: [`ProofError::ConsistencyFromEmpty`], [`ProofError::SizeOrder`], [`ProofError::ConsistencyLength`],
/// [`ProofError::ConsistencyOldRoot`], [`ProofError::ConsistencyNewRoot`].
pub fn verify_consistency(
    hash: &impl TreeHash,
    old: TreeSize,
    old_root: &Digest,
    new: TreeSize,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    check_sizes(old, new)?;
    Path::new(0..old.get(), new.get()).verify(hash, old_root, new_root, proof)
}

/// Verifies that the leaves `subtree` with `subtree_root` are part of the tree of `size` leaves with `root`.
///
/// An empty `subtree` is accepted, as transparency-dev/merkle does, only where the hash defines the root of no
/// leaves, `subtree_root` is that and the proof is empty. **It then says nothing about `root`.**
///
/// Errors: [`ProofError::SubtreeRange`], [`ProofError::SubtreeBeyondTree`], [`ProofError::ConsistencyLength`],
/// [`ProofError::ConsistencyOldRoot`], [`ProofError::ConsistencyNewRoot`].
pub fn verify_subtree_consistency(
    hash: &impl TreeHash,
    subtree: &Range<u64>,
    subtree_root: &Digest,
    size: TreeSize,
    root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    check_end(subtree, size)?;
    if subtree.start == subtree.end {
        return verify_empty(hash, subtree, subtree_root, proof);
    }
    check_subtree(subtree)?;
    Path::new(subtree.clone(), size.get()).verify(hash, subtree_root, root, proof)
}

fn check_sizes(old: TreeSize, new: TreeSize) -> Result<(), ProofError> {
    if old.get() == 0 {
        return Err(ProofError::ConsistencyFromEmpty);
    }
    old.check_grows_to(new)
}

fn check_end(subtree: &Range<u64>, size: TreeSize) -> Result<(), ProofError> {
    if subtree.end <= size.get() {
        return Ok(());
    }
    Err(ProofError::SubtreeBeyondTree { end: subtree.end, size: size.get() })
}

fn verify_empty(
    hash: &impl TreeHash,
    subtree: &Range<u64>,
    subtree_root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    let expected = hash.empty().ok_or(ProofError::SubtreeRange { start: subtree.start, end: subtree.end })?;
    if !proof.is_empty() {
        return Err(ProofError::ConsistencyLength { expected: 0, actual: wide(proof.len()) });
    }
    expect_old(subtree_root, expected)
}

fn expect_old(expected: &Digest, computed: Digest) -> Result<(), ProofError> {
    if computed == *expected {
        return Ok(());
    }
    Err(ProofError::ConsistencyOldRoot { expected: *expected, computed })
}

/// Where a hash of the proof stands beside the node climbed so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// To the left, before the subtree: part of the whole tree only.
    Left,
    /// To the left, in the subtree: part of both.
    LeftInside,
    /// To the right, after the subtree: part of the whole tree only.
    Right,
}

/// The way from the root of a tree down to the rightmost node that lies wholly in a subtree.
struct Path {
    /// That node, unless it is the subtree itself and so already known.
    seed: Option<Coordinate>,
    /// The siblings on the way, bottom up.
    steps: Vec<(Side, Coordinate)>,
}

impl Path {
    /// Finds the way. The caller has checked that `subtree` is one, and in the tree.
    fn new(subtree: Range<u64>, size: u64) -> Self {
        let mut rest = subtree;
        let mut node = 0..size;
        let mut whole = true;
        let mut steps = Vec::new();
        while rest != node {
            let half = floor_power_of_two(node.end.saturating_sub(node.start).saturating_sub(1));
            let middle = node.start.saturating_add(half);
            if half == 0 {
                break; // Only a range that is no subtree comes here.
            }
            let (left, right) = (Coordinate::of(&(node.start..middle)), Coordinate::of(&(middle..node.end)));
            if rest.end <= middle {
                steps.push((Side::Right, right));
                node.end = middle;
                continue;
            }
            node.start = middle;
            if middle <= rest.start {
                steps.push((Side::Left, left));
            } else {
                steps.push((Side::LeftInside, left));
                rest.start = middle;
                whole = false;
            }
        }
        steps.reverse();
        Self { seed: (!whole).then(|| Coordinate::of(&node)), steps }
    }

    fn coordinates(&self) -> Vec<Coordinate> {
        self.seed.into_iter().chain(self.steps.iter().map(|(_, at)| *at)).collect()
    }

    fn verify(
        &self,
        hash: &impl TreeHash,
        subtree_root: &Digest,
        root: &Digest,
        proof: &[Digest],
    ) -> Result<(), ProofError> {
        let (seed, siblings) = match (self.seed, proof.split_first()) {
            (Some(_), Some((seed, siblings))) => (seed, siblings),
            (None, _) => (subtree_root, proof),
            (Some(_), None) => return Err(self.length_error(proof)),
        };
        if siblings.len() != self.steps.len() {
            return Err(self.length_error(proof));
        }
        let (mut part, mut whole) = (*seed, *seed);
        for ((side, _), sibling) in self.steps.iter().zip(siblings) {
            if *side == Side::LeftInside {
                part = hash.node(sibling, &part);
            }
            whole = match side {
                Side::Left | Side::LeftInside => hash.node(sibling, &whole),
                Side::Right => hash.node(&whole, sibling),
            };
        }
        expect_old(subtree_root, part)?;
        if whole == *root {
            return Ok(());
        }
        Err(ProofError::ConsistencyNewRoot { expected: *root, computed: whole })
    }

    fn length_error(&self, proof: &[Digest]) -> ProofError {
        ProofError::ConsistencyLength { expected: wide(self.coordinates().len()), actual: wide(proof.len()) }
    }
}
