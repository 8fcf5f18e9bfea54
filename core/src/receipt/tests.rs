use alloc::{vec, vec::Vec};

use coset::{CoseSign1, TaggedCborSerializable, cbor::value::Value};

use super::*;
use crate::{
    checkpoint::Checkpoint,
    cose::{COMMIT_TYPE, sign as sign_object},
    key::SecretKey,
    note::{Note, NoteSigner},
    tree::prove_leaves,
};

/// A log of seven entries, the fifth of them signed, and its receipt.
struct Log {
    key: SecretKey,
    entry: Vec<u8>,
    receipt: Vec<u8>,
}

fn home() -> GenesisHash {
    GenesisHash::new(Digest::from_bytes([3; 32]))
}

fn log() -> Log {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap();
    let committer = SecretKey::from_bytes(Algorithm::P256, &[9; 32]).unwrap();
    let entry = sign_object(&committer, COMMIT_TYPE, "Maker", &home(), b"payload".to_vec()).unwrap();
    let mut entries: Vec<Vec<u8>> = (0..7).map(|i| vec![i]).collect();
    entries[4].clone_from(&entry);
    let leaves: Vec<Digest> = entries.iter().map(|entry| Rfc9162::leaf_hash(entry)).collect();
    let root = crate::tree::root(&Rfc9162, &leaves).unwrap();
    let text = Checkpoint::new("log.example", 7, root).unwrap().to_text();
    let signer = NoteSigner::new("log.example", &[1; 32]).unwrap();
    let note = Note::new(&text, vec![signer.sign(&text)]).unwrap().to_text();
    let path = prove_leaves(&Rfc9162, &leaves, &[4]).unwrap();
    let receipt = sign(&key, &home(), &Included::new(&entry, 4, path, &note).unwrap());
    Log { key, entry, receipt }
}

#[test]
fn a_receipt_verifies_for_its_entry_and_key_alone() {
    let log = log();
    let receipt = Receipt::parse(&log.receipt).unwrap();
    assert_eq!((receipt.origin.as_str(), receipt.home, receipt.size, receipt.index), ("log.example", home(), 7, 4));
    assert_eq!(receipt.verify(&log.entry, &log.key.public_key()), Ok(()));
    assert_eq!(receipt.verify(b"another", &log.key.public_key()), Err(ReceiptError::Signature));
    let other = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap().public_key();
    assert!(matches!(receipt.verify(&log.entry, &other), Err(ReceiptError::Key { .. })));
}

#[test]
fn no_flipped_bit_and_no_cut_is_accepted() {
    let log = log();
    for at in 0..log.receipt.len() {
        for bit in 0..8 {
            let mut flipped = log.receipt.clone();
            flipped[at] ^= 1 << bit;
            let receipt = Receipt::parse(&flipped);
            let accepted = receipt.is_ok_and(|receipt| receipt.verify(&log.entry, &log.key.public_key()).is_ok());
            assert!(!accepted, "bit {bit} of byte {at}");
        }
        assert!(Receipt::parse(&log.receipt[..at]).is_err(), "cut at {at}");
    }
}

/// RFC 9942 signs the root alone: leaf 4 has a path of as many hashes in a tree of 8. The tlog-proof says the size.
#[test]
fn the_size_is_not_signed() {
    let log = log();
    let receipt = Receipt::parse(&log.receipt).unwrap();
    let verifies = |size| Receipt { size, ..receipt.clone() }.verify(&log.entry, &log.key.public_key()).is_ok();
    assert!(verifies(7) && verifies(8));
    assert!(!verifies(4) && !verifies(5) && !verifies(6) && !verifies(9));
}

/// COSE's own reader and structure of what is signed are the oracle.
#[test]
fn a_receipt_is_what_coset_reads_and_signs() {
    let log = log();
    let object = CoseSign1::from_tagged_slice(&log.receipt).unwrap();
    assert_eq!(object.payload, None);
    let receipt = Receipt::parse(&log.receipt).unwrap();
    let root =
        root_from_path(&Rfc9162, LeafIndex::new(4), TreeSize::new(7), &Rfc9162::leaf_hash(&log.entry), &receipt.path);
    let key = log.key.public_key();
    object
        .verify_detached_signature(root.unwrap().as_bytes(), &[], |signature, bytes| key.verify(bytes, signature))
        .unwrap();
    let structure = object.protected.header.rest.iter().find(|(label, _)| *label == coset::Label::Int(395));
    assert_eq!(structure.map(|(_, value)| value.clone()), Some(Value::Integer(1.into())));
}

#[test]
fn a_transparent_statement_holds_the_entry_and_its_receipts() {
    let log = log();
    let statement = transparent(&log.entry, core::slice::from_ref(&log.receipt)).unwrap();
    assert_eq!(registered(&statement), Ok((log.entry.clone(), vec![log.receipt.clone()])));
    assert!(crate::cose::Signed::parse(&statement, COMMIT_TYPE).is_err(), "it is no entry");
    assert!(transparent(&statement, &[log.receipt]).is_err(), "nor is a receipt added to one that has some");
    assert!(registered(&log.entry).is_err() && transparent(&log.entry, &[]).is_err(), "without a receipt it is none");
}
