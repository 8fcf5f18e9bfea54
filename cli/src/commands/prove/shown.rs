//! What a bundle shows though it was to be hidden.

use griptrace_core::{
    bundle::Bundle,
    details::slot_name,
    node::{Core, node_id},
};
use griptrace_store::Disclose;

use crate::{
    context::Context,
    error::CommandError,
    profile::Field,
    view::{headline, short},
    workspace::Workspace,
};

/// Warns of each node of which the bundle opens what was to be hidden: a detail that `hide` names, or one of a node that has
/// an exception in what is disclosed. Every bundle opens content and manifest of what ships.
pub(super) fn warn(
    context: &Context,
    workspace: &Workspace,
    (disclose, hide): (&Disclose, &[Field]),
    bytes: &[u8],
) -> Result<(), CommandError> {
    let bundle = Bundle::from_bytes(bytes)?;
    let cores: Vec<&Vec<u8>> = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|part| &part.cores).collect();
    let mut is_told = false;
    for disclosure in &bundle.disclosures {
        let Some(core) = usize::try_from(disclosure.node).ok().and_then(|at| cores.get(at)) else { continue };
        let (id, kind) = (node_id(core), Core::from_bytes(core).map_err(|e| CommandError::because("a node", e))?.kind);
        let asked = disclose.slots(kind, &id);
        let is_exception = matches!(disclose, Disclose::Chosen(chosen) if chosen.nodes.contains_key(&id));
        let opened = disclosure.opening.slots.iter().map(|(slot, ..)| *slot);
        let shown = opened
            .filter(|slot| !asked.contains(slot) && (is_exception || hide.iter().any(|field| field.is(kind, *slot))));
        let shown: Vec<String> =
            shown.map(|slot| slot_name(kind, slot).map_or_else(|| slot.to_string(), str::to_owned)).collect();
        if !shown.is_empty() {
            let title = workspace.node(&id).map_or_else(|_| format!("{} {kind}", short(&id)), |node| headline(&node));
            context
                .output
                .warn(format_args!("{title}: {} can't be hidden, and the bundle shows it", shown.join(" and ")));
            is_told = true;
        }
    }
    if is_told {
        context.output.talk(
            "hint: a buyer compares the files that shipped with those in hand: their paths, sizes and digests stand in \
             every bundle (docs/disclosure.md)",
        );
    }
    Ok(())
}
