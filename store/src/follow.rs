//! Following a log that another process writes, and taking the turn to write it.
//!
//! A store in a bucket is opened as a reader. [`Store::tend`], called again and again, takes in what others
//! wrote, says so while this process writes, and takes the turn over when the one who had it is gone.
//! What is taken in was signed, group by group; whoever takes the turn goes on with the code that
//! opens a folder after a crash.

use core::time::Duration;
use std::{
    path::Path,
    sync::{Arc, PoisonError, Weak},
    thread,
    time::Instant,
};

use griptrace_core::{entry::Genesis, node::Kind, note::NoteSigner};

use crate::{
    bucket::{Bucket, Put, Version, When},
    closed,
    commit::Writer,
    delta::Delta,
    error::{OpenError, ReadError, StorageError},
    head::{HEAD, Head, Signature, Signed},
    lease::{BEAT_EVERY, Lease, SharedHead, TAKE_OVER_AFTER, Turn, WriterId, new_writer},
    log_keys::{KnownKeys, LogKeys},
    number::narrow,
    objects::Objects,
    open::{self, GENESIS, Opened, Reading},
    seen,
    segment::{self, Group, Groups},
    store::{Inner, OpenOptions, Store},
};

/// How often a store in a bucket is tended by its own thread.
const TEND_EVERY: Duration = Duration::from_millis(250);
/// How often it puts small segments together.
const MERGE_EVERY: Duration = Duration::from_secs(5);
/// How long who opens a store to write waits for another one's turn to end.
const PATIENCE: Duration = Duration::from_secs(8);

/// Who may take the turn to write.
#[derive(Debug)]
pub(crate) struct Candidate {
    signer: NoteSigner,
    writer: WriterId,
    /// Where commits of others are taken.
    address: String,
}

/// What was seen of the head, and since when it stands still.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Option<(Version, Duration)>,
    /// The moves of this process' turn, and when there was one last.
    beats: u64,
    moved: Duration,
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
        let candidate = Candidate { signer: signer.clone(), writer: new_writer()?, address: String::new() };
        let opened = open::init_on(objects, genesis, signer, now)?;
        let store = Self::from_opened(Opened { candidate: Some(candidate), ..opened });
        seen::keep(&store.0.objects, &store.checkpoint());
        keep_tending(&store.0);
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
            store.wait_for_turn()?;
        }
        keep_tending(&store.0);
        Ok(store)
    }

    /// Opens a store in a bucket for reading, and with a signer as one who takes the turn to write when it is free. Whoever
    /// calls this calls [`Self::tend`] from then on.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn join_in(bucket: Arc<dyn Bucket>, local: &Path, mut options: OpenOptions) -> Result<Self, OpenError> {
        let objects = in_bucket(bucket, local)?;
        let candidate = options.signer.clone().map(|signer| {
            let address = core::mem::take(&mut options.address);
            Ok::<_, StorageError>(Candidate { signer, writer: new_writer()?, address })
        });
        let mut opened = open::open_on(objects, options)?;
        opened.candidate = candidate.transpose()?;
        if seen::check(&opened.objects, Signature { keys: &opened.keys.log }, &opened.catalogue)? {
            seen::keep(&opened.objects, &opened.note);
        }
        Ok(Self::from_opened(opened))
    }

    fn wait_for_turn(&self) -> Result<(), OpenError> {
        let begin = Instant::now();
        loop {
            match self.tend(begin.elapsed())? {
                Standing::Writer => return Ok(()),
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
    /// `Storage` if the bucket did not answer or is damaged, `WrongKey` if the log's key is another one than the
    /// candidate's. Called again, it goes on.
    pub fn tend(&self, now: Duration) -> Result<Standing, OpenError> {
        let Some(bucket) = self.0.objects.bucket() else { return Ok(Standing::Writer) };
        let mut watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.settle();
        if let Some(writer) = self.0.writer() {
            if self.0.goes_on(&writer, &mut watch, now) {
                return Ok(Standing::Writer);
            }
            self.0.step_down(&writer);
        }
        let found = self.0.head_or_remake(bucket)?;
        let since = match &watch.seen {
            Some((version, since)) if *version == found.1 => *since,
            Some(_) | None => now,
        };
        let is_new = watch.seen.as_ref().is_none_or(|(version, _)| *version != found.1);
        watch.seen = Some((found.1.clone(), since));
        if is_new {
            self.0.follow(&found.0)?;
            self.0.settle();
        }
        let head = HeadSeen { size: found.0.head.size, turn: found.0.turn.number };
        self.0.saw(head);
        let is_free = found.0.turn.writer.is_none() || now.saturating_sub(since) >= TAKE_OVER_AFTER;
        if is_free && self.0.take_turn(bucket, &found)? {
            *watch = Watch { seen: None, beats: 0, moved: now };
            self.0.saw(HeadSeen { size: self.size(), turn: head.turn.saturating_add(1) });
            return Ok(Standing::Writer);
        }
        let is_nobody = found.0.turn.writer.is_none();
        Ok(Standing::Reader(if is_nobody { String::new() } else { found.0.turn.address }))
    }
}

impl Store {
    /// Tells whether the log is in a bucket, which several processes share.
    pub fn is_in_bucket(&self) -> bool {
        self.0.objects.bucket().is_some()
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

    /// Returns what the head of a log in a bucket said when [`Self::tend`] read it last, without waiting for anything; zeros
    /// before that.
    pub fn head_seen(&self) -> HeadSeen {
        *self.0.head_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts small segments in a bucket together, as far as the log has filled what belongs together, if this process writes;
    /// returns how many blocks were made.
    ///
    /// # Errors
    /// `Storage` if the bucket did not answer; called again, it goes on.
    pub fn merge_segments(&self) -> Result<u64, ReadError> {
        let Some(blocks) = self.0.objects.blocks().filter(|_| self.0.writer().is_some()) else { return Ok(0) };
        let _alone = self.0.erasing();
        let size = self.size();
        blocks.know(size);
        Ok(blocks.fill(size).map_err(self.0.objects.failed("put together the segments in", ""))?)
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
fn keep_tending(inner: &Arc<Inner>) {
    let begin = Instant::now();
    // What fails now is tried again, and told to who commits.
    every(TEND_EVERY, inner, move |store| drop(store.tend(begin.elapsed())));
    every(MERGE_EVERY, inner, |store| drop(store.merge_segments()));
}

fn every(time: Duration, inner: &Arc<Inner>, work: impl Fn(&Store) + Send + 'static) {
    let watched: Weak<Inner> = Arc::downgrade(inner);
    let work = move || {
        loop {
            thread::sleep(time);
            let Some(inner) = watched.upgrade() else { return };
            work(&Store(inner));
        }
    };
    // Without a thread the turn is over after some seconds, and commits say so.
    drop(thread::Builder::new().name("tend".to_owned()).spawn(work));
}

impl Inner {
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
    fn head_or_remake(&self, bucket: &Arc<dyn Bucket>) -> Result<(SharedHead, Version), OpenError> {
        let damage = match SharedHead::read(&self.objects, &**bucket) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => StorageError::corrupt(HEAD, "it is missing"),
            Err(error @ StorageError::Corrupt { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        if self.candidate.is_none() {
            return Err(damage.into());
        }
        let there = bucket.get(HEAD, None).map_err(self.objects.failed("read", HEAD))?;
        let mut newest = self.newest(&self.keys().log)?;
        let state = self.read();
        if state.catalogue.size() > newest.head.size {
            // What was followed here may be newer than what is published.
            let head = Head { size: state.catalogue.size(), root: state.catalogue.root() };
            newest = Signed { object: HEAD, head, note: state.note.clone() };
        }
        drop(state);
        // Of a number that there never was: no two heads have the same bytes.
        let number = new_writer()?.as_bytes().first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        let number = number.saturating_add(1 << 32);
        let turn = Turn { number, writer: None, beat: 0, address: String::new() };
        let made = SharedHead { head: newest.head, turn, note: newest.note };
        let when = there.map_or(When::Absent, |part| When::Is(part.version));
        let put = bucket.put(HEAD, &made.to_bytes(), &when).map_err(self.objects.failed("write", HEAD))?;
        match put {
            Put::Done(version) => Ok((made, version)),
            // Another one was faster: the next look shows it.
            Put::Refused => Err(damage.into()),
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
        let has_changes = self.take_in(keys, newest)?;
        if has_changes {
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

    /// Takes in groups until the log has the size that was signed; tells whether keys changed. Each is shown together
    /// with the checkpoint over it: the one that stands before the next group, and for the last one `newest`.
    fn take_in(&self, keys: &LogKeys, newest: &Signed) -> Result<bool, StorageError> {
        let mut has_changes = false;
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
                    self.show(delta, note);
                }
                let delta = self.ask(|state| Delta::of(&state.catalogue, &group))?;
                has_changes |= !delta.changes.is_empty();
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
            self.show(delta, newest.note.clone());
        }
        Ok(has_changes)
    }

    fn show(&self, delta: Delta, note: String) {
        let nodes = delta.ids.iter().zip(&delta.nodes);
        self.heard_of(nodes.filter(|(_, node)| node.kind == Kind::Erasure).map(|(id, _)| *id));
        let mut state = self.write();
        state.catalogue.apply(delta);
        state.note = note;
    }

    /// Takes the turn to write, if there is a candidate and nobody was faster.
    fn take_turn(&self, bucket: &Arc<dyn Bucket>, seen: &(SharedHead, Version)) -> Result<bool, OpenError> {
        let Some(Candidate { signer, writer, address }) = &self.candidate else { return Ok(false) };
        let Some(lease) = Lease::take(&self.objects, bucket, seen, *writer, address)? else { return Ok(false) };
        let lease = Arc::new(lease);
        let taken = closed::refuse(&self.objects).and_then(|()| self.go_on(&lease, signer.clone()));
        if taken.is_err() {
            self.objects.set_writer(false);
            drop(lease.release(&self.objects));
        }
        taken.map(|()| true)
    }

    /// Goes on where the last writer stopped.
    fn go_on(&self, lease: &Arc<Lease>, signer: NoteSigner) -> Result<(), OpenError> {
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
        let (catalogue, note) = {
            let state = self.read();
            (state.catalogue.clone(), state.note.clone())
        };
        if catalogue.size() > newest.head.size {
            // This process signed it, and told of it, and lost the turn before it came into the bucket.
            newest = Signed { object: "head", head: Head { size: catalogue.size(), root: catalogue.root() }, note };
        }
        let (catalogue, note, desk) = reading.in_turn(catalogue, newest, lease, signer)?;
        let keys = KnownKeys::read(&self.objects, &catalogue, &self.genesis)?;
        let writer = Arc::new(Writer::new(desk));
        let mut state = self.write();
        (state.catalogue, state.note, state.keys) = (catalogue, note, Arc::new(keys));
        drop(state);
        *self.writer.write().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Ok(())
    }
}

/// Reads the checkpoint that stands before a group, which has to be over what came before it.
fn checkpoint_before(keys: &LogKeys, group: &Group<'_>, head: Head) -> Result<String, StorageError> {
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
