//! The closure over several logs: this one, which the store has, and others, of which it has bundles (R3, R5).

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    bundle::{Disclosure, LogPart, ManifestOpening, SubjectOpening},
    details::slot,
    id::{GenesisHash, NodeId},
    node::{Core, Kind, Role},
    status_map::StatusMap,
};

use super::{
    Gathered, Prover,
    abroad::{Abroad, Asked, Sources},
    closure::{Closure, can_be_opened},
};
use crate::{
    adopted,
    catalogue::Catalogue,
    error::{ProveError, StorageError},
    number::wide,
    placed::Number,
    reading::SegmentReader,
    segment,
};

/// The closure of a root, in this log and in others.
#[derive(Debug, Default)]
pub(crate) struct Joint {
    pub(crate) own: Closure,
    pub(crate) abroad: Abroad,
    /// What nodes of this log name in others.
    edges: BTreeMap<Number, Vec<(GenesisHash, NodeId)>>,
}

impl Joint {
    /// Returns what a node of this log names in others.
    pub(crate) fn edges_of(&self, number: Number) -> impl Iterator<Item = &NodeId> + '_ {
        self.edges.get(&number).into_iter().flatten().map(|(_, id)| id)
    }
}

/// Walks through this log and others by turns, until nothing new is found.
pub(crate) struct Joiner<'w, 'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) segments: &'w mut SegmentReader<'a>,
    pub(crate) sources: &'w mut Sources<'a>,
}

impl Joiner<'_, '_> {
    pub(crate) fn walk(&mut self, map: &StatusMap, size: u64, root: Number) -> Result<Joint, ProveError> {
        let mut edges: BTreeMap<Number, Vec<(GenesisHash, NodeId)>> = BTreeMap::new();
        let mut starts = BTreeSet::from([root]);
        loop {
            let own = Closure::walk(self.catalogue, map, size, starts.iter().copied());
            if self.sources.is_empty() {
                return Ok(Joint { own, ..Joint::default() });
            }
            for number in &own.members {
                if !edges.contains_key(number) {
                    let named = self.named_by(*number)?;
                    edges.insert(*number, named);
                }
            }
            let asked = self.asked(&own, &edges);
            let (abroad, is_other) = self.sources.walk(&asked)?;
            if is_other {
                // What was found by way of a bundle that is not used any more is not needed.
                starts = BTreeSet::from([root]);
                continue;
            }
            let found = self.back_here(&abroad, map, size)?;
            let before = starts.len();
            starts.extend(found);
            if starts.len() == before {
                return Ok(Joint { own, abroad, edges });
            }
        }
    }

    /// Reads what a node names in other logs.
    fn named_by(&mut self, number: Number) -> Result<Vec<(GenesisHash, NodeId)>, ProveError> {
        if !matches!(self.catalogue.node(number).kind, Kind::Transformation | Kind::Shipment) {
            return Ok(Vec::new());
        }
        let record = self.segments.core(self.catalogue, number)?;
        let name = || segment::name(self.catalogue.commit_of(number).segment);
        let core = record.core().map_err(|e| StorageError::corrupt(name(), e))?;
        Ok(core.parents().filter_map(|edge| Some((edge.home?, edge.to))).collect())
    }

    fn asked(&self, own: &Closure, edges: &BTreeMap<Number, Vec<(GenesisHash, NodeId)>>) -> Asked {
        let kind = |number: &Number| self.catalogue.node(*number).kind;
        let named = own.members.iter().filter_map(|number| edges.get(number)).flatten().copied();
        let subjects = own.members.iter().filter(|number| can_be_opened(kind(number)));
        // The key of what a committer states is its id, which no other log has a status of.
        let assessments = own.members.iter().filter(|number| kind(number) == Kind::Assessment);
        Asked {
            edges: named.collect(),
            subjects: subjects.map(|number| self.catalogue.id(*number)).collect(),
            signed: assessments.map(|number| self.catalogue.status_key(*number)).collect(),
        }
    }

    /// Returns the nodes of this log that nodes of others bring in: what they came from, what assesses them, and records of
    /// signed assessments that are marked here.
    fn back_here(&self, abroad: &Abroad, map: &StatusMap, size: u64) -> Result<BTreeSet<Number>, ProveError> {
        let catalogue = self.catalogue;
        let is_here = |number: &Number| catalogue.leaf(*number) < size;
        let mut found = BTreeSet::new();
        for id in &abroad.own {
            found.insert(catalogue.number(id).filter(is_here).ok_or(ProveError::NotHere { id: *id })?);
        }
        for id in &abroad.members {
            found.extend(catalogue.assessments_of(id).filter(is_here));
        }
        for key in self.sources.signed(abroad) {
            let statuses = map.statuses(key.digest()).iter().filter_map(|id| catalogue.number(&NodeId::new(*id)));
            found.extend(statuses.flat_map(|status| catalogue.to(status, Role::Marks)));
        }
        Ok(found)
    }
}

/// Rule R5: what other logs bring, each under its own checkpoints.
impl Prover<'_> {
    /// Returns the core of a node of another log.
    pub(super) fn foreign_core(&self, id: &NodeId) -> Option<&Core> {
        Some(&self.sources.holder(id)?.node(id)?.core)
    }

    /// Returns the parts of other logs, and gives their nodes ordinals.
    pub(super) fn foreign_logs(&mut self) -> Result<Vec<LogPart>, ProveError> {
        let Abroad { members, statuses, .. } = &self.closure.abroad;
        let kept: BTreeSet<NodeId> = members.union(statuses).copied().collect();
        let own = self.closure.own.members.iter().filter(|n| self.catalogue.node(**n).kind == Kind::Assessment);
        let mut signed = self.sources.signed(&self.closure.abroad);
        signed.extend(own.map(|number| self.catalogue.status_key(*number)));
        let mut parts = Vec::new();
        let mut next = wide(self.nodes.len());
        for (supplied, log) in self.sources.logs() {
            let here = kept.iter().filter(|id| supplied.node(id).is_some_and(|node| node.log == log));
            let here: BTreeSet<NodeId> = here.copied().collect();
            if here.is_empty() {
                continue;
            }
            let damaged = |why| StorageError::corrupt(adopted::object_of(&supplied.digest), why);
            let (part, order) = supplied.narrowed(log, &here, &signed).map_err(damaged)?;
            parts.push(part);
            for id in order {
                self.ordinals.insert(id, next);
                next = next.saturating_add(1);
            }
        }
        Ok(parts)
    }

    /// Adds what other companies disclosed of their nodes, what is opened of their assessments, and the manifests of those
    /// of their models that are shipped.
    pub(super) fn add_foreign(
        &self,
        openings: &mut Vec<SubjectOpening>,
        gathered: &mut Gathered,
    ) -> Result<(), ProveError> {
        let shipped: BTreeSet<&NodeId> = self.closure.edges_of(self.root).collect();
        let own = (self.nodes.iter()).map(|number| (self.catalogue.id(*number), self.ordinal(*number)));
        let all: BTreeMap<NodeId, u64> = own.chain(self.ordinals.iter().map(|(id, at)| (*id, *at))).collect();
        let mut in_order: Vec<(u64, NodeId)> = self.ordinals.iter().map(|(id, at)| (*at, *id)).collect();
        in_order.sort_unstable();
        for (node, id) in in_order {
            let Some(supplied) = self.sources.holder(&id) else { continue };
            let damaged = |why| StorageError::corrupt(adopted::object_of(&supplied.digest), why);
            openings.extend(supplied.opening(&id, &all).map_err(damaged)?);
            let is_shipped = shipped.contains(&id);
            if let (Some(core), Some(opening)) = (self.foreign_core(&id), supplied.disclosure(&id)) {
                // What a supplier showed is not for everybody: the profile says what is passed on.
                let mut slots = self.options.disclose.slots(core.kind, &id);
                if is_shipped {
                    slots.extend(["content", "manifest"].iter().filter_map(|name| slot(core.kind, name)));
                }
                let opening = opening.narrow(core.kind, &slots).map_err(|e| damaged(e.to_string()))?;
                gathered.disclosures.extend(opening.map(|opening| Disclosure { node, opening }));
            }
            let manifest = supplied.manifest(&id).filter(|_| is_shipped);
            gathered.manifests.extend(manifest.map(|manifest| ManifestOpening { node, ..manifest.clone() }));
        }
        Ok(())
    }
}
