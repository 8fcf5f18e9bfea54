//! What every command is given, and what it answers.

use std::{fs, path::PathBuf};

use griptrace_core::date::Date;

use crate::{clock, error::CommandError, output::Output, workspace::Workspace};

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) output: Output,
    store: Option<PathBuf>,
}

/// The exit code of a command that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer(pub(crate) u8);

impl Answer {
    /// Done, or the answer is yes.
    pub(crate) const YES: Self = Self(0);
    /// Checked, and the answer is no.
    pub(crate) const NO: Self = Self(1);
}

impl Context {
    /// Makes the context of a run: JSON or words, and the store that was named.
    pub(crate) const fn new(json: bool, store: Option<PathBuf>) -> Self {
        Self { output: Output::new(json), store }
    }

    /// Opens the store for questions; no key is read.
    pub(crate) fn workspace(&self) -> Result<Workspace, CommandError> {
        Workspace::open(&self.output, self.store.as_deref(), false)
    }

    /// Opens the store for recording; the log's key is read.
    pub(crate) fn workspace_for_recording(&self) -> Result<Workspace, CommandError> {
        Workspace::open(&self.output, self.store.as_deref(), true)
    }
}

/// Returns the day given, or today.
pub(crate) fn or_today(date: Option<Date>) -> Date {
    date.unwrap_or_else(clock::today)
}

/// Reads a whole file.
pub(crate) fn read_file(path: &std::path::Path) -> Result<Vec<u8>, CommandError> {
    fs::read(path).map_err(|e| CommandError::file("read", path, e))
}

/// Writes a whole file, which may replace another.
pub(crate) fn write_file(path: &std::path::Path, bytes: &[u8]) -> Result<(), CommandError> {
    fs::write(path, bytes).map_err(|e| CommandError::file("write", path, e))
}
