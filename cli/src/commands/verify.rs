//! `griptrace verify`: the same arguments and output as `griptrace-verify`; and the same judging for other commands.

use std::{io, path::Path};

use griptrace_verifier::{render, report::Report};
pub(crate) use griptrace_verify::Args;
use griptrace_verify::{Asked, Inputs, Judged};
use serde_json::Value as Json;

use crate::{
    clock,
    context::{Answer, Context, read_bundle},
    error::CommandError,
};

pub(crate) fn run(context: &Context, mut args: Args) -> Answer {
    args.json |= context.output.is_json();
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    Answer(griptrace_verify::check(&args, clock::today(), &mut out, &mut err))
}

/// Judges a bundle as `griptrace verify` does, and prints nothing. Returns what was read for it too.
pub(crate) fn judge(
    bundle: &Path,
    (trust, policy): (&Path, &Path),
    asked: &Asked,
) -> Result<(Judged, Inputs), CommandError> {
    let args = Args::about(bundle.to_owned(), trust.to_owned(), policy.to_owned(), asked.clone());
    griptrace_verify::report(&args, clock::today(), read_bundle(bundle)?).map_err(|(text, hint)| {
        let error = CommandError::failed(format!("cannot check {}: {text}", bundle.display()));
        hint.into_iter().fold(error, CommandError::with_hint)
    })
}

/// Returns why a policy is not met: the verdict, and the findings that are errors.
pub(crate) fn verdict_lines(report: &Report) -> Vec<String> {
    if report.policy_met {
        return vec![format!("{}: the policy is met", report.verdict)];
    }
    let errors = render::errors(report).into_iter().map(|line| format!("  {line}"));
    [format!("{}: the policy is NOT met", report.verdict)].into_iter().chain(errors).collect()
}

/// Returns the findings that are errors, as the report has them in JSON; none if the policy is met.
pub(crate) fn errors_json(report: &Report) -> Json {
    let findings = render::json(report);
    let findings = findings["findings"].as_array().filter(|_| !report.policy_met);
    let is_error = |finding: &&Json| finding["severity"] == "error";
    findings.into_iter().flatten().filter(is_error).cloned().collect()
}
