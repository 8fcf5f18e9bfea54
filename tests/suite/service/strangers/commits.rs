//! Commits that are refused: by whom they are signed, for what, over what.

use griptrace_core::{
    commit::{Commit, CommitPayload, StatusLine},
    details::{self, Values},
    digest::Digest,
    id::{GenesisHash, NodeId, StatusKey},
    key::{Algorithm, SecretKey},
    node::{Core, Edge, Kind, Mark, Role},
};
use griptrace_proto::v1;
use griptrace_store::record::{NodeRecord, Secret};
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

/// The committer's commit with another key's signature: the last 64 bytes.
fn signature_of_another(maker: &Maker, nodes: &[NodeRecord]) -> v1::CommitRequest {
    let (mut request, other) = (maker.sign(nodes), maker.sign_by(&key(NOBODYS), nodes, now()).entry);
    let mut entry = request.entry.to_vec();
    let begin = entry.len() - 64;
    entry[begin..].copy_from_slice(&other[other.len() - 64..]);
    request.entry = entry.into();
    request
}

/// A step over what is nowhere.
fn orphan(maker: &mut Maker) -> Vec<NodeRecord> {
    let nowhere = maker.nodes.source("nowhere").id();
    maker.nodes.derive("orphan", &[nowhere])
}

/// What a step generated, hung on a step that is in the log.
fn apart(maker: &mut Maker, step: NodeId) -> NodeRecord {
    let made = maker.nodes.derive("apart", &[step]);
    let core = Core { edges: vec![Edge::local(Role::GeneratedBy, step)], ..made[1].core().unwrap() };
    let mut rng = Seed::from_number(5).rng();
    NodeRecord::build(core, made[1].values.clone(), None, None, |out| rng.fill(out)).unwrap()
}

/// A commit, and how it is refused.
type Case = (&'static str, v1::CommitRequest, Code, &'static str);

/// Commits that are signed by who may not, or not rightly.
fn signatures(town: &mut Town) -> Vec<Case> {
    let one = [town.maker.nodes.source("one")];
    let maker = &town.maker;
    let by = |number| maker.sign_by(&key(number), &one, now());
    let p256 = SecretKey::from_bytes(Algorithm::P256, &[9; 32]).unwrap();
    let truncated = v1::CommitRequest { entry: maker.sign(&one).entry.slice(..40), ..maker.sign(&one) };
    let (denied, invalid) = (Code::PermissionDenied, Code::InvalidArgument);
    vec![
        ("nobody's key", by(NOBODYS), denied, "KEY_UNKNOWN"),
        ("another kind of key", maker.sign_by(&p256, &one, now()), denied, "KEY_UNKNOWN"),
        ("a key that was given up", by(RETIRED), denied, "KEY_OUT_OF_DATE"),
        ("a key for later", by(FUTURE), denied, "KEY_OUT_OF_DATE"),
        ("somebody else's key", by(SOUTHS), denied, "KEY_OF_ANOTHER_CLIENT"),
        ("a changed signature", spoilt(maker.sign(&one)), invalid, "COMMIT_MALFORMED"),
        ("another key's signature", signature_of_another(maker, &one), invalid, "COMMIT_MALFORMED"),
        ("half an entry", truncated, invalid, "COMMIT_MALFORMED"),
        ("no entry", v1::CommitRequest::default(), invalid, "COMMIT_MALFORMED"),
        ("ahead of the clock", maker.sign_by(&committer(), &one, now() + 3600), invalid, "AHEAD_OF_CLOCK"),
    ]
}

/// Commits that are rightly signed, over what they are not of.
fn contents(town: &mut Town) -> Vec<Case> {
    let one = [town.maker.nodes.source("one")];
    let two = [one[0].clone(), town.maker.nodes.source("two")];
    let source = town.lineage.sources[0];
    let mark = [town.maker.nodes.status(source, Mark::Reclassify)];
    let (orphan, apart) = (orphan(&mut town.maker), apart(&mut town.maker, town.lineage.derived[0]));
    let other_log = GenesisHash::new(*one[0].id().digest());
    let foreign = Maker::for_log(other_log, Seed::from_number(1).rng(), committer()).nodes.source("one");
    let line = StatusLine { key: StatusKey::of_node(source), status: mark[0].id() };
    let wrong_line = StatusLine { key: StatusKey::of_node(town.lineage.sources[1]), ..line };
    let maker = &town.maker;
    let too_few = v1::CommitRequest { nodes: maker.sign(&one).nodes, ..maker.sign(&two) };
    let too_many = v1::CommitRequest { nodes: maker.sign(&two).nodes, ..maker.sign(&one) };
    let over_others = signed(town, &one, |payload| payload.root = *two[1].id().digest());
    let changed = signed(town, &mark, |payload| payload.statuses = vec![wrong_line]);
    let needless = signed(town, &one, |payload| payload.statuses = vec![line]);
    let (invalid, failed) = (Code::InvalidArgument, Code::FailedPrecondition);
    vec![
        ("another log", signed(town, &one, |payload| payload.home = other_log), invalid, "OTHER_LOG"),
        ("nodes of another log", maker.sign(&[foreign]), invalid, "NODE_REFUSED"),
        ("a root over other nodes", over_others, invalid, "NOT_WHAT_WAS_SIGNED"),
        ("one node too few", too_few, invalid, "NOT_WHAT_WAS_SIGNED"),
        ("one node too many", too_many, invalid, "NOT_WHAT_WAS_SIGNED"),
        ("another count", signed(town, &one, |payload| payload.count = 2), invalid, "NOT_WHAT_WAS_SIGNED"),
        ("no status line", signed(town, &mark, |_| {}), invalid, "STATUS_LINES"),
        ("a changed status line", changed, invalid, "STATUS_LINES"),
        ("a status line of no status", needless, invalid, "STATUS_LINES"),
        ("an edge that leads nowhere", maker.sign(&orphan), failed, "EDGE_MISSING"),
        ("an output apart from its step", maker.sign(&[apart]), failed, "OUTPUT_APART"),
    ]
}

#[test]
fn a_commit_that_is_wrong_in_one_thing_is_refused_for_it() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("wrong_in_one_thing").rng()).await;
        let size = town.size().await;
        let mut client = town.maker_client().await;
        let mut cases = signatures(&mut town);
        cases.extend(contents(&mut town));
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
            nodes[place].secret = Secret::Seed([9; 32]);
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

/// An Erasure that comes over the network would say that something is gone which is there; and nobody records what was
/// erased before it was recorded.
#[test]
fn nobody_erases_over_the_network() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("nobody_erases_over_the_network").rng()).await;
        let mut client = town.maker_client().await;
        let mut rng = Seed::from_number(8).rng();
        let core = Core {
            edges: vec![Edge::local(Role::Erases, town.secret)],
            erased_slots: vec![0],
            ..Core::new(Kind::Erasure, town.desk.home(), [0; 16], Digest::ZERO)
        };
        let erasure = NodeRecord::build(core, Values::new(), None, None, |out| rng.fill(out)).unwrap();
        let refused = client.commits.commit(town.maker.sign(&[erasure])).await.expect_err("an erasure");
        town.check("an erasure", &refused, Code::InvalidArgument, "NODE_REFUSED");
        let mut source = town.maker.nodes.source("kept");
        let whole = source.clone();
        source.secret = Secret::Kept(details::kept(source.secret.seed().unwrap()));
        let refused = client.commits.commit(town.maker.sign(&[source])).await.expect_err("salts without their seed");
        town.check("salts without their seed", &refused, Code::InvalidArgument, "NODE_REFUSED");
        client.commits.commit(town.maker.sign(&[whole])).await.unwrap();
    });
}
