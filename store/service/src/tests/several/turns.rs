//! Who writes, and what becomes of commits meanwhile.

use core::time::Duration;
use std::time::Instant;

use tonic::Code;

use super::{
    fleet::{Fleet, PATIENCE, reason},
    tap::Way,
};

const FORWARD: &str = "[forward]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_to_any_server_gets_its_receipt_and_is_read_there_at_once() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", FORWARD).await;
    one.writes().await;
    let two = fleet.serve("two", FORWARD).await;
    let mut receipts = Vec::new();
    for (round, server) in [&one, &two, &two, &one, &two].into_iter().enumerate() {
        let (request, id) = fleet.commit(&format!("camera {round}"));
        let receipt = server.commit(&request).await.unwrap();
        for reader in [&one, &two] {
            let node = reader.node(&id, receipt.tree_size).await.unwrap();
            assert!(node.tree_size >= receipt.tree_size && node.node.is_some());
        }
        let again = two.commit(&request).await.unwrap();
        assert!(again.already_recorded && again.index == receipt.index, "sent again, it is the same commit");
        receipts.push((request, receipt));
    }
    assert!(one.is_writer().await && !two.is_writer().await);
    assert_eq!(two.figure("forwarded_commits_total{outcome=\"receipt\"}").await, 8);
    fleet.holds(&receipts);
    one.running.stop().await;
    two.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_hands_the_turn_on_and_a_commit_waits_for_the_next_writer() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", FORWARD).await;
    one.writes().await;
    let two = fleet.serve("two", FORWARD).await;
    let (request, _) = fleet.commit("before");
    let mut receipts = vec![(request.clone(), two.commit(&request).await.unwrap())];
    one.running.stop().await;
    let (request, _) = fleet.commit("after");
    let begun = Instant::now();
    receipts.push((request.clone(), two.commit(&request).await.unwrap()));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(two.is_writer().await);
    assert_eq!((two.figure("turns_taken_total").await, two.figure("turns_lost_total").await), (1, 0));
    fleet.holds(&receipts);
    two.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_was_stopped_finds_itself_fenced_and_its_commit_goes_to_the_next_one() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", FORWARD).await;
    one.writes().await;
    let two = fleet.serve("two", FORWARD).await;
    let mut receipts = Vec::new();
    one.tap.turn(Way::Stopped);
    let (held, _) = fleet.commit("held");
    let (later, _) = fleet.commit("later");
    let at_one = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        loop {
            // It says that its bucket is silent, and that the commit is to be sent again.
            match one.commit(&held).await {
                Ok(receipt) => return receipt,
                Err(status) => assert_eq!(reason(&status).0, "BUCKET_SILENT", "{status:?}"),
            }
            assert!(begun.elapsed() < PATIENCE, "no receipt comes");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let at_two = async {
        two.writes().await;
        let receipt = two.commit(&later).await.unwrap();
        one.tap.turn(Way::Open);
        receipt
    };
    let (first, second) = tokio::join!(at_one, at_two);
    receipts.extend([(held, first), (later, second)]);
    assert!(two.is_writer().await && !one.is_writer().await);
    assert_eq!(one.figure("turns_lost_total").await, 1);
    let (request, _) = fleet.commit("last");
    receipts.push((request.clone(), one.commit(&request).await.unwrap()));
    fleet.holds(&receipts);
    two.running.stop().await;
    // It heals: once fenced, it writes again when the turn is free.
    one.writes().await;
    let (request, _) = fleet.commit("again");
    receipts.push((request.clone(), one.commit(&request).await.unwrap()));
    fleet.holds(&receipts);
    one.running.stop().await;
}

/// Who had lost the turn and did not know it refused for good what stood on what the next writer had taken.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_writer_refuses_that_may_have_lost_its_turn_is_not_refused_for_good() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", FORWARD).await;
    one.writes().await;
    let two = fleet.serve("two", FORWARD).await;
    let (first, next) = fleet.commit_and_next();
    let refused = one.commit(&next).await.unwrap_err();
    assert_eq!(reason(&refused).0, "EDGE_MISSING", "nobody else writes");
    one.tap.turn(Way::Stopped);
    // Two seconds after the last answer of the bucket another one may soon write; that the bucket is silent is known later.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let refused = one.commit(&next).await.unwrap_err();
    assert_eq!(reason(&refused).0, "BUCKET_SILENT", "{refused:?}");
    two.writes().await;
    let mut receipts = vec![(first.clone(), two.commit(&first).await.unwrap())];
    one.tap.turn(Way::Open);
    let begun = Instant::now();
    let receipt = loop {
        match one.commit(&next).await {
            Ok(receipt) => break receipt,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
        assert!(begun.elapsed() < PATIENCE, "no receipt comes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    receipts.push((next, receipt));
    fleet.holds(&receipts);
    one.running.stop().await;
    two.running.stop().await;
}

/// The size that a client saw counted for its questions alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_taken_where_the_log_is_as_long_as_its_sender_saw_it() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", FORWARD).await;
    one.writes().await;
    let two = fleet.serve("two", FORWARD).await;
    let (request, _) = fleet.commit("before");
    let mut receipts = vec![(request.clone(), one.commit(&request).await.unwrap())];
    for (name, server) in [("to one", &one), ("to two", &two)] {
        let size = receipts.last().unwrap().1.tree_size;
        let (request, _) = fleet.commit(name);
        let refused = server.commit_at(&request, size + 1).await.unwrap_err();
        let (why, what) = reason(&refused);
        assert_eq!((refused.code(), why.as_str()), (Code::OutOfRange, "BEYOND_LOG"));
        assert_eq!((&what["size"], &what["min_size"]), (&size.to_string(), &(size + 1).to_string()));
        receipts.push((request.clone(), server.commit_at(&request, size).await.unwrap()));
    }
    fleet.holds(&receipts);
    one.running.stop().await;
    two.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_write_failed_heals_without_an_operator() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", "").await;
    one.writes().await;
    let (request, _) = fleet.commit("before");
    let mut receipts = vec![(request.clone(), one.commit(&request).await.unwrap())];
    one.tap.turn(Way::Failing);
    let (request, _) = fleet.commit("meanwhile");
    let mended = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        one.tap.turn(Way::Open);
    };
    let (receipt, ()) = tokio::join!(one.commit(&request), mended);
    receipts.push((request, receipt.unwrap()));
    assert!(one.figure("turns_lost_total").await >= 1, "its write failed");
    fleet.holds(&receipts);
    one.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_bucket_is_silent_is_not_ready_and_says_so() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", FORWARD).await;
    one.writes().await;
    let http = one.running.http.clone().unwrap();
    let ready = || super::super::site::ask(&http, "GET", "/readyz");
    assert_eq!(ready().await.status, 200);
    one.tap.turn(Way::Failing);
    let begun = Instant::now();
    while ready().await.status == 200 {
        assert!(begun.elapsed() < PATIENCE, "it is ready for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(3), "a short silence is none");
    let refused = one.commit(&fleet.commit("lost").0).await.unwrap_err();
    assert_eq!(reason(&refused).0, "BUCKET_SILENT");
    one.tap.turn(Way::Open);
    let begun = Instant::now();
    while ready().await.status != 200 {
        assert!(begun.elapsed() < PATIENCE, "it is never ready again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    one.running.stop().await;
}
