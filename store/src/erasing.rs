//! Erasure: the one thing that takes something out of a log.
//!
//! What is left of a node once some of it is erased (`Remains`) rests in the attachment of the Erasure that says so. So the
//! truth still only grows, and nothing in a segment moves: the frame that holds what is erased is overwritten by one of the
//! same length that names the Erasure. The newest Erasure of a node has all that is left of it, and the attachments of the
//! older ones are overwritten likewise.
//!
//! The order, and what a crash leaves:
//!
//! 1. `erasing/ID` says that the Erasure of this id is under way. *A crash leaves it; whoever writes next finds no such node,
//!    and removes it. The value is still there, and nobody was told that it is not.*
//! 2. The Erasure is committed. *A crash leaves a log that has it and the value. Whoever writes next goes on with 3, before
//!    anything else.*
//! 3. The frames are overwritten, segment by segment, each whole or not at all. *A crash leaves some: the same.*
//! 4. They are read again, and what was made of them here is removed: the index, the open segments. *The same.*
//! 5. `erasing/ID` is removed. *A crash leaves it, and 3 to 5 find nothing to do.*
//!
//! A process that lost its turn may have put the Erasure's group into a bucket without having signed it. Whoever adopts it
//! carries it out, whether or not `erasing/ID` is there.

use std::{fs, io, sync::PoisonError};

use griptrace_core::{
    date::Date,
    details::{self, Kept, Values},
    id::NodeId,
    key::Signer,
    manifest,
    node::{Core, Edge, Kind, Role},
};

use crate::{
    Store,
    bucket::blocks::block_at,
    catalogue::Catalogue,
    commit::{Receipt, Writer},
    error::{EraseError, ReadError, StorageError},
    lease::Lease,
    objects::Objects,
    placed::Number,
    random,
    reading::{Left, SegmentReader},
    record::{ManifestRecord, NodeRecord, Remains, Secret},
    scan::Nodes,
    segment,
    store::Inner,
    validate::check_alone,
};

/// Where it is said that an erasure is under way.
pub(crate) const FOLDER: &str = "erasing";

/// What is to be erased, and what is recorded of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erase {
    /// The node.
    pub target: NodeId,
    /// The slots of its details.
    pub slots: Vec<u8>,
    /// Paths of files of its manifest, as they were recorded.
    pub files: Vec<Vec<u8>>,
    /// The day that is recorded.
    pub date: Date,
    /// The details of the Erasure: why, on whose word.
    pub values: Values,
}

/// What was erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erased {
    /// The Erasure.
    pub id: NodeId,
    /// The receipt of its commit.
    pub receipt: Receipt,
    /// The objects that held what was erased, of the node now or before ([`Store::erased_objects`]), or of others whose erasure came to
    /// its end with this one. A bucket that keeps old versions has theirs.
    pub objects: Vec<String>,
}

impl Remains {
    /// Works out what is left of a node, as it stands, without some of its details and files.
    fn of(before: &NodeRecord, kind: Kind, slots: &[u8], files: &[usize]) -> Option<Self> {
        let is_touched = |secret: &Secret, wanted: bool| wanted || matches!(secret, Secret::Kept(_));
        let details = is_touched(&before.secret, !slots.is_empty()).then(|| details_left(before, kind, slots));
        let manifest = before.manifest.as_ref().filter(|manifest| is_touched(&manifest.secret, !files.is_empty()));
        Some(Self {
            details: details.map_or(Some(None), |details| details.map(Some))?,
            manifest: manifest.map(|manifest| files_left(manifest, files)),
        })
    }

    /// Tells why this is not what an Erasure with this core leaves of a node as it stands, if so: all that it says, no more,
    /// and what leads to the roots that the node has.
    pub(crate) fn check(&self, before: &NodeRecord, kind: Kind, erasure: &Core) -> Result<(), String> {
        let stood = before.manifest.as_ref();
        let files = match (stood, &self.manifest) {
            (Some(stood), Some(left)) => {
                files_gone(stood, left).ok_or("it has other files, or salts, than there were")?
            }
            (_, None) => Vec::new(),
            (None, Some(_)) => return Err("it has files, and the node has none".to_owned()),
        };
        if files.is_empty() == erasure.erased_files.is_some() {
            return Err(
                "the Erasure says that files were erased, and none is missing, or the other way round".to_owned()
            );
        }
        let expected = Self::of(before, kind, &erasure.erased_slots, &files);
        let expected = expected.ok_or("one of the slots holds nothing, or was erased before")?;
        if *self != expected {
            return Err("it is not what stood there without what is erased".to_owned());
        }
        let root = self.details.as_ref().map(|(kept, values)| details::root_of_kept(kind, kept, values));
        if root.is_some_and(|root| root.is_none() || root != before.secret.root(kind, &before.values)) {
            return Err("its details do not lead to the node's details root".to_owned());
        }
        let root = self.manifest.as_ref().map(ManifestRecord::root);
        if root.is_some_and(|root| root.is_none() || root != stood.and_then(ManifestRecord::root)) {
            return Err("its files do not lead to the node's manifest root".to_owned());
        }
        Ok(())
    }
}

impl Remains {
    /// Tells why this is not what an Erasure with this core leaves, if so, where it was carried out already: of the node as it stands
    /// the details, the attachment or both were taken by Erasures that are not in the log yet. What stood there is gone;
    /// what is left has to lack what is erased, and to be a node that leads to the roots that its core has.
    pub(crate) fn check_carried_out(
        &self,
        before: NodeRecord,
        (details, attachment): (bool, bool),
        erasure: &Core,
    ) -> Result<(), String> {
        if !self.lacks(erasure) {
            return Err("it has what the Erasure says that it erased".to_owned());
        }
        let mut left = before;
        match &self.details {
            Some((kept, values)) => (left.secret, left.values) = (Secret::Kept(kept.clone()), values.clone()),
            // A later one took them, and is held against them.
            None if details => return Ok(()),
            None => {}
        }
        match &self.manifest {
            Some(manifest) => left.manifest = Some(manifest.clone()),
            None if attachment => return Ok(()),
            None => {}
        }
        check_alone(&left).map_err(|why| format!("with it the node would be another one: {why}"))
    }

    /// Tells whether it lacks all that an Erasure with this core says it erased.
    fn lacks(&self, erasure: &Core) -> bool {
        let gone = self.details.as_ref().map_or(Vec::new(), |(kept, _)| Secret::Kept(kept.clone()).erased());
        let files = self.manifest.as_ref().is_some_and(|manifest| manifest.erased() > 0);
        erasure.erased_slots.iter().all(|slot| gone.contains(slot)) && (files || erasure.erased_files.is_none())
    }
}

/// Returns what is left of the details without some slots; `None` if one of them holds nothing.
fn details_left(before: &NodeRecord, kind: Kind, slots: &[u8]) -> Option<(Vec<Kept>, Values)> {
    let mut kept = match &before.secret {
        Secret::Seed(seed) => details::kept(seed),
        Secret::Kept(kept) => kept.clone(),
    };
    let mut values = before.values.clone();
    for slot in slots {
        let value = values.remove(slot)?;
        let place = kept.get_mut(usize::from(*slot))?;
        let Kept::Salt(salt) = *place else { return None };
        *place = Kept::Leaf(details::leaf(kind, *slot, &salt, Some(&value)));
    }
    Some((kept, values))
}

/// Returns what is left of a manifest without some of its known files, by their places among these.
fn files_left(before: &ManifestRecord, gone: &[usize]) -> ManifestRecord {
    let mut kept = match &before.secret {
        Secret::Seed(seed) => manifest::kept(seed, before.files.len()),
        Secret::Kept(kept) => kept.clone(),
    };
    let known = kept.iter_mut().filter(|kept| matches!(kept, Kept::Salt(_)));
    for ((at, file), place) in before.files.iter().enumerate().zip(known) {
        if let Kept::Salt(salt) = *place
            && gone.contains(&at)
        {
            *place = Kept::Leaf(manifest::leaf(&salt, file));
        }
    }
    let files = before.files.iter().enumerate().filter(|(at, _)| !gone.contains(at));
    ManifestRecord { secret: Secret::Kept(kept), files: files.map(|(_, file)| file.clone()).collect() }
}

/// Returns the places of the files that one manifest has and what is left of it has not; `None` if it is not left of that.
fn files_gone(before: &ManifestRecord, left: &ManifestRecord) -> Option<Vec<usize>> {
    let mut rest = left.files.iter().peekable();
    let mut gone = Vec::new();
    for (at, file) in before.files.iter().enumerate() {
        if rest.next_if(|next| *next == file).is_none() {
            gone.push(at);
        }
    }
    rest.next().is_none().then_some(gone)
}

impl Store {
    /// Erases details and files of a node: records the Erasure, overwrites what is to be gone, and returns when it is. Ids, proofs,
    /// roots and bundles that were made before hold; what was erased is unknown from then on. An erasure that was begun
    /// before and did not come to its end is brought there first.
    ///
    /// # Errors
    /// `NoNode`, `Nothing`, `NoValue`, `Gone`, `NoFile`; `Commit` if it could not be recorded; `Storage` if it was, and
    /// did not come to its end.
    pub fn erase(&self, erase: Erase, signer: &dyn Signer, issuer: &str, now: u64) -> Result<Erased, EraseError> {
        let writer = self.0.writer().ok_or(crate::error::CommitError::ReadOnly)?;
        let _alone = self.0.erasing();
        self.0.finish_erasing(&writer)?;
        let target = erase.target;
        let record = self.erasure(erase)?;
        let id = record.id();
        let name = format!("{FOLDER}/{id}");
        self.0.objects.put(&name, b"")?;
        // Crash here: nothing is in the log, and nothing was erased.
        // By the same writer: should the turn end and be taken again meanwhile, the mark may be gone.
        let receipt = match writer.commit(&self.0, vec![record], signer, issuer, now) {
            Ok(receipt) => receipt,
            Err(error) => {
                if !writer.is_poisoned() {
                    self.0.objects.remove_mark(&name)?;
                }
                return Err(error.into());
            }
        };
        self.after_commit(&writer);
        // Crash here: the log has the Erasure, and the value.
        let mut objects = self.0.finish_erasing(&writer)?;
        let of_target = self.0.ask(|state| match state.catalogue.number(&target) {
            Some(number) => erased_objects(&self.0.objects, &state.catalogue, number),
            None => Ok(Vec::new()),
        });
        objects.extend(of_target?);
        objects.sort_unstable();
        objects.dedup();
        Ok(Erased { id, receipt, objects })
    }

    /// Returns the objects that held what was erased of a node, so that older versions of them can be removed where a bucket
    /// keeps these: those that its frames and the attachments of its older Erasures are in, and the segments that a block
    /// took the place of. None, if nothing was erased of it.
    ///
    /// # Errors
    /// `NoNode`; `Storage` if the disk failed, or what is there is damaged.
    pub fn erased_objects(&self, target: &NodeId) -> Result<Vec<String>, ReadError> {
        self.0.ask(|state| Ok(erased_objects(&self.0.objects, &state.catalogue, state.number(target)?)?))
    }

    /// Tells whether an erasure was begun and did not come to its end.
    ///
    /// # Errors
    /// `Storage` if the disk failed.
    pub fn is_erasing(&self) -> Result<bool, ReadError> {
        Ok(!self.0.objects.list(FOLDER)?.is_empty())
    }

    /// Makes the Erasure, with what it leaves.
    pub(crate) fn erasure(&self, erase: Erase) -> Result<NodeRecord, EraseError> {
        let Erase { target, mut slots, files, date, values } = erase;
        let node = self.0.ask(|state| {
            let number = state.catalogue.number(&target);
            number.map(|number| Nodes::new(&self.0.objects, state).read(number)).transpose()
        });
        let node = node.map_err(|error: StorageError| error)?.ok_or(EraseError::NoNode { id: target })?;
        if slots.is_empty() && files.is_empty() {
            return Err(EraseError::Nothing { id: target });
        }
        slots.sort_unstable();
        slots.dedup();
        let erased = node.record.secret.erased();
        if let Some(slot) = slots.iter().copied().find(|slot| !node.record.values.contains_key(slot)) {
            return Err(if erased.contains(&slot) { EraseError::Gone { slot } } else { EraseError::NoValue { slot } });
        }
        let known = node.record.manifest.as_ref().map_or(&[][..], |manifest| &manifest.files);
        let place = |path: &Vec<u8>| {
            let found = known.iter().position(|file| file.path == *path);
            found.ok_or_else(|| EraseError::NoFile { path: String::from_utf8_lossy(path).into_owned() })
        };
        let gone: Vec<usize> = files.iter().map(place).collect::<Result<_, _>>()?;
        let remains = Remains::of(&node.record, node.core.kind, &slots, &gone);
        let mut core = Core::new(Kind::Erasure, self.home(), [0; 16], griptrace_core::digest::Digest::ZERO);
        core.edges = vec![Edge::local(Role::Erases, target)];
        core.erased_slots = slots;
        core.erased_files = (!gone.is_empty()).then_some(true);
        core.date = Some(date);
        let mut failed = Ok(());
        let fill = |out: &mut [u8]| {
            if let Err(error) = random(out) {
                failed = Err(error);
            }
        };
        let record =
            NodeRecord::build(core, values, None, None, fill).map_err(|e| StorageError::corrupt("the Erasure", e))?;
        failed.map_err(self.0.objects.failed("take randomness for", ""))?;
        Ok(NodeRecord { remains: remains.map(Box::new), ..record })
    }
}

impl Inner {
    /// Brings every erasure to its end that was begun, and those of which something stands there again; returns the objects that
    /// were overwritten.
    pub(crate) fn finish_erasing(&self, writer: &Writer) -> Result<Vec<String>, StorageError> {
        let begun = self.objects.list(FOLDER)?;
        let (mut erasures, ended) = self.ask(|state| {
            let mut erasures = begun_in(&state.catalogue, &begun);
            // Other marks are of who has the turn by now, or of who had it before this process: they go when the turn is taken.
            let ended: Vec<String> = erasures.iter().map(|number| state.catalogue.id(*number).to_string()).collect();
            for erasure in since(&state.catalogue, 0) {
                match standing(&self.objects, &state.catalogue, erasure) {
                    Ok(Standing::Undone) => erasures.push(erasure),
                    // What is damaged is told by an audit, and others' data is erased nevertheless.
                    Ok(_) | Err(StorageError::Corrupt { .. }) => {}
                    Err(error @ (StorageError::Io { .. } | StorageError::Fenced { .. })) => return Err(error),
                }
            }
            Ok((erasures, ended))
        })?;
        if erasures.is_empty() {
            return Ok(Vec::new());
        }
        erasures.sort_unstable();
        erasures.dedup();
        // Nothing is appended to a file that is being replaced.
        let carried = writer
            .while_nobody_appends(self, || self.ask(|state| carry_out(&self.objects, &state.catalogue, &erasures)))?;
        // Crash here, or anywhere below: the same is done again, and finds nothing to overwrite.
        *self.index() = None;
        forget_index(&self.objects)?;
        let written = carried.for_good()?;
        end(&self.objects, &ended, writer.lease().map(|lease| &**lease))?;
        Ok(written)
    }
}

impl Inner {
    /// Takes note of Erasures that another process committed: what was read of the log here may have what they take.
    pub(crate) fn heard_of(&self, erasures: impl Iterator<Item = NodeId>) {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).extend(erasures);
    }

    /// Forgets what was read and made here of what other processes erased, once they have.
    pub(crate) fn settle(&self) {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        if unsettled.is_empty() {
            return;
        }
        self.objects.forget_segments(0);
        // Who fills the index holds it for long; it is looked at again.
        let Ok(mut index) = self.try_index() else { return };
        let is_done = |id: &NodeId| {
            let done = self.ask(|state| match state.catalogue.number(id) {
                Some(number) => is_done(&self.objects, &state.catalogue, number),
                None => Ok(false),
            });
            done.unwrap_or(false)
        };
        let before = unsettled.len();
        unsettled.retain(|id| !is_done(id));
        self.objects.forget_segments(0);
        if unsettled.len() < before {
            *index = None;
            // If it can't be removed, it is sifted before it is asked.
            drop(forget_index(&self.objects));
        }
    }
}

/// Brings to their end the erasures that were begun, and those in the log from one size on, which nobody may have carried out. For
/// who opens a log for writing: nothing is open yet.
pub(crate) fn take_up(
    objects: &Objects,
    catalogue: &Catalogue,
    from: u64,
    lease: Option<&Lease>,
) -> Result<(), StorageError> {
    let begun = objects.list(FOLDER)?;
    let mut erasures = begun_in(catalogue, &begun);
    let fresh = catalogue.end_at(from)..catalogue.len();
    erasures.extend(fresh.filter(|number| catalogue.node(*number).kind == Kind::Erasure));
    if erasures.is_empty() && begun.is_empty() {
        return Ok(());
    }
    let carried = carry_out(objects, catalogue, &erasures)?;
    forget_index(objects)?;
    if carried.unsure.is_some() {
        // The log is written all the same. The marks stay: the next erasure says what is damaged, and who takes the turn tries again.
        return Ok(());
    }
    // Those of Erasures that are not in the log too: all that was put at its end was adopted before, and whoever adopts one that
    // comes still puts its mark again.
    end(objects, &begun, lease)
}

/// Returns the Erasures of a log that were begun, as far as they are in it, in log order.
fn begun_in(catalogue: &Catalogue, begun: &[String]) -> Vec<Number> {
    let ids = begun.iter().filter_map(|name| NodeId::from_hex(name));
    let mut numbers: Vec<Number> = ids.filter_map(|id| catalogue.number(&id)).collect();
    numbers.sort_unstable();
    numbers
}

/// What came of carrying out Erasures.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// The names of the objects that were written.
    written: Vec<String>,
    /// Why what was overwritten may come back, or lie in a second place: the block that it belongs into is not made, or was not
    /// read, since something in it is damaged.
    unsure: Option<StorageError>,
}

impl Carried {
    /// Returns the objects that were written, if all is gone for good.
    fn for_good(self) -> Result<Vec<String>, StorageError> {
        self.unsure.map_or(Ok(self.written), Err)
    }
}

/// Carries out Erasures that are in the log: overwrites what stands of what they took.
fn carry_out(objects: &Objects, catalogue: &Catalogue, erasures: &[Number]) -> Result<Carried, StorageError> {
    let (mut written, mut unsure) = (Vec::new(), None);
    if erasures.is_empty() {
        return Ok(Carried::default());
    }
    let mut damaged = Vec::new();
    if let Some(blocks) = objects.blocks() {
        // What belongs into a block is put there first, and what lies beside one goes. A process that lost its turn and still has
        // the older bytes of a block can't put it any more; a block that is not full yet, nobody can have begun.
        blocks.know(catalogue.size());
        let filled = blocks.fill_now(&catalogue.home, catalogue.size());
        damaged = filled.map_err(objects.failed("put together the segments in", ""))?;
    }
    objects.forget_segments(0);
    for erasure in erasures.iter().copied() {
        for (segment, offsets) in takings(objects, catalogue, erasure)? {
            written.extend(overwrite(objects, catalogue, segment, &offsets, erasure)?);
            let place = damaged.iter().position(|(block, _)| *block == block_at(segment));
            if let Some((_, why)) = place.map(|place| damaged.swap_remove(place)) {
                unsure = unsure.or_else(|| Some(objects.failed("put together the segments in", "")(why)));
            }
        }
        objects.forget_segments(0);
        if !is_done(objects, catalogue, erasure)? {
            let why = format!("what {} erased was overwritten, and is still there", catalogue.id(erasure));
            return Err(StorageError::corrupt(segment::name(catalogue.commit_of(erasure).segment), why));
        }
    }
    written.sort_unstable();
    written.dedup();
    Ok(Carried { written, unsure })
}

/// Returns the names of the objects from which something of a node was taken.
fn erased_objects(objects: &Objects, catalogue: &Catalogue, target: Number) -> Result<Vec<String>, StorageError> {
    let mut reader = SegmentReader::new(objects);
    let erasures = catalogue.incoming(target).filter(|(role, _)| *role == Role::Erases).map(|(_, from)| from);
    let mut names = Vec::new();
    for number in [target].into_iter().chain(erasures) {
        if reader.rest(catalogue, number, catalogue.node(number).attached)?.is_taken() {
            names.extend(names_of(objects, catalogue.commit_of(number).segment));
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The offsets of frames, by segment, in the order in which they are overwritten.
type Takings = Vec<(u64, Vec<u64>)>;

/// Returns where an Erasure has to take something: from the node first, since that leads to the newest, and then from older
/// Erasures of it.
fn takings(objects: &Objects, catalogue: &Catalogue, erasure: Number) -> Result<Takings, StorageError> {
    let mut reader = SegmentReader::new(objects);
    let mut takings = Vec::new();
    let mut add = |number: Number, of_node: bool, of_attachment: bool| {
        let frame = catalogue.node(number).frame;
        let offsets = [(of_node, frame.offset), (of_attachment, frame.end())];
        let offsets: Vec<u64> = offsets.iter().filter(|(wanted, _)| *wanted).map(|(_, offset)| *offset).collect();
        if !offsets.is_empty() {
            takings.push((catalogue.commit_of(number).segment, offsets));
        }
    };
    // If a later Erasure took it over, that one carries out both.
    let Left::Here(remains) = reader.left_by(catalogue, erasure)? else { return Ok(takings) };
    let target = target_of(catalogue, erasure)?;
    add(target, remains.details.is_some(), remains.manifest.is_some());
    for older in catalogue.incoming(target).filter(|(role, from)| *role == Role::Erases && *from < erasure) {
        let has_remains = matches!(reader.left_by(catalogue, older.1)?, Left::Here(_));
        add(older.1, false, has_remains);
    }
    Ok(takings)
}

fn target_of(catalogue: &Catalogue, erasure: Number) -> Result<Number, StorageError> {
    let missing = || StorageError::corrupt(catalogue.id(erasure).to_string(), "it erases nothing");
    catalogue.to(erasure, Role::Erases).next().ok_or_else(missing)
}

/// Tells whether nothing stands any more of what an Erasure took. Of one that a later one took over it is known only if that one
/// is known, and has what is left.
pub(crate) fn is_done(objects: &Objects, catalogue: &Catalogue, erasure: Number) -> Result<bool, StorageError> {
    let id = catalogue.id(erasure);
    let mut reader = SegmentReader::new(objects);
    let remains = match reader.left_by(catalogue, erasure)? {
        Left::Here(remains) => remains,
        Left::Later(later) => {
            let target = target_of(catalogue, erasure)?;
            let is_later = catalogue.number(&later).is_some_and(|later| later > erasure);
            return Ok(is_later && reader.remains(catalogue, target, later)?.is_some());
        }
        Left::Nothing => return Ok(true),
    };
    let target = target_of(catalogue, erasure)?;
    let rest = reader.rest(catalogue, target, catalogue.node(target).attached)?;
    if (remains.details.is_some() && rest.details_at != Some(id))
        || (remains.manifest.is_some() && rest.attachment_at != Some(id))
    {
        return Ok(false);
    }
    for older in catalogue.incoming(target).filter(|(role, from)| *role == Role::Erases && *from < erasure) {
        if matches!(reader.left_by(catalogue, older.1)?, Left::Here(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What an audit finds an Erasure to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It was carried out.
    Done,
    /// Something that it took still stands: whoever opens the log for writing takes it.
    Undone,
    /// What it has is said to be with one that is no later Erasure of the same node.
    Broken,
    /// It has what it says that it erased.
    Kept,
    /// It took nothing.
    Empty,
}

/// Tells how an Erasure stands.
pub(crate) fn standing(objects: &Objects, catalogue: &Catalogue, erasure: Number) -> Result<Standing, StorageError> {
    let mut reader = SegmentReader::new(objects);
    let left = reader.left_by(catalogue, erasure)?;
    if matches!(left, Left::Nothing) {
        return Ok(Standing::Empty);
    }
    if !is_done(objects, catalogue, erasure)? {
        return Ok(if matches!(left, Left::Later(_)) { Standing::Broken } else { Standing::Undone });
    }
    let Left::Here(remains) = left else { return Ok(Standing::Done) };
    let name = || segment::name(catalogue.commit_of(erasure).segment);
    let core = reader.core(catalogue, erasure)?.core().map_err(|e| StorageError::corrupt(name(), e))?;
    Ok(if remains.lacks(&core) { Standing::Done } else { Standing::Kept })
}

/// Tells whether something of a node, or of what an Erasure had, was taken by an Erasure that this catalogue has not.
pub(crate) fn is_ahead(objects: &Objects, catalogue: &Catalogue, number: Number) -> Result<bool, StorageError> {
    let mut reader = SegmentReader::new(objects);
    let rest = reader.rest(catalogue, number, catalogue.node(number).attached)?;
    let attachment_of = catalogue.to(number, Role::Erases).next().unwrap_or(number);
    for (taker, of) in [(rest.details_at, number), (rest.attachment_at, attachment_of)] {
        if let Some(taker) = taker
            && reader.remains(catalogue, of, taker)?.is_none()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the Erasures among the nodes from a commit on.
pub(crate) fn since(catalogue: &Catalogue, commit: u32) -> Vec<Number> {
    let first = if commit < catalogue.commits() { catalogue.commit(commit).first_node } else { catalogue.len() };
    (first..catalogue.len()).filter(|number| catalogue.node(*number).kind == Kind::Erasure).collect()
}

/// Carries all Erasures of a log over to a copy of it, which may have what they took.
/// Returns the names of the objects that were written.
pub(crate) fn carry_over(objects: &Objects, catalogue: &Catalogue) -> Result<Vec<String>, StorageError> {
    let mut undone = Vec::new();
    for erasure in since(catalogue, 0) {
        if standing(objects, catalogue, erasure)? == Standing::Undone {
            undone.push(erasure);
        }
    }
    let carried = carry_out(objects, catalogue, &undone)?;
    if !carried.written.is_empty() {
        forget_index(objects)?;
    }
    carried.for_good()
}

/// Returns the names of the objects that a segment is and was in: that of a block too, and its own, which went when the block was
/// made and of which a bucket may keep an older version.
fn names_of(objects: &Objects, segment: u64) -> Vec<String> {
    let block = objects.blocks().and_then(|blocks| blocks.name_of(segment));
    block.into_iter().chain([segment::name(segment)]).collect()
}

/// Overwrites frames of a segment, all or none; returns the names of the objects that held them, if they were there.
fn overwrite(
    objects: &Objects,
    catalogue: &Catalogue,
    segment: u64,
    offsets: &[u64],
    erasure: Number,
) -> Result<Vec<String>, StorageError> {
    let (name, id) = (segment::name(segment), catalogue.id(erasure));
    let is_older = |other: &NodeId| catalogue.number(other).is_some_and(|other| other < erasure);
    let change = |bytes: &mut [u8]| {
        let mut is_changed = false;
        for offset in offsets {
            is_changed |= segment::take(&name, bytes, *offset, &id, is_older)?;
        }
        Ok::<_, StorageError>(is_changed)
    };
    if let Some(blocks) = objects.blocks() {
        let written = blocks.change(segment, change).map_err(objects.failed("write", &name))??;
        return Ok(written.map_or_else(Vec::new, |_| names_of(objects, segment)));
    }
    let missing = || StorageError::corrupt(&*name, "it is missing, and the log needs it; restore it from a copy");
    let mut bytes = objects.read(&name)?.ok_or_else(missing)?;
    if !change(&mut bytes)? {
        return Ok(Vec::new());
    }
    // Crash here, or in it: the old segment or the new one, whole.
    objects.put(&name, &bytes)?;
    Ok(vec![name])
}

/// Removes the index: fingerprints of what was erased stand in it.
fn forget_index(objects: &Objects) -> Result<(), StorageError> {
    let path = objects.local().join("index");
    match fs::remove_dir_all(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::Io { doing: "remove", path, source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes marks of what came to its end, in a bucket only if this process has had the turn until now: what is done here may not
/// be in the eyes of who has it, and knows a longer log.
fn end(objects: &Objects, ended: &[String], lease: Option<&Lease>) -> Result<(), StorageError> {
    if let Some(lease) = lease {
        lease.beat(objects)?;
    }
    ended.iter().try_for_each(|name| objects.remove_mark(&format!("{FOLDER}/{name}")))
}
