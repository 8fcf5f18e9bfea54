//! What all topics share: sizes, a folder, and one large store that is loaded once.

use core::cell::OnceCell;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

use griptrace_core::id::NodeId;
use serde_json::Value as Json;

use crate::{Failure, child, report::progress};

/// How this run measures.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) smoke: bool,
    folder: tempfile::TempDir,
    million: OnceCell<Result<Million, String>>,
}

/// The large store: 10^6 nodes in commits of 1 000, with models on the way.
#[derive(Debug)]
pub(crate) struct Million {
    /// The folder with settings and store, as the program takes it.
    pub(crate) folder: PathBuf,
    /// Models, each with how many nodes there were when it was made, itself included.
    models: Vec<(usize, NodeId)>,
    pub(crate) nodes: usize,
    /// What the loading process told of its own times.
    pub(crate) loaded: Json,
    indexed: OnceCell<Result<Json, String>>,
}

/// The commits after which the large store gets a model: from 10^3 to 10^6 nodes.
const MODELS_AFTER: [usize; 7] = [1, 3, 10, 30, 100, 300, 1_000];
/// The places of the models behind 10^4, 10^5 and 10^6 nodes.
pub(crate) const AT_1E4: usize = 2;
pub(crate) const AT_1E5: usize = 4;
pub(crate) const AT_1E6: usize = 6;

impl Setup {
    pub(crate) fn new(smoke: bool, temp: Option<&Path>) -> Result<Self, Failure> {
        let parent = temp.map_or_else(env::temp_dir, Path::to_path_buf);
        fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("griptrace-figures-").tempdir_in(parent)?;
        Ok(Self { smoke, folder, million: OnceCell::new() })
    }

    /// Returns the folder of this run, which goes with it.
    pub(crate) fn temp(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a folder in that of this run, which goes when it is dropped.
    pub(crate) fn folder(&self) -> Result<tempfile::TempDir, Failure> {
        Ok(tempfile::tempdir_in(self.temp())?)
    }

    /// Chooses between the size of a measurement and that of a trial.
    pub(crate) fn size(&self, full: usize, small: usize) -> usize {
        if self.smoke { small } else { full }
    }

    /// Returns the large store, which is loaded by another process when it is first asked for.
    pub(crate) fn million(&self) -> Result<&Million, Failure> {
        let made = self.million.get_or_init(|| self.load().map_err(|error| format!("the large store: {error}")));
        made.as_ref().map_err(|why| why.clone().into())
    }

    fn load(&self) -> Result<Million, Failure> {
        let folder = self.temp().join("million");
        let (marks, each) = if self.smoke { ([1, 2, 3, 4, 5, 6, 7], 20) } else { (MODELS_AFTER, 1_000) };
        progress(&format!("loading a store of {} nodes", marks.iter().max().unwrap_or(&0) * each));
        let marks = marks.map(|mark| mark.to_string()).join(",");
        let loaded = child::ask("load", &[folder.as_os_str(), each.to_string().as_ref(), marks.as_ref()])?;
        let models = loaded.get("models").and_then(Json::as_array).ok_or("no models")?;
        let models = models.iter().map(read_model).collect::<Option<Vec<_>>>().ok_or("a model cannot be read")?;
        let nodes = models.iter().map(|(nodes, _)| *nodes).max().unwrap_or(0);
        Ok(Million { folder, models, nodes, loaded, indexed: OnceCell::new() })
    }
}

fn read_model(model: &Json) -> Option<(usize, NodeId)> {
    let nodes = usize::try_from(model.get("nodes")?.as_u64()?).ok()?;
    Some((nodes, NodeId::from_hex(model.get("id")?.as_str()?)?))
}

impl Million {
    /// Returns a model by its place, and how many nodes stand behind it, itself included; so many
    /// that are models on the way, or steps to these, it does not stand on.
    pub(crate) fn model(&self, place: usize) -> Result<(usize, NodeId), Failure> {
        let (nodes, id) = self.models.get(place).ok_or("no such model")?;
        Ok((nodes - 2 * place, *id))
    }

    /// Returns all models, as [`Self::model`] does.
    pub(crate) fn models(&self) -> impl Iterator<Item = (usize, NodeId)> + '_ {
        self.models.iter().enumerate().map(|(place, (nodes, id))| (nodes - 2 * place, *id))
    }

    /// Has the index filled by another process, from nothing, once; returns what that told.
    pub(crate) fn indexed(&self) -> Result<&Json, Failure> {
        let made = self.indexed.get_or_init(|| {
            progress("filling the index of the large store");
            let index = self.folder.join("store/index");
            if index.exists() {
                fs::remove_dir_all(&index).map_err(|error| format!("the index: {error}"))?;
            }
            child::ask("index", &[self.folder.as_os_str()]).map_err(|error| format!("the index: {error}"))
        });
        made.as_ref().map_err(|why| why.clone().into())
    }
}
