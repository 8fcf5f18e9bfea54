//! Commits: one signature over a set of nodes.

use alloc::{string::String, vec::Vec};

use crate::{
    cbor::{DecodeError, Reader, Record, Writer, bad_field, decode, encode},
    cose::{COMMIT_TYPE, CoseError, Signed, sign},
    digest::{COMMIT_TREE, Digest},
    id::{GenesisHash, KeyId, NodeId, StatusKey},
    key::{PublicKey, Signer},
    limits::{COMMIT_NODES_MAX, STATUS_LINES_MAX},
    node::{keyed, sorted},
    tree,
};

/// The public trace of one Status node: which key of the status map it adds to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StatusLine {
    /// The key of the status map.
    pub key: StatusKey,
    /// The Status node.
    pub status: NodeId,
}

/// What a committer signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitPayload {
    /// The log that the commit is for (Rule R5).
    pub home: GenesisHash,
    /// The root over the sorted ids of the commit's nodes.
    pub root: Digest,
    /// How many nodes there are.
    pub count: u64,
    /// When, as the committer says: Unix time in seconds.
    pub time: u64,
    /// A line for each Status node in the commit, sorted.
    pub statuses: Vec<StatusLine>,
}

/// The format version of the payload.
const VERSION: u64 = 1;

impl Record for CommitPayload {
    fn write(&self, out: &mut Writer<'_>) {
        out.map(6).uint(0).uint(VERSION).uint(1).bytes(self.home.as_bytes());
        out.uint(2).bytes(self.root.as_bytes()).uint(3).uint(self.count).uint(4).uint(self.time);
        out.uint(5).array(self.statuses.len());
        for line in &self.statuses {
            out.array(2).bytes(line.key.as_bytes()).bytes(line.status.as_bytes());
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.map("fields of a commit", 6)? != 6 || keyed(input, 0, Reader::uint)? != VERSION {
            return Err(bad_field("commit", "is of no version that this version knows"));
        }
        Ok(Self {
            home: GenesisHash::new(keyed(input, 1, Reader::digest)?),
            root: keyed(input, 2, Reader::digest)?,
            count: keyed(input, 3, Reader::uint)?,
            time: keyed(input, 4, Reader::uint)?,
            statuses: keyed(input, 5, |i| i.list("status lines of a commit", STATUS_LINES_MAX, read_line))?,
        })
    }
}

fn read_line(input: &mut Reader<'_>) -> Result<StatusLine, DecodeError> {
    input.tuple(2)?;
    Ok(StatusLine { key: StatusKey::new(input.digest()?), status: NodeId::new(input.digest()?) })
}

impl CommitPayload {
    /// Makes the payload over a set of nodes, which are sorted here.
    ///
    /// # Errors
    /// A [`DecodeError`] for no node, too many, one twice, or too many status lines.
    pub fn over(
        home: GenesisHash,
        ids: &mut [NodeId],
        time: u64,
        mut statuses: Vec<StatusLine>,
    ) -> Result<Self, DecodeError> {
        ids.sort_unstable();
        sorted("nodes of a commit", ids)?;
        statuses.sort_unstable();
        let leaves: Vec<Digest> = ids.iter().map(|id| *id.digest()).collect();
        let root = tree::root(&COMMIT_TREE, &leaves).ok_or(bad_field("commit", "has no node"))?;
        let payload = Self { home, root, count: crate::cbor::wide(ids.len()), time, statuses };
        payload.check()?;
        Ok(payload)
    }

    fn check(&self) -> Result<(), DecodeError> {
        sorted("status lines of a commit", &self.statuses)?;
        let keys: Vec<StatusKey> = self.statuses.iter().map(|line| line.key).collect();
        // Two marks on one node in one commit would have no order but that of their random ids.
        sorted("keys of a commit's status lines", &keys)?;
        crate::cbor::within("status lines of a commit", self.statuses.len(), STATUS_LINES_MAX)?;
        let limit = crate::cbor::wide(COMMIT_NODES_MAX);
        if self.count == 0 {
            return Err(bad_field("commit", "has no node"));
        }
        if self.count > limit {
            return Err(DecodeError::Limit { what: "nodes of a commit", limit, found: self.count });
        }
        if self.count < crate::cbor::wide(self.statuses.len()) {
            return Err(bad_field("status lines of a commit", "are more than its nodes"));
        }
        Ok(())
    }
}

/// A commit, taken apart. Nothing in it is believed before [`Commit::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// What was signed.
    pub payload: CommitPayload,
    signed: Signed,
}

/// Why a commit was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitError {
    /// The signed object.
    Cose(CoseError),
    /// The payload.
    Payload(DecodeError),
    /// Header and payload name different logs.
    Home {
        /// The log in the header.
        header: GenesisHash,
        /// The log in the payload.
        payload: GenesisHash,
    },
}

impl CommitError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cose(error) => error.code(),
            Self::Payload(error) => error.code(),
            Self::Home { .. } => "commit-home-mismatch",
        }
    }
}

impl core::fmt::Display for CommitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Cose(error) => write!(f, "commit: {error}"),
            Self::Payload(error) => write!(f, "commit payload: {error}"),
            Self::Home { header, payload } => write!(f, "commit header names log {header}, its payload {payload}"),
        }
    }
}

impl core::error::Error for CommitError {}

impl Commit {
    /// Signs a payload and returns the entry's bytes.
    ///
    /// # Errors
    /// [`CommitError`] if a reader would refuse it.
    pub fn sign(payload: &CommitPayload, signer: &dyn Signer, issuer: &str) -> Result<Vec<u8>, CommitError> {
        payload.check().map_err(CommitError::Payload)?;
        sign(signer, COMMIT_TYPE, issuer, &payload.home, encode(payload)).map_err(CommitError::Cose)
    }

    /// Takes a commit entry apart, strictly, without checking its signature.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn parse(entry: &[u8]) -> Result<Self, CommitError> {
        let signed = Signed::parse(entry, COMMIT_TYPE).map_err(CommitError::Cose)?;
        let payload: CommitPayload = decode(&signed.payload).map_err(CommitError::Payload)?;
        payload.check().map_err(CommitError::Payload)?;
        if signed.home != payload.home {
            return Err(CommitError::Home { header: signed.home, payload: payload.home });
        }
        Ok(Self { payload, signed })
    }

    /// Checks the committer's signature.
    ///
    /// # Errors
    /// `Cose` with `Key` or `Signature`.
    pub fn verify(&self, key: &PublicKey) -> Result<(), CommitError> {
        self.signed.verify(key).map_err(CommitError::Cose)
    }

    /// Returns the full hash of the key that the header names.
    pub const fn key(&self) -> KeyId {
        self.signed.key
    }

    /// Returns who the committer says to be.
    pub const fn issuer(&self) -> &String {
        &self.signed.issuer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Algorithm, SecretKey};

    #[test]
    fn a_commit_reads_back_and_binds_its_nodes() {
        let key = SecretKey::from_bytes(Algorithm::P256, &[5; 32]).unwrap();
        let home = GenesisHash::new(Digest::from_bytes([1; 32]));
        let mut ids: Vec<NodeId> = (0..5).rev().map(|i| NodeId::new(Digest::from_bytes([i; 32]))).collect();
        let payload = CommitPayload::over(home, &mut ids, 7, Vec::new()).unwrap();
        let bytes = Commit::sign(&payload, &key, "Maker").unwrap();
        let commit = Commit::parse(&bytes).unwrap();
        assert_eq!(commit.payload, payload);
        assert_eq!(commit.verify(&key.public_key()), Ok(()));
        let fewer = CommitPayload::over(home, &mut ids[..4], 7, Vec::new()).unwrap();
        assert_ne!(fewer.root, payload.root);
        assert!(CommitPayload::over(home, &mut [ids[0], ids[0]], 7, Vec::new()).is_err());
        assert!(CommitPayload::over(home, &mut [], 7, Vec::new()).is_err());
    }
}
