//! Step 13, first half: effective grades.
//!
//! A derived or synthetic dataset, and a model, carries the highest grade of all it came from,
//! unless a reclassification by somebody trusted for it says otherwise. `undetermined` is the top.

use alloc::{format, string::String, vec::Vec};

use griptrace_core::{
    limits::PASSES_MAX,
    node::{Kind, Mark},
    word::Word,
};

use super::{Case, Findings, Instant, is_source, order};
use crate::{
    dense,
    evidence::{Node, Ordinal},
    finding::Code,
    rules,
    trust::Role as Trusted,
};

type Grades = dense::Map<usize>;

/// Returns the effective grade of every member.
pub(super) fn effective_grades(case: &Case<'_>, instant: &Instant<'_>) -> Grades {
    let mut grades = Grades::default();
    let mut settled = false;
    // Of the first pass every parent has to be known; marks can lead the other order around in circles.
    let first = if instant.marks.successors.is_empty() { None } else { Some(order::by_parents(case, instant)) };
    for pass in 0..PASSES_MAX {
        let mut next = Grades::default();
        for ordinal in first.as_ref().filter(|_| pass == 0).unwrap_or(&instant.order) {
            let rank = one(case, instant, *ordinal, &next, &grades, None);
            next.insert(*ordinal, rank);
        }
        settled = instant.marks.successors.is_empty() || next == grades;
        grades = next;
        if settled {
            break;
        }
    }
    if !settled {
        // Circles of marks that never come to rest: nothing is known then.
        grades.values_mut().for_each(|grade| *grade = case.policy.grades.len());
    }
    grades
}

/// Reports what is wrong with the grades.
pub(super) fn report_grades(case: &Case<'_>, instant: &Instant<'_>, findings: &mut Findings) {
    for ordinal in &instant.order {
        one(case, instant, *ordinal, &instant.grades, &instant.grades, Some(&mut *findings));
    }
}

/// Returns the word of a rank.
pub(crate) fn grade_word(case: &Case<'_>, rank: Option<usize>) -> String {
    rules::grade_word(case.policy, rank)
}

/// Computes one member's grade from its parents' and successors' in `above`, and in `before` where
/// they come later, and
/// reports what is wrong with it if asked to.
fn one(
    case: &Case<'_>,
    instant: &Instant<'_>,
    ordinal: Ordinal,
    above: &Grades,
    before: &Grades,
    mut findings: Option<&mut Findings>,
) -> usize {
    let Some(node) = case.node(ordinal) else { return case.policy.grades.len() };
    let known = |parent| above.get(parent).or_else(|| before.get(parent)).copied();
    let inherited = node.parents().filter_map(known).max();
    let own = own_grade(case, instant, node, findings.as_deref_mut());
    if let (Some(own), Some(inherited), Some(findings)) = (own, inherited, findings.as_deref_mut())
        && own < inherited
        && !lowered_by_record(case, instant, ordinal, own)
    {
        let text = format!(
            "states {}, came from {}, and no reclassification by somebody trusted for it says so",
            grade_word(case, Some(own)),
            grade_word(case, Some(inherited)),
        );
        findings.add(case.policy, Code::GradeLowered, instant.when, Some(node.id), text);
    }
    let undetermined = case.policy.grades.len();
    let base = before_marks(case, instant, ordinal, (own, inherited), (above, before));
    let statuses = || instant.closure.statuses.get(&ordinal).into_iter().flatten().filter_map(|s| case.node(*s));
    let regraded = statuses()
        .filter(|s| s.core.mark == Some(Mark::Reclassify))
        .fold(base, |current, status| reclassify(case, instant, node, status, current, findings.as_deref_mut()));
    if let Some(findings) = findings
        && regraded == undetermined
        && is_source(node)
        && in_scope(case, node)
    {
        let said = node.core.words.grade.as_ref().map_or("no grade", Word::as_str);
        let text =
            format!("the source says {said}; the policy's grades do not have it, or nobody trusted to grade said it");
        findings.add(case.policy, Code::GradeUndetermined, instant.when, Some(node.id), text);
    }
    regraded
}

/// Returns the grade that reclassifications begin with.
fn before_marks(
    case: &Case<'_>,
    instant: &Instant<'_>,
    ordinal: Ordinal,
    (own, inherited): (Option<usize>, Option<usize>),
    (above, before): (&Grades, &Grades),
) -> usize {
    let needs_own = case.node(ordinal).is_some_and(is_source);
    let base = rules::grade_before_marks(case.policy, needs_own, own, inherited);
    // A successor comes first in the order, but for circles, which take a pass more.
    let grade_of = |successor| above.get(successor).max(before.get(successor)).copied();
    let successor = instant.marks.successors_of(ordinal).filter_map(grade_of).max();
    base.max(successor.unwrap_or(0))
}

/// Returns the reclassifications of a node that count, in log order.
pub(super) fn counted_reclassifications(case: &Case<'_>, instant: &Instant<'_>, ordinal: Ordinal) -> Vec<Ordinal> {
    let Some(node) = case.node(ordinal) else { return Vec::new() };
    let grades = &instant.grades;
    let inherited = node.parents().filter_map(|parent| grades.get(parent)).max().copied();
    let own = own_grade(case, instant, node, None);
    let mut current = before_marks(case, instant, ordinal, (own, inherited), (grades, grades));
    let mut counted = Vec::new();
    for by_status in instant.closure.statuses.get(&ordinal).into_iter().flatten() {
        let Some(status) = case.node(*by_status).filter(|s| s.core.mark == Some(Mark::Reclassify)) else { continue };
        let new = rules::rank(case.policy, status.core.words.grade.as_ref());
        if may_reclassify(case, node, status, new >= current) {
            current = new;
            counted.push(*by_status);
        }
    }
    counted
}

/// Tells whether a reclassification counts.
fn may_reclassify(case: &Case<'_>, node: &Node, status: &Node, raises: bool) -> bool {
    let by = case.recorder_of(status).map(|c| c.name.as_str());
    let is_own = by.is_some() && by == case.recorder_of(node).map(|c| c.name.as_str());
    let reclassifier = rules::Reclassifier {
        grades_own: is_own && case.had_role(status, Trusted::Grade),
        had_regrade: case.had_role(status, Trusted::Regrade),
        has_regrade: case.has_role(status, Trusted::Regrade),
    };
    reclassifier.may(raises)
}

fn in_scope(case: &Case<'_>, node: &Node) -> bool {
    // By modality alone: purposes can only narrow, and an unknown grade is not to be narrowed away.
    case.policy.in_scope(&node.core.words.modality, &[])
}

/// Returns the grade that a node itself states, if its committer may grade.
fn own_grade(case: &Case<'_>, instant: &Instant<'_>, node: &Node, findings: Option<&mut Findings>) -> Option<usize> {
    let word = node.core.words.grade.as_ref()?;
    if !matches!(node.core.kind, Kind::Dataset | Kind::Model) {
        return None;
    }
    if case.has_role(node, Trusted::Grade) {
        return Some(rules::rank(case.policy, Some(word)));
    }
    if let Some(findings) = findings {
        let who = case.who(node);
        let text = format!("{who} states {word} without the role grade; it does not count");
        findings.add(case.policy, Code::GradeUnauthorised, instant.when, Some(node.id), text);
    }
    None
}

/// Tells whether the last reclassification that counts gives the node this grade or a lower one.
fn lowered_by_record(case: &Case<'_>, instant: &Instant<'_>, ordinal: Ordinal, own: usize) -> bool {
    let mut statuses = instant.closure.statuses.get(&ordinal).into_iter().flatten().filter_map(|s| case.node(*s));
    statuses
        .rfind(|s| s.core.mark == Some(Mark::Reclassify) && case.has_role(s, Trusted::Regrade))
        .is_some_and(|s| rules::rank(case.policy, s.core.words.grade.as_ref()) <= own)
}

/// Applies one reclassification, if it counts.
fn reclassify(
    case: &Case<'_>,
    instant: &Instant<'_>,
    node: &Node,
    status: &Node,
    current: usize,
    findings: Option<&mut Findings>,
) -> usize {
    let new = rules::rank(case.policy, status.core.words.grade.as_ref());
    if may_reclassify(case, node, status, new >= current) {
        return new;
    }
    if let Some(findings) = findings {
        let code = if new < current { Code::RegradeUnauthorised } else { Code::StatusUnauthorised };
        let text = format!(
            "{} reclassifies {} from {} to {} without the role for it; it does not count",
            case.who(status),
            node.id,
            grade_word(case, Some(current)),
            grade_word(case, Some(new)),
        );
        findings.add(case.policy, code, instant.when, Some(status.id), text);
    }
    current
}
