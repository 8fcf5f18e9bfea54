//! `griptrace prove`.

pub(crate) mod erased;
mod inside;
mod shown;
mod since;
mod updating;

use std::path::{Path, PathBuf};

use griptrace_core::{
    bundle::{MAGIC, bundle_digest},
    id::NodeId,
    node::Kind,
};
use griptrace_service::check::{Asked, blocking};
use griptrace_store::Disclose;
use griptrace_verifier::{policy::Policy, trust::Trust};
use griptrace_witness::panel::Panel;
use serde_json::json;

use self::since::Seen;
use super::{
    check::{judge, own_trust},
    fleet::warn_of_older,
    log::cosign::before_proving,
    policy,
};
use crate::{
    clock,
    context::{Answer, Context, read_bundle, write_output},
    error::CommandError,
    fleet::Fleet,
    log_source::Log,
    profile::{Field, Profile},
    resolve::resolve_only,
    view::headline,
    witnesses::{self, Standing},
    workspace::Workspace,
};

/// Nodes that are named of those that count for nobody.
const ENDED_TOLD: usize = 5;

/// Write the evidence file of a shipment
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shipment; of a model, the file is only good for a pre-check
    pub(crate) node: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Which details to open: a profile that comes with the program, or a file of one (`griptrace policy profiles`
    /// lists them)
    #[arg(long, default_value = "minimal", value_name = "NAME|FILE")]
    pub(crate) profile: String,
    /// Open this detail of every node of its kind too, such as dataset.licence (can be repeated)
    #[arg(long, value_name = "KIND.FIELD", value_parser = Field::parse)]
    pub(crate) show: Vec<Field>,
    /// Hide this detail, whatever else shows it (can be repeated)
    #[arg(long, value_name = "KIND.FIELD", value_parser = Field::parse)]
    pub(crate) hide: Vec<Field>,
    /// Hide every detail of this node, or of all nodes of this name (can be repeated)
    #[arg(long, value_name = "NODE")]
    pub(crate) hide_node: Vec<String>,
    /// Show that the log only grew since this older bundle or saved checkpoint; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Vec<PathBuf>,
    /// Write an update that brings this older bundle of the shipment up to date; it opens what that one opened
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "show", "hide", "hide_node"])]
    pub(crate) update_of: Option<PathBuf>,
    /// Put the withdrawals of this file, which `assess withdraw` wrote, into the update; may be given several times
    #[arg(long, value_name = "FILE", requires = "update_of")]
    pub(crate) withdrawal: Vec<PathBuf>,
    /// Ask no witness for a cosignature first; not even whether one has cosigned another history of the log
    #[arg(long)]
    pub(crate) no_cosign: bool,
    /// Warn where this policy is not met
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Judge with this trust file [default: the own keys]
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) trust: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let id = resolve_only(&workspace, &context.output, &args.node, &[Kind::Shipment, Kind::Model])?;
    let seen = args.since.iter().chain(&args.update_of).map(|path| Seen::read(&workspace, path));
    let seen: Vec<Seen> = seen.collect::<Result<_, _>>()?;
    let sizes: Vec<u64> = seen.iter().map(|seen| seen.checkpoint.size).collect();
    // An update opens what the older bundle opened, which is taken from there.
    let disclose = if args.update_of.is_some() {
        Disclose::Minimal
    } else {
        profile(args)?.disclose(&workspace, &context.output)?
    };
    if !args.no_cosign && !workspace.store.is_remote() {
        before_proving(context, workspace.folder())?;
    }
    let mut bytes = bundle(&workspace, &id, &disclose, &sizes)?;
    seen.iter().try_for_each(|seen| seen.check(&bytes))?;
    shown::warn(context, &workspace, (&disclose, &args.hide), &bytes)?;
    for old in seen.iter().flat_map(|seen| seen.not_linked(&bytes)) {
        context.output.warn(format_args!(
            "a buyer who compares it with the older file finds no link to the checkpoint of size {} of {}: take over a bundle that this supplier made with `griptrace prove --since`",
            old.size, old.origin
        ));
    }
    if let Some(fleet) = Fleet::beside(&workspace)? {
        warn_of_older(context, &fleet, &bytes)?;
    }
    let old = args.update_of.as_deref().map(read_bundle).transpose()?;
    if let Some(old) = &old {
        bytes = updating::opened_alike(&bytes, old)?;
    }
    let erased = erased::tell(context, &workspace, &disclose, &bytes)?;
    if let Some(path) = &args.policy {
        let trust = match &args.trust {
            Some(path) => super::check::load_trust(path)?,
            None => own_trust(&workspace)?,
        };
        warn(context, &workspace, &id, &bytes, &trust, &policy::load(path)?)?;
    } else {
        warn_of_ended(context, &workspace, &id)?;
    }
    let named = [Path::new(&args.node)].into_iter();
    let files = [args.policy.as_deref(), args.trust.as_deref(), Some(Path::new(&args.profile))];
    let older = args.since.iter().chain(&args.update_of).chain(&args.withdrawal).map(PathBuf::as_path);
    let inputs: Vec<&Path> = named.chain(files.into_iter().flatten()).chain(older).collect();
    let standing = standing(context, &workspace, &bytes)?;
    if let Some(old) = &old {
        return updating::write(context, args, (old, &bytes), standing.as_ref(), &inputs);
    }
    write_output(&args.output, &bytes, ("bundle", MAGIC), &inputs)?;
    inside::warn(context, &workspace, &id, &args.output)?;
    let digest = bundle_digest(&bytes);
    let file = args.output.display().to_string();
    let object = json!({
        "file": file, "bytes": bytes.len(), "digest": digest.to_string(), "erased": erased,
        "quorum_met": standing.as_ref().map(Standing::is_met),
        "map_met": standing.as_ref().and_then(Standing::is_map_met), "as_of": standing.and_then(|s| s.as_of),
    });
    context.output.either(&object, &[format!("wrote {file}: {} bytes, digest {digest}", bytes.len())])?;
    if workspace.node(&id)?.core.kind == Kind::Model {
        context
            .output
            .warn("this is a pre-check of a model: it shows no shipment, and a buyer's check of it never exits with 0");
    }
    Ok(Answer::YES)
}

/// Returns the profile that was asked for, with what the flags change.
fn profile(args: &Args) -> Result<Profile, CommandError> {
    let mut profile = Profile::load(&args.profile)?;
    args.show.iter().for_each(|field| profile.show(field));
    args.hide.iter().for_each(|field| profile.hide(field));
    args.hide_node.iter().for_each(|node| profile.hide_node(node));
    Ok(profile)
}

/// Returns the bytes of a bundle, which shows growth since the checkpoints of these sizes.
pub(crate) fn bundle(
    workspace: &Workspace,
    id: &NodeId,
    disclose: &Disclose,
    since: &[u64],
) -> Result<Vec<u8>, CommandError> {
    let panel = panel(workspace)?;
    let made = workspace.store.prove(id, disclose, since, witnesses::to_show(panel.as_ref()));
    made.map_err(|e| e.while_doing("cannot prove this"))
}

/// Returns the witnesses of a log on this machine; those of a server's are its own business.
fn panel(workspace: &Workspace) -> Result<Option<Panel>, CommandError> {
    match &workspace.store {
        Log::Local(store) => witnesses::read(workspace.folder(), &store.verifiers()),
        Log::Remote(_) => Ok(None),
    }
}

/// Warns if the log's own quorum is not met by what the bundle shows; `None` where none is asked for, or known of.
fn standing(context: &Context, workspace: &Workspace, bytes: &[u8]) -> Result<Option<Standing>, CommandError> {
    let Some(panel) = panel(workspace)? else { return Ok(None) };
    let standing = Standing::of(bytes, &panel)?;
    for size in standing.iter().flat_map(|standing| &standing.lacking) {
        context.output.warn(format_args!(
            "the quorum of this log's witnesses is not met for the checkpoint of {size} entries, which the bundle is \
             judged under: a buyer who asks for it finds quorum-not-met"
        ));
    }
    let map_lacking = standing.iter().filter_map(|standing| standing.map_lacking.as_deref()).flatten();
    map_lacking.clone().for_each(|size| witnesses::warn_of_map(context, *size));
    if map_lacking.count() > 0 {
        witnesses::hint_at_map(context);
    }
    Ok(standing)
}

/// Warns if the node, or what it came from in the own log, was recorded with a key that did not count there any more: every
/// buyer finds so, whatever the policy.
fn warn_of_ended(context: &Context, workspace: &Workspace, id: &NodeId) -> Result<(), CommandError> {
    if !workspace.has_ended_keys() {
        return Ok(());
    }
    let above = workspace.store.ancestors(id).map_err(|e| e.while_doing("cannot find what this came from"))?;
    let above: Vec<NodeId> = above.into_iter().map(|found| found.id).collect();
    workspace.store.prefetch(&above)?;
    let mut ended = 0_usize;
    for id in [*id].iter().chain(&above) {
        let node = workspace.node(id)?;
        let Some(since) = workspace.ended_before(&node) else { continue };
        ended += 1;
        if ended <= ENDED_TOLD {
            let title = headline(&node);
            context.output.warn(format_args!("{title}: the key that recorded it does not count from leaf {since} on"));
        }
    }
    if let Some(more) = ended.checked_sub(ENDED_TOLD).filter(|more| *more > 0) {
        context.output.warn(format_args!("the same holds of {more} more that it came from"));
    }
    if ended > 0 {
        const HINT: &str = "hint: nobody believes what such a key recorded: record it again with the key of now, ship again, and prove that shipment";
        context.output.talk(HINT);
    }
    Ok(())
}

/// Warns of what a buyer with this policy would find. The file is written all the same.
fn warn(
    context: &Context,
    workspace: &Workspace,
    id: &NodeId,
    bytes: &[u8],
    trust: &Trust,
    policy: &Policy,
) -> Result<(), CommandError> {
    let node = workspace.node(id)?;
    let asked = Asked { destination: node.core.country, date: clock::today(), purposes: node.core.purpose.clone() };
    let report = judge(bytes, trust, policy, &asked)?;
    let blocking = blocking(&report);
    for finding in &blocking {
        let node = finding.node.and_then(|id| workspace.node(&id).ok());
        let title = node.map_or_else(String::new, |node| format!("{}: ", headline(&node)));
        context.output.warn(format_args!("{}: {title}{}", finding.code, finding.text));
    }
    if !blocking.is_empty() {
        let (id, version) = (&policy.id, &policy.version);
        context.output.warn(format_args!(
            "the policy {id} {version} is not met ({}); the file is written all the same",
            report.verdict
        ));
    }
    Ok(())
}
