//! Log entries: the genesis, commits, key changes and status heads (docs/spec/log.md).
//!
//! A commit's entry is its COSE_Sign1 as it is (first byte `0xd2`); the others are a CBOR array of
//! a number and its content (first byte `0x82`).

use alloc::{string::String, vec::Vec};

use crate::{
    cbor::{DecodeError, Reader, Record, Writer, bad_field, decode, encode, within},
    commit::{Commit, CommitError, StatusLine},
    digest::{Digest, GENESIS},
    id::{GenesisHash, KeyId},
    key::{Algorithm, PublicKey},
    key_change::{self, KeyChangeError, SignedKeyChange, key_line},
    limits::{ENTRY_BYTES_MAX, NAME_BYTES_MAX, REVOKERS_MAX, TREE_SIZE_MAX},
    node::{keyed, sorted},
    word::is_note_name,
};

/// The first entry of a log: what it is called and which key signs its checkpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genesis {
    /// The origin line of its checkpoints.
    pub origin: String,
    /// The Ed25519 key that signs its checkpoints.
    pub key: PublicKey,
    /// When the log was begun: Unix time in seconds.
    pub time: u64,
    /// Random, so that two logs of one origin and key differ.
    pub nonce: [u8; 16],
    /// Keys that may revoke the log's key should it be lost, sorted.
    pub revokers: Vec<KeyId>,
}

/// The last leaf under a checkpoint: the root of the status map and the operator's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusHead {
    /// The entry's own index.
    pub index: u64,
    /// The root of the status map over all entries before this one.
    pub map_root: Digest,
    /// The operator's time: Unix time in seconds.
    pub time: u64,
}

/// A log entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Leaf 0.
    Genesis(Genesis),
    /// A commit.
    Commit(Commit),
    /// A key change.
    KeyChange(SignedKeyChange),
    /// A status head.
    StatusHead(StatusHead),
}

/// Why an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryError {
    /// A genesis or status head.
    Decode(DecodeError),
    /// A commit.
    Commit(CommitError),
    /// A key change.
    KeyChange(KeyChangeError),
}

impl EntryError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Commit(error) => error.code(),
            Self::KeyChange(error) => error.code(),
        }
    }
}

impl core::fmt::Display for EntryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "log entry: {error}"),
            Self::Commit(error) => write!(f, "log entry: {error}"),
            Self::KeyChange(error) => write!(f, "log entry: {error}"),
        }
    }
}

impl core::error::Error for EntryError {}

const VERSION: u64 = 1;
const GENESIS_NUMBER: u64 = 0;
const STATUS_HEAD_NUMBER: u64 = 2;
/// The first byte of a tagged COSE_Sign1 (tag 18).
const COMMIT_FIRST_BYTE: u8 = 0xd2;

impl Record for Genesis {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(2).uint(GENESIS_NUMBER).map(6).uint(0).uint(VERSION).uint(1).text(&self.origin);
        out.uint(2).bytes(self.key.as_bytes()).uint(3).uint(self.time).uint(4).bytes(&self.nonce);
        out.uint(5).array(self.revokers.len());
        self.revokers.iter().for_each(|key| out.bytes(key.as_bytes()).end());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_head(input, GENESIS_NUMBER, 6)?;
        let origin = keyed(input, 1, |i| i.text("bytes of an origin", NAME_BYTES_MAX))?.into();
        let key = PublicKey::new(Algorithm::Ed25519, &keyed(input, 2, Reader::fixed::<32>)?)
            .map_err(|_| bad_field("genesis key", "is not an Ed25519 key"))?;
        Ok(Self {
            origin,
            key,
            time: keyed(input, 3, Reader::uint)?,
            nonce: keyed(input, 4, Reader::fixed)?,
            revokers: keyed(input, 5, |i| i.list("revokers", REVOKERS_MAX, |i| i.digest().map(KeyId::new)))?,
        })
    }
}

impl Record for StatusHead {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(2).uint(STATUS_HEAD_NUMBER).map(4).uint(0).uint(VERSION).uint(1).uint(self.index);
        out.uint(2).bytes(self.map_root.as_bytes()).uint(3).uint(self.time);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_head(input, STATUS_HEAD_NUMBER, 4)?;
        Ok(Self {
            index: keyed(input, 1, Reader::uint)?,
            map_root: keyed(input, 2, Reader::digest)?,
            time: keyed(input, 3, Reader::uint)?,
        })
    }
}

fn read_head(input: &mut Reader<'_>, number: u64, fields: usize) -> Result<(), DecodeError> {
    input.tuple(2)?;
    if input.uint()? != number || input.map("fields of an entry", fields)? != fields {
        return Err(bad_field("log entry", "is of no kind that was expected here"));
    }
    if keyed(input, 0, Reader::uint)? != VERSION {
        return Err(bad_field("log entry", "is of no version that this version knows"));
    }
    Ok(())
}

impl Genesis {
    /// Returns the entry's bytes.
    ///
    /// # Errors
    /// A [`DecodeError`] if a reader would refuse it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DecodeError> {
        self.check()?;
        Ok(encode(self))
    }

    fn check(&self) -> Result<(), DecodeError> {
        sorted("revokers", &self.revokers)?;
        if !is_note_name(&self.origin) {
            return Err(bad_field("origin", "is empty, too long, or has white space, control characters or `+`"));
        }
        Ok(())
    }
}

/// Returns the genesis hash of a log, over the bytes of its first entry.
pub fn genesis_hash(entry: &[u8]) -> GenesisHash {
    GenesisHash::new(GENESIS.hash(entry))
}

impl StatusHead {
    /// Returns the entry's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

impl Entry {
    /// Reads an entry strictly, without checking a signature.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        within("bytes of a log entry", bytes.len(), ENTRY_BYTES_MAX).map_err(EntryError::Decode)?;
        if bytes.first() == Some(&COMMIT_FIRST_BYTE) {
            return Commit::parse(bytes).map(Self::Commit).map_err(EntryError::Commit);
        }
        let mut input = Reader::new(bytes);
        let number = input.tuple(2).and_then(|()| input.uint()).map_err(EntryError::Decode)?;
        if number == key_change::NUMBER {
            return SignedKeyChange::parse(bytes).map(Self::KeyChange).map_err(EntryError::KeyChange);
        }
        Self::parse_own(number, bytes).map_err(EntryError::Decode)
    }

    /// Returns what the entry, whose bytes these are, adds to the status map, in that order.
    pub fn map_lines(&self, bytes: &[u8]) -> Vec<StatusLine> {
        match self {
            Self::Commit(commit) => commit.payload.statuses.clone(),
            Self::KeyChange(signed) => Vec::from([key_line(&signed.change, bytes)]),
            Self::Genesis(_) | Self::StatusHead(_) => Vec::new(),
        }
    }

    fn parse_own(number: u64, bytes: &[u8]) -> Result<Self, DecodeError> {
        match number {
            GENESIS_NUMBER => {
                let genesis: Genesis = decode(bytes)?;
                genesis.check()?;
                Ok(Self::Genesis(genesis))
            }
            STATUS_HEAD_NUMBER => {
                let head: StatusHead = decode(bytes)?;
                if head.index >= TREE_SIZE_MAX {
                    return Err(DecodeError::Limit {
                        what: "index of an entry",
                        limit: TREE_SIZE_MAX,
                        found: head.index,
                    });
                }
                Ok(Self::StatusHead(head))
            }
            _ => Err(bad_field("log entry", "is of no kind that this version knows")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{SecretKey, Signer as _};

    fn genesis() -> Genesis {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[5; 32]).unwrap().public_key();
        Genesis { origin: "log.example/2026".into(), key, time: 9, nonce: [1; 16], revokers: Vec::new() }
    }

    #[test]
    fn entries_read_back_as_written() {
        let bytes = genesis().to_bytes().unwrap();
        assert_eq!(Entry::parse(&bytes), Ok(Entry::Genesis(genesis())));
        let head = StatusHead { index: 4, map_root: Digest::ZERO, time: 11 };
        assert_eq!(Entry::parse(&head.to_bytes()), Ok(Entry::StatusHead(head)));
    }

    #[test]
    fn unknown_kinds_and_bad_origins_are_refused() {
        assert!(Entry::parse(&[0x82, 0x03, 0xa0]).is_err(), "number 3 is free");
        assert!(Entry::parse(&[]).is_err());
        assert!(Genesis { origin: "a b".into(), ..genesis() }.to_bytes().is_err());
        assert!(Genesis { origin: "a+b".into(), ..genesis() }.to_bytes().is_err());
    }
}
