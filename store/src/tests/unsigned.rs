//! What somebody put into the bucket, or a crash left there, of which something was erased or that erases, before the log's key
//! signs over it.

use core::time::Duration;
use std::sync::Arc;

use griptrace_core::{
    commit::StatusLine,
    details,
    digest::Digest,
    entry::{Entry, StatusHead},
    id::{GenesisHash, NodeId, StatusKey},
    key_change::KeyUse,
    node::Kind,
    tree::Rfc9162,
};

use super::{
    erasing::{NAME, Person, assert_clean, committer, found, in_bucket_after, init, needles, objects, record, request},
    hooked::head,
    keys::{key, rotation},
    weather::{Storm, Weather},
    world::{NOW, World, open, signer},
};
use crate::{
    OpenOptions, Place, Standing, Store,
    bucket::{Bucket as _, MemoryBucket, When},
    record::{NodeRecord, Remains},
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

/// Makes a segment with one entry and a status head, and perhaps a node behind that, to follow on a log; `before` is its checkpoint.
fn bare(store: &Store, entry: &[u8], before: &str, behind: &[(NodeId, NodeRecord)]) -> (String, Vec<u8>) {
    let state = store.0.read();
    let (mut frontier, mut map) = (state.catalogue.frontier().clone(), state.catalogue.map().clone());
    let mut writer = segment::GroupWriter::new(Some(before));
    writer.entry(entry);
    frontier.push(Rfc9162::leaf_hash(entry)).unwrap();
    let lines = Entry::parse(entry).unwrap().map_lines(entry);
    lines.iter().for_each(|line| map.append(line.key.digest(), line.status.digest()));
    let head = StatusHead { index: frontier.size().get(), map_root: map.root(), time: NOW }.to_bytes();
    writer.entry(&head);
    frontier.push(Rfc9162::leaf_hash(&head)).unwrap();
    writer.nodes(behind).unwrap();
    let bytes = writer.finish(frontier.size().get(), &frontier.root().unwrap());
    let first = state.catalogue.size();
    (segment::name(first), [segment::header(&store.home(), first), bytes].concat())
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
                // It is in nobody's way who reads, and goes when it is taken away.
                bucket.remove(&name).unwrap();
                assert_eq!(head(&bucket).head.size, size);
                let there = tempfile::tempdir().unwrap();
                let next = in_bucket_after(&bucket, &there);
                next.commit(vec![World::at(&next).source("next", "DE")], &key(99), "Maker", NOW).unwrap();
                return Err(format!("{error:?}"));
            }
        }
    }
    panic!("nobody gets the turn");
}

fn assert_refused(found: &Result<(), String>, why: &str) {
    assert!(found.as_ref().is_err_and(|found| found.contains(why)), "{found:?}");
}

/// Whatever was signed over it stays: nobody would open the log again, or its audit would find a fault for ever.
#[test]
fn what_the_log_would_not_have_written_is_not_signed() {
    let change = |home| rotation(home, KeyUse::Committer, &key(70), &key(71));
    let good = put_there(|store, _| bare(store, &change(store.home()), &store.checkpoint(), &[]));
    assert_eq!(good, Ok(()), "a rotation that has a place");
    let elsewhere = put_there(|store, _| {
        let home = GenesisHash::new(Digest::from_bytes([7; 32]));
        bare(store, &change(home), &store.checkpoint(), &[])
    });
    assert_refused(&elsewhere, "would be refused");
    let twice = put_there(|store, _| {
        store.change_key(&change(store.home()), None, NOW).unwrap();
        let again = rotation(store.home(), KeyUse::Committer, &key(70), &key(72));
        bare(store, &again, &store.checkpoint(), &[])
    });
    assert_refused(&twice, "would be refused");
    let junk = put_there(|store, _| bare(store, &change(store.home()), "junk", &[]));
    assert_refused(&junk, "the note has no blank line");
    let older = put_there(|store, _| {
        let before = store.checkpoint();
        store.change_key(&change(store.home()), None, NOW).unwrap();
        bare(store, &rotation(store.home(), KeyUse::Committer, &key(71), &key(72)), &before, &[])
    });
    assert_refused(&older, "checkpoint");
    let behind = put_there(|store, _| {
        let node = World::at(store).source("looked at by nobody", "DE");
        bare(store, &change(store.home()), &store.checkpoint(), &[(node.id(), node)])
    });
    assert_refused(&behind, "which is no commit");
    let retired = put_there(|store, _| {
        let entry = rotation(store.home(), KeyUse::Committer, &committer(), &key(71));
        store.change_key(&entry, None, NOW).unwrap();
        group(store, vec![World::at(store).source("late", "DE")], vec![], &[])
    });
    assert_refused(&retired, "does not count from leaf");
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

/// An Erasure that was acknowledged and carried out before a checkpoint covered it is signed for, unless what it left is another node's.
#[test]
fn an_erasure_that_was_carried_out_is_held_against_what_its_node_is() {
    let carried_out = |change: &dyn Fn(&mut Remains, &NodeRecord)| {
        put_there(|store, person| {
            let mut erasure = store.erasure(request(person.set.id(), &[0], &[])).unwrap();
            change(erasure.remains.as_mut().unwrap(), &person.set);
            let (id, state) = (erasure.id(), store.0.read());
            let number = state.catalogue.number(&person.set.id()).unwrap();
            let (segment, at) = (state.catalogue.commit_of(number).segment, state.catalogue.node(number).frame.offset);
            drop(state);
            let take = |bytes: &mut [u8]| segment::take(&segment::name(segment), bytes, at, &id, |_| true);
            assert!(store.0.objects.blocks().unwrap().change(segment, take).unwrap().unwrap().is_some());
            group(store, vec![erasure], vec![], &[])
        })
    };
    assert_eq!(carried_out(&|_, _| {}), Ok(()));
    let other = details::Kept::Leaf(Digest::from_bytes([7; 32]));
    let another = carried_out(&|remains, _| remains.details.as_mut().unwrap().0[9] = other);
    assert_refused(&another, "the node would be another one");
    let kept = carried_out(&|remains, set| {
        let (kept, values) = remains.details.as_mut().unwrap();
        kept[0] = details::Kept::Salt(details::salt(set.secret.seed().unwrap(), 0));
        values.insert(0, set.values[&0].clone());
    });
    assert_refused(&kept, "it has what the Erasure says that it erased");
}

/// As a version did that took an Erasure from the network, and erased nothing.
#[test]
fn an_erasure_that_took_nothing_stands_in_nobodys_way() {
    let world = World::new();
    let Person { set, .. } = record(&world.store);
    let erasure = world.store.erasure(request(set.id(), &[0], &[])).unwrap();
    let id = erasure.id();
    let (name, bytes) = group(&world.store, vec![NodeRecord { remains: None, ..erasure }], vec![], &[]);
    let World { dir, store, .. } = world;
    drop(store);
    std::fs::write(dir.path().join(name), bytes).unwrap();
    let store = open(dir.path());
    assert_eq!(store.of_kind(Kind::Erasure).unwrap(), [id]);
    assert_eq!(store.by_name(NAME).unwrap(), [set.id()]);
    let report = store.fsck(&|_, _, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    assert_eq!(report.empty_erasures, [id]);
    let copy = tempfile::tempdir().unwrap();
    let to = Place::Folder(copy.path().join("copy"));
    store.back_up(&to, &|_, _, _| {}).unwrap();
    // Who wants it gone erases it.
    store.erase(request(set.id(), &[0], &[]), &committer(), "Maker", NOW).unwrap();
    assert_eq!(store.by_name(NAME).unwrap(), []);
    store.back_up(&to, &|_, _, _| {}).unwrap();
    assert_eq!(to.open().unwrap().node(&set.id()).unwrap().unwrap().record.secret.erased(), [0]);
    assert_clean(&store);
}

/// Whoever put it there is gone, and so is what says that it is under way: who signs it may crash anywhere.
#[test]
fn a_crash_of_who_adopts_an_erasure_leaves_nothing_for_good() {
    for at in 0..14 {
        let folder = || tempfile::tempdir().unwrap();
        let (bucket, local, other, third) = (MemoryBucket::default(), folder(), folder(), folder());
        let writer = init(&bucket, &local);
        let Person { set, .. } = record(&writer);
        writer.0.publish();
        drop(writer);
        let writer = in_bucket_after(&bucket, &local);
        let erasure = writer.erasure(request(set.id(), &[0], &[])).unwrap();
        let (name, bytes) = group(&writer, vec![erasure], vec![], &[]);
        writer.0.publish();
        drop(writer);
        bucket.put(&name, &bytes, &When::Absent).unwrap();
        let weather = Weather::over(&bucket);
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        let store = Store::join_in(Arc::new(weather.clone()), other.path(), options).unwrap();
        weather.brew(at, Storm::Crash);
        for seconds in 0..20 {
            if matches!(store.tend(Duration::from_secs(seconds)), Ok(Standing::Writer)) {
                break;
            }
        }
        weather.cut_off(true);
        drop(store);
        let store = in_bucket_after(&bucket, &third);
        assert_eq!(store.of_kind(Kind::Erasure).unwrap().len(), 1);
        assert_eq!(found(&objects(&bucket), &needles(&set, &[0], &[])), [""; 0], "crash at {at}");
        assert_clean(&store);
    }
}
