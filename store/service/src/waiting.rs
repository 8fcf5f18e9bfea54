//! A service whose bucket is away when it starts: it is there, not ready, and goes on when the bucket answers.

use core::{future::Future, pin::Pin, time::Duration};
use std::sync::Arc;

use axum::{Router, http::StatusCode, routing::get};
use griptrace_store::Store;
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use crate::{
    config::Settings,
    http,
    metrics::{ListenerName, Metrics},
    reload::CurrentPair,
    run::{ServeError, listen},
    tls::{Listening, accept},
};

/// How long is waited before it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
const WHY: &str = "the log could not be opened yet; the log of this server says why\n";

/// Opens a store, or says why not. It is called again and again.
pub type Opening = Box<dyn FnMut() -> Result<Store, String> + Send>;

/// Opens the store as soon as that works; `None` if the service is asked to end before.
pub(crate) async fn open(
    mut opening: Opening,
    settings: &Settings,
    mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<Option<Store>, ServeError> {
    let (closing, closes) = watch::channel(false);
    let answering = answer(settings, closes).await?;
    let opened = loop {
        let trying = spawn_blocking(move || {
            let opened = opening();
            (opening, opened)
        });
        let tried = tokio::select! {
            tried = trying => tried,
            () = &mut shutdown => break None,
        };
        // It ends with the runtime, and so does this.
        let Ok((again, opened)) = tried else { break None };
        opening = again;
        match opened {
            Ok(store) => break Some(store),
            Err(why) => tracing::error!(why, "cannot open the log; nothing is answered, and it is tried again"),
        }
        tokio::select! {
            () = sleep(AGAIN_AFTER) => {}
            () = &mut shutdown => break None,
        }
    };
    closing.send_replace(true);
    if let Some(answering) = answering {
        answering.await.ok();
    }
    Ok(opened)
}

/// Says over HTTP that the process lives, and is not ready.
async fn answer(settings: &Settings, closing: watch::Receiver<bool>) -> Result<Option<JoinHandle<()>>, ServeError> {
    let Some(address) = settings.http else { return Ok(None) };
    let listener = listen(address).await?;
    let tls = settings.tls.as_ref().map(CurrentPair::new).map(|tls| tls.http);
    let (open_max, metrics) = (settings.connections.open_max, Arc::new(Metrics::new()));
    let connections = accept(Listening { name: ListenerName::Http, listener, tls, open_max, metrics, closing });
    let resources = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .fallback(async || (StatusCode::SERVICE_UNAVAILABLE, WHY));
    Ok(Some(tokio::spawn(http::serve(connections, resources, AGAIN_AFTER))))
}
