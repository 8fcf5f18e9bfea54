//! Replicas, and questions that wait for a size.

use core::time::Duration;
use std::time::Instant;

use griptrace_core::{checkpoint::Checkpoint, note::Note};
use griptrace_proto::v1::{GetCheckpointRequest, GetConsistencyProofRequest};
use tonic::{Code, Request};

use super::{
    super::site::ask,
    fleet::{Fleet, PATIENCE, reason},
    tap::Way,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_answers_at_a_size_that_it_states_and_never_writes() {
    let fleet = Fleet::new();
    let writer = fleet.serve("writer", "").await;
    writer.writes().await;
    let replica = fleet.replica("replica", "").await;
    assert_eq!((writer.figure("may_write").await, replica.figure("may_write").await), (1, 0));
    let (request, id) = fleet.commit("camera");
    let receipt = writer.commit(&request).await.unwrap();
    let node = replica.node(&id, receipt.tree_size).await.unwrap();
    assert!(node.tree_size >= receipt.tree_size);
    let mut proofs = replica.proofs().await;
    let newest = proofs.get_checkpoint(GetCheckpointRequest::default()).await.unwrap().into_inner();
    let signed = Note::parse(newest.checkpoint.as_bytes()).unwrap();
    assert_eq!(Checkpoint::parse(signed.text()).unwrap().size, newest.tree_size);
    let sizes = GetConsistencyProofRequest { old_size: 1, new_size: receipt.tree_size };
    assert!(!proofs.get_consistency_proof(sizes).await.unwrap().into_inner().consistency.is_empty());
    // The log over HTTP: the very bytes that the writer serves.
    let begun = Instant::now();
    let (here, there) = (replica.running.http.clone().unwrap(), writer.running.http.clone().unwrap());
    loop {
        let published = ask(&here, "GET", "/checkpoint").await;
        assert_eq!(published.status, 200);
        let size = Checkpoint::parse(Note::parse(&published.body).unwrap().text()).unwrap().size;
        if size == receipt.tree_size {
            let tile = format!("/tile/entries/000.p/{size}");
            let (tile, other) = (ask(&here, "GET", &tile).await, ask(&there, "GET", &tile).await);
            assert_eq!((tile.status, tile.body), (200, other.body));
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it is not published: {size}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (request, _) = fleet.commit("refused");
    let refused = replica.commit(&request).await.unwrap_err();
    let (why, what) = reason(&refused);
    assert_eq!((refused.code(), why.as_str(), &what["writer"]), (Code::Unavailable, "NOT_WRITER", &writer.url));
    writer.running.stop().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!replica.is_writer().await, "the turn is free, and it does not take it");
    replica.node(&id, receipt.tree_size).await.unwrap();
    replica.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_hands_commits_in_where_it_is_told_to() {
    let fleet = Fleet::new();
    let writer = fleet.serve("writer", "").await;
    writer.writes().await;
    let replica = fleet.replica("replica", "[forward]\n").await;
    let (request, id) = fleet.commit("camera");
    let receipt = replica.commit(&request).await.unwrap();
    replica.node(&id, receipt.tree_size).await.unwrap();
    fleet.holds(&[(request, receipt)]);
    replica.running.stop().await;
    writer.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_size_waits_for_it_or_is_told_both() {
    let fleet = Fleet::new();
    let writer = fleet.serve("writer", "").await;
    writer.writes().await;
    let replica = fleet.replica("replica", "").await;
    let (request, id) = fleet.commit("first");
    let size = writer.commit(&request).await.unwrap().tree_size;
    replica.node(&id, size).await.unwrap();

    // The writer knows that there is no more.
    let begun = Instant::now();
    let refused = writer.node(&id, size + 7).await.unwrap_err();
    let (why, what) = reason(&refused);
    assert_eq!((refused.code(), why.as_str()), (Code::OutOfRange, "BEYOND_LOG"));
    assert_eq!((&what["size"], &what["min_size"]), (&size.to_string(), &(size + 7).to_string()));
    assert!(begun.elapsed() < Duration::from_secs(10), "it needs no waiting");

    // A replica that is cut off tells how far it is when the time is over.
    replica.tap.turn(Way::Stopped);
    let (request, next) = fleet.commit("second");
    let grown = writer.commit(&request).await.unwrap().tree_size;
    let mut question = Request::new(GetCheckpointRequest::default());
    question.metadata_mut().insert("griptrace-min-size", grown.to_string().parse().unwrap());
    question.set_timeout(Duration::from_millis(600));
    let refused = replica.proofs().await.get_checkpoint(question).await.unwrap_err();
    let (why, what) = reason(&refused);
    assert_eq!((refused.code(), why.as_str()), (Code::Unavailable, "BEHIND"));
    assert_eq!((&what["size"], &what["min_size"]), (&size.to_string(), &grown.to_string()));
    // Without a size it answers with what it has.
    let stale = replica.proofs().await.get_checkpoint(GetCheckpointRequest::default()).await.unwrap().into_inner();
    assert_eq!(stale.tree_size, size);

    // Who waits is answered as soon as it has come that far.
    let waits = replica.node(&next, grown);
    let opens = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        replica.tap.turn(Way::Open);
    };
    let (answer, ()) = tokio::join!(waits, opens);
    assert!(answer.unwrap().tree_size >= grown);

    let mut question = Request::new(GetCheckpointRequest::default());
    question.metadata_mut().insert("griptrace-min-size", "many".parse().unwrap());
    let refused = replica.proofs().await.get_checkpoint(question).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::InvalidArgument, "SIZE_MALFORMED"));
    replica.running.stop().await;
    writer.running.stop().await;
}

/// A snapshot in a bucket may be another one's work. Questions were answered from it while it was being held against the log.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_from_a_snapshot_before_it_was_held_against_the_log() {
    let fleet = Fleet::new();
    let id = fleet.fill();
    let replica = fleet.replica_cut_off("replica").await;
    let http = replica.running.http.clone().unwrap();
    let refused = replica.node(&id, 0).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "SNAPSHOT_UNCHECKED"));
    let commit = replica.commit(&fleet.commit("early").0).await.unwrap_err();
    assert_eq!(reason(&commit).0, "SNAPSHOT_UNCHECKED");
    let ready = ask(&http, "GET", "/readyz").await;
    let why = "the bucket's snapshot is being held against the log\n";
    assert_eq!((ready.status, String::from_utf8(ready.body).unwrap().as_str()), (503, why));
    assert_eq!(replica.figure("snapshot_is_unchecked").await, 1);
    replica.tap.turn(Way::Open);
    let begun = Instant::now();
    while ask(&http, "GET", "/readyz").await.status != 200 {
        assert!(begun.elapsed() < PATIENCE, "it is not held against the log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(replica.node(&id, 0).await.unwrap().node.is_some());
    assert_eq!(replica.figure("snapshot_is_unchecked").await, 0);
    replica.running.stop().await;
}

/// It went on answering with what was there before, was ready, and said nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_a_log_that_was_moved_away_is_not_ready() {
    let fleet = Fleet::new();
    let replica = fleet.replica("replica", "").await;
    let http = replica.running.http.clone().unwrap();
    let begun = Instant::now();
    while ask(&http, "GET", "/readyz").await.status != 200 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fleet.move_away();
    let begun = Instant::now();
    loop {
        let ready = ask(&http, "GET", "/readyz").await;
        if ready.status == 503 {
            assert_eq!(ready.body, b"the log was moved to another place\n");
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replica.running.stop().await;
}
