//! DSSE signatures (the Dead Simple Signing Envelope, protocol 1.0.2), for documents that other programs read.
//!
//! What is signed is the payload's type and bytes, each behind its length, so that a signature over a document of one
//! type is none over another. No verdict of Griptrace rests on one.

use alloc::{format, vec::Vec};

use crate::key::{Algorithm, Signer};

/// Returns the bytes that are signed: the pre-authentication encoding of a payload and its type.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Signs a payload: 64 bytes by Ed25519, and DER (RFC 3279, 2.2.3) by P-256, which is what readers of envelopes take.
///
/// # Panics
/// If a signer breaks its contract, and returns no signature.
pub fn sign(signer: &dyn Signer, payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let signature = signer.sign(&pre_authentication_encoding(payload_type, payload));
    match signer.public_key().algorithm() {
        Algorithm::Ed25519 => signature,
        Algorithm::P256 => p256::ecdsa::Signature::from_slice(&signature)
            .expect("a signer of P-256 returns 64 bytes of a signature")
            .to_der()
            .as_bytes()
            .to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    /// The vector of protocol.md.
    #[test]
    fn what_is_signed_is_as_the_protocol_says() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn a_signature_is_over_type_and_payload_both() {
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let key = SecretKey::from_bytes(algorithm, &[7; 32]).unwrap();
            let signature = match algorithm {
                Algorithm::Ed25519 => sign(&key, "type", b"payload"),
                Algorithm::P256 => {
                    let der = sign(&key, "type", b"payload");
                    p256::ecdsa::Signature::from_der(&der).unwrap().to_bytes().to_vec()
                }
            };
            let verifies = |of: &str, payload: &[u8]| {
                key.public_key().verify(&pre_authentication_encoding(of, payload), &signature).is_ok()
            };
            assert!(verifies("type", b"payload"));
            assert!(!verifies("type ", b"payload") && !verifies("type", b"payloaD") && !verifies("typ", b"epayload"));
        }
    }
}
