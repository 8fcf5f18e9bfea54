//! What makes an answer believed: nothing here asks a server, and nothing is taken on its word.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use griptrace_core::{
    assessment::assessed,
    bundle::BundleView,
    checkpoint::Checkpoint,
    commit::Commit,
    details::slot_name,
    digest::{COMMIT_TREE, Digest},
    entry::{Entry, StatusHead},
    id::{GenesisHash, NodeId, StatusKey},
    node::{Core, Kind, Role, node_id},
    note::{Note, NoteVerifier},
    status_map::{status_value, verify_statuses},
    tree::{LeafIndex, ProofError, Rfc9162, TreeSize, root_from_leaves, verify_inclusion},
};
use griptrace_proto::v1;
use griptrace_store::{Disclose, Found, LogEntry, StoredNode, record::NodeRecord};

use super::lie::Lie;

/// A checkpoint whose signature was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pinned {
    /// The size of the tree.
    pub(crate) size: u64,
    /// Its root.
    pub(crate) root: Digest,
    /// The signed note.
    pub(crate) note: String,
    /// The key of the log that signed it.
    pub(crate) by: NoteVerifier,
}

/// A node that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    /// The node; without details, manifest and subjects if those are withheld.
    pub(crate) node: StoredNode,
    /// Whether the server keeps the private part from this caller.
    pub(crate) is_withheld: bool,
}

/// Reads a checkpoint that the log's key has to have signed.
pub(crate) fn checkpoint(verifier: &NoteVerifier, note: &str) -> Result<Pinned, Lie> {
    let unsigned = |why: String| Lie::Unsigned { vkey: verifier.to_vkey(), why };
    let parsed = Note::parse(note.as_bytes()).map_err(|e| Lie::malformed("the checkpoint", e))?;
    let signed = parsed.verify(core::slice::from_ref(verifier)).map_err(|e| unsigned(e.to_string()))?;
    if signed.is_empty() {
        return Err(unsigned("no line is by this key".to_owned()));
    }
    let checkpoint = Checkpoint::parse(parsed.text()).map_err(|e| Lie::malformed("the checkpoint", e))?;
    if checkpoint.origin != verifier.name() {
        return Err(Lie::Origin { expected: verifier.name().to_owned(), found: checkpoint.origin });
    }
    Ok(Pinned { size: checkpoint.size, root: checkpoint.root, note: note.to_owned(), by: verifier.clone() })
}

impl Pinned {
    /// Checks that an answer was given at this size.
    pub(crate) const fn at(&self, found: u64) -> Result<(), Lie> {
        if found == self.size { Ok(()) } else { Err(Lie::Size { pinned: self.size, found }) }
    }

    /// Checks that an entry stands at a leaf index.
    pub(crate) fn holds(&self, what: &'static str, entry: &[u8], index: u64, path: &[Bytes]) -> Result<(), Lie> {
        let (leaf, path) = (Rfc9162::leaf_hash(entry), digests("a proof", path)?);
        verify_inclusion(&Rfc9162, LeafIndex::new(index), TreeSize::new(self.size), &leaf, &path, &self.root)
            .map_err(|why| Lie::NotInLog { what, size: self.size, why })
    }

    /// Checks a node: its bytes, its private record, its place in a signed commit, and that in the log.
    pub(crate) fn node(&self, home: GenesisHash, node: &v1::Node) -> Result<Verified, Lie> {
        let id = node_id(&node.core);
        if *node.id != *id.as_bytes() {
            return Err(Lie::Id { stated: read_id("a node's id", &node.id)?, computed: id });
        }
        let core = Core::from_bytes(&node.core).map_err(|e| Lie::malformed("a core", e))?;
        if core.home != home {
            return Err(Lie::Home { id, expected: home, found: core.home });
        }
        let record = record(id, node)?;
        let commit = self.commit(id, node)?;
        let node = StoredNode {
            id,
            core,
            record: record.clone().unwrap_or_else(|| bare(&node.core)),
            index: node.index,
            committer: commit.key(),
            issuer: commit.issuer().clone(),
            time: commit.payload.time,
        };
        Ok(Verified { node, is_withheld: record.is_none() })
    }

    /// Checks a node's place in its commit, and the commit's in the log.
    fn commit(&self, id: NodeId, node: &v1::Node) -> Result<Commit, Lie> {
        let proof = node.proof.as_ref().ok_or_else(|| Lie::malformed("a node's proof", "there is none"))?;
        self.at(proof.tree_size)?;
        self.holds("a commit", &proof.entry, node.index, &proof.log_path)?;
        let commit = Commit::parse(&proof.entry).map_err(|e| Lie::malformed("a commit", e))?;
        let path = digests("a node's place", &proof.commit_path)?;
        let (place, count) = (LeafIndex::new(proof.place), TreeSize::new(commit.payload.count));
        verify_inclusion(&COMMIT_TREE, place, count, id.digest(), &path, &commit.payload.root)
            .map_err(|why| Lie::Place { id, why })?;
        let hex = |bytes: &[u8]| {
            Digest::from_slice(bytes).map_or_else(|| format!("{} bytes", bytes.len()), |d| d.to_string())
        };
        let beside = [
            ("key", hex(&node.committer), commit.key().to_string()),
            ("issuer", node.issuer.clone(), commit.issuer().clone()),
            ("time", node.commit_time.to_string(), commit.payload.time.to_string()),
            ("count", proof.count.to_string(), commit.payload.count.to_string()),
        ];
        match beside.into_iter().find(|(_, stated, found)| stated != found) {
            Some((field, stated, found)) => Err(Lie::Beside { id, field, stated, found }),
            None => Ok(commit),
        }
    }

    /// Checks that these are all statuses of a node, and returns them in log order.
    pub(crate) fn statuses(
        &self,
        id: NodeId,
        key: StatusKey,
        answer: &v1::GetStatusResponse,
    ) -> Result<Vec<NodeId>, Lie> {
        self.at(answer.tree_size)?;
        let key = *key.digest();
        if *answer.key != *key.as_bytes() {
            let found = Digest::from_slice(&answer.key).map_or_else(String::new, |found| found.to_string());
            return Err(Lie::StatusKey { expected: key, found });
        }
        let head = self.status_head(answer)?;
        let statuses = digests("a status", &answer.statuses)?;
        let present: Vec<(Digest, Digest)> =
            if statuses.is_empty() { Vec::new() } else { vec![(key, status_value(&statuses))] };
        verify_statuses(&head.map_root, [key], &present, &answer.proof).map_err(|why| Lie::Statuses { id, why })?;
        Ok(statuses.into_iter().map(NodeId::new).collect())
    }

    /// Checks that a status head is the last leaf.
    fn status_head(&self, answer: &v1::GetStatusResponse) -> Result<StatusHead, Lie> {
        let last = self.size.saturating_sub(1);
        self.holds("the status head", &answer.head, last, &answer.head_path)?;
        match Entry::parse(&answer.head) {
            Ok(Entry::StatusHead(head)) if head.index == last => Ok(head),
            Ok(Entry::StatusHead(head)) => Err(Lie::Head { expected: last, found: head.index }),
            Ok(Entry::Genesis(_) | Entry::Commit(_) | Entry::KeyChange(_)) => {
                Err(Lie::malformed("the status head", "the last leaf is another entry"))
            }
            Err(error) => Err(Lie::malformed("the status head", error)),
        }
    }

    /// Checks entries that stand side by side: the paths of the first and the last hold all that is
    /// needed to compute the root again.
    pub(crate) fn entries(&self, entries: &[LogEntry], first: &[Bytes], last: &[Bytes]) -> Result<(), Lie> {
        let leaves: Vec<(u64, Digest)> =
            entries.iter().map(|entry| (entry.index, Rfc9162::leaf_hash(&entry.bytes))).collect();
        let (first, last) = (digests("a proof", first)?, digests("a proof", last)?);
        let ends = (entries.first().map_or(0, |e| e.index), entries.last().map_or(0, |e| e.index));
        let wrong = |why| Lie::NotInLog { what: "a range of entries", size: self.size, why };
        let proof = beside(self.size, ends, &first, &last);
        let computed = root_from_leaves(&Rfc9162, self.size, &leaves, &proof).map_err(wrong)?;
        if computed == self.root {
            return Ok(());
        }
        Err(wrong(ProofError::InclusionRoot { expected: self.root, computed }))
    }
}

/// Joins the paths of the first and the last leaf of a range into the proof of the whole range.
fn beside(size: u64, (mut first, mut last): (u64, u64), left: &[Digest], right: &[Digest]) -> Vec<Digest> {
    let (mut left, mut right) = (left.iter(), right.iter());
    let mut width = size;
    let mut proof = Vec::new();
    while width > 1 {
        let before = if first ^ 1 < width { left.next() } else { None };
        let after = if last ^ 1 < width { right.next() } else { None };
        proof.extend(before.filter(|_| first & 1 == 1));
        proof.extend(after.filter(|_| last & 1 == 0));
        (first, last, width) = (first >> 1, last >> 1, width.div_ceil(2));
    }
    proof
}

/// Reads and checks the private record, which is there unless it is withheld.
fn record(id: NodeId, node: &v1::Node) -> Result<Option<NodeRecord>, Lie> {
    let wrong = |why: String| Lie::Record { id, why };
    if node.redacted {
        return if node.record.is_empty() { Ok(None) } else { Err(wrong("it is said to be withheld".to_owned())) };
    }
    let record = NodeRecord::from_bytes(&node.record).map_err(|e| wrong(e.to_string()))?;
    if record.core != node.core {
        return Err(wrong("it holds another core".to_owned()));
    }
    record.check().map_err(|e| wrong(e.to_string()))?;
    Ok(Some(record))
}

/// Stands in for a record that is withheld.
fn bare(core: &[u8]) -> NodeRecord {
    NodeRecord::bare(core.to_vec(), BTreeMap::new(), None, None)
}

/// Returns what the status map is asked for about a node.
pub(crate) fn status_key(id: NodeId, core: &Core) -> StatusKey {
    let own = StatusKey::of_node(id);
    if core.kind == Kind::Assessment { assessed(id, core).map_or(own, |found| found.status_key) } else { own }
}

/// Returns the nodes of this log that a node came from.
pub(crate) fn parents(core: &Core) -> impl Iterator<Item = NodeId> + '_ {
    core.parents().filter(|edge| edge.home.is_none()).map(|edge| edge.to)
}

/// Walks an ancestry over verified nodes. What was listed has to be exactly what edges lead to.
pub(crate) fn ancestry(
    of: NodeId,
    listed: &BTreeSet<NodeId>,
    nodes: &BTreeMap<NodeId, StoredNode>,
) -> Result<Vec<Found>, Lie> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([of]);
    let mut todo = VecDeque::from([(of, 0_u64)]);
    while let Some((id, depth)) = todo.pop_front() {
        if id != of && !listed.contains(&id) {
            return Err(Lie::AncestorMissing { id });
        }
        let node = nodes.get(&id).ok_or(Lie::Missing { id })?;
        if id != of {
            found.push(Found { id, kind: node.core.kind, depth });
        }
        let next = parents(&node.core).filter(|parent| seen.insert(*parent));
        todo.extend(next.map(|parent| (parent, depth.saturating_add(1))));
    }
    match listed.iter().find(|id| !seen.contains(id) || **id == of) {
        Some(id) => Err(Lie::AncestorAdded { id: *id }),
        None => Ok(found),
    }
}

/// Checks that each of the nodes that were listed as descendants stands on `of`, at its distance.
pub(crate) fn descent(of: NodeId, listed: &[Found], nodes: &BTreeMap<NodeId, StoredNode>) -> Result<(), Lie> {
    let mut children: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for found in listed {
        let node = nodes.get(&found.id).ok_or(Lie::Missing { id: found.id })?;
        parents(&node.core).for_each(|parent| children.entry(parent).or_default().push(found.id));
    }
    let mut depths = BTreeMap::from([(of, 0_u64)]);
    let mut todo = VecDeque::from([of]);
    while let Some(id) = todo.pop_front() {
        let depth = depths.get(&id).map_or(0, |depth| depth.saturating_add(1));
        for child in children.get(&id).into_iter().flatten() {
            depths.entry(*child).or_insert_with(|| {
                todo.push_back(*child);
                depth
            });
        }
    }
    let wrong = listed.iter().find(|found| found.id == of || depths.get(&found.id) != Some(&found.depth));
    match wrong {
        Some(Found { id, depth, .. }) => {
            let found = depths.get(id).map_or_else(|| "that it does not".to_owned(), ToString::to_string);
            Err(Lie::Descendant { id: *id, stated: *depth, found })
        }
        None => Ok(()),
    }
}

/// Reads a bundle and checks that it is that of a node of this log, and opens no detail that was not asked for: it is
/// handed on.
pub(crate) fn bundle(bytes: &[u8], asked: NodeId, disclose: &Disclose) -> Result<String, Lie> {
    let bundle = BundleView::view(bytes).map_err(|e| Lie::malformed("the bundle", e))?;
    let log = bundle.logs.first().ok_or_else(|| Lie::malformed("the bundle", "it holds no log"))?;
    let cores: Vec<&[u8]> =
        bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores).copied().collect();
    let core = |ordinal: u64| usize::try_from(ordinal).ok().and_then(|ordinal| cores.get(ordinal)).copied();
    let root = core(bundle.root).map(node_id);
    if root != Some(asked) {
        let found = root.map_or_else(|| "no node".to_owned(), |root| root.to_string());
        return Err(Lie::Bundle { asked, found });
    }
    let anchor = log.anchors.last().ok_or_else(|| Lie::malformed("the bundle", "it holds no checkpoint"))?;
    let read = |ordinal: u64| {
        let read = core(ordinal).and_then(|bytes| Some((node_id(bytes), Core::from_bytes(bytes).ok()?)));
        read.ok_or_else(|| Lie::malformed("the bundle", "it opens a part of no node"))
    };
    check_opened(&bundle, &read(bundle.root)?, disclose, read)?;
    Ok(anchor.note.clone())
}

/// Checks that nothing is opened but what was asked for, and content and files of what ships.
fn check_opened(
    bundle: &BundleView<'_>,
    (root_id, root): &(NodeId, Core),
    disclose: &Disclose,
    read: impl Fn(u64) -> Result<(NodeId, Core), Lie>,
) -> Result<(), Lie> {
    let is_shipped = |id: &NodeId| root.edges.iter().any(|edge| edge.role == Role::Ships && edge.to == *id);
    let ships = |id: &NodeId| if root.kind == Kind::Model { id == root_id } else { is_shipped(id) };
    for manifest in &bundle.manifests {
        let (id, _) = read(manifest.node)?;
        if !ships(&id) {
            return Err(Lie::Opened { id, detail: "manifest".to_owned() });
        }
    }
    for opened in &bundle.disclosures {
        let (id, core) = read(opened.node)?;
        let asked = disclose.slots(core.kind, &id);
        for (slot, ..) in &opened.opening.slots {
            let name = slot_name(core.kind, *slot).unwrap_or("?");
            let goes_along = ships(&id) && matches!(name, "content" | "manifest");
            if !goes_along && !asked.contains(slot) {
                return Err(Lie::Opened { id, detail: name.to_owned() });
            }
        }
    }
    Ok(())
}

/// Reads hashes of 32 bytes.
pub(crate) fn digests(what: &'static str, list: &[Bytes]) -> Result<Vec<Digest>, Lie> {
    list.iter().map(|bytes| digest(what, bytes)).collect()
}

fn digest(what: &'static str, bytes: &[u8]) -> Result<Digest, Lie> {
    Digest::from_slice(bytes).ok_or_else(|| Lie::malformed(what, format!("it has {} bytes, not 32", bytes.len())))
}

/// Reads a node's id.
pub(crate) fn read_id(what: &'static str, bytes: &[u8]) -> Result<NodeId, Lie> {
    digest(what, bytes).map(NodeId::new)
}
