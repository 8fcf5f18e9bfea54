//! Blocks: small segments put together, once the 256 entries that they begin with are all there.
//!
//! In a bucket every group is an object of its own, so that it can be written once and never again. A
//! reader of a long log would ask for each of them. Block `b` holds, whole and unchanged, the segments
//! whose first entry is one of 256 b to 256 b + 255, behind a table of them; the segments themselves
//! go once it stands. Which block a segment is in follows from its name, and whoever makes a block
//! makes the same bytes, so that nobody has to agree on anything.

use core::{
    error::Error,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Bucket, Part, Put, When,
    disk::{Object, all},
};
use crate::{
    number::{narrow, wide},
    segment,
};

const FOLDER: &str = "blocks";
const MAGIC: &[u8] = b"griptrace block v1\n";
/// Entries whose segments are in one block. In the store's own tests so few that blocks come by.
pub(crate) const BLOCK_ENTRIES: u64 = if cfg!(test) { 32 } else { 256 };
/// A block that would be longer is not made: its segments are large enough.
pub(crate) const BLOCK_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a block that hold its table: the magic, a count, a checksum, and a place for each segment.
const TABLE_BYTES_MAX: u64 = 19 + 8 + 32 + 256 * 24;
/// How often an object is read again that another one wrote meanwhile.
const TRIES: u32 = 8;
/// Tables that are kept.
const TABLES_MAX: usize = 4096;

/// A segment: its first entry, and its bytes.
pub(crate) type Segment = (u64, Vec<u8>);

/// A block that can't be read, by its name.
#[derive(Debug)]
pub(crate) struct DamagedBlock(pub(crate) String);

impl DamagedBlock {
    /// What is wrong with it.
    pub(crate) const WHY: &str = "it does not begin with the table of its segments, or is cut short";
}

impl fmt::Display for DamagedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, Self::WHY)
    }
}

impl Error for DamagedBlock {}

/// Where a segment is in its block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    first: u64,
    offset: u64,
    length: u64,
}

/// The blocks of a bucket.
#[derive(Debug)]
pub(crate) struct Blocks {
    bucket: Arc<dyn Bucket>,
    tables: Mutex<HashMap<u64, Arc<[Place]>>>,
    /// How long the log is, as far as is known here.
    size: AtomicU64,
}

impl Blocks {
    /// Looks at the blocks of a bucket.
    pub(crate) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket, tables: Mutex::default(), size: AtomicU64::new(0) }
    }

    /// Takes note that the log has this many entries: below them blocks may stand.
    pub(crate) fn know(&self, size: u64) {
        self.size.fetch_max(size, Ordering::Relaxed);
    }

    /// Tells whether the block of a segment may stand. If so it counts, and not what lies under the
    /// segment's own name: a writer that was stopped for an hour may put something there that is in no log.
    pub(super) fn may_stand(&self, first: u64) -> bool {
        let end = (first / BLOCK_ENTRIES).saturating_add(1).saturating_mul(BLOCK_ENTRIES);
        end <= self.size.load(Ordering::Relaxed)
    }

    /// Opens a segment that is in a block; `None` if it is in none.
    pub(super) fn open(&self, first: u64) -> io::Result<Option<Object>> {
        if let Some(inside) = self.open_known(first) {
            return Ok(Some(inside));
        }
        let block = first / BLOCK_ENTRIES;
        let Some(table) = self.read_table(block)? else { return Ok(None) };
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= TABLES_MAX {
            tables.clear();
        }
        tables.insert(block, table);
        drop(tables);
        Ok(self.open_known(first))
    }

    /// Opens a segment that is in a block whose table is kept.
    fn open_known(&self, first: u64) -> Option<Object> {
        let block = first / BLOCK_ENTRIES;
        let table = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(&block).cloned();
        let place = table.and_then(|table| table.iter().find(|place| place.first == first).copied());
        place.map(|place| Object::part(Arc::clone(&self.bucket), &name(block), place.offset, place.length))
    }

    /// Returns the names of all segments that are in blocks, without their folder.
    pub(super) fn segments(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for block in all(&*self.bucket, FOLDER)?.iter().filter_map(|name| name.parse::<u64>().ok()) {
            let table = self.read_table(block)?.unwrap_or_default();
            names.extend(table.iter().map(|place| segment::name_in_folder(place.first)));
        }
        Ok(names)
    }

    /// Reads a block whole: its segments with their first entries. `None` if there is none.
    pub(super) fn whole(&self, block: u64) -> io::Result<Option<Vec<Segment>>> {
        let Some(part) = self.bucket.get(&name(block), None)? else { return Ok(None) };
        let places = decode(&part.bytes).ok_or_else(|| no_table(block))?;
        let segment = |place: &Place| {
            let end = place.offset.checked_add(place.length)?;
            Some((place.first, part.bytes.get(narrow(place.offset)..narrow(end))?.to_vec()))
        };
        places.iter().map(|place| segment(place).ok_or_else(|| no_table(block))).collect::<io::Result<_>>().map(Some)
    }

    fn read_table(&self, block: u64) -> io::Result<Option<Arc<[Place]>>> {
        let Some(part) = self.bucket.get(&name(block), Some(0..TABLE_BYTES_MAX))? else { return Ok(None) };
        match decode(&part.bytes) {
            Some(places) => Ok(Some(places.into())),
            None => Err(no_table(block)),
        }
    }

    /// Puts the segments of every block that a log of `size` entries has filled together, beginning with the oldest that
    /// lie about; returns how many blocks were made.
    ///
    /// # Errors
    /// If the bucket failed. What was done is done, and the rest is done by the next call.
    pub(crate) fn fill(&self, size: u64) -> io::Result<u64> {
        let (mut made, mut after) = (0_u64, None::<String>);
        loop {
            let next = self.bucket.list(segment::FOLDER, after.as_deref(), 1)?;
            let Some(first) = next.first().and_then(|name| name.parse::<u64>().ok()) else { return Ok(made) };
            let block = first / BLOCK_ENTRIES;
            let end = block.saturating_add(1).saturating_mul(BLOCK_ENTRIES);
            if end > size {
                return Ok(made);
            }
            if self.fill_one(block)? {
                made = made.saturating_add(1);
            }
            after = Some(segment::name_in_folder(end.saturating_sub(1)));
        }
    }

    /// Writes a whole block, over any that lies there: of a copy that no head tells of yet.
    pub(crate) fn write(&self, block: u64, segments: &[Segment]) -> io::Result<()> {
        self.bucket.put(&name(block), &encode(segments), &When::Always).map(|_| ())
    }

    /// Changes a segment in place, which `change` does to its bytes, and tells whether it did; returns the name of the object
    /// that was written. Nobody may put segments together meanwhile.
    ///
    /// # Errors
    /// If the bucket failed, or others wrote to the object again and again; the inner one is that of `change`.
    pub(crate) fn change<E>(
        &self,
        first: u64,
        change: impl Fn(&mut [u8]) -> Result<bool, E>,
    ) -> io::Result<Result<Option<String>, E>> {
        for _ in 0..TRIES {
            let place = self.read_table(first / BLOCK_ENTRIES)?;
            let place = place.and_then(|table| table.iter().find(|place| place.first == first).copied());
            let object = place.map_or_else(|| segment::name(first), |_| name(first / BLOCK_ENTRIES));
            let gone = || io::Error::new(io::ErrorKind::NotFound, format!("{object} is gone"));
            let Part { mut bytes, version, .. } = self.bucket.get(&object, None)?.ok_or_else(gone)?;
            let range = place.map_or(0..bytes.len(), |place| {
                narrow(place.offset)..narrow(place.offset.saturating_add(place.length))
            });
            let is_changed = match change(bytes.get_mut(range).ok_or_else(gone)?) {
                Ok(is_changed) => is_changed,
                Err(error) => return Ok(Err(error)),
            };
            // Crash here, or an answer that is lost: it is written or not, and looked at again either way.
            if is_changed && self.bucket.put(&object, &bytes, &When::Is(version))? == Put::Refused {
                continue;
            }
            return Ok(Ok(is_changed.then_some(object)));
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "others write to it again and again"))
    }

    fn fill_one(&self, block: u64) -> io::Result<bool> {
        let first = block.saturating_mul(BLOCK_ENTRIES);
        let after = first.checked_sub(1).map(segment::name_in_folder);
        let names = self.bucket.list(segment::FOLDER, after.as_deref(), narrow(BLOCK_ENTRIES))?;
        let within = |first: &u64| *first / BLOCK_ENTRIES == block;
        let firsts: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).filter(within).collect();
        let mut segments = Vec::new();
        // One that was made before, by whoever was stopped before the segments were removed, or by another at the same time.
        let made = self.read_table(block)?;
        if made.is_none() {
            let mut bytes = 0_u64;
            for first in &firsts {
                let Some(part) = self.bucket.get(&segment::name(*first), None)? else { return Ok(false) };
                bytes = bytes.saturating_add(part.length);
                if bytes > BLOCK_BYTES_MAX {
                    return Ok(false);
                }
                segments.push((*first, part.bytes));
            }
            self.bucket.put(&name(block), &encode(&segments), &When::Absent)?;
        }
        // Only what the block has, as it was read again, is removed.
        let Some(table) = self.read_table(block)? else { return Ok(false) };
        for first in firsts.iter().filter(|first| table.iter().any(|place| place.first == **first)) {
            self.bucket.remove(&segment::name(*first))?;
        }
        Ok(made.is_none())
    }
}

fn no_table(block: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, DamagedBlock(name(block)))
}

fn name(block: u64) -> String {
    format!("{FOLDER}/{block:016}")
}

fn encode(segments: &[Segment]) -> Vec<u8> {
    let mut table = wide(segments.len()).to_le_bytes().to_vec();
    let begin = wide(MAGIC.len()).saturating_add(32).saturating_add(8);
    let mut offset = begin.saturating_add(wide(segments.len()).saturating_mul(24));
    for (first, bytes) in segments {
        for number in [*first, offset, wide(bytes.len())] {
            table.extend(number.to_le_bytes());
        }
        offset = offset.saturating_add(wide(bytes.len()));
    }
    let mut block = [MAGIC, blake3::hash(&table).as_bytes(), &table].concat();
    segments.iter().for_each(|(_, bytes)| block.extend(bytes));
    block
}

fn decode(bytes: &[u8]) -> Option<Vec<Place>> {
    let (sum, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
    let (count, places) = rest.split_first_chunk::<8>()?;
    let count = u64::from_le_bytes(*count);
    let length = usize::try_from(count).ok().filter(|count| *count <= narrow(BLOCK_ENTRIES))?.checked_mul(24)?;
    let table = rest.get(..length.checked_add(8)?)?;
    if blake3::hash(table).as_bytes() != sum {
        return None;
    }
    let (numbers, _) = places.get(..length)?.as_chunks::<8>();
    let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    let mut found = Vec::new();
    while let (Some(first), Some(offset), Some(length)) = (numbers.next(), numbers.next(), numbers.next()) {
        found.push(Place { first, offset, length });
    }
    Some(found)
}
