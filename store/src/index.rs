//! The index: nodes by name, by content and by what was recorded. Derived and disposable.
//!
//! It rests in sled (`shelf`), catches up with the log when it is asked, and is filled anew from
//! the segments when it is missing, broken or of another log. Where another process has it open,
//! this one keeps its own in memory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bincode::{Decode, Encode};
use griptrace_core::{
    details::{read_value, slot},
    digest::Digest,
    id::NodeId,
    node::{Core, Kind, Mark, Role},
};

use crate::{
    Store,
    catalogue::{Catalogue, Number, PlacedCommit},
    error::{ReadError, StorageError},
    number::{place, wide},
    objects::Objects,
    random,
    reading::SegmentReader,
    record::NodeRecord,
    recorded::{Unit, units},
    segment,
    shelf::{Broken, Pair, Shelf},
};

const NAME: u8 = b'n';
const CONTENT: u8 = b'c';
const UNIT: u8 = b'u';
const META: &[u8] = b"meta";
/// The version of the keys and values: another one is filled anew.
const VERSION: u32 = 1;
/// Pairs that are written at once.
const BATCH_PAIRS: usize = 4096;

/// How far the index is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Meta {
    version: u32,
    home: [u8; 32],
    /// What makes the keys of units private.
    secret: [u8; 32],
    commits: u32,
    /// The first node of the last commit: another log's index shows by it.
    last: [u8; 32],
}

/// Where the pairs are.
enum Place {
    Disk(Shelf),
    Memory(BTreeMap<Vec<u8>, Vec<u8>>),
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
    pub(crate) fn open(folder: &Path, catalogue: &Catalogue) -> Self {
        let path = folder.join("index");
        let place = Shelf::open(&path).map_or_else(|| Place::Memory(BTreeMap::new()), Place::Disk);
        let fresh = fresh_meta(catalogue);
        let mut index = Self { path, place, meta: fresh };
        let found = index.place.get(META).ok().flatten();
        let found = found.and_then(|bytes| decode::<Meta>(&bytes)).filter(|meta| is_of(meta, catalogue));
        match found {
            Some(meta) => index.meta = meta,
            None => index.renew(catalogue),
        }
        index
    }

    /// Throws away what there is.
    fn renew(&mut self, catalogue: &Catalogue) {
        self.meta = fresh_meta(catalogue);
        let place = core::mem::replace(&mut self.place, Place::Memory(BTreeMap::new()));
        if let Place::Disk(disk) = place
            && let Some(disk) = disk.renew()
        {
            self.place = Place::Disk(disk);
        }
    }

    /// Asks, and where the index breaks, fills it anew and asks again; the second time in memory,
    /// which does not break.
    fn ask<T>(
        &mut self,
        objects: &Objects,
        catalogue: &Catalogue,
        question: impl Fn(&Self) -> Result<T, Broken>,
    ) -> Result<T, StorageError> {
        for attempt in 0..3 {
            if attempt == 1 {
                self.renew(catalogue);
            }
            if attempt == 2 {
                self.place = Place::Memory(BTreeMap::new());
                self.meta = fresh_meta(catalogue);
            }
            if self.catch_up(objects, catalogue)? == Ok(())
                && let Ok(answer) = question(self)
            {
                return Ok(answer);
            }
        }
        Err(StorageError::corrupt("index", "it breaks again and again; delete it"))
    }

    /// Takes in the commits that came since. The outer error is of the log, the inner one of the
    /// index.
    fn catch_up(&mut self, objects: &Objects, catalogue: &Catalogue) -> Result<Result<(), Broken>, StorageError> {
        let mut reader = SegmentReader::new(objects);
        let mut pairs = Vec::new();
        let from = place(self.meta.commits);
        for (at, commit) in catalogue.commits.iter().enumerate().skip(from) {
            let nodes = read_commit(&mut reader, catalogue, commit)?;
            pairs.extend(pairs_of(&nodes, commit.first_node, &self.meta.secret));
            self.meta.commits = u32::try_from(at.saturating_add(1)).unwrap_or(u32::MAX);
            self.meta.last = first_id(catalogue, commit);
            if pairs.len() >= BATCH_PAIRS && self.flush(&mut pairs).is_err() {
                return Ok(Err(Broken));
            }
        }
        if place(self.meta.commits) == from { Ok(Ok(())) } else { Ok(self.flush(&mut pairs)) }
    }

    fn flush(&mut self, pairs: &mut Vec<Pair>) -> Result<(), Broken> {
        let meta = bincode::encode_to_vec(&self.meta, bincode::config::standard()).map_err(|_| Broken)?;
        pairs.push((META.to_vec(), meta));
        self.place.write(core::mem::take(pairs))
    }

    /// Returns the ids under a prefix, in log order, that this store's log has.
    fn ids(&self, prefix: &[u8], catalogue: &Catalogue) -> Result<Vec<NodeId>, Broken> {
        let pairs = self.place.scan(prefix)?;
        let ids = pairs.into_iter().filter_map(|(_, value)| value.try_into().ok());
        let ids = ids.map(|bytes| NodeId::new(Digest::from_bytes(bytes)));
        Ok(ids.filter(|id| catalogue.number(id).is_some()).collect())
    }

    /// Tells which pairs of a commit the index lacks or has otherwise.
    pub(crate) fn lacks(&self, nodes: &[(NodeId, Core, NodeRecord)], first: Number) -> Result<usize, Broken> {
        let expected = pairs_of(nodes, first, &self.meta.secret);
        let mut lacking = 0;
        for (key, value) in expected {
            lacking += usize::from(self.place.get(&key)? != Some(value));
        }
        Ok(lacking)
    }

    /// Tells how many commits it has taken in.
    pub(crate) const fn commits(&self) -> u32 {
        self.meta.commits
    }
}

impl Place {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        match self {
            Self::Disk(disk) => disk.get(key),
            Self::Memory(pairs) => Ok(pairs.get(key).cloned()),
        }
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, Broken> {
        match self {
            Self::Disk(disk) => disk.scan(prefix),
            Self::Memory(pairs) => {
                let from = pairs.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
                Ok(from.map(|(key, value)| (key.clone(), value.clone())).collect())
            }
        }
    }

    fn write(&mut self, new: Vec<Pair>) -> Result<(), Broken> {
        match self {
            Self::Disk(disk) => disk.write(new),
            Self::Memory(pairs) => {
                pairs.extend(new);
                Ok(())
            }
        }
    }
}

fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    bincode::decode_from_slice(bytes, bincode::config::standard()).ok().map(|(value, _)| value)
}

fn fresh_meta(catalogue: &Catalogue) -> Meta {
    let mut secret = [0; 32];
    // Without randomness the keys are less private, in an index that lies beside the plain text.
    random(&mut secret).unwrap_or_default();
    Meta { version: VERSION, home: *catalogue.home.as_bytes(), secret, commits: 0, last: [0; 32] }
}

/// Tells whether an index is of this log. One that is ahead (another process's) is.
fn is_of(meta: &Meta, catalogue: &Catalogue) -> bool {
    let last = meta.commits.checked_sub(1).and_then(|at| catalogue.commits.get(place(at)));
    let same = last.is_none_or(|commit| first_id(catalogue, commit) == meta.last);
    meta.version == VERSION && meta.home == *catalogue.home.as_bytes() && same
}

fn first_id(catalogue: &Catalogue, commit: &PlacedCommit) -> [u8; 32] {
    catalogue.nodes_of(commit).first().map_or([0; 32], |node| *node.id.as_bytes())
}

/// Reads all nodes of a commit.
pub(crate) fn read_commit(
    reader: &mut SegmentReader<'_>,
    catalogue: &Catalogue,
    commit: &PlacedCommit,
) -> Result<Vec<(NodeId, Core, NodeRecord)>, StorageError> {
    let numbers = commit.first_node..commit.first_node.saturating_add(commit.nodes);
    let read = |number| {
        let record = reader.whole(catalogue, number)?;
        let core = record.core().map_err(|e| StorageError::corrupt(segment::name(commit.segment), e))?;
        Ok((catalogue.node(number).id, core, record))
    };
    numbers.map(read).collect()
}

/// Returns all that the index holds of a commit.
fn pairs_of(nodes: &[(NodeId, Core, NodeRecord)], first: Number, secret: &[u8; 32]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (number, (id, core, record)) in (first..).zip(nodes) {
        let mut add = |prefix: Vec<u8>| {
            pairs.push(([prefix, number.to_be_bytes().to_vec()].concat(), id.as_bytes().to_vec()));
        };
        if let Some(name) = text(core.kind, record, "name") {
            add(name_prefix(&name));
        }
        contents(core.kind, record).iter().for_each(|digest| add(digest_prefix(CONTENT, digest)));
    }
    for unit in units(nodes) {
        let ids: Vec<[u8; 32]> = unit.places.iter().filter_map(|at| nodes.get(*at)).map(|n| *n.0.as_bytes()).collect();
        // In log order, and equal units of one commit apart.
        let lead = unit.places.first().copied().map_or(0, wide);
        let key = [digest_prefix(UNIT, &unit.key(secret)), first.to_be_bytes().to_vec(), lead.to_be_bytes().to_vec()];
        pairs.push((key.concat(), ids.concat()));
    }
    pairs
}

fn name_prefix(name: &str) -> Vec<u8> {
    // Its length first: no name is the beginning of another one's key.
    [&[NAME], wide(name.len()).to_be_bytes().as_slice(), name.as_bytes()].concat()
}

fn digest_prefix(kind: u8, digest: &Digest) -> Vec<u8> {
    [&[kind], digest.as_bytes().as_slice()].concat()
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
    /// `Storage` if the log can't be read to fill the index.
    pub fn by_name(&self, name: &str) -> Result<Vec<NodeId>, ReadError> {
        self.ask(|index, catalogue| index.ids(&name_prefix(name), catalogue))
    }

    /// Returns the datasets and models with this content, in log order: by the content digest in
    /// their details, or by BLAKE3 or SHA-256 of any one file of a model.
    ///
    /// # Errors
    /// As [`Self::by_name`].
    pub fn by_content(&self, digest: &Digest) -> Result<Vec<NodeId>, ReadError> {
        self.ask(|index, catalogue| index.ids(&digest_prefix(CONTENT, digest), catalogue))
    }

    /// Returns the ids under which the same unit was recorded before, in the order of `unit`: a
    /// source, or a Transformation with all its outputs. `None` if it was not, if any of it was
    /// withdrawn, superseded, recalled, refused or erased since, or if it is no unit.
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
        let found = self.ask(|index, catalogue| {
            let pairs = index.place.scan(&digest_prefix(UNIT, &unit.key(&index.meta.secret)))?;
            Ok(pairs.iter().rev().find_map(|(_, ids)| still_good(catalogue, ids)))
        })?;
        Ok(found.and_then(|ids| in_order(unit, &ids)))
    }

    fn ask<T>(&self, question: impl Fn(&Index, &Catalogue) -> Result<T, Broken>) -> Result<T, ReadError> {
        let mut index = self.0.index();
        let state = self.0.read();
        let catalogue = &state.catalogue;
        let index = index.get_or_insert_with(|| Index::open(self.0.objects.root(), catalogue));
        Ok(index.ask(&self.0.objects, catalogue, |index| question(index, catalogue))?)
    }
}

/// Returns the ids of a unit, if they are of this log and nothing has put any of them aside.
fn still_good(catalogue: &Catalogue, ids: &[u8]) -> Option<Vec<NodeId>> {
    let (ids, _) = ids.as_chunks::<32>();
    let ids: Vec<NodeId> = ids.iter().map(|bytes| NodeId::new(Digest::from_bytes(*bytes))).collect();
    let good = |id: &NodeId| {
        let number = catalogue.number(id)?;
        let aside = catalogue.incoming(number).any(|(role, from)| match role {
            Role::Erases => true,
            Role::Marks => catalogue.node(from).mark.is_some_and(|m| m.is_terminal() || m == Mark::Supersede),
            Role::Used | Role::GeneratedBy | Role::Ships | Role::Successor => false,
        });
        (!aside).then_some(())
    };
    ids.iter().try_for_each(good).map(|()| ids)
}

/// Puts the ids of a unit into the order in which its nodes were given.
fn in_order(unit: &Unit, ids: &[NodeId]) -> Option<Vec<NodeId>> {
    let mut placed: Vec<(usize, NodeId)> = unit.places.iter().copied().zip(ids.iter().copied()).collect();
    placed.sort_unstable();
    (placed.len() == ids.len()).then(|| placed.into_iter().map(|(_, id)| id).collect())
}
