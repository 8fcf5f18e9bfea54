//! Steps 1 to 10: does the evidence hold together?
//!
//! Everything here either recomputes what the bundle claims or ends the procedure: evidence that
//! does not hold together is not judged further. What comes out is [`Evidence`], which only
//! [`gather`] can make.

mod closure;
mod facts;
mod ids;
mod keys;
mod log;
mod nodes;
mod open;
mod places;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use griptrace_core::{
    assessment::Assessed,
    bundle::{BundleError, BundleView},
    cbor::DecodeError,
    commit::StatusLine,
    details::Salt,
    entry::Genesis,
    id::{GenesisHash, KeyId, NodeId, StatusKey},
    limits::BUNDLE_BYTES_MAX,
    manifest::FileRecord,
    node::Role,
    unproven::Unproven,
    value::Value,
};

use crate::{
    finding::{Code, Finding, Severity, When},
    known::{Compared, Known, compare},
    report::TimeFrom,
    trust::Trust,
};

/// Why the procedure ended: a finding that leaves nothing to judge.
pub(crate) type Broken = Finding;

/// Makes the finding that ends the procedure.
pub(crate) fn broken(code: Code, node: Option<NodeId>, text: String) -> Broken {
    Finding { code, severity: Severity::Error, node, when: When::Always, text }
}

/// Place of a node in a list of all: its ordinal in the bundle until the evidence is closed, and then its place in
/// [`Evidence::nodes`], where parents come first.
pub(crate) type Ordinal = usize;

/// A checkpoint of the bundle, checked.
#[derive(Debug)]
pub(crate) struct Anchor {
    pub(crate) size: u64,
    /// The root of the log's tree.
    pub(crate) root: griptrace_core::digest::Digest,
    pub(crate) map_root: griptrace_core::digest::Digest,
    /// When it was there: Unix time in seconds.
    pub(crate) time: u64,
    /// The latest time as of which it was still the newest, by whoever says the time. That may be before `time`, where
    /// the last of the quorum came late.
    pub(crate) as_of: u64,
    pub(crate) time_from: TimeFrom,
    /// Whether the quorum of the trust file, if it asks for one, cosigned it: only then it dates anything.
    pub(crate) dates: bool,
    /// What witnesses of the trust file signed of it, and counts.
    pub(crate) cosignatures: Vec<Cosignature>,
    /// Whether witnesses that recomputed the status map, and say so of this checkpoint, meet the quorum alone.
    pub(crate) map_witnessed: bool,
    /// Statuses by key, if the anchor brings them.
    pub(crate) statuses: Option<BTreeMap<StatusKey, Vec<Ordinal>>>,
}

/// A line by a witness that verified.
#[derive(Debug)]
pub(crate) struct Cosignature {
    /// Place in the trust file's list of witnesses.
    pub(crate) witness: usize,
    /// Place in the list of that witness's keys.
    pub(crate) key: usize,
    /// Unix time in seconds.
    pub(crate) time: u64,
    /// Whether it says that the status map was recomputed.
    pub(crate) map: bool,
}

impl Anchor {
    /// Returns the places of the witnesses that cosigned it, each once; with `maps`, of those that say that they
    /// recomputed its status map.
    pub(crate) fn cosigned_by(&self, maps: bool) -> BTreeSet<usize> {
        self.cosignatures.iter().filter(|one| one.map || !maps).map(|one| one.witness).collect()
    }
}

/// A log of the bundle, checked.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) genesis: Genesis,
    pub(crate) home: GenesisHash,
    /// By ascending size; never empty.
    pub(crate) anchors: Vec<Anchor>,
    /// The keys of signed assessments that its status map answered for.
    pub(crate) answers: BTreeSet<StatusKey>,
    /// Which keys counted when.
    pub(crate) keys: keys::Keys,
}

impl Log {
    /// Returns the place of the first anchor that covers a leaf and dates it (Rule R7: it proves "no later than").
    pub(crate) fn first_covering(&self, leaf: u64) -> Option<usize> {
        self.anchors.iter().position(|anchor| anchor.dates && anchor.size > leaf)
    }

    /// Returns the newest anchor.
    pub(crate) fn newest(&self) -> Option<&Anchor> {
        self.anchors.last()
    }
}

/// A commit of the bundle, checked.
#[derive(Debug)]
pub(crate) struct CheckedCommit {
    pub(crate) log: usize,
    pub(crate) leaf: u64,
    /// The root over the ids of its nodes.
    pub(crate) root: griptrace_core::digest::Digest,
    /// How many nodes it has, in the bundle or not.
    pub(crate) count: u64,
    /// The public lines of its statuses.
    pub(crate) statuses: Vec<StatusLine>,
    /// The key that signed it.
    pub(crate) key: KeyId,
    /// Place in the trust file's list of committers: of that key, or of one that it follows or that follows it. `None`
    /// where the key did not count any more.
    pub(crate) committer: Option<usize>,
    /// The same, or whose it was as the log stood when it was recorded, where a later revocation reached back.
    pub(crate) recorder: Option<usize>,
}

/// A node of the bundle, checked. There can be millions, so that what few of them have is boxed.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) core: Facts,
    /// Place in [`Evidence::commits`].
    pub(crate) commit: u32,
    /// Edges that the bundle resolves.
    pub(crate) edges: Box<[Link]>,
    more: Option<Box<More>>,
}

/// What few nodes have.
#[derive(Debug, Default)]
struct More {
    /// For Assessments: what they say.
    assessed: Option<Assessed>,
    /// For Statuses: an assessor's own signed mark.
    statement: Option<Vec<u8>>,
    /// Opened details.
    details: BTreeMap<u8, Value>,
    /// The opened manifest.
    manifest: Option<Vec<FileRecord>>,
}

impl Node {
    /// Returns the place of its commit in [`Evidence::commits`].
    pub(crate) fn commit(&self) -> usize {
        usize::try_from(self.commit).unwrap_or(usize::MAX)
    }

    /// Returns, of an Assessment, what it says.
    pub(crate) fn assessed(&self) -> Option<&Assessed> {
        self.more.as_ref()?.assessed.as_ref()
    }

    /// Returns, of a Status, the assessor's own signed mark that it carries.
    pub(crate) fn statement(&self) -> Option<&[u8]> {
        self.more.as_ref()?.statement.as_deref()
    }

    /// Returns an opened detail.
    pub(crate) fn detail(&self, slot: u8) -> Option<&Value> {
        self.more.as_ref()?.details.get(&slot)
    }

    /// Returns the opened details by slot.
    pub(crate) fn details(&self) -> impl Iterator<Item = (u8, &Value)> {
        self.more.iter().flat_map(|more| &more.details).map(|(slot, value)| (*slot, value))
    }

    /// Returns the files of the opened manifest.
    pub(crate) fn manifest(&self) -> Option<&[FileRecord]> {
        self.more.as_ref()?.manifest.as_deref()
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Returns the ordinals at the end of the edges of one role.
    pub(crate) fn to(&self, role: Role) -> impl Iterator<Item = Ordinal> + '_ {
        self.edges.iter().filter(move |link| link.is(role)).map(|link| link.to())
    }

    /// Returns the ordinals of the parents: what it used, came out of, or ships.
    pub(crate) fn parents(&self) -> impl Iterator<Item = Ordinal> + '_ {
        self.edges
            .iter()
            .filter(|link| link.is(Role::Used) || link.is(Role::GeneratedBy) || link.is(Role::Ships))
            .map(|link| link.to())
    }
}

/// The bundle's content, every hash, proof and signature of it checked, every key known to the
/// trust file.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) root: Ordinal,
    pub(crate) logs: Vec<Log>,
    pub(crate) commits: Vec<CheckedCommit>,
    pub(crate) nodes: Vec<Node>,
    /// Assessments by the node that they open.
    pub(crate) opened_by: BTreeMap<Ordinal, Vec<Ordinal>>,
    /// Foreign edges that the bundle does not resolve: (node, what it names).
    pub(crate) unresolved: Vec<(Ordinal, NodeId)>,
    /// The newest closure.
    pub(crate) newest: Closure,
    /// The closure under the shipment's anchor; `None` if that is the newest one.
    shipped: Option<Closure>,
    /// What comparing with older files gave.
    pub(crate) compared: Compared,
    /// Place of the shipment's anchor in the first log.
    shipped_at: usize,
    /// Nodes of the shipped closure that the shipment's anchor does not cover.
    pub(crate) recorded_after: Vec<Ordinal>,
}

pub(crate) use closure::{Closure, status_key};
pub(crate) use facts::{Facts, Link, Words};
pub(crate) use log::check_logs;

impl Evidence {
    /// Returns the closure under the shipment's anchor.
    pub(crate) fn shipped(&self) -> &Closure {
        self.shipped.as_ref().unwrap_or(&self.newest)
    }

    /// Tells whether both closures are one.
    pub(crate) fn is_one_closure(&self) -> bool {
        self.shipped.is_none()
    }

    /// Returns a node.
    pub(crate) fn node(&self, ordinal: Ordinal) -> Option<&Node> {
        self.nodes.get(ordinal)
    }

    /// Returns the commit that a node is in.
    pub(crate) fn commit_of(&self, node: &Node) -> Option<&CheckedCommit> {
        self.commits.get(node.commit())
    }

    /// Returns the anchor that dates a node: the first that covers it, and of the root the shipment's anchor, which its
    /// ancestry is judged under.
    pub(crate) fn anchor_of(&self, node: &Node) -> Option<&Anchor> {
        if self.node(self.root).is_some_and(|root| root.id == node.id) {
            return self.logs.first()?.anchors.get(self.shipped_at);
        }
        let commit = self.commit_of(node)?;
        let log = self.logs.get(commit.log)?;
        log.anchors.get(log.first_covering(commit.leaf)?)
    }
}

/// What the steps share while evidence is gathered.
#[derive(Debug)]
struct Parts<'a> {
    bundle: &'a BundleView<'a>,
    trust: &'a Trust,
    known: &'a Known,
    proofs: Proofs,
}

/// Whether what is said has to be proven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Proofs {
    /// Every hash, proof and signature is checked.
    Checked,
    /// The holder's own records bring none.
    None,
}

/// Opened subjects: (assessment, subject, leaf index, salt).
type OpenedSubject = (Ordinal, Ordinal, u64, Salt);

/// Takes a bundle apart and checks that it holds together.
///
/// # Errors
/// The finding that ended the procedure.
pub(crate) fn gather(bundle: &BundleView<'_>, trust: &Trust, known: &Known) -> Result<Evidence, Broken> {
    gather_parts(&Parts { bundle, trust, known, proofs: Proofs::Checked })
}

/// Puts the holder's own records together in the same way. Nothing is proven: [`crate::own`] alone asks for this.
///
/// # Errors
/// The finding that ended the procedure.
pub(crate) fn gather_unproven(records: &Unproven<impl AsRef<[u8]>>, trust: &Trust) -> Result<Evidence, Broken> {
    let known = Known::default();
    gather_parts(&Parts { bundle: &records.content(), trust, known: &known, proofs: Proofs::None })
}

fn gather_parts(parts: &Parts<'_>) -> Result<Evidence, Broken> {
    // Steps 2 to 5.
    let (mut logs, entries) = log::check_parts(parts)?;
    let compared = compare(&logs, parts.known)?;
    // Step 6.
    let commits = nodes::check_commits(parts, &logs, entries)?;
    keys::settle_keys(&mut logs, &commits)?;
    // Step 7.
    let read = nodes::check_nodes(parts, &logs, &commits)?;
    // Step 8: edges.
    let (nodes, details, unresolved) = nodes::resolve_edges(read, &logs, &commits)?;
    // Step 9.
    let (nodes, subjects) = open::open_all(parts, nodes, details)?;
    // Steps 8 and 10: closure and statuses.
    let evidence = closure::close(parts, logs, commits, nodes, unresolved, subjects)?;
    Ok(Evidence { compared, ..evidence })
}

/// Step 1: turns a reading error into the finding that reports it.
pub(crate) fn unreadable(error: &BundleError) -> Broken {
    let large = matches!(error, BundleError::Size { found } if *found > BUNDLE_BYTES_MAX);
    let over = large || matches!(error, BundleError::Decode(DecodeError::Limit { .. }));
    let altered = matches!(error, BundleError::Digest { .. });
    let code = match (altered, over) {
        (true, _) => Code::BundleDigestMismatch,
        (false, true) => Code::LimitExceeded,
        (false, false) => Code::BundleMalformed,
    };
    broken(code, None, format!("{error}"))
}
