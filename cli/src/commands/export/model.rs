//! A signature over a model's files: `griptrace export oms`.

use std::{collections::BTreeSet, path::PathBuf};

use griptrace_core::{id::NodeId, key::Signer as _, node::Kind};
use griptrace_export::oms;
use serde_json::json;

use super::{Written, document::MARKED_TOLD, json_file, write};
use crate::{
    context::{Answer, Context, IsOwn, refuse_inside},
    error::CommandError,
    keyfile,
    resolve::{hash, resolve_aside},
    view::{headline, short},
    workspace::Workspace,
};

/// A recorded model's files
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model as it lies here: a folder or a file, whose bytes this log has recorded as a model
    pub(crate) model: PathBuf,
    /// The key to sign with: a P-256 key, for OMS knows no Ed25519
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
    /// Sign it although it was withdrawn, recalled, refused or superseded
    #[arg(long)]
    pub(crate) despite_mark: bool,
    /// The file to write, outside the model's folder
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let key = keyfile::read(&args.key)?.signer()?;
    let folder = args.model.canonicalize().map_err(|e| {
        CommandError::file("find", &args.model, e)
            .with_hint("name the model's folder or file as it lies here, not the node: what is signed are its bytes")
    })?;
    refuse_inside(&args.output, &[&args.model])?;
    let path = folder.display().to_string();
    // What is signed is what the log has: a model that is not recorded has no lineage.
    let node = model(context, &workspace, &path, args.despite_mark)?;
    warn_of_marks(context, &workspace, &node)?;
    let hashed = hash(&workspace, &context.output, &folder, true)?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let signature = oms::sign(&name, &hashed.files, !hashed.is_single_file, &key);
    let signature = signature.map_err(|e| CommandError::failed(format!("no OMS signature of {path}: {e}")))?;
    let more = [("model", json!(node.to_string())), ("files", json!(hashed.files.len()))];
    let public = key.public_key();
    let is_own = |old: &[u8]| oms::is_signature(old, &public);
    let kind: (&str, IsOwn<'_>) = ("OMS signature by this key", &is_own);
    let inputs = [args.key.as_path(), &args.model];
    let bytes = json_file(&signature);
    write(context, &Written { path: &args.output, bytes: &bytes, kind, inputs: &inputs, more: &more })?;
    if !context.output.is_json() {
        context.output.line(format_args!("the files are those of the model {}", short(&node)))?;
    }
    Ok(Answer::YES)
}

/// Finds the model with the bytes of these files. One that was put aside is signed only if that was asked for.
fn model(context: &Context, workspace: &Workspace, path: &str, despite_mark: bool) -> Result<NodeId, CommandError> {
    let id = resolve_aside(workspace, &context.output, path, &[Kind::Model])?;
    let node = workspace.node(&id)?;
    match workspace.why_aside(&node)?.filter(|_| !despite_mark) {
        None => Ok(id),
        Some(why) => Err(CommandError::failed(format!("{} is not signed: it {why}", headline(&node)))
            .with_hint("a signature has no place for that: --despite-mark signs the files all the same")),
    }
}

/// Warns of what the model came from, and of assessments of that and of it, that nothing can be based on any more: the
/// signature has no place for it.
fn warn_of_marks(context: &Context, workspace: &Workspace, model: &NodeId) -> Result<(), CommandError> {
    let above = workspace.store.ancestors(model).map_err(|e| e.while_doing("cannot find what the model came from"))?;
    let nodes: Vec<NodeId> = above.into_iter().map(|found| found.id).chain([*model]).collect();
    workspace.store.prefetch(&nodes)?;
    workspace.store.prefetch_marks(&nodes)?;
    workspace.store.prefetch_assessments(&nodes)?;
    let mut concerned: BTreeSet<NodeId> = nodes.iter().copied().collect();
    for id in &nodes {
        concerned.extend(workspace.store.assessments_of(id)?);
    }
    // Of the model itself it was said when it was found.
    concerned.remove(model);
    let mut void = 0_usize;
    for id in &concerned {
        let node = workspace.node(id)?;
        let Some(why) = workspace.why_void(&node)? else { continue };
        void += 1;
        if void <= MARKED_TOLD {
            let behind = if node.core.kind == Kind::Assessment { "covers" } else { "went into" };
            context.output.warn(format_args!("{}, which {behind} the model, {why}", headline(&node)));
        }
    }
    if let Some(more) = void.checked_sub(MARKED_TOLD).filter(|more| *more > 0) {
        context.output.warn(format_args!("the same holds of {more} more that it came from"));
    }
    if void > 0 {
        context.output.talk("hint: the signature says nothing of it; griptrace check tells what a shipment would lack");
    }
    Ok(())
}
