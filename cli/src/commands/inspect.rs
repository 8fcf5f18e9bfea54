//! `griptrace inspect`.

mod as_buyer;
mod keys;
mod update;

use std::path::PathBuf;

use griptrace_core::{
    assessment::assessed,
    bundle::{Bundle, bundle_digest},
    checkpoint::Checkpoint,
    details::{read_value, slot_name},
    id::NodeId,
    node::{Core, Kind, node_id},
    note::Note,
};
use serde_json::{Value as Json, json};

use crate::{
    context::{Answer, Context, read_bundle},
    error::CommandError,
    view,
};

pub(crate) use self::keys::{CommitterKeys, Keys, keys_of};

/// Show what is in a bundle or an update, unverified
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle, or the update of one
    pub(crate) bundle: PathBuf,
    /// Show only the keys that it names, with fingerprints to compare by phone
    #[arg(long)]
    pub(crate) keys: bool,
    /// Show exactly what its reader learns, and what not, before it leaves the house
    #[arg(long, conflicts_with = "keys")]
    pub(crate) as_buyer: bool,
}

/// Said before anything else: what follows is the bundle's own word.
const UNVERIFIED: &str = "UNVERIFIED: this is what the bundle says; `griptrace verify` checks it";

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let bytes = read_bundle(&args.bundle)?;
    if bytes.starts_with(update::STEM) {
        return update::show(context, args, &bytes);
    }
    let bundle = Bundle::from_bytes(&bytes)
        .map_err(|e| CommandError::because(format!("cannot read {}", args.bundle.display()), e))?;
    if !context.output.is_json() {
        context.output.line(UNVERIFIED)?;
    }
    if args.keys {
        return keys::show(context, &keys_of(&bundle)?);
    }
    if args.as_buyer {
        return as_buyer::show(context, &bytes, &bundle);
    }
    let head = json!({
        "verified": false, "digest": bundle_digest(&bytes).to_string(), "bytes": bytes.len(),
        "logs": bundle.logs.iter().map(log_json).collect::<Vec<_>>(),
    });
    let lines = [
        format!("bundle     {} bytes, digest {}", bytes.len(), bundle_digest(&bytes)),
        format!("logs       {}", bundle.logs.iter().map(log_line).collect::<Vec<_>>().join("; ")),
        format!("nodes      {}", bundle.node_count().map_err(|e| CommandError::because("malformed", e))?),
    ];
    context.output.either(&head, &lines)?;
    nodes_of(&bundle).iter().try_for_each(|node| show_node(context, &bundle, node))?;
    Ok(Answer::YES)
}

/// One node of a bundle.
struct Inside {
    ordinal: u64,
    id: NodeId,
    core: Core,
}

fn nodes_of(bundle: &Bundle) -> Vec<Inside> {
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
    let read = |(ordinal, bytes): (u64, &Vec<u8>)| {
        Some(Inside { ordinal, id: node_id(bytes), core: Core::from_bytes(bytes).ok()? })
    };
    (0..).zip(cores).filter_map(read).collect()
}

fn details_of(bundle: &Bundle, node: &Inside) -> Vec<(String, String)> {
    let opened = bundle.disclosures.iter().filter(|disclosure| disclosure.node == node.ordinal);
    let slots = opened.flat_map(|disclosure| &disclosure.opening.slots);
    let read = |(slot, _, bytes): &(u8, [u8; 16], Vec<u8>)| {
        let name = slot_name(node.core.kind, *slot).map_or_else(|| format!("slot-{slot}"), str::to_owned);
        Some((name, read_value(bytes).ok()?.to_string()))
    };
    slots.filter_map(read).collect()
}

fn show_node(context: &Context, bundle: &Bundle, node: &Inside) -> Result<(), CommandError> {
    let details = details_of(bundle, node);
    let core = view::core_fields(&node.core);
    let files = bundle.manifests.iter().find(|m| m.node == node.ordinal).map(|m| m.files.len());
    let root = node.ordinal == bundle.root;
    if context.output.is_json() {
        return context.output.object(&json!({
            "id": node.id.to_string(), "kind": node.core.kind.word(), "root": root,
            "core": core.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "details": details.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "files": files,
        }));
    }
    let mark = if root { " (the root)" } else { "" };
    context.output.line(format_args!("\n{} {}{mark}", node.core.kind, node.id))?;
    let mut fields: Vec<(String, String)> = core.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    fields.extend(details);
    if let (Kind::Assessment, Ok(of)) = (node.core.kind, assessed(node.id, &node.core)) {
        fields.push(("assessment".to_owned(), view::scheme(&of)));
    }
    fields.extend(files.map(|files| ("files".to_owned(), files.to_string())));
    fields.iter().try_for_each(|(name, value)| context.output.line(format_args!("  {name:<18} {value}")))
}

fn newest(log: &griptrace_core::bundle::LogPart) -> Option<Checkpoint> {
    let note = Note::parse(log.anchors.last()?.note.as_bytes()).ok()?;
    Checkpoint::parse(note.text()).ok()
}

fn log_line(log: &griptrace_core::bundle::LogPart) -> String {
    newest(log).map_or_else(|| "a log without a checkpoint".to_owned(), |c| format!("{} at size {}", c.origin, c.size))
}

fn log_json(log: &griptrace_core::bundle::LogPart) -> Json {
    newest(log).map_or(Json::Null, |c| json!({ "origin": c.origin, "size": c.size, "root": c.root.to_string() }))
}
