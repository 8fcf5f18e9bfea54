//! `cargo bench -p griptrace-benches [-- NAME]`: what the large figures are made of.

use std::process::ExitCode;

fn main() -> ExitCode {
    griptrace_benches::fine()
}
