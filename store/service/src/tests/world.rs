//! A store in a temporary folder, certificates, and a service over them.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use griptrace_core::{
    cbor::encode,
    checkpoint::Checkpoint,
    details::slot,
    digest::Digest,
    entry::Genesis,
    key::{Algorithm, SecretKey, Signer as _},
    node::{Core, DigestStrength, Held, Kind, Origin},
    note::{Note, NoteSigner},
    value::Value,
    word::Country,
};
use griptrace_store::{Store, record::NodeRecord};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    ServeError,
    config::{Flags, OwnCommitter, Settings, Sources},
};

pub(super) const ORIGIN: &str = "log.example/2026";
const NOW: u64 = 1_790_000_000;

/// What time it is in every test: the system's, and what is added to it.
#[expect(clippy::disallowed_methods, reason = "certificates are judged by the system's clock")]
pub(super) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A folder with a store, and what a service needs beside it.
pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) store: Store,
    pub(super) authority: Authority,
}

/// Who signs certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A service that runs.
pub(super) struct Running {
    pub(super) grpc: String,
    pub(super) http: Option<String>,
    stop: oneshot::Sender<()>,
    service: JoinHandle<Result<(), ServeError>>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Makes a certificate, and returns it with its key.
    pub(super) fn sign(&self, common_name: &str, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
        let genesis = Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [3; 16], revokers: Vec::new() };
        let signer = NoteSigner::new(ORIGIN, &[1; 32]).unwrap();
        let store = Store::init(&dir.path().join("store"), &genesis, signer, NOW).unwrap();
        let world = Self { dir, store, authority: Authority::new() };
        world.write("ca.pem", &world.authority.pem());
        world.renew_server();
        world
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Gives the server another certificate.
    pub(super) fn renew_server(&self) {
        let (certificate, key) = self.authority.sign("the server", &["localhost"]);
        self.write("server.pem", &certificate);
        self.write("server.key", &key);
    }

    /// Commits a data set.
    pub(super) fn commit(&self, name: &str) {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let core = Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            country: Country::parse("CN"),
            ..Core::new(Kind::Dataset, self.store.home(), [0; 16], Digest::ZERO)
        };
        let values = [(slot(Kind::Dataset, "name").unwrap(), encode(&Value::text(name)))].into_iter().collect();
        let random = |out: &mut [u8]| {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            out.iter_mut().zip(count).for_each(|(byte, drawn)| *byte = drawn);
        };
        let record = NodeRecord::build(core, values, None, None, random).unwrap();
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        self.store.commit(vec![record], &committer, "Maker", NOW).unwrap();
    }

    /// Waits until everything that was committed is published.
    pub(super) async fn published(&self) {
        let begun = Instant::now();
        let size = || {
            let note = Note::parse(&self.store.published_checkpoint().unwrap()).unwrap();
            Checkpoint::parse(note.text()).unwrap().size
        };
        while size() != self.store.size() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{} of {} entries are published",
                size(),
                self.store.size()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Reads these settings.
    pub(super) fn settings(&self, settings: &str) -> Settings {
        load(self.dir.path(), settings, false)
    }

    /// Starts the service with these settings, at ports of the system's choice.
    pub(super) async fn serve(&self, settings: &str) -> Running {
        let settings = format!("listen = \"127.0.0.1:0\"\n{settings}");
        let store = self.store.clone();
        serve(self.dir.path(), &settings, false, |_| store).await
    }
}

/// Starts a service with these settings, which lie in a folder, over the store that is opened when they were read.
pub(super) async fn serve(
    folder: &Path,
    settings: &str,
    is_replica: bool,
    open: impl FnOnce(&Settings) -> Store,
) -> Running {
    let settings = load(folder, settings, is_replica);
    let ready = settings.sources.flags.ready_file.clone().unwrap();
    let store = open(&settings);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        stopped.await.ok();
    };
    let service = tokio::spawn(crate::run(store, settings, shutdown));
    let addresses = written(&ready).await;
    let address = |key: &str| addresses[key].as_str().map(str::to_owned);
    Running { grpc: address("grpc").unwrap(), http: address("http"), stop, service }
}

/// Reads settings, which lie in a folder.
fn load(folder: &Path, settings: &str, is_replica: bool) -> Settings {
    fs::write(folder.join("serve.toml"), settings).unwrap();
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap().public_key();
    let ready = folder.join("ready.json");
    fs::remove_file(&ready).ok();
    let sources = Sources {
        file: Some(folder.join("serve.toml")),
        folder: folder.to_path_buf(),
        environment: vec![("LOG__FILTER".to_owned(), "off".to_owned())],
        flags: Flags { ready_file: Some(ready), is_replica, ..Flags::default() },
        own_committer: OwnCommitter { name: "Maker".to_owned(), key },
        has_log_key: !is_replica,
        clock: now,
    };
    Settings::load(sources).unwrap()
}

/// Waits for the ready file.
async fn written(path: &Path) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        if let Ok(text) = fs::read_to_string(path) {
            return serde_json::from_str(&text).unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the service does not become ready");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Running {
    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.service.await.unwrap().unwrap();
    }
}
