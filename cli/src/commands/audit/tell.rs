//! Shipments that were judged again, as people and programs see them.

use std::collections::HashMap;

use griptrace_core::{id::NodeId, node::Mark};
use griptrace_service::rejudge::{Change, Shipment, Under, Unjudged};
use griptrace_verifier::{
    finding::{Finding, Verdict, When},
    own::{CountedMark, Rejudged, RejudgedAt},
};
use serde_json::{Value as Json, json};

use crate::{commands::check::clear, error::CommandError, foreign, output::Output, view, workspace::Workspace};

/// Findings of one change that are listed for people; JSON has all.
const FINDINGS_MAX: usize = 10;

/// Tells what was found, with the names of nodes.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    output: &'a Output,
    workspace: &'a Workspace,
    headlines: HashMap<NodeId, (String, Option<String>)>,
    foreign: foreign::Names,
}

impl<'a> Teller<'a> {
    pub(super) fn new(output: &'a Output, workspace: &'a Workspace) -> Self {
        Self { output, workspace, headlines: HashMap::new(), foreign: foreign::Names::default() }
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
        let (workspace, foreign) = (self.workspace, &self.foreign);
        self.headlines.entry(*id).or_insert_with(|| match workspace.node(id) {
            Ok(node) => (view::headline(&node), crate::workspace::name(&node)),
            Err(_) => foreign.get(workspace, id).map_or_else(
                || (id.to_string(), None),
                |node| (foreign::line(node), Some(node.name.clone()).filter(|name| !name.is_empty())),
            ),
        })
    }

    /// Tells of one shipment.
    pub(super) fn shipment(&mut self, shipment: &Shipment) -> Result<(), CommandError> {
        if self.is_json() {
            let object = self.shipment_json(shipment);
            return self.object(&object);
        }
        let Shipment { id, name, consignee, date, destination, new, .. } = shipment;
        let lead = match (shipment.is_worse(), shipment.is_broken(), shipment.is_changed()) {
            (true, ..) => "WORSE",
            (false, true, _) => "BROKEN",
            (false, false, true) => "CHANGED",
            (false, false, false) => "SAME",
        };
        let name = name.as_deref().map_or_else(String::new, |name| format!(" {name}"));
        let to = destination.map_or_else(|| "??".to_owned(), |to| to.to_string());
        let consignee = consignee.as_deref().unwrap_or("(no consignee)");
        let date = date.map_or_else(|| "an unknown day".to_owned(), |date| date.to_string());
        self.line(&format!("{lead}  shipment {}{name} to {to} for {consignee} on {date}", view::short(id)))?;
        for (mark, date) in own_marks(&new.known, id) {
            self.line(&format!("  the shipment itself has the mark {mark}{date}"))?;
        }
        for change in shipment.changes() {
            self.change(shipment, &change)?;
        }
        broken(shipment).into_iter().try_for_each(|finding| {
            let title = finding.node.map_or_else(String::new, |id| format!("{}: ", self.headline(&id)));
            self.line(&format!("  {}: {title}{}", finding.code, finding.text))?;
            self.line(&format!("    to clear: {}", clear(self.workspace, finding)?))
        })
    }

    /// Tells of a shipment that could not be judged, and why.
    pub(super) fn unjudged(&mut self, not: &Unjudged) -> Result<(), CommandError> {
        let title = self.headline(&not.id);
        if self.is_json() {
            let (id, name) = (not.id.to_string(), self.name(&not.id));
            return self.object(&json!({ "shipment": id, "name": name, "unjudged": not.why.to_string() }));
        }
        self.line(&format!("NOT JUDGED  {title}\n  {}", not.why))
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
        let judged = |under: &Under| {
            json!({
                "verdict": under.known.verdict.as_str(), "met": under.known.policy_met,
                "at_shipment": at_json(under.at_shipment()), "now": at_json(under.known.now),
            })
        };
        let marks: Vec<&str> = own_marks(&shipment.new.known, &shipment.id).map(|(mark, _)| mark.word()).collect();
        json!({
            "shipment": shipment.id.to_string(), "name": shipment.name, "consignee": shipment.consignee,
            "date": shipment.date.map(|date| date.to_string()),
            "destination": shipment.destination.map(|to| to.to_string()),
            "changed": shipment.is_changed(), "worse": shipment.is_worse(),
            "broken": self.findings(&broken(shipment)), "marks": marks,
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
    let on = |mark: &CountedMark| mark.date.map_or_else(String::new, |date| format!(", of {date}"));
    judged.marks.iter().filter(|mark| mark.node == *id).map(move |mark| (mark.mark, on(mark)))
}

/// Returns what makes a shipment BROKEN, now or as it was known on its day.
pub(super) fn broken(shipment: &Shipment) -> Vec<&Finding> {
    let mut found: Vec<&Finding> = Vec::new();
    for judged in [&shipment.new.known, shipment.new.shipped()] {
        let bad = judged.findings.iter().filter(|finding| finding.code.verdict() == Verdict::Broken);
        for finding in bad {
            if !found.iter().any(|known| (known.code, known.node) == (finding.code, finding.node)) {
                found.push(finding);
            }
        }
    }
    found
}

fn said(at: RejudgedAt) -> String {
    format!("{}, {}", at.verdict, if at.met { "met" } else { "not met" })
}

fn at_json(at: RejudgedAt) -> Json {
    json!({ "verdict": at.verdict.as_str(), "met": at.met })
}
