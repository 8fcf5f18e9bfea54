//! What the catalogue knows of nodes, edges, commits and assessments, and how a snapshot holds it.

use griptrace_core::{
    commit::StatusLine,
    digest::Digest,
    id::{NodeId, StatusKey},
    node::{Kind, Mark, Role},
};

use crate::segment::FramePlace;

/// A node's number: its order in the log, and within a commit the order of the ids.
pub(crate) type Number = u32;

/// Where a node is, and what questions need of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    pub(crate) kind: Kind,
    /// What a Status says.
    pub(crate) mark: Option<Mark>,
    /// Which commit it is in.
    pub(crate) commit: u32,
    pub(crate) frame: FramePlace,
    /// Whether manifest or subjects stand in the frame after it.
    pub(crate) attached: bool,
    /// The first of its local edges.
    pub(crate) first_edge: u32,
}

/// Where a commit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlacedCommit {
    /// Its leaf index.
    pub(crate) leaf: u64,
    /// The first entry of its segment.
    pub(crate) segment: u64,
    pub(crate) frame: FramePlace,
    pub(crate) first_node: Number,
    pub(crate) nodes: u32,
}

/// A status head: a checkpoint was made after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlacedHead {
    /// Its leaf index.
    pub(crate) index: u64,
    /// Where the checkpoint before it stands: the segment, and the frame. The first has none.
    pub(crate) before: Option<(u64, FramePlace)>,
}

/// A local edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlacedEdge {
    pub(crate) role: Role,
    pub(crate) to: Number,
}

/// An assessment: its status key and the subjects that can be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PlacedAssessment {
    pub(crate) node: Number,
    pub(crate) key: StatusKey,
    pub(crate) subjects: Vec<NodeId>,
}

/// Tells whether an edge leads to a parent: what a walk to the sources follows.
pub(crate) const fn is_parent(role: Role) -> bool {
    matches!(role, Role::Used | Role::GeneratedBy | Role::Ships)
}

/// Reads fields of fixed size one after the other out of a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }

    fn small(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn large(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }
}

/// Puts fields one after the other, and zeros behind them.
fn record<const N: usize>(fields: &[&[u8]]) -> [u8; N] {
    let mut record = [0; N];
    record.iter_mut().zip(fields.iter().copied().flatten()).for_each(|(to, from)| *to = *from);
    record
}

/// Returns the role of a number.
pub(crate) fn role_of(number: u8) -> Option<Role> {
    Role::ALL.iter().copied().find(|role| role.number() == number)
}

/// Bytes of an offset in a segment: no file is as long.
const OFFSET_BYTES: usize = 6;
/// What is put to a kind if the node has an attachment.
const ATTACHED: u8 = 0x80;

impl Placed {
    pub(crate) fn to_record(self) -> [u8; 20] {
        let (mark, attached) = (self.mark.map_or(0, Mark::number), if self.attached { ATTACHED } else { 0 });
        let [offset @ .., _, _] = self.frame.offset.to_le_bytes();
        record(&[
            &offset,
            &self.commit.to_le_bytes(),
            &self.frame.length.to_le_bytes(),
            &self.first_edge.to_le_bytes(),
            &[self.kind.number() | attached, mark],
        ])
    }

    pub(crate) fn from_record(bytes: &[u8; 20]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mut offset = [0; 8];
        offset.iter_mut().zip(fields.take::<OFFSET_BYTES>()).for_each(|(to, from)| *to = from);
        let commit = fields.small();
        let (length, first_edge) = (fields.small(), fields.small());
        let (kind, mark) = (fields.byte(), fields.byte());
        Some(Self {
            kind: Kind::ALL.iter().copied().find(|known| known.number() == kind & !ATTACHED)?,
            mark: Mark::ALL.iter().copied().find(|known| known.number() == mark),
            commit,
            frame: FramePlace { offset: u64::from_le_bytes(offset), length },
            attached: kind & ATTACHED != 0,
            first_edge,
        })
    }
}

impl PlacedCommit {
    pub(crate) fn to_record(self) -> [u8; 40] {
        record(&[
            &self.leaf.to_le_bytes(),
            &self.segment.to_le_bytes(),
            &self.frame.offset.to_le_bytes(),
            &self.frame.length.to_le_bytes(),
            &self.first_node.to_le_bytes(),
            &self.nodes.to_le_bytes(),
        ])
    }

    pub(crate) fn from_record(bytes: &[u8; 40]) -> Self {
        let mut fields = Fields(bytes);
        let (leaf, segment, offset) = (fields.large(), fields.large(), fields.large());
        let frame = FramePlace { offset, length: fields.small() };
        Self { leaf, segment, frame, first_node: fields.small(), nodes: fields.small() }
    }
}

impl PlacedHead {
    /// Returns the first entry of its segment.
    pub(crate) fn segment(&self) -> u64 {
        self.before.map_or(0, |(segment, _)| segment)
    }

    pub(crate) fn to_record(self) -> [u8; 28] {
        let (segment, frame) = self.before.unwrap_or((0, FramePlace { offset: 0, length: 0 }));
        record(&[
            &self.index.to_le_bytes(),
            &segment.to_le_bytes(),
            &frame.offset.to_le_bytes(),
            &frame.length.to_le_bytes(),
        ])
    }

    pub(crate) fn from_record(bytes: &[u8; 28]) -> Self {
        let mut fields = Fields(bytes);
        let (index, segment) = (fields.large(), fields.large());
        let frame = FramePlace { offset: fields.large(), length: fields.small() };
        Self { index, before: (frame.length > 0).then_some((segment, frame)) }
    }
}

/// Returns the record of a line of the status map, with its commit's leaf.
pub(crate) fn line_to_record((leaf, line): &(u64, StatusLine)) -> [u8; 72] {
    record(&[&leaf.to_le_bytes(), line.key.as_bytes(), line.status.as_bytes()])
}

pub(crate) fn line_from_record(bytes: &[u8; 72]) -> (u64, StatusLine) {
    let mut fields = Fields(bytes);
    let leaf = fields.large();
    let key = StatusKey::new(Digest::from_bytes(fields.take()));
    (leaf, StatusLine { key, status: NodeId::new(Digest::from_bytes(fields.take())) })
}

impl PlacedAssessment {
    /// Returns the record of an assessment whose subjects stand in their column from `first` on.
    pub(crate) fn to_record(&self, first: u32) -> [u8; 40] {
        record(&[&self.node.to_le_bytes(), self.key.as_bytes(), &first.to_le_bytes()])
    }

    /// Reads the record of an assessment, without the subjects; returns where these begin.
    pub(crate) fn from_record(bytes: &[u8; 40]) -> (Self, u32) {
        let mut fields = Fields(bytes);
        let node = fields.small();
        let key = StatusKey::new(Digest::from_bytes(fields.take()));
        (Self { node, key, subjects: Vec::new() }, fields.small())
    }
}

/// Returns the record of a node's place in the order of the ids: the beginning of its id, in the
/// order of bytes, and its number.
pub(crate) fn by_id_to_record(id: &NodeId, number: Number) -> [u8; 8] {
    record(&[&prefix(id).to_le_bytes(), &number.to_le_bytes()])
}

pub(crate) fn by_id_from_record(bytes: [u8; 8]) -> (u32, Number) {
    let mut fields = Fields(&bytes);
    (fields.small(), fields.small())
}

/// Returns the first four bytes of an id: of 10^7 nodes one in four hundred has them in common with another.
pub(crate) fn prefix(id: &NodeId) -> u32 {
    id.as_bytes().first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
