//! Steps 11 to 15: what the evidence says, on the day of the shipment and now.

mod answer;
mod cover;
mod crossing;
mod grade;
mod mark;
mod order;
mod statement;
mod time;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use griptrace_core::{
    date::Date,
    id::NodeId,
    node::{Kind, Origin},
    value::Value,
    word::{Country, Word},
};

pub(crate) use answer::{Answer, answer};
pub(crate) use cover::{Cover, Vouched};
pub(crate) use crossing::{Crossing, SourceState, count_sources};
pub(crate) use grade::grade_word;

use crate::{
    evidence::{CheckedCommit, Closure, Evidence, Node, Ordinal},
    finding::{Code, Finding, When},
    policy::Policy,
    question::Question,
    trust::{Role, Trust, TrustedCommitter},
};

/// What is judged, and by what.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) trust: &'a Trust,
    pub(crate) policy: &'a Policy,
    pub(crate) question: &'a Question,
    /// What the buyer uses the model for, from the question and the trust file.
    pub(crate) purposes: Vec<Word>,
    /// Whose word each assessment is.
    pub(crate) words: BTreeMap<Ordinal, Vouched>,
}

/// The findings so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

/// Findings of one code that are listed one by one; the rest is counted.
const LISTED_MAX: usize = 1_000;

impl Findings {
    /// Adds a finding, at the policy's severity. The same one at both times becomes one.
    pub(crate) fn add(&mut self, policy: &Policy, code: Code, when: When, node: Option<NodeId>, text: String) {
        let same = |f: &&mut Finding| f.code == code && f.node == node && f.text == text;
        if let Some(known) = self.0.iter_mut().rev().take(LISTED_MAX).find(same) {
            if known.when != when {
                known.when = When::Always;
            }
            return;
        }
        self.0.push(Finding { code, severity: policy.severity(code), node, when, text });
    }

    /// Returns the findings, the worst first.
    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by(|a, b| {
            (b.severity, b.code.verdict(), a.code, a.node, a.when).cmp(&(
                a.severity,
                a.code.verdict(),
                b.code,
                b.node,
                b.when,
            ))
        });
        let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        for mut finding in self.0 {
            let count = counts.entry(finding.code).or_default();
            *count = count.saturating_add(1);
            if *count == LISTED_MAX {
                finding.text = format!("{} (further findings of this code are not listed)", finding.text);
            }
            if *count <= LISTED_MAX {
                kept.push(finding);
            }
        }
        kept
    }
}

/// One of the two times at which the evidence is judged.
#[derive(Debug)]
pub(crate) struct Instant<'a> {
    pub(crate) when: When,
    pub(crate) closure: &'a Closure,
    /// Members that a walk from the root or from a superseded one's successor visits, parents first.
    pub(crate) order: Vec<Ordinal>,
    pub(crate) marks: mark::Marks,
    /// Effective grade by ordinal: a rank in the policy's vocabulary, its length for undetermined.
    pub(crate) grades: BTreeMap<Ordinal, usize>,
    /// Purposes along the paths to the root, by ordinal.
    pub(crate) purposes: BTreeMap<Ordinal, BTreeSet<Word>>,
}

/// The judgement at one time.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) sources: BTreeMap<Ordinal, SourceState>,
    pub(crate) crossings: Vec<Crossing>,
    /// Effective grade by ordinal.
    pub(crate) grades: BTreeMap<Ordinal, usize>,
}

impl<'a> Case<'a> {
    /// Puts together what is judged.
    pub(crate) fn new(
        evidence: &'a Evidence,
        trust: &'a Trust,
        policy: &'a Policy,
        question: &'a Question,
        findings: &mut Findings,
    ) -> Self {
        let mut purposes = question.purposes.clone();
        purposes.extend(trust.expect.purposes.iter().cloned());
        purposes.sort();
        purposes.dedup();
        let mut case = Self { evidence, trust, policy, question, purposes, words: BTreeMap::new() };
        case.words = cover::check_words(&case, findings);
        case
    }

    /// Judges at one time.
    pub(crate) fn judge(&self, when: When, findings: &mut Findings) -> Judged {
        let closure = if when == When::AtShipment { &self.evidence.shipped } else { &self.evidence.newest };
        let order = order::parents_first(self.evidence, closure);
        let mut instant = Instant {
            when,
            closure,
            order,
            marks: mark::Marks::default(),
            grades: BTreeMap::new(),
            purposes: BTreeMap::new(),
        };
        // Step 12.
        instant.marks = mark::read_marks(self, &instant, findings);
        // Step 13.
        instant.grades = grade::effective_grades(self, &instant, findings);
        instant.purposes = order::purposes_along_paths(self, &instant);
        statement::check_statements(self, &instant, findings);
        // Steps 11 and 14.
        let crossings = crossing::find_crossings(self, &instant, findings);
        let sources = crossing::judge_sources(self, &instant, &crossings, findings);
        time::check_times(self, &instant, &crossings, findings);
        Judged { sources, crossings, grades: instant.grades }
    }

    pub(crate) fn node(&self, ordinal: Ordinal) -> Option<&'a Node> {
        self.evidence.node(ordinal)
    }

    fn commit_of(&self, node: &Node) -> Option<&'a CheckedCommit> {
        self.evidence.commit_of(node)
    }

    /// Returns the committer who recorded a node.
    pub(crate) fn committer_of(&self, node: &Node) -> Option<&'a TrustedCommitter> {
        self.trust.committers.get(self.commit_of(node)?.committer)
    }

    /// Tells whether the party that recorded a node has a role for its log, by any entry of the
    /// trust file with the same party and key.
    pub(crate) fn has_role(&self, node: &Node, role: Role) -> bool {
        let Some(known) = self.committer_of(node) else { return false };
        let origin =
            self.commit_of(node).and_then(|c| self.evidence.logs.get(c.log)).map(|log| log.genesis.origin.as_str());
        let day = Date::from_unix(self.evidence.anchor_of(node).map_or(u64::MAX, |anchor| anchor.time));
        self.trust.committers.iter().any(|other| {
            other.name == known.name
                && other.key == known.key
                && other.roles.contains(&role)
                && other.log.as_deref().is_none_or(|log| Some(log) == origin)
                && other.from.is_none_or(|from| from <= day)
                && other.to.is_none_or(|to| day <= to)
        })
    }

    /// Returns a disclosed detail.
    pub(crate) fn detail(node: &'a Node, name: &str) -> Option<&'a Value> {
        node.details.get(&griptrace_core::details::slot(node.core.kind, name)?)
    }

    /// Returns a disclosed name.
    pub(crate) fn name(node: &Node) -> Option<String> {
        let slot = griptrace_core::details::slot(node.core.kind, "name")?;
        node.details.get(&slot).and_then(Value::as_text).map(Into::into)
    }

    /// Returns the date and country of the shipment; of a pre-check, the buyer's now and destination.
    pub(crate) fn shipment(&self) -> (Option<Date>, Option<Country>) {
        match self.node(self.evidence.root) {
            Some(root) if root.core.kind == Kind::Shipment => (root.core.date, root.core.country),
            _ => (Some(self.question.now), self.destination()),
        }
    }

    /// Returns the destination that the buyer asks for.
    pub(crate) fn destination(&self) -> Option<Country> {
        self.question.destination.or(self.trust.expect.destination)
    }
}

/// Tells whether a node may end a walk (Rule R1): only a Dataset that says collected or external.
pub(crate) fn is_source(node: &Node) -> bool {
    matches!(node.core.origin, Some(Origin::Collected | Origin::External))
}
