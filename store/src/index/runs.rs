//! Sorted runs of pairs, a file each: chunks that are read one by one, and behind them where they begin.
//!
//! A chunk holds pairs one after the other, each as what its fingerprint is more than the one before, and its number. Both are
//! written seven bits a byte, the lowest first, and a bit that says whether more follow: fingerprints are evenly spread, so
//! that a large run needs three bytes for what five would take.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use bincode::{Decode, Encode};

use super::{
    Pair, decode, encode,
    files::{Broken, Place},
};
use crate::number::{narrow, wide};

/// Pairs of a chunk: what one look-up reads.
const CHUNK_PAIRS: usize = 1024;
/// Runs of more pairs are not merged any more: what a merge holds in memory stays small.
const RUN_PAIRS_MAX: u64 = 1 << 21;
const SUM_BYTES: usize = 16;

/// A sorted run: the pairs of the commits from where the run before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Run {
    id: u64,
    /// The number of the first commit that is not in it.
    pub(super) end: u32,
    pairs: u64,
    /// Where the list of chunks begins in the file, its length, and its checksum.
    chunks: u64,
    chunks_length: u64,
    chunks_sum: [u8; SUM_BYTES],
}

/// The chunks of the runs that were asked, by the number of the run: no later run has the number of an earlier one.
pub(super) type Lists = BTreeMap<u64, Vec<Chunk>>;

/// Where a chunk is.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Chunk {
    /// Its first fingerprint.
    first: u64,
    begin: u64,
    length: u64,
    sum: [u8; SUM_BYTES],
}

impl Run {
    fn name(&self) -> String {
        name_of(self.id)
    }

    /// Writes sorted pairs as a run.
    fn write(place: &mut Place, id: u64, end: u32, pairs: &[Pair]) -> Result<Self, Broken> {
        let (mut file, mut chunks) = (Vec::new(), Vec::new());
        for pairs in pairs.chunks(CHUNK_PAIRS) {
            let bytes = to_bytes(pairs);
            let first = pairs.first().map_or(0, |(fingerprint, _)| *fingerprint);
            chunks.push(Chunk { first, begin: wide(file.len()), length: wide(bytes.len()), sum: sum(&bytes) });
            file.extend(bytes);
        }
        let (begin, list) = (wide(file.len()), encode(&chunks)?);
        let run = Self {
            id,
            end,
            pairs: wide(pairs.len()),
            chunks: begin,
            chunks_length: wide(list.len()),
            chunks_sum: sum(&list),
        };
        file.extend(list);
        place.write(&run.name(), file)?;
        Ok(run)
    }

    /// Returns where the chunks are.
    fn chunks(&self, place: &Place) -> Result<Vec<Chunk>, Broken> {
        let bytes = place.part(&self.name(), self.chunks, narrow(self.chunks_length))?;
        if sum(&bytes) != self.chunks_sum {
            return Err(Broken);
        }
        decode(&bytes).ok_or(Broken)
    }

    fn chunk(&self, place: &Place, chunk: &Chunk) -> Result<Vec<Pair>, Broken> {
        let bytes = place.part(&self.name(), chunk.begin, narrow(chunk.length))?;
        if sum(&bytes) != chunk.sum {
            return Err(Broken);
        }
        from_bytes(&bytes).ok_or(Broken)
    }

    /// Returns all pairs of a run.
    pub(super) fn load(&self, place: &Place) -> Result<Vec<Pair>, Broken> {
        let mut pairs = Vec::new();
        for chunk in self.chunks(place)? {
            pairs.extend(self.chunk(place, &chunk)?);
        }
        if wide(pairs.len()) == self.pairs { Ok(pairs) } else { Err(Broken) }
    }
}

fn name_of(id: u64) -> String {
    format!("{id}.run")
}

/// Returns the names of the files of runs.
pub(super) fn names(runs: &[Run]) -> BTreeSet<String> {
    runs.iter().map(Run::name).collect()
}

/// Returns the numbers under a fingerprint in all runs, sorted, each once.
pub(super) fn find(place: &Place, runs: &[Run], lists: &mut Lists, fingerprint: u64) -> Result<Vec<u32>, Broken> {
    let mut numbers = Vec::new();
    lists.retain(|id, _| runs.iter().any(|run| run.id == *id));
    for run in runs {
        let chunks = match lists.entry(run.id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(run.chunks(place)?),
        };
        let first = chunks.partition_point(|chunk| chunk.first < fingerprint).saturating_sub(1);
        let meant = chunks.iter().skip(first).take_while(|chunk| chunk.first <= fingerprint);
        for chunk in meant {
            let pairs = run.chunk(place, chunk)?;
            let from = pairs.partition_point(|(found, _)| *found < fingerprint);
            let same = pairs.iter().skip(from).take_while(|(found, _)| *found == fingerprint);
            numbers.extend(same.map(|(_, number)| *number));
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// Adds the sorted pairs of the commits before `end` as a run, merged with those before it that are not much larger. The files of
/// the merged ones stay until what names the runs is written.
pub(super) fn add(place: &mut Place, runs: &mut Vec<Run>, end: u32, pairs: Vec<Pair>) -> Result<(), Broken> {
    let mut pairs = pairs;
    let next = runs.iter().map(|run| run.id).max().map_or(0, |id| id.saturating_add(1));
    while let Some(last) = runs.last() {
        let count = wide(pairs.len());
        if last.pairs / 2 > count || last.pairs.saturating_add(count) > RUN_PAIRS_MAX {
            break;
        }
        pairs.extend(last.load(place)?);
        pairs.sort_unstable();
        runs.pop();
    }
    runs.push(Run::write(place, next, end, &pairs)?);
    Ok(())
}

fn sum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    let mut half = [0; SUM_BYTES];
    half.iter_mut().zip(blake3::hash(bytes).as_bytes()).for_each(|(to, from)| *to = *from);
    half
}

fn to_bytes(pairs: &[Pair]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut before = 0;
    for (fingerprint, number) in pairs {
        put(&mut bytes, fingerprint.saturating_sub(before));
        put(&mut bytes, (*number).into());
        before = *fingerprint;
    }
    bytes
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<Pair>> {
    let (mut rest, mut before) = (bytes, 0_u64);
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        before = before.checked_add(take(&mut rest)?)?;
        pairs.push((before, u32::try_from(take(&mut rest)?).ok()?));
    }
    Some(pairs)
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Lists, add, find, from_bytes, names, to_bytes};
    use crate::index::files::Place;

    #[test]
    fn pairs_come_back_as_they_were() {
        let most = (1 << 40) - 1;
        for pairs in [vec![], vec![(0, 0)], vec![(0, u32::MAX), (0x7f, 0), (0x7f, 1), (0x80, 127), (most, 128)]] {
            let bytes = to_bytes(&pairs);
            assert_eq!(from_bytes(&bytes), Some(pairs));
            for cut in 1..bytes.len() {
                assert!(from_bytes(&bytes[..cut]).is_none_or(|found| found.len() < bytes.len() / 2));
            }
        }
        assert_eq!(from_bytes(&[0xff; 10]), None);
        assert_eq!(from_bytes(&[0, 0xff, 0xff, 0xff, 0xff, 0x7f]), None, "no number is as large");
    }

    #[test]
    fn what_is_added_is_found_whatever_was_merged() {
        let (mut place, mut runs, mut lists) = (Place::memory(), Vec::new(), Lists::new());
        for commit in 0..200_u32 {
            // One key that all have, one that two have, and one of its own.
            let mut pairs: Vec<_> =
                (0..50).map(|i| ((u64::from(commit) << 20) + i, commit * 100)).chain([(7 << 39, commit)]).collect();
            pairs.push(((u64::from(commit / 2) << 28) + (1 << 38), commit));
            pairs.sort_unstable();
            add(&mut place, &mut runs, commit + 1, pairs).unwrap();
            place.keep(&names(&runs));
            assert_eq!(find(&place, &runs, &mut lists, 7 << 39).unwrap(), (0..=commit).collect::<Vec<_>>());
        }
        assert!(lists.len() <= runs.len(), "no list stays of what was merged");
        assert!(runs.len() < 10, "{} runs", runs.len());
        assert_eq!(find(&place, &runs, &mut lists, (99 << 28) + (1 << 38)).unwrap(), [198, 199]);
        assert_eq!(find(&place, &runs, &mut lists, (3 << 20) + 49).unwrap(), [300]);
        assert_eq!(find(&place, &runs, &mut lists, (3 << 20) + 50).unwrap(), [0; 0]);
        let (mut begin, mut all) = (0, 0);
        for run in &runs {
            let pairs = run.load(&place).unwrap();
            assert!(pairs.is_sorted() && pairs.len() == usize::try_from(run.end - begin).unwrap() * 52);
            (begin, all) = (run.end, all + pairs.len());
        }
        assert_eq!((begin, all), (200, 200 * 52));
    }
}
