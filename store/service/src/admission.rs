//! How many at once: whoever finds the room full, and the queue before it too, is sent away with advice.

use core::time::Duration;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::{
    limits::Limits,
    status::{broken, exhausted},
};

/// A room of limited size with a queue of limited length.
#[derive(Debug)]
pub(crate) struct Gate {
    what: &'static str,
    room: Arc<Semaphore>,
    /// A place here stands for a place in the room or in the queue.
    queue: Arc<Semaphore>,
    retry: Duration,
}

/// A place in a room; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct Place {
    _room: OwnedSemaphorePermit,
    _queue: OwnedSemaphorePermit,
}

/// Every room of the service.
#[derive(Debug)]
pub(crate) struct Admission {
    /// For commits.
    pub(crate) commits: Gate,
    /// For bundles.
    pub(crate) proofs: Gate,
    /// For watchers.
    pub(crate) watchers: Gate,
    questions: Gate,
    /// Mebibytes of bundles that were made and wait to be read.
    bundles: Arc<Semaphore>,
    bundles_mebibytes: u32,
    per_client: usize,
    clients: Arc<Mutex<HashMap<String, usize>>>,
}

/// A question's place; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct Asking {
    _place: Place,
    _client: Counted,
}

#[derive(Debug)]
struct Counted {
    client: String,
    clients: Arc<Mutex<HashMap<String, usize>>>,
}

impl Gate {
    fn new(what: &'static str, room: usize, queue: usize, retry: Duration) -> Self {
        let all = room.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self { what, room: Arc::new(Semaphore::new(room)), queue: Arc::new(Semaphore::new(all)), retry }
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self) -> Result<Place, Status> {
        let full = || exhausted(self.what, self.retry);
        let queue = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| full())?;
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| full())?;
        Ok(Place { _room: room, _queue: queue })
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let soon = Duration::from_millis(50);
        let later = Duration::from_secs(1);
        Self {
            commits: Gate::new("commits at once", limits.commits_at_once, limits.commits_waiting_max, soon),
            proofs: Gate::new("bundles at once", limits.proofs_at_once, limits.proofs_waiting_max, later),
            watchers: Gate::new("watchers", limits.watchers_max, 0, later),
            questions: Gate::new("questions at once", limits.questions_at_once, 0, later),
            bundles: Arc::new(Semaphore::new(usize::try_from(limits.bundles_mebibytes_max).unwrap_or(usize::MAX))),
            bundles_mebibytes: limits.bundles_mebibytes_max,
            per_client: limits.questions_per_client,
            clients: Arc::default(),
        }
    }

    /// Takes a place for a question of a client; none is waited for.
    pub(crate) async fn ask(&self, client: &str) -> Result<Asking, Status> {
        let counted = self.count(client)?;
        let place = self.questions.enter().await?;
        Ok(Asking { _place: place, _client: counted })
    }

    /// Waits for memory for a bundle of so many bytes; one that is larger than all of it takes all of it.
    pub(crate) async fn hold(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(self.bundles_mebibytes);
        Arc::clone(&self.bundles).acquire_many_owned(mebibytes).await.map_err(broken)
    }

    fn count(&self, client: &str) -> Result<Counted, Status> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(client.to_owned()).or_default();
        if *count >= self.per_client {
            return Err(exhausted("questions of one client at once", self.questions.retry));
        }
        *count = count.saturating_add(1);
        Ok(Counted { client: client.to_owned(), clients: Arc::clone(&self.clients) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let left = clients.get(&self.client).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            clients.remove(&self.client);
        } else {
            clients.insert(self.client.clone(), left);
        }
    }
}
