//! `griptrace key`.

use std::path::PathBuf;

use griptrace_core::key::{Algorithm, PublicKey};
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
        /// A key file, or a public key as text
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
        Args::Show { file } => match PublicKey::parse(file) {
            Ok(key) => key,
            Err(_) => keyfile::read(file.as_ref())?.public()?,
        },
    };
    let id = key.id();
    let object = json!({ "public_key": key.to_string(), "key_id": id.to_string(), "fingerprint": fingerprint(&id) });
    let lines =
        [format!("public key   {key}"), format!("key id       {id}"), format!("fingerprint  {}", fingerprint(&id))];
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}
