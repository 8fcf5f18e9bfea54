//! What a client that is held to some names may write: nodes of those names, and what is said of them.

use std::collections::HashMap;

use griptrace_core::{
    assessment::assessed,
    id::NodeId,
    node::{Core, Kind, Role as EdgeRole},
};
use griptrace_store::{Store, record::NodeRecord};
use tonic::Status;

use crate::{
    access::Caller,
    grpc::name,
    status::{self, out_of_scope},
};

/// Refuses what a client that is held to some names may not write: nodes of other names, or what is said of them.
pub(crate) fn check_scope(store: &Store, caller: &Caller, nodes: &[NodeRecord]) -> Result<(), Status> {
    if caller.covers(None) {
        return Ok(());
    }
    let mut scope = Scope { store, caller, known: HashMap::new() };
    let mut cores = Vec::new();
    for record in nodes {
        let core = record.core().map_err(|error| status::record("nodes", error))?;
        let (id, is_own) = (record.id(), scope.is_own(&record.id(), &core, record));
        scope.known.insert(id, is_own);
        cores.push(core);
    }
    for (core, record) in cores.iter().zip(nodes) {
        scope.check(core, record)?;
    }
    Ok(())
}

/// The names that a client is held to, over the log and a commit.
struct Scope<'a> {
    store: &'a Store,
    caller: &'a Caller,
    /// Each node is looked at once, however often others lead to it.
    known: HashMap<NodeId, bool>,
}

impl Scope<'_> {
    fn check(&mut self, core: &Core, record: &NodeRecord) -> Result<(), Status> {
        let local = |role| core.edges_of(role).filter(|edge| edge.home.is_none()).map(|edge| edge.to);
        let about: Vec<NodeId> = match core.kind {
            // What it generates is in the same commit; a step that has a name is held to it too.
            Kind::Transformation if name(core.kind, record).is_none() => return Ok(()),
            Kind::Dataset | Kind::Model | Kind::Transformation => vec![record.id()],
            // A shipment compares the files of what it ships, which are nobody else's business. One without a name
            // goes by what it ships.
            Kind::Shipment => {
                let models: Vec<NodeId> = local(EdgeRole::Ships).collect();
                let is_named = name(core.kind, record).is_some() || models.is_empty();
                is_named.then(|| record.id()).into_iter().chain(models).collect()
            }
            Kind::Assessment => {
                let openings = record.subjects.iter().flat_map(|subjects| &subjects.openings);
                let subjects: Vec<NodeId> = openings.map(|(id, ..)| *id).collect();
                // Another record of a signed assessment stands for the first one, and would come with its bundles.
                if subjects.is_empty() {
                    return Err(out_of_scope(self.caller, "what an assessment is of, which it does not open,"));
                }
                subjects
            }
            Kind::Status | Kind::Erasure => {
                let said = |role| matches!(role, EdgeRole::Marks | EdgeRole::Successor | EdgeRole::Erases);
                core.edges.iter().filter(|edge| said(edge.role)).map(|edge| edge.to).collect()
            }
        };
        match about.into_iter().find_map(|id| self.covers(&id).map(|own| (!own).then_some(id)).transpose()) {
            Some(id) => Err(out_of_scope(self.caller, &format!("the name of the node {}", id?))),
            None => Ok(()),
        }
    }

    fn covers(&mut self, id: &NodeId) -> Result<bool, Status> {
        if let Some(known) = self.known.get(id) {
            return Ok(*known);
        }
        let node = self.store.node(id).map_err(status::read)?;
        let own = node.is_some_and(|node| self.is_own(id, &node.core, &node.record));
        self.known.insert(*id, own);
        Ok(own)
    }

    /// Tells whether a node bears one of the names. A signed assessment is its assessor's whatever a record of it is
    /// called: a mark upon one record counts for all of them.
    fn is_own(&self, id: &NodeId, core: &Core, record: &NodeRecord) -> bool {
        let is_signed = core.kind == Kind::Assessment && assessed(*id, core).map_or(true, |of| of.signed.is_some());
        !is_signed && self.caller.covers(name(core.kind, record).as_deref())
    }
}
