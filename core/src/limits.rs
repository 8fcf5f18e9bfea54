//! Every bound on a count, length or depth, each with its reason (Rule R13: limits live here and
//! nowhere else; what exceeds one is refused by name).

/// Bytes of one log entry: tlog-tiles' `u16` length prefix.
pub const ENTRY_BYTES_MAX: usize = 65_535;
/// Bytes of one node core: a signed assessment with its lists is the largest kind.
pub const CORE_BYTES_MAX: usize = 1 << 20;
/// Edges of one node: a training step over a million episodes is to be merged by a data set first.
pub const EDGES_MAX: usize = 16_384;
/// Words in one list (modalities, purposes, destinations).
pub const WORDS_MAX: usize = 256;
/// Bytes of one word.
pub const WORD_BYTES_MAX: usize = 64;
/// Bytes of an origin or of a key's name in a note.
pub const NAME_BYTES_MAX: usize = 255;
/// Nodes of one commit: bounds what one signature can make a reader hold.
pub const COMMIT_NODES_MAX: usize = 1 << 20;
/// Status lines of one commit: keeps the entry under [`ENTRY_BYTES_MAX`].
pub const STATUS_LINES_MAX: usize = 800;
/// Bytes of one signed statement (`COSE_Sign1`): its lists are bounded by [`WORDS_MAX`].
pub const STATEMENT_BYTES_MAX: usize = 65_535;
/// Slots of every node's details tree, in every kind and version.
pub const DETAIL_SLOTS: u8 = 32;
/// Bytes of one detail value.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Nesting of one detail value.
pub const VALUE_DEPTH_MAX: usize = 8;
/// Files of one manifest: the largest data set designed for, tenfold.
pub const MANIFEST_FILES_MAX: usize = 10_000_000;
/// Bytes of one path in a manifest.
pub const PATH_BYTES_MAX: usize = 4_096;
/// Bytes of one bundle that a verifier reads.
pub const BUNDLE_BYTES_MAX: usize = 1 << 30;
/// Logs in one bundle.
pub const LOGS_MAX: usize = 64;
/// Checkpoints with their status heads in one log of a bundle.
pub const ANCHORS_MAX: usize = 4_096;
/// Log entries in one log of a bundle.
pub const ENTRIES_MAX: usize = 4_000_000;
/// Nodes in one bundle.
pub const NODES_MAX: usize = 4_000_000;
/// Statuses under one key of the map.
pub const STATUSES_PER_KEY_MAX: usize = 4_096;
/// Subjects of one assessment, decoys included.
pub const SUBJECTS_MAX: u64 = 1 << 24;
/// Logs have fewer entries than this; tile paths and `u64` arithmetic stay far from their ends.
pub const TREE_SIZE_MAX: u64 = 1 << 40;
/// Node visits that judging the crossings may take: (destination, date) groups times nodes.
pub const CROSSING_WORK_MAX: u64 = 50_000_000;
/// Bytes of one signed note: a checkpoint with a hundred cosignatures, of 3 300 bytes each by ML-DSA-44.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// Signature lines of one note; C2SP signed-note asks for at least 16.
pub const NOTE_SIGNATURES_MAX: usize = 100;
/// Key changes of one log: a change a week over ten years, twice.
pub const KEY_CHANGES_MAX: usize = 1_024;
/// Keys that a genesis names to revoke the log's own.
pub const REVOKERS_MAX: usize = 16;
/// Bytes of one proof in a bundle: no more than the bundle itself.
pub const PROOF_BYTES_MAX: usize = BUNDLE_BYTES_MAX;
/// Bytes of a trust or policy file.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Items of one list in a trust or policy file.
pub const CONFIG_ITEMS_MAX: usize = 4_096;
/// Bytes of one text in a trust or policy file: an ML-DSA-44 key takes 1 800, and a name.
pub const CONFIG_TEXT_MAX: usize = 4_096;
/// Findings of one code and time that are kept.
pub const FINDINGS_MAX: usize = 1_000;
/// Rounds in which values may flow around circles of successors.
pub const PASSES_MAX: usize = 64;
/// Records of one signed assessment in one bundle.
pub const COPIES_MAX: usize = 16;
/// Items in one detail value, at every depth together: bounds what its decoded form takes.
pub const VALUE_ITEMS_MAX: usize = 65_536;
