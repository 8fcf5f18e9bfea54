//! Tiles on disk: read for proofs, and derived again from the segments where they are damaged.
//!
//! What is read is hashed up to the root before it is believed: a full tile against the hash in the
//! tile above it, the partial ones at the right edge together against the tree's root, an entry
//! against the tile above it.

use core::ops::Range;
use std::{collections::HashMap, sync::Arc};

use griptrace_core::{
    digest::Digest,
    tile::{EntryBundle, TILE_WIDTH, Tile, decode_entries, decode_hashes, encode_entries, encode_hashes, place_of},
    tree::{self, Coordinate, ProofError, Rfc9162, TreeSize, consistency_coordinates, fetch_proof, proof_coordinates},
};

use crate::{
    catalogue::Catalogue,
    edge::LEVELS,
    error::StorageError,
    head::Head,
    number::narrow,
    objects::Objects,
    segment::{self, Groups},
};

/// A tile with the levels of the tree inside it: only complete nodes.
#[derive(Debug)]
pub(crate) struct Grown {
    hashes: Vec<Digest>,
    /// Level above level, from the one over `hashes` on.
    above: Vec<Vec<Digest>>,
}

/// A way to come by a tile; `None` if it leads nowhere.
type Way<'a> = fn(&TileReader<'a>, Tile) -> Result<Option<Grown>, StorageError>;

/// The partial tiles at the right edge of a tree, which lead to its root.
pub(crate) type RightEdge = HashMap<Tile, Arc<Grown>>;

/// Reads the tiles of a tree, each once.
#[derive(Debug)]
pub(crate) struct TileReader<'a> {
    objects: &'a Objects,
    catalogue: &'a Catalogue,
    /// The tree.
    head: Head,
    tiles: HashMap<Tile, Arc<Grown>>,
    bundles: HashMap<u64, Vec<Vec<u8>>>,
    /// Whether the right edge was compared with the root.
    is_edge_checked: bool,
    /// Whether anything at the right edge had to be derived.
    is_edge_derived: bool,
    /// Why the last look-up had no answer.
    failed: Option<StorageError>,
}

impl<'a> TileReader<'a> {
    /// Begins to read the tiles of a catalogue's log.
    pub(crate) fn new(objects: &'a Objects, catalogue: &'a Catalogue) -> Self {
        Self::at(objects, catalogue, Head { size: catalogue.size(), root: catalogue.root() })
    }

    /// Begins to read the tiles of the tree that was signed at some size.
    pub(crate) fn at(objects: &'a Objects, catalogue: &'a Catalogue, head: Head) -> Self {
        Self {
            objects,
            catalogue,
            head,
            tiles: HashMap::new(),
            bundles: HashMap::new(),
            is_edge_checked: false,
            is_edge_derived: false,
            failed: None,
        }
    }

    /// Begins with a right edge that another reader of the same tree has compared with the root.
    pub(crate) fn with_edge(self, edge: RightEdge) -> Self {
        Self { tiles: edge, is_edge_checked: true, ..self }
    }

    /// Returns the right edge, compared with the root.
    pub(crate) fn edge(&mut self) -> Result<RightEdge, StorageError> {
        self.check_edge()?;
        let partial = self.tiles.iter().filter(|(tile, _)| tile.is_partial());
        Ok(partial.map(|(tile, grown)| (*tile, Arc::clone(grown))).collect())
    }

    /// Returns how many leaves the tree has.
    pub(crate) const fn size(&self) -> u64 {
        self.head.size
    }

    /// Tells whether the right edge on disk was not that of the tree.
    pub(crate) fn had_to_derive_the_edge(&mut self) -> Result<bool, StorageError> {
        self.check_edge()?;
        Ok(self.is_edge_derived)
    }

    /// Computes the root of the tree that this one grew from.
    pub(crate) fn root_at(&mut self, older: u64) -> Result<Digest, StorageError> {
        let root = tree::range_root(&Rfc9162, 0..older, |at| self.lookup(at));
        root.map_err(|e| self.failure(&e))
    }

    /// Proves that the leaves at `indices` are in the tree of `size` leaves, which is not larger than this one.
    pub(crate) fn inclusion(&mut self, indices: &[u64], size: u64) -> Result<Vec<Digest>, StorageError> {
        let coordinates = proof_coordinates(size, indices).map_err(|e| self.failure(&e))?;
        fetch_proof(&Rfc9162, size, &coordinates, |at| self.lookup(at)).map_err(|e| self.failure(&e))
    }

    /// Proves that the tree of `new` leaves grew from that of `old` leaves; neither is larger than this one.
    pub(crate) fn consistency(&mut self, old: u64, new: u64) -> Result<Vec<Digest>, StorageError> {
        let coordinates =
            consistency_coordinates(TreeSize::new(old), TreeSize::new(new)).map_err(|e| self.failure(&e))?;
        fetch_proof(&Rfc9162, new, &coordinates, |at| self.lookup(at)).map_err(|e| self.failure(&e))
    }

    /// Returns an entry.
    pub(crate) fn entry(&mut self, index: u64) -> Result<Vec<u8>, StorageError> {
        let (number, inside) = (index / u64::from(TILE_WIDTH), narrow(index % u64::from(TILE_WIDTH)));
        let beyond = || StorageError::corrupt("tile/entries", format!("entry {index} is beyond the log"));
        let bundle = EntryBundle::in_tree(number, self.head.size).ok_or_else(beyond)?;
        self.bundle(bundle)?.get(inside).cloned().ok_or_else(beyond)
    }

    /// Returns the hashes of a tile.
    pub(crate) fn hashes(&mut self, tile: Tile) -> Result<Vec<Digest>, StorageError> {
        Ok(self.tile(tile)?.hashes.clone())
    }

    fn failure(&mut self, error: &ProofError) -> StorageError {
        self.failed.take().unwrap_or_else(|| StorageError::corrupt("tile", error))
    }

    fn lookup(&mut self, at: Coordinate) -> Option<Digest> {
        let found = place_of(at, self.head.size)?;
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
        self.check_edge()?;
        if !self.tiles.contains_key(&tile) {
            let grown = self.full_tile(tile)?;
            self.tiles.insert(tile, Arc::new(grown));
        }
        Ok(&self.tiles[&tile])
    }

    /// Reads a full tile and compares it with the tile above it.
    fn full_tile(&mut self, tile: Tile) -> Result<Grown, StorageError> {
        let width = u64::from(TILE_WIDTH);
        let above = Tile::in_tree(tile.level().saturating_add(1), tile.index() / width, self.head.size);
        let above = above.ok_or_else(|| StorageError::corrupt(tile.path(), "the log has no such tile"))?;
        let expected = self.tile(above)?.hashes.get(narrow(tile.index() % width)).copied();
        let found = self.stored(tile)?.filter(|grown| grown.root() == expected);
        if let Some(grown) = found {
            return Ok(grown);
        }
        let derived = self.derive(tile)?;
        if derived.root() != expected {
            return Err(StorageError::corrupt(above.path(), "it says otherwise than the segments"));
        }
        self.heal(&tile.path(), encode_hashes(&derived.hashes));
        Ok(derived)
    }

    /// Reads the partial tiles at the right edge, and derives them if they don't lead to the root.
    fn check_edge(&mut self) -> Result<(), StorageError> {
        if self.is_edge_checked {
            return Ok(());
        }
        self.is_edge_checked = true;
        let edge: Vec<Tile> = (0..LEVELS).filter_map(|level| partial(level, self.head.size)).collect();
        // As they are; from the full tiles below, which is quick; from the segments alone.
        let ways: [Way<'_>; 3] = [Self::stored, Self::grow, |reader, tile| reader.derive(tile).map(Some)];
        for (at, way) in ways.into_iter().enumerate() {
            for tile in &edge {
                if let Some(grown) = way(self, *tile)? {
                    self.tiles.insert(*tile, Arc::new(grown));
                }
            }
            if self.edge_root() == Some(self.head.root) {
                self.is_edge_derived = at > 0;
                if at > 0 {
                    self.heal_edge(&edge);
                }
                return Ok(());
            }
        }
        self.is_edge_checked = false;
        Err(StorageError::corrupt("segments", "the entries don't lead to the root that was signed"))
    }

    fn heal_edge(&self, edge: &[Tile]) {
        for tile in edge {
            if let Some(grown) = self.tiles.get(tile) {
                self.heal(&tile.path(), encode_hashes(&grown.hashes));
            }
        }
    }

    /// Derives a tile from the full tiles below it as they are on disk, or for the lowest level from
    /// the segments. `None` if one of them is missing or malformed.
    fn grow(&self, tile: Tile) -> Result<Option<Grown>, StorageError> {
        let Some(below) = tile.level().checked_sub(1) else { return self.derive(tile).map(Some) };
        let first = tile.index().saturating_mul(u64::from(TILE_WIDTH));
        let mut hashes = Vec::new();
        for index in first..first.saturating_add(tile.width().into()) {
            let full = Tile::new(below, index, TILE_WIDTH).map_err(|e| StorageError::corrupt(tile.path(), e))?;
            let Some(root) = self.stored(full)?.and_then(|grown| grown.root()) else { return Ok(None) };
            hashes.push(root);
        }
        Ok(Some(Grown::new(hashes)))
    }

    /// Computes the root from the tiles at the right edge alone.
    fn edge_root(&self) -> Option<Digest> {
        let lookup = |at: Coordinate| {
            let found = place_of(at, self.head.size)?;
            let tile = self.tiles.get(&found.tile)?;
            let row = match found.count.trailing_zeros().checked_sub(1) {
                None => &tile.hashes,
                Some(above) => tile.above.get(narrow(above.into()))?,
            };
            row.get(usize::from(found.start) / usize::from(found.count)).copied()
        };
        tree::range_root(&Rfc9162, 0..self.head.size, lookup).ok()
    }

    /// Reads a tile as it is on disk; `None` if it is missing or malformed.
    fn stored(&self, tile: Tile) -> Result<Option<Grown>, StorageError> {
        let full = || Tile::new(tile.level(), tile.index(), TILE_WIDTH).map(Tile::path).unwrap_or_default();
        let Some(bytes) = self.either(&tile.path(), tile.is_partial(), full)? else { return Ok(None) };
        // A full tile holds what the partial one held.
        let wanted = usize::from(tile.width()).saturating_mul(32);
        let hashes = bytes.get(..wanted).and_then(|bytes| decode_hashes(bytes, tile.width()).ok());
        Ok(hashes.map(Grown::new))
    }

    /// Derives a tile from the segments.
    fn derive(&self, tile: Tile) -> Result<Grown, StorageError> {
        let span = 256_u64.checked_pow(tile.level().into()).unwrap_or(u64::MAX);
        let first = tile.index().saturating_mul(u64::from(TILE_WIDTH));
        let range = first.saturating_mul(span)..first.saturating_add(tile.width().into()).saturating_mul(span);
        let mut leaves = Vec::new();
        self.visit(range, |entry| leaves.push(Rfc9162::leaf_hash(entry)))?;
        let roots = leaves.chunks(narrow(span)).filter_map(|leaves| tree::root(&Rfc9162, leaves));
        Ok(Grown::new(roots.collect()))
    }

    /// Returns the entries of a bundle, each compared with its hash in the tile above it.
    pub(crate) fn bundle(&mut self, bundle: EntryBundle) -> Result<&Vec<Vec<u8>>, StorageError> {
        if !self.bundles.contains_key(&bundle.index()) {
            let beyond = || StorageError::corrupt(bundle.path(), "the log has no such bundle");
            let tile = Tile::in_tree(0, bundle.index(), self.head.size).ok_or_else(beyond)?;
            let hashes = self.hashes(tile)?;
            let fits = |entries: &Vec<Vec<u8>>| {
                entries.len() == hashes.len()
                    && entries.iter().zip(&hashes).all(|(entry, hash)| Rfc9162::leaf_hash(entry) == *hash)
            };
            let entries = match self.stored_bundle(bundle)?.filter(fits) {
                Some(entries) => entries,
                None => self.derive_bundle(bundle, fits)?,
            };
            self.bundles.insert(bundle.index(), entries);
        }
        Ok(&self.bundles[&bundle.index()])
    }

    fn stored_bundle(&self, bundle: EntryBundle) -> Result<Option<Vec<Vec<u8>>>, StorageError> {
        let full = || EntryBundle::new(bundle.index(), TILE_WIDTH).map(EntryBundle::path).unwrap_or_default();
        let Some(bytes) = self.either(&bundle.path(), bundle.is_partial(), full)? else { return Ok(None) };
        let found = decode_entries(&bytes, bundle.width()).or_else(|_| decode_entries(&bytes, TILE_WIDTH));
        let entries = found.ok().map(|entries| entries.into_iter().take(usize::from(bundle.width())));
        Ok(entries.map(|entries| entries.map(<[u8]>::to_vec).collect()))
    }

    fn derive_bundle(
        &self,
        bundle: EntryBundle,
        fits: impl Fn(&Vec<Vec<u8>>) -> bool,
    ) -> Result<Vec<Vec<u8>>, StorageError> {
        let first = bundle.index().saturating_mul(u64::from(TILE_WIDTH));
        let mut entries = Vec::new();
        self.visit(first..first.saturating_add(bundle.width().into()), |entry| entries.push(entry.to_vec()))?;
        if !fits(&entries) {
            return Err(StorageError::corrupt(bundle.path(), "neither it nor the segments fit the tile above it"));
        }
        let slices: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        self.heal(&bundle.path(), encode_entries(&slices));
        Ok(entries)
    }

    /// Visits the entries of a range, in order, as the segments have them.
    fn visit(&self, range: Range<u64>, mut visit: impl FnMut(&[u8])) -> Result<(), StorageError> {
        let mut index = range.start;
        let end = range.end.min(self.head.size);
        while index < end {
            let first = self.catalogue.segment_of(index);
            let name = segment::name(first);
            // It is kept open: the tile and the entries of one place are derived one after the other.
            let file = self.objects.segment(first)?;
            let bytes = self.objects.read_part(&name, &*file, 0, u64::MAX)?;
            // What is damaged may be put back.
            let forget = |_: &StorageError| self.objects.forget_segment(first);
            let begin = segment::check_header(&self.catalogue.home, first, &bytes).inspect_err(forget)?;
            let mut groups = Groups::new(&name, first, bytes.get(narrow(begin)..).unwrap_or_default(), begin, first);
            let before = index;
            while let Some(group) = groups.next().inspect_err(forget)? {
                for (at, entry) in (group.first..).zip(&group.entries) {
                    // In their order, each once, whatever a damaged snapshot said of where they are.
                    if at == index && at < end {
                        visit(entry.bytes);
                        index = index.saturating_add(1);
                    }
                }
                if index >= end {
                    break;
                }
            }
            if index == before {
                return Err(StorageError::corrupt(name, format!("entry {index} should stand in it, and does not")));
            }
        }
        Ok(())
    }

    /// Writes again what was derived, if this is the writer's process.
    fn heal<E>(&self, name: &str, bytes: Result<Vec<u8>, E>) {
        match bytes {
            // Where it can't be written, it is derived again the next time.
            Ok(bytes) if self.objects.is_writer() => drop(self.objects.put(name, &bytes)),
            Ok(_) | Err(_) => {}
        }
    }

    /// Reads an object, or the full one that took a partial one's place.
    fn either(
        &self,
        name: &str,
        partial: bool,
        full: impl FnOnce() -> String,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        match self.objects.read(name)? {
            None if partial => self.objects.read(&full()),
            found => Ok(found),
        }
    }
}

/// Returns the partial tile of a level in a tree of `size` leaves.
fn partial(level: u8, size: u64) -> Option<Tile> {
    let count = size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
    Tile::in_tree(level, count / u64::from(TILE_WIDTH), size).filter(|tile| tile.is_partial())
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

    /// Returns the root over all hashes.
    fn root(&self) -> Option<Digest> {
        match self.above.last() {
            Some(top) if self.hashes.len().is_power_of_two() => top.first().copied(),
            Some(_) | None => tree::root(&Rfc9162, &self.hashes),
        }
    }
}
