//! From settings to a running service, and to its end.

use core::{future::Future, net::SocketAddr, pin::pin, sync::atomic::Ordering, time::Duration};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_store::Store;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{service::Routes, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    access::{Gate, SharedRegistry},
    audit::Trail,
    config::{Connections, NO_LOG_KEY, Settings},
    cosigning::Keeper,
    grpc,
    http::{self, Site},
    layer::CallLayer,
    metrics::{ListenerName, Metrics},
    reload::{CurrentPair, Reloader},
    shared::{Ground, Shared},
    standing::{self, Post},
    telemetry,
    tls::{Connection, CurrentTls, Listening, accept},
    waiting::{self, Opening},
};

/// How long a connection may be silent before it is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const KEEPALIVE_ANSWER_MAX: Duration = Duration::from_secs(20);
/// How old a connection may become before it is told to go, so that its certificate is verified anew; and
/// how long its calls may then go on.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(3600);
const CONNECTION_AGE_GRACE: Duration = Duration::from_secs(600);

/// How long open HTTP connections have at the end, and the collector of spans.
const HTTP_DRAIN: Duration = Duration::from_secs(5);
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// How often the health service is told whether the store takes commits.
const HEALTH_EVERY: Duration = Duration::from_secs(2);

/// Why the service could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Spans can't be sent.
    #[error("cannot send spans to {endpoint}")]
    Telemetry {
        /// Where to.
        endpoint: String,
        /// Why not.
        #[source]
        source: Box<dyn core::error::Error + Send + Sync>,
    },
    /// The audit trail can't be written.
    #[error("cannot open the audit trail {}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An address can't be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The addresses can't be written down.
    #[error("cannot write the ready file {}", path.display())]
    ReadyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The witnesses can't be asked.
    #[error("cannot ask the witnesses of {}: {why}", path.display())]
    Witnesses {
        /// The policy.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The contract can't be served.
    #[error("cannot serve the contract for reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The gRPC server failed.
    #[error("the gRPC server failed")]
    Server(#[source] tonic::transport::Error),
}

/// Serves a store until `shutdown` is over, and what is running then has finished.
///
/// # Errors
/// [`ServeError`], all of them before the first connection is taken in, but `Server`.
pub async fn run(
    store: Store,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    begin(Start::Open(store), settings, shutdown).await
}

/// Serves a store as [`run`], as soon as it can be opened. Until then `/readyz` is 503, and it is tried again every few seconds.
///
/// # Errors
/// As [`run`].
pub async fn run_when_open(
    opening: Opening,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    begin(Start::Waiting(opening), settings, shutdown).await
}

/// What a service begins with.
enum Start {
    Open(Store),
    Waiting(Opening),
}

async fn begin(start: Start, settings: Settings, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
    let telemetry = telemetry::start(&settings.log, settings.trace.as_deref()).map_err(|source| {
        ServeError::Telemetry { endpoint: settings.trace.clone().unwrap_or_default(), source: source.into() }
    })?;
    // What stands there is of another run, until both addresses are listened at.
    let ready = settings.sources.flags.ready_file.clone();
    let not_ready = || ready.as_ref().map(fs::remove_file);
    not_ready();
    let ended = serve(start, settings, shutdown).await;
    not_ready();
    // The collector may take its time: nobody else waits for it on this thread.
    if timeout(FLUSH_MAX, spawn_blocking(|| telemetry.flush())).await.is_err() {
        tracing::warn!("the last spans could not be sent in time");
    }
    ended
}

async fn serve(start: Start, settings: Settings, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
    let mut shutdown = pin!(shutdown);
    let store = match start {
        Start::Open(store) => store,
        Start::Waiting(opening) => match waiting::open(opening, &settings, shutdown.as_mut()).await? {
            Some(store) => store,
            None => return Ok(()),
        },
    };
    Service::begin(store, settings).await?.until(shutdown).await
}

/// A service that runs.
struct Service {
    grpc: JoinHandle<Result<(), tonic::transport::Error>>,
    http: JoinHandle<()>,
    /// What goes on for ever: it ends with the service.
    keepers: Vec<JoinHandle<()>>,
    /// What tends the store: until the last commit has its receipt, so that nobody else takes the turn before.
    tending: Vec<JoinHandle<()>>,
    /// The last of each that is let go, where waiting for the bucket keeps nobody else waiting.
    shared: Arc<Shared>,
    store: Store,
    health: HealthReporter,
    site: Arc<Site>,
    leave: Duration,
    drain: Duration,
    /// gRPC first, so that the world can read, and ask whether this is ready, until the last call ended.
    grpc_closing: watch::Sender<bool>,
    http_closing: watch::Sender<bool>,
}

impl Service {
    async fn begin(store: Store, settings: Settings) -> Result<Self, ServeError> {
        let post = Arc::new(Post::new(&store));
        let witnessing = settings.witnesses.as_ref().map(|asked| Keeper::new(&store, asked, &post)).transpose()?;
        let kept = witnessing.as_ref().map(Keeper::witnesses).unwrap_or_default();
        let metrics = Arc::new(Metrics::new());
        metrics.may_write(settings.may_write());
        if !settings.may_write() && !settings.sources.flags.is_replica {
            tracing::warn!(writes = NO_LOG_KEY, "this server follows and answers, and takes no turn to write");
        }
        let gate = Arc::new(Gate::new(settings.register.clone()));
        let audit = settings.audit.clone();
        let trail = Trail::open(&audit).map_err(|source| ServeError::Audit { path: audit, source })?;
        let (grpc, http) = listeners(&settings).await?;
        let (grpc_closing, grpc_closes) = watch::channel(false);
        let (http_closing, http_closes) = watch::channel(false);
        let tls = settings.tls.as_ref().map(CurrentPair::new);
        let open_max = settings.connections.open_max;
        let taken_in = |name, listener, tls, closing: &watch::Receiver<bool>| {
            let (metrics, closing) = (Arc::clone(&metrics), closing.clone());
            accept(Listening { name, listener, tls, open_max, metrics, closing })
        };
        let of = |pick: fn(&CurrentPair) -> &CurrentTls| tls.as_ref().map(pick).cloned();
        let grpc = taken_in(ListenerName::Grpc, grpc, of(|tls| &tls.grpc), &grpc_closes);
        let http = http.map(|http| taken_in(ListenerName::Http, http, of(|tls| &tls.http), &http_closes));

        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", ServingStatus::Serving).await;
        let registry: SharedRegistry = Arc::<Gate>::clone(&gate);
        let ground = Ground {
            registry,
            audit: trail,
            limits: settings.limits.clone(),
            witnesses: kept,
            clock: settings.sources.clock,
            forward: settings.forward.clone(),
            advertised: settings.advertised().to_owned(),
            metrics: Arc::clone(&metrics),
            closing: grpc_closes.clone(),
        };
        let shared = Arc::new(Shared::new(store.clone(), &post, ground));
        let routes = with_reflection(grpc::routes(&shared))?.add_service(health_service);
        let (for_calls, clock) = (Arc::clone(&metrics), settings.sources.clock);
        let layer = CallLayer { gate: Arc::clone(&gate), metrics: for_calls, clock, shared: Arc::clone(&shared) };
        let grpc = tokio::spawn(serve_grpc(grpc, routes, layer, settings.connections.clone(), grpc_closes));
        let tending = standing::keep(&post, &metrics, &http_closes);
        let site = Arc::new(Site::new(&store, post, &metrics));
        let (leave, drain) = (settings.connections.leave(), settings.connections.drain());
        let resources = http::router(Arc::clone(&site));
        let http = tokio::spawn(async move {
            if let Some(connections) = http {
                http::serve(connections, resources, drain.min(HTTP_DRAIN)).await;
            }
        });
        let mut keepers = witnessing.map(|keeper| tokio::spawn(keeper.run())).into_iter().collect::<Vec<_>>();
        keepers.extend([
            tokio::spawn(Reloader::new(settings, gate, tls, metrics).run()),
            tokio::spawn(keep_health(Arc::clone(&site), health.clone())),
        ]);
        Ok(Self { grpc, http, keepers, tending, shared, store, health, site, leave, drain, grpc_closing, http_closing })
    }

    async fn until(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let left = async {
            shutdown.await;
            self.site.is_closing.store(true, Ordering::Relaxed);
            self.health.set_service_status("", ServingStatus::NotServing).await;
            tracing::info!(leave = ?self.leave, "closing: this server is not ready any more");
            sleep(self.leave).await;
        };
        let failed = tokio::select! {
            () = left => None,
            ended = &mut self.grpc => Some(ended),
        };
        tracing::info!(drain = ?self.drain, "closing: no more calls are taken, and running ones may finish");
        self.site.is_closing.store(true, Ordering::Relaxed);
        self.keepers.iter().for_each(JoinHandle::abort);
        self.health.set_service_status("", ServingStatus::NotServing).await;
        self.grpc_closing.send_replace(true);
        let ended = match failed {
            Some(ended) => ended,
            None => timeout(self.drain, &mut self.grpc).await.unwrap_or_else(|_| {
                tracing::warn!("some calls did not end in time");
                self.grpc.abort();
                Ok(Ok(()))
            }),
        };
        if self.close().await {
            tracing::info!("closed");
        } else {
            tracing::warn!(
                "the store could not be closed in time: who opens it next takes up what is left, as after a crash"
            );
        }
        // A task that was ended by the runtime ends with it, and that is no failure of the server.
        ended.unwrap_or(Ok(())).map_err(ServeError::Server)
    }

    /// Lets go of everything, the store last; tells whether that was done in time. A bucket that does not answer would keep
    /// each step waiting for long.
    async fn close(self) -> bool {
        let Self { http, tending, shared, store, site, http_closing, drain, .. } = self;
        let end = Instant::now().checked_add(drain).unwrap_or_else(Instant::now);
        // Waits for commits whose senders are gone.
        let committed = timeout_at(end, spawn_blocking(move || drop(shared))).await.is_ok();
        http_closing.send_replace(true);
        let others = async {
            http.await.ok();
            for task in tending {
                task.await.ok();
            }
        };
        let ended = timeout_at(end, others).await.is_ok();
        let closed = timeout_at(end, spawn_blocking(move || drop((site, store)))).await.is_ok();
        committed && ended && closed
    }
}

/// Tells the health service what `/readyz` tells.
async fn keep_health(site: Arc<Site>, health: HealthReporter) {
    loop {
        let serving = match site.why_not_ready() {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        health.set_service_status("", serving).await;
        sleep(HEALTH_EVERY).await;
    }
}

/// Listens at both addresses, and says where.
async fn listeners(settings: &Settings) -> Result<(TcpListener, Option<TcpListener>), ServeError> {
    let grpc = listen(settings.listen).await?;
    let http = match settings.http {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let address = |listener: &TcpListener, wanted| listener.local_addr().unwrap_or(wanted).to_string();
    let at_grpc = address(&grpc, settings.listen);
    let at_http = http.as_ref().zip(settings.http).map(|(listener, wanted)| address(listener, wanted));
    tracing::info!(grpc = at_grpc, http = at_http, tls = settings.tls.is_some(), "listening");
    if let Some(path) = &settings.sources.flags.ready_file {
        let text = format!("{}\n", json!({ "grpc": at_grpc, "http": at_http }));
        write_whole(path, &text).map_err(|source| ServeError::ReadyFile { path: path.clone(), source })?;
    }
    Ok((grpc, http))
}

pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Writes a file that is whole as soon as it has its name.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    fs::write(&name, text)?;
    fs::rename(name, path)
}

/// Adds what describes the services.
fn with_reflection(routes: Routes) -> Result<Routes, ServeError> {
    let contract = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(griptrace_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that clients that know us by reflection can read why they were refused.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection = contract().build_v1().map_err(ServeError::Reflection)?;
    let older = contract().build_v1alpha().map_err(ServeError::Reflection)?;
    Ok(routes.add_service(reflection).add_service(older))
}

async fn serve_grpc(
    connections: mpsc::Receiver<Connection>,
    routes: Routes,
    layer: CallLayer,
    limits: Connections,
    mut closing: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let incoming = ReceiverStream::new(connections).map(Ok::<_, io::Error>);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER_MAX))
        .max_concurrent_streams(limits.streams_max)
        .max_connection_age(CONNECTION_AGE_MAX)
        .max_connection_age_grace(CONNECTION_AGE_GRACE)
        .layer(layer)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async move {
            closing.wait_for(|closing| *closing).await.ok();
        })
        .await
}
