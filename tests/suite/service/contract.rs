//! Every call does what its comment in the contract says.

mod commits;
mod pinned;
mod proofs;
mod questions;
mod watching;
