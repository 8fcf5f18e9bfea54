//! Step 12: marks, and who may make them.
//!
//! Rule R4: what can worsen a verdict is a status. Withdraw, recall and refuse are terminal and
//! nothing later hides them, not even a revocation of the key that made them; an unauthorised status is
//! reported and does not count.

use alloc::{collections::BTreeMap, format, vec::Vec};

use griptrace_core::{
    assessment::AssessorMark,
    cose::{MARK_TYPE, Signed},
    id::StatusKey,
    node::{Kind, Mark, Role},
};

use super::{Case, Findings, Instant, cover::Vouched, grade::counted_reclassifications};
use crate::{
    evidence::{Node, Ordinal},
    finding::{Code, When},
    own::CountedMark,
    rules,
};

/// What the statuses of a closure say, as far as they count.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Marks {
    /// Terminal marks by node.
    pub(crate) terminal: BTreeMap<Ordinal, Mark>,
    /// What takes the place of superseded nodes.
    pub(crate) successors: BTreeMap<Ordinal, Vec<Ordinal>>,
    /// Assessors' own marks that no log has to have.
    by_trust_file: BTreeMap<Ordinal, AssessorMark>,
}

impl Marks {
    /// Returns the successors of a node, by marks that count.
    pub(super) fn successors_of(&self, ordinal: Ordinal) -> impl Iterator<Item = Ordinal> + '_ {
        self.successors.get(&ordinal).into_iter().flatten().copied()
    }
}

/// Reads the marks that count. Reclassifications are read with the grades (step 13).
pub(super) fn read_marks(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) -> Marks {
    let mut marks = Marks::default();
    for (ordinal, statuses) in &instant.closure.statuses {
        let Some(target) = case.node(*ordinal) else { continue };
        for (by_status, status) in statuses.iter().filter_map(|s| Some((*s, case.node(*s)?))) {
            let Some(mark) = status.core.mark.filter(|mark| *mark != Mark::Reclassify) else { continue };
            if !may_mark(case, *ordinal, target, by_status, status) {
                let who = case.who(status);
                let text = format!("{who} may not {mark} this {}; the status does not count", target.core.kind);
                findings.add(case.policy, Code::StatusUnauthorised, instant.when, Some(status.id), text);
            } else if mark.is_terminal() {
                marks.terminal.entry(*ordinal).or_insert(mark);
            } else {
                marks.successors.entry(*ordinal).or_default().extend(status.to(Role::Successor));
            }
        }
    }
    withdraw_by_assessor(case, instant, &mut marks);
    marks
}

/// Reports the marks that count, on what is judged: not on what only a mark that does not count
/// brings into the closure.
pub(super) fn report_marks(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) {
    for (ordinal, successors) in &instant.marks.successors {
        let Some(target) = case.node(*ordinal).filter(|_| instant.judges(*ordinal)) else { continue };
        for successor in successors.iter().filter_map(|s| case.node(*s)) {
            let text = format!("the {} is superseded by {}; both count", target.core.kind, successor.id);
            findings.add(case.policy, Code::Superseded, instant.when, Some(target.id), text);
        }
    }
    report_terminal(case, instant, findings);
}

/// Reports terminal marks. Those on assessments are reported by what they leave uncovered.
fn report_terminal(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) {
    for (ordinal, mark) in instant.marks.terminal.iter().filter(|(ordinal, _)| instant.judges(**ordinal)) {
        let Some(target) = case.node(*ordinal).filter(|node| node.core.kind != Kind::Assessment) else { continue };
        let code = match mark {
            Mark::Recall => Code::Recalled,
            Mark::Refuse => Code::Refused,
            Mark::Withdraw | Mark::Supersede | Mark::Reclassify => Code::Withdrawn,
        };
        let revoked =
            if is_of_revoked(case, instant, *ordinal, *mark) { ", by a key that was revoked afterwards" } else { "" };
        let text = format!("the {} has the mark {mark}{revoked}", target.core.kind);
        findings.add(case.policy, code, instant.when, Some(target.id), text);
    }
}

/// Tells whether a terminal mark is there only by keys that were revoked after they made it.
fn is_of_revoked(case: &Case<'_>, instant: &Instant<'_>, ordinal: Ordinal, mark: Mark) -> bool {
    let statuses = instant.closure.statuses.get(&ordinal).into_iter().flatten().filter_map(|s| case.node(*s));
    let mut of_mark = statuses.filter(|status| status.core.mark == Some(mark)).peekable();
    of_mark.peek().is_some() && of_mark.all(|status| case.committer_of(status).is_none())
}

/// Returns the marks that count on what is judged, by node: for who asks which of them changed a verdict.
pub(crate) fn counted_marks(case: &Case<'_>, instant: &Instant<'_>) -> Vec<CountedMark> {
    let mut counted = Vec::new();
    for (ordinal, statuses) in &instant.closure.statuses {
        let Some(target) = case.node(*ordinal).filter(|_| instant.judges(*ordinal)) else { continue };
        let regraded = counted_reclassifications(case, instant, *ordinal);
        for (by_status, status) in statuses.iter().filter_map(|s| Some((*s, case.node(*s)?))) {
            let Some(mark) = status.core.mark else { continue };
            let is_grade = mark == Mark::Reclassify;
            if regraded.contains(&by_status) || (!is_grade && may_mark(case, *ordinal, target, by_status, status)) {
                let (status, date) = (Some(status.id), status.core.date);
                let (node, kind) = (target.id, target.core.kind);
                counted.push(CountedMark { node, kind, mark, status, date, at_shipment: false });
            }
        }
    }
    for (ordinal, mark) in instant.marks.by_trust_file.iter().filter(|(ordinal, _)| instant.judges(**ordinal)) {
        let Some(target) = case.node(*ordinal) else { continue };
        let (node, kind, date) = (target.id, target.core.kind, Some(mark.date));
        counted.push(CountedMark { node, kind, mark: mark.mark, status: None, date, at_shipment: false });
    }
    counted.sort_unstable();
    counted
}

/// Tells whether a status counts: by the party that recorded its target, by an assessor on its own
/// assessment, or by a party that the trust file also has as an assessor, refusing.
///
/// A mark counts by whose key it was when it was recorded: a later revocation, which whoever made the mark may bring
/// about, does not take it back.
fn may_mark(case: &Case<'_>, ordinal: Ordinal, target: &Node, by_status: Ordinal, status: &Node) -> bool {
    let by = case.recorder_of(status).map(|c| c.name.as_str());
    let own = by.is_some() && by == case.recorder_of(target).map(|c| c.name.as_str());
    let assessor = match case.words.get(&ordinal) {
        Some(Vouched::Assessor(place)) => case.trust.assessors.get(*place),
        Some(Vouched::Stated | Vouched::Untrusted(_)) | None => None,
    };
    let by_assessor =
        assessor.is_some_and(|a| Some(a.name.as_str()) == by || signed_by(case, by_status, target, status, &a.name));
    let refuses =
        status.core.mark == Some(Mark::Refuse) && case.trust.assessors.iter().any(|a| Some(a.name.as_str()) == by);
    own || by_assessor || refuses
}

/// Tells whether a status carries the assessor's own signed mark, saying the same as the status.
fn signed_by(case: &Case<'_>, ordinal: Ordinal, target: &Node, status: &Node, assessor: &str) -> bool {
    let Some((mark, place)) = case.signed_marks.get(&ordinal) else { return false };
    let key = target.assessed().map(|assessed| assessed.status_key);
    case.trust.assessors.get(*place).is_some_and(|known| known.name == assessor)
        && Some(mark.key) == key
        && Some(mark.mark) == status.core.mark
        && Some(mark.date) == status.core.date
}

/// Reads each status's own signed mark once: the mark, and whose it is in the trust file. One that
/// was made for another log is none.
pub(super) fn read_signed_marks(case: &Case<'_>) -> BTreeMap<Ordinal, (AssessorMark, usize)> {
    let mut marks = BTreeMap::new();
    for (ordinal, node) in case.evidence.nodes.iter().enumerate() {
        let read = node.statement().and_then(|bytes| rules::signed_mark(case.trust, bytes));
        if let Some((home, mark, place)) = read
            && case.log_of(node).is_some_and(|log| log.home == home)
        {
            marks.insert(ordinal, (mark, place));
        }
    }
    marks
}

/// Notes the withdrawals that updates brought and that do not count: they are nobody's of the trust file, or none.
pub(crate) fn note_unknown_withdrawals(case: &Case<'_>, findings: &mut Findings) {
    for statement in &case.question.known.withdrawals {
        let read = rules::signed_mark(case.trust, statement);
        let why = match read {
            Some((_, mark, _)) if mark.mark.is_terminal() => continue,
            Some((_, mark, _)) => format!("is the mark {}, which withdraws nothing", mark.mark),
            None => match Signed::parse(statement, MARK_TYPE) {
                Ok(signed) => format!("is by no assessor of the trust file; it names key {}", signed.key),
                Err(error) => format!("can't be read: {error}"),
            },
        };
        let text = format!("a withdrawal that an update brings {why}");
        findings.add(case.policy, Code::WithdrawalUnknown, When::Now, None, text);
    }
}

/// An assessor's signed withdrawal also counts from the trust file or an update, should a log refuse it.
fn withdraw_by_assessor(case: &Case<'_>, instant: &Instant<'_>, marks: &mut Marks) {
    let shipped = case.shipment().0;
    let by_name: BTreeMap<(StatusKey, &str), AssessorMark> = case
        .trust
        .withdrawals
        .iter()
        .map(|withdrawal| &withdrawal.statement)
        .chain(&case.question.known.withdrawals)
        .filter_map(|statement| rules::signed_mark(case.trust, statement))
        .filter(|(_, mark, _)| mark.mark.is_terminal())
        .filter(|(_, mark, _)| instant.when == When::Now || shipped.is_none_or(|day| mark.date <= day))
        .filter_map(|(_, mark, place)| Some(((mark.key, case.trust.assessors.get(place)?.name.as_str()), mark)))
        .collect();
    for (ordinal, word) in &case.words {
        let Vouched::Assessor(place) = word else { continue };
        let key = case.node(*ordinal).and_then(Node::assessed).map(|a| a.status_key);
        let name = case.trust.assessors.get(*place).map(|a| a.name.as_str());
        if let (Some(key), Some(name)) = (key, name)
            && let Some(mark) = by_name.get(&(key, name))
        {
            marks.terminal.entry(*ordinal).or_insert(mark.mark);
            marks.by_trust_file.insert(*ordinal, mark.clone());
        }
    }
}
