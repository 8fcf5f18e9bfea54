//! The tiles of a log at one checkpoint, each checked against the one above it.

use std::collections::BTreeMap;

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    tile::{EntryBundle, TILE_HEIGHT, TILE_WIDTH, Tile, decode_entries, place_of},
    tree::{Coordinate, ProofError, Rfc9162, TreeSize, consistency_coordinates, fetch_proof, range_root, root},
};

use super::{LEVELS, MirrorError, in_time};
use crate::tiles::Tiles;

/// Finds a complete node of the tree.
type Lookup<'a> = &'a mut dyn FnMut(Coordinate) -> Option<Digest>;

/// A log at one checkpoint.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    source: &'a Tiles,
    size: u64,
    /// What was read and leads to the root.
    known: BTreeMap<Tile, Vec<Digest>>,
}

impl<'a> Tree<'a> {
    /// Reads the partial tiles, of which the root is made.
    pub(super) async fn open(source: &'a Tiles, checkpoint: &Checkpoint) -> Result<Self, MirrorError> {
        let size = checkpoint.size;
        let mut tree = Self { source, size, known: BTreeMap::new() };
        for tile in edge(size) {
            let hashes = tree.read(tile).await?;
            tree.known.insert(tile, hashes);
        }
        let computed = tree.top()?;
        if computed == checkpoint.root {
            return Ok(tree);
        }
        Err(tree.blame(computed, checkpoint.root).await)
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) const fn source(&self) -> &'a Tiles {
        self.source
    }

    /// Returns the hashes of a tile of this tree, once they lead to the root.
    pub(super) async fn tile(&mut self, tile: Tile) -> Result<&[Digest], MirrorError> {
        let mut way = Vec::new();
        let mut at = tile;
        while !self.known.contains_key(&at) {
            way.push(at);
            at = above(at, self.size).ok_or_else(|| no_tile(at))?;
        }
        while let Some(below) = way.pop() {
            let place = usize::from(below.index().to_le_bytes()[0]);
            let expected = self.known.get(&at).and_then(|hashes| hashes.get(place)).copied();
            let hashes = self.read(below).await?;
            if root(&Rfc9162, &hashes) != expected {
                let why = format!("its hashes do not lead to what {} says", at.path());
                return Err(MirrorError::Damaged { path: below.path(), why });
            }
            self.known.insert(below, hashes);
            at = below;
        }
        self.known.get(&tile).map(Vec::as_slice).ok_or_else(|| no_tile(tile))
    }

    /// Lets go of a tile that is not needed any more, unless the root is made of it.
    pub(super) fn forget(&mut self, tile: Tile) {
        if !tile.is_partial() {
            self.known.remove(&tile);
        }
    }

    /// Proves that the tree grew from an older size.
    pub(super) async fn consistency(&mut self, old: u64) -> Result<Vec<Digest>, MirrorError> {
        let size = self.size;
        let at = consistency_coordinates(TreeSize::new(old), TreeSize::new(size)).map_err(MirrorError::Proof)?;
        self.ask(|lookup| fetch_proof(&Rfc9162, size, &at, lookup)).await
    }

    /// Returns the root that the tree had at an older size.
    pub(super) async fn root_at(&mut self, size: u64) -> Result<Digest, MirrorError> {
        if size == 0 {
            return Ok(Rfc9162::EMPTY_ROOT);
        }
        self.ask(|lookup| range_root(&Rfc9162, 0..size, lookup)).await
    }

    /// Answers a question about nodes, reading the tiles that it turns out to need.
    async fn ask<T>(&mut self, question: impl Fn(Lookup<'_>) -> Result<T, ProofError>) -> Result<T, MirrorError> {
        let mut needed = Vec::new();
        let tried = question(&mut |at| {
            let place = place_of(at, self.size)?;
            if !self.known.contains_key(&place.tile) {
                needed.push(place.tile);
            }
            Some(Digest::ZERO)
        });
        tried.map_err(MirrorError::Proof)?;
        for tile in needed {
            self.tile(tile).await?;
        }
        question(&mut |at| self.node(at)).map_err(MirrorError::Proof)
    }

    /// Returns a node whose tile is known.
    fn node(&self, at: Coordinate) -> Option<Digest> {
        let place = place_of(at, self.size)?;
        let hashes = self.known.get(&place.tile)?.get(usize::from(place.start)..)?;
        root(&Rfc9162, hashes.get(..usize::from(place.count))?)
    }

    /// Computes the root from the partial tiles.
    fn top(&self) -> Result<Digest, MirrorError> {
        if self.size == 0 {
            return Ok(Rfc9162::EMPTY_ROOT);
        }
        range_root(&Rfc9162, 0..self.size, |at| self.node(at)).map_err(MirrorError::Proof)
    }

    async fn read(&self, tile: Tile) -> Result<Vec<Digest>, MirrorError> {
        in_time(&tile.path(), self.source.hashes(tile)).await
    }

    /// Looks for the partial tile that is not what lies under it: the others can't be told from it by the root alone.
    async fn blame(&self, computed: Digest, expected: Digest) -> MirrorError {
        for (tile, hashes) in &self.known {
            for (place, hash) in (0_u64..).zip(hashes) {
                // What can't be read is no reason to blame a tile.
                let Ok((path, Some(below))) = self.below(*tile, place).await else { continue };
                if below != *hash {
                    let why = format!("it does not fit {path}, which lies under it");
                    return MirrorError::Damaged { path: tile.path(), why };
                }
            }
        }
        let paths: Vec<String> = self.known.keys().map(|tile| tile.path()).collect();
        let why = format!(
            "together they lead to the root {computed} at size {}, and the checkpoint says {expected}",
            self.size
        );
        MirrorError::Damaged { path: paths.join(" or "), why }
    }

    /// Computes a hash of a tile from what lies under it.
    async fn below(&self, tile: Tile, place: u64) -> Result<(String, Option<Digest>), MirrorError> {
        let Some(level) = tile.level().checked_sub(1) else {
            let bundle = EntryBundle::in_tree(tile.index(), self.size).ok_or_else(|| no_tile(tile))?;
            let bytes = in_time(&bundle.path(), self.source.bundle(bundle)).await?;
            let entries = decode_entries(&bytes, bundle.width()).unwrap_or_default();
            let entry = usize::try_from(place).ok().and_then(|place| entries.get(place).copied());
            return Ok((bundle.path(), entry.map(Rfc9162::leaf_hash)));
        };
        let index = (tile.index() << TILE_HEIGHT).saturating_add(place);
        let child = Tile::new(level, index, TILE_WIDTH).map_err(|_| no_tile(tile))?;
        Ok((child.path(), root(&Rfc9162, &self.read(child).await?)))
    }
}

/// Returns the tile that has the hash over a full tile.
fn above(tile: Tile, size: u64) -> Option<Tile> {
    Tile::in_tree(tile.level().saturating_add(1), tile.index() >> TILE_HEIGHT, size).filter(|_| !tile.is_partial())
}

/// Returns the partial tiles of a tree: the root is made of them, since a complete subtree at the right edge stands in the
/// partial tile of its levels.
fn edge(size: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).filter_map(move |level| {
        Tile::in_tree(level, super::full_tiles(level, size), size).filter(|tile| tile.is_partial())
    })
}

fn no_tile(tile: Tile) -> MirrorError {
    MirrorError::Damaged { path: tile.path(), why: "the tree has no such tile".to_owned() }
}
