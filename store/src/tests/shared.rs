//! What several processes change in a bucket beside the log itself: key changes, cosigned checkpoints, adopted bundles.

use griptrace_core::{
    id::GenesisHash,
    key_change::KeyUse,
    note::{Cosigner, Note, NoteSigner},
};

use super::{
    bucket::{Process, init, join, look},
    keys::{key, rotation},
    weather::{Storm, Weather},
    world::{NOW, ORIGIN, World},
};
use crate::{
    Cosigned, Disclose, ForeignNode, OpenError, ProveOptions, Standing, Witnesses, adopted::read_sizes,
    log_keys::LogKeys, store::Store,
};

fn second() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[11; 32]).unwrap()
}

fn log_rotation(home: GenesisHash) -> Vec<u8> {
    rotation(home, KeyUse::Log, &key(1), &key(11))
}

fn writer() -> Process {
    let first = join(&init(&Weather::default()).weather.bucket, "");
    assert_eq!(first.tend(0), Standing::Writer);
    first
}

fn names(store: &Store) -> Vec<String> {
    let mut names: Vec<String> =
        store.foreign_nodes().unwrap().into_iter().map(|node: ForeignNode| node.name).collect();
    names.sort();
    names
}

/// Which segment an entry is in was worked out from the commits, and each group is a segment here.
#[test]
fn a_key_change_is_found_in_its_segment_though_no_tile_has_it() {
    let first = writer();
    drop(first.commit(vec![first.source("one")]).unwrap());
    let receipt = first.store.change_key(&log_rotation(first.store.home()), Some(second()), NOW).unwrap();
    for name in ["two", "three"] {
        drop(first.commit(vec![first.source(name)]).unwrap());
    }
    // Up to the checkpoint in the head, which is that of before; no partial tile was published.
    let reader = look(&first.weather.bucket);
    assert_eq!(reader.store.key_changes().iter().map(|(index, _)| *index).collect::<Vec<_>>(), [receipt.index]);
    assert_eq!(reader.store.verifiers()[0], *second().verifier());
    assert!(reader.is_clean() && first.is_clean());
}

/// It had the key that it began with alone, and said that the log had another.
#[test]
fn who_changed_the_key_takes_the_turn_again_with_the_new_one() {
    let first = writer();
    drop(first.store.change_key(&log_rotation(first.store.home()), Some(second()), NOW).unwrap());
    first.weather.brew(0, Storm::Crash);
    assert!(first.commit(vec![first.source("lost")]).is_err());
    first.weather.cut_off(false);
    assert_eq!(first.tend(10), Standing::Writer);
    let ids = first.commit(vec![first.source("one")]).unwrap();
    assert!(first.has(&ids[0]) && first.is_clean());
    // One that never heard of it can't, and leaves the turn alone.
    let other = join(&first.weather.bucket, "");
    drop(first.store);
    assert_eq!(other.tend(20), Standing::Reader(String::new()));
    assert!(matches!(other.store.wrong_key(), Some(OpenError::WrongKey { .. })));
}

#[test]
fn a_key_change_that_did_not_get_in_leaves_the_old_key_in_use() {
    let first = writer();
    first.weather.brew(0, Storm::Crash);
    assert!(first.store.change_key(&log_rotation(first.store.home()), Some(second()), NOW).is_err());
    first.weather.cut_off(false);
    assert_eq!(first.tend(10), Standing::Writer);
    drop(first.commit(vec![first.source("one")]).unwrap());
    assert_eq!(first.store.verifiers().len(), 1);
    assert!(first.is_clean() && look(&first.weather.bucket).is_clean());
}

/// A write that arrives late put the keys of before back, and nobody could verify the newest checkpoint.
#[test]
fn keys_that_the_log_came_to_have_are_not_taken_back() {
    let first = writer();
    let objects = &first.store.0.objects;
    let older = LogKeys::clone(&first.store.0.keys().log);
    drop(first.store.change_key(&log_rotation(first.store.home()), Some(second()), NOW).unwrap());
    older.write(objects).unwrap();
    first.store.0.publish();
    let reader = look(&first.weather.bucket);
    assert_eq!(reader.store.verifiers().len(), 2);
    assert!(reader.is_clean());
    // Nor is it a fault for one that is behind that more are there.
    let late = look(&init(&Weather::default()).weather.bucket);
    let bytes = crate::bucket::Bucket::get(&first.weather.bucket, "keys", None).unwrap().unwrap().bytes;
    let known = late.store.0.keys();
    assert!(known.log.begin(first.store.genesis(), &bytes, 2) && !known.log.begin(first.store.genesis(), &bytes, 100));
}

/// Of two lists that were read at the same time, the one that was written last was all that stayed.
#[test]
fn what_two_processes_adopt_at_the_same_time_is_both_there() {
    let world = World::called("supplier.example/1");
    let made = ["one", "two"].map(|name| {
        let source = world.add(world.source(name, "DE"));
        let model = world.commit(world.train(name, &[source], "DE", &["b.onnx"]))[1];
        let root = world.add(world.shipment(&[model], "DE"));
        let options = ProveOptions { disclose: Disclose::All, ..ProveOptions::default() };
        (world.store.prove(&root, &options).unwrap(), model)
    });
    for object in ["adopted/names", "adopted/sizes"] {
        let first = writer();
        let second = join(&first.weather.bucket, "");
        second.take_over(10);
        let [(one, of_one), (two, of_two)] = made.clone();
        // It was stopped just before it wrote, and believes to have the turn still.
        let other = second.store.clone();
        first.weather.meanwhile(object, move || drop(other.adopt(&two, &of_two, Some("two")).unwrap()));
        drop(first.store.adopt(&one, &of_one, Some("one")).unwrap());
        assert_eq!(names(&second.store), ["one", "two"], "{object}");
        assert_eq!(read_sizes(&second.store.0.objects).unwrap().len(), 2, "{object}");
    }
}

#[test]
fn cosignatures_that_two_processes_keep_at_the_same_time_are_both_there() {
    let (first, witness) = (writer(), Cosigner::new("witness.example", &[200; 32]).unwrap());
    drop(first.commit(vec![first.source("one")]).unwrap());
    first.store.0.publish();
    let (reader, size) = (look(&first.weather.bucket), first.store.size());
    let text = Note::parse(first.store.checkpoint().as_bytes()).unwrap().text().to_owned();
    let witnesses = Witnesses { keys: vec![witness.verifier().clone()], quorum: None };
    let keep = move |store: &Store, time: u64| -> Cosigned {
        store.keep_cosignatures(size, &[witness.sign(&text, time).unwrap()], &witnesses).unwrap()
    };
    let (other, keeps) = (reader.store.clone(), keep.clone());
    first.weather.meanwhile("cosigned/", move || drop(keeps(&other, NOW + 1)));
    let kept = keep(&first.store, NOW + 9);
    assert_eq!((kept.times, kept.latest), (vec![Some(NOW + 1)], vec![Some(NOW + 9)]));
}
