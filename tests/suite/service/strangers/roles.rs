//! Each call takes its role, and no other will do.

use std::collections::BTreeSet;

use griptrace_proto::{FILE_DESCRIPTOR_SET, v1};
use griptrace_tests::seed::Seed;
use prost::Message as _;
use tonic::{Code, Status};

use super::Town;
use crate::served::{Client, all, block_on, reason};

/// Every call of the contract, and the role that it takes.
const CALLS: &[(&str, &str)] = &[
    ("CommitService.Commit", "commit"),
    ("CommitService.CommitStream", "commit"),
    ("CommitService.FindRecorded", "commit"),
    ("LineageService.GetNode", "read"),
    ("LineageService.BatchGetNodes", "read"),
    ("LineageService.ResolvePrefix", "read"),
    ("LineageService.Ancestors", "read"),
    ("LineageService.Descendants", "read"),
    ("LineageService.Paths", "read"),
    ("LineageService.Impact", "read"),
    ("LineageService.Search", "read"),
    ("LineageService.Names", "read"),
    ("LineageService.Inventory", "read"),
    ("LineageService.Check", "read"),
    ("ProofService.GetLog", "read"),
    ("ProofService.GetCheckpoint", "read"),
    ("ProofService.GetInclusionProof", "read"),
    ("ProofService.GetConsistencyProof", "read"),
    ("ProofService.GetStatus", "read"),
    ("ProofService.ListEntries", "read"),
    ("ProofService.Prove", "prove"),
    ("ProofService.Watch", "read"),
    ("ProofService.ListBundleRequests", "admin"),
];

/// Clients, each with one role.
const OF_A_ROLE: [(&str, &str); 4] =
    [("reader", "read"), ("writer", "commit"), ("prover", "prove"), ("owner", "admin")];

/// Makes a call, with a request that means nothing; a stream is asked for its first message.
async fn call(client: &Client, name: &str) -> Result<(), Status> {
    let Client { mut commits, mut lineage, mut proofs, .. } = client.clone();
    let nothing = || tokio_stream::iter([v1::CommitRequest::default()]);
    match name {
        "CommitService.Commit" => commits.commit(v1::CommitRequest::default()).await.map(drop),
        "CommitService.CommitStream" => all(commits.commit_stream(nothing()).await).await.map(drop),
        "CommitService.FindRecorded" => commits.find_recorded(v1::FindRecordedRequest::default()).await.map(drop),
        "LineageService.GetNode" => lineage.get_node(v1::GetNodeRequest::default()).await.map(drop),
        "LineageService.BatchGetNodes" => {
            all(lineage.batch_get_nodes(v1::BatchGetNodesRequest::default()).await).await.map(drop)
        }
        "LineageService.ResolvePrefix" => lineage.resolve_prefix(v1::ResolvePrefixRequest::default()).await.map(drop),
        "LineageService.Ancestors" => all(lineage.ancestors(v1::AncestorsRequest::default()).await).await.map(drop),
        "LineageService.Descendants" => {
            all(lineage.descendants(v1::DescendantsRequest::default()).await).await.map(drop)
        }
        "LineageService.Paths" => all(lineage.paths(v1::PathsRequest::default()).await).await.map(drop),
        "LineageService.Impact" => all(lineage.impact(v1::ImpactRequest::default()).await).await.map(drop),
        "LineageService.Search" => all(lineage.search(v1::SearchRequest::default()).await).await.map(drop),
        "LineageService.Names" => all(lineage.names(v1::NamesRequest::default()).await).await.map(drop),
        "LineageService.Inventory" => all(lineage.inventory(v1::InventoryRequest::default()).await).await.map(drop),
        "LineageService.Check" => lineage.check(v1::CheckRequest::default()).await.map(drop),
        "ProofService.GetLog" => proofs.get_log(v1::GetLogRequest::default()).await.map(drop),
        "ProofService.GetCheckpoint" => proofs.get_checkpoint(v1::GetCheckpointRequest::default()).await.map(drop),
        "ProofService.GetInclusionProof" => {
            proofs.get_inclusion_proof(v1::GetInclusionProofRequest::default()).await.map(drop)
        }
        "ProofService.GetConsistencyProof" => {
            proofs.get_consistency_proof(v1::GetConsistencyProofRequest::default()).await.map(drop)
        }
        "ProofService.GetStatus" => proofs.get_status(v1::GetStatusRequest::default()).await.map(drop),
        "ProofService.ListEntries" => all(proofs.list_entries(v1::ListEntriesRequest::default()).await).await.map(drop),
        "ProofService.Prove" => all(proofs.prove(v1::ProveRequest::default()).await).await.map(drop),
        "ProofService.Watch" => {
            let mut stream = proofs.watch(v1::WatchRequest { after_size: 1 }).await?.into_inner();
            stream.message().await.map(drop)
        }
        "ProofService.ListBundleRequests" => {
            all(proofs.list_bundle_requests(v1::ListBundleRequestsRequest::default()).await).await.map(drop)
        }
        other => panic!("the table has no call {other}"),
    }
}

#[test]
fn the_table_has_every_call_of_the_contract() {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let services = files.iter().flat_map(|file| &file.service);
    let calls: BTreeSet<String> = services
        .flat_map(|service| service.method.iter().map(move |method| format!("{}.{}", service.name(), method.name())))
        .collect();
    assert_eq!(calls, CALLS.iter().map(|(call, _)| (*call).to_owned()).collect());
}

#[test]
fn every_call_takes_its_role_and_no_other_will_do() {
    block_on(async {
        let town = Town::new(Seed::for_test("takes_its_role").rng()).await;
        let size = town.size().await;
        for (name, role) in OF_A_ROLE {
            let client = town.client(name).await;
            for (what, takes) in CALLS {
                let answered = call(&client, what).await;
                if role == *takes || role == "admin" {
                    // It got past the door: what is refused then is the request.
                    let past = answered.err().map_or(Code::Ok, |refused| refused.code());
                    let codes = [Code::Ok, Code::InvalidArgument, Code::OutOfRange];
                    assert!(codes.contains(&past), "{name} calls {what}: {past:?}");
                } else {
                    let refused = answered.expect_err(what);
                    assert_eq!(
                        reason(&refused),
                        (Code::PermissionDenied, "ROLE_MISSING".to_owned()),
                        "{name} calls {what}"
                    );
                    assert_eq!(refused.message(), format!("the client {name} does not have the role {takes}"));
                }
            }
        }
        assert_eq!(town.size().await, size, "nothing was written");
    });
}

/// Messages of any caller were read whole before it was asked whether the caller may commit.
#[test]
fn nothing_is_read_of_a_commit_of_who_may_not_commit() {
    block_on(async {
        let town = Town::new(Seed::for_test("nothing_is_read").rng()).await;
        for call in ["/griptrace.v1.CommitService/Commit", "/griptrace.v1.CommitService/FindRecorded"] {
            let unread = vec![0xff; 1000];
            let refused = town.client("reader").await.raw(call, unread.clone()).await.unwrap_err();
            town.check(call, &refused, Code::PermissionDenied, "ROLE_MISSING");
            let refused = town.client("writer").await.raw(call, unread).await.unwrap_err();
            assert_ne!(refused.code(), Code::PermissionDenied, "{call}: it is no message");
        }
    });
}
