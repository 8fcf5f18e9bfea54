//! Shipments that were judged again, as people and programs see them.

use std::collections::HashMap;

use griptrace_core::{id::NodeId, node::Mark};
use griptrace_service::rejudge::{Change, Shipment};
use griptrace_verifier::{
    finding::{Finding, When},
    own::{Rejudged, RejudgedAt},
};
use serde_json::{Value as Json, json};

use crate::{error::CommandError, output::Output, view, workspace::Workspace};

/// Findings of one change that are listed for people; JSON has all.
const FINDINGS_MAX: usize = 10;

/// Tells what was found, with the names of nodes.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    output: &'a Output,
    workspace: &'a Workspace,
    headlines: HashMap<NodeId, (String, Option<String>)>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(output: &'a Output, workspace: &'a Workspace) -> Self {
        Self { output, workspace, headlines: HashMap::new() }
    }

    pub(super) const fn is_json(&self) -> bool {
        self.output.is_json()
    }

    pub(super) fn line(&self, text: &str) -> Result<(), CommandError> {
        self.output.line(text)
    }

    pub(super) fn object(&self, object: &Json) -> Result<(), CommandError> {
        self.output.object(object)
    }

    /// Returns a node in one phrase; of one that can't be read, its id.
    pub(super) fn headline(&mut self, id: &NodeId) -> String {
        self.known(id).0.clone()
    }

    /// Returns a node's name, if it has one.
    pub(super) fn name(&mut self, id: &NodeId) -> Option<String> {
        self.known(id).1.clone()
    }

    fn known(&mut self, id: &NodeId) -> &(String, Option<String>) {
        let workspace = self.workspace;
        self.headlines.entry(*id).or_insert_with(|| match workspace.node(id) {
            Ok(node) => (view::headline(&node), crate::workspace::name(&node)),
            Err(_) => (id.to_string(), None),
        })
    }

    /// Tells of one shipment.
    pub(super) fn shipment(&mut self, shipment: &Shipment) -> Result<(), CommandError> {
        if self.is_json() {
            let object = self.shipment_json(shipment);
            return self.object(&object);
        }
        let Shipment { id, name, consignee, date, destination, new, .. } = shipment;
        let lead = match (shipment.is_worse(), shipment.is_changed()) {
            (true, _) => "WORSE",
            (false, true) => "CHANGED",
            (false, false) => "SAME",
        };
        let name = name.as_deref().map_or_else(String::new, |name| format!(" {name}"));
        let to = destination.map_or_else(|| "??".to_owned(), |to| to.to_string());
        let consignee = consignee.as_deref().unwrap_or("(no consignee)");
        let date = date.map_or_else(|| "an unknown day".to_owned(), |date| date.to_string());
        self.line(&format!("{lead}  shipment {}{name} to {to} for {consignee} on {date}", view::short(id)))?;
        for (mark, date) in own_marks(new, id) {
            self.line(&format!("  the shipment itself has the mark {mark}{date}"))?;
        }
        for change in shipment.changes() {
            self.change(shipment, &change)?;
        }
        Ok(())
    }

    fn change(&mut self, shipment: &Shipment, change: &Change<'_>) -> Result<(), CommandError> {
        let what = match (shipment.old.is_some(), change.when) {
            (false, _) => "since its day",
            (true, When::AtShipment) => "on its day",
            (true, When::Now | When::Always) => "now",
        };
        let (from, to) = (said(change.from), said(change.to));
        let line = if from == to { format!("  {what}: {to}") } else { format!("  {what}: {from} -> {to}") };
        self.line(&line)?;
        for (sign, findings) in [('+', &change.came), ('-', &change.went)] {
            for finding in findings.iter().take(FINDINGS_MAX) {
                let title = finding.node.map_or_else(String::new, |id| format!("{}: ", self.headline(&id)));
                self.line(&format!("    {sign} {} {}: {title}{}", finding.code, finding.severity, finding.text))?;
            }
            if let Some(more) = findings.len().checked_sub(FINDINGS_MAX).filter(|more| *more > 0) {
                self.line(&format!("    {sign} and {more} more"))?;
            }
        }
        Ok(())
    }

    fn shipment_json(&mut self, shipment: &Shipment) -> Json {
        let changes: Vec<Json> = shipment
            .changes()
            .iter()
            .map(|change| {
                json!({
                    "when": if shipment.old.is_some() { change.when.as_str() } else { "since" },
                    "from": at_json(change.from), "to": at_json(change.to),
                    "came": self.findings(&change.came), "went": self.findings(&change.went),
                })
            })
            .collect();
        let judged = |judged: &Rejudged| {
            json!({
                "verdict": judged.verdict.as_str(), "met": judged.policy_met,
                "at_shipment": at_json(judged.at_shipment), "now": at_json(judged.now),
            })
        };
        let marks: Vec<&str> = own_marks(&shipment.new, &shipment.id).map(|(mark, _)| mark.word()).collect();
        json!({
            "shipment": shipment.id.to_string(), "name": shipment.name, "consignee": shipment.consignee,
            "date": shipment.date.map(|date| date.to_string()),
            "destination": shipment.destination.map(|to| to.to_string()),
            "changed": shipment.is_changed(), "worse": shipment.is_worse(), "marks": marks,
            "old": shipment.old.as_ref().map(judged), "new": judged(&shipment.new), "changes": changes,
        })
    }

    fn findings(&mut self, findings: &[&Finding]) -> Vec<Json> {
        let one = |finding: &&Finding| {
            json!({
                "code": finding.code.as_str(), "severity": finding.severity.as_str(),
                "node": finding.node.map(|id| id.to_string()), "name": finding.node.and_then(|id| self.name(&id)),
                "text": finding.text,
            })
        };
        findings.iter().map(one).collect()
    }
}

/// Returns the marks on the shipment itself, each with its day in words.
fn own_marks<'j>(judged: &'j Rejudged, id: &'j NodeId) -> impl Iterator<Item = (Mark, String)> + 'j {
    let on =
        |mark: &griptrace_verifier::own::CountedMark| mark.date.map_or_else(String::new, |date| format!(", of {date}"));
    judged.marks.iter().filter(|mark| mark.node == *id).map(move |mark| (mark.mark, on(mark)))
}

fn said(at: RejudgedAt) -> String {
    format!("{}, {}", at.verdict, if at.met { "met" } else { "not met" })
}

fn at_json(at: RejudgedAt) -> Json {
    json!({ "verdict": at.verdict.as_str(), "met": at.met })
}
