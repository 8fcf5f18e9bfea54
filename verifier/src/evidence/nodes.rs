//! Steps 6 to 8: commits, the nodes that they signed, and the edges between them.

use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec::Vec};

use griptrace_core::{
    assessment::{Assessed, assessed},
    bundle::CommitPart,
    commit::{Commit, CommitPayload},
    date::Date,
    digest::{COMMIT_TREE, Digest},
    entry::Entry,
    id::{GenesisHash, KeyId, NodeId},
    key_history::{AsOf, KeyHistory},
    node::{Core, Edge, Kind, Role, node_id},
    tree::root_from_leaves,
};

use super::{
    Broken, CheckedCommit, Link, Log, More, Node, Ordinal, Parts, Proofs, broken, facts::Vocabulary, ids::Ids,
    log::ProvenEntry,
};
use crate::{finding::Code, trust::Trust};

/// Step 6: each commit is for its log and signed by a committer of the trust file, with a key that
/// was good when the first anchor covered it.
pub(super) fn check_commits(
    parts: &Parts<'_>,
    logs: &[Log],
    entries: Vec<ProvenEntry>,
) -> Result<Vec<CheckedCommit>, Broken> {
    let commits = entries.into_iter().filter(|(.., entry)| !matches!(entry, Entry::KeyChange(_)));
    let mut known = Committers::new();
    for (place, committer) in parts.trust.committers.iter().enumerate() {
        known.entry(committer.key.id()).or_default().push(place);
    }
    commits.map(|(log, leaf, entry)| check_commit(parts, (logs, &known), log, leaf, entry)).collect()
}

/// Places in the trust file's list of committers, by their keys: each is asked for with every key of a chain, for every
/// commit.
type Committers = BTreeMap<KeyId, Vec<usize>>;

fn check_commit(
    parts: &Parts<'_>,
    (logs, committers): (&[Log], &Committers),
    place: usize,
    leaf: u64,
    entry: Entry,
) -> Result<CheckedCommit, Broken> {
    let trust = parts.trust;
    let Entry::Commit(commit) = entry else {
        return Err(broken(Code::EntryInvalid, None, format!("entry {leaf} is not a commit")));
    };
    let Some(log) = logs.get(place) else {
        return Err(broken(Code::EntryInvalid, None, format!("entry {leaf} has no log")));
    };
    if commit.payload.home != log.home {
        let text = format!("commit {leaf} is for log {}, not for {}", commit.payload.home, log.home);
        return Err(broken(Code::HomeMismatch, None, text));
    }
    let covered = log.first_covering(leaf).and_then(|place| log.anchors.get(place));
    let day = Date::from_unix(covered.map_or(u64::MAX, |anchor| anchor.time));
    let (key, history) = (commit.key(), &log.keys.history);
    let revokers = trust.revokers(&log.genesis.origin);
    let find = |as_of| {
        let chain = history.chain(&key, leaf, as_of, revokers);
        let found = chain.iter().find_map(|key| {
            let at = committers.get(key)?;
            at.iter()
                .copied()
                .find(|at| trust.committers.get(*at).is_some_and(|known| known.commits(&log.genesis.origin, day)))
        });
        found.ok_or(chain)
    };
    let (by_now, by_then) = (find(AsOf::Now), find(AsOf::Then));
    let found = by_now
        .as_ref()
        .or(by_then.as_ref())
        .map_err(|chain| untrusted(trust, &commit, (history, revokers), (chain, leaf, day)))?;
    let known = trust.committers.get(*found).map(|known| &known.key).filter(|known| known.id() == key);
    let verified =
        parts.proofs == Proofs::None || known.or(history.key(&key)).is_some_and(|key| commit.verify(key).is_ok());
    if !verified {
        return Err(broken(
            Code::CommitSignatureInvalid,
            None,
            format!("commit {leaf}: the signature does not verify"),
        ));
    }
    let CommitPayload { root, count, statuses, .. } = commit.payload;
    // What a key signed that had retired or was revoked is nobody's: what a thief records does not count, and breaks nothing.
    let committer = by_now.ok().filter(|_| history.end(&key).is_none_or(|end| leaf < end));
    // A revocation that came later does not take back what worsens a verdict (R4): or whoever made a mark could undo it.
    let recorder = committer.or_else(|| by_then.ok().filter(|_| history.counted_then(&key, leaf)));
    Ok(CheckedCommit { log: place, leaf, root, count, statuses, key, committer, recorder })
}

fn untrusted(
    trust: &Trust,
    commit: &Commit,
    (history, revokers): (&KeyHistory, &[KeyId]),
    (chain, leaf, day): (&[KeyId], u64, Date),
) -> Broken {
    let known = trust.committers.iter().any(|known| chain.contains(&known.key.id()));
    let why = if known { "not with the role commit, for this log, on that day" } else { "not at all" };
    let named = chain.iter().find_map(|key| history.follows_by_word_of(key)).map_or_else(String::new, |(old, by)| {
        let believed = if revokers.contains(&by) { "believes" } else { "does not believe" };
        format!("; it follows the revoked key {old} by the word of revoker {by} alone, whom the trust file {believed} for this log")
    });
    let text = format!(
        "commit {leaf} is signed by key {}, who says to be {:?} and was first seen on {day}: the trust file has this key {why}{named}",
        commit.key(),
        commit.issuer(),
    );
    broken(Code::CommitterUntrusted, None, text)
}

/// The nodes as they were read, their edges not resolved yet.
#[derive(Debug, Default)]
pub(super) struct Read {
    nodes: Vec<Node>,
    /// The roots of their details.
    details: Vec<Digest>,
    /// How many edges each has.
    counts: Vec<u32>,
    /// The edges, one node's after the other's.
    edges: Vec<(Role, NodeId)>,
    /// The other log of foreign edges, by their place.
    foreign: BTreeMap<usize, GenesisHash>,
    vocabulary: Vocabulary,
}

/// Step 7: the nodes are those that their commits signed, each read strictly, each for its log.
pub(super) fn check_nodes(parts: &Parts<'_>, logs: &[Log], commits: &[CheckedCommit]) -> Result<Read, Broken> {
    parts.bundle.node_count().map_err(|error| broken(Code::LimitExceeded, None, format!("{error}")))?;
    let mut read = Read::default();
    let mut at = commits.iter().enumerate();
    for (place, log) in parts.bundle.logs.iter().enumerate() {
        for part in &log.commits {
            let entry = usize::try_from(part.entry).ok().and_then(|i| log.entries.get(i)).map(|(index, _)| *index);
            let found = at.next().filter(|(_, commit)| commit.log == place && Some(commit.leaf) == entry);
            let Some((number, commit)) = found else {
                return Err(broken(
                    Code::Extraneous,
                    None,
                    "commits and their nodes do not stand in the order of the entries, or one has none".into(),
                ));
            };
            let home = logs.get(place).map(|log| log.home);
            check_part(part, parts.proofs, (commit, number), home, &mut read)?;
        }
    }
    if let Some((_, commit)) = at.next() {
        return Err(broken(Code::Extraneous, None, format!("commit {} brings no node", commit.leaf)));
    }
    Ok(read)
}

fn check_part(
    part: &CommitPart<&[u8]>,
    proofs: Proofs,
    (commit, number): (&CheckedCommit, usize),
    home: Option<GenesisHash>,
    read: &mut Read,
) -> Result<(), Broken> {
    let ids: Vec<NodeId> = part.cores.iter().map(|core| node_id(core)).collect();
    let leaves = || part.places.iter().copied().zip(ids.iter().map(|id| *id.digest())).collect::<Vec<(u64, Digest)>>();
    let root = || root_from_leaves(&COMMIT_TREE, commit.count, &leaves(), &part.proof);
    if proofs == Proofs::Checked && (part.places.len() != part.cores.len() || root() != Ok(commit.root)) {
        let text =
            format!("the nodes shown for commit {} are not those under its signed root {}", commit.leaf, commit.root);
        return Err(broken(Code::CommitRootMismatch, ids.first().copied(), text));
    }
    if ids.iter().zip(ids.iter().skip(1)).any(|(a, b)| a >= b) {
        return Err(broken(
            Code::CommitRootMismatch,
            None,
            format!("the nodes of commit {} are not sorted by id", commit.leaf),
        ));
    }
    for (id, bytes) in ids.into_iter().zip(&part.cores) {
        let core = Core::from_bytes(bytes).map_err(|error| broken(Code::NodeInvalid, Some(id), format!("{error}")))?;
        if Some(core.home) != home {
            return Err(broken(
                Code::HomeMismatch,
                Some(id),
                format!("the node is for log {}, its commit is not", core.home),
            ));
        }
        read.take(id, core, number)?;
    }
    Ok(())
}

impl Read {
    fn take(&mut self, id: NodeId, mut core: Core, commit: usize) -> Result<(), Broken> {
        let assessed = read_assessment(id, &core)?;
        let statement = core.statement.take().filter(|_| core.kind == Kind::Status);
        let more = (assessed.is_some() || statement.is_some())
            .then(|| Box::new(More { assessed, statement, ..More::default() }));
        self.details.push(core.details);
        self.counts.push(u32::try_from(core.edges.len()).unwrap_or(u32::MAX));
        for edge in &core.edges {
            if let Some(home) = edge.home {
                self.foreign.insert(self.edges.len(), home);
            }
            self.edges.push((edge.role, edge.to));
        }
        let commit = u32::try_from(commit).unwrap_or(u32::MAX);
        self.nodes.push(Node { id, core: self.vocabulary.facts(&mut core), commit, edges: Box::default(), more });
        Ok(())
    }
}

fn read_assessment(id: NodeId, core: &Core) -> Result<Option<Assessed>, Broken> {
    let assessed = if core.kind == Kind::Assessment {
        Some(assessed(id, core).map_err(|error| broken(Code::AssessmentInvalid, Some(id), format!("{error}")))?)
    } else {
        None
    };
    if let Some(signed) = assessed.as_ref().and_then(|a| a.signed.as_ref()).filter(|signed| signed.home != core.home) {
        let text = format!("the assessment was signed for log {}, not for {}", signed.home, core.home);
        return Err(broken(Code::HomeMismatch, Some(id), text));
    }
    Ok(assessed)
}

/// The nodes, the roots of their details, and the foreign edges that the bundle does not resolve.
type Resolved = (Vec<Node>, Vec<Digest>, Vec<(Ordinal, NodeId)>);

/// Step 8, first half: every edge leads to a node of the bundle, of a kind that the closed table
/// allows. Rule R2: what a step generated is in the step's own commit. Rule R5: a foreign edge is
/// resolved in its own log, or is unknown.
pub(super) fn resolve_edges(read: Read, logs: &[Log], commits: &[CheckedCommit]) -> Result<Resolved, Broken> {
    let Read { mut nodes, details, counts, edges, foreign, .. } = read;
    let ids = Ids::new(&nodes);
    if let Some(id) = ids.duplicate() {
        return Err(broken(Code::NodeDuplicate, Some(id), "the node stands twice".into()));
    }
    let mut unresolved = Vec::new();
    let mut resolved: Vec<Box<[Link]>> = Vec::with_capacity(nodes.len());
    let mut edges = edges.iter().enumerate();
    let mut links = Vec::new();
    for (ordinal, (node, count)) in nodes.iter().zip(counts).enumerate() {
        links.clear();
        for (place, (role, to)) in edges.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            let edge = Edge { role: *role, home: foreign.get(&place).copied(), to: *to };
            let found = ids.find(to).and_then(|to| Some((Link::new(*role, to)?, nodes.get(to)?)));
            match found {
                Some((link, target)) => {
                    check_edge(node, &edge, target, logs, commits)?;
                    links.push(link);
                }
                None if edge.home.is_some() => unresolved.push((ordinal, edge.to)),
                None => {
                    let text = format!("{} edge to {}, which is not in the bundle", edge.role, edge.to);
                    return Err(broken(Code::NodeMissing, Some(node.id), text));
                }
            }
        }
        resolved.push(links.as_slice().into());
    }
    drop(ids);
    for (node, links) in nodes.iter_mut().zip(resolved) {
        node.edges = links;
    }
    nodes.iter().try_for_each(|status| check_successor(&nodes, status))?;
    Ok((nodes, details, unresolved))
}

/// What takes a superseded node's place is of the same kind.
fn check_successor(nodes: &[Node], status: &Node) -> Result<(), Broken> {
    let kind = |ordinal| nodes.get(ordinal).map(|node: &Node| node.core.kind);
    let marked = status.to(Role::Marks).next().and_then(kind);
    match status.to(Role::Successor).next().and_then(kind) {
        Some(successor) if Some(successor) != marked => {
            let marked = marked.map_or("nothing", Kind::word);
            let text = format!("a {marked} is superseded by a {successor}");
            Err(broken(Code::EdgeKind, Some(status.id), text))
        }
        _ => Ok(()),
    }
}

fn check_edge(node: &Node, edge: &Edge, target: &Node, logs: &[Log], commits: &[CheckedCommit]) -> Result<(), Broken> {
    let (from, to) = (node.core.kind, target.core.kind);
    if !edge.role.leads(from, to) {
        return Err(broken(Code::EdgeKind, Some(node.id), format!("{} leads from a {from} to a {to}", edge.role)));
    }
    // Step 7 has checked that a node is for the log that its commit is in.
    let home_of = |node: &Node| commits.get(node.commit()).and_then(|c| logs.get(c.log)).map(|log| log.home);
    let (own, home) = (home_of(node), home_of(target));
    if edge.home.or(own) != home {
        let unknown = GenesisHash::new(Digest::ZERO);
        let (named, home) = (edge.home.or(own).unwrap_or(unknown), home.unwrap_or(unknown));
        let text = format!("{} edge names log {named}, but {} lives in {home}", edge.role, target.id);
        return Err(broken(Code::HomeMismatch, Some(node.id), text));
    }
    if edge.role == Role::GeneratedBy && node.commit != target.commit {
        let leaf = |n: &Node| commits.get(n.commit()).map_or(0, |c| c.leaf);
        let text = format!("commit {} holds it, commit {} the step that generated it", leaf(node), leaf(target));
        return Err(broken(Code::OutputApart, Some(node.id), text));
    }
    Ok(())
}
