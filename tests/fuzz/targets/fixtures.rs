//! Honest bundles and their buyers, built once from the world of the test suite.

use std::sync::OnceLock;

use griptrace_core::{
    bundle::Bundle,
    node::{Mark, Role},
};
use griptrace_verifier::{
    policy::{self, Policy},
    question::{ModelInHand, Question},
    trust::{self, Trust},
};

use super::input::Input;
use crate::world::{Case, Link, NodeSpec, country, date, words};

/// A bundle that meets its buyer's policy.
pub(crate) struct Fixture {
    pub(crate) bundle: Bundle,
    pub(crate) file: Vec<u8>,
    pub(crate) buyer: Case,
    trusts: Vec<Trust>,
    policies: Vec<Policy>,
}

/// Returns every honest case. The first is the plain one.
pub(crate) fn cases() -> Vec<Case> {
    vec![Case::honest(), two_logs(), corrected(), two_witnesses(), stated()]
}

/// A parent that lives in a supplier's log.
fn two_logs() -> Case {
    let mut case = Case::honest();
    case.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
    case.world.node("train").links.push(Link::new(Role::Used, "bought"));
    case
}

/// A source that was superseded after the shipment.
fn corrected() -> Case {
    let mut case = Case::honest();
    let mark = NodeSpec::status("mark", Mark::Supersede, "force", "2026-05-21").successor("force-2");
    case.world.record(0, 1, "maker", vec![NodeSpec::source("force-2", "CN", "force-torque", "general"), mark]);
    case
}

fn two_witnesses() -> Case {
    let mut case = Case::honest();
    case.world.heads().into_iter().for_each(|head| head.cosigners.push(("w2", head.time + 5)));
    case.buyer.trust("at_least = 1", "at_least = 2");
    case
}

/// An assessment that no assessor signed, of what crosses as a whole, and nothing disclosed.
fn stated() -> Case {
    let mut case = Case::honest();
    for name in ["assessment", "assessment-2"] {
        case.world.remove(name);
    }
    let modality = ["force-torque", "visual"];
    case.world.record(
        0,
        0,
        "maker",
        vec![NodeSpec::assessment("whole", Some("office"), &["features", "rows"], &modality)],
    );
    case.world.nodes.iter_mut().filter(|node| node.name != "shipment").for_each(|node| node.open.clear());
    case
}

/// Returns what [`cases`] make.
pub(crate) fn all() -> &'static [Fixture] {
    static ALL: OnceLock<Vec<Fixture>> = OnceLock::new();
    ALL.get_or_init(|| {
        let make = |case: Case| {
            let bundle = case.world.build().bundle;
            let file = bundle.to_bytes();
            let report = case.buyer.verify(&file).expect("it begins like a bundle");
            assert!(report.policy_met, "{}", crate::world::told(&report));
            let (trusts, policies) = (trusts(&case.buyer.trust), policies(&case.buyer.policy));
            Fixture { bundle, file, buyer: case, trusts, policies }
        };
        cases().into_iter().map(make).collect()
    })
}

/// What may be asked of a bundle beside what its own buyer asks.
const TRUSTS: &[(&str, &str)] = &[
    ("", ""),
    ("quorum = { of = [\"w1\", \"w2\"], at_least = 1 }\n", ""),
    ("quorum = { of = [\"w1\", \"w2\"], at_least = 2 }\n", ""),
    ("at_least = 1", "at_least = 2"),
    ("max_age = \"30d\"\n", "max_age = \"1d\"\n"),
    ("roles = [\"map\"]", "roles = []"),
    ("roles = [\"commit\", \"grade\", \"ship\"]", "roles = [\"commit\"]"),
    ("from = 2026-01-01", "from = 2026-05-01"),
];
const POLICIES: &[(&str, &str)] = &[
    ("", ""),
    ("judge = \"both\"", "judge = \"now\""),
    ("judge = \"both\"", "judge = \"shipment\""),
    ("max_lag = \"7d\"\n", ""),
    ("max_lag = \"7d\"", "max_lag = \"1d\""),
    ("strength = \"signed\"", "strength = \"stated\""),
    ("crossing = { from = [\"CN\"], to = [\"*\"] }\n", ""),
    ("modality = [\"visual\", \"force-torque\"]\npurpose", "modality = [\"*\"]\npurpose"),
];

/// Whom a buyer trusts, by what, asking what.
pub(crate) struct Asked {
    pub(crate) trust: Trust,
    pub(crate) policy: Policy,
    pub(crate) question: Question,
}

/// Draws what a fixture's buyer asks. Files are read once: their keys take long.
pub(crate) fn asked(fixture: &Fixture, input: &mut Input<'_>) -> Asked {
    Asked {
        trust: fixture.trusts[input.place(TRUSTS.len())].clone(),
        policy: fixture.policies[input.place(POLICIES.len())].clone(),
        question: question(&fixture.buyer.buyer.question, input),
    }
}

/// Returns the trust file under every variant.
fn trusts(text: &str) -> Vec<Trust> {
    let variant = |(from, to): &(&str, &str)| {
        let text = if from.is_empty() { text.to_owned() } else { text.replace(from, to) };
        trust::parse("trust.toml", &text).unwrap_or_else(|error| panic!("{from:?} to {to:?}: {error}"))
    };
    TRUSTS.iter().map(variant).collect()
}

/// Returns the policy under every variant.
fn policies(text: &str) -> Vec<Policy> {
    let variant = |(from, to): &(&str, &str)| {
        let text = if from.is_empty() { text.to_owned() } else { text.replacen(from, to, 1) };
        policy::parse("policy.toml", &text).unwrap_or_else(|error| panic!("{from:?} to {to:?}: {error}"))
    };
    POLICIES.iter().map(variant).collect()
}

fn question(own: &Question, input: &mut Input<'_>) -> Question {
    let mut question = own.clone();
    match input.byte() % 8 {
        1 => question.now = date("2026-06-03"),
        2 => question.now = date("2030-01-01"),
        3 => question.destination = Some(country("FR")),
        4 => question.consignee = Some("Somebody Else".into()),
        5 => question.purposes = words(&["weld"]),
        6 => question.model = ModelInHand::NotGiven,
        7 => question.destination = None,
        _ => {}
    }
    question
}
