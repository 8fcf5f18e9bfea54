//! `griptrace check`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    date::Date,
    node::Kind,
    word::{Country, Word},
};
use griptrace_service::check::{self, Asked, OWN_COMMITTER_REMEDY, blocking, remedy, verdict};
use griptrace_store::Disclose;
use griptrace_verifier::{
    finding::{Code, Finding},
    policy::Policy,
    report::Report,
    trust::{self, Trust},
};
use serde_json::json;

use super::{
    policy::{config_error, load},
    prove::bundle,
    trust::own,
};
use crate::{
    arguments::{country, date, word},
    believed::Believed,
    context::{Answer, Context, or_today, read_config},
    error::CommandError,
    foreign,
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
    /// Judge with this trust file [default: the own keys, and whom recorded statements and adopted bundles brought]
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
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
    let report = judge(&bundle(&workspace, &id, &Disclose::All, &[])?, &trust, &policy, &asked)?;
    tell(context, &workspace, &report)
}

/// Reads a trust file.
pub(crate) fn load_trust(path: &Path) -> Result<Trust, CommandError> {
    let text = read_config(path)?;
    trust::parse(&path.display().to_string(), &text).map_err(config_error)
}

/// Returns a trust file of the own keys, those that statement files brought, and whom adopted bundles were believed by.
pub(crate) fn own_trust(workspace: &Workspace) -> Result<Trust, CommandError> {
    trust_with(workspace, &Believed::read(workspace)?)
}

/// Returns the own trust file with these parties of other companies.
pub(crate) fn trust_with(workspace: &Workspace, believed: &Believed) -> Result<Trust, CommandError> {
    trust::parse("the own trust file", &own(workspace, Some(believed))?).map_err(|e| {
        config_error(e).with_hint("write one with `griptrace trust init`, correct it, and name it with --trust")
    })
}

/// Judges the own bundle as a buyer would, without a file in hand.
pub(crate) fn judge(bytes: &[u8], trust: &Trust, policy: &Policy, asked: &Asked) -> Result<Report, CommandError> {
    check::judge(bytes, trust, policy, asked).map_err(|e| CommandError::because("the own evidence can't be read", e))
}

/// Returns what would clear a finding, said by whose log it is about.
pub(crate) fn clear(workspace: &Workspace, finding: &Finding) -> Result<&'static str, CommandError> {
    // The finding ends the judging before any node, so that the key in its words tells whose it is. Of a server's log the entries
    // are not fetched for it.
    if finding.code != Code::CommitterUntrusted || workspace.store.is_remote() {
        return Ok(remedy(finding.code));
    }
    let is_own = workspace.signers()?.iter().any(|key| finding.text.contains(&key.to_string()));
    Ok(if is_own { OWN_COMMITTER_REMEDY } else { remedy(finding.code) })
}

fn tell(context: &Context, workspace: &Workspace, report: &Report) -> Result<Answer, CommandError> {
    let output = &context.output;
    let (blocking, foreign) = (blocking(report), foreign::Names::default());
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
        let (mut told, mut clearing): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
        for finding in of_code {
            let node = finding.node.and_then(|id| workspace.node(&id).ok());
            let abroad = finding.node.filter(|_| node.is_none());
            let abroad = abroad.as_ref().and_then(|id| foreign.get(workspace, id));
            let title = node.as_ref().map(view::headline).or_else(|| abroad.map(foreign::line));
            let name = node.as_ref().and_then(crate::workspace::name).or_else(|| abroad.map(|node| node.name.clone()));
            let clear = clear(workspace, finding)?;
            let line = format!("  {}{}", title.as_ref().map_or_else(String::new, |t| format!("{t}: ")), finding.text);
            if output.is_json() {
                output.object(&json!({
                    "code": code.as_str(), "when": finding.when.as_str(), "node": finding.node.map(|id| id.to_string()),
                    "name": name, "text": finding.text, "clear": clear,
                }))?;
            } else if !told.contains(&line) {
                output.line(&line)?;
                told.push(line);
            }
            if !clearing.contains(&clear) {
                clearing.push(clear);
            }
        }
        if !output.is_json() {
            clearing.iter().try_for_each(|clear| output.line(format_args!("  to clear: {clear}")))?;
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
