//! What a service says, as it is told to people.

use std::io::ErrorKind;

use griptrace_store::bucket::{Bucket, When};

use super::{
    fake::{Does, Fake, error},
    open,
};

/// What is done.
#[derive(Clone, Copy, Debug)]
enum Call {
    Get,
    Put,
    List,
    Remove,
}

/// Does it against a service that always says the same, and returns the error.
fn refused(call: Call, says: &Does) -> (ErrorKind, String) {
    let answer = says.clone();
    let fake = Fake::new(move |_, _| answer.clone());
    let bucket = open(&fake);
    let error = match call {
        Call::Get => bucket.get("head", None).unwrap_err(),
        Call::Put => bucket.put("head", b"x", &When::Always).unwrap_err(),
        Call::List => bucket.list("head", None, 5).unwrap_err(),
        Call::Remove => bucket.remove("head").unwrap_err(),
    };
    let port = fake.port().to_string();
    (error.kind(), error.to_string().replace(&port, "PORT"))
}

#[track_caller]
fn assert_said(call: Call, says: &Does, kind: ErrorKind, expected: &str) {
    let (found, said) = refused(call, says);
    assert_eq!(said, expected);
    assert_eq!(found, kind, "{said}");
}

#[test]
fn a_missing_right_is_named() {
    let says = error(403, "AccessDenied", "");
    for (call, verb, right) in [
        (Call::Put, "write", "s3:PutObject and s3:AbortMultipartUpload on it"),
        (Call::List, "list", "s3:ListBucket on the bucket"),
        (Call::Remove, "remove", "s3:DeleteObject on it"),
        (
            Call::Get,
            "read",
            "s3:GetObject on it, and s3:ListBucket on the bucket (without the latter, S3 says this of objects that don't exist)",
        ),
    ] {
        let expected = format!(
            "cannot {verb} s3://logs/maker/head: access is denied (403 AccessDenied: It is so.); grant the key {right}"
        );
        assert_said(call, &says, ErrorKind::PermissionDenied, &expected);
    }
}

#[test]
fn another_region_is_named() {
    let expected = "cannot write s3://logs/maker/head: the bucket is in the region eu-west-1, and was asked for in us-east-1 (400 AuthorizationHeaderMalformed: It is so.); set AWS_REGION=eu-west-1";
    let says = error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>");
    assert_said(Call::Put, &says, ErrorKind::InvalidInput, expected);
    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message></Error>";
    let (kind, said) = refused(Call::Get, &Does::Says(400, "", body.into()));
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(said.ends_with("set AWS_REGION=eu-west-1"), "{said}");
    let says = Does::Says(301, "x-amz-bucket-region: eu-west-1\r\n", String::new());
    let expected = "cannot read s3://logs/maker/head: the bucket is in the region eu-west-1, and was asked for in us-east-1 (301); set AWS_REGION=eu-west-1";
    assert_said(Call::Get, &says, ErrorKind::InvalidInput, expected);
    let expected = "cannot list s3://logs/maker/head: the bucket is not in the region us-east-1 (301 PermanentRedirect: It is so.); set AWS_REGION to where it is, and AWS_ENDPOINT_URL if it is not Amazon's";
    assert_said(Call::List, &error(301, "PermanentRedirect", ""), ErrorKind::InvalidInput, expected);
}

#[test]
fn a_wrong_clock_is_told() {
    let says = error(403, "RequestTimeTooSkewed", "<ServerTime>2026-11-28T12:00:00Z</ServerTime>");
    let expected = "cannot write s3://logs/maker/head: this machine's clock is too far from the bucket's, which is 2026-11-28T12:00:00Z (403 RequestTimeTooSkewed: It is so.); set this machine's clock";
    assert_said(Call::Put, &says, ErrorKind::PermissionDenied, expected);
}

#[test]
fn a_wrong_key_is_told() {
    let expected = "cannot list s3://logs/maker/head: 127.0.0.1:PORT does not know the access key \"id\" (403 InvalidAccessKeyId: It is so.); set AWS_ACCESS_KEY_ID to one that it knows";
    assert_said(Call::List, &error(403, "InvalidAccessKeyId", ""), ErrorKind::PermissionDenied, expected);
    let expected = "cannot read s3://logs/maker/head: the secret is not that of the access key (403 SignatureDoesNotMatch: It is so.); set the secret (AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_ACCOUNT_KEY) that belongs to it";
    assert_said(Call::Get, &error(403, "SignatureDoesNotMatch", ""), ErrorKind::PermissionDenied, expected);
    let expected = "cannot read s3://logs/maker/head: the session's token has expired or is not valid (400 ExpiredToken: It is so.); ask for a new one, and set AWS_SESSION_TOKEN and the key that came with it";
    assert_said(Call::Get, &error(400, "ExpiredToken", ""), ErrorKind::PermissionDenied, expected);
}

#[test]
fn a_bucket_that_is_not_there_is_no_missing_object() {
    let says = error(404, "NoSuchBucket", "");
    let told =
        "there is no bucket \"logs\" at 127.0.0.1:PORT (404 NoSuchBucket: It is so.); make it, or correct the address";
    for (call, verb) in [(Call::Get, "read"), (Call::Put, "write"), (Call::List, "list"), (Call::Remove, "remove")] {
        let expected = format!("cannot {verb} s3://logs/maker/head: {told}");
        assert_said(call, &says, ErrorKind::NotFound, &expected);
    }
}

#[test]
fn throttling_is_waited_out_and_told_if_it_stays() {
    let fake = Fake::new(|number, _| match number {
        0 => error(503, "SlowDown", ""),
        1 => Does::Says(429, "", String::new()),
        _ => Does::Says(200, "ETag: \"e\"\r\n", "bytes".into()),
    });
    let bucket = open(&fake);
    assert_eq!(bucket.get("head", None).unwrap().unwrap().bytes, b"bytes");
    assert_eq!(bucket.requests().unwrap().gets, 3, "each try is counted");
    let expected = "cannot write s3://logs/maker/head: the bucket asks for fewer requests, at every one of up to 3 tries (503 SlowDown: It is so.); wait, or let fewer machines use it";
    assert_said(Call::Put, &error(503, "SlowDown", ""), ErrorKind::ResourceBusy, expected);
}

#[test]
fn what_a_service_says_of_itself_is_told_on() {
    let expected = "cannot remove s3://logs/maker/head: the bucket failed at every one of up to 3 tries (500 InternalError: It is so.); see how the service is";
    assert_said(Call::Remove, &error(500, "InternalError", ""), ErrorKind::Other, expected);
    let expected = "cannot write s3://logs/maker/head: other bytes arrived than were sent (400 BadDigest: It is so.); see what stands between this machine and the bucket";
    assert_said(Call::Put, &error(400, "BadDigest", ""), ErrorKind::InvalidData, expected);
    let expected = "cannot write s3://logs/maker/head: the bucket answered 418 Teapot: It is so.";
    assert_said(Call::Put, &error(418, "Teapot", ""), ErrorKind::Other, expected);
}
