//! A small factory: keys, a store in a temporary folder, and nodes of every kind.

use core::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use griptrace_core::{
    assessment::{Assessment, Destinations, Outcome, lay_out_subjects, subjects_root},
    cbor::encode,
    cose::{ASSESSMENT_TYPE, sign},
    date::Date,
    details::{Values, slot},
    digest::{Digest, file_digest},
    entry::Genesis,
    id::{GenesisHash, NodeId},
    key::{Algorithm, SecretKey, Signer as _},
    manifest::{FileRecord, content_digest},
    node::{Activity, Core, DigestStrength, Edge, Held, Kind, Mark, Origin, Role},
    note::NoteSigner,
    value::Value,
    word::{Country, Word},
};
use tempfile::TempDir;

use crate::{
    OpenError, OpenOptions, Store,
    bucket::{Bucket as _, MemoryBucket, When},
    record::{ManifestRecord, NodeRecord, Secret, SubjectsRecord, total_bytes},
};

pub(super) const ORIGIN: &str = "log.example/2026";
pub(super) const NOW: u64 = 1_790_000_000;

/// Not random at all, so that tests repeat: a counter, hashed.
pub(super) fn random(out: &mut [u8]) {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    blake3::Hasher::new().update(&count.to_le_bytes()).finalize_xof().fill(out);
}

pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) store: Store,
    pub(super) committer: SecretKey,
}

pub(super) fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[1; 32]).unwrap()
}

thread_local! {
    /// How many logs this test made in buckets, if that is where they go.
    static IN_A_BUCKET: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The buckets that logs were made in, by the folder of the machine that made it.
static BUCKETS: Mutex<BTreeMap<PathBuf, MemoryBucket>> = Mutex::new(BTreeMap::new());

/// Runs a test with every log that it makes in a bucket in memory.
pub(super) fn in_a_bucket(test: fn()) {
    IN_A_BUCKET.set(Some(0));
    test();
    assert_ne!(IN_A_BUCKET.replace(None), Some(0), "it makes no log where it could be in a bucket");
}

/// Runs tests of a module once more, each with its logs in a bucket in memory.
macro_rules! in_a_bucket_too {
    ($($test:ident),+ $(,)?) => {
        mod in_a_bucket {
            $(#[test]
            fn $test() {
                crate::tests::world::in_a_bucket(super::$test);
            })+
        }
    };
}
pub(super) use in_a_bucket_too;

/// Makes a log in a folder, or in a bucket of which it is this machine's.
pub(super) fn init(dir: &Path, genesis: &Genesis, signer: NoteSigner, now: u64) -> Result<Store, OpenError> {
    let Some(made) = IN_A_BUCKET.get() else { return Store::init(dir, genesis, signer, now) };
    IN_A_BUCKET.set(Some(made + 1));
    let bucket = BUCKETS.lock().unwrap().entry(dir.to_path_buf()).or_default().clone();
    Store::init_in(Arc::new(bucket), dir, genesis, signer, now)
}

/// Returns the bytes of an object of the log that was made with this folder.
pub(super) fn object(dir: &Path, name: &str) -> Option<Vec<u8>> {
    match BUCKETS.lock().unwrap().get(dir) {
        Some(bucket) => bucket.get(name, None).unwrap().map(|part| part.bytes),
        None => fs::read(dir.join(name)).ok(),
    }
}

/// Writes an object of that log as it may come to lie there, or removes it.
pub(super) fn put(dir: &Path, name: &str, bytes: Option<&[u8]>) {
    match (BUCKETS.lock().unwrap().get(dir), bytes) {
        (Some(bucket), Some(bytes)) => drop(bucket.put(name, bytes, &When::Always).unwrap()),
        (Some(bucket), None) => bucket.remove(name).unwrap(),
        (None, Some(bytes)) => fs::write(dir.join(name), bytes).unwrap(),
        (None, None) => fs::remove_file(dir.join(name)).unwrap(),
    }
}

/// Opens the log that was made with this folder.
pub(super) fn open_with(dir: &Path, options: OpenOptions) -> Result<Store, OpenError> {
    let bucket = BUCKETS.lock().unwrap().get(dir).cloned();
    match bucket {
        Some(bucket) => Store::open_in(Arc::new(bucket), dir, options),
        None => Store::open(dir, options),
    }
}

pub(super) fn open(dir: &Path) -> Store {
    open_with(dir, OpenOptions { signer: Some(signer()), ..OpenOptions::default() }).unwrap()
}

pub(super) fn reader(dir: &Path) -> Store {
    open_with(dir, OpenOptions::default()).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        Self::called(ORIGIN)
    }

    /// Another company's world.
    pub(super) fn called(origin: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
        let genesis = Genesis { origin: origin.into(), key, time: NOW, nonce: [3; 16], revokers: Vec::new() };
        let signer = NoteSigner::new(origin, &[1; 32]).unwrap();
        let store = init(dir.path(), &genesis, signer, NOW).unwrap();
        Self { dir, store, committer: SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap() }
    }

    /// Makes nodes for another store.
    pub(super) fn at(store: &Store) -> Self {
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), store: store.clone(), committer }
    }

    pub(super) fn home(&self) -> GenesisHash {
        self.store.home()
    }

    pub(super) fn commit(&self, nodes: Vec<NodeRecord>) -> Vec<NodeId> {
        self.store.commit(nodes, &self.committer, "Maker", NOW).unwrap().ids
    }

    pub(super) fn add(&self, node: NodeRecord) -> NodeId {
        self.commit(vec![node])[0]
    }

    fn core(&self, kind: Kind) -> Core {
        Core::new(kind, self.home(), [0; 16], Digest::ZERO)
    }

    /// A collected data set.
    pub(super) fn source(&self, name: &str, country: &str) -> NodeRecord {
        let core = Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            country: Country::parse(country),
            ..self.core(Kind::Dataset)
        };
        let values = values(Kind::Dataset, &[("name", Value::text(name)), ("licence", Value::text("proprietary"))]);
        build(core, values, None, None)
    }

    /// A step over `used` and the data set that it makes.
    pub(super) fn derive(&self, name: &str, used: &[NodeId], country: &str) -> Vec<NodeRecord> {
        let step = self.step(name, used, country, Activity::Feature);
        let core = Core {
            origin: Some(Origin::Derived),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            country: Country::parse(country),
            edges: vec![Edge::local(Role::GeneratedBy, step.id())],
            ..self.core(Kind::Dataset)
        };
        let made = build(core, values(Kind::Dataset, &[("name", Value::text(name))]), None, None);
        vec![step, made]
    }

    /// A training over `used` and the model that it makes, with these files.
    pub(super) fn train(&self, name: &str, used: &[NodeId], country: &str, files: &[&str]) -> Vec<NodeRecord> {
        let step = self.step(name, used, country, Activity::Training);
        let mut model = self.model(name, country, files);
        let mut core = model.core().unwrap();
        core.edges = vec![Edge::local(Role::GeneratedBy, step.id())];
        model = build(core, model.values, model.manifest, None);
        vec![step, model]
    }

    /// A training that used other companies' nodes too, and the model that it makes.
    pub(super) fn tune(&self, name: &str, used: &[NodeId], foreign: &[(GenesisHash, NodeId)]) -> Vec<NodeRecord> {
        let mut edges: Vec<Edge> = used.iter().map(|id| Edge::local(Role::Used, *id)).collect();
        edges.extend(foreign.iter().map(|(home, to)| Edge { role: Role::Used, home: Some(*home), to: *to }));
        let step = self.step_over(name, edges, "DE", Activity::Training);
        let mut model = self.model(name, "DE", &[name]);
        let mut core = model.core().unwrap();
        core.edges = vec![Edge::local(Role::GeneratedBy, step.id())];
        model = build(core, model.values, model.manifest, None);
        vec![step, model]
    }

    pub(super) fn model(&self, name: &str, country: &str, files: &[&str]) -> NodeRecord {
        let core =
            Core { strength: Some(DigestStrength::Strong), country: Country::parse(country), ..self.core(Kind::Model) };
        let manifest = manifest(files);
        let mut values = values(Kind::Model, &[("name", Value::text(name))]);
        values.extend(manifest_values(Kind::Model, &manifest));
        build(core, values, Some(manifest), None)
    }

    fn step(&self, name: &str, used: &[NodeId], country: &str, activity: Activity) -> NodeRecord {
        let edges = used.iter().map(|id| Edge::local(Role::Used, *id)).collect();
        self.step_over(name, edges, country, activity)
    }

    fn step_over(&self, name: &str, mut edges: Vec<Edge>, country: &str, activity: Activity) -> NodeRecord {
        edges.sort();
        let core = Core {
            activity: Some(activity),
            country: Country::parse(country),
            date: Date::parse("2026-04-10"),
            edges,
            ..self.core(Kind::Transformation)
        };
        build(core, values(Kind::Transformation, &[("name", Value::text(name))]), None, None)
    }

    pub(super) fn shipment(&self, models: &[NodeId], country: &str) -> NodeRecord {
        let mut edges: Vec<Edge> = models.iter().map(|id| Edge::local(Role::Ships, *id)).collect();
        edges.sort();
        let date = Date::parse("2026-05-20");
        let core = Core { country: Country::parse(country), date, edges, ..self.core(Kind::Shipment) };
        build(core, values(Kind::Shipment, &[("consignee", Value::text("Buyer"))]), None, None)
    }

    pub(super) fn status(&self, marks: NodeId, mark: Mark, successor: Option<NodeId>) -> NodeRecord {
        let mut edges = vec![Edge::local(Role::Marks, marks)];
        edges.extend(successor.map(|id| Edge::local(Role::Successor, id)));
        let date = Date::parse("2026-06-01");
        let grade = Word::parse("core").filter(|_| mark == Mark::Reclassify);
        build(Core { mark: Some(mark), date, edges, grade, ..self.core(Kind::Status) }, Values::new(), None, None)
    }

    /// An assessment of these subjects, signed by an assessor.
    pub(super) fn assessment(&self, subjects: &[NodeId]) -> NodeRecord {
        let word = |w| Word::parse(w).unwrap();
        let (leaves, openings) = lay_out_subjects(subjects, random).unwrap();
        let payload = Assessment {
            scheme: word("security-assessment"),
            outcome: Outcome::Passed,
            grade: word("important"),
            purposes: vec![word("train")],
            modalities: vec![word("visual")],
            streams: Vec::new(),
            issued: Date::parse("2026-04-01").unwrap(),
            valid_from: Date::parse("2026-04-01").unwrap(),
            valid_to: None,
            destinations: Destinations::Anywhere,
            subjects: u64::try_from(leaves.len()).unwrap(),
            subjects_root: subjects_root(&leaves).unwrap(),
        };
        let assessor = SecretKey::from_bytes(Algorithm::P256, &[9; 32]).unwrap();
        let statement = sign(&assessor, ASSESSMENT_TYPE, "Office", &self.home(), payload.to_bytes().unwrap()).unwrap();
        let core = Core { statement: Some(statement), ..self.core(Kind::Assessment) };
        let openings = subjects.iter().zip(openings).map(|(id, (salt, index))| (*id, salt, index)).collect();
        build(core, Values::new(), None, Some(SubjectsRecord { leaves, openings }))
    }
}

pub(super) fn build(
    core: Core,
    values: Values,
    manifest: Option<ManifestRecord>,
    subjects: Option<SubjectsRecord>,
) -> NodeRecord {
    NodeRecord::build(core, values, manifest, subjects, random).unwrap()
}

pub(super) fn values(kind: Kind, values: &[(&str, Value)]) -> Values {
    values.iter().map(|(name, value)| (slot(kind, name).unwrap(), encode(value))).collect()
}

fn manifest(files: &[&str]) -> ManifestRecord {
    let mut seed = [0; 32];
    random(&mut seed);
    let record = |path: &&str| {
        let blake3 = file_digest(path.as_bytes());
        FileRecord { path: path.as_bytes().to_vec(), size: 7, blake3, sha256: Some(file_digest(b"sha")) }
    };
    ManifestRecord { secret: Secret::Seed(seed), files: files.iter().map(record).collect() }
}

fn manifest_values(kind: Kind, manifest: &ManifestRecord) -> Values {
    let int = |n| Value::Int(i64::try_from(n).unwrap());
    let root = manifest.root().unwrap();
    let stated = Value::map(vec![
        ("root".into(), Value::Bytes(root.as_bytes().to_vec())),
        ("files".into(), Value::Int(i64::try_from(manifest.files.len()).unwrap())),
        ("bytes".into(), int(total_bytes(&manifest.files))),
    ]);
    let content = match manifest.files.as_slice() {
        [one] => format!("blake3:{}", one.blake3),
        several => format!("tree:{}", content_digest(several)),
    };
    values(kind, &[("content", Value::text(content)), ("manifest", stated)])
}
