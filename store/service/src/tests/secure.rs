//! Who is let in, and who is not.

use core::time::Duration;
use std::time::Instant;

use griptrace_core::{date::Date, digest::Digest};
use griptrace_proto::v1::{GetLogRequest, proof_service_client::ProofServiceClient};
use tonic::{
    Code, Request,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    site::ask,
    world::{Authority, Running, World, now},
};
use crate::access::token_digest;

/// A caller: what it shows.
#[derive(Clone, Default)]
struct Shows {
    certificate: Option<(String, String)>,
    token: Option<&'static str>,
}

fn token(token: &'static str) -> Shows {
    Shows { token: Some(token), ..Shows::default() }
}

fn certificate(certificate: (String, String)) -> Shows {
    Shows { certificate: Some(certificate), ..Shows::default() }
}

impl Shows {
    async fn connect(&self, world: &World, running: &Running) -> Result<Channel, tonic::transport::Error> {
        let ca = Certificate::from_pem(world.authority.pem());
        let mut tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
        if let Some((certificate, key)) = &self.certificate {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", running.grpc)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await
    }

    /// Makes a call that has to be let in, and returns its code; `Unavailable` without a connection.
    async fn call(&self, world: &World, running: &Running) -> Code {
        match self.connect(world, running).await {
            Ok(channel) => self.call_on(channel).await,
            Err(_) => Code::Unavailable,
        }
    }

    async fn call_on(&self, channel: Channel) -> Code {
        let mut request = Request::new(GetLogRequest {});
        if let Some(token) = self.token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let answer = ProofServiceClient::new(channel).get_log(request).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    }
}

const TLS: &str = "http = \"off\"\n[tls]\ncert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n";

fn client(name: &str, by: &str) -> String {
    format!("[[client]]\nname = \"{name}\"\nroles = [\"read\"]\n{by}\n")
}

fn by_token(token: &str) -> String {
    format!("token = \"sha256:{}\"", Digest::from_bytes(token_digest(token)))
}

#[tokio::test]
async fn certificates_and_tokens_let_in_those_that_they_name() {
    let world = World::new();
    let today = Date::from_unix(now());
    let yesterday = Date::from_unix(now() - 86_400);
    let clients = [
        client("robot", "certificate = \"cn:robot\""),
        client("trainer", &format!("certificate = \"san:trainer.example\"\n{}", by_token("trainers"))),
        client("past", &format!("{}\ntoken_to = {yesterday}", by_token("past"))),
        client("today", &format!("{}\ntoken_to = {today}", by_token("today"))),
    ];
    let running = world.serve(&(TLS.to_owned() + &clients.concat())).await;
    let signed = |name: &str| world.authority.sign(name, &[&format!("{name}.example")]);
    let both = |name: &str, token: &'static str| Shows { certificate: Some(signed(name)), token: Some(token) };
    for (what, shows, expected) in [
        ("a certificate by its common name", certificate(signed("robot")), Code::Ok),
        ("a certificate by its alternative name", certificate(signed("trainer")), Code::Ok),
        ("a token", token("trainers"), Code::Ok),
        ("a token on its last day", token("today"), Code::Ok),
        ("both of one client", both("trainer", "trainers"), Code::Ok),
        ("nothing", Shows::default(), Code::Unauthenticated),
        ("a token of nobody", token("nobodys"), Code::Unauthenticated),
        ("a token the day after its last", token("past"), Code::Unauthenticated),
        ("a certificate of nobody", certificate(signed("nobody")), Code::Unauthenticated),
        ("two clients", both("robot", "trainers"), Code::Unauthenticated),
        ("a right certificate with a wrong token", both("robot", "nobodys"), Code::Unauthenticated),
        (
            "another authority's certificate",
            certificate(Authority::new().sign("robot", &["robot.example"])),
            Code::Unavailable,
        ),
    ] {
        let found = shows.call(&world, &running).await;
        // A refused handshake shows where the client first waits for an answer.
        let found = if found == Code::Unknown { Code::Unavailable } else { found };
        assert_eq!(found, expected, "{what}");
    }
    running.stop().await;
}

#[tokio::test]
async fn without_clients_by_token_a_certificate_is_required_and_health_needs_nothing_more() {
    let world = World::new();
    let running = world.serve(&(TLS.to_owned() + &client("robot", "certificate = \"cn:robot\""))).await;
    let robot = certificate(world.authority.sign("robot", &[]));
    assert_eq!(robot.call(&world, &running).await, Code::Ok);
    let without = Shows::default().call(&world, &running).await;
    assert!(matches!(without, Code::Unavailable | Code::Unknown), "{without:?}");

    let nobody = certificate(world.authority.sign("nobody", &[]));
    let channel = nobody.connect(&world, &running).await.unwrap();
    assert_eq!(nobody.call_on(channel.clone()).await, Code::Unauthenticated);
    let health = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await.unwrap();
    assert_eq!(health.get_ref().status, 1, "serving");
    assert_eq!(health.metadata().get("x-request-id").unwrap().len(), 32);
    running.stop().await;
}

#[tokio::test]
async fn the_request_id_comes_back_and_each_call_is_counted_by_its_code() {
    let world = World::new();
    let running = world.serve(&("http = \"127.0.0.1:0\"\n".to_owned() + &client("robot", &by_token("t")))).await;
    let channel = Channel::from_shared(format!("http://{}", running.grpc)).unwrap().connect().await.unwrap();
    for token in ["t", "wrong"] {
        let mut request = Request::new(GetLogRequest {});
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request.metadata_mut().insert("x-request-id", "build-7".parse().unwrap());
        let answer = ProofServiceClient::new(channel.clone()).get_log(request).await;
        assert_eq!(answer.is_ok(), token == "t");
        let metadata = answer.map_or_else(|status| status.metadata().clone(), |answer| answer.metadata().clone());
        assert_eq!(metadata.get("x-request-id").unwrap(), "build-7");
    }
    // Of two that say who calls none is believed.
    let mut request = Request::new(GetLogRequest {});
    for token in ["t", "wrong"] {
        request.metadata_mut().append("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let twice = ProofServiceClient::new(channel.clone()).get_log(request).await.unwrap_err();
    assert_eq!(twice.code(), Code::Unauthenticated);
    let figures = ask(running.http.as_ref().unwrap(), "GET", "/metrics").await.body;
    let figures = String::from_utf8(figures).unwrap();
    for (code, calls) in [("OK", 1), ("UNAUTHENTICATED", 2)] {
        let method = "/griptrace.v1.ProofService/GetLog";
        let line = format!("griptrace_grpc_calls_total{{method=\"{method}\",code=\"{code}\"}} {calls}");
        assert!(figures.lines().any(|found| found == line), "{line} is not in\n{figures}");
    }
    assert!(figures.contains("griptrace_open_connections{listener=\"grpc\"} 1\n"), "{figures}");
    running.stop().await;
}

/// Waits until a call has this code: files are looked at every two seconds.
async fn becomes(shows: &Shows, channel: &Channel, expected: Code) {
    let begun = Instant::now();
    while shows.call_on(channel.clone()).await != expected {
        assert!(begun.elapsed() < Duration::from_secs(20), "a call does not become {expected:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_changes_on_disk_comes_into_force_and_what_is_broken_does_not() {
    let world = World::new();
    let tls = TLS.replace("http = \"off\"", "http = \"127.0.0.1:0\"");
    let running = world.serve(&format!("{tls}{}", client("robot", &by_token("old")))).await;
    let (old, new) = (token("old"), token("new"));
    let channel = old.connect(&world, &running).await.unwrap();
    assert_eq!(
        (old.call_on(channel.clone()).await, new.call_on(channel.clone()).await),
        (Code::Ok, Code::Unauthenticated)
    );

    let file = |rest: &str| world.write("serve.toml", &format!("listen = \"127.0.0.1:0\"\n{tls}{rest}"));
    file(&client("robot", &by_token("new")));
    becomes(&new, &channel, Code::Ok).await;
    assert_eq!(old.call_on(channel.clone()).await, Code::Unauthenticated, "on a connection that was open before too");

    // A broken file, and one that would open the door to everybody at addresses that were judged with
    // clients: what was in force stays so.
    for broken in ["[[client]]\nname = 1\n".to_owned(), "tokens = 1".to_owned(), client("robot", "token = \"plain\"")] {
        file(&broken);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(new.call_on(channel.clone()).await, Code::Ok, "{broken}");
    }
    world.write("serve.toml", &format!("listen = \"127.0.0.1:9\"\n{tls}"));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(old.call_on(channel.clone()).await, Code::Unauthenticated);

    // Another authority signs from now on: new connections are made with the new certificate alone.
    file(&client("robot", &by_token("last")));
    let world = World { authority: Authority::new(), ..world };
    world.renew_server();
    becomes(&token("last"), &channel, Code::Ok).await;
    let begun = Instant::now();
    while token("last").connect(&world, &running).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the new certificate does not come into force");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_slow_handshake_keeps_nobody_waiting() {
    let world = World::new();
    let running = world.serve(&format!("{TLS}{}", client("robot", &by_token("t")))).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(tokio::net::TcpStream::connect(&running.grpc).await.unwrap());
    }
    let begun = Instant::now();
    assert_eq!(token("t").call(&world, &running).await, Code::Ok);
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited for others' handshakes");
    drop(silent);
    running.stop().await;
}

#[tokio::test]
async fn open_connections_are_limited_and_a_place_is_given_back() {
    let world = World::new();
    let settings = format!("http = \"off\"\n{}[connections]\nopen_max = 1\n", client("robot", &by_token("t")));
    let running = world.serve(&settings).await;
    let endpoint = Channel::from_shared(format!("http://{}", running.grpc)).unwrap();
    let first = endpoint.connect().await.unwrap();
    assert_eq!(token("t").call_on(first.clone()).await, Code::Ok);
    let second = endpoint.clone().timeout(Duration::from_millis(700)).connect().await.unwrap();
    let waiting = token("t").call_on(second.clone()).await;
    assert_ne!(waiting, Code::Ok, "there was no place");
    drop(first);
    becomes(&token("t"), &second, Code::Ok).await;
    running.stop().await;
}
