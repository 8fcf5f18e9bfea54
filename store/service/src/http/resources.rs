//! What is served.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use griptrace_core::tile::TilePath;
use griptrace_store::{ReadError, Store};

use crate::{metrics::Metrics, standing::Post};

const NEVER_CACHED: &str = "no-cache";
const CACHED_FOR_EVER: &str = "public, max-age=31536000, immutable";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the resources are made from.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) post: Arc<Post>,
    pub(crate) metrics: Arc<Metrics>,
    /// Whether the service is about to end.
    pub(crate) is_closing: AtomicBool,
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
    let store = site.store.clone();
    let read = blocking(move || store.published_checkpoint().map(Some)).await;
    site.answer("checkpoint", read, (TEXT, NEVER_CACHED))
}

async fn tile(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    // Only the one canonical spelling: another one has nothing to serve.
    let Some(path) = uri.path().strip_prefix('/').and_then(|path| TilePath::parse(path).ok()) else {
        return site.answer("other", Some(Ok(None)), (BYTES, NEVER_CACHED));
    };
    let store = site.store.clone();
    let read = blocking(move || store.published(path)).await;
    site.answer("tile", read, (BYTES, CACHED_FOR_EVER))
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let text = site.metrics.text(site.store.size(), site.post.behind());
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
    /// Says why nothing should be asked of this service now.
    pub(crate) fn why_not_ready(&self) -> Option<&'static str> {
        if self.is_closing.load(Ordering::Relaxed) {
            return Some("the service is closing");
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

    /// Makes an answer of what was read; `None` if nobody could read.
    fn answer(
        &self,
        resource: &'static str,
        read: Option<Result<Option<Vec<u8>>, ReadError>>,
        headers: (&'static str, &'static str),
    ) -> Response {
        let response = match read {
            Some(Ok(Some(bytes))) => body(bytes, headers),
            Some(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
            Some(Err(error)) => {
                tracing::error!(resource, %error, "cannot read what was published");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        };
        self.count(resource, response)
    }

    fn count(&self, resource: &'static str, response: Response) -> Response {
        self.metrics.http_request(resource, response.status().as_u16());
        response
    }
}

/// Reads from the disk where that keeps nobody waiting; `None` if the service is ending.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(read).await.ok()
}

fn body(bytes: Vec<u8>, (kind, cache): (&'static str, &'static str)) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, bytes).into_response()
}
