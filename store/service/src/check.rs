//! What blocks a shipment under a policy, before it leaves.

use griptrace_core::{
    bundle::BundleError,
    date::Date,
    word::{Country, Word},
};
use griptrace_verifier::{
    finding::{Code, Finding, Severity, Verdict, When},
    known::Known,
    policy::Policy,
    question::{ModelInHand, Question},
    render::meaning,
    report::Report,
    trust::Trust,
    verify::verify,
};

/// Findings that a pre-check always has.
const OF_A_PRE_CHECK: [Code; 3] = [Code::NoShipment, Code::ModelNotChecked, Code::DestinationNotChecked];

/// What would clear a finding, said to the exporter; others are explained as to a buyer.
const REMEDIES: &[(Code, &str)] = &[
    (
        Code::LogUntrusted,
        "of a supplier: adopt its bundle with a --trust file that has the log, or name such a file with --trust",
    ),
    (
        Code::CommitterUntrusted,
        "of a supplier: adopt its bundle with a --trust file that has the key, or name such a file with --trust",
    ),
    (
        Code::AssessmentMissing,
        "have the source or what crosses assessed, then `griptrace assess record`; where no assessment suffices, leave it out and train again, or ship elsewhere",
    ),
    (Code::AssessmentOnlyStated, "ask the assessor to sign: `griptrace assess sign`, then `griptrace assess record`"),
    (Code::AssessmentExpired, "have the assessment renewed, or ship before it ends"),
    (Code::AssessmentNotYetValid, "ship after the assessment's first day of validity"),
    (
        Code::AssessmentScheme,
        "have it assessed under a scheme that the policy accepts here; where it accepts none, leave it out and train again, or ship elsewhere",
    ),
    (Code::AssessmentPurpose, "have the purpose assessed too"),
    (Code::AssessmentModality, "have the modality assessed too"),
    (Code::AssessmentGrade, "have it assessed up to the effective grade"),
    (Code::AssessmentDestination, "have the destination assessed too, or ship elsewhere"),
    (Code::AssessmentRefused, "leave this source out and train again"),
    (Code::AssessmentWithdrawn, "have it assessed again, or leave this source out and train again"),
    (Code::AssessorUntrusted, "name the assessor's key in the trust file, once confirmed"),
    (
        Code::ModelNotOpened,
        "of another log: adopt the bundle of whose model it is; erased: nothing opens it in a new bundle, so that `griptrace prove --update-of` an older one, or record the model anew and ship that",
    ),
    (Code::UpstreamUnknown, "record what this was made from, or what its supplier proves of it"),
    (Code::NoSource, "record the sources that it was made from"),
    (Code::ForeignUnresolved, "ask the supplier for the evidence of the node in their log"),
    (
        Code::GradeUndetermined,
        "grade it, record it anew with its grade, and mark the old one `supersede`; or `griptrace mark reclassify`",
    ),
    (
        Code::GradeLowered,
        "record the higher grade, or have somebody trusted for it reclassify: `griptrace mark reclassify`",
    ),
    (Code::LicenceForbids, "get another licence, or leave this source out and train again"),
    (Code::LicenceUnknown, "record whether the licence allows this use: detail licence = { allows = true }"),
    (Code::PersonsNotExamined, "look for persons, and record it anew with the detail persons"),
    (Code::WeakDigest, "hash the bytes and record it anew"),
    (Code::CountryUndeclared, "record it anew with its country"),
    (Code::DateUndeclared, "record the step anew with its date"),
    (Code::DateInFuture, "correct the date: record it anew, then `griptrace mark supersede`"),
    (Code::RecordedAfterShipment, "nothing clears this afterwards: record first, then ship"),
    (Code::KeyRetired, "record it again, and what was made of it, with the key of now"),
    (Code::Withdrawn, "leave it out and train again"),
    (Code::Recalled, "nothing: what was recalled does not ship"),
    (Code::Refused, "leave it out and train again"),
];

/// What is asked of a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Where it goes.
    pub destination: Option<Country>,
    /// On which day.
    pub date: Date,
    /// What for.
    pub purposes: Vec<Word>,
}

/// Judges a bundle as a buyer would, without a file in hand.
///
/// # Errors
/// What the verifier can't read.
pub fn judge(bytes: &[u8], trust: &Trust, policy: &Policy, asked: &Asked) -> Result<Report, BundleError> {
    let question = Question {
        now: asked.date,
        destination: asked.destination,
        consignee: None,
        purposes: asked.purposes.clone(),
        model: ModelInHand::NotGiven,
        known: Known::default(),
    };
    verify(bytes, trust, policy, &question)
}

/// Returns the findings that block, without those that every pre-check has.
///
/// A model has no shipment yet, so that "at shipment" would be the day on which it was recorded: what
/// was recorded since, as an assessment of its sources, would not count. A shipment that is recorded
/// now is judged by what stands now.
pub fn blocking(report: &Report) -> Vec<&Finding> {
    let counts = |f: &&Finding| report.shipment.is_some() || f.when != When::AtShipment;
    let blocks = |f: &&Finding| f.severity == Severity::Error && !OF_A_PRE_CHECK.contains(&f.code);
    report.findings.iter().filter(blocks).filter(counts).collect()
}

/// Returns the report without the findings that every pre-check has, to be told.
pub fn without_those_of_a_pre_check(report: &Report) -> Report {
    let mut report = report.clone();
    if report.shipment.is_none() {
        report.findings.retain(|finding| !OF_A_PRE_CHECK.contains(&finding.code));
    }
    report
}

/// Returns the verdict that counts, as for the findings.
pub const fn verdict(report: &Report) -> Verdict {
    if report.shipment.is_some() { report.verdict } else { report.now.verdict }
}

/// What clears [`Code::CommitterUntrusted`] of a commit in the exporter's own log, where no supplier has to be asked.
pub const OWN_COMMITTER_REMEDY: &str = "it is of this log: `griptrace trust init` names all keys of the own party; whoever else commits to it has to be named, once confirmed, in a file for --trust";

/// Returns what would clear a finding.
pub fn remedy(code: Code) -> &'static str {
    let own = REMEDIES.iter().find(|(of, _)| *of == code).map(|(_, remedy)| *remedy);
    own.or_else(|| meaning(code).map(|meaning| meaning.clear)).unwrap_or("see docs/spec/verify.md")
}
