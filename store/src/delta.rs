//! What a group adds to the catalogue: made and checked from its bytes before anything of it is
//! signed, and applied afterwards.

use std::collections::HashMap;

use griptrace_core::{
    assessment::assessed,
    commit::{Commit, StatusLine},
    digest::{COMMIT_TREE, Digest},
    entry::Entry,
    id::NodeId,
    key_change::{KeyUse, key_line},
    node::{Core, Kind, node_id},
    status_map::StatusMap,
    tree::{self, Frontier, Rfc9162},
};

use crate::{
    catalogue::Catalogue,
    error::StorageError,
    head::Head,
    number::wide,
    parallel::on_all_processors,
    placed::{Number, Placed, PlacedAssessment, PlacedCommit, PlacedEdge, PlacedHead},
    segment::{Group, GroupEntry, GroupNode, core_of_node, decode_attachment},
};

/// What a group adds.
#[derive(Debug)]
pub(crate) struct Delta {
    pub(crate) ids: Vec<NodeId>,
    pub(crate) nodes: Vec<Placed>,
    pub(crate) edges: Vec<PlacedEdge>,
    pub(crate) commits: Vec<PlacedCommit>,
    pub(crate) heads: Vec<PlacedHead>,
    pub(crate) lines: Vec<(u64, StatusLine)>,
    /// The indices of key changes.
    pub(crate) changes: Vec<u64>,
    /// Those of the log's own key, with their entries.
    pub(crate) log_changes: Vec<(u64, Vec<u8>)>,
    pub(crate) assessments: Vec<PlacedAssessment>,
    /// The operator's time in the status head.
    pub(crate) time: u64,
    /// The hashes of the entries.
    pub(crate) leaves: Vec<Digest>,
    pub(crate) map: StatusMap,
    pub(crate) frontier: Frontier<Rfc9162>,
    pub(crate) segment: u64,
    /// Where the group ends in its segment.
    pub(crate) end: u64,
}

impl Delta {
    /// Works out what a group adds to a catalogue, and checks what holds entries, nodes, status head
    /// and end together.
    pub(crate) fn of(base: &Catalogue, group: &Group<'_>) -> Result<Self, StorageError> {
        if group.first != base.size() {
            let why = format!("a group begins at entry {}, and the log before it has {}", group.first, base.size());
            return Err(StorageError::corrupt(group.name, why));
        }
        let delta = Self::nothing(base, group.segment, group.end);
        let mut builder = Builder { base, group, delta, fresh: HashMap::new() };
        for entry in &group.entries {
            builder.entry(entry)?;
        }
        builder.finish()
    }

    /// Begins with nothing beyond a catalogue.
    fn nothing(base: &Catalogue, segment: u64, end: u64) -> Self {
        Self {
            ids: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            commits: Vec::new(),
            heads: Vec::new(),
            lines: Vec::new(),
            changes: Vec::new(),
            log_changes: Vec::new(),
            assessments: Vec::new(),
            time: 0,
            leaves: Vec::new(),
            map: base.map().clone(),
            frontier: base.frontier().clone(),
            segment,
            end,
        }
    }

    /// Returns what a group adds of which nothing is known but ids.
    #[cfg(test)]
    pub(crate) fn of_ids(base: &Catalogue, ids: Vec<NodeId>) -> Self {
        let frame = crate::segment::FramePlace { offset: 0, length: 0 };
        let first_edge = base.edges();
        let node = Placed { kind: Kind::Dataset, mark: None, commit: 0, frame, attached: false, first_edge };
        Self { nodes: vec![node; ids.len()], ids, ..Self::nothing(base, 0, 0) }
    }

    /// Returns the index of the group's first entry.
    pub(crate) fn first(&self) -> u64 {
        self.frontier.size().get().saturating_sub(wide(self.leaves.len()))
    }

    /// Returns the size and root of the tree with this group.
    pub(crate) fn head(&self) -> Head {
        Head { size: self.frontier.size().get(), root: self.frontier.root().unwrap_or(Rfc9162::EMPTY_ROOT) }
    }
}

/// A node's core, with its id and where its local edges lead if that is in the log before.
struct Read {
    id: NodeId,
    core: Core,
    old: Vec<Option<Number>>,
}

fn read_core(base: &Catalogue, name: &str, node: &GroupNode<'_>) -> Result<Read, StorageError> {
    let bytes = core_of_node(name, node.bytes)?;
    let core = Core::from_bytes(bytes).map_err(|e| StorageError::corrupt(name, e))?;
    let old = core.edges.iter().filter(|edge| edge.home.is_none()).map(|edge| base.number(&edge.to)).collect();
    Ok(Read { id: node_id(bytes), core, old })
}

struct Builder<'a> {
    base: &'a Catalogue,
    group: &'a Group<'a>,
    delta: Delta,
    /// Numbers of the nodes in this group.
    fresh: HashMap<NodeId, Number>,
}

impl Builder<'_> {
    fn bad(&self, why: impl ToString) -> StorageError {
        StorageError::corrupt(self.group.name, why)
    }

    fn finish(self) -> Result<Delta, StorageError> {
        let head = self.delta.head();
        if self.delta.heads.last().map(|head| head.index.saturating_add(1)) != Some(head.size) {
            return Err(self.bad("a group does not end in a status head"));
        }
        if (self.group.first == 0) != self.group.checkpoint.is_none() {
            return Err(self.bad("a group lacks the checkpoint before it, or has one and is the first"));
        }
        if head.root != self.group.root {
            let (says, computed) = (self.group.root, head.root);
            return Err(self.bad(format!("a group says root {says} at size {}, computed was {computed}", head.size)));
        }
        Ok(self.delta)
    }

    fn entry(&mut self, entry: &GroupEntry<'_>) -> Result<(), StorageError> {
        let leaf = Rfc9162::leaf_hash(entry.bytes);
        let index = self.delta.frontier.push(leaf).map_err(|e| self.bad(e))?.get();
        self.delta.leaves.push(leaf);
        let parsed = Entry::parse(entry.bytes).map_err(|e| self.bad(format!("entry {index}: {e}")))?;
        if !entry.nodes.is_empty() && !matches!(parsed, Entry::Commit(_)) {
            // They would be under no root, and nobody would look at them.
            return Err(self.bad(format!("nodes stand behind entry {index}, which is no commit")));
        }
        match parsed {
            Entry::Genesis(_) if index == 0 => Ok(()),
            Entry::Genesis(_) => Err(self.bad(format!("entry {index} is a second genesis"))),
            Entry::Commit(commit) => self.commit(index, &commit, entry),
            Entry::KeyChange(signed) => {
                signed.verify().map_err(|e| self.bad(format!("entry {index}: {e}")))?;
                self.lines(index, &[key_line(&signed.change, entry.bytes)]);
                self.delta.changes.push(index);
                if signed.change.of == KeyUse::Log {
                    self.delta.log_changes.push((index, entry.bytes.to_vec()));
                }
                Ok(())
            }
            Entry::StatusHead(head) => {
                let root = self.delta.map.root();
                if head.index != index || head.map_root != root {
                    let (said, has) = (head.index, head.map_root);
                    let why =
                        format!("the status head at {index} says index {said} and map {has}, computed was {root}");
                    return Err(self.bad(why));
                }
                let before = self.group.checkpoint.map(|(frame, _)| (self.group.segment, frame));
                self.delta.heads.push(PlacedHead { index, before });
                self.delta.time = head.time;
                Ok(())
            }
        }
    }

    fn commit(&mut self, leaf: u64, commit: &Commit, entry: &GroupEntry<'_>) -> Result<(), StorageError> {
        let counted = |before: u32, fresh: usize, nouns: &str| {
            let all = wide(fresh).saturating_add(before.into());
            let why = || self.bad(format!("the log has more {nouns} than this version can count"));
            u32::try_from(all).ok().filter(|number| *number < u32::MAX).ok_or_else(why)
        };
        let first_node = counted(self.base.len(), self.delta.nodes.len().saturating_add(entry.nodes.len()), "nodes")?;
        let first_node = first_node.saturating_sub(u32::try_from(entry.nodes.len()).unwrap_or(u32::MAX));
        let number = counted(self.base.commits(), self.delta.commits.len(), "commits")?;
        let read = on_all_processors(&entry.nodes, |node| read_core(self.base, self.group.name, node));
        let cores: Vec<Read> = read.into_iter().collect::<Result<_, _>>()?;
        let leaves: Vec<Digest> = cores.iter().map(|read| *read.id.digest()).collect();
        let root = tree::root(&COMMIT_TREE, &leaves);
        let sorted = leaves.windows(2).all(|pair| pair[0] < pair[1]);
        if root != Some(commit.payload.root) || wide(leaves.len()) != commit.payload.count || !sorted {
            let why = format!("the nodes kept for commit {leaf} are not those under its root {}", commit.payload.root);
            return Err(self.bad(why));
        }
        self.fresh.extend(cores.iter().map(|read| read.id).zip(first_node..));
        for (Read { id, core, old }, node) in cores.iter().zip(&entry.nodes) {
            let first_edge = wide(self.delta.edges.len()).saturating_add(self.base.edges().into());
            let first_edge = u32::try_from(first_edge)
                .map_err(|_| self.bad("the log has more edges than this version can count"))?;
            self.edges(*id, core, old)?;
            if core.kind == Kind::Assessment {
                self.assessment(*id, core, node.attachment)?;
            }
            let attached = node.attachment.is_some();
            let (kind, mark) = (core.kind, core.mark);
            self.delta.ids.push(*id);
            self.delta.nodes.push(Placed { kind, mark, commit: number, frame: node.frame, attached, first_edge });
        }
        self.lines(leaf, &commit.payload.statuses);
        let nodes = u32::try_from(cores.len()).unwrap_or(u32::MAX);
        let segment = self.group.segment;
        self.delta.commits.push(PlacedCommit { leaf, segment, frame: entry.frame, first_node, nodes });
        Ok(())
    }

    fn lines(&mut self, leaf: u64, lines: &[StatusLine]) {
        for line in lines {
            self.delta.map.append(line.key.digest(), line.status.digest());
            self.delta.lines.push((leaf, *line));
        }
    }

    fn number(&self, id: &NodeId) -> Option<Number> {
        self.base.number(id).or_else(|| self.fresh.get(id).copied())
    }

    fn edges(&mut self, id: NodeId, core: &Core, old: &[Option<Number>]) -> Result<(), StorageError> {
        for (edge, old) in core.edges.iter().filter(|edge| edge.home.is_none()).zip(old) {
            let to = old.or_else(|| self.fresh.get(&edge.to).copied());
            let to = to.ok_or_else(|| self.bad(format!("node {id} leads to {}, which is not in the log", edge.to)))?;
            self.delta.edges.push(PlacedEdge { role: edge.role, to });
        }
        Ok(())
    }

    fn assessment(&mut self, id: NodeId, core: &Core, attachment: Option<&[u8]>) -> Result<(), StorageError> {
        let key = assessed(id, core).map_err(|e| self.bad(format!("node {id}: {e}")))?.status_key;
        let attachment = attachment.map(|bytes| decode_attachment(self.group.name, bytes)).transpose()?;
        let subjects = attachment.and_then(|attachment| attachment.subjects);
        let subjects = subjects.into_iter().flat_map(|subjects| subjects.openings).map(|(id, ..)| id).collect();
        let node = self.number(&id).unwrap_or_default();
        self.delta.assessments.push(PlacedAssessment { node, key, subjects });
        Ok(())
    }
}
