//! `griptrace-benches figures [TOPIC...] [--smoke] [--svg DIR] [--temp DIR]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    griptrace_benches::figures()
}
