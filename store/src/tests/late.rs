//! A log in a bucket whose requests take longer than a turn, or whose objects are not what they should be.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    io,
    sync::{Arc, mpsc::channel},
    thread,
};

use griptrace_core::{id::NodeId, tree::Rfc9162};

use super::{
    bucket::{Process, init, join, look},
    hooked::copy_of,
    weather::{Storm, Weather},
};
use crate::{
    Closed, CommitError, OpenError, Standing, StorageError, Store,
    bucket::{Bucket as _, MemoryBucket, Put, When},
    lease::SharedHead,
    record::NodeRecord,
    segment::{self, GroupWriter, Groups},
};

fn head(bucket: &MemoryBucket) -> SharedHead {
    SharedHead::parse(&bucket.get("head", None).unwrap().unwrap().bytes).unwrap()
}

fn add(process: &Process, name: &str) -> Result<(), CommitError> {
    process.commit(vec![process.source(name)]).map(drop)
}

fn tend(store: &Store, seconds: u64) -> Result<Standing, OpenError> {
    store.tend(Duration::from_secs(seconds))
}

/// Entries of a full tile.
const TILE: u64 = 256;

/// The writer of a new log, who takes the turn again when it is free.
fn begun() -> Process {
    let bucket = init(&Weather::default()).weather.bucket;
    let writer = join(&bucket, "");
    assert_eq!(writer.tend(0), Standing::Writer);
    writer
}

/// A writer whose next commit fills a tile, which it writes after it moved the head.
fn before_a_tile() -> Process {
    let writer = begun();
    while writer.store.size() < TILE - 2 {
        add(&writer, &format!("n{}", writer.store.size())).unwrap();
    }
    assert_eq!(writer.tend(2), Standing::Writer);
    writer
}

fn holds_the_same(one: &Process, other: &Process) {
    let nodes = |process: &Process| process.store.0.read().catalogue.len();
    assert_eq!((one.store.size(), nodes(one)), (other.store.size(), nodes(other)));
    assert_eq!(one.store.checkpoint(), other.store.checkpoint());
    assert!(one.is_clean() && other.is_clean());
}

/// The commit came back to a catalogue that had taken it in, and put it there once more.
#[test]
fn a_commit_that_outlives_its_turn_is_taken_in_once() {
    let writer = before_a_tile();
    let other = join(&writer.weather.bucket, "");
    other.tend(0);
    let (store, (tell, told)) = (writer.store.clone(), channel());
    writer.weather.meanwhile("tile/entries/000", move || {
        other.take_over(1);
        (0..3).for_each(|i| add(&other, &format!("p{i}")).unwrap());
        other.store.0.publish();
        other.tend(7);
        // Its own thread, as every process in a bucket has.
        tell.send(thread::spawn(move || [10, 12].map(|at| drop(tend(&store, at))).len())).unwrap();
        thread::sleep(Duration::from_millis(200));
    });
    add(&writer, "slow").unwrap();
    told.recv().unwrap().join().unwrap();
    let reader = look(&writer.weather.bucket);
    assert_eq!(reader.store.size(), TILE + 6);
    writer.tend(13);
    holds_the_same(&writer, &reader);
}

/// One server and one beat without an answer were enough for a log that nobody could write to any more.
#[test]
fn a_process_that_takes_its_own_turn_again_during_a_commit_goes_on() {
    let writer = before_a_tile();
    let (store, weather, (tell, told)) = (writer.store.clone(), writer.weather.clone(), channel());
    writer.weather.meanwhile("tile/entries/000", move || {
        let beat = move || {
            drop(tend(&store, 10));
            weather.cut_off(true);
            drop(tend(&store, 12));
            weather.cut_off(false);
            for at in [13, 17, 21] {
                drop(tend(&store, at));
            }
            store.is_writing()
        };
        tell.send(thread::spawn(beat)).unwrap();
        thread::sleep(Duration::from_millis(200));
    });
    // Cut off or not, it is in the log or told to have failed.
    let slow = add(&writer, "slow").is_ok();
    assert!(told.recv().unwrap().join().unwrap(), "again");
    assert!(writer.store.size() >= TILE || !slow);
    for at in 22..25 {
        add(&writer, &format!("after {at}")).unwrap();
        assert_eq!(writer.tend(at), Standing::Writer);
    }
    writer.store.0.publish();
    holds_the_same(&writer, &look(&writer.weather.bucket));
}

/// Everybody took the turn, found its place taken, and gave it back, without an end and a word.
#[test]
fn what_is_no_group_at_the_end_of_the_log_is_named() {
    let writer = begun();
    add(&writer, "a").unwrap();
    let name = segment::name(writer.store.size());
    writer.weather.bucket.put(&name, b"nothing of ours", &When::Absent).unwrap();
    assert!(matches!(add(&writer, "b"), Err(CommitError::Storage(StorageError::Fenced { .. }))));
    let named = |error: &OpenError| matches!(error, OpenError::Storage(StorageError::Corrupt { object, .. }) if *object == name);
    let error = tend(&writer.store, 1).unwrap_err();
    assert!(named(&error), "{error}");
    // It rests before it tries again, and longer each time, since each try moves the head.
    let before = head(&writer.weather.bucket).turn.number;
    (2..100).for_each(|at| drop(tend(&writer.store, at)));
    let tries = head(&writer.weather.bucket).turn.number - before;
    assert!((3..9).contains(&tries), "{tries}");
    let faults = writer.store.fsck(&|_, _, _| {}).unwrap().faults;
    assert!(faults.iter().any(|fault| fault.object == name), "{faults:?}");
    writer.weather.bucket.remove(&name).unwrap();
    assert_eq!(tend(&writer.store, 200).unwrap(), Standing::Writer);
    add(&writer, "c").unwrap();
    assert!(writer.is_clean());
}

#[test]
fn a_log_that_is_closed_is_left_alone() {
    let writer = init(&Weather::default());
    let bucket = writer.weather.bucket.clone();
    crate::closed::write(&writer.store.0.objects, Some(&Closed::Moved("elsewhere".into()))).unwrap();
    drop(writer);
    let candidate = join(&bucket, "");
    let before = head(&bucket).turn;
    assert!(matches!(tend(&candidate.store, 0), Err(OpenError::Closed { .. })));
    for at in 1..50 {
        let told = tend(&candidate.store, at);
        assert!(matches!(&told, Ok(Standing::Reader(_)) | Err(OpenError::Closed { .. })), "{told:?}");
    }
    assert_eq!(head(&bucket).turn, before);
}

#[test]
fn one_answer_that_was_cut_short_ends_nobodys_turn() {
    let writer = init(&Weather::default());
    let other = join(&writer.weather.bucket, "");
    let before = head(&writer.weather.bucket);
    let mut is_first = true;
    other.weather.reading(move |name, found| {
        let is_cut = name == "head" && core::mem::take(&mut is_first);
        found.map(|part| {
            part.map(|mut part| {
                (
                    if is_cut {
                        part.bytes.truncate(30);
                    },
                    part,
                )
                    .1
            })
        })
    });
    other.tend(0);
    assert_eq!(head(&writer.weather.bucket), before);
    add(&writer, "a").unwrap();
}

#[test]
fn following_that_failed_is_tried_again_though_nothing_moves() {
    let writer = init(&Weather::default());
    let reader = look(&writer.weather.bucket);
    reader.tend(0);
    (0..3).for_each(|i| add(&writer, &format!("a{i}")).unwrap());
    let size = writer.store.size();
    drop(writer);
    let mut is_first = true;
    reader.weather.reading(move |name, found| {
        let is_late = name.starts_with("segments/") && core::mem::take(&mut is_first);
        if is_late { Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")) } else { found }
    });
    assert!(tend(&reader.store, 1).is_err());
    reader.tend(2);
    assert_eq!(reader.store.size(), size);
}

/// Whoever may write to the bucket put a group where the log goes on, and the log's key signed over what no commit may be.
#[test]
fn what_would_be_refused_as_a_commit_is_not_signed_because_it_lies_in_the_bucket() {
    let writer = begun();
    add(&writer, "a").unwrap();
    writer.store.0.publish();
    writer.tend(1);
    let (bucket, first, note) = (writer.weather.bucket.clone(), writer.store.size(), writer.store.checkpoint());
    let name = segment::name(first);
    let bytes_of = |at: u64, bucket: &MemoryBucket| bucket.get(&segment::name(at), None).unwrap().unwrap().bytes;
    let fork = copy_of(&bucket);
    {
        let forger = join(&fork, "");
        forger.take_over(0);
        add(&forger, "b").unwrap();
    }
    let frontier = writer.store.0.read().catalogue.frontier().clone();
    let group_of = |at: u64, bytes: &[u8]| -> (Vec<Vec<u8>>, Vec<(NodeId, NodeRecord)>) {
        let begin = segment::check_header(&writer.store.home(), at, bytes).unwrap();
        let name = segment::name(at);
        let mut groups = Groups::new(&name, at, &bytes[usize::try_from(begin).unwrap()..], begin, at);
        let group = groups.next().unwrap().unwrap();
        let nodes = group.entries.iter().flat_map(|entry| &entry.nodes);
        let nodes = nodes.map(|node| node.rest(&name).unwrap().record);
        let entries = group.entries.iter().map(|entry| entry.bytes.to_vec()).collect();
        (entries, nodes.map(|node| (node.id(), node)).collect())
    };
    let put = |entries: &[Vec<u8>], nodes: &[(NodeId, NodeRecord)]| {
        let mut frontier = frontier.clone();
        let mut group = GroupWriter::new(Some(&note));
        for (place, entry) in entries.iter().enumerate() {
            group.entry(entry);
            if place == 0 {
                group.nodes(nodes).unwrap();
            }
            frontier.push(Rfc9162::leaf_hash(entry)).unwrap();
        }
        let end = group.finish(frontier.size().get(), &frontier.root().unwrap());
        let bytes = [segment::header(&writer.store.home(), first), end].concat();
        bucket.put(&name, &bytes, &When::Always).unwrap();
    };
    let (fresh, nodes) = group_of(first, &bytes_of(first, &fork));
    let (old, old_nodes) = group_of(first - 2, &bytes_of(first - 2, &bucket));
    let mut changed = nodes.clone();
    changed[0].1.values.insert(31, b"\x61x".to_vec());
    let refuses = |at: u64, what: &str| {
        let told = tend(&writer.store, at);
        let is_named =
            matches!(&told, Err(OpenError::Storage(StorageError::Corrupt { object, .. })) if *object == name);
        assert!(is_named, "{what}: {told:?}");
        assert_eq!(writer.store.size(), first, "{what}");
    };
    put(&fresh, &changed);
    assert!(matches!(add(&writer, "c"), Err(CommitError::Storage(StorageError::Fenced { .. }))));
    refuses(2, "details that are not the node's");
    put(&[old[0].clone(), fresh[1].clone()], &old_nodes);
    refuses(100, "a node that is there already");
    put(&fresh, &nodes);
    assert_eq!(tend(&writer.store, 300).unwrap(), Standing::Writer, "what is right is adopted");
    assert_eq!(writer.store.size(), first + 2);
    assert!(writer.is_clean());
}

/// A place in which the log has put something together is free for a moment, and a writer of long ago may come to it.
#[test]
fn what_a_writer_of_long_ago_left_is_not_held_on_to() {
    let writer = init(&Weather::default());
    while writer.store.size() < 28 {
        add(&writer, &format!("a{}", writer.store.size())).unwrap();
    }
    writer.store.0.publish();
    writer.tend(2);
    let reader = look(&writer.weather.bucket);
    assert_eq!(reader.store.size(), 28);
    let name = segment::name(28);
    // Of another history: what was never in the log.
    let stale = {
        let copy = copy_of(&writer.weather.bucket);
        let forked = join(&copy, "");
        forked.take_over(0);
        add(&forked, "stale").unwrap();
        copy.get(&name, None).unwrap().unwrap().bytes
    };
    add(&writer, "b").unwrap();
    writer.tend(4);
    writer.store.0.publish();
    let (store, bucket) = (writer.store.clone(), writer.weather.bucket.clone());
    let other = Process { weather: writer.weather.clone(), local: tempfile::tempdir().unwrap(), store };
    let mut is_first = true;
    reader.weather.reading(move |asked, found| {
        if asked != name || !core::mem::take(&mut is_first) {
            return found;
        }
        (0..4).for_each(|i| add(&other, &format!("c{i}")).unwrap());
        other.store.merge_segments().unwrap();
        assert_ne!(bucket.put(asked, &stale, &When::Absent).unwrap(), Put::Refused);
        bucket.get(asked, None)
    });
    drop(tend(&reader.store, 1));
    writer.store.0.publish();
    writer.tend(6);
    reader.tend(3);
    reader.tend(5);
    assert_eq!(reader.store.size(), writer.store.size());
}

/// It waited for the next commit, which may be tomorrow's.
#[test]
fn what_could_not_be_published_is_tried_again() {
    let writer = init(&Weather::default());
    let published = || {
        let bytes = writer.weather.bucket.get("checkpoint", None).unwrap().unwrap().bytes;
        bytes == writer.store.checkpoint().into_bytes()
    };
    let weather = writer.weather.clone();
    writer.weather.meanwhile("tile/", move || weather.brew(0, Storm::Lost));
    add(&writer, "a").unwrap();
    assert!(!published());
    for _ in 0..100 {
        if published() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("it was never published");
}

/// Whoever takes the turn reads for seconds, where requests take long; another candidate, who saw nothing move, took it away.
#[test]
fn who_takes_the_turn_shows_that_it_goes_on() {
    let first = init(&Weather::default());
    (0..300).for_each(|i| add(&first, &format!("a{i}")).unwrap());
    first.store.0.publish();
    let bucket = first.weather.bucket.clone();
    core::mem::forget(first.store);
    let taker = join(&bucket, "");
    let most = Arc::new(AtomicU64::new(0));
    let (longest, seen) = (Arc::clone(&most), bucket.clone());
    let (mut reads, mut beat) = (0, 0);
    taker.weather.reading(move |_, found| {
        let now = head(&seen).turn.beat;
        reads = if now == beat { reads + 1 } else { 1 };
        beat = now;
        longest.fetch_max(reads, Ordering::Relaxed);
        found
    });
    taker.tend(0);
    most.store(0, Ordering::Relaxed);
    assert_eq!(taker.tend(4), Standing::Writer);
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 9, "{most} requests one after the other with no sign of life");
}
