//! The `griptrace` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    griptrace_cli::run_program()
}
