//! Nodes in log order, a part at a time, as far as the log of a size goes.

use griptrace_core::{
    commit::Commit,
    id::NodeId,
    node::{Core, Kind},
};

use crate::{
    State, Store,
    error::{ReadError, StorageError},
    placed::Number,
    reading::SegmentReader,
    record::NodeRecord,
    segment,
    store::StoredNode,
};

/// What to look for in a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScanOptions {
    /// The kind; `None` is all kinds.
    pub kind: Option<Kind>,
    /// In the log of how many entries; `None` is now.
    pub at: Option<u64>,
}

/// A part of a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// The nodes, in log order, each with its place.
    pub nodes: Vec<(u32, StoredNode)>,
    /// Where to go on; `None` at the end.
    pub next: Option<u32>,
}

/// Bytes of nodes that are read at a time, but for the first: one may have the files of a whole data set.
const PART_BYTES_MAX: u64 = 8 << 20;
/// Numbers that are passed over at most for each node that is wanted.
const PASSED_OVER_MAX: usize = 64;

impl Store {
    /// Returns up to `most` nodes from a place in the log's order on: 0 for the first, then what the last part said. A
    /// part may have fewer, and even none, before the end.
    ///
    /// # Errors
    /// `Beyond` for a size that the log has not reached; `Storage` if a node is not what was recorded.
    pub fn scan(&self, begin: u32, most: usize, options: ScanOptions) -> Result<Scan, ReadError> {
        self.0.ask(|state| {
            let catalogue = &state.catalogue;
            let size = options.at.unwrap_or(catalogue.size());
            state.reached(size)?;
            let mut reader = Nodes::new(&self.0.objects, state);
            let mut nodes = Vec::new();
            let (mut passed, mut bytes) = (0, 0_u64);
            let (mut number, end) = (begin, catalogue.end_at(size));
            while number < end && nodes.len() < most && passed < most.saturating_mul(PASSED_OVER_MAX) {
                if options.kind.is_none_or(|kind| catalogue.node(number).kind == kind) {
                    let node = reader.read(number)?;
                    bytes = bytes.saturating_add(node.record.bytes_max());
                    if bytes > PART_BYTES_MAX && !nodes.is_empty() {
                        break;
                    }
                    nodes.push((number, node));
                }
                passed = passed.saturating_add(1);
                number = number.saturating_add(1);
            }
            Ok(Scan { nodes, next: (number < end).then_some(number) })
        })
    }

    /// Returns the first of some nodes, at least one and as many as should be held at a time, in the order of their ids
    /// given, in the log of `at` entries (`None`: now).
    ///
    /// # Errors
    /// As [`Self::nodes`].
    pub fn first_nodes(&self, ids: &[NodeId], at: Option<u64>) -> Result<Vec<StoredNode>, ReadError> {
        self.0.ask(|state| {
            let size = at.unwrap_or(state.catalogue.size());
            state.reached(size)?;
            let mut reader = Nodes::new(&self.0.objects, state);
            let (mut nodes, mut bytes) = (Vec::new(), 0_u64);
            for id in ids {
                let node = reader.read(state.number_at(id, size)?)?;
                bytes = bytes.saturating_add(node.record.bytes_max());
                if bytes > PART_BYTES_MAX && !nodes.is_empty() {
                    break;
                }
                nodes.push(node);
            }
            Ok(nodes)
        })
    }

    /// Returns the numbers of nodes, their places in the log's order, in the order of their ids given.
    ///
    /// # Errors
    /// `NoNode` for the first that is not there.
    pub fn numbers(&self, ids: &[NodeId]) -> Result<Vec<u32>, ReadError> {
        self.0.ask(|state| ids.iter().map(|id| state.number(id)).collect())
    }

    /// Returns nodes, in the order of their ids given, in the log of `at` entries (`None`: now).
    ///
    /// # Errors
    /// `NoNode` for the first that is not there, or came later; `Beyond`; `Storage`.
    pub fn nodes(&self, ids: &[NodeId], at: Option<u64>) -> Result<Vec<StoredNode>, ReadError> {
        self.0.ask(|state| {
            let size = at.unwrap_or(state.catalogue.size());
            state.reached(size)?;
            let mut reader = Nodes::new(&self.0.objects, state);
            ids.iter().map(|id| Ok(reader.read(state.number_at(id, size)?)?)).collect()
        })
    }
}

/// Reads whole nodes, and the commit of neighbours once.
pub(crate) struct Nodes<'a> {
    state: &'a State,
    reader: SegmentReader<'a>,
    commit: Option<(u32, Commit)>,
}

impl<'a> Nodes<'a> {
    pub(crate) const fn new(objects: &'a crate::objects::Objects, state: &'a State) -> Self {
        Self { state, reader: SegmentReader::new(objects), commit: None }
    }

    pub(crate) fn read(&mut self, number: Number) -> Result<StoredNode, StorageError> {
        let catalogue = &self.state.catalogue;
        let record: NodeRecord = self.reader.whole(catalogue, number)?;
        let at = catalogue.node(number).commit;
        let placed = catalogue.commit(at);
        let (_, commit) = match &mut self.commit {
            Some(known) if known.0 == at => known,
            other => other.insert((at, self.reader.commit(&placed)?)),
        };
        let core: Core = record.core().map_err(|e| StorageError::corrupt(segment::name(placed.segment), e))?;
        Ok(StoredNode {
            id: catalogue.id(number),
            record,
            core,
            index: placed.leaf,
            committer: commit.key(),
            issuer: commit.issuer().clone(),
            time: commit.payload.time,
        })
    }
}
