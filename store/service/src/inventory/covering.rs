//! Which assessment of a data set reaches what is asked, by the rules that judge bundles.

use std::collections::BTreeSet;

use griptrace_core::{
    assessment::{Assessed, Destinations, Outcome, assessed},
    date::Date,
    details::{read_value, slot},
    id::NodeId,
    node::{Kind, Mark},
    value::Value,
    word::Word,
};
use griptrace_store::StoredNode;
use griptrace_verifier::{
    finding::Code,
    policy::{Policy, Require},
    report::Strength,
    rules::{self, Why},
};

use super::{
    Inventory, Source,
    behind::{Behind, is_source, parents},
};
use crate::grpc::detail;

/// What an assessment says of the question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Covers {
    /// No policy asked.
    Unasked,
    /// It reaches everything that was asked of this data set by itself.
    Yes,
    /// As [`Self::Yes`], where the data goes to one of the assessment's destinations: nobody said where it goes.
    ByDestination,
    /// It does not, and why.
    No(Code, String),
}

/// The assessment of a data set that counts most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Best {
    /// The Assessment node.
    pub id: NodeId,
    /// The scheme.
    pub scheme: String,
    /// Whether the assessor signed it.
    pub signed: bool,
    /// Who assessed; empty if that is not recorded or may not be seen.
    pub issuer: String,
    /// The last day of validity: its own, or that of the policy if that is earlier.
    pub valid_to: Option<Date>,
    /// Its own last day.
    pub own_valid_to: Option<Date>,
    /// Where the data may go.
    pub destinations: Destinations,
    /// Whether it covers.
    pub covers: Covers,
}

/// An assessment that opens the data set.
struct Candidate {
    id: NodeId,
    of: Assessed,
    issuer: String,
    /// Whose word it is.
    word: Result<Strength, Why>,
    /// A terminal mark on it.
    marked: Option<Mark>,
    /// Why its status is not known here.
    elsewhere: Option<String>,
}

impl Candidate {
    fn best(&self, rule: Option<&Require>, covers: Covers) -> Best {
        let assessment = &self.of.assessment;
        Best {
            id: self.id,
            scheme: assessment.scheme.to_string(),
            signed: self.of.signed.is_some(),
            issuer: self.issuer.clone(),
            valid_to: rules::end(assessment, rule),
            own_valid_to: assessment.valid_to,
            destinations: assessment.destinations.clone(),
            covers,
        }
    }
}

/// What is asked of a data set.
pub(super) struct Subject<'n> {
    pub(super) node: &'n StoredNode,
    pub(super) behind: &'n Behind,
}

impl<S: Source> Inventory<'_, S> {
    /// Returns the assessment that holds longest, a signed one before a stated one, where no policy asks for anything.
    pub(super) fn longest(&self, id: &NodeId) -> Result<Option<Best>, S::Error> {
        let candidates = self.candidates(id)?;
        let holds = |one: &&Candidate| one.marked.is_none() && one.of.assessment.outcome != Outcome::Refused;
        let bests = candidates.iter().filter(holds).map(|one| one.best(None, Covers::Unasked));
        Ok(bests
            .fold(None, |found: Option<Best>, new| if holds_longer(&new, found.as_ref()) { Some(new) } else { found }))
    }

    /// Returns the assessment that decides under the policy: of the rules that can ask, the one that is met worst. With an
    /// assessment that covers, the best one of it; else the one that came nearest.
    pub(super) fn deciding(&self, policy: &Policy, subject: &Subject<'_>) -> Result<Option<Best>, S::Error> {
        let candidates = self.candidates(&subject.node.id)?;
        if candidates.is_empty() {
            return Ok(None);
        }
        let mut asking: Vec<Option<&Require>> = self.asking(policy, subject).map(Some).collect();
        if asking.is_empty() {
            asking.push(None);
        }
        let mut worst: Option<Best> = None;
        for rule in asking {
            let Some(new) = self.under(policy, subject, rule, &candidates)? else { continue };
            if worst.as_ref().is_none_or(|old| is_worse(&new, old)) {
                worst = Some(new);
            }
        }
        Ok(worst)
    }

    /// Returns the rules that can ask for an assessment of a data set, wherever it goes unless that was said.
    pub(super) fn asking<'p>(&self, policy: &'p Policy, subject: &Subject<'_>) -> impl Iterator<Item = &'p Require> {
        let behind = subject.behind;
        // A grade that lies behind derived data asks too: what crosses is as high as the highest of it.
        let grade = if is_source(&subject.node.core) { behind.grade } else { behind.grade.max(behind.highest) };
        let (countries, to) = (behind.countries.clone(), self.asked.destination);
        let stays = to.is_some() && to == subject.node.core.country;
        policy.require.iter().filter(move |rule| {
            let crosses = rule.crossing.as_ref().is_none_or(|crossing| {
                let from =
                    countries.as_ref().is_none_or(|all| all.iter().any(|country| crossing.from.matches(*country)));
                from && !stays && to.is_none_or(|to| crossing.to.matches(to))
            });
            crosses && rules::is_for_grade(policy, rule, grade)
        })
    }

    fn under(
        &self,
        policy: &Policy,
        subject: &Subject<'_>,
        rule: Option<&Require>,
        candidates: &[Candidate],
    ) -> Result<Option<Best>, S::Error> {
        let mut found: Option<Best> = None;
        let mut nearest: Option<Best> = None;
        for candidate in candidates {
            let covers = self.covers(policy, subject, rule, candidate)?;
            let new = candidate.best(rule, covers);
            match &new.covers {
                Covers::No(code, _) => {
                    let nearer = |old: &Best| matches!(&old.covers, Covers::No(other, _) if rules::nearness(*code) > rules::nearness(*other));
                    if nearest.as_ref().is_none_or(nearer) {
                        nearest = Some(new);
                    }
                }
                Covers::Unasked | Covers::Yes | Covers::ByDestination => {
                    if holds_longer(&new, found.as_ref()) {
                        found = Some(new);
                    }
                }
            }
        }
        Ok(found.or(nearest))
    }

    fn covers(
        &self,
        policy: &Policy,
        subject: &Subject<'_>,
        rule: Option<&Require>,
        candidate: &Candidate,
    ) -> Result<Covers, S::Error> {
        let no = |(code, text): Why| Ok(Covers::No(code, text));
        let (node, behind) = (subject.node, subject.behind);
        let strength = match &candidate.word {
            Ok(strength) => *strength,
            Err(why) => return no(why.clone()),
        };
        let of_sources = if is_source(&node.core) { None } else { Some(behind.modality.as_deref()) };
        let (mut modality, is_unknown) = (node.core.modality.clone(), of_sources == Some(None));
        modality.extend(of_sources.flatten().into_iter().flatten().cloned());
        let purposes: BTreeSet<Word> = behind.purposes.iter().chain(self.asked.purposes).cloned().collect();
        let asked = rules::Asked {
            date: self.asked.today,
            destination: self.asked.destination.filter(|to| node.core.country != Some(*to)),
            purposes: &purposes,
            modality: if is_unknown { &[] } else { &modality },
            grade: Some(if is_source(&node.core) { behind.grade } else { behind.grade.max(behind.highest) }),
            rule,
        };
        let assessment = &candidate.of.assessment;
        if let Err(why) = rules::reaches(policy, assessment, strength, &asked) {
            return no(why);
        }
        if let Some(mark) = candidate.marked {
            return no((Code::AssessmentWithdrawn, format!("it has the mark {mark}")));
        }
        if let Some(text) = &candidate.elsewhere {
            return no((Code::AssessmentStatusUnknown, text.clone()));
        }
        if let Some(why) = self.streams(candidate, node)? {
            return no(why);
        }
        let is_open = self.asked.destination.is_none() && rule.is_none_or(|rule| rule.crossing.is_some());
        let is_bound = matches!(assessment.destinations, Destinations::Only(_));
        Ok(if is_open && is_bound { Covers::ByDestination } else { Covers::Yes })
    }

    /// Tells why an assessment that names streams does not reach a data set and every source behind it.
    fn streams(&self, candidate: &Candidate, node: &StoredNode) -> Result<Option<Why>, S::Error> {
        if candidate.of.assessment.streams.is_empty() {
            return Ok(None);
        }
        let mut seen = BTreeSet::from([node.id]);
        let mut todo = vec![node.clone()];
        while let Some(at) = todo.pop() {
            if at.id == node.id || is_source(&at.core) {
                let bytes = slot(Kind::Dataset, "streams").and_then(|slot| at.record.values.get(&slot));
                let streams: Option<Value> = bytes.and_then(|bytes| read_value(bytes).ok());
                if let Err(why) = rules::reaches_streams(&candidate.of.assessment, streams.as_ref()) {
                    return Ok(Some(why));
                }
            }
            for parent in parents(&at.core) {
                if seen.insert(parent) {
                    todo.push(self.source.node(&parent)?);
                }
            }
        }
        Ok(None)
    }

    fn candidates(&self, id: &NodeId) -> Result<Vec<Candidate>, S::Error> {
        let mut found = Vec::new();
        for id in self.source.assessments_of(id)? {
            let node = self.source.node(&id)?;
            let Ok(of) = assessed(id, &node.core) else { continue };
            let marks = self.source.marks(&id)?;
            // What is superseded has a successor, which is asked itself.
            if self.parties.put_aside(&node, &marks) == Some(Mark::Supersede) {
                continue;
            }
            found.push(self.candidate(&node, of, &marks));
        }
        Ok(found)
    }

    fn candidate(&self, node: &StoredNode, of: Assessed, marks: &[StoredNode]) -> Candidate {
        let terminal = |status: &StoredNode| status.core.mark.filter(|mark| mark.is_terminal());
        let stated = || detail(Kind::Assessment, &node.record, "issuer").unwrap_or_default();
        let issuer = of.signed.as_ref().map_or_else(stated, |signed| signed.issuer.clone());
        let place = self.assessor(node, &of);
        let mut marked = marks.iter().rev().find_map(terminal);
        let mut elsewhere = None;
        if let (Some(trust), Ok(Some(place))) = (self.parties.trust, &place)
            && let Some(known) = trust.assessors.get(*place)
        {
            let signed = trust.withdrawals.iter().filter_map(|one| rules::signed_mark(trust, &one.statement));
            let mut by_file = signed.filter(|(_, mark, by)| {
                let is_same = trust.assessors.get(*by).is_some_and(|by| by.name == known.name);
                is_same && mark.key == of.status_key && mark.mark.is_terminal()
            });
            marked = marked.or_else(|| by_file.next().map(|(_, mark, _)| mark.mark));
            let other = known.status_log.as_ref().filter(|log| **log != self.parties.origin);
            elsewhere = other.map(|log| format!("its assessor's statuses are in log {log}, which is not asked here"));
        }
        let strength = |place: Option<usize>| if place.is_some() { Strength::Signed } else { Strength::Stated };
        Candidate { id: node.id, of, issuer, word: place.map(strength), marked, elsewhere }
    }

    /// Returns the place of the assessor whose word it is; `None` for the committer's.
    fn assessor(&self, node: &StoredNode, of: &Assessed) -> Result<Option<usize>, Why> {
        let untrusted = |by: String| {
            let scheme = &of.assessment.scheme;
            (Code::AssessorUntrusted, format!("signed by {by}: no assessor of the trust file for {scheme}"))
        };
        let Some(signed) = &of.signed else {
            let known = self.parties.of(node).is_known();
            return if known { Ok(None) } else { Err(untrusted("a committer who does not count".to_owned())) };
        };
        let Some(trust) = self.parties.trust else {
            let text = format!("no trust file says whether key {} is an assessor's", signed.key);
            return Err((Code::AssessorUntrusted, text));
        };
        rules::assessor(trust, of, Date::from_unix(node.time)).map_err(|why| match why {
            rules::NoAssessor::SignatureInvalid(known) => untrusted(format!("somebody else than {}", known.name)),
            rules::NoAssessor::Unknown => untrusted(format!("key {}, who says to be {:?}", signed.key, signed.issuer)),
        })
    }
}

/// Tells whether an assessment holds longer than another; a signed one before a stated one.
fn holds_longer(new: &Best, old: Option<&Best>) -> bool {
    let rank = |best: &Best| (best.signed, best.valid_to.is_none(), best.valid_to);
    old.is_none_or(|old| rank(new) > rank(old))
}

/// Tells which of two rules is met worse: by the verdict; else by the word that covers, and the earlier end.
fn is_worse(new: &Best, old: &Best) -> bool {
    let verdict = |best: &Best| match &best.covers {
        Covers::No(code, _) => Some(code.verdict()),
        Covers::Unasked | Covers::Yes | Covers::ByDestination => None,
    };
    let weakness = |best: &Best| {
        let ends = best.valid_to.map(core::cmp::Reverse);
        (verdict(best), best.covers == Covers::ByDestination, !best.signed, ends)
    };
    weakness(new) > weakness(old)
}
