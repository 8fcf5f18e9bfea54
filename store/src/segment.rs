//! Segments: the truth of a store, one immutable file a group commit.
//!
//! A segment is a run of frames: a header, then for every log entry its bytes, after a commit its
//! nodes, and an end that counts both. A frame is a kind (1 byte), a length (4 bytes, least
//! significant first), the first half of the BLAKE3 of all of these and the payload, and the
//! payload. Segments come under their names whole (`objects`), so that anything torn, short or
//! with a wrong checksum is damage, and never merely the end.
//!
//! The name is the index of the first entry: the next segment's name follows from the log's size.

use griptrace_core::{
    cbor::{Reader, Record as _, encode},
    id::GenesisHash,
};

use crate::{
    error::StorageError,
    number::{narrow, wide},
    record::{Attachment, NodeRecord},
};

/// Bytes before a frame's payload.
pub(crate) const FRAME_HEAD_BYTES: u64 = 21;

const HEADER: u8 = 1;
const ENTRY: u8 = 2;
const NODE: u8 = 3;
const ATTACHMENT: u8 = 4;
const END: u8 = 5;
const MAGIC: &[u8] = b"griptrace segment v1";

/// Returns the name of the segment whose first entry has index `first`.
pub(crate) fn name(first: u64) -> String {
    format!("segments/{first:016}")
}

/// Writes a segment.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    bytes: Vec<u8>,
    entries: u64,
    nodes: u64,
}

impl SegmentWriter {
    /// Begins a segment.
    pub(crate) fn new(home: &GenesisHash, first: u64) -> Result<Self, StorageError> {
        let mut writer = Self { bytes: Vec::new(), entries: 0, nodes: 0 };
        writer.frame(HEADER, &[MAGIC, home.as_bytes(), &first.to_le_bytes()].concat())?;
        Ok(writer)
    }

    /// Adds a log entry.
    pub(crate) fn entry(&mut self, entry: &[u8]) -> Result<(), StorageError> {
        self.entries = self.entries.saturating_add(1);
        self.frame(ENTRY, entry)
    }

    /// Adds a node of the commit that was added last.
    pub(crate) fn node(&mut self, record: NodeRecord) -> Result<(), StorageError> {
        self.nodes = self.nodes.saturating_add(1);
        let attachment = Attachment { manifest: record.manifest, subjects: record.subjects };
        self.frame(NODE, &encode(&NodeRecord { manifest: None, subjects: None, ..record }))?;
        if attachment.is_empty() { Ok(()) } else { self.frame(ATTACHMENT, &encode(&attachment)) }
    }

    /// Ends the segment and returns its bytes.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, StorageError> {
        let counts = [self.entries.to_le_bytes(), self.nodes.to_le_bytes()].concat();
        self.frame(END, &counts)?;
        Ok(self.bytes)
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> Result<(), StorageError> {
        let length = u32::try_from(payload.len())
            .map_err(|_| StorageError::corrupt("a new segment", "a node has more than 4 GiB of files and subjects"))?;
        self.bytes.push(kind);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(checksum(kind, payload));
        self.bytes.extend(payload);
        Ok(())
    }
}

fn checksum(kind: u8, payload: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]).update(&wide(payload.len()).to_le_bytes()).update(payload);
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    half
}

/// A segment, taken apart; nothing but its form and checksums was looked at.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    /// The object's name.
    pub(crate) name: String,
    /// Index of the first entry.
    pub(crate) first: u64,
    /// The entries, in log order.
    pub(crate) entries: Vec<SegmentEntry<'a>>,
}

/// An entry, and the nodes of its commit.
#[derive(Debug)]
pub(crate) struct SegmentEntry<'a> {
    pub(crate) frame: FramePlace,
    pub(crate) bytes: &'a [u8],
    pub(crate) nodes: Vec<SegmentNode<'a>>,
}

/// A node as it rests.
#[derive(Debug)]
pub(crate) struct SegmentNode<'a> {
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

impl<'a> Segment<'a> {
    /// Takes a segment apart.
    pub(crate) fn parse(home: &GenesisHash, first: u64, bytes: &'a [u8]) -> Result<Self, StorageError> {
        let name = name(first);
        let bad = |offset: usize, why: &str| StorageError::corrupt(&*name, format!("{why} at byte {offset}"));
        let mut frames = Frames { name: &name, bytes, offset: 0 };
        let header = [MAGIC, home.as_bytes().as_slice(), &first.to_le_bytes()].concat();
        if frames.next()?.is_none_or(|(kind, _, payload)| kind != HEADER || payload != header) {
            return Err(bad(0, "it does not begin as a segment of this log with this number"));
        }
        let mut entries: Vec<SegmentEntry<'a>> = Vec::new();
        while let Some((kind, frame, payload)) = frames.next()? {
            let at = narrow(frame.offset);
            match kind {
                ENTRY => entries.push(SegmentEntry { frame, bytes: payload, nodes: Vec::new() }),
                NODE => {
                    let entry = entries.last_mut().ok_or_else(|| bad(at, "a node stands before any commit"))?;
                    entry.nodes.push(SegmentNode { frame, bytes: payload, attachment: None });
                }
                ATTACHMENT => {
                    let node = entries.last_mut().and_then(|entry| entry.nodes.last_mut());
                    let node = node.filter(|node| node.attachment.is_none());
                    node.ok_or_else(|| bad(at, "an attachment belongs to no node"))?.attachment = Some(payload);
                }
                END => {
                    let nodes: usize = entries.iter().map(|entry| entry.nodes.len()).sum();
                    let counts = [wide(entries.len()).to_le_bytes(), wide(nodes).to_le_bytes()].concat();
                    if payload != counts || frames.offset != bytes.len() {
                        return Err(bad(at, "its end does not count what stands before it, or something follows"));
                    }
                    return Ok(Self { name, first, entries });
                }
                _ => return Err(bad(at, "a frame is of no known kind")),
            }
        }
        Err(bad(bytes.len(), "it is cut short"))
    }
}

/// A frame: its kind, place and payload.
type Frame<'a> = (u8, FramePlace, &'a [u8]);

struct Frames<'n, 'a> {
    name: &'n str,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Frames<'_, 'a> {
    fn next(&mut self) -> Result<Option<Frame<'a>>, StorageError> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let (kind, payload) = read_frame(self.name, wide(self.offset), rest)?;
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let place = FramePlace { offset: wide(self.offset), length };
        self.offset = narrow(place.end());
        Ok(Some((kind, place, payload)))
    }
}

/// Reads the frame at the beginning of `bytes`.
fn read_frame<'a>(name: &str, offset: u64, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), StorageError> {
    let bad = |why: &str| StorageError::corrupt(name, format!("the frame at byte {offset} {why}"));
    let (head, rest) = bytes.split_first_chunk::<21>().ok_or_else(|| bad("is cut short"))?;
    let [kind, a, b, c, d, sum @ ..] = *head;
    let length = narrow(u32::from_le_bytes([a, b, c, d]).into());
    let payload = rest.get(..length).ok_or_else(|| bad("is cut short"))?;
    if checksum(kind, payload) != sum {
        return Err(bad("has another checksum than its bytes"));
    }
    Ok((kind, payload))
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

/// Reads an entry out of the bytes of its frame.
pub(crate) fn read_entry(name: &str, offset: u64, bytes: &[u8]) -> Result<Vec<u8>, StorageError> {
    read_frame(name, offset, bytes).map(|(_, payload)| payload.to_vec())
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
