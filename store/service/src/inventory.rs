//! The datasets in a policy's scope, with grade, assessment and gaps.
//!
//! Each is looked at by itself and with what it came from, by the rules that judge bundles ([`griptrace_verifier::rules`]).
//! What is made of it, and where that goes, is not known here: nothing is said of a shipment.

mod behind;
mod covering;
mod parties;

use std::{borrow::Cow, collections::BTreeMap};

use griptrace_core::{
    date::Date,
    id::NodeId,
    key_history::KeyHistory,
    node::{DigestStrength, Mark, Persons},
    word::{Country, Word},
};
use griptrace_store::StoredNode;
use griptrace_verifier::{finding::Code, policy::Policy, rules, trust::Trust};

pub use self::covering::{Best, Covers};
use self::{
    behind::{Behind, is_source},
    covering::Subject,
    parties::Parties,
};

/// Where the nodes of an inventory come from: a store, or a service that is asked for them.
pub trait Source {
    /// Why a node could not be had.
    type Error;

    /// Returns a node, with the details that may be seen.
    ///
    /// # Errors
    /// Also for one that is not there.
    fn node(&self, id: &NodeId) -> Result<StoredNode, Self::Error>;
    /// Loads nodes and the marks on them that will be asked for, where asking for each would be a way to go.
    ///
    /// # Errors
    /// As [`Self::node`].
    fn prefetch(&self, ids: &[NodeId]) -> Result<(), Self::Error>;
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
    /// Returns the origin of the log.
    fn origin(&self) -> String;
    /// Returns which keys counted when, as far as that is known here.
    fn history(&self) -> KeyHistory;
}

/// What is asked of every dataset.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What has to be assessed, and what is in scope; `None` lists everything, and judges nothing.
    pub policy: Option<&'a Policy>,
    /// Whom to believe; `None` believes every committer of the log, but that it may lower a grade, and no assessor.
    pub trust: Option<&'a Trust>,
    /// The day that counts as today.
    pub today: Date,
    /// Where the data goes, if that is known.
    pub destination: Option<Country>,
    /// What it is for, beside what is recorded of it.
    pub purposes: &'a [Word],
}

/// One dataset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The node.
    pub node: StoredNode,
    /// Its effective grade under the policy, "undetermined" included; "(inherited)" follows one that only what it came from says.
    /// Without a policy, what is recorded of it.
    pub grade: String,
    /// The assessment that decides under the policy, or that holds longest without one.
    pub assessment: Option<Best>,
    /// What is missing or stands against it.
    pub gaps: Vec<Cow<'static, str>>,
}

impl Row {
    /// Tells whether the assessment that it rests on ends by a day, or has ended.
    pub fn ends_by(&self, day: Date) -> bool {
        self.assessment.as_ref().is_some_and(|best| {
            let rests = !matches!(best.covers, Covers::No(code, _) if code != Code::AssessmentExpired);
            rests && best.valid_to.is_some_and(|to| to <= day)
        })
    }
}

/// What was worked out of nodes for one question: each is looked at once, however many stand on it.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<NodeId, Behind>);

/// An inventory on its way.
#[derive(Debug)]
pub struct Inventory<'a, S> {
    source: &'a S,
    asked: &'a Asked<'a>,
    seen: &'a mut Seen,
    parties: Parties<'a>,
    outside: u64,
}

impl<'a, S: Source> Inventory<'a, S> {
    /// Begins an inventory, or goes on with one for the same question.
    pub fn new(source: &'a S, asked: &'a Asked<'a>, seen: &'a mut Seen) -> Self {
        let parties = Parties { trust: asked.trust, origin: source.origin(), history: source.history() };
        Self { source, asked, seen, parties, outside: 0 }
    }

    /// Returns how many datasets were left out because they say a modality or purpose that the policy is not about.
    pub const fn outside(&self) -> u64 {
        self.outside
    }

    /// Returns a dataset's row; `None` if it is out of scope, or superseded.
    ///
    /// # Errors
    /// What the source says.
    pub fn row(&mut self, id: &NodeId) -> Result<Option<Row>, S::Error> {
        let node = self.source.node(id)?;
        let marks = self.source.marks(id)?;
        let aside = self.parties.put_aside(&node, &marks);
        if aside == Some(Mark::Supersede) {
            return Ok(None);
        }
        let Some(policy) = self.asked.policy else { return self.unjudged(node, &marks, aside).map(Some) };
        let purposes =
            if node.core.purpose.is_empty() { Vec::new() } else { [&node.core.purpose, self.asked.purposes].concat() };
        if !policy.in_scope(&node.core.modality, &purposes) {
            self.outside = self.outside.saturating_add(1);
            return Ok(None);
        }
        let behind = self.behind(policy, *id)?;
        let subject = Subject { node: &node, behind: &behind };
        let assessment = self.deciding(policy, &subject)?;
        let mut gaps = self.gaps(&node, assessment.as_ref(), aside);
        gaps.extend(behind.remarks.iter().copied().map(Cow::from));
        if node.core.grade.as_ref().is_some_and(|grade| policy.grade_rank(grade).is_none()) {
            gaps.push("grade not in the policy".into());
        }
        if self.asking(policy, &subject).any(|rule| rule.any_of.is_empty()) {
            gaps.push("no assessment suffices for this grade".into());
        }
        let grade = rules::grade_word(policy, Some(behind.grade));
        let is_inherited = node.core.grade.is_none() && !is_source(&node.core);
        let grade = if is_inherited { format!("{grade} (inherited)") } else { grade };
        Ok(Some(Row { node, grade, assessment, gaps }))
    }

    /// Returns a row of what is recorded: no policy ranks grades or says what an assessment has to reach.
    fn unjudged(&self, node: StoredNode, marks: &[StoredNode], aside: Option<Mark>) -> Result<Row, S::Error> {
        let assessment = self.longest(&node.id)?;
        let gaps = self.gaps(&node, assessment.as_ref(), aside);
        let stated = node.core.grade.as_ref();
        let marked = marks.iter().rev().find_map(|status| status.core.grade.as_ref());
        let grade = match (stated, marked) {
            (stated, Some(marked)) if stated != Some(marked) => {
                let stated = stated.map_or("none", Word::as_str);
                format!("{stated}, reclassified {marked} (which counts, a policy tells)")
            }
            (Some(stated), _) => stated.to_string(),
            (None, _) if is_source(&node.core) => "undetermined".to_owned(),
            (None, _) => "inherited (which, a policy tells)".to_owned(),
        };
        Ok(Row { node, grade, assessment, gaps })
    }

    fn gaps(&self, node: &StoredNode, assessment: Option<&Best>, aside: Option<Mark>) -> Vec<Cow<'static, str>> {
        let core = &node.core;
        let source = is_source(core);
        let is_ended = self.parties.is_ended(node);
        let is_unknown = !is_ended && !self.parties.of(node).is_known();
        let gaps = [
            ("key ended: record it again", is_ended),
            ("recorded with a key that the trust file does not have", is_unknown),
            (aside.map_or("", marked), aside.is_some()),
            ("no grade", source && core.grade.is_none()),
            ("no country", core.country.is_none()),
            ("no modality", core.modality.is_empty()),
            ("no purpose", source && core.purpose.is_empty()),
            ("persons not examined", source && !matches!(core.persons, Some(Persons::NoneFound | Persons::Present))),
            ("licence forbids", core.use_allowed == Some(false)),
            ("licence unknown", source && core.use_allowed.is_none()),
            ("weak digest", core.strength != Some(DigestStrength::Strong)),
            ("making not recorded", !source && core.edges.is_empty()),
            ("no assessment", source && assessment.is_none()),
        ];
        let there = gaps.into_iter().filter_map(|(gap, there)| there.then_some(Cow::from(gap)));
        there.chain(assessment.and_then(|best| self.uncovered(best))).collect()
    }

    fn uncovered(&self, best: &Best) -> Option<Cow<'static, str>> {
        match &best.covers {
            Covers::No(Code::AssessmentExpired, _) => Some("assessment ended".into()),
            Covers::No(_, why) => Some(format!("assessment does not cover: {why}").into()),
            Covers::Unasked if best.valid_to.is_some_and(|to| to < self.asked.today) => Some("assessment ended".into()),
            Covers::Unasked | Covers::Yes | Covers::ByDestination => None,
        }
    }
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
