//! Public keys as other programs take them: PEM of a `SubjectPublicKeyInfo` (RFC 7468, RFC 8410, RFC 5480).

use griptrace_core::key::{Algorithm, PublicKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};

/// Writes a public key as PEM.
///
/// # Panics
/// Never: a [`PublicKey`] is a point of its curve.
pub fn public_key(key: &PublicKey) -> String {
    let written = match key.algorithm() {
        Algorithm::Ed25519 => {
            let bytes = key.as_bytes().try_into().expect("an Ed25519 key has 32 bytes");
            let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).expect("it was read as a point before");
            key.to_public_key_pem(LineEnding::LF)
        }
        Algorithm::P256 => {
            let key = p256::PublicKey::from_sec1_bytes(key.as_bytes()).expect("it was read as a point before");
            key.to_public_key_pem(LineEnding::LF)
        }
    };
    written.expect("a key of fixed length is written in fixed length")
}
