//! Who recorded what, and what they may say by the trust file.

use griptrace_core::{
    date::Date,
    key_history::{AsOf, KeyHistory},
    node::Mark,
};
use griptrace_store::StoredNode;
use griptrace_verifier::{
    rules::{self, Reclassifier},
    trust::{Role, Trust},
};

/// Whose word counts in a log.
#[derive(Debug)]
pub(super) struct Parties<'a> {
    /// `None` where nobody said whom to believe: then every committer of the log may record and grade, and no assessor is known.
    pub(super) trust: Option<&'a Trust>,
    pub(super) origin: String,
    pub(super) history: KeyHistory,
}

/// Whoever recorded a node.
#[derive(Debug)]
pub(super) struct Party {
    /// What it is told from others by; `None` for nobody of the trust file.
    pub(super) name: Option<String>,
    /// Whether its key counts, for what no later revocation may take back too.
    counts: bool,
    roles: Vec<Role>,
}

impl Party {
    /// Tells whether it has a role, with a key that counts.
    pub(super) fn has(&self, role: Role) -> bool {
        self.counts && self.had(role)
    }

    fn had(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Tells whether anybody is behind it whose key counts.
    pub(super) const fn is_known(&self) -> bool {
        self.counts
    }
}

impl Parties<'_> {
    /// Tells whether a node counts for nobody: the key that recorded it had been rotated or revoked there.
    pub(super) fn is_ended(&self, node: &StoredNode) -> bool {
        self.history.end(&node.committer).is_some_and(|end| end <= node.index)
    }

    /// Returns who recorded a node, as step 6 of docs/spec/verify.md finds it.
    pub(super) fn of(&self, node: &StoredNode) -> Party {
        let counted_then = self.history.counted_then(&node.committer, node.index);
        let Some(trust) = self.trust else {
            let name = counted_then.then(|| node.committer.to_string());
            return Party { name, counts: !self.is_ended(node), roles: vec![Role::Commit, Role::Grade] };
        };
        let day = Date::from_unix(node.time);
        let find = |as_of| {
            let chain = self.history.chain(&node.committer, node.index, as_of, trust.revokers(&self.origin));
            let commits = |key| {
                trust.committers.iter().position(|known| known.key.id() == key && known.commits(&self.origin, day))
            };
            chain.into_iter().find_map(commits)
        };
        let now = find(AsOf::Now).filter(|_| !self.is_ended(node));
        let place = now.or_else(|| find(AsOf::Then).filter(|_| counted_then));
        let name = place.and_then(|place| trust.committers.get(place)).map(|known| known.name.clone());
        let roles = place.map(|place| rules::roles_of(trust, place, Some(&self.origin), day).collect());
        Party { name, counts: now.is_some(), roles: roles.unwrap_or_default() }
    }

    /// Tells whether the party that recorded a node also recorded a status.
    pub(super) fn is_own(&self, node: &StoredNode, status: &StoredNode) -> bool {
        let by = self.of(status).name;
        by.is_some() && by == self.of(node).name
    }

    /// Returns who reclassified a node.
    pub(super) fn reclassifier(&self, node: &StoredNode, status: &StoredNode) -> Reclassifier {
        let by = self.of(status);
        Reclassifier {
            grades_own: self.is_own(node, status) && by.had(Role::Grade),
            had_regrade: by.had(Role::Regrade),
            has_regrade: by.has(Role::Regrade),
        }
    }

    /// Returns the last mark that puts a node aside. One that is superseded is put aside by its own party alone: what anybody
    /// else says takes nothing out of sight.
    pub(super) fn put_aside(&self, node: &StoredNode, marks: &[StoredNode]) -> Option<Mark> {
        let counts = |status: &&StoredNode| match status.core.mark {
            Some(Mark::Supersede) => self.is_own(node, status),
            Some(mark) => mark.is_terminal(),
            None => false,
        };
        marks.iter().rev().find(counts).and_then(|status| status.core.mark)
    }
}
