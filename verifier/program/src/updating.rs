//! What the buyer has from before, and updates: read, applied, written.

use std::{
    fs,
    io::{Read as _, Write},
    path::{Path, PathBuf},
};

use griptrace_core::{
    assessment::AssessorMark,
    bundle::MAGIC,
    cbor::decode,
    cose::{MARK_TYPE, Signed},
    limits::{BUNDLE_BYTES_MAX, UPDATE_BYTES_MAX},
    update::Update,
};
use griptrace_verifier::{
    finding::{Code, Verdict},
    known::{History, Known},
    question::Question,
    report::Report,
    trust::Trust,
    update::bring_up_to_date,
};

use crate::{
    Args, Prepared, open, read_limited,
    trouble::{Trouble, hint, warning},
};

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
    read_each(&args.asked.updates)
}

/// Reads updates, in order.
pub(crate) fn read_each(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, Trouble> {
    paths.iter().map(|path| read_limited(path, UPDATE_BYTES_MAX)).collect()
}

/// Applies the updates to a bundle; returns what comes of it, and the question about that.
pub(crate) fn apply(
    args: &Args,
    prepared: &Prepared,
    bundle: Vec<u8>,
    name: &Path,
) -> Result<(Vec<u8>, Question), Trouble> {
    let mut question = prepared.question.clone();
    let updates = (args.asked.updates.as_slice(), prepared.updates.as_slice());
    let newest = bring(bundle, name, updates, &prepared.trust, &mut question.known)?;
    Ok((newest, question))
}

/// Applies updates, each with its path, to a bundle of this name.
pub(crate) fn bring(
    bundle: Vec<u8>,
    name: &Path,
    (paths, updates): (&[PathBuf], &[Vec<u8>]),
    trust: &Trust,
    known: &mut Known,
) -> Result<Vec<u8>, Trouble> {
    bring_up_to_date(bundle, updates, trust, known).map_err(|error| {
        let path = error.number().and_then(|number| paths.get(number)).map_or(name, PathBuf::as_path);
        Trouble::new(format!("{}: {error}", path.display()))
    })
}

/// Writes the newer bundle where the buyer asked for it, and says what it does not hold.
pub(crate) fn keep(
    args: &Args,
    prepared: &Prepared,
    report: &Report,
    file: &[u8],
    err: &mut dyn Write,
) -> Result<(), Trouble> {
    let Some(path) = &args.write_updated else { return Ok(()) };
    let worse = [Code::HistoryShorter, Code::HistoryNotLinked];
    let is_worse = report.findings.iter().any(|finding| worse.contains(&finding.code));
    if report.verdict == Verdict::Broken || is_worse {
        hint(&format!("{} is not written: keep the bundle that you have", path.display()), err);
        return Ok(());
    }
    write_new(path, file, MAGIC, "bundle")?;
    warn_of_withdrawals(args, prepared, path, err);
    Ok(())
}

/// Says that a bundle has no place for assessors' own withdrawals: whoever checks it alone does not hear of them.
fn warn_of_withdrawals(args: &Args, prepared: &Prepared, written: &Path, err: &mut dyn Write) {
    let mut holding = Vec::new();
    for (path, file) in args.asked.updates.iter().zip(&prepared.updates) {
        let withdrawals = Update::view(file).map(|(update, _)| update.withdrawals).unwrap_or_default();
        let (written, brought) = (written.display(), path.display());
        for bytes in &withdrawals {
            let who = withdrawn(&prepared.trust, bytes);
            warning(
                &format!("{written} does not hold {who}, which {brought} brings: a bundle has no place for it"),
                err,
            );
        }
        holding.extend((!withdrawals.is_empty()).then(|| format!("--update {brought}")));
    }
    if !holding.is_empty() {
        let (written, updates) = (written.display(), holding.join(" "));
        let text = format!(
            "a check of {written} alone is as if nothing had been withdrawn: give {updates} with every check of it, or put the withdrawal into your trust file"
        );
        hint(&text, err);
    }
}

/// Names an assessor's withdrawal: what it says, of which day, and by whom in the trust file.
fn withdrawn(trust: &Trust, bytes: &[u8]) -> String {
    let Ok(signed) = Signed::parse(bytes, MARK_TYPE) else { return "a withdrawal that can't be read".into() };
    let mark = decode::<AssessorMark>(&signed.payload);
    let what = mark.map_or_else(|_| "a mark".into(), |mark| format!("the mark {} of {}", mark.mark, mark.date));
    match trust.assessors.iter().find(|assessor| assessor.key.id() == signed.key) {
        Some(assessor) => format!("{what} by {}", assessor.name),
        None => format!("{what} by key {}", signed.key),
    }
}

/// Writes a file so that a crash leaves the old one or the new one. It replaces only what begins with `magic`.
pub(crate) fn write_new(path: &Path, bytes: &[u8], magic: &[u8], kind: &str) -> Result<(), Trouble> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Trouble::new(format!("cannot write {shown}: {error}"));
    if path.exists() {
        let mut begin = Vec::new();
        let limit = u64::try_from(magic.len()).unwrap_or(u64::MAX);
        open(path).and_then(|file| file.take(limit).read_to_end(&mut begin)).map_err(cannot)?;
        if begin != magic {
            return Err(Trouble::new(format!("{shown} is there already and is no {kind}, so that it is not replaced")));
        }
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(cannot)
}
