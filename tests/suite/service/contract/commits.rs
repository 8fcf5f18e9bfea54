//! `CommitService`: a commit is taken once, however often it is sent.

use griptrace_core::{
    digest::Digest,
    key::{Algorithm, SecretKey, Signer as _},
    key_change::{KeyChange, KeyUse},
    node::{Core, Mark},
    tree::Rfc9162,
};
use griptrace_proto::v1::{self, commit_stream_response::Outcome};
use griptrace_store::{OpenOptions, Store, record::NodeRecord};
use griptrace_tests::seed::Seed;
use tonic::Code;

use crate::{
    holding::factory::{NOW, committer, log_signer},
    served::{Client, Desk, Endpoints, Maker, all, block_on, digest, reason, verify_receipt},
};

/// Clients that send one commit at once.
const AT_ONCE: usize = 8;

/// Returns the leaf hashes of the whole log.
async fn leaves(client: &Client) -> Vec<Digest> {
    let parts = all(client.clone().proofs.list_entries(v1::ListEntriesRequest::default()).await).await.unwrap();
    parts.iter().flat_map(|part| &part.entries).map(|entry| Rfc9162::leaf_hash(entry)).collect()
}

async fn send(client: &Client, request: &v1::CommitRequest) -> v1::Receipt {
    let answer = client.clone().commits.commit(request.clone()).await.unwrap();
    answer.into_inner().receipt.expect("a commit is answered by a receipt")
}

#[test]
fn a_commit_is_taken_once_however_often_it_is_sent() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("taken_once").rng());
        let client = server.client().await;
        for round in 0..5 {
            let nodes = maker.nodes.batch(&format!("round {round}"), 3, &[]);
            let request = maker.sign(&nodes);
            let sent = (0..AT_ONCE).map(|_| {
                let (server, request) = (server.grpc, request.clone());
                tokio::spawn(async move {
                    let client = Endpoints::plain(server).connect().await.unwrap();
                    send(&client, &request).await
                })
            });
            let sent: Vec<_> = sent.collect();
            let mut receipts = Vec::new();
            for sent in sent {
                receipts.push(sent.await.unwrap());
            }
            receipts.push(send(&client, &request).await);
            for receipt in &receipts {
                verify_receipt(&request.entry, receipt);
                assert_eq!(receipt.index, receipts[0].index, "round {round}");
            }
            let new = receipts.iter().filter(|receipt| !receipt.already_recorded).count();
            assert_eq!(new, 1, "round {round}: one of them brought it");
            assert!(receipts[AT_ONCE].already_recorded);
            let leaf = Rfc9162::leaf_hash(&request.entry);
            let leaves = leaves(&client).await;
            assert_eq!(leaves.iter().filter(|found| **found == leaf).count(), 1, "round {round}");
            assert_eq!(leaves.iter().position(|found| *found == leaf), usize::try_from(receipts[0].index).ok());
        }
    });
}

/// A commit with the same nodes, signed again at another time, is another commit: its nodes are there.
#[test]
fn nodes_that_another_commit_has_are_refused() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("another_commit_has").rng());
        let client = server.client().await;
        let nodes = [maker.nodes.source("one"), maker.nodes.source("two")];
        let receipt = maker.commit(&client, &nodes[..1]).await;
        let before = leaves(&client).await.len();
        let refused = client.clone().commits.commit(maker.sign(&nodes)).await.unwrap_err();
        assert_eq!(reason(&refused), (Code::AlreadyExists, "RECORDED".to_owned()));
        assert!(refused.message().contains(&nodes[0].id().to_string()), "{}", refused.message());
        assert_eq!(leaves(&client).await.len(), before, "all of the nodes or none");
        let log = desk.store();
        assert!(log.node(&nodes[1].id()).unwrap().is_none());
        assert_eq!(log.node(&nodes[0].id()).unwrap().unwrap().index, receipt.index);
    });
}

#[test]
fn a_stream_of_commits_goes_on_after_one_that_is_refused() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("a_stream_of_commits").rng());
        let client = server.client().await;
        // Each stands on the one before; what the orphan stands on is nowhere.
        let (mut requests, mut last) = (Vec::new(), maker.nodes.source("first"));
        requests.push(maker.sign(&[last.clone()]));
        let elsewhere = maker.nodes.source("elsewhere");
        let orphan = maker.nodes.derive("orphan", &[elsewhere.id()]);
        for number in 0..30 {
            if number == 15 {
                requests.push(maker.sign(&orphan));
            }
            let nodes = maker.nodes.derive(&format!("step {number}"), &[last.id()]);
            requests.push(maker.sign(&nodes));
            last = nodes[1].clone();
        }
        let answers = client.clone().commits.commit_stream(tokio_stream::iter(requests.clone())).await;
        let answers = all(answers).await.unwrap();
        assert_eq!(answers.len(), requests.len());
        let mut indices = Vec::new();
        for (place, (answer, request)) in answers.iter().zip(&requests).enumerate() {
            assert_eq!(answer.sequence, u64::try_from(place).unwrap());
            match answer.outcome.as_ref().expect("each is answered") {
                Outcome::Receipt(receipt) => {
                    verify_receipt(&request.entry, receipt);
                    indices.push(receipt.index);
                }
                Outcome::Refused(refused) => {
                    assert_eq!(place, 16, "{refused:?}");
                    assert_eq!(refused.code, i32::from(Code::FailedPrecondition));
                    assert_eq!((refused.reason.as_str(), refused.retry_after_ms), ("EDGE_MISSING", 0));
                    assert_eq!(digest(&refused.node), *orphan[0].id().digest());
                }
            }
        }
        assert_eq!(indices.len(), requests.len() - 1, "one is refused");
        assert!(indices.is_sorted(), "in the order of the stream");
    });
}

#[test]
fn what_is_recorded_again_is_found_by_what_it_says_until_it_is_put_aside() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut rng = Seed::for_test("recorded_again").rng();
        let mut maker = Maker::new(&desk, Seed::from_number(rng.next_u64()).rng());
        let mut client = server.client().await;
        let source = maker.nodes.source("camera");
        maker.commit(&client, core::slice::from_ref(&source)).await;
        // The same, with another nonce and another seed.
        let core = Core { details: Digest::ZERO, ..source.core().unwrap() };
        let again = NodeRecord::build(core, source.values.clone(), None, None, |out| rng.fill(out)).unwrap();
        assert_ne!(again.id(), source.id());
        let other = maker.nodes.source("force");
        let mut find = async |unit: &NodeRecord| {
            let asked = v1::FindRecordedRequest { unit: vec![unit.to_bytes().into()] };
            client.commits.find_recorded(asked).await.unwrap().into_inner().ids
        };
        assert_eq!(find(&again).await, [source.id().as_bytes().to_vec()]);
        assert!(find(&other).await.is_empty());
        let client = server.client().await;
        let mark = maker.nodes.status(source.id(), Mark::Withdraw);
        maker.commit(&client, &[mark]).await;
        assert!(find(&again).await.is_empty(), "what was withdrawn is never found");
    });
}

/// A key that had ended was refused as if one of the nodes were at fault.
#[test]
fn a_commit_by_a_key_that_ended_is_refused_as_that() {
    block_on(async {
        let desk = Desk::new();
        let mut maker = Maker::new(&desk, Seed::for_test("ended").rng());
        let (old, new) = (committer(), SecretKey::from_bytes(Algorithm::Ed25519, &[12; 32]).unwrap());
        let (of, retired, successor) = (KeyUse::Committer, old.public_key(), Some(new.public_key()));
        let change = KeyChange { home: desk.home(), of, retired, successor, revoker: None, since: None, time: NOW };
        let entry = change.sign(&[&old, &new], "Maker").unwrap();
        let options = OpenOptions { signer: Some(log_signer()), ..OpenOptions::default() };
        let store = Store::open(&desk.folder().join(".griptrace/store"), options).unwrap();
        store.change_key(&entry, None, NOW).unwrap();
        drop(store);
        let server = desk.serve("");
        let mut client = server.client().await;
        let source = maker.nodes.source("camera");
        let refused = client.commits.commit(maker.sign(&[source])).await.unwrap_err();
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "KEY_RETIRED".to_owned()));
        assert!(refused.message().contains("does not count from leaf 2 on"), "{refused}");
    });
}
