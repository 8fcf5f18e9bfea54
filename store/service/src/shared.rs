//! What every handler shares.

use griptrace_store::{Store, Witnesses};
use tokio::sync::watch;

use crate::{
    access::SharedRegistry, admission::Admission, audit::Trail, committing::Committers, config::Clock, limits::Limits,
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
    /// The size of the newest checkpoint, told to watchers.
    pub(crate) reached: watch::Sender<u64>,
    /// Whether the service is closing.
    pub(crate) closing: watch::Receiver<bool>,
}

impl Shared {
    /// Puts together what every handler shares.
    pub(crate) fn new(
        store: Store,
        registry: &SharedRegistry,
        audit: Trail,
        limits: Limits,
        clock: Clock,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let reached = watch::Sender::new(store.size());
        let committers = Committers::start(&store, registry, clock, reached.clone());
        Self {
            witnesses: Witnesses::default(),
            admission: Admission::new(&limits),
            store,
            committers,
            audit,
            limits,
            clock,
            reached,
            closing,
        }
    }
}
