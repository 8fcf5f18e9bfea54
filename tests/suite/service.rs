//! The gRPC service, through its contract: a program in a process of its own, asked over the wire.
//!
//! A caller believes nothing that it is only told; CONTRIBUTING.md tells how to run the long variants.

mod contract;
mod faults;
mod real_client;
mod strangers;
mod tiles;
