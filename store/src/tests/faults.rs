//! What a failing disk, a crash or a power cut leaves, at every single write of a commit.

use griptrace_core::{
    entry::Genesis,
    id::NodeId,
    key::{Algorithm, SecretKey, Signer as _},
};
use tempfile::TempDir;

use super::{
    sea::{Fault, Sea},
    world::{NOW, ORIGIN, World, signer},
};
use crate::{
    CommitError, OpenError, OpenOptions, StorageError, Store,
    appender::SEGMENT_BYTES,
    objects::Objects,
    open::{init_on, open_on},
    record::NodeRecord,
};

/// A store on a disk that fails, with what it acknowledged.
struct Boat {
    sea: Sea,
    folder: TempDir,
    acknowledged: Vec<NodeId>,
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

fn on(sea: &Sea, folder: &TempDir) -> Objects {
    Objects::on(Box::new(sea.clone()), folder.path())
}

impl Boat {
    fn new() -> (Self, Store) {
        let (sea, folder) = (Sea::default(), tempfile::tempdir().unwrap());
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
        let genesis = Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [3; 16], revokers: Vec::new() };
        let opened = init_on(on(&sea, &folder), &genesis, signer(), NOW).unwrap();
        (Self { sea, folder, acknowledged: Vec::new() }, Store::from_opened(opened))
    }

    fn open(&self) -> Result<Store, OpenError> {
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        open_on(on(&self.sea, &self.folder), options).map(Store::from_opened)
    }

    fn commit(&mut self, store: &Store, nodes: Vec<NodeRecord>) -> Result<(), CommitError> {
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        let receipt = store.commit(nodes, &committer, "Maker", NOW)?;
        self.acknowledged.extend(receipt.ids);
        Ok(())
    }

    /// Opens without help, and checks that everything acknowledged is there, and the last commit
    /// whole or not at all.
    fn check(&mut self, last: &[NodeId], what: &str) -> Store {
        let store = self.open().unwrap_or_else(|error| panic!("{what}: {error}"));
        for id in &self.acknowledged {
            assert!(store.node(id).unwrap().is_some(), "{what}: {id} was acknowledged and is lost");
        }
        let there = last.iter().filter(|id| store.node(id).unwrap().is_some()).count();
        assert!(there == 0 || there == last.len(), "{what}: {there} of {} nodes are there", last.len());
        let report = store.fsck(&|_, _, _| {}).unwrap();
        assert!(report.is_clean(), "{what}: {:?}", report.faults);
        store
    }
}

/// A commit with statuses, a manifest and several nodes, so that every kind of frame is written.
fn nodes(home: &Store, round: u64) -> Vec<NodeRecord> {
    let world = World::at(home);
    let source = world.source(&format!("camera {round}"), "CN");
    let mut nodes = world.train("train", &[source.id()], "DE", &["a", "b"]);
    nodes.push(source);
    nodes
}

const FAULTS: [Fault; 5] = [Fault::Lost, Fault::Persisted, Fault::Torn, Fault::Full, Fault::Crash];

/// Commits once for every change that a commit makes, with a fault there, on a log that has as many
/// commits as `is_enough` says. Returns how many faults were met.
fn fail_everywhere(is_enough: impl Fn(&Store) -> bool, faults: &[Fault], cuts: u64) -> u64 {
    let (mut boat, store) = Boat::new();
    for round in 0.. {
        if is_enough(&store) {
            break;
        }
        boat.commit(&store, vec![World::at(&store).source(&format!("{round}"), "CN")]).unwrap();
    }
    drop(store);
    let (sea, acknowledged) = (boat.sea.copy(), boat.acknowledged.clone());
    let mut met = 0;
    for fault in faults.iter().copied() {
        for at in 0.. {
            let what = format!("{fault:?} at change {at} of a commit");
            boat.sea = sea.copy();
            boat.acknowledged.clone_from(&acknowledged);
            let store = boat.open().unwrap();
            let nodes = nodes(&store, at);
            let last: Vec<NodeId> = nodes.iter().map(NodeRecord::id).collect();
            boat.sea.fail(at, fault);
            let result = boat.commit(&store, nodes);
            if !boat.sea.mend() {
                assert!(result.is_ok(), "{what}: {result:?}");
                break;
            }
            met += 1;
            check_error(&boat, &store, result, &what);
            let (cut, kept) = (boat.sea.copy(), boat.acknowledged.clone());
            drop(store);
            go_on(&mut boat, &last, &what);
            for seed in 0..cuts {
                let mut dice = Dice(at * 31 + seed);
                boat.sea = cut.power_cut(|| dice.roll());
                boat.acknowledged.clone_from(&kept);
                go_on(&mut boat, &last, &format!("{what}, and then the power is cut ({seed})"));
            }
        }
    }
    met
}

/// An error is true: the commit was not acknowledged, and the next one is told to reopen.
fn check_error(boat: &Boat, store: &Store, result: Result<(), CommitError>, what: &str) {
    let Err(error) = result else { return };
    assert!(matches!(error, CommitError::Storage(_)), "{what}: {error}");
    let mut other = Boat { sea: boat.sea.clone(), folder: tempfile::tempdir().unwrap(), acknowledged: Vec::new() };
    let next = other.commit(store, vec![World::at(store).source("next", "CN")]);
    assert!(matches!(next, Err(CommitError::Poisoned)), "{what}: {next:?}");
}

fn go_on(boat: &mut Boat, last: &[NodeId], what: &str) {
    let store = boat.check(last, what);
    boat.commit(&store, vec![World::at(&store).source("after", "CN")]).unwrap();
    drop(store);
    drop(boat.check(last, what));
}

#[test]
fn a_write_that_fails_anywhere_loses_nothing_that_was_acknowledged() {
    let met = fail_everywhere(|store| store.size() == 8, &FAULTS, 2);
    assert!(met >= 25, "only {met} faults were met");
}

#[test]
fn a_write_that_fails_where_a_tile_is_filled_loses_nothing() {
    let met = fail_everywhere(|store| store.size() == 254, &[Fault::Persisted, Fault::Torn, Fault::Crash], 1);
    assert!(met > 20, "only {met} faults were met");
}

#[test]
fn a_write_that_fails_where_a_segment_ends_loses_nothing() {
    let is_full = |store: &Store| store.0.read().catalogue.end().1 >= SEGMENT_BYTES;
    let met = fail_everywhere(is_full, &FAULTS, 2);
    assert!(met > 40, "only {met} faults were met");
}

/// Opening recovers, and can itself be cut off at every change.
#[test]
fn a_crash_inside_recovery_loses_nothing() {
    let (mut boat, store) = Boat::new();
    boat.commit(&store, vec![World::at(&store).source("first", "CN")]).unwrap();
    drop(store);
    let sea = boat.sea.copy();
    for at in 0..40 {
        boat.sea = sea.copy();
        let store = boat.open().unwrap();
        let nodes = nodes(&store, at);
        let last: Vec<NodeId> = nodes.iter().map(NodeRecord::id).collect();
        boat.sea.fail(at, Fault::Crash);
        let acknowledged = boat.acknowledged.clone();
        let done = boat.commit(&store, nodes).is_ok();
        drop(store);
        if done {
            boat.acknowledged = acknowledged;
            return;
        }
        boat.sea.mend();
        let crashed = boat.sea.copy();
        for second in 0.. {
            boat.sea = crashed.copy();
            boat.sea.fail(second, Fault::Crash);
            let opened = boat.open();
            drop(opened);
            let met = boat.sea.mend();
            let what = format!("a crash at change {at}, and again at change {second} of opening");
            go_on(&mut boat, &last, &what);
            boat.acknowledged.clone_from(&acknowledged);
            if !met {
                break;
            }
        }
    }
    panic!("a commit never ended");
}

/// Many commits, and the power cut at random moments; once more where the loop device can't be had.
#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let (mut boat, store) = Boat::new();
    drop(store);
    for round in 0..40_u64 {
        let mut dice = Dice(round * 7 + 1);
        let store = boat.open().unwrap();
        let at = (round * 13) % 90;
        boat.sea.fail(at, Fault::Crash);
        let mut last = Vec::new();
        for number in 0.. {
            let nodes = nodes(&store, round * 1000 + number);
            last = nodes.iter().map(NodeRecord::id).collect();
            if boat.commit(&store, nodes).is_err() {
                break;
            }
        }
        drop(store);
        boat.sea.mend();
        boat.sea = boat.sea.power_cut(|| dice.roll());
        drop(boat.check(&last, &format!("round {round}")));
    }
    assert!(boat.acknowledged.len() > 300, "{}", boat.acknowledged.len());
}

/// The check can fail: a disk that does not sync loses what was acknowledged.
#[test]
fn a_disk_that_forgets_is_noticed() {
    let (mut boat, store) = Boat::new();
    let before = boat.sea.copy();
    boat.commit(&store, vec![World::at(&store).source("camera", "CN")]).unwrap();
    drop(store);
    assert!(boat.sea.changes() > 0);
    // As if nothing of the commit had reached the disk.
    boat.sea = before;
    let store = boat.open().unwrap();
    assert!(store.node(&boat.acknowledged[0]).unwrap().is_none());
}

/// A disk that could not tell whether there is a head was told as a store that has none, with the advice to restore it.
#[test]
fn what_cannot_be_looked_for_is_not_missing() {
    let (boat, store) = Boat::new();
    drop(store);
    boat.sea.go_blind();
    let error = boat.open().unwrap_err();
    assert!(matches!(error, OpenError::Storage(StorageError::Io { doing: "look for", .. })), "{error:?}");
}
