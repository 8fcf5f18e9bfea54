//! Several servers of one log in a bucket.

mod fleet;
mod keys;
mod lying;
mod reading;
mod silence;
mod tap;
mod turns;
mod vouching;
