//! The `griptrace-verify` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    griptrace_verify::run_program()
}
