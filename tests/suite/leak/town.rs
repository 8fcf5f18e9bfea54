//! A store that is full of secrets.

use std::{fs, path::Path};

use griptrace_core::{
    assessment::{Assessment, Destinations, Outcome, lay_out_subjects, subjects_root},
    cbor::encode,
    cose::{ASSESSMENT_TYPE, sign},
    date::Date,
    details::{Values, slot, slot_names},
    digest::{Digest, file_digest},
    id::NodeId,
    limits::DETAIL_SLOTS,
    manifest::{FileRecord, content_digest},
    node::{Activity, Core, DigestStrength, Edge, Held, Kind, Mark, Origin, Role},
    value::Value,
    word::{Country, Word},
};
use griptrace_store::{
    Store,
    record::{ManifestRecord, NodeRecord, Secret, SubjectsRecord},
};
use griptrace_tests::seed::Rng;
use tempfile::TempDir;

use super::scan::Needles;
use crate::holding::factory::{ISSUER, NOW, assessor, committer, genesis, log_signer};

/// A store, and all that was put into it.
pub(super) struct Town {
    folder: TempDir,
    pub(super) store: Store,
    pub(super) nodes: Vec<NodeRecord>,
    /// What bundles can be made of.
    pub(super) roots: Vec<NodeId>,
}

impl Town {
    /// Fills a store: sources, steps over them, models, assessments, shipments and marks.
    pub(super) fn build(rng: &mut Rng) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("workspace-{}-", marker(rng))).tempdir().unwrap();
        let nonce = u8::try_from(rng.below(256)).expect("it is below");
        let store = Store::init(folder.path(), &genesis(nonce), log_signer(), NOW).unwrap();
        let mut maker = Maker { store: &store, rng, nodes: Vec::new() };
        let sources: Vec<NodeId> = (0..4).map(|_| maker.source()).collect();
        let mut roots = Vec::new();
        for _ in 0..3 {
            let first = sources[maker.rng.index(sources.len())];
            let second = sources[maker.rng.index(sources.len())];
            let features = maker.made(Kind::Dataset, &[first, second]);
            let model = maker.made(Kind::Model, &[features]);
            maker.assessment(&[first, features, sources[3]]);
            roots.extend([model, maker.shipment(model)]);
        }
        maker.status(sources[0]);
        let nodes = maker.nodes;
        Self { folder, store, nodes, roots }
    }

    pub(super) fn node(&self, id: &NodeId) -> &NodeRecord {
        self.nodes.iter().find(|node| node.id() == *id).expect("it was put in")
    }

    /// Returns what no bundle shows, whatever it opens: where the store is.
    pub(super) fn private(&self) -> Needles {
        let mut needles = Needles::default();
        let path = self.folder.path();
        let name = path.file_name().expect("it has a name").as_encoded_bytes();
        for bytes in [path.as_os_str().as_encoded_bytes(), name] {
            needles.add("the folder of", &self.roots[0], bytes);
        }
        needles
    }

    /// Returns every public file of the log, and its entries, each with its name.
    pub(super) fn public(&self) -> Vec<(String, Vec<u8>)> {
        let entries = self.store.entries(0..self.store.size()).unwrap();
        let mut found: Vec<(String, Vec<u8>)> =
            entries.into_iter().map(|entry| (format!("entry {}", entry.index), entry.bytes)).collect();
        found.push(("checkpoint".into(), self.store.checkpoint().into_bytes()));
        let before = found.len();
        found.extend(tiles(self.folder.path()));
        assert!(found.len() > before, "the store has tiles");
        found
    }

    /// Returns the bytes of every private segment.
    pub(super) fn segments(&self) -> Vec<u8> {
        let mut found = Vec::new();
        read_all(&self.folder.path().join("segments"), &mut found);
        found.into_iter().flat_map(|(_, bytes)| bytes).collect()
    }
}

/// Returns the tiles of a store, each with its name.
pub(super) fn tiles(store: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    read_all(&store.join("tile"), &mut found);
    found
}

fn read_all(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Twenty letters that stand nowhere else.
fn marker(rng: &mut Rng) -> String {
    rng.bytes(20).iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

struct Maker<'a> {
    store: &'a Store,
    rng: &'a mut Rng,
    nodes: Vec<NodeRecord>,
}

impl Maker<'_> {
    fn core(&self, kind: Kind) -> Core {
        Core::new(kind, self.store.home(), [0; 16], Digest::ZERO)
    }

    /// Draws a value of any type.
    fn value(&mut self) -> Value {
        match self.rng.below(5) {
            0 => Value::Bytes(self.rng.bytes(24)),
            1 => Value::Int(i64::from_be_bytes(self.rng.array())),
            2 => Value::List(vec![Value::text(marker(self.rng)), Value::Bytes(self.rng.bytes(16))]),
            3 => Value::map(vec![(marker(self.rng), Value::text(marker(self.rng))), ("ok".into(), Value::Bool(true))]),
            _ => Value::text(marker(self.rng)),
        }
    }

    /// Draws values of half the slots, those without a name among them.
    fn values(&mut self, kind: Kind) -> Values {
        let mut values = Values::new();
        for number in 0..DETAIL_SLOTS {
            let known = usize::from(number) < slot_names(kind).len();
            if self.rng.one_in(if known { 2 } else { 8 }) {
                let named =
                    [slot(kind, "name"), slot(kind, "consignee"), slot(kind, "content")].contains(&Some(number));
                let value = if named { Value::text(marker(self.rng)) } else { self.value() };
                values.insert(number, encode(&value));
            }
        }
        values
    }

    fn commit(&mut self, nodes: Vec<NodeRecord>) -> NodeId {
        let last = nodes.last().expect("there is one").id();
        self.store.commit(nodes.clone(), &committer(), ISSUER, NOW).unwrap();
        self.nodes.extend(nodes);
        last
    }

    fn record(&mut self, core: Core, manifest: Option<ManifestRecord>, subjects: Option<SubjectsRecord>) -> NodeRecord {
        let kind = core.kind;
        let mut values = self.values(kind);
        if let Some(manifest) = &manifest {
            values.extend(manifest_values(kind, manifest));
        }
        let rng = &mut *self.rng;
        NodeRecord::build(core, values, manifest, subjects, |out| rng.fill(out)).expect("the node is well formed")
    }

    fn source(&mut self) -> NodeId {
        let core = Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            country: Country::parse("CN"),
            ..self.core(Kind::Dataset)
        };
        let manifest = self.manifest();
        let record = self.record(core, Some(manifest), None);
        self.commit(vec![record])
    }

    /// A step over nodes, and what it makes.
    fn made(&mut self, kind: Kind, used: &[NodeId]) -> NodeId {
        let mut edges: Vec<Edge> = used.iter().map(|id| Edge::local(Role::Used, *id)).collect();
        edges.sort();
        edges.dedup();
        let activity = if kind == Kind::Model { Activity::Training } else { Activity::Feature };
        let core = Core {
            activity: Some(activity),
            country: Country::parse("DE"),
            date: Date::parse("2026-04-10"),
            edges,
            ..self.core(Kind::Transformation)
        };
        let step = self.record(core, None, None);
        let is_data = kind == Kind::Dataset;
        let core = Core {
            origin: Some(Origin::Derived).filter(|_| is_data),
            held: Some(Held::Here).filter(|_| is_data),
            strength: Some(DigestStrength::Strong),
            country: Country::parse("DE"),
            edges: vec![Edge::local(Role::GeneratedBy, step.id())],
            ..self.core(kind)
        };
        let manifest = self.manifest();
        let made = self.record(core, Some(manifest), None);
        self.commit(vec![step, made])
    }

    fn shipment(&mut self, model: NodeId) -> NodeId {
        let edges = vec![Edge::local(Role::Ships, model)];
        let date = Date::parse("2026-05-20");
        let core = Core { country: Country::parse("DE"), date, edges, ..self.core(Kind::Shipment) };
        let record = self.record(core, None, None);
        self.commit(vec![record])
    }

    fn status(&mut self, marks: NodeId) -> NodeId {
        let edges = vec![Edge::local(Role::Marks, marks)];
        let date = Date::parse("2026-06-01");
        let core = Core { mark: Some(Mark::Withdraw), date, edges, ..self.core(Kind::Status) };
        let record = self.record(core, None, None);
        self.commit(vec![record])
    }

    fn assessment(&mut self, subjects: &[NodeId]) -> NodeId {
        let mut subjects = subjects.to_vec();
        subjects.sort();
        subjects.dedup();
        let rng = &mut *self.rng;
        let (leaves, openings) = lay_out_subjects(&subjects, |out| rng.fill(out)).expect("there are subjects");
        let word = |text| Word::parse(text).expect("it is a word");
        let issued = Date::parse("2026-04-01").expect("it is a date");
        let payload = Assessment {
            scheme: word("security-assessment"),
            outcome: Outcome::Passed,
            grade: word("important"),
            purposes: vec![word("train")],
            modalities: vec![word("visual")],
            streams: Vec::new(),
            issued,
            valid_from: issued,
            valid_to: None,
            destinations: Destinations::Anywhere,
            subjects: u64::try_from(leaves.len()).expect("it is a length"),
            subjects_root: subjects_root(&leaves).expect("there are leaves"),
        };
        let payload = payload.to_bytes().expect("the assessment is well formed");
        let statement = sign(&assessor(), ASSESSMENT_TYPE, "Office", &self.store.home(), payload).expect("it signs");
        let core = Core { statement: Some(statement), ..self.core(Kind::Assessment) };
        let openings = subjects.iter().zip(openings).map(|(id, (salt, index))| (*id, salt, index)).collect();
        let record = self.record(core, None, Some(SubjectsRecord { leaves, openings }));
        self.commit(vec![record])
    }

    fn manifest(&mut self) -> ManifestRecord {
        let seed = self.rng.array();
        let mut files: Vec<FileRecord> = (0..=self.rng.below(3))
            .map(|_| {
                let path = format!("{}/{}.bin", marker(self.rng), marker(self.rng)).into_bytes();
                let (blake3, sha256) = (file_digest(&path), Some(Digest::from_bytes(self.rng.array())));
                FileRecord { path, size: 1 + self.rng.below(1 << 40), blake3, sha256 }
            })
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        ManifestRecord { secret: Secret::Seed(seed), files }
    }
}

/// Returns what the details say of a manifest.
pub(super) fn manifest_values(kind: Kind, manifest: &ManifestRecord) -> Values {
    let int = |number: u64| Value::Int(i64::try_from(number).expect("it is small"));
    let root = manifest.root().expect("there are files");
    let stated = Value::map(vec![
        ("root".into(), Value::Bytes(root.as_bytes().to_vec())),
        ("files".into(), int(u64::try_from(manifest.files.len()).expect("it is a length"))),
        ("bytes".into(), int(manifest.files.iter().map(|file| file.size).sum())),
    ]);
    let content = Value::text(format!("tree:{}", content_digest(&manifest.files)));
    let value = |name, value: &Value| (slot(kind, name).expect("the kind has this slot"), encode(value));
    [value("content", &content), value("manifest", &stated)].into()
}
