//! A C2SP tlog-witness, and its client.
//!
//! A witness says of a log that it only ever grew: it cosigns a checkpoint after a proof that it extends the one
//! that it cosigned last, and remembers it before it answers. [`Witness`] is that, bytes in and bytes out;
//! [`serve`] puts it on HTTP; [`client`] asks others'. A witness with a key for it also recomputes the log's status
//! map from its published entries ([`map`]), and says so in a cosignature of its own.
//!
//! It is not a store, knows no bundle, has no clock (times come in as arguments) and prints nothing.
#![forbid(unsafe_code)]

pub mod client;
pub mod fetch;
pub mod judge;
pub mod log;
pub mod map;
pub mod mirror;
pub mod panel;
mod recounts;
mod serve;
pub mod shelf;
pub mod tiles;
pub mod wire;
mod witness;

pub use recounts::Recounts;
pub use serve::{Desk, serve};
pub use witness::{Added, Cosigners, Log, Witness};

#[cfg(test)]
mod tests;
