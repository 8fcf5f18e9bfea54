//! Nodes as people and programs see them.

use griptrace_core::{
    assessment::{Assessed, Assessment, Destinations, assessed},
    date::Date,
    details::{read_value, slot, slot_name},
    id::NodeId,
    node::{Core, Edge, Kind, Role},
    value::Value,
};
pub(crate) use griptrace_export::lineage::{core_fields, json_value};
use griptrace_store::{StoredNode, record::ManifestRecord};
use serde_json::{Map, Value as Json, json};

use crate::workspace::name;

/// Digits of an id in lists: enough to be typed back.
const SHORT_DIGITS: usize = 16;

/// Returns the first digits of an id.
pub(crate) fn short(id: &NodeId) -> String {
    id.to_string().chars().take(SHORT_DIGITS).collect()
}

/// Returns a node in one phrase: id, kind and name, or what stands in a name's place.
pub(crate) fn headline(node: &StoredNode) -> String {
    format!("{} {} {}", short(&node.id), node.core.kind, title(node))
}

/// Tells whether a node's details are withheld by the server that it came from. What is recorded has a random seed.
pub(crate) fn is_withheld(node: &StoredNode) -> bool {
    node.record.secret.seed() == Some(&[0; 32]) && node.record.values.is_empty()
}

/// Returns a node's name, or what says most in its place.
pub(crate) fn title(node: &StoredNode) -> String {
    if let Some(name) = name(node) {
        return name;
    }
    let is_erased = slot(node.core.kind, "name").is_some_and(|slot| node.record.secret.erased().contains(&slot));
    let withheld = is_withheld(node).then(|| "(details withheld)".to_owned());
    let withheld = withheld.or_else(|| is_erased.then(|| "(name erased)".to_owned()));
    let core = &node.core;
    let words = [
        core.activity.map(|a| a.to_string()),
        core.mark.map(|m| m.to_string()),
        core.grade.as_ref().map(ToString::to_string),
        assessed(node.id, core).ok().map(|a| scheme(&a)),
        core.country.filter(|_| core.date.is_some()).map(|c| c.to_string()),
        core.date.map(|d| d.to_string()),
    ];
    words.into_iter().chain([withheld]).flatten().collect::<Vec<_>>().join(" ")
}

/// Returns scheme, strength and issuer of an assessment.
pub(crate) fn scheme(assessed: &Assessed) -> String {
    let by = assessed.signed.as_ref().map_or_else(|| "stated".to_owned(), |s| format!("signed by {}", s.issuer));
    format!("{} ({}, {by})", assessed.assessment.scheme, assessed.assessment.outcome)
}

/// Returns the details of a node, by name or number of the slot.
pub(crate) fn details(node: &StoredNode) -> Vec<(String, Value)> {
    let named = |slot: u8| slot_name(node.core.kind, slot).map_or_else(|| format!("slot-{slot}"), str::to_owned);
    let values = node.record.values.iter();
    values.filter_map(|(slot, bytes)| Some((named(*slot), read_value(bytes).ok()?))).collect()
}

/// Returns what a detail is called: by its name, or by the number of its slot if it has none.
pub(crate) fn field_name(kind: Kind, slot: u8) -> String {
    slot_name(kind, slot).map_or_else(|| format!("slot-{slot}"), str::to_owned)
}

/// Returns the details of a node that were erased, by name or number of the slot.
pub(crate) fn erased(node: &StoredNode) -> Vec<String> {
    node.record.secret.erased().into_iter().map(|slot| field_name(node.core.kind, slot)).collect()
}

/// Returns a node as JSON: id, kind, name, core and commit.
pub(crate) fn node_json(node: &StoredNode) -> Json {
    let core: Map<String, Json> = core_fields(&node.core).into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect();
    let edge = |edge: &Edge| json!({ "role": edge.role.word(), "to": edge.to.to_string(), "home": edge.home.map(|h| h.to_string()) });
    let edges: Vec<Json> = node.core.edges.iter().map(edge).collect();
    let mut object = json!({
        "id": node.id.to_string(),
        "kind": node.core.kind.word(),
        "name": name(node),
        "core": core,
        "edges": edges,
        "index": node.index,
        "issuer": node.issuer,
        "committer": node.committer.to_string(),
        "time": node.time,
    });
    let (fields, files) = (erased(node), node.record.manifest.as_ref().map_or(0, ManifestRecord::erased));
    if let Some(object) = object.as_object_mut().filter(|_| !fields.is_empty() || files > 0) {
        object.insert("erased".to_owned(), json!({ "fields": fields, "files": files }));
    }
    if let Some(object) = object.as_object_mut().filter(|_| is_withheld(node)) {
        object.insert("details_withheld".to_owned(), Json::Bool(true));
    }
    object
}

/// Returns an assessment's payload in lines.
pub(crate) fn assessment_lines(assessment: &Assessment) -> Vec<String> {
    let words =
        |words: &[griptrace_core::word::Word]| words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let destinations = match &assessment.destinations {
        Destinations::Anywhere => "anywhere".to_owned(),
        Destinations::Only(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let to = assessment.valid_to.map_or_else(|| "no end".to_owned(), |date| date.to_string());
    vec![
        format!("scheme        {}", assessment.scheme),
        format!("result        {}", assessment.outcome),
        format!("up to grade   {}", assessment.grade),
        format!("purposes      {}", words(&assessment.purposes)),
        format!("modalities    {}", words(&assessment.modalities)),
        format!("destinations  {destinations}"),
        format!("issued        {}", assessment.issued),
        format!("valid         {} to {to}", assessment.valid_from),
    ]
}

/// Returns the nodes that a node came from or is about.
pub(crate) fn parents(core: &Core) -> impl Iterator<Item = NodeId> + '_ {
    let parent = |role: Role| matches!(role, Role::Used | Role::GeneratedBy | Role::Ships | Role::Marks);
    core.edges.iter().filter(move |edge| parent(edge.role) && edge.home.is_none()).map(|edge| edge.to)
}

/// Returns a Unix time as a day and a time of day, in UTC.
pub(crate) fn time(seconds: u64) -> String {
    let of_day = seconds % griptrace_core::date::DAY_SECONDS;
    let (hours, minutes, rest) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{} {hours:02}:{minutes:02}:{rest:02} UTC", Date::from_unix(seconds))
}
