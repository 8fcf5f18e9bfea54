//! What fresh eyes broke, each with what it showed.

use core::time::Duration;
use std::{fs, path::Path, sync::mpsc, thread};

use griptrace_core::id::NodeId;
use tempfile::TempDir;

use super::world::{NOW, World, open, reader, signer};
use crate::{OpenError, OpenOptions, Store, snapshot::blocks_of};

const SEGMENT: &str = "segments/0000000000000000";
const SNAPSHOT: &str = "snapshots/catalogue";

/// What does not end is a failure too.
fn within_seconds<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (told, hears) = mpsc::channel();
    thread::spawn(move || drop(told.send(work())));
    hears.recv_timeout(Duration::from_secs(60)).expect("it ends")
}

fn try_open(dir: &Path) -> Result<u64, String> {
    let dir = dir.to_path_buf();
    let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
    within_seconds(move || Store::open(&dir, options).map(|store| store.size()).map_err(|e| e.to_string()))
}

fn length_of_header(segment: &[u8]) -> usize {
    usize::try_from(u32::from_le_bytes(segment[1..5].try_into().unwrap())).unwrap() + 21
}

fn singles(count: usize) -> (TempDir, Vec<NodeId>) {
    let world = World::new();
    let ids = (0..count).map(|i| world.add(world.source(&format!("camera {i}"), "CN"))).collect();
    let World { dir, store, .. } = world;
    drop(store);
    (dir, ids)
}

/// Returns the snapshot, once for each of its blocks with a bit in it flipped.
fn damaged(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    blocks_of(whole).into_iter().map(|block| {
        let mut bytes = whole.to_vec();
        bytes[block.start] ^= 1;
        bytes
    })
}

/// Opening went round for ever over a segment with nothing but its header.
#[test]
fn a_segment_that_is_only_a_header_is_refused() {
    let (dir, _) = singles(1);
    let path = dir.path().join(SEGMENT);
    let whole = fs::read(&path).unwrap();
    let header = length_of_header(&whole);
    let mut zeros = whole.clone();
    zeros[header..].fill(0);
    for bytes in [zeros, whole[..header].to_vec()] {
        fs::write(&path, bytes).unwrap();
        assert!(try_open(dir.path()).unwrap_err().contains(SEGMENT));
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(try_open(dir.path()), Ok(4));
}

/// An index that was filled from made-up commits claimed to have them for ever.
#[test]
fn an_index_filled_over_a_damaged_snapshot_keeps_nothing_of_it() {
    let (dir, ids) = singles(1300);
    let whole = fs::read(dir.path().join(SNAPSHOT)).unwrap();
    let found = |at: usize| {
        let store = reader(dir.path());
        [0, 500, 900, 1299].iter().all(|i| store.by_name(&format!("camera {i}")).unwrap() == [ids[*i]])
            && store.node(&ids[at]).unwrap().is_some()
    };
    for (at, bytes) in damaged(&whole).enumerate() {
        fs::write(dir.path().join(SNAPSHOT), bytes).unwrap();
        fs::remove_dir_all(dir.path().join("index")).unwrap_or_default();
        assert!(found(at), "at once, block {at}");
        fs::write(dir.path().join(SNAPSHOT), &whole).unwrap();
        assert!(found(at), "by a later process, block {at}");
    }
}

/// A good index was thrown away for a bad snapshot.
#[test]
fn a_good_index_outlives_a_damaged_snapshot() {
    let (dir, ids) = singles(1300);
    assert_eq!(reader(dir.path()).by_name("camera 7").unwrap(), [ids[7]]);
    let whole = fs::read(dir.path().join(SNAPSHOT)).unwrap();
    for bytes in damaged(&whole) {
        fs::write(dir.path().join(SNAPSHOT), bytes).unwrap();
        assert_eq!(reader(dir.path()).by_name("camera 7").unwrap(), [ids[7]]);
        fs::write(dir.path().join(SNAPSHOT), &whole).unwrap();
        assert_eq!(reader(dir.path()).by_name("camera 1299").unwrap(), [ids[1299]]);
    }
}

/// A group that waited to be adopted was refused, and the segment blamed, for a bad snapshot.
#[test]
fn a_group_is_adopted_over_a_damaged_snapshot() {
    let (dir, ids) = singles(1300);
    let kept: Vec<(&str, Vec<u8>)> =
        [SNAPSHOT, "head", "checkpoint"].map(|name| (name, fs::read(dir.path().join(name)).unwrap())).into();
    let world = World::at(&open(dir.path()));
    world.commit(world.derive("features", &[ids[3], ids[700], ids[1200]], "CN"));
    let size = world.store.size();
    drop(world);
    let segments: Vec<_> = fs::read_dir(dir.path().join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
    let newest = segments.iter().max().unwrap().clone();
    let segment = fs::read(&newest).unwrap();
    for bytes in damaged(&kept[0].1) {
        // As if the power went before the checkpoint was signed.
        kept.iter().for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).unwrap());
        fs::write(&newest, &segment).unwrap();
        fs::write(dir.path().join(SNAPSHOT), bytes).unwrap();
        assert_eq!(try_open(dir.path()), Ok(size));
    }
}

/// Writing all tiles again went round for ever, or found no segment.
#[test]
fn tiles_are_written_again_over_a_damaged_snapshot() {
    let (dir, _) = singles(1200);
    let whole = fs::read(dir.path().join(SNAPSHOT)).unwrap();
    for bytes in damaged(&whole) {
        fs::write(dir.path().join(SNAPSHOT), bytes).unwrap();
        fs::remove_dir_all(dir.path().join("tile")).unwrap();
        assert_eq!(try_open(dir.path()), Ok(2402));
    }
    let faults = reader(dir.path()).fsck(&|_, _, _| {}).unwrap().faults;
    assert!(faults.iter().all(|fault| fault.object == SNAPSHOT && fault.heals), "{faults:?}");
}

#[test]
fn tiles_over_a_segment_that_was_cut_are_refused() {
    let (dir, _) = singles(1200);
    fs::remove_dir_all(dir.path().join("tile")).unwrap();
    let mut segments: Vec<_> = fs::read_dir(dir.path().join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
    segments.sort();
    let bytes = fs::read(&segments[1]).unwrap();
    fs::write(&segments[1], &bytes[..length_of_header(&bytes)]).unwrap();
    let error = try_open(dir.path()).unwrap_err();
    assert!(error.contains(segments[1].file_name().unwrap().to_str().unwrap()), "{error}");
}

/// An index that was ahead of a log that was set back hid what was recorded since.
#[test]
fn an_index_that_is_ahead_of_the_log_is_made_again() {
    let (dir, _) = singles(10);
    let kept: Vec<(&str, Vec<u8>)> =
        [SEGMENT, "head", "checkpoint"].map(|name| (name, fs::read(dir.path().join(name)).unwrap())).into();
    let world = World::at(&open(dir.path()));
    for i in 0..6 {
        world.add(world.source(&format!("lost {i}"), "CN"));
    }
    assert_eq!(world.store.by_name("lost 5").unwrap().len(), 1);
    drop(world);
    kept.iter().for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).unwrap());
    let world = World::at(&open(dir.path()));
    for i in 0..9 {
        let id = world.add(world.source(&format!("new {i}"), "CN"));
        assert_eq!(world.store.by_name(&format!("new {i}")).unwrap(), [id]);
    }
    drop(world);
    assert_eq!(open(dir.path()).by_name("new 3").unwrap().len(), 1);
}

/// A snapshot that could not be written stayed on the disk, once more at every commit.
#[test]
fn a_snapshot_that_cannot_be_written_leaves_nothing() {
    let (dir, _) = singles(1100);
    fs::remove_file(dir.path().join(SNAPSHOT)).unwrap();
    // A folder in its place: the rename fails, as the write would on a full disk.
    fs::create_dir_all(dir.path().join(SNAPSHOT).join("x")).unwrap();
    let world = World::at(&open(dir.path()));
    for i in 0..3 {
        world.add(world.source(&format!("late {i}"), "CN"));
    }
    let left: Vec<u64> =
        fs::read_dir(dir.path().join("tmp")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
    assert!(left.len() <= 1 && left.iter().all(|length| *length == 0), "{left:?}");
}

/// A log that had lost head and checkpoint was overwritten by a new one.
#[test]
fn a_log_without_its_head_is_not_begun_anew() {
    let (dir, _) = singles(1);
    let genesis = reader(dir.path()).genesis().clone();
    let whole = fs::read(dir.path().join(SEGMENT)).unwrap();
    for name in ["head", "checkpoint"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(try_open(dir.path()).unwrap_err().contains("Put either back from a copy"));
    assert!(matches!(Store::init(dir.path(), &genesis, signer(), NOW), Err(OpenError::Exists { .. })));
    assert_eq!(fs::read(dir.path().join(SEGMENT)).unwrap(), whole);
}

/// An audit beside a writer missed partial tiles that the writer had removed since, when their tile became full.
#[test]
fn an_audit_beside_a_writer_that_fills_a_tile_finds_nothing_missing() {
    let world = World::new();
    let add = |name: &str, count: u32| {
        for i in 0..count {
            world.add(world.source(&format!("{name} {i}"), "CN"));
        }
    };
    add("camera", 120);
    thread::sleep(Duration::from_millis(250));
    let went_on = core::cell::Cell::new(false);
    let report = world.store.fsck(&|_, _, _| {
        if !went_on.replace(true) {
            add("more", 20);
            thread::sleep(Duration::from_millis(250));
            add("last", 1);
        }
    });
    assert!(went_on.get() && world.store.size() > 256);
    assert_eq!(report.unwrap().faults, []);
}
