//! The lineage as W3C PROV-JSON.

use std::collections::BTreeMap;

use griptrace_core::{
    assessment::assessed,
    node::{Kind, Role},
};
use serde_json::{Map, Value as Json, json};

use crate::lineage::{Lineage, Node, core_fields, json_value};

/// The records of a document, by kind of record and id.
#[derive(Default)]
struct Records(BTreeMap<&'static str, Map<String, Json>>);

impl Records {
    fn put(&mut self, kind: &'static str, id: String, value: Json) {
        self.0.entry(kind).or_default().insert(id, value);
    }

    /// Puts a relation, which has a number and no name.
    fn relate(&mut self, kind: &'static str, value: Json) {
        let records = self.0.entry(kind).or_default();
        records.insert(format!("_:{kind}{}", records.len()), value);
    }
}

/// What our names in a document stand for.
const VOCABULARY: &str = "urn:griptrace:vocabulary:";

/// Tells whether a file is a document that was made here.
pub fn is_document(file: &[u8]) -> bool {
    let document: Json = serde_json::from_slice(file).unwrap_or_default();
    document["activity"].is_object() && document["prefix"]["griptrace"] == VOCABULARY
}

/// Makes the document.
pub fn document(lineage: &Lineage) -> Json {
    let mut records = Records::default();
    // Of a model that no step made there is none.
    records.0.entry("activity").or_default();
    for node in &lineage.nodes {
        describe(&mut records, lineage, node);
    }
    for node in &lineage.nodes {
        relate(&mut records, lineage, node);
    }
    let mut object = Map::new();
    object.insert(
        "prefix".into(),
        json!({
            "griptrace": VOCABULARY, "node": "urn:griptrace:node:", "key": "urn:griptrace:key:",
            "log": "urn:griptrace:log:", "bundle": "urn:griptrace:bundle:",
        }),
    );
    let bundle = json!({ "prov:type": name("griptrace:Evidence"), "griptrace:sha256": lineage.sha256.to_string() });
    records.put("entity", format!("bundle:{}", lineage.digest), bundle);
    object.extend(records.0.into_iter().map(|(kind, records)| (kind.to_owned(), Json::Object(records))));
    Json::Object(object)
}

fn name(name: &str) -> Json {
    json!({ "$": name, "type": "prov:QUALIFIED_NAME" })
}

fn id(node: &Node) -> String {
    format!("node:{}", node.id)
}

fn is_activity(node: &Node) -> bool {
    matches!(node.core.kind, Kind::Transformation | Kind::Shipment)
}

fn describe(records: &mut Records, lineage: &Lineage, node: &Node) {
    let core = &node.core;
    let kind = core.kind.word();
    let mut chars = kind.chars();
    let capital = chars.next().map_or_else(String::new, |c| c.to_ascii_uppercase().to_string());
    let mut object = Map::new();
    object.insert("prov:type".into(), name(&format!("griptrace:{capital}{}", chars.as_str())));
    object.extend(node.name().map(|name| ("prov:label".to_owned(), json!(name))));
    let list = |words: &[griptrace_core::word::Word]| {
        (!words.is_empty()).then(|| words.iter().map(|word| json!(word.as_str())).collect::<Json>())
    };
    object.extend(core_fields(core).into_iter().map(|(name, value)| (format!("griptrace:{name}"), json!(value))));
    let marked = lineage.mark_words(node);
    let fields = [
        // Words stand apart.
        ("modality", list(&core.modality)),
        ("purpose", list(&core.purpose)),
        ("marked", (!marked.is_empty()).then(|| json!(marked))),
        ("home", Some(name(&format!("log:{}", core.home)))),
        ("leaf", Some(json!(node.commit.index))),
        ("hidden", (core.kind == Kind::Dataset && node.is_hidden()).then_some(json!(true))),
    ];
    object.extend(fields.into_iter().filter_map(|(name, value)| Some((format!("griptrace:{name}"), value?))));
    for (name, value) in node.details.iter().filter(|(name, _)| *name != "name") {
        let value = json_value(value);
        // PROV-JSON has no nested values.
        let value = if value.is_object() || value.is_array() { json!(value.to_string()) } else { value };
        object.insert(format!("griptrace:detail-{name}"), value);
    }
    if let Some(words) = lineage.words(node) {
        let fields = words.fields.iter().map(|(name, value)| (format!("griptrace:{name}"), json!(value)));
        object.extend(fields);
        object.insert("griptrace:by".into(), json!(words.by));
    }
    records.put(if is_activity(node) { "activity" } else { "entity" }, id(node), Json::Object(object));
    let agent = json!({ "prov:label": node.commit.issuer, "griptrace:role": "committer" });
    records.put("agent", format!("key:{}", node.commit.key), agent);
}

fn relate(records: &mut Records, lineage: &Lineage, node: &Node) {
    let committer = format!("key:{}", node.commit.key);
    if is_activity(node) {
        records.relate("wasAssociatedWith", json!({ "prov:activity": id(node), "prov:agent": committer }));
    } else {
        records.relate("wasAttributedTo", json!({ "prov:entity": id(node), "prov:agent": committer }));
    }
    for role in [Role::Used, Role::Ships] {
        for edge in node.core.edges_of(role) {
            let used = format!("node:{}", edge.to);
            if lineage.node(&edge.to).is_none() {
                let home = edge.home.map(|home| name(&format!("log:{home}")));
                let foreign = json!({ "prov:type": name("griptrace:Unresolved"), "griptrace:home": home });
                records.put("entity", used.clone(), foreign);
            }
            records.relate("used", json!({ "prov:activity": id(node), "prov:entity": used }));
        }
    }
    if let Some(step) = lineage.made_by(node) {
        records.relate("wasGeneratedBy", json!({ "prov:entity": id(node), "prov:activity": id(step) }));
        for edge in step.core.edges_of(Role::Used) {
            records.relate(
                "wasDerivedFrom",
                json!({
                    "prov:generatedEntity": id(node), "prov:usedEntity": format!("node:{}", edge.to),
                    "prov:activity": id(step),
                }),
            );
        }
    }
    let influence = |records: &mut Records, on: String, by: String| {
        records.relate("wasInfluencedBy", json!({ "prov:influencee": on, "prov:influencer": by }));
    };
    for assessment in lineage.assessments(node) {
        influence(records, id(assessment), id(node));
    }
    for edge in node.core.edges_of(Role::Marks) {
        influence(records, id(node), format!("node:{}", edge.to));
    }
    if let Some(signed) = assessed(node.id, &node.core).ok().and_then(|of| of.signed) {
        let key = format!("key:{}", signed.key);
        records.put("agent", key.clone(), json!({ "prov:label": signed.issuer, "griptrace:role": "assessor" }));
        records.relate("wasAttributedTo", json!({ "prov:entity": id(node), "prov:agent": key }));
    }
}
