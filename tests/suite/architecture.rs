//! The walls between crates: what a package may never reach, however indirectly.
//!
//! `deny.toml` holds some of the same walls; this needs no tool but cargo.

use std::collections::BTreeSet;
use std::process::Command;

use griptrace_tests::paths::workspace_root;
use griptrace_tests::source::{document, files};

/// All that the verifier stands on. A crate that is not named here has to be looked at, and argued
/// for in docs/decisions/0002-crates.md, before it may take part in a verdict. More may be named
/// than one machine uses: some come in on one processor only.
const VERIFIER_STANDS_ON: &[&str] = &[
    // Ours.
    "griptrace-core",
    "griptrace-verifier",
    // Hashes.
    "arrayvec",
    "blake3",
    "block-buffer",
    "cfg-if",
    "constant_time_eq",
    "cpufeatures",
    "crypto-common",
    "digest",
    "hybrid-array",
    "sha2",
    "typenum",
    // Signatures.
    "base16ct",
    "cmov",
    "const-oid",
    "cpubits",
    "crypto-bigint",
    "ctutils",
    "curve25519-dalek",
    "curve25519-dalek-derive",
    "der",
    "ecdsa",
    "ed25519",
    "ed25519-dalek",
    "elliptic-curve",
    "ff",
    "fiat-crypto",
    "group",
    "hmac",
    "keccak",
    "libc", // cpufeatures asks the system for the processor's features on ARM
    "ml-dsa",
    "module-lattice",
    "p256",
    "primefield",
    "primeorder",
    "rand_core", // traits only: nothing is drawn
    "rfc6979",
    "sec1",
    "shake",
    "signature",
    "spki",
    "sponge-cursor",
    "subtle",
    "wnaf",
    "zeroize",
    // Encodings.
    "base64",
    "ciborium",
    "ciborium-io",
    "ciborium-ll",
    "coset",
    "half",
    "minicbor",
    "num-traits",
    "zerocopy",
    "zerocopy-derive",
    // Text formats.
    "equivalent",
    "hashbrown",
    "indexmap",
    "itoa",
    "memchr",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "serde_spanned",
    "toml",
    "toml_datetime",
    "toml_parser",
    "toml_writer",
    "winnow",
    "zmij",
    // Macros, at build time.
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// What each package never reaches.
const WALLS: &[(&str, &[&str])] = &[
    ("griptrace-core", NO_WORLD),
    ("griptrace-verifier", NO_WORLD),
    ("griptrace-verify", &["bincode", "griptrace-store", "object_store", "rs_merkle", "sled", "tokio", "tonic"]),
    (
        "griptrace-store",
        &[
            "clap",
            "griptrace-bucket",
            "griptrace-cli",
            "griptrace-proto",
            "griptrace-verifier",
            "hyper",
            "indicatif",
            "object_store",
            "tokio",
            "tonic",
        ],
    ),
    (
        "griptrace-bucket",
        &[
            "aws-lc-sys",
            "clap",
            "griptrace-cli",
            "griptrace-service",
            "griptrace-verifier",
            "indicatif",
            "openssl-sys",
            "reqwest",
            "tonic",
        ],
    ),
    (
        "griptrace-export",
        &[
            "bincode",
            "clap",
            "getrandom",
            "griptrace-cli",
            "griptrace-store",
            "indicatif",
            "jiff",
            "sled",
            "tokio",
            "tonic",
        ],
    ),
    ("griptrace-proto", &["clap", "griptrace-core", "griptrace-store", "sled"]),
    (
        "griptrace-witness",
        &[
            "bincode",
            "clap",
            "griptrace-cli",
            "griptrace-store",
            "griptrace-verifier",
            "indicatif",
            "openssl-sys",
            "sled",
            "tonic",
        ],
    ),
    (
        "griptrace-service",
        &["clap", "griptrace-bucket", "griptrace-cli", "indicatif", "object_store", "openssl-sys", "aws-lc-sys"],
    ),
];

/// Storage, network, threads, clocks, randomness.
const NO_WORLD: &[&str] = &[
    "bincode",
    "chrono",
    "clap",
    "getrandom",
    "griptrace-store",
    "jiff",
    "memmap2",
    "object_store",
    "prost",
    "rand",
    "rayon",
    "rs_merkle",
    "sled",
    "time",
    "tokio",
    "tonic",
    "walkdir",
];

/// The standard library's doors to the world.
const DOORS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "Instant::now",
    "SystemTime",
    "RandomState",
];

#[test]
fn the_verifier_stands_on_what_is_named() {
    let allowed: BTreeSet<&str> = VERIFIER_STANDS_ON.iter().copied().collect();
    let reached = reached_by("griptrace-verifier");
    let unnamed: Vec<&String> = reached.iter().filter(|name| !allowed.contains(name.as_str())).collect();
    assert!(reached.contains("griptrace-core"), "cargo tree listed {reached:?}");
    assert!(unnamed.is_empty(), "the verifier newly stands on {unnamed:?}");
}

#[test]
fn no_package_reaches_over_its_wall() {
    let mut over = Vec::new();
    for (package, never) in WALLS {
        let reached = reached_by(package);
        for name in never.iter().filter(|name| reached.contains(**name)) {
            over.push(format!("{package} reaches {name}"));
        }
    }
    assert!(over.is_empty(), "{over:?}");
}

#[test]
fn what_judges_has_no_door_to_the_world() {
    let mut open = Vec::new();
    for file in ["core/src", "verifier/src"].iter().flat_map(|folder| files(folder, &[".rs"])) {
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (place, line) in code.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            for door in DOORS.iter().filter(|door| !is_comment && line.contains(**door)) {
                open.push(format!("{}:{}: {door}", file.path, place + 1));
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_judges_holds_no_unsafe_code() {
    for path in ["core/src/lib.rs", "verifier/src/lib.rs"] {
        assert!(document(path).contains("#![forbid(unsafe_code)]"), "{path} does not forbid it");
    }
    assert!(document("core/src/lib.rs").contains("#![no_std]"), "core takes the standard library");
}

/// Returns the names of all crates in a package's normal dependencies, itself included.
fn reached_by(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", package])
        .current_dir(workspace_root())
        .output()
        .expect("cargo can be run");
    let said = String::from_utf8(output.stdout).expect("cargo writes text");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree --package {package}: {error}");
    said.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
