//! Reading for the world: on threads of which it never holds all, since others need them when the bucket does not answer.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

/// How many read at once.
pub(crate) const READERS_MAX: usize = 32;

/// Those who read.
#[derive(Clone, Debug)]
pub(crate) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS_MAX)))
    }
}

impl Readers {
    /// Reads where that keeps nobody else waiting; `None` if the service is ending.
    pub(super) async fn read<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let place = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let reading = spawn_blocking(move || {
            // Held until it has ended, though nobody may wait for it any more.
            let _place = place;
            read()
        });
        reading.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use core::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };
    use std::sync::mpsc::channel;

    use tokio::{task::JoinSet, time::sleep};

    use super::*;

    #[tokio::test]
    async fn the_world_never_holds_all_threads_even_if_nobody_waits_any_more() {
        let readers = Readers::default();
        let reading = Arc::<AtomicUsize>::default();
        let (end, ended) = channel::<()>();
        let ended = Arc::new(std::sync::Mutex::new(ended));
        for _ in 0..3 {
            let mut asked = JoinSet::new();
            for _ in 0..READERS_MAX {
                let (readers, reading, ended) = (readers.clone(), Arc::clone(&reading), Arc::clone(&ended));
                asked.spawn(async move {
                    let read = readers.read(move || {
                        reading.fetch_add(1, Ordering::Relaxed);
                        ended.lock().unwrap().recv().ok()
                    });
                    read.await.is_some()
                });
            }
            sleep(Duration::from_millis(100)).await;
            asked.shutdown().await;
            assert_eq!(reading.load(Ordering::Relaxed), READERS_MAX);
        }
        drop(end);
        assert_eq!(readers.read(|| 7).await, Some(7), "the places are given back");
    }
}
