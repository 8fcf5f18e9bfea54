//! Keys of committers and assessors: Ed25519 (RFC 8032) and ECDSA P-256 with SHA-256 (FIPS 186-5).
//!
//! Ed25519 is verified strictly (no small-order keys, canonical `S`); P-256 signatures must have a
//! low `S`, so that nobody but the signer can make a second valid form of a signature (Rule R9).

use alloc::{string::String, sync::Arc, vec::Vec};
use core::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::Signer as _;

use crate::{digest::KEY, id::KeyId};

/// A signature algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// Ed25519: COSE algorithm -8.
    Ed25519,
    /// ECDSA over P-256 with SHA-256: COSE algorithm -7.
    P256,
}

impl Algorithm {
    /// Returns the COSE algorithm number (RFC 9053).
    pub const fn cose(self) -> i64 {
        match self {
            Self::Ed25519 => -8,
            Self::P256 => -7,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519:",
            Self::P256 => "p256:",
        }
    }

    /// The byte that stands before the key in its hash.
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::P256 => 2,
        }
    }
}

/// A public key that has been checked to be one.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// 32 bytes for Ed25519, 33 (compressed SEC1) for P-256.
    bytes: Vec<u8>,
    /// The point that the bytes stand for: finding it takes a tenth of the time of checking a signature.
    point: Arc<Point>,
}

/// A public key, ready for use.
enum Point {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// What a key is: its point follows from that.
    fn named(&self) -> (Algorithm, &[u8]) {
        (self.algorithm, &self.bytes)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.named() == other.named()
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.named().cmp(&other.named())
    }
}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.named().hash(state);
    }
}

/// Why a key or a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not `ed25519:` or `p256:` and base64.
    Form,
    /// The bytes are not a point that may be a key.
    NotAKey,
    /// The signature does not verify.
    Signature,
}

impl KeyError {
    /// Returns the stable reason code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "key-form",
            Self::NotAKey => "key-invalid",
            Self::Signature => "signature-invalid",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a key is written `ed25519:` or `p256:` and then base64",
            Self::NotAKey => "the bytes are not a public key",
            Self::Signature => "the signature does not verify",
        })
    }
}

impl core::error::Error for KeyError {}

impl PublicKey {
    /// Checks the bytes of a key.
    ///
    /// # Errors
    /// `NotAKey` for a wrong length, a point off the curve or, for Ed25519, of small order.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let point = match algorithm {
            Algorithm::Ed25519 => {
                let fixed = bytes.try_into().map_err(|_| KeyError::NotAKey)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&fixed).map_err(|_| KeyError::NotAKey)?;
                if key.is_weak() || !is_canonical(&fixed) {
                    return Err(KeyError::NotAKey);
                }
                Point::Ed25519(key)
            }
            Algorithm::P256 => {
                // One spelling a key: the compact form (first byte 5) is another name of the same point.
                let compressed = bytes.len() == 33 && matches!(bytes.first(), Some(2 | 3));
                if !compressed {
                    return Err(KeyError::NotAKey);
                }
                Point::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| KeyError::NotAKey)?)
            }
        };
        Ok(Self { algorithm, bytes: bytes.into(), point: Arc::new(point) })
    }

    /// Parses `ed25519:BASE64` or `p256:BASE64`.
    ///
    /// # Errors
    /// `Form` or `NotAKey`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let algorithm = [Algorithm::Ed25519, Algorithm::P256]
            .into_iter()
            .find(|a| text.starts_with(a.prefix()))
            .ok_or(KeyError::Form)?;
        let encoded = text.strip_prefix(algorithm.prefix()).ok_or(KeyError::Form)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Form)?;
        Self::new(algorithm, &bytes)
    }

    /// Returns the algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the bytes: 32 for Ed25519, 33 (compressed SEC1) for P-256.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the full hash of the key, algorithm included.
    pub fn id(&self) -> KeyId {
        KeyId::new(KEY.hash_parts(&[&[self.algorithm.byte()], &self.bytes]))
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// `Signature`, whatever the reason.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let ok = match &*self.point {
            Point::Ed25519(key) => verify_ed25519(key, message, signature),
            Point::P256(key) => verify_p256(key, message, signature),
        };
        ok.ok_or(KeyError::Signature)
    }
}

fn verify_ed25519(key: &ed25519_dalek::VerifyingKey, message: &[u8], signature: &[u8]) -> Option<()> {
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    key.verify_strict(message, &signature).ok()
}

fn verify_p256(key: &p256::ecdsa::VerifyingKey, message: &[u8], signature: &[u8]) -> Option<()> {
    use p256::ecdsa::signature::Verifier as _;
    let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
    let low = signature.normalize_s() == signature;
    (low && key.verify(message, &signature).is_ok()).then_some(())
}

/// Tells whether an Ed25519 point is encoded with y below the field's prime, so that no key has two
/// spellings (RFC 8032, 5.1.3).
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    let at_least_prime = *first >= 0xed && middle.iter().all(|b| *b == 0xff) && *last & 0x7f == 0x7f;
    !at_least_prime
}

impl fmt::Display for PublicKey {
    /// Writes `ed25519:BASE64` or `p256:BASE64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded: String = STANDARD.encode(&self.bytes);
        write!(f, "{}{encoded}", self.algorithm.prefix())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What can sign: a key in memory, or one in a module that never gives it out.
pub trait Signer {
    /// Returns the public key.
    fn public_key(&self) -> PublicKey;
    /// Signs `message`; 64 bytes for both algorithms.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

/// A secret key in memory.
pub struct SecretKey(Secret);

enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl SecretKey {
    /// Makes a key from 32 secret random bytes.
    ///
    /// # Errors
    /// `NotAKey` if the bytes are no P-256 scalar (one in 2^32 or rarer).
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Ok(Self(match algorithm {
            Algorithm::Ed25519 => Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(bytes)),
            Algorithm::P256 => Secret::P256(p256::ecdsa::SigningKey::from_slice(bytes).map_err(|_| KeyError::NotAKey)?),
        }))
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        match &self.0 {
            Secret::Ed25519(key) => {
                let key = key.verifying_key();
                let (algorithm, bytes) = (Algorithm::Ed25519, key.to_bytes().to_vec());
                PublicKey { algorithm, bytes, point: Arc::new(Point::Ed25519(key)) }
            }
            Secret::P256(key) => {
                let key = *key.verifying_key();
                let (algorithm, bytes) = (Algorithm::P256, key.to_sec1_point(true).as_bytes().to_vec());
                PublicKey { algorithm, bytes, point: Arc::new(Point::P256(key)) }
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().to_vec()
            }
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> [SecretKey; 2] {
        [Algorithm::Ed25519, Algorithm::P256].map(|a| SecretKey::from_bytes(a, &[7; 32]).unwrap())
    }

    #[test]
    fn signs_and_verifies_and_refuses_another_message_or_key() {
        for key in keys() {
            let public = key.public_key();
            let signature = key.sign(b"one");
            assert_eq!(public.verify(b"one", &signature), Ok(()));
            assert_eq!(public.verify(b"two", &signature), Err(KeyError::Signature));
            let other = SecretKey::from_bytes(public.algorithm(), &[8; 32]).unwrap().public_key();
            assert_eq!(other.verify(b"one", &signature), Err(KeyError::Signature));
            assert_eq!(PublicKey::parse(&alloc::format!("{public}")), Ok(public));
        }
    }

    #[test]
    fn high_s_is_refused() {
        // n - s is the other valid form of an ECDSA signature.
        let [_, key] = keys();
        let low = p256::ecdsa::Signature::from_slice(&key.sign(b"m")).unwrap();
        let high = p256::ecdsa::Signature::from_scalars(low.r(), -*low.s()).unwrap();
        assert_eq!(key.public_key().verify(b"m", &high.to_bytes()), Err(KeyError::Signature));
    }

    #[test]
    fn small_order_points_are_no_keys() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::new(Algorithm::Ed25519, &identity), Err(KeyError::NotAKey));
        assert_eq!(PublicKey::new(Algorithm::P256, &[2; 32]), Err(KeyError::NotAKey));
        assert_eq!(PublicKey::parse("rsa:AAAA"), Err(KeyError::Form));
    }

    #[test]
    fn a_key_has_one_spelling() {
        // The SEC1 compact form is another spelling of the same P-256 point.
        let [_, key] = keys();
        let mut compact = key.public_key().as_bytes().to_vec();
        compact[0] = 5;
        assert_eq!(PublicKey::new(Algorithm::P256, &compact), Err(KeyError::NotAKey));
        // y = p + 3 is another spelling of y = 3.
        let mut long = [0xff; 32];
        long[0] = 0xf0;
        long[31] = 0x7f;
        assert_eq!(PublicKey::new(Algorithm::Ed25519, &long), Err(KeyError::NotAKey));
    }
}
