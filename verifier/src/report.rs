//! What verification found: the data that words and JSON are made of.

use alloc::{string::String, vec::Vec};

use griptrace_core::{
    date::Date,
    digest::Digest,
    id::{KeyId, NodeId},
    word::{Country, Word},
};

use crate::finding::{Finding, Verdict};

/// Where a time comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeFrom {
    /// The cosignature that completed the quorum.
    Witnesses,
    /// The log operator's own status head.
    Operator,
    /// The buyer's clock or `--at`.
    Buyer,
    /// Nothing in the bundle says.
    Nothing,
}

/// The judgement at one time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The time that it is for: Unix time in seconds.
    pub time: Option<u64>,
    /// Where that time comes from.
    pub time_from: TimeFrom,
}

/// The policy that was judged by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyName {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// `reference` or `binding`.
    pub status: String,
}

/// One log of the bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogReport {
    /// Its origin.
    pub origin: String,
    /// Size of the newest checkpoint.
    pub size: u64,
    /// Names of the trusted witnesses that cosigned the newest checkpoint.
    pub cosigned_by: Vec<String>,
    /// Names of those of them that say, with a key of their own for it, that they recomputed its status map.
    pub map_by: Vec<String>,
    /// Time of the newest checkpoint: Unix time in seconds.
    pub time: Option<u64>,
    /// The latest time as of which it was still the newest: Unix time in seconds. That may be before `time`, where the
    /// last of the quorum came late.
    pub as_of: Option<u64>,
    /// Where these times come from.
    pub time_from: TimeFrom,
    /// Whose signatures its records stand under, by name.
    pub parties: Vec<PartyReport>,
}

/// Who vouches for records of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartyReport {
    /// The committer's name in the trust file.
    pub name: String,
    /// Records that its signatures cover.
    pub nodes: u64,
    /// The same by kind, each kind by its word.
    pub kinds: Vec<(String, u64)>,
}

/// A log that was shown to have only grown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrowthReport {
    /// Its origin.
    pub origin: String,
    /// The size that was seen before.
    pub from_size: u64,
    /// Size of the newest checkpoint.
    pub to_size: u64,
}

/// The shipped model files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelReport {
    /// The Model nodes.
    pub nodes: Vec<NodeId>,
    /// Names, where disclosed.
    pub names: Vec<String>,
    /// BLAKE3 of the one shipped file, or the content digest of several; `None` if not all are shown.
    pub digest: Option<Digest>,
    /// Files that shipped, as far as their lists are shown.
    pub files: u64,
    /// Whether what the buyer has in hand is it; `None` if nothing was compared.
    pub matched: Option<bool>,
}

/// The shipment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShipmentReport {
    /// The Shipment node.
    pub id: NodeId,
    /// When it left.
    pub date: Option<Date>,
    /// Where it goes.
    pub destination: Option<Country>,
    /// To whom, if disclosed.
    pub consignee: Option<String>,
}

/// Whose word an assessment is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Strength {
    /// The committer's.
    Stated,
    /// The assessor's, by signature.
    Signed,
}

/// What ends an assessment before its own last day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// The policy's validity.
    Policy,
    /// An assessment that takes its place ends earlier.
    Successor,
}

impl Cut {
    /// Says it, behind the day.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Policy => " by the policy",
            Self::Successor => " by what took its place",
        }
    }
}

/// The assessment that covers a source best.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssessmentReport {
    /// The Assessment node.
    pub id: NodeId,
    /// Signed or stated.
    pub strength: Strength,
    /// The scheme.
    pub scheme: Word,
    /// The assessor's name in the trust file, or what the committer discloses.
    pub issuer: Option<String>,
    /// First day of validity.
    pub valid_from: Date,
    /// Last day on which it counts, by itself or by the policy.
    pub valid_to: Option<Date>,
    /// Last day by itself.
    pub stated_to: Option<Date>,
    /// What ends it before that.
    pub cut: Option<Cut>,
    /// The node that it opens: the source, or what crossed the border.
    pub subject: NodeId,
}

/// One source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceReport {
    /// The Dataset node.
    pub id: NodeId,
    /// Its name, if disclosed.
    pub name: Option<String>,
    /// Whether neither its name nor its content is shown.
    pub hidden: bool,
    /// Its modalities.
    pub modality: Vec<Word>,
    /// Collected or external.
    pub origin: String,
    /// Where its bytes are: `here`, `origin-only` (never left its site, known by digest), `destroyed`.
    pub held: String,
    /// The stated grade.
    pub grade: Option<Word>,
    /// The grade that counts, `undetermined` included.
    pub effective_grade: String,
    /// Where it lies.
    pub country: Option<Country>,
    /// Whether the policy has it in scope.
    pub in_scope: bool,
    /// The assessment that covers it best, now.
    pub assessment: Option<AssessmentReport>,
    /// The assessment that covered it best on the day of the shipment. Words and JSON have only the one of now.
    pub assessment_at_shipment: Option<AssessmentReport>,
    /// The verdict on the day of the shipment: the worst of how it is covered and of what was found of it.
    pub at_shipment: Verdict,
    /// The verdict now.
    pub now: Verdict,
    /// The origin of the log that it is recorded in.
    pub log: String,
    /// Who recorded it, by the name in the trust file.
    pub party: String,
}

/// Data that changed country.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrossingReport {
    /// What crossed.
    pub node: NodeId,
    /// Its name, if disclosed.
    pub name: Option<String>,
    /// The step or shipment that took it across.
    pub by: NodeId,
    /// From where.
    pub from: Option<Country>,
    /// To where.
    pub to: Option<Country>,
    /// When.
    pub date: Option<Date>,
    /// The basis that the step states.
    pub basis: Option<Word>,
    /// Sources behind it that a rule of the policy asks an assessment for.
    pub required: u64,
    /// How many of them are covered, or exempt.
    pub covered: u64,
    /// Who recorded the step or shipment, by the name in the trust file.
    pub party: String,
}

/// A detail that the bundle opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DetailReport {
    /// The node.
    pub node: NodeId,
    /// The slot's name, or its number if this version does not know it.
    pub name: String,
    /// The value on one line.
    pub value: String,
}

/// A key that the verdict rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyReport {
    /// The party's name in the trust file.
    pub party: String,
    /// What it did: `log`, `witness`, `committer`, `assessor`.
    pub role: String,
    /// The full hash of the key; of a note's key, that of its bytes.
    pub key: KeyId,
}

/// All that verification found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The digest of the bundle's file.
    pub bundle_digest: Digest,
    /// The verdict on the product.
    pub verdict: Verdict,
    /// Whether no finding that counts has the severity error.
    pub policy_met: bool,
    /// The judgement on the day of the shipment.
    pub at_shipment: Judgement,
    /// The judgement now.
    pub now: Judgement,
    /// The policy.
    pub policy: PolicyName,
    /// The logs.
    pub logs: Vec<LogReport>,
    /// The model.
    pub model: ModelReport,
    /// The shipment; `None` in a pre-check.
    pub shipment: Option<ShipmentReport>,
    /// The sources, by id.
    pub sources: Vec<SourceReport>,
    /// The crossings, by date.
    pub crossings: Vec<CrossingReport>,
    /// The opened details, by node and slot.
    pub details: Vec<DetailReport>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// The keys that the verdict rests on.
    pub keys: Vec<KeyReport>,
    /// Logs that were shown to have only grown since an older file.
    pub history: Vec<GrowthReport>,
    /// Digests of the updates that the bundle was made with, in order.
    pub updated_with: Vec<Digest>,
    /// Nodes that were checked.
    pub nodes: u64,
}
