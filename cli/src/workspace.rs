//! A folder with keys and settings, found like git finds its own, and the log that it is for: a store in it, or
//! one on a server.

mod config;
mod joining;
mod restored;

use core::cell::OnceCell;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::{
    details::{read_value, slot},
    entry::Genesis,
    id::{GenesisHash, KeyId, NodeId},
    key::{PublicKey, SecretKey},
    node::{Kind, Mark},
    note::{KeyKind, NoteSigner, NoteVerifier},
    value::Value,
};
use griptrace_store::{OpenOptions, Receipt, Store, StoredNode, hashing::HashCache, record::NodeRecord};

pub(crate) use self::{
    config::{Config, KeyPaths, KnownAssessor},
    joining::Joining,
    restored::Restored,
};
use crate::{
    begun::Begun,
    clock,
    context::Context,
    environment,
    error::CommandError,
    keyfile::{self, PrivateKey},
    log_source::Log,
    output::Output,
    place::{self, BucketPlace, Place},
    remote::{Remote, ServerConfig, Target},
    witnesses,
};

/// The folder that holds a store, its keys and its settings.
const FOLDER: &str = ".griptrace";
const CONFIG: &str = "config.toml";

/// A log, and what is kept on this machine to use it.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: PathBuf,
    /// The settings.
    pub(crate) config: Config,
    /// The log.
    pub(crate) store: Log,
    /// Opened when first asked for; `None` inside where it can't be had.
    hash_cache: OnceCell<Option<HashCache>>,
    /// Read when first asked for.
    pub(crate) signers: OnceCell<BTreeSet<KeyId>>,
    /// Whether every file is read again, whatever the cache of digests says.
    pub(crate) rehash: bool,
    /// Whether what was erased of an earlier record is recorded again.
    pub(crate) despite_erasure: bool,
}

impl Workspace {
    /// Makes a new store in `dir`, or in a bucket, with a log key and a committer key.
    pub(crate) fn create(dir: &Path, new: NewLog<'_>) -> Result<Self, CommandError> {
        let NewLog { origin, issuer, revokers, passphrase, bucket } = new;
        let folder = new_folder(dir)?;
        let place = Place::new(&folder, bucket.as_ref().map(BucketPlace::open).transpose()?);
        let begun = Begun::at(&folder, &place)?;
        if let Some(bucket @ BucketPlace { address, .. }) = &bucket {
            bucket.refuse_nested()?;
            if !begun.was && place.is_taken()? {
                return Err(CommandError::failed(format!(
                    "{address} holds a log already, and a new one is never made over it"
                ))
                .with_hint(format!("griptrace init --store {address} --join uses it from this machine too")));
            }
            place.fit(0)?;
        }
        let log_key = Path::new("keys/log.key");
        let keys = KeyPaths::new(Some(log_key.into()), "keys/committer.key".into());
        begun.note()?;
        make_folder(&folder.join("keys"))?;
        let log = begun.key(log_key, passphrase)?;
        let signer = log.note_signer(origin)?;
        let committer = begun.key(&keys.committer, passphrase)?;
        let mut config = Config::new(origin.to_owned(), issuer.to_owned(), committer.public()?.to_string(), keys);
        let mut nonce = [0; 16];
        keyfile::fill(&mut nonce)?;
        let time = clock::now();
        let genesis = Genesis { origin: origin.to_owned(), key: log.public()?, time, nonce, revokers };
        let store = begun.store(&place, &genesis, signer)?;
        if let Some(bucket) = bucket {
            config.put_bucket(bucket, store.home());
        }
        let workspace = Self::new(folder, config, Log::Local(store));
        workspace.save_config()?;
        begun.end();
        Ok(workspace)
    }

    /// Makes a folder for the log of a server, with a committer key, after a first contact with it.
    pub(crate) fn create_client(
        output: &Output,
        dir: &Path,
        client: NewClient,
        passphrase: Option<&str>,
    ) -> Result<Self, CommandError> {
        let folder = new_folder(dir)?;
        let NewClient { target, mut server, issuer, committer_key } = client;
        let remote = Remote::connect(output, &target, &folder, None)
            // Nothing is left behind of a folder that nobody can use.
            .inspect_err(|_| drop(fs::remove_dir(&folder)))?;
        let (key, path) = committer_of(&folder, committer_key, passphrase)?;
        let genesis = remote.genesis();
        server.log = remote.log_key().to_vkey();
        let keys = KeyPaths::new(None, path);
        let config = Config {
            server: Some(server),
            ..Config::new(genesis.origin.clone(), issuer, key.public()?.to_string(), keys)
        };
        let workspace = Self::new(folder, config, Log::Remote(Box::new(remote)));
        workspace.save_config()?;
        Ok(workspace)
    }

    /// Makes a folder for the log of a bucket, which is there.
    pub(crate) fn join_bucket(output: &Output, dir: &Path, join: Join<'_>) -> Result<Self, CommandError> {
        let Join { bucket, name, log_key, committer_key, passphrase, expected } = join;
        let folder = new_folder(dir)?;
        let place = Place::new(&folder, Some(bucket.open()?));
        let options = OpenOptions { progress: Some(place::progress(output)), ..OpenOptions::default() };
        let opened = place.open(options).and_then(|store| {
            expected.check(&store, &bucket.address)?;
            if let Some(path) = &log_key {
                check_log_key(&store, &keyfile::read(path)?, path)?;
                place.fit(0)?;
            }
            Ok(store)
        });
        // Nothing is left behind of a folder that nobody can use.
        let store = opened.inspect_err(|_| drop(fs::remove_dir_all(place.store())))?;
        let origin = store.genesis().origin.clone();
        let issuer = name.unwrap_or_else(|| party_of(&origin));
        let (committer, path) = committer_of(&folder, committer_key, passphrase)?;
        let keys = KeyPaths::new(log_key, path);
        let mut config = Config::new(origin, issuer, committer.public()?.to_string(), keys);
        config.put_bucket(bucket, store.home());
        let workspace = Self::new(folder, config, Log::Local(store));
        workspace.save_config()?;
        Ok(workspace)
    }

    /// Makes a log that is only asked, and what is beside it in a folder.
    pub(crate) fn to_ask(folder: PathBuf, store: Log) -> Self {
        Self::new(folder, Config::of_nobody(), store)
    }

    const fn new(folder: PathBuf, config: Config, store: Log) -> Self {
        Self {
            folder,
            config,
            store,
            hash_cache: OnceCell::new(),
            signers: OnceCell::new(),
            rehash: false,
            despite_erasure: false,
        }
    }

    /// Goes to the server that was named, or that of the settings; or opens the store that was named, or that of
    /// the environment, or the nearest one upward.
    pub(crate) fn open(context: &Context, recording: bool) -> Result<Self, CommandError> {
        let found = match Self::find(context.named_store()) {
            Ok(folder) => Some((Config::read(&folder)?, folder)),
            // A server can be asked without a folder, unless one was named.
            Err(_) if context.server.url().is_some() && context.named_store().is_none() => None,
            Err(error) => return Err(error),
        };
        let settings = found.as_ref().and_then(|(config, _)| config.server.as_ref());
        let Some(target) = context.server.target(settings)? else {
            let (config, folder) = found.ok_or_else(|| CommandError::failed("no store and no server was named"))?;
            return open_local(&context.output, folder, config, recording);
        };
        let (config, folder) = match found {
            Some(found) => found,
            None if recording => return Err(no_committer(&target.url)),
            None => (Config::of_nobody(), user_folder()?),
        };
        let origin = target.log.is_some().then_some(config.origin.as_str());
        let remote = Remote::connect(&context.output, &target, &folder, origin)?;
        Ok(Self::new(folder, config, Log::Remote(Box::new(remote))))
    }

    /// Returns the address of the server that commands would go to, if they would.
    pub(crate) fn server_url(context: &Context) -> Result<Option<String>, CommandError> {
        let found = Self::find(context.named_store()).ok().map(|folder| Config::read(&folder)).transpose()?;
        let settings = found.as_ref().and_then(|config| config.server.as_ref());
        Ok(context.server.target(settings)?.map(|target| target.url))
    }

    /// Opens the store on this machine, for what only a store can do.
    pub(crate) fn local_store(context: &Context, writing: bool) -> Result<Store, CommandError> {
        let folder = Self::find(context.named_store())?;
        let config = Config::read(&folder)?;
        if let Some(server) = &config.server {
            let (folder, url) = (folder.display(), &server.url);
            return Err(CommandError::failed(format!(
                "{folder} is for the log of the server {url}, and holds no store"
            )));
        }
        match open_local(&context.output, folder, config, writing)?.store {
            Log::Local(store) => Ok(store),
            Log::Remote(_) => Err(CommandError::failed("the folder holds no store")),
        }
    }

    /// Returns the folder of the store.
    pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, CommandError> {
        if let Some(named) = named.map(Path::to_owned).or_else(environment::store) {
            place::refuse_address(&named)?;
            return first_store([named.clone(), named.join(FOLDER)])?.ok_or_else(|| {
                CommandError::failed(format!("no store in {}", named.display()))
                    .with_hint(format!("griptrace init {} --origin ORIGIN makes one", named.display()))
            });
        }
        let here = std::env::current_dir().map_err(|e| CommandError::because("cannot tell the current folder", e))?;
        first_store(here.ancestors().map(|dir| dir.join(FOLDER)))?.ok_or_else(|| {
            CommandError::failed(format!("no store in {} or a folder above it", here.display()))
                .with_hint("griptrace init --origin ORIGIN makes one here; --store DIR or GRIPTRACE_STORE name another")
                .with_hint("--server URL or GRIPTRACE_SERVER name a server in place of a store")
        })
    }

    /// Writes the settings.
    pub(crate) fn save_config(&self) -> Result<(), CommandError> {
        self.config.save(&self.folder)
    }

    /// Returns the digests of files that were hashed before.
    pub(crate) fn hash_cache(&self) -> Option<&HashCache> {
        self.hash_cache.get_or_init(|| HashCache::open(&self.folder.join("hashes"), clock::now())).as_ref()
    }

    /// Removes the digests of files that were hashed before, and what they are called.
    pub(crate) fn forget_hashes(&mut self) -> Result<(), CommandError> {
        self.hash_cache = OnceCell::new();
        let path = self.folder.join("hashes");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CommandError::file("remove", &path, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns the folder of the store.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the log that nodes are for.
    pub(crate) fn home(&self) -> GenesisHash {
        self.store.home()
    }

    /// Returns the log's key as checkpoints name it.
    pub(crate) fn log_vkey(&self) -> Result<String, CommandError> {
        match &self.store {
            Log::Local(store) => {
                let newest = store.key_history().log_keys().last().map(|(_, key)| key.clone());
                let genesis = store.genesis();
                vkey(&Genesis { key: newest.unwrap_or_else(|| genesis.key.clone()), ..genesis.clone() })
            }
            Log::Remote(remote) => Ok(remote.log_key().to_vkey()),
        }
    }

    /// Returns the committer's public key.
    pub(crate) fn committer(&self) -> Result<PublicKey, CommandError> {
        if let (true, Log::Remote(remote)) = (self.config.committer.is_empty(), &self.store) {
            return Err(no_committer(remote.url()));
        }
        self.config.committer_key()
    }

    /// Reads the committer's key, which must be the one that the settings name.
    pub(crate) fn committer_key(&self) -> Result<SecretKey, CommandError> {
        let path = self.folder.join(&self.config.keys.committer);
        let key = keyfile::read(&path)?;
        let (found, named) = (key.public()?.id(), self.committer()?.id());
        if found != named {
            let text =
                format!("{} holds the key {found}, and {CONFIG} names the committer's key {named}", path.display());
            return Err(CommandError::failed(text)
                .with_hint("put the right key file back, or correct `committer` in the settings"));
        }
        key.signer()
    }

    /// Commits nodes, all at once.
    pub(crate) fn commit(&self, records: Vec<NodeRecord>) -> Result<Receipt, CommandError> {
        let committed = self.committer_key().and_then(|key| self.store.commit(records, &key, &self.config.issuer));
        committed.map_err(|error| self.with_way_on(error))
    }

    /// Returns a node, which must be there.
    pub(crate) fn node(&self, id: &NodeId) -> Result<StoredNode, CommandError> {
        let found = self.store.node(id).map_err(|e| e.while_doing(format!("cannot read node {id}")))?;
        found.ok_or_else(|| CommandError::failed(format!("no node {id} in this log")))
    }

    /// Returns the marks on a node, in log order.
    pub(crate) fn marks(&self, id: &NodeId) -> Result<Vec<StoredNode>, CommandError> {
        let statuses = self.store.statuses(id);
        let statuses = statuses.map_err(|e| e.while_doing(format!("cannot read the marks on {id}")))?;
        statuses.iter().map(|status| self.node(status)).collect()
    }

    /// Returns the last mark that puts a node aside, if there is one.
    pub(crate) fn put_aside(&self, id: &NodeId) -> Result<Option<Mark>, CommandError> {
        Ok(self.status_aside(id)?.map(|(mark, _)| mark))
    }

    /// Returns the last mark that puts a node aside, with its status.
    pub(crate) fn status_aside(&self, id: &NodeId) -> Result<Option<(Mark, StoredNode)>, CommandError> {
        let aside = |mark: &Mark| mark.is_terminal() || *mark == Mark::Supersede;
        let mut marks = self.marks(id)?.into_iter().rev();
        Ok(marks.find_map(|status| Some((status.core.mark.filter(aside)?, status))))
    }
}

/// What a new log is made of.
#[derive(Debug)]
pub(crate) struct NewLog<'a> {
    pub(crate) origin: &'a str,
    /// Who commits.
    pub(crate) issuer: &'a str,
    pub(crate) revokers: Vec<KeyId>,
    pub(crate) passphrase: Option<&'a str>,
    /// The bucket that it is to lie in, if not in the folder.
    pub(crate) bucket: Option<BucketPlace>,
}

/// How a folder is made for a log that is in a bucket.
#[derive(Debug)]
pub(crate) struct Join<'a> {
    pub(crate) bucket: BucketPlace,
    /// Who commits.
    pub(crate) name: Option<String>,
    /// The log's key, to write; a file that stays where it is.
    pub(crate) log_key: Option<PathBuf>,
    /// A committer's key that is there already.
    pub(crate) committer_key: Option<PathBuf>,
    pub(crate) passphrase: Option<&'a str>,
    pub(crate) expected: Expected<'a>,
}

/// Which log is meant, as far as somebody said.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) origin: Option<&'a str>,
    pub(crate) genesis: Option<&'a str>,
    pub(crate) vkey: Option<&'a str>,
}

impl Expected<'_> {
    /// Refuses another log.
    fn check(&self, store: &Store, address: &str) -> Result<(), CommandError> {
        let (genesis, home) = (store.genesis(), store.home().to_string());
        let keys: Vec<String> = store.verifiers().iter().map(NoteVerifier::to_vkey).collect();
        let differ = |what: &str, found: &str, expected: &str| {
            CommandError::refused(format!("the log in {address} has the {what} {found}, not {expected}"))
                .with_hint("nothing was made; ask who began the log, or look whether the address is right")
        };
        match self {
            Self { origin: Some(expected), .. } if genesis.origin != *expected => {
                Err(differ("origin", &genesis.origin, expected))
            }
            Self { genesis: Some(expected), .. } if home != *expected => Err(differ("genesis", &home, expected)),
            Self { vkey: Some(expected), .. } if !keys.iter().any(|key| key == expected) => {
                Err(differ("key", keys.first().map_or("", String::as_str), expected))
            }
            Self { .. } => Ok(()),
        }
    }
}

/// What a client's folder is made of.
#[derive(Debug)]
pub(crate) struct NewClient {
    /// The server to call.
    pub(crate) target: Target,
    /// The server as the settings will name it.
    pub(crate) server: ServerConfig,
    /// Who commits.
    pub(crate) issuer: String,
    /// A committer's key that is there already.
    pub(crate) committer_key: Option<PathBuf>,
}

/// Opens the store of a folder, and settles a change of keys that was cut off: the log tells which key counts.
fn open_local(output: &Output, folder: PathBuf, config: Config, writing: bool) -> Result<Workspace, CommandError> {
    let opened = open_store(output, &folder, &config, writing);
    let next = config.keys.next_log.clone().filter(|_| writing && opened.is_err());
    let (store, config) = match next {
        Some(log) => {
            let keys = KeyPaths { log: Some(log), next_log: None, ..config.keys.clone() };
            let changed = Config { keys, ..config };
            // If the next key opens it neither, the first error tells more.
            let store = open_store(output, &folder, &changed, writing).or(opened)?;
            (store, changed)
        }
        None => (opened?, config),
    };
    if writing {
        witnesses::refuse_split(&folder, &store)?;
    } else {
        place::warn_if_moved(output, &store);
    }
    let mut workspace = Workspace::new(folder, config, Log::Local(store));
    if writing {
        workspace.settle_keys()?;
    }
    Ok(workspace)
}

impl Workspace {
    /// Puts the next committer's key in the place of one that retired, and saves what was settled.
    fn settle_keys(&mut self) -> Result<(), CommandError> {
        let before = Config::read(&self.folder)?;
        let Log::Local(store) = &self.store else { return Ok(()) };
        if let Some(path) = self.config.keys.next_committer.clone() {
            let history = store.key_history();
            if history.end(&self.committer()?.id()).is_some() {
                let next = keyfile::read(&self.folder.join(&path))?.public()?;
                if history.key(&next.id()).is_some() {
                    self.config.put_committer(&next);
                    (self.config.keys.committer, self.config.keys.next_committer) = (path, None);
                }
            }
        }
        let is_same = |a: &KeyPaths, b: &KeyPaths| a.log == b.log && a.committer == b.committer;
        if is_same(&before.keys, &self.config.keys) { Ok(()) } else { self.save_config() }
    }
}

/// Opens the store of a folder; to write, with the log's key.
fn open_store(output: &Output, folder: &Path, config: &Config, writing: bool) -> Result<Store, CommandError> {
    let place = Place::of(folder, config)?;
    let signer = if writing { Some(log_signer(folder, config)?) } else { None };
    let progress = Some(place::progress(output));
    let store = place.open(OpenOptions { signer, progress, ..OpenOptions::default() });
    let store = store.map_err(|error| match (error.source.source().and_then(|e| e.downcast_ref()), &config.keys.log) {
        (Some(griptrace_store::OpenError::WrongKey { .. }), Some(log)) => error.with_hint(format!(
            "the signer is {}, as `log` under [keys] in {CONFIG} says; griptrace key show FILE tells which key a file holds",
            folder.join(log).display()
        )),
        _ => error,
    })?;
    config.check_home(&place, &store)?;
    Ok(store)
}

/// Reads the log's key.
fn log_signer(folder: &Path, config: &Config) -> Result<NoteSigner, CommandError> {
    let path = config.keys.log.as_ref().ok_or_else(|| {
        CommandError::failed(format!("{} names no log key", folder.join(CONFIG).display()))
            .with_hint("who signs checkpoints has it: name a copy in the settings under [keys], log = \"FILE\"; or commit through a server, --server URL")
    })?;
    keyfile::read(&folder.join(path))?.note_signer(&config.origin)
}

/// Refuses a key that is not the log's newest.
fn check_log_key(store: &Store, key: &PrivateKey, path: &Path) -> Result<(), CommandError> {
    let found = key.note_signer(&store.genesis().origin)?.verifier().to_vkey();
    let newest = store.verifiers().first().map(NoteVerifier::to_vkey).unwrap_or_default();
    if found == newest {
        return Ok(());
    }
    Err(CommandError::failed(format!("{} holds the key {found}, and the log's key is {newest}", path.display())))
}

/// Returns a committer's key: the one in a file that stays where it is, or a new one.
fn committer_of(
    folder: &Path,
    file: Option<PathBuf>,
    passphrase: Option<&str>,
) -> Result<(PrivateKey, PathBuf), CommandError> {
    if let Some(path) = file {
        return Ok((keyfile::read(&path)?, path));
    }
    let path = PathBuf::from("keys/committer.key");
    // One that was put there, or that a command made which was cut off.
    if folder.join(&path).exists() {
        return Ok((keyfile::read(&folder.join(&path))?, path));
    }
    let key = PrivateKey::generate(griptrace_core::key::Algorithm::Ed25519)?;
    make_folder(&folder.join("keys"))?;
    keyfile::write(&folder.join(&path), &key, passphrase)?;
    Ok((key, path))
}

/// Returns who commits to a log if nobody says otherwise.
pub(crate) fn party_of(origin: &str) -> String {
    origin.split('/').next().unwrap_or_default().to_owned()
}

/// Returns the settings of a folder, or those in it, and where they are.
pub(crate) fn settings_in(folder: &Path) -> Result<Option<(PathBuf, Config)>, CommandError> {
    let Some(at) = first_store([folder.to_owned(), folder.join(FOLDER)])? else { return Ok(None) };
    let config = Config::read(&at)?;
    Ok(Some((at, config)))
}

/// Returns the first folder that has settings. One that can't be looked at is not passed over: a store further up would be
/// another one.
fn first_store(folders: impl IntoIterator<Item = PathBuf>) -> Result<Option<PathBuf>, CommandError> {
    for folder in folders {
        if has_settings(&folder)? {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

fn has_settings(folder: &Path) -> Result<bool, CommandError> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let path = folder.join(CONFIG);
    match fs::metadata(&path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(false),
        Err(error) => Err(CommandError::file("read", &path, error)),
    }
}

/// Makes the folder for keys and settings, where there must be none yet.
fn new_folder(dir: &Path) -> Result<PathBuf, CommandError> {
    let folder = dir.join(FOLDER);
    if has_settings(&folder)? {
        let error = CommandError::failed(format!("{} holds a store already", folder.display()));
        let is_client = Config::read(&folder).is_ok_and(|config| config.server.is_some());
        return Err(if is_client {
            error.with_hint("it is a client's, with the committer's key: it goes on being used when the log's key changes, and the address of the server stands in its config.toml")
        } else {
            error
        });
    }
    make_folder(&folder)?;
    Ok(folder)
}

/// Makes a folder that is its owner's alone: segments hold every detail and every secret seed.
fn make_folder(folder: &Path) -> Result<(), CommandError> {
    fs::create_dir_all(folder).map_err(|e| CommandError::file("create", folder, e))?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(|e| CommandError::file("protect", folder, e))?;
    Ok(())
}

/// Returns the folder for what is remembered of servers that are only asked.
fn user_folder() -> Result<PathBuf, CommandError> {
    let folder = environment::state_folder().ok_or_else(|| {
        CommandError::failed("nothing says where to keep what was seen of a log")
            .with_hint("set HOME or XDG_STATE_HOME, or make a folder with griptrace init --server URL --issuer NAME")
    })?;
    let folder = folder.join("griptrace");
    make_folder(&folder)?;
    Ok(folder)
}

fn no_committer(url: &str) -> CommandError {
    CommandError::failed("there is no committer's key here, and recording needs one")
        .with_hint(format!("griptrace init --server {url} --issuer NAME makes one, for the operator to register"))
}

/// Returns a log's key as checkpoints name it.
pub(crate) fn vkey(genesis: &Genesis) -> Result<String, CommandError> {
    Ok(verifier(genesis)?.to_vkey())
}

/// Returns what verifies a log's checkpoints.
pub(crate) fn verifier(genesis: &Genesis) -> Result<NoteVerifier, CommandError> {
    let wrong = |e| CommandError::because("the log's key is malformed", e);
    NoteVerifier::new(&genesis.origin, KeyKind::Ed25519, genesis.key.as_bytes()).map_err(wrong)
}

/// Returns a detail of a node.
pub(crate) fn detail(node: &StoredNode, name: &str) -> Option<Value> {
    detail_of(&node.record, node.core.kind, name)
}

fn detail_of(record: &NodeRecord, kind: Kind, name: &str) -> Option<Value> {
    read_value(record.values.get(&slot(kind, name)?)?).ok()
}

/// Returns a node's name.
pub(crate) fn name(node: &StoredNode) -> Option<String> {
    Some(detail(node, "name")?.as_text()?.to_owned())
}

/// Returns the name of a node that is not committed yet; its activity if it has none.
pub(crate) fn name_of_record(record: &NodeRecord) -> String {
    let Ok(core) = record.core() else { return String::new() };
    let name = detail_of(record, core.kind, "name").and_then(|value| value.as_text().map(str::to_owned));
    name.or_else(|| core.activity.map(|activity| activity.to_string())).unwrap_or_default()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A store that could not be looked at was passed over, and the next one up taken for it.
    #[test]
    fn a_store_that_cannot_be_looked_at_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (near, far) = (dir.path().join("near"), dir.path().join("far"));
        fs::create_dir(&far).unwrap();
        fs::write(far.join(CONFIG), "").unwrap();
        assert_eq!(first_store([near.clone(), far.clone()]).unwrap(), Some(far.clone()));
        // It leads to itself: neither there nor missing.
        std::os::unix::fs::symlink(&near, &near).unwrap();
        let error = first_store([near.clone(), far]).unwrap_err();
        assert_eq!(error.lines()[0], format!("error: cannot read {}", near.join(CONFIG).display()));
    }
}
