//! Commits that were signed elsewhere: every byte of them was chosen by somebody else.

use std::{collections::BTreeSet, thread};

use griptrace_core::{
    checkpoint::Checkpoint,
    commit::{Commit, CommitPayload, StatusLine},
    digest::Digest,
    entry::Entry,
    id::{GenesisHash, NodeId, StatusKey},
    key::{Algorithm, SecretKey, Signer as _},
    limits::ENTRY_BYTES_MAX,
    node::{Kind, Mark},
    note::Note,
    tree::{LeafIndex, Rfc9162, TreeSize, verify_inclusion},
};

use super::world::{NOW, World, signer};
use crate::{
    CommitError, Receipt, Refusal, SignedCommit,
    record::{NodeRecord, Secret},
    signed_commit,
};

/// The log's clock, which is not the committer's.
const CLOCK: u64 = NOW + 60;

impl World {
    fn sign(&self, nodes: &[NodeRecord]) -> Vec<u8> {
        let key_of = |id: &NodeId| self.store.status_key(id).ok();
        signed_commit(self.home(), nodes, &key_of, &self.committer, "Maker", NOW).unwrap()
    }

    fn send(&self, entry: &[u8], nodes: &[NodeRecord]) -> Result<Receipt, CommitError> {
        let commit = SignedCommit::new(entry.to_vec(), nodes.to_vec(), self.committer.public_key());
        let mut receipts = self.store.commit_signed(vec![commit], CLOCK);
        assert_eq!(receipts.len(), 1);
        receipts.remove(0)
    }

    /// Signs whatever it is given: what an honest client would not.
    fn forge(&self, ids: &mut [NodeId], time: u64, lines: Vec<StatusLine>) -> Vec<u8> {
        let payload = CommitPayload::over(self.home(), ids, time, lines).unwrap();
        Commit::sign(&payload, &self.committer, "Maker").unwrap()
    }
}

fn verify(entry: &[u8], receipt: &Receipt) {
    let note = Note::parse(receipt.checkpoint.as_bytes()).unwrap();
    assert_eq!(note.verify(&[signer().verifier().clone()]).unwrap().len(), 1);
    let root = Checkpoint::parse(note.text()).unwrap().root;
    let (index, size) = (LeafIndex::new(receipt.index), TreeSize::new(receipt.size));
    verify_inclusion(&Rfc9162, index, size, &Rfc9162::leaf_hash(entry), &receipt.inclusion, &root).unwrap();
}

#[test]
fn a_commit_signed_elsewhere_is_taken_once_however_often_it_is_sent() {
    let world = World::new();
    let nodes = vec![world.source("camera", "CN"), world.source("force", "CN")];
    let entry = world.sign(&nodes);
    let first = world.send(&entry, &nodes).unwrap();
    verify(&entry, &first);
    assert_eq!((first.is_old, first.ids.clone()), (false, nodes.iter().map(NodeRecord::id).collect()));
    world.add(world.source("later", "CN"));
    let size = world.store.size();
    let reversed: Vec<NodeRecord> = nodes.iter().rev().cloned().collect();
    let again = world.send(&entry, &reversed).unwrap();
    verify(&entry, &again);
    assert_eq!((again.is_old, again.index, again.size), (true, first.index, size));
    assert_eq!(world.store.size(), size, "nothing was written");
    // Another signature over the same nodes is another commit.
    let payload = Commit::parse(&entry).unwrap().payload;
    let other = Commit::sign(&payload, &world.committer, "Somebody else").unwrap();
    let refused = world.send(&other, &nodes).unwrap_err();
    assert!(matches!(refused, CommitError::Refused { why: Refusal::Recorded, .. }), "{refused:?}");
}

#[test]
fn a_commit_that_several_send_at_once_is_in_the_log_once() {
    let world = World::new();
    let nodes = vec![world.source("camera", "CN")];
    let entry = world.sign(&nodes);
    let together = SignedCommit::new(entry.clone(), nodes.clone(), world.committer.public_key());
    let receipts: Vec<Receipt> = thread::scope(|scope| {
        let send = || {
            let copies = vec![together.clone(), together.clone()];
            world.store.commit_signed(copies, CLOCK).into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    receipts.iter().for_each(|receipt| verify(&entry, receipt));
    assert_eq!(receipts.iter().map(|receipt| receipt.index).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(receipts.iter().filter(|receipt| !receipt.is_old).count(), 1);
    assert_eq!(world.store.of_kind(Kind::Dataset).unwrap().len(), 1);
}

#[test]
fn of_commits_taken_together_each_is_answered_for_itself() {
    let world = World::new();
    let good: Vec<NodeRecord> = (0..3).map(|i| world.source(&format!("{i}"), "CN")).collect();
    let lost = world.shipment(&[NodeId::new(Digest::from_bytes([5; 32]))], "DE");
    let of = |node: &NodeRecord| {
        let nodes = vec![node.clone()];
        SignedCommit::new(world.sign(&nodes), nodes, world.committer.public_key())
    };
    let commits = vec![of(&good[0]), of(&lost), of(&good[1]), of(&good[2])];
    let receipts = world.store.commit_signed(commits, CLOCK);
    assert!(
        matches!(&receipts[1], Err(CommitError::Refused { id, why: Refusal::EdgeMissing { .. } }) if *id == lost.id())
    );
    for (at, node) in [(0, &good[0]), (2, &good[1]), (3, &good[2])] {
        assert_eq!(receipts[at].as_ref().unwrap().ids, [node.id()]);
    }
    assert_eq!(world.store.of_kind(Kind::Dataset).unwrap().len(), 3);
    assert!(world.store.fsck(&|_, _, _| {}).unwrap().is_clean());
}

#[test]
fn the_status_head_is_dated_by_the_logs_clock() {
    let world = World::new();
    let nodes = vec![world.source("camera", "CN")];
    let mut ids = vec![nodes[0].id()];
    let ahead = world.forge(&mut ids, CLOCK + 299, Vec::new());
    let receipt = world.send(&ahead, &nodes).unwrap();
    let head = world.store.entries(receipt.size - 1..receipt.size).unwrap().remove(0);
    let Entry::StatusHead(head) = Entry::parse(&head.bytes).unwrap() else { panic!("the last entry is a status head") };
    assert_eq!(head.time, CLOCK, "and not by what the committer says");
}

#[test]
fn marks_are_signed_for_under_the_key_of_what_they_mark() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let assessment = world.add(world.assessment(&[source]));
    let nodes = vec![world.status(assessment, Mark::Withdraw, None), world.status(source, Mark::Withdraw, None)];
    let entry = world.sign(&nodes);
    world.send(&entry, &nodes).unwrap();
    let key = world.store.status_key(&assessment).unwrap();
    assert_ne!(key, StatusKey::of_node(assessment), "a signed assessment has a key of its own");
    assert_eq!(world.store.statuses(&key).unwrap(), [nodes[0].id()]);
    // In one commit with what it marks, the key is found there.
    let fresh = world.assessment(&[source]);
    let nodes = vec![world.status(fresh.id(), Mark::Withdraw, None), fresh.clone()];
    let entry = world.sign(&nodes);
    world.send(&entry, &nodes).unwrap();
    assert_eq!(world.store.statuses(&world.store.status_key(&fresh.id()).unwrap()).unwrap(), [nodes[0].id()]);
}

/// Each of these was signed by the right key, or looks like it.
#[test]
fn what_is_wrong_with_a_signed_commit_is_told_and_nothing_is_written() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let (one, two) = (world.source("one", "CN"), world.source("two", "CN"));
    let both = vec![one.clone(), two.clone()];
    let entry = world.sign(&both);
    let size = world.store.size();
    let refused = |entry: &[u8], nodes: &[NodeRecord]| world.send(entry, nodes).unwrap_err();

    assert!(matches!(refused(&vec![0; ENTRY_BYTES_MAX + 1], &both), CommitError::EntryTooLarge { .. }));
    assert!(matches!(refused(&entry[1..], &both), CommitError::Commit(_)));
    let mut bent = entry.clone();
    *bent.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(&bent, &both), CommitError::Commit(_)), "the signature's last bit");
    let stranger = SecretKey::from_bytes(Algorithm::Ed25519, &[77; 32]).unwrap();
    let theirs = signed_commit(world.home(), &both, &|_| None, &stranger, "Maker", NOW).unwrap();
    assert!(matches!(refused(&theirs, &both), CommitError::Commit(_)), "another key");
    let elsewhere = GenesisHash::new(Digest::from_bytes([8; 32]));
    let other = signed_commit(elsewhere, &both, &|_| None, &world.committer, "Maker", NOW).unwrap();
    assert!(matches!(refused(&other, &both), CommitError::Home { .. }));
    let mut ids = vec![one.id(), two.id()];
    assert!(matches!(refused(&world.forge(&mut ids, CLOCK + 301, Vec::new()), &both), CommitError::Ahead { .. }));
    assert!(matches!(refused(&world.forge(&mut ids, u64::MAX, Vec::new()), &both), CommitError::Ahead { .. }));
    assert!(matches!(refused(&entry, &both[..1]), CommitError::Nodes { .. }), "a node is missing");
    assert!(matches!(refused(&entry, &[]), CommitError::Nodes { .. }), "all nodes are missing");
    assert!(matches!(
        refused(&entry, &[both.clone(), vec![world.source("three", "CN")]].concat()),
        CommitError::Nodes { .. }
    ));
    assert!(matches!(refused(&entry, &[one.clone(), one.clone()]), CommitError::Nodes { .. }), "one for the other");
    let mut secret = both.clone();
    secret[0].secret = Secret::Seed([0; 32]);
    assert!(matches!(refused(&entry, &secret), CommitError::Refused { why: Refusal::Details { .. }, .. }));

    let mark = vec![world.status(source, Mark::Withdraw, None)];
    let mut marks = vec![mark[0].id()];
    assert!(matches!(refused(&world.forge(&mut marks, NOW, Vec::new()), &mark), CommitError::Statuses(_)), "no line");
    let elsewhere = StatusLine { key: StatusKey::of_node(one.id()), status: mark[0].id() };
    assert!(matches!(refused(&world.forge(&mut marks, NOW, vec![elsewhere]), &mark), CommitError::Statuses(_)));
    let made_up = StatusLine { key: StatusKey::of_node(source), status: one.id() };
    assert!(matches!(refused(&world.forge(&mut ids, NOW, vec![made_up]), &both), CommitError::Statuses(_)));
    assert_eq!(world.store.size(), size, "nothing was written");
    world.send(&entry, &both).unwrap();
}

super::world::in_a_bucket_too! {
    a_commit_signed_elsewhere_is_taken_once_however_often_it_is_sent,
    a_commit_that_several_send_at_once_is_in_the_log_once,
    of_commits_taken_together_each_is_answered_for_itself,
    the_status_head_is_dated_by_the_logs_clock,
    marks_are_signed_for_under_the_key_of_what_they_mark,
    what_is_wrong_with_a_signed_commit_is_told_and_nothing_is_written,
}
