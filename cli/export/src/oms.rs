//! Model signatures of the OpenSSF (OMS v1.0): a Sigstore bundle around a DSSE envelope with the digests of all files.

use std::fmt;

use griptrace_core::{
    key::{Algorithm, PublicKey, Signer},
    manifest::FileRecord,
};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::{
    pem,
    statement::{Subject, envelope_named, statement},
    text::sha256,
};

const PREDICATE: &str = "https://model_signing/signature/v1.0";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What every verifier passes over at the top of a model's folder (OMS v1.0): nothing by these names can be signed.
const PASSED_OVER: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// Why a model can't be signed so.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OmsError {
    /// The key is of an algorithm that OMS has not.
    Algorithm(Algorithm),
    /// A path is no UTF-8.
    Path(String),
    /// Verifiers pass over this file, which is one of the model's.
    PassedOver(String),
    /// A file's SHA-256 is not known.
    Digest(String),
}

impl fmt::Display for OmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm(_) => f.write_str("OMS knows no Ed25519: the key has to be a P-256 key"),
            Self::Path(path) => write!(f, "the path {path:?} is no UTF-8"),
            Self::PassedOver(path) => write!(f, "OMS passes over {path:?}, which is one of the model's files"),
            Self::Digest(path) => write!(f, "no SHA-256 of {path:?} is known"),
        }
    }
}

impl core::error::Error for OmsError {}

/// Tells whether a file is such a signature by a key: one by another key is another's.
pub fn is_signature(file: &[u8], key: &PublicKey) -> bool {
    let found: Json = serde_json::from_slice(file).unwrap_or_default();
    found["mediaType"] == BUNDLE && found["verificationMaterial"]["publicKey"]["hint"] == hint(key)
}

/// Returns what a signature names its key by.
fn hint(key: &PublicKey) -> String {
    sha256(pem::public_key(key).as_bytes()).to_string()
}

/// Signs the files of a model, all of them. A model that is one file has the path of that file; a folder, of its files.
///
/// # Errors
/// [`OmsError`].
pub fn sign(name: &str, files: &[FileRecord], is_folder: bool, signer: &dyn Signer) -> Result<Json, OmsError> {
    let key = signer.public_key();
    if key.algorithm() != Algorithm::P256 {
        return Err(OmsError::Algorithm(key.algorithm()));
    }
    let mut resources = Vec::new();
    let mut over_all = Sha256::new();
    // The order of the paths' bytes is that of the names.
    for file in files {
        let path = core::str::from_utf8(&file.path);
        let path = path.map_err(|_| OmsError::Path(String::from_utf8_lossy(&file.path).into_owned()))?;
        if is_folder && PASSED_OVER.contains(&path.split('/').next().unwrap_or_default()) {
            return Err(OmsError::PassedOver(path.to_owned()));
        }
        let digest = file.sha256.ok_or_else(|| OmsError::Digest(path.to_owned()))?;
        over_all.update(digest.as_bytes());
        let name = if is_folder { path } else { "." };
        resources.push(json!({ "name": name, "algorithm": "sha256", "digest": digest.to_string() }));
    }
    let over_all = griptrace_core::digest::Digest::from_bytes(over_all.finalize().into());
    let subject = Subject::by_sha256(name.to_owned(), &over_all);
    let predicate = json!({
        "serialization": {
            "method": "files", "hash_type": "sha256", "allow_symlinks": false, "ignore_paths": PASSED_OVER,
        },
        "resources": resources,
    });
    Ok(json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": hint(&key) }, "tlogEntries": [] },
        "dsseEnvelope": envelope_named(&statement(&[subject], PREDICATE, &predicate), signer, ""),
    }))
}
