//! What the buyer has from before, and updates: read, applied, written.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use griptrace_core::{
    bundle::MAGIC,
    limits::{BUNDLE_BYTES_MAX, UPDATE_BYTES_MAX},
};
use griptrace_verifier::{
    finding::{Code, Verdict},
    known::{History, Known},
    question::Question,
    report::Report,
    trust::Trust,
    update::bring_up_to_date,
};

use crate::{Args, Prepared, read_limited, trouble::Trouble};

/// Reads what the bundles are to be compared with.
pub(crate) fn read_histories(args: &Args, trust: &Trust) -> Result<Vec<History>, Trouble> {
    let read = |path: &PathBuf| {
        let bytes = read_limited(path, BUNDLE_BYTES_MAX)?;
        let is_bundle = bytes.starts_with(b"griptrace bundle ");
        let history = if is_bundle { History::of_bundle(&bytes, trust) } else { History::of_checkpoint(&bytes, trust) };
        let hint = "an older bundle, or a checkpoint as the log signed it, is expected";
        history.map_err(|error| Trouble::new(format!("{}: {error}", path.display())).with_hint(Some(hint.into())))
    };
    args.against.iter().map(read).collect()
}

/// Reads the updates.
pub(crate) fn read_updates(args: &Args) -> Result<Vec<Vec<u8>>, Trouble> {
    if args.write_updated.is_some() && args.bundles.len() > 1 {
        return Err(Trouble::new("--write-updated goes with one bundle"));
    }
    args.updates.iter().map(|path| read_limited(path, UPDATE_BYTES_MAX)).collect()
}

/// Applies the updates to a bundle; returns what comes of it, and the question about that.
pub(crate) fn apply(
    args: &Args,
    prepared: &Prepared,
    bundle: Vec<u8>,
    name: &Path,
) -> Result<(Vec<u8>, Question), Trouble> {
    let mut question = prepared.question.clone();
    let newest = bring_up_to_date(bundle, &prepared.updates, &prepared.trust, &mut question.known);
    let newest = newest.map_err(|error| {
        let path = error.number().and_then(|number| args.updates.get(number)).map_or(name, PathBuf::as_path);
        Trouble::new(format!("{}: {error}", path.display()))
    })?;
    Ok((newest, question))
}

/// Writes the newer bundle where the buyer asked for it; returns what the buyer should hear of it.
pub(crate) fn keep(args: &Args, report: &Report, file: &[u8], known: &Known) -> Result<Option<String>, Trouble> {
    let Some(path) = &args.write_updated else { return Ok(None) };
    let worse = [Code::HistoryShorter, Code::HistoryNotLinked];
    let is_worse = report.findings.iter().any(|finding| worse.contains(&finding.code));
    if report.verdict == Verdict::Broken || is_worse {
        return Ok(Some(format!("{} is not written: keep the bundle that you have", path.display())));
    }
    write_new(path, file, MAGIC, "bundle")?;
    let apart = "the withdrawals of an update are not in the bundle: keep the update, or put them into your trust file";
    Ok(Some(apart.to_owned()).filter(|_| !known.withdrawals.is_empty()))
}

/// Writes a file so that a crash leaves the old one or the new one. It replaces only what begins with `magic`.
pub(crate) fn write_new(path: &Path, bytes: &[u8], magic: &[u8], kind: &str) -> Result<(), Trouble> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Trouble::new(format!("cannot write {shown}: {error}"));
    if path.exists() {
        let mut begin = Vec::new();
        let limit = u64::try_from(magic.len()).unwrap_or(u64::MAX);
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut begin)).map_err(cannot)?;
        if begin != magic {
            return Err(Trouble::new(format!("{shown} is there already and is no {kind}, so that it is not replaced")));
        }
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(cannot)
}
