//! Keys, a log and nodes of every kind for a store, drawn from a seed: the same seed, the same nodes.
//!
//! Both the suite and the child programs that it kills take their nodes from here.

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
use griptrace_store::record::{ManifestRecord, NodeRecord, Secret, SubjectsRecord};
use griptrace_tests::seed::Rng;

/// The log's name.
pub(crate) const ORIGIN: &str = "log.example/2026";
/// When everything happens.
pub(crate) const NOW: u64 = 1_790_000_000;
/// Who commits.
pub(crate) const ISSUER: &str = "Maker";

/// The log's secret, which is none.
pub(crate) const LOG_SEED: [u8; 32] = [1; 32];
/// The committer's.
pub(crate) const COMMITTER_SEED: [u8; 32] = [2; 32];

/// Returns the log's key.
pub(crate) fn log_signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &LOG_SEED).expect("it is a name")
}

/// Returns the committer's key.
pub(crate) fn committer() -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &COMMITTER_SEED).expect("any bytes make a key")
}

/// Returns the assessor's key.
pub(crate) fn assessor() -> SecretKey {
    SecretKey::from_bytes(Algorithm::P256, &[9; 32]).expect("these bytes make a key")
}

/// Returns the first entry of a log; another `nonce`, another log.
pub(crate) fn genesis(nonce: u8) -> Genesis {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &LOG_SEED).expect("any bytes make a key").public_key();
    Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [nonce; 16], revokers: Vec::new() }
}

/// Makes nodes for one log.
pub(crate) struct Factory {
    home: GenesisHash,
    rng: Rng,
}

impl Factory {
    /// Makes nodes for the log of this genesis hash.
    pub(crate) fn new(home: GenesisHash, rng: Rng) -> Self {
        Self { home, rng }
    }

    fn core(&self, kind: Kind) -> Core {
        Core::new(kind, self.home, [0; 16], Digest::ZERO)
    }

    fn build(
        &mut self,
        core: Core,
        values: Values,
        manifest: Option<ManifestRecord>,
        subjects: Option<SubjectsRecord>,
    ) -> NodeRecord {
        let rng = &mut self.rng;
        NodeRecord::build(core, values, manifest, subjects, |out| rng.fill(out)).expect("the node is well formed")
    }

    /// A collected data set, with a note of up to 1 KiB and a content that its name gives.
    pub(crate) fn source(&mut self, name: &str) -> NodeRecord {
        let core = Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            country: Country::parse("CN"),
            modality: vec![word("visual")],
            grade: Some(word("important")),
            ..self.core(Kind::Dataset)
        };
        let length = self.rng.index(1024);
        let note: String = self.rng.bytes(length).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let content = format!("blake3:{}", content_of(name));
        let texts = [("name", name), ("licence", "proprietary"), ("content", content.as_str()), ("note", &note)];
        self.build(core, texts_of(Kind::Dataset, &texts), None, None)
    }

    /// A step over `used` and the data set that it makes.
    pub(crate) fn derive(&mut self, name: &str, used: &[NodeId]) -> Vec<NodeRecord> {
        let step = self.step(name, used, Activity::Feature);
        let core = Core {
            origin: Some(Origin::Derived),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            country: Country::parse("CN"),
            edges: vec![Edge::local(Role::GeneratedBy, step.id())],
            ..self.core(Kind::Dataset)
        };
        let made = self.build(core, texts_of(Kind::Dataset, &[("name", name)]), None, None);
        vec![step, made]
    }

    /// A training over `used` and the model that it makes, with these files.
    pub(crate) fn train(&mut self, name: &str, used: &[NodeId], files: &[&str]) -> Vec<NodeRecord> {
        let step = self.step(name, used, Activity::Training);
        let core = Core {
            strength: Some(DigestStrength::Strong),
            country: Country::parse("DE"),
            edges: vec![Edge::local(Role::GeneratedBy, step.id())],
            ..self.core(Kind::Model)
        };
        let manifest = self.manifest(files);
        let mut values = texts_of(Kind::Model, &[("name", name)]);
        values.extend(manifest_values(&manifest));
        let model = self.build(core, values, Some(manifest), None);
        vec![step, model]
    }

    fn step(&mut self, name: &str, used: &[NodeId], activity: Activity) -> NodeRecord {
        let mut edges: Vec<Edge> = used.iter().map(|id| Edge::local(Role::Used, *id)).collect();
        edges.sort();
        edges.dedup();
        let core = Core {
            activity: Some(activity),
            country: Country::parse("CN"),
            date: Date::parse("2026-04-10"),
            edges,
            ..self.core(Kind::Transformation)
        };
        self.build(core, texts_of(Kind::Transformation, &[("name", name)]), None, None)
    }

    /// A shipment of models.
    pub(crate) fn shipment(&mut self, models: &[NodeId]) -> NodeRecord {
        let mut edges: Vec<Edge> = models.iter().map(|id| Edge::local(Role::Ships, *id)).collect();
        edges.sort();
        let date = Date::parse("2026-05-20");
        let core = Core { country: Country::parse("DE"), date, edges, ..self.core(Kind::Shipment) };
        self.build(core, texts_of(Kind::Shipment, &[("consignee", "Buyer")]), None, None)
    }

    /// A mark upon a node.
    pub(crate) fn status(&mut self, marks: NodeId, mark: Mark) -> NodeRecord {
        let grade = Word::parse("core").filter(|_| mark == Mark::Reclassify);
        let edges = vec![Edge::local(Role::Marks, marks)];
        let date = Date::parse("2026-06-01");
        let core = Core { mark: Some(mark), date, edges, grade, ..self.core(Kind::Status) };
        self.build(core, Values::new(), None, None)
    }

    /// An assessment of these subjects, signed by the assessor.
    pub(crate) fn assessment(&mut self, subjects: &[NodeId]) -> NodeRecord {
        let rng = &mut self.rng;
        let (leaves, openings) = lay_out_subjects(subjects, |out| rng.fill(out)).expect("there are subjects");
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
        let statement = sign(&assessor(), ASSESSMENT_TYPE, "Office", &self.home, payload).expect("the key signs");
        let core = Core { statement: Some(statement), ..self.core(Kind::Assessment) };
        let openings = subjects.iter().zip(openings).map(|(id, (salt, index))| (*id, salt, index)).collect();
        self.build(core, Values::new(), None, Some(SubjectsRecord { leaves, openings }))
    }

    /// Nodes for one commit, `count` of them or a few more: sources, steps over `known` and over what
    /// the commit itself holds, now and then a model, an assessment or a mark upon a known data set.
    pub(crate) fn batch(&mut self, name: &str, count: usize, known: &[NodeId]) -> Vec<NodeRecord> {
        let mut nodes: Vec<NodeRecord> = Vec::new();
        let mut data: Vec<NodeId> = known.to_vec();
        while nodes.len() < count {
            let number = nodes.len();
            let name = format!("{name}/{number}");
            let used = if data.is_empty() { None } else { Some(data[self.rng.index(data.len())]) };
            match (self.rng.below(12), used) {
                (0..=3, Some(used)) => {
                    let made = self.derive(&name, &[used]);
                    data.extend(made.last().map(NodeRecord::id));
                    nodes.extend(made);
                }
                (4, Some(used)) => nodes.extend(self.train(&name, &[used], &["model.onnx", "labels.txt"])),
                (5, Some(used)) => nodes.push(self.assessment(&[used])),
                (6, Some(_)) if number == 0 && !known.is_empty() => {
                    let marked = known[self.rng.index(known.len())];
                    nodes.push(self.status(marked, Mark::Reclassify));
                }
                _ => {
                    let source = self.source(&name);
                    data.push(source.id());
                    nodes.push(source);
                }
            }
        }
        nodes
    }

    fn manifest(&mut self, files: &[&str]) -> ManifestRecord {
        let seed = self.rng.array();
        let record = |path: &&str| {
            let (blake3, sha256) = (content_of(path), Some(file_digest(b"sha")));
            FileRecord { path: path.as_bytes().to_vec(), size: 7, blake3, sha256 }
        };
        let mut files: Vec<FileRecord> = files.iter().map(record).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        ManifestRecord { secret: Secret::Seed(seed), files }
    }
}

/// Returns the content digest of a source, or of a model's file, by its name.
pub(crate) fn content_of(name: &str) -> Digest {
    file_digest(name.as_bytes())
}

fn word(text: &str) -> Word {
    Word::parse(text).expect("it is a word")
}

fn texts_of(kind: Kind, texts: &[(&str, &str)]) -> Values {
    let value = |(name, text): &(&str, &str)| Some((slot(kind, name)?, encode(&Value::text(*text))));
    texts.iter().map(|text| value(text).expect("the kind has this slot")).collect()
}

fn manifest_values(manifest: &ManifestRecord) -> Values {
    let int = |number: u64| Value::Int(i64::try_from(number).expect("it is small"));
    let root = manifest.root().expect("there are files");
    let bytes = manifest.files.iter().map(|file| file.size).sum();
    let stated = Value::map(vec![
        ("root".into(), Value::Bytes(root.as_bytes().to_vec())),
        ("files".into(), int(u64::try_from(manifest.files.len()).expect("it is a length"))),
        ("bytes".into(), int(bytes)),
    ]);
    let content = match manifest.files.as_slice() {
        [one] => format!("blake3:{}", one.blake3),
        several => format!("tree:{}", content_digest(several)),
    };
    let value = |name, value: &Value| (slot(Kind::Model, name).expect("the kind has this slot"), encode(value));
    [value("content", &Value::text(content)), value("manifest", &stated)].into()
}
