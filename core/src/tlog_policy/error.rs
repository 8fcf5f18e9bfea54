//! Why a policy is refused, and in which line.

use alloc::string::String;
use core::fmt;

use crate::limits::{CONFIG_BYTES_MAX, CONFIG_ITEMS_MAX};
use crate::note::NoteError;

/// Why a policy is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogPolicyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong in it.
    pub fault: PolicyFault,
}

/// What is wrong in a line of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PolicyFault {
    /// The policy is longer than [`CONFIG_BYTES_MAX`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// There are more than [`CONFIG_ITEMS_MAX`] logs, witnesses or groups.
    TooMany,
    /// A control character other than tab and newline.
    Octet {
        /// The octet.
        octet: u8,
    },
    /// The line begins with no known word.
    Keyword {
        /// What it begins with.
        found: String,
    },
    /// The line has too few or too many items after its first word.
    Items {
        /// The first word.
        keyword: String,
        /// How many items follow.
        found: usize,
    },
    /// A key or URL is not UTF-8.
    NotUtf8,
    /// A vkey is refused.
    Key(NoteError),
    /// The key is of a type that signs something else: a log's is 0x01, a witness's 0x04 or 0x06.
    KeyType {
        /// The type byte.
        kind: u8,
    },
    /// The key stands also in another line of the same kind, under whatever name.
    KeyTwice {
        /// That line.
        line: usize,
    },
    /// A witness or group is named `none`.
    NameNone,
    /// The name was declared before.
    NameTwice {
        /// The name.
        name: String,
        /// The earlier line.
        line: usize,
    },
    /// No earlier line declares the name.
    Undeclared {
        /// The name.
        name: String,
    },
    /// The name is already a member of a group.
    MemberTwice {
        /// The name.
        name: String,
        /// The line of that group.
        line: usize,
    },
    /// The threshold is not `all`, `any` or a number from 1 to the count of members.
    Threshold {
        /// What stands there.
        found: String,
        /// How many members the group has.
        members: usize,
    },
    /// There is no `quorum` line.
    QuorumMissing,
    /// There are two `quorum` lines.
    QuorumTwice {
        /// The earlier line.
        line: usize,
    },
}

impl PolicyFault {
    pub(super) const fn at(self, line: usize) -> TlogPolicyError {
        TlogPolicyError { line, fault: self }
    }

    /// Returns the stable reason code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::TooMany => "limit-exceeded",
            Self::Octet { .. } => "tlog-policy-octet",
            Self::Keyword { .. } => "tlog-policy-keyword",
            Self::Items { .. } => "tlog-policy-items",
            Self::NotUtf8 => "tlog-policy-not-utf-8",
            Self::Key(error) => error.code(),
            Self::KeyType { .. } => "tlog-policy-key-type",
            Self::KeyTwice { .. } => "tlog-policy-key-twice",
            Self::NameNone => "tlog-policy-name-none",
            Self::NameTwice { .. } => "tlog-policy-name-twice",
            Self::Undeclared { .. } => "tlog-policy-undeclared",
            Self::MemberTwice { .. } => "tlog-policy-member-twice",
            Self::Threshold { .. } => "tlog-policy-threshold",
            Self::QuorumMissing => "tlog-policy-quorum-missing",
            Self::QuorumTwice { .. } => "tlog-policy-quorum-twice",
        }
    }
}

impl fmt::Display for TlogPolicyError {
    /// Writes `line N: WHY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl core::error::Error for TlogPolicyError {}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(f, "{bytes} bytes are above the limit of {CONFIG_BYTES_MAX}"),
            Self::TooMany => write!(f, "more than {CONFIG_ITEMS_MAX} lines of one kind are above the limit"),
            Self::Octet { octet } => write!(f, "the control character {octet:#04x} has no place here"),
            Self::Keyword { found } => write!(f, "a line begins with log, witness, group or quorum, not {found:?}"),
            Self::Items { keyword, found } => write!(f, "{found} items after {keyword:?} are too few or too many"),
            Self::NotUtf8 => write!(f, "a key or URL is not UTF-8"),
            Self::Key(error) => write!(f, "{error}"),
            Self::KeyType { kind } => {
                write!(f, "a key of type {kind:#04x} has no place here: a log's is 0x01, a witness's 0x04 or 0x06")
            }
            Self::KeyTwice { line } => write!(f, "the same public key stands in line {line}"),
            Self::NameNone => write!(f, "no witness or group is named none"),
            Self::NameTwice { name, line } => write!(f, "{name:?} was declared in line {line}"),
            Self::Undeclared { name } => write!(f, "no line before this one declares {name:?}"),
            Self::MemberTwice { name, line } => write!(f, "{name:?} is already a member of the group in line {line}"),
            Self::Threshold { found, members } => {
                write!(f, "{found:?} is not all, any or a number from 1 to {members}, the members of the group")
            }
            Self::QuorumMissing => write!(f, "the policy has no quorum line"),
            Self::QuorumTwice { line } => write!(f, "the quorum stands also in line {line}"),
        }
    }
}
