//! A log on a server, believed only as far as it is proven.
//!
//! On connecting, the log's first entry, its key and its newest checkpoint are compared with what was seen
//! before ([`seen`]); every question of a command is then asked at the size of that one checkpoint, and every
//! answer is checked against its root ([`check`]). What a server can't prove is that nothing was left out of
//! what stands on a node, of a search, or of a name's history.

mod check;
mod commit;
mod connection;
mod lie;
mod questions;
mod seen;
mod settings;
#[cfg(test)]
mod tests;
mod trouble;

use core::{cell::RefCell, time::Duration};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use griptrace_core::{
    digest::Digest,
    entry::{Entry, Genesis, genesis_hash},
    id::{GenesisHash, NodeId},
    note::NoteVerifier,
};
use griptrace_proto::v1::{
    self, lineage_service_client::LineageServiceClient, proof_service_client::ProofServiceClient,
};
use griptrace_store::StoredNode;
use tonic::{Code, Status};

pub(crate) use self::settings::{ServerArgs, ServerConfig, Target, check_url, read_token};
use self::{
    check::{Pinned, Verified, digests, read_id, status_key},
    connection::{Caller, Connection, client, drain, request},
    lie::Lie,
    seen::Seen,
    trouble::trouble,
};
use crate::{error::CommandError, output::Output};

/// Ids that are asked for at once.
const BATCH: usize = 1000;
/// How long a server may take to follow the log to where it was seen before.
const FOLLOWING_MAX: Duration = Duration::from_secs(10);
/// Questions of one kind that are asked at once.
const AT_ONCE: usize = 16;

/// A log on a server, at one size.
#[derive(Debug)]
pub(crate) struct Remote {
    connection: Connection,
    genesis: Genesis,
    home: GenesisHash,
    verifier: NoteVerifier,
    seen: Seen,
    pinned: Pinned,
    /// Verified nodes.
    nodes: RefCell<BTreeMap<NodeId, StoredNode>>,
    /// Those whose private part the server keeps from this caller.
    withheld: RefCell<BTreeSet<NodeId>>,
    /// Verified statuses, by node.
    statuses: RefCell<BTreeMap<NodeId, Vec<NodeId>>>,
    /// Assessments, by subject, as far as the server tells.
    assessments: RefCell<BTreeMap<NodeId, Vec<NodeId>>>,
}

/// Calls the service of questions.
fn lineage(caller: Caller) -> LineageServiceClient<Caller> {
    client!(LineageServiceClient, caller)
}

/// Calls the service of proofs.
fn proofs(caller: Caller) -> ProofServiceClient<Caller> {
    client!(ProofServiceClient, caller)
}

/// Asks for the newest checkpoint, where the log has at least as many entries as were seen before.
fn newest(connection: &Connection, seen: u64) -> Result<v1::GetCheckpointResponse, CommandError> {
    let question = |caller: Caller| async {
        let mut newest = request(v1::GetCheckpointRequest { tree_size: 0, known_size: 0 });
        newest.set_timeout(FOLLOWING_MAX);
        Ok(proofs(caller).get_checkpoint(newest).await?.into_inner())
    };
    connection.ask_beyond(seen);
    let mut answer = connection.ask_status(question);
    if answer.as_ref().is_err_and(|status| status.code() == Code::OutOfRange) {
        // It says that the log has fewer: that is to be shown, signed.
        connection.ask_beyond(0);
        answer = connection.ask_status(question);
    }
    answer.map_err(|status| trouble(connection.url(), &status))
}

impl Remote {
    /// Goes to a server and pins its newest checkpoint, which has to extend what was seen before.
    ///
    /// `folder` keeps what was seen; `origin` is the log that the settings name, if they name one.
    pub(crate) fn connect(
        output: &Output,
        target: &Target,
        folder: &Path,
        origin: Option<&str>,
    ) -> Result<Self, CommandError> {
        let connection = Connection::new(output, target)?;
        let answer = connection
            .ask(|caller| async { Ok(proofs(caller).get_log(request(v1::GetLogRequest {})).await?.into_inner()) })?;
        let (genesis, home, verifier) = log(&answer)?;
        check_origin(connection.url(), &genesis, &verifier, target, origin)?;
        let seen = Seen::new(folder, verifier.clone(), home);
        let last = seen.last()?;
        let answer = newest(&connection, last.as_ref().map_or(0, |last| last.size))?;
        let pinned = check::checkpoint(&verifier, &answer.checkpoint)?;
        pinned.at(answer.tree_size)?;
        connection.ask_beyond(pinned.size);
        let remote = Self {
            connection,
            genesis,
            home,
            verifier,
            seen,
            pinned,
            nodes: RefCell::default(),
            withheld: RefCell::default(),
            statuses: RefCell::default(),
            assessments: RefCell::default(),
        };
        match last {
            Some(last) => remote.check_growth(&last)?,
            None => remote.first_contact(output, target.log.is_some())?,
        }
        remote.keep(&remote.pinned)?;
        Ok(remote)
    }

    /// Checks that the checkpoint extends the one that was seen last.
    fn check_growth(&self, last: &Pinned) -> Result<(), CommandError> {
        let has_grown = last.size > 0 && last.size < self.pinned.size;
        let proof = if has_grown { self.consistency(last.size, self.pinned.size)? } else { Vec::new() };
        self.seen.check_growth(last, &self.pinned, &proof)
    }

    /// Checks that the first entry is the log's first leaf, and says whose word is taken.
    fn first_contact(&self, output: &Output, is_pinned: bool) -> Result<(), CommandError> {
        let size = self.pinned.size;
        let proof = self.inclusion(0)?;
        let genesis = self.genesis.to_bytes().map_err(|e| Lie::malformed("the log's first entry", e))?;
        self.pinned.holds("the log's first entry", &genesis, 0, &proof)?;
        if !is_pinned {
            output.talk(format_args!(
                "note: this is the first contact with the log {}; from now on it is held to its key {} and to its checkpoint of size {size}. Compare the key with what the operator says",
                self.genesis.origin,
                self.verifier.to_vkey()
            ));
        }
        Ok(())
    }

    /// Asks for a consistency proof between two sizes.
    fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, CommandError> {
        let answer = self.connection.ask(|caller| async move {
            let sizes = v1::GetConsistencyProofRequest { old_size: old, new_size: new };
            Ok(proofs(caller).get_consistency_proof(request(sizes)).await?.into_inner())
        })?;
        Ok(digests("a consistency proof", &answer.consistency)?)
    }

    /// Asks for the path of a leaf at the pinned size.
    fn inclusion(&self, index: u64) -> Result<Vec<Bytes>, CommandError> {
        let tree_size = self.pinned.size;
        let answer = self.connection.ask(|caller| async move {
            let leaf = v1::GetInclusionProofRequest { index, tree_size };
            Ok(proofs(caller).get_inclusion_proof(request(leaf)).await?.into_inner())
        })?;
        self.pinned.at(answer.tree_size)?;
        Ok(answer.log_path)
    }

    /// Checks that a checkpoint, newer or older than the pinned one, is of the same history.
    fn check_history(&self, other: &Pinned) -> Result<(), CommandError> {
        let (old, new) = if other.size < self.pinned.size { (other, &self.pinned) } else { (&self.pinned, other) };
        if old.size == new.size {
            return self.seen.check_growth(old, new, &[]);
        }
        self.seen.check_extends(old, new, &self.consistency(old.size, new.size)?)
    }

    /// Keeps a checkpoint as the newest that was seen; one that another command kept meanwhile has to extend it.
    fn keep(&self, new: &Pinned) -> Result<(), CommandError> {
        match self.seen.keep(new)? {
            Some(newer) => self.seen.check_extends(new, &newer, &self.consistency(new.size, newer.size)?),
            None => Ok(()),
        }
    }

    /// Returns the log's first entry.
    pub(crate) const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Returns the log that nodes are for.
    pub(crate) const fn home(&self) -> GenesisHash {
        self.home
    }

    /// Returns the size that everything is asked at.
    pub(crate) const fn size(&self) -> u64 {
        self.pinned.size
    }

    /// Returns the server's address.
    pub(crate) fn url(&self) -> &str {
        self.connection.url()
    }

    /// Tells whether the server keeps a node's details from this caller.
    pub(crate) fn is_withheld(&self, id: &NodeId) -> bool {
        self.withheld.borrow().contains(id)
    }

    /// Returns a node; `None` if the server says that there is none, which it can't prove.
    pub(crate) fn node(&self, id: &NodeId) -> Result<Option<StoredNode>, CommandError> {
        if let Some(node) = self.nodes.borrow().get(id) {
            return Ok(Some(node.clone()));
        }
        match self.batch(&[*id]) {
            Ok(answers) => self.take_nodes(&[*id], &answers)?,
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(trouble(self.url(), &status)),
        }
        Ok(self.nodes.borrow().get(id).cloned())
    }

    /// Loads nodes that will be asked for, in few calls.
    pub(crate) fn prefetch(&self, ids: &[NodeId]) -> Result<(), CommandError> {
        let lacking: BTreeSet<NodeId> =
            ids.iter().filter(|id| !self.nodes.borrow().contains_key(id)).copied().collect();
        let lacking: Vec<NodeId> = lacking.into_iter().collect();
        for some in lacking.chunks(BATCH) {
            let answers = self.batch(some).map_err(|status| trouble(self.url(), &status))?;
            self.take_nodes(some, &answers)?;
        }
        Ok(())
    }

    fn batch(&self, ids: &[NodeId]) -> Result<Vec<v1::BatchGetNodesResponse>, Status> {
        let question = v1::BatchGetNodesRequest {
            ids: ids.iter().map(|id| wire(id.digest())).collect(),
            view: v1::NodeView::Full.into(),
            tree_size: self.pinned.size,
            with_proof: true,
        };
        self.connection.ask_status(|caller| {
            let question = question.clone();
            async { drain(lineage(caller).batch_get_nodes(request(question)).await?).await }
        })
    }

    /// Checks nodes, which have to be exactly those that were asked for, and keeps them.
    fn take_nodes(&self, ids: &[NodeId], answers: &[v1::BatchGetNodesResponse]) -> Result<(), Lie> {
        let mut lacking: BTreeSet<NodeId> = ids.iter().copied().collect();
        for answer in answers {
            self.pinned.at(answer.tree_size)?;
            for node in &answer.nodes {
                let Verified { node, is_withheld } = self.pinned.node(self.home, node)?;
                if !lacking.remove(&node.id) {
                    return Err(Lie::Unasked { id: node.id });
                }
                if is_withheld {
                    self.withheld.borrow_mut().insert(node.id);
                }
                self.nodes.borrow_mut().insert(node.id, node);
            }
        }
        lacking.first().map_or(Ok(()), |id| Err(Lie::Missing { id: *id }))
    }

    /// Loads the marks on nodes that will be asked for, many at once.
    pub(crate) fn prefetch_marks(&self, ids: &[NodeId]) -> Result<(), CommandError> {
        self.prefetch(ids)?;
        let lacking: BTreeSet<NodeId> =
            ids.iter().filter(|id| !self.statuses.borrow().contains_key(id)).copied().collect();
        let lacking: Vec<NodeId> = lacking.into_iter().collect();
        let mut found = Vec::new();
        for some in lacking.chunks(BATCH) {
            found.extend(self.load_statuses(some)?);
        }
        self.prefetch(&found)
    }

    /// Loads and checks the statuses of nodes that are loaded, and returns all of them.
    fn load_statuses(&self, ids: &[NodeId]) -> Result<Vec<NodeId>, CommandError> {
        let answers = self.connection.ask(|caller| {
            let calls = ids.iter().map(move |id| ask_status(caller.clone(), *id, self.pinned.size));
            stream::iter(calls.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect::<Vec<_>>()
        })?;
        let mut found = Vec::new();
        for (id, answer) in ids.iter().zip(&answers) {
            let key = self.nodes.borrow().get(id).map(|node| status_key(*id, &node.core));
            let statuses = self.pinned.statuses(*id, key.ok_or(Lie::Missing { id: *id })?, answer)?;
            found.extend(statuses.iter().copied());
            self.statuses.borrow_mut().insert(*id, statuses);
        }
        Ok(found)
    }

    /// Returns all statuses of a node, in log order.
    pub(crate) fn statuses(&self, id: &NodeId) -> Result<Vec<NodeId>, CommandError> {
        self.prefetch_marks(core::slice::from_ref(id))?;
        Ok(self.statuses.borrow().get(id).cloned().unwrap_or_default())
    }

    /// Returns verified nodes by id, loading those that are lacking.
    fn nodes_of(&self, ids: &[NodeId]) -> Result<BTreeMap<NodeId, StoredNode>, CommandError> {
        self.prefetch(ids)?;
        let nodes = self.nodes.borrow();
        Ok(ids.iter().filter_map(|id| Some((*id, nodes.get(id)?.clone()))).collect())
    }
}

async fn ask_status(caller: Caller, id: NodeId, tree_size: u64) -> Result<v1::GetStatusResponse, Status> {
    let question = v1::GetStatusRequest { id: wire(id.digest()), tree_size };
    Ok(proofs(caller).get_status(request(question)).await?.into_inner())
}

/// Reads which log a server has. That it is the right one, only who knows its key can say.
fn log(answer: &v1::GetLogResponse) -> Result<(Genesis, GenesisHash, NoteVerifier), CommandError> {
    let genesis = match Entry::parse(&answer.genesis) {
        Ok(Entry::Genesis(genesis)) => genesis,
        Ok(Entry::Commit(_) | Entry::KeyChange(_) | Entry::StatusHead(_)) => {
            return Err(Lie::malformed("the log's first entry", "it is another entry").into());
        }
        Err(error) => return Err(Lie::malformed("the log's first entry", error).into()),
    };
    let verifier = crate::workspace::verifier(&genesis)?;
    let found = verifier.to_vkey();
    if answer.vkey != found || answer.origin != genesis.origin {
        return Err(Lie::Key { stated: format!("{} with the key {}", answer.origin, answer.vkey), found }.into());
    }
    Ok((genesis, genesis_hash(&answer.genesis), verifier))
}

/// Refuses another log than the settings name.
fn check_origin(
    url: &str,
    genesis: &Genesis,
    verifier: &NoteVerifier,
    target: &Target,
    origin: Option<&str>,
) -> Result<(), CommandError> {
    let found = &genesis.origin;
    if let Some(origin) = origin.filter(|origin| origin != found) {
        return Err(CommandError::failed(format!(
            "the server {url} has the log {found}, and this folder is of {origin}"
        )));
    }
    let (key, pinned) = (verifier.to_vkey(), target.log.as_ref());
    match pinned.filter(|pinned| **pinned != key) {
        Some(pinned) => Err(CommandError::failed(format!(
            "the server {url} shows a log with the key {key}, and {pinned} is the one that is pinned"
        ))
        .with_hint("ask the operator which key the log has; it does not change while the log lives")),
        None => Ok(()),
    }
}

/// Returns a digest as it travels.
fn wire(digest: &Digest) -> Bytes {
    Bytes::copy_from_slice(digest.as_bytes())
}

/// Reads ids of nodes.
fn read_ids(list: &[Bytes]) -> Result<Vec<NodeId>, Lie> {
    list.iter().map(|bytes| read_id("a node's id", bytes)).collect()
}
