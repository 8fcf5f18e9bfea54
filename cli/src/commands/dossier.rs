//! `griptrace dossier`.

use std::path::{Path, PathBuf};

use griptrace_core::bundle::Bundle;
use griptrace_verify::Asked;
use serde_json::{Value as Json, json};

use crate::{
    commands::verify::{errors_json, judge, verdict_lines},
    context::{Answer, Context, read_bundle, refuse_inside, write_output},
    dossier::{self, Dossier, Language, MAGIC},
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
    #[command(flatten)]
    pub(crate) asked: Asked,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    refuse_inside(&args.output, args.asked.model.as_slice())?;
    let (bytes, given, judged) = if let (Some(trust), Some(policy)) = (&args.trust, &args.policy) {
        let (judged, inputs) = judge(&args.bundle, (trust, policy), &args.asked)?;
        let asked = dossier::Asked::of(&judged.question, &inputs, &args.asked);
        let given = dossier::Given::new(&inputs.given, &inputs.updates);
        (judged.file, given, Some(dossier::Judged::new(judged.report, asked)))
    } else {
        let bytes = read_bundle(&args.bundle)?;
        let given = dossier::Given::new(&bytes, &[]);
        (bytes, given, None)
    };
    // Of what does not hold together nothing is repeated, and it need not even be readable.
    let is_told = !judged.as_ref().is_some_and(dossier::Judged::is_broken);
    let bundle = is_told.then(|| Bundle::from_bytes(&bytes)).transpose();
    let bundle = bundle.map_err(|e| CommandError::because(format!("cannot read {}", args.bundle.display()), e))?;
    let report = judged.as_ref().map(|judged| &judged.report);
    let verdict = report.map(|report| (report.policy_met, verdict_lines(report), errors_json(report)));
    let dossier = Dossier::read(&bytes, bundle.as_ref(), given, judged, args.language)?;
    let inputs: Vec<&Path> = [Some(&args.bundle), args.trust.as_ref(), args.policy.as_ref(), args.asked.model.as_ref()]
        .into_iter()
        .flatten()
        .chain(&args.asked.updates)
        .map(PathBuf::as_path)
        .collect();
    write_output(&args.output, dossier.to_html().as_bytes(), ("dossier", MAGIC.as_bytes()), &inputs)?;
    let is_met = verdict.as_ref().is_none_or(|(is_met, ..)| *is_met);
    tell(context, args, &dossier, verdict)?;
    Ok(if is_met { Answer::YES } else { Answer::NO })
}

fn tell(
    context: &Context,
    args: &Args,
    dossier: &Dossier,
    verdict: Option<(bool, Vec<String>, Json)>,
) -> Result<(), CommandError> {
    let nothing =
        || (true, vec!["nothing was verified: give --trust and --policy for a verdict".to_owned()], json!([]));
    let (_, said, errors) = verdict.unwrap_or_else(nothing);
    let mut object = dossier.to_json();
    if let Some(object) = object.as_object_mut() {
        object.insert("written".to_owned(), json!(args.output.display().to_string()));
        object.insert("errors".to_owned(), errors);
    }
    let said = said.into_iter().map(|line| format!("  {line}"));
    let lines: Vec<String> = [format!("wrote {}", args.output.display())].into_iter().chain(said).collect();
    context.output.either(&object, &lines)
}
