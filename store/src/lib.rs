//! Griptrace's store: an append-only log on disk, what is asked of it, and the bundles made from it.
//!
//! The truth is immutable segments of log entries with their nodes, tiles and one checkpoint, in a
//! plain folder ([`Store::init`]). Everything else is derived and can be lost: the catalogue of
//! what is where, and the index by names and contents. The store is not a server, has no clock
//! (times come in as arguments) and prints nothing; what a bundle shows is judged elsewhere
//! (`griptrace-verifier`).
//!
//! ```
//! use griptrace_core::{entry::Genesis, key::{Algorithm, SecretKey, Signer as _}, note::NoteSigner};
//! use griptrace_store::{OpenOptions, Store};
//!
//! let dir = tempfile::tempdir()?;
//! let log = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32])?;
//! let signer = NoteSigner::new("log.example/2026", &[1; 32])?;
//! let genesis = Genesis {
//!     origin: "log.example/2026".into(),
//!     key: log.public_key(),
//!     time: 1_790_000_000,
//!     nonce: [7; 16],
//!     revokers: Vec::new(),
//! };
//! let store = Store::init(dir.path(), &genesis, signer, 1_790_000_000)?;
//! assert_eq!(store.size(), 2); // the genesis and the first status head
//! drop(store);
//! let reader = Store::open(dir.path(), OpenOptions::default())?;
//! assert_eq!(reader.genesis(), &genesis);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod adopted;
mod appender;
mod background;
pub mod bucket;
mod catalogue;
mod checked;
mod closed;
mod collision;
mod commit;
mod copying;
mod cosigned;
mod delta;
mod disk;
mod edge;
mod erasing;
mod error;
mod evidence;
mod follow;
mod fsck;
#[doc(hidden)]
pub mod fuzzing;

pub mod hashing;
mod head;
mod index;
mod lease;
mod lock;
mod log_keys;
mod number;
mod objects;
mod open;
mod own;
mod parallel;
mod placed;
mod prove;
mod publish;
mod published;
mod query;
mod reading;
mod receipt;
mod recent;
pub mod record;
mod recorded;
mod scan;
mod seen;
mod segment;
mod shelf;
mod signing;
mod snapshot;
mod store;
mod tiles;
mod together;
mod unsigned;
mod validate;
mod walk;

pub use adopted::{AdoptedBundle, AdoptedLog, ForeignNode};
pub use closed::Closed;
pub use commit::{Receipt, SignedCommit};
pub use copying::{Copied, Damage, Original, Place};
pub use cosigned::{Cosigned, Witnesses};
pub use erasing::{Erase, Erased};
pub use error::{
    AdoptError, CommitError, CopyError, EraseError, FsckError, KeyChangeRefusal, OpenError, OtherLines, ProveError,
    ReadError, Refusal, StorageError,
};

pub use evidence::{EntryProof, NodeProof, StatusChange, StatusEvidence};
pub use follow::{HeadSeen, Standing};
pub use fsck::{Fault, FsckReport, GOING_ON};
pub use own::{Records, Wanted};
pub use prove::{Chosen, Disclose, ProveOptions};
pub use published::Published;
pub use query::{Found, LogEntry, Paths, Resolved};
pub use recorded::says_the_same;
pub use scan::{Scan, ScanOptions};
pub use shelf::is_of_the_cache;
pub use signing::signed_commit;
pub use store::{OpenOptions, Progress, Store, StoredNode};
pub use walk::{Direction, Walk, WalkOptions};

pub(crate) use store::State;

/// Fills `out` with the system's randomness.
///
/// # Errors
/// `Io` if the system has none to give.
pub fn random(out: &mut [u8]) -> Result<(), std::io::Error> {
    getrandom::fill(out).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests;
