//! `griptrace add --from-bundle`: another company's evidence, checked and kept.

use std::path::{Path, PathBuf};

use griptrace_core::{
    bundle::Bundle,
    id::NodeId,
    node::node_id,
    word::{Country, Word},
};
use griptrace_store::{AdoptError, AdoptedBundle};
use griptrace_verifier::{
    finding::{Finding, Verdict},
    known::Known,
    render::{causes, meaning},
    report::Report,
    verify::holds_together,
};
use griptrace_verify::{Asked, Judged};
use serde_json::{Value as Json, json};

use super::{
    check::{load_trust, trust_with},
    verify::judge,
};
use crate::{
    arguments::{country, word},
    believed::Believed,
    context::{Answer, Context, read_config},
    error::CommandError,
    foreign,
    log_source::Log,
    recording::lineage::check_name,
    workspace::Workspace,
};

/// Digits that an abbreviated id has at least.
const DIGITS_MIN: usize = 4;

/// Adopt another company's data set or model, with the evidence for it
///
/// Exit code 1 if the evidence does not meet the policy; nothing is adopted then. Bad news of what is here already should
/// be adopted all the same, with --accept: `check`, `audit` and what you prove tell it from then on.
#[derive(Debug, clap::Args)]
#[group(id = "adoption")]
pub(crate) struct Args {
    /// Adopt a node of another company, by its evidence file
    #[arg(long, value_name = "BUNDLE", requires_all = ["trust", "policy"])]
    from_bundle: Option<PathBuf>,
    /// Whom you believe of that company and its suppliers: your own trust file
    #[arg(long, value_name = "FILE", requires = "from_bundle")]
    trust: Option<PathBuf>,
    /// What you ask for: your own policy
    #[arg(long, value_name = "FILE", requires = "from_bundle")]
    policy: Option<PathBuf>,
    /// The model as you have it: exactly this folder's files, or one file
    #[arg(long, value_name = "DIR_OR_FILE")]
    model: Option<PathBuf>,
    /// Where you are [default: the trust file's]
    #[arg(long, value_parser = country)]
    destination: Option<Country>,
    /// Who you are, as shipments name you [default: the trust file's]
    #[arg(long)]
    consignee: Option<String>,
    /// What you use it for (can be repeated)
    #[arg(long, value_parser = word)]
    purpose: Vec<Word>,
    /// What it is called here [default: as the bundle discloses it]
    #[arg(long = "as", value_name = "NAME")]
    called: Option<String>,
    /// The node, by its id or the first digits of it [default: the one model that was shipped]
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// Adopt it although the policy is not met, if this is the verdict; BROKEN only if its evidence holds together
    #[arg(long, value_name = "VERDICT")]
    accept: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    if let Some(url) = Workspace::server_url(context)? {
        return Err(CommandError::failed(format!("the log is on the server {url}, which adopts nothing for others"))
            .with_hint(
                "whoever runs the server adopts the bundle in its folder: griptrace --store DIR add --from-bundle",
            ));
    }
    args.called.as_deref().map_or(Ok(()), check_name).map_err(CommandError::failed)?;
    let (Some(path), Some(trust), Some(policy)) = (&args.from_bundle, &args.trust, &args.policy) else {
        return Err(
            CommandError::failed("nothing says what to add").with_hint("add --from-bundle, --trust and --policy")
        );
    };
    let file = path.display().to_string();
    let (Judged { report, file: bytes, .. }, _) = judge(path, (trust, policy), &question(args))?;
    causes(&report).iter().for_each(|line| context.output.warn(line));
    let met = (report.policy_met, report.verdict);
    refuse(&report, met, args.accept.as_deref(), &file, || {
        Ok(holds_together(&bytes, &load_trust(trust)?, &Known::default()))
    })?;
    let id = match &args.node {
        Some(text) => by_digits(&bytes, text)?,
        None => only_model(&report)?,
    };
    let evidence = Evidence { bytes: &bytes, report: &report, file: &file, trust };
    take_over(context, &context.workspace_for_recording()?, &evidence, &id, args.called.as_deref())?;
    Ok(Answer::YES)
}

/// Another company's bundle, after it was judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) report: &'a Report,
    /// What it is called.
    pub(crate) file: &'a str,
    /// Whom it was believed by.
    pub(crate) trust: &'a Path,
}

/// Keeps a bundle that was judged as evidence for its node, and notes whom it was believed by.
pub(crate) fn take_over(
    context: &Context,
    workspace: &Workspace,
    evidence: &Evidence<'_>,
    id: &NodeId,
    called: Option<&str>,
) -> Result<(), CommandError> {
    let Evidence { bytes, report, file, trust } = *evidence;
    let Log::Local(store) = &workspace.store else {
        return Err(CommandError::failed("the log is on a server, which adopts nothing for others"));
    };
    let adopted = store.adopt(bytes, id, called).map_err(|error| {
        let is_nameless = matches!(error, AdoptError::NoName);
        let error = CommandError::because(format!("cannot adopt {file}"), error);
        if is_nameless { error.with_hint("add --as NAME") } else { error }
    })?;
    let mut object = foreign::object(&adopted);
    if let Some(map) = object.as_object_mut() {
        map.insert("bundle".to_owned(), json!(report.bundle_digest.to_string()));
        map.insert("verdict".to_owned(), json!(report.verdict.as_str()));
        map.insert("logs".to_owned(), report.logs.iter().map(|log| Json::from(log.origin.as_str())).collect());
    }
    let lines = [
        format!("adopted {}", foreign::line(&adopted)),
        format!("  verdict {}, bundle {}", report.verdict, report.bundle_digest),
        format!("  a step uses it as \"{}:{}\"", adopted.kind, adopted.name),
    ];
    context.output.either(&object, &lines)?;
    warn_of_newer(
        context,
        &store.adopted().map_err(|e| CommandError::because("cannot read what was adopted", e))?,
        report,
    );
    if let Err(error) = believe(workspace, trust) {
        context.output.warn("the own trust file does not take over whom the trust file names of other companies");
        error.lines().iter().for_each(|line| context.output.talk(line));
        context.output.talk("hint: name a trust file with --trust to check, audit and prove");
    }
    Ok(())
}

/// Notes whom the trust file names, for judging own records that came from what was adopted.
fn believe(workspace: &Workspace, path: &Path) -> Result<(), CommandError> {
    let text = read_config(path)?;
    let table =
        toml::from_str(&text).map_err(|e| CommandError::because(format!("cannot read {}", path.display()), e))?;
    let used = workspace.committer()?;
    let now = workspace.committer_now()?;
    let unlinked = workspace.unlinked_keys(&now.as_ref().unwrap_or(&used).id())?;
    let keys = [used].into_iter().chain(now).chain(unlinked.into_iter().map(|(key, _)| key)).collect();
    let own = (workspace.store.genesis().origin.clone(), keys);
    let believed = Believed::read(workspace)?.joined(&table, &load_trust(path)?, &own);
    trust_with(workspace, &believed)?;
    believed.write(workspace)
}

/// The question of who takes it over: a buyer like any other.
fn question(args: &Args) -> Asked {
    Asked {
        model: args.model.clone(),
        destination: args.destination,
        consignee: args.consignee.clone(),
        purposes: args.purpose.clone(),
        ..Asked::default()
    }
}

/// Refuses what does not meet the policy, unless its verdict was named. What does not hold together is no evidence for
/// anything; what does, and is BROKEN by what it tells, is found BROKEN in everything that is made of it.
pub(crate) fn refuse(
    report: &Report,
    (is_met, verdict): (bool, Verdict),
    accept: Option<&str>,
    file: &str,
    together: impl FnOnce() -> Result<Result<(), Finding>, CommandError>,
) -> Result<(), CommandError> {
    if is_met {
        return Ok(());
    }
    let policy = &report.policy;
    let text = format!("{file} does not meet the policy {} {}: {verdict}", policy.id, policy.version);
    let is_broken = verdict == Verdict::Broken;
    if is_broken && let Err(finding) = together()? {
        return Err(CommandError::refused(format!("{text}: its evidence does not hold together ({})", finding.code))
            .with_hint("it proves nothing, so that it is not adopted, whatever is accepted")
            .with_hint(meaning(finding.code).map_or("see docs/spec/verify.md", |meaning| meaning.clear)));
    }
    if accept == Some(verdict.as_str()) {
        return Ok(());
    }
    let error = CommandError::refused(text);
    if is_broken {
        return Err(error
            .with_hint("its evidence holds together, and tells what is listed above: --accept BROKEN adopts it")
            .with_hint(
                "where older evidence of it is here, do so: `audit` and what you prove go on without the news otherwise",
            ));
    }
    Err(error.with_hint(format!(
        "griptrace verify --explain tells what would clear it; --accept {verdict} adopts it all the same"
    )))
}

/// Warns where newer evidence of a log is here than what was just adopted.
fn warn_of_newer(context: &Context, all: &[AdoptedBundle], report: &Report) {
    let (this, others): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.digest == report.bundle_digest);
    for log in this.iter().flat_map(|one| &one.logs) {
        let of_log = others.iter().flat_map(|one| &one.logs).filter(|other| other.home == log.home);
        if let Some(newest) = of_log.map(|other| other.size).max().filter(|newest| *newest > log.size) {
            context.output.warn(format_args!(
                "newer evidence of {} is here, of {newest} entries; this one is of {}, and is not used where the newer has all that is needed",
                log.origin, log.size
            ));
        }
    }
}

fn only_model(report: &Report) -> Result<NodeId, CommandError> {
    match report.model.nodes.as_slice() {
        [one] => Ok(*one),
        [] => Err(CommandError::failed("the bundle shows no shipped model").with_hint("add --node ID")),
        several => {
            let error = CommandError::failed(format!("the bundle ships {} models", several.len()));
            Err(several.iter().fold(error, |error, id| error.with_hint(format!("one of them: --node {id}"))))
        }
    }
}

fn by_digits(bytes: &[u8], text: &str) -> Result<NodeId, CommandError> {
    let bundle = Bundle::from_bytes(bytes).map_err(|e| CommandError::because("cannot read the bundle", e))?;
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|part| &part.cores);
    let digits = text.to_lowercase();
    let found: Vec<NodeId> = cores.map(|core| node_id(core)).filter(|id| id.to_string().starts_with(&digits)).collect();
    match found.as_slice() {
        [one] if digits.len() >= DIGITS_MIN => Ok(*one),
        [] => Err(CommandError::failed(format!("no node of the bundle has an id that begins with {text:?}"))),
        _ => Err(CommandError::failed(format!("{text:?} is the beginning of several ids, or has under 4 digits"))),
    }
}
