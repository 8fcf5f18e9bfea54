//! Putting small segments together, while the bucket or somebody in it is wrong.

use std::sync::Arc;

use super::{
    bucket::init,
    hooked::{Asked, Hooked, bytes, commit, join, join_at, writer},
    weather::Weather,
};
use crate::{
    StorageError, Store,
    bucket::{Bucket, MemoryBucket, When, blocks::BLOCK_ENTRIES},
    objects::Objects,
    segment,
};

const BLOCK: &str = "blocks/0000000000000000";

pub(super) fn new_log() -> MemoryBucket {
    let made = init(&Weather::default());
    made.weather.bucket.clone()
}

/// Commits until there are two blocks.
fn fill(store: &Store) {
    while store.size() < 2 * BLOCK_ENTRIES {
        commit(store, &format!("s{}", store.size())).unwrap();
    }
    store.0.publish();
}

fn assert_reads(bucket: &MemoryBucket, size: u64) {
    let (again, _local) = join(&Hooked::over(bucket), false);
    assert_eq!(again.size(), size);
    let report = again.fsck(&|_, _, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
}

#[test]
fn a_bad_read_is_not_put_into_a_block_nor_its_original_removed() {
    let bucket = new_log();
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    fill(&store);
    let bad = segment::name(10);
    hooked.change_once(&bad, |bytes| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    });
    let error = store.merge_segments().unwrap_err();
    assert!(core::error::Error::source(&error).is_some_and(|why| why.to_string().contains(&bad)), "{error:?}");
    let names = bucket.names();
    assert!(names.contains(&bad) && !names.iter().any(|name| name == BLOCK), "{names:?}");
    assert!(names.contains(&"blocks/0000000000000001".to_owned()), "the one behind it has nothing to do with it");
    assert_eq!(store.merge_segments().unwrap(), 1, "read well, it is put together");
    assert_reads(&bucket, store.size());
}

#[test]
fn nothing_is_removed_before_the_whole_block_was_read_again() {
    let bucket = new_log();
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    fill(&store);
    let last = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    hooked.change_once(BLOCK, last);
    store.merge_segments().unwrap_err();
    assert!(bucket.names().contains(&segment::name(0)), "the first reading of the block was bad");

    // The block itself is damaged: another process finds it, and removes nothing either.
    let (mut damaged, good) = (bytes(&bucket, BLOCK), bytes(&bucket, BLOCK));
    last(&mut damaged);
    bucket.put(BLOCK, &damaged, &When::Always).unwrap();
    store.merge_segments().unwrap_err();
    assert!(bucket.names().contains(&segment::name(0)));
    bucket.put(BLOCK, &good, &When::Always).unwrap();
    for _ in 0..8 {
        store.merge_segments().unwrap();
    }
    assert!(!bucket.names().contains(&segment::name(0)), "it is tried again");
    assert_reads(&bucket, store.size());
}

#[test]
fn a_list_that_leaves_a_segment_out_makes_no_block_with_a_gap() {
    let bucket = new_log();
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    fill(&store);
    let left_out = segment::name(10);
    let kept = bytes(&bucket, &left_out);
    bucket.remove(&left_out).unwrap();
    store.merge_segments().unwrap_err();
    assert!(!bucket.names().iter().any(|name| name == BLOCK), "{:?}", bucket.names());
    bucket.put(&left_out, &kept, &When::Absent).unwrap();
    assert_eq!(store.merge_segments().unwrap(), 1);
    assert_reads(&bucket, store.size());
}

#[test]
fn names_that_are_no_segments_are_passed_over() {
    let bucket = new_log();
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    fill(&store);
    for stray in ["!first", "0000000000000003.old", "00000000000000033", "9", "last"] {
        bucket.put(&format!("segments/{stray}"), b"stray", &When::Always).unwrap();
    }
    let before = hooked.requests();
    assert_eq!(store.merge_segments().unwrap(), 2);
    assert!(hooked.requests() - before < 150, "{}", hooked.requests() - before);
    let before = hooked.requests();
    assert_eq!(store.merge_segments().unwrap(), 0);
    assert_eq!(hooked.requests() - before, 1, "one list");
    let (again, _local) = join(&Hooked::over(&bucket), false);
    assert_eq!(again.size(), store.size());
}

/// The same bytes for every segment would be as many copies of them in memory.
#[test]
fn a_block_whose_segments_do_not_lie_one_behind_the_other_is_damaged() {
    let place = |first: u64, offset: u64, length: u64| [first, offset, length].map(u64::to_le_bytes).concat();
    let begin = 19 + 32 + 8 + 2 * 24;
    let block = |places: [Vec<u8>; 2]| {
        let table = [2_u64.to_le_bytes().to_vec(), places.concat()].concat();
        [b"griptrace block v1\n", blake3::hash(&table).as_bytes().as_slice(), &table, &[7; 100]].concat()
    };
    let open = |bytes: &[u8]| {
        let bucket = MemoryBucket::default();
        bucket.put(BLOCK, bytes, &When::Always).unwrap();
        Objects::in_bucket(Arc::new(bucket), std::path::Path::new("nowhere")).segment(3).map(drop)
    };
    open(&block([place(0, begin, 60), place(3, begin + 60, 40)])).unwrap();
    for places in [
        [place(0, begin, 60), place(3, begin, 60)],
        [place(0, begin, 60), place(3, begin, 100)],
        [place(3, begin, 60), place(3, begin + 60, 40)],
        [place(5, begin, 60), place(3, begin + 60, 40)],
        [place(0, begin, 60), place(3, begin + 60, 39)],
        [place(0, begin, 60), place(3, begin + 60, 41)],
        [place(0, begin - 1, 61), place(3, begin + 60, 40)],
        [place(0, begin, u64::MAX), place(3, begin - 1, 101)],
    ] {
        let error = open(&block(places)).unwrap_err();
        assert!(error.to_string().contains(BLOCK), "{error}");
    }
}

#[test]
fn segments_that_are_too_long_for_a_block_are_not_read_again() {
    let bucket = new_log();
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    fill(&store);
    for first in [0, 2, 4, 6, 8] {
        let name = segment::name(first);
        let mut long = bytes(&bucket, &name);
        long.resize(15 << 20, 0);
        bucket.put(&name, &long, &When::Always).unwrap();
    }
    assert_eq!(store.merge_segments().unwrap(), 1, "the second");
    let (requests, read) = (hooked.requests(), hooked.bytes());
    for _ in 0..5 {
        assert_eq!(store.merge_segments().unwrap(), 0);
    }
    assert_eq!((hooked.requests() - requests, hooked.bytes() - read), (5, 0), "one list each");
}

#[test]
fn what_fails_again_and_again_is_tried_ever_more_seldom() {
    let bucket = new_log();
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    fill(&store);
    bucket.remove(&segment::name(10)).unwrap();
    let before = hooked.requests();
    let failed = (0..300).filter(|_| store.merge_segments().is_err()).count();
    assert!((5..12).contains(&failed), "{failed}");
    assert!(hooked.requests() - before < 1000, "{}", hooked.requests() - before);
}

/// The table of a block says how long its segments are, and is believed no further than the block goes.
#[test]
fn a_block_whose_table_claims_too_much_is_damaged_and_ends_nobody() {
    let bucket = new_log();
    let (store, _local) = writer(&Hooked::over(&bucket));
    fill(&store);
    store.merge_segments().unwrap();
    drop(store);
    let good = bytes(&bucket, BLOCK);
    let table = b"griptrace block v1\n".len() + 32;
    let count = u64::from_le_bytes(*good[table..].first_chunk().unwrap());
    let end = table + 8 + usize::try_from(count).unwrap() * 24;
    for (at, value) in
        [(24 + 16, u64::MAX), (24 + 16, 1 << 62), (24 + 8, u64::MAX), (24 + 16, u64::try_from(good.len()).unwrap())]
    {
        let mut bad = good.clone();
        bad[table + 8 + at..table + 16 + at].copy_from_slice(&value.to_le_bytes());
        let sum = *blake3::hash(&bad[table..end]).as_bytes();
        bad[table - 32..table].copy_from_slice(&sum);
        bucket.put(BLOCK, &bad, &When::Always).unwrap();
        let local = tempfile::tempdir().unwrap();
        let error = join_at(&Hooked::over(&bucket), local.path(), false).unwrap_err().to_string();
        assert!(error.contains(BLOCK), "{error}");
    }
}

/// A segment may be opened under its name, and then stand in a block while something else lies under the name.
#[test]
fn a_segment_that_is_forgotten_is_read_anew() {
    let bucket = new_log();
    let objects = Objects::in_bucket(Arc::new(bucket.clone()), std::path::Path::new("nowhere"));
    let name = segment::name(40);
    let read = || {
        let file = objects.segment(40).unwrap();
        objects.read_part(&name, &*file, 0, 10).unwrap()
    };
    bucket.put(&name, b"stale", &When::Always).unwrap();
    assert_eq!(read(), b"stale");
    bucket.put(&name, b"the log's", &When::Always).unwrap();
    assert_eq!(read(), b"stale", "it is kept open");
    objects.forget_segments(40);
    assert_eq!(read(), b"the log's");
}

/// Whoever changes an object that others change at the same time made it anew for ever, and without a pause.
#[test]
fn an_object_that_others_write_again_and_again_is_given_up() {
    let bucket = MemoryBucket::default();
    let hooked = Hooked::over(&bucket);
    let there = bucket.clone();
    hooked.before(move |asked| {
        if asked == Asked::Put("shared") {
            there.put("shared", b"theirs", &When::Always).unwrap();
        }
    });
    let objects = Objects::in_bucket(Arc::new(hooked.clone()), std::path::Path::new("nowhere"));
    let told = objects.change("shared", |_| Ok::<_, StorageError>(Some(b"ours".to_vec())));
    assert!(matches!(told, Err(StorageError::Io { .. })), "{told:?}");
    assert!(hooked.requests() < 100, "{}", hooked.requests());
}
