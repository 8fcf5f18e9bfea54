//! Whose turn it is to write: given up in time, taken over by one of many, and what is signed in it.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    sync::{Arc, mpsc::channel},
    thread,
    time::Instant,
};

use griptrace_core::{
    checkpoint::Checkpoint,
    key_change::KeyUse,
    note::{Note, NoteSigner},
};

use super::{
    bucket::{Process, genesis, init, join, look},
    hooked::{self, Asked, Hooked},
    keys::{key, rotation},
    weather::{Storm, Weather},
    world::{NOW, ORIGIN, signer},
};
use crate::{
    CommitError, OpenError, OpenOptions, Standing, StorageError, Store,
    bucket::{Bucket as _, MemoryBucket, When},
    follow::SPREAD_MILLIS,
    head::{Head, SIGNED, sign},
    lease::{SharedHead, TAKE_OVER_AFTER, WriterId},
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

fn published(bucket: &MemoryBucket) -> Vec<u8> {
    bucket.get("checkpoint", None).unwrap().unwrap().bytes
}

fn size_of(note: &str) -> u64 {
    Checkpoint::parse(Note::parse(note.as_bytes()).unwrap().text()).unwrap().size
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
        hear.recv_timeout(Duration::from_secs(9)).unwrap();
        let (bucket, checkpoint) = (first.weather.bucket.clone(), first.store.checkpoint());
        drop(first.store);
        assert_eq!(head(&bucket).turn.writer, None, "a thread was about to write {object}");
        assert_eq!(published(&bucket), checkpoint.into_bytes());
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

/// Rule R11: the head first. A checkpoint of a group that is under no head may be of another history than the log's.
#[test]
fn nothing_is_signed_of_a_group_whose_head_was_not_moved() {
    for is_fenced in [true, false] {
        let first = init(&Weather::default());
        drop(first.commit(vec![first.source("before")]).unwrap());
        let (bucket, size, checkpoint) = (first.weather.bucket.clone(), first.store.size(), first.store.checkpoint());
        if is_fenced {
            join(&bucket, "").take_over(10);
        } else {
            // The segment is there, and the head is not.
            first.weather.brew(1, Storm::Crash);
        }
        SIGNED.with_borrow_mut(Vec::clear);
        let lost = first.commit(vec![first.source("lost")]);
        assert!(matches!(lost, Err(CommitError::Storage(_))), "{lost:?}");
        assert!(bucket.get(&crate::segment::name(size), None).unwrap().is_some(), "its place was taken");
        assert_eq!(SIGNED.take(), [], "fenced off: {is_fenced}");
        let head = head(&bucket);
        assert_eq!((head.head.size, size_of(&head.note) <= size), (size, true));
        assert_eq!((first.store.size(), first.store.checkpoint()), (size, checkpoint));
    }
}

/// It stood there until the log had passed it.
#[test]
fn a_published_checkpoint_that_only_claims_to_be_larger_is_replaced() {
    let first = init(&Weather::default());
    let bucket = first.weather.bucket.clone();
    drop(first.commit(vec![first.source("one")]).unwrap());
    let size = first.store.size();
    let forged = first.store.checkpoint().replace(&format!("\n{size}\n"), "\n4000\n");
    let same_size = first.store.checkpoint().replace("\u{2014}", "-");
    for damaged in [forged.as_str(), same_size.as_str(), "nothing"] {
        bucket.put("checkpoint", damaged.as_bytes(), &When::Always).unwrap();
        drop(first.commit(vec![first.source(damaged)]).unwrap());
        first.store.0.publish();
        assert_eq!(published(&bucket), first.store.checkpoint().into_bytes());
    }
    // Nor does it stand in the way of whoever takes the turn.
    bucket.put("checkpoint", forged.as_bytes(), &When::Always).unwrap();
    let second = join(&bucket, "");
    second.take_over(10);
    assert_eq!(published(&bucket), second.store.checkpoint().into_bytes());
    // Whoever has lost the turn can't tell damage from what was signed with a key that it doesn't know.
    drop(second.commit(vec![second.source("two")]).unwrap());
    bucket.put("checkpoint", forged.as_bytes(), &When::Always).unwrap();
    first.store.0.publish();
    assert_eq!(published(&bucket), forged.as_bytes());
    second.store.0.publish();
    assert_eq!(published(&bucket), second.store.checkpoint().into_bytes());
}

/// A log that signed more than its head tells has two histories, or is about to.
#[test]
fn a_published_checkpoint_that_the_log_signed_and_the_head_does_not_know_is_refused_loudly() {
    for larger in [0, 10] {
        let first = join(&init(&Weather::default()).weather.bucket, "");
        assert_eq!(first.tend(0), Standing::Writer);
        let bucket = first.weather.bucket.clone();
        drop(first.commit(vec![first.source("one")]).unwrap());
        let size = first.store.size() + 2 + larger;
        let other = sign(&signer(), ORIGIN, Head { size, root: WriterId::ZERO }).unwrap();
        bucket.put("checkpoint", other.as_bytes(), &When::Always).unwrap();
        drop(first.commit(vec![first.source("two")]).unwrap());
        assert_eq!(first.store.size(), size - larger);
        first.store.0.publish();
        assert_eq!(published(&bucket), other.as_bytes(), "it is evidence");
        let refused = first.commit(vec![first.source("three")]);
        assert!(matches!(refused, Err(CommitError::Stopped)), "{refused:?}");
        for seconds in [20, 30] {
            let told = first.store.tend(Duration::from_secs(seconds));
            let Err(OpenError::Storage(StorageError::Corrupt { object, why })) = told else { panic!("{told:?}") };
            assert!(object == "checkpoint" && why.contains(&format!("size {size}")), "{object}: {why}");
        }
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        let opened = Store::open_in(Arc::new(bucket), first.local.path(), options);
        assert!(matches!(opened, Err(OpenError::Storage(StorageError::Corrupt { .. }))), "{opened:?}");
    }
}

/// All of them swapped the head at once, and an object store that has them wait for one another answered late.
#[test]
fn candidates_who_see_a_silent_head_do_not_all_swap_it_at_once() {
    let first = init(&Weather::default());
    let bucket = first.weather.bucket.clone();
    let soonest = |chance: u16| {
        let local = tempfile::tempdir().unwrap();
        let mut id = [7; 32];
        id[..2].copy_from_slice(&chance.to_le_bytes());
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        let store = Store::join_as(WriterId::from_bytes(id), Arc::new(bucket.clone()), local.path(), options).unwrap();
        let is_taken = |millis| store.tend(Duration::from_millis(millis)).unwrap() == Standing::Writer;
        assert!(!is_taken(0));
        (1..200).map(|step| step * 50).find(|millis| is_taken(*millis)).unwrap()
    };
    // The one who makes the log falls silent.
    let least = u64::try_from(TAKE_OVER_AFTER.as_millis()).unwrap();
    assert_eq!(SPREAD_MILLIS, 300);
    for (chance, expected) in [(0, 0), (250, 250), (299, 300), (300, 0), (60_450, 150)] {
        assert_eq!(soonest(chance) - least, expected, "{chance}");
        // The store was dropped, and has ended its turn: somebody who falls silent has it again.
        assert_eq!(head(&bucket).turn.writer, None);
        let silent = join(&bucket, "");
        assert_eq!(silent.tend(0), Standing::Writer);
        silent.weather.cut_off(true);
    }
    drop(first);
}

/// The advice was to close the store and open it again, which is for a folder.
#[test]
fn after_a_write_that_failed_a_process_takes_part_again_by_itself_and_says_so() {
    let first = join(&init(&Weather::default()).weather.bucket, "");
    assert_eq!(first.tend(0), Standing::Writer);
    first.weather.brew(0, Storm::Crash);
    assert!(matches!(first.commit(vec![first.source("one")]), Err(CommitError::Storage(_))));
    let told = first.commit(vec![first.source("one")]).unwrap_err();
    assert!(matches!(told, CommitError::Stopped) && told.to_string().contains("takes part again by itself"), "{told}");
    first.weather.cut_off(false);
    // The turn in the head is its own: it need not wait for itself to fall silent.
    assert_eq!(first.tend(1), Standing::Writer);
    let ids = first.commit(vec![first.source("one")]).unwrap();
    assert!(first.has(&ids[0]) && first.is_clean());
}

/// What was under way was taken in a second time: once by who took the turn again, and once by who had begun it.
#[test]
fn a_process_that_lost_its_turn_ends_what_it_began_before_it_follows() {
    let first = join(&init(&Weather::default()).weather.bucket, "");
    assert_eq!(first.tend(0), Standing::Writer);
    let change = rotation(first.store.home(), KeyUse::Log, &key(1), &key(11));
    let (tell, hear) = channel();
    // The head was moved, and nothing signed yet.
    first.weather.meanwhile("keys", move || {
        tell.send(()).unwrap();
        thread::sleep(Duration::from_millis(300));
    });
    let store = first.store.clone();
    let successor = NoteSigner::new(ORIGIN, &[11; 32]).unwrap();
    let changing = thread::spawn(move || store.change_key(&change, Some(successor), NOW).unwrap());
    hear.recv_timeout(Duration::from_secs(9)).unwrap();
    first.store.0.writer().unwrap().poison();
    assert_eq!(first.tend(1), Standing::Writer);
    let receipt = changing.join().unwrap();
    assert_eq!((first.store.size(), size_of(&first.store.checkpoint())), (receipt.size, receipt.size));
    let ids = first.commit(vec![first.source("one")]).unwrap();
    assert!(first.has(&ids[0]) && first.is_clean());
}

/// A commit had moved the head before it was stopped, and counted as if it had done so now: for a second it said that it writes.
#[test]
fn who_was_stopped_after_a_commit_asks_the_bucket_before_it_says_that_it_writes() {
    let first = join(&init(&Weather::default()).weather.bucket, "");
    assert_eq!(first.tend(0), Standing::Writer);
    let second = join(&first.weather.bucket, "https://second.example");
    drop(first.commit(vec![first.source("before")]).unwrap());
    second.take_over(1);
    drop(second.commit(vec![second.source("meanwhile")]).unwrap());
    second.store.0.publish();
    assert_eq!(first.tend(60), Standing::Reader("https://second.example".to_owned()));
    assert_eq!(first.store.checkpoint(), second.store.checkpoint());
}

/// Whoever commits shows by that that it is alive.
#[test]
fn who_commits_again_and_again_moves_the_head_for_nothing_else() {
    let hooked = Hooked::over(&init(&Weather::default()).weather.bucket);
    let (store, _local) = hooked::writer(&hooked);
    let moves = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&moves);
    hooked.before(move |asked| {
        counter.fetch_add(u64::from(asked == Asked::Put("head")), Ordering::Relaxed);
    });
    let mut now = Duration::ZERO;
    let mut tend = || {
        now += Duration::from_millis(250);
        assert_eq!(store.tend(now).unwrap(), Standing::Writer);
    };
    for number in 0..8 {
        hooked::commit(&store, &number.to_string()).unwrap();
        tend();
    }
    assert_eq!(moves.load(Ordering::Relaxed), 8);
    // Once it stops, within a second after the last one.
    (0..4).for_each(|_| tend());
    assert_eq!(moves.load(Ordering::Relaxed), 9);
}
