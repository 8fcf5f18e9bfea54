use griptrace_core::{
    digest::file_digest,
    id::NodeId,
    node::{Kind, Mark},
};

use super::world::{World, object, open, put};
use crate::{ReadError, Resolved, snapshot::NAME as SNAPSHOT};

/// Two sources, a merge, a model, a shipment: in log order.
fn pipeline(world: &World) -> Vec<NodeId> {
    let a = world.add(world.source("camera", "CN"));
    let b = world.add(world.source("force", "CN"));
    let merged = world.commit(world.derive("merged", &[a, b], "CN"));
    let model = world.commit(world.train("grasp", &[merged[1], a], "DE", &["grasp.onnx"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    [vec![a, b], merged, model, vec![shipment]].concat()
}

#[test]
fn ancestry_and_impact_are_walked_nearest_first() {
    let world = World::new();
    let ids = pipeline(&world);
    let (a, merged, model, shipment) = (ids[0], ids[3], ids[5], ids[6]);
    let ancestors = world.store.ancestors(&shipment, None).unwrap();
    let depths: Vec<u64> = ancestors.iter().map(|found| found.depth).collect();
    assert_eq!(ancestors.len(), 6);
    assert!(depths.is_sorted() && ancestors[0].id == model);
    assert_eq!(ancestors.iter().find(|found| found.id == a).map(|found| found.depth), Some(3), "the shortest way");
    let descendants = world.store.descendants(&a, None).unwrap();
    assert_eq!(descendants.len(), 5);
    let before_model = world.store.node(&model).unwrap().unwrap().index;
    let pinned = world.store.descendants(&a, Some(before_model)).unwrap();
    assert_eq!(pinned.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::Transformation, Kind::Dataset]);
    assert!(matches!(world.store.ancestors(&model, Some(before_model)), Err(ReadError::NoNode { .. })));
    assert!(matches!(world.store.ancestors(&model, Some(10_000)), Err(ReadError::Beyond { .. })));
    let paths = world.store.paths(&shipment, &a, 10, None).unwrap();
    assert_eq!((paths.paths.len(), paths.cut), (2, false));
    assert!(paths.paths.iter().all(|path| path[0] == shipment && path[path.len() - 1] == a));
    assert!(paths.paths.iter().any(|path| path.contains(&merged)));
    assert!(world.store.paths(&shipment, &a, 1, None).unwrap().cut);
    assert!(world.store.paths(&a, &shipment, 1, None).unwrap().paths.is_empty());
}

#[test]
fn nodes_are_found_by_id_name_kind_and_content() {
    let world = World::new();
    let ids = pipeline(&world);
    let hex = ids[0].to_string();
    assert_eq!(world.store.resolve(&hex[..12], None).unwrap(), Resolved::One(ids[0]));
    assert_eq!(world.store.resolve(&hex.to_uppercase(), None).unwrap(), Resolved::One(ids[0]));
    assert_eq!(world.store.resolve(&"0".repeat(64), None).unwrap(), Resolved::None);
    assert!(world.store.resolve("xyz", None).is_err());
    assert_eq!(world.store.by_name("camera").unwrap(), [ids[0]]);
    let newer = world.add(world.source("camera", "CN"));
    assert_eq!(world.store.by_name("camera").unwrap(), [ids[0], newer]);
    assert_eq!(world.store.by_name("camer").unwrap(), []);
    assert_eq!(world.store.of_kind(Kind::Model).unwrap(), [ids[5]]);
    assert_eq!(world.store.by_content(&file_digest(b"grasp.onnx")).unwrap(), [ids[5]], "by BLAKE3 of a file");
    assert_eq!(world.store.by_content(&file_digest(b"sha")).unwrap(), [ids[5]], "by its SHA-256");
    assert_eq!(world.store.by_content(&file_digest(b"other")).unwrap(), []);
}

#[test]
fn what_is_recorded_again_is_found_again() {
    let world = World::new();
    let a = world.add(world.source("camera", "CN"));
    assert_eq!(world.store.find_recorded(&[world.source("camera", "CN")]).unwrap(), Some(vec![a]));
    assert_eq!(world.store.find_recorded(&[world.source("camera", "DE")]).unwrap(), None);
    assert_eq!(world.store.find_recorded(&[world.source("other", "CN")]).unwrap(), None);
    let model = world.commit(world.train("grasp", &[a], "DE", &["x", "y"]));
    let again = world.train("grasp", &[a], "DE", &["x", "y"]);
    assert_ne!(again[1].id(), model[1], "nonce, seed and salts are new");
    assert_eq!(world.store.find_recorded(&again).unwrap(), Some(model.clone()));
    let reversed: Vec<_> = again.into_iter().rev().collect();
    assert_eq!(world.store.find_recorded(&reversed).unwrap(), Some(vec![model[1], model[0]]), "in the order given");
    assert_eq!(world.store.find_recorded(&reversed[..1]).unwrap(), None, "an output alone is no unit");
    assert_eq!(world.store.find_recorded(&world.train("grasp", &[a], "DE", &["x", "z"])).unwrap(), None);
    world.add(world.status(model[1], Mark::Withdraw, None));
    assert_eq!(world.store.find_recorded(&reversed).unwrap(), None, "withdrawn");
    world.add(world.status(a, Mark::Reclassify, None));
    assert_eq!(world.store.find_recorded(&[world.source("camera", "CN")]).unwrap(), Some(vec![a]), "still good");
    let newer = world.add(world.source("camera", "CN"));
    world.add(world.status(a, Mark::Supersede, Some(newer)));
    assert_eq!(world.store.find_recorded(&[world.source("camera", "CN")]).unwrap(), Some(vec![newer]));
}

#[test]
fn a_deleted_or_broken_index_answers_the_same() {
    let world = World::new();
    let ids = pipeline(&world);
    let named = world.store.by_name("merged").unwrap();
    let World { dir, store, committer } = world;
    drop(store);
    for damage in ["delete", "garble"] {
        for folder in ["index", "snapshots"] {
            let path = dir.path().join(folder);
            for file in std::fs::read_dir(&path).into_iter().flatten().flatten().filter(|_| damage == "garble") {
                if file.path().is_file() {
                    std::fs::write(file.path(), [0x5a; 700]).unwrap();
                }
            }
            if damage == "delete" && path.exists() {
                std::fs::remove_dir_all(&path).unwrap();
            }
        }
        let store = open(dir.path());
        assert_eq!(store.by_name("merged").unwrap(), named, "{damage}");
        assert_eq!(store.ancestors(&ids[6], None).unwrap().len(), 6);
        assert!(store.fsck(&|_, _, _| {}).unwrap().is_clean());
        drop(store);
    }
    let store = open(dir.path());
    let other = super::world::reader(dir.path());
    assert_eq!(store.by_name("merged").unwrap(), named);
    assert_eq!(other.by_name("merged").unwrap(), named, "beside another handle that has the index open");
    drop((committer, other));
}

#[test]
fn a_snapshot_gives_the_same_answers() {
    let world = World::new();
    let ids = pipeline(&world);
    let source = ids[0];
    world.add(world.assessment(&[source]));
    let many = (0..1100).map(|i| world.source(&format!("many {i}"), "CN")).collect();
    world.commit(many);
    world.store.0.errands.wait();
    assert!(object(world.dir.path(), SNAPSHOT).is_some(), "written after so many nodes");
    world.add(world.status(source, Mark::Withdraw, None));
    let answers = |store: &crate::Store| {
        let key = store.status_key(&source).unwrap();
        (
            store.ancestors(&ids[6], None).unwrap(),
            store.descendants(&source, None).unwrap(),
            store.statuses(&key).unwrap(),
            store.assessments_of(&source).unwrap(),
            store.checkpoint(),
        )
    };
    let expected = answers(&world.store);
    let World { dir, store, .. } = world;
    drop(store);
    let with = open(dir.path());
    assert_eq!(answers(&with), expected);
    assert!(with.fsck(&|_, _, _| {}).unwrap().is_clean());
    drop(with);
    put(dir.path(), SNAPSHOT, None);
    assert_eq!(answers(&open(dir.path())), expected);
}

super::world::in_a_bucket_too! {
    a_deleted_or_broken_index_answers_the_same,
    a_snapshot_gives_the_same_answers,
    ancestry_and_impact_are_walked_nearest_first,
    nodes_are_found_by_id_name_kind_and_content,
    what_is_recorded_again_is_found_again,
}
