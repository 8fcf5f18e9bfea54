//! Signed notes: a text and lines of signatures below it (C2SP signed-note v1.0.0), with the keys of logs and of
//! witnesses ([`KeyKind`]).
//!
//! Parsing is strict: one spelling for one note. Verification looks only at lines whose name and key id belong to a
//! known key; each of those has to verify. A known key may sign once, and one that states times once more, at another
//! time: whoever saw a checkpoint stay the newest says so again. Other lines are ignored.

mod error;
mod key;
mod message;
mod sign;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use self::error::NoteError;
pub use self::key::{KeyKind, NoteVerifier, STATUS_MAP_IDENTIFIER};
pub use self::message::{MAX_TIMESTAMP, cosignature_message, status_map_message, subtree_message};
pub use self::sign::{Cosigner, NoteSigner};
use crate::limits::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};

/// What a signature line begins with: an em dash and a space.
const LINE_PREFIX: &str = "\u{2014} ";

/// A parsed note, nothing verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    signature: Vec<u8>,
}

/// A signature that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// Which of the known keys made it.
    pub key: usize,
    /// When, in seconds since 1970 by the signer's clock: cosignatures only. An ML-DSA-44 cosignature may state no
    /// time, and then does not say that it saw the largest tree either.
    pub timestamp: Option<u64>,
}

impl Note {
    /// Joins a text, which must end with a newline, and signatures.
    ///
    /// Errors: as [`Self::parse`].
    pub fn new(text: &str, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        let note = Self { text: String::from(text), signatures };
        let parsed = Self::parse(note.to_text().as_bytes())?;
        if parsed == note { Ok(note) } else { Err(NoteError::Text) }
    }

    /// Parses a note.
    ///
    /// Errors: [`NoteError::TooLong`], [`NoteError::Encoding`], [`NoteError::ControlCharacter`],
    /// [`NoteError::Separator`], [`NoteError::SignatureLine`], [`NoteError::TooManySignatures`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let note = core::str::from_utf8(bytes).map_err(|error| NoteError::Encoding { at: error.valid_up_to() })?;
        if let Some(at) = note.bytes().position(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::ControlCharacter { at });
        }
        let split = note.rfind("\n\n").ok_or(NoteError::Separator)?;
        let (text, lines) = note.split_at_checked(split.saturating_add(1)).ok_or(NoteError::Separator)?;
        let lines = lines.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n')).ok_or(NoteError::Separator)?;
        let count = lines.split('\n').count();
        if count > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { count });
        }
        let parse = |(line, text)| NoteSignature::parse(text).ok_or(NoteError::SignatureLine { line });
        let signatures = lines.split('\n').enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { text: String::from(text), signatures })
    }

    /// Returns the text that is signed, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines, in order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Writes the note.
    pub fn to_text(&self) -> String {
        let lines: String = self.signatures.iter().map(NoteSignature::to_line).collect();
        format!("{}\n{lines}", self.text)
    }

    /// Verifies every line that one of the `known` keys is named in, and returns what verified, in line order: of a
    /// witness's key at most two lines, of different times.
    /// An empty answer is a note that nobody known has signed.
    ///
    /// Errors: [`NoteError::SignatureInvalid`], [`NoteError::Timestamp`], [`NoteError::SignatureDuplicate`], and
    /// [`NoteError::Checkpoint`] for a line that only a checkpoint can have.
    pub fn verify(&self, known: &[NoteVerifier]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut verified: Vec<VerifiedSignature> = Vec::new();
        for signature in &self.signatures {
            let signer = known.iter().enumerate().find(|(_, key)| key.is_named_in(signature));
            let Some((key, signer)) = signer else { continue };
            let timestamp = signer.verify(&self.text, signature)?;
            // The earliest line dates the text, and the latest tells how current it is: more say nothing more.
            let mut earlier = verified.iter().filter(|earlier| earlier.key == key);
            if earlier.next().is_some_and(|first| first.timestamp == timestamp) || earlier.next().is_some() {
                return Err(NoteError::SignatureDuplicate { name: String::from(signer.name()) });
            }
            verified.push(VerifiedSignature { key, timestamp });
        }
        Ok(verified)
    }
}

impl NoteSignature {
    /// Returns the name of the key that is said to have signed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the key that is said to have signed.
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// Returns the signature, after the key id.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Makes a line from its parts, as a key service that holds the secret key answers them.
    ///
    /// Errors: [`NoteError::Name`], and [`NoteError::SignatureInvalid`] if there are no bytes.
    pub fn new(name: &str, key_id: u32, signature: Vec<u8>) -> Result<Self, NoteError> {
        check_name(name)?;
        if signature.is_empty() {
            return Err(NoteError::SignatureInvalid { name: String::from(name) });
        }
        Ok(Self { name: String::from(name), key_id, signature })
    }

    /// Parses one line without its newline, or `None`.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(LINE_PREFIX)?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        Self::new(name, u32::from_be_bytes(*key_id), signature.to_vec()).ok()
    }

    /// Writes the line with its newline.
    pub fn to_line(&self) -> String {
        let bytes = [self.key_id.to_be_bytes().as_slice(), &self.signature].concat();
        format!("{LINE_PREFIX}{} {}\n", self.name, STANDARD.encode(bytes))
    }
}

/// Checks a key's name: not empty, no Unicode space, no `+`, no control character.
fn check_name(name: &str) -> Result<(), NoteError> {
    let wrong = |c: char| c.is_whitespace() || c == '+' || c.is_control();
    if name.is_empty() || name.contains(wrong) {
        return Err(NoteError::Name { name: String::from(name) });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
