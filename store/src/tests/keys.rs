//! Keys that follow one another, the committers' and the log's.

use griptrace_core::{
    bundle::Bundle,
    checkpoint::Checkpoint,
    digest::KEY_CHANGE,
    entry::{Entry, Genesis},
    id::{GenesisHash, NodeId},
    key::{Algorithm, SecretKey, Signer},
    key_change::{KeyChange, KeyUse, key_status},
    node::node_id,
    note::{Note, NoteSigner},
};
use tempfile::TempDir;

use super::{
    sea::{Fault, Sea},
    world::{NOW, ORIGIN, World, object, put, reader, signer},
};
use crate::{
    CommitError, KeyChangeRefusal, OpenError, OpenOptions, ProveOptions, Store,
    log_keys::KEYS,
    objects::Objects,
    open::{init_on, open_on},
    record::NodeRecord,
};

pub(super) fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap()
}

/// The signer of the log's second key.
fn second() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[11; 32]).unwrap()
}

pub(super) fn rotation(home: GenesisHash, of: KeyUse, old: &SecretKey, new: &SecretKey) -> Vec<u8> {
    let (retired, successor) = (old.public_key(), Some(new.public_key()));
    let change = KeyChange { home, of, retired, successor, revoker: None, since: None, time: NOW };
    change.sign(&[old, new], "Maker").unwrap()
}

fn log_rotation(home: GenesisHash) -> Vec<u8> {
    rotation(home, KeyUse::Log, &key(1), &key(11))
}

fn open_with(world: &World, signer: NoteSigner) -> Result<Store, OpenError> {
    super::world::open_with(world.dir.path(), OpenOptions { signer: Some(signer), ..OpenOptions::default() })
}

/// A log that was made with a revoker: key 9.
fn guarded() -> World {
    let dir = tempfile::tempdir().unwrap();
    let revokers = vec![key(9).public_key().id()];
    let genesis = Genesis { origin: ORIGIN.into(), key: key(1).public_key(), time: NOW, nonce: [3; 16], revokers };
    let store = super::world::init(dir.path(), &genesis, signer(), NOW).unwrap();
    World { dir, store, committer: key(2) }
}

/// Key 9 revokes the committer's key 2 since a leaf, and names key 12.
fn revocation(home: GenesisHash, since: u64) -> Vec<u8> {
    let (of, retired, successor) = (KeyUse::Committer, key(2).public_key(), Some(key(12).public_key()));
    let revoker = Some(key(9).public_key());
    let change = KeyChange { home, of, retired, successor, revoker, since: Some(since), time: NOW };
    change.sign(&[&key(9), &key(12)], "Maker").unwrap()
}

fn is_clean(store: &Store) -> bool {
    store.fsck(&|_, _, _| {}).unwrap().is_clean()
}

#[test]
fn a_committers_key_that_retired_signs_nothing_more() {
    let mut world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let entry = rotation(world.home(), KeyUse::Committer, &world.committer, &key(12));
    let receipt = world.store.change_key(&entry, None, NOW + 5).unwrap();
    let refused = world.store.commit(vec![world.source("late", "CN")], &world.committer, "Maker", NOW);
    let Err(CommitError::KeyRetired { key: retired, since }) = refused else { panic!("{refused:?}") };
    assert_eq!((retired, since), (world.committer.public_key().id(), receipt.index));
    world.committer = key(12);
    let model = world.commit(world.train("m", &[source], "DE", &["a"]))[1];
    let shipment = world.add(world.shipment(&[model], "DE"));
    // The line in the map, the entry in the bundle: and the same from a store that was opened again.
    let status = world.store.statuses(&key_status(&retired)).unwrap();
    assert_eq!(status.iter().map(|id| *id.digest()).collect::<Vec<_>>(), [KEY_CHANGE.hash(&entry)]);
    let bytes = world.store.prove(&shipment, &ProveOptions::default()).unwrap();
    let bundle = Bundle::from_bytes(&bytes).unwrap();
    assert!(bundle.logs[0].entries.contains(&(receipt.index, entry)));
    assert!(is_clean(&world.store));
    let again = reader(world.dir.path());
    assert_eq!(again.prove(&shipment, &ProveOptions::default()).unwrap(), bytes);
    assert_eq!(again.key_changes(), world.store.key_changes());
    let watched = world.store.status_changes(0, world.store.size(), 10).unwrap();
    assert!(watched.is_empty(), "a key change is no status: {watched:?}");
}

#[test]
fn a_log_key_signs_up_to_its_size_and_the_next_one_from_there() {
    let world = World::new();
    world.add(world.source("camera", "CN"));
    let before = world.store.size();
    let receipt = world.store.change_key(&log_rotation(world.home()), Some(second()), NOW + 5).unwrap();
    world.add(world.source("lidar", "CN"));
    let signed_by = |note: &str, signer: &NoteSigner| {
        Note::parse(note.as_bytes()).unwrap().verify(core::slice::from_ref(signer.verifier())).unwrap().len() == 1
    };
    let old = world.store.checkpoint_at(before).unwrap().unwrap();
    assert!(signed_by(&old, &signer()) && !signed_by(&old, &second()));
    let at_change = receipt.checkpoint;
    assert_eq!(Checkpoint::parse(Note::parse(at_change.as_bytes()).unwrap().text()).unwrap().size, before + 2);
    for new in [at_change, world.store.checkpoint(), world.store.checkpoint_at(before + 2).unwrap().unwrap()] {
        assert!(signed_by(&new, &second()) && !signed_by(&new, &signer()));
    }
    assert!(is_clean(&world.store));
    let World { dir, store, committer } = world;
    drop(store);
    let world = World { store: reader(dir.path()), dir, committer };
    assert!(matches!(open_with(&world, signer()), Err(OpenError::WrongKey { .. })), "the old key opens nothing");
    // What can be lost is made again, by whoever opens.
    // What can be read and says less is as good as lost.
    for damage in [None, Some(b"not it".as_slice()), Some(&[0x80])] {
        put(world.dir.path(), KEYS, damage);
        let faults = reader(world.dir.path()).fsck(&|_, _, _| {}).unwrap().faults;
        assert!(matches!(&*faults, [fault] if fault.object == KEYS && fault.heals), "{damage:?}: {faults:?}");
        let store = open_with(&world, second()).unwrap();
        let more = World::at(&store);
        more.add(more.source("again", "CN"));
        assert!(object(world.dir.path(), KEYS).is_some() && is_clean(&store));
    }
}

#[test]
fn a_change_that_has_no_place_is_refused_and_nothing_is_written() {
    let world = World::new();
    let home = world.home();
    let size = world.store.size();
    let refused = |entry: &[u8], signer: Option<NoteSigner>, why: &str| {
        let error = world.store.change_key(entry, signer, NOW).unwrap_err();
        assert!(matches!(&error, CommitError::KeyChange { .. }) && error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("damaged"), "the store is whole: {error}");
        assert_eq!(world.store.size(), size);
    };
    refused(b"\x82\x01\x80", None, "signed by nobody");
    let mut forged = log_rotation(home);
    *forged.last_mut().unwrap() ^= 1;
    refused(&forged, Some(second()), "does not verify");
    refused(&log_rotation(home), None, "and the signer given is");
    refused(&log_rotation(home), Some(signer()), "and the signer given is");
    let committers = rotation(home, KeyUse::Committer, &key(2), &key(12));
    refused(&committers, Some(second()), "and the signer given is");
    refused(&rotation(home, KeyUse::Log, &key(3), &key(11)), Some(second()), "not in use");
    let elsewhere = GenesisHash::new(griptrace_core::digest::Digest::ZERO);
    refused(&log_rotation(elsewhere), Some(second()), "is for log");
    // It goes on as if nothing had been asked.
    world.add(world.source("camera", "CN"));
    assert!(is_clean(&world.store));
}

/// A revoked key could rotate: the change stood in the log without effect, and a buyer then believed nobody.
#[test]
fn a_key_that_ended_names_no_successor() {
    let world = guarded();
    let home = world.home();
    world.add(world.source("camera", "CN"));
    world.store.change_key(&revocation(home, 2), None, NOW).unwrap();
    let size = world.store.size();
    let refused = |retired: &SecretKey, since: u64| {
        let entry = rotation(home, KeyUse::Committer, retired, &key(13));
        let error = world.store.change_key(&entry, None, NOW).unwrap_err();
        let CommitError::KeyChange { why: KeyChangeRefusal::Ended { key, since: found } } = error else {
            panic!("{error:?}")
        };
        assert_eq!((key, found), (retired.public_key().id(), since));
    };
    refused(&key(2), 2);
    assert_eq!(world.store.size(), size, "nothing is written");
    // The successor goes on, and once it was rotated it has ended too.
    let change = world.store.change_key(&rotation(home, KeyUse::Committer, &key(12), &key(14)), None, NOW).unwrap();
    refused(&key(12), change.index);
    // A revoker can still say that the theft was earlier.
    let earlier = KeyChange::clone(&world.store.key_changes()[0].1);
    let earlier = KeyChange { successor: None, since: Some(1), ..earlier }.sign(&[&key(9)], "Maker").unwrap();
    world.store.change_key(&earlier, None, NOW).unwrap();
    assert_eq!(world.store.key_end(&key(2).public_key().id()), Some(1));
    assert!(is_clean(&world.store));
}

/// Rule R10: what a key recorded after it had ended was found as recorded, and could never become ancestry again.
#[test]
fn what_counts_for_nobody_is_recorded_again_and_is_then_the_new_committers() {
    let mut world = guarded();
    let kept = world.add(world.source("kept", "CN"));
    let since = world.store.size();
    let lost = world.add(world.source("camera", "CN"));
    let derived = world.commit(world.derive("small", &[lost], "CN"));
    let found = |world: &World, unit: &[NodeRecord]| world.store.find_recorded(unit).unwrap();
    assert_eq!(found(&world, &[world.source("camera", "CN")]), Some(vec![lost]));
    world.store.change_key(&revocation(world.home(), since), None, NOW).unwrap();
    assert_eq!(found(&world, &[world.source("kept", "CN")]), Some(vec![kept]), "before the leaf it counts");
    assert_eq!(found(&world, &[world.source("camera", "CN")]), None);
    assert_eq!(found(&world, &world.derive("small", &[lost], "CN")), None, "nor does a step");
    assert!(matches!(
        world.store.commit(vec![world.source("camera", "CN")], &key(2), "Maker", NOW),
        Err(CommitError::KeyRetired { since: found, .. }) if found == since
    ));
    world.committer = key(12);
    let again = world.add(world.source("camera", "CN"));
    assert_ne!(again, lost);
    let node = world.store.node(&again).unwrap().unwrap();
    assert_eq!(node.committer, key(12).public_key().id());
    let step = world.commit(world.derive("small", &[again], "CN"));
    assert!(step.iter().all(|id| !derived.contains(id)));
    // The same from a store that was opened again, and from a bundle: nothing of the dead commits is in it.
    world.store.0.publish();
    for store in [&world.store, &reader(world.dir.path())] {
        assert_eq!(store.find_recorded(&[world.source("camera", "CN")]).unwrap(), Some(vec![again]));
        assert_eq!(store.find_recorded(&world.derive("small", &[again], "CN")).unwrap(), Some(step.clone()));
    }
    let model = world.commit(world.train("m", &[kept, step[1]], "DE", &["a"]))[1];
    let bundle = Bundle::from_bytes(&world.store.prove(&model, &ProveOptions::default()).unwrap()).unwrap();
    let cores: Vec<NodeId> = bundle.logs[0].commits.iter().flat_map(|c| &c.cores).map(|core| node_id(core)).collect();
    assert!(cores.contains(&again) && cores.contains(&kept) && !cores.contains(&lost), "{cores:?}");
    assert!(is_clean(&world.store));
}

/// The first key signs no revocation: a bundle shows that it signed this log.
#[test]
fn a_bundle_shows_a_checkpoint_of_the_revoked_first_key() {
    let World { dir: _dir, store, .. } = guarded();
    let (retired, successor) = (key(1).public_key(), Some(key(11).public_key()));
    let (home, revoker) = (store.home(), Some(key(9).public_key()));
    let change = KeyChange { home, of: KeyUse::Log, retired, successor, revoker, since: None, time: NOW };
    let entry = change.sign(&[&key(9), &key(11)], "Maker").unwrap();
    let receipt = store.change_key(&entry, Some(second()), NOW).unwrap();
    let world = World::at(&store);
    let source = world.add(world.source("camera", "CN"));
    let model = world.commit(world.train("m", &[source], "DE", &["a"]))[1];
    let bundle = Bundle::from_bytes(&store.prove(&model, &ProveOptions::default()).unwrap()).unwrap();
    let first = Note::parse(bundle.logs[0].anchors[0].note.as_bytes()).unwrap();
    assert_eq!(first.verify(&[signer().verifier().clone()]).unwrap().len(), 1);
    assert_eq!(Checkpoint::parse(first.text()).unwrap().size, receipt.index);
}

/// A change of the log's key that is cut off anywhere: afterwards one of the two keys opens the log, whole.
#[test]
fn a_crash_while_the_logs_key_changes_leaves_a_log_with_one_key() {
    let (sea, folder) = (Sea::default(), TempDir::new().unwrap());
    let on = |sea: &Sea| Objects::on(Box::new(sea.clone()), folder.path());
    let key_of_log = key(1).public_key();
    let genesis = Genesis { origin: ORIGIN.into(), key: key_of_log, time: NOW, nonce: [3; 16], revokers: Vec::new() };
    drop(Store::from_opened(init_on(on(&sea), &genesis, signer(), NOW).unwrap()));
    let (mut old, mut new) = (0, 0);
    for fault in [Fault::Lost, Fault::Persisted, Fault::Torn, Fault::Crash] {
        for at in 0.. {
            let sea = sea.copy();
            let open = |signer: NoteSigner| {
                open_on(on(&sea), OpenOptions { signer: Some(signer), ..OpenOptions::default() })
                    .map(Store::from_opened)
            };
            let store = open(signer()).unwrap();
            let acknowledged = World::at(&store).add(World::at(&store).source("camera", "CN"));
            let (entry, size) = (log_rotation(store.home()), store.size());
            sea.fail(at, fault);
            let changed = store.change_key(&entry, Some(second()), NOW);
            let is_met = sea.mend();
            drop(store);
            let what = format!("{fault:?} at change {at}");
            let opened = [open(signer()), open(second())];
            assert_eq!(opened.iter().filter(|store| store.is_ok()).count(), 1, "{what}: {opened:?}");
            let has_changed = opened[1].is_ok();
            *(if has_changed { &mut new } else { &mut old }) += 1;
            assert!(has_changed || changed.is_err(), "{what}: it was acknowledged and is lost");
            let store = opened.into_iter().find_map(Result::ok).unwrap();
            assert!(store.node(&acknowledged).unwrap().is_some() && store.size() >= size, "{what}");
            let entry = store.entries(size..size + 1).unwrap().pop().map(|entry| entry.bytes);
            let is_there = entry.is_some_and(|entry| matches!(Entry::parse(&entry), Ok(Entry::KeyChange(_))));
            assert_eq!(is_there, has_changed, "{what}");
            World::at(&store).add(World::at(&store).source("after", "CN"));
            assert!(is_clean(&store), "{what}");
            if !is_met {
                break;
            }
        }
    }
    assert!(old > 4 && new > 8, "the fault came before and after: {old}, {new}");
}

/// In a bucket a change of a key is a segment of its own, which no commit tells of.
#[test]
fn every_entry_is_looked_for_in_the_segment_that_has_it() {
    let mut world = World::new();
    for (old, new) in [(2, 12), (12, 22), (22, 32)] {
        world.add(world.source(&format!("{old}"), "CN"));
        let entry = rotation(world.home(), KeyUse::Committer, &key(old), &key(new));
        world.store.change_key(&entry, None, NOW + 5).unwrap();
        world.committer = key(new);
    }
    let state = world.store.0.read();
    let begins: Vec<u64> =
        world.store.0.objects.list("segments").unwrap().iter().map(|name| name.parse().unwrap()).collect();
    for leaf in 0..state.catalogue.size() {
        let expected = begins.iter().filter(|begin| **begin <= leaf).max().unwrap();
        assert_eq!(state.catalogue.segment_of(leaf), *expected, "entry {leaf} of {begins:?}");
    }
}

super::world::in_a_bucket_too! {
    every_entry_is_looked_for_in_the_segment_that_has_it,
    a_log_key_signs_up_to_its_size_and_the_next_one_from_there,
    a_committers_key_that_retired_signs_nothing_more,
    a_change_that_has_no_place_is_refused_and_nothing_is_written,
    a_key_that_ended_names_no_successor,
    what_counts_for_nobody_is_recorded_again_and_is_then_the_new_committers,
    a_bundle_shows_a_checkpoint_of_the_revoked_first_key,
}
