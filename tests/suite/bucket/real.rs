//! A real service: conditions in a race, long lists, large files, who may not.

use core::time::Duration;
use std::{fs, io, thread};

use griptrace_bucket::{BucketStore, probe};
use griptrace_store::bucket::{Bucket, Put, When};
use griptrace_tests::skipped;

use crate::{
    bucket::{open, options},
    holding::rounds,
    seaweed::{BUCKET, Part, Seaweed},
};

/// Writers at once.
const WRITERS: u8 = 8;

#[test]
fn the_probe_finds_it_fit_and_leaves_nothing() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let bucket = open(&seaweed, "probed");
    probe(&bucket).unwrap();
    assert_eq!(bucket.list("probe", None, 9).unwrap(), [""; 0]);
    assert_eq!(bucket.requests().unwrap().removes, 1, "{:?}", bucket.requests());
}

#[test]
fn of_writers_at_once_exactly_one_wins() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let buckets: Vec<BucketStore> = (0..WRITERS).map(|_| open(&seaweed, "raced")).collect();
    // SeaweedFS lets those who wait for the same object look again once a second: a round takes some 6 s.
    for round in 0..rounds(2) {
        let name = format!("round-{round}");
        assert_one_wins(&buckets, &name, &When::Absent);
        let version = buckets[0].get(&name, None).unwrap().unwrap().version;
        assert_one_wins(&buckets, &name, &When::Is(version));
    }
}

/// Lets all write at once, on one condition.
fn assert_one_wins(buckets: &[BucketStore], name: &str, when: &When) {
    let puts: Vec<Put> = thread::scope(|scope| {
        let writers: Vec<_> = (b'a'..)
            .zip(buckets)
            // Bytes that were there before would leave the version as it was.
            .map(|(letter, bucket)| scope.spawn(move || bucket.put(name, &bytes_of(letter, when), when).unwrap()))
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let winners: Vec<u8> =
        (b'a'..).zip(&puts).filter(|(_, put)| matches!(put, Put::Done(_))).map(|(letter, _)| letter).collect();
    let [winner] = winners.as_slice() else { panic!("{name}, {when:?}: {puts:?}") };
    let read = buckets[0].get(name, None).unwrap().unwrap();
    assert_eq!(read.bytes, bytes_of(*winner, when), "the winner's bytes are there");
}

fn bytes_of(letter: u8, when: &When) -> Vec<u8> {
    format!("{letter} {when:?}").into_bytes()
}

#[test]
fn a_list_of_more_names_than_a_page_is_whole() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let bucket = open(&seaweed, "long");
    let names: Vec<String> = (0..1234).map(|number| format!("{number:06}")).collect();
    thread::scope(|scope| {
        for part in names.chunks(names.len().div_ceil(8)) {
            let bucket = &bucket;
            scope.spawn(move || {
                for name in part {
                    bucket.put(&format!("l/{name}"), b"x", &When::Always).unwrap();
                }
            });
        }
    });
    assert_eq!(bucket.list("l", None, 5000).unwrap(), names);
    assert_eq!(bucket.list("l", None, 1000).unwrap(), names[..1000]);
    assert_eq!(bucket.list("l", Some("000100"), 1100).unwrap(), names[101..1201]);
    assert_eq!(bucket.list("l", Some("001200"), 1100).unwrap(), names[1201..]);
}

#[test]
fn a_large_file_is_written_in_parts_and_read_in_ranges() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let bucket = open(&seaweed, "large");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let mut bytes = vec![0; 40 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    fs::write(&file, &bytes).unwrap();
    bucket.put_file("file", &file).unwrap();
    let requests = bucket.requests().unwrap();
    assert_eq!(requests.puts, 5, "a begin, three parts, an end: {requests:?}");
    for range in [0..1000, (16 << 20) - 5..(16 << 20) + 5, (32 << 20) - 1..(40 << 20), 0..(40 << 20)] {
        let part = bucket.get("file", Some(range.clone())).unwrap().unwrap();
        let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        assert!(part.bytes == bytes[from..to], "{range:?}");
        assert_eq!(part.length, 40 << 20);
    }
    assert_eq!(bucket.list("", None, 9).unwrap(), ["file"], "the folder itself");
}

#[test]
fn who_may_not_is_told_why() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let refused = |name: &str, value: &str| {
        let bucket = BucketStore::open(&format!("s3://{BUCKET}/x"), options(&seaweed).with(name, value)).unwrap();
        bucket.put("object", b"x", &When::Absent).unwrap_err()
    };
    let error = refused("AWS_SECRET_ACCESS_KEY", "another one");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(
        error.to_string().contains("the secret is not that of the access key (403 SignatureDoesNotMatch"),
        "{error}"
    );
    let error = refused("AWS_ACCESS_KEY_ID", "somebody");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("does not know the access key \"somebody\""), "{error}");
    let bucket = BucketStore::open("s3://no-such-bucket", options(&seaweed)).unwrap();
    let error = bucket.get("object", None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("there is no bucket \"no-such-bucket\""), "{error}");
}

#[test]
fn a_gateway_that_is_away_for_a_moment_is_waited_for() {
    let Some(seaweed) = Seaweed::start() else { skipped!(not_installed "weed") };
    let bucket = open(&seaweed, "away");
    assert!(matches!(bucket.put("before", b"1", &When::Absent).unwrap(), Put::Done(_)));
    seaweed.kill(Part::Gateway);
    thread::scope(|scope| {
        let put = scope.spawn(|| bucket.put("meanwhile", b"2", &When::Absent).unwrap());
        thread::sleep(Duration::from_secs(1));
        seaweed.restart(Part::Gateway);
        assert!(matches!(put.join().unwrap(), Put::Done(_)));
    });
    assert_eq!(bucket.get("before", None).unwrap().unwrap().bytes, b"1");
    assert_eq!(bucket.get("meanwhile", None).unwrap().unwrap().bytes, b"2");
    assert!(bucket.requests().unwrap().puts > 2, "it was tried again: {:?}", bucket.requests());
}

#[test]
fn what_was_written_is_read_without_one_of_its_servers() {
    let Some(seaweed) = Seaweed::start() else { skipped!(not_installed "weed") };
    let bucket = open(&seaweed, "twice");
    let names: Vec<String> = (0..30).map(|number| format!("{number}")).collect();
    for name in &names {
        assert!(matches!(bucket.put(name, name.as_bytes(), &When::Absent).unwrap(), Put::Done(_)));
    }
    for volume in 0..3 {
        seaweed.kill(Part::Volume(volume));
        for name in &names {
            assert_eq!(bucket.get(name, None).unwrap().unwrap().bytes, name.as_bytes(), "without server {volume}");
        }
        let name = format!("without-{volume}");
        assert!(matches!(bucket.put(&name, b"x", &When::Absent).unwrap(), Put::Done(_)));
        seaweed.restart(Part::Volume(volume));
    }
}
