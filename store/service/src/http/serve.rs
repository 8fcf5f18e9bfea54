//! The HTTP server: HTTP/1.1, and nobody who is slow holds it up.

use core::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{sync::mpsc, time::timeout};

use crate::tls::Connection;

/// How long the next request may take to come, and its head to be read.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// Bytes of the longest head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Serves connections until no more come, and then until those that are open have their answers, but no
/// longer than `drain`.
pub(crate) async fn serve(mut connections: mpsc::Receiver<Connection>, router: Router, drain: Duration) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(HEAD_BYTES_MAX);
    let graceful = GracefulShutdown::new();
    while let Some(connection) = connections.recv().await {
        let service = TowerToHyperService::new(router.clone());
        let served = graceful.watch(http.serve_connection(TokioIo::new(connection), service));
        // What goes wrong on one connection concerns nobody but its other end.
        tokio::spawn(async move { served.await.ok() });
    }
    if timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some HTTP connections did not end in time");
    }
}
