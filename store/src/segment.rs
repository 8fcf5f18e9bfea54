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
//! Nothing in a segment ever moves, and but for one thing nothing changes: what an erasure took of a node (`erasing`). The node's
//! frame, or its attachment's, is then overwritten by one of the same length that says which Erasure has what is left.
//!
//! The name is the index of the first entry: the next segment's name follows from the log's size.

use std::collections::BTreeMap;

use griptrace_core::{
    cbor::{DecodeError, Reader, Record as _, Writer},
    digest::Digest,
    id::{GenesisHash, NodeId},
    limits::CORE_BYTES_MAX,
};

use crate::{
    error::StorageError,
    number::{narrow, wide},
    parallel::bytes_on_all_processors,
    record::{Attachment, NodeRecord, Remains, Secret, core_bytes},
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
/// In the place of a node: its core, the Erasure that has the rest, zeros.
const NODE_TAKEN: u8 = 7;
/// In the place of an attachment: the Erasure that has the rest, zeros.
const ATTACHMENT_TAKEN: u8 = 8;
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

/// Makes every checksum of a segment anew, as somebody would who forges it.
#[cfg(test)]
pub(crate) fn sum_again(name: &str, bytes: &mut [u8]) {
    let mut at = 0;
    while let Ok((kind, _, payload)) = split_frame(name, 0, &bytes[at..]) {
        if kind == NOTHING {
            return;
        }
        let (sum, length) = (checksum(kind, payload), payload.len());
        bytes[at + 5..at + 21].copy_from_slice(&sum);
        at += 21 + length;
    }
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
    /// Whether an erasure took all but the core.
    pub(crate) is_core_alone: bool,
    pub(crate) attachment: Option<&'a [u8]>,
    /// Whether an erasure took what was attached.
    pub(crate) is_attachment_taken: bool,
}

impl GroupNode<'_> {
    /// Tells whether an erasure took anything of it from here.
    pub(crate) const fn is_taken(&self) -> bool {
        self.is_core_alone || self.is_attachment_taken
    }

    /// Reads what stands here of the node.
    pub(crate) fn rest(&self, name: &str) -> Result<Rest, StorageError> {
        let node = if self.is_core_alone { NODE_TAKEN } else { NODE };
        let attached = if self.is_attachment_taken { ATTACHMENT_TAKEN } else { ATTACHMENT };
        Rest::of(name, (node, self.bytes), self.attachment.map(|bytes| (attached, bytes)))
    }
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
                NODE | NODE_TAKEN => {
                    let entry = entries.last_mut();
                    let entry = entry.ok_or_else(|| self.bad(offset, "a node stands before any commit"))?;
                    let is_core_alone = kind == NODE_TAKEN;
                    let (attachment, is_attachment_taken) = (None, false);
                    let node = GroupNode { frame, bytes: payload, is_core_alone, attachment, is_attachment_taken };
                    entry.nodes.push(node);
                }
                ATTACHMENT | ATTACHMENT_TAKEN => {
                    let node = entries.last_mut().and_then(|entry| entry.nodes.last_mut());
                    let node = node.filter(|node| node.attachment.is_none());
                    let node = node.ok_or_else(|| self.bad(offset, "an attachment belongs to no node"))?;
                    (node.attachment, node.is_attachment_taken) = (Some(payload), kind == ATTACHMENT_TAKEN);
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

/// What stands of a node in its place, and which Erasures have the rest.
#[derive(Debug)]
pub(crate) struct Rest {
    /// The node; without seed, details or files where these were taken.
    pub(crate) record: NodeRecord,
    /// The Erasure that has what is left of seed and details, if they were taken.
    pub(crate) details_at: Option<NodeId>,
    /// The Erasure that has what is left of the attachment, if that was taken.
    pub(crate) attachment_at: Option<NodeId>,
    /// What is left of another node, if this is the Erasure that has it.
    pub(crate) remains: Option<Remains>,
}

impl Rest {
    /// Tells whether an erasure took anything of the node from here.
    pub(crate) const fn is_taken(&self) -> bool {
        self.details_at.is_some() || self.attachment_at.is_some()
    }

    fn of(name: &str, (kind, payload): (u8, &[u8]), attachment: Option<(u8, &[u8])>) -> Result<Self, StorageError> {
        let bad = |e| StorageError::corrupt(name, e);
        let (record, details_at) = match kind {
            NODE => (decode_node(name, payload)?, None),
            NODE_TAKEN => {
                let (core, taker) = read_taken(payload).map_err(bad)?;
                let bare = NodeRecord::bare(core.to_vec(), BTreeMap::new(), None, None);
                (NodeRecord { secret: Secret::Kept(Vec::new()), ..bare }, Some(taker))
            }
            _ => return Err(StorageError::corrupt(name, "a node was recorded where something else stands")),
        };
        let mut rest = Self { record, details_at, attachment_at: None, remains: None };
        match attachment {
            None => {}
            Some((ATTACHMENT, payload)) => {
                let Attachment { manifest, subjects, remains } = decode_attachment(name, payload)?;
                (rest.record.manifest, rest.record.subjects, rest.remains) = (manifest, subjects, remains);
            }
            Some((ATTACHMENT_TAKEN, payload)) => {
                rest.attachment_at = Some(read_taker(&mut Reader::new(payload), payload).map_err(bad)?);
            }
            Some(_) => {
                return Err(StorageError::corrupt(name, "an attachment was written where something else stands"));
            }
        }
        Ok(rest)
    }
}

/// Reads the payload of a node of which all but the core was taken.
fn read_taken(payload: &[u8]) -> Result<(&[u8], NodeId), DecodeError> {
    let mut input = Reader::new(payload);
    input.tuple(5)?;
    let core = input.bytes("bytes of a core", CORE_BYTES_MAX)?;
    Ok((core, read_taker(&mut input, payload)?))
}

/// Reads which Erasure took what stood here. Nothing is behind it but zeros.
fn read_taker(input: &mut Reader<'_>, payload: &[u8]) -> Result<NodeId, DecodeError> {
    let taker = NodeId::new(input.digest()?);
    let behind = payload.get(input.offset()..).unwrap_or_default();
    if behind.iter().all(|byte| *byte == 0) {
        return Ok(taker);
    }
    Err(DecodeError::Field { field: "what an erasure left", why: "has something behind the Erasure's id" })
}

/// Overwrites the frame at an offset of a segment by one that says that an Erasure has the rest, unless it does or a later
/// Erasure took it: `is_older` tells. Tells whether anything changed.
pub(crate) fn take(
    name: &str,
    bytes: &mut [u8],
    offset: u64,
    taker: &NodeId,
    is_older: impl Fn(&NodeId) -> bool,
) -> Result<bool, StorageError> {
    let bad = |e| StorageError::corrupt(name, e);
    let (kind, payload) = read_frame(name, offset, bytes.get(narrow(offset)..).unwrap_or_default())?;
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let before = match kind {
        NODE_TAKEN => Some(read_taken(payload).map_err(bad)?.1),
        ATTACHMENT_TAKEN => Some(read_taker(&mut Reader::new(payload), payload).map_err(bad)?),
        _ => None,
    };
    if before.is_some_and(|before| before == *taker || !is_older(&before)) {
        return Ok(false);
    }
    let frame = match kind {
        NODE | NODE_TAKEN => node_taken(core_of_node(name, payload)?, taker, length),
        ATTACHMENT | ATTACHMENT_TAKEN => attachment_taken(taker, length),
        _ => return Err(StorageError::corrupt(name, format!("what stands at byte {offset} is no node's"))),
    };
    let frame = frame.ok_or_else(|| {
        StorageError::corrupt(name, format!("what stands at byte {offset} is too short to be of a node"))
    })?;
    bytes.iter_mut().skip(narrow(offset)).zip(frame).for_each(|(to, from)| *to = from);
    Ok(true)
}

/// Returns the frame that takes the place of a node's of `length` bytes of payload: the core, and which Erasure has the rest.
fn node_taken(core: &[u8], taker: &NodeId, length: u32) -> Option<Vec<u8>> {
    let mut out = Writer::new();
    out.array(5).bytes(core).bytes(taker.as_bytes());
    taken_frame(NODE_TAKEN, out.into_bytes(), length)
}

/// Returns the frame that takes the place of an attachment's of `length` bytes of payload.
fn attachment_taken(taker: &NodeId, length: u32) -> Option<Vec<u8>> {
    let mut out = Writer::new();
    out.bytes(taker.as_bytes());
    taken_frame(ATTACHMENT_TAKEN, out.into_bytes(), length)
}

/// `None` if there is no room: what stands in a node or attachment that can be erased is always longer.
fn taken_frame(kind: u8, mut payload: Vec<u8>, length: u32) -> Option<Vec<u8>> {
    let length = narrow(length.into());
    if payload.len() > length {
        return None;
    }
    payload.resize(length, 0);
    let mut frame = Vec::new();
    put_frame(&mut frame, kind, &payload);
    Some(frame)
}

/// Reads a node out of the bytes of its frame, and of the frame of its attachment if there is one.
pub(crate) fn read_node(name: &str, offset: u64, bytes: &[u8], attached: bool) -> Result<Rest, StorageError> {
    let node = read_frame(name, offset, bytes)?;
    let mut attachment = None;
    if attached {
        let at = FRAME_HEAD_BYTES.saturating_add(wide(node.1.len()));
        let rest = bytes.get(narrow(at)..).unwrap_or_default();
        attachment = Some(read_frame(name, offset.saturating_add(at), rest)?);
    }
    Rest::of(name, node, attachment)
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
fn decode_node(name: &str, payload: &[u8]) -> Result<NodeRecord, StorageError> {
    NodeRecord::read(&mut Reader::new(payload)).map_err(|e| StorageError::corrupt(name, e))
}

/// Reads an attachment's frame.
pub(crate) fn decode_attachment(name: &str, payload: &[u8]) -> Result<Attachment, StorageError> {
    Attachment::read(&mut Reader::new(payload)).map_err(|e| StorageError::corrupt(name, e))
}
