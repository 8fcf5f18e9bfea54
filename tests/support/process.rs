//! The program in processes of its own: run to its end, or until it is asked to end or killed.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Instant,
};

use serde_json::Value;

/// How long a server may take to listen or to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the program, to be run in a folder, and to know nothing but what it is told there.
pub(crate) fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace-under-test"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env("XDG_STATE_HOME", folder.join("state"));
    for name in ["GRIPTRACE_STORE", "GRIPTRACE_PASSPHRASE", "GRIPTRACE_SERVER", "GRIPTRACE_TOKEN", "GRIPTRACE_CA"] {
        command.env_remove(name);
    }
    command
}

/// Returns all that it said, on both ways.
pub(crate) fn said(finished: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr))
}

/// Runs the program, which has to do what it was asked for, and returns what it prints.
#[track_caller]
pub(crate) fn works(folder: &Path, args: &[&str]) -> String {
    let finished = program(folder, args).output().unwrap();
    assert!(finished.status.success(), "griptrace {args:?}\n{}", said(&finished));
    String::from_utf8(finished.stdout).expect("it prints text")
}

/// Runs the program, which has to end with this code, and returns what it said, on both ways.
#[track_caller]
pub(crate) fn ends(folder: &Path, code: i32, args: &[&str]) -> String {
    let finished = program(folder, args).output().unwrap();
    assert_eq!(finished.status.code(), Some(code), "griptrace {args:?}: {}", said(&finished));
    said(&finished)
}

/// A program that goes on. It is killed when it is dropped.
pub(crate) struct Running {
    process: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it. What it says goes to the end of a file.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let file = fs::File::options().create(true).append(true).open(log).unwrap();
        let command = command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { process: command.spawn().unwrap(), log: log.to_owned() }
    }

    /// Waits for the file in which a server says where it listens.
    pub(crate) fn told(&mut self, ready: &Path) -> Value {
        let begun = Instant::now();
        loop {
            let told = fs::read(ready).ok().and_then(|told| serde_json::from_slice(&told).ok());
            if let Some(told) = told {
                return told;
            }
            let has_ended = self.process.try_wait().unwrap().is_some();
            assert!(!has_ended && begun.elapsed() < PATIENCE, "it does not listen: {}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns what it said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, waits until it has, and returns its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(asked.success(), "it runs until it is asked to end");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which its test has noticed.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
