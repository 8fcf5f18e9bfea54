//! The store as its callers see it.

mod bundle;
mod damage;
mod derived;
mod faults;
mod found;
mod keys;
mod large;
mod log;
mod measure;
mod pinned;
mod published;
mod questions;
mod sea;
mod signed;
mod world;
