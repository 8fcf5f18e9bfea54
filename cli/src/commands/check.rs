//! `griptrace check`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    date::Date,
    node::Kind,
    word::{Country, Word},
};
use griptrace_verifier::{
    finding::{Code, Finding, Severity, Verdict, When},
    policy::Policy,
    question::{ModelInHand, Question},
    render::meaning,
    report::Report,
    trust::{self, Trust},
    verify::verify,
};
use serde_json::json;

use super::{
    policy::{config_error, load},
    prove::{Opened, bundle},
    trust::own,
};
use crate::{
    arguments::{country, date, word},
    context::{Answer, Context, or_today},
    error::CommandError,
    resolve::resolve_kind,
    view,
    workspace::Workspace,
};

/// Tell what blocks a shipment, and what would clear it
///
/// Exit code 1 if something blocks. A model is checked as if it shipped on the day given.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model or shipment
    pub(crate) node: String,
    /// The policy file
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Where it goes [default: the shipment's country]
    #[arg(long, value_parser = country)]
    pub(crate) destination: Option<Country>,
    /// When it leaves [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) date: Option<Date>,
    /// What it is for (can be repeated)
    #[arg(long, value_parser = word)]
    pub(crate) purpose: Vec<Word>,
    /// Judge with this trust file [default: the own keys, and those of recorded assessors]
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

/// Findings that a pre-check always has.
const OF_A_PRE_CHECK: [Code; 3] = [Code::NoShipment, Code::ModelNotChecked, Code::DestinationNotChecked];

/// What would clear a finding, said to the exporter; others are explained as to a buyer.
const REMEDIES: &[(Code, &str)] = &[
    (Code::AssessmentMissing, "have the source or what crosses assessed, then `griptrace assess record`"),
    (Code::AssessmentOnlyStated, "ask the assessor to sign: `griptrace assess sign`, then `griptrace assess record`"),
    (Code::AssessmentExpired, "have the assessment renewed, or ship before it ends"),
    (Code::AssessmentNotYetValid, "ship after the assessment's first day of validity"),
    (Code::AssessmentScheme, "have it assessed under a scheme that the policy accepts here"),
    (Code::AssessmentPurpose, "have the purpose assessed too"),
    (Code::AssessmentModality, "have the modality assessed too"),
    (Code::AssessmentGrade, "have it assessed up to the effective grade"),
    (Code::AssessmentDestination, "have the destination assessed too, or ship elsewhere"),
    (Code::AssessmentRefused, "leave this source out and train again"),
    (Code::AssessmentWithdrawn, "have it assessed again, or leave this source out and train again"),
    (Code::AssessorUntrusted, "name the assessor's key in the trust file, once confirmed"),
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
    (Code::Withdrawn, "leave it out and train again"),
    (Code::Recalled, "nothing: what was recalled does not ship"),
    (Code::Refused, "leave it out and train again"),
];

/// What is asked of a bundle.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Where it goes.
    pub(crate) destination: Option<Country>,
    /// On which day.
    pub(crate) date: Date,
    /// What for.
    pub(crate) purposes: Vec<Word>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let id = resolve_kind(&workspace, &context.output, &args.node, &[Kind::Model, Kind::Shipment])?;
    let policy = load(&args.policy)?;
    let trust = match &args.trust {
        Some(path) => load_trust(path)?,
        None => own_trust(&workspace)?,
    };
    let node = workspace.node(&id)?;
    let destination = args.destination.or(node.core.country.filter(|_| node.core.kind == Kind::Shipment));
    if destination.is_none() {
        return Err(CommandError::failed("nothing says where it goes").with_hint("add --destination DE"));
    }
    let asked = Asked { destination, date: or_today(args.date), purposes: args.purpose.clone() };
    let report = judge(&bundle(&workspace, &id, Opened::All)?, &trust, &policy, &asked)?;
    tell(context, &workspace, &report)
}

/// Reads a trust file.
pub(crate) fn load_trust(path: &Path) -> Result<Trust, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|e| CommandError::file("read", path, e))?;
    trust::parse(&path.display().to_string(), &text).map_err(config_error)
}

/// Returns a trust file of the own keys and those that statement files brought.
pub(crate) fn own_trust(workspace: &Workspace) -> Result<Trust, CommandError> {
    trust::parse("the own trust file", &own(workspace, false)?).map_err(|e| {
        config_error(e).with_hint("write one with `griptrace trust init`, correct it, and name it with --trust")
    })
}

/// Judges a bundle as a buyer would, without a file in hand.
pub(crate) fn judge(bytes: &[u8], trust: &Trust, policy: &Policy, asked: &Asked) -> Result<Report, CommandError> {
    let question = Question {
        now: asked.date,
        destination: asked.destination,
        consignee: None,
        purposes: asked.purposes.clone(),
        model: ModelInHand::NotGiven,
    };
    verify(bytes, trust, policy, &question).map_err(|e| CommandError::because("the own evidence can't be read", e))
}

/// Returns the findings that block, without those that every pre-check has.
///
/// A model has no shipment yet, so that "at shipment" would be the day on which it was recorded: what
/// was recorded since, as an assessment of its sources, would not count. A shipment that is recorded
/// now is judged by what stands now.
pub(crate) fn blocking(report: &Report) -> Vec<&Finding> {
    let counts = |f: &&Finding| report.shipment.is_some() || f.when != When::AtShipment;
    let blocks = |f: &&Finding| f.severity == Severity::Error && !OF_A_PRE_CHECK.contains(&f.code);
    report.findings.iter().filter(blocks).filter(counts).collect()
}

/// Returns the verdict that counts, as for the findings.
fn verdict(report: &Report) -> Verdict {
    if report.shipment.is_some() { report.verdict } else { report.now.verdict }
}

/// Returns what would clear a finding.
fn remedy(code: Code) -> &'static str {
    let own = REMEDIES.iter().find(|(of, _)| *of == code).map(|(_, remedy)| *remedy);
    own.or_else(|| meaning(code).map(|meaning| meaning.clear)).unwrap_or("see docs/spec/verify.md")
}

fn tell(context: &Context, workspace: &Workspace, report: &Report) -> Result<Answer, CommandError> {
    let output = &context.output;
    let blocking = blocking(report);
    let mut codes: Vec<Code> = Vec::new();
    for finding in &blocking {
        if !codes.contains(&finding.code) {
            codes.push(finding.code);
        }
    }
    for code in &codes {
        let of_code: Vec<&&Finding> = blocking.iter().filter(|finding| finding.code == *code).collect();
        if !output.is_json() {
            output.line(format_args!("BLOCKS  {code}"))?;
        }
        let mut told: Vec<String> = Vec::new();
        for finding in of_code {
            let node = finding.node.and_then(|id| workspace.node(&id).ok());
            let title = node.as_ref().map(view::headline);
            let line = format!("  {}{}", title.as_ref().map_or_else(String::new, |t| format!("{t}: ")), finding.text);
            if output.is_json() {
                output.object(&json!({
                    "code": code.as_str(), "when": finding.when.as_str(), "node": finding.node.map(|id| id.to_string()),
                    "name": node.as_ref().and_then(crate::workspace::name), "text": finding.text, "clear": remedy(*code),
                }))?;
            } else if !told.contains(&line) {
                output.line(&line)?;
                told.push(line);
            }
        }
        if !output.is_json() {
            output.line(format_args!("  to clear: {}", remedy(*code)))?;
        }
    }
    let blocks = !codes.is_empty();
    let summary = json!({ "blocks": blocks, "verdict": verdict(report).as_str(), "policy": report.policy.id });
    let words =
        if blocks { "would not be met" } else { "would be met, as far as a check without buyer and file can tell" };
    let line = format!("{}: the policy {} {} {words}", verdict(report), report.policy.id, report.policy.version);
    output.either(&summary, &[line])?;
    Ok(if blocks { Answer::NO } else { Answer::YES })
}
