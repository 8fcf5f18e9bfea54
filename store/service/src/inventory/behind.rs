//! What a data set is and came from, as far as grade and reach of an assessment ask for it.

use std::{collections::BTreeSet, sync::Arc};

use griptrace_core::{
    id::NodeId,
    node::{Core, Kind, Mark, Origin, Role},
    word::{Country, Word},
};
use griptrace_store::StoredNode;
use griptrace_verifier::{policy::Policy, rules, trust::Role as Trusted};

use super::{Inventory, Source};

/// A node with all that it came from. Sets are shared: mostly they are those of a parent.
#[derive(Clone, Debug)]
pub(super) struct Behind {
    /// Its effective grade: a rank of the policy, its number of grades for undetermined.
    pub(super) grade: usize,
    /// The highest of it and all that it came from.
    pub(super) highest: usize,
    /// What lowers a grade without counting, or leaves it open.
    pub(super) remarks: Vec<&'static str>,
    /// Modalities of the sources; `None` if one of them says none.
    pub(super) modality: Option<Arc<BTreeSet<Word>>>,
    /// Purposes of all of them.
    pub(super) purposes: Arc<BTreeSet<Word>>,
    /// Countries of all of them; `None` if one does not say its own.
    pub(super) countries: Option<Arc<BTreeSet<Country>>>,
}

/// A node whose parents and successors come first.
struct Visited {
    node: StoredNode,
    marks: Vec<StoredNode>,
    successors: Vec<NodeId>,
}

impl<S: Source> Inventory<'_, S> {
    /// Works out a node after its parents and what takes its place; a stack in place of recursion, as in a drawing.
    pub(super) fn behind(&mut self, policy: &Policy, id: NodeId) -> Result<Behind, S::Error> {
        // Marks can lead around in circles: what is on the way is not begun again.
        let mut begun = BTreeSet::new();
        let mut todo: Vec<(NodeId, Option<Visited>)> = vec![(id, None)];
        while let Some((id, visited)) = todo.pop() {
            if self.seen.0.contains_key(&id) {
                continue;
            }
            if let Some(visited) = visited {
                let behind = self.one(policy, &visited);
                self.seen.0.insert(id, behind);
                continue;
            }
            if !begun.insert(id) {
                continue;
            }
            let (node, marks) = (self.source.node(&id)?, self.source.marks(&id)?);
            let successors = self.successors(&node, &marks);
            let above = parents(&node.core).chain(successors.iter().copied());
            let above: Vec<NodeId> = above.filter(|id| !self.seen.0.contains_key(id) && !begun.contains(id)).collect();
            self.source.prefetch(&above)?;
            todo.push((id, Some(Visited { node, marks, successors })));
            todo.extend(above.into_iter().map(|parent| (parent, None)));
        }
        Ok(self.seen.0.get(&id).cloned().unwrap_or_else(|| Behind::unknown(policy)))
    }

    /// Returns what takes a node's place, by marks of its own party.
    fn successors(&self, node: &StoredNode, marks: &[StoredNode]) -> Vec<NodeId> {
        let counts =
            |status: &&StoredNode| status.core.mark == Some(Mark::Supersede) && self.parties.is_own(node, status);
        let edges = marks.iter().filter(counts).flat_map(|status| &status.core.edges);
        edges.filter(|edge| edge.role == Role::Successor && edge.home.is_none()).map(|edge| edge.to).collect()
    }

    /// Works out one node from what was worked out before.
    fn one(&self, policy: &Policy, visited: &Visited) -> Behind {
        let core = &visited.node.core;
        let above: Vec<&Behind> = parents(core).filter_map(|parent| self.seen.0.get(&parent)).collect();
        let mut behind = self.graded(policy, visited, &above);
        behind.purposes = joined(&core.purpose, above.iter().map(|parent| &parent.purposes));
        let own = if is_source(core) { core.modality.as_slice() } else { &[] };
        let is_said = !is_source(core) || !own.is_empty();
        let modality = above.iter().map(|parent| parent.modality.as_ref()).collect::<Option<Vec<_>>>();
        behind.modality = modality.filter(|_| is_said).map(|above| joined(own, above));
        let countries = above.iter().map(|parent| parent.countries.as_ref()).collect::<Option<Vec<_>>>();
        behind.countries =
            countries.and_then(|above| Some(joined(core.country.as_ref().map(core::slice::from_ref)?, above)));
        behind
    }

    /// Works out the grade, by the rules of step 13 of docs/spec/verify.md.
    fn graded(&self, policy: &Policy, visited: &Visited, above: &[&Behind]) -> Behind {
        let Visited { node, marks, successors } = visited;
        let (core, undetermined) = (&node.core, policy.grades.len());
        let mut behind = Behind::unknown(policy);
        behind.remarks.clear();
        let stated = core.grade.as_ref().filter(|_| matches!(core.kind, Kind::Dataset | Kind::Model));
        let own = stated.filter(|_| self.parties.of(node).has(Trusted::Grade));
        if stated.is_some() && own.is_none() {
            behind.remarks.push("grade stated by nobody who may");
        }
        let own = own.map(|word| rules::rank(policy, Some(word)));
        let mut inherited = above.iter().map(|parent| parent.grade).max();
        if is_abroad(core) {
            behind.remarks.push("made of another company's data: `griptrace check` judges it");
            inherited = Some(undetermined);
        }
        let is_open = is_source(core) || (inherited.is_none() && core.kind != Kind::Transformation);
        let successors = successors.iter().filter_map(|id| self.seen.0.get(id)).map(|successor| successor.grade);
        let before = rules::grade_before_marks(policy, is_open, own, inherited);
        behind.grade = successors.chain([before]).max().unwrap_or(undetermined);
        let mut lowered_to = None;
        for status in marks.iter().filter(|status| status.core.mark == Some(Mark::Reclassify)) {
            let new = rules::rank(policy, status.core.grade.as_ref());
            let by = self.parties.reclassifier(node, status);
            if by.may(new >= behind.grade) {
                behind.grade = new;
            } else if new < behind.grade {
                behind.remarks.push("reclassified lower by nobody who may: it does not count");
            }
            lowered_to = by.has_regrade.then_some(new).or(lowered_to);
        }
        if own < inherited && own.is_some_and(|own| lowered_to.is_none_or(|to| own < to)) {
            behind.remarks.push("grade lowered without record");
        }
        behind.remarks.dedup();
        behind.highest = above.iter().map(|parent| parent.highest).chain([behind.grade]).max().unwrap_or(undetermined);
        behind
    }
}

impl Behind {
    /// Returns what nothing is known of.
    fn unknown(policy: &Policy) -> Self {
        let undetermined = policy.grades.len();
        Self {
            grade: undetermined,
            highest: undetermined,
            remarks: Vec::new(),
            modality: None,
            purposes: Arc::default(),
            countries: None,
        }
    }
}

/// Joins sets with what comes to them. The largest is shared where it has everything.
fn joined<'s, T: Ord + Clone + 's>(
    own: &[T],
    above: impl IntoIterator<Item = &'s Arc<BTreeSet<T>>>,
) -> Arc<BTreeSet<T>> {
    let mut above: Vec<&Arc<BTreeSet<T>>> = above.into_iter().collect();
    above.sort_by_key(|set| core::cmp::Reverse(set.len()));
    let mut all = above.first().map_or_else(Arc::default, |largest| Arc::clone(largest));
    let others = above.iter().skip(1).filter(|set| !Arc::ptr_eq(set, &all)).collect::<Vec<_>>();
    for word in others.into_iter().flat_map(|set| set.iter()).chain(own) {
        if !all.contains(word) {
            Arc::make_mut(&mut all).insert(word.clone());
        }
    }
    all
}

pub(super) const fn is_source(core: &Core) -> bool {
    matches!(core.origin, Some(Origin::Collected | Origin::External))
}

fn is_parent(role: Role) -> bool {
    matches!(role, Role::Used | Role::GeneratedBy | Role::Ships)
}

fn is_abroad(core: &Core) -> bool {
    core.edges.iter().any(|edge| is_parent(edge.role) && edge.home.is_some())
}

/// Returns the nodes of this log that a node came from.
pub(super) fn parents(core: &Core) -> impl Iterator<Item = NodeId> + '_ {
    core.edges.iter().filter(|edge| is_parent(edge.role) && edge.home.is_none()).map(|edge| edge.to)
}
