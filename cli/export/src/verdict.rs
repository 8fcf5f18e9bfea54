//! A verdict as an in-toto statement: a simple verification result (SVR v0.2), or a SLSA verification summary (VSA v1).

use std::collections::BTreeMap;

use griptrace_core::{bundle::bundle_digest, digest::Digest, manifest::FileRecord};
use griptrace_verifier::{
    finding::Verdict,
    question::{ModelInHand, Question},
    report::Report,
    trust::Trust,
};
use serde_json::{Value as Json, json};

use crate::{
    lineage::{Lineage, file_digests},
    slsa::file_subject,
    statement::{Subject, statement},
    text::{escaped, sha256, timestamp, urn},
};

const SVR: &str = "https://in-toto.io/attestation/svr/v0.2";
const VSA: &str = "https://slsa.dev/verification_summary/v1";
/// What our words begin with among those of others.
const PREFIX: &str = "GRIPTRACE_";
/// The extension field of both predicates that says what was asked (in-toto attestation framework v1, parsing rules).
pub(crate) const QUESTION: &str = "griptrace_question";

/// What was judged, by whom, under what, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What was found.
    pub report: &'a Report,
    /// What was asked.
    pub question: &'a Question,
    /// The bundle that was judged.
    pub bundle: &'a [u8],
    /// The file that was given: the same bytes, unless updates made another bundle of it.
    pub given: &'a [u8],
    /// The files of the updates, in order.
    pub updates: &'a [Vec<u8>],
    /// What the bundle shows; `None` if its evidence does not hold together.
    pub lineage: Option<&'a Lineage>,
    /// Whom the verifier believes, and what the verifier expects where the question does not say it.
    pub trust: &'a Trust,
    /// The bytes of the trust file.
    pub trust_file: &'a [u8],
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
            "properties": self.words().unwrap_or_default(),
            QUESTION: self.asked(),
        });
        statement(&self.subjects(), SVR, &predicate)
    }

    /// Makes the verification summary. Its levels are our words: none is a level of SLSA.
    pub fn vsa(&self) -> Json {
        let met = self.words();
        // Of what is not the shipped model the shipment is no name.
        let shipment = self.lineage.filter(|_| self.report.model.matched == Some(true));
        let mut inputs = vec![self.named_bundle()];
        inputs.extend(self.named_updates());
        inputs.push(json!({ "uri": "urn:griptrace:trust-file", "digest": only(&sha256(self.trust_file)) }));
        let predicate = json!({
            "verifier": { "id": self.verifier, "version": { "griptrace": env!("CARGO_PKG_VERSION") } },
            "timeVerified": timestamp(self.time),
            "resourceUri": shipment.map_or_else(|| self.bundle_urn(), |lineage| urn("node", lineage.root().id)),
            "policy": {
                "uri": urn("policy", [&self.report.policy.id, &self.report.policy.version].map(|text| escaped(text)).join(":")),
                "digest": only(&sha256(self.policy)),
            },
            "inputAttestations": inputs,
            "verificationResult": if met.is_some() { "PASSED" } else { "FAILED" },
            "dependencyLevels": if met.is_some() { self.sources() } else { BTreeMap::new() },
            "verifiedLevels": met.unwrap_or_else(|| vec!["FAILED".to_owned()]),
            QUESTION: self.asked(),
        });
        statement(&self.subjects(), VSA, &predicate)
    }

    fn bundle_urn(&self) -> String {
        urn("bundle", self.report.bundle_digest)
    }

    /// Returns the bundle as it was given.
    fn named_bundle(&self) -> Json {
        json!({ "uri": urn("bundle", bundle_digest(self.given)), "digest": only(&sha256(self.given)) })
    }

    fn named_updates(&self) -> impl Iterator<Item = Json> {
        let files = self.report.updated_with.iter().zip(self.updates);
        files.map(|(digest, file)| json!({ "uri": urn("update", digest), "digest": only(&sha256(file)) }))
    }

    /// Returns what was judged: the files in hand, if they were compared; the bundle itself otherwise. Never what the bundle
    /// only says to have shipped.
    fn subjects(&self) -> Vec<Subject> {
        let compared = match &self.question.model {
            _ if self.report.model.matched.is_none() => None,
            ModelInHand::NotGiven => None,
            ModelInHand::File(file) => Some(vec![file_subject(file)]),
            ModelInHand::Folder(files) => Some(files.iter().map(file_subject).collect()),
            ModelInHand::Digest(digest) => self.shipped_as(digest).map(|subject| vec![subject]),
        };
        compared.unwrap_or_else(|| vec![Subject::by_sha256(self.bundle_urn(), &sha256(self.bundle))])
    }

    /// Returns the shipped file that has this digest, by this digest alone: no other was compared. `None` if none has it, so
    /// that nobody can tell which algorithm it is of.
    fn shipped_as(&self, digest: &Digest) -> Option<Subject> {
        let hex = digest.to_string();
        let models = self.lineage.map(Lineage::models).unwrap_or_default();
        models.iter().filter_map(|model| model.files.as_deref()).flatten().find_map(|file: &FileRecord| {
            let digests: Vec<_> = file_digests(file).into_iter().filter(|(_, known)| *known == hex).take(1).collect();
            let name = String::from_utf8_lossy(&file.path).into_owned();
            (!digests.is_empty()).then_some(Subject { name, digests })
        })
    }

    /// Returns what was asked, and of what: a verdict answers this question, and no other.
    fn asked(&self) -> Json {
        let (question, policy) = (self.question, &self.report.policy);
        let given = match &question.model {
            ModelInHand::NotGiven => "nothing",
            ModelInHand::Digest(_) => "digest",
            ModelInHand::File(_) => "file",
            ModelInHand::Folder(_) => "folder",
        };
        json!({
            "destination": question.destination(self.trust).map(|country| country.to_string()),
            "consignee": question.consignee(self.trust),
            "purposes": question.purposes(self.trust).iter().map(ToString::to_string).collect::<Vec<_>>(),
            "now": question.now.to_string(),
            "model": { "given": given, "matched": self.report.model.matched },
            "policy": { "id": policy.id, "version": policy.version, "digest": only(&sha256(self.policy)) },
            "trustFile": { "digest": only(&sha256(self.trust_file)) },
            "bundle": self.named_bundle(),
            "updates": self.named_updates().collect::<Vec<_>>(),
        })
    }

    fn judged_by(&self) -> Json {
        let policy = &self.report.policy;
        json!([
            { "name": format!("policy {} {}", policy.id, policy.version), "digest": only(&sha256(self.policy)) },
            { "name": "trust file", "digest": only(&sha256(self.trust_file)) },
        ])
    }

    /// Returns what a met policy says of the product, each word with what it was asked for; `None` if it is not met, or if
    /// what shipped was not compared.
    fn words(&self) -> Option<Vec<String>> {
        let destination = self.question.destination(self.trust)?;
        if !self.report.policy_met || self.report.model.matched != Some(true) {
            return None;
        }
        let verdict = word(self.report.verdict);
        // No word says that a purpose was found in order: only assessments that the policy asks for are compared with one.
        Some(vec![
            format!("{PREFIX}POLICY_MET_FOR_{destination}"),
            format!("{verdict}_FOR_{destination}"),
            format!("{PREFIX}AS_OF_{}", self.question.now),
        ])
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
