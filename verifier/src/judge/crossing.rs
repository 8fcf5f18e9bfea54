//! Step 14, second half: crossings, and every source behind them.
//!
//! Rule R7 in part: data crosses borders inside a pipeline too. Every edge whose country changes is
//! a crossing, judged at its own date and destination; a rule's `from` matches the edge's near
//! country or the country of any source behind it, so that no transit launders.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    vec::Vec,
};
use core::cell::Cell;

use griptrace_core::{
    date::Date,
    limits::CROSSING_WORK_MAX,
    node::{Kind, Role},
    word::{Country, Word},
};

use super::{
    Case, Findings, Instant,
    cover::{Cover, Miss, Need, best},
    is_source,
};
use crate::{
    dense,
    evidence::{Node, Ordinal},
    finding::{Code, Verdict, When},
    policy::Require,
    report::Strength,
};

/// Data that changes country.
#[derive(Clone, Debug)]
pub(crate) struct Crossing {
    /// What crosses: the node that may be assessed in place of the sources behind it.
    pub(crate) node: Ordinal,
    /// The step or shipment that takes it across.
    pub(crate) by: Ordinal,
    /// The near country.
    pub(crate) from: Country,
    /// The far country.
    pub(crate) to: Country,
    /// When.
    pub(crate) date: Date,
    /// The stated basis.
    pub(crate) basis: Option<Word>,
    /// Whether the basis frees it from assessment.
    pub(crate) exempt: bool,
    /// Sources behind it that a rule asks an assessment for, and how many of them have one.
    pub(crate) required: u64,
    /// See `required`.
    pub(crate) covered: u64,
}

/// What was found on one source.
#[derive(Clone, Debug)]
pub(crate) struct SourceState {
    pub(crate) verdict: Verdict,
    pub(crate) in_scope: bool,
    pub(crate) cover: Option<Cover>,
}

impl SourceState {
    /// Tells whether a crossing has judged it.
    fn is_judged(&self) -> bool {
        self.verdict != UNJUDGED || self.cover.is_some()
    }
}

/// Finds every crossing of the closure. Where a country or date is not said, that is a finding.
pub(super) fn find_crossings(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) -> Vec<Crossing> {
    let mut crossings = Vec::new();
    for ordinal in &instant.order {
        let Some(child) = case.node(*ordinal) else { continue };
        if matches!(child.core.kind, Kind::Dataset | Kind::Model | Kind::Transformation) && child.core.country.is_none()
        {
            let text = format!("the {} says no country, so whether it crossed a border is unknown", child.core.kind);
            findings.add(case.policy, Code::CountryUndeclared, instant.when, Some(child.id), text);
        }
        for (role, parent) in &child.edges {
            if let Some(crossing) = crossing_on(case, instant, *ordinal, child, *role, *parent, findings) {
                crossings.push(crossing);
            }
        }
    }
    crossings.extend(pre_check_crossing(case));
    crossings.sort_by_key(|c| (c.date, c.to, c.from, c.node, c.by));
    crossings
}

fn crossing_on(
    case: &Case<'_>,
    instant: &Instant<'_>,
    ordinal: Ordinal,
    child: &Node,
    role: Role,
    parent: Ordinal,
    findings: &mut Findings,
) -> Option<Crossing> {
    let target = case.node(parent)?;
    // What crosses is the data: what a step used or a shipment holds, or what the step left behind
    // in another country.
    let (node, by) = match role {
        Role::Used | Role::Ships => (parent, ordinal),
        Role::GeneratedBy => (ordinal, parent),
        Role::Marks | Role::Successor | Role::Erases => return None,
    };
    let (from, to) = (target.core.country?, child.core.country?);
    if from == to {
        return None;
    }
    let step = case.node(by)?;
    let Some(date) = step.core.date else {
        let text = format!("data goes from {from} to {to} on a day that is not said");
        findings.add(case.policy, Code::DateUndeclared, instant.when, Some(step.id), text);
        return None;
    };
    let exempt = exemption(case, instant, step, findings);
    Some(Crossing { node, by, from, to, date, basis: step.core.basis.clone(), exempt, required: 0, covered: 0 })
}

/// In a pre-check the buyer's destination and now stand for the shipment's.
fn pre_check_crossing(case: &Case<'_>) -> Option<Crossing> {
    let root = case.node(case.evidence.root).filter(|root| root.core.kind == Kind::Model)?;
    let (from, to) = (root.core.country?, case.destination()?);
    let (node, by, date) = (case.evidence.root, case.evidence.root, case.question.now);
    (from != to).then_some(Crossing { node, by, from, to, date, basis: None, exempt: false, required: 0, covered: 0 })
}

fn exemption(case: &Case<'_>, instant: &Instant<'_>, step: &Node, findings: &mut Findings) -> bool {
    let Some(basis) = &step.core.basis else { return false };
    let Some(rule) = case.policy.exempt.iter().find(|rule| rule.basis == *basis) else { return false };
    let may = case.has_role(step, rule.role);
    let (code, text) = if may {
        (
            Code::Exempt,
            format!("goes abroad on the stated basis {basis} ({}), which needs no assessment", rule.because.source),
        )
    } else {
        let who = case.committer_of(step).map_or("?", |c| c.name.as_str());
        (Code::ExemptUnauthorised, format!("{who} states the basis {basis} without the role for it; it does not count"))
    };
    findings.add(case.policy, code, instant.when, Some(step.id), text);
    may
}

/// Crossings that are judged alike.
type Group = (Country, Date, Country, bool);

/// Judges every source of the closure.
pub(super) fn judge_sources(
    case: &Case<'_>,
    instant: &Instant<'_>,
    crossings: &[Crossing],
    findings: &mut Findings,
) -> BTreeMap<Ordinal, SourceState> {
    let mut groups: BTreeMap<Group, BTreeSet<Ordinal>> = BTreeMap::new();
    for crossing in crossings {
        let group = (crossing.to, crossing.date, crossing.from, crossing.exempt);
        groups.entry(group).or_default().insert(crossing.node);
    }
    let ceilings = ceilings(case, instant);
    let judged = (0..case.evidence.nodes.len()).map(|ordinal| instant.judges(ordinal)).collect();
    let visits = Cell::new(0);
    let mut judging = Judging { case, instant, sources: BTreeMap::new(), ceilings, judged, visits, findings };
    let size = u64::try_from(instant.order.len()).unwrap_or(u64::MAX);
    let work = u64::try_from(groups.len()).unwrap_or(u64::MAX).saturating_mul(size);
    if work > CROSSING_WORK_MAX {
        let text = format!(
            "judging {} kinds of crossing over {size} nodes: the limit is {CROSSING_WORK_MAX} visits",
            groups.len()
        );
        judging.findings.add(case.policy, Code::LimitExceeded, When::Always, None, text);
        return judging.sources;
    }
    for ordinal in instant.order.iter().filter(|o| case.node(**o).is_some_and(is_source)) {
        judging.begin(*ordinal);
    }
    for (group, starts) in groups {
        judging.group(group, starts);
        if judging.visits.get() > CROSSING_WORK_MAX {
            let text = format!("judging assessed data that crosses: the limit is {CROSSING_WORK_MAX} visits to nodes");
            judging.findings.add(case.policy, Code::LimitExceeded, When::Always, None, text);
            return judging.sources;
        }
    }
    judging.rest();
    judging.sources
}

/// Returns, for each node, the highest grade of the sources behind it.
fn ceilings(case: &Case<'_>, instant: &Instant<'_>) -> dense::Map<usize> {
    let mut ceilings: dense::Map<usize> = dense::Map::default();
    for (ordinal, node) in instant.order.iter().filter_map(|ordinal| Some((*ordinal, case.node(*ordinal)?))) {
        let own = instant.grades.get(ordinal).copied().filter(|_| is_source(node));
        let behind = node.parents().filter_map(|parent| ceilings.get(parent)).copied().max();
        if let Some(grade) = own.max(behind) {
            ceilings.insert(ordinal, grade);
        }
    }
    ceilings
}

struct Judging<'c, 'a, 'f> {
    case: &'c Case<'a>,
    instant: &'c Instant<'a>,
    sources: BTreeMap<Ordinal, SourceState>,
    /// The highest grade of the sources behind each node.
    ceilings: dense::Map<usize>,
    /// Whether a node is judged, by ordinal.
    judged: Vec<bool>,
    /// Nodes visited so far.
    visits: Cell<u64>,
    findings: &'f mut Findings,
}

/// The marker of a source that no crossing has judged yet.
const UNJUDGED: Verdict = Verdict::TracedAssessed;

impl Judging<'_, '_, '_> {
    fn begin(&mut self, ordinal: Ordinal) {
        let Some(node) = self.case.node(ordinal) else { return };
        let purposes: Vec<Word> = self.purposes(ordinal).into_iter().collect();
        let in_scope = self.case.policy.in_scope(&node.core.modality, &purposes);
        self.sources.insert(ordinal, SourceState { verdict: UNJUDGED, in_scope, cover: None });
    }

    /// The purposes along the paths from a node, and the buyer's.
    fn purposes(&self, ordinal: Ordinal) -> BTreeSet<Word> {
        let mut purposes: BTreeSet<Word> = self.instant.purposes.of(ordinal).cloned().collect();
        purposes.extend(self.case.purposes.iter().cloned());
        purposes
    }

    /// Judges the sources behind one kind of crossing.
    fn group(&mut self, group: Group, starts: BTreeSet<Ordinal>) {
        let (to, date, from, exempt) = group;
        let starts = self.with_successors(starts);
        if exempt {
            for source in self.behind(starts.iter().copied()) {
                self.settle(source, Verdict::TracedExempt, None);
            }
            return;
        }
        let mut open: BTreeMap<Option<usize>, Vec<Ordinal>> = BTreeMap::new();
        for start in starts {
            match self.cover_whole(start, to, date) {
                Some(cover) => {
                    for source in self.behind([start].into_iter()) {
                        let verdict = if cover.strength == Strength::Signed {
                            Verdict::TracedAssessed
                        } else {
                            Verdict::TracedStated
                        };
                        self.settle(source, verdict, Some(cover.clone()));
                    }
                }
                None => open.entry(self.floor(start)).or_default().push(start),
            }
        }
        for (floor, starts) in open {
            for source in self.behind(starts.into_iter()) {
                self.source(source, Some((from, to)), date, floor);
            }
        }
    }

    /// Returns the effective grade of what crosses, if it is above every source behind it: somebody
    /// graded the data itself, and no source's grade says so.
    fn floor(&self, start: Ordinal) -> Option<usize> {
        let ceiling = self.ceilings.get(start).copied();
        self.instant.grades.get(start).copied().filter(|grade| Some(*grade) > ceiling)
    }

    /// Adds to what crosses whatever takes the place of a superseded node behind it: the worse counts.
    fn with_successors(&self, mut starts: BTreeSet<Ordinal>) -> BTreeSet<Ordinal> {
        if self.instant.marks.successors.is_empty() {
            return starts;
        }
        let mut open = self.judged.clone();
        let mut todo: Vec<Ordinal> = starts.iter().copied().collect();
        while let Some(ordinal) = todo.pop() {
            let Some(node) = self.case.node(ordinal) else { continue };
            if !open.get_mut(ordinal).is_some_and(core::mem::take) {
                continue;
            }
            todo.extend(node.parents());
            let successors = self.instant.marks.successors_of(ordinal).filter(|s| self.instant.judges(*s));
            let successors: Vec<Ordinal> = successors.collect();
            starts.extend(successors.iter().copied());
            todo.extend(successors);
        }
        starts
    }

    /// Returns the assessment that opens the very node that crosses and satisfies every rule that
    /// this crossing could meet; `None` for sources, which are judged one by one.
    fn cover_whole(&self, start: Ordinal, to: Country, date: Date) -> Option<Cover> {
        let node = self.case.node(start).filter(|node| !is_source(node))?;
        self.case.evidence.opened_by.get(&start)?;
        let purposes = self.purposes(start);
        let modality = self.modality_behind(start, node)?;
        let need =
            |rule| Need { date, destination: Some(to), purposes: &purposes, modality: &modality, floor: None, rule };
        let grade = self.instant.grades.get(start).copied();
        let mut cover = best(self.case, self.instant, start, &need(None)).ok()?;
        for rule in &self.case.policy.require {
            let reaches = rule.crossing.as_ref().is_none_or(|crossing| crossing.to.matches(to));
            let at_or_below = rule.grade.iter().any(|word| self.case.policy.grade_rank(word) <= grade);
            if reaches && at_or_below {
                cover = best(self.case, self.instant, start, &need(Some(rule))).ok()?;
            }
        }
        Some(cover)
    }

    /// The modalities of a node that crosses, and of every source behind it; `None` if one of these
    /// does not say its own.
    fn modality_behind(&self, start: Ordinal, node: &Node) -> Option<Vec<Word>> {
        let mut modality: BTreeSet<Word> = node.core.modality.iter().cloned().collect();
        for source in self.behind([start].into_iter()).into_iter().filter_map(|source| self.case.node(source)) {
            if source.core.modality.is_empty() {
                return None;
            }
            modality.extend(source.core.modality.iter().cloned());
        }
        Some(modality.into_iter().collect())
    }

    /// Returns the sources behind some nodes.
    fn behind(&self, starts: impl Iterator<Item = Ordinal>) -> Vec<Ordinal> {
        let mut open = self.judged.clone();
        let mut todo: Vec<Ordinal> = starts.collect();
        let mut sources = Vec::new();
        while let Some(ordinal) = todo.pop() {
            let Some(node) = self.case.node(ordinal) else { continue };
            if !open.get_mut(ordinal).is_some_and(core::mem::take) {
                continue;
            }
            self.visits.set(self.visits.get().saturating_add(1));
            if is_source(node) {
                sources.push(ordinal);
            }
            todo.extend(node.parents());
        }
        sources.sort_unstable();
        sources
    }

    /// Judges one source at one crossing, or where it lies if nothing crosses, at its own grade or
    /// that of what crosses if that is higher.
    fn source(&mut self, ordinal: Ordinal, crossing: Option<(Country, Country)>, date: Date, floor: Option<usize>) {
        let Some(node) = self.case.node(ordinal) else { return };
        let purposes = self.purposes(ordinal);
        let need = |rule| Need {
            date,
            destination: crossing.map(|(_, to)| to),
            purposes: &purposes,
            modality: &node.core.modality,
            floor,
            rule,
        };
        let in_scope = self.sources.get(&ordinal).is_none_or(|state| state.in_scope);
        let rules =
            self.case.policy.require.iter().filter(|rule| in_scope && self.asks(rule, ordinal, node, crossing, floor));
        let mut asked = false;
        let mut outcomes = Vec::new();
        for rule in rules {
            asked = true;
            outcomes.push((Some(rule), best(self.case, self.instant, ordinal, &need(Some(rule)))));
        }
        // Where a source lies is told only of one that no crossing has judged.
        let judged = crossing.is_none() && self.sources.get(&ordinal).is_some_and(SourceState::is_judged);
        if !asked && !judged {
            outcomes.push((None, best(self.case, self.instant, ordinal, &need(None))));
        }
        for (rule, outcome) in outcomes {
            self.take(ordinal, rule, outcome, crossing, date);
        }
    }

    /// Tells whether a rule asks for an assessment of this source here. An undetermined grade is
    /// asked for by every rule: unknown never meets one.
    fn asks(
        &self,
        rule: &Require,
        ordinal: Ordinal,
        node: &Node,
        crossing: Option<(Country, Country)>,
        floor: Option<usize>,
    ) -> bool {
        let grade = self.instant.grades.get(ordinal).copied().unwrap_or(usize::MAX).max(floor.unwrap_or(0));
        let word = self.case.policy.grades.get(grade);
        let graded = word.is_none_or(|word| rule.grade.contains(word));
        let here = match (&rule.crossing, crossing) {
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
            (Some(asked), Some((from, to))) => {
                let near = asked.from.matches(from);
                let behind = node.core.country.is_none_or(|country| asked.from.matches(country));
                asked.to.matches(to) && (near || behind)
            }
        };
        graded && here
    }

    fn take(
        &mut self,
        ordinal: Ordinal,
        rule: Option<&Require>,
        outcome: Result<Cover, Miss>,
        crossing: Option<(Country, Country)>,
        date: Date,
    ) {
        match (outcome, rule) {
            (Ok(cover), _) => {
                let verdict =
                    if cover.strength == Strength::Signed { Verdict::TracedAssessed } else { Verdict::TracedStated };
                self.settle(ordinal, verdict, Some(cover));
            }
            (Err(_), None) => self.settle(ordinal, Verdict::TracedUnassessed, None),
            (Err(miss), Some(_)) if self.findings.is_full(miss.code, self.instant.when) => {
                self.settle(ordinal, miss.code.verdict(), None);
            }
            (Err(miss), Some(rule)) => {
                let place = crossing
                    .map_or_else(|| format!("on {date}"), |(from, to)| format!("from {from} to {to} on {date}"));
                let which =
                    miss.assessment.map_or_else(|| miss.text.clone(), |id| format!("assessment {id}: {}", miss.text));
                let text = format!("{place}: {which} (asked for by {})", rule.because.source);
                let id = self.case.node(ordinal).map(|node| node.id);
                self.findings.add(self.case.policy, miss.code, self.instant.when, id, text);
                self.settle(ordinal, miss.code.verdict(), None);
            }
        }
    }

    /// Keeps the worst verdict on a source, and the cover that was told of it.
    fn settle(&mut self, ordinal: Ordinal, verdict: Verdict, cover: Option<Cover>) {
        let Some(state) = self.sources.get_mut(&ordinal) else { return };
        if verdict > state.verdict {
            state.verdict = verdict;
            state.cover.clone_from(&cover);
        }
        let lapsed = cover.as_ref().and_then(|cover| cover.end).filter(|end| *end < self.case.question.now);
        if let Some(end) = lapsed.filter(|_| self.instant.when == When::Now) {
            let id = self.case.node(ordinal).map(|node| node.id);
            let text = format!("its assessment covered the crossing and has lapsed since, on {end}");
            self.findings.add(self.case.policy, Code::LapsedSince, When::Now, id, text);
        }
        if state.cover.is_none() {
            state.cover = cover;
        }
    }

    /// Judges where they lie the sources that no crossing has behind it, and by the rules that ask
    /// wherever a source is.
    fn rest(&mut self) {
        let Some(date) = self.case.shipment().0 else { return };
        let everywhere = self.case.policy.require.iter().any(|rule| rule.crossing.is_none());
        let todo: Vec<Ordinal> = self
            .sources
            .iter()
            .filter(|(_, state)| everywhere || !state.is_judged())
            .map(|(ordinal, _)| *ordinal)
            .collect();
        for ordinal in todo {
            self.source(ordinal, None, date, None);
        }
    }
}

/// Counts, for each crossing, the sources behind it that are in scope and how many are covered.
pub(crate) fn count_sources(
    case: &Case<'_>,
    sources: &BTreeMap<Ordinal, SourceState>,
    successors: &BTreeMap<Ordinal, Vec<Ordinal>>,
    crossings: &mut [Crossing],
) {
    for crossing in crossings.iter_mut().take(COUNTED_MAX) {
        let mut seen = BTreeSet::new();
        let mut todo = Vec::from([crossing.node]);
        while let Some(ordinal) = todo.pop() {
            let Some(node) = case.node(ordinal).filter(|_| seen.insert(ordinal)) else { continue };
            todo.extend(node.parents());
            todo.extend(successors.get(&ordinal).into_iter().flatten());
            let Some(state) = sources.get(&ordinal).filter(|state| state.in_scope) else { continue };
            crossing.required = crossing.required.saturating_add(1);
            let good = state.verdict <= Verdict::TracedExempt;
            crossing.covered = crossing.covered.saturating_add(u64::from(good));
        }
    }
}

/// Crossings whose sources are counted for the report.
pub(crate) const COUNTED_MAX: usize = 200;
