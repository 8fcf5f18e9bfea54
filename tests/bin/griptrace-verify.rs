//! The `griptrace-verify` program under a name of its own, for the suite to run.

use std::process::ExitCode;

fn main() -> ExitCode {
    griptrace_verify::run_program()
}
