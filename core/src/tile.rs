//! Tiles: how a log's hashes and entries are cut into files (C2SP tlog-tiles v0.1.0).
//!
//! A tile of level `L` holds up to 256 hashes of tree level `8 * L`. A hash at a level between is computed from the
//! hashes below it in its tile. Only complete nodes are in tiles; what is incomplete at the right edge is computed
//! (see [`crate::tree::range_root`]).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::digest::Digest;
use crate::limits::ENTRY_BYTES_MAX;
use crate::tree::Coordinate;

/// How many hashes or entries a full tile has.
pub const TILE_WIDTH: u16 = 256;

/// How many levels of the tree one level of tiles spans.
pub const TILE_HEIGHT: u8 = 8;

/// The highest level that a tile's path may name (tlog-tiles: "0 to 63").
pub const MAX_TILE_LEVEL: u8 = 63;

/// How many levels of tiles a tree of 2^64 leaves has.
const TILE_LEVELS: u8 = 8;

/// A tile of hashes, full or partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// A bundle of entries, full or partial: the counterpart of a tile of level 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryBundle {
    index: u64,
    width: u16,
}

/// What a path below a log's prefix names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TilePath {
    /// A tile of hashes.
    Hashes(Tile),
    /// A bundle of entries.
    Entries(EntryBundle),
}

/// Where a complete node is found: it is the root over `count` neighbouring hashes of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// The tile to read, as wide as the tree has it.
    pub tile: Tile,
    /// The first of the hashes, counted from 0.
    pub start: u16,
    /// How many hashes: a power of two from 1 to 128.
    pub count: u16,
}

impl Tile {
    /// Makes a tile of 1 to 256 hashes.
    ///
    /// Errors: [`TileError::Level`], [`TileError::Width`].
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > MAX_TILE_LEVEL {
            return Err(TileError::Level { level: u64::from(level) });
        }
        check_width(width)?;
        Ok(Self { level, index, width })
    }

    /// Returns the level, from 0.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Returns which tile of its level it is, from 0.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Returns how many hashes it has, 1 to 256.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Tells whether it has fewer than 256 hashes.
    pub const fn is_partial(self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Returns the path, as `tile/0/x001/x234/067` or `tile/1/000.p/17`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, number_path(self.index, self.width))
    }

    /// Returns the tile of this level and index in a tree of `size` leaves, or `None` if the tree has none of it.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let width = width_in(hashes_at(level, size), index)?;
        Self::new(level, index, width).ok()
    }
}

impl EntryBundle {
    /// Makes a bundle of 1 to 256 entries, else [`TileError::Width`].
    pub fn new(index: u64, width: u16) -> Result<Self, TileError> {
        check_width(width)?;
        Ok(Self { index, width })
    }

    /// Returns which bundle it is, from 0.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Returns how many entries it has, 1 to 256.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Tells whether it has fewer than 256 entries.
    pub const fn is_partial(self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Returns the path, as `tile/entries/x001/x234/067` or `tile/entries/000.p/17`.
    pub fn path(self) -> String {
        format!("tile/entries/{}", number_path(self.index, self.width))
    }

    /// Returns the bundle of this index in a tree of `size` leaves, or `None` if the tree has none of it.
    pub fn in_tree(index: u64, size: u64) -> Option<Self> {
        Self::new(index, width_in(size, index)?).ok()
    }
}

impl TilePath {
    /// Parses the path of a tile or of a bundle of entries. Only the one canonical spelling is accepted.
    ///
    /// Errors: [`TileError::Path`], [`TileError::Level`].
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let wrong = || TileError::Path { path: String::from(path) };
        let rest = path.strip_prefix("tile/").ok_or_else(wrong)?;
        let (kind, number) = rest.split_once('/').ok_or_else(wrong)?;
        let (index, width) = parse_number_path(number).ok_or_else(wrong)?;
        let parsed = if kind == "entries" {
            Self::Entries(EntryBundle::new(index, width)?)
        } else {
            Self::Hashes(Tile::new(kind.parse().map_err(|_| wrong())?, index, width)?)
        };
        if parsed.path() == path { Ok(parsed) } else { Err(wrong()) }
    }

    /// Returns the path.
    pub fn path(self) -> String {
        match self {
            Self::Hashes(tile) => tile.path(),
            Self::Entries(bundle) => bundle.path(),
        }
    }
}

/// Yields every tile of hashes in a tree of `size` leaves, level by level, full ones before the partial one.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    (0..TILE_LEVELS).flat_map(move |level| {
        let count = hashes_at(level, size).div_ceil(u64::from(TILE_WIDTH));
        (0..count).filter_map(move |index| Tile::in_tree(level, index, size))
    })
}

/// Yields every bundle of entries in a tree of `size` leaves.
pub fn entry_bundles(size: u64) -> impl Iterator<Item = EntryBundle> {
    let count = size.div_ceil(u64::from(TILE_WIDTH));
    (0..count).filter_map(move |index| EntryBundle::in_tree(index, size))
}

/// Finds the tile that holds node `at` of a tree of `size` leaves, or `None` if the node is not complete in it.
pub fn place_of(at: Coordinate, size: u64) -> Option<NodePlace> {
    if !at.is_complete(size) {
        return None;
    }
    let inside = at.level % TILE_HEIGHT;
    let first = at.index.checked_shl(u32::from(inside))?;
    let tile = Tile::in_tree(at.level / TILE_HEIGHT, first >> TILE_HEIGHT, size)?;
    let start = u16::from(first.to_le_bytes()[0]);
    Some(NodePlace { tile, start, count: 1_u16.checked_shl(u32::from(inside))? })
}

/// Encodes the hashes of a tile: 32 bytes each, nothing else.
///
/// Errors: [`TileError::Width`].
pub fn encode_hashes(hashes: &[Digest]) -> Result<Vec<u8>, TileError> {
    check_width(u16::try_from(hashes.len()).unwrap_or(u16::MAX))?;
    Ok(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect())
}

/// Decodes the hashes of a tile with exactly `width` of them.
///
/// Errors: [`TileError::HashBytes`].
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Digest>, TileError> {
    let expected = usize::from(width).saturating_mul(32);
    let (hashes, rest) = bytes.as_chunks::<32>();
    if bytes.len() != expected || !rest.is_empty() {
        return Err(TileError::HashBytes { expected, actual: bytes.len() });
    }
    Ok(hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
}

/// Encodes entries: for each its length in two bytes, most significant first, and its bytes.
///
/// Errors: [`TileError::EntryBytes`], and [`TileError::Width`] unless there are 1 to 256.
pub fn encode_entries(entries: &[&[u8]]) -> Result<Vec<u8>, TileError> {
    check_width(u16::try_from(entries.len()).unwrap_or(u16::MAX))?;
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| entry.len().saturating_add(2)).sum());
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryBytes { length: entry.len() })?;
        bytes.extend(length.to_be_bytes());
        bytes.extend(*entry);
    }
    Ok(bytes)
}

/// Decodes exactly `width` entries and not a byte more.
///
/// Errors: [`TileError::EntriesTruncated`], [`TileError::EntriesTrailing`].
pub fn decode_entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    for entry in 0..width {
        let truncated = || TileError::EntriesTruncated { entry, width };
        let (length, after) = rest.split_first_chunk::<2>().ok_or_else(truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (bytes, after) = after.split_at_checked(length).ok_or_else(truncated)?;
        entries.push(bytes);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(TileError::EntriesTrailing { bytes: rest.len() }) }
}

const fn check_width(width: u16) -> Result<(), TileError> {
    if width == 0 || width > TILE_WIDTH { Err(TileError::Width { width }) } else { Ok(()) }
}

/// Counts the hashes that tiles of `level` hold in a tree of `size` leaves.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level).saturating_mul(u32::from(TILE_HEIGHT))).unwrap_or(0)
}

/// Returns how wide tile `index` is where there are `count` hashes, or `None` if it would be empty.
fn width_in(count: u64, index: u64) -> Option<u16> {
    let before = index.checked_mul(u64::from(TILE_WIDTH))?;
    let left = count.checked_sub(before).filter(|left| *left > 0)?;
    u16::try_from(left.min(u64::from(TILE_WIDTH))).ok()
}

/// Writes an index in groups of three digits, all but the last with an `x`, and the width of a partial tile.
fn number_path(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        path = format!("{path}.p/{width}");
    }
    path
}

/// Reads what [`number_path`] writes; the caller compares the spelling.
fn parse_number_path(path: &str) -> Option<(u64, u16)> {
    let (number, width) = match path.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok().filter(|width| *width < TILE_WIDTH)?),
        None => (path, TILE_WIDTH),
    };
    let mut index = 0_u64;
    for group in number.split('/') {
        let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok().filter(|digits| *digits < 1000)?;
        index = index.checked_mul(1000)?.checked_add(digits)?;
    }
    (width > 0).then_some((index, width))
}

/// Why a tile, its path or its bytes are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TileError {
    /// The level is above 63.
    Level {
        /// The level.
        level: u64,
    },
    /// The width is not from 1 to 256.
    Width {
        /// The width.
        width: u16,
    },
    /// The path is not the canonical path of a tile.
    Path {
        /// The path.
        path: String,
    },
    /// The bytes are not as many as the hashes of the tile have.
    HashBytes {
        /// How many bytes the hashes have.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
    /// An entry is longer than 65 535 bytes.
    EntryBytes {
        /// Its length in bytes.
        length: usize,
    },
    /// The bytes end within an entry.
    EntriesTruncated {
        /// The entry, from 0.
        entry: u16,
        /// How many there should be.
        width: u16,
    },
    /// There are bytes after the last entry.
    EntriesTrailing {
        /// How many.
        bytes: usize,
    },
}

impl TileError {
    /// Returns the stable reason code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Level { .. } => "tile-level",
            Self::Width { .. } => "tile-width",
            Self::Path { .. } => "tile-path",
            Self::HashBytes { .. } => "tile-hash-bytes",
            Self::EntryBytes { .. } => "tile-entry-too-long",
            Self::EntriesTruncated { .. } => "tile-entries-truncated",
            Self::EntriesTrailing { .. } => "tile-entries-trailing",
        }
    }
}

impl fmt::Display for TileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level { level } => write!(f, "tile level {level} is above {MAX_TILE_LEVEL}"),
            Self::Width { width } => write!(f, "tile width {width} is not from 1 to {TILE_WIDTH}"),
            Self::Path { path } => write!(f, "{path:?} is not the path of a tile"),
            Self::HashBytes { expected, actual } => write!(f, "the tile has {actual} bytes, not {expected}"),
            Self::EntryBytes { length } => {
                write!(f, "an entry of {length} bytes is above the limit of {ENTRY_BYTES_MAX}")
            }
            Self::EntriesTruncated { entry, width } => write!(f, "the bytes end within entry {entry} of {width}"),
            Self::EntriesTrailing { bytes } => write!(f, "{bytes} bytes after the last entry"),
        }
    }
}

impl core::error::Error for TileError {}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn paths(size: u64) -> Vec<String> {
        tiles(size).map(Tile::path).collect()
    }

    /// The examples of tlog-tiles.
    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = Tile::new(0, 1_234_067, 256).unwrap();
        assert_eq!(tile.path(), "tile/0/x001/x234/067");
        let bundle = EntryBundle::new(1_234_067, 8).unwrap();
        assert_eq!(bundle.path(), "tile/entries/x001/x234/067.p/8");
        assert_eq!(TilePath::parse(&tile.path()), Ok(TilePath::Hashes(tile)));
        assert_eq!(TilePath::parse(&bundle.path()), Ok(TilePath::Entries(bundle)));
        let last = Tile::new(63, u64::MAX, 1).unwrap();
        assert_eq!(TilePath::parse(&last.path()), Ok(TilePath::Hashes(last)));
    }

    #[test]
    fn a_tree_has_the_tiles_of_the_specification() {
        assert_eq!(paths(0), Vec::<String>::new());
        assert_eq!(paths(256), ["tile/0/000", "tile/1/000.p/1"]);
        let paths = paths(70_000);
        assert_eq!(paths.len(), 273 + 1 + 1 + 1 + 1);
        assert_eq!(paths[273..], ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]);
        assert_eq!(entry_bundles(70_000).last().unwrap().path(), "tile/entries/273.p/112");
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/1000",
            "tile/0/x001",
            "tile/0/001/002",
            "tile/0/x000/001",
            "tile/0/x1/001",
            "tile/00/001",
            "tile/+1/001",
            "tile/0/+01",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/01",
            "tile/0/001.p/+1",
            "tile/0/001.p/",
            "/tile/0/001",
            "tile/0/001/",
            "tile/data/001",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/-1/001",
        ] {
            assert_eq!(TilePath::parse(path).unwrap_err().code(), "tile-path", "{path}");
        }
        assert_eq!(TilePath::parse("tile/64/001").unwrap_err().code(), "tile-level");
        assert_eq!(Tile::new(0, 0, 0).unwrap_err().code(), "tile-width");
        assert_eq!(Tile::new(0, 0, 257).unwrap_err().code(), "tile-width");
    }

    #[test]
    fn nodes_are_found_in_tiles() {
        let place = |level, index, size| place_of(Coordinate { level, index }, size);
        let found = place(0, 300, 70_000).unwrap();
        assert_eq!((found.tile.path().as_str(), found.start, found.count), ("tile/0/001", 44, 1));
        let found = place(7, 1, 256).unwrap();
        assert_eq!((found.tile.path().as_str(), found.start, found.count), ("tile/0/000", 128, 128));
        let found = place(8, 0, 256).unwrap();
        assert_eq!((found.tile.path().as_str(), found.start, found.count), ("tile/1/000.p/1", 0, 1));
        assert_eq!(place(8, 1, 511), None);
        assert_eq!(place(200, 0, u64::MAX), None);
        assert!(place(63, 0, u64::MAX).is_some());
    }

    #[test]
    fn entries_go_there_and_back_and_nothing_else_does() {
        let entries: Vec<&[u8]> = vec![b"one", b"", b"three"];
        let bytes = encode_entries(&entries).unwrap();
        assert_eq!(decode_entries(&bytes, 3).unwrap(), entries);
        assert_eq!(decode_entries(&bytes, 2).unwrap_err(), TileError::EntriesTrailing { bytes: 7 });
        assert_eq!(decode_entries(&bytes, 4).unwrap_err().code(), "tile-entries-truncated");
        assert_eq!(decode_entries(&bytes[..11], 3).unwrap_err().code(), "tile-entries-truncated");
        assert_eq!(encode_entries(&[&vec![0; 65_536]]).unwrap_err().code(), "tile-entry-too-long");
        assert_eq!(encode_entries(&[]).unwrap_err().code(), "tile-width");
    }

    #[test]
    fn hashes_go_there_and_back_and_nothing_else_does() {
        let hashes = [Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32])];
        let bytes = encode_hashes(&hashes).unwrap();
        assert_eq!(decode_hashes(&bytes, 2).unwrap(), hashes);
        assert_eq!(decode_hashes(&bytes, 1).unwrap_err(), TileError::HashBytes { expected: 32, actual: 64 });
        assert_eq!(decode_hashes(&bytes[1..], 2).unwrap_err().code(), "tile-hash-bytes");
    }
}
