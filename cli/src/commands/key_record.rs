//! `griptrace key record`: a signed change comes into the log, and the key that follows into use.

use std::{
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::{
    key::PublicKey,
    key_change::{KeyChange, KeyUse, SignedKeyChange},
    limits::ENTRY_BYTES_MAX,
};
use griptrace_store::CommitError;
use serde_json::json;

use super::key_change::{Placed, local, told};
use crate::{
    clock,
    context::{Answer, Context},
    error::CommandError,
    keyfile,
    workspace::Workspace,
};

/// What `record` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file that `griptrace key change` wrote
    pub(crate) file: PathBuf,
    /// The key file that follows, where the change is of a key in use here: it is copied into the folder `keys` of the
    /// store, and signs from then on. A change of the log's own key needs it
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) new: Option<PathBuf>,
    /// Revoke a committer's key though this log knows nothing of it: no commit that it signed, and no change that named it
    #[arg(long)]
    pub(crate) unused: bool,
}

/// A key file that is to come into use.
struct Next<'a> {
    file: &'a Path,
    key: PublicKey,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let (entry, change) = read(&args.file)?;
    let mut workspace = context.workspace_for_recording()?;
    let next = args.new.as_deref().map(|file| Ok(Next { file, key: keyfile::read(file)?.public()? }));
    let next = next.transpose().map_err(|e: CommandError| e.while_doing("cannot take the new key"))?;
    let before = local(&workspace)?.key_changes().into_iter().find(|(_, known)| *known == change);
    let before = before.map(|(index, _)| index);
    check_next(&workspace, &change, next.as_ref(), before.is_some())?;
    if before.is_none() && !args.unused {
        refuse_unknown(&workspace, &change)?;
    }
    // A key that is in use already need not come into use.
    let next = next.filter(|next| !is_in_use(&workspace, change.of, &next.key));
    let taken = next.as_ref().map(|next| take(&mut workspace, change.of, next)).transpose()?;
    let index = match before {
        Some(index) => index,
        None => bring_in(&mut workspace, &change, &entry, taken.as_ref())?,
    };
    if let Some(next) = &next {
        put_in_use(&mut workspace, change.of, &next.key)?;
    }
    tell(context, &workspace, &change, Placed { index, size: workspace.store.size(), is_old: before.is_some() })
}

fn read(file: &Path) -> Result<(Vec<u8>, KeyChange), CommandError> {
    let entry = fs::read(file).map_err(|e| CommandError::file("read", file, e))?;
    let malformed =
        |why: &dyn core::fmt::Display| CommandError::failed(format!("{} is no key change: {why}", file.display()));
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(malformed(&format!("it has {} bytes, and one has {ENTRY_BYTES_MAX} at most", entry.len())));
    }
    let change = SignedKeyChange::parse(&entry).map_err(|e| malformed(&e))?.change;
    Ok((entry, change))
}

/// Refuses a new key that is not the one that follows, before anything is written.
fn check_next(
    workspace: &Workspace,
    change: &KeyChange,
    next: Option<&Next<'_>>,
    is_recorded: bool,
) -> Result<(), CommandError> {
    let Some(Next { file, key }) = next else {
        if change.of == KeyUse::Log && !is_recorded {
            return Err(CommandError::failed("the change gives the log another key, and nothing signs with it")
                .with_hint("--new KEYFILE names the key file that signs from then on"));
        }
        return Ok(());
    };
    let file = file.display();
    if let Some(expected) = change.successor.as_ref().filter(|expected| *expected != key) {
        return Err(CommandError::failed(format!("{file} holds the key {key}, and the change names {expected}")));
    }
    if change.of == KeyUse::Log {
        return Ok(());
    }
    if let Some(since) = workspace.key_end(&key.id()) {
        return Err(CommandError::failed(format!(
            "{file} holds a key that does not count from leaf {since} on: {key}"
        )));
    }
    let used = workspace.committer()?;
    if used == *key || used == change.retired || workspace.key_end(&used.id()).is_some() {
        return Ok(());
    }
    Err(CommandError::failed(format!(
        "the change is of the key {}, and the committer's key in use here is {used}, which goes on",
        change.retired
    ))
    .with_hint("leave --new out: whoever uses the other key puts the new one in its place"))
}

/// Refuses to revoke a committer's key of which the log knows nothing: one that was mistyped would stand there for ever, and the
/// stolen one would stay good. A rotation is signed by the key itself, which can't be mistyped.
fn refuse_unknown(workspace: &Workspace, change: &KeyChange) -> Result<(), CommandError> {
    if change.of != KeyUse::Committer || change.revoker.is_none() || workspace.committer()? == change.retired {
        return Ok(());
    }
    let id = change.retired.id();
    if local(workspace)?.key_history().key(&id).is_some() || workspace.signers()?.contains(&id) {
        return Ok(());
    }
    let text = format!("the change revokes the committer's key {}, which signed nothing in this log", change.retired);
    Err(CommandError::failed(text).with_hint(
        "compare it with what `griptrace show` says of a node that the stolen key recorded: what is in the log stays there, and the stolen key would go on counting",
    ).with_hint("if it is right, and just was never used, add --unused"))
}

fn is_in_use(workspace: &Workspace, of: KeyUse, key: &PublicKey) -> bool {
    match of {
        KeyUse::Log => workspace.store.log_keys().last() == Some(key),
        KeyUse::Committer => workspace.committer().is_ok_and(|used| used == *key),
    }
}

/// Takes the new key file into the folder, and names it in the settings before anything else happens: were it cut off now, the log
/// tells which key counts. Returns whether the file was made now.
fn take(workspace: &mut Workspace, of: KeyUse, next: &Next<'_>) -> Result<Taken, CommandError> {
    let known = next_path(workspace, of).clone();
    if let Some(path) = known.clone()
        && workspace.own_key(&path).and_then(|known| known.public()).is_ok_and(|known| known == next.key)
    {
        return Ok(Taken { before: known, made: None });
    }
    let path = workspace.take_key(next.file, of.word())?;
    let copy = workspace.folder().join(&path);
    let is_copy = copy.canonicalize().ok() != next.file.canonicalize().ok();
    *next_path(workspace, of) = Some(path);
    workspace.save_config()?;
    Ok(Taken { before: known, made: is_copy.then_some(copy) })
}

/// What taking a key changed, should the change be refused.
struct Taken {
    /// What the settings named before.
    before: Option<PathBuf>,
    /// The copy of the key file.
    made: Option<PathBuf>,
}

fn next_path(workspace: &mut Workspace, of: KeyUse) -> &mut Option<PathBuf> {
    match of {
        KeyUse::Log => &mut workspace.config.keys.next_log,
        KeyUse::Committer => &mut workspace.config.keys.next_committer,
    }
}

/// Brings the change into the log. If that refuses it, nothing is left of the new key here.
fn bring_in(
    workspace: &mut Workspace,
    change: &KeyChange,
    entry: &[u8],
    taken: Option<&Taken>,
) -> Result<u64, CommandError> {
    let signer = match (change.of, workspace.config.keys.next_log.clone()) {
        (KeyUse::Log, Some(path)) => Some(workspace.own_key(&path)?.note_signer(&workspace.config.origin)?),
        (KeyUse::Log | KeyUse::Committer, _) => None,
    };
    let error = match local(workspace)?.change_key(entry, signer, clock::now()) {
        Ok(receipt) => return Ok(receipt.index),
        Err(error) => error,
    };
    if let (CommitError::KeyChange { .. }, Some(taken)) = (&error, taken) {
        next_path(workspace, change.of).clone_from(&taken.before);
        workspace.save_config()?;
        if let Some(copy) = &taken.made {
            fs::remove_file(copy).map_err(|e| CommandError::file("remove", copy, e))?;
        }
    }
    Err(CommandError::because("the key was not changed", error))
}

fn put_in_use(workspace: &mut Workspace, of: KeyUse, key: &PublicKey) -> Result<(), CommandError> {
    let path = next_path(workspace, of).take();
    match of {
        KeyUse::Log => workspace.config.keys.log = path,
        KeyUse::Committer => {
            workspace.config.keys.committer = path.unwrap_or_default();
            workspace.config.put_committer(key);
        }
    }
    workspace.save_config()
}

/// Tells what was recorded, and which key is in use now; loudly, if that has ended.
fn tell(context: &Context, workspace: &Workspace, change: &KeyChange, placed: Placed) -> Result<Answer, CommandError> {
    let (mut object, mut lines) = told(change, placed);
    let used = workspace.committer()?;
    let path = match change.of {
        KeyUse::Log => workspace.config.keys.log.clone().unwrap_or_default(),
        KeyUse::Committer => workspace.config.keys.committer.clone(),
    };
    let since = if change.of == KeyUse::Committer { workspace.key_end(&used.id()) } else { None };
    if let Some(map) = object.as_object_mut() {
        map.insert("in_use".to_owned(), json!(path.display().to_string()));
        map.insert("in_use_ended".to_owned(), json!(since));
    }
    lines.push(format!("in use     {}", path.display()));
    context.output.either(&object, &lines)?;
    if let Some(since) = since {
        context.output.warn(format_args!(
            "the settings name the committer's key {used}, which does not count from leaf {since} on: nothing can be recorded with it"
        ));
        context.output.talk(format_args!("hint: {}", workspace.how_to_go_on()?));
    }
    Ok(Answer::YES)
}
