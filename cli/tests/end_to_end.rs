//! The program as a person uses it: recorded, assessed, shipped, proven, inspected, verified.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const LINEAGE: &str = r#"
[[dataset]]
name = "wrist-camera"
origin = "collected"
path = "raw/camera"
modality = ["visual"]
purpose = ["train-adaptive-grasp-control"]
grade = { value = "important", basis = "own", by = "Data office", on = 2026-04-02 }
country = "CN"
detail = { site = "cell 3", collected_from = 2026-03-01, collected_to = 2026-03-20, licence = { name = "own", allows = true }, persons = "none found (all frames)" }

[[transformation]]
name = "train"
kind = "training"
used = ["wrist-camera"]
country = "CN"
date = @TODAY@
purpose = ["train-adaptive-grasp-control"]
generated = [{ model = "grasp", path = "out/grasp.bin", country = "CN" }]
detail = { tool = "train.py" }
"#;

struct Desk(TempDir);

impl Desk {
    /// A store, a lineage file and the files that it names.
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(desk.path().join("raw/camera")).unwrap();
        fs::create_dir_all(desk.path().join("out")).unwrap();
        fs::write(desk.path().join("raw/camera/1.pgm"), "frame one").unwrap();
        fs::write(desk.path().join("raw/camera/2.pgm"), "frame two").unwrap();
        fs::write(desk.path().join("out/grasp.bin"), "weights").unwrap();
        desk.say(&["init", "--origin", "maker.example/2026", "--name", "Maker"]);
        let today = desk.today();
        fs::write(desk.path().join("lineage.toml"), LINEAGE.replace("@TODAY@", &today)).unwrap();
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Today in UTC, as the program itself wrote it into the genesis.
    fn today(&self) -> String {
        let trust = self.say(&["trust", "init"]);
        trust.lines().find_map(|line| line.strip_prefix("from = ")).unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace"));
        command.args(args).current_dir(self.path()).env_remove("GRIPTRACE_STORE").env_remove("GRIPTRACE_PASSPHRASE");
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn code(&self, args: &[&str]) -> i32 {
        self.run(args).status.code().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    fn say(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "griptrace {args:?}: {}\n{out}{err}", output.status);
        out.into_owned()
    }

    /// Runs a command that must fail, and returns what it complained of.
    fn complain(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(2), "griptrace {args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Returns the id of the node that `text` names.
    fn id(&self, text: &str) -> String {
        let shown = self.say(&["--json", "show", text]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["id"].as_str().unwrap().to_owned()
    }

    fn assess(&self, subject: &str) {
        self.say(&["key", "new", "office.key"]);
        self.say(&[
            "assess",
            "sign",
            "--subject",
            subject,
            "--key",
            "office.key",
            "--issuer",
            "Office",
            "--scheme",
            "security-assessment",
            "--grade",
            "important",
            "--purpose",
            "train-adaptive-grasp-control",
            "--modality",
            "visual",
            "--destination",
            "DE",
            "--valid-from",
            "2026-01-01",
            "--valid-to",
            "2028-12-31",
            "-o",
            "a.statement",
        ]);
        self.say(&["assess", "record", "a.statement", "--reference", "A-1"]);
    }

    fn ship(&self) -> String {
        self.say(&[
            "ship",
            "model:grasp",
            "--to",
            "Buyer GmbH",
            "--country",
            "DE",
            "--serial",
            "S-1",
            "--document",
            "lineage.toml",
            "--name",
            "first",
            "--purpose",
            "train-adaptive-grasp-control",
        ])
    }
}

/// Writes the policy that the tests ask for.
fn policy(desk: &Desk) -> &'static str {
    let text = include_str!("../../policies/cn-industrial-reference.toml");
    fs::write(desk.path().join("policy.toml"), text).unwrap();
    "policy.toml"
}

#[test]
fn from_a_lineage_file_to_a_verdict() {
    let desk = Desk::new();
    let said = desk.say(&["record", "lineage.toml"]);
    assert_eq!(said.lines().filter(|line| line.starts_with("recorded")).count(), 3, "{said}");
    let policy = policy(&desk);
    let check = [
        "check",
        "model:grasp",
        "--policy",
        policy,
        "--destination",
        "DE",
        "--purpose",
        "train-adaptive-grasp-control",
    ];
    let blocked = desk.run(&check);
    assert_eq!(blocked.status.code(), Some(1));
    let blocked = String::from_utf8_lossy(&blocked.stdout);
    assert!(blocked.contains("BLOCKS  assessment-missing") && blocked.contains("to clear: "), "{blocked}");
    desk.assess("wrist-camera");
    assert!(desk.say(&check).contains("would be met"));
    let late = desk.run(&[&check[..], &["--date", "2029-06-01"]].concat());
    let late = String::from_utf8_lossy(&late.stdout).into_owned();
    assert!(late.contains("BLOCKS  assessment-expired"), "{late}");
    desk.ship();
    assert!(desk.say(&["prove", "first", "-o", "s.griptrace", "--policy", policy]).contains("wrote s.griptrace"));
    let inspected = desk.say(&["inspect", "s.griptrace"]);
    assert!(inspected.starts_with("UNVERIFIED"), "{inspected}");
    assert!(desk.say(&["inspect", "s.griptrace", "--keys"]).contains("assessor Office (security-assessment)"));
    let trust = desk.say(&["trust", "init"]).replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
    fs::write(desk.path().join("trust.toml"), trust.replace("# schemes", "schemes")).unwrap();
    let verify = ["verify", "s.griptrace", "--trust", "trust.toml", "--policy", policy, "--destination", "DE"];
    let report = desk.say(&[&verify[..], &["--model", "out/grasp.bin", "--consignee", "Buyer GmbH"]].concat());
    assert!(report.contains("TRACED_ASSESSED"), "{report}");
    assert_eq!(desk.code(&verify), 1, "without a model nothing is met");
}

#[test]
fn what_was_recorded_is_not_recorded_again_and_files_are_ids() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let again = desk.say(&["record", "lineage.toml"]);
    assert_eq!(again.lines().filter(|line| line.starts_with("already recorded")).count(), 3, "{again}");
    let model = desk.id("model:grasp");
    assert_eq!(desk.id("out/grasp.bin"), model);
    assert_eq!(desk.id(&model[..8]), model);
    assert_eq!(desk.id("raw/camera"), desk.id("wrist-camera"));
    assert!(desk.complain(&["show", "nonsense"]).contains("is no node of this log"));
    fs::write(desk.path().join("out/other.bin"), "other").unwrap();
    assert!(desk.complain(&["show", "out/other.bin"]).contains("has the content of no node"));
}

#[test]
fn an_ambiguous_id_lists_its_candidates() {
    let desk = Desk::new();
    // 700 ids of 16 bits: by the birthday bound two of them begin alike, but for one run in 40.
    let one = |n| format!("[[dataset]]\nname = \"d{n}\"\norigin = \"external\"\ncontent_held = \"destroyed\"\n");
    let many: Vec<String> = (0..700).map(one).collect();
    fs::write(desk.path().join("many.toml"), many.concat()).unwrap();
    let said = desk.say(&["--json", "record", "many.toml"]);
    let mut ids: Vec<String> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["id"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    let Some(pair) = ids.windows(2).find(|pair| pair[0][..4] == pair[1][..4]) else { return };
    let said = desk.complain(&["show", &pair[0][..4]]);
    assert!(said.contains("is ambiguous") && said.contains(&pair[0][..16]) && said.contains(&pair[1][..16]), "{said}");
    assert!(said.contains(" dataset d"), "{said}");
    assert!(desk.complain(&["show", &pair[0][..3]]).contains("is no node"), "three digits are too few");
}

#[test]
fn a_draft_is_assessed_before_it_is_committed() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml", "--draft", "d.draft"]);
    assert!(desk.complain(&["show", "model:grasp"]).contains("is no node"), "a draft commits nothing");
    desk.say(&["key", "new", "office.key"]);
    desk.say(&[
        "--store",
        "/nowhere",
        "assess",
        "sign",
        "--draft",
        "d.draft",
        "--subject",
        "wrist-camera",
        "--key",
        "office.key",
        "--issuer",
        "Office",
        "--scheme",
        "security-assessment",
        "--grade",
        "important",
        "--purpose",
        "train-adaptive-grasp-control",
        "--modality",
        "visual",
        "--destination",
        "*",
        "--valid-from",
        "2026-01-01",
        "-o",
        "a.st",
    ]);
    assert!(desk.complain(&["assess", "record", "a.st"]).contains("what this log does not hold"));
    desk.say(&["record", "--from-draft", "d.draft"]);
    desk.say(&["assess", "record", "a.st"]);
    assert!(desk.say(&["show", "wrist-camera"]).contains("security-assessment (passed, signed by Office)"));
    assert!(desk.say(&["inventory"]).contains("security-assessment signed by Office no end"));
}

#[test]
fn a_wrong_record_is_superseded() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let old = desk.id("wrist-camera");
    let corrected = fs::read_to_string(desk.path().join("lineage.toml")).unwrap().replace("cell 3", "cell 4");
    let (dataset, _) = corrected.split_once("[[transformation]]").unwrap();
    fs::write(desk.path().join("corrected.toml"), dataset).unwrap();
    desk.say(&["record", "corrected.toml"]);
    let new = desk.id("wrist-camera");
    assert_ne!(old, new, "a name means the newest node");
    assert!(desk.complain(&["mark", "supersede", &old, "--reason", "x"]).contains("--successor"));
    assert!(
        desk.complain(&["mark", "supersede", "wrist-camera", "--successor", &new, "--reason", "x"])
            .contains("its own place")
    );
    desk.say(&["mark", "supersede", &old, "--successor", &new, "--reason", "wrong cell"]);
    assert!(desk.say(&["show", &old]).contains("marked"));
    assert_eq!(desk.say(&["inventory", "--json"]).lines().count(), 1, "what is superseded is not listed");
    desk.say(&["fsck"]);
}

#[test]
fn impact_and_trace_lead_both_ways() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.ship();
    let trace = desk.say(&["trace", "first"]);
    assert!(trace.contains("└─ model grasp") && trace.contains("dataset wrist-camera"), "{trace}");
    let impact = desk.say(&["impact", "wrist-camera"]);
    assert!(impact.contains("shipment first"), "{impact}");
    assert!(desk.say(&["trace", "first", "--dot"]).starts_with("digraph"));
    assert!(desk.say(&["trace", "first", "--to", "wrist-camera"]).contains("<-"));
    assert_eq!(desk.code(&["trace", "wrist-camera", "--to", "first"]), 1, "no way leads there");
    assert!(desk.say(&["log"]).contains("shipment first"));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let key = desk.path().join(".griptrace/keys/committer.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = desk.complain(&["record", "lineage.toml"]);
    assert!(said.contains("its mode is 0644, not 0600") && said.contains("hint: chmod 600 "), "{said}");
}

#[test]
fn only_the_assessor_signs_a_mark_on_an_assessment() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.assess("wrist-camera");
    desk.say(&["key", "new", "other.key"]);
    let mark = ["mark", "withdraw", "assessment", "--reason", "scope changed", "--key"];
    assert!(
        desk.complain(&[&mark[..], &["other.key"]].concat()).contains("is not the key that signed this assessment")
    );
    assert!(
        desk.complain(&["mark", "withdraw", "wrist-camera", "--reason", "x", "--key", "office.key"])
            .contains("is none")
    );
    desk.say(&[&mark[..], &["office.key"]].concat());
    assert!(desk.say(&["inventory"]).contains("no assessment"));
}

#[test]
fn keys_under_a_passphrase_are_needed_to_record_and_not_to_ask() {
    let desk = Desk(tempfile::tempdir().unwrap());
    let with = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace"));
        command.args(args).current_dir(desk.path()).env("GRIPTRACE_PASSPHRASE", "correct horse").output().unwrap()
    };
    fs::write(desk.path().join("d.bin"), "data").unwrap();
    let add = ["add", "dataset", "d.bin", "--origin", "collected", "--country", "CN", "--detail", "site=cell 3"];
    assert!(with(&["init", "--origin", "maker.example/2026", "--passphrase"]).status.success());
    assert!(desk.complain(&add).contains("the passphrase of"));
    assert!(with(&add).status.success());
    assert!(desk.say(&["show", "d.bin"]).contains("cell 3"));
    assert!(desk.say(&["trust", "init"]).contains("[[committer]]"));
}
