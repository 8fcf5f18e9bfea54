//! Sorted runs of pairs, on a shelf.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

use super::{Pair, decode, encode};
use crate::{
    number::{narrow, wide},
    shelf::{Broken, Pair as Value, Shelf},
};

/// Pairs in one value: what one look-up reads.
const CHUNK_PAIRS: usize = 4096;
/// Bytes of a pair at rest.
const PAIR_BYTES: usize = 12;
/// Runs of more pairs are not merged any more: what a merge holds in memory stays small.
const RUN_PAIRS_MAX: u64 = 1 << 21;
const SUM_BYTES: usize = 16;

/// A sorted run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Run {
    id: u64,
    pairs: u64,
}

/// Where the runs are.
pub(super) enum Place {
    Disk(Shelf),
    Memory(BTreeMap<Vec<u8>, Vec<u8>>),
}

impl Run {
    /// Returns the key of the value that lists the first fingerprint of each chunk.
    fn directory(&self) -> Vec<u8> {
        [b"d".as_slice(), &self.id.to_be_bytes()].concat()
    }

    fn chunk(&self, at: usize) -> Vec<u8> {
        [b"c".as_slice(), &self.id.to_be_bytes(), &wide(at).to_be_bytes()].concat()
    }

    fn chunks(&self) -> usize {
        narrow(self.pairs).div_ceil(CHUNK_PAIRS)
    }
}

impl Place {
    /// Begins with nothing, in memory.
    pub(super) const fn memory() -> Self {
        Self::Memory(BTreeMap::new())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        match self {
            Self::Disk(disk) => disk.get(key),
            Self::Memory(values) => Ok(values.get(key).cloned()),
        }
    }

    /// Writes values and removes others, all or none as long as nothing fails.
    pub(super) fn write(&mut self, written: Vec<Value>, gone: Vec<Vec<u8>>) -> Result<(), Broken> {
        match self {
            Self::Disk(disk) => disk.swap(written, gone),
            Self::Memory(values) => {
                gone.iter().for_each(|key| drop(values.remove(key)));
                values.extend(written);
                Ok(())
            }
        }
    }

    /// Returns the numbers under a fingerprint in all runs, sorted, each once.
    pub(super) fn find(&self, runs: &[Run], fingerprint: u64) -> Result<Vec<u32>, Broken> {
        let mut numbers = Vec::new();
        for run in runs {
            let directory: Vec<u64> = decode(&self.get(&run.directory())?.ok_or(Broken)?).ok_or(Broken)?;
            let first = directory.partition_point(|first| *first < fingerprint).saturating_sub(1);
            let after = directory.partition_point(|first| *first <= fingerprint);
            for at in first..after {
                let pairs = self.chunk(run, at)?;
                let from = pairs.partition_point(|(found, _)| *found < fingerprint);
                let same = pairs.iter().skip(from).take_while(|(found, _)| *found == fingerprint);
                numbers.extend(same.map(|(_, number)| *number));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// Adds sorted pairs as a run, merged with those before it that are not much larger. Returns what
    /// is to be written and what is to be removed.
    pub(super) fn add(&self, runs: &mut Vec<Run>, pairs: Vec<Pair>) -> Result<(Vec<Value>, Vec<Vec<u8>>), Broken> {
        let mut pairs = pairs;
        let mut gone = Vec::new();
        let next = runs.iter().map(|run| run.id).max().map_or(0, |id| id.saturating_add(1));
        while let Some(last) = runs.last() {
            let count = wide(pairs.len());
            if last.pairs / 2 > count || last.pairs.saturating_add(count) > RUN_PAIRS_MAX {
                break;
            }
            pairs = merge(self.load(last)?, pairs);
            gone.push(last.directory());
            gone.extend((0..last.chunks()).map(|at| last.chunk(at)));
            runs.pop();
        }
        let run = Run { id: next, pairs: wide(pairs.len()) };
        let directory: Vec<u64> = pairs.chunks(CHUNK_PAIRS).filter_map(|chunk| Some(chunk.first()?.0)).collect();
        let mut written = vec![(run.directory(), encode(&directory)?)];
        written.extend(pairs.chunks(CHUNK_PAIRS).enumerate().map(|(at, chunk)| (run.chunk(at), chunk_bytes(chunk))));
        runs.push(run);
        Ok((written, gone))
    }

    /// Returns all pairs of a run.
    pub(super) fn load(&self, run: &Run) -> Result<Vec<Pair>, Broken> {
        let mut pairs = Vec::new();
        for at in 0..run.chunks() {
            pairs.extend(self.chunk(run, at)?);
        }
        if wide(pairs.len()) == run.pairs { Ok(pairs) } else { Err(Broken) }
    }

    fn chunk(&self, run: &Run, at: usize) -> Result<Vec<Pair>, Broken> {
        let bytes = self.get(&run.chunk(at))?.ok_or(Broken)?;
        let (sum, body) = bytes.split_first_chunk::<SUM_BYTES>().ok_or(Broken)?;
        let (pairs, odd) = body.as_chunks::<PAIR_BYTES>();
        if !odd.is_empty() || blake3::hash(body).as_bytes().first_chunk() != Some(sum) {
            return Err(Broken);
        }
        Ok(pairs.iter().map(to_pair).collect())
    }
}

fn to_pair(bytes: &[u8; PAIR_BYTES]) -> Pair {
    let [a, b, c, d, e, f, g, h, number @ ..] = *bytes;
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes(number))
}

fn chunk_bytes(pairs: &[Pair]) -> Vec<u8> {
    let mut bytes = vec![0; SUM_BYTES];
    for (fingerprint, number) in pairs {
        bytes.extend(fingerprint.to_le_bytes());
        bytes.extend(number.to_le_bytes());
    }
    let (sum, body) = bytes.split_at_mut(SUM_BYTES);
    sum.iter_mut().zip(blake3::hash(body).as_bytes()).for_each(|(to, from)| *to = *from);
    bytes
}

fn merge(old: Vec<Pair>, new: Vec<Pair>) -> Vec<Pair> {
    let mut all = old;
    all.extend(new);
    // Two sorted runs: the sort finds them and merges them.
    all.sort();
    all
}
