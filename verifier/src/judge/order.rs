//! Orders of the closure, and what flows along them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use griptrace_core::{node::Role, word::Word};

use super::{Case, Instant};
use crate::evidence::{Closure, Evidence, Ordinal};

/// Returns a closure's members, parents before children.
pub(super) fn parents_first(evidence: &Evidence, closure: &Closure) -> Vec<Ordinal> {
    let mut order = Vec::new();
    let mut seen: BTreeSet<Ordinal> = BTreeSet::new();
    for start in &closure.members {
        let mut stack = Vec::from([(*start, false)]);
        while let Some((ordinal, done)) = stack.pop() {
            if done {
                order.push(ordinal);
                continue;
            }
            if !closure.has(ordinal) || !seen.insert(ordinal) {
                continue;
            }
            stack.push((ordinal, true));
            if let Some(node) = evidence.node(ordinal) {
                stack.extend(node.parents().map(|parent| (parent, false)));
            }
        }
    }
    order
}

/// How often values may flow from superseded nodes to their successors before it is settled.
pub(super) const PASSES_MAX: usize = 64;

/// Returns, for each member, the union of the purposes on the paths from it to the root, its own
/// and the root's included. A successor takes over the purposes of what it supersedes.
pub(super) fn purposes_along_paths(case: &Case<'_>, instant: &Instant<'_>) -> BTreeMap<Ordinal, BTreeSet<Word>> {
    let mut purposes: BTreeMap<Ordinal, BTreeSet<Word>> = BTreeMap::new();
    for ordinal in &instant.order {
        let own = case.node(*ordinal).map(|node| node.core.purpose.iter().cloned().collect()).unwrap_or_default();
        purposes.insert(*ordinal, own);
    }
    for _ in 0..PASSES_MAX {
        let mut changed = false;
        for ordinal in instant.order.iter().rev() {
            let Some(node) = case.node(*ordinal) else { continue };
            let own = purposes.get(ordinal).cloned().unwrap_or_default();
            let statuses = instant.closure.statuses.get(ordinal).into_iter().flatten();
            let successors = statuses.filter_map(|s| case.node(*s)).flat_map(|s| s.to(Role::Successor));
            for next in node.parents().chain(successors) {
                let theirs = purposes.entry(next).or_default();
                for word in &own {
                    changed |= !theirs.contains(word) && theirs.insert(word.clone());
                }
            }
        }
        // Parents come after children in this order, so that one pass settles all but successors.
        if !changed || instant.closure.statuses.is_empty() {
            break;
        }
    }
    purposes
}
