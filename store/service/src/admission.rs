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
    commits: Gate,
    proofs: Gate,
    watchers: Gate,
    questions: Gate,
    /// For commits that were read and are not written yet.
    commit_memory: Memory,
    /// For bundles that were made and wait to be read.
    bundle_memory: Memory,
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

/// A commit's place and memory; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct Committing {
    _place: Place,
    _memory: OwnedSemaphorePermit,
}

/// Memory, counted in mebibytes. What is larger than all of it takes all of it.
#[derive(Debug)]
struct Memory {
    free: Arc<Semaphore>,
    all: u32,
}

impl Memory {
    fn new(mebibytes: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(usize::try_from(mebibytes).unwrap_or(usize::MAX))), all: mebibytes }
    }

    fn mebibytes(&self, bytes: usize) -> u32 {
        u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(self.all)
    }

    /// Takes some, if there is enough now.
    fn now(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(self.mebibytes(bytes)).ok()
    }

    /// Waits for some.
    async fn hold(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.free).acquire_many_owned(self.mebibytes(bytes)).await.map_err(broken)
    }
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
            commit_memory: Memory::new(limits.commits_mebibytes_max),
            bundle_memory: Memory::new(limits.bundles_mebibytes_max),
            per_client: limits.questions_per_client,
            clients: Arc::default(),
        }
    }

    /// Takes a place for a question of a client; none is waited for.
    pub(crate) async fn ask(&self, client: &str) -> Result<Asking, Status> {
        self.enter(&self.questions, client).await
    }

    /// Waits for a place to make a bundle for a client.
    pub(crate) async fn prove(&self, client: &str) -> Result<Asking, Status> {
        self.enter(&self.proofs, client).await
    }

    /// Takes a place for a client that watches; none is waited for.
    pub(crate) async fn watch(&self, client: &str) -> Result<Asking, Status> {
        self.enter(&self.watchers, client).await
    }

    /// Takes memory for a commit of so many bytes, and waits for a place.
    pub(crate) async fn commit(&self, bytes: usize) -> Result<Committing, Status> {
        let memory = self.commit_memory.now(bytes).ok_or_else(|| exhausted("bytes of commits", self.commits.retry))?;
        Ok(Committing { _memory: memory, _place: self.commits.enter().await? })
    }

    /// Waits for memory for a bundle of so many bytes.
    pub(crate) async fn hold(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        self.bundle_memory.hold(bytes).await
    }

    /// Takes a place of a client's share, and then one of all.
    async fn enter(&self, gate: &Gate, client: &str) -> Result<Asking, Status> {
        let counted = self.count(client)?;
        let place = gate.enter().await?;
        Ok(Asking { _place: place, _client: counted })
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
