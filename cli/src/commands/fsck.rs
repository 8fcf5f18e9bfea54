//! `griptrace fsck`.

use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
};

/// Check the whole store against its log: every byte is read and hashed again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let bar = context.output.progress("checking");
    let report = workspace
        .store
        .fsck(&|what: &str, done, total| bar.step(what, done, total))
        .map_err(|e| CommandError::because("cannot check the store", e))?;
    drop(bar);
    for fault in &report.faults {
        let object = json!({ "object": fault.object, "why": fault.why });
        context.output.either(&object, &[format!("FAULT  {}: {}", fault.object, fault.why)])?;
    }
    let (entries, nodes, tiles) = (report.entries, report.nodes, report.tiles);
    let checkpoints = report.checkpoints;
    let words =
        if report.is_clean() { "the store holds together" } else { "the store is damaged; nothing was changed" };
    let object = json!({
        "clean": report.is_clean(), "segments": report.segments, "entries": entries, "nodes": nodes, "tiles": tiles,
        "checkpoints": checkpoints,
    });
    let line =
        format!("{words}: {entries} entries, {nodes} nodes, {tiles} tiles and {checkpoints} checkpoints were checked");
    context.output.either(&object, &[line])?;
    Ok(if report.is_clean() { Answer::YES } else { Answer::NO })
}
