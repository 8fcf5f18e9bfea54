//! What a bundle needs of other companies' logs, and from which of their bundles it is taken (Rule R5).
//!
//! Of each log there is one part, so all of it comes from one adopted bundle: that with the newest checkpoint which has
//! every node needed.

use std::{collections::BTreeSet, sync::Arc};

use griptrace_core::{
    id::{GenesisHash, NodeId, StatusKey},
    node::{Edge, Role},
};

use crate::{adopted::Supplied, error::ProveError};

/// Adopted bundles, and which of them each log is taken from.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    own: GenesisHash,
    supplied: &'a [Arc<Supplied>],
    /// Other logs in the order in which they were needed, and the bundle of each.
    chosen: Vec<(GenesisHash, usize)>,
    /// What has to be in each: what edges named.
    named: BTreeSet<(GenesisHash, NodeId)>,
}

/// What the own log has that other logs can say something of.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What edges name in other logs.
    pub(crate) edges: Vec<(GenesisHash, NodeId)>,
    /// What assessments can open.
    pub(crate) subjects: BTreeSet<NodeId>,
    /// The keys of signed assessments.
    pub(crate) signed: BTreeSet<StatusKey>,
}

/// The nodes of other logs that belong to a closure.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Abroad {
    /// Every node but statuses.
    pub(crate) members: BTreeSet<NodeId>,
    /// The statuses of these, and of own assessments.
    pub(crate) statuses: BTreeSet<NodeId>,
    /// Nodes of the own log that these came from.
    pub(crate) own: BTreeSet<NodeId>,
}

/// What following edges came to.
enum Walked {
    Done(Abroad),
    /// Another bundle was chosen for a log: what was found may not be there.
    Again,
}

/// What choosing a bundle came to.
enum Chosen {
    /// No bundle has the node.
    Nowhere,
    /// The log is taken from where it was taken from before.
    Same,
    /// It is taken from another bundle now.
    Other,
}

impl<'a> Sources<'a> {
    pub(crate) const fn new(own: GenesisHash, supplied: &'a [Arc<Supplied>]) -> Self {
        Self { own, supplied, chosen: Vec::new(), named: BTreeSet::new() }
    }

    /// Tells whether there is nothing to take from.
    pub(crate) const fn is_empty(&self) -> bool {
        self.supplied.is_empty()
    }

    /// Returns the bundle that a log is taken from.
    pub(crate) fn of(&self, home: &GenesisHash) -> Option<&'a Supplied> {
        let (_, at) = self.chosen.iter().find(|(other, _)| other == home)?;
        self.supplied.get(*at).map(Arc::as_ref)
    }

    /// Returns the logs in the order in which they were needed, each with its bundle and its place there.
    pub(crate) fn logs(&self) -> impl Iterator<Item = (&'a Supplied, usize)> + '_ {
        self.chosen.iter().filter_map(|(home, at)| {
            let supplied = self.supplied.get(*at)?.as_ref();
            Some((supplied, supplied.log(home)?))
        })
    }

    /// Returns the bundle that a node of another log is taken from.
    pub(crate) fn holder(&self, id: &NodeId) -> Option<&'a Supplied> {
        self.logs().find(|(supplied, log)| supplied.node(id).is_some_and(|node| node.log == *log)).map(|(s, _)| s)
    }

    /// Walks through other logs. Tells beside what was found whether a log is now taken from another bundle than before.
    pub(crate) fn walk(&mut self, asked: &Asked) -> Result<(Abroad, bool), ProveError> {
        let mut is_other = false;
        loop {
            match self.attempt(asked)? {
                Walked::Done(abroad) => return Ok((abroad, is_other)),
                Walked::Again => is_other = true,
            }
        }
    }

    fn attempt(&mut self, asked: &Asked) -> Result<Walked, ProveError> {
        let mut abroad = Abroad::default();
        let mut todo = asked.edges.clone();
        todo.reverse();
        let mut by_edge = true;
        loop {
            while let Some((home, id)) = todo.pop() {
                if home == self.own {
                    abroad.own.insert(id);
                    continue;
                }
                if abroad.members.contains(&id) {
                    continue;
                }
                match self.choose(home, id, by_edge)? {
                    Chosen::Nowhere => continue,
                    Chosen::Other => return Ok(Walked::Again),
                    Chosen::Same => {}
                }
                let Some(node) = self.of(&home).and_then(|supplied| supplied.node(&id)) else { continue };
                abroad.members.insert(id);
                todo.extend(node.core.parents().map(|edge| target(edge, home)));
            }
            todo = self.found_beside(asked, &mut abroad);
            by_edge = false;
            if todo.is_empty() {
                return Ok(Walked::Done(abroad));
            }
        }
    }

    /// Chooses a bundle for the log of a node. Only what edges name has to be in it: other bundles may well lack an
    /// assessment, and what leads on from it.
    fn choose(&mut self, home: GenesisHash, id: NodeId, by_edge: bool) -> Result<Chosen, ProveError> {
        let has = |at: &usize, id: &NodeId| self.supplied.get(*at).is_some_and(|supplied| supplied.node(id).is_some());
        let candidates = self.candidates(home);
        if !candidates.iter().any(|at| has(at, &id)) {
            return Ok(Chosen::Nowhere);
        }
        let is_new = by_edge && self.named.insert((home, id));
        let place = self.chosen.iter().position(|(other, _)| *other == home);
        let before = place.and_then(|place| self.chosen.get(place)).map(|(_, at)| *at);
        if !is_new && before.is_some() {
            return Ok(Chosen::Same);
        }
        let mut named: Vec<NodeId> = self.named.iter().filter(|(log, _)| *log == home).map(|(_, id)| *id).collect();
        named.push(id);
        let whole = candidates.iter().find(|at| named.iter().all(|id| has(at, id)));
        let Some(whole) = whole.copied() else { return Err(self.apart(home, &candidates)) };
        match place.and_then(|place| self.chosen.get_mut(place)) {
            Some((_, at)) => *at = whole,
            None => self.chosen.push((home, whole)),
        }
        Ok(if before.is_none_or(|before| before == whole) { Chosen::Same } else { Chosen::Other })
    }

    /// Returns the bundles that have a log, the newest first; of equally new ones, those first that show more of its
    /// checkpoints: they date more, and are linked to more of what buyers saw before.
    fn candidates(&self, home: GenesisHash) -> Vec<usize> {
        let reach = |at: &usize| {
            let supplied = self.supplied.get(*at)?;
            supplied.log(&home).map(|log| (supplied.size(log), supplied.checkpoints(log)))
        };
        let mut found: Vec<usize> = (0..self.supplied.len()).filter(|at| reach(at).is_some()).collect();
        found.sort_by_key(|at| core::cmp::Reverse(reach(at)));
        found
    }

    fn apart(&self, home: GenesisHash, candidates: &[usize]) -> ProveError {
        let bundles: Vec<&Arc<Supplied>> = candidates.iter().filter_map(|at| self.supplied.get(*at)).collect();
        let origin = bundles.first().and_then(|supplied| Some(supplied.origin(supplied.log(&home)?).to_owned()));
        let bundles = bundles.iter().map(|supplied| supplied.digest).collect();
        ProveError::Apart { origin: origin.unwrap_or_default(), bundles }
    }

    /// Finds what no edge leads to: assessments that open a node, and statuses. Returns what these name.
    fn found_beside(&mut self, asked: &Asked, abroad: &mut Abroad) -> Vec<(GenesisHash, NodeId)> {
        let mut named = Vec::new();
        let bundles: BTreeSet<usize> = self.chosen.iter().map(|(_, at)| *at).collect();
        for at in bundles {
            let Some(supplied) = self.supplied.get(at) else { continue };
            for subject in abroad.members.iter().chain(&asked.subjects) {
                for assessment in supplied.assessments_of(subject) {
                    let Some(home) = supplied.node(assessment).map(|node| node.core.home) else { continue };
                    // Two bundles of one log may know different assessments: that of the chosen one counts.
                    let is_chosen = self.of(&home).is_none_or(|of| of.digest == supplied.digest);
                    if is_chosen && home != self.own && !abroad.members.contains(assessment) {
                        named.push((home, *assessment));
                    }
                }
            }
        }
        let mut keys = asked.signed.clone();
        keys.extend(abroad.members.iter().filter_map(|id| Some(self.holder(id)?.node(id)?.key)));
        for (supplied, log) in self.logs() {
            let marked = supplied.statuses(log).iter().filter(|(key, _)| keys.contains(key));
            for status in marked.flat_map(|(_, ids)| ids).filter_map(|id| supplied.node(id)) {
                if abroad.statuses.insert(status.id) {
                    let ends = status.core.edges.iter().filter(|e| matches!(e.role, Role::Marks | Role::Successor));
                    named.extend(ends.map(|edge| target(edge, status.core.home)));
                }
            }
        }
        named
    }

    /// Returns the keys of the signed assessments among nodes of other logs.
    pub(crate) fn signed(&self, abroad: &Abroad) -> BTreeSet<StatusKey> {
        let nodes = abroad.members.iter().filter_map(|id| self.holder(id)?.node(id));
        nodes.filter(|node| node.is_signed).map(|node| node.key).collect()
    }
}

/// Returns the log and the id that an edge leads to.
pub(crate) fn target(edge: &Edge, home: GenesisHash) -> (GenesisHash, NodeId) {
    (edge.home.unwrap_or(home), edge.to)
}
