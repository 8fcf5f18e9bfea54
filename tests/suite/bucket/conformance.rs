//! Every sentence of the trait, held against a bucket.

use std::fs;

use griptrace_store::bucket::{Bucket, MemoryBucket, Part, Put, Version, When};
use griptrace_tests::skipped;

use crate::{bucket::open, seaweed::Seaweed};

#[test]
fn a_bucket_in_memory_is_one() {
    conforms(&MemoryBucket::default());
}

#[test]
fn a_real_bucket_is_one() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    conforms(&open(&seaweed, "conformance"));
    conforms(&open(&seaweed, "")); // The whole bucket.
}

/// Fails unless a bucket, of which `t` is empty, does what the trait says.
fn conforms(bucket: &dyn Bucket) {
    reads(bucket);
    writes_on_conditions(bucket);
    writes_files(bucket);
    lists(bucket);
    removes(bucket);
    takes_all_letters(bucket);
}

fn done(put: Put) -> Version {
    match put {
        Put::Done(version) => version,
        Put::Refused => panic!("it was refused"),
    }
}

fn read(bucket: &dyn Bucket, name: &str) -> Option<Part> {
    bucket.get(name, None).unwrap()
}

fn reads(bucket: &dyn Bucket) {
    assert_eq!(read(bucket, "t/none"), None);
    assert_eq!(bucket.get("t/none", Some(2..4)).unwrap(), None);
    assert_eq!(bucket.get("t/none", Some(2..2)).unwrap(), None);
    let version = done(bucket.put("t/read", b"0123456789", &When::Absent).unwrap());
    for (range, bytes) in [
        (None, "0123456789"),
        (Some(0..10), "0123456789"),
        (Some(3..5), "34"),
        (Some(8..99), "89"),
        (Some(9..u64::MAX), "9"),
        (Some(10..20), ""),
        (Some(99..100), ""),
        (Some(4..4), ""),
    ] {
        let expected = Part { bytes: bytes.into(), length: 10, version: version.clone() };
        assert_eq!(bucket.get("t/read", range.clone()).unwrap(), Some(expected), "{range:?}");
    }
    let version = done(bucket.put("t/empty", b"", &When::Absent).unwrap());
    for range in [None, Some(0..1), Some(0..0), Some(5..9)] {
        let expected = Part { bytes: Vec::new(), length: 0, version: version.clone() };
        assert_eq!(bucket.get("t/empty", range.clone()).unwrap(), Some(expected), "{range:?}");
    }
}

fn writes_on_conditions(bucket: &dyn Bucket) {
    let name = "t/written";
    let first = done(bucket.put(name, b"first", &When::Absent).unwrap());
    assert_eq!(read(bucket, name).unwrap().version, first);
    assert_eq!(bucket.put(name, b"other", &When::Absent).unwrap(), Put::Refused);
    assert_eq!(read(bucket, name).unwrap().bytes, b"first");
    let second = done(bucket.put(name, b"second", &When::Is(first.clone())).unwrap());
    assert_ne!(first, second);
    assert_eq!(bucket.put(name, b"other", &When::Is(first.clone())).unwrap(), Put::Refused);
    assert_eq!(read(bucket, name).unwrap(), Part { bytes: b"second".into(), length: 6, version: second.clone() });
    let third = done(bucket.put(name, b"third", &When::Always).unwrap());
    assert_eq!(bucket.put(name, b"other", &When::Is(second)).unwrap(), Put::Refused);
    assert_eq!(read(bucket, name).unwrap().version, third);
    bucket.remove(name).unwrap();
    assert_eq!(bucket.put(name, b"other", &When::Is(third)).unwrap(), Put::Refused, "one that is gone is no version");
    assert_eq!(read(bucket, name), None);
    done(bucket.put(name, b"again", &When::Absent).unwrap());
}

fn writes_files(bucket: &dyn Bucket) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for bytes in [&b"some"[..], b"", b"more than before"] {
        fs::write(&file, bytes).unwrap();
        bucket.put_file("t/file", &file).unwrap();
        assert_eq!(read(bucket, "t/file").unwrap().bytes, bytes);
    }
    assert!(bucket.put_file("t/file", &folder.path().join("none")).is_err());
    assert_eq!(read(bucket, "t/file").unwrap().bytes, b"more than before");
}

fn lists(bucket: &dyn Bucket) {
    let put = |name: &str| done(bucket.put(name, b"x", &When::Always).unwrap());
    for name in ["b", "a", "d/1", "d/2", "d/deep/3", "c", "e/1", "f"] {
        put(&format!("t/list/{name}"));
    }
    put("t/list2/not-here");
    let list = |after: Option<&str>, limit| bucket.list("t/list", after, limit).unwrap();
    assert_eq!(list(None, 100), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(list(None, 2), ["a", "b"]);
    assert_eq!(list(Some("b"), 2), ["c", "d"]);
    assert_eq!(list(Some("d"), 2), ["e", "f"], "a folder comes once");
    assert_eq!(list(Some("bb"), 1), ["c"], "nothing has to be of the name after which it begins");
    assert_eq!(list(Some("f"), 5), [""; 0]);
    assert_eq!(list(None, 0), [""; 0]);
    assert_eq!(bucket.list("t/list/d", None, 9).unwrap(), ["1", "2", "deep"]);
    assert_eq!(bucket.list("t/none", None, 9).unwrap(), [""; 0]);
    // Page by page it is the same.
    let mut paged: Vec<String> = Vec::new();
    while let [name] = list(paged.last().map(String::as_str), 1).as_slice() {
        paged.push(name.clone());
    }
    assert_eq!(paged, list(None, 100));
}

fn removes(bucket: &dyn Bucket) {
    done(bucket.put("t/removed", b"x", &When::Absent).unwrap());
    bucket.remove("t/removed").unwrap();
    assert_eq!(read(bucket, "t/removed"), None);
    bucket.remove("t/removed").unwrap();
    bucket.remove("t/no/such/folder").unwrap();
    assert!(!bucket.list("t", None, 100).unwrap().contains(&"removed".to_owned()));
}

fn takes_all_letters(bucket: &dyn Bucket) {
    for name in ["x001.p", "a b", "1+1=2", "100%", "%2F", "ü", "中", "q?x#y&z", "(~!*'@:;,$)"] {
        let whole = format!("t/letters/{name}");
        done(bucket.put(&whole, name.as_bytes(), &When::Absent).unwrap());
        assert_eq!(read(bucket, &whole).unwrap().bytes, name.as_bytes(), "{name}");
        assert_eq!(bucket.list("t/letters", None, 9).unwrap(), [name]);
        bucket.remove(&whole).unwrap();
    }
}
