use std::fs;

use griptrace_core::node::Kind;

use super::world::{NOW, World, open, signer};
use crate::{OpenError, OpenOptions, StorageError, Store};

fn try_open(dir: &std::path::Path) -> Result<Store, OpenError> {
    Store::open(dir, OpenOptions { signer: Some(signer()), progress: None })
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
    let path = dir.path().join("segments/0000000000000002");
    let length = fs::read(&path).unwrap().len();
    for at in (0..length).step_by(7) {
        flip(&path, at);
        let Err(OpenError::Storage(StorageError::Corrupt { object, .. })) = try_open(dir.path()) else {
            panic!("byte {at} was believed");
        };
        assert_eq!(object, "segments/0000000000000002", "byte {at}");
        flip(&path, at);
    }
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..length - 1]).unwrap();
    assert!(try_open(dir.path()).is_err(), "cut short");
    fs::remove_file(&path).unwrap();
    let error = try_open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("segments/0000000000000002") && error.contains("missing"), "{error}");
    fs::write(&path, bytes).unwrap();
    assert!(try_open(dir.path()).is_ok(), "nothing was cut off meanwhile");
}

#[test]
fn damage_under_an_open_store_is_noticed_on_reading_and_by_fsck() {
    let world = World::new();
    let id = world.add(world.source("camera", "CN"));
    let path = world.dir.path().join("segments/0000000000000002");
    let at = fs::read(&path).unwrap().windows(6).position(|bytes| bytes == b"camera").unwrap();
    flip(&path, at);
    assert!(world.store.node(&id).is_err());
    let report = world.store.fsck(&|_, _, _| {}).unwrap();
    assert_eq!(report.faults[0].object, "segments/0000000000000002");
    flip(&path, at);
    flip(&world.dir.path().join("tile/0/000.p/4"), 5);
    flip(&world.dir.path().join("checkpoints/0000000000000004"), 20);
    let faults = world.store.fsck(&|_, _, _| {}).unwrap().faults;
    let objects: Vec<&str> = faults.iter().map(|fault| fault.object.as_str()).collect();
    assert_eq!(objects, ["tile/0/000.p/4", "checkpoints/0000000000000004"]);
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
    for (object, at) in [("segments/0000000000000002", 60), ("head", 30), ("checkpoint", 40), ("genesis", 9)] {
        flip(&dir.path().join(object), at);
        let found = faults();
        assert!(found.iter().any(|fault| fault == object), "{object}: {found:?}");
        flip(&dir.path().join(object), at);
    }
    fs::remove_file(dir.path().join("segments/0000000000000002")).unwrap();
    assert_eq!(faults()[0], "segments/0000000000000002");
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
    let head = fs::read(dir.path().join("head")).unwrap();
    let checkpoint = fs::read(dir.path().join("checkpoint")).unwrap();
    let world = World { dir, store, committer };
    world.add(world.source("camera", "CN"));
    let World { dir, store, .. } = world;
    drop(store);
    fs::write(dir.path().join("head"), head).unwrap();
    assert!(matches!(try_open(dir.path()), Err(OpenError::SetBack { signed: 4, found: 2, .. })));
    fs::write(dir.path().join("checkpoint"), checkpoint).unwrap();
    assert!(matches!(try_open(dir.path()), Err(OpenError::SetBack { .. })), "the kept checkpoints know");
}

/// What each crash of a commit leaves behind, made by hand from the files before and after.
#[test]
fn every_crash_point_is_recovered_from() {
    let world = World::new();
    let before = copy(&world);
    let id = world.add(world.source("camera", "CN"));
    let after = copy(&world);
    let World { dir, store, .. } = world;
    let checkpoint = store.checkpoint();
    drop(store);
    let steps: [&[&str]; 5] = [
        &["segments/0000000000000002"],
        &["segments/0000000000000002", "tile"],
        &["segments/0000000000000002", "tile", "head"],
        &["segments/0000000000000002", "tile", "head", "checkpoints/0000000000000004"],
        &["segments/0000000000000002", "tile", "head", "checkpoints/0000000000000004", "checkpoint"],
    ];
    for written in steps {
        let crashed = tempfile::tempdir().unwrap();
        for (name, bytes) in &before {
            put(crashed.path(), name, bytes);
        }
        for (name, bytes) in &after {
            if written.iter().any(|w| name == w || name.starts_with(&format!("{w}/"))) {
                put(crashed.path(), name, bytes);
            }
        }
        let store = open(crashed.path());
        assert_eq!((store.size(), store.checkpoint()), (4, checkpoint.clone()), "{written:?}");
        assert!(store.node(&id).unwrap().is_some());
        assert_eq!(store.of_kind(Kind::Dataset).unwrap(), [id]);
        assert!(store.fsck(&|_, _, _| {}).unwrap().is_clean(), "{written:?}");
    }
    drop(dir);
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

fn copy(world: &World) -> Vec<(String, Vec<u8>)> {
    let root = world.dir.path();
    let files = walkdir::WalkDir::new(root).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let name = |path: &std::path::Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    files.map(|entry| (name(entry.path()), fs::read(entry.path()).unwrap())).collect()
}

fn put(root: &std::path::Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
