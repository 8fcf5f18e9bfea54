//! Snapshots: the catalogue of a log up to some size in one compact file, so that opening reads
//! neither every segment nor all of the snapshot.
//!
//! `snapshots/catalogue` is a head and blocks. A block holds whole records of one column, the last of a column
//! what is left of them; the head has the checksum of every block, and its own. A block is read and checked when it is first
//! asked for. A snapshot that is missing, broken, of another version or of another log is no fault:
//! the segments are read instead, and it is written again. A block that turns out damaged later
//! gives zeros and marks the snapshot as damaged: whoever asked throws the answer away and the
//! snapshot with it (`Inner::ask`).

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use griptrace_core::{
    digest::Digest,
    id::GenesisHash,
    tree::{Frontier, Rfc9162, TreeSize},
};

use crate::{
    disk::DiskFile,
    error::StorageError,
    number::{narrow, wide},
    objects::Objects,
};

pub(crate) const NAME: &str = "snapshots/catalogue";
/// Bytes of a block: what one question reads at least, against the size of the list of checksums.
const BLOCK_BYTES: usize = 32 << 10;
const SUM_BYTES: usize = 16;

/// A column: records of one fixed size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    /// The ids of the nodes, by number.
    Id,
    /// Where each node is.
    Node,
    /// Where each edge leads.
    EdgeTo,
    /// Its role.
    EdgeRole,
    /// For each node the first of the edges that lead to it; one more at the end.
    IncomingFirst,
    /// For each edge, by where it leads: where it comes from.
    IncomingFrom,
    /// Its role.
    IncomingRole,
    /// The nodes, sorted by id.
    ById,
    /// The commits, in log order.
    Commit,
    /// The status heads, in log order.
    Head,
    /// The lines of the status map, in log order.
    Line,
    /// The leaf indices of key changes.
    Change,
    /// The assessments, in log order.
    Assessment,
    /// Their subjects.
    Subject,
}

const COLUMNS: [Column; 14] = [
    Column::Id,
    Column::Node,
    Column::EdgeTo,
    Column::EdgeRole,
    Column::IncomingFirst,
    Column::IncomingFrom,
    Column::IncomingRole,
    Column::ById,
    Column::Commit,
    Column::Head,
    Column::Line,
    Column::Change,
    Column::Assessment,
    Column::Subject,
];

impl Column {
    /// Returns the bytes of a record.
    const fn width(self) -> usize {
        match self {
            Self::Id | Self::Subject => 32,
            Self::Node => 20,
            Self::EdgeTo | Self::IncomingFirst | Self::IncomingFrom => 4,
            Self::EdgeRole | Self::IncomingRole => 1,
            Self::ById | Self::Change => 8,
            Self::Commit | Self::Assessment => 40,
            Self::Head => 28,
            Self::Line => 72,
        }
    }

    /// Returns how many records a block holds, but for the last.
    const fn in_block(self) -> usize {
        BLOCK_BYTES / self.width()
    }

    const fn place(self) -> usize {
        match self {
            Self::Id => 0,
            Self::Node => 1,
            Self::EdgeTo => 2,
            Self::EdgeRole => 3,
            Self::IncomingFirst => 4,
            Self::IncomingFrom => 5,
            Self::IncomingRole => 6,
            Self::ById => 7,
            Self::Commit => 8,
            Self::Head => 9,
            Self::Line => 10,
            Self::Change => 11,
            Self::Assessment => 12,
            Self::Subject => 13,
        }
    }
}

/// Where a log stands: what a snapshot leads to, and what is read on from.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) frontier: Frontier<Rfc9162>,
    /// The segment of the last group.
    pub(crate) segment: u64,
    /// Where that group ends in it.
    pub(crate) end: u64,
}

/// A snapshot, open.
#[derive(Debug)]
pub(crate) struct Snapshot {
    file: Arc<dyn DiskFile>,
    /// The checksum of the head, which has those of the blocks.
    pub(crate) sum: [u8; 32],
    pub(crate) reached: Reached,
    counts: [u64; COLUMNS.len()],
    layout: Layout,
    /// Where the blocks begin in the file.
    begin: u64,
    sums: Vec<[u8; SUM_BYTES]>,
    blocks: Vec<OnceLock<Box<[u8]>>>,
    damaged: AtomicBool,
}

impl Snapshot {
    pub(crate) const MAGIC: &[u8] = b"griptrace snapshot v4";
    /// What every version begins with.
    const MAGIC_OF_ANY: &[u8] = b"griptrace snapshot v";

    /// Opens the snapshot, if there is one that can be read and believed: whatever is wrong with it,
    /// the segments have the same.
    pub(crate) fn open(objects: &Objects, home: &GenesisHash) -> Option<Self> {
        let (head, file) = Self::head(objects)?;
        Self::parse(&head, wide(head.len()).saturating_add(8), file, home)
    }

    /// Tells whether another version wrote it: then it is whole, but says nothing here.
    pub(crate) fn is_of_another_version(objects: &Objects) -> bool {
        let head = Self::head(objects);
        let body = head.as_ref().and_then(|(head, _)| checked(head));
        body.is_some_and(|body| body.starts_with(Self::MAGIC_OF_ANY) && !body.starts_with(Self::MAGIC))
    }

    fn head(objects: &Objects) -> Option<(Vec<u8>, Arc<dyn DiskFile>)> {
        let file = objects.open(NAME).ok()??;
        let lead = objects.read_part(NAME, &*file, 0, 8).ok()?;
        let length = u64::from_le_bytes(lead.try_into().ok()?);
        let head = objects.read_part(NAME, &*file, 8, length).ok()?;
        (wide(head.len()) == length).then_some((head, file))
    }

    /// Reads the head: its checksum and all that follows. The blocks begin at `begin` of the file.
    pub(crate) fn parse(head: &[u8], begin: u64, file: Arc<dyn DiskFile>, home: &GenesisHash) -> Option<Self> {
        let mut rest = checked(head)?.strip_prefix(Self::MAGIC)?.strip_prefix(home.as_bytes().as_slice())?;
        let mut number = || {
            let (number, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            Some(u64::from_le_bytes(*number))
        };
        let (size, segment, end) = (number()?, number()?, number()?);
        let mut counts = [0; COLUMNS.len()];
        for count in &mut counts {
            *count = number()?;
        }
        let frontier = narrow(number()?);
        let (nodes, sums) = rest.split_at_checked(frontier.checked_mul(32)?)?;
        let nodes = nodes.as_chunks::<32>().0.iter().map(|bytes| Digest::from_bytes(*bytes)).collect();
        let frontier = Frontier::from_parts(Rfc9162, TreeSize::new(size), nodes).ok()?;
        let (sums, odd) = sums.as_chunks::<SUM_BYTES>();
        let layout = Layout::of(&counts)?;
        let blocks = layout.blocks;
        if !odd.is_empty() || sums.len() != blocks {
            return None;
        }
        Some(Self {
            file,
            sum: *head.first_chunk()?,
            reached: Reached { frontier, segment, end },
            counts,
            layout,
            begin,
            sums: sums.to_vec(),
            blocks: (0..blocks).map(|_| OnceLock::new()).collect(),
            damaged: AtomicBool::new(false),
        })
    }

    /// Returns how many records a column has.
    pub(crate) const fn count(&self, column: Column) -> u64 {
        self.counts[column.place()]
    }

    /// Returns a record; zeros where there is none, or where its block is damaged.
    pub(crate) fn record<const N: usize>(&self, column: Column, at: u64) -> [u8; N] {
        debug_assert_eq!(N, column.width(), "a record has the width of its column");
        let inside = narrow(at % wide(column.in_block())).saturating_mul(N);
        let found =
            self.block(column, narrow(at / wide(column.in_block()))).and_then(|b| b.get(inside..)?.first_chunk::<N>());
        let Some(record) = found else {
            self.damaged.store(true, Ordering::Relaxed);
            return [0; N];
        };
        *record
    }

    /// Tells whether any answer since opening rests on a damaged block.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Notes that what was read makes no sense.
    pub(crate) fn distrust(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Reads every block; returns the first that is damaged.
    pub(crate) fn first_damaged(&self) -> Option<usize> {
        let blocks = COLUMNS.iter().flat_map(|column| (0..self.blocks_of(*column)).map(move |at| (*column, at)));
        blocks.enumerate().find(|(_, (column, at))| self.block(*column, *at).is_none()).map(|(place, _)| place)
    }

    fn blocks_of(&self, column: Column) -> usize {
        narrow(self.count(column)).div_ceil(column.in_block())
    }

    fn block(&self, column: Column, at: usize) -> Option<&[u8]> {
        if at >= self.blocks_of(column) {
            return None;
        }
        let (first, begin) = self.layout.columns.get(column.place())?;
        let place = first.saturating_add(at);
        let cell = self.blocks.get(place)?;
        if let Some(block) = cell.get() {
            return Some(block);
        }
        let before = at.saturating_mul(column.in_block());
        let records = narrow(self.count(column)).saturating_sub(before).min(column.in_block());
        let mut bytes = vec![0; records.saturating_mul(column.width())];
        let offset = begin.saturating_add(wide(before.saturating_mul(column.width())));
        let read = self.file.read_at(&mut bytes, self.begin.saturating_add(offset)).ok()?;
        if read != bytes.len() || &sum(&bytes) != self.sums.get(place)? {
            return None;
        }
        Some(cell.get_or_init(|| bytes.into_boxed_slice()))
    }
}

/// Returns what stands behind the checksum of a head, if that is right.
fn checked(head: &[u8]) -> Option<&[u8]> {
    let (sum, body) = head.split_first_chunk::<32>()?;
    (blake3::hash(body).as_bytes() == sum).then_some(body)
}

fn sum(block: &[u8]) -> [u8; SUM_BYTES] {
    let mut half = [0; SUM_BYTES];
    half.copy_from_slice(&blake3::hash(block).as_bytes()[..SUM_BYTES]);
    half
}

/// Where the columns are: one behind the other.
#[derive(Clone, Debug)]
struct Layout {
    /// The first block of each column, and where it begins behind the head.
    columns: [(usize, u64); COLUMNS.len()],
    blocks: usize,
}

impl Layout {
    fn of(counts: &[u64; COLUMNS.len()]) -> Option<Self> {
        let mut layout = Self { columns: [(0, 0); COLUMNS.len()], blocks: 0 };
        let mut begin: u64 = 0;
        for ((column, count), place) in COLUMNS.iter().zip(counts).zip(&mut layout.columns) {
            *place = (layout.blocks, begin);
            layout.blocks = layout.blocks.checked_add(usize::try_from(*count).ok()?.div_ceil(column.in_block()))?;
            begin = begin.checked_add(count.checked_mul(wide(column.width()))?)?;
        }
        Some(layout)
    }
}

/// Writes a snapshot: the columns in their order, each from its first record to its last.
#[derive(Debug)]
pub(crate) struct SnapshotWriter<'a> {
    objects: &'a Objects,
    temporary: String,
    file: Arc<dyn DiskFile>,
    head: Vec<u8>,
    /// Where the next block goes.
    next: u64,
    counts: [u64; COLUMNS.len()],
    block: Vec<u8>,
    sums: Vec<u8>,
    is_finished: bool,
}

impl Drop for SnapshotWriter<'_> {
    /// Gives back the room of a snapshot that came to nothing.
    fn drop(&mut self) {
        if !self.is_finished {
            drop(self.file.set_length(0));
        }
    }
}

impl<'a> SnapshotWriter<'a> {
    /// Begins a snapshot with so many records in each column.
    pub(crate) fn begin(
        objects: &'a Objects,
        home: &GenesisHash,
        reached: &Reached,
        counts: &[(Column, u64)],
    ) -> Result<Self, StorageError> {
        let mut by_place = [0; COLUMNS.len()];
        for (column, count) in counts {
            by_place[column.place()] = *count;
        }
        let mut head = [Snapshot::MAGIC, home.as_bytes()].concat();
        let nodes = reached.frontier.nodes();
        let numbers = [reached.frontier.size().get(), reached.segment, reached.end];
        for number in numbers.into_iter().chain(by_place).chain([wide(nodes.len())]) {
            head.extend(number.to_le_bytes());
        }
        nodes.iter().for_each(|node| head.extend(node.as_bytes()));
        let blocks = Layout::of(&by_place).map_or(0, |layout| layout.blocks);
        let length = wide(head.len()).saturating_add(32).saturating_add(wide(blocks.saturating_mul(SUM_BYTES)));
        let (temporary, file) = objects.begin()?;
        Ok(Self {
            objects,
            temporary,
            file,
            head,
            next: length.saturating_add(8),
            counts: by_place,
            block: Vec::with_capacity(BLOCK_BYTES),
            sums: Vec::new(),
            is_finished: false,
        })
    }

    /// Writes a column.
    pub(crate) fn column<const N: usize>(
        &mut self,
        column: Column,
        records: impl Iterator<Item = [u8; N]>,
    ) -> Result<(), StorageError> {
        debug_assert_eq!(N, column.width(), "a record has the width of its column");
        let mut written: u64 = 0;
        for record in records {
            self.block.extend(record);
            written = written.saturating_add(1);
            if self.block.len().saturating_add(N) > BLOCK_BYTES {
                self.flush()?;
            }
        }
        if written != self.counts[column.place()] {
            return Err(StorageError::corrupt(NAME, "a new one is not as long as it said"));
        }
        if self.block.is_empty() { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.file.write_at(&self.block, self.next).map_err(self.objects.failed("write", &self.temporary))?;
        self.next = self.next.saturating_add(wide(self.block.len()));
        self.sums.extend(sum(&self.block));
        self.block.clear();
        Ok(())
    }

    /// Writes the head, and puts the snapshot in the old one's place.
    pub(crate) fn finish(mut self) -> Result<(), StorageError> {
        self.head.extend(&self.sums);
        let sum = blake3::hash(&self.head);
        let length = wide(self.head.len()).saturating_add(32);
        let bytes = [&length.to_le_bytes(), sum.as_bytes().as_slice(), &self.head].concat();
        self.file.write_at(&bytes, 0).map_err(self.objects.failed("write", &self.temporary))?;
        self.objects.finish(&self.temporary, &*self.file, NAME)?;
        self.is_finished = true;
        Ok(())
    }
}

/// Returns where the blocks of a whole snapshot are in its bytes.
#[cfg(test)]
pub(crate) fn blocks_of(file: &[u8]) -> Vec<core::ops::Range<usize>> {
    let number = |at: usize| u64::from_le_bytes(file[at..][..8].try_into().unwrap());
    let counts = 8 + 32 + Snapshot::MAGIC.len() + 32 + 24;
    let mut begin = 8 + narrow(number(0));
    let mut blocks = Vec::new();
    for column in COLUMNS {
        let end = begin + narrow(number(counts + column.place() * 8)) * column.width();
        let step = column.in_block() * column.width();
        blocks.extend((begin..end).step_by(step).map(|at| at..end.min(at + step)));
        begin = end;
    }
    assert_eq!(begin, file.len());
    blocks
}
