//! The status map: an authenticated map from a key to all its statuses, which proves presence and absence.
//!
//! A key stands at the position [`STATUS_POSITION`] gives it. The map is a compact binary trie over the 256 bits of
//! the position, most significant first (the shape of the Diem and Jellyfish trees):
//!
//! - no entry hashes to [`Digest::ZERO`];
//! - one entry alone hashes to `STATUS_LEAF(position || value)`, however far up it stands;
//! - two or more hash to `STATUS_TREE(left || right)`, split at the next bit.
//!
//! # Why absence is proven
//!
//! A proof shows the trie from the root down to where each asked position ends. The root fixes what may be shown: a
//! digest is that of an entry, or of an inner node, or zero, and cannot be shown as two of these, because entries and
//! inner nodes hash under different keys and nobody knows bytes that hash to zero. An inner node fixes its children.
//! So under one root the walk along the bits of a position has one end, whoever built the trie, and presence and
//! absence of the same key can't both be proven. The end is nothing, or another position's entry, or the key's own
//! entry with one value: the first two are absence, because the rule above puts an entry nowhere else than on its own
//! walk. That the operator built the map by this rule, from all entries of the log, is not proven here: anybody can
//! recompute it from the public log, and a witness with the role `map` does.

mod narrow;

pub use narrow::narrow_statuses;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::digest::{Digest, STATUS_LEAF, STATUS_POSITION, STATUS_TREE, STATUS_VALUE};

/// Nothing stands here.
const TAG_EMPTY: u8 = 0;
/// An entry stands here that nobody asked for; its position (32 bytes) and value (32 bytes) follow.
const TAG_LEAF: u8 = 1;
/// The node splits; its left and its right half follow.
const TAG_INNER: u8 = 2;
/// Something stands here that no query concerns; its hash (32 bytes) follows.
const TAG_HASH: u8 = 3;
/// The one entry here is the one that was asked for and claimed present.
const TAG_ASKED: u8 = 4;

/// How deep the trie can be: the bits of a position.
const MAX_DEPTH: u16 = 256;

/// Returns where `key` stands in the map.
pub fn status_position(key: &Digest) -> Digest {
    STATUS_POSITION.hash(key.as_bytes())
}

/// Returns the value of a key with these statuses, which are in log order.
pub fn status_value(statuses: &[Digest]) -> Digest {
    let bytes: Vec<u8> = statuses.iter().flat_map(|status| *status.as_bytes()).collect();
    STATUS_VALUE.hash(&bytes)
}

/// The map, in memory. Cloning is cheap: clones share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct StatusMap {
    root: Option<Arc<Node>>,
    len: usize,
}

#[derive(Debug)]
enum Node {
    Leaf(Leaf),
    Inner { hash: Digest, left: Option<Arc<Node>>, right: Option<Arc<Node>> },
}

#[derive(Debug)]
struct Leaf {
    key: Digest,
    position: Digest,
    statuses: Vec<Digest>,
    value: Digest,
    hash: Digest,
}

/// One proof for many keys. Its bytes are what [`verify_status_proof`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusProof(Vec<u8>);

impl StatusMap {
    /// Begins an empty map.
    pub const fn new() -> Self {
        Self { root: None, len: 0 }
    }

    /// Returns how many keys have a status.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Tells whether no key has a status.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the root: [`Digest::ZERO`] for the empty map. Costs nothing; hashing happens in [`Self::append`].
    pub fn root(&self) -> Digest {
        hash_of(self.root.as_ref())
    }

    /// Appends a status to those of `key`. Costs a hash for each level above the entry.
    pub fn append(&mut self, key: &Digest, status: &Digest) {
        let position = status_position(key);
        let earlier = self.find(&position);
        let mut statuses = earlier.map_or_else(Vec::new, |leaf| leaf.statuses.clone());
        if earlier.is_none() {
            self.len = self.len.saturating_add(1);
        }
        statuses.push(*status);
        let leaf = Arc::new(Node::Leaf(Leaf::new(*key, position, statuses)));
        self.root = Some(inserted(self.root.as_ref(), &position, leaf, 0));
    }

    /// Returns the statuses of `key` in log order; none if it has none.
    pub fn statuses(&self, key: &Digest) -> &[Digest] {
        self.find(&status_position(key)).map_or(&[], |leaf| &leaf.statuses)
    }

    /// Returns the value of `key`, or `None` if it has no status: what a query claims.
    pub fn value(&self, key: &Digest) -> Option<Digest> {
        self.find(&status_position(key)).map(|leaf| leaf.value)
    }

    /// Visits every key with its statuses, in the order of their positions.
    pub fn for_each(&self, mut visit: impl FnMut(&Digest, &[Digest])) {
        let mut rest: Vec<&Node> = self.root.as_deref().into_iter().collect();
        while let Some(node) = rest.pop() {
            match node {
                Node::Leaf(leaf) => visit(&leaf.key, &leaf.statuses),
                Node::Inner { left, right, .. } => rest.extend([right, left].into_iter().flatten().map(Arc::as_ref)),
            }
        }
    }

    /// Proves presence or absence of each of `keys`, in one proof. Order and repetition do not matter.
    pub fn prove(&self, keys: &[Digest]) -> StatusProof {
        let mut positions: Vec<Digest> = keys.iter().map(status_position).collect();
        positions.sort_unstable();
        positions.dedup();
        let mut bytes = Vec::new();
        write(self.root.as_ref(), &positions, 0, &mut bytes);
        StatusProof(bytes)
    }

    fn find(&self, position: &Digest) -> Option<&Leaf> {
        let mut node = self.root.as_deref()?;
        for depth in 0..=MAX_DEPTH {
            match node {
                Node::Leaf(leaf) => return (leaf.position == *position).then_some(leaf),
                Node::Inner { left, right, .. } => {
                    node = if bit(position, depth) { right.as_deref()? } else { left.as_deref()? };
                }
            }
        }
        None
    }
}

impl StatusProof {
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Leaf {
    fn new(key: Digest, position: Digest, statuses: Vec<Digest>) -> Self {
        let value = status_value(&statuses);
        Self { key, position, statuses, value, hash: leaf_hash(&position, &value) }
    }
}

fn leaf_hash(position: &Digest, value: &Digest) -> Digest {
    STATUS_LEAF.hash_pair(position, value)
}

fn hash_of(node: Option<&Arc<Node>>) -> Digest {
    match node.map(Arc::as_ref) {
        None => Digest::ZERO,
        Some(Node::Leaf(leaf)) => leaf.hash,
        Some(Node::Inner { hash, .. }) => *hash,
    }
}

fn inner(left: Option<Arc<Node>>, right: Option<Arc<Node>>) -> Arc<Node> {
    let hash = STATUS_TREE.hash_pair(&hash_of(left.as_ref()), &hash_of(right.as_ref()));
    Arc::new(Node::Inner { hash, left, right })
}

/// Returns bit `depth` of a position, most significant first (`false` beyond the last).
fn bit(position: &Digest, depth: u16) -> bool {
    let byte = position.as_bytes().get(usize::from(depth / 8)).copied().unwrap_or(0);
    byte.wrapping_shl(u32::from(depth % 8)) & 0x80 != 0
}

/// Tells whether two positions agree in their first `depth` bits.
fn share_path(one: &Digest, other: &Digest, depth: u16) -> bool {
    let differing = one.as_bytes().iter().zip(other.as_bytes()).position(|(one, other)| one != other);
    let Some(at) = differing else { return true };
    let pair = one.as_bytes().get(at).zip(other.as_bytes().get(at));
    let within = pair.map_or(0, |(one, other)| (one ^ other).leading_zeros());
    let shared = at.saturating_mul(8).saturating_add(usize::try_from(within).unwrap_or(0));
    shared >= usize::from(depth)
}

/// Returns `node` with `leaf` put in. Recursion ends at the last bit of a position.
fn inserted(node: Option<&Arc<Node>>, position: &Digest, leaf: Arc<Node>, depth: u16) -> Arc<Node> {
    let next = depth.saturating_add(1);
    let (left, right) = match node.map(Arc::as_ref) {
        None => return leaf,
        Some(Node::Leaf(other)) if other.position == *position || depth >= MAX_DEPTH => return leaf,
        Some(Node::Leaf(other)) if bit(&other.position, depth) => (None, node.cloned()),
        Some(Node::Leaf(_)) => (node.cloned(), None),
        Some(Node::Inner { left, right, .. }) => (left.clone(), right.clone()),
    };
    if bit(position, depth) {
        let right = inserted(right.as_ref(), position, leaf, next);
        inner(left, Some(right))
    } else {
        let left = inserted(left.as_ref(), position, leaf, next);
        inner(Some(left), right)
    }
}

/// Writes the proof for the sorted `asked` positions below `node`. Recursion ends at the entries.
fn write(node: Option<&Arc<Node>>, asked: &[Digest], depth: u16, proof: &mut Vec<u8>) {
    match node.map(Arc::as_ref) {
        None => proof.push(TAG_EMPTY),
        Some(_) if asked.is_empty() => {
            proof.push(TAG_HASH);
            proof.extend(hash_of(node).as_bytes());
        }
        Some(Node::Leaf(leaf)) if asked.binary_search(&leaf.position).is_ok() => proof.push(TAG_ASKED),
        Some(Node::Leaf(leaf)) => {
            proof.push(TAG_LEAF);
            proof.extend(leaf.position.as_bytes());
            proof.extend(leaf.value.as_bytes());
        }
        Some(Node::Inner { left, right, .. }) => {
            proof.push(TAG_INNER);
            let (in_left, in_right) = asked.split_at(asked.partition_point(|position| !bit(position, depth)));
            write(left.as_ref(), in_left, depth.saturating_add(1), proof);
            write(right.as_ref(), in_right, depth.saturating_add(1), proof);
        }
    }
}

/// Verifies that under `root` each key has exactly the value claimed for it, where `None` claims that it has no
/// status. Keys are strictly increasing.
///
/// Strict: there is one proof for one set of queries under one root. Time is linear in proof and queries (and their
/// sorting), memory follows the queries, recursion ends at depth 256.
///
/// Errors: every variant of [`StatusProofError`].
pub fn verify_status_proof(
    root: &Digest,
    queries: &[(Digest, Option<Digest>)],
    proof: &[u8],
) -> Result<(), StatusProofError> {
    for ((previous, _), (key, _)) in queries.iter().zip(queries.iter().skip(1)) {
        if previous >= key {
            return Err(StatusProofError::QueryOrder { previous: *previous, key: *key });
        }
    }
    let present: Vec<(Digest, Digest)> = queries.iter().filter_map(|(key, value)| Some((*key, (*value)?))).collect();
    verify_statuses(root, queries.iter().map(|(key, _)| *key), &present, proof)
}

/// Verifies, as [`verify_status_proof`] does, that under `root` each of `present` has the value beside it, and that
/// none of the other `keys` has a status. Keys may stand in any order and more than once.
///
/// For each key this takes the 32 bytes of a digest, and no more.
///
/// Errors: every variant of [`StatusProofError`] but `QueryOrder`.
pub fn verify_statuses(
    root: &Digest,
    keys: impl IntoIterator<Item = Digest>,
    present: &[(Digest, Digest)],
    proof: &[u8],
) -> Result<(), StatusProofError> {
    let positions = positions(keys.into_iter().chain(present.iter().map(|(key, _)| *key)));
    let claimed = claimed(present);
    if positions.is_empty() {
        return Err(StatusProofError::NoQueries);
    }
    let mut reader = Reader { rest: proof, length: proof.len() };
    let (computed, _) = reader.node(Asked { positions: &positions, claimed: &claimed }, 0)?;
    if !reader.rest.is_empty() {
        return Err(StatusProofError::Trailing { bytes: reader.rest.len() });
    }
    if computed == *root { Ok(()) } else { Err(StatusProofError::RootMismatch { expected: *root, computed }) }
}

/// Returns where keys stand, ascending and each once.
fn positions(keys: impl Iterator<Item = Digest>) -> Vec<Digest> {
    let mut positions = Vec::new();
    STATUS_POSITION.hash_short(keys.map(|key| *key.as_bytes()), &mut positions);
    positions.sort_unstable_by(by_beginning);
    positions.dedup();
    positions
}

/// Returns where keys stand that are claimed present, ascending, with their values.
fn claimed(present: &[(Digest, Digest)]) -> Vec<(Digest, Digest)> {
    let mut claimed: Vec<(Digest, Digest)> =
        present.iter().map(|(key, value)| (status_position(key), *value)).collect();
    claimed.sort_unstable();
    claimed
}

/// Compares by the first eight bytes, which nearly always suffice, and then by the rest: the order of digests.
fn by_beginning(one: &Digest, other: &Digest) -> core::cmp::Ordering {
    let beginning = |digest: &Digest| digest.as_bytes().first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    beginning(one).cmp(&beginning(other)).then_with(|| one.cmp(other))
}

/// The queries below one node of the trie.
#[derive(Clone, Copy)]
struct Asked<'q> {
    /// Where all queried keys stand, ascending.
    positions: &'q [Digest],
    /// Those that are claimed present, ascending, with their values.
    claimed: &'q [(Digest, Digest)],
}

impl Asked<'_> {
    /// Returns the queries of the left and of the right half.
    fn split(self, depth: u16) -> (Self, Self) {
        let (left, right) = self.positions.split_at(self.positions.partition_point(|at| !bit(at, depth)));
        let (claimed_left, claimed_right) =
            self.claimed.split_at(self.claimed.partition_point(|(at, _)| !bit(at, depth)));
        (Self { positions: left, claimed: claimed_left }, Self { positions: right, claimed: claimed_right })
    }

    /// Checks that all queries here claim absence.
    fn absent(self) -> Result<(), StatusProofError> {
        match self.claimed.first() {
            Some((position, _)) => Err(StatusProofError::Absent { position: *position }),
            None => Ok(()),
        }
    }
}

/// What a proof showed of a node, as far as the rules of the shape need it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Empty,
    Leaf,
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl Reader<'_> {
    /// Reads the node at `depth` that concerns the queries `asked`, and returns its hash.
    fn node(&mut self, asked: Asked<'_>, depth: u16) -> Result<(Digest, Shown), StatusProofError> {
        let at = self.at();
        match self.byte()? {
            TAG_EMPTY => {
                asked.absent()?;
                Ok((Digest::ZERO, Shown::Empty))
            }
            TAG_LEAF => self.leaf(asked, depth, at),
            TAG_INNER => self.inner(asked, depth, at),
            TAG_HASH => self.hash(asked, at),
            TAG_ASKED => asked_leaf(asked, at),
            tag => Err(StatusProofError::Tag { tag, at }),
        }
    }

    fn leaf(&mut self, asked: Asked<'_>, depth: u16, at: usize) -> Result<(Digest, Shown), StatusProofError> {
        let (position, value) = (self.digest()?, self.digest()?);
        let first = asked.positions.first().ok_or(StatusProofError::Unasked { at })?;
        if asked.positions.binary_search(&position).is_ok() {
            return Err(StatusProofError::AskedLeaf { position });
        }
        if !share_path(first, &position, depth) {
            return Err(StatusProofError::Path { position, depth });
        }
        asked.absent()?;
        Ok((leaf_hash(&position, &value), Shown::Leaf))
    }

    fn inner(&mut self, asked: Asked<'_>, depth: u16, at: usize) -> Result<(Digest, Shown), StatusProofError> {
        if asked.positions.is_empty() {
            return Err(StatusProofError::Unasked { at });
        }
        check_depth(depth, at)?;
        let (in_left, in_right) = asked.split(depth);
        let left = self.node(in_left, depth.saturating_add(1))?;
        let right = self.node(in_right, depth.saturating_add(1))?;
        join(left, right, at)
    }

    fn hash(&mut self, asked: Asked<'_>, at: usize) -> Result<(Digest, Shown), StatusProofError> {
        let hash = self.digest()?;
        if let Some(hidden) = asked.positions.first() {
            return Err(StatusProofError::Hidden { position: *hidden });
        }
        if hash == Digest::ZERO { Err(StatusProofError::Shape { at }) } else { Ok((hash, Shown::Other)) }
    }

    /// Returns how many bytes were read.
    fn at(&self) -> usize {
        self.length.saturating_sub(self.rest.len())
    }

    fn byte(&mut self) -> Result<u8, StatusProofError> {
        let (byte, rest) = self.rest.split_first().ok_or(StatusProofError::Truncated { at: self.length })?;
        self.rest = rest;
        Ok(*byte)
    }

    fn digest(&mut self) -> Result<Digest, StatusProofError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(StatusProofError::Truncated { at: self.length })?;
        self.rest = rest;
        Ok(Digest::from_bytes(*bytes))
    }
}

/// Checks that there is a bit to split a node at `depth` by.
const fn check_depth(depth: u16, at: usize) -> Result<(), StatusProofError> {
    if depth < MAX_DEPTH { Ok(()) } else { Err(StatusProofError::Depth { at }) }
}

/// Hashes the halves of an inner node, which are not what one entry alone, or none, would be.
fn join(
    (left, left_shown): (Digest, Shown),
    (right, right_shown): (Digest, Shown),
    at: usize,
) -> Result<(Digest, Shown), StatusProofError> {
    match (left_shown, right_shown) {
        (Shown::Empty, Shown::Empty | Shown::Leaf) | (Shown::Leaf, Shown::Empty) => Err(StatusProofError::Shape { at }),
        (Shown::Empty | Shown::Leaf | Shown::Other, _) => Ok((STATUS_TREE.hash_pair(&left, &right), Shown::Other)),
    }
}

/// Takes the entry here for the one query that claims a value; all other queries here have to claim absence.
fn asked_leaf(asked: Asked<'_>, at: usize) -> Result<(Digest, Shown), StatusProofError> {
    match asked.claimed {
        [(position, value)] => Ok((leaf_hash(position, value), Shown::Leaf)),
        [_, (position, _), ..] => Err(StatusProofError::Absent { position: *position }),
        [] => Err(match asked.positions.first() {
            Some(position) => StatusProofError::Present { position: *position },
            None => StatusProofError::Unasked { at },
        }),
    }
}

/// Why a proof about the status map is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusProofError {
    /// A proof about no key at all.
    NoQueries,
    /// A key that the proof is to be narrowed to, and that it does not answer for.
    NotAsked {
        /// Its position.
        position: Digest,
    },
    /// The queries are not in strictly increasing order of their keys.
    QueryOrder {
        /// The key before.
        previous: Digest,
        /// The key that does not exceed it.
        key: Digest,
    },
    /// The proof ends too early.
    Truncated {
        /// Its length in bytes.
        at: usize,
    },
    /// There are bytes after the proof.
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A node begins with an unknown tag.
    Tag {
        /// The tag.
        tag: u8,
        /// Where, in bytes.
        at: usize,
    },
    /// An inner node below the last bit of a position.
    Depth {
        /// Where, in bytes.
        at: usize,
    },
    /// The proof opens a node that no query concerns.
    Unasked {
        /// Where, in bytes.
        at: usize,
    },
    /// The proof gives only the hash of a node that a query concerns.
    Hidden {
        /// The first position concerned.
        position: Digest,
    },
    /// An entry that does not belong where it is shown.
    Path {
        /// Its position.
        position: Digest,
        /// The depth it is shown at.
        depth: u16,
    },
    /// An asked entry is spelled out as somebody else's. No proof of absence can hold it.
    AskedLeaf {
        /// Its position.
        position: Digest,
    },
    /// A node that the rule of the map never makes: empty, or with one entry, and still split; or an empty node as hash.
    Shape {
        /// Where, in bytes.
        at: usize,
    },
    /// A key that is claimed absent is shown as present.
    Present {
        /// Its position (the first of those asked for there).
        position: Digest,
    },
    /// A key that is claimed present is shown as absent.
    Absent {
        /// Its position.
        position: Digest,
    },
    /// The proof leads to another root.
    RootMismatch {
        /// The root that was to be reached.
        expected: Digest,
        /// The root that was reached.
        computed: Digest,
    },
}

impl StatusProofError {
    /// Returns the stable reason code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoQueries => "status-no-queries",
            Self::NotAsked { .. } => "status-not-asked",
            Self::QueryOrder { .. } => "status-query-order",
            Self::Truncated { .. } => "status-proof-truncated",
            Self::Trailing { .. } => "status-proof-trailing",
            Self::Tag { .. } => "status-proof-tag",
            Self::Depth { .. } => "status-proof-depth",
            Self::Unasked { .. } => "status-proof-unasked",
            Self::Hidden { .. } => "status-proof-hidden",
            Self::Path { .. } => "status-proof-path",
            Self::AskedLeaf { .. } => "status-proof-asked-leaf",
            Self::Shape { .. } => "status-proof-shape",
            Self::Present { .. } => "status-claimed-absent",
            Self::Absent { .. } => "status-claimed-present",
            Self::RootMismatch { .. } => "status-root-mismatch",
        }
    }
}

impl fmt::Display for StatusProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoQueries => write!(f, "the status proof is about no key"),
            Self::NotAsked { position } => write!(f, "the status proof does not answer for position {position}"),
            Self::QueryOrder { previous, key } => {
                write!(f, "key {key} after key {previous}: the order is not strictly increasing")
            }
            Self::Truncated { at } => write!(f, "the status proof ends too early, at byte {at}"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes after the status proof"),
            Self::Tag { tag, at } => write!(f, "unknown tag {tag} at byte {at} of the status proof"),
            Self::Depth { at } => write!(f, "the status proof is too deep at byte {at}"),
            Self::Unasked { at } => write!(f, "the status proof opens a node that nobody asked for at byte {at}"),
            Self::Hidden { position } => write!(f, "the status proof hides what stands at position {position}"),
            Self::Path { position, depth } => {
                write!(f, "the entry at position {position} is shown off its path, at depth {depth}")
            }
            Self::AskedLeaf { position } => {
                write!(f, "the entry at position {position} is shown as that of another key")
            }
            Self::Shape { at } => write!(f, "byte {at} of the status proof is a node that no status map has"),
            Self::Present { position } => {
                write!(f, "position {position} is claimed to have no status, but is shown to have one")
            }
            Self::Absent { position } => {
                write!(f, "position {position} is claimed to have a status, but is shown to have none")
            }
            Self::RootMismatch { expected, computed } => {
                write!(f, "the status proof leads to root {computed}, not {expected}")
            }
        }
    }
}

impl core::error::Error for StatusProofError {}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::digest::NODE;

    type Claim = (Digest, Option<Digest>);

    fn name(number: u64) -> Digest {
        NODE.hash(&number.to_be_bytes())
    }

    fn map_of(keys: impl Iterator<Item = u64>) -> StatusMap {
        let mut map = StatusMap::new();
        keys.for_each(|key| map.append(&name(key), &name(!key)));
        map
    }

    fn claims(map: &StatusMap, keys: &[Digest]) -> Vec<Claim> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.iter().map(|key| (*key, map.value(key))).collect()
    }

    fn code(root: &Digest, claims: &[Claim], proof: &[u8]) -> &'static str {
        verify_status_proof(root, claims, proof).unwrap_err().code()
    }

    /// The definition, word for word: entries are (position, value), sorted.
    fn defined_root(entries: &[(Digest, Digest)], depth: u16) -> Digest {
        match entries {
            [] => Digest::ZERO,
            [(position, value)] => leaf_hash(position, value),
            _ => {
                let next = depth.saturating_add(1);
                let (left, right) = entries.split_at(entries.partition_point(|(position, _)| !bit(position, depth)));
                STATUS_TREE.hash_pair(&defined_root(left, next), &defined_root(right, next))
            }
        }
    }

    /// Keys 0 and up whose positions begin with these bits.
    fn keys_under(bits: &[bool]) -> impl Iterator<Item = Digest> + '_ {
        (0..).map(name).filter(move |key| {
            let position = status_position(key);
            (0..).zip(bits).all(|(depth, expected)| bit(&position, depth) == *expected)
        })
    }

    #[test]
    fn roots_agree_with_the_definition() {
        let mut map = StatusMap::new();
        assert_eq!(map.root(), Digest::ZERO);
        let mut entries = Vec::new();
        for key in 0..300 {
            map.append(&name(key), &name(!key));
            entries.push((status_position(&name(key)), status_value(&[name(!key)])));
            entries.sort_unstable();
            assert_eq!(map.root(), defined_root(&entries, 0));
        }
        assert_eq!(map_of((0..300).rev()).root(), map.root());
        assert_eq!(map.len(), 300);
        let mut visited = 0;
        map.for_each(|key, statuses| {
            assert_eq!(map.statuses(key), statuses);
            visited += 1;
        });
        assert_eq!(visited, 300);
    }

    #[test]
    fn statuses_keep_their_order_and_clones_keep_their_state() {
        let mut map = map_of(0..10);
        let before = map.clone();
        map.append(&name(3), &name(77));
        assert_eq!(map.statuses(&name(3)), [name(!3), name(77)]);
        assert_eq!(map.value(&name(3)), Some(status_value(&[name(!3), name(77)])));
        assert_eq!(before.statuses(&name(3)), [name(!3)]);
        assert_eq!((map.len(), map.statuses(&name(99)).len()), (10, 0));
        assert_ne!(before.root(), map.root());
    }

    #[test]
    fn presence_and_absence_are_proven_together_and_bound_to_the_claim() {
        for count in [0, 1, 2, 3, 17, 200] {
            let map = map_of(0..count);
            for asked in [1, 2, 30] {
                let keys: Vec<Digest> = (count / 2..count / 2 + asked).map(name).collect();
                let claims = claims(&map, &keys);
                let proof = map.prove(&keys);
                assert_eq!(verify_status_proof(&map.root(), &claims, proof.as_bytes()), Ok(()));
                for index in 0..claims.len() {
                    let mut other = claims.clone();
                    other[index].1 = if other[index].1.is_some() { None } else { Some(name(5)) };
                    assert!(verify_status_proof(&map.root(), &other, proof.as_bytes()).is_err());
                    if claims[index].1.is_some() {
                        other[index].1 = Some(name(5));
                        assert_eq!(code(&map.root(), &other, proof.as_bytes()), "status-root-mismatch");
                    }
                }
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let map = map_of(0..40);
        let keys: Vec<Digest> = (35..45).map(name).collect();
        let claims = claims(&map, &keys);
        let proof = map.prove(&keys).into_bytes();
        for at in 0..proof.len() {
            for flip in 0..8 {
                let mut forged = proof.clone();
                forged[at] ^= 1 << flip;
                assert!(verify_status_proof(&map.root(), &claims, &forged).is_err());
            }
            assert_eq!(code(&map.root(), &claims, &proof[..at]), "status-proof-truncated");
        }
        let longer = [proof.as_slice(), &[0]].concat();
        assert_eq!(code(&map.root(), &claims, &longer), "status-proof-trailing");
    }

    #[test]
    fn queries_are_sorted_unique_and_not_none() {
        let map = map_of(0..3);
        let (one, other) = (name(1).min(name(2)), name(1).max(name(2)));
        let proof = map.prove(&[one, other]).into_bytes();
        assert_eq!(code(&map.root(), &[], &proof), "status-no-queries");
        assert_eq!(code(&map.root(), &[(one, None), (one, None)], &proof), "status-query-order");
        assert_eq!(code(&map.root(), &[(other, None), (one, None)], &proof), "status-query-order");
    }

    /// Each forgery has the root that its own hashes lead to, so that only the named check stands in the way.
    #[test]
    fn forged_absence_has_its_code() {
        let left: Vec<Digest> = keys_under(&[false]).take(2).collect();
        let right: Vec<Digest> = keys_under(&[true]).take(2).collect();
        let (value, absent) = (name(9), vec![(left[0], None)]);
        let hash = [[TAG_HASH].as_slice(), name(1).as_bytes()].concat();
        let leaf = |key: &Digest| {
            let position = status_position(key);
            [[TAG_LEAF].as_slice(), position.as_bytes(), value.as_bytes()].concat()
        };
        let refused = |proof: &[u8]| code(&Digest::ZERO, &absent, proof);
        let inner = |left: &[u8], right: &[u8]| [&[TAG_INNER], left, right].concat();

        assert_eq!(refused(&hash), "status-proof-hidden");
        assert_eq!(refused(&inner(&hash, &hash)), "status-proof-hidden");
        assert_eq!(refused(&inner(&leaf(&right[0]), &hash)), "status-proof-path");
        assert_eq!(refused(&inner(&leaf(&left[0]), &hash)), "status-proof-asked-leaf");
        assert_eq!(refused(&inner(&leaf(&left[1]), &leaf(&right[0]))), "status-proof-unasked");
        assert_eq!(refused(&inner(&[TAG_EMPTY], &inner(&hash, &hash))), "status-proof-unasked");
        assert_eq!(refused(&inner(&[TAG_EMPTY], &[TAG_ASKED])), "status-proof-unasked");
        assert_eq!(refused(&inner(&[TAG_EMPTY], &[TAG_EMPTY])), "status-proof-shape");
        assert_eq!(refused(&inner(&leaf(&left[1]), &[TAG_EMPTY])), "status-proof-shape");
        let zero = [[TAG_HASH].as_slice(), Digest::ZERO.as_bytes()].concat();
        assert_eq!(refused(&inner(&[TAG_EMPTY], &zero)), "status-proof-shape");
        assert_eq!(refused(&[TAG_ASKED]), "status-claimed-absent");
        assert_eq!(refused(&[9]), "status-proof-tag");
        assert_eq!(refused(&inner(&[TAG_EMPTY], &hash)), "status-root-mismatch");
        let present = vec![(left[0], Some(value))];
        assert_eq!(code(&Digest::ZERO, &present, &[TAG_EMPTY]), "status-claimed-present");
        assert_eq!(code(&Digest::ZERO, &present, &leaf(&left[1])), "status-claimed-present");
        let mut both = vec![(left[0], Some(value)), (left[1], Some(value))];
        both.sort_unstable();
        assert_eq!(code(&Digest::ZERO, &both, &[TAG_ASKED]), "status-claimed-present");
    }

    /// Inner nodes all the way down the path of the query, and one more.
    #[test]
    fn depth_is_bounded() {
        let key = name(4);
        let position = status_position(&key);
        let hash = [[TAG_HASH].as_slice(), name(1).as_bytes()].concat();
        let mut proof = vec![TAG_INNER];
        for depth in (0..256).rev() {
            let mut outer = vec![TAG_INNER];
            let (left, right) = if bit(&position, depth) { (&hash, &proof) } else { (&proof, &hash) };
            outer.extend(left);
            outer.extend(right);
            proof = outer;
        }
        assert_eq!(code(&Digest::ZERO, &[(key, None)], &proof), "status-proof-depth");
        assert_eq!(code(&Digest::ZERO, &[(key, None)], &vec![TAG_INNER; 100_000]), "status-proof-unasked");
    }

    /// docs/decisions/0003-status-map.md quotes this number.
    #[test]
    fn ten_thousand_keys_against_a_hundred_thousand_entries_take_123_bytes_each() {
        let map = map_of(0..100_000);
        let keys: Vec<Digest> = (1_000_000..1_010_000).map(name).collect();
        let proof = map.prove(&keys);
        assert_eq!(verify_status_proof(&map.root(), &claims(&map, &keys), proof.as_bytes()), Ok(()));
        assert_eq!(proof.as_bytes().len() / keys.len(), 123);
    }
}
