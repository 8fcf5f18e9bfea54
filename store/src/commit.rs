//! The way of a commit: validate, sign, sequence, integrate, publish, receipt.
//!
//! Whoever finds nobody writing becomes the leader and takes along everything that arrived while
//! the last flush ran: one group, one flush, one checkpoint for all of it. The others wait.

use core::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{
    panic::catch_unwind,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use griptrace_core::{
    commit::StatusLine,
    digest::Digest,
    entry::{Entry, StatusHead},
    id::{KeyId, NodeId},
    key::{PublicKey, Signer},
    limits::TREE_SIZE_MAX,
    note::{NoteSigner, NoteVerifier},
    status_map::StatusMap,
    tree::{Frontier, Rfc9162},
};

use crate::{
    State,
    appender::Appender,
    delta::Delta,
    error::{CommitError, KeyChangeRefusal, OtherLines, Refusal, StorageError},
    head::CHECKPOINT,
    lease::Lease,
    log_keys::KnownKeys,
    number::wide,
    objects::Objects,
    parallel::on_all_processors,
    publish::{Desk, Publication},
    record::NodeRecord,
    segment::{GroupWriter, Groups},
    signing::{self, check_nodes, sign},
    store::Inner,
    tiles::TileReader,
    together::Together,
    validate::validate,
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
    /// Whether it was in the log before it was committed now.
    pub is_old: bool,
}

/// A commit that was signed elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCommit {
    entry: Vec<u8>,
    nodes: Vec<(NodeId, NodeRecord)>,
    key: PublicKey,
}

impl SignedCommit {
    /// Puts together an entry, its nodes, in any order, and the key that has to have signed it.
    pub fn new(entry: Vec<u8>, nodes: Vec<NodeRecord>, key: PublicKey) -> Self {
        Self { entry, nodes: named(nodes), key }
    }

    /// Returns the ids of its nodes, in the order in which they were given.
    pub fn ids(&self) -> impl Iterator<Item = &NodeId> {
        self.nodes.iter().map(|(id, _)| id)
    }
}

/// Commits that go into one group at most.
const BATCH_COMMITS_MAX: usize = 1024;

/// The writing half of a store.
#[derive(Debug)]
pub(crate) struct Writer {
    desk: Mutex<Desk>,
    queue: Mutex<Queue>,
    poisoned: AtomicBool,
    /// Whether a checkpoint waits to be published.
    is_waiting: AtomicBool,
    /// Whether somebody will publish it.
    is_promised: AtomicBool,
    /// Held by who publishes into a bucket.
    publishing: Mutex<()>,
    /// The turn to write, in a bucket.
    lease: Option<Arc<Lease>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether somebody leads.
    is_busy: bool,
    waiting: Vec<(Arc<Ticket>, Pending)>,
}

/// Where a waiting thread is told how its commit went.
#[derive(Debug, Default)]
struct Ticket {
    answer: Mutex<Option<Turn>>,
    told: Condvar,
}

/// What a waiting thread is told.
#[derive(Debug)]
enum Turn {
    /// It is to lead the next batch.
    Lead,
    /// How its commit went.
    Done(Result<Published, CommitError>),
}

/// A signed commit that waits for its place in the log.
#[derive(Debug)]
struct Pending {
    entry: Vec<u8>,
    nodes: Vec<(NodeId, NodeRecord)>,
    lines: Vec<StatusLine>,
    /// The key that signed it.
    key: KeyId,
    time: u64,
}

/// What the holder of a ticket is told.
type Answer = (Arc<Ticket>, Result<Published, CommitError>);

#[derive(Debug)]
struct Published {
    index: u64,
    size: u64,
    checkpoint: String,
    inclusion: Vec<Digest>,
}

impl Published {
    fn receipt(self, ids: Vec<NodeId>) -> Receipt {
        let Self { index, size, checkpoint, inclusion } = self;
        Receipt { index, ids, inclusion, checkpoint, size, is_old: false }
    }
}

impl Ticket {
    fn tell(&self, turn: Turn) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
        self.told.notify_one();
    }

    fn wait(&self) -> Turn {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match answer.take() {
                Some(turn) => return turn,
                None => answer = self.told.wait(answer).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Removes the segment of a process that turned out to have lost its turn, where a block holds its place by now: what is in it may
/// have been erased meanwhile. Where none does, others have adopted it.
fn take_back(inner: &Inner, first: u64, why: &StorageError) {
    if let (Some(blocks), StorageError::Fenced { .. }) = (inner.objects.blocks(), why) {
        // If it fails, whoever puts segments together removes it.
        drop(blocks.clear(&inner.home, first));
    }
}

impl Writer {
    /// Makes the writing half of a store whose desk this is.
    pub(crate) fn new(desk: Desk) -> Self {
        let lease = desk.publisher.lease();
        Self {
            lease,
            publishing: Mutex::default(),
            desk: Mutex::new(desk),
            queue: Mutex::new(Queue::default()),
            poisoned: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            is_promised: AtomicBool::new(false),
        }
    }

    /// Commits nodes; returns when they are durable and under a signed checkpoint.
    pub(crate) fn commit(
        &self,
        inner: &Inner,
        records: Vec<NodeRecord>,
        signer: &dyn Signer,
        issuer: &str,
        now: u64,
    ) -> Result<Receipt, CommitError> {
        self.check_poison()?;
        let mut named = named(records);
        let ids = named.iter().map(|(id, _)| *id).collect();
        let lines = inner.ask(|state| validate(&state.catalogue, &inner.objects, &named))?;
        named.sort_unstable_by_key(|(id, _)| *id);
        let mut sorted: Vec<NodeId> = named.iter().map(|(id, _)| *id).collect();
        let (entry, payload) = sign(inner.home, &mut sorted, lines, signer, issuer, now)?;
        let key = signer.public_key().id();
        let pending = Pending { entry, nodes: named, lines: payload.statuses, key, time: now };
        let mut taken = self.sequence_checked(inner, vec![Ok(pending)]);
        // One was handed in, and one comes back.
        taken.pop().unwrap_or_else(|| Err(self.refusal())).map(|published| published.receipt(ids))
    }

    /// Takes commits that were signed elsewhere; returns when they are durable and under a signed checkpoint. One that
    /// is in the log already gets a receipt for that.
    pub(crate) fn commit_signed(
        &self,
        inner: &Inner,
        commits: Vec<SignedCommit>,
        now: u64,
    ) -> Vec<Result<Receipt, CommitError>> {
        let known: Vec<(Vec<NodeId>, Vec<u8>)> = commits
            .iter()
            .map(|commit| (commit.nodes.iter().map(|(id, _)| *id).collect(), commit.entry.clone()))
            .collect();
        let checked = commits.into_iter().map(|commit| self.check_signed(inner, commit, now)).collect();
        let taken = self.sequence_checked(inner, checked);
        let receipt = |(taken, (ids, entry)): (Result<Published, CommitError>, (Vec<NodeId>, Vec<u8>))| {
            // Only what is there already is looked for, so that a first commit pays nothing.
            if let Err(CommitError::Refused { why: Refusal::Recorded, id }) = &taken
                && let Some(published) = inner.ask(|state| recorded(inner, state, id, &entry))?
            {
                return Ok(Receipt { is_old: true, ..published.receipt(ids) });
            }
            taken.map(|published| published.receipt(ids))
        };
        taken.into_iter().zip(known).map(receipt).collect()
    }

    /// Checks a commit that was signed elsewhere, up to its place in the queue.
    fn check_signed(&self, inner: &Inner, commit: SignedCommit, now: u64) -> Result<Pending, CommitError> {
        self.check_poison()?;
        let SignedCommit { entry, nodes: mut named, key } = commit;
        let stated = signing::read(&entry, &key, inner.home, now)?.payload;
        named.sort_unstable_by_key(|(id, _)| *id);
        let sorted: Vec<NodeId> = named.iter().map(|(id, _)| *id).collect();
        check_nodes(&stated, &sorted)?;
        let mut lines = inner.ask(|state| validate(&state.catalogue, &inner.objects, &named))?;
        lines.sort_unstable();
        if lines != stated.statuses {
            let first = |of: &[StatusLine], other: &[StatusLine]| of.iter().copied().find(|line| !other.contains(line));
            let stated = stated.statuses;
            let other = OtherLines { stated: first(&stated, &lines), computed: first(&lines, &stated) };
            return Err(CommitError::Statuses(Box::new(other)));
        }
        Ok(Pending { entry, nodes: named, lines, key: key.id(), time: now })
    }

    /// Tells whether a write failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Takes nothing more.
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Waits for who is bringing a batch into the log.
    pub(crate) fn wait_for_leader(&self) {
        drop(self.desk());
    }

    /// Lets nothing into the log as long as the answer is held.
    pub(crate) fn hold(&self) -> impl Drop + '_ {
        self.desk()
    }

    /// Returns the turn to write, if the log is in a bucket.
    pub(crate) fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref()
    }

    fn check_poison(&self) -> Result<(), CommitError> {
        if self.is_poisoned() { Err(self.refusal()) } else { Ok(()) }
    }

    /// Says what is to be done after a write that failed.
    fn refusal(&self) -> CommitError {
        if self.lease.is_some() { CommitError::Stopped } else { CommitError::Poisoned }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the commits that are good so far are in the log, leading a batch if it is told to.
    fn sequence_checked(
        &self,
        inner: &Inner,
        checked: Vec<Result<Pending, CommitError>>,
    ) -> Vec<Result<Published, CommitError>> {
        let mut fresh = Vec::new();
        let tickets: Vec<Result<Arc<Ticket>, CommitError>> = checked
            .into_iter()
            .map(|checked| {
                let ticket = Arc::new(Ticket::default());
                fresh.push((Arc::clone(&ticket), checked?));
                Ok(ticket)
            })
            .collect();
        let leads = {
            let mut queue = self.queue();
            let is_empty = fresh.is_empty();
            queue.waiting.extend(fresh);
            !is_empty && !core::mem::replace(&mut queue.is_busy, true)
        };
        if leads {
            self.take_turn(inner);
        }
        // In the order of the queue: who is told to lead is its head, so that what stands before it was answered.
        tickets.into_iter().map(|ticket| self.wait(inner, &*ticket?)).collect()
    }

    fn wait(&self, inner: &Inner, ticket: &Ticket) -> Result<Published, CommitError> {
        loop {
            match ticket.wait() {
                Turn::Done(result) => return result,
                Turn::Lead => self.take_turn(inner),
            }
        }
    }

    /// Leads one batch, tells everybody in it, and hands the lead to whoever came meanwhile.
    fn take_turn(&self, inner: &Inner) {
        let batch: Vec<(Arc<Ticket>, Pending)> = {
            let mut queue = self.queue();
            let take = queue.waiting.len().min(BATCH_COMMITS_MAX);
            queue.waiting.drain(..take).collect()
        };
        let tickets: Vec<Arc<Ticket>> = batch.iter().map(|(ticket, _)| Arc::clone(ticket)).collect();
        // A panic must not leave the others waiting for ever. What it left on disk only reopening can
        // tell.
        let led = catch_unwind(AssertUnwindSafe(|| self.lead(inner, batch)));
        let answers = led.unwrap_or_else(|_| {
            self.poison();
            tickets.into_iter().map(|ticket| (ticket, Err(self.refusal()))).collect()
        });
        {
            let mut queue = self.queue();
            match queue.waiting.first() {
                Some((next, _)) => next.tell(Turn::Lead),
                None => queue.is_busy = false,
            }
        }
        answers.into_iter().for_each(|(ticket, result)| ticket.tell(Turn::Done(result)));
    }

    /// Brings a batch into the log.
    fn lead(&self, inner: &Inner, batch: Vec<(Arc<Ticket>, Pending)>) -> Vec<Answer> {
        if self.check_poison().is_err() {
            return batch.into_iter().map(|(ticket, _)| (ticket, Err(self.refusal()))).collect();
        }
        let mut desk = self.desk();
        if self.check_poison().is_err() {
            // While it waited for the desk, the turn to write ended.
            return batch.into_iter().map(|(ticket, _)| (ticket, Err(self.refusal()))).collect();
        }
        let (batch, mut answers) = match inner.ask(|state| Ok::<_, StorageError>(outrun(state, &batch))) {
            Ok(outrun) => drop_outrun(batch, outrun),
            Err(error) => (Vec::new(), batch.into_iter().map(|(t, _)| (t, Err(error.again().into()))).collect()),
        };
        if batch.is_empty() {
            return answers;
        }
        let (tickets, batch): (Vec<Arc<Ticket>>, Vec<Pending>) = batch.into_iter().unzip();
        let results: Vec<Result<Published, CommitError>> = match self.write(inner, &mut desk, &batch) {
            Ok(published) => published.into_iter().map(Ok).collect(),
            Err(error) => {
                let again = self.failed(error);
                // Who was told that it is in the log already meant one of this batch, which is not.
                let is_in = |id: &NodeId| inner.read().catalogue.number(id).is_some();
                let mistaken = |answer: &&mut Answer| matches!(&answer.1, Err(CommitError::Refused { why: Refusal::Recorded, id }) if !is_in(id));
                answers.iter_mut().filter(mistaken).for_each(|answer| answer.1 = Err(again()));
                tickets.iter().map(|_| Err(again())).collect()
            }
        };
        answers.extend(tickets.into_iter().zip(results));
        answers
    }

    /// Takes note that a batch did not get into the log; returns what everybody in it is told.
    fn failed(&self, error: CommitError) -> impl Fn() -> CommitError {
        let storage = if let CommitError::Full { size } = error {
            Err(size)
        } else if let CommitError::Storage(error) = error {
            Ok(error)
        } else {
            Ok(StorageError::corrupt("the batch", error))
        };
        if storage.is_ok() {
            // From the first write on only reopening can tell what is on disk.
            self.poison();
        }
        move || match &storage {
            Ok(error) => error.again().into(),
            Err(size) => CommitError::Full { size: *size },
        }
    }

    /// Writes a batch as one group and takes it to its checkpoint.
    fn write(&self, inner: &Inner, desk: &mut Desk, batch: &[Pending]) -> Result<Vec<Published>, CommitError> {
        let commits = wide(batch.len());
        let first = desk.publisher.edge.size();
        if first.saturating_add(commits) >= TREE_SIZE_MAX {
            return Err(CommitError::Full { size: first });
        }
        let group = inner.ask(|state| build(state, batch))?;
        let (size, note) = self.bring_in(inner, desk, &group, None)?;
        // Crash here: published, but the committers were not told. They find their nodes by id, or
        // by what they recorded (R10), and commit nothing twice.
        let published = |index| {
            let inclusion = desk.publisher.edge.inclusion(index)?;
            Ok(Published { index, size, checkpoint: note.clone(), inclusion })
        };
        let published = (first..first.saturating_add(commits)).map(published).collect::<Result<_, StorageError>>()?;
        Ok(published)
    }

    /// Takes a group, with which the keys are `keys` if it changes them, to its checkpoint; returns that, and its size.
    fn bring_in(
        &self,
        inner: &Inner,
        desk: &mut Desk,
        group: &[u8],
        keys: Option<KnownKeys>,
    ) -> Result<(u64, String), StorageError> {
        let objects = &inner.objects;
        let first = desk.publisher.edge.size();
        if inner.read().catalogue.size() != first {
            // The turn to write ended, and others went on: the group would belong to no place.
            return Err(StorageError::Fenced { path: objects.root().to_path_buf() });
        }
        // Crash here: nothing is on disk, nobody was told anything.
        let (segment, begin) = desk.appender.append(objects, first, group)?;
        // Crash here: the group is durable, but nothing was signed. Opening for writing adopts it
        // (`open::Reading::adopt_more`), through the same `Publisher::adopt` as here.
        let bytes = desk.appender.read_back(objects, begin)?;
        let name = desk.appender.name().to_owned();
        let lost = || StorageError::corrupt(&*name, format!("what was written at byte {begin} is not there"));
        if bytes != group {
            return Err(lost());
        }
        let group = Groups::new(&name, segment, &bytes, begin, first).checked().next()?.ok_or_else(lost)?;
        let delta = inner.ask(|state| Delta::of(&state.catalogue, &group))?;
        let adopted = desk.publisher.adopt(objects, &group, &delta);
        let note = adopted.inspect_err(|error| take_back(inner, first, error))?;
        let size = delta.head().size;
        // Unless the turn ended meanwhile, and somebody here followed.
        inner.show(delta, note.clone(), keys);
        self.is_waiting.store(desk.publisher.publish_if_due(objects), Ordering::Release);
        Ok((size, note))
    }

    /// Brings a key change into the log; returns when it is durable and under a signed checkpoint. A change of the log's
    /// own key takes the signer that signs from then on.
    pub(crate) fn change_key(
        &self,
        inner: &Inner,
        entry: &[u8],
        successor: Option<NoteSigner>,
        now: u64,
    ) -> Result<Receipt, CommitError> {
        self.check_poison()?;
        let mut desk = self.desk();
        self.check_poison()?;
        let index = desk.publisher.edge.size();
        if index.saturating_add(1) >= TREE_SIZE_MAX {
            return Err(CommitError::Full { size: index });
        }
        let keys = inner.keys().with(&inner.genesis, &inner.home, index, entry)?;
        let expected = keys.log.newest().map(NoteVerifier::to_vkey).unwrap_or_default();
        let found = successor.as_ref().unwrap_or(&desk.publisher.signer).verifier().to_vkey();
        if found != expected {
            return Err(CommitError::KeyChange { why: KeyChangeRefusal::Signer { expected, found } });
        }
        let group = inner.ask(|state| build_change(state, entry, now))?;
        if let Some(signer) = successor {
            desk.publisher.signer = signer;
        }
        match self.bring_in(inner, &mut desk, &group, Some(keys)) {
            Ok((size, checkpoint)) => {
                let inclusion = desk.publisher.edge.inclusion(index)?;
                Ok(Receipt { index, ids: Vec::new(), inclusion, checkpoint, size, is_old: false })
            }
            Err(error) => {
                // From the first write on only reopening can tell what is on disk.
                self.poison();
                Err(error.into())
            }
        }
    }

    /// Does something to the segments while nobody appends to them, and opens the last one again.
    pub(crate) fn while_nobody_appends<T>(
        &self,
        inner: &Inner,
        work: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut desk = self.desk();
        let (first, end) = inner.read().catalogue.end();
        let done = work().and_then(|done| {
            desk.appender = Appender::at(&inner.objects, inner.home, first, end)?;
            Ok(done)
        });
        if done.is_err() {
            // The last segment that is open may be a file that has no name any more.
            self.poison();
        }
        done
    }

    /// Tells whether a checkpoint waits to be published, and nobody has promised yet to do it.
    pub(crate) fn promises_to_publish(&self) -> bool {
        self.is_waiting.load(Ordering::Acquire) && !self.is_promised.swap(true, Ordering::AcqRel)
    }

    /// Publishes what waits. If that fails it waits on, and the answer is whether the caller has promised by that to try again.
    pub(crate) fn publish(&self, objects: &Objects) -> bool {
        self.is_promised.store(false, Ordering::Release);
        if objects.bucket().is_none() {
            self.desk().publisher.publish(objects);
            return false;
        }
        // One after the other, and commits wait for none of it.
        let _turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_done = self.take_publication().is_none_or(|publication| self.write_publication(objects, publication));
        !is_done && !self.is_poisoned() && !self.is_promised.swap(true, Ordering::AcqRel)
    }

    /// Takes what waits to be published.
    pub(crate) fn take_publication(&self) -> Option<Publication> {
        self.desk().publisher.take_waiting()
    }

    /// Publishes it; it waits again if that fails, which is told.
    pub(crate) fn write_publication(&self, objects: &Objects, publication: Publication) -> bool {
        let Err(error) = publication.write(objects) else { return true };
        if matches!(&error, StorageError::Corrupt { object, .. } if object == CHECKPOINT) {
            // More was signed than the head tells: going on would fork the log. Whoever takes the turn is told.
            self.poison();
        }
        self.desk().publisher.put_back(publication);
        false
    }
}

/// Returns where a commit is that has a node of this id, if it is the same commit to the byte.
fn recorded(inner: &Inner, state: &State, id: &NodeId, entry: &[u8]) -> Result<Option<Published>, StorageError> {
    let catalogue = &state.catalogue;
    let Some(number) = catalogue.number(id) else { return Ok(None) };
    let index = catalogue.leaf(number);
    let mut tiles = TileReader::new(&inner.objects, catalogue);
    if tiles.entry(index)? != entry {
        return Ok(None);
    }
    let size = catalogue.size();
    let inclusion = tiles.inclusion(&[index], size)?;
    Ok(Some(Published { index, size, checkpoint: state.note.clone(), inclusion }))
}

/// Names nodes by their hashes.
fn named(records: Vec<NodeRecord>) -> Vec<(NodeId, NodeRecord)> {
    let ids = on_all_processors(&records, NodeRecord::id);
    ids.into_iter().zip(records).collect()
}

/// Returns for each commit what stands against it since it was checked: a node that came into the log meanwhile, or stands
/// twice, a key that does not count any more, or statuses that are too many together with those of others.
fn outrun(state: &State, batch: &[(Arc<Ticket>, Pending)]) -> Vec<Option<CommitError>> {
    let mut together = Together::on(&state.catalogue);
    let outrun = |(_, pending): &(Arc<Ticket>, Pending)| {
        let ids: Vec<NodeId> = pending.nodes.iter().map(|(id, _)| *id).collect();
        together.add(&state.keys.history, pending.key, &ids, &pending.lines).err()
    };
    batch.iter().map(outrun).collect()
}

fn drop_outrun(
    batch: Vec<(Arc<Ticket>, Pending)>,
    outrun: Vec<Option<CommitError>>,
) -> (Vec<(Arc<Ticket>, Pending)>, Vec<Answer>) {
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for ((ticket, pending), outrun) in batch.into_iter().zip(outrun) {
        match outrun {
            Some(error) => refused.push((ticket, Err(error))),
            None => kept.push((ticket, pending)),
        }
    }
    (kept, refused)
}

/// Returns the bytes of the group that holds a key change: the change and a status head.
fn build_change(state: &State, entry: &[u8], now: u64) -> Result<Vec<u8>, StorageError> {
    let mut group = GroupInMaking::after(state);
    let parsed = Entry::parse(entry).map_err(|e| StorageError::corrupt("a new segment", e))?;
    group.entry(entry, &parsed.map_lines(entry))?;
    group.finish(now)
}

/// Returns the bytes of the group that holds a batch: its commits and a status head.
fn build(state: &State, batch: &[Pending]) -> Result<Vec<u8>, StorageError> {
    let mut group = GroupInMaking::after(state);
    let mut time = 0;
    for pending in batch {
        group.entry(&pending.entry, &pending.lines)?;
        group.writer.nodes(&pending.nodes)?;
        time = time.max(pending.time);
    }
    group.finish(time)
}

/// A group that is being made.
struct GroupInMaking {
    writer: GroupWriter,
    frontier: Frontier<Rfc9162>,
    map: StatusMap,
}

impl GroupInMaking {
    fn after(state: &State) -> Self {
        let (frontier, map) = (state.catalogue.frontier().clone(), state.catalogue.map().clone());
        Self { writer: GroupWriter::new(Some(&state.note)), frontier, map }
    }

    fn entry(&mut self, entry: &[u8], lines: &[StatusLine]) -> Result<(), StorageError> {
        self.writer.entry(entry);
        self.frontier.push(Rfc9162::leaf_hash(entry)).map_err(|e| StorageError::corrupt("a new segment", e))?;
        lines.iter().for_each(|line| self.map.append(line.key.digest(), line.status.digest()));
        Ok(())
    }

    /// Ends the group with a status head of this time.
    fn finish(mut self, time: u64) -> Result<Vec<u8>, StorageError> {
        let index = self.frontier.size().get();
        let head = StatusHead { index, map_root: self.map.root(), time }.to_bytes();
        self.entry(&head, &[])?;
        Ok(self.writer.finish(self.frontier.size().get(), &self.frontier.root().unwrap_or(Rfc9162::EMPTY_ROOT)))
    }
}
