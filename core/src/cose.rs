//! COSE_Sign1 as Griptrace uses it (RFC 9052; RFC 9943 for the header).
//!
//! Rule R9: the protected header is exactly `{1: alg, 3: content type, 4: kid = full key hash,
//! 15: {1: issuer, 2: home genesis}}`, the unprotected header is empty, the payload is attached,
//! and every kind of object has a content type of its own.

use alloc::{string::String, vec, vec::Vec};
use core::fmt;

use coset::{
    ContentType, CoseSign1, Header, HeaderBuilder, Label, ProtectedHeader, RegisteredLabelWithPrivate,
    TaggedCborSerializable, cbor::value::Value, iana,
};

use crate::{
    cbor::{DecodeError, Reader, Writer, bad_field, decode_with},
    digest::Digest,
    id::{GenesisHash, KeyId},
    key::{Algorithm, PublicKey, Signer},
    limits::{NAME_BYTES_MAX, STATEMENT_BYTES_MAX},
    node::keyed,
};

/// Content type of a commit.
pub const COMMIT_TYPE: &str = "application/vnd.griptrace.commit+cbor";
/// Content type of an assessor's assessment.
pub const ASSESSMENT_TYPE: &str = "application/vnd.griptrace.assessment+cbor";
/// Content type of an assessor's own mark on an assessment.
pub const MARK_TYPE: &str = "application/vnd.griptrace.mark+cbor";
/// Content type of a key change.
pub const KEY_CHANGE_TYPE: &str = "application/vnd.griptrace.key-change+cbor";

/// A signed object, taken apart. Nothing in it is believed before [`Signed::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The algorithm that the header names.
    pub algorithm: Algorithm,
    /// The full hash of the key that signed.
    pub key: KeyId,
    /// Who the signer says to be.
    pub issuer: String,
    /// The log that the object is for.
    pub home: GenesisHash,
    /// What was signed.
    pub payload: Vec<u8>,
    signature: Vec<u8>,
    /// The bytes over which the signature stands (RFC 9052, 4.4).
    signed_bytes: Vec<u8>,
}

/// Why a signed object was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoseError {
    /// More bytes than a signed object may have.
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not a tagged COSE_Sign1 with an attached payload.
    Malformed,
    /// Encoded in another way than deterministically.
    NotCanonical,
    /// The protected header has not exactly the fields that it must have.
    Header {
        /// The field that is missing, wrong or too many.
        field: &'static str,
    },
    /// The unprotected header is not empty.
    Unprotected,
    /// Another kind of object than was expected here.
    ContentType {
        /// What was expected.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The key is not the one that the header names.
    Key {
        /// The key that the header names.
        named: KeyId,
        /// The key that was tried.
        tried: KeyId,
    },
    /// The signature does not verify.
    Signature,
}

impl CoseError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "limit-exceeded",
            Self::Malformed => "cose-malformed",
            Self::NotCanonical => "cose-not-canonical",
            Self::Header { .. } => "cose-header",
            Self::Unprotected => "cose-unprotected-header",
            Self::ContentType { .. } => "cose-content-type",
            Self::Key { .. } => "cose-key",
            Self::Signature => "signature-invalid",
        }
    }
}

impl fmt::Display for CoseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { found } => {
                write!(f, "signed object of {found} bytes; the limit is {STATEMENT_BYTES_MAX}")
            }
            Self::Malformed => f.write_str("not a tagged COSE_Sign1 with an attached payload"),
            Self::NotCanonical => f.write_str("the COSE_Sign1 is not encoded deterministically"),
            Self::Header { field } => write!(f, "protected header: {field} is missing, wrong or too many"),
            Self::Unprotected => f.write_str("the unprotected header is not empty"),
            Self::ContentType { expected, found } => write!(f, "content type {found:?}, expected {expected:?}"),
            Self::Key { named, tried } => write!(f, "signed by key {named}, not by {tried}"),
            Self::Signature => f.write_str("the signature does not verify"),
        }
    }
}

impl core::error::Error for CoseError {}

/// Signs `payload` and returns the object's bytes.
///
/// # Errors
/// `TooLarge` beyond [`STATEMENT_BYTES_MAX`], `Header` for an issuer that is empty or too long.
#[expect(clippy::needless_pass_by_value, reason = "a payload is made to be signed; no caller keeps it")]
pub fn sign(
    signer: &dyn Signer,
    content_type: &'static str,
    issuer: &str,
    home: &GenesisHash,
    payload: Vec<u8>,
) -> Result<Vec<u8>, CoseError> {
    if issuer.is_empty() || issuer.len() > NAME_BYTES_MAX {
        return Err(CoseError::Header { field: "issuer" });
    }
    let key = signer.public_key();
    let fields = Fields { algorithm: key.algorithm(), content_type, key: key.id(), issuer, home: *home };
    let protected = fields.to_bytes();
    let signature = signer.sign(&signed_bytes(&protected, &payload));
    let object = Object { protected: &protected, payload: &payload, signature: &signature };
    let mut out = Writer::after(Vec::with_capacity(object.room()));
    object.write(&mut out);
    let bytes = out.into_bytes();
    if bytes.len() > STATEMENT_BYTES_MAX {
        return Err(CoseError::TooLarge { found: bytes.len() });
    }
    Ok(bytes)
}

/// Label of CWT claims in a header (RFC 9597), and of the claims in it (RFC 8392).
pub(crate) const CWT_CLAIMS: i64 = 15;
pub(crate) const CWT_ISSUER: i64 = 1;
pub(crate) const CWT_SUBJECT: i64 = 2;

/// Tag of a `COSE_Sign1` (RFC 9052, section 2).
pub(crate) const SIGN1_TAG: u64 = 18;

/// A signed object in its one encoding, its parts as they stand.
pub(crate) struct Object<'a> {
    pub(crate) protected: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Object<'a> {
    pub(crate) fn write(&self, out: &mut Writer<'_>) {
        out.tag(SIGN1_TAG).array(4).bytes(self.protected).map(0).bytes(self.payload).bytes(self.signature);
    }

    pub(crate) fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = |input: &mut Reader<'a>| input.bytes("bytes of a signed object", STATEMENT_BYTES_MAX);
        input.tag(SIGN1_TAG)?;
        input.tuple(4)?;
        let protected = bytes(input)?;
        input.map("unprotected header", 0)?;
        Ok(Self { protected, payload: bytes(input)?, signature: bytes(input)? })
    }

    /// Returns how many bytes it takes, or a few more.
    fn room(&self) -> usize {
        let parts = self.protected.len().saturating_add(self.payload.len()).saturating_add(self.signature.len());
        parts.saturating_add(16)
    }
}

/// The fields of a protected header.
struct Fields<'a> {
    algorithm: Algorithm,
    content_type: &'a str,
    key: KeyId,
    issuer: &'a str,
    home: GenesisHash,
}

impl<'a> Fields<'a> {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::after(Vec::with_capacity(256));
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.map(4).uint(1).int(self.algorithm.cose()).uint(3).text(self.content_type);
        out.uint(4).bytes(self.key.as_bytes()).int(CWT_CLAIMS);
        out.map(2).int(CWT_ISSUER).text(self.issuer).int(CWT_SUBJECT).text(&alloc::format!("{}", self.home));
    }

    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let wrong = |field| bad_field("protected header", field);
        let text = |input: &mut Reader<'a>| input.text("text in a header", STATEMENT_BYTES_MAX);
        input.map("protected header", 4)?;
        let algorithm = match keyed(input, 1, Reader::int)? {
            -8 => Algorithm::Ed25519,
            -7 => Algorithm::P256,
            _ => return Err(wrong("alg")),
        };
        let content_type = keyed(input, 3, text)?;
        let key = KeyId::new(keyed(input, 4, Reader::digest)?);
        keyed(input, 15, |i| i.map("claims", 2))?;
        let issuer = keyed(input, 1, text)?;
        if issuer.is_empty() || issuer.len() > NAME_BYTES_MAX {
            return Err(wrong("issuer"));
        }
        let home = GenesisHash::from_hex(keyed(input, 2, text)?).ok_or(wrong("home genesis"))?;
        Ok(Self { algorithm, content_type, key, issuer, home })
    }
}

/// Returns the bytes over which a signature stands (RFC 9052, 4.4).
pub(crate) fn signed_bytes(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let room = protected.len().saturating_add(payload.len()).saturating_add(24);
    let mut out = Writer::after(Vec::with_capacity(room));
    out.array(4).text("Signature1").bytes(protected).bytes(&[]).bytes(payload);
    out.into_bytes()
}

fn header(algorithm: Algorithm, content_type: &str, key: &KeyId, issuer: &str, home: &GenesisHash) -> Header {
    let cose = match algorithm {
        Algorithm::Ed25519 => iana::Algorithm::EdDSA,
        Algorithm::P256 => iana::Algorithm::ES256,
    };
    let claims = Value::Map(vec![
        (Value::Integer(CWT_ISSUER.into()), Value::Text(issuer.into())),
        (Value::Integer(CWT_SUBJECT.into()), Value::Text(alloc::format!("{home}"))),
    ]);
    HeaderBuilder::new()
        .algorithm(cose)
        .content_type(content_type.into())
        .key_id(key.as_bytes().to_vec())
        .value(CWT_CLAIMS, claims)
        .build()
}

impl Signed {
    /// Takes a signed object apart, strictly, without checking its signature.
    ///
    /// # Errors
    /// Every [`CoseError`] but `Key` and `Signature`.
    pub fn parse(bytes: &[u8], content_type: &'static str) -> Result<Self, CoseError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(CoseError::TooLarge { found: bytes.len() });
        }
        match Self::parse_canonical(bytes, content_type) {
            Some(signed) => Ok(signed),
            // Whatever is wrong, COSE's own reader finds a name for it.
            None => Self::parse_any(bytes, content_type),
        }
    }

    /// Reads an object in its one encoding; `None` for whatever is not exactly that, or of another content type.
    ///
    /// What this returns, [`Self::parse_any`] returns too, in several times the time.
    fn parse_canonical(bytes: &[u8], content_type: &'static str) -> Option<Self> {
        let object = decode_with(bytes, Object::read, Object::write).ok()?;
        let fields = decode_with(object.protected, Fields::read, Fields::write).ok()?;
        (fields.content_type == content_type).then(|| Self {
            algorithm: fields.algorithm,
            key: fields.key,
            issuer: fields.issuer.into(),
            home: fields.home,
            payload: object.payload.into(),
            signature: object.signature.into(),
            signed_bytes: signed_bytes(object.protected, object.payload),
        })
    }

    fn parse_any(bytes: &[u8], content_type: &'static str) -> Result<Self, CoseError> {
        let object = CoseSign1::from_tagged_slice(bytes).map_err(|_| CoseError::Malformed)?;
        if !object.unprotected.is_empty() {
            return Err(CoseError::Unprotected);
        }
        let (algorithm, found, key, issuer, home) = read_header(&object.protected.header)?;
        if found != content_type {
            return Err(CoseError::ContentType { expected: content_type, found });
        }
        let signed_bytes = object.tbs_data(&[]);
        let (Some(payload), signature) = (object.payload, object.signature) else { return Err(CoseError::Malformed) };
        let signed = Self { algorithm, key, issuer, home, payload, signature, signed_bytes };
        if signed.to_bytes(content_type)? != bytes {
            return Err(CoseError::NotCanonical);
        }
        Ok(signed)
    }

    /// Writes the object again, deterministically.
    fn to_bytes(&self, content_type: &str) -> Result<Vec<u8>, CoseError> {
        let header = header(self.algorithm, content_type, &self.key, &self.issuer, &self.home);
        let object = CoseSign1 {
            protected: ProtectedHeader { original_data: None, header },
            unprotected: Header::default(),
            payload: Some(self.payload.clone()),
            signature: self.signature.clone(),
        };
        object.to_tagged_vec().map_err(|_| CoseError::Malformed)
    }

    /// Checks the signature with `key`, which must be the one that the header names.
    ///
    /// # Errors
    /// `Key` or `Signature`.
    pub fn verify(&self, key: &PublicKey) -> Result<(), CoseError> {
        let tried = key.id();
        if tried != self.key || key.algorithm() != self.algorithm {
            return Err(CoseError::Key { named: self.key, tried });
        }
        key.verify(&self.signed_bytes, &self.signature).map_err(|_| CoseError::Signature)
    }
}

type HeaderFields = (Algorithm, String, KeyId, String, GenesisHash);

fn read_header(header: &Header) -> Result<HeaderFields, CoseError> {
    let bad = |field| CoseError::Header { field };
    let algorithm = match &header.alg {
        Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA)) => Algorithm::Ed25519,
        Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ES256)) => Algorithm::P256,
        Some(_) | None => return Err(bad("alg")),
    };
    let Some(ContentType::Text(content_type)) = &header.content_type else { return Err(bad("content type")) };
    let key = Digest::from_slice(&header.key_id).map(KeyId::new).ok_or(bad("kid"))?;
    let [(Label::Int(CWT_CLAIMS), Value::Map(claims))] = header.rest.as_slice() else {
        return Err(bad("claims"));
    };
    let [(Value::Integer(one), Value::Text(issuer)), (Value::Integer(two), Value::Text(subject))] = claims.as_slice()
    else {
        return Err(bad("claims"));
    };
    if i128::from(*one) != i128::from(CWT_ISSUER) || i128::from(*two) != i128::from(CWT_SUBJECT) {
        return Err(bad("claims"));
    }
    if issuer.is_empty() || issuer.len() > NAME_BYTES_MAX {
        return Err(bad("issuer"));
    }
    let home = GenesisHash::from_hex(subject).ok_or(bad("home genesis"))?;
    let extra = !header.crit.is_empty()
        || !header.iv.is_empty()
        || !header.partial_iv.is_empty()
        || !header.counter_signatures.is_empty();
    if extra {
        return Err(bad("further fields"));
    }
    Ok((algorithm, content_type.clone(), key, issuer.clone(), home))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn home() -> GenesisHash {
        GenesisHash::new(Digest::from_bytes([3; 32]))
    }

    #[test]
    fn what_was_signed_verifies_for_both_algorithms() {
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let key = SecretKey::from_bytes(algorithm, &[9; 32]).unwrap();
            let bytes = sign(&key, COMMIT_TYPE, "Maker", &home(), b"payload".to_vec()).unwrap();
            let signed = Signed::parse(&bytes, COMMIT_TYPE).unwrap();
            assert_eq!(signed.issuer, "Maker");
            assert_eq!(signed.home, home());
            assert_eq!(signed.verify(&key.public_key()), Ok(()));
            let other = SecretKey::from_bytes(algorithm, &[8; 32]).unwrap().public_key();
            assert!(matches!(signed.verify(&other), Err(CoseError::Key { .. })));
            assert_eq!(Signed::parse(&bytes, MARK_TYPE).unwrap_err().code(), "cose-content-type");
        }
    }

    #[test]
    fn no_flipped_byte_is_accepted() {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[9; 32]).unwrap();
        let bytes = sign(&key, COMMIT_TYPE, "Maker", &home(), b"payload".to_vec()).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let accepted = Signed::parse(&flipped, COMMIT_TYPE).is_ok_and(|s| s.verify(&key.public_key()).is_ok());
                assert!(!accepted, "bit {bit} of byte {at}");
            }
        }
    }

    /// COSE's own writer and reader are the oracle.
    #[test]
    fn what_is_written_is_what_coset_writes() {
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let key = SecretKey::from_bytes(algorithm, &[9; 32]).unwrap();
            for payload in [0, 1, 23, 24, 255, 256, 60_000] {
                let payload = vec![7; payload];
                let bytes = sign(&key, MARK_TYPE, "Maker & Söhne", &home(), payload.clone()).unwrap();
                let public = key.public_key();
                let object = coset::CoseSign1Builder::new()
                    .protected(header(algorithm, MARK_TYPE, &public.id(), "Maker & Söhne", &home()))
                    .payload(payload)
                    .create_signature(&[], |bytes| key.sign(bytes))
                    .build();
                assert_eq!(bytes, object.to_tagged_vec().unwrap());
                let signed = Signed::parse(&bytes, MARK_TYPE).unwrap();
                assert_eq!(signed, Signed::parse_any(&bytes, MARK_TYPE).unwrap());
                assert_eq!(signed.verify(&public), Ok(()));
            }
        }
    }

    /// Every byte replaced by every other, one left out, one put in: both readers accept the same, as the same.
    #[test]
    fn both_readers_accept_the_same() {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[9; 32]).unwrap();
        let bytes = sign(&key, COMMIT_TYPE, "Maker", &home(), vec![7; 25]).unwrap();
        let mut accepted = 0;
        let mut compare = |bytes: &[u8]| {
            let fast = Signed::parse_canonical(bytes, COMMIT_TYPE);
            assert_eq!(fast, Signed::parse_any(bytes, COMMIT_TYPE).ok(), "{bytes:02x?}");
            accepted += usize::from(fast.is_some());
        };
        compare(&bytes);
        for at in 0..bytes.len() {
            let shorter = [&bytes[..at], &bytes[at + 1..]].concat();
            compare(&shorter);
            for byte in 0..=u8::MAX {
                let mut other = bytes.clone();
                other[at] = byte;
                compare(&other);
                if byte % 8 < 2 || byte > 0xf0 {
                    other.insert(at, byte);
                    compare(&other);
                }
            }
        }
        assert!(accepted > 10_000, "{accepted}: payload and signature can be any bytes");
    }

    #[test]
    fn a_filled_unprotected_header_is_refused() {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[9; 32]).unwrap();
        let bytes = sign(&key, COMMIT_TYPE, "Maker", &home(), b"payload".to_vec()).unwrap();
        let mut object = CoseSign1::from_tagged_slice(&bytes).unwrap();
        object.unprotected = HeaderBuilder::new().value(394, Value::Bool(true)).build();
        let filled = object.to_tagged_vec().unwrap();
        assert_eq!(Signed::parse(&filled, COMMIT_TYPE), Err(CoseError::Unprotected));
    }
}
