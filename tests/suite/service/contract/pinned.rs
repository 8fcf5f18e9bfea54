//! The same question at the same size has the same answer for ever.

use std::collections::BTreeMap;

use griptrace_core::{id::NodeId, key::Signer as _, node::Mark};
use griptrace_proto::v1;
use griptrace_tests::seed::Seed;
use prost::Message;
use tonic::{Response, Status, Streaming};

use super::questions::id;
use crate::{
    holding::factory::{ORIGIN, assessor, committer, log_signer},
    served::{Client, Desk, Lineage, Maker, all, block_on},
};

/// Commits that come in while questions are asked.
const COMMITS: usize = 200;
/// A policy that asks for what the lineage has in part.
const POLICY: &str = "id = \"own\"\nversion = \"1\"\nstatus = \"reference\"\njudge = \"both\"\nmax_lag = \"3650d\"\n\
                      vocabulary = { grades = [\"general\", \"important\", \"core\"], modality = [\"visual\"], schemes = [\"security-assessment\"] }\n\
                      [[require]]\ngrade = [\"important\"]\ncrossing = { from = [\"CN\"], to = [\"*\"] }\n\
                      any_of = [\"security-assessment\"]\nstrength = \"signed\"\nsource = \"own\"\nread = \"own-choice\"\n";

/// Returns a policy file's text.
pub(in crate::service) const fn policy() -> &'static str {
    POLICY
}

/// Returns a trust file's text that believes the factory's keys.
pub(in crate::service) fn trust() -> String {
    let (log, committer, assessor) =
        (log_signer().verifier().to_vkey(), committer().public_key(), assessor().public_key());
    format!(
        "max_age = \"3650d\"\n[[log]]\norigin = \"{ORIGIN}\"\nvkey = \"{log}\"\n\
         [[committer]]\nname = \"maker\"\nkey = \"{committer}\"\nfrom = 2020-01-01\nroles = [\"commit\", \"grade\", \"ship\"]\n\
         [[assessor]]\nname = \"office\"\nkey = \"{assessor}\"\nschemes = [\"security-assessment\"]\n"
    )
}

/// The messages of an answer, as they travelled.
type Bytes = Vec<Vec<u8>>;

async fn many<T: Message>(answer: Result<Response<Streaming<T>>, Status>) -> Bytes {
    all(answer).await.unwrap().iter().map(Message::encode_to_vec).collect()
}

fn one<T: Message>(answer: Result<Response<T>, Status>) -> Bytes {
    vec![answer.unwrap().into_inner().encode_to_vec()]
}

/// Asks everything that there is to ask about one node at a size.
async fn about(client: &Client, node: &NodeId, size: u64) -> BTreeMap<String, Bytes> {
    let (Client { mut lineage, mut proofs, .. }, tree_size) = (client.clone(), size);
    let id = || id(node).into();
    let view = v1::NodeView::Full.into();
    let mut answers = BTreeMap::new();
    let get = v1::GetNodeRequest { id: id(), view, tree_size, with_proof: true };
    answers.insert("GetNode", one(lineage.get_node(get).await));
    let batch = v1::BatchGetNodesRequest { ids: vec![id()], view, tree_size, with_proof: true };
    answers.insert("BatchGetNodes", many(lineage.batch_get_nodes(batch).await).await);
    let prefix = v1::ResolvePrefixRequest { hex_prefix: node.to_string()[..1].to_owned(), tree_size };
    answers.insert("ResolvePrefix", one(lineage.resolve_prefix(prefix).await));
    let up = v1::AncestorsRequest { id: id(), tree_size, depth_max: 0, limit: 0 };
    answers.insert("Ancestors", many(lineage.ancestors(up).await).await);
    let down = v1::DescendantsRequest { id: id(), tree_size, depth_max: 0, limit: 0 };
    answers.insert("Descendants", many(lineage.descendants(down).await).await);
    let cut = v1::DescendantsRequest { id: id(), tree_size, depth_max: 2, limit: 3 };
    answers.insert("Descendants, cut", many(lineage.descendants(cut).await).await);
    let impact = v1::ImpactRequest { id: id(), tree_size, limit: 0 };
    answers.insert("Impact", many(lineage.impact(impact).await).await);
    let assesses = v1::SearchRequest { assesses: id(), tree_size, view, ..Default::default() };
    answers.insert("Search by subject", many(lineage.search(assesses).await).await);
    answers.insert("GetStatus", one(proofs.get_status(v1::GetStatusRequest { id: id(), tree_size }).await));
    answers.into_iter().map(|(what, bytes)| (format!("{what} {node}"), bytes)).collect()
}

/// Asks everything else at a size.
async fn whole(client: &Client, lineage: &Lineage, size: u64) -> BTreeMap<String, Bytes> {
    let (Client { lineage: mut questions, mut proofs, .. }, tree_size) = (client.clone(), size);
    let mut answers = BTreeMap::new();
    let everything = v1::SearchRequest { tree_size, ..Default::default() };
    answers.insert("Search", many(questions.search(everything).await).await);
    let named = v1::SearchRequest { name: "camera".to_owned(), tree_size, limit: 1, ..Default::default() };
    answers.insert("Search, cut", many(questions.search(named).await).await);
    let history = v1::NamesRequest { name: "camera".to_owned(), tree_size, view: 0 };
    answers.insert("Names", many(questions.names(history).await).await);
    let (model, source) = (id(&lineage.trained[1]), id(&lineage.sources[0]));
    let paths = v1::PathsRequest { from: model.into(), to: source.into(), tree_size, limit: 0 };
    answers.insert("Paths", many(questions.paths(paths).await).await);
    let inventory = v1::InventoryRequest {
        policy: POLICY.to_owned(),
        today: "2026-06-01".to_owned(),
        tree_size,
        ..Default::default()
    };
    answers.insert("Inventory", many(questions.inventory(inventory).await).await);
    let check = v1::CheckRequest {
        id: id(&lineage.shipments[0]).into(),
        policy: POLICY.to_owned(),
        trust: trust(),
        date: "2027-06-01".to_owned(),
        tree_size,
        ..Default::default()
    };
    answers.insert("Check", one(questions.check(check).await));
    for disclosure in [v1::Disclosure::Minimal, v1::Disclosure::Full] {
        let prove = v1::ProveRequest {
            id: id(&lineage.shipments[0]).into(),
            disclosure: disclosure.into(),
            tree_size,
            chosen: Vec::new(),
            since_sizes: Vec::new(),
        };
        answers.insert(disclosure.as_str_name(), many(proofs.prove(prove).await).await);
    }
    let known = v1::GetCheckpointRequest { tree_size, known_size: 2 };
    answers.insert("GetCheckpoint", one(proofs.get_checkpoint(known).await));
    let included = v1::GetInclusionProofRequest { index: 1, tree_size };
    answers.insert("GetInclusionProof", one(proofs.get_inclusion_proof(included).await));
    let consistent = v1::GetConsistencyProofRequest { old_size: 3, new_size: tree_size };
    answers.insert("GetConsistencyProof", one(proofs.get_consistency_proof(consistent).await));
    let entries = v1::ListEntriesRequest { begin: 0, end: tree_size };
    answers.insert("ListEntries", many(proofs.list_entries(entries).await).await);
    answers.into_iter().map(|(what, bytes)| (what.to_owned(), bytes)).collect()
}

async fn ask(client: &Client, lineage: &Lineage, size: u64) -> BTreeMap<String, Bytes> {
    let mut answers = whole(client, lineage, size).await;
    for node in &lineage.ids {
        answers.extend(about(client, node, size).await);
    }
    answers
}

/// Makes commits that touch all that is asked about: marks, steps, assessments, and names that come again.
fn disturbance(maker: &mut Maker, lineage: &Lineage, number: usize) -> Vec<griptrace_store::record::NodeRecord> {
    let source = lineage.sources[number % 3];
    match number % 5 {
        0 => vec![maker.nodes.status(source, Mark::Reclassify)],
        1 => maker.nodes.train(&format!("m{number}"), &[lineage.derived[1], source], &["model.onnx"]),
        2 => vec![maker.nodes.assessment(&[source])],
        3 => vec![maker.nodes.source("camera"), maker.nodes.shipment(&[lineage.trained[1]])],
        _ => vec![maker.nodes.status(lineage.assessments[0], Mark::Withdraw)],
    }
}

#[test]
fn an_answer_at_a_pinned_size_never_changes() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("never_changes").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let size = *lineage.sizes.last().unwrap();
        let before = ask(&client, &lineage, size).await;
        let committing = tokio::spawn({
            let (client, lineage) = (server.client().await, lineage.clone());
            async move {
                for number in 0..COMMITS {
                    let nodes = disturbance(&mut maker, &lineage, number);
                    maker.commit(&client, &nodes).await;
                }
            }
        });
        let mut times = 0;
        loop {
            let is_last = committing.is_finished();
            let now = ask(&client, &lineage, size).await;
            for (what, answer) in &before {
                assert!(now[what] == *answer, "another answer to {what} at size {size}, the {times}th time");
            }
            times += 1;
            if is_last {
                break;
            }
        }
        committing.await.unwrap();
        assert!(times > 2, "asked {times} times only while commits came in");
        let newest = ask(&client, &lineage, 0).await;
        let same: Vec<_> =
            before.iter().filter(|(what, answer)| newest[*what] == **answer).map(|(what, _)| what).collect();
        assert!(same.iter().all(|what| !what.starts_with("Get")), "the newest answers differ: {same:?}");
    });
}
