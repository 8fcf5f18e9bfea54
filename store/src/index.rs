//! The index: nodes by name, by content and by what was recorded. Derived and disposable.
//!
//! For each key a node goes by there is a pair: a fingerprint of the key and the node's number. Pairs
//! stand in sorted runs, new ones at the end; runs of about one size are merged. A run rests in
//! sled (`shelf`) as a few large values, since many small ones cost it far more time and memory
//! than all the rest of a commit (benches/README.md). What a fingerprint leads to is read and
//! compared, so that the index can leave something out, but never make something up.
//!
//! It catches up with the log when it is asked, and is filled anew from the segments when it is
//! missing, broken or of another log. Where another process has it open, this one keeps its own in
//! memory.

mod runs;

use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use griptrace_core::{
    details::{read_value, slot},
    digest::{Digest, LOOKUP},
    id::NodeId,
    node::{Core, Kind, Mark, Role},
};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use self::runs::{Place, Run};
use crate::{
    State, Store,
    catalogue::Catalogue,
    erasing,
    error::{ReadError, StorageError},
    objects::Objects,
    placed::Number,
    random,
    reading::SegmentReader,
    record::NodeRecord,
    recorded::{Unit, units},
    shelf::{Broken, Shelf},
    snapshot,
};

/// A fingerprint of a key, and the number of a node that goes by it.
pub(crate) type Pair = (u64, Number);

const META: &[u8] = b"meta";
/// The version of the keys and values: another one is filled anew.
const VERSION: u32 = 3;
/// Commits that are taken in while others wait.
const BEHIND_COMMITS_MAX: u32 = 256;
/// Nodes whose pairs are gathered before they become a run.
const BATCH_NODES: u32 = 1 << 17;

/// How far the index is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Meta {
    version: u32,
    home: [u8; 32],
    /// What makes the fingerprints private.
    secret: [u8; 32],
    commits: u32,
    /// Nothing that the Erasures before this commit took is in it.
    sifted: u32,
    /// The first node of the last commit: another log's index shows by it.
    last: [u8; 32],
    runs: Vec<Run>,
}

/// The index of one open store.
pub(crate) struct Index {
    path: PathBuf,
    place: Place,
    meta: Meta,
}

impl core::fmt::Debug for Index {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Index").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index of a store, on disk if that can be had.
    pub(crate) fn open(objects: &Objects, catalogue: &Catalogue) -> Self {
        let path = objects.local().join("index");
        if path.is_file() {
            // Nothing else of the store's has this name.
            std::fs::remove_file(&path).unwrap_or_default();
        }
        let place = Shelf::open(&path).map_or_else(Place::memory, Place::Disk);
        let fresh = fresh_meta(catalogue);
        let mut index = Self { path, place, meta: fresh };
        let found = index.place.get(META).ok().flatten();
        let found = found.and_then(|bytes| decode::<Meta>(&bytes)).filter(|meta| is_of(meta, catalogue));
        // Nobody is ahead of the writer: it is of a log that was set back since.
        let found = found.filter(|meta| !objects.is_writer() || meta.commits <= catalogue.commits());
        match found {
            Some(meta) => index.meta = meta,
            // A good index must not go because the snapshot is bad.
            None if catalogue.is_damaged() => index.place = Place::memory(),
            None => index.renew(catalogue),
        }
        index
    }

    /// Tells how many commits it has taken in.
    pub(crate) const fn commits(&self) -> u32 {
        self.meta.commits
    }

    /// Opens the index of a store as it is, for an audit. `None` if there is none, another process has it, or
    /// nothing was taken in yet: it was made when the log was empty, or whoever made it was stopped.
    pub(crate) fn inspect(folder: &Path, catalogue: &Catalogue) -> Result<Option<Self>, Broken> {
        let path = folder.join("index");
        if !path.exists() {
            return Ok(None);
        }
        let Some(shelf) = Shelf::try_open(&path)? else { return Ok(None) };
        let place = Place::Disk(shelf);
        let Some(bytes) = place.get(META)? else { return Ok(None) };
        let meta = decode::<Meta>(&bytes).filter(|meta| is_of(meta, catalogue));
        Ok(Some(Self { path, place, meta: meta.ok_or(Broken)? }))
    }

    /// Throws away what there is.
    fn renew(&mut self, catalogue: &Catalogue) {
        self.meta = fresh_meta(catalogue);
        let place = core::mem::replace(&mut self.place, Place::memory());
        if let Place::Disk(disk) = place
            && let Some(disk) = disk.renew()
        {
            self.place = Place::Disk(disk);
        }
    }

    /// Asks for the numbers that a fingerprint leads to, in log order, and where the index breaks,
    /// fills it anew and asks again; the third time in memory, which does not break.
    fn ask(
        &mut self,
        objects: &Objects,
        catalogue: &Catalogue,
        fingerprint: impl Fn(&[u8; 32]) -> u64,
    ) -> Result<Vec<Number>, StorageError> {
        for attempt in 0..3 {
            if attempt == 1 {
                self.renew(catalogue);
            }
            if attempt == 2 {
                self.place = Place::memory();
                self.meta = fresh_meta(catalogue);
            }
            if self.catch_up(objects, catalogue)? == Ok(())
                && let Ok(numbers) = self.place.find(&self.meta.runs, fingerprint(&self.meta.secret))
            {
                return Ok(numbers.into_iter().filter(|number| *number < catalogue.len()).collect());
            }
        }
        Err(StorageError::corrupt("index", "it breaks again and again; delete it"))
    }

    /// Tells whether nothing was erased since it was begun.
    pub(crate) fn is_sifted(&self, catalogue: &Catalogue) -> bool {
        erasing::since(catalogue, self.meta.sifted).is_empty()
    }

    /// Begins anew if something was erased since: its fingerprints stand in the index. What is not carried out yet is looked for
    /// again the next time.
    fn sift(&mut self, objects: &Objects, catalogue: &Catalogue) -> Result<(), StorageError> {
        let erasures = erasing::since(catalogue, self.meta.sifted);
        for erasure in erasures.iter().copied() {
            if !erasing::is_done(objects, catalogue, erasure)? {
                return Ok(());
            }
        }
        if !erasures.is_empty() && self.meta.commits > 0 {
            self.renew(catalogue);
        }
        self.meta.sifted = catalogue.commits();
        Ok(())
    }

    /// Takes in the commits that came since. The outer error is of the log, the inner one of the
    /// index.
    fn catch_up(&mut self, objects: &Objects, catalogue: &Catalogue) -> Result<Result<(), Broken>, StorageError> {
        self.sift(objects, catalogue)?;
        while self.meta.commits < catalogue.commits() {
            let from = self.meta.commits;
            let mut to = from;
            let mut nodes = 0_u32;
            while to < catalogue.commits() && nodes < BATCH_NODES {
                nodes = nodes.saturating_add(catalogue.commit(to).nodes);
                to = to.saturating_add(1);
            }
            let pairs = pairs_of_commits(objects, catalogue, from, to, &self.meta.secret)?;
            if catalogue.is_damaged() {
                // What was read may be made up: nothing of it is kept, and whoever asked asks again.
                return Err(StorageError::corrupt(snapshot::NAME, "a block of it has another checksum"));
            }
            let mut meta = self.meta.clone();
            (meta.commits, meta.last) = (to, first_id(catalogue, to.saturating_sub(1)));
            if self.take(meta, pairs).is_err() {
                return Ok(Err(Broken));
            }
        }
        Ok(Ok(()))
    }

    fn take(&mut self, mut meta: Meta, pairs: Vec<Pair>) -> Result<(), Broken> {
        let (mut written, gone) = self.place.add(&mut meta.runs, pairs)?;
        written.push((META.to_vec(), encode(&meta)?));
        self.place.write(written, gone)?;
        self.meta = meta;
        Ok(())
    }

    /// Returns the pairs of the first `commits` commits as they should be.
    pub(crate) fn expected(&self, objects: &Objects, catalogue: &Catalogue) -> Result<Vec<Pair>, StorageError> {
        pairs_of_commits(objects, catalogue, 0, self.meta.commits.min(catalogue.commits()), &self.meta.secret)
    }

    /// Returns all pairs, sorted.
    pub(crate) fn all(&self) -> Result<Vec<Pair>, Broken> {
        let mut pairs = Vec::new();
        for run in &self.meta.runs {
            pairs.extend(self.place.load(run)?);
        }
        pairs.sort_unstable();
        Ok(pairs)
    }
}

/// Bytes that reading a value may take, so that a length which is only claimed costs nothing.
const VALUE_BYTES_MAX: usize = 1 << 20;

fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    bincode::decode_from_slice(bytes, bincode::config::standard().with_limit::<VALUE_BYTES_MAX>())
        .ok()
        .map(|(value, _)| value)
}

/// Tells whether bytes say how far an index is.
pub(crate) fn is_meta(bytes: &[u8]) -> bool {
    decode::<Meta>(bytes).is_some()
}

fn encode(value: &impl Encode) -> Result<Vec<u8>, Broken> {
    bincode::encode_to_vec(value, bincode::config::standard()).map_err(|_| Broken)
}

fn fresh_meta(catalogue: &Catalogue) -> Meta {
    let mut secret = [0; 32];
    // Without randomness the keys are less private, in an index that lies beside the plain text.
    random(&mut secret).unwrap_or_default();
    let home = *catalogue.home.as_bytes();
    Meta { version: VERSION, home, secret, commits: 0, sifted: 0, last: [0; 32], runs: Vec::new() }
}

/// Tells whether an index is of this log. One that is ahead (another process's) is.
fn is_of(meta: &Meta, catalogue: &Catalogue) -> bool {
    let last = meta.commits.checked_sub(1).filter(|at| *at < catalogue.commits());
    let same = last.is_none_or(|at| first_id(catalogue, at) == meta.last);
    meta.version == VERSION && meta.home == *catalogue.home.as_bytes() && same
}

fn first_id(catalogue: &Catalogue, commit: u32) -> [u8; 32] {
    *catalogue.id(catalogue.commit(commit).first_node).as_bytes()
}

/// Returns the pairs of a range of commits, sorted.
fn pairs_of_commits(
    objects: &Objects,
    catalogue: &Catalogue,
    from: u32,
    to: u32,
    secret: &[u8; 32],
) -> Result<Vec<Pair>, StorageError> {
    let of_one = |reader: &mut SegmentReader<'_>, at: u32| {
        let commit = catalogue.commit(at);
        let nodes = reader.nodes(catalogue, &commit)?;
        Ok::<_, StorageError>(pairs_of(&nodes, commit.first_node, secret))
    };
    let gather = |mut all: Vec<Pair>, pairs: Vec<Pair>| {
        all.extend(pairs);
        all
    };
    let read = (from..to).into_par_iter().map_init(|| SegmentReader::new(objects), of_one);
    let mut pairs = read
        .try_fold(Vec::new, |all, pairs| pairs.map(|pairs| gather(all, pairs)))
        .try_reduce(Vec::new, |all, pairs| Ok(gather(all, pairs)))?;
    pairs.sort_unstable();
    Ok(pairs)
}

/// Returns all that the index holds of a commit.
fn pairs_of(nodes: &[(NodeId, Core, NodeRecord)], first: Number, secret: &[u8; 32]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (number, (_, core, record)) in (first..).zip(nodes) {
        if let Some(name) = text(core.kind, record, "name") {
            pairs.push((name_fingerprint(secret, &name), number));
        }
        pairs.extend(contents(core.kind, record).iter().map(|digest| (content_fingerprint(secret, digest), number)));
    }
    for unit in units(nodes) {
        let lead = unit.places.first().and_then(|place| u32::try_from(*place).ok()).unwrap_or(0);
        pairs.push((unit_fingerprint(secret, &unit), first.saturating_add(lead)));
    }
    pairs
}

fn name_fingerprint(secret: &[u8; 32], name: &str) -> u64 {
    beginning(&LOOKUP.hash_parts(&[secret, b"n", name.as_bytes()]))
}

fn content_fingerprint(secret: &[u8; 32], digest: &Digest) -> u64 {
    beginning(&LOOKUP.hash_parts(&[secret, b"c", digest.as_bytes()]))
}

fn unit_fingerprint(secret: &[u8; 32], unit: &Unit) -> u64 {
    beginning(&unit.key(secret))
}

fn beginning(digest: &Digest) -> u64 {
    digest.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn text(kind: Kind, record: &NodeRecord, name: &str) -> Option<String> {
    let value = read_value(record.values.get(&slot(kind, name)?)?).ok()?;
    value.as_text().map(str::to_owned)
}

/// Returns the digests that a node's content goes by: that in its details, and those of each file
/// of a model.
fn contents(kind: Kind, record: &NodeRecord) -> Vec<Digest> {
    if !matches!(kind, Kind::Dataset | Kind::Model) {
        return Vec::new();
    }
    let stated = text(kind, record, "content");
    let mut digests: Vec<Digest> = stated.iter().filter_map(|t| Digest::from_hex(t.split_once(':')?.1)).collect();
    let files = record.manifest.iter().filter(|_| kind == Kind::Model).flat_map(|manifest| &manifest.files);
    digests.extend(files.flat_map(|file| [Some(file.blake3), file.sha256]).flatten());
    digests.sort_unstable();
    digests.dedup();
    digests
}

impl Store {
    /// Returns the history of a name: all nodes that bear it, oldest first.
    ///
    /// # Errors
    /// `Storage` if the log can't be read to fill the index, or a node not to compare its name.
    pub fn by_name(&self, name: &str) -> Result<Vec<NodeId>, ReadError> {
        self.look_up(
            |secret| name_fingerprint(secret, name),
            |kind, record| text(kind, record, "name").as_deref() == Some(name),
        )
    }

    /// Returns the datasets and models with this content, in log order: by the content digest in
    /// their details, or by BLAKE3 or SHA-256 of any one file of a model.
    ///
    /// # Errors
    /// As [`Self::by_name`].
    pub fn by_content(&self, digest: &Digest) -> Result<Vec<NodeId>, ReadError> {
        self.look_up(
            |secret| content_fingerprint(secret, digest),
            |kind, record| contents(kind, record).contains(digest),
        )
    }

    /// Returns the ids under which the same unit was recorded before, in the order of `unit`: a
    /// source, or a Transformation with all its outputs. `None` if it was not, if any of it was
    /// withdrawn, superseded, recalled, refused or erased since, if the key that signed its commit did not count
    /// there, as it was rotated or revoked, or if it is no unit.
    ///
    /// # Errors
    /// `Record` for a core that can't be read; otherwise as [`Self::by_name`].
    pub fn find_recorded(&self, unit: &[NodeRecord]) -> Result<Option<Vec<NodeId>>, ReadError> {
        let read = |record: &NodeRecord| Ok((record.id(), record.core()?, record.clone()));
        let nodes: Vec<_> = unit.iter().map(read).collect::<Result<_, ReadError>>()?;
        let units = units(&nodes);
        let [unit] = units.as_slice() else { return Ok(None) };
        if unit.places.len() != nodes.len() {
            return Ok(None);
        }
        self.ask(
            |secret| unit_fingerprint(secret, unit),
            |state, numbers| {
                let catalogue = &state.catalogue;
                let mut reader = SegmentReader::new(&self.0.objects);
                for number in numbers.iter().rev() {
                    // What counts for nobody is no ancestry: who records it again has to get what is.
                    if !counts(state, &mut reader, *number)? {
                        continue;
                    }
                    let ids = same_unit(&mut reader, catalogue, *number, unit)?;
                    if let Some(ids) = ids.filter(|ids| ids.iter().all(|id| is_good(catalogue, id))) {
                        return Ok(in_order(unit, &ids));
                    }
                }
                Ok(None)
            },
        )
    }

    fn look_up(
        &self,
        fingerprint: impl Fn(&[u8; 32]) -> u64,
        is_meant: impl Fn(Kind, &NodeRecord) -> bool,
    ) -> Result<Vec<NodeId>, ReadError> {
        self.ask(fingerprint, |State { catalogue, .. }, numbers| {
            let mut reader = SegmentReader::new(&self.0.objects);
            let mut ids = Vec::new();
            for number in numbers {
                if is_meant(catalogue.node(*number).kind, &reader.whole(catalogue, *number)?) {
                    ids.push(catalogue.id(*number));
                }
            }
            Ok(ids)
        })
    }

    fn ask<T>(
        &self,
        fingerprint: impl Fn(&[u8; 32]) -> u64,
        answer: impl Fn(&State, &[Number]) -> Result<T, StorageError>,
    ) -> Result<T, ReadError> {
        let mut place = self.0.index();
        loop {
            let catalogue = self.behind(&mut place);
            // A first fill takes long: commits must not wait for it.
            let filled = catalogue.map(|catalogue| {
                let index = place.get_or_insert_with(|| Index::open(&self.0.objects, &catalogue));
                (index.ask(&self.0.objects, &catalogue, |_| 0), catalogue.is_damaged())
            });
            match filled {
                Some((_, true)) => self.0.derive_again()?,
                Some((filled, false)) => drop(filled?),
                None => break,
            }
        }
        self.0.ask(|state| {
            let catalogue = &state.catalogue;
            let index = place.get_or_insert_with(|| Index::open(&self.0.objects, catalogue));
            let numbers = index.ask(&self.0.objects, catalogue, &fingerprint)?;
            Ok(answer(state, &numbers)?)
        })
    }

    /// Returns a copy of the catalogue if the index lacks much of it.
    fn behind(&self, place: &mut Option<Index>) -> Option<Catalogue> {
        let state = self.0.read();
        let known = place.as_ref().map_or(0, Index::commits);
        let lacks = state.catalogue.commits().saturating_sub(known);
        (lacks > BEHIND_COMMITS_MAX).then(|| state.catalogue.clone())
    }
}

/// Returns the ids of the unit that a node leads, in the unit's order, if it is the same unit.
fn same_unit(
    reader: &mut SegmentReader<'_>,
    catalogue: &Catalogue,
    lead: Number,
    wanted: &Unit,
) -> Result<Option<Vec<NodeId>>, StorageError> {
    let outputs = catalogue.incoming(lead).filter(|(role, _)| *role == Role::GeneratedBy).map(|(_, from)| from);
    let mut nodes = Vec::new();
    for number in core::iter::once(lead).chain(outputs) {
        let record = reader.whole(catalogue, number)?;
        let core = record.core().map_err(|e| StorageError::corrupt("segments", e))?;
        nodes.push((catalogue.id(number), core, record));
    }
    let units = units(&nodes);
    let found = units.iter().find(|unit| unit.says_the_same_as(wanted));
    Ok(found.map(|unit| unit.places.iter().filter_map(|place| Some(nodes.get(*place)?.0)).collect()))
}

/// Tells whether the key that signed a node's commit counted there.
fn counts(state: &State, reader: &mut SegmentReader<'_>, number: Number) -> Result<bool, StorageError> {
    if state.keys.changes.is_empty() {
        return Ok(true);
    }
    let commit = state.catalogue.commit_of(number);
    let end = state.keys.history.end(&reader.commit(&commit)?.key());
    Ok(end.is_none_or(|end| commit.leaf < end))
}

/// Tells whether nothing has put a node aside.
fn is_good(catalogue: &Catalogue, id: &NodeId) -> bool {
    let Some(number) = catalogue.number(id) else { return false };
    !catalogue.incoming(number).any(|(role, from)| match role {
        Role::Erases => true,
        Role::Marks => catalogue.node(from).mark.is_some_and(|m| m.is_terminal() || m == Mark::Supersede),
        Role::Used | Role::GeneratedBy | Role::Ships | Role::Successor => false,
    })
}

/// Puts the ids of a unit into the order in which its nodes were given.
fn in_order(unit: &Unit, ids: &[NodeId]) -> Option<Vec<NodeId>> {
    let mut placed: Vec<(usize, NodeId)> = unit.places.iter().copied().zip(ids.iter().copied()).collect();
    placed.sort_unstable();
    (placed.len() == ids.len()).then(|| placed.into_iter().map(|(_, id)| id).collect())
}
