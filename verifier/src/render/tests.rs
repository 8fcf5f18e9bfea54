//! Reports of every shape, against the published schema and against terminals.

use alloc::{format, string::String, vec, vec::Vec};

use griptrace_core::{
    date::Date,
    digest::Digest,
    id::{KeyId, NodeId},
    word::{Country, Word},
};
use serde_json::{Map, Value};

use super::{causes, could_not_check, json, json_text, line, meaning, plain, words};
use crate::{
    finding::{Code, Finding, Severity, Verdict, When},
    report::{
        AssessmentReport, CrossingReport, DetailReport, GrowthReport, Judgement, KeyReport, LogReport, ModelReport,
        PartyReport, PolicyName, Report, ShipmentReport, SourceReport, Strength, TimeFrom,
    },
};

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn node(byte: u8) -> NodeId {
    NodeId::new(digest(byte))
}

fn word(text: &str) -> Word {
    Word::parse(text).unwrap()
}

fn source(byte: u8) -> SourceReport {
    SourceReport {
        hidden: false,
        id: node(byte),
        name: Some("plant-7-wrist-camera".into()),
        modality: vec![word("visual")],
        origin: "collected".into(),
        held: "origin-only".into(),
        grade: Some(word("general")),
        effective_grade: "important".into(),
        country: Country::parse("CN"),
        in_scope: true,
        assessment: Some(AssessmentReport {
            id: node(9),
            strength: Strength::Signed,
            scheme: word("security-assessment"),
            issuer: Some("Assessment Office".into()),
            valid_from: Date::parse("2026-01-01").unwrap(),
            valid_to: Date::parse("2029-01-01"),
            stated_to: Date::parse("2029-01-01"),
            cut: None,
            subject: node(byte),
        }),
        assessment_at_shipment: None,
        at_shipment: Verdict::TracedAssessed,
        now: Verdict::TracedAssessed,
        log: "log.example/1".into(),
        party: "Maker".into(),
    }
}

fn crossing() -> CrossingReport {
    CrossingReport {
        node: node(3),
        name: Some("camera-anonymised".into()),
        by: node(4),
        from: Country::parse("CN"),
        to: Country::parse("DE"),
        date: Date::parse("2026-05-20"),
        basis: Some(word("assessed")),
        required: 1,
        covered: 1,
        party: "Maker".into(),
    }
}

fn party(name: &str) -> PartyReport {
    PartyReport { name: name.into(), nodes: 3, kinds: vec![("dataset".into(), 2), ("model".into(), 1)] }
}

fn finding(code: Code) -> Finding {
    let text = "at 1 of 2 places".into();
    Finding { code, severity: code.severity(), node: Some(node(1)), when: When::Now, text }
}

/// A report in which every list has something and every option is there.
fn full() -> Report {
    let time = Some(1_780_000_000);
    Report {
        bundle_digest: digest(1),
        verdict: Verdict::TracedAssessed,
        policy_met: true,
        at_shipment: Judgement { verdict: Verdict::TracedAssessed, time, time_from: TimeFrom::Witnesses },
        now: Judgement { verdict: Verdict::TracedAssessed, time, time_from: TimeFrom::Buyer },
        policy: PolicyName { id: "cn".into(), version: "2026-05".into(), status: "reference".into() },
        logs: vec![LogReport {
            origin: "log.example/1".into(),
            size: 42,
            cosigned_by: vec!["w1".into(), "w2".into()],
            map_by: vec!["w2".into()],
            time,
            as_of: Some(1_780_100_000),
            time_from: TimeFrom::Witnesses,
            parties: ["Maker", "Supplier"].map(party).into(),
        }],
        model: ModelReport {
            nodes: vec![node(2)],
            names: vec!["grasp-int8".into()],
            digest: Some(digest(5)),
            files: 3,
            matched: Some(true),
        },
        shipment: Some(ShipmentReport {
            id: node(6),
            date: Date::parse("2026-06-01"),
            destination: Country::parse("DE"),
            consignee: Some("Muster GmbH".into()),
        }),
        sources: vec![source(1)],
        crossings: vec![crossing()],
        details: vec![DetailReport { node: node(1), name: "device".into(), value: "wrist camera A".into() }],
        findings: vec![finding(Code::MapUnwitnessed), finding(Code::WeakDigest)],
        keys: vec![KeyReport { party: "Maker".into(), role: "committer".into(), key: KeyId::new(digest(8)) }],
        history: vec![GrowthReport { origin: "log.example/1".into(), from_size: 20, to_size: 42 }],
        updated_with: vec![digest(10)],
        nodes: 12,
    }
}

/// A report in which whatever can be missing is.
fn bare() -> Report {
    let nothing = Judgement { verdict: Verdict::Broken, time: None, time_from: TimeFrom::Nothing };
    let hidden = SourceReport {
        name: None,
        hidden: true,
        modality: vec![],
        grade: None,
        country: None,
        assessment: None,
        in_scope: false,
        at_shipment: Verdict::GradeUndetermined,
        ..source(1)
    };
    let ended = source(2).assessment.map(|found| AssessmentReport {
        issuer: None,
        valid_to: None,
        stated_to: None,
        strength: Strength::Stated,
        ..found
    });
    Report {
        verdict: Verdict::Broken,
        policy_met: false,
        at_shipment: nothing.clone(),
        now: nothing,
        logs: vec![LogReport {
            time: None,
            as_of: None,
            cosigned_by: vec![],
            map_by: vec![],
            time_from: TimeFrom::Operator,
            parties: Vec::new(),
            ..full().logs[0].clone()
        }],
        model: ModelReport { nodes: vec![], names: vec![], digest: None, files: 0, matched: None },
        shipment: None,
        sources: vec![SourceReport { assessment: ended, ..source(2) }, hidden],
        crossings: vec![CrossingReport { name: None, from: None, to: None, date: None, basis: None, ..crossing() }],
        findings: vec![Finding { node: None, when: When::Always, ..finding(Code::BundleMalformed) }],
        nodes: 0,
        ..full()
    }
}

// --- JSON ---

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/spec/report.schema.json")).unwrap()
}

/// Checks a value against the part of JSON Schema that the published schema uses, strictly: a
/// keyword that this check does not know fails it.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = schema.as_object().unwrap();
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "additionalProperties" => {}
            "$ref" => {
                let path = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(path).unwrap(), value, at)?;
            }
            "const" if value == wanted => {}
            "enum" if wanted.as_array().unwrap().contains(value) => {}
            "type" if has_type(wanted, value) => {}
            "pattern" => check_pattern(wanted.as_str().unwrap(), value, at)?,
            "minimum" if value.as_u64() >= wanted.as_u64() => {}
            "oneOf" => {
                let fits: Vec<_> = wanted.as_array().unwrap().iter().map(|s| check(root, s, value, at)).collect();
                let count = fits.iter().filter(|fit| fit.is_ok()).count();
                if count != 1 {
                    return Err(format!("{at} fits {count} of oneOf: {fits:?}"));
                }
            }
            "required" => {
                let missing = |name: &&Value| value.get(name.as_str().unwrap()).is_none();
                if let Some(name) = wanted.as_array().unwrap().iter().find(missing) {
                    return Err(format!("{at} has no {name}"));
                }
            }
            "properties" => check_properties(root, schema, wanted.as_object().unwrap(), value, at)?,
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{at}/{i}"))?;
                }
            }
            _ => return Err(format!("{at}: {keyword} {wanted} does not hold of {value}")),
        }
    }
    Ok(())
}

fn check_properties(
    root: &Value,
    schema: &Map<String, Value>,
    properties: &Map<String, Value>,
    value: &Value,
    at: &str,
) -> Result<(), String> {
    assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{at} is closed");
    for (name, field) in value.as_object().into_iter().flatten() {
        let of = properties.get(name).ok_or(format!("{at} has the unknown field {name}"))?;
        check(root, of, field, &format!("{at}/{name}"))?;
    }
    Ok(())
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    wanted.as_str().map_or_else(|| wanted.as_array().unwrap().iter().any(|name| is(name.as_str().unwrap())), is)
}

/// Knows the patterns of the schema by heart.
fn check_pattern(pattern: &str, value: &Value, at: &str) -> Result<(), String> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let fits = match pattern {
        "^[0-9a-f]{64}$" => text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
        "^[A-Z]{2}$" => Country::parse(text).is_some(),
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" => Date::parse(text).is_some(),
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$" => {
            text.len() == 20 && text.ends_with('Z') && Date::parse(&text[..10]).is_some()
        }
        _ => return Err(format!("{at}: this check does not know the pattern {pattern}")),
    };
    if fits { Ok(()) } else { Err(format!("{at}: {text:?} is not {pattern}")) }
}

#[track_caller]
fn assert_valid(value: &Value) {
    assert_eq!(check(&schema(), &schema(), value, ""), Ok(()));
}

#[test]
fn reports_follow_the_published_schema() {
    for mut value in [json(&full()), json(&bare())] {
        assert_valid(&value);
        value["file"] = "a.griptrace".into();
        assert_valid(&value);
        value["more"] = Value::Null;
        assert!(check(&schema(), &schema(), &value, "").is_err(), "the schema is closed");
    }
    assert_valid(&could_not_check("a", "not a bundle"));
    let mut value = json(&full());
    value["findings"][0]["severity"] = "fatal".into();
    assert!(check(&schema(), &schema(), &value, "").is_err());
}

#[test]
fn the_schema_has_no_field_that_reports_lack() {
    let (schema, report) = (schema(), json(&full()));
    let same = |definition: &str, value: &Value| {
        let properties = schema["$defs"][definition]["properties"].as_object().unwrap();
        let names: Vec<_> = properties.keys().filter(|name| *name != "file").collect();
        assert_eq!(names, value.as_object().unwrap().keys().collect::<Vec<_>>(), "{definition}");
    };
    same("report", &report);
    same("judgement", &report["now"]);
    same("policy", &report["policy"]);
    same("log", &report["logs"][0]);
    same("model", &report["model"]);
    same("shipment", &report["shipment"]);
    same("source", &report["sources"][0]);
    same("assessment", &report["sources"][0]["assessment"]);
    same("crossing", &report["crossings"][0]);
    same("detail", &report["details"][0]);
    same("finding", &report["findings"][0]);
    same("key", &report["keys"][0]);
}

#[test]
fn the_schema_knows_the_words() {
    let schema = schema();
    let listed = |path: &str| schema.pointer(path).unwrap()["enum"].as_array().unwrap().clone();
    assert_eq!(listed("/$defs/verdict"), Verdict::ALL.map(|verdict| Value::from(verdict.as_str())));
    let whens = [When::Always, When::AtShipment, When::Now].map(|when| Value::from(when.as_str()));
    assert_eq!(listed("/$defs/finding/properties/when"), whens);
}

#[test]
fn json_text_reads_back_and_hides_nothing() {
    let value = Value::String("a\u{1b}[2J\u{202e}b\u{feff}\u{e0001}\u{85}ü".into());
    let text = json_text(&value);
    assert_eq!(text, "\"a\\u001b[2J\\u202eb\\ufeff\\udb40\\udc01\\u0085ü\"");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
}

// --- Words ---

#[test]
fn a_report_says_the_verdict_first_and_what_it_does_not_show() {
    let text = words(&full(), false);
    let line = "newest head at 2026-05-28T20:26:40Z, current as of 2026-05-30T00:13:20Z (by the witnesses' clocks), cosigned \
                by w1, w2; status map recomputed by w2";
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(line), "{text}");
    assert!(text.starts_with("TRACED_ASSESSED: the policy is met\n"), "{text}");
    for part in [
        "a reference, not law",
        "2026-06-01 to DE, consignee \"Muster GmbH\"",
        "what you have is what shipped",
        "\"plant-7-wrist-camera\"",
        "signed by Assessment Office",
        "2026-01-01 to 2029-01-01",
        "Never left its site, known by digest only: 010101010101",
        "important",
        "FINDINGS: 0 errors, 1 warning, 1 note",
        "by the witnesses' clocks",
        "The key of committer Maker",
        "That a statement is true.",
        "that is the log operator's claim alone",
        "the policy is a reference, and not law",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.find("weak-digest") < text.find("map-unwitnessed"), "the heaviest first");
    assert!(!text.contains("It means:") && !text.contains("wrist camera A"));
    let explained = words(&full(), true);
    assert!(explained.contains("It means: ") && explained.contains("To clear: "));
    assert!(explained.contains("device = wrist camera A"));
}

#[test]
fn a_log_that_did_not_grow_is_not_said_to_have_grown() {
    let mut report = full();
    let said = |report: &Report| words(report, false).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said(&report).contains("grew from size 20 to size 42"), "{}", said(&report));
    report.history = vec![GrowthReport { origin: "log.example/1".into(), from_size: 42, to_size: 42 }];
    let same = said(&report);
    assert!(
        same.contains("log.example/1 has size 42, as in what you compared it with") && !same.contains("grew"),
        "{same}"
    );
}

#[test]
fn a_report_without_anything_says_so() {
    let text = words(&bare(), true);
    assert!(text.contains("cosigned by no witness of yours; status map recomputed by no witness of yours"), "{text}");
    assert!(text.starts_with("BROKEN: the policy is NOT met\n"), "{text}");
    for part in [
        "Errors found: bundle-malformed.",
        "Anything: the evidence does not hold together",
        "nothing of yours was compared",
        "not disclosed",
        "none is shown",
        "stated by the committer",
        "no end",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let undetermined = text.find("GRADE_UNDETERMINED").unwrap();
    assert!(undetermined < text.find("stated by the committer").unwrap(), "the worst source first");
    let empty = Report {
        sources: vec![],
        crossings: vec![],
        details: vec![],
        findings: vec![],
        keys: vec![],
        logs: vec![],
        ..bare()
    };
    assert!(words(&empty, false).contains("SOURCES (0)\n  none shown"));
}

#[test]
fn a_name_with_quotation_marks_is_shown_as_it_can_be_given_back() {
    let name = "\"Muster\" \\ Ü\"";
    let mut report = full();
    report.shipment.as_mut().unwrap().consignee = Some(name.into());
    report.sources[0].name = Some(name.into());
    report.details = vec![DetailReport { node: node(4), name: "name".into(), value: name.into() }];
    let text = words(&report, true);
    let shown = r#""\"Muster\" \\ Ü\"""#;
    assert!(text.contains(&format!("consignee {shown}\n")), "{text}");
    let crossing = format!("{} {shown}", super::safe::short(&node(4)));
    assert!(text.contains(&crossing) && text.matches(shown).count() > 2, "{text}");
    // None of it ends the quotation before its end, also where it is cut.
    for length in 1..12 {
        let cut = super::safe::quoted(name, length);
        let inner = cut.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let mut escaped = false;
        for c in inner.chars() {
            assert!(c != '"' || escaped, "{cut}");
            escaped = c == '\\' && !escaped;
        }
        assert!(!escaped, "{cut}");
    }
}

#[test]
fn nothing_of_a_pre_check_is_said_to_have_shipped() {
    let of = |matched, findings: &[Finding]| Report {
        shipment: None,
        findings: [&[Finding { when: When::AtShipment, ..finding(Code::NoShipment) }], findings].concat(),
        model: ModelReport { matched, ..full().model },
        ..full()
    };
    let partly = [finding(Code::ModelPartlyChecked)];
    for (matched, more, said) in [
        (Some(true), &[][..], "what you have is the model of this pre-check"),
        (Some(true), &partly[..], "what you have is one of the files of this model; the others were NOT compared"),
        (Some(false), &[][..], "what you have is NOT the model of this pre-check"),
        (None, &[][..], "nothing of yours was compared"),
    ] {
        let report = of(matched, more);
        let text = words(&report, false) + &causes(&report).join("\n");
        let in_one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(in_one_line.contains(said), "{text}");
        let shipped: Vec<&str> =
            ["shipped", "did not ship", "at shipment"].into_iter().filter(|w| text.contains(w)).collect();
        assert!(shipped.is_empty(), "{shipped:?}\n{text}");
        for part in
            ["  recorded     TRACED", "when recorded and now", "[when recorded]", "none yet: this is a pre-check"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

#[test]
fn no_text_of_a_bundle_can_look_like_a_line_of_the_report() {
    let evil = "x\nTRACED_ASSESSED: the policy is met\r\u{1b}[2K\u{9b}1A\u{202e}\u{2066}\u{200f}\u{feff}\u{2028}\t";
    let long = format!("{evil}{}VERDICT", " ".repeat(500));
    let mut report = bare();
    report.sources[0].name = Some(long.clone());
    report.crossings[0].name = Some(long.clone());
    report.findings[0].text = format!("{long}{}", "y".repeat(10_000));
    report.model.names = vec![long.clone()];
    report.logs[0].origin = long.clone();
    report.shipment = Some(ShipmentReport { consignee: Some(long.clone()), ..full().shipment.unwrap() });
    report.details = vec![DetailReport { node: node(1), name: long.clone(), value: long.clone() }];
    let text = words(&report, true) + &line(&report, &long);
    assert!(text.chars().all(|c| c == '\n' || !super::safe::is_unseen(c)), "{text:?}");
    assert_eq!(text.lines().filter(|line| line.starts_with("TRACED")).count(), 0, "{text}");
    assert_eq!(text.lines().next(), Some("BROKEN: the policy is NOT met"));
    assert!(text.lines().filter(|line| line.contains('y')).all(|line| super::safe::width(line) <= 200));
    assert!(text.len() < 12_000, "{}", text.len());
}

#[test]
fn text_is_escaped_and_cut() {
    assert_eq!(plain("a \u{a0} b\u{3000}", 20), "a b");
    assert_eq!(plain("a\u{200b}b\n", 20), "a\\u{200b}b\\u{a}");
    assert_eq!(plain("abcdefghij", 10), "abcdefghij");
    assert_eq!(plain("abcdefghijk", 10), "abcdefg...");
    assert_eq!(plain("视觉数据", 20), "视觉数据");
    assert_eq!(super::safe::width("视觉 a"), 6);
    assert_eq!(super::safe::wrapped("aaa bb 视觉视觉", 5), ["aaa", "bb", "视觉", "视觉"]);
    assert_eq!(super::safe::iso(1_780_000_000), "2026-05-28T20:26:40Z");
}

#[test]
fn many_findings_of_one_kind_are_counted() {
    let mut report = full();
    report.findings = (0..25).map(|_| finding(Code::WeakDigest)).collect();
    let text = words(&report, false);
    assert_eq!(text.matches("weak-digest").count(), 1);
    assert_eq!(text.matches("at 1 of 2 places").count(), 10);
    assert!(text.contains("and 15 more, all of them with --json"));
}

#[test]
fn causes_are_told_once_with_their_count_and_the_records_by_name() {
    let at = |when, byte: u8| Finding { when, node: Some(node(byte)), ..finding(Code::Withdrawn) };
    let two = (1..3).flat_map(|byte| [at(When::AtShipment, byte), at(When::Now, byte)]);
    let many = (1..14).map(|byte| Finding { when: When::Always, ..at(When::Now, byte) });
    let many = many.map(|one| Finding { code: Code::WeakDigest, severity: Severity::Warning, ..one });
    let report =
        Report { findings: [finding(Code::LicenceForbids)].into_iter().chain(many).chain(two).collect(), ..full() };
    let lines = causes(&report);
    let id = super::safe::short(&node(1));
    assert_eq!(lines[0], format!("licence-forbids (error): {id} \"plant-7-wrist-camera\": at 1 of 2 places [now]"));
    assert_eq!(lines[1], "withdrawn (error), 2 times:");
    assert_eq!(lines[2], format!("  {id} \"plant-7-wrist-camera\": at 1 of 2 places [at shipment and now]"));
    assert_eq!(lines[4], "weak-digest (warning), 13 times:");
    assert_eq!((lines.len(), lines[15].as_str()), (16, "  and 3 more"));
}

#[test]
fn a_verdict_that_no_source_has_is_said_to_be_none_of_theirs() {
    let line = "  WITHDRAWN is not of a source: FINDINGS say what of\n";
    let report = Report { verdict: Verdict::Withdrawn, policy_met: false, ..full() };
    assert!(words(&report, false).contains(line));
    let withdrawn = SourceReport { now: Verdict::Withdrawn, ..source(1) };
    assert!(!words(&Report { sources: vec![withdrawn], ..report }, false).contains(line));
    assert!(!words(&full(), false).contains("is not of a source"));
}

#[test]
fn one_line_names_verdict_file_and_worst_findings() {
    let mut report = bare();
    report.findings =
        [Code::Stale, Code::Stale, Code::WeakDigest, Code::Withdrawn, Code::Recalled, Code::MapUnwitnessed]
            .map(finding)
            .into();
    let expected = "BROKEN                      not met  a.griptrace  stale, weak-digest, withdrawn and 1 more";
    assert_eq!(line(&report, "a.griptrace"), expected);
}

#[test]
fn every_code_is_explained() {
    for code in Code::ALL {
        let found = meaning(*code).unwrap_or_else(|| panic!("{code} is not explained"));
        assert!(found.means.ends_with('.') && found.clear.ends_with('.'), "{code}");
    }
}

#[test]
fn severities_weigh_as_their_order_says() {
    assert!(Severity::Error > Severity::Warning && Severity::Warning > Severity::Note);
}

#[test]
fn who_vouches_for_what_is_said_where_there_are_several() {
    let report = full();
    let page = words(&report, false);
    assert!(
        page.contains("WHO VOUCHES FOR WHAT") && page.contains("Supplier vouches for 3 records: 2 dataset, 1 model")
    );
    let mut alone = report;
    alone.logs[0].parties.truncate(1);
    assert!(!words(&alone, false).contains("WHO VOUCHES"));
}
