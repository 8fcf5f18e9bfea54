//! `griptrace key`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    key::{Algorithm, PublicKey},
    note::NoteVerifier,
};
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile::{self, PrivateKey, fingerprint},
};

/// Make and show key files
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// Make a key file that only its owner can read
    New {
        /// The file to write; never replaced
        file: PathBuf,
        /// Make an ECDSA P-256 key in place of Ed25519
        #[arg(long)]
        p256: bool,
        /// Encrypt it with the passphrase in `GRIPTRACE_PASSPHRASE` or on standard input
        #[arg(long)]
        passphrase: bool,
    },
    /// Show the public key of a key file, and its fingerprint for reading on the phone
    Show {
        /// A key file, a public key as text, or a log's key (vkey) as text
        file: String,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let key = match args {
        Args::New { file, p256, passphrase } => {
            let algorithm = if *p256 { Algorithm::P256 } else { Algorithm::Ed25519 };
            let passphrase = if *passphrase { Some(keyfile::passphrase("for the new key")?) } else { None };
            let key = PrivateKey::generate(algorithm)?;
            keyfile::write(file, &key, passphrase.as_deref().map(String::as_str))?;
            key.public()?
        }
        Args::Show { file } => shown(file)?,
    };
    let id = key.id();
    let object = json!({ "public_key": key.to_string(), "key_id": id.to_string(), "fingerprint": fingerprint(&id) });
    let lines =
        [format!("public key   {key}"), format!("key id       {id}"), format!("fingerprint  {}", fingerprint(&id))];
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}

/// Reads a public key as text, a log's vkey, or the public half of a key file.
fn shown(text: &str) -> Result<PublicKey, CommandError> {
    let malformed = |e: &dyn core::fmt::Display| {
        CommandError::failed(format!("malformed key {text:?}: {e}"))
            .with_hint("a public key is ed25519:BASE64 or p256:BASE64, a log's key NAME+HEX+BASE64; a file is a path")
    };
    let is_file = Path::new(text).exists();
    match PublicKey::parse(text) {
        Ok(key) => return Ok(key),
        Err(error) if !is_file && (text.starts_with("ed25519:") || text.starts_with("p256:")) => {
            return Err(malformed(&error));
        }
        Err(_) => {}
    }
    match NoteVerifier::parse(text) {
        Ok(log) => PublicKey::new(Algorithm::Ed25519, log.public_key()).map_err(|e| malformed(&e)),
        Err(error) if !is_file && text.contains('+') => Err(malformed(&error)),
        Err(_) => keyfile::read(text.as_ref())?.public(),
    }
}
