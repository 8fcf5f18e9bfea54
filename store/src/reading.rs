//! Reading nodes and entries out of segments. What is read is hashed against its name before it is
//! believed.

use std::fs::File;

use griptrace_core::{commit::Commit, node::node_id};

use crate::{
    catalogue::{Catalogue, Number, PlacedCommit},
    error::StorageError,
    objects::Objects,
    record::NodeRecord,
    segment::{self, FRAME_HEAD_BYTES},
};

/// Reads frames, keeping the last segment open.
#[derive(Debug)]
pub(crate) struct SegmentReader<'a> {
    objects: &'a Objects,
    open: Option<(u64, String, File)>,
}

impl<'a> SegmentReader<'a> {
    /// Begins with no segment open.
    pub(crate) const fn new(objects: &'a Objects) -> Self {
        Self { objects, open: None }
    }

    /// Reads a node without manifest and subjects.
    pub(crate) fn core(&mut self, catalogue: &Catalogue, number: Number) -> Result<NodeRecord, StorageError> {
        self.read(catalogue, number, false)
    }

    /// Reads a node with everything.
    pub(crate) fn whole(&mut self, catalogue: &Catalogue, number: Number) -> Result<NodeRecord, StorageError> {
        self.read(catalogue, number, catalogue.node(number).attached)
    }

    fn read(&mut self, catalogue: &Catalogue, number: Number, attached: bool) -> Result<NodeRecord, StorageError> {
        let node = catalogue.node(number);
        let first = catalogue.commit_of(number).segment;
        let offset = node.frame.offset;
        let mut bytes = self.bytes(first, offset, node.frame.end().saturating_sub(offset))?;
        if attached {
            let head = self.bytes(first, node.frame.end(), FRAME_HEAD_BYTES)?;
            let length = head.get(1..5).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
            bytes.extend(self.bytes(first, node.frame.end(), FRAME_HEAD_BYTES.saturating_add(length.into()))?);
        }
        let name = segment::name(first);
        let record = segment::read_node(&name, offset, &bytes, attached)?;
        let found = node_id(&record.core);
        if found != node.id {
            let why = format!("the node at byte {offset} has id {found}, and {} was recorded there", node.id);
            return Err(StorageError::corrupt(name, why));
        }
        Ok(record)
    }

    /// Reads a commit.
    pub(crate) fn commit(&mut self, commit: &PlacedCommit) -> Result<Commit, StorageError> {
        let bytes = self.entry(commit)?;
        Commit::parse(&bytes).map_err(|e| StorageError::corrupt(segment::name(commit.segment), e))
    }

    /// Reads a commit's entry.
    pub(crate) fn entry(&mut self, commit: &PlacedCommit) -> Result<Vec<u8>, StorageError> {
        let offset = commit.frame.offset;
        let bytes = self.bytes(commit.segment, offset, commit.frame.end().saturating_sub(offset))?;
        segment::read_entry(&segment::name(commit.segment), offset, &bytes)
    }

    fn bytes(&mut self, first: u64, offset: u64, length: u64) -> Result<Vec<u8>, StorageError> {
        let (name, file) = match &mut self.open {
            Some((open, name, file)) if *open == first => (name, file),
            slot => {
                let name = segment::name(first);
                let file = self.objects.open(&name)?;
                let (_, name, file) = slot.insert((first, name, file));
                (name, file)
            }
        };
        self.objects.read_at(name, file, offset, length)
    }
}
