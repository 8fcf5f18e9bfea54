//! How the service ends.

use core::time::Duration;
use std::time::Instant;

use griptrace_proto::v1::{
    CommitRequest, CommitResponse, GetLogRequest, WatchRequest, proof_service_client::ProofServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response, health_client::HealthClient};
use tonic_prost::ProstCodec;

use super::{
    site::ask,
    world::{Running, World},
};

async fn connect(running: &Running) -> Channel {
    Channel::from_shared(format!("http://{}", running.grpc)).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_watcher_is_told_that_it_is_over() {
    let world = World::new();
    let running = world.serve("http = \"off\"\n").await;
    let mut client = ProofServiceClient::new(connect(&running).await);
    let mut told = client.watch(WatchRequest { after_size: 0 }).await.unwrap().into_inner();
    let begun = Instant::now();
    let watching = tokio::spawn(async move { while told.message().await.is_ok_and(|message| message.is_some()) {} });
    running.stop().await;
    watching.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for a stream that never ends");
}

/// The port was closed the moment that it was not ready any more, so that whoever balances calls sent some to where nobody was.
#[tokio::test]
async fn who_is_asked_to_end_says_so_before_it_takes_no_more_calls() {
    let world = World::new();
    let running = world.serve("http = \"127.0.0.1:0\"\n[connections]\nleave_seconds = 2\n").await;
    let (http, grpc) = (running.http.clone().unwrap(), running.grpc.clone());
    let begun = Instant::now();
    let ending = tokio::spawn(running.stop());
    let mut looks = 0;
    while begun.elapsed() < Duration::from_millis(1500) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(ask(&http, "GET", "/readyz").await.status, 503);
        // Each over a connection of its own.
        let channel = Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
        ProofServiceClient::new(channel.clone()).get_log(GetLogRequest {}).await.unwrap();
        let health = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await.unwrap();
        assert_eq!(health.into_inner().status(), health_check_response::ServingStatus::NotServing);
        looks += 1;
    }
    assert!(looks > 1);
    ending.await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.is_err());
}

#[tokio::test]
async fn a_running_call_holds_the_end_up_as_long_as_it_may_and_nobody_is_sent_here_meanwhile() {
    let world = World::new();
    let running = world.serve("http = \"127.0.0.1:0\"\n[connections]\ndrain_seconds = 3\n").await;
    let http = running.http.clone().unwrap();
    let channel = connect(&running).await;
    // A caller who began to send a commit, and does not go on.
    let (commits, stream) = mpsc::channel::<CommitRequest>(1);
    let mut caller = Grpc::new(channel.clone());
    caller.ready().await.unwrap();
    let path = PathAndQuery::from_static("/griptrace.v1.CommitService/Commit");
    let codec = ProstCodec::<CommitRequest, CommitResponse>::default();
    let request = Request::new(ReceiverStream::new(stream));
    let call = tokio::spawn(async move { caller.streaming(request, path, codec).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ask(&http, "GET", "/readyz").await.status, 200);

    let begun = Instant::now();
    let ending = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ready = ask(&http, "GET", "/readyz").await;
    assert_eq!((ready.status, ready.body.as_slice()), (503, b"the service is closing\n".as_slice()));
    assert_eq!(ask(&http, "GET", "/checkpoint").await.status, 200, "the world reads on");
    let health = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await;
    let is_away = |code| matches!(code, Code::Unavailable | Code::Unknown | Code::Cancelled);
    assert!(health.is_err_and(|status| is_away(status.code())), "no new call is taken");
    ending.await.unwrap();
    let took = begun.elapsed();
    assert!((3..15).contains(&took.as_secs()), "{took:?}");
    assert!(!call.is_finished(), "what was not finished ends with the runtime");
    drop(commits);
}
