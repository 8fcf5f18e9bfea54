//! What every handler shares.

use std::sync::Arc;

use griptrace_store::{Store, Witnesses};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tonic::Status;

use crate::{
    access::SharedRegistry,
    admission::Admission,
    audit::Trail,
    committing::Committers,
    config::{Clock, Forwarding},
    forward::{AGAIN_AFTER, Forwarder},
    limits::Limits,
    metrics::Metrics,
    standing::Post,
    status::{behind, silent},
};

/// What every handler shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) committers: Committers,
    pub(crate) admission: Admission,
    pub(crate) audit: Trail,
    pub(crate) limits: Limits,
    /// Whose cosignatures bundles show.
    pub(crate) witnesses: Witnesses,
    /// Tells the time: seconds since 1970.
    pub(crate) clock: Clock,
    pub(crate) registry: SharedRegistry,
    /// Where this process stands, and how far it has followed the log.
    pub(crate) post: Arc<Post>,
    /// What hands commits in to the server that writes, if this one does that.
    pub(crate) forwarder: Option<Forwarder>,
    /// Where others hand commits in here; empty for nowhere.
    pub(crate) advertised: String,
    pub(crate) metrics: Arc<Metrics>,
    /// Whether the service is closing.
    pub(crate) closing: watch::Receiver<bool>,
}

/// What a service stands on besides its store.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) registry: SharedRegistry,
    pub(crate) audit: Trail,
    pub(crate) limits: Limits,
    pub(crate) witnesses: Witnesses,
    pub(crate) clock: Clock,
    pub(crate) forward: Option<Forwarding>,
    pub(crate) advertised: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) closing: watch::Receiver<bool>,
}

impl Shared {
    /// Puts together what every handler shares.
    pub(crate) fn new(store: Store, post: &Arc<Post>, ground: Ground) -> Self {
        let Ground { registry, audit, limits, witnesses, clock, forward, advertised, metrics, closing } = ground;
        Self {
            admission: Admission::new(&limits),
            committers: Committers::start(&store, &registry, clock, post),
            post: Arc::clone(post),
            forwarder: forward.map(Forwarder::new),
            store,
            audit,
            limits,
            witnesses,
            clock,
            registry,
            advertised,
            metrics,
            closing,
        }
    }

    /// Waits until the log has at least so many entries here, or says how many there are.
    pub(crate) async fn at_least(&self, least: u64, end: Instant) -> Result<(), Status> {
        let mut reaches = self.post.reaches();
        loop {
            reaches.borrow_and_update();
            let (size, is_newest) = (self.post.size(), self.post.is_newest());
            if size >= least {
                return Ok(());
            }
            if self.post.is_silent() {
                return Err(silent());
            }
            if is_newest || Instant::now() >= end {
                return Err(behind(size, least, is_newest));
            }
            let again = end.min(Instant::now().checked_add(AGAIN_AFTER).unwrap_or(end));
            // Whoever goes on to write knows that nothing more comes.
            drop(timeout_at(again, reaches.changed()).await);
        }
    }
}
