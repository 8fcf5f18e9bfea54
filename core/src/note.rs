//! Signed notes: a text and lines of signatures below it (C2SP signed-note v1.0.0), with Ed25519 keys of logs (type
//! 0x01) and of witnesses (type 0x04, C2SP tlog-cosignature v1.0.1).
//!
//! Parsing is strict: one spelling for one note. Verification looks only at lines whose name and key id belong to a
//! known key; each of those has to verify, and each known key may sign once. Other lines are ignored.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::limits::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};

/// The latest timestamp of a cosignature, in seconds (tlog-cosignature: 2^63 - 1).
pub const MAX_TIMESTAMP: u64 = u64::MAX >> 1;

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
    /// When, in seconds since 1970 by the signer's clock: cosignatures only.
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

    /// Verifies every line that one of the `known` keys is named in, and returns what verified, in line order.
    /// An empty answer is a note that nobody known has signed.
    ///
    /// Errors: [`NoteError::SignatureInvalid`], [`NoteError::Timestamp`], [`NoteError::SignatureDuplicate`].
    pub fn verify(&self, known: &[NoteVerifier]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut verified: Vec<VerifiedSignature> = Vec::new();
        for signature in &self.signatures {
            let signer = known.iter().enumerate().find(|(_, key)| key.is_named_in(signature));
            let Some((key, signer)) = signer else { continue };
            if verified.iter().any(|earlier| earlier.key == key) {
                return Err(NoteError::SignatureDuplicate { name: signer.name.clone() });
            }
            let timestamp = signer.verify(&self.text, signature)?;
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

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// The text itself (type 0x01): the key of a log.
    Ed25519,
    /// The text and a time (type 0x04, `cosignature/v1`): the key of a witness.
    CosignatureV1,
}

impl KeyKind {
    /// Returns the type byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    /// Returns the kind with this type byte, or [`NoteError::VkeyTypeUnsupported`].
    pub const fn from_byte(byte: u8) -> Result<Self, NoteError> {
        match byte {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::CosignatureV1),
            kind => Err(NoteError::VkeyTypeUnsupported { kind }),
        }
    }
}

/// A public key with its name: what a verifier key (vkey) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// Makes a verifier from a public key.
    ///
    /// Errors: [`NoteError::Name`], [`NoteError::VkeyKey`] for bytes that are no point or a weak one.
    pub fn new(name: &str, kind: KeyKind, public_key: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public_key).ok().filter(|key| !key.is_weak());
        Ok(Self { name: String::from(name), kind, key: key.ok_or(NoteError::VkeyKey)? })
    }

    /// Parses `name+hex key id+base64(type || public key)`.
    ///
    /// Errors: [`NoteError::VkeyFormat`], [`NoteError::Name`], [`NoteError::VkeyTypeUnsupported`],
    /// [`NoteError::VkeyKey`], [`NoteError::VkeyKeyId`].
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let (name, rest) = vkey.split_once('+').ok_or(NoteError::VkeyFormat)?;
        let (id, encoded) = rest.split_once('+').ok_or(NoteError::VkeyFormat)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::VkeyFormat)?;
        let (kind, key) = bytes.split_first().ok_or(NoteError::VkeyFormat)?;
        let kind = KeyKind::from_byte(*kind)?;
        let verifier = Self::new(name, kind, key.try_into().map_err(|_| NoteError::VkeyKey)?)?;
        let stated = parse_key_id(id).ok_or(NoteError::VkeyFormat)?;
        let computed = verifier.key_id();
        if stated == computed { Ok(verifier) } else { Err(NoteError::VkeyKeyId { stated, computed }) }
    }

    /// Writes the vkey.
    pub fn to_vkey(&self) -> String {
        let bytes = [[self.kind.byte()].as_slice(), self.key.as_bytes()].concat();
        format!("{}+{:08x}+{}", self.name, self.key_id(), STANDARD.encode(bytes))
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the key signs.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the 32 bytes of the public key.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Returns the key id: the first four bytes of `SHA-256(name || 0x0A || type || public key)`, as a number.
    pub fn key_id(&self) -> u32 {
        let hasher = Sha256::new().chain_update(&self.name).chain_update([b'\n', self.kind.byte()]);
        let hash: [u8; 32] = hasher.chain_update(self.key.as_bytes()).finalize().into();
        let [first, second, third, fourth, ..] = hash;
        u32::from_be_bytes([first, second, third, fourth])
    }

    fn is_named_in(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.key_id() == signature.key_id
    }

    /// Verifies one line and returns the time it states.
    fn verify(&self, text: &str, signature: &NoteSignature) -> Result<Option<u64>, NoteError> {
        let invalid = || NoteError::SignatureInvalid { name: self.name.clone() };
        match self.kind {
            KeyKind::Ed25519 => {
                self.verify_bytes(text.as_bytes(), &signature.signature).ok_or_else(invalid)?;
                Ok(None)
            }
            KeyKind::CosignatureV1 => {
                let (timestamp, bytes) = signature.signature.split_first_chunk::<8>().ok_or_else(invalid)?;
                let timestamp = u64::from_be_bytes(*timestamp);
                let message = cosignature_message(text, timestamp)?;
                self.verify_bytes(message.as_bytes(), bytes).ok_or_else(invalid)?;
                Ok(Some(timestamp))
            }
        }
    }

    fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let signature = Signature::from_slice(signature).ok()?;
        self.key.verify_strict(message, &signature).ok()
    }
}

/// A secret key that signs notes as a log.
#[derive(Clone)]
pub struct NoteSigner {
    key: SigningKey,
    verifier: NoteVerifier,
}

/// A secret key that cosigns notes as a witness, each time with a time.
#[derive(Clone)]
pub struct Cosigner {
    key: SigningKey,
    verifier: NoteVerifier,
}

impl NoteSigner {
    /// Makes a signer from an Ed25519 seed.
    ///
    /// Errors: [`NoteError::Name`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = NoteVerifier::new(name, KeyKind::Ed25519, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }

    /// Returns the public half.
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// Signs a text, which must end with a newline ([`Note::new`] checks it).
    pub fn sign(&self, text: &str) -> NoteSignature {
        let signature = self.key.sign(text.as_bytes()).to_bytes().to_vec();
        NoteSignature { name: self.verifier.name.clone(), key_id: self.verifier.key_id(), signature }
    }
}

impl Cosigner {
    /// Makes a cosigner from an Ed25519 seed.
    ///
    /// Errors: [`NoteError::Name`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = NoteVerifier::new(name, KeyKind::CosignatureV1, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }

    /// Returns the public half.
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// Cosigns a text at `timestamp`, in seconds since 1970.
    ///
    /// Errors: [`NoteError::Timestamp`].
    pub fn sign(&self, text: &str, timestamp: u64) -> Result<NoteSignature, NoteError> {
        let message = cosignature_message(text, timestamp)?;
        let signature = self.key.sign(message.as_bytes()).to_bytes();
        let signature = [timestamp.to_be_bytes().as_slice(), &signature].concat();
        Ok(NoteSignature { name: self.verifier.name.clone(), key_id: self.verifier.key_id(), signature })
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cosigner").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// Returns what an Ed25519 witness signs (tlog-cosignature, `cosignature/v1`).
///
/// Errors: [`NoteError::Timestamp`] unless it is from 1 to 2^63 - 1.
pub fn cosignature_message(text: &str, timestamp: u64) -> Result<String, NoteError> {
    if timestamp == 0 || timestamp > MAX_TIMESTAMP {
        return Err(NoteError::Timestamp { timestamp });
    }
    Ok(format!("cosignature/v1\ntime {timestamp}\n{text}"))
}

/// Checks a key's name: not empty, no Unicode space, no `+`, no control character.
fn check_name(name: &str) -> Result<(), NoteError> {
    let wrong = |c: char| c.is_whitespace() || c == '+' || c.is_control();
    if name.is_empty() || name.contains(wrong) {
        return Err(NoteError::Name { name: String::from(name) });
    }
    Ok(())
}

/// Reads eight lower-case hexadecimal digits.
fn parse_key_id(text: &str) -> Option<u32> {
    let id = u32::from_str_radix(text, 16).ok()?;
    (format!("{id:08x}") == text).then_some(id)
}

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
    /// A known key signed twice.
    SignatureDuplicate {
        /// The name of the key.
        name: String,
    },
    /// The time of a cosignature is 0 or above 2^63 - 1.
    Timestamp {
        /// The time.
        timestamp: u64,
    },
    /// The name of a key is empty, or has a space, a plus sign or a control character.
    Name {
        /// The name.
        name: String,
    },
    /// The vkey is not `name+8 hexadecimal digits+base64`.
    VkeyFormat,
    /// The type of the key is unknown here.
    VkeyTypeUnsupported {
        /// The type byte.
        kind: u8,
    },
    /// The public key is not an Ed25519 key, or a weak one.
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
            Self::SignatureDuplicate { name } => write!(f, "{name:?} signed twice"),
            Self::Timestamp { timestamp } => write!(f, "timestamp {timestamp} is not from 1 to {MAX_TIMESTAMP}"),
            Self::Name { name } => write!(f, "{name:?} is not the name of a key"),
            Self::VkeyFormat => {
                write!(f, "a vkey is a name, a plus sign, 8 hexadecimal digits, a plus sign and base64")
            }
            Self::VkeyTypeUnsupported { kind } => write!(f, "keys of type {kind:#04x} are not supported"),
            Self::VkeyKey => write!(f, "the public key is not a usable Ed25519 key"),
            Self::VkeyKeyId { stated, computed } => {
                write!(f, "the vkey states key id {stated:08x}, its key has {computed:08x}")
            }
        }
    }
}

impl core::error::Error for NoteError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec;

    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn parse_code(note: &str) -> &'static str {
        Note::parse(note.as_bytes()).unwrap_err().code()
    }

    /// The example of C2SP signed-note.
    #[test]
    fn the_example_of_the_specification_verifies() {
        let verifier = NoteVerifier::parse(VKEY).unwrap();
        assert_eq!(verifier.to_vkey(), VKEY);
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.to_text(), NOTE);
        assert_eq!(note.text(), "This is an example message.\n");
        let known = [verifier];
        assert_eq!(note.verify(&known), Ok(vec![VerifiedSignature { key: 0, timestamp: None }]));

        let other = Note::parse(NOTE.replace("example message", "exampel message").as_bytes()).unwrap();
        assert_eq!(other.verify(&known).unwrap_err().code(), "note-signature-invalid");
        assert_eq!(other.verify(&[]), Ok(vec![]));

        let (_, line) = NOTE.split_once("\n\n").unwrap();
        let twice = Note::parse((NOTE.to_string() + line).as_bytes()).unwrap();
        assert_eq!(twice.verify(&known).unwrap_err().code(), "note-signature-duplicate");
    }

    #[test]
    fn logs_and_witnesses_sign_side_by_side() {
        let log = NoteSigner::new("log.example/1", &[1; 32]).unwrap();
        let witness = Cosigner::new("w1.example", &[2; 32]).unwrap();
        let text = "log.example/1\n0\nroot\n\nwith a blank line\n";
        let signatures = vec![log.sign(text), witness.sign(text, 1_679_315_147).unwrap()];
        let note = Note::new(text, signatures).unwrap();
        let parsed = Note::parse(note.to_text().as_bytes()).unwrap();
        assert_eq!(parsed, note);
        let keys = [witness.verifier().clone(), log.verifier().clone()];
        let keys = keys.map(|key| NoteVerifier::parse(&key.to_vkey()).unwrap());
        let found = parsed.verify(&keys).unwrap();
        let expected = [(1, None), (0, Some(1_679_315_147))];
        assert_eq!(found.iter().map(|found| (found.key, found.timestamp)).collect::<Vec<_>>(), expected);

        let mut moved = parsed.clone();
        moved.signatures[1].signature[7] ^= 1;
        assert_eq!(moved.verify(&keys).unwrap_err().code(), "note-signature-invalid");
        for timestamp in [0, u64::MAX] {
            assert_eq!(witness.sign(text, timestamp).unwrap_err().code(), "note-timestamp-invalid");
        }
        assert!(!format!("{log:?}{witness:?}").contains("SigningKey"));
    }

    #[test]
    fn malformed_notes_have_their_codes() {
        assert_eq!(parse_code(""), "note-separator-missing");
        assert_eq!(parse_code("text\n"), "note-separator-missing");
        assert_eq!(parse_code("text\n\n"), "note-separator-missing");
        assert_eq!(parse_code(NOTE.trim_end()), "note-separator-missing");
        assert_eq!(parse_code(&NOTE.replace('\n', "\r\n")), "note-control-character");
        assert_eq!(parse_code(&(NOTE.to_string() + "\n")), "note-separator-missing");
        assert_eq!(parse_code(&(NOTE.to_string() + "more\n")), "note-signature-malformed");
        assert_eq!(parse_code(&NOTE.replace('\u{2014}', "-")), "note-signature-malformed");
        assert_eq!(parse_code(&NOTE.replace("example.com/foo", "")), "note-signature-malformed");
        assert_eq!(parse_code(&NOTE.replace("example.com/foo", "a+b")), "note-signature-malformed");
        assert_eq!(parse_code(&NOTE.replace("example.com/foo", "a\u{a0}b")), "note-signature-malformed");
        assert_eq!(parse_code(&NOTE.replace("QM=", "QM")), "note-signature-malformed");
        assert_eq!(parse_code(&NOTE.replace("QM=", "QN=")), "note-signature-malformed");
        assert_eq!(parse_code(&NOTE.replace("QM=", "QM=\u{20}")), "note-signature-malformed");
        assert_eq!(parse_code("text\n\n\u{2014} name AAAAAA==\n"), "note-signature-malformed");
        assert_eq!(Note::parse(b"\xff\n\n").unwrap_err(), NoteError::Encoding { at: 0 });
        assert_eq!(Note::parse(&vec![b'a'; NOTE_BYTES_MAX + 1]).unwrap_err().code(), "note-too-long");
        let (_, line) = NOTE.split_once("\n\n").unwrap();
        assert_eq!(parse_code(&(NOTE.to_string() + &line.repeat(100))), "note-too-many-signatures");
        assert!(Note::parse((NOTE.to_string() + &line.repeat(99)).as_bytes()).is_ok());
    }

    #[test]
    fn a_text_that_would_be_read_otherwise_is_refused() {
        let log = NoteSigner::new("log", &[1; 32]).unwrap();
        for text in ["", "no newline", "text\n\n\u{2014} name AAAAAAA="] {
            assert!(Note::new(text, vec![log.sign(text)]).is_err(), "{text:?}");
        }
        assert!(Note::new("text\n", vec![]).is_err());
    }

    #[test]
    fn malformed_vkeys_have_their_codes() {
        let code = |vkey: &str| NoteVerifier::parse(vkey).unwrap_err().code();
        assert_eq!(code(""), "vkey-malformed");
        assert_eq!(code("a+b"), "vkey-malformed");
        assert_eq!(code(&VKEY.replace("530d903a", "530D903A")), "vkey-malformed");
        assert_eq!(code(&VKEY.replace("530d903a", "530d903b")), "vkey-key-id-mismatch");
        assert_eq!(code(&VKEY.replace("foo", "bar")), "vkey-key-id-mismatch");
        assert_eq!(code(&VKEY.replace("example.com", "a b")), "note-name-invalid");
        assert_eq!(code(&VKEY.replace("+Aek", "+Bek")), "vkey-type-unsupported");
        assert_eq!(code("a+00000000+AQAA"), "vkey-key-invalid");
        assert_eq!(NoteVerifier::new("a", KeyKind::Ed25519, &[0; 32]).unwrap_err().code(), "vkey-key-invalid");
    }
}
