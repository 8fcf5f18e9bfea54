//! What was asked, for whoever reads the answer: without it, a printed verdict could be shown for another question.

use griptrace_core::{bundle::bundle_digest, digest::Digest, manifest::FileRecord};
use griptrace_verifier::{question::ModelInHand, trust::Trust};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::request::{Named, Request};

/// The question and the files, as they were judged: where the buyer says nothing, what the trust file says.
#[derive(Default)]
pub(crate) struct Asked(Map<String, Value>);

impl Asked {
    /// Takes a file of the buyer's.
    pub(crate) fn file(&mut self, of: &str, file: &Named, bytes: &[u8]) {
        self.0.insert(of.into(), known(file, bytes));
    }

    /// Takes several files.
    pub(crate) fn files(&mut self, of: &str, files: &[Named], bytes: &[Vec<u8>]) {
        let all = files.iter().zip(bytes).map(|(file, bytes)| known(file, bytes)).collect();
        self.0.insert(of.into(), all);
    }

    /// Takes the evidence, with the digest that reports name it by. Updates make another file of it, with another digest.
    pub(crate) fn bundle(&mut self, file: &Named, bytes: &[u8]) {
        let mut known = known(file, bytes);
        known["digest"] = bundle_digest(bytes).to_string().into();
        self.0.insert("bundle".into(), known);
    }

    /// Takes where, for whom, for what, on which day, and what the buyer has in hand. What the trust file says counts as
    /// the verifier takes it: in the place of what was not asked, and purposes beside those that were.
    pub(crate) fn question(&mut self, request: &Request, trust: &Trust) {
        let expect = &trust.expect;
        let told = |own: Option<String>, trusted: Option<String>| {
            let from_trust = own.is_none();
            own.or(trusted).map(|value| json!({ "value": value, "from_trust": from_trust }))
        };
        let text = |country: Option<griptrace_core::word::Country>| country.map(|country| country.to_string());
        let mut purposes: Vec<_> = request.purposes.iter().map(|word| (word.to_string(), false)).collect();
        purposes.extend(expect.purposes.iter().map(|word| (word.to_string(), true)));
        // Of two alike the buyer's own stays: false is before true.
        purposes.sort();
        purposes.dedup_by(|later, earlier| later.0 == earlier.0);
        let purposes: Vec<_> = purposes
            .into_iter()
            .map(|(value, from_trust)| json!({ "value": value, "from_trust": from_trust }))
            .collect();
        let fields = [
            ("now", request.now.to_string().into()),
            ("destination", told(text(request.destination), text(expect.destination)).into()),
            ("consignee", told(request.consignee.clone(), expect.consignee.clone()).into()),
            ("purposes", purposes.into()),
            ("model", model(&request.model)),
        ];
        self.0.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }

    /// Returns all of it.
    pub(crate) fn finish(self) -> Value {
        Value::Object(self.0)
    }
}

fn known(file: &Named, bytes: &[u8]) -> Value {
    let sha256 = Digest::from_bytes(Sha256::digest(bytes).into()).to_string();
    json!({ "name": file.name, "size": file.size, "sha256": sha256 })
}

/// Returns what was compared: nothing, a digest, or files with theirs.
fn model(hand: &ModelInHand) -> Value {
    match hand {
        ModelInHand::NotGiven => Value::Null,
        ModelInHand::Digest(digest) => json!({ "digest": digest.to_string() }),
        ModelInHand::File(file) => json!({ "files": [record(file)] }),
        ModelInHand::Folder(files) => json!({ "files": files.iter().map(record).collect::<Vec<_>>() }),
    }
}

fn record(file: &FileRecord) -> Value {
    let sha256 = file.sha256.map(|digest| digest.to_string());
    let name = String::from_utf8_lossy(&file.path);
    json!({ "name": name, "size": file.size, "blake3": file.blake3.to_string(), "sha256": sha256 })
}
