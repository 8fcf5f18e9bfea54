//! A test a rule of the protocol: it fails when the rule is taken out of the code.
//!
//! Each names lies of the catalogue that only this rule meets, and shows that the honest case
//! beside them is accepted.

use griptrace_core::{
    id::NodeId,
    node::{Mark, Role},
};
use griptrace_verifier::{
    finding::{Code, Verdict, When},
    policy,
    question::ModelInHand,
    render, trust,
};

use crate::attacks::catalogue;
use crate::world::{Buyer, Case, Link, NodeSpec, country, date, told};

/// Checks lies of the catalogue by name.
fn met(names: &[&str]) {
    for name in names {
        let attack = catalogue().find(|attack| attack.name == *name).unwrap_or_else(|| panic!("no lie {name}"));
        attack.check().unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}

fn accepted(make: impl FnOnce(&mut Case)) {
    let mut case = Case::honest();
    make(&mut case);
    let report = case.verify();
    assert!(report.policy_met, "{}", told(&report));
}

#[test]
fn r1_a_walk_ends_only_at_what_was_collected_or_bought() {
    met(&["walk-ends-at-derived-data", "upstream-model-without-records", "no-source-at-all"]);
    accepted(|c| c.world.node("force").core.origin = Some(griptrace_core::node::Origin::External));
}

#[test]
fn r2_outputs_sit_with_their_step() {
    met(&["output-in-another-commit", "distilled-from-a-model"]);
}

#[test]
fn r3_the_closure_is_there_and_nothing_else() {
    met(&[
        "node-omitted",
        "commit-omitted",
        "edge-to-nowhere",
        "extra-source",
        "extra-commit",
        "second-shipment",
        "root-is-an-ancestor",
        "root-is-a-dataset",
        "opening-omitted",
        "commit-without-nodes",
        "log-without-nodes",
        "successor-left-out",
        "last-byte-flipped",
    ]);
    // Lines by unknown keys are ignored.
    accepted(|c| c.world.heads().into_iter().for_each(|head| head.cosigners.push(("w9", head.time))));
}

#[test]
fn r3_of_several_assessments_the_best_counts() {
    accepted(|c| {
        let mut worse = NodeSpec::assessment("worse", Some("stranger"), &["camera", "force"], &["visual"]);
        worse.terms().valid_to = Some(date("2026-04-19"));
        c.world.record(0, 0, "maker", vec![worse]);
    });
}

/// Whose an end is, is said: the assessor signed another day than the policy counts to.
#[test]
fn an_end_by_the_policy_is_not_said_to_be_the_assessors() {
    let told_of = |make: &dyn Fn(&mut Case)| {
        let mut case = Case::honest();
        case.world.node("assessment").terms().valid_to = Some(date("2099-12-31"));
        make(&mut case);
        let report = case.verify();
        let words = render::words(&report, false).split_whitespace().collect::<Vec<_>>().join(" ");
        (report, words)
    };
    let (report, words) = told_of(&|_| ());
    assert!(words.contains("valid 2026-04-18 to 2099-12-31, but only to 2029-04-18 by the policy"), "{words}");
    let covers = report.sources.iter().filter_map(|source| source.assessment.as_ref());
    assert!(covers.clone().any(|cover| cover.valid_to == Some(date("2029-04-18"))), "what counts is in the report");
    let (report, words) = told_of(&|c| c.buyer.policy("validity = \"3y\"", "validity = \"99y\""));
    assert!(words.contains("valid 2026-04-18 to 2099-12-31 ") && report.policy_met, "its own end: {words}");
    let (report, words) = told_of(&|c| {
        c.buyer.policy("validity = \"3y\"", "validity = \"40d\"");
        c.buyer.question.now = date("2026-09-01");
    });
    let lapsed = "has lapsed since, on 2026-05-28 by the policy";
    assert!(report.findings.iter().any(|f| f.text.ends_with(lapsed)), "{words}");
    let (report, words) = told_of(&|c| c.buyer.policy("validity = \"3y\"", "validity = \"1m\""));
    let expired =
        "valid to 2026-05-18 by the policy, whose validity is 1m; by itself to 2099-12-31, needed on 2026-05-20";
    let found = report.findings.iter().any(|f| f.code == Code::AssessmentExpired && f.text.contains(expired));
    assert!(found, "{words}");
}

/// An assessment that another one takes the place of counts no longer than that.
#[test]
fn an_end_by_what_took_its_place_is_said_to_be_that() {
    let mut case = Case::honest();
    let mut successor = NodeSpec::assessment("renewed", Some("office"), &["camera", "camera-anonymised"], &["visual"]);
    successor.terms().valid_to = Some(date("2027-01-01"));
    case.world.record(0, 0, "maker", vec![successor]);
    let mark = NodeSpec::status("mark", Mark::Supersede, "assessment", "2026-04-20").successor("renewed");
    case.world.mark(1, "maker", mark);
    let words = render::words(&case.verify(), false).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("2028-04-17, but only to 2027-01-01 by what took its place"), "{words}");
}

/// Where a rule accepts no scheme, nobody is sent to an assessor.
#[test]
fn where_no_scheme_suffices_it_is_said() {
    for (name, code) in [("assessment-of-another-scheme", Code::AssessmentScheme), ("honest", Code::AssessmentScheme)] {
        let mut case =
            catalogue().find(|attack| attack.name == name).map_or_else(Case::honest, crate::attacks::Attack::case);
        case.buyer.policy("any_of = [\"security-assessment\"]", "any_of = []");
        let report = case.verify();
        let said = report.findings.iter().filter(|f| f.code == code).collect::<Vec<_>>();
        let nothing =
            |f: &&griptrace_verifier::finding::Finding| f.text.contains("no assessment of any scheme suffices");
        assert!(!said.is_empty() && said.iter().all(nothing), "{name}: {}", told(&report));
    }
    let other = catalogue().find(|attack| attack.name == "assessment-of-another-scheme").unwrap().case().verify();
    assert!(other.findings.iter().all(|f| !f.text.contains("suffices")), "{}", told(&other));
}

#[test]
fn r4_marks_are_shown_count_and_are_never_hidden() {
    met(&[
        "withdrawal-left-out",
        "older-map",
        "map-without-the-mark",
        "withdrawn-then-superseded",
        "source-withdrawn",
        "shipment-recalled",
        "source-refused",
        "superseded-by-worse",
        "superseded-by-unassessed",
        "superseded-by-another-ancestry",
        "regrade-without-role",
        "source-raised",
        "derived-data-raised",
        "mark-by-a-stranger",
        "assessment-withdrawn-in-trust-file",
        "withdrawn-and-recorded-anew",
        "withdrawal-on-the-second-record",
        "raised-and-lowered-by-a-stranger",
        "recall-behind-a-correction",
        "withdrawn-in-the-middle-of-a-chain",
        "regrade-by-a-retired-role",
        "copied-to-withdraw-it",
    ]);
}

#[test]
fn r4_several_statuses_are_read_in_the_order_of_the_log() {
    // Raised, lowered by somebody who may, raised again: the last that counts stands, whoever looks at which first.
    let grade = |last: &[(&'static str, &str)]| {
        let mut case = Case::honest();
        for (number, (by, grade)) in last.iter().enumerate() {
            let name = format!("mark-{number}");
            let status = NodeSpec::status(&name, Mark::Reclassify, "camera", "2026-05-21").graded(grade);
            case.world.mark(1, by, status);
        }
        let report = case.verify();
        let camera = report.sources.iter().find(|source| source.name.as_deref() == Some("camera"));
        camera.expect("it is a source").effective_grade.clone()
    };
    assert_eq!(grade(&[("maker", "core")]), "core");
    assert_eq!(grade(&[("maker", "core"), ("authority", "general")]), "general");
    assert_eq!(grade(&[("authority", "general"), ("maker", "core")]), "core");
    assert_eq!(grade(&[("authority", "general"), ("maker", "core"), ("clerk", "general")]), "core");
    assert_eq!(grade(&[("authority", "general"), ("maker", "core"), ("authority", "important")]), "important");
}

#[test]
fn r4_what_an_authority_lowered_while_it_might_stays_lowered() {
    accepted(|c| {
        let public = griptrace_core::key::Signer::public_key(&crate::world::key("authority"));
        c.buyer.roles("authority", r#""commit""#);
        c.buyer.trust_also(&format!(
            "[[committer]]\nname = \"authority\"\nkey = \"{public}\"\nto = 2026-06-02\nroles = [\"regrade\"]\n"
        ));
        let status = NodeSpec::status("mark", Mark::Reclassify, "camera", "2026-05-21").graded("general");
        c.world.mark(1, "authority", status);
    });
}

#[test]
fn r4_a_long_chain_of_corrections_hides_no_grade() {
    let mut case = Case::honest();
    let mut last = String::from("force");
    let names: Vec<String> = (0..70).map(|number| format!("force-{number}")).collect();
    for name in &names {
        let grade = if name == "force-69" { "core" } else { "general" };
        case.world.record(0, 1, "maker", vec![NodeSpec::source(name, "CN", "force-torque", grade)]);
        let status = NodeSpec::status(&format!("mark-{name}"), Mark::Supersede, &last, "2026-05-21").successor(name);
        case.world.mark(1, "maker", status);
        last.clone_from(name);
    }
    let report = case.verify();
    let force = report.sources.iter().find(|source| source.name.as_deref() == Some("force")).expect("it is a source");
    assert_eq!(force.effective_grade, "core");
    assert!(!report.policy_met);
}

#[test]
fn r4_corrections_in_a_circle_come_to_rest() {
    let mut case = Case::honest();
    case.world.record(0, 1, "maker", vec![NodeSpec::source("force-2", "CN", "force-torque", "core")]);
    for (name, from, to) in [("mark", "force", "force-2"), ("mark-2", "force-2", "force")] {
        case.world.mark(1, "maker", NodeSpec::status(name, Mark::Supersede, from, "2026-05-21").successor(to));
    }
    let report = case.verify();
    assert!(report.sources.iter().filter(|source| source.effective_grade == "core").count() == 2, "{}", told(&report));
}

#[test]
fn r5_records_count_in_their_home_and_assessments_everywhere() {
    met(&[
        "commit-for-another-home",
        "node-for-another-home",
        "source-for-another-home",
        "assessment-for-another-log",
        "edge-names-another-log",
        "foreign-parent-not-shown",
        "assessor-status-log-missing",
        "withdrawal-recorded-in-another-log",
        "withdrawal-in-a-log-that-is-not-asked",
        "withdrawn-by-its-assessor-on-another-record",
        "assessment-withdrawn-in-another-log",
        "source-marked-in-another-log",
    ]);
    accepted(|c| {
        c.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
        c.world.node("train").links.push(Link::new(Role::Used, "bought"));
    });
    // A log that nobody asks about another company's assessment says nothing of it, which is no fault.
    accepted(|c| {
        c.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
        c.world.node("train").links.push(Link::new(Role::Used, "bought"));
        c.world.ask_at_home_only = true;
    });
    // The assessor's own log is in the bundle, and shows that nothing was withdrawn.
    accepted(|c| {
        c.buyer.trust(
            "schemes = [\"security-assessment\"]\n",
            "schemes = [\"security-assessment\"]\nstatus_log = \"supplier.example/log\"\n",
        );
        c.world.add_supplier(Vec::new());
        c.world.logs[1].steps.remove(0);
    });
}

#[test]
fn r6_assessments_bind_what_they_say() {
    met(&[
        "assessment-signed-by-another",
        "assessment-only-stated",
        "assessment-for-another-destination",
        "assessment-for-another-purpose",
        "assessment-for-another-modality",
        "assessment-of-a-lower-grade",
        "assessment-expired",
        "streams-others",
        "subject-not-among-them",
        "subject-is-a-decoy",
    ]);
    // A bare TRACED_ASSESSED is for signatures only.
    let mut case = Case::honest();
    case.world.node("assessment-2").assessing().signer = None;
    assert_eq!(case.verify().verdict, Verdict::TracedStated);
}

#[test]
fn r7_dates_need_anchors() {
    met(&[
        "shipment-recorded-late",
        "crossing-recorded-late",
        "ancestor-recorded-after-shipment",
        "step-in-the-future",
        "operator-backdates",
        "cosignature-stripped",
        "time-of-the-operator",
        "stale",
        "old-bundle-for-new",
        "committer-expired",
    ]);
    // An older checkpoint shows that the key was good then.
    accepted(|c| c.buyer.trust("from = 2026-01-01\n", "from = 2026-01-01\nto = 2026-06-02\n"));
    // Staleness concerns only now.
    let mut case = Case::honest();
    case.buyer.question.now = date("2027-07-01");
    case.buyer.policy("judge = \"both\"", "judge = \"shipment\"");
    let report = case.verify();
    assert!(report.policy_met && report.now.verdict == Verdict::Stale, "{}", told(&report));
}

#[test]
fn r8_the_buyer_asks() {
    met(&[
        "destination-of-another-buyer",
        "destination-not-asked",
        "consignee-of-another-buyer",
        "consignee-hidden",
        "purpose-of-another-buyer",
        "shipped-without-role",
    ]);
    // One key under two names is an error of the trust file.
    let buyer = Buyer::new();
    let clerk =
        buyer.trust.split_inclusive("[[committer]]\n").find(|part| part.contains("\"clerk\"")).expect("there is one");
    let clerk = clerk.split("[[").next().unwrap_or_default().replace("\"clerk\"", "\"other clerk\"");
    let twice = format!("{}[[committer]]\n{clerk}", buyer.trust);
    assert!(trust::parse("trust.toml", &twice.replace("\"other clerk\"", "\"clerk\"")).is_ok(), "one party twice");
    assert!(trust::parse("trust.toml", &twice).is_err(), "one key under two names");
    // What the policy may not lower stays an error.
    let lowered = format!("{}[severity]\n\"destination-mismatch\" = \"note\"\n", buyer.policy);
    assert!(policy::parse("policy.toml", &lowered).is_err());
}

#[test]
fn r9_signatures_have_one_form() {
    met(&[
        "commit-signed-by-another",
        "commit-payload-changed",
        "commit-high-s",
        "commit-header-extra",
        "commit-unprotected-filled",
        "commit-untagged",
        "commit-algorithm-swapped",
        "mark-as-commit",
        "commit-as-assessment",
        "commit-home-in-header-only",
    ]);
    accepted(crate::attacks::p256_committer);
}

// R10 (re-recording) and R11 (no honest fork) are the store's: their tests go with it.

#[test]
fn r12_paths_and_folders_are_exact() {
    met(&[
        "path-upwards",
        "path-absolute",
        "path-with-nul",
        "path-with-dot",
        "path-with-empty-part",
        "path-out-of-order",
        "path-twice",
        "manifest-not-opened",
        "manifest-of-other-content",
        "model-file-too-many",
        "model-file-missing",
        "model-file-renamed",
        "one-file-of-two",
        "no-model-given",
        "two-models-of-one-path",
    ]);
    // A single file is compared by its bytes, whatever it is called here.
    accepted(|c| {
        c.world.node("grasp-int8").files.truncate(1);
        let record = crate::world::file("renamed", b"weights");
        c.buyer.question.model = ModelInHand::File(record);
    });
}

#[test]
fn r13_what_exceeds_a_limit_is_refused() {
    met(&["65-logs", "checkpoint-of-2-to-the-41", "word-too-long", "too-many-words", "detail-slot-33"]);
}

#[test]
fn time_moves_the_clock_and_hides_no_status() {
    // `--at` the day of the shipment: a mark made later counts all the same.
    let mut case = Case::honest();
    case.world.mark(3, "maker", NodeSpec::status("mark", Mark::Withdraw, "camera", "2026-06-20"));
    case.buyer.question.now = date("2026-06-02");
    let report = case.verify();
    assert!(report.findings.iter().any(|f| f.code == Code::Withdrawn) && !report.policy_met, "{}", told(&report));
}

#[test]
fn a_source_is_shown_no_better_than_what_is_found_of_it() {
    let mut worse = 0;
    for attack in catalogue() {
        let case = attack.case();
        let Ok(report) = griptrace_verifier::verify::verify(
            &case.file(),
            &case.buyer.read_trust(),
            &case.buyer.read_policy(),
            &case.buyer.question,
        ) else {
            continue;
        };
        for source in &report.sources {
            for finding in report.findings.iter().filter(|finding| finding.node == Some(source.id)) {
                let found = finding.code.verdict();
                let (then, now) = (finding.when != When::Now, finding.when != When::AtShipment);
                assert!(!then || source.at_shipment >= found, "{}: {}", attack.name, told(&report));
                assert!(!now || source.now >= found, "{}: {}", attack.name, told(&report));
            }
            worse += usize::from(source.now == Verdict::Withdrawn && source.assessment.is_some());
        }
    }
    assert!(worse > 0, "no covered source was withdrawn");
    let mut case = Case::honest();
    case.world.mark(3, "maker", NodeSpec::status("mark", Mark::Withdraw, "camera", "2026-06-20"));
    let report = case.verify();
    let camera = report.sources.iter().find(|source| source.now == Verdict::Withdrawn).unwrap();
    assert!(camera.assessment.is_some() && camera.at_shipment < Verdict::Withdrawn, "{}", told(&report));
    assert!(report.sources.iter().any(|source| source.now < Verdict::Withdrawn), "{}", told(&report));
}

#[test]
fn an_unknown_country_is_met_by_no_rule() {
    let mut case = Case::honest();
    case.world.remove("assessment");
    case.world.node("camera").core.country = None;
    case.buyer.policy += "[severity]\n\"country-undeclared\" = \"note\"\n";
    let report = case.verify();
    assert!(report.findings.iter().any(|f| f.code == Code::AssessmentMissing), "{}", told(&report));
    assert_ne!(NodeId::new(griptrace_core::digest::Digest::ZERO), report.sources[0].id);
    assert!(report.crossings.iter().all(|crossing| crossing.to == Some(country("DE"))));
}
