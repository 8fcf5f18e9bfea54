//! What Griptrace records, byte by byte, and the arithmetic of its proofs.
//!
//! This crate holds the nouns of the design (nodes, commits, entries, checkpoints, bundles), their
//! deterministic CBOR, every hash and tree, and the signatures over them. Bytes that are hashed or
//! signed are made here and nowhere else; `docs/spec` describes each of them.
//!
//! It is not a store (that is `griptrace-store`) and it does not judge (that is
//! `griptrace-verifier`). It has no I/O, clock, randomness or network: nonces, salts, seeds and
//! times come in as arguments.
//!
//! ```
//! use griptrace_core::digest::{NODE, file_digest};
//!
//! assert_ne!(NODE.hash(b"abc"), file_digest(b"abc")); // a role is part of every hash but a file's
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

extern crate alloc;

pub mod assessment;
pub mod bundle;
pub mod cbor;
pub mod checkpoint;
pub mod commit;
pub mod cose;
pub mod date;
pub mod details;
pub mod digest;
pub mod dsse;
pub mod entry;
pub mod fork;
pub mod id;
pub mod key;
pub mod key_change;
pub mod key_history;
pub mod limits;
pub mod manifest;
pub mod node;
pub mod note;
pub mod quorum;
pub mod receipt;
pub mod status_map;
pub mod tile;
pub mod tlog_policy;
pub mod tlog_proof;
pub mod tree;
pub mod unproven;
pub mod update;
pub mod value;
pub mod word;
