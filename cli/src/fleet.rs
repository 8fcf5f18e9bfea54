//! A fleet: plants that each have a log of their own, and one place that knows them all.
//!
//! `fleet.toml` names the plants, with the keys by which whoever writes the file believes them. Each has a folder here with
//! a mirror of what its log publishes, which grows and is never taken back; the private part of a log stays where it is,
//! and is read there.

pub(crate) mod abroad;
pub(crate) mod across;
pub(crate) mod contact;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_bucket::{BucketStore, Options};
use griptrace_core::{
    entry::genesis_hash,
    id::GenesisHash,
    note::{KeyKind, NoteVerifier},
    tile::{EntryBundle, decode_entries},
    word::Word,
};
use griptrace_store::{OpenOptions, Store, bucket::Bucket};
use griptrace_witness::{
    fetch::Fetcher,
    mirror::{Mirror, PUBLISHED},
    shelf::Folder,
    tiles::{Resources, Tiles},
};
use serde::Deserialize;

use crate::{
    context::Context,
    environment,
    error::CommandError,
    log_source::Log,
    output::Output,
    remote::{Remote, Target, check_url, read_token},
    workspace::Workspace,
};

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlantSettings {
    name: String,
    vkey: String,
    /// Keys that the log had before, the oldest first.
    #[serde(default)]
    earlier: Vec<String>,
    log: Option<String>,
    tiles: Option<String>,
    #[serde(default)]
    server: ServerSettings,
}

/// How to get into a server.
#[derive(Clone, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerSettings {
    ca: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    token_file: Option<PathBuf>,
    #[serde(default)]
    plain_http: bool,
}

/// The plants, and by whom their evidence is believed.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) file: PathBuf,
    pub(crate) trust: Option<PathBuf>,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) plants: Vec<Plant>,
}

/// A plant with a log of its own.
#[derive(Clone, Debug)]
pub(crate) struct Plant {
    pub(crate) name: String,
    /// The log's keys, in the order in which they were in use.
    pub(crate) keys: Vec<NoteVerifier>,
    /// Where its private log is read.
    log: Option<Place>,
    /// Where its public tiles are.
    tiles: Place,
    /// Its mirror's folder here.
    pub(crate) folder: PathBuf,
    server: ServerSettings,
}

/// Where something is read.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Folder(PathBuf),
    /// A bucket, by its address.
    Bucket(String),
    Url(String),
}

/// What is published in a bucket.
#[derive(Debug)]
struct InBucket(Arc<dyn Bucket>);

impl Resources for InBucket {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(path, None)?.map(|part| part.bytes))
    }
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

impl Plant {
    fn of(settings: PlantSettings, base: &Path, mirrors: &Path) -> Result<Self, String> {
        let PlantSettings { name, vkey, earlier, log, tiles, server } = settings;
        let Some(word) = Word::parse(&name) else {
            return Err(format!(
                "{name:?} names no plant: a name is 1 to 64 of a-z 0-9 . - and begins with a letter or digit"
            ));
        };
        let key = |vkey: String| match NoteVerifier::parse(&vkey) {
            Ok(key) if key.kind() == KeyKind::Ed25519 => Ok(key),
            Ok(_) => Err(format!("{vkey} of the plant {name} is a cosigner's key")),
            Err(e) => Err(format!("{vkey} of the plant {name} is no vkey: {e}")),
        };
        let keys: Vec<NoteVerifier> = earlier.into_iter().chain([vkey]).map(key).collect::<Result<_, _>>()?;
        if keys.windows(2).any(|pair| matches!(pair, [a, b] if a.name() != b.name())) {
            return Err(format!("the keys of the plant {name} are of several logs"));
        }
        let log = log.map(|log| Place::parse(&log, base)).transpose()?;
        let tiles = match (tiles, &log) {
            (Some(tiles), _) => Place::parse(&tiles, base)?,
            (None, Some(place @ (Place::Folder(_) | Place::Bucket(_)))) => place.clone(),
            (None, Some(Place::Url(_)) | None) => {
                return Err(format!("nothing says where the plant {name} publishes its tiles"));
            }
        };
        Ok(Self { folder: mirrors.join(word.to_string()), name, keys, log, tiles, server })
    }

    /// Returns the name of its log.
    pub(crate) fn origin(&self) -> &str {
        self.keys.first().map_or("", NoteVerifier::name)
    }

    /// Returns its mirror, to look at.
    pub(crate) fn mirror(&self) -> Mirror {
        Mirror::new(Arc::new(Folder::open(&self.folder)), self.keys.clone())
    }

    /// Returns its mirror, to write; one process at a time may.
    pub(crate) fn mirror_to_write(&self) -> Result<Mirror, CommandError> {
        fs::create_dir_all(&self.folder).map_err(|e| CommandError::file("create", &self.folder, e))?;
        let locked = Folder::lock(&self.folder).map_err(|e| CommandError::file("open", &self.folder, e))?;
        Ok(Mirror::new(Arc::new(locked), self.keys.clone()))
    }

    /// Returns where it publishes.
    pub(crate) fn tiles(&self, fetcher: &Fetcher) -> Result<Tiles, CommandError> {
        Ok(match &self.tiles {
            Place::Url(url) => Tiles::at(url, fetcher),
            Place::Bucket(address) => Tiles::Other(Arc::new(InBucket(open_bucket(address)?))),
            // What is published lies in a store's own folder; another folder is itself what is published.
            Place::Folder(folder) => Tiles::Folder(store_in(folder).unwrap_or_else(|| folder.clone())),
        })
    }

    /// Opens its log, to ask.
    pub(crate) fn open(&self, output: &Output) -> Result<Workspace, CommandError> {
        let log = self.log.as_ref().ok_or_else(|| CommandError::failed("nothing says where its log is read"))?;
        match log {
            Place::Folder(folder) => {
                let dir = store_in(folder)
                    .ok_or_else(|| CommandError::failed(format!("no store in {}", folder.display())))?;
                let opened = Store::open(&dir, self.options(output));
                let store = opened
                    .map_err(|e| CommandError::because(format!("cannot open the store in {}", dir.display()), e))?;
                self.check(&store)?;
                let beside = dir.parent().unwrap_or(&dir).to_owned();
                Ok(Workspace::to_ask(beside, Log::Local(store)))
            }
            Place::Bucket(address) => {
                // This machine's folder for what it makes of the bucket.
                let local = self.folder.join("bucket");
                fs::create_dir_all(&local).map_err(|e| CommandError::file("create", &local, e))?;
                let store = Store::join_in(open_bucket(address)?, &local, self.options(output))
                    .map_err(|e| CommandError::because(format!("cannot open the log in {address}"), e))?;
                self.check(&store)?;
                Ok(Workspace::to_ask(self.folder.clone(), Log::Local(store)))
            }
            Place::Url(url) => {
                let target = self.target(url)?;
                fs::create_dir_all(&self.folder).map_err(|e| CommandError::file("create", &self.folder, e))?;
                let remote = Remote::connect(output, &target, &self.folder, Some(self.origin()))?;
                Ok(Workspace::to_ask(self.folder.clone(), Log::Remote(Box::new(remote))))
            }
        }
    }

    fn options(&self, output: &Output) -> OpenOptions {
        let bar = output.progress(&format!("reading the log of {}", self.name));
        let progress = Box::new(move |what: &str, done, total| bar.step(what, done, total));
        OpenOptions { progress: Some(progress), ..OpenOptions::default() }
    }

    /// Refuses a store that is of another log, or older than what was seen of this one.
    fn check(&self, store: &Store) -> Result<(), CommandError> {
        let newest = store.verifiers().into_iter().next();
        if newest.as_ref().is_none_or(|key| !self.keys.contains(key)) {
            let found = newest.map_or_else(String::new, |key| key.to_vkey());
            return Err(CommandError::failed(format!("its log has the key {found}, which fleet.toml does not name")));
        }
        let seen = self.mirror().seen().map_err(|e| CommandError::because("its mirror can't be read", e))?;
        match seen.map(|seen| seen.checkpoint.size).filter(|seen| *seen > store.size()) {
            Some(seen) => {
                Err(CommandError::failed(format!("its log has {} entries, and {seen} were seen", store.size())))
            }
            None => Ok(()),
        }
    }

    fn target(&self, url: &str) -> Result<Target, CommandError> {
        let server = self.server.clone();
        check_url(url, server.plain_http)?;
        Ok(Target {
            url: url.trim_end_matches('/').to_owned(),
            ca: server.ca,
            client_cert: server.client_cert,
            client_key: server.client_key,
            token: server.token_file.as_deref().map(read_token).transpose()?,
            // A server's log is known by its first key.
            log: self.keys.first().map(NoteVerifier::to_vkey),
        })
    }

    /// Returns the hash of the log's genesis, as the mirror has it.
    pub(crate) fn home(&self) -> Option<GenesisHash> {
        let size = self.mirror().mirrored().ok()??.checkpoint.size;
        let bundle = EntryBundle::in_tree(0, size)?;
        let bytes = fs::read(self.folder.join(PUBLISHED).join(bundle.path())).ok()?;
        decode_entries(&bytes, bundle.width()).ok()?.first().map(|entry| genesis_hash(entry))
    }
}

impl Place {
    fn parse(text: &str, base: &Path) -> Result<Self, String> {
        match text.split_once("://") {
            None => Ok(Self::Folder(base.join(text))),
            Some(("http" | "https", _)) => Ok(Self::Url(text.trim_end_matches('/').to_owned())),
            Some(("s3" | "gs" | "az", _)) => Ok(Self::Bucket(text.to_owned())),
            Some(_) => Err(format!(
                "{text:?} is neither a folder, nor a bucket (s3://, gs://, az://), nor an address that begins with http:// or https://"
            )),
        }
    }
}

fn open_bucket(address: &str) -> Result<Arc<dyn Bucket>, CommandError> {
    let bucket = BucketStore::open(address, Options::from_environment(environment::buckets()));
    Ok(Arc::new(bucket.map_err(|e| CommandError::because(format!("cannot use the bucket {address}"), e))?))
}

/// Finds the store in a folder: itself, that of the settings in it, or that of the project.
fn store_in(folder: &Path) -> Option<PathBuf> {
    let found = [folder.join(".griptrace").join("store"), folder.join("store"), folder.to_owned()];
    found.into_iter().find(|dir| dir.join("segments").is_dir())
}
