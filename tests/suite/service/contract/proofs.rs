//! `ProofService`: nothing has to be believed that was only told.

use std::collections::BTreeSet;

use griptrace_core::{
    bundle::bundle_digest,
    checkpoint::Checkpoint,
    date::Date,
    entry::{Entry, genesis_hash},
    id::NodeId,
    node::{Kind, Mark},
    tree::{Frontier, Rfc9162},
    word::Country,
};
use griptrace_proto::v1;
use griptrace_store::{Chosen, Disclose, ProveOptions};
use griptrace_tests::seed::Seed;
use griptrace_verifier::{
    known::Known,
    policy,
    question::{ModelInHand, Question},
    report::Report,
    trust,
    verify::verify,
};
use tonic::Code;

use super::{pinned, questions::id};
use crate::{
    holding::factory::{ORIGIN, log_signer},
    served::{
        Client, Desk, Lineage, Maker, all, block_on, checkpoint, digest, now, reason, verify_consistent,
        verify_included, verify_node, verify_status,
    },
};

async fn checkpoint_of(client: &Client, tree_size: u64) -> Checkpoint {
    let asked = v1::GetCheckpointRequest { tree_size, known_size: 0 };
    let answer = client.clone().proofs.get_checkpoint(asked).await.unwrap().into_inner();
    let checkpoint = checkpoint(&answer.checkpoint);
    assert_eq!(checkpoint.size, answer.tree_size);
    assert!(tree_size == 0 || tree_size == checkpoint.size);
    checkpoint
}

#[test]
fn the_log_says_which_it_is() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let answer = server.client().await.proofs.get_log(v1::GetLogRequest {}).await.unwrap().into_inner();
        assert_eq!((answer.origin.as_str(), answer.vkey), (ORIGIN, log_signer().verifier().to_vkey()));
        assert_eq!(genesis_hash(&answer.genesis), desk.home());
    });
}

#[test]
fn every_node_is_proven_under_every_checkpoint_from_its_own_on() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("under_every_checkpoint").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        for size in &lineage.sizes {
            let checkpoint = checkpoint_of(&client, *size).await;
            for node in &lineage.ids {
                let asked = v1::GetNodeRequest { id: id(node).into(), view: 2, tree_size: *size, with_proof: true };
                let answer = client.clone().lineage.get_node(asked).await;
                let is_there = desk.store().node(node).unwrap().unwrap().index < *size;
                match answer {
                    Ok(answer) => verify_node(answer.into_inner().node.as_ref().unwrap(), &checkpoint),
                    Err(status) => assert_eq!(reason(&status), (Code::NotFound, "NO_NODE".to_owned())),
                }
                let asked = v1::GetNodeRequest { id: id(node).into(), view: 1, tree_size: *size, with_proof: false };
                assert_eq!(client.clone().lineage.get_node(asked).await.is_ok(), is_there, "{node} at {size}");
            }
        }
        let ids: Vec<_> = lineage.ids.iter().rev().map(|node| id(node).into()).collect();
        let asked = v1::BatchGetNodesRequest { ids: ids.clone(), view: 2, tree_size: 0, with_proof: true };
        let parts = all(client.clone().lineage.batch_get_nodes(asked).await).await.unwrap();
        let newest = checkpoint_of(&client, 0).await;
        let nodes: Vec<&v1::Node> = parts.iter().flat_map(|part| &part.nodes).collect();
        nodes.iter().for_each(|node| verify_node(node, &newest));
        assert!(nodes.iter().map(|node| &node.id).eq(&ids), "in the order of the request");
    });
}

/// Statuses are those that the public log shows, and no other, at every size that was signed.
#[test]
fn every_status_is_proven_and_that_there_is_none_too() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("status_is_proven").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let marked = [lineage.sources[1], lineage.assessments[0]];
        let (mut present, mut absent) = (0, 0);
        for size in &lineage.sizes {
            let checkpoint = checkpoint_of(&client, *size).await;
            for node in &lineage.ids {
                let asked = v1::GetStatusRequest { id: id(node).into(), tree_size: *size };
                let Ok(answer) = client.clone().proofs.get_status(asked).await else { continue };
                let statuses = verify_status(&answer.into_inner(), &checkpoint);
                let place = marked.iter().position(|marked| marked == node);
                let mark = place.map(|place| lineage.marks[place]);
                let is_marked = mark.is_some_and(|mark| desk.store().node(&mark).unwrap().unwrap().index < *size);
                let expected: Vec<NodeId> = mark.filter(|_| is_marked).into_iter().collect();
                assert_eq!(statuses, expected, "{node} at {size}");
                *(if is_marked { &mut present } else { &mut absent }) += 1;
            }
        }
        assert_eq!(present, 3 + 2, "each mark at its own size and those after it");
        assert!(absent > 20, "{absent} times no status");
    });
}

#[test]
fn the_log_only_grows_and_every_entry_is_in_it() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("only_grows").rng());
        let mut client = server.client().await;
        for number in 0..20 {
            let batch = maker.nodes.batch(&format!("b{number}"), 2, &[]);
            maker.commit(&client, &batch).await;
        }
        let parts = all(client.proofs.list_entries(v1::ListEntriesRequest::default()).await).await.unwrap();
        let entries: Vec<_> = parts.into_iter().flat_map(|part| part.entries).collect();
        let mut tree = Frontier::new(Rfc9162);
        let mut roots = Vec::new();
        for entry in &entries {
            tree.push(Rfc9162::leaf_hash(entry)).unwrap();
            let (size, root) = (tree.size().get(), tree.root().unwrap());
            roots.push(Checkpoint::new(ORIGIN, size, root).unwrap());
        }
        assert_eq!(checkpoint_of(&client, 0).await, *roots.last().unwrap(), "the root is that of the entries");
        for (place, new) in roots.iter().enumerate() {
            for old in &roots[..=place] {
                let asked = v1::GetConsistencyProofRequest { old_size: old.size, new_size: new.size };
                let proof = client.proofs.get_consistency_proof(asked).await.unwrap().into_inner();
                verify_consistent(old, new, &proof.consistency);
                let asked = v1::GetInclusionProofRequest { index: old.size - 1, tree_size: new.size };
                let proof = client.proofs.get_inclusion_proof(asked).await.unwrap().into_inner();
                let leaf = Rfc9162::leaf_hash(&entries[usize::try_from(old.size - 1).unwrap()]);
                assert_eq!(digest(&proof.leaf_hash), leaf);
                verify_included(&leaf, old.size - 1, &proof.log_path, new);
            }
            let is_head = matches!(Entry::parse(&entries[place]), Ok(Entry::StatusHead(_)));
            let asked = v1::GetCheckpointRequest { tree_size: new.size, known_size: 2.min(new.size) };
            match client.proofs.get_checkpoint(asked).await {
                Ok(answer) => {
                    assert!(is_head, "a status head is the last leaf under every checkpoint");
                    let answer = answer.into_inner();
                    assert_eq!(checkpoint(&answer.checkpoint), *new);
                    verify_consistent(&roots[1.min(place)], new, &answer.consistency);
                }
                Err(status) => {
                    assert!(!is_head, "{status}");
                    assert_eq!(reason(&status), (Code::FailedPrecondition, "NO_CHECKPOINT".to_owned()));
                }
            }
        }
    });
}

async fn prove(client: &Client, node: &NodeId, disclosure: v1::Disclosure, tree_size: u64) -> Vec<u8> {
    prove_since(client, node, disclosure, tree_size, &[]).await
}

async fn prove_since(
    client: &Client,
    node: &NodeId,
    disclosure: v1::Disclosure,
    tree_size: u64,
    since: &[u64],
) -> Vec<u8> {
    let (since_sizes, disclosure) = (since.to_vec(), disclosure.into());
    let asked = v1::ProveRequest { id: id(node).into(), disclosure, tree_size, since_sizes, chosen: Vec::new() };
    let pieces = all(client.clone().proofs.prove(asked).await).await.unwrap();
    let bundle: Vec<u8> = pieces.iter().flat_map(|piece| piece.piece.to_vec()).collect();
    assert_eq!(pieces[0].total_bytes, u64::try_from(bundle.len()).unwrap());
    bundle
}

fn judged(bundle: &[u8]) -> Report {
    let trust = trust::parse("trust.toml", &pinned::trust()).unwrap();
    let policy = policy::parse("policy.toml", pinned::policy()).unwrap();
    let question = Question {
        now: Date::parse("2027-06-01").unwrap(),
        destination: Country::parse("DE"),
        consignee: None,
        purposes: Vec::new(),
        model: ModelInHand::NotGiven,
        known: Known::default(),
    };
    verify(bundle, &trust, &policy, &question).unwrap()
}

#[test]
fn a_bundle_is_that_of_the_store_and_its_verdict_is_that_of_check() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("a_bundle_is").rng());
        let mut client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let withdrawal = maker.nodes.status(lineage.sources[0], Mark::Withdraw);
        maker.commit(&client, &[withdrawal]).await;
        let store = desk.store();
        let mut verdicts = BTreeSet::new();
        let mut made = Vec::new();
        // Before a source was withdrawn, and after.
        let sizes = [*lineage.sizes.last().unwrap(), store.size()];
        for (node, size) in
            [(lineage.shipments[0], sizes[0]), (lineage.shipments[0], sizes[1]), (lineage.trained[1], lineage.sizes[3])]
        {
            for (disclosure, disclose) in
                [(v1::Disclosure::Minimal, Disclose::Minimal), (v1::Disclosure::Full, Disclose::All)]
            {
                let bundle = prove(&client, &node, disclosure, size).await;
                let own =
                    store.prove(&node, &ProveOptions { disclose, at: Some(size), ..ProveOptions::default() }).unwrap();
                assert!(bundle == own, "{node} at {size}");
                made.push((node, bundle_digest(&bundle)));
            }
            let since = vec![lineage.sizes[0]];
            let grown = prove_since(&client, &node, v1::Disclosure::Minimal, size, &since).await;
            let own = store.prove(&node, &ProveOptions { at: Some(size), since, ..ProveOptions::default() }).unwrap();
            assert!(grown == own && grown.len() > prove(&client, &node, v1::Disclosure::Minimal, size).await.len());
            made.extend(
                [grown, store.prove(&node, &ProveOptions { at: Some(size), ..ProveOptions::default() }).unwrap()]
                    .map(|bundle| (node, bundle_digest(&bundle))),
            );
            let own = store
                .prove(&node, &ProveOptions { disclose: Disclose::All, at: Some(size), ..ProveOptions::default() })
                .unwrap();
            let (report, asked) = (judged(&own), check(&node, size));
            let answer = client.lineage.check(asked).await.unwrap().into_inner();
            let verdict = if report.shipment.is_some() { report.verdict } else { report.now.verdict };
            assert_eq!(answer.verdict, verdict.as_str());
            let codes: BTreeSet<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
            assert!(answer.findings.iter().all(|finding| codes.contains(finding.code.as_str())));
            assert_eq!(answer.blocks, !answer.findings.is_empty());
            verdicts.insert(answer.verdict);
        }
        let (model, size) = (lineage.trained[1], lineage.sizes[3]);
        let bundle = prove_chosen(&client, &model, &chosen(&lineage.sources[0]), size).await.unwrap();
        let nodes = [(lineage.sources[0], vec![8])].into();
        let own = Chosen { kinds: [(Kind::Dataset, vec![0])].into(), nodes };
        assert!(
            bundle
                == store
                    .prove(
                        &model,
                        &ProveOptions { disclose: Disclose::Chosen(own), at: Some(size), ..ProveOptions::default() }
                    )
                    .unwrap()
        );
        made.push((model, bundle_digest(&bundle)));
        assert!(verdicts.len() > 1 && verdicts.contains("WITHDRAWN"), "{verdicts:?}");
        let trail = client.proofs.list_bundle_requests(v1::ListBundleRequestsRequest { time_from: now() - 600 }).await;
        let trail: Vec<_> = all(trail).await.unwrap().into_iter().flat_map(|some| some.requests).collect();
        let told: Vec<_> =
            trail.iter().map(|request| (NodeId::new(digest(&request.id)), digest(&request.digest))).collect();
        assert_eq!(told, made, "each bundle that left is in the trail");
        assert!(trail.iter().all(|request| request.client == "local" && request.outcome == "made"));
        assert_eq!(trail.last().unwrap().disclosure(), v1::Disclosure::Chosen);
    });
}

#[test]
fn what_is_chosen_badly_is_refused() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("what_is_chosen_badly").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let model = lineage.trained[1];
        let good = chosen(&lineage.sources[0]);
        prove_chosen(&client, &model, &good, 0).await.unwrap();
        let with = |change: fn(&mut v1::ChosenDetails)| {
            let mut all = good.clone();
            change(&mut all[0]);
            all
        };
        for (what, bad) in [
            ("a slot beyond", with(|one| one.slots.push(32))),
            ("a kind that is none", with(|one| one.kind = 99)),
            ("neither kind nor node", with(|one| one.kind = 0)),
            ("both", with(|one| one.id = vec![1; 32].into())),
            ("a short id", with(|one| (one.kind, one.id) = (0, vec![1; 31].into()))),
            ("twice", [good.clone(), good.clone()].concat()),
        ] {
            let status = prove_chosen(&client, &model, &bad, 0).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status}");
        }
        let asked = v1::ProveRequest { id: id(&model).into(), chosen: good, ..Default::default() };
        let status = all(client.clone().proofs.prove(asked).await).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "chosen, and not asked for: {status}");
    });
}

/// The names of data sets, and of one of them the licence in its place.
fn chosen(source: &NodeId) -> Vec<v1::ChosenDetails> {
    let kind = v1::NodeKind::Dataset.into();
    vec![
        v1::ChosenDetails { kind, slots: vec![0], ..Default::default() },
        v1::ChosenDetails { id: id(source).into(), slots: vec![8], ..Default::default() },
    ]
}

async fn prove_chosen(
    client: &Client,
    node: &NodeId,
    chosen: &[v1::ChosenDetails],
    tree_size: u64,
) -> Result<Vec<u8>, tonic::Status> {
    let disclosure = v1::Disclosure::Chosen.into();
    let (id, chosen) = (id(node).into(), chosen.to_vec());
    let asked = v1::ProveRequest { id, disclosure, tree_size, chosen, since_sizes: Vec::new() };
    let pieces = all(client.clone().proofs.prove(asked).await).await?;
    Ok(pieces.iter().flat_map(|piece| piece.piece.to_vec()).collect())
}

fn check(node: &NodeId, tree_size: u64) -> v1::CheckRequest {
    v1::CheckRequest {
        id: id(node).into(),
        policy: pinned::policy().to_owned(),
        trust: pinned::trust(),
        destination: "DE".to_owned(),
        date: "2027-06-01".to_owned(),
        purposes: Vec::new(),
        tree_size,
    }
}
