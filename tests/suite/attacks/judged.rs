//! Step 14: assessments and crossings.

use griptrace_core::{
    assessment::{Destinations, Outcome},
    node::{Activity, Mark, Origin, Role},
};
use griptrace_verifier::finding::{Code, Verdict};

use super::Attack;
use super::Liar::{Assessor, Exporter, Nobody, Stranger};
use crate::world::{Case, Link, NodeSpec, country, date, word, words};

/// Data that goes by way of France before it is trained on in Germany, on a basis of its own.
fn transit(case: &mut Case, basis: Option<&str>) {
    case.world.node("extract").core.country = Some(country("FR"));
    case.world.node("extract").core.basis = basis.map(word);
    for name in ["features", "generate", "rows"] {
        case.world.node(name).core.country = Some(country("FR"));
    }
    for name in ["assessment", "assessment-2"] {
        case.world.node(name).terms().valid_from = date("2026-04-01");
    }
}

/// A mark by which `successor` takes the place of `target`.
fn supersede(case: &mut Case, head: usize, target: &str, successor: &str) {
    let days = ["2026-04-20", "2026-05-21", "2026-06-01"];
    let status = NodeSpec::status("mark", Mark::Supersede, target, days[head]).successor(successor);
    case.world.mark(head, "maker", status);
}

/// Everything is made in China, and the model is assessed as a whole with a list of streams.
fn whole_model_with_streams(case: &mut Case) {
    for name in ["train", "grasp-fp32", "quantise", "grasp-int8"] {
        case.world.node(name).core.country = Some(country("CN"));
    }
    for name in ["assessment", "assessment-2"] {
        case.world.remove(name);
    }
    let mut whole = NodeSpec::assessment("whole", Some("office"), &["grasp-int8"], &["force-torque", "visual"]);
    whole.terms().streams = words(&["rgb"]);
    case.world.record(0, 2, "maker", vec![whole]);
}

/// What crosses is assessed with a list of streams, and discloses its own.
fn whole_with_streams(case: &mut Case) {
    for name in ["assessment", "assessment-2"] {
        case.world.remove(name);
    }
    for name in ["features", "rows"] {
        let node = case.world.node(name);
        node.values.insert("streams", super::opened::streams(&["rgb"]));
        node.open.push("streams");
    }
    let mut whole = NodeSpec::assessment("whole", Some("office"), &["features", "rows"], &["force-torque", "visual"]);
    whole.terms().streams = words(&["rgb"]);
    case.world.record(0, 0, "maker", vec![whole]);
}

pub(super) const ALL: &[&[Attack]] = &[SIGNED, SCOPE, CROSSINGS, SUCCESSORS];

const SIGNED: &[Attack] = &[
    Attack::new(
        "assessment-none",
        Exporter,
        "an important source without an assessment",
        Code::AssessmentMissing,
        |c| {
            c.world.remove("assessment");
        },
    ),
    Attack::new(
        "assessment-of-another-source",
        Exporter,
        "an assessment that opens other data",
        Code::AssessmentMissing,
        |c| {
            c.world.node("assessment").assessing().subjects = vec!["force".into()];
        },
    ),
    Attack::new(
        "assessment-omitted-and-derived",
        Exporter,
        "derived data declared as collected, without an assessment",
        Code::AssessmentMissing,
        |c| {
            let features = c.world.node("features");
            features.core.origin = Some(Origin::Collected);
            features.links.clear();
            features.core.grade = Some(word("important"));
            features.core.use_allowed = Some(true);
            features.core.persons = Some(griptrace_core::node::Persons::NoneFound);
            for name in ["extract", "anonymise", "camera-anonymised", "camera", "force", "assessment", "assessment-2"] {
                c.world.remove(name);
            }
            c.world.remove("tactile");
        },
    ),
    Attack::new(
        "assessor-unknown",
        Stranger,
        "an assessment by a key that the buyer lacks",
        Code::AssessorUntrusted,
        |c| {
            c.world.node("assessment").assessing().signer = Some("stranger");
        },
    ),
    Attack::new(
        "assessor-is-the-exporter",
        Exporter,
        "a committer's key signs the assessment",
        Code::AssessorUntrusted,
        |c| {
            c.world.node("assessment").assessing().signer = Some("maker");
        },
    ),
    Attack::new(
        "assessor-of-another-scheme",
        Assessor,
        "an assessor not trusted for the scheme",
        Code::AssessorUntrusted,
        |c| {
            c.buyer.trust("schemes = [\"security-assessment\"]", "schemes = [\"self-assessment\"]");
        },
    ),
    Attack::new("assessor-expired", Assessor, "an assessor whose last day has passed", Code::AssessorUntrusted, |c| {
        c.buyer.trust("schemes = [\"security-assessment\"]", "schemes = [\"security-assessment\"]\nto = 2026-04-20");
    }),
    Attack::new(
        "assessment-signed-by-another",
        Stranger,
        "another key under the assessor's key id",
        Code::AssessmentSignatureInvalid,
        |c| {
            c.world.node("assessment").assessing().edit = Some(|mut bytes| {
                *bytes.last_mut().expect("there are bytes") ^= 1;
                bytes
            });
        },
    )
    .also(&[Code::AssessorUntrusted])
    .verdict(Verdict::Broken),
    Attack::new(
        "assessment-only-stated",
        Exporter,
        "the committer states what nobody signed",
        Code::AssessmentOnlyStated,
        |c| {
            c.world.node("assessment").assessing().signer = None;
        },
    ),
    Attack::new(
        "assessment-of-another-scheme",
        Assessor,
        "a scheme that the rule does not accept",
        Code::AssessmentScheme,
        |c| {
            c.buyer.trust("schemes = [\"security-assessment\"]", "schemes = [\"self-assessment\"]");
            c.world.node("assessment").terms().scheme = word("self-assessment");
        },
    ),
    Attack::new("assessment-refused", Assessor, "the result was no", Code::AssessmentRefused, |c| {
        c.world.node("assessment").terms().outcome = Outcome::Refused;
    }),
    Attack::new(
        "streams-hidden-and-withdrawn",
        Exporter,
        "streams are hidden so that the withdrawal of an assessment is not the reason",
        Code::AssessmentWithdrawn,
        |c| {
            c.world.node("assessment").terms().streams = words(&["wrist"]);
            c.world.node("camera").values.insert("streams", super::opened::streams(&["wrist"]));
            let name = "withdrawal";
            c.world.mark(2, "maker", NodeSpec::status(name, Mark::Withdraw, "assessment", "2026-06-01"));
            c.world.node(name).marked_by = Some("office");
        },
    ),
];

const SCOPE: &[Attack] = &[
    Attack::new("assessment-expired", Nobody, "its last day was before the crossing", Code::AssessmentExpired, |c| {
        c.world.node("assessment").terms().valid_to = Some(date("2026-05-19"));
    }),
    Attack::new(
        "assessment-expired-by-policy",
        Nobody,
        "the policy's validity ended before the crossing",
        Code::AssessmentExpired,
        |c| {
            c.buyer.policy("validity = \"3y\"", "validity = \"1m\"");
        },
    ),
    Attack::new(
        "assessment-not-yet-valid",
        Nobody,
        "its first day was after the crossing",
        Code::AssessmentNotYetValid,
        |c| {
            c.world.node("assessment").terms().valid_from = date("2026-05-21");
        },
    ),
    Attack::new("assessment-lapsed-since", Nobody, "valid at the crossing, not any more now", Code::LapsedSince, |c| {
        c.world.node("assessment").terms().valid_to = Some(date("2026-06-15"));
    })
    .met(),
    Attack::new(
        "assessment-for-another-destination",
        Nobody,
        "data assessed for France",
        Code::AssessmentDestination,
        |c| {
            c.world.node("assessment").terms().destinations = Destinations::Only(vec![country("FR")]);
        },
    ),
    Attack::new("assessment-for-another-purpose", Nobody, "data assessed for welding", Code::AssessmentPurpose, |c| {
        c.world.node("assessment").terms().purposes = words(&["weld"]);
    }),
    Attack::new(
        "assessment-for-part-of-the-purposes",
        Exporter,
        "a step on the path adds a purpose",
        Code::AssessmentPurpose,
        |c| {
            c.world.node("train").core.purpose = words(&["grasp", "weld"]);
        },
    ),
    Attack::new("purpose-of-the-buyer", Nobody, "the buyer uses it for more", Code::AssessmentPurpose, |c| {
        c.buyer.question.purposes = words(&["grasp", "weld"]);
        c.world.node("shipment").core.purpose.clear();
    }),
    Attack::new("no-purpose-anywhere", Exporter, "nobody says what for", Code::AssessmentPurpose, |c| {
        for node in &mut c.world.nodes {
            node.core.purpose.clear();
        }
        c.buyer.question.purposes.clear();
    }),
    Attack::new(
        "assessment-for-another-modality",
        Nobody,
        "images under an assessment of touch",
        Code::AssessmentModality,
        |c| {
            c.world.node("assessment").terms().modalities = words(&["tactile"]);
        },
    ),
    Attack::new("no-modality", Exporter, "a source that does not say what it is", Code::AssessmentModality, |c| {
        c.world.node("camera").core.modality.clear();
    }),
    Attack::new(
        "assessment-of-a-lower-grade",
        Assessor,
        "important data under an assessment of general data",
        Code::AssessmentGrade,
        |c| {
            c.world.node("assessment").terms().grade = word("general");
        },
    ),
    Attack::new(
        "assessment-of-an-unknown-grade",
        Assessor,
        "a grade that the policy does not have",
        Code::AssessmentGrade,
        |c| {
            c.world.node("assessment").terms().grade = word("top");
        },
    ),
];

/// The data that crosses is assessed as a whole, and its sources are not.
fn whole(case: &mut Case, modality: &[&str]) {
    for name in ["assessment", "assessment-2"] {
        case.world.remove(name);
    }
    let whole = NodeSpec::assessment("whole", Some("office"), &["features", "rows"], modality);
    case.world.record(0, 0, "maker", vec![whole]);
}

/// The rule asks wherever a source is, at the shipment's date.
fn everywhere(case: &mut Case) {
    case.buyer.policy("crossing = { from = [\"CN\"], to = [\"*\"] }\n", "");
}

const CROSSINGS: &[Attack] = &[
    Attack::new(
        "whole-without-a-modality",
        Assessor,
        "what crosses is assessed, not for one of its modalities",
        Code::AssessmentMissing,
        |c| {
            whole(c, &["visual"]);
        },
    ),
    Attack::new(
        "whole-with-an-unknown-source",
        Exporter,
        "what crosses is assessed, and a source does not say what it is",
        Code::AssessmentMissing,
        |c| {
            whole(c, &["force-torque", "visual"]);
            c.world.node("camera").core.modality.clear();
        },
    ),
    Attack::new(
        "not-assessed-at-home",
        Nobody,
        "a rule that asks wherever the source is",
        Code::AssessmentMissing,
        |c| {
            everywhere(c);
            c.world.remove("assessment");
        },
    ),
    Attack::new(
        "expired-between-crossing-and-shipment",
        Nobody,
        "a rule that asks at the shipment's date",
        Code::AssessmentExpired,
        |c| {
            everywhere(c);
            c.world.node("assessment").terms().valid_to = Some(date("2026-05-25"));
        },
    ),
    Attack::new(
        "laundered-by-transit",
        Exporter,
        "by way of a third country, on no basis",
        Code::AssessmentDestination,
        |c| {
            transit(c, None);
        },
    ),
    Attack::new(
        "laundered-by-exempt-transit",
        Exporter,
        "exempt to France, then not assessed to Germany",
        Code::AssessmentDestination,
        |c| {
            c.buyer.roles("maker", r#""commit", "grade", "ship", "exempt""#);
            c.world.node("assessment").terms().destinations = Destinations::Only(vec![country("FR")]);
            transit(c, Some("foreign-origin-transit"));
        },
    ),
    Attack::new("exempt", Nobody, "an exempt basis, by somebody with the role for it", Code::Exempt, |c| {
        c.buyer.roles("maker", r#""commit", "grade", "ship", "exempt""#);
        c.world.remove("assessment");
        c.world.node("train").core.basis = Some(word("foreign-origin-transit"));
    })
    .met(),
    Attack::new(
        "exempt-without-role",
        Exporter,
        "an exempt basis without the role for it",
        Code::ExemptUnauthorised,
        |c| {
            c.world.remove("assessment");
            c.world.node("train").core.basis = Some(word("foreign-origin-transit"));
        },
    )
    .also(&[Code::AssessmentMissing])
    .verdict(Verdict::TracedUnassessed)
    .warned(),
    Attack::new(
        "basis-that-exempts-nothing",
        Exporter,
        "another basis than the policy exempts",
        Code::AssessmentMissing,
        |c| {
            c.buyer.roles("maker", r#""commit", "grade", "ship", "exempt""#);
            c.world.remove("assessment");
            c.world.node("train").core.basis = Some(word("other"));
        },
    ),
    Attack::new(
        "generated-abroad",
        Exporter,
        "a step at home that leaves its output in Germany",
        Code::AssessmentMissing,
        |c| {
            c.world.remove("assessment");
            for name in ["features", "generate", "rows"] {
                c.world.node(name).core.country = Some(country("DE"));
            }
        },
    ),
    Attack::new(
        "distilled-from-a-model",
        Exporter,
        "synthetic data out of a model, to hide what that was trained on",
        Code::AssessmentMissing,
        |c| {
            c.world.remove("assessment");
            c.world.node("train").core.country = Some(country("CN"));
            c.world.node("grasp-fp32").core.country = Some(country("CN"));
            c.world.node("quantise").links = vec![Link::new(Role::Used, "dreams")];
            c.world.node("quantise").core.date = Some(date("2026-05-26"));
            let step = NodeSpec::step("dream", Activity::Synthetic, ("CN", "2026-05-21"), &["grasp-fp32"]);
            let data = NodeSpec::dataset("dreams", "CN", &["visual"], Origin::Synthetic).by("dream");
            c.world.insert_before("quantise", step);
            c.world.insert_before("quantise", data);
        },
    ),
];

const SUCCESSORS: &[Attack] = &[
    Attack::new(
        "successor-from-abroad",
        Exporter,
        "data at home is superseded by unassessed data in China",
        Code::AssessmentMissing,
        |c| {
            c.world.insert_before("camera", NodeSpec::source("at-home", "DE", "visual", "general"));
            c.world.insert_before("camera", NodeSpec::source("abroad", "CN", "visual", "important"));
            c.world.node("train").links.push(Link::new(Role::Used, "at-home"));
            supersede(c, 1, "at-home", "abroad");
        },
    ),
    Attack::new(
        "successor-of-a-successor-from-abroad",
        Exporter,
        "data at home is superseded by data at home, and that by unassessed data in China",
        Code::AssessmentMissing,
        |c| {
            c.world.insert_before("camera", NodeSpec::source("at-home", "DE", "visual", "general"));
            c.world.insert_before("camera", NodeSpec::source("at-home-2", "DE", "visual", "general"));
            c.world.insert_before("camera", NodeSpec::source("abroad", "CN", "visual", "important"));
            c.world.node("train").links.push(Link::new(Role::Used, "at-home"));
            supersede(c, 1, "at-home", "at-home-2");
            let status = NodeSpec::status("mark-2", Mark::Supersede, "at-home-2", "2026-05-21").successor("abroad");
            c.world.mark(1, "maker", status);
        },
    ),
    Attack::new(
        "model-superseded-from-abroad",
        Exporter,
        "the shipped model is superseded by one made in China of core data",
        Code::AssessmentMissing,
        |c| {
            let source = NodeSpec::source("abroad", "CN", "visual", "core");
            let step = NodeSpec::step("train-abroad", Activity::Training, ("CN", "2026-05-28"), &["abroad"]);
            let model = NodeSpec::model("made-abroad", "CN").by("train-abroad");
            c.world.record(0, 2, "maker", vec![source, step, model]);
            supersede(c, 2, "grasp-int8", "made-abroad");
        },
    ),
    Attack::new(
        "step-superseded-from-abroad",
        Exporter,
        "the training is superseded by one in China on core data",
        Code::AssessmentMissing,
        |c| {
            c.world.insert_before("train", NodeSpec::source("abroad", "CN", "visual", "core"));
            let step = NodeSpec::step("train-abroad", Activity::Training, ("CN", "2026-05-28"), &["abroad"]);
            c.world.record(0, 2, "maker", vec![step]);
            supersede(c, 2, "train", "train-abroad");
        },
    ),
    Attack::new(
        "model-superseded-from-abroad-before-it-ships",
        Exporter,
        "without a shipment yet, the model is superseded by one made in China of core data",
        Code::AssessmentMissing,
        |c| {
            let source = NodeSpec::source("abroad", "CN", "visual", "core");
            let step = NodeSpec::step("train-abroad", Activity::Training, ("CN", "2026-05-28"), &["abroad"]);
            let model = NodeSpec::model("made-abroad", "CN").by("train-abroad");
            c.world.record(0, 2, "maker", vec![source, step, model]);
            supersede(c, 2, "grasp-int8", "made-abroad");
            c.world.root = "grasp-int8".into();
        },
    )
    .also(&[Code::NoShipment]),
    Attack::new(
        "assessment-superseded-by-a-refusal",
        Exporter,
        "an assessment is superseded by one whose result is no",
        Code::AssessmentRefused,
        |c| {
            let mut worse = NodeSpec::assessment("worse", Some("office"), &["tactile"], &["visual"]);
            worse.terms().outcome = Outcome::Refused;
            c.world.record(0, 1, "maker", vec![worse]);
            supersede(c, 1, "assessment", "worse");
        },
    ),
    Attack::new(
        "assessment-superseded-by-one-of-other-data",
        Exporter,
        "an assessment is superseded by one that does not open this data",
        Code::AssessmentMissing,
        |c| {
            let other = NodeSpec::assessment("other", Some("office"), &["tactile"], &["visual"]);
            c.world.record(0, 1, "maker", vec![other]);
            supersede(c, 1, "assessment", "other");
        },
    ),
    Attack::new(
        "laundered-by-work-in-between",
        Exporter,
        "foreign data is worked on in China, and goes to Germany by way of France",
        Code::AssessmentDestination,
        |c| {
            transit(c, None);
            c.world.node("camera").core.country = Some(country("US"));
            c.world.node("anonymise").core.date = Some(date("2026-04-14"));
            let terms = c.world.node("assessment").terms();
            terms.destinations = Destinations::Only(vec![country("CN"), country("FR")]);
        },
    ),
    Attack::new(
        "streams-of-a-model",
        Assessor,
        "an assessment of some streams opens a model, which has none",
        Code::AssessmentMissing,
        whole_model_with_streams,
    ),
    Attack::new(
        "streams-of-what-lies-behind",
        Assessor,
        "what crosses is assessed for its streams, and a source behind it hides its own",
        Code::AssessmentMissing,
        whole_with_streams,
    ),
];
