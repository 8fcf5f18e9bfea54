//! Tests of the tree, its proofs and its frontier against the definition in RFC 9162.

use alloc::vec;

use super::*;
use crate::digest::COMMIT_TREE;

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|index| Rfc9162::leaf_hash(&index.to_be_bytes())).collect()
}

/// The definition of RFC 9162, section 2.1.1, word for word.
fn defined_root(hash: &impl TreeHash, leaves: &[Digest]) -> Digest {
    if let [leaf] = leaves {
        return *leaf;
    }
    let split = leaves.len().next_power_of_two() / 2;
    hash.node(&defined_root(hash, &leaves[..split]), &defined_root(hash, &leaves[split..]))
}

fn chosen(leaves: &[Digest], indices: &[u64]) -> Vec<(u64, Digest)> {
    indices.iter().map(|index| (*index, leaves[usize::try_from(*index).unwrap()])).collect()
}

#[test]
fn roots_agree_with_the_definition_and_the_frontier() {
    let all = leaves(130);
    let mut frontier = Frontier::new(COMMIT_TREE);
    for (count, leaf) in all.iter().enumerate() {
        frontier.push(*leaf).unwrap();
        let expected = Some(defined_root(&COMMIT_TREE, &all[..=count]));
        assert_eq!(root(&COMMIT_TREE, &all[..=count]), expected);
        assert_eq!(frontier.root(), expected);
        let restored = Frontier::from_parts(COMMIT_TREE, frontier.size(), frontier.nodes().to_vec()).unwrap();
        assert_eq!(restored, frontier);
    }
    assert_eq!(root(&Rfc9162, &[]), None);
    assert_eq!(Frontier::new(Rfc9162).root(), Some(Rfc9162::EMPTY_ROOT));
    assert_eq!(Rfc9162::EMPTY_ROOT, Digest::from_bytes(Sha256::digest(b"").into()));
}

#[test]
fn a_frontier_is_restored_only_with_as_many_nodes_as_bits() {
    let error = Frontier::from_parts(Rfc9162, TreeSize::new(7), leaves(2)).unwrap_err();
    assert_eq!(error, ProofError::FrontierNodes { expected: 3, actual: 2 });
    assert_eq!(error.code(), "frontier-node-count");
}

#[test]
fn a_full_frontier_refuses_another_leaf() {
    let mut frontier = Frontier::from_parts(Rfc9162, TreeSize::new(u64::MAX), leaves(64)).unwrap();
    assert_eq!(frontier.push(Digest::ZERO).unwrap_err().code(), "tree-full");
}

#[test]
fn every_set_of_leaves_of_small_trees_verifies_with_its_own_proof_only() {
    for size in 1_u64..=9 {
        let all = leaves(size);
        let expected = root(&Rfc9162, &all).unwrap();
        for mask in 1_u64..1 << size {
            let indices: Vec<u64> = (0..size).filter(|bit| mask >> bit & 1 == 1).collect();
            let known = chosen(&all, &indices);
            let proof = prove_leaves(&Rfc9162, &all, &indices).unwrap();
            assert_eq!(root_from_leaves(&Rfc9162, size, &known, &proof), Ok(expected));

            let mut longer = proof.clone();
            longer.push(expected);
            let error = root_from_leaves(&Rfc9162, size, &known, &longer).unwrap_err();
            let (expected, actual) = (wide(proof.len()), wide(longer.len()));
            assert_eq!(error, ProofError::InclusionLength { expected, actual });
            if let Some((_, shorter)) = proof.split_last() {
                let error = root_from_leaves(&Rfc9162, size, &known, shorter).unwrap_err();
                assert_eq!(error.code(), "inclusion-proof-length");
            }
        }
    }
}

#[test]
fn every_narrowed_proof_is_the_one_that_the_whole_tree_gives() {
    for size in 1_u64..=9 {
        let all = leaves(size);
        let set = |mask: u64| (0..size).filter(|bit| mask >> bit & 1 == 1).collect::<Vec<u64>>();
        for mask in 1_u64..1 << size {
            let known = chosen(&all, &set(mask));
            let proof = prove_leaves(&Rfc9162, &all, &set(mask)).unwrap();
            for part in (1..=mask).filter(|part| part & mask == *part) {
                let expected = prove_leaves(&Rfc9162, &all, &set(part));
                assert_eq!(narrow_leaves(&Rfc9162, size, &known, &proof, &set(part)), expected, "{size} {mask} {part}");
            }
        }
    }
}

#[test]
fn what_was_not_proven_is_in_no_narrowed_proof() {
    let all = leaves(13);
    let known = chosen(&all, &[2, 3, 9]);
    let proof = prove_leaves(&COMMIT_TREE, &all, &[2, 3, 9]).unwrap();
    let refused =
        |proof: &[Digest], kept: &[u64]| narrow_leaves(&COMMIT_TREE, 13, &known, proof, kept).unwrap_err().code();
    assert_eq!(refused(&proof, &[]), "inclusion-no-leaves");
    assert_eq!(refused(&proof, &[3, 2]), "inclusion-leaf-order");
    assert_eq!(refused(&proof, &[4]), "tree-node-missing");
    assert_eq!(refused(&proof, &[13]), "inclusion-index-beyond-tree");
    assert_eq!(refused(&proof[1..], &[2]), "inclusion-proof-length");
    assert_eq!(refused(&[proof.as_slice(), &[Digest::ZERO]].concat(), &[2]), "inclusion-proof-length");
}

#[test]
fn proofs_fetched_by_coordinates_equal_proofs_from_leaves() {
    for size in 1..70 {
        let all = leaves(size);
        let complete = |at: Coordinate| {
            assert!(at.is_complete(size));
            let range = at.leaves(size)?;
            root(&Rfc9162, &all[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()])
        };
        for step in 1..8_u64 {
            let indices: Vec<u64> = (0..size).rev().step_by(usize::try_from(step * step).unwrap()).collect();
            let indices: Vec<u64> = indices.into_iter().rev().collect();
            let coordinates = proof_coordinates(size, &indices).unwrap();
            let fetched = fetch_proof(&Rfc9162, size, &coordinates, complete).unwrap();
            assert_eq!(fetched, prove_leaves(&Rfc9162, &all, &indices).unwrap());
        }
    }
}

#[test]
fn a_single_path_and_a_proof_of_one_leaf_are_the_same() {
    for size in 1..40 {
        let all = leaves(size);
        let expected = root(&Rfc9162, &all).unwrap();
        for (index, leaf) in (0..).zip(&all) {
            let proof = prove_leaves(&Rfc9162, &all, &[index]).unwrap();
            let (index, size) = (LeafIndex::new(index), TreeSize::new(size));
            assert_eq!(verify_inclusion(&Rfc9162, index, size, leaf, &proof, &expected), Ok(()));
            let error = verify_inclusion(&Rfc9162, index, size, &Digest::ZERO, &proof, &expected).unwrap_err();
            assert_eq!(error.code(), "inclusion-root-mismatch");
        }
    }
}

/// `rs_merkle` 1.5 accepted forged leaves under duplicate indices, indices beyond the tree and trailing hashes.
#[test]
fn duplicate_unsorted_and_far_indices_are_refused() {
    let all = leaves(5);
    let refused = |indices: &[u64]| {
        let known: Vec<_> = indices.iter().map(|index| (*index, Digest::ZERO)).collect();
        let code = root_from_leaves(&Rfc9162, 5, &known, &all).unwrap_err().code();
        assert_eq!(prove_leaves(&Rfc9162, &all, indices).unwrap_err().code(), code);
        code
    };
    assert_eq!(refused(&[]), "inclusion-no-leaves");
    assert_eq!(refused(&[1, 1]), "inclusion-leaf-order");
    assert_eq!(refused(&[2, 1]), "inclusion-leaf-order");
    assert_eq!(refused(&[4, 5]), "inclusion-index-beyond-tree");
    assert_eq!(root_from_leaves(&Rfc9162, 0, &[(0, Digest::ZERO)], &[]).unwrap_err().code(), refused(&[5]));
}

#[test]
fn enormous_sizes_cost_nothing() {
    for size in [1 << 62, 1 << 63, (1 << 63) + 5, u64::MAX] {
        let indices = [0, size / 3, size - 1];
        let coordinates = proof_coordinates(size, &indices).unwrap();
        let proof = vec![Digest::ZERO; coordinates.len()];
        let known: Vec<_> = indices.iter().map(|index| (*index, Digest::ZERO)).collect();
        root_from_leaves(&COMMIT_TREE, size, &known, &proof).unwrap();
        let error = root_from_leaves(&COMMIT_TREE, size, &known, &[]).unwrap_err();
        assert_eq!(error, ProofError::InclusionLength { expected: wide(proof.len()), actual: 0 });
        let sizes = (TreeSize::new(size / 3), TreeSize::new(size));
        assert!(consistency_coordinates(sizes.0, sizes.1).unwrap().len() <= 65);
    }
}

#[test]
fn consistency_between_all_small_sizes() {
    let all = leaves(33);
    for new in 1..=33_u64 {
        let newer = &all[..usize::try_from(new).unwrap()];
        let new_root = root(&Rfc9162, newer).unwrap();
        for old in 1..=new {
            let old_root = root(&Rfc9162, &all[..usize::try_from(old).unwrap()]).unwrap();
            let (old, new) = (TreeSize::new(old), TreeSize::new(new));
            let proof = prove_consistency(&Rfc9162, newer, old).unwrap();
            let judge = |proof: &[Digest]| verify_consistency(&Rfc9162, old, &old_root, new, &new_root, proof);
            assert_eq!(judge(&proof), Ok(()));
            let mut longer = proof.clone();
            longer.push(new_root);
            assert_eq!(judge(&longer).unwrap_err().code(), "consistency-proof-length");
            if let Some((_, shorter)) = proof.split_last() {
                assert_eq!(judge(shorter).unwrap_err().code(), "consistency-proof-length");
            }
        }
    }
}

#[test]
fn every_subtree_of_small_trees_is_part_of_its_tree() {
    let all = leaves(20);
    let part = |range: &Range<u64>| {
        root(&Rfc9162, &all[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]).unwrap()
    };
    let mut seen = 0;
    for size in 1..=20_u64 {
        for (start, end) in (0..size).flat_map(|start| (start..=size).map(move |end| (start, end))) {
            let subtree = start..end;
            let Ok(coordinates) = subtree_coordinates(&subtree, TreeSize::new(size)) else { continue };
            let proof: Vec<_> = coordinates.iter().map(|at| part(&at.leaves(size).unwrap())).collect();
            let judge = |root: &Digest| {
                verify_subtree_consistency(&Rfc9162, &subtree, root, TreeSize::new(size), &part(&(0..size)), &proof)
            };
            assert_eq!(judge(&part(&subtree)), Ok(()), "{subtree:?} of {size}");
            assert!(judge(&Digest::ZERO).is_err());
            seen += 1;
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn degenerate_consistency_has_its_codes() {
    let some = Digest::ZERO;
    let code = |old, new| {
        let (old, new) = (TreeSize::new(old), TreeSize::new(new));
        verify_consistency(&Rfc9162, old, &some, new, &some, &[]).map_err(|error| error.code())
    };
    assert_eq!(code(0, 0), Err("consistency-from-empty"));
    assert_eq!(code(0, 5), Err("consistency-from-empty"));
    assert_eq!(code(5, 4), Err("consistency-size-order"));
    assert_eq!(code(4, 5), Err("consistency-proof-length"));
    assert_eq!(code(4, 4), Ok(()));
    let empty = |hash: &dyn Fn() -> Result<(), ProofError>| hash().map_err(|error| error.code());
    let size = TreeSize::new(4);
    let range = 2..2;
    let plain = || verify_subtree_consistency(&Rfc9162, &range, &Rfc9162::EMPTY_ROOT, size, &some, &[]);
    let keyed = || verify_subtree_consistency(&COMMIT_TREE, &range, &some, size, &some, &[]);
    assert_eq!(empty(&plain), Ok(()));
    assert_eq!(empty(&keyed), Err("subtree-range-invalid"));
}
