//! Judges the holder's own records again, without the proofs that others need.
//!
//! Nothing here is proven: whoever holds the records believes the own store. What is put together from them and how it
//! is judged is the same code that judges a bundle (steps 2 to 15 of docs/spec/verify.md), but for hash paths, map
//! proofs and signatures of commits, which are not looked at, and for what concerns the file itself ([`OF_THE_FILE`]).
//! What comes out is [`Rejudged`], which is no report of a verification and can't be taken for one.

use alloc::vec::Vec;

use griptrace_core::{
    date::Date,
    details::slot,
    id::NodeId,
    node::{Kind, Mark},
    unproven::Unproven,
};

use crate::{
    evidence::{Evidence, gather_unproven},
    finding::{Code, Finding, Severity, Verdict, When},
    judge::{Case, Findings, Judged, Worst, check_opened, check_shipment, counted_marks},
    policy::{Judge, Policy},
    question::Question,
    report::ShipmentReport,
    trust::Trust,
};

/// Codes that no judgement of own records has: they are about the file that somebody was handed, and about whose word
/// its times and statuses are.
pub const OF_THE_FILE: [Code; 5] = [
    Code::MapUnwitnessed,
    Code::TimeSelfDeclared,
    Code::ModelMismatch,
    Code::ModelPartlyChecked,
    Code::ModelNotChecked,
];

/// What own records say under one policy. **Nothing of it was proven**: for the holder of the records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejudged {
    /// The verdict, by the times that the policy judges.
    pub verdict: Verdict,
    /// Whether no finding that counts has the severity error.
    pub policy_met: bool,
    /// On the day of the shipment.
    pub at_shipment: RejudgedAt,
    /// Now.
    pub now: RejudgedAt,
    /// The shipment; `None` for a model.
    pub shipment: Option<ShipmentReport>,
    /// The sources, by id.
    pub sources: Vec<RejudgedSource>,
    /// The marks that count now, on what is judged, by node.
    pub marks: Vec<CountedMark>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// Nodes that were judged.
    pub nodes: u64,
}

/// The judgement at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RejudgedAt {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether no finding at this time has the severity error.
    pub met: bool,
}

/// One source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejudgedSource {
    /// The Dataset node.
    pub id: NodeId,
    /// The Assessment that covers it best, now.
    pub assessment: Option<NodeId>,
    /// The verdict on the day of the shipment.
    pub at_shipment: Verdict,
    /// The verdict now.
    pub now: Verdict,
}

/// A mark that counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CountedMark {
    /// What it marks.
    pub node: NodeId,
    /// The kind of that.
    pub kind: Kind,
    /// What it says.
    pub mark: Mark,
    /// The Status node; `None` for an assessor's withdrawal out of the trust file.
    pub status: Option<NodeId>,
    /// The day that it states.
    pub date: Option<Date>,
    /// Whether it counted on the day of the shipment.
    pub at_shipment: bool,
}

/// Tells whether judging under these policies looks at a detail: others need not stand in the records.
pub fn looks_at(policies: &[&Policy], kind: Kind, number: u8) -> bool {
    let asked = |policy: &&Policy| policy.disclose.iter().any(|rule| rule.kind == kind && rule.slots.contains(&number));
    let always: &[&str] = match kind {
        Kind::Dataset => &["name", "content", "streams"],
        Kind::Shipment => &["consignee"],
        Kind::Transformation | Kind::Model | Kind::Assessment | Kind::Status | Kind::Erasure => &[],
    };
    always.iter().any(|name| slot(kind, name) == Some(number)) || policies.iter().any(asked)
}

/// Judges own records under several policies, each with its question: they are put together once.
///
/// The results stand in the order of `asked`. Where the records do not hold together, each has the one finding that
/// says why, as a report would.
pub fn rejudge(records: &Unproven<impl AsRef<[u8]>>, trust: &Trust, asked: &[(&Policy, &Question)]) -> Vec<Rejudged> {
    let evidence = match gather_unproven(records, trust) {
        Ok(evidence) => evidence,
        Err(finding) => return asked.iter().map(|_| Rejudged::broken(finding.clone())).collect(),
    };
    let Some(((policy, question), rest)) = asked.split_first() else { return Vec::new() };
    let mut findings = Findings::default();
    let first = Case::new(&evidence, trust, policy, question, &mut findings);
    // What was found so far, a policy can neither weigh nor change: whose the signatures are.
    let others: Vec<_> =
        rest.iter().map(|(policy, question)| (first.again(policy, question), findings.clone())).collect();
    let all = [(first, findings)].into_iter().chain(others);
    all.map(|(case, findings)| judge(&evidence, &case, findings)).collect()
}

fn judge(evidence: &Evidence, case: &Case<'_>, mut findings: Findings) -> Rejudged {
    // Steps 11 to 14.
    let mut shipped = case.judge(When::AtShipment, None, &mut findings);
    // Both times share what flows along the same order, so that marks are read before it moves on.
    let then = counted_marks(case, &shipped.instant);
    let now = case.judge(When::Now, Some(&mut shipped), &mut findings);
    let marks = counted_marks(case, &now.instant).into_iter().map(|mark| {
        let before = then.iter().any(|old| (old.node, old.mark, old.status) == (mark.node, mark.mark, mark.status));
        CountedMark { at_shipment: before, ..mark }
    });
    let marks = marks.collect();
    // Step 15, without a file in hand.
    let shipment = evidence.node(evidence.root).and_then(|root| {
        check_opened(case, root, &mut findings);
        check_shipment(case, root, &mut findings)
    });
    let findings = findings.into_sorted();
    let at_shipment = RejudgedAt::of(&findings, &shipped, When::AtShipment);
    let at_now = RejudgedAt::of(&findings, &now, When::Now);
    let counted: &[RejudgedAt] = match case.policy.judge {
        Judge::Both => &[at_shipment, at_now],
        Judge::Shipment => &[at_shipment],
        Judge::Now => &[at_now],
    };
    Rejudged {
        verdict: counted.iter().map(|at| at.verdict).max().unwrap_or(Verdict::Broken),
        policy_met: counted.iter().all(|at| at.met),
        at_shipment,
        now: at_now,
        shipment,
        sources: sources(case, (&shipped, &now), &Worst::of(&findings)),
        marks,
        findings,
        nodes: u64::try_from(evidence.nodes.len()).unwrap_or(u64::MAX),
    }
}

impl RejudgedAt {
    fn of(findings: &[Finding], judged: &Judged<'_>, when: When) -> Self {
        let here = || findings.iter().filter(|finding| finding.when == when || finding.when == When::Always);
        let sources = judged.sources.values().map(|state| state.verdict);
        let verdict = here().map(|finding| finding.code.verdict()).chain(sources).max();
        let met = here().all(|finding| finding.severity != Severity::Error);
        Self { verdict: verdict.unwrap_or(Verdict::TracedAssessed), met }
    }
}

impl Rejudged {
    fn broken(finding: Finding) -> Self {
        let at = RejudgedAt { verdict: finding.code.verdict(), met: false };
        Self {
            verdict: at.verdict,
            policy_met: false,
            at_shipment: at,
            now: at,
            shipment: None,
            sources: Vec::new(),
            marks: Vec::new(),
            findings: Vec::from([finding]),
            nodes: 0,
        }
    }
}

fn sources(case: &Case<'_>, (shipped, now): (&Judged<'_>, &Judged<'_>), worst: &Worst) -> Vec<RejudgedSource> {
    let one = |(ordinal, state): (&usize, &crate::judge::SourceState)| {
        let assessment = state.cover.as_ref().and_then(|cover| case.node(cover.assessment)).map(|node| node.id);
        let then = shipped.sources.get(ordinal).map_or(Verdict::RecordedAfterShipment, |then| then.verdict);
        let id = case.node(*ordinal)?.id;
        let (at_shipment, now) = worst.with(&id, then, state.verdict);
        Some(RejudgedSource { id, assessment, at_shipment, now })
    };
    let mut sources: Vec<RejudgedSource> = now.sources.iter().filter_map(one).collect();
    sources.sort_by_key(|source| source.id);
    sources
}
