//! Steps 6 to 8: commits, the nodes that they signed, and the edges between them.

use alloc::{collections::BTreeMap, format, vec::Vec};

use griptrace_core::{
    assessment::assessed,
    bundle::CommitPart,
    commit::Commit,
    date::Date,
    digest::{COMMIT_TREE, Digest},
    entry::Entry,
    id::NodeId,
    node::{Core, Kind, Role, node_id},
    tree::root_from_leaves,
};

use super::{Broken, CheckedCommit, Log, Node, Ordinal, Parts, broken, log::ProvenEntry};
use crate::{
    finding::Code,
    trust::{Role as Trusted, Trust},
};

/// Step 6: each commit is for its log and signed by a committer of the trust file, with a key that
/// was good when the first anchor covered it.
pub(super) fn check_commits(
    parts: &Parts<'_>,
    logs: &[Log],
    entries: Vec<ProvenEntry>,
) -> Result<Vec<CheckedCommit>, Broken> {
    entries.into_iter().map(|(log, leaf, entry)| check_commit(parts.trust, logs, log, leaf, entry)).collect()
}

fn check_commit(trust: &Trust, logs: &[Log], place: usize, leaf: u64, entry: Entry) -> Result<CheckedCommit, Broken> {
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
    let committer =
        find_committer(trust, &commit, &log.genesis.origin, day).ok_or_else(|| untrusted(trust, &commit, leaf, day))?;
    let key = trust.committers.get(committer).map(|known| &known.key);
    let verified = key.is_some_and(|key| commit.verify(key).is_ok());
    if !verified {
        return Err(broken(
            Code::CommitSignatureInvalid,
            None,
            format!("commit {leaf}: the signature does not verify"),
        ));
    }
    Ok(CheckedCommit { log: place, leaf, commit, committer })
}

fn find_committer(trust: &Trust, commit: &Commit, origin: &str, day: Date) -> Option<usize> {
    trust.committers.iter().position(|known| {
        known.key.id() == commit.key()
            && known.roles.contains(&Trusted::Commit)
            && known.log.as_deref().is_none_or(|log| log == origin)
            && known.from.is_none_or(|from| from <= day)
            && known.to.is_none_or(|to| day <= to)
    })
}

fn untrusted(trust: &Trust, commit: &Commit, leaf: u64, day: Date) -> Broken {
    let known = trust.committers.iter().any(|known| known.key.id() == commit.key());
    let why = if known { "not with the role commit, for this log, on that day" } else { "not at all" };
    let text = format!(
        "commit {leaf} is signed by key {}, who says to be {:?} and was first seen on {day}: the trust file has this key {why}",
        commit.key(),
        commit.issuer(),
    );
    broken(Code::CommitterUntrusted, None, text)
}

/// Step 7: the nodes are those that their commits signed, each read strictly, each for its log.
pub(super) fn check_nodes(parts: &Parts<'_>, logs: &[Log], commits: &[CheckedCommit]) -> Result<Vec<Node>, Broken> {
    parts.bundle.node_count().map_err(|error| broken(Code::LimitExceeded, None, format!("{error}")))?;
    let mut nodes = Vec::new();
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
            check_part(part, commit, number, home, &mut nodes)?;
        }
    }
    if let Some((_, commit)) = at.next() {
        return Err(broken(Code::Extraneous, None, format!("commit {} brings no node", commit.leaf)));
    }
    Ok(nodes)
}

fn check_part(
    part: &CommitPart,
    commit: &CheckedCommit,
    number: usize,
    home: Option<griptrace_core::id::GenesisHash>,
    nodes: &mut Vec<Node>,
) -> Result<(), Broken> {
    let payload = &commit.commit.payload;
    let ids: Vec<NodeId> = part.cores.iter().map(|core| node_id(core)).collect();
    let leaves: Vec<(u64, Digest)> = part.places.iter().copied().zip(ids.iter().map(|id| *id.digest())).collect();
    let root = root_from_leaves(&COMMIT_TREE, payload.count, &leaves, &part.proof);
    if part.places.len() != part.cores.len() || root != Ok(payload.root) {
        let text =
            format!("the nodes shown for commit {} are not those under its signed root {}", commit.leaf, payload.root);
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
        nodes.push(read_node(id, core, number)?);
    }
    Ok(())
}

fn read_node(id: NodeId, core: Core, commit: usize) -> Result<Node, Broken> {
    let assessed = if core.kind == Kind::Assessment {
        Some(assessed(id, &core).map_err(|error| broken(Code::AssessmentInvalid, Some(id), format!("{error}")))?)
    } else {
        None
    };
    if let Some(signed) = assessed.as_ref().and_then(|a| a.signed.as_ref()).filter(|signed| signed.home != core.home) {
        let text = format!("the assessment was signed for log {}, not for {}", signed.home, core.home);
        return Err(broken(Code::HomeMismatch, Some(id), text));
    }
    Ok(Node { id, core, commit, edges: Vec::new(), assessed, details: BTreeMap::new(), manifest: None })
}

type Resolved = (Vec<Node>, Vec<(Ordinal, NodeId)>);

/// Step 8, first half: every edge leads to a node of the bundle, of a kind that the closed table
/// allows. Rule R2: what a step generated is in the step's own commit. Rule R5: a foreign edge is
/// resolved in its own log, or is unknown.
pub(super) fn resolve_edges(mut nodes: Vec<Node>, commits: &[CheckedCommit]) -> Result<Resolved, Broken> {
    let mut places: Vec<(NodeId, Ordinal)> = nodes.iter().enumerate().map(|(i, node)| (node.id, i)).collect();
    places.sort_unstable();
    if let Some((a, _)) = places.iter().zip(places.iter().skip(1)).find(|(a, b)| a.0 == b.0) {
        return Err(broken(Code::NodeDuplicate, Some(a.0), "the node stands twice".into()));
    }
    let place =
        |id: &NodeId| places.binary_search_by(|(other, _)| other.cmp(id)).ok().and_then(|i| places.get(i)).map(|p| p.1);
    let mut unresolved = Vec::new();
    let mut resolved = Vec::new();
    for (ordinal, node) in nodes.iter().enumerate() {
        let mut edges = Vec::new();
        for edge in &node.core.edges {
            match place(&edge.to).and_then(|to| Some((to, nodes.get(to)?))) {
                Some((to, target)) => {
                    check_edge(node, edge, target, commits)?;
                    edges.push((edge.role, to));
                }
                None if edge.home.is_some() => unresolved.push((ordinal, edge.to)),
                None => {
                    let text = format!("{} edge to {}, which is not in the bundle", edge.role, edge.to);
                    return Err(broken(Code::NodeMissing, Some(node.id), text));
                }
            }
        }
        resolved.push(edges);
    }
    for (node, edges) in nodes.iter_mut().zip(resolved) {
        node.edges = edges;
    }
    nodes.iter().try_for_each(|status| check_successor(&nodes, status))?;
    Ok((nodes, unresolved))
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

fn check_edge(
    node: &Node,
    edge: &griptrace_core::node::Edge,
    target: &Node,
    commits: &[CheckedCommit],
) -> Result<(), Broken> {
    let (from, to) = (node.core.kind, target.core.kind);
    if !edge.role.leads(from, to) {
        return Err(broken(Code::EdgeKind, Some(node.id), format!("{} leads from a {from} to a {to}", edge.role)));
    }
    let home = edge.home.unwrap_or(node.core.home);
    if target.core.home != home {
        let text = format!("{} edge names log {home}, but {} lives in {}", edge.role, target.id, target.core.home);
        return Err(broken(Code::HomeMismatch, Some(node.id), text));
    }
    if edge.role == Role::GeneratedBy && node.commit != target.commit {
        let leaf = |n: &Node| commits.get(n.commit).map_or(0, |c| c.leaf);
        let text = format!("commit {} holds it, commit {} the step that generated it", leaf(node), leaf(target));
        return Err(broken(Code::OutputApart, Some(node.id), text));
    }
    Ok(())
}
