//! What somebody put into the bucket, or a crash left there, of which something was erased or that erases, before the log's key
//! signs over it.

use core::time::Duration;
use std::sync::Arc;

use griptrace_core::{
    commit::StatusLine,
    digest::Digest,
    entry::StatusHead,
    id::{NodeId, StatusKey},
    tree::Rfc9162,
};

use super::{
    erasing::{Person, committer, in_bucket_after, init, record, request},
    world::{NOW, World, signer},
};
use crate::{
    OpenOptions, Standing, Store,
    bucket::{Bucket as _, MemoryBucket, When},
    record::NodeRecord,
    segment,
    signing::sign,
};

/// Makes a segment with one commit of these nodes to follow on a log. Of those that `taken` names an Erasure took all but the core.
fn group(
    store: &Store,
    nodes: Vec<NodeRecord>,
    lines: Vec<StatusLine>,
    taken: &[(NodeId, NodeId)],
) -> (String, Vec<u8>) {
    let state = store.0.read();
    let mut named: Vec<(NodeId, NodeRecord)> = nodes.into_iter().map(|node| (node.id(), node)).collect();
    named.sort_unstable_by_key(|(id, _)| *id);
    let mut sorted: Vec<NodeId> = named.iter().map(|(id, _)| *id).collect();
    let (entry, payload) = sign(store.home(), &mut sorted, lines, &committer(), "Maker", NOW).unwrap();
    let (mut frontier, mut map) = (state.catalogue.frontier().clone(), state.catalogue.map().clone());
    let mut writer = segment::GroupWriter::new(Some(&state.note));
    writer.entry(&entry);
    frontier.push(Rfc9162::leaf_hash(&entry)).unwrap();
    payload.statuses.iter().for_each(|line| map.append(line.key.digest(), line.status.digest()));
    writer.nodes(&named).unwrap();
    let head = StatusHead { index: frontier.size().get(), map_root: map.root(), time: NOW }.to_bytes();
    writer.entry(&head);
    frontier.push(Rfc9162::leaf_hash(&head)).unwrap();
    let mut bytes = writer.finish(frontier.size().get(), &frontier.root().unwrap());
    let first = state.catalogue.size();
    let name = segment::name(first);
    let parsed = segment::Groups::new(&name, first, &bytes, 0, first).next().unwrap().unwrap();
    let places = parsed.entries[0].nodes.iter().map(|node| (node.rest(&name).unwrap().record.id(), node.frame.offset));
    for (id, at) in places.collect::<Vec<_>>() {
        for (_, taker) in taken.iter().filter(|(taken, _)| *taken == id) {
            assert!(segment::take(&name, &mut bytes, at, taker, |_| true).unwrap());
        }
    }
    (name, [segment::header(&store.home(), first), bytes].concat())
}

/// Puts something where a log goes on whose writer is gone, and tells what the next one says of it.
fn put_there(make: impl FnOnce(&Store, &Person) -> (String, Vec<u8>)) -> Result<(), String> {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let writer = init(&bucket, &local);
    let person = record(&writer);
    writer.0.publish();
    drop(writer);
    let writer = in_bucket_after(&bucket, &local);
    let (name, bytes) = make(&writer, &person);
    writer.0.publish();
    let size = writer.size();
    drop(writer);
    bucket.put(&name, &bytes, &When::Absent).unwrap();
    let other = tempfile::tempdir().unwrap();
    let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
    let store = Store::join_in(Arc::new(bucket.clone()), other.path(), options).unwrap();
    for at in 0..60 {
        match store.tend(Duration::from_secs(at)) {
            Ok(Standing::Writer) => {
                assert_eq!(store.size(), size + 2);
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => {
                assert_eq!(store.size(), size);
                return Err(format!("{error:?}"));
            }
        }
    }
    panic!("nobody gets the turn");
}

fn assert_refused(found: &Result<(), String>, why: &str) {
    assert!(found.as_ref().is_err_and(|found| found.contains(why)), "{found:?}");
}

#[test]
fn what_is_said_to_be_erased_is_held_against_what_says_so_before_it_is_signed() {
    let junk = |store: &Store| World::at(store).source("junk", "DE");
    assert_eq!(put_there(|store, _| group(store, vec![junk(store)], vec![], &[])), Ok(()));
    let nothing_takes = put_there(|store, person| {
        let junk = junk(store);
        let taken = [(junk.id(), person.set.id())];
        group(store, vec![junk], vec![], &taken)
    });
    assert_refused(&nothing_takes, "and no Erasure of");
    let other_takes = put_there(|store, person| {
        let (junk, erasure) = (junk(store), store.erasure(request(person.set.id(), &[0], &[])).unwrap());
        let taken = [(junk.id(), erasure.id())];
        group(store, vec![junk, erasure], vec![], &taken)
    });
    assert_refused(&other_takes, "and no Erasure of");
    let withdraws = put_there(|store, person| {
        let status = NodeId::new(Digest::from_bytes([9; 32]));
        let lines = vec![StatusLine { key: StatusKey::of_node(person.model.id()), status }];
        let junk = junk(store);
        let taken = [(junk.id(), person.set.id())];
        group(store, vec![junk], lines, &taken)
    });
    assert_refused(&withdraws, "states other statuses than its nodes have");
}

#[test]
fn an_erasure_without_what_is_left_is_not_signed() {
    let alone = put_there(|store, person| {
        let erasure = store.erasure(request(person.set.id(), &[0], &[])).unwrap();
        group(store, vec![NodeRecord { remains: None, ..erasure }], vec![], &[])
    });
    assert_refused(&alone, "it is made where the store is");
    let taken = put_there(|store, person| {
        let erasure = store.erasure(request(person.set.id(), &[0], &[])).unwrap();
        let taken = [(erasure.id(), person.set.id())];
        group(store, vec![NodeRecord { remains: None, ..erasure }], vec![], &taken)
    });
    assert_refused(&taken, "has nothing of what it erased");
    let whole = put_there(|store, person| {
        let erasure = store.erasure(request(person.set.id(), &[0], &[])).unwrap();
        group(store, vec![erasure], vec![], &[])
    });
    assert_eq!(whole, Ok(()));
}
