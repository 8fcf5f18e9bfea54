//! What a bundle says, arranged for a reader. Nothing here checks anything: that is the verifier's work.

use core::fmt;
use std::collections::BTreeMap;

use griptrace_core::{
    bundle::{Bundle, LogPart, bundle_digest},
    checkpoint::Checkpoint,
    details::{read_value, slot_name},
    digest::Digest,
    entry::Entry,
    id::NodeId,
    manifest::FileRecord,
    node::{Activity, Core, Kind, Origin, Role, node_id},
    note::Note,
    value::Value,
};

use crate::error::CommandError;

/// Steps that are told of each source behind them; of more, only how many there are.
pub(crate) const NOTED_MAX: usize = 512;
const WORDS: usize = NOTED_MAX / 64;

/// A set of the steps that are told of each source.
type Noted = [u64; WORDS];

/// What a reader calls a node within one dossier: `S1`, `T3`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Label {
    /// What it is.
    pub(crate) letter: Letter,
    /// Its number among its like, from 1.
    pub(crate) number: usize,
}

/// What a node is to a reader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Letter {
    /// A shipment.
    X,
    /// A model.
    M,
    /// A source.
    S,
    /// A data set that was made from others.
    D,
    /// A step.
    T,
    /// An assessment.
    A,
    /// A mark.
    R,
    /// An erasure.
    E,
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.letter, self.number)
    }
}

/// One node, with all that the bundle says of it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: NodeId,
    pub(crate) label: Label,
    /// Its place in [`Facts::items`].
    pub(crate) place: usize,
    pub(crate) core: Core,
    /// Opened details, by slot: name, or number of a slot without a name.
    pub(crate) details: Vec<(String, Value)>,
    /// The files, where they are opened.
    pub(crate) files: Option<Vec<FileRecord>>,
    /// Nodes here that it names as parents.
    pub(crate) parents: Vec<usize>,
    /// Parents that it names and that are not here.
    pub(crate) absent: Vec<NodeId>,
    /// Nodes here that name it as a parent.
    pub(crate) children: Vec<usize>,
    /// Assessments that open it.
    pub(crate) assessed_by: Vec<usize>,
    /// Marks here that are on it.
    pub(crate) marks: Vec<usize>,
    /// Details that an erasure here took.
    pub(crate) erased: Vec<String>,
    /// The longest way from something without parents.
    pub(crate) depth: usize,
    /// Annotations and anonymisations between it and the root, by place in [`Facts::noted`].
    noted: Noted,
}

impl Item {
    /// Returns an opened detail.
    pub(crate) fn detail(&self, name: &str) -> Option<&Value> {
        self.details.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns the name, if it is opened.
    pub(crate) fn name(&self) -> Option<&str> {
        self.detail("name").and_then(Value::as_text)
    }

    /// Tells whether it is a Dataset at which the ancestry may end (Rule R1).
    pub(crate) fn is_source(&self) -> bool {
        is_source(&self.core)
    }
}

/// A log, as its newest checkpoint says.
#[derive(Debug)]
pub(crate) struct LogFact {
    pub(crate) origin: String,
    pub(crate) size: u64,
    /// The log's own time of it: Unix time in seconds.
    pub(crate) time: Option<u64>,
}

/// All that a bundle says.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) digest: Digest,
    pub(crate) bytes: usize,
    /// The nodes, in the order of their labels.
    pub(crate) items: Vec<Item>,
    /// The root's place among them.
    pub(crate) root: usize,
    pub(crate) logs: Vec<LogFact>,
    /// The steps that are told of each source behind them.
    pub(crate) noted: Vec<usize>,
    /// How many such steps there are in all.
    pub(crate) noted_all: usize,
}

impl Facts {
    /// Reads what a bundle says.
    ///
    /// # Errors
    /// A bundle of which a part can't be read: what can't be told must not be passed over in silence.
    pub(crate) fn read(bytes: &[u8], bundle: &Bundle) -> Result<Self, CommandError> {
        let (mut items, place_of) = items(bundle)?;
        let logs = bundle.logs.iter().map(log).collect::<Result<_, _>>()?;
        let order = link(&mut items);
        marks(&mut items);
        erasures(&mut items);
        openings(&mut items, bundle, &place_of);
        let root = *usize::try_from(bundle.root)
            .ok()
            .and_then(|ordinal| place_of.get(ordinal))
            .ok_or_else(|| malformed("the root is none of its nodes"))?;
        let (noted, noted_all) = note_steps(&mut items, &order);
        Ok(Self { digest: bundle_digest(bytes), bytes: bytes.len(), items, root, logs, noted, noted_all })
    }

    /// Says nothing of a file of which nothing is to be repeated, but what is computed of its bytes.
    pub(crate) fn untold(bytes: &[u8]) -> Self {
        Self {
            digest: bundle_digest(bytes),
            bytes: bytes.len(),
            items: Vec::new(),
            root: 0,
            logs: Vec::new(),
            noted: Vec::new(),
            noted_all: 0,
        }
    }

    /// Returns the root, if anything is told.
    pub(crate) fn told_root(&self) -> Option<&Item> {
        self.items.get(self.root)
    }

    /// Tells whether this is of a model that was not shipped yet.
    pub(crate) fn is_pre_check(&self) -> bool {
        self.told_root().is_some_and(|root| root.core.kind != Kind::Shipment)
    }

    /// Returns the nodes of one letter, in order.
    pub(crate) fn of(&self, letter: Letter) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.label.letter == letter)
    }

    /// Returns a node.
    pub(crate) fn item(&self, place: usize) -> &Item {
        self.items.get(place).expect("places come out of these nodes")
    }

    /// Returns the root.
    pub(crate) fn root(&self) -> &Item {
        self.item(self.root)
    }

    /// Returns the models that the root ships, or the root itself in a pre-check.
    pub(crate) fn shipped(&self) -> Vec<usize> {
        if self.root().core.kind == Kind::Shipment { self.root().parents.clone() } else { vec![self.root] }
    }

    /// Returns the steps of a kind that what came of `item` went through.
    pub(crate) fn noted_behind(&self, item: &Item, is_kind: impl Fn(&Item) -> bool) -> Vec<usize> {
        let bit = |number: usize| item.noted.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1);
        let steps = self.noted.iter().enumerate().filter(|(number, _)| bit(*number)).map(|(_, place)| *place);
        steps.filter(|place| is_kind(self.item(*place))).collect()
    }
}

/// Tells whether a step labels data, by what it is or by what it says.
pub(crate) fn annotates(step: &Item) -> bool {
    step.core.activity == Some(Activity::Annotation) || says(step, "labeller")
}

/// Tells whether a step takes persons or secrets out of data, by what it is or by what it says.
pub(crate) fn anonymises(step: &Item) -> bool {
    step.core.activity == Some(Activity::Anonymisation) || says(step, "anonymisation")
}

fn says(step: &Item, detail: &str) -> bool {
    step.core.kind == Kind::Transformation && step.detail(detail).is_some()
}

fn malformed(why: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> CommandError {
    CommandError::because("the bundle is malformed", why)
}

const fn is_source(core: &Core) -> bool {
    matches!(core.origin, Some(Origin::Collected | Origin::External))
}

const fn letter(core: &Core) -> Letter {
    match core.kind {
        Kind::Dataset if is_source(core) => Letter::S,
        Kind::Dataset => Letter::D,
        Kind::Transformation => Letter::T,
        Kind::Model => Letter::M,
        Kind::Assessment => Letter::A,
        Kind::Shipment => Letter::X,
        Kind::Status => Letter::R,
        Kind::Erasure => Letter::E,
    }
}

/// Reads the nodes, puts them in order, and returns the place of each ordinal.
fn items(bundle: &Bundle) -> Result<(Vec<Item>, Vec<usize>), CommandError> {
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
    let mut items = Vec::new();
    for bytes in cores {
        let core = Core::from_bytes(bytes).map_err(malformed)?;
        items.push(Item {
            id: node_id(bytes),
            label: Label { letter: letter(&core), number: 0 },
            place: 0,
            core,
            details: Vec::new(),
            files: None,
            parents: Vec::new(),
            absent: Vec::new(),
            children: Vec::new(),
            assessed_by: Vec::new(),
            marks: Vec::new(),
            erased: Vec::new(),
            depth: 0,
            noted: [0; WORDS],
        });
    }
    let at = |ordinal: u64| usize::try_from(ordinal).ok();
    for disclosure in &bundle.disclosures {
        let item = at(disclosure.node).and_then(|place| items.get_mut(place));
        let item = item.ok_or_else(|| malformed("a disclosure names no node"))?;
        for (slot, _, value) in &disclosure.opening.slots {
            let name = slot_name(item.core.kind, *slot).map_or_else(|| format!("slot-{slot}"), str::to_owned);
            item.details.push((name, read_value(value).map_err(malformed)?));
        }
    }
    for manifest in &bundle.manifests {
        let item = at(manifest.node).and_then(|place| items.get_mut(place));
        item.ok_or_else(|| malformed("a list of files names no node"))?.files = Some(manifest.files.clone());
    }
    Ok(sorted(items))
}

/// Puts the nodes in the order in which they are told, parents before children, and labels them.
fn sorted(mut items: Vec<Item>) -> (Vec<Item>, Vec<usize>) {
    link(&mut items);
    let mut numbered: Vec<(usize, Item)> = items.into_iter().enumerate().collect();
    numbered.sort_by(|(_, a), (_, b)| {
        let key = |item: &Item| (item.label.letter, item.depth, item.core.date, item.name().is_none());
        key(a).cmp(&key(b)).then_with(|| a.name().cmp(&b.name())).then_with(|| a.id.cmp(&b.id))
    });
    let mut place_of = vec![0; numbered.len()];
    let mut counts: BTreeMap<Letter, usize> = BTreeMap::new();
    let mut items = Vec::new();
    for (place, (ordinal, mut item)) in numbered.into_iter().enumerate() {
        let count = counts.entry(item.label.letter).or_default();
        *count = count.saturating_add(1);
        item.label.number = *count;
        item.place = place;
        if let Some(slot) = place_of.get_mut(ordinal) {
            *slot = place;
        }
        items.push(item);
    }
    (items, place_of)
}

fn by_id(items: &[Item]) -> BTreeMap<NodeId, usize> {
    items.iter().enumerate().map(|(place, item)| (item.id, place)).collect()
}

/// Finds parents, children and depths, and returns the nodes so that parents come before children. Ids are hashes, so they are
/// the same in every log.
fn link(items: &mut [Item]) -> Vec<usize> {
    let places = by_id(items);
    for item in items.iter_mut() {
        (item.parents, item.children, item.absent, item.depth) = (Vec::new(), Vec::new(), Vec::new(), 0);
    }
    let mut children: Vec<(usize, usize)> = Vec::new();
    for (place, item) in items.iter_mut().enumerate() {
        for edge in item.core.edges.iter().filter(|edge| is_parent(edge.role)) {
            match places.get(&edge.to) {
                Some(parent) => {
                    item.parents.push(*parent);
                    children.push((*parent, place));
                }
                None => item.absent.push(edge.to),
            }
        }
        item.parents.sort_unstable();
        item.parents.dedup();
    }
    for (parent, child) in children {
        if let Some(item) = items.get_mut(parent) {
            item.children.push(child);
        }
    }
    items.iter_mut().for_each(|item| item.children.dedup());
    order(items)
}

const fn is_parent(role: Role) -> bool {
    matches!(role, Role::Used | Role::GeneratedBy | Role::Ships)
}

/// Puts marks on what they mark.
fn marks(items: &mut [Item]) {
    let places = by_id(items);
    let mut marks: Vec<(usize, usize)> = Vec::new();
    for (place, item) in items.iter().enumerate().filter(|(_, item)| item.core.kind == Kind::Status) {
        let marked = item.core.edges.iter().filter(|edge| edge.role == Role::Marks);
        marks.extend(marked.filter_map(|edge| Some((*places.get(&edge.to)?, place))));
    }
    for (marked, mark) in marks {
        if let Some(item) = items.get_mut(marked) {
            item.marks.push(mark);
        }
    }
}

fn erasures(items: &mut [Item]) {
    let places = by_id(items);
    let mut taken: Vec<(usize, Vec<u8>)> = Vec::new();
    for item in items.iter().filter(|item| item.core.kind == Kind::Erasure) {
        let of = item.core.edges.iter().filter_map(|edge| places.get(&edge.to));
        taken.extend(of.map(|place| (*place, item.core.erased_slots.clone())));
    }
    for (place, slots) in taken {
        if let Some(item) = items.get_mut(place) {
            let kind = item.core.kind;
            let names =
                slots.iter().map(|slot| slot_name(kind, *slot).map_or_else(|| format!("slot-{slot}"), str::to_owned));
            item.erased.extend(names);
        }
    }
}

fn openings(items: &mut [Item], bundle: &Bundle, place_of: &[usize]) {
    let place = |ordinal: u64| usize::try_from(ordinal).ok().and_then(|ordinal| place_of.get(ordinal)).copied();
    for opening in &bundle.openings {
        let Some(by) = place(opening.assessment) else { continue };
        for subject in opening.subjects.iter().filter_map(|(_, subject, _)| place(*subject)) {
            if let Some(item) = items.get_mut(subject) {
                item.assessed_by.push(by);
            }
        }
    }
}

/// Finds each node's depth, and returns the nodes so that parents come before children.
fn order(items: &mut [Item]) -> Vec<usize> {
    let mut waiting: Vec<usize> = items.iter().map(|item| item.parents.len()).collect();
    let mut order: Vec<usize> = (0..items.len()).filter(|place| waiting.get(*place) == Some(&0)).collect();
    let mut next = 0;
    while let Some(place) = order.get(next).copied() {
        next = next.saturating_add(1);
        let Some((depth, children)) = items.get(place).map(|item| (item.depth, item.children.clone())) else {
            continue;
        };
        for child in children {
            if let Some(item) = items.get_mut(child) {
                item.depth = item.depth.max(depth.saturating_add(1));
            }
            if let Some(left) = waiting.get_mut(child) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    order.push(child);
                }
            }
        }
    }
    order
}

/// Tells every node which annotations and anonymisations lie between it and the root.
fn note_steps(items: &mut [Item], order: &[usize]) -> (Vec<usize>, usize) {
    let is_noted = |item: &Item| annotates(item) || anonymises(item);
    let all: Vec<usize> = (0..items.len()).filter(|place| items.get(*place).is_some_and(is_noted)).collect();
    let noted: Vec<usize> = all.iter().copied().take(NOTED_MAX).collect();
    let number: BTreeMap<usize, usize> = noted.iter().enumerate().map(|(number, place)| (*place, number)).collect();
    for place in order.iter().rev() {
        let Some(children) = items.get(*place).map(|item| item.children.clone()) else { continue };
        let mut seen: Noted = [0; WORDS];
        for child in children {
            let below = items.get(child).map_or([0; WORDS], |item| item.noted);
            seen.iter_mut().zip(below).for_each(|(mine, theirs)| *mine |= theirs);
            if let Some(word) = number.get(&child).and_then(|number| seen.get_mut(number / 64)) {
                *word |= 1 << (number.get(&child).copied().unwrap_or_default() % 64);
            }
        }
        if let Some(item) = items.get_mut(*place) {
            item.noted = seen;
        }
    }
    (noted, all.len())
}

fn log(part: &LogPart) -> Result<LogFact, CommandError> {
    let note = part.anchors.last().and_then(|anchor| Note::parse(anchor.note.as_bytes()).ok());
    let checkpoint = note.and_then(|note| Checkpoint::parse(note.text()).ok());
    let checkpoint = checkpoint.ok_or_else(|| malformed("a log has no checkpoint that can be read"))?;
    let heads = part.entries.iter().filter(|(index, _)| index.saturating_add(1) == checkpoint.size);
    let time = heads.filter_map(|(_, bytes)| Entry::parse(bytes).ok()).find_map(|entry| match entry {
        Entry::StatusHead(head) => Some(head.time),
        Entry::Genesis(_) | Entry::Commit(_) | Entry::KeyChange(_) => None,
    });
    Ok(LogFact { origin: checkpoint.origin, size: checkpoint.size, time })
}
