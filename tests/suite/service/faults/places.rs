//! Places are given back, whoever leaves how: a client that vanishes, one that reads nothing, one that is late.

use core::time::Duration;
use std::time::Instant;

use griptrace_proto::v1;
use griptrace_tests::seed::Seed;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::{
    served::{Client, Desk, Endpoints, Lineage, Maker, Server, all, block_on, reason},
    service::contract::id,
};

/// More clients vanish than there are places of any kind.
const VANISHING: usize = 300;
/// Few of everything, so that one that is lost is missed.
const FEW: &str = "[limits]\nquestions_at_once = 4\nquestions_per_client = 6\ncommits_at_once = 2\ncommits_waiting_max = 2\n\
                   proofs_at_once = 1\nproofs_waiting_max = 1\nwatchers_max = 2\nstalled_seconds_max = 1\n";

/// Waits until something is answered that is refused as long as there is no place.
async fn comes_through<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, tonic::Status>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{what}: {status:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: no place is given back");
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn places_of_clients_that_vanish_are_given_back() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve(FEW);
        let mut maker = Maker::new(&desk, Seed::for_test("that_vanish").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let bulk: Vec<_> = (0..3000).map(|number| maker.nodes.source(&format!("bulk/{number}"))).collect();
        maker.commit(&client, &bulk).await;
        for number in 0..VANISHING {
            let Client { mut commits, mut lineage, mut proofs, .. } =
                Endpoints::plain(server.grpc).connect().await.unwrap();
            // In the middle of a stream of commits, of an answer, of a watch; the connection goes with its last user.
            match number % 3 {
                0 => {
                    let nodes = [maker.nodes.source(&format!("vanishing/{number}"))];
                    let (sender, receiver) = tokio::sync::mpsc::channel(1);
                    sender.send(maker.sign(&nodes)).await.unwrap();
                    let stream = ReceiverStream::new(receiver);
                    drop(commits.commit_stream(stream).await);
                }
                1 => {
                    let asked = v1::SearchRequest { view: v1::NodeView::Full.into(), ..Default::default() };
                    if let Ok(answer) = lineage.search(asked).await {
                        drop(answer.into_inner().message().await);
                    }
                }
                _ => drop(proofs.watch(v1::WatchRequest { after_size: 1 }).await),
            }
        }
        everything_works(&server, &mut maker, &lineage).await;
    });
}

/// Takes every place that there is of each kind.
async fn everything_works(server: &Server, maker: &mut Maker, lineage: &Lineage) {
    let client = &server.client().await;
    let source = [maker.nodes.source("afterwards")];
    let request = maker.sign(&source);
    comes_through("a commit", async || client.clone().commits.commit(request.clone()).await).await;
    let watch = async || client.clone().proofs.watch(v1::WatchRequest { after_size: 0 }).await;
    let watchers = [comes_through("a watch", watch).await, comes_through("a watch", watch).await];
    let refused = watch().await.unwrap_err();
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "BUSY".to_owned()), "two may watch");
    let stream = async || {
        // Open as long as the sending end is there.
        let (sender, receiver) = tokio::sync::mpsc::channel::<v1::CommitRequest>(1);
        let receipts = client.clone().commits.commit_stream(ReceiverStream::new(receiver)).await?;
        Ok::<_, tonic::Status>((sender, receipts))
    };
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(comes_through("a stream", stream).await);
    }
    let refused = stream().await.unwrap_err();
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "BUSY".to_owned()), "four may ask");
    drop((watchers, streams));
    let proven = async || {
        let asked = v1::ProveRequest { id: id(&lineage.shipments[0]).into(), ..Default::default() };
        all(client.clone().proofs.prove(asked).await).await
    };
    comes_through("a bundle", proven).await;
    let found = async || all(client.clone().lineage.search(v1::SearchRequest::default()).await).await;
    assert!(comes_through("a search", found).await.iter().map(|part| part.nodes.len()).sum::<usize>() > 3000);
}

/// Where everything is taken, a caller is told to come back, and when.
#[test]
fn who_finds_the_room_full_is_told_when_to_come_back() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve(FEW);
        let client = server.client().await;
        let mut maker = Maker::new(&desk, Seed::for_test("the_room_full").rng());
        let large = |maker: &mut Maker, name: &str| {
            let nodes: Vec<_> = (0..400).map(|number| maker.nodes.source(&format!("{name}/{number}"))).collect();
            maker.sign(&nodes)
        };
        let requests: Vec<_> = (0..16).map(|number| large(&mut maker, &number.to_string())).collect();
        let sent: Vec<_> = requests
            .iter()
            .map(|request| {
                let (mut client, request) = (client.clone(), request.clone());
                tokio::spawn(async move { client.commits.commit(request).await })
            })
            .collect();
        let (mut taken, mut refused) = (0, 0);
        for sent in sent {
            match sent.await.unwrap() {
                Ok(_) => taken += 1,
                Err(status) => {
                    assert_eq!(reason(&status), (Code::ResourceExhausted, "BUSY".to_owned()));
                    let advice = status.get_details_retry_info().and_then(|info| info.retry_delay);
                    assert!(advice.is_some_and(|delay| delay > Duration::ZERO), "{status:?}");
                    refused += 1;
                }
            }
        }
        assert!(taken >= 2 && refused >= 1, "{taken} taken, {refused} refused");
        for request in requests {
            comes_through("sent again", async || client.clone().commits.commit(request.clone()).await).await;
        }
    });
}

#[test]
fn a_call_that_is_late_is_told_so_and_gives_its_place_back() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve(FEW);
        let client = server.client().await;
        let mut maker = Maker::new(&desk, Seed::for_test("a_call_that_is_late").rng());
        let lineage = Lineage::commit(&client, &mut maker).await;
        let bulk: Vec<_> = (0..4000).map(|number| maker.nodes.source(&format!("bulk/{number}"))).collect();
        maker.commit(&client, &bulk).await;
        let mut late = 0;
        for deadline in ["1m", "20m"].into_iter().cycle().take(40) {
            let mut asked = Request::new(v1::SearchRequest { view: v1::NodeView::Full.into(), ..Default::default() });
            asked.metadata_mut().insert("grpc-timeout", deadline.parse().unwrap());
            match all(client.clone().lineage.search(asked).await).await.unwrap_err() {
                status if status.code() == Code::DeadlineExceeded => {
                    assert_eq!(reason(&status).1, "DEADLINE");
                    late += 1;
                }
                // The client's own clock, or that there is no place yet.
                status => assert!(matches!(status.code(), Code::Cancelled | Code::ResourceExhausted), "{status:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
        assert!(late > 10, "{late} of 40 were told that they are late");
        everything_works(&server, &mut maker, &lineage).await;
    });
}

/// One that asks for a lot and reads nothing: it is dropped, and until then nobody else notices.
#[test]
fn who_reads_nothing_holds_nobody_up_and_is_dropped() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve(FEW);
        let client = server.client().await;
        let mut maker = Maker::new(&desk, Seed::for_test("who_reads_nothing").rng());
        let bulk: Vec<_> = (0..4000).map(|number| maker.nodes.source(&format!("bulk/{number}"))).collect();
        maker.commit(&client, &bulk).await;
        let alone = pace(&client, &mut maker).await;
        let mut idle = Vec::new();
        for _ in 0..4 {
            let Client { mut lineage, .. } = Endpoints::plain(server.grpc).connect().await.unwrap();
            let asked = v1::SearchRequest { view: v1::NodeView::Full.into(), ..Default::default() };
            idle.push(lineage.search(asked).await.unwrap().into_inner());
        }
        let refused = client.clone().lineage.search(v1::SearchRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "all four places are taken");
        let beside = pace(&client, &mut maker).await;
        assert!(
            beside < alone * 5 + Duration::from_millis(500),
            "{beside:?} beside who reads nothing, {alone:?} alone"
        );
        // The second that an answer may wait for its reader is over: the places are free again.
        let found = async || all(client.clone().lineage.search(v1::SearchRequest::default()).await).await;
        comes_through("a search", found).await;
        for mut stream in idle {
            let mut nodes = 0;
            let ended = loop {
                match timeout(Duration::from_secs(20), stream.message()).await.unwrap() {
                    Ok(Some(part)) => nodes += part.nodes.len(),
                    Ok(None) => break Ok(()),
                    Err(status) => break Err(status),
                }
            };
            assert!(nodes < 4000, "it read nothing for long, and was told all");
            // It was given up without a word, and looked whole.
            let given_up = ended.expect_err("an answer that was given up does not look whole");
            assert_eq!(reason(&given_up), (Code::Aborted, "STALLED".to_owned()));
        }
    });
}

/// Returns how long some commits take.
async fn pace(client: &Client, maker: &mut Maker) -> Duration {
    let begun = Instant::now();
    for number in 0..30 {
        let nodes = maker.nodes.batch(&format!("pace {number}"), 3, &[]);
        maker.commit(client, &nodes).await;
    }
    begun.elapsed()
}

/// Connections that say nothing, or half a greeting, are no calls: they hold nobody up.
#[test]
fn who_says_nothing_holds_nobody_up() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve(FEW);
        let mut silent = Vec::new();
        for number in 0..100 {
            let mut stream = TcpStream::connect(server.grpc).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
            }
            silent.push(stream);
        }
        let client = timeout(Duration::from_secs(10), server.client()).await.unwrap();
        let mut maker = Maker::new(&desk, Seed::for_test("who_says_nothing").rng());
        let nodes = [maker.nodes.source("source")];
        timeout(Duration::from_secs(10), maker.commit(&client, &nodes)).await.unwrap();
    });
}
