//! Orders of the closure, and what flows along them.

use alloc::{collections::BTreeSet, format, sync::Arc, vec, vec::Vec};
use core::cell::Cell;

use griptrace_core::{
    limits::{CROSSING_WORK_MAX, PASSES_MAX, WORDS_MAX},
    word::Word,
};

use super::{Case, Findings, Instant, is_source, mark::Marks};
use crate::{
    dense,
    evidence::{Closure, Evidence, Ordinal},
    finding::{Code, When},
};

/// Returns what is judged, parents and successors before what needs them: what a walk from the
/// root by parents and by marks that count meets, and the assessments that open it.
pub(super) fn parents_first(evidence: &Evidence, closure: &Closure, marks: &Marks) -> Vec<Ordinal> {
    let mut order = Vec::new();
    let mut seen = dense::Set::default();
    let mut starts = Vec::from([evidence.root]);
    while let Some(start) = starts.pop() {
        let mut stack = Vec::from([(start, false)]);
        while let Some((ordinal, done)) = stack.pop() {
            if done {
                order.push(ordinal);
                continue;
            }
            if !closure.has(ordinal) || !seen.insert(ordinal) {
                continue;
            }
            stack.push((ordinal, true));
            stack.extend(marks.successors_of(ordinal).map(|successor| (successor, false)));
            if let Some(node) = evidence.node(ordinal) {
                stack.extend(node.parents().map(|parent| (parent, false)));
            }
            starts.extend(evidence.opened_by.get(&ordinal).into_iter().flatten().copied());
        }
    }
    order
}

/// Returns what is judged, parents before what came from them: an order that no mark can upset.
pub(super) fn by_parents(case: &Case<'_>, instant: &Instant<'_>) -> Vec<Ordinal> {
    let mut order = Vec::new();
    let mut seen = dense::Set::default();
    for start in &instant.order {
        let mut stack = Vec::from([(*start, false)]);
        while let Some((ordinal, done)) = stack.pop() {
            if done {
                order.push(ordinal);
                continue;
            }
            if !instant.judges(ordinal) || !seen.insert(ordinal) {
                continue;
            }
            stack.push((ordinal, true));
            if let Some(node) = case.node(ordinal) {
                stack.extend(node.parents().map(|parent| (parent, false)));
            }
        }
    }
    order
}

/// Returns, for each node, the highest grade of the sources behind it, by parents and successors.
pub(super) fn ceilings(case: &Case<'_>, instant: &Instant<'_>) -> dense::Map<usize> {
    if instant.marks.successors.is_empty() {
        return ceilings_by_parents(case, instant);
    }
    let mut leads_to: dense::Map<Vec<Ordinal>> = dense::Map::default();
    let mut sources = Vec::new();
    for (ordinal, node) in instant.order.iter().filter_map(|ordinal| Some((*ordinal, case.node(*ordinal)?))) {
        for next in node.parents().chain(instant.marks.successors_of(ordinal)) {
            match leads_to.get_mut(next) {
                Some(known) => known.push(ordinal),
                None => leads_to.insert(next, Vec::from([ordinal])),
            }
        }
        if let Some(grade) = instant.grades.get(ordinal).filter(|_| is_source(node)) {
            sources.push((*grade, ordinal));
        }
    }
    // The highest first, so that the first grade that a node meets is the highest.
    sources.sort_unstable_by(|a, b| b.cmp(a));
    let mut ceilings: dense::Map<usize> = dense::Map::default();
    for (grade, source) in sources {
        let mut todo = Vec::from([source]);
        while let Some(ordinal) = todo.pop() {
            if ceilings.get(ordinal).is_none() {
                ceilings.insert(ordinal, grade);
                todo.extend(leads_to.get(ordinal).into_iter().flatten());
            }
        }
    }
    ceilings
}

/// The same where only parents count, which come first in the order.
fn ceilings_by_parents(case: &Case<'_>, instant: &Instant<'_>) -> dense::Map<usize> {
    let mut ceilings: dense::Map<usize> = dense::Map::default();
    for (ordinal, node) in instant.order.iter().filter_map(|ordinal| Some((*ordinal, case.node(*ordinal)?))) {
        let own = instant.grades.get(ordinal).filter(|_| is_source(node)).copied();
        let behind = node.parents().filter_map(|parent| ceilings.get(parent).copied()).max();
        if let Some(grade) = own.max(behind) {
            ceilings.insert(ordinal, grade);
        }
    }
    ceilings
}

/// The work that judging takes, against its limit.
#[derive(Debug, Default)]
pub(super) struct Work(Cell<u64>);

impl Work {
    /// Counts visits.
    pub(super) fn count(&self, visits: usize) {
        self.0.set(self.0.get().saturating_add(u64::try_from(visits).unwrap_or(u64::MAX)));
    }

    /// Tells whether the limit is exceeded.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() > CROSSING_WORK_MAX
    }
}

/// Walks from what crosses to what lies behind it. Each ends when the work is spent.
#[derive(Debug)]
pub(super) struct Walks<'c, 'a> {
    case: &'c Case<'a>,
    instant: &'c Instant<'a>,
    pub(super) work: Work,
    /// The number of the last walk that met a node; the highest for what is not judged.
    met: Vec<u32>,
    walk: u32,
}

impl<'c, 'a> Walks<'c, 'a> {
    pub(super) fn new(case: &'c Case<'a>, instant: &'c Instant<'a>) -> Self {
        let mut met = vec![u32::MAX; case.evidence.nodes.len()];
        for ordinal in &instant.order {
            if let Some(place) = met.get_mut(*ordinal) {
                *place = 0;
            }
        }
        Self { case, instant, work: Work::default(), met, walk: 0 }
    }

    /// Begins a walk: nothing is met yet.
    pub(super) fn begin(&mut self) {
        self.work.count(1);
        self.walk = self.walk.saturating_add(1);
    }

    /// Goes on with a walk, by parents and, unless `whole` has them, by successors. Returns what this
    /// walk had not met before.
    pub(super) fn on(&mut self, starts: impl IntoIterator<Item = Ordinal>, whole: Follow<'_>) -> Vec<Ordinal> {
        let mut todo: Vec<Ordinal> = starts.into_iter().collect();
        let mut found = Vec::new();
        while let Some(ordinal) = todo.pop() {
            self.work.count(1);
            if self.work.is_spent() {
                break;
            }
            let Some(met) = self.met.get_mut(ordinal).filter(|met| **met < self.walk) else { continue };
            *met = self.walk;
            let Some(node) = self.case.node(ordinal) else { continue };
            found.push(ordinal);
            todo.extend(node.parents());
            if let Follow::SuccessorsBut(whole) = whole {
                todo.extend(self.instant.marks.successors_of(ordinal).filter(|next| !whole.contains(next)));
            }
        }
        found
    }
}

/// Where a walk goes besides parents.
#[derive(Clone, Copy, Debug)]
pub(super) enum Follow<'s> {
    /// Nowhere.
    Parents,
    /// To successors but these.
    SuccessorsBut(&'s BTreeSet<Ordinal>),
}

/// Purposes by node: places in a list of all that the closure has, one bit each.
#[derive(Debug, Default)]
pub(crate) struct Purposes {
    words: Vec<Word>,
    /// Blocks of 64 bits that every node has.
    blocks: usize,
    /// The blocks of all nodes.
    of: Vec<u64>,
}

/// The purposes of a node, by their place.
pub(super) type Bits = [u64; BLOCKS];

/// Blocks of 64 bits that hold as many purposes as one node may have.
const BLOCKS: usize = WORDS_MAX / 64;

impl Purposes {
    /// Returns the purposes of several nodes.
    pub(super) fn of_all(&self, ordinals: impl IntoIterator<Item = Ordinal>) -> impl Iterator<Item = &Word> + '_ {
        let mut all = Bits::default();
        for bits in ordinals.into_iter().map(|ordinal| self.bits(ordinal)) {
            all.iter_mut().zip(bits).for_each(|(to, from)| *to |= from);
        }
        self.words.iter().enumerate().filter(move |(place, _)| bit(&all, *place)).map(|(_, word)| word)
    }

    /// Returns the purposes of one node.
    pub(super) fn bits(&self, ordinal: Ordinal) -> Bits {
        let mut bits = Bits::default();
        let start = ordinal.saturating_mul(self.blocks);
        let blocks = self.of.get(start..start.saturating_add(self.blocks)).unwrap_or_default();
        bits.iter_mut().zip(blocks).for_each(|(to, from)| *to = *from);
        bits
    }

    fn blocks_mut(&mut self, ordinal: Ordinal) -> &mut [u64] {
        let start = ordinal.saturating_mul(self.blocks);
        self.of.get_mut(start..start.saturating_add(self.blocks)).unwrap_or_default()
    }
}

fn bit(bits: &Bits, place: usize) -> bool {
    let block = bits.get(place / 64).copied().unwrap_or(0);
    block.checked_shr(u32::try_from(place % 64).unwrap_or(0)).unwrap_or(0) & 1 == 1
}

fn set(bits: &mut Bits, place: usize) {
    if let Some(block) = bits.get_mut(place / 64) {
        *block |= 1_u64.checked_shl(u32::try_from(place % 64).unwrap_or(0)).unwrap_or(0);
    }
}

/// Returns, for each member, the union of the purposes on the paths from it to the root, its own
/// and the root's included. A successor takes over the purposes of what it supersedes.
///
/// More different purposes than one node may have are refused: what flows along all paths would
/// grow with their number times the nodes.
pub(super) fn purposes_along_paths(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) -> Purposes {
    let nodes = || instant.order.iter().filter_map(|ordinal| Some((*ordinal, case.node(*ordinal)?)));
    let mut words: BTreeSet<&Word> = BTreeSet::new();
    let mut last = None;
    for (_, node) in nodes() {
        if last.is_some_and(|last| Arc::ptr_eq(last, &node.core.words)) {
            continue;
        }
        last = Some(&node.core.words);
        words.extend(&node.core.words.purpose);
        if words.len() > WORDS_MAX {
            let text = format!("the ancestry has more than {WORDS_MAX} different purposes");
            findings.add(case.policy, Code::LimitExceeded, When::Always, None, text);
            return Purposes::default();
        }
    }
    let words: Vec<Word> = words.into_iter().cloned().collect();
    let blocks = words.len().div_ceil(64);
    let of = vec![0; blocks.saturating_mul(case.evidence.nodes.len())];
    let mut purposes = Purposes { words, blocks, of };
    for (ordinal, node) in nodes().filter(|(_, node)| !node.core.words.purpose.is_empty()) {
        let mut bits = Bits::default();
        let place = |word| purposes.words.binary_search(word).ok();
        node.core.words.purpose.iter().filter_map(place).for_each(|at| set(&mut bits, at));
        purposes.blocks_mut(ordinal).iter_mut().zip(bits).for_each(|(to, from)| *to = from);
    }
    let mut settled = false;
    // What comes later in the order flows to what comes earlier, so that one pass settles all but
    // circles of successors.
    for _ in 0..PASSES_MAX {
        settled = true;
        for (ordinal, node) in instant.order.iter().rev().filter_map(|o| Some((*o, case.node(*o)?))) {
            let own = purposes.bits(ordinal);
            for next in node.parents().chain(instant.marks.successors_of(ordinal)) {
                for (to, from) in purposes.blocks_mut(next).iter_mut().zip(own) {
                    settled &= *to | from == *to;
                    *to |= from;
                }
            }
        }
        settled |= instant.marks.successors.is_empty();
        if settled {
            break;
        }
    }
    if !settled {
        let text = format!("marks that supersede lead around in circles: not settled after {PASSES_MAX} rounds");
        findings.add(case.policy, Code::LimitExceeded, When::Always, None, text);
    }
    purposes
}
