//! Where the log of a folder is kept: beside the settings, or in a bucket. Every command opens it here.
//!
//! For a bucket the folder `store` holds only what this machine made of it: an index, copies, what was seen last.

mod nested;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_bucket::{BucketStore, Options, probe};
use griptrace_core::{digest::file_digest, entry::Genesis, note::NoteSigner};
use griptrace_store::{Closed, FsckReport, OpenError, OpenOptions, StorageError, Store, bucket::Bucket};

use crate::{clock, context::Context, environment, error::CommandError, output::Output, workspace::Config};

/// The folder beside the settings: the store itself, or what this machine makes of a bucket.
const STORE: &str = "store";
/// When a bucket was last found fit, in that folder.
const FIT: &str = "fit";
/// How long that is believed by commands that are over soon, in seconds: a service looks again whenever it starts.
const FIT_SECONDS: u64 = 24 * 60 * 60;
/// Beginnings of the addresses of buckets.
const SCHEMES: [&str; 3] = ["s3://", "gs://", "az://"];

/// Where a bucket is and how it is reached, as the settings name it. What lets one in never stands here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BucketPlace {
    /// `s3://BUCKET/FOLDER`.
    pub(crate) address: String,
    /// Its service, if it is not the cloud's own.
    pub(crate) endpoint: Option<String>,
    /// Where the bucket is.
    pub(crate) region: Option<String>,
}

/// Where a log is kept.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    bucket: Option<Arc<dyn Bucket>>,
}

/// Returns the address of a bucket, if it is one.
pub(crate) fn bucket_address(place: &Path) -> Option<&str> {
    place.to_str().filter(|text| SCHEMES.iter().any(|scheme| text.starts_with(scheme)))
}

impl BucketPlace {
    /// Takes the bucket. Nothing is asked of it yet.
    pub(crate) fn open(&self) -> Result<Arc<dyn Bucket>, CommandError> {
        let options = Options::from_environment(self.settings().chain(environment::buckets()));
        let bucket = BucketStore::open(&self.address, options)
            .map_err(|e| CommandError::because(format!("cannot use the bucket {}", self.address), e))?;
        Ok(Arc::new(bucket))
    }

    /// Takes the bucket as a place to copy to or from, with a folder beside the settings for what this machine makes of it.
    pub(crate) fn beside(&self, folder: &Path) -> Result<griptrace_store::Place, CommandError> {
        let name = file_digest(self.address.as_bytes()).to_string();
        let local = folder.join("places").join(name.get(..16).unwrap_or_default());
        Ok(griptrace_store::Place::Bucket(self.open()?, local))
    }

    /// What the settings say, under names that give way to what the environment says.
    fn settings(&self) -> impl Iterator<Item = (String, String)> {
        let name = if self.address.starts_with("az://") { "AZURE_ENDPOINT" } else { "AWS_ENDPOINT" };
        let endpoint = self.endpoint.iter().map(move |url| (name.to_owned(), url.clone()));
        let region = self.region.iter().map(|name| ("AWS_DEFAULT_REGION".to_owned(), name.clone()));
        endpoint.chain(region)
    }
}

impl Place {
    /// Finds the place that the settings in a folder name.
    pub(crate) fn of(folder: &Path, config: &Config) -> Result<Self, CommandError> {
        let bucket = config.bucket().map(|bucket| bucket.open()).transpose()?;
        Ok(Self::new(folder, bucket))
    }

    /// Finds the place of the store that a command means.
    pub(crate) fn of_context(context: &Context) -> Result<Self, CommandError> {
        let folder = context.store_folder()?;
        Self::of(&folder, &Config::read(&folder)?)
    }

    /// Names a place that no settings name yet.
    pub(crate) fn new(folder: &Path, bucket: Option<Arc<dyn Bucket>>) -> Self {
        Self { folder: folder.to_owned(), bucket }
    }

    /// Returns the place as the store knows it.
    pub(crate) fn spot(&self) -> griptrace_store::Place {
        match &self.bucket {
            Some(bucket) => griptrace_store::Place::Bucket(Arc::clone(bucket), self.store()),
            None => griptrace_store::Place::Folder(self.store()),
        }
    }

    /// Says what is where.
    pub(crate) fn name(&self) -> String {
        match &self.bucket {
            Some(bucket) => format!("the log in {}", bucket.address()),
            None => format!("the store in {}", self.folder.display()),
        }
    }

    /// Returns this machine's folder.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join(STORE)
    }

    /// Makes a new log here, and opens it for writing.
    pub(crate) fn init(&self, genesis: &Genesis, signer: NoteSigner, now: u64) -> Result<Store, CommandError> {
        let made = match &self.bucket {
            Some(bucket) => Store::init_in(Arc::clone(bucket), &self.store(), genesis, signer, now),
            None => Store::init(&self.store(), genesis, signer, now),
        };
        made.map_err(|error| self.failed("cannot make", error))
    }

    /// Opens the log, with a signer for writing: then a bucket's turn to write is taken, and ended with the last handle.
    pub(crate) fn open(&self, options: OpenOptions) -> Result<Store, CommandError> {
        let opened = match (&self.bucket, options.signer.is_some()) {
            (Some(bucket), true) => {
                self.fit(FIT_SECONDS)?;
                Store::open_in(Arc::clone(bucket), &self.store(), options)
            }
            // Who asks sees one state of the log, and nobody has to follow it.
            (Some(bucket), false) => Store::join_in(Arc::clone(bucket), &self.store(), options),
            (None, _) => Store::open(&self.store(), options),
        };
        opened.map_err(|error| self.failed("cannot open", error))
    }

    /// Opens the log for who goes on for long and tends it: as a reader, who with a signer takes the turn to write when it is
    /// free. In a folder there are no turns, and it is opened for writing at once.
    pub(crate) fn join(&self, options: OpenOptions) -> Result<Store, CommandError> {
        let joined = match &self.bucket {
            Some(bucket) => {
                if options.signer.is_some() {
                    self.fit(0)?;
                }
                Store::join_in(Arc::clone(bucket), &self.store(), options)
            }
            None => Store::open(&self.store(), options),
        };
        joined.map_err(|error| self.failed("cannot open", error))
    }

    /// Checks a log that is too damaged to be opened.
    pub(crate) fn fsck_closed(&self, progress: &dyn Fn(&str, u64, u64)) -> Result<FsckReport, CommandError> {
        let checked = match &self.bucket {
            Some(bucket) => Store::fsck_closed_in(Arc::clone(bucket), &self.store(), progress),
            None => Store::fsck_closed(&self.store(), progress),
        };
        checked.map_err(|e| CommandError::because(format!("cannot check {}", self.name()), e))
    }

    /// Tells whether a log was begun here.
    pub(crate) fn is_taken(&self) -> Result<bool, CommandError> {
        let Some(bucket) = &self.bucket else { return Ok(self.store().join("head").exists()) };
        let found = ["head", "checkpoint"].map(|name| bucket.get(name, Some(0..1)));
        let wrong = |e| CommandError::because(format!("cannot look for {}", self.name()), e);
        found.into_iter().try_fold(false, |is_taken, part| Ok(is_taken || part.map_err(wrong)?.is_some()))
    }

    /// Refuses a bucket that does not hold its conditions, so that two writers could fork the log (Rule R11). What was found
    /// is believed for some seconds.
    pub(crate) fn fit(&self, believed_for: u64) -> Result<(), CommandError> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let (path, now) = (self.store().join(FIT), clock::now());
        let text = fs::read_to_string(&path).unwrap_or_default();
        let (time, address) = text.trim_end().split_once(' ').unwrap_or_default();
        let since = time.parse().map_or(u64::MAX, |then| now.checked_sub(then).unwrap_or(u64::MAX));
        if since < believed_for && address == bucket.address() {
            return Ok(());
        }
        probe(&**bucket).map_err(|e| {
            CommandError::because(format!("cannot write a log in {}", bucket.address()), e).with_hint(
                "docs/operations.md says what a bucket has to hold and which rights it takes; who only asks writes nothing",
            )
        })?;
        // That it can't be kept costs the next command some requests.
        drop(fs::write(&path, format!("{now} {}\n", bucket.address())));
        Ok(())
    }

    fn failed(&self, doing: &str, error: OpenError) -> CommandError {
        let hints = hints(&error);
        let error = CommandError::because(format!("{doing} {}", self.name()), error);
        hints.into_iter().fold(error, CommandError::with_hint)
    }
}

/// Says what helps.
fn hints(error: &OpenError) -> Vec<String> {
    let hint = match error {
        OpenError::Taken { holder, .. } if holder.starts_with("http") => {
            format!("griptrace --server {holder} commits through it")
        }
        OpenError::Taken { .. } => {
            "if it is a server, --server URL commits through it; any other command is over soon, and then this one can write"
                .to_owned()
        }
        OpenError::Closed { state: Closed::Moved(to), .. } if bucket_address(Path::new(to)).is_none() => {
            "the log goes on in that folder: record there, or through its server, --server URL".to_owned()
        }
        OpenError::Closed { state: Closed::Moved(to), .. } => {
            format!("name the new place in the settings, store = \"{to}\", or make a folder for it: griptrace init --store {to} --join")
        }
        OpenError::Closed { state: Closed::Unfinished(_), .. } => {
            "an unfinished restore or move is here: give the same command again, which goes on where it was".to_owned()
        }
        OpenError::Begun { .. } => return vec![
            "another `griptrace init` may be at work, and is done within seconds: give the same command again. If a log is there then, this says so".to_owned(),
            "if it is still said minutes later, and nobody is at work, one was cut off: look what lies in the place, remove that, and begin again".to_owned(),
        ],
        OpenError::Storage(StorageError::Corrupt { object, .. }) if is_of_the_truth(object) => {
            format!("griptrace fsck tells what else is damaged; put {object} back from the bucket's older versions or a backup, as docs/operations.md says")
        }
        OpenError::Closed { .. } => "griptrace restore makes a log of a backup".to_owned(),
        OpenError::Storage(_) | OpenError::NoStore { .. } | OpenError::WrongKey { .. } | _ => return Vec::new(),
    };
    vec![hint]
}

/// Tells whether nothing but a copy has what is in an object.
fn is_of_the_truth(object: &str) -> bool {
    object.starts_with("segments/") || object.starts_with("blocks/")
}

/// Refuses an address where a folder is meant.
pub(crate) fn refuse_address(named: &Path) -> Result<(), CommandError> {
    let Some(address) = bucket_address(named) else { return Ok(()) };
    Err(CommandError::failed(format!(
        "{address} is a bucket, and a log in it is used through a folder on this machine"
    ))
    .with_hint(format!("griptrace init --store {address} --join makes one, for a log that is there")))
}

/// Says so where a log was moved away from the place that was opened, or is not all there yet.
pub(crate) fn warn_if_moved(output: &Output, store: &Store) {
    // That its state is damaged is told by an audit, and to who writes.
    match store.state() {
        Ok(Some(state @ Closed::Moved(_))) => {
            output.warn(format_args!("{state}; what is here is as it was then, and nothing new comes here"));
        }
        Ok(Some(state @ Closed::Unfinished(_))) => {
            output.warn(format_args!("{state}: give the command that copied it again, which goes on where it was"));
        }
        Ok(_) | Err(_) => {}
    }
}

/// Shows how far the reading of a log is.
pub(crate) fn progress(output: &Output) -> griptrace_store::Progress {
    let bar = output.progress("reading the log");
    Box::new(move |what: &str, done, total| bar.step(what, done, total))
}
