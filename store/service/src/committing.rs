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
use griptrace_store::{CommitError, Receipt, SignedCommit, StorageError, Store, record::NodeRecord};
use tokio::sync::oneshot;
use tonic::Status;
use tracing::Span;

use crate::{
    access::{Caller, SharedRegistry},
    admission::Committing,
    config::Clock,
    forward::Undecided,
    grpc::{digest, digests},
    scope::check_scope,
    standing::Post,
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
    reply: oneshot::Sender<Result<Answer, Undecided>>,
    /// Held until it is answered, though nobody may wait for that: what is queued takes memory.
    place: Arc<Committing>,
}

/// A receipt, or why there is none.
pub(crate) type Answer = Result<v1::Receipt, Status>;

/// What the threads stand on.
#[derive(Clone, Debug)]
struct Ground {
    store: Store,
    registry: SharedRegistry,
    clock: Clock,
    /// Told here that the log has grown, since whoever committed may be gone.
    post: Arc<Post>,
}

impl Committers {
    /// Starts the threads.
    pub(crate) fn start(store: &Store, registry: &SharedRegistry, clock: Clock, post: &Arc<Post>) -> Self {
        let queue = Arc::<Queue>::default();
        let ground = Ground { store: store.clone(), registry: Arc::clone(registry), clock, post: Arc::clone(post) };
        let thread = |_| {
            let (queue, ground) = (Arc::clone(&queue), ground.clone());
            thread::Builder::new().name("commit".to_owned()).spawn(move || ground.work(&queue)).ok()
        };
        let threads = (0..THREADS).filter_map(thread).collect();
        Self { queue, threads }
    }

    /// Hands a commit over, and waits for its receipt.
    ///
    /// # Errors
    /// [`Undecided`] if the turn to write ended, so that only another writer can tell whether it is in the log.
    pub(crate) async fn take(
        &self,
        place: Arc<Committing>,
        caller: Arc<Caller>,
        request: v1::CommitRequest,
    ) -> Result<Answer, Undecided> {
        if self.threads.is_empty() {
            return Ok(Err(broken("no thread takes commits")));
        }
        let (reply, answer) = oneshot::channel();
        self.queue.jobs().waiting.push_back(Job { caller, request, span: Span::current(), reply, place });
        self.queue.came.notify_one();
        answer.await.unwrap_or_else(|gone| Ok(Err(broken(gone))))
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
                Err(refused) => answer(reply, self.unless_outdated(refused)),
            }
        }
        let taken = self.store.commit_signed(commits, now);
        self.post.has_grown();
        for (taken, (entry, ids, span, reply, _place)) in taken.into_iter().zip(waiting) {
            let place = |id: &NodeId| ids.iter().position(|other| other == id);
            let answered = match taken {
                Ok(receipt) => Ok(Ok(receipt_message(&entry, &receipt))),
                Err(error) if self.is_undecided(&error) => {
                    tracing::warn!(parent: &span, %error, "a commit waits for the next writer");
                    Err(Undecided(status::not_writer("")))
                }
                Err(error) => self.unless_outdated(span.in_scope(|| status::commit(error, place))),
            };
            answer(reply, answered);
        }
    }

    /// Refuses a commit for good, unless another one may write by now, whose log has what this one lacks.
    fn unless_outdated(&self, refused: Status) -> Result<Answer, Undecided> {
        if self.post.is_newest() { Ok(Err(refused)) } else { Err(Undecided(status::not_writer(""))) }
    }

    /// Tells whether only the next writer can tell what became of a commit. In a folder there is none but this process.
    fn is_undecided(&self, error: &CommitError) -> bool {
        let is_over = matches!(
            error,
            CommitError::ReadOnly
                | CommitError::Poisoned
                | CommitError::Stopped
                | CommitError::Storage(StorageError::Fenced { .. } | StorageError::Io { .. })
        );
        is_over && self.store.is_in_bucket()
    }

    /// Reads a commit and checks whether its sender may make it.
    fn read(&self, caller: &Caller, request: &v1::CommitRequest, now: u64) -> Result<SignedCommit, Status> {
        let key = committer_key(&self.registry, caller, request, now)?;
        let nodes = records("nodes", &request.nodes)?;
        check_scope(&self.store, caller, &nodes)?;
        Ok(SignedCommit::new(request.entry.to_vec(), nodes, key))
    }
}

/// Returns the key that signed a commit, if its sender may commit with it.
pub(crate) fn committer_key(
    registry: &SharedRegistry,
    caller: &Caller,
    request: &v1::CommitRequest,
    now: u64,
) -> Result<PublicKey, Status> {
    let malformed = |error| bad_field("entry", "COMMIT_MALFORMED", error);
    let signed_by = Commit::parse(&request.entry).map_err(malformed)?.key();
    registry.committer_key(signed_by, caller, now).map_err(key_refused)
}

/// Answers whoever waits, if anybody still does.
fn answer(reply: oneshot::Sender<Result<Answer, Undecided>>, answer: Result<Answer, Undecided>) {
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
