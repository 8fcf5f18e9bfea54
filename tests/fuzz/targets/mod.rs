//! The bodies of the fuzz targets: each panics if a promise is broken.
//!
//! They are part of the fuzzers (`tests/fuzz/lib.rs`) and of the test suite, which replays the
//! seeds (`tests/suite/fuzz_seeds.rs`). Nothing in them draws, reads a clock or a file: the same
//! bytes do the same.

mod bundle;
mod config;
mod edit;
pub(crate) mod fixtures;
pub(crate) mod guard;
mod input;
mod judge;
mod lax;
mod note;
mod patch;
mod proofs;
pub(crate) mod records;
mod report;
pub(crate) mod store;
mod tile;
mod verify;

/// A fuzz target.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    body: fn(&[u8]),
    /// What one case may hold in memory at once.
    peak_bytes_max: usize,
}

const MIB: usize = 1 << 20;

/// Every target. A binary of tests/fuzz/bin bears each name.
pub(crate) const ALL: &[Target] = &[
    Target { name: "records", body: records::run, peak_bytes_max: 64 * MIB },
    Target { name: "bundle", body: bundle::run, peak_bytes_max: 64 * MIB },
    Target { name: "tile", body: tile::run, peak_bytes_max: 16 * MIB },
    Target { name: "note", body: note::run, peak_bytes_max: 32 * MIB },
    Target { name: "proofs", body: proofs::run, peak_bytes_max: 16 * MIB },
    Target { name: "trust", body: config::trust, peak_bytes_max: 64 * MIB },
    Target { name: "policy", body: config::policy, peak_bytes_max: 64 * MIB },
    Target { name: "verify", body: verify::run, peak_bytes_max: 64 * MIB },
    Target { name: "verify_raw", body: verify::raw, peak_bytes_max: 64 * MIB },
    Target { name: "judge", body: judge::run, peak_bytes_max: 64 * MIB },
    Target { name: "store", body: store::run, peak_bytes_max: 64 * MIB },
    Target { name: "patch", body: patch::run, peak_bytes_max: 64 * MIB },
];

impl Target {
    /// Runs the body within its memory.
    pub(crate) fn run(&self, data: &[u8]) {
        let ((), peak) = guard::peak_of(|| (self.body)(data));
        assert!(peak <= self.peak_bytes_max, "{} held {peak} bytes for {} of input", self.name, data.len());
    }
}
