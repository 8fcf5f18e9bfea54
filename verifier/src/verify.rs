//! The numbered procedure of docs/spec/verify.md, from the bytes of a bundle to a report.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use griptrace_core::{
    bundle::{BundleError, BundleView, bundle_digest},
    details::slot_name,
    digest::Digest,
    id::KeyId,
};

use crate::{
    evidence::{Anchor, Ordinal, broken, gather, unreadable},
    finding::{Code, Finding, Severity, Verdict, When},
    graph::{Graph, graph},
    judge::{
        Answer, Case, Findings, Judged, Worst, answer, count_sources, grade_word, is_hidden, note_unknown_withdrawals,
    },
    known::Known,
    policy::{Judge, Policy},
    question::Question,
    report::{
        AssessmentReport, CrossingReport, DetailReport, Judgement, KeyReport, LogReport, ModelReport, PartyReport,
        PolicyName, Report, SourceReport, Strength, TimeFrom,
    },
    trust::Trust,
};

/// Checks a bundle under a trust file and a policy, and answers the buyer's question.
///
/// # Errors
/// [`BundleError::NotABundle`] or [`BundleError::Version`] if the bytes do not begin like a bundle
/// that this program knows: nothing was checked then. Whatever else is wrong is in the report.
pub fn verify(file: &[u8], trust: &Trust, policy: &Policy, question: &Question) -> Result<Report, BundleError> {
    verify_and(file, (trust, policy, question), |_| ()).map(|(report, ())| report)
}

/// Does what [`verify`] does, and returns besides what it checked as a graph of at most `nodes_max` nodes: those that
/// are nearest to the root. The graph of evidence that does not hold together is empty.
///
/// # Errors
/// As [`verify`].
pub fn verify_with_graph(
    file: &[u8],
    trust: &Trust,
    policy: &Policy,
    question: &Question,
    nodes_max: usize,
) -> Result<(Report, Graph), BundleError> {
    verify_and(file, (trust, policy, question), |case| graph(case, nodes_max))
}

/// The procedure, and a view of what was checked if it holds together.
fn verify_and<V: Default>(
    file: &[u8],
    (trust, policy, question): (&Trust, &Policy, &Question),
    view: impl FnOnce(&Case<'_>) -> V,
) -> Result<(Report, V), BundleError> {
    let broken = |digest, finding| Ok((broken_report(digest, policy, question, finding), V::default()));
    let digest = bundle_digest(file);
    // Step 1.
    let bundle = match BundleView::view(file) {
        Ok(bundle) => bundle,
        Err(error @ (BundleError::NotABundle | BundleError::Version)) => return Err(error),
        Err(error) => return broken(digest, unreadable(&error)),
    };
    // Steps 2 to 10.
    let evidence = match gather(&bundle, trust, &question.known) {
        Ok(evidence) => evidence,
        Err(finding) => return broken(digest, finding),
    };
    drop(bundle);
    // Steps 11 to 15.
    let mut findings = Findings::default();
    let case = Case::new(&evidence, trust, policy, question, &mut findings);
    tell_times(&case, &mut findings);
    for (code, text) in &evidence.compared.findings {
        findings.add(policy, *code, When::Always, None, text.clone());
    }
    note_unknown_withdrawals(&case, &mut findings);
    let mut shipped = case.judge(When::AtShipment, None, &mut findings);
    let now = case.judge(When::Now, Some(&mut shipped), &mut findings);
    let answered = answer(&case, &mut findings);
    // Step 16.
    let view = view(&case);
    Ok((conclude(&case, digest, &shipped, now, answered, findings.into_sorted()), view))
}

/// Tells whether a bundle's evidence holds together under a trust file: steps 1 to 10, and no judgement. With what is
/// `known` it has to be the same history or one that only grew.
///
/// # Errors
/// The finding that ended the procedure; `bundle-malformed` also for what does not begin like a bundle.
pub fn holds_together(file: &[u8], trust: &Trust, known: &Known) -> Result<(), Finding> {
    let bundle = BundleView::view(file).map_err(|error| unreadable(&error))?;
    let evidence = gather(&bundle, trust, known)?;
    match evidence.compared.findings.first() {
        Some((code, text)) => Err(broken(*code, None, text.clone())),
        None => Ok(()),
    }
}

/// Says whose the times and the map root are.
fn tell_times(case: &Case<'_>, findings: &mut Findings) {
    for log in &case.evidence.logs {
        let Some(anchor) = log.newest() else { continue };
        let origin = &log.genesis.origin;
        if anchor.time_from == TimeFrom::Operator {
            let text =
                alloc::format!("the times of {origin} are its operator's own: the trust file asks for no witness");
            findings.add(case.policy, Code::TimeSelfDeclared, When::Always, None, text);
        }
        let judged_by = log.anchors.iter().filter(|anchor| anchor.statuses.is_some());
        if judged_by.into_iter().any(|anchor| !anchor.map_witnessed) {
            let text = alloc::format!(
                "that {origin}'s status map holds every status is its operator's claim: no quorum of trusted witnesses says that it recomputed it"
            );
            findings.add(case.policy, Code::MapUnwitnessed, When::Always, None, text);
        }
    }
}

/// Step 16: the verdict on the product is the worst of its findings and sources, at the times that
/// the policy judges; the policy is met when no finding that counts has the severity error.
fn conclude(
    case: &Case<'_>,
    bundle_digest: Digest,
    shipped: &Judged<'_>,
    now: Judged<'_>,
    answered: Option<Answer>,
    findings: Vec<Finding>,
) -> Report {
    let judged = |when: When| match (case.policy.judge, when) {
        (_, When::Always) | (Judge::Both, _) | (Judge::Shipment, When::AtShipment) | (Judge::Now, When::Now) => true,
        (Judge::Shipment, When::Now) | (Judge::Now, When::AtShipment) => false,
    };
    let at_shipment = verdict_at(&findings, shipped, When::AtShipment);
    let at_now = verdict_at(&findings, &now, When::Now);
    let counted = [(When::AtShipment, at_shipment), (When::Now, at_now)];
    let verdict =
        counted.into_iter().filter(|(when, _)| judged(*when)).map(|(_, v)| v).max().unwrap_or(Verdict::Broken);
    let policy_met = !findings.iter().any(|f| f.severity == Severity::Error && judged(f.when));
    let (shipment, model) = answered.map_or((None, no_model()), |answer| (answer.shipment, answer.model));
    let root = case.node(case.evidence.root);
    let anchor = root.and_then(|root| case.evidence.anchor_of(root));
    let mut crossings = now.crossings;
    count_sources(case, &now.sources, &now.instant.marks.successors, &mut crossings);
    Report {
        bundle_digest,
        verdict,
        policy_met,
        at_shipment: Judgement {
            verdict: at_shipment,
            time: anchor.map(|anchor| anchor.time),
            time_from: anchor.map_or(TimeFrom::Nothing, |anchor| anchor.time_from),
        },
        now: Judgement { verdict: at_now, time: Some(case.question.now.end_unix()), time_from: TimeFrom::Buyer },
        policy: policy_name(case.policy),
        logs: logs(case),
        model,
        shipment,
        sources: sources(case, shipped, (&now.sources, &now.instant.grades), &Worst::of(&findings)),
        crossings: crossings.iter().filter_map(|c| crossing_report(case, c)).collect(),
        details: details(case),
        findings,
        keys: keys(case),
        history: case.evidence.compared.grown.clone(),
        updated_with: case.question.known.updated_with.clone(),
        nodes: u64::try_from(case.evidence.nodes.len()).unwrap_or(u64::MAX),
    }
}

fn verdict_at(findings: &[Finding], judged: &Judged<'_>, when: When) -> Verdict {
    let found = findings.iter().filter(|f| f.when == when || f.when == When::Always).map(|f| f.code.verdict());
    let sources = judged.sources.values().map(|state| state.verdict);
    found.chain(sources).max().unwrap_or(Verdict::TracedAssessed)
}

fn broken_report(bundle_digest: Digest, policy: &Policy, question: &Question, finding: Finding) -> Report {
    let broken = Judgement { verdict: finding.code.verdict(), time: None, time_from: TimeFrom::Nothing };
    Report {
        bundle_digest,
        verdict: broken.verdict,
        policy_met: false,
        at_shipment: broken.clone(),
        now: broken,
        policy: policy_name(policy),
        logs: Vec::new(),
        model: no_model(),
        shipment: None,
        sources: Vec::new(),
        crossings: Vec::new(),
        details: Vec::new(),
        findings: Vec::from([finding]),
        keys: Vec::new(),
        history: Vec::new(),
        updated_with: question.known.updated_with.clone(),
        nodes: 0,
    }
}

fn no_model() -> ModelReport {
    ModelReport { nodes: Vec::new(), names: Vec::new(), digest: None, files: 0, matched: None }
}

fn policy_name(policy: &Policy) -> PolicyName {
    PolicyName { id: policy.id.clone(), version: policy.version.clone(), status: policy.status.as_str().to_string() }
}

fn logs(case: &Case<'_>) -> Vec<LogReport> {
    let name = |witness: usize| case.trust.witnesses.get(witness).map(|known| known.name.clone());
    let names = |anchor: Option<&Anchor>, maps| -> Vec<String> {
        anchor.map(|anchor| anchor.cosigned_by(maps).into_iter().filter_map(name).collect()).unwrap_or_default()
    };
    let mut parties = parties(case);
    let report = |(place, log): (usize, &crate::evidence::Log)| {
        let newest = log.newest();
        LogReport {
            origin: log.genesis.origin.clone(),
            size: newest.map_or(0, |anchor| anchor.size),
            cosigned_by: names(newest, false),
            map_by: names(newest, true),
            time: newest.map(|anchor| anchor.time),
            as_of: newest.map(|anchor| anchor.as_of),
            time_from: newest.map_or(TimeFrom::Nothing, |anchor| anchor.time_from),
            parties: parties.remove(&place).unwrap_or_default(),
        }
    };
    case.evidence.logs.iter().enumerate().map(report).collect()
}

/// Returns by log whose signatures its records stand under.
fn parties(case: &Case<'_>) -> BTreeMap<usize, Vec<PartyReport>> {
    let mut counts: BTreeMap<(usize, &str), BTreeMap<&str, u64>> = BTreeMap::new();
    for node in &case.evidence.nodes {
        let Some((log, party)) = vouching(case, node) else { continue };
        let count = counts.entry((log, party)).or_default().entry(node.core.kind.word()).or_default();
        *count = count.saturating_add(1);
    }
    let mut parties: BTreeMap<usize, Vec<PartyReport>> = BTreeMap::new();
    for ((log, name), kinds) in counts {
        let nodes = kinds.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let kinds = kinds.into_iter().map(|(kind, count)| (kind.to_string(), count)).collect();
        parties.entry(log).or_default().push(PartyReport { name: name.to_string(), nodes, kinds });
    }
    parties
}

/// Returns the place of the log that a node is in, and the name of the party that signed its commit.
fn vouching<'a>(case: &Case<'a>, node: &crate::evidence::Node) -> Option<(usize, &'a str)> {
    let commit = case.evidence.commit_of(node)?;
    Some((commit.log, case.trust.committers.get(commit.committer?)?.name.as_str()))
}

type States = BTreeMap<Ordinal, crate::judge::SourceState>;

fn sources(
    case: &Case<'_>,
    shipped: &Judged<'_>,
    (now, grades): (&States, &crate::dense::Map<usize>),
    worst: &Worst,
) -> Vec<SourceReport> {
    let mut reports: Vec<SourceReport> = now
        .iter()
        .filter_map(|(ordinal, state)| {
            let node = case.node(*ordinal)?;
            let shipped = shipped.sources.get(ordinal);
            let then = shipped.map_or(Verdict::RecordedAfterShipment, |then| then.verdict);
            let told =
                |state: &crate::judge::SourceState| state.cover.as_ref().and_then(|cover| assessment(case, cover));
            let (at_shipment, now) = worst.with(&node.id, then, state.verdict);
            Some(SourceReport {
                id: node.id,
                name: Case::name(node),
                hidden: is_hidden(node),
                modality: node.core.words.modality.clone(),
                origin: node.core.origin.map_or("", |origin| origin.word()).into(),
                held: node.core.held.map_or("", |held| held.word()).into(),
                grade: node.core.words.grade.clone(),
                effective_grade: grade_word(case, grades.get(*ordinal).copied()),
                country: node.core.country,
                in_scope: state.in_scope,
                assessment: told(state),
                assessment_at_shipment: shipped.and_then(told),
                at_shipment,
                now,
                log: vouching(case, node)
                    .and_then(|(log, _)| case.evidence.logs.get(log))
                    .map_or_else(String::new, |log| log.genesis.origin.clone()),
                party: vouching(case, node).map_or_else(String::new, |(_, party)| party.to_string()),
            })
        })
        .collect();
    reports.sort_by_key(|a| a.id);
    reports
}

fn assessment(case: &Case<'_>, cover: &crate::judge::Cover) -> Option<AssessmentReport> {
    let node = case.node(cover.assessment)?;
    let assessed = node.assessed()?;
    let trusted = match case.words.get(&cover.assessment) {
        Some(crate::judge::Vouched::Assessor(place)) => case.trust.assessors.get(*place).map(|a| a.name.clone()),
        _ => None,
    };
    let stated = || Case::detail(node, "issuer").and_then(|v| v.as_text()).map(ToString::to_string);
    Some(AssessmentReport {
        id: node.id,
        strength: cover.strength,
        scheme: assessed.assessment.scheme.clone(),
        issuer: if cover.strength == Strength::Signed { trusted } else { stated() },
        valid_from: assessed.assessment.valid_from,
        valid_to: cover.end,
        stated_to: assessed.assessment.valid_to,
        cut: cover.cut,
        subject: case.node(cover.subject)?.id,
    })
}

fn crossing_report(case: &Case<'_>, crossing: &crate::judge::Crossing) -> Option<CrossingReport> {
    let node = case.node(crossing.node)?;
    let by = case.node(crossing.by)?;
    Some(CrossingReport {
        node: node.id,
        name: Case::name(node),
        by: by.id,
        from: Some(crossing.from),
        to: Some(crossing.to),
        date: Some(crossing.date),
        basis: crossing.basis.clone(),
        required: crossing.required,
        covered: crossing.covered,
        party: vouching(case, by).map_or_else(String::new, |(_, party)| party.to_string()),
    })
}

fn details(case: &Case<'_>) -> Vec<DetailReport> {
    let of = |node: &crate::evidence::Node| -> Vec<DetailReport> {
        let name =
            |slot: u8| slot_name(node.core.kind, slot).map_or_else(|| alloc::format!("{slot}"), ToString::to_string);
        node.details()
            .map(|(slot, value)| DetailReport { node: node.id, name: name(slot), value: alloc::format!("{value}") })
            .collect()
    };
    case.evidence.nodes.iter().flat_map(of).collect()
}

/// Lists the keys that the verdict rests on.
fn keys(case: &Case<'_>) -> Vec<KeyReport> {
    let mut keys = Vec::new();
    let mut add = |party: &str, role: &str, key: KeyId| {
        let report = KeyReport { party: party.into(), role: role.into(), key };
        if !keys.contains(&report) {
            keys.push(report);
        }
    };
    for log in &case.evidence.logs {
        for anchor in &log.anchors {
            if let Some(key) = log.keys.history.log_key(anchor.size) {
                add(&log.genesis.origin, "log", key.id());
            }
        }
        for one in log.anchors.iter().flat_map(|anchor| &anchor.cosignatures) {
            let Some(witness) = case.trust.witnesses.get(one.witness) else { continue };
            if let Some(key) = witness.keys.get(one.key) {
                add(&witness.name, "witness", key.key_hash());
            }
        }
    }
    for commit in &case.evidence.commits {
        if let Some(known) = commit.committer.and_then(|place| case.trust.committers.get(place)) {
            add(&known.name, "committer", commit.key);
        }
    }
    for word in case.words.values() {
        if let crate::judge::Vouched::Assessor(place) = word
            && let Some(known) = case.trust.assessors.get(*place)
        {
            add(&known.name, "assessor", known.key.id());
        }
    }
    keys
}
