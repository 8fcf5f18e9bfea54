//! A signature over a model's files: `griptrace export oms`.

use std::path::PathBuf;

use griptrace_core::node::Kind;
use griptrace_export::oms;
use serde_json::json;

use super::{Written, json_file, write};
use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile,
    resolve::{hash, resolve_only},
    view::short,
};

/// A recorded model's files
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model as it lies here: a folder or a file, whose bytes this log has recorded as a model
    pub(crate) model: PathBuf,
    /// The key to sign with: a P-256 key, for OMS knows no Ed25519
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
    /// The file to write, outside the model's folder
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let key = keyfile::read(&args.key)?.signer()?;
    let folder = args.model.canonicalize().map_err(|e| CommandError::file("find", &args.model, e))?;
    let beside = args.output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.map_or_else(std::env::current_dir, std::fs::canonicalize)?;
    if folder.is_dir() && beside.starts_with(&folder) {
        let text = format!("{} would be one of the model's files, and the model another one", args.output.display());
        return Err(CommandError::failed(text).with_hint("write the signature outside the model's folder"));
    }
    let path = folder.display().to_string();
    // What is signed is what the log has: a model that is not recorded has no lineage.
    let node = resolve_only(&workspace, &context.output, &path, &[Kind::Model])?;
    let hashed = hash(&workspace, &context.output, &folder, true)?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let signature = oms::sign(&name, &hashed.files, !hashed.is_single_file, &key);
    let signature = signature.map_err(|e| CommandError::failed(format!("no OMS signature of {path}: {e}")))?;
    let more = [("model", json!(node.to_string())), ("files", json!(hashed.files.len()))];
    let kind = ("OMS signature", br#"{"dsseEnvelope":{"#.as_slice());
    let inputs = [args.key.as_path(), &args.model];
    let bytes = json_file(&signature);
    write(context, &Written { path: &args.output, bytes: &bytes, kind, inputs: &inputs, more: &more })?;
    if !context.output.is_json() {
        context.output.line(format_args!("the files are those of the model {}", short(&node)))?;
    }
    Ok(Answer::YES)
}
