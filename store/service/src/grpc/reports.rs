//! Inventory and check: what the verifier's rules say of the store, as far as the caller may see it.

use std::{sync::Arc, vec};

use bytes::Bytes;
use griptrace_core::{
    assessment::Destinations,
    date::Date,
    id::NodeId,
    key_history::KeyHistory,
    node::Kind,
    word::{Country, Word},
};
use griptrace_proto::v1;
use griptrace_store::{Disclose, ProveOptions, ScanOptions, StoredNode};
use griptrace_verifier::{
    policy::{self, Policy},
    trust::{self, ConfigError, Trust},
};
use tonic::Status;

use super::{
    day, node_id,
    nodes::{digest, name},
    pinned,
};
use crate::{
    access::Caller,
    check::{Asked, blocking, judge, remedy, verdict},
    inventory::{self, Best, Covers, Row, Seen, Source},
    shared::Shared,
    status::{self, bad_field},
};

/// Datasets that are looked at before somebody else has a turn.
const ROWS_AT_ONCE: usize = 64;

/// The store as a caller may see it, at a pinned size.
struct Visible {
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    size: u64,
}

impl Source for Visible {
    type Error = Status;

    fn node(&self, id: &NodeId) -> Result<StoredNode, Status> {
        let mut nodes = self.shared.store.nodes(&[*id], Some(self.size)).map_err(status::read)?;
        let mut node = nodes.pop().ok_or_else(|| status::broken("a node without an answer"))?;
        if !self.caller.sees(name(node.core.kind, &node.record).as_deref()) {
            node.record.values.clear();
        }
        Ok(node)
    }

    fn prefetch(&self, _: &[NodeId]) -> Result<(), Status> {
        Ok(())
    }

    fn marks(&self, id: &NodeId) -> Result<Vec<StoredNode>, Status> {
        let key = self.shared.store.status_key(id).map_err(status::read)?;
        let ids = self.shared.store.statuses(&key).map_err(status::read)?;
        let nodes = self.shared.store.nodes(&ids, None).map_err(status::read)?;
        Ok(nodes.into_iter().filter(|node| node.index < self.size).collect())
    }

    fn assessments_of(&self, id: &NodeId) -> Result<Vec<NodeId>, Status> {
        let ids = self.shared.store.assessments_of(id).map_err(status::read)?;
        let nodes = self.shared.store.nodes(&ids, None).map_err(status::read)?;
        Ok(nodes.iter().filter(|node| node.index < self.size).map(|node| node.id).collect())
    }

    fn origin(&self) -> String {
        self.shared.store.genesis().origin.clone()
    }

    fn history(&self) -> KeyHistory {
        self.shared.store.key_history()
    }
}

/// An inventory on its way.
pub(super) struct Inventory {
    visible: Visible,
    policy: Option<Policy>,
    trust: Option<Trust>,
    destination: Option<Country>,
    purposes: Vec<Word>,
    expiring_by: Option<Date>,
    today: Date,
    seen: Seen,
    ids: vec::IntoIter<NodeId>,
    next: Option<u32>,
}

impl Inventory {
    pub(super) fn new(
        shared: &Arc<Shared>,
        caller: &Arc<Caller>,
        asked: &v1::InventoryRequest,
    ) -> Result<Self, Status> {
        let size = pinned(shared, asked.tree_size)?;
        let policy = if asked.policy.is_empty() { None } else { Some(read_policy(&asked.policy)?) };
        let expiring_by =
            if asked.expiring_by.is_empty() { None } else { Some(day(shared, "expiring_by", &asked.expiring_by)?) };
        let visible = Visible { shared: Arc::clone(shared), caller: Arc::clone(caller), size };
        Ok(Self {
            visible,
            policy,
            trust: if asked.trust.is_empty() { None } else { Some(read_trust(&asked.trust)?) },
            destination: destination(&asked.destination)?,
            purposes: asked.purposes.iter().map(|text| purpose(text)).collect::<Result<_, _>>()?,
            expiring_by,
            today: day(shared, "today", &asked.today)?,
            seen: Seen::default(),
            ids: Vec::new().into_iter(),
            next: Some(0),
        })
    }

    /// Returns the next rows; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<v1::InventoryResponse>, Status> {
        if self.ids.as_slice().is_empty() {
            let Some(begin) = self.next else { return Ok(None) };
            let options = ScanOptions { kind: Some(Kind::Dataset), at: Some(self.visible.size) };
            let part = self.visible.shared.store.scan(begin, ROWS_AT_ONCE, options).map_err(status::read)?;
            self.next = part.next;
            self.ids = part.nodes.iter().map(|(_, node)| node.id).collect::<Vec<_>>().into_iter();
        }
        let asked = inventory::Asked {
            policy: self.policy.as_ref(),
            trust: self.trust.as_ref(),
            today: self.today,
            destination: self.destination,
            purposes: &self.purposes,
        };
        let mut inventory = inventory::Inventory::new(&self.visible, &asked, &mut self.seen);
        let mut rows = Vec::new();
        for id in self.ids.by_ref() {
            let row = inventory.row(&id)?.filter(|row| self.expiring_by.is_none_or(|day| row.ends_by(day)));
            rows.extend(row.as_ref().map(row_message));
        }
        Ok(Some(v1::InventoryResponse { tree_size: self.visible.size, rows }))
    }
}

fn assessment_message(best: &Best) -> v1::InventoryAssessment {
    let text = |date: Option<Date>| date.map_or_else(String::new, |date| date.to_string());
    let (covers, why) = match &best.covers {
        Covers::Unasked => ("", ""),
        Covers::Yes => ("yes", ""),
        Covers::ByDestination => ("by-destination", ""),
        Covers::No(_, why) => ("no", why.as_str()),
    };
    v1::InventoryAssessment {
        scheme: best.scheme.clone(),
        signed: best.signed,
        issuer: best.issuer.clone(),
        valid_to: text(best.valid_to),
        id: digest(best.id.digest()),
        own_valid_to: text(best.own_valid_to),
        covers: covers.to_owned(),
        why: why.to_owned(),
        destinations: match &best.destinations {
            Destinations::Anywhere => Vec::new(),
            Destinations::Only(only) => only.iter().map(ToString::to_string).collect(),
        },
    }
}

fn row_message(row: &Row) -> v1::InventoryRow {
    let core = &row.node.core;
    v1::InventoryRow {
        id: digest(row.node.id.digest()),
        name: name(core.kind, &row.node.record).unwrap_or_default(),
        origin: core.origin.map_or_else(String::new, |origin| origin.to_string()),
        modality: core.modality.iter().map(ToString::to_string).collect(),
        grade: row.grade.clone(),
        country: core.country.map_or_else(String::new, |country| country.to_string()),
        assessment: row.assessment.as_ref().map(assessment_message),
        gaps: row.gaps.iter().map(ToString::to_string).collect(),
    }
}

/// Judges a bundle that nobody is given.
pub(super) fn check(shared: &Shared, caller: &Caller, request: &v1::CheckRequest) -> Result<v1::CheckResponse, Status> {
    let tree_size = pinned(shared, request.tree_size)?;
    let id = node_id("id", &request.id)?;
    let policy = read_policy(&request.policy)?;
    let trust = read_trust(&request.trust)?;
    let node = shared.store.node(&id).map_err(status::read)?;
    let of_shipment = node.filter(|node| node.core.kind == Kind::Shipment).and_then(|node| node.core.country);
    let asked = Asked {
        destination: destination(&request.destination)?.or(of_shipment),
        date: day(shared, "date", &request.date)?,
        purposes: request.purposes.iter().map(|text| purpose(text)).collect::<Result<_, _>>()?,
    };
    if asked.destination.is_none() {
        return Err(bad_field("destination", "DESTINATION_MISSING", "nothing says where it goes"));
    }
    let sees_all = caller.sees_details && caller.covers(None);
    let disclose = if sees_all { Disclose::All } else { Disclose::Minimal };
    let bundle = shared
        .store
        .prove(
            &id,
            &ProveOptions { disclose, at: Some(tree_size), since: Vec::new(), witnesses: shared.witnesses.clone() },
        )
        .map_err(status::prove)?;
    let report = judge(&bundle, &trust, &policy, &asked).map_err(status::broken)?;
    let finding = |finding: &griptrace_verifier::finding::Finding| v1::CheckFinding {
        code: finding.code.as_str().to_owned(),
        when: finding.when.as_str().to_owned(),
        node: finding.node.map_or_else(Bytes::new, |id| digest(id.digest())),
        text: finding.text.clone(),
        clear: remedy(finding.code).to_owned(),
    };
    let findings: Vec<v1::CheckFinding> = blocking(&report).into_iter().map(finding).collect();
    let verdict = verdict(&report).as_str().to_owned();
    Ok(v1::CheckResponse { tree_size, blocks: !findings.is_empty(), verdict, findings })
}

fn read_policy(text: &str) -> Result<Policy, Status> {
    policy::parse("policy", text).map_err(|error| malformed("policy", &error))
}

fn read_trust(text: &str) -> Result<Trust, Status> {
    trust::parse("trust", text).map_err(|error| malformed("trust", &error))
}

fn malformed(field: &str, error: &ConfigError) -> Status {
    bad_field(field, "FILE_MALFORMED", error)
}

fn destination(text: &str) -> Result<Option<Country>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || bad_field("destination", "COUNTRY_MALFORMED", "a country is two capital letters, such as DE");
    Country::parse(text).map(Some).ok_or_else(wrong)
}

fn purpose(text: &str) -> Result<Word, Status> {
    let wrong = || bad_field("purposes", "WORD_MALFORMED", format_args!("{text:?} is no word of a vocabulary"));
    Word::parse(text).ok_or_else(wrong)
}
