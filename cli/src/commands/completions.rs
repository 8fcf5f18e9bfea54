//! `griptrace completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{
    arguments::Arguments,
    context::{Answer, Context},
    error::CommandError,
};

/// Write a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    pub(crate) shell: Shell,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "griptrace", &mut script);
    context.output.raw(&script)?;
    Ok(Answer::YES)
}
