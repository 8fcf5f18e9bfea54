//! A log in a bucket: several processes, of which one writes at a time.

use core::time::Duration;
use std::sync::Arc;

use griptrace_core::{
    entry::Genesis,
    id::NodeId,
    key::{Algorithm, SecretKey, Signer as _},
    node::{Kind, Mark},
};
use tempfile::TempDir;

use super::{
    hooked::{self, copy_of},
    weather::{Storm, Weather},
    world::{NOW, ORIGIN, World, signer},
};
use crate::{
    CommitError, OpenOptions, SignedCommit, Standing, Store,
    bucket::{Bucket, MemoryBucket, When, blocks::BLOCK_ENTRIES},
    lease::{SharedHead, TAKE_OVER_AFTER},
    objects::Objects,
    open::init_on,
    record::NodeRecord,
    signed_commit,
    snapshot::blocks_of,
};

/// A process, and what it sees of the bucket.
pub(super) struct Process {
    pub(super) weather: Weather,
    pub(super) local: TempDir,
    pub(super) store: Store,
}

pub(super) fn genesis() -> Genesis {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
    Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [3; 16], revokers: Vec::new() }
}

pub(super) fn init(weather: &Weather) -> Process {
    let (local, genesis) = (tempfile::tempdir().unwrap(), genesis());
    let objects = Objects::in_bucket(Arc::new(weather.clone()), local.path());
    let store = Store::from_opened(init_on(objects, &genesis, signer(), NOW).unwrap());
    Process { weather: weather.clone(), local, store }
}

/// A process that takes the turn when it is free.
pub(super) fn join(bucket: &MemoryBucket, address: &str) -> Process {
    let (weather, local) = (Weather::over(bucket), tempfile::tempdir().unwrap());
    let options = OpenOptions { signer: Some(signer()), address: address.to_owned(), ..OpenOptions::default() };
    let store = Store::join_in(Arc::new(weather.clone()), local.path(), options).unwrap();
    Process { weather, local, store }
}

pub(super) fn look(bucket: &MemoryBucket) -> Process {
    let (weather, local) = (Weather::over(bucket), tempfile::tempdir().unwrap());
    let store = Store::join_in(Arc::new(weather.clone()), local.path(), OpenOptions::default()).unwrap();
    Process { weather, local, store }
}

impl Process {
    pub(super) fn commit(&self, nodes: Vec<NodeRecord>) -> Result<Vec<NodeId>, CommitError> {
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        self.store.commit(nodes, &committer, "Maker", NOW).map(|receipt| receipt.ids)
    }

    pub(super) fn source(&self, name: &str) -> NodeRecord {
        World::at(&self.store).source(name, "CN")
    }

    pub(super) fn tend(&self, seconds: u64) -> Standing {
        self.store.tend(Duration::from_secs(seconds)).unwrap()
    }

    /// Takes the turn over from one who is silent.
    pub(super) fn take_over(&self, from: u64) {
        assert!(matches!(self.tend(from), Standing::Reader(_)));
        assert_eq!(self.tend(from + TAKE_OVER_AFTER.as_secs() + 1), Standing::Writer);
    }

    pub(super) fn has(&self, id: &NodeId) -> bool {
        self.store.node(id).unwrap().is_some()
    }

    pub(super) fn is_clean(&self) -> bool {
        let report = self.store.fsck(&|_, _, _| {}).unwrap();
        assert!(report.is_clean(), "{:?}", report.faults);
        true
    }
}

#[test]
fn what_one_process_commits_the_others_read() {
    let writer = init(&Weather::default());
    let other = look(&writer.weather.bucket);
    let mut ids = Vec::new();
    for i in 0..40 {
        ids.extend(writer.commit(vec![writer.source(&format!("s{i}"))]).unwrap());
    }
    writer.store.0.publish();
    assert_eq!(other.store.size(), 2);
    assert_eq!(other.tend(0), Standing::Reader(String::new()));
    assert_eq!((other.store.size(), other.store.checkpoint()), (writer.store.size(), writer.store.checkpoint()));
    assert!(ids.iter().all(|id| other.has(id)) && other.is_clean() && writer.is_clean());
    assert!(matches!(other.commit(vec![other.source("x")]), Err(CommitError::ReadOnly)));
    drop(writer);
    let again = look(&other.weather.bucket);
    assert!(ids.iter().all(|id| again.has(id)), "by one that opened it afterwards");
}

#[test]
fn who_falls_silent_loses_the_turn_and_notices_before_it_signs_anything() {
    let first = init(&Weather::default());
    let kept = first.commit(vec![first.source("kept")]).unwrap();
    let second = join(&first.weather.bucket, "https://second.example");
    second.take_over(10);
    let more = second.commit(vec![second.source("more")]).unwrap();
    let lost = first.commit(vec![first.source("lost")]);
    assert!(matches!(lost, Err(CommitError::Storage(crate::StorageError::Fenced { .. }))), "{lost:?}");
    second.store.0.publish();
    assert_eq!(first.tend(20), Standing::Reader("https://second.example".to_owned()));
    assert!(first.has(&more[0]) && second.has(&kept[0]));
    assert_eq!(first.store.checkpoint(), second.store.checkpoint());
    assert!(first.is_clean() && second.is_clean());
}

#[test]
fn who_shows_itself_alive_keeps_the_turn() {
    let first = join(&init(&Weather::default()).weather.bucket, "https://first.example");
    assert_eq!(first.tend(0), Standing::Writer, "the one who made the log has ended its turn");
    let second = join(&first.weather.bucket, "https://second.example");
    for seconds in 1..20 {
        assert_eq!(first.tend(seconds), Standing::Writer);
        assert_eq!(second.tend(seconds), Standing::Reader("https://first.example".to_owned()), "{seconds} s");
    }
    drop(first);
    assert_eq!(second.tend(20), Standing::Writer, "whoever ends its turn keeps nobody waiting");
}

#[test]
fn a_segment_that_was_written_and_not_acknowledged_is_adopted() {
    let first = init(&Weather::default());
    let bucket = first.weather.bucket.clone();
    // The segment is there; the head was not moved.
    first.weather.brew(1, Storm::Crash);
    let node = first.source("orphan");
    assert!(first.commit(vec![node.clone()]).is_err());
    let second = join(&bucket, "");
    second.take_over(10);
    assert!(second.has(&node.id()) && second.is_clean());
    let third = second.commit(vec![second.source("next")]).unwrap();
    assert!(second.has(&third[0]) && second.is_clean());
}

#[test]
fn a_writer_that_wakes_up_late_takes_nothing_back() {
    let first = init(&Weather::default());
    let bucket = first.weather.bucket.clone();
    let before: Vec<Vec<NodeId>> =
        (0..100).map(|i| first.commit(vec![first.source(&format!("a{i}"))]).unwrap()).collect();
    let second = join(&bucket, "");
    second.take_over(10);
    let place = first.store.size();
    let after: Vec<Vec<NodeId>> =
        (0..200).map(|i| second.commit(vec![second.source(&format!("b{i}"))]).unwrap()).collect();
    assert!(second.store.merge_segments().unwrap() >= 2);
    assert!(!bucket.names().contains(&crate::segment::name(place)), "the place that the first would write to is free");
    second.store.0.publish();
    let published = bucket.get("checkpoint", None).unwrap().unwrap().bytes;
    assert!(first.commit(vec![first.source("late")]).is_err());
    first.store.0.publish();
    assert_eq!(bucket.get("checkpoint", None).unwrap().unwrap().bytes, published);
    second.store.0.publish();
    let reader = look(&bucket);
    assert!(before.iter().chain(&after).flatten().all(|id| reader.has(id)), "what it wrote stands nowhere");
    assert!(reader.is_clean() && second.is_clean());
    drop(second.commit(vec![second.source("goes on")]).unwrap());
}

/// Who had seen less than what was published put it back when it took the turn.
#[test]
fn who_takes_the_turn_does_not_put_back_what_was_published() {
    for at in 1..12 {
        let first = init(&Weather::default());
        let second = join(&first.weather.bucket, "");
        assert!(matches!(second.tend(10), Standing::Reader(_)));
        for name in ["one", "two", "three"] {
            first.commit(vec![first.source(name)]).unwrap();
        }
        let (bytes, store) = (first.store.checkpoint().into_bytes(), first.store.clone());
        second.weather.meanwhile("tile/", move || {
            store.0.publish();
        });
        second.weather.brew(at, Storm::Crash);
        drop((second.store.tend(Duration::from_secs(11)), second.store.tend(Duration::from_secs(20))));
        first.store.0.publish();
        assert_eq!(first.store.published_checkpoint().unwrap(), bytes, "ended at write {at}");
    }
}

/// Of a commit that was sent twice, in a batch that was not written, the second one was said to be in the log.
#[test]
fn what_was_not_written_is_not_said_to_be_recorded() {
    let first = init(&Weather::default());
    let nodes = vec![first.source("one")];
    let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
    let entry = signed_commit(first.store.home(), &nodes, &|_| None, &committer, "Maker", NOW).unwrap();
    let commit = SignedCommit::new(entry, nodes, committer.public_key());
    first.weather.brew(0, Storm::Crash);
    let told = first.store.commit_signed(vec![commit.clone(), commit], NOW);
    assert!(told.iter().all(|told| matches!(told, Err(CommitError::Storage(_)))), "{told:?}");
}

#[test]
fn small_segments_are_put_together_and_read_as_before() {
    let writer = init(&Weather::default());
    let bucket = writer.weather.bucket.clone();
    let ids: Vec<NodeId> =
        (0..300).flat_map(|i| writer.commit(vec![writer.source(&format!("s{i}"))]).unwrap()).collect();
    let open = look(&bucket);
    let count = |folder: &str| bucket.names().iter().filter(|name| name.starts_with(folder)).count();
    let before = count("segments/");
    let blocks = writer.store.size() / BLOCK_ENTRIES;
    assert_eq!(writer.store.merge_segments().unwrap(), blocks);
    let merged = usize::try_from(blocks * BLOCK_ENTRIES / 2).unwrap();
    assert_eq!(count("blocks/"), usize::try_from(blocks).unwrap());
    assert_eq!(count("segments/"), before - merged, "two entries a segment");
    assert_eq!(writer.store.merge_segments().unwrap(), 0);
    writer.store.0.publish();
    open.tend(0);
    let fresh = look(&bucket);
    for process in [&writer, &open, &fresh] {
        assert!(ids.iter().all(|id| process.has(id)) && process.is_clean());
    }
}

#[test]
fn a_snapshot_in_the_bucket_opens_a_log_on_an_empty_machine_and_a_broken_one_does_not_matter() {
    let writer = init(&Weather::default());
    let bucket = writer.weather.bucket.clone();
    let world = World::at(&writer.store);
    let many: Vec<NodeRecord> = (0..1100).map(|i| world.source(&format!("s{i}"), "CN")).collect();
    let mut ids = writer.commit(many).unwrap();
    writer.store.0.errands.wait();
    ids.extend(writer.commit(vec![world.source("behind it", "CN")]).unwrap());
    writer.store.0.publish();
    let copies = |process: &Process| std::fs::read_dir(process.local.path().join("copies")).map_or(0, Iterator::count);
    let whole = bucket.get("snapshots/catalogue", None).unwrap().unwrap().bytes;
    let reader = look(&bucket);
    assert!(reader.store.0.read().catalogue.has_snapshot() && copies(&reader) == 1 && copies(&writer) == 1);
    assert!(ids.iter().all(|id| reader.has(id)) && reader.is_clean());
    let mut broken = whole.clone();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        broken[at] ^= 4;
        bucket.put("snapshots/catalogue", &broken, &When::Always).unwrap();
        let reader = look(&bucket);
        assert!(ids.iter().all(|id| reader.has(id)), "broken at byte {at}");
        broken[at] ^= 4;
    }
}

/// Changes a byte of a block of a snapshot, and puts right every checksum.
fn forge(snapshot: &[u8], block: usize, at: usize) -> Vec<u8> {
    let mut bytes = snapshot.to_vec();
    let blocks = blocks_of(snapshot);
    let (place, begin) = (blocks[block].clone(), blocks[0].start);
    bytes[place.start + at % place.len()] ^= 1;
    let block_sum = blake3::hash(&bytes[place]);
    let sums = begin - blocks.len() * 16;
    bytes[sums + block * 16..][..16].copy_from_slice(&block_sum.as_bytes()[..16]);
    let head_sum = blake3::hash(&bytes[40..begin]);
    bytes[8..40].copy_from_slice(head_sum.as_bytes());
    bytes
}

#[test]
fn a_snapshot_that_somebody_forged_is_found_by_the_log() {
    let writer = init(&Weather::default());
    let bucket = writer.weather.bucket.clone();
    let world = World::at(&writer.store);
    let sources: Vec<NodeId> =
        (0..200).flat_map(|i| writer.commit(vec![world.source(&format!("s{i}"), "CN")]).unwrap()).collect();
    let steps: Vec<NodeRecord> =
        (0..500).flat_map(|i| world.derive(&format!("d{i}"), &sources[i % 100..][..2], "CN")).collect();
    writer.commit(vec![world.status(sources[0], Mark::Withdraw, None)]).unwrap();
    writer.commit(steps).unwrap();
    writer.store.0.errands.wait();
    writer.store.0.publish();
    let whole = bucket.get("snapshots/catalogue", None).unwrap().unwrap().bytes;
    let blocks = blocks_of(&whole).len();
    let fine = look(&bucket);
    assert!(fine.store.0.read().catalogue.has_snapshot() && fine.store.check_snapshot().unwrap());
    let ancestors = |process: &Process| -> Vec<_> {
        let all = process.store.of_kind(Kind::Dataset).unwrap();
        all.iter().map(|id| process.store.ancestors(id, None).unwrap().len()).collect()
    };
    let expected = ancestors(&fine);
    // What was held against the log once is known by the next process of this machine, and no other snapshot is taken for it.
    let again = |process: &Process| {
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        Store::join_in(Arc::new(bucket.clone()), process.local.path(), options).unwrap()
    };
    assert!(!look(&bucket).store.is_snapshot_checked() && fine.store.is_snapshot_checked());
    assert!(again(&fine).is_snapshot_checked());
    bucket.put("snapshots/catalogue", &forge(&whole, 0, 0), &When::Always).unwrap();
    drop((writer, world));
    let waits = again(&fine);
    waits.write_only_when_checked();
    assert!(!waits.is_snapshot_checked(), "it is another one");
    assert_eq!(waits.tend(Duration::ZERO).unwrap(), Standing::Reader(String::new()), "the turn is free");
    assert!(!waits.check_snapshot().unwrap() && waits.is_snapshot_checked(), "nothing rests on it any more");
    assert_eq!(waits.tend(Duration::ZERO).unwrap(), Standing::Writer);
    drop(waits);
    // The first byte of each block is one of a record, whatever the column.
    for block in 0..blocks {
        bucket.put("snapshots/catalogue", &forge(&whole, block, 0), &When::Always).unwrap();
        let fooled = look(&bucket);
        assert!(!fooled.store.check_snapshot().unwrap(), "block {block} of {blocks}");
        assert_eq!(ancestors(&fooled), expected, "block {block} of {blocks}");
    }
    // Who opens it to write at once signs nothing that rests on it: the status head would say another map than the log has, for ever.
    for (block, at) in (0..blocks).flat_map(|block| [(block, 0), (block, 20)]) {
        let (copy, there) = (copy_of(&bucket), tempfile::tempdir().unwrap());
        copy.put("snapshots/catalogue", &forge(&whole, block, at), &When::Always).unwrap();
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        let store = Store::open_in(Arc::new(copy.clone()), there.path(), options).unwrap();
        hooked::commit(&store, "on top").unwrap();
        drop(store);
        copy.remove("snapshots/catalogue").unwrap();
        assert!(look(&copy).is_clean(), "block {block} of {blocks}, byte {at}");
    }
}

#[test]
fn two_logs_are_not_begun_in_one_place() {
    let first = init(&Weather::default());
    let local = tempfile::tempdir().unwrap();
    let objects = Objects::in_bucket(Arc::new(first.weather.clone()), local.path());
    let again = init_on(objects, first.store.genesis(), signer(), NOW);
    assert!(matches!(again, Err(crate::OpenError::Exists { .. })));
    assert!(first.is_clean());
}

/// At every write of a commit, and of taking the turn, everything that can happen to a write happens.
#[test]
fn whatever_happens_to_a_write_nothing_acknowledged_is_lost_and_nothing_forks() {
    let writes = {
        let first = init(&Weather::default());
        let before = first.weather.writes();
        first.commit(vec![first.source("one")]).unwrap();
        first.weather.writes() - before
    };
    assert!(writes >= 2, "a segment and the head");
    for at in 0..writes + 4 {
        for storm in [
            Storm::Lost,
            Storm::Persisted,
            Storm::Late(1),
            Storm::Late(3),
            Storm::Late(30),
            Storm::Twice(2),
            Storm::Crash,
        ] {
            let what = format!("{storm:?} at write {at}");
            let first = init(&Weather::default());
            let bucket = first.weather.bucket.clone();
            let mut told = first.commit(vec![first.source("before")]).unwrap();
            first.weather.brew(at, storm);
            for i in 0..3 {
                told.extend(first.commit(vec![first.source(&format!("c{i}"))]).unwrap_or_default());
            }
            let second = join(&bucket, "");
            second.take_over(10);
            told.extend(second.commit(vec![second.source("after")]).unwrap());
            first.weather.settle();
            first.weather.cut_off(false);
            drop(first.commit(vec![first.source("too late")]).map(|ids| told.extend(ids)));
            first.tend(20);
            told.extend(second.commit(vec![second.source("last")]).unwrap());
            second.store.0.publish();
            first.tend(21);
            for process in [&first, &second, &look(&bucket)] {
                assert!(told.iter().all(|id| process.has(id)), "{what}: an acknowledged commit is lost");
                assert!(process.is_clean(), "{what}");
            }
            let roots = [&first, &second].map(|process| process.store.checkpoint());
            assert_eq!(roots[0], roots[1], "{what}");
        }
    }
}

#[test]
fn a_head_is_read_as_it_was_written_and_refused_when_it_was_not() {
    let writer = init(&Weather::default());
    let bytes = writer.weather.bucket.get("head", None).unwrap().unwrap().bytes;
    let head = SharedHead::parse(&bytes).unwrap();
    assert_eq!(head.to_bytes(), bytes);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(SharedHead::parse(&changed).is_err(), "byte {at}");
        let cut = &bytes[..at];
        assert!(SharedHead::parse(cut).is_err(), "cut at {at}");
    }
    writer.weather.bucket.put("head", b"nothing", &When::Always).unwrap();
    assert!(writer.commit(vec![writer.source("x")]).is_err());
}
