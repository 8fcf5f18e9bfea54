//! Erasures beside a process that lost its turn and does not know it yet, or whose request comes late: nothing comes back, or it is
//! told and removed.

use core::time::Duration;
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use tempfile::TempDir;

use super::{
    erasing::{
        Needles, Person, assert_clean, committer, erase, found, in_bucket_after, init, init_over, needles, objects,
        record, request,
    },
    hooked::{self, Asked, Hooked, bytes, commit, head, join, tend},
    world::{NOW, World},
};
use crate::{
    CommitError, EraseError, Standing, Store,
    bucket::{
        Bucket, MemoryBucket, Put, When,
        blocks::{BLOCK_ENTRIES, LOOK_AGAIN_AFTER},
    },
    segment,
};

const NOTHING: [&str; 0] = [];

/// Commits until so many blocks are full.
fn fill(store: &Store, blocks: u64) {
    while store.size() < blocks * BLOCK_ENTRIES {
        let name = format!("more-{}", store.size());
        World::at(store).add(World::at(store).source(&name, "DE"));
    }
    store.0.publish();
}

/// Joins, and takes the turn from a writer that is stopped.
fn take_over(hooked: &Hooked) -> (Store, TempDir) {
    let (store, local) = join(hooked, true);
    tend(&store, 0).unwrap();
    assert_eq!(tend(&store, 9).unwrap(), Standing::Writer);
    (store, local)
}

/// A log with a person in it, whose segments lie about: the writer, the person, and the first segment of it.
fn with_person(bucket: &Hooked, local: &TempDir, before: u64) -> (Store, Person, String) {
    let store = init_over(Arc::new(bucket.clone()), local);
    while store.size() < before {
        commit(&store, &format!("before-{}", store.size())).unwrap();
    }
    let first = segment::name(store.size());
    let person = record(&store);
    (store, person, first)
}

/// Holds who does this with a bucket, once: tells when it has come, and lets it go on.
fn hold(hooked: &Hooked, asked: impl Fn(Asked<'_>) -> bool + Send + 'static) -> (Receiver<()>, Sender<()>) {
    let ((come, has_come), (go, may_go)) = (channel(), channel());
    hooked.once(asked, move || {
        come.send(()).unwrap();
        may_go.recv().unwrap();
    });
    (has_come, go)
}

/// Who puts segments together and loses its turn has the value of one block in its hands, while another one erases it; and it takes
/// the segments of the block before away while the other one reads them.
#[test]
fn a_block_that_is_put_late_brings_nothing_back() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let (one, two) = (Hooked::over(&bucket), Hooked::over(&bucket));
    let (first, Person { set, .. }, _) = with_person(&one, &local, BLOCK_ENTRIES + 8);
    fill(&first, 3);
    let (second, _there) = take_over(&two);
    let (is_at_put, go_on) = hold(&one, |asked| asked == Asked::Put("blocks/0000000000000001"));
    let (tell, told) = channel();
    two.once(
        |asked| asked == Asked::Get("segments/0000000000000004"),
        move || {
            tell.send(thread::spawn(move || {
                let merged = first.merge_segments();
                core::mem::forget(first);
                merged
            }))
            .unwrap();
            is_at_put.recv().unwrap();
        },
    );
    let gone = needles(&set, &[0], &[]);
    erase(&second, set.id(), &[0], &[]).unwrap();
    assert_eq!(found(&objects(&bucket), &gone), NOTHING);
    go_on.send(()).unwrap();
    told.recv().unwrap().join().unwrap().unwrap();
    assert_eq!(found(&objects(&bucket), &gone), NOTHING);
    assert!(!second.is_erasing().unwrap());
    assert_clean(&second);
}

/// Something in the block of what is erased is damaged, so that the block can't be made: a process that read it before may still put it.
#[test]
fn an_erasure_from_a_block_that_cannot_be_made_is_not_said_to_be_done() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let (writer, Person { set, model, .. }, first) = with_person(&Hooked::over(&bucket), &local, 8);
    fill(&writer, 2);
    let (next, _there) = join(&Hooked::over(&bucket), true);
    tend(&next, 0).unwrap();
    let other = segment::name(20);
    let good = bytes(&bucket, &other);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    bucket.put(&other, &bad, &When::Always).unwrap();
    let gone = needles(&set, &[0], &[]);
    let error = erase(&writer, set.id(), &[0], &[]).unwrap_err();
    assert!(matches!(&error, EraseError::Storage(_)) && format!("{error:?}").contains(&other), "{error:?}");
    assert_eq!(found(&objects(&bucket), &gone), NOTHING, "it is taken from {first} all the same");
    assert!(writer.is_erasing().unwrap() && writer.is_writing());

    // The log goes on, here and elsewhere, and what is in other blocks is erased.
    commit(&writer, "afterwards").unwrap();
    writer.0.publish();
    core::mem::forget(writer);
    tend(&next, 10).unwrap();
    assert_eq!(tend(&next, 20).unwrap(), Standing::Writer);
    let writer = next;
    assert!(writer.is_erasing().unwrap(), "nobody is told that it is done");
    bucket.put(&other, &good, &When::Always).unwrap();
    erase(&writer, model.id(), &[0], &[]).unwrap();
    assert!(!writer.is_erasing().unwrap());
    assert_eq!(found(&objects(&bucket), &gone), NOTHING);
    assert_clean(&writer);
}

/// The segment of a writer that was stopped before it put it, where others committed the same, and erased it from a block.
fn put_late(bucket: &MemoryBucket, local: &TempDir) -> (Store, Needles, impl Fn()) {
    let (writer, Person { set, .. }, first) = with_person(&Hooked::over(bucket), local, 2);
    let late = bytes(bucket, &first);
    fill(&writer, 2);
    assert!(writer.merge_segments().unwrap() > 0);
    let gone = needles(&set, &[0], &[]);
    erase(&writer, set.id(), &[0], &[]).unwrap();
    let (there, needles) = (bucket.clone(), gone.clone());
    let put = move || {
        assert!(matches!(there.put(&first, &late, &When::Absent), Ok(Put::Done(_))));
        assert!(!found(&objects(&there), &needles).is_empty());
    };
    (writer, gone, put)
}

#[test]
fn a_segment_that_is_put_late_beside_its_block_is_told_and_removed() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let (writer, gone, put_late) = put_late(&bucket, &local);
    put_late();
    let report = writer.fsck(&|_, _, _| {}).unwrap();
    let faults: Vec<_> = report.faults.iter().map(|f| (&*f.object, f.heals, f.is_erased())).collect();
    assert_eq!(faults, [("segments/0000000000000002", true, true)]);
    assert_eq!(writer.mend(&report).unwrap(), report.faults);
    assert_eq!(found(&objects(&bucket), &gone), NOTHING);
    assert_clean(&writer);

    // By an erasure of whatever node, and by who puts segments together, sooner or later.
    put_late();
    let other = World::at(&writer).source("whatever", "DE");
    World::at(&writer).add(other.clone());
    erase(&writer, other.id(), &[0], &[]).unwrap();
    assert_eq!(found(&objects(&bucket), &gone), NOTHING);
    put_late();
    for _ in 0..LOOK_AGAIN_AFTER {
        writer.merge_segments().unwrap();
    }
    assert_eq!(found(&objects(&bucket), &gone), NOTHING);
}

/// What lies beside a block that was just made is what is in it, and no fault.
#[test]
fn a_segment_that_is_still_to_be_removed_is_no_fault() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let (writer, _, first) = with_person(&Hooked::over(&bucket), &local, 2);
    let same = bytes(&bucket, &first);
    fill(&writer, 2);
    assert!(writer.merge_segments().unwrap() > 0);
    bucket.put(&first, &same, &When::Absent).unwrap();
    assert_clean(&writer);
    // What is wrong with the block is told of the block.
    let name = "blocks/0000000000000000";
    let mut bad = bytes(&bucket, name);
    bad[30] ^= 1;
    bucket.put(name, &bad, &When::Always).unwrap();
    writer.0.objects.forget_segments(0);
    let report = writer.fsck(&|_, _, _| {}).unwrap();
    assert!(!report.is_clean() && report.faults.iter().all(|fault| !fault.is_erased()), "{:?}", report.faults);
}

#[test]
fn a_writer_that_finds_that_it_lost_its_turn_takes_its_segment_back() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let (one, two) = (Hooked::over(&bucket), Hooked::over(&bucket));
    let (first, _, _) = with_person(&one, &local, 2);
    first.0.publish();
    let size = first.size();
    let name = segment::name(size);
    let (at, there) = (name.clone(), bucket.clone());
    one.once(
        move |asked| asked == Asked::Put(&at),
        move || {
            let (second, _local) = take_over(&two);
            fill(&second, 2);
            assert!(second.merge_segments().unwrap() > 0);
            assert_eq!(there.get(&segment::name(size), None).unwrap(), None, "its place is free");
        },
    );
    let error = commit(&first, "late").unwrap_err();
    assert!(matches!(error, CommitError::Storage(_)), "{error:?}");
    assert_eq!(bucket.get(&name, None).unwrap(), None);
    core::mem::forget(first);
    let there = tempfile::tempdir().unwrap();
    assert_clean(&in_bucket_after(&bucket, &there));
}

/// Commits an Erasure, and is killed before it is carried out. `meanwhile` comes when it is marked, and before it is in the log.
fn commit_erasure(writer: &Store, bucket: &MemoryBucket, person: &Person, meanwhile: impl FnOnce()) -> Needles {
    let erasure = writer.erasure(request(person.set.id(), &[0], &[])).unwrap();
    bucket.put(&format!("erasing/{}", erasure.id()), b"", &When::Absent).unwrap();
    meanwhile();
    writer.commit(vec![erasure], &committer(), "Maker", NOW).unwrap();
    writer.0.publish();
    needles(&person.set, &[0], &[])
}

/// Somebody takes the turn: the mark is there, and the value goes.
fn assert_is_carried_out(bucket: &MemoryBucket, gone: &Needles) {
    assert!(!found(&objects(bucket), gone).is_empty());
    let local = tempfile::tempdir().unwrap();
    let store = in_bucket_after(bucket, &local);
    assert_eq!(found(&objects(bucket), gone), NOTHING);
    assert!(!store.is_erasing().unwrap());
    assert_clean(&store);
}

#[test]
fn who_lost_its_turn_leaves_the_marks_of_others() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let first = init(&bucket, &local);
    let person = record(&first);
    first.0.publish();
    let two = Hooked::over(&bucket);
    let (second, _there) = take_over(&two);
    let model = person.model.id();
    // When its group is there, and its place taken.
    let gone = commit_erasure(&second, &bucket, &person, || {
        let late = move || {
            let late = erase(&first, model, &[0], &[]);
            assert!(matches!(late, Err(EraseError::Commit(_))), "{late:?}");
            core::mem::forget(first);
        };
        two.once(|asked| asked == Asked::Put("head"), late);
    });
    core::mem::forget(second);
    assert_is_carried_out(&bucket, &gone);
}

/// The turn goes on to the next one while it is taken, before the marks are listed.
#[test]
fn who_loses_the_turn_while_it_takes_it_leaves_the_marks_of_others() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let first = init(&bucket, &local);
    let person = record(&first);
    first.0.publish();
    let size = first.size();
    core::mem::forget(first);
    let two = Hooked::over(&bucket);
    let (second, _there) = join(&two, true);
    tend(&second, 0).unwrap();
    let (is_there, go_on) = hold(&two, move |asked| asked == Asked::Get(&segment::name(size)));
    let taking = thread::spawn(move || {
        let taken = tend(&second, 9);
        core::mem::forget(second);
        taken
    });
    is_there.recv().unwrap();
    let (third, _elsewhere) = take_over(&Hooked::over(&bucket));
    let gone = commit_erasure(&third, &bucket, &person, || {
        go_on.send(()).unwrap();
        let taken = taking.join().unwrap();
        assert!(!matches!(taken, Ok(Standing::Writer)), "{taken:?}");
    });
    core::mem::forget(third);
    assert_is_carried_out(&bucket, &gone);
}

/// A process may lose the turn and take it again between the mark and the commit: the mark may be gone by then.
#[test]
fn an_erasure_is_committed_in_the_turn_in_which_it_was_marked() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let one = Hooked::over(&bucket);
    let (made, Person { set, .. }, _) = with_person(&one, &local, 2);
    drop(made);
    let (writer, _there) = hooked::writer(&one);
    let turn = head(&bucket).turn.number;
    let (again, there) = (writer.clone(), bucket.clone());
    one.once(
        |asked| matches!(asked, Asked::Put(name) if name.starts_with("erasing/")),
        move || {
            drop(take_over(&Hooked::over(&there)));
            // It finds out at its next beat.
            let stands = [10, 20].map(|at| tend(&again, at).unwrap());
            assert_eq!(stands[1], Standing::Writer);
        },
    );
    let late = erase(&writer, set.id(), &[0], &[]);
    assert!(matches!(late, Err(EraseError::Commit(CommitError::Stopped))), "{late:?}");
    assert!(writer.is_writing() && head(&bucket).turn.number > turn + 1, "it lost the turn and took it again");
    erase(&writer, set.id(), &[0], &[]).unwrap();
    assert_eq!(found(&objects(&bucket), &needles(&set, &[0], &[])), NOTHING);
    writer.tend(Duration::from_secs(60)).unwrap();
    assert_clean(&writer);
}
