//! The lineage that a bundle shows, as the exports read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use griptrace_core::{
    bundle::{Bundle, BundleError, bundle_digest},
    details::{read_value, slot_name},
    digest::Digest,
    entry::{Entry, genesis_hash},
    id::{GenesisHash, KeyId, NodeId},
    manifest::FileRecord,
    node::{Core, Edge, Kind, Mark, Role, node_id},
    value::Value,
    word::Word,
};
use griptrace_verifier::{finding::Finding, known::Known, trust::Trust, verify::holds_together};
use serde_json::{Value as Json, json};

use crate::{
    assessment::{Words, read_words},
    text::sha256,
};

/// What a bundle shows, after its evidence was found to hold together.
#[derive(Clone, PartialEq, Debug)]
pub struct Lineage {
    /// The digest that reports name the bundle by.
    pub digest: Digest,
    /// The SHA-256 of its file.
    pub sha256: Digest,
    /// The nodes, in the bundle's order.
    pub nodes: Vec<Node>,
    root: usize,
    places: BTreeMap<NodeId, usize>,
    /// Places of what each step generated, and of the statuses that mark each node.
    generated: BTreeMap<NodeId, Vec<usize>>,
    marks: BTreeMap<NodeId, Vec<usize>>,
    /// What each assessment says, and whose word it is.
    words: BTreeMap<NodeId, Words>,
}

/// A node, and what is disclosed of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its core.
    pub core: Core,
    /// The opened details, by name or number of the slot.
    pub details: BTreeMap<String, Value>,
    /// All files of it, if its manifest is opened.
    pub files: Option<Vec<FileRecord>>,
    /// The commit that it stands in.
    pub commit: Commit,
    /// Places of the assessments that open it.
    pub assessed_by: Vec<usize>,
}

/// The commit of a node: who signed it, and where it is in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// The log's origin.
    pub origin: String,
    /// The log's genesis.
    pub home: GenesisHash,
    /// The leaf index.
    pub index: u64,
    /// The key that signed.
    pub key: KeyId,
    /// Who its owner says to be.
    pub issuer: String,
    /// When, as the committer says: Unix time in seconds.
    pub time: u64,
}

/// Why a bundle is not exported.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum LineageError {
    /// It can't be read.
    Bundle(BundleError),
    /// Its evidence does not hold together under the trust file.
    Broken(Box<Finding>),
    /// It holds together, and yet a part of it can't be read again.
    Part(&'static str),
}

impl fmt::Display for LineageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(error) => write!(f, "{error}"),
            Self::Broken(finding) => write!(f, "{}: {}", finding.code, finding.text),
            Self::Part(what) => write!(f, "{what} of the bundle can't be read"),
        }
    }
}

impl core::error::Error for LineageError {}

impl Lineage {
    /// Reads a bundle, whose evidence has to hold together under `trust` (steps 1 to 10 of docs/spec/verify.md). Assessors'
    /// own withdrawals, of the trust file and of what is `known`, mark what they withdraw.
    ///
    /// # Errors
    /// [`LineageError`].
    pub fn read(file: &[u8], trust: &Trust, known: &Known) -> Result<Self, LineageError> {
        let bundle = Bundle::from_bytes(file).map_err(LineageError::Bundle)?;
        holds_together(file, trust, known).map_err(|finding| LineageError::Broken(Box::new(finding)))?;
        let mut nodes = read_nodes(&bundle)?;
        open_details(&bundle, &mut nodes)?;
        open_subjects(&bundle, &mut nodes)?;
        let root = place(bundle.root)?;
        let places = nodes.iter().enumerate().map(|(place, node)| (node.id, place)).collect();
        nodes.get(root).ok_or(LineageError::Part("the root"))?;
        let (generated, marks) = (back(&nodes, Role::GeneratedBy), back(&nodes, Role::Marks));
        let words = read_words(&nodes, trust, known);
        Ok(Self { digest: bundle_digest(file), sha256: sha256(file), nodes, root, places, generated, marks, words })
    }

    /// Returns the shipment or, in a pre-check, the model.
    ///
    /// # Panics
    /// Never: reading made sure that it is there.
    pub fn root(&self) -> &Node {
        self.nodes.get(self.root).expect("reading it made sure that the root is there")
    }

    /// Returns what ships; in a pre-check, the model.
    pub fn models(&self) -> Vec<&Node> {
        let root = self.root();
        if root.core.kind == Kind::Shipment { self.leads(root, Role::Ships).0 } else { vec![root] }
    }

    /// Returns the nodes that edges of a role lead to, and the edges that lead to no node of the bundle.
    pub fn leads<'a>(&'a self, from: &'a Node, role: Role) -> (Vec<&'a Node>, Vec<&'a Edge>) {
        let mut found = (Vec::new(), Vec::new());
        for edge in from.core.edges_of(role) {
            match self.node(&edge.to) {
                Some(node) => found.0.push(node),
                None => found.1.push(edge),
            }
        }
        found
    }

    /// Returns the step that generated a node.
    pub fn made_by<'a>(&'a self, node: &'a Node) -> Option<&'a Node> {
        self.leads(node, Role::GeneratedBy).0.first().copied()
    }

    /// Returns a node by its id.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(*self.places.get(id)?)
    }

    /// Returns the nodes of a kind, in the bundle's order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.core.kind == kind)
    }

    /// Returns the assessments that open a node.
    pub fn assessments<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        self.at(&node.assessed_by)
    }

    /// Returns what a step generated.
    pub fn generated<'a>(&'a self, step: &Node) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.at(self.generated.get(&step.id).map_or(&[], Vec::as_slice))
    }

    /// Returns the marks on a node, whoever made them, in words: the mark, the grade that a `reclassify` gives, the status;
    /// of an assessor's own withdrawal out of the trust file or an update, the day and by whom.
    pub(crate) fn mark_words(&self, node: &Node) -> Vec<String> {
        self.marks_on(node).into_iter().map(|(_, words)| words).collect()
    }

    fn marks_on(&self, node: &Node) -> Vec<(Mark, String)> {
        let words = |status: &Node| {
            let grade = status.core.grade.as_ref().map_or_else(String::new, |grade| format!(" to {grade}"));
            Some((status.core.mark?, format!("{}{grade} {}", status.core.mark?, status.id)))
        };
        let own = self.words.get(&node.id).into_iter().flat_map(|words| words.withdrawn.iter().cloned());
        self.marks(node).filter_map(words).chain(own).collect()
    }

    /// Returns what an assessment says, and whose word it is; `None` for what is no assessment.
    pub(crate) fn words(&self, node: &Node) -> Option<&Words> {
        self.words.get(&node.id)
    }

    /// Returns what stands behind nodes, and they themselves: what they were made of, the steps, and the assessments of any
    /// of these. In the bundle's order.
    pub(crate) fn behind<'a>(&'a self, nodes: impl IntoIterator<Item = &'a Node>) -> Vec<&'a Node> {
        let mut waiting: Vec<&Node> = nodes.into_iter().collect();
        let mut found: BTreeSet<usize> = BTreeSet::new();
        while let Some(node) = waiting.pop() {
            let Some(place) = self.places.get(&node.id) else { continue };
            if !found.insert(*place) {
                continue;
            }
            for role in [Role::GeneratedBy, Role::Used] {
                waiting.extend(self.leads(node, role).0);
            }
            waiting.extend(self.assessments(node));
        }
        found.into_iter().filter_map(|place| self.nodes.get(place)).collect()
    }

    /// Returns the marks on a node that nothing later hides, in words.
    pub(crate) fn final_marks(&self, node: &Node) -> Vec<String> {
        let marks = self.marks_on(node).into_iter();
        marks.filter(|(mark, _)| mark.is_terminal()).map(|(_, words)| words).collect()
    }

    /// Returns the statuses that mark a node, whoever made them.
    pub fn marks<'a>(&'a self, node: &Node) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.at(self.marks.get(&node.id).map_or(&[], Vec::as_slice))
    }

    fn at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a Node> {
        places.iter().filter_map(|place| self.nodes.get(*place))
    }
}

impl Node {
    /// Returns a detail that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.details.get(name)?.as_text()
    }

    /// Returns the name, if one is disclosed that can be seen.
    pub fn name(&self) -> Option<&str> {
        self.text("name").filter(|name| name.chars().any(|c| !c.is_whitespace() && !c.is_control()))
    }

    /// Returns the name, or the id where no name is disclosed.
    pub fn title(&self) -> String {
        self.name().map_or_else(|| self.id.to_string(), str::to_owned)
    }

    /// Tells whether neither name nor content is disclosed.
    pub fn is_hidden(&self) -> bool {
        self.name().is_none() && self.text("content").is_none()
    }

    /// Returns the plain digests of its one file, as digest sets name them; none where it has several, or hides them.
    pub fn plain_digests(&self) -> Vec<(&'static str, String)> {
        if let Some([file]) = self.files.as_deref() {
            return file_digests(file);
        }
        let content = self.text("content").and_then(|content| content.split_once(':'));
        match content {
            Some(("sha256", hex)) => vec![("sha256", hex.to_owned())],
            Some(("blake3", hex)) => vec![("blake3", hex.to_owned())],
            // A digest of ours over several files is none that another program could compute.
            Some(_) | None => Vec::new(),
        }
    }
}

/// Returns a detail as JSON; bytes as hexadecimal digits.
pub fn json_value(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Int(number) => json!(number),
        Value::Bytes(_) => json!(value.to_string()),
        Value::Bool(value) => json!(value),
        Value::List(items) => Json::Array(items.iter().map(json_value).collect()),
        Value::Map(pairs) => Json::Object(pairs.iter().map(|(key, item)| (key.clone(), json_value(item))).collect()),
    }
}

/// Returns the fields of a core that are there, by name.
pub fn core_fields(core: &Core) -> Vec<(&'static str, String)> {
    let list = |words: &[Word]| {
        Some(words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    };
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    let fields = [
        ("origin", core.origin.map(|v| v.to_string())),
        ("activity", core.activity.map(|v| v.to_string())),
        ("mark", core.mark.map(|v| v.to_string())),
        ("modality", list(&core.modality)),
        ("purpose", list(&core.purpose)),
        ("grade", core.grade.as_ref().map(ToString::to_string)),
        ("country", core.country.map(|v| v.to_string())),
        ("date", core.date.map(|v| v.to_string())),
        ("basis", core.basis.as_ref().map(ToString::to_string)),
        ("content-held", core.held.map(|v| v.to_string())),
        ("digest-strength", core.strength.map(|v| v.to_string())),
        ("use-allowed", core.use_allowed.map(yes)),
        ("in-scope", core.in_scope.map(yes)),
        ("persons", core.persons.map(|v| v.to_string())),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Returns the digests of a file that another program can compute: the algorithm, and hexadecimal digits.
pub(crate) fn file_digests(file: &FileRecord) -> Vec<(&'static str, String)> {
    let sha256 = file.sha256.map(|digest| ("sha256", digest.to_string()));
    sha256.into_iter().chain([("blake3", file.blake3.to_string())]).collect()
}

/// Returns by node from where edges of a role lead to it.
fn back(nodes: &[Node], role: Role) -> BTreeMap<NodeId, Vec<usize>> {
    let mut back: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
    for (place, node) in nodes.iter().enumerate() {
        node.core.edges_of(role).for_each(|edge| back.entry(edge.to).or_default().push(place));
    }
    back
}

fn place(number: u64) -> Result<usize, LineageError> {
    usize::try_from(number).map_err(|_| LineageError::Part("an ordinal"))
}

fn read_nodes(bundle: &Bundle) -> Result<Vec<Node>, LineageError> {
    let mut nodes = Vec::new();
    for log in &bundle.logs {
        let genesis = log.entries.first().map(|(_, bytes)| bytes).ok_or(LineageError::Part("the genesis"))?;
        let Ok(Entry::Genesis(begun)) = Entry::parse(genesis) else { return Err(LineageError::Part("the genesis")) };
        for part in &log.commits {
            let entry = log.entries.get(place(part.entry)?).ok_or(LineageError::Part("a commit"))?;
            let Ok(Entry::Commit(commit)) = Entry::parse(&entry.1) else { return Err(LineageError::Part("a commit")) };
            let commit = Commit {
                origin: begun.origin.clone(),
                home: genesis_hash(genesis),
                index: entry.0,
                key: commit.key(),
                issuer: commit.issuer().clone(),
                time: commit.payload.time,
            };
            for bytes in &part.cores {
                let core = Core::from_bytes(bytes).map_err(|_| LineageError::Part("a node"))?;
                nodes.push(Node {
                    id: node_id(bytes),
                    core,
                    details: BTreeMap::new(),
                    files: None,
                    commit: commit.clone(),
                    assessed_by: Vec::new(),
                });
            }
        }
    }
    Ok(nodes)
}

fn at(nodes: &mut [Node], ordinal: u64) -> Result<&mut Node, LineageError> {
    nodes.get_mut(place(ordinal)?).ok_or(LineageError::Part("an opened node"))
}

fn open_details(bundle: &Bundle, nodes: &mut [Node]) -> Result<(), LineageError> {
    for disclosure in &bundle.disclosures {
        let node = at(nodes, disclosure.node)?;
        for (slot, _, bytes) in &disclosure.opening.slots {
            let name = slot_name(node.core.kind, *slot).map_or_else(|| format!("slot-{slot}"), str::to_owned);
            let value = read_value(bytes).map_err(|_| LineageError::Part("a detail"))?;
            node.details.insert(name, value);
        }
    }
    for manifest in &bundle.manifests {
        at(nodes, manifest.node)?.files = Some(manifest.files.clone());
    }
    Ok(())
}

fn open_subjects(bundle: &Bundle, nodes: &mut [Node]) -> Result<(), LineageError> {
    for opening in &bundle.openings {
        for (_, subject, _) in &opening.subjects {
            at(nodes, *subject)?.assessed_by.push(place(opening.assessment)?);
        }
    }
    Ok(())
}
