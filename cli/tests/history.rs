//! What a buyer saw of a log before: growth, forks, updates and withdrawals, from the exporter's commands to the verdict.

use core::ops::Deref;
use std::fs;

use crate::support::{Folder, objects};

const LINEAGE: &str = r#"
[[dataset]]
name = "camera"
origin = "collected"
path = "raw"
modality = ["visual"]
purpose = ["train-adaptive-grasp-control"]
grade = { value = "important", basis = "own", by = "Data office", on = 2026-04-02 }
country = "CN"
detail = { site = "cell 3", licence = { name = "own", allows = true }, persons = "none found (all frames)" }

[[dataset]]
name = "other"
origin = "external"
content_held = "destroyed"

[[transformation]]
name = "train"
kind = "training"
used = ["camera"]
country = "CN"
date = @TODAY@
purpose = ["train-adaptive-grasp-control"]
generated = [{ model = "grasp", path = "out/grasp.bin", country = "CN" }]
detail = { tool = "train.py" }
"#;

const CHECK: [&str; 9] =
    ["--trust", "trust.toml", "--policy", "policy.toml", "--destination", "DE", "--model", "out/grasp.bin", "--json"];

/// An exporter with a shipment of an assessed model, and a buyer.
struct Desk(Folder);

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Desk {
    fn new() -> Self {
        let desk = Self(Folder::new());
        fs::create_dir_all(desk.path().join("raw")).unwrap();
        fs::create_dir_all(desk.path().join("out")).unwrap();
        fs::write(desk.path().join("raw/1.pgm"), "frame").unwrap();
        fs::write(desk.path().join("out/grasp.bin"), "weights").unwrap();
        let policy = include_str!("../../policies/cn-industrial-reference.toml");
        fs::write(desk.path().join("policy.toml"), policy).unwrap();
        desk.say("init --origin maker.example/2026 --name Maker");
        desk.write("lineage.toml", &LINEAGE.replace("@TODAY@", &desk.today()));
        desk.say("record lineage.toml");
        desk.say("key new office.key");
        desk.say(
            "assess sign --subject camera --key office.key --issuer Office --scheme security-assessment \
             --grade important --purpose train-adaptive-grasp-control --modality visual --destination DE \
             --valid-from 2026-01-01 --valid-to 2028-12-31 -o a.statement",
        );
        desk.say("assess record a.statement");
        desk.say(
            "ship model:grasp --to Buyer --country DE --serial S-1 --name first --purpose train-adaptive-grasp-control",
        );
        let trust = desk.say("trust init").replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
        fs::write(desk.path().join("trust.toml"), trust.replace("# schemes", "schemes")).unwrap();
        desk
    }

    /// Verifies, and returns exit code, report and what was said beside it.
    fn verify(&self, args: &str) -> (i32, serde_json::Value, String) {
        let args: Vec<&str> = ["verify"].into_iter().chain(args.split_whitespace()).chain(CHECK).collect();
        let output = self.run(&args);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let report = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        (output.status.code().unwrap(), report, err)
    }

    /// Returns the objects that tell what a file holds.
    fn inspect(&self, file: &str) -> Vec<serde_json::Value> {
        objects(&self.say(&format!("--json inspect {file}")))
    }
}

fn codes(report: &serde_json::Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[test]
fn a_second_shipment_shows_that_the_log_only_grew_since_the_first() {
    let desk = Desk::new();
    desk.say("prove first -o first.griptrace");
    desk.say("mark withdraw other --reason spoilt");
    desk.say(
        "ship model:grasp --to Buyer --country DE --serial S-2 --name second --purpose train-adaptive-grasp-control",
    );
    desk.say("prove second -o bare.griptrace");
    let (code, report, _) = desk.verify("bare.griptrace --against first.griptrace");
    assert_eq!((code, codes(&report)), (1, vec!["history-not-linked"]), "{report}");
    desk.say("prove second --since first.griptrace -o second.griptrace");
    let (code, report, _) = desk.verify("second.griptrace --against first.griptrace");
    assert_eq!((code, codes(&report)), (0, vec![]), "{report}");
    let grown = &report["history"][0];
    assert_eq!(grown["origin"], "maker.example/2026");
    assert!(grown["from_size"].as_u64() < grown["to_size"].as_u64(), "{grown}");
    let (code, report, _) = desk.verify("first.griptrace --against second.griptrace");
    assert_eq!((code, codes(&report)), (1, vec!["history-shorter"]), "{report}");
    assert_eq!(report["verdict"], "STALE");
}

#[test]
fn a_fork_is_found_by_whoever_has_both_files_and_shown_to_others() {
    let desk = Desk::new();
    desk.copy(".griptrace", "fork");
    desk.say("mark withdraw other --reason spoilt");
    desk.say("--store fork mark recall other --reason spoilt");
    desk.say("prove first -o one.griptrace");
    desk.say("--store fork prove first -o two.griptrace");
    assert_eq!(desk.verify("one.griptrace").0, 0);
    assert_eq!(desk.verify("two.griptrace").0, 0);
    let said = desk.complain("prove first --since two.griptrace -o s.griptrace");
    assert!(said.contains("the log maker.example/2026 forked"), "{said}");
    let (code, report, said) = desk.verify("one.griptrace --against two.griptrace");
    assert_eq!((code, codes(&report)), (1, vec!["history-forked"]), "{report}");
    assert!(said.contains("--fork-evidence"), "{said}");
    let (code, _, said) = desk.verify("one.griptrace --against two.griptrace --fork-evidence f.fork");
    assert!(code == 1 && said.contains("f.fork holds both signed checkpoints"), "{said}");
    let said = desk.say("verify --check-fork f.fork --trust trust.toml");
    assert!(said.starts_with("the log's key signed two histories: maker.example/2026, size "), "{said}");
    // Two checkpoints of one history, put into the same form.
    let evidence = fs::read_to_string(desk.path().join("f.fork")).unwrap();
    let (head, rest) = evidence.split_once("seen before:\n\n").unwrap();
    let before = rest.split_once("\nshown now:\n").unwrap().0;
    let same = format!("{head}seen before:\n\n{before}\nshown now:\n\n{before}");
    fs::write(desk.path().join("same.fork"), same).unwrap();
    let output = desk.run(&["verify", "--check-fork", "same.fork", "--trust", "trust.toml"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("there is no fork"), "{said}");
    assert!(desk.complain("verify --check-fork one.griptrace --trust trust.toml").contains("does not begin like"));
    fs::write(desk.path().join("empty.toml"), "").unwrap();
    let said = desk.complain("verify --check-fork f.fork --trust empty.toml");
    assert!(said.contains("the trust file has no log maker.example/2026"), "{said}");
    let said = desk.complain("verify --check-fork f.fork --trust trust.toml --policy policy.toml");
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn an_update_brings_marks_that_came_since_and_opens_nothing_new() {
    let desk = Desk::new();
    desk.say("prove first --profile full -o first.griptrace");
    let (code, before, _) = desk.verify("first.griptrace");
    assert_eq!(code, 0);
    desk.say("mark withdraw camera --reason spoilt");
    let made = desk.say("prove first --update-of first.griptrace -o u.update");
    assert!(made.starts_with("wrote u.update: "), "{made}");
    let (small, whole) = ("u.update", "first.griptrace");
    let size = |name: &str| fs::metadata(desk.path().join(name)).unwrap().len();
    assert!(size(small) < size(whole) / 2, "{} of {} bytes", size(small), size(whole));
    let held = desk.inspect(small).remove(0);
    let (code, report, _) = desk.verify("first.griptrace --update u.update --write-updated second.griptrace");
    assert_eq!((code, codes(&report)), (1, vec!["withdrawn"]), "{report}");
    assert_eq!(report["updated_with"].as_array().unwrap().len(), 1);
    assert_eq!((&held["digest"], &held["withdrawals"]), (&report["updated_with"][0], &0.into()), "{held}");
    let (patch, number) = (&held["patch"], |name: &str| held["patch"][name].as_u64().unwrap());
    assert_eq!((&patch["base"], &patch["result"]), (&before["bundle_digest"], &report["bundle_digest"]));
    assert_eq!(number("result_bytes"), size("second.griptrace"));
    assert_eq!(number("copied_bytes") + number("literal_bytes"), number("result_bytes"));
    assert!(number("copies") > 0 && number("literals") > 0 && number("literal_bytes") < size(small));
    let words = desk.say("inspect u.update");
    assert!(
        words.starts_with("UNVERIFIED")
            && words.contains(&format!("for         the bundle {}", patch["base"].as_str().unwrap()))
    );
    assert!(desk.complain("inspect u.update --keys").contains("is an update"));
    fs::write(desk.path().join("cut.update"), &fs::read(desk.path().join(small)).unwrap()[..200]).unwrap();
    assert!(desk.complain("inspect cut.update").contains("the digest at the end"));
    let (_, plain, _) = desk.verify("second.griptrace");
    assert_eq!((&plain["bundle_digest"], codes(&plain)), (&report["bundle_digest"], vec!["withdrawn"]));
    let details = |report: &serde_json::Value| report["details"].as_array().unwrap().len();
    assert_eq!(details(&report), details(&before), "the mark's reason stays closed");
    let said = desk.complain("verify second.griptrace --update u.update --trust trust.toml --policy policy.toml");
    assert!(said.contains("u.update: the update is for bundle "), "{said}");
    assert!(
        desk.complain("prove model:grasp --update-of first.griptrace -o v.update").contains("the older bundle is of")
    );
    let input = desk.complain("prove first --update-of first.griptrace -o first.griptrace");
    assert!(input.contains("is an input of this command"), "{input}");
}

#[test]
fn an_office_withdraws_without_any_log() {
    let desk = Desk::new();
    desk.say("prove first -o first.griptrace");
    desk.say("key new other.key");
    assert!(desk.complain("assess withdraw a.statement --key other.key -o w.update").contains("is not the key that"));
    let said = desk.say("assess withdraw a.statement --key office.key -o w.update");
    let (code, report, _) = desk.verify("first.griptrace --update w.update");
    assert_eq!((code, codes(&report)), (1, vec!["assessment-withdrawn"]), "{report}");
    let held = desk.inspect("w.update");
    assert_eq!((&held[0]["patch"], &held[0]["withdrawals"]), (&serde_json::Value::Null, &1.into()));
    assert_eq!((&held[1]["withdrawal"], &held[1]["issuer"]), (&"withdraw".into(), &"Office".into()), "{held:?}");
    // A signed verdict hears of it too, and a file that can't hold it says so.
    desk.say("key new buyer.key");
    let asked = "--trust trust.toml --policy policy.toml --destination DE --model out/grasp.bin --key buyer.key";
    let vsa = |bundle: &str, more: &str| {
        let export = format!("export vsa {bundle} {asked} -o v.json {more}");
        let output = desk.run(&export);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(vsa("first.griptrace", "").0, Some(0));
    let (code, told) = vsa("first.griptrace", "--update w.update");
    assert!(code == Some(1) && told.contains("assessment-withdrawn (error): "), "{told}");
    let (_, _, told) = desk.verify("first.griptrace --update w.update --write-updated same.griptrace");
    let warned = "warning: same.griptrace does not hold the mark withdraw of ";
    assert!(told.contains(warned) && told.contains(" by Office, which w.update brings"), "{told}");
    assert!(told.contains("hint: ") && told.contains("give --update w.update with every check of it"), "{told}");
    assert_eq!(vsa("same.griptrace", "").0, Some(0), "which is why that is said");
    assert_eq!(vsa("same.griptrace", "--update w.update").0, Some(1));
    // The same from the trust file.
    let trust = fs::read_to_string(desk.path().join("trust.toml")).unwrap();
    let (_, table) = said.split_once("[[withdrawal]]").unwrap();
    fs::write(desk.path().join("trust.toml"), format!("{trust}\n[[withdrawal]]{table}")).unwrap();
    let (code, report, _) = desk.verify("first.griptrace");
    assert_eq!((code, codes(&report)), (1, vec!["assessment-withdrawn"]), "{report}");
    // A refusal is as final, in the same file; and whoever records it takes that file.
    desk.say("assess withdraw a.statement --key office.key --refuse --date 2026-05-02 -o r.update");
    let (code, report, _) = desk.verify("first.griptrace --update r.update");
    assert_eq!((code, codes(&report)), (1, vec!["assessment-withdrawn"]), "{report}");
    let said = desk.complain("mark withdraw assessment --statement r.update --reason x");
    assert!(said.contains("the assessor's mark is to refuse, and not withdraw"), "{said}");
    let said = desk.complain("mark refuse assessment --statement a.statement --reason x");
    assert!(said.contains("does not begin like an update") && said.contains("assess withdraw writes"), "{said}");
    // And beside a newer bundle.
    fs::write(desk.path().join("trust.toml"), trust).unwrap();
    desk.say("mark withdraw other --reason spoilt");
    let stranger = Desk::new();
    stranger.say("assess withdraw a.statement --key office.key -o w.update");
    fs::copy(stranger.path().join("w.update"), desk.path().join("theirs.update")).unwrap();
    let warned = |file: &str| {
        let update = format!("prove first --update-of first.griptrace --withdrawal {file} -o u.update");
        let output = desk.run(&update);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    let said = warned("theirs.update");
    assert!(said.contains("warning: the withdrawal theirs.update is for the log"), "{said}");
    assert_eq!(warned("w.update"), "");
    let (code, report, said) = desk.verify("first.griptrace --update u.update --write-updated second.griptrace");
    assert_eq!((code, codes(&report)), (1, vec!["assessment-withdrawn"]), "{report}");
    assert!(said.contains("warning: second.griptrace does not hold the mark withdraw of "), "{said}");
    assert_eq!(desk.verify("second.griptrace").0, 0, "which is why that is said");
}

/// The documents about a lineage hear of a withdrawal that no log has, and say what an assessment covers and by whose word.
#[test]
fn exports_say_what_an_assessment_covers_and_that_it_was_withdrawn() {
    let desk = Desk::new();
    desk.say("prove first -o first.griptrace");
    let said = desk.say("assess withdraw a.statement --key office.key -o w.update");
    let trust = fs::read_to_string(desk.path().join("trust.toml")).unwrap();
    let (_, table) = said.split_once("[[withdrawal]]").unwrap();
    fs::write(desk.path().join("withdrawn.toml"), format!("{trust}\n[[withdrawal]]{table}")).unwrap();
    let (known, unknown) = trust.split_once("[[assessor]]").map(|(before, _)| (trust.as_str(), before)).unwrap();
    assert_ne!(known, unknown);
    fs::write(desk.path().join("unknown.toml"), unknown).unwrap();
    let export = |format: &str, more: &str| {
        desk.say(&format!("export {format} first.griptrace -o e.{format} {more}"));
        fs::read_to_string(desk.path().join(format!("e.{format}"))).unwrap()
    };
    for format in ["cyclonedx", "prov"] {
        let clean = export(format, "--trust trust.toml");
        assert!(clean.contains("that of Office, an assessor of the trust file"), "{clean}");
        assert!(!clean.contains("withdraw of "), "{clean}");
        let marked = "withdraw of ";
        let by = ", signed by the assessor Office with key ";
        for more in ["--trust withdrawn.toml", "--trust trust.toml --update w.update"] {
            let told = export(format, more);
            assert!(told.contains(marked) && told.contains(by), "{more}: {told}");
        }
        let stranger = export(format, "--trust unknown.toml --update w.update");
        assert!(stranger.contains("signed by a key that the trust file does not know, "), "{stranger}");
        assert!(!stranger.contains(marked), "by nobody who is known: {stranger}");
    }
    let bom = export("cyclonedx", "--trust trust.toml");
    let scope = "scheme security-assessment; result passed; covers-grade important; covers-purpose \
                 train-adaptive-grasp-control; covers-modality visual; issued ";
    assert!(bom.contains(scope), "{bom}");
    assert!(bom.contains("; valid-from 2026-01-01; valid-to 2028-12-31; destinations DE; signed by "), "{bom}");
    let prov = export("prov", "--trust trust.toml");
    for (name, value) in [("valid-from", "2026-01-01"), ("valid-to", "2028-12-31"), ("destinations", "DE")] {
        assert!(prov.contains(&format!("\"griptrace:{name}\":\"{value}\"")), "{prov}");
    }
    let said = desk.run(&["export", "slsa", "first.griptrace", "--trust", "withdrawn.toml", "-o", "e.slsa"]);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("warning: the assessment ") && said.contains("signed by the assessor Office"), "{said}");
    // A newer bundle that an update makes.
    desk.say("mark withdraw camera --reason spoilt");
    desk.say("prove first --update-of first.griptrace -o u.update");
    for format in ["cyclonedx", "prov"] {
        assert!(!export(format, "--trust trust.toml").contains("withdraw "));
        assert!(export(format, "--trust trust.toml --update u.update").contains("withdraw "));
    }
    assert!(
        desk.complain("export prov first.griptrace --trust trust.toml --update a.statement -o x")
            .contains("a.statement: ")
    );
}

/// A refusal of an assessment takes no more than its withdrawal does: what a later one covers ships.
#[test]
fn a_later_assessment_covers_again_what_a_refused_one_covered() {
    let desk = Desk::new();
    desk.say("assess withdraw a.statement --key office.key --refuse --date 2026-05-02 -o r.update");
    desk.say("mark refuse assessment --statement r.update --reason x");
    desk.say("prove first -o first.griptrace");
    let (code, report, _) = desk.verify("first.griptrace");
    assert_eq!((code, codes(&report)), (1, vec!["assessment-withdrawn"]), "{report}");
    assert!(report.to_string().contains("has the mark refuse"), "{report}");
    desk.say(
        "assess sign --subject camera --key office.key --issuer Office --scheme security-assessment \
         --grade important --purpose train-adaptive-grasp-control --modality visual --destination DE \
         --valid-from 2026-01-01 --valid-to 2028-12-31 -o b.statement",
    );
    desk.say("assess record b.statement");
    desk.say(
        "ship model:grasp --to Buyer --country DE --serial S-2 --name second --purpose train-adaptive-grasp-control",
    );
    desk.say("prove second -o second.griptrace");
    let (code, report, _) = desk.verify("second.griptrace --update r.update");
    assert_eq!(code, 0, "{report}");
    let said = desk.complain("mark withdraw assessment:security-assessment --reason x");
    assert!(said.contains("hint: an assessment is recorded without a name"), "{said}");
    let shown = desk.run(&["show", "assessment"]);
    let said = String::from_utf8_lossy(&shown.stderr);
    assert!(shown.status.success() && said.contains("the newest assessment of 2 is taken"), "{said}");
}
