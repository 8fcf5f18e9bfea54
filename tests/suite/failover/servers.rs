//! Servers of one log in a bucket, each a process with a folder of its own and a proxy before the bucket.

use core::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    fs::{self, File},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Instant,
};

use griptrace_bucket::{BucketStore, Options};
use griptrace_core::{id::GenesisHash, key::Signer as _};
use griptrace_proto::v1::GetCheckpointRequest;
use griptrace_store::{OpenOptions, Store, bucket::Bucket};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{Blow, crowd::Crowd, proxy::Proxy};
use crate::{
    holding::factory::{ISSUER, NOW, ORIGIN, committer, genesis, log_signer},
    seaweed::{BUCKET, KEY, SECRET, Seaweed},
    served::{Endpoints, write_settings},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long calls, and then closing the store, may take at the end.
pub(super) const DRAIN_SECONDS: u64 = 3;

pub(super) struct Fleet {
    folder: TempDir,
    /// Straight to the service.
    bucket: Arc<BucketStore>,
    address: String,
    home: GenesisHash,
    servers: Vec<Server>,
}

struct Server {
    process: Child,
    proxy: Proxy,
    port: u16,
}

/// How many there were: tests of one run may have one seed.
static FLEETS: AtomicU64 = AtomicU64::new(0);

impl Fleet {
    /// Makes a log, and starts so many servers of it.
    pub(super) fn new(seaweed: &Seaweed, count: usize, number: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fleet = FLEETS.fetch_add(1, Ordering::Relaxed);
        let address = format!("s3://{BUCKET}/failover-{number}-{fleet}");
        let options = Options::default()
            .with("AWS_ENDPOINT_URL", &seaweed.endpoint())
            .with("AWS_ALLOW_HTTP", "true")
            .with("AWS_ACCESS_KEY_ID", KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET);
        let bucket = Arc::new(BucketStore::open(&address, options).unwrap());
        let made = Store::init_in(bucket.clone(), &folder.path().join("made"), &genesis(7), log_signer(), NOW).unwrap();
        let mut fleet = Self { folder, bucket, address, home: made.home(), servers: Vec::new() };
        drop(made);
        let gateway = seaweed.endpoint().trim_start_matches("http://").parse().unwrap();
        let kept: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<_> = kept.iter().map(|kept| kept.local_addr().unwrap().port()).collect();
        drop(kept);
        for (which, port) in ports.iter().copied().enumerate() {
            let proxy = Proxy::to(gateway);
            fleet.write(which, port, &ports, &proxy);
            let process = fleet.run(which);
            fleet.servers.push(Server { process, proxy, port });
        }
        (0..count).for_each(|which| fleet.listens(which));
        fleet
    }

    fn write(&self, which: usize, port: u16, ports: &[u16], proxy: &Proxy) {
        let inner = self.folder.path().join(which.to_string()).join(".griptrace");
        write_settings(&inner);
        let (key, home, endpoint) = (committer().public_key(), self.home, proxy.address);
        let config = format!(
            "origin = \"{ORIGIN}\"\nissuer = \"{ISSUER}\"\ncommitter = \"{key}\"\nstore = \"{}\"\n\
             endpoint = \"http://{endpoint}\"\ngenesis = \"{home}\"\n\
             [keys]\nlog = \"keys/log.key\"\ncommitter = \"keys/committer.key\"\n",
            self.address
        );
        fs::write(inner.join("config.toml"), config).unwrap();
        let all: Vec<_> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let settings = format!(
            "advertise = \"http://127.0.0.1:{port}\"\nhttp = \"off\"\n[forward]\nto = {all:?}\n[connections]\ndrain_seconds = {DRAIN_SECONDS}\n"
        );
        fs::write(inner.join("serve.toml"), format!("listen = \"127.0.0.1:{port}\"\n{settings}")).unwrap();
    }

    fn run(&self, which: usize) -> Child {
        let folder = self.folder.path().join(which.to_string());
        let ready = folder.join("ready.json");
        fs::remove_file(&ready).unwrap_or_default();
        let log = File::options().create(true).append(true).open(folder.join("serve.log")).unwrap();
        let mut command = self.command(which, &["serve", "--ready-file", "ready.json"]);
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn command(&self, which: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace-under-test"));
        command
            .args(arguments)
            .current_dir(self.folder.path().join(which.to_string()))
            .env_remove("GRIPTRACE_STORE")
            .env_remove("GRIPTRACE_PASSPHRASE")
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::null());
        command
    }

    /// Asks a server to end, and waits until it has.
    pub(super) fn end(&mut self, which: usize) {
        let process = &mut self.servers[which].process;
        signal("TERM", process);
        assert!(process.wait().unwrap().success(), "{}", self.said(which));
    }

    /// Starts one that has ended.
    pub(super) fn start(&mut self, which: usize) {
        self.servers[which].process = self.run(which);
        self.listens(which);
    }

    /// Runs another command in a server's folder.
    pub(super) fn griptrace(&self, which: usize, arguments: &[&str]) -> String {
        let ran = self.command(which, arguments).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{arguments:?}: {out}{err}");
        out.into_owned()
    }

    /// Returns a file beside a server's store.
    pub(super) fn file(&self, which: usize, name: &str) -> PathBuf {
        self.folder.path().join(which.to_string()).join(".griptrace").join(name)
    }

    fn listens(&self, which: usize) {
        let folder = self.folder.path().join(which.to_string());
        let begun = Instant::now();
        while !folder.join("ready.json").is_file() {
            assert!(begun.elapsed() < PATIENCE, "it does not listen: {}", self.said(which));
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn said(&self, which: usize) -> String {
        let log = fs::read_to_string(self.folder.path().join(which.to_string()).join("serve.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("call ended")).collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    pub(super) const fn home(&self) -> GenesisHash {
        self.home
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| SocketAddr::from(([127, 0, 0, 1], server.port))).collect()
    }

    /// Tells whether somebody writes, as the head says.
    pub(super) fn is_written(&self) -> bool {
        let head = self.bucket.get("head", None).unwrap().unwrap();
        !String::from_utf8(head.bytes).unwrap().contains("\nwriter nobody\n")
    }

    /// Returns who writes, as the head says.
    pub(super) async fn writer(&self) -> usize {
        let begun = Instant::now();
        loop {
            let bucket = Arc::clone(&self.bucket);
            let head = tokio::task::spawn_blocking(move || bucket.get("head", None)).await.unwrap().unwrap().unwrap();
            let text = String::from_utf8(head.bytes).unwrap();
            let is_free = text.contains("\nwriter nobody\n");
            let port = text.lines().find_map(|line| line.strip_prefix("address http://127.0.0.1:")?.parse().ok());
            let found = self.servers.iter().position(|server| Some(server.port) == port && !is_free);
            if let Some(found) = found {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "nobody writes: {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) fn strike(&mut self, which: usize, blow: Blow) {
        let server = &mut self.servers[which];
        match blow {
            Blow::Killed => {
                server.process.kill().unwrap();
                server.process.wait().unwrap();
            }
            Blow::Stopped => signal("STOP", &server.process),
            Blow::CutOff => server.proxy.shut(true),
        }
    }

    pub(super) async fn mend(&mut self, which: usize, blow: Blow) {
        match blow {
            Blow::Killed => {
                self.servers[which].process = self.run(which);
                self.listens(which);
            }
            Blow::Stopped => signal("CONT", &self.servers[which].process),
            Blow::CutOff => self.servers[which].proxy.shut(false),
        }
        tokio::task::yield_now().await;
    }

    /// Asks every server for its newest checkpoint, for the crowd to compare.
    pub(super) async fn look(&self, crowd: &Crowd) {
        for address in self.addresses() {
            let Ok(mut client) = Endpoints::plain(address).connect().await else { continue };
            let asked = timeout(Duration::from_secs(2), client.proofs.get_checkpoint(GetCheckpointRequest::default()));
            if let Ok(Ok(answer)) = asked.await {
                crowd.saw(&answer.into_inner().checkpoint);
            }
        }
    }

    /// Reads the log, once so many entries are in the bucket under a checkpoint.
    pub(super) fn log(&self, least: u64) -> Store {
        let folder = self.folder.path().join("read");
        let log = Store::join_in(self.bucket.clone(), &folder, OpenOptions::default()).unwrap();
        let begun = Instant::now();
        while log.size() < least {
            assert!(begun.elapsed() < PATIENCE, "{} of {least} entries are there", log.size());
            log.tend(begun.elapsed()).unwrap();
            thread::sleep(Duration::from_millis(50));
        }
        log
    }
}

impl Drop for Fleet {
    #[expect(clippy::print_stderr, reason = "what a server said belongs to the failure of its test")]
    fn drop(&mut self) {
        for which in 0..self.servers.len() {
            if thread::panicking() {
                eprintln!("server {which} said:\n{}", self.said(which));
            }
            let server = &mut self.servers[which];
            server.proxy.shut(false);
            drop(server.process.kill());
            drop(server.process.wait());
        }
    }
}

fn signal(name: &str, process: &Child) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status().unwrap();
    assert!(sent.success(), "process {} takes a signal", process.id());
}
