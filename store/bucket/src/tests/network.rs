//! Silence, and on what threads it is waited for.

use std::{
    io::{ErrorKind, Read as _},
    net::TcpListener,
    sync::Arc,
    time::Instant,
};

use griptrace_store::bucket::{Bucket, When};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};
use rustls_pki_types::PrivateKeyDer;

use super::{
    fake::{Does, Fake, Stream, done},
    hasty, open, options,
};
use crate::{BucketStore, Options};

fn failed(options: Options) -> (ErrorKind, String) {
    let error = BucketStore::open("s3://logs/maker", options).unwrap().get("head", None).unwrap_err();
    (error.kind(), error.to_string())
}

/// Returns a port where nobody listens.
fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_service_that_is_down_is_told() {
    let port = closed();
    let (kind, said) = failed(options(&format!("http://127.0.0.1:{port}")));
    assert_eq!(kind, ErrorKind::ConnectionRefused);
    let expected = format!(
        "cannot read s3://logs/maker/head: nothing listens at 127.0.0.1:{port} (connection refused); start the service, or correct the endpoint (AWS_ENDPOINT_URL)"
    );
    assert_eq!(said, expected);
}

#[test]
fn a_name_that_is_not_known_is_told() {
    let (kind, said) = failed(options("http://bucket.invalid"));
    assert_eq!(kind, ErrorKind::AddrNotAvailable, "{said}");
    let expected = "cannot read s3://logs/maker/head: the name of bucket.invalid is not known (DNS); see to the network, or correct the endpoint (AWS_ENDPOINT_URL)";
    assert_eq!(said, expected);
}

#[test]
fn silence_is_waited_for_no_longer_than_was_said() {
    let fake = Fake::new(|_, _| Does::Waits);
    let begin = Instant::now();
    let (kind, said) = failed(options(&fake.endpoint()));
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    assert_eq!(kind, ErrorKind::TimedOut);
    assert!(said.contains("did not answer in time; see to the network and the service"), "{said}");
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let fake = Fake::new(|number, _| if number == 0 { Does::Breaks } else { done() });
    assert!(open(&fake).get("head", None).unwrap().is_some());
    let fake = Fake::new(|_, _| Does::Breaks);
    let (kind, said) = failed(options(&fake.endpoint()));
    assert_eq!(kind, ErrorKind::ConnectionAborted, "{said}");
    assert_eq!(fake.asked().len(), 3);
}

#[test]
fn half_of_an_answer_is_no_answer() {
    let half = Does::Says(200, "ETag: \"e\"\r\nContent-Length: 9\r\n", String::new());
    let fake = Fake::wrapped(Box::new(|stream| Some(Box::new(stream))), move |_, _| half.clone());
    assert!(open(&fake).get("head", None).is_err());
}

#[test]
fn without_tls_is_only_asked_who_was_allowed() {
    let fake = Fake::new(|_, _| done());
    let (kind, said) = failed(options(&fake.endpoint()).with("AWS_ALLOW_HTTP", "false"));
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(
        said.ends_with("is not reached over https; take an https:// endpoint, or set AWS_ALLOW_HTTP=true"),
        "{said}"
    );
    assert_eq!(fake.asked().len(), 0, "neither a key nor a byte was sent");
}

#[test]
fn what_panics_within_a_call_is_its_error() {
    let waiter = crate::calls::Waiter::new().unwrap();
    let is_within = Arc::new(core::sync::atomic::AtomicBool::new(false));
    let seen = Arc::clone(&is_within);
    let broken = waiter.wait::<()>(async move {
        seen.store(crate::is_within_a_call(), core::sync::atomic::Ordering::Relaxed);
        panic!("request {}", "invalid")
    });
    let said = broken.unwrap_err().to_string();
    assert!(said.contains("a fault of this program") && said.ends_with("request invalid"), "{said}");
    assert!(is_within.load(core::sync::atomic::Ordering::Relaxed) && !crate::is_within_a_call());
    assert!(waiter.wait(async { Ok(7) }).unwrap().is_ok_and(|found| found == 7), "the next one is answered");
}

#[test]
fn a_machine_without_a_key_is_told_so() {
    let port = closed();
    let none = hasty();
    let (kind, said) = failed(none.with("AWS_METADATA_ENDPOINT", &format!("http://127.0.0.1:{port}")));
    assert_eq!(kind, ErrorKind::PermissionDenied, "{said}");
    let expected = format!(
        "cannot read s3://logs/maker/head: no key is set, and this machine has no identity of its own (127.0.0.1:{port} does not answer); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    );
    assert_eq!(said, expected);
}

#[test]
fn a_certificate_is_believed_if_its_authority_is() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let wrap = move |stream| {
        let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        // Nothing is read, and what doesn't believe us leaves here.
        tls.read_exact(&mut []).ok()?;
        let stream: Box<dyn Stream> = Box::new(tls);
        Some(stream)
    };
    let fake = Fake::wrapped(Box::new(wrap), |_, _| done());
    let plain = options(&format!("https://localhost:{}", fake.port()));
    let (kind, said) = failed(plain.clone());
    assert_eq!(kind, ErrorKind::InvalidData, "{said}");
    assert!(said.contains("is not believed (") && said.ends_with("in AWS_CA_BUNDLE"), "{said}");
    assert_eq!(fake.asked().len(), 0);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, cert.pem()).unwrap();
    let believing = plain.with("AWS_CA_BUNDLE", file.to_str().unwrap());
    let bucket = BucketStore::open("s3://logs/maker", believing).unwrap();
    assert!(bucket.get("head", None).unwrap().is_some());
}

#[test]
fn a_bucket_is_asked_on_any_thread() {
    let fake = Fake::new(|_, _| done());
    let bucket = Arc::new(open(&fake));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let shared = Arc::clone(&bucket);
        let waited = tokio::task::spawn_blocking(move || shared.put("a", b"x", &When::Always).is_ok());
        assert!(waited.await.unwrap());
        // It holds up its worker, and that is all.
        assert!(bucket.put("b", b"x", &When::Always).is_ok());
        drop(bucket);
    });
    assert_eq!(fake.lines(), ["PUT /logs/maker/a", "PUT /logs/maker/b"]);
}
