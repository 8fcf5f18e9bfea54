//! Why a note, a key or a signature is refused.

use alloc::string::String;
use core::fmt;

use super::MAX_TIMESTAMP;
use crate::checkpoint::CheckpointError;
use crate::limits::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};

/// Why a note, a key or a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is longer than [`NOTE_BYTES_MAX`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The note is not UTF-8.
    Encoding {
        /// The first byte that is not.
        at: usize,
    },
    /// The note has a control character other than the newline.
    ControlCharacter {
        /// Where, in bytes.
        at: usize,
    },
    /// There is no blank line before the signatures, or no newline at the end.
    Separator,
    /// The text is empty, or does not end with a newline, or its end would be read as signatures.
    Text,
    /// A line is not a signature line.
    SignatureLine {
        /// Which of the signature lines, from 0.
        line: usize,
    },
    /// There are more than [`NOTE_SIGNATURES_MAX`] lines.
    TooManySignatures {
        /// How many.
        count: usize,
    },
    /// A known key is named, and its signature does not verify.
    SignatureInvalid {
        /// The name of the key.
        name: String,
    },
    /// A known key signed more often than it may: a witness's twice at one time, or more than twice; a log's twice.
    SignatureDuplicate {
        /// The name of the key.
        name: String,
    },
    /// The time of a cosignature is above 2^63 - 1, or 0 where one has to be stated.
    Timestamp {
        /// The time.
        timestamp: u64,
    },
    /// The name of a key is empty, too long, or has a space, a plus sign or a control character.
    Name {
        /// The name.
        name: String,
    },
    /// What is cosigned is no checkpoint of three lines: an ML-DSA-44 cosignature covers nothing else.
    Checkpoint(CheckpointError),
    /// The vkey is not `name+8 hexadecimal digits+base64`.
    VkeyFormat,
    /// The type of the key is unknown here.
    VkeyTypeUnsupported {
        /// The type byte.
        kind: u8,
    },
    /// The public key is none of its type, or one under which anybody can sign.
    VkeyKey,
    /// The key id does not belong to name, type and key.
    VkeyKeyId {
        /// The id in the vkey.
        stated: u32,
        /// The id computed from the rest.
        computed: u32,
    },
}

impl NoteError {
    /// Returns the stable reason code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "note-too-long",
            Self::Encoding { .. } => "note-not-utf-8",
            Self::ControlCharacter { .. } => "note-control-character",
            Self::Separator => "note-separator-missing",
            Self::Text => "note-text-invalid",
            Self::SignatureLine { .. } => "note-signature-malformed",
            Self::TooManySignatures { .. } => "note-too-many-signatures",
            Self::SignatureInvalid { .. } => "note-signature-invalid",
            Self::SignatureDuplicate { .. } => "note-signature-duplicate",
            Self::Timestamp { .. } => "note-timestamp-invalid",
            Self::Name { .. } => "note-name-invalid",
            Self::Checkpoint(_) => "note-not-a-checkpoint",
            Self::VkeyFormat => "vkey-malformed",
            Self::VkeyTypeUnsupported { .. } => "vkey-type-unsupported",
            Self::VkeyKey => "vkey-key-invalid",
            Self::VkeyKeyId { .. } => "vkey-key-id-mismatch",
        }
    }
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(f, "a note of {bytes} bytes is above the limit of {NOTE_BYTES_MAX}"),
            Self::Encoding { at } => write!(f, "the note is not UTF-8 at byte {at}"),
            Self::ControlCharacter { at } => write!(f, "the note has a control character at byte {at}"),
            Self::Separator => write!(f, "the note has no blank line before its signatures, or no newline at its end"),
            Self::Text => write!(f, "the text of a note has to end with one newline"),
            Self::SignatureLine { line } => write!(f, "signature line {line} of the note is malformed"),
            Self::TooManySignatures { count } => {
                write!(f, "{count} signature lines are above the limit of {NOTE_SIGNATURES_MAX}")
            }
            Self::SignatureInvalid { name } => write!(f, "the signature by {name:?} does not verify"),
            Self::SignatureDuplicate { name } => write!(f, "{name:?} signed more often than a key may"),
            Self::Timestamp { timestamp } => write!(f, "timestamp {timestamp} is not from 1 to {MAX_TIMESTAMP}"),
            Self::Name { name } => write!(f, "{name:?} is not the name of a key"),
            Self::Checkpoint(error) => write!(f, "what is cosigned is no checkpoint: {error}"),
            Self::VkeyFormat => {
                write!(f, "a vkey is a name, a plus sign, 8 hexadecimal digits, a plus sign and base64")
            }
            Self::VkeyTypeUnsupported { kind } => write!(f, "keys of type {kind:#04x} are not supported"),
            Self::VkeyKey => write!(f, "the public key is not a usable key of its type"),
            Self::VkeyKeyId { stated, computed } => {
                write!(f, "the vkey states key id {stated:08x}, its key has {computed:08x}")
            }
        }
    }
}

impl core::error::Error for NoteError {}
