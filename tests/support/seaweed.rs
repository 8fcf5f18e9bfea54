//! SeaweedFS, a service with S3's interface that others wrote: a master, three volume servers that keep everything twice,
//! a filer and a gateway, each a process on ports of the loopback.
//!
//! `GRIPTRACE_WEED` names the program; without it, `weed` is looked for in `PATH`.

use core::time::Duration;
use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::Instant,
};

use tempfile::TempDir;

/// How long all of it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// The bucket that is there from the beginning.
pub(crate) const BUCKET: &str = "logs";
/// The key that may do everything.
pub(crate) const KEY: &str = "griptrace";
/// Its secret.
pub(crate) const SECRET: &str = "a-secret-of-tests";
const VOLUMES: usize = 3;
const BIND: [&str; 2] = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"];

/// A service that runs. Dropped, it ends.
pub(crate) struct Seaweed {
    program: PathBuf,
    folder: TempDir,
    /// Of the master, the filer, the gateway and the volume servers; the one of gRPC follows each.
    ports: Vec<(u16, u16)>,
    running: Mutex<Vec<(Part, Child)>>,
}

/// One of its processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Master,
    Filer,
    Gateway,
    Volume(usize),
}

impl Part {
    const fn place(self) -> usize {
        match self {
            Self::Master => 0,
            Self::Filer => 1,
            Self::Gateway => 2,
            Self::Volume(which) => 3 + which,
        }
    }
}

/// The one that tests share while any of them runs.
static SHARED: Mutex<Weak<Seaweed>> = Mutex::new(Weak::new());

impl Seaweed {
    /// Returns one that other tests use too, or nothing if there is no such program here.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }

    /// Starts one, and waits until it takes writes.
    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        let identity = format!(
            r#"{{"identities":[{{"name":"griptrace","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],"actions":["Admin","Read","Write","List"]}}]}}"#
        );
        fs::write(folder.path().join("s3.json"), identity).unwrap();
        let seaweed = Self { program, folder, ports: free_ports(3 + VOLUMES), running: Mutex::default() };
        seaweed.run(Part::Master);
        for volume in 0..VOLUMES {
            seaweed.run(Part::Volume(volume));
        }
        seaweed.run(Part::Filer);
        seaweed.until("the filer takes writes", || {
            seaweed.filer("POST", &format!("/buckets/{BUCKET}/")).is_some()
                && seaweed.filer("PUT", &format!("/buckets/{BUCKET}/ready/ready")) == Some(201)
        });
        seaweed.run(Part::Gateway);
        seaweed.until("the gateway listens", || seaweed.listens(Part::Gateway));
        Some(seaweed)
    }

    /// Returns the address of the gateway.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[Part::Gateway.place()].0)
    }

    /// Kills a process.
    pub(crate) fn kill(&self, part: Part) {
        let mut running = self.running();
        let place = running.iter().position(|(found, _)| *found == part).expect("it runs");
        let (_, mut child) = running.remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a process that was killed, and waits until it listens.
    pub(crate) fn restart(&self, part: Part) {
        self.run(part);
        self.until("it listens again", || self.listens(part));
    }

    fn run(&self, part: Part) {
        let (http, grpc) = self.ports[part.place()];
        let folder = self.folder.path().join(format!("{part:?}").replace(['(', ')'], "-"));
        fs::create_dir_all(&folder).unwrap();
        let folder = folder.display();
        let address = |other: Part| {
            let (http, grpc) = self.ports[other.place()];
            format!("127.0.0.1:{http}.{grpc}")
        };
        let (name, own) = match part {
            Part::Master => (
                "master",
                vec![
                    format!("-mdir={folder}"),
                    "-telemetry=false".to_owned(),
                    "-electionTimeout=1s".to_owned(),
                    "-heartbeatInterval=100ms".to_owned(),
                    "-defaultReplication=001".to_owned(),
                    "-volumeSizeLimitMB=64".to_owned(),
                ],
            ),
            Part::Volume(_) => (
                "volume",
                vec![
                    format!("-dir={folder}"),
                    format!("-master={}", address(Part::Master)),
                    "-max=30".to_owned(),
                    "-minFreeSpace=1".to_owned(),
                ],
            ),
            Part::Filer => {
                ("filer", vec![format!("-master={}", address(Part::Master)), format!("-defaultStoreDir={folder}")])
            }
            Part::Gateway => (
                "s3",
                vec![
                    format!("-filer={}", address(Part::Filer)),
                    format!("-config={}", self.folder.path().join("s3.json").display()),
                    "-port.iceberg=0".to_owned(),
                    "-port.lance=0".to_owned(),
                ],
            ),
        };
        let log = fs::File::options().create(true).append(true).open(format!("{folder}.log")).unwrap();
        let child = Command::new(&self.program)
            .args(["-logtostderr=true", name])
            .args(BIND.iter().skip(usize::from(name == "s3")))
            .args([format!("-port={http}"), format!("-port.grpc={grpc}")])
            .args(own)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running().push((part, child));
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<(Part, Child)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listens(&self, part: Part) -> bool {
        TcpStream::connect(("127.0.0.1", self.ports[part.place()].0)).is_ok()
    }

    /// Asks the filer, and returns its status.
    fn filer(&self, method: &str, path: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[Part::Filer.place()].0)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: filer\r\nContent-Length: 5\r\n\r\nready").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}:\n{}", self.said());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Returns the ends of all logs.
    fn said(&self) -> String {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|file| file.extension().is_some_and(|ending| ending == "log"));
        let ends = logs.map(|file| {
            let said = fs::read_to_string(&file).unwrap();
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            format!("{}\n{}\n", file.display(), last.into_iter().rev().collect::<Vec<_>>().join("\n"))
        });
        ends.collect()
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        for (_, child) in self.running().iter_mut().rev() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("GRIPTRACE_WEED") {
        return Some(named.into());
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join("weed")).find(|program| program.is_file())
}

/// Returns pairs of ports that nobody listens on.
fn free_ports(pairs: usize) -> Vec<(u16, u16)> {
    let listeners: Vec<TcpListener> = (0..pairs * 2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    ports.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}
