//! Searching: by what is said of nodes, as far as the caller may see it.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use griptrace_core::{
    digest::Digest,
    id::NodeId,
    node::{Core, Kind},
};
use griptrace_proto::v1;
use griptrace_store::{ScanOptions, StoredNode};
use tonic::Status;

use super::{
    MESSAGE_BYTES,
    lineage::bad_token,
    node_id,
    nodes::{Showing, detail, kind_of, name},
    pinned,
};
use crate::{
    access::Caller,
    call::Call,
    shared::Shared,
    status::{self, bad_field},
};

/// Nodes that are read at a time.
const NODES_AT_ONCE: usize = 256;
/// Times that nodes are read before somebody else has a turn.
const READS_AT_ONCE: usize = 16;

/// A search on its way.
pub(super) struct Search {
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    asked: v1::SearchRequest,
    kind: Option<Kind>,
    size: u64,
    source: Source,
    waiting: VecDeque<(u32, StoredNode)>,
    left: u64,
    is_over: bool,
}

/// Where the candidates come from.
enum Source {
    /// All nodes, from a number on.
    Log(Option<u32>),
    /// These nodes, with their numbers: a place in the list would tell how many are in it that may not be seen.
    Listed(VecDeque<(u32, NodeId)>),
}

impl Search {
    /// Begins a search: what an index is asked for may have to be read from disk.
    pub(super) async fn begin<P: Send + 'static>(
        shared: &Arc<Shared>,
        call: &Call,
        place: P,
        asked: v1::SearchRequest,
    ) -> Result<(Self, P), Status> {
        let (shared, caller) = (Arc::clone(shared), Arc::clone(&call.caller));
        call.work(place, move || Self::new(&shared, &caller, asked)).await
    }

    fn new(shared: &Arc<Shared>, caller: &Arc<Caller>, asked: v1::SearchRequest) -> Result<Self, Status> {
        let kind =
            match v1::NodeKind::try_from(asked.kind) {
                Ok(v1::NodeKind::Unspecified) => None,
                known => Some(kind_of(known.ok().map_or(0, i32::from)).ok_or_else(|| {
                    bad_field("kind", "KIND_UNKNOWN", format_args!("{} is no kind of node", asked.kind))
                })?),
            };
        let (size, position) = match read_token(&asked.page_token)? {
            Some((size, _)) if asked.tree_size != 0 && asked.tree_size != size => return Err(bad_token()),
            Some((size, position)) => (pinned(shared, size)?, position),
            None => (pinned(shared, asked.tree_size)?, 0),
        };
        let source = match listed(shared, &asked)? {
            Some(ids) => {
                let numbers = shared.store.numbers(&ids).map_err(status::read)?;
                Source::Listed(numbers.into_iter().zip(ids).filter(|(number, _)| *number >= position).collect())
            }
            None => Source::Log(Some(position)),
        };
        let left = if asked.limit == 0 { u64::MAX } else { asked.limit };
        let (shared, caller) = (Arc::clone(shared), Arc::clone(caller));
        Ok(Self { shared, caller, asked, kind, size, source, waiting: VecDeque::new(), left, is_over: false })
    }

    /// Returns the next message; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<v1::SearchResponse>, Status> {
        if self.is_over {
            return Ok(None);
        }
        let mut message = v1::SearchResponse { tree_size: self.size, ..Default::default() };
        let mut bytes = 0_usize;
        for _ in 0..READS_AT_ONCE {
            while let Some((position, node)) = self.waiting.pop_front() {
                if !self.meets(&node) {
                    continue;
                }
                if self.left == 0 {
                    self.is_over = true;
                    (message.cut, message.next_page_token) = (true, token(self.size, position));
                    return Ok(Some(message));
                }
                self.left = self.left.saturating_sub(1);
                let shown = Showing { caller: &self.caller, view: self.asked.view() }.node(&node, None, self.size);
                bytes = bytes.saturating_add(prost_len(&shown));
                message.nodes.push(shown);
                if bytes > MESSAGE_BYTES {
                    return Ok(Some(message));
                }
            }
            if !self.read()? {
                self.is_over = true;
                break;
            }
        }
        Ok(Some(message))
    }

    /// Reads more candidates; tells whether there were any to read.
    fn read(&mut self) -> Result<bool, Status> {
        let options = ScanOptions { kind: self.kind, at: Some(self.size) };
        match &mut self.source {
            Source::Log(position) => {
                let Some(begin) = *position else { return Ok(false) };
                let part = self.shared.store.scan(begin, NODES_AT_ONCE, options).map_err(status::read)?;
                *position = part.next;
                self.waiting.extend(part.nodes);
            }
            Source::Listed(listed) => {
                let ids: Vec<NodeId> = listed.iter().take(NODES_AT_ONCE).map(|(_, id)| *id).collect();
                if ids.is_empty() {
                    return Ok(false);
                }
                let nodes = self.shared.store.first_nodes(&ids, None).map_err(status::read)?;
                let numbers: Vec<u32> = listed.drain(..nodes.len()).map(|(number, _)| number).collect();
                self.waiting.extend(numbers.into_iter().zip(nodes));
            }
        }
        Ok(true)
    }

    /// Tells whether a node meets every filter.
    fn meets(&self, node: &StoredNode) -> bool {
        let (asked, core) = (&self.asked, &node.core);
        let is_there = node.index < self.size && self.kind.is_none_or(|kind| core.kind == kind);
        let of_committer = asked.committer.is_empty() || *asked.committer == *node.committer.as_bytes();
        let in_time = node.time >= asked.time_from && (asked.time_to == 0 || node.time < asked.time_to);
        is_there && of_committer && in_time && meets_core(asked, core) && self.meets_details(node)
    }

    fn meets_details(&self, node: &StoredNode) -> bool {
        let asked = &self.asked;
        if asked.name.is_empty() && asked.content.is_empty() && asked.details.is_empty() {
            return true;
        }
        let own = name(node.core.kind, &node.record);
        let is_named = asked.name.is_empty() || own.as_deref() == Some(asked.name.as_str());
        let has = |(name, text): (&String, &String)| {
            detail(node.core.kind, &node.record, name).as_deref() == Some(text.as_str())
        };
        is_named && self.caller.sees(own.as_deref()) && asked.details.iter().all(has)
    }
}

fn meets_core(asked: &v1::SearchRequest, core: &Core) -> bool {
    let is = |wanted: &str, found: Option<String>| wanted.is_empty() || found.as_deref() == Some(wanted);
    is(&asked.grade, core.grade.as_ref().map(ToString::to_string))
        && is(&asked.country, core.country.map(|country| country.to_string()))
        && (asked.modality.is_empty() || core.modality.iter().any(|word| word.as_str() == asked.modality))
}

/// Returns the nodes to which every index leads that a filter has, in log order; `None` if no filter has one.
fn listed(shared: &Shared, asked: &v1::SearchRequest) -> Result<Option<Vec<NodeId>>, Status> {
    let mut lists = Vec::new();
    if !asked.content.is_empty() {
        let bytes: [u8; 32] = asked.content.as_ref().try_into().map_err(|_| {
            let text = format!("a digest has 32 bytes, and this has {}", asked.content.len());
            bad_field("content", "DIGEST_MALFORMED", text)
        })?;
        lists.push(shared.store.by_content(&Digest::from_bytes(bytes)).map_err(status::read)?);
    }
    if !asked.name.is_empty() {
        lists.push(shared.store.by_name(&asked.name).map_err(status::read)?);
    }
    if !asked.assesses.is_empty() {
        let subject = node_id("assesses", &asked.assesses)?;
        lists.push(shared.store.assessments_of(&subject).map_err(status::read)?);
    }
    let Some(mut ids) = lists.pop() else { return Ok(None) };
    for other in lists {
        let other: HashSet<NodeId> = other.into_iter().collect();
        ids.retain(|id| other.contains(id));
    }
    Ok(Some(ids))
}

fn prost_len(node: &v1::Node) -> usize {
    prost::Message::encoded_len(node)
}

fn token(size: u64, position: u32) -> String {
    format!("{size}.{position}")
}

fn read_token(text: &str) -> Result<Option<(u64, u32)>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let parts = text.split_once('.').and_then(|(size, position)| Some((size.parse().ok()?, position.parse().ok()?)));
    parts.map(Some).ok_or_else(bad_token)
}
