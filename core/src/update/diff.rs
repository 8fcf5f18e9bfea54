//! Finds what a newer file has in common with an older one.
//!
//! Blocks of the older file are looked up at every byte of the newer one, and each hit is extended as far as both are
//! the same. Of all hits the heaviest ones that stand in the same order in both files are kept, so that a chance hit far
//! ahead costs nothing.

use alloc::{collections::BTreeMap, vec::Vec};

use super::Part;

/// Bytes of a block. A common run of 31 bytes always has a whole block in it: a hash has 32.
const BLOCK: usize = 16;

/// Bytes that both files have.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where they begin in the older file.
    base: usize,
    /// Where they begin in the newer file.
    result: usize,
    len: usize,
}

impl Run {
    const fn base_end(&self) -> usize {
        self.base.saturating_add(self.len)
    }

    const fn result_end(&self) -> usize {
        self.result.saturating_add(self.len)
    }

    /// Returns the run without its first bytes, which others have already.
    fn after(self, base_end: usize) -> Option<Self> {
        let cut = base_end.saturating_sub(self.base);
        let len = self.len.checked_sub(cut).filter(|left| *left >= BLOCK)?;
        Some(Self { base: self.base.saturating_add(cut), result: self.result.saturating_add(cut), len })
    }
}

/// Returns what the newer file consists of.
pub(super) fn parts<'r>(base: &[u8], result: &'r [u8]) -> Vec<Part<'r>> {
    let mut parts = Vec::new();
    let (mut copied, mut made) = (0, 0);
    for run in in_order(&runs(base, result)) {
        let Some(run) = run.after(copied) else { continue };
        // What was taken for another run, which is not kept, may belong to this one.
        let (gap, new) = (between(base, copied, run.base), between(result, made, run.result));
        let back = gap.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
        let begin = run.result.saturating_sub(back);
        if begin > made {
            parts.push(Part::Literal(between(result, made, begin)));
        }
        parts.push(Part::Copy { offset: run.base.saturating_sub(back), len: run.len.saturating_add(back) });
        (copied, made) = (run.base_end(), run.result_end());
    }
    let rest = between(result, made, result.len());
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    parts
}

fn between(bytes: &[u8], begin: usize, end: usize) -> &[u8] {
    bytes.get(begin..end).unwrap_or_default()
}

/// Returns the blocks that stand once in the older file, sorted, with their places.
fn blocks(base: &[u8]) -> Vec<([u8; BLOCK], usize)> {
    let (whole, _) = base.as_chunks::<BLOCK>();
    let mut all: Vec<([u8; BLOCK], usize)> =
        whole.iter().enumerate().map(|(place, block)| (*block, place.saturating_mul(BLOCK))).collect();
    all.sort_unstable();
    let groups = all.chunk_by(|one, next| one.0 == next.0);
    groups.filter_map(|group| if let [one] = group { Some(*one) } else { None }).collect()
}

/// Returns the runs that begin with a hit, by their place in the newer file; none overlaps another there.
fn runs(base: &[u8], result: &[u8]) -> Vec<Run> {
    let blocks = blocks(base);
    let mut runs = Vec::new();
    let (mut at, mut taken): (usize, usize) = (0, 0);
    while let Some(window) = result.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        let hit = blocks.binary_search_by(|(block, _)| block.cmp(window)).ok();
        let Some((_, offset)) = hit.and_then(|place| blocks.get(place)) else {
            at = at.saturating_add(1);
            continue;
        };
        let (before, behind) = (between(base, 0, *offset), between(base, *offset, base.len()));
        let free = between(result, taken, at);
        let back = before.iter().rev().zip(free.iter().rev()).take_while(|(one, other)| one == other).count();
        let rest = between(result, at, result.len());
        let forth = behind.iter().zip(rest).take_while(|(one, other)| one == other).count();
        runs.push(Run {
            base: offset.saturating_sub(back),
            result: at.saturating_sub(back),
            len: back.saturating_add(forth),
        });
        at = at.saturating_add(forth);
        taken = at;
    }
    runs
}

/// Keeps of all runs the heaviest ones that begin in the same order in both files.
fn in_order(runs: &[Run]) -> Vec<Run> {
    // By where the last run of a chain begins in the older file: the weight of the heaviest chain that ends there or
    // before, and that run's place. Weights ascend with the keys.
    let mut best: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(runs.len());
    for (place, run) in runs.iter().enumerate() {
        let (weight, before) = best.range(..run.base).next_back().map_or((0, None), |(_, (w, p))| (*w, Some(*p)));
        let weight = weight.saturating_add(run.len);
        previous.push(before);
        let lighter: Vec<usize> =
            best.range(run.base..).take_while(|(_, (other, _))| *other <= weight).map(|(key, _)| *key).collect();
        for key in lighter {
            best.remove(&key);
        }
        if best.range(..=run.base).next_back().is_none_or(|(_, (other, _))| *other < weight) {
            best.insert(run.base, (weight, place));
        }
    }
    let mut chain = Vec::new();
    let mut at = best.last_key_value().map(|(_, (_, place))| *place);
    while let Some(place) = at {
        chain.extend(runs.get(place).copied());
        at = previous.get(place).copied().flatten();
    }
    chain.reverse();
    chain
}
