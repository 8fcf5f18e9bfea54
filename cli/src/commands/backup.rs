//! `griptrace backup`, `griptrace migrate`.

use std::path::{Path, PathBuf};

use griptrace_store::{Closed, Copied, CopyError, Damage, Fault, OpenError, Store};
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    log_source::Log,
    place::{BucketPlace, Place, bucket_address},
    workspace::{Config, Joining, Workspace},
};

/// A place for a log, and how to reach it.
#[derive(Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// A folder, or the address of a bucket: `s3://BUCKET/FOLDER`, `gs://BUCKET/FOLDER`, `az://CONTAINER/FOLDER`
    #[arg(value_name = "PLACE")]
    place: PathBuf,
    /// Where the service of that bucket is [default: the cloud's own, or what the environment says]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where that bucket is [default: what the environment says]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
}

/// Copy the log to a folder or bucket, or what is new to an earlier backup there
///
/// The copy is read again, and nobody can write to it by mistake. Keys and settings are not in it: keep copies of them apart.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    to: PlaceArgs,
    /// Check the whole copy as `griptrace fsck` does, and not only that it leads to the checkpoint
    #[arg(long)]
    check: bool,
}

/// Move the log for good: from its folder into a bucket, or back, or to another bucket
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    /// The address of a bucket; or `folder`, the one beside the settings
    #[arg(long, value_name = "ADDRESS|folder")]
    to: PathBuf,
    /// Where the service of the bucket is [default: the cloud's own, or what the environment says]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where the bucket is [default: what the environment says]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
}

impl PlaceArgs {
    /// Finds the place; what this machine makes of a bucket is kept beside the settings in `folder`.
    pub(super) fn place(&self, folder: &Path) -> Result<griptrace_store::Place, CommandError> {
        match bucket_address(&self.place) {
            Some(address) => bucket(address, self.endpoint.as_ref(), self.region.as_ref()).beside(folder),
            None => Ok(griptrace_store::Place::Folder(std::path::absolute(&self.place)?)),
        }
    }

    /// Returns the endpoint and the region that were named.
    pub(super) fn reached(&self) -> (Option<String>, Option<String>) {
        (self.endpoint.clone(), self.region.clone())
    }
}

fn bucket(address: &str, endpoint: Option<&String>, region: Option<&String>) -> BucketPlace {
    let address = address.trim_end_matches('/').to_owned();
    BucketPlace { address, endpoint: endpoint.cloned(), region: region.cloned() }
}

pub(crate) fn back_up(context: &Context, args: &BackupArgs) -> Result<Answer, CommandError> {
    refuse_server(context, "backup copies")?;
    let store = Workspace::local_store(context, false)?;
    let to = args.to.place(&context.store_folder()?)?;
    if let Some(address) = bucket_address(&args.to.place) {
        bucket(address, args.to.endpoint.as_ref(), args.to.region.as_ref()).refuse_nested()?;
    }
    let copied = copying(context, |progress| store.back_up(&to, progress))?;
    let faults = if args.check { faults_of(context, &to)? } else { Vec::new() };
    tell(context, "backed up to", &to, &copied)?;
    for fault in &faults {
        let (object, why) = (&fault.object, &fault.why);
        let json = json!({ "object": object, "why": why, "in": to.name() });
        context.output.either(&json, &[format!("FAULT  {object}: {why} (in the copy in {})", to.name())])?;
    }
    if let Some(error) = told(context, &to, &copied)? {
        return Err(error);
    }
    if faults.is_empty() {
        return Ok(Answer::YES);
    }
    Err(CommandError::refused(format!("the copy in {} is damaged, and the log was not looked at", to.name()))
        .with_hint("make a new backup in another place, check that, and only then remove this one; griptrace fsck checks the log"))
}

/// Checks a copy as `griptrace fsck` does.
fn faults_of(context: &Context, to: &griptrace_store::Place) -> Result<Vec<Fault>, CommandError> {
    let bar = context.output.progress("checking the copy");
    let progress = |what: &str, done, total| bar.step(what, done, total);
    let wrong = |e: Box<dyn core::error::Error + Send + Sync>| {
        CommandError::because(format!("cannot check the copy in {}", to.name()), e)
    };
    let report = to.open().map_err(|e| wrong(e.into()))?.fsck(&progress).map_err(|e| wrong(e.into()))?;
    Ok(report.faults)
}

/// Returns the error for what a backup found damaged or lost in the log.
fn told(context: &Context, to: &griptrace_store::Place, copied: &Copied) -> Result<Option<CommandError>, CommandError> {
    let Copied { damaged, lacking, .. } = copied;
    if damaged.is_empty() && lacking.is_empty() {
        return Ok(None);
    }
    let here = Place::of_context(context)?.spot().name();
    let objects: Vec<&str> =
        damaged.iter().map(|damage| &*damage.object).chain(lacking.iter().map(|name| &**name)).collect();
    let (count, objects) = (objects.len(), objects.join(", "));
    let error = CommandError::refused(format!(
        "of the log in {here} {count} objects are damaged or lost; the backup keeps what it has of them, and has all else: {objects}"
    ));
    let put = format!("put each back from {}, under the same name, and look with griptrace fsck", to.name());
    let error = error.with_hint(put);
    let error = if lacking.is_empty() {
        error
    } else {
        error.with_hint("what was removed from the log on purpose has to be removed from the backup too")
    };
    Ok(Some(if damaged.iter().all(|damage| damage.is_kept) {
        error
    } else {
        error.with_hint("of some the backup has no whole one: look in older backups and in the bucket's versions; docs/store.md says what is lost without")
    }))
}

pub(crate) fn migrate(context: &Context, args: &MigrateArgs) -> Result<Answer, CommandError> {
    refuse_server(context, "migrate moves")?;
    let folder = context.store_folder()?;
    let mut config = Config::read(&folder)?;
    let target = match bucket_address(&args.to) {
        Some(address) => Some(bucket(address, args.endpoint.as_ref(), args.region.as_ref())),
        None if args.to == Path::new("folder") => None,
        None => {
            return Err(CommandError::failed(format!("{} is no place to move to", args.to.display())).with_hint(
                "--to s3://BUCKET/FOLDER (or gs://, az://) names a bucket; --to folder, the folder beside the settings",
            ));
        }
    };
    if is_same(config.bucket().as_ref(), target.as_ref()) {
        return tell_already_there(context);
    }
    target.as_ref().map_or(Ok(()), BucketPlace::refuse_nested)?;
    let place = Place::new(&folder, target.as_ref().map(BucketPlace::open).transpose()?);
    place.fit(0)?;
    let to = place.spot();
    let store = to_move(context, &to)?;
    let copied = copying(context, |progress| store.move_to(&to, progress))?;
    config.put_place(target, store.home());
    drop(store);
    config.save(&folder)?;
    tell(context, "moved to", &to, &copied)?;
    Ok(Answer::YES)
}

/// Tells whether two places are one, as far as an endpoint and a region are named at all.
fn is_same(one: Option<&BucketPlace>, other: Option<&BucketPlace>) -> bool {
    let fits = |one: &Option<String>, other: &Option<String>| one == other || other.is_none();
    match (one, other) {
        (Some(one), Some(other)) => {
            one.address == other.address && fits(&one.endpoint, &other.endpoint) && fits(&one.region, &other.region)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Answers who moves the log to where the settings say that it is.
fn tell_already_there(context: &Context) -> Result<Answer, CommandError> {
    let store = Workspace::local_store(context, false)?;
    let place = Place::of_context(context)?.spot();
    let state = store.state().map_err(|e| CommandError::because("cannot tell whether the log is here", e))?;
    if let Some(state) = state {
        return Err(CommandError::failed(format!("the settings name {}, and {state}", place.name())));
    }
    let size = store.size();
    let object = json!({ "place": place.name(), "entries": size, "new": 0 });
    context.output.either(&object, &[format!("already there, {}: {size} entries", place.name())])?;
    Ok(Answer::YES)
}

/// Opens the log that is to be moved. One whose move was cut off is closed: in a bucket somebody may write to it who does not
/// know that yet, and has to be stopped with its key.
fn to_move(context: &Context, to: &griptrace_store::Place) -> Result<Store, CommandError> {
    let store = Workspace::local_store(context, false)?;
    let state = store.state().map_err(|e| CommandError::because("cannot tell whether the log may be moved", e))?;
    let (is_closed, is_in_bucket) = (state == Some(Closed::Moved(to.address())), store.is_in_bucket());
    if is_closed && !is_in_bucket {
        return Ok(store);
    }
    drop(store);
    if is_closed {
        return Joining::new(context, "", false)?.open();
    }
    match context.workspace_for_recording()?.store {
        Log::Local(store) => Ok(store),
        Log::Remote(_) => Err(CommandError::failed("the log is on a server")),
    }
}

/// Copies, and shows how far it is.
pub(super) fn copying(
    context: &Context,
    copy: impl FnOnce(&dyn Fn(&str, u64, u64)) -> Result<Copied, CopyError>,
) -> Result<Copied, CommandError> {
    let bar = context.output.progress("copying");
    copy(&|what: &str, done, total| bar.step(what, done, total)).map_err(|error| {
        let hint = match &error {
            CopyError::OtherLog { .. } => "look whether the place is the right one",
            CopyError::Damaged { .. } => "the log goes on where it is: put that object back from a backup, or remove it if there is none (docs/store.md says what is lost without), and give the same command again",
            CopyError::NoWriter { .. } => "see who writes to it, and end that",
            CopyError::LostTurn { .. } => "give the same command again: it takes the turn, copies the rest, and opens the log there",
            CopyError::Below { .. } => "find the newest copy; if there is none, begin a new log with `griptrace init`",
            CopyError::WasBackup { .. } => "if it was a backup, and nobody is to write there, remove all of it, find out who did, and back up again, to another place if in doubt; if the log goes on there, back it up from there",
            CopyError::Taken { .. } => "name an empty place, or an earlier backup of this log",
            CopyError::Forked { .. } | CopyError::Newer { .. } => {
                "the log here was set back, or the copy is of one that went on elsewhere: find out which is the right one before either is written to"
            }
            CopyError::Open(OpenError::Closed { state: Closed::Moved(_), .. }) => "what is here is as it was when the log was moved, and nothing new comes here: back it up where it is now",
            CopyError::Open(_) | CopyError::Storage(_) | _ => "nothing is lost, and where the log is, nothing was changed: the same command goes on where this one stopped",
        };
        CommandError::because("cannot copy the log", error).with_hint(hint)
    })
}

pub(super) fn tell(
    context: &Context,
    done: &str,
    place: &griptrace_store::Place,
    copied: &Copied,
) -> Result<(), CommandError> {
    let Copied { size, had, erased, damaged, lacking, .. } = copied;
    if !erased.is_empty() {
        let objects = erased.join(", ");
        context.output.talk(format_args!(
            "erased there too; if the bucket keeps old versions of objects, remove those of: {objects}"
        ));
    }
    let new = size.saturating_sub(*had);
    let mut lines = vec![format!("{done} {}: {size} entries, {new} of them new", place.name())];
    lines.extend(damaged.iter().map(|Damage { object, why, is_kept }| {
        let kept = if *is_kept { "the copy has a whole one, and keeps it" } else { "the copy has none that is whole" };
        format!("FAULT  {object}: {why} (where it comes from; {kept})")
    }));
    lines.extend(lacking.iter().map(|object| {
        format!("FAULT  {object}: the copy has it, or more of it, and what it comes from has not (the copy keeps it)")
    }));
    let of = |Damage { object, why, is_kept }: &Damage| json!({ "object": object, "why": why, "kept": is_kept });
    let damaged: Vec<_> = damaged.iter().map(of).collect();
    let object = json!({
        "place": place.name(), "entries": size, "new": new, "erased": erased, "damaged": damaged, "lacking": lacking,
    });
    context.output.either(&object, &lines)
}

/// Refuses where the log is on a server: its operator does this.
pub(super) fn refuse_server(context: &Context, what: &str) -> Result<(), CommandError> {
    match Workspace::server_url(context)? {
        None => Ok(()),
        Some(url) => Err(CommandError::failed(format!("{what} a log of this machine's, and this one is on {url}"))
            .with_hint("run it where the log is kept, as its operator")),
    }
}
