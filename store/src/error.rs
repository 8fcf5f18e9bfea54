//! What can go wrong, one enum a boundary.
//!
//! Three natures are kept apart: the caller erred (each enum's own variants), the data is bad
//! ([`StorageError::Corrupt`]), the disk failed ([`StorageError::Io`]).

use core::fmt;
use std::{io, path::PathBuf};

use griptrace_core::{
    cbor::DecodeError,
    commit::StatusLine,
    digest::Digest,
    id::{GenesisHash, KeyId, NodeId},
    key_change::KeyChangeError,
    key_history::HistoryError,
    node::{Kind, Role},
};

use crate::closed::Closed;

/// The disk failed, or what it holds is bad.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The disk failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The data is bad. Nothing was changed or cut off.
    #[error("{object} is damaged: {why}")]
    Corrupt {
        /// The object in the store's folder.
        object: String,
        /// What was found, and what was expected.
        why: String,
    },
    /// Another process took the log over. Nothing was changed since, and what was being written is in the log whole or not
    /// at all.
    #[error("another process writes to {} now, and this one does not any more", path.display())]
    Fenced {
        /// The bucket.
        path: PathBuf,
    },
}

impl StorageError {
    /// Makes the error of an object that holds what it should not.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors and texts are handed over alike, mostly made on the spot"
    )]
    pub(crate) fn corrupt(object: impl Into<String>, why: impl ToString) -> Self {
        Self::Corrupt { object: object.into(), why: why.to_string() }
    }

    /// Returns the same error, for another one who waited for the same write.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Io { doing, path, source } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::Io { doing, path: path.clone(), source }
            }
            Self::Corrupt { object, why } => Self::Corrupt { object: object.clone(), why: why.clone() },
            Self::Fenced { path } => Self::Fenced { path: path.clone() },
        }
    }
}

/// Why a store could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store.
    #[error("{} holds no store (it has no head)", path.display())]
    NoStore {
        /// The folder.
        path: PathBuf,
    },
    /// There is a store already.
    #[error("{} holds a store already, and a new one is never made over it", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A log was begun there, and is not whole.
    #[error("a log was begun in {} and is not whole: {why}", path.display())]
    Begun {
        /// The bucket.
        path: PathBuf,
        /// What may be the matter.
        why: &'static str,
    },
    /// Another process, or another handle of this one, writes to it.
    #[error("{} is open for writing already, by process {holder}; wait for it to end, or open read only", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process id that the lock file names.
        holder: String,
    },
    /// Another process writes to the bucket.
    #[error("{holder} writes to {}; commit through it, or wait for it to end, or open read only", path.display())]
    Taken {
        /// The bucket.
        path: PathBuf,
        /// Where it takes commits, if it does.
        holder: String,
    },
    /// Nobody writes to the log here.
    #[error("{} is not written to: {state}", path.display())]
    Closed {
        /// The folder or bucket.
        path: PathBuf,
        /// Why.
        state: Closed,
    },
    /// The signer is not the log's.
    #[error("the log {origin} has key {expected}, and the signer given is {found}")]
    WrongKey {
        /// The log's origin.
        origin: String,
        /// The log's key, as the genesis says.
        expected: String,
        /// The signer's name and key.
        found: String,
    },
    /// The genesis would be refused by a reader.
    #[error("the genesis is refused")]
    Genesis(#[source] DecodeError),
    /// The disk failed, or what it holds is bad.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a log was not copied. Where it is, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// Something is there that is no copy of this log.
    #[error("{place} holds a log, or part of one, which is written to; nothing was changed")]
    Taken {
        /// The place.
        place: String,
    },
    /// This log is there, and nothing says any more that it is a backup.
    #[error(
        "{place} holds {there} entries of this log and is no backup any more, if it was one: what said so is gone{and}"
    )]
    WasBackup {
        /// The place.
        place: String,
        /// Entries there.
        there: u64,
        /// What became of it since.
        and: &'static str,
    },
    /// Another log is there.
    #[error("{place} holds the log {found}, and this one is {expected}")]
    OtherLog {
        /// The place.
        place: String,
        /// The genesis of the log there.
        found: GenesisHash,
        /// The genesis of the log that was to be copied.
        expected: GenesisHash,
    },
    /// The copy has more than the log.
    #[error("{place} has {there} entries, and the log here {here}: this is the older one of the two")]
    Newer {
        /// The place.
        place: String,
        /// Entries there.
        there: u64,
        /// Entries here.
        here: u64,
    },
    /// The copy is no beginning of the log.
    #[error("the {size} entries in {place} are not those that the log here begins with: two histories were signed")]
    Forked {
        /// The place.
        place: String,
        /// Entries there.
        size: u64,
    },
    /// More was signed than a backup has (Rule R11).
    #[error(
        "{known} entries were signed, as {place} tells, and the backup has {size}: going on from it would fork the log"
    )]
    Below {
        /// The place.
        place: String,
        /// The size that was signed.
        known: u64,
        /// The size of the backup.
        size: u64,
    },
    /// Something was erased while the log was copied.
    #[error("the Erasure {id} was recorded while the log was copied, and took something of it; copy it again")]
    Erased {
        /// The Erasure.
        id: NodeId,
    },
    /// An object beside the log is damaged, and a log is moved whole.
    #[error("{object} in {place} is damaged: {why}")]
    Damaged {
        /// The place.
        place: String,
        /// The object.
        object: String,
        /// What was found, and what was expected.
        why: String,
    },
    /// The log is not open for writing.
    #[error("{place} is not open for writing, and a log is moved by who writes it")]
    NoWriter {
        /// The place.
        place: String,
    },
    /// Another process had the turn to write while the log was moved.
    #[error(
        "{place} is closed, as the log goes to {to}; but another process had the turn to write there meanwhile, and what it took is not copied yet"
    )]
    LostTurn {
        /// The place that is closed.
        place: String,
        /// Where the log goes.
        to: String,
    },
    /// A place could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk failed, or what it holds is bad.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why nodes were not committed. Nothing of them is in the log then, but for `Storage`, `Poisoned` and `Stopped`:
/// there only reopening tells, or whoever writes next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The store was opened for reading only.
    #[error("the store is open for reading only; open it with the log's key")]
    ReadOnly,
    /// A node is refused.
    #[error("node {id} is refused: {why}")]
    Refused {
        /// The node.
        id: NodeId,
        /// Why.
        #[source]
        why: Refusal,
    },
    /// The commit as a whole is refused: no node, too many, or an issuer without a name.
    #[error("the commit is refused")]
    Commit(#[source] griptrace_core::commit::CommitError),
    /// The signed entry is larger than an entry may be.
    #[error("the entry has {found} bytes, and an entry has {limit} at most")]
    EntryTooLarge {
        /// The most bytes.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// The commit was signed for another log.
    #[error("the commit is for log {found}, and this is {expected}")]
    Home {
        /// This log.
        expected: GenesisHash,
        /// The log that it was signed for.
        found: GenesisHash,
    },
    /// The commit's own time is too far ahead of the log's clock.
    #[error("the commit says that it was made at {time}, and the log's clock says {now} (seconds since 1970)")]
    Ahead {
        /// What the commit says.
        time: u64,
        /// The log's clock.
        now: u64,
    },
    /// The commit was signed over other nodes.
    #[error("the commit was signed over {count} nodes under root {stated}; given are {found} under {computed}")]
    Nodes {
        /// The signed root.
        stated: Digest,
        /// How many nodes were signed for.
        count: u64,
        /// The root over the nodes given.
        computed: Digest,
        /// How many are given.
        found: u64,
    },
    /// The commit's public lines are not those of its Status nodes.
    #[error("the commit's status lines are not those of its nodes: {0}")]
    Statuses(Box<OtherLines>),
    /// The two code paths that compute the commit's root disagree: nothing was signed.
    #[error(
        "two ways to compute the root over the nodes give {ours} and {other}: nothing was signed; this is a fault of the program"
    )]
    RootsDiffer {
        /// The root that `griptrace-core` computes.
        ours: Digest,
        /// The root that `rs_merkle` computes.
        other: Digest,
    },
    /// A key change has no place in the log.
    #[error("the key change is refused: {why}")]
    KeyChange {
        /// What is wrong with it.
        why: KeyChangeRefusal,
    },
    /// The key that signed the commit does not count any more.
    #[error("key {key}, which signed the commit, does not count from leaf {since} on")]
    KeyRetired {
        /// The key.
        key: KeyId,
        /// The leaf index.
        since: u64,
    },
    /// The log has as many entries as a log may have.
    #[error("the log has {size} entries and takes no more; begin a new one")]
    Full {
        /// The size.
        size: u64,
    },
    /// An earlier write failed: what is in the folder has to be looked at again first.
    #[error("an earlier write failed; close the store and reopen it")]
    Poisoned,
    /// In a bucket: this process does not write at the moment. It follows whoever does, and takes the turn again when it is free.
    #[error(
        "this process does not write to the bucket at the moment: an earlier write failed, or another process took over; it takes part again by itself within seconds, so send the same again"
    )]
    Stopped,
    /// The disk failed, or what it holds is bad. Whether the commit is in the log shows after reopening.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why nothing was erased, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// There is no such node in this log.
    #[error("{id} is no node of this log")]
    NoNode {
        /// The node.
        id: NodeId,
    },
    /// Neither fields nor files were named.
    #[error("nothing was named that is to be erased of {id}")]
    Nothing {
        /// The node.
        id: NodeId,
    },
    /// The node has no value in a slot.
    #[error("the node has nothing in detail slot {slot}")]
    NoValue {
        /// The slot.
        slot: u8,
    },
    /// What is in a slot was erased before.
    #[error("what was in detail slot {slot} was erased before")]
    Gone {
        /// The slot.
        slot: u8,
    },
    /// The node's manifest has no such file, or it was erased before.
    #[error("the files of the node have no {path:?}, or it was erased before")]
    NoFile {
        /// The path.
        path: String,
    },
    /// The Erasure was not recorded: nothing was erased.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What was recorded before can't be read, or the Erasure is recorded and not all of it is carried out: who opens the log for
    /// writing next goes on with it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The first lines in which what was signed and what belongs there differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OtherLines {
    /// The first line that was signed and does not belong there.
    pub stated: Option<StatusLine>,
    /// The first line that belongs there and was not signed.
    pub computed: Option<StatusLine>,
}

impl fmt::Display for OtherLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |line: Option<StatusLine>| {
            line.map_or_else(
                || "no other line".to_owned(),
                |line| format!("status {} under key {}", line.status, line.key),
            )
        };
        write!(f, "signed is {}, computed {}", shown(self.stated), shown(self.computed))
    }
}

/// Why one node is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The core, a value or the statement cannot be read strictly.
    #[error("{what}")]
    Decode {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// The assessment or mark in it cannot be read strictly.
    #[error("its statement is refused: {why}")]
    Statement {
        /// What is wrong with it.
        why: String,
    },
    /// It is for another log.
    #[error("it is for log {found}, and this is {expected}")]
    Home {
        /// This log.
        expected: GenesisHash,
        /// The log that it is for.
        found: GenesisHash,
    },
    /// It is in the log already, or twice in the commit.
    #[error("it is recorded already")]
    Recorded,
    /// The core's root over the details is not that of the details.
    #[error("its core has the details root {stated}, its details have {computed}")]
    Details {
        /// In the core.
        stated: Digest,
        /// Of seed and values.
        computed: Digest,
    },
    /// The manifest does not fit the details, or the kind.
    #[error("its manifest does not fit: {why}")]
    Manifest {
        /// What does not fit.
        why: String,
    },
    /// Two files could not lie side by side everywhere.
    #[error("{first:?} and {second:?} are one path on systems that fold case or Unicode forms; rename one")]
    Collision {
        /// One path.
        first: String,
        /// The other.
        second: String,
    },
    /// The subjects are not those that the assessment binds, or it is no assessment.
    #[error("its subjects do not fit: {why}")]
    Subjects {
        /// What does not fit.
        why: String,
    },
    /// It is an Erasure without what is to be left of the node that it erases, or with something else; or a new node of which
    /// something was erased before.
    #[error("what an erasure leaves does not fit: {why}")]
    Remains {
        /// What does not fit.
        why: String,
    },
    /// An edge leads nowhere.
    #[error("its edge {role} leads to {to}, which is neither in this log nor in the same commit")]
    EdgeMissing {
        /// The edge's role.
        role: Role,
        /// Where it leads.
        to: NodeId,
    },
    /// An edge leads to a kind that it may not lead to.
    #[error("{role} may not lead from a {from} to a {kind} ({to})")]
    EdgeKind {
        /// The edge's role.
        role: Role,
        /// This node's kind.
        from: Kind,
        /// Where it leads.
        to: NodeId,
        /// The other node's kind.
        kind: Kind,
    },
    /// The step that made it is in another commit (R2).
    #[error("the step {step} that generated it is in an earlier commit; outputs are committed with their step")]
    OutputApart {
        /// The Transformation.
        step: NodeId,
    },
    /// The node that it marks has as many statuses as a node may have.
    #[error("what it marks has {found} statuses, and may have no more")]
    TooManyStatuses {
        /// How many there are.
        found: usize,
    },
}

/// Why a key change is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyChangeRefusal {
    /// It is malformed, or a signature in it is wrong.
    #[error("{0}")]
    Malformed(KeyChangeError),
    /// It has no place among the changes before it.
    #[error("{0}")]
    Place(HistoryError),
    /// It lets a committer's key that was rotated or revoked name a successor.
    #[error("key {key} does not count from leaf {since} on, and names no successor any more")]
    Ended {
        /// The key.
        key: KeyId,
        /// The leaf index.
        since: u64,
    },
    /// The log has as many key changes as a log may have.
    #[error("the log has {limit} key changes, and takes no more")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// Whoever would sign the next checkpoint is not the log's key after the change.
    #[error("the log's key is then {expected}, and the signer given is {found}")]
    Signer {
        /// The log's key after the change.
        expected: String,
        /// The signer's name and key.
        found: String,
    },
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No node has this id.
    #[error("no node {id} in this log")]
    NoNode {
        /// The id.
        id: NodeId,
    },
    /// The question is about a larger log than this is.
    #[error("the log has {size} entries, and the question is about {asked}")]
    Beyond {
        /// The size asked about.
        asked: u64,
        /// The log's size.
        size: u64,
    },
    /// No checkpoint was signed at this size.
    #[error("no checkpoint of size {size} was signed; status can be proven only under one that was")]
    NoCheckpoint {
        /// The size asked about.
        size: u64,
    },
    /// A cosignature does not verify.
    #[error("the cosignatures of the checkpoint of {size} entries are refused: {why}")]
    Cosignature {
        /// The size.
        size: u64,
        /// Why.
        why: griptrace_core::note::NoteError,
    },
    /// Not hexadecimal digits, or more than an id has.
    #[error("{text:?} is not the beginning of an id: up to 64 hexadecimal digits")]
    Prefix {
        /// The text.
        text: String,
    },
    /// A node that was asked about is malformed.
    #[error("a node that was asked about is malformed")]
    Record(#[from] crate::record::RecordError),
    /// The disk failed, or what it holds is bad.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a bundle was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// No node has this id.
    #[error("no node {id} in this log")]
    NoNode {
        /// The id.
        id: NodeId,
    },
    /// No checkpoint was signed at this size.
    #[error("no checkpoint of size {size} was signed; a bundle is made only under one that was")]
    NoCheckpoint {
        /// The size asked about.
        size: u64,
    },
    /// Only Shipments, and Models for a pre-check, are proven.
    #[error("{id} is a {kind}; a bundle is about a shipment or, for a pre-check, a model")]
    RootKind {
        /// The node.
        id: NodeId,
        /// Its kind.
        kind: Kind,
    },
    /// The evidence is larger than a verifier reads.
    #[error("{what}: {found} exceeds the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The largest allowed.
        limit: u64,
        /// What there is.
        found: u64,
    },
    /// What is needed of another log is in several adopted bundles, and all of it in none.
    #[error(
        "no adopted bundle has all that is needed of log {origin}; those that have a part of it: {}",
        listed(bundles)
    )]
    Apart {
        /// The other log.
        origin: String,
        /// The bundles that have it.
        bundles: Vec<Digest>,
    },
    /// An adopted bundle goes back to a node of this log that it does not have.
    #[error("an adopted bundle goes back to node {id} of this log, which does not have it")]
    NotHere {
        /// The node.
        id: NodeId,
    },
    /// The disk failed, or what it holds is bad.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn listed(digests: &[Digest]) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why another company's bundle could not be adopted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The store was not opened for writing.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// The bytes are no bundle that a verifier would accept.
    #[error("the bundle is malformed: {why}")]
    Malformed {
        /// What was found.
        why: String,
    },
    /// The bundle does not have the node.
    #[error("the bundle has no node {id}")]
    NoNode {
        /// The id.
        id: NodeId,
    },
    /// Only data sets and models are used by later steps.
    #[error("{id} is a {kind}; what another log can be built on is a dataset or a model")]
    Kind {
        /// The node.
        id: NodeId,
        /// Its kind.
        kind: Kind,
    },
    /// The node is of this log.
    #[error("node {id} is of this log, and needs no other company's evidence")]
    Own {
        /// The node.
        id: NodeId,
    },
    /// Nothing says what the node is called.
    #[error("the bundle does not disclose what the node is called, and no name was given")]
    NoName,
    /// The disk failed, or what it holds is bad.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a store could not be checked. What is wrong in it stands in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsckError {
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
