//! What the verifier said, and what it was asked: for the page, arranged by assessment.

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    bundle::bundle_digest,
    date::Date,
    digest::Digest,
    id::NodeId,
    word::{Country, Word},
};
use griptrace_verifier::{
    finding::{Code, Finding, Verdict, When},
    question::{ModelInHand, Question},
    report::{AssessmentReport, Report, SourceReport, Strength},
};
use griptrace_verify::Inputs;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::facts::Item;

/// What stands in a finding before the id of the assessment that it is about.
const NAMED: &str = ": assessment ";

/// How the verifier judged one assessment of one node, at one time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Standing {
    /// It covers.
    Covers(Strength),
    /// It covered on the day that counts, and this was its last day.
    Lapsed(Date),
    /// It does not, by this finding.
    CoversNot {
        /// What was found.
        code: Code,
        /// Where and why, in the verifier's words.
        why: String,
    },
    /// The report does not name it: another one counts, none was asked for, or there were too many findings to list.
    Unnamed,
}

/// What was asked: the arguments, and what the trust file said where they said nothing. None of it is the bundle's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// The day that counted as now.
    pub(crate) now: Date,
    /// Whether the arguments named that day; otherwise it is the clock's.
    pub(crate) is_now_given: bool,
    /// Where the buyer is.
    pub(crate) destination: Option<Country>,
    /// Who the buyer is.
    pub(crate) consignee: Option<String>,
    /// What the buyer uses the model for, sorted.
    pub(crate) purposes: Vec<Word>,
    /// The model as the reader has it.
    pub(crate) model: ModelInHand,
    /// The folder that it lies in, if it is one.
    pub(crate) folder: Option<String>,
    /// SHA-256 of the trust file, as it was read.
    pub(crate) trust_sha256: Digest,
    /// SHA-256 of the policy, as it was read.
    pub(crate) policy_sha256: Digest,
}

impl Asked {
    /// Fills in what the trust file expects, as the verifier does.
    pub(crate) fn of(question: &Question, inputs: &Inputs, asked: &griptrace_verify::Asked) -> Self {
        let folder = asked.model.as_ref().filter(|_| matches!(question.model, ModelInHand::Folder(_)));
        Self {
            now: question.now,
            is_now_given: asked.at.is_some(),
            destination: question.destination(&inputs.trust),
            consignee: question.consignee(&inputs.trust).map(str::to_owned),
            purposes: question.purposes(&inputs.trust),
            model: question.model.clone(),
            folder: folder.map(|path| path.display().to_string()),
            trust_sha256: sha256(&inputs.trust_file),
            policy_sha256: sha256(&inputs.policy_file),
        }
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// The file that was given. What is told may be of what updates made of it, and papers name what was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Given {
    /// The digest that reports and labels name it by.
    pub(crate) digest: Digest,
    pub(crate) bytes: usize,
    /// SHA-256 of each update, in order.
    pub(crate) updates: Vec<Digest>,
}

impl Given {
    pub(crate) fn new(file: &[u8], updates: &[Vec<u8>]) -> Self {
        Self { digest: bundle_digest(file), bytes: file.len(), updates: updates.iter().map(sha256).collect() }
    }
}

/// What the verifier found, under what question.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) report: Report,
    pub(crate) asked: Asked,
    at_shipment: Standings,
    now: Standings,
}

impl Judged {
    pub(crate) fn new(report: Report, asked: Asked) -> Self {
        let at = |when, of: fn(&SourceReport) -> Option<&AssessmentReport>| Standings {
            covers: report.sources.iter().filter_map(of).map(|a| ((a.id, a.subject), a.strength)).collect(),
            lapsed: if when == When::Now { lapsed(&report, of) } else { BTreeMap::new() },
            misses: misses(&report.findings, when),
        };
        let at_shipment = at(When::AtShipment, |source| source.assessment_at_shipment.as_ref());
        let now = at(When::Now, |source| source.assessment.as_ref());
        Self { report, asked, at_shipment, now }
    }

    /// Returns what was found of a source.
    pub(crate) fn source(&self, id: &NodeId) -> Option<&SourceReport> {
        let place = self.report.sources.binary_search_by_key(id, |source| source.id).ok()?;
        self.report.sources.get(place)
    }

    /// Tells whether the evidence does not hold together.
    pub(crate) fn is_broken(&self) -> bool {
        self.report.verdict == Verdict::Broken
    }

    /// Returns how an assessment of a node was judged, on the day of the shipment and now.
    pub(crate) fn standing(&self, assessment: &NodeId, subject: &Item) -> [Standing; 2] {
        [&self.at_shipment, &self.now].map(|standings| standings.of(assessment, subject))
    }

    /// Returns the question for programs.
    pub(crate) fn asked_json(&self) -> Json {
        let asked = &self.asked;
        json!({
            "now": asked.now.to_string(),
            "destination": asked.destination.map(|country| country.to_string()),
            "consignee": asked.consignee,
            "purposes": asked.purposes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "policy": { "id": self.report.policy.id, "version": self.report.policy.version,
                        "status": self.report.policy.status, "sha256": asked.policy_sha256.to_string() },
            "trust_sha256": asked.trust_sha256.to_string(),
        })
    }
}

/// What a report says of assessments at one time.
#[derive(Debug)]
struct Standings {
    /// By assessment and what it opens.
    covers: BTreeMap<(NodeId, NodeId), Strength>,
    /// What covered and has ended since: its last day.
    lapsed: BTreeMap<(NodeId, NodeId), Date>,
    /// By assessment, and by the source that it does not cover.
    misses: BTreeMap<NodeId, BTreeMap<NodeId, (Code, String)>>,
}

impl Standings {
    fn of(&self, assessment: &NodeId, subject: &Item) -> Standing {
        if let Some(end) = self.lapsed.get(&(*assessment, subject.id)) {
            return Standing::Lapsed(*end);
        }
        if let Some(strength) = self.covers.get(&(*assessment, subject.id)) {
            return Standing::Covers(*strength);
        }
        // What crosses a border is opened in place of the sources behind it; the findings name those.
        let any = |misses: &BTreeMap<NodeId, (Code, String)>| {
            misses.values().next().filter(|_| !subject.is_source()).cloned()
        };
        let misses = self.misses.get(assessment);
        let miss = misses.and_then(|misses| misses.get(&subject.id).cloned().or_else(|| any(misses)));
        miss.map_or(Standing::Unnamed, |(code, why)| Standing::CoversNot { code, why })
    }
}

/// Finds which assessments covered and have ended since, by the sources of which the verifier says so.
fn lapsed(report: &Report, of: fn(&SourceReport) -> Option<&AssessmentReport>) -> BTreeMap<(NodeId, NodeId), Date> {
    let lapsed = |finding: &&Finding| finding.code == Code::LapsedSince;
    let sources: BTreeSet<NodeId> = report.findings.iter().filter(lapsed).filter_map(|finding| finding.node).collect();
    let told = report.sources.iter().filter(|source| sources.contains(&source.id)).filter_map(of);
    told.filter_map(|told| Some(((told.id, told.subject), told.valid_to?))).collect()
}

/// Finds which assessments do not cover what, and why. Of several findings on both the first, which is the heaviest, counts.
fn misses(findings: &[Finding], when: When) -> BTreeMap<NodeId, BTreeMap<NodeId, (Code, String)>> {
    let mut misses: BTreeMap<NodeId, BTreeMap<NodeId, (Code, String)>> = BTreeMap::new();
    // What is found at both times is listed once, as always.
    for finding in findings.iter().filter(|finding| finding.when == when || finding.when == When::Always) {
        let (Some(source), Some((assessment, why))) = (finding.node, named(&finding.text)) else { continue };
        misses.entry(assessment).or_default().entry(source).or_insert((finding.code, why));
    }
    misses
}

/// Takes a finding on an assessment apart: its id, and the text without it. What stands before the id is the verifier's
/// own; a name that somebody chose may come only after it, and so can't pass for one.
fn named(text: &str) -> Option<(NodeId, String)> {
    let (place, rest) = text.split_once(NAMED)?;
    let (id, why) = rest.split_once(": ")?;
    Some((NodeId::from_hex(id)?, format!("{place}: {why}")))
}
