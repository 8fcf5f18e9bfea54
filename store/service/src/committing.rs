//! Threads that take commits into the store: whatever waits is taken together, checked, and written as one group. While one
//! thread waits for the disk, the next one checks what came meanwhile.

use core::panic::AssertUnwindSafe;
use std::{
    collections::VecDeque,
    panic::catch_unwind,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use griptrace_core::{commit::Commit, id::NodeId, key::PublicKey, tree::Rfc9162};
use griptrace_proto::v1;
use griptrace_store::{Receipt, SignedCommit, Store, record::NodeRecord};
use tokio::sync::{oneshot, watch};
use tonic::Status;
use tracing::Span;

use crate::{
    access::{Caller, SharedRegistry},
    admission::Committing,
    config::Clock,
    grpc::{digest, digests},
    scope::check_scope,
    status::{self, bad_field, broken, key_refused},
};

/// Threads that take commits. One checks while another waits for the disk; a third one finds nothing to do.
const THREADS: usize = 2;
/// Commits, and nodes, that are taken together, so that nobody waits for long behind others.
const COMMITS_AT_ONCE: usize = 256;
const NODES_AT_ONCE: usize = 4_096;

/// What takes commits.
#[derive(Debug)]
pub(crate) struct Committers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// What waits for them.
#[derive(Debug, Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    is_over: bool,
}

/// A commit, who sent it, and where the answer goes.
#[derive(Debug)]
struct Job {
    caller: Arc<Caller>,
    request: v1::CommitRequest,
    span: Span,
    reply: oneshot::Sender<Result<v1::Receipt, Status>>,
    /// Held until it is answered, though nobody may wait for that: what is queued takes memory.
    place: Committing,
}

/// What the threads stand on.
#[derive(Clone, Debug)]
struct Ground {
    store: Store,
    registry: SharedRegistry,
    clock: Clock,
    /// Told here that the log has grown, since whoever committed may be gone.
    reached: watch::Sender<u64>,
}

impl Committers {
    /// Starts the threads.
    pub(crate) fn start(store: &Store, registry: &SharedRegistry, clock: Clock, reached: watch::Sender<u64>) -> Self {
        let queue = Arc::<Queue>::default();
        let ground = Ground { store: store.clone(), registry: Arc::clone(registry), clock, reached };
        let thread = |_| {
            let (queue, ground) = (Arc::clone(&queue), ground.clone());
            thread::Builder::new().name("commit".to_owned()).spawn(move || ground.work(&queue)).ok()
        };
        let threads = (0..THREADS).filter_map(thread).collect();
        Self { queue, threads }
    }

    /// Hands a commit over, and waits for its receipt.
    pub(crate) async fn take(
        &self,
        place: Committing,
        caller: Arc<Caller>,
        request: v1::CommitRequest,
    ) -> Result<v1::Receipt, Status> {
        if self.threads.is_empty() {
            return Err(broken("no thread takes commits"));
        }
        let (reply, answer) = oneshot::channel();
        self.queue.jobs().waiting.push_back(Job { caller, request, span: Span::current(), reply, place });
        self.queue.came.notify_one();
        answer.await.map_err(broken)?
    }
}

impl Drop for Committers {
    /// Waits until everything that was handed over was taken.
    fn drop(&mut self) {
        self.queue.jobs().is_over = true;
        self.queue.came.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_default();
        }
    }
}

impl Queue {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for jobs, and returns those that are taken together; `None` at the end.
    fn next(&self) -> Option<Vec<Job>> {
        let mut jobs = self.jobs();
        while jobs.waiting.is_empty() {
            if jobs.is_over {
                return None;
            }
            jobs = self.came.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
        let mut nodes = 0_usize;
        let fits = |job: &&Job| {
            nodes = nodes.saturating_add(job.request.nodes.len());
            nodes <= NODES_AT_ONCE
        };
        let count = jobs.waiting.iter().take(COMMITS_AT_ONCE).take_while(fits).count().max(1);
        Some(jobs.waiting.drain(..count).collect())
    }
}

impl Ground {
    fn work(&self, queue: &Queue) {
        while let Some(jobs) = queue.next() {
            // A fault must not take the thread along: the others' commits would wait for ever.
            if catch_unwind(AssertUnwindSafe(|| self.take(jobs))).is_err() {
                tracing::error!("taking commits panicked; those that were taken have no answer");
            }
        }
    }

    /// Takes commits together; each is answered for itself.
    fn take(&self, jobs: Vec<Job>) {
        let now = (self.clock)();
        let (mut commits, mut waiting) = (Vec::new(), Vec::new());
        for Job { caller, request, span, reply, place } in jobs {
            match span.in_scope(|| self.read(&caller, &request, now)) {
                Ok(commit) => {
                    waiting.push((request.entry, commit.ids().copied().collect::<Vec<NodeId>>(), span, reply, place));
                    commits.push(commit);
                }
                Err(refused) => answer(reply, Err(refused)),
            }
        }
        let taken = self.store.commit_signed(commits, now);
        self.has_grown();
        for (taken, (entry, ids, span, reply, _place)) in taken.into_iter().zip(waiting) {
            let place = |id: &NodeId| ids.iter().position(|other| other == id);
            let answered = taken.map(|receipt| receipt_message(&entry, &receipt));
            let answered = answered.map_err(|error| span.in_scope(|| status::commit(error, place)));
            answer(reply, answered);
        }
    }

    /// Tells the watchers that the log has grown, whether or not anybody still waits for a receipt.
    fn has_grown(&self) {
        let size = self.store.size();
        self.reached.send_if_modified(|reached| {
            let is_news = size > *reached;
            *reached = size.max(*reached);
            is_news
        });
    }

    /// Reads a commit and checks whether its sender may make it.
    fn read(&self, caller: &Caller, request: &v1::CommitRequest, now: u64) -> Result<SignedCommit, Status> {
        let malformed = |error| bad_field("entry", "COMMIT_MALFORMED", error);
        let signed_by = Commit::parse(&request.entry).map_err(malformed)?.key();
        let key: PublicKey = self.registry.committer_key(signed_by, caller, now).map_err(key_refused)?;
        let nodes = records("nodes", &request.nodes)?;
        check_scope(&self.store, caller, &nodes)?;
        Ok(SignedCommit::new(request.entry.to_vec(), nodes, key))
    }
}

/// Answers whoever waits, if anybody still does.
fn answer(reply: oneshot::Sender<Result<v1::Receipt, Status>>, answer: Result<v1::Receipt, Status>) {
    drop(reply.send(answer));
}

fn receipt_message(entry: &[u8], receipt: &Receipt) -> v1::Receipt {
    v1::Receipt {
        commit_digest: digest(&Rfc9162::leaf_hash(entry)),
        index: receipt.index,
        tree_size: receipt.size,
        log_path: digests(&receipt.inclusion),
        checkpoint: receipt.checkpoint.clone(),
        already_recorded: receipt.is_old,
    }
}

/// Reads private records.
pub(crate) fn records(field: &str, bytes: &[Bytes]) -> Result<Vec<NodeRecord>, Status> {
    let read = |(at, bytes): (usize, &Bytes)| {
        NodeRecord::from_bytes(bytes).map_err(|error| status::record(&format!("{field}[{at}]"), error))
    };
    bytes.iter().enumerate().map(read).collect()
}
