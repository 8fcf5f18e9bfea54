//! COSE receipts (RFC 9942) for entries of a log, and transparent statements (RFC 9943): a signed entry that carries
//! its receipts in header 394.
//!
//! The registered statement is the log's entry: the signed object with an empty unprotected header, and its leaf is
//! `SHA-256(0x00 || entry)`. A receipt's header is that of every signed object (Rule R9) without a content type and with
//! the data structure: `{1: alg, 4: kid = full key hash, 15: {1: origin, 2: home genesis}, 395: 1}`. Its payload is the
//! detached root. A receipt signs neither size nor time: no verdict of Griptrace rests on one.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{
    cbor::{DecodeError, Reader, Writer, bad_field, decode_with},
    cose::{CWT_CLAIMS, CWT_ISSUER, CWT_SUBJECT, Object, SIGN1_TAG, signed_bytes},
    digest::Digest,
    id::{GenesisHash, KeyId},
    key::{Algorithm, PublicKey, Signer},
    limits::{NAME_BYTES_MAX, STATEMENT_BYTES_MAX},
    node::keyed,
    tlog_proof::Included,
    tree::{LeafIndex, ProofError, Rfc9162, TreeSize, root_from_path},
};

/// Header of a transparent statement's receipts (RFC 9942, 2).
const RECEIPTS: u64 = 394;
/// Headers of a receipt: the verifiable data structure, and the proofs in it.
const STRUCTURE: u64 = 395;
const PROOFS: u64 = 396;
/// The tree of RFC 9162 with SHA-256.
const RFC9162_SHA256: u64 = 1;
/// The proofs of inclusion.
const INCLUSION: i64 = -1;
/// Receipts that are read of one statement.
const RECEIPTS_MAX: usize = 16;
/// Hashes of an audit path.
const PATH_MAX: usize = 64;

/// A receipt, taken apart. Nothing in it is believed before [`Receipt::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The algorithm that the header names.
    pub algorithm: Algorithm,
    /// The full hash of the key that signed.
    pub key: KeyId,
    /// The log's origin.
    pub origin: String,
    /// The log's genesis: whom registered statements are for.
    pub home: GenesisHash,
    /// The size of the tree. Not signed.
    pub size: u64,
    /// The place of the entry. Not signed.
    pub index: u64,
    path: Vec<Digest>,
    protected: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a receipt was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReceiptError {
    /// It can't be read, or not in its one form.
    Decode(DecodeError),
    /// The path leads from no such entry.
    Proof(ProofError),
    /// The key is not the one that the header names.
    Key {
        /// The key that the header names.
        named: KeyId,
        /// The key that was tried.
        tried: KeyId,
    },
    /// The signature does not verify over the root that the path leads to.
    Signature,
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "receipt: {error}"),
            Self::Proof(error) => write!(f, "receipt: {error}"),
            Self::Key { named, tried } => write!(f, "receipt signed by key {named}, not by {tried}"),
            Self::Signature => f.write_str("the receipt's signature does not verify over the root of its path"),
        }
    }
}

impl core::error::Error for ReceiptError {}

/// Signs a receipt for an entry under a checkpoint that the same key signed.
///
/// It signs the root of a checkpoint and nothing else, so that it adds no history to a log (Rule R11).
pub fn sign(signer: &dyn Signer, home: &GenesisHash, included: &Included<'_>) -> Vec<u8> {
    let (key, origin) = (signer.public_key(), &included.checkpoint.origin);
    let head = Head { algorithm: key.algorithm(), key: key.id(), origin, home: *home };
    let mut protected = Writer::new();
    head.write(&mut protected);
    let protected = protected.into_bytes();
    let signature = signer.sign(&signed_bytes(&protected, included.checkpoint.root.as_bytes()));
    let mut proof = Writer::new();
    write_proof(&mut proof, included.checkpoint.size, included.index, &included.path);
    let mut out = Writer::new();
    write_receipt(&mut out, &protected, &proof.into_bytes(), &signature);
    out.into_bytes()
}

fn write_receipt(out: &mut Writer<'_>, protected: &[u8], proof: &[u8], signature: &[u8]) {
    out.tag(SIGN1_TAG).array(4).bytes(protected);
    out.map(1).uint(PROOFS).map(1).int(INCLUSION).array(1).bytes(proof);
    out.null().bytes(signature);
}

fn write_proof(out: &mut Writer<'_>, size: u64, index: u64, path: &[Digest]) {
    out.array(3).uint(size).uint(index).array(path.len());
    path.iter().for_each(|hash| out.bytes(hash.as_bytes()).end());
}

/// The protected header of a receipt.
struct Head<'a> {
    algorithm: Algorithm,
    key: KeyId,
    origin: &'a str,
    home: GenesisHash,
}

impl<'a> Head<'a> {
    fn write(&self, out: &mut Writer<'_>) {
        out.map(4).uint(1).int(self.algorithm.cose()).uint(4).bytes(self.key.as_bytes()).int(CWT_CLAIMS);
        out.map(2).int(CWT_ISSUER).text(self.origin).int(CWT_SUBJECT).text(&alloc::format!("{}", self.home));
        out.uint(STRUCTURE).uint(RFC9162_SHA256);
    }

    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let wrong = |why| bad_field("receipt's header", why);
        input.map("header of a receipt", 4)?;
        let algorithm = match keyed(input, 1, Reader::int)? {
            -8 => Algorithm::Ed25519,
            -7 => Algorithm::P256,
            _ => return Err(wrong("names no algorithm that a log signs with")),
        };
        let key = KeyId::new(keyed(input, 4, Reader::digest)?);
        keyed(input, 15, |i| i.map("claims", 2))?;
        let origin = keyed(input, 1, |i| i.text("bytes of an origin", NAME_BYTES_MAX))?;
        let home = keyed(input, 2, |i| i.text("digits of a genesis hash", 64))?;
        let home = GenesisHash::from_hex(home).ok_or(wrong("names no genesis"))?;
        if keyed(input, STRUCTURE, Reader::uint)? != RFC9162_SHA256 {
            return Err(wrong("names another data structure than the tree of RFC 9162"));
        }
        Ok(Self { algorithm, key, origin, home })
    }
}

impl Receipt {
    /// Takes a receipt apart, strictly, without checking anything.
    ///
    /// # Errors
    /// `Decode`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let write = |parts: &(&[u8], &[u8], &[u8]), out: &mut Writer<'_>| write_receipt(out, parts.0, parts.1, parts.2);
        let (protected, proof, signature) = decode_with(bytes, read_receipt, write).map_err(ReceiptError::Decode)?;
        let head = decode_with(protected, Head::read, Head::write).map_err(ReceiptError::Decode)?;
        let (size, index, path) = decode_with(proof, read_proof, |(size, index, path), out| {
            write_proof(out, *size, *index, path);
        })
        .map_err(ReceiptError::Decode)?;
        Ok(Self {
            algorithm: head.algorithm,
            key: head.key,
            origin: head.origin.into(),
            home: head.home,
            size,
            index,
            path,
            protected: protected.into(),
            signature: signature.into(),
        })
    }

    /// Checks that `key`, which must be the one that the header names, signed the root that the path leads to from `entry`.
    ///
    /// # Errors
    /// `Proof`, `Key`, `Signature`.
    pub fn verify(&self, entry: &[u8], key: &PublicKey) -> Result<(), ReceiptError> {
        let (index, size) = (LeafIndex::new(self.index), TreeSize::new(self.size));
        let root = root_from_path(&Rfc9162, index, size, &Rfc9162::leaf_hash(entry), &self.path);
        let root = root.map_err(ReceiptError::Proof)?;
        let tried = key.id();
        if tried != self.key || key.algorithm() != self.algorithm {
            return Err(ReceiptError::Key { named: self.key, tried });
        }
        key.verify(&signed_bytes(&self.protected, root.as_bytes()), &self.signature)
            .map_err(|_| ReceiptError::Signature)
    }
}

type Parts<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn read_receipt<'a>(input: &mut Reader<'a>) -> Result<Parts<'a>, DecodeError> {
    let bytes = |input: &mut Reader<'a>| input.bytes("bytes of a receipt", STATEMENT_BYTES_MAX);
    input.tag(SIGN1_TAG)?;
    input.tuple(4)?;
    let protected = bytes(input)?;
    input.map("unprotected header of a receipt", 1)?;
    let proof = keyed(input, PROOFS, |i| {
        i.map("proofs of a receipt", 1)?;
        if i.int()? != INCLUSION {
            return Err(bad_field("receipt", "holds another proof than one of inclusion"));
        }
        i.tuple(1)?;
        bytes(i)
    })?;
    // A receipt signs the root that its reader computes: one that brings its own is none.
    input.null()?;
    Ok((protected, proof, bytes(input)?))
}

fn read_proof(input: &mut Reader<'_>) -> Result<(u64, u64, Vec<Digest>), DecodeError> {
    input.tuple(3)?;
    Ok((input.uint()?, input.uint()?, input.list("hashes of an audit path", PATH_MAX, Reader::digest)?))
}

/// Puts receipts into the unprotected header of a signed entry: a transparent statement.
///
/// # Errors
/// A [`DecodeError`] if the entry is no signed object with an empty unprotected header, or there is no receipt.
pub fn transparent(entry: &[u8], receipts: &[Vec<u8>]) -> Result<Vec<u8>, DecodeError> {
    let object = decode_with(entry, Object::read, Object::write)?;
    some(receipts)?;
    let mut out = Writer::new();
    write_transparent(&mut out, &object, receipts);
    Ok(out.into_bytes())
}

fn some(receipts: &[Vec<u8>]) -> Result<(), DecodeError> {
    if receipts.is_empty() { Err(bad_field("transparent statement", "has no receipt")) } else { Ok(()) }
}

fn write_transparent(out: &mut Writer<'_>, object: &Object<'_>, receipts: &[Vec<u8>]) {
    out.tag(SIGN1_TAG).array(4).bytes(object.protected).map(1).uint(RECEIPTS).array(receipts.len());
    receipts.iter().for_each(|receipt| out.bytes(receipt).end());
    out.bytes(object.payload).bytes(object.signature);
}

/// Takes a transparent statement apart: the entry with its unprotected header emptied, and the receipts.
///
/// # Errors
/// A [`DecodeError`].
pub fn registered(statement: &[u8]) -> Result<(Vec<u8>, Vec<Vec<u8>>), DecodeError> {
    let (object, receipts) = decode_with(statement, read_transparent, |(object, receipts), out| {
        write_transparent(out, object, receipts);
    })?;
    let mut entry = Writer::new();
    object.write(&mut entry);
    Ok((entry.into_bytes(), receipts))
}

fn read_transparent<'a>(input: &mut Reader<'a>) -> Result<(Object<'a>, Vec<Vec<u8>>), DecodeError> {
    let bytes = |input: &mut Reader<'a>| input.bytes("bytes of a statement", STATEMENT_BYTES_MAX);
    input.tag(SIGN1_TAG)?;
    input.tuple(4)?;
    let protected = bytes(input)?;
    input.map("unprotected header", 1)?;
    let receipts = keyed(input, RECEIPTS, |i| i.list("receipts", RECEIPTS_MAX, |i| bytes(i).map(Vec::from)))?;
    some(&receipts)?;
    Ok((Object { protected, payload: bytes(input)?, signature: bytes(input)? }, receipts))
}

#[cfg(test)]
mod tests;
