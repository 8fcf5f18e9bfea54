//! Proofs about single things, at any size that the log has had: what a caller needs to believe nothing
//! that it was only told. Bundles are in `prove`.

use std::collections::{BTreeMap, btree_map::Entry};

use griptrace_core::{
    digest::{COMMIT_TREE, Digest},
    id::{NodeId, StatusKey},
    tree::{Rfc9162, parents},
};

use crate::{
    State, Store,
    error::{ReadError, StorageError},
    head::{HEAD, Head, Signature},
    number::wide,
    placed::Number,
    reading::SegmentReader,
    segment,
    tiles::TileReader,
};

/// That an entry is in the log of a size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryProof {
    /// The hash of the entry as a leaf.
    pub leaf_hash: Digest,
    /// The path to the root (RFC 9162, 2.1.3).
    pub path: Vec<Digest>,
}

/// That a node stands in a signed commit, and the commit in the log of a size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeProof {
    /// The commit's entry.
    pub entry: Vec<u8>,
    /// The leaf index of the commit.
    pub index: u64,
    /// The node's place among the sorted ids of the commit.
    pub place: u64,
    /// How many nodes the commit has.
    pub count: u64,
    /// The path from the node to the commit's root.
    pub commit_path: Vec<Digest>,
    /// The path from the entry to the log's root.
    pub log_path: Vec<Digest>,
}

/// All statuses of a node, and the proof that these are all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusEvidence {
    /// What the status map was asked for.
    pub key: StatusKey,
    /// The status nodes, in log order.
    pub statuses: Vec<NodeId>,
    /// The status head: the last entry of the tree.
    pub head: Vec<u8>,
    /// The path from the status head to the log's root.
    pub head_path: Vec<Digest>,
    /// The proof under the map's root.
    pub proof: Vec<u8>,
}

/// A status that came into the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusChange {
    /// Its key of the status map.
    pub key: StatusKey,
    /// The status node.
    pub status: NodeId,
    /// The leaf index of its commit.
    pub index: u64,
}

impl Store {
    /// Returns the signed checkpoint of a size; `None` if none was signed at that size.
    ///
    /// # Errors
    /// `Beyond` for a size that the log has not reached.
    pub fn checkpoint_at(&self, size: u64) -> Result<Option<String>, ReadError> {
        self.0.ask(|state| {
            state.reached(size)?;
            let catalogue = &state.catalogue;
            if !catalogue.is_signed(size) {
                return Ok(None);
            }
            let (_, note) = signed_at(state, &mut SegmentReader::new(&self.0.objects), size)?;
            Ok(Some(note))
        })
    }

    /// Proves that an entry is in the log of `size` entries.
    ///
    /// # Errors
    /// `Beyond` for an index or a size that is not there.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<EntryProof, ReadError> {
        self.0.ask(|state| {
            state.reached(size)?;
            if index >= size {
                return Err(ReadError::Beyond { asked: index.saturating_add(1), size });
            }
            let mut tiles = TileReader::new(&self.0.objects, &state.catalogue);
            let leaf_hash = Rfc9162::leaf_hash(&tiles.entry(index)?);
            Ok(EntryProof { leaf_hash, path: tiles.inclusion(&[index], size)? })
        })
    }

    /// Proves that the log of `new` entries extends that of `old` entries.
    ///
    /// # Errors
    /// `Beyond` if one is larger than the log, or the old one larger than the new one, or nothing.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, ReadError> {
        self.0.ask(|state| {
            state.reached(new)?;
            if old == 0 || old > new {
                return Err(ReadError::Beyond { asked: old, size: new });
            }
            Ok(TileReader::new(&self.0.objects, &state.catalogue).consistency(old, new)?)
        })
    }

    /// Returns all statuses of a node in the log of `size` entries, with the proof that these are all.
    ///
    /// # Errors
    /// `NoNode`; `Beyond` for a size that the log has not reached; `NoCheckpoint` for one that was not signed.
    pub fn status_evidence(&self, id: &NodeId, size: u64) -> Result<StatusEvidence, ReadError> {
        let mut older = None;
        loop {
            let evidence = self.0.ask(|state| {
                state.reached(size)?;
                let catalogue = &state.catalogue;
                let key = catalogue.status_key(state.number_at(id, size)?);
                if !catalogue.is_signed(size) {
                    return Err(ReadError::NoCheckpoint { size });
                }
                let newest = (size == catalogue.size()).then(|| catalogue.map());
                let Some(map) = older.as_deref().or(newest) else { return Ok(None) };
                let index = size.saturating_sub(1);
                let mut tiles = TileReader::new(&self.0.objects, catalogue);
                Ok(Some(StatusEvidence {
                    key,
                    statuses: map.statuses(key.digest()).iter().copied().map(NodeId::new).collect(),
                    head: tiles.entry(index)?,
                    head_path: tiles.inclusion(&[index], size)?,
                    proof: map.prove(&[*key.digest()]).into_bytes(),
                }))
            })?;
            match evidence {
                Some(evidence) => return Ok(evidence),
                None => older = Some(self.0.older_map(size)?),
            }
        }
    }

    /// Proves for each node that it is in the log of `size` entries, in the order given.
    ///
    /// # Errors
    /// `NoNode`, also for one that came later; `Beyond`.
    pub fn node_proofs(&self, ids: &[NodeId], size: u64) -> Result<Vec<NodeProof>, ReadError> {
        self.0.ask(|state| {
            state.reached(size)?;
            let numbers = ids.iter().map(|id| state.number_at(id, size)).collect::<Result<Vec<_>, _>>()?;
            let mut tiles = TileReader::new(&self.0.objects, &state.catalogue);
            let mut commits: BTreeMap<u32, Signed> = BTreeMap::new();
            let mut proofs = Vec::with_capacity(ids.len());
            for number in numbers {
                let commit = state.catalogue.node(number).commit;
                let signed = match commits.entry(commit) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(Signed::read(state, &mut tiles, commit, size)?),
                };
                proofs.push(signed.proof(number));
            }
            Ok(proofs)
        })
    }

    /// Returns the statuses that came with the entries from `begin` on, below `end`, in log order: the first `most`. What
    /// key changes add to the status map is no status.
    ///
    /// # Errors
    /// `Beyond` for an end that the log has not reached.
    pub fn status_changes(&self, begin: u64, end: u64, most: usize) -> Result<Vec<StatusChange>, ReadError> {
        self.0.ask(|state| {
            state.reached(end)?;
            let lines = state.catalogue.lines_from(begin).take_while(|(index, _)| *index < end);
            let is_status = |(index, _): &(u64, _)| !state.keys.changes.iter().any(|change| change.index == *index);
            let lines = lines.filter(is_status).take(most);
            Ok(lines.map(|(index, line)| StatusChange { key: line.key, status: line.status, index }).collect())
        })
    }
}

/// Reads the checkpoint of a size at which one was signed, and verifies the log's signature.
pub(crate) fn signed_at(
    state: &State,
    segments: &mut SegmentReader<'_>,
    size: u64,
) -> Result<(Head, String), StorageError> {
    let signature = Signature { keys: &state.keys.log };
    let (name, bytes) = match state.catalogue.checkpoint(size) {
        Some((first, frame)) => (segment::name(first), segments.payload(first, frame)?),
        None => (HEAD.to_owned(), state.note.clone().into_bytes()),
    };
    let (head, note) = signature.read(&name, &bytes)?;
    if head.size == size {
        return Ok((head, note));
    }
    Err(StorageError::corrupt(name, format!("the checkpoint of size {size} is of size {}", head.size)))
}

/// A commit, ready to prove its nodes.
struct Signed {
    entry: Vec<u8>,
    index: u64,
    first: Number,
    /// The commit's tree: the ids, and above them level by level.
    levels: Vec<Vec<Digest>>,
    log_path: Vec<Digest>,
}

impl Signed {
    fn read(state: &State, tiles: &mut TileReader<'_>, commit: u32, size: u64) -> Result<Self, StorageError> {
        let placed = state.catalogue.commit(commit);
        let numbers = placed.first_node..placed.first_node.saturating_add(placed.nodes);
        let mut levels = vec![numbers.map(|n| *state.catalogue.id(n).digest()).collect::<Vec<_>>()];
        while let Some(row) = levels.last().filter(|row| row.len() > 1) {
            let above = parents(&COMMIT_TREE, row);
            levels.push(above);
        }
        let entry = tiles.entry(placed.leaf)?;
        let log_path = tiles.inclusion(&[placed.leaf], size)?;
        Ok(Self { entry, index: placed.leaf, first: placed.first_node, levels, log_path })
    }

    fn proof(&self, number: Number) -> NodeProof {
        let place = crate::number::place(number.saturating_sub(self.first));
        let sibling = |(level, row): (usize, &Vec<Digest>)| row.get((place >> level) ^ 1).copied();
        NodeProof {
            entry: self.entry.clone(),
            index: self.index,
            place: wide(place),
            count: wide(self.levels.first().map_or(0, Vec::len)),
            commit_path: self.levels.iter().enumerate().filter_map(sibling).collect(),
            log_path: self.log_path.clone(),
        }
    }
}

impl State {
    /// Refuses a size that the log has not reached.
    pub(crate) fn reached(&self, size: u64) -> Result<(), ReadError> {
        let reached = self.catalogue.size();
        if size <= reached { Ok(()) } else { Err(ReadError::Beyond { asked: size, size: reached }) }
    }

    /// Returns the number of a node that the log of `size` entries has.
    pub(crate) fn number_at(&self, id: &NodeId, size: u64) -> Result<Number, ReadError> {
        let number = self.number(id)?;
        if self.catalogue.leaf(number) < size { Ok(number) } else { Err(ReadError::NoNode { id: *id }) }
    }
}
