//! Why something could not be checked.

use std::io::Write;

use griptrace_verifier::render::plain;

/// Characters of one message: names of files may be others'.
const TEXT_MAX: usize = 2_000;

/// Why something could not be checked, and what may help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trouble {
    text: String,
    hint: Option<String>,
}

impl Trouble {
    /// Makes a trouble of a sentence.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref(), TEXT_MAX), hint: None }
    }

    /// Sets what may help.
    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Sets what may help, if nothing is set yet.
    pub(crate) fn or_hint(mut self, hint: String) -> Self {
        self.hint.get_or_insert(hint);
        self
    }

    /// Returns what may help, if there is something.
    pub(crate) fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    /// Returns the sentence.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Writes it for people. Nobody reading is no error.
    pub(crate) fn tell(&self, err: &mut dyn Write) {
        writeln!(err, "error: {}", self.text).ok();
        if let Some(text) = &self.hint {
            hint(text, err);
        }
    }
}

/// Writes what may help. Nobody reading is no error.
pub(crate) fn hint(text: &str, err: &mut dyn Write) {
    writeln!(err, "hint: {}", plain(text, TEXT_MAX)).ok();
}

/// Writes what deserves a look. Nobody reading is no error.
pub(crate) fn warning(text: &str, err: &mut dyn Write) {
    writeln!(err, "warning: {}", plain(text, TEXT_MAX)).ok();
}
