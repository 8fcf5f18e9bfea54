//! A service in a process of its own, with TLS and a token, and clients that come to it.

use core::{fmt::Write as _, time::Duration};
use std::{
    fs,
    io::{Read as _, Write as _, stdin},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

use griptrace_core::key::Signer as _;
use griptrace_proto::v1::{
    commit_service_client::CommitServiceClient, lineage_service_client::LineageServiceClient,
    proof_service_client::ProofServiceClient,
};
use griptrace_service::config::{Flags, OwnCommitter, Settings, Sources};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    Failure,
    world::{self, NOW, committer},
};

/// The token of every client: no secret.
const TOKEN: &str = "bench-token";
const READY_MAX: Duration = Duration::from_secs(30);

/// A running service.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
    pub(crate) certificate: PathBuf,
}

impl Service {
    /// Starts a service over the log in a folder.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let certificate = folder.join("server.pem");
        fs::write(&certificate, made.cert.pem())?;
        fs::write(folder.join("server.key"), made.signing_key.serialize_pem())?;
        let token = Sha256::digest(TOKEN.as_bytes()).iter().fold(String::new(), |mut text, byte| {
            // Writing to a `String` does not fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        });
        let config = format!(
            "listen = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\naudit = \"audit.jsonl\"\n\
             [tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n\
             [log]\nfilter = \"warn\"\n\
             [[client]]\nname = \"bench\"\ntoken = \"sha256:{token}\"\nroles = [\"read\", \"commit\", \"prove\"]\n\
             [limits]\nquestions_per_client = 256\n"
        );
        fs::write(folder.join("serve.toml"), config)?;
        let ready = folder.join("ready.json");
        fs::remove_file(&ready).or_else(|error| if ready.exists() { Err(error) } else { Ok(()) })?;
        let program = std::env::current_exe()?;
        let child = Command::new(program)
            .args(["child", "serve"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut service = Self { child, address: String::new(), certificate };
        service.address = service.wait(&ready)?;
        Ok(service)
    }

    fn wait(&mut self, ready: &Path) -> Result<String, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < READY_MAX {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the service left with {status}").into());
            }
            let told = fs::read(ready).ok().and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok());
            if let Some(address) = told.as_ref().and_then(|told| told.get("grpc")).and_then(Json::as_str) {
                return Ok(address.to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the service does not listen".into())
    }

    /// Returns the memory that the service holds now, in bytes; `None` where the system can't tell.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Its end of the pipe closed is what it waits for.
        if let Some(mut pipe) = self.child.stdin.take() {
            pipe.flush().unwrap_or_default();
        }
        self.child.wait().ok();
    }
}

/// The job `serve FOLDER`: serves until the standard input ends.
pub(crate) fn serve(words: &[String]) -> Result<Json, Failure> {
    let [folder] = words else { return Err("serve FOLDER".into()) };
    let folder = PathBuf::from(folder);
    let settings = Settings::load(Sources {
        file: Some(folder.join("serve.toml")),
        folder: folder.clone(),
        environment: Vec::new(),
        flags: Flags { ready_file: Some(folder.join("ready.json")), ..Flags::default() },
        own_committer: OwnCommitter { name: "Bench".to_owned(), key: committer(0)?.public_key() },
        has_log_key: true,
        clock: || NOW,
    })?;
    let store = world::Log::open_to_write(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    thread::spawn(move || {
        stdin().read_to_end(&mut Vec::new()).ok();
        drop(ended);
    });
    runtime.block_on(griptrace_service::run(store, settings, async {
        end.await.ok();
    }))?;
    Ok(Json::Null)
}

/// Puts the token into every call.
#[derive(Clone, Debug)]
pub(crate) struct WithToken(MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for WithToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A connection of its own to a service.
pub(crate) type Connection = InterceptedService<Channel, WithToken>;

/// Connects to a service.
pub(crate) async fn connect(address: &str, certificate: &Path) -> Result<Connection, Failure> {
    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(certificate)?)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?.tcp_nodelay(true);
    let token = format!("Bearer {TOKEN}").parse()?;
    Ok(InterceptedService::new(endpoint.connect().await?, WithToken(token)))
}

/// Clients over one connection.
pub(crate) fn committing(connection: Connection) -> CommitServiceClient<Connection> {
    CommitServiceClient::new(connection).max_decoding_message_size(usize::MAX)
}

/// As [`committing`].
pub(crate) fn asking(connection: Connection) -> LineageServiceClient<Connection> {
    LineageServiceClient::new(connection).max_decoding_message_size(usize::MAX)
}

/// As [`committing`].
pub(crate) fn proving(connection: Connection) -> ProofServiceClient<Connection> {
    ProofServiceClient::new(connection).max_decoding_message_size(usize::MAX)
}

/// Samples the memory of a service while work is done beside it: seconds, and bytes.
pub(crate) fn while_sampled<T>(
    service: &Service,
    every: Duration,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<(T, Vec<(f64, u64)>), Failure>
where
    T: Send,
{
    thread::scope(|scope| {
        let (done, over) = mpsc::channel();
        let worker = scope.spawn(move || {
            let done = done;
            let gave = work();
            done.send(()).unwrap_or_default();
            gave
        });
        let begun = Instant::now();
        let mut samples = Vec::new();
        while over.recv_timeout(every).is_err() {
            samples.extend(service.resident_bytes().map(|bytes| (begun.elapsed().as_secs_f64(), bytes)));
            if worker.is_finished() {
                break;
            }
        }
        let gave = worker.join().map_err(|_| "the work panicked")??;
        Ok((gave, samples))
    })
}
