//! A supplier's bundle, taken apart, and the parts of it that a later bundle needs (docs/spec/bundle.md, a supplier's part).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use griptrace_core::{
    assessment::{assessed, subject_leaf},
    bundle::{Anchor, Bundle, CommitPart, LogPart, ManifestOpening, StatusPart, SubjectOpening},
    checkpoint::Checkpoint,
    details::Opening,
    digest::{COMMIT_TREE, Digest, SUBJECT_TREE},
    entry::{Entry, genesis_hash},
    id::{GenesisHash, KeyId, NodeId, StatusKey},
    key_change::{KeyChange, key_line, key_status},
    key_history::concerned,
    node::{Core, Kind, node_id},
    note::Note,
    status_map::{narrow_statuses, status_value},
    tree::{Rfc9162, narrow_leaves},
};

use super::AdoptedLog;
use crate::number::{narrow, wide};

/// An adopted bundle.
#[derive(Debug)]
pub(crate) struct Supplied {
    pub(crate) digest: Digest,
    pub(crate) bundle: Bundle,
    logs: Vec<SuppliedLog>,
    /// By ordinal.
    nodes: Vec<SuppliedNode>,
    ordinals: HashMap<NodeId, usize>,
    /// The assessments by the node that they open.
    opened_by: HashMap<NodeId, Vec<NodeId>>,
}

#[derive(Debug)]
struct SuppliedLog {
    home: GenesisHash,
    origin: String,
    /// The size of the newest checkpoint.
    size: u64,
    /// The root of the status map under it.
    map_root: Digest,
    /// How many nodes the commit of each part has.
    counts: Vec<u64>,
    /// The ordinal of the first node of each part.
    firsts: Vec<usize>,
    /// The log's first key.
    key: KeyId,
    /// The key that signed the commit of each part.
    signers: Vec<KeyId>,
    changes: Vec<SuppliedChange>,
}

/// A key change of an adopted bundle.
#[derive(Debug)]
struct SuppliedChange {
    /// Its place among the entries.
    entry: usize,
    change: KeyChange,
    /// What it adds to the status map under the key that it retires.
    line: Digest,
}

/// A node of an adopted bundle.
#[derive(Debug)]
pub(crate) struct SuppliedNode {
    pub(crate) log: usize,
    pub(crate) id: NodeId,
    pub(crate) core: Core,
    /// What the status map is asked for.
    pub(crate) key: StatusKey,
    /// Whether it is an assessment that its assessor signed.
    pub(crate) is_signed: bool,
    /// Of an assessment: the leaves of its subject tree.
    subjects: u64,
}

/// What is wrong with bytes that should be a verified bundle.
type Why = String;

impl Supplied {
    /// Takes a bundle apart that was verified once.
    pub(crate) fn read(digest: Digest, bytes: &[u8]) -> Result<Self, Why> {
        let bundle = Bundle::from_bytes(bytes).map_err(|e| e.to_string())?;
        let (mut logs, mut nodes) = (Vec::new(), Vec::new());
        for (number, part) in bundle.logs.iter().enumerate() {
            logs.push(SuppliedLog::read(part, nodes.len())?);
            for core in part.commits.iter().flat_map(|commit| &commit.cores) {
                nodes.push(SuppliedNode::read(number, core)?);
            }
        }
        let ordinals: HashMap<NodeId, usize> = nodes.iter().enumerate().map(|(at, node)| (node.id, at)).collect();
        let mut opened_by: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        let id_at = |ordinal: u64| nodes.get(narrow(ordinal)).map(|node| node.id).ok_or("an ordinal of no node");
        for opening in &bundle.openings {
            for (_, subject, _) in &opening.subjects {
                opened_by.entry(id_at(*subject)?).or_default().push(id_at(opening.assessment)?);
            }
        }
        Ok(Self { digest, bundle, logs, nodes, ordinals, opened_by })
    }

    /// Returns the logs with the ids of their nodes.
    pub(crate) fn summary(&self) -> Vec<AdoptedLog> {
        let nodes = |log: usize| self.nodes.iter().filter(|node| node.log == log).map(|node| node.id).collect();
        let logs = self.logs.iter().enumerate();
        logs.map(|(at, log)| AdoptedLog {
            origin: log.origin.clone(),
            home: log.home,
            size: log.size,
            nodes: nodes(at),
        })
        .collect()
    }

    /// Returns every node, by ordinal.
    pub(crate) fn nodes(&self) -> &[SuppliedNode] {
        &self.nodes
    }

    pub(crate) fn node(&self, id: &NodeId) -> Option<&SuppliedNode> {
        self.nodes.get(*self.ordinals.get(id)?)
    }

    pub(crate) fn ordinal(&self, id: &NodeId) -> Option<u64> {
        self.ordinals.get(id).copied().map(wide)
    }

    /// Returns the id of the node with an ordinal.
    pub(crate) fn id_at(&self, ordinal: u64) -> Option<NodeId> {
        self.nodes.get(narrow(ordinal)).map(|node| node.id)
    }

    pub(crate) fn origin_of(&self, id: &NodeId) -> Option<&str> {
        Some(&self.logs.get(self.node(id)?.log)?.origin)
    }

    /// Returns the place of a log here.
    pub(crate) fn log(&self, home: &GenesisHash) -> Option<usize> {
        self.logs.iter().position(|log| log.home == *home)
    }

    /// Returns how many checkpoints of a log are here.
    pub(crate) fn checkpoints(&self, log: usize) -> usize {
        self.bundle.logs.get(log).map_or(0, |part| part.anchors.len())
    }

    /// Returns the size of a log's newest checkpoint here.
    pub(crate) fn size(&self, log: usize) -> u64 {
        self.logs.get(log).map_or(0, |log| log.size)
    }

    /// Returns the origin of a log here.
    pub(crate) fn origin(&self, log: usize) -> &str {
        self.logs.get(log).map_or("", |log| log.origin.as_str())
    }

    /// Returns what is disclosed of a node.
    pub(crate) fn disclosure(&self, id: &NodeId) -> Option<&Opening> {
        let ordinal = self.ordinal(id)?;
        let found = self.bundle.disclosures.binary_search_by_key(&ordinal, |disclosure| disclosure.node).ok()?;
        self.bundle.disclosures.get(found).map(|disclosure| &disclosure.opening)
    }

    /// Returns the opened manifest of a node.
    pub(crate) fn manifest(&self, id: &NodeId) -> Option<&ManifestOpening> {
        let ordinal = self.ordinal(id)?;
        self.bundle.manifests.iter().find(|manifest| manifest.node == ordinal)
    }

    /// Returns the assessments that open a node.
    pub(crate) fn assessments_of(&self, subject: &NodeId) -> &[NodeId] {
        self.opened_by.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Returns the statuses under a log's newest checkpoint.
    pub(crate) fn statuses(&self, log: usize) -> &[(StatusKey, Vec<NodeId>)] {
        self.newest(log).map_or(&[], |status| status.present.as_slice())
    }

    fn newest(&self, log: usize) -> Option<&StatusPart> {
        self.bundle.logs.get(log)?.anchors.last()?.status.as_ref()
    }

    /// Returns the keys that a log's newest checkpoint answers for here (Rule R5).
    fn answers(&self, log: usize) -> BTreeSet<StatusKey> {
        let due =
            |node: &&SuppliedNode| node.core.kind != Kind::Status && (node.log == log || (log == 0 && node.is_signed));
        let further = self.newest(log).into_iter().flat_map(|status| status.further.iter().copied());
        self.nodes.iter().filter(due).map(|node| node.key).chain(further).collect()
    }

    /// Returns the part of a log that shows the `kept` nodes and no other, and these nodes in their order. It answers for
    /// their statuses and, of the `signed` assessments, for those that it can.
    pub(crate) fn narrowed(
        &self,
        log: usize,
        kept: &BTreeSet<NodeId>,
        signed: &BTreeSet<StatusKey>,
    ) -> Result<(LogPart, Vec<NodeId>), Why> {
        let (Some(known), Some(part)) = (self.logs.get(log), self.bundle.logs.get(log)) else {
            return Err("a log that is not there".to_owned());
        };
        let mut order = Vec::new();
        let mut commits = Vec::new();
        let mut signers = BTreeSet::new();
        let mut dropped: BTreeSet<usize> = part.commits.iter().map(|commit| narrow(commit.entry)).collect();
        let counted = part.commits.iter().zip(&known.counts).zip(&known.firsts).zip(&known.signers);
        for (((commit, count), first), signer) in counted {
            let Some((narrowed, ids)) = self.commit(commit, *count, *first, kept)? else { continue };
            dropped.remove(&narrow(commit.entry));
            signers.insert(*signer);
            commits.push(narrowed);
            order.extend(ids);
        }
        let (keys, changes) = known.concerned(signers);
        dropped.extend(known.changes.iter().map(|change| change.entry).filter(|entry| !changes.contains(entry)));
        let left: Vec<usize> = (0..part.entries.len()).filter(|place| !dropped.contains(place)).collect();
        for commit in &mut commits {
            commit.entry = wide(left.partition_point(|place| *place < narrow(commit.entry)));
        }
        let leaves: Vec<(u64, Digest)> =
            part.entries.iter().map(|(index, entry)| (*index, Rfc9162::leaf_hash(entry))).collect();
        let entries: Vec<_> = left.iter().filter_map(|place| part.entries.get(*place).cloned()).collect();
        let indices: Vec<u64> = entries.iter().map(|(index, _)| *index).collect();
        let inclusion = narrow_leaves(&Rfc9162, known.size, &leaves, &part.inclusion, &indices);
        let inclusion = inclusion.map_err(|e| format!("entries of {}: {e}", known.origin))?;
        let mut anchors: Vec<Anchor> =
            part.anchors.iter().map(|anchor| Anchor { status: None, ..anchor.clone() }).collect();
        if let Some(last) = anchors.last_mut() {
            last.status = Some(self.status(log, kept, signed, &keys)?);
        }
        Ok((LogPart { entries, inclusion, anchors, commits }, order))
    }

    fn commit(
        &self,
        part: &CommitPart,
        count: u64,
        first: usize,
        kept: &BTreeSet<NodeId>,
    ) -> Result<Option<(CommitPart, Vec<NodeId>)>, Why> {
        let nodes = self.nodes.iter().skip(first).take(part.cores.len());
        let all: Vec<(u64, NodeId)> = part.places.iter().copied().zip(nodes.map(|node| node.id)).collect();
        let (places, ids): (Vec<u64>, Vec<NodeId>) = all.iter().filter(|(_, id)| kept.contains(id)).copied().unzip();
        if ids.is_empty() {
            return Ok(None);
        }
        let leaves: Vec<(u64, Digest)> = all.iter().map(|(place, id)| (*place, *id.digest())).collect();
        let proof = narrow_leaves(&COMMIT_TREE, count, &leaves, &part.proof, &places);
        let proof = proof.map_err(|e| format!("nodes of a commit: {e}"))?;
        let cores = all.iter().zip(&part.cores).filter(|((_, id), _)| kept.contains(id));
        let cores = cores.map(|(_, core)| core.clone()).collect();
        Ok(Some((CommitPart { entry: part.entry, places, cores, proof }, ids)))
    }

    fn status(
        &self,
        log: usize,
        kept: &BTreeSet<NodeId>,
        signed: &BTreeSet<StatusKey>,
        keys: &BTreeSet<KeyId>,
    ) -> Result<StatusPart, Why> {
        let (Some(known), Some(newest)) = (self.logs.get(log), self.newest(log)) else {
            return Err("a log without statuses".to_owned());
        };
        let answers = self.answers(log);
        let here = self.nodes.iter().filter(|node| node.log == log && node.core.kind != Kind::Status);
        let due: BTreeSet<StatusKey> = here.filter(|node| kept.contains(&node.id)).map(|node| node.key).collect();
        let further: Vec<StatusKey> = signed.intersection(&answers).filter(|key| !due.contains(key)).copied().collect();
        let asked: BTreeSet<StatusKey> = due.iter().chain(&further).copied().collect();
        let value = |(key, ids): &(StatusKey, Vec<NodeId>)| {
            (*key.digest(), status_value(&ids.iter().map(|id| *id.digest()).collect::<Vec<_>>()))
        };
        let (all_keys, _) = known.concerned(known.signers.iter().copied().collect());
        let values: Vec<(Digest, Digest)> = newest.present.iter().map(value).chain(known.retired(&all_keys)).collect();
        let digests = |statuses: &BTreeSet<StatusKey>, keys: &BTreeSet<KeyId>| -> Vec<Digest> {
            statuses.iter().copied().chain(keys.iter().map(key_status)).map(|key| *key.digest()).collect()
        };
        let (before, after) = (digests(&answers, &all_keys), digests(&asked, keys));
        let proof = narrow_statuses(&known.map_root, before, &values, &newest.proof, after);
        let proof = proof.map_err(|e| format!("statuses of {}: {e}", known.origin))?;
        let present = newest.present.iter().filter(|(key, _)| asked.contains(key)).cloned().collect();
        Ok(StatusPart { present, proof, further })
    }

    /// Returns what an assessment opens of the nodes that have an ordinal in the later bundle; `None` if that is nothing.
    pub(crate) fn opening(
        &self,
        assessment: &NodeId,
        ordinals: &BTreeMap<NodeId, u64>,
    ) -> Result<Option<SubjectOpening>, Why> {
        let (Some(from), Some(to)) = (self.ordinal(assessment), ordinals.get(assessment)) else { return Ok(None) };
        let found = self.bundle.openings.binary_search_by_key(&from, |opening| opening.assessment);
        let Some(opening) = found.ok().and_then(|at| self.bundle.openings.get(at)) else { return Ok(None) };
        let (mut leaves, mut subjects) = (Vec::new(), Vec::new());
        for (index, ordinal, salt) in &opening.subjects {
            let id = self.id_at(*ordinal).ok_or("a subject that is no node")?;
            leaves.push((*index, subject_leaf(salt, &id)));
            subjects.extend(ordinals.get(&id).map(|ordinal| (*index, *ordinal, *salt)));
        }
        let indices: Vec<u64> = subjects.iter().map(|(index, ..)| *index).collect();
        if indices.is_empty() {
            return Ok(None);
        }
        let size = self.node(assessment).map_or(0, |node| node.subjects);
        let proof = narrow_leaves(&SUBJECT_TREE, size, &leaves, &opening.proof, &indices);
        let proof = proof.map_err(|e| format!("subjects of {assessment}: {e}"))?;
        Ok(Some(SubjectOpening { assessment: *to, subjects, proof }))
    }
}

impl SuppliedLog {
    fn read(part: &LogPart, first: usize) -> Result<Self, Why> {
        let entry = |place: usize| part.entries.get(place).map(|(_, bytes)| bytes.as_slice());
        let genesis = entry(0).ok_or("a log without entries")?;
        let Ok(Entry::Genesis(read)) = Entry::parse(genesis) else { return Err("a log without a genesis".to_owned()) };
        let anchor = part.anchors.last().ok_or("a log without a checkpoint")?;
        let note = Note::parse(anchor.note.as_bytes()).map_err(|e| e.to_string())?;
        let size = Checkpoint::parse(note.text()).map_err(|e| e.to_string())?.size;
        let head = part.entries.binary_search_by_key(&size.saturating_sub(1), |(index, _)| *index);
        let head = head.ok().and_then(entry).ok_or("a checkpoint without its status head")?;
        let Ok(Entry::StatusHead(head)) = Entry::parse(head) else {
            return Err("a checkpoint without its status head".to_owned());
        };
        let mut firsts = Vec::new();
        let mut next = first;
        let (mut counts, mut signers) = (Vec::new(), Vec::new());
        for commit in &part.commits {
            let bytes = entry(narrow(commit.entry)).ok_or("nodes without their commit")?;
            let Ok(Entry::Commit(read)) = Entry::parse(bytes) else {
                return Err("nodes without their commit".to_owned());
            };
            counts.push(read.payload.count);
            signers.push(read.key());
            firsts.push(next);
            next = next.saturating_add(commit.cores.len());
        }
        let mut changes = Vec::new();
        for (place, (_, bytes)) in part.entries.iter().enumerate() {
            if let Ok(Entry::KeyChange(signed)) = Entry::parse(bytes) {
                let line = *key_line(&signed.change, bytes).status.digest();
                changes.push(SuppliedChange { entry: place, change: signed.change, line });
            }
        }
        let (home, key, map_root) = (genesis_hash(genesis), read.key.id(), head.map_root);
        Ok(Self { home, origin: read.origin, size, map_root, counts, firsts, key, signers, changes })
    }

    /// Returns the keys that commits by these signers rest on, and the places of the key changes that concern them.
    fn concerned(&self, signers: BTreeSet<KeyId>) -> (BTreeSet<KeyId>, BTreeSet<usize>) {
        let mut keys = signers;
        keys.insert(self.key);
        let changes: Vec<&KeyChange> = self.changes.iter().map(|known| &known.change).collect();
        let found = concerned(&mut keys, &changes);
        let places = self.changes.iter().zip(found).filter(|(_, found)| *found).map(|(known, _)| known.entry);
        (keys, places.collect())
    }

    /// Returns what the status map has of those of the keys that retired.
    fn retired(&self, keys: &BTreeSet<KeyId>) -> Vec<(Digest, Digest)> {
        let lines = |key: &KeyId| -> Vec<Digest> {
            self.changes.iter().filter(|known| known.change.retired.id() == *key).map(|known| known.line).collect()
        };
        let all = keys.iter().map(|key| (*key_status(key).digest(), lines(key))).filter(|(_, lines)| !lines.is_empty());
        all.map(|(key, lines)| (key, status_value(&lines))).collect()
    }
}

impl SuppliedNode {
    fn read(log: usize, bytes: &[u8]) -> Result<Self, Why> {
        let core = Core::from_bytes(bytes).map_err(|e| e.to_string())?;
        let id = node_id(bytes);
        if core.kind != Kind::Assessment {
            return Ok(Self { log, id, core, key: StatusKey::of_node(id), is_signed: false, subjects: 0 });
        }
        let read = assessed(id, &core).map_err(|e| e.to_string())?;
        let (is_signed, subjects) = (read.signed.is_some(), read.assessment.subjects);
        Ok(Self { log, id, core, key: read.status_key, is_signed, subjects })
    }
}
