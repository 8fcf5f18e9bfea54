//! A store with as much in it as a figure needs.

use griptrace_core::{
    cbor::encode,
    date::Date,
    details::{Values, slot},
    digest::file_digest,
    entry::Genesis,
    id::NodeId,
    key::{Algorithm, SecretKey, Signer as _},
    manifest::{FileRecord, root as manifest_root},
    node::{Activity, Core, DigestStrength, Edge, Held, Kind, Mark, Origin, Role},
    note::NoteSigner,
    value::Value,
    word::{Country, Word},
};
use griptrace_store::{
    Disclose, ProveOptions, Store,
    record::{ManifestRecord, NodeRecord},
};
use griptrace_verifier::{
    policy::{self, Policy},
    question::{ModelInHand, Question},
    trust::{self, Trust},
};

/// Why a figure could not be made.
pub(crate) type Failure = Box<dyn core::error::Error>;

/// 2026-06-01, at noon.
const NOW: u64 = 1_780_315_200;
const ORIGIN: &str = "bench.example/2026";

/// A store in a temporary folder, one committer, and a buyer who trusts both.
pub(crate) struct World {
    store: Store,
    committer: SecretKey,
    _folder: tempfile::TempDir,
}

/// Turns a count into a figure.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

impl World {
    pub(crate) fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32])?;
        let log = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32])?;
        let genesis =
            Genesis { origin: ORIGIN.into(), key: log.public_key(), time: NOW, nonce: [7; 16], revokers: Vec::new() };
        let store = Store::init(&folder.path().join("store"), &genesis, NoteSigner::new(ORIGIN, &[1; 32])?, NOW)?;
        Ok(Self { store, committer, _folder: folder })
    }

    fn core(&self, kind: Kind) -> Core {
        Core {
            country: Country::parse("DE"),
            ..Core::new(kind, self.store.home(), [0; 16], griptrace_core::digest::Digest::ZERO)
        }
    }

    fn record(core: Core, values: Values, manifest: Option<ManifestRecord>) -> Result<NodeRecord, Failure> {
        let mut failed = None;
        let mut random = |out: &mut [u8]| failed = griptrace_store::random(out).err();
        let record = NodeRecord::build(core, values, manifest, None, &mut random)?;
        failed.map_or(Ok(record), |error| Err(error.into()))
    }

    fn dataset(&self, origin: Origin, from: Option<NodeId>) -> Result<NodeRecord, Failure> {
        let core = Core {
            origin: Some(origin),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            grade: Word::parse("general"),
            modality: Word::parse("visual").into_iter().collect(),
            purpose: Word::parse("bench").into_iter().collect(),
            edges: from.map(|step| Edge::local(Role::GeneratedBy, step)).into_iter().collect(),
            ..self.core(Kind::Dataset)
        };
        Self::record(core, Values::new(), None)
    }

    fn step(&self, used: &[NodeId]) -> Result<NodeRecord, Failure> {
        let mut edges: Vec<Edge> = used.iter().map(|id| Edge::local(Role::Used, *id)).collect();
        edges.sort_unstable();
        let core = Core {
            activity: Some(Activity::Feature),
            date: Some(Date::from_unix(NOW)),
            edges,
            ..self.core(Kind::Transformation)
        };
        Self::record(core, Values::new(), None)
    }

    fn commit(&self, nodes: Vec<NodeRecord>) -> Result<(), Failure> {
        self.store.commit(nodes, &self.committer, "Bench", NOW)?;
        Ok(())
    }

    /// Puts statuses on data sets that no model stands on.
    pub(crate) fn mark_others(&self, statuses: usize) -> Result<(), Failure> {
        let mut left = statuses;
        while left > 0 {
            let count = left.min(800);
            left -= count;
            let others = (0..count).map(|_| self.dataset(Origin::Collected, None)).collect::<Result<Vec<_>, _>>()?;
            let marks = others.iter().map(|other| self.mark(other.id())).collect::<Result<Vec<_>, _>>()?;
            self.commit(others.into_iter().chain(marks).collect())?;
        }
        Ok(())
    }

    fn mark(&self, target: NodeId) -> Result<NodeRecord, Failure> {
        let core = Core {
            mark: Some(Mark::Withdraw),
            date: Some(Date::from_unix(NOW)),
            country: None,
            edges: vec![Edge::local(Role::Marks, target)],
            ..self.core(Kind::Status)
        };
        Self::record(core, Values::new(), None)
    }

    /// Records a model behind so many commits of so many nodes: sources, then steps that each use the
    /// data set before and one from further back, so that the ancestry is wide and deep.
    pub(crate) fn chain(&self, commits: usize, each: usize) -> Result<NodeId, Failure> {
        let mut made: Vec<NodeId> = Vec::new();
        for number in 0..commits {
            let mut nodes = Vec::new();
            let last = number + 1 == commits;
            let reserve = if last { 2 } else { 0 };
            while nodes.len() + reserve < each {
                let source = made.is_empty() || (each - nodes.len()) % 10 == 1 || each - nodes.len() - reserve == 1;
                if source {
                    let dataset = self.dataset(Origin::Collected, None)?;
                    made.push(dataset.id());
                    nodes.push(dataset);
                    continue;
                }
                let step = self.step(&Self::parents(&made))?;
                let dataset = self.dataset(Origin::Derived, Some(step.id()))?;
                made.push(dataset.id());
                nodes.extend([step, dataset]);
            }
            if last {
                return self.finish(nodes, &made);
            }
            self.commit(nodes)?;
        }
        Err("a chain needs a commit".into())
    }

    /// The newest data set, and every source that nothing has used yet, a few at a time.
    fn parents(made: &[NodeId]) -> Vec<NodeId> {
        let newest = made.len() - 1;
        let mut parents: Vec<NodeId> = [newest, newest.saturating_sub(1), newest.saturating_sub(2), newest / 2]
            .iter()
            .filter_map(|at| made.get(*at).copied())
            .collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    fn finish(&self, mut nodes: Vec<NodeRecord>, made: &[NodeId]) -> Result<NodeId, Failure> {
        let step = self.step(&Self::parents(made))?;
        let file = FileRecord { path: b"model.bin".to_vec(), size: 5, blake3: file_digest(b"model"), sha256: None };
        let seed = [9; 32];
        let root = manifest_root(&seed, core::slice::from_ref(&file)).ok_or("no file")?;
        let manifest = Value::map(vec![
            ("root".into(), Value::Bytes(root.as_bytes().to_vec())),
            ("files".into(), Value::Int(1)),
            ("bytes".into(), Value::Int(5)),
        ]);
        let content = Value::text(format!("blake3:{}", file.blake3));
        let at = |name| slot(Kind::Model, name).ok_or("no such detail");
        let values: Values = [(at("content")?, encode(&content)), (at("manifest")?, encode(&manifest))].into();
        let core = Core {
            strength: Some(DigestStrength::Strong),
            edges: vec![Edge::local(Role::GeneratedBy, step.id())],
            ..self.core(Kind::Model)
        };
        let model = Self::record(core, values, Some(ManifestRecord { seed, files: vec![file] }))?;
        let id = model.id();
        nodes.extend([step, model]);
        self.commit(nodes)?;
        Ok(id)
    }

    pub(crate) fn prove(&self, root: &NodeId) -> Result<Vec<u8>, Failure> {
        Ok(self.store.prove(root, &ProveOptions { disclose: Disclose::Minimal, now: NOW })?)
    }

    /// The buyer's trust file, policy and question.
    pub(crate) fn buyer(&self) -> Result<(Trust, Policy, Question), Failure> {
        let vkey = NoteSigner::new(ORIGIN, &[1; 32])?.verifier().to_vkey();
        let trust = format!(
            "[[log]]\norigin = \"{ORIGIN}\"\nvkey = \"{vkey}\"\n[[committer]]\nname = \"Bench\"\nkey = \"{}\"\nroles = [\"commit\", \"grade\", \"ship\"]\n",
            self.committer.public_key(),
        );
        let policy = "id = \"bench\"\nversion = \"1\"\nstatus = \"reference\"\n[vocabulary]\ngrades = [\"general\", \"important\"]\nmodality = [\"visual\"]\nschemes = []\n";
        let question = Question {
            now: Date::from_unix(NOW),
            destination: Country::parse("DE"),
            consignee: None,
            purposes: Vec::new(),
            model: ModelInHand::Digest(file_digest(b"model")),
        };
        Ok((trust::parse("trust.toml", &trust)?, policy::parse("policy.toml", policy)?, question))
    }
}
