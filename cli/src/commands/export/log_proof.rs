//! What shows that a commit is in its log: `griptrace export statement`, `griptrace export tlog-proof`.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    bundle::{Bundle, LogPart},
    entry::Entry,
    key::{SecretKey, Signer as _},
    node::node_id,
    note::Note,
    receipt::{self, Receipt},
    tlog_proof::Included,
    tree::{Rfc9162, narrow_leaves},
};
use griptrace_store::Store;
use serde_json::json;

use super::{Written, document::lineage, write};
use crate::{
    context::{Answer, Context, IsOwn, read_bundle},
    error::CommandError,
    keyfile,
    log_source::Log,
    resolve::resolve,
    workspace::Workspace,
};

/// A commit as a transparent statement
#[derive(Debug, clap::Args)]
pub(crate) struct StatementArgs {
    /// The commit: a node that it recorded, or `leaf:N`
    pub(crate) commit: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// The proof that a commit is in its log
#[derive(Debug, clap::Args)]
pub(crate) struct TlogProofArgs {
    /// The commit: a node that it recorded, or `leaf:N`
    pub(crate) commit: String,
    /// Take it out of this bundle, and not out of the store
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// The bundle's evidence has to hold together under this trust file; without it nothing of the bundle is verified
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub(crate) trust: Option<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

const STATEMENT: (&str, IsOwn<'static>) = ("transparent statement of an entry", &is_statement);
const TLOG_PROOF: (&str, IsOwn<'static>) = ("tlog-proof of an entry", &is_tlog_proof);

/// Tells whether a file is a transparent statement whose signed statement is an entry, with receipts as a log here signs.
fn is_statement(file: &[u8]) -> bool {
    let Ok((entry, receipts)) = receipt::registered(file) else { return false };
    Entry::parse(&entry).is_ok() && receipts.iter().all(|receipt| Receipt::parse(receipt).is_ok())
}

/// Tells whether a file is a tlog-proof whose line `extra` is an entry.
fn is_tlog_proof(file: &[u8]) -> bool {
    let text = core::str::from_utf8(file).unwrap_or_default();
    let extra = text.strip_prefix("c2sp.org/tlog-proof@v1\nextra ").and_then(|text| text.lines().next());
    let entry = extra.and_then(|extra| STANDARD.decode(extra).ok());
    entry.is_some_and(|entry| Entry::parse(&entry).is_ok())
}

pub(super) fn statement(context: &Context, args: &StatementArgs) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let store = local(&workspace)?;
    let index = index_of(context, &workspace, &args.commit)?;
    let entry = entry_at(store, index)?;
    if !matches!(Entry::parse(&entry), Ok(Entry::Commit(_))) {
        return Err(CommandError::failed(format!("leaf {index} of the log is no commit, and so no signed statement"))
            .with_hint("griptrace log lists the commits; `export tlog-proof` takes any leaf"));
    }
    let included = included(store, &entry, index, &store.checkpoint())?;
    let key = log_key(&workspace)?;
    let signed = receipt::sign(&key, &workspace.home(), &included);
    let wrong = |e: &dyn core::fmt::Display| CommandError::failed(format!("the receipt was made wrongly: {e}"));
    let verified = Receipt::parse(&signed).and_then(|receipt| receipt.verify(&entry, &key.public_key()));
    verified.map_err(|e| wrong(&e))?;
    let bytes = receipt::transparent(&entry, &[signed]).map_err(|e| wrong(&e))?;
    let size = included.checkpoint.size;
    let more = [("leaf", json!(index)), ("size", json!(size)), ("log", json!(workspace.store.genesis().origin))];
    write(context, &Written { path: &args.output, bytes: &bytes, kind: STATEMENT, inputs: &[], more: &more })?;
    Ok(Answer::YES)
}

pub(super) fn tlog_proof(context: &Context, args: &TlogProofArgs) -> Result<Answer, CommandError> {
    let (text, index, size) = if let Some(path) = &args.bundle {
        from_bundle(path, args.trust.as_deref(), &args.commit)?
    } else {
        let workspace = context.workspace()?;
        let store = local(&workspace)?;
        let index = index_of(context, &workspace, &args.commit)?;
        let entry = entry_at(store, index)?;
        // With whatever witnesses said of it.
        let note = store.published_checkpoint()?;
        let note = String::from_utf8(note).map_err(|e| CommandError::because("the checkpoint is no text", e))?;
        let included = included(store, &entry, index, &note)?;
        (included.tlog_proof(), index, included.checkpoint.size)
    };
    let more = [("leaf", json!(index)), ("size", json!(size))];
    let inputs: Vec<&Path> = args.bundle.iter().chain(&args.trust).map(PathBuf::as_path).collect();
    let bytes = text.as_bytes();
    write(context, &Written { path: &args.output, bytes, kind: TLOG_PROOF, inputs: &inputs, more: &more })?;
    Ok(Answer::YES)
}

fn local(workspace: &Workspace) -> Result<&Store, CommandError> {
    match &workspace.store {
        Log::Local(store) => Ok(store),
        Log::Remote(_) => Err(CommandError::failed("this is made where the store is, not through a server")
            .with_hint("run it on the machine of the store, with --store DIR")
            .with_hint("a tlog-proof can be made of a bundle too: --bundle FILE")),
    }
}

/// Reads `leaf:N`.
fn leaf(text: &str) -> Option<u64> {
    text.strip_prefix("leaf:")?.parse().ok()
}

fn index_of(context: &Context, workspace: &Workspace, commit: &str) -> Result<u64, CommandError> {
    match leaf(commit) {
        Some(index) => Ok(index),
        None => Ok(workspace.node(&resolve(workspace, &context.output, commit)?)?.index),
    }
}

fn entry_at(store: &Store, index: u64) -> Result<Vec<u8>, CommandError> {
    let entries = store.entries(index..index.saturating_add(1))?;
    let size = store.size();
    let none = || CommandError::failed(format!("no leaf {index} in this log of {size} entries"));
    entries.into_iter().find(|entry| entry.index == index).map(|entry| entry.bytes).ok_or_else(none)
}

/// Proves that an entry is under the checkpoint of a note.
fn included<'a>(store: &Store, entry: &'a [u8], index: u64, note: &str) -> Result<Included<'a>, CommandError> {
    let size = size_of(note)?;
    let proof = store.inclusion(index, size)?;
    Included::new(entry, index, proof.path, note)
        .map_err(|e| CommandError::because(format!("leaf {index} is not shown to be in the log"), e))
}

fn size_of(note: &str) -> Result<u64, CommandError> {
    let wrong = |e: &dyn core::fmt::Display| CommandError::failed(format!("the checkpoint can't be read: {e}"));
    let note = Note::parse(note.as_bytes()).map_err(|e| wrong(&e))?;
    Ok(griptrace_core::checkpoint::Checkpoint::parse(note.text()).map_err(|e| wrong(&e))?.size)
}

/// Reads the log's key, which has to be the one that signs checkpoints now.
fn log_key(workspace: &Workspace) -> Result<SecretKey, CommandError> {
    let paths = &workspace.config.keys;
    let path = paths.log.as_ref().ok_or_else(|| CommandError::failed("the settings name no key of the log"))?;
    let key = keyfile::read(&workspace.folder().join(path))?.signer()?;
    let newest = workspace.store.log_keys().pop().unwrap_or_else(|| workspace.store.genesis().key.clone());
    let (found, signs) = (key.public_key().id(), newest.id());
    if found != signs {
        return Err(CommandError::failed(format!(
            "{} holds the key {found}, and the log's is {signs}",
            path.display()
        ))
        .with_hint("a change of the log's key may have been cut off; the next command that records settles it"));
    }
    Ok(key)
}

/// Narrows a bundle's proof to the one entry.
fn from_bundle(path: &Path, trust: Option<&Path>, commit: &str) -> Result<(String, u64, u64), CommandError> {
    if let Some(trust) = trust {
        lineage(path, trust, &[])?;
    }
    let bundle = Bundle::from_bytes(&read_bundle(path)?)?;
    let (log, index) = find(&bundle, commit)?;
    let malformed = |e: &dyn core::fmt::Display| CommandError::failed(format!("the bundle is malformed: {e}"));
    let anchor = log.anchors.last().ok_or_else(|| malformed(&"a log without a checkpoint"))?;
    let leaves: Vec<_> = log.entries.iter().map(|(index, bytes)| (*index, Rfc9162::leaf_hash(bytes))).collect();
    let size = size_of(&anchor.note)?;
    let audit = narrow_leaves(&Rfc9162, size, &leaves, &log.inclusion, &[index]).map_err(|e| malformed(&e))?;
    let entry = log.entries.iter().find(|(at, _)| *at == index).map(|(_, bytes)| bytes.as_slice());
    let entry = entry.ok_or_else(|| malformed(&"a commit names no entry"))?;
    let included = Included::new(entry, index, audit, &anchor.note).map_err(|e| malformed(&e))?;
    Ok((included.tlog_proof(), index, size))
}

/// Finds the log and the leaf that are meant in a bundle.
fn find<'a>(bundle: &'a Bundle, commit: &str) -> Result<(&'a LogPart, u64), CommandError> {
    if let Some(index) = leaf(commit) {
        let log = bundle.logs.first().filter(|log| log.entries.iter().any(|(at, _)| *at == index));
        let none = || CommandError::failed(format!("the bundle's first log shows no leaf {index}"));
        return Ok((log.ok_or_else(none)?, index));
    }
    let mut found = Vec::new();
    for log in &bundle.logs {
        for part in &log.commits {
            let here = part.cores.iter().any(|core| node_id(core).to_string().starts_with(commit));
            let entry = usize::try_from(part.entry).ok().and_then(|place| log.entries.get(place));
            found.extend(entry.filter(|_| here && commit.len() >= 4).map(|(index, _)| (log, *index)));
        }
    }
    match found.as_slice() {
        [(log, index)] => Ok((log, *index)),
        [] => Err(CommandError::failed(format!("{commit:?} is no node of the bundle"))
            .with_hint("name it by 4 digits of its id or more, or a leaf of the first log by leaf:N")
            .with_hint("griptrace inspect BUNDLE lists the nodes")),
        _ => Err(CommandError::failed(format!("{commit:?} begins the ids of nodes of several commits"))),
    }
}
