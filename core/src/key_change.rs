//! Key changes: log entries that retire a key (docs/spec/log.md).
//!
//! A *rotation* is signed by the key that retires and by the one that follows it. A *revocation* is signed by a key that
//! the genesis names to revoke others, and by the successor where there is one. What a change says of a key is in the
//! status map under a key of its own, so that a retirement can't be left out of a bundle.

use alloc::{string::String, vec::Vec};

use crate::{
    cbor::{DecodeError, Next, Reader, Record, Writer, bad_field, decode, encode},
    commit::StatusLine,
    cose::{CoseError, KEY_CHANGE_TYPE, Signed, sign},
    digest::{KEY_CHANGE, KEY_STATUS},
    id::{GenesisHash, KeyId, NodeId, StatusKey},
    key::{Algorithm, PublicKey, Signer},
    limits::STATEMENT_BYTES_MAX,
    node::keyed,
};

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyUse {
    /// It signs the log's checkpoints.
    Log,
    /// It signs commits.
    Committer,
}

/// What is signed when a key retires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChange {
    /// The log that the change is for.
    pub home: GenesisHash,
    /// What the key is for.
    pub of: KeyUse,
    /// The key that retires.
    pub retired: PublicKey,
    /// The key that follows it. A log always has one.
    pub successor: Option<PublicKey>,
    /// The key that signs in the retired one's place, if that was lost or stolen.
    pub revoker: Option<PublicKey>,
    /// Of a revoked committer's key: the leaf index from which on its commits do not count.
    pub since: Option<u64>,
    /// When, as those who sign say: Unix time in seconds.
    pub time: u64,
}

/// A key change with its signatures, taken apart. Nothing in it is believed before [`SignedKeyChange::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedKeyChange {
    /// What was signed.
    pub change: KeyChange,
    statements: Vec<Vec<u8>>,
}

/// Why a key change was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChangeError {
    /// The entry or its payload.
    Decode(DecodeError),
    /// A signature, or the object around it.
    Cose(CoseError),
    /// A signature is by another key than the change asks for there.
    Signer {
        /// The key that has to sign.
        expected: KeyId,
        /// The key that is named.
        found: KeyId,
    },
}

impl KeyChangeError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Cose(error) => error.code(),
            Self::Signer { .. } => "key-change-signer",
        }
    }
}

impl core::fmt::Display for KeyChangeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "key change: {error}"),
            Self::Cose(error) => write!(f, "key change: {error}"),
            Self::Signer { expected, found } => {
                write!(f, "key change: signed by key {found}, and {expected} has to sign there")
            }
        }
    }
}

impl core::error::Error for KeyChangeError {}

impl From<DecodeError> for KeyChangeError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<CoseError> for KeyChangeError {
    fn from(error: CoseError) -> Self {
        Self::Cose(error)
    }
}

const VERSION: u64 = 1;
/// The number of a key change among entries.
pub(crate) const NUMBER: u64 = 1;
/// Who signs at most: the retired key or the revoker, and the successor.
const SIGNERS_MAX: usize = 2;

impl KeyUse {
    const fn number(self) -> u64 {
        match self {
            Self::Log => 0,
            Self::Committer => 1,
        }
    }

    fn from_number(number: u64) -> Result<Self, DecodeError> {
        match number {
            0 => Ok(Self::Log),
            1 => Ok(Self::Committer),
            _ => Err(bad_field("key change", "is of a key for nothing that this version knows")),
        }
    }

    /// Returns the word for reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Committer => "committer",
        }
    }
}

fn write_key(out: &mut Writer<'_>, key: &PublicKey) {
    out.array(2).int(key.algorithm().cose()).bytes(key.as_bytes());
}

fn read_key(input: &mut Reader<'_>) -> Result<PublicKey, DecodeError> {
    input.tuple(2)?;
    let algorithm = match input.int()? {
        -8 => Algorithm::Ed25519,
        -7 => Algorithm::P256,
        _ => return Err(bad_field("key", "is of an algorithm that this version does not know")),
    };
    PublicKey::new(algorithm, input.bytes("bytes of a key", 64)?).map_err(|_| bad_field("key", "is not a public key"))
}

fn write_optional<T>(out: &mut Writer<'_>, value: Option<&T>, write: impl FnOnce(&mut Writer<'_>, &T)) {
    match value {
        Some(value) => write(out, value),
        None => out.null().end(),
    }
}

fn read_optional<'a, T>(
    input: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if input.next()? == Next::Null { input.null().map(|()| None) } else { read(input).map(Some) }
}

impl Record for KeyChange {
    fn write(&self, out: &mut Writer<'_>) {
        out.map(8).uint(0).uint(VERSION).uint(1).bytes(self.home.as_bytes()).uint(2).uint(self.of.number());
        write_key(out.uint(3), &self.retired);
        write_optional(out.uint(4), self.successor.as_ref(), write_key);
        write_optional(out.uint(5), self.revoker.as_ref(), write_key);
        write_optional(out.uint(6), self.since.as_ref(), |out, since| out.uint(*since).end());
        out.uint(7).uint(self.time);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.map("fields of a key change", 8)? != 8 || keyed(input, 0, Reader::uint)? != VERSION {
            return Err(bad_field("key change", "is of no version that this version knows"));
        }
        Ok(Self {
            home: GenesisHash::new(keyed(input, 1, Reader::digest)?),
            of: KeyUse::from_number(keyed(input, 2, Reader::uint)?)?,
            retired: keyed(input, 3, read_key)?,
            successor: keyed(input, 4, |i| read_optional(i, read_key))?,
            revoker: keyed(input, 5, |i| read_optional(i, read_key))?,
            since: keyed(input, 6, |i| read_optional(i, Reader::uint))?,
            time: keyed(input, 7, Reader::uint)?,
        })
    }
}

impl KeyChange {
    fn check(&self) -> Result<(), DecodeError> {
        let keys = [Some(&self.retired), self.successor.as_ref(), self.revoker.as_ref()];
        let keys: Vec<&PublicKey> = keys.into_iter().flatten().collect();
        if keys.iter().enumerate().any(|(at, key)| keys.iter().skip(at.saturating_add(1)).any(|other| other == key)) {
            return Err(bad_field("key change", "names one key in two places"));
        }
        match (self.of, &self.revoker, self.since) {
            (KeyUse::Committer, Some(_), Some(_)) => Ok(()),
            (KeyUse::Committer, Some(_), None) => {
                Err(bad_field("key change", "revokes a committer's key and does not say since when"))
            }
            (KeyUse::Log, _, Some(_)) | (_, None, Some(_)) => {
                Err(bad_field("key change", "says since when, and revokes no committer's key"))
            }
            (KeyUse::Log, ..) if keys.iter().take(2).any(|key| key.algorithm() != Algorithm::Ed25519) => {
                Err(bad_field("key change", "gives a log a key that is not Ed25519"))
            }
            (KeyUse::Log | KeyUse::Committer, ..) if self.successor.is_none() => {
                Err(bad_field("key change", "has no successor, which only a revoked committer's key may lack"))
            }
            (KeyUse::Log | KeyUse::Committer, ..) => Ok(()),
        }
    }

    /// Returns the keys that have to sign, in their order.
    pub fn signers(&self) -> impl Iterator<Item = &PublicKey> {
        [Some(self.revoker.as_ref().unwrap_or(&self.retired)), self.successor.as_ref()].into_iter().flatten()
    }

    /// Signs the change and returns the entry's bytes. `signers` stand in the order of [`KeyChange::signers`].
    ///
    /// # Errors
    /// `Decode` if a reader would refuse it, `Signer` for another key than has to sign.
    pub fn sign(&self, signers: &[&dyn Signer], issuer: &str) -> Result<Vec<u8>, KeyChangeError> {
        self.check()?;
        let payload = encode(self);
        let mut statements = Vec::new();
        for signer in signers {
            statements.push(sign(*signer, KEY_CHANGE_TYPE, issuer, &self.home, payload.clone())?);
        }
        let entry = encode(&Statements(statements));
        SignedKeyChange::parse(&entry)?.verify()?;
        Ok(entry)
    }
}

/// The signed objects of an entry.
struct Statements(Vec<Vec<u8>>);

impl Record for Statements {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(2).uint(NUMBER).array(self.0.len());
        self.0.iter().for_each(|statement| out.bytes(statement).end());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(2)?;
        if input.uint()? != NUMBER {
            return Err(bad_field("log entry", "is not a key change"));
        }
        let statement = |i: &mut Reader<'_>| i.bytes("bytes of a signed object", STATEMENT_BYTES_MAX).map(Vec::from);
        Ok(Self(input.list("signatures of a key change", SIGNERS_MAX, statement)?))
    }
}

impl SignedKeyChange {
    /// Takes an entry apart, strictly, without checking its signatures.
    ///
    /// # Errors
    /// [`KeyChangeError`].
    pub fn parse(entry: &[u8]) -> Result<Self, KeyChangeError> {
        let Statements(statements) = decode(entry)?;
        let first = statements.first().ok_or(bad_field("key change", "is signed by nobody"))?;
        let payload = Signed::parse(first, KEY_CHANGE_TYPE)?.payload;
        let change: KeyChange = decode(&payload)?;
        change.check()?;
        let signed = Self { change, statements };
        if signed.change.signers().count() != signed.statements.len() {
            return Err(bad_field("key change", "has more or fewer signatures than it asks for").into());
        }
        for (key, statement) in signed.change.signers().zip(&signed.statements) {
            let statement = Signed::parse(statement, KEY_CHANGE_TYPE)?;
            if statement.payload != payload || statement.home != signed.change.home {
                return Err(bad_field("key change", "is signed twice, and not with the same words").into());
            }
            if statement.key != key.id() {
                return Err(KeyChangeError::Signer { expected: key.id(), found: statement.key });
            }
        }
        Ok(signed)
    }

    /// Checks every signature. Whether the revoker may revoke, and whether the change has any effect in its place of the
    /// log, [`KeyHistory`](crate::key_history::KeyHistory) tells.
    ///
    /// # Errors
    /// `Cose` with `Signature`.
    pub fn verify(&self) -> Result<(), KeyChangeError> {
        for (key, statement) in self.change.signers().zip(&self.statements) {
            Signed::parse(statement, KEY_CHANGE_TYPE)?.verify(key)?;
        }
        Ok(())
    }

    /// Returns who the signers say to be, in their order.
    pub fn issuers(&self) -> impl Iterator<Item = String> {
        self.statements.iter().filter_map(|statement| Some(Signed::parse(statement, KEY_CHANGE_TYPE).ok()?.issuer))
    }
}

/// Returns the key of the status map under which stands what was done to a public key.
pub fn key_status(key: &KeyId) -> StatusKey {
    StatusKey::new(KEY_STATUS.hash(key.as_bytes()))
}

/// Returns the line that a key change adds to the status map: in a status' place stands the digest of the entry.
pub fn key_line(change: &KeyChange, entry: &[u8]) -> StatusLine {
    StatusLine { key: key_status(&change.retired.id()), status: NodeId::new(KEY_CHANGE.hash(entry)) }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{digest::Digest, key::SecretKey};

    fn key(algorithm: Algorithm, seed: u8) -> SecretKey {
        SecretKey::from_bytes(algorithm, &[seed; 32]).unwrap()
    }

    fn rotation(old: &SecretKey, new: &SecretKey) -> KeyChange {
        KeyChange {
            home: GenesisHash::new(Digest::from_bytes([7; 32])),
            of: KeyUse::Committer,
            retired: old.public_key(),
            successor: Some(new.public_key()),
            revoker: None,
            since: None,
            time: 9,
        }
    }

    #[test]
    fn a_rotation_is_signed_by_both_keys_and_reads_back() {
        let (old, new) = (key(Algorithm::P256, 1), key(Algorithm::Ed25519, 2));
        let change = rotation(&old, &new);
        let entry = change.sign(&[&old, &new], "Maker").unwrap();
        let read = SignedKeyChange::parse(&entry).unwrap();
        assert_eq!((&read.change, read.verify()), (&change, Ok(())));
        assert_eq!(read.issuers().collect::<Vec<_>>(), ["Maker", "Maker"]);
        // Neither alone, nor in the other order, nor by somebody else.
        let thief = key(Algorithm::Ed25519, 3);
        for signers in [vec![&old], vec![&new], vec![&new, &old], vec![&old, &thief], vec![&thief, &new], vec![]] {
            let mut borrowed: Vec<&dyn Signer> = Vec::new();
            for signer in signers {
                borrowed.push(signer);
            }
            assert!(change.sign(&borrowed, "Maker").is_err());
        }
    }

    #[test]
    fn no_changed_byte_of_an_entry_verifies() {
        let (old, new) = (key(Algorithm::Ed25519, 1), key(Algorithm::Ed25519, 2));
        let entry = rotation(&old, &new).sign(&[&old, &new], "Maker").unwrap();
        for at in 0..entry.len() {
            for bit in 0..8 {
                let mut other = entry.clone();
                other[at] ^= 1 << bit;
                let read = SignedKeyChange::parse(&other).and_then(|read| read.verify());
                assert!(read.is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let (old, new, guard) = (key(Algorithm::Ed25519, 1), key(Algorithm::P256, 2), key(Algorithm::Ed25519, 3));
        let good = rotation(&old, &new);
        let refused =
            |change: KeyChange| assert!(matches!(change.check(), Err(DecodeError::Field { .. })), "{change:?}");
        refused(KeyChange { successor: None, ..good.clone() });
        refused(KeyChange { successor: Some(old.public_key()), ..good.clone() });
        refused(KeyChange { since: Some(4), ..good.clone() });
        refused(KeyChange { of: KeyUse::Log, ..good.clone() });
        let revoked = KeyChange { revoker: Some(guard.public_key()), since: Some(4), ..good };
        assert_eq!(revoked.check(), Ok(()));
        assert_eq!(KeyChange { successor: None, ..revoked.clone() }.check(), Ok(()));
        refused(KeyChange { since: None, ..revoked.clone() });
        refused(KeyChange { revoker: Some(old.public_key()), ..revoked.clone() });
        refused(KeyChange { of: KeyUse::Log, successor: Some(key(Algorithm::Ed25519, 4).public_key()), ..revoked });
    }
}
