//! Griptrace's store over the network.
//!
//! gRPC for those who commit and ask (`grpc`), the log over HTTP for the world (`http`), who may do
//! what (`access`), and how much at once (`admission`). No logic of lineage is here: a handler reads
//! a request, asks the store, and writes the answer. The environment and the terminal are the
//! program's (`griptrace-cli`).
#![forbid(unsafe_code)]

pub mod access;
mod admission;
mod audit;
mod call;
pub mod check;
mod committing;
pub mod config;
pub mod cosigning;
mod forward;
mod grpc;
mod http;
pub mod inventory;
mod layer;
pub mod limits;
mod metrics;
pub mod rejudge;
mod reload;
mod run;
mod scope;
mod sequencing;
mod shared;
mod standing;
mod status;
mod telemetry;
#[cfg(test)]
mod tests;
mod tls;
mod waiting;

pub use run::{ServeError, run, run_when_open};
pub use telemetry::log_to_stderr;
pub use waiting::Opening;
