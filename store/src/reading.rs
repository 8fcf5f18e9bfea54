//! Reading nodes and entries out of segments. What is read is hashed against its name before it is
//! believed.

use std::{
    io::{self, Read as _},
    sync::Arc,
};

use griptrace_core::{
    commit::Commit,
    id::NodeId,
    node::{Core, Kind, Role, node_id},
};

use crate::{
    catalogue::Catalogue,
    disk::DiskFile,
    error::StorageError,
    number::{narrow, wide},
    objects::Objects,
    placed::{Number, PlacedCommit},
    record::{ManifestRecord, NodeRecord, Remains, Secret},
    segment::{self, FRAME_HEAD_BYTES, FramePlace, Rest},
};

/// Bytes that are read at once, where several nodes are wanted.
const RUN_BYTES_MAX: u64 = 256 << 10;
/// Bytes between two nodes that are read with them rather than passed over.
const GAP_BYTES_MAX: u64 = 4 << 10;

/// What an Erasure has of the node that it erased.
#[derive(Debug)]
pub(crate) enum Left {
    /// All that is left.
    Here(Remains),
    /// A later Erasure took it over.
    Later(NodeId),
    /// Nothing: it was recorded by a version that erased nothing, and took nothing.
    Nothing,
}

/// Reads frames, keeping the last segment open.
#[derive(Debug)]
pub(crate) struct SegmentReader<'a> {
    objects: &'a Objects,
    open: Option<(u64, String, Arc<dyn DiskFile>)>,
}

impl<'a> SegmentReader<'a> {
    /// Begins with no segment open.
    pub(crate) const fn new(objects: &'a Objects) -> Self {
        Self { objects, open: None }
    }

    /// Takes the bytes of a whole segment, so that it is not opened.
    pub(crate) fn hold(&mut self, first: u64, bytes: Vec<u8>) {
        self.open = Some((first, segment::name(first), Arc::new(Held(bytes))));
    }

    /// Reads a node without manifest and subjects.
    pub(crate) fn core(&mut self, catalogue: &Catalogue, number: Number) -> Result<NodeRecord, StorageError> {
        self.read(catalogue, number, false)
    }

    /// Reads a node with everything.
    pub(crate) fn whole(&mut self, catalogue: &Catalogue, number: Number) -> Result<NodeRecord, StorageError> {
        let attached = catalogue.node(number).attached;
        self.read(catalogue, number, attached)
    }

    /// Reads nodes without manifest and subjects, ascending by number. Those that lie near each other are read at once.
    pub(crate) fn cores(&mut self, catalogue: &Catalogue, numbers: &[Number]) -> Result<Vec<NodeRecord>, StorageError> {
        let mut records = Vec::with_capacity(numbers.len());
        let placed = |number: &Number| (catalogue.commit_of(*number).segment, catalogue.node(*number).frame);
        let mut rest = numbers;
        while let Some((segment, first)) = rest.first().map(placed) {
            let mut end = first.end();
            let near = |number: &&Number| {
                let (other, frame) = placed(number);
                let is_near = other == segment
                    && frame.offset <= end.saturating_add(GAP_BYTES_MAX)
                    && frame.end().saturating_sub(first.offset) <= RUN_BYTES_MAX;
                if is_near {
                    end = end.max(frame.end());
                }
                is_near
            };
            let run = rest.iter().skip(1).take_while(near).count().saturating_add(1);
            let (some, others) = rest.split_at(run);
            let bytes = self.bytes(segment, first.offset, end.saturating_sub(first.offset))?;
            let name = segment::name(segment);
            for number in some {
                let offset = catalogue.node(*number).frame.offset;
                let bytes = bytes.get(narrow(offset.saturating_sub(first.offset))..).unwrap_or_default();
                let rest = self.believe(segment, check_node(&name, offset, bytes, false, catalogue.id(*number)))?;
                records.push(self.complete(catalogue, *number, rest)?);
            }
            rest = others;
        }
        Ok(records)
    }

    fn read(&mut self, catalogue: &Catalogue, number: Number, attached: bool) -> Result<NodeRecord, StorageError> {
        let rest = self.rest(catalogue, number, attached)?;
        self.complete(catalogue, number, rest)
    }

    /// Reads what stands of a node in its place.
    pub(crate) fn rest(&mut self, catalogue: &Catalogue, number: Number, attached: bool) -> Result<Rest, StorageError> {
        let node = catalogue.node(number);
        let first = catalogue.commit_of(number).segment;
        let offset = node.frame.offset;
        let mut bytes = self.bytes(first, offset, node.frame.end().saturating_sub(offset))?;
        if attached {
            bytes.extend(self.attachment(first, node.frame.end())?);
        }
        self.believe(first, check_node(&segment::name(first), offset, &bytes, attached, catalogue.id(number)))
    }

    /// Forgets what was read of a segment where that turns out damaged: it may be put back, or have been read badly once.
    fn believe<T>(&mut self, first: u64, read: Result<T, StorageError>) -> Result<T, StorageError> {
        if matches!(read, Err(StorageError::Corrupt { .. })) {
            self.open = None;
            self.objects.forget_segment(first);
        }
        read
    }

    /// Puts what an erasure left of a node in the place of what it took.
    fn complete(&mut self, catalogue: &Catalogue, number: Number, rest: Rest) -> Result<NodeRecord, StorageError> {
        let Rest { mut record, details_at, attachment_at, remains: _ } = rest;
        if let Some(taker) = details_at
            && let Some(remains) = self.remains(catalogue, number, taker)?
        {
            let (kept, values) = remains.details.unwrap_or_default();
            (record.secret, record.values) = (Secret::Kept(kept), values);
            let name = || segment::name(catalogue.commit_of(number).segment);
            let core = record.core().map_err(|e| StorageError::corrupt(name(), e))?;
            if record.secret.root(core.kind, &record.values) != Some(core.details) {
                let why = format!(
                    "what {taker} left of node {} does not lead to its details root {}",
                    catalogue.id(number),
                    core.details
                );
                return Err(StorageError::corrupt(name(), why));
            }
        }
        if let Some(taker) = attachment_at.filter(|_| catalogue.node(number).kind != Kind::Erasure) {
            let nothing = || ManifestRecord { secret: Secret::Kept(Vec::new()), files: Vec::new() };
            let remains = self.remains(catalogue, number, taker)?.unwrap_or_default();
            record.manifest = Some(remains.manifest.unwrap_or_else(nothing));
        }
        Ok(record)
    }

    /// Reads what an Erasure has of the node that it erased.
    pub(crate) fn left_by(&mut self, catalogue: &Catalogue, erasure: Number) -> Result<Left, StorageError> {
        let rest = self.rest(catalogue, erasure, catalogue.node(erasure).attached)?;
        Ok(match (rest.attachment_at, rest.remains) {
            (Some(later), _) => Left::Later(later),
            (None, Some(remains)) => Left::Here(remains),
            (None, None) => Left::Nothing,
        })
    }

    /// Reads what an Erasure has of a node that it erased, or a later one that took that over. `None`, if that is not in the
    /// log as far as it was read here: another process erases meanwhile, and what that left is unknown until this one follows.
    ///
    /// # Errors
    /// `Corrupt` if what is said to have it is no Erasure of the node, or has nothing.
    pub(crate) fn remains(
        &mut self,
        catalogue: &Catalogue,
        node: Number,
        taker: NodeId,
    ) -> Result<Option<Remains>, StorageError> {
        let (mut taker, mut before) = (taker, node);
        loop {
            let Some(number) = catalogue.number(&taker) else { return Ok(None) };
            let erases = catalogue.to(number, Role::Erases).next() == Some(node);
            match self.left_by(catalogue, number)? {
                Left::Here(remains) if erases && number > before => return Ok(Some(remains)),
                Left::Later(next) if erases && number > before => (before, taker) = (number, next),
                Left::Here(_) | Left::Later(_) | Left::Nothing => {
                    let id = catalogue.id(node);
                    let why = format!(
                        "something of node {id} is said to be taken by {taker}, which is no Erasure of it that has what is left"
                    );
                    return Err(StorageError::corrupt(segment::name(catalogue.commit_of(node).segment), why));
                }
            }
        }
    }

    fn attachment(&mut self, first: u64, offset: u64) -> Result<Vec<u8>, StorageError> {
        let head = self.bytes(first, offset, FRAME_HEAD_BYTES)?;
        let length = head.get(1..5).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        self.bytes(first, offset, FRAME_HEAD_BYTES.saturating_add(length.into()))
    }

    /// Reads all nodes of a commit, with everything.
    pub(crate) fn nodes(
        &mut self,
        catalogue: &Catalogue,
        commit: &PlacedCommit,
    ) -> Result<Vec<(NodeId, Core, NodeRecord)>, StorageError> {
        let name = segment::name(commit.segment);
        let begin = commit.frame.end();
        let last = commit.first_node.saturating_add(commit.nodes).saturating_sub(1);
        let mut end = catalogue.node(last).frame.end();
        if catalogue.node(last).attached {
            end = end.saturating_add(wide(self.attachment(commit.segment, end)?.len()));
        }
        let bytes = self.bytes(commit.segment, begin, end.saturating_sub(begin))?;
        let read = |number| {
            let node = catalogue.node(number);
            let at = narrow(node.frame.offset.saturating_sub(begin));
            let bytes = bytes.get(at..).unwrap_or_default();
            let id = catalogue.id(number);
            let rest = check_node(&name, node.frame.offset, bytes, node.attached, id);
            let rest = self.believe(commit.segment, rest)?;
            let record = self.complete(catalogue, number, rest)?;
            let core = record.core().map_err(|e| StorageError::corrupt(&*name, e))?;
            Ok((id, core, record))
        };
        (commit.first_node..commit.first_node.saturating_add(commit.nodes)).map(read).collect()
    }

    /// Reads a commit.
    pub(crate) fn commit(&mut self, commit: &PlacedCommit) -> Result<Commit, StorageError> {
        let bytes = self.payload(commit.segment, commit.frame)?;
        let parsed = Commit::parse(&bytes).map_err(|e| StorageError::corrupt(segment::name(commit.segment), e));
        self.believe(commit.segment, parsed)
    }

    /// Reads an entry, or a checkpoint, out of a segment.
    pub(crate) fn payload(&mut self, first: u64, frame: FramePlace) -> Result<Vec<u8>, StorageError> {
        let bytes = self.bytes(first, frame.offset, frame.end().saturating_sub(frame.offset))?;
        self.believe(first, segment::read_payload(&segment::name(first), frame.offset, &bytes))
    }

    fn bytes(&mut self, first: u64, offset: u64, length: u64) -> Result<Vec<u8>, StorageError> {
        let (_, name, file) = match &mut self.open {
            Some(open) if open.0 == first => open,
            slot => slot.insert((first, segment::name(first), self.objects.segment(first)?)),
        };
        self.objects.read_part(name, &**file, offset, length)
    }
}

/// A segment that was read before.
#[derive(Debug)]
struct Held(Vec<u8>);

impl DiskFile for Held {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut rest = self.0.get(narrow(offset)..).unwrap_or_default();
        rest.read(buffer)
    }

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(wide(self.0.len()))
    }

    fn set_length(&self, _length: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reads a node out of the bytes that begin with its frame, and compares its hash with its id.
fn check_node(name: &str, offset: u64, bytes: &[u8], attached: bool, id: NodeId) -> Result<Rest, StorageError> {
    let rest = segment::read_node(name, offset, bytes, attached)?;
    let found = node_id(&rest.record.core);
    if found != id {
        let why = format!("the node at byte {offset} has id {found}, and {id} was recorded there");
        return Err(StorageError::corrupt(name, why));
    }
    Ok(rest)
}
