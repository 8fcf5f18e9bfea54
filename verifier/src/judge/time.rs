//! Step 11, second half: dates against the anchors that cover them.

use alloc::{collections::BTreeSet, format};

use griptrace_core::{date::Date, node::Kind};

use super::{Case, Crossing, Findings, Instant};
use crate::{
    evidence::{Node, Ordinal},
    finding::{Code, When},
};

/// Checks that what has a date was recorded soon after it (Rule R7), that the ancestry was there
/// when the shipment was anchored, and that the newest checkpoint is new enough.
pub(super) fn check_times(case: &Case<'_>, instant: &Instant<'_>, crossings: &[Crossing], findings: &mut Findings) {
    let mut dated: BTreeSet<Ordinal> = crossings.iter().map(|crossing| crossing.by).collect();
    dated.insert(case.evidence.root);
    for node in dated.iter().filter_map(|ordinal| case.node(*ordinal)) {
        check_lag(case, instant, node, findings);
    }
    if instant.when == When::AtShipment {
        for node in case
            .evidence
            .recorded_after
            .iter()
            .filter(|o| instant.judges(**o))
            .filter_map(|ordinal| case.node(*ordinal))
        {
            let text = format!("the {} is not under the shipment's checkpoint", node.core.kind);
            findings.add(case.policy, Code::RecordedAfterShipment, instant.when, Some(node.id), text);
        }
    }
    if instant.when == When::Now {
        check_age(case, findings);
    }
}

fn check_lag(case: &Case<'_>, instant: &Instant<'_>, node: &Node, findings: &mut Findings) {
    let (Some(date), Some(anchor)) = (node.core.date, case.evidence.anchor_of(node)) else { return };
    let seen = Date::from_unix(anchor.time);
    if let Some(lag) = &case.policy.max_lag {
        let latest = lag.after(date);
        if seen > latest {
            let text = format!(
                "the {} is dated {date} and was first covered by a checkpoint on {seen}; the policy allows until {latest}",
                node.core.kind
            );
            findings.add(case.policy, Code::RecordedAfterShipment, instant.when, Some(node.id), text);
        }
    }
    if node.core.kind == Kind::Shipment && date > case.question.now {
        let text = format!("the shipment is dated {date}, and now is {}", case.question.now);
        findings.add(case.policy, Code::DateInFuture, instant.when, Some(node.id), text);
    }
    if node.core.kind == Kind::Transformation && date > seen {
        let text = format!("the step is dated {date}, after the checkpoint of {seen} that covers it");
        findings.add(case.policy, Code::DateInFuture, instant.when, Some(node.id), text);
    }
}

/// `STALE` concerns only now. A clock that is behind the evidence could never see it grow old.
fn check_age(case: &Case<'_>, findings: &mut Findings) {
    for log in &case.evidence.logs {
        let Some(anchor) = log.newest() else { continue };
        let (now, origin) = (case.question.now, &log.genesis.origin);
        let seen = Date::from_unix(anchor.time.max(anchor.as_of));
        if now < seen {
            let text = format!("now is {now}, and the newest checkpoint of {origin} is of {seen}");
            findings.add(case.policy, Code::NowBeforeEvidence, When::Now, None, text);
        }
        let Some(max_age) = &case.trust.max_age else { continue };
        let current = Date::from_unix(anchor.as_of);
        let until = max_age.after(current);
        if now > until {
            let text = format!(
                "the checkpoint of {origin} is its newest as of {current}; the trust file allows until {until}, and it is {now}"
            );
            findings.add(case.policy, Code::Stale, When::Now, None, text);
        }
    }
}
