//! Steps 11 and 12: times and marks.

use griptrace_core::node::{Activity, Mark, Origin};
use griptrace_verifier::finding::{Code, Verdict};

use super::Attack;
use super::Liar::{Assessor, Both, Exporter, Nobody, Operator, Stranger};
use crate::world::{Case, NodeSpec, date, noon};

/// A status before the `head`-th checkpoint, on the day before it.
pub(super) fn mark(case: &mut Case, head: usize, signer: &'static str, mark: Mark, target: &str) {
    let days = ["2026-04-20", "2026-05-21", "2026-06-01", "2026-06-20"];
    case.world.mark(head, signer, NodeSpec::status("mark", mark, target, days[head]));
}

/// A withdrawal of the first assessment, signed by `signer`, in the trust file.
fn withdrawal_in_trust_file(case: &mut Case, on: &str) {
    use base64::Engine as _;
    let built = case.world.build();
    let key_of = crate::world::status_key(&built, "assessment");
    let bytes = crate::world::signed_mark("office", key_of, Mark::Withdraw, on, built.homes[0]);
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    case.buyer.trust_also(&format!("[[withdrawal]]\nstatement = \"{text}\"\n"));
}

/// The first source is replaced by a corrected record, which a second step made `worse`.
fn superseded_by(case: &mut Case, signer: &'static str, successor: NodeSpec) {
    let name = successor.name.clone();
    case.world.record(0, 1, "maker", vec![successor]);
    let status = NodeSpec::status("mark", Mark::Supersede, "force", "2026-05-21").successor(&name);
    case.world.mark(1, signer, status);
}

pub(super) const ALL: &[&[Attack]] = &[TIMES, MARKS, SUPERSEDED, WITHDRAWN_ASSESSMENTS];

const TIMES: &[Attack] = &[
    Attack::new(
        "shipment-recorded-late",
        Exporter,
        "a shipment dated more than the lag before its checkpoint",
        Code::RecordedAfterShipment,
        |c| {
            c.world.node("shipment").core.date = Some(date("2026-05-25"));
        },
    ),
    Attack::new(
        "crossing-recorded-late",
        Exporter,
        "a training dated more than the lag before its checkpoint",
        Code::RecordedAfterShipment,
        |c| {
            c.world.node("train").core.date = Some(date("2026-05-14"));
        },
    ),
    Attack::new(
        "ancestor-recorded-after-shipment",
        Both,
        "assessed data recorded after the shipment's checkpoint",
        Code::RecordedAfterShipment,
        |c| {
            // The shipment is recorded before its model.
            let steps = &mut c.world.logs[0].steps;
            let model = steps.remove(7);
            steps.insert(9, model);
        },
    ),
    Attack::new(
        "step-in-the-future",
        Exporter,
        "a training dated after the checkpoint that covers it",
        Code::DateInFuture,
        |c| {
            c.world.node("train").core.date = Some(date("2026-05-23"));
        },
    ),
    Attack::new("step-without-date", Exporter, "a training abroad on no day", Code::DateUndeclared, |c| {
        c.world.node("train").core.date = None;
    }),
    Attack::new("stale", Nobody, "the newest checkpoint is older than the buyer allows", Code::Stale, |c| {
        c.buyer.question.now = date("2026-07-22");
    }),
    Attack::new("clock-behind", Nobody, "a clock that is behind the evidence", Code::NowBeforeEvidence, |c| {
        c.buyer.question.now = date("2020-01-01");
    })
    .also(&[Code::DateInFuture])
    .verdict(Verdict::RecordedAfterShipment)
    .warned(),
    Attack::new(
        "shipment-of-tomorrow",
        Exporter,
        "a shipment dated after the day it is checked",
        Code::DateInFuture,
        |c| {
            c.world.node("shipment").core.date = Some(date("2026-08-01"));
        },
    ),
    Attack::new(
        "old-bundle-for-new",
        Exporter,
        "a bundle that ends at the shipment's checkpoint, to hide what came later",
        Code::Stale,
        |c| {
            c.world.logs[0].steps.truncate(10);
            c.buyer.question.now = date("2026-07-03");
        },
    ),
    Attack::new(
        "operator-backdates",
        Operator,
        "status heads in the past, which the witness does not follow",
        Code::RecordedAfterShipment,
        |c| {
            let head = &mut *c.world.heads()[1];
            (head.time, head.cosigners) = (noon("2026-05-21"), vec![("w1", noon("2026-05-30"))]);
        },
    ),
];

const MARKS: &[Attack] = &[
    Attack::new("source-withdrawn", Nobody, "its maker withdraws a source before the shipment", Code::Withdrawn, |c| {
        mark(c, 2, "maker", Mark::Withdraw, "camera");
    }),
    Attack::new(
        "source-withdrawn-since",
        Nobody,
        "its maker withdraws a source after the shipment",
        Code::Withdrawn,
        |c| {
            mark(c, 3, "maker", Mark::Withdraw, "camera");
        },
    ),
    Attack::new("model-withdrawn", Nobody, "the model is withdrawn", Code::Withdrawn, |c| {
        mark(c, 3, "maker", Mark::Withdraw, "grasp-int8");
    }),
    Attack::new("step-withdrawn", Nobody, "a step is withdrawn", Code::Withdrawn, |c| {
        mark(c, 3, "maker", Mark::Withdraw, "anonymise");
    }),
    Attack::new("shipment-recalled", Nobody, "the shipment is called back", Code::Recalled, |c| {
        mark(c, 3, "maker", Mark::Recall, "shipment");
    }),
    Attack::new("source-refused", Assessor, "an assessor refuses a source", Code::Refused, |c| {
        c.buyer.trust_also(&committer_as("office", "office-commits"));
        mark(c, 3, "office-commits", Mark::Refuse, "camera");
    }),
    Attack::new(
        "withdrawn-then-superseded",
        Exporter,
        "a corrected record after the withdrawal, to hide it",
        Code::Withdrawn,
        |c| {
            mark(c, 2, "maker", Mark::Withdraw, "camera");
            let better = NodeSpec::source("camera-2", "CN", "visual", "general");
            c.world.record(0, 3, "maker", vec![better]);
            let status = NodeSpec::status("mark-2", Mark::Supersede, "camera", "2026-06-20").successor("camera-2");
            c.world.mark(3, "maker", status);
        },
    ),
    Attack::new(
        "mark-by-a-stranger",
        Stranger,
        "another committer withdraws a source that is not his",
        Code::StatusUnauthorised,
        |c| {
            mark(c, 3, "clerk", Mark::Withdraw, "camera");
        },
    )
    .met(),
    Attack::new(
        "refusal-by-a-committer",
        Stranger,
        "a committer who is no assessor refuses",
        Code::StatusUnauthorised,
        |c| {
            mark(c, 3, "clerk", Mark::Refuse, "camera");
        },
    )
    .met(),
];

pub(super) fn committer_as(party: &str, name: &str) -> String {
    use griptrace_core::key::Signer as _;
    let public = crate::world::key(name).public_key();
    format!("[[committer]]\nname = \"{party}\"\nkey = \"{public}\"\nroles = [\"commit\"]\n")
}

const SUPERSEDED: &[Attack] = &[
    Attack::new("source-superseded", Nobody, "a corrected record that is no worse", Code::Superseded, |c| {
        superseded_by(c, "maker", NodeSpec::source("force-2", "CN", "force-torque", "general"));
    })
    .verdict(Verdict::TracedUnassessed)
    .met(),
    Attack::new(
        "superseded-by-worse",
        Exporter,
        "the corrected record is important, and not assessed",
        Code::AssessmentGrade,
        |c| {
            c.world.node("assessment-2").terms().grade = crate::world::word("general");
            superseded_by(c, "maker", NodeSpec::source("force-2", "CN", "force-torque", "important"));
        },
    )
    .also(&[Code::AssessmentMissing])
    .verdict(Verdict::OutsideAssessmentScope),
    Attack::new(
        "superseded-by-unassessed",
        Exporter,
        "the corrected record is important, and has no assessment",
        Code::AssessmentMissing,
        |c| {
            superseded_by(c, "maker", NodeSpec::source("force-2", "CN", "force-torque", "important"));
        },
    ),
    Attack::new(
        "superseded-by-another-ancestry",
        Exporter,
        "corrected data that came from an important source too",
        Code::AssessmentMissing,
        |c| {
            let source = NodeSpec::source("ceiling", "CN", "visual", "important");
            let step = NodeSpec::step("extract-2", Activity::Feature, ("CN", "2026-05-21"), &["ceiling"]);
            let data = NodeSpec::dataset("features-2", "CN", &["visual"], Origin::Derived).by("extract-2");
            c.world.record(0, 1, "maker", vec![source, step, data]);
            let status = NodeSpec::status("mark", Mark::Supersede, "features", "2026-05-21").successor("features-2");
            c.world.mark(1, "maker", status);
        },
    ),
    Attack::new("superseded-by-withdrawn", Exporter, "the corrected record was withdrawn", Code::Withdrawn, |c| {
        superseded_by(c, "maker", NodeSpec::source("force-2", "CN", "force-torque", "general"));
        c.world.mark(3, "maker", NodeSpec::status("mark-2", Mark::Withdraw, "force-2", "2026-06-20"));
    }),
    Attack::new("successor-left-out", Exporter, "a mark whose corrected record is not shown", Code::NodeMissing, |c| {
        superseded_by(c, "maker", NodeSpec::source("force-2", "CN", "force-torque", "important"));
        c.world.omit.push("force-2".into());
    }),
    Attack::new("superseded-by-another-kind", Exporter, "a source superseded by a model", Code::EdgeKind, |c| {
        superseded_by(c, "maker", NodeSpec::model("other", "CN"));
    }),
    Attack::new(
        "superseded-by-a-stranger",
        Stranger,
        "another committer's correction does not count",
        Code::StatusUnauthorised,
        |c| {
            superseded_by(c, "clerk", NodeSpec::source("force-2", "CN", "force-torque", "important"));
        },
    )
    .met(),
];

const WITHDRAWN_ASSESSMENTS: &[Attack] = &[
    Attack::new(
        "assessment-withdrawn-by-committer",
        Nobody,
        "who recorded an assessment withdraws it",
        Code::AssessmentWithdrawn,
        |c| {
            mark(c, 2, "maker", Mark::Withdraw, "assessment");
        },
    ),
    Attack::new(
        "assessment-withdrawn-by-assessor",
        Assessor,
        "the assessor's own signed mark, recorded by another",
        Code::AssessmentWithdrawn,
        |c| {
            mark(c, 2, "clerk", Mark::Withdraw, "assessment");
            c.world.node("mark").marked_by = Some("office");
        },
    ),
    Attack::new(
        "assessment-withdrawn-by-another",
        Stranger,
        "another assessor's signed mark",
        Code::StatusUnauthorised,
        |c| {
            mark(c, 2, "clerk", Mark::Withdraw, "assessment");
            c.world.node("mark").marked_by = Some("bureau");
        },
    )
    .met(),
    Attack::new(
        "assessment-withdrawn-in-trust-file",
        Assessor,
        "a mark that the log refused, from the trust file",
        Code::AssessmentWithdrawn,
        |c| {
            withdrawal_in_trust_file(c, "2026-05-30");
        },
    ),
    Attack::new(
        "assessment-withdrawn-in-trust-file-since",
        Assessor,
        "the same, dated after the shipment",
        Code::AssessmentWithdrawn,
        |c| {
            withdrawal_in_trust_file(c, "2026-06-20");
        },
    ),
    Attack::new(
        "withdrawal-recorded-in-another-log",
        Assessor,
        "the assessor withdraws in another log of the bundle",
        Code::AssessmentWithdrawn,
        |c| {
            withdrawn_elsewhere(c);
        },
    ),
    Attack::new(
        "assessment-copied-too-often",
        Exporter,
        "one signed assessment recorded more often than anybody needs, to make the verifier work",
        Code::LimitExceeded,
        copied_often,
    ),
    Attack::new(
        "assessor-status-log-missing",
        Nobody,
        "the trust file names a log that the bundle lacks",
        Code::AssessmentStatusUnknown,
        |c| {
            c.buyer.trust(
                "schemes = [\"security-assessment\"]\n",
                "schemes = [\"security-assessment\"]\nstatus_log = \"supplier.example/log\"\n",
            );
        },
    ),
];

/// The supplier shipped data under an assessment of the same content, and its assessor's withdrawal
/// stands in the supplier's log.
pub(super) fn withdrawn_elsewhere(case: &mut Case) {
    case.world.add_supplier(Vec::new());
    let steps = &mut case.world.logs[1].steps;
    let crate::world::Step::Commit(commit) = &mut steps[0] else { panic!("it is a commit") };
    commit.nodes = vec!["assessment-copy".into(), "mark".into()];
    let mut copy = case.world.node("assessment").clone();
    copy.name = "assessment-copy".into();
    copy.core.nonce[15] = 1;
    copy.copies = Some("assessment");
    let place = case.world.place("assessment");
    case.world.nodes.insert(place + 1, copy);
    let mut mark = NodeSpec::status("mark", Mark::Withdraw, "assessment-copy", "2026-06-20");
    mark.marked_by = Some("office");
    case.world.nodes.insert(place + 2, mark);
}

fn copied_often(case: &mut Case) {
    let place = case.world.place("assessment");
    for number in 0..16 {
        let mut copy = case.world.node("assessment").clone();
        copy.name = format!("copy-{number}");
        copy.core.nonce[15] = number;
        copy.core.nonce[14] = 1;
        copy.copies = Some("assessment");
        case.world.commit_of("assessment").nodes.push(copy.name.clone());
        case.world.nodes.insert(place + 1, copy);
    }
}
