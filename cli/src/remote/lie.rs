//! What a server may answer that is not so, each with its own words.

use griptrace_core::{
    digest::Digest,
    id::{GenesisHash, NodeId},
    status_map::StatusProofError,
    tree::ProofError,
};

/// Why an answer of a server is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lie {
    /// It was given at another size.
    #[error("it was asked at the tree size {pinned} and answered at {found}")]
    Size { pinned: u64, found: u64 },
    /// Something in it can't be read.
    #[error("{what} can't be read: {why}")]
    Malformed { what: &'static str, why: String },
    /// The log's key is not the one to which its first entry and the changes of its key lead.
    #[error("it says that the log is {stated}, and the log's first entry and the changes of its key lead to {found}")]
    Key { stated: String, found: String },
    /// A change of the log's key that nobody signed who may, or that has no place there.
    #[error("the log's key is said to have changed at leaf {index}: {why}")]
    KeyChange { index: u64, why: String },
    /// Another log than it was before, in the middle of a command.
    #[error("it shows the log {found} now, and showed {before} before")]
    OtherLog { before: GenesisHash, found: GenesisHash },
    /// A checkpoint that was seen is signed by a key that did not sign there, if the server is right.
    #[error(
        "a checkpoint of size {size} was seen that the log's key {vkey} signed, and it shows a log whose key {shown} signs there"
    )]
    SeenKey { size: u64, vkey: String, shown: String },
    /// The first key was taken out of use by a revoker, and the checkpoint that it signed before is not shown.
    #[error(
        "the log's key {vkey} is said to have been revoked at leaf {index}, and no checkpoint that it signed shows the log's first entry, which names the revoker"
    )]
    FirstKey { vkey: String, index: u64 },
    /// A checkpoint that nobody signed who may.
    #[error("the checkpoint is not signed by the log's key {vkey}: {why}")]
    Unsigned { vkey: String, why: String },
    /// A checkpoint of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    Origin { expected: String, found: String },
    /// A node that was asked for, or that others lead to, is not in it.
    #[error("the node {id} was asked for and is not in the answer")]
    Missing { id: NodeId },
    /// A node is in it that was not asked for.
    #[error("the node {id} is in the answer and was not asked for")]
    Unasked { id: NodeId },
    /// A core hashes to another id.
    #[error("what it gives out as the node {stated} hashes to {computed}")]
    Id { stated: NodeId, computed: NodeId },
    /// A node is for another log.
    #[error("the node {id} is for the log {found}, not for {expected}")]
    Home { id: NodeId, expected: GenesisHash, found: GenesisHash },
    /// The private record is not that of the core, or contradicts it.
    #[error("the private record of {id} is not what was recorded: {why}")]
    Record { id: NodeId, why: String },
    /// What stands beside the commit's entry contradicts it.
    #[error("of the commit of {id} it says {field} {stated}, and the signed entry says {found}")]
    Beside { id: NodeId, field: &'static str, stated: String, found: String },
    /// The node does not stand in the commit.
    #[error("the node {id} is not proven to be in its commit: {why}")]
    Place { id: NodeId, why: ProofError },
    /// An entry is not in the log.
    #[error("{what} is not proven to be in the log of size {size}: {why}")]
    NotInLog { what: &'static str, size: u64, why: ProofError },
    /// A parent is left out of an ancestry.
    #[error("the ancestry leaves out {id}, which a node in it names as its parent")]
    AncestorMissing { id: NodeId },
    /// A node is added to an ancestry.
    #[error("the ancestry has {id}, to which no edge leads")]
    AncestorAdded { id: NodeId },
    /// A descendant to which no edge leads, or not so soon.
    #[error("{id} is said to stand on the node at a distance of {stated}, and the edges say {found}")]
    Descendant { id: NodeId, stated: u64, found: String },
    /// A way that is none.
    #[error("a way leads from {from} to {to}, and no edge does")]
    Way { from: NodeId, to: NodeId },
    /// There is a way, and none is shown, or the other way about.
    #[error("the ways shown from {from} to {to} are not those that the ancestry has")]
    Ways { from: NodeId, to: NodeId },
    /// A node that is not what was looked for.
    #[error("{id} was found for {wanted}, and is not")]
    NotMeant { id: NodeId, wanted: String },
    /// The statuses of something else.
    #[error("the statuses are those of the key {found}, and those of {expected} were asked for")]
    StatusKey { expected: Digest, found: String },
    /// The status map says otherwise.
    #[error("the statuses of {id} are not those of the status map: {why}")]
    Statuses { id: NodeId, why: StatusProofError },
    /// The status head is not the last leaf.
    #[error("the status head names the leaf index {found}, and the last of the tree is {expected}")]
    Head { expected: u64, found: u64 },
    /// The receipt of another commit.
    #[error("the receipt is for the commit {found}, and {sent} was sent")]
    Receipt { sent: Digest, found: String },
    /// The bundle of another node.
    #[error("the bundle is of {found}, and that of {asked} was asked for")]
    Bundle { asked: NodeId, found: String },
    /// A bundle that shows more than its reader was to see.
    #[error("the bundle opens the detail {detail} of {id}, which was not asked for")]
    Opened { id: NodeId, detail: String },
    /// More bytes, or fewer, than it said.
    #[error("the bundle has {found} bytes, and {stated} were announced")]
    BundleBytes { stated: u64, found: u64 },
    /// Entries that are not those that were asked for.
    #[error("the entries from {begin} to {end} were asked for, and {found} came, from {first}")]
    Entries { begin: u64, end: u64, first: u64, found: usize },
}

impl Lie {
    /// Makes the reason of what can't be read.
    #[expect(clippy::needless_pass_by_value, reason = "errors and texts are handed over alike, made on the spot")]
    pub(crate) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }
}
