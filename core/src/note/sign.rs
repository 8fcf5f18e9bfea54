//! Secret keys that sign notes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use ml_dsa::{Keypair as _, MlDsa44};

use super::{KeyKind, NoteError, NoteSignature, NoteVerifier};

/// A secret key that signs notes as a log.
#[derive(Clone)]
pub struct NoteSigner {
    key: SigningKey,
    verifier: NoteVerifier,
}

/// A secret key that cosigns notes as a witness, each time with a time.
#[derive(Clone)]
pub struct Cosigner {
    key: Secret,
    verifier: NoteVerifier,
}

#[derive(Clone)]
enum Secret {
    Ed25519(Box<SigningKey>),
    MlDsa44(Box<ml_dsa::SigningKey<MlDsa44>>),
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

    /// Signs a text, which must end with a newline ([`super::Note::new`] checks it).
    pub fn sign(&self, text: &str) -> NoteSignature {
        line(&self.verifier, self.key.sign(text.as_bytes()).to_bytes().to_vec())
    }
}

impl Cosigner {
    /// Makes a cosigner from an Ed25519 seed ([`KeyKind::CosignatureV1`]).
    ///
    /// Errors: [`NoteError::Name`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::ed25519(name, KeyKind::CosignatureV1, seed)
    }

    /// Makes a cosigner from an ML-DSA-44 seed ([`KeyKind::SubtreeV1`]), which is not also a seed of something else.
    ///
    /// Errors: [`NoteError::Name`].
    pub fn subtree(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = ml_dsa::SigningKey::<MlDsa44>::from_seed(&(*seed).into());
        let verifier = NoteVerifier::new(name, KeyKind::SubtreeV1, &key.verifying_key().encode())?;
        Ok(Self { key: Secret::MlDsa44(Box::new(key)), verifier })
    }

    /// Makes a cosigner of recomputed status maps from an Ed25519 seed ([`KeyKind::StatusMapV1`]), which is not also
    /// a seed of something else.
    ///
    /// Errors: [`NoteError::Name`].
    pub fn status_map(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::ed25519(name, KeyKind::StatusMapV1, seed)
    }

    fn ed25519(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = NoteVerifier::new(name, kind, key.verifying_key().as_bytes())?;
        Ok(Self { key: Secret::Ed25519(Box::new(key)), verifier })
    }

    /// Returns the public half.
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// Cosigns a text at `timestamp`, in seconds since 1970. The same text and time give the same bytes.
    ///
    /// Errors: [`NoteError::Timestamp`]; of an ML-DSA-44 key, which may leave the time 0, also
    /// [`NoteError::Checkpoint`].
    pub fn sign(&self, text: &str, timestamp: u64) -> Result<NoteSignature, NoteError> {
        let message = self.verifier.cosigned(text, timestamp)?;
        let signature = self.key.sign(&message);
        Ok(line(&self.verifier, [timestamp.to_be_bytes().as_slice(), &signature].concat()))
    }
}

impl Secret {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::MlDsa44(key) => {
                let signature = key.expanded_key().sign_deterministic(message, &[]);
                signature.expect("thousands of rejections in a row do not happen").encode().to_vec()
            }
        }
    }
}

fn line(verifier: &NoteVerifier, signature: Vec<u8>) -> NoteSignature {
    NoteSignature { name: verifier.name().into(), key_id: verifier.key_id(), signature }
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
