//! Bundles: the evidence for one shipment, gathered and checked before it is handed out.

mod abroad;
pub(crate) mod closure;
mod cosigned;
mod joint;
pub(crate) mod keys;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use griptrace_core::{
    bundle::{Anchor, Bundle, CommitPart, Disclosure, LogPart, ManifestOpening, StatusPart, SubjectOpening},
    checkpoint::Checkpoint,
    details::{Salt, Values, slot},
    digest::{COMMIT_TREE, Digest, SUBJECT_TREE},
    id::NodeId,
    key_change::key_status,
    limits::{ANCHORS_MAX, BUNDLE_BYTES_MAX, DETAIL_SLOTS, ENTRIES_MAX, LOGS_MAX, NODES_MAX},
    node::{Core, Kind, Role},
    status_map::StatusMap,
    tree::{Rfc9162, prove_leaves, root_from_leaves},
    word::Country,
};

use self::{
    abroad::Sources,
    closure::can_be_opened,
    cosigned::CosignedAnchors,
    joint::{Joiner, Joint},
    keys::{Keys, first_key_revoked},
};
use crate::{
    State, Store, Witnesses, adopted,
    adopted::Supplied,
    catalogue::Catalogue,
    error::{ProveError, StorageError},
    evidence::signed_at,
    number::wide,
    placed::{Number, PlacedCommit},
    reading::SegmentReader,
    record::{ManifestRecord, NodeRecord, Secret},
    segment,
    store::Inner,
    tiles::TileReader,
};

/// Which details a bundle opens, beyond content and manifest of every shipped model.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Disclose {
    /// The shipment's consignee, so that the buyer can compare it, and nothing else.
    #[default]
    Minimal,
    /// Every detail of every node.
    All,
    /// What is chosen, and nothing else.
    Chosen(Chosen),
}

/// Slots to open: of each kind, but for nodes that have slots of their own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chosen {
    /// Slots of every node of a kind.
    pub kinds: BTreeMap<Kind, Vec<u8>>,
    /// Slots of single nodes, in place of those of their kind.
    pub nodes: BTreeMap<NodeId, Vec<u8>>,
}

/// How to make a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProveOptions {
    /// Which details to open.
    pub disclose: Disclose,
    /// The size of a log that was signed, to prove under; `None` is now.
    pub at: Option<u64>,
    /// Sizes at which the log signed, up to that: whoever saw it then is shown that it only grew since. They date
    /// nothing that a checkpoint did not date before.
    pub since: Vec<u64>,
    /// Whose cosignatures to show. With a quorum among them, the checkpoints that date anything are those that it
    /// cosigned, and so is the newest one if it covers all there is to show.
    pub witnesses: Witnesses,
}

impl Disclose {
    /// Returns the slots that are opened of a node where it has them.
    pub fn slots(&self, kind: Kind, id: &NodeId) -> Vec<u8> {
        match self {
            Self::All => (0..DETAIL_SLOTS).collect(),
            Self::Minimal if kind == Kind::Shipment => slot(kind, "consignee").into_iter().collect(),
            Self::Minimal => Vec::new(),
            Self::Chosen(chosen) => {
                chosen.nodes.get(id).or_else(|| chosen.kinds.get(&kind)).cloned().unwrap_or_default()
            }
        }
    }
}

impl Store {
    /// Makes the bundle about a Shipment or, for a pre-check, a Model. The same state gives the same
    /// bytes. Time and memory are linear in the nodes.
    ///
    /// # Errors
    /// `NoNode`, `RootKind`; `NoCheckpoint` for a size that was not signed; `Limit` for what no verifier would read; `Storage` if what is read is not
    /// what was recorded.
    pub fn prove(&self, root: &NodeId, options: &ProveOptions) -> Result<Vec<u8>, ProveError> {
        self.prove_with(root, options, &adopted::read_all(&self.0.objects)?)
    }

    /// Makes it out of these bundles of other companies.
    pub(crate) fn prove_with(
        &self,
        root: &NodeId,
        options: &ProveOptions,
        supplied: &[Arc<Supplied>],
    ) -> Result<Vec<u8>, ProveError> {
        self.0.ask(|state| {
            let (number, size) = provable(state, root, options)?;
            prove(&self.0, state, number, size, options, supplied)
        })
    }
}

/// Makes the bundle; under the newest checkpoint that a quorum cosigned, if that covers all there is to show.
fn prove(
    inner: &Inner,
    state: &State,
    root: Number,
    size: u64,
    options: &ProveOptions,
    supplied: &[Arc<Supplied>],
) -> Result<Vec<u8>, ProveError> {
    let newest = Prover::new(inner, state, root, size, options, supplied)?;
    if options.at.is_some() || !options.witnesses.ask_for_a_quorum() {
        return newest.bundle();
    }
    // That a key which it rests on was retired since is not hidden either.
    let leaves = newest.nodes.iter().map(|number| state.catalogue.leaf(*number));
    let seen = options.since.iter().map(|size| size.saturating_sub(1));
    let last = leaves.chain(newest.keys.changes.iter().copied()).chain(seen).max().unwrap_or(0);
    match newest.cosigned.newest(inner, state, last, size)? {
        Some(cosigned) if cosigned < size => Prover::new(inner, state, root, cosigned, options, supplied)?.bundle(),
        Some(_) | None => newest.bundle(),
    }
}

/// Returns the number of what is to be proven, and the size of the log under which.
fn provable(state: &State, root: &NodeId, options: &ProveOptions) -> Result<(Number, u64), ProveError> {
    let catalogue = &state.catalogue;
    let size = options.at.unwrap_or(catalogue.size());
    if !catalogue.is_signed(size) {
        return Err(ProveError::NoCheckpoint { size });
    }
    let number = catalogue.number(root).filter(|number| catalogue.leaf(*number) < size);
    let number = number.ok_or(ProveError::NoNode { id: *root })?;
    let kind = catalogue.node(number).kind;
    if matches!(kind, Kind::Shipment | Kind::Model) {
        return Ok((number, size));
    }
    Err(ProveError::RootKind { id: *root, kind })
}

/// What reading the nodes of a bundle gives.
#[derive(Default)]
struct Gathered {
    cores: BTreeMap<Number, Vec<u8>>,
    countries: BTreeMap<Number, Option<Country>>,
    disclosures: Vec<Disclosure>,
    manifests: Vec<ManifestOpening>,
}

struct Prover<'a> {
    inner: &'a Inner,
    state: &'a State,
    catalogue: &'a Catalogue,
    root: Number,
    size: u64,
    /// The status map at that size.
    map: Cow<'a, StatusMap>,
    options: &'a ProveOptions,
    closure: Joint,
    /// The keys that the evidence rests on, and their changes.
    keys: Keys,
    /// Every node of this log; its ordinal is its place here.
    nodes: Vec<Number>,
    /// What other logs are taken from.
    sources: Sources<'a>,
    /// The nodes of other logs; their ordinals follow.
    ordinals: BTreeMap<NodeId, u64>,
    segments: SegmentReader<'a>,
    tiles: TileReader<'a>,
    cosigned: CosignedAnchors<'a>,
}

impl<'a> Prover<'a> {
    fn new(
        inner: &'a Inner,
        state: &'a State,
        root: Number,
        size: u64,
        options: &'a ProveOptions,
        supplied: &'a [Arc<Supplied>],
    ) -> Result<Self, ProveError> {
        let catalogue = &state.catalogue;
        let is_newest = size == catalogue.size();
        let map = if is_newest { Cow::Borrowed(catalogue.map()) } else { Cow::Owned(catalogue.map_at(size)) };
        let mut sources = Sources::new(catalogue.home, supplied);
        let mut segments = SegmentReader::new(&inner.objects);
        let closure = Joiner { catalogue, segments: &mut segments, sources: &mut sources }.walk(&map, size, root)?;
        // Numbers count through entries and then ids: the order of ordinals.
        let nodes = closure.own.all().into_iter().collect();
        let tiles = TileReader::new(&inner.objects, catalogue);
        let mut prover = Self {
            inner,
            state,
            catalogue,
            root,
            size,
            map,
            options,
            closure,
            keys: Keys::default(),
            nodes,
            sources,
            ordinals: BTreeMap::new(),
            segments,
            tiles,
            cosigned: CosignedAnchors::new(&options.witnesses),
        };
        prover.keys = prover.find_keys()?;
        Ok(prover)
    }

    fn bundle(mut self) -> Result<Vec<u8>, ProveError> {
        let foreign = self.foreign_logs()?;
        within("nodes of a bundle", self.nodes.len().saturating_add(self.ordinals.len()), NODES_MAX)?;
        let mut gathered = self.gather()?;
        let anchors = self.anchor_sizes(&gathered.countries)?;
        let own = self.log_part(core::mem::take(&mut gathered.cores), &anchors)?;
        let logs: Vec<LogPart> = [own].into_iter().chain(foreign).collect();
        within("logs of a bundle", logs.len(), LOGS_MAX)?;
        let mut openings = self.openings()?;
        self.add_foreign(&mut openings, &mut gathered)?;
        let Gathered { disclosures, manifests, .. } = gathered;
        let bundle = Bundle { root: self.ordinal(self.root), logs, openings, disclosures, manifests };
        let bytes = bundle.to_bytes();
        within("bytes of a bundle", bytes.len(), BUNDLE_BYTES_MAX)?;
        Ok(bytes)
    }

    fn ordinal(&self, number: Number) -> u64 {
        wide(self.nodes.partition_point(|other| *other < number))
    }

    fn has(&self, number: Number) -> bool {
        self.nodes.binary_search(&number).is_ok()
    }

    /// Returns the ordinal of a node that an assessment can open, of whichever log.
    fn subject(&self, id: &NodeId) -> Option<u64> {
        let Some(number) = self.catalogue.number(id) else { return self.ordinals.get(id).copied() };
        let is_subject = self.has(number) && can_be_opened(self.catalogue.node(number).kind);
        is_subject.then(|| self.ordinal(number))
    }

    /// Reads every node once, and opens what is to be opened.
    fn gather(&mut self) -> Result<Gathered, ProveError> {
        let shipped: BTreeSet<Number> = match self.catalogue.node(self.root).kind {
            Kind::Shipment => self.catalogue.to(self.root, Role::Ships).collect(),
            Kind::Dataset | Kind::Transformation | Kind::Model | Kind::Assessment | Kind::Status | Kind::Erasure => {
                [self.root].into()
            }
        };
        let mut gathered = Gathered::default();
        for (ordinal, number) in (0..).zip(self.nodes.clone()) {
            let is_shipped = shipped.contains(&number);
            let record = if is_shipped {
                self.segments.whole(self.catalogue, number)?
            } else {
                self.segments.core(self.catalogue, number)?
            };
            let core = self.read_core(number, &record)?;
            let mut slots = self.options.disclose.slots(core.kind, &self.catalogue.id(number));
            if is_shipped {
                // One of which a file was erased can't be opened whole, and only whole ones are; and only beside both
                // digests, which whoever verifies holds the files against.
                if let Some(ManifestRecord { secret: Secret::Seed(seed), files }) = record.manifest
                    && names_files(core.kind, &record.values)
                {
                    gathered.manifests.push(ManifestOpening { node: ordinal, seed, files });
                }
                slots.extend(over_files(core.kind));
            }
            if let Some(opening) = record.secret.open(core.kind, &record.values, &slots) {
                gathered.disclosures.push(Disclosure { node: ordinal, opening });
            }
            gathered.countries.insert(number, core.country);
            gathered.cores.insert(number, record.core);
        }
        Ok(gathered)
    }

    fn read_core(&self, number: Number, record: &NodeRecord) -> Result<Core, StorageError> {
        let name = || segment::name(self.catalogue.commit_of(number).segment);
        record.core().map_err(|e| StorageError::corrupt(name(), e))
    }

    /// Returns the sizes of the checkpoints that date the root, every crossing and what each key signed, of those since which
    /// growth is to be shown, and of the newest.
    fn anchor_sizes(&self, countries: &BTreeMap<Number, Option<Country>>) -> Result<BTreeSet<u64>, ProveError> {
        let country = |number| countries.get(&number).copied().flatten();
        let members = || self.closure.own.members.iter().copied();
        let mut leaves = crossing_leaves(self.catalogue, self.root, members(), country);
        for number in members() {
            let here = country(number);
            let mut foreign = self.closure.edges_of(number).filter_map(|id| self.foreign_core(id)).map(|c| c.country);
            if foreign.any(|there| here.is_none() || here != there) {
                leaves.insert(self.catalogue.leaf(number));
            }
        }
        leaves.extend(self.keys.last.values().take(KEYS_DATED_MAX));
        // What was assessed after the shipment counts for whoever ships on, if it was there before that.
        let shipped = self.catalogue.leaf(self.root);
        let assessed = members().filter(|number| self.catalogue.node(*number).kind == Kind::Assessment);
        leaves.extend(
            assessed.map(|number| self.catalogue.leaf(number)).filter(|leaf| *leaf > shipped).take(KEYS_DATED_MAX),
        );
        let mut sizes: BTreeSet<u64> = [self.size].into();
        for leaf in leaves {
            sizes.insert(self.first_covering(leaf)?);
        }
        for size in self.options.since.iter().copied() {
            if size > self.size || !self.catalogue.is_signed(size) {
                return Err(ProveError::NoCheckpoint { size });
            }
            sizes.insert(size);
        }
        // Who has the log's first key alone believes this genesis by that key's signature, and a revoker's change has none.
        sizes.extend(
            first_key_revoked(self.state, self.size).into_iter().filter(|size| self.catalogue.is_signed(*size)),
        );
        within("checkpoints of a bundle", sizes.len(), ANCHORS_MAX)?;
        Ok(sizes)
    }

    /// Rule R7: returns the size of the checkpoint that dates a leaf: the first that a quorum cosigned, or, if there
    /// is none, the first that was published.
    fn first_covering(&self, leaf: u64) -> Result<u64, StorageError> {
        let cosigned = self.cosigned.first(self.inner, self.state, leaf, self.size)?;
        Ok(cosigned.unwrap_or_else(|| first_covering(self.catalogue, leaf)))
    }

    fn log_part(&mut self, mut cores: BTreeMap<Number, Vec<u8>>, sizes: &BTreeSet<u64>) -> Result<LogPart, ProveError> {
        let commits: BTreeSet<u32> = self.nodes.iter().map(|number| self.catalogue.node(*number).commit).collect();
        let placed = |commit: &u32| self.catalogue.commit(*commit);
        let leaves = commits.iter().map(|commit| placed(commit).leaf);
        let heads = sizes.iter().map(|size| size.saturating_sub(1));
        let changes = self.keys.changes.iter().copied();
        let indices: BTreeSet<u64> = [0].into_iter().chain(leaves).chain(heads).chain(changes).collect();
        let indices: Vec<u64> = indices.into_iter().collect();
        within("entries of a bundle", indices.len(), ENTRIES_MAX)?;
        let entries = indices.iter().map(|index| Ok((*index, self.tiles.entry(*index)?)));
        let entries: Vec<(u64, Vec<u8>)> = entries.collect::<Result<_, StorageError>>()?;
        let inclusion = self.tiles.inclusion(&indices, self.size)?;
        let anchors = self.anchors(sizes)?;
        self.check_inclusion(&entries, &inclusion, &anchors)?;
        let mut parts = Vec::new();
        for commit in &commits {
            let commit = placed(commit);
            let entry = wide(indices.partition_point(|index| *index < commit.leaf));
            parts.push(self.commit_part(&commit, entry, &mut cores)?);
        }
        let anchors = anchors.into_iter().map(|(anchor, _)| anchor).collect();
        Ok(LogPart { entries, inclusion, anchors, commits: parts })
    }

    fn commit_part(
        &self,
        commit: &PlacedCommit,
        entry: u64,
        cores: &mut BTreeMap<Number, Vec<u8>>,
    ) -> Result<CommitPart, ProveError> {
        let numbers = commit.first_node..commit.first_node.saturating_add(commit.nodes);
        let all: Vec<Digest> = numbers.clone().map(|number| *self.catalogue.id(number).digest()).collect();
        let chosen: Vec<(Number, Vec<u8>)> = numbers.filter_map(|n| Some((n, cores.remove(&n)?))).collect();
        let places: Vec<u64> = chosen.iter().map(|(n, _)| u64::from(n.saturating_sub(commit.first_node))).collect();
        let proof = prove_leaves(&COMMIT_TREE, &all, &places)
            .map_err(|e| StorageError::corrupt(segment::name(commit.segment), e))?;
        Ok(CommitPart { entry, places, cores: chosen.into_iter().map(|(_, core)| core).collect(), proof })
    }

    fn anchors(&mut self, sizes: &BTreeSet<u64>) -> Result<Vec<(Anchor, Checkpoint)>, ProveError> {
        let newest = self.size;
        let shipped = self.first_covering(self.catalogue.leaf(self.root))?;
        let mut anchors = Vec::new();
        let nexts = sizes.iter().skip(1).copied().map(Some).chain([None]);
        for (size, next) in sizes.iter().copied().zip(nexts) {
            let (checkpoint, note) = self.checkpoint(size)?;
            let consistency = next.map_or(Ok(Vec::new()), |next| self.tiles.consistency(size, next))?;
            let status = if size == newest || size == shipped { Some(self.status_part(size)?) } else { None };
            anchors.push((Anchor { note, consistency, status }, checkpoint));
        }
        Ok(anchors)
    }

    fn checkpoint(&mut self, size: u64) -> Result<(Checkpoint, String), ProveError> {
        let (head, note) = signed_at(self.state, &mut self.segments, size)?;
        let cosigned = self.cosigned.note(self.inner, self.state, size)?;
        let origin = self.inner.genesis.origin.clone();
        Ok((Checkpoint { origin, size, root: head.root }, cosigned.unwrap_or(note)))
    }

    /// Answers for the nodes of this log and, this being the first, for every signed assessment (Rule R5).
    fn status_part(&mut self, size: u64) -> Result<StatusPart, ProveError> {
        let older: (StatusMap, Joint);
        let (map, closure) = if size == self.size {
            (&*self.map, &self.closure)
        } else {
            let map = self.catalogue.map_at(size);
            let mut joiner =
                Joiner { catalogue: self.catalogue, segments: &mut self.segments, sources: &mut self.sources };
            let closure = joiner.walk(&map, size, self.root)?;
            older = (map, closure);
            (&older.0, &older.1)
        };
        let mut keys = closure.own.keys(self.catalogue, map, size);
        for key in self.sources.signed(&closure.abroad) {
            keys.insert(key, map.statuses(key.digest()).iter().copied().map(NodeId::new).collect());
        }
        // A key that retired later has no status under an older map either: only the newest is asked.
        let asked = self.keys.keys.iter().filter(|_| size == self.size).map(key_status);
        let digests: Vec<Digest> = keys.keys().copied().chain(asked).map(|key| *key.digest()).collect();
        let proof = map.prove(&digests).into_bytes();
        let present = keys.into_iter().filter(|(_, ids)| !ids.is_empty()).collect();
        Ok(StatusPart { present, proof, further: Vec::new() })
    }

    /// Opens in every assessment the subjects that belong to the closure.
    fn openings(&mut self) -> Result<Vec<SubjectOpening>, ProveError> {
        let mut openings = Vec::new();
        let members = self.closure.own.members.iter().copied();
        let assessments: Vec<Number> = members.filter(|n| self.catalogue.node(*n).kind == Kind::Assessment).collect();
        for number in assessments {
            openings.extend(self.opening(number)?);
        }
        Ok(openings)
    }

    fn opening(&mut self, number: Number) -> Result<Option<SubjectOpening>, ProveError> {
        let mut leaves = Vec::new();
        let mut subjects: BTreeMap<u64, (u64, Salt)> = BTreeMap::new();
        let siblings = self.catalogue.siblings(number).into_iter();
        for sibling in siblings.filter(|sibling| self.catalogue.leaf(*sibling) < self.size) {
            let Some(known) = self.segments.whole(self.catalogue, sibling)?.subjects else { continue };
            for (id, salt, index) in known.openings {
                if let Some(ordinal) = self.subject(&id) {
                    subjects.insert(index, (ordinal, salt));
                }
            }
            leaves = known.leaves;
        }
        let indices: Vec<u64> = subjects.keys().copied().collect();
        if indices.is_empty() {
            return Ok(None);
        }
        let name = || segment::name(self.catalogue.commit_of(number).segment);
        let proof = prove_leaves(&SUBJECT_TREE, &leaves, &indices).map_err(|e| StorageError::corrupt(name(), e))?;
        let subjects = subjects.into_iter().map(|(index, (ordinal, salt))| (index, ordinal, salt)).collect();
        Ok(Some(SubjectOpening { assessment: self.ordinal(number), subjects, proof }))
    }

    /// Checks what goes out against the newest checkpoint: tiles that were damaged show here, and
    /// not at the buyer's.
    fn check_inclusion(
        &self,
        entries: &[(u64, Vec<u8>)],
        inclusion: &[Digest],
        anchors: &[(Anchor, Checkpoint)],
    ) -> Result<(), StorageError> {
        let leaves: Vec<(u64, Digest)> = entries.iter().map(|(i, entry)| (*i, Rfc9162::leaf_hash(entry))).collect();
        let root = root_from_leaves(&Rfc9162, self.size, &leaves, inclusion);
        for pair in anchors.windows(2) {
            let [(anchor, old), (_, new)] = pair else { continue };
            griptrace_core::tree::verify_consistency(
                &Rfc9162,
                griptrace_core::tree::TreeSize::new(old.size),
                &old.root,
                griptrace_core::tree::TreeSize::new(new.size),
                &new.root,
                &anchor.consistency,
            )
            .map_err(|e| StorageError::corrupt("tile", format!("checkpoints {} and {}: {e}", old.size, new.size)))?;
        }
        let expected = anchors.last().map(|(_, checkpoint)| checkpoint.root);
        if root.as_ref().ok() == expected.as_ref() {
            return Ok(());
        }
        let found = root.map_or_else(|e| e.to_string(), |root| root.to_string());
        let expected = expected.map_or_else(|| "none".to_owned(), |root| root.to_string());
        Err(StorageError::corrupt("tile", format!("the entries lead to root {found}, the checkpoint says {expected}")))
    }
}

/// Returns the leaves that a date is judged by: that of a root, and those of what takes data across a border behind it.
pub(crate) fn crossing_leaves(
    catalogue: &Catalogue,
    root: Number,
    members: impl Iterator<Item = Number>,
    country: impl Fn(Number) -> Option<Country>,
) -> BTreeSet<u64> {
    let mut leaves: BTreeSet<u64> = [catalogue.leaf(root)].into();
    for number in members {
        let here = country(number);
        let crosses = |parent: Number| here.is_none() || here != country(parent);
        // What came out of a step is in the step's commit: the same leaf dates it.
        if catalogue.parents(number).any(crosses) {
            leaves.insert(catalogue.leaf(number));
        }
    }
    leaves
}

/// Returns the size of the first published checkpoint that covers a leaf.
pub(crate) fn first_covering(catalogue: &Catalogue, leaf: u64) -> u64 {
    let head = catalogue.first_head(leaf);
    catalogue.head(head).index.saturating_add(1)
}

/// Keys of which a bundle dates what they signed: more of them would crowd out the checkpoints that date crossings.
pub(crate) const KEYS_DATED_MAX: usize = ANCHORS_MAX / 4;

/// Returns the slots of the digests over a node's files.
fn over_files(kind: Kind) -> impl Iterator<Item = u8> {
    ["content", "manifest"].into_iter().filter_map(move |name| slot(kind, name))
}

/// Tells whether a node's details name its files by both digests: without them no manifest of it is opened.
pub(crate) fn names_files(kind: Kind, values: &Values) -> bool {
    over_files(kind).all(|slot| values.contains_key(&slot))
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), ProveError> {
    if found <= limit {
        return Ok(());
    }
    Err(ProveError::Limit { what, limit: wide(limit), found: wide(found) })
}
