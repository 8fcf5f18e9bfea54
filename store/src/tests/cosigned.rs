//! Cosigned checkpoints: kept, believed only as far as they are of this log, and chosen by bundles.

use griptrace_core::{
    bundle::Bundle,
    checkpoint::Checkpoint,
    id::NodeId,
    key_change::KeyUse,
    note::{Cosigner, Note},
    quorum::Quorum,
};

use super::{
    blocks::new_log,
    hooked::{Hooked, writer},
    keys::{key, rotation},
    world::{NOW, World, object, put, reader},
};
use crate::{
    Cosigned, ProveOptions, ReadError, Store, Witnesses,
    bucket::{Bucket, When},
    cosigned::{self, Downwards, Upwards},
};

fn witness(number: u8) -> Cosigner {
    Cosigner::new(&format!("w{number}.example"), &[200 + number; 32]).unwrap()
}

/// Two witnesses, both of whom are asked for.
fn both() -> Witnesses {
    let keys = [1, 2].map(|number| witness(number).verifier().clone()).into();
    Witnesses { keys, quorum: Some(Quorum::of_witnesses([0, 1], 2)) }
}

fn text(store: &Store, size: u64) -> String {
    Note::parse(store.checkpoint_at(size).unwrap().unwrap().as_bytes()).unwrap().text().to_owned()
}

fn cosign(store: &Store, size: u64, number: u8, time: u64) -> Cosigned {
    let line = witness(number).sign(&text(store, size), time).unwrap();
    store.keep_cosignatures(size, &[line], &both()).unwrap()
}

/// The sizes of a bundle's anchors, and how many lines stand on each.
fn anchors(bytes: &[u8]) -> Vec<(u64, usize)> {
    let bundle = Bundle::from_bytes(bytes).unwrap();
    let of = |note: &str| {
        let note = Note::parse(note.as_bytes()).unwrap();
        (Checkpoint::parse(note.text()).unwrap().size, note.signatures().len())
    };
    bundle.logs[0].anchors.iter().map(|anchor| of(&anchor.note)).collect()
}

#[test]
fn cosignatures_are_merged_and_the_first_and_last_of_each_key_stay() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    let size = world.store.size();
    assert_eq!(world.store.cosigned(size, &both()).unwrap(), None);
    let one = cosign(&world.store, size, 1, NOW + 5);
    assert_eq!((one.times, one.completed), (vec![Some(NOW + 5), None], None));
    let two = cosign(&world.store, size, 2, NOW + 9);
    assert_eq!((two.times, two.completed), (vec![Some(NOW + 5), Some(NOW + 9)], Some(NOW + 9)));
    assert_eq!(two.as_of, Some(NOW + 5), "both said so then");
    // Said again and again, out of order: what is between says nothing more. What is said twice is there once.
    for time in [70, 30, 50, 70, 5] {
        cosign(&world.store, size, 1, NOW + time);
    }
    let again = cosign(&world.store, size, 2, NOW + 60);
    assert_eq!(again.times, [Some(NOW + 5), Some(NOW + 9)]);
    assert_eq!((again.completed, again.as_of), (Some(NOW + 9), Some(NOW + 60)));
    let read = reader(world.dir.path()).cosigned(size, &both()).unwrap().unwrap();
    assert_eq!(read, again);
    assert_eq!(said(&read.note), [("w1", NOW + 5), ("w2", NOW + 9), ("w1", NOW + 70), ("w2", NOW + 60)]);
    assert!(world.store.fsck(&|_, _, _| {}).unwrap().is_clean());
    let published = String::from_utf8(world.store.published_checkpoint().unwrap()).unwrap();
    assert_eq!(said(&published), [("w1", NOW + 70), ("w2", NOW + 60)], "others expect one line of a key");
    assert!(published.starts_with(&text(&world.store, size)));
}

/// Who cosigned and when, of the witnesses' lines in their order.
fn said(note: &str) -> Vec<(&str, u64)> {
    let parsed = Note::parse(note.as_bytes()).unwrap();
    let keys = both().keys;
    let found = parsed.verify(&keys).unwrap().into_iter();
    found.map(|line| (["w1", "w2"][line.key], line.timestamp.unwrap())).collect()
}

/// A note has a hundred lines: with more keys than half of that, what dates the log has the room.
#[test]
fn where_a_note_is_full_the_earliest_lines_stay() {
    let world = World::new();
    let size = world.store.size();
    let keys: Vec<Cosigner> = (0..60).map(|n| Cosigner::new(&format!("w{n}.example"), &[n + 1; 32]).unwrap()).collect();
    let witnesses = Witnesses { keys: keys.iter().map(|key| key.verifier().clone()).collect(), quorum: None };
    let text = text(&world.store, size);
    for time in [NOW, NOW + 9] {
        let lines: Vec<_> = keys.iter().map(|key| key.sign(&text, time).unwrap()).collect();
        let kept = world.store.keep_cosignatures(size, &lines, &witnesses).unwrap();
        assert_eq!(kept.times, [Some(NOW); 60]);
    }
    let kept = world.store.cosigned(size, &witnesses).unwrap().unwrap();
    assert_eq!(kept.note.matches('\u{2014}').count(), 100);
}

#[test]
fn what_no_known_witness_said_is_not_kept() {
    let world = World::new();
    let size = world.store.size();
    let text = text(&world.store, size);
    let stranger = witness(9).sign(&text, NOW).unwrap();
    let kept = world.store.keep_cosignatures(size, &[stranger], &both()).unwrap();
    assert_eq!(kept.note.matches('\u{2014}').count(), 1, "the log's own");
    let other = witness(1).sign(&text.replace('2', "3"), NOW).unwrap();
    let error = world.store.keep_cosignatures(size, &[other], &both()).unwrap_err();
    assert!(matches!(error, ReadError::Cosignature { .. }), "{error}");
    let error = world.store.keep_cosignatures(size - 1, &[], &both()).unwrap_err();
    assert!(matches!(error, ReadError::NoCheckpoint { .. }), "{error}");
}

#[test]
fn damage_to_a_cosigned_checkpoint_is_named() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    let size = world.store.size();
    cosign(&world.store, size, 1, NOW);
    let name = cosigned::name(size);
    let bytes = object(world.dir.path(), &name).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        put(world.dir.path(), &name, Some(&damaged));
        let error = world.store.cosigned(size, &both()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name} is damaged")), "{error}");
        let faults = world.store.fsck(&|_, _, _| {}).unwrap().faults;
        assert!(faults.iter().any(|fault| fault.object == name && !fault.heals), "{faults:?}");
    }
    // What nothing would read.
    put(world.dir.path(), &name, None);
    let unpadded = format!("cosigned/{size}");
    put(world.dir.path(), &unpadded, Some(&bytes));
    let faults = world.store.fsck(&|_, _, _| {}).unwrap().faults;
    assert_eq!(faults.iter().map(|fault| &*fault.object).collect::<Vec<_>>(), [&unpadded]);
    put(world.dir.path(), &unpadded, None);
    // The whole object of another size.
    put(world.dir.path(), &cosigned::name(2), Some(&bytes));
    assert!(world.store.cosigned(2, &both()).is_err());
}

/// Rule R11: a store that was set back behind what witnesses saw is refused, though its own files fit together.
#[test]
fn a_store_that_ends_before_what_was_cosigned_is_refused() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    let older = tempfile::tempdir().unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
        assert!(status.success());
    };
    copy(world.dir.path(), older.path());
    world.add(world.source("force", "CN"));
    cosign(&world.store, world.store.size(), 1, NOW);
    assert!(Store::open(older.path(), crate::OpenOptions::default()).is_ok(), "nothing here tells");
    let cosigned = older.path().join("cosigned");
    std::fs::create_dir_all(&cosigned).unwrap();
    copy(&world.dir.path().join("cosigned"), &cosigned);
    assert!(Store::open(older.path(), crate::OpenOptions::default()).is_err(), "a witness saw more");
}

fn shipped(world: &World) -> NodeId {
    world.add(world.source("camera", "CN"));
    let model = world.add(world.model("m", "DE", &["a"]));
    world.add(world.shipment(&[model], "DE"))
}

/// Rule R7: a leaf is dated by the first checkpoint that the quorum cosigned, and not by the first of all.
#[test]
fn a_bundle_stands_on_what_the_quorum_cosigned() {
    let world = World::new();
    let root = shipped(&world);
    let shipment = world.store.size();
    world.add(world.source("later", "CN"));
    let cosigned = world.store.size();
    world.add(world.source("last", "CN"));
    let newest = world.store.size();
    let prove = |witnesses| {
        let bytes = world.store.prove(&root, &ProveOptions { witnesses, ..ProveOptions::default() }).unwrap();
        anchors(&bytes)
    };
    assert_eq!(prove(both()), [(shipment, 1), (newest, 1)], "nothing is cosigned yet");
    cosign(&world.store, shipment, 1, NOW);
    assert_eq!(prove(both()), [(shipment, 2), (newest, 1)], "half a quorum dates nothing, and is shown");
    cosign(&world.store, cosigned, 1, NOW + 1);
    cosign(&world.store, cosigned, 2, NOW + 1);
    assert_eq!(prove(both()), [(cosigned, 3)], "the quorum's checkpoint dates the shipment, and is the newest of its");
    assert_eq!(prove(Witnesses::default()), [(shipment, 1), (newest, 1)]);
    cosign(&world.store, newest, 1, NOW + 2);
    cosign(&world.store, newest, 2, NOW + 2);
    assert_eq!(prove(both()), [(cosigned, 3), (newest, 3)]);
}

/// A mark that came after the last cosigned checkpoint is never left out for its sake.
#[test]
fn what_came_after_the_last_cosigned_checkpoint_is_shown_all_the_same() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let model = world.add(world.model("m", "DE", &["a"]));
    let root = world.add(world.shipment(&[model], "DE"));
    let size = world.store.size();
    cosign(&world.store, size, 1, NOW);
    cosign(&world.store, size, 2, NOW);
    let options = ProveOptions { witnesses: both(), ..ProveOptions::default() };
    world.add(world.source("another", "CN"));
    assert_eq!(anchors(&world.store.prove(&root, &options).unwrap()), [(size, 3)]);
    world.add(world.status(model, griptrace_core::node::Mark::Withdraw, None));
    let newest = world.store.size();
    assert_eq!(anchors(&world.store.prove(&root, &options).unwrap()), [(size, 3), (newest, 1)]);
    assert_ne!(source, root);
}

/// Any key change after the last cosigned checkpoint kept a bundle from standing on it, whosever key it was.
#[test]
fn a_key_change_that_concerns_others_leaves_a_bundle_where_it_was_cosigned() {
    let world = World::new();
    let root = shipped(&world);
    let size = world.store.size();
    for number in [1, 2] {
        cosign(&world.store, size, number, NOW);
    }
    let options = ProveOptions { witnesses: both(), ..ProveOptions::default() };
    let change = |old: &_, new: &_| {
        world.store.change_key(&rotation(world.home(), KeyUse::Committer, old, new), None, NOW + 5).unwrap().index
    };
    change(&key(40), &key(41));
    assert_eq!(anchors(&world.store.prove(&root, &options).unwrap()), [(size, 3)], "nothing here was signed by it");
    let index = change(&world.committer, &key(42));
    let bytes = world.store.prove(&root, &options).unwrap();
    assert_eq!(anchors(&bytes), [(size, 3), (world.store.size(), 1)], "that is not left out for a cosignature");
    let entries = Bundle::from_bytes(&bytes).unwrap().logs.remove(0).entries;
    assert!(entries.iter().any(|(leaf, _)| *leaf == index) && entries.iter().all(|(leaf, _)| *leaf + 2 != index));
}

/// A year of cosigned checkpoints was listed to find the newest of them.
#[test]
fn of_many_cosigned_sizes_a_few_are_found_without_listing_all() {
    let bucket = new_log();
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    let all: Vec<u64> = (3..30_000).step_by(3).collect();
    let strays = (0..1500).map(|number| format!("cosigned/!{number:04}")).chain(["cosigned/9".to_owned()]);
    for name in all.iter().map(|size| cosigned::name(*size)).chain(strays) {
        bucket.put(&name, b"", &When::Always).unwrap();
    }
    let objects = &store.0.objects;
    assert_eq!(cosigned::sizes(objects).unwrap(), all);
    for (near, below) in
        [0, 100, 15_000, 29_990, 30_000, 1_000_000].into_iter().flat_map(|near| [(near, u64::MAX), (near, 15_001)])
    {
        let mut down = Downwards::new(objects, below, || near).unwrap();
        let walked: Vec<u64> = core::iter::from_fn(|| down.next().unwrap()).collect();
        assert!(walked.iter().rev().eq(all.iter().filter(|size| **size < below)), "below {below}, from {near}");
    }
    let before = hooked.requests();
    assert_eq!(Downwards::new(objects, 15_001, || 15_000).unwrap().next().unwrap(), Some(15_000));
    assert_eq!(hooked.requests() - before, 3, "what lies above it is not listed");
    let before = hooked.requests();
    let mut down = Downwards::new(objects, u64::MAX, || 30_000).unwrap();
    let last = [(); 300].map(|()| down.next().unwrap().unwrap());
    assert!(last.iter().eq(all.iter().rev().take(300)));
    assert_eq!(hooked.requests() - before, 3, "the strays and the first are two pages, the last is one");
    let mut up = Upwards::default();
    for turn in 0..2 {
        let before = hooked.requests();
        for from in [29_000, 4, 28_999, 15_000, 14_999, 3, 29_998, 0, 15_001] {
            let next = all.iter().copied().find(|size| *size >= from);
            assert_eq!(up.next(objects, from).unwrap(), next, "from {from}, turn {turn}");
        }
        let asked = hooked.requests() - before;
        assert!(if turn == 0 { asked < 9 } else { asked == 0 }, "{asked} requests in turn {turn}");
    }
}

super::world::in_a_bucket_too! {
    damage_to_a_cosigned_checkpoint_is_named,
    cosignatures_are_merged_and_the_first_and_last_of_each_key_stay,
    what_no_known_witness_said_is_not_kept,
    a_bundle_stands_on_what_the_quorum_cosigned,
    what_came_after_the_last_cosigned_checkpoint_is_shown_all_the_same,
    a_key_change_that_concerns_others_leaves_a_bundle_where_it_was_cosigned,
}
