//! The way of a commit: validate, sign, sequence, integrate, publish, receipt.
//!
//! Whoever finds nobody writing becomes the leader and takes along everything that arrived while
//! the last flush ran: one segment, one flush, one checkpoint for all of it. The others wait.

use core::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{
    collections::{BTreeSet, HashMap},
    panic::catch_unwind,
    sync::{Condvar, Mutex, PoisonError, RwLock},
};

use griptrace_core::{
    commit::{Commit, CommitError as Unsigned, CommitPayload, StatusLine},
    digest::{COMMIT_TREE, Digest},
    entry::StatusHead,
    id::NodeId,
    key::Signer,
    limits::TREE_SIZE_MAX,
};

use crate::{
    State,
    catalogue::Catalogue,
    error::{CommitError, Refusal, StorageError},
    number::wide,
    objects::Objects,
    publish::Desk,
    record::NodeRecord,
    segment::{self, SegmentWriter},
    tiles::TileReader,
    validate::{ValidSet, validate},
};

/// What a commit returns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The leaf index of the commit.
    pub index: u64,
    /// The ids of its nodes, in the order in which they were given.
    pub ids: Vec<NodeId>,
    /// Proof that the commit is leaf `index` of the tree of `size` leaves.
    pub inclusion: Vec<Digest>,
    /// The checkpoint over that tree, as a signed note.
    pub checkpoint: String,
    /// The size of the tree.
    pub size: u64,
}

/// Commits that go into one segment at most.
const BATCH_COMMITS_MAX: usize = 1024;

/// The writing half of a store.
#[derive(Debug)]
pub(crate) struct Writer {
    desk: Mutex<Desk>,
    queue: Mutex<Queue>,
    turn: Condvar,
    poisoned: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    is_busy: bool,
    next: u64,
    waiting: Vec<(u64, Pending)>,
    done: HashMap<u64, Result<Published, CommitError>>,
}

/// A signed commit that waits for its place in the log.
#[derive(Debug)]
struct Pending {
    entry: Vec<u8>,
    nodes: Vec<(NodeId, NodeRecord)>,
    lines: Vec<StatusLine>,
    time: u64,
}

/// What the holder of a ticket is told.
type Answer = (u64, Result<Published, CommitError>);

#[derive(Debug)]
struct Published {
    index: u64,
    size: u64,
    checkpoint: String,
}

impl Writer {
    /// Makes the writing half of a store whose desk this is.
    pub(crate) fn new(desk: Desk) -> Self {
        Self {
            desk: Mutex::new(desk),
            queue: Mutex::new(Queue::default()),
            turn: Condvar::new(),
            poisoned: AtomicBool::new(false),
        }
    }

    /// Commits nodes; returns when they are durable and published.
    pub(crate) fn commit(
        &self,
        objects: &Objects,
        state: &RwLock<State>,
        records: Vec<NodeRecord>,
        signer: &dyn Signer,
        issuer: &str,
        now: u64,
    ) -> Result<Receipt, CommitError> {
        self.check_poison()?;
        let ids = records.iter().map(NodeRecord::id).collect();
        let pending = {
            let state = state.read().unwrap_or_else(PoisonError::into_inner);
            let valid = validate(&state.catalogue, objects, records)?;
            sign(&state.catalogue, valid, signer, issuer, now)?
        };
        let Published { index, size, checkpoint } = self.sequence(objects, state, pending)?;
        let inclusion = TileReader::new(objects, size).inclusion(&[index])?;
        Ok(Receipt { index, ids, inclusion, checkpoint, size })
    }

    fn check_poison(&self) -> Result<(), CommitError> {
        if self.poisoned.load(Ordering::Acquire) { Err(CommitError::Poisoned) } else { Ok(()) }
    }

    /// Waits until the commit is in the log, leading a batch if nobody else does.
    fn sequence(&self, objects: &Objects, state: &RwLock<State>, pending: Pending) -> Result<Published, CommitError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = queue.next;
        queue.next = queue.next.saturating_add(1);
        queue.waiting.push((ticket, pending));
        loop {
            if let Some(result) = queue.done.remove(&ticket) {
                return result;
            }
            if queue.is_busy {
                queue = self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.is_busy = true;
            let take = queue.waiting.len().min(BATCH_COMMITS_MAX);
            let batch: Vec<(u64, Pending)> = queue.waiting.drain(..take).collect();
            drop(queue);
            let tickets: Vec<u64> = batch.iter().map(|(ticket, _)| *ticket).collect();
            // A panic must not leave the others waiting for ever. What it left on disk only
            // reopening can tell.
            let led = catch_unwind(AssertUnwindSafe(|| self.lead(objects, state, batch)));
            let results = led.unwrap_or_else(|_| {
                self.poisoned.store(true, Ordering::Release);
                tickets.into_iter().map(|ticket| (ticket, Err(CommitError::Poisoned))).collect()
            });
            queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.is_busy = false;
            queue.done.extend(results);
            self.turn.notify_all();
        }
    }

    /// Brings a batch into the log.
    fn lead(&self, objects: &Objects, state: &RwLock<State>, batch: Vec<(u64, Pending)>) -> Vec<Answer> {
        if self.check_poison().is_err() {
            return batch.into_iter().map(|(ticket, _)| (ticket, Err(CommitError::Poisoned))).collect();
        }
        let (batch, mut results) = drop_repeated(state, batch);
        if batch.is_empty() {
            return results;
        }
        let tickets: Vec<u64> = batch.iter().map(|(ticket, _)| *ticket).collect();
        match self.write(objects, state, batch) {
            Ok((first, size, checkpoint)) => {
                let published = |index| Published { index, size, checkpoint: checkpoint.clone() };
                results.extend(tickets.into_iter().zip(first..).map(|(ticket, index)| (ticket, Ok(published(index)))));
            }
            Err(CommitError::Full { size }) => {
                results.extend(tickets.into_iter().map(|ticket| (ticket, Err(CommitError::Full { size }))));
            }
            Err(error) => {
                // From the first write on only reopening can tell what is on disk.
                self.poisoned.store(true, Ordering::Release);
                let error = if let CommitError::Storage(error) = error {
                    error
                } else {
                    StorageError::corrupt("the batch", error)
                };
                results.extend(tickets.into_iter().map(|ticket| (ticket, Err(error.again().into()))));
            }
        }
        results
    }

    /// Writes a batch as one segment and takes it to its checkpoint. Returns the index of its first
    /// commit, the new size and the checkpoint.
    fn write(
        &self,
        objects: &Objects,
        state: &RwLock<State>,
        batch: Vec<(u64, Pending)>,
    ) -> Result<(u64, u64, String), CommitError> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let (delta, note, first) = {
            let state = state.read().unwrap_or_else(PoisonError::into_inner);
            let first = state.catalogue.size();
            if first.saturating_add(wide(batch.len())) >= TREE_SIZE_MAX {
                return Err(CommitError::Full { size: first });
            }
            let bytes = build(&state.catalogue, batch)?;
            // Crash here: nothing is on disk, nobody was told anything.
            objects.put_new(&segment::name(first), &bytes)?;
            // Crash here: the segment is durable, but not under the head. Opening for writing
            // adopts it (`open::recover`), through the same `Desk::adopt` as here.
            let (delta, note) = desk.adopt(objects, &state.catalogue)?;
            (delta, note, first)
        };
        // Crash here: published, but the committers were not told. They find their nodes by id, or
        // by what they recorded (R10), and commit nothing twice.
        let (size, _) = delta.head();
        let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
        state.catalogue.apply(delta);
        state.note.clone_from(&note);
        Ok((first, size, note))
    }
}

/// Takes out commits with a node that came into the log while they waited.
fn drop_repeated(state: &RwLock<State>, batch: Vec<(u64, Pending)>) -> (Vec<(u64, Pending)>, Vec<Answer>) {
    let state = state.read().unwrap_or_else(PoisonError::into_inner);
    let mut seen = BTreeSet::new();
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for (ticket, pending) in batch {
        let known = |id: &&NodeId| state.catalogue.number(id).is_some() || seen.contains(*id);
        if let Some(id) = pending.nodes.iter().map(|(id, _)| id).find(known) {
            refused.push((ticket, Err(CommitError::Refused { id: *id, why: Refusal::Recorded })));
            continue;
        }
        seen.extend(pending.nodes.iter().map(|(id, _)| *id));
        kept.push((ticket, pending));
    }
    (kept, refused)
}

/// Returns the bytes of the segment that holds a batch: its commits and a status head.
fn build(catalogue: &Catalogue, batch: Vec<(u64, Pending)>) -> Result<Vec<u8>, StorageError> {
    let mut index = catalogue.size();
    let mut writer = SegmentWriter::new(&catalogue.home, index)?;
    let mut map = catalogue.map.clone();
    let mut time = 0;
    for (_, pending) in batch {
        writer.entry(&pending.entry)?;
        for (_, record) in pending.nodes {
            writer.node(record)?;
        }
        for line in &pending.lines {
            map.append(line.key.digest(), line.status.digest());
        }
        time = time.max(pending.time);
        index = index.saturating_add(1);
    }
    writer.entry(&StatusHead { index, map_root: map.root(), time }.to_bytes())?;
    writer.finish()
}

/// Signs a set of nodes.
fn sign(
    catalogue: &Catalogue,
    valid: ValidSet,
    signer: &dyn Signer,
    issuer: &str,
    now: u64,
) -> Result<Pending, CommitError> {
    let mut ids: Vec<NodeId> = valid.nodes.iter().map(|node| node.id).collect();
    let payload = CommitPayload::over(catalogue.home, &mut ids, now, valid.lines)
        .map_err(|error| CommitError::Commit(Unsigned::Payload(error)))?;
    check_root(&payload, &ids)?;
    let entry = Commit::sign(&payload, signer, issuer).map_err(CommitError::Commit)?;
    let commit = Commit::parse(&entry).map_err(CommitError::Commit)?;
    // A key in a module can fail too: what it signed is checked before it is believed.
    commit.verify(&signer.public_key()).map_err(CommitError::Commit)?;
    let nodes = valid.nodes.into_iter().map(|node| (node.id, node.record)).collect();
    Ok(Pending { entry, nodes, lines: payload.statuses, time: now })
}

/// The hash of the commit tree, as `rs_merkle` calls it: on the two children side by side.
#[derive(Clone)]
struct CommitHasher;

impl rs_merkle::Hasher for CommitHasher {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> Self::Hash {
        *COMMIT_TREE.hash(data).as_bytes()
    }
}

/// Computes the commit's root once more, by code that is not ours: nothing is signed that only one
/// program computed.
fn check_root(payload: &CommitPayload, ids: &[NodeId]) -> Result<(), CommitError> {
    let leaves: Vec<[u8; 32]> = ids.iter().map(|id| *id.as_bytes()).collect();
    let root = rs_merkle::MerkleTree::<CommitHasher>::from_leaves(&leaves).root();
    let other = root.map_or(Digest::ZERO, Digest::from_bytes);
    if other == payload.root { Ok(()) } else { Err(CommitError::RootsDiffer { ours: payload.root, other }) }
}
