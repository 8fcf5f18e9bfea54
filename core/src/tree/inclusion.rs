//! Proofs that leaves are in a tree, one or many at a time.
//!
//! A proof for many leaves holds the siblings that can't be computed from the leaves, level by level from the bottom,
//! left to right in each. For one leaf that is the audit path of RFC 9162, section 2.1.3.

use alloc::vec::Vec;
use core::ops::Range;
use core::slice;

use super::{Coordinate, LeafIndex, ProofError, TreeHash, TreeSize, check_subtree, parents, wide};
use crate::digest::Digest;

/// Proves that the leaves at `indices` are in the tree over `leaves`. Linear in the leaves.
///
/// Errors: [`ProofError::NoLeaves`], [`ProofError::LeafOrder`], [`ProofError::IndexBeyondTree`].
pub fn prove_leaves(hash: &impl TreeHash, leaves: &[Digest], indices: &[u64]) -> Result<Vec<Digest>, ProofError> {
    check_indices(wide(leaves.len()), indices.iter().copied())?;
    let mut row = leaves.to_vec();
    let mut known = indices.to_vec();
    let mut proof = Vec::new();
    while row.len() > 1 {
        let siblings = missing_siblings(&known, wide(row.len()));
        proof.extend(siblings.filter_map(|index| row.get(usize::try_from(index).ok()?)));
        ascend(&mut known);
        row = parents(hash, &row);
    }
    Ok(proof)
}

/// Returns which nodes, in order, prove that the leaves at `indices` are in a tree of `size` leaves.
///
/// A node at the right edge may be incomplete: [`super::fetch_proof`] computes it from complete ones.
///
/// Errors: as [`prove_leaves`].
pub fn proof_coordinates(size: u64, indices: &[u64]) -> Result<Vec<Coordinate>, ProofError> {
    check_indices(size, indices.iter().copied())?;
    let mut known = indices.to_vec();
    let mut coordinates = Vec::new();
    let mut width = size;
    for level in 0..64 {
        coordinates.extend(missing_siblings(&known, width).map(|index| Coordinate { level, index }));
        ascend(&mut known);
        width = width.div_ceil(2);
    }
    Ok(coordinates)
}

/// Computes the root of the tree of `size` leaves that holds `leaves` and the hashes of `proof`.
///
/// Strict: at least one leaf, strictly increasing indices below `size`, every hash of the proof used exactly once.
/// Time is the leaves times the height of the tree at worst; memory follows the slices given, never `size`.
///
/// Errors: [`ProofError::NoLeaves`], [`ProofError::LeafOrder`], [`ProofError::IndexBeyondTree`],
/// [`ProofError::InclusionLength`].
pub fn root_from_leaves(
    hash: &impl TreeHash,
    size: u64,
    leaves: &[(u64, Digest)],
    proof: &[Digest],
) -> Result<Digest, ProofError> {
    check_indices(size, leaves.iter().map(|(index, _)| *index))?;
    let mut row = leaves.to_vec();
    let mut width = size;
    let mut rest = proof.iter();
    while width > 1 {
        row = climb(hash, &row, width, &mut rest).ok_or_else(|| length_error(size, leaves, proof))?;
        width = width.div_ceil(2);
    }
    if !rest.as_slice().is_empty() {
        return Err(length_error(size, leaves, proof));
    }
    row.first().map(|(_, root)| *root).ok_or(ProofError::NoLeaves)
}

/// Derives, from a proof for `leaves` of a tree of `size` leaves, the proof for those of them at the indices `kept`:
/// the bytes that [`prove_leaves`] gives whoever has the whole tree.
///
/// The proof given is read as [`root_from_leaves`] reads it; whether it leads to the tree's root is for the caller to
/// have checked. Time and memory are those of that function.
///
/// Errors: those of [`root_from_leaves`]; [`ProofError::NodeMissing`] for an index that is none of the leaves'.
pub fn narrow_leaves(
    hash: &impl TreeHash,
    size: u64,
    leaves: &[(u64, Digest)],
    proof: &[Digest],
    kept: &[u64],
) -> Result<Vec<Digest>, ProofError> {
    check_indices(size, leaves.iter().map(|(index, _)| *index))?;
    check_indices(size, kept.iter().copied())?;
    let given = |index: &&u64| leaves.binary_search_by_key(*index, |(leaf, _)| *leaf).is_err();
    if let Some(index) = kept.iter().find(given) {
        return Err(ProofError::NodeMissing { level: 0, index: *index });
    }
    let too_short = || length_error(size, leaves, proof);
    let (mut row, mut kept, mut width) = (leaves.to_vec(), kept.to_vec(), size);
    let (mut rest, mut narrowed) = (proof.iter(), Vec::new());
    while width > 1 {
        // What the proof shows of this level, beside what the leaves lead to.
        let known: Vec<u64> = row.iter().map(|(index, _)| *index).collect();
        let mut siblings = missing_siblings(&known, width).zip(rest.clone().copied()).collect::<Vec<_>>().into_iter();
        let mut sibling = siblings.next();
        for index in missing_siblings(&kept, width) {
            while sibling.is_some_and(|(shown, _)| shown < index) {
                sibling = siblings.next();
            }
            let computed = row.binary_search_by_key(&index, |(known, _)| *known).ok().and_then(|at| row.get(at));
            let (_, node) = sibling.as_ref().filter(|(shown, _)| *shown == index).or(computed).ok_or_else(too_short)?;
            narrowed.push(*node);
        }
        row = climb(hash, &row, width, &mut rest).ok_or_else(too_short)?;
        ascend(&mut kept);
        width = width.div_ceil(2);
    }
    if rest.as_slice().is_empty() { Ok(narrowed) } else { Err(too_short()) }
}

/// Computes the root that one leaf and its audit path lead to (RFC 9162, section 2.1.3.2). No allocation.
///
/// Errors: [`ProofError::IndexBeyondTree`], [`ProofError::InclusionLength`].
pub fn root_from_path(
    hash: &impl TreeHash,
    index: LeafIndex,
    size: TreeSize,
    leaf: &Digest,
    proof: &[Digest],
) -> Result<Digest, ProofError> {
    index.check_in(size)?;
    let wrong = || ProofError::InclusionLength { expected: path_length(index, size), actual: wide(proof.len()) };
    let mut rest = proof.iter();
    let (mut at, mut last) = (index.get(), size.get().saturating_sub(1));
    let mut node = *leaf;
    while last > 0 {
        if at & 1 == 1 {
            node = hash.node(rest.next().ok_or_else(wrong)?, &node);
        } else if at < last {
            node = hash.node(&node, rest.next().ok_or_else(wrong)?);
        }
        at >>= 1;
        last >>= 1;
    }
    if rest.as_slice().is_empty() { Ok(node) } else { Err(wrong()) }
}

/// Verifies that `leaf` stands at `index` in the tree of `size` leaves with `root` (RFC 9162, section 2.1.3.2).
///
/// Errors: [`ProofError::IndexBeyondTree`], [`ProofError::InclusionLength`], [`ProofError::InclusionRoot`].
pub fn verify_inclusion(
    hash: &impl TreeHash,
    index: LeafIndex,
    size: TreeSize,
    leaf: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    let computed = root_from_path(hash, index, size, leaf, proof)?;
    if computed == *root { Ok(()) } else { Err(ProofError::InclusionRoot { expected: *root, computed }) }
}

/// Verifies that `leaf` stands at `index` of the tree, inside the subtree over the leaves `subtree` with `root`
/// (draft-ietf-plants-merkle-tree-certs, section 4.3).
///
/// Errors: [`ProofError::SubtreeRange`], [`ProofError::IndexBeyondSubtree`], [`ProofError::InclusionLength`],
/// [`ProofError::InclusionRoot`].
pub fn verify_subtree_inclusion(
    hash: &impl TreeHash,
    index: LeafIndex,
    subtree: &Range<u64>,
    leaf: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    check_subtree(subtree)?;
    let Range { start, end } = *subtree;
    let inside = index.get().checked_sub(start).filter(|_| index.get() < end);
    let inside = inside.ok_or(ProofError::IndexBeyondSubtree { index: index.get(), start, end })?;
    let size = TreeSize::new(end.saturating_sub(start));
    verify_inclusion(hash, LeafIndex::new(inside), size, leaf, proof, root)
}

/// Checks that there are indices, that they strictly increase and that all are below `size`.
fn check_indices(size: u64, indices: impl Iterator<Item = u64>) -> Result<(), ProofError> {
    let mut previous = None;
    for index in indices {
        match previous {
            Some(previous) if previous >= index => return Err(ProofError::LeafOrder { previous, index }),
            Some(_) | None => previous = Some(index),
        }
    }
    let last = previous.ok_or(ProofError::NoLeaves)?;
    LeafIndex::new(last).check_in(TreeSize::new(size))
}

/// Yields the siblings of `known` nodes that are in the level of `width` nodes and not known themselves.
fn missing_siblings(known: &[u64], width: u64) -> impl Iterator<Item = u64> + '_ {
    known.chunk_by(|left, right| left >> 1 == right >> 1).filter_map(move |family| match family {
        [only] => Some(only ^ 1).filter(|sibling| *sibling < width),
        _ => None,
    })
}

/// Replaces nodes of one level by their parents.
fn ascend(known: &mut Vec<u64>) {
    for index in known.iter_mut() {
        *index >>= 1;
    }
    known.dedup();
}

/// Hashes the known nodes of a level of `width` nodes into the next level, taking missing siblings from the proof.
/// `None` when the proof runs out.
fn climb(
    hash: &impl TreeHash,
    row: &[(u64, Digest)],
    width: u64,
    proof: &mut slice::Iter<'_, Digest>,
) -> Option<Vec<(u64, Digest)>> {
    let mut indices = Vec::with_capacity(row.len());
    let mut pairs = Vec::with_capacity(row.len());
    let mut lone = None;
    for family in row.chunk_by(|left, right| left.0 >> 1 == right.0 >> 1) {
        let (index, node) = family.first()?;
        indices.push(index >> 1);
        match family.get(1) {
            Some((_, right)) => pairs.push([*node, *right]),
            None if index & 1 == 1 => pairs.push([*proof.next()?, *node]),
            None if index ^ 1 < width => pairs.push([*node, *proof.next()?]),
            None => lone = Some(*node),
        }
    }
    let mut nodes = Vec::with_capacity(indices.len());
    hash.nodes(&pairs, &mut nodes);
    nodes.extend(lone);
    Some(indices.into_iter().zip(nodes).collect())
}

/// Says how long the proof for `leaves` would have been.
fn length_error(size: u64, leaves: &[(u64, Digest)], proof: &[Digest]) -> ProofError {
    ProofError::InclusionLength { expected: proof_length(size, leaves), actual: wide(proof.len()) }
}

/// Counts the hashes that a proof of these leaves has, in no more memory than the leaves take.
fn proof_length(size: u64, leaves: &[(u64, Digest)]) -> u64 {
    let mut row: Vec<u64> = leaves.iter().map(|(index, _)| *index).collect();
    let (mut width, mut count) = (size, 0_u64);
    while width > 1 {
        let last = width.saturating_sub(1);
        let has = |sibling: u64| row.binary_search(&sibling).is_ok();
        let asked = row.iter().filter(|index| **index ^ 1 <= last && !has(**index ^ 1)).count();
        count = count.saturating_add(wide(asked));
        row.iter_mut().for_each(|index| *index >>= 1);
        row.dedup();
        width = width.div_ceil(2);
    }
    count
}

/// Counts the hashes in the audit path of one leaf.
fn path_length(index: LeafIndex, size: TreeSize) -> u64 {
    proof_coordinates(size.get(), &[index.get()]).map_or(0, |coordinates| wide(coordinates.len()))
}
