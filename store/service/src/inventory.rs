//! The datasets in a policy's scope, with grade, assessment and gaps.

use std::collections::BTreeMap;

use griptrace_core::{
    assessment::{Outcome, assessed},
    date::Date,
    id::NodeId,
    node::{Core, DigestStrength, Kind, Mark, Origin, Persons, Role},
};
use griptrace_store::StoredNode;
use griptrace_verifier::policy::Policy;

use crate::grpc::detail;

/// Where the nodes of an inventory come from: a store, or a service that is asked for them.
pub trait Source {
    /// Why a node could not be had.
    type Error;

    /// Returns a node, with the details that may be seen.
    ///
    /// # Errors
    /// Also for one that is not there.
    fn node(&self, id: &NodeId) -> Result<StoredNode, Self::Error>;
    /// Tells whether a node counts for somebody: the key that recorded it had not been rotated or revoked there.
    fn counts(&self, node: &StoredNode) -> bool;
    /// Returns the marks on a node, in log order.
    ///
    /// # Errors
    /// As [`Self::node`].
    fn marks(&self, id: &NodeId) -> Result<Vec<StoredNode>, Self::Error>;
    /// Returns the assessments that can open a node as their subject.
    ///
    /// # Errors
    /// As [`Self::node`].
    fn assessments_of(&self, id: &NodeId) -> Result<Vec<NodeId>, Self::Error>;
}

/// One dataset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The node.
    pub node: StoredNode,
    /// Its grade, after reclassification; "undetermined", or what it inherits.
    pub grade: String,
    /// The assessment that holds longest; a signed one before a stated one.
    pub assessment: Option<Best>,
    /// What is missing or stands against it.
    pub gaps: Vec<&'static str>,
}

/// The assessment that holds longest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Best {
    /// The scheme.
    pub scheme: String,
    /// Whether the assessor signed it.
    pub signed: bool,
    /// Who assessed; empty if that may not be seen.
    pub issuer: String,
    /// The last day of validity.
    pub valid_to: Option<Date>,
}

/// An inventory on its way, each node looked at once however many stand on it.
#[derive(Debug)]
pub struct Inventory<'a, S> {
    source: &'a S,
    policy: Option<&'a Policy>,
    today: Date,
    /// What each node hands down: its own grade and its ancestors'.
    known: BTreeMap<NodeId, Rank>,
}

/// What an ancestry says of the grade: undetermined, if any of it is; else the highest, if there is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    None,
    Is(usize),
    Undetermined,
}

/// A node's own grade, and its parents.
type Visited = (Rank, Vec<NodeId>);

impl<'a, S: Source> Inventory<'a, S> {
    /// Begins an inventory under a policy, or of everything.
    pub const fn new(source: &'a S, policy: Option<&'a Policy>, today: Date) -> Self {
        Self { source, policy, today, known: BTreeMap::new() }
    }

    /// Returns a dataset's row; `None` if it is out of scope, or superseded.
    ///
    /// # Errors
    /// What the source says.
    pub fn row(&mut self, id: &NodeId) -> Result<Option<Row>, S::Error> {
        let node = self.source.node(id)?;
        let core = &node.core;
        let in_scope = self.policy.is_none_or(|policy| policy.in_scope(&core.modality, &core.purpose));
        if !in_scope {
            return Ok(None);
        }
        let marks = self.source.marks(id)?;
        let aside = put_aside(&marks);
        if aside == Some(Mark::Supersede) {
            return Ok(None);
        }
        let assessment = self.best(id)?;
        let grade = marks.iter().rev().find_map(|status| status.core.grade.clone()).or_else(|| core.grade.clone());
        let mut gaps = self.gaps(core, grade.as_ref(), assessment.as_ref(), aside);
        if !self.source.counts(&node) {
            gaps.insert(0, "key ended: record it again");
        }
        let grade = match grade {
            Some(grade) => grade.to_string(),
            None if is_source(core) => "undetermined".to_owned(),
            None => format!("{} (inherited)", self.inherited(core)?),
        };
        Ok(Some(Row { node, grade, assessment, gaps }))
    }

    fn gaps(
        &self,
        core: &Core,
        grade: Option<&griptrace_core::word::Word>,
        assessment: Option<&Best>,
        aside: Option<Mark>,
    ) -> Vec<&'static str> {
        let source = is_source(core);
        let ranked = |grade| self.policy.is_none_or(|policy| policy.grade_rank(grade).is_some());
        let ended = assessment.is_some_and(|best| best.valid_to.is_some_and(|to| to < self.today));
        let gaps = [
            (aside.map_or("", marked), aside.is_some()),
            ("no grade", source && grade.is_none()),
            ("grade not in the policy", grade.is_some_and(|grade| !ranked(grade))),
            ("no country", core.country.is_none()),
            ("no modality", core.modality.is_empty()),
            ("no purpose", source && core.purpose.is_empty()),
            ("persons not examined", source && !matches!(core.persons, Some(Persons::NoneFound | Persons::Present))),
            ("licence forbids", core.use_allowed == Some(false)),
            ("licence unknown", source && core.use_allowed.is_none()),
            ("weak digest", core.strength != Some(DigestStrength::Strong)),
            ("making not recorded", !source && core.edges.is_empty()),
            ("no assessment", source && assessment.is_none()),
            ("assessment ended", ended),
        ];
        gaps.into_iter().filter_map(|(gap, there)| there.then_some(gap)).collect()
    }

    fn best(&self, id: &NodeId) -> Result<Option<Best>, S::Error> {
        let mut found: Option<Best> = None;
        for id in self.source.assessments_of(id)? {
            let assessment = self.source.node(&id)?;
            let Ok(of) = assessed(id, &assessment.core) else { continue };
            if put_aside(&self.source.marks(&id)?).is_some() || of.assessment.outcome == Outcome::Refused {
                continue;
            }
            let stated = || detail(Kind::Assessment, &assessment.record, "issuer").unwrap_or_default();
            let new = Best {
                scheme: of.assessment.scheme.to_string(),
                signed: of.signed.is_some(),
                issuer: of.signed.as_ref().map_or_else(stated, |signed| signed.issuer.clone()),
                valid_to: of.assessment.valid_to,
            };
            let rank = |best: &Best| (best.signed, best.valid_to.is_none(), best.valid_to);
            if found.as_ref().is_none_or(|old| rank(&new) > rank(old)) {
                found = Some(new);
            }
        }
        Ok(found)
    }

    /// Returns the highest grade that a node came from, where a policy ranks them.
    fn inherited(&mut self, core: &Core) -> Result<String, S::Error> {
        let Some(policy) = self.policy else { return Ok("highest".to_owned()) };
        let mut highest = Rank::None;
        for parent in parents(core) {
            highest = highest.max(self.handed_down(policy, parent)?);
        }
        let grade = match highest {
            Rank::Is(rank) => policy.grades.get(rank),
            Rank::None | Rank::Undetermined => None,
        };
        Ok(grade.map_or_else(|| "undetermined".to_owned(), ToString::to_string))
    }

    /// Works out a node after its parents; a stack in place of recursion, as in a drawing.
    fn handed_down(&mut self, policy: &Policy, id: NodeId) -> Result<Rank, S::Error> {
        let mut todo: Vec<(NodeId, Option<Visited>)> = vec![(id, None)];
        while let Some((id, visited)) = todo.pop() {
            if self.known.contains_key(&id) {
                continue;
            }
            if let Some((own, parents)) = visited {
                let above = parents.iter().filter_map(|parent| self.known.get(parent)).max();
                self.known.insert(id, own.max(above.copied().unwrap_or(Rank::None)));
                continue;
            }
            let core = self.source.node(&id)?.core;
            let rank = core.grade.as_ref().and_then(|grade| policy.grade_rank(grade));
            let own = match rank {
                Some(rank) => Rank::Is(rank),
                None if is_source(&core) || core.grade.is_some() => Rank::Undetermined,
                None => Rank::None,
            };
            let parents: Vec<NodeId> = parents(&core).collect();
            let above: Vec<NodeId> =
                parents.iter().filter(|parent| !self.known.contains_key(parent)).copied().collect();
            todo.push((id, Some((own, parents))));
            todo.extend(above.into_iter().map(|parent| (parent, None)));
        }
        Ok(self.known.get(&id).copied().unwrap_or(Rank::None))
    }
}

const fn is_source(core: &Core) -> bool {
    matches!(core.origin, Some(Origin::Collected | Origin::External))
}

/// Returns the nodes that a node came from or is about.
fn parents(core: &Core) -> impl Iterator<Item = NodeId> + '_ {
    let parent = |role: Role| matches!(role, Role::Used | Role::GeneratedBy | Role::Ships | Role::Marks);
    core.edges.iter().filter(move |edge| parent(edge.role) && edge.home.is_none()).map(|edge| edge.to)
}

/// Returns the last mark that puts a node aside, if there is one.
pub fn put_aside(marks: &[StoredNode]) -> Option<Mark> {
    let aside = |mark: &Mark| mark.is_terminal() || *mark == Mark::Supersede;
    marks.iter().rev().find_map(|status| status.core.mark.filter(aside))
}

/// Returns a mark that puts a node aside, as what the node is.
pub const fn marked(mark: Mark) -> &'static str {
    match mark {
        Mark::Withdraw => "withdrawn",
        Mark::Supersede => "superseded",
        Mark::Reclassify => "reclassified",
        Mark::Recall => "recalled",
        Mark::Refuse => "refused",
    }
}
