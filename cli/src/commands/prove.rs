//! `griptrace prove`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    bundle::{MAGIC, bundle_digest},
    id::NodeId,
    node::Kind,
};
use griptrace_service::check::{Asked, blocking};
use griptrace_verifier::{policy::Policy, trust::Trust};
use serde_json::json;

use super::{
    check::{judge, own_trust},
    log::cosign::before_proving,
    policy,
};
use crate::{
    clock,
    context::{Answer, Context, write_output},
    error::CommandError,
    log_source::Log,
    resolve::resolve_only,
    view::headline,
    witnesses,
    workspace::Workspace,
};

/// Write the evidence file of a shipment
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shipment; of a model, the file is only good for a pre-check
    pub(crate) node: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Which details to open: what a verifier needs, or all of them
    #[arg(long, default_value = "minimal")]
    pub(crate) disclose: Opened,
    /// Ask no witness for a cosignature first
    #[arg(long)]
    pub(crate) no_cosign: bool,
    /// Warn where this policy is not met
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Judge with this trust file [default: the own keys]
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) trust: Option<PathBuf>,
}

/// Which details a bundle opens
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Opened {
    /// What a verifier needs: the shipped models' content and files, and the consignee
    Minimal,
    /// Every detail of every node
    All,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let id = resolve_only(&workspace, &context.output, &args.node, &[Kind::Shipment, Kind::Model])?;
    if !args.no_cosign && !workspace.store.is_remote() {
        before_proving(context, workspace.folder())?;
    }
    let bytes = bundle(&workspace, &id, args.disclose)?;
    if let Some(path) = &args.policy {
        let trust = match &args.trust {
            Some(path) => super::check::load_trust(path)?,
            None => own_trust(&workspace)?,
        };
        warn(context, &workspace, &id, &bytes, &trust, &policy::load(path)?)?;
    }
    let named = [Path::new(&args.node)].into_iter();
    let inputs: Vec<&Path> = named.chain(args.policy.as_deref()).chain(args.trust.as_deref()).collect();
    write_output(&args.output, &bytes, ("bundle", MAGIC), &inputs)?;
    let digest = bundle_digest(&bytes);
    let file = args.output.display().to_string();
    let object = json!({ "file": file, "bytes": bytes.len(), "digest": digest.to_string() });
    context.output.either(&object, &[format!("wrote {file}: {} bytes, digest {digest}", bytes.len())])?;
    if workspace.node(&id)?.core.kind == Kind::Model {
        context
            .output
            .warn("this is a pre-check of a model: it shows no shipment, and a buyer's check of it never exits with 0");
    }
    Ok(Answer::YES)
}

/// Returns the bytes of a bundle.
pub(crate) fn bundle(workspace: &Workspace, id: &NodeId, opened: Opened) -> Result<Vec<u8>, CommandError> {
    let panel = match &workspace.store {
        Log::Local(store) => witnesses::read(workspace.folder(), &store.verifiers())?,
        Log::Remote(_) => None,
    };
    workspace
        .store
        .prove(id, opened, witnesses::to_show(panel.as_ref()))
        .map_err(|e| e.while_doing("cannot prove this"))
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
