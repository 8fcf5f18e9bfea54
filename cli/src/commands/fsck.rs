//! `griptrace fsck`.

use griptrace_store::{Fault, FsckReport, GOING_ON};
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile,
    place::Place,
    workspace::Workspace,
};

/// What a check that was stopped keeps beside the settings.
const STATE: &str = "fsck";

/// Check the whole store against its log: every byte is read and hashed again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Check only so many entries drawn by lot, each with all of its segment: for every day
    #[arg(long, value_name = "COUNT")]
    sample: Option<u64>,
    /// Draw the entries that this number drew before
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    seed: Option<u64>,
    /// Put back what can be made again of the log: tiles, checkpoint, keys, genesis, snapshot, index. Takes the turn to write
    #[arg(long, conflicts_with = "sample")]
    mend: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    if let Some(url) = Workspace::server_url(context)? {
        return Err(CommandError::failed(format!("fsck checks a store on this machine, and the log is on {url}"))
            .with_hint("run it where the store is; what a server answers is checked with every command"));
    }
    let opened = Workspace::local_store(context, args.mend);
    let bar = context.output.progress("checking");
    let progress = |what: &str, done, total| {
        if what == GOING_ON {
            let rest = "what comes before is read again, and not hashed again";
            context.output.talk(format_args!("going on at entry {done} of {total}, where it was stopped: {rest}"));
        } else {
            bar.step(what, done, total);
        }
    };
    let wrong = |e| CommandError::because("cannot check the store", e);
    let state = context.store_folder()?.join(STATE);
    let seed = args.sample.map(|_| args.seed.map_or_else(drawn, Ok)).transpose()?;
    let mut mended = Vec::new();
    let report = match (opened, args.sample.zip(seed)) {
        (Ok(store), Some((count, seed))) => store.fsck_sample(count, seed, &progress).map_err(wrong)?,
        // Stopped, it goes on where it was.
        (Ok(store), None) => {
            let mut report = store.fsck_resumed(&state, &progress).map_err(wrong)?;
            if args.mend {
                mended = store.mend(&report).map_err(|e| CommandError::because("cannot mend the store", e))?;
                report.faults.retain(|fault| !mended.contains(fault));
            }
            report
        }
        // What keeps a store from being opened is a fault of it, unless it is no fault of its files.
        (Err(error), _) => match Place::of_context(context)?.fsck_closed(&progress) {
            Ok(report) if !report.is_clean() => report,
            Ok(_) | Err(_) => return Err(error),
        },
    };
    drop(bar);
    tell_faults(context, &report, &mended)?;
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
        "checkpoints": checkpoints, "seed": seed, "mended": mended.len(),
    });
    let line =
        format!("{words}: {entries} entries, {nodes} nodes, {tiles} tiles and {checkpoints} checkpoints were checked");
    context.output.either(&object, &[line])?;
    if let Some(seed) = seed {
        context.output.talk(format_args!("drawn by --seed {seed}; what was not drawn was not looked at"));
    }
    if !heals {
        context.output.talk("hint: put each file that does not heal back from a backup or a mirror");
    }
    Ok(if report.is_clean() { Answer::YES } else { Answer::NO })
}

/// Tells what was found and what was mended, a line each.
fn tell_faults(context: &Context, report: &FsckReport, mended: &[Fault]) -> Result<(), CommandError> {
    for fault in mended {
        let object = json!({ "object": fault.object, "why": fault.why, "mended": true });
        context.output.either(&object, &[format!("MENDED {}: {}", fault.object, fault.why)])?;
    }
    for fault in &report.faults {
        let object = json!({ "object": fault.object, "why": fault.why, "heals": fault.heals });
        let rest = match (fault.heals_by_writing(), fault.heals) {
            _ if fault.is_erased() => {
                " (`griptrace fsck --mend`, or the next erasure, takes it out; in a copy the next backup)"
            }
            (true, _) => " (nothing is lost: the next writer makes it again)",
            (false, true) => " (nothing is lost: `griptrace fsck --mend` makes it again)",
            (false, false) => "",
        };
        context.output.either(&object, &[format!("FAULT  {}: {}{rest}", fault.object, fault.why)])?;
    }
    for id in &report.empty_erasures {
        context
            .output
            .talk(format_args!("{id} is an Erasure that took nothing: an older version let a client record it"));
    }
    Ok(())
}

/// Draws a seed.
fn drawn() -> Result<u64, CommandError> {
    let mut bytes = [0; 4];
    keyfile::fill(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes).into())
}
