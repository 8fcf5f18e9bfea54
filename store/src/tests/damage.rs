use std::fs;

use super::world::{NOW, World, open, signer};
use crate::{OpenError, OpenOptions, StorageError, Store};

const SEGMENT: &str = "segments/0000000000000000";

fn try_open(dir: &std::path::Path) -> Result<Store, OpenError> {
    Store::open(dir, OpenOptions { signer: Some(signer()), ..OpenOptions::default() })
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_flipped_byte_of_a_segment_is_refused_by_name() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    let World { dir, store, .. } = world;
    drop(store);
    let path = dir.path().join(SEGMENT);
    let length = fs::read(&path).unwrap().len();
    for at in (0..length).step_by(7) {
        flip(&path, at);
        let Err(OpenError::Storage(StorageError::Corrupt { object, .. })) = try_open(dir.path()) else {
            panic!("byte {at} was believed");
        };
        assert_eq!(object, SEGMENT, "byte {at}");
        flip(&path, at);
    }
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..length - 1]).unwrap();
    assert!(try_open(dir.path()).is_err(), "cut short");
    fs::remove_file(&path).unwrap();
    let error = try_open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(SEGMENT) && error.contains("missing"), "{error}");
    fs::write(&path, bytes).unwrap();
    assert!(try_open(dir.path()).is_ok(), "nothing was cut off meanwhile");
}

#[test]
fn damage_under_an_open_store_is_noticed_on_reading_and_by_fsck() {
    let world = World::new();
    let id = world.add(world.source("camera", "CN"));
    let path = world.dir.path().join(SEGMENT);
    let at = fs::read(&path).unwrap().windows(6).position(|bytes| bytes == b"camera").unwrap();
    flip(&path, at);
    assert!(world.store.node(&id).is_err());
    let report = world.store.fsck(&|_, _, _| {}).unwrap();
    assert_eq!(report.faults[0].object, SEGMENT);
    flip(&path, at);
    world.store.0.publish();
    flip(&world.dir.path().join("tile/0/000.p/4"), 5);
    flip(&world.dir.path().join("checkpoint"), 60);
    let faults = world.store.fsck(&|_, _, _| {}).unwrap().faults;
    let objects: Vec<&str> = faults.iter().map(|fault| fault.object.as_str()).collect();
    assert_eq!(objects, ["tile/0/000.p/4", "checkpoint"]);
}

#[test]
fn a_store_that_cannot_be_opened_is_checked_all_the_same() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    world.add(world.source("force", "CN"));
    let World { dir, store, .. } = world;
    drop(store);
    let faults = || {
        let report = Store::fsck_closed(dir.path(), &|_, _, _| {}).unwrap();
        report.faults.iter().map(|fault| fault.object.clone()).collect::<Vec<_>>()
    };
    assert!(faults().is_empty());
    for (object, at) in [(SEGMENT, 60), ("head", 30), ("checkpoint", 40), ("genesis", 9)] {
        flip(&dir.path().join(object), at);
        let found = faults();
        assert!(found.iter().any(|fault| fault == object), "{object}: {found:?}");
        flip(&dir.path().join(object), at);
    }
    fs::remove_file(dir.path().join(SEGMENT)).unwrap();
    assert_eq!(faults()[0], SEGMENT);
}

#[test]
fn lost_tiles_are_written_again() {
    let world = World::new();
    for i in 0..5 {
        world.add(world.source(&format!("{i}"), "CN"));
    }
    let World { dir, store, .. } = world;
    drop(store);
    fs::remove_dir_all(dir.path().join("tile")).unwrap();
    let store = open(dir.path());
    assert!(store.fsck(&|_, _, _| {}).unwrap().is_clean());
}

#[test]
fn a_store_that_was_set_back_is_refused() {
    let world = World::new();
    let World { dir, store, committer } = world;
    let old = fs::read(dir.path().join(SEGMENT)).unwrap();
    let world = World { dir, store, committer };
    world.add(world.source("camera", "CN"));
    let World { dir, store, .. } = world;
    drop(store);
    let new = fs::read(dir.path().join(SEGMENT)).unwrap();
    let end = old.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    fs::write(dir.path().join(SEGMENT), &old[..end]).unwrap();
    for options in [OpenOptions::default(), OpenOptions { signer: Some(signer()), ..OpenOptions::default() }] {
        let error = Store::open(dir.path(), options).unwrap_err().to_string();
        assert!(error.contains(SEGMENT) && error.contains("2 entries, and 4 were signed"), "{error}");
    }
    for object in ["head", "checkpoint"] {
        let bytes = fs::read(dir.path().join(object)).unwrap();
        fs::remove_file(dir.path().join(object)).unwrap();
        assert!(try_open(dir.path()).is_err(), "the other of the two knows");
        fs::write(dir.path().join(object), bytes).unwrap();
    }
    fs::write(dir.path().join(SEGMENT), new).unwrap();
    assert_eq!(open(dir.path()).size(), 4);
}

#[test]
fn a_damaged_head_is_made_again_and_nothing_is_shorter() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    world.add(world.source("force", "CN"));
    let World { dir, store, .. } = world;
    drop(store);
    let (head, checkpoint) = (dir.path().join("head"), dir.path().join("checkpoint"));
    let whole = [fs::read(&head).unwrap(), fs::read(&checkpoint).unwrap()];
    for (lost, at) in [(&head, 50), (&head, 4146), (&checkpoint, 60)] {
        flip(lost, at);
        assert_eq!(Store::open(dir.path(), OpenOptions::default()).unwrap().size(), 6, "{at}");
        let store = open(dir.path());
        assert_eq!(store.size(), 6);
        assert!(store.fsck(&|_, _, _| {}).unwrap().is_clean());
        drop(store);
        fs::write(&head, &whole[0]).unwrap();
        fs::write(&checkpoint, &whole[1]).unwrap();
    }
    // Both slots and the checkpoint: nothing tells any more what was signed.
    flip(&head, 50);
    flip(&head, 4146);
    assert_eq!(open(dir.path()).size(), 6, "the checkpoint tells");
    flip(&head, 50);
    flip(&head, 4146);
    flip(&checkpoint, 60);
    assert!(try_open(dir.path()).is_err());
}

#[test]
fn an_init_that_crashed_can_be_repeated() {
    let world = World::new();
    let World { dir, store, .. } = world;
    let genesis = store.genesis().clone();
    drop(store);
    for name in ["head", "checkpoint"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(matches!(try_open(dir.path()), Err(OpenError::NoStore { .. })));
    let store = Store::init(dir.path(), &genesis, signer(), NOW).unwrap();
    assert!(store.fsck(&|_, _, _| {}).unwrap().is_clean());
}
