//! `griptrace fleet`.

mod adopt;
mod ask;
mod sync;

use std::path::PathBuf;

pub(super) use self::adopt::warn_of_older;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    fleet::Fleet,
};

/// Mirror the logs of many plants, ask across them, and use the nodes of one in another
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file that names the plants [default: fleet.toml beside the store's settings, or in this folder]
    #[arg(long, global = true, value_name = "FILE")]
    fleet: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

/// What to do
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Mirror what the plants' logs publish, checked
    Sync(sync::Args),
    /// Tell how far each plant's log is mirrored, and what is held against it
    Status,
    /// Show a node of whichever plant, and what uses it in others
    Show(ask::Node),
    /// Show what a node came from, across the plants
    Trace(ask::Node),
    /// Show what stands on a node, across the plants
    Impact(ask::Node),
    /// Use a node of a plant here: the plant proves it, and it is adopted as `griptrace add --from-bundle` does
    Adopt(adopt::Args),
    /// Have the plants prove again what was adopted of them, so that newer marks come in
    Refresh(adopt::Asked),
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let fleet = Fleet::load(context, args.fleet.as_deref())?;
    match &args.what {
        What::Sync(args) => sync::run(context, &fleet, args),
        What::Status => sync::status(context, &fleet),
        What::Show(node) => ask::show(context, &fleet, node),
        What::Trace(node) => ask::trace(context, &fleet, node),
        What::Impact(node) => ask::impact(context, &fleet, node),
        What::Adopt(args) => adopt::run(context, &fleet, args),
        What::Refresh(asked) => adopt::refresh(context, &fleet, asked),
    }
}
