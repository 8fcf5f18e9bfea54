//! The worst that is said of single nodes: a source is no better than what is found of itself.

use alloc::collections::BTreeMap;

use griptrace_core::id::NodeId;

use crate::finding::{Finding, Verdict, When};

/// The worst finding of each node, at shipment and now.
#[derive(Debug, Default)]
pub(crate) struct Worst(BTreeMap<NodeId, [Verdict; 2]>);

impl Worst {
    /// Sorts findings by the nodes that they concern.
    pub(crate) fn of(findings: &[Finding]) -> Self {
        let mut worst = Self::default();
        for (node, finding) in findings.iter().filter_map(|finding| Some((finding.node?, finding))) {
            let [shipped, now] = worst.0.entry(node).or_insert([Verdict::TracedAssessed; 2]);
            let found = finding.code.verdict();
            if finding.when != When::Now {
                *shipped = found.max(*shipped);
            }
            if finding.when != When::AtShipment {
                *now = found.max(*now);
            }
        }
        worst
    }

    /// Returns the verdict of a node that was judged this at shipment and that now.
    pub(crate) fn with(&self, node: &NodeId, shipped: Verdict, now: Verdict) -> (Verdict, Verdict) {
        let Some([found_shipped, found_now]) = self.0.get(node) else { return (shipped, now) };
        (shipped.max(*found_shipped), now.max(*found_now))
    }
}
