//! Commits that are refused: by whom they are signed, for what, over what.

use griptrace_core::{
    commit::{Commit, CommitPayload, StatusLine},
    id::{GenesisHash, NodeId, StatusKey},
    key::{Algorithm, SecretKey},
    node::Mark,
};
use griptrace_proto::v1;
use griptrace_store::record::NodeRecord;
use griptrace_tests::seed::Seed;
use tonic::Code;

use super::{FUTURE, NOBODYS, RETIRED, SOUTHS, Town, key};
use crate::{
    holding::factory::{ISSUER, committer},
    served::{Maker, block_on, now},
};

/// Signs a commit that says of itself whatever `change` makes of it.
fn signed(town: &Town, nodes: &[NodeRecord], change: impl FnOnce(&mut CommitPayload)) -> v1::CommitRequest {
    let mut ids: Vec<NodeId> = nodes.iter().map(NodeRecord::id).collect();
    let mut payload = CommitPayload::over(town.desk.home(), &mut ids, now(), Vec::new()).unwrap();
    change(&mut payload);
    let entry = Commit::sign(&payload, &committer(), ISSUER).unwrap();
    v1::CommitRequest { entry: entry.into(), nodes: nodes.iter().map(|node| node.to_bytes().into()).collect() }
}

/// Changes the last byte of a commit, which is its signature's.
fn spoilt(mut request: v1::CommitRequest) -> v1::CommitRequest {
    let mut entry = request.entry.to_vec();
    *entry.last_mut().unwrap() ^= 1;
    request.entry = entry.into();
    request
}

/// A commit, and how it is refused.
type Case = (&'static str, v1::CommitRequest, Code, &'static str);

/// Commits that are wrong in one thing each, all sent by somebody who may commit everything.
fn cases(town: &mut Town) -> Vec<Case> {
    let one = [town.maker.nodes.source("one")];
    let two = [one[0].clone(), town.maker.nodes.source("two")];
    let mark = [town.maker.nodes.status(town.lineage.sources[0], Mark::Reclassify)];
    let (maker, other) =
        (&town.maker, Maker::for_log(GenesisHash::new(*one[0].id().digest()), Seed::from_number(1).rng(), committer()));
    let by = |number| maker.sign_by(&key(number), &one, now());
    let spoilt_by_another = {
        let mut request = maker.sign(&one);
        let by_another = Commit::parse(&by(NOBODYS).entry).unwrap();
        assert_eq!(by_another.payload.count, 1);
        // The committer's header over another key's signature: the last 64 bytes.
        let (mut entry, other) = (request.entry.to_vec(), by(NOBODYS).entry);
        let begin = entry.len() - 64;
        entry[begin..].copy_from_slice(&other[other.len() - 64..]);
        request.entry = entry.into();
        request
    };
    let line = StatusLine { key: StatusKey::of_node(town.lineage.sources[0]), status: mark[0].id() };
    let wrong_line = StatusLine { key: StatusKey::of_node(town.lineage.sources[1]), ..line };
    let root_over_others = signed(town, &one, |payload| payload.root = *two[1].id().digest());
    let truncated = v1::CommitRequest { entry: maker.sign(&one).entry.slice(..40), ..maker.sign(&one) };
    let p256 = SecretKey::from_bytes(Algorithm::P256, &[9; 32]).unwrap();
    use Code::{FailedPrecondition, InvalidArgument, PermissionDenied};
    vec![
        ("nobody's key", by(NOBODYS), PermissionDenied, "KEY_UNKNOWN"),
        ("another kind of key", maker.sign_by(&p256, &one, now()), PermissionDenied, "KEY_UNKNOWN"),
        ("a key that was given up", by(RETIRED), PermissionDenied, "KEY_OUT_OF_DATE"),
        ("a key for later", by(FUTURE), PermissionDenied, "KEY_OUT_OF_DATE"),
        ("somebody else's key", by(SOUTHS), PermissionDenied, "KEY_OF_ANOTHER_CLIENT"),
        ("a changed signature", spoilt(maker.sign(&one)), InvalidArgument, "COMMIT_MALFORMED"),
        ("another key's signature", spoilt_by_another, InvalidArgument, "COMMIT_MALFORMED"),
        ("half an entry", truncated, InvalidArgument, "COMMIT_MALFORMED"),
        ("no entry", v1::CommitRequest::default(), InvalidArgument, "COMMIT_MALFORMED"),
        ("another log", signed(town, &one, |payload| payload.home = other_log(&one[0])), InvalidArgument, "OTHER_LOG"),
        (
            "nodes of another log",
            maker.sign(&[{
                let mut other = other;
                other.nodes.source("one")
            }]),
            InvalidArgument,
            "NODE_REFUSED",
        ),
        ("ahead of the clock", maker.sign_by(&committer(), &one, now() + 3600), InvalidArgument, "AHEAD_OF_CLOCK"),
        ("a root over other nodes", root_over_others, InvalidArgument, "NOT_WHAT_WAS_SIGNED"),
        (
            "one node too few",
            v1::CommitRequest { nodes: maker.sign(&one).nodes, ..maker.sign(&two) },
            InvalidArgument,
            "NOT_WHAT_WAS_SIGNED",
        ),
        (
            "one node too many",
            v1::CommitRequest { nodes: maker.sign(&two).nodes, ..maker.sign(&one) },
            InvalidArgument,
            "NOT_WHAT_WAS_SIGNED",
        ),
        ("another count", signed(town, &one, |payload| payload.count = 2), InvalidArgument, "NOT_WHAT_WAS_SIGNED"),
        ("no status line", signed(town, &mark, |_| {}), InvalidArgument, "STATUS_LINES"),
        (
            "a changed status line",
            signed(town, &mark, |payload| payload.statuses = vec![wrong_line]),
            InvalidArgument,
            "STATUS_LINES",
        ),
        (
            "a status line of no status",
            signed(town, &one, |payload| payload.statuses = vec![line]),
            InvalidArgument,
            "STATUS_LINES",
        ),
        (
            "an edge that leads nowhere",
            {
                let orphan = orphan(town);
                town.maker.sign(&orphan)
            },
            FailedPrecondition,
            "EDGE_MISSING",
        ),
        (
            "an output apart from its step",
            {
                let orphan = apart(town);
                town.maker.sign(&orphan)
            },
            FailedPrecondition,
            "OUTPUT_APART",
        ),
    ]
}

fn other_log(node: &NodeRecord) -> GenesisHash {
    GenesisHash::new(*node.id().digest())
}

fn orphan(town: &mut Town) -> Vec<NodeRecord> {
    let nowhere = town.maker.nodes.source("nowhere").id();
    town.maker.nodes.derive("orphan", &[nowhere])
}

/// What a step generated, hung on a step that is in the log.
fn apart(town: &mut Town) -> Vec<NodeRecord> {
    let mut made = town.maker.nodes.derive("apart", &town.lineage.sources);
    let core = griptrace_core::node::Core {
        edges: vec![griptrace_core::node::Edge::local(
            griptrace_core::node::Role::GeneratedBy,
            town.lineage.derived[0],
        )],
        ..made[1].core().unwrap()
    };
    let mut rng = Seed::from_number(5).rng();
    let hung = NodeRecord::build(core, made[1].values.clone(), None, None, |out| rng.fill(out)).unwrap();
    made.clear();
    made.push(hung);
    made
}

#[test]
fn a_commit_that_is_wrong_in_one_thing_is_refused_for_it() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("wrong_in_one_thing").rng()).await;
        let size = town.size().await;
        let mut client = town.maker_client().await;
        let cases = cases(&mut town);
        for (what, request, code, why) in cases {
            let refused = client.commits.commit(request).await.expect_err(what);
            town.check(what, &refused, code, why);
            assert_eq!(town.size().await, size, "{what}: nothing is written");
        }
        // The same nodes, rightly signed, are taken: it was not them.
        let nodes = [town.maker.nodes.source("one")];
        town.maker.commit(&client, &nodes).await;
    });
}

/// A commit that somebody listened to, sent again by somebody else, gives a receipt at most: nothing new is written.
#[test]
fn a_commit_that_is_replayed_is_in_the_log_once() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("is_replayed").rng()).await;
        let mut south = town.client("south").await;
        let node = [town.maker.nodes.source("south/one")];
        let souths = town.maker.sign_by(&key(SOUTHS), &node, now());
        let receipt = south.commits.commit(souths.clone()).await.unwrap().into_inner().receipt.unwrap();
        let size = town.size().await;
        let refused = town.client("north").await.commits.commit(souths.clone()).await.unwrap_err();
        town.check("by the north", &refused, Code::PermissionDenied, "KEY_OF_ANOTHER_CLIENT");
        let refused = town.client("reader").await.commits.commit(souths.clone()).await.unwrap_err();
        town.check("by a reader", &refused, Code::PermissionDenied, "ROLE_MISSING");
        let again = south.commits.commit(souths).await.unwrap().into_inner().receipt.unwrap();
        assert_eq!((again.index, again.already_recorded), (receipt.index, true));
        assert_eq!(town.size().await, size);
    });
}

/// Whoever is told that a commit is in the log already may throw its records away: so they are looked at.
#[test]
fn a_commit_that_is_sent_again_with_other_records_is_refused() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("with_other_records").rng()).await;
        let mut client = town.maker_client().await;
        let mut nodes = ["one", "two", "three"].map(|name| town.maker.nodes.source(name));
        let request = town.maker.sign(&nodes);
        client.commits.commit(request.clone()).await.unwrap();
        for place in 0..nodes.len() {
            let right = nodes[place].clone();
            nodes[place].seed[0] ^= 1;
            let records = nodes.iter().map(|node| node.to_bytes().into()).collect();
            let again = v1::CommitRequest { nodes: records, ..request.clone() };
            let refused = client.commits.commit(again).await.expect_err("other salts, other details");
            town.check("other details", &refused, Code::InvalidArgument, "NODE_REFUSED");
            nodes[place] = right;
        }
        let again = client.commits.commit(request).await.unwrap().into_inner().receipt.unwrap();
        assert!(again.already_recorded);
    });
}
