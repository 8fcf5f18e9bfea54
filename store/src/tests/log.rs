use std::{fs, thread};

use griptrace_core::{
    checkpoint::Checkpoint,
    entry::Entry,
    key::Signer as _,
    node::{Kind, Mark},
    note::Note,
    tile::{decode_entries, decode_hashes, entry_bundles, tiles},
    tree::{self, LeafIndex, Rfc9162, TreeSize, verify_inclusion},
};

use super::world::{NOW, World, open, reader, signer};
use crate::{CommitError, OpenError, OpenOptions, Refusal, Store, record::Secret};

#[test]
fn what_is_committed_reads_back() {
    let world = World::new();
    let source = world.source("camera", "CN");
    let receipt = world.store.commit(vec![source.clone()], &world.committer, "Maker", NOW).unwrap();
    assert_eq!((receipt.index, receipt.size, receipt.ids.clone()), (2, 4, vec![source.id()]));
    let node = world.store.node(&source.id()).unwrap().unwrap();
    assert_eq!((&node.record, node.index, node.time), (&source, 2, NOW));
    assert_eq!((node.issuer.as_str(), node.committer), ("Maker", world.committer.public_key().id()));
    let model = world.model("m", "DE", &["a", "b/c"]);
    let id = world.add(model.clone());
    assert_eq!(world.store.node(&id).unwrap().unwrap().record, model, "with its manifest");
    assert_eq!(world.store.node(&world.shipment(&[id], "DE").id()).unwrap(), None);
}

#[test]
fn a_receipt_proves_the_commit_under_its_checkpoint() {
    let world = World::new();
    world.add(world.source("one", "CN"));
    let receipt = world.store.commit(vec![world.source("two", "CN")], &world.committer, "Maker", NOW).unwrap();
    let note = Note::parse(receipt.checkpoint.as_bytes()).unwrap();
    assert_eq!(note.verify(&[signer().verifier().clone()]).unwrap().len(), 1);
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    assert_eq!((checkpoint.size, receipt.checkpoint.clone()), (receipt.size, world.store.checkpoint()));
    let entry = &world.store.entries(receipt.index..receipt.index + 1).unwrap()[0];
    let leaf = Rfc9162::leaf_hash(&entry.bytes);
    let (index, size) = (LeafIndex::new(receipt.index), TreeSize::new(receipt.size));
    verify_inclusion(&Rfc9162, index, size, &leaf, &receipt.inclusion, &checkpoint.root).unwrap();
}

#[test]
fn committers_in_threads_share_the_log() {
    let world = World::new();
    thread::scope(|scope| {
        for thread in 0..4 {
            let world = &world;
            scope.spawn(move || {
                for i in 0..8 {
                    world.add(world.source(&format!("{thread}-{i}"), "CN"));
                }
            });
        }
    });
    assert_eq!(world.store.of_kind(Kind::Dataset).unwrap().len(), 32);
    let entries = world.store.entries(0..u64::MAX).unwrap();
    let commits = entries.iter().filter(|e| matches!(Entry::parse(&e.bytes), Ok(Entry::Commit(_)))).count();
    assert_eq!(commits, 32);
    assert!(world.store.fsck(&|_, _, _| {}).unwrap().is_clean());
}

#[test]
fn one_node_is_recorded_once_however_many_try() {
    let world = World::new();
    let node = world.source("camera", "CN");
    let won: usize = thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|_| {
                let (world, node) = (&world, node.clone());
                scope.spawn(move || world.store.commit(vec![node], &world.committer, "Maker", NOW).is_ok())
            })
            .collect();
        tries.into_iter().map(|t| usize::from(t.join().unwrap())).sum()
    });
    assert_eq!(won, 1);
}

#[test]
fn a_reopened_store_goes_on() {
    let world = World::new();
    let first = world.add(world.source("camera", "CN"));
    let World { dir, store, committer } = world;
    let (size, checkpoint) = (store.size(), store.checkpoint());
    drop(store);
    let store = open(dir.path());
    assert_eq!((store.size(), store.checkpoint()), (size, checkpoint));
    let world = World { dir, store, committer };
    let second = world.commit(world.derive("features", &[first], "CN"));
    assert_eq!(world.store.ancestors(&second[1], None).unwrap().len(), 2);
    world.store.0.publish();
    assert_eq!(reader(world.dir.path()).size(), world.store.size());
}

#[test]
fn one_writer_at_a_time() {
    let world = World::new();
    let again = Store::open(world.dir.path(), OpenOptions { signer: Some(signer()), ..OpenOptions::default() });
    let Err(OpenError::Locked { holder, .. }) = again else { panic!("two writers") };
    assert_eq!(holder, std::process::id().to_string());
    let reading = reader(world.dir.path());
    let refused = reading.commit(vec![world.source("x", "CN")], &world.committer, "Maker", NOW);
    assert!(matches!(refused, Err(CommitError::ReadOnly)));
    let World { dir, store, .. } = world;
    let genesis = store.genesis().clone();
    drop(store);
    assert!(matches!(Store::init(dir.path(), &genesis, signer(), NOW), Err(OpenError::Exists { .. })));
}

#[test]
fn a_writer_waits_for_another_that_soon_ends() {
    let World { dir, store, .. } = World::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(core::time::Duration::from_millis(200));
            drop(store);
        });
        assert!(Store::open(dir.path(), OpenOptions { signer: Some(signer()), ..OpenOptions::default() }).is_ok());
    });
}

#[test]
fn nodes_that_do_not_fit_are_refused_with_a_reason() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let refusal = |nodes| match world.store.commit(nodes, &world.committer, "Maker", NOW) {
        Err(CommitError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let [step, made] = <[_; 2]>::try_from(world.derive("features", &[source], "CN")).unwrap();
    assert!(matches!(refusal(vec![made.clone()]), Refusal::EdgeMissing { .. }), "without its step");
    world.add(step);
    assert!(matches!(refusal(vec![made]), Refusal::OutputApart { .. }), "after its step");
    assert!(matches!(refusal(vec![world.shipment(&[source], "DE")]), Refusal::EdgeKind { .. }));
    let mut other = world.source("x", "CN");
    other.secret = Secret::Seed([0; 32]);
    assert!(matches!(refusal(vec![other]), Refusal::Details { .. }));
    let mut model = world.model("m", "DE", &["a"]);
    model.manifest.as_mut().unwrap().files[0].size = 8;
    assert!(matches!(refusal(vec![model]), Refusal::Manifest { .. }));
    assert!(matches!(refusal(vec![world.model("m", "DE", &["A", "a"])]), Refusal::Collision { .. }));
    let models = world.commit(vec![world.model("m", "DE", &["f"]), world.model("n", "DE", &["F"])]);
    assert!(matches!(refusal(vec![world.shipment(&models, "DE")]), Refusal::Collision { .. }));
    let mut assessment = world.assessment(&[source]);
    assessment.subjects.as_mut().unwrap().openings[0].1 = [0; 16];
    assert!(matches!(refusal(vec![assessment]), Refusal::Subjects { .. }));
    let twice = world.source("twice", "CN");
    assert!(matches!(refusal(vec![twice.clone(), twice]), Refusal::Recorded));
    assert!(world.store.commit(Vec::new(), &world.committer, "Maker", NOW).is_err(), "no node");
    world.add(world.source("and the store goes on", "CN"));
}

#[test]
fn tiles_are_those_of_the_tree_and_entries_hash_to_the_root() {
    let world = World::new();
    for i in 0..140 {
        world.add(world.source(&format!("{i}"), "CN"));
    }
    let size = world.store.size();
    assert!(size > 256, "a full tile, and a second level");
    world.store.0.publish();
    let mut leaves = Vec::new();
    for bundle in entry_bundles(size) {
        let bytes = fs::read(world.dir.path().join(bundle.path())).unwrap();
        leaves.extend(decode_entries(&bytes, bundle.width()).unwrap().into_iter().map(Rfc9162::leaf_hash));
    }
    let checkpoint = Checkpoint::parse(Note::parse(world.store.checkpoint().as_bytes()).unwrap().text()).unwrap();
    assert_eq!(tree::root(&Rfc9162, &leaves), Some(checkpoint.root));
    for tile in tiles(size) {
        let bytes = fs::read(world.dir.path().join(tile.path())).unwrap();
        let hashes = decode_hashes(&bytes, tile.width()).unwrap();
        let span = 256_usize.pow(u32::from(tile.level()));
        let first = usize::try_from(tile.index()).unwrap() * 256;
        for (at, hash) in hashes.iter().enumerate() {
            let under = &leaves[(first + at) * span..(first + at + 1) * span];
            assert_eq!(tree::root(&Rfc9162, under), Some(*hash), "{} {at}", tile.path());
        }
    }
    assert!(!world.dir.path().join("tile/0/000.p").exists(), "partial tiles go once the full one stands");
    assert!(world.store.fsck(&|_, _, _| {}).unwrap().is_clean());
}

#[test]
fn statuses_are_listed_in_log_order_under_the_key_of_what_they_mark() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let assessment = world.add(world.assessment(&[source]));
    let first = world.add(world.status(source, Mark::Reclassify, None));
    let second = world.add(world.status(source, Mark::Withdraw, None));
    let third = world.add(world.status(assessment, Mark::Withdraw, None));
    let under = |id| world.store.statuses(&world.store.status_key(&id).unwrap()).unwrap();
    assert_eq!(under(source), [first, second]);
    assert_eq!(under(assessment), [third]);
    assert_ne!(world.store.status_key(&assessment).unwrap().digest(), assessment.digest());
    assert_eq!(world.store.assessments_of(&source).unwrap(), [assessment]);
}

super::world::in_a_bucket_too! {
    what_is_committed_reads_back,
    a_receipt_proves_the_commit_under_its_checkpoint,
    committers_in_threads_share_the_log,
    one_node_is_recorded_once_however_many_try,
    a_reopened_store_goes_on,
    nodes_that_do_not_fit_are_refused_with_a_reason,
    statuses_are_listed_in_log_order_under_the_key_of_what_they_mark,
}
