//! The witness on HTTP/1.1: limits, times, and nobody who is slow holds it up.
//!
//! Without TLS: a cosignature proves itself, and nothing that travels is secret. Who needs it puts a proxy before.

use core::{
    mem::{Discriminant, discriminant},
    time::Duration,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::Response,
    routing::{get, post},
};
use http_body_util::{BodyExt as _, Limited};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{
    judge::{Answer, Refusal},
    recounts::Recounts,
    wire::REQUEST_BYTES_MAX,
    witness::Witness,
};

/// How long the next request may take to come, and its head to be read.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// Bytes of the longest head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a body may take.
const BODY_MAX: Duration = Duration::from_secs(10);
/// How long a connection is kept: who asks and never reads gives up its place.
const LIFE_MAX: Duration = Duration::from_secs(120);
/// Connections open at once; the others wait in the system's queue.
const OPEN_MAX: usize = 512;
/// Requests in work at once; the others are sent away with advice.
const BUSY_MAX: usize = 64;
/// How long what runs may take at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait when the system gives no connection, mostly since there are too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// What a witness is served with.
#[derive(Debug)]
pub struct Desk {
    /// The witness.
    pub witness: Arc<Witness>,
    /// Who recomputes status maps.
    pub recounts: Option<Arc<Recounts>>,
    /// What time it is: seconds since 1970.
    pub clock: fn() -> u64,
    places: Semaphore,
    life_max: Duration,
    /// Refusals that were told, by their kind, so that nobody fills the log with them, or hides one kind behind another.
    told: Mutex<HashMap<Discriminant<Refusal>, HashSet<String>>>,
}

impl Desk {
    /// Makes what a witness is served with.
    pub fn new(witness: Arc<Witness>, recounts: Option<Arc<Recounts>>, clock: fn() -> u64) -> Self {
        let places = Semaphore::new(BUSY_MAX);
        Self { witness, recounts, clock, places, life_max: LIFE_MAX, told: Mutex::default() }
    }
}

/// Serves a witness until `shutdown` is over, and what is running then has finished.
pub async fn serve(desk: Desk, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
    let life_max = desk.life_max;
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{hash}/checkpoint", get(checkpoint))
        .route("/healthz", get(async || respond(Answer::text(200, "alive\n"))))
        .with_state(Arc::new(desk));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(HEAD_BYTES_MAX);
    let graceful = GracefulShutdown::new();
    let open = Arc::new(Semaphore::new(OPEN_MAX));
    let mut shutdown = core::pin::pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&open).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let served = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // What goes wrong on one connection concerns nobody but its other end.
            timeout(life_max, served).await.ok();
            drop(place);
        });
    }
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

async fn add_checkpoint(State(desk): State<Arc<Desk>>, body: Body) -> Response {
    let Ok(_place) = desk.places.try_acquire() else {
        let mut busy = respond(Answer::text(503, "too many requests at once\n"));
        busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return busy;
    };
    let Ok(read) = timeout(BODY_MAX, Limited::new(body, REQUEST_BYTES_MAX).collect()).await else {
        return respond(Answer::text(408, "the request did not come in time\n"));
    };
    let Ok(body) = read else {
        return respond(Answer::text(413, format!("a request has {REQUEST_BYTES_MAX} bytes at most\n")));
    };
    let (witness, now) = (Arc::clone(&desk.witness), (desk.clock)());
    let body = body.to_bytes();
    let Ok(added) = tokio::task::spawn_blocking(move || witness.add(&body, now)).await else {
        return respond(Answer::text(503, "the witness is ending\n"));
    };
    let mut added = match added {
        Ok(added) => added,
        Err(refusal) => {
            desk.tell(&refusal);
            return respond(refusal.answer());
        }
    };
    if let (Some(recounts), false) = (&desk.recounts, added.has_map) {
        added.lines.extend(recounts.line(&added).await);
    }
    respond(added.answer())
}

async fn checkpoint(State(desk): State<Arc<Desk>>, Path(hash): Path<String>) -> Response {
    let witness = Arc::clone(&desk.witness);
    let found = tokio::task::spawn_blocking(move || witness.checkpoint(&hash)).await;
    respond(found.unwrap_or_else(|_| Answer::text(503, "the witness is ending\n")))
}

impl Desk {
    /// Tells the operator of a refusal, the first time.
    fn tell(&self, refusal: &Refusal) {
        /// Refusals of one kind that are remembered.
        const TOLD_MAX: usize = 64;
        /// Letters of one that are: who is refused may have chosen most of them.
        const LETTERS_MAX: usize = 300;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.entry(discriminant(refusal)).or_default();
        let refusal: String = refusal.to_string().chars().take(LETTERS_MAX).collect();
        if told.len() < TOLD_MAX && !told.contains(&refusal) {
            tracing::info!(refusal, "not cosigned");
            told.insert(refusal);
        }
    }
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = axum::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use griptrace_core::note::Cosigner;

    use super::*;
    use crate::{Cosigners, shelf::Folder};

    #[test]
    fn strangers_can_neither_fill_the_memory_with_refusals_nor_hide_one_behind_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let cosigners = Cosigners { plain: vec![Cosigner::new("w.example", &[2; 32]).unwrap()], map: None };
        let witness = Witness::open(Box::new(Folder::open(dir.path())), cosigners).unwrap();
        let desk = Desk::new(Arc::new(witness), None, || 0);
        for number in 0..2_000 {
            desk.tell(&Refusal::Unknown { origin: format!("{}{number}", "x".repeat(1 << 16)) });
            desk.tell(&Refusal::Unknown { origin: format!("{number}") });
        }
        desk.tell(&Refusal::OtherRoot { size: 7 });
        let told = desk.told.lock().unwrap();
        let letters: usize = told.values().flatten().map(String::len).sum();
        assert!(letters < 64 * 300, "{letters}");
        assert!(told.values().flatten().any(|text| text == "at size 7 another root was cosigned"));
    }

    #[test]
    fn who_asks_and_never_reads_gives_up_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let cosigners = Cosigners { plain: vec![Cosigner::new("w.example", &[2; 32]).unwrap()], map: None };
        let witness = Witness::open(Box::new(Folder::open(dir.path())), cosigners).unwrap();
        let desk = Desk { life_max: Duration::from_millis(200), ..Desk::new(Arc::new(witness), None, || 0) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let served = tokio::spawn(serve(desk, listener, core::future::pending()));
            let mut stranger = tokio::net::TcpStream::connect(address).await.unwrap();
            // One whole request and half of another: the connection is at work for ever.
            let request = b"GET /healthz HTTP/1.1\r\nhost: w\r\n\r\nGET /healthz HTTP/1.1\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stranger, request).await.unwrap();
            let mut all = Vec::new();
            let read = timeout(Duration::from_secs(20), tokio::io::AsyncReadExt::read_to_end(&mut stranger, &mut all));
            let ended = read.await.is_ok();
            served.abort();
            assert!(all.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&all));
            ended
        });
        assert!(ended, "the connection was kept beyond its life");
    }
}
