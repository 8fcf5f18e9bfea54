//! What is where, in memory: ids, edges, commits, statuses. Derived from the segments, and from
//! nothing else; a snapshot only spares the reading.
//!
//! Nodes have *numbers*: their order in the log, and within a commit the order of their ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use griptrace_core::{
    assessment::assessed,
    commit::{Commit, StatusLine},
    digest::{COMMIT_TREE, Digest},
    entry::Entry,
    id::{GenesisHash, NodeId, StatusKey},
    node::{Core, Kind, Mark, Role, node_id},
    status_map::StatusMap,
    tree::{self, Frontier, Rfc9162},
};

use crate::{
    error::StorageError,
    number::{place, wide},
    segment::{FramePlace, Segment, SegmentEntry, decode_attachment, decode_node},
};

/// A node's number.
pub(crate) type Number = u32;

/// Where a node is, and what questions need of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    pub(crate) id: NodeId,
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

/// What a segment adds. Made and checked before anything is published, and applied afterwards.
#[derive(Debug)]
pub(crate) struct Delta {
    nodes: Vec<Placed>,
    edges: Vec<PlacedEdge>,
    commits: Vec<PlacedCommit>,
    heads: Vec<u64>,
    lines: Vec<(u64, StatusLine)>,
    assessments: Vec<PlacedAssessment>,
    /// The operator's time in the last status head.
    pub(crate) time: u64,
    /// The hashes of the entries.
    pub(crate) leaves: Vec<Digest>,
    pub(crate) map: StatusMap,
    pub(crate) frontier: Frontier<Rfc9162>,
}

impl Delta {
    /// Returns the size and root of the tree with this segment.
    pub(crate) fn head(&self) -> (u64, Digest) {
        (self.frontier.size().get(), self.frontier.root().unwrap_or(Rfc9162::EMPTY_ROOT))
    }
}

/// All nodes of a log, by what is asked of them.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) home: GenesisHash,
    pub(crate) nodes: Vec<Placed>,
    pub(crate) edges: Vec<PlacedEdge>,
    pub(crate) commits: Vec<PlacedCommit>,
    /// Indices of the status heads: a checkpoint was made after each.
    pub(crate) heads: Vec<u64>,
    /// Every line of the status map, in log order, with its commit's leaf.
    pub(crate) lines: Vec<(u64, StatusLine)>,
    pub(crate) assessments: Vec<PlacedAssessment>,
    pub(crate) map: StatusMap,
    pub(crate) frontier: Frontier<Rfc9162>,
    by_id: HashMap<NodeId, Number>,
    /// For each node the first and last edge that leads to it, and for each edge the next one.
    children: Vec<Option<(u32, u32)>>,
    next_child: Vec<Option<u32>>,
    edge_owner: Vec<Number>,
    by_subject: HashMap<NodeId, BTreeSet<Number>>,
    by_key: BTreeMap<StatusKey, Vec<usize>>,
    by_assessment: HashMap<Number, usize>,
}

impl Catalogue {
    /// Begins with nothing.
    pub(crate) fn new(home: GenesisHash) -> Self {
        Self {
            home,
            nodes: Vec::new(),
            edges: Vec::new(),
            commits: Vec::new(),
            heads: Vec::new(),
            lines: Vec::new(),
            assessments: Vec::new(),
            map: StatusMap::new(),
            frontier: Frontier::new(Rfc9162),
            by_id: HashMap::new(),
            children: Vec::new(),
            next_child: Vec::new(),
            edge_owner: Vec::new(),
            by_subject: HashMap::new(),
            by_key: BTreeMap::new(),
            by_assessment: HashMap::new(),
        }
    }

    /// Returns how many entries the log has.
    pub(crate) fn size(&self) -> u64 {
        self.frontier.size().get()
    }

    /// Returns the root over the entries.
    pub(crate) fn root(&self) -> Digest {
        self.frontier.root().unwrap_or(Rfc9162::EMPTY_ROOT)
    }

    /// Returns how many nodes there are.
    pub(crate) fn len(&self) -> Number {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    /// Returns a node's number.
    pub(crate) fn number(&self, id: &NodeId) -> Option<Number> {
        self.by_id.get(id).copied()
    }

    /// Returns a node. Numbers come from here, so that there is one.
    pub(crate) fn node(&self, number: Number) -> &Placed {
        &self.nodes[place(number)]
    }

    /// Returns the commit of a node.
    pub(crate) fn commit_of(&self, number: Number) -> &PlacedCommit {
        &self.commits[place(self.node(number).commit)]
    }

    /// Returns the leaf index of a node's commit.
    pub(crate) fn leaf(&self, number: Number) -> u64 {
        self.commit_of(number).leaf
    }

    /// Returns the nodes of a commit: sorted by id.
    pub(crate) fn nodes_of(&self, commit: &PlacedCommit) -> &[Placed] {
        let first = place(commit.first_node);
        &self.nodes[first..first.saturating_add(place(commit.nodes))]
    }

    /// Returns a node's local edges.
    pub(crate) fn edges_of(&self, number: Number) -> &[PlacedEdge] {
        let first = place(self.node(number).first_edge);
        let end = self.nodes.get(place(number).saturating_add(1)).map_or(self.edges.len(), |n| place(n.first_edge));
        &self.edges[first..end]
    }

    /// Returns the nodes at the end of a node's local edges of one role.
    pub(crate) fn to(&self, number: Number, role: Role) -> impl Iterator<Item = Number> + '_ {
        self.edges_of(number).iter().filter(move |edge| edge.role == role).map(|edge| edge.to)
    }

    /// Returns a node's parents.
    pub(crate) fn parents(&self, number: Number) -> impl Iterator<Item = Number> + '_ {
        self.edges_of(number).iter().filter(|edge| is_parent(edge.role)).map(|edge| edge.to)
    }

    /// Returns the nodes with an edge to this one, in log order, with the edge's role.
    pub(crate) fn incoming(&self, number: Number) -> impl Iterator<Item = (Role, Number)> + '_ {
        let mut next = self.children[place(number)].map(|(first, _)| first);
        core::iter::from_fn(move || {
            let edge = place(next?);
            next = self.next_child[edge];
            Some((self.edges[edge].role, self.edge_owner[edge]))
        })
    }

    /// Returns the nodes of which this one is a parent, in log order.
    pub(crate) fn children(&self, number: Number) -> impl Iterator<Item = Number> + '_ {
        self.incoming(number).filter(|(role, _)| is_parent(*role)).map(|(_, child)| child)
    }

    /// Returns what the status map is asked for about a node.
    pub(crate) fn status_key(&self, number: Number) -> StatusKey {
        let assessment = self.by_assessment.get(&number).and_then(|at| self.assessments.get(*at));
        assessment.map_or_else(|| StatusKey::of_node(self.node(number).id), |assessment| assessment.key)
    }

    /// Returns the assessments that can open a node. Two records of one signed assessment stand for
    /// each other: what the one can open, the other can.
    pub(crate) fn assessments_of(&self, subject: &NodeId) -> impl Iterator<Item = Number> + '_ {
        self.by_subject.get(subject).into_iter().flatten().copied()
    }

    /// Returns the assessment nodes of one status key, in log order.
    pub(crate) fn siblings(&self, number: Number) -> Vec<Number> {
        let found = self.by_key.get(&self.status_key(number)).into_iter().flatten();
        found.filter_map(|at| self.assessments.get(*at)).map(|assessment| assessment.node).collect()
    }

    /// Returns the status map over the first `size` entries.
    pub(crate) fn map_at(&self, size: u64) -> StatusMap {
        if size >= self.size() {
            return self.map.clone();
        }
        let mut map = StatusMap::new();
        for (_, line) in self.lines.iter().take_while(|(leaf, _)| *leaf < size) {
            map.append(line.key.digest(), line.status.digest());
        }
        map
    }

    /// Works out what a segment adds, and checks what holds entries, nodes and status heads together.
    pub(crate) fn delta(&self, segment: &Segment<'_>) -> Result<Delta, StorageError> {
        if segment.first != self.size() {
            let why = format!("it begins at entry {}, and the log before it has {}", segment.first, self.size());
            return Err(StorageError::corrupt(&*segment.name, why));
        }
        let delta = Delta {
            nodes: Vec::new(),
            edges: Vec::new(),
            commits: Vec::new(),
            heads: Vec::new(),
            lines: Vec::new(),
            assessments: Vec::new(),
            time: 0,
            leaves: Vec::new(),
            map: self.map.clone(),
            frontier: self.frontier.clone(),
        };
        let mut builder = Builder { base: self, segment, delta, fresh: HashMap::new() };
        for entry in &segment.entries {
            builder.entry(entry)?;
        }
        let delta = builder.delta;
        if delta.heads.last().map(|index| index.saturating_add(1)) != Some(delta.frontier.size().get()) {
            return Err(StorageError::corrupt(&*segment.name, "it does not end in a status head"));
        }
        Ok(delta)
    }

    /// Takes in what a segment adds.
    pub(crate) fn apply(&mut self, delta: Delta) {
        self.by_id.extend((self.len()..).zip(&delta.nodes).map(|(number, node)| (node.id, number)));
        let first_edge = self.edges.len();
        self.nodes.extend(delta.nodes);
        self.children.resize(self.nodes.len(), None);
        self.edges.extend(delta.edges);
        self.link(first_edge);
        self.commits.extend(delta.commits);
        self.heads.extend(delta.heads);
        self.lines.extend(delta.lines);
        for assessment in delta.assessments {
            self.add_assessment(assessment);
        }
        self.map = delta.map;
        self.frontier = delta.frontier;
    }

    /// Threads the edges from `first` on into the lists of those that lead to a node.
    fn link(&mut self, first: usize) {
        self.next_child.resize(self.edges.len(), None);
        self.edge_owner.resize(self.edges.len(), 0);
        let owners = self.nodes.iter().enumerate().rev().take_while(|(_, node)| place(node.first_edge) >= first);
        let mut owners: Vec<(Number, usize)> =
            owners.map(|(at, node)| (u32::try_from(at).unwrap_or(u32::MAX), place(node.first_edge))).collect();
        owners.reverse();
        for (at, (owner, start)) in owners.iter().enumerate() {
            let end = owners.get(at.saturating_add(1)).map_or(self.edges.len(), |(_, next)| *next);
            for edge in *start..end {
                self.edge_owner[edge] = *owner;
                let number = u32::try_from(edge).unwrap_or(u32::MAX);
                let child = &mut self.children[place(self.edges[edge].to)];
                match child {
                    Some((_, last)) => {
                        self.next_child[place(*last)] = Some(number);
                        *last = number;
                    }
                    None => *child = Some((number, number)),
                }
            }
        }
    }

    fn add_assessment(&mut self, assessment: PlacedAssessment) {
        let at = self.assessments.len();
        let siblings = self.by_key.entry(assessment.key).or_default();
        for sibling in siblings.iter().filter_map(|at| self.assessments.get(*at)) {
            for subject in &assessment.subjects {
                self.by_subject.entry(*subject).or_default().insert(sibling.node);
            }
            for subject in &sibling.subjects {
                self.by_subject.entry(*subject).or_default().insert(assessment.node);
            }
        }
        siblings.push(at);
        for subject in &assessment.subjects {
            self.by_subject.entry(*subject).or_default().insert(assessment.node);
        }
        self.by_assessment.insert(assessment.node, at);
        self.assessments.push(assessment);
    }

    /// Fills in what is derived from what a snapshot stores.
    pub(crate) fn derive(mut self) -> Self {
        self.by_id = self.nodes.iter().zip(0..).map(|(node, number)| (node.id, number)).collect();
        self.children.resize(self.nodes.len(), None);
        self.link(0);
        for assessment in core::mem::take(&mut self.assessments) {
            self.add_assessment(assessment);
        }
        for (_, line) in &self.lines {
            self.map.append(line.key.digest(), line.status.digest());
        }
        self
    }
}

/// Tells whether an edge leads to a parent: what a walk to the sources follows.
pub(crate) const fn is_parent(role: Role) -> bool {
    matches!(role, Role::Used | Role::GeneratedBy | Role::Ships)
}

struct Builder<'a> {
    base: &'a Catalogue,
    segment: &'a Segment<'a>,
    delta: Delta,
    /// Numbers of the nodes in this segment.
    fresh: HashMap<NodeId, Number>,
}

impl Builder<'_> {
    fn bad(&self, why: impl ToString) -> StorageError {
        StorageError::corrupt(&*self.segment.name, why)
    }

    fn entry(&mut self, entry: &SegmentEntry<'_>) -> Result<(), StorageError> {
        let leaf = Rfc9162::leaf_hash(entry.bytes);
        let index = self.delta.frontier.push(leaf).map_err(|e| self.bad(e))?.get();
        self.delta.leaves.push(leaf);
        let parsed = Entry::parse(entry.bytes).map_err(|e| self.bad(format!("entry {index}: {e}")))?;
        match parsed {
            Entry::Genesis(_) if index == 0 => Ok(()),
            Entry::Genesis(_) => Err(self.bad(format!("entry {index} is a second genesis"))),
            Entry::Commit(commit) => self.commit(index, &commit, entry),
            Entry::StatusHead(head) => {
                let root = self.delta.map.root();
                if head.index != index || head.map_root != root {
                    let (said, has) = (head.index, head.map_root);
                    let why =
                        format!("the status head at {index} says index {said} and map {has}, computed was {root}");
                    return Err(self.bad(why));
                }
                self.delta.heads.push(index);
                self.delta.time = head.time;
                Ok(())
            }
        }
    }

    fn commit(&mut self, leaf: u64, commit: &Commit, entry: &SegmentEntry<'_>) -> Result<(), StorageError> {
        let numbers = self.base.nodes.len().saturating_add(self.delta.nodes.len());
        let first_node =
            u32::try_from(numbers).map_err(|_| self.bad("the log has more nodes than this version can count"))?;
        let at = u32::try_from(self.base.commits.len().saturating_add(self.delta.commits.len()));
        let number = at.map_err(|_| self.bad("the log has more commits than this version can count"))?;
        let mut cores = Vec::new();
        for node in &entry.nodes {
            let record = decode_node(&self.segment.name, node.bytes)?;
            let (id, core) = (node_id(&record.core), Core::from_bytes(&record.core).map_err(|e| self.bad(e))?);
            cores.push((id, core));
        }
        let leaves: Vec<Digest> = cores.iter().map(|(id, _)| *id.digest()).collect();
        let root = tree::root(&COMMIT_TREE, &leaves);
        let sorted = leaves.windows(2).all(|pair| pair[0] < pair[1]);
        if root != Some(commit.payload.root) || wide(leaves.len()) != commit.payload.count || !sorted {
            let why = format!("the nodes kept for commit {leaf} are not those under its root {}", commit.payload.root);
            return Err(self.bad(why));
        }
        let numbered: Vec<(Number, NodeId)> = (first_node..).zip(cores.iter().map(|(id, _)| *id)).collect();
        self.fresh.extend(numbered.iter().map(|(number, id)| (*id, *number)));
        for ((id, core), node) in cores.iter().zip(&entry.nodes) {
            let first_edge = self.base.edges.len().saturating_add(self.delta.edges.len());
            let first_edge = u32::try_from(first_edge)
                .map_err(|_| self.bad("the log has more edges than this version can count"))?;
            self.edges(*id, core)?;
            if core.kind == Kind::Assessment {
                self.assessment(*id, core, node.attachment)?;
            }
            let attached = node.attachment.is_some();
            let (kind, mark) = (core.kind, core.mark);
            self.delta.nodes.push(Placed {
                id: *id,
                kind,
                mark,
                commit: number,
                frame: node.frame,
                attached,
                first_edge,
            });
        }
        for line in &commit.payload.statuses {
            self.delta.map.append(line.key.digest(), line.status.digest());
            self.delta.lines.push((leaf, *line));
        }
        let nodes = u32::try_from(cores.len()).unwrap_or(u32::MAX);
        let segment = self.segment.first;
        self.delta.commits.push(PlacedCommit { leaf, segment, frame: entry.frame, first_node, nodes });
        Ok(())
    }

    fn number(&self, id: &NodeId) -> Option<Number> {
        self.base.number(id).or_else(|| self.fresh.get(id).copied())
    }

    fn edges(&mut self, id: NodeId, core: &Core) -> Result<(), StorageError> {
        for edge in core.edges.iter().filter(|edge| edge.home.is_none()) {
            let to = self.number(&edge.to);
            let to = to.ok_or_else(|| self.bad(format!("node {id} leads to {}, which is not in the log", edge.to)))?;
            self.delta.edges.push(PlacedEdge { role: edge.role, to });
        }
        Ok(())
    }

    fn assessment(&mut self, id: NodeId, core: &Core, attachment: Option<&[u8]>) -> Result<(), StorageError> {
        let key = assessed(id, core).map_err(|e| self.bad(format!("node {id}: {e}")))?.status_key;
        let attachment = attachment.map(|bytes| decode_attachment(&self.segment.name, bytes)).transpose()?;
        let subjects = attachment.and_then(|attachment| attachment.subjects);
        let subjects = subjects.into_iter().flat_map(|subjects| subjects.openings).map(|(id, ..)| id).collect();
        let node = self.number(&id).unwrap_or_default();
        self.delta.assessments.push(PlacedAssessment { node, key, subjects });
        Ok(())
    }
}
