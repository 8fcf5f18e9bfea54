//! The inventory says under a policy what the judgement under the same policy says.

use core::ops::Deref;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::support::{Folder, objects};

const PURPOSE: &str = "train-adaptive-grasp-control";

/// Terms of an assessment that are others than what would cover.
type Changed = &'static [(&'static str, &'static str)];

/// A data set, the terms of its assessment, and what the judgement finds.
const ASSESSED: [(&str, Changed, &str); 11] = [
    ("good", &[], ""),
    ("scheme", &[("--scheme", "self-assessment")], "assessment-scheme"),
    ("low", &[("--grade", "general")], "assessment-grade"),
    ("purpose", &[("--purpose", "other")], "assessment-purpose"),
    ("modality", &[("--modality", "tactile")], "assessment-modality"),
    ("abroad", &[("--destination", "FR")], "assessment-destination"),
    ("refused", &[("--result", "refused")], "assessment-refused"),
    ("old", &[("--valid-from", "2023-01-01"), ("--valid-to", "2030-12-31")], "assessment-expired"),
    ("early", &[("--valid-from", "2031-01-01"), ("--valid-to", "2033-12-31")], "assessment-not-yet-valid"),
    ("withdrawn", &[], "assessment-withdrawn"),
    ("stated", &[], "assessment-only-stated"),
];

struct Desk(Folder);

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

fn dataset(name: &str, grade: &str) -> String {
    format!(
        "[[dataset]]\nname = \"{name}\"\norigin = \"collected\"\ncontent_held = \"destroyed\"\ncountry = \"CN\"\n\
         modality = \"visual\"\npurpose = \"{PURPOSE}\"\ngrade = \"{grade}\"\n"
    )
}

fn training(used: &str, model: &str) -> String {
    format!(
        "[[transformation]]\nkind = \"training\"\nused = [\"{used}\"]\ncountry = \"CN\"\ndate = 2026-05-01\n\
         generated = [{{ model = \"{model}\", digest = \"blake3:{:064x}\" }}]\n",
        0
    )
}

fn merge(used: &str, made: &str) -> String {
    format!(
        "[[transformation]]\nkind = \"merge\"\nused = [{used}]\ncountry = \"CN\"\ndate = 2026-04-01\ngenerated = \
         [{{ dataset = \"{made}\", content_held = \"destroyed\", modality = \"visual\", purpose = \"{PURPOSE}\" }}]\n"
    )
}

impl Desk {
    fn new(lineage: &str) -> Self {
        let desk = Self(Folder::new());
        desk.say(&["init", "--origin", "maker.example/2026", "--name", "Maker"]);
        desk.write("policy.toml", include_str!("../../policies/cn-industrial-reference.toml"));
        desk.write("lineage.toml", lineage);
        desk.say(&["record", "lineage.toml"]);
        desk.say(&["key", "new", "office.key"]);
        desk
    }

    /// Records an assessment of a data set with terms that would cover, but for those that are changed, and returns its id.
    fn assess(&self, subject: &str, changed: &[(&str, &str)], is_stated: bool) -> String {
        let mut terms = BTreeMap::from([
            ("--subject", subject),
            ("--issuer", "Office"),
            ("--scheme", "security-assessment"),
            ("--grade", "important"),
            ("--purpose", PURPOSE),
            ("--modality", "visual"),
            ("--destination", "DE"),
            ("--valid-from", "2026-01-01"),
            ("--valid-to", "2028-12-31"),
        ]);
        terms.extend(changed.iter().copied());
        let terms: Vec<&str> = terms.into_iter().flat_map(|(flag, value)| [flag, value]).collect();
        let recorded = if is_stated {
            self.say(&[&["--json", "assess", "record", "--stated"][..], &terms].concat())
        } else {
            let sign = ["assess", "sign", "--key", "office.key", "-o", "a.statement"];
            self.say(&[&sign[..], &terms].concat());
            let recorded = self.say(&["--json", "assess", "record", "a.statement"]);
            std::fs::remove_file(self.path().join("a.statement")).unwrap();
            recorded
        };
        objects(&recorded).first().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Returns the rows by name.
    fn rows(&self, args: &[&str]) -> BTreeMap<String, Json> {
        let said = self.say(&[&["--json", "inventory", "--policy", "policy.toml"][..], args].concat());
        objects(&said).into_iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row)).collect()
    }

    /// Returns what the judgement finds of one node's assessment, if its model went to DE.
    fn judged(&self, node: &str, model: &str, args: &[&str]) -> Vec<String> {
        let check = ["--json", "check", model, "--policy", "policy.toml", "--destination", "DE"];
        let output = self.run(&[&check[..], args].concat());
        let found = objects(&String::from_utf8(output.stdout).unwrap());
        let of_node = found.iter().filter(|found| found["name"] == node);
        let codes = of_node.filter_map(|found| found["code"].as_str());
        codes.filter(|code| code.starts_with("assess") || code.starts_with("grade")).map(str::to_owned).collect()
    }
}

fn gaps(row: &Json) -> String {
    row["gaps"].as_array().unwrap().iter().filter_map(Json::as_str).collect::<Vec<_>>().join("; ")
}

#[test]
fn an_assessment_covers_where_the_judgement_says_so_and_nowhere_else() {
    let mut lineage = String::new();
    for (name, ..) in ASSESSED {
        lineage.push_str(&dataset(name, "important"));
    }
    for (name, ..) in ASSESSED {
        lineage.push_str(&training(name, &format!("of-{name}")));
    }
    let desk = Desk::new(&lineage);
    for (name, changed, _) in ASSESSED {
        let id = desk.assess(name, changed, name == "stated");
        if name == "withdrawn" {
            desk.say(&["mark", "withdraw", &id, "--reason", "an error in it"]);
        }
    }
    // The one that holds longest is not the one that is accepted.
    desk.assess("good", &[("--scheme", "self-assessment"), ("--valid-to", "2040-12-31")], false);
    let rows = desk.rows(&["--destination", "DE"]);
    for (name, _, code) in ASSESSED {
        let (row, found) = (&rows[name], desk.judged(name, &format!("model:of-{name}"), &[]));
        let expected: &[&str] = if code.is_empty() { &[] } else { &[code] };
        assert_eq!(found, expected, "{name}");
        assert_eq!(row["assessment"]["covers"], code.is_empty(), "{row}");
        let gap = if name == "old" { "assessment ended" } else { "assessment does not cover: " };
        assert_eq!(gaps(row).contains(gap), !code.is_empty(), "{row}");
    }
    assert_eq!(rows["good"]["assessment"]["scheme"], "security-assessment");
    // Without a destination nothing is claimed for one.
    let row = &desk.rows(&[])["good"];
    assert_eq!((&row["assessment"]["covers"], &row["assessment"]["destinations"][0]), (&Json::Null, &"DE".into()));
    let output = desk.run(&["inventory", "--policy", "policy.toml"]);
    let (said, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(said.contains("signed by Office to 2028-12-31, for DE"), "{said}");
    assert!(told.contains("where the data goes is not known here"), "{told}");
    // Whom nobody names has assessed nothing.
    let trust = desk.say(&["trust", "init"]);
    desk.write("maker.toml", &trust);
    let row = &desk.rows(&["--destination", "DE", "--trust", "maker.toml"])["good"];
    assert!(gaps(row).contains("no assessor of the trust file"), "{row}");
    assert_eq!(desk.judged("good", "model:of-good", &["--trust", "maker.toml"]), ["assessor-untrusted"]);
}

#[test]
fn the_policys_validity_ends_an_assessment() {
    let desk = Desk::new(&dataset("camera", "important"));
    desk.assess("camera", &[("--valid-from", "2024-06-01"), ("--valid-to", "2035-12-31")], false);
    let policy = desk.read("policy.toml");
    for (validity, to, is_ending) in [("2y", "2026-06-01", true), ("9999d", "2035-12-31", false)] {
        desk.write("policy.toml", &policy.replace("validity = \"3y\"", &format!("validity = \"{validity}\"")));
        let row = &desk.rows(&[])["camera"];
        assert_eq!(
            (&row["assessment"]["valid_to"], &row["assessment"]["own_valid_to"]),
            (&to.into(), &"2035-12-31".into())
        );
        assert_eq!(desk.rows(&["--expiring", "1d"]).contains_key("camera"), is_ending, "{validity}");
    }
    desk.write("policy.toml", &policy.replace("validity = \"3y\"", "validity = \"2y\""));
    let said = desk.say(&["inventory", "--policy", "policy.toml"]);
    assert!(said.contains("to 2026-06-01 by the policy, its own end 2035-12-31"), "{said}");
}

#[test]
fn a_grade_is_the_one_that_counts() {
    let derived = "\"lowered\", \"raised\"";
    let lineage = [
        dataset("lowered", "core"),
        dataset("raised", "general"),
        merge("\"raised\"", "of-raised"),
        merge(derived, "of-both"),
        training("lowered", "grasp"),
    ];
    let desk = Desk::new(&lineage.concat());
    desk.say(&["mark", "reclassify", "dataset:lowered", "--grade", "general", "--reason", "looked again"]);
    desk.say(&["mark", "reclassify", "dataset:raised", "--grade", "important", "--reason", "looked again"]);
    let rows = desk.rows(&[]);
    let grade = |rows: &BTreeMap<String, Json>, name: &str| rows[name]["grade"].as_str().unwrap().to_owned();
    assert_eq!(grade(&rows, "lowered"), "core");
    assert!(gaps(&rows["lowered"]).contains("reclassified lower by nobody who may"), "{}", rows["lowered"]);
    assert!(gaps(&rows["lowered"]).contains("no assessment suffices"), "{}", rows["lowered"]);
    assert_eq!(grade(&rows, "raised"), "important");
    assert_eq!(grade(&rows, "of-raised"), "important (inherited)");
    assert_eq!(grade(&rows, "of-both"), "core (inherited)");
    // Whoever has the role may.
    let mut trust = desk.say(&["trust", "init"]);
    trust = trust.replace("\"grade\", \"ship\"", "\"grade\", \"ship\", \"regrade\"");
    assert!(trust.contains("regrade"));
    desk.write("trust.toml", &trust);
    let rows = desk.rows(&["--trust", "trust.toml"]);
    assert_eq!(
        (grade(&rows, "lowered"), gaps(&rows["lowered"]).contains("reclassified")),
        ("general".to_owned(), false)
    );
    assert_eq!(grade(&rows, "of-both"), "important (inherited)");
    // Without a policy nothing is ranked, and both are told.
    let said = desk.say(&["inventory"]);
    assert!(said.contains("core, reclassified general (which counts, a policy tells)"), "{said}");
    assert!(said.contains("inherited (which, a policy tells)"), "{said}");
}

#[test]
fn derived_data_is_assessed_up_to_all_that_it_came_from() {
    let low = merge("\"high\"", "low").replace("[{ ", "[{ grade = \"general\", ");
    let lineage = [dataset("high", "important"), merge("\"high\"", "whole"), low].concat();
    let desk = Desk::new(&lineage);
    desk.assess("whole", &[], false);
    desk.assess("low", &[("--grade", "general")], false);
    let rows = desk.rows(&["--destination", "DE"]);
    assert_eq!(rows["whole"]["assessment"]["covers"], true, "{}", rows["whole"]);
    assert_eq!(rows["low"]["assessment"]["covers"], false, "{}", rows["low"]);
    assert_eq!(rows["low"]["grade"], "important");
    assert!(gaps(&rows["low"]).contains("grade lowered without record"), "{}", rows["low"]);
}

#[test]
fn an_issuer_that_nobody_named_is_not_told_as_an_empty_one() {
    let desk = Desk::new(&dataset("camera", "important"));
    let terms = ["--grade", "important", "--purpose", PURPOSE, "--modality", "visual", "--destination", "DE"];
    let stated = ["assess", "record", "--stated", "--subject", "camera", "--scheme", "security-assessment"];
    let output = desk.run(&[&stated[..], &terms, &["--valid-to", "2028-12-31"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = desk.say(&["inventory"]);
    assert!(said.contains("security-assessment stated to 2028-12-31"), "{said}");
}
