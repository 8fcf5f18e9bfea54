//! `griptrace init`.

use std::path::PathBuf;

use griptrace_core::word::is_note_name;
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile,
    workspace::Workspace,
};

/// Make a store, a log key and a committer key
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to make .griptrace
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The name of the log, like a URL without its scheme: lineage.example.com/2026
    #[arg(long)]
    pub(crate) origin: String,
    /// Who commits [default: the origin up to its first slash]
    #[arg(long, value_name = "PARTY")]
    pub(crate) name: Option<String>,
    /// Encrypt both keys with the passphrase in `GRIPTRACE_PASSPHRASE`
    #[arg(long)]
    pub(crate) passphrase: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = create(args)?;
    let log = workspace.log_vkey()?;
    let committer = workspace.committer()?;
    let folder = workspace.folder().display().to_string();
    let object = json!({
        "folder": folder, "origin": workspace.config.origin, "home": workspace.home().to_string(),
        "vkey": log, "committer": committer.to_string(), "committer_id": committer.id().to_string(),
    });
    let lines = [
        format!("store      {folder}"),
        format!("origin     {}", workspace.config.origin),
        format!("genesis    {}", workspace.home()),
        format!("log key    {log}"),
        format!("committer  {committer} ({})", workspace.config.issuer),
    ];
    context.output.either(&object, &lines)?;
    context.output.talk("keep a copy of the folder `keys` in another place; nobody can make these keys again");
    Ok(Answer::YES)
}

/// Makes the store.
pub(crate) fn create(args: &Args) -> Result<Workspace, CommandError> {
    if !is_note_name(&args.origin) {
        return Err(CommandError::failed(format!("{:?} can't name a log", args.origin))
            .with_hint("an origin is 1 to 255 bytes without white space, control characters or `+`"));
    }
    let issuer = args.name.clone().unwrap_or_else(|| args.origin.split('/').next().unwrap_or_default().to_owned());
    let passphrase = if args.passphrase { Some(keyfile::passphrase("for the new keys")?) } else { None };
    Workspace::create(&args.dir, &args.origin, &issuer, passphrase.as_deref().map(String::as_str))
}
