//! The verdict on a bundle, signed by who verifies: `griptrace export svr`, `griptrace export vsa`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    key::Signer as _,
    word::{Country, Word},
};
use griptrace_export::{lineage::Lineage, statement::envelope, verdict::Judged};
use griptrace_verifier::report::Report;
use serde_json::json;

use super::{Written, json_file, write};
use crate::{
    arguments::{country, word},
    clock,
    commands::check::load_trust,
    context::{Answer, Context, read_bundle, read_file},
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
    /// The model as you have it: exactly this folder's files, or one file
    #[arg(long, value_name = "DIR_OR_FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Where you are: a country code such as DE [default: the trust file's]
    #[arg(long, value_name = "CC", value_parser = country)]
    pub(crate) destination: Option<Country>,
    /// Who you are, as shipments name you [default: the trust file's]
    #[arg(long, value_name = "NAME")]
    pub(crate) consignee: Option<String>,
    /// What you use the model for (can be repeated)
    #[arg(long, value_name = "PURPOSE", value_parser = word)]
    pub(crate) purpose: Vec<Word>,
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
    let key = keyfile::read(&args.key)?.signer()?;
    let bundle = read_bundle(&args.bundle)?;
    let report = judge(args, &bundle)?;
    let lineage = Lineage::read(&bundle, &load_trust(&args.trust)?).ok();
    let verifier = args.verifier.clone().unwrap_or_else(|| format!("urn:griptrace:key:{}", key.public_key().id()));
    let judged = Judged {
        report: &report,
        bundle: &bundle,
        lineage: lineage.as_ref(),
        trust: &read_file(&args.trust)?,
        policy: &read_file(&args.policy)?,
        verifier: &verifier,
        time: clock::now(),
    };
    let (statement, name) = match format {
        Format::Svr => (judged.svr(), "simple verification result"),
        Format::Vsa => (judged.vsa(), "verification summary"),
    };
    let bytes = json_file(&envelope(&statement, &key));
    let inputs: Vec<&Path> = [&args.bundle, &args.trust, &args.policy, &args.key]
        .into_iter()
        .chain(&args.model)
        .map(PathBuf::as_path)
        .collect();
    let more = [("verdict", json!(report.verdict.as_str())), ("policy_met", json!(report.policy_met))];
    let kind = (name, br#"{"payload":""#.as_slice());
    write(context, &Written { path: &args.output, bytes: &bytes, kind, inputs: &inputs, more: &more })?;
    if !context.output.is_json() {
        let met = if report.policy_met { "met" } else { "not met" };
        context.output.line(format_args!("{}: the policy is {met}", report.verdict))?;
    }
    Ok(if report.policy_met { Answer::YES } else { Answer::NO })
}

fn judge(args: &Args, bundle: &[u8]) -> Result<Report, CommandError> {
    let asked = griptrace_verify::Args {
        model: args.model.clone(),
        destination: args.destination,
        consignee: args.consignee.clone(),
        purposes: args.purpose.clone(),
        ..griptrace_verify::Args::about(args.bundle.clone(), args.trust.clone(), args.policy.clone())
    };
    griptrace_verify::report(&asked, clock::today(), bundle).map_err(|(text, hint)| {
        let error = CommandError::failed(text);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    })
}
