//! Handing commits in for others: it gives nobody a right that they do not have.

use core::time::Duration;
use std::{fs, net::TcpListener, time::Instant};

use griptrace_core::digest::Digest;
use griptrace_proto::v1::commit_service_client::CommitServiceClient;
use tonic::{Code, metadata::MetadataValue};

use super::{
    super::world::Authority,
    fleet::{Fleet, Member, reason, with_token},
};
use crate::access::token_digest;

/// Clients that all servers know alike.
fn clients() -> String {
    let client = |name: &str, roles: &str, rest: &str| {
        let digest = Digest::from_bytes(token_digest(name));
        format!("[[client]]\nname = \"{name}\"\ntoken = \"sha256:{digest}\"\nroles = {roles}\n{rest}")
    };
    [
        client("plant", r#"["commit", "read"]"#, ""),
        client("north", r#"["commit", "read"]"#, "prefix = [\"north/\"]\n"),
        client("reader", r#"["read"]"#, ""),
        client("server", r#"["forward"]"#, ""),
        client("past", r#"["commit"]"#, "token_to = 2026-01-01\n"),
        client("boss", r#"["commit", "admin"]"#, ""),
    ]
    .concat()
}

/// Hands a commit in at a server, in the name of somebody.
async fn in_the_name_of(
    server: &Member,
    fleet: &Fleet,
    name: &str,
    token: &str,
    whose: &str,
) -> Result<(), (Code, String)> {
    let (commit, _) = fleet.commit(name);
    let mut request = with_token(commit, Some(token));
    request.metadata_mut().insert_bin("griptrace-on-behalf-of-bin", MetadataValue::from_bytes(whose.as_bytes()));
    let answer = CommitServiceClient::new(server.channel().await).commit(request).await;
    answer.map(|_| ()).map_err(|status| (status.code(), reason(&status).0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_judged_by_who_sent_it_wherever_it_came_in() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", &clients()).await;
    one.writes().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "server\n").unwrap();
    let forward = format!("[forward]\ntoken_file = {token:?}\n{}", clients());
    let two = fleet.serve("two", &forward).await;
    two.follows(2).await;

    let (request, _) = fleet.commit("anything");
    let receipt = two.commit_as(&request, Some("plant")).await.unwrap();
    let (named, _) = fleet.commit("north/camera");
    let other = two.commit_as(&named, Some("north")).await.unwrap();
    fleet.holds(&[(request, receipt), (named, other)]);
    // The writer knows whom it is for, and holds them to their names.
    let (outside, _) = fleet.commit("south/camera");
    let refused = two.commit_as(&outside, Some("north")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::PermissionDenied, "OUT_OF_SCOPE"));
    let refused = two.commit_as(&outside, Some("reader")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::PermissionDenied, "ROLE_MISSING"));

    // Whoever has a server's token can do no more in anybody's name than they can themselves.
    let denied = |reason: &str| Err((Code::PermissionDenied, reason.to_owned()));
    assert_eq!(in_the_name_of(&one, &fleet, "a", "server", "plant").await, Ok(()));
    assert_eq!(in_the_name_of(&one, &fleet, "a", "server", "reader").await, denied("ROLE_MISSING"));
    assert_eq!(in_the_name_of(&one, &fleet, "a", "server", "north").await, denied("OUT_OF_SCOPE"));
    assert_eq!(in_the_name_of(&one, &fleet, "a", "server", "nobody").await, denied("FORWARD_REFUSED"));
    assert_eq!(in_the_name_of(&one, &fleet, "a", "plant", "north").await, denied("FORWARD_REFUSED"), "no server");
    for whose in ["past", "boss"] {
        assert_eq!(in_the_name_of(&one, &fleet, "a", "server", whose).await, denied("FORWARD_REFUSED"), "{whose}");
    }
    let sent_on = two.commit_as(&fleet.commit("a").0, Some("boss")).await.unwrap_err();
    let (why, what) = reason(&sent_on);
    assert_eq!((sent_on.code(), why.as_str(), what["writer"].as_str()), (Code::Unavailable, "NOT_WRITER", &*one.url));
    one.commit_as(&fleet.commit("a").0, Some("boss")).await.unwrap();
    let alone = one.commit_as(&fleet.commit("b").0, Some("server")).await.unwrap_err();
    assert_eq!(reason(&alone).0, "ROLE_MISSING", "in nobody's name it may nothing");
    // And what was handed in once is not handed on.
    let on = in_the_name_of(&two, &fleet, "c", "server", "plant").await;
    assert_eq!(on, Err((Code::Unavailable, "NOT_WRITER".to_owned())));
    one.running.stop().await;
    two.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_writer_does_not_know_tells_nobody_that_it_is_their_fault() {
    let fleet = Fleet::new();
    let one = fleet.serve("one", &clients()).await;
    one.writes().await;
    let two = fleet.serve("two", &format!("[forward]\n{}[limits]\ncall_seconds_max = 2\n", clients())).await;
    two.follows(2).await;
    let refused = two.commit_as(&fleet.commit("x").0, Some("plant")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::FailedPrecondition, "FORWARD_REFUSED"));
    one.running.stop().await;
    two.running.stop().await;
}

/// A client tried for half a minute, and was told that the writer did not answer, which had said what was wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_the_role_to_hand_in_says_so_at_once() {
    let fleet = Fleet::new();
    let lacking = clients().replace(r#"roles = ["forward"]"#, r#"roles = ["read"]"#);
    let one = fleet.serve("one", &lacking).await;
    one.writes().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "server\n").unwrap();
    let two = fleet.serve("two", &format!("[forward]\ntoken_file = {token:?}\n{lacking}")).await;
    two.follows(2).await;
    let begun = Instant::now();
    let refused = two.commit_as(&fleet.commit("x").0, Some("plant")).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::FailedPrecondition, "FORWARD_REFUSED"));
    for part in [one.url.as_str(), "the client server may not", "the role forward"] {
        assert!(refused.message().contains(part), "{part} is not in {refused:?}");
    }
    assert_eq!(two.figure("forwarded_commits_total{outcome=\"denied\"}").await, 1);
    one.running.stop().await;
    two.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_who_only_says_that_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "server\n").unwrap();
    for is_listed in [false, true] {
        let fleet = Fleet::new();
        let thief = TcpListener::bind("127.0.0.1:0").unwrap();
        thief.set_nonblocking(true).unwrap();
        let url = format!("http://{}", thief.local_addr().unwrap());
        // Whoever can write to the bucket can say this.
        let writer = fleet.write_at(&url);
        let to = if is_listed { url } else { "http://127.0.0.1:1".to_owned() };
        let limits = "[limits]\ncall_seconds_max = 2\n";
        let settings = format!("[forward]\nto = [{to:?}]\ntoken_file = {token:?}\n{limits}{}", clients());
        let two = fleet.serve("two", &settings).await;
        two.follows(2).await;
        let refused = two.commit_as(&fleet.commit("x").0, Some("plant")).await.unwrap_err();
        // Who is called, and says nothing, may as well be gone.
        let why = if is_listed { "NO_WRITER" } else { "FORWARD_FAILED" };
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, why));
        assert_eq!(thief.accept().is_ok(), is_listed, "it was called: {refused:?}");
        two.running.stop().await;
        drop(writer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_know_each_other_by_their_certificates() {
    let fleet = Fleet::new();
    let authority = Authority::new();
    fs::write(fleet.path("ca.pem"), authority.pem()).unwrap();
    for name in ["one", "two", "other"] {
        let (certificate, key) = authority.sign(name, &["localhost"]);
        fs::write(fleet.path(&format!("{name}.pem")), certificate).unwrap();
        fs::write(fleet.path(&format!("{name}.key")), key).unwrap();
    }
    let settings = |name: &str, shown: &str| {
        let tls = format!("cert = \"../{name}.pem\"\nkey = \"../{name}.key\"\nclient_ca = \"../ca.pem\"\n");
        let forward = format!("ca = \"../ca.pem\"\ncert = \"../{shown}.pem\"\nkey = \"../{shown}.key\"\n");
        let servers = ["one", "two"].map(|name| {
            format!("[[client]]\nname = \"server {name}\"\ncertificate = \"cn:{name}\"\nroles = [\"forward\"]\n")
        });
        let limits = "[limits]\ncall_seconds_max = 5\n";
        format!("[tls]\n{tls}[forward]\n{forward}{limits}{}{}", servers.concat(), clients())
    };
    let one = fleet.serve("one", &settings("one", "one")).await;
    // Its own commits are taken as soon as it writes.
    let (request, _) = fleet.commit("first");
    let first = one.commit_as(&request, Some("plant")).await.unwrap();
    let two = fleet.serve("two", &settings("two", "two")).await;
    let (other, _) = fleet.commit("second");
    let second = two.commit_as(&other, Some("plant")).await.unwrap();
    fleet.holds(&[(request, first), (other, second)]);
    let stranger = fleet.serve("three", &settings("two", "other")).await;
    let refused = stranger.commit_as(&fleet.commit("third").0, Some("plant")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::FailedPrecondition, "FORWARD_REFUSED"));
    for member in [stranger, two, one] {
        member.running.stop().await;
    }
}
