//! A bucket that does not answer holds up nothing that does not need it.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{fs, net::TcpListener, sync::Arc, thread, time::Instant};

use griptrace_proto::v1::{ListBundleRequestsRequest, ListEntriesRequest, commit_service_client::CommitServiceClient};
use tokio::{sync::oneshot, task::JoinSet, time::timeout};
use tonic::Code;

use super::{
    super::{site::ask, world::World},
    fleet::{Fleet, PATIENCE, reason},
    tap::Way,
};

/// More than the runtime has threads for what blocks.
const MANY: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn many_receipts_hold_nobody_up_while_the_bucket_does_not_answer() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", "").await;
    one.writes().await;
    let two = fleet.serve("two", "[forward]\n").await;
    two.follows(2).await;
    let stopped = two.tap.stop();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let channel = two.channel().await;
    let (mut commits, mut receipts) = (JoinSet::new(), Vec::new());
    for number in 0..MANY {
        let request = fleet.commit(&format!("camera {number}")).0;
        let mut client = CommitServiceClient::new(channel.clone());
        commits.spawn(
            async move { (client.commit(request.clone()).await.unwrap().into_inner().receipt.unwrap(), request) },
        );
        if number % 50 == 49 {
            while let Some(done) = commits.join_next().await {
                let (receipt, request) = done.unwrap();
                receipts.push((request, receipt));
            }
        }
    }
    // It reads a file of its own.
    let mut proofs = two.proofs().await;
    let asked =
        timeout(Duration::from_secs(5), proofs.list_bundle_requests(ListBundleRequestsRequest::default())).await;
    let mut told = asked.expect("it waits for a thread").unwrap().into_inner();
    let none = timeout(Duration::from_secs(5), told.message()).await.expect("it waits for a thread");
    assert_eq!(none.unwrap(), None);
    drop(stopped);
    // And what it heard of last is not forgotten.
    let newest = receipts.iter().map(|(_, receipt)| receipt.tree_size).max().unwrap();
    let begun = Instant::now();
    while two.figure("log_size").await < newest {
        assert!(begun.elapsed() < PATIENCE, "it does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fleet.holds(&receipts);
    one.running.stop().await;
    two.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_to_end_while_the_bucket_does_not_answer_ends_all_the_same() {
    let fleet = Fleet::new();
    let settings = "[connections]\ndrain_seconds = 2\n";
    let one = fleet.serve("one", settings).await;
    one.writes().await;
    one.commit(&fleet.commit("before").0).await.unwrap();
    let stopped = one.tap.stop();
    // A commit that is being written, one that waits, and a reader of the log.
    let mut waiting = JoinSet::new();
    for name in ["first", "second"] {
        let mut client = CommitServiceClient::new(one.channel().await);
        let request = fleet.commit(name).0;
        waiting.spawn(async move { client.commit(request).await.is_ok() });
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let http = one.running.http.clone().unwrap();
    waiting.spawn(async move { ask(&http, "GET", "/tile/0/000.p/1").await.status == 200 });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    // Not the runtime's clock, which may stand still where its threads wait.
    let opening = thread::spawn(move || {
        thread::sleep(Duration::from_secs(15));
        drop(stopped);
    });
    one.running.stop().await;
    let took = begun.elapsed();
    assert!((2..13).contains(&took.as_secs()), "{took:?}");
    opening.join().unwrap();
    waiting.abort_all();
}

/// The last writer stayed the writer for its figures, so that nobody was told that nobody could write; and who asked waited half a
/// minute to be told to ask the operator.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_bucket_is_away_nobody_is_the_writer_and_who_needs_it_is_told_at_once() {
    for way in [Way::Stopped, Way::Failing] {
        let fleet = Fleet::new();
        let one = fleet.serve("one", "").await;
        one.writes().await;
        let receipt = one.commit(&fleet.commit("before").0).await.unwrap();
        let two = fleet.replica("two", "").await;
        let begun = Instant::now();
        while two.figure("log_size").await < receipt.tree_size {
            assert!(begun.elapsed() < PATIENCE, "it does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stopped = [one.tap.stop(), two.tap.stop()];
        for tap in [&one.tap, &two.tap] {
            tap.turn(way);
        }
        let begun = Instant::now();
        while one.figure("bucket_is_silent").await + two.figure("bucket_is_silent").await < 2 {
            assert!(begun.elapsed() < PATIENCE, "they do not notice");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(one.figure("is_writer").await, 0, "{way:?}");

        let begun = Instant::now();
        let commit = one.commit(&fleet.commit("meanwhile").0).await.unwrap_err();
        assert_eq!((commit.code(), reason(&commit).0.as_str()), (Code::Unavailable, "BUCKET_SILENT"));
        let end = receipt.tree_size;
        let mut entries = two.proofs().await;
        let asked = entries.list_entries(ListEntriesRequest { begin: 0, end }).await;
        let said = match asked {
            Ok(told) => told.into_inner().message().await.unwrap_err(),
            Err(said) => said,
        };
        assert_eq!((said.code(), reason(&said).0.as_str()), (Code::Unavailable, "BUCKET_SILENT"), "{way:?}");
        let beyond = two.node(&fleet.commit("another").1, end + 1).await.unwrap_err();
        assert_eq!(reason(&beyond).0, "BUCKET_SILENT", "{way:?}");
        let http = two.running.http.clone().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(ask(&http, "GET", "/checkpoint").await.status, 503, "{way:?}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{way:?} {:?}", begun.elapsed());
        drop(stopped);
        one.writes().await;
        one.commit(&fleet.commit("after").0).await.unwrap();
        one.running.stop().await;
        two.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_in_good_order_hands_the_turn_on_at_once() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", "").await;
    one.writes().await;
    one.commit(&fleet.commit("before").0).await.unwrap();
    one.running.stop().await;
    let head = fleet.head();
    assert!(head.contains("\nwriter nobody\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_world_costs_the_bucket_one_checkpoint_a_second_and_misses_nothing() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", "").await;
    one.writes().await;
    let two = fleet.replica("replica", "").await;
    let receipt = one.commit(&fleet.commit("camera").0).await.unwrap();
    let (here, there) = (two.running.http.clone().unwrap(), one.running.http.clone().unwrap());
    let tile = |size: u64| format!("/tile/entries/000.p/{size}");
    let published = async |size| {
        let begun = Instant::now();
        // The checkpoint is published after the tiles.
        while !String::from_utf8(ask(&there, "GET", "/checkpoint").await.body).unwrap().contains(&format!("\n{size}\n"))
        {
            assert!(begun.elapsed() < PATIENCE, "it is not published");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    published(receipt.tree_size).await;
    // What another server tells of is there at once, whatever is kept here.
    let kept = ask(&here, "GET", &tile(receipt.tree_size)).await;
    assert_eq!(kept.status, 200);
    let later = one.commit(&fleet.commit("another").0).await.unwrap();
    published(later.tree_size).await;
    assert_eq!(ask(&here, "GET", &tile(later.tree_size)).await.status, 200);

    // Following costs some too: once for each time that the log grew.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begun, before) = (Instant::now(), two.tap.reads("checkpoint"));
    for number in 0..200 {
        let path = if number % 2 == 0 { "/checkpoint".to_owned() } else { tile(later.tree_size) };
        assert_eq!(ask(&here, "GET", &path).await.status, 200, "{path}");
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let reads = two.tap.reads("checkpoint") - before;
    assert!((1..=seconds + 2).contains(&reads), "{reads} in {:?}", begun.elapsed());
    // Nor does asking for what is not there cost more than ten a second.
    let (begun, before) = (Instant::now(), two.tap.reads("checkpoint"));
    let mut asking = JoinSet::new();
    for number in 0..40 {
        let (here, path) = (here.clone(), tile(later.tree_size + 1 + number));
        asking.spawn(async move { ask(&here, "GET", &path).await.status });
    }
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.unwrap(), 404);
    }
    let tenths = usize::try_from(begun.elapsed().as_millis() / 100).unwrap();
    let reads = two.tap.reads("checkpoint") - before;
    assert!((1..=tenths + 2).contains(&reads), "{reads} in {:?}", begun.elapsed());
    two.running.stop().await;
    one.running.stop().await;
}

/// What tells of a bucket that was set back was no longer written, and nobody was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_is_told() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", "").await;
    one.writes().await;
    let folder = fleet.path("one").join("store");
    let before = fs::read(folder.join("seen")).unwrap();
    // What can't be written over, as on a disk that is full.
    fs::remove_file(folder.join("seen.lock")).unwrap();
    fs::create_dir(folder.join("seen.lock")).unwrap();
    one.commit(&fleet.commit("camera").0).await.unwrap();
    let comes = async |wanted| {
        let begun = Instant::now();
        while one.figure("folder_is_unwritable").await != wanted {
            assert!(begun.elapsed() < PATIENCE, "it does not become {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    comes(1).await;
    assert_eq!(fs::read(folder.join("seen")).unwrap(), before, "the one before stays");
    fs::remove_dir(folder.join("seen.lock")).unwrap();
    comes(0).await;
    assert_ne!(fs::read(folder.join("seen")).unwrap(), before, "it is kept before the end");
    one.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_could_not_open_its_log_serves_it_as_soon_as_it_can() {
    let world = World::new();
    let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let is_there = Arc::new(AtomicBool::new(false));
    let (store, can) = (world.store.clone(), Arc::clone(&is_there));
    let opening =
        Box::new(
            move || {
                if can.load(Ordering::Relaxed) { Ok(store.clone()) } else { Err("the bucket is away".to_owned()) }
            },
        );
    let settings = world.settings(&format!("listen = \"127.0.0.1:0\"\nhttp = {http:?}\n"));
    let (stop, stopped) = oneshot::channel::<()>();
    let service = tokio::spawn(crate::run_when_open(opening, settings, async move {
        stopped.await.ok();
    }));
    let becomes = async |wanted| {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "it does not become {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Between both nobody listens for a moment.
            if tokio::net::TcpStream::connect(&http).await.is_ok()
                && ask(&http, "GET", "/readyz").await.status == wanted
            {
                break;
            }
        }
    };
    becomes(503).await;
    is_there.store(true, Ordering::Relaxed);
    becomes(200).await;
    stop.send(()).unwrap();
    service.await.unwrap().unwrap();
}
