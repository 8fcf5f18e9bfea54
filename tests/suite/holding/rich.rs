//! A closed store that has everything: nodes of every kind, marks, full and partial tiles, names and
//! contents that come again, and what is asked about it.

use std::sync::LazyLock;

use griptrace_core::{
    digest::Digest,
    id::NodeId,
    node::{Kind, Mark},
};
use griptrace_store::{Store, record::NodeRecord};
use griptrace_tests::seed::Seed;
use tempfile::TempDir;

use super::{
    factory::{Factory, ISSUER, NOW, committer, content_of, genesis, log_signer},
    folder::{self, Files},
    writer,
};

/// Commits of small things, over and above the others: with them the log has full tiles.
const COMMITS: usize = 132;
/// Nodes of one large commit, so that there is a snapshot; which of them are asked about.
const BULK: usize = 1100;
const BULK_ASKED: usize = 50;
/// Openings on the way: a store may begin new files at each.
const OPENINGS: usize = 4;
/// Entries of a full tile.
const TILE: u64 = 256;

/// What is asked.
#[derive(Clone, Default)]
pub(super) struct Questions {
    pub(super) ids: Vec<NodeId>,
    pub(super) names: Vec<String>,
    pub(super) contents: Vec<Digest>,
    /// A unit that was recorded before, but for its random parts.
    pub(super) unit: Vec<NodeRecord>,
    /// Models and shipments.
    pub(super) roots: Vec<NodeId>,
}

/// A store's files, closed, and what to ask it.
pub(super) struct Rich {
    pub(super) files: Files,
    /// As they were some commits earlier.
    pub(super) older: Files,
    pub(super) questions: Questions,
}

/// What a log is made of, so that two can be alike.
#[derive(Clone, Copy)]
struct Recipe {
    /// Another one, another log.
    nonce: u8,
    /// Where the nodes from before the older copy are drawn from.
    seed: u64,
    /// And those from then on: another one, a fork of the same log.
    later: u64,
}

const FIRST: Recipe = Recipe { nonce: 3, seed: 1, later: 2 };

/// Returns the store that is damaged. Each is built once for all tests.
pub(super) fn first() -> &'static Rich {
    static FIRST_STORE: LazyLock<Rich> = LazyLock::new(|| Rich::build(FIRST));
    &FIRST_STORE
}

/// Returns one of another log, of the same size.
pub(super) fn foreign() -> &'static Rich {
    static FOREIGN: LazyLock<Rich> = LazyLock::new(|| Rich::build(Recipe { nonce: 5, ..FIRST }));
    &FOREIGN
}

/// Returns one of the same log and size that went another way from the older copy on.
pub(super) fn fork() -> &'static Rich {
    static FORK: LazyLock<Rich> = LazyLock::new(|| Rich::build(Recipe { later: 9, ..FIRST }));
    &FORK
}

struct Builder {
    store: Option<Store>,
    factory: Factory,
    questions: Questions,
}

/// Where a log is made, and opened again.
pub(super) trait Place {
    fn begin(&self, nonce: u8) -> Store;
    fn again(&self) -> Store;
    /// Called while the store is closed, in the middle.
    fn halfway(&mut self) {}
}

/// A folder, whose files are kept as they were in the middle.
pub(super) struct InFolder {
    dir: TempDir,
    older: Files,
}

impl InFolder {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), older: Files::new() }
    }
}

impl Place for InFolder {
    fn begin(&self, nonce: u8) -> Store {
        Store::init(self.dir.path(), &genesis(nonce), log_signer(), NOW).unwrap()
    }

    fn again(&self) -> Store {
        writer(self.dir.path()).unwrap()
    }

    fn halfway(&mut self) {
        self.older = folder::read(self.dir.path());
    }
}

impl Rich {
    fn build(recipe: Recipe) -> Self {
        let mut place = InFolder::new();
        let (store, questions) = fill(recipe, &mut place);
        drop(store);
        Self { files: folder::read(place.dir.path()), older: place.older, questions }
    }
}

/// Makes the first log in a place, and returns it open.
pub(super) fn make_in(place: &mut dyn Place) -> (Store, Questions) {
    fill(FIRST, place)
}

fn fill(recipe: Recipe, place: &mut dyn Place) -> (Store, Questions) {
    let store = place.begin(recipe.nonce);
    let factory = Factory::new(store.home(), Seed::from_number(recipe.seed).rng());
    let mut builder = Builder { store: Some(store), factory, questions: Questions::default() };
    let sources = builder.beginning();
    builder.bulk();
    for part in 0..OPENINGS {
        builder.some_commits(part, &sources);
        builder.store = None;
        if part == OPENINGS / 2 {
            place.halfway();
            let home = place.again().home();
            builder.factory = Factory::new(home, Seed::from_number(recipe.later).rng());
        }
        builder.store = Some(place.again());
    }
    builder.end(&sources);
    let Builder { store, questions, .. } = builder;
    let store = store.unwrap();
    assert!(store.size() > TILE, "the log has a full tile");
    // Whatever is made only when it is asked for is there too.
    store.by_name("camera").unwrap();
    (store, questions)
}

impl Builder {
    fn commit(&mut self, nodes: Vec<NodeRecord>) -> Vec<NodeId> {
        let store = self.store.as_ref().expect("it is open");
        let ids = store.commit(nodes, &committer(), ISSUER, NOW).unwrap().ids;
        self.questions.ids.extend(&ids);
        ids
    }

    /// Sources, a chain of steps, a model with files, an assessment, marks and a shipment.
    fn beginning(&mut self) -> Vec<NodeId> {
        let names = ["camera", "force", "tactile"];
        let nodes = names.map(|name| self.factory.source(name)).to_vec();
        let sources = self.commit(nodes);
        self.questions.names.extend(names.map(str::to_owned));
        self.questions.contents.extend(names.map(content_of));
        let derived = self.factory.derive("features", &sources);
        let derived = self.commit(derived);
        let unit = self.factory.train("grasp", &[derived[1]], &["model.onnx", "labels.txt"]);
        let trained = self.commit(unit);
        self.questions.contents.push(content_of("labels.txt"));
        let assessment = self.factory.assessment(&sources);
        let assessment = self.commit(vec![assessment])[0];
        let marks = [(sources[1], Mark::Reclassify), (assessment, Mark::Withdraw)];
        for (marked, mark) in marks {
            let status = self.factory.status(marked, mark);
            self.commit(vec![status]);
        }
        let shipment = self.factory.shipment(&[trained[1]]);
        let shipment = self.commit(vec![shipment])[0];
        self.questions.roots.extend([trained[1], shipment]);
        self.questions.names.push("grasp".to_owned());
        sources
    }

    fn bulk(&mut self) {
        let nodes = (0..BULK).map(|number| self.factory.source(&format!("bulk/{number}"))).collect();
        let before = self.questions.ids.len();
        self.commit(nodes);
        let bulk = self.questions.ids.split_off(before);
        self.questions.ids.extend(bulk.into_iter().step_by(BULK_ASKED));
        self.questions.names.push("bulk/7".to_owned());
    }

    fn some_commits(&mut self, part: usize, sources: &[NodeId]) {
        for number in 0..COMMITS / OPENINGS {
            let count = 1 + number % 3;
            let mut nodes = self.factory.batch(&format!("{part}/{number}"), count, sources);
            if number % 10 == 0 {
                nodes.push(self.factory.source("camera"));
            }
            self.commit(nodes);
        }
        self.questions.names.push(format!("{part}/0/0"));
        self.questions.contents.push(content_of(&format!("{part}/1/0")));
    }

    /// Another model, shipped, so that what came last is asked about too; and what to find again.
    fn end(&mut self, sources: &[NodeId]) {
        let source = self.factory.source("last");
        let last = self.commit(vec![source.clone()])[0];
        self.questions.unit = vec![source];
        let trained = self.factory.train("last model", &[last, sources[0]], &["last.onnx"]);
        let trained = self.commit(trained);
        let shipment = self.factory.shipment(&[trained[1]]);
        let shipment = self.commit(vec![shipment])[0];
        self.questions.roots.extend([trained[1], shipment]);
        self.questions.names.push("last".to_owned());
        let store = self.store.as_ref().expect("it is open");
        let kinds = [Kind::Dataset, Kind::Transformation, Kind::Model, Kind::Assessment, Kind::Shipment, Kind::Status];
        for kind in kinds {
            assert!(!store.of_kind(kind).unwrap().is_empty(), "there is a {kind}");
        }
    }
}
