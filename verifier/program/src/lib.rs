//! Checks Griptrace evidence files offline: the arguments, the files, the clock and the output
//! around `griptrace-verifier`, which judges.
//!
//! `griptrace verify` takes the same [`Args`] and calls the same [`check`].
#![forbid(unsafe_code)]

mod arguments;
mod clock;
mod fork;
mod hand;
mod opening;
mod output;
mod trouble;
mod updating;

use std::{
    ffi::OsString,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use arguments::Program;
pub use arguments::{Args, Asked};
use clap::Parser as _;
use griptrace_core::{
    date::Date,
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
pub use hand::is_inside;
pub use opening::open;
use output::Output;
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
    hand::refuse_inside(args)?;
    let prepared = prepare(args, today)?;
    args.bundles.iter().try_fold(MET, |worst, file| Ok(worst.max(check_one(args, &prepared, file, out, err)?)))
}

/// Judges the bytes of one bundle as [`check`] judges a file; the bundles of `args` are not read, and nothing is written.
/// `today` counts as now without `--at`. Beside what came of it, returns what was read for it.
///
/// # Errors
/// What could not be checked, in words, and a hint if there is one.
pub fn report(args: &Args, today: Date, bytes: Vec<u8>) -> Result<(Judged, Inputs), (String, Option<String>)> {
    let name = args.bundles.first().map_or(Path::new("the bundle"), PathBuf::as_path);
    let judged = prepare(args, today).and_then(|prepared| {
        let judged = judge(args, &prepared, bytes.clone(), name)?;
        let Prepared { trust, trust_file, policy_file, updates, .. } = prepared;
        Ok((judged, Inputs { given: bytes, updates, trust, trust_file, policy_file }))
    });
    judged.map_err(|trouble| (trouble.text().to_owned(), trouble.hint()))
}

/// A bundle as it is read for who does not judge it: brought up to date, and what is known beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// The bundle: the bytes that were given, or what the updates made of them.
    pub file: Vec<u8>,
    /// Whom the reader believes.
    pub trust: Trust,
    /// What the updates brought, and the history that the bundle must not rewrite.
    pub known: Known,
}

/// Reads a trust file and updates as [`check`] does, and brings the bytes of a bundle of this name up to date. Nothing is
/// verified.
///
/// # Errors
/// What could not be read, in words, and a hint if there is one.
pub fn evidence(
    bytes: Vec<u8>,
    name: &Path,
    trust: &Path,
    updates: &[PathBuf],
) -> Result<Evidence, (String, Option<String>)> {
    let brought = read_trust(trust).and_then(|(trust, _)| {
        let (files, mut known) = (updating::read_each(updates)?, Known::default());
        let file = updating::bring(bytes, name, (updates, &files), &trust, &mut known)?;
        Ok(Evidence { file, trust, known })
    });
    brought.map_err(|trouble| (trouble.text().to_owned(), trouble.hint()))
}

/// What a judgement was made from, each file as it was read then: read again, it may be another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inputs {
    /// The bundle as it was given.
    pub given: Vec<u8>,
    /// The updates, in order.
    pub updates: Vec<Vec<u8>>,
    /// The trust file.
    pub trust: Trust,
    /// Its text.
    pub trust_file: String,
    /// The text of the policy.
    pub policy_file: String,
}

/// What is the buyer's own: read once, before any bundle.
struct Prepared {
    trust: Trust,
    trust_file: String,
    policy: Policy,
    policy_file: String,
    question: Question,
    updates: Vec<Vec<u8>>,
}

fn prepare(args: &Args, today: Date) -> Result<Prepared, Trouble> {
    let (trust, trust_file) = read_trust(&args.trust)?;
    let policy = args.policy.as_deref().ok_or_else(|| Trouble::new("--policy FILE is missing"))?;
    let (policy, policy_file) = read_config(policy, "policy", policy::parse)?;
    let question = Question {
        now: args.asked.at.unwrap_or(today),
        destination: args.asked.destination,
        consignee: args.asked.consignee.clone(),
        purposes: args.asked.purposes.clone(),
        model: hand::model_in_hand(&args.asked)?,
        known: Known { histories: updating::read_histories(args, &trust)?, ..Known::default() },
    };
    Ok(Prepared { trust, trust_file, policy, policy_file, question, updates: updating::read_updates(args)? })
}

/// Reads the trust file; returns its text too.
fn read_trust(path: &Path) -> Result<(Trust, String), Trouble> {
    read_config(path, "trust file", trust::parse)
}

fn read_config<T>(
    path: &Path,
    what: &str,
    parse: impl FnOnce(&str, &str) -> Result<T, trust::ConfigError>,
) -> Result<(T, String), Trouble> {
    let name = path.display().to_string();
    let bytes = read_limited(path, CONFIG_BYTES_MAX)
        .map_err(|trouble| trouble.or_hint(format!("the {what} is the buyer's own, and not part of the evidence")))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Trouble::new(format!("{name}: is not UTF-8 at byte {}", error.utf8_error().valid_up_to())))?;
    let parsed = parse(&name, &text).map_err(|error| Trouble::new(error.to_string()).with_hint(error.hint))?;
    Ok((parsed, text))
}

/// Reads a file of at most `limit` bytes; of a larger one, no more than that.
fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, Trouble> {
    let cannot = |error: io::Error| Trouble::new(format!("cannot read {}: {error}", path.display()));
    let over =
        |size: u64| Trouble::new(format!("{}: {size} bytes or more are above the limit of {limit}", path.display()));
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let file = open(path).map_err(cannot)?;
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
    let judged = read_limited(file, BUNDLE_BYTES_MAX).and_then(|bytes| judge(args, prepared, bytes, file));
    match judged {
        Ok(Judged { report, file, question }) => {
            tell(args, &name, &report, out)?;
            let forked = fork::keep(args, &report, &file, &prepared.trust, &question.known)?;
            forked.iter().for_each(|text| trouble::hint(text, err));
            updating::keep(args, prepared, &report, &file, err)?;
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// What was found.
    pub report: Report,
    /// The bundle that was judged: the file's bytes, or what the updates made of them.
    pub file: Vec<u8>,
    /// What was asked, with what the updates brought.
    pub question: Question,
}

/// Judges the bytes of a bundle of this name, brought up to date.
fn judge(args: &Args, prepared: &Prepared, bytes: Vec<u8>, name: &Path) -> Result<Judged, Trouble> {
    let (file, question) = updating::apply(args, prepared, bytes, name)?;
    let report = verify(&file, &prepared.trust, &prepared.policy, &question)
        .map_err(|error| Trouble::new(format!("{}: {error}", name.display())))?;
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
