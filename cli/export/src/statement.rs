//! in-toto statements, and the DSSE envelopes that they travel in when they are signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{digest::Digest, dsse, key::Signer};
use serde_json::{Map, Value as Json, json};

/// The type of every statement (in-toto attestation framework v1).
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The payload type of a statement in an envelope.
const PAYLOAD: &str = "application/vnd.in-toto+json";

/// What a statement is about: a name, and the digests of the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// What the bytes are called.
    pub name: String,
    /// Their digests: the algorithm as digest sets name it, and lower-case hexadecimal digits.
    pub digests: Vec<(&'static str, String)>,
}

impl Subject {
    /// Makes the subject that is known by SHA-256 alone.
    pub fn by_sha256(name: String, sha256: &Digest) -> Self {
        Self { name, digests: vec![("sha256", sha256.to_string())] }
    }
}

/// Returns digests as a digest set. `blake3` is none of its named algorithms: plain BLAKE3, written like the others.
pub(crate) fn digest_set(digests: &[(&'static str, String)]) -> Json {
    digests.iter().map(|(name, hex)| ((*name).to_owned(), json!(hex))).collect::<Map<_, _>>().into()
}

/// Makes a statement.
pub fn statement(subjects: &[Subject], predicate_type: &str, predicate: &Json) -> Json {
    let subject = |of: &Subject| json!({ "name": of.name, "digest": digest_set(&of.digests) });
    json!({
        "_type": STATEMENT,
        "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

/// Returns how envelopes around statements of this kind begin: their first bytes, up to the first field of the predicate,
/// which differs from kind to kind. So the file of one kind is told from that of another.
pub fn envelope_begins(statement: &Json) -> Vec<u8> {
    const PREDICATE: &str = "\"predicate\":{\"";
    let payload = statement.to_string();
    let (before, fields) = payload.split_once(PREDICATE).unwrap_or_default();
    let field = fields.split('"').next().unwrap_or_default();
    let begin = [before, PREDICATE, field].concat();
    // Base64 writes three bytes at a time: what the next field begins with is not looked at.
    let whole = begin.len().saturating_sub(begin.len() % 3);
    format!("{{\"payload\":\"{}", STANDARD.encode(begin.get(..whole).unwrap_or_default())).into_bytes()
}

/// Signs a statement: a DSSE envelope. Its key id is the full hash of the key, which nobody has to believe.
pub fn envelope(statement: &Json, signer: &dyn Signer) -> Json {
    envelope_named(statement, signer, &signer.public_key().id().to_string())
}

pub(crate) fn envelope_named(statement: &Json, signer: &dyn Signer, key_id: &str) -> Json {
    let payload = statement.to_string();
    let signature = dsse::sign(signer, PAYLOAD, payload.as_bytes());
    json!({
        "payload": STANDARD.encode(payload),
        "payloadType": PAYLOAD,
        "signatures": [{ "keyid": key_id, "sig": STANDARD.encode(signature) }],
    })
}

#[cfg(test)]
mod tests {
    use griptrace_core::key::{Algorithm, SecretKey};

    use super::*;

    #[test]
    fn an_envelope_begins_by_the_kind_of_its_statement() {
        let of = |field: &str, value: &str| statement(&[], "https://p.example/v1", &json!({ field: value }));
        let begins = envelope_begins(&of("asked", "x"));
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[7; 32]).unwrap();
        let written = |statement: &Json| envelope(statement, &key).to_string().into_bytes();
        assert!(written(&of("asked", "anything else")).starts_with(&begins));
        assert!(!written(&of("build", "x")).starts_with(&begins));
    }
}
