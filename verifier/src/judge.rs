//! Steps 11 to 15: what the evidence says, on the day of the shipment and now.

mod answer;
mod cover;
mod crossing;
mod grade;
mod mark;
mod order;
mod statement;
mod time;
mod worst;

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use griptrace_core::{
    assessment::AssessorMark,
    date::Date,
    id::NodeId,
    limits::FINDINGS_MAX,
    node::{Kind, Origin},
    value::Value,
    word::{Country, Word},
};

pub(crate) use answer::{Answer, answer, check_opened, check_shipment};
pub(crate) use cover::{Cover, Vouched};
pub(crate) use crossing::{Crossing, SourceState, count_sources};
pub(crate) use grade::grade_word;
pub(crate) use mark::{counted_marks, note_unknown_withdrawals};
pub(crate) use statement::is_hidden;
pub(crate) use worst::Worst;

use crate::{
    dense,
    evidence::{CheckedCommit, Closure, Evidence, Log, Node, Ordinal},
    finding::{Code, Finding, Severity, When},
    policy::Policy,
    question::Question,
    rules,
    trust::{Role, Trust, TrustedCommitter},
};

/// What is judged, and by what.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) trust: &'a Trust,
    pub(crate) policy: &'a Policy,
    pub(crate) question: &'a Question,
    /// What the buyer uses the model for, from the question and the trust file.
    pub(crate) purposes: Vec<Word>,
    /// Whose word each assessment is.
    pub(crate) words: BTreeMap<Ordinal, Vouched>,
    /// Marks that statuses carry signed by an assessor of the trust file, and whose.
    pub(crate) signed_marks: BTreeMap<Ordinal, (AssessorMark, usize)>,
    /// The roles that the recorder of each commit has for its log, when it was first covered.
    roles: Vec<Roles>,
}

/// A set of roles, one bit each.
type Roles = u8;

/// The findings so far, by code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(BTreeMap<Code, Listed>);

/// Findings of one code, by node and text, with the time that they hold at.
#[derive(Clone, Debug, Default)]
struct Listed {
    found: BTreeMap<(Option<NodeId>, String), When>,
    /// Findings at the shipment, now and always, those that are not listed included.
    at: [usize; 3],
    severity: Option<Severity>,
}

impl Findings {
    /// Adds a finding, at the policy's severity. The same one at both times becomes one. Of a code
    /// and time that fill their list no more are kept: they could change neither verdict nor answer.
    pub(crate) fn add(&mut self, policy: &Policy, code: Code, when: When, node: Option<NodeId>, text: String) {
        let listed = self.0.entry(code).or_default();
        listed.severity = Some(policy.severity(code));
        let key = (node, text);
        if let Some(known) = listed.found.get_mut(&key) {
            if *known != when {
                *known = When::Always;
            }
        } else if listed.count(when) < FINDINGS_MAX {
            listed.found.insert(key, when);
        }
        if let Some(count) = listed.at.get_mut(place(when)) {
            *count = count.saturating_add(1);
        }
    }

    /// Tells whether a further finding of this code and time would not be kept.
    pub(crate) fn is_full(&self, code: Code, when: When) -> bool {
        self.0.get(&code).is_some_and(|listed| listed.count(when) >= FINDINGS_MAX)
    }

    /// Returns the findings, the worst first.
    pub(crate) fn into_sorted(self) -> Vec<Finding> {
        let mut all = Vec::new();
        for (code, listed) in self.0 {
            let severity = listed.severity.unwrap_or(code.severity());
            let full = listed.at.iter().any(|count| *count >= FINDINGS_MAX);
            let start = all.len();
            all.extend(listed.found.into_iter().map(|((node, text), when)| Finding {
                code,
                severity,
                node,
                when,
                text,
            }));
            if let Some(last) = all.get_mut(start..).and_then(<[Finding]>::last_mut).filter(|_| full) {
                last.text = format!("{} (further findings of this code may not be listed)", last.text);
            }
        }
        all.sort_by(|a, b| {
            let worst = (b.severity, b.code.verdict()).cmp(&(a.severity, a.code.verdict()));
            worst.then_with(|| (a.code, a.node, a.when).cmp(&(b.code, b.node, b.when)))
        });
        all
    }
}

impl Listed {
    fn count(&self, when: When) -> usize {
        self.at.get(place(when)).copied().unwrap_or(0)
    }
}

const fn place(when: When) -> usize {
    match when {
        When::Always => 0,
        When::AtShipment => 1,
        When::Now => 2,
    }
}

/// One of the two times at which the evidence is judged.
#[derive(Debug)]
pub(crate) struct Instant<'a> {
    pub(crate) when: When,
    pub(crate) closure: &'a Closure,
    /// What is judged: the members, but for what only marks that do not count bring in. Parents and
    /// successors come first, where marks make no circle.
    pub(crate) order: Vec<Ordinal>,
    /// The same as a set.
    pub(crate) judged: dense::Set,
    pub(crate) marks: mark::Marks,
    /// Effective grade by ordinal: a rank in the policy's vocabulary, its length for undetermined.
    pub(crate) grades: dense::Map<usize>,
    /// Purposes along the paths to the root, by ordinal.
    pub(crate) purposes: order::Purposes,
}

impl Instant<'_> {
    /// Takes over what flows along the same order under the same marks.
    fn take(&mut self, before: &mut Self) {
        self.order = core::mem::take(&mut before.order);
        self.judged = core::mem::take(&mut before.judged);
        self.grades = core::mem::take(&mut before.grades);
        self.purposes = core::mem::take(&mut before.purposes);
    }

    /// Tells whether a node is judged.
    pub(crate) fn judges(&self, ordinal: Ordinal) -> bool {
        self.judged.contains(ordinal)
    }
}

/// The judgement at one time.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) sources: BTreeMap<Ordinal, SourceState>,
    pub(crate) crossings: Vec<Crossing>,
    /// What was judged.
    pub(crate) instant: Instant<'a>,
}

impl<'a> Case<'a> {
    /// Puts together what is judged.
    pub(crate) fn new(
        evidence: &'a Evidence,
        trust: &'a Trust,
        policy: &'a Policy,
        question: &'a Question,
        findings: &mut Findings,
    ) -> Self {
        let purposes = question.purposes(trust);
        let (words, signed_marks) = (BTreeMap::new(), BTreeMap::new());
        let mut case = Self { evidence, trust, policy, question, purposes, words, signed_marks, roles: Vec::new() };
        case.roles = evidence.commits.iter().map(|commit| case.roles_of(commit)).collect();
        case.words = cover::check_words(&case, findings);
        case.signed_marks = mark::read_signed_marks(&case);
        case
    }

    /// Returns the case of the same evidence and trust file under another policy and question: whose word everything is
    /// is not looked at again.
    pub(crate) fn again(&self, policy: &'a Policy, question: &'a Question) -> Self {
        Self {
            evidence: self.evidence,
            trust: self.trust,
            policy,
            question,
            purposes: question.purposes(self.trust),
            words: self.words.clone(),
            signed_marks: self.signed_marks.clone(),
            roles: self.roles.clone(),
        }
    }

    /// Judges at one time, after another if there was one: what is the same then is not worked out twice.
    pub(crate) fn judge(&self, when: When, before: Option<&mut Judged<'a>>, findings: &mut Findings) -> Judged<'a> {
        let closure = if when == When::AtShipment { self.evidence.shipped() } else { &self.evidence.newest };
        let mut instant = Instant {
            when,
            closure,
            order: Vec::new(),
            judged: dense::Set::default(),
            marks: mark::Marks::default(),
            grades: dense::Map::default(),
            purposes: order::Purposes::default(),
        };
        // Step 12.
        instant.marks = mark::read_marks(self, &instant, findings);
        // Nothing flows otherwise where the closures, with their statuses, and the marks that count are the same.
        let same = |before: &&mut Judged<'_>| {
            let one = self.evidence.is_one_closure() || *before.instant.closure == *instant.closure;
            one && before.instant.marks == instant.marks
        };
        match before.filter(same) {
            Some(before) => instant.take(&mut before.instant),
            None => self.flow(&mut instant, findings),
        }
        self.check_keys(&instant, findings);
        mark::report_marks(self, &instant, findings);
        // Step 13.
        grade::report_grades(self, &instant, findings);
        statement::check_statements(self, &instant, findings);
        // Steps 11 and 14.
        let crossings = crossing::find_crossings(self, &instant, findings);
        let sources = crossing::judge_sources(self, &instant, &crossings, findings);
        time::check_times(self, &instant, &crossings, findings);
        Judged { sources, crossings, instant }
    }

    /// Puts what is judged in order, and lets grades and purposes flow along it: closure and marks say all of that.
    fn flow(&self, instant: &mut Instant<'a>, findings: &mut Findings) {
        instant.order = order::parents_first(self.evidence, instant.closure, &instant.marks);
        for ordinal in &instant.order {
            instant.judged.insert(*ordinal);
        }
        instant.grades = grade::effective_grades(self, instant);
        instant.purposes = order::purposes_along_paths(self, instant, findings);
    }

    pub(crate) fn node(&self, ordinal: Ordinal) -> Option<&'a Node> {
        self.evidence.node(ordinal)
    }

    fn commit_of(&self, node: &Node) -> Option<&'a CheckedCommit> {
        self.evidence.commit_of(node)
    }

    /// Returns the log that a node is in.
    pub(crate) fn log_of(&self, node: &Node) -> Option<&'a Log> {
        self.evidence.logs.get(self.commit_of(node)?.log)
    }

    /// Returns the committer who recorded a node.
    pub(crate) fn committer_of(&self, node: &Node) -> Option<&'a TrustedCommitter> {
        self.trust.committers.get(self.commit_of(node)?.committer?)
    }

    /// Returns who recorded a node as the log stood then, whether or not the key was revoked since.
    pub(crate) fn recorder_of(&self, node: &Node) -> Option<&'a TrustedCommitter> {
        self.trust.committers.get(self.commit_of(node)?.recorder?)
    }

    /// Tells whether the party that recorded a node has a role for its log, by any entry of the
    /// trust file with the same party and key.
    pub(crate) fn has_role(&self, node: &Node, role: Role) -> bool {
        self.commit_of(node).is_some_and(|commit| commit.committer.is_some()) && self.had_role(node, role)
    }

    /// Tells the same of [`Self::recorder_of`] a node.
    pub(crate) fn had_role(&self, node: &Node, role: Role) -> bool {
        self.roles.get(node.commit()).is_some_and(|roles| roles & bit(role) != 0)
    }

    /// Returns the name of the party of a node, for people.
    pub(crate) fn who(&self, node: &Node) -> &'a str {
        self.committer_of(node).map_or("whoever has a key that had ended", |c| c.name.as_str())
    }

    /// Step 12: what is judged was recorded with keys that counted. Marks of others do not count, and an assessment stands on
    /// its own signature.
    fn check_keys(&self, instant: &Instant<'_>, findings: &mut Findings) {
        let own = |node: &Node| !matches!(node.core.kind, Kind::Status | Kind::Assessment);
        for ordinal in instant.closure.members.iter().filter(|ordinal| instant.judges(*ordinal)) {
            let Some(node) = self.node(ordinal).filter(|node| own(node)) else { continue };
            let Some(commit) = self.commit_of(node).filter(|commit| commit.committer.is_none()) else { continue };
            let end = self.evidence.logs.get(commit.log).and_then(|log| log.keys.history.end(&commit.key));
            let why = end.map_or_else(
                || "which follows a revoked key by the word of that alone".into(),
                |end| format!("which does not count from leaf {end} on"),
            );
            let text = format!("commit {}, which has it, is signed by key {}, {why}", commit.leaf, commit.key);
            findings.add(self.policy, Code::KeyRetired, instant.when, Some(node.id), text);
        }
    }

    fn roles_of(&self, commit: &CheckedCommit) -> Roles {
        let Some(place) = commit.recorder else { return 0 };
        let log = self.evidence.logs.get(commit.log);
        let origin = log.map(|log| log.genesis.origin.as_str());
        let anchor = log.and_then(|log| log.anchors.get(log.first_covering(commit.leaf)?));
        let day = Date::from_unix(anchor.map_or(u64::MAX, |anchor| anchor.time));
        rules::roles_of(self.trust, place, origin, day).fold(0, |roles, role| roles | bit(role))
    }

    /// Returns a disclosed detail.
    pub(crate) fn detail(node: &'a Node, name: &str) -> Option<&'a Value> {
        node.detail(griptrace_core::details::slot(node.core.kind, name)?)
    }

    /// Returns a disclosed name.
    pub(crate) fn name(node: &Node) -> Option<String> {
        let slot = griptrace_core::details::slot(node.core.kind, "name")?;
        node.detail(slot).and_then(Value::as_text).map(Into::into)
    }

    /// Returns the date and country of the shipment; of a pre-check, the buyer's now and destination.
    pub(crate) fn shipment(&self) -> (Option<Date>, Option<Country>) {
        match self.node(self.evidence.root) {
            Some(root) if root.core.kind == Kind::Shipment => (root.core.date, root.core.country),
            _ => (Some(self.question.now), self.destination()),
        }
    }

    /// Returns the destination that the buyer asks for.
    pub(crate) fn destination(&self) -> Option<Country> {
        self.question.destination(self.trust)
    }
}

const fn bit(role: Role) -> Roles {
    match role {
        Role::Commit => 1,
        Role::Grade => 1 << 1,
        Role::Ship => 1 << 2,
        Role::Regrade => 1 << 3,
        Role::Exempt => 1 << 4,
    }
}

/// Tells whether a node may end a walk (Rule R1): only a Dataset that says collected or external.
pub(crate) fn is_source(node: &Node) -> bool {
    matches!(node.core.origin, Some(Origin::Collected | Origin::External))
}
