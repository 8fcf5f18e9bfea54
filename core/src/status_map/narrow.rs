//! Batch proofs about fewer keys, made from a proof about more of them, without the map.

use alloc::vec::Vec;

use super::{
    Asked, Reader, Shown, StatusProofError, TAG_ASKED, TAG_EMPTY, TAG_HASH, TAG_INNER, TAG_LEAF, bit, check_depth,
    claimed, join, positions,
};
use crate::digest::Digest;

/// Derives, from a proof about `keys`, of which those of `present` have the value beside them, the proof about `kept`:
/// the bytes that [`StatusMap::prove`](super::StatusMap::prove) gives whoever has the whole map.
///
/// The proof is read as [`verify_statuses`](super::verify_statuses) reads it, and has to lead to `root`. Time is linear in the proof and the
/// keys; recursion ends at depth 256.
///
/// # Errors
/// Those of that function; `NoQueries` also where nothing is kept, and `NotAsked` for a kept key that is none of `keys`.
pub fn narrow_statuses(
    root: &Digest,
    keys: impl IntoIterator<Item = Digest>,
    present: &[(Digest, Digest)],
    proof: &[u8],
    kept: impl IntoIterator<Item = Digest>,
) -> Result<Vec<u8>, StatusProofError> {
    let asked = positions(keys.into_iter().chain(present.iter().map(|(key, _)| *key)));
    let claimed = claimed(present);
    let kept = positions(kept.into_iter());
    if let Some(position) = kept.iter().find(|position| asked.binary_search(position).is_err()) {
        return Err(StatusProofError::NotAsked { position: *position });
    }
    if kept.is_empty() {
        return Err(StatusProofError::NoQueries);
    }
    let reader = Reader { rest: proof, length: proof.len() };
    let mut narrower = Narrower { reader, out: Vec::new() };
    let (computed, _) = narrower.node(Asked { positions: &asked, claimed: &claimed }, &kept, 0)?;
    if !narrower.reader.rest.is_empty() {
        return Err(StatusProofError::Trailing { bytes: narrower.reader.rest.len() });
    }
    if computed != *root {
        return Err(StatusProofError::RootMismatch { expected: *root, computed });
    }
    Ok(narrower.out)
}

/// Reads a proof and writes the narrower one.
struct Narrower<'a> {
    reader: Reader<'a>,
    out: Vec<u8>,
}

impl Narrower<'_> {
    /// Copies the node at `depth` as far as the `kept` positions need it, and returns its hash.
    fn node(&mut self, asked: Asked<'_>, kept: &[Digest], depth: u16) -> Result<(Digest, Shown), StatusProofError> {
        if kept.is_empty() {
            return self.folded(asked, depth);
        }
        match self.reader.rest.first() {
            Some(&TAG_INNER) => self.inner(asked, kept, depth),
            Some(&TAG_ASKED) => self.asked(asked, kept, depth),
            // What stands here alone, or nothing, is shown to whoever asks for anything here.
            _ => {
                let before = self.reader.rest;
                let shown = self.reader.node(asked, depth)?;
                let length = before.len().saturating_sub(self.reader.rest.len());
                self.out.extend(before.iter().take(length));
                Ok(shown)
            }
        }
    }

    /// Reads a node that no kept position concerns, and writes its hash alone.
    fn folded(&mut self, asked: Asked<'_>, depth: u16) -> Result<(Digest, Shown), StatusProofError> {
        let (hash, shown) = self.reader.node(asked, depth)?;
        if shown == Shown::Empty {
            self.out.push(TAG_EMPTY);
        } else {
            self.out.push(TAG_HASH);
            self.out.extend(hash.as_bytes());
        }
        Ok((hash, shown))
    }

    fn inner(&mut self, asked: Asked<'_>, kept: &[Digest], depth: u16) -> Result<(Digest, Shown), StatusProofError> {
        let (in_left, in_right) = kept.split_at(kept.partition_point(|position| !bit(position, depth)));
        let at = self.reader.at();
        self.reader.byte()?;
        self.out.push(TAG_INNER);
        check_depth(depth, at)?;
        let next = depth.saturating_add(1);
        let (left, right) = asked.split(depth);
        let left = self.node(left, in_left, next)?;
        let right = self.node(right, in_right, next)?;
        join(left, right, at)
    }

    /// Copies an entry that was asked for; to whoever did not ask for it, it is spelled out.
    fn asked(&mut self, asked: Asked<'_>, kept: &[Digest], depth: u16) -> Result<(Digest, Shown), StatusProofError> {
        let shown = self.reader.node(asked, depth)?;
        if let [(position, value)] = asked.claimed {
            if kept.binary_search(position).is_ok() {
                self.out.push(TAG_ASKED);
            } else {
                self.out.push(TAG_LEAF);
                self.out.extend(position.as_bytes());
                self.out.extend(value.as_bytes());
            }
        }
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::{
        digest::NODE,
        status_map::{StatusMap, status_value},
    };

    fn name(number: u64) -> Digest {
        NODE.hash(&number.to_be_bytes())
    }

    /// Maps of many sizes, and of each proofs about keys with and without statuses, narrowed to every share of them.
    #[test]
    fn every_narrowed_proof_is_the_one_that_the_whole_map_gives() {
        for count in [0, 1, 2, 3, 5, 17, 64, 200] {
            let mut map = StatusMap::new();
            (0..count).for_each(|key| map.append(&name(key), &name(!key)));
            for (asked, step) in [(1, 1), (2, 1), (9, 1), (40, 3), (300, 1)] {
                let first = count.saturating_sub(asked / 2);
                let keys: Vec<Digest> = (first..first + asked).step_by(step).map(name).collect();
                let value =
                    |key: &Digest| Some((*key, status_value(Some(map.statuses(key)).filter(|s| !s.is_empty())?)));
                let present: Vec<(Digest, Digest)> = keys.iter().filter_map(value).collect();
                let proof = map.prove(&keys).into_bytes();
                for share in 1..=keys.len().min(12) {
                    let kept: Vec<Digest> = keys.iter().copied().step_by(share).collect();
                    let narrowed =
                        narrow_statuses(&map.root(), keys.iter().copied(), &present, &proof, kept.iter().copied());
                    assert_eq!(narrowed, Ok(map.prove(&kept).into_bytes()), "{count} {asked} {share}");
                }
            }
        }
    }

    #[test]
    fn what_was_not_asked_or_is_not_proven_is_in_no_narrowed_proof() {
        let mut map = StatusMap::new();
        (0..20).for_each(|key| map.append(&name(key), &name(!key)));
        let keys = [name(30), name(31)];
        let proof = map.prove(&keys).into_bytes();
        let refused = |root: &Digest, proof: &[u8], kept: &[Digest]| {
            narrow_statuses(root, keys, &[], proof, kept.iter().copied()).unwrap_err().code()
        };
        assert_eq!(refused(&map.root(), &proof, &[]), "status-no-queries");
        assert_eq!(refused(&map.root(), &proof, &[name(32)]), "status-not-asked");
        assert_eq!(refused(&name(1), &proof, &keys[..1]), "status-root-mismatch");
        assert_eq!(refused(&map.root(), &proof[..proof.len() - 1], &keys[..1]), "status-proof-truncated");
        assert_eq!(refused(&map.root(), &[proof.as_slice(), &[0]].concat(), &keys[..1]), "status-proof-trailing");
        assert_eq!(refused(&map.root(), &alloc::vec![TAG_INNER; 100_000], &keys[..1]), "status-proof-unasked");
    }
}
