//! Making a store, opening it, and what a crash left behind.
//!
//! Recovery has no code of its own for the log: it takes the steps of a commit (`publish`) from
//! wherever the crash stopped them.

use std::{path::Path, sync::Arc};

use griptrace_core::{
    entry::{Entry, Genesis, StatusHead, genesis_hash},
    id::GenesisHash,
    node::Kind,
    note::{NoteSigner, NoteVerifier},
    tile::{TILE_WIDTH, Tile},
    tree::Rfc9162,
};

use crate::{
    OpenOptions,
    appender::{Appender, SEGMENT_BYTES},
    catalogue::Catalogue,
    closed,
    delta::Delta,
    edge::Edge,
    erasing,
    error::{OpenError, StorageError},
    follow::Candidate,
    head::{CHECKPOINT, HEAD, Head, HeadFile, Signature, Signed, Slot, sign},
    lease::{Lease, SharedHead, Turn, new_writer},
    lock::WriterLock,
    log_keys::{KnownKeys, LogKeys},
    number::narrow,
    objects::Objects,
    publish::{Desk, Publisher, is_behind},
    seen::SEEN,
    segment::{self, Group, GroupWriter, Groups},
    snapshot::Snapshot,
    tiles::TileReader,
    unsigned,
};

pub(crate) const GENESIS: &str = "genesis";
/// What is said where `head` and `checkpoint` are both gone.
const NOTHING_SIGNED: &str = "it is missing, and so is the checkpoint: nothing here tells what was signed. Put either back from a copy; or open a log in a bucket on a machine that saw it last and may write, which makes both again";
/// Bytes that a first segment has beside the genesis: header, status head, frames. A commit has more.
const INIT_BYTES: usize = 420;
/// Bytes of a segment that hold its header and first entry.
const FIRST_ENTRY_BYTES: u64 = 1 << 17;

type Progress<'a> = &'a (dyn Fn(&str, u64, u64) + Send + Sync);

/// A log, opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) objects: Objects,
    pub(crate) genesis: Genesis,
    pub(crate) keys: KnownKeys,
    pub(crate) catalogue: Catalogue,
    /// The newest signed checkpoint.
    pub(crate) note: String,
    pub(crate) desk: Option<Desk>,
    /// Who may take the turn to write, in a bucket.
    pub(crate) candidate: Option<Candidate>,
}

/// Makes a new store in `dir`.
pub(crate) fn init(dir: &Path, genesis: &Genesis, signer: NoteSigner, now: u64) -> Result<Opened, OpenError> {
    init_on(Objects::new(dir), genesis, signer, now)
}

/// Makes a new store of these objects.
pub(crate) fn init_on(objects: Objects, genesis: &Genesis, signer: NoteSigner, now: u64) -> Result<Opened, OpenError> {
    if objects.bucket().is_none() {
        objects.create_root()?;
    }
    let lock = objects.bucket().is_none().then(|| WriterLock::take(objects.root())).transpose()?;
    let keys = LogKeys::of(genesis, Vec::new())?;
    check_signer(&keys, &signer)?;
    let entry = genesis.to_bytes().map_err(OpenError::Genesis)?;
    let home = genesis_hash(&entry);
    if is_begun(&objects, entry.len())? || objects.exists(HEAD)? || objects.exists(CHECKPOINT)? {
        return Err(OpenError::Exists { path: objects.root().to_path_buf() });
    }
    objects.prepare()?;
    // No head, no checkpoint: whatever lies in a folder is of an `init` that crashed and told nobody. In a bucket it may be of one
    // that is at work, and nothing there tells.
    if objects.bucket().is_some() && objects.exists(&segment::name(0))? {
        let why = "a log was begun here and is not whole: another `init` is at work, or one was cut off; if none is at work, empty the place and begin again";
        return Err(StorageError::corrupt(segment::name(0), why).into());
    }
    objects.put(GENESIS, &entry)?;
    keys.write(&objects)?;
    let group = first_group(&entry, &home, now)?;
    let mut appender = Appender::at(&objects, home, 0, 0)?;
    let (segment, begin) = appender.append(&objects, 0, &group)?;
    // Crash here, or anywhere before the head is written: there is no store, and `init` begins anew.
    let bytes = appender.read_back(&objects, begin)?;
    let name = appender.name().to_owned();
    let lost = || StorageError::corrupt(&*name, "what was written is not there");
    let group = Groups::new(&name, segment, &bytes, begin, 0).next()?.ok_or_else(lost)?;
    let mut catalogue = Catalogue::new(home);
    let delta = Delta::of(&catalogue, &group)?;
    let note = sign(&signer, &genesis.origin, delta.head())?;
    let head = first_head(&objects, &note, delta.head(), &bytes)?;
    let mut publisher = Publisher::new(signer, genesis.clone(), keys, Edge::new(), head);
    let note = publisher.adopt(&objects, &group, &delta)?;
    publisher.publish(&objects);
    catalogue.apply(delta);
    let keys = KnownKeys::read(&objects, &catalogue, genesis)?;
    let desk = Desk { publisher, appender, lock };
    Ok(Opened { objects, genesis: genesis.clone(), keys, catalogue, note, desk: Some(desk), candidate: None })
}

/// Makes the head of a new log. In a bucket another `init` may be at work: of two only one makes the head, and
/// if the first segment, whose group is `group`, is not its own then, it has made nothing.
fn first_head(objects: &Objects, note: &str, head: Head, group: &[u8]) -> Result<HeadFile, OpenError> {
    let Some(bucket) = objects.bucket() else { return Ok(HeadFile::create(objects, note)?) };
    let turn = Turn { number: 1, writer: Some(new_writer()?), beat: 0, address: String::new() };
    let new = SharedHead { head, turn, note: note.to_owned() };
    let exists = || OpenError::Exists { path: objects.root().to_path_buf() };
    let lease = Lease::begin(objects, bucket, new)?.ok_or_else(exists)?;
    if !objects.read(&segment::name(0))?.unwrap_or_default().ends_with(group) {
        let why = "two logs were begun here at the same time, and neither is whole; empty the place, and begin one";
        return Err(StorageError::corrupt(segment::name(0), why).into());
    }
    Ok(HeadFile::Shared(Arc::new(lease)))
}

/// Tells whether there are segments with more in them than an `init` that crashed may have left: a
/// log that lost its head is still a log.
fn is_begun(objects: &Objects, genesis_bytes: usize) -> Result<bool, StorageError> {
    let first = objects.read(&segment::name(0))?.unwrap_or_default();
    let stands = first.iter().rposition(|byte| *byte != 0).map_or(0, |at| at.saturating_add(1));
    let more = objects.list("segments")?.iter().any(|name| *name != "0000000000000000");
    Ok(more || stands > genesis_bytes.saturating_add(INIT_BYTES))
}

/// Returns the group that a log begins with: the genesis and the first status head.
fn first_group(genesis: &[u8], home: &GenesisHash, now: u64) -> Result<Vec<u8>, StorageError> {
    let map_root = Catalogue::new(*home).map().root();
    let status = StatusHead { index: 1, map_root, time: now }.to_bytes();
    let mut writer = GroupWriter::new(None);
    let mut frontier = Catalogue::new(*home).frontier().clone();
    for entry in [genesis, &status] {
        writer.entry(entry);
        frontier.push(Rfc9162::leaf_hash(entry)).map_err(|e| StorageError::corrupt("a new segment", e))?;
    }
    Ok(writer.finish(2, &frontier.root().unwrap_or(Rfc9162::EMPTY_ROOT)))
}

/// Opens a store, for writing if there is a signer.
pub(crate) fn open(dir: &Path, options: OpenOptions) -> Result<Opened, OpenError> {
    open_on(Objects::new(dir), options)
}

/// Opens the store of these objects.
pub(crate) fn open_on(objects: Objects, options: OpenOptions) -> Result<Opened, OpenError> {
    let no_store = || OpenError::NoStore { path: objects.root().to_path_buf() };
    if !objects.exists(HEAD)? && !objects.exists(CHECKPOINT)? {
        closed::refuse_unfinished(&objects)?;
        let genesis = objects.read(GENESIS)?.unwrap_or_default();
        if !is_begun(&objects, genesis.len())? {
            return Err(no_store());
        }
        // What this machine saw of a bucket is as good as either.
        if objects.bucket().is_none() || !objects.local().join(SEEN).exists() {
            return Err(StorageError::corrupt(HEAD, NOTHING_SIGNED).into());
        }
    }
    let missing = || StorageError::corrupt(GENESIS, "it is missing, and the first segment does not begin with it");
    let Named { genesis, keys, home, entry } = read_genesis(&objects)?.ok_or_else(missing)?;
    let signers = options.signers();
    let progress = options.progress.unwrap_or_else(|| Box::new(|_, _, _| {}));
    let signature = Signature { keys: &keys };
    let reading = Reading { objects: &objects, genesis: &genesis, home, signature, progress: &*progress };
    let wrong_name = |signer: &&NoteSigner| signer.verifier().name() != genesis.origin;
    if let Some(signer) = signers.iter().find(wrong_name) {
        return Err(wrong_key(&keys, signer));
    }
    // In a bucket who may write takes its turn later (`follow`).
    if signers.is_empty() || objects.bucket().is_some() {
        let (catalogue, signed) = reading.read_only()?;
        let keys = KnownKeys::read(&objects, &catalogue, &genesis)?;
        return Ok(Opened { objects, genesis, keys, catalogue, note: signed.note, desk: None, candidate: None });
    }
    let lock = WriterLock::take(objects.root())?;
    closed::refuse(&objects)?;
    objects.prepare()?;
    if objects.read(GENESIS)?.as_ref() != Some(&entry) {
        objects.put(GENESIS, &entry)?;
    }
    if !keys.is_written(&objects)? {
        keys.write(&objects)?;
    }
    let (catalogue, note, desk) = reading.for_writing(lock, &signers)?;
    let keys = KnownKeys::read(&objects, &catalogue, &genesis)?;
    Ok(Opened { objects, genesis, keys, catalogue, note, desk: Some(desk), candidate: None })
}

/// What the genesis says: which log this is, and whose.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) genesis: Genesis,
    pub(crate) keys: LogKeys,
    pub(crate) home: GenesisHash,
    pub(crate) entry: Vec<u8>,
}

/// Reads the genesis; `None` if there is none. Where `genesis` is lost or another one, the first
/// segment has it, and its header tells that it is the right one.
pub(crate) fn read_genesis(objects: &Objects) -> Result<Option<Named>, StorageError> {
    let stored = objects.read(GENESIS)?;
    let name = segment::name(0);
    let begins = match objects.open(&name)? {
        Some(file) => objects.read_part(&name, &*file, 0, FIRST_ENTRY_BYTES)?,
        None => Vec::new(),
    };
    let first = segment::first_entry(&begins).filter(|(home, entry)| genesis_hash(entry) == *home);
    let is_first = |stored: &Vec<u8>| first.is_none_or(|(home, _)| genesis_hash(stored) == home);
    match (stored.filter(is_first), first) {
        (Some(entry), _) => named(objects, entry).map(Some),
        (None, Some((_, entry))) => named(objects, entry.to_vec()).map(Some),
        (None, None) => Ok(None),
    }
}

fn named(objects: &Objects, entry: Vec<u8>) -> Result<Named, StorageError> {
    let genesis = match Entry::parse(&entry) {
        Ok(Entry::Genesis(genesis)) => genesis,
        Ok(Entry::Commit(_) | Entry::KeyChange(_) | Entry::StatusHead(_)) => {
            return Err(StorageError::corrupt(GENESIS, "it is another entry"));
        }
        Err(error) => return Err(StorageError::corrupt(GENESIS, error)),
    };
    let home = genesis_hash(&entry);
    let keys = LogKeys::read(objects, &genesis, &home)?;
    Ok(Named { genesis, keys, home, entry })
}

fn check_signer(keys: &LogKeys, signer: &NoteSigner) -> Result<(), OpenError> {
    if keys.newest() == Some(signer.verifier()) { Ok(()) } else { Err(wrong_key(keys, signer)) }
}

/// Returns the signer that has the log's newest key.
pub(crate) fn signer_of<'a>(keys: &LogKeys, signers: &'a [NoteSigner]) -> Option<&'a NoteSigner> {
    signers.iter().find(|signer| keys.newest() == Some(signer.verifier()))
}

/// Makes the error of a signer whose key is not the log's newest.
pub(crate) fn wrong_key(keys: &LogKeys, signer: &NoteSigner) -> OpenError {
    let expected = keys.newest().map(NoteVerifier::to_vkey).unwrap_or_default();
    OpenError::WrongKey { origin: keys.origin().to_owned(), expected, found: signer.verifier().to_vkey() }
}

/// Reads a log.
pub(crate) struct Reading<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) genesis: &'a Genesis,
    pub(crate) home: GenesisHash,
    pub(crate) signature: Signature<'a>,
    pub(crate) progress: Progress<'a>,
}

impl Reading<'_> {
    fn read_only(&self) -> Result<(Catalogue, Signed), OpenError> {
        // The snapshot first: a writer that goes on meanwhile only makes the head newer.
        let snapshot = Snapshot::open(self.objects, &self.home);
        let newest = self.newest()?;
        let seen_here = |error: StorageError| match error {
            StorageError::Corrupt { object, why } if newest.object == SEEN => {
                let more = "this machine saw that signed: the bucket was set back, unless it is this object alone that is lost; put the newest copy back";
                StorageError::corrupt(object, format!("{why} ({more})"))
            }
            other @ (StorageError::Corrupt { .. } | StorageError::Io { .. } | StorageError::Fenced { .. }) => other,
        };
        Ok((self.load(snapshot, &newest).map_err(seen_here)?, newest))
    }

    /// Returns the newest checkpoint that was signed.
    pub(crate) fn newest(&self) -> Result<Signed, StorageError> {
        let missing = || StorageError::corrupt(HEAD, "it holds no checkpoint");
        self.signature.all(self.objects)?.pop().ok_or_else(missing)
    }

    /// Reads the log up to what was signed, and takes up where a crash stopped the last writer.
    fn for_writing(&self, lock: WriterLock, signers: &[NoteSigner]) -> Result<(Catalogue, String, Desk), OpenError> {
        let snapshot = Snapshot::open(self.objects, &self.home);
        let newest = self.newest()?;
        let catalogue = self.load(snapshot, &newest)?;
        let (catalogue, edge) = self.with_edge(catalogue, &newest)?;
        let head = self.head_file(&newest)?;
        self.take_up(catalogue, edge, newest, head, signers, Some(lock))
    }

    /// Reads the right edge of the tree; a catalogue that turns out damaged is read again.
    fn with_edge(&self, mut catalogue: Catalogue, newest: &Signed) -> Result<(Catalogue, Edge), StorageError> {
        let mut edge = self.edge(&catalogue);
        if catalogue.is_damaged() {
            catalogue = self.load(None, newest)?;
            edge = self.edge(&catalogue);
        }
        Ok((catalogue, edge?))
    }

    /// Takes the turn to write in a bucket where the last writer left it. The catalogue is that of the newest checkpoint.
    pub(crate) fn in_turn(
        &self,
        catalogue: Catalogue,
        newest: Signed,
        lease: &Arc<Lease>,
        signers: &[NoteSigner],
    ) -> Result<(Catalogue, String, Desk), OpenError> {
        let (catalogue, edge) = self.with_edge(catalogue, &newest)?;
        let head = HeadFile::Shared(Arc::clone(lease));
        let taken = self.take_up(catalogue, edge, newest, head, signers, None)?;
        let (acknowledged, found) = (lease.head(), taken.0.size());
        if found < acknowledged.size {
            let why = format!("it says {} entries, and the segments end with {found}", acknowledged.size);
            return Err(StorageError::corrupt(HEAD, why).into());
        }
        Ok(taken)
    }

    fn take_up(
        &self,
        mut catalogue: Catalogue,
        edge: Edge,
        newest: Signed,
        mut head: HeadFile,
        signers: &[NoteSigner],
        lock: Option<WriterLock>,
    ) -> Result<(Catalogue, String, Desk), OpenError> {
        // Once more: what a crashed writer wrote may be in the system's memory alone.
        head.write(self.objects, &newest.note)?;
        let covered = newest.head.size;
        // Whole again after a crash before it was published; if the disk refuses, the next time.
        if let Err(error @ StorageError::Corrupt { .. }) = self.publish_again(&newest, &edge, &head) {
            return Err(error.into());
        }
        let keys = self.signature.keys.clone();
        let signer = signer_of(&keys, signers).or(signers.first()).cloned();
        let signer = signer.ok_or_else(|| StorageError::corrupt(HEAD, "nobody is there to sign"))?;
        let mut publisher = Publisher::new(signer, self.genesis.clone(), keys, edge, head);
        let (mut note, mut known) = (newest.note, None);
        while let Some(published) = self.adopt_more(&mut catalogue, &mut publisher, &mut known, signers)? {
            note = published;
        }
        // Only now: what a crash left may have changed the key.
        check_signer(&publisher.keys, &publisher.signer)?;
        publisher.publish(self.objects);
        self.finish_erasing(&mut catalogue, covered)?;
        let (first, end) = catalogue.end();
        let appender = Appender::at(self.objects, self.home, first, end)?;
        Ok((catalogue, note, Desk { publisher, appender, lock }))
    }

    /// Carries out what erasures a crash, or a process that lost its turn, left undone.
    fn finish_erasing(&self, catalogue: &mut Catalogue, from: u64) -> Result<(), StorageError> {
        let finished = erasing::take_up(self.objects, catalogue, from);
        if !catalogue.is_damaged() {
            return finished;
        }
        let head = Head { size: catalogue.size(), root: catalogue.root() };
        *catalogue = derive(self.objects, self.genesis, self.home, self.signature, head)?;
        erasing::take_up(self.objects, catalogue, from)
    }

    /// Publishes what was signed, if it is not what is published.
    fn publish_again(&self, newest: &Signed, edge: &Edge, head: &HeadFile) -> Result<(), StorageError> {
        if let HeadFile::Shared(lease) = head
            && lease.head().size > newest.head.size
        {
            // What the head tells of is adopted first, and published with that: it may be published already, under a key that is
            // not known before.
            return Ok(());
        }
        if self.objects.read(CHECKPOINT)?.as_deref() == Some(newest.note.as_bytes()) {
            return Ok(());
        }
        for (name, bytes) in edge.partial()? {
            self.objects.put_soft(&name, &bytes)?;
        }
        // By now somebody else may have published more.
        self.objects.put_newer(CHECKPOINT, newest.note.as_bytes(), |there| match head {
            HeadFile::Shared(lease) => is_behind(self.objects, self.signature, lease, newest.head, there),
            HeadFile::Slots { .. } => Ok(true),
        })
    }

    /// Adopts the groups of one segment that were written, but not signed: nobody was told of them, and
    /// they are whole. They go on by the code that would have gone on with them. What is not whole is
    /// left to be cut off.
    fn adopt_more(
        &self,
        catalogue: &mut Catalogue,
        publisher: &mut Publisher,
        known: &mut Option<KnownKeys>,
        signers: &[NoteSigner],
    ) -> Result<Option<String>, OpenError> {
        let (last, end) = catalogue.end();
        let is_shared = self.objects.bucket().is_some();
        // In a bucket nothing is ever behind the end of a segment.
        let places = [(last, end), (catalogue.size(), 0)].into_iter().skip(usize::from(is_shared));
        for (segment, from) in places {
            let name = segment::name(segment);
            let Some(file) = self.objects.open(&name)? else { continue };
            let bytes = self.objects.read_part(&name, &*file, from, u64::MAX)?;
            let header = if from == 0 { segment::check_header(&self.home, segment, &bytes) } else { Ok(0) };
            let skip = match header {
                Ok(skip) => skip,
                // Objects are whole or not there: nobody may write past it.
                Err(error) if is_shared => return Err(error.into()),
                Err(_) => continue,
            };
            let (rest, begin) = (bytes.get(narrow(skip)..).unwrap_or_default(), from.saturating_add(skip));
            let mut groups = Groups::new(&name, segment, rest, begin, catalogue.size());
            let mut note = None;
            loop {
                let group = match groups.next() {
                    Ok(Some(group)) => group,
                    Err(error) if is_shared => return Err(error.into()),
                    Ok(None) | Err(_) => break,
                };
                if note.is_none() && !is_shared {
                    self.write_once_more(&name, &bytes, from)?;
                }
                note = Some(self.adopt(catalogue, publisher, known, &group, signers)?);
            }
            if note.is_some() {
                return Ok(note);
            }
        }
        Ok(None)
    }

    /// Writes what stands in a file from an offset on once more: the crash may have come before its flush, or
    /// the flush may have failed; then the system holds it to be written though it is not.
    fn write_once_more(&self, name: &str, bytes: &[u8], from: u64) -> Result<(), StorageError> {
        let gone = || StorageError::corrupt(name, "it is gone again");
        let file = self.objects.open_for_writing(name)?.ok_or_else(gone)?;
        file.write_at(bytes, from).and_then(|()| file.sync()).map_err(self.objects.failed("write", name))?;
        self.objects.sync_name(name)
    }

    fn adopt(
        &self,
        catalogue: &mut Catalogue,
        publisher: &mut Publisher,
        known: &mut Option<KnownKeys>,
        group: &Group<'_>,
        signers: &[NoteSigner],
    ) -> Result<String, OpenError> {
        let mut delta = Delta::of(catalogue, group);
        if catalogue.is_damaged() {
            let head = Head { size: catalogue.size(), root: catalogue.root() };
            *catalogue = derive(self.objects, self.genesis, self.home, self.signature, head)?;
            delta = Delta::of(catalogue, group);
        }
        let delta = delta?;
        if self.objects.bucket().is_some() {
            let keys = known.take().map_or_else(|| KnownKeys::read(self.objects, catalogue, self.genesis), Ok)?;
            *known = Some(unsigned::check(self.genesis, catalogue, self.objects, keys, group)?);
        }
        let keys = publisher.keys_with(&delta)?;
        let wrong = || wrong_key(&keys, &publisher.signer);
        publisher.signer = signer_of(&keys, signers).ok_or_else(wrong)?.clone();
        // Who adopts it may crash once it is signed, and nobody else may know of it.
        for (id, _) in delta.ids.iter().zip(&delta.nodes).filter(|(_, node)| node.kind == Kind::Erasure) {
            self.objects.put(&format!("{}/{id}", erasing::FOLDER), b"")?;
        }
        let note = publisher.adopt(self.objects, group, &delta)?;
        catalogue.apply(delta);
        Ok(note)
    }

    /// Opens the head, and makes it anew where anything of it was torn or lost.
    fn head_file(&self, signed: &Signed) -> Result<HeadFile, StorageError> {
        let is_newest = |slot: &Slot| matches!(slot, Slot::Signed(found) if found.head == signed.head);
        match self.signature.slots(self.objects)? {
            [Slot::Bad(_), _] | [_, Slot::Bad(_)] => HeadFile::create(self.objects, &signed.note),
            [first, _] if is_newest(&first) => HeadFile::open(self.objects, 1),
            [_, second] if is_newest(&second) => HeadFile::open(self.objects, 0),
            [_, _] => HeadFile::create(self.objects, &signed.note),
        }
    }

    /// Reads the catalogue of the tree that was signed: a snapshot and what came after it, or, if
    /// these don't lead there, all segments.
    fn load(&self, snapshot: Option<Snapshot>, signed: &Signed) -> Result<Catalogue, StorageError> {
        self.load_from(snapshot, signed).map_err(|error| self.objects.name_block(error))
    }

    fn load_from(&self, snapshot: Option<Snapshot>, signed: &Signed) -> Result<Catalogue, StorageError> {
        let Head { size, root } = signed.head;
        if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.reached.frontier.size().get() <= size) {
            let mut catalogue = Catalogue::on(self.home, snapshot);
            let is_replayed = self.replay(&mut catalogue, size).is_ok() && catalogue.root() == root;
            // Of what is in the snapshot, the key changes are read on opening.
            catalogue.changes().for_each(drop);
            if is_replayed && !catalogue.is_damaged() {
                return Ok(catalogue);
            }
        }
        let mut catalogue = Catalogue::new(self.home);
        self.replay(&mut catalogue, size)?;
        if catalogue.root() == root {
            return Ok(catalogue);
        }
        let (computed, (last, _)) = (catalogue.root(), catalogue.end());
        let why = format!(
            "with it the entries lead to root {computed}, and {} was signed over {root} at size {size}: it, or a segment before it, is of another log",
            signed.object
        );
        Err(StorageError::corrupt(segment::name(last), why))
    }

    /// Takes in the groups of the segments until the log has `size` entries.
    fn replay(&self, catalogue: &mut Catalogue, size: u64) -> Result<(), StorageError> {
        let from = catalogue.size();
        let (mut segment, mut begin) = catalogue.end();
        let is_shared = self.objects.bucket().is_some();
        if let Some(blocks) = self.objects.blocks() {
            blocks.know(size);
            if begin > 0 && size > catalogue.size() && self.objects.exists(&segment::name(catalogue.size()))? {
                (segment, begin) = (catalogue.size(), 0);
            }
        }
        let ahead = self.objects.read_ahead(segment, size).filter(|_| begin == 0);
        while catalogue.size() < size {
            let name = segment::name(segment);
            let missing = || {
                StorageError::corrupt(
                    &*name,
                    format!("it is missing, and {size} entries were signed; restore it from a copy"),
                )
            };
            let (bytes, is_cut) = if let Some(bytes) = ahead.as_ref().and_then(|ahead| ahead.next(segment)) {
                (bytes, true)
            } else {
                let file = self.objects.open(&name)?.ok_or_else(missing)?;
                let bytes = self.objects.read_part(&name, &*file, begin, u64::MAX)?;
                (bytes, file.length().is_ok_and(|length| length < SEGMENT_BYTES))
            };
            let skip = if begin == 0 { segment::check_header(&self.home, segment, &bytes)? } else { 0 };
            let base = begin.saturating_add(skip);
            let bytes = bytes.get(narrow(skip)..).unwrap_or_default();
            let mut groups = Groups::new(&name, segment, bytes, base, catalogue.size());
            let before = catalogue.size();
            while catalogue.size() < size {
                (self.progress)("reading the log", catalogue.size().saturating_sub(from), size.saturating_sub(from));
                let Some(group) = groups.next()? else { break };
                let delta = Delta::of(catalogue, &group)?;
                catalogue.apply(delta);
            }
            let next = segment::name(catalogue.size());
            let is_stuck = catalogue.size() == before;
            // In a bucket the next one is asked for anyway, and once is enough.
            let may_end = if is_shared { is_stuck } else { is_cut || is_stuck };
            if catalogue.size() < size
                && may_end
                && (is_shared || catalogue.size() == segment || !self.objects.exists(&next)?)
            {
                let found = catalogue.size();
                let why = format!(
                    "it ends with {found} entries, and {size} were signed: it was cut off or set back, and going on would fork the log; restore the newest copy, or begin a new log"
                );
                return Err(StorageError::corrupt(name, why));
            }
            (segment, begin) = (catalogue.size(), 0);
        }
        if catalogue.size() == size {
            return Ok(());
        }
        let found = catalogue.size();
        Err(StorageError::corrupt(
            HEAD,
            format!("it says {size} entries, which is within a group: {found} come with it"),
        ))
    }

    /// Reads the right edge of the tiles, which are written again where they were lost.
    fn edge(&self, catalogue: &Catalogue) -> Result<Edge, StorageError> {
        let mut reader = TileReader::new(self.objects, catalogue);
        // In a bucket another one may have published more since the catalogue was read; that is adopted, or followed.
        for signed in
            self.signature.all(self.objects)?.into_iter().filter(|signed| signed.head.size <= catalogue.size())
        {
            let computed = reader.root_at(signed.head.size)?;
            if computed != signed.head.root {
                let Head { size, root } = signed.head;
                let why = format!("at size {size} it says root {root}, and the entries lead to {computed}");
                return Err(StorageError::corrupt(signed.object, why));
            }
        }
        if reader.had_to_derive_the_edge()? && self.lacks_full_tiles(catalogue.size())? {
            return self.rewrite_tiles(catalogue);
        }
        Edge::read(&mut reader)
    }

    /// Tells whether the last full tile is gone: then others are too.
    fn lacks_full_tiles(&self, size: u64) -> Result<bool, StorageError> {
        let last = (size / u64::from(TILE_WIDTH)).checked_sub(1);
        let path = last.and_then(|last| Tile::new(0, last, TILE_WIDTH).ok()).map(Tile::path);
        path.map_or(Ok(false), |path| Ok(!self.objects.exists(&path)?))
    }

    /// Writes all tiles again from the segments.
    fn rewrite_tiles(&self, catalogue: &Catalogue) -> Result<Edge, StorageError> {
        let mut edge = Edge::new();
        let mut first = 0;
        while first < catalogue.size() {
            (self.progress)("writing the tiles again", first, catalogue.size());
            let before = first;
            let segment = catalogue.segment_of(first);
            let name = segment::name(segment);
            let bytes = self.objects.read(&name)?.ok_or_else(|| StorageError::corrupt(&*name, "it is missing"))?;
            let begin = segment::check_header(&self.home, segment, &bytes)?;
            let bytes = bytes.get(narrow(begin)..).unwrap_or_default();
            let mut groups = Groups::new(&name, segment, bytes, begin, segment);
            while first < catalogue.size() {
                let Some(group) = groups.next()? else { break };
                if group.first < edge.size() {
                    continue;
                }
                let hashed = group.entries.iter().map(|entry| (entry.bytes, Rfc9162::leaf_hash(entry.bytes)));
                let writes = edge.append(hashed)?;
                for (name, bytes) in &writes.full {
                    self.objects.put(name, bytes)?;
                }
                first = edge.size();
            }
            if first == before {
                let why = format!("entry {before} should begin a group in it, and does not");
                return Err(StorageError::corrupt(name, why));
            }
        }
        for (name, bytes) in edge.partial()? {
            self.objects.put(&name, &bytes)?;
        }
        Ok(edge)
    }
}

/// Derives the catalogue of a log of this size and root from the segments alone.
pub(crate) fn derive(
    objects: &Objects,
    genesis: &Genesis,
    home: GenesisHash,
    signature: Signature<'_>,
    head: Head,
) -> Result<Catalogue, StorageError> {
    let reading = Reading { objects, genesis, home, signature, progress: &|_, _, _| {} };
    reading.load(None, &Signed { object: HEAD, head, note: String::new() })
}
