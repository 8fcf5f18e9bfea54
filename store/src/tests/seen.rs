//! What a machine remembers of a log in a bucket, and two that begin one.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use griptrace_core::entry::Genesis;

use super::{
    bucket::{genesis, init},
    hooked::{Asked, Hooked, commit, copy_of, head, join, join_at, tend, writer},
    weather::Weather,
    world::{NOW, signer},
};
use crate::{
    OpenError, Standing, StorageError, Store,
    bucket::{Bucket, MemoryBucket, When},
    objects::Objects,
    open::init_on,
    publish::size_of,
    seen, segment,
};

fn new_log() -> MemoryBucket {
    init(&Weather::default()).weather.bucket.clone()
}

/// It was kept when a store was closed, and a process that was killed closed nothing.
#[test]
fn a_bucket_that_was_set_back_is_noticed_after_a_kill() {
    let bucket = new_log();
    let old = copy_of(&bucket);
    for writes in [true, false] {
        let local = tempfile::tempdir().unwrap();
        let store = join_at(&Hooked::over(&bucket), local.path(), true).unwrap();
        assert_eq!(tend(&store, 0).unwrap(), Standing::Writer);
        let (reader, read_at) = join(&Hooked::over(&bucket), false);
        commit(&store, &format!("{writes}")).unwrap();
        store.0.publish();
        tend(&store, 1).unwrap();
        tend(&reader, 1).unwrap();
        let killed = if writes { local.path() } else { read_at.path() };
        // As it is when neither is closed.
        let told = join_at(&Hooked::over(&old), killed, true).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("set back"), "{told}");
    }
}

/// Whoever takes the turn knows what was signed before, and remembers it before it commits anything.
#[test]
fn what_a_turn_begins_with_is_remembered() {
    let bucket = new_log();
    let local = tempfile::tempdir().unwrap();
    let follower = join_at(&Hooked::over(&bucket), local.path(), true).unwrap();
    let old = copy_of(&bucket);
    let (first, _local) = writer(&Hooked::over(&bucket));
    commit(&first, "a").unwrap();
    drop(first);
    assert_eq!(tend(&follower, 0).unwrap(), Standing::Writer);
    assert_eq!(size_of(&fs::read(local.path().join("seen")).unwrap()), 4);
    join_at(&Hooked::over(&old), local.path(), true).map(|_| ()).unwrap_err();
}

/// The head is signed by nobody. It claimed more than was seen, and what was there of the log was served.
#[test]
fn a_head_that_claims_more_does_not_hide_that_the_bucket_was_set_back() {
    let bucket = new_log();
    let old = copy_of(&bucket);
    let local = tempfile::tempdir().unwrap();
    let store = join_at(&Hooked::over(&bucket), local.path(), true).unwrap();
    tend(&store, 0).unwrap();
    (0..5).for_each(|k| commit(&store, &format!("a{k}")).unwrap());
    drop(store);
    let mut claims = head(&old);
    claims.head.size = 1000;
    old.put("head", &claims.to_bytes(), &When::Always).unwrap();
    for writes in [false, true] {
        let told = join_at(&Hooked::over(&old), local.path(), writes).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("set back"), "{told}");
    }
    assert_eq!(join_at(&Hooked::over(&bucket), local.path(), false).unwrap().size(), 12);
}

/// What was signed here and not published yet is opened all the same: this machine has the checkpoint.
#[test]
fn what_was_signed_here_and_not_published_is_opened() {
    let bucket = new_log();
    let local = tempfile::tempdir().unwrap();
    let store = join_at(&Hooked::over(&bucket), local.path(), true).unwrap();
    tend(&store, 0).unwrap();
    commit(&store, "a").unwrap();
    seen::keep(&store.0.objects, &store.checkpoint()).unwrap();
    let again = join_at(&Hooked::over(&bucket), local.path(), false).unwrap();
    assert_eq!((again.size(), again.checkpoint()), (4, store.checkpoint()));
    let (other, _local) = join(&Hooked::over(&bucket), false);
    assert_eq!(other.size(), 2, "it is not published");
}

#[test]
fn what_a_power_cut_leaves_of_it_stops_nobody_and_what_is_damaged_counts_for_nothing() {
    let bucket = new_log();
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("seen"), b"").unwrap();
    let store = join_at(&Hooked::over(&bucket), local.path(), true).unwrap();
    tend(&store, 0).unwrap();
    let old = copy_of(&bucket);
    for (at, name) in [(1, "a"), (3, "b")] {
        commit(&store, name).unwrap();
        store.0.publish();
        tend(&store, at).unwrap();
    }
    let kept = ["seen", "seen.before"].map(|name| size_of(&fs::read(local.path().join(name)).unwrap()));
    assert_eq!(kept, [6, 4]);
    let names = || fs::read_dir(local.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names().any(|name| name.starts_with("seen.") && !["seen.before", "seen.lock"].contains(&&*name)));
    fs::write(local.path().join("seen"), b"damaged").unwrap();
    assert_eq!(join_at(&Hooked::over(&bucket), local.path(), false).unwrap().size(), 6);
    fs::write(local.path().join("seen"), b"damaged").unwrap();
    join_at(&Hooked::over(&old), local.path(), false).map(|_| ()).unwrap_err();
    // Neither can be read: then nobody can tell.
    fs::write(local.path().join("seen"), b"damaged").unwrap();
    fs::write(local.path().join("seen.before"), b"damaged").unwrap();
    join_at(&Hooked::over(&bucket), local.path(), false).map(|_| ()).unwrap_err();
}

#[test]
fn two_processes_of_one_machine_never_take_back_what_was_seen() {
    let bucket = new_log();
    let (store, local) = writer(&Hooked::over(&bucket));
    let mut notes = vec![store.checkpoint()];
    for k in 0..20 {
        commit(&store, &format!("a{k}")).unwrap();
        notes.push(store.checkpoint());
    }
    let largest = Mutex::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (notes, objects, largest, path) = (&notes, &store.0.objects, &largest, local.path().join("seen"));
            scope.spawn(move || {
                for at in 0..notes.len() {
                    seen::keep(objects, &notes[(at * 7 + thread) % notes.len()]).unwrap();
                    let mut largest = largest.lock().unwrap();
                    if let Ok(bytes) = fs::read(&path) {
                        assert!(size_of(&bytes) >= *largest);
                        *largest = size_of(&bytes);
                    }
                }
            });
        }
    });
    assert!(*largest.lock().unwrap() > 2);
}

fn begin(bucket: &Hooked, genesis: &Genesis) -> Result<Store, OpenError> {
    let local = tempfile::tempdir().unwrap();
    let objects = Objects::in_bucket(Arc::new(bucket.clone()), local.path());
    init_on(objects, genesis, signer(), NOW).map(Store::from_opened)
}

/// The second one found what the first had written so far, and removed it when that one was done.
#[test]
fn of_two_that_begin_a_log_the_one_that_succeeds_has_all_of_it() {
    let bucket = MemoryBucket::default();
    let (first, told) = (Hooked::over(&bucket), Arc::new(Mutex::new(None)));
    let (slot, there) = (Arc::clone(&told), bucket.clone());
    first.once(
        |asked| asked == Asked::Put("head"),
        move || {
            let other = Genesis { nonce: [4; 16], ..genesis() };
            *slot.lock().unwrap() = begin(&Hooked::over(&there), &other).map(|_| ()).err();
        },
    );
    let store = begin(&first, &genesis()).unwrap();
    let told = told.lock().unwrap().take().unwrap();
    assert!(matches!(&told, OpenError::Begun { why, .. } if why.contains("at work")), "{told}");
    assert!(bucket.names().contains(&segment::name(0)));
    commit(&store, "a").unwrap();
    store.0.publish();
    drop(store);
    let (again, _local) = join(&Hooked::over(&bucket), false);
    assert!(again.size() == 4 && again.fsck(&|_, _, _| {}).unwrap().is_clean());
}

/// Where the keys are looked for in the segments, one that does not answer was passed over, with whatever key change is in it.
#[test]
fn keys_that_cannot_be_looked_for_are_not_taken_for_none() {
    let bucket = new_log();
    let (store, _local) = writer(&Hooked::over(&bucket));
    commit(&store, "a").unwrap();
    drop(store);
    bucket.remove("keys").unwrap();
    let hooked = Hooked::over(&bucket);
    let mut asked = 0;
    hooked.change(move |name, found| {
        asked += u32::from(name == segment::name(2));
        if name == segment::name(2) && asked == 1 { Err(std::io::ErrorKind::TimedOut.into()) } else { found }
    });
    let local = tempfile::tempdir().unwrap();
    let told = join_at(&hooked, local.path(), false).map(|_| ()).unwrap_err();
    assert!(matches!(told, OpenError::Storage(StorageError::Io { .. })), "{told}");
    assert_eq!(join_at(&hooked, local.path(), false).unwrap().size(), 4);
}
