//! A watcher who begins long ago.

use griptrace_core::{
    date::Date,
    details::Values,
    digest::Digest,
    key::{Algorithm, SecretKey, Signer as _},
    node::{Core, Edge, Kind, Mark, Role},
};
use griptrace_proto::v1::{WatchRequest, proof_service_client::ProofServiceClient};
use griptrace_store::{SignedCommit, record::NodeRecord, signed_commit};
use prost::Message as _;

use super::world::{World, now};

/// All statuses of the log came in one message, which no client takes when there are enough of them.
#[tokio::test]
async fn a_watcher_who_begins_long_ago_is_told_in_messages_of_a_bounded_size() {
    const MARKS: u64 = 6000;
    let world = World::new();
    ["one", "two"].iter().for_each(|name| world.commit(name));
    let marked = world.store.of_kind(Kind::Dataset).unwrap();
    let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
    let core = Core {
        mark: Some(Mark::Withdraw),
        date: Date::parse("2026-06-01"),
        edges: vec![Edge::local(Role::Marks, marked[0])],
        ..Core::new(Kind::Status, world.store.home(), [0; 16], Digest::ZERO)
    };
    let first = NodeRecord::build(core, Values::new(), None, None, |out| out.fill(0)).unwrap();
    let mut core = first.core().unwrap();
    let commits = (0..MARKS).map(|number| {
        core.nonce[..8].copy_from_slice(&number.to_le_bytes());
        core.edges = vec![Edge::local(Role::Marks, marked[usize::from(number % 2 == 1)])];
        let nodes = vec![NodeRecord { core: core.to_bytes().unwrap(), ..first.clone() }];
        let entry = signed_commit(world.store.home(), &nodes, &|_| None, &committer, "Maker", now()).unwrap();
        SignedCommit::new(entry, nodes, committer.public_key())
    });
    assert!(world.store.commit_signed(commits.collect(), now()).iter().all(Result::is_ok));

    let running = world.serve("http = \"off\"\n").await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", running.grpc)).unwrap();
    let mut client = ProofServiceClient::new(channel.connect().await.unwrap());
    let mut stream = client.watch(WatchRequest { after_size: 1 }).await.unwrap().into_inner();
    let (mut told, mut size) = (Vec::new(), 1);
    while size < world.store.size() {
        let news = stream.message().await.unwrap().unwrap();
        assert!(news.encoded_len() < 1 << 20, "{} bytes in one message", news.encoded_len());
        assert_eq!(world.store.checkpoint_at(news.tree_size).unwrap(), Some(news.checkpoint));
        assert!(news.statuses.iter().all(|status| (size..news.tree_size).contains(&status.index)));
        told.extend(news.statuses.into_iter().map(|status| status.status));
        size = news.tree_size;
    }
    let all = world.store.status_changes(0, size, usize::MAX).unwrap();
    assert!(all.iter().map(|change| change.status.as_bytes().as_slice()).eq(told.iter().map(AsRef::as_ref)));
    assert_eq!(u64::try_from(all.len()).unwrap(), MARKS);
    drop((stream, client));
    running.stop().await;
}
