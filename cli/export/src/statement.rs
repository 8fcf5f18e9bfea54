//! in-toto statements, and the DSSE envelopes that they travel in when they are signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{digest::Digest, dsse, key::Signer};
use serde_json::{Map, Value as Json, json};

use crate::{slsa::BUILD_TYPE, verdict::QUESTION};

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

/// Tells whether a file holds statements of the kind of `like` that were made here, a line each: the whole of it, and all in
/// envelopes or none.
pub fn holds_only(file: &[u8], like: &Json, is_signed: bool) -> bool {
    let own = |line: &[u8]| {
        let read: Json = serde_json::from_slice(line).ok()?;
        let found = if is_signed { opened(&read)? } else { read };
        let kind = found["_type"] == STATEMENT && found["predicateType"] == like["predicateType"];
        Some(kind && is_own(&found["predicate"]))
    };
    let mut lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| own(line) == Some(true))
}

/// Tells whether a predicate was made here, by what no other program writes.
fn is_own(predicate: &Json) -> bool {
    predicate[QUESTION].is_object() || predicate["buildDefinition"]["buildType"] == BUILD_TYPE
}

/// Takes a statement out of its envelope. Who signed it is not asked.
fn opened(envelope: &Json) -> Option<Json> {
    let payload = STANDARD.decode(envelope["payload"].as_str()?).ok()?;
    serde_json::from_slice(&payload).ok().filter(|_| envelope["payloadType"] == PAYLOAD)
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
    fn a_file_of_statements_is_told_from_those_of_others() {
        let of = |field: &str| statement(&[], "https://p.example/v1", &json!({ field: {} }));
        let (own, other) = (of(QUESTION), of("asked"));
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[7; 32]).unwrap();
        let sealed = |statement: &Json| envelope(statement, &key).to_string();
        let is = |file: &str, signed| holds_only(file.as_bytes(), &own, signed);
        assert!(is(&sealed(&own), true) && is(&format!("{own}\n{own}\n"), false));
        assert!(!is(&sealed(&other), true) && !is(&format!("{own}\n{other}\n"), false));
        assert!(!is(&sealed(&own), false) && !is(&own.to_string(), true) && !is("", false));
        let elsewhere = statement(&[], "https://q.example/v1", &json!({ QUESTION: {} }));
        assert!(!is(&sealed(&elsewhere), true));
    }
}
