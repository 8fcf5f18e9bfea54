//! What a bundle would say of many roots, one after the other, without its proofs: for judging own records again.
//!
//! Ancestries overlap. What one root took is kept for the next, in bounded memory, and a node is read from its segment and
//! hashed against its id when it is first needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use griptrace_core::{
    bundle::{Anchor, Bundle, CommitPart, Disclosure, LogPart, StatusPart, SubjectOpening},
    cbor::encode,
    commit::Commit,
    details::Opening,
    entry::Entry,
    id::{NodeId, StatusKey},
    limits::NODES_MAX,
    node::{Kind, Role},
    tile::TILE_WIDTH,
    unproven::Unproven,
    word::Country,
};

use crate::{
    State, Store,
    adopted::{self, Sizes, Supplied},
    catalogue::Catalogue,
    error::{ProveError, ReadError, StorageError},
    evidence::signed_at,
    number::wide,
    placed::Number,
    prove::{
        Disclose, KEYS_DATED_MAX, ProveOptions,
        closure::{Closure, can_be_opened},
        crossing_leaves, first_covering,
        keys::{changes_of, first_key_revoked},
        names_files,
    },
    reading::SegmentReader,
    recent::Recent,
    record::NodeRecord,
    segment,
    tiles::TileReader,
};

/// The records of a store at one size of its log, to be taken out root by root, by several threads at once.
#[derive(Debug)]
pub struct Records {
    store: Store,
    state: RwLock<Arc<State>>,
    size: u64,
    genesis: Arc<[u8]>,
    /// Other companies' bundles, and when each was adopted.
    supplied: Vec<Arc<Supplied>>,
    adopted_at: Sizes,
    kept: Mutex<Kept>,
}

/// What was read before.
#[derive(Debug)]
struct Kept {
    nodes: Recent<Number, Arc<OwnNode>>,
    /// Commits' entries.
    commits: Recent<u32, Arc<[u8]>>,
    /// Checkpoints' notes by size.
    notes: Recent<u64, Arc<str>>,
    /// Status heads and key changes by index.
    heads: Recent<u64, Arc<[u8]>>,
}

/// A node as far as judging needs it.
#[derive(Debug)]
struct OwnNode {
    core: Arc<[u8]>,
    country: Option<Country>,
    /// Whether it names a node of another log.
    is_abroad: bool,
    /// Whether a bundle that ships it opens its manifest.
    opens_files: bool,
    values: Vec<(u8, Arc<[u8]>)>,
}

/// Bytes that a node takes in memory beside those of its core and details.
const NODE_BYTES: u64 = 160;
/// The same of a detail.
const VALUE_BYTES: u64 = 48;

impl OwnNode {
    fn bytes(&self) -> u64 {
        let values = self.values.iter().map(|(_, value)| wide(value.len()).saturating_add(VALUE_BYTES));
        values.fold(NODE_BYTES.saturating_add(wide(self.core.len())), u64::saturating_add)
    }
}

/// Which details of a kind are taken.
pub type Wanted<'a> = &'a (dyn Fn(Kind, u8) -> bool + Sync);

impl Store {
    /// Returns the records as they stand now. Up to about `memory` bytes are kept of what was read.
    ///
    /// # Errors
    /// `Storage` if the catalogue was damaged and can't be derived again, or an adopted bundle is damaged.
    pub fn records(&self, memory: u64) -> Result<Records, ReadError> {
        let state = self.0.read();
        // Made once, before several threads ask for it.
        state.catalogue.map();
        let size = state.catalogue.size();
        let kept = Kept {
            nodes: Recent::new(memory / 4 * 3),
            commits: Recent::new(memory / 8),
            notes: Recent::new(memory / 16),
            heads: Recent::new(memory / 16),
        };
        let genesis = encode(self.genesis()).into();
        let state = RwLock::new(state);
        let supplied = adopted::read_all(&self.0.objects)?;
        let adopted_at = adopted::read_sizes(&self.0.objects)?;
        Ok(Records { store: self.clone(), state, size, genesis, supplied, adopted_at, kept: Mutex::new(kept) })
    }
}

impl Records {
    /// Returns how many entries the log has in which the records stand.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns every Shipment, in log order.
    pub fn shipments(&self) -> Vec<NodeId> {
        let state = self.state();
        let catalogue = &state.catalogue;
        let shipments = catalogue.numbers().filter(|number| catalogue.node(*number).kind == Kind::Shipment);
        shipments.map(|number| catalogue.id(number)).collect()
    }

    /// Returns what a bundle about a Shipment or Model would say, with the details that are wanted.
    ///
    /// # Errors
    /// As [`Store::prove`].
    pub fn about(&self, root: &NodeId, wanted: Wanted<'_>) -> Result<Unproven<Arc<[u8]>>, ProveError> {
        loop {
            let state = self.state();
            let answer = Taking::new(self, &state).about(root, wanted);
            if !state.catalogue.is_damaged() {
                return answer;
            }
            // The answer rests on a damaged snapshot: it is thrown away, and numbers are the same when derived again.
            self.store.0.derive_again()?;
            let again = self.store.0.read();
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = again;
        }
    }

    /// Returns what was there of other companies' bundles when a root was recorded: what a bundle about it would have said
    /// of other logs then. `None` if that is no other than `now`, which [`Records::about`] returned.
    ///
    /// Of another log there is one status map, the newest that was adopted. It says what is marked, and not since when, so
    /// that the time of adoption is all that tells what came after the shipment. The own log stands as it is now.
    ///
    /// # Errors
    /// As [`Store::prove`], but that what no one bundle had then is left out.
    pub fn as_recorded<B: AsRef<[u8]>>(
        &self,
        root: &NodeId,
        now: &Unproven<B>,
    ) -> Result<Option<Unproven<Arc<[u8]>>>, ProveError> {
        let leaf = self.store.0.ask(|state| {
            let catalogue = &state.catalogue;
            let leaf = catalogue.number(root).map(|number| catalogue.leaf(number));
            leaf.ok_or(ProveError::NoNode { id: *root })
        })?;
        let was_there =
            |one: &Arc<Supplied>| self.adopted_at.get(&one.digest).is_some_and(|adopted_at| *adopted_at <= leaf);
        if now.logs() == 1 || self.supplied.iter().all(was_there) {
            return Ok(None);
        }
        let mut then: Vec<Arc<Supplied>> = self.supplied.iter().filter(|one| was_there(one)).cloned().collect();
        loop {
            match self.with_others(root, &then) {
                Err(ProveError::Apart { bundles, .. }) => then.retain(|one| !bundles.contains(&one.digest)),
                found => return found.map(Some),
            }
        }
    }

    /// Returns what belongs to a root whose ancestry leads to other logs: what is there of these, only a whole bundle tells.
    fn with_others(&self, id: &NodeId, supplied: &[Arc<Supplied>]) -> Result<Unproven<Arc<[u8]>>, ProveError> {
        let options = ProveOptions { disclose: Disclose::All, at: Some(self.size), ..ProveOptions::default() };
        let file = self.store.prove_with(id, &options, supplied)?;
        Ok(Unproven::of_file(&file).map_err(|e| StorageError::corrupt("a bundle that was just made", e))?)
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out what belongs to one root.
struct Taking<'a> {
    records: &'a Records,
    state: &'a State,
    catalogue: &'a Catalogue,
    segments: SegmentReader<'a>,
}

impl<'a> Taking<'a> {
    fn new(records: &'a Records, state: &'a State) -> Self {
        let segments = SegmentReader::new(&records.store.0.objects);
        Self { records, state, catalogue: &state.catalogue, segments }
    }

    fn about(&mut self, id: &NodeId, wanted: Wanted<'_>) -> Result<Unproven<Arc<[u8]>>, ProveError> {
        let (catalogue, size) = (self.catalogue, self.records.size);
        let root = catalogue.number(id).filter(|number| catalogue.leaf(*number) < size);
        let root = root.ok_or(ProveError::NoNode { id: *id })?;
        let kind = catalogue.node(root).kind;
        if !matches!(kind, Kind::Shipment | Kind::Model) {
            return Err(ProveError::RootKind { id: *id, kind });
        }
        let closure = Closure::walk(catalogue, catalogue.map(), size, [root]);
        // Numbers count through entries and then ids: the order of ordinals.
        let numbers: Vec<Number> = closure.all().into_iter().collect();
        if numbers.len() > NODES_MAX {
            let (limit, found) = (wide(NODES_MAX), wide(numbers.len()));
            return Err(ProveError::Limit { what: "nodes of a bundle", limit, found });
        }
        let nodes = self.nodes(&numbers, wanted)?;
        if nodes.iter().any(|node| node.is_abroad) {
            return self.records.with_others(id, &self.records.supplied);
        }
        let place = |number: Number| numbers.binary_search(&number).ok();
        let country = |number| place(number).and_then(|at| nodes.get(at)).and_then(|node| node.country);
        let leaves = crossing_leaves(catalogue, root, closure.members.iter().copied(), country);
        let leaves = leaves.into_iter().chain(self.last_leaves(&numbers)?);
        let sizes = leaves.map(|leaf| first_covering(catalogue, leaf)).chain([size]);
        let sizes =
            sizes.chain(first_key_revoked(self.state, size).filter(|size| catalogue.is_signed(*size))).collect();
        let ordinal = |number| wide(numbers.partition_point(|other| *other < number));
        Ok(Unproven::of(Bundle {
            root: ordinal(root),
            logs: vec![self.log_part(&numbers, &nodes, &sizes, (&closure, root))?],
            openings: openings(catalogue, &closure, size, ordinal),
            disclosures: (0..).zip(&nodes).filter_map(|(node, own)| disclosure(node, own)).collect(),
            manifests: (0..)
                .zip(&nodes)
                .filter(|(_, own)| own.opens_files)
                .map(|(node, _)| Unproven::<Vec<u8>>::opened(node))
                .collect(),
        }))
    }

    /// Returns nodes, ascending: those that were read before, and the others out of the segments in the order in which
    /// they lie there.
    fn nodes(&mut self, numbers: &[Number], wanted: Wanted<'_>) -> Result<Vec<Arc<OwnNode>>, StorageError> {
        let mut found: Vec<Option<Arc<OwnNode>>> = {
            let mut kept = self.records.kept();
            numbers.iter().map(|number| kept.nodes.get(*number, |node| node.bytes())).collect()
        };
        let missing: Vec<Number> =
            numbers.iter().zip(&found).filter(|(_, place)| place.is_none()).map(|(number, _)| *number).collect();
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let records = self.segments.cores(self.catalogue, &missing)?;
        let read = missing.iter().zip(records).map(|(number, record)| self.own(*number, record, wanted).map(Arc::new));
        let read = read.collect::<Result<Vec<_>, StorageError>>()?;
        let mut kept = self.records.kept();
        for (number, node) in missing.iter().zip(&read) {
            kept.nodes.put(*number, Arc::clone(node), node.bytes());
        }
        drop(kept);
        let places = found.iter_mut().filter(|place| place.is_none());
        places.zip(read).for_each(|(place, node)| *place = Some(node));
        Ok(found.into_iter().flatten().collect())
    }

    fn own(&mut self, number: Number, record: NodeRecord, wanted: Wanted<'_>) -> Result<OwnNode, StorageError> {
        let name = || segment::name(self.catalogue.commit_of(number).segment);
        let core = record.core().map_err(|e| StorageError::corrupt(name(), e))?;
        let opens_files = self.opens_files(number, core.kind, &record)?;
        let values = record.values.into_iter().filter(|(slot, _)| wanted(core.kind, *slot));
        let values = values.map(|(slot, value)| (slot, value.into())).collect();
        let is_abroad = core.edges.iter().any(|edge| edge.home.is_some());
        Ok(OwnNode { core: record.core.into(), country: core.country, is_abroad, opens_files, values })
    }

    /// Tells whether a bundle that ships a node opens its manifest. That is read only where something of the node was erased.
    fn opens_files(&mut self, number: Number, kind: Kind, record: &NodeRecord) -> Result<bool, StorageError> {
        let catalogue = self.catalogue;
        if kind != Kind::Model || !catalogue.node(number).attached || !names_files(kind, &record.values) {
            return Ok(false);
        }
        if !catalogue.incoming(number).any(|(role, _)| role == Role::Erases) {
            return Ok(true);
        }
        let whole = self.segments.whole(catalogue, number)?;
        Ok(whole.manifest.is_some_and(|manifest| manifest.secret.seed().is_some()))
    }

    fn log_part(
        &mut self,
        numbers: &[Number],
        nodes: &[Arc<OwnNode>],
        sizes: &BTreeSet<u64>,
        (closure, root): (&Closure, Number),
    ) -> Result<LogPart<Arc<[u8]>>, StorageError> {
        let mut entries = vec![(0, Arc::clone(&self.records.genesis))];
        for size in sizes {
            let index = size.saturating_sub(1);
            entries.push((index, self.tile_entry(index)?));
        }
        let mut parts: Vec<(u64, CommitPart<Arc<[u8]>>)> = Vec::new();
        let mut last = None;
        for (number, node) in numbers.iter().zip(nodes) {
            let at = self.catalogue.node(*number).commit;
            let placed = self.catalogue.commit(at);
            if last != Some(at) {
                entries.push((placed.leaf, self.commit(at)?));
                let part = CommitPart { entry: 0, places: Vec::new(), cores: Vec::new(), proof: Vec::new() };
                parts.push((placed.leaf, part));
                last = Some(at);
            }
            if let Some((_, part)) = parts.last_mut() {
                part.places.push(number.saturating_sub(placed.first_node).into());
                part.cores.push(Arc::clone(&node.core));
            }
        }
        for index in self.changes(&entries)? {
            entries.push((index, self.tile_entry(index)?));
        }
        entries.sort_unstable_by_key(|(index, _)| *index);
        let place = |leaf: u64| wide(entries.partition_point(|(index, _)| *index < leaf));
        let commits = parts.into_iter().map(|(leaf, part)| CommitPart { entry: place(leaf), ..part }).collect();
        let anchors = self.anchors(sizes, closure, root)?;
        Ok(LogPart { entries, inclusion: Vec::new(), anchors, commits })
    }

    /// Returns the anchors. The shipment's map is the beginning of the newest one: what it says is what stands there from
    /// below its size.
    fn anchors(
        &mut self,
        sizes: &BTreeSet<u64>,
        closure: &Closure,
        root: Number,
    ) -> Result<Vec<Anchor<Arc<[u8]>>>, StorageError> {
        let shipped = first_covering(self.catalogue, self.catalogue.leaf(root));
        let statuses = statuses(self.catalogue, closure);
        let catalogue = self.catalogue;
        let below = |size: u64| {
            let is_below = |id: &NodeId| catalogue.number(id).is_some_and(|s| catalogue.leaf(s) < size);
            let early = |ids: &Vec<NodeId>| ids.iter().copied().filter(is_below).collect::<Vec<_>>();
            let present = statuses.iter().map(|(key, ids)| (*key, early(ids))).filter(|(_, ids)| !ids.is_empty());
            StatusPart { present: present.collect(), proof: Arc::default(), further: Vec::new() }
        };
        let mut anchors = Vec::new();
        for size in sizes {
            let status = (*size == self.records.size || *size == shipped).then(|| below(*size));
            let note = self.note(*size)?.as_ref().to_owned();
            anchors.push(Anchor { note, consistency: Vec::new(), status });
        }
        Ok(anchors)
    }

    /// Returns the leaves of the last commits of these nodes by each key, as [`Keys`](crate::prove) has them.
    fn last_leaves(&mut self, numbers: &[Number]) -> Result<Vec<u64>, StorageError> {
        let commits: BTreeSet<u32> = numbers.iter().map(|number| self.catalogue.node(*number).commit).collect();
        let mut last = BTreeMap::new();
        for at in commits {
            let leaf = self.catalogue.commit(at).leaf;
            let read = Commit::parse(&self.commit(at)?);
            last.insert(read.map_err(|e| StorageError::corrupt(format!("entry {leaf}"), e))?.key(), leaf);
        }
        Ok(last.into_values().take(KEYS_DATED_MAX).collect())
    }

    fn commit(&mut self, at: u32) -> Result<Arc<[u8]>, StorageError> {
        if let Some(entry) = self.records.kept().commits.get(at, |entry| weight(entry)) {
            return Ok(entry);
        }
        let placed = self.catalogue.commit(at);
        let entry: Arc<[u8]> = self.segments.payload(placed.segment, placed.frame)?.into();
        self.records.kept().commits.put(at, Arc::clone(&entry), weight(&entry));
        Ok(entry)
    }

    fn note(&mut self, size: u64) -> Result<Arc<str>, StorageError> {
        if let Some(note) = self.records.kept().notes.get(size, |note| weight(note.as_bytes())) {
            return Ok(note);
        }
        let (_, note) = signed_at(self.state, &mut self.segments, size)?;
        let note: Arc<str> = note.into();
        self.records.kept().notes.put(size, Arc::clone(&note), weight(note.as_bytes()));
        Ok(note)
    }

    /// Returns the leaf indices of the key changes that lead to or from the keys of these commits.
    fn changes(&self, entries: &[(u64, Arc<[u8]>)]) -> Result<Vec<u64>, StorageError> {
        if self.state.keys.changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut keys = BTreeSet::from([self.records.store.genesis().key.id()]);
        for (index, entry) in entries {
            match Entry::parse(entry) {
                Ok(Entry::Commit(commit)) => drop(keys.insert(commit.key())),
                Ok(Entry::Genesis(_) | Entry::KeyChange(_) | Entry::StatusHead(_)) => {}
                Err(error) => return Err(StorageError::corrupt(format!("entry {index}"), error)),
            }
        }
        Ok(changes_of(self.state, self.records.size, &mut keys))
    }

    /// Returns a status head or key change. The status heads of the same tile are kept with it: they are asked for next.
    fn tile_entry(&mut self, index: u64) -> Result<Arc<[u8]>, StorageError> {
        if let Some(entry) = self.records.kept().heads.get(index, |entry| weight(entry)) {
            return Ok(entry);
        }
        let mut tiles = TileReader::new(&self.records.store.0.objects, self.catalogue);
        let entry: Arc<[u8]> = tiles.entry(index)?.into();
        let mut read = vec![(index, Arc::clone(&entry))];
        let begin = index - index % u64::from(TILE_WIDTH);
        let end = begin.saturating_add(TILE_WIDTH.into()).min(self.records.size);
        let heads = self.catalogue.first_head(begin)..self.catalogue.heads();
        let heads = heads.map(|at| self.catalogue.head(at).index).take_while(|other| *other < end);
        for other in heads.filter(|other| *other != index) {
            read.push((other, Arc::from(tiles.entry(other)?)));
        }
        let mut kept = self.records.kept();
        for (index, entry) in read {
            let bytes = weight(&entry);
            kept.heads.put(index, entry, bytes);
        }
        Ok(entry)
    }
}

/// Bytes that an entry takes in memory.
fn weight(bytes: &[u8]) -> u64 {
    wide(bytes.len()).saturating_add(VALUE_BYTES)
}

/// Returns the statuses of a closure by key, in log order.
fn statuses(catalogue: &Catalogue, closure: &Closure) -> BTreeMap<StatusKey, Vec<NodeId>> {
    let mut statuses = BTreeMap::new();
    if closure.statuses.is_empty() {
        return statuses;
    }
    for number in &closure.members {
        let key = catalogue.status_key(*number);
        let ids = catalogue.map().statuses(key.digest());
        if !ids.is_empty() {
            statuses.insert(key, ids.iter().copied().map(NodeId::new).collect());
        }
    }
    statuses
}

/// Opens in every assessment the subjects that belong to the closure. Salts and places are for proofs.
fn openings(
    catalogue: &Catalogue,
    closure: &Closure,
    size: u64,
    ordinal: impl Fn(Number) -> u64,
) -> Vec<SubjectOpening> {
    let mut opened: BTreeMap<Number, Vec<(u64, u64, [u8; 16])>> = BTreeMap::new();
    for subject in closure.members.iter().copied().filter(|n| can_be_opened(catalogue.node(*n).kind)) {
        let assessments = catalogue.assessments_of(&catalogue.id(subject));
        for assessment in assessments.filter(|assessment| catalogue.leaf(*assessment) < size) {
            let subjects = opened.entry(assessment).or_default();
            subjects.push((wide(subjects.len()), ordinal(subject), [0; 16]));
        }
    }
    let opening =
        |(assessment, subjects)| SubjectOpening { assessment: ordinal(assessment), subjects, proof: Vec::new() };
    opened.into_iter().map(opening).collect()
}

fn disclosure(node: u64, own: &OwnNode) -> Option<Disclosure<Arc<[u8]>>> {
    let slots: Vec<_> = own.values.iter().map(|(slot, value)| (*slot, [0; 16], Arc::clone(value))).collect();
    (!slots.is_empty()).then(|| Disclosure { node, opening: Opening { slots, proof: Vec::new() } })
}
