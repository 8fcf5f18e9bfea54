//! Where the log is: in a folder on this machine, or on a server. Commands ask both the same.

use core::ops::Range;

use griptrace_core::{
    digest::Digest,
    entry::Genesis,
    id::{GenesisHash, NodeId},
    key::{PublicKey, Signer},
    key_history::KeyHistory,
    node::Kind,
};
use griptrace_store::{
    AdoptedBundle, CommitError, Disclose, ForeignNode, Found, LogEntry, Paths, ProveOptions, Receipt, Resolved, Store,
    StoredNode, Witnesses, record::NodeRecord,
};

use crate::{clock, error::CommandError, remote::Remote};

/// A log that is asked and committed to.
#[derive(Debug)]
pub(crate) enum Log {
    /// A store on this machine.
    Local(Store),
    /// A log on a server, whose answers are checked.
    Remote(Box<Remote>),
}

impl Log {
    /// Tells whether it is on a server.
    pub(crate) const fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Returns the log's first entry.
    pub(crate) fn genesis(&self) -> &Genesis {
        match self {
            Self::Local(store) => store.genesis(),
            Self::Remote(remote) => remote.genesis(),
        }
    }

    /// Returns the keys that its checkpoints were signed with, the oldest first.
    pub(crate) fn log_keys(&self) -> Vec<PublicKey> {
        let keys = |history: &KeyHistory| history.log_keys().map(|(_, key)| key.clone()).collect();
        match self {
            Self::Local(store) => keys(&store.key_history()),
            Self::Remote(remote) => keys(remote.key_history()),
        }
    }

    /// Returns the log that nodes are for.
    pub(crate) fn home(&self) -> GenesisHash {
        match self {
            Self::Local(store) => store.home(),
            Self::Remote(remote) => remote.home(),
        }
    }

    /// Returns how many entries there are; on a server, at the pinned checkpoint.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Local(store) => store.size(),
            Self::Remote(remote) => remote.size(),
        }
    }

    /// Returns a node.
    pub(crate) fn node(&self, id: &NodeId) -> Result<Option<StoredNode>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.node(id)?),
            Self::Remote(remote) => remote.node(id),
        }
    }

    /// Tells whether a node's details are kept from this caller.
    pub(crate) fn is_withheld(&self, id: &NodeId) -> bool {
        match self {
            Self::Local(_) => false,
            Self::Remote(remote) => remote.is_withheld(id),
        }
    }

    /// Returns the Erasures of a node, in log order. A server tells of none.
    pub(crate) fn erasures_of(&self, id: &NodeId) -> Result<Vec<NodeId>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.erasures_of(id)?),
            Self::Remote(_) => Ok(Vec::new()),
        }
    }

    /// Loads nodes that will be asked for, where asking for each would be a way to go.
    pub(crate) fn prefetch(&self, ids: &[NodeId]) -> Result<(), CommandError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Remote(remote) => remote.prefetch(ids),
        }
    }

    /// Loads nodes and the marks on them.
    pub(crate) fn prefetch_marks(&self, ids: &[NodeId]) -> Result<(), CommandError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Remote(remote) => remote.prefetch_marks(ids),
        }
    }

    /// Loads the assessments of nodes, and the marks on them.
    pub(crate) fn prefetch_assessments(&self, ids: &[NodeId]) -> Result<(), CommandError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Remote(remote) => remote.prefetch_assessments(ids),
        }
    }

    /// Returns all statuses of a node, in log order.
    pub(crate) fn statuses(&self, id: &NodeId) -> Result<Vec<NodeId>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.statuses(&store.status_key(id)?)?),
            Self::Remote(remote) => remote.statuses(id),
        }
    }

    /// Returns the names that other companies' nodes go by here. A log on a server has none that its clients could tell.
    pub(crate) fn foreign_nodes(&self) -> Result<Vec<ForeignNode>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.foreign_nodes()?),
            Self::Remote(_) => Ok(Vec::new()),
        }
    }

    /// Returns every node of adopted bundles.
    pub(crate) fn adopted_nodes(&self) -> Result<Vec<ForeignNode>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.adopted_nodes()?),
            Self::Remote(_) => Ok(Vec::new()),
        }
    }

    /// Returns the adopted bundles.
    pub(crate) fn adopted(&self) -> Result<Vec<AdoptedBundle>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.adopted()?),
            Self::Remote(_) => Ok(Vec::new()),
        }
    }

    /// Returns the history of a name, oldest first.
    pub(crate) fn by_name(&self, name: &str) -> Result<Vec<NodeId>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.by_name(name)?),
            Self::Remote(remote) => remote.by_name(name),
        }
    }

    /// Returns the data sets and models with a content, in log order.
    pub(crate) fn by_content(&self, digest: &Digest) -> Result<Vec<NodeId>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.by_content(digest)?),
            Self::Remote(remote) => remote.by_content(digest),
        }
    }

    /// Returns the ids under which the same unit was recorded before (Rule R10).
    pub(crate) fn find_recorded(&self, unit: &[NodeRecord]) -> Result<Option<Vec<NodeId>>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.find_recorded(unit)?),
            Self::Remote(remote) => remote.find_recorded(unit),
        }
    }

    /// Returns the nodes whose id begins with these hexadecimal digits.
    pub(crate) fn resolve(&self, hex_prefix: &str) -> Result<Resolved, CommandError> {
        match self {
            Self::Local(store) => Ok(store.resolve(hex_prefix, None)?),
            Self::Remote(remote) => remote.resolve(hex_prefix),
        }
    }

    /// Returns everything that a node came from, nearest first.
    pub(crate) fn ancestors(&self, id: &NodeId) -> Result<Vec<Found>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.ancestors(id, None)?),
            Self::Remote(remote) => remote.ancestors(id),
        }
    }

    /// Returns everything that stands on a node, nearest first.
    pub(crate) fn descendants(&self, id: &NodeId) -> Result<Vec<Found>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.descendants(id, None)?),
            Self::Remote(remote) => remote.descendants(id),
        }
    }

    /// Returns up to `limit` ways by which `from` came from `to`.
    pub(crate) fn paths(&self, from: &NodeId, to: &NodeId, limit: usize) -> Result<Paths, CommandError> {
        match self {
            Self::Local(store) => Ok(store.paths(from, to, limit, None)?),
            Self::Remote(remote) => remote.paths(from, to, limit),
        }
    }

    /// Returns the nodes of a kind, in log order.
    pub(crate) fn of_kind(&self, kind: Kind) -> Result<Vec<NodeId>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.of_kind(kind)?),
            Self::Remote(remote) => remote.of_kind(kind),
        }
    }

    /// Returns the assessments that can open a node as their subject, in log order.
    pub(crate) fn assessments_of(&self, subject: &NodeId) -> Result<Vec<NodeId>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.assessments_of(subject)?),
            Self::Remote(remote) => remote.assessments_of(subject),
        }
    }

    /// Returns entries of the log.
    pub(crate) fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, CommandError> {
        match self {
            Self::Local(store) => Ok(store.entries(range)?),
            Self::Remote(remote) => remote.entries(range),
        }
    }

    /// Returns the bytes of a bundle, which shows growth since the checkpoints of these sizes.
    pub(crate) fn prove(
        &self,
        id: &NodeId,
        disclose: &Disclose,
        since: &[u64],
        witnesses: Witnesses,
    ) -> Result<Vec<u8>, CommandError> {
        match self {
            Self::Local(store) => {
                let (disclose, since) = (disclose.clone(), since.to_vec());
                Ok(store.prove(id, &ProveOptions { disclose, at: None, since, witnesses })?)
            }
            Self::Remote(remote) => remote.prove(id, disclose, since),
        }
    }

    /// Commits nodes, all at once.
    pub(crate) fn commit(
        &self,
        records: Vec<NodeRecord>,
        signer: &dyn Signer,
        issuer: &str,
    ) -> Result<Receipt, CommandError> {
        let store = match self {
            Self::Local(store) => store,
            Self::Remote(remote) => return remote.commit(&records, signer, issuer),
        };
        store.commit(records, signer, issuer, clock::now()).map_err(|e| {
            let may_be_in_it = matches!(e, CommitError::Storage(_) | CommitError::Poisoned | CommitError::Stopped);
            let error = CommandError::because("cannot commit", e);
            let hint = "it may be in the log all the same: griptrace log shows; recording the same again is safe";
            if may_be_in_it { error.with_hint(hint) } else { error }
        })
    }
}
