//! What is large: many ids of one beginning, many files of one node, many ways, many marks upon one node.

use core::time::Duration;
use std::{sync::mpsc, thread};

use griptrace_core::{id::NodeId, key::Signer as _, limits::STATUSES_PER_KEY_MAX, node::Mark};

use super::world::{NOW, World};
use crate::{CommitError, Refusal, Resolved, ScanOptions, SignedCommit, record::NodeRecord, signed_commit};

/// Of what came later so much was listed that nothing was left of what was there before: at one size the same question
/// had another answer when the log had grown.
#[test]
fn what_an_id_stands_for_at_a_size_is_the_same_for_ever() {
    let world = World::new();
    let source = world.source("camera", "CN");
    let first = world.add(source.clone());
    let digit = &first.to_string()[..1];
    let size = world.store.size();
    assert_eq!(world.store.resolve(digit, Some(size)).unwrap(), Resolved::One(first));
    let mut core = source.core().unwrap();
    let mut twin = |number: u32| {
        core.nonce[..4].copy_from_slice(&number.to_le_bytes());
        NodeRecord { core: core.to_bytes().unwrap(), ..source.clone() }
    };
    let mut begins: Vec<NodeRecord> = Vec::new();
    let mut number = 0;
    while begins.len() < 2000 {
        let node = twin(number);
        number += 1;
        begins.extend(Some(node).filter(|node| node.id().to_string().starts_with(digit)));
    }
    let mut ids: Vec<NodeId> = begins.iter().map(NodeRecord::id).chain([first]).collect();
    world.commit(begins);
    assert_eq!(world.store.resolve(digit, Some(size)).unwrap(), Resolved::One(first));
    ids.sort_unstable();
    ids.truncate(1000);
    assert_eq!(world.store.resolve(digit, None).unwrap(), Resolved::Ambiguous(ids));
}

/// Hundreds of nodes were read at a time, each with the files of a whole data set.
#[test]
fn nodes_with_many_files_are_read_one_by_one() {
    let world = World::new();
    let files: Vec<String> = (0..40_000).map(|number| format!("{number:06}")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let mut ids: Vec<NodeId> = (0..3).map(|_| world.add(world.model("grasp", "DE", &files))).collect();
    let part = world.store.scan(0, 100, ScanOptions::default()).unwrap();
    assert_eq!((part.nodes.len(), part.next), (1, Some(1)));
    let mut begin = 0;
    for id in &ids {
        let part = world.store.scan(begin, 100, ScanOptions::default()).unwrap();
        assert_eq!(part.nodes.iter().map(|(_, node)| node.id).collect::<Vec<_>>(), [*id]);
        begin = part.next.unwrap_or(u32::MAX);
    }
    assert_eq!(begin, u32::MAX);
    assert_eq!(world.store.first_nodes(&ids, None).unwrap().len(), 1);
    ids.truncate(1);
    assert_eq!(world.store.first_nodes(&ids, None).unwrap().len(), 1);
}

/// Ten thousand ways may each be as long as the log.
#[test]
fn long_ways_are_fewer_and_that_is_said() {
    let world = World::new();
    let sources = [world.source("one", "CN"), world.source("two", "CN")];
    let mut data = [sources[0].id(), sources[1].id()];
    let mut nodes = sources.to_vec();
    for _ in 0..150 {
        let made = [world.derive("one", &data, "CN"), world.derive("two", &data, "CN")];
        data = [made[0][1].id(), made[1][1].id()];
        nodes.extend(made.concat());
    }
    let to = nodes[0].id();
    world.commit(nodes);
    let found = world.store.paths(&data[0], &to, 10_000, None).unwrap();
    let ids: usize = found.paths.iter().map(Vec::len).sum();
    assert!(found.cut && ids <= 1 << 20 && found.paths.len() > 1000, "{} ways with {ids} ids", found.paths.len());
    assert_eq!(world.store.paths(&data[0], &to, 1000, None).unwrap().paths, found.paths[..1000]);
}

/// Each commit was counted for itself: several at once brought more marks upon one node than a verifier reads.
#[test]
fn commits_at_once_do_not_exceed_the_marks_of_a_node_together() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let mark = world.status(source, Mark::Reclassify, None);
    let mut core = mark.core().unwrap();
    let mut commit = |number: usize| {
        core.nonce[..8].copy_from_slice(&number.to_le_bytes());
        let nodes = vec![NodeRecord { core: core.to_bytes().unwrap(), ..mark.clone() }];
        let entry = signed_commit(world.home(), &nodes, &|_| None, &world.committer, "Maker", NOW).unwrap();
        SignedCommit::new(entry, nodes, world.committer.public_key())
    };
    let taken = world.store.commit_signed((0..=STATUSES_PER_KEY_MAX).map(&mut commit).collect(), NOW);
    let (last, others) = taken.split_last().unwrap();
    assert!(others.iter().all(Result::is_ok));
    assert!(
        matches!(last, Err(CommitError::Refused { why: Refusal::TooManyStatuses { .. }, .. })),
        "one more was taken than a verifier reads: {last:?}"
    );
    let key = world.store.status_key(&source).unwrap();
    assert_eq!(world.store.statuses(&key).unwrap().len(), STATUSES_PER_KEY_MAX);
}

/// Who asked about an older size held all commits up while the map of that size was made, or waited for.
#[test]
fn commits_do_not_wait_for_an_older_status_map() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let size = world.store.size();
    world.add(world.status(source, Mark::Reclassify, None));
    let making = world.store.0.older.lock().unwrap();
    let (store, node) = (world.store.clone(), world.source("later", "CN"));
    let asking = thread::spawn(move || store.status_evidence(&source, size).unwrap());
    thread::sleep(Duration::from_millis(200));
    let (committed, is_committed) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            world.add(node);
            committed.send(()).unwrap();
        });
        let in_time = is_committed.recv_timeout(Duration::from_secs(10));
        drop(making);
        in_time.expect("a commit waits for an older status map");
    });
    assert_eq!(asking.join().unwrap().statuses, []);
}

super::world::in_a_bucket_too! {
    what_an_id_stands_for_at_a_size_is_the_same_for_ever,
    nodes_with_many_files_are_read_one_by_one,
    long_ways_are_fewer_and_that_is_said,
    commits_at_once_do_not_exceed_the_marks_of_a_node_together,
    commits_do_not_wait_for_an_older_status_map,
}
