//! What the suite stands on: seeds, places, skips, and the reading of our own source.
//!
//! It holds no fixtures of the product and knows none of its crates, so that a test that needs
//! only these compiles when the rest does not.

pub mod paths;
pub mod seed;
pub mod skip;
pub mod source;
