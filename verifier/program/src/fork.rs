//! Evidence that a log's key signed two histories: written, and checked.

use std::path::Path;

use griptrace_core::fork::{FORK_BYTES_MAX, Fork, ForkError, Forked, MAGIC};
use griptrace_verifier::{
    finding::Code,
    known::{Known, check_fork, fork},
    render::{json_text, plain},
    report::Report,
    trust::Trust,
};
use serde_json::json;

use crate::{Args, COULD_NOT, MET, NOT_MET, output::Output, read_limited, read_trust, trouble::Trouble, write_new};

/// Keeps the evidence of a fork where the buyer asked for it; returns what the buyer should hear of it.
pub(crate) fn keep(
    args: &Args,
    report: &Report,
    file: &[u8],
    trust: &Trust,
    known: &Known,
) -> Result<Option<String>, Trouble> {
    if !report.findings.iter().any(|finding| finding.code == Code::HistoryForked) {
        return Ok(None);
    }
    let Some(evidence) = fork(file, trust, known) else {
        return Ok(Some("keep both files: there is evidence for others only of two checkpoints of one size, signed by one key of your trust file".into()));
    };
    let Some(path) = &args.fork_evidence else {
        return Ok(Some(
            "--fork-evidence FILE writes both signed checkpoints into a file that others can check".into(),
        ));
    };
    write_new(path, evidence.to_text().as_bytes(), MAGIC.as_bytes(), "evidence of a fork")?;
    let text = format!("{} holds both signed checkpoints: show it to others who use this log", path.display());
    Ok(Some(text))
}

/// Checks evidence: 0 if the log's key signed two histories, 1 if the file does not show that.
pub(crate) fn check(args: &Args, path: &Path, out: &mut Output<'_>) -> Result<u8, Trouble> {
    let (trust, _) = read_trust(&args.trust)?;
    let name = path.display().to_string();
    let cannot = |error: &dyn core::fmt::Display| Trouble::new(format!("{name}: {error}"));
    let evidence = Fork::parse(&read_limited(path, FORK_BYTES_MAX)?).map_err(|error| cannot(&error))?;
    let origin = evidence.vkey.name();
    let Some(log) = trust.logs.iter().find(|log| log.origin == origin) else {
        return Err(cannot(&format_args!("the trust file has no log {origin}")).with_hint(Some(
            "add the log with the key that you know it by, and from elsewhere than this file".into(),
        )));
    };
    let shown = check_fork(&evidence, log);
    tell(args, &name, &shown, out)?;
    Ok(match shown {
        Ok(_) => MET,
        Err(error) if error.is_readable() => NOT_MET,
        Err(_) => COULD_NOT,
    })
}

fn tell(args: &Args, name: &str, shown: &Result<Forked, ForkError>, out: &mut Output<'_>) -> Result<(), Trouble> {
    if args.json {
        let object = match shown {
            Ok(fork) => json!({
                "schema": "griptrace-fork-1", "file": name, "forked": true, "origin": fork.origin, "size": fork.size,
                "roots": fork.roots.map(|root| root.to_string()),
            }),
            Err(error) => json!({
                "schema": "griptrace-fork-1", "file": name, "forked": false, "code": error.code(),
                "text": error.to_string(),
            }),
        };
        return out.line(&json_text(&object));
    }
    match shown {
        Ok(Forked { origin, size, roots: [before, now] }) => {
            out.line(&format!("the log's key signed two histories: {}, size {size}", plain(origin, 300)))?;
            out.line(&format!("  root seen before: {before}"))?;
            out.line(&format!("  root shown now:   {now}"))
        }
        Err(error) => out.line(&format!("this does not show two histories: {}", plain(&error.to_string(), 1_000))),
    }
}
