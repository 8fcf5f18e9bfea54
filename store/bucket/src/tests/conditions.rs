//! Conditions: what is asked, and what each answer means.

use std::{fs, io::ErrorKind};

use griptrace_store::bucket::{Bucket, Put, Version, When};

use super::{
    fake::{Does, Fake, done, error},
    open,
};

fn is_e() -> When {
    When::Is(Version("\"e\"".into()))
}

/// Writes on a condition against a service that says this first, and then that it is done.
fn put(says: Does, when: &When) -> (Result<Put, ErrorKind>, usize) {
    let fake = Fake::new(move |number, _| if number == 0 { says.clone() } else { done() });
    let put = open(&fake).put("head", b"x", when).map_err(|error| error.kind());
    (put, fake.asked().len())
}

#[test]
fn conditions_and_checksums_are_sent() {
    let fake = Fake::new(|_, _| done());
    let bucket = open(&fake);
    for when in [When::Always, When::Absent, is_e()] {
        assert_eq!(bucket.put("a/head", b"abc", &when).unwrap(), Put::Done(Version("\"e\"".into())));
    }
    let asked = fake.asked();
    let conditions: Vec<_> =
        asked.iter().map(|asked| (asked.header("if-none-match"), asked.header("if-match"))).collect();
    assert_eq!(conditions, [(None, None), (Some("*"), None), (None, Some("\"e\""))]);
    for asked in asked {
        assert_eq!(asked.line, "PUT /logs/maker/a/head");
        assert_eq!(asked.body, b"abc");
        // SHA-256 of "abc" (FIPS 180-2, B.1).
        assert_eq!(asked.header("x-amz-checksum-sha256"), Some("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="));
        assert!(asked.header("authorization").unwrap().contains("x-amz-checksum-sha256"), "it is signed too");
    }
}

#[test]
fn each_no_is_told_from_the_others() {
    assert_eq!(put(error(412, "PreconditionFailed", ""), &When::Absent), (Ok(Put::Refused), 1));
    assert_eq!(put(error(412, "PreconditionFailed", ""), &is_e()), (Ok(Put::Refused), 1));
    assert_eq!(put(error(404, "NoSuchKey", ""), &is_e()), (Ok(Put::Refused), 1), "S3 says this of one that is gone");
    assert_eq!(put(error(404, "NoSuchBucket", ""), &is_e()), (Err(ErrorKind::NotFound), 1));
    assert_eq!(put(error(403, "AccessDenied", ""), &is_e()), (Err(ErrorKind::PermissionDenied), 1));
}

#[test]
fn another_write_under_way_is_neither_yes_nor_no() {
    let done = Ok(Put::Done(Version("\"e\"".into())));
    for when in [When::Absent, is_e()] {
        assert_eq!(put(error(409, "ConditionalRequestConflict", ""), &when), (done.clone(), 2), "{when:?}");
    }
    let fake = Fake::new(|_, _| error(409, "ConditionalRequestConflict", ""));
    let error = open(&fake).put("head", b"x", &When::Absent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    let expected = "cannot write s3://logs/maker/head: somebody else is writing the same object (409 ConditionalRequestConflict: It is so.); try again";
    assert_eq!(error.to_string(), expected);
}

/// The crate's head says so: the answer to the first try is lost, and the second is refused by the first one's
/// write.
#[test]
fn a_write_whose_answer_was_lost_is_refused() {
    for lost in [Does::Breaks, Does::Waits, error(500, "InternalError", "")] {
        for when in [When::Absent, is_e()] {
            let lost = lost.clone();
            let says =
                move |number, _: &_| if number == 0 { lost.clone() } else { error(412, "PreconditionFailed", "") };
            let fake = Fake::new(says);
            assert_eq!(open(&fake).put("head", b"x", &when).unwrap(), Put::Refused);
            assert_eq!(fake.lines(), ["PUT /logs/maker/head"; 2]);
        }
    }
}

#[test]
fn a_file_whose_part_is_refused_is_given_up() {
    let fake = Fake::new(|_, asked| match asked.line.as_str() {
        line if line.starts_with("POST") => Does::Says(
            200,
            "",
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".into(),
        ),
        line if line.contains("partNumber=2") => error(403, "AccessDenied", ""),
        _ => done(),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, [7; 2500]).unwrap();
    let error = open(&fake).put_file("head", &file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let lines = fake.lines();
    assert_eq!(lines.first().map(String::as_str), Some("POST /logs/maker/head?uploads="));
    assert_eq!(lines.last().map(String::as_str), Some("DELETE /logs/maker/head?uploadId=u"), "{lines:?}");
}

#[test]
fn a_file_is_sent_in_parts_of_its_bytes() {
    let fake = Fake::new(|_, asked| match asked.line.as_str() {
        line if line.ends_with("?uploads=") => Does::Says(
            200,
            "",
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".into(),
        ),
        line if line.starts_with("POST") => Does::Says(
            200,
            "",
            "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>".into(),
        ),
        _ => done(),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let bytes: Vec<u8> = (0..=250_u8).cycle().take(2500).collect();
    fs::write(&file, &bytes).unwrap();
    open(&fake).put_file("head", &file).unwrap();
    let mut parts: Vec<(String, Vec<u8>)> =
        fake.asked().into_iter().filter(|a| a.line.starts_with("PUT")).map(|a| (a.line, a.body)).collect();
    parts.sort();
    let lengths: Vec<usize> = parts.iter().map(|(_, body)| body.len()).collect();
    assert_eq!(lengths, [1000, 1000, 500]);
    assert_eq!(parts.into_iter().flat_map(|(_, body)| body).collect::<Vec<u8>>(), bytes);
}
