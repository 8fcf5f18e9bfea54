//! Step 12 again: marks that somebody would take back, hide behind others, or make without the right to.

use griptrace_core::key::Signer as _;
use griptrace_core::node::Mark;
use griptrace_verifier::finding::{Code, Verdict};

use super::Attack;
use super::Liar::{Assessor, Exporter, Nobody, Stranger};
use super::marked::mark;
use crate::world::{Case, NodeSpec, Step, key};

/// Another record of the first assessment: what the assessor signed is the same.
fn copy_of_the_assessment(case: &mut Case, before_head: usize, signer: &'static str) {
    let mut copy = case.world.node("assessment").clone();
    copy.name = "copy".into();
    copy.copies = Some("assessment");
    case.world.record(0, before_head, signer, vec![copy]);
}

fn regrade(case: &mut Case, name: &str, head: usize, signer: &'static str, grade: &str) {
    let days = ["2026-04-20", "2026-05-21", "2026-06-01", "2026-06-20"];
    case.world.mark(head, signer, NodeSpec::status(name, Mark::Reclassify, "camera", days[head]).graded(grade));
}

/// The authority may lower grades no longer, though it still commits.
fn retire_the_authority(case: &mut Case, last_day: &str) {
    case.buyer.roles("authority", r#""commit""#);
    let public = key("authority").public_key();
    case.buyer.trust_also(&format!(
        "[[committer]]\nname = \"authority\"\nkey = \"{public}\"\nto = {last_day}\nroles = [\"regrade\"]\n"
    ));
}

/// The supplier marks in its own log what stands in the maker's.
fn marked_by_the_supplier(case: &mut Case) {
    case.world.add_supplier(Vec::new());
    let Step::Commit(commit) = &mut case.world.logs[1].steps[0] else { panic!("it is a commit") };
    commit.nodes = vec!["mark".into()];
    case.world.nodes.push(NodeSpec::status("mark", Mark::Withdraw, "camera", "2026-04-02"));
    case.world.extra.push("mark".into());
}

/// The supplier records the maker's assessment too, and withdraws its own record.
fn withdrawn_by_the_supplier(case: &mut Case) {
    case.world.add_supplier(Vec::new());
    let Step::Commit(commit) = &mut case.world.logs[1].steps[0] else { panic!("it is a commit") };
    commit.nodes = vec!["copy".into(), "mark".into()];
    let mut copy = case.world.node("assessment").clone();
    copy.name = "copy".into();
    copy.copies = Some("assessment");
    case.world.nodes.extend([copy, NodeSpec::status("mark", Mark::Withdraw, "copy", "2026-04-02")]);
}

pub(super) const ALL: &[&[Attack]] = &[TAKEN_BACK, WITHOUT_A_RIGHT];

const TAKEN_BACK: &[Attack] = &[
    Attack::new(
        "withdrawn-and-recorded-anew",
        Exporter,
        "a withdrawn assessment is recorded once more, as if that were another one",
        Code::AssessmentWithdrawn,
        |c| {
            mark(c, 1, "maker", Mark::Withdraw, "assessment");
            copy_of_the_assessment(c, 2, "maker");
        },
    ),
    Attack::new(
        "withdrawal-on-the-second-record",
        Exporter,
        "of two records of one assessment the one that nobody looks at is withdrawn",
        Code::AssessmentWithdrawn,
        |c| {
            copy_of_the_assessment(c, 0, "maker");
            mark(c, 2, "maker", Mark::Withdraw, "copy");
        },
    ),
    Attack::new(
        "withdrawn-by-its-assessor-on-another-record",
        Assessor,
        "the assessor's own mark, on a record that another committer made",
        Code::AssessmentWithdrawn,
        |c| {
            copy_of_the_assessment(c, 1, "clerk");
            mark(c, 2, "clerk", Mark::Withdraw, "copy");
            c.world.node("mark").marked_by = Some("office");
        },
    ),
    Attack::new(
        "assessment-refused-afterwards",
        Assessor,
        "the assessor's own signed refusal of what it had assessed",
        Code::AssessmentWithdrawn,
        |c| {
            mark(c, 3, "clerk", Mark::Refuse, "assessment");
            c.world.node("mark").marked_by = Some("office");
        },
    ),
    Attack::new(
        "raised-and-lowered-by-a-stranger",
        Exporter,
        "the maker raises a source, and a friend with a key lowers it again",
        Code::AssessmentGrade,
        |c| {
            regrade(c, "mark", 1, "maker", "core");
            regrade(c, "mark-2", 2, "clerk", "important");
        },
    )
    .also(&[Code::RegradeUnauthorised])
    .verdict(Verdict::GradeLoweredWithoutRecord),
    Attack::new(
        "raised-before-it-ships",
        Exporter,
        "a source is raised after the training and before the shipment, where few look",
        Code::AssessmentGrade,
        |c| {
            regrade(c, "mark", 2, "maker", "core");
        },
    ),
    Attack::new(
        "recall-behind-a-correction",
        Exporter,
        "a shipment that was called back is superseded by another one",
        Code::Recalled,
        |c| {
            mark(c, 3, "maker", Mark::Recall, "shipment");
            let other = NodeSpec::shipment("shipment-2", "DE", "2026-06-20", &["grasp-int8"]);
            c.world.record(0, 3, "maker", vec![other]);
            let status = NodeSpec::status("mark-2", Mark::Supersede, "shipment", "2026-06-20").successor("shipment-2");
            c.world.mark(3, "maker", status);
        },
    ),
    Attack::new(
        "withdrawn-in-the-middle-of-a-chain",
        Exporter,
        "a withdrawn record is corrected by one that nobody withdrew",
        Code::Withdrawn,
        |c| {
            for (name, before) in [("force-2", "force"), ("force-3", "force-2")] {
                let better = NodeSpec::source(name, "CN", "force-torque", "general");
                c.world.record(0, 1, "maker", vec![better]);
                let mark = NodeSpec::status(&format!("to-{name}"), Mark::Supersede, before, "2026-05-21");
                c.world.mark(1, "maker", mark.successor(name));
                if name == "force-2" {
                    c.world.mark(1, "maker", NodeSpec::status("mark", Mark::Withdraw, name, "2026-05-21"));
                }
            }
        },
    ),
];

const WITHOUT_A_RIGHT: &[Attack] = &[
    Attack::new(
        "regrade-by-a-retired-role",
        Exporter,
        "an authority lowers a grade after the last day of its role for it",
        Code::RegradeUnauthorised,
        |c| {
            retire_the_authority(c, "2026-05-21");
            regrade(c, "mark", 3, "authority", "general");
        },
    ),
    Attack::new(
        "copied-to-withdraw-it",
        Stranger,
        "another committer records the assessment too, and withdraws that record",
        Code::StatusUnauthorised,
        |c| {
            copy_of_the_assessment(c, 1, "clerk");
            mark(c, 2, "clerk", Mark::Withdraw, "copy");
        },
    )
    .met(),
    Attack::new(
        "source-refused-by-signature-alone",
        Stranger,
        "an assessor's signed mark on a source, which no assessor has assessed by itself",
        Code::StatusUnauthorised,
        |c| {
            mark(c, 3, "clerk", Mark::Refuse, "camera");
            c.world.node("mark").marked_by = Some("office");
        },
    )
    .met(),
    Attack::new(
        "assessment-withdrawn-in-another-log",
        Stranger,
        "another company records the assessment in its own log, and withdraws that record",
        Code::StatusUnauthorised,
        withdrawn_by_the_supplier,
    )
    .met(),
    Attack::new(
        "source-marked-in-another-log",
        Stranger,
        "another company marks in its own log a source of this one: a mark stays at home",
        Code::NodeInvalid,
        marked_by_the_supplier,
    ),
    Attack::new(
        "superseded-by-what-its-maker-withdrew",
        Nobody,
        "the correction itself was withdrawn before it took the place",
        Code::Withdrawn,
        |c| {
            let better = NodeSpec::source("force-2", "CN", "force-torque", "general");
            c.world.record(0, 1, "maker", vec![better]);
            c.world.mark(1, "maker", NodeSpec::status("mark", Mark::Withdraw, "force-2", "2026-05-21"));
            let status = NodeSpec::status("mark-2", Mark::Supersede, "force", "2026-06-01").successor("force-2");
            c.world.mark(2, "maker", status);
        },
    ),
];
