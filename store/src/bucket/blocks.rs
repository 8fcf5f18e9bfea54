//! Blocks: small segments put together, once the 256 entries that they begin with are all there.
//!
//! In a bucket every group is an object of its own, so that it can be written once and never again. A
//! reader of a long log would ask for each of them. Block `b` holds, whole and unchanged, the segments
//! whose first entry is one of 256 b to 256 b + 255, behind a table of them; the segments themselves
//! go once it stands. Which block a segment is in follows from its name, and whoever makes a block
//! makes the same bytes, so that nobody has to agree on anything.
//!
//! A segment that goes is the only copy: what was read of it is checked before it is put into a block, and all of the block is
//! read again before it goes.

use core::{
    error::Error,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Bucket, Part, Put, When,
    ahead::at_once,
    disk::{Object, all},
};
use griptrace_core::id::GenesisHash;

use crate::{
    error::StorageError,
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
/// Tables that are asked for at once.
const TABLES_AT_ONCE: usize = 16;
/// Names that are listed at once.
const LIST_MAX: usize = 1000;
/// How many calls pass at most before what failed again and again is tried once more.
const REST_MAX: u32 = 128;
/// After how many calls all of the log is looked at again: a writer that had lost its turn may have put a segment beside a block
/// that was made long ago. A server calls every five seconds.
pub(crate) const LOOK_AGAIN_AFTER: u32 = if cfg!(test) { 16 } else { 720 };

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
    filled: Mutex<Filled>,
}

/// How far segments were put together here.
#[derive(Debug, Default)]
struct Filled {
    /// The first block of which that is still to be done: those before it are made, or too long to be.
    from: u64,
    /// Blocks that are too long.
    too_long: BTreeSet<u64>,
    /// How many calls came since all of the log was looked at.
    calls: u32,
    /// How often it failed in a row, and how many calls are still to pass before it is tried again.
    failures: u32,
    rest: u32,
}

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It was made, and its segments removed.
    Made,
    /// It was there, and its segments are removed.
    Was,
    /// It would be too long.
    TooLong,
    /// The work was ended before, or another process is at it too.
    Ended,
}

/// A block that can't be made, or not be read, and why.
pub(crate) type DamagedAt = (u64, io::Error);

impl Blocks {
    /// Looks at the blocks of a bucket.
    pub(crate) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self { bucket, tables: Mutex::default(), size: AtomicU64::new(0), filled: Mutex::default() }
    }

    /// Takes note that the log has this many entries: below them blocks may stand.
    pub(crate) fn know(&self, size: u64) {
        self.size.fetch_max(size, Ordering::Relaxed);
    }

    /// Tells whether the block of a segment may stand. If so it counts, and not what lies under the
    /// segment's own name: a writer that was stopped for an hour may put something there that is in no log.
    pub(super) fn may_stand(&self, first: u64) -> bool {
        end_of(block_at(first)) <= self.size.load(Ordering::Relaxed)
    }

    /// Opens a segment that is in a block; `None` if it is in none.
    pub(super) fn open(&self, first: u64) -> io::Result<Option<Object>> {
        if let Some(inside) = self.open_known(first) {
            return Ok(Some(inside));
        }
        let block = block_at(first);
        let Some(table) = self.read_table(block)? else { return Ok(None) };
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= TABLES_MAX {
            tables.clear();
        }
        tables.insert(block, table);
        drop(tables);
        Ok(self.open_known(first))
    }

    /// Forgets the tables of the blocks of this entry and behind it, so that they are read anew.
    pub(crate) fn forget(&self, from: u64) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|block, _| *block < block_at(from));
    }

    /// Forgets the table of the block of this entry.
    pub(crate) fn forget_one(&self, first: u64) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).remove(&block_at(first));
    }

    /// Returns the object that a segment is in, if that is a block, also one that is gone: then none of its segments lies about.
    pub(crate) fn name_of(&self, first: u64) -> Option<String> {
        if !self.may_stand(first) {
            return None;
        }
        let block = block_at(first);
        let is_in_it = self.open(first).ok()?.is_some() || self.is_gone(block).ok()?;
        is_in_it.then(|| name(block))
    }

    fn is_gone(&self, block: u64) -> io::Result<bool> {
        Ok(self.bucket.get(&name(block), Some(0..1))?.is_none() && self.singles(block)?.is_empty())
    }

    /// Opens a segment that is in a block whose table is kept.
    fn open_known(&self, first: u64) -> Option<Object> {
        let block = block_at(first);
        let table = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(&block).cloned();
        let place = table.and_then(|table| table.iter().find(|place| place.first == first).copied());
        place.map(|place| Object::part(Arc::clone(&self.bucket), &name(block), place.offset, place.length))
    }

    /// Tells whether there is any block.
    pub(crate) fn is_any(&self) -> io::Result<bool> {
        Ok(!self.bucket.list(FOLDER, None, 1)?.is_empty())
    }

    /// Returns the names of all segments that are in blocks, without their folder.
    pub(super) fn segments(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let blocks: Vec<u64> = all(&*self.bucket, FOLDER)?.iter().filter_map(|name| block_of(name)).collect();
        for table in
            blocks.chunks(TABLES_AT_ONCE).flat_map(|some| at_once(&*self.bucket, some, |at| self.read_table(*at)))
        {
            let table = table?.unwrap_or_default();
            names.extend(table.iter().map(|place| segment::name_in_folder(place.first)));
        }
        Ok(names)
    }

    /// Reads a block whole: its segments with their first entries. `None` if there is none.
    pub(super) fn whole(&self, block: u64) -> io::Result<Option<Vec<Segment>>> {
        self.bytes(block)?.map(|bytes| take_apart(block, &bytes)).transpose()
    }

    fn bytes(&self, block: u64) -> io::Result<Option<Vec<u8>>> {
        // None is longer that was made here.
        let end = BLOCK_BYTES_MAX.saturating_add(TABLE_BYTES_MAX);
        let Some(part) = self.bucket.get(&name(block), Some(0..end))? else { return Ok(None) };
        if part.length > end { Err(no_table(block)) } else { Ok(Some(part.bytes)) }
    }

    fn read_table(&self, block: u64) -> io::Result<Option<Arc<[Place]>>> {
        let Some(part) = self.bucket.get(&name(block), Some(0..TABLE_BYTES_MAX))? else { return Ok(None) };
        match decode(&part.bytes, part.length) {
            Some(places) => Ok(Some(places.into())),
            None => Err(no_table(block)),
        }
    }

    /// Puts the segments of every block that a log of `size` entries has filled together, beginning with the oldest that
    /// lie about, as long as `goes_on` says so; returns how many blocks were made. What fails again and again is tried ever
    /// more seldom.
    ///
    /// # Errors
    /// If the bucket failed, or a block or what is to be in it is damaged: that is left as it is. What was done is done, and
    /// the rest is done by the next call.
    pub(crate) fn fill(&self, home: &GenesisHash, size: u64, goes_on: &dyn Fn() -> bool) -> io::Result<u64> {
        let mut filled = self.filled();
        if filled.rest > 0 {
            filled.rest = filled.rest.saturating_sub(1);
            return Ok(0);
        }
        filled.calls = filled.calls.saturating_add(1);
        if filled.calls >= LOOK_AGAIN_AFTER {
            (filled.calls, filled.from) = (0, 0);
        }
        let done = self.fill_some(&mut filled, home, size, goes_on).and_then(|(made, damaged)| {
            let damaged = damaged.into_iter().next();
            damaged.map_or(Ok(made), |(_, error)| Err(error))
        });
        filled.failures = if done.is_ok() { 0 } else { filled.failures.saturating_add(1) };
        // The first time it is tried again at once.
        filled.rest = 1_u32.checked_shl(filled.failures).map_or(REST_MAX, |rest| rest.min(REST_MAX)).saturating_sub(2);
        done
    }

    /// Does the same with all of them at once, whatever was known of them. From then on a block stands wherever one may ever stand,
    /// and nothing lies beside it, but where something is damaged: these are returned.
    ///
    /// # Errors
    /// If the bucket failed, or others are at the same block again and again.
    pub(crate) fn fill_now(&self, home: &GenesisHash, size: u64) -> io::Result<Vec<DamagedAt>> {
        let mut filled = self.filled();
        filled.from = 0;
        Ok(self.fill_some(&mut filled, home, size, &|| true)?.1)
    }

    /// Removes what lies beside the block of an entry, if that stands.
    ///
    /// # Errors
    /// If the bucket failed, or the block is damaged.
    pub(crate) fn clear(&self, home: &GenesisHash, entry: u64) -> io::Result<()> {
        let block = block_at(entry);
        if self.bucket.get(&name(block), Some(0..1))?.is_some() {
            self.fill_one(home, block, &|| true)?;
        }
        Ok(())
    }

    /// Returns the names of segments that lie beside their block and are not what is in it. Who makes a block leaves the same bytes
    /// beside it for a while; others are of a writer that had lost its turn. Beside a damaged block none are known.
    ///
    /// # Errors
    /// If the bucket failed.
    pub(crate) fn strays(&self) -> io::Result<Vec<String>> {
        let blocks: Vec<u64> = all(&*self.bucket, FOLDER)?.iter().filter_map(|name| block_of(name)).collect();
        let firsts = all(&*self.bucket, segment::FOLDER)?;
        let firsts: BTreeSet<u64> = firsts.iter().filter_map(|name| segment::first_in_folder(name)).collect();
        let mut strays = Vec::new();
        for block in blocks {
            let beside: Vec<u64> = firsts.range(begin_of(block)..end_of(block)).copied().collect();
            if beside.is_empty() {
                continue;
            }
            let inside = match self.whole(block) {
                Ok(inside) => inside.unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                Err(error) => return Err(error),
            };
            // After the block: one that an erasure overwrites lies beside nothing.
            for (first, bytes) in inside.iter().filter(|(first, _)| beside.contains(first)) {
                let name = segment::name(*first);
                let there = self.bucket.get(&name, Some(0..wide(bytes.len()).saturating_add(1)))?;
                if there.is_some_and(|there| there.bytes != *bytes) {
                    strays.push(name);
                }
            }
        }
        Ok(strays)
    }

    fn filled(&self) -> MutexGuard<'_, Filled> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many blocks were made, and what is damaged.
    fn fill_some(
        &self,
        filled: &mut Filled,
        home: &GenesisHash,
        size: u64,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<(u64, Vec<DamagedAt>)> {
        let (mut made, mut damaged) = (0_u64, Vec::new());
        let mut from = filled.from;
        while let Some(first) = self.oldest(from)? {
            let block = block_at(first);
            if end_of(block) > size || !goes_on() {
                break;
            }
            if damaged.is_empty() && filled.from == from {
                // Nothing lies about before it.
                filled.from = block;
            }
            from = block.saturating_add(1);
            let known = filled.too_long.contains(&block).then_some(Outcome::TooLong);
            let outcome = match known.map_or_else(|| self.fill_block(home, block, goes_on), Ok) {
                Ok(Outcome::Ended) => break,
                Ok(outcome) => outcome,
                // The others have nothing to do with it.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    damaged.push((block, error));
                    continue;
                }
                Err(error) => return Err(error),
            };
            made = made.saturating_add(u64::from(outcome == Outcome::Made));
            if outcome == Outcome::TooLong {
                filled.too_long.insert(block);
            }
            if filled.from == block {
                filled.from = from;
            }
        }
        Ok((made, damaged))
    }

    /// Fills a block, unless it is to go on no more. Where another process makes it at the same time, segments go under one's
    /// hands: then it is there when it is looked for again.
    fn fill_block(&self, home: &GenesisHash, block: u64, goes_on: &dyn Fn() -> bool) -> io::Result<Outcome> {
        for _ in 0..TRIES {
            let outcome = self.fill_one(home, block, goes_on)?;
            if outcome != Outcome::Ended || !goes_on() {
                return Ok(outcome);
            }
        }
        let why = format!("others take its segments away again and again, and {} is not there", name(block));
        Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
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
            let place = self.read_table(block_at(first))?;
            let place = place.and_then(|table| table.iter().find(|place| place.first == first).copied());
            let object = place.map_or_else(|| segment::name(first), |_| name(block_at(first)));
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

    /// Returns the first segment that lies about in this block or behind it.
    fn oldest(&self, block: u64) -> io::Result<Option<u64>> {
        let mut after = before(block);
        loop {
            let names = self.bucket.list(segment::FOLDER, after.as_deref(), LIST_MAX)?;
            if let Some(first) = names.iter().find_map(|name| segment::first_in_folder(name)) {
                return Ok(Some(first));
            }
            if names.len() < LIST_MAX {
                return Ok(None);
            }
            after = names.last().cloned();
        }
    }

    /// Returns the segments of a block that lie about.
    fn singles(&self, block: u64) -> io::Result<Vec<u64>> {
        let (mut after, mut found) = (before(block), Vec::new());
        let end = segment::name_in_folder(end_of(block));
        loop {
            let names = self.bucket.list(segment::FOLDER, after.as_deref(), LIST_MAX)?;
            let within = names.iter().take_while(|name| **name < end);
            found.extend(within.filter_map(|name| segment::first_in_folder(name)));
            if names.len() < LIST_MAX || names.last().is_none_or(|name| *name >= end) {
                return Ok(found);
            }
            after = names.last().cloned();
        }
    }

    fn fill_one(&self, home: &GenesisHash, block: u64, goes_on: &dyn Fn() -> bool) -> io::Result<Outcome> {
        let firsts = self.singles(block)?;
        // One that was made before, by whoever was stopped before the segments were removed, or by another at the same time.
        let was_made = self.bucket.get(&name(block), Some(0..1))?.is_some();
        let mut expected = None;
        if !was_made {
            let segments = match self.gather(home, block, &firsts, goes_on)? {
                Ok(segments) => segments,
                Err(outcome) => return Ok(outcome),
            };
            let bytes = encode(&segments);
            self.bucket.put(&name(block), &bytes, &When::Absent)?;
            expected = Some(blake3::hash(&bytes));
        }
        // Only what the block has, all of which was read again, is removed.
        let Some(bytes) = self.bytes(block)? else { return Ok(Outcome::Ended) };
        let segments = take_apart(block, &bytes)?;
        if expected.is_none_or(|expected| expected != blake3::hash(&bytes)) {
            check_run(home, block, &segments)?;
        }
        let is_in_it = |first: &&u64| segments.iter().any(|(there, _)| there == *first);
        // Crash here, or an end: the rest is removed when the oldest that lie about are looked for again.
        for first in firsts.iter().filter(is_in_it) {
            if !goes_on() {
                return Ok(Outcome::Ended);
            }
            self.bucket.remove(&segment::name(*first))?;
        }
        Ok(if was_made { Outcome::Was } else { Outcome::Made })
    }

    /// Reads the segments that are to be a block, and checks them; without all of them there is none.
    fn gather(
        &self,
        home: &GenesisHash,
        block: u64,
        firsts: &[u64],
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<Result<Vec<Segment>, Outcome>> {
        let mut segments = Vec::new();
        let mut room = BLOCK_BYTES_MAX;
        for first in firsts {
            if !goes_on() {
                return Ok(Err(Outcome::Ended));
            }
            let part = self.bucket.get(&segment::name(*first), Some(0..room.saturating_add(1)))?;
            let Some(part) = part else { return Ok(Err(Outcome::Ended)) };
            let Some(rest) = room.checked_sub(part.length) else { return Ok(Err(Outcome::TooLong)) };
            room = rest;
            segments.push((*first, part.bytes));
        }
        check_run(home, block, &segments)?;
        Ok(Ok(segments))
    }
}

/// Checks that these are the segments of a block: each is whole, and they follow one another to its end. The first may begin
/// late, behind a group that began before the block.
fn check_run(home: &GenesisHash, block: u64, segments: &[Segment]) -> io::Result<()> {
    let damaged = |why: StorageError| match why {
        StorageError::Corrupt { object, why } => io::Error::new(io::ErrorKind::InvalidData, format!("{object}: {why}")),
        other @ (StorageError::Io { .. } | StorageError::Fenced { .. }) => io::Error::other(other.to_string()),
    };
    let mut next = None;
    for (first, bytes) in segments {
        if next.is_some_and(|next| next != *first) {
            return Err(gap(block));
        }
        next = Some(segment::check_whole(home, *first, bytes).map_err(damaged)?);
    }
    if next.is_some_and(|next| next >= end_of(block)) { Ok(()) } else { Err(gap(block)) }
}

fn gap(block: u64) -> io::Error {
    let why = format!("the segments for {} do not follow one another to its end", name(block));
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Returns the block that the segment belongs into which begins with an entry.
pub(crate) fn block_at(entry: u64) -> u64 {
    entry / BLOCK_ENTRIES
}

/// Returns the first entry of a block.
fn begin_of(block: u64) -> u64 {
    block.saturating_mul(BLOCK_ENTRIES)
}

/// Returns the first entry behind a block.
fn end_of(block: u64) -> u64 {
    begin_of(block.saturating_add(1))
}

/// Returns the name that comes before all segments of a block.
fn before(block: u64) -> Option<String> {
    begin_of(block).checked_sub(1).map(segment::name_in_folder)
}

fn take_apart(block: u64, bytes: &[u8]) -> io::Result<Vec<Segment>> {
    let places = decode(bytes, wide(bytes.len())).ok_or_else(|| no_table(block))?;
    let segment = |place: &Place| {
        let end = place.offset.checked_add(place.length)?;
        Some((place.first, bytes.get(narrow(place.offset)..narrow(end))?.to_vec()))
    };
    places.iter().map(|place| segment(place).ok_or_else(|| no_table(block))).collect()
}

fn no_table(block: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, DamagedBlock(name(block)))
}

/// Returns the object of a block.
pub(crate) fn name(block: u64) -> String {
    format!("{FOLDER}/{block:016}")
}

/// Returns the block that is called so in its folder.
fn block_of(name: &str) -> Option<u64> {
    name.parse().ok().filter(|block| format!("{block:016}") == name)
}

/// Returns the bytes of a block of these segments.
pub(crate) fn encode(segments: &[Segment]) -> Vec<u8> {
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

/// Reads the table that a block of this length begins with: segments ascend, and lie one behind the other up to its end.
fn decode(bytes: &[u8], block_length: u64) -> Option<Vec<Place>> {
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
    let mut found = Vec::<Place>::new();
    let mut begin = wide(bytes.len().saturating_sub(places.len())).saturating_add(wide(length));
    while let (Some(first), Some(offset), Some(length)) = (numbers.next(), numbers.next(), numbers.next()) {
        if offset != begin || found.last().is_some_and(|last| last.first >= first) {
            return None;
        }
        begin = offset.checked_add(length)?;
        found.push(Place { first, offset, length });
    }
    (begin == block_length).then_some(found)
}
