//! What is not disclosed is nowhere: not in a bundle's bytes, not in the log, not in the tiles.
//!
//! Stores are filled with values, file names and secrets that are random and long, so that to find one is to have it. A
//! second test takes values that can be guessed, and has an attacker compute every hash that it can.

mod guess;
mod scan;
mod town;

use std::collections::BTreeSet;

use griptrace_core::{
    bundle::Bundle,
    details::{self, read_value, slot, slot_names},
    digest::{DETAIL_VALUE, Digest},
    id::NodeId,
    limits::DETAIL_SLOTS,
    manifest,
    node::{Kind, Role, node_id},
    value::Value,
};
use griptrace_store::{Chosen, Disclose, ProveOptions, record::ManifestRecord};
use griptrace_tests::seed::{Rng, Seed};

use self::{scan::Needles, town::Town};

/// Stores, and bundles out of each.
const STORES: u64 = 20;
const BUNDLES: usize = 50;

/// Draws what a bundle opens.
fn draw_profile(town: &Town, rng: &mut Rng) -> Disclose {
    match rng.below(10) {
        0 => return Disclose::Minimal,
        1 => return Disclose::All,
        _ => {}
    }
    let some = |rng: &mut Rng| (0..DETAIL_SLOTS).filter(|_| rng.one_in(3)).collect::<Vec<u8>>();
    let mut chosen = Chosen::default();
    for kind in Kind::ALL {
        if rng.one_in(2) {
            chosen.kinds.insert(*kind, some(rng));
        }
    }
    for node in &town.nodes {
        if rng.one_in(6) {
            chosen.nodes.insert(node.id(), if rng.one_in(2) { Vec::new() } else { some(rng) });
        }
    }
    Disclose::Chosen(chosen)
}

/// What somebody may see.
struct Shown<'a> {
    /// The nodes that are there at all.
    inside: BTreeSet<NodeId>,
    /// What ships: its content and files are opened whatever is chosen.
    ships: BTreeSet<NodeId>,
    disclose: &'a Disclose,
}

impl<'a> Shown<'a> {
    /// What the reader of a bundle may see.
    fn by_bundle(town: &Town, file: &[u8], root: &NodeId, disclose: &'a Disclose) -> Self {
        let bundle = Bundle::from_bytes(file).unwrap();
        let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
        let core = town.node(root).core().expect("it was read before");
        let mut ships: BTreeSet<NodeId> =
            core.edges.iter().filter(|edge| edge.role == Role::Ships).map(|edge| edge.to).collect();
        if core.kind == Kind::Model {
            ships.insert(*root);
        }
        Self { inside: cores.map(|core| node_id(core)).collect(), ships, disclose }
    }

    fn detail(&self, kind: Kind, id: &NodeId, number: u8) -> bool {
        let along = || ["content", "manifest"].iter().any(|name| slot(kind, name) == Some(number));
        self.inside.contains(id)
            && (self.disclose.slots(kind, id).contains(&number) || self.ships.contains(id) && along())
    }

    /// Collects all the rest.
    fn secrets(&self, town: &Town) -> Needles {
        let mut needles = town.private();
        for node in &town.nodes {
            let (id, kind) = (node.id(), node.core().expect("it was read before").kind);
            needles.add("the seed of", &id, node.secret.seed().expect("nothing was erased"));
            for number in 0..DETAIL_SLOTS {
                let value = node.values.get(&number);
                if value.is_none() || !self.detail(kind, &id, number) {
                    needles.add(
                        "a salt of",
                        &id,
                        &details::salt(node.secret.seed().expect("nothing was erased"), number),
                    );
                    value.into_iter().for_each(|bytes| add_value(&mut needles, &id, bytes));
                }
            }
            for manifest in node.manifest.iter().filter(|_| !self.ships.contains(&id)) {
                add_manifest(&mut needles, &id, manifest);
            }
            for (subject, salt, _) in node.subjects.iter().flat_map(|subjects| &subjects.openings) {
                if !self.inside.contains(subject) || !self.inside.contains(&id) {
                    needles.add("a subject's salt of", &id, salt);
                }
            }
        }
        needles
    }
}

fn add_manifest(needles: &mut Needles, id: &NodeId, manifest: &ManifestRecord) {
    let seed = manifest.secret.seed().expect("nothing was erased");
    needles.add("the manifest's seed of", id, seed);
    for (index, file) in (0..).zip(&manifest.files) {
        needles.add("a path of", id, &file.path);
        needles.add("a leaf's salt of", id, &manifest::salt(seed, index));
        needles.add("a file's digest of", id, file.blake3.as_bytes());
        file.sha256.iter().for_each(|digest| needles.add("a file's digest of", id, digest.as_bytes()));
        for part in file.path.split(|byte| *byte == b'/') {
            needles.add("a file's name of", id, part);
        }
    }
}

/// Adds a value: its bytes, what it holds, and the digests that stand for it without a salt.
fn add_value(needles: &mut Needles, id: &NodeId, bytes: &[u8]) {
    needles.add("a value of", id, bytes);
    needles.add("a value's digest of", id, DETAIL_VALUE.hash(bytes).as_bytes());
    needles.add("a value's plain digest of", id, blake3::hash(bytes).as_bytes());
    add_parts(needles, id, &read_value(bytes).expect("it was encoded from a value"));
}

fn add_parts(needles: &mut Needles, id: &NodeId, value: &Value) {
    match value {
        Value::Text(text) => {
            needles.add("a text of", id, text.as_bytes());
            let digits = text.split(':').nth(1).and_then(Digest::from_hex);
            digits.iter().for_each(|digest| needles.add("a digest of", id, digest.as_bytes()));
        }
        Value::Bytes(bytes) => needles.add("bytes of", id, bytes),
        // Small numbers stand everywhere.
        Value::Int(number) if number.unsigned_abs() >> 40 == 0 => {}
        Value::Int(number) => needles.add("a number of", id, &number.to_be_bytes()),
        Value::List(items) => items.iter().for_each(|item| add_parts(needles, id, item)),
        Value::Map(pairs) => pairs.iter().for_each(|(name, item)| {
            needles.add("a name in a value of", id, name.as_bytes());
            add_parts(needles, id, item);
        }),
        Value::Bool(_) => {}
    }
}

#[test]
fn nothing_undisclosed_is_in_a_thousand_bundles_or_the_log() {
    let seed = Seed::for_test("nothing_undisclosed_is_in_a_thousand_bundles_or_the_log");
    let mut rng = seed.rng();
    let (mut hidden, mut opened) = (0, 0);
    for store in 0..STORES {
        let town = Town::build(&mut Seed::from_number(rng.next_u64()).rng());
        for number in 0..BUNDLES {
            let root = town.roots[rng.index(town.roots.len())];
            let disclose = draw_profile(&town, &mut rng);
            let options = ProveOptions { disclose, ..ProveOptions::default() };
            let file = town.store.prove(&root, &options).unwrap();
            let needles = Shown::by_bundle(&town, &file, &root, &options.disclose).secrets(&town);
            let found = needles.find_in(&file);
            assert!(found.is_empty(), "store {store}, bundle {number}, {:?}: {found:?}", options.disclose);
            hidden += needles.len();
            let bundle = Bundle::from_bytes(&file).unwrap();
            opened += bundle.disclosures.iter().map(|d| d.opening.slots.len()).sum::<usize>();
        }
        // Nothing at all of the private part is public.
        let everything = Shown { inside: BTreeSet::new(), ships: BTreeSet::new(), disclose: &Disclose::Minimal };
        let everything = everything.secrets(&town);
        for (name, bytes) in town.public() {
            let found = everything.find_in(&bytes);
            assert!(found.is_empty(), "store {store}, {name}: {found:?}");
        }
    }
    assert!(hidden > 100_000 && opened > 1_000, "{hidden} secrets and {opened} opened details: too few to say much");
}

/// The test above finds what there is to find.
#[test]
fn a_leak_that_is_planted_is_found() {
    let seed = Seed::for_test("a_leak_that_is_planted_is_found");
    let mut rng = seed.rng();
    let town = Town::build(&mut rng);
    let root = town.roots[0];
    let prove =
        |disclose: Disclose| town.store.prove(&root, &ProveOptions { disclose, ..ProveOptions::default() }).unwrap();
    let (minimal, all) = (prove(Disclose::Minimal), prove(Disclose::All));
    let needles = Shown::by_bundle(&town, &minimal, &root, &Disclose::Minimal).secrets(&town);
    assert!(needles.find_in(&minimal).is_empty());
    let found = needles.find_in(&all).join("\n");
    for what in ["a salt of", "a value of", "a text of", "bytes of", "a number of"] {
        assert!(found.contains(what), "every detail is opened, and {what} a node is not found:\n{found}");
    }
    for needle in needles.all().step_by(23) {
        let mut file = minimal.clone();
        let place = rng.index(file.len());
        file.splice(place..place, needle.iter().copied());
        assert!(!needles.find_in(&file).is_empty(), "a planted needle of {} bytes is not found", needle.len());
    }
    // The private segments hold all of it, but salts, which are derived.
    let private = town.segments();
    let found = needles.find_in(&private).join("\n");
    for what in ["the seed of", "a path of", "the manifest's seed of", "a subject's salt of", "a value of"] {
        assert!(found.contains(what), "the segments hold {what} a node, and it is not found");
    }
}

#[test]
fn every_slot_of_every_kind_is_drawn() {
    let mut seen = BTreeSet::new();
    let mut rng = Seed::for_test("every_slot_of_every_kind_is_drawn").rng();
    for _ in 0..4 {
        for node in Town::build(&mut rng).nodes {
            let kind = node.core().unwrap().kind;
            seen.extend(node.values.keys().map(|slot| (kind, *slot)));
        }
    }
    for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Erasure) {
        let missing: Vec<&str> = (0_u8..)
            .zip(slot_names(*kind))
            .filter(|(slot, _)| !seen.contains(&(*kind, *slot)))
            .map(|(_, name)| *name)
            .collect();
        assert!(missing.is_empty(), "of {kind} no store had {missing:?}");
    }
}
