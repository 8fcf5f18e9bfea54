//! The index: nodes by name, by content and by what was recorded. Derived and disposable.
//!
//! For each key a node goes by there is a pair: a fingerprint of the key and the node's number. Pairs
//! stand in sorted runs, new ones at the end; runs of about one size are merged. A run is a file. What
//! a fingerprint leads to is read and compared, so that the index can leave something out, but never
//! make something up.
//!
//! It catches up with the log when it is asked, and is filled anew from the segments when it is
//! missing, broken or of another log. Where another process has it open, this one keeps its own in
//! memory.

mod files;
mod runs;

use core::ops::Range;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use bincode::{Decode, Encode};
use griptrace_core::{
    details::{read_value, slot},
    digest::{Digest, LOOKUP},
    id::NodeId,
    node::{Core, Kind, Mark, Role},
};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

pub(crate) use self::files::Broken;
use self::{
    files::Place,
    runs::{Lists, Run},
};
use crate::{
    State, Store,
    bucket::ahead::Ahead,
    catalogue::Catalogue,
    erasing,
    error::{ReadError, StorageError},
    objects::Objects,
    placed::Number,
    random,
    reading::SegmentReader,
    record::NodeRecord,
    recorded::{Unit, units},
    snapshot,
};

/// A fingerprint of a key, and the number of a node that goes by it.
pub(crate) type Pair = (u64, Number);

/// The file that says how far the index is. Another version has another name, is not seen, and goes when the index is filled.
const META: &str = "meta-4";
const SUM_BYTES: usize = 32;
/// Bits of a fingerprint: of 10^9 keys one in a thousand has the fingerprint of another, which costs reading a node.
const FINGERPRINT_BITS: u32 = 40;
/// Nodes whose pairs are gathered before they become a run.
const BATCH_NODES: u32 = 1 << 17;

/// How far the index is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Meta {
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
    lists: Lists,
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
        let mut index = Self { place: Place::open(&path), path, meta: fresh_meta(catalogue), lists: Lists::new() };
        let found = index.found().ok().flatten().filter(|meta| is_of(meta, catalogue));
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

    /// Opens the index of a store, and throws away what was in it.
    pub(crate) fn anew(objects: &Objects, catalogue: &Catalogue) -> Self {
        let mut index = Self::open(objects, catalogue);
        index.renew(catalogue);
        index
    }

    /// Returns what is there, if it is of this version.
    fn found(&self) -> Result<Option<Meta>, Broken> {
        let Some(bytes) = self.place.read(META) else { return Ok(None) };
        meta_of(&bytes).map(Some).ok_or(Broken)
    }

    /// Opens the index of a store as it is, for an audit. `None` if there is none, another process has it, nothing was taken in
    /// yet, or another version made it.
    pub(crate) fn inspect(folder: &Path, catalogue: &Catalogue) -> Result<Option<Self>, Broken> {
        let path = folder.join("index");
        let Some(place) = Place::inspect(&path) else { return Ok(None) };
        let mut index = Self { path, place, meta: fresh_meta(catalogue), lists: Lists::new() };
        let Some(meta) = index.found()? else { return Ok(None) };
        if !is_of(&meta, catalogue) {
            return Err(Broken);
        }
        index.meta = meta;
        Ok(Some(index))
    }

    /// Throws away what there is.
    fn renew(&mut self, catalogue: &Catalogue) {
        self.meta = fresh_meta(catalogue);
        self.lists.clear();
        self.place.keep(&BTreeSet::new());
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
                self.renew(catalogue);
            }
            if self.catch_up(objects, catalogue)? == Ok(())
                && let Ok(numbers) =
                    runs::find(&self.place, &self.meta.runs, &mut self.lists, fingerprint(&self.meta.secret))
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
            match erasing::is_done(objects, catalogue, erasure) {
                Ok(false) => return Ok(()),
                // An audit tells of a broken one, and no look-up waits for it.
                Ok(true) | Err(StorageError::Corrupt { .. }) => {}
                Err(error @ (StorageError::Io { .. } | StorageError::Fenced { .. })) => return Err(error),
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
        runs::add(&mut self.place, &mut meta.runs, meta.commits, pairs)?;
        let bytes = encode(&meta)?;
        self.place.write(META, [blake3::hash(&bytes).as_bytes().as_slice(), &bytes].concat())?;
        let mut names = runs::names(&meta.runs);
        names.insert(META.to_owned());
        self.place.keep(&names);
        self.meta = meta;
        Ok(())
    }

    /// Returns all pairs.
    #[cfg(test)]
    pub(crate) fn pairs(&self) -> Result<Vec<Pair>, Broken> {
        let runs = self.meta.runs.iter().map(|run| run.load(&self.place)).collect::<Result<Vec<_>, _>>()?;
        Ok(runs.concat())
    }

    /// Compares the index with the segments, run by run; returns how many pairs it has and how many it should have where it
    /// differs. The outer error is of the log, the inner one of the index.
    pub(crate) fn difference(
        &self,
        objects: &Objects,
        catalogue: &Catalogue,
    ) -> Result<Result<Option<(usize, usize)>, Broken>, StorageError> {
        let mut from = 0;
        for run in &self.meta.runs {
            let to = run.end.min(catalogue.commits());
            let expected = pairs_of_commits(objects, catalogue, from, to, &self.meta.secret)?;
            let Ok(mut found) = run.load(&self.place) else { return Ok(Err(Broken)) };
            // Another process may have gone on, and its index with it.
            found.retain(|(_, number)| *number < catalogue.len());
            if found != expected {
                return Ok(Ok(Some((found.len(), expected.len()))));
            }
            from = to;
        }
        let whole = from == self.meta.commits.min(catalogue.commits());
        Ok(if whole { Ok(None) } else { Err(Broken) })
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

/// Reads how far an index is, behind its checksum.
fn meta_of(bytes: &[u8]) -> Option<Meta> {
    let (sum, bytes) = bytes.split_first_chunk::<SUM_BYTES>()?;
    decode(bytes).filter(|_| blake3::hash(bytes).as_bytes() == sum)
}

fn encode(value: &impl Encode) -> Result<Vec<u8>, Broken> {
    bincode::encode_to_vec(value, bincode::config::standard()).map_err(|_| Broken)
}

fn fresh_meta(catalogue: &Catalogue) -> Meta {
    let mut secret = [0; 32];
    // Without randomness the keys are less private, in an index that lies beside the plain text.
    random(&mut secret).unwrap_or_default();
    let home = *catalogue.home.as_bytes();
    Meta { home, secret, commits: 0, sifted: 0, last: [0; 32], runs: Vec::new() }
}

/// Tells whether an index is of this log. One that is ahead (another process's) is.
fn is_of(meta: &Meta, catalogue: &Catalogue) -> bool {
    let last = meta.commits.checked_sub(1).filter(|at| *at < catalogue.commits());
    let same = last.is_none_or(|at| first_id(catalogue, at) == meta.last);
    meta.home == *catalogue.home.as_bytes() && same
}

fn first_id(catalogue: &Catalogue, commit: u32) -> [u8; 32] {
    *catalogue.id(catalogue.commit(commit).first_node).as_bytes()
}

/// Returns the pairs of a range of commits, sorted.
/// Bytes of segments that are read before their pairs are made.
const AHEAD_BYTES: usize = 4 << 20;

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
    if let Some(ahead) =
        (from < to).then(|| objects.read_ahead(catalogue.commit(from).segment, catalogue.size())).flatten()
    {
        return pairs_ahead(objects, catalogue, from..to, &ahead, of_one);
    }
    let read = (from..to).into_par_iter().map_init(|| SegmentReader::new(objects), of_one);
    let mut pairs = read
        .try_fold(Vec::new, |all, pairs| pairs.map(|pairs| gather(all, pairs)))
        .try_reduce(Vec::new, |all, pairs| Ok(gather(all, pairs)))?;
    pairs.sort_unstable();
    Ok(pairs)
}

/// As [`pairs_of_commits`], of a bucket, where each segment would be asked for by itself.
fn pairs_ahead(
    objects: &Objects,
    catalogue: &Catalogue,
    commits: Range<u32>,
    ahead: &Ahead,
    of_one: impl Fn(&mut SegmentReader<'_>, u32) -> Result<Vec<Pair>, StorageError> + Sync,
) -> Result<Vec<Pair>, StorageError> {
    let mut pairs = Vec::new();
    let mut at = commits.start;
    while at < commits.end {
        let (mut batch, mut bytes) = (Vec::new(), 0_usize);
        while at < commits.end && bytes < AHEAD_BYTES {
            let first = catalogue.commit(at).segment;
            let end = (at..commits.end).find(|other| catalogue.commit(*other).segment != first).unwrap_or(commits.end);
            let segment = ahead.next(first);
            bytes = bytes.saturating_add(segment.as_ref().map_or(1 << 10, Vec::len));
            batch.push((at..end, first, segment));
            at = end;
        }
        let found = batch.into_par_iter().map(|(commits, first, segment)| {
            let mut reader = SegmentReader::new(objects);
            if let Some(segment) = segment {
                reader.hold(first, segment);
            }
            commits.map(|at| of_one(&mut reader, at)).collect::<Result<Vec<_>, _>>()
        });
        let found: Vec<Vec<Vec<Pair>>> = found.collect::<Result<_, _>>()?;
        pairs.extend(found.into_iter().flatten().flatten());
    }
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
    let bits = digest.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    bits >> u64::BITS.saturating_sub(FINGERPRINT_BITS)
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
        self.0.ask(|state| {
            let catalogue = &state.catalogue;
            let index = place.get_or_insert_with(|| Index::open(&self.0.objects, catalogue));
            let numbers = index.ask(&self.0.objects, catalogue, &fingerprint)?;
            Ok(answer(state, &numbers)?)
        })
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
