//! Keys that were revoked: what a thief of one, its former owner, or a revoker could try.
//!
//! A revocation may be what a thief's victim says, or what the maker says to be rid of its own words. So it never takes
//! back what worsens a verdict (R4), and never gives anybody's words to somebody else.

use griptrace_core::{key::Signer as _, node::Mark};
use griptrace_verifier::finding::Code;

use super::Attack;
use super::Liar::{Both, Exporter, Thief};
use super::{
    graded::regrade,
    keys::{accepted, believe_guard, believe_guard_in, change, other, revoked, revoked_by_guard, rotated, sign_later},
    marked::committer_as,
};
use crate::world::{Case, KeySpec, NodeSpec, SUPPLIER_ORIGIN, Step, key, word};

/// The owner of a key has it revoked since a leaf, just before the `head`-th status head, to be rid of what it said.
fn disowned(case: &mut Case, head: usize, owner: &'static str, since: u64) {
    case.world.logs[0].genesis.revokers = vec![key("guard").public_key().id()];
    let revocation = KeySpec { successor: Some("maker-2"), ..KeySpec::revocation("guard", owner, since) };
    case.world.change_key(head, revocation);
}

fn withdrawal() -> NodeSpec {
    NodeSpec::status("withdrawal", Mark::Withdraw, "force", "2026-05-21")
}

pub(super) const ALL: &[&[Attack]] = &[THIEVES, REVOKERS, UNDONE];

const THIEVES: &[Attack] = &[
    Attack::new(
        "mark-by-a-stolen-key",
        Thief,
        "a source is withdrawn between theft and revocation, to break what ships",
        Code::Withdrawn,
        |c| {
            c.world.mark(1, "maker", withdrawal());
            revoked(c, 7);
        },
    ),
    Attack::new(
        "successor-by-a-stolen-key",
        Thief,
        "a source is superseded by one of the thief's between theft and revocation",
        Code::KeyRetired,
        |c| {
            let other = NodeSpec::source("other", "CN", "force-torque", "core");
            let mark = NodeSpec::status("correction", Mark::Supersede, "force", "2026-05-21").successor("other");
            c.world.record(0, 1, "maker", vec![other, mark]);
            revoked(c, 7);
        },
    )
    .also(&[Code::GradeUnauthorised, Code::GradeUndetermined, Code::AssessmentGrade, Code::AssessmentMissing]),
    Attack::new(
        "stated-by-a-stolen-key",
        Thief,
        "an assessment is stated between theft and revocation, by whoever has the key",
        Code::AssessorUntrusted,
        |c| {
            c.world.remove("assessment-2");
            let stated = NodeSpec::assessment("stated", None, &["force"], &["force-torque"]);
            c.world.node("force").core.grade = Some(word("important"));
            c.world.record(0, 1, "maker", vec![stated]);
            revoked(c, 7);
        },
    ),
    Attack::new(
        "mark-by-a-thiefs-successor",
        Thief,
        "the thief's own key follows the stolen one and withdraws a source; the revocation reaches back before both",
        Code::Withdrawn,
        |c| {
            change(c, |change| change.successor = Some("thief"));
            c.world.mark(1, "thief", withdrawal());
            revoked(c, 7);
        },
    ),
    Attack::new(
        "mark-after-the-revocation",
        Thief,
        "a source is withdrawn by the key that was revoked before",
        Code::StatusUnauthorised,
        |c| {
            revoked(c, 7);
            c.world.mark(1, "maker", withdrawal());
        },
    )
    .met(),
    Attack::new(
        "mark-by-a-thiefs-successor-after-the-revocation",
        Thief,
        "the thief's own key followed the stolen one, and withdraws a source after the revocation",
        Code::CommitterUntrusted,
        |c| {
            change(c, |change| change.successor = Some("thief"));
            revoked(c, 7);
            c.world.mark(1, "thief", withdrawal());
        },
    ),
    Attack::new(
        "lowered-by-a-stolen-key",
        Thief,
        "a source is lowered between theft and revocation, so that it needs no assessment",
        Code::RegradeUnauthorised,
        |c| {
            c.world.remove("assessment-2");
            c.world.node("force").core.grade = Some(word("important"));
            regrade(c, "mark", 1, "authority", "force", "general");
            disowned(c, 1, "authority", 7);
        },
    )
    .also(&[Code::AssessmentMissing]),
];

const REVOKERS: &[Attack] = &[
    Attack::new(
        "impersonated-by-a-revoker",
        Both,
        "a revoker, whom the log's operator chose, says that a key of theirs follows the maker's",
        Code::CommitterUntrusted,
        |c| revoked_by_guard(c, 7, "thief"),
    ),
    Attack::new(
        "believed-revoker-of-another-log",
        Both,
        "a revoker who is believed in the supplier's log names who follows the maker's key in the maker's",
        Code::CommitterUntrusted,
        |c| {
            revoked_by_guard(c, 7, "thief");
            believe_guard_in(c, SUPPLIER_ORIGIN);
        },
    ),
    Attack::new(
        "believed-revoker-whom-the-genesis-lacks",
        Both,
        "a revoker who is believed, and whom the log's genesis does not name",
        Code::KeyChangeInvalid,
        |c| {
            revoked(c, 7);
            c.world.logs[0].genesis.revokers.clear();
        },
    ),
    Attack::new(
        "mark-by-an-impersonator",
        Both,
        "a key that only an unknown revoker says to follow the maker's withdraws a source",
        Code::CommitterUntrusted,
        |c| {
            revoked_by_guard(c, 7, "thief");
            sign_later(&mut c.world, "maker");
            c.world.mark(1, "thief", withdrawal());
        },
    ),
];

const UNDONE: &[Attack] = &[
    Attack::new(
        "recall-undone-by-a-revocation",
        Both,
        "the maker calls the shipment back, and has its key revoked since before that",
        Code::Recalled,
        |c| {
            let recall = NodeSpec::status("recall", Mark::Recall, "shipment", "2026-06-20");
            c.world.mark(3, "maker", recall);
            disowned(c, 3, "maker", 13);
        },
    ),
    Attack::new(
        "refusal-undone-by-a-revoker",
        Both,
        "an assessor refuses a source, and a revoker whom the operator chose revokes its key since before that",
        Code::Refused,
        |c| {
            c.buyer.trust_also(&committer_as("office", "office-commits"));
            c.world.mark(3, "office-commits", NodeSpec::status("refusal", Mark::Refuse, "camera", "2026-06-20"));
            disowned(c, 3, "office-commits", 13);
        },
    ),
    Attack::new(
        "correction-undone-by-a-revocation",
        Exporter,
        "the maker puts core data in a source's place, and has its key revoked since before it said so",
        Code::AssessmentGrade,
        |c| {
            let other = NodeSpec::source("other", "CN", "force-torque", "core");
            let mark = NodeSpec::status("correction", Mark::Supersede, "force", "2026-05-21").successor("other");
            c.world.record(0, 1, "maker", vec![other]);
            c.world.mark(1, "maker", mark);
            disowned(c, 1, "maker", 8);
            sign_later(&mut c.world, "maker-2");
            believe_guard(c);
        },
    )
    .also(&[Code::AssessmentMissing]),
    Attack::new(
        "raised-grade-undone-by-a-revocation",
        Exporter,
        "the maker raises a source above its assessment, and has its key revoked since before that",
        Code::AssessmentGrade,
        |c| {
            regrade(c, "mark", 1, "maker", "camera", "core");
            disowned(c, 1, "maker", 7);
            sign_later(&mut c.world, "maker-2");
            believe_guard(c);
        },
    ),
];

/// A revocation takes nothing from who was not robbed, and leaves the owner a way on.
#[test]
fn what_was_signed_before_a_theft_and_after_it_by_the_next_key_is_believed() {
    accepted("a stolen key, before the theft", &|c| revoked(c, 7));
    accepted("the key after a stolen one, by name", &|c| {
        revoked_by_guard(c, 7, "maker-2");
        let next =
            c.buyer.trust.replace(&key("maker").public_key().to_string(), &key("maker-2").public_key().to_string());
        let (_, maker) = next.split_once("[[committer]]").expect("it is there");
        let (maker, _) = maker.split_once("[[committer]]").expect("it is the first of them");
        c.buyer.trust_also(&format!("[[committer]]{maker}"));
    });
    accepted("its new key, whoever revokes the old one later", &|c| {
        rotated(c);
        other(c, "maker", "maker-2");
        c.world.logs[0].genesis.revokers = vec![key("guard").public_key().id()];
        c.world.change_key(2, KeySpec { successor: Some("thief"), ..KeySpec::revocation("guard", "maker", 9) });
    });
    accepted("what the thief changed since", &|c| {
        believe_guard(c);
        c.world.logs[0].genesis.revokers = vec![key("guard").public_key().id()];
        change(c, |change| change.successor = Some("thief"));
        c.world.change_key(2, KeySpec { successor: Some("maker-2"), ..KeySpec::revocation("guard", "maker", 7) });
        // Nothing of it is needed once the shipment is recorded anew.
        for node in ["quantise", "shipment"] {
            c.world.commit_of(node).signer = "maker-2";
        }
        let steps = &mut c.world.logs[0].steps;
        let revocation = steps.iter().rposition(|step| matches!(step, Step::Key(_))).expect("it is there");
        let revocation = steps.remove(revocation);
        let quantise = steps
            .iter()
            .position(|step| matches!(step, Step::Commit(commit) if commit.nodes.contains(&"quantise".to_owned())));
        steps.insert(quantise.expect("it is there"), revocation);
    });
}
