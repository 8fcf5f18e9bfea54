//! A plant of a fleet: where its log is read, and where what it publishes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

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
    error::CommandError,
    log_source::Log,
    output::Output,
    place::{BucketPlace, Place},
    remote::{Remote, ServerArgs, Target, check_url, read_token},
    workspace::{Config, Workspace, settings_in},
};

/// The folder beside a mirror with what was seen of the plant's server.
const SERVER: &str = "server";

/// A plant, as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlantSettings {
    name: String,
    vkey: String,
    /// Keys that the log had before, the oldest first.
    #[serde(default)]
    earlier: Vec<String>,
    log: Option<String>,
    tiles: Option<String>,
    /// Where the service of its bucket is, and the bucket, if the environment is not to say so.
    endpoint: Option<String>,
    region: Option<String>,
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

/// A plant with a log of its own.
#[derive(Clone, Debug)]
pub(crate) struct Plant {
    pub(crate) name: String,
    /// The log's keys, in the order in which they were in use.
    pub(crate) keys: Vec<NoteVerifier>,
    /// Where its private log is read.
    log: Option<Spot>,
    /// Where its public tiles are.
    tiles: Spot,
    /// Its mirror's folder here.
    pub(crate) folder: PathBuf,
    server: ServerSettings,
}

/// Where something is read.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Spot {
    Folder(PathBuf),
    Bucket(BucketPlace),
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

impl Plant {
    pub(super) fn of(settings: PlantSettings, base: &Path, mirrors: &Path) -> Result<Self, String> {
        let PlantSettings { name, vkey, earlier, log, tiles, endpoint, region, server } = settings;
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
        let read = |text: String| Spot::parse(&text, base, (&endpoint, &region));
        let log = log.map(read).transpose()?;
        let tiles = match (tiles, &log) {
            (Some(tiles), _) => read(tiles)?,
            (None, Some(spot @ (Spot::Folder(_) | Spot::Bucket(_)))) => spot.clone(),
            (None, Some(Spot::Url(_)) | None) => {
                return Err(format!("nothing says where the plant {name} publishes its tiles"));
            }
        };
        let is_bucket = |spot: &Spot| matches!(spot, Spot::Bucket(_));
        if (endpoint.is_some() || region.is_some()) && !is_bucket(&tiles) && !log.as_ref().is_some_and(is_bucket) {
            return Err(format!("the plant {name} has an endpoint or region, and no bucket"));
        }
        Ok(Self { folder: mirrors.join(word.to_string()), name, keys, log, tiles, server: server.below(base) })
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
        let in_bucket = |bucket: &BucketPlace| Ok(Tiles::Other(Arc::new(InBucket(bucket.open()?))));
        let folder = match &self.tiles {
            Spot::Url(url) => return Ok(Tiles::at(url, &self.fetcher(fetcher)?)),
            Spot::Bucket(bucket) => return in_bucket(bucket),
            Spot::Folder(folder) => folder,
        };
        if !folder.is_dir() {
            return Err(CommandError::failed(format!("there is no folder {}", folder.display())));
        }
        match settings_in(folder)? {
            Some((at, config)) => match (config.bucket(), &config.server) {
                (Some(bucket), _) => in_bucket(&bucket),
                (None, Some(server)) => Err(CommandError::failed(format!(
                    "{} is for the log of the server {}, and nothing says where that publishes its tiles",
                    at.display(),
                    server.url
                ))
                .with_hint("add `tiles` to the plant")),
                (None, None) => Ok(Tiles::Folder(Place::new(&at, None).store())),
            },
            // What is published lies in a store's own folder; another folder is itself what is published.
            None => Ok(Tiles::Folder(bare_store(folder).unwrap_or_else(|| folder.clone()))),
        }
    }

    /// Returns who asks for its tiles: where the plant names an authority, one who believes that too.
    fn fetcher(&self, of_all: &Fetcher) -> Result<Fetcher, CommandError> {
        let Some(path) = &self.server.ca else { return Ok(of_all.clone()) };
        let authorities = fs::read(path).map_err(|e| CommandError::file("read", path, e))?;
        Fetcher::also_believing(&authorities)
            .map_err(|e| CommandError::because(format!("cannot use the authority in {}", path.display()), e))
    }

    /// Opens its log, to ask.
    pub(crate) fn open(&self, output: &Output) -> Result<Workspace, CommandError> {
        let log = self.log.as_ref().ok_or_else(|| CommandError::failed("nothing says where its log is read"))?;
        match log {
            Spot::Folder(folder) => match settings_in(folder)? {
                Some((at, config)) => self.open_settings(output, at, &config),
                None => self.open_bare(output, folder),
            },
            Spot::Bucket(bucket) => self.open_bucket(output, bucket, None),
            Spot::Url(url) => self.call(output, &self.target(url)?),
        }
    }

    /// Opens the log that settings name, wherever they say that it is.
    fn open_settings(&self, output: &Output, at: PathBuf, config: &Config) -> Result<Workspace, CommandError> {
        if let Some(bucket) = config.bucket() {
            return self.open_bucket(output, &bucket, Some((at, config)));
        }
        if let Some(server) = &config.server {
            // What the environment says of a server is for the own one.
            let named = ServerArgs { is_store_named: true, ..ServerArgs::default() };
            let target = named.target(Some(server))?;
            let target = target.ok_or_else(|| CommandError::failed("its settings name no server"))?;
            return self.call(output, &Target { log: self.pinned(), ..target });
        }
        let place = Place::new(&at, None);
        let store = place.open(self.options(output))?;
        config.check_log(&place.name(), &store)?;
        self.check(&store)?;
        Ok(Workspace::to_ask(at, Log::Local(store)))
    }

    /// Opens the store of a folder without settings.
    fn open_bare(&self, output: &Output, folder: &Path) -> Result<Workspace, CommandError> {
        let dir =
            bare_store(folder).ok_or_else(|| CommandError::failed(format!("no store in {}", folder.display())))?;
        let opened = Store::open(&dir, self.options(output));
        let store =
            opened.map_err(|e| CommandError::because(format!("cannot open the store in {}", dir.display()), e))?;
        self.check(&store)?;
        Ok(Workspace::to_ask(dir.parent().unwrap_or(&dir).to_owned(), Log::Local(store)))
    }

    /// Opens the log of a bucket. What this machine makes of it lies beside the mirror, also if settings name the bucket: their
    /// folder is the plant's own.
    fn open_bucket(
        &self,
        output: &Output,
        bucket: &BucketPlace,
        settings: Option<(PathBuf, &Config)>,
    ) -> Result<Workspace, CommandError> {
        fs::create_dir_all(&self.folder).map_err(|e| CommandError::file("create", &self.folder, e))?;
        let place = Place::new(&self.folder, Some(bucket.open()?));
        let store = place.open(self.options(output))?;
        self.check(&store)?;
        let Some((at, config)) = settings else {
            return Ok(Workspace::to_ask(self.folder.clone(), Log::Local(store)));
        };
        config.check_log(&place.name(), &store)?;
        Ok(Workspace::to_ask(at, Log::Local(store)))
    }

    /// Goes to a server.
    fn call(&self, output: &Output, target: &Target) -> Result<Workspace, CommandError> {
        // The mirror keeps what it saw in this plant's own folder, in files of the same names.
        let folder = self.folder.join(SERVER);
        fs::create_dir_all(&folder).map_err(|e| CommandError::file("create", &folder, e))?;
        let remote = Remote::connect(output, target, &folder, Some(self.origin()))?;
        self.check_size(remote.size())?;
        Ok(Workspace::to_ask(folder, Log::Remote(Box::new(remote))))
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
        self.check_size(store.size())
    }

    /// Refuses a log that is older than what was seen of it.
    fn check_size(&self, size: u64) -> Result<(), CommandError> {
        let seen = self.mirror().seen().map_err(|e| CommandError::because("its mirror can't be read", e))?;
        match seen.map(|seen| seen.checkpoint.size).filter(|seen| *seen > size) {
            Some(seen) => Err(CommandError::failed(format!("its log has {size} entries, and {seen} were seen"))),
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
            log: self.pinned(),
        })
    }

    /// Returns the key that a server's log is known by: its first one.
    fn pinned(&self) -> Option<String> {
        self.keys.first().map(NoteVerifier::to_vkey)
    }

    /// Returns the hash of the log's genesis, as the mirror has it.
    pub(crate) fn home(&self) -> Option<GenesisHash> {
        let size = self.mirror().mirrored().ok()??.checkpoint.size;
        let bundle = EntryBundle::in_tree(0, size)?;
        let bytes = fs::read(self.folder.join(PUBLISHED).join(bundle.path())).ok()?;
        decode_entries(&bytes, bundle.width()).ok()?.first().map(|entry| genesis_hash(entry))
    }
}

impl ServerSettings {
    /// Finds the files, whose paths begin at a folder.
    fn below(self, base: &Path) -> Self {
        let at = |file: PathBuf| base.join(file);
        let Self { ca, client_cert, client_key, token_file, plain_http } = self;
        Self {
            ca: ca.map(at),
            client_cert: client_cert.map(at),
            client_key: client_key.map(at),
            token_file: token_file.map(at),
            plain_http,
        }
    }
}

impl Spot {
    fn parse(text: &str, base: &Path, (endpoint, region): (&Option<String>, &Option<String>)) -> Result<Self, String> {
        match text.split_once("://") {
            None => Ok(Self::Folder(base.join(text))),
            Some(("http" | "https", _)) => Ok(Self::Url(text.trim_end_matches('/').to_owned())),
            Some(("s3" | "gs" | "az", _)) => Ok(Self::Bucket(BucketPlace {
                address: text.to_owned(),
                endpoint: endpoint.clone(),
                region: region.clone(),
            })),
            Some(_) => Err(format!(
                "{text:?} is neither a folder, nor a bucket (s3://, gs://, az://), nor an address that begins with http:// or https://"
            )),
        }
    }
}

/// Finds the store in a folder without settings: one that is shared without the keys beside it.
fn bare_store(folder: &Path) -> Option<PathBuf> {
    [folder.join("store"), folder.to_owned()].into_iter().find(|dir| dir.join("segments").is_dir())
}
