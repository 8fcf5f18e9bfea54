//! A log that is opened for long, by who serves or moves it.

use std::path::PathBuf;

use griptrace_store::{OpenOptions, Store};

use super::{Config, Workspace, log_signer};
use crate::{
    context::Context,
    error::CommandError,
    keyfile,
    output::Output,
    place::{self, Place},
    witnesses,
};

/// How the log on this machine, or in its bucket, is opened for who goes on for long. It can be tried again.
#[derive(Debug)]
pub(crate) struct Joining {
    folder: PathBuf,
    config: Config,
    output: Output,
    /// Where it takes commits while it writes, told to the others that may write.
    address: String,
    is_replica: bool,
}

impl Joining {
    /// Finds the log. A replica never writes.
    pub(crate) fn new(context: &Context, address: &str, is_replica: bool) -> Result<Self, CommandError> {
        let folder = Workspace::find(context.named_store())?;
        let config = Config::read(&folder)?;
        Ok(Self { folder, config, output: context.output.clone(), address: address.to_owned(), is_replica })
    }

    /// Opens it. Whoever calls this calls `Store::tend`.
    pub(crate) fn open(&self) -> Result<Store, CommandError> {
        let Self { folder, config, output, address, is_replica } = self;
        let place = Place::of(folder, config)?;
        // A copy of a log in a bucket is served without its key too.
        let reads_only = *is_replica || config.store.is_some() && config.keys.log.is_none();
        let signer = if reads_only { None } else { Some(log_signer(folder, config)?) };
        let next = config.keys.next_log.as_ref().filter(|_| signer.is_some());
        let next = next.map(|path| keyfile::read(&folder.join(path))?.note_signer(&config.origin));
        let (progress, next_signer) = (Some(place::progress(output)), next.transpose()?);
        let store = place.join(OpenOptions { signer, next_signer, progress, address: address.clone() })?;
        config.check_home(&place, &store)?;
        place::warn_if_moved(output, &store);
        witnesses::refuse_split(folder, &store)?;
        Ok(store)
    }
}
