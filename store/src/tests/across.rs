//! Bundles over several companies' logs. That they verify is tested with the verifier, in tests/suite.

use std::collections::BTreeSet;

use griptrace_core::{
    bundle::{Bundle, LogPart},
    id::NodeId,
    key_change::KeyUse,
    node::{Kind, Mark, node_id},
};

use super::{
    keys::{key, rotation},
    world::{NOW, World},
};
use crate::{AdoptError, Disclose, ProveError, ProveOptions};

/// Replaces a committer's key.
fn rotate(world: &World, old: u8, new: u8) -> u64 {
    let entry = rotation(world.home(), KeyUse::Committer, &key(old), &key(new));
    world.store.change_key(&entry, None, NOW).unwrap().index
}

/// A supplier that made a model out of assessed data, and shipped it; and what it made beside that.
pub(super) struct Supplier {
    pub(super) world: World,
    source: NodeId,
    assessment: NodeId,
    pub(super) model: NodeId,
    pub(super) other: NodeId,
    pub(super) shipment: NodeId,
    /// The leaf indices of changes of the keys that made the model, and that made only the other one.
    changes: [u64; 2],
}

pub(super) fn supplier() -> Supplier {
    let mut world = World::called("supplier.example/1");
    let source = world.add(world.source("camera", "DE"));
    let assessment = world.add(world.assessment(&[source]));
    let model = world.commit(world.train("backbone", &[source], "DE", &["b.onnx"]))[1];
    world.committer = key(20);
    let beside = world.add(world.source("force", "DE"));
    let other = world.commit(world.train("other", &[beside, source], "DE", &["o.onnx"]))[1];
    let changes = [rotate(&world, 2, 12), rotate(&world, 20, 21)];
    world.committer = key(12);
    let shipment = world.add(world.shipment(&[model, other], "DE"));
    Supplier { world, source, assessment, model, other, shipment, changes }
}

pub(super) fn prove(world: &World, root: &NodeId) -> Vec<u8> {
    world.store.prove(root, &ProveOptions { disclose: Disclose::All, ..ProveOptions::default() }).unwrap()
}

fn ids(log: &LogPart) -> BTreeSet<NodeId> {
    log.commits.iter().flat_map(|part| &part.cores).map(|core| node_id(core)).collect()
}

fn parsed(file: &[u8]) -> Bundle {
    Bundle::from_bytes(file).unwrap()
}

/// An integrator that tuned a supplier's model.
pub(super) fn tuned(supplier: &Supplier) -> (World, NodeId) {
    let world = World::new();
    let own = world.add(world.source("own", "DE"));
    let step = world.tune("tuned", &[own], &[(supplier.world.home(), supplier.model)]);
    let model = world.commit(step)[1];
    let shipment = world.add(world.shipment(&[model], "DE"));
    (world, shipment)
}

#[test]
fn the_part_that_a_later_bundle_takes_is_what_the_supplier_itself_would_prove_of_the_node() {
    let supplier = supplier();
    supplier.world.add(supplier.world.status(supplier.source, Mark::Withdraw, None));
    supplier.world.add(supplier.world.status(supplier.other, Mark::Recall, None));
    let (world, shipment) = tuned(&supplier);
    world.store.adopt(&prove(&supplier.world, &supplier.shipment), &supplier.model, None).unwrap();

    let bundle = parsed(&prove(&world, &shipment));
    assert_eq!(bundle.logs.len(), 2);
    let expected = parsed(&prove(&supplier.world, &supplier.model));
    let (found, expected_log) = (&bundle.logs[1], &expected.logs[0]);
    assert!(!ids(found).contains(&supplier.shipment) && !ids(found).contains(&supplier.other));
    assert!(ids(found).contains(&supplier.assessment));
    assert_eq!(found.commits.iter().map(|c| (&c.places, &c.cores, &c.proof)).collect::<Vec<_>>(), {
        expected_log.commits.iter().map(|c| (&c.places, &c.cores, &c.proof)).collect::<Vec<_>>()
    });
    let newest = |log: &LogPart| log.anchors.last().unwrap().clone();
    assert_eq!(newest(found), newest(expected_log), "statuses and their proof included");
    let [needed, other] = supplier.changes.map(|change| found.entries.iter().any(|(index, _)| *index == change));
    assert!(needed && !other, "the changes of the keys that it rests on");
    assert!(found.anchors.iter().rev().skip(1).all(|anchor| anchor.status.is_none()));
    let salts =
        |bundle: &Bundle| bundle.openings.iter().map(|o| (o.subjects[0].2, o.proof.clone())).collect::<Vec<_>>();
    assert_eq!(salts(&bundle), salts(&expected));
    assert_eq!(bundle.manifests.len(), 1, "of the shipped model alone");
}

#[test]
fn without_the_supplier_s_bundle_the_edge_leads_nowhere_and_a_newer_one_takes_the_place_of_an_older() {
    let supplier = supplier();
    let (world, shipment) = tuned(&supplier);
    assert_eq!(parsed(&prove(&world, &shipment)).logs.len(), 1);

    let older = prove(&supplier.world, &supplier.shipment);
    let name = world.store.adopt(&older, &supplier.model, Some("upstream")).unwrap();
    assert_eq!((name.name.as_str(), name.origin.as_str()), ("upstream", "supplier.example/1"));
    let mark = supplier.world.add(supplier.world.status(supplier.model, Mark::Withdraw, None));
    assert!(!ids(&parsed(&prove(&world, &shipment)).logs[1]).contains(&mark));
    let newer = prove(&supplier.world, &supplier.shipment);
    world.store.adopt(&newer, &supplier.model, Some("upstream")).unwrap();
    let file = prove(&world, &shipment);
    assert!(ids(&parsed(&file).logs[1]).contains(&mark));
    assert_eq!(world.store.foreign_nodes().unwrap(), [name]);
    assert_eq!(world.store.adopted().unwrap().len(), 2);
    // What was adopted later and is older changes nothing.
    world.store.adopt(&older, &supplier.model, Some("upstream")).unwrap();
    assert_eq!(prove(&world, &shipment), file);
    assert!(world.store.fsck(&|_, _, _| ()).unwrap().is_clean());
}

/// Returns the ids of a supplier's nodes that were there when a root was recorded; `None` where all there is was.
fn as_recorded(world: &World, root: &NodeId) -> Option<Vec<BTreeSet<NodeId>>> {
    let records = world.store.records(1 << 20).unwrap();
    let now = records.about(root, &|_, _| true).unwrap();
    let then = records.as_recorded(root, &now).unwrap()?;
    let ids = |log: &LogPart<&[u8]>| {
        let cores = log.commits.iter().flat_map(|part| part.cores.iter().copied());
        cores.map(node_id).collect()
    };
    Some(then.content().logs.iter().skip(1).map(ids).collect())
}

#[test]
fn what_was_adopted_later_was_not_there_when_a_shipment_was_recorded() {
    let supplier = supplier();
    let (world, shipment) = tuned(&supplier);
    let older = prove(&supplier.world, &supplier.shipment);
    world.store.adopt(&older, &supplier.model, None).unwrap();
    assert_eq!(as_recorded(&world, &shipment), Some(Vec::new()), "nothing was adopted by then");
    let model = world.store.of_kind(Kind::Model).unwrap()[0];
    let second = world.add(world.shipment(&[model], "FR"));
    assert_eq!(as_recorded(&world, &second), None);

    let mark = supplier.world.add(supplier.world.status(supplier.model, Mark::Withdraw, None));
    world.store.adopt(&prove(&supplier.world, &supplier.shipment), &supplier.model, None).unwrap();
    let third = world.add(world.shipment(&[model], "IT"));
    let then = as_recorded(&world, &second).unwrap();
    assert!(then.len() == 1 && then[0].contains(&supplier.model) && !then[0].contains(&mark), "{then:?}");
    assert_eq!(as_recorded(&world, &third), None);
    // Adopted again it is as old as it was; removed and adopted again, it is new.
    world.store.adopt(&older, &supplier.model, Some("again")).unwrap();
    assert_eq!(as_recorded(&world, &second).unwrap(), then);
    let object = world.dir.path().join("adopted").join(griptrace_core::bundle::bundle_digest(&older).to_string());
    std::fs::remove_file(&object).unwrap();
    world.store.adopt(&older, &supplier.model, None).unwrap();
    assert_eq!(as_recorded(&world, &second), Some(Vec::new()));
    // Where nothing says when a bundle came, it came after everything. That nothing says it is told.
    std::fs::remove_file(world.dir.path().join("adopted/sizes")).unwrap();
    assert_eq!(as_recorded(&world, &third), Some(Vec::new()));
    let report = world.store.fsck(&|_, _, _| ()).unwrap();
    assert_eq!(report.faults.iter().map(|fault| &*fault.object).collect::<Vec<_>>(), ["adopted/sizes"]);
}

#[test]
fn a_supplier_s_supplier_comes_along_and_each_log_comes_from_one_bundle() {
    let first = supplier();
    let (second, second_shipment) = tuned(&first);
    second.store.adopt(&prove(&first.world, &first.shipment), &first.model, None).unwrap();
    let from_second = prove(&second, &second_shipment);
    let model = second.store.of_kind(Kind::Model).unwrap()[0];
    assert!(ids(&parsed(&from_second).logs[0]).contains(&model));

    let third = World::called("integrator.example/1");
    let edges = [(second.home(), model), (first.world.home(), first.other)];
    let step = third.tune("third", &[], &edges);
    let last = third.commit(step)[1];
    let shipment = third.add(third.shipment(&[last], "DE"));
    third.store.adopt(&from_second, &model, None).unwrap();
    // The second company's bundle has the first one's model, and not what it made beside that.
    let logs = parsed(&prove(&third, &shipment)).logs;
    assert_eq!(logs.len(), 3);
    assert!(ids(&logs[2]).contains(&first.model) && !ids(&logs[2]).contains(&first.other));
    // A bundle that has both is taken for the whole log, although it is older than none.
    third.store.adopt(&prove(&first.world, &first.shipment), &first.other, None).unwrap();
    let logs = parsed(&prove(&third, &shipment)).logs;
    let has_both = |log: &LogPart| ids(log).contains(&first.model) && ids(log).contains(&first.other);
    assert!(logs.len() == 3 && logs.iter().any(has_both));
}

#[test]
fn two_bundles_of_one_log_that_each_have_a_part_are_both_named() {
    let supplier = supplier();
    let world = World::new();
    let home = supplier.world.home();
    let model = world.commit(world.tune("both", &[], &[(home, supplier.model), (home, supplier.other)]))[1];
    let shipment = world.add(world.shipment(&[model], "DE"));
    for part in [supplier.model, supplier.other] {
        world.store.adopt(&prove(&supplier.world, &part), &part, None).unwrap();
    }
    // What could not be put together is no evidence of then, whatever is adopted later.
    let whole = prove(&supplier.world, &supplier.shipment);
    let apart = world.store.prove(&shipment, &ProveOptions::default());
    world.store.adopt(&whole, &supplier.model, None).unwrap();
    assert_eq!(as_recorded(&world, &shipment), Some(Vec::new()));
    match apart {
        Err(ProveError::Apart { origin, bundles }) => {
            assert_eq!((origin.as_str(), bundles.len()), ("supplier.example/1", 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_that_is_met_again_behind_another_one_is_this_log() {
    let first = World::new();
    let source = first.add(first.source("camera", "DE"));
    let seed = first.commit(first.train("seed", &[source], "DE", &["s"]))[1];
    let there = first.add(first.shipment(&[seed], "DE"));
    let second = World::called("supplier.example/1");
    second.store.adopt(&prove(&first, &there), &seed, None).unwrap();
    let grown = second.commit(second.tune("grown", &[], &[(first.home(), seed)]))[1];
    let back = second.add(second.shipment(&[grown], "DE"));
    first.store.adopt(&prove(&second, &back), &grown, None).unwrap();
    let last = first.commit(first.tune("last", &[], &[(second.home(), grown)]))[1];
    let shipment = first.add(first.shipment(&[last], "DE"));

    let logs = parsed(&prove(&first, &shipment)).logs;
    assert_eq!(logs.len(), 2);
    assert!(ids(&logs[0]).contains(&seed) && ids(&logs[0]).contains(&source));
    assert_eq!(ids(&logs[1]).len(), 2, "the step and what it grew");
}

#[test]
fn what_is_no_evidence_for_a_parent_is_not_adopted() {
    let supplier = supplier();
    let world = World::new();
    let bundle = prove(&supplier.world, &supplier.shipment);
    let refused = |bundle: &[u8], id: &NodeId| world.store.adopt(bundle, id, None).unwrap_err();
    assert!(matches!(refused(b"nothing", &supplier.model), AdoptError::Malformed { .. }));
    assert!(matches!(refused(&bundle, &supplier.shipment), AdoptError::Kind { .. }));
    let stranger = world.add(world.source("stranger", "DE"));
    assert!(matches!(refused(&bundle, &stranger), AdoptError::NoNode { .. }));
    let own = world.commit(world.train("own", &[stranger], "DE", &["o"]))[1];
    assert!(matches!(refused(&prove(&world, &own), &own), AdoptError::Own { .. }));
    let silent = supplier.world.store.prove(&supplier.shipment, &ProveOptions::default()).unwrap();
    assert!(matches!(refused(&silent, &supplier.source), AdoptError::NoName));
    let reader = super::world::reader(world.dir.path());
    assert!(matches!(reader.adopt(&bundle, &supplier.model, None), Err(AdoptError::ReadOnly)));
    assert!(world.store.adopted().unwrap().is_empty() && world.store.foreign_nodes().unwrap().is_empty());
}

#[test]
fn a_damaged_bundle_or_list_is_named() {
    let supplier = supplier();
    let (world, shipment) = tuned(&supplier);
    world.store.adopt(&prove(&supplier.world, &supplier.shipment), &supplier.model, None).unwrap();
    for file in std::fs::read_dir(world.dir.path().join("adopted")).unwrap() {
        let path = file.unwrap().path();
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        bytes[before.len() / 2] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let object = format!("adopted/{}", path.file_name().unwrap().to_str().unwrap());
        let report = world.store.fsck(&|_, _, _| ()).unwrap();
        assert_eq!(report.faults.iter().map(|f| (f.object.as_str(), f.heals)).collect::<Vec<_>>(), [(&*object, false)]);
        let proves = world.store.prove(&shipment, &ProveOptions::default());
        assert_eq!(proves.is_err(), !["adopted/names", "adopted/sizes"].contains(&&*object));
        assert_eq!(world.store.records(1 << 20).is_err(), object != "adopted/names");
        assert_eq!(world.store.foreign_nodes().is_err(), object == "adopted/names");
        std::fs::write(&path, &before).unwrap();
    }
}

super::world::in_a_bucket_too! {
    the_part_that_a_later_bundle_takes_is_what_the_supplier_itself_would_prove_of_the_node,
    without_the_supplier_s_bundle_the_edge_leads_nowhere_and_a_newer_one_takes_the_place_of_an_older,
    a_supplier_s_supplier_comes_along_and_each_log_comes_from_one_bundle,
    two_bundles_of_one_log_that_each_have_a_part_are_both_named,
    a_log_that_is_met_again_behind_another_one_is_this_log,
    what_is_no_evidence_for_a_parent_is_not_adopted,
}
