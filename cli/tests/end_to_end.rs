//! The program as a person uses it: recorded, assessed, shipped, proven, inspected, verified.

use core::ops::Deref;
use std::fs;

use crate::support::{Folder, command};

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

struct Desk(Folder);

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Desk {
    /// A store, a lineage file and the files that it names.
    fn new() -> Self {
        let desk = Self(Folder::new());
        fs::create_dir_all(desk.path().join("raw/camera")).unwrap();
        fs::create_dir_all(desk.path().join("out")).unwrap();
        fs::write(desk.path().join("raw/camera/1.pgm"), "frame one").unwrap();
        fs::write(desk.path().join("raw/camera/2.pgm"), "frame two").unwrap();
        fs::write(desk.path().join("out/grasp.bin"), "weights").unwrap();
        desk.say(&["init", "--origin", "maker.example/2026", "--name", "Maker"]);
        desk.write("lineage.toml", &LINEAGE.replace("@TODAY@", &desk.today()));
        desk
    }

    fn code(&self, args: &[&str]) -> i32 {
        self.run(args).status.code().unwrap()
    }

    /// Runs a command that must succeed, and returns what it said on stderr.
    fn warned(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "griptrace {args:?}: {said}");
        said
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

/// Two exceptions by name and flag, and what else there is.
const PROFILE: &str = r#"
name = "for-buyer"
[show]
dataset = ["name", "licence", "site"]
transformation = ["*"]
shipment = ["consignee"]
"#;

#[test]
fn a_profile_shows_what_it_says_and_the_reader_is_told_so_before() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.assess("wrist-camera");
    desk.ship();
    fs::write(desk.path().join("profile.toml"), PROFILE).unwrap();
    let learns = |flags: &[&str]| {
        desk.say(&[&["prove", "first", "-o", "b.griptrace"][..], flags].concat());
        let file = fs::read(desk.path().join("b.griptrace")).unwrap();
        for hidden in ["raw/camera", "1.pgm", "out/grasp", desk.path().to_str().unwrap()] {
            let found = file.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "{hidden} stands in the bundle of {flags:?}");
        }
        let json = desk.say(&["inspect", "b.griptrace", "--as-buyer", "--json"]);
        let words = desk.say(&["inspect", "b.griptrace", "--as-buyer"]);
        (words, serde_json::from_str::<serde_json::Value>(&json).unwrap())
    };
    let details = |json: &serde_json::Value, kind: &str| {
        let of = |node: &&serde_json::Value| node["kind"] == kind;
        let node = json["learns"]["nodes"].as_array().unwrap().iter().find(of).unwrap();
        node["details"].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    let (words, json) = learns(&["--profile", "profile.toml"]);
    assert_eq!(details(&json, "dataset"), "licence name site");
    assert_eq!(details(&json, "transformation"), "name tool");
    assert_eq!(details(&json, "model"), "content manifest");
    for part in
        ["cell 3", "file \"grasp.bin\"", "by Maker: ", "assessed by", "scheme        security-assessment", "Buyer GmbH"]
    {
        assert!(words.contains(part), "{part}\n{words}");
    }
    assert!(!words.contains("S-1") && !words.contains("none found (all frames)"), "{words}");
    let (_, json) = learns(&["--profile", "profile.toml", "--hide", "dataset.site", "--show", "model.name"]);
    assert_eq!(details(&json, "dataset"), "licence name");
    assert_eq!(details(&json, "model"), "content manifest name");
    let (words, json) = learns(&["--profile", "full", "--hide-node", "wrist-camera", "--hide", "shipment.serials"]);
    assert_eq!(details(&json, "dataset"), "");
    assert!(!words.contains("cell 3") && !words.contains("S-1") && words.contains("train.py"), "{words}");
    let (_, json) = learns(&[]);
    assert_eq!(details(&json, "dataset") + &details(&json, "transformation"), "");
    assert_eq!(details(&json, "shipment"), "consignee");
    // The files that ship stand in every bundle: whoever wanted to hide them hears so.
    let told = |flags: [&str; 2]| desk.warned(&[&["prove", "first", "-o", "b.griptrace"][..], &flags].concat());
    assert_eq!(told(["--hide", "model.name"]) + &told(["--hide-node", "wrist-camera"]), "");
    assert!(told(["--hide", "model.content"]).contains(" model grasp: content can't be hidden"));
    for flags in [["--hide", "model.*"], ["--hide-node", "model:grasp"]] {
        let said = told(flags);
        assert!(said.contains(" model grasp: content and manifest can't be hidden, and the bundle shows"), "{said}");
        assert!(said.contains("hint: a buyer compares the files that shipped"), "{said}");
    }
}

#[test]
fn a_profile_that_names_what_is_not_there_writes_nothing() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.ship();
    fs::write(desk.path().join("profile.toml"), "name = \"x\"\n[[node]]\nid = \"wrist-camera\"\nshow = [\"tool\"]")
        .unwrap();
    for (flags, expected) in [
        (["--profile", "maximal"], "profiles that come with the program: minimal, annex-iv-2d, full"),
        (["--profile", "profile.toml"], "a dataset has no detail \"tool\""),
        (["--hide-node", "wrist-camra"], "is no node of this log"),
        (["--hide", "dataset.license"], "did you mean \"licence\"?"),
        (["--show", "data.licence"], "they are dataset, transformation, model"),
    ] {
        let said = desk.complain(&[&["prove", "first", "-o", "b.griptrace"][..], &flags].concat());
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
    assert!(!desk.path().join("b.griptrace").exists());
    let listed = desk.say(&["policy", "profiles"]);
    assert!(listed.contains("minimal: ") && listed.contains("  shipment: consignee"), "{listed}");
    assert!(desk.say(&["policy", "profiles", "profile.toml"]).contains("  node wrist-camera: tool"));
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

/// A file that was recalled is known: whoever asks about it hears of the mark, and whoever goes on with it is refused.
#[test]
fn a_file_whose_node_was_put_aside_is_found_with_its_mark() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let model = desk.id("model:grasp");
    desk.say(&["mark", "recall", "model:grasp", "--reason", "drops parts"]);
    for command in ["show", "trace", "impact"] {
        let said = desk.warned(&[command, "out/grasp.bin"]);
        assert!(said.contains("model grasp, which bears the mark recall of "), "{command}: {said}");
        assert!(said.contains(": drops parts)"), "{command}: {said}");
    }
    assert_eq!(desk.id("out/grasp.bin"), model);
    for refused in
        [&["ship", "out/grasp.bin", "--to", "B", "--country", "DE"][..], &["prove", "out/grasp.bin", "-o", "b"]]
    {
        let said = desk.complain(refused);
        assert!(said.contains("which bears the mark recall of "), "{refused:?}: {said}");
        assert!(said.contains("hint: griptrace show out/grasp.bin"), "{refused:?}: {said}");
    }
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
    // By the record of it in a store: the assessor's own file of it may be lost.
    let withdraw = ["assess", "withdraw", "assessment", "-o", "w.update", "--key"];
    let said = desk.complain(&[&withdraw[..], &["other.key"]].concat());
    assert!(said.contains("is not the key that signed this assessment"), "{said}");
    desk.say(&[&withdraw[..], &["office.key"]].concat());
    let mark = |node| ["mark", "withdraw", node, "--reason", "scope changed", "--statement", "w.update"];
    assert!(desk.complain(&mark("wrist-camera")).contains("is none"));
    desk.say(&mark("assessment"));
    assert!(desk.say(&["inventory"]).contains("no assessment"));
}

#[test]
fn keys_under_a_passphrase_are_needed_to_record_and_not_to_ask() {
    let desk = Desk(Folder::new());
    let with =
        |args: &[&str]| command(desk.path(), args).env("GRIPTRACE_PASSPHRASE", "correct horse").output().unwrap();
    fs::write(desk.path().join("d.bin"), "data").unwrap();
    let add = ["add", "dataset", "d.bin", "--origin", "collected", "--country", "CN", "--detail", "site=cell 3"];
    assert!(with(&["init", "--origin", "maker.example/2026", "--passphrase"]).status.success());
    assert!(desk.complain(&add).contains("the passphrase of"));
    assert!(with(&add).status.success());
    assert!(desk.say(&["show", "d.bin"]).contains("cell 3"));
    assert!(desk.say(&["trust", "init"]).contains("[[committer]]"));
}

/// A data set of one file, with no fields but those that it must have.
fn data(desk: &Desk, file: &str, content: &str, name: &str) -> String {
    fs::write(desk.path().join(file), content).unwrap();
    desk.warned(&["add", "dataset", file, "--name", name, "--origin", "collected", "--country", "CN"])
}

#[test]
fn an_output_replaces_only_its_own_kind() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.assess("wrist-camera");
    desk.ship();
    let model = fs::read(desk.path().join("out/grasp.bin")).unwrap();
    assert!(desk.complain(&["prove", "first", "-o", "out/grasp.bin"]).contains("is no bundle"));
    assert!(desk.complain(&["prove", "first", "-o", "a.statement"]).contains("is no bundle"));
    assert_eq!(fs::read(desk.path().join("out/grasp.bin")).unwrap(), model);
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let said = desk.complain(&["prove", "first", "-o", "s.griptrace", "--policy", "s.griptrace"]);
    assert!(said.contains("s.griptrace"), "{said}");
    let terms = "--subject wrist-camera --issuer O --scheme s --grade g --purpose p --modality visual --destination DE";
    let sign = |out: &str| {
        let words: Vec<&str> = ["assess", "sign"].into_iter().chain(terms.split(' ')).collect();
        desk.run(&[&words[..], &["--key", "office.key", "-o", out]].concat())
    };
    for (out, why) in [("office.key", "is an input"), ("s.griptrace", "is no statement")] {
        let refused = sign(out);
        assert_eq!(refused.status.code(), Some(2), "{out}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(why), "{out}");
    }
    assert!(sign("a.statement").status.success());
    desk.say(&["key", "show", "office.key"]);
}

#[cfg(unix)]
#[test]
fn a_draft_is_private_and_never_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let draft = ["record", "lineage.toml", "--draft", "d.draft"];
    desk.say(&draft);
    let written = fs::read(desk.path().join("d.draft")).unwrap();
    assert_eq!(fs::metadata(desk.path().join("d.draft")).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(desk.complain(&draft).contains("hint: a draft's ids are what an assessor signs"));
    assert!(desk.complain(&["record", "lineage.toml", "--draft", "lineage.toml"]).contains("is there already"));
    assert_eq!(fs::read(desk.path().join("d.draft")).unwrap(), written);
    desk.say(&["record", "--from-draft", "d.draft"]);
    let again = desk.say(&["record", "--from-draft", "d.draft"]);
    assert_eq!(again.lines().filter(|line| line.starts_with("already recorded")).count(), 3, "{again}");
}

#[test]
fn a_mark_is_looked_at_before_it_is_made() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let policy = policy(&desk);
    let reclassify = |grade| ["mark", "reclassify", "wrist-camera", "--reason", "looked again", "--grade", grade];
    let with = |grade| [&reclassify(grade)[..], &["--policy", policy]].concat();
    assert!(desk.complain(&with("imporant")).contains("is no grade of the policy"));
    assert!(desk.warned(&with("general")).contains("this lowers the grade"));
    assert!(desk.warned(&reclassify("imporant")).contains("needs the role `regrade`"));
    assert!(!desk.warned(&reclassify("important")).contains("warning"));
    assert!(desk.complain(&["mark", "withdraw", "wrist-camera", "--reason", " "]).contains("--reason is empty"));
    let late = ["mark", "withdraw", "wrist-camera", "--reason", "x", "--date", "2999-01-01"];
    assert!(desk.complain(&late).contains("2999-01-01 is in the future"));
}

#[test]
fn what_was_marked_is_recorded_anew_with_a_warning_and_marks_are_shown() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let old = desk.id("wrist-camera");
    desk.say(&["mark", "withdraw", "wrist-camera", "--reason", "a person in the picture"]);
    let step = desk.say(&["trace", "model:grasp"]);
    assert!(step.lines().any(|l| l.contains("dataset wrist-camera") && l.ends_with("[withdrawn]")), "{step}");
    assert!(desk.say(&["show", &old]).contains("a person in the picture"));
    assert!(desk.say(&["log"]).lines().any(|l| l.contains("status") && l.ends_with("dataset wrist-camera")));
    assert!(desk.say(&["inventory"]).contains("withdrawn"));
    let said = desk.warned(&["record", "lineage.toml"]);
    let expected = format!(
        "wrist-camera was recorded before as {} and has the mark withdraw (a person in the picture): this is a new record",
        &old[..16]
    );
    assert!(said.contains(&expected), "{said}");
    assert_ne!(desk.id("wrist-camera"), old);
}

#[test]
fn a_shared_name_is_refused_where_nothing_can_be_undone() {
    let desk = Desk::new();
    data(&desk, "a.bin", "one", "camera");
    data(&desk, "b.bin", "two", "camera");
    let said = desk.complain(&["mark", "withdraw", "camera", "--reason", "x"]);
    assert!(said.contains("several nodes are called \"camera\""), "{said}");
    assert_eq!(said.matches("dataset camera, recorded 20").count(), 2, "{said}");
    assert!(desk.warned(&["show", "camera"]).contains("note: 2 nodes are called \"camera\""));
    desk.say(&["mark", "withdraw", &desk.id("a.bin"), "--reason", "x"]);
    assert!(!desk.warned(&["show", "camera"]).contains("note:"));
    desk.say(&["mark", "withdraw", "camera", "--reason", "x"]);
}

#[test]
fn a_store_is_not_recorded() {
    let desk = Desk::new();
    let add = |path| ["add", "dataset", path, "--origin", "collected", "--name", "all"];
    let said = desk.warned(&add("."));
    assert!(said.contains(".griptrace is the folder of a store and was left out"), "{said}");
    let shown = desk.say(&["show", "all", "--files"]);
    assert!(
        shown.contains("  file blake3:") && shown.contains("lineage.toml") && !shown.contains("log.key"),
        "{shown}"
    );
    for path in [".griptrace", ".griptrace/keys/log.key"] {
        assert!(desk.complain(&add(path)).contains("of a store, which holds its keys"), "{path}");
    }
}

#[test]
fn key_show_reads_every_form_of_a_key() {
    let desk = Desk::new();
    let trust = desk.say(&["trust", "init"]);
    let vkey = trust.lines().find_map(|line| line.strip_prefix("vkey = ")).unwrap().trim_matches('"');
    assert_eq!(desk.say(&["key", "show", vkey]), desk.say(&["key", "show", ".griptrace/keys/log.key"]));
    for text in ["ed25519:AAAA", "p256:", "maker.example/2026+00000000+AQAA"] {
        assert!(desk.complain(&["key", "show", text]).contains("malformed key"), "{text}");
    }
    let said = desk.complain(&["key", "show", "out"]);
    assert!(said.contains("is a folder") && !said.contains("chmod"), "{said}");
    assert!(desk.complain(&["key", "new", "missing/k"]).contains("make it first"));
}

#[test]
fn the_committer_is_whom_the_settings_name() {
    let desk = Desk::new();
    let key = desk.path().join(".griptrace/keys/committer.key");
    fs::remove_file(&key).unwrap();
    desk.say(&["key", "new", ".griptrace/keys/committer.key"]);
    let said = desk.complain(&["record", "lineage.toml"]);
    assert!(said.contains("config.toml names the committer's key"), "{said}");
}

#[test]
fn fsck_lists_what_keeps_a_store_from_being_opened() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let segment = desk.path().join(".griptrace/store/segments/0000000000000000");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let output = desk.run(&["fsck"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("FAULT  segments/0000000000000000") && err.contains("hint: put"), "{out}{err}");
}

#[test]
fn what_is_empty_late_or_endless_is_refused() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let long = "x".repeat(1001);
    let ship = |to, serial, name| {
        desk.complain(&["ship", "model:grasp", "--country", "DE", "--to", to, "--serial", serial, "--name", name])
    };
    assert!(ship("", "1", "s").contains("--to is empty"));
    assert!(ship("Buyer", "1\n2", "s").contains("--serial has control characters"));
    assert!(ship("Buyer", "1", "a\u{1b}b").contains("control characters"));
    assert!(ship("Buyer", "1", &long).contains("1001 characters"));
    let lineage = fs::read_to_string(desk.path().join("lineage.toml")).unwrap();
    let record = |text: String| {
        fs::write(desk.path().join("other.toml"), text).unwrap();
        desk.complain(&["record", "other.toml"])
    };
    let said = record(lineage.replace(&format!("date = {}", desk.today()), "date = 2999-01-01"));
    assert!(said.contains("2999-01-01 is in the future: today is 20"), "{said}");
    assert!(record(lineage.replace("on = 2026-04-02", "on = \"spring\"")).contains("is no day"));
    assert!(record("# later\n".to_owned()).contains("names nothing to record"));
}

#[test]
fn a_statement_is_recorded_once() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.assess("wrist-camera");
    let again = desk.say(&["assess", "record", "a.statement", "--reference", "A-1"]);
    assert!(again.starts_with("already recorded"), "{again}");
    assert!(desk.warned(&["assess", "record", "a.statement", "--reference", "A-2"]).contains("with another reference"));
}

#[test]
fn the_inventory_inherits_the_highest_grade() {
    const SCOPE: &str = "modality = \"visual\"\npurpose = \"train-adaptive-grasp-control\"";
    let desk = Desk::new();
    let mut text = Vec::new();
    for (name, grade) in [("low", "general"), ("high", "important"), ("none", "")] {
        let grade = if grade.is_empty() { String::new() } else { format!("grade = \"{grade}\"\n") };
        text.push(format!(
            "[[dataset]]\nname = \"{name}\"\norigin = \"collected\"\ncontent_held = \"destroyed\"\n{SCOPE}\n{grade}"
        ));
    }
    let steps = [
        ("both", "\"low\", \"high\""),
        ("one", "\"low\""),
        ("later", "\"both\", \"one\""),
        ("open", "\"later\", \"none\""),
    ];
    for (name, used) in steps {
        text.push(format!(
            "[[transformation]]\nkind = \"merge\"\nused = [{used}]\ngenerated = [{{ dataset = \"{name}\", content_held = \"destroyed\", modality = \"visual\", purpose = \"train-adaptive-grasp-control\" }}]\n"
        ));
    }
    fs::write(desk.path().join("chain.toml"), text.concat()).unwrap();
    desk.say(&["record", "chain.toml"]);
    let policy = include_str!("../../policies/cn-industrial-reference.toml");
    fs::write(desk.path().join("policy.toml"), policy).unwrap();
    let rows = desk.say(&["inventory", "--policy", "policy.toml", "--json"]);
    let grade = |name: &str| {
        let rows = rows.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
        rows.filter(|row| row["name"] == name).map(|row| row["grade"].as_str().unwrap().to_owned()).next().unwrap()
    };
    assert_eq!(grade("both"), "important (inherited)");
    assert_eq!(grade("one"), "general (inherited)");
    assert_eq!(grade("later"), "important (inherited)");
    assert_eq!(grade("open"), "undetermined (inherited)");
}

#[test]
fn a_name_that_looks_like_an_id_is_a_name() {
    let desk = Desk::new();
    data(&desk, "a.bin", "one", "camera");
    let prefix = desk.id("camera")[..4].to_owned();
    assert_eq!(desk.id(&prefix), desk.id("camera"));
    data(&desk, "b.bin", "two", &prefix);
    assert_eq!(desk.id(&format!("dataset:{prefix}")), desk.id("b.bin"));
    let said = desk.complain(&["mark", "withdraw", &prefix, "--reason", "x"]);
    assert!(said.contains("the beginning of another node's id"), "{said}");
    desk.say(&["mark", "withdraw", &format!("dataset:{prefix}"), "--reason", "x"]);
    let long = "x".repeat(200);
    data(&desk, "c.bin", "three", &long);
    assert_eq!(desk.id(&long), desk.id("c.bin"));
    let id = desk.id(&long);
    assert_eq!(desk.id(&id), id);
}

/// Writes the trust file of a buyer who believes the keys of today, and returns its name.
fn trust(desk: &Desk, name: &'static str) -> &'static str {
    let trust = desk.say(&["trust", "init"]).replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
    fs::write(desk.path().join(name), trust.replace("# schemes", "schemes")).unwrap();
    name
}

#[test]
fn a_buyer_with_the_old_keys_or_the_new_ones_verifies_what_was_signed_with_both() {
    let desk = Desk::new();
    let policy = policy(&desk);
    desk.say(&["record", "lineage.toml"]);
    desk.assess("wrist-camera");
    let old = trust(&desk, "old.toml");
    let said = desk.say(&["key", "rotate", "committer", "--p256"]);
    assert!(said.contains("retired    committer key ed25519:") && said.contains("successor  p256:"), "{said}");
    desk.say(&["key", "rotate", "log"]);
    desk.ship();
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let new = trust(&desk, "new.toml");
    for trust in [old, new] {
        let verify = ["verify", "s.griptrace", "--policy", policy, "--destination", "DE", "--model", "out/grasp.bin"];
        let report = desk.say(&[&verify[..], &["--consignee", "Buyer GmbH", "--trust", trust]].concat());
        assert!(report.contains("TRACED_ASSESSED"), "{trust}: {report}");
    }
    let log = desk.say(&["log"]);
    assert_eq!(log.lines().filter(|line| line.contains(" retired, followed by ")).count(), 2, "{log}");
    assert_eq!(desk.code(&["fsck"]), 0);
    // Again, and with the old file put back: the log knows which key counts.
    desk.say(&["key", "rotate", "log"]);
    let config = desk.path().join(".griptrace/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("log-3.key", "log.key")).unwrap();
    let said = desk.complain(&["mark", "withdraw", "wrist-camera", "--reason", "x"]);
    assert!(said.contains("and the signer given is"), "{said}");
}

#[test]
fn a_change_of_keys_that_was_cut_off_is_settled_by_what_the_log_says() {
    let desk = Desk::new();
    let config = desk.path().join(".griptrace/config.toml");
    let before = fs::read_to_string(&config).unwrap();
    desk.say(&["key", "rotate", "log"]);
    desk.say(&["key", "rotate", "committer"]);
    let after = fs::read_to_string(&config).unwrap();
    // As if the settings had not been written again after the changes.
    let pending = "\nnext_log = \"keys/log-2.key\"\nnext_committer = \"keys/committer-2.key\"\n";
    let (head, tail) = before.split_once("committer = \"keys/committer.key\"").unwrap();
    fs::write(&config, format!("{head}committer = \"keys/committer.key\"{pending}{tail}")).unwrap();
    desk.say(&["record", "lineage.toml"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), after);
    // And as if the change itself had never come: the key that was made is taken the next time.
    let text = after.replace("committer-2.key\"\n", "committer-2.key\"\nnext_committer = \"keys/committer-3.key\"\n");
    fs::write(&config, text).unwrap();
    desk.say(&["key", "new", ".griptrace/keys/committer-3.key"]);
    let made = desk.say(&["key", "show", ".griptrace/keys/committer-3.key"]);
    let rotated = desk.say(&["key", "rotate", "committer"]);
    let key = made.lines().find_map(|line| line.strip_prefix("public key   ")).unwrap();
    assert!(rotated.contains(&format!("successor  {key}")), "{rotated}");
}

#[test]
fn a_stolen_key_is_revoked_by_a_key_that_the_log_was_made_with() {
    let desk = Desk::new();
    desk.say(&["key", "new", "guard.key"]);
    let guard = desk.say(&["--json", "key", "show", "guard.key"]);
    let guard: serde_json::Value = serde_json::from_str(&guard).unwrap();
    fs::remove_dir_all(desk.path().join(".griptrace")).unwrap();
    let revoker = guard["public_key"].as_str().unwrap();
    let made = desk.say(&["--json", "init", "--origin", "maker.example/2026", "--name", "Maker", "--revoker", revoker]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let (home, stolen) = (made["home"].as_str().unwrap(), made["committer"].as_str().unwrap());
    desk.say(&["record", "lineage.toml"]);
    desk.say(&["key", "new", "next.key"]);
    let sign = |since, by| {
        let change = ["key", "change", "committer", "--genesis", home, "--revoke", stolen, "--since", since];
        desk.say(&[&change[..], &["--by", by, "--new", "next.key", "-o", "c.change"]].concat());
    };
    // A key that the genesis does not name revokes nothing.
    desk.say(&["key", "new", "stranger.key"]);
    sign("2", "stranger.key");
    assert!(desk.complain(&["key", "record", "c.change"]).contains("the genesis does not name key"));
    sign("5", "guard.key");
    let said = desk.complain(&["key", "record", "c.change"]);
    assert!(said.contains("revokes since leaf 5"), "the log is shorter: {said}");
    let size = desk.say(&["--json", "log"]).lines().count();
    assert_eq!(size, 1, "one commit, at leaf 2");
    sign("3", "guard.key");
    desk.say(&["key", "record", "c.change"]);
    let late = "[[dataset]]\nname = \"late\"\norigin = \"external\"\ncontent_held = \"destroyed\"\n";
    fs::write(desk.path().join("late.toml"), late).unwrap();
    let late = desk.complain(&["record", "late.toml"]);
    assert!(late.contains("does not count from leaf 3 on"), "{late}");
}
