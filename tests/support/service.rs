//! A service in a process of its own, and who calls it: what every test of `griptrace serve` begins with.

#[path = "service/certificates.rs"]
mod certificates;
#[path = "service/client.rs"]
mod client;
#[path = "service/http.rs"]
mod http;
#[path = "service/maker.rs"]
mod maker;
#[path = "service/verify.rs"]
mod verify;

use core::{net::SocketAddr, time::Duration};
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    id::GenesisHash,
    key::{PublicKey, Signer as _},
};
use griptrace_store::{OpenOptions, Store};
use tempfile::TempDir;

pub(crate) use certificates::{Authority, Counts, with};
pub(crate) use client::{Client, Endpoints, all, block_on, reason};
pub(crate) use http::Http;
pub(crate) use maker::{Lineage, Maker};
pub(crate) use verify::{
    checkpoint, digest, verify_consistent, verify_included, verify_node, verify_receipt, verify_status,
};

use crate::holding::factory::{COMMITTER_SEED, ISSUER, LOG_SEED, NOW, ORIGIN, committer, genesis, log_signer};

/// How long a service may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the seconds since 1970: the services that are tested run by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the service is a process, and has no other clock")]
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs()
}

/// A folder with a store in it, as `griptrace init` would have made it with the factory's keys.
#[derive(Debug)]
pub(crate) struct Desk {
    folder: PathBuf,
    home: GenesisHash,
    /// Taken away with the desk, if it was made for it.
    _made: Option<TempDir>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let made = tempfile::tempdir().unwrap();
        let desk = Self::at(made.path());
        Self { _made: Some(made), ..desk }
    }

    /// Makes a store in a folder that is there.
    pub(crate) fn at(folder: &Path) -> Self {
        let inner = folder.join(".griptrace");
        write_settings(&inner);
        let store = Store::init(&inner.join("store"), &genesis(7), log_signer(), NOW).unwrap();
        Self { folder: folder.to_path_buf(), home: store.home(), _made: None }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn home(&self) -> GenesisHash {
        self.home
    }

    /// Opens the store for reading, as it is now.
    pub(crate) fn store(&self) -> Store {
        Store::open(&self.folder.join(".griptrace/store"), OpenOptions::default()).unwrap()
    }

    /// Starts a service with these settings; the factory's committer may write.
    pub(crate) fn serve(&self, settings: &str) -> Server {
        self.serve_at("127.0.0.1:0", settings)
    }

    /// Starts a service at an address, as the one before had it.
    pub(crate) fn serve_at(&self, listen: &str, settings: &str) -> Server {
        let server = self.try_serve(listen, settings);
        server.unwrap_or_else(|log| panic!("the service does not listen: {log}"))
    }

    /// Starts a service, or returns what it said instead.
    pub(crate) fn try_serve(&self, listen: &str, settings: &str) -> Result<Server, String> {
        let config = self.folder.join("serve.toml");
        fs::write(&config, settings).unwrap();
        let (ready, log) = (self.folder.join("ready.json"), self.folder.join("serve.log"));
        fs::remove_file(&ready).unwrap_or_default();
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_griptrace-under-test"))
            .args(["serve", "--listen", listen, "--http", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--ready-file")
            .arg(&ready)
            .current_dir(&self.folder)
            .env_remove("GRIPTRACE_STORE")
            .env_remove("GRIPTRACE_PASSPHRASE")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let mut server = Server { process, grpc: ([127, 0, 0, 1], 0).into(), http: ([127, 0, 0, 1], 0).into(), log };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let told = fs::read(&ready).ok().and_then(|told| serde_json::from_slice::<serde_json::Value>(&told).ok());
            if let Some(told) = told {
                let address = |key: &str| told[key].as_str().and_then(|text| text.parse().ok()).expect("an address");
                (server.grpc, server.http) = (address("grpc"), address("http"));
                return Ok(server);
            }
            if server.process.try_wait().unwrap().is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(server.log())
    }
}

/// Returns the lines of `serve.toml` that let keys commit for these clients; none is every client.
pub(crate) fn committer_lines(name: &str, key: &PublicKey, clients: &[&str]) -> String {
    format!("[[committer]]\nname = {name:?}\nclients = {clients:?}\n[[committer.key]]\nkey = \"{key}\"\n")
}

/// A running service. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    /// Where it serves gRPC.
    pub(crate) grpc: SocketAddr,
    /// Where it serves the log.
    pub(crate) http: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Connects to it, without TLS and as nobody.
    pub(crate) async fn client(&self) -> Client {
        Endpoints::plain(self.grpc).connect().await.unwrap()
    }

    /// Returns what reads its HTTP.
    pub(crate) const fn site(&self) -> Http {
        Http::new(self.http)
    }

    /// Kills it at once.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to end.
    pub(crate) fn ask_to_end(&self) {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.process.id())]).status().unwrap();
        assert!(sent.success(), "process {} can be asked to end", self.process.id());
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.ask_to_end();
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the service does not end: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Tells whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Returns what it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the memory that it holds, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs on Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells the memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("it is a number")
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "what a service said belongs to the failure of its test")]
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the service's last words:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Writes keys and settings into a store's folder, as `griptrace init` would have with our keys.
pub(crate) fn write_settings(inner: &Path) {
    fs::create_dir_all(inner.join("keys")).unwrap();
    for (name, seed) in [("log", LOG_SEED), ("committer", COMMITTER_SEED)] {
        let path = inner.join("keys").join(format!("{name}.key"));
        fs::write(&path, format!("griptrace-secret-key-v1 ed25519 {}\n", STANDARD.encode(seed))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let config = format!(
        "origin = \"{ORIGIN}\"\nissuer = \"{ISSUER}\"\ncommitter = \"{}\"\n\
         [keys]\nlog = \"keys/log.key\"\ncommitter = \"keys/committer.key\"\n",
        committer().public_key()
    );
    fs::write(inner.join("config.toml"), config).unwrap();
}
