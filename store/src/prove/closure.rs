//! Which nodes belong to a bundle (R3; the verifier walks the same way over what it is given).

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    id::{NodeId, StatusKey},
    node::{Kind, Role},
    status_map::StatusMap,
};

use crate::{catalogue::Catalogue, placed::Number};

/// The closure of a root under one status map.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// Every node but statuses.
    pub(crate) members: BTreeSet<Number>,
    /// The statuses of these.
    pub(crate) statuses: BTreeSet<Number>,
}

impl Closure {
    /// Walks from `starts` under the map over the first `size` entries.
    pub(crate) fn walk(
        catalogue: &Catalogue,
        map: &StatusMap,
        size: u64,
        starts: impl IntoIterator<Item = Number>,
    ) -> Self {
        let mut closure = Self::default();
        let mut todo: Vec<Number> = starts.into_iter().collect();
        while let Some(number) = todo.pop() {
            if !closure.members.insert(number) {
                continue;
            }
            todo.extend(catalogue.parents(number));
            let node = catalogue.node(number);
            if can_be_opened(node.kind) {
                todo.extend(catalogue.assessments_of(&catalogue.id(number)).filter(|a| catalogue.leaf(*a) < size));
            }
            let key = catalogue.status_key(number);
            let ids = map.statuses(key.digest()).iter().copied().map(NodeId::new);
            for status in ids.filter_map(|id| catalogue.number(&id)) {
                closure.statuses.insert(status);
                todo.extend(catalogue.to(status, Role::Successor));
            }
        }
        closure
    }

    /// Returns the keys of its nodes below `size`, with the ids of their statuses.
    pub(crate) fn keys(&self, catalogue: &Catalogue, map: &StatusMap, size: u64) -> BTreeMap<StatusKey, Vec<NodeId>> {
        let below = self.members.iter().filter(|number| catalogue.leaf(**number) < size);
        below
            .map(|number| {
                let key = catalogue.status_key(*number);
                (key, map.statuses(key.digest()).iter().copied().map(NodeId::new).collect())
            })
            .collect()
    }

    /// Returns all of its nodes, statuses included, by number.
    pub(crate) fn all(&self) -> BTreeSet<Number> {
        self.members.union(&self.statuses).copied().collect()
    }
}

/// Tells whether an assessment opens nodes of this kind.
pub(crate) const fn can_be_opened(kind: Kind) -> bool {
    matches!(kind, Kind::Dataset | Kind::Model)
}
