//! Syncing the mirrors of a fleet, and what is remembered of it.

use core::error::Error;
use std::fs;

use griptrace_witness::{
    fetch::Fetcher,
    mirror::{MirrorError, Synced},
};
use serde::{Deserialize, Serialize};

use super::{Fleet, Plant};
use crate::{clock, error::CommandError};

/// What is remembered, in the plant's folder.
const FILE: &str = "contact.json";

/// When a plant was asked, and what it said.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Contact {
    /// When it was asked last: Unix time in seconds.
    pub(crate) tried: u64,
    /// When its log was last mirrored to its newest checkpoint.
    pub(crate) reached: Option<u64>,
    /// Why not, the last time.
    pub(crate) error: Option<String>,
}

/// What came of asking a plant.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) plant: String,
    pub(crate) result: Result<Synced, Trouble>,
}

/// Why a plant's log was not mirrored.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// In one line.
    pub(crate) text: String,
    /// Whether its log broke its promise, which is not for want of a network.
    pub(crate) is_lie: bool,
}

impl Contact {
    /// Reads what is remembered of a plant. What can't be read is not worth more than nothing.
    pub(crate) fn read(plant: &Plant) -> Self {
        let bytes = fs::read(plant.folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn write(&self, plant: &Plant) -> Result<(), CommandError> {
        let (path, temporary) = (plant.folder.join(FILE), plant.folder.join("contact.new"));
        let bytes = serde_json::to_vec(self).map_err(|e| CommandError::because("cannot write what was seen", e))?;
        let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|e| CommandError::file("write", &path, e))
    }
}

/// Runs what waits for the network.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::because("the system gives no runtime for the network", e))
}

/// Mirrors the newest of every plant's log, all at once: none waits for another. In the order of the plants.
pub(crate) async fn sync_all(fleet: &Fleet, fetcher: &Fetcher) -> Vec<Outcome> {
    let tasks: Vec<_> = fleet.plants.iter().map(|plant| tokio::spawn(sync(plant.clone(), fetcher.clone()))).collect();
    let mut outcomes = Vec::new();
    for (plant, task) in fleet.plants.iter().zip(tasks) {
        let broken = |e| Err(Trouble { text: one_line(&e), is_lie: false });
        outcomes.push(Outcome { plant: plant.name.clone(), result: task.await.unwrap_or_else(broken) });
    }
    outcomes
}

/// Mirrors the newest of a plant's log, and remembers what came of it.
pub(crate) async fn sync(plant: Plant, fetcher: Fetcher) -> Result<Synced, Trouble> {
    let result = mirror(&plant, &fetcher).await;
    let tried = clock::now();
    let before = Contact::read(&plant).reached;
    let contact = match &result {
        Ok(_) => Contact { tried, reached: Some(tried), error: None },
        Err(trouble) => Contact { tried, reached: before, error: Some(trouble.text.clone()) },
    };
    match (contact.write(&plant), result) {
        (Err(error), Ok(_)) => Err(Trouble::of(&error)),
        (Ok(()) | Err(_), result) => result,
    }
}

async fn mirror(plant: &Plant, fetcher: &Fetcher) -> Result<Synced, Trouble> {
    let mirror = plant.mirror_to_write().map_err(|e| Trouble::of(&e))?;
    let tiles = plant.tiles(fetcher).map_err(|e| Trouble::of(&e))?;
    mirror
        .sync(&tiles)
        .await
        .map_err(|error| Trouble { text: one_line(&error), is_lie: matches!(error, MirrorError::Lie { .. }) })
}

impl Trouble {
    fn of(error: &CommandError) -> Self {
        Self { text: one_line(error.source.as_ref()), is_lie: false }
    }
}

/// Returns an error and its causes in one line.
pub(crate) fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', " ")
}
