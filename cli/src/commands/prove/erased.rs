//! What was erased, and can't be shown.

use griptrace_core::{
    bundle::Bundle,
    details::slot,
    id::NodeId,
    node::{Core, Role, node_id},
};
use griptrace_store::{Disclose, StoredNode, record::ManifestRecord};
use serde_json::{Value as Json, json};

use crate::{
    commands::erase::OVER_FILES,
    context::Context,
    error::CommandError,
    view::{field_name, headline},
    workspace::Workspace,
};

/// What a buyer finds of a model of which files were erased.
const NOT_COMPARED: &str = "a manifest is opened whole or not at all, so that no buyer can compare the files in hand with it: BROKEN to every buyer (model-not-opened)";
/// What a buyer finds of a model of which a digest over its files was erased.
const NOT_OPENED: &str = "its content and manifest can't both be opened: BROKEN to every buyer (model-not-opened)";
const HINT: &str = "hint: a buyer who has a bundle from before is to get griptrace prove --update-of that one: it keeps the files open";

/// Warns of what was erased of the files of a model that ships.
pub(crate) fn warn_of_files(context: &Context, model: &StoredNode, date: &str) {
    let (title, kind) = (headline(model), model.core.kind);
    let erased = model.record.secret.erased();
    let files = model.record.manifest.as_ref().map_or(0, ManifestRecord::erased);
    if OVER_FILES.iter().filter_map(|name| slot(kind, name)).any(|slot| erased.contains(&slot)) {
        context.output.warn(format_args!("{title}: {NOT_OPENED}"));
    } else if files > 0 {
        context.output.warn(format_args!("{title}: {files} of its files were erased{date}: {NOT_COMPARED}"));
    } else {
        return;
    }
    context.output.talk(HINT);
}

/// Says of each node in a bundle what was to be shown of it and was erased; returns the same as JSON.
pub(super) fn tell(
    context: &Context,
    workspace: &Workspace,
    disclose: &Disclose,
    bytes: &[u8],
) -> Result<Vec<Json>, CommandError> {
    let bundle = Bundle::from_bytes(bytes)?;
    let mut found = Vec::new();
    // Of other logs nothing was erased here.
    let Some(own) = bundle.logs.first() else { return Ok(found) };
    let cores = own.commits.iter().flat_map(|part| &part.cores);
    let shipped = shipped(&bundle)?;
    for (ordinal, id) in (0_u64..).zip(cores.map(|core| node_id(core))) {
        let erasures = workspace.store.erasures_of(&id)?;
        if erasures.is_empty() {
            continue;
        }
        let node = workspace.node(&id)?;
        let erasures = erasures.iter().map(|id| workspace.node(id)).collect::<Result<Vec<_>, _>>()?;
        let mut shown = Shown { is_shipped: shipped.contains(&id), ..Shown::default() };
        shown.has_files = bundle.manifests.iter().any(|part| part.node == ordinal);
        let opened = bundle.disclosures.iter().filter(|part| part.node == ordinal);
        shown.slots = opened.flat_map(|part| &part.opening.slots).map(|(slot, ..)| *slot).collect();
        found.extend(tell_of(context, &node, &erasures, disclose, &shown));
    }
    Ok(found)
}

/// Returns what ships: its content and files are opened whatever is chosen.
fn shipped(bundle: &Bundle) -> Result<Vec<NodeId>, CommandError> {
    let mut cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|part| &part.cores);
    let root = usize::try_from(bundle.root).ok().and_then(|root| cores.nth(root));
    let Some(root) = root else { return Ok(Vec::new()) };
    let core = Core::from_bytes(root).map_err(|e| CommandError::because("the root", e))?;
    Ok(core.edges_of(Role::Ships).map(|edge| edge.to).chain([node_id(root)]).collect())
}

/// What a bundle shows of a node. An update opens what the older bundle opened, whatever was erased since.
#[derive(Default)]
struct Shown {
    is_shipped: bool,
    has_files: bool,
    slots: Vec<u8>,
}

fn tell_of(
    context: &Context,
    node: &StoredNode,
    erasures: &[StoredNode],
    disclose: &Disclose,
    shown: &Shown,
) -> Option<Json> {
    let (kind, title) = (node.core.kind, headline(node));
    let along = OVER_FILES.into_iter().filter_map(|name| slot(kind, name)).filter(|_| shown.is_shipped);
    let asked: Vec<u8> = disclose.slots(kind, &node.id).into_iter().chain(along).collect();
    let erased = node.record.secret.erased().into_iter();
    let gone = erased.filter(|slot| asked.contains(slot) && !shown.slots.contains(slot));
    let on = |is_it: &dyn Fn(&Core) -> bool| {
        let last = erasures.iter().rev().find(|erasure| is_it(&erasure.core));
        last.and_then(|erasure| erasure.core.date).map_or_else(String::new, |date| format!(" on {date}"))
    };
    let mut fields = Vec::new();
    for slot in gone {
        let name = field_name(kind, slot);
        let date = on(&|core| core.erased_slots.contains(&slot));
        context.output.talk(format_args!("{title}: {name} was erased{date}: unknown to the buyer"));
        fields.push(name);
    }
    let files = node.record.manifest.as_ref().map_or(0, ManifestRecord::erased);
    let files = if shown.is_shipped && !shown.has_files { files } else { 0 };
    if shown.is_shipped && !shown.has_files {
        warn_of_files(context, node, &on(&|core| core.erased_files.is_some()));
    }
    let is_told = !fields.is_empty() || files > 0;
    is_told.then(|| json!({ "node": node.id.to_string(), "fields": fields, "files": files }))
}
