//! Judges a Griptrace bundle under a buyer's trust file and policy.
//!
//! The bundle is an enemy's until shown otherwise: everything that counts is recomputed from its
//! bytes, and trusted are only the keys in the buyer's own trust file. [`verify`] is the numbered
//! procedure of docs/spec/verify.md; each step stands in a module of its own.
//!
//! This crate has no I/O, clock, randomness or network, knows neither store nor service, and builds
//! for wasm32. It is not a program: that is `griptrace-verify`.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

extern crate alloc;

mod dense;
mod evidence;
pub mod finding;
pub mod graph;
mod judge;
pub mod known;
pub mod own;
pub mod policy;
pub mod question;
pub mod render;
pub mod report;
pub mod rules;
pub mod toml_source;
pub mod trust;
pub mod update;
pub mod verify;
