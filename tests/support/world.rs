//! A small world over `core` alone: logs, parties, records and the bundle that an honest exporter
//! would make of them. Deterministic: keys come from names, nonces and salts from a counter.
//!
//! A test changes the *structure* (any field, edge, order, omission) and builds again: every unkeyed
//! digest, length, root and proof is computed anew and signed with whichever keys the test's liar
//! owns. What a courier without keys does, it does to the decoded bundle afterwards.

mod world_build;
mod world_buyer;
mod world_honest;
mod world_keys;

use std::collections::BTreeMap;

use griptrace_core::{
    assessment::{Assessment, AssessorMark, Destinations, Outcome, status_key_of_payload},
    cbor::encode,
    commit::CommitPayload,
    cose::{self, MARK_TYPE},
    date::{DAY_SECONDS, Date},
    digest::{Digest, NODE, file_digest},
    entry::{Genesis, StatusHead},
    id::{GenesisHash, NodeId, StatusKey},
    key::{Algorithm, SecretKey},
    manifest::FileRecord,
    node::{Core, DigestStrength, Held, Kind, Mark, Origin, Persons, Role},
    note::Cosigner,
    value::Value,
    word::{Country, Word},
};

pub(crate) use world_build::Built;
pub(crate) use world_buyer::{Buyer, Case, is_less_cosigned, shipped_files, told, vkey_of_witness};
pub(crate) use world_honest::{ORIGIN, SUPPLIER_ORIGIN, honest};
pub(crate) use world_keys::KeySpec;

/// What a status map holds: key and status, in log order.
pub(crate) type Lines = Vec<(StatusKey, NodeId)>;

/// The whole structure, before anything is encoded.
#[derive(Clone)]
pub(crate) struct World {
    /// The first is the home of the root.
    pub(crate) logs: Vec<Log>,
    /// In an order in which parents come first. A link to what is not before it dangles.
    pub(crate) nodes: Vec<NodeSpec>,
    /// Name of the root.
    pub(crate) root: String,
    /// Names of nodes that the exporter adds though the closure does not need them.
    pub(crate) extra: Vec<String>,
    /// Names of nodes that the exporter leaves out though the closure needs them.
    pub(crate) omit: Vec<String>,
    /// Whether the exporter passes over the statuses (for marks that a liar hides).
    pub(crate) hide_statuses: bool,
}

/// A log and what happened in it.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) genesis: Genesis,
    pub(crate) steps: Vec<Step>,
}

/// One entry of a log.
#[derive(Clone)]
pub(crate) enum Step {
    Commit(CommitSpec),
    Key(KeySpec),
    Head(HeadSpec),
}

/// A commit before it is signed.
#[derive(Clone)]
pub(crate) struct CommitSpec {
    /// Names of its nodes.
    pub(crate) nodes: Vec<String>,
    pub(crate) time: u64,
    /// Name of the key that signs.
    pub(crate) signer: &'static str,
    /// Changes the payload before it is signed.
    pub(crate) payload_edit: Option<fn(&mut CommitPayload)>,
    /// Changes the entry after it was signed.
    pub(crate) entry_edit: Option<fn(Vec<u8>) -> Vec<u8>>,
}

/// A status head, and the checkpoint whose last leaf it is.
#[derive(Clone)]
pub(crate) struct HeadSpec {
    pub(crate) time: u64,
    /// Whether the bundle has its checkpoint.
    pub(crate) anchor: bool,
    /// Who signs the note: log keys by (name of the key, origin).
    pub(crate) log_signers: Vec<(&'static str, String)>,
    /// Who cosigns, and when: a witness by its name (Ed25519), `w1/ml-dsa` or `w1/map` ([`cosigner`]).
    pub(crate) cosigners: Vec<(&'static str, u64)>,
    /// Changes what the operator puts into the map.
    pub(crate) map_edit: Option<fn(&mut Lines)>,
    /// Changes the head.
    pub(crate) head_edit: Option<fn(&mut StatusHead)>,
    /// Changes the text of the checkpoint before it is signed.
    pub(crate) text_edit: Option<fn(String) -> String>,
}

/// An edge by name.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) role: Role,
    pub(crate) to: String,
    /// Another home than the target's own.
    pub(crate) home: Option<GenesisHash>,
}

/// A node before it is encoded.
#[derive(Clone)]
pub(crate) struct NodeSpec {
    pub(crate) name: String,
    /// Home, nonce, details and edges are filled in by the build.
    pub(crate) core: Core,
    pub(crate) links: Vec<Link>,
    /// Details by the name of their slot.
    pub(crate) values: BTreeMap<&'static str, Value>,
    /// Slots that the bundle opens.
    pub(crate) open: Vec<&'static str>,
    /// Files: they make the details `manifest` and `content`, both opened.
    pub(crate) files: Vec<FileRecord>,
    pub(crate) assess: Option<AssessSpec>,
    /// Of an assessment: another one, the same payload of which it has.
    pub(crate) copies: Option<&'static str>,
    /// Of a status: the assessor whose own signed mark it carries.
    pub(crate) marked_by: Option<&'static str>,
    /// Changes the finished core, unchecked.
    pub(crate) edit: Option<fn(&mut Core)>,
    /// Changes the finished bytes.
    pub(crate) bytes_edit: Option<fn(Vec<u8>) -> Vec<u8>>,
}

/// An assessment before it is signed.
#[derive(Clone)]
pub(crate) struct AssessSpec {
    /// Subjects and their root are filled in by the build.
    pub(crate) assessment: Assessment,
    /// Names of the subjects.
    pub(crate) subjects: Vec<String>,
    /// Name of the key that signs; `None` for an assessment that the committer states.
    pub(crate) signer: Option<&'static str>,
    /// Changes the signed object.
    pub(crate) edit: Option<fn(Vec<u8>) -> Vec<u8>>,
    /// Signs for this log instead of its own.
    pub(crate) home: Option<GenesisHash>,
}

/// The first 32 bytes of everything that belongs to a name.
pub(crate) fn seed(name: &str) -> [u8; 32] {
    *file_digest(name.as_bytes()).as_bytes()
}

/// The key of a name. Names that begin with `bureau` have P-256 keys, all others Ed25519.
pub(crate) fn key(name: &str) -> SecretKey {
    let algorithm = if name.starts_with("bureau") { Algorithm::P256 } else { Algorithm::Ed25519 };
    SecretKey::from_bytes(algorithm, &seed(name)).expect("the seed makes a key")
}

/// A key of a witness, named by it and a kind: `w1`, `w1/ml-dsa` and `w1/map` are three keys of `w1.example`.
pub(crate) fn cosigner(name: &str) -> Cosigner {
    let (witness, kind) = name.split_once('/').unwrap_or((name, ""));
    let make = match kind {
        "" => Cosigner::new,
        "ml-dsa" => Cosigner::subtree,
        "map" => Cosigner::status_map,
        other => panic!("there is no kind {other:?}"),
    };
    make(&format!("{witness}.example"), &seed(name)).expect("it is a name")
}

pub(crate) fn word(text: &str) -> Word {
    Word::parse(text).expect("it is a word")
}

pub(crate) fn words(texts: &[&str]) -> Vec<Word> {
    texts.iter().map(|text| word(text)).collect()
}

pub(crate) fn country(text: &str) -> Country {
    Country::parse(text).expect("it is a country")
}

pub(crate) fn date(text: &str) -> Date {
    Date::parse(text).expect("it is a day")
}

/// Noon of a day, as Unix time.
pub(crate) fn noon(text: &str) -> u64 {
    u64::from(date(text).days()) * DAY_SECONDS + DAY_SECONDS / 2
}

/// The id of a node that exists nowhere.
pub(crate) fn nowhere(name: &str) -> NodeId {
    NodeId::new(NODE.hash(name.as_bytes()))
}

/// A file of a manifest.
pub(crate) fn file(path: &str, content: &[u8]) -> FileRecord {
    let size = u64::try_from(content.len()).expect("it is small");
    FileRecord { path: path.into(), size, blake3: file_digest(content), sha256: None }
}

impl Link {
    pub(crate) fn new(role: Role, to: &str) -> Self {
        Self { role, to: to.into(), home: None }
    }
}

impl NodeSpec {
    fn new(kind: Kind, name: &str) -> Self {
        let core = Core::new(kind, GenesisHash::new(Digest::ZERO), [0; 16], Digest::ZERO);
        Self {
            name: name.into(),
            core,
            links: Vec::new(),
            values: BTreeMap::from([("name", Value::text(name))]),
            open: vec!["name"],
            files: Vec::new(),
            assess: None,
            copies: None,
            marked_by: None,
            edit: None,
            bytes_edit: None,
        }
    }

    /// A source.
    pub(crate) fn source(name: &str, country_code: &str, modality: &str, grade: &str) -> Self {
        let mut node = Self::dataset(name, country_code, &[modality], Origin::Collected);
        node.core.grade = Some(word(grade));
        node.core.use_allowed = Some(true);
        node.core.persons = Some(Persons::NoneFound);
        node
    }

    /// A data set; a derived one still needs the link to its step.
    pub(crate) fn dataset(name: &str, country_code: &str, modality: &[&str], origin: Origin) -> Self {
        let mut node = Self::new(Kind::Dataset, name);
        node.core.origin = Some(origin);
        node.core.held = Some(Held::Here);
        node.core.strength = Some(DigestStrength::Strong);
        node.core.country = Some(country(country_code));
        node.core.modality = words(modality);
        node.core.purpose = words(&["grasp"]);
        node
    }

    /// A step.
    pub(crate) fn step(
        name: &str,
        activity: griptrace_core::node::Activity,
        place: (&str, &str),
        used: &[&str],
    ) -> Self {
        let mut node = Self::new(Kind::Transformation, name);
        node.core.activity = Some(activity);
        node.core.country = Some(country(place.0));
        node.core.date = Some(date(place.1));
        node.links = used.iter().map(|name| Link::new(Role::Used, name)).collect();
        node
    }

    /// A model.
    pub(crate) fn model(name: &str, country_code: &str) -> Self {
        let mut node = Self::new(Kind::Model, name);
        node.core.strength = Some(DigestStrength::Strong);
        node.core.country = Some(country(country_code));
        node.core.purpose = words(&["grasp"]);
        node
    }

    /// A shipment.
    pub(crate) fn shipment(name: &str, to: &str, on: &str, models: &[&str]) -> Self {
        let mut node = Self::new(Kind::Shipment, name);
        node.core.country = Some(country(to));
        node.core.date = Some(date(on));
        node.core.purpose = words(&["grasp"]);
        node.links = models.iter().map(|name| Link::new(Role::Ships, name)).collect();
        node.values.insert("consignee", Value::text("Muster GmbH"));
        node.open.push("consignee");
        node
    }

    /// An assessment of `subjects` by `signer`, for shipment to DE.
    pub(crate) fn assessment(name: &str, signer: Option<&'static str>, subjects: &[&str], modality: &[&str]) -> Self {
        let mut node = Self::new(Kind::Assessment, name);
        node.assess = Some(AssessSpec {
            assessment: Assessment {
                scheme: word("security-assessment"),
                outcome: Outcome::Passed,
                grade: word("important"),
                purposes: words(&["grasp"]),
                modalities: words(modality),
                streams: Vec::new(),
                issued: date("2026-04-18"),
                valid_from: date("2026-04-18"),
                valid_to: Some(date("2028-04-17")),
                destinations: Destinations::Only(vec![country("DE")]),
                subjects: 1,
                subjects_root: Digest::ZERO,
            },
            subjects: subjects.iter().map(|name| (*name).into()).collect(),
            signer,
            edit: None,
            home: None,
        });
        node
    }

    /// A status that marks `target`.
    pub(crate) fn status(name: &str, mark: Mark, target: &str, on: &str) -> Self {
        let mut node = Self::new(Kind::Status, name);
        node.core.mark = Some(mark);
        node.core.date = Some(date(on));
        node.links = vec![Link::new(Role::Marks, target)];
        node
    }

    /// Adds the link to the step that made it.
    pub(crate) fn by(mut self, step: &str) -> Self {
        self.links.push(Link::new(Role::GeneratedBy, step));
        self
    }

    /// Adds a successor to a status.
    pub(crate) fn successor(mut self, name: &str) -> Self {
        self.links.push(Link::new(Role::Successor, name));
        self
    }

    /// States a grade.
    pub(crate) fn graded(mut self, grade: &str) -> Self {
        self.core.grade = Some(word(grade));
        self
    }

    /// Returns what an assessor would sign.
    pub(crate) fn terms(&mut self) -> &mut Assessment {
        &mut self.assess.as_mut().expect("it is an assessment").assessment
    }

    /// Returns the assessment's other parts.
    pub(crate) fn assessing(&mut self) -> &mut AssessSpec {
        self.assess.as_mut().expect("it is an assessment")
    }
}

impl World {
    /// Returns a node to change.
    pub(crate) fn node(&mut self, name: &str) -> &mut NodeSpec {
        self.nodes.iter_mut().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Returns the place of a node.
    pub(crate) fn place(&self, name: &str) -> usize {
        self.nodes.iter().position(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Puts a node before another, into the same commit.
    pub(crate) fn insert_before(&mut self, name: &str, node: NodeSpec) {
        self.commit_of(name).nodes.push(node.name.clone());
        let place = self.place(name);
        self.nodes.insert(place, node);
    }

    /// Returns the commit that has a node.
    pub(crate) fn commit_of(&mut self, name: &str) -> &mut CommitSpec {
        let commits = self.logs.iter_mut().flat_map(|log| &mut log.steps).filter_map(|step| match step {
            Step::Commit(commit) => Some(commit),
            Step::Key(_) | Step::Head(_) => None,
        });
        let mut found = commits.filter(|commit| commit.nodes.iter().any(|node| node == name));
        found.next().unwrap_or_else(|| panic!("no commit has {name}"))
    }

    /// Returns the status heads of the first log.
    pub(crate) fn heads(&mut self) -> Vec<&mut HeadSpec> {
        self.heads_of(0)
    }

    /// Returns the status heads of a log.
    pub(crate) fn heads_of(&mut self, log: usize) -> Vec<&mut HeadSpec> {
        let steps = self.logs[log].steps.iter_mut();
        let heads = steps.filter_map(|step| match step {
            Step::Head(head) => Some(head),
            Step::Commit(_) | Step::Key(_) => None,
        });
        heads.collect()
    }

    /// Records nodes in a commit of their own before the `heads`-th status head of a log.
    pub(crate) fn record(&mut self, log: usize, before_head: usize, signer: &'static str, nodes: Vec<NodeSpec>) {
        let heads = self.logs[log].steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Head(_)));
        let places: Vec<usize> = heads.map(|(place, _)| place).collect();
        let place = places[before_head];
        let Step::Head(head) = &self.logs[log].steps[place] else { panic!("it is a head") };
        let time = head.time.saturating_sub(3_600);
        let names = nodes.iter().map(|node| node.name.clone()).collect();
        self.logs[log].steps.insert(place, Step::Commit(commit(signer, time, names)));
        self.nodes.extend(nodes);
    }

    /// Records a status before the `before_head`-th status head of the first log.
    pub(crate) fn mark(&mut self, before_head: usize, signer: &'static str, status: NodeSpec) {
        self.record(0, before_head, signer, vec![status]);
    }

    /// Takes a node out of the world altogether.
    pub(crate) fn remove(&mut self, name: &str) {
        self.commit_of(name).nodes.retain(|node| node != name);
        self.nodes.retain(|node| node.name != name);
        for log in &mut self.logs {
            log.steps.retain(|step| !matches!(step, Step::Commit(commit) if commit.nodes.is_empty()));
        }
    }
}

/// A commit before it is signed.
pub(crate) fn commit(signer: &'static str, time: u64, nodes: Vec<String>) -> CommitSpec {
    CommitSpec { nodes, time, signer, payload_edit: None, entry_edit: None }
}

/// An assessor's own signed mark.
pub(crate) fn signed_mark(signer: &str, key_of: StatusKey, mark: Mark, on: &str, home: GenesisHash) -> Vec<u8> {
    let mark = AssessorMark { key: key_of, mark, date: date(on) };
    cose::sign(&key(signer), MARK_TYPE, signer, &home, encode(&mark)).expect("a mark can be signed")
}

/// The status key of an assessment that was built.
pub(crate) fn status_key(built: &Built, name: &str) -> StatusKey {
    built
        .payloads
        .get(name)
        .map_or_else(|| StatusKey::of_node(built.id(name)), |payload| status_key_of_payload(payload))
}
