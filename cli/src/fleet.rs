//! A fleet: plants that each have a log of their own, and one place that knows them all.
//!
//! `fleet.toml` names the plants, with the keys by which whoever writes the file believes them. Each has a folder here with
//! a mirror of what its log publishes, which grows and is never taken back; the private part of a log stays where it is,
//! and is read there.

pub(crate) mod abroad;
pub(crate) mod across;
pub(crate) mod contact;
mod plant;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub(crate) use self::plant::Plant;
use self::plant::PlantSettings;
use crate::{context::Context, error::CommandError, workspace::Workspace};

/// What the file is called where nobody names another one.
const FILE: &str = "fleet.toml";
/// Where the mirrors are, beside the file, where it says nothing else.
const MIRRORS: &str = "fleet";

/// The file, as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The folder of the mirrors.
    mirrors: Option<PathBuf>,
    /// Whom evidence of the plants is believed by.
    trust: Option<PathBuf>,
    /// What is asked of it.
    policy: Option<PathBuf>,
    #[serde(default)]
    plant: Vec<PlantSettings>,
}

/// The plants, and by whom their evidence is believed.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) file: PathBuf,
    pub(crate) trust: Option<PathBuf>,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) plants: Vec<Plant>,
}

impl Fleet {
    /// Reads the file that was named, or that beside the settings of the store, or that of this folder.
    pub(crate) fn load(context: &Context, named: Option<&Path>) -> Result<Self, CommandError> {
        let beside = || context.store_folder().ok().map(|folder| folder.join(FILE)).filter(|path| path.is_file());
        Self::read(&named.map(Path::to_owned).or_else(beside).unwrap_or_else(|| PathBuf::from(FILE)))
    }

    /// Reads the file beside the settings of a store, if there is one.
    pub(crate) fn beside(workspace: &Workspace) -> Result<Option<Self>, CommandError> {
        let path = workspace.folder().join(FILE);
        path.is_file().then(|| Self::read(&path)).transpose()
    }

    fn read(path: &Path) -> Result<Self, CommandError> {
        let text = fs::read_to_string(path).map_err(|e| {
            CommandError::file("read", path, e)
                .with_hint("docs/fleet.md tells what a fleet.toml holds; --fleet FILE names one")
        })?;
        let wrong = |e| CommandError::because(format!("{} is wrong", path.display()), e);
        let settings: Settings = toml::from_str(&text).map_err(wrong)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mirrors = base.join(settings.mirrors.unwrap_or_else(|| MIRRORS.into()));
        let plants = settings.plant.into_iter().map(|plant| Plant::of(plant, base, &mirrors));
        let plants: Vec<Plant> = plants
            .collect::<Result<_, _>>()
            .map_err(|why| CommandError::failed(format!("{} is wrong: {why}", path.display())))?;
        for (at, plant) in plants.iter().enumerate() {
            let is_same = |other: &&Plant| other.name == plant.name || other.origin() == plant.origin();
            if let Some(other) = plants.iter().take(at).find(is_same) {
                let (one, other) = (&plant.name, &other.name);
                return Err(CommandError::failed(format!(
                    "{} is wrong: the plants {other} and {one} have one name or one log",
                    path.display()
                )));
            }
        }
        let at = |file: PathBuf| base.join(file);
        Ok(Self { file: path.to_owned(), trust: settings.trust.map(at), policy: settings.policy.map(at), plants })
    }

    /// Returns the plant of a name.
    pub(crate) fn plant(&self, name: &str) -> Result<&Plant, CommandError> {
        self.plants.iter().find(|plant| plant.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.plants.iter().map(|plant| plant.name.as_str()).collect();
            CommandError::failed(format!("{} names no plant {name:?}", self.file.display()))
                .with_hint(format!("it names {}", names.join(", ")))
        })
    }
}
