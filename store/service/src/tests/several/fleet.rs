//! Servers of one log in a bucket in memory, each with a folder and addresses of its own.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use griptrace_core::{
    cbor::encode,
    checkpoint::Checkpoint,
    details::{Values, slot},
    digest::Digest,
    entry::Genesis,
    id::GenesisHash,
    key::{Algorithm, SecretKey, Signer as _},
    node::{Activity, Core, DigestStrength, Edge, Held, Kind, Origin, Role},
    note::{Note, NoteSigner},
    tree::{LeafIndex, Rfc9162, TreeSize, verify_inclusion},
    value::Value,
};
use griptrace_proto::v1::{
    self, commit_service_client::CommitServiceClient, lineage_service_client::LineageServiceClient,
    proof_service_client::ProofServiceClient,
};
use griptrace_store::{
    OpenOptions, Store,
    bucket::{Bucket as _, MemoryBucket},
    record::NodeRecord,
    signed_commit,
};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig},
};

use super::{
    super::{
        site::ask,
        world::{ORIGIN, Running, now, serve},
    },
    tap::{Tap, Way},
};
use crate::status::DOMAIN;

/// How long anything may take that is bound to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);

/// A log in a bucket, and what its servers need.
pub(super) struct Fleet {
    bucket: MemoryBucket,
    folder: TempDir,
    home: GenesisHash,
    ports: Mutex<Vec<Port>>,
}

/// Where one of its servers listens, or will: others have to know before.
struct Port {
    number: u16,
    /// Held until somebody listens there.
    kept: Option<TcpListener>,
    server: Option<String>,
}

/// One of its servers.
pub(super) struct Member {
    pub(super) tap: Tap,
    pub(super) running: Running,
    pub(super) url: String,
    /// Who signed its certificate, if it has one.
    authority: Option<String>,
}

impl Fleet {
    pub(super) fn new() -> Self {
        let (bucket, folder) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
        let genesis = Genesis { origin: ORIGIN.into(), key, time: now(), nonce: [3; 16], revokers: Vec::new() };
        let local = folder.path().join("first");
        let store = Store::init_in(Arc::new(bucket.clone()), &local, &genesis, signer(), now()).unwrap();
        let port = |_| {
            let kept = TcpListener::bind("127.0.0.1:0").unwrap();
            Port { number: kept.local_addr().unwrap().port(), kept: Some(kept), server: None }
        };
        Self { home: store.home(), bucket, folder, ports: Mutex::new((0..4).map(port).collect()) }
    }

    /// Returns where a server of this name listens, always at the same place.
    fn port(&self, name: &str) -> u16 {
        let mut ports = self.ports.lock().unwrap();
        let own = ports.iter().position(|port| port.server.as_deref() == Some(name));
        let port = own.or_else(|| ports.iter().position(|port| port.server.is_none())).unwrap();
        (ports[port].kept, ports[port].server) = (None, Some(name.to_owned()));
        ports[port].number
    }

    /// Returns the settings of a server that hands commits in to any other one, unless they say to which.
    fn knowing_all(&self, settings: &str) -> String {
        if settings.contains("[forward]\nto = ") {
            return settings.to_owned();
        }
        let urls: Vec<String> = self.ports.lock().unwrap().iter().map(|port| url(settings, port.number)).collect();
        settings.replace("[forward]\n", &format!("[forward]\nto = {urls:?}\n"))
    }

    /// Returns what the head of the log says.
    pub(super) fn head(&self) -> String {
        String::from_utf8(self.bucket.get("head", None).unwrap().unwrap().bytes).unwrap()
    }

    /// Returns where a file of all servers is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a server that takes the turn to write when it is free.
    pub(super) async fn serve(&self, name: &str, settings: &str) -> Member {
        self.start(name, settings, false).await
    }

    /// Starts one that never does.
    pub(super) async fn replica(&self, name: &str, settings: &str) -> Member {
        self.start(name, settings, true).await
    }

    /// Moves the log away, into a folder.
    pub(super) fn move_away(&self) {
        let to = griptrace_store::Place::Folder(self.path("away"));
        self.write().move_to(&to, &|_, _, _| {}).unwrap();
    }

    /// Commits so many data sets at once that a snapshot is written, and returns the id of one of them.
    pub(super) fn fill(&self) -> bytes::Bytes {
        let store = self.write();
        let nodes: Vec<_> = (0..1100).map(|number| self.node(&format!("part {number}"))).collect();
        let id = nodes[7].id().as_bytes().to_vec().into();
        store.commit(nodes, &SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap(), "Maker", now()).unwrap();
        drop(store);
        assert!(self.bucket.names().iter().any(|name| name == "snapshots/catalogue"));
        id
    }

    /// Opens the log to write to it, not served.
    pub(super) fn write(&self) -> Store {
        self.write_at("")
    }

    /// Opens the log to write to it, and says that commits are taken at an address.
    pub(super) fn write_at(&self, address: &str) -> Store {
        let options = OpenOptions { signer: Some(signer()), address: address.to_owned(), ..OpenOptions::default() };
        Store::open_in(Arc::new(self.bucket.clone()), &self.path("write"), options).unwrap()
    }

    /// Starts one that has a key which is to follow the log's.
    pub(super) async fn serve_with_next(&self, name: &str, settings: &str) -> Member {
        let options = OpenOptions { signer: Some(signer()), next_signer: Some(next()), ..OpenOptions::default() };
        self.start_with(name, settings, options, Way::Open).await
    }

    /// Starts a replica that reaches the bucket no more, once it has opened the log.
    pub(super) async fn replica_cut_off(&self, name: &str) -> Member {
        self.start_with(name, "", OpenOptions::default(), Way::Failing).await
    }

    async fn start(&self, name: &str, settings: &str, is_replica: bool) -> Member {
        let options = OpenOptions { signer: (!is_replica).then(signer), ..OpenOptions::default() };
        self.start_with(name, settings, options, Way::Open).await
    }

    async fn start_with(&self, name: &str, settings: &str, options: OpenOptions, way: Way) -> Member {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let port = self.port(name);
        let (url, settings) = (url(settings, port), self.knowing_all(settings));
        let addresses = format!("listen = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:0\"\nadvertise = \"{url}\"\n");
        let tap = Tap::on(&self.bucket);
        let settings = format!("{addresses}{settings}");
        let running = serve(&folder, &settings, options.signer.is_none(), |settings| {
            let options = OpenOptions { address: settings.advertised().to_owned(), ..options };
            let store = Store::join_in(Arc::new(tap.clone()), &folder.join("store"), options).unwrap();
            tap.turn(way);
            store
        })
        .await;
        let authority = url.starts_with("https:").then(|| fs::read_to_string(self.path("ca.pem")).unwrap());
        Member { tap, running, url, authority }
    }

    /// Reads the log, once so many entries are in the bucket under a checkpoint.
    fn log(&self, least: u64) -> Store {
        let folder = tempfile::tempdir().unwrap();
        let log = Store::join_in(Arc::new(self.bucket.clone()), folder.path(), OpenOptions::default()).unwrap();
        let begun = Instant::now();
        while log.size() < least {
            assert!(begun.elapsed() < PATIENCE, "{} of {least} entries are there", log.size());
            log.tend(begun.elapsed()).unwrap();
            thread::sleep(Duration::from_millis(50));
        }
        log
    }

    /// Returns a commit of a data set of this name, that nobody has seen, and its node's id.
    pub(super) fn commit(&self, name: &str) -> (v1::CommitRequest, bytes::Bytes) {
        let node = self.node(name);
        let id = node.id().as_bytes().to_vec().into();
        (self.sign(&[node]), id)
    }

    /// Returns a commit of a data set, and one of a step that takes it, which nobody takes before the first.
    pub(super) fn commit_and_next(&self) -> (v1::CommitRequest, v1::CommitRequest) {
        let from = self.node("from");
        let build = |core| NodeRecord::build(core, Values::new(), None, None, |out| out.fill(7)).unwrap();
        let new = |kind| Core::new(kind, self.home, [0; 16], Digest::ZERO);
        let step = build(Core {
            activity: Some(Activity::Feature),
            edges: vec![Edge::local(Role::Used, from.id())],
            ..new(Kind::Transformation)
        });
        let made = build(Core {
            origin: Some(Origin::Derived),
            edges: vec![Edge::local(Role::GeneratedBy, step.id())],
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            ..new(Kind::Dataset)
        });
        (self.sign(&[from]), self.sign(&[step, made]))
    }

    fn sign(&self, nodes: &[NodeRecord]) -> v1::CommitRequest {
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        let entry = signed_commit(self.home, nodes, &|_| None, &committer, "Maker", now()).unwrap();
        v1::CommitRequest { entry: entry.into(), nodes: nodes.iter().map(|node| node.to_bytes().into()).collect() }
    }

    fn node(&self, name: &str) -> NodeRecord {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let core = Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            ..Core::new(Kind::Dataset, self.home, [0; 16], Digest::ZERO)
        };
        let values = [(slot(Kind::Dataset, "name").unwrap(), encode(&Value::text(name)))].into_iter().collect();
        let random = |out: &mut [u8]| {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            out.iter_mut().zip(count).for_each(|(byte, drawn)| *byte = drawn);
        };
        NodeRecord::build(core, values, None, None, random).unwrap()
    }

    /// Asserts that these entries are in the log, each once and where its receipt says.
    pub(super) fn holds(&self, receipts: &[(v1::CommitRequest, v1::Receipt)]) {
        let log = self.log(receipts.iter().map(|(_, receipt)| receipt.tree_size).max().unwrap());
        let entries = log.entries(0..log.size()).unwrap();
        let all: BTreeSet<&[u8]> = entries.iter().map(|entry| entry.bytes.as_slice()).collect();
        assert_eq!(all.len(), entries.len(), "no entry is there twice");
        for (request, receipt) in receipts {
            let there = &entries[usize::try_from(receipt.index).unwrap()].bytes;
            assert_eq!(there.as_slice(), &*request.entry, "entry {}", receipt.index);
        }
    }
}

/// Returns where one listens. With certificates, each bears a name and not a number.
fn url(settings: &str, port: u16) -> String {
    if settings.contains("[tls]") { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") }
}

fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[1; 32]).unwrap()
}

/// The key that follows the log's first one.
pub(super) fn next() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[11; 32]).unwrap()
}

impl Member {
    pub(super) async fn channel(&self) -> Channel {
        let mut endpoint = Channel::from_shared(self.url.clone()).unwrap();
        if let Some(authority) = &self.authority {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
            endpoint = endpoint.tls_config(tls).unwrap();
        }
        endpoint.connect().await.unwrap()
    }

    /// Commits, and asserts that the receipt shows what it should.
    pub(super) async fn commit(&self, request: &v1::CommitRequest) -> Result<v1::Receipt, Status> {
        self.commit_as(request, None).await
    }

    /// Commits with a token.
    pub(super) async fn commit_as(
        &self,
        request: &v1::CommitRequest,
        token: Option<&str>,
    ) -> Result<v1::Receipt, Status> {
        let mut client = CommitServiceClient::new(self.channel().await);
        let answer = client.commit(with_token(request.clone(), token)).await?.into_inner();
        let receipt = answer.receipt.unwrap();
        let note = Note::parse(receipt.checkpoint.as_bytes()).unwrap();
        let keys = [signer().verifier().clone(), next().verifier().clone()];
        assert_eq!(note.verify(&keys).unwrap().len(), 1, "signed by the log");
        let Checkpoint { size, root, .. } = Checkpoint::parse(note.text()).unwrap();
        assert_eq!(size, receipt.tree_size);
        let path: Vec<Digest> =
            receipt.log_path.iter().map(|hash| Digest::from_bytes(hash.as_ref().try_into().unwrap())).collect();
        let leaf = Rfc9162::leaf_hash(&request.entry);
        verify_inclusion(&Rfc9162, LeafIndex::new(receipt.index), TreeSize::new(size), &leaf, &path, &root).unwrap();
        Ok(receipt)
    }

    /// Commits where the log has at least so many entries.
    pub(super) async fn commit_at(&self, request: &v1::CommitRequest, least: u64) -> Result<v1::Receipt, Status> {
        let mut request = Request::new(request.clone());
        request.metadata_mut().insert("griptrace-min-size", least.to_string().parse().unwrap());
        let answer = CommitServiceClient::new(self.channel().await).commit(request).await?;
        Ok(answer.into_inner().receipt.unwrap())
    }

    /// Asks for a node where the log has at least so many entries.
    pub(super) async fn node(&self, id: &bytes::Bytes, least: u64) -> Result<v1::GetNodeResponse, Status> {
        let mut request = Request::new(v1::GetNodeRequest { id: id.clone(), ..Default::default() });
        request.metadata_mut().insert("griptrace-min-size", least.to_string().parse().unwrap());
        request.set_timeout(Duration::from_secs(20));
        Ok(LineageServiceClient::new(self.channel().await).get_node(request).await?.into_inner())
    }

    pub(super) async fn proofs(&self) -> ProofServiceClient<Channel> {
        ProofServiceClient::new(self.channel().await)
    }

    /// Returns a figure.
    pub(super) async fn figure(&self, name: &str) -> u64 {
        let answer = ask(self.running.http.as_ref().unwrap(), "GET", "/metrics").await;
        let text = String::from_utf8(answer.body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("griptrace_{name} ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    pub(super) async fn is_writer(&self) -> bool {
        self.figure("is_writer").await == 1
    }

    /// Waits until it writes.
    pub(super) async fn writes(&self) {
        let begun = Instant::now();
        while !self.is_writer().await {
            assert!(begun.elapsed() < PATIENCE, "it does not take the turn");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it knows who writes.
    pub(super) async fn follows(&self, turn: u64) {
        let begun = Instant::now();
        while self.figure("turn").await < turn {
            assert!(begun.elapsed() < PATIENCE, "it does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(super) fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

/// Returns the reason of a refusal, and what is said beside it.
pub(super) fn reason(status: &Status) -> (String, std::collections::HashMap<String, String>) {
    use tonic_types::StatusExt as _;
    let info = status.get_error_details().error_info().unwrap().clone();
    assert_eq!(info.domain, DOMAIN);
    (info.reason, info.metadata)
}
