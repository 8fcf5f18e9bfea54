//! Requests that are no requests: each is refused by its field, before anything is done.

use griptrace_core::{digest::Digest, id::NodeId};
use griptrace_proto::v1;
use griptrace_tests::seed::Seed;
use tonic::{Code, Status};

use super::Town;
use crate::{
    served::{Client, all, block_on, reason},
    service::contract::{id, policy, trust},
};

/// Ids of all lengths but the right one.
const LENGTHS: [usize; 6] = [0, 1, 31, 33, 64, 4096];

/// Asks by an id, each question that takes one.
async fn by_id(client: &Client, what: usize, id: Vec<u8>) -> Option<Result<(), Status>> {
    let Client { mut lineage, mut proofs, .. } = client.clone();
    let id = prost::bytes::Bytes::from(id);
    let right = || vec![0; 32].into();
    let answer = match what {
        0 => lineage.get_node(v1::GetNodeRequest { id, ..Default::default() }).await.map(drop),
        1 => {
            let ids = vec![right(), id];
            all(lineage.batch_get_nodes(v1::BatchGetNodesRequest { ids, ..Default::default() }).await).await.map(drop)
        }
        2 => all(lineage.ancestors(v1::AncestorsRequest { id, ..Default::default() }).await).await.map(drop),
        3 => all(lineage.descendants(v1::DescendantsRequest { id, ..Default::default() }).await).await.map(drop),
        4 => all(lineage.impact(v1::ImpactRequest { id, ..Default::default() }).await).await.map(drop),
        5 => all(lineage.paths(v1::PathsRequest { from: id, to: right(), ..Default::default() }).await).await.map(drop),
        6 => all(lineage.paths(v1::PathsRequest { from: right(), to: id, ..Default::default() }).await).await.map(drop),
        7 => proofs.get_status(v1::GetStatusRequest { id, ..Default::default() }).await.map(drop),
        8 => all(proofs.prove(v1::ProveRequest { id, ..Default::default() }).await).await.map(drop),
        9 => lineage
            .check(v1::CheckRequest {
                destination: "DE".into(),
                id,
                policy: policy().into(),
                trust: trust(),
                ..Default::default()
            })
            .await
            .map(drop),
        // No subject is no filter.
        10 if id.is_empty() => Err(Status::invalid_argument("")),
        10 => all(lineage.search(v1::SearchRequest { assesses: id, ..Default::default() }).await).await.map(drop),
        _ => return None,
    };
    Some(answer)
}

#[test]
fn an_id_has_32_bytes_and_belongs_to_a_node() {
    block_on(async {
        let town = Town::new(Seed::for_test("an_id_has_32_bytes").rng()).await;
        let client = town.client("owner").await;
        for what in 0.. {
            let Some(unknown) = by_id(&client, what, vec![7; 32]).await else { break };
            if what < 10 {
                let refused = unknown.unwrap_err();
                town.check(&format!("question {what}"), &refused, Code::NotFound, "NO_NODE");
            }
            for length in LENGTHS.into_iter().filter(|length| what < 10 || *length > 0) {
                let refused = by_id(&client, what, vec![7; length]).await.unwrap().unwrap_err();
                town.check(&format!("question {what}, {length}"), &refused, Code::InvalidArgument, "ID_MALFORMED");
            }
        }
    });
}

type Case = (&'static str, Result<(), Status>, Code, &'static str);

/// Makes requests of the lineage that are wrong in one thing each.
async fn questions(town: &Town) -> Vec<Case> {
    use Code::{InvalidArgument, OutOfRange};
    let mut client = town.client("owner").await.lineage;
    let model = id(&town.lineage.trained[1]);
    let mut cases: Vec<Case> = Vec::new();
    for (what, hex) in [
        ("none", ""),
        ("another letter", "0g"),
        ("too many", &"0".repeat(65)),
        ("a space", " 0"),
        ("no letters of ours", "٣"),
    ] {
        let asked = v1::ResolvePrefixRequest { hex_prefix: hex.to_owned(), tree_size: 0 };
        cases.push((what, client.resolve_prefix(asked).await.map(drop), InvalidArgument, "PREFIX_MALFORMED"));
    }
    for token in ["x", "1", "1.", ".1", "1.x", "-1.0", "1.4294967296", "18446744073709551616.0", "1.0.0", " 1.0"] {
        let asked = v1::SearchRequest { page_token: token.to_owned(), ..Default::default() };
        cases.push((token, all(client.search(asked).await).await.map(drop), InvalidArgument, "PAGE_TOKEN"));
    }
    let asked = v1::SearchRequest { page_token: "3.0".to_owned(), tree_size: 4, ..Default::default() };
    cases.push(("another size", all(client.search(asked).await).await.map(drop), InvalidArgument, "PAGE_TOKEN"));
    let asked = v1::SearchRequest { page_token: "99999.0".to_owned(), ..Default::default() };
    cases.push(("a later size", all(client.search(asked).await).await.map(drop), OutOfRange, "BEYOND_LOG"));
    for kind in [-1, 8, i32::MAX] {
        let asked = v1::SearchRequest { kind, ..Default::default() };
        cases.push(("a kind", all(client.search(asked).await).await.map(drop), InvalidArgument, "KIND_UNKNOWN"));
    }
    let asked = v1::SearchRequest { content: vec![1; 31].into(), ..Default::default() };
    cases.push(("a digest", all(client.search(asked).await).await.map(drop), InvalidArgument, "DIGEST_MALFORMED"));
    let ids = vec![vec![0; 32].into(); 10_001];
    let asked = v1::BatchGetNodesRequest { ids, ..Default::default() };
    cases.push(("ids", all(client.batch_get_nodes(asked).await).await.map(drop), InvalidArgument, "TOO_MANY_IDS"));
    let asked = v1::PathsRequest { from: model.clone().into(), to: model.clone().into(), tree_size: 0, limit: 10_001 };
    cases.push(("ways", all(client.paths(asked).await).await.map(drop), InvalidArgument, "TOO_MANY_PATHS"));
    let asked = v1::NamesRequest::default();
    cases.push(("no name", all(client.names(asked).await).await.map(drop), InvalidArgument, "NAME_EMPTY"));
    let asked = v1::InventoryRequest { today: "2026-02-30".to_owned(), ..Default::default() };
    cases.push(("a day", all(client.inventory(asked).await).await.map(drop), InvalidArgument, "DATE_MALFORMED"));
    let asked = v1::InventoryRequest { policy: "id = ".to_owned(), ..Default::default() };
    cases.push(("a policy", all(client.inventory(asked).await).await.map(drop), InvalidArgument, "FILE_MALFORMED"));
    let asked = v1::AncestorsRequest { id: model.into(), tree_size: 99_999, ..Default::default() };
    cases.push(("a size", all(client.ancestors(asked).await).await.map(drop), OutOfRange, "BEYOND_LOG"));
    cases
}

/// Makes requests for proofs and verdicts that are wrong in one thing each.
async fn proofs(town: &Town) -> Vec<Case> {
    use Code::{FailedPrecondition, InvalidArgument, OutOfRange};
    let Client { mut lineage, mut proofs, .. } = town.client("owner").await;
    let size = town.size().await;
    let mut cases: Vec<Case> = Vec::new();
    // Between a commit and its status head nothing was signed.
    let unsigned = v1::GetCheckpointRequest { tree_size: size - 1, known_size: 0 };
    cases.push(("unsigned", proofs.get_checkpoint(unsigned).await.map(drop), FailedPrecondition, "NO_CHECKPOINT"));
    let later = v1::GetCheckpointRequest { tree_size: size + 1, known_size: 0 };
    cases.push(("a later size", proofs.get_checkpoint(later).await.map(drop), OutOfRange, "BEYOND_LOG"));
    let known = v1::GetCheckpointRequest { tree_size: 0, known_size: size + 1 };
    cases.push(("knows more", proofs.get_checkpoint(known).await.map(drop), OutOfRange, "BEYOND_LOG"));
    for (index, tree_size) in [(size, size), (size, 0), (0, size + 1), (u64::MAX, u64::MAX), (5, 5)] {
        let asked = v1::GetInclusionProofRequest { index, tree_size };
        cases.push(("an index", proofs.get_inclusion_proof(asked).await.map(drop), OutOfRange, "BEYOND_LOG"));
    }
    for (old_size, new_size) in [(0, 0), (5, 4), (1, size + 1), (u64::MAX, 0)] {
        let asked = v1::GetConsistencyProofRequest { old_size, new_size };
        cases.push(("sizes", proofs.get_consistency_proof(asked).await.map(drop), OutOfRange, "BEYOND_LOG"));
    }
    let entries = v1::ListEntriesRequest { begin: 0, end: size + 1 };
    cases.push(("entries", all(proofs.list_entries(entries).await).await.map(drop), OutOfRange, "BEYOND_LOG"));
    let watch = v1::WatchRequest { after_size: size + 1 };
    cases.push(("a watch", all(proofs.watch(watch).await).await.map(drop), OutOfRange, "BEYOND_LOG"));
    let status = v1::GetStatusRequest { id: id(&town.secret).into(), tree_size: size - 1 };
    let mut marked = proofs.clone();
    cases.push(("a status", marked.get_status(status).await.map(drop), FailedPrecondition, "NO_CHECKPOINT"));
    let source = v1::ProveRequest { id: id(&town.secret).into(), ..Default::default() };
    cases.push(("a source", all(proofs.prove(source).await).await.map(drop), InvalidArgument, "NOT_SHIPPABLE"));
    let right = v1::CheckRequest {
        id: id(&town.lineage.trained[1]).into(),
        policy: policy().to_owned(),
        trust: trust(),
        destination: "DE".to_owned(),
        ..Default::default()
    };
    let wrong = [
        ("a country", v1::CheckRequest { destination: "de".into(), ..right.clone() }, "COUNTRY_MALFORMED"),
        ("no country", v1::CheckRequest { destination: String::new(), ..right.clone() }, "DESTINATION_MISSING"),
        ("a purpose", v1::CheckRequest { purposes: vec!["two words".into()], ..right.clone() }, "WORD_MALFORMED"),
        ("no trust", v1::CheckRequest { trust: "[[log]]".into(), ..right.clone() }, "FILE_MALFORMED"),
        ("a date", v1::CheckRequest { date: "today".into(), ..right.clone() }, "DATE_MALFORMED"),
    ];
    assert!(lineage.check(right).await.is_ok());
    for (what, asked, why) in wrong {
        cases.push((what, lineage.check(asked).await.map(drop), InvalidArgument, why));
    }
    cases
}

#[test]
fn a_request_that_is_none_is_refused_by_its_field() {
    block_on(async {
        let town = Town::new(Seed::for_test("a_request_that_is_none").rng()).await;
        let size = town.size().await;
        let mut cases = questions(&town).await;
        cases.extend(proofs(&town).await);
        assert!(cases.len() > 40);
        for (what, answer, code, why) in cases {
            town.check(what, &answer.expect_err(&format!("{what}: {why}")), code, why);
        }
        assert_eq!(town.size().await, size);
    });
}

/// What is too large is refused by its length, before it is read.
#[test]
fn a_message_that_is_too_large_is_refused() {
    block_on(async {
        let mut town = Town::with_limits(Seed::for_test("too_large").rng(), "message_bytes_max = 65536").await;
        let size = town.size().await;
        let mut client = town.maker_client().await;
        let nodes: Vec<_> = (0..400).map(|number| town.maker.nodes.source(&format!("large/{number}"))).collect();
        let refused = client.commits.commit(town.maker.sign(&nodes)).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
        town.check("a large commit", &refused, Code::OutOfRange, "");
        assert_eq!(town.size().await, size);
        town.maker.commit(&client, &nodes[..10]).await;
        let none = NodeId::new(Digest::ZERO);
        let asked = v1::GetNodeRequest { id: id(&none).into(), ..Default::default() };
        assert_eq!(reason(&client.lineage.get_node(asked).await.unwrap_err()).1, "NO_NODE");
    });
}
