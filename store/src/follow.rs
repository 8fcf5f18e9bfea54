//! Following a log that another process writes, and taking the turn to write it.
//!
//! A store in a bucket is opened as a reader. [`Store::tend`], called again and again, takes in what others
//! wrote, says so while this process writes, and takes the turn over when the one who had it is gone.
//! What is taken in was signed, group by group; whoever takes the turn goes on with the code that
//! opens a folder after a crash.

mod remade;

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use griptrace_core::{entry::Genesis, node::Kind, note::NoteSigner};

use crate::{
    bucket::{Bucket, Version, get_small},
    closed,
    commit::Writer,
    delta::Delta,
    error::{OpenError, ReadError, StorageError},
    head::{HEAD, Head, Signature, Signed},
    lease::{BEAT_EVERY, Lease, SharedHead, TAKE_OVER_AFTER, Turn, WriterId, new_writer},
    log_keys::{KEYS, KnownKeys, LogKeys},
    number::{narrow, wide},
    objects::Objects,
    open::{self, GENESIS, Opened, Reading},
    publish::unknown_to,
    seen,
    segment::{self, Group, Groups},
    store::{Inner, OpenOptions, Store},
};

/// How often a store in a bucket is tended by its own thread.
const TEND_EVERY: Duration = Duration::from_millis(250);
/// Over how many milliseconds candidates spread who see a head stand still.
pub(crate) const SPREAD_MILLIS: u64 = 300;
/// How long at most a process rests before it tries again for a turn that it could not make use of.
const REST_MAX: Duration = Duration::from_secs(60);
/// How often the turn is tried for at a place that is closed: whoever else takes it there ends it at once.
const TRIES_FOR_CLOSED: u32 = 16;
/// How often it puts small segments together.
const MERGE_EVERY: Duration = Duration::from_secs(5);
/// How long who opens a store to write waits for another one's turn to end.
const PATIENCE: Duration = Duration::from_secs(8);

/// Who may take the turn to write.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The keys that may be the log's, and those that followed in this process, the newest last.
    signers: Mutex<Vec<NoteSigner>>,
    writer: WriterId,
    /// Where commits of others are taken.
    address: String,
    /// The size at which the log's key turned out to be another one, and that key: of a change that a crash left, and nobody signed yet.
    refused: Mutex<Option<(u64, String)>>,
    /// Whether it is to wait until the snapshot was held against the log.
    waits_for_check: AtomicBool,
}

impl Candidate {
    fn new(signers: Vec<NoteSigner>, writer: WriterId, address: String) -> Self {
        let waits_for_check = AtomicBool::new(false);
        Self { signers: Mutex::new(signers), writer, address, refused: Mutex::default(), waits_for_check }
    }

    fn refused(&self) -> MutexGuard<'_, Option<(u64, String)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signers(&self) -> MutexGuard<'_, Vec<NoteSigner>> {
        self.signers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs with another key too, if the log is signed with it from now on.
    pub(crate) fn may_sign_with(&self, successor: NoteSigner) {
        self.signers().push(successor);
    }

    /// How long the head has to stand still before this one takes the turn: many may be watching it, and would all swap it at once.
    fn takes_over_after(&self) -> Duration {
        let chance = self.writer.as_bytes().first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes));
        TAKE_OVER_AFTER.saturating_add(Duration::from_millis(u64::from(chance) % SPREAD_MILLIS))
    }
}

/// What was seen of the head, and since when it stands still.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Option<(Version, Duration)>,
    /// The head up to which was followed without an error, and when.
    followed: Option<(Version, Duration)>,
    /// Since when the head was made anew, and tells of less than is known.
    short: Option<Duration>,
    /// Before when the turn is not tried again, and how long that was.
    rests: (Duration, Duration),
    /// The moves of this process' turn, and when there was one last.
    beats: u64,
    moved: Duration,
    /// The size that was kept as seen last, and when.
    kept: (u64, Duration),
}

/// What the head of a log in a bucket said when it was read last.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HeadSeen {
    /// How many entries the log has, signed or not.
    pub size: u64,
    /// How often the turn to write was taken.
    pub turn: u64,
}

/// What a store in a bucket is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It writes.
    Writer,
    /// It follows, and another one writes, which takes commits at this address; empty if nobody does, or it takes none.
    Reader(String),
}

impl Store {
    /// Makes a new store in a bucket and opens it for writing. `local` is a folder of this machine for
    /// what is made of it.
    ///
    /// # Errors
    /// As [`Self::init`].
    pub fn init_in(
        bucket: Arc<dyn Bucket>,
        local: &Path,
        genesis: &Genesis,
        signer: NoteSigner,
        now: u64,
    ) -> Result<Self, OpenError> {
        let objects = in_bucket(bucket, local)?;
        // Should the turn be lost, it is taken again like any other.
        let candidate = Candidate::new(vec![signer.clone()], new_writer()?, String::new());
        let opened = open::init_on(objects, genesis, signer, now)?;
        let store = Self::from_opened(Opened { candidate: Some(candidate), ..opened });
        drop(store.keep_seen());
        keep_tending(&store);
        Ok(store)
    }

    /// Opens a store in a bucket. With a signer it is opened for writing, as soon as whoever writes has ended its turn, or
    /// was silent for some seconds.
    ///
    /// # Errors
    /// As [`Self::open`]; `Taken` if somebody else goes on writing.
    pub fn open_in(bucket: Arc<dyn Bucket>, local: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        let is_writer = options.signer.is_some();
        let store = Self::join_in(bucket, local, options)?;
        if is_writer {
            store.check_for_writing()?;
            store.wait_for_turn()?;
        }
        keep_tending(&store);
        Ok(store)
    }

    /// Opens a store in a bucket for reading, and with a signer as one who takes the turn to write when it is free. Whoever
    /// calls this calls [`Self::tend`] from then on.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn join_in(bucket: Arc<dyn Bucket>, local: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        Self::join_as(new_writer()?, bucket, local, options)
    }

    pub(crate) fn join_as(
        writer: WriterId,
        bucket: Arc<dyn Bucket>,
        local: &Path,
        mut options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let objects = in_bucket(bucket, local)?;
        let (signers, address) = (options.signers(), core::mem::take(&mut options.address));
        let candidate = (!signers.is_empty()).then(|| Candidate::new(signers, writer, address));
        let mut opened = open::open_on(objects, options)?;
        opened.candidate = candidate;
        let signature = Signature { keys: &opened.keys.log };
        let mut fits = seen::check(&opened.objects, signature, &opened.catalogue);
        if opened.catalogue.is_damaged() {
            let head = Head { size: opened.catalogue.size(), root: opened.catalogue.root() };
            let home = opened.catalogue.home;
            opened.catalogue = open::derive(&opened.objects, &opened.genesis, home, signature, head)?;
            fits = seen::check(&opened.objects, signature, &opened.catalogue);
        }
        fits?;
        drop(seen::keep(&opened.objects, &opened.note));
        Ok(Self::from_opened(opened))
    }

    /// Holds a snapshot that this machine does not know against the log: what is signed says what the marks are, which stand in it, and
    /// it may be another one's work.
    fn check_for_writing(&self) -> Result<(), OpenError> {
        self.write_only_when_checked();
        if self.is_snapshot_checked() {
            return Ok(());
        }
        match self.check_snapshot() {
            Ok(_) => Ok(()),
            Err(ReadError::Storage(error)) => Err(error.into()),
            Err(other) => Err(StorageError::corrupt("snapshots/catalogue", other).into()),
        }
    }

    fn wait_for_turn(&self) -> Result<(), OpenError> {
        let begin = Instant::now();
        loop {
            match self.tend(begin.elapsed())? {
                Standing::Writer => return Ok(()),
                Standing::Reader(_) if let Some(error) = self.wrong_key() => return Err(error),
                Standing::Reader(address) if begin.elapsed() >= PATIENCE => {
                    let holder = if address.is_empty() { "another process".to_owned() } else { address };
                    return Err(OpenError::Taken { path: self.0.objects.root().to_path_buf(), holder });
                }
                Standing::Reader(_) => thread::sleep(TEND_EVERY),
            }
        }
    }

    /// Does what a store in a bucket has to do now and then: as a writer, shows that it is alive; else takes in what was
    /// written, and takes the turn to write if it may and nobody else does. `now` is a clock that only goes forward, from any beginning. In a folder it does nothing.
    ///
    /// # Errors
    /// `Storage` if the bucket did not answer or is damaged. Called again, it goes on. Who was given another key than the log's
    /// follows, and [`Self::wrong_key`] says so.
    pub fn tend(&self, now: Duration) -> Result<Standing, OpenError> {
        self.0.tend(now)
    }
}

impl Store {
    /// Takes the turn to write at a place in a bucket that is closed, whoever has it: who was writing when it was closed has
    /// to stop before all that it wrote can be copied. In a folder it does nothing, and without a signer neither.
    pub(crate) fn take_closed_turn(&self) -> Result<(), OpenError> {
        let inner = &self.0;
        let (Some(bucket), Some(candidate)) = (inner.objects.bucket(), &inner.candidate) else { return Ok(()) };
        let mut tries = 0;
        while inner.writer().is_none_or(|writer| writer.is_poisoned()) {
            let mut watch = inner.watch.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(writer) = inner.writer() {
                inner.step_down(&writer);
            }
            let found = inner.head_or_remake(bucket)?;
            if let Some(lease) = Lease::take(&inner.objects, bucket, &found, candidate.writer, &candidate.address)? {
                let (lease, signers) = (Arc::new(lease), candidate.signers().clone());
                if let Err(error) = inner.go_on(&lease, &signers) {
                    inner.objects.set_writer(false);
                    drop(lease.release(&inner.objects));
                    return Err(error);
                }
                *watch = Watch::default();
                drop(watch);
                if bucket.has_threads() {
                    keep_tending(self);
                }
                return Ok(());
            }
            drop(watch);
            tries += 1;
            if tries >= TRIES_FOR_CLOSED {
                let (path, holder) = (inner.objects.root().to_path_buf(), "another process".to_owned());
                return Err(OpenError::Taken { path, holder });
            }
            bucket.pause(TEND_EVERY);
        }
        Ok(())
    }

    /// Tells whether the log is in a bucket, which several processes share.
    pub fn is_in_bucket(&self) -> bool {
        self.0.objects.bucket().is_some()
    }

    /// Returns why this process, which is to take the turn to write when it is free, can't: the log's key is another one than those
    /// that it was given. It follows all the same.
    pub fn wrong_key(&self) -> Option<OpenError> {
        let candidate = self.0.candidate.as_ref().filter(|_| !self.is_writing())?;
        let keys = self.0.keys();
        let signers = candidate.signers();
        let mut error = open::wrong_key(&keys.log, signers.first()?);
        match (candidate.refused().clone(), &mut error) {
            (Some((_, coming)), OpenError::WrongKey { expected, .. }) => *expected = coming,
            _ if open::signer_of(&keys.log, &signers).is_some() => return None,
            _ => {}
        }
        Some(error)
    }

    /// Takes no turn to write before [`Self::check_snapshot`] has held the snapshot against the log: what is signed says what the marks
    /// are, which stand in it.
    pub fn write_only_when_checked(&self) {
        self.0.candidate.iter().for_each(|candidate| candidate.waits_for_check.store(true, Ordering::Relaxed));
    }

    /// Takes in what was written up to a checkpoint that the writer told, sooner than [`Self::tend`] finds it published. Who writes has
    /// it already.
    ///
    /// # Errors
    /// `Storage` if the log did not sign it, or the bucket did not answer, or is damaged.
    pub fn follow_to(&self, note: &str) -> Result<(), ReadError> {
        let _watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.0.keys();
        let (head, note) = Signature { keys: &keys.log }.read("a receipt", note.as_bytes())?;
        let Some(blocks) = self.0.objects.blocks().filter(|_| self.0.writer().is_none()) else { return Ok(()) };
        if head.size > self.size() {
            blocks.know(head.size);
            self.0.catch_up(&keys.log, &Signed { object: "a receipt", head, note })?;
        }
        Ok(())
    }

    /// Keeps the newest checkpoint that is known here in this machine's folder, as opening and closing do, so that a bucket that was set
    /// back is noticed by who opens it next. In a folder it does nothing.
    ///
    /// # Errors
    /// `Storage` if it can't be written: the one that was kept before stays.
    pub fn keep_seen(&self) -> Result<(), ReadError> {
        Ok(seen::keep(&self.0.objects, &self.checkpoint())?)
    }

    /// Returns what the head of a log in a bucket said when [`Self::tend`] read it last, without waiting for anything; zeros
    /// before that.
    pub fn head_seen(&self) -> HeadSeen {
        *self.0.head_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why this process made the head of the bucket anew, if it did since this was asked last.
    pub fn take_remade(&self) -> Option<String> {
        self.0.remade.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts small segments in a bucket together, as far as the log has filled what belongs together, if this process writes;
    /// returns how many blocks were made.
    ///
    /// # Errors
    /// `Storage` if the bucket did not answer; called again, it goes on.
    pub fn merge_segments(&self) -> Result<u64, ReadError> {
        self.0.merge_segments(&|| true)
    }
}

fn in_bucket(bucket: Arc<dyn Bucket>, local: &Path) -> Result<Objects, OpenError> {
    std::fs::create_dir_all(local).map_err(|source| StorageError::Io {
        doing: "create",
        path: local.to_path_buf(),
        source,
    })?;
    Ok(Objects::in_bucket(bucket, local))
}

/// Tends a store from threads of its own, until its last handle is gone.
fn keep_tending(store: &Store) {
    let (inner, begin) = (store.0.inner(), Instant::now());
    // What fails now is tried again, and told to who commits. Without a thread the turn is over after some seconds, and
    // commits say so.
    store.0.tending.send("tend", move |end| {
        while !end.wait(TEND_EVERY) {
            drop(inner.tend(begin.elapsed()));
        }
    });
    let inner = store.0.inner();
    store.0.tending.send("merge", move |end| {
        while !end.wait(MERGE_EVERY) {
            drop(inner.merge_segments(&|| !end.has_come()));
        }
    });
}

impl Inner {
    fn tend(&self, now: Duration) -> Result<Standing, OpenError> {
        let Some(bucket) = self.objects.bucket() else { return Ok(Standing::Writer) };
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle();
        let stands = self.tend_on(bucket, &mut watch, now);
        self.keep_seen(&mut watch, now);
        stands
    }

    /// Keeps what was seen of the log on this machine, at most once a second.
    fn keep_seen(&self, watch: &mut Watch, now: Duration) {
        let size = self.read().catalogue.size();
        if size > watch.kept.0 && (watch.kept.0 == 0 || now.saturating_sub(watch.kept.1) >= BEAT_EVERY) {
            watch.kept = (size, now);
            let note = self.read().note.clone();
            drop(seen::keep(&self.objects, &note));
        }
    }

    fn tend_on(&self, bucket: &Arc<dyn Bucket>, watch: &mut Watch, now: Duration) -> Result<Standing, OpenError> {
        if let Some(writer) = self.writer() {
            if self.goes_on(&writer, watch, now) {
                return Ok(Standing::Writer);
            }
            self.step_down(&writer);
        }
        let found = self.head_or_remake(bucket)?;
        let since = match &watch.seen {
            Some((version, since)) if *version == found.1 => *since,
            Some(_) | None => now,
        };
        watch.seen = Some((found.1.clone(), since));
        if self.is_short(&found.0, watch, now) {
            return Ok(Standing::Reader(found.0.turn.address));
        }
        if self.is_behind(watch, &found, now) {
            self.follow(&found.0)?;
            watch.followed = Some((found.1.clone(), now));
            self.settle();
        }
        let head = HeadSeen { size: found.0.head.size, turn: found.0.turn.number };
        self.saw(head);
        let is_free = self.may_take(&found.0.turn, now.saturating_sub(since));
        if is_free && now >= watch.rests.0 && self.may_sign(&found.0)? && self.try_turn(bucket, &found, watch, now)? {
            *watch = Watch { moved: now, kept: watch.kept, ..Watch::default() };
            self.saw(HeadSeen { size: self.read().catalogue.size(), turn: head.turn.saturating_add(1) });
            return Ok(Standing::Writer);
        }
        let is_nobody = found.0.turn.writer.is_none();
        Ok(Standing::Reader(if is_nobody { String::new() } else { found.0.turn.address }))
    }

    /// Tells whether there may be more than was followed to: the head moved, following failed, or what the head tells of was not
    /// signed when it was looked for.
    fn is_behind(&self, watch: &Watch, (head, version): &(SharedHead, Version), now: Duration) -> bool {
        match &watch.followed {
            Some((followed, at)) if followed == version => {
                self.read().catalogue.size() < head.head.size && now.saturating_sub(*at) >= BEAT_EVERY
            }
            Some(_) | None => true,
        }
    }

    /// Takes the turn to write, as [`Self::take_turn`]. What does not go away by itself is not tried again at once: each try moves
    /// the head.
    fn try_turn(
        &self,
        bucket: &Arc<dyn Bucket>,
        found: &(SharedHead, Version),
        watch: &mut Watch,
        now: Duration,
    ) -> Result<bool, OpenError> {
        let taken = self.take_turn(bucket, found);
        let stays = matches!(&taken, Err(OpenError::Closed { .. } | OpenError::Storage(StorageError::Corrupt { .. })));
        let rest = if stays { watch.rests.1.saturating_mul(2).clamp(BEAT_EVERY, REST_MAX) } else { Duration::ZERO };
        watch.rests = (now.saturating_add(rest), rest);
        taken
    }

    /// Puts small segments together, as long as `goes_on` says so.
    fn merge_segments(&self, goes_on: &dyn Fn() -> bool) -> Result<u64, ReadError> {
        let Some(blocks) = self.objects.blocks().filter(|_| self.writer().is_some()) else { return Ok(0) };
        let _alone = self.erasing();
        let size = self.read().catalogue.size();
        blocks.know(size);
        Ok(blocks.fill(&self.home, size, goes_on).map_err(self.objects.failed("put together the segments in", ""))?)
    }

    fn saw(&self, head: HeadSeen) {
        *self.head_seen.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }

    /// Goes on writing; `false` if the turn is over.
    fn goes_on(&self, writer: &Writer, watch: &mut Watch, now: Duration) -> bool {
        let Some(lease) = writer.lease() else { return true };
        if writer.is_poisoned() || lease.is_lost() {
            return false;
        }
        if lease.beats() == watch.beats && now.saturating_sub(watch.moved) >= BEAT_EVERY {
            // A beat that fails has lost the turn.
            drop(lease.beat(&self.objects));
        }
        if lease.beats() != watch.beats {
            (watch.beats, watch.moved) = (lease.beats(), now);
        }
        !lease.is_lost()
    }

    /// Stops writing; whoever waits for a commit is told so.
    fn step_down(&self, writer: &Writer) {
        writer.poison();
        // What moved the head is shown here before anything else is taken in.
        writer.wait_for_leader();
        self.objects.set_writer(false);
        *self.writer.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.end_turn_of(writer);
    }

    /// Ends the turn to write, if this process has it.
    pub(crate) fn end_turn(&self) {
        if let Some(writer) = self.writer() {
            self.end_turn_of(&writer);
        }
    }

    fn end_turn_of(&self, writer: &Writer) {
        if let Some(lease) = writer.lease().filter(|lease| !lease.is_lost()) {
            // If it fails, others wait for some seconds.
            drop(lease.release(&self.objects));
        }
    }

    /// Reads the head. Who may write makes one that is lost or damaged again, from the newest checkpoint: what came
    /// after it stands in segments that nobody writes anew, and is adopted. Whoever had the turn has lost it.
    pub(crate) fn head_or_remake(&self, bucket: &Arc<dyn Bucket>) -> Result<(SharedHead, Version), OpenError> {
        let look = || -> Result<_, StorageError> {
            let there = get_small(&**bucket, HEAD).map_err(self.objects.failed("read", HEAD))?;
            let Some(part) = there else { return Ok(Err((None, StorageError::corrupt(HEAD, "it is missing")))) };
            let head = SharedHead::parse(&part.bytes);
            Ok(head.map(|head| (head, part.version.clone())).map_err(|damage| (Some(part.version), damage)))
        };
        if let Ok(found) = look()? {
            if !self.lags(&found.0)? {
                return Ok(found);
            }
            let damage = StorageError::corrupt(HEAD, "it was made anew before all that was signed was published");
            return self.remake(bucket, Some(found.1), damage);
        }
        // Once more: what came damaged need not be damaged there, and making it anew ends the turn of whoever writes.
        match look()? {
            Ok(found) => Ok(found),
            Err((_, damage)) if self.candidate.is_none() => Err(damage.into()),
            Err((version, damage)) => self.remake(bucket, version, damage),
        }
    }

    /// Takes in what was written up to the newest checkpoint.
    fn follow(&self, shared: &SharedHead) -> Result<(), OpenError> {
        let head = shared.head;
        let known = self.read().catalogue.size();
        if head.size < known {
            return Err(seen::set_back(head.size, known).into());
        }
        let mut keys = Arc::clone(&self.keys());
        let mut newest = self.newest_beside(&keys.log, shared);
        if newest.is_err() {
            // Signed with a key that came since, perhaps.
            let log = LogKeys::read(&self.objects, &self.genesis, &self.home)?;
            if !log.go_on_from(&keys.log, known) {
                let why = "it lacks a change of the log's key that this process has read in the log: somebody put it there who may not; restore it";
                return Err(StorageError::corrupt(KEYS, why).into());
            }
            newest = self.newest_beside(&log, shared);
            keys = Arc::new(KnownKeys { log, ..(*keys).clone() });
            self.write().keys = Arc::clone(&keys);
        }
        let newest = newest?;
        if let Some(blocks) = self.objects.blocks() {
            blocks.know(newest.head.size.max(head.size));
        }
        Ok(self.catch_up(&keys.log, &newest)?)
    }

    fn catch_up(&self, keys: &LogKeys, newest: &Signed) -> Result<(), StorageError> {
        let before = self.read().catalogue.size();
        if let Err(error) = self.take_in(keys, newest) {
            // What is kept open of it may be what a writer left there that had lost its turn, in a place that was free for a moment.
            self.objects.forget_segments(before);
            return Err(error);
        }
        // Not only those of now: what was taken in before may have ended with an error.
        if self.ask(|state| Ok::<_, StorageError>(state.catalogue.changes().count() != state.keys.changes.len()))? {
            let keys = self.ask(|state| KnownKeys::read(&self.objects, &state.catalogue, &self.genesis))?;
            self.write().keys = Arc::new(keys);
        }
        Ok(())
    }

    /// Finds the newest checkpoint, given the head. Another object is asked for only where the one in the head is behind it:
    /// whoever follows does this once a second.
    fn newest_beside(&self, keys: &LogKeys, shared: &SharedHead) -> Result<Signed, StorageError> {
        if shared.note.is_empty() {
            return self.newest(keys);
        }
        let signature = Signature { keys };
        let (head, note) = signature.read(HEAD, shared.note.as_bytes())?;
        let in_head = Signed { object: HEAD, head, note };
        if head.size >= shared.head.size {
            return Ok(in_head);
        }
        match signature.published(&self.objects) {
            Ok(published) => Ok(published.filter(|published| published.head.size > head.size).unwrap_or(in_head)),
            Err(StorageError::Corrupt { .. }) => Ok(in_head),
            Err(error) => Err(error),
        }
    }

    fn newest(&self, keys: &LogKeys) -> Result<Signed, StorageError> {
        self.reading(keys).newest()
    }

    fn reading<'a>(&'a self, keys: &'a LogKeys) -> Reading<'a> {
        let signature = Signature { keys };
        let progress = &|_: &str, _, _| {};
        Reading { objects: &self.objects, genesis: &self.genesis, home: self.home, signature, progress }
    }

    /// Takes in groups until the log has the size that was signed. Each is shown together
    /// with the checkpoint over it: the one that stands before the next group, and for the last one `newest`.
    fn take_in(&self, keys: &LogKeys, newest: &Signed) -> Result<(), StorageError> {
        let mut pending = None::<Delta>;
        let mut first = self.read().catalogue.size();
        let ahead = self.objects.read_ahead(first, newest.head.size);
        while first < newest.head.size {
            let name = segment::name(first);
            let bytes = match ahead.as_ref().and_then(|ahead| ahead.next(first)) {
                Some(bytes) => bytes,
                // It is kept open: who takes the turn derives the edge of the tree from the last ones.
                None => self.objects.read_part(&name, &*self.objects.segment(first)?, 0, u64::MAX)?,
            };
            let begin = segment::check_header(&self.home, first, &bytes)?;
            let mut groups = Groups::new(&name, first, bytes.get(narrow(begin)..).unwrap_or_default(), begin, first);
            let before = first;
            while let Some(group) = groups.next()? {
                if let Some(delta) = pending.take() {
                    let note = checkpoint_before(keys, &group, delta.head())?;
                    self.show(delta, note, None);
                }
                if self.read().catalogue.size() > group.first {
                    // A commit that outlived its turn was faster.
                    first = group.first.saturating_add(wide(group.entries.len()));
                    continue;
                }
                let delta = self.ask(|state| Delta::of(&state.catalogue, &group))?;
                first = delta.head().size;
                pending = Some(delta);
                if first >= newest.head.size {
                    break;
                }
            }
            if first == before {
                return Err(StorageError::corrupt(name, "it holds no group"));
            }
        }
        if let Some(delta) = pending {
            is_head(&delta, newest)?;
            self.show(delta, newest.note.clone(), None);
        }
        Ok(())
    }

    /// Shows a group with the checkpoint over it, and the keys if it changes them. One that was taken in meanwhile, by a commit
    /// that outlived its turn or by who followed, is there already: a log has one history.
    pub(crate) fn show(&self, delta: Delta, note: String, keys: Option<KnownKeys>) {
        let nodes = delta.ids.iter().zip(&delta.nodes);
        self.heard_of(nodes.filter(|(_, node)| node.kind == Kind::Erasure).map(|(id, _)| *id));
        let mut state = self.write();
        if state.catalogue.size() != delta.first() {
            return;
        }
        state.catalogue.apply(delta);
        state.note = note;
        if let Some(keys) = keys {
            state.keys = Arc::new(keys);
        }
    }

    /// Tells whether the turn to write is to be taken: it was ended, the head has stood still for too long, or it is this process'
    /// own, which does not know any more how far it came.
    fn may_take(&self, turn: &Turn, unmoved: Duration) -> bool {
        let Some(candidate) = &self.candidate else { return false };
        turn.writer.is_none_or(|writer| writer == candidate.writer) || unmoved >= candidate.takes_over_after()
    }

    /// Takes the turn to write, if there is a candidate and nobody was faster.
    fn take_turn(&self, bucket: &Arc<dyn Bucket>, seen: &(SharedHead, Version)) -> Result<bool, OpenError> {
        let Some(candidate) = &self.candidate else { return Ok(false) };
        let Candidate { writer, address, .. } = candidate;
        // Before the head is moved, and once more when nobody else can close the log.
        closed::refuse(&self.objects)?;
        let Some(lease) = Lease::take(&self.objects, bucket, seen, *writer, address)? else { return Ok(false) };
        let lease = Arc::new(lease);
        let signers = candidate.signers().clone();
        let taken = closed::refuse(&self.objects).and_then(|()| self.go_on(&lease, &signers));
        if taken.is_err() {
            self.objects.set_writer(false);
            drop(lease.release(&self.objects));
        }
        match taken {
            Ok(()) => Ok(true),
            Err(OpenError::WrongKey { expected, .. }) => {
                *candidate.refused() = Some((lease.head().size, expected));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells whether there is a key here that may be the log's. One that the log does not know counts only where something was
    /// written that nobody signed: that may be what brings it.
    fn may_sign(&self, shared: &SharedHead) -> Result<bool, StorageError> {
        let Some(candidate) = &self.candidate else { return Ok(false) };
        if candidate.waits_for_check.load(Ordering::Relaxed) && !self.is_checked.load(Ordering::Acquire) {
            return Ok(false);
        }
        let size = shared.head.size;
        if candidate.refused().as_ref().is_some_and(|(at, _)| *at == size) {
            return Ok(false);
        }
        *candidate.refused() = None;
        let keys = self.keys();
        let signers = candidate.signers();
        if open::signer_of(&keys.log, &signers).is_some() {
            return Ok(true);
        }
        let retired = keys.log.verifiers();
        let is_new = signers.iter().any(|signer| !retired.contains(signer.verifier()));
        let is_more = || Ok(self.read().catalogue.size() < size || self.objects.exists(&segment::name(size))?);
        Ok(is_new && is_more()?)
    }

    /// Goes on where the last writer stopped.
    fn go_on(&self, lease: &Arc<Lease>, signers: &[NoteSigner]) -> Result<(), OpenError> {
        self.follow(&lease.now())?;
        self.objects.prepare()?;
        let known = self.keys();
        let entry = self.genesis.to_bytes().map_err(OpenError::Genesis)?;
        if self.objects.read(GENESIS)?.as_ref() != Some(&entry) {
            self.objects.put(GENESIS, &entry)?;
        }
        if !known.log.is_written(&self.objects)? {
            known.log.write(&self.objects)?;
        }
        let reading = self.reading(&known.log);
        let mut newest = reading.newest()?;
        if newest.head.size > lease.head().size {
            // Either another one has the turn by now, or the log signed what no head tells of.
            let (told, _) = lease.look(&self.objects)?;
            let is_evidence = newest.head.size > told.size;
            let fenced = || StorageError::Fenced { path: self.objects.root().to_path_buf() };
            return Err(if is_evidence { unknown_to(newest.object, newest.head, told) } else { fenced() }.into());
        }
        // Whoever had the turn before may have published since, what it signed in time.
        self.catch_up(&known.log, &newest)?;
        // What comes may take seconds, where requests do, as what went before it did: others see that it goes on.
        lease.beat(&self.objects)?;
        let (catalogue, note) = {
            let state = self.read();
            (state.catalogue.clone(), state.note.clone())
        };
        if catalogue.size() > newest.head.size {
            // This process signed it, and told of it, and lost the turn before it came into the bucket.
            newest = Signed { object: "head", head: Head { size: catalogue.size(), root: catalogue.root() }, note };
        }
        let (catalogue, note, desk) = reading.in_turn(catalogue, newest, lease, signers)?;
        let keys = KnownKeys::read(&self.objects, &catalogue, &self.genesis)?;
        // Before anything is committed on it.
        drop(seen::keep(&self.objects, &note));
        let writer = Arc::new(Writer::new(desk));
        let mut state = self.write();
        if state.catalogue.has_snapshot() && !catalogue.has_snapshot() {
            // It turned out damaged on the way.
            self.is_snapshot_bad.store(true, Ordering::Relaxed);
        }
        (state.catalogue, state.note, state.keys) = (catalogue, note, Arc::new(keys));
        drop(state);
        *self.writer.write().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Ok(())
    }
}

/// Reads the checkpoint that stands before a group, which has to be over what came before it.
pub(crate) fn checkpoint_before(keys: &LogKeys, group: &Group<'_>, head: Head) -> Result<String, StorageError> {
    let missing = || StorageError::corrupt(group.name, "a group lacks the checkpoint before it");
    let (_, note) = group.checkpoint.ok_or_else(missing)?;
    let (signed, note) = Signature { keys }.read(group.name, note)?;
    if signed == head {
        return Ok(note);
    }
    let Head { size, root } = head;
    let why = format!(
        "a checkpoint in it says size {} and root {}, and before it is size {size} and root {root}",
        signed.size, signed.root
    );
    Err(StorageError::corrupt(group.name, why))
}

fn is_head(delta: &Delta, newest: &Signed) -> Result<(), StorageError> {
    let (computed, signed) = (delta.head(), newest.head);
    if computed == signed {
        return Ok(());
    }
    let why = format!(
        "it says size {} and root {}, and the segments lead to size {} and root {}",
        signed.size, signed.root, computed.size, computed.root
    );
    Err(StorageError::corrupt(newest.object, why))
}
