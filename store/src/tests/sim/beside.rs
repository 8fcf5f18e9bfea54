//! What a log has beside its commits: changes of its own key, checkpoints that witnesses cosigned, bundles of others; and what is
//! erased from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use griptrace_core::{
    bundle::bundle_digest,
    digest::Digest,
    id::{GenesisHash, NodeId},
    key::{Algorithm, SecretKey, Signer as _},
    key_change::{KeyChange, KeyUse},
    node::Kind,
    note::{Cosigner, Note, NoteSigner, NoteVerifier},
};

use super::{dice::Dice, ledger::Ledger, process::Process};
use crate::{
    AdoptError, CommitError, Cosigned, Disclose, EraseError, ForeignNode, ProveOptions, ReadError, Store, Witnesses,
    adopted::read_sizes,
    tests::{
        erasing,
        world::{NOW, ORIGIN, World},
    },
};

/// Keys that the log may have, one after the other.
pub(super) const KEYS: u8 = 6;

fn secret(key: u8) -> SecretKey {
    let seed = if key == 0 { 1 } else { 100 + key };
    SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap()
}

/// The log's key that comes after so many others.
pub(super) fn signer(key: u8) -> NoteSigner {
    NoteSigner::new(ORIGIN, &[if key == 0 { 1 } else { 100 + key }; 32]).unwrap()
}

/// Returns which key it is.
pub(super) fn key_of(vkey: &str) -> Option<u8> {
    (0..KEYS).find(|key| signer(*key).verifier().to_vkey() == vkey)
}

pub(super) fn verifiers() -> Vec<NoteVerifier> {
    (0..KEYS).map(|key| signer(key).verifier().clone()).collect()
}

fn rotation(home: GenesisHash, old: u8) -> Vec<u8> {
    let (old, new) = (secret(old), secret(old + 1));
    let (retired, successor) = (old.public_key(), Some(new.public_key()));
    let change = KeyChange { home, of: KeyUse::Log, retired, successor, revoker: None, since: None, time: NOW };
    change.sign(&[&old, &new], "Maker").unwrap()
}

fn witness() -> Cosigner {
    Cosigner::new("witness.example", &[200; 32]).unwrap()
}

fn witnesses() -> Witnesses {
    Witnesses { keys: vec![witness().verifier().clone()], quorum: None }
}

/// Bundles of another company, and the node that each is adopted for: the same in every world.
pub(super) fn bundles() -> &'static [(Vec<u8>, NodeId)] {
    static BUNDLES: OnceLock<Vec<(Vec<u8>, NodeId)>> = OnceLock::new();
    BUNDLES.get_or_init(|| {
        let world = World::called("supplier.example/1");
        let made = (0..4).map(|number| {
            let source = world.add(world.source(&format!("supplied {number}"), "DE"));
            let model = world.commit(world.train(&format!("m{number}"), &[source], "DE", &["b.onnx"]))[1];
            let root = world.add(world.shipment(&[model], "DE"));
            let options = ProveOptions { disclose: Disclose::All, ..ProveOptions::default() };
            (world.store.prove(&root, &options).unwrap(), model)
        });
        made.collect()
    })
}

/// What was acknowledged of all this.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// Key changes by their leaf indices.
    changes: BTreeMap<u64, Vec<u8>>,
    /// When the checkpoint of a size was cosigned first and last.
    cosigned: BTreeMap<u64, (u64, u64)>,
    /// The nodes that were adopted, by their names here.
    names: BTreeMap<String, NodeId>,
    /// How many entries the log had when each bundle was adopted.
    sizes: BTreeMap<Digest, u64>,
    bundles: BTreeSet<Digest>,
    /// The nodes of which a field was erased.
    erased: BTreeSet<NodeId>,
}

impl Beside {
    /// Looks for the key changes in the log at its end.
    pub(super) fn missing_change(&self, entries: &[Vec<u8>]) -> Option<u64> {
        let is_there = |index: u64| entries.get(usize::try_from(index).unwrap());
        self.changes.iter().find(|(index, entry)| is_there(**index) != Some(*entry)).map(|(index, _)| *index)
    }

    /// Says how much of it there was.
    pub(super) fn counts(&self) -> [usize; 4] {
        [self.changes.len(), self.cosigned.len(), self.names.len(), self.erased.len()]
    }

    /// Looks for a node of which a field was erased, and of which the log has no Erasure.
    pub(super) fn missing_erasure(&self, erased: &BTreeSet<NodeId>) -> Option<NodeId> {
        self.erased.difference(erased).next().copied()
    }

    fn check_cosigned(&self, size: u64, found: Option<&Cosigned>) -> Result<(), String> {
        let Some((first, last)) = self.cosigned.get(&size) else { return Ok(()) };
        let times = found.map(|found| (found.times[0], found.latest[0]));
        match times {
            Some((Some(earliest), Some(latest))) if earliest <= *first && latest >= *last => Ok(()),
            _ => Err(format!("size {size} was cosigned at {first} and at {last}, and kept is {times:?}")),
        }
    }

    fn check_names(&self, found: &[ForeignNode]) -> Result<(), String> {
        let is_there = |(name, id): &(&String, &NodeId)| found.iter().any(|f| f.name == **name && f.id == **id);
        match self.names.iter().find(|named| !is_there(named)) {
            None => Ok(()),
            Some((name, _)) => Err(format!("{name} was adopted, and is not among {} names", found.len())),
        }
    }

    fn check_sizes(&self, found: &BTreeMap<Digest, u64>) -> Result<(), String> {
        // It is later than it was only where two adopted it at the same time.
        match self.sizes.iter().find(|(digest, size)| found.get(*digest).is_none_or(|found| found < *size)) {
            None => Ok(()),
            Some((digest, size)) => Err(format!("{digest} was adopted at {size}, and now at {:?}", found.get(digest))),
        }
    }
}

impl Process {
    fn beside<T>(&self, tell: impl FnOnce(&mut Beside) -> T) -> T {
        tell(&mut self.shared.beside.lock().unwrap())
    }

    fn hold(&self, checked: Result<(), String>) {
        if let Err(why) = checked {
            self.ledger(|ledger: &mut Ledger| ledger.fail(format!("{}: {why}", self.who())));
        }
    }

    /// Does, now and then, one of the things that are no commits.
    pub(super) fn go_beside(&mut self, store: &Store) {
        let done = match self.dice.between(0, 4_000) {
            0..=29 => return self.change_key(store),
            30..=229 => return self.adopt(store),
            230..=289 => self.cosign(store),
            290..=379 => self.look_beside(store),
            380..=679 if self.shared.has_erasures => return self.erase(store),
            _ => return,
        };
        if let Err(error) = done {
            self.error(&error);
        }
    }

    fn change_key(&mut self, store: &Store) {
        let known = store.verifiers().first().and_then(|key| key_of(&key.to_vkey()));
        let Some(old) = known.filter(|key| *key + 1 < KEYS && store.is_writing()) else { return };
        let entry = rotation(store.home(), old);
        let changed = store.change_key(&entry, Some(signer(old + 1)), NOW);
        if self.port.is_dead() {
            return;
        }
        match changed {
            Ok(receipt) => {
                self.key = old + 1;
                self.ledger(|ledger| ledger.receipt(usize::MAX - usize::from(old), &entry, &receipt, &self.who()));
                self.beside(|beside| beside.changes.insert(receipt.index, entry));
            }
            Err(error @ (CommitError::Storage(_) | CommitError::Stopped | CommitError::ReadOnly)) => self.error(&error),
            Err(error) => self.hold(Err(format!("key {old} is not changed: {error}"))),
        }
    }

    /// Erases the name of a data set that was acknowledged.
    fn erase(&mut self, store: &Store) {
        let chance = self.dice.next();
        let data = self.shared.clients.lock().unwrap().some_data(chance);
        let Some(target) = data.filter(|_| store.is_writing()) else { return };
        let told = erasing::erase(store, target, &[erasing::name_of(Kind::Dataset)], &[]);
        if self.port.is_dead() {
            return;
        }
        match told {
            Ok(_) | Err(EraseError::Gone { .. }) => drop(self.beside(|beside| beside.erased.insert(target))),
            Err(
                error @ (EraseError::Storage(_)
                | EraseError::NoNode { .. }
                | EraseError::Commit(CommitError::Storage(_) | CommitError::Stopped | CommitError::ReadOnly)),
            ) => self.error(&error),
            Err(error) => self.hold(Err(format!("nothing is erased of {target}: {error}"))),
        }
    }

    fn cosign(&mut self, store: &Store) -> Result<(), ReadError> {
        let chance = self.dice.next();
        let size = self.ledger(|ledger| ledger.a_size(store.size(), chance));
        if size == 0 {
            return Ok(());
        }
        let Some(text) = store.checkpoint_at(size)? else { return Ok(()) };
        // Clocks differ.
        let time = NOW + self.port.now() / 1_000_000 + self.dice.between(0, 60);
        let line = witness().sign(Note::parse(text.as_bytes()).unwrap().text(), time).unwrap();
        let kept = store.keep_cosignatures(size, &[line], &witnesses())?;
        let checked = self.beside(|beside| {
            let said = beside.cosigned.entry(size).or_insert((time, time));
            *said = (said.0.min(time), said.1.max(time));
            beside.check_cosigned(size, Some(&kept))
        });
        self.hold(checked);
        Ok(())
    }

    fn adopt(&mut self, store: &Store) {
        let (bundle, id) = &bundles()[self.dice.place(bundles().len())];
        let name = format!("adopted {}", self.dice.next());
        match store.adopt(bundle, id, Some(&name)) {
            Ok(_) => self.beside(|beside| {
                beside.names.insert(name, *id);
                beside.bundles.insert(bundle_digest(bundle));
            }),
            Err(AdoptError::ReadOnly) => {}
            Err(error) => self.error(&error),
        }
    }

    /// Looks at what was acknowledged before.
    pub(super) fn look_beside(&mut self, store: &Store) -> Result<(), ReadError> {
        let before = self.beside(|beside| beside.clone());
        self.hold(before.check_names(&store.foreign_nodes()?));
        let sizes = read_sizes(&store.0.objects)?;
        self.hold(before.check_sizes(&sizes));
        let known = before.bundles.iter().filter_map(|digest| Some((*digest, *sizes.get(digest)?)));
        self.beside(|beside| {
            for (digest, size) in known {
                beside.sizes.entry(digest).or_insert(size);
            }
        });
        let chance = self.dice.next();
        // In a log that is shown here.
        let shown: Vec<u64> = before.cosigned.keys().copied().filter(|size| *size <= store.size()).collect();
        if !shown.is_empty() {
            let size = shown[Dice::new(chance, 9).place(shown.len())];
            let found = store.cosigned(size, &witnesses())?;
            self.hold(before.check_cosigned(size, found.as_ref()));
        }
        Ok(())
    }
}
