//! The right edge of the log's tree: what an append and its proofs need, in memory.

use std::collections::VecDeque;

use griptrace_core::{
    digest::Digest,
    tile::{EntryBundle, TILE_HEIGHT, TILE_WIDTH, Tile, TilePath, decode_entries, encode_entries, encode_hashes},
    tree::{Coordinate, Rfc9162, TreeHash as _, fetch_proof, proof_coordinates},
};

use crate::{
    error::StorageError,
    number::{narrow, wide},
    tiles::TileReader,
};

/// Levels of tiles that a log of 2^40 entries has.
pub(crate) const LEVELS: u8 = 6;

/// Every complete node of the tree, at every level, from the last partial tile of each level of
/// tiles on.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    size: u64,
    /// By level of the tree, 0 for the leaves.
    rows: Vec<Row>,
    /// The entries of the last, partial bundle.
    entries: Vec<Vec<u8>>,
}

/// Complete nodes of one level.
#[derive(Clone, Debug, Default)]
struct Row {
    /// Index of the first one kept.
    first: u64,
    nodes: VecDeque<Digest>,
}

/// Tiles and bundles by name.
pub(crate) type Tiles = Vec<(String, Vec<u8>)>;

/// What an append has to write: full tiles and bundles. Nothing but the segments holds their hashes
/// too, and no append comes back to them.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) full: Tiles,
    /// Folders of partial tiles that a full tile has made superfluous.
    pub(crate) superfluous: Vec<String>,
}

impl Row {
    fn end(&self) -> u64 {
        self.first.saturating_add(wide(self.nodes.len()))
    }

    fn get(&self, index: u64) -> Option<Digest> {
        self.nodes.get(narrow(index.checked_sub(self.first)?)).copied()
    }

    fn range(&self, from: u64, to: u64) -> Vec<Digest> {
        (from..to).filter_map(|index| self.get(index)).collect()
    }

    fn drop_before(&mut self, index: u64) {
        let gone = index.saturating_sub(self.first).min(wide(self.nodes.len()));
        self.nodes.drain(..narrow(gone));
        self.first = self.first.saturating_add(gone);
    }
}

impl Edge {
    /// Begins with no entries.
    pub(crate) fn new() -> Self {
        let rows = usize::from(LEVELS).saturating_mul(usize::from(TILE_HEIGHT));
        Self { size: 0, rows: vec![Row::default(); rows], entries: Vec::new() }
    }

    /// Reads the right edge of a tree.
    pub(crate) fn read(reader: &mut TileReader<'_>) -> Result<Self, StorageError> {
        let size = reader.size();
        let mut edge = Self { size, ..Self::new() };
        for level in 0..LEVELS {
            let count = count_at(level, size);
            let first = tile_start(count);
            let hashes = match Tile::in_tree(level, count / u64::from(TILE_WIDTH), size).filter(|t| t.is_partial()) {
                Some(tile) => reader.hashes(tile)?,
                None => Vec::new(),
            };
            edge.fill(level, first, hashes);
        }
        let last = EntryBundle::in_tree(size / u64::from(TILE_WIDTH), size);
        if let Some(bundle) = last.filter(|bundle| bundle.is_partial()) {
            edge.entries.clone_from(reader.bundle(bundle)?);
        }
        Ok(edge)
    }

    /// Puts in the hashes of a tile, and the complete nodes above them inside it.
    fn fill(&mut self, level: u8, first: u64, hashes: Vec<Digest>) {
        let mut row = VecDeque::from(hashes);
        let mut first = first;
        for above in 0..TILE_HEIGHT {
            let Some(place) = self.rows.get_mut(row_of(level, above)) else { return };
            let (pairs, _) = row.make_contiguous().as_chunks::<2>();
            let mut parents = Vec::with_capacity(pairs.len());
            Rfc9162.nodes(pairs, &mut parents);
            *place = Row { first, nodes: core::mem::take(&mut row) };
            (row, first) = (parents.into(), first / 2);
        }
    }

    /// Returns how many leaves there are.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Appends entries, and returns what there is to write.
    pub(crate) fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = (&'a [u8], Digest)>,
    ) -> Result<Writes, StorageError> {
        self.forget();
        let mut full = Tiles::new();
        for (entry, leaf) in entries {
            self.push(leaf);
            self.entries.push(entry.to_vec());
            if self.entries.len() == usize::from(TILE_WIDTH) {
                let index = self.size.saturating_sub(1) / u64::from(TILE_WIDTH);
                full.push(bundle_of(index, &self.entries)?);
                self.entries.clear();
            }
        }
        for level in 0..LEVELS {
            self.add_tiles(level, true, &mut full)?;
        }
        let superfluous = full.iter().map(|(path, _)| format!("{path}.p")).collect();
        Ok(Writes { full, superfluous })
    }

    /// Returns the partial tiles and the partial bundle.
    pub(crate) fn partial(&self) -> Result<Tiles, StorageError> {
        let mut partial = Tiles::new();
        if !self.entries.is_empty() {
            partial.push(bundle_of(self.size / u64::from(TILE_WIDTH), &self.entries)?);
        }
        for level in 0..LEVELS {
            self.add_tiles(level, false, &mut partial)?;
        }
        Ok(partial)
    }

    fn push(&mut self, leaf: Digest) {
        self.size = self.size.saturating_add(1);
        let mut node = leaf;
        for row in &mut self.rows {
            row.nodes.push_back(node);
            if row.end() % 2 == 1 {
                return;
            }
            let last = row.end().saturating_sub(1);
            let Some(left) = last.checked_sub(1).and_then(|left| row.get(left)) else { return };
            node = Rfc9162.node(&left, &node);
        }
    }

    /// Adds the full tiles of a level that are kept, or the partial one.
    fn add_tiles(&self, level: u8, full: bool, tiles: &mut Tiles) -> Result<(), StorageError> {
        let Some(row) = self.rows.get(row_of(level, 0)) else { return Ok(()) };
        let mut start = tile_start(row.first);
        while start < row.end() {
            let end = start.saturating_add(u64::from(TILE_WIDTH));
            if (end <= row.end()) == full {
                let hashes = row.range(start, end.min(row.end()));
                tiles.push(tile_of(level, start / u64::from(TILE_WIDTH), &hashes)?);
            }
            start = end;
        }
        Ok(())
    }

    /// Forgets what no append needs any more.
    fn forget(&mut self) {
        for level in 0..LEVELS {
            let start = tile_start(count_at(level, self.size));
            for above in 0..TILE_HEIGHT {
                if let Some(row) = self.rows.get_mut(row_of(level, above)) {
                    row.drop_before(start.checked_shr(above.into()).unwrap_or(0));
                }
            }
        }
    }

    /// Proves that a leaf which came in by the last append is in the tree.
    pub(crate) fn inclusion(&self, index: u64) -> Result<Vec<Digest>, StorageError> {
        let broken = |e| StorageError::corrupt("tile", e);
        let coordinates = proof_coordinates(self.size, &[index]).map_err(broken)?;
        fetch_proof(&Rfc9162, self.size, &coordinates, |at| self.lookup(at)).map_err(broken)
    }

    fn lookup(&self, at: Coordinate) -> Option<Digest> {
        self.rows.get(usize::from(at.level))?.get(at.index)
    }
}

fn bundle_of(index: u64, entries: &[Vec<u8>]) -> Result<(String, Vec<u8>), StorageError> {
    let width = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    let bundle = EntryBundle::new(index, width).map_err(|e| StorageError::corrupt("tile/entries", e))?;
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let bytes = encode_entries(&entries).map_err(|e| StorageError::corrupt(bundle.path(), e))?;
    Ok((bundle.path(), bytes))
}

fn tile_of(level: u8, index: u64, hashes: &[Digest]) -> Result<(String, Vec<u8>), StorageError> {
    let width = u16::try_from(hashes.len()).unwrap_or(u16::MAX);
    let tile = Tile::new(level, index, width).map_err(|e| StorageError::corrupt("tile", e))?;
    let bytes = encode_hashes(hashes).map_err(|e| StorageError::corrupt(tile.path(), e))?;
    Ok((tile.path(), bytes))
}

/// Returns what a partial tile, or a bundle of entries, was when it had this width; `None` if it never had.
pub(crate) fn narrowed(name: &str, bytes: &[u8], width: u16) -> Option<Vec<u8>> {
    let length = match TilePath::parse(name).ok()? {
        TilePath::Hashes(_) => usize::from(width).checked_mul(32)?,
        TilePath::Entries(bundle) => {
            let entries = decode_entries(bytes, bundle.width()).ok()?;
            entries.iter().take(width.into()).map(|entry| entry.len().saturating_add(2)).sum()
        }
    };
    bytes.get(..length).map(<[u8]>::to_vec)
}

/// Returns how many hashes the tiles of a level hold in a tree of `size` leaves.
fn count_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level).saturating_mul(u32::from(TILE_HEIGHT))).unwrap_or(0)
}

/// Returns the first hash of the tile that hash `index` is in.
const fn tile_start(index: u64) -> u64 {
    index & !0xff
}

fn row_of(level: u8, above: u8) -> usize {
    usize::from(level).saturating_mul(usize::from(TILE_HEIGHT)).saturating_add(usize::from(above))
}
