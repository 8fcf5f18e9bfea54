//! A client goes on to the key that a log has now by what is proven, and by nothing else.

use griptrace_core::{
    fork::Fork,
    id::GenesisHash,
    key::{SecretKey, Signer as _},
    key_change::{KeyChange, KeyUse},
    note::NoteSigner,
};
use griptrace_proto::v1;
use griptrace_store::Disclose;

use super::{
    NOW, ORIGIN, World, commit, committer, dataset, key, new_store, said,
    server::{Trick, log},
};

fn vkey(seed: u8) -> String {
    NoteSigner::new(ORIGIN, &[seed; 32]).unwrap().verifier().to_vkey()
}

/// A change of the log's key, signed by the one that retires or by a revoker, and by its successor.
fn change(home: GenesisHash, of: KeyUse, retired: u8, successor: u8, revoker: Option<&SecretKey>) -> Vec<u8> {
    let (old, new) = (key(retired), key(successor));
    let change = KeyChange {
        home,
        of,
        retired: old.public_key(),
        successor: Some(new.public_key()),
        revoker: revoker.map(SecretKey::public_key),
        since: None,
        time: NOW,
    };
    change.sign(&[revoker.unwrap_or(&old), &new], "Maker").unwrap()
}

impl World {
    /// Has the log's key followed by another, and returns the leaf index of the change.
    fn change_key(&self, retired: u8, successor: u8, revoker: Option<&SecretKey>) -> u64 {
        let entry = change(self.store.home(), KeyUse::Log, retired, successor, revoker);
        let signer = NoteSigner::new(ORIGIN, &[successor; 32]).unwrap();
        self.store.change_key(&entry, Some(signer), NOW).unwrap().index
    }

    /// Has the server say something else of its log than what is so.
    fn say(&self, change: impl FnOnce(&mut v1::GetLogResponse)) {
        let mut said = log(&self.store);
        change(&mut said);
        *self.state.log.lock().unwrap() = Some(said);
    }

    /// Connects anew with each key that could be pinned.
    fn connects_with(&self, pins: &[u8]) {
        let now = self.store.verifiers()[0].to_vkey();
        for pinned in pins.iter().map(|seed| Some(vkey(*seed))).chain([None]) {
            let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
            let remote = self.connect_as(folder.path().to_str().unwrap(), pinned.clone()).unwrap();
            assert_eq!((remote.log_key().to_vkey(), remote.home()), (now.clone(), self.store.home()), "{pinned:?}");
            assert!(remote.node(&self.model).unwrap().is_some());
        }
    }
}

/// From the first change on no client could use the log any more: the server went on naming its first key.
#[test]
fn whoever_pinned_any_key_of_the_log_goes_on_to_that_of_now() {
    let world = World::new();
    world.connect().unwrap();
    world.change_key(1, 11, None);
    world.connects_with(&[1, 11]);
    commit(&world.store, vec![dataset(world.store.home(), "between")]);
    world.change_key(11, 12, None);
    world.connects_with(&[1, 11, 12]);
    let guard = key(9);
    world.change_key(12, 13, Some(&guard));
    world.connects_with(&[1, 11, 12, 13]);
    // Who saw the log under its first key, and nothing of the three changes since.
    let remote = world.connect_as("client", Some(vkey(1))).unwrap();
    let keys: Vec<_> = remote.key_history().log_keys().map(|(_, key)| key.clone()).collect();
    assert_eq!(keys, [1, 11, 12, 13].map(|seed| key(seed).public_key()));
    remote.commit(&[dataset(remote.home(), "tactile")], &committer(), "Maker").unwrap();
    remote.prove(&world.shipments[0], &Disclose::Minimal, &[]).unwrap();
    assert!(String::from_utf8(world.seen()).unwrap().contains(&format!("\nvkey {}\n", vkey(13))));
    let said = said(world.connect_as("stranger", Some(vkey(77))));
    assert!(said.contains(&format!(
        "shows a log with the key {}, and {} is the one that is pinned",
        vkey(13),
        vkey(77)
    )));
    assert!(said.contains("no change that it shows is from the pinned key or to it"), "{said}");
}

#[test]
fn a_key_that_changed_in_the_middle_of_a_command_is_followed() {
    let world = World::new();
    let remote = world.connect().unwrap();
    world.change_key(1, 11, None);
    let receipt = remote.commit(&[dataset(remote.home(), "tactile")], &committer(), "Maker").unwrap();
    assert!(receipt.checkpoint.contains(ORIGIN) && world.seen().ends_with(receipt.checkpoint.as_bytes()));
    // The change has to be proven then too.
    let remote = world.connect().unwrap();
    world.change_key(11, 12, None);
    world.say(|log| log.key_changes[1].index += 1);
    let said = said(remote.commit(&[dataset(remote.home(), "forces-2")], &committer(), "Maker"));
    assert!(said.contains("a change of the log's key is not proven to be in the log"), "{said}");
}

/// What is said of the log whose key changed from 1 to 11, and the words of the refusal.
#[test]
fn a_key_that_no_proven_change_leads_to_is_refused() {
    type Say = fn(&mut v1::GetLogResponse, GenesisHash);
    let cases: [(&str, Say, &str); 9] = [
        ("a key alone", |log, _| log.vkey = vkey(77), "lead to"),
        ("no change", |log, _| log.key_changes.clear(), "and the log's first entry and the changes of its key lead to"),
        (
            "another's change",
            |log, home| {
                let thief = key(77);
                log.key_changes[0].entry = change(home, KeyUse::Log, 1, 78, Some(&thief)).into();
                log.vkey = vkey(78);
            },
            "the genesis does not name key",
        ),
        (
            "a signature that is none",
            |log, _| {
                let mut entry = log.key_changes[0].entry.to_vec();
                *entry.last_mut().unwrap() ^= 1;
                log.key_changes[0].entry = entry.into();
            },
            "the log's key is said to have changed at leaf",
        ),
        (
            "a change for another log",
            |log, _| {
                let other = GenesisHash::new(griptrace_core::digest::Digest::ZERO);
                log.key_changes[0].entry = change(other, KeyUse::Log, 1, 11, None).into();
            },
            "the key change is for log",
        ),
        (
            "a committer's change",
            |log, home| log.key_changes[0].entry = change(home, KeyUse::Committer, 1, 11, None).into(),
            "it changes no key of the log",
        ),
        (
            "a change that is in no log, signed with the first key",
            |log, home| {
                let again = change(home, KeyUse::Log, 11, 12, None);
                let index = log.key_changes[0].index + 1;
                log.key_changes.push(v1::LogKeyChange { index, entry: again.into() });
                log.vkey = vkey(12);
            },
            "the checkpoint is not signed by the log's key",
        ),
        (
            "a change at another leaf",
            |log, _| log.key_changes[0].index -= 1,
            "a change of the log's key is not proven to be in the log",
        ),
        (
            "one change twice",
            |log, _| {
                let twice = log.key_changes[0].clone();
                log.key_changes.push(twice);
            },
            "the log has seen it before",
        ),
    ];
    let world = World::new();
    world.change_key(1, 11, None);
    let home = world.store.home();
    for (what, say, expected) in cases {
        world.say(|log| say(log, home));
        for pinned in [None, Some(vkey(1)), Some(vkey(11))] {
            let said = said(world.connect_as("client", pinned.clone()));
            assert!(said.contains(expected), "{what}, {pinned:?}: {said}");
        }
    }
}

/// Of the tree that was seen the server shows everything but the change, and signs it with the key that retired.
#[test]
fn a_change_that_was_seen_is_not_left_out_again() {
    let world = World::new();
    world.change_key(1, 11, None);
    world.connect().unwrap();
    commit(&world.store, vec![dataset(world.store.home(), "tactile")]);
    world.play(Trick::FirstKeySigns, world.source);
    let hide = |log: &mut v1::GetLogResponse| {
        log.key_changes.clear();
        log.vkey = vkey(1);
    };
    world.say(hide);
    let told = said(world.connect());
    let (new, old) = (vkey(11), vkey(1));
    assert!(told.contains(&format!("that the log's key {new} signed, and it shows a log whose key {old} signs there")));
    assert!(told.contains("hint: a change of the log's key is left out or moved"), "{told}");
    // So does who pinned the new key and has seen nothing.
    let told = said(world.connect_as("fresh", Some(vkey(11))));
    assert!(told.contains(&format!("shows a log with the key {old}, and {new} is the one that is pinned")), "{told}");
}

/// Another history beside the one in which the key changed: there is evidence, and a file for others only where one key signed both.
#[test]
fn another_history_without_the_change_is_refused_with_evidence() {
    let world = World::new();
    world.change_key(1, 11, None);
    world.connect_as("client", Some(vkey(11))).unwrap();
    let other = new_store(&world.folder.path().join("other"));
    while other.size() < world.store.size() {
        commit(&other, vec![dataset(other.home(), "a")]);
    }
    assert_eq!(other.size(), world.store.size());
    *world.state.store.lock().unwrap() = other.clone();
    let said = said(world.connect_as("client", Some(vkey(11))));
    assert!(said.contains(&format!("error: the log {ORIGIN} forked: two checkpoints of size")), "{said}");
    let evidence = world.evidence();
    assert!(evidence.contains(&world.store.checkpoint()) && evidence.contains(&other.checkpoint()), "{evidence}");
    assert!(Fork::parse(evidence.as_bytes()).is_err() && !said.contains("--check-fork"), "{said}");
}

/// A first entry that names the victim's key and a revoker of the thief's: nobody signs one, so that only what the victim's key signed
/// shows which is the right one.
#[test]
fn a_first_key_that_was_revoked_shows_a_checkpoint_that_it_signed() {
    let world = World::new();
    let guard = key(9);
    let leaf = world.change_key(1, 11, Some(&guard));
    world.connects_with(&[1, 11]);
    world.play(Trick::OldCheckpointForged, world.source);
    let told = said(world.connect_as("client", Some(vkey(1))));
    assert!(told.contains("the checkpoint is not signed by the log's key"), "{told}");
    world.connect_as("new", Some(vkey(11))).unwrap();
    world.play(Trick::None, world.source);
    world.say(|log| log.key_changes[0].index = leaf - 1);
    assert!(said(world.connect_as("client", Some(vkey(1)))).contains("a change of the log's key is not proven"));
}
