//! What made shipments worse, and which of them: by mark, and by code and node.

use core::{cmp::Reverse, fmt::Display};
use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    date::Date,
    id::NodeId,
    node::{Kind, Mark},
};
use griptrace_service::rejudge::Shipment;
use griptrace_verifier::finding::{Code, Severity, Verdict};
use serde_json::{Value as Json, json};

use super::tell::{Teller, broken};
use crate::{error::CommandError, view::short};

/// Causes of one code that are listed for people, those with most shipments first; JSON has all.
const LISTED_MAX: usize = 20;
/// Nodes of one cause that are listed for people.
const NODES_MAX: usize = 20;
/// Shipments of one cause that are listed for people.
const SHIPMENTS_MAX: usize = 20;

/// A mark, as a cause.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Marked {
    node: NodeId,
    kind: Kind,
    mark: Mark,
    status: Option<NodeId>,
    date: Option<Date>,
}

/// What is found on which nodes, by the places of its shipments.
type OnNodes<'c> = BTreeMap<&'c [usize], Vec<Option<NodeId>>>;

/// Causes, each with the places of its shipments.
#[derive(Debug, Default)]
pub(super) struct Causes {
    shipments: Vec<Concerned>,
    /// Marks that came after the shipment.
    marks: BTreeMap<Marked, Vec<usize>>,
    /// Errors that came, of shipments that became worse; all of those that are BROKEN.
    findings: BTreeMap<(Code, Option<NodeId>), Vec<usize>>,
}

/// A shipment that some cause concerns.
#[derive(Debug)]
struct Concerned {
    id: NodeId,
    consignee: Option<String>,
    date: Option<Date>,
    is_worse: bool,
    is_broken: bool,
}

impl Causes {
    /// Takes in what concerns a shipment.
    pub(super) fn take(&mut self, shipment: &Shipment) {
        let place = self.shipments.len();
        let is_worse = shipment.is_worse();
        for mark in shipment.new.came() {
            let (node, kind, status, date) = (mark.node, mark.kind, mark.status, mark.date);
            self.marks.entry(Marked { node, kind, mark: mark.mark, status, date }).or_default().push(place);
        }
        let (changes, is_broken) = (shipment.changes(), shipment.is_broken());
        let came = changes.iter().flat_map(|change| change.came.iter().copied()).filter(|_| is_worse);
        // What breaks a shipment may have broken its own day too, so that nothing came.
        let known = &shipment.new.known;
        let there =
            if known.now.verdict == Verdict::Broken { known.findings.iter().collect() } else { broken(shipment) };
        let there = there.into_iter().filter(|_| is_broken);
        for finding in came.chain(there).filter(|finding| finding.severity == Severity::Error) {
            let places = self.findings.entry((finding.code, finding.node)).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
        let (consignee, date) = (shipment.consignee.clone(), shipment.date);
        self.shipments.push(Concerned { id: shipment.id, consignee, date, is_worse, is_broken });
    }

    /// Tells them all.
    pub(super) fn tell(&self, teller: &mut Teller<'_>) -> Result<(), CommandError> {
        for (marked, places) in &self.marks {
            self.mark(teller, marked, places)?;
        }
        // Programs get both; people read a fact once.
        let is_told = |code, node, places: &[usize]| !teller.is_json() && self.is_marked(code, node, places);
        let mut by_code: BTreeMap<Code, OnNodes<'_>> = BTreeMap::new();
        for ((code, node), places) in &self.findings {
            if !is_told(*code, *node, places) {
                by_code.entry(*code).or_default().entry(places).or_default().push(*node);
            }
        }
        for (code, causes) in by_code {
            let mut causes: Vec<_> = causes.into_iter().collect();
            causes.sort_by_key(|(places, _)| Reverse(places.len()));
            let listed = if teller.is_json() { causes.len() } else { LISTED_MAX };
            for (places, on) in causes.iter().take(listed) {
                self.finding(teller, code, on, places)?;
            }
            let more = causes.iter().skip(listed).map(|(_, on)| on.len()).sum::<usize>();
            if more > 0 {
                teller.line(&format!("  and {code} on {} more", nodes(more)))?;
            }
        }
        Ok(())
    }

    /// Tells whether a mark that is told says the same of the same shipments.
    fn is_marked(&self, code: Code, node: Option<NodeId>, places: &[usize]) -> bool {
        let is_said = |marked: &Marked| Some(marked.node) == node && code_of(marked) == Some(code);
        let told: BTreeSet<usize> =
            self.marks.iter().filter(|(marked, _)| is_said(marked)).flat_map(|(_, places)| places).copied().collect();
        places.iter().all(|place| told.contains(place))
    }

    fn mark(&self, teller: &mut Teller<'_>, marked: &Marked, places: &[usize]) -> Result<(), CommandError> {
        let Marked { node, kind, mark, status, date } = marked;
        let source = if status.is_some() { "log" } else { "trust file" };
        if teller.is_json() {
            let name = teller.name(node);
            return teller.object(&json!({
                "cause": "mark", "mark": mark.word(), "node": node.to_string(), "kind": kind.word(),
                "name": name, "status": status.map(|id| id.to_string()), "from": source,
                "date": date.map(|date| date.to_string()), "shipments": self.json(places),
            }));
        }
        let on = date.map_or_else(String::new, |date| format!(" on {date}"));
        let by = if status.is_some() { "" } else { " (by its assessor, from the trust file)" };
        let worse = places.iter().filter(|place| self.shipments.get(**place).is_some_and(|s| s.is_worse)).count();
        let title = teller.headline(node);
        teller.line(&format!(
            "CAUSE  {mark}{on}{by}: {title}: concerns {}, {worse} of them for the worse",
            shipments(places.len())
        ))?;
        self.list(teller, places)
    }

    /// Tells of a code on nodes of the same shipments.
    fn finding(
        &self,
        teller: &mut Teller<'_>,
        code: Code,
        on: &[Option<NodeId>],
        places: &[usize],
    ) -> Result<(), CommandError> {
        if teller.is_json() {
            return on.iter().try_for_each(|node| {
                let name = node.and_then(|id| teller.name(&id));
                teller.object(&json!({
                    "cause": "finding", "code": code.as_str(), "node": node.map(|id| id.to_string()),
                    "name": name, "shipments": self.json(places),
                }))
            });
        }
        let mut titles: Vec<String> = on.iter().flatten().take(NODES_MAX).map(|id| teller.headline(id)).collect();
        let title = match titles.as_slice() {
            [] => ":".to_owned(),
            [one] => format!(": {one}:"),
            _ => format!(" on {}:", nodes(on.len())),
        };
        teller.line(&format!("CAUSE  {code}{title} concerns {}", shipments(places.len())))?;
        if on.len() > 1 {
            titles.extend(on.len().checked_sub(NODES_MAX).filter(|n| *n > 0).map(|n| format!("{} more", nodes(n))));
            titles.iter().try_for_each(|title| teller.line(&format!("  on {title}")))?;
        }
        self.list(teller, places)
    }

    fn list(&self, teller: &Teller<'_>, places: &[usize]) -> Result<(), CommandError> {
        for shipment in places.iter().take(SHIPMENTS_MAX).filter_map(|place| self.shipments.get(*place)) {
            let to = shipment.consignee.as_deref().unwrap_or("(no consignee)");
            let on = shipment.date.map_or_else(String::new, |date| format!(" of {date}"));
            let worse = match (shipment.is_worse, shipment.is_broken) {
                (true, _) => "",
                (false, true) => ", BROKEN",
                (false, false) => ", not for the worse",
            };
            teller.line(&format!("  {to}: shipment {}{on}{worse}", short(&shipment.id)))?;
        }
        match places.len().checked_sub(SHIPMENTS_MAX).filter(|more| *more > 0) {
            Some(more) => teller.line(&format!("  and {} more (--json lists them all)", shipments(more))),
            None => Ok(()),
        }
    }

    fn json(&self, places: &[usize]) -> Vec<Json> {
        let one = |shipment: &Concerned| {
            json!({
                "id": shipment.id.to_string(), "consignee": shipment.consignee, "worse": shipment.is_worse,
                "broken": shipment.is_broken, "date": shipment.date.map(|date| date.to_string()),
            })
        };
        places.iter().filter_map(|place| self.shipments.get(*place)).map(one).collect()
    }
}

/// Returns the code that tells of a mark on the very node that it marks.
const fn code_of(marked: &Marked) -> Option<Code> {
    match (marked.kind, marked.mark) {
        (Kind::Assessment, _) | (_, Mark::Supersede | Mark::Reclassify) => None,
        (_, Mark::Withdraw) => Some(Code::Withdrawn),
        (_, Mark::Recall) => Some(Code::Recalled),
        (_, Mark::Refuse) => Some(Code::Refused),
    }
}

/// Says how many shipments.
pub(super) fn shipments<N: Display + Copy + PartialEq + From<u8>>(count: N) -> String {
    format!("{count} shipment{}", if count == N::from(1) { "" } else { "s" })
}

fn nodes(count: usize) -> String {
    format!("{count} node{}", if count == 1 { "" } else { "s" })
}
