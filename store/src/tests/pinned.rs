//! Walks, scans and proofs at a pinned size: the same for ever, a step at a time.

use griptrace_core::{
    checkpoint::Checkpoint,
    commit::Commit,
    digest::{COMMIT_TREE, Digest},
    entry::{Entry, StatusHead},
    id::NodeId,
    node::{Kind, Mark},
    note::Note,
    status_map::{status_value, verify_statuses},
    tree::{LeafIndex, Rfc9162, TreeSize, root_from_path, verify_consistency},
};

use super::world::World;
use crate::{Direction, Disclose, Found, ProveError, ProveOptions, ReadError, ScanOptions, Store, WalkOptions};

/// A chain of steps from one source, a model at its end; the source, the model and all nodes.
fn chain(world: &World, steps: usize) -> (NodeId, NodeId) {
    let source = world.add(world.source("source", "CN"));
    let mut last = source;
    for step in 0..steps {
        last = world.commit(world.derive(&format!("step-{step}"), &[last], "CN"))[1];
    }
    (source, world.commit(world.train("model", &[last], "DE", &["model.onnx"]))[1])
}

fn walked(store: &Store, from: NodeId, options: &WalkOptions, visits: usize) -> (Vec<Found>, bool) {
    let mut walk = store.walk(from, options).unwrap();
    let mut all = Vec::new();
    while let Some(found) = walk.step(visits).unwrap() {
        assert!(found.len() <= visits);
        all.extend(found);
    }
    (all, walk.is_cut())
}

fn root(store: &Store, size: u64) -> Digest {
    let note = store.checkpoint_at(size).unwrap().unwrap();
    Checkpoint::parse(Note::parse(note.as_bytes()).unwrap().text()).unwrap().root
}

#[test]
fn a_walk_is_the_same_in_steps_of_any_size_and_says_what_a_limit_cut() {
    let world = World::new();
    let (source, model) = chain(&world, 20);
    for (from, direction) in [(model, Direction::Ancestors), (source, Direction::Descendants)] {
        let options = WalkOptions::new(direction, None);
        let (all, cut) = walked(&world.store, from, &options, 1000);
        assert_eq!((all.len(), cut), (42, false));
        assert_eq!(walked(&world.store, from, &options, 1), (all.clone(), false));
        assert_eq!(walked(&world.store, from, &options, 7), (all.clone(), false));
        for limit in [1, 41, 42, 43] {
            let options = WalkOptions { limit: Some(limit), ..options.clone() };
            let expected = all.iter().take(usize::try_from(limit).unwrap()).copied().collect::<Vec<_>>();
            assert_eq!(walked(&world.store, from, &options, 5), (expected, limit < 42), "limit {limit}");
        }
        for depth in [1, 41, 42, 43] {
            let options = WalkOptions { depth_max: Some(depth), ..options.clone() };
            let expected = all.iter().filter(|found| found.depth <= depth).copied().collect::<Vec<_>>();
            assert_eq!(walked(&world.store, from, &options, 5), (expected, depth < 42), "depth {depth}");
        }
        let models = WalkOptions { kinds: vec![Kind::Model], ..options.clone() };
        let (found, _) = walked(&world.store, from, &models, 3);
        assert!(found.iter().all(|found| found.kind == Kind::Model));
        assert_eq!(found.len(), usize::from(direction == Direction::Descendants));
    }
}

#[test]
fn an_assessment_stands_for_its_subjects() {
    let world = World::new();
    let (source, model) = chain(&world, 1);
    let assessment = world.add(world.assessment(&[source]));
    let options = WalkOptions { kinds: vec![Kind::Model], ..WalkOptions::new(Direction::Descendants, None) };
    let (found, _) = walked(&world.store, assessment, &options, 100);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [model]);
    let (all, _) = walked(&world.store, assessment, &WalkOptions::new(Direction::Descendants, None), 100);
    assert_eq!((all[0].id, all[0].depth), (source, 1));
}

#[test]
fn what_is_pinned_stays_the_same_while_the_log_grows() {
    let world = World::new();
    let (source, model) = chain(&world, 3);
    let size = world.store.size();
    let answers = || {
        let walk = |from, direction| walked(&world.store, from, &WalkOptions::new(direction, Some(size)), 2);
        let scan = world.store.scan(0, 1000, ScanOptions { kind: None, at: Some(size) }).unwrap();
        let status = world.store.status_evidence(&source, size).unwrap();
        let proof = world.store.node_proofs(&[model, source], size).unwrap();
        let paths = world.store.paths(&model, &source, 5, Some(size)).unwrap();
        let bundle = world
            .store
            .prove(&model, &ProveOptions { disclose: Disclose::All, at: Some(size), ..ProveOptions::default() })
            .unwrap();
        let walks = (walk(source, Direction::Descendants), walk(model, Direction::Ancestors));
        (walks, scan, status, proof, paths, bundle)
    };
    let before = answers();
    world.add(world.status(source, Mark::Withdraw, None));
    world.commit(world.derive("later", &[source], "CN"));
    for i in 0..300 {
        world.add(world.source(&format!("more-{i}"), "CN"));
    }
    assert_eq!(answers(), before);
    assert_ne!(walked(&world.store, source, &WalkOptions::new(Direction::Descendants, None), 100), before.0.0);
    let unsigned = ProveOptions { disclose: Disclose::All, at: Some(size - 1), ..ProveOptions::default() };
    assert!(matches!(world.store.prove(&model, &unsigned), Err(ProveError::NoCheckpoint { .. })));
    let early = ProveOptions { disclose: Disclose::All, at: Some(2), ..ProveOptions::default() };
    assert!(matches!(world.store.prove(&model, &early), Err(ProveError::NoNode { .. })));
    let later = world.store.of_kind(Kind::Dataset).unwrap().pop().unwrap();
    assert!(matches!(world.store.nodes(&[later], Some(size)), Err(ReadError::NoNode { id }) if id == later));
    assert!(matches!(world.store.node_proofs(&[later], size), Err(ReadError::NoNode { .. })));
    let beyond = world.store.size() + 1;
    assert!(matches!(
        world.store.scan(0, 1, ScanOptions { kind: None, at: Some(beyond) }),
        Err(ReadError::Beyond { .. })
    ));
}

#[test]
fn a_scan_goes_through_everything_once_in_log_order() {
    let world = World::new();
    chain(&world, 30);
    let all = world.store.scan(0, 1000, ScanOptions::default()).unwrap();
    assert_eq!((all.nodes.len(), all.next), (63, None));
    for most in [1, 2, 62, 63] {
        let (mut nodes, mut next) = (Vec::new(), Some(0));
        while let Some(begin) = next {
            let part = world.store.scan(begin, most, ScanOptions::default()).unwrap();
            assert!(part.nodes.len() <= most);
            nodes.extend(part.nodes);
            next = part.next;
        }
        assert_eq!(nodes, all.nodes, "{most} at a time");
    }
    let models = world.store.scan(0, 1000, ScanOptions { kind: Some(Kind::Model), at: None }).unwrap();
    assert_eq!(models.nodes.len(), 1);
}

#[test]
fn every_proof_leads_to_the_checkpoint_of_its_size() {
    let world = World::new();
    let (source, model) = chain(&world, 40);
    let mut many = (0..9).map(|i| world.source(&format!("many-{i}"), "CN")).collect::<Vec<_>>();
    many.push(world.status(source, Mark::Withdraw, None));
    let many = world.commit(many);
    let sizes: Vec<u64> =
        (0..=world.store.size()).filter(|size| world.store.checkpoint_at(*size).unwrap().is_some()).collect();
    assert!(sizes.len() > 40 && !sizes.contains(&0) && !sizes.contains(&1), "{sizes:?}");
    let newest = world.store.size();
    for (size, next) in sizes.iter().copied().zip(sizes.iter().copied().skip(1)) {
        let (old, new) = (TreeSize::new(size), TreeSize::new(next));
        let proof = world.store.consistency(size, next).unwrap();
        verify_consistency(&Rfc9162, old, &root(&world.store, size), new, &root(&world.store, next), &proof).unwrap();
    }
    for id in many.iter().chain([&source, &model]) {
        let proof = world.store.node_proofs(&[*id], newest).unwrap().remove(0);
        let commit = Commit::parse(&proof.entry).unwrap();
        let (place, count) = (LeafIndex::new(proof.place), TreeSize::new(proof.count));
        let computed = root_from_path(&COMMIT_TREE, place, count, id.digest(), &proof.commit_path).unwrap();
        assert_eq!((computed, proof.count), (commit.payload.root, commit.payload.count));
        let leaf = Rfc9162::leaf_hash(&proof.entry);
        let (index, size) = (LeafIndex::new(proof.index), TreeSize::new(newest));
        assert_eq!(root_from_path(&Rfc9162, index, size, &leaf, &proof.log_path).unwrap(), root(&world.store, newest));
        let inclusion = world.store.inclusion(proof.index, newest).unwrap();
        assert_eq!((inclusion.leaf_hash, inclusion.path), (leaf, proof.log_path));
    }
    for (size, expected) in [(sizes[sizes.len() - 2], 0), (newest, 1)] {
        let found = world.store.status_evidence(&source, size).unwrap();
        assert_eq!(found.statuses.len(), expected);
        let Entry::StatusHead(StatusHead { map_root, index, .. }) = Entry::parse(&found.head).unwrap() else {
            panic!("a status head")
        };
        assert_eq!(index, size - 1);
        let (at, leaf) = (LeafIndex::new(size - 1), Rfc9162::leaf_hash(&found.head));
        let computed = root_from_path(&Rfc9162, at, TreeSize::new(size), &leaf, &found.head_path).unwrap();
        assert_eq!(computed, root(&world.store, size));
        let statuses: Vec<Digest> = found.statuses.iter().map(|id| *id.digest()).collect();
        let present = if statuses.is_empty() { vec![] } else { vec![(*found.key.digest(), status_value(&statuses))] };
        verify_statuses(&map_root, [*found.key.digest()], &present, &found.proof).unwrap();
    }
    assert!(matches!(world.store.status_evidence(&source, newest - 1), Err(ReadError::NoCheckpoint { .. })));
    assert!(matches!(world.store.consistency(0, newest), Err(ReadError::Beyond { .. })));
    assert!(matches!(world.store.inclusion(newest, newest), Err(ReadError::Beyond { .. })));
    let changes = world.store.status_changes(0, newest, 100).unwrap();
    assert_eq!(changes.iter().map(|change| change.status).collect::<Vec<_>>(), [many[9]]);
    assert_eq!(world.store.status_changes(changes[0].index + 1, newest, 100).unwrap(), []);
    assert_eq!(world.store.status_changes(0, changes[0].index, 100).unwrap(), []);
}

super::world::in_a_bucket_too! {
    a_walk_is_the_same_in_steps_of_any_size_and_says_what_a_limit_cut,
    an_assessment_stands_for_its_subjects,
    what_is_pinned_stays_the_same_while_the_log_grows,
    a_scan_goes_through_everything_once_in_log_order,
    every_proof_leads_to_the_checkpoint_of_its_size,
}
