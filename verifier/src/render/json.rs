//! Reports as JSON (docs/spec/report.schema.json).

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use griptrace_core::node::Mark;
use serde_json::{Map, Value, json};

use super::safe::{is_unseen, iso};
use crate::{
    finding::Finding,
    graph::{Graph, GraphNode},
    report::{
        AssessmentReport, CrossingReport, DetailReport, GrowthReport, Judgement, KeyReport, LogReport, ModelReport,
        PartyReport, PolicyName, Report, ShipmentReport, SourceReport, Strength, TimeFrom,
    },
};

/// What the field `schema` says.
pub const SCHEMA: &str = "griptrace-report-1";

/// Returns a report as JSON.
pub fn json(report: &Report) -> Value {
    json!({
        "schema": SCHEMA,
        "bundle_digest": report.bundle_digest.to_string(),
        "verdict": report.verdict.as_str(),
        "policy_met": report.policy_met,
        "at_shipment": judgement(&report.at_shipment),
        "now": judgement(&report.now),
        "policy": policy(&report.policy),
        "logs": all(&report.logs, log),
        "model": model(&report.model),
        "shipment": report.shipment.as_ref().map(shipment),
        "sources": all(&report.sources, source),
        "crossings": all(&report.crossings, crossing),
        "details": all(&report.details, detail),
        "findings": all(&report.findings, finding),
        "keys": all(&report.keys, key),
        "history": all(&report.history, growth),
        "updated_with": texts(&report.updated_with),
        "nodes": report.nodes,
    })
}

/// Returns a graph as JSON. It is no part of a report: edges are `[from, to, role]`, between places in `nodes`.
pub fn graph_json(graph: &Graph) -> Value {
    let edges: Vec<Value> = graph.edges.iter().map(|edge| json!([edge.from, edge.to, edge.role])).collect();
    json!({ "nodes": all(&graph.nodes, graph_node), "edges": edges })
}

/// Returns what stands in a report's place where nothing could be checked.
pub fn could_not_check(file: &str, error: &str) -> Value {
    json!({ "schema": SCHEMA, "file": file, "error": error })
}

/// Writes JSON on one line. What would not be seen on a terminal is escaped, which reads as the same.
pub fn json_text(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        if is_unseen(c) {
            let mut units = [0; 2];
            let escapes = c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"));
            out.extend(escapes);
        } else {
            out.push(c);
        }
    }
    out
}

fn all<T>(items: &[T], one: impl Fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(one).collect()
}

fn text(value: Option<&impl ToString>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

fn texts(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// Adds a field that is left out where there is no value.
fn add_known(object: &mut Value, name: &str, value: Option<Value>) {
    let fields: Option<&mut Map<String, Value>> = object.as_object_mut();
    if let (Some(fields), Some(value)) = (fields, value) {
        fields.insert(name.into(), value);
    }
}

pub(super) const fn time_from(from: TimeFrom) -> &'static str {
    match from {
        TimeFrom::Witnesses => "witnesses",
        TimeFrom::Operator => "operator",
        TimeFrom::Buyer => "buyer",
        TimeFrom::Nothing => "nothing",
    }
}

pub(super) const fn strength(strength: Strength) -> &'static str {
    match strength {
        Strength::Stated => "stated",
        Strength::Signed => "signed",
    }
}

fn judgement(judgement: &Judgement) -> Value {
    json!({
        "verdict": judgement.verdict.as_str(),
        "time": judgement.time.map(iso),
        "time_from": time_from(judgement.time_from),
    })
}

fn policy(policy: &PolicyName) -> Value {
    json!({ "id": policy.id, "version": policy.version, "status": policy.status })
}

fn log(log: &LogReport) -> Value {
    json!({
        "origin": log.origin,
        "size": log.size,
        "cosigned_by": log.cosigned_by,
        "map_by": log.map_by,
        "time": log.time.map(iso),
        "as_of": log.as_of.map(iso),
        "time_from": time_from(log.time_from),
        "parties": all(&log.parties, party),
    })
}

fn party(party: &PartyReport) -> Value {
    let kinds: Map<String, Value> = party.kinds.iter().map(|(kind, count)| (kind.clone(), json!(count))).collect();
    json!({ "name": party.name, "nodes": party.nodes, "kinds": kinds })
}

fn model(model: &ModelReport) -> Value {
    json!({
        "nodes": texts(&model.nodes),
        "names": model.names,
        "digest": text(model.digest.as_ref()),
        "files": model.files,
        "matched": model.matched,
    })
}

fn shipment(shipment: &ShipmentReport) -> Value {
    let mut object = json!({
        "id": shipment.id.to_string(),
        "date": text(shipment.date.as_ref()),
        "destination": text(shipment.destination.as_ref()),
    });
    add_known(&mut object, "consignee", shipment.consignee.clone().map(Value::String));
    object
}

fn assessment(assessment: &AssessmentReport) -> Value {
    json!({
        "id": assessment.id.to_string(),
        "strength": strength(assessment.strength),
        "scheme": assessment.scheme.to_string(),
        "issuer": assessment.issuer,
        "valid_from": assessment.valid_from.to_string(),
        "valid_to": text(assessment.valid_to.as_ref()),
        "subject": assessment.subject.to_string(),
    })
}

fn source(source: &SourceReport) -> Value {
    let mut object = json!({
        "id": source.id.to_string(),
        "hidden": source.hidden,
        "modality": texts(&source.modality),
        "origin": source.origin,
        "held": source.held,
        "grade": text(source.grade.as_ref()),
        "effective_grade": source.effective_grade,
        "country": text(source.country.as_ref()),
        "in_scope": source.in_scope,
        "at_shipment": source.at_shipment.as_str(),
        "now": source.now.as_str(),
        "log": source.log,
        "party": source.party,
    });
    add_known(&mut object, "name", source.name.clone().map(Value::String));
    add_known(&mut object, "assessment", source.assessment.as_ref().map(assessment));
    object
}

fn crossing(crossing: &CrossingReport) -> Value {
    let mut object = json!({
        "node": crossing.node.to_string(),
        "by": crossing.by.to_string(),
        "from": text(crossing.from.as_ref()),
        "to": text(crossing.to.as_ref()),
        "date": text(crossing.date.as_ref()),
        "basis": text(crossing.basis.as_ref()),
        "required": crossing.required,
        "covered": crossing.covered,
        "party": crossing.party,
    });
    add_known(&mut object, "name", crossing.name.clone().map(Value::String));
    object
}

fn graph_node(node: &GraphNode) -> Value {
    json!({
        "id": node.id.to_string(),
        "kind": node.kind,
        "name": node.name,
        "country": text(node.country.as_ref()),
        "date": text(node.date.as_ref()),
        "grade": text(node.grade.as_ref()),
        "mark": node.mark.map(Mark::word),
        "log": node.log,
        "party": node.party,
    })
}

fn detail(detail: &DetailReport) -> Value {
    json!({ "node": detail.node.to_string(), "name": detail.name, "value": detail.value })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code.as_str(),
        "severity": finding.severity.as_str(),
        "node": text(finding.node.as_ref()),
        "when": finding.when.as_str(),
        "step": finding.code.step(),
        "text": finding.text,
    })
}

fn growth(growth: &GrowthReport) -> Value {
    json!({ "origin": growth.origin, "from_size": growth.from_size, "to_size": growth.to_size })
}

fn key(key: &KeyReport) -> Value {
    json!({ "party": key.party, "role": key.role, "key": key.key.to_string() })
}
