//! One signature over a set of nodes: made here, or made elsewhere and checked here.

use std::collections::BTreeMap;

use griptrace_core::{
    assessment::assessed,
    commit::{Commit, CommitError as Unsigned, CommitPayload, StatusLine},
    digest::{COMMIT_TREE, Digest},
    id::{GenesisHash, NodeId, StatusKey},
    key::{PublicKey, Signer},
    limits::ENTRY_BYTES_MAX,
    node::{Kind, Role},
    tree,
};

use crate::{
    error::{CommitError, Refusal},
    number::wide,
    record::NodeRecord,
};

/// Seconds that a commit's own time may be ahead of the log's clock.
pub(crate) const AHEAD_SECONDS_MAX: u64 = 300;

/// Signs a set of nodes and returns the entry's bytes, to be sent to whoever keeps the log.
///
/// `status_key` is asked what the status map is asked for about a marked node that is not in the set: `None` stands for
/// the node's id.
///
/// # Errors
/// `Refused` for a node that cannot be read; `Commit`, `RootsDiffer`.
pub fn signed_commit(
    home: GenesisHash,
    nodes: &[NodeRecord],
    status_key: &dyn Fn(&NodeId) -> Option<StatusKey>,
    signer: &dyn Signer,
    issuer: &str,
    now: u64,
) -> Result<Vec<u8>, CommitError> {
    let mut cores = BTreeMap::new();
    for record in nodes {
        let id = record.id();
        let wrong = |why: String| CommitError::Refused { id, why: Refusal::Statement { why } };
        cores.insert(id, record.core().map_err(|e| wrong(e.to_string()))?);
    }
    let key_of = |id: &NodeId| match cores.get(id) {
        Some(core) if core.kind == Kind::Assessment => assessed(*id, core).ok().map(|assessed| assessed.status_key),
        Some(_) => None,
        None => status_key(id),
    };
    let mut lines = Vec::new();
    for (id, core) in cores.iter().filter(|(_, core)| core.kind == Kind::Status) {
        let target = core.edges_of(Role::Marks).next().map_or(*id, |edge| edge.to);
        lines.push(StatusLine { key: key_of(&target).unwrap_or(StatusKey::of_node(target)), status: *id });
    }
    let mut ids: Vec<NodeId> = nodes.iter().map(NodeRecord::id).collect();
    sign(home, &mut ids, lines, signer, issuer, now).map(|(entry, _)| entry)
}

/// Signs a set of ids, which are sorted here; returns the entry's bytes and what it says.
pub(crate) fn sign(
    home: GenesisHash,
    ids: &mut [NodeId],
    lines: Vec<StatusLine>,
    signer: &dyn Signer,
    issuer: &str,
    now: u64,
) -> Result<(Vec<u8>, CommitPayload), CommitError> {
    let payload = CommitPayload::over(home, ids, now, lines).map_err(|e| CommitError::Commit(Unsigned::Payload(e)))?;
    check_root(&payload, ids)?;
    let entry = Commit::sign(&payload, signer, issuer).map_err(CommitError::Commit)?;
    let commit = Commit::parse(&entry).map_err(CommitError::Commit)?;
    // A key in a module can fail too: what it signed is checked before it is believed.
    commit.verify(&signer.public_key()).map_err(CommitError::Commit)?;
    Ok((entry, payload))
}

/// Reads a commit that was signed elsewhere and checks what can be checked without its nodes.
pub(crate) fn read(entry: &[u8], key: &PublicKey, home: GenesisHash, now: u64) -> Result<Commit, CommitError> {
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(CommitError::EntryTooLarge { limit: ENTRY_BYTES_MAX, found: entry.len() });
    }
    let commit = Commit::parse(entry).map_err(CommitError::Commit)?;
    if commit.payload.home != home {
        return Err(CommitError::Home { expected: home, found: commit.payload.home });
    }
    if commit.payload.time > now.saturating_add(AHEAD_SECONDS_MAX) {
        return Err(CommitError::Ahead { time: commit.payload.time, now });
    }
    commit.verify(key).map_err(CommitError::Commit)?;
    Ok(commit)
}

/// Checks that a commit was signed over exactly these nodes, sorted by id.
pub(crate) fn check_nodes(payload: &CommitPayload, ids: &[NodeId]) -> Result<(), CommitError> {
    let leaves: Vec<Digest> = ids.iter().map(|id| *id.digest()).collect();
    let computed = tree::root(&COMMIT_TREE, &leaves).unwrap_or(Digest::ZERO);
    if payload.count != wide(ids.len()) || payload.root != computed {
        let (stated, count) = (payload.root, payload.count);
        return Err(CommitError::Nodes { stated, count, computed, found: wide(ids.len()) });
    }
    check_root(payload, ids)
}

/// The hash of the commit tree, as `rs_merkle` calls it: on the two children side by side.
#[derive(Clone)]
struct CommitHasher;

impl rs_merkle::Hasher for CommitHasher {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> Self::Hash {
        *COMMIT_TREE.hash(data).as_bytes()
    }
}

/// Computes the commit's root once more, by code that is not ours: nothing is signed that only one
/// program computed.
fn check_root(payload: &CommitPayload, ids: &[NodeId]) -> Result<(), CommitError> {
    let leaves: Vec<[u8; 32]> = ids.iter().map(|id| *id.as_bytes()).collect();
    let root = rs_merkle::MerkleTree::<CommitHasher>::from_leaves(&leaves).root();
    let other = root.map_or(Digest::ZERO, Digest::from_bytes);
    if other == payload.root { Ok(()) } else { Err(CommitError::RootsDiffer { ours: payload.root, other }) }
}
