//! What was seen of the log by anybody, and what must never be seen.

use std::collections::{BTreeMap, HashMap, HashSet};

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    entry::Entry,
    note::{Note, NoteVerifier},
    tree::{LeafIndex, Rfc9162, TreeSize, verify_consistency, verify_inclusion},
};

use super::beside::verifiers;
use crate::{Receipt, Store, head::Head, lease::SharedHead, tests::world::ORIGIN};

/// The notes, entries and receipts that were seen, and the first thing that was wrong.
#[derive(Debug)]
pub(super) struct Ledger {
    keys: Vec<NoteVerifier>,
    /// Which key signed each size.
    signers: BTreeMap<u64, usize>,
    /// The sizes and roots that the head was moved to.
    heads: HashSet<(u64, Digest)>,
    known: HashSet<String>,
    /// The root of each size that was signed.
    pub(super) roots: BTreeMap<u64, Digest>,
    /// The leaf hashes that readers were shown.
    leaves: BTreeMap<u64, Digest>,
    /// The size of the published checkpoint.
    published: u64,
    /// Where commits were acknowledged to be, by their number.
    pub(super) acknowledged: BTreeMap<usize, u64>,
    pub(super) wrong: Option<String>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            keys: verifiers(),
            signers: BTreeMap::new(),
            heads: HashSet::new(),
            known: HashSet::new(),
            roots: BTreeMap::new(),
            leaves: BTreeMap::new(),
            published: 0,
            acknowledged: BTreeMap::new(),
            wrong: None,
        }
    }

    pub(super) fn fail(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }

    /// Hears of an error: whatever goes wrong on the way, nobody may be told of damage, nor be refused a commit that is
    /// good.
    pub(super) fn error(&mut self, error: &dyn core::error::Error, who: &str) {
        let text = error.to_string();
        if text.contains("is damaged") || text.contains("is refused") {
            self.fail(format!("{who} says: {text}"));
        }
    }

    /// Takes note of a checkpoint, and returns its size and root.
    pub(super) fn note(&mut self, text: &str, who: &str) -> (u64, Digest) {
        let Some(checkpoint) = read(text) else {
            self.fail(format!("{who} shows what is no checkpoint: {text:?}"));
            return (0, Digest::ZERO);
        };
        let (size, root) = (checkpoint.size, checkpoint.root);
        if !self.known.contains(text) {
            let note = Note::parse(text.as_bytes()).unwrap();
            match note.verify(&self.keys).as_deref() {
                Ok([by]) => {
                    self.known.insert(text.to_owned());
                    self.signed_by(size, by.key, who);
                }
                _ => self.fail(format!("{who} shows a checkpoint of size {size} that the log did not sign")),
            }
            self.signed(Head { size, root }, who);
        }
        let before = *self.roots.entry(size).or_insert(root);
        if before != root {
            self.fail(format!("{who} shows root {root} at size {size}, where {before} was signed: the log forked"));
        }
        (size, root)
    }

    /// Takes note of where the head was moved.
    pub(super) fn moved(&mut self, bytes: &[u8]) {
        match SharedHead::parse(bytes) {
            Ok(SharedHead { head: Head { size, root }, .. }) => drop(self.heads.insert((size, root))),
            Err(error) => self.fail(format!("a head was written that can't be read: {error}")),
        }
    }

    /// Looks at what was signed, whether anybody was told or not: the head was moved there before (Rule R11).
    pub(super) fn signed(&mut self, head: Head, who: &str) {
        let Head { size, root } = head;
        if !self.heads.contains(&(size, root)) {
            self.fail(format!("{who} signs size {size} and root {root}, and no head was moved there"));
        }
    }

    fn signed_by(&mut self, size: u64, key: usize, who: &str) {
        let before = *self.signers.entry(size).or_insert(key);
        if before != key {
            self.fail(format!("{who} shows a checkpoint of size {size} by key {key}, and key {before} signed it"));
        }
    }

    /// Looks at bytes that a process wants to write: at every checkpoint in them. So what was signed is seen,
    /// even if it gets nowhere.
    pub(super) fn written(&mut self, name: &str, bytes: &[u8]) {
        if !(name == "head" || name == "checkpoint" || name.starts_with("segments/")) {
            return;
        }
        let begins = format!("{ORIGIN}\n").into_bytes();
        let mut rest = bytes;
        while let Some(at) = find(rest, &begins) {
            let found = &rest[at..];
            let signature =
                find(found, "\n\n".as_bytes()).and_then(|end| Some(end + 2 + find(&found[end + 2..], b"\n")?));
            let text = signature.and_then(|end| core::str::from_utf8(&found[..=end]).ok());
            if let Some(text) = text.filter(|text| read(text).is_some()) {
                self.note(text, &format!("who writes {name}"));
            }
            rest = &found[begins.len()..];
        }
    }

    /// Looks at the published checkpoint after it was written.
    pub(super) fn published(&mut self, bytes: &[u8]) {
        let (size, _) = self.note(&String::from_utf8_lossy(bytes), "the bucket");
        if size < self.published {
            self.fail(format!("the published checkpoint goes back from size {} to {size}", self.published));
        }
        self.published = size;
    }

    /// Looks at what a process shows when it is asked how far the log is.
    pub(super) fn shown(&mut self, store: &Store, who: &str) -> u64 {
        let (size, _) = self.note(&store.checkpoint(), who);
        if store.size() != size {
            self.fail(format!("{who} shows {} entries under a checkpoint of {size}", store.size()));
        }
        size
    }

    /// Looks at a receipt for a commit.
    pub(super) fn receipt(&mut self, number: usize, entry: &[u8], receipt: &Receipt, who: &str) {
        let (size, root) = self.note(&receipt.checkpoint, who);
        let (index, of) = (LeafIndex::new(receipt.index), TreeSize::new(size));
        let leaf = Rfc9162::leaf_hash(entry);
        if receipt.size != size || verify_inclusion(&Rfc9162, index, of, &leaf, &receipt.inclusion, &root).is_err() {
            self.fail(format!("{who} gives a receipt for commit {number} that proves nothing"));
        }
        self.leaf(receipt.index, leaf, who);
        let before = *self.acknowledged.entry(number).or_insert(receipt.index);
        if before != receipt.index {
            self.fail(format!("commit {number} was acknowledged at {before}, and by {who} at {}", receipt.index));
        }
    }

    pub(super) fn leaf(&mut self, index: u64, leaf: Digest, who: &str) {
        if *self.leaves.entry(index).or_insert(leaf) != leaf {
            self.fail(format!("{who} shows another entry {index} than was shown before"));
        }
    }

    /// Looks at a proof that an entry stands in the log of a size that was signed.
    pub(super) fn inclusion(&mut self, index: u64, size: u64, leaf: Digest, path: &[Digest], who: &str) {
        let root = self.roots[&size];
        if verify_inclusion(&Rfc9162, LeafIndex::new(index), TreeSize::new(size), &leaf, path, &root).is_err() {
            self.fail(format!("{who} proves entry {index} in the log of {size} entries, and the proof proves nothing"));
        }
        self.leaf(index, leaf, who);
    }

    /// Looks at a proof that one log that was signed is the beginning of another.
    pub(super) fn consistency(&mut self, old: u64, new: u64, proof: &[Digest], who: &str) {
        let (first, second) = (self.roots[&old], self.roots[&new]);
        let (from, to) = (TreeSize::new(old), TreeSize::new(new));
        if verify_consistency(&Rfc9162, from, &first, to, &second, proof).is_err() {
            self.fail(format!("{who} can't prove that the log of {new} entries extends that of {old}"));
        }
    }

    /// Returns a size that was signed, at most `most`, by chance.
    pub(super) fn a_size(&self, most: u64, chance: u64) -> u64 {
        let sizes: Vec<u64> = self.roots.range(..=most).map(|(size, _)| *size).collect();
        let at = chance % u64::try_from(sizes.len().max(1)).unwrap();
        sizes.get(usize::try_from(at).unwrap()).copied().unwrap_or_default()
    }

    /// Compares everything with the log as it turned out to be.
    pub(super) fn compare(&mut self, entries: &[Vec<u8>], commits: &[Vec<u8>]) {
        let mut frontier = griptrace_core::tree::Frontier::new(Rfc9162);
        let mut roots = BTreeMap::new();
        let mut places: HashMap<&[u8], Vec<u64>> = HashMap::new();
        for (index, entry) in (0..).zip(entries) {
            frontier.push(Rfc9162::leaf_hash(entry)).unwrap();
            roots.insert(index + 1, frontier.root().unwrap());
            places.entry(entry).or_default().push(index);
            self.leaf(index, Rfc9162::leaf_hash(entry), "the log at its end");
        }
        let other = self.roots.iter().find(|(size, root)| roots.get(*size) != Some(*root)).map(|(size, _)| *size);
        if let Some(size) = other {
            self.fail(format!("size {size} was signed over another root than the log has at its end"));
        }
        let by = self.signers.iter().find(|(size, key)| key_at(entries, **size) != **key);
        if let Some((size, key)) = by {
            self.fail(format!("size {size} was signed by key {key}, and the log's is {}", key_at(entries, *size)));
        }
        for (number, commit) in commits.iter().enumerate() {
            let found = places.get(&**commit).map_or(&[][..], Vec::as_slice);
            match (self.acknowledged.get(&number), found) {
                (None, [] | [_]) => {}
                (Some(index), [place]) if index == place => {}
                (said, found) => self.fail(format!("commit {number} was acknowledged at {said:?} and is at {found:?}")),
            }
        }
    }
}

/// Which key signs a log of a size: a change of it counts from the next size on.
fn key_at(entries: &[Vec<u8>], size: u64) -> usize {
    let before = entries.iter().take(usize::try_from(size).unwrap());
    before.filter(|entry| matches!(Entry::parse(entry), Ok(Entry::KeyChange(_)))).count()
}

fn read(text: &str) -> Option<Checkpoint> {
    Checkpoint::parse(Note::parse(text.as_bytes()).ok()?.text()).ok()
}

pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
