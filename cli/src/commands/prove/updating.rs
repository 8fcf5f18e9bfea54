//! Updates: what brings an older bundle up to date.

use std::path::Path;

use griptrace_core::{
    bundle::{Bundle, BundleView, bundle_digest},
    cose::{MARK_TYPE, Signed},
    entry::genesis_hash,
    id::{GenesisHash, NodeId},
    node::node_id,
    update::{MAGIC, Patch, Update, open_alike},
};
use serde_json::json;

use super::Args;
use crate::{
    context::{Answer, Context, read_file, write_output},
    error::CommandError,
    witnesses::Standing,
};

/// Opens in a newer bundle what the older one opened: an update discloses nothing new.
pub(super) fn opened_alike(new: &[u8], old: &[u8]) -> Result<Vec<u8>, CommandError> {
    let read = |bytes| Bundle::from_bytes(bytes).map_err(|e| CommandError::because("cannot read a bundle", e));
    let (mut new, old) = (read(new)?, read(old)?);
    let (root, asked) = (root(&old), root(&new));
    if root != asked {
        let id = |root: Option<NodeId>| root.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
        let text = format!("the older bundle is of {}, and not of {}", id(root), id(asked));
        return Err(CommandError::failed(text).with_hint("an update is for a bundle of the same shipment"));
    }
    open_alike(&mut new, &old).map_err(|id| {
        CommandError::failed(format!("the older bundle opens {id}, which the newer one does not hold"))
    })?;
    Ok(new.to_bytes())
}

fn root(bundle: &Bundle) -> Option<NodeId> {
    let mut cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
    usize::try_from(bundle.root).ok().and_then(|root| cores.nth(root)).map(|core| node_id(core))
}

/// Returns the logs that a bundle shows something of.
fn homes(bundle: &[u8]) -> Result<Vec<GenesisHash>, CommandError> {
    let bundle = BundleView::view(bundle).map_err(|e| CommandError::because("cannot read a bundle", e))?;
    Ok(bundle.logs.iter().filter_map(|log| log.entries.first()).map(|first| genesis_hash(first.1)).collect())
}

/// Writes the update of the older bundle to the newer one.
pub(super) fn write(
    context: &Context,
    args: &Args,
    (old, new): (&[u8], &[u8]),
    standing: Option<&Standing>,
    inputs: &[&Path],
) -> Result<Answer, CommandError> {
    let brought = args.withdrawal.iter().map(|path| Ok((path, read_file(path)?)));
    let brought = brought.collect::<Result<Vec<_>, CommandError>>()?;
    let mut withdrawals: Vec<&[u8]> = Vec::new();
    let homes = homes(new)?;
    for (path, file) in &brought {
        let wrong = |e| CommandError::because(format!("cannot read the withdrawal {}", path.display()), e);
        let brought = Update::view(file).map_err(wrong)?.0.withdrawals;
        // Whether it is well-formed is the verifier's to say.
        let of = brought.iter().filter_map(|bytes| Signed::parse(bytes, MARK_TYPE).ok()).map(|signed| signed.home);
        for home in of.filter(|home| !homes.contains(home)) {
            context.output.warn(format_args!(
                "the withdrawal {} is for the log {home}, of which this bundle shows nothing: is it another shipment's?",
                path.display()
            ));
        }
        withdrawals.extend(brought);
    }
    withdrawals.sort_unstable();
    withdrawals.dedup();
    let update = Update { patch: Some(Patch::between(old, new)), withdrawals };
    let bytes = update.to_bytes();
    Update::view(&bytes).map_err(|e| CommandError::because("no verifier would read this update", e))?;
    write_output(&args.output, &bytes, ("update", MAGIC), inputs)?;
    if old == new {
        context.output.warn("the log has not grown since the older bundle was made");
    }
    let (file, base, result) = (args.output.display().to_string(), bundle_digest(old), bundle_digest(new));
    let object = json!({
        "file": file, "bytes": bytes.len(), "base": base.to_string(), "result": result.to_string(),
        "withdrawals": update.withdrawals.len(), "quorum_met": standing.map(Standing::is_met),
        "map_met": standing.and_then(Standing::is_map_met), "as_of": standing.and_then(|standing| standing.as_of),
    });
    let line = format!("wrote {file}: {} bytes, which make bundle {result} of bundle {base}", bytes.len());
    context.output.either(&object, &[line])?;
    Ok(Answer::YES)
}
