//! Steps 8 and 10: the closure, and what the status map says of every node in it.
//!
//! Rule R3: the closure is the root; its parents, recursively; the Assessments that open a closure
//! node; the statuses of all these, and what takes a superseded one's place. A bundle holds exactly
//! that. Absence of a status is proven, not assumed.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format, vec,
    vec::Vec,
};

use griptrace_core::{
    bundle::StatusPart,
    digest::Digest,
    id::{NodeId, StatusKey},
    limits::COPIES_MAX,
    node::{Kind, Role},
    status_map::{status_value, verify_statuses},
};

use super::{
    Anchor, Broken, CheckedCommit, Evidence, Log, Node, OpenedSubject, Ordinal, Parts, Proofs, broken, keys::Keys,
    log::must_date, places::Places,
};
use crate::{
    dense,
    finding::Code,
    known::{Compared, Known, KnownLog},
};

/// The closure under one map of statuses.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Closure {
    /// Every node but statuses, by ordinal.
    pub(crate) members: dense::Set,
    /// The statuses of every member that has some, in log order.
    pub(crate) statuses: BTreeMap<Ordinal, Vec<Ordinal>>,
}

impl Closure {
    /// Tells whether a node belongs to it.
    pub(crate) fn has(&self, ordinal: Ordinal) -> bool {
        self.members.contains(ordinal)
    }
}

/// Under what a closure is walked.
#[derive(Clone, Copy)]
enum Under {
    /// The newest anchor of each log.
    Newest,
    /// The shipment's anchor, at this place of the first log. A node of another log counts as covered if it was
    /// covered there no later than the shipment was here.
    Shipment(usize),
    /// The same, with whatever other logs cover. Whose time an anchor has is the trust file's to say, so that nobody who
    /// makes a bundle knows which of their nodes came too late: this is what the shipment's statuses are asked for.
    AtLeastShipment(usize),
}

impl Under {
    /// Returns the place of the first log's anchor, unless it is the newest.
    const fn place(self) -> Option<usize> {
        match self {
            Self::Newest => None,
            Self::Shipment(place) | Self::AtLeastShipment(place) => Some(place),
        }
    }
}

/// What walking needs.
struct Walk<'a> {
    nodes: &'a [Node],
    commits: &'a [CheckedCommit],
    logs: &'a [Log],
    /// Assessments by the node that they open.
    opened_by: &'a BTreeMap<Ordinal, Vec<Ordinal>>,
}

pub(super) fn close(
    parts: &Parts<'_>,
    mut logs: Vec<Log>,
    commits: Vec<CheckedCommit>,
    nodes: Vec<Node>,
    unresolved: Vec<(Ordinal, NodeId)>,
    subjects: Vec<OpenedSubject>,
) -> Result<Evidence, Broken> {
    let root = find_root(parts, &nodes, &commits)?;
    let places = Places::parents_first(root, &nodes);
    let (root, nodes) = places.nodes(root, nodes);
    let unresolved = unresolved.into_iter().map(|(ordinal, id)| (places.of(ordinal), id)).collect();
    let mut opened_by: BTreeMap<Ordinal, Vec<Ordinal>> = BTreeMap::new();
    for (assessment, subject, _, _) in subjects {
        opened_by.entry(places.of(subject)).or_default().push(places.of(assessment));
    }
    drop(places);
    check_copies(&nodes)?;
    let shipped_at = place_statuses(parts, &mut logs, &commits, &nodes, root)?;
    let walk = Walk { nodes: &nodes, commits: &commits, logs: &logs, opened_by: &opened_by };
    let newest = walk.closure(root, Under::Newest)?;
    // Under one anchor of one log there is one closure, and under one log nothing is another log's.
    let one = matches!(walk.logs, [log] if shipped_at == log.anchors.len().saturating_sub(1));
    let shipped = if one { None } else { Some(walk.closure(root, Under::Shipment(shipped_at))?) };
    let asked = if walk.logs.len() == 1 { None } else { Some(walk.closure(root, Under::AtLeastShipment(shipped_at))?) };
    walk.check_exact(&newest)?;
    let at_shipment = shipped.as_ref().unwrap_or(&newest);
    let asked = asked.as_ref().unwrap_or(at_shipment);
    if parts.proofs == Proofs::Checked {
        check_proofs(parts, &walk, shipped_at, &newest, asked)?;
    }
    walk.check_grown(asked, shipped_at)?;
    let recorded_after = walk.recorded_after(at_shipment, shipped_at);
    walk.check_known(&newest, parts.known)?;
    tell_answers(parts, &mut logs, &commits, &nodes);
    let compared = Compared::default();
    Ok(Evidence {
        root,
        logs,
        commits,
        nodes,
        opened_by,
        unresolved,
        newest,
        shipped,
        compared,
        shipped_at,
        recorded_after,
    })
}

/// Refuses more records of one signed assessment than anybody needs: each would be judged with every
/// mark on it.
fn check_copies(nodes: &[Node]) -> Result<(), Broken> {
    let mut copies: BTreeMap<StatusKey, usize> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.assessed().is_some()) {
        let count = copies.entry(status_key(node)).or_default();
        *count = count.saturating_add(1);
        if *count > COPIES_MAX {
            let text = format!("one signed assessment is recorded more than {COPIES_MAX} times");
            return Err(broken(Code::LimitExceeded, Some(node.id), text));
        }
    }
    Ok(())
}

/// Step 8: the one root, a Shipment or, for a pre-check, a Model, in the first log.
fn find_root(parts: &Parts<'_>, nodes: &[Node], commits: &[CheckedCommit]) -> Result<Ordinal, Broken> {
    let found = usize::try_from(parts.bundle.root).ok().and_then(|place| Some((place, nodes.get(place)?)));
    let Some((place, node)) = found else {
        return Err(broken(
            Code::NodeMissing,
            None,
            format!("the root is node {} of {}", parts.bundle.root, nodes.len()),
        ));
    };
    let first_log = commits.get(node.commit()).is_some_and(|commit| commit.log == 0);
    if !matches!(node.core.kind, Kind::Shipment | Kind::Model) || !first_log {
        let text = format!("the root is a {}, not a shipment or model of the bundle's first log", node.core.kind);
        return Err(broken(Code::RootKind, Some(node.id), text));
    }
    Ok(place)
}

/// Attaches to each anchor that judgement needs the statuses that it brings, as ordinals, and returns the place of the
/// shipment's anchor in the first log: the first one that covers the root and brings statuses. An earlier one, which
/// the buyer's quorum may or may not have cosigned, is history.
fn place_statuses(
    parts: &Parts<'_>,
    logs: &mut [Log],
    commits: &[CheckedCommit],
    nodes: &[Node],
    root: Ordinal,
) -> Result<usize, Broken> {
    let leaf = nodes.get(root).and_then(|node| commits.get(node.commit())).map_or(0, |commit| commit.leaf);
    let shipped_at = shipment_anchor(parts, logs, leaf)?;
    let ids: BTreeMap<NodeId, Ordinal> =
        nodes.iter().enumerate().filter(|(_, n)| n.core.kind == Kind::Status).map(|(i, n)| (n.id, i)).collect();
    for (number, (log, part)) in logs.iter_mut().zip(&parts.bundle.logs).enumerate() {
        let last = log.anchors.len().saturating_sub(1);
        for (place, (anchor, brought)) in log.anchors.iter_mut().zip(&part.anchors).enumerate() {
            let needed = place == last || (number == 0 && place == shipped_at);
            match &brought.status {
                Some(status) if needed => anchor.statuses = Some(read_statuses(status, &ids)?),
                None if !needed => {}
                Some(_) => {
                    return Err(broken(
                        Code::Extraneous,
                        None,
                        format!("checkpoint {} brings statuses that no judgement needs", anchor.size),
                    ));
                }
                None => {
                    return Err(broken(
                        Code::StatusMissing,
                        None,
                        format!("checkpoint {} brings no statuses", anchor.size),
                    ));
                }
            }
        }
    }
    Ok(shipped_at)
}

fn shipment_anchor(parts: &Parts<'_>, logs: &[Log], leaf: u64) -> Result<usize, Broken> {
    let (Some(log), Some(part)) = (logs.first(), parts.bundle.logs.first()) else { return Ok(0) };
    let mut anchors = log.anchors.iter().zip(&part.anchors);
    let last = log.anchors.len().saturating_sub(1);
    let place = anchors.position(|(anchor, part)| anchor.size > leaf && part.status.is_some()).unwrap_or(last);
    log.anchors.get(place).map_or(Ok(()), must_date)?;
    Ok(place)
}

/// Step 10: says for which signed assessments each log answered: the first for all, the others for those that live
/// there and for those that they list (Rule R5).
fn tell_answers(parts: &Parts<'_>, logs: &mut [Log], commits: &[CheckedCommit], nodes: &[Node]) {
    let signed: Vec<(StatusKey, Option<usize>)> = nodes
        .iter()
        .filter(|node| is_signed(node))
        .map(|node| (status_key(node), commits.get(node.commit()).map(|commit| commit.log)))
        .collect();
    for (number, (log, part)) in logs.iter_mut().zip(&parts.bundle.logs).enumerate() {
        let here = signed.iter().filter(|(_, home)| number == 0 || *home == Some(number));
        let listed = part.anchors.last().and_then(|anchor| anchor.status.as_ref()).into_iter();
        let listed = listed.flat_map(|status| status.further.iter().copied());
        log.answers = here.map(|(key, _)| *key).chain(listed).collect();
    }
}

fn read_statuses(
    part: &StatusPart<&[u8]>,
    ids: &BTreeMap<NodeId, Ordinal>,
) -> Result<BTreeMap<StatusKey, Vec<Ordinal>>, Broken> {
    let mut statuses = BTreeMap::new();
    for (key, listed) in &part.present {
        if listed.is_empty() || statuses.last_key_value().is_some_and(|(last, _)| last >= key) {
            return Err(broken(
                Code::StatusProofMismatch,
                None,
                format!("statuses of {key} are out of order or empty"),
            ));
        }
        let ordinals = listed.iter().map(|id| ids.get(id).copied().ok_or(id)).collect::<Result<Vec<_>, _>>();
        let ordinals = ordinals
            .map_err(|id| broken(Code::NodeMissing, Some(*id), format!("a status of {key} is not in the bundle")))?;
        statuses.insert(*key, ordinals);
    }
    if let Some(key) = part.further.windows(2).find_map(|pair| pair.get(1).filter(|key| pair.first() >= Some(*key))) {
        return Err(broken(Code::StatusProofMismatch, None, format!("the further key {key} is out of order")));
    }
    Ok(statuses)
}

impl Walk<'_> {
    /// Returns the anchor that a log has for this closure.
    fn anchor_for(&self, number: usize, under: Under) -> Option<&Anchor> {
        let log = self.logs.get(number)?;
        match under.place() {
            Some(place) if number == 0 => log.anchors.get(place),
            _ => log.anchors.last(),
        }
    }

    /// Tells whether a node is under the anchor that its log has for this closure.
    fn is_covered(&self, node: &Node, under: Under) -> bool {
        let Some(commit) = self.commits.get(node.commit()) else { return false };
        match under {
            Under::Shipment(place) if commit.log != 0 => {
                let shipped = self.logs.first().and_then(|log| log.anchors.get(place)).map(|anchor| anchor.time);
                let log = self.logs.get(commit.log);
                let first = log.and_then(|log| log.anchors.get(log.first_covering(commit.leaf)?));
                let first = first.map(|anchor| anchor.time);
                first.is_some() && first <= shipped
            }
            Under::Newest | Under::Shipment(_) | Under::AtLeastShipment(_) => {
                self.anchor_for(commit.log, under).is_some_and(|anchor| commit.leaf < anchor.size)
            }
        }
    }

    /// Tells whether a log's map can say something of a node: that of its home or, of an assessment that
    /// its assessor signed, every one that answers for it (Rule R5).
    fn is_looked_up_in(&self, node: &Node, number: usize, size: u64) -> bool {
        is_signed(node) || self.is_home(node, number, size)
    }

    /// Tells whether a log's map has to answer for a node: that of its home and, of an assessment that its assessor
    /// signed, the first log's (Rule R5). Whoever makes a bundle can ask no other company's map for more than it was given.
    fn has_to_answer(&self, node: &Node, number: usize, size: u64) -> bool {
        (number == 0 && is_signed(node)) || self.is_home(node, number, size)
    }

    /// Tells whether a node lives in a log, below a size.
    fn is_home(&self, node: &Node, number: usize, size: u64) -> bool {
        self.commits.get(node.commit()).is_some_and(|commit| commit.log == number && commit.leaf < size)
    }

    /// Walks to the closure under the newest anchors, or under the shipment's anchor.
    fn closure(&self, root: Ordinal, under: Under) -> Result<Closure, Broken> {
        let mut closure = Closure::default();
        let mut todo = vec![root];
        while let Some(ordinal) = todo.pop() {
            let Some(node) = self.nodes.get(ordinal) else { continue };
            if !closure.members.insert(ordinal) {
                continue;
            }
            todo.extend(node.parents());
            let opened = self.opened_by.get(&ordinal).into_iter().flatten().copied();
            todo.extend(opened.filter(|a| self.nodes.get(*a).is_some_and(|a| self.is_covered(a, under))));
            let statuses = self.statuses_of(node, under)?;
            for status in statuses.iter().filter_map(|s| self.nodes.get(*s)) {
                // In another log a status marks that log's record of the same signed assessment.
                todo.extend(status.to(Role::Successor).chain(status.to(Role::Marks)));
            }
            if !statuses.is_empty() {
                closure.statuses.insert(ordinal, statuses);
            }
        }
        Ok(closure)
    }

    /// Returns a node's statuses, each checked to mark what the key stands for and to be in its
    /// commit's public lines, in log order.
    fn statuses_of(&self, node: &Node, under: Under) -> Result<Vec<Ordinal>, Broken> {
        let key = status_key(node);
        let mut found = Vec::new();
        for number in 0..self.logs.len() {
            let anchor =
                self.anchor_for(number, under).filter(|anchor| self.is_looked_up_in(node, number, anchor.size));
            let Some((anchor, map)) = anchor.and_then(|anchor| Some((anchor, anchor.statuses.as_ref()?))) else {
                continue;
            };
            if let Some(listed) = map.get(&key) {
                self.check_listed(listed, &key, number, anchor.size)?;
                found.extend(listed.iter().copied());
            }
        }
        Ok(found)
    }

    fn check_listed(&self, listed: &[Ordinal], key: &StatusKey, log: usize, size: u64) -> Result<(), Broken> {
        let mut last = None;
        for ordinal in listed {
            let Some(status) = self.nodes.get(*ordinal) else { continue };
            let place = self.line_of(status, key, log, size).ok_or_else(|| {
                let text = format!("it stands under {key} in the status map, but does not mark that, or is in no public line of its commit");
                broken(Code::StatusLineMismatch, Some(status.id), text)
            })?;
            if last.is_some_and(|last| last >= place) {
                return Err(broken(
                    Code::StatusLineMismatch,
                    Some(status.id),
                    format!("statuses of {key} are not in log order"),
                ));
            }
            last = Some(place);
        }
        Ok(())
    }

    /// Returns where a status stands in a log: its commit's leaf and its line there.
    fn line_of(&self, status: &Node, key: &StatusKey, log: usize, size: u64) -> Option<(u64, usize)> {
        let commit = self.commits.get(status.commit())?;
        let target = status.to(Role::Marks).next().and_then(|to| self.nodes.get(to))?;
        let line = commit.statuses.iter().position(|line| line.key == *key && line.status == status.id)?;
        let here = commit.log == log && commit.leaf < size;
        (status_key(target) == *key && here).then_some((commit.leaf, line))
    }

    /// Step 10: the shipment's map is a beginning of the newest one: no status that was under the
    /// shipment's anchor is left out of it.
    fn check_grown(&self, asked: &Closure, shipped_at: usize) -> Result<(), Broken> {
        let (Some(old), Some(new)) =
            (self.anchor_for(0, Under::Shipment(shipped_at)), self.anchor_for(0, Under::Newest))
        else {
            return Ok(());
        };
        let (Some(then), Some(now)) = (&old.statuses, &new.statuses) else { return Ok(()) };
        let asked = asked.members.iter().filter_map(|ordinal| self.nodes.get(ordinal));
        let asked = asked.filter(|n| self.has_to_answer(n, 0, old.size)).map(status_key);
        // Of the others both maps say the same: nothing.
        let keys: BTreeSet<StatusKey> = asked.filter(|key| then.contains_key(key) || now.contains_key(key)).collect();
        for key in &keys {
            let listed = now.get(key).map_or(&[][..], Vec::as_slice);
            let leaf = |status: &Ordinal| self.nodes.get(*status).and_then(|node| self.commits.get(node.commit()));
            let early = listed.iter().filter(|status| leaf(status).is_some_and(|commit| commit.leaf < old.size));
            if !early.eq(then.get(key).map_or(&[][..], Vec::as_slice)) {
                let text = format!(
                    "statuses of {key} under checkpoint {} are not those that the newest map has from then",
                    old.size
                );
                return Err(broken(Code::StatusLineMismatch, None, text));
            }
        }
        Ok(())
    }

    /// Step 10: no status and no key change that an older file shows in a log is left out of that log's map (Rule R4:
    /// nothing hides it).
    fn check_known(&self, newest: &Closure, known: &Known) -> Result<(), Broken> {
        for (number, log) in self.logs.iter().enumerate() {
            let Some((anchor, map)) = log.newest().and_then(|anchor| Some((anchor, anchor.statuses.as_ref()?))) else {
                continue;
            };
            let seen: Vec<_> = known.histories.iter().filter_map(|old| old.of_log(&log.genesis.origin)).collect();
            if seen.is_empty() {
                continue;
            }
            let asked = newest.members.iter().filter_map(|ordinal| self.nodes.get(ordinal));
            for key in asked.filter(|node| self.is_looked_up_in(node, number, anchor.size)).map(status_key) {
                let listed = map.get(&key).into_iter().flatten().filter_map(|s| self.nodes.get(*s));
                check_kept(&seen, &key, &listed.map(|node| node.id).collect(), anchor.size)?;
            }
            for (key, lines) in log.keys.lines() {
                check_kept(&seen, &key, &lines.collect(), anchor.size)?;
            }
        }
        Ok(())
    }

    /// Step 8: the bundle holds the newest closure and its statuses, and nothing else.
    fn check_exact(&self, newest: &Closure) -> Result<(), Broken> {
        let statuses: BTreeSet<Ordinal> = newest.statuses.values().flatten().copied().collect();
        for (ordinal, node) in self.nodes.iter().enumerate() {
            if !newest.has(ordinal) && !statuses.contains(&ordinal) {
                let text = format!(
                    "a {} that neither the root's ancestry nor its assessments and statuses need",
                    node.core.kind
                );
                return Err(broken(Code::Extraneous, Some(node.id), text));
            }
        }
        Ok(())
    }

    /// Returns the shipped closure's nodes that the shipment's anchor does not cover.
    fn recorded_after(&self, shipped: &Closure, shipped_at: usize) -> Vec<Ordinal> {
        // An assessment that was recorded later covers nothing then, and is no ancestry.
        let late = |ordinal: &Ordinal| {
            let node = self.nodes.get(*ordinal).filter(|node| node.core.kind != Kind::Assessment);
            node.is_some_and(|node| !self.is_covered(node, Under::Shipment(shipped_at)))
        };
        shipped.members.iter().filter(late).collect()
    }
}

/// Refuses a list of the map that lacks what an older file shows below a size.
fn check_kept(seen: &[&KnownLog], key: &StatusKey, listed: &BTreeSet<NodeId>, size: u64) -> Result<(), Broken> {
    let lines = seen.iter().filter_map(|old| old.lines.get(key)).flatten();
    let mut early = lines.filter(|(leaf, _)| *leaf < size);
    let Some((leaf, id)) = early.find(|(_, id)| !listed.contains(id)) else { return Ok(()) };
    let text = format!(
        "an older file shows this under {key} at leaf {leaf}, and the map under checkpoint {size} is not shown to have it"
    );
    Err(broken(Code::HistoryStatusDropped, Some(*id), text))
}

/// Returns what the status map is asked for about a node.
pub(crate) fn status_key(node: &Node) -> StatusKey {
    node.assessed().map_or(StatusKey::of_node(node.id), |assessed| assessed.status_key)
}

/// Tells whether a node is an assessment that its assessor signed.
fn is_signed(node: &Node) -> bool {
    node.assessed().is_some_and(|assessed| assessed.signed.is_some())
}

/// Step 10: under each anchor that is judged by, one batch proof answers for every key of the
/// closure, present or absent.
fn check_proofs(
    parts: &Parts<'_>,
    walk: &Walk<'_>,
    shipped_at: usize,
    newest: &Closure,
    asked: &Closure,
) -> Result<(), Broken> {
    for (number, (log, part)) in walk.logs.iter().zip(&parts.bundle.logs).enumerate() {
        let last = log.anchors.len().saturating_sub(1);
        for (place, (anchor, brought)) in log.anchors.iter().zip(&part.anchors).enumerate() {
            let (Some(status), Some(statuses)) = (&brought.status, &anchor.statuses) else { continue };
            // The newest closure is the shipped one where the two anchors are one.
            let closure = if place == last || number != 0 || place != shipped_at { newest } else { asked };
            let held = if place == last { Some(&log.keys) } else { None };
            check_proof((status, statuses), held, walk, closure, (number, anchor))?;
        }
    }
    Ok(())
}

fn check_proof(
    (part, statuses): (&StatusPart<&[u8]>, &BTreeMap<StatusKey, Vec<Ordinal>>),
    held: Option<&Keys>,
    walk: &Walk<'_>,
    closure: &Closure,
    (number, anchor): (usize, &Anchor),
) -> Result<(), Broken> {
    let nodes = || closure.members.iter().filter_map(|ordinal| walk.nodes.get(ordinal));
    let due = || nodes().filter(|node| walk.has_to_answer(node, number, anchor.size)).map(status_key);
    check_further(part, number, nodes().filter(|node| is_signed(node)).map(status_key), due())?;
    let keys = || due().chain(part.further.iter().copied());
    let known: BTreeSet<StatusKey> =
        if statuses.is_empty() { BTreeSet::new() } else { keys().filter(|key| statuses.contains_key(key)).collect() };
    if let Some(key) = statuses.keys().find(|key| !known.contains(key)) {
        return Err(broken(Code::Extraneous, None, format!("statuses of {key}, which the closure does not hold")));
    }
    let mut present: Vec<(Digest, Digest)> = statuses
        .iter()
        .map(|(key, listed)| {
            let ids = listed.iter().filter_map(|s| walk.nodes.get(*s)).map(|node| *node.id.digest());
            (*key.digest(), status_value(&ids.collect::<Vec<_>>()))
        })
        .collect();
    if keys().next().is_none() {
        return Err(broken(
            Code::Extraneous,
            None,
            "a log that holds nothing of the closure, and is asked for no status".into(),
        ));
    }
    // Key changes are judged by their place in the log: the newest map says whether these are all.
    present.extend(held.iter().flat_map(|keys| keys.present()));
    let asked = keys().map(|key| *key.digest()).chain(held.into_iter().flat_map(Keys::asked));
    let map_root = &anchor.map_root;
    verify_statuses(map_root, asked, &present, part.proof).map_err(|error| {
        broken(Code::StatusProofMismatch, None, format!("statuses under map root {map_root}: {error}"))
    })
}

/// Step 10: what a log answers for beyond its duty are signed assessments of the closure that live in another one.
fn check_further(
    part: &StatusPart<&[u8]>,
    number: usize,
    signed: impl Iterator<Item = StatusKey>,
    due: impl Iterator<Item = StatusKey>,
) -> Result<(), Broken> {
    if part.further.is_empty() {
        return Ok(());
    }
    let (signed, due): (BTreeSet<StatusKey>, BTreeSet<StatusKey>) = (signed.collect(), due.collect());
    for key in &part.further {
        let why = match (due.contains(key), signed.contains(key)) {
            (true, _) => "which it has to answer for anyhow",
            (false, false) => "which is that of no signed assessment of the closure",
            (false, true) => continue,
        };
        let text = format!("log {number} lists the further key {key}, {why}");
        return Err(broken(Code::Extraneous, None, text));
    }
    Ok(())
}
