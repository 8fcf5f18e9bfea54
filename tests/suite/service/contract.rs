//! Every call does what its comment in the contract says.

mod commits;
mod pinned;
mod proofs;
mod questions;
mod watching;

pub(super) use pinned::{policy, trust};
pub(super) use questions::id;
