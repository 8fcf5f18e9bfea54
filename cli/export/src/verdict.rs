//! A verdict as an in-toto statement: a simple verification result (SVR v0.2), or a SLSA verification summary (VSA v1).

use std::collections::BTreeMap;

use griptrace_core::digest::Digest;
use griptrace_verifier::{finding::Verdict, report::Report};
use serde_json::{Value as Json, json};

use crate::{
    lineage::Lineage,
    statement::{Subject, statement},
    text::{escaped, sha256, timestamp, urn},
};

const SVR: &str = "https://in-toto.io/attestation/svr/v0.2";
const VSA: &str = "https://slsa.dev/verification_summary/v1";
/// What our words begin with among those of others.
const PREFIX: &str = "GRIPTRACE_";

/// What was judged, by whom, under what, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What was found.
    pub report: &'a Report,
    /// The bundle's file.
    pub bundle: &'a [u8],
    /// What the bundle shows; `None` if its evidence does not hold together.
    pub lineage: Option<&'a Lineage>,
    /// The bytes of the trust file.
    pub trust: &'a [u8],
    /// The bytes of the policy file.
    pub policy: &'a [u8],
    /// Who verified: a URI.
    pub verifier: &'a str,
    /// When: Unix time in seconds.
    pub time: u64,
}

impl Judged<'_> {
    /// Makes the simple verification result. It has properties only if the policy is met.
    pub fn svr(&self) -> Json {
        let predicate = json!({
            "verifier": { "id": self.verifier, "policies": self.judged_by() },
            "timeCreated": timestamp(self.time),
            "properties": if self.report.policy_met { self.words() } else { Vec::new() },
        });
        statement(&self.subjects(), SVR, &predicate)
    }

    /// Makes the verification summary. Its levels are our words: none is a level of SLSA.
    pub fn vsa(&self) -> Json {
        let met = self.report.policy_met;
        let resource = self.lineage.map_or_else(|| self.bundle_urn(), |lineage| urn("node", lineage.root().id));
        let predicate = json!({
            "verifier": { "id": self.verifier, "version": { "griptrace": env!("CARGO_PKG_VERSION") } },
            "timeVerified": timestamp(self.time),
            "resourceUri": resource,
            "policy": {
                "uri": urn("policy", [&self.report.policy.id, &self.report.policy.version].map(|text| escaped(text)).join(":")),
                "digest": only(&sha256(self.policy)),
            },
            "inputAttestations": [
                { "uri": self.bundle_urn(), "digest": only(&sha256(self.bundle)) },
                { "uri": "urn:griptrace:trust-file", "digest": only(&sha256(self.trust)) },
            ],
            "verificationResult": if met { "PASSED" } else { "FAILED" },
            "verifiedLevels": if met { self.words() } else { vec!["FAILED".to_owned()] },
            "dependencyLevels": if met { self.sources() } else { BTreeMap::new() },
        });
        statement(&self.subjects(), VSA, &predicate)
    }

    fn bundle_urn(&self) -> String {
        urn("bundle", self.report.bundle_digest)
    }

    /// Returns the shipped files; where not all are known by a digest, the bundle itself.
    fn subjects(&self) -> Vec<Subject> {
        let files = self.lineage.and_then(shipped_files);
        files.unwrap_or_else(|| vec![Subject::by_sha256(self.bundle_urn(), &sha256(self.bundle))])
    }

    fn judged_by(&self) -> Json {
        let policy = &self.report.policy;
        json!([
            { "name": format!("policy {} {}", policy.id, policy.version), "digest": only(&sha256(self.policy)) },
            { "name": "trust file", "digest": only(&sha256(self.trust)) },
        ])
    }

    /// Returns what a met policy says of the product.
    fn words(&self) -> Vec<String> {
        vec![format!("{PREFIX}POLICY_MET"), word(self.report.verdict)]
    }

    /// Counts the sources by verdict: the worse of the two times.
    fn sources(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for source in &self.report.sources {
            let count: &mut u64 = counts.entry(word(source.at_shipment.max(source.now))).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }
}

fn word(verdict: Verdict) -> String {
    format!("{PREFIX}{verdict}")
}

fn only(sha256: &Digest) -> Json {
    json!({ "sha256": sha256.to_string() })
}

/// Returns the files of all shipped models, if each is known by a digest.
fn shipped_files(lineage: &Lineage) -> Option<Vec<Subject>> {
    let mut subjects = Vec::new();
    for model in lineage.models() {
        subjects.extend(crate::slsa::files(model)?);
    }
    (!subjects.is_empty()).then_some(subjects)
}
