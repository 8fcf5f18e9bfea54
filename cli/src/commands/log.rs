//! `griptrace log`.

use std::collections::BTreeMap;

use griptrace_core::{
    commit::Commit,
    entry::Entry,
    key_change::KeyChange,
    node::{Kind, Role},
};
use griptrace_store::StoredNode;
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    view::{self, headline},
    workspace::Workspace,
};

pub(crate) mod cosign;

/// List the commits and key changes, the newest first; name the log's witnesses, and have it cosigned
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// What else to do
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

/// What else to do with a log
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Name the witnesses of this log
    Witnesses(cosign::WitnessesArgs),
    /// Have the newest checkpoint cosigned by them; exit code 1 if the policy's quorum is not met
    Cosign(cosign::CosignArgs),
}

/// Entries that are read at a time, going backwards.
const CHUNK: u64 = 256;
/// Nodes that are loaded at a time, going backwards.
const CHUNK_NODES: usize = 256;

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    match &args.action {
        Some(Action::Witnesses(args)) => return cosign::name(context, args),
        Some(Action::Cosign(args)) => return cosign::cosign(context, args),
        None => {}
    }
    let workspace = context.workspace()?;
    if !context.output.is_json() {
        let (origin, home) = (&workspace.store.genesis().origin, workspace.home());
        context.output.line(format_args!("log {origin}, genesis {home}"))?;
        context.output.line(format_args!("log key {}", workspace.log_vkey()?))?;
    }
    let mut listed = Vec::new();
    let mut end = workspace.store.size();
    while end > 0 && listed.len() < args.limit {
        let start = end.saturating_sub(CHUNK);
        let entries = workspace.store.entries(start..end).map_err(|e| e.while_doing("cannot read the log"))?;
        for entry in entries.iter().rev() {
            match Entry::parse(&entry.bytes) {
                Ok(Entry::Commit(commit)) => listed.push((entry.index, Listed::Commit(commit))),
                Ok(Entry::KeyChange(signed)) => listed.push((entry.index, Listed::KeyChange(signed.change))),
                Ok(Entry::Genesis(_) | Entry::StatusHead(_)) | Err(_) => {}
            }
        }
        end = start;
    }
    listed.truncate(args.limit);
    let nodes = since(&workspace, listed.last().map_or(0, |(index, _)| *index))?;
    for (index, listed) in &listed {
        let nodes = nodes.get(index).map(Vec::as_slice).unwrap_or_default();
        match listed {
            Listed::Commit(commit) => show(context, &workspace, *index, commit, nodes)?,
            Listed::KeyChange(change) => show_change(context, &workspace, *index, change)?,
        }
    }
    Ok(Answer::YES)
}

/// What is listed of a log.
enum Listed {
    Commit(Commit),
    KeyChange(KeyChange),
}

fn show_change(context: &Context, workspace: &Workspace, index: u64, change: &KeyChange) -> Result<(), CommandError> {
    let (of, retired) = (change.of.word(), change.retired.id());
    let successor = change.successor.as_ref().map(|key| key.id().to_string());
    let object = json!({
        "home": workspace.home().to_string(), "vkey": workspace.log_vkey()?, "index": index, "time": change.time, "key_change": of, "retired": retired.to_string(), "successor": successor,
        "revoked_by": change.revoker.as_ref().map(|key| key.id().to_string()), "since": change.since,
    });
    let what = if change.revoker.is_some() { "revoked" } else { "retired" };
    let mut line = format!("leaf {index}  {}  {of} key {retired} {what}", view::time(change.time));
    if let Some(since) = change.since {
        line = format!("{line} since leaf {since}");
    }
    if let Some(successor) = successor {
        line = format!("{line}, followed by {successor}");
    }
    context.output.either(&object, &[line])
}

/// Returns the nodes from a leaf on, by the leaf index of their commit.
fn since(workspace: &Workspace, first: u64) -> Result<BTreeMap<u64, Vec<StoredNode>>, CommandError> {
    let mut nodes: BTreeMap<u64, Vec<StoredNode>> = BTreeMap::new();
    for kind in Kind::ALL {
        let ids = workspace.store.of_kind(*kind).map_err(|e| e.while_doing("cannot list the nodes"))?;
        'older: for some in ids.rchunks(CHUNK_NODES) {
            workspace.store.prefetch(some)?;
            for id in some.iter().rev() {
                let node = workspace.node(id)?;
                if node.index < first {
                    break 'older;
                }
                nodes.entry(node.index).or_default().push(node);
            }
        }
    }
    Ok(nodes)
}

fn show(
    context: &Context,
    workspace: &Workspace,
    index: u64,
    commit: &Commit,
    nodes: &[StoredNode],
) -> Result<(), CommandError> {
    let payload = &commit.payload;
    let object = json!({
        "home": workspace.home().to_string(), "vkey": workspace.log_vkey()?, "index": index, "time": payload.time, "issuer": commit.issuer(), "committer": commit.key().to_string(),
        "count": payload.count, "root": payload.root.to_string(),
        "nodes": nodes.iter().map(|node| {
            json!({ "id": node.id.to_string(), "kind": node.core.kind.word(), "name": crate::workspace::name(node) })
        }).collect::<Vec<_>>(),
    });
    let ended = workspace.key_end(&commit.key()).filter(|end| *end <= index);
    let ended = ended.map_or("", |_| " [key ended]");
    let mut lines = vec![format!("leaf {index}  {}  {}{ended}", view::time(payload.time), commit.issuer())];
    for node in nodes {
        let mut line = format!("  {}", headline(node));
        for edge in node.core.edges_of(Role::Marks) {
            line = format!("{line} of {}", headline(&workspace.node(&edge.to)?));
        }
        lines.push(line);
    }
    context.output.either(&object, &lines)
}
