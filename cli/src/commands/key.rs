//! `griptrace key`.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use griptrace_core::{
    digest::Digest,
    key::{Algorithm, PublicKey},
    note::NoteVerifier,
};
use griptrace_export::pem;
use griptrace_service::access::token_digest;
use serde_json::json;
use zeroize::Zeroizing;

use super::{key_change, key_record};
use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile::{self, PrivateKey, fingerprint},
};

/// Make and show key files, and let one key follow another
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
    /// Make a bearer token, and print the line by which a service knows it
    Token {
        /// The file to write; never replaced
        #[arg(short, long = "output", value_name = "FILE")]
        output: PathBuf,
    },
    /// Replace the key in use here, of the log or the committer, by a new one, while its file is at hand
    ///
    /// Makes the new key file in the folder `keys` of the store, lets both keys sign that the one follows the other, brings
    /// that into the log, and uses the new key from then on. What the old key signed before goes on counting.
    Rotate(key_change::RotateArgs),
    /// Sign a change of a key for somebody else to record, or of one that was lost or stolen
    ///
    /// Rotation, with both key files at hand: --old and --new. Revocation, of a key that was lost or stolen: --revoke, and
    /// --by with a key that was named when the log was made (`griptrace init --revoker`). Writes a file; nothing
    /// changes before `griptrace key record` brings it into the log.
    Change(Box<key_change::ChangeArgs>),
    /// Bring a signed change into the log, and use the key that follows
    ///
    /// For whoever has the store of the log. Where the key that ends is in use here, --new puts the one that follows in its
    /// place. Of a change that is in the log already, --new does only that.
    Record(key_record::Args),
    /// Show the public key of a key file, and its fingerprint for reading on the phone
    Show {
        /// A key file, a public key as text, or a log's key (vkey) as text
        file: String,
        /// Write the public key as PEM, for other programs
        #[arg(long)]
        pem: bool,
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
        Args::Token { output } => return token(context, output),
        Args::Rotate(args) => return key_change::rotate(context, args),
        Args::Change(args) => return key_change::change(context, args),
        Args::Record(args) => return key_record::run(context, args),
        Args::Show { file, .. } => shown(file)?,
    };
    let (id, pem) = (key.id(), pem::public_key(&key));
    if matches!(args, Args::Show { pem: true, .. }) && !context.output.is_json() {
        context.output.raw(pem.as_bytes())?;
        return Ok(Answer::YES);
    }
    let print = fingerprint(&id);
    let object = json!({ "public_key": key.to_string(), "key_id": id.to_string(), "fingerprint": print, "pem": pem });
    let lines = [format!("public key   {key}"), format!("key id       {id}"), format!("fingerprint  {print}")];
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}

/// Makes a token: 32 random bytes, which only the file holds.
fn token(context: &Context, file: &Path) -> Result<Answer, CommandError> {
    let mut bytes = Zeroizing::new([0; 32]);
    keyfile::fill(bytes.as_mut_slice())?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    keyfile::write_secret(file, Zeroizing::new(format!("{}\n", token.as_str())).as_bytes())?;
    let digest = Digest::from_bytes(token_digest(&token)).to_string();
    let object = json!({ "token": format!("sha256:{digest}") });
    context.output.either(&object, &[format!("token = \"sha256:{digest}\"")])?;
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
