//! Step 14, second half: crossings, and every source behind them.
//!
//! Rule R7 in part: data crosses borders inside a pipeline too. Every edge whose country changes is
//! a crossing, judged at its own date and destination; a rule's `from` matches the edge's near
//! country or any country on the way from a source to it, so that no transit launders.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    rc::Rc,
    sync::Arc,
    vec::Vec,
};

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
    order::{self, Follow, Walks, Work},
};
use crate::{
    dense,
    evidence::{Link, Node, Ordinal, Words},
    finding::{Code, Verdict, When},
    policy::Require,
    report::Strength,
    rules,
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
    if findings.0.contains_key(&Code::LimitExceeded) {
        return crossings;
    }
    let ends = Ends { case, instant, work: Work::default() };
    for ordinal in &instant.order {
        let Some(child) = case.node(*ordinal) else { continue };
        if matches!(child.core.kind, Kind::Dataset | Kind::Model | Kind::Transformation) && child.core.country.is_none()
        {
            let text = format!("the {} says no country, so whether it crossed a border is unknown", child.core.kind);
            findings.add(case.policy, Code::CountryUndeclared, instant.when, Some(child.id), text);
        }
        for link in &child.edges {
            ends.edge(*ordinal, *link, findings, &mut crossings);
        }
    }
    pre_check_crossings(case, &ends, &mut crossings);
    if ends.work.is_spent() {
        refuse(case, findings);
    }
    crossings.sort_by_key(|c| (c.date, c.to, c.from, c.node, c.by, c.exempt));
    crossings.dedup_by_key(|c| (c.date, c.to, c.from, c.node, c.by, c.exempt));
    crossings
}

/// What judging visits is over its limit: nothing that follows can be relied upon.
fn refuse(case: &Case<'_>, findings: &mut Findings) {
    let text = format!("judging what crosses borders: the limit is {CROSSING_WORK_MAX} visits");
    findings.add(case.policy, Code::LimitExceeded, When::Always, None, text);
}

/// The two ends of each edge, with all that takes their place: data and steps cross where their
/// successors do.
struct Ends<'c, 'a> {
    case: &'c Case<'a>,
    instant: &'c Instant<'a>,
    work: Work,
}

/// What a crossing costs that is there only by a successor: it takes that much more memory than a
/// visit.
const FURTHER_CROSSING: usize = 64;

impl Ends<'_, '_> {
    /// Returns a node and all that takes its place, one after the other.
    fn of(&self, ordinal: Ordinal) -> Vec<Ordinal> {
        let mut ends = Vec::from([ordinal]);
        if !self.instant.marks.successors.contains_key(&ordinal) {
            return ends;
        }
        let mut seen = BTreeSet::from([ordinal]);
        let mut next = 0;
        while let Some(end) = ends.get(next).copied().filter(|_| !self.work.is_spent()) {
            next = next.saturating_add(1);
            for successor in self.instant.marks.successors_of(end) {
                self.work.count(1);
                if self.instant.judges(successor) && seen.insert(successor) {
                    ends.push(successor);
                }
            }
        }
        ends
    }

    /// Adds the crossings of one edge. What crosses is the data: what a step used or a shipment
    /// holds, or what the step left behind in another country.
    fn edge(&self, ordinal: Ordinal, link: Link, findings: &mut Findings, crossings: &mut Vec<Crossing>) {
        if !(link.is(Role::Used) || link.is(Role::Ships) || link.is(Role::GeneratedBy)) {
            return;
        }
        let parent = link.to();
        let replaced = |ordinal| self.instant.marks.successors.contains_key(&ordinal);
        if !replaced(parent) && !replaced(ordinal) {
            let (node, by) = if link.is(Role::GeneratedBy) { (ordinal, parent) } else { (parent, ordinal) };
            let crossing = if self.work.is_spent() { None } else { self.crossing(parent, ordinal, node, by, findings) };
            crossings.extend(crossing);
            return;
        }
        let far = if link.is(Role::Used) { self.of(ordinal) } else { Vec::from([ordinal]) };
        for near in self.of(parent) {
            for far in &far {
                let own = near == parent && *far == ordinal;
                self.work.count(usize::from(!own));
                if self.work.is_spent() {
                    return;
                }
                let (node, by) = if link.is(Role::GeneratedBy) { (*far, near) } else { (near, *far) };
                if let Some(crossing) = self.crossing(near, *far, node, by, findings) {
                    self.work.count(if own { 0 } else { FURTHER_CROSSING });
                    crossings.push(crossing);
                }
            }
        }
    }

    fn crossing(
        &self,
        near: Ordinal,
        far: Ordinal,
        node: Ordinal,
        by: Ordinal,
        findings: &mut Findings,
    ) -> Option<Crossing> {
        let (case, instant) = (self.case, self.instant);
        let (from, to) = (case.node(near)?.core.country?, case.node(far)?.core.country?);
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
        Some(Crossing {
            node,
            by,
            from,
            to,
            date,
            basis: step.core.words.basis.clone(),
            exempt,
            required: 0,
            covered: 0,
        })
    }
}

/// In a pre-check the buyer's destination and now stand for the shipment's.
fn pre_check_crossings(case: &Case<'_>, ends: &Ends<'_, '_>, crossings: &mut Vec<Crossing>) {
    let (root, date) = (case.evidence.root, case.question.now);
    let Some(to) = case.destination().filter(|_| case.node(root).is_some_and(|node| node.core.kind == Kind::Model))
    else {
        return;
    };
    for node in ends.of(root) {
        if let Some(from) = case.node(node).and_then(|node| node.core.country).filter(|from| *from != to) {
            let by = root;
            crossings.push(Crossing { node, by, from, to, date, basis: None, exempt: false, required: 0, covered: 0 });
        }
    }
}

fn exemption(case: &Case<'_>, instant: &Instant<'_>, step: &Node, findings: &mut Findings) -> bool {
    let Some(basis) = &step.core.words.basis else { return false };
    let Some(rule) = case.policy.exempt.iter().find(|rule| rule.basis == *basis) else { return false };
    let may = case.has_role(step, rule.role);
    let (code, text) = if may {
        (
            Code::Exempt,
            format!("goes abroad on the stated basis {basis} ({}), which needs no assessment", rule.because.source),
        )
    } else {
        let who = case.who(step);
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
    if findings.0.contains_key(&Code::LimitExceeded) {
        return BTreeMap::new();
    }
    let mut groups: BTreeMap<Group, BTreeSet<Ordinal>> = BTreeMap::new();
    for crossing in crossings {
        let group = (crossing.to, crossing.date, crossing.from, crossing.exempt);
        groups.entry(group).or_default().insert(crossing.node);
    }
    let ceilings = order::ceilings(case, instant);
    let walks = Walks::new(case, instant);
    let mut judging =
        Judging { case, instant, sources: BTreeMap::new(), ceilings, walks, findings, last: None, scope: None };
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
        judging.group(group, &starts);
        if judging.walks.work.is_spent() {
            break;
        }
    }
    judging.rest();
    if judging.walks.work.is_spent() {
        refuse(case, judging.findings);
    }
    judging.sources
}

struct Judging<'c, 'a, 'f> {
    case: &'c Case<'a>,
    instant: &'c Instant<'a>,
    sources: BTreeMap<Ordinal, SourceState>,
    /// The highest grade of the sources behind each node.
    ceilings: dense::Map<usize>,
    walks: Walks<'c, 'a>,
    findings: &'f mut Findings,
    /// The last purposes that were asked for.
    last: Option<(order::Bits, Rc<BTreeSet<Word>>)>,
    /// The last source that was looked for in the scope.
    scope: Option<Scope<'a>>,
}

/// Whether words and purposes are in the policy's scope.
struct Scope<'a> {
    words: &'a Arc<Words>,
    purposes: Rc<BTreeSet<Word>>,
    is_in: bool,
}

/// What lies behind what crosses.
#[derive(Debug, Default)]
struct Behind {
    sources: Vec<Ordinal>,
    /// The highest grade that somebody gave to data on the way from a source.
    floors: BTreeMap<Ordinal, usize>,
    /// The sources whose way led through a country that a rule is for, by the rule's place.
    through: BTreeMap<usize, BTreeSet<Ordinal>>,
}

/// The marker of a source that no crossing has judged yet.
const UNJUDGED: Verdict = Verdict::TracedAssessed;

impl Judging<'_, '_, '_> {
    fn begin(&mut self, ordinal: Ordinal) {
        let Some(node) = self.case.node(ordinal) else { return };
        let purposes = self.purposes_of(ordinal);
        let same =
            |scope: &&Scope<'_>| Arc::ptr_eq(scope.words, &node.core.words) && Rc::ptr_eq(&scope.purposes, &purposes);
        let in_scope = self.scope.as_ref().filter(same).map_or_else(
            || {
                let purposes: Vec<Word> = purposes.iter().cloned().collect();
                self.case.policy.in_scope(&node.core.words.modality, &purposes)
            },
            |scope| scope.is_in,
        );
        self.scope = Some(Scope { words: &node.core.words, purposes, is_in: in_scope });
        self.sources.insert(ordinal, SourceState { verdict: UNJUDGED, in_scope, cover: None });
    }

    /// The purposes along the paths from one node, and the buyer's. Mostly they are those of the node before.
    fn purposes_of(&mut self, ordinal: Ordinal) -> Rc<BTreeSet<Word>> {
        let bits = self.instant.purposes.bits(ordinal);
        if let Some((_, purposes)) = self.last.as_ref().filter(|(last, _)| *last == bits) {
            self.walks.work.count(purposes.len());
            return Rc::clone(purposes);
        }
        let purposes = Rc::new(self.purposes([ordinal]));
        self.last = Some((bits, Rc::clone(&purposes)));
        purposes
    }

    /// The purposes along the paths from some nodes, and the buyer's.
    fn purposes(&self, ordinals: impl IntoIterator<Item = Ordinal>) -> BTreeSet<Word> {
        let mut purposes: BTreeSet<Word> = self.instant.purposes.of_all(ordinals).cloned().collect();
        purposes.extend(self.case.purposes.iter().cloned());
        self.walks.work.count(purposes.len());
        purposes
    }

    /// Judges the sources behind one kind of crossing.
    fn group(&mut self, group: Group, starts: &BTreeSet<Ordinal>) {
        let (to, date, from, exempt) = group;
        let none = BTreeSet::new();
        self.walks.begin();
        let nodes = self.walks.on(starts.iter().copied(), Follow::SuccessorsBut(&none));
        if exempt {
            for source in self.only_sources(nodes) {
                self.settle(source, Verdict::TracedExempt, None);
            }
            return;
        }
        // What takes the place of a superseded node behind a crossing crosses with it.
        let mut all = starts.clone();
        if !self.instant.marks.successors.is_empty() {
            let judged = |ordinal: &Ordinal| self.instant.judges(*ordinal);
            all.extend(nodes.iter().flat_map(|node| self.instant.marks.successors_of(*node)).filter(judged));
        }
        let above = if all.len() > starts.len() { self.floors(&nodes, &none) } else { BTreeMap::new() };
        let mut whole = BTreeSet::new();
        for start in &all {
            let floor = above.get(start).copied().filter(|_| !starts.contains(start));
            let Some((cover, sources)) = self.cover_whole(*start, to, date, floor) else { continue };
            whole.insert(*start);
            for source in sources {
                self.settle(source, verdict_of(&cover), Some(cover.clone()));
            }
        }
        let behind = self.behind(all.difference(&whole).copied(), &whole, (from, to));
        for source in &behind.sources {
            self.source(*source, Some((from, to)), date, &behind);
        }
    }

    fn only_sources(&self, nodes: impl IntoIterator<Item = Ordinal>) -> Vec<Ordinal> {
        let is_source = |ordinal: &Ordinal| self.case.node(*ordinal).is_some_and(is_source);
        let mut sources: Vec<Ordinal> = nodes.into_iter().filter(is_source).collect();
        sources.sort_unstable();
        sources
    }

    /// Finds what lies behind what crosses, but for what is assessed as a whole in another's place.
    fn behind(
        &mut self,
        starts: impl Iterator<Item = Ordinal>,
        whole: &BTreeSet<Ordinal>,
        (from, to): (Country, Country),
    ) -> Behind {
        self.walks.begin();
        let nodes = self.walks.on(starts, Follow::SuccessorsBut(whole));
        let floors = self.floors(&nodes, whole);
        let mut through = BTreeMap::new();
        for (place, rule) in self.case.policy.require.iter().enumerate() {
            let Some(asked) = rule.crossing.as_ref().filter(|asked| asked.to.matches(to) && !asked.from.matches(from))
            else {
                continue;
            };
            let is_meant = |ordinal: &Ordinal| {
                let node = self.case.node(*ordinal);
                node.is_some_and(|node| node.core.country.is_none_or(|country| asked.from.matches(country)))
            };
            let meant: Vec<Ordinal> = nodes.iter().copied().filter(is_meant).collect();
            self.walks.begin();
            let met = self.walks.on(meant, Follow::SuccessorsBut(whole));
            through.insert(place, self.only_sources(met).into_iter().collect());
        }
        Behind { sources: self.only_sources(nodes), floors, through }
    }

    /// Returns the highest grade on any way down from nodes whose grade is above every source behind
    /// them: somebody graded the data itself, and no source's grade says so.
    fn floors(&mut self, nodes: &[Ordinal], whole: &BTreeSet<Ordinal>) -> BTreeMap<Ordinal, usize> {
        let mut raised: Vec<(usize, Ordinal)> = Vec::new();
        for ordinal in nodes {
            let grade = self.instant.grades.get(*ordinal).copied();
            raised
                .extend(grade.filter(|_| grade > self.ceilings.get(*ordinal).copied()).map(|grade| (grade, *ordinal)));
        }
        raised.sort_unstable_by(|a, b| b.cmp(a));
        self.walks.begin();
        let mut floors = BTreeMap::new();
        for (grade, ordinal) in raised {
            let below = self.walks.on([ordinal], Follow::SuccessorsBut(whole));
            floors.extend(below.into_iter().map(|below| (below, grade)));
        }
        floors
    }

    /// Returns the assessment that opens the very node that crosses and satisfies every rule that
    /// this crossing could meet, with the sources behind it; `None` for sources, which are judged
    /// one by one.
    fn cover_whole(
        &mut self,
        start: Ordinal,
        to: Country,
        date: Date,
        floor: Option<usize>,
    ) -> Option<(Cover, Vec<Ordinal>)> {
        let (case, instant) = (self.case, self.instant);
        let node = case.node(start).filter(|node| !is_source(node))?;
        case.evidence.opened_by.get(&start)?;
        self.walks.begin();
        let nodes = self.walks.on([start], Follow::Parents);
        // No source behind it, and no data that was raised on the way, may have a higher grade.
        let floor = nodes.iter().filter_map(|ordinal| instant.grades.get(*ordinal)).copied().max().max(floor);
        let sources = self.only_sources(nodes);
        let purposes = self.purposes([start].into_iter().chain(sources.iter().copied()));
        let modality = self.modality_of(node, &sources)?;
        let work = &self.walks.work;
        let need = |rule| Need {
            date,
            destination: Some(to),
            purposes: &purposes,
            modality: &modality,
            floor,
            sources: &sources,
            work,
            rule,
        };
        let mut cover = best(case, instant, start, &need(None)).ok()?;
        let mut asked = false;
        for rule in &case.policy.require {
            let reaches = rule.crossing.as_ref().is_none_or(|crossing| crossing.to.matches(to));
            let at_or_below = rule.grade.iter().any(|word| case.policy.grade_rank(word) <= floor);
            if reaches && at_or_below {
                let other = best(case, instant, start, &need(Some(rule))).ok()?;
                if !asked || other.strength < cover.strength {
                    cover = other;
                }
                asked = true;
            }
        }
        (!work.is_spent()).then_some((cover, sources))
    }

    /// The modalities of a node that crosses, and of every source behind it; `None` if one of these
    /// does not say its own.
    fn modality_of(&self, node: &Node, sources: &[Ordinal]) -> Option<Vec<Word>> {
        let mut modality: BTreeSet<&Word> = node.core.words.modality.iter().collect();
        for source in sources.iter().filter_map(|source| self.case.node(*source)) {
            if source.core.words.modality.is_empty() {
                return None;
            }
            self.walks.work.count(source.core.words.modality.len());
            modality.extend(&source.core.words.modality);
        }
        Some(modality.into_iter().cloned().collect())
    }

    /// Judges one source at one crossing, or where it lies if nothing crosses, at its own grade or
    /// that of data on the way if that is higher.
    fn source(&mut self, ordinal: Ordinal, crossing: Option<(Country, Country)>, date: Date, behind: &Behind) {
        self.walks.work.count(1);
        let Some(node) = self.case.node(ordinal).filter(|_| !self.walks.work.is_spent()) else { return };
        let purposes = self.purposes_of(ordinal);
        let floor = behind.floors.get(&ordinal).copied();
        let need = |rule| Need {
            date,
            destination: crossing.map(|(_, to)| to),
            purposes: &purposes,
            modality: &node.core.words.modality,
            floor,
            sources: &[],
            work: &self.walks.work,
            rule,
        };
        let in_scope = self.sources.get(&ordinal).is_none_or(|state| state.in_scope);
        let mut asked = false;
        let mut outcomes = Vec::new();
        for (place, rule) in self.case.policy.require.iter().enumerate() {
            let passed = behind.through.get(&place).is_some_and(|through| through.contains(&ordinal));
            if !in_scope || !self.asks(rule, ordinal, crossing, floor, passed) {
                continue;
            }
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

    /// Tells whether a rule asks for an assessment of this source here, which may have `passed` through
    /// a country that the rule is for. An undetermined grade is asked for by every rule: unknown never
    /// meets one.
    fn asks(
        &self,
        rule: &Require,
        ordinal: Ordinal,
        crossing: Option<(Country, Country)>,
        floor: Option<usize>,
        passed: bool,
    ) -> bool {
        let grade = self.instant.grades.get(ordinal).copied().unwrap_or(usize::MAX).max(floor.unwrap_or(0));
        let graded = rules::is_for_grade(self.case.policy, rule, grade);
        let here = match (&rule.crossing, crossing) {
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
            (Some(asked), Some((from, to))) => asked.to.matches(to) && (passed || asked.from.matches(from)),
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
                self.settle(ordinal, verdict_of(&cover), Some(cover));
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
                let source = &rule.because.source;
                let nothing =
                    if rule.any_of.is_empty() { ", by which no assessment of any scheme suffices" } else { "" };
                let text = format!("{place}: {which} (asked for by {source}{nothing})");
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
        let lapsed = cover.as_ref().and_then(|cover| Some((cover.end?, cover.cut)));
        let lapsed = lapsed.filter(|(end, _)| *end < self.case.question.now);
        if let Some((end, cut)) = lapsed.filter(|_| self.instant.when == When::Now) {
            let id = self.case.node(ordinal).map(|node| node.id);
            let why = cut.map_or("", crate::report::Cut::words);
            let text = format!("its assessment covered the crossing and has lapsed since, on {end}{why}");
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
        let floors = if todo.is_empty() { BTreeMap::new() } else { self.floors(&self.instant.order, &BTreeSet::new()) };
        let everything = Behind { floors, ..Behind::default() };
        for ordinal in todo {
            self.source(ordinal, None, date, &everything);
        }
    }
}

/// What a source is by its cover.
fn verdict_of(cover: &Cover) -> Verdict {
    if cover.strength == Strength::Signed { Verdict::TracedAssessed } else { Verdict::TracedStated }
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
