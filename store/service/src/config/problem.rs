//! What is wrong with a configuration.

use core::fmt;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file, variable or option.
    pub place: String,
    /// The key, what stands there, and what would do.
    pub text: String,
    /// What may help.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// All that is wrong with a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl core::error::Error for ConfigError {}

impl ConfigError {
    /// Makes the error of one problem.
    pub(super) fn of(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { problems: vec![Problem { place: place.into(), text: text.into(), hint: None }] }
    }
}
