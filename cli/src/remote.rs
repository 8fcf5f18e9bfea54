//! A log on a server, believed only as far as it is proven.
//!
//! On connecting, the log's first entry, its keys ([`keys`]) and its newest checkpoint are compared with what was seen
//! before ([`seen`]); every question of a command is then asked at the size of that one checkpoint, and every
//! answer is checked against its root ([`check`]). What a server can't prove is that nothing was left out of
//! what stands on a node, of a search, or of a name's history.

mod check;
mod commit;
mod connection;
mod keys;
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
    entry::Genesis,
    id::{GenesisHash, NodeId},
    key_history::KeyHistory,
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
    keys::{LogKeys, stated_size},
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
    keys: LogKeys,
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

/// Asks which log it is.
fn ask_log(connection: &Connection) -> Result<LogKeys, CommandError> {
    let answer = connection
        .ask(|caller| async { Ok(proofs(caller).get_log(request(v1::GetLogRequest {})).await?.into_inner()) })?;
    LogKeys::read(&answer)
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
        let mut keys = ask_log(&connection)?;
        check_origin(connection.url(), keys.genesis(), origin)?;
        let seen = Seen::new(folder, &keys.genesis().origin, keys.home());
        let last = seen.last()?;
        let answer = newest(&connection, last.as_ref().map_or(0, |last| last.size))?;
        let lacks = |keys: &LogKeys| {
            let known = [target.log.clone(), last.as_ref().map(|last| last.by.to_vkey())];
            known.iter().flatten().any(|key| keys.place(key).is_none()) || keys.checkpoint(&answer.checkpoint).is_err()
        };
        if lacks(&keys) {
            // It may have changed since it was asked for, or be that of a server which has followed the log less far.
            connection.ask_beyond(answer.tree_size);
            keys = same_log(&keys, ask_log(&connection)?)?;
        }
        let pinned = keys.checkpoint(&answer.checkpoint)?;
        pinned.at(answer.tree_size)?;
        connection.ask_beyond(pinned.size);
        let remote = Self {
            connection,
            keys: keys.at(pinned.size)?,
            seen,
            pinned,
            nodes: RefCell::default(),
            withheld: RefCell::default(),
            statuses: RefCell::default(),
            assessments: RefCell::default(),
        };
        remote.believe(output, target, last.as_ref())?;
        remote.keep(&remote.pinned)?;
        Ok(remote)
    }

    /// Checks that the log is the one that was seen, or is pinned, and says how its key changed since.
    fn believe(&self, output: &Output, target: &Target, last: Option<&Pinned>) -> Result<(), CommandError> {
        // What contradicts what was seen comes first: of that the evidence is kept.
        last.map_or(Ok(()), |last| self.check_growth(last))?;
        check_pin(self.url(), &self.keys, target)?;
        self.check_changes(&self.keys, &self.pinned)?;
        if last.is_none() {
            self.first_contact(output, target.log.is_some())?;
        }
        if let Some(pinned) = &target.log {
            self.check_first_key(pinned, last)?;
        }
        let known = last.map(|last| last.by.to_vkey()).or_else(|| target.log.clone());
        for place in known.and_then(|key| self.keys.place(&key)).into_iter().flat_map(|known| known..) {
            let Some(told) = self.keys.told(place) else { break };
            output.talk(format_args!("note: {told}"));
        }
        Ok(())
    }

    /// Checks that the checkpoint extends the one that was seen last, which was signed by the key of its size.
    fn check_growth(&self, last: &Pinned) -> Result<(), CommandError> {
        let has_grown = last.size > 0 && last.size < self.pinned.size;
        let proof = if has_grown { self.consistency(last.size, self.pinned.size)? } else { Vec::new() };
        self.seen.check_growth(last, &self.pinned, &proof)?;
        match self.keys.signs(last.size).filter(|signs| **signs != last.by) {
            Some(signs) => {
                let (size, vkey, shown) = (last.size, last.by.to_vkey(), signs.to_vkey());
                Err(CommandError::from(Lie::SeenKey { size, vkey, shown })
                    .with_hint("a change of the log's key is left out or moved; ask the operator, and believe nothing of it until then"))
            }
            None => Ok(()),
        }
    }

    /// Checks that the first entry is the log's first leaf, and says whose word is taken.
    fn first_contact(&self, output: &Output, is_pinned: bool) -> Result<(), CommandError> {
        self.check_first_entry(&self.pinned)?;
        if !is_pinned {
            output.talk(format_args!(
                "note: this is the first contact with the log {}; from now on it is held to its key {} and to its checkpoint of size {}. Compare the key with what the operator says",
                self.genesis().origin,
                self.pinned.by.to_vkey(),
                self.pinned.size
            ));
        }
        Ok(())
    }

    fn check_first_entry(&self, under: &Pinned) -> Result<(), CommandError> {
        let proof = self.inclusion(0, under.size)?;
        let genesis = self.genesis().to_bytes().map_err(|e| Lie::malformed("the log's first entry", e))?;
        Ok(under.holds("the log's first entry", &genesis, 0, &proof)?)
    }

    /// Checks that changes of the log's key stand in the log where they are said to stand.
    fn check_changes(&self, keys: &LogKeys, under: &Pinned) -> Result<(), CommandError> {
        for change in keys.changes().iter().filter(|change| change.index < under.size) {
            let proof = self.inclusion(change.index, under.size)?;
            under.holds("a change of the log's key", &change.entry, change.index, &proof)?;
        }
        Ok(())
    }

    /// Checks that the log is that of a pinned first key, where a revoker took it out of use: its signature on a change does not show it
    /// then, so that one on a checkpoint has to.
    fn check_first_key(&self, pinned: &str, last: Option<&Pinned>) -> Result<(), CommandError> {
        let Some(revoked) = self.keys.first_key_revoked() else { return Ok(()) };
        let is_seen = last.is_some_and(|last| last.by.to_vkey() == pinned);
        if is_seen || self.keys.place(pinned) != Some(0) {
            return Ok(());
        }
        let lacking = || Lie::FirstKey { vkey: pinned.to_owned(), index: revoked.index };
        let asked = v1::GetCheckpointRequest { tree_size: revoked.index, known_size: 0 };
        let answer = self
            .connection
            .ask(|caller| async move { Ok(proofs(caller).get_checkpoint(request(asked)).await?.into_inner()) });
        let answer = answer.map_err(|why| why.while_doing(lacking().to_string()))?;
        let before = self.keys.checkpoint(&answer.checkpoint)?;
        if before.by.to_vkey() != pinned {
            return Err(lacking().into());
        }
        self.check_first_entry(&before)?;
        self.check_history(&before)
    }

    /// Reads a checkpoint that the log's key signed; the key may have changed since the command began.
    fn checkpoint(&self, note: &str) -> Result<Pinned, CommandError> {
        let unsigned = match self.keys.checkpoint(note) {
            Ok(read) => return Ok(read),
            Err(lie) => lie,
        };
        self.connection.ask_beyond(stated_size(note)?.max(self.pinned.size));
        let keys = same_log(&self.keys, ask_log(&self.connection)?)?;
        let Ok(read) = keys.checkpoint(note) else { return Err(unsigned.into()) };
        self.check_changes(&keys, &read)?;
        Ok(read)
    }

    /// Asks for a consistency proof between two sizes.
    fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, CommandError> {
        let answer = self.connection.ask(|caller| async move {
            let sizes = v1::GetConsistencyProofRequest { old_size: old, new_size: new };
            Ok(proofs(caller).get_consistency_proof(request(sizes)).await?.into_inner())
        })?;
        Ok(digests("a consistency proof", &answer.consistency)?)
    }

    /// Asks for the path of a leaf in the tree of a size.
    fn inclusion(&self, index: u64, tree_size: u64) -> Result<Vec<Bytes>, CommandError> {
        let answer = self.connection.ask(|caller| async move {
            let leaf = v1::GetInclusionProofRequest { index, tree_size };
            Ok(proofs(caller).get_inclusion_proof(request(leaf)).await?.into_inner())
        })?;
        if answer.tree_size != tree_size {
            return Err(Lie::Size { pinned: tree_size, found: answer.tree_size }.into());
        }
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
        self.keys.genesis()
    }

    /// Returns the log that nodes are for.
    pub(crate) const fn home(&self) -> GenesisHash {
        self.keys.home()
    }

    /// Returns which key signed the log's checkpoints when. What keys of committers have ended it does not tell.
    pub(crate) const fn key_history(&self) -> &KeyHistory {
        self.keys.history()
    }

    /// Returns the key that signed the pinned checkpoint.
    pub(crate) const fn log_key(&self) -> &NoteVerifier {
        &self.pinned.by
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
                let Verified { node, is_withheld } = self.pinned.node(self.home(), node)?;
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

/// Returns the keys that a server shows now, of the log that it showed before.
fn same_log(before: &LogKeys, now: LogKeys) -> Result<LogKeys, Lie> {
    if now.home() == before.home() { Ok(now) } else { Err(Lie::OtherLog { before: before.home(), found: now.home() }) }
}

/// Refuses another log than the settings name.
fn check_origin(url: &str, genesis: &Genesis, origin: Option<&str>) -> Result<(), CommandError> {
    let found = &genesis.origin;
    match origin.filter(|origin| origin != found) {
        Some(origin) => {
            Err(CommandError::failed(format!("the server {url} has the log {found}, and this folder is of {origin}")))
        }
        None => Ok(()),
    }
}

/// Refuses a log that never had the key that is pinned.
fn check_pin(url: &str, keys: &LogKeys, target: &Target) -> Result<(), CommandError> {
    match target.log.as_ref().filter(|pinned| keys.place(pinned).is_none()) {
        Some(pinned) => {
            let key = keys.newest().map(NoteVerifier::to_vkey).unwrap_or_default();
            Err(CommandError::failed(format!(
                "the server {url} shows a log with the key {key}, and {pinned} is the one that is pinned"
            ))
            .with_hint("ask the operator which key the log has; if it changed, a server shows the change, signed, and no change that it shows is from the pinned key or to it"))
        }
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
