//! Work in a process of its own: what it takes of memory, and what starting costs, show only there.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the child's answer, and why it has none")]

use std::{
    env,
    ffi::OsStr,
    fs,
    process::{Command, ExitCode, Stdio},
};

use serde_json::Value as Json;

use crate::{Failure, topics};

/// A piece of work: its name, and what does it and tells its figures.
pub(crate) type Job = (&'static str, fn(&[String]) -> Result<Json, Failure>);

/// Has this program do a job in another process, and returns what it told.
pub(crate) fn ask(job: &str, arguments: &[&OsStr]) -> Result<Json, Failure> {
    let program = env::current_exe()?;
    let output = Command::new(program).arg("child").arg(job).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{job} left with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Does a job, as the process that was asked to.
pub(crate) fn answer(words: &[String]) -> ExitCode {
    let done = words.split_first().ok_or_else(|| "no job".into()).and_then(|(name, rest)| {
        let job = topics::JOBS.iter().find(|(known, _)| known == name);
        job.ok_or_else(|| format!("no job is called {name}").into()).and_then(|(_, work)| work(rest))
    });
    match done {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err::<_, Failure>(error) => {
            eprintln!("    {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the most memory that this process held, in bytes; null where the system can't tell.
pub(crate) fn peak_bytes() -> Json {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|text| text.parse::<u64>().ok());
    kibibytes.map_or(Json::Null, |kibibytes| (kibibytes * 1024).into())
}

/// Reads a number of what a child told.
pub(crate) fn told(answer: &Json, name: &str) -> Result<f64, Failure> {
    answer.get(name).and_then(Json::as_f64).ok_or_else(|| format!("{name} was not told").into())
}
