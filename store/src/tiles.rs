//! Tiles on disk: written as the log grows, read for proofs.

use std::collections::HashMap;

use griptrace_core::{
    digest::Digest,
    tile::{EntryBundle, TILE_WIDTH, Tile, decode_entries, decode_hashes, encode_entries, encode_hashes, place_of},
    tree::{self, Coordinate, ProofError, Rfc9162, TreeSize, consistency_coordinates, fetch_proof, proof_coordinates},
};

use crate::{error::StorageError, number::narrow, objects::Objects};

/// Levels of tiles that a log of 2^40 entries has.
const LEVELS: u8 = 6;

/// The right edge of the tiles: what an append needs of them.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    size: u64,
    /// For each level the hashes of its last, partial tile.
    rows: Vec<Vec<Digest>>,
    entries: Vec<Vec<u8>>,
}

/// What an append has to write.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Objects, by name.
    pub(crate) objects: Vec<(String, Vec<u8>)>,
    /// Folders of partial tiles that a full tile has made superfluous.
    pub(crate) superfluous: Vec<String>,
}

impl Edge {
    /// Begins with no entries.
    pub(crate) fn new() -> Self {
        Self { size: 0, rows: vec![Vec::new(); usize::from(LEVELS)], entries: Vec::new() }
    }

    /// Reads the right edge of a tree of `size` leaves.
    pub(crate) fn read(reader: &mut TileReader<'_>) -> Result<Self, StorageError> {
        let mut edge = Self { size: reader.size, ..Self::new() };
        for (level, row) in (0..LEVELS).zip(&mut edge.rows) {
            let count = reader.size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
            let last = Tile::in_tree(level, count / u64::from(TILE_WIDTH), reader.size);
            if let Some(tile) = last.filter(|tile| tile.is_partial()) {
                row.clone_from(&reader.tile(tile)?.hashes);
            }
        }
        let last = EntryBundle::in_tree(reader.size / u64::from(TILE_WIDTH), reader.size);
        if let Some(bundle) = last.filter(|bundle| bundle.is_partial()) {
            edge.entries.clone_from(reader.bundle(bundle)?);
        }
        Ok(edge)
    }

    /// Appends an entry, and adds the tiles that it fills.
    pub(crate) fn push(&mut self, entry: &[u8], leaf: Digest, writes: &mut Writes) -> Result<(), StorageError> {
        self.entries.push(entry.to_vec());
        self.size = self.size.saturating_add(1);
        if self.entries.len() == usize::from(TILE_WIDTH) {
            let index = self.size.saturating_sub(1) / u64::from(TILE_WIDTH);
            self.write_bundle(index, writes)?;
            self.entries.clear();
        }
        let mut hash = leaf;
        for level in 0..LEVELS {
            let Some(row) = self.rows.get_mut(usize::from(level)) else { break };
            row.push(hash);
            if row.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let full = core::mem::take(row);
            let leaves = self.size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
            write_tile(level, leaves.saturating_sub(1) / u64::from(TILE_WIDTH), &full, writes)?;
            hash = tree::root(&Rfc9162, &full).unwrap_or(Rfc9162::EMPTY_ROOT);
        }
        Ok(())
    }

    /// Adds the partial tiles at the right edge.
    pub(crate) fn finish(&self, writes: &mut Writes) -> Result<(), StorageError> {
        if !self.entries.is_empty() {
            self.write_bundle(self.size / u64::from(TILE_WIDTH), writes)?;
        }
        for (level, row) in (0..LEVELS).zip(&self.rows).filter(|(_, row)| !row.is_empty()) {
            let count = self.size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
            write_tile(level, count / u64::from(TILE_WIDTH), row, writes)?;
        }
        Ok(())
    }

    fn write_bundle(&self, index: u64, writes: &mut Writes) -> Result<(), StorageError> {
        let entries: Vec<&[u8]> = self.entries.iter().map(Vec::as_slice).collect();
        let width = u16::try_from(entries.len()).unwrap_or(u16::MAX);
        let bundle = EntryBundle::new(index, width).map_err(|e| StorageError::corrupt("tile/entries", e))?;
        let bytes = encode_entries(&entries).map_err(|e| StorageError::corrupt(bundle.path(), e))?;
        if !bundle.is_partial() {
            writes.superfluous.push(format!("{}.p", bundle.path()));
        }
        writes.objects.push((bundle.path(), bytes));
        Ok(())
    }
}

fn write_tile(level: u8, index: u64, hashes: &[Digest], writes: &mut Writes) -> Result<(), StorageError> {
    let width = u16::try_from(hashes.len()).unwrap_or(u16::MAX);
    let tile = Tile::new(level, index, width).map_err(|e| StorageError::corrupt("tile", e))?;
    let bytes = encode_hashes(hashes).map_err(|e| StorageError::corrupt(tile.path(), e))?;
    if !tile.is_partial() {
        writes.superfluous.push(format!("{}.p", tile.path()));
    }
    writes.objects.push((tile.path(), bytes));
    Ok(())
}

/// A tile with the levels of the tree inside it: only complete nodes.
#[derive(Debug)]
struct Grown {
    hashes: Vec<Digest>,
    /// Level above level, from the one over `hashes` on.
    above: Vec<Vec<Digest>>,
}

/// Reads tiles of a tree of one size, each once.
#[derive(Debug)]
pub(crate) struct TileReader<'a> {
    objects: &'a Objects,
    size: u64,
    tiles: HashMap<Tile, Grown>,
    bundles: HashMap<u64, Vec<Vec<u8>>>,
    /// Why the last look-up had no answer.
    failed: Option<StorageError>,
}

impl<'a> TileReader<'a> {
    /// Begins to read the tree of `size` leaves.
    pub(crate) fn new(objects: &'a Objects, size: u64) -> Self {
        Self { objects, size, tiles: HashMap::new(), bundles: HashMap::new(), failed: None }
    }

    /// Computes the root of the whole tree from the tiles.
    pub(crate) fn root(&mut self) -> Result<Digest, StorageError> {
        self.root_at(self.size)
    }

    /// Computes the root of the tree that this one grew from.
    pub(crate) fn root_at(&mut self, older: u64) -> Result<Digest, StorageError> {
        let root = tree::range_root(&Rfc9162, 0..older, |at| self.lookup(at));
        root.map_err(|e| self.failure(&e))
    }

    /// Proves that the leaves at `indices` are in this tree.
    pub(crate) fn inclusion(&mut self, indices: &[u64]) -> Result<Vec<Digest>, StorageError> {
        let size = self.size;
        let coordinates = proof_coordinates(size, indices).map_err(|e| self.failure(&e))?;
        fetch_proof(&Rfc9162, size, &coordinates, |at| self.lookup(at)).map_err(|e| self.failure(&e))
    }

    /// Proves that the tree of `new` leaves grew from that of `old` leaves; neither is larger than this one.
    pub(crate) fn consistency(&mut self, old: u64, new: u64) -> Result<Vec<Digest>, StorageError> {
        let coordinates =
            consistency_coordinates(TreeSize::new(old), TreeSize::new(new)).map_err(|e| self.failure(&e))?;
        fetch_proof(&Rfc9162, new, &coordinates, |at| self.lookup(at)).map_err(|e| self.failure(&e))
    }

    /// Returns an entry, after comparing its hash with the tile above it.
    pub(crate) fn entry(&mut self, index: u64) -> Result<Vec<u8>, StorageError> {
        let (number, inside) = (index / u64::from(TILE_WIDTH), narrow(index % u64::from(TILE_WIDTH)));
        let beyond = || StorageError::corrupt("tile/entries", format!("entry {index} is beyond the log"));
        let bundle = EntryBundle::in_tree(number, self.size).ok_or_else(beyond)?;
        let entry = self.bundle(bundle)?.get(inside).cloned().ok_or_else(beyond)?;
        let tile = Tile::in_tree(0, number, self.size).ok_or_else(beyond)?;
        let expected = self.tile(tile)?.hashes.get(inside).copied();
        let found = Rfc9162::leaf_hash(&entry);
        if expected != Some(found) {
            let expected = expected.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
            let why = format!("entry {index} has leaf hash {found}, and the tile above it says {expected}");
            return Err(StorageError::corrupt(bundle.path(), why));
        }
        Ok(entry)
    }

    fn failure(&mut self, error: &ProofError) -> StorageError {
        self.failed.take().unwrap_or_else(|| StorageError::corrupt("tile", error))
    }

    fn lookup(&mut self, at: Coordinate) -> Option<Digest> {
        let found = place_of(at, self.size)?;
        let inside = found.count.trailing_zeros();
        let index = usize::from(found.start) / usize::from(found.count);
        let tile = match self.tile(found.tile) {
            Ok(tile) => tile,
            Err(error) => {
                self.failed = Some(error);
                return None;
            }
        };
        let row = match inside.checked_sub(1) {
            None => &tile.hashes,
            Some(above) => tile.above.get(narrow(above.into()))?,
        };
        row.get(index).copied()
    }

    fn tile(&mut self, tile: Tile) -> Result<&Grown, StorageError> {
        if !self.tiles.contains_key(&tile) {
            let (name, bytes) = self.either(&tile.path(), tile.is_partial(), || {
                Tile::new(tile.level(), tile.index(), TILE_WIDTH).map(Tile::path)
            })?;
            // A full tile holds what the partial one held.
            let wanted = usize::from(tile.width()).saturating_mul(32);
            let bytes = if name == tile.path() { &bytes[..] } else { bytes.get(..wanted).unwrap_or_default() };
            let hashes = decode_hashes(bytes, tile.width()).map_err(|e| StorageError::corrupt(name, e))?;
            self.tiles.insert(tile, Grown::new(hashes));
        }
        Ok(&self.tiles[&tile])
    }

    fn bundle(&mut self, bundle: EntryBundle) -> Result<&Vec<Vec<u8>>, StorageError> {
        if !self.bundles.contains_key(&bundle.index()) {
            let (name, bytes) = self.either(&bundle.path(), bundle.is_partial(), || {
                EntryBundle::new(bundle.index(), TILE_WIDTH).map(EntryBundle::path)
            })?;
            let width = if name == bundle.path() { bundle.width() } else { TILE_WIDTH };
            let entries = decode_entries(&bytes, width).map_err(|e| StorageError::corrupt(name, e))?;
            let entries = entries.into_iter().take(usize::from(bundle.width())).map(<[u8]>::to_vec).collect();
            self.bundles.insert(bundle.index(), entries);
        }
        Ok(&self.bundles[&bundle.index()])
    }

    /// Reads an object, or the full one that took a partial one's place.
    fn either<E: core::fmt::Display>(
        &self,
        name: &str,
        partial: bool,
        full: impl FnOnce() -> Result<String, E>,
    ) -> Result<(String, Vec<u8>), StorageError> {
        if let Some(bytes) = self.objects.read(name)? {
            return Ok((name.to_owned(), bytes));
        }
        if partial {
            let full = full().map_err(|e| StorageError::corrupt(name, e))?;
            if let Some(bytes) = self.objects.read(&full)? {
                return Ok((full, bytes));
            }
        }
        Err(StorageError::corrupt(name, "it is missing; opening the store for writing makes it again"))
    }
}

impl Grown {
    fn new(hashes: Vec<Digest>) -> Self {
        let mut above: Vec<Vec<Digest>> = Vec::new();
        loop {
            let below = above.last().unwrap_or(&hashes);
            let (pairs, _) = below.as_chunks::<2>();
            if pairs.is_empty() {
                return Self { hashes, above };
            }
            let mut row = Vec::with_capacity(pairs.len());
            tree::TreeHash::nodes(&Rfc9162, pairs, &mut row);
            above.push(row);
        }
    }
}
