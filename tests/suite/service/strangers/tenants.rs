//! Two tenants of one log: neither writes under the other's names, nor sees what is behind them.

use griptrace_core::{cbor::encode, details::slot, id::NodeId, node::Mark, value::Value};
use griptrace_proto::v1;
use griptrace_store::record::NodeRecord;
use griptrace_tests::seed::Seed;
use prost::Message;
use tonic::Code;

use super::{SECRET, Town};
use crate::{
    holding::factory::content_of,
    served::{Client, all, block_on, digest},
    service::contract::{id, policy, trust},
};

#[test]
fn nobody_writes_under_another_ones_names() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("under_another_ones_names").rng()).await;
        let mut north = town.client("north").await;
        let own = [town.maker.nodes.source("north/camera")];
        town.maker.commit(&north, &own).await;
        let size = town.size().await;
        let Town { maker, lineage, secret, .. } = &mut town;
        let cases = [
            ("a data set of the south", vec![maker.nodes.source("south/fake")]),
            ("a name that only looks like the north's", vec![maker.nodes.source("north")]),
            ("a name of nobody", vec![maker.nodes.source("camera")]),
            ("a step of the south", maker.nodes.derive("south/step", &[own[0].id()])),
            ("a model of the south", maker.nodes.train("south/model", &[own[0].id()], &["model.onnx"])),
            ("beside an own one", vec![maker.nodes.source("north/two"), maker.nodes.source("south/two")]),
            ("a mark upon a source", vec![maker.nodes.status(*secret, Mark::Withdraw)]),
            ("a mark upon a model", vec![maker.nodes.status(lineage.trained[1], Mark::Recall)]),
            ("a mark upon an assessment", vec![maker.nodes.status(lineage.assessments[0], Mark::Withdraw)]),
            ("an assessment", vec![maker.nodes.assessment(&[*secret])]),
            ("an assessment beside an own one", vec![maker.nodes.assessment(&[own[0].id(), *secret])]),
            ("a shipment of a model", vec![maker.nodes.shipment(&[lineage.trained[1]])]),
        ];
        for (what, nodes) in cases {
            let refused = north.commits.commit(town.maker.sign(&nodes)).await.expect_err(what);
            town.check(what, &refused, Code::PermissionDenied, "OUT_OF_SCOPE");
        }
        for (what, nodes) in under_own_names(&mut town) {
            let refused = north.commits.commit(town.maker.sign(&nodes)).await.expect_err(what);
            town.check(what, &refused, Code::PermissionDenied, "OUT_OF_SCOPE");
        }
        let unit = vec![town.desk.store().node(&town.secret).unwrap().unwrap().record.to_bytes().into()];
        let refused = north.commits.find_recorded(v1::FindRecordedRequest { unit }).await.unwrap_err();
        town.check("looking for what the south recorded", &refused, Code::PermissionDenied, "OUT_OF_SCOPE");
        assert_eq!(town.size().await, size, "nothing is written");
        let marked = [town.maker.nodes.status(own[0].id(), Mark::Reclassify)];
        town.maker.commit(&north, &marked).await;
    });
}

/// Returns a node under another name, and with another nonce; an assessment without what it opens.
fn renamed(node: &NodeRecord, name: &str) -> NodeRecord {
    let core = node.core().unwrap();
    let mut values = node.values.clone();
    values.insert(slot(core.kind, "name").unwrap(), encode(&Value::text(name)));
    let random = |out: &mut [u8]| out.fill(u8::try_from(name.len()).unwrap());
    NodeRecord::build(core, values, node.manifest.clone(), None, random).unwrap()
}

/// What bears a name of the north's, and is about the south's all the same. The files of another one's model were told
/// when a shipment of it and of an own one was refused, since two of them could not lie in one folder; and a mark
/// upon an own record of another one's assessment counted for that one too.
fn under_own_names(town: &mut Town) -> Vec<(&'static str, Vec<NodeRecord>)> {
    let Town { maker, lineage, desk, .. } = town;
    let guess = maker.nodes.train("north/guess", &[lineage.sources[0]], &["model.onnx"]);
    let shipped = maker.nodes.shipment(&[lineage.trained[1], guess[1].id()]);
    let assessment = desk.store().node(&lineage.assessments[0]).unwrap().unwrap().record;
    let copy = renamed(&assessment, "north/copy");
    let mark = renamed(&maker.nodes.status(copy.id(), Mark::Withdraw), "north/mark");
    let own = renamed(&maker.nodes.source("x"), "north/own");
    let own_and_copy = NodeRecord { subjects: maker.nodes.assessment(&[own.id()]).subjects, ..copy.clone() };
    vec![
        ("a shipment of another one's model", [guess, vec![renamed(&shipped, "north/shipment")]].concat()),
        ("a record of an assessment that opens nothing", vec![copy.clone()]),
        ("a mark upon a record of an assessment", vec![own, own_and_copy, mark]),
    ]
}

#[test]
fn nobody_has_bundles_of_another_ones_models() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("another_ones_models").rng()).await;
        let client = town.maker_client().await;
        let model = town.maker.nodes.train("north/grasp", &[town.secret], &["north.onnx"]);
        town.maker.commit(&client, &model).await;
        let mixed = town.maker.nodes.shipment(&[model[1].id(), town.lineage.trained[1]]);
        town.maker.commit(&client, core::slice::from_ref(&mixed)).await;
        // A shipment has no name unless it is given one: it goes by what it ships.
        let own = town.maker.nodes.shipment(&[model[1].id()]);
        let north = town.client("north").await;
        town.maker.commit(&north, core::slice::from_ref(&own)).await;
        let prove = async |who: &str, node: NodeId, disclosure: v1::Disclosure| {
            let asked = v1::ProveRequest { id: id(&node).into(), disclosure: disclosure.into(), ..Default::default() };
            all(town.client(who).await.proofs.prove(asked).await).await
        };
        let (minimal, full) = (v1::Disclosure::Minimal, v1::Disclosure::Full);
        for node in [town.lineage.trained[1], town.lineage.shipments[0], mixed.id()] {
            for disclosure in [minimal, full] {
                let refused = prove("north", node, disclosure).await.unwrap_err();
                town.check("a bundle of the south's", &refused, Code::PermissionDenied, "OUT_OF_SCOPE");
            }
        }
        for who in ["north", "blind"] {
            for disclosure in [full, v1::Disclosure::Chosen] {
                let refused = prove(who, model[1].id(), disclosure).await.unwrap_err();
                town.check("every detail", &refused, Code::PermissionDenied, "DETAILS_WITHHELD");
            }
        }
        // Every bundle opens the consignee, and the files of what is shipped.
        let refused = prove("blind", model[1].id(), minimal).await.unwrap_err();
        town.check("any detail", &refused, Code::PermissionDenied, "DETAILS_WITHHELD");
        let pieces = prove("north", model[1].id(), minimal).await.unwrap();
        let bundle: Vec<u8> = pieces.iter().flat_map(|piece| piece.piece.to_vec()).collect();
        assert!(!contains(&bundle, SECRET), "what it came from stays closed");
        assert!(contains(&bundle, "north.onnx"), "and what is asked for is opened");
        prove("north", own.id(), minimal).await.unwrap();
        // Who asked for what stands in the trail, refused or not.
        let asked = v1::ListBundleRequestsRequest::default();
        let trail = all(town.client("owner").await.proofs.list_bundle_requests(asked).await).await.unwrap();
        let trail: Vec<_> = trail.into_iter().flat_map(|some| some.requests).collect();
        assert_eq!(trail.iter().filter(|asked| asked.client == "north").count(), 10);
        assert_eq!(trail.iter().filter(|asked| asked.outcome == "made").count(), 2);
    });
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Gathers what every question says about a node, as it travels.
async fn all_that_is_said(client: &Client, node: &NodeId) -> Vec<(&'static str, Vec<u8>)> {
    fn bytes<T: Message>(messages: &[T]) -> Vec<u8> {
        messages.iter().flat_map(Message::encode_to_vec).collect()
    }
    let (mut lineage, mut proofs) = (client.lineage.clone(), client.proofs.clone());
    let (id, view) = (|| id(node).into(), v1::NodeView::Full.into());
    let mut said = Vec::new();
    let get = v1::GetNodeRequest { id: id(), view, tree_size: 0, with_proof: true };
    said.push(("GetNode", bytes(&[lineage.get_node(get).await.unwrap().into_inner()])));
    let batch = v1::BatchGetNodesRequest { ids: vec![id()], view, tree_size: 0, with_proof: true };
    said.push(("BatchGetNodes", bytes(&all(lineage.batch_get_nodes(batch).await).await.unwrap())));
    let search = v1::SearchRequest { view, ..Default::default() };
    said.push(("Search", bytes(&all(lineage.search(search).await).await.unwrap())));
    let names = v1::NamesRequest { name: SECRET.to_owned(), view, tree_size: 0 };
    said.push(("Names", bytes(&all(lineage.names(names).await).await.unwrap())));
    let inventory = v1::InventoryRequest { policy: policy().to_owned(), ..Default::default() };
    said.push(("Inventory", bytes(&all(lineage.inventory(inventory).await).await.unwrap())));
    let status = v1::GetStatusRequest { id: id(), tree_size: 0 };
    said.push(("GetStatus", bytes(&[proofs.get_status(status).await.unwrap().into_inner()])));
    let entries = proofs.list_entries(v1::ListEntriesRequest::default()).await;
    said.push(("ListEntries", bytes(&all(entries).await.unwrap())));
    said
}

async fn check(client: &Client, node: &NodeId) -> Vec<u8> {
    let asked = v1::CheckRequest {
        id: id(node).into(),
        policy: policy().to_owned(),
        trust: trust(),
        destination: "DE".to_owned(),
        ..Default::default()
    };
    client.clone().lineage.check(asked).await.unwrap().into_inner().encode_to_vec()
}

#[test]
fn what_is_behind_another_ones_names_is_told_nobody() {
    block_on(async {
        let town = Town::new(Seed::for_test("is_told_nobody").rng()).await;
        for who in ["north", "blind"] {
            let client = town.client(who).await;
            let may_ask = town.lineage.ids.iter().chain([&town.secret]);
            for node in may_ask {
                for (what, said) in all_that_is_said(&client, node).await {
                    for secret in ["south/", "press-line", "Buyer", "proprietary", "model.onnx"] {
                        assert!(!contains(&said, secret), "{what} of {node} tells {who} of {secret}");
                    }
                }
            }
            for node in [town.lineage.trained[1], town.lineage.shipments[0]] {
                let said = check(&client, &node).await;
                assert!(!contains(&said, "south/") && !contains(&said, "Buyer"), "Check tells {who}");
            }
        }
        // The same questions of one who may know: so the secrets are there to be told.
        let south = all_that_is_said(&town.client("south").await, &town.secret).await;
        let told = |what: &str| south.iter().any(|(question, said)| *question == what && contains(said, SECRET));
        assert!(["GetNode", "BatchGetNodes", "Search", "Names", "Inventory"].into_iter().all(told));
        assert!(!told("ListEntries"), "the log tells nobody");
    });
}

#[test]
fn what_is_withheld_comes_back_redacted_and_never_missing() {
    block_on(async {
        let town = Town::new(Seed::for_test("comes_back_redacted").rng()).await;
        let ids: Vec<_> = town.lineage.ids.iter().map(|node| id(node).into()).collect();
        let asked = v1::BatchGetNodesRequest {
            ids: ids.clone(),
            view: v1::NodeView::Full.into(),
            tree_size: 0,
            with_proof: true,
        };
        let get = async |who: &str| {
            let parts = all(town.client(who).await.lineage.batch_get_nodes(asked.clone()).await).await.unwrap();
            parts.into_iter().flat_map(|part| part.nodes).collect::<Vec<v1::Node>>()
        };
        let whole = get("reader").await;
        assert!(whole.iter().all(|node| !node.redacted && !node.record.is_empty()));
        for who in ["north", "blind"] {
            let redacted = get(who).await;
            assert!(redacted.iter().map(|node| &node.id).eq(&ids), "none is missing");
            for (node, whole) in redacted.into_iter().zip(&whole) {
                let expected = v1::Node {
                    redacted: true,
                    name: String::new(),
                    details: Vec::new(),
                    record: Vec::new().into(),
                    ..whole.clone()
                };
                assert_eq!(node, expected, "all but what is private, the details root among it");
                assert_eq!(node.details_root.len(), 32);
            }
        }
        let core = v1::BatchGetNodesRequest { view: v1::NodeView::Core.into(), ..asked.clone() };
        for who in ["reader", "owner", "north"] {
            let parts = all(town.client(who).await.lineage.batch_get_nodes(core.clone()).await).await.unwrap();
            for node in parts.iter().flat_map(|part| &part.nodes) {
                assert!(node.details.is_empty() && node.record.is_empty() && !node.redacted, "{who}");
            }
        }
    });
}

#[test]
fn nothing_is_found_by_what_the_caller_may_not_see() {
    block_on(async {
        let town = Town::new(Seed::for_test("may_not_see").rng()).await;
        let detail = |name: &str, text: &str| [(name.to_owned(), text.to_owned())].into();
        let by = [
            v1::SearchRequest { name: SECRET.to_owned(), ..Default::default() },
            v1::SearchRequest { details: detail("licence", "proprietary"), ..Default::default() },
            v1::SearchRequest { details: detail("consignee", "Buyer"), ..Default::default() },
            v1::SearchRequest { content: content_of(SECRET).as_bytes().to_vec().into(), ..Default::default() },
        ];
        let search = async |who: &str, asked: &v1::SearchRequest| {
            let parts = all(town.client(who).await.lineage.search(asked.clone()).await).await.unwrap();
            parts.into_iter().flat_map(|part| part.nodes).map(|node| NodeId::new(digest(&node.id))).collect::<Vec<_>>()
        };
        for asked in &by {
            assert!(!search("owner", asked).await.is_empty(), "{asked:?}");
            for who in ["north", "blind"] {
                assert_eq!(search(who, asked).await, [], "{who} asks {asked:?}");
            }
        }
        let kind = v1::SearchRequest { kind: v1::NodeKind::Dataset.into(), ..Default::default() };
        assert_eq!(search("north", &kind).await, search("owner", &kind).await, "cores are everybody's");
    });
}

/// A place in the list of all that has a content told how many of those are another one's.
#[test]
fn where_a_search_goes_on_tells_nothing_of_what_may_not_be_seen() {
    block_on(async {
        let mut town = Town::new(Seed::for_test("where_a_search_goes_on").rng()).await;
        let north = town.client("north").await;
        // Of the content that the south has, and of one that nobody else has.
        let same = renamed(&town.desk.store().node(&town.secret).unwrap().unwrap().record, "north/same");
        let other = town.maker.nodes.source("north/other");
        let mut answers = Vec::new();
        for (node, content) in [(same, SECRET), (other, "north/other")] {
            town.maker.commit(&north, &[node]).await;
            let size = town.size().await;
            let asked = async |position: u64| {
                let content = content_of(content).as_bytes().to_vec().into();
                let page_token = format!("{size}.{position}");
                let asked = v1::SearchRequest { content, page_token, ..Default::default() };
                let parts = all(north.clone().lineage.search(asked).await).await.unwrap();
                parts.into_iter().flat_map(|part| part.nodes).count()
            };
            answers.push([asked(0).await, asked(1).await, asked(2).await]);
        }
        assert_eq!(answers[0], answers[1], "the south has the first one too");
    });
}
