//! The store as its callers see it.

mod across;
mod bucket;
mod bundle;
mod cosigned;
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
mod sim;
mod weather;
mod world;
