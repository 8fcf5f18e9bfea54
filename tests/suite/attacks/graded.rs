//! Step 13: grades and other statements.

use griptrace_core::{
    node::{Activity, DigestStrength, Kind, Mark, Origin, Persons, Role},
    value::Value,
};
use griptrace_verifier::finding::{Code, Verdict};

use super::Attack;
use super::Liar::{Exporter, Nobody, Stranger};
use crate::world::{Case, Link, NodeSpec, word, words};

/// A reclassification before the `head`-th checkpoint.
pub(super) fn regrade(case: &mut Case, name: &str, head: usize, signer: &'static str, target: &str, grade: &str) {
    let days = ["2026-04-20", "2026-05-21", "2026-06-01", "2026-06-20"];
    let status = NodeSpec::status(name, Mark::Reclassify, target, days[head]).graded(grade);
    case.world.mark(head, signer, status);
}

/// An authority raises cleaned data above its source, and what crosses is merged from that and from
/// assessed data of the same grade.
fn raised_and_merged(case: &mut Case) {
    case.world.remove("assessment-2");
    let step = NodeSpec::step("clean", Activity::Cleaning, ("CN", "2026-04-12"), &["force"]);
    let data = NodeSpec::dataset("force-clean", "CN", &["force-torque"], Origin::Derived).by("clean");
    case.world.insert_before("extract", step);
    case.world.insert_before("extract", data);
    for link in case.world.node("extract").links.iter_mut().filter(|link| link.to == "force") {
        link.to = "force-clean".into();
    }
    regrade(case, "mark", 0, "authority", "force-clean", "important");
}

/// Derived data takes the place of the important source that it came from, and goes to France
/// without an assessment.
fn superseded_by_its_own_descendant(case: &mut Case) {
    for number in 0..12 {
        let (step, data) = (format!("peek-{number}"), format!("peeked-{number}"));
        let seen = NodeSpec::step(&step, Activity::Cleaning, ("CN", "2026-04-12"), &["camera"]);
        case.world.insert_before("extract", seen);
        case.world.insert_before("extract", NodeSpec::dataset(&data, "CN", &["visual"], Origin::Derived).by(&step));
        case.world.node("train").links.push(Link::new(Role::Used, &data));
    }
    case.world.node("camera-anonymised").core.grade = Some(word("general"));
    let status = NodeSpec::status("mark", Mark::Supersede, "camera", "2026-05-21").successor("camera-anonymised");
    case.world.mark(1, "maker", status);
}

/// The rule asks wherever a source is.
fn everywhere(case: &mut Case) {
    case.buyer.policy("crossing = { from = [\"CN\"], to = [\"*\"] }\n", "");
}

pub(super) const ALL: &[&[Attack]] = &[GRADES, RECLASSIFIED, RAISED, STATEMENTS];

const GRADES: &[Attack] = &[
    Attack::new("grade-missing", Exporter, "a source without a grade", Code::GradeUndetermined, |c| {
        c.world.node("camera").core.grade = None;
    })
    .also(&[Code::AssessmentGrade])
    .verdict(Verdict::OutsideAssessmentScope),
    Attack::new(
        "grade-of-another-vocabulary",
        Exporter,
        "a word that the policy does not have",
        Code::GradeUndetermined,
        |c| {
            c.world.node("camera").core.grade = Some(word("harmless"));
        },
    )
    .also(&[Code::AssessmentGrade])
    .verdict(Verdict::OutsideAssessmentScope),
    Attack::new("grade-without-role", Exporter, "grades by a key without the role", Code::GradeUnauthorised, |c| {
        c.buyer.roles("maker", r#""commit", "ship""#);
    })
    .also(&[Code::GradeUndetermined, Code::AssessmentGrade])
    .verdict(Verdict::OutsideAssessmentScope),
    Attack::new("grade-lowered", Exporter, "derived data that says less than its source", Code::GradeLowered, |c| {
        c.world.node("features").core.grade = Some(word("general"));
    }),
    Attack::new("model-grade-lowered", Exporter, "a model that says less than its data", Code::GradeLowered, |c| {
        c.world.node("grasp-int8").core.grade = Some(word("general"));
    }),
];

const RECLASSIFIED: &[Attack] = &[
    Attack::new("regrade-without-role", Exporter, "the maker lowers its own grade", Code::RegradeUnauthorised, |c| {
        regrade(c, "mark", 1, "maker", "camera", "general");
    }),
    Attack::new("regrade-by-a-stranger", Stranger, "another committer raises a grade", Code::StatusUnauthorised, |c| {
        regrade(c, "mark", 1, "clerk", "camera", "core");
    })
    .met(),
    Attack::new(
        "source-raised",
        Nobody,
        "the maker raises a source above its assessment",
        Code::AssessmentGrade,
        |c| {
            regrade(c, "mark", 1, "maker", "camera", "core");
        },
    ),
    Attack::new(
        "source-raised-by-authority",
        Nobody,
        "an authority raises a general source",
        Code::AssessmentGrade,
        |c| {
            regrade(c, "mark", 3, "authority", "force", "core");
        },
    ),
    Attack::new("raised-then-lowered", Exporter, "the maker raises and then lowers", Code::RegradeUnauthorised, |c| {
        regrade(c, "mark", 1, "maker", "camera", "core");
        regrade(c, "mark-2", 1, "maker", "camera", "general");
    })
    .also(&[Code::AssessmentGrade]),
    Attack::new(
        "derived-data-raised",
        Nobody,
        "an authority raises derived data above all its sources",
        Code::AssessmentGrade,
        |c| {
            regrade(c, "mark", 1, "authority", "features", "core");
        },
    ),
    Attack::new(
        "derived-data-states-more",
        Nobody,
        "derived data is graded above all its sources, and not assessed",
        Code::AssessmentMissing,
        |c| {
            c.world.node("camera").core.grade = Some(word("general"));
            c.world.remove("assessment");
            c.world.node("features").core.grade = Some(word("important"));
        },
    ),
    Attack::new(
        "sum-not-regraded",
        Nobody,
        "many low sources, and no statement on their sum",
        Code::AggregateNotRegraded,
        |c| {
            c.world.node("camera").core.grade = Some(word("general"));
            c.buyer.policy += "[aggregate]\nmin_sources = 2\nsource = \"a test\"\nread = \"own-choice\"\n";
        },
    )
    .met(),
];

const RAISED: &[Attack] = &[
    Attack::new(
        "superseded-by-its-own-descendant",
        Exporter,
        "derived data says less than the source whose place it takes",
        Code::GradeLowered,
        superseded_by_its_own_descendant,
    ),
    Attack::new(
        "raised-data-merged",
        Exporter,
        "an authority raises data, which is merged with assessed data of that grade",
        Code::AssessmentMissing,
        raised_and_merged,
    ),
    Attack::new(
        "raised-data-at-home",
        Nobody,
        "an authority raises derived data, and the rule asks wherever a source is",
        Code::AssessmentGrade,
        |c| {
            everywhere(c);
            regrade(c, "mark", 1, "authority", "features", "core");
        },
    )
    .also(&[Code::AssessmentGrade]),
    Attack::new(
        "lowered-and-stated",
        Exporter,
        "an authority lowers derived data, and the maker states an assessment of it",
        Code::AssessmentMissing,
        |c| {
            c.world.remove("assessment");
            regrade(c, "mark", 1, "authority", "features", "general");
            let mut stated = NodeSpec::assessment("stated", None, &["features", "rows"], &["force-torque", "visual"]);
            stated.terms().grade = word("general");
            c.world.record(0, 1, "maker", vec![stated]);
        },
    ),
    Attack::new(
        "whole-for-part-of-the-purposes",
        Exporter,
        "what crosses is assessed, not for all that a source behind it is for",
        Code::AssessmentMissing,
        |c| {
            c.world.node("camera").core.purpose = words(&["grasp", "weld"]);
            c.world.remove("assessment");
            let whole =
                NodeSpec::assessment("whole", Some("office"), &["features", "rows"], &["force-torque", "visual"]);
            c.world.record(0, 0, "maker", vec![whole]);
        },
    ),
];

const STATEMENTS: &[Attack] = &[
    Attack::new("licence-forbids", Nobody, "a source whose licence forbids this use", Code::LicenceForbids, |c| {
        c.world.node("force").core.use_allowed = Some(false);
    }),
    Attack::new(
        "licence-forbids-of-a-model",
        Nobody,
        "a model whose licence forbids this use",
        Code::LicenceForbids,
        |c| {
            c.world.node("grasp-fp32").core.use_allowed = Some(false);
        },
    ),
    Attack::new("licence-unknown", Nobody, "a source that does not say", Code::LicenceUnknown, |c| {
        c.world.node("force").core.use_allowed = None;
    })
    .met(),
    Attack::new("weak-digest", Nobody, "a source known by an MD5", Code::WeakDigest, |c| {
        c.world.node("force").core.strength = Some(DigestStrength::Weak);
    })
    .met(),
    Attack::new("no-digest", Nobody, "a source known by no digest", Code::WeakDigest, |c| {
        c.world.node("force").core.strength = Some(DigestStrength::None);
    })
    .met(),
    Attack::new("persons-not-examined", Nobody, "nobody looked for persons", Code::PersonsNotExamined, |c| {
        c.world.node("camera").core.persons = Some(Persons::NotExamined);
    })
    .met(),
    Attack::new("modality-misspelt", Exporter, "a misspelt modality, to leave the scope", Code::WordUnknown, |c| {
        c.world.node("camera").core.modality = Vec::from([word("visuel")]);
    })
    .also(&[Code::AssessmentModality])
    .verdict(Verdict::OutsideAssessmentScope)
    .warned(),
    Attack::new("persons-not-said", Nobody, "nobody says whether there are persons", Code::PersonsNotExamined, |c| {
        c.world.node("camera").core.persons = None;
    })
    .met(),
    Attack::new("source-without-country", Exporter, "a source that lies nowhere", Code::CountryUndeclared, |c| {
        c.world.node("camera").core.country = None;
    }),
    Attack::new(
        "step-without-country",
        Exporter,
        "a training that ran nowhere, to hide the crossing",
        Code::CountryUndeclared,
        |c| {
            c.world.node("train").core.country = None;
            c.world.remove("assessment-2");
            c.world.remove("assessment");
        },
    )
    .verdict(Verdict::UpstreamUnknown),
    Attack::new("detail-hidden", Exporter, "a detail that the policy asks to see", Code::DetailNotDisclosed, |c| {
        c.buyer.policy += "[[disclose]]\nkind = \"dataset\"\nfields = [\"device\"]\nonly_sources = true\n\
                               source = \"a test\"\nread = \"own-choice\"\n";
    })
    .met(),
    Attack::new(
        "detail-disclosed-and-empty",
        Exporter,
        "a detail that the policy asks to see, shown with nothing in it",
        Code::DetailNotDisclosed,
        |c| {
            c.buyer.policy += "[[disclose]]\nkind = \"dataset\"\nfields = [\"site\"]\nonly_sources = true\n\
                               source = \"a test\"\nread = \"own-choice\"\n";
            for node in c.world.nodes.iter_mut().filter(|node| node.core.kind == Kind::Dataset) {
                node.values.insert("site", Value::text(" "));
                node.open.push("site");
            }
        },
    )
    .met(),
    Attack::new(
        "merged-with-the-unassessed",
        Exporter,
        "an important source used beside the assessed ones",
        Code::AssessmentMissing,
        |c| {
            let place = c.world.place("extract");
            c.world.nodes.insert(place, NodeSpec::source("ceiling", "CN", "visual", "important"));
            c.world.commit_of("extract").nodes.push("ceiling".into());
            let link = Link::new(Role::Used, "ceiling");
            c.world.node("extract").links.push(link);
        },
    ),
];
