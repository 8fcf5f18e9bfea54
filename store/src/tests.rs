//! The store as its callers see it.

mod across;
mod bucket;
mod bundle;
mod copying;
mod cosigned;
mod damage;
mod derived;
mod erasing;
mod faults;
mod found;
mod keys;
mod large;
mod log;
mod measure;
mod pinned;
mod published;
mod questions;
mod rot;
mod sea;
mod signed;
mod sim;
mod weather;
mod world;
