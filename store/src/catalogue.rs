//! What is where: ids, edges, commits, statuses. Derived from the segments, and from nothing else.
//!
//! Most of it is in a snapshot on disk, of which only what is asked for is read; what came after the
//! snapshot is in memory. Nodes have *numbers*: their order in the log, and within a commit the
//! order of their ids.

mod merge;
mod tail;

use core::ops::Range;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard},
};

use griptrace_core::{
    commit::StatusLine,
    digest::Digest,
    id::{GenesisHash, NodeId, StatusKey},
    node::{Kind, Role},
    status_map::StatusMap,
    tree::{Frontier, Rfc9162},
};

use self::tail::Tail;
use crate::{
    delta::Delta,
    number::{place, wide},
    placed::{
        Number, Placed, PlacedAssessment, PlacedCommit, PlacedEdge, PlacedHead, by_id_from_record, is_parent,
        line_from_record, prefix, role_of,
    },
    segment::FramePlace,
    snapshot::{Column, Reached, Snapshot},
};

/// All nodes of a log, by what is asked of them.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    pub(crate) home: GenesisHash,
    base: Option<Arc<Snapshot>>,
    tail: Tail,
    reached: Reached,
    /// Made from the lines when it is first asked for.
    map: OnceLock<StatusMap>,
    /// Made from the assessments when it is first asked for, and shared like the tail.
    assessed: OnceLock<Arc<RwLock<Assessed>>>,
}

/// Which assessments open what. Whoever looks passes over those of nodes that it does not have.
#[derive(Debug, Default)]
struct Assessed {
    /// How many there are.
    count: u64,
    keys: HashMap<Number, StatusKey>,
    /// Those that name a node as a subject themselves.
    by_subject: HashMap<NodeId, Vec<Number>>,
    by_key: BTreeMap<StatusKey, Vec<PlacedAssessment>>,
}

/// What is returned for a number that a damaged snapshot made up; the answer is thrown away.
const NOWHERE: Placed = Placed {
    kind: Kind::Dataset,
    mark: None,
    commit: 0,
    frame: FramePlace { offset: 0, length: 0 },
    attached: false,
    first_edge: 0,
};
const NO_COMMIT: PlacedCommit =
    PlacedCommit { leaf: 0, segment: 0, frame: FramePlace { offset: 0, length: 0 }, first_node: 0, nodes: 0 };

impl Catalogue {
    /// Begins with nothing.
    pub(crate) fn new(home: GenesisHash) -> Self {
        let reached = Reached { frontier: Frontier::new(Rfc9162), segment: 0, end: 0 };
        Self { home, base: None, tail: Tail::default(), reached, map: OnceLock::new(), assessed: OnceLock::new() }
    }

    /// Begins with a snapshot.
    pub(crate) fn on(home: GenesisHash, snapshot: Snapshot) -> Self {
        let (reached, tail) = (snapshot.reached.clone(), Tail::after(&snapshot));
        Self { base: Some(Arc::new(snapshot)), tail, reached, ..Self::new(home) }
    }

    /// Tells whether any answer so far may rest on a damaged snapshot.
    pub(crate) fn is_damaged(&self) -> bool {
        self.base.as_ref().is_some_and(|base| base.is_damaged())
    }

    /// Notes that the snapshot says something else than the log.
    pub(crate) fn distrust(&self) {
        self.base.iter().for_each(|base| base.distrust());
    }

    /// Tells whether part of it is in a snapshot.
    pub(crate) const fn has_snapshot(&self) -> bool {
        self.base.is_some()
    }

    /// Returns the snapshot that part of it is in.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.base.as_deref()
    }

    fn count(&self, column: Column) -> u32 {
        self.base.as_ref().map_or(0, |base| u32::try_from(base.count(column)).unwrap_or(u32::MAX))
    }

    /// Returns how many entries the log has.
    pub(crate) fn size(&self) -> u64 {
        self.reached.frontier.size().get()
    }

    /// Returns the root over the entries.
    pub(crate) fn root(&self) -> Digest {
        self.reached.frontier.root().unwrap_or(Rfc9162::EMPTY_ROOT)
    }

    /// Returns the complete subtrees over the entries.
    pub(crate) const fn frontier(&self) -> &Frontier<Rfc9162> {
        &self.reached.frontier
    }

    /// Returns where the last group ends: its segment and the offset there.
    pub(crate) const fn end(&self) -> (u64, u64) {
        (self.reached.segment, self.reached.end)
    }

    /// Returns how many nodes there are.
    pub(crate) fn len(&self) -> Number {
        self.tail.first_node.saturating_add(u32::try_from(self.tail.ends().nodes).unwrap_or(u32::MAX))
    }

    /// Returns how many nodes are not in the snapshot.
    pub(crate) fn tail_len(&self) -> Number {
        self.len().saturating_sub(self.tail.first_node)
    }

    /// Returns how many local edges there are.
    pub(crate) fn edges(&self) -> u32 {
        self.tail.first_edge.saturating_add(u32::try_from(self.tail.ends().edges).unwrap_or(u32::MAX))
    }

    /// Returns how many commits there are.
    pub(crate) fn commits(&self) -> u32 {
        self.count(Column::Commit).saturating_add(u32::try_from(self.tail.ends().commits).unwrap_or(u32::MAX))
    }

    /// Returns the number of the node with this id.
    pub(crate) fn number(&self, id: &NodeId) -> Option<Number> {
        self.tail.number_of(id).or_else(|| {
            let base = self.base.as_ref()?;
            let from = first_at_least(base, prefix(id));
            let same = (from..base.count(Column::ById)).map(|at| by_id_from_record(base.record(Column::ById, at)));
            let mut same = same.take_while(|(found, _)| *found == prefix(id)).map(|(_, number)| number);
            same.find(|number| self.id(*number) == *id)
        })
    }

    /// Returns the first `limit` ids between two, ends included, sorted, of the nodes with a number below `end`.
    pub(crate) fn ids_between(&self, least: &NodeId, greatest: &NodeId, end: Number, limit: usize) -> Vec<NodeId> {
        let within = |id: &NodeId| (least..=greatest).contains(&id);
        let base = self.base.iter().flat_map(|base| {
            let from = first_at_least(base, prefix(least));
            let found = (from..base.count(Column::ById)).map(|at| by_id_from_record(base.record(Column::ById, at)));
            let found = found.take_while(|(found, _)| *found <= prefix(greatest));
            found.filter(|(_, number)| *number < end).map(|(_, number)| self.id(number))
        });
        let mut ids: Vec<NodeId> = base.filter(within).take(limit).collect();
        ids.extend(self.tail.ids_where(end, within));
        ids.sort_unstable();
        ids.truncate(limit);
        ids
    }

    /// Returns the id of a node.
    pub(crate) fn id(&self, number: Number) -> NodeId {
        if let Some(base) = self.base.as_ref().filter(|_| number < self.tail.first_node) {
            return NodeId::new(Digest::from_bytes(base.record(Column::Id, number.into())));
        }
        let nobody = NodeId::new(Digest::ZERO);
        self.tail.id(place(number.saturating_sub(self.tail.first_node))).unwrap_or(nobody)
    }

    /// Returns a node.
    pub(crate) fn node(&self, number: Number) -> Placed {
        if let Some(base) = self.base.as_ref().filter(|_| number < self.tail.first_node) {
            let found = Placed::from_record(&base.record(Column::Node, number.into()));
            return found.unwrap_or_else(|| {
                base.distrust();
                NOWHERE
            });
        }
        self.tail.node(place(number.saturating_sub(self.tail.first_node))).unwrap_or(NOWHERE)
    }

    /// Returns a commit.
    pub(crate) fn commit(&self, at: u32) -> PlacedCommit {
        let before = self.count(Column::Commit);
        if let Some(base) = self.base.as_ref().filter(|_| at < before) {
            return PlacedCommit::from_record(&base.record(Column::Commit, at.into()));
        }
        self.tail.commit(place(at.saturating_sub(before))).unwrap_or(NO_COMMIT)
    }

    /// Returns the commit of a node.
    pub(crate) fn commit_of(&self, number: Number) -> PlacedCommit {
        self.commit(self.node(number).commit)
    }

    /// Returns the leaf index of a node's commit.
    pub(crate) fn leaf(&self, number: Number) -> u64 {
        self.commit_of(number).leaf
    }

    /// Returns the number of the first node that the log of `size` entries does not have.
    pub(crate) fn end_at(&self, size: u64) -> Number {
        let next = first_where(0, self.commits(), |at| self.commit(at).leaf >= size);
        if next < self.commits() { self.commit(next).first_node } else { self.len() }
    }

    /// Returns the first entry of the segment that an entry is in.
    pub(crate) fn segment_of(&self, leaf: u64) -> u64 {
        // Every group ends in a status head, and all of it is in one segment; a commit need not be in it.
        let head = self.first_head(leaf);
        if head < self.heads() { self.head(head).segment() } else { self.reached.segment }
    }

    /// Returns how many status heads there are.
    pub(crate) fn heads(&self) -> u32 {
        self.count(Column::Head).saturating_add(u32::try_from(self.tail.ends().heads).unwrap_or(u32::MAX))
    }

    /// Returns a status head.
    pub(crate) fn head(&self, at: u32) -> PlacedHead {
        let before = self.count(Column::Head);
        if let Some(base) = self.base.as_ref().filter(|_| at < before) {
            return PlacedHead::from_record(&base.record(Column::Head, at.into()));
        }
        let none = PlacedHead { index: 0, before: None };
        self.tail.head(place(at.saturating_sub(before))).unwrap_or(none)
    }

    /// Returns the number of the first status head with an index of at least `leaf`.
    pub(crate) fn first_head(&self, leaf: u64) -> u32 {
        first_where(0, self.heads(), |at| self.head(at).index >= leaf)
    }

    /// Tells whether a checkpoint of this size was signed: one is after every status head.
    pub(crate) fn is_signed(&self, size: u64) -> bool {
        let Some(index) = size.checked_sub(1) else { return false };
        let at = self.first_head(index);
        at < self.heads() && self.head(at).index == index
    }

    /// Returns where the checkpoint of a size stands, unless it is the newest or none was made.
    pub(crate) fn checkpoint(&self, size: u64) -> Option<(u64, FramePlace)> {
        let after = self.first_head(size);
        if after < self.heads() { self.head(after).before } else { None }
    }

    fn edge(&self, at: u32) -> PlacedEdge {
        let Some(base) = self.base.as_ref().filter(|_| at < self.tail.first_edge) else {
            let none = PlacedEdge { role: Role::Used, to: 0 };
            return self.tail.edge(place(at.saturating_sub(self.tail.first_edge))).unwrap_or(none);
        };
        let [role] = base.record(Column::EdgeRole, at.into());
        PlacedEdge { role: known_role(base, role), to: u32::from_le_bytes(base.record(Column::EdgeTo, at.into())) }
    }

    /// Returns a node's local edges.
    pub(crate) fn edges_of(&self, number: Number) -> impl Iterator<Item = PlacedEdge> + '_ {
        let after = number.saturating_add(1);
        let end = if after < self.len() { self.node(after).first_edge } else { self.edges() };
        (self.node(number).first_edge..end).map(|at| self.edge(at))
    }

    /// Returns the nodes at the end of a node's local edges of one role.
    pub(crate) fn to(&self, number: Number, role: Role) -> impl Iterator<Item = Number> + '_ {
        self.edges_of(number).filter(move |edge| edge.role == role).map(|edge| edge.to)
    }

    /// Returns a node's parents.
    pub(crate) fn parents(&self, number: Number) -> impl Iterator<Item = Number> + '_ {
        self.edges_of(number).filter(|edge| is_parent(edge.role)).map(|edge| edge.to)
    }

    /// Returns the nodes with an edge to this one, in log order, with the edge's role.
    pub(crate) fn incoming(&self, number: Number) -> impl Iterator<Item = (Role, Number)> + '_ {
        let base = self.base.as_ref().filter(|_| number < self.tail.first_node);
        let old = base.into_iter().flat_map(move |base| {
            let first = |at: u32| u32::from_le_bytes(base.record(Column::IncomingFirst, at.into()));
            (first(number)..first(number.saturating_add(1))).map(|at| {
                let [role] = base.record(Column::IncomingRole, at.into());
                (known_role(base, role), u32::from_le_bytes(base.record(Column::IncomingFrom, at.into())))
            })
        });
        old.chain(self.tail.incoming(number))
    }

    /// Returns the nodes of which this one is a parent, in log order.
    pub(crate) fn children(&self, number: Number) -> impl Iterator<Item = Number> + '_ {
        self.incoming(number).filter(|(role, _)| is_parent(*role)).map(|(_, child)| child)
    }

    /// Returns what the status map is asked for about a node.
    pub(crate) fn status_key(&self, number: Number) -> StatusKey {
        let own = || StatusKey::of_node(self.id(number));
        if self.node(number).kind != Kind::Assessment {
            return own();
        }
        self.assessed().keys.get(&number).copied().unwrap_or_else(own)
    }

    /// Returns the assessments that can open a node. Two records of one signed assessment stand for
    /// each other: what the one can open, the other can.
    pub(crate) fn assessments_of(&self, subject: &NodeId) -> impl Iterator<Item = Number> + use<> {
        let assessed = self.assessed();
        let own = assessed.by_subject.get(subject).into_iter().flatten().filter(|number| **number < self.len());
        let alike = own.filter_map(|number| assessed.keys.get(number)).flat_map(|key| self.alike(&assessed, key));
        let found: BTreeSet<Number> = alike.map(|assessment| assessment.node).collect();
        found.into_iter()
    }

    /// Returns the assessment nodes of one status key, in log order.
    pub(crate) fn siblings(&self, number: Number) -> Vec<Number> {
        let key = self.status_key(number);
        self.alike(&self.assessed(), &key).map(|assessment| assessment.node).collect()
    }

    /// Returns the assessments of one status key, in log order.
    fn alike<'a>(
        &self,
        assessed: &'a Assessed,
        key: &StatusKey,
    ) -> impl Iterator<Item = &'a PlacedAssessment> + use<'a> {
        let end = self.len();
        assessed.by_key.get(key).into_iter().flatten().filter(move |assessment| assessment.node < end)
    }

    fn assessed(&self) -> RwLockReadGuard<'_, Assessed> {
        let assessed = self.assessed.get_or_init(|| {
            let mut assessed = Assessed::default();
            self.assessments().for_each(|assessment| assessed.add(assessment));
            Arc::new(RwLock::new(assessed))
        });
        assessed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the assessments, in log order.
    pub(crate) fn assessments(&self) -> impl Iterator<Item = PlacedAssessment> + '_ {
        let base = self.base.iter().flat_map(|base| {
            let last = base.count(Column::Assessment);
            let read = |at: u64| PlacedAssessment::from_record(&base.record(Column::Assessment, at));
            // After damage all is zeros, and zeros of one key would be put together for ever.
            (0..last).take_while(|_| !base.is_damaged()).map(move |at| {
                let (mut assessment, first) = read(at);
                let next = at.saturating_add(1);
                let end = if next < last { read(next).1.into() } else { base.count(Column::Subject) };
                let subject = |at| NodeId::new(Digest::from_bytes(base.record(Column::Subject, at)));
                assessment.subjects = (u64::from(first)..end).map(subject).collect();
                assessment
            })
        });
        base.chain(self.tail.assessments())
    }

    /// Returns every line of the status map, in log order, with its commit's leaf.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (u64, StatusLine)> + '_ {
        let base = self.base.iter().flat_map(|base| {
            let lines = (0..base.count(Column::Line)).take_while(|_| !base.is_damaged());
            lines.map(|at| line_from_record(&base.record(Column::Line, at)))
        });
        base.chain(self.tail.lines())
    }

    /// Returns the leaf indices of key changes, in log order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = u64> + '_ {
        let base = self.base.iter().flat_map(|base| {
            let changes = (0..base.count(Column::Change)).take_while(|_| !base.is_damaged());
            changes.map(|at| u64::from_le_bytes(base.record(Column::Change, at)))
        });
        base.chain(self.tail.changes())
    }

    /// Returns the lines of the status map of the commits from leaf `begin` on, in log order, with their leaves.
    pub(crate) fn lines_from(&self, begin: u64) -> impl Iterator<Item = (u64, StatusLine)> + '_ {
        let base = self.base.iter().flat_map(move |base| {
            let read = |at: u32| line_from_record(&base.record(Column::Line, at.into()));
            let end = self.count(Column::Line);
            let first = first_where(0, end, |at| read(at).0 >= begin);
            (first..end).take_while(|_| !base.is_damaged()).map(read)
        });
        base.chain(self.tail.lines().filter(move |(leaf, _)| *leaf >= begin))
    }

    /// Returns the nodes that an assessment can open as its subjects, those of its other records included.
    pub(crate) fn subjects_of(&self, number: Number) -> Vec<NodeId> {
        let key = self.status_key(number);
        let assessed = self.assessed();
        let found = self.alike(&assessed, &key);
        let mut subjects: Vec<NodeId> = found.flat_map(|assessment| assessment.subjects.iter().copied()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// Returns the status map over all entries.
    pub(crate) fn map(&self) -> &StatusMap {
        self.map.get_or_init(|| map_of(self.lines().map(|(_, line)| line)))
    }

    /// Returns the status map over the first `size` entries.
    pub(crate) fn map_at(&self, size: u64) -> StatusMap {
        if size >= self.size() {
            return self.map().clone();
        }
        map_of(self.lines().take_while(|(leaf, _)| *leaf < size).map(|(_, line)| line))
    }

    /// Takes in what a group adds.
    pub(crate) fn apply(&mut self, delta: Delta) {
        let Delta { map, frontier, segment, end, .. } = &delta;
        self.reached = Reached { frontier: frontier.clone(), segment: *segment, end: *end };
        self.map = OnceLock::from(map.clone());
        if let Some(shared) = self.assessed.get() {
            let known = u64::from(self.count(Column::Assessment)).saturating_add(wide(self.tail.ends().assessments));
            let mut assessed = shared.write().unwrap_or_else(PoisonError::into_inner);
            if assessed.count == known {
                delta.assessments.iter().for_each(|assessment| assessed.add(assessment.clone()));
            } else {
                // Somebody else went on from here, another way.
                drop(assessed);
                self.assessed = OnceLock::new();
            }
        }
        self.tail.extend(delta);
    }

    /// Puts a snapshot that was just made in the place of what it holds.
    pub(crate) fn rebase(&mut self, snapshot: Snapshot) {
        self.tail.drop_what_is_in(&snapshot);
        self.base = Some(Arc::new(snapshot));
    }

    /// Returns the numbers of the nodes, from the first to the last.
    pub(crate) fn numbers(&self) -> Range<Number> {
        0..self.len()
    }
}

impl Assessed {
    fn add(&mut self, assessment: PlacedAssessment) {
        let PlacedAssessment { node, key, subjects } = &assessment;
        for subject in subjects {
            self.by_subject.entry(*subject).or_default().push(*node);
        }
        self.keys.insert(*node, *key);
        self.by_key.entry(*key).or_default().push(assessment);
        self.count = self.count.saturating_add(1);
    }
}

/// Returns the status map over lines in log order.
pub(crate) fn map_of(lines: impl Iterator<Item = StatusLine>) -> StatusMap {
    let mut map = StatusMap::new();
    lines.for_each(|line| map.append(line.key.digest(), line.status.digest()));
    map
}

fn known_role(base: &Snapshot, number: u8) -> Role {
    role_of(number).unwrap_or_else(|| {
        base.distrust();
        Role::Used
    })
}

/// Returns the first number of a range for which a question, once yes, stays yes; its end if none.
fn first_where(from: u32, to: u32, question: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low.midpoint(high);
        if question(middle) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    low
}

/// Returns the first place in the order of the ids whose prefix is at least this one. Ids are
/// hashes, evenly spread: the search begins where the prefix should be.
fn first_at_least(base: &Snapshot, wanted: u32) -> u64 {
    let count = base.count(Column::ById);
    let is_before = |at: u64| by_id_from_record(base.record(Column::ById, at)).0 < wanted;
    let guess = u64::from(wanted).saturating_mul(count) >> u32::BITS;
    let (mut low, mut high) = (guess, guess);
    let mut step = 64;
    while low > 0 && !is_before(low) {
        low = low.saturating_sub(step);
        step *= 2;
    }
    step = 64;
    while high < count && is_before(high) {
        high = high.saturating_add(step).min(count);
        step *= 2;
    }
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}
