//! A store on disk, found like git finds its own, with its keys and settings.

use core::cell::OnceCell;
use std::{
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::{
    details::{read_value, slot},
    entry::Genesis,
    id::{GenesisHash, NodeId},
    key::{PublicKey, SecretKey},
    node::{Kind, Mark},
    note::{KeyKind, NoteVerifier},
    value::Value,
};
use griptrace_store::{CommitError, OpenOptions, Receipt, Store, StoredNode, hashing::HashCache, record::NodeRecord};
use serde::{Deserialize, Serialize};

use crate::{
    clock, environment,
    error::CommandError,
    keyfile::{self, PrivateKey},
    output::Output,
};

/// The folder that holds a store, its keys and its settings.
const FOLDER: &str = ".griptrace";
const CONFIG: &str = "config.toml";

/// The settings beside a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the log.
    pub(crate) origin: String,
    /// Who commits.
    pub(crate) issuer: String,
    /// The committer's public key, for who needs no secret.
    pub(crate) committer: String,
    /// Where the keys are.
    pub(crate) keys: KeyPaths,
    /// Assessors whose statements were recorded with their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) assessor: Vec<KnownAssessor>,
}

impl Config {
    /// Reads the settings of the store in a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, CommandError> {
        let path = folder.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(|e| CommandError::file("read", &path, e))?;
        toml::from_str(&text).map_err(|e| CommandError::because(format!("{} is wrong", path.display()), e))
    }

    /// Returns the committer's public key.
    pub(crate) fn committer_key(&self) -> Result<PublicKey, CommandError> {
        PublicKey::parse(&self.committer).map_err(|e| CommandError::because("the settings' committer key", e))
    }
}

/// Where the keys are; relative paths begin at the folder of the settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyPaths {
    /// The key that signs checkpoints.
    pub(crate) log: PathBuf,
    /// The key that signs commits.
    pub(crate) committer: PathBuf,
}

/// An assessor's key, as a statement file brought it. Not confirmed by anybody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownAssessor {
    /// Who the assessor says to be.
    pub(crate) name: String,
    /// The public key.
    pub(crate) key: String,
    /// Schemes of recorded assessments.
    pub(crate) schemes: Vec<String>,
}

/// A store on disk.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: PathBuf,
    /// The settings.
    pub(crate) config: Config,
    /// The store itself.
    pub(crate) store: Store,
    /// Opened when first asked for; `None` inside where it can't be had.
    hash_cache: OnceCell<Option<HashCache>>,
    /// Whether every file is read again, whatever the cache of digests says.
    pub(crate) rehash: bool,
}

impl Workspace {
    /// Makes a new store in `dir`, with a log key and a committer key.
    pub(crate) fn create(
        dir: &Path,
        origin: &str,
        issuer: &str,
        passphrase: Option<&str>,
    ) -> Result<Self, CommandError> {
        let folder = dir.join(FOLDER);
        if folder.join(CONFIG).exists() {
            return Err(CommandError::failed(format!("{} holds a store already", folder.display())));
        }
        let make = |path: &Path| fs::create_dir_all(path).map_err(|e| CommandError::file("create", path, e));
        make(&folder.join("keys"))?;
        // Segments hold every detail and every secret seed: they are the owner's alone.
        #[cfg(unix)]
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .map_err(|e| CommandError::file("protect", &folder, e))?;
        let keys = KeyPaths { log: "keys/log.key".into(), committer: "keys/committer.key".into() };
        let log = PrivateKey::generate(griptrace_core::key::Algorithm::Ed25519)?;
        let signer = log.note_signer(origin)?;
        keyfile::write(&folder.join(&keys.log), &log, passphrase)?;
        let committer = PrivateKey::generate(griptrace_core::key::Algorithm::Ed25519)?;
        keyfile::write(&folder.join(&keys.committer), &committer, passphrase)?;
        let config = Config {
            origin: origin.to_owned(),
            issuer: issuer.to_owned(),
            committer: committer.public()?.to_string(),
            keys,
            assessor: Vec::new(),
        };
        let mut nonce = [0; 16];
        keyfile::fill(&mut nonce)?;
        let time = clock::now();
        let genesis = Genesis { origin: origin.to_owned(), key: log.public()?, time, nonce, revokers: Vec::new() };
        let store = Store::init(&folder.join("store"), &genesis, signer, time)
            .map_err(|e| CommandError::because("cannot make the store", e))?;
        let workspace = Self { folder, config, store, hash_cache: OnceCell::new(), rehash: false };
        workspace.save_config()?;
        Ok(workspace)
    }

    /// Opens the store that was named, or that of the environment, or the nearest one upward.
    pub(crate) fn open(output: &Output, named: Option<&Path>, recording: bool) -> Result<Self, CommandError> {
        let folder = Self::find(named)?;
        let config = Config::read(&folder)?;
        let key = if recording { Some(keyfile::read(&folder.join(&config.keys.log))?) } else { None };
        let signer = key.map(|key| key.note_signer(&config.origin)).transpose()?;
        let bar = output.progress("reading the log");
        let progress = Box::new(move |what: &str, done, total| bar.step(what, done, total));
        let store = Store::open(&folder.join("store"), OpenOptions { signer, progress: Some(progress) })
            .map_err(|e| CommandError::because(format!("cannot open the store in {}", folder.display()), e))?;
        Ok(Self { folder, config, store, hash_cache: OnceCell::new(), rehash: false })
    }

    /// Returns the folder of the store.
    pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, CommandError> {
        let is_store = |path: &Path| path.join(CONFIG).is_file();
        if let Some(named) = named.map(Path::to_owned).or_else(environment::store) {
            let inner = named.join(FOLDER);
            let found = [named.clone(), inner].into_iter().find(|path| is_store(path));
            return found.ok_or_else(|| {
                CommandError::failed(format!("no store in {}", named.display()))
                    .with_hint(format!("griptrace init {} --origin ORIGIN makes one", named.display()))
            });
        }
        let here = std::env::current_dir()?;
        here.ancestors().map(|dir| dir.join(FOLDER)).find(|path| is_store(path)).ok_or_else(|| {
            CommandError::failed(format!("no store in {} or a folder above it", here.display()))
                .with_hint("griptrace init --origin ORIGIN makes one here; --store DIR or GRIPTRACE_STORE name another")
        })
    }

    /// Writes the settings.
    pub(crate) fn save_config(&self) -> Result<(), CommandError> {
        let path = self.folder.join(CONFIG);
        let text = toml::to_string(&self.config).map_err(|e| CommandError::because("cannot write the settings", e))?;
        let temporary = self.folder.join("config.toml.new");
        let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|e| CommandError::file("write", &path, e))
    }

    /// Returns the digests of files that were hashed before.
    pub(crate) fn hash_cache(&self) -> Option<&HashCache> {
        self.hash_cache.get_or_init(|| HashCache::open(&self.folder.join("hashes"), clock::now())).as_ref()
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
        vkey(self.store.genesis())
    }

    /// Returns the committer's public key.
    pub(crate) fn committer(&self) -> Result<PublicKey, CommandError> {
        self.config.committer_key()
    }

    /// Reads the committer's key, which must be the one that the settings name.
    fn committer_key(&self) -> Result<SecretKey, CommandError> {
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
        self.store.commit(records, &self.committer_key()?, &self.config.issuer, clock::now()).map_err(|e| {
            let may_be_in_it = matches!(e, CommitError::Storage(_) | CommitError::Poisoned);
            let error = CommandError::because("cannot commit", e);
            let hint = "it may be in the log all the same: griptrace log shows; recording the same again is safe";
            if may_be_in_it { error.with_hint(hint) } else { error }
        })
    }

    /// Returns a node, which must be there.
    pub(crate) fn node(&self, id: &NodeId) -> Result<StoredNode, CommandError> {
        let found = self.store.node(id).map_err(|e| CommandError::because(format!("cannot read node {id}"), e))?;
        found.ok_or_else(|| CommandError::failed(format!("no node {id} in this log")))
    }

    /// Returns the marks on a node, in log order.
    pub(crate) fn marks(&self, id: &NodeId) -> Result<Vec<StoredNode>, CommandError> {
        let wrong = |e| CommandError::because(format!("cannot read the marks on {id}"), e);
        let key = self.store.status_key(id).map_err(wrong)?;
        self.store.statuses(&key).map_err(wrong)?.iter().map(|status| self.node(status)).collect()
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

/// Returns a log's key as checkpoints name it.
pub(crate) fn vkey(genesis: &Genesis) -> Result<String, CommandError> {
    let wrong = |e| CommandError::because("the log's key is malformed", e);
    let fixed =
        genesis.key.as_bytes().try_into().map_err(|_| CommandError::failed("the log's key is no Ed25519 key"))?;
    Ok(NoteVerifier::new(&genesis.origin, KeyKind::Ed25519, fixed).map_err(wrong)?.to_vkey())
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
