//! Private keys in files: mode 0600, one line, encrypted with a passphrase if one is given.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    path::Path,
    sync::OnceLock,
};

use age::secrecy::SecretString;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    id::KeyId,
    key::{Algorithm, PublicKey, SecretKey, Signer as _},
    note::{Cosigner, KeyKind, NoteSigner},
};
use zeroize::Zeroizing;

use crate::{environment, error::CommandError};

/// What the one line of a key file begins with.
const MAGIC: &str = "griptrace-secret-key-v1";
/// What an age file begins with.
const AGE_MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// Bytes of the largest key file that is read.
const FILE_BYTES_MAX: u64 = 1 << 16;

/// A private key, as it stands in a file. Wiped from memory when dropped.
#[derive(Debug)]
pub(crate) struct PrivateKey {
    /// `None` for ML-DSA-44, with which nothing but a checkpoint is signed.
    algorithm: Option<Algorithm>,
    seed: Zeroizing<[u8; 32]>,
}

impl PrivateKey {
    /// Makes a new key from the system's randomness.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, CommandError> {
        let mut seed = Zeroizing::new([0; 32]);
        fill(seed.as_mut_slice())?;
        let key = Self { algorithm: Some(algorithm), seed };
        key.signer()?;
        Ok(key)
    }

    /// Makes a new ML-DSA-44 key from the system's randomness.
    pub(crate) fn generate_ml_dsa() -> Result<Self, CommandError> {
        let mut seed = Zeroizing::new([0; 32]);
        fill(seed.as_mut_slice())?;
        Ok(Self { algorithm: None, seed })
    }

    /// Returns what signs with this key.
    pub(crate) fn signer(&self) -> Result<SecretKey, CommandError> {
        let algorithm =
            self.algorithm.ok_or_else(|| CommandError::failed("an ML-DSA-44 key signs checkpoints only"))?;
        SecretKey::from_bytes(algorithm, &self.seed).map_err(|e| CommandError::because("the key is no key", e))
    }

    /// Returns what signs checkpoints of the log `origin` with this key.
    pub(crate) fn note_signer(&self, origin: &str) -> Result<NoteSigner, CommandError> {
        if self.algorithm != Some(Algorithm::Ed25519) {
            return Err(CommandError::failed("a log's key must be an Ed25519 key"));
        }
        NoteSigner::new(origin, &self.seed)
            .map_err(|e| CommandError::because(format!("{origin:?} can't name a log"), e))
    }

    /// Returns what cosigns checkpoints in the name of a witness with this key.
    pub(crate) fn cosigner(&self, name: &str, kind: KeyKind) -> Result<Cosigner, CommandError> {
        let made = match (kind, self.algorithm) {
            (KeyKind::CosignatureV1, Some(Algorithm::Ed25519)) => Cosigner::new(name, &self.seed),
            (KeyKind::StatusMapV1, Some(Algorithm::Ed25519)) => Cosigner::status_map(name, &self.seed),
            (KeyKind::SubtreeV1, None) => Cosigner::subtree(name, &self.seed),
            _ => {
                return Err(CommandError::failed(format!(
                    "a key of this algorithm can't be a cosigner's {kind:?} key"
                )));
            }
        };
        made.map_err(|e| CommandError::because(format!("{name:?} can't name a witness"), e))
    }

    /// Returns the public half.
    pub(crate) fn public(&self) -> Result<PublicKey, CommandError> {
        Ok(self.signer()?.public_key())
    }

    fn to_line(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD.encode(self.seed.as_slice()));
        Zeroizing::new(format!("{MAGIC} {} {}\n", algorithm_word(self.algorithm), encoded.as_str()))
    }

    fn from_line(text: &str) -> Option<Self> {
        let mut words = text.trim_end().split(' ');
        let algorithm = (words.next()? == MAGIC).then(|| words.next())??;
        let known = [Some(Algorithm::Ed25519), Some(Algorithm::P256), None];
        let algorithm = known.into_iter().find(|a| algorithm_word(*a) == algorithm)?;
        let bytes = Zeroizing::new(STANDARD.decode(words.next()?).ok()?);
        let seed = Zeroizing::new(bytes.as_slice().try_into().ok()?);
        words.next().is_none().then_some(Self { algorithm, seed })
    }
}

const fn algorithm_word(algorithm: Option<Algorithm>) -> &'static str {
    match algorithm {
        Some(Algorithm::Ed25519) => "ed25519",
        Some(Algorithm::P256) => "p256",
        None => "ml-dsa-44",
    }
}

/// Fills `bytes` from the system's randomness.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), CommandError> {
    getrandom::fill(bytes).map_err(|e| CommandError::failed(format!("the system gives no randomness: {e}")))
}

/// Writes a new key file that only its owner can read. Never replaces a file.
pub(crate) fn write(path: &Path, key: &PrivateKey, passphrase: Option<&str>) -> Result<(), CommandError> {
    let line = key.to_line();
    let bytes = match passphrase {
        Some(passphrase) => encrypt(line.as_bytes(), passphrase)?,
        None => Zeroizing::new(line.as_bytes().to_vec()),
    };
    write_secret(path, &bytes)
}

/// Writes a new file that only its owner can read. Never replaces a file.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    // Its name too, before anything is signed with it: a log whose key the power took ends there.
    let written = written.and_then(|()| sync_folder_of(path));
    written.map_err(|e| {
        let hint = match e.kind() {
            io::ErrorKind::NotFound => Some("the folder that it is to lie in is not there; make it first"),
            io::ErrorKind::AlreadyExists => {
                Some("a key file is never replaced; choose another name or move the old file away")
            }
            _ => None,
        };
        let error = CommandError::file("write the key file", path, e);
        hint.into_iter().fold(error, CommandError::with_hint)
    })
}

/// Makes the name of a file durable.
#[cfg(unix)]
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Makes the name of a file durable, as far as the system lets anybody do that.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "where folders can be opened, this may fail")]
pub(crate) fn sync_folder_of(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Copies a key file as it stands, encrypted or not, into a new file that only its owner can read. Never replaces a file.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), CommandError> {
    let file = File::open(from);
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file.and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|e| CommandError::file("read the key file", from, e))?;
    write_secret(to, &bytes)
}

/// Reads a key file, which nobody else may be able to read.
pub(crate) fn read(path: &Path) -> Result<PrivateKey, CommandError> {
    let wrong = |e| CommandError::file("read the key file", path, e);
    let file = File::open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    if metadata.is_dir() {
        return Err(CommandError::failed(format!("{} is a folder, not a key file", path.display())));
    }
    check_mode(path, &metadata)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(wrong)?;
    let bytes = if bytes.starts_with(AGE_MAGIC) { decrypt(path, &bytes)? } else { bytes };
    core::str::from_utf8(&bytes).ok().and_then(PrivateKey::from_line).ok_or_else(|| {
        CommandError::failed(format!("{} is no key file", path.display())).with_hint(format!(
            "a key file is one line, `{MAGIC} ed25519 BASE64`, or that encrypted by age; `griptrace key new` makes one"
        ))
    })
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), CommandError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode.trailing_zeros() >= 6 {
        return Ok(());
    }
    let path = path.display();
    Err(CommandError::failed(format!("others can read the key file {path}: its mode is {mode:04o}, not 0600"))
        .with_hint(format!("chmod 600 {path}")))
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), CommandError> {
    Ok(())
}

fn encrypt(line: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
    let bytes = age::encrypt(&recipient, line).map_err(|e| CommandError::because("cannot encrypt the key", e))?;
    Ok(Zeroizing::new(bytes))
}

fn decrypt(path: &Path, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let passphrase = passphrase(&format!("of {}", path.display()))?;
    let identity = age::scrypt::Identity::new(SecretString::from(passphrase.as_str().to_owned()));
    let line = age::decrypt(&identity, bytes).map_err(|e| {
        CommandError::because(format!("cannot decrypt the key file {}", path.display()), e)
            .with_hint("is GRIPTRACE_PASSPHRASE the passphrase of this key?")
    })?;
    Ok(Zeroizing::new(line))
}

/// The line of stdin, which can be read once only, for all keys of a run.
static FROM_STDIN: OnceLock<Zeroizing<String>> = OnceLock::new();

/// Returns the passphrase: that of the environment, or a line of stdin if it is no terminal.
pub(crate) fn passphrase(what: &str) -> Result<Zeroizing<String>, CommandError> {
    if let Some(passphrase) = environment::passphrase().or_else(|| FROM_STDIN.get().cloned()) {
        return Ok(passphrase);
    }
    let mut line = Zeroizing::new(String::new());
    if !io::stdin().is_terminal() {
        io::stdin().lock().read_line(&mut line)?;
    }
    let passphrase = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if passphrase.is_empty() {
        return Err(CommandError::failed(format!("the passphrase {what} is missing"))
            .with_hint("set GRIPTRACE_PASSPHRASE, or write the passphrase to the program's standard input"));
    }
    Ok(FROM_STDIN.get_or_init(|| passphrase).clone())
}

/// Returns a key's fingerprint in groups, for reading on the phone.
pub(crate) fn fingerprint(id: &KeyId) -> String {
    let text = id.to_string();
    let groups: Vec<&str> = text.as_bytes().chunks(4).filter_map(|group| core::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let path = dir.path().join(algorithm_word(Some(algorithm)));
            let key = PrivateKey::generate(algorithm).unwrap();
            write(&path, &key, None).unwrap();
            assert_eq!(read(&path).unwrap().public().unwrap(), key.public().unwrap());
            assert!(write(&path, &key, None).is_err(), "a key file is never replaced");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused_with_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        write(&path, &PrivateKey::generate(Algorithm::Ed25519).unwrap(), None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let lines = read(&path).unwrap_err().lines();
            assert!(lines[0].ends_with(&format!("its mode is {mode:04o}, not 0600")), "{lines:?}");
            assert!(lines.last().unwrap().starts_with("hint: chmod 600 "), "{lines:?}");
        }
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let line = b"some line\n";
        let sealed = encrypt(line, "correct horse").unwrap();
        assert!(sealed.starts_with(AGE_MAGIC));
        let open = |passphrase: &str| {
            age::decrypt(&age::scrypt::Identity::new(SecretString::from(passphrase.to_owned())), &sealed)
        };
        assert_eq!(open("correct horse").unwrap(), line);
        assert!(open("another").is_err());
    }

    #[test]
    fn lines_of_another_form_are_refused() {
        for text in
            ["", "griptrace-secret-key-v1", "griptrace-secret-key-v2 ed25519 AAAA", "griptrace-secret-key-v1 rsa AAAA"]
        {
            assert!(PrivateKey::from_line(text).is_none(), "{text:?}");
        }
    }
}
