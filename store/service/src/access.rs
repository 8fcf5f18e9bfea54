//! Who may do what.

mod certificate;
mod gate;
mod register;
mod token;

use core::fmt;
use std::sync::Arc;

use griptrace_core::{id::KeyId, key::PublicKey};
use serde::Deserialize;

pub(crate) use certificate::{CertificateName, Presented};
pub(crate) use gate::{Credentials, Gate, Refused};
pub use register::NotNamed;
pub(crate) use register::{Client, Committer, Register, RegisteredKey};
pub use token::token_digest;
pub(crate) use token::{Period, Token};

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask questions.
    Read,
    /// Commit.
    Commit,
    /// Have bundles made.
    Prove,
    /// Hand in commits of other clients, as another server of the same log does.
    Forward,
    /// Everything, everywhere; and read the audit trail.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Commit => "commit",
            Self::Prove => "prove",
            Self::Forward => "forward",
            Self::Admin => "admin",
        })
    }
}

/// Who is calling, as the configuration knows them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// What the configuration calls the client.
    pub name: String,
    /// What it may do.
    pub roles: Vec<Role>,
    /// The beginnings of names that it is held to; empty for all names.
    pub prefixes: Vec<String>,
    /// Whether it may see details at all.
    pub sees_details: bool,
}

impl Caller {
    /// Tells whether the caller has a role.
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role) || self.roles.contains(&Role::Admin)
    }

    /// Tells whether a name is among those that the caller is held to. Without prefixes every name
    /// is, and nodes without one too.
    pub fn covers(&self, name: Option<&str>) -> bool {
        let is_free = self.prefixes.is_empty() || self.roles.contains(&Role::Admin);
        is_free || name.is_some_and(|name| self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())))
    }

    /// Tells whether the caller may see the details of a node of this name.
    pub fn sees(&self, name: Option<&str>) -> bool {
        (self.sees_details || self.roles.contains(&Role::Admin)) && self.covers(name)
    }
}

/// Why a key may not commit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// Nobody registered it.
    #[error("the signing key {key} is registered for no committer")]
    Unknown {
        /// The hash of the key.
        key: KeyId,
    },
    /// It is registered for somebody else.
    #[error("the signing key {key} is registered, but not for the client {client}")]
    NotTheirs {
        /// The hash of the key.
        key: KeyId,
        /// Who called.
        client: String,
    },
    /// It does not count yet, or no more.
    #[error("the signing key {key} counts from {from} to {to}, and today is {today}")]
    Retired {
        /// The hash of the key.
        key: KeyId,
        /// The first day.
        from: String,
        /// The last day.
        to: String,
        /// Today.
        today: String,
    },
}

/// Clients and committers, as the configuration has them now.
pub trait Registry: fmt::Debug + Send + Sync {
    /// Returns the key with this hash, if the caller may commit with it at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`KeyRefusal`].
    fn committer_key(&self, id: KeyId, caller: &Caller, now: u64) -> Result<PublicKey, KeyRefusal>;

    /// Returns the client of a name, if another server may hand in commits for it at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`NotNamed`].
    fn named(&self, name: &str, now: u64) -> Result<Arc<Caller>, NotNamed>;
}

/// The shared registry.
pub type SharedRegistry = Arc<dyn Registry>;
