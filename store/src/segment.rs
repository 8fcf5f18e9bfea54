//! Segments: the truth of a store, files that only ever grow.
//!
//! A segment is a header and then groups: what one flush brought in. A group is the checkpoint of
//! the group before it, for every log entry its bytes, after a commit its nodes, and an end that
//! counts both and names the size and root of the tree that the group leads to. All of these are
//! frames: a kind (1 byte), a length (4 bytes, least significant first), the first half of the
//! BLAKE3 of both and the payload, and the payload. After the last group of the last segment there
//! may be zeros, written ahead of the next one.
//!
//! The end of a group is the unsigned head of the log: a group is in the log if all of it is there,
//! and what is signed afterwards is exactly what its end says (Rule R11).
//!
//! The name is the index of the first entry: the next segment's name follows from the log's size.

use griptrace_core::{
    cbor::{Reader, Record as _},
    digest::Digest,
    id::{GenesisHash, NodeId},
};

use crate::{
    error::StorageError,
    number::{narrow, wide},
    parallel::bytes_on_all_processors,
    record::{Attachment, NodeRecord, core_bytes},
};

/// Bytes before a frame's payload.
pub(crate) const FRAME_HEAD_BYTES: u64 = 21;

/// What follows the last group: nothing yet.
const NOTHING: u8 = 0;
const HEADER: u8 = 1;
const ENTRY: u8 = 2;
const NODE: u8 = 3;
const ATTACHMENT: u8 = 4;
const END: u8 = 5;
const CHECKPOINT: u8 = 6;
const MAGIC: &[u8] = b"griptrace segment v2";

/// The folder of segments.
pub(crate) const FOLDER: &str = "segments";

/// Returns the name of the segment whose first entry has index `first`.
pub(crate) fn name(first: u64) -> String {
    format!("{FOLDER}/{}", name_in_folder(first))
}

/// Returns the same name, without the folder.
pub(crate) fn name_in_folder(first: u64) -> String {
    format!("{first:016}")
}

/// Returns the first entry of the segment of this name.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    first_in_folder(name.strip_prefix(FOLDER)?.strip_prefix('/')?)
}

/// Returns the first entry of the segment that is called so in its folder. Whatever else lies there is no segment.
pub(crate) fn first_in_folder(name: &str) -> Option<u64> {
    name.parse().ok().filter(|first| name_in_folder(*first) == name)
}

/// Checks a whole segment: its header, the checksum of every frame, and that its groups follow one another. Returns the size
/// of the log behind it.
pub(crate) fn check_whole(home: &GenesisHash, first: u64, bytes: &[u8]) -> Result<u64, StorageError> {
    let name = name(first);
    let begin = check_header(home, first, bytes)?;
    let mut groups = Groups::new(&name, first, bytes.get(narrow(begin)..).unwrap_or_default(), begin, first);
    let mut size = first;
    while let Some(group) = groups.next()? {
        size = group.first.saturating_add(wide(group.entries.len()));
    }
    if size > first { Ok(size) } else { Err(StorageError::corrupt(name, "it holds no group")) }
}

/// Returns the first bytes of a segment.
pub(crate) fn header(home: &GenesisHash, first: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, HEADER, &header_payload(home, first));
    bytes
}

fn header_payload(home: &GenesisHash, first: u64) -> Vec<u8> {
    [MAGIC, home.as_bytes(), &first.to_le_bytes()].concat()
}

/// Returns where the first group of a segment begins, if it begins as this segment should.
pub(crate) fn check_header(home: &GenesisHash, first: u64, bytes: &[u8]) -> Result<u64, StorageError> {
    let name = name(first);
    let (kind, payload) = read_frame(&name, 0, bytes)?;
    if kind != HEADER || payload != header_payload(home, first) {
        let why = if payload.starts_with(b"griptrace segment ") && !payload.starts_with(MAGIC) {
            "it is of another version of the format"
        } else {
            "it does not begin as a segment of this log with this number"
        };
        return Err(StorageError::corrupt(name, why));
    }
    Ok(FRAME_HEAD_BYTES.saturating_add(wide(payload.len())))
}

/// Returns the home that a segment's header names, and the entry that it begins with.
pub(crate) fn first_entry(bytes: &[u8]) -> Option<(GenesisHash, &[u8])> {
    let name = name(0);
    let (kind, header) = read_frame(&name, 0, bytes).ok()?;
    let home = header.strip_prefix(MAGIC).filter(|_| kind == HEADER)?.first_chunk::<32>()?;
    let rest = bytes.get(narrow(FRAME_HEAD_BYTES).saturating_add(header.len())..)?;
    let (_, entry) = read_frame(&name, 0, rest).ok().filter(|(kind, _)| *kind == ENTRY)?;
    Some((GenesisHash::new(Digest::from_bytes(*home)), entry))
}

/// Writes a group.
#[derive(Debug)]
pub(crate) struct GroupWriter {
    bytes: Vec<u8>,
    entries: u64,
    nodes: u64,
}

impl GroupWriter {
    /// Begins a group with the checkpoint of the one before it; the first of a log has none.
    pub(crate) fn new(checkpoint: Option<&str>) -> Self {
        let mut writer = Self { bytes: Vec::new(), entries: 0, nodes: 0 };
        if let Some(note) = checkpoint {
            put_frame(&mut writer.bytes, CHECKPOINT, note.as_bytes());
        }
        writer
    }

    /// Adds a log entry.
    pub(crate) fn entry(&mut self, entry: &[u8]) {
        self.entries = self.entries.saturating_add(1);
        put_frame(&mut self.bytes, ENTRY, entry);
    }

    /// Adds the nodes of the commit that was added last.
    pub(crate) fn nodes(&mut self, nodes: &[(NodeId, NodeRecord)]) -> Result<(), StorageError> {
        self.nodes = self.nodes.saturating_add(wide(nodes.len()));
        let is_too_large = |record: &NodeRecord| record.attachment_bytes_max() > u64::from(u32::MAX);
        if nodes.iter().any(|(_, record)| is_too_large(record)) {
            return Err(StorageError::corrupt("a new segment", "a node has more than 4 GiB of files and subjects"));
        }
        self.bytes.extend(bytes_on_all_processors(nodes, |(_, record), bytes| put_node(record, bytes)));
        Ok(())
    }

    /// Ends the group, at which the tree has this size and root, and returns its bytes.
    pub(crate) fn finish(mut self, size: u64, root: &Digest) -> Vec<u8> {
        let end = end_payload(self.entries, self.nodes, size, root);
        put_frame(&mut self.bytes, END, &end);
        self.bytes
    }
}

fn put_node(record: &NodeRecord, bytes: &mut Vec<u8>) {
    put_frame(bytes, NODE, &record.to_bytes_alone());
    if let Some(attachment) = record.attachment() {
        put_frame(bytes, ATTACHMENT, &attachment);
    }
}

fn end_payload(entries: u64, nodes: u64, size: u64, root: &Digest) -> Vec<u8> {
    let counts = [entries.to_le_bytes(), nodes.to_le_bytes(), size.to_le_bytes()].concat();
    [&counts, root.as_bytes().as_slice()].concat()
}

/// Adds a frame. Payloads over 4 GiB never come here: entries and cores are far smaller, and
/// attachments were measured.
fn put_frame(bytes: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes.push(kind);
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum(kind, payload));
    bytes.extend(payload);
}

fn checksum(kind: u8, payload: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]).update(&wide(payload.len()).to_le_bytes()).update(payload);
    let sum = hasher.finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&sum.as_bytes()[..16]);
    half
}

/// A group, taken apart; nothing but its form and checksums was looked at.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The segment's name.
    pub(crate) name: &'a str,
    /// The first entry of the segment.
    pub(crate) segment: u64,
    /// Index of the group's first entry.
    pub(crate) first: u64,
    /// The checkpoint of the group before.
    pub(crate) checkpoint: Option<(FramePlace, &'a [u8])>,
    /// The entries, in log order.
    pub(crate) entries: Vec<GroupEntry<'a>>,
    /// Where the group ends in its segment.
    pub(crate) end: u64,
    /// The root that its end names.
    pub(crate) root: Digest,
}

/// An entry, and the nodes of its commit.
#[derive(Debug)]
pub(crate) struct GroupEntry<'a> {
    pub(crate) frame: FramePlace,
    pub(crate) bytes: &'a [u8],
    pub(crate) nodes: Vec<GroupNode<'a>>,
}

/// A node as it rests.
#[derive(Debug)]
pub(crate) struct GroupNode<'a> {
    pub(crate) frame: FramePlace,
    pub(crate) bytes: &'a [u8],
    pub(crate) attachment: Option<&'a [u8]>,
}

/// Where a frame is in its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FramePlace {
    /// Offset of the frame.
    pub(crate) offset: u64,
    /// Bytes of the payload.
    pub(crate) length: u32,
}

impl FramePlace {
    /// Returns where the next frame begins.
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(FRAME_HEAD_BYTES).saturating_add(self.length.into())
    }
}

/// Groups of one segment, one after the other.
#[derive(Debug)]
pub(crate) struct Groups<'a> {
    name: &'a str,
    segment: u64,
    bytes: &'a [u8],
    /// Where `bytes` begin in the segment.
    base: u64,
    at: usize,
    next: u64,
    /// Whether the checksums need no second look.
    is_checked: bool,
}

impl<'a> Groups<'a> {
    /// Begins with the group at offset `base` of a segment, whose first entry has index `next`.
    pub(crate) const fn new(name: &'a str, segment: u64, bytes: &'a [u8], base: u64, next: u64) -> Self {
        Self { name, segment, bytes, base, at: 0, next, is_checked: false }
    }

    /// Spares the checksums: the bytes were compared with those that they were made of.
    pub(crate) const fn checked(self) -> Self {
        Self { is_checked: true, ..self }
    }

    /// Returns the next group; `None` where there is nothing but zeros to the end.
    pub(crate) fn next(&mut self) -> Result<Option<Group<'a>>, StorageError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.first().is_none_or(|kind| *kind == NOTHING) {
            let stray = rest.iter().position(|byte| *byte != 0);
            return stray.map_or(Ok(None), |at| {
                Err(self.bad(self.at.saturating_add(at), "something stands where nothing was written yet,"))
            });
        }
        let (mut checkpoint, mut entries) = (None, Vec::<GroupEntry<'a>>::new());
        loop {
            let offset = self.at;
            let (kind, frame, payload) = self.frame()?;
            match kind {
                CHECKPOINT if checkpoint.is_none() && entries.is_empty() => checkpoint = Some((frame, payload)),
                ENTRY => entries.push(GroupEntry { frame, bytes: payload, nodes: Vec::new() }),
                NODE => {
                    let entry = entries.last_mut();
                    let entry = entry.ok_or_else(|| self.bad(offset, "a node stands before any commit"))?;
                    entry.nodes.push(GroupNode { frame, bytes: payload, attachment: None });
                }
                ATTACHMENT => {
                    let node = entries.last_mut().and_then(|entry| entry.nodes.last_mut());
                    let node = node.filter(|node| node.attachment.is_none());
                    node.ok_or_else(|| self.bad(offset, "an attachment belongs to no node"))?.attachment =
                        Some(payload);
                }
                END => return self.end(offset, payload, checkpoint, entries).map(Some),
                _ => return Err(self.bad(offset, "a frame is of no known kind, or out of place")),
            }
        }
    }

    fn end(
        &mut self,
        offset: usize,
        payload: &[u8],
        checkpoint: Option<(FramePlace, &'a [u8])>,
        entries: Vec<GroupEntry<'a>>,
    ) -> Result<Group<'a>, StorageError> {
        let first = self.next;
        let nodes: usize = entries.iter().map(|entry| entry.nodes.len()).sum();
        let size = first.saturating_add(wide(entries.len()));
        let root = payload.last_chunk::<32>().map_or(Digest::ZERO, |root| Digest::from_bytes(*root));
        if payload != end_payload(wide(entries.len()), wide(nodes), size, &root) {
            return Err(self.bad(offset, "an end does not count what stands before it,"));
        }
        self.next = size;
        let end = self.base.saturating_add(wide(self.at));
        Ok(Group { name: self.name, segment: self.segment, first, checkpoint, entries, end, root })
    }

    fn frame(&mut self) -> Result<(u8, FramePlace, &'a [u8]), StorageError> {
        let offset = self.base.saturating_add(wide(self.at));
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (kind, sum, payload) = split_frame(self.name, offset, rest)?;
        if !self.is_checked {
            check_sum(self.name, offset, kind, sum, payload)?;
        }
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let place = FramePlace { offset, length };
        self.at = narrow(place.end().saturating_sub(self.base));
        Ok((kind, place, payload))
    }

    fn bad(&self, at: usize, why: &str) -> StorageError {
        let offset = self.base.saturating_add(wide(at));
        StorageError::corrupt(self.name, format!("{why} at byte {offset}"))
    }
}

/// Reads the frame at the beginning of `bytes`.
fn read_frame<'a>(name: &str, offset: u64, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), StorageError> {
    let (kind, sum, payload) = split_frame(name, offset, bytes)?;
    check_sum(name, offset, kind, sum, payload)?;
    Ok((kind, payload))
}

/// A frame: its kind, checksum and payload.
type Frame<'a> = (u8, &'a [u8], &'a [u8]);

fn split_frame<'a>(name: &str, offset: u64, bytes: &'a [u8]) -> Result<Frame<'a>, StorageError> {
    let cut = || StorageError::corrupt(name, format!("the frame at byte {offset} is cut short"));
    let (head, rest) = bytes.split_first_chunk::<21>().ok_or_else(cut)?;
    let ([kind, length @ ..], sum) = head.split_first_chunk::<5>().ok_or_else(cut)?;
    let payload = rest.get(..narrow(u32::from_le_bytes(*length).into())).ok_or_else(cut)?;
    Ok((*kind, sum, payload))
}

fn check_sum(name: &str, offset: u64, kind: u8, sum: &[u8], payload: &[u8]) -> Result<(), StorageError> {
    if checksum(kind, payload) == sum {
        return Ok(());
    }
    Err(StorageError::corrupt(name, format!("the frame at byte {offset} has another checksum than its bytes")))
}

/// Reads a node out of the bytes of its frame, and of the frame of its attachment if there is one.
pub(crate) fn read_node(name: &str, offset: u64, bytes: &[u8], attached: bool) -> Result<NodeRecord, StorageError> {
    let (_, payload) = read_frame(name, offset, bytes)?;
    let mut record = decode_node(name, payload)?;
    if attached {
        let at = FRAME_HEAD_BYTES.saturating_add(wide(payload.len()));
        let rest = bytes.get(narrow(at)..).unwrap_or_default();
        let (_, payload) = read_frame(name, offset.saturating_add(at), rest)?;
        let attachment = decode_attachment(name, payload)?;
        (record.manifest, record.subjects) = (attachment.manifest, attachment.subjects);
    }
    Ok(record)
}

/// Reads an entry or a checkpoint out of the bytes of its frame.
pub(crate) fn read_payload(name: &str, offset: u64, bytes: &[u8]) -> Result<Vec<u8>, StorageError> {
    read_frame(name, offset, bytes).map(|(_, payload)| payload.to_vec())
}

/// Returns the core in a node's frame, and looks at nothing else in it.
pub(crate) fn core_of_node<'a>(name: &str, payload: &'a [u8]) -> Result<&'a [u8], StorageError> {
    core_bytes(payload).map_err(|e| StorageError::corrupt(name, e))
}

/// Reads a node's frame. What was written was strict, and the checksum held: it isn't written again
/// to compare.
pub(crate) fn decode_node(name: &str, payload: &[u8]) -> Result<NodeRecord, StorageError> {
    NodeRecord::read(&mut Reader::new(payload)).map_err(|e| StorageError::corrupt(name, e))
}

/// Reads an attachment's frame.
pub(crate) fn decode_attachment(name: &str, payload: &[u8]) -> Result<Attachment, StorageError> {
    Attachment::read(&mut Reader::new(payload)).map_err(|e| StorageError::corrupt(name, e))
}
