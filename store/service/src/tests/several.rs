//! Several servers of one log in a bucket.

mod fleet;
mod keys;
mod reading;
mod tap;
mod turns;
mod vouching;
