//! The store's handle: cheap to clone, shared among threads.

use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockResult},
};

use griptrace_core::{
    commit::StatusLine,
    entry::Genesis,
    id::{GenesisHash, KeyId, NodeId, StatusKey},
    key::Signer,
    key_change::KeyChange,
    key_history::KeyHistory,
    node::Core,
    note::{NoteSigner, NoteVerifier},
    status_map::StatusMap,
};

use crate::{
    background::{End, Shared},
    bucket::Requests,
    catalogue::{Catalogue, map_of},
    checked,
    commit::{Receipt, SignedCommit, Writer},
    error::{CommitError, OpenError, ReadError, StorageError},
    follow::{Candidate, HeadSeen, Watch},
    head::{Head, Signature},
    index::Index,
    log_keys::KnownKeys,
    objects::Objects,
    open::{self, Opened},
    placed::Number,
    publish::publish_after,
    record::NodeRecord,
    scan::Nodes,
    seen, snapshot,
    tiles::RightEdge,
};

/// Hears what is being done, how far it is, and how far it will go.
pub type Progress = Box<dyn Fn(&str, u64, u64) + Send + Sync>;

/// How to open a store.
#[derive(Default)]
pub struct OpenOptions {
    /// The log's key, to write; without it the store is read only, and no lock is taken.
    pub signer: Option<NoteSigner>,
    /// The key that is to follow the log's, to sign from the entry on that says so.
    pub next_signer: Option<NoteSigner>,
    /// Hears of long work.
    pub progress: Option<Progress>,
    /// For a store in a bucket: where this process takes commits while it writes, told to the others; empty if it takes none.
    pub address: String,
}

impl OpenOptions {
    /// Returns the keys that may sign; none to read only.
    pub(crate) fn signers(&self) -> Vec<NoteSigner> {
        let next = self.next_signer.iter().filter(|_| self.signer.is_some());
        self.signer.iter().chain(next).cloned().collect()
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions").field("signer", &self.signer).finish_non_exhaustive()
    }
}

/// A node of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredNode {
    /// Its id.
    pub id: NodeId,
    /// Everything that is kept of it.
    pub record: NodeRecord,
    /// Its core, read.
    pub core: Core,
    /// The leaf index of its commit.
    pub index: u64,
    /// The key that signed the commit.
    pub committer: KeyId,
    /// Who the committer says to be.
    pub issuer: String,
    /// When, as the committer says: Unix time in seconds.
    pub time: u64,
}

/// A log with its nodes, on disk.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) objects: Objects,
    pub(crate) genesis: Genesis,
    pub(crate) home: GenesisHash,
    /// Held for as long as it takes to look, or to put another one there: whoever asks has a state of its own.
    state: RwLock<Arc<State>>,
    /// Held by who derives the catalogue again.
    deriving: Mutex<()>,
    /// While this process writes.
    pub(crate) writer: RwLock<Option<Arc<Writer>>>,
    /// Who may take the turn to write, in a bucket.
    pub(crate) candidate: Option<Candidate>,
    pub(crate) watch: Mutex<Watch>,
    pub(crate) head_seen: Mutex<HeadSeen>,
    /// Why this process made the head anew, until somebody asks.
    pub(crate) remade: Mutex<Option<String>>,
    /// Opened when it is first asked.
    index: Mutex<Option<Index>>,
    /// The status map at the last older size that was asked about: it never changes.
    pub(crate) older: Mutex<Option<(u64, Arc<StatusMap>)>>,
    /// Whether no answer rests on a snapshot of a bucket that was not held against the log.
    pub(crate) is_checked: AtomicBool,
    /// The right edge of the tree that was published last, as it was read.
    pub(crate) edge: Mutex<Option<(Head, RightEdge)>>,
    /// Held by who adopts a bundle.
    pub(crate) adopting: Mutex<()>,
    /// Held by who adds cosignatures to those that are kept.
    pub(crate) cosigning: Mutex<()>,
    /// Held by who erases, and by who puts small segments together.
    erasing: Mutex<()>,
    /// Erasures of other processes of which it is not known here that they are carried out.
    pub(crate) unsettled: Mutex<Vec<NodeId>>,
    /// Held by who writes a snapshot: how long the tail has to be before it is tried again.
    snapshot: Mutex<Number>,
    /// Whether there is a snapshot that is of no use.
    pub(crate) is_snapshot_bad: AtomicBool,
}

/// What changes with every commit. A clone costs little, however large the log is.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) catalogue: Catalogue,
    /// The newest signed checkpoint.
    pub(crate) note: String,
    /// Which key signed and signs what.
    pub(crate) keys: Arc<KnownKeys>,
}

/// How long at most what could not be published waits to be tried again.
const PUBLISH_AGAIN_MAX: Duration = Duration::from_secs(5);
/// Nodes beyond the snapshot that are read again on opening rather than written at once.
const TAIL_NODES_MIN: Number = 1024;

impl Store {
    /// Makes a new store in `dir` and opens it for writing.
    ///
    /// # Errors
    /// `Exists` if there is one already, `WrongKey` if the signer is not the genesis' key and
    /// origin, `Locked`, `Genesis`, `Storage`.
    pub fn init(dir: &Path, genesis: &Genesis, signer: NoteSigner, now: u64) -> Result<Self, OpenError> {
        open::init(dir, genesis, signer, now).map(Self::from_opened)
    }

    /// Opens a store. With a signer it is opened for writing, and what a crash left behind is
    /// taken up first.
    ///
    /// # Errors
    /// `NoStore`, `Locked` by another writer, `WrongKey`, `Storage` with the object that is damaged
    /// or falls short of what was signed.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        let store = open::open(dir, options).map(Self::from_opened)?;
        store.0.keep_snapshot(Share::SMALL);
        Ok(store)
    }

    pub(crate) fn from_opened(opened: Opened) -> Self {
        let Opened { objects, genesis, keys, catalogue, note, desk, candidate } = opened;
        let is_checked = catalogue.snapshot().is_none_or(|snapshot| checked::is_known(&objects, snapshot));
        let is_snapshot_bad = !catalogue.has_snapshot() && objects.exists(snapshot::NAME).unwrap_or_default();
        Self(Arc::new(Shared::new(Inner {
            objects,
            genesis,
            home: catalogue.home,
            state: RwLock::new(Arc::new(State { catalogue, note, keys: Arc::new(keys) })),
            deriving: Mutex::new(()),
            writer: RwLock::new(desk.map(|desk| Arc::new(Writer::new(desk)))),
            candidate,
            watch: Mutex::default(),
            head_seen: Mutex::default(),
            remade: Mutex::default(),
            index: Mutex::new(None),
            older: Mutex::new(None),
            is_checked: AtomicBool::new(is_checked),
            edge: Mutex::new(None),
            adopting: Mutex::new(()),
            cosigning: Mutex::new(()),
            erasing: Mutex::new(()),
            unsettled: Mutex::default(),
            snapshot: Mutex::new(0),
            is_snapshot_bad: AtomicBool::new(is_snapshot_bad),
        })))
    }

    /// Returns the log's first entry.
    pub fn genesis(&self) -> &Genesis {
        &self.0.genesis
    }

    /// Returns what verifies the log's checkpoints: every key that it has had, the newest first.
    pub fn verifiers(&self) -> Vec<NoteVerifier> {
        self.0.keys().log.verifiers()
    }

    /// Returns the log's genesis hash: the home of its nodes.
    pub fn home(&self) -> GenesisHash {
        self.0.home
    }

    /// Returns how many entries are published.
    pub fn size(&self) -> u64 {
        self.0.read().catalogue.size()
    }

    /// Returns the newest signed checkpoint, as a note; its copy for the world follows a little later.
    pub fn checkpoint(&self) -> String {
        self.0.read().note.clone()
    }

    /// Commits nodes, all or none, and returns when they are durable and under a signed checkpoint. Calls from
    /// several threads share their flushes.
    ///
    /// # Errors
    /// `Refused` with the node and the reason, `Commit`, `ReadOnly`, `Full`; `Storage` if a write
    /// failed, and from then on `Poisoned`, or `Stopped` in a bucket.
    pub fn commit(
        &self,
        nodes: Vec<NodeRecord>,
        signer: &dyn Signer,
        issuer: &str,
        now: u64,
    ) -> Result<Receipt, CommitError> {
        let writer = self.0.writer().ok_or(CommitError::ReadOnly)?;
        let receipt = writer.commit(&self.0, nodes, signer, issuer, now)?;
        self.after_commit(&writer);
        Ok(receipt)
    }

    /// Takes commits that were signed elsewhere, of each all nodes or none, and returns when they are durable and under a
    /// signed checkpoint. Sent twice, one is committed once: the second receipt says so. `now` is the log's clock,
    /// which dates the status head.
    ///
    /// # Errors
    /// For each commit: `Commit` for an entry that is malformed or not signed by the key, `EntryTooLarge`, `Home`, `Ahead`,
    /// `Nodes`, `Statuses`; otherwise as [`Self::commit`].
    pub fn commit_signed(&self, commits: Vec<SignedCommit>, now: u64) -> Vec<Result<Receipt, CommitError>> {
        let Some(writer) = self.0.writer() else {
            return commits.iter().map(|_| Err(CommitError::ReadOnly)).collect();
        };
        let receipts = writer.commit_signed(&self.0, commits, now);
        self.after_commit(&writer);
        receipts
    }

    /// Brings a key change, an entry that `KeyChange::sign` made, into the log, and returns when it is durable and under a
    /// signed checkpoint. A change of the log's own key takes the signer that signs from then on. From the change on
    /// the retired key signs nothing that counts.
    ///
    /// # Errors
    /// `KeyChange` for one that is malformed, not signed by who has to, or has no place in this log; `ReadOnly`, `Full`,
    /// `Storage`, `Poisoned`, `Stopped`.
    pub fn change_key(&self, entry: &[u8], successor: Option<NoteSigner>, now: u64) -> Result<Receipt, CommitError> {
        let writer = self.0.writer().ok_or(CommitError::ReadOnly)?;
        if let (Some(candidate), Some(successor)) = (&self.0.candidate, &successor) {
            // Should the turn be lost, it is taken again with it.
            candidate.may_sign_with(successor.clone());
        }
        let receipt = writer.change_key(&self.0, entry, successor, now)?;
        self.after_commit(&writer);
        Ok(receipt)
    }

    /// Returns the key changes of the log with their leaf indices, in log order.
    pub fn key_changes(&self) -> Vec<(u64, KeyChange)> {
        self.0.keys().changes.iter().map(|placed| (placed.index, placed.change.clone())).collect()
    }

    /// Returns which key counted when.
    pub fn key_history(&self) -> KeyHistory {
        self.0.keys().history.clone()
    }

    /// Returns the leaf index from which on a committer's key does not count, if it was rotated or revoked.
    pub fn key_end(&self, key: &KeyId) -> Option<u64> {
        self.0.read().keys.history.end(key)
    }

    /// Returns how many requests were made of the bucket so far; `None` for a log in a folder, or where nobody counts.
    pub fn requests(&self) -> Option<Requests> {
        self.0.objects.bucket().and_then(|bucket| bucket.requests())
    }

    /// Tells whether this process writes to the log, as far as it knows.
    pub fn is_writing(&self) -> bool {
        self.0.writer().is_some_and(|writer| !writer.is_poisoned())
    }

    /// Tells whether an earlier write failed, so that nothing is taken before the store was reopened.
    pub fn is_poisoned(&self) -> bool {
        self.0.writer().is_some_and(|writer| writer.is_poisoned())
    }

    pub(crate) fn after_commit(&self, writer: &Writer) {
        if writer.promises_to_publish() {
            self.publish_later();
        }
        if self.0.is_snapshot_due(Share::LARGE) {
            self.keep_snapshot_aside();
        }
    }

    /// Has what waits published in a while, should no commit or the end come before.
    fn publish_later(&self) {
        if !self.0.has_threads() {
            return;
        }
        let (inner, after) = (self.0.inner(), publish_after(&self.0.objects));
        let publish = move |end: &End| {
            // What fails is tried again, as long as nobody else promised to. At the end who closes the store does it.
            let mut after = after;
            while !end.wait(after) && inner.publish() {
                after = after.saturating_mul(2).min(PUBLISH_AGAIN_MAX);
            }
        };
        if !self.0.errands.send("publish", publish) {
            self.0.publish();
        }
    }

    /// Has a snapshot written, while commits go on and are acknowledged. Closing waits for it.
    fn keep_snapshot_aside(&self) {
        if !self.0.has_threads() {
            return self.0.keep_snapshot(Share::LARGE);
        }
        let inner = self.0.inner();
        // Without a thread the next commit tries again, or closing.
        self.0.errands.send("snapshot", move |_| inner.keep_snapshot(Share::LARGE));
    }

    /// Returns a node, with everything that is kept of it.
    ///
    /// # Errors
    /// `Storage` if it, or its commit, is not what was recorded.
    pub fn node(&self, id: &NodeId) -> Result<Option<StoredNode>, ReadError> {
        self.0.ask(|state| {
            let number = state.catalogue.number(id);
            Ok(number.map(|number| Nodes::new(&self.0.objects, state).read(number)).transpose()?)
        })
    }

    /// Returns the statuses under a key, in log order.
    ///
    /// # Errors
    /// `Storage` if the catalogue was damaged and can't be derived again.
    pub fn statuses(&self, key: &StatusKey) -> Result<Vec<NodeId>, ReadError> {
        self.0.ask(|state| Ok(state.catalogue.map().statuses(key.digest()).iter().copied().map(NodeId::new).collect()))
    }

    /// Returns what the status map is asked for about a node: for a signed assessment the digest
    /// of what was signed, else the id.
    ///
    /// # Errors
    /// `NoNode`.
    pub fn status_key(&self, id: &NodeId) -> Result<StatusKey, ReadError> {
        self.0.ask(|state| Ok(state.catalogue.status_key(state.number(id)?)))
    }
}

/// How large the part behind the snapshot may become, as a share of the nodes in it.
#[derive(Clone, Copy, Debug)]
struct Share(Number);

impl Share {
    /// While open: what it costs to write all again is spread over as many nodes as there were.
    const LARGE: Self = Self(1);
    /// Between processes: the next one reads it again.
    const SMALL: Self = Self(128);
}

impl State {
    /// Returns a node's number.
    pub(crate) fn number(&self, id: &NodeId) -> Result<Number, ReadError> {
        self.catalogue.number(id).ok_or(ReadError::NoNode { id: *id })
    }
}

impl Inner {
    /// Returns what is known of the log now. It stays what it is, and keeps nobody from going on.
    pub(crate) fn read(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is known of the log. Whoever looks waits for it, so nothing is read or written meanwhile.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut state))
    }

    /// Returns the writing half, while this process writes.
    pub(crate) fn writer(&self) -> Option<Arc<Writer>> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns which key signed and signs what.
    pub(crate) fn keys(&self) -> Arc<KnownKeys> {
        Arc::clone(&self.read().keys)
    }

    /// Keeps others from erasing, and from putting segments together, until the guard is dropped.
    pub(crate) fn erasing(&self) -> MutexGuard<'_, ()> {
        self.erasing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the index, which may have to be opened. Taken before the state, never after it.
    pub(crate) fn index(&self) -> MutexGuard<'_, Option<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the index, unless somebody else is at it.
    pub(crate) fn try_index(&self) -> TryLockResult<MutexGuard<'_, Option<Index>>> {
        self.index.try_lock()
    }

    /// Answers a question, however long that takes: commits go on meanwhile. If the snapshot turns out damaged on the way,
    /// the answer is thrown away, the catalogue derived from the segments, and the question asked again.
    pub(crate) fn ask<T, E: From<StorageError>>(
        &self,
        mut question: impl FnMut(&State) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            let state = self.read();
            let answer = question(&state);
            if !state.catalogue.is_damaged() {
                return answer;
            }
            self.derive_again()?;
        }
    }

    /// Returns the status map at an older size. It is made while nothing else is held: commits do not wait for it.
    pub(crate) fn older_map(&self, size: u64) -> Result<Arc<StatusMap>, StorageError> {
        let known =
            |of: &Option<(u64, Arc<StatusMap>)>| of.as_ref().filter(|(of, _)| *of == size).map(|(_, m)| m.clone());
        if let Some(map) = known(&self.older.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(map);
        }
        let lines: Vec<StatusLine> = self.ask(|state| {
            let before = state.catalogue.lines().take_while(|(leaf, _)| *leaf < size);
            Ok::<_, StorageError>(before.map(|(_, line)| line).collect())
        })?;
        let map = Arc::new(map_of(lines.into_iter()));
        *self.older.lock().unwrap_or_else(PoisonError::into_inner) = Some((size, Arc::clone(&map)));
        Ok(map)
    }

    /// Derives the catalogue from the segments if its snapshot is damaged. Once, for all who find that out.
    pub(crate) fn derive_again(&self) -> Result<(), StorageError> {
        let _alone = self.deriving.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let state = self.read();
            if !state.catalogue.is_damaged() {
                return Ok(());
            }
            self.is_snapshot_bad.store(true, Ordering::Relaxed);
            let head = Head { size: state.catalogue.size(), root: state.catalogue.root() };
            let signature = Signature { keys: &state.keys.log };
            let derived = open::derive(&self.objects, &self.genesis, self.home, signature, head)?;
            self.change(|state| {
                // Else what was under way when the damage was found came meanwhile: then it is done once more.
                if state.catalogue.size() == head.size {
                    state.catalogue = derived;
                }
            });
        }
    }

    /// Publishes what waits, if this is the writer; tells whether that failed and the caller is to try again.
    pub(crate) fn publish(&self) -> bool {
        self.writer().is_some_and(|writer| writer.publish(&self.objects))
    }

    /// Tells whether the store may use threads beside the caller's.
    fn has_threads(&self) -> bool {
        self.objects.bucket().is_none_or(|bucket| bucket.has_threads())
    }

    /// Tells whether this process has to write a snapshot: much came after the last one, or that one is of no use.
    fn is_snapshot_due(&self, share: Share) -> bool {
        // Held by who is writing one.
        let not_before = self.snapshot.try_lock().ok().map(|not_before| *not_before);
        self.writer().is_some() && not_before.is_some_and(|not_before| self.is_tail_long(share, not_before))
    }

    fn is_tail_long(&self, share: Share, not_before: Number) -> bool {
        let state = self.read();
        let tail = state.catalogue.tail_len();
        let before = state.catalogue.len().saturating_sub(tail);
        let is_bad = self.is_snapshot_bad.load(Ordering::Relaxed);
        (tail >= TAIL_NODES_MIN.max(before / share.0) || is_bad) && tail >= not_before
    }

    /// Writes a snapshot if one is due. That it can't be written costs time on opening, and nothing else.
    fn keep_snapshot(&self, share: Share) {
        if !self.is_snapshot_due(share) {
            return;
        }
        let Ok(mut not_before) = self.snapshot.try_lock() else { return };
        // A copy of what is in memory, so that commits need not wait for the disk.
        let catalogue = self.read().catalogue.clone();
        // Crash here: the older snapshot stands, or none, and more segments are read on opening. What was written of the new
        // one is under no name, and the next writer removes it.
        match catalogue.write_snapshot(&self.objects) {
            // Crash here, or the turn is lost meanwhile: it stands, and is of a log that is the beginning of the one there is.
            Ok(Some(snapshot)) => {
                *not_before = 0;
                self.is_snapshot_bad.store(false, Ordering::Relaxed);
                if self.is_checked.load(Ordering::Acquire) {
                    checked::keep(&self.objects, &snapshot);
                }
                self.change(|state| state.catalogue.rebase(snapshot));
            }
            // A disk that has no room for it is not to be tried at every commit.
            Ok(None) | Err(_) => *not_before = catalogue.tail_len().saturating_mul(2),
        }
    }

    /// Writes the snapshot anew, from the segments alone; tells whether it stands.
    pub(crate) fn make_snapshot_again(&self) -> Result<bool, StorageError> {
        self.read().catalogue.distrust();
        self.derive_again()?;
        let mut not_before = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let catalogue = self.read().catalogue.clone();
        let Some(snapshot) = catalogue.write_snapshot(&self.objects)? else { return Ok(false) };
        *not_before = 0;
        self.is_snapshot_bad.store(false, Ordering::Relaxed);
        self.is_checked.store(true, Ordering::Release);
        checked::keep(&self.objects, &snapshot);
        self.change(|state| state.catalogue.rebase(snapshot));
        Ok(true)
    }

    /// Ends what this process does with the store, when its last handle goes and its threads have ended.
    pub(crate) fn close(&self) {
        self.publish();
        // First the turn: others may wait for it, and need no snapshot. In a folder the lock is held until all is done.
        self.end_turn();
        self.keep_snapshot(Share::SMALL);
        drop(seen::keep(&self.objects, &self.read().note));
    }
}
