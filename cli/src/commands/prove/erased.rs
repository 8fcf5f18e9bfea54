//! What was erased, and can't be shown.

use griptrace_core::{
    bundle::Bundle,
    details::{slot, slot_name},
    id::NodeId,
    node::{Core, Role, node_id},
};
use griptrace_store::{Disclose, StoredNode, record::ManifestRecord};
use serde_json::{Value as Json, json};

use crate::{context::Context, error::CommandError, view::headline, workspace::Workspace};

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
    let cores: Vec<&Vec<u8>> = own.commits.iter().flat_map(|part| &part.cores).collect();
    let shipped = shipped(&bundle)?;
    for id in cores.iter().map(|core| node_id(core)) {
        let erasures = workspace.store.erasures_of(&id)?;
        if erasures.is_empty() {
            continue;
        }
        let node = workspace.node(&id)?;
        let erasures = erasures.iter().map(|id| workspace.node(id)).collect::<Result<Vec<_>, _>>()?;
        found.extend(tell_of(context, &node, &erasures, disclose, shipped.contains(&id)));
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

fn tell_of(
    context: &Context,
    node: &StoredNode,
    erasures: &[StoredNode],
    disclose: &Disclose,
    is_shipped: bool,
) -> Option<Json> {
    let (kind, title) = (node.core.kind, headline(node));
    let along = ["content", "manifest"].into_iter().filter_map(|name| slot(kind, name)).filter(|_| is_shipped);
    let asked: Vec<u8> = disclose.slots(kind, &node.id).into_iter().chain(along).collect();
    let gone: Vec<u8> = node.record.secret.erased().into_iter().filter(|slot| asked.contains(slot)).collect();
    let on = |is_it: &dyn Fn(&Core) -> bool| {
        let last = erasures.iter().rev().find(|erasure| is_it(&erasure.core));
        last.and_then(|erasure| erasure.core.date).map_or_else(String::new, |date| format!(" on {date}"))
    };
    let mut fields = Vec::new();
    for slot in gone {
        let name = slot_name(kind, slot).map_or_else(|| slot.to_string(), str::to_owned);
        let date = on(&|core| core.erased_slots.contains(&slot));
        context.output.talk(format_args!("{title}: {name} was erased{date}: unknown to the buyer"));
        fields.push(name);
    }
    let files = node.record.manifest.as_ref().map_or(0, ManifestRecord::erased);
    if files > 0 && is_shipped {
        let date = on(&|core| core.erased_files.is_some());
        context.output.warn(format_args!(
            "{title}: {files} of its files were erased{date}: a manifest is opened whole or not at all, so that the buyer can't compare the files in hand with it"
        ));
    }
    let is_told = !fields.is_empty() || (files > 0 && is_shipped);
    is_told
        .then(|| json!({ "node": node.id.to_string(), "fields": fields, "files": if is_shipped { files } else { 0 } }))
}
