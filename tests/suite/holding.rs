//! What a store holds on to: processes killed, power cut, files damaged, everybody at once.
//!
//! Everything here asks the public interface and finds a store's files by walking its folder, so that
//! it outlives any layout. CONTRIBUTING.md tells how to run the long variants.

mod answers;
mod child;
mod command;
mod concurrency;
mod damage;
#[path = "../support/factory.rs"]
#[allow(dead_code, reason = "the child program uses the rest")]
pub(crate) mod factory;
mod faults;
mod folder;
pub(crate) mod image;
mod index;
mod kill;
mod model;
mod places;
mod power;
mod rich;
mod syscalls;

use std::path::Path;

use griptrace_store::{OpenError, OpenOptions, Store};

/// How often something is tried: `GRIPTRACE_ROUNDS`, or else as often as every run has time for.
pub(crate) fn rounds(usually: u64) -> u64 {
    std::env::var_os("GRIPTRACE_ROUNDS").map_or(usually, |asked| {
        asked.to_str().and_then(|asked| asked.parse().ok()).expect("GRIPTRACE_ROUNDS is a number")
    })
}

fn writer(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, OpenOptions { signer: Some(factory::log_signer()), ..OpenOptions::default() })
}

fn reader(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, OpenOptions::default())
}

/// An error with its causes.
fn told(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn quiet(_: &str, _: u64, _: u64) {}

/// Makes a small store, and returns the records that it holds.
pub(crate) fn small_store(dir: &Path) -> Vec<Vec<u8>> {
    let store = Store::init(dir, &factory::genesis(7), factory::log_signer(), factory::NOW).expect("it is new");
    let mut maker = factory::Factory::new(store.home(), griptrace_tests::seed::Seed::for_test("small store").rng());
    let source = maker.source("camera");
    let mut nodes = maker.train("grasp", &[source.id()], &["a", "b"]);
    nodes.push(maker.assessment(&[source.id()]));
    nodes.push(source);
    let records = nodes.iter().map(griptrace_store::record::NodeRecord::to_bytes).collect();
    store.commit(nodes, &factory::committer(), "Maker", factory::NOW).expect("they are whole");
    records
}
