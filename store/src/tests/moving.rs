//! Several that copy, move or restore a log at once, and what is cut off or comes late: never are two places written to.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use super::{
    bucket::init,
    hooked::{Asked, Hooked, bytes, commit, head, join, tend, writer},
    weather::Weather,
};
use crate::{
    Closed, CopyError, OpenError, Place, Standing, StorageError, Store,
    bucket::{Bucket, MemoryBucket, When},
};

fn quiet(_: &str, _: u64, _: u64) {}

fn new_log() -> MemoryBucket {
    init(&Weather::default()).weather.bucket.clone()
}

/// Where a log is to go.
struct Target {
    bucket: MemoryBucket,
    local: TempDir,
    name: &'static str,
}

impl Target {
    fn new() -> Self {
        Self::called("there")
    }

    fn called(name: &'static str) -> Self {
        Self { bucket: MemoryBucket::default(), local: tempfile::tempdir().unwrap(), name }
    }

    fn place(&self) -> Place {
        Place::Bucket(Arc::new(Hooked::called(&self.bucket, self.name)), self.local.path().to_owned())
    }
}

fn at(bucket: &MemoryBucket, local: &Path) -> Place {
    Place::Bucket(Arc::new(Hooked::called(bucket, "there")), local.to_owned())
}

fn state(bucket: &MemoryBucket) -> String {
    String::from_utf8(bytes(bucket, "state")).unwrap().lines().nth(1).unwrap().to_owned()
}

/// Asserts that the log is written to in the new place, and nowhere else, and is all there.
fn assert_moved(old: &MemoryBucket, new: &MemoryBucket, size: u64) {
    let (late, _local) = join(&Hooked::over(old), true);
    assert!(!matches!(tend(&late, 0), Ok(Standing::Writer)));
    let refused = tend(&late, 5);
    assert!(matches!(refused, Err(OpenError::Closed { state: Closed::Moved(_), .. })), "{refused:?}");
    let (there, _local) = writer(&Hooked::called(new, "there"));
    assert_eq!(there.size(), size);
    commit(&there, "goes on").unwrap();
    let report = there.fsck(&quiet).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
}

/// A server looks for the turn just after the place was closed, and another operator gives the same command.
#[test]
fn two_moves_at_once_and_a_server_leave_one_place_open() {
    let (old, new) = (new_log(), Target::new());
    let hooked = Hooked::over(&old);
    let (first, _local) = writer(&hooked);
    commit(&first, "a").unwrap();
    let (bucket, target, local) = (old.clone(), new.bucket.clone(), new.local.path().to_owned());
    let mut is_closed = false;
    let mut meanwhile = Some(move || {
        // It had begun to take the turn before it could know.
        let (server, _local) = join(&Hooked::over(&bucket), true);
        drop(tend(&server, 0));
        drop(tend(&server, 4));
        let (second, _local) = join(&Hooked::over(&bucket), true);
        second.move_to(&at(&target, &local), &quiet).unwrap();
    });
    hooked.before(move |asked| {
        if asked == Asked::Put("head")
            && is_closed
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile();
        }
        is_closed |= asked == Asked::Put("state");
    });
    let told = first.move_to(&new.place(), &quiet);
    assert!(matches!(told, Err(CopyError::LostTurn { .. })), "{told:?}");
    assert!(state(&old).starts_with("moved "), "{}", state(&old));
    // The same command again finds it done.
    let (again, _local) = join(&Hooked::over(&old), false);
    assert_eq!(again.move_to(&new.place(), &quiet).unwrap().size, first.size());
    assert_moved(&old, &new.bucket, first.size());
}

/// Who had taken the turn before the place was closed does not know it, and goes on until the move is gone on with.
#[test]
fn what_a_writer_takes_that_does_not_know_of_the_move_is_moved_too() {
    let (old, new) = (new_log(), Target::new());
    let hooked = Hooked::over(&old);
    let (first, _local) = writer(&hooked);
    commit(&first, "a").unwrap();
    let (bucket, other) = (old.clone(), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&other);
    hooked.once(
        |asked| asked == Asked::Put("state"),
        move || {
            let (server, local) = join(&Hooked::over(&bucket), true);
            drop(tend(&server, 0));
            assert_eq!(tend(&server, 4).unwrap(), Standing::Writer);
            *slot.lock().unwrap() = Some((server, local));
        },
    );
    let told = first.move_to(&new.place(), &quiet);
    assert!(matches!(told, Err(CopyError::LostTurn { .. })), "{told:?}");
    assert!(state(&new.bucket).starts_with("unfinished "), "{}", state(&new.bucket));
    let (server, _local) = other.lock().unwrap().take().unwrap();
    commit(&server, "acknowledged").unwrap();
    let size = server.size();

    let (reader, _local) = join(&Hooked::over(&old), false);
    let told = reader.move_to(&new.place(), &quiet);
    assert!(matches!(told, Err(CopyError::NoWriter { .. })), "without a key nobody can end its turn: {told:?}");
    let (second, _local) = join(&Hooked::over(&old), true);
    assert_eq!(second.move_to(&new.place(), &quiet).unwrap().size, size);
    commit(&server, "too late").unwrap_err();
    assert_moved(&old, &new.bucket, size);
}

#[test]
fn a_state_that_is_written_once_more_opens_nothing() {
    let (old, new) = (new_log(), Target::new());
    let hooked = Hooked::over(&old);
    let (store, _local) = writer(&hooked);
    commit(&store, "a").unwrap();
    let there = Hooked::called(&new.bucket, "there");
    let place = Place::Bucket(Arc::new(there.clone()), new.local.path().to_owned());
    // The first attempt is cut off when all is copied.
    there.change(|name, found| if name == "checkpoint" { Err(io::ErrorKind::TimedOut.into()) } else { found });
    store.move_to(&place, &quiet).unwrap_err();
    there.change(|_, found| found);
    commit(&store, "b").unwrap();
    store.move_to(&place, &quiet).unwrap();
    let before = [bytes(&old, "state"), bytes(&new.bucket, "state")];
    hooked.write_states_again();
    there.write_states_again();
    assert!(before == [bytes(&old, "state"), bytes(&new.bucket, "state")]);
    assert_moved(&old, &new.bucket, store.size());
}

#[test]
fn nothing_is_committed_while_the_log_is_moved() {
    let (old, new) = (new_log(), Target::new());
    let hooked = Hooked::over(&old);
    let (store, _local) = writer(&hooked);
    commit(&store, "a").unwrap();
    let (clone, committing) = (store.clone(), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&committing);
    hooked.once(
        |asked| asked == Asked::Put("state"),
        move || {
            let running = thread::spawn(move || commit(&clone, "b"));
            thread::sleep(core::time::Duration::from_millis(300));
            *slot.lock().unwrap() = Some(running);
        },
    );
    let copied = store.move_to(&new.place(), &quiet).unwrap();
    let told = committing.lock().unwrap().take().unwrap().join().unwrap();
    assert!(told.is_err(), "it would be in the old place alone: {told:?}");
    assert_eq!((copied.size, store.size()), (head(&new.bucket).head.size, copied.size));
    assert_moved(&old, &new.bucket, copied.size);
}

#[test]
fn a_move_that_was_cut_off_when_it_was_done_is_done() {
    let (old, new) = (new_log(), Target::new());
    let (store, _local) = writer(&Hooked::over(&old));
    commit(&store, "a").unwrap();
    store.move_to(&new.place(), &quiet).unwrap();
    drop(store);
    let (there, _local) = writer(&Hooked::called(&new.bucket, "there"));
    commit(&there, "went on").unwrap();
    there.0.publish();
    let size = there.size();
    drop(there);
    let (again, _local) = join(&Hooked::over(&old), false);
    assert_eq!(again.move_to(&new.place(), &quiet).unwrap().size, size);
    assert_moved(&old, &new.bucket, size);
    // Another log that is open there is not taken for this one.
    let stranger = Target::new();
    drop(init(&Weather::over(&stranger.bucket)));
    let (third, _local) = join(&Hooked::over(&old), true);
    let told = third.move_to(&stranger.place(), &quiet);
    assert!(matches!(told, Err(CopyError::Taken { .. })), "{told:?}");
}

/// A log that went on from the second place to a third one is not opened again in the second one.
#[test]
fn a_move_that_is_given_again_opens_no_place_that_the_log_left() {
    let (old, new, last) = (new_log(), Target::new(), Target::new());
    let (store, _local) = writer(&Hooked::over(&old));
    commit(&store, "a").unwrap();
    store.move_to(&new.place(), &quiet).unwrap();
    let there = Hooked::called(&new.bucket, "there");
    let (second, _local) = writer(&there);
    let third = Place::Bucket(Arc::new(Hooked::called(&last.bucket, "third")), last.local.path().to_owned());
    second.move_to(&third, &quiet).unwrap();
    let (again, _local) = join(&Hooked::over(&old), true);
    let told = again.move_to(&new.place(), &quiet);
    assert!(matches!(told, Err(CopyError::Taken { .. })), "{told:?}");
    assert_eq!(state(&new.bucket), "moved third");
}

/// A move that went on from where it stood when another one had finished it, and the log was written to.
#[test]
fn a_late_move_writes_over_nothing_that_came_since() {
    let (old, new) = (new_log(), Target::new());
    let (first, _local) = writer(&Hooked::over(&old));
    commit(&first, "a").unwrap();
    let there = Hooked::called(&new.bucket, "there");
    let (bucket, target, local) = (old.clone(), new.bucket.clone(), new.local.path().to_owned());
    let size = Arc::new(AtomicU64::new(0));
    let known = Arc::clone(&size);
    let mut states = 0;
    let mut meanwhile = Some(move || {
        let (second, _local) = join(&Hooked::over(&bucket), true);
        second.move_to(&at(&target, &local), &quiet).unwrap();
        let (writes, _local) = writer(&Hooked::called(&target, "there"));
        commit(&writes, "since").unwrap();
        writes.0.publish();
        known.store(writes.size(), Ordering::Relaxed);
    });
    there.before(move |asked| {
        states += u32::from(asked == Asked::Put("state"));
        // The first one says that it is unfinished, the second that it is open.
        if states == 2
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile();
        }
    });
    let copied = first.move_to(&Place::Bucket(Arc::new(there), new.local.path().to_owned()), &quiet).unwrap();
    assert_eq!(copied.size, size.load(Ordering::Relaxed), "it is done, and what came since is there");
    assert_moved(&old, &new.bucket, copied.size);
}

#[test]
fn of_two_backups_at_once_the_older_one_takes_nothing_back() {
    let bucket = new_log();
    let (store, _local) = writer(&Hooked::over(&bucket));
    for k in 0..10 {
        commit(&store, &format!("a{k}")).unwrap();
    }
    let (backup, other) = (Target::new(), store.clone());
    let second = Mutex::new(None);
    let first = store.back_up(&backup.place(), &|what, _, _| {
        if what == "writing tiles" && second.lock().unwrap().is_none() {
            for k in 0..10 {
                commit(&other, &format!("b{k}")).unwrap();
            }
            let local = tempfile::tempdir().unwrap();
            *second.lock().unwrap() = Some(other.back_up(&at(&backup.bucket, local.path()), &quiet).unwrap().size);
        }
    });
    assert!(matches!(first, Err(CopyError::Newer { there: 42, here: 22, .. })), "{first:?}");
    assert_eq!(*second.lock().unwrap(), Some(store.size()));
    assert_eq!(head(&backup.bucket).head.size, store.size());
    let copy = backup.place().open().unwrap();
    assert_eq!(copy.checkpoint(), store.checkpoint());
    assert!(copy.fsck(&quiet).unwrap().is_clean());
    commit(&store, "c").unwrap();
    assert_eq!(store.back_up(&backup.place(), &quiet).unwrap().size, store.size());
}

/// Of two backups the older one is being restored when the newer one is, and is written to.
#[test]
fn a_late_restore_writes_over_nothing_that_came_since() {
    let bucket = new_log();
    let (store, _local) = writer(&Hooked::over(&bucket));
    for k in 0..20 {
        commit(&store, &format!("a{k}")).unwrap();
    }
    let (older, newer) = (Target::called("older"), Target::called("newer"));
    store.back_up(&older.place(), &quiet).unwrap();
    for k in 0..20 {
        commit(&store, &format!("b{k}")).unwrap();
    }
    store.back_up(&newer.place(), &quiet).unwrap();
    let (older, newer) = (older.place().open().unwrap(), newer.place().open().unwrap());
    for at_step in ["copying", "writing tiles", "reading the copy"] {
        let target = Target::new();
        let came = Mutex::new(None);
        let told = older.restore_to(&target.place(), &|what, _, _| {
            if what == at_step && came.lock().unwrap().is_none() {
                *came.lock().unwrap() = Some(finish(&newer, &target));
            }
        });
        let size = came.lock().unwrap().take().unwrap();
        assert!(told.is_err(), "{at_step}: {told:?}");
        let (there, _local) = join(&Hooked::called(&target.bucket, "there"), false);
        assert_eq!((there.size(), state(&target.bucket)), (size, "open -".to_owned()), "{at_step}");
        assert!(there.fsck(&quiet).unwrap().is_clean(), "{at_step}");
    }
}

/// Restores by whatever leads there, and writes.
fn finish(backup: &Store, target: &Target) -> u64 {
    let local = tempfile::tempdir().unwrap();
    // The other one has the place: this one's operator empties the state, as he is told to.
    target.bucket.remove("state").unwrap();
    for name in target.bucket.names() {
        target.bucket.remove(&name).unwrap();
    }
    backup.restore_to(&at(&target.bucket, local.path()), &quiet).unwrap();
    let (writes, _local) = writer(&Hooked::called(&target.bucket, "there"));
    commit(&writes, "since").unwrap();
    writes.0.publish();
    writes.size()
}

#[test]
fn what_cannot_be_read_where_a_backup_goes_is_not_taken_for_nothing() {
    let bucket = new_log();
    let (store, _local) = writer(&Hooked::over(&bucket));
    commit(&store, "a").unwrap();
    let backup = Target::called("backup");
    store.back_up(&backup.place(), &quiet).unwrap();
    let backup = backup.place().open().unwrap();
    commit(&store, "b").unwrap();
    store.0.publish();
    // Of a newer log the head and the checkpoint are left.
    let rest = || {
        let rest = Target::new();
        for name in ["head", "checkpoint"] {
            rest.bucket.put(name, &bytes(&bucket, name), &When::Always).unwrap();
        }
        rest
    };
    let below = rest();
    let told = backup.restore_to(&below.place(), &quiet);
    assert!(matches!(told, Err(CopyError::Below { .. })), "{told:?}");
    for name in ["head", "checkpoint"] {
        let damaged = rest();
        let mut bad = bytes(&bucket, name);
        *bad.last_mut().unwrap() ^= 1;
        damaged.bucket.put(name, &bad, &When::Always).unwrap();
        let told = backup.restore_to(&damaged.place(), &quiet);
        assert!(matches!(told, Err(CopyError::Storage(StorageError::Corrupt { .. }))), "{name}: {told:?}");
        let silent = rest();
        let hooked = Hooked::called(&silent.bucket, "there");
        hooked.change(move |of, found| if of == name { Err(io::ErrorKind::TimedOut.into()) } else { found });
        let told = backup.restore_to(&Place::Bucket(Arc::new(hooked), silent.local.path().to_owned()), &quiet);
        assert!(matches!(told, Err(CopyError::Storage(StorageError::Io { .. }))), "{name}: {told:?}");
    }
}
