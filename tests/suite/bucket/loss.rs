//! Parts of the service that keeps a log die while it is written to: commits wait and go on, and nothing is lost.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use griptrace_core::id::NodeId;
use griptrace_store::{CommitError, OpenOptions, Store};
use griptrace_tests::{seed::Seed, skipped};

use crate::{
    bucket::open,
    holding::factory::{Factory, ISSUER, NOW, committer, genesis, log_signer},
    seaweed::{Part, Seaweed},
};

const COMMITTERS: u64 = 4;
/// How long commits may take to go on once all parts are back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the committers share.
struct Work {
    store: Store,
    is_over: AtomicBool,
    acknowledged: Mutex<Vec<NodeId>>,
}

impl Work {
    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Commits until it is over. What is refused is tried again: the turn to write is lost when nothing answers for long, and
    /// taken again.
    fn commit(&self, number: u64) {
        let mut factory = Factory::new(self.store.home(), Seed::from_number(number).rng());
        let mut made = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            made += 1;
            let nodes = vec![factory.source(&format!("{number}/{made}"))];
            match self.store.commit(nodes, &committer(), ISSUER, NOW) {
                Ok(receipt) => self.acknowledged.lock().unwrap().extend(receipt.ids),
                Err(CommitError::Storage(_) | CommitError::Stopped | CommitError::ReadOnly) => {
                    thread::sleep(Duration::from_millis(100));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until more was acknowledged; returns how long that took.
    fn goes_on(&self, after: &str) -> Duration {
        let (begun, before) = (Instant::now(), self.count());
        while self.count() < before + 8 {
            assert!(begun.elapsed() < PATIENCE, "{after}: nothing was committed for {PATIENCE:?}");
            thread::sleep(Duration::from_millis(20));
        }
        begun.elapsed()
    }
}

#[test]
fn what_dies_under_a_log_and_comes_back_loses_nothing() {
    let Some(seaweed) = Seaweed::start() else { skipped!(not_installed "weed") };
    let local = tempfile::tempdir().unwrap();
    let bucket = Arc::new(open(&seaweed, "loss"));
    let store = Store::init_in(bucket.clone(), local.path(), &genesis(11), log_signer(), NOW).unwrap();
    let work = Work { store, is_over: AtomicBool::new(false), acknowledged: Mutex::default() };
    thread::scope(|scope| {
        for number in 0..COMMITTERS {
            let work = &work;
            scope.spawn(move || work.commit(number));
        }
        work.goes_on("the beginning");
        for part in [Part::Volume(0), Part::Gateway, Part::Volume(2), Part::Filer, Part::Gateway] {
            seaweed.kill(part);
            thread::sleep(Duration::from_secs(2));
            seaweed.restart(part);
            let took = work.goes_on(&format!("{part:?} came back"));
            println!("{part:?} died for 2 s and came back: commits went on after {:.1} s", took.as_secs_f64());
        }
        work.is_over.store(true, Ordering::Relaxed);
    });
    let Work { store, acknowledged, .. } = work;
    let report = store.fsck(&|_, _, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    drop(store);
    let elsewhere = tempfile::tempdir().unwrap();
    let reader = Store::open_in(bucket, elsewhere.path(), OpenOptions::default()).unwrap();
    let acknowledged = acknowledged.into_inner().unwrap();
    for id in &acknowledged {
        assert!(reader.node(id).unwrap().is_some(), "{id} was acknowledged and is lost");
    }
    // Both were made in this one bucket.
    let asked = reader.requests().unwrap();
    assert!(asked.puts > 0 && asked.gets > 0, "{asked:?}");
    println!("{} commits were acknowledged, with {asked:?}", acknowledged.len());
}
