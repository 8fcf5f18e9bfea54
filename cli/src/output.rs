//! The only way out: data goes to stdout, talk and progress to stderr.

use core::fmt::Display;
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::error::CommandError;

/// Where a command writes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

#[expect(clippy::unused_self, reason = "only who was given the output may write")]
impl Output {
    /// Makes the output of a run.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells whether data is wanted as JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Writes lines of data.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), CommandError> {
        answered(write_line(&mut io::stdout().lock(), &plain(&text.to_string())))
    }

    /// Writes data as it is: a script, or what another program has rendered.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        answered(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Writes one JSON object on a line.
    pub(crate) fn object(&self, value: &Value) -> Result<(), CommandError> {
        answered(write_line(&mut io::stdout().lock(), &value.to_string()))
    }

    /// Writes the object where JSON is wanted, and the lines otherwise.
    pub(crate) fn either(&self, value: &Value, lines: &[String]) -> Result<(), CommandError> {
        if self.json {
            return self.object(value);
        }
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Says something to people. Nobody listening is no error.
    pub(crate) fn talk(&self, text: impl Display) {
        write_line(&mut io::stderr().lock(), &plain(&text.to_string())).ok();
    }

    /// Says that something deserves a look.
    pub(crate) fn warn(&self, text: impl Display) {
        self.talk(format_args!("warning: {text}"));
    }

    /// Begins a progress bar on stderr; hidden unless that is a terminal.
    pub(crate) fn progress(&self, what: &str) -> Progress {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Progress(bar)
    }
}

/// A progress bar, gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shows how far it is.
    pub(crate) fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Shows what is being done, and how far it is.
    pub(crate) fn step(&self, what: &str, done: u64, total: u64) {
        if self.0.message() != what {
            self.0.set_message(what.to_owned());
        }
        self.at(done, total);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn write_line(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.write_all(b"\n")?;
    to.flush()
}

/// Says that an answer could not be given, unless nobody reads any more.
fn answered(written: io::Result<()>) -> Result<(), CommandError> {
    written.map_err(|error| {
        let kind = CommandError::from(io::Error::from(error.kind())).kind;
        CommandError { kind, ..CommandError::because("cannot write the answer to standard output", error) }
    })
}

/// Escapes what could steer a terminal: names and texts come out of files of others.
fn plain(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text.to_owned();
    }
    text.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// A full disk behind `> file` was told as if it could have been any file.
    #[test]
    fn an_answer_that_cannot_be_written_says_so() {
        let error = answered(Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(error.lines()[0], "error: cannot write the answer to standard output");
        assert_eq!((error.kind, error.lines().len()), (ErrorKind::CouldNot, 2));
        assert_eq!(answered(Err(io::ErrorKind::BrokenPipe.into())).unwrap_err().kind, ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(plain("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(plain("plain\ttext\n"), "plain\ttext\n");
        assert_eq!(plain("\u{202e}"), "\\u{202e}");
    }
}
