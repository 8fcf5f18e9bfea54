//! The service is asked to end while it is busy.

use core::time::Duration;
use std::sync::Arc;

use griptrace_proto::v1;
use griptrace_tests::seed::Seed;
use tonic::Code;

use super::crowd::Crowd;
use crate::{
    holding::rounds,
    served::{Client, Desk, Maker, block_on, reason},
};

#[test]
fn who_is_asked_to_end_finishes_what_it_began_and_sends_the_rest_away() {
    let mut rng = Seed::for_test("who_is_asked_to_end").rng();
    block_on(async {
        let desk = Desk::new();
        for round in 0..rounds(5) {
            let crowd = Arc::<Crowd>::default();
            let mut server = desk.serve("");
            let clients: Vec<_> = (0..8).map(|_| crowd.join(&desk, server.grpc, rng.next_u64())).collect();
            tokio::time::sleep(Duration::from_millis(50 + rng.below(300))).await;
            server.ask_to_end();
            for client in clients {
                client.await.unwrap();
            }
            let status = server.wait();
            assert_eq!(status.code(), Some(0), "round {round}: {}", server.log());
            let told = crowd.told();
            assert!(!told.receipts.is_empty());
            // A call that crosses the goodbye never reached the service, which the client calls internal.
            let away = [Code::Unavailable, Code::Cancelled].map(i32::from);
            let is_sent_away =
                |(code, why): &(i32, String)| away.contains(code) || why.contains("GoAway(b\"\", NO_ERROR");
            let others: Vec<_> = told.refusals.keys().filter(|refusal| !is_sent_away(refusal)).collect();
            assert!(others.is_empty(), "round {round}: {:?}", told.refusals);
            drop(told);
            compare_receipts(&crowd, &desk);
        }
    });
}

/// The log holds what earlier rounds sent too, so that only receipts are looked for.
fn compare_receipts(crowd: &Crowd, desk: &Desk) {
    let store = desk.store();
    for receipt in &crowd.told().receipts {
        let entry = store.entries(receipt.index..receipt.index + 1).unwrap().pop().expect("it is in the log");
        let leaf = griptrace_core::tree::Rfc9162::leaf_hash(&entry.bytes);
        assert_eq!(crate::served::digest(&receipt.commit_digest), leaf);
    }
}

/// A stream and a watcher that are open are told that the service ends, and why.
#[test]
fn open_streams_are_told_that_the_service_ends() {
    block_on(async {
        let desk = Desk::new();
        let mut server = desk.serve("");
        let Client { mut commits, mut proofs, .. } = server.client().await;
        let mut maker = Maker::new(&desk, Seed::for_test("open_streams_are_told").rng());
        let source = maker.nodes.source("source");
        let first = maker.sign(&[source]);
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        sender.send(first).await.unwrap();
        let mut receipts = commits.commit_stream(stream).await.unwrap().into_inner();
        assert!(receipts.message().await.unwrap().is_some());
        let mut watcher = proofs.watch(v1::WatchRequest { after_size: 1 }).await.unwrap().into_inner();
        assert!(watcher.message().await.unwrap().is_some());
        server.ask_to_end();
        let closing = (Code::Unavailable, "CLOSING".to_owned());
        assert_eq!(reason(&receipts.message().await.unwrap_err()), closing);
        assert_eq!(reason(&watcher.message().await.unwrap_err()), closing);
        assert_eq!(server.wait().code(), Some(0));
        drop(sender);
    });
}
