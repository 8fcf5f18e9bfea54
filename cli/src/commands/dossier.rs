//! `griptrace dossier`.

use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use griptrace_core::{
    bundle::Bundle,
    date::Date,
    digest::Digest,
    word::{Country, Word},
};
use griptrace_verifier::finding::Verdict;
use serde_json::json;

use crate::{
    arguments::{country, date, word},
    clock,
    context::{Answer, Context, read_bundle, write_output},
    dossier::{Dossier, Judged, Language, MAGIC},
    error::CommandError,
};

/// Write a printable page of what a bundle says, for whoever files it
///
/// What was shipped, how it was made, source by source with annotation, anonymisation, bias and gaps, a buyer's checklist,
/// and what is not disclosed: one HTML file, to be printed on A4. With --trust and --policy the verifier is asked, and
/// its verdict stands in it; without them it says that nothing was verified.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle
    pub(crate) bundle: PathBuf,
    /// Where to write the page
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The language of the page
    #[arg(long, value_enum, default_value_t)]
    pub(crate) language: Language,
    /// Whom you believe: your own trust file, never the exporter's
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) trust: Option<PathBuf>,
    /// What you ask for: your own policy
    #[arg(long, value_name = "FILE", requires = "trust")]
    pub(crate) policy: Option<PathBuf>,
    /// The model as you have it: exactly this folder's files, or one file
    #[arg(long, value_name = "DIR_OR_FILE", requires = "trust", conflicts_with = "digest")]
    pub(crate) model: Option<PathBuf>,
    /// The BLAKE3 or SHA-256 of the model's one file
    #[arg(long, value_name = "HEX", requires = "trust", value_parser = digest)]
    pub(crate) digest: Option<Digest>,
    /// Where you are: a country code such as DE [default: the trust file's]
    #[arg(long, value_name = "CC", requires = "trust", value_parser = country)]
    pub(crate) destination: Option<Country>,
    /// Who you are, as shipments name you [default: the trust file's]
    #[arg(long, value_name = "NAME", requires = "trust", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) consignee: Option<String>,
    /// What you use the model for; may be given several times
    #[arg(long, value_name = "PURPOSE", requires = "trust", value_parser = word)]
    pub(crate) purpose: Vec<Word>,
    /// The day that counts as now [default: today]
    #[arg(long, value_name = "DATE", requires = "trust", value_parser = date)]
    pub(crate) at: Option<Date>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let bytes = read_bundle(&args.bundle)?;
    let bundle = Bundle::from_bytes(&bytes)
        .map_err(|e| CommandError::because(format!("cannot read {}", args.bundle.display()), e))?;
    let judged = match (&args.trust, &args.policy) {
        (Some(trust), Some(policy)) => Some(verify(args, trust, policy, &bytes)?),
        _ => None,
    };
    let verdict = judged.as_ref().map(|judged| (judged.report.verdict, judged.report.policy_met));
    let dossier = Dossier::read(&bytes, &bundle, judged, args.language)?;
    let inputs: Vec<&Path> = [Some(&args.bundle), args.trust.as_ref(), args.policy.as_ref(), args.model.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    write_output(&args.output, dossier.to_html().as_bytes(), ("dossier", MAGIC.as_bytes()), &inputs)?;
    tell(context, args, &dossier, verdict)?;
    Ok(if verdict.is_some_and(|(_, met)| !met) { Answer::NO } else { Answer::YES })
}

fn tell(
    context: &Context,
    args: &Args,
    dossier: &Dossier,
    verdict: Option<(Verdict, bool)>,
) -> Result<(), CommandError> {
    let mut object = dossier.to_json();
    if let Some(object) = object.as_object_mut() {
        object.insert("written".to_owned(), json!(args.output.display().to_string()));
    }
    let verdict = match verdict {
        Some((verdict, true)) => format!("{verdict}: the policy is met"),
        Some((verdict, false)) => format!("{verdict}: the policy is NOT met"),
        None => "nothing was verified: give --trust and --policy for a verdict".to_owned(),
    };
    context.output.either(&object, &[format!("wrote {}", args.output.display()), format!("  {verdict}")])
}

fn verify(args: &Args, trust: &Path, policy: &Path, bytes: &[u8]) -> Result<Judged, CommandError> {
    let question = griptrace_verify::Args {
        model: args.model.clone(),
        digest: args.digest,
        destination: args.destination,
        consignee: args.consignee.clone(),
        purposes: args.purpose.clone(),
        at: args.at,
        ..griptrace_verify::Args::about(args.bundle.clone(), trust.to_owned(), policy.to_owned())
    };
    let judged = griptrace_verify::report_and_question(&question, clock::today(), bytes);
    judged.map(|(report, asked)| Judged::new(report, asked)).map_err(|(text, hint)| {
        let error = CommandError::failed(format!("cannot check {}: {text}", args.bundle.display()));
        hint.into_iter().fold(error, CommandError::with_hint)
    })
}

/// Reads 64 hexadecimal digits, for clap.
fn digest(text: &str) -> Result<Digest, String> {
    let digits = text.strip_prefix("blake3:").or_else(|| text.strip_prefix("sha256:")).unwrap_or(text);
    Digest::from_hex(digits)
        .ok_or_else(|| "64 hexadecimal digits are expected, after `blake3:`, `sha256:` or nothing".into())
}
