//! Orders of the closure, and what flows along them.

use alloc::{collections::BTreeSet, format, vec::Vec};

use griptrace_core::{
    limits::{PASSES_MAX, WORDS_MAX},
    word::Word,
};

use super::{Case, Findings, Instant, mark::Marks};
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

/// Purposes by node: places in a list of all that the closure has, one bit each.
#[derive(Debug, Default)]
pub(crate) struct Purposes {
    words: Vec<Word>,
    of: dense::Map<Bits>,
}

type Bits = [u64; BLOCKS];

/// Blocks of 64 bits that hold as many purposes as one node may have.
const BLOCKS: usize = WORDS_MAX / 64;

impl Purposes {
    /// Returns the purposes of a node.
    pub(super) fn of(&self, ordinal: Ordinal) -> impl Iterator<Item = &Word> + '_ {
        let bits = self.of.get(ordinal).copied().unwrap_or_default();
        self.words.iter().enumerate().filter(move |(place, _)| bit(&bits, *place)).map(|(_, word)| word)
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
    for (_, node) in nodes() {
        words.extend(&node.core.purpose);
        if words.len() > WORDS_MAX {
            let text = format!("the ancestry has more than {WORDS_MAX} different purposes");
            findings.add(case.policy, Code::LimitExceeded, When::Always, None, text);
            return Purposes::default();
        }
    }
    let words: Vec<Word> = words.into_iter().cloned().collect();
    let mut of: dense::Map<Bits> = dense::Map::default();
    for (ordinal, node) in nodes() {
        let mut bits = Bits::default();
        node.core.purpose.iter().filter_map(|word| words.binary_search(word).ok()).for_each(|at| set(&mut bits, at));
        of.insert(ordinal, bits);
    }
    let mut settled = false;
    // What comes later in the order flows to what comes earlier, so that one pass settles all but
    // circles of successors.
    for _ in 0..PASSES_MAX {
        settled = true;
        for (ordinal, node) in instant.order.iter().rev().filter_map(|o| Some((*o, case.node(*o)?))) {
            let own = of.get(ordinal).copied().unwrap_or_default();
            for next in node.parents().chain(instant.marks.successors_of(ordinal)) {
                let Some(theirs) = of.get_mut(next) else { continue };
                for (to, from) in theirs.iter_mut().zip(own) {
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
    Purposes { words, of }
}
