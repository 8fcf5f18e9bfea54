//! The lineage as a CycloneDX 1.6 ML-BOM: models and data with what they were made of, and, in `compositions`, how
//! complete each of these relations is.
//!
//! `complete` stands where hashes prove it: what a step used is named inside the node that it generated. It is said of
//! one relation and never of what lies behind it, as CycloneDX has it.

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    manifest::FileRecord,
    node::{Core, Kind, Origin, Role},
    value::Value,
};
use serde_json::{Map, Value as Json, json};

use crate::{
    lineage::{Lineage, Node, core_fields, file_digests},
    text::urn,
};

/// How complete a relation is said to be (`compositions[].aggregate`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Aggregate {
    /// There is nothing more.
    Complete,
    /// There is more, and it is not here.
    Incomplete,
    /// Nobody says.
    Unknown,
}

impl Aggregate {
    const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Unknown => "unknown",
        }
    }
}

/// Tells whether a file is a BOM that was made here.
pub fn is_bom(file: &[u8]) -> bool {
    let bom: Json = serde_json::from_slice(file).unwrap_or_default();
    bom["bomFormat"] == "CycloneDX" && bom["metadata"]["tools"]["components"][0]["name"] == "griptrace"
}

/// Makes the BOM.
pub fn bom(lineage: &Lineage) -> Json {
    let parts: Vec<&Node> = parts(lineage);
    let models = lineage.models();
    // A shipment is no component: where it holds one model, the BOM is of that one.
    let product = match models.as_slice() {
        [model] => Some(*model),
        _ => None,
    };
    let others = parts.iter().filter(|part| product.is_none_or(|product| product.id != part.id));
    let mut metadata = Map::new();
    let tool = json!({ "type": "application", "name": "griptrace", "version": env!("CARGO_PKG_VERSION") });
    metadata.insert("tools".into(), json!({ "components": [tool] }));
    metadata.extend(product.map(|product| ("component".to_owned(), component(lineage, product))));
    metadata.insert("properties".into(), about(lineage, &parts));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(lineage),
        "version": 1,
        "metadata": metadata,
        "components": others.map(|part| component(lineage, part)).collect::<Vec<_>>(),
        "dependencies": parts.iter().map(|part| dependencies(lineage, part)).collect::<Vec<_>>(),
        "compositions": compositions(lineage, &parts),
    })
}

/// Returns the models and data sets.
fn parts(lineage: &Lineage) -> Vec<&Node> {
    let is_part = |node: &&Node| matches!(node.core.kind, Kind::Dataset | Kind::Model);
    lineage.nodes.iter().filter(is_part).collect()
}

/// Returns a UUID of version 8 (RFC 9562, 5.8) from the bundle's digest: the same bundle, the same BOM.
fn serial_number(lineage: &Lineage) -> String {
    let hex = lineage.digest.to_string();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

fn about(lineage: &Lineage, parts: &[&Node]) -> Json {
    let root = lineage.root();
    let count = |has: &dyn Fn(&Node) -> bool| parts.iter().filter(|part| has(part)).count();
    let mut properties = vec![
        property("bundle", lineage.digest.to_string()),
        property("evidence", "holds together under the trust file that this was made with; nothing was judged"),
        property("root", format!("{} {}", root.core.kind, root.id)),
        property("sources", count(&is_source).to_string()),
        property("hidden", count(&|part| part.is_hidden()).to_string()),
        property("upstream-unknown", count(&|part| made_of(lineage, part) == Aggregate::Unknown).to_string()),
        property("upstream-missing", count(&|part| made_of(lineage, part) == Aggregate::Incomplete).to_string()),
    ];
    if root.core.kind == Kind::Shipment {
        properties.extend(core_properties(&root.core));
        properties
            .extend(root.details.iter().map(|(name, value)| property(&format!("detail:{name}"), value.to_string())));
        properties.extend(marks(lineage, root));
    }
    Json::Array(properties)
}

fn is_source(node: &Node) -> bool {
    matches!(node.core.origin, Some(Origin::Collected | Origin::External))
}

fn property(name: &str, value: impl Into<String>) -> Json {
    json!({ "name": format!("griptrace:{name}"), "value": value.into() })
}

fn component(lineage: &Lineage, node: &Node) -> Json {
    let mut object = Map::new();
    let is_model = node.core.kind == Kind::Model;
    object.insert("type".into(), json!(if is_model { "machine-learning-model" } else { "data" }));
    object.insert("bom-ref".into(), json!(urn("node", node.id)));
    object.insert("name".into(), json!(node.title()));
    let hashes = hashes(node.plain_digests());
    if !hashes.is_empty() {
        object.insert("hashes".into(), Json::Array(hashes));
    }
    object.extend(node.text("version").filter(|_| is_model).map(|version| ("version".to_owned(), json!(version))));
    object.extend(licence(node).map(|name| ("licenses".to_owned(), json!([{ "license": { "name": name } }]))));
    if let Some(files) = node.files.as_deref().filter(|files| files.len() > 1) {
        object.insert("components".into(), files.iter().map(file).collect());
    }
    if is_model {
        object.insert("modelCard".into(), model_card(lineage, node));
    } else {
        object.insert("data".into(), json!([data(node)]));
    }
    object.insert("properties".into(), Json::Array(properties(lineage, node)));
    Json::Object(object)
}

fn hashes(digests: Vec<(&'static str, String)>) -> Vec<Json> {
    digests.into_iter().map(|(name, hex)| json!({ "alg": algorithm(name), "content": hex })).collect()
}

fn algorithm(name: &str) -> &'static str {
    if name == "sha256" { "SHA-256" } else { "BLAKE3" }
}

fn file(file: &FileRecord) -> Json {
    json!({ "type": "file", "name": String::from_utf8_lossy(&file.path), "hashes": hashes(file_digests(file)) })
}

fn licence(node: &Node) -> Option<String> {
    let value = node.details.get("licence")?;
    let name = value.as_text().or_else(|| value.field("name").and_then(Value::as_text))?;
    (!name.trim().is_empty()).then(|| name.to_owned())
}

fn model_card(lineage: &Lineage, node: &Node) -> Json {
    let mut parameters = Map::new();
    let architecture = node.text("architecture").map(|text| ("modelArchitecture".to_owned(), json!(text)));
    parameters.extend(architecture);
    let used = lineage.made_by(node).map(|step| lineage.leads(step, Role::Used).0).unwrap_or_default();
    let sets = used.iter().filter(|used| used.core.kind == Kind::Dataset);
    let sets: Vec<Json> = sets.map(|set| json!({ "ref": urn("node", set.id) })).collect();
    if !sets.is_empty() {
        parameters.insert("datasets".into(), Json::Array(sets));
    }
    json!({ "modelParameters": parameters })
}

fn data(node: &Node) -> Json {
    let mut object = Map::new();
    object.insert("type".into(), json!("dataset"));
    object.extend(node.name().map(|name| ("name".to_owned(), json!(name))));
    object.extend(node.core.grade.as_ref().map(|grade| ("classification".to_owned(), json!(grade.as_str()))));
    Json::Object(object)
}

fn properties(lineage: &Lineage, node: &Node) -> Vec<Json> {
    let mut properties = vec![
        property("log", &node.commit.origin),
        property("leaf", node.commit.index.to_string()),
        property("committer", node.commit.key.to_string()),
    ];
    if node.is_hidden() {
        properties.push(property("hidden", "neither name nor content is disclosed"));
    }
    properties.extend(core_properties(&node.core));
    let details = node.details.iter().filter(|(name, _)| !matches!(name.as_str(), "name" | "manifest"));
    properties.extend(details.map(|(name, value)| property(&format!("detail:{name}"), value.to_string())));
    if let Some(step) = lineage.made_by(node) {
        properties.push(property("made-by", step.id.to_string()));
        let fields = core_properties(&step.core).into_iter().map(|field| (field, "step"));
        properties.extend(fields.map(|(field, under)| nested(&field, under)));
        let details = step.details.iter();
        properties.extend(details.map(|(name, value)| property(&format!("step:detail:{name}"), value.to_string())));
        properties.extend(marks(lineage, step).iter().map(|mark| nested(mark, "step")));
    }
    properties.extend(lineage.assessments(node).filter_map(|one| assessment(lineage, one)));
    properties.extend(marks(lineage, node));
    properties
}

/// Puts a property below another name.
fn nested(field: &Json, under: &str) -> Json {
    let (name, value) = (field["name"].as_str().unwrap_or_default(), field["value"].as_str().unwrap_or_default());
    property(&format!("{under}:{}", name.trim_start_matches("griptrace:")), value)
}

fn core_properties(core: &Core) -> Vec<Json> {
    core_fields(core).into_iter().map(|(name, value)| property(name, value)).collect()
}

/// Returns an assessment with its scope: what it passed, for what, from when to when, where to, and whose word that is.
fn assessment(lineage: &Lineage, node: &Node) -> Option<Json> {
    let words = lineage.words(node)?;
    let fields: Vec<String> = words.fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let marks = lineage.mark_words(node).join(", ");
    let marked = if marks.is_empty() { marks } else { format!("; marked {marks}") };
    Some(property("assessment", format!("{}: {}; {}{marked}", node.id, fields.join("; "), words.by)))
}

/// Returns the marks on a node, whoever made them: which of them count, a verdict says.
fn marks(lineage: &Lineage, node: &Node) -> Vec<Json> {
    lineage.mark_words(node).into_iter().map(|mark| property("mark", mark)).collect()
}

fn dependencies(lineage: &Lineage, node: &Node) -> Json {
    let used = lineage.made_by(node).map(|step| lineage.leads(step, Role::Used).0).unwrap_or_default();
    let refs: BTreeSet<String> = used.iter().map(|used| urn("node", used.id)).collect();
    json!({ "ref": urn("node", node.id), "dependsOn": refs })
}

/// Tells how complete it is what a node was made of.
fn made_of(lineage: &Lineage, node: &Node) -> Aggregate {
    match (lineage.made_by(node), node.core.origin) {
        // The step names all that it used, and one of these is not here.
        (Some(step), _) if !lineage.leads(step, Role::Used).1.is_empty() => Aggregate::Incomplete,
        (Some(_), _) | (None, Some(Origin::Collected)) => Aggregate::Complete,
        // What came from outside was made somehow, and so was a model or derived data without a step.
        (None, Some(Origin::External | Origin::Derived | Origin::Synthetic) | None) => Aggregate::Unknown,
    }
}

/// Tells how complete it is what a node consists of: its files.
fn consists_of(node: &Node) -> Aggregate {
    let one_file = node.text("content").is_some_and(|content| content.starts_with("blake3:"));
    if node.files.is_some() || one_file { Aggregate::Complete } else { Aggregate::Incomplete }
}

fn compositions(lineage: &Lineage, parts: &[&Node]) -> Vec<Json> {
    let mut grouped: BTreeMap<(&str, Aggregate), Vec<String>> = BTreeMap::new();
    for part in parts {
        let name = urn("node", part.id);
        grouped.entry(("dependencies", made_of(lineage, part))).or_default().push(name.clone());
        grouped.entry(("assemblies", consists_of(part))).or_default().push(name);
    }
    let composition = |((relation, aggregate), refs): ((&str, Aggregate), Vec<String>)| json!({ "aggregate": aggregate.word(), relation: refs });
    grouped.into_iter().map(composition).collect()
}
