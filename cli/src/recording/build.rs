//! From what people wrote down to nodes: hash, resolve names, link, look up what is known (R10).

use griptrace_core::{
    details::{Values, slot},
    digest::Digest,
    id::{GenesisHash, NodeId},
    manifest::FileRecord,
    node::{Core, DigestStrength, Edge, Held, Kind, Role},
    value::Value,
};
use griptrace_store::{
    hashing::Hashed,
    record::{ManifestRecord, NodeRecord, Secret, SubjectsRecord},
};

use super::{
    RecordedNode, erased,
    lineage::{Artefact, Content, Lineage, Step},
};
use crate::{
    clock,
    error::CommandError,
    foreign, keyfile,
    output::Output,
    resolve::{content_text, hash, resolve_kind},
    view::{headline, short},
    workspace::{Workspace, detail},
};

/// What is recorded or found as one: a source, or a step with all its outputs (Rule R10).
#[derive(Debug)]
pub(crate) struct Unit {
    /// Its nodes, recorded earlier or to be recorded.
    pub(crate) nodes: Vec<RecordedNode>,
    /// What is to be committed; empty if it was recorded already.
    pub(crate) records: Vec<NodeRecord>,
}

/// Makes a node, with a fresh nonce, seed and salts.
pub(crate) fn make(
    core: Core,
    values: Values,
    manifest: Option<ManifestRecord>,
    subjects: Option<SubjectsRecord>,
) -> Result<NodeRecord, CommandError> {
    let mut failed = None;
    let mut random = |bytes: &mut [u8]| failed = failed.take().or(keyfile::fill(bytes).err());
    let kind = core.kind;
    let record = NodeRecord::build(core, values, manifest, subjects, &mut random);
    if let Some(error) = failed {
        return Err(error);
    }
    record.map_err(|e| CommandError::because(format!("cannot make the {kind}"), e))
}

/// Returns the id of a node that is not committed yet.
pub(crate) fn id_of(record: &NodeRecord) -> NodeId {
    record.id()
}

/// Reads the core of a node that is not committed yet.
pub(crate) fn core_of(record: &NodeRecord) -> Result<Core, CommandError> {
    record.core().map_err(|e| CommandError::because("a node is malformed", e))
}

/// Makes all units of a file: everything is hashed before anything is committed.
pub(crate) fn units(workspace: &Workspace, output: &Output, lineage: &Lineage) -> Result<Vec<Unit>, CommandError> {
    let mut builder = Builder { workspace, output, named: Vec::new(), units: Vec::new() };
    for source in &lineage.sources {
        builder.source(source)?;
    }
    let mut waiting: Vec<&Step> = lineage.steps.iter().collect();
    while !waiting.is_empty() {
        let (ready, later): (Vec<&Step>, Vec<&Step>) =
            waiting.iter().partition(|step| !step.used.iter().any(|(text, _)| made_by(&waiting, text)));
        if let ([], Some(step)) = (ready.as_slice(), later.first()) {
            let (place, circle) = (&step.place, circle(&waiting, step).join(", "));
            return Err(CommandError::failed(format!(
                "{place}: the steps of this file use each other in a circle: {circle}"
            )));
        }
        for step in ready {
            builder.step(step)?;
        }
        waiting = later;
    }
    let named = builder.units.iter().flat_map(|unit| unit.records.iter().zip(&unit.nodes));
    let named: Vec<(&NodeRecord, &str)> = named.map(|(record, node)| (record, node.name.as_str())).collect();
    erased::refuse(workspace, output, &named)?;
    Ok(builder.units)
}

/// Returns the steps of a circle that a step is in, or waits for, each with what it uses of the one that follows.
fn circle(steps: &[&Step], first: &Step) -> Vec<String> {
    let mut way: Vec<(&Step, &str)> = Vec::new();
    let mut at = first;
    loop {
        if let Some(begin) = way.iter().position(|(step, _)| core::ptr::eq(*step, at)) {
            let name =
                |step: &Step| step.name.clone().unwrap_or_else(|| format!("{} of {}", step.activity, step.place));
            return way.iter().skip(begin).map(|(step, used)| format!("{:?} uses {used:?}", name(step))).collect();
        }
        let made = |text: &str| steps.iter().find(|step| made_by(&[step], text)).copied();
        let Some((next, used)) = at.used.iter().find_map(|(text, _)| Some((made(text)?, text.as_str()))) else {
            return Vec::new();
        };
        way.push((at, used));
        at = next;
    }
}

/// Tells whether one of `steps` makes what `text` names.
fn made_by(steps: &[&Step], text: &str) -> bool {
    steps.iter().flat_map(|step| &step.generated).any(|artefact| means(text, artefact.kind, &artefact.name))
}

/// Tells whether a reference can mean an artefact.
fn means(text: &str, kind: Kind, name: &str) -> bool {
    text == name || text.split_once(':') == Some((kind.word(), name))
}

/// What a step can use.
const USABLE: &[Kind] = &[Kind::Dataset, Kind::Model];

struct Builder<'a> {
    workspace: &'a Workspace,
    output: &'a Output,
    named: Vec<RecordedNode>,
    units: Vec<Unit>,
}

impl Builder<'_> {
    fn source(&mut self, artefact: &Artefact) -> Result<(), CommandError> {
        let record = self.artefact(artefact, None)?;
        self.add(vec![(record, artefact.name.clone())])
    }

    fn step(&mut self, step: &Step) -> Result<(), CommandError> {
        if let Some(date) = step.date.filter(|date| *date > clock::today()) {
            let (place, today) = (&step.place, clock::today());
            return Err(CommandError::failed(format!(
                "{place}: the step's date {date} is in the future: today is {today} in UTC"
            )));
        }
        let mut core = Core::new(Kind::Transformation, self.workspace.home(), [0; 16], Digest::ZERO);
        for (text, place) in &step.used {
            core.edges.push(self.reference(text, place)?);
        }
        core.edges.sort();
        core.edges.dedup();
        core.activity = Some(step.activity);
        core.country = step.country;
        core.date = step.date;
        core.basis.clone_from(&step.basis);
        core.purpose.clone_from(&step.purpose);
        let mut details = step.details.clone();
        if let Some(name) = &step.name {
            details.set("name", Value::text(name));
        }
        let record = at(&step.place, make(core, details.values(), None, None))?;
        let parent = id_of(&record);
        let name = step.name.clone().unwrap_or_else(|| step.activity.to_string());
        let mut records = vec![(record, name)];
        for artefact in &step.generated {
            records.push((self.artefact(artefact, Some(parent))?, artefact.name.clone()));
        }
        self.add(records)
    }

    /// Finds what a step used: in this file first, then among other companies' nodes and in the store.
    fn reference(&self, text: &str, place: &str) -> Result<Edge, CommandError> {
        let things = |node: &&RecordedNode| matches!(node.kind, Kind::Dataset | Kind::Model);
        let found: Vec<&RecordedNode> =
            self.named.iter().filter(things).filter(|node| means(text, node.kind, &node.name)).collect();
        match found.as_slice() {
            [one] => Ok(Edge::local(Role::Used, one.id)),
            [] => {
                if let Some(node) = at(place, foreign::find(self.workspace, text, USABLE))? {
                    return Ok(foreign::edge(Role::Used, &node));
                }
                let found = resolve_kind(self.workspace, self.output, text, USABLE);
                let id = at(place, found)?;
                at(place, refuse_ended(self.workspace, &id))?;
                Ok(Edge::local(Role::Used, id))
            }
            _ => Err(CommandError::failed(format!("{place}: {text:?} is a data set and a model of this file"))
                .with_hint(format!("write \"dataset:{text}\" or \"model:{text}\""))),
        }
    }

    fn artefact(&self, artefact: &Artefact, parent: Option<NodeId>) -> Result<NodeRecord, CommandError> {
        let hashed = match &artefact.content {
            Content::Path(path) => Some(at(
                &artefact.content_place,
                hash(self.workspace, self.output, path, artefact.kind == Kind::Model),
            )?),
            Content::Strong(_) | Content::Weak(_) | Content::Unknown => None,
        };
        at(&artefact.place, artefact_record(self.workspace.home(), artefact, hashed, parent))
    }

    /// Adds a unit, under its old ids if it was recorded already.
    fn add(&mut self, unit: Vec<(NodeRecord, String)>) -> Result<(), CommandError> {
        let (records, names): (Vec<NodeRecord>, Vec<String>) = unit.into_iter().unzip();
        let known = self
            .workspace
            .store
            .find_recorded(&records)
            .map_err(|e| e.while_doing("cannot look up what was recorded"))?;
        let already = known.is_some();
        if !already {
            for (record, name) in records.iter().zip(&names) {
                self.warn_of_marked(record, name)?;
            }
        }
        let ids = known.unwrap_or_else(|| records.iter().map(id_of).collect());
        let mut nodes = Vec::new();
        for ((record, name), id) in records.iter().zip(names).zip(ids) {
            nodes.push(RecordedNode { id, kind: core_of(record)?.kind, name, already });
        }
        self.named.extend(nodes.iter().cloned());
        self.units.push(Unit { nodes, records: if already { Vec::new() } else { records } });
        Ok(())
    }
}

impl Builder<'_> {
    /// Warns of a node that was recorded before, and marked since or recorded with a key that did not count: it is recorded
    /// anew (Rule R10).
    fn warn_of_marked(&self, record: &NodeRecord, name: &str) -> Result<(), CommandError> {
        let core = core_of(record)?;
        let content = |record: &NodeRecord| record.values.get(&slot(core.kind, "content")?).cloned();
        let found = self
            .workspace
            .store
            .by_name(name)
            .map_err(|e| e.while_doing(format!("cannot look up the name {name:?}")))?;
        for id in found.iter().rev() {
            let node = self.workspace.node(id)?;
            let same = node.core.kind == core.kind
                && node.core.activity == core.activity
                && (core.kind != Kind::Transformation || node.core.edges == core.edges)
                && content(&node.record) == content(record);
            if !same {
                continue;
            }
            let ended = self.workspace.ended_before(&node).map(|_| " with a key that did not count there");
            let marked = self.workspace.status_aside(id)?.map(|(mark, status)| {
                let reason = detail(&status, "reason").map_or_else(String::new, |reason| format!(" ({reason})"));
                format!(" and has the mark {mark}{reason}")
            });
            if ended.is_none() && marked.is_none() {
                continue;
            }
            let (ended, marked) = (ended.unwrap_or_default(), marked.unwrap_or_default());
            let id = short(id);
            self.output.warn(format_args!("{name} was recorded before as {id}{ended}{marked}: this is a new record"));
            return Ok(());
        }
        Ok(())
    }
}

/// Refuses to build on a node that counts for nobody.
fn refuse_ended(workspace: &Workspace, id: &NodeId) -> Result<(), CommandError> {
    let node = workspace.node(id)?;
    let Some(since) = workspace.ended_before(&node) else { return Ok(()) };
    let text = format!("{}: the key that recorded it does not count from leaf {since} on", headline(&node));
    Err(CommandError::failed(text).with_hint("record it again first: nobody believes what is built on it"))
}

fn at<T>(place: &str, result: Result<T, CommandError>) -> Result<T, CommandError> {
    result.map_err(|error| error.while_doing(format!("{place}: cannot record this")))
}

/// Makes the node of an artefact from what was hashed, if anything was.
fn artefact_record(
    home: GenesisHash,
    artefact: &Artefact,
    hashed: Option<Hashed>,
    parent: Option<NodeId>,
) -> Result<NodeRecord, CommandError> {
    let mut core = Core::new(artefact.kind, home, [0; 16], Digest::ZERO);
    core.edges = parent.map(|id| Edge::local(Role::GeneratedBy, id)).into_iter().collect();
    core.purpose.clone_from(&artefact.purpose);
    core.grade.clone_from(&artefact.grade);
    core.country = artefact.country;
    core.use_allowed = artefact.details.use_allowed;
    core.strength = Some(match &artefact.content {
        Content::Path(_) | Content::Strong(_) => DigestStrength::Strong,
        Content::Weak(_) => DigestStrength::Weak,
        Content::Unknown => DigestStrength::None,
    });
    if artefact.kind == Kind::Dataset {
        core.modality.clone_from(&artefact.modality);
        core.origin = artefact.origin;
        core.held = Some(artefact.held.unwrap_or(Held::Here));
        core.in_scope = artefact.in_scope;
        core.persons = artefact.persons();
    }
    let mut details = artefact.details.clone();
    details.set("name", Value::text(&artefact.name));
    match &artefact.content {
        Content::Strong(digest) => details.set("content", Value::text(digest)),
        Content::Weak(digest) => details.set("weak-digests", Value::text(digest)),
        Content::Path(_) | Content::Unknown => {}
    }
    let mut manifest = None;
    if let Some(hashed) = hashed {
        details.set("content", Value::text(content_text(&hashed)));
        let made = new_manifest(hashed.files)?;
        details.set("manifest", manifest_value(&made));
        manifest = Some(made);
    }
    make(core, details.values(), manifest, None)
}

fn new_manifest(files: Vec<FileRecord>) -> Result<ManifestRecord, CommandError> {
    let mut seed = [0; 32];
    keyfile::fill(&mut seed)?;
    Ok(ManifestRecord { secret: Secret::Seed(seed), files })
}

/// The detail that binds a manifest: its root, and how many files and bytes there are.
fn manifest_value(manifest: &ManifestRecord) -> Value {
    let root = manifest.root().unwrap_or(Digest::ZERO);
    let bytes = manifest.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    let int = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let files = u64::try_from(manifest.files.len()).unwrap_or(u64::MAX);
    Value::map(vec![
        ("root".to_owned(), Value::Bytes(root.as_bytes().to_vec())),
        ("files".to_owned(), int(files)),
        ("bytes".to_owned(), int(bytes)),
    ])
}
