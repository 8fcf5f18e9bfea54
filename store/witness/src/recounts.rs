//! Status maps recomputed beside the cosigning, which never waits for them longer than a little.

use core::time::Duration;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use griptrace_core::note::NoteSignature;
use tokio::time::timeout;

use crate::{
    fetch::Fetcher,
    log::origin_hash,
    map::{Recount, RecountError},
    tiles::Tiles,
    witness::{Added, Witness},
};

/// How long a request waits for its line: what takes longer is there when the log asks again.
const WAIT: Duration = Duration::from_secs(3);
/// How long the entries of one checkpoint may take to come.
const RECOUNT_MAX: Duration = Duration::from_secs(3600);

/// The status maps of all logs whose tiles are known, in memory: the first checkpoint after a start reads the
/// whole log.
#[derive(Debug)]
pub struct Recounts {
    witness: Arc<Witness>,
    fetcher: Fetcher,
    /// One at a time for each log; who finds it taken has no line this time.
    maps: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Recount>>>>,
}

impl Recounts {
    /// Makes an empty one.
    pub fn new(witness: Arc<Witness>, fetcher: Fetcher) -> Self {
        Self { witness, fetcher, maps: Mutex::default() }
    }

    /// Returns the line about the status map of a checkpoint that was cosigned, if it is there soon. It is worked on
    /// to its end in any case.
    pub async fn line(&self, added: &Added) -> Option<NoteSignature> {
        let url = added.log.keys().url.clone()?;
        let origin = &added.checkpoint.origin;
        let map = {
            let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(maps.entry(origin_hash(origin)).or_default())
        };
        let mut map = map.try_lock_owned().ok()?;
        let tiles = Tiles::at(&url, &self.fetcher);
        let (witness, added) = (Arc::clone(&self.witness), added.clone());
        let work = tokio::spawn(async move {
            let advanced = timeout(RECOUNT_MAX, map.advance(&tiles, &added.checkpoint)).await;
            match advanced {
                Ok(Ok(())) => {
                    // Kept before it is told, as any other line.
                    let add = move || witness.add_map(&added.log, &added.checkpoint);
                    tokio::task::spawn_blocking(add).await.ok().flatten()
                }
                Ok(Err(error)) => {
                    refuse(&witness, &added, &error);
                    None
                }
                Err(_) => None,
            }
        });
        timeout(WAIT, work).await.ok()?.ok()?
    }
}

/// Tells why there is no line, and keeps what shows a lie.
fn refuse(witness: &Witness, added: &Added, error: &RecountError) {
    let (origin, size) = (&added.checkpoint.origin, added.checkpoint.size);
    let cause = core::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(origin, size, %error, cause, "the status map is not vouched for");
    if let RecountError::Lie(lie) = error {
        let text = format!("{lie}\n\n{}", added.note);
        witness.keep_lie(&added.log, &format!("map-{size}"), text.as_bytes());
    }
}
