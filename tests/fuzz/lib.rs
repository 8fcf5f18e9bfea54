//! What the fuzzers run: the same bodies as the test suite replays the seeds through.

mod targets;
#[path = "../support/world.rs"]
#[allow(dead_code, unused_imports, reason = "the suite uses the rest of it")]
mod world;

/// Runs one target over the bytes of one case.
///
/// # Panics
/// If there is no such target, or a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let target = targets::ALL.iter().find(|target| target.name == name).expect("the target is listed");
    target.run(data);
}
