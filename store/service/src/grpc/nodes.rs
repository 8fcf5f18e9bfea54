//! Nodes as they travel, as far as the caller may see them.

use bytes::Bytes;
use griptrace_core::{
    details::{read_value, slot, slot_name},
    digest::Digest,
    node::{Core, Kind},
};
use griptrace_proto::v1;
use griptrace_store::{Found, NodeProof, StoredNode, record::NodeRecord};

use crate::access::Caller;

/// Returns the name in a record's details.
pub(crate) fn name(kind: Kind, record: &NodeRecord) -> Option<String> {
    detail(kind, record, "name")
}

/// Returns the text of a detail.
pub(crate) fn detail(kind: Kind, record: &NodeRecord, name: &str) -> Option<String> {
    Some(read_value(record.values.get(&slot(kind, name)?)?).ok()?.as_text()?.to_owned())
}

/// Returns a kind as it travels.
pub(crate) fn kind_number(kind: Kind) -> i32 {
    i32::from(kind.number())
}

/// Reads a kind.
pub(crate) fn kind_of(number: i32) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| i32::from(kind.number()) == number)
}

/// Returns a digest as it travels.
pub(crate) fn digest(digest: &Digest) -> Bytes {
    Bytes::copy_from_slice(digest.as_bytes())
}

/// Returns hashes as they travel.
pub(crate) fn digests(hashes: &[Digest]) -> Vec<Bytes> {
    hashes.iter().map(digest).collect()
}

/// Returns the nodes that a walk came to as they travel. Their ids share one piece of memory.
pub(crate) fn found(found: &[Found]) -> Vec<v1::Found> {
    let all: Bytes = found.iter().flat_map(|found| *found.id.as_bytes()).collect::<Vec<u8>>().into();
    let mut rest = all;
    let message = |found: &Found| v1::Found {
        id: rest.split_to(found.id.as_bytes().len()),
        kind: kind_number(found.kind),
        depth: found.depth,
    };
    found.iter().map(message).collect()
}

/// How nodes are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Showing<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) view: v1::NodeView,
}

impl Showing<'_> {
    /// Returns a node as it travels.
    pub(crate) fn node(&self, node: &StoredNode, proof: Option<NodeProof>, size: u64) -> v1::Node {
        let core = &node.core;
        let name = name(core.kind, &node.record);
        let is_seen = self.caller.sees(name.as_deref());
        let is_full = self.view == v1::NodeView::Full;
        let shows = is_full && is_seen;
        v1::Node {
            id: digest(node.id.digest()),
            kind: kind_number(core.kind),
            core: Bytes::copy_from_slice(&node.record.core),
            fields: Some(fields(core)),
            edges: edges(core),
            details_root: digest(&core.details),
            redacted: is_full && !is_seen,
            name: name.filter(|_| is_seen).unwrap_or_default(),
            details: if shows { details(core.kind, &node.record) } else { Vec::new() },
            record: if shows { node.record.to_bytes().into() } else { Bytes::new() },
            index: node.index,
            committer: Bytes::copy_from_slice(node.committer.as_bytes()),
            issuer: node.issuer.clone(),
            commit_time: node.time,
            proof: proof.map(|proof| node_proof(&proof, size)),
        }
    }
}

fn node_proof(proof: &NodeProof, tree_size: u64) -> v1::NodeProof {
    v1::NodeProof {
        entry: Bytes::copy_from_slice(&proof.entry),
        place: proof.place,
        count: proof.count,
        commit_path: digests(&proof.commit_path),
        log_path: digests(&proof.log_path),
        tree_size,
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn fields(core: &Core) -> v1::CoreFields {
    let words = |words: &[griptrace_core::word::Word]| words.iter().map(ToString::to_string).collect();
    v1::CoreFields {
        origin: text(core.origin),
        activity: text(core.activity),
        mark: text(core.mark),
        modality: words(&core.modality),
        purpose: words(&core.purpose),
        grade: text(core.grade.as_ref()),
        country: text(core.country),
        date: text(core.date),
        basis: text(core.basis.as_ref()),
        content_held: text(core.held),
        digest_strength: text(core.strength),
        use_allowed: core.use_allowed,
        in_scope: core.in_scope,
        persons: text(core.persons),
    }
}

fn edges(core: &Core) -> Vec<v1::Edge> {
    let edge = |edge: &griptrace_core::node::Edge| v1::Edge {
        role: i32::from(edge.role.number()),
        to: digest(edge.to.digest()),
        home: edge.home.map_or_else(Bytes::new, |home| Bytes::copy_from_slice(home.as_bytes())),
    };
    core.edges.iter().map(edge).collect()
}

fn details(kind: Kind, record: &NodeRecord) -> Vec<v1::Detail> {
    let detail = |(slot, value): (&u8, &Vec<u8>)| v1::Detail {
        slot: u32::from(*slot),
        name: slot_name(kind, *slot).map_or_else(|| format!("slot-{slot}"), str::to_owned),
        text: read_value(value).map_or_else(|_| String::new(), |value| value.to_string()),
        value: Bytes::copy_from_slice(value),
    };
    record.values.iter().map(detail).collect()
}
