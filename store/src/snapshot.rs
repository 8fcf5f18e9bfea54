//! Snapshots: the catalogue in one compact file, so that opening need not read every segment.
//!
//! `snapshots/catalogue` is BLAKE3 over the rest, and then bincode, which rests here and is never
//! hashed into anything. A snapshot that is missing, broken, of another version or of another log
//! is no fault: the segments are read instead, and it is written again.

use bincode::{Decode, Encode};
use griptrace_core::{
    commit::StatusLine,
    digest::Digest,
    id::{GenesisHash, NodeId, StatusKey},
    node::{Kind, Mark, Role},
    tree::{Frontier, Rfc9162, TreeSize},
};

use crate::{
    catalogue::{Catalogue, Placed, PlacedAssessment, PlacedCommit, PlacedEdge},
    error::StorageError,
    number::place,
    objects::Objects,
    segment::FramePlace,
};

const NAME: &str = "snapshots/catalogue";
/// The version of what is below: another one is a snapshot that isn't there.
const VERSION: u32 = 1;

type Hash = [u8; 32];

#[derive(Encode, Decode)]
struct Stored {
    version: u32,
    home: Hash,
    size: u64,
    frontier: Vec<Hash>,
    nodes: Vec<StoredPlace>,
    edges: Vec<(u8, u32)>,
    commits: Vec<(u64, u64, u64, u32, u32, u32)>,
    heads: Vec<u64>,
    lines: Vec<(u64, Hash, Hash)>,
    assessments: Vec<(u32, Hash, Vec<Hash>)>,
}

#[derive(Encode, Decode)]
struct StoredPlace {
    id: Hash,
    kind: u8,
    mark: u8,
    commit: u32,
    offset: u64,
    length: u32,
    attached: bool,
    first_edge: u32,
}

/// Writes a snapshot of the whole catalogue.
pub(crate) fn write(objects: &Objects, catalogue: &Catalogue) -> Result<(), StorageError> {
    let stored = to_stored(catalogue);
    let body = bincode::encode_to_vec(&stored, bincode::config::standard())
        .map_err(|e| StorageError::corrupt(NAME, format!("it cannot be encoded: {e}")))?;
    objects.put(NAME, &[blake3::hash(&body).as_bytes().as_slice(), &body].concat())
}

/// Reads the snapshot, if there is one that can be believed.
pub(crate) fn read(objects: &Objects, home: &GenesisHash) -> Result<Option<Catalogue>, StorageError> {
    let Some(bytes) = objects.read(NAME)? else { return Ok(None) };
    let Some((sum, body)) = bytes.split_first_chunk::<32>() else { return Ok(None) };
    if blake3::hash(body).as_bytes() != sum {
        return Ok(None);
    }
    let decoded: Result<(Stored, usize), _> = bincode::decode_from_slice(body, bincode::config::standard());
    let stored = decoded.ok().map(|(stored, _)| stored);
    let stored = stored.filter(|stored| stored.version == VERSION && stored.home == *home.as_bytes());
    Ok(stored.and_then(from_stored))
}

fn to_stored(catalogue: &Catalogue) -> Stored {
    let bytes = |digest: &Digest| *digest.as_bytes();
    Stored {
        version: VERSION,
        home: *catalogue.home.as_bytes(),
        size: catalogue.size(),
        frontier: catalogue.frontier.nodes().iter().map(bytes).collect(),
        nodes: catalogue.nodes.iter().map(to_place).collect(),
        edges: catalogue.edges.iter().map(|edge| (edge.role.number(), edge.to)).collect(),
        commits: catalogue
            .commits
            .iter()
            .map(|c| (c.leaf, c.segment, c.frame.offset, c.frame.length, c.first_node, c.nodes))
            .collect(),
        heads: catalogue.heads.clone(),
        lines: catalogue
            .lines
            .iter()
            .map(|(leaf, line)| (*leaf, *line.key.as_bytes(), *line.status.as_bytes()))
            .collect(),
        assessments: catalogue
            .assessments
            .iter()
            .map(|a| (a.node, *a.key.as_bytes(), a.subjects.iter().map(|id| *id.as_bytes()).collect()))
            .collect(),
    }
}

fn to_place(node: &Placed) -> StoredPlace {
    StoredPlace {
        id: *node.id.as_bytes(),
        kind: node.kind.number(),
        mark: node.mark.map_or(0, Mark::number),
        commit: node.commit,
        offset: node.frame.offset,
        length: node.frame.length,
        attached: node.attached,
        first_edge: node.first_edge,
    }
}

fn from_stored(stored: Stored) -> Option<Catalogue> {
    let digest = Digest::from_bytes;
    let id = |bytes| NodeId::new(Digest::from_bytes(bytes));
    let key = |bytes| StatusKey::new(Digest::from_bytes(bytes));
    let mut catalogue = Catalogue::new(GenesisHash::new(digest(stored.home)));
    let frontier = stored.frontier.into_iter().map(digest).collect();
    catalogue.frontier = Frontier::from_parts(Rfc9162, TreeSize::new(stored.size), frontier).ok()?;
    catalogue.nodes = stored.nodes.iter().map(from_place).collect::<Option<_>>()?;
    catalogue.edges = stored.edges.into_iter().map(|(role, to)| from_edge(role, to)).collect::<Option<_>>()?;
    catalogue.commits = stored
        .commits
        .into_iter()
        .map(|(leaf, segment, offset, length, first_node, nodes)| PlacedCommit {
            leaf,
            segment,
            frame: FramePlace { offset, length },
            first_node,
            nodes,
        })
        .collect();
    catalogue.heads = stored.heads;
    catalogue.lines = stored
        .lines
        .into_iter()
        .map(|(leaf, k, status)| (leaf, StatusLine { key: key(k), status: id(status) }))
        .collect();
    catalogue.assessments = stored
        .assessments
        .into_iter()
        .map(|(node, k, subjects)| PlacedAssessment {
            node,
            key: key(k),
            subjects: subjects.into_iter().map(id).collect(),
        })
        .collect();
    is_sound(&catalogue).then(|| catalogue.derive())
}

/// Tells whether every number in it leads somewhere: a snapshot is believed, and never a panic.
fn is_sound(catalogue: &Catalogue) -> bool {
    let (nodes, edges, commits) = (catalogue.nodes.len(), catalogue.edges.len(), catalogue.commits.len());
    let ordered = catalogue.nodes.is_sorted_by_key(|node| (node.commit, node.first_edge));
    let last = |commit: &PlacedCommit| place(commit.first_node).saturating_add(place(commit.nodes));
    ordered
        && catalogue.nodes.iter().all(|node| place(node.commit) < commits && place(node.first_edge) <= edges)
        && catalogue.edges.iter().all(|edge| place(edge.to) < nodes)
        && catalogue.commits.iter().all(|commit| last(commit) <= nodes)
        && catalogue.assessments.iter().all(|assessment| place(assessment.node) < nodes)
        && catalogue.nodes.first().is_none_or(|node| node.first_edge == 0)
}

fn from_place(stored: &StoredPlace) -> Option<Placed> {
    Some(Placed {
        id: NodeId::new(Digest::from_bytes(stored.id)),
        kind: Kind::ALL.iter().copied().find(|kind| kind.number() == stored.kind)?,
        mark: Mark::ALL.iter().copied().find(|mark| mark.number() == stored.mark),
        commit: stored.commit,
        frame: FramePlace { offset: stored.offset, length: stored.length },
        attached: stored.attached,
        first_edge: stored.first_edge,
    })
}

fn from_edge(role: u8, to: u32) -> Option<PlacedEdge> {
    let role = Role::ALL.iter().copied().find(|known| known.number() == role)?;
    Some(PlacedEdge { role, to })
}
