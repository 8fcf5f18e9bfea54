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
