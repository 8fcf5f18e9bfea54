//! Checkpoints: the state of a log in three lines (C2SP tlog-checkpoint v1.0.0), the text of a signed note.
//!
//! Extension lines are refused: none of our logs writes them (the specification advises against them), and a line
//! that is signed but not understood has no place in evidence.

use alloc::format;
use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digest::Digest;
use crate::limits::NAME_BYTES_MAX;
use crate::tree::Rfc9162;

/// What a log says of itself: who it is, how many leaves it has, and their root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log, like a URL without its scheme.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// The RFC 9162 root over them.
    pub root: Digest,
}

impl Checkpoint {
    /// Makes a checkpoint that can be written.
    ///
    /// Errors: [`CheckpointError::Origin`], [`CheckpointError::EmptyRoot`].
    pub fn new(origin: &str, size: u64, root: Digest) -> Result<Self, CheckpointError> {
        check_origin(origin)?;
        if size == 0 && root != Rfc9162::EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot { root });
        }
        Ok(Self { origin: String::from(origin), size, root })
    }

    /// Parses the text of a note. Only the one canonical spelling is accepted.
    ///
    /// Errors: [`CheckpointError::Lines`], [`CheckpointError::Origin`], [`CheckpointError::Size`],
    /// [`CheckpointError::Root`], [`CheckpointError::Extension`], [`CheckpointError::EmptyRoot`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let (origin, rest) = text.split_once('\n').ok_or(CheckpointError::Lines)?;
        let (size, rest) = rest.split_once('\n').ok_or(CheckpointError::Lines)?;
        let (root, extensions) = rest.split_once('\n').ok_or(CheckpointError::Lines)?;
        check_origin(origin)?;
        let size = parse_size(size).ok_or_else(|| CheckpointError::Size { size: String::from(size) })?;
        let root = parse_root(root).ok_or_else(|| CheckpointError::Root { root: String::from(root) })?;
        if !extensions.is_empty() {
            return Err(CheckpointError::Extension { bytes: extensions.len() });
        }
        Self::new(origin, size, root)
    }

    /// Writes the text, with its final newline.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }
}

/// Checks the name of a log: 1 to 255 bytes, no space, no `+`, no control character, so that its key can bear it.
///
/// Errors: [`CheckpointError::Origin`].
pub fn check_origin(origin: &str) -> Result<(), CheckpointError> {
    let wrong = |c: char| c.is_whitespace() || c == '+' || c.is_control();
    if origin.is_empty() || origin.len() > NAME_BYTES_MAX || origin.contains(wrong) {
        return Err(CheckpointError::Origin { origin: String::from(origin) });
    }
    Ok(())
}

/// Reads decimal digits without a leading zero.
fn parse_size(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|digit| digit.is_ascii_digit()));
    text.parse().ok().filter(|_| canonical)
}

/// Reads the base64 of 32 bytes.
fn parse_root(text: &str) -> Option<Digest> {
    Digest::from_slice(&STANDARD.decode(text).ok()?)
}

/// Why a checkpoint is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There are not three whole lines.
    Lines,
    /// The origin is empty, too long, or has a space, a plus sign or a control character.
    Origin {
        /// The origin.
        origin: String,
    },
    /// The size is not a canonical decimal number below 2^64.
    Size {
        /// The second line.
        size: String,
    },
    /// The root is not the canonical base64 of 32 bytes.
    Root {
        /// The third line.
        root: String,
    },
    /// There are extension lines.
    Extension {
        /// How many bytes they have.
        bytes: usize,
    },
    /// A log without leaves states another root than SHA-256 of nothing.
    EmptyRoot {
        /// The root it states.
        root: Digest,
    },
}

impl CheckpointError {
    /// Returns the stable reason code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lines => "checkpoint-lines",
            Self::Origin { .. } => "checkpoint-origin-invalid",
            Self::Size { .. } => "checkpoint-size-invalid",
            Self::Root { .. } => "checkpoint-root-invalid",
            Self::Extension { .. } => "checkpoint-extension",
            Self::EmptyRoot { .. } => "checkpoint-empty-root-mismatch",
        }
    }
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines => write!(f, "a checkpoint has three lines: origin, size and root"),
            Self::Origin { origin } => write!(f, "{origin:?} is not the origin of a log"),
            Self::Size { size } => write!(f, "{size:?} is not the size of a log"),
            Self::Root { root } => write!(f, "{root:?} is not the base64 of a root"),
            Self::Extension { bytes } => write!(f, "the checkpoint has {bytes} bytes of extension lines"),
            Self::EmptyRoot { root } => {
                write!(f, "the root without leaves is {root}, not {}", Rfc9162::EMPTY_ROOT)
            }
        }
    }
}

impl core::error::Error for CheckpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn code(text: &str) -> &'static str {
        Checkpoint::parse(text).unwrap_err().code()
    }

    /// The example of C2SP tlog-checkpoint.
    #[test]
    fn the_example_of_the_specification_goes_there_and_back() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.to_text(), TEXT);
    }

    #[test]
    fn malformed_checkpoints_have_their_codes() {
        assert_eq!(code(""), "checkpoint-lines");
        assert_eq!(code(TEXT.trim_end()), "checkpoint-lines");
        assert_eq!(code(&format!("{TEXT}more\n")), "checkpoint-extension");
        assert_eq!(code(&format!("{TEXT}\n")), "checkpoint-extension");
        for origin in ["", "a b", "a+b", "a\u{a0}b", "a\u{7f}b"] {
            assert_eq!(code(&TEXT.replace("example.com/behind-the-sofa", origin)), "checkpoint-origin-invalid");
        }
        for size in ["", "-1", "+1", "01", "00", "1 ", "18446744073709551616", "0x1"] {
            assert_eq!(code(&TEXT.replace("20852163", size)), "checkpoint-size-invalid", "{size}");
        }
        for root in ["2I", "2I=\u{20}", "2J=", ""] {
            assert_eq!(code(&TEXT.replace("2I=", root)), "checkpoint-root-invalid", "{root}");
        }
        assert_eq!(code(&TEXT.replace("20852163", "0")), "checkpoint-empty-root-mismatch");
        assert!(Checkpoint::new("empty", 0, Rfc9162::EMPTY_ROOT).is_ok());
        assert_eq!(Checkpoint::new(&"a".repeat(256), 1, Digest::ZERO).unwrap_err().code(), "checkpoint-origin-invalid");
    }
}
