//! SLSA provenance v1 of the steps that made models: who recorded it says what was used. No level is claimed.

use griptrace_core::{
    id::NodeId,
    manifest::FileRecord,
    node::{Edge, Kind, Role},
};
use serde_json::{Map, Value as Json, json};

use crate::{
    lineage::{Lineage, Node, file_digests, json_value},
    statement::{Subject, digest_set, statement},
    text::urn,
};

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// What a build of this type is: a recorded step, and nothing that could be run again.
pub(crate) const BUILD_TYPE: &str = "urn:griptrace:build-type:recorded-step:v1";

/// The provenance of a bundle's models, step by step.
#[derive(Clone, PartialEq, Debug)]
pub struct Provenance {
    /// A statement for each step that made a model whose files are known by a digest.
    pub statements: Vec<Json>,
    /// The models that a step made, and of which no statement can be made: no digest of a file is disclosed.
    pub left_out: Vec<NodeId>,
    /// What stands behind the models of the statements, and they themselves, with a mark that nothing later hides: kind, id,
    /// and the marks in words.
    pub void: Vec<(Kind, NodeId, Vec<String>)>,
}

/// Makes a statement for each step that made a model.
pub fn provenance(lineage: &Lineage) -> Provenance {
    let mut made = Provenance { statements: Vec::new(), left_out: Vec::new(), void: Vec::new() };
    let mut stated = Vec::new();
    for step in lineage.of_kind(Kind::Transformation) {
        let mut subjects = Vec::new();
        for model in lineage.generated(step).filter(|node| node.core.kind == Kind::Model) {
            match files(model) {
                Some(files) => {
                    subjects.extend(files);
                    stated.push(model);
                }
                None => made.left_out.push(model.id),
            }
        }
        if !subjects.is_empty() {
            made.statements.push(statement(&subjects, PROVENANCE, &predicate(lineage, step)));
        }
    }
    let void = |node: &&Node| !lineage.final_marks(node).is_empty();
    let behind = lineage.behind(stated).into_iter().filter(void);
    made.void = behind.map(|node| (node.core.kind, node.id, lineage.final_marks(node))).collect();
    made
}

/// Returns the files of a model with their digests, if all are known by one.
fn files(model: &Node) -> Option<Vec<Subject>> {
    if let Some(files) = &model.files {
        return Some(files.iter().map(file_subject).collect());
    }
    let digests = model.plain_digests();
    (!digests.is_empty()).then(|| vec![Subject { name: model.title(), digests }])
}

/// Returns a file as what a statement is about.
pub(crate) fn file_subject(file: &FileRecord) -> Subject {
    Subject { name: String::from_utf8_lossy(&file.path).into_owned(), digests: file_digests(file) }
}

fn predicate(lineage: &Lineage, step: &Node) -> Json {
    let (used, unresolved) = lineage.leads(step, Role::Used);
    let dependencies =
        used.into_iter().map(|used| dependency(lineage, used)).chain(unresolved.into_iter().map(foreign));
    let mut external = Map::new();
    external.insert("step".into(), json!(urn("node", step.id)));
    let core = &step.core;
    let fields = [
        ("activity", core.activity.map(|activity| activity.to_string())),
        ("country", core.country.map(|country| country.to_string())),
        ("date", core.date.map(|date| date.to_string())),
    ];
    external.extend(fields.into_iter().filter_map(|(name, value)| Some((name.into(), json!(value?)))));
    let details = step.details.iter().map(|(name, value)| (name.clone(), json_value(value)));
    external.insert("disclosed".into(), Json::Object(details.collect()));
    let models = lineage.generated(step).filter(|node| node.core.kind == Kind::Model);
    // Of all that stands behind them: the statements of other steps may be read by nobody.
    let behind = lineage.behind([step].into_iter().chain(models));
    let marked: Map<String, Json> = behind.into_iter().filter_map(|node| marked(lineage, node)).collect();
    if !marked.is_empty() {
        external.insert("marks".into(), Json::Object(marked));
    }
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": external,
            "resolvedDependencies": dependencies.collect::<Vec<_>>(),
        },
        "runDetails": {
            // Who recorded the step: nobody else says that it ran so.
            "builder": { "id": urn("key", step.commit.key) },
            "metadata": { "invocationId": urn("node", step.id) },
        },
    })
}

/// Returns the marks on a node by its name, whoever made them: which of them count, a verdict says.
fn marked(lineage: &Lineage, node: &Node) -> Option<(String, Json)> {
    let marks = lineage.mark_words(node);
    (!marks.is_empty()).then(|| (urn("node", node.id), json!(marks)))
}

fn dependency(lineage: &Lineage, node: &Node) -> Json {
    let mut object = Map::new();
    object.insert("uri".into(), json!(urn("node", node.id)));
    object.extend(node.name().map(|name| ("name".to_owned(), json!(name))));
    let digests = node.plain_digests();
    if !digests.is_empty() {
        object.insert("digest".into(), digest_set(&digests));
    }
    let mut notes = Map::new();
    notes.insert("kind".into(), json!(node.core.kind.word()));
    notes.extend(node.text("content").map(|content| ("content".to_owned(), json!(content))));
    notes.extend(node.core.grade.as_ref().map(|grade| ("grade".to_owned(), json!(grade.as_str()))));
    notes.extend(marked(lineage, node).map(|(_, marks)| ("marks".to_owned(), marks)));
    object.insert("annotations".into(), Json::Object(notes));
    Json::Object(object)
}

/// Another company's node that the bundle does not hold.
fn foreign(edge: &Edge) -> Json {
    let home = edge.home.map(|home| urn("log", home));
    json!({ "uri": urn("node", edge.to), "annotations": { "unresolved": true, "log": home } })
}
