//! The log over HTTP.

use std::sync::Arc;

use griptrace_core::{
    checkpoint::Checkpoint,
    note::{Note, NoteSigner},
    tile::{TilePath, decode_entries, decode_hashes, entry_bundles, tiles},
    tree::{self, Rfc9162},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::world::{ORIGIN, World};

/// An answer, taken apart.
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find_map(|(found, value)| (found == name).then_some(value))
    }
}

async fn ask_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, method: &str, path: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A peer that closes without a word of TLS has said all that it had to say.
    stream.read_to_end(&mut bytes).await.ok();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}

pub(super) async fn ask(address: &str, method: &str, path: &str) -> Answer {
    ask_on(TcpStream::connect(address).await.unwrap(), method, path).await
}

async fn read(address: &str, path: &str) -> Vec<u8> {
    let answer = ask(address, "GET", path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.head);
    answer.body
}

fn checkpoint(note: &[u8]) -> Checkpoint {
    let note = Note::parse(note).unwrap();
    let verifier = NoteSigner::new(ORIGIN, &[1; 32]).unwrap().verifier().clone();
    assert_eq!(note.verify(&[verifier]).unwrap().len(), 1, "signed by the log");
    Checkpoint::parse(note.text()).unwrap()
}

#[tokio::test]
async fn what_is_served_is_the_tree_under_the_checkpoint() {
    let world = World::new();
    (0..140).for_each(|i| world.commit(&format!("camera {i}")));
    world.published().await;
    let running = world.serve("http = \"127.0.0.1:0\"\n").await;
    let http = running.http.clone().unwrap();
    let checkpoint = checkpoint(&read(&http, "/checkpoint").await);
    assert!(checkpoint.size > 256, "{}", checkpoint.size);

    let mut leaves = Vec::new();
    for bundle in entry_bundles(checkpoint.size) {
        let bytes = read(&http, &format!("/{}", bundle.path())).await;
        leaves.extend(decode_entries(&bytes, bundle.width()).unwrap().into_iter().map(Rfc9162::leaf_hash));
    }
    assert_eq!(tree::root(&Rfc9162, &leaves), Some(checkpoint.root));
    for tile in tiles(checkpoint.size) {
        let hashes = decode_hashes(&read(&http, &format!("/{}", tile.path())).await, tile.width()).unwrap();
        let span = 256_usize.pow(tile.level().into());
        let first = usize::try_from(tile.index()).unwrap() * 256 * span;
        let below = leaves[first..].chunks(span).take(tile.width().into());
        let expected: Vec<_> = below.filter_map(|leaves| tree::root(&Rfc9162, leaves)).collect();
        assert_eq!(hashes, expected, "{}", tile.path());
    }
    running.stop().await;
}

#[tokio::test]
async fn headers_are_those_of_the_specification_and_what_is_not_published_is_not_there() {
    let world = World::new();
    world.commit("camera");
    world.published().await;
    let running = world.serve("http = \"127.0.0.1:0\"\n").await;
    let http = running.http.clone().unwrap();
    let size = checkpoint(&read(&http, "/checkpoint").await).size;

    let found = ask(&http, "GET", "/checkpoint").await;
    assert_eq!(found.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(found.header("cache-control"), Some("no-cache"));
    for path in [format!("/tile/0/000.p/{size}"), format!("/tile/entries/000.p/{size}"), "/tile/0/000.p/1".to_owned()] {
        let found = ask(&http, "GET", &path).await;
        assert_eq!(found.status, 200, "{path}");
        assert_eq!(found.header("content-type"), Some("application/octet-stream"), "{path}");
        assert_eq!(found.header("cache-control"), Some("public, max-age=31536000, immutable"), "{path}");
        let head = ask(&http, "HEAD", &path).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), found.header("content-length"), "{path}");
    }
    let beyond = size + 1;
    for path in [
        format!("/tile/0/000.p/{beyond}"),
        format!("/tile/entries/000.p/{beyond}"),
        "/tile/0/000".to_owned(),
        "/tile/0/001.p/1".to_owned(),
        "/tile/63/x999/x999/999".to_owned(),
        // Not the one spelling of a tile.
        format!("/tile/0/000.p/0{size}"),
        "/tile/64/000".to_owned(),
        "/tile/0/../../head".to_owned(),
        "/tile/0/%2e%2e/000".to_owned(),
        "//tile/0/000.p/1".to_owned(),
        // What else lies in the store's folder.
        "/head".to_owned(),
        "/segments".to_owned(),
        "/".to_owned(),
    ] {
        let found = ask(&http, "GET", &path).await;
        assert_eq!(found.status, 404, "{path}");
        assert_eq!(found.header("cache-control"), Some("no-cache"), "it may come: {path}");
    }
    assert!(TilePath::parse("tile/63/x999/x999/999").is_ok(), "well formed, and beyond the log");
    assert_eq!(ask(&http, "POST", "/checkpoint").await.status, 405);
    running.stop().await;
}

#[tokio::test]
async fn it_says_that_it_lives_is_ready_and_how_much_there_was() {
    let world = World::new();
    let running = world.serve("http = \"127.0.0.1:0\"\n").await;
    let http = running.http.clone().unwrap();
    assert_eq!(read(&http, "/healthz").await, b"alive\n");
    assert_eq!(read(&http, "/readyz").await, b"ready\n");
    let figures = String::from_utf8(read(&http, "/metrics").await).unwrap();
    for line in ["griptrace_log_size 2", "griptrace_http_requests_total{resource=\"readyz\",status=\"200\"} 1"] {
        assert!(figures.lines().any(|found| found == line), "{line} is not in\n{figures}");
    }
    running.stop().await;
    assert!(TcpStream::connect(&http).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn with_tls_the_log_needs_no_certificate_of_the_reader() {
    let world = World::new();
    let settings = "http = \"127.0.0.1:0\"\n[tls]\ncert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n\
                    [[client]]\nname = \"robot\"\nroles = [\"read\"]\ncertificate = \"cn:robot\"\n";
    let running = world.serve(settings).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(running.http.as_ref().unwrap()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let answer = ask_on(stream, "GET", "/checkpoint").await;
    assert_eq!(answer.status, 200);
    assert_eq!(checkpoint(&answer.body).size, 2);
    running.stop().await;
}

/// Others keep a tile for ever: one that rots on disk was served with its damage, and is to be kept as long.
#[tokio::test]
async fn a_damaged_tile_is_never_served_and_one_that_cannot_be_made_again_is_no_answer() {
    let world = World::new();
    (0..140).for_each(|i| world.commit(&format!("camera {i}")));
    world.published().await;
    let whole = ["tile/0/000", "tile/entries/000"].map(|name| std::fs::read(world.path("store").join(name)).unwrap());
    let flip = |name: &str, at: usize| {
        let mut bytes = std::fs::read(world.path("store").join(name)).unwrap();
        bytes[at] ^= 1;
        std::fs::write(world.path("store").join(name), bytes).unwrap();
    };
    flip("tile/0/000", 40);
    flip("tile/entries/000", 40);
    let running = world.serve("http = \"127.0.0.1:0\"\n").await;
    let http = running.http.clone().unwrap();
    for (name, whole) in ["/tile/0/000", "/tile/entries/000"].into_iter().zip(&whole) {
        assert_eq!(&read(&http, name).await, whole, "{name}");
    }
    running.stop().await;
    flip("tile/0/000", 40);
    let segment = std::fs::read(world.path("store/segments/0000000000000000")).unwrap().len();
    flip("segments/0000000000000000", segment / 3);
    let running = world.serve("http = \"127.0.0.1:0\"\n").await;
    let answer = ask(running.http.as_ref().unwrap(), "GET", "/tile/0/000").await;
    assert_eq!((answer.status, answer.header("cache-control")), (500, Some("no-cache")));
    running.stop().await;
}
