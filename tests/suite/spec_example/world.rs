//! The example's records. Every key, seed, salt, nonce and time is fixed, and so no secret.

use std::collections::BTreeMap;

use griptrace_core::assessment::{Assessment, Destinations, Outcome, lay_out_subjects, subject_leaf, subjects_root};
use griptrace_core::bundle::{Anchor, Bundle, CommitPart, Disclosure, LogPart, ManifestOpening, StatusPart};
use griptrace_core::cbor::encode;
use griptrace_core::checkpoint::Checkpoint;
use griptrace_core::commit::{Commit, CommitPayload};
use griptrace_core::cose::{ASSESSMENT_TYPE, sign};
use griptrace_core::date::Date;
use griptrace_core::details::{self, Salt, Values};
use griptrace_core::digest::{COMMIT_TREE, Digest, SUBJECT_TREE, file_digest};
use griptrace_core::entry::{Genesis, StatusHead, genesis_hash};
use griptrace_core::id::{GenesisHash, NodeId};
use griptrace_core::key::{Algorithm, PublicKey, SecretKey, Signer as _};
use griptrace_core::manifest::{self, FileRecord};
use griptrace_core::node::{Activity, Core, DigestStrength, Edge, Held, Kind, Origin, Persons, Role, node_id};
use griptrace_core::note::{Cosigner, Note, NoteSigner};
use griptrace_core::status_map::StatusMap;
use griptrace_core::tree::{self, Frontier, Rfc9162};
use griptrace_core::value::Value;
use griptrace_core::word::{Country, Word};
use sha2::Digest as _;

pub(super) const ORIGIN: &str = "log.example/2026";
pub(super) const ISSUER: &str = "Example Grippers";
/// 2026-01-01T00:00:00Z.
const BEGUN: u64 = 1_767_225_600;
/// 2026-03-01T09:00:00Z.
const COMMITTED: u64 = 1_772_355_600;

/// A node with what opens its details.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) core: Vec<u8>,
    pub(super) id: NodeId,
    pub(super) kind: Kind,
    pub(super) seed: [u8; 32],
    pub(super) values: Values,
}

/// All records of the example.
pub(super) struct World {
    pub(super) log_key: NoteSigner,
    pub(super) witness_key: Cosigner,
    pub(super) committer_key: SecretKey,
    pub(super) assessor_key: SecretKey,
    pub(super) genesis: Vec<u8>,
    pub(super) home: GenesisHash,
    pub(super) dataset: Made,
    /// In the order of the ids.
    pub(super) nodes: Vec<Made>,
    pub(super) payload: CommitPayload,
    pub(super) commit: Vec<u8>,
    pub(super) head: Vec<u8>,
    pub(super) root: Digest,
    pub(super) note: String,
    pub(super) bundle: Vec<u8>,
}

/// A signed assessment of the example's dataset and of two nodes that the example does not have.
pub(super) struct Assessed {
    pub(super) payload: Vec<u8>,
    pub(super) signed: Vec<u8>,
    pub(super) leaves: Vec<Digest>,
    pub(super) salt: Salt,
    pub(super) index: u64,
    pub(super) proof: Vec<Digest>,
    pub(super) root: Digest,
}

pub(super) fn model_files() -> Vec<FileRecord> {
    let bytes = b"model";
    let sha256 = Digest::from_bytes(sha2::Sha256::digest(bytes).into());
    let file = |path: &str| FileRecord { path: path.into(), size: 5, blake3: file_digest(bytes), sha256: Some(sha256) };
    vec![file("grasp.onnx")]
}

/// The seed of the salts in the model's manifest.
pub(super) const MANIFEST_SEED: [u8; 32] = [0x3f; 32];

impl World {
    pub(super) fn new() -> Self {
        let log_key = NoteSigner::new(ORIGIN, &[1; 32]).expect("a name");
        let witness_key = Cosigner::new("w1.example", &[5; 32]).expect("a name");
        let committer_key = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).expect("a key");
        let assessor_key = SecretKey::from_bytes(Algorithm::P256, &[4; 32]).expect("a key");
        let key = PublicKey::new(Algorithm::Ed25519, log_key.verifier().public_key()).expect("a key");
        let revokers = vec![SecretKey::from_bytes(Algorithm::Ed25519, &[3; 32]).expect("a key").public_key().id()];
        let genesis = Genesis { origin: ORIGIN.into(), key, time: BEGUN, nonce: [0x0a; 16], revokers };
        let genesis = genesis.to_bytes().expect("a genesis");
        let home = genesis_hash(&genesis);

        let dataset = dataset(home);
        let mut nodes = lineage(home, &dataset);
        nodes.sort_by_key(|made| made.id);
        let mut ids: Vec<NodeId> = nodes.iter().map(|made| made.id).collect();
        let payload = CommitPayload::over(home, &mut ids, COMMITTED, Vec::new()).expect("a commit");
        let commit = Commit::sign(&payload, &committer_key, ISSUER).expect("a commit");
        let map = StatusMap::new();
        let head = StatusHead { index: 2, map_root: map.root(), time: COMMITTED + 1 }.to_bytes();

        let mut frontier = Frontier::new(Rfc9162);
        for entry in [&genesis, &commit, &head] {
            frontier.push(Rfc9162::leaf_hash(entry)).expect("there is room");
        }
        let root = frontier.root().expect("three leaves");
        let note = note(&log_key, &witness_key, root);
        let bundle = bundle(&[&genesis, &commit, &head], &nodes, &map, &note).to_bytes();
        Self {
            log_key,
            witness_key,
            committer_key,
            assessor_key,
            genesis,
            home,
            dataset,
            nodes,
            payload,
            commit,
            head,
            root,
            note,
            bundle,
        }
    }

    /// What the assessor signs over the dataset, and what opens it.
    pub(super) fn assessed(&self) -> Assessed {
        let other = |byte| NodeId::new(Digest::from_bytes([byte; 32]));
        let subjects = [self.dataset.id, other(0x71), other(0x72)];
        let mut next = 0xb0;
        let (leaves, openings) = lay_out_subjects(&subjects, |bytes| {
            bytes.fill(next);
            next += 1;
        })
        .expect("subjects");
        let root = subjects_root(&leaves).expect("subjects");
        let assessment = Assessment {
            scheme: word("security-assessment"),
            outcome: Outcome::Passed,
            grade: word("general"),
            purposes: vec![word("train-adaptive-grasp-control")],
            modalities: vec![word("visual")],
            streams: Vec::new(),
            issued: date("2026-01-20"),
            valid_from: date("2026-01-20"),
            valid_to: Some(date("2029-01-19")),
            destinations: Destinations::Only(vec![country("DE"), country("FR")]),
            subjects: 4,
            subjects_root: root,
        };
        let payload = assessment.to_bytes().expect("an assessment");
        let issuer = "Example Assessment Office";
        let signed =
            sign(&self.assessor_key, ASSESSMENT_TYPE, issuer, &self.home, payload.clone()).expect("it is small");
        let (salt, index) = openings[0];
        let proof = tree::prove_leaves(&SUBJECT_TREE, &leaves, &[index]).expect("a subject");
        let opened = [(index, subject_leaf(&salt, &self.dataset.id))];
        assert_eq!(tree::root_from_leaves(&SUBJECT_TREE, 4, &opened, &proof), Ok(root));
        Assessed { payload, signed, leaves, salt, index, proof, root }
    }
}

fn word(text: &str) -> Word {
    Word::parse(text).expect("a word")
}

fn country(text: &str) -> Country {
    Country::parse(text).expect("a country")
}

fn date(text: &str) -> Date {
    Date::parse(text).expect("a date")
}

fn values(kind: Kind, named: &[(&str, Value)]) -> Values {
    named.iter().map(|(name, value)| (details::slot(kind, name).expect("a slot"), encode(value))).collect()
}

fn made(core: Core, seed: [u8; 32], values: Values) -> Made {
    let core = Core { details: details::root(core.kind, &seed, &values), ..core };
    let kind = core.kind;
    let core = core.to_bytes().expect("a core");
    Made { id: node_id(&core), core, kind, seed, values }
}

fn dataset(home: GenesisHash) -> Made {
    let kind = Kind::Dataset;
    let values = values(
        kind,
        &[
            ("name", Value::text("wrist camera")),
            ("content", Value::text(format!("blake3:{}", file_digest(b"frames")))),
            ("licence", Value::text("proprietary")),
        ],
    );
    let core = Core {
        origin: Some(Origin::Collected),
        held: Some(Held::Here),
        strength: Some(DigestStrength::Strong),
        modality: vec![word("visual")],
        purpose: vec![word("train-adaptive-grasp-control")],
        grade: Some(word("general")),
        country: Some(country("DE")),
        persons: Some(Persons::NoneFound),
        ..Core::new(kind, home, [0x1a; 16], Digest::ZERO)
    };
    made(core, [0x1b; 32], values)
}

/// Makes the step, the model and the shipment, and returns all four nodes.
fn lineage(home: GenesisHash, dataset: &Made) -> Vec<Made> {
    let kind = Kind::Transformation;
    let step = Core {
        edges: vec![Edge::local(Role::Used, dataset.id)],
        activity: Some(Activity::Training),
        country: Some(country("DE")),
        date: Some(date("2026-02-01")),
        ..Core::new(kind, home, [0x2a; 16], Digest::ZERO)
    };
    let step = made(step, [0x2b; 32], values(kind, &[("name", Value::text("train"))]));

    let kind = Kind::Model;
    let files = model_files();
    let manifest = Value::map(vec![
        ("root".into(), Value::Bytes(manifest::root(&MANIFEST_SEED, &files).expect("a file").as_bytes().to_vec())),
        ("files".into(), Value::Int(1)),
        ("bytes".into(), Value::Int(5)),
    ]);
    let content = Value::text(format!("blake3:{}", file_digest(b"model")));
    let model_values = values(kind, &[("name", Value::text("grasp")), ("content", content), ("manifest", manifest)]);
    let model = Core {
        edges: vec![Edge::local(Role::GeneratedBy, step.id)],
        strength: Some(DigestStrength::Strong),
        country: Some(country("DE")),
        ..Core::new(kind, home, [0x3a; 16], Digest::ZERO)
    };
    let model = made(model, [0x3b; 32], model_values);

    let kind = Kind::Shipment;
    let shipment = Core {
        edges: vec![Edge::local(Role::Ships, model.id)],
        country: Some(country("FR")),
        date: Some(date("2026-03-01")),
        ..Core::new(kind, home, [0x4a; 16], Digest::ZERO)
    };
    let shipment = made(shipment, [0x4b; 32], values(kind, &[("consignee", Value::text("Example Buyer SA"))]));
    vec![dataset.clone(), step, model, shipment]
}

fn note(log_key: &NoteSigner, witness_key: &Cosigner, root: Digest) -> String {
    let text = Checkpoint::new(ORIGIN, 3, root).expect("a checkpoint").to_text();
    let cosignature = witness_key.sign(&text, COMMITTED + 2).expect("a time");
    Note::new(&text, vec![log_key.sign(&text), cosignature]).expect("a note").to_text()
}

fn bundle(entries: &[&Vec<u8>], nodes: &[Made], map: &StatusMap, note: &str) -> Bundle {
    let leaves: Vec<Digest> = entries.iter().map(|entry| Rfc9162::leaf_hash(entry)).collect();
    let ids: Vec<Digest> = nodes.iter().map(|made| *made.id.digest()).collect();
    let places: Vec<u64> = (0..).take(ids.len()).collect();
    let part = CommitPart {
        entry: 1,
        proof: tree::prove_leaves(&COMMIT_TREE, &ids, &places).expect("nodes"),
        places,
        cores: nodes.iter().map(|made| made.core.clone()).collect(),
    };
    let status = StatusPart { present: Vec::new(), proof: map.prove(&ids).into_bytes(), further: Vec::new() };
    let log = LogPart {
        entries: (0..).zip(entries.iter().map(|entry| (*entry).clone())).collect(),
        inclusion: tree::prove_leaves(&Rfc9162, &leaves, &[0, 1, 2]).expect("entries"),
        anchors: vec![Anchor { note: note.into(), consistency: Vec::new(), status: Some(status) }],
        commits: vec![part],
    };
    let ordinals: BTreeMap<Kind, u64> = nodes.iter().map(|made| made.kind).zip(0..).collect();
    let disclosures = (0..).zip(nodes).filter_map(|(node, made)| {
        let slots: &[u8] = if made.kind == Kind::Model { &[0, 1, 2] } else { &[1] };
        let wanted = matches!(made.kind, Kind::Model | Kind::Shipment);
        let opening = wanted.then(|| details::open(made.kind, &made.seed, &made.values, slots))??;
        Some(Disclosure { node, opening })
    });
    Bundle {
        root: ordinals[&Kind::Shipment],
        disclosures: disclosures.collect(),
        logs: vec![log],
        openings: Vec::new(),
        manifests: vec![ManifestOpening { node: ordinals[&Kind::Model], seed: MANIFEST_SEED, files: model_files() }],
    }
}
