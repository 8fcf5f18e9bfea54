//! `griptrace fsck`.

use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    place::Place,
    workspace::Workspace,
};

/// Check the whole store against its log: every byte is read and hashed again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _: &Args) -> Result<Answer, CommandError> {
    if let Some(url) = Workspace::server_url(context)? {
        return Err(CommandError::failed(format!("fsck checks a store on this machine, and the log is on {url}"))
            .with_hint("run it where the store is; what a server answers is checked with every command"));
    }
    let opened = Workspace::local_store(context, false);
    let bar = context.output.progress("checking");
    let progress = |what: &str, done, total| bar.step(what, done, total);
    let wrong = |e| CommandError::because("cannot check the store", e);
    let report = match opened {
        Ok(store) => store.fsck(&progress).map_err(wrong)?,
        // What keeps a store from being opened is a fault of it, unless it is no fault of its files.
        Err(error) => match Place::of_context(context)?.fsck_closed(&progress) {
            Ok(report) if !report.is_clean() => report,
            Ok(_) | Err(_) => return Err(error),
        },
    };
    drop(bar);
    for fault in &report.faults {
        let object = json!({ "object": fault.object, "why": fault.why, "heals": fault.heals });
        let rest = if fault.heals { " (nothing is lost: the next writer makes it again)" } else { "" };
        context.output.either(&object, &[format!("FAULT  {}: {}{rest}", fault.object, fault.why)])?;
    }
    let (entries, nodes, tiles) = (report.entries, report.nodes, report.tiles);
    let checkpoints = report.checkpoints;
    let heals = report.faults.iter().all(|fault| fault.heals);
    let words = match (report.is_clean(), heals) {
        (true, _) => "the store holds together",
        (false, true) => "what can be made again differs from the log; nothing was changed",
        (false, false) => "the store is damaged; nothing was changed",
    };
    let object = json!({
        "clean": report.is_clean(), "segments": report.segments, "entries": entries, "nodes": nodes, "tiles": tiles,
        "checkpoints": checkpoints,
    });
    let line =
        format!("{words}: {entries} entries, {nodes} nodes, {tiles} tiles and {checkpoints} checkpoints were checked");
    context.output.either(&object, &[line])?;
    if !heals {
        context.output.talk("hint: put each file that does not heal back from a backup or a mirror");
    }
    Ok(if report.is_clean() { Answer::YES } else { Answer::NO })
}
