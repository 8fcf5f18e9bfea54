//! Why a proof about a tree is refused.

use core::fmt;

use crate::digest::Digest;

/// Why a proof about a tree is refused, or can't be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// A proof about no leaf at all.
    NoLeaves,
    /// The leaves are not in strictly increasing order.
    LeafOrder {
        /// The index before.
        previous: u64,
        /// The index that does not exceed it.
        index: u64,
    },
    /// The index is not below the size of the tree.
    IndexBeyondTree {
        /// The index of the leaf.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The inclusion proof has too many or too few hashes.
    InclusionLength {
        /// How many hashes such a proof has.
        expected: u64,
        /// How many it has.
        actual: u64,
    },
    /// The leaves and the proof lead to another root.
    InclusionRoot {
        /// The root that was to be reached.
        expected: Digest,
        /// The root that was reached.
        computed: Digest,
    },
    /// The older tree is larger than the newer one.
    SizeOrder {
        /// The size of the older tree.
        old: u64,
        /// The size of the newer tree.
        new: u64,
    },
    /// Consistency with the empty tree: every tree has it, so it says nothing.
    ConsistencyFromEmpty,
    /// The consistency proof has too many or too few hashes.
    ConsistencyLength {
        /// How many hashes such a proof has.
        expected: u64,
        /// How many it has.
        actual: u64,
    },
    /// The proof leads to another older root (or root of the subtree).
    ConsistencyOldRoot {
        /// The root that was to be reached.
        expected: Digest,
        /// The root that was reached.
        computed: Digest,
    },
    /// The proof leads to another newer root.
    ConsistencyNewRoot {
        /// The root that was to be reached.
        expected: Digest,
        /// The root that was reached.
        computed: Digest,
    },
    /// The range of leaves is not a subtree.
    SubtreeRange {
        /// The first leaf.
        start: u64,
        /// The leaf after the last.
        end: u64,
    },
    /// The leaf is not in the subtree.
    IndexBeyondSubtree {
        /// The index of the leaf.
        index: u64,
        /// The first leaf of the subtree.
        start: u64,
        /// The leaf after its last.
        end: u64,
    },
    /// The subtree reaches beyond the tree.
    SubtreeBeyondTree {
        /// The leaf after the subtree's last.
        end: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A node that the proof needs could not be read.
    NodeMissing {
        /// The level of the node above the leaves.
        level: u8,
        /// Its index in the level.
        index: u64,
    },
    /// The tree can't take another leaf.
    TreeFull {
        /// The size of the tree.
        size: u64,
    },
    /// A frontier has one node for each bit set in its size.
    FrontierNodes {
        /// How many nodes the size asks for.
        expected: u64,
        /// How many were given.
        actual: u64,
    },
}

impl ProofError {
    /// Returns the stable reason code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoLeaves => "inclusion-no-leaves",
            Self::LeafOrder { .. } => "inclusion-leaf-order",
            Self::IndexBeyondTree { .. } => "inclusion-index-beyond-tree",
            Self::InclusionLength { .. } => "inclusion-proof-length",
            Self::InclusionRoot { .. } => "inclusion-root-mismatch",
            Self::SizeOrder { .. } => "consistency-size-order",
            Self::ConsistencyFromEmpty => "consistency-from-empty",
            Self::ConsistencyLength { .. } => "consistency-proof-length",
            Self::ConsistencyOldRoot { .. } => "consistency-old-root-mismatch",
            Self::ConsistencyNewRoot { .. } => "consistency-new-root-mismatch",
            Self::SubtreeRange { .. } => "subtree-range-invalid",
            Self::IndexBeyondSubtree { .. } => "subtree-index-beyond",
            Self::SubtreeBeyondTree { .. } => "subtree-beyond-tree",
            Self::NodeMissing { .. } => "tree-node-missing",
            Self::TreeFull { .. } => "tree-full",
            Self::FrontierNodes { .. } => "frontier-node-count",
        }
    }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeaves => write!(f, "the proof is about no leaf"),
            Self::LeafOrder { previous, index } => {
                write!(f, "leaf {index} after leaf {previous}: the order is not strictly increasing")
            }
            Self::IndexBeyondTree { index, size } => write!(f, "leaf {index} is not in a tree of {size} leaves"),
            Self::InclusionLength { expected, actual } => {
                write!(f, "the inclusion proof has {actual} hashes where it takes {expected}")
            }
            Self::InclusionRoot { expected, computed } => {
                write!(f, "the inclusion proof leads to root {computed}, not {expected}")
            }
            Self::SizeOrder { old, new } => write!(f, "a tree of {old} leaves can't grow to {new}"),
            Self::ConsistencyFromEmpty => write!(f, "consistency with an empty tree says nothing"),
            Self::ConsistencyLength { expected, actual } => {
                write!(f, "the consistency proof has {actual} hashes where it takes {expected}")
            }
            Self::ConsistencyOldRoot { expected, computed } => {
                write!(f, "the consistency proof leads to the older root {computed}, not {expected}")
            }
            Self::ConsistencyNewRoot { expected, computed } => {
                write!(f, "the consistency proof leads to the newer root {computed}, not {expected}")
            }
            Self::SubtreeRange { start, end } => write!(f, "leaves {start} to {end} are not a subtree"),
            Self::IndexBeyondSubtree { index, start, end } => {
                write!(f, "leaf {index} is not in the subtree from {start} to {end}")
            }
            Self::SubtreeBeyondTree { end, size } => {
                write!(f, "the subtree ends at {end}, the tree at {size}")
            }
            Self::NodeMissing { level, index } => write!(f, "node {index} of level {level} could not be read"),
            Self::TreeFull { size } => write!(f, "a tree of {size} leaves takes no more"),
            Self::FrontierNodes { expected, actual } => {
                write!(f, "the frontier has {actual} nodes where its size asks for {expected}")
            }
        }
    }
}

impl core::error::Error for ProofError {}
