//! What shipped is judged again: a withdrawal and a new policy, and whom they concern.

use core::ops::Deref;
use std::fs;

use serde_json::Value as Json;

use crate::support::{Folder, objects};

const PURPOSE: &str = "train-adaptive-grasp-control";
const POLICY: &str = include_str!("../../policies/cn-industrial-reference.toml");

struct Desk {
    dir: Folder,
    /// Ids of the two assessments.
    assessments: Vec<String>,
    /// What `init` said.
    made: Json,
}

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.dir
    }
}

impl Desk {
    /// A store that was made with a revoker, `guard.key`, with two sources, each assessed by its own statement, and two shipments: of the one, and of both.
    fn new() -> Self {
        let mut desk = Self { dir: Folder::new(), assessments: Vec::new(), made: Json::Null };
        let guard = desk.new_key("guard.key");
        let made = ["--json", "init", "--origin", "maker.example/2026", "--name", "Maker", "--revoker", &guard];
        desk.made = serde_json::from_str(&desk.say(&made)).unwrap();
        let today = desk.today();
        let source = |name: &str| {
            format!(
                "[[dataset]]\nname = \"{name}\"\norigin = \"collected\"\npath = \"{name}\"\nmodality = [\"visual\"]\npurpose = [\"{PURPOSE}\"]\n\
                 grade = {{ value = \"important\", basis = \"own\", by = \"Data office\", on = 2026-04-02 }}\ncountry = \"CN\"\n\
                 detail = {{ licence = {{ name = \"own\", allows = true }}, persons = \"none found (all frames)\" }}\n"
            )
        };
        let step = |name: &str, used: &str| {
            format!(
                "[[transformation]]\nname = \"train-{name}\"\nkind = \"training\"\nused = [{used}]\ncountry = \"CN\"\ndate = {today}\n\
                 purpose = [\"{PURPOSE}\"]\ngenerated = [{{ model = \"{name}\", path = \"{name}.bin\", country = \"CN\" }}]\n"
            )
        };
        let mut text = String::new();
        for name in ["one", "two"] {
            fs::write(desk.path().join(name), name).unwrap();
            text += &source(name);
        }
        for (name, used) in [("first", "\"one\""), ("second", "\"one\", \"two\"")] {
            fs::write(desk.path().join(format!("{name}.bin")), name).unwrap();
            text += &step(name, used);
        }
        fs::write(desk.path().join("lineage.toml"), text).unwrap();
        fs::write(desk.path().join("policy.toml"), POLICY).unwrap();
        desk.say(&["record", "lineage.toml"]);
        desk.say(&["key", "new", "office.key"]);
        for name in ["one", "two"] {
            let id = desk.assess(name);
            desk.assessments.push(id);
        }
        for (model, to) in [("first", "Kleine Werke"), ("second", "Muster GmbH")] {
            let model_text = format!("model:{model}");
            let ship =
                ["ship", &model_text, "--to", to, "--country", "DE", "--serial", "S", "--document", "lineage.toml"];
            desk.say(&[&ship[..], &["--name", &format!("to-{model}"), "--purpose", PURPOSE]].concat());
        }
        desk
    }

    /// Has the committer's key revoked since before everything; `next.key` follows it.
    fn revoke(&self) {
        self.new_key("next.key");
        let said = |name: &str| self.made[name].as_str().unwrap();
        let change = ["key", "change", "committer", "--genesis", said("home"), "--revoke", said("committer")];
        let how = ["--since", "1", "--by", "guard.key", "--new", "next.key", "-o", "stolen.change"];
        self.say(&[&change[..], &how].concat());
        self.say(&["key", "record", "stolen.change", "--new", "next.key"]);
    }

    fn assess(&self, subject: &str) -> String {
        let file = format!("{subject}.statement");
        let terms =
            ["--issuer", "Office", "--scheme", "security-assessment", "--grade", "important", "--purpose", PURPOSE];
        let scope =
            ["--modality", "visual", "--destination", "DE", "--valid-from", "2026-01-01", "--valid-to", "2028-12-31"];
        let sign = ["assess", "sign", "--subject", subject, "--key", "office.key", "-o", &file];
        self.say(&[&sign[..], &terms, &scope].concat());
        let recorded = self.say(&["--json", "assess", "record", &file]);
        let recorded: Json = serde_json::from_str(recorded.lines().next().unwrap()).unwrap();
        recorded["id"].as_str().unwrap().to_owned()
    }

    /// Judges what shipped, and returns what people read.
    fn words(&self) -> String {
        let output = self.run(&["audit", "--shipped", "--policy", "policy.toml"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Judges what shipped, and returns the exit code and the objects that were written.
    fn audit(&self, args: &[&str]) -> (i32, Vec<Json>) {
        let output = self.run(&[&["--json", "audit", "--shipped", "--policy", "policy.toml"], args].concat());
        (output.status.code().unwrap(), objects(&String::from_utf8(output.stdout).unwrap()))
    }
}

/// Returns the objects that tell of a shipment.
fn shipments(objects: &[Json]) -> Vec<&Json> {
    objects.iter().filter(|object| object["shipment"].is_string()).collect()
}

/// Returns the consignees that one cause names, with the words that find it.
fn told(objects: &[Json], key: &str, word: &str) -> Vec<String> {
    let mut consignees = Vec::new();
    for cause in objects.iter().filter(|object| object["cause"].is_string() && object[key] == word) {
        for shipment in cause["shipments"].as_array().unwrap() {
            consignees.push(shipment["consignee"].as_str().unwrap().to_owned());
        }
    }
    consignees.sort();
    consignees.dedup();
    consignees
}

#[test]
fn a_withdrawn_assessment_says_whom_to_tell() {
    let desk = Desk::new();
    let (code, quiet) = desk.audit(&[]);
    assert_eq!((code, quiet.len()), (0, 1), "nothing changed: {quiet:?}");
    assert_eq!((&quiet[0]["shipments"], &quiet[0]["not_met"]), (&Json::from(2), &Json::from(0)));

    desk.say(&["assess", "withdraw", "two.statement", "--key", "office.key", "-o", "w.update"]);
    let id = desk.assessments[1].as_str();
    let other = ["mark", "withdraw", &desk.assessments[0], "--reason", "r", "--statement", "w.update"];
    assert!(desk.complain(&other).contains("the assessor's mark is on assessment"), "of another assessment");
    let refuse = ["mark", "refuse", id, "--reason", "r", "--statement", "w.update"];
    assert!(desk.complain(&refuse).contains("the assessor's mark is to withdraw, and not refuse"));
    desk.say(&["mark", "withdraw", id, "--reason", "a mistake in the sample", "--statement", "w.update"]);

    let (code, objects) = desk.audit(&[]);
    assert_eq!(code, 1, "{objects:?}");
    let listed = shipments(&objects);
    assert_eq!(listed.len(), 1, "only the one that stands on it: {listed:?}");
    assert_eq!(listed[0]["consignee"], "Muster GmbH");
    assert_eq!(listed[0]["new"]["at_shipment"]["verdict"], "TRACED_ASSESSED");
    assert_eq!(listed[0]["new"]["now"]["verdict"], "WITHDRAWN");
    assert_eq!(told(&objects, "mark", "withdraw"), ["Muster GmbH"]);
    assert_eq!(told(&objects, "code", "assessment-withdrawn"), ["Muster GmbH"]);
    let all = desk.audit(&["--all"]).1;
    assert_eq!(shipments(&all).len(), 2);

    let text = desk.words();
    assert!(text.contains("WORSE  shipment") && text.contains("CAUSE  withdraw on"), "{text}");
    assert!(text.contains("Muster GmbH: shipment") && !text.contains("Kleine Werke"), "{text}");
    assert!(text.contains("2 shipments under the policy") && text.contains("1 for the worse"), "{text}");
}

#[test]
fn a_mark_that_no_log_has_counts_from_the_trust_file() {
    let desk = Desk::new();
    desk.say(&["key", "new", "other.key"]);
    let sign = ["assess", "withdraw", "two.statement", "-o", "w.update", "--key"];
    assert!(desk.complain(&[&sign[..], &["other.key"]].concat()).contains("is not the key that signed"));
    let said = desk.say(&[&sign[..], &["office.key"]].concat());
    let (_, table) = said.split_once("\n\n").expect("the table for a trust file stands last");
    let own = desk.say(&["trust", "init"]).replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
    let own = own.replace("# schemes", "schemes");
    fs::write(desk.path().join("plain.toml"), &own).unwrap();
    fs::write(desk.path().join("trust.toml"), own + "\n" + table).unwrap();
    assert_eq!(desk.audit(&["--trust", "plain.toml"]).1.len(), 1, "nothing without it");
    let (code, objects) = desk.audit(&["--trust", "trust.toml"]);
    // The mark is of the shipment's own day, and nothing says that it was here by then.
    let listed = shipments(&objects);
    assert_eq!((code, listed.len(), &listed[0]["worse"]), (1, 1, &true.into()), "{objects:?}");
    assert_eq!(listed[0]["new"]["at_shipment"]["verdict"], "TRACED_ASSESSED");
    assert_eq!(told(&objects, "mark", "withdraw"), ["Muster GmbH"]);
    assert_eq!((&listed[0]["new"]["verdict"], &listed[0]["consignee"]), (&"WITHDRAWN".into(), &"Muster GmbH".into()));
}

#[test]
fn a_quorum_is_not_asked_of_own_records() {
    let desk = Desk::new();
    let own = desk.say(&["trust", "init"]).replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
    let witness = griptrace_core::note::Cosigner::new("w.example", &[6; 32]).unwrap().verifier().to_vkey();
    let quorum =
        format!("quorum = {{ of = [\"w\"], at_least = 1 }}\n[[witness]]\nname = \"w\"\nvkey = \"{witness}\"\n");
    fs::write(desk.path().join("trust.toml"), quorum + &own.replace("# schemes", "schemes")).unwrap();
    let (code, objects) = desk.audit(&["--trust", "trust.toml", "--all"]);
    assert_eq!((code, shipments(&objects).len()), (0, 2), "{objects:?}");
    assert!(shipments(&objects).iter().all(|shipment| shipment["new"]["met"] == true), "{objects:?}");
}

#[test]
fn another_withdrawal_of_what_was_withdrawn_already_is_worse() {
    let desk = Desk::new();
    let withdraw = |name: &str| desk.say(&["mark", "withdraw", &format!("dataset:{name}"), "--reason", "r"]);
    withdraw("one");
    let ship = ["ship", "model:second", "--to", "Spaete Werke", "--country", "DE", "--name", "late"];
    desk.say(&[&ship[..], &["--purpose", PURPOSE]].concat());
    let late = |objects: &[Json]| shipments(objects).into_iter().find(|s| s["name"] == "late").unwrap().clone();
    let shipped = late(&desk.audit(&[]).1);
    assert_eq!((&shipped["worse"], &shipped["changed"]), (&false.into(), &false.into()), "{shipped:#}");
    withdraw("two");
    let (code, objects) = desk.audit(&[]);
    let now = late(&objects);
    let change = &now["changes"][0];
    assert_eq!((&change["from"]["verdict"], &change["to"]["verdict"]), (&"WITHDRAWN".into(), &"WITHDRAWN".into()));
    assert_eq!((code, &now["worse"], &change["came"][0]["name"]), (1, &true.into(), &"two".into()), "{now:#}");
    assert!(told(&objects, "code", "withdrawn").contains(&"Spaete Werke".to_owned()));
}

/// The customers of a theft were left out: a revocation that reaches back breaks the shipment's own day too, and no error came.
#[test]
fn a_revocation_is_a_cause_of_everything_that_it_broke() {
    let desk = Desk::new();
    desk.revoke();
    let (code, objects) = desk.audit(&[]);
    let broken: Vec<_> = shipments(&objects).iter().map(|s| s["new"]["now"]["verdict"].as_str().unwrap()).collect();
    assert_eq!((code, broken), (1, vec!["BROKEN", "BROKEN"]), "{objects:?}");
    assert_eq!(told(&objects, "code", "key-retired"), ["Kleine Werke", "Muster GmbH"]);
    let of = |name: &str| objects.iter().find(|o| o["cause"] == "finding" && o["name"] == name).unwrap().clone();
    assert_eq!(of("two")["shipments"].as_array().unwrap().len(), 1, "not of the one that does not have it");
    assert_eq!(of("one")["shipments"][0]["broken"], true);
    let text = desk.words();
    assert!(text.contains("CAUSE  key-retired: ") && text.contains(" dataset one: concerns 2 shipments\n"), "{text}");
    assert!(text.contains("Kleine Werke: shipment") && text.contains(", BROKEN\n"), "{text}");
    assert!(text.contains("CAUSE  key-retired on 3 nodes: concerns 1 shipment\n  on "), "{text}");
    assert!(!text.contains("1 shipments"), "{text}");
}

/// A withdrawal was told twice, as a mark and as what is found by it.
#[test]
fn people_read_a_mark_once_and_programs_get_what_is_found_too() {
    let desk = Desk::new();
    desk.say(&["mark", "withdraw", "dataset:two", "--reason", "r"]);
    let text = desk.words();
    assert_eq!(text.matches("CAUSE  ").count(), 1, "{text}");
    assert!(text.contains("dataset two: concerns 1 shipment, 1 of them for the worse"), "{text}");
    assert!(text.contains("1 does not meet it"), "{text}");
    let objects = desk.audit(&[]).1;
    assert_eq!(told(&objects, "mark", "withdraw"), ["Muster GmbH"]);
    assert_eq!(told(&objects, "code", "withdrawn"), ["Muster GmbH"]);
    // What a mark leaves without cover is another fact, on another node.
    desk.say(&["mark", "withdraw", &desk.assessments[0], "--reason", "r"]);
    let text = desk.words();
    assert!(text.contains("CAUSE  assessment-withdrawn: ") && !text.contains("CAUSE  withdrawn"), "{text}");
}

#[test]
fn a_new_policy_lists_what_it_touches_and_why() {
    let desk = Desk::new();
    assert!(POLICY.contains("validity = \"3y\""));
    fs::write(desk.path().join("new.toml"), POLICY.replace("validity = \"3y\"", "validity = \"1d\"")).unwrap();
    let audit = |new: &str, old: &str| {
        let output = desk.run(&["--json", "audit", "--shipped", "--policy", new, "--policy-old", old]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let objects: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code().unwrap(), objects)
    };
    let (code, objects) = audit("new.toml", "policy.toml");
    assert_eq!((code, shipments(&objects).len()), (1, 2), "{objects:?}");
    assert_eq!(told(&objects, "code", "assessment-expired"), ["Kleine Werke", "Muster GmbH"]);
    let came: Vec<&Json> = shipments(&objects).iter().flat_map(|s| s["changes"].as_array().unwrap()).collect();
    assert!(came.iter().all(|change| change["came"][0]["code"] == "assessment-expired"), "{came:?}");
    let (code, objects) = audit("policy.toml", "new.toml");
    assert_eq!((code, shipments(&objects).len()), (0, 2), "what became better is listed, and no harm: {objects:?}");
    let (code, objects) = audit("policy.toml", "policy.toml");
    assert_eq!((code, objects.len()), (0, 1), "{objects:?}");
}

#[test]
fn what_was_called_back_is_said_to_be() {
    let desk = Desk::new();
    desk.say(&["mark", "recall", "to-first", "--reason", "wrong serial"]);
    let (code, objects) = desk.audit(&[]);
    let listed = shipments(&objects);
    assert_eq!((code, listed.len()), (1, 1));
    assert_eq!((&listed[0]["name"], &listed[0]["marks"]), (&"to-first".into(), &Json::from(vec!["recall"])));
    assert_eq!(told(&objects, "mark", "recall"), ["Kleine Werke"]);
    assert!(desk.complain(&["audit", "--policy", "policy.toml"]).contains("--shipped"));
    assert!(desk.complain(&["audit", "--shipped", "--policy", "nowhere.toml"]).contains("nowhere.toml"));
}

#[test]
fn a_shipment_of_which_no_bundle_opens_the_files_is_no_better_here() {
    let desk = Desk::new();
    desk.say(&["erase", "model:second", "--file", "second.bin", "--reason", "asked"]);
    let (code, objects) = desk.audit(&["--all"]);
    let all = shipments(&objects);
    let verdicts: Vec<_> = all.iter().map(|s| (&s["consignee"], &s["new"]["verdict"], &s["new"]["met"])).collect();
    let (kept, gone) = (&"Kleine Werke".into(), &"Muster GmbH".into());
    let expected = [(kept, &"TRACED_ASSESSED".into(), &true.into()), (gone, &"BROKEN".into(), &false.into())];
    assert_eq!((code, verdicts), (1, expected.to_vec()), "{objects:?}");
    assert_eq!(told(&objects, "code", "model-not-opened"), ["Muster GmbH"]);
    let checked = desk.run(&["check", "to-second", "--policy", "policy.toml"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("BROKEN") && said.contains("prove --update-of"), "{said}");
    assert!(desk.words().contains("prove --update-of"), "what would help is said");
    // Two policies are compared under the same records: neither is met.
    let (code, objects) = desk.audit(&["--policy-old", "policy.toml"]);
    assert_eq!((code, shipments(&objects).len()), (1, 1), "{objects:?}");
}
