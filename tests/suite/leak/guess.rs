//! A value that can be guessed is not confirmed by what is public.
//!
//! The attacker has the bundle, the log, the tiles and every algorithm, and knows which few values the hidden field can
//! have. It takes every 16 and every 32 bytes of the bundle, and what can be derived from them, for the salt and the seed,
//! computes every hash that the guess then leads to, and looks whether one of them stands anywhere.

use std::collections::HashSet;

use griptrace_core::{
    bundle::Bundle,
    cbor::encode,
    details::{self, Salt, Values, slot},
    digest::{CONTENT, DETAIL_SALT, DETAIL_TREE, DETAIL_VALUE, Digest, file_digest},
    id::NodeId,
    manifest::{self, FileRecord},
    node::{Core, DigestStrength, Edge, Held, Kind, Origin, Role, node_id},
    tree,
    value::Value,
    word::Country,
};
use griptrace_store::{
    Chosen, Disclose, ProveOptions, Store,
    record::{ManifestRecord, NodeRecord, Secret},
};
use griptrace_tests::seed::{Rng, Seed};

use super::town::manifest_values;
use crate::holding::factory::{ISSUER, NOW, committer, genesis, log_signer};

/// What the hidden field can be.
const LICENCES: [&str; 10] = [
    "proprietary",
    "Apache-2.0",
    "MIT",
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "ODbL-1.0",
    "none",
    "unknown",
];
/// What the hidden files can be.
const PATHS: [&str; 4] = ["data.csv", "force.csv", "train.csv", "camera.mp4"];

/// A log with a source whose licence and files are hidden.
struct Scene {
    source: NodeRecord,
    bundle: Vec<u8>,
    /// All that is public, at every place that a hash can begin.
    public: HashSet<[u8; 32]>,
    _folder: tempfile::TempDir,
}

fn licence_slot() -> u8 {
    slot(Kind::Dataset, "licence").expect("a data set has it")
}

fn file(path: &str) -> FileRecord {
    FileRecord { path: path.into(), size: 3, blake3: file_digest(b"1,2"), sha256: None }
}

/// A source with the given licence: its neighbour in the details tree is opened, so that the licence's own leaf stands in
/// the proof, and so is the manifest's root.
fn scene(rng: &mut Rng, licence: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::init(folder.path(), &genesis(5), log_signer(), NOW).unwrap();
    let core = |kind| Core::new(kind, store.home(), [0; 16], Digest::ZERO);
    let manifest = ManifestRecord { secret: Secret::Seed(rng.array()), files: vec![file(PATHS[1])] };
    let mut values = manifest_values(Kind::Dataset, &manifest);
    for (name, text) in [("name", "camera"), ("licence", licence), ("persons", "none found")] {
        values.insert(slot(Kind::Dataset, name).expect("it has it"), encode(&Value::text(text)));
    }
    let dataset = Core {
        origin: Some(Origin::Collected),
        held: Some(Held::Here),
        strength: Some(DigestStrength::Strong),
        country: Country::parse("CN"),
        ..core(Kind::Dataset)
    };
    let source = NodeRecord::build(dataset, values, Some(manifest), None, |out| rng.fill(out)).unwrap();
    let used = vec![Edge::local(Role::Used, source.id())];
    let activity = Some(griptrace_core::node::Activity::Training);
    let date = griptrace_core::date::Date::parse("2026-04-10");
    let step = Core { activity, date, edges: used, ..core(Kind::Transformation) };
    let step = NodeRecord::build(step, Values::new(), None, None, |out| rng.fill(out)).unwrap();
    let made = vec![Edge::local(Role::GeneratedBy, step.id())];
    let model = Core { strength: Some(DigestStrength::Strong), edges: made, ..core(Kind::Model) };
    let shipped = ManifestRecord { secret: Secret::Seed(rng.array()), files: vec![file("model.onnx")] };
    let values = manifest_values(Kind::Model, &shipped);
    let model = NodeRecord::build(model, values, Some(shipped), None, |out| rng.fill(out)).unwrap();
    let root = model.id();
    store.commit(vec![source.clone()], &committer(), ISSUER, NOW).unwrap();
    store.commit(vec![step, model], &committer(), ISSUER, NOW).unwrap();
    let shown = ["name", "persons", "manifest"].iter().filter_map(|name| slot(Kind::Dataset, name)).collect();
    let chosen = Chosen { kinds: [(Kind::Dataset, shown)].into(), ..Chosen::default() };
    let bundle =
        store.prove(&root, &ProveOptions { disclose: Disclose::Chosen(chosen), ..ProveOptions::default() }).unwrap();
    let mut public: HashSet<[u8; 32]> = windows(&bundle).collect();
    for entry in store.entries(0..store.size()).unwrap() {
        public.extend(windows(&entry.bytes));
    }
    super::town::tiles(folder.path()).iter().for_each(|(_, bytes)| public.extend(windows(bytes)));
    Scene { source, bundle, public, _folder: folder }
}

/// Returns every run of `N` bytes.
fn windows<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.windows(N).map(|window| window.try_into().expect("it is as long"))
}

/// What an attacker can take for salts: whatever stands in the bundle, its ids, and what follows from each as a seed.
fn salts(scene: &Scene) -> Vec<Salt> {
    let bundle = Bundle::from_bytes(&scene.bundle).unwrap();
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
    let ids: Vec<[u8; 32]> = cores.map(|core| *node_id(core).as_bytes()).collect();
    let mut salts: HashSet<Salt> = windows(&scene.bundle).collect();
    salts.extend([[0; 16], [0xff; 16]]);
    salts.extend(ids.iter().flat_map(|id| windows(id)));
    for seed in windows(&scene.bundle).chain(ids).chain([[0; 32]]) {
        salts.insert(details::salt(&seed, licence_slot()));
        salts.insert(DETAIL_SALT.hash(&seed).as_bytes()[..16].try_into().expect("it is as long"));
    }
    salts.into_iter().collect()
}

/// Computes what a guess leads to without a salt, and in the details tree of a node of which nothing else is known.
fn plain_hashes(guess: &[u8], seed: &[u8; 32], scene: &Scene) -> Vec<Digest> {
    let alone: Values = [(licence_slot(), guess.to_vec())].into();
    let mut known = scene.source.values.clone();
    known.insert(licence_slot(), guess.to_vec());
    vec![
        DETAIL_VALUE.hash(guess),
        file_digest(guess),
        CONTENT.hash(guess),
        DETAIL_TREE.hash(guess),
        details::root(Kind::Dataset, seed, &alone),
        details::root(Kind::Dataset, seed, &known),
    ]
}

/// Returns which of the public hashes a guess leads to, by all these salts.
fn confirmed(guess: &[u8], salts: &[Salt], scene: &Scene) -> Vec<Digest> {
    let leaves = salts.iter().map(|salt| details::leaf(Kind::Dataset, licence_slot(), salt, Some(guess)));
    let plain = [[0; 32], *scene.source.id().as_bytes()];
    let plain = plain.iter().flat_map(|seed| plain_hashes(guess, seed, scene)).collect::<Vec<_>>();
    leaves.chain(plain).filter(|hash| scene.public.contains(hash.as_bytes())).collect()
}

#[test]
fn a_guess_of_a_hidden_value_is_confirmed_by_nothing_that_is_public() {
    let mut rng = Seed::for_test("a_guess_of_a_hidden_value_is_confirmed_by_nothing_that_is_public").rng();
    let scene = scene(&mut rng, LICENCES[0]);
    let salts = salts(&scene);
    assert!(salts.len() > 4_000, "{} salts are few to try", salts.len());
    let secret = details::salt(scene.source.secret.seed().expect("nothing was erased"), licence_slot());
    for licence in LICENCES {
        let guess = encode(&Value::text(licence));
        assert_eq!(confirmed(&guess, &salts, &scene), [], "{licence} is confirmed or ruled out");
        // With the salt, which only the recorder has, the right one is confirmed and no other.
        let by_salt = confirmed(&guess, &[secret], &scene);
        assert_eq!(by_salt.len(), usize::from(licence == LICENCES[0]), "{licence}, with the secret salt");
        let all: Values = scene.source.values.clone().into_iter().chain([(licence_slot(), guess)]).collect();
        let root = details::root(Kind::Dataset, scene.source.secret.seed().expect("nothing was erased"), &all);
        assert_eq!(root == scene.source.core().unwrap().details, licence == LICENCES[0], "{licence}, with the seed");
    }
}

#[test]
fn a_guess_of_hidden_files_is_confirmed_by_nothing_that_is_public() {
    let mut rng = Seed::for_test("a_guess_of_hidden_files_is_confirmed_by_nothing_that_is_public").rng();
    let scene = scene(&mut rng, LICENCES[0]);
    let secret = *scene.source.manifest.as_ref().expect("it has files").secret.seed().expect("nothing was erased");
    let mut seeds: HashSet<[u8; 32]> = windows(&scene.bundle).collect();
    seeds.extend([[0; 32], *scene.source.id().as_bytes()]);
    assert!(!seeds.contains(&secret));
    for path in PATHS {
        let files = [file(path)];
        let root = |seed: &[u8; 32]| manifest::root(seed, &files).expect("there is a file");
        let unsalted = [manifest::content_digest(&files), manifest::leaf(&[0; 16], &files[0])];
        let found = seeds.iter().map(root).chain(unsalted).find(|hash| scene.public.contains(hash.as_bytes()));
        assert_eq!(found, None, "{path} is confirmed");
        let confirmed = scene.public.contains(root(&secret).as_bytes());
        assert_eq!(confirmed, path == PATHS[1], "{path}, with the secret seed");
    }
}

/// Which values a hidden field has, and whether it has one, changes no length.
#[test]
fn a_hidden_value_changes_neither_length_nor_what_is_opened() {
    let seed = Seed::for_test("a_hidden_value_changes_neither_length_nor_what_is_opened");
    let scenes: Vec<Scene> =
        ["x", "proprietary", &"long ".repeat(1_000)].iter().map(|licence| scene(&mut seed.rng(), licence)).collect();
    let first = Bundle::from_bytes(&scenes[0].bundle).unwrap();
    for other in &scenes[1..] {
        assert_eq!(other.bundle.len(), scenes[0].bundle.len());
        let bundle = Bundle::from_bytes(&other.bundle).unwrap();
        for (one, two) in first.disclosures.iter().zip(&bundle.disclosures) {
            assert_eq!(one.opening.slots, two.opening.slots);
            assert_eq!(one.opening.proof.len(), two.opening.proof.len());
        }
    }
    let hashes = |scene: &Scene| tree::root(&DETAIL_TREE, &[DETAIL_VALUE.hash(&scene.bundle)]);
    assert_ne!(hashes(&scenes[0]), hashes(&scenes[1]), "the bundles are not the same by mistake");
}

/// The id of a node is that of its core alone: who knows every value learns nothing from it without the seed.
#[test]
fn the_same_values_recorded_twice_have_nothing_in_common() {
    let mut rng = Seed::for_test("the_same_values_recorded_twice_have_nothing_in_common").rng();
    let (one, two) = (scene(&mut rng, LICENCES[0]), scene(&mut rng, LICENCES[0]));
    let ids: [NodeId; 2] = [one.source.id(), two.source.id()];
    assert_ne!(ids[0], ids[1]);
    let leaf = |scene: &Scene| {
        let salt = details::salt(scene.source.secret.seed().expect("nothing was erased"), licence_slot());
        *details::leaf(
            Kind::Dataset,
            licence_slot(),
            &salt,
            scene.source.values.get(&licence_slot()).map(Vec::as_slice),
        )
        .as_bytes()
    };
    assert!(one.public.contains(&leaf(&one)) && !two.public.contains(&leaf(&one)));
    assert!(two.public.contains(&leaf(&two)) && !one.public.contains(&leaf(&two)));
}
