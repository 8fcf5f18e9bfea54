//! The verdict on a bundle, signed by who verifies: `griptrace export svr`, `griptrace export vsa`.

use std::path::{Path, PathBuf};

use griptrace_core::key::Signer as _;
use griptrace_export::{
    lineage::Lineage,
    statement::{envelope, holds_only},
    verdict::Judged,
};
use griptrace_verifier::known::Known;
use griptrace_verify::Asked;
use serde_json::json;

use super::{Written, json_file, write};
use crate::{
    clock,
    commands::verify::{errors_json, judge, verdict_lines},
    context::{Answer, Context, IsOwn, refuse_inside},
    error::CommandError,
    keyfile,
};

/// What is verified, against what, and who says so
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle
    pub(crate) bundle: PathBuf,
    /// Whom you believe: your own trust file
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// What you ask for: your own policy
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// The key to sign with: yours, who verify
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
    /// Who you are, as a URI [default: a URN of the key]
    #[arg(long, value_name = "URI", value_parser = uri)]
    pub(crate) verifier: Option<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Reads a URI as far as its scheme, for clap.
fn uri(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = named && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && visible).then(|| text.to_owned()).ok_or_else(|| "a URI begins with a scheme, such as https:".to_owned())
}

/// As what a verdict is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// A simple verification result.
    Svr,
    /// A SLSA verification summary.
    Vsa,
}

pub(super) fn run(context: &Context, args: &Args, format: Format) -> Result<Answer, CommandError> {
    let today = clock::today();
    if let Some(day) = args.asked.at.filter(|day| *day > today) {
        let text = format!("--at {day} is after today, {today}: nobody can sign what holds on a day that is to come");
        return Err(CommandError::failed(text).with_hint("griptrace verify --at tells what would hold then"));
    }
    refuse_inside(&args.output, args.asked.model.as_slice())?;
    let key = keyfile::read(&args.key)?.signer()?;
    let (judged, inputs) = judge(&args.bundle, (&args.trust, &args.policy), &args.asked)?;
    let report = &judged.report;
    let lineage = Lineage::read(&judged.file, &inputs.trust, &Known::default()).ok();
    let verifier = args.verifier.clone().unwrap_or_else(|| format!("urn:griptrace:key:{}", key.public_key().id()));
    let verdict = Judged {
        report,
        question: &judged.question,
        bundle: &judged.file,
        given: &inputs.given,
        updates: &inputs.updates,
        lineage: lineage.as_ref(),
        trust: &inputs.trust,
        trust_file: inputs.trust_file.as_bytes(),
        policy: inputs.policy_file.as_bytes(),
        verifier: &verifier,
        time: clock::now(),
    };
    let (statement, name) = match format {
        Format::Svr => (verdict.svr(), "simple verification result"),
        Format::Vsa => (verdict.vsa(), "verification summary"),
    };
    let bytes = json_file(&envelope(&statement, &key));
    let files: Vec<&Path> = [&args.bundle, &args.trust, &args.policy, &args.key]
        .into_iter()
        .chain(&args.asked.model)
        .chain(&args.asked.updates)
        .map(PathBuf::as_path)
        .collect();
    let more = [
        ("verdict", json!(report.verdict.as_str())),
        ("policy_met", json!(report.policy_met)),
        ("errors", errors_json(report)),
    ];
    let is_own = |old: &[u8]| holds_only(old, &statement, true);
    let kind: (&str, IsOwn<'_>) = (name, &is_own);
    write(context, &Written { path: &args.output, bytes: &bytes, kind, inputs: &files, more: &more })?;
    if !context.output.is_json() {
        verdict_lines(report).iter().try_for_each(|line| context.output.line(line))?;
    }
    Ok(if report.policy_met { Answer::YES } else { Answer::NO })
}
