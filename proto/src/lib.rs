//! The gRPC contract of `griptrace serve`: what stands in `griptrace/v1/*.proto`, as Rust.
//!
//! The code is generated and committed, so that building needs no `protoc`; a test makes it again and
//! compares. Bytes that are hashed or signed are made in `griptrace-core` and only pass through here.
#![forbid(unsafe_code)]

/// Version 1 of the contract.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::std_instead_of_core,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    reason = "generated code"
)]
pub mod v1 {
    include!("generated/griptrace.v1.rs");
}

/// The compiled contract, for reflection: a serialised `FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/griptrace.v1.bin");
