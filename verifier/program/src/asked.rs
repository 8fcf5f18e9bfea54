//! What was asked, for whoever files the answer: a verdict says nothing without its question.

use griptrace_core::{
    date::Date,
    digest::Digest,
    word::{Country, Word},
};

use crate::{Args, Prepared};

/// What was asked: the arguments, and what the trust file said where they said nothing. None of it is the bundle's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The day that counted as now.
    pub now: Date,
    /// Whether the arguments named that day; otherwise it is the clock's.
    pub is_now_given: bool,
    /// Where the buyer is.
    pub destination: Option<Country>,
    /// Who the buyer is.
    pub consignee: Option<String>,
    /// What the buyer uses the model for: all that the arguments and the trust file say, sorted.
    pub purposes: Vec<Word>,
    /// SHA-256 of the trust file.
    pub trust_sha256: Digest,
    /// SHA-256 of the policy.
    pub policy_sha256: Digest,
}

impl Asked {
    /// Fills in what the trust file expects, as the verifier does.
    pub(crate) fn of(args: &Args, prepared: &Prepared) -> Self {
        let (question, expect) = (&prepared.question, &prepared.trust.expect);
        let mut purposes: Vec<Word> = question.purposes.iter().chain(&expect.purposes).cloned().collect();
        purposes.sort();
        purposes.dedup();
        let [trust_sha256, policy_sha256] = prepared.read;
        Self {
            now: question.now,
            is_now_given: args.at.is_some(),
            destination: question.destination.or(expect.destination),
            consignee: question.consignee.clone().or_else(|| expect.consignee.clone()),
            purposes,
            trust_sha256,
            policy_sha256,
        }
    }
}
