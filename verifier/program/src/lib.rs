//! Checks Griptrace evidence files offline: the arguments, the files, the clock and the output
//! around `griptrace-verifier`, which judges.
//!
//! `griptrace verify` takes the same [`Args`] and calls the same [`check`].
#![forbid(unsafe_code)]

mod arguments;
mod asked;
mod clock;
mod fork;
mod hand;
mod output;
mod trouble;
mod updating;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write},
    path::Path,
    process::ExitCode,
};

pub use arguments::Args;
use arguments::Program;
pub use asked::Asked;
use clap::Parser as _;
use griptrace_core::{
    date::Date,
    digest::Digest,
    limits::{BUNDLE_BYTES_MAX, CONFIG_BYTES_MAX},
};
use griptrace_verifier::{
    known::Known,
    policy::{self, Policy},
    question::Question,
    render,
    report::Report,
    trust::{self, Trust},
    verify::verify,
};
use output::Output;
use sha2::{Digest as _, Sha256};
use trouble::Trouble;
use updating::write_new;

/// The policy is met.
const MET: u8 = 0;
/// Checked, and the policy is not met.
const NOT_MET: u8 = 1;
/// Could not check.
const COULD_NOT: u8 = 2;

/// Runs the program with the process's own arguments, standard output and standard error.
pub fn run_program() -> ExitCode {
    ExitCode::from(run(std::env::args_os(), &mut io::stdout().lock(), &mut io::stderr().lock()))
}

/// Runs the program and returns its exit code. The first argument is the program's name.
pub fn run(args: impl Iterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match Program::try_parse_from(args) {
        Ok(program) => check(&program.args, clock::today(), out, err),
        // Nobody reading the usage is no reason to say more.
        Err(usage) if usage.use_stderr() => {
            write!(err, "{usage}").ok();
            COULD_NOT
        }
        Err(help) => {
            write!(out, "{help}").ok();
            MET
        }
    }
}

/// Checks the bundles and returns the worst exit code: 0 if the policy is met by each, 1 if it was
/// checked and is not, 2 if something could not be checked. `today` counts as now without `--at`.
///
/// Whether anybody still reads the output does not change the exit code.
pub fn check(args: &Args, today: Date, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let mut out = Output::new(out);
    let done = match &args.check_fork {
        Some(file) => fork::check(args, file, &mut out),
        None => check_all(args, today, &mut out, err),
    };
    let done = done.and_then(|code| out.flush().map(|()| code));
    done.unwrap_or_else(|trouble| {
        trouble.tell(err);
        COULD_NOT
    })
}

fn check_all(args: &Args, today: Date, out: &mut Output<'_>, err: &mut dyn Write) -> Result<u8, Trouble> {
    let prepared = prepare(args, today)?;
    args.bundles.iter().try_fold(MET, |worst, file| Ok(worst.max(check_one(args, &prepared, file, out, err)?)))
}

/// Judges the bytes of one bundle as [`check`] judges a file; the bundles of `args` are not read. `today` counts as now
/// without `--at`.
///
/// # Errors
/// What could not be checked, in words, and a hint if there is one.
pub fn report(args: &Args, today: Date, bytes: &[u8]) -> Result<Report, (String, Option<String>)> {
    report_and_question(args, today, bytes).map(|(report, _)| report)
}

/// Does what [`report`] does, and returns besides what was asked, for whoever files the answer.
///
/// # Errors
/// As [`report`].
pub fn report_and_question(
    args: &Args,
    today: Date,
    bytes: &[u8],
) -> Result<(Report, Asked), (String, Option<String>)> {
    let prepared = prepare(args, today).map_err(|trouble| (trouble.text().to_owned(), trouble.hint()))?;
    let judged = verify(bytes, &prepared.trust, &prepared.policy, &prepared.question);
    judged.map(|report| (report, Asked::of(args, &prepared))).map_err(|error| (error.to_string(), None))
}

/// What is the buyer's own: read once, before any bundle.
struct Prepared {
    trust: Trust,
    policy: Policy,
    /// SHA-256 of the trust file and of the policy, as they were read.
    read: [Digest; 2],
    question: Question,
    updates: Vec<Vec<u8>>,
}

fn prepare(args: &Args, today: Date) -> Result<Prepared, Trouble> {
    let (trust, trust_read) = read_config(&args.trust, "trust file", trust::parse)?;
    let policy = args.policy.as_deref().ok_or_else(|| Trouble::new("--policy FILE is missing"))?;
    let (policy, policy_read) = read_config(policy, "policy", policy::parse)?;
    let question = Question {
        now: args.at.unwrap_or(today),
        destination: args.destination,
        consignee: args.consignee.clone(),
        purposes: args.purposes.clone(),
        model: hand::model_in_hand(args)?,
        known: Known { histories: updating::read_histories(args, &trust)?, ..Known::default() },
    };
    Ok(Prepared { trust, policy, read: [trust_read, policy_read], question, updates: updating::read_updates(args)? })
}

fn read_trust(path: &Path) -> Result<Trust, Trouble> {
    read_config(path, "trust file", trust::parse).map(|(trust, _)| trust)
}

/// Reads a file of the buyer's, and returns its SHA-256 besides.
fn read_config<T>(
    path: &Path,
    what: &str,
    parse: impl FnOnce(&str, &str) -> Result<T, trust::ConfigError>,
) -> Result<(T, Digest), Trouble> {
    let name = path.display().to_string();
    let bytes = read_limited(path, CONFIG_BYTES_MAX)
        .map_err(|trouble| trouble.or_hint(format!("the {what} is the buyer's own, and not part of the evidence")))?;
    let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
    let text = String::from_utf8(bytes)
        .map_err(|error| Trouble::new(format!("{name}: is not UTF-8 at byte {}", error.utf8_error().valid_up_to())))?;
    let parsed = parse(&name, &text).map_err(|error| Trouble::new(error.to_string()).with_hint(error.hint))?;
    Ok((parsed, digest))
}

/// Reads a file of at most `limit` bytes; of a larger one, no more than that.
fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, Trouble> {
    let cannot = |error: io::Error| Trouble::new(format!("cannot read {}: {error}", path.display()));
    let over =
        |size: u64| Trouble::new(format!("{}: {size} bytes or more are above the limit of {limit}", path.display()));
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    if size > limit {
        return Err(over(size));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(cannot)?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > limit { Err(over(size)) } else { Ok(bytes) }
}

/// Checks one bundle and writes what was found. Fails only if that can't be written.
fn check_one(
    args: &Args,
    prepared: &Prepared,
    file: &Path,
    out: &mut Output<'_>,
    err: &mut dyn Write,
) -> Result<u8, Trouble> {
    let name = file.display().to_string();
    match judge(args, prepared, file) {
        Ok(Judged { report, file, question }) => {
            tell(args, &name, &report, out)?;
            let said = [
                fork::keep(args, &report, &file, &prepared.trust, &question.known)?,
                updating::keep(args, &report, &file, &question.known)?,
            ];
            said.into_iter().flatten().for_each(|text| trouble::hint(&text, err));
            Ok(if report.policy_met { MET } else { NOT_MET })
        }
        Err(trouble) => {
            trouble.tell(err);
            if args.json {
                out.line(&render::json_text(&render::could_not_check(&name, trouble.text())))?;
            }
            Ok(COULD_NOT)
        }
    }
}

/// What was judged, and what came of it.
struct Judged {
    report: Report,
    file: Vec<u8>,
    question: Question,
}

fn judge(args: &Args, prepared: &Prepared, path: &Path) -> Result<Judged, Trouble> {
    let bytes = read_limited(path, BUNDLE_BYTES_MAX)?;
    let (file, question) = updating::apply(args, prepared, bytes, path)?;
    let report = verify(&file, &prepared.trust, &prepared.policy, &question)
        .map_err(|error| Trouble::new(format!("{}: {error}", path.display())))?;
    Ok(Judged { report, file, question })
}

fn tell(args: &Args, name: &str, report: &Report, out: &mut Output<'_>) -> Result<(), Trouble> {
    if args.json {
        let mut object = render::json(report);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("file".into(), name.into());
        }
        return out.line(&render::json_text(&object));
    }
    if args.bundles.len() > 1 {
        out.line(&render::line(report, name))?;
        return if args.explain { out.text(&render::words(report, true)) } else { Ok(()) };
    }
    out.text(&render::words(report, args.explain))
}

#[cfg(test)]
mod tests;
