//! What a command ends with when it can't answer.
//!
//! The kind alone decides the exit code; the sources are printed as `caused by`, the remedies as
//! `hint`, each on a line of its own.

use core::{error::Error, fmt};
use std::{io, path::Path};

use griptrace_core::bundle::BundleError;
use griptrace_store::{ProveError, ReadError};

/// What kind of trouble it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ErrorKind {
    /// Nobody reads the output any more. Said nothing of, as `grep` does.
    BrokenPipe,
    /// What was checked is not what was asked for: exit code 1.
    Refused,
    /// What was named may be one of several nodes: exit code 2.
    Ambiguous,
    /// The command could not do or check what it was asked: exit code 2.
    CouldNot,
}

/// Why a command failed, and what may help.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// What kind of trouble it is.
    pub(crate) kind: ErrorKind,
    /// What happened; its own sources are what caused it.
    pub(crate) source: Box<dyn Error + Send + Sync>,
    /// Remedies, a line each.
    pub(crate) hints: Vec<String>,
}

/// A sentence, with what caused it.
#[derive(Debug)]
struct Message {
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Message {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl CommandError {
    /// Makes an error of a sentence.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        let source = Box::new(Message { text: text.into(), source: None });
        Self { kind: ErrorKind::CouldNot, source, hints: Vec::new() }
    }

    /// Makes the answer no of a sentence: it was checked, and nothing was done.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, ..Self::failed(text) }
    }

    /// Makes the error of a name that several nodes bear.
    pub(crate) fn ambiguous(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Ambiguous, ..Self::failed(text) }
    }

    /// Makes an error of a sentence and what caused it.
    pub(crate) fn because(text: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = Box::new(Message { text: text.into(), source: Some(cause.into()) });
        Self { kind: ErrorKind::CouldNot, source, hints: Vec::new() }
    }

    /// Makes the error of a file that could not be read or written.
    pub(crate) fn file(doing: &str, path: &Path, cause: io::Error) -> Self {
        Self::because(format!("cannot {doing} {}", path.display()), cause)
    }

    /// Adds a remedy.
    #[must_use]
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Says what was being done.
    #[must_use]
    pub(crate) fn while_doing(self, text: impl Into<String>) -> Self {
        let source = Box::new(Message { text: text.into(), source: Some(self.source) });
        Self { kind: self.kind, source, hints: self.hints }
    }

    /// Returns the lines that are printed.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("error: {}", self.source)];
        let mut cause = self.source.source();
        while let Some(error) = cause {
            lines.push(format!("caused by: {error}"));
            cause = error.source();
        }
        if !self.hints.is_empty() {
            lines.push(String::new());
            lines.extend(self.hints.iter().map(|hint| format!("hint: {hint}")));
        }
        lines
    }

    /// Tells whether a service did not answer, or had too much to do, which may be over soon.
    pub(crate) fn is_away(&self) -> bool {
        let mut cause = self.source.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return matches!(
                    error.kind(),
                    io::ErrorKind::TimedOut
                        | io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::AddrNotAvailable
                        | io::ErrorKind::ResourceBusy
                );
            }
            cause = error.source();
        }
        false
    }

    /// Returns the exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::BrokenPipe => 0,
            ErrorKind::Refused => 1,
            ErrorKind::Ambiguous | ErrorKind::CouldNot => 2,
        }
    }
}

impl From<BundleError> for CommandError {
    fn from(error: BundleError) -> Self {
        Self::because("cannot read the bundle", error)
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        Self { kind: ErrorKind::CouldNot, source: Box::new(error), hints: Vec::new() }
    }
}

impl From<ProveError> for CommandError {
    fn from(error: ProveError) -> Self {
        Self { kind: ErrorKind::CouldNot, source: Box::new(error), hints: Vec::new() }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        let broken = error.kind() == io::ErrorKind::BrokenPipe;
        let kind = if broken { ErrorKind::BrokenPipe } else { ErrorKind::CouldNot };
        Self { kind, source: Box::new(error), hints: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_printed_with_its_causes_and_remedies() {
        let cause = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error = CommandError::because("cannot read x", cause).while_doing("recording").with_hint("look elsewhere");
        let expected =
            ["error: recording", "caused by: cannot read x", "caused by: no such file", "", "hint: look elsewhere"];
        assert_eq!(error.lines(), expected);
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_broken_pipe_is_quiet() {
        assert_eq!(CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit_code(), 0);
    }
}
