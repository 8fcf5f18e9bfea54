//! Our trees and proofs against two other implementations: `rs_merkle` (many leaves at once) and `tlog_tiles` (a port
//! of Go's sumdb/tlog: one leaf, consistency, tiles' paths). They have to agree byte for byte.

use griptrace_core::digest::Digest;
use griptrace_core::tile::{EntryBundle, Tile, TilePath, tiles};
use griptrace_core::tree::{
    Coordinate, Frontier, LeafIndex, Rfc9162, TreeSize, consistency_coordinates, fetch_proof, proof_coordinates,
    prove_consistency, prove_leaves, root, root_from_leaves, verify_consistency, verify_inclusion,
};
use griptrace_tests::seed::{Rng, Seed};
use rs_merkle::{Hasher, MerkleTree};
use tlog_tiles::{
    Hash, HashReader, check_record, check_tree, prove_record, prove_tree, split_stored_hash_index, tree_hash,
};

/// Makes a tree's leaves: many small trees, some of up to 5 000 leaves.
fn leaves_of(random: &mut Rng) -> Vec<Digest> {
    let most = [4, 40, 400, 5_000][random.index(4)];
    let size = 1 + random.below(most);
    (0..size).map(|_| Rfc9162::leaf_hash(&random.next_u64().to_be_bytes())).collect()
}

/// Draws between 1 and `most` different indices below `size`, sorted.
fn indices_of(random: &mut Rng, size: usize, most: u64) -> Vec<u64> {
    let count = 1 + random.below(most);
    let mut indices: Vec<u64> = (0..count).map(|_| random.below(length(size))).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

fn length(count: usize) -> u64 {
    u64::try_from(count).expect("a length fits 64 bits")
}

fn short(number: u64) -> usize {
    usize::try_from(number).expect("our trees fit in memory")
}

/// RFC 9162 for `rs_merkle`, which promotes a lone node as it is.
#[derive(Clone)]
struct Rfc9162Hasher;

impl Hasher for Rfc9162Hasher {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        *Rfc9162::leaf_hash(data).as_bytes()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| tlog_tiles::node_hash(Hash(*left), Hash(*right)).0)
    }
}

#[test]
fn rs_merkle_builds_the_same_trees_and_proofs() {
    let mut random = Seed::for_test("rs_merkle_builds_the_same_trees_and_proofs").rng();
    for _ in 0..40 {
        let leaves = leaves_of(&mut random);
        let size = length(leaves.len());
        let bytes: Vec<[u8; 32]> = leaves.iter().map(|leaf| *leaf.as_bytes()).collect();
        let oracle = MerkleTree::<Rfc9162Hasher>::from_leaves(&bytes);
        let ours = root(&Rfc9162, &leaves).unwrap();
        assert_eq!(Some(*ours.as_bytes()), oracle.root());
        for most in [1, 2, 10, 100] {
            let indices = indices_of(&mut random, leaves.len(), most);
            let chosen: Vec<usize> = indices.iter().map(|index| short(*index)).collect();
            let proof = prove_leaves(&Rfc9162, &leaves, &indices).unwrap();
            let expected = oracle.proof(&chosen);
            assert_eq!(proof.iter().map(|hash| *hash.as_bytes()).collect::<Vec<_>>(), expected.proof_hashes());
            let known: Vec<_> = indices.iter().map(|index| (*index, leaves[short(*index)])).collect();
            assert_eq!(root_from_leaves(&Rfc9162, size, &known, &proof), Ok(ours));
        }
    }
}

/// The hashes of a tree in memory, for `tlog_tiles`.
struct Stored<'a>(&'a [Digest]);

impl Stored<'_> {
    fn hash(&self, at: Coordinate) -> Option<Digest> {
        let range = at.leaves(length(self.0.len()))?;
        root(&Rfc9162, &self.0[short(range.start)..short(range.end)])
    }
}

impl HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::tlog::Error> {
        let read = |stored: &u64| {
            let (level, index) = split_stored_hash_index(*stored);
            Hash(*self.hash(Coordinate { level, index }).expect("the node is in the tree").as_bytes())
        };
        Ok(indexes.iter().map(read).collect())
    }
}

fn theirs(proof: &[Digest]) -> Vec<Hash> {
    proof.iter().map(|hash| Hash(*hash.as_bytes())).collect()
}

#[test]
fn tlog_tiles_makes_the_same_proofs_of_one_leaf() {
    let mut random = Seed::for_test("tlog_tiles_makes_the_same_proofs_of_one_leaf").rng();
    for _ in 0..40 {
        let leaves = leaves_of(&mut random);
        let (size, stored) = (length(leaves.len()), Stored(&leaves));
        let ours = root(&Rfc9162, &leaves).unwrap();
        let top = tree_hash(size, &stored).unwrap();
        assert_eq!(top.0, *ours.as_bytes());
        for index in indices_of(&mut random, leaves.len(), 10) {
            let proof = prove_leaves(&Rfc9162, &leaves, &[index]).unwrap();
            assert!(prove_record(size, index, &stored).unwrap() == theirs(&proof));
            let coordinates = proof_coordinates(size, &[index]).unwrap();
            assert_eq!(fetch_proof(&Rfc9162, size, &coordinates, |at| stored.hash(at)).unwrap(), proof);
            let leaf = &leaves[short(index)];
            check_record(&theirs(&proof), size, top, index, Hash(*leaf.as_bytes())).unwrap();
            verify_inclusion(&Rfc9162, LeafIndex::new(index), TreeSize::new(size), leaf, &proof, &ours).unwrap();
        }
    }
}

#[test]
fn tlog_tiles_makes_the_same_consistency_proofs() {
    let mut random = Seed::for_test("tlog_tiles_makes_the_same_consistency_proofs").rng();
    for _ in 0..40 {
        let leaves = leaves_of(&mut random);
        let (new, stored) = (length(leaves.len()), Stored(&leaves));
        let ours = root(&Rfc9162, &leaves).unwrap();
        let top = Hash(*ours.as_bytes());
        for old in indices_of(&mut random, leaves.len(), 6).into_iter().map(|index| index + 1) {
            let sizes = (TreeSize::new(old), TreeSize::new(new));
            let proof = prove_consistency(&Rfc9162, &leaves, sizes.0).unwrap();
            assert!(prove_tree(new, old, &stored).unwrap() == theirs(&proof));
            let coordinates = consistency_coordinates(sizes.0, sizes.1).unwrap();
            assert_eq!(fetch_proof(&Rfc9162, new, &coordinates, |at| stored.hash(at)).unwrap(), proof);
            let older = root(&Rfc9162, &leaves[..short(old)]).unwrap();
            check_tree(&theirs(&proof), new, top, old, Hash(*older.as_bytes())).unwrap();
            verify_consistency(&Rfc9162, sizes.0, &older, sizes.1, &ours, &proof).unwrap();
        }
    }
}

#[test]
fn a_growing_frontier_has_the_roots_of_tlog_tiles() {
    let mut random = Seed::for_test("a_growing_frontier_has_the_roots_of_tlog_tiles").rng();
    let leaves: Vec<Digest> = (0..600).map(|_| Rfc9162::leaf_hash(&random.next_u64().to_be_bytes())).collect();
    let mut frontier = Frontier::new(Rfc9162);
    for (index, leaf) in leaves.iter().enumerate() {
        frontier.push(*leaf).unwrap();
        let top = tree_hash(length(index + 1), &Stored(&leaves[..=index])).unwrap();
        assert_eq!(frontier.root().map(|root| *root.as_bytes()), Some(top.0));
    }
}

#[test]
fn tlog_tiles_spells_the_same_paths_and_knows_the_same_tiles() {
    let mut random = Seed::for_test("tlog_tiles_spells_the_same_paths_and_knows_the_same_tiles").rng();
    for _ in 0..2_000 {
        let level = u8::try_from(random.below(6)).unwrap();
        let (index, width) =
            (random.next_u64() >> random.below(64) >> 8, 1 + u16::try_from(random.below(256)).unwrap());
        let tile = Tile::new(level, index, width).unwrap();
        assert_eq!(tlog_tiles::Tile::new(8, level, index, u32::from(width), false).path(), their_path(&tile.path()));
        assert_eq!(TilePath::parse(&tile.path()), Ok(TilePath::Hashes(tile)));
        let bundle = EntryBundle::new(index, width).unwrap();
        assert_eq!(TilePath::parse(&bundle.path()), Ok(TilePath::Entries(bundle)));
    }
    for size in [1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000, 1 + random.below(200_000)] {
        let mut ours: Vec<String> = tiles(size).map(|tile| their_path(&tile.path())).collect();
        let mut expected: Vec<String> =
            tlog_tiles::Tile::new_tiles(8, 0, size).iter().map(tlog_tiles::Tile::path).collect();
        ours.sort();
        expected.sort();
        assert_eq!(ours, expected, "{size}");
    }
}

/// `tlog_tiles` writes Go's older paths, which name the height of tiles: `tile/8/0/001`.
fn their_path(path: &str) -> String {
    path.replacen("tile/", "tile/8/", 1)
}
