//! Backups, the way back, and moving a log between a folder and a bucket.

use std::{fs, path::Path, sync::Arc};

use griptrace_core::{
    id::NodeId,
    key::{Algorithm, SecretKey},
    key_change::KeyUse,
};
use tempfile::TempDir;

use super::{
    keys::{key, rotation},
    weather::{Storm, Weather},
    world::{NOW, World, open, reader, signer},
};
use crate::{
    Closed, CopyError, OpenError, OpenOptions, Place, ProveOptions, Standing, Store,
    bucket::{Bucket, MemoryBucket, When},
};

fn quiet(_: &str, _: u64, _: u64) {}

/// A log with commits of every kind, a mark, and a shipment, which is returned; long enough for several segments of a
/// folder, and blocks of a bucket.
fn log() -> (World, NodeId) {
    let world = World::new();
    let camera = world.add(world.source("camera", "CN"));
    let models = world.commit(world.train("grasp", &[camera], "DE", &["a", "b"]));
    world.commit(vec![world.assessment(&[camera])]);
    let shipment = world.add(world.shipment(&models[1..2], "DE"));
    for i in 0..170 {
        world.add(world.source(&format!("more-{i}"), "DE"));
    }
    world.commit(vec![world.status(camera, griptrace_core::node::Mark::Withdraw, None)]);
    world.store.0.publish();
    (world, shipment)
}

struct InBucket {
    bucket: MemoryBucket,
    local: TempDir,
}

impl InBucket {
    fn new() -> Self {
        Self { bucket: MemoryBucket::default(), local: tempfile::tempdir().unwrap() }
    }

    fn place(&self) -> Place {
        Place::Bucket(Arc::new(self.bucket.clone()), self.local.path().to_owned())
    }

    /// Opens it for writing, tended by nobody else.
    fn writer(&self) -> Store {
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        let store = Store::join_in(Arc::new(self.bucket.clone()), self.local.path(), options).unwrap();
        assert_eq!(store.tend(core::time::Duration::ZERO).unwrap(), Standing::Writer);
        store
    }
}

fn folder(dir: &TempDir) -> Place {
    Place::Folder(dir.path().to_owned())
}

fn add(store: &Store, name: &str) -> NodeId {
    let node = World::at(store).source(name, "CN");
    let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
    store.commit(vec![node], &committer, "Maker", NOW).unwrap().ids[0]
}

/// Asserts that two stores are one log: every answer, and the bundle byte for byte.
fn assert_same(one: &Store, other: &Store, shipment: &NodeId) {
    assert_eq!(one.checkpoint(), other.checkpoint());
    let size = one.size();
    assert_eq!(one.entries(0..size).unwrap(), other.entries(0..size).unwrap());
    assert_eq!(one.ancestors(shipment, None).unwrap(), other.ancestors(shipment, None).unwrap());
    for found in one.ancestors(shipment, None).unwrap() {
        let id = found.id;
        assert_eq!(one.node(&id).unwrap(), other.node(&id).unwrap());
        assert_eq!(one.descendants(&id, None).unwrap(), other.descendants(&id, None).unwrap());
        let key = one.status_key(&id).unwrap();
        assert_eq!(one.statuses(&key).unwrap(), other.statuses(&key).unwrap());
    }
    assert_eq!(one.by_name("more-7").unwrap(), other.by_name("more-7").unwrap());
    let bundle = |store: &Store| store.prove(shipment, &ProveOptions::default()).unwrap();
    assert!(bundle(one) == bundle(other), "the bundles differ");
    for store in [one, other] {
        let report = store.fsck(&quiet).unwrap();
        assert!(report.is_clean(), "{:?}", report.faults);
    }
}

fn segments(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    found.sort();
    found
}

/// The change of a key is a group without a commit, and in a bucket a segment of its own. It was looked for in the segment
/// before it: such a log could not be copied out of its bucket, nor opened once a tile was damaged.
#[test]
fn a_log_whose_keys_changed_is_copied_out_of_its_bucket() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    for (old, new) in [(2, 12), (12, 13)] {
        world.store.change_key(&rotation(world.home(), KeyUse::Committer, &key(old), &key(new)), None, NOW).unwrap();
    }
    let there = InBucket::new();
    world.store.move_to(&there.place(), &quiet).unwrap();
    let back = tempfile::tempdir().unwrap();
    let copied = there.place().open().unwrap().back_up(&folder(&back), &quiet).unwrap();
    assert_eq!(copied.size, world.store.size());
    let (copy, size) = (reader(back.path()), world.store.size());
    assert_eq!(copy.entries(0..size).unwrap(), world.store.entries(0..size).unwrap());
    assert_eq!(copy.key_changes(), world.store.key_changes());
    let report = there.place().open().unwrap().fsck_sample(8 * size, 1, &quiet).unwrap();
    assert!(report.is_clean() && report.segments == 4, "{report:?}");
}

#[test]
fn a_log_is_moved_to_a_bucket_and_back_and_is_the_same_log() {
    let (world, shipment) = log();
    let before = reader(world.dir.path());
    let there = InBucket::new();
    let copied = world.store.move_to(&there.place(), &quiet).unwrap();
    assert_eq!((copied.had, copied.size), (0, world.store.size()));
    assert!(there.bucket.names().iter().any(|name| name.starts_with("blocks/")));
    let World { dir, store, .. } = world;
    drop(store);
    let refused = Store::open(dir.path(), OpenOptions { signer: Some(signer()), ..OpenOptions::default() });
    let moved =
        |error: &OpenError| matches!(error, OpenError::Closed { state: Closed::Moved(to), .. } if to == "memory:");
    assert!(moved(&refused.unwrap_err()));

    let writer = there.writer();
    assert_same(&before, &writer, &shipment);
    let next = add(&writer, "next");
    writer.0.publish();
    let back = tempfile::tempdir().unwrap();
    writer.move_to(&folder(&back), &quiet).unwrap();
    drop(writer);
    let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
    let late = Store::join_in(Arc::new(there.bucket.clone()), there.local.path(), options).unwrap();
    assert!(matches!(late.tend(core::time::Duration::ZERO), Err(OpenError::Closed { .. })));
    assert!(late.node(&next).unwrap().is_some(), "it is still read");
    let state = late.state().unwrap().unwrap();
    let Closed::Moved(to) = &state else { panic!("{state:?}") };
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    assert!(to.starts_with(back.path().to_str().unwrap()) && to.ends_with(machine.trim()), "{to}");
    let kept = tempfile::tempdir().unwrap();
    let refused = late.back_up(&folder(&kept), &quiet);
    assert!(
        matches!(&refused, Err(CopyError::Open(OpenError::Closed { state: said, .. })) if *said == state),
        "{refused:?}"
    );
    let home = open(back.path());
    assert_same(&late, &home, &shipment);
    add(&home, "goes on");
    assert!(home.fsck(&quiet).unwrap().is_clean());

    // Back to where it began: what is there is the beginning of it.
    let copied = home.move_to(&folder(&dir), &quiet).unwrap();
    assert!(copied.had > 300, "{copied:?}");
    drop(home);
    let again = open(dir.path());
    assert_eq!(segments(dir.path()), segments(back.path()), "byte for byte");
    assert!(again.node(&next).unwrap().is_some() && again.fsck(&quiet).unwrap().is_clean());
}

#[test]
fn a_backup_takes_only_what_is_new_and_nobody_writes_to_it() {
    let (world, shipment) = log();
    let kept = tempfile::tempdir().unwrap();
    let first = world.store.back_up(&folder(&kept), &quiet).unwrap();
    assert_eq!((first.had, first.size), (0, world.store.size()));
    world.add(world.source("later", "CN"));
    let second = world.store.back_up(&folder(&kept), &quiet).unwrap();
    assert_eq!((second.had, second.size), (first.size, first.size + 2));
    let third = world.store.back_up(&folder(&kept), &quiet).unwrap();
    assert_eq!((third.had, third.size), (second.size, second.size));
    assert_same(&world.store, &reader(kept.path()), &shipment);
    let refused = Store::open(kept.path(), OpenOptions { signer: Some(signer()), ..OpenOptions::default() });
    assert!(matches!(refused, Err(OpenError::Closed { state: Closed::Backup(_), .. })));

    let elsewhere = InBucket::new();
    world.store.back_up(&elsewhere.place(), &quiet).unwrap();
    world.add(world.source("last", "CN"));
    world.store.back_up(&elsewhere.place(), &quiet).unwrap();
    assert_same(&world.store, &elsewhere.place().open().unwrap(), &shipment);
}

#[test]
fn a_backup_goes_nowhere_but_to_an_earlier_one_of_the_same_log() {
    let (world, _) = log();
    let kept = tempfile::tempdir().unwrap();
    let other = World::called("other.example/2026");
    let there = folder(&other.dir);
    assert!(matches!(world.store.back_up(&there, &quiet), Err(CopyError::Open(OpenError::Locked { .. }))));
    let World { dir, store, .. } = other;
    drop(store);
    let live = Place::Folder(dir.path().to_owned());
    assert!(matches!(world.store.back_up(&live, &quiet), Err(CopyError::Taken { .. })));
    world.store.back_up(&folder(&kept), &quiet).unwrap();
    let stranger = reader(dir.path());
    assert!(matches!(stranger.back_up(&folder(&kept), &quiet), Err(CopyError::OtherLog { .. })));
    assert!(matches!(world.store.back_up(&folder(&world.dir), &quiet), Err(CopyError::Taken { .. })), "onto itself");

    // The same log, set back and written to again: a second history.
    let twin = tempfile::tempdir().unwrap();
    reader(kept.path()).restore_to(&folder(&twin), &quiet).unwrap();
    let fork = open(twin.path());
    add(&fork, "another");
    world.add(world.source("one", "CN"));
    world.store.back_up(&folder(&kept), &quiet).unwrap();
    assert!(matches!(fork.back_up(&folder(&kept), &quiet), Err(CopyError::Forked { .. })));
    let World { store, .. } = world;
    add(&store, "two");
    store.back_up(&folder(&kept), &quiet).unwrap();
    assert!(matches!(fork.back_up(&folder(&kept), &quiet), Err(CopyError::Newer { .. })));
}

#[test]
fn what_is_restored_goes_on_and_never_below_what_was_signed() {
    let (world, shipment) = log();
    let kept = tempfile::tempdir().unwrap();
    world.store.back_up(&folder(&kept), &quiet).unwrap();
    let backup = reader(kept.path());
    let place = tempfile::tempdir().unwrap();
    backup.restore_to(&folder(&place), &quiet).unwrap();
    let restored = open(place.path());
    assert_same(&backup, &restored, &shipment);
    add(&restored, "goes on");
    drop(restored);
    assert!(matches!(backup.restore_to(&folder(&place), &quiet), Err(CopyError::Below { .. })));

    // Of the newer log only one thing is left, and it tells.
    for left in ["head", "checkpoint"] {
        let rest = tempfile::tempdir().unwrap();
        fs::copy(place.path().join(left), rest.path().join(left)).unwrap();
        let refused = backup.restore_to(&folder(&rest), &quiet);
        assert!(matches!(refused, Err(CopyError::Below { .. })), "{left}: {refused:?}");
    }
    let local = InBucket::new();
    backup.restore_to(&local.place(), &quiet).unwrap();
    add(&local.writer(), "newer");
    let emptied = InBucket { bucket: MemoryBucket::default(), local: local.local };
    let refused = backup.restore_to(&emptied.place(), &quiet);
    assert!(matches!(refused, Err(CopyError::Below { .. })), "this machine saw more: {refused:?}");
}

#[test]
fn a_bucket_that_was_set_back_is_noticed() {
    let there = InBucket::new();
    let (world, _) = log();
    world.store.move_to(&there.place(), &quiet).unwrap();
    let writer = there.writer();
    let old: Vec<(String, Vec<u8>)> = there
        .bucket
        .names()
        .into_iter()
        .map(|name| (name.clone(), there.bucket.get(&name, None).unwrap().unwrap().bytes))
        .collect();
    let reader = there.place().open().unwrap();
    add(&writer, "newer");
    drop(writer);
    reader.tend(core::time::Duration::ZERO).unwrap();
    for (name, bytes) in old {
        there.bucket.put(&name, &bytes, &When::Always).unwrap();
    }
    let error = there.place().open().unwrap_err().to_string();
    assert!(error.contains("set back"), "{error}");
    let error = reader.tend(core::time::Duration::from_secs(1)).unwrap_err().to_string();
    assert!(error.contains("set back"), "{error}");
}

/// Cut off at every write, a copy opens as the one before it, or not at all yet; and the next one completes it.
#[test]
fn a_copy_that_is_cut_off_anywhere_opens_and_is_completed() {
    let (world, shipment) = log();
    let writes = {
        let weather = Weather::default();
        let local = tempfile::tempdir().unwrap();
        world.store.back_up(&Place::Bucket(Arc::new(weather.clone()), local.path().to_owned()), &quiet).unwrap();
        weather.writes()
    };
    assert!(writes > 6, "{writes}");
    for at in 0..writes {
        let weather = Weather::default();
        let local = tempfile::tempdir().unwrap();
        let place = Place::Bucket(Arc::new(weather.clone()), local.path().to_owned());
        weather.brew(at, Storm::Crash);
        assert!(world.store.back_up(&place, &quiet).is_err(), "write {at}");
        let again = InBucket { bucket: weather.bucket.clone(), local: tempfile::tempdir().unwrap() };
        match again.place().open() {
            Ok(found) => assert!(found.size() <= world.store.size()),
            Err(error) => assert!(!again.bucket.names().contains(&"checkpoint".to_owned()), "write {at}: {error}"),
        }
        world.store.back_up(&again.place(), &quiet).unwrap();
        if at % 5 == 0 {
            assert_same(&world.store, &again.place().open().unwrap(), &shipment);
        }
    }
}

/// Whoever removes the state of a backup, and writes to it, has begun a second history of the log.
#[test]
fn a_backup_that_says_no_more_that_it_is_one_is_told_and_not_written_over() {
    let (world, _) = log();
    let kept = InBucket::new();
    world.store.back_up(&kept.place(), &quiet).unwrap();
    let state = kept.bucket.get("state", None).unwrap().unwrap().bytes;
    kept.bucket.remove("state").unwrap();
    let again = world.store.back_up(&kept.place(), &quiet).unwrap_err();
    assert!(matches!(&again, CopyError::WasBackup { and: "", .. }), "{again}");
    kept.bucket.put("state", &state, &When::Always).unwrap();
    world.store.back_up(&kept.place(), &quiet).unwrap();
    kept.bucket.remove("state").unwrap();
    let writer = kept.writer();
    add(&writer, "by mistake");
    writer.0.publish();
    drop(writer);
    for _ in 0..2 {
        let told = world.store.back_up(&kept.place(), &quiet).unwrap_err();
        assert!(told.to_string().contains("somebody wrote to it"), "{told}");
        // As much here too, and not the same.
        world.add(world.source("of its own", "CN"));
    }
}

/// An audit of an empty place said that its genesis is lost, and a restore that was cut off that the log is damaged.
#[test]
fn a_copy_that_was_cut_off_and_an_empty_place_are_named_as_what_they_are() {
    let (world, _) = log();
    let there = InBucket::new();
    let audit = || Store::fsck_closed_in(Arc::new(there.bucket.clone()), there.local.path(), &quiet).unwrap();
    assert!(matches!(there.place().open(), Err(OpenError::NoStore { .. })));
    assert_eq!(audit(), crate::FsckReport::default());
    world.store.back_up(&there.place(), &quiet).unwrap();
    // What a restore leaves that is cut off before its end.
    for object in ["head", "checkpoint"] {
        there.bucket.remove(object).unwrap();
    }
    there.bucket.put("state", b"griptrace state v1\nunfinished elsewhere\n", &When::Always).unwrap();
    let opened = there.place().open().unwrap_err();
    assert!(matches!(&opened, OpenError::Closed { state: Closed::Unfinished(_), .. }), "{opened}");
    assert_eq!(audit(), crate::FsckReport::default());
}

/// A log inside another one's folder of segments broke the audit of that one, which did not say what to do.
#[test]
fn what_is_no_segment_is_told_as_nothing_of_the_logs() {
    let (world, _) = log();
    let there = InBucket::new();
    world.store.back_up(&there.place(), &quiet).unwrap();
    there.bucket.put("segments/head", b"of another log", &When::Always).unwrap();
    let report = there.place().open().unwrap().fsck(&quiet).unwrap();
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
    assert!(report.faults[0].object == "segments/head" && report.faults[0].why.contains("none of the log's"));
}
