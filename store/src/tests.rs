//! The store as its callers see it.

mod bundle;
mod damage;
mod log;
mod measure;
mod questions;
mod world;
