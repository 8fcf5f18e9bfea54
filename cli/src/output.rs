//! The only way out: data goes to stdout, talk and progress to stderr.

use core::{fmt::Display, time::Duration};
use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::error::CommandError;

/// Where a command writes to.
#[derive(Clone, Debug)]
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
        Progress { bar, told: Mutex::new(Instant::now()) }
    }
}

/// How often a line says how far something is, where there is no bar.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// A progress bar, gone when it is dropped; where stderr is no terminal, a line every few seconds.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// When a line was written last.
    told: Mutex<Instant>,
}

impl Progress {
    /// Shows how far it is.
    pub(crate) fn at(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Shows what is being done, and how far it is.
    pub(crate) fn step(&self, what: &str, done: u64, total: u64) {
        if self.bar.message() != what {
            self.bar.set_message(what.to_owned());
        }
        self.at(done, total);
        if self.bar.is_hidden()
            && let Some(line) = self.line(Instant::now(), what, done, total)
        {
            write_line(&mut io::stderr().lock(), &plain(&line)).ok();
        }
    }

    /// Returns the line that is due.
    fn line(&self, now: Instant, what: &str, done: u64, total: u64) -> Option<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(*told) < TELL_EVERY {
            return None;
        }
        *told = now;
        Some(format!("{what}: {done} of {total}"))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
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

    /// In a service's log, or a file, an audit of an hour said nothing.
    #[test]
    fn without_a_terminal_a_line_every_few_seconds_says_how_far_it_is() {
        let progress = Output::new(false).progress("checking");
        let now = Instant::now();
        assert_eq!(progress.line(now, "checking", 1, 9), None);
        let later = now + TELL_EVERY;
        assert_eq!(progress.line(later, "checking", 4, 9).as_deref(), Some("checking: 4 of 9"));
        assert_eq!(progress.line(later, "checking", 5, 9), None, "one line is enough");
        assert!(progress.line(later + TELL_EVERY, "checking", 5, 9).is_some());
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(plain("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(plain("plain\ttext\n"), "plain\ttext\n");
        assert_eq!(plain("\u{202e}"), "\\u{202e}");
    }
}
