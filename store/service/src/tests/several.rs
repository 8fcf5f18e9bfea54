//! Several servers of one log in a bucket.

mod fleet;
mod reading;
mod tap;
mod turns;
mod vouching;
