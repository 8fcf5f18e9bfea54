//! Bytes that somebody changed: a commit that was not signed so is never taken, and nobody brings the service down.

use core::time::Duration;

use griptrace_proto::v1;
use griptrace_tests::seed::{Rng, Seed};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    holding::rounds,
    served::{Client, Desk, Maker, Server, block_on},
};

const COMMIT: &str = "/griptrace.v1.CommitService/Commit";
/// How much larger the service may be after everything, in KiB: what was read and not given back would be more.
const GROWN_KIB_MAX: u64 = 96 << 10;

/// Changes some bytes: flipped, cut, doubled, overwritten, moved.
fn mutate(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=rng.below(3) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = rng.index(bytes.len());
        match rng.below(7) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, rng.bytes(1)[0]),
            4 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.index(5)],
            5 => {
                let part = bytes[at..bytes.len().min(at + 40)].to_vec();
                let to = rng.index(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let end = bytes.len().min(at + 1 + rng.index(8));
                let drawn = rng.bytes(end - at);
                bytes[at..end].copy_from_slice(&drawn);
            }
        }
    }
    bytes
}

async fn size(client: &Client) -> u64 {
    let asked = v1::GetCheckpointRequest::default();
    client.clone().proofs.get_checkpoint(asked).await.unwrap().into_inner().tree_size
}

/// Tells whether two requests ask for the same: the order of the nodes says nothing, and protobuf has several ways
/// to write one message.
fn is_same(one: &v1::CommitRequest, bytes: &[u8]) -> bool {
    let Ok(other) = v1::CommitRequest::decode(bytes) else { return false };
    let sorted = |request: &v1::CommitRequest| {
        let mut nodes = request.nodes.clone();
        nodes.sort();
        nodes
    };
    one.entry == other.entry && sorted(one) == sorted(&other)
}

/// A commit that was in the log was acknowledged again whatever the details were of all its nodes but the first.
#[test]
fn a_changed_commit_is_never_taken() {
    let mut rng = Seed::for_test("a_changed_commit_is_never_taken").rng();
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let client = server.client().await;
        let mut maker = Maker::new(&desk, Seed::from_number(rng.next_u64()).rng());
        let (mut refused, mut taken) = (0_u64, 0_u64);
        for round in 0..rounds(12) {
            let nodes = maker.nodes.batch(&format!("round {round}"), 1 + rng.index(4), &[]);
            let request = maker.sign(&nodes);
            let bytes = request.encode_to_vec();
            let before = size(&client).await;
            // First while it is not in the log, then while it is.
            for is_there in [false, true] {
                if is_there {
                    client.raw(COMMIT, bytes.clone()).await.unwrap();
                }
                for _ in 0..60 {
                    let changed = mutate(&bytes, &mut rng);
                    if !is_there && is_same(&request, &changed) {
                        continue;
                    }
                    match client.raw(COMMIT, changed.clone()).await {
                        Err(_) => refused += 1,
                        Ok(_) if is_same(&request, &changed) => taken += 1,
                        Ok(_) => panic!("round {round}: taken, and another commit than was signed: {changed:02x?}"),
                    }
                }
                let grown = size(&client).await - before;
                assert_eq!(grown, if is_there { 2 } else { 0 }, "round {round}: the commit and its status head");
            }
        }
        println!("{refused} refused, {taken} the same");
        assert!(refused > 500, "{refused} refused only");
    });
}

/// Listens to a client that speaks to a service, and returns what it said.
async fn overheard(server: &Server, talk: impl AsyncFnOnce(Client)) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = crate::served::Endpoints::plain(listener.local_addr().unwrap());
    let address = server.grpc;
    let listening = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(address).await.unwrap();
        let (mut near, mut to_near) = near.split();
        let (mut from_far, mut far) = far.split();
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        let answers = tokio::io::copy(&mut from_far, &mut to_near);
        tokio::pin!(answers);
        loop {
            tokio::select! {
                _ = &mut answers => return heard,
                read = near.read(&mut buffer) => {
                    let count = read.unwrap_or(0);
                    if count == 0 {
                        return heard;
                    }
                    heard.extend_from_slice(&buffer[..count]);
                    far.write_all(&buffer[..count]).await.unwrap();
                }
            }
        }
    });
    talk(between.connect().await.unwrap()).await;
    listening.await.unwrap()
}

/// Sends bytes, and reads what comes until nothing does.
async fn say(server: &Server, bytes: &[u8]) -> usize {
    let mut stream = TcpStream::connect(server.grpc).await.unwrap();
    // Whoever is hung up on in the middle has said enough.
    drop(stream.write_all(bytes).await);
    let mut heard = 0;
    let mut buffer = [0; 4096];
    while let Ok(Ok(count @ 1..)) = timeout(Duration::from_millis(15), stream.read(&mut buffer)).await {
        heard += count;
    }
    heard
}

#[test]
fn no_bytes_on_the_wire_bring_the_service_down_or_write_anything() {
    let mut rng = Seed::for_test("no_bytes_on_the_wire").rng();
    block_on(async {
        let desk = Desk::new();
        let mut server = desk.serve("");
        let client = server.client().await;
        let mut maker = Maker::new(&desk, Seed::from_number(rng.next_u64()).rng());
        let nodes = maker.nodes.batch("overheard", 3, &[]);
        let request = maker.sign(&nodes);
        let talk = async |client: Client| {
            let Client { mut commits, mut lineage, .. } = client.clone();
            commits.commit(request.clone()).await.unwrap();
            crate::served::all(lineage.search(v1::SearchRequest::default()).await).await.unwrap();
        };
        // It is in the log once this was said, so that whatever says it again writes nothing.
        let heard = overheard(&server, talk).await;
        let (before, resident) = (size(&client).await, server.resident_kib());
        assert!(say(&server, &heard).await > 500, "what was heard is understood again");
        let mut answered = 0_u64;
        for _ in 0..rounds(10) * 40 {
            let bytes = if rng.one_in(10) { random(&mut rng) } else { mutate(&heard, &mut rng) };
            answered += u64::from(say(&server, &bytes).await > 0);
            assert!(server.is_alive(), "{}", server.log());
        }
        println!("{answered} were answered somehow");
        assert_eq!(size(&client).await, before, "nothing is written");
        let grown = server.resident_kib().saturating_sub(resident);
        assert!(grown < GROWN_KIB_MAX, "it holds {grown} KiB more than before");
        assert!(!server.log().contains("panicked"), "{}", server.log());
        let nodes = [maker.nodes.source("afterwards")];
        maker.commit(&client, &nodes).await;
    });
}

/// The beginning that HTTP/2 demands, or not, and then anything.
fn random(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = if rng.one_in(3) { Vec::new() } else { b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec() };
    let count = rng.index(2000);
    bytes.extend(rng.bytes(count));
    bytes
}
