//! Copying a log to another place: a backup, the way back from one, and moving it for good.
//!
//! The log is the same in a folder and in a bucket: the same groups byte for byte, under the same checkpoints. They lie
//! otherwise, many in a segment of a folder, one in each segment of a bucket.
//!
//! What is written comes in an order in which the copy is whole whenever it is cut off: the state, so that nobody writes to
//! it; what verifies (`genesis`, `keys`); the groups up to one signed size; tiles, cosigned checkpoints and adopted
//! bundles; then `head` and `checkpoint`, which make all that count. Cut off before, it is the log of the
//! last copy with something behind it that nobody reads; the next copy begins where that one's head is. How far a copy
//! is, is not asked of it: its root has to be that of this log at that size, so that what it has is never read again here and
//! yet is known to be the same.

mod beside;
mod guard;
mod original;
mod sink;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use griptrace_core::{
    digest::Digest,
    id::{GenesisHash, NodeId},
    tile::{EntryBundle, Tile, encode_entries, encode_hashes, entry_bundles, tiles},
};

pub use self::original::Original;
use self::{beside::Beside, guard::Guard, sink::Sink};
use crate::{
    OpenOptions, Store,
    bucket::Bucket,
    closed::{self, Closed, Mark},
    erasing,
    error::{CopyError, OpenError, StorageError},
    head::{CHECKPOINT, HEAD, Head, HeadFile, Signature},
    lease::{SharedHead, Turn},
    lock::WriterLock,
    number::{narrow, wide},
    objects::Objects,
    open::{GENESIS, Opened, open_on, read_genesis},
    publish::size_of,
    segment::{self, Group, Groups},
    tiles::TileReader,
};

/// Nodes from which on a copy is given a catalogue of its own: fewer are read again when it is opened.
const CATALOGUE_NODES_MIN: u32 = 1024;

/// What is said of a backup that says of itself no more that it is one.
const WRITTEN_TO: &str = ", and somebody wrote to it: two histories may have been signed";

type Progress<'a> = &'a dyn Fn(&str, u64, u64);

/// Where a log is, or is to be.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket, with a folder of this machine for what is made of it.
    Bucket(Arc<dyn Bucket>, PathBuf),
}

impl Place {
    fn objects(&self) -> Objects {
        match self {
            Self::Folder(folder) => Objects::new(folder),
            Self::Bucket(bucket, local) => Objects::in_bucket(Arc::clone(bucket), local),
        }
    }

    /// Returns what the states of other places call it: of a folder where it is, and on which machine.
    pub fn address(&self) -> String {
        self.objects().address()
    }

    /// Returns what messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Bucket(bucket, _) => bucket.address(),
        }
    }
}

/// What was copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// How many entries the copy has.
    pub size: u64,
    /// How many of them were there before.
    pub had: u64,
    /// The checkpoint of the copy, read from it.
    pub checkpoint: String,
    /// The objects of the copy that held what was erased since, and were overwritten. A bucket that keeps old versions has theirs.
    pub erased: Vec<String>,
    /// What is damaged in the log that was copied, and stayed behind.
    pub damaged: Vec<Damage>,
    /// The objects of the copy that the log has no more, or of which it has less: the copy keeps what it has.
    pub lacking: Vec<String>,
}

/// An object that is damaged where it was to be copied from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The object.
    pub object: String,
    /// What was found, and what was expected.
    pub why: String,
    /// Whether the copy has a whole one, from before.
    pub is_kept: bool,
}

impl Store {
    /// Tells whether, and why, nobody writes to the log here.
    ///
    /// # Errors
    /// `Storage` if the disk failed, or what says so is damaged.
    pub fn state(&self) -> Result<Option<Closed>, StorageError> {
        closed::read(&self.0.objects)
    }

    /// Copies the log as it is signed now to a place where nothing is, or an earlier backup of it; what is there is not copied
    /// again. Others may write meanwhile: what they add comes with the next backup. The copy is read again
    /// before this returns. Nobody writes to it. What is damaged here never goes over what is whole there: see
    /// [`Copied::damaged`].
    ///
    /// # Errors
    /// `Open` with `Closed` if the log was moved away from here, `Taken` if something else is there, `WasBackup` if this log is there and
    /// may be written to, `Newer` and `Forked` if what is there is no beginning of this log, `Storage`.
    pub fn back_up(&self, to: &Place, progress: Progress<'_>) -> Result<Copied, CopyError> {
        if let Some(state @ Closed::Moved(_)) = self.state()? {
            // What came since stands elsewhere: whoever trusts this backup loses it.
            return Err(OpenError::Closed { path: self.0.objects.root().to_path_buf(), state }.into());
        }
        Copying::begin(self, to, progress)?.run(&Closed::Backup(self.0.objects.address()))
    }

    /// Returns what messages call this place.
    fn here(&self) -> String {
        self.0.objects.root().display().to_string()
    }

    /// Copies this log, a backup, to a place where none is, which is written to from then on. Objects beside the log that are
    /// damaged here are not in it: see [`Copied::damaged`]. Whoever calls this has looked at the [`Original`].
    ///
    /// # Errors
    /// `Taken` if a log is there; `Below` if anything there tells of a larger size that was signed (Rule R11); as
    /// [`Self::back_up`].
    pub fn restore_to(&self, to: &Place, progress: Progress<'_>) -> Result<Copied, CopyError> {
        let mut copying = Copying::begin(self, to, progress)?;
        copying.refuse_below()?;
        let unfinished = Closed::Unfinished(self.0.objects.address());
        if copying.there.as_ref() != Some(&unfinished) && copying.objects.has_segments()? {
            return Err(CopyError::Taken { place: to.name() });
        }
        let copied = copying.run(&unfinished)?;
        copying.open(copied)
    }

    /// Moves the log to another place, which is written to from then on, and never again here. This store has to be open for
    /// writing, so that nobody else goes on meanwhile; it commits no more. Cut off, it is done again: only
    /// once this place is closed, the other one is opened, and this one is never opened again.
    ///
    /// A place in a bucket that is closed already may still have a writer which does not know it yet: whoever goes on with
    /// the move takes the turn from it, so that this store has to be opened with a signer there.
    ///
    /// # Errors
    /// As [`Self::back_up`]; `NoWriter` if the store is not open for writing; `LostTurn` if another process had the turn to write
    /// meanwhile: this place is closed then, and the same call from a store that is opened again goes on; `Damaged` if an
    /// object beside the log is damaged here.
    pub fn move_to(&self, to: &Place, progress: Progress<'_>) -> Result<Copied, CopyError> {
        let here = &self.0.objects;
        let moved = Closed::Moved(to.address());
        let (state, mark) = closed::look(here)?;
        let is_closed = state.as_ref() == Some(&moved);
        if let Some(state) = state.filter(|_| !is_closed) {
            return Err(OpenError::Closed { path: here.root().to_path_buf(), state }.into());
        }
        if is_closed {
            if let Some(copied) = self.is_at(to)? {
                return Ok(copied);
            }
            self.take_closed_turn()?;
        }
        let Some(writer) = self.0.writer() else {
            // A folder that is closed has no writer.
            let mut copying = Copying::begin(self, to, progress)?;
            if !is_closed || here.bucket().is_some() {
                return Err(CopyError::NoWriter { place: self.here() });
            }
            copying.refuse_moved()?;
            let copied = copying.run_whole(&Closed::Unfinished(self.0.objects.address()))?;
            return copying.open(copied);
        };
        self.0.publish();
        // Nothing is committed from here on.
        let _still = writer.hold();
        let mut copying = Copying::begin(self, to, progress)?;
        if is_closed {
            copying.refuse_moved()?;
        }
        let copied = copying.run_whole(&Closed::Unfinished(self.0.objects.address()))?;
        if !is_closed {
            closed::change(here, &mark, Some(&moved))?;
        }
        // Crash here: neither place is written to. The same command again opens the other one.
        let goes_on = writer.lease().map_or(Ok(()), |lease| lease.beat(here));
        writer.poison();
        if goes_on.is_err() {
            // Another one had taken the turn before the place was closed, and may have gone on.
            return Err(CopyError::LostTurn { place: self.here(), to: to.name() });
        }
        copying.open(copied)
    }

    /// Returns the newest signed size and root, and the checkpoint.
    fn newest(&self) -> (u64, Digest, String) {
        let state = self.0.read();
        (state.catalogue.size(), state.catalogue.root(), state.note.clone())
    }

    /// Tells whether a place holds all of this log, and is written to.
    fn is_at(&self, to: &Place) -> Result<Option<Copied>, CopyError> {
        let objects = to.objects();
        if closed::read(&objects)?.is_some() || !objects.exists(HEAD)? {
            return Ok(None);
        }
        let (size, root, _) = self.newest();
        let told = SharedHead::size(&self.0.objects)?.unwrap_or(size).max(size);
        let opened = open_on(objects, OpenOptions::default())?;
        let there = opened.catalogue.size();
        let is_it = opened.catalogue.home == self.0.home
            && there >= told
            && TileReader::new(&opened.objects, &opened.catalogue).root_at(size)? == root;
        let (erased, damaged, lacking) = (Vec::new(), Vec::new(), Vec::new());
        Ok(is_it.then_some(Copied { size: there, had: there, checkpoint: opened.note, erased, damaged, lacking }))
    }
}

/// A log on its way.
struct Copying<'a> {
    from: &'a Store,
    to: &'a Place,
    objects: Objects,
    progress: Progress<'a>,
    /// What the state said there before, and which it is now.
    there: Option<Closed>,
    mark: Mark,
    /// Of a folder.
    _lock: Option<WriterLock>,
}

impl<'a> Copying<'a> {
    /// Makes the place ready, keeps others of this machine away from a folder, and looks at what is there.
    fn begin(from: &'a Store, to: &'a Place, progress: Progress<'a>) -> Result<Self, CopyError> {
        let objects = to.objects();
        if objects.root() == from.0.objects.root() {
            return Err(CopyError::Taken { place: to.name() });
        }
        let lock = if let Place::Bucket(_, local) = to {
            let failed = |source| StorageError::Io { doing: "create", path: local.clone(), source };
            std::fs::create_dir_all(local).map_err(failed)?;
            None
        } else {
            objects.create_root()?;
            Some(WriterLock::take(objects.root())?)
        };
        objects.prepare()?;
        let (there, mark) = closed::look(&objects)?;
        Ok(Self { from, to, objects, progress, there, mark, _lock: lock })
    }

    fn guard(&self) -> Guard<'_> {
        Guard { objects: &self.objects, mark: &self.mark }
    }

    /// Refuses a place that the log was moved on from: where this one was closed long ago, it is not to be opened again.
    fn refuse_moved(&self) -> Result<(), CopyError> {
        match self.there {
            Some(Closed::Moved(_)) => Err(CopyError::Taken { place: self.to.name() }),
            Some(Closed::Backup(_) | Closed::Unfinished(_)) | None => Ok(()),
        }
    }

    /// Copies; nobody writes there until this is over, and afterwards only if the place is opened.
    fn run(&mut self, state: &Closed) -> Result<Copied, CopyError> {
        let inner = &self.from.0;
        let (size, root, note) = self.from.newest();
        let before = self.before(size, root, state)?;
        self.mark = closed::change(&self.objects, &self.mark, Some(state))?;
        let genesis = inner.genesis.to_bytes().map_err(OpenError::Genesis)?;
        self.guard().put(GENESIS, &genesis)?;
        inner.keys().log.write(&self.objects)?;
        let had = before.as_ref().map_or(0, |opened| opened.catalogue.size());
        let end = before.as_ref().map_or((0, 0), |opened| opened.catalogue.end());
        drop(before);
        self.groups(had, size, end)?;
        self.tiles(had, size)?;
        let Beside { damaged, lacking } = Beside::copy(self, size)?;
        self.head(Head { size, root }, &note)?;
        let (checkpoint, erased) = self.look_again(size, &note)?;
        Ok(Copied { size, had, checkpoint, erased, damaged, lacking })
    }

    /// Copies, and leaves nothing behind that the place it comes from may be removed with.
    fn run_whole(&mut self, state: &Closed) -> Result<Copied, CopyError> {
        let copied = self.run(state)?;
        match copied.damaged.into_iter().next() {
            Some(Damage { object, why, .. }) => Err(CopyError::Damaged { place: self.from.here(), object, why }),
            None => Ok(Copied { damaged: Vec::new(), ..copied }),
        }
    }

    /// Opens the place to be written to. Whoever goes on with what another one began may have done it already.
    fn open(&self, copied: Copied) -> Result<Copied, CopyError> {
        match closed::change(&self.objects, &self.mark, None) {
            Ok(_) => Ok(copied),
            Err(error @ StorageError::Fenced { .. }) => self.from.is_at(self.to)?.ok_or(error.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens what is there from an earlier copy, which has to be the beginning of this log.
    fn before(&self, size: u64, root: Digest, state: &Closed) -> Result<Option<Opened>, CopyError> {
        let taken = || CopyError::Taken { place: self.to.name() };
        if !self.objects.exists(HEAD)? && !self.objects.exists(CHECKPOINT)? {
            return if self.there.is_some() || !self.objects.has_segments()? { Ok(None) } else { Err(taken()) };
        }
        let is_backup = matches!(state, Closed::Backup(_));
        if self.there.is_none() && !is_backup {
            return Err(taken());
        }
        let opened = open_on(self.to.objects(), OpenOptions::default())?;
        if self.there.is_none() && opened.catalogue.home != self.from.0.home {
            return Err(taken());
        }
        if opened.catalogue.home != self.from.0.home {
            let (found, expected) = (opened.catalogue.home, self.from.0.home);
            return Err(CopyError::OtherLog { place: self.to.name(), found, expected });
        }
        let there = opened.catalogue.size();
        let was_backup = |and| CopyError::WasBackup { place: self.to.name(), there, and };
        if there > size {
            if self.there.is_none() {
                return Err(was_backup(WRITTEN_TO));
            }
            return Err(CopyError::Newer { place: self.to.name(), there, here: size });
        }
        let at = self.from.0.ask(|state| TileReader::new(&self.from.0.objects, &state.catalogue).root_at(there));
        let is_same = if there == size { root } else { at? } == opened.catalogue.root();
        if self.there.is_none() {
            return Err(was_backup(if is_same { "" } else { WRITTEN_TO }));
        }
        if is_same { Ok(Some(opened)) } else { Err(CopyError::Forked { place: self.to.name(), size: there }) }
    }

    /// Refuses to go below anything that was signed, as far as the place tells, or this machine's folder of it.
    fn refuse_below(&self) -> Result<(), CopyError> {
        let log = match read_genesis(&self.objects) {
            Ok(log) => log,
            // What can't be read can still be told from this log's keys.
            Err(StorageError::Corrupt { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(log) = log.filter(|log| log.home != self.from.0.home) {
            let (found, expected) = (log.home, self.from.0.home);
            return Err(CopyError::OtherLog { place: self.to.name(), found, expected });
        }
        let keys = self.from.0.keys();
        let signature = Signature { keys: &keys.log };
        let (seen, told) = (crate::seen::size(&self.objects, signature)?, signature.told(&self.objects)?);
        let size = self.from.size();
        let place = if seen > told { format!("what this machine saw of {}", self.to.name()) } else { self.to.name() };
        match seen.max(told).filter(|known| *known > size) {
            Some(known) => Err(CopyError::Below { place, known, size }),
            None => Ok(()),
        }
    }

    /// Copies the groups from one entry on, as they are.
    fn groups(&self, had: u64, size: u64, end: (u64, u64)) -> Result<(), CopyError> {
        let inner = &self.from.0;
        let mut sink = Sink::new(self.guard(), inner.home, had, size, end)?;
        let mut next = had;
        let mut ahead = None;
        while next < size {
            let first = inner.ask(|state| Ok::<_, StorageError>(state.catalogue.segment_of(next)))?;
            let ahead = ahead.get_or_insert_with(|| inner.objects.read_ahead(first, size)).as_ref();
            let name = segment::name(first);
            let missing = || StorageError::corrupt(&*name, "it is missing, and the log needs it");
            let bytes = match ahead.and_then(|ahead| ahead.next(first)) {
                Some(bytes) => bytes,
                None => inner.objects.read(&name)?.ok_or_else(missing)?,
            };
            let header = segment::check_header(&inner.home, first, &bytes)?;
            let mut groups = Groups::new(&name, first, bytes.get(narrow(header)..).unwrap_or_default(), header, first);
            let (before, mut begin) = (next, header);
            while next < size {
                let Some(group) = groups.next()? else { break };
                let range = narrow(begin)..narrow(group.end);
                begin = group.end;
                if group.first < next {
                    continue;
                }
                self.refuse_later_erasures(&group, size)?;
                sink.append(group.first, bytes.get(range).unwrap_or_default())?;
                next = group.first.saturating_add(wide(group.entries.len()));
                (self.progress)("copying", next, size);
            }
            if next == before {
                return Err(StorageError::corrupt(name, format!("entry {next} should begin a group in it")).into());
            }
        }
        Ok(sink.finish()?)
    }

    /// Refuses a group of which something was erased by an Erasure that the copy will not have: what is left stands there.
    fn refuse_later_erasures(&self, group: &Group<'_>, size: u64) -> Result<(), CopyError> {
        for node in group.entries.iter().flat_map(|entry| &entry.nodes).filter(|node| node.is_taken()) {
            let rest = node.rest(group.name)?;
            let is_there = |id: NodeId| {
                self.from.0.ask(|state| {
                    let number = state.catalogue.number(&id);
                    Ok::<_, StorageError>(number.is_some_and(|number| state.catalogue.leaf(number) < size))
                })
            };
            for id in [rest.details_at, rest.attachment_at].into_iter().flatten() {
                if !is_there(id)? {
                    return Err(CopyError::Erased { id });
                }
            }
        }
        Ok(())
    }

    /// Writes the tiles that a tree of `had` entries did not have whole, each hashed up to the root.
    fn tiles(&self, had: u64, size: u64) -> Result<(), CopyError> {
        let inner = &self.from.0;
        let is_new = |tile: &Tile| Tile::in_tree(tile.level(), tile.index(), had) != Some(*tile);
        for tile in tiles(size).filter(is_new) {
            let hashes = inner.ask(|state| TileReader::new(&inner.objects, &state.catalogue).hashes(tile))?;
            let bytes = encode_hashes(&hashes).map_err(|e| StorageError::corrupt(tile.path(), e))?;
            self.objects.put(&tile.path(), &bytes)?;
        }
        let is_new = |bundle: &EntryBundle| EntryBundle::in_tree(bundle.index(), had) != Some(*bundle);
        for bundle in entry_bundles(size).filter(is_new) {
            let entries =
                inner.ask(|state| TileReader::new(&inner.objects, &state.catalogue).bundle(bundle).cloned())?;
            let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
            let bytes = encode_entries(&entries).map_err(|e| StorageError::corrupt(bundle.path(), e))?;
            self.objects.put(&bundle.path(), &bytes)?;
            (self.progress)("writing tiles", bundle.index(), size / 256);
        }
        Ok(())
    }

    /// Writes `head` and `checkpoint`: from now on what was copied counts.
    fn head(&self, head: Head, note: &str) -> Result<(), CopyError> {
        match self.objects.bucket() {
            None => drop(HeadFile::create(&self.objects, note)?),
            Some(bucket) => {
                let there = SharedHead::read(&self.objects, &**bucket)?;
                let (number, version) = match there {
                    Some((there, _)) if there.head.size > head.size => {
                        let (place, there, here) = (self.to.name(), there.head.size, head.size);
                        return Err(CopyError::Newer { place, there, here });
                    }
                    Some((there, version)) => (there.turn.number.saturating_add(1), Some(version)),
                    None => (1, None),
                };
                let turn = Turn { number, writer: None, beat: 0, address: String::new() };
                let bytes = SharedHead { head, turn, note: note.to_owned() }.to_bytes();
                self.guard().put_over(HEAD, &bytes, version)?;
            }
        }
        let is_older = |there: &[u8]| Ok(size_of(there) <= head.size);
        Ok(self.objects.put_newer(CHECKPOINT, note.as_bytes(), is_older)?)
    }

    /// Opens the copy from its bytes, which have to lead to the same checkpoint; returns that, and the objects of it that were
    /// overwritten.
    fn look_again(&self, size: u64, note: &str) -> Result<(String, Vec<String>), CopyError> {
        (self.progress)("reading the copy", 0, size);
        let opened = open_on(self.to.objects(), OpenOptions::default())?;
        if opened.note != note {
            let why = "what was copied does not lead to the checkpoint that it was copied under";
            return Err(StorageError::corrupt(HEAD, why).into());
        }
        // What the copy had before may have been erased here since. Crash here: the next copy does it again.
        let erased = erasing::carry_over(&opened.objects, &opened.catalogue)?;
        if opened.catalogue.tail_len() >= CATALOGUE_NODES_MIN {
            opened.catalogue.write_snapshot(&opened.objects)?;
        }
        Ok((opened.note, erased))
    }
}

impl Place {
    /// Opens the log for reading.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(&self) -> Result<Store, OpenError> {
        match self {
            Self::Folder(folder) => Store::open(folder, OpenOptions::default()),
            Self::Bucket(bucket, local) => Store::join_in(Arc::clone(bucket), local, OpenOptions::default()),
        }
    }

    /// Returns the folder of this machine.
    pub fn local(&self) -> &Path {
        match self {
            Self::Folder(folder) | Self::Bucket(_, folder) => folder,
        }
    }

    /// Returns the genesis of the log that is there; `None` if none is.
    ///
    /// # Errors
    /// `Io` if the disk failed, `Corrupt` if what is there can't be read.
    pub fn home(&self) -> Result<Option<GenesisHash>, StorageError> {
        Ok(read_genesis(&self.objects())?.map(|log| log.home))
    }
}
