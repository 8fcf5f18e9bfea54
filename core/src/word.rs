//! Small closed text: words of a vocabulary, country codes, names of logs.

use alloc::string::String;
use core::fmt;

use crate::limits::{NAME_BYTES_MAX, WORD_BYTES_MAX};

/// A word of some vocabulary: 1 to 64 of `a-z 0-9 . -`, beginning with a letter or digit.
///
/// Cores hold no free text; what they say in words is said in these.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Word(String);

impl Word {
    /// Parses a word; `None` if it breaks the rule above.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (first, rest) = bytes.split_first()?;
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = bytes.len() <= WORD_BYTES_MAX && plain(first);
        (fits && rest.iter().all(|b| plain(b) || *b == b'-' || *b == b'.')).then(|| Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ISO 3166-1 alpha-2 code: two capital letters. Whether it is assigned is not checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Country([u8; 2]);

impl Country {
    /// Parses two capital letters.
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 2] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// Returns the two letters.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tells whether `text` can name a log or a key in a note: not empty, at most 255 bytes, no white
/// space, control characters or `+` (C2SP signed-note, tlog-checkpoint).
pub fn is_note_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}
