//! The arguments of the program.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use griptrace_core::{
    date::Date,
    word::{Country, Word},
};

use crate::{
    commands,
    context::{Answer, Context},
    demo,
    error::CommandError,
    remote::ServerArgs,
};

/// Lineage of robot-gripper training data: record it, prove it, verify it offline
#[derive(Debug, Parser)]
#[command(name = "griptrace", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 yes; 1 checked, and the answer is no; 2 could not check.\n\
    A NODE is an id or its first digits (4 or more), a NAME, dataset:NAME, model:NAME, or a file.\n\
    A kind alone, such as assessment (these have no names), means the newest of that kind that is not put aside;\n\
    where a node is called so, both are named, and none is taken.")]
pub(crate) struct Arguments {
    /// Use the store in this folder [default: the nearest .griptrace upward]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Write JSON, one object a line where there are many
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a store, a log key and a committer key
    Init(commands::init::Args),
    /// Make and show key files
    #[command(subcommand)]
    Key(commands::key::Args),
    /// Write a trust file
    #[command(subcommand)]
    Trust(commands::trust::Args),
    /// Record one data set or model, or adopt another company's
    Add(commands::add::Args),
    /// Record what a lineage file says, all of it in one commit
    Record(commands::record::Args),
    /// Sign or record an assessment
    #[command(subcommand)]
    Assess(commands::assess::Args),
    /// Mark a node: withdraw, supersede, reclassify, recall or refuse
    Mark(commands::mark::Args),
    /// Erase details or files of a node from the store: a person's request, a recalled recording
    Erase(commands::erase::Args),
    /// Record that models leave for a consignee
    Ship(commands::ship::Args),
    /// List the data sets in scope, with grade, assessment and gaps
    Inventory(commands::inventory::Args),
    /// Tell what blocks a shipment, and what would clear it
    Check(commands::check::Args),
    /// List the commits, the newest first
    Log(commands::log::Args),
    /// Show one node
    Show(commands::show::Args),
    /// Show what a node came from
    Trace(commands::trace::Args),
    /// Show what stands on a node
    Impact(commands::impact::Args),
    /// Write the evidence file of a shipment
    Prove(commands::prove::Args),
    /// Verify a bundle, as griptrace-verify does
    Verify(Box<commands::verify::Args>),
    /// Show what is in a bundle, unverified
    Inspect(commands::inspect::Args),
    /// Export a bundle, a commit or a model in a format that other programs read
    #[command(subcommand)]
    Export(commands::export::Args),
    /// Write a printable page of what a bundle says, for whoever files it
    Dossier(Box<commands::dossier::Args>),
    /// Write a label that names a bundle, for the shipping papers
    Label(commands::label::Args),
    /// Judge every recorded shipment again, under a new policy and the marks of now
    Audit(Box<commands::audit::Args>),
    /// Check policy files, and list disclosure profiles
    #[command(subcommand)]
    Policy(commands::policy::Args),
    /// Check the whole store against its log
    Fsck(commands::fsck::Args),
    /// Copy the log to another place, or what is new to an earlier backup
    Backup(commands::backup::BackupArgs),
    /// Copy a backup to the place that the settings name
    Restore(commands::restore::RestoreArgs),
    /// Move the log for good, into a bucket or back
    Migrate(commands::backup::MigrateArgs),
    /// Serve the store: gRPC to those who commit and ask, the log over HTTP to the world
    Serve(commands::serve::Args),
    /// Run a witness: it cosigns the checkpoints of logs that only grow
    #[command(subcommand)]
    Witness(commands::witness::Args),
    /// Mirror the logs of many plants, ask across them, and use the nodes of one in another
    Fleet(commands::fleet::Args),
    /// Go the whole way once, with simulated data
    Demo(demo::DemoArgs),
    /// Write a completion script for a shell
    Completions(commands::completions::Args),
}

/// Runs what was asked for.
pub(crate) fn dispatch(context: &Context, command: Command) -> Result<Answer, CommandError> {
    match command {
        Command::Init(args) => commands::init::run(context, &args),
        Command::Key(args) => commands::key::run(context, &args),
        Command::Trust(args) => commands::trust::run(context, &args),
        Command::Add(args) => commands::add::run(context, args),
        Command::Record(args) => commands::record::run(context, &args),
        Command::Assess(args) => commands::assess::run(context, &args),
        Command::Mark(args) => commands::mark::run(context, &args),
        Command::Erase(args) => commands::erase::run(context, &args),
        Command::Ship(args) => commands::ship::run(context, &args),
        Command::Inventory(args) => commands::inventory::run(context, &args),
        Command::Check(args) => commands::check::run(context, &args),
        Command::Log(args) => commands::log::run(context, &args),
        Command::Show(args) => commands::show::run(context, &args),
        Command::Trace(args) => commands::trace::run(context, &args),
        Command::Impact(args) => commands::impact::run(context, &args),
        Command::Prove(args) => commands::prove::run(context, &args),
        Command::Verify(args) => Ok(commands::verify::run(context, *args)),
        Command::Inspect(args) => commands::inspect::run(context, &args),
        Command::Export(args) => commands::export::run(context, &args),
        Command::Dossier(args) => commands::dossier::run(context, &args),
        Command::Label(args) => commands::label::run(context, &args),
        Command::Audit(args) => commands::audit::run(context, &args),
        Command::Policy(args) => commands::policy::run(context, &args),
        Command::Fsck(args) => commands::fsck::run(context, &args),
        Command::Backup(args) => commands::backup::back_up(context, &args),
        Command::Restore(args) => commands::restore::restore(context, &args),
        Command::Migrate(args) => commands::backup::migrate(context, &args),
        Command::Serve(args) => commands::serve::run(context, &args),
        Command::Witness(args) => commands::witness::run(context, &args),
        Command::Fleet(args) => commands::fleet::run(context, &args),
        Command::Demo(args) => demo::run(&args, &context.output).map(Answer),
        Command::Completions(args) => commands::completions::run(context, &args),
    }
}

/// Reads a word, for clap.
pub(crate) fn word(text: &str) -> Result<Word, String> {
    Word::parse(text).ok_or_else(|| "a word is 1 to 64 of a-z 0-9 . - and begins with a letter or digit".to_owned())
}

/// Reads a country, for clap.
pub(crate) fn country(text: &str) -> Result<Country, String> {
    Country::parse(text).ok_or_else(|| "a country is two capital letters, such as DE".to_owned())
}

/// Reads a day, for clap.
pub(crate) fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "a day is written YYYY-MM-DD".to_owned())
}

/// Reads a number of days, `60d`, for clap.
pub(crate) fn days(text: &str) -> Result<u32, String> {
    text.strip_suffix('d').unwrap_or(text).parse().map_err(|_| "a number of days is written 60d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_sound_and_json_goes_before_and_after_the_command() {
        Arguments::command().debug_assert();
        for line in ["griptrace --json verify b --trust t --policy p", "griptrace verify b --trust t --policy p --json"]
        {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert!(arguments.json, "{line}");
        }
    }
}
