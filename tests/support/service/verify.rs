//! What a client verifies: it believes nothing that it was only told.

use griptrace_core::{
    checkpoint::Checkpoint,
    commit::Commit,
    digest::{COMMIT_TREE, Digest},
    entry::Entry,
    id::NodeId,
    node::{Core, node_id},
    note::Note,
    status_map::{status_value, verify_status_proof},
    tree::{LeafIndex, Rfc9162, TreeSize, verify_consistency, verify_inclusion},
};
use griptrace_proto::v1;
use griptrace_store::record::NodeRecord;

use crate::holding::factory::{ORIGIN, committer, log_signer};
use griptrace_core::key::Signer as _;

/// Reads a hash.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_slice(bytes).expect("a hash has 32 bytes")
}

/// Reads hashes.
pub(crate) fn digests<B: AsRef<[u8]>>(hashes: &[B]) -> Vec<Digest> {
    hashes.iter().map(|hash| digest(hash.as_ref())).collect()
}

/// Reads a checkpoint that the log signed.
pub(crate) fn checkpoint(text: &str) -> Checkpoint {
    let note = Note::parse(text.as_bytes()).expect("a checkpoint is a signed note");
    let verified = note.verify(&[log_signer().verifier().clone()]).expect("the signature is right");
    assert_eq!(verified.len(), 1, "the log signed its checkpoint");
    let checkpoint = Checkpoint::parse(note.text()).expect("it is a checkpoint");
    assert_eq!(checkpoint.origin, ORIGIN);
    checkpoint
}

/// Verifies that a leaf is in the log of a checkpoint.
pub(crate) fn verify_included<B: AsRef<[u8]>>(leaf: &Digest, index: u64, path: &[B], checkpoint: &Checkpoint) {
    let (index, size) = (LeafIndex::new(index), TreeSize::new(checkpoint.size));
    verify_inclusion(&Rfc9162, index, size, leaf, &digests(path), &checkpoint.root).expect("the leaf is in the log");
}

/// Verifies that a log has only grown.
pub(crate) fn verify_consistent<B: AsRef<[u8]>>(old: &Checkpoint, new: &Checkpoint, proof: &[B]) {
    let (from, to) = (TreeSize::new(old.size), TreeSize::new(new.size));
    verify_consistency(&Rfc9162, from, &old.root, to, &new.root, &digests(proof)).expect("the log has only grown");
}

/// Verifies that a commit is in the log, and returns the checkpoint.
pub(crate) fn verify_receipt(entry: &[u8], receipt: &v1::Receipt) -> Checkpoint {
    let checkpoint = checkpoint(&receipt.checkpoint);
    assert_eq!(checkpoint.size, receipt.tree_size);
    let leaf = Rfc9162::leaf_hash(entry);
    assert_eq!(digest(&receipt.commit_digest), leaf);
    verify_included(&leaf, receipt.index, &receipt.log_path, &checkpoint);
    checkpoint
}

/// Verifies that a node is what it is called, in a commit that the committer signed, in the log of a checkpoint;
/// and that what is read of it is what it says.
pub(crate) fn verify_node(node: &v1::Node, checkpoint: &Checkpoint) {
    let proof = node.proof.as_ref().expect("a proof was asked for");
    assert_eq!(proof.tree_size, checkpoint.size);
    let commit = Commit::parse(&proof.entry).expect("the entry is a commit");
    commit.verify(&committer().public_key()).expect("the committer signed it");
    assert_eq!((proof.count, node.commit_time), (commit.payload.count, commit.payload.time));
    assert_eq!(*node.committer, *commit.key().as_bytes());
    assert_eq!(node.issuer, *commit.issuer());
    let (id, path) = (digest(&node.id), digests(&proof.commit_path));
    let (place, count) = (LeafIndex::new(proof.place), TreeSize::new(proof.count));
    verify_inclusion(&COMMIT_TREE, place, count, &id, &path, &commit.payload.root).expect("it is in the commit");
    verify_included(&Rfc9162::leaf_hash(&proof.entry), node.index, &proof.log_path, checkpoint);
    let (core, named) = core_of(node);
    assert_eq!(named, NodeId::new(id), "the core has the name");
    assert_eq!(digest(&node.details_root), core.details);
    assert_eq!(node.kind, i32::from(core.kind.number()));
    assert_eq!(node.edges.len(), core.edges.len());
    for (told, edge) in node.edges.iter().zip(&core.edges) {
        assert_eq!(digest(&told.to), *edge.to.digest());
        assert_eq!(told.role, i32::from(edge.role.number()));
    }
    if !node.record.is_empty() {
        let record = NodeRecord::from_bytes(&node.record).expect("the record is canonical");
        assert_eq!(record.id(), named);
    }
}

/// Reads a core, and hashes it to its id.
fn core_of(node: &v1::Node) -> (Core, NodeId) {
    (Core::from_bytes(&node.core).expect("the core is canonical"), node_id(&node.core))
}

/// Verifies that a node has these statuses and no other in the log of a checkpoint; returns them.
pub(crate) fn verify_status(found: &v1::GetStatusResponse, checkpoint: &Checkpoint) -> Vec<NodeId> {
    assert_eq!(found.tree_size, checkpoint.size);
    let Ok(Entry::StatusHead(head)) = Entry::parse(&found.head) else { panic!("the head is a status head") };
    assert_eq!(head.index, checkpoint.size - 1, "the head is the last leaf");
    verify_included(&Rfc9162::leaf_hash(&found.head), head.index, &found.head_path, checkpoint);
    let statuses = digests(&found.statuses);
    let value = (!statuses.is_empty()).then(|| status_value(&statuses));
    verify_status_proof(&head.map_root, &[(digest(&found.key), value)], &found.proof).expect("these are all");
    statuses.into_iter().map(NodeId::new).collect()
}
