//! Nodes and stores, as many as a figure needs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_core::{
    cbor::encode,
    date::Date,
    details::{Values, slot},
    digest::{Digest, file_digest},
    entry::Genesis,
    id::{GenesisHash, NodeId},
    key::{Algorithm, SecretKey, Signer as _},
    manifest::{FileRecord, root as manifest_root},
    node::{Activity, Core, DigestStrength, Edge, Held, Kind, Mark, Origin, Role},
    note::NoteSigner,
    value::Value,
    word::{Country, Word},
};
use griptrace_store::{
    OpenOptions, ProveOptions, Receipt, Store,
    bucket::Bucket,
    record::{ManifestRecord, NodeRecord, Secret, SubjectsRecord},
};
use griptrace_verifier::{
    known::Known,
    policy::{self, Policy},
    question::{ModelInHand, Question},
    trust::{self, Trust},
};

use crate::Failure;

/// 2026-06-01, at noon.
pub(crate) const NOW: u64 = 1_780_315_200;
const ORIGIN: &str = "bench.example/2026";
pub(crate) const ISSUER: &str = "Bench";
/// Bytes of a dataset's or step's record: core, seed and details, as they are written.
pub(crate) const RECORD_BYTES: usize = 400;
/// Bytes of the shortest note whose length takes as many bytes as that of the longest.
const NOTE_BYTES_MIN: usize = 24;
const NOTE_BYTES_MAX: usize = 250;

/// A store with its settings, laid out as the program lays it out, and one committer.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) store: Store,
    pub(crate) committer: SecretKey,
}

/// Makes nodes for one log.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    home: GenesisHash,
    /// What the names of its nodes begin with.
    prefix: &'static str,
    made: u64,
    country: &'static str,
}

fn log_signer() -> Result<NoteSigner, Failure> {
    Ok(NoteSigner::new(ORIGIN, &[1; 32])?)
}

/// Returns the key of a committer, another one for every number.
pub(crate) fn committer(number: u8) -> Result<SecretKey, Failure> {
    let mut seed = [2; 32];
    seed[0] = number.wrapping_add(2);
    Ok(SecretKey::from_bytes(Algorithm::Ed25519, &seed)?)
}

fn genesis() -> Result<Genesis, Failure> {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32])?.public_key();
    Ok(Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [7; 16], revokers: Vec::new() })
}

fn store_of(folder: &Path) -> PathBuf {
    folder.join("store")
}

impl Log {
    /// Makes a log in a folder of its own. Keys are those of a trial: no secrets.
    pub(crate) fn make(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder)?;
        let committer = committer(0)?;
        let settings = format!(
            "origin = \"{ORIGIN}\"\nissuer = \"{ISSUER}\"\ncommitter = \"{}\"\n[keys]\nlog = \"keys/log.key\"\ncommitter = \"keys/committer.key\"\n",
            committer.public_key(),
        );
        fs::write(folder.join("config.toml"), settings)?;
        let store = Store::init(&store_of(folder), &genesis()?, log_signer()?, NOW)?;
        Ok(Self { store, committer })
    }

    /// Makes a log in a bucket; `local` is this machine's folder.
    pub(crate) fn in_bucket(bucket: Arc<dyn Bucket>, local: &Path) -> Result<Self, Failure> {
        let store = Store::init_in(bucket, local, &genesis()?, log_signer()?, NOW)?;
        Ok(Self { store, committer: committer(0)? })
    }

    /// Opens a log with its committer.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        Ok(Self { store: Self::open_to_write(folder)?, committer: committer(0)? })
    }

    /// Opens a log to ask it.
    pub(crate) fn read(folder: &Path) -> Result<Store, Failure> {
        Ok(Store::open(&store_of(folder), OpenOptions::default())?)
    }

    /// Opens a log to commit to it.
    pub(crate) fn open_to_write(folder: &Path) -> Result<Store, Failure> {
        Ok(Store::open(&store_of(folder), OpenOptions { signer: Some(log_signer()?), ..OpenOptions::default() })?)
    }

    pub(crate) fn maker(&self, prefix: &'static str) -> Maker {
        Maker { home: self.store.home(), prefix, made: 0, country: "DE" }
    }

    pub(crate) fn commit(&self, nodes: Vec<NodeRecord>) -> Result<Receipt, Failure> {
        self.commit_by(&self.committer, nodes)
    }

    pub(crate) fn commit_by(&self, committer: &SecretKey, nodes: Vec<NodeRecord>) -> Result<Receipt, Failure> {
        Ok(self.store.commit(nodes, committer, ISSUER, NOW)?)
    }
}

impl Maker {
    /// Makes nodes as one of several clients.
    pub(crate) fn for_client(home: GenesisHash, client: usize) -> Self {
        // Names of clients stay apart by where they begin to count.
        Self { home, prefix: "client", made: u64::try_from(client).unwrap_or(0) * 1_000_000_000, country: "DE" }
    }

    /// Makes nodes in another country.
    pub(crate) fn abroad(self, country: &'static str) -> Self {
        Self { country, ..self }
    }

    pub(crate) const fn home(&self) -> GenesisHash {
        self.home
    }

    fn core(&self, kind: Kind) -> Core {
        Core { country: Country::parse(self.country), ..Core::new(kind, self.home, [0; 16], Digest::ZERO) }
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("{}-{:08}", self.prefix, self.made)
    }

    /// Makes a data set: a source, or what came out of a step.
    pub(crate) fn dataset(&mut self, from: Option<NodeId>) -> Result<NodeRecord, Failure> {
        self.data(from, Word::parse("general").filter(|_| from.is_none() || self.country == "DE"))
    }

    /// Makes a source of a grade.
    pub(crate) fn graded(&mut self, grade: &str) -> Result<NodeRecord, Failure> {
        self.data(None, Word::parse(grade))
    }

    fn data(&mut self, from: Option<NodeId>, grade: Option<Word>) -> Result<NodeRecord, Failure> {
        let core = Core {
            origin: Some(if from.is_some() { Origin::Derived } else { Origin::Collected }),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            grade,
            modality: Word::parse("visual").into_iter().collect(),
            purpose: Word::parse("bench").into_iter().collect(),
            edges: from.map(|step| Edge::local(Role::GeneratedBy, step)).into_iter().collect(),
            ..self.core(Kind::Dataset)
        };
        let name = self.name();
        let content = format!("blake3:{}", file_digest(name.as_bytes()));
        padded(core, &[("name", name), ("content", content)])
    }

    /// Makes a step that used these, in a country.
    pub(crate) fn step_in(&mut self, country: &'static str, used: &[NodeId]) -> Result<NodeRecord, Failure> {
        let here = core::mem::replace(&mut self.country, country);
        let step = self.step(used);
        self.country = here;
        step
    }

    /// Makes the node of an assessment that was signed.
    pub(crate) fn assessment(&self, statement: Vec<u8>, subjects: SubjectsRecord) -> Result<NodeRecord, Failure> {
        let core = Core { statement: Some(statement), country: None, ..self.core(Kind::Assessment) };
        let mut failed = None;
        let mut random = |out: &mut [u8]| failed = griptrace_store::random(out).err();
        let record = NodeRecord::build(core, Values::new(), None, Some(subjects), &mut random)?;
        failed.map_or(Ok(record), |error| Err(error.into()))
    }

    /// Makes a shipment of a model to Germany.
    pub(crate) fn shipment(&mut self, model: NodeId) -> Result<NodeRecord, Failure> {
        let core = Core {
            country: Country::parse("DE"),
            date: Some(Date::from_unix(NOW)),
            edges: vec![Edge::local(Role::Ships, model)],
            ..self.core(Kind::Shipment)
        };
        let consignee = slot(Kind::Shipment, "consignee").ok_or("no such detail")?;
        built(core, [(consignee, encode(&Value::text(self.name())))].into(), None)
    }

    /// Makes a step that used these.
    pub(crate) fn step(&mut self, used: &[NodeId]) -> Result<NodeRecord, Failure> {
        let mut edges: Vec<Edge> = used.iter().map(|id| Edge::local(Role::Used, *id)).collect();
        edges.sort_unstable();
        edges.dedup();
        let core = Core {
            activity: Some(Activity::Feature),
            date: Some(Date::from_unix(NOW)),
            edges,
            ..self.core(Kind::Transformation)
        };
        let name = self.name();
        padded(core, &[("name", name)])
    }

    /// Makes a withdrawal.
    pub(crate) fn mark(&self, target: NodeId) -> Result<NodeRecord, Failure> {
        let core = Core {
            mark: Some(Mark::Withdraw),
            date: Some(Date::from_unix(NOW)),
            country: None,
            edges: vec![Edge::local(Role::Marks, target)],
            ..self.core(Kind::Status)
        };
        built(core, Values::new(), None)
    }

    /// Makes the model that the buyer holds, out of a step.
    pub(crate) fn model(&mut self, step: NodeId) -> Result<NodeRecord, Failure> {
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
        let values: Values = [
            (at("name")?, encode(&Value::text(self.name()))),
            (at("content")?, encode(&content)),
            (at("manifest")?, encode(&manifest)),
        ]
        .into();
        let core = Core {
            strength: Some(DigestStrength::Strong),
            edges: vec![Edge::local(Role::GeneratedBy, step)],
            ..self.core(Kind::Model)
        };
        built(core, values, Some(ManifestRecord { secret: Secret::Seed(seed), files: vec![file] }))
    }

    /// Makes commits of one data set each.
    pub(crate) fn singles(&mut self, count: usize) -> Result<Vec<Vec<NodeRecord>>, Failure> {
        (0..count).map(|_| Ok(vec![self.dataset(None)?])).collect()
    }
}

/// Makes a record of [`RECORD_BYTES`] bytes, with a note that is as long as is left; longer where
/// the edges alone take more.
fn padded(core: Core, details: &[(&str, String)]) -> Result<NodeRecord, Failure> {
    let at = |name| slot(core.kind, name).ok_or("no such detail");
    let mut values = Values::new();
    for (name, text) in details {
        values.insert(at(name)?, encode(&Value::text(text.as_str())));
    }
    let note = at("note")?;
    values.insert(note, encode(&Value::text("x".repeat(NOTE_BYTES_MIN))));
    let draft = NodeRecord::bare(core.to_bytes()?, values, None, None);
    let left = RECORD_BYTES.saturating_sub(draft.to_bytes().len());
    let mut values = draft.values;
    let text = noise(&draft.core, details, (NOTE_BYTES_MIN + left).min(NOTE_BYTES_MAX));
    values.insert(note, encode(&Value::text(text)));
    built(core, values, None)
}

/// Returns text that does not get smaller when it is packed: other digits for every node.
fn noise(core: &[u8], details: &[(&str, String)], length: usize) -> String {
    let name = details.first().map_or(&b""[..], |(_, text)| text.as_bytes());
    let mut text = String::with_capacity(length + 64);
    let mut round = 0_u8;
    while text.len() < length {
        text.push_str(&file_digest(&[core, name, &[round]].concat()).to_string());
        round = round.wrapping_add(1);
    }
    text.truncate(length);
    text
}

fn built(core: Core, values: Values, manifest: Option<ManifestRecord>) -> Result<NodeRecord, Failure> {
    let mut failed = None;
    let mut random = |out: &mut [u8]| failed = griptrace_store::random(out).err();
    let record = NodeRecord::build(core, values, manifest, None, &mut random)?;
    failed.map_or(Ok(record), |error| Err(error.into()))
}

/// Writes the bundle of a model.
pub(crate) fn prove(store: &Store, model: &NodeId) -> Result<Vec<u8>, Failure> {
    Ok(store.prove(model, &ProveOptions::default())?)
}

/// Returns the text of a trust file that knows the log and its committer.
pub(crate) fn trust_of() -> Result<String, Failure> {
    let vkey = log_signer()?.verifier().to_vkey();
    Ok(format!(
        "[[log]]\norigin = \"{ORIGIN}\"\nvkey = \"{vkey}\"\n[[committer]]\nname = \"{ISSUER}\"\nkey = \"{}\"\nroles = [\"commit\", \"grade\", \"ship\"]\n",
        committer(0)?.public_key(),
    ))
}

/// Returns a buyer's trust file, policy and question.
pub(crate) fn buyer() -> Result<(Trust, Policy, Question), Failure> {
    let trust = trust_of()?;
    let policy = "id = \"bench\"\nversion = \"1\"\nstatus = \"reference\"\n[vocabulary]\ngrades = [\"general\", \"important\"]\nmodality = [\"visual\"]\nschemes = []\n";
    let question = Question {
        now: Date::from_unix(NOW),
        destination: Country::parse("DE"),
        consignee: None,
        purposes: Vec::new(),
        model: ModelInHand::Digest(file_digest(b"model")),
        known: Known::default(),
    };
    Ok((trust::parse("trust.toml", &trust)?, policy::parse("policy.toml", policy)?, question))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_as_long_as_is_said() {
        let home = GenesisHash::new(Digest::ZERO);
        let mut maker = Maker { home, prefix: "test", made: 0, country: "DE" };
        let source = maker.dataset(None).unwrap();
        let step = maker.step(&[source.id()]).unwrap();
        let derived = maker.dataset(Some(step.id())).unwrap();
        for record in [source, step, derived] {
            assert_eq!(record.to_bytes().len(), RECORD_BYTES);
        }
    }
}
