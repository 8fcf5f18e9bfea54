//! Whose turn it is to write: given up in time, taken over by one of many, and what is signed in it.

use core::time::Duration;
use std::{
    sync::{Arc, mpsc::channel},
    thread,
    time::Instant,
};

use super::{
    bucket::{Process, genesis, init, look},
    weather::Weather,
    world::{NOW, signer},
};
use crate::{
    OpenOptions, Store,
    bucket::{Bucket as _, MemoryBucket},
    lease::SharedHead,
    record::NodeRecord,
};

/// A new log whose store tends itself.
fn begun() -> Process {
    let (weather, local) = (Weather::default(), tempfile::tempdir().unwrap());
    let store = Store::init_in(Arc::new(weather.clone()), local.path(), &genesis(), signer(), NOW).unwrap();
    Process { weather, local, store }
}

fn head(bucket: &MemoryBucket) -> SharedHead {
    SharedHead::parse(&bucket.get("head", None).unwrap().unwrap().bytes).unwrap()
}

/// Its thread had the store in hand when the last handle went: the turn went on until the thread was done, or for ever if the program
/// ended first, and the next writer waited for three seconds.
#[test]
fn whoever_drops_the_last_handle_has_ended_the_turn_and_published() {
    for object in ["head", "tile/"] {
        let first = begun();
        let (tell, hear) = channel();
        let hold = || {
            first.weather.meanwhile(object, move || {
                tell.send(()).unwrap();
                thread::sleep(Duration::from_millis(400));
            });
        };
        let commit = || drop(first.commit(vec![first.source("one")]).unwrap());
        // A commit writes the head too, which is not meant.
        if object == "head" {
            (commit(), hold())
        } else {
            (hold(), commit())
        };
        hear.recv().unwrap();
        let (bucket, checkpoint) = (first.weather.bucket.clone(), first.store.checkpoint());
        drop(first.store);
        assert_eq!(head(&bucket).turn.writer, None, "a thread was about to write {object}");
        assert_eq!(bucket.get("checkpoint", None).unwrap().unwrap().bytes, checkpoint.into_bytes());
        let (local, begun) = (tempfile::tempdir().unwrap(), Instant::now());
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        drop(Store::open_in(Arc::new(bucket), local.path(), options).unwrap());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

/// Whoever made it due waited for all of it.
#[test]
fn nobody_waits_for_a_snapshot_but_who_closes_the_store() {
    let first = init(&Weather::default());
    let (tell, hear) = channel::<()>();
    first.weather.meanwhile("snapshots/", move || hear.recv_timeout(Duration::from_secs(9)).unwrap());
    let many: Vec<NodeRecord> = (0..1100).map(|i| first.source(&format!("s{i}"))).collect();
    drop(first.commit(many).unwrap());
    // It is being written, and will be until it is told to go on.
    let after = first.commit(vec![first.source("after it")]).unwrap();
    let bucket = first.weather.bucket.clone();
    assert!(first.has(&after[0]) && bucket.get("snapshots/catalogue", None).unwrap().is_none());
    let closing = thread::spawn(move || drop(first.store));
    thread::sleep(Duration::from_millis(100));
    assert!(!closing.is_finished());
    tell.send(()).unwrap();
    closing.join().unwrap();
    assert_eq!(head(&bucket).turn.writer, None);
    let again = look(&bucket);
    assert!(again.has(&after[0]) && again.store.0.read().catalogue.has_snapshot() && again.is_clean());
}
