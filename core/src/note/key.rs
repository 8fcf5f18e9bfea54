//! The keys of notes: kinds, public keys, vkeys.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ml_dsa::MlDsa44;
use sha2::{Digest as _, Sha256};

use super::message::{cosignature_message, status_map_message, subtree_message};
use super::{NoteError, NoteSignature, check_name};
use crate::digest::KEY;
use crate::id::KeyId;
use crate::limits::NAME_BYTES_MAX;

/// The longer identifier after the type byte 0xff of status-map keys: signed-note has no byte for them.
pub const STATUS_MAP_IDENTIFIER: &str = "griptrace/status-map/v1";

/// Bytes of the seed at the beginning of an ML-DSA public key; the rest of it is the vector t1 (FIPS 204, 7.2).
const ML_DSA_SEED_BYTES: usize = 32;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// The text itself, by Ed25519 (type 0x01): the key of a log.
    Ed25519,
    /// The text and a time, by Ed25519 (type 0x04, `cosignature/v1`): the key of a witness.
    CosignatureV1,
    /// A checkpoint and a time, by ML-DSA-44 (type 0x06, `subtree/v1`): the key of a witness.
    SubtreeV1,
    /// The text and a time, by Ed25519 (type 0xff and [`STATUS_MAP_IDENTIFIER`]): the key of a witness that
    /// recomputed the status map.
    StatusMapV1,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::CosignatureV1, Self::SubtreeV1, Self::StatusMapV1];

    /// Returns the type byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
            Self::SubtreeV1 => 0x06,
            Self::StatusMapV1 => 0xff,
        }
    }

    /// Returns what follows the type byte: the longer identifier of a type that has no byte of its own.
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::Ed25519 | Self::CosignatureV1 | Self::SubtreeV1 => "",
            Self::StatusMapV1 => STATUS_MAP_IDENTIFIER,
        }
    }

    /// Returns the bytes of a public key.
    pub const fn public_key_bytes(self) -> usize {
        match self {
            Self::Ed25519 | Self::CosignatureV1 | Self::StatusMapV1 => 32,
            Self::SubtreeV1 => 1312,
        }
    }

    /// Tells whether it is the key of a witness, and signs a time.
    pub const fn is_cosigner(self) -> bool {
        match self {
            Self::Ed25519 => false,
            Self::CosignatureV1 | Self::SubtreeV1 | Self::StatusMapV1 => true,
        }
    }

    /// Splits what a vkey encodes into the kind and the bytes of the key.
    ///
    /// Errors: [`NoteError::VkeyFormat`] for no bytes, [`NoteError::VkeyTypeUnsupported`].
    pub fn split(bytes: &[u8]) -> Result<(Self, &[u8]), NoteError> {
        let (kind, rest) = bytes.split_first().ok_or(NoteError::VkeyFormat)?;
        let known = Self::ALL.into_iter().filter(|known| known.byte() == *kind);
        let mut found = known.filter_map(|known| Some((known, rest.strip_prefix(known.identifier().as_bytes())?)));
        found.next().ok_or(NoteError::VkeyTypeUnsupported { kind: *kind })
    }

    /// Returns the signature type as it is hashed and encoded: the byte, and the identifier if it has one.
    fn prefix(self) -> Vec<u8> {
        [&[self.byte()], self.identifier().as_bytes()].concat()
    }
}

/// A public key with its name: what a verifier key (vkey) says.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    kind: KeyKind,
    bytes: Vec<u8>,
    key_id: u32,
    key: Key,
}

/// A public key, ready to verify.
#[derive(Clone, PartialEq)]
enum Key {
    Ed25519(ed25519_dalek::VerifyingKey),
    MlDsa44(Box<ml_dsa::VerifyingKey<MlDsa44>>),
}

impl Eq for Key {}

impl NoteVerifier {
    /// Makes a verifier from the bytes of a public key.
    ///
    /// Errors: [`NoteError::Name`], [`NoteError::VkeyKey`] for bytes that are no key of the kind or a weak one.
    pub fn new(name: &str, kind: KeyKind, public_key: &[u8]) -> Result<Self, NoteError> {
        check_name(name)?;
        if name.len() > NAME_BYTES_MAX {
            return Err(NoteError::Name { name: String::from(name) });
        }
        let key = Key::new(kind, public_key).ok_or(NoteError::VkeyKey)?;
        let hasher = Sha256::new().chain_update(name).chain_update(b"\n").chain_update(kind.prefix());
        let hash: [u8; 32] = hasher.chain_update(public_key).finalize().into();
        let [first, second, third, fourth, ..] = hash;
        let key_id = u32::from_be_bytes([first, second, third, fourth]);
        Ok(Self { name: String::from(name), kind, bytes: public_key.to_vec(), key_id, key })
    }

    /// Parses `name+hex key id+base64(type || public key)`.
    ///
    /// Errors: [`NoteError::VkeyFormat`], [`NoteError::Name`], [`NoteError::VkeyTypeUnsupported`],
    /// [`NoteError::VkeyKey`], [`NoteError::VkeyKeyId`].
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let (name, rest) = vkey.split_once('+').ok_or(NoteError::VkeyFormat)?;
        let (id, encoded) = rest.split_once('+').ok_or(NoteError::VkeyFormat)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::VkeyFormat)?;
        let (kind, key) = KeyKind::split(&bytes)?;
        let verifier = Self::new(name, kind, key)?;
        let stated = parse_key_id(id).ok_or(NoteError::VkeyFormat)?;
        let computed = verifier.key_id;
        if stated == computed { Ok(verifier) } else { Err(NoteError::VkeyKeyId { stated, computed }) }
    }

    /// Writes the vkey.
    pub fn to_vkey(&self) -> String {
        let bytes = [self.kind.prefix().as_slice(), &self.bytes].concat();
        format!("{}+{:08x}+{}", self.name, self.key_id, STANDARD.encode(bytes))
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the key signs.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the bytes of the public key: [`KeyKind::public_key_bytes`] of them.
    pub fn public_key(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the key id: the first four bytes of `SHA-256(name || 0x0A || type || public key)`, as a number. The
    /// type of status-map keys is the byte 0xff and [`STATUS_MAP_IDENTIFIER`].
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// Returns the full hash of the key, algorithm included (docs/spec/hashes.md): that of the same key under any name.
    pub fn key_hash(&self) -> KeyId {
        let algorithm = match self.key {
            Key::Ed25519(_) => 1,
            Key::MlDsa44(_) => 3,
        };
        KeyId::new(KEY.hash_parts(&[&[algorithm], &self.bytes]))
    }

    pub(super) fn is_named_in(&self, signature: &NoteSignature) -> bool {
        self.key_id == signature.key_id && self.name == signature.name
    }

    /// Verifies one line and returns the time it states.
    pub(super) fn verify(&self, text: &str, signature: &NoteSignature) -> Result<Option<u64>, NoteError> {
        let invalid = || NoteError::SignatureInvalid { name: self.name.clone() };
        if !self.kind.is_cosigner() {
            self.key.verify(text.as_bytes(), &signature.signature).ok_or_else(invalid)?;
            return Ok(None);
        }
        let (timestamp, bytes) = signature.signature.split_first_chunk::<8>().ok_or_else(invalid)?;
        let timestamp = u64::from_be_bytes(*timestamp);
        let message = self.cosigned(text, timestamp)?;
        self.key.verify(&message, bytes).ok_or_else(invalid)?;
        Ok(Some(timestamp).filter(|timestamp| *timestamp > 0))
    }

    /// Returns what a key of a witness signs at a time; of a log's key, the text.
    pub(super) fn cosigned(&self, text: &str, timestamp: u64) -> Result<Vec<u8>, NoteError> {
        match self.kind {
            KeyKind::Ed25519 => Ok(text.into()),
            KeyKind::CosignatureV1 => cosignature_message(text, timestamp).map(String::into_bytes),
            KeyKind::SubtreeV1 => subtree_message(&self.name, text, timestamp),
            KeyKind::StatusMapV1 => status_map_message(text, timestamp).map(String::into_bytes),
        }
    }
}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NoteVerifier").field(&self.to_vkey()).finish()
    }
}

impl Key {
    /// Reads a key, or returns nothing for one that is none or weak.
    fn new(kind: KeyKind, bytes: &[u8]) -> Option<Self> {
        match kind {
            KeyKind::Ed25519 | KeyKind::CosignatureV1 | KeyKind::StatusMapV1 => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()?;
                (!key.is_weak()).then_some(Self::Ed25519(key))
            }
            KeyKind::SubtreeV1 => {
                // Any bytes are a key, but under t1 = 0 everybody can sign everything.
                let t1 = bytes.get(ML_DSA_SEED_BYTES..)?;
                let usable = t1.iter().any(|byte| *byte != 0);
                let encoded = ml_dsa::EncodedVerifyingKey::<MlDsa44>::try_from(bytes).ok().filter(|_| usable)?;
                Some(Self::MlDsa44(Box::new(ml_dsa::VerifyingKey::decode(&encoded))))
            }
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        match self {
            Self::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
                key.verify_strict(message, &signature).ok()
            }
            Self::MlDsa44(key) => {
                let signature = ml_dsa::Signature::<MlDsa44>::try_from(signature).ok()?;
                key.verify_with_context(message, &[], &signature).then_some(())
            }
        }
    }
}

/// Reads eight lower-case hexadecimal digits.
fn parse_key_id(text: &str) -> Option<u32> {
    let id = u32::from_str_radix(text, 16).ok()?;
    (format!("{id:08x}") == text).then_some(id)
}
