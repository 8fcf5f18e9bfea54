//! The whole suite is one program: it links once, and a test is named by its module.
//!
//! `cargo test -p griptrace-tests` runs it all, `cargo test -p griptrace-tests tidy::` one module.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod across;
mod ages;
mod architecture;
mod attacks;
mod bucket;
#[path = "../support/clients.rs"]
mod clients;
mod conformance;
mod differential;
mod dossier;
mod failover;
mod findings;
mod fleet;
mod formats;
mod fuzz_seeds;
mod hidden;
mod holding;
mod hostile;
mod leak;
mod own;
mod pipeline;
#[path = "../support/process.rs"]
mod process;
mod readme;
mod rules;
#[path = "../support/seaweed.rs"]
mod seaweed;
mod serve;
#[path = "../support/service.rs"]
mod served;
mod service;
mod service_client;
mod service_pipeline;
mod spec_example;
mod tidy;
mod vectors;
mod web;
mod witnesses;
#[path = "../support/world.rs"]
mod world;

/// A file in this folder that no `mod` line names would compile nowhere and pass forever.
#[test]
fn no_file_is_forgotten() {
    let modules = include_str!("main.rs");
    let mut forgotten = Vec::new();
    for file in griptrace_tests::source::files("tests/suite", &[".rs"]) {
        let below = file.path.strip_prefix("tests/suite/").expect("it was found there");
        let name = below.strip_suffix("/mod.rs").or(below.strip_suffix(".rs"));
        let name = name.expect("it ends so");
        if name == "main" || name.contains('/') {
            continue; // A module's own files are named by that module.
        }
        if !modules.lines().any(|line| line == format!("mod {name};")) {
            forgotten.push(file.path);
        }
    }
    assert!(forgotten.is_empty(), "not in suite/main.rs: {forgotten:?}");
}
