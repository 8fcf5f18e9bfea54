//! The audit: everything re-derived from bytes, every fault named, nothing changed.

mod derived;
mod mend;
mod resume;
mod sample;
mod tiles;

use core::sync::atomic::Ordering;
use std::{collections::BTreeMap, path::Path, sync::Arc};

use griptrace_core::{
    digest::Digest,
    entry::{Entry, Genesis, genesis_hash},
    id::NodeId,
    node::{Core, Kind, Role, node_id},
};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use self::resume::Checked;
use crate::{
    Store, adopted,
    bucket::{Bucket, ahead::Ahead},
    catalogue::Catalogue,
    checked,
    closed::{self, Closed},
    cosigned,
    delta::Delta,
    edge::{Edge, Tiles},
    erasing::{self, Standing},
    error::{FsckError, ReadError, StorageError},
    head::{CHECKPOINT, HEAD, Head, Signature, Slot},
    lease::SharedHead,
    lock::WriterLock,
    log_keys::{KEYS, LogKeys},
    number::{narrow, wide},
    objects::Objects,
    open::{self, GENESIS, read_genesis},
    placed::Number,
    reading::SegmentReader,
    record::core_bytes,
    segment::{self, Group, GroupEntry, GroupNode, Groups},
    snapshot,
    validate::check_alone,
};

/// What [`Store::fsck_resumed`] tells as its progress when it goes on with an audit that was stopped, with the entry up to which
/// that came.
pub const GOING_ON: &str = "going on";

type Progress<'a> = &'a dyn Fn(&str, u64, u64);

/// What is wrong with one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The object in the store's folder.
    pub object: String,
    /// What was found, and what was expected.
    pub why: String,
    /// Whether nothing is lost: it is made again from what is whole, by [`Store::mend`] or before, or `why` says who does.
    pub heals: bool,
    /// Whether something stands there that was erased.
    pub(crate) is_erased: bool,
}

impl Fault {
    /// Tells whether something stands there that was erased: [`Store::mend`] overwrites it.
    pub fn is_erased(&self) -> bool {
        self.is_erased
    }

    /// Tells whether whoever opens the log to write makes it again anyway.
    pub fn heals_by_writing(&self) -> bool {
        self.heals && [HEAD, CHECKPOINT, GENESIS, KEYS, erasing::FOLDER].contains(&self.object.as_str())
    }
}

/// What was checked, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct FsckReport {
    /// Segments read.
    pub segments: u64,
    /// Log entries hashed.
    pub entries: u64,
    /// Nodes hashed, with details, manifests and subjects.
    pub nodes: u64,
    /// Tiles compared, those of entries included.
    pub tiles: u64,
    /// Published checkpoints whose signature and root were checked.
    pub checkpoints: u64,
    /// Erasures that took nothing: a version that erased nothing recorded them. What they say was erased stands in the log, and
    /// no fault of it; who wants it gone erases it.
    pub empty_erasures: Vec<NodeId>,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

impl FsckReport {
    /// Tells whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Reports what made it impossible to check anything else.
    fn of_one(object: &str, why: String) -> Self {
        Self {
            faults: vec![Fault { object: object.to_owned(), why, heals: false, is_erased: false }],
            ..Self::default()
        }
    }
}

impl Store {
    /// Checks the whole store against its log, up to the size that it was opened at or has written:
    /// segments, entries, nodes, tiles, status map, checkpoints, adopted bundles, snapshot and index, all from their
    /// bytes, on all processors. Changes nothing. Committers' signatures are not checked: the store
    /// does not hold their keys.
    ///
    /// # Errors
    /// `Storage` with `Io` if the disk fails. What is damaged is a fault of the report.
    pub fn fsck(&self, progress: &dyn Fn(&str, u64, u64)) -> Result<FsckReport, FsckError> {
        self.check(None, progress)
    }

    /// Checks as [`Self::fsck`], and keeps in the file `state` what was done, so that the same call goes on when it was stopped. The
    /// file is gone at the end. What such a call is at when it goes on, is told as "going on".
    ///
    /// # Errors
    /// As [`Self::fsck`]; `Storage` if the file can't be written.
    pub fn fsck_resumed(&self, state: &Path, progress: &dyn Fn(&str, u64, u64)) -> Result<FsckReport, FsckError> {
        let checked = Checked::open(state, &self.0.home)?;
        if let Some(reached) = checked.reached() {
            progress(GOING_ON, reached, self.size());
        }
        self.check(Some(checked), progress)
    }

    fn check(&self, checked: Option<Checked>, progress: Progress<'_>) -> Result<FsckReport, FsckError> {
        let mut index = self.0.index();
        let (size, home) = self.0.ask(|state| Ok::<_, StorageError>((state.catalogue.size(), state.catalogue.home)))?;
        let keys = self.0.keys();
        let signature = Signature { keys: &keys.log };
        self.0.publish();
        let mut audit = Audit::new(&self.0.objects, signature, Catalogue::new(home), Some(size));
        audit.checked = checked;
        audit.genesis()?;
        audit.segments(progress)?;
        audit.erased_of_all()?;
        audit.heads()?;
        audit.adopted()?;
        audit.cosigned()?;
        audit.keys(&self.0.genesis)?;
        if audit.derived.size() == size {
            audit.snapshot(progress)?;
            audit.live(&self.0)?;
            audit.index(&mut index, progress)?;
        }
        if let Some(checked) = audit.checked.take() {
            // If it stays, the next audit hashes less again.
            drop(checked.end());
        }
        Ok(audit.done())
    }

    /// Tells whether what is answered rests on the log alone: on no snapshot, one that this machine made in its folder, or one of a
    /// bucket that it has held against the log, now or by an earlier process.
    pub fn is_snapshot_checked(&self) -> bool {
        self.0.is_checked.load(Ordering::Acquire)
    }

    /// Derives what the snapshot holds from the segments once more, and throws it away if it says anything else: a snapshot
    /// of a bucket may be another one's work, and its checksums are its own. Tells whether it was right, and keeps that.
    ///
    /// # Errors
    /// `Storage` if a segment is damaged, or the disk fails.
    pub fn check_snapshot(&self) -> Result<bool, ReadError> {
        let (found, keys) = {
            let state = self.0.read();
            (state.catalogue.clone(), Arc::clone(&state.keys))
        };
        let Some(snapshot) = found.snapshot() else { return Ok(true) };
        let head = Head { size: found.size(), root: found.root() };
        let signature = Signature { keys: &keys.log };
        let derived = open::derive(&self.0.objects, &self.0.genesis, self.0.home, signature, head)?;
        let is_right = derived::difference(&found, &derived).is_none() && !found.is_damaged();
        if is_right {
            checked::keep(&self.0.objects, snapshot);
        } else {
            found.distrust();
            self.0.derive_again()?;
        }
        self.0.is_checked.store(true, Ordering::Release);
        Ok(is_right)
    }

    /// Checks a store that is too damaged to be opened, as far as that goes: as [`Self::fsck`], up to
    /// the newest size that anything in it still tells. Where no log is, or one is still being copied, nothing is checked, and the
    /// report is empty. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// `Storage` with `Io` if the disk fails. What is damaged is a fault of the report.
    pub fn fsck_closed(dir: &Path, progress: &dyn Fn(&str, u64, u64)) -> Result<FsckReport, FsckError> {
        check_closed(&Objects::new(dir), progress)
    }

    /// Checks a store in a bucket that is too damaged to be opened, as [`Self::fsck_closed`] does one in a folder.
    ///
    /// # Errors
    /// As [`Self::fsck_closed`].
    pub fn fsck_closed_in(
        bucket: Arc<dyn Bucket>,
        local: &Path,
        progress: &dyn Fn(&str, u64, u64),
    ) -> Result<FsckReport, FsckError> {
        check_closed(&Objects::in_bucket(bucket, local), progress)
    }
}

/// Tells whether nothing is here that could be checked: no log, or one that is still being copied.
fn is_nothing_here(objects: &Objects) -> Result<bool, StorageError> {
    if objects.exists(HEAD)? || objects.exists(CHECKPOINT)? {
        return Ok(false);
    }
    let is_unfinished = matches!(closed::read(objects), Ok(Some(Closed::Unfinished(_))));
    Ok(is_unfinished || !objects.exists(GENESIS)? && !objects.has_segments()?)
}

fn check_closed(objects: &Objects, progress: Progress<'_>) -> Result<FsckReport, FsckError> {
    if is_nothing_here(objects)? {
        return Ok(FsckReport::default());
    }
    let log = match read_genesis(objects) {
        Ok(Some(log)) => log,
        Ok(None) => return Ok(FsckReport::of_one(GENESIS, "it is missing".to_owned())),
        Err(StorageError::Corrupt { object, why }) => return Ok(FsckReport::of_one(&object, why)),
        Err(error @ (StorageError::Io { .. } | StorageError::Fenced { .. })) => return Err(error.into()),
    };
    let signature = Signature { keys: &log.keys };
    let newest = signature.all(objects).ok().and_then(|mut found| found.pop());
    let size = newest.map(|signed| signed.head.size);
    if let (Some(blocks), Some(size)) = (objects.blocks(), size) {
        blocks.know(size);
    }
    let mut audit = Audit::new(objects, signature, Catalogue::new(log.home), size);
    audit.genesis()?;
    audit.segments(progress)?;
    audit.erased_of_all()?;
    audit.heads()?;
    audit.adopted()?;
    audit.cosigned()?;
    audit.keys(&log.genesis)?;
    if Some(audit.derived.size()) == size {
        audit.snapshot(progress)?;
        audit.index(&mut None, progress)?;
    }
    Ok(audit.done())
}

struct Audit<'a> {
    objects: &'a Objects,
    signature: Signature<'a>,
    /// How many entries there are; all that the segments have, if nothing else tells.
    size: u64,
    /// The catalogue as the segments give it.
    derived: Catalogue,
    /// The root after each group.
    roots: BTreeMap<u64, Digest>,
    edge: Edge,
    /// The changes of the log's own key, as the segments have them.
    log_changes: Vec<(u64, Vec<u8>)>,
    /// The size that was published, whose partial tiles stand beside it.
    published: Option<u64>,
    /// Full tiles that are still to be compared: several are asked for at once.
    waiting: Tiles,
    /// Nodes of which an erasure took something, and Erasures.
    taken: Vec<NodeId>,
    erasures: Vec<NodeId>,
    /// What an audit that was stopped had done, if it is to be gone on with.
    checked: Option<Checked>,
    report: FsckReport,
}

impl<'a> Audit<'a> {
    fn new(objects: &'a Objects, signature: Signature<'a>, derived: Catalogue, size: Option<u64>) -> Self {
        let (roots, edge, report) = (BTreeMap::new(), Edge::new(), FsckReport::default());
        let published = signature.published(objects).ok().flatten().map(|signed| signed.head.size).or(size);
        let (size, log_changes) = (size.unwrap_or(u64::MAX), Vec::new());
        let (taken, erasures, checked) = (Vec::new(), Vec::new(), None);
        Self {
            objects,
            signature,
            size,
            derived,
            roots,
            edge,
            log_changes,
            published,
            waiting: Vec::new(),
            taken,
            erasures,
            checked,
            report,
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors and texts are handed over alike, mostly made on the spot"
    )]
    fn fault(&mut self, object: impl Into<String>, why: impl ToString) {
        self.report.faults.push(Fault { object: object.into(), why: why.to_string(), heals: false, is_erased: false });
    }

    /// Ends the audit, and tells of each fault whether it heals.
    fn done(mut self) -> FsckReport {
        let is_signed = self.signature.all(self.objects).is_ok();
        let has_genesis = !self.report.faults.iter().any(|fault| fault.object == segment::name(0));
        for fault in &mut self.report.faults {
            fault.heals |= match fault.object.as_str() {
                HEAD | CHECKPOINT => is_signed,
                GENESIS => has_genesis,
                object => {
                    let again = [snapshot::NAME, KEYS, "index", erasing::FOLDER];
                    object.starts_with("tile/") || again.contains(&object)
                }
            };
            (fault.object, fault.why) = self.objects.in_block(&fault.object, &fault.why);
        }
        self.report
    }

    /// Notes damage, and hands on what the disk says.
    fn note<T>(&mut self, result: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(StorageError::Corrupt { object, why }) => {
                self.fault(object, why);
                Ok(None)
            }
            Err(error @ (StorageError::Io { .. } | StorageError::Fenced { .. })) => Err(error),
        }
    }

    /// Compares the genesis with the name of the log, which the entry that the log begins with gave.
    fn genesis(&mut self) -> Result<(), StorageError> {
        match self.objects.read(GENESIS)? {
            Some(entry) if genesis_hash(&entry) == self.derived.home => {}
            Some(_) => self.fault(GENESIS, format!("it is not the entry with which {} begins", segment::name(0))),
            None => self.fault(GENESIS, "it is missing"),
        }
        Ok(())
    }

    /// Checks the segments in their order. Behind a damaged one the others are still checked one by
    /// one, but what hangs on the tree before them can't be.
    fn segments(&mut self, progress: Progress<'_>) -> Result<(), StorageError> {
        let mut is_whole = true;
        let ahead = if self.size < u64::MAX { self.objects.read_ahead(0, self.size) } else { None };
        let names = self.objects.list(segment::FOLDER);
        // Without them nothing can be said of what is missing.
        let Some(names) = self.note(names)? else { return Ok(()) };
        for name in names {
            let Some(first) = segment::first_in_folder(&name) else {
                self.fault(
                    format!("segments/{name}"),
                    "its name is no number: it is none of the log's; remove it if it is nobody's",
                );
                continue;
            };
            // An empty one that a crash left is no fault: the next append makes it again.
            if first >= self.size {
                self.next_place(first)?;
                continue;
            }
            let name = segment::name(first);
            if is_whole && first != self.derived.size() {
                let next = segment::name(self.derived.size());
                self.fault(next, format!("it is missing, or what comes before it is cut off: {name} comes next"));
                is_whole = false;
            }
            is_whole = self.segment(&name, first, ahead.as_ref(), is_whole, progress)?;
        }
        self.tiles_now()?;
        if is_whole && self.derived.size() < self.size && self.size < u64::MAX {
            let (last, _) = self.derived.end();
            let found = self.derived.size();
            let why = format!(
                "it ends with {found} entries, and {} were signed: it was cut off, or {} is missing",
                self.size,
                segment::name(found)
            );
            self.fault(segment::name(last), why);
        }
        Ok(())
    }

    /// Looks at what stands where the log goes on, in a bucket. A group is adopted by who writes next; anything else stops everybody.
    fn next_place(&mut self, first: u64) -> Result<(), StorageError> {
        if first != self.size || self.objects.bucket().is_none() {
            return Ok(());
        }
        let name = segment::name(first);
        let read = self.objects.read(&name);
        let Some(Some(bytes)) = self.note(read)? else { return Ok(()) };
        let found = segment::check_header(&self.derived.home, first, &bytes).and_then(|begin| {
            let rest = bytes.get(narrow(begin)..).unwrap_or_default();
            Groups::new(&name, first, rest, begin, first).next().map(|group| group.is_some())
        });
        match found {
            Ok(true) => {}
            Ok(false) => self.fault(name, "it holds no group, and nothing can be written while it is there"),
            Err(error) => self.fault(name, format!("nothing can be written while it is there: {error}")),
        }
        Ok(())
    }

    /// Checks a segment group by group, its nodes on all processors. Tells whether the log is whole so
    /// far.
    fn segment(
        &mut self,
        name: &str,
        first: u64,
        ahead: Option<&Ahead>,
        is_whole: bool,
        progress: Progress<'_>,
    ) -> Result<bool, StorageError> {
        let mut is_whole = is_whole;
        let read = match ahead.and_then(|ahead| ahead.next(first)) {
            Some(bytes) => Ok(Some(bytes)),
            None => self.objects.read(name),
        };
        let Some(Some(bytes)) = self.note(read)? else { return Ok(false) };
        let digest = Digest::from_bytes(*blake3::hash(&bytes).as_bytes());
        let is_known = self.checked.as_ref().is_some_and(|checked| checked.has(name, &digest));
        let faults = self.report.faults.len();
        let header = segment::check_header(&self.derived.home, first, &bytes);
        let Some(begin) = self.note(header)? else { return Ok(false) };
        self.report.segments += 1;
        let mut groups = Groups::new(name, first, bytes.get(narrow(begin)..).unwrap_or_default(), begin, first);
        let mut next = first;
        while next < self.size {
            progress("checking segments", next, self.size);
            let group = groups.next();
            let Some(group) = self.note(group)? else { return Ok(false) };
            let Some(group) = group else { break };
            next = group.first.saturating_add(wide(group.entries.len()));
            if is_known {
                self.count(&group);
            } else {
                self.nodes(&group);
            }
            is_whole = is_whole && self.integrate(&group)?;
        }
        if let Some(checked) = self.checked.as_mut().filter(|_| !is_known && self.report.faults.len() == faults) {
            checked.add(name, &digest);
        }
        Ok(is_whole)
    }

    /// Checks every node of a group alone, and the public lines of every commit.
    fn nodes(&mut self, group: &Group<'_>) {
        self.count(group);
        for entry in &group.entries {
            let whys: Vec<String> = entry.nodes.par_iter().filter_map(|node| check_node(group.name, node)).collect();
            whys.into_iter().for_each(|why| self.fault(group.name, why));
            if let Some(why) = check_lines(entry) {
                self.fault(group.name, why);
            }
        }
    }

    fn count(&mut self, group: &Group<'_>) {
        let nodes = group.entries.iter().flat_map(|entry| &entry.nodes);
        for (core, node) in nodes.filter_map(|node| core_bytes(node.bytes).ok().zip(Some(node))) {
            if node.is_taken() {
                self.taken.push(node_id(core));
            }
            if Core::from_bytes(core).is_ok_and(|core| core.kind == Kind::Erasure) {
                self.erasures.push(node_id(core));
            }
        }
        self.report.entries += wide(group.entries.len());
        self.report.nodes += group.entries.iter().map(|entry| wide(entry.nodes.len())).sum::<u64>();
    }

    /// Checks how a group follows those before it, its status head, its checkpoint and full tiles.
    fn integrate(&mut self, group: &Group<'_>) -> Result<bool, StorageError> {
        let delta = Delta::of(&self.derived, group);
        let Some(delta) = self.note(delta)? else { return Ok(false) };
        if let Some((_, note)) = group.checkpoint {
            self.report.checkpoints += 1;
            let read = self.signature.read(group.name, note);
            let before = Head { size: self.derived.size(), root: self.derived.root() };
            match self.note(read)? {
                Some((head, _)) if head != before => {
                    let why = format!(
                        "a checkpoint says root {} at size {}, the entries give {} at {}",
                        head.root, head.size, before.root, before.size
                    );
                    self.fault(group.name, why);
                }
                Some(_) | None => {}
            }
        }
        let entries = group.entries.iter().map(|entry| entry.bytes).zip(delta.leaves.iter().copied());
        let writes = self.edge.append(entries)?;
        self.tiles_later(writes.full)?;
        let Head { size, root } = delta.head();
        if self.published == Some(size) {
            let partial = self.edge.partial()?;
            self.tiles(&partial, Some(size))?;
            // In a folder they are not flushed, and a power cut leaves anything of them.
            if self.objects.bucket().is_some() {
                self.narrower(&partial)?;
            }
        }
        self.roots.insert(size, root);
        let marks = delta.lines.iter().filter(|(leaf, _)| !delta.changes.contains(leaf));
        let marks: Vec<(NodeId, Digest)> = marks.map(|(_, line)| (line.status, *line.key.digest())).collect();
        self.log_changes.extend(delta.log_changes.iter().cloned());
        self.derived.apply(delta);
        for (status, key) in marks {
            self.mark(group.name, status, key);
        }
        Ok(true)
    }

    /// Checks that a public line stands under the key of what its status marks.
    fn mark(&mut self, name: &str, status: NodeId, key: Digest) {
        let number = self.derived.number(&status);
        let target = number.and_then(|number| self.derived.to(number, Role::Marks).next());
        if target.map(|target| *self.derived.status_key(target).digest()) != Some(key) {
            self.fault(name, format!("status {status} stands under {key}, which is not what it marks"));
        }
    }

    /// Checks what erasures left of all nodes of the log.
    fn erased_of_all(&mut self) -> Result<(), StorageError> {
        let nothing = Catalogue::new(self.derived.home);
        let derived = core::mem::replace(&mut self.derived, nothing);
        let checked = self.erased(&derived);
        self.derived = derived;
        checked
    }

    /// Checks what erasures left of nodes, and that they left no more.
    fn erased(&mut self, catalogue: &Catalogue) -> Result<(), StorageError> {
        let mut reader = SegmentReader::new(self.objects);
        let begun = self.objects.list(erasing::FOLDER)?;
        let told = self.signature.told(self.objects).ok().flatten();
        // Another process may have erased since: what that took is known with what it wrote.
        let is_longer = told.is_some_and(|told| told > catalogue.size());
        let objects = self.objects;
        let is_ahead =
            |number: Number| is_longer && erasing::is_ahead(objects, catalogue, number).is_ok_and(|is_ahead| is_ahead);
        for id in core::mem::take(&mut self.taken) {
            let Some(number) = catalogue.number(&id).filter(|number| !is_ahead(*number)) else { continue };
            let record = reader.whole(catalogue, number);
            let Some(record) = self.note(record)? else { continue };
            if let Err(refusal) = check_alone(&record) {
                let name = segment::name(catalogue.commit_of(number).segment);
                self.fault(name, format!("node {id}, of which something was erased: {refusal}"));
            }
        }
        for id in core::mem::take(&mut self.erasures) {
            let Some(number) = catalogue.number(&id) else { continue };
            let standing = erasing::standing(self.objects, catalogue, number);
            let name = segment::name(catalogue.commit_of(number).segment);
            match self.note(standing)? {
                Some(Standing::Undone | Standing::Broken)
                    if is_ahead(number) || catalogue.to(number, Role::Erases).any(is_ahead) => {}
                Some(Standing::Undone) => {
                    let object = if begun.contains(&id.to_string()) { erasing::FOLDER } else { &*name };
                    let why = format!("{id} erased something that still stands there");
                    self.report.faults.push(Fault { object: object.to_owned(), why, heals: true, is_erased: true });
                }
                Some(Standing::Broken) => {
                    self.fault(
                        name,
                        format!("what {id} left is said to be with what is no later Erasure of the same node"),
                    );
                }
                Some(Standing::Kept) => {
                    self.fault(name, format!("{id} has kept what it says that it erased"));
                }
                Some(Standing::Empty) => self.report.empty_erasures.push(id),
                Some(Standing::Done) | None => {}
            }
        }
        Ok(())
    }

    /// Checks other companies' bundles against their digests.
    fn adopted(&mut self) -> Result<(), StorageError> {
        for (object, why) in adopted::check(self.objects)? {
            self.fault(object, why);
        }
        Ok(())
    }

    /// Checks head and checkpoint against the roots of the segments.
    fn heads(&mut self) -> Result<(), StorageError> {
        let state = closed::read(self.objects);
        self.note(state)?;
        let is_there = self.objects.exists(HEAD)?;
        if !is_there {
            self.fault(HEAD, "it is missing");
        }
        let mut newest = None;
        let slots = self.signature.slots(self.objects)?;
        if is_there && slots.iter().all(|slot| matches!(slot, Slot::Empty)) {
            self.fault(HEAD, "it holds no checkpoint");
        }
        for slot in slots {
            self.report.checkpoints += 1;
            match slot {
                Slot::Empty => {}
                Slot::Signed(signed) => {
                    newest = newest.max(Some(signed.head.size));
                    self.root(HEAD, signed.head);
                }
                Slot::Bad(error) => drop(self.note(Err::<(), _>(error))?),
            }
        }
        if let Some(bucket) = self.objects.bucket() {
            // In a bucket the head itself is unsigned, and the checkpoint in it may be an older one.
            newest = SharedHead::read(self.objects, &**bucket).ok().flatten().map(|(shared, _)| {
                self.root(HEAD, shared.head);
                shared.head.size
            });
        }
        self.older(HEAD, newest);
        self.report.checkpoints += 1;
        let published = self.signature.published(self.objects);
        match self.note(published)? {
            Some(Some(signed)) => {
                self.root(signed.object, signed.head);
                // A writer publishes a little after it signs.
                if !WriterLock::is_held(self.objects)? {
                    self.older(signed.object, Some(signed.head.size));
                }
            }
            Some(None) => self.fault("checkpoint", "it is missing"),
            None => {}
        }
        Ok(())
    }

    /// Checks the cosigned checkpoints against the roots of the segments. Witnesses' own signatures are not checked:
    /// the store does not hold their keys.
    fn cosigned(&mut self) -> Result<(), StorageError> {
        for name in cosigned::strays(self.objects)? {
            let why =
                "its name is no size in 16 digits: nothing reads it; name it so if it is the log's, else remove it";
            self.fault(format!("{}/{name}", cosigned::COSIGNED), why);
        }
        for size in cosigned::sizes(self.objects)? {
            self.report.checkpoints += 1;
            let name = cosigned::name(size);
            let read = cosigned::audited(self.signature, self.objects, size);
            match self.note(read)?.flatten() {
                Some(head) if head.size == size => self.root(&name, head),
                Some(head) => self.fault(name, format!("it is the checkpoint of {} entries", head.size)),
                None => {}
            }
        }
        Ok(())
    }

    /// Compares the keys with the changes that the segments have.
    fn keys(&mut self, genesis: &Genesis) -> Result<(), StorageError> {
        if self.derived.size() != self.size {
            return Ok(());
        }
        let derived = LogKeys::of(genesis, self.log_changes.clone());
        let Some(derived) = self.note(derived)? else { return Ok(()) };
        match self.objects.read(KEYS)? {
            // Whoever writes may have changed the key since.
            Some(stored) if derived.begin(genesis, &stored, self.size) => {}
            Some(_) => self.fault(KEYS, "it has other changes of the log's key than the segments"),
            None => self.fault(KEYS, "it is missing"),
        }
        Ok(())
    }

    /// Notes what was signed that lags behind what else tells.
    fn older(&mut self, object: &str, size: Option<u64>) {
        if let Some(size) = size.filter(|size| *size < self.size && self.size < u64::MAX) {
            let why = format!("it is of size {size}, and {} entries were signed: it is an older one", self.size);
            self.fault(object, why);
        }
    }

    /// Compares a root with that of the segments; what a writer published meanwhile is left alone.
    fn root(&mut self, object: &str, head: Head) {
        let Head { size, root } = head;
        match self.roots.get(&size) {
            Some(derived) if *derived == root => {}
            Some(derived) => {
                let why = format!("at size {size} it says root {root}, the segments give {derived}");
                self.fault(object, why);
            }
            None if size > self.size => {}
            None if self.derived.size() < size => {}
            None => self.fault(object, format!("it is of size {size}, which ends within a group")),
        }
    }
}

/// Checks a node alone, and says what is wrong with it. One of which something was erased is checked with what is left of
/// it (`erased`).
fn check_node(name: &str, node: &GroupNode<'_>) -> Option<String> {
    let rest = match node.rest(name) {
        Ok(rest) => rest,
        Err(error) => return Some(format!("the node at byte {}: {error}", node.frame.offset)),
    };
    if rest.is_taken() {
        return None;
    }
    check_alone(&rest.record).err().map(|refusal| format!("node {}: {refusal}", rest.record.id()))
}

/// Checks that a commit has a public line for each of its statuses, and no other.
fn check_lines(entry: &GroupEntry<'_>) -> Option<String> {
    let Ok(Entry::Commit(commit)) = Entry::parse(entry.bytes) else { return None };
    let mut statuses: Vec<NodeId> = entry.nodes.iter().filter_map(|node| status_id(node)).collect();
    let mut lines: Vec<NodeId> = commit.payload.statuses.iter().map(|line| line.status).collect();
    statuses.sort_unstable();
    lines.sort_unstable();
    let differ = || format!("a commit has {} public lines and {} statuses, or others", lines.len(), statuses.len());
    (lines != statuses).then(differ)
}

fn status_id(node: &GroupNode<'_>) -> Option<NodeId> {
    let core = core_bytes(node.bytes).ok()?;
    let is_status = Core::from_bytes(core).is_ok_and(|core| core.kind == Kind::Status);
    is_status.then(|| node_id(core))
}
