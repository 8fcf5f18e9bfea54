//! `griptrace demo`: the whole story, played with the program's own commands.
//!
//! Every step that records, asks or proves is a `griptrace` command that a person could type; the
//! demo runs it and shows it. The data is simulated, and grades, assessments and names are invented;
//! both are said wherever they are shown.

mod files;
mod folder;
mod lies;
mod pipeline;
mod rng;
mod safetensors;
mod shell;
mod simulate;
mod story;
mod train;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{clock, error::CommandError, output::Output};

use self::{
    shell::Shell,
    story::{Story, Variant},
};

/// Play the whole story on simulated data: record, assess, train, ship, prove, verify, lie
///
/// Makes a folder with simulated camera frames and force traces, records what happens to them on
/// their way into a model, ships the model, makes the evidence file and checks it with
/// `griptrace-verify`. Then it tells lies, and shows the reason for which each is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// The folder to play in: a new one, or one in which is nothing but what a demo wrote
    #[arg(long, default_value = "demo", value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs, out: &Output) -> Result<u8, CommandError> {
    folder::prepare(&args.dir)?;
    let played = play(args, out);
    folder::own(&args.dir)?;
    played
}

fn play(args: &DemoArgs, out: &Output) -> Result<u8, CommandError> {
    let begun = Instant::now();
    let shell = Shell::new(out)?;
    let today = clock::today();
    out.line("Everything here is SIMULATED: frames, forces, companies, grades and assessments are invented.")?;
    let story = Story::new(&args.dir, today, Variant::Honest);
    story.make_data(out)?;
    story.record(&shell)?;
    story.train(out)?;
    story.ship(&shell)?;
    story.write_buyer_files(&shell)?;
    out.line("")?;
    out.line("7. The buyer checks, offline, with a trust file and a policy of their own")?;
    let verified = shell.verify(&story.verify_args("DE"), true)?;
    if verified.code != 0 {
        return Err(CommandError::failed("the honest shipment was not accepted").with_hint(verified.text));
    }
    let fooled = lies::tell(&story, &shell, out)?;
    finish(&args.dir, &story, &shell, out, begun)?;
    Ok(u8::from(fooled > 0))
}

fn finish(dir: &Path, story: &Story, shell: &Shell<'_>, out: &Output, begun: Instant) -> Result<(), CommandError> {
    let dir = dir.display();
    out.line("")?;
    out.line(format_args!("Done in {:.1} s. What is left in {dir}/:", begun.elapsed().as_secs_f64()))?;
    out.line(format_args!(
        "  {dir}/shipment.griptrace   the evidence file, the one thing that the buyer gets beside the model"
    ))?;
    out.line(format_args!("  {dir}/model/               the shipped files"))?;
    out.line(format_args!(
        "  {dir}/trust.toml           whose keys the buyer believes; {dir}/policy.toml what the buyer asks for"
    ))?;
    out.line(format_args!("  {dir}/store/               the maker's store; {dir}/lies/ what was refused"))?;
    out.line("")?;
    out.line("Try next:")?;
    out.line(format_args!("  griptrace --store {dir}/store log"))?;
    out.line(format_args!("  griptrace --store {dir}/store trace model:grasp-int8"))?;
    out.line(format_args!("  griptrace --store {dir}/store impact dataset:simulated-wrist-camera"))?;
    out.line(format_args!("  griptrace --store {dir}/store inventory --policy {dir}/policy.toml"))?;
    out.line(format_args!("  griptrace inspect {dir}/shipment.griptrace --keys"))?;
    out.line("")?;
    out.line("The check again, as the buyer would type it:")?;
    out.line(format_args!("  {}", shell.verify_line(&story.verify_args("DE"))))
}
