//! `LineageService`: what the store itself answers, whole, and said to be cut where it is.

use std::collections::BTreeSet;

use griptrace_core::{
    id::NodeId,
    node::{Kind, Mark},
};
use griptrace_proto::v1;
use griptrace_store::{Direction, Found, Store, Walk, WalkOptions};
use griptrace_tests::seed::Seed;
use tonic::Status;

use crate::{
    holding::factory::content_of,
    served::{Client, Desk, Lineage, Maker, all, block_on, checkpoint, digest, verify_node},
};

/// Returns an id as it travels.
pub(in crate::service) fn id(id: &NodeId) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// What a walk found, and whether it said that it was cut: in its last message alone.
type Walked = (Vec<(NodeId, i32, u64)>, bool);

fn walked<T>(messages: Vec<T>, of: impl Fn(T) -> (Vec<v1::Found>, bool)) -> Walked {
    let (mut nodes, mut cuts) = (Vec::new(), Vec::new());
    for message in messages {
        let (found, cut) = of(message);
        nodes.extend(found.iter().map(|found| (NodeId::new(digest(&found.id)), found.kind, found.depth)));
        cuts.push(cut);
    }
    let last = cuts.pop().expect("there is a last message");
    assert!(!cuts.contains(&true), "only the last message says so");
    (nodes, last)
}

async fn ancestors(client: &Client, from: &NodeId, depth_max: u64, limit: u64) -> Result<Walked, Status> {
    let asked = v1::AncestorsRequest { id: id(from).into(), tree_size: 0, depth_max, limit };
    let messages = all(client.clone().lineage.ancestors(asked).await).await?;
    Ok(walked(messages, |message| (message.nodes, message.cut)))
}

async fn descendants(client: &Client, from: &NodeId, depth_max: u64, limit: u64) -> Result<Walked, Status> {
    let asked = v1::DescendantsRequest { id: id(from).into(), tree_size: 0, depth_max, limit };
    let messages = all(client.clone().lineage.descendants(asked).await).await?;
    Ok(walked(messages, |message| (message.nodes, message.cut)))
}

async fn impact(client: &Client, from: &NodeId, limit: u64) -> Result<Walked, Status> {
    let asked = v1::ImpactRequest { id: id(from).into(), tree_size: 0, limit };
    let messages = all(client.clone().lineage.impact(asked).await).await?;
    Ok(walked(messages, |message| (message.nodes, message.cut)))
}

async fn paths(client: &Client, from: &NodeId, to: &NodeId, limit: u32) -> (Vec<Vec<NodeId>>, bool) {
    let asked = v1::PathsRequest { from: id(from).into(), to: id(to).into(), tree_size: 0, limit };
    let messages = all(client.clone().lineage.paths(asked).await).await.unwrap();
    let cut = messages.last().is_some_and(|last| last.cut);
    let path = |message: &v1::PathsResponse| message.ids.iter().map(|id| NodeId::new(digest(id))).collect();
    (messages.iter().map(path).collect(), cut)
}

/// Answers a walk by the store's own interface.
fn own(store: &Store, from: &NodeId, direction: Direction, kinds: &[Kind]) -> Vec<(NodeId, i32, u64)> {
    let options = WalkOptions { kinds: kinds.to_vec(), ..WalkOptions::new(direction, None) };
    let mut walk: Walk = store.walk(*from, &options).unwrap();
    let mut found: Vec<Found> = Vec::new();
    while let Some(some) = walk.step(1000).unwrap() {
        found.extend(some);
    }
    found.iter().map(|found| (found.id, i32::from(found.kind.number()), found.depth)).collect()
}

#[test]
fn every_node_is_answered_as_by_the_store_itself() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("as_by_the_store_itself").rng());
        let client = server.client().await;
        let mut lineage = Lineage::commit(&client, &mut maker).await;
        let batch = maker.nodes.batch("more", 40, &lineage.sources);
        maker.commit(&client, &batch).await;
        lineage.ids.extend(batch.iter().map(griptrace_store::record::NodeRecord::id));
        let store = desk.store();
        for node in &lineage.ids {
            compare_node(&client, &store, node).await;
            let (nodes, cut) = ancestors(&client, node, 0, 0).await.unwrap();
            assert_eq!((nodes, cut), (own(&store, node, Direction::Ancestors, &[]), false));
            let (nodes, cut) = descendants(&client, node, 0, 0).await.unwrap();
            assert_eq!((nodes, cut), (own(&store, node, Direction::Descendants, &[]), false));
            let (nodes, cut) = impact(&client, node, 0).await.unwrap();
            let shipped = [Kind::Model, Kind::Shipment];
            assert_eq!((nodes, cut), (own(&store, node, Direction::Descendants, &shipped), false));
            for to in &lineage.sources {
                let expected = store.paths(node, to, 100, None).unwrap();
                assert_eq!(paths(&client, node, to, 0).await, (expected.paths, expected.cut));
            }
        }
    });
}

async fn compare_node(client: &Client, store: &Store, node: &NodeId) {
    let expected = store.node(node).unwrap().unwrap();
    let view = v1::NodeView::Full.into();
    let asked = v1::GetNodeRequest { id: id(node).into(), view, tree_size: 0, with_proof: true };
    let answer = client.clone().lineage.get_node(asked).await.unwrap().into_inner();
    let found = answer.node.unwrap();
    assert_eq!(answer.tree_size, store.size());
    verify_node(&found, &checkpoint(&store.checkpoint()));
    assert_eq!((found.record.as_ref(), found.index), (expected.record.to_bytes().as_slice(), expected.index));
    assert_eq!(found.details.len(), expected.record.values.len());
    assert!(!found.redacted);
    let hex = node.to_string();
    for digits in [4, 6, 64] {
        let asked = v1::ResolvePrefixRequest { hex_prefix: hex[..digits].to_owned(), tree_size: 0 };
        let ids = client.clone().lineage.resolve_prefix(asked).await.unwrap().into_inner().ids;
        assert!(ids.contains(&id(node).into()), "{hex} by {digits} digits");
        assert!(ids.iter().all(|id| NodeId::new(digest(id)).to_string().starts_with(&hex[..digits])));
        assert!(digits < 64 || ids.len() == 1);
    }
}

/// A depth or a number that is asked for leaves something out, or it does not, and the answer says which.
#[test]
fn what_a_limit_cuts_is_said_to_be_cut_and_nothing_else_is() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("said_to_be_cut").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let mut cuts = 0;
        for node in &lineage.ids {
            let (up, _) = ancestors(&client, node, 0, 0).await.unwrap();
            let (down, _) = descendants(&client, node, 0, 0).await.unwrap();
            let (struck, _) = impact(&client, node, 0).await.unwrap();
            for most in 1..=8_u64 {
                let first = |found: &[(NodeId, i32, u64)]| {
                    let count = usize::try_from(most).unwrap();
                    (found.iter().copied().take(count).collect::<Vec<_>>(), found.len() > count)
                };
                assert_eq!(ancestors(&client, node, 0, most).await.unwrap(), first(&up), "{node} {most}");
                assert_eq!(descendants(&client, node, 0, most).await.unwrap(), first(&down), "{node} {most}");
                assert_eq!(impact(&client, node, most).await.unwrap(), first(&struck), "{node} {most}");
                let near = |found: &[(NodeId, i32, u64)]| {
                    let near: Vec<_> = found.iter().copied().filter(|(.., depth)| *depth <= most).collect();
                    let cut = near.len() < found.len();
                    (near, cut)
                };
                assert_eq!(ancestors(&client, node, most, 0).await.unwrap(), near(&up), "{node} to depth {most}");
                assert_eq!(descendants(&client, node, most, 0).await.unwrap(), near(&down), "{node} to depth {most}");
                cuts += u64::from(near(&up).1) + u64::from(first(&down).1);
            }
        }
        assert!(cuts > 10, "the limits cut {cuts} times only");
    });
}

#[test]
fn ways_beyond_a_limit_are_said_to_be_there() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("ways_beyond").rng());
        let client = server.client().await;
        // Each layer doubles the ways: 2, 4, 8, 16.
        let source = maker.nodes.source("source");
        let (mut nodes, mut layer) = (vec![source.clone()], vec![source.id()]);
        for depth in 0..4 {
            let (one, two) =
                (maker.nodes.derive(&format!("a{depth}"), &layer), maker.nodes.derive(&format!("b{depth}"), &layer));
            layer = vec![one[1].id(), two[1].id()];
            nodes.extend(one.into_iter().chain(two));
        }
        maker.commit(&client, &nodes).await;
        let (whole, cut) = paths(&client, &layer[0], &source.id(), 0).await;
        assert_eq!((whole.iter().collect::<BTreeSet<_>>().len(), whole.len(), cut), (8, 8, false));
        for limit in 1..=9_u32 {
            let (some, cut) = paths(&client, &layer[0], &source.id(), limit).await;
            assert_eq!((some.len(), cut), (usize::try_from(limit.min(8)).unwrap(), limit < 8));
            assert!(some.iter().all(|path| whole.contains(path)));
        }
        assert_eq!(paths(&client, &source.id(), &layer[0], 0).await, (Vec::new(), false), "not the other way");
    });
}

#[test]
fn a_chain_of_two_thousand_steps_is_answered_whole() {
    const STEPS: usize = 2000;
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("two_thousand_steps").rng());
        let client = server.client().await;
        let source = maker.nodes.source("source");
        maker.commit(&client, core::slice::from_ref(&source)).await;
        let (mut nodes, mut last) = (Vec::new(), source.id());
        for number in 0..STEPS {
            let made = maker.nodes.derive(&format!("step {number}"), &[last]);
            last = made[1].id();
            nodes.extend(made);
        }
        let trained = maker.nodes.train("grasp", &[last], &["model.onnx"]);
        nodes.extend(trained.clone());
        // What a step generated is in the same commit: an even number.
        for some in nodes.chunks(400) {
            maker.commit(&client, some).await;
        }
        let model = trained[1].id();
        let (up, cut) = ancestors(&client, &model, 0, 0).await.unwrap();
        assert_eq!((up.len(), up.last().map(|last| last.2), cut), (2 * STEPS + 2, Some(4002), false));
        let (down, cut) = descendants(&client, &source.id(), 0, 0).await.unwrap();
        assert_eq!((down.len(), cut), (2 * STEPS + 2, false));
        let (struck, cut) = impact(&client, &source.id(), 0).await.unwrap();
        assert_eq!((struck, cut), (vec![(model, 3, 4002)], false));
        let (ways, cut) = paths(&client, &model, &source.id(), 0).await;
        assert_eq!((ways.len(), ways[0].len(), cut), (1, 4003, false));
        let (near, cut) = ancestors(&client, &model, 4001, 0).await.unwrap();
        assert_eq!((near.len(), cut), (2 * STEPS + 1, true), "one edge too few");
    });
}

/// An assessment stands for its subjects: whoever withdraws it asks what it struck.
#[test]
fn the_impact_of_an_assessment_reaches_what_stands_on_its_subjects() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("impact_of_an_assessment").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let apart = maker.nodes.source("apart");
        let mut others = maker.nodes.train("other", &[apart.id()], &["other.onnx"]);
        others.push(apart);
        maker.commit(&client, &others).await;
        let (struck, cut) = impact(&client, &lineage.assessments[0], 0).await.unwrap();
        let struck: Vec<NodeId> = struck.into_iter().map(|(id, ..)| id).collect();
        assert_eq!((struck, cut), (vec![lineage.trained[1], lineage.shipments[0]], false));
    });
}

async fn search(client: &Client, asked: v1::SearchRequest) -> (Vec<NodeId>, bool, String) {
    let messages = all(client.clone().lineage.search(asked).await).await.unwrap();
    let (cut, token) = messages.last().map(|last| (last.cut, last.next_page_token.clone())).unwrap();
    let nodes = messages.iter().flat_map(|message| &message.nodes).map(|node| NodeId::new(digest(&node.id))).collect();
    (nodes, cut, token)
}

#[test]
fn pages_of_a_search_are_the_whole_answer() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("pages_of_a_search").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        for number in 0..20 {
            let mut nodes = maker.nodes.batch(&format!("b{number}"), 4, &lineage.sources);
            nodes.push(maker.nodes.source("camera"));
            maker.commit(&client, &nodes).await;
        }
        let filters = [
            v1::SearchRequest::default(),
            v1::SearchRequest { kind: v1::NodeKind::Dataset.into(), ..Default::default() },
            v1::SearchRequest { name: "camera".to_owned(), ..Default::default() },
            v1::SearchRequest { modality: "visual".to_owned(), country: "CN".to_owned(), ..Default::default() },
            v1::SearchRequest { content: content_of("camera").as_bytes().to_vec().into(), ..Default::default() },
            v1::SearchRequest { assesses: id(&lineage.sources[0]).into(), ..Default::default() },
        ];
        for asked in filters {
            let (whole, cut, token) = search(&client, asked.clone()).await;
            assert!(!whole.is_empty() && !cut && token.is_empty(), "{asked:?}");
            for limit in [1, 7, 30] {
                let mut pages: Vec<NodeId> = Vec::new();
                let mut page_token = String::new();
                loop {
                    let asked = v1::SearchRequest { limit, page_token, ..asked.clone() };
                    let (page, cut, token) = search(&client, asked).await;
                    assert!(page.len() <= usize::try_from(limit).unwrap());
                    assert_eq!(cut, !token.is_empty());
                    if pages.is_empty() {
                        // What comes in between does not belong to the answer.
                        let late = maker.nodes.source("camera");
                        maker.commit(&client, &[late]).await;
                    }
                    pages.extend(page);
                    page_token = token;
                    if !cut {
                        break;
                    }
                }
                let unlimited = search(&client, asked.clone()).await.0;
                assert!(pages.starts_with(&whole), "in log order, and each once: {asked:?} in pages of {limit}");
                assert!(unlimited.starts_with(&pages), "later ones come later: {asked:?}");
            }
        }
    });
}

/// A search by name passed over the filter by subject: one index was asked, and the other filter forgotten.
#[test]
fn every_filter_of_a_search_lets_through_what_it_says() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("every_filter").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let time = desk.store().node(&lineage.ids[0]).unwrap().unwrap().time;
        let key = griptrace_core::key::Signer::public_key(&crate::holding::factory::committer()).id();
        let asked = v1::SearchRequest::default;
        let detail = |name: &str, text: &str| [(name.to_owned(), text.to_owned())].into();
        let (sources, everything) = (&lineage.sources, &lineage.ids);
        let sorted = everything[..3].to_vec();
        let found = async |asked: v1::SearchRequest| search(&client, asked).await.0;
        assert_eq!(found(asked()).await, *everything);
        assert_eq!(found(v1::SearchRequest { kind: 3, ..asked() }).await, [lineage.trained[1]]);
        assert_eq!(found(v1::SearchRequest { grade: "important".into(), ..asked() }).await, sorted);
        assert_eq!(found(v1::SearchRequest { modality: "visual".into(), ..asked() }).await, sorted);
        let german = [lineage.trained[1], lineage.shipments[0]];
        assert_eq!(found(v1::SearchRequest { country: "DE".into(), ..asked() }).await, german);
        assert_eq!(found(v1::SearchRequest { name: "force".into(), ..asked() }).await, [sources[1]]);
        let buyer = v1::SearchRequest { details: detail("consignee", "Buyer"), ..asked() };
        assert_eq!(found(buyer).await, lineage.shipments);
        let licence = v1::SearchRequest { details: detail("licence", "proprietary"), ..asked() };
        assert_eq!(found(licence).await, sorted);
        let label = content_of("labels.txt").as_bytes().to_vec();
        assert_eq!(found(v1::SearchRequest { content: label.into(), ..asked() }).await, [lineage.trained[1]]);
        let assesses = v1::SearchRequest { assesses: id(&sources[1]).into(), ..asked() };
        assert_eq!(found(assesses).await, lineage.assessments);
        assert_eq!(found(v1::SearchRequest { assesses: id(&sources[2]).into(), ..asked() }).await, []);
        let own = v1::SearchRequest { committer: key.as_bytes().to_vec().into(), ..asked() };
        assert_eq!(found(own).await, *everything);
        let other = v1::SearchRequest { committer: vec![7; 32].into(), ..asked() };
        assert_eq!(found(other).await, []);
        assert_eq!(found(v1::SearchRequest { time_to: time, ..asked() }).await, []);
        assert_eq!(found(v1::SearchRequest { time_from: time, time_to: time + 600, ..asked() }).await, *everything);
        let both = v1::SearchRequest { name: "force".into(), country: "DE".into(), ..asked() };
        assert_eq!(found(both).await, [], "a node has to meet all");
        let both = v1::SearchRequest { name: "force".into(), assesses: id(&sources[0]).into(), ..asked() };
        assert_eq!(found(both).await, [], "an assessment has no such name");
    });
}

#[test]
fn a_name_has_its_whole_history_oldest_first() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("history").rng());
        let client = server.client().await;
        let mut expected = Vec::new();
        for number in 0..12 {
            let node = maker.nodes.source("camera");
            let other = maker.nodes.source("another");
            maker.commit(&client, &[node.clone(), other]).await;
            expected.push(node.id());
            if number == 5 {
                let mark = maker.nodes.status(node.id(), Mark::Withdraw);
                maker.commit(&client, &[mark]).await;
            }
        }
        let asked = v1::NamesRequest { name: "camera".to_owned(), ..Default::default() };
        let parts = all(client.clone().lineage.names(asked).await).await.unwrap();
        let nodes: Vec<NodeId> =
            parts.iter().flat_map(|part| &part.nodes).map(|node| NodeId::new(digest(&node.id))).collect();
        assert_eq!(nodes, expected);
    });
}
