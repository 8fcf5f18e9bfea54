//! The griptrace program: record, ask, prove, verify.
//!
//! A thin shell: what is hashed or signed is made in `griptrace-core`, what rests in
//! `griptrace-store`, and `griptrace-verifier` judges. Here are the arguments, the files that people
//! write and read, the clock, the randomness, the environment and the output.
//!
//! ```no_run
//! std::process::exit(i32::from(griptrace_cli::run_program() != std::process::ExitCode::SUCCESS));
//! ```
#![forbid(unsafe_code)]

mod arguments;
mod begun;
mod believed;
mod clock;
mod commands;
mod context;
mod demo;
mod dossier;
mod ended;
mod environment;
mod error;
mod fleet;
mod foreign;
mod keyfile;
mod log_source;
mod output;
mod place;
mod profile;
mod recording;
mod remote;
mod resolve;
mod suggest;
mod view;
mod witnesses;
mod workspace;

use std::{panic, process::ExitCode};

use clap::Parser as _;

use crate::{
    arguments::{Arguments, dispatch},
    context::Context,
    error::ErrorKind,
    output::Output,
};

/// Runs the program with the arguments of the process.
pub fn run_program() -> ExitCode {
    warn_of_the_cache();
    let arguments = Arguments::parse();
    let context = Context::new(arguments.json, arguments.store, arguments.server);
    match dispatch(&context, arguments.command) {
        Ok(answer) => ExitCode::from(answer.0),
        Err(error) => {
            if error.kind != ErrorKind::BrokenPipe {
                error.lines().iter().for_each(|line| context.output.talk(line));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Makes a warning of what a broken or full disk does to the cache of digests: the command goes on without it. What a call to a
/// bucket broke at is its error.
fn warn_of_the_cache() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if griptrace_bucket::is_within_a_call() {
            return;
        }
        if !griptrace_store::is_of_the_cache(panic) {
            return usual(panic);
        }
        let why = panic.payload().downcast_ref::<String>().map_or("it broke", String::as_str);
        Output::new(false).warn(format_args!("the cache of digests can't be kept, and is made again: {why}"));
    }));
}
