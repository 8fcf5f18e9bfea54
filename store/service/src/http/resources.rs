//! What is served.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use griptrace_core::tile::TilePath;
use griptrace_store::{Published, ReadError, StorageError, Store};
use tokio::time::{Instant, timeout};

use super::{
    newest::{KEPT, Newest},
    readers::Readers,
};
use crate::{metrics::Metrics, standing::Post};

const NEVER_CACHED: &str = "no-cache";
const CACHED_FOR_EVER: &str = "public, max-age=31536000, immutable";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long an answer may take; and where the bucket has not answered for some seconds.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX_SILENT: Duration = Duration::from_secs(1);

/// What was read: `None` where there is nothing, and where nobody could read in time.
type Read<T> = Option<Result<Option<T>, ReadError>>;

/// What the resources are made from.
#[derive(Debug)]
pub(crate) struct Site {
    store: Store,
    post: Arc<Post>,
    metrics: Arc<Metrics>,
    /// Whether the service is about to end.
    pub(crate) is_closing: AtomicBool,
    newest: Newest,
    readers: Readers,
}

/// Returns all resources.
pub(crate) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback_service(get(tile).with_state(Arc::clone(&site)))
        .with_state(site)
}

async fn checkpoint(State(site): State<Arc<Site>>) -> Response {
    let read = timeout(site.answer_max(), site.read_checkpoint()).await.unwrap_or_default();
    site.answer("checkpoint", read, (TEXT, NEVER_CACHED))
}

async fn tile(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    // Only the one canonical spelling: another one has nothing to serve.
    let Some(path) = uri.path().strip_prefix('/').and_then(|path| TilePath::parse(path).ok()) else {
        return site.answer("other", Some(Ok(None)), (BYTES, NEVER_CACHED));
    };
    let read = timeout(site.answer_max(), site.read_tile(path)).await.unwrap_or_default();
    site.answer("tile", read, (BYTES, CACHED_FOR_EVER))
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let text = site.metrics.text(site.store.size(), site.post.behind(), site.store.requests());
    let found = text.map_or(StatusCode::INTERNAL_SERVER_ERROR.into_response(), |text| {
        body(text.into_bytes(), (OPEN_METRICS, NEVER_CACHED))
    });
    site.count("metrics", found)
}

async fn healthz(State(site): State<Arc<Site>>) -> Response {
    site.count("healthz", body(b"alive\n".to_vec(), (TEXT, NEVER_CACHED)))
}

async fn readyz(State(site): State<Arc<Site>>) -> Response {
    let (status, text) = match site.why_not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    site.count("readyz", (status, body(text.into_bytes(), (TEXT, NEVER_CACHED))).into_response())
}

impl Site {
    pub(crate) fn new(store: &Store, post: Arc<Post>, metrics: &Arc<Metrics>) -> Self {
        Self {
            store: store.clone(),
            post,
            metrics: Arc::clone(metrics),
            is_closing: AtomicBool::new(false),
            newest: Newest::default(),
            readers: Readers::default(),
        }
    }

    async fn read_checkpoint(&self) -> Read<Vec<u8>> {
        let now = Instant::now();
        let kept = now.checked_sub(KEPT).unwrap_or(now);
        let published = self.published(kept).await?;
        Some(published.map(|published| Some(published.note().as_bytes().to_vec())))
    }

    async fn read_tile(&self, path: TilePath) -> Read<Vec<u8>> {
        let now = Instant::now();
        // Another server may have told of a larger tree since the checkpoint was read here.
        for moment in [now.checked_sub(KEPT).unwrap_or(now), now] {
            let published = match self.published(moment).await? {
                Ok(published) => published,
                Err(error) => return Some(Err(error)),
            };
            let store = self.store.clone();
            let read = self.readers.read(move || store.published_under(&published, path)).await?;
            if !matches!(read, Ok(None)) {
                return Some(read);
            }
        }
        Some(Ok(None))
    }

    /// Returns the checkpoint that was the newest published one at a moment, or a newer one. In a folder it is read each
    /// time, which costs nothing.
    async fn published(&self, moment: Instant) -> Option<Result<Arc<Published>, ReadError>> {
        if self.store.is_in_bucket() {
            return self.newest.at(moment, &self.store, &self.readers).await;
        }
        let store = self.store.clone();
        Some(self.readers.read(move || store.newest_published()).await?.map(Arc::new))
    }

    /// Says why nothing should be asked of this service now.
    pub(crate) fn why_not_ready(&self) -> Option<&'static str> {
        if self.is_closing.load(Ordering::Relaxed) {
            return Some("the service is closing");
        }
        if self.post.is_moved() {
            return Some("the log was moved to another place");
        }
        if !self.post.is_checked() {
            return Some("the bucket's snapshot is being held against the log");
        }
        if self.store.is_in_bucket() {
            // What failed there is mended by itself, or by others.
            return self.post.is_silent().then_some("the bucket has not answered for some seconds");
        }
        self.store.is_poisoned().then_some("an earlier write failed: the store has to be opened again")
    }

    fn answer_max(&self) -> Duration {
        if self.post.is_silent() { ANSWER_MAX_SILENT } else { ANSWER_MAX }
    }

    /// Makes an answer of what was read. That there is nothing is never kept by others: it may come.
    fn answer(&self, resource: &'static str, read: Read<Vec<u8>>, headers: (&'static str, &'static str)) -> Response {
        let response = match read {
            Some(Ok(Some(bytes))) => body(bytes, headers),
            Some(Ok(None)) => nothing(StatusCode::NOT_FOUND),
            // Who reads for the world asks again later, or elsewhere. That the bucket is away is told by who tends the store.
            Some(Err(ReadError::Storage(StorageError::Io { .. }))) if self.store.is_in_bucket() => {
                nothing(StatusCode::SERVICE_UNAVAILABLE)
            }
            Some(Err(error)) => {
                tracing::error!(resource, %error, "cannot read what was published");
                nothing(StatusCode::INTERNAL_SERVER_ERROR)
            }
            None => nothing(StatusCode::SERVICE_UNAVAILABLE),
        };
        self.count(resource, response)
    }

    fn count(&self, resource: &'static str, response: Response) -> Response {
        self.metrics.http_request(resource, response.status().as_u16());
        response
    }
}

fn nothing(status: StatusCode) -> Response {
    (status, [(header::CACHE_CONTROL, HeaderValue::from_static(NEVER_CACHED))]).into_response()
}

fn body(bytes: Vec<u8>, (kind, cache): (&'static str, &'static str)) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, bytes).into_response()
}
