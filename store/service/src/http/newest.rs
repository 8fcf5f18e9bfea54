//! The newest published checkpoint, read once for all who ask within a second: the world asks without being known, and each
//! answer would cost requests to the bucket.

use core::time::Duration;
use std::sync::Arc;

use griptrace_store::{Published, ReadError, Store};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::readers::Readers;

/// How long it is kept.
pub(super) const KEPT: Duration = Duration::from_secs(1);
/// How long after it was read it is read again at the earliest, whoever asks for it.
const PAUSE: Duration = Duration::from_millis(100);

/// The newest published checkpoint, and when reading it began.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<Option<(Instant, Arc<Published>)>>);

impl Newest {
    /// Returns the one that was newest at a moment, or a newer one; `None` if nobody could read. Who wants it newer than it is
    /// kept waits until it may be read again.
    pub(super) async fn at(
        &self,
        moment: Instant,
        store: &Store,
        readers: &Readers,
    ) -> Option<Result<Arc<Published>, ReadError>> {
        let mut kept = self.0.lock().await;
        if let Some((begun, published)) = kept.as_ref() {
            if *begun >= moment {
                return Some(Ok(Arc::clone(published)));
            }
            sleep_until(begun.checked_add(PAUSE).unwrap_or(*begun)).await;
        }
        let begun = Instant::now();
        let store = store.clone();
        let read = readers.read(move || store.newest_published()).await?;
        Some(read.map(|published| {
            let published = Arc::new(published);
            *kept = Some((begun, Arc::clone(&published)));
            published
        }))
    }
}
