//! A server that lies in one respect is refused for that respect.

mod keys;
mod server;

use core::{sync::atomic::Ordering, time::Duration};
use std::{fs, path::Path, sync::Arc, time::Instant};

use griptrace_core::{
    cbor::encode,
    date::Date,
    details::{Values, slot},
    digest::Digest,
    entry::Genesis,
    id::{GenesisHash, NodeId},
    key::{Algorithm, SecretKey, Signer as _},
    node::{Activity, Core, DigestStrength, Edge, Held, Kind, Mark, Origin, Role},
    note::NoteSigner,
    value::Value,
    word::Country,
};
use griptrace_store::{Disclose, Store, record::NodeRecord};
use tempfile::TempDir;

use self::server::{Server, State, Trick};
use super::{Remote, ServerArgs, Target};
use crate::{error::CommandError, output::Output, recording::build::make};

const ORIGIN: &str = "log.example/2026";
/// The time of what is committed beforehand.
const NOW: u64 = 1_790_000_000;

/// A store with a source, a model made of two sources, two shipments and a mark, and a server over it.
struct World {
    folder: TempDir,
    state: Arc<State>,
    url: String,
    store: Store,
    source: NodeId,
    withdrawn: NodeId,
    model: NodeId,
    shipments: [NodeId; 2],
}

fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[1; 32]).unwrap()
}

fn committer() -> SecretKey {
    key(2)
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap()
}

/// Makes a store of the one log that all tests speak of, whose keys the key 9 may revoke.
fn new_store(folder: &Path) -> Store {
    let revokers = vec![key(9).public_key().id()];
    let genesis = Genesis { origin: ORIGIN.into(), key: key(1).public_key(), time: NOW, nonce: [3; 16], revokers };
    Store::init(folder, &genesis, signer(), NOW).unwrap()
}

fn commit(store: &Store, records: Vec<NodeRecord>) -> Vec<NodeId> {
    store.commit(records, &committer(), "Maker", NOW).unwrap().ids
}

fn named(kind: Kind, name: &str) -> Values {
    [(slot(kind, "name").unwrap(), encode(&Value::text(name)))].into()
}

fn dataset(home: GenesisHash, name: &str) -> NodeRecord {
    let mut core = Core::new(Kind::Dataset, home, [0; 16], Digest::ZERO);
    core.origin = Some(Origin::Collected);
    core.held = Some(Held::Here);
    core.strength = Some(DigestStrength::None);
    make(core, named(Kind::Dataset, name), None, None).unwrap()
}

/// A training step and the model that it made.
fn training(home: GenesisHash, used: &[NodeId]) -> [NodeRecord; 2] {
    let mut step = Core::new(Kind::Transformation, home, [0; 16], Digest::ZERO);
    step.activity = Some(Activity::Training);
    step.edges = used.iter().map(|id| Edge::local(Role::Used, *id)).collect();
    step.edges.sort();
    let step = make(step, Values::new(), None, None).unwrap();
    let mut model = Core::new(Kind::Model, home, [0; 16], Digest::ZERO);
    model.strength = Some(DigestStrength::None);
    model.edges = vec![Edge::local(Role::GeneratedBy, step.id())];
    let model = make(model, named(Kind::Model, "grasp"), None, None).unwrap();
    [step, model]
}

fn shipment(home: GenesisHash, model: NodeId) -> NodeRecord {
    let mut core = Core::new(Kind::Shipment, home, [0; 16], Digest::ZERO);
    core.edges = vec![Edge::local(Role::Ships, model)];
    core.country = Country::parse("DE");
    core.date = Some(Date::from_unix(NOW));
    make(core, Values::new(), None, None).unwrap()
}

fn withdrawal(home: GenesisHash, of: NodeId) -> NodeRecord {
    let mut core = Core::new(Kind::Status, home, [0; 16], Digest::ZERO);
    core.edges = vec![Edge::local(Role::Marks, of)];
    core.mark = Some(Mark::Withdraw);
    core.date = Some(Date::from_unix(NOW));
    make(core, Values::new(), None, None).unwrap()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = new_store(&folder.path().join("store"));
        let home = store.home();
        let sources = commit(&store, vec![dataset(home, "camera"), dataset(home, "forces")]);
        let [source, withdrawn] = [sources[0], sources[1]];
        let model = commit(&store, training(home, &sources).into())[1];
        let shipments = commit(&store, vec![shipment(home, model), shipment(home, model)]);
        commit(&store, vec![withdrawal(home, withdrawn)]);
        let (state, url) = Server::start(store.clone(), signer(), committer().public_key());
        let shipments = [shipments[0], shipments[1]];
        Self { folder, state, url, store, source, withdrawn, model, shipments }
    }

    fn connect(&self) -> Result<Remote, CommandError> {
        self.connect_as("client", None)
    }

    /// Connects from a folder, with a key of the log that is pinned.
    fn connect_as(&self, folder: &str, pinned: Option<String>) -> Result<Remote, CommandError> {
        let args = ServerArgs { server: Some(self.url.clone()), ..ServerArgs::default() };
        let target = Target { log: pinned, ..args.target(None).unwrap().unwrap() };
        Remote::connect(&Output::new(true), &target, &self.folder.path().join(folder), None)
    }

    fn play(&self, trick: Trick, other: NodeId) {
        *self.state.trick.lock().unwrap() = trick;
        *self.state.other.lock().unwrap() = Some(other);
    }

    /// Returns the one file of evidence.
    fn evidence(&self) -> String {
        let folder = self.folder.path().join("client").join("evidence");
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        fs::read_to_string(&files[0]).unwrap()
    }

    fn seen(&self) -> Vec<u8> {
        let folder = self.folder.path().join("client").join("seen");
        let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        fs::read(files.find(|path| path.extension().is_some_and(|end| end == "seen")).unwrap()).unwrap()
    }
}

/// Returns what is printed of a refusal.
fn said<T>(result: Result<T, CommandError>) -> String {
    match result {
        Ok(_) => panic!("the lie was believed"),
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            error.lines().join("\n")
        }
    }
}

#[test]
fn an_honest_server_answers_as_the_store_does() {
    let world = World::new();
    let (remote, store) = (world.connect().unwrap(), &world.store);
    assert_eq!((remote.home(), remote.size()), (store.home(), store.size()));
    assert_eq!(remote.node(&world.model).unwrap(), store.node(&world.model).unwrap());
    assert_eq!(remote.node(&NodeId::new(Digest::ZERO)).unwrap(), None);
    let shipped = world.shipments[0];
    assert_eq!(remote.ancestors(&shipped).unwrap(), store.ancestors(&shipped, None).unwrap());
    assert_eq!(remote.descendants(&world.source).unwrap(), store.descendants(&world.source, None).unwrap());
    let ways = (remote.paths(&shipped, &world.source, 9).unwrap(), remote.paths(&world.source, &shipped, 9).unwrap());
    assert_eq!(ways.0, store.paths(&shipped, &world.source, 9, None).unwrap());
    assert_eq!(ways.1.paths.len(), 0);
    assert_eq!(remote.by_name("grasp").unwrap(), [world.model]);
    assert_eq!(remote.of_kind(Kind::Shipment).unwrap(), store.of_kind(Kind::Shipment).unwrap());
    let key = store.status_key(&world.withdrawn).unwrap();
    assert_eq!(remote.statuses(&world.withdrawn).unwrap(), store.statuses(&key).unwrap());
    assert_eq!(remote.statuses(&world.withdrawn).unwrap().len(), 1);
    assert_eq!(remote.statuses(&world.source).unwrap(), []);
    for range in [0..1, 0..store.size(), 3..7, 2..3, store.size() - 1..store.size() + 5] {
        assert_eq!(remote.entries(range.clone()).unwrap(), store.entries(range).unwrap());
    }
    let bundle = remote.prove(&shipped, &Disclose::Minimal, &[]).unwrap();
    assert!(griptrace_core::bundle::Bundle::from_bytes(&bundle).is_ok());
}

#[test]
fn a_commit_is_in_the_log_once_though_its_answer_is_lost_twice() {
    let world = World::new();
    let remote = world.connect().unwrap();
    world.state.lost.store(2, Ordering::SeqCst);
    let record = dataset(remote.home(), "tactile");
    let size = world.store.size();
    let receipt = remote.commit(core::slice::from_ref(&record), &committer(), "Maker").unwrap();
    assert_eq!((receipt.index, receipt.size, receipt.is_old), (size, size + 2, true));
    assert_eq!(world.store.node(&record.id()).unwrap().unwrap().index, size);
    let text = String::from_utf8(world.seen()).unwrap();
    assert!(text.ends_with(&receipt.checkpoint), "the receipt's checkpoint is the newest that was seen");
    let again = dataset(remote.home(), "tactile");
    assert_eq!(world.connect().unwrap().find_recorded(&[again]).unwrap(), Some(vec![record.id()]));
}

#[test]
fn a_server_that_is_busy_is_waited_for() {
    let world = World::new();
    let remote = world.connect().unwrap();
    for call in 0..2 {
        world.state.busy.store(3, Ordering::SeqCst);
        let begun = Instant::now();
        if call == 0 {
            remote.node(&world.model).unwrap().unwrap();
        } else {
            remote.commit(&[dataset(remote.home(), "tactile")], &committer(), "Maker").unwrap();
        }
        assert_eq!(world.state.busy.load(Ordering::SeqCst), 0);
        assert!(begun.elapsed() >= Duration::from_millis(60), "three times as long as it said");
    }
}

#[test]
fn a_log_that_shrank_is_refused_with_evidence() {
    let world = World::new();
    world.connect().unwrap();
    let (before, newest) = (world.seen(), world.store.checkpoint());
    world.play(Trick::SmallerTree, world.source);
    let said = said(world.connect());
    assert!(said.contains(&format!("error: the log {ORIGIN} shrank")), "{said}");
    let (evidence, older) = (world.evidence(), world.store.checkpoint_at(2).unwrap().unwrap());
    assert!(evidence.contains(&newest) && evidence.contains(&older), "{evidence}");
    assert!(said.contains("evidence"), "the file is named: {said}");
    assert_eq!(world.seen(), before, "what was seen stays");
}

#[test]
fn two_roots_of_one_size_are_refused_with_evidence() {
    let world = World::new();
    world.connect().unwrap();
    let before = world.seen();
    world.play(Trick::OtherRoot, world.source);
    let said = said(world.connect());
    assert!(said.contains(&format!("error: the log {ORIGIN} forked: two checkpoints of size")), "{said}");
    let evidence = world.evidence();
    assert!(evidence.contains(&world.store.checkpoint()), "{evidence}");
    assert_eq!(evidence.matches(&format!("{ORIGIN}\n{}\n", world.store.size())).count(), 2, "both notes: {evidence}");
    let fork = griptrace_core::fork::Fork::parse(evidence.as_bytes()).unwrap();
    assert_eq!(fork.check(&fork.vkey).unwrap().size, world.store.size(), "others can check it");
    assert_eq!(world.seen(), before);
}

#[test]
fn another_history_of_the_log_is_refused_with_evidence() {
    let world = World::new();
    world.connect().unwrap();
    let before = world.seen();
    let other = new_store(&world.folder.path().join("other"));
    for name in ["a", "b", "c", "d", "e"] {
        commit(&other, vec![dataset(other.home(), name)]);
    }
    assert!(other.size() > world.store.size());
    *world.state.store.lock().unwrap() = other.clone();
    let said = said(world.connect());
    assert!(said.contains(&format!("error: the log {ORIGIN} forked: its checkpoint of size")), "{said}");
    assert!(said.contains("caused by: "), "the failing proof is told: {said}");
    let evidence = world.evidence();
    assert!(evidence.contains(&world.store.checkpoint()) && evidence.contains(&other.checkpoint()), "{evidence}");
    let proof = other.consistency(world.store.size(), other.size()).unwrap();
    assert!(proof.iter().all(|digest| evidence.contains(&digest.to_string())), "{evidence}");
    assert_eq!(world.seen(), before);
}

#[test]
fn a_checkpoint_that_others_signed_is_refused() {
    let world = World::new();
    world.play(Trick::ForgedSignature, world.source);
    let said = said(world.connect());
    assert!(said.contains("the checkpoint is not signed by the log's key"), "{said}");
}

#[test]
fn another_log_under_a_known_name_is_refused() {
    let world = World::new();
    world.connect().unwrap();
    let key = key(1).public_key();
    let genesis = Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [4; 16], revokers: Vec::new() };
    let other = Store::init(&world.folder.path().join("other"), &genesis, signer(), NOW).unwrap();
    *world.state.store.lock().unwrap() = other;
    let said = said(world.connect());
    assert!(said.contains(&format!("another log under the name {ORIGIN}")), "{said}");
}

/// Each trick, what is asked meanwhile, and the words of its refusal.
#[test]
fn every_lie_in_an_answer_is_refused_for_its_own_reason() {
    type Question = fn(&Remote, &World) -> Result<(), CommandError>;
    let node: Question = |remote, world| remote.node(&world.source).map(drop);
    let ancestors: Question = |remote, world| remote.ancestors(&world.shipments[0]).map(drop);
    let record: Question =
        |remote, _| remote.commit(&[dataset(remote.home(), "tactile")], &committer(), "Maker").map(drop);
    let ways: Question = |remote, w| remote.paths(&w.shipments[0], &w.source, 9).map(drop);
    let statuses: Question = |remote, world| remote.statuses(&world.withdrawn).map(drop);
    let bundle: Question = |remote, world| remote.prove(&world.model, &Disclose::All, &[]).map(drop);
    let entries: Question = |remote, _| remote.entries(2..8).map(drop);
    let cases: [(Trick, Question, &str); 27] = [
        (Trick::CoreChanged, node, "what it gives out as the node"),
        (Trick::RecordChanged, node, "the private record of"),
        (Trick::CommitterChanged, node, "it says issuer Somebody Else, and the signed entry says Maker"),
        (Trick::NodeOfAnother, node, "is in the answer and was not asked for"),
        (Trick::StaleSize, node, "it was asked at the tree size 10 and answered at 8"),
        (Trick::PlaceChanged, node, "is not proven to be in its commit"),
        (Trick::NodeLeftOut, node, "was asked for and is not in the answer"),
        (Trick::WayNotAnEdge, ways, "and no edge does"),
        (Trick::StatusesOfAnother, statuses, "the statuses are those of the key"),
        (Trick::OlderHead, statuses, "the status head is not proven to be in the log"),
        (Trick::EntryLeftOut, entries, "the entries from 2 to 8 were asked for, and 5 came"),
        (Trick::BundleCut, bundle, "were announced"),
        (
            Trick::AssessmentIsNone,
            |remote, w| remote.assessments_of(&w.source).map(drop),
            "was found for an assessment",
        ),
        (Trick::AncestorLeftOut, ancestors, "the ancestry leaves out"),
        (Trick::AncestorAdded, ancestors, "to which no edge leads"),
        (Trick::DescendantAdded, |remote, world| remote.descendants(&world.source).map(drop), "at a distance of 1"),
        (Trick::NoWay, ways, "are not those that"),
        (Trick::NoStatuses, statuses, "the statuses of"),
        (Trick::OtherName, |remote, _| remote.by_name("grasp").map(drop), "was found for the name \"grasp\""),
        // The name of what can't be seen was believed, and what is recorded next would have stood on that node.
        (Trick::OtherNameWithheld, |remote, _| remote.by_name("grasp").map(drop), "was found for the name \"grasp\""),
        // A search that went on and on was followed for ever.
        (Trick::SearchCut, |remote, _| remote.of_kind(Kind::Model).map(drop), "it is cut short"),
        (Trick::EntryChanged, entries, "a range of entries is not proven"),
        (Trick::ReceiptOfAnother, record, "the receipt is for the commit"),
        (Trick::ReceiptRenamed, record, "the commit is not proven to be in the log"),
        (Trick::BundleOfAnother, bundle, "the bundle is of"),
        (
            Trick::BundleOpensMore,
            |remote, world| remote.prove(&world.model, &Disclose::Minimal, &[]).map(drop),
            "which was not asked for",
        ),
        (
            Trick::OtherUnit,
            |remote, _| remote.find_recorded(&[dataset(remote.home(), "tactile")]).map(drop),
            "was found for what is to be recorded",
        ),
    ];
    for (trick, question, expected) in cases {
        let world = World::new();
        let remote = world.connect().unwrap();
        world.play(trick, world.shipments[1]);
        let said = said(question(&remote, &world));
        assert!(said.contains(expected), "{trick:?}: {said}");
    }
}

#[test]
fn a_node_whose_details_are_withheld_is_verified_and_shown_without() {
    let world = World::new();
    let remote = world.connect().unwrap();
    world.play(Trick::Withheld, world.source);
    let node = remote.node(&world.source).unwrap().unwrap();
    assert!(remote.is_withheld(&world.source));
    assert_eq!(node.core, world.store.node(&world.source).unwrap().unwrap().core);
    assert_eq!(crate::workspace::name(&node), None);
    assert_eq!(remote.find_recorded(&[dataset(remote.home(), "camera")]).unwrap(), None, "what can't be compared");
    remote.commit(&[withdrawal(remote.home(), world.source)], &committer(), "Maker").unwrap();
    assert_eq!(world.connect().unwrap().statuses(&world.source).unwrap().len(), 1, "it can be marked all the same");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let world = World::new();
    let args = ServerArgs { server: Some("http://127.0.0.1:1".to_owned()), ..ServerArgs::default() };
    let target = args.target(None).unwrap().unwrap();
    let said = said(Remote::connect(&Output::new(true), &target, world.folder.path(), None));
    assert!(said.contains("the server http://127.0.0.1:1 can't be reached"), "{said}");
}
