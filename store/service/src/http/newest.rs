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
            // Who follows may find less, where the copy for the world was lost: but what was told once is never taken back.
            let told = kept.take().map(|(_, told)| told).filter(|told| told.size() > published.size());
            let published = told.unwrap_or_else(|| Arc::new(published));
            *kept = Some((begun, Arc::clone(&published)));
            published
        }))
    }
}

#[cfg(test)]
mod tests {
    use griptrace_core::{
        details::Values,
        digest::Digest,
        entry::Genesis,
        key::{Algorithm, SecretKey, Signer as _},
        node::{Core, DigestStrength, Held, Kind, Origin},
        note::NoteSigner,
    };
    use griptrace_store::{
        OpenOptions,
        bucket::{Bucket as _, MemoryBucket},
        record::NodeRecord,
    };

    use super::*;

    /// Who follows fell back to what it knew itself, and the world was shown a log that shrank.
    #[tokio::test]
    async fn what_was_told_once_is_never_taken_back() {
        let (bucket, folder) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap();
        let origin = "example.com/log";
        let genesis =
            Genesis { origin: origin.into(), key: key.public_key(), time: 1, nonce: [3; 16], revokers: Vec::new() };
        let signer = NoteSigner::new(origin, &[1; 32]).unwrap();
        let at = |name: &str| folder.path().join(name);
        let writer = Store::init_in(Arc::new(bucket.clone()), &at("writer"), &genesis, signer, 1).unwrap();
        let reader = Store::join_in(Arc::new(bucket.clone()), &at("reader"), OpenOptions::default()).unwrap();
        let core = Core {
            origin: Some(Origin::Collected),
            held: Some(Held::Here),
            strength: Some(DigestStrength::Strong),
            ..Core::new(Kind::Dataset, writer.home(), [0; 16], Digest::ZERO)
        };
        let node = NodeRecord::build(core, Values::new(), None, None, |out| out.fill(5)).unwrap();
        let size = writer.commit(vec![node], &key, "Maker", 1).unwrap().size;
        // It publishes.
        drop(writer);
        let (newest, readers) = (Newest::default(), Readers::default());
        let told = async || newest.at(Instant::now(), &reader, &readers).await.unwrap().unwrap().size();
        assert_eq!(told().await, size);
        bucket.remove("checkpoint").unwrap();
        assert!(reader.newest_published().unwrap().size() < size, "it has not followed");
        assert_eq!(told().await, size);
    }
}
