//! `griptrace restore`.

use std::path::{Path, PathBuf};

use griptrace_store::{Closed, Copied, Original, Place as Spot, Store};

use super::backup::{PlaceArgs, copying, refuse_server, tell};
use crate::{
    context::{Answer, Context},
    error::{CommandError, ErrorKind},
    keyfile,
    place::{BucketPlace, Place, bucket_address},
    witnesses,
    workspace::{Config, Restored, Workspace},
};

/// How many places are followed from a backup of a backup, or of a log that was moved.
const FOLLOWED_MAX: usize = 8;

/// Copy a backup to the place that the settings name, where there must be no log
///
/// Refused if anything there, on this machine, or a witness's evidence tells that more was signed than the backup has; and if the log
/// that it is a backup of is still there, or nobody can tell: going on beside it makes a second history under its key.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    from: PlaceArgs,
    /// Make the settings too, in this folder: of the backup, and of the keys that lie in DIR/.griptrace/keys or are named. With
    /// --store ADDRESS the log goes into that bucket, without it into the folder
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Only to look whether the backup is good: what is made is a backup too, which is read, checked and proven from, and never
    /// written to
    #[arg(long, requires = "into", conflicts_with = "original_is_gone")]
    drill: bool,
    /// The log that it is a backup of is gone for good, and nobody will ever write there again
    #[arg(long)]
    original_is_gone: bool,
    #[command(flatten)]
    made: MadeArgs,
}

/// What the settings are made of.
#[derive(Debug, clap::Args)]
struct MadeArgs {
    /// Who commits [default: the origin up to its first slash]
    #[arg(long, visible_alias = "issuer", value_name = "PARTY", requires = "into")]
    name: Option<String>,
    /// The log's key, a file that stays where it is [default: keys/log.key; without one the log is only read]
    #[arg(long, value_name = "FILE", requires = "into")]
    log_key: Option<PathBuf>,
    /// The committer's key, a file that stays where it is [default: keys/committer.key, which is made if it is not there]
    #[arg(long, value_name = "FILE", requires = "into")]
    committer_key: Option<PathBuf>,
    /// Encrypt a new committer's key with the passphrase in `GRIPTRACE_PASSPHRASE`
    #[arg(long, requires = "into")]
    passphrase: bool,
    /// Where the service of the bucket in --store is, kept in the settings
    #[arg(long, value_name = "URL", requires = "into")]
    store_endpoint: Option<String>,
    /// Where the bucket in --store is, kept in the settings
    #[arg(long, value_name = "NAME", requires = "into")]
    store_region: Option<String>,
}

pub(crate) fn restore(context: &Context, args: &RestoreArgs) -> Result<Answer, CommandError> {
    refuse_server(context, "restore fills")?;
    let Some(dir) = &args.into else {
        let folder = context.store_folder()?;
        let (from, backup) = args.open(&folder)?;
        return args.copy(context, &folder, &Config::read(&folder)?, (&from, &backup));
    };
    let folder = Workspace::folder_in(dir)?;
    let (from, backup) = args.open(&folder)?;
    let (config, is_made) = Restored::settle(&folder, args.restored(context)?, &backup)?;
    args.copy(context, &folder, &config, (&from, &backup)).inspect_err(|error| {
        // Nothing is left behind that names a log which is not there; the keys are nobody else's.
        if is_made && error.kind == ErrorKind::CouldNot {
            drop(Config::remove(&folder));
        }
    })
}

impl RestoreArgs {
    fn open(&self, folder: &Path) -> Result<(Spot, Store), CommandError> {
        let from = self.from.place(folder)?;
        let wrong = |e| CommandError::because(format!("cannot open the backup in {}", from.name()), e);
        let backup = from.open().map_err(wrong)?;
        Ok((from, backup))
    }

    /// Says what the settings are to be made of.
    fn restored(&self, context: &Context) -> Result<Restored, CommandError> {
        let MadeArgs { name, log_key, committer_key, passphrase, store_endpoint, store_region } = &self.made;
        let bucket = context.named_store().map(|named| {
            let address = bucket_address(named).ok_or_else(|| {
                CommandError::failed(format!("{} is not the address of a bucket", named.display()))
                    .with_hint("--into DIR names the folder; --store s3://BUCKET/FOLDER, besides, a bucket")
            })?;
            let (endpoint, region) = (store_endpoint.clone(), store_region.clone());
            Ok::<_, CommandError>(BucketPlace { address: address.trim_end_matches('/').to_owned(), endpoint, region })
        });
        let whole = |path: &Option<PathBuf>| path.as_deref().map(std::path::absolute).transpose();
        Ok(Restored {
            bucket: bucket.transpose()?,
            name: name.clone(),
            log_key: whole(log_key)?,
            committer_key: whole(committer_key)?,
            passphrase: if *passphrase { Some(keyfile::passphrase("for the new key")?) } else { None },
        })
    }

    /// Copies the backup to where the settings say.
    fn copy(
        &self,
        context: &Context,
        folder: &Path,
        config: &Config,
        (from, backup): (&Spot, &Store),
    ) -> Result<Answer, CommandError> {
        config.check_log(&from.name(), backup)?;
        witnesses::refuse_split(folder, backup)?;
        config.bucket().map_or(Ok(()), |bucket| bucket.refuse_nested())?;
        let place = Place::of(folder, config)?;
        let to = place.spot();
        if self.drill {
            let copied = copying(context, |progress| backup.back_up(&to, progress))?;
            tell(context, "copied, to be read only, to", &to, &copied)?;
            return whole(&copied, from);
        }
        self.refuse_second(folder, config, (from, backup), &to)?;
        place.fit(0)?;
        let copied = copying(context, |progress| backup.restore_to(&to, progress))?;
        tell(context, "restored to", &to, &copied)?;
        context.output.talk(
            "what was signed after this backup is lost, and nothing here could tell of it: if the log has witnesses, ask them with \
             `griptrace log cosign` before anything is recorded",
        );
        whole(&copied, from)
    }

    /// Refuses to make a second log that is written to, beside the one that this is a backup of (Rule R11).
    fn refuse_second(
        &self,
        folder: &Path,
        config: &Config,
        (from, backup): (&Spot, &Store),
        to: &Spot,
    ) -> Result<(), CommandError> {
        let state = backup.state().map_err(|e| CommandError::because("cannot tell of what this is a backup", e))?;
        let mut address = state.map_or_else(|| from.address(), Closed::into_place);
        for _ in 0..FOLLOWED_MAX {
            if address == to.address() {
                return Ok(());
            }
            let told = match self.look(folder, config, backup, &address)? {
                Ok(Original::Gone) => return Ok(()),
                Ok(Original::Elsewhere(state)) => {
                    address = state.into_place();
                    continue;
                }
                Ok(Original::There(size)) => refuse_larger(&address, size, backup.size())?,
                Err(why) => format!("nobody here can tell whether the log in {address} is still written to: {why}"),
            };
            return if self.original_is_gone { Ok(()) } else { Err(second(&told)) };
        }
        if self.original_is_gone { Ok(()) } else { Err(second("it can't be told where the log of this backup is")) }
    }

    /// Looks what is at an address, or says why that can't be told.
    fn look(
        &self,
        folder: &Path,
        config: &Config,
        backup: &Store,
        address: &str,
    ) -> Result<Result<Original, String>, CommandError> {
        let home = backup.home();
        let Some(bucket) = bucket_address(Path::new(address)) else {
            return Ok(match Spot::folder_named(address) {
                Some(spot) => spot.original(&home).map_err(|e| e.to_string()),
                None => Err("that is another machine".to_owned()),
            });
        };
        // A state does not say how the bucket is reached: as the settings do, as the backup is, or as the environment says.
        let settings = config.bucket().map(|bucket| (bucket.endpoint, bucket.region));
        let mut found = Ok(Original::Gone);
        for (endpoint, region) in settings.into_iter().chain([self.from.reached()]) {
            let bucket = BucketPlace { address: bucket.to_owned(), endpoint, region }.beside(folder)?;
            match bucket.original(&home).map_err(|e| e.to_string()) {
                Ok(Original::Gone) => {}
                there @ Ok(_) => return Ok(there),
                Err(why) => found = Err(why),
            }
        }
        Ok(found)
    }
}

/// Refuses what is certain to fork; returns what else is to be said of a log that is there.
fn refuse_larger(address: &str, size: Option<u64>, had: u64) -> Result<String, CommandError> {
    match size {
        Some(size) if size > had => Err(CommandError::failed(format!(
            "the log is in {address} with {size} entries, and the backup has {had}: going on from it would fork the log"
        ))
        .with_hint(format!("go on there, or back it up from there first; to look at the backup, {DRILL}"))),
        Some(size) => Ok(format!("the log is in {address}, with {size} entries")),
        None => Ok(format!("the log is in {address}, and is damaged")),
    }
}

/// How a backup is looked at.
const DRILL: &str = "griptrace restore BACKUP --into DIR --drill makes a copy that nobody writes to";

fn second(told: &str) -> CommandError {
    CommandError::failed(format!("{told}; going on beside it would make a second history under its key"))
        .with_hint(format!("to look at the backup, {DRILL}; to have the log elsewhere, griptrace migrate"))
        .with_hint("if nobody will ever write there again, --original-is-gone")
}

/// Ends with what was damaged in the backup: it is not in the log.
fn whole(copied: &Copied, from: &Spot) -> Result<Answer, CommandError> {
    if copied.damaged.is_empty() {
        return Ok(Answer::YES);
    }
    let objects: Vec<&str> = copied.damaged.iter().map(|damage| damage.object.as_str()).collect();
    Err(CommandError::refused(format!(
        "the log is there, without what is damaged in the backup in {}: {}",
        from.name(),
        objects.join(", ")
    ))
    .with_hint("put each there from another backup, under the same name, and look with griptrace fsck; docs/store.md says what is lost without"))
}
