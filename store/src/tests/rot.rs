//! What rots in a bucket: a head that was lost, audits by lot, and audits that were stopped. What becomes of each kind of object is
//! in `kinds`.

use core::time::Duration;
use std::sync::Arc;

use griptrace_core::{
    key::{Algorithm, SecretKey},
    node::Kind,
};
use tempfile::TempDir;

use super::world::{NOW, World, signer};
use crate::{
    GOING_ON, OpenError, OpenOptions, Place, Standing, Store,
    bucket::{Bucket, MemoryBucket, When},
};

struct Log {
    bucket: MemoryBucket,
}

fn quiet(_: &str, _: u64, _: u64) {}

impl Log {
    /// A log with a block, single segments, full and partial tiles, and a snapshot.
    fn new() -> Self {
        let world = World::new();
        for i in 0..200 {
            world.add(world.source(&format!("s{i}"), "CN"));
        }
        let bucket = MemoryBucket::default();
        let local = tempfile::tempdir().unwrap();
        world.store.move_to(&Place::Bucket(Arc::new(bucket.clone()), local.path().to_owned()), &quiet).unwrap();
        let log = Self { bucket };
        let (writer, _local) = log.join();
        assert_eq!(writer.tend(Duration::ZERO).unwrap(), Standing::Writer);
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        let node = World::at(&writer).source("last", "CN");
        writer.commit(vec![node], &committer, "Maker", NOW).unwrap();
        let catalogue = writer.0.read().catalogue.clone();
        catalogue.write_snapshot(&writer.0.objects).unwrap();
        drop(writer);
        log
    }

    fn join(&self) -> (Store, TempDir) {
        let local = tempfile::tempdir().unwrap();
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        (Store::join_in(Arc::new(self.bucket.clone()), local.path(), options).unwrap(), local)
    }

    fn try_join(&self) -> (Result<Store, OpenError>, TempDir) {
        let local = tempfile::tempdir().unwrap();
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        (Store::join_in(Arc::new(self.bucket.clone()), local.path(), options), local)
    }

    /// Flips a bit, and returns what is to be put back.
    fn damage(&self, name: &str, at: usize) -> Vec<u8> {
        let bytes = self.bucket.get(name, None).unwrap().unwrap().bytes;
        self.flip(name, at);
        bytes
    }

    fn flip(&self, name: &str, at: usize) {
        let mut bytes = self.bucket.get(name, None).unwrap().unwrap().bytes;
        bytes[at] ^= 1;
        self.bucket.put(name, &bytes, &When::Always).unwrap();
    }

    /// What the audit names, of an open store or of one that can't be opened.
    fn faults(&self) -> Vec<String> {
        let (opened, local) = self.try_join();
        let report = match opened {
            Ok(store) => store.fsck(&quiet).unwrap(),
            Err(_) => Store::fsck_closed_in(Arc::new(self.bucket.clone()), local.path(), &quiet).unwrap(),
        };
        report.faults.into_iter().map(|fault| fault.object).collect()
    }

    fn first(&self, folder: &str) -> String {
        self.bucket.names().into_iter().find(|name| name.starts_with(folder)).unwrap()
    }
}

#[test]
fn a_head_that_was_lost_before_the_checkpoint_followed_is_made_again_of_what_was_seen() {
    let log = Log::new();
    let (writer, _one) = log.join();
    assert_eq!(writer.tend(Duration::ZERO).unwrap(), Standing::Writer);
    let (follower, _two) = log.join();
    let published = log.bucket.get("checkpoint", None).unwrap().unwrap().bytes;
    let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
    let commit = |name: &str| {
        let node = World::at(&writer).source(name, "CN");
        writer.commit(vec![node], &committer, "Maker", NOW).unwrap().ids[0]
    };
    let ids = [commit("a"), commit("b")];
    // The next move of the head brings the newest note.
    writer.tend(Duration::from_secs(3)).unwrap();
    writer.tend(Duration::from_secs(5)).unwrap();
    follower.tend(Duration::from_secs(5)).unwrap();
    assert_eq!(follower.size(), writer.size());
    log.bucket.put("checkpoint", &published, &When::Always).unwrap();
    log.bucket.remove("head").unwrap();
    assert_eq!(follower.tend(Duration::from_secs(6)).unwrap(), Standing::Writer);
    let late = World::at(&writer).source("late", "CN");
    assert!(writer.commit(vec![late], &committer, "Maker", NOW).is_err(), "its turn is over");
    assert!(ids.iter().all(|id| follower.node(id).unwrap().is_some()));
    follower.0.publish();
    assert_eq!(log.faults(), [""; 0]);
}

/// Opening, the audit and writing said three things of it, though this machine had the newest checkpoint.
#[test]
fn a_head_and_a_checkpoint_that_are_both_lost_are_made_again_by_a_machine_that_saw_the_log() {
    let log = Log::new();
    let (seen, local) = log.join();
    let (size, checkpoint) = (seen.size(), seen.checkpoint());
    drop(seen);
    log.bucket.remove("head").unwrap();
    log.bucket.remove("checkpoint").unwrap();
    // Nobody else knows what was signed.
    let (stranger, elsewhere) = log.try_join();
    let told = stranger.unwrap_err().to_string();
    assert!(told.starts_with("head") && told.contains("on a machine that saw it last"), "{told}");
    let bucket = || Arc::new(log.bucket.clone());
    let report = Store::fsck_closed_in(bucket(), elsewhere.path(), &quiet).unwrap();
    let said = |report: crate::FsckReport| -> Vec<(String, bool)> {
        report.faults.into_iter().map(|fault| (fault.object, fault.heals)).collect()
    };
    assert_eq!(said(report), [("head".to_owned(), false), ("checkpoint".to_owned(), false)]);
    // This one does, and answers, names both as what heals, and makes them again once it writes.
    let options = || OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
    let again = Store::join_in(bucket(), local.path(), options()).unwrap();
    assert_eq!((again.size(), again.checkpoint()), (size, checkpoint.clone()));
    let report = again.fsck(&quiet).unwrap();
    assert_eq!(said(report), [("head".to_owned(), true), ("checkpoint".to_owned(), true)]);
    assert_eq!(again.tend(Duration::ZERO).unwrap(), Standing::Writer);
    assert_eq!(again.checkpoint(), checkpoint, "the same, and no second history");
    drop(again);
    assert_eq!(log.faults(), [""; 0]);
    // One that is no checkpoint of this log is of no use.
    log.bucket.remove("head").unwrap();
    log.bucket.remove("checkpoint").unwrap();
    std::fs::write(local.path().join("seen"), "rubbish").unwrap();
    std::fs::write(local.path().join("seen.before"), "rubbish").unwrap();
    assert!(Store::join_in(bucket(), local.path(), options()).is_err());
}

/// Whoever had the turn cried that the bucket was set back, and to put the newest copy back, until the other one had taken in what came
/// after the head that it made anew; and nobody said that the head had been lost.
#[test]
fn a_head_that_was_made_anew_is_told_by_who_did_it_and_is_no_bucket_that_was_set_back() {
    let log = Log::new();
    let (writer, _one) = log.join();
    assert_eq!(writer.tend(Duration::ZERO).unwrap(), Standing::Writer);
    let (other, _two) = log.join();
    other.tend(Duration::ZERO).unwrap();
    let before = log.bucket.get("checkpoint", None).unwrap().unwrap().bytes;
    let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
    writer.commit(vec![World::at(&writer).source("a", "CN")], &committer, "Maker", NOW).unwrap();
    // Of what was committed last nothing was published.
    log.bucket.put("checkpoint", &before, &When::Always).unwrap();
    log.bucket.remove("head").unwrap();
    // As the other one makes it, a moment before it takes the turn.
    other.0.head_or_remake(other.0.objects.bucket().unwrap()).unwrap();
    let said = other.take_remade().unwrap();
    assert!(said.contains("missing") && said.contains("made anew"), "{said}");
    assert_eq!(other.take_remade(), None);
    writer.tend(Duration::from_secs(1)).unwrap();
    for second in [3, 4] {
        assert_eq!(writer.tend(Duration::from_secs(second)).unwrap(), Standing::Reader(String::new()));
    }
    // It stays so: then it is told.
    assert!(writer.tend(Duration::from_secs(9)).unwrap_err().to_string().contains("set back"));
    assert_eq!(other.tend(Duration::from_secs(9)).unwrap(), Standing::Writer);
    assert!(matches!(writer.tend(Duration::from_secs(10)).unwrap(), Standing::Reader(_)));
    assert_eq!(writer.size(), other.size());
    assert_eq!(log.faults(), [""; 0]);
}

/// What was under way when the head was lost was published after another one had made it anew: then nobody could take the turn any more, and
/// each said that the head had been set back.
#[test]
fn what_is_published_after_the_head_was_made_anew_keeps_nobody_from_writing() {
    let log = Log::new();
    let (writer, _one) = log.join();
    assert_eq!(writer.tend(Duration::ZERO).unwrap(), Standing::Writer);
    let (other, _two) = log.join();
    other.tend(Duration::ZERO).unwrap();
    let before = log.bucket.get("checkpoint", None).unwrap().unwrap().bytes;
    let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
    writer.commit(vec![World::at(&writer).source("a", "CN")], &committer, "Maker", NOW).unwrap();
    writer.0.publish();
    let after = log.bucket.get("checkpoint", None).unwrap().unwrap().bytes;
    assert_ne!(before, after);
    log.bucket.put("checkpoint", &before, &When::Always).unwrap();
    log.bucket.remove("head").unwrap();
    other.0.head_or_remake(other.0.objects.bucket().unwrap()).unwrap();
    log.bucket.put("checkpoint", &after, &When::Always).unwrap();
    assert_eq!(other.tend(Duration::from_secs(5)).unwrap(), Standing::Writer);
    assert_eq!(other.size(), writer.size());
    other.commit(vec![World::at(&other).source("b", "CN")], &committer, "Maker", NOW).unwrap();
    other.0.publish();
    // When it beats it finds itself fenced.
    drop(writer.tend(Duration::from_secs(6)));
    assert!(matches!(writer.tend(Duration::from_secs(8)).unwrap(), Standing::Reader(_)));
    assert_eq!(writer.size(), other.size());
    assert_eq!(log.faults(), [""; 0]);
}

#[test]
fn a_sample_finds_what_it_draws_and_all_of_them_find_everything() {
    let log = Log::new();
    let (store, _local) = log.join();
    let clean = store.fsck_sample(3, 7, &quiet).unwrap();
    assert!(clean.is_clean() && (1..=3).contains(&clean.segments), "{clean:?}");
    let size = store.size();
    assert_eq!(store.fsck_sample(40 * size, 1, &quiet).unwrap().entries, size, "so many that none is left out");
    drop(store);
    let segments: Vec<String> = log.bucket.names().into_iter().filter(|name| name.starts_with("segments/")).collect();
    let tile = log.first("tile/0/");
    for (name, at) in [(&*segments[3], 200), (&*tile, 5)] {
        log.flip(name, at);
        let (store, _local) = log.join();
        let all = store.fsck_sample(40 * size, 1, &quiet).unwrap();
        assert!(all.faults.iter().any(|fault| fault.object == name), "{name}: {:?}", all.faults);
        let found = (0..40).filter(|seed| !store.fsck_sample(20, *seed, &quiet).unwrap().is_clean()).count();
        assert!(found > 0, "{name}: a small one finds it now and then");
        log.flip(name, at);
    }
}

#[test]
fn an_audit_that_was_stopped_goes_on_and_believes_no_byte_that_changed() {
    let log = Log::new();
    let (store, local) = log.join();
    let state = local.path().join("fsck");
    // Stopped: whoever hears of the progress gives up in the middle.
    let stopped = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        store.fsck_resumed(&state, &|_, done, total| assert!(done < total / 2, "stopped here"))
    }));
    assert!(stopped.is_err());
    let kept = std::fs::read_to_string(&state).unwrap();
    assert!(kept.lines().count() > 50, "{kept}");
    drop(store);
    let (store, _local) = log.join();
    let whole = store.fsck(&quiet).unwrap();
    let block = log.first("blocks/");
    let bytes = log.bucket.get(&block, None).unwrap().unwrap().bytes;
    let at = bytes.windows(3).position(|found| found == b"s11").unwrap();
    log.flip(&block, at);
    let (damaged, _other) = log.join();
    let found = damaged.fsck_resumed(&state, &quiet).unwrap();
    assert!(!found.is_clean(), "it was checked before it changed");
    log.flip(&block, at);
    std::fs::write(&state, kept).unwrap();
    let (store, _other) = log.join();
    let told = core::cell::RefCell::new(Vec::new());
    let progress = |what: &str, done, _| told.borrow_mut().push((what.to_owned(), done));
    let resumed = store.fsck_resumed(&state, &progress).unwrap();
    let told = told.into_inner();
    assert!(told[0].0 == GOING_ON && told[0].1 > 100, "it says where it goes on: {:?}", told[0]);
    assert_eq!((resumed.nodes, resumed.entries, resumed.tiles), (whole.nodes, whole.entries, whole.tiles));
    assert!(resumed.is_clean() && !state.exists());
}

/// A server went on saying that a segment was damaged after it had been put back, until it was started anew.
#[test]
fn what_was_put_back_is_read_by_who_found_it_damaged() {
    let log = Log::new();
    for writes in [false, true] {
        let (store, _local) = log.join();
        if writes {
            assert!((0..20).any(|at| store.tend(Duration::from_secs(at)).unwrap() == Standing::Writer));
        }
        for name in
            log.bucket.names().iter().filter(|name| name.starts_with("blocks/") || name.starts_with("segments/"))
        {
            let length = log.bucket.get(name, None).unwrap().unwrap().bytes.len();
            store.0.objects.forget_segments(0);
            let good = log.damage(name, length - 300);
            let ids = store.of_kind(Kind::Dataset).unwrap();
            let bad: Vec<_> = ids.iter().filter(|id| store.node(id).is_err()).collect();
            log.bucket.put(name, &good, &When::Always).unwrap();
            assert!(bad.iter().all(|id| store.node(id).is_ok()), "{name}");
            assert!(!bad.is_empty(), "{name}: nothing was hit");
        }
    }
}
