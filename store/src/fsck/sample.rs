//! A random part of the audit, for every day: segments drawn by lot, each with its nodes, entries, tiles and marks.

use std::collections::BTreeSet;

use griptrace_core::{
    digest::COMMIT_TREE,
    entry::Entry,
    node::node_id,
    tile::{EntryBundle, TILE_WIDTH, Tile, encode_entries, encode_hashes},
    tree::{self, Rfc9162},
};

use super::{Audit, FsckReport, Progress};
use crate::{
    Store,
    catalogue::Catalogue,
    error::{FsckError, StorageError},
    head::Signature,
    number::{narrow, wide},
    record::core_bytes,
    segment::{self, Group, GroupEntry, Groups},
    store::State,
    tiles::TileReader,
};

impl Store {
    /// Checks `count` entries that `seed` draws by lot, and with each everything in its segment: nodes against their ids
    /// and the commit's root, entries against the tree under the newest checkpoint, the tiles that they are in, and marks
    /// against the status map. Also `head`, `checkpoint`, keys and whatever else is small. What is not drawn is not
    /// looked at, so that only many such samples come near to [`Self::fsck`].
    ///
    /// # Errors
    /// As [`Self::fsck`].
    pub fn fsck_sample(&self, count: u64, seed: u64, progress: Progress<'_>) -> Result<FsckReport, FsckError> {
        let inner = &self.0;
        let keys = inner.keys();
        inner.publish();
        let mut report = inner.ask(|state| {
            let size = state.catalogue.size();
            let signature = Signature { keys: &keys.log };
            let mut audit = Audit::new(&inner.objects, signature, Catalogue::new(inner.home), Some(size));
            let drawn: BTreeSet<u64> =
                (0..count).map(|at| state.catalogue.segment_of(draw(seed, at) % size.max(1))).collect();
            for (at, first) in (0_u64..).zip(&drawn) {
                progress("checking segments", at, wide(drawn.len()));
                audit.drawn(state, *first)?;
            }
            audit.erased(&state.catalogue)?;
            audit.genesis()?;
            audit.signed(state)?;
            Ok::<_, StorageError>(audit.done())
        })?;
        let mut named = BTreeSet::new();
        report.faults.retain(|fault| named.insert((fault.object.clone(), fault.why.clone())));
        Ok(report)
    }
}

/// Returns a number that a seed draws.
fn draw(seed: u64, at: u64) -> u64 {
    let hash = blake3::hash(&[seed.to_le_bytes(), at.to_le_bytes()].concat());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Audit<'_> {
    /// Checks one segment, as far as the log that is open reaches.
    fn drawn(&mut self, state: &State, first: u64) -> Result<(), StorageError> {
        let name = segment::name(first);
        let read = self.objects.read(&name);
        let Some(found) = self.note(read)? else { return Ok(()) };
        let Some(bytes) = found else {
            self.fault(name, "it is missing, and the log needs it; restore it from a copy");
            return Ok(());
        };
        let header = segment::check_header(&state.catalogue.home, first, &bytes);
        let Some(begin) = self.note(header)? else { return Ok(()) };
        self.report.segments += 1;
        let mut groups = Groups::new(&name, first, bytes.get(narrow(begin)..).unwrap_or_default(), begin, first);
        let mut next = first;
        while next < self.size {
            let group = groups.next();
            let Some(Some(group)) = self.note(group)? else { return Ok(()) };
            next = group.first.saturating_add(wide(group.entries.len()));
            self.nodes(&group);
            self.entries(state, &group)?;
        }
        Ok(())
    }

    /// Checks the entries of a group against the tree, and what each of them holds.
    fn entries(&mut self, state: &State, group: &Group<'_>) -> Result<(), StorageError> {
        for (index, entry) in (group.first..).zip(&group.entries) {
            let read = self.tree(state, index);
            let Some(expected) = self.note(read)? else { continue };
            if expected != Rfc9162::leaf_hash(entry.bytes) {
                self.fault(group.name, format!("its entry {index} is not the one that was signed"));
            }
            if let Some(why) = commit(state, entry) {
                self.fault(group.name, format!("entry {index}: {why}"));
            }
        }
        Ok(())
    }

    /// Returns the hash of an entry as the signed tree has it, and compares the full tiles that it is in.
    fn tree(&mut self, state: &State, index: u64) -> Result<griptrace_core::digest::Digest, StorageError> {
        let (number, inside) = (index / u64::from(TILE_WIDTH), narrow(index % u64::from(TILE_WIDTH)));
        let beyond = || StorageError::corrupt("tile", format!("the tree has no entry {index}"));
        let tile = Tile::in_tree(0, number, state.catalogue.size()).ok_or_else(beyond)?;
        let bundle = EntryBundle::in_tree(number, state.catalogue.size()).ok_or_else(beyond)?;
        let mut reader = TileReader::new(self.objects, &state.catalogue);
        let hashes = reader.hashes(tile)?;
        if !tile.is_partial() {
            let wrong = |error| StorageError::corrupt("tile", error);
            let entries: Vec<&[u8]> = reader.bundle(bundle)?.iter().map(Vec::as_slice).collect();
            let expected = [
                (tile.path(), encode_hashes(&hashes).map_err(wrong)?),
                (bundle.path(), encode_entries(&entries).map_err(wrong)?),
            ];
            self.tiles(&expected, None)?;
        }
        hashes.get(inside).copied().ok_or_else(beyond)
    }

    /// Checks what is small: the state, head and checkpoint against the tree, and what was cosigned.
    fn signed(&mut self, state: &State) -> Result<(), StorageError> {
        let mut reader = TileReader::new(self.objects, &state.catalogue);
        for signed in self.signature.all(self.objects)? {
            let head = signed.head;
            if head.size <= state.catalogue.size() {
                let root = reader.root_at(head.size);
                if let Some(root) = self.note(root)? {
                    self.roots.insert(head.size, root);
                }
            }
        }
        self.roots.insert(state.catalogue.size(), state.catalogue.root());
        self.heads()?;
        self.adopted()
    }
}

/// Says what is wrong with the nodes or lines of a commit.
fn commit(state: &State, entry: &GroupEntry<'_>) -> Option<String> {
    let Ok(Entry::Commit(commit)) = Entry::parse(entry.bytes) else { return None };
    let ids = entry.nodes.iter().map(|node| core_bytes(node.bytes).map(node_id));
    let ids: Vec<_> = match ids.collect::<Result<_, _>>() {
        Ok(ids) => ids,
        Err(error) => return Some(format!("{error}")),
    };
    let leaves: Vec<_> = ids.iter().map(|id| *id.digest()).collect();
    if tree::root(&COMMIT_TREE, &leaves) != Some(commit.payload.root) {
        return Some(format!("its nodes are not those under its root {}", commit.payload.root));
    }
    if let Some(id) = ids.iter().find(|id| state.catalogue.number(id).is_none()) {
        return Some(format!("the catalogue has no node {id}"));
    }
    let stands = |line: &&griptrace_core::commit::StatusLine| {
        state.catalogue.map().statuses(line.key.digest()).contains(line.status.digest())
    };
    let lost = commit.payload.statuses.iter().find(|line| !stands(line));
    lost.map(|line| format!("its status {} is not in the status map", line.status))
}
