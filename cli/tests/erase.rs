//! A person's request and a recalled recording, from the command to what a buyer still sees.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const SITE: &str = "the kitchen of Erika Mustermann";
const RECALLED: &str = "erika-at-home-0001.pgm";
const LINEAGE: &str = r#"
[[dataset]]
name = "camera"
origin = "collected"
path = "raw"
modality = ["visual"]
purpose = ["train-adaptive-grasp-control"]
country = "CN"
detail = { site = "the kitchen of Erika Mustermann", licence = { name = "own", allows = true }, persons = "none found (all frames)" }

[[transformation]]
name = "train"
kind = "training"
used = ["camera"]
country = "CN"
date = 2026-01-02
purpose = ["train-adaptive-grasp-control"]
generated = [{ model = "grasp", path = "out/grasp.bin", country = "CN" }]
detail = { tool = "train.py" }
"#;

/// A maker with a shipment, and a buyer.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(desk.path().join("raw")).unwrap();
        fs::create_dir_all(desk.path().join("out")).unwrap();
        fs::write(desk.path().join("raw/1.pgm"), "frame").unwrap();
        fs::write(desk.path().join("raw").join(RECALLED), "another frame").unwrap();
        fs::write(desk.path().join("out/grasp.bin"), "weights").unwrap();
        fs::write(desk.path().join("lineage.toml"), LINEAGE).unwrap();
        let policy = include_str!("../../policies/cn-industrial-reference.toml");
        fs::write(desk.path().join("policy.toml"), policy).unwrap();
        desk.say("init --origin maker.example/2026 --name Maker");
        // So that the digests of the files are kept: they have to be two seconds old.
        std::thread::sleep(core::time::Duration::from_secs(3));
        desk.say("record lineage.toml");
        desk.say(
            "ship model:grasp --to Buyer --country DE --serial S-1 --name first --purpose train-adaptive-grasp-control",
        );
        let trust = desk.say("trust init").replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
        fs::write(desk.path().join("trust.toml"), trust.replace("# schemes", "schemes")).unwrap();
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace"));
        command.args(args).current_dir(self.path()).env_remove("GRIPTRACE_STORE").env_remove("GRIPTRACE_PASSPHRASE");
        command.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn ends(&self, args: &[&str], code: i32) -> (String, String) {
        let output = self.run(args);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "griptrace {args:?}: {out}{err}");
        (out, err)
    }

    #[track_caller]
    fn say(&self, args: &str) -> String {
        self.ends(&args.split_whitespace().collect::<Vec<_>>(), 0).0
    }

    fn report(&self, bundle: &str) -> serde_json::Value {
        let args = format!(
            "verify {bundle} --trust trust.toml --policy policy.toml --destination DE --model out/grasp.bin --at 2026-12-01 --json"
        );
        let output = self.run(&args.split_whitespace().collect::<Vec<_>>());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Returns the files below a folder in which a text stands.
    fn with_text(&self, folder: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        look_below(&self.path().join(folder), text, &mut found);
        found
    }

    fn id(&self, node: &str) -> String {
        let shown: serde_json::Value = serde_json::from_str(&self.say(&format!("--json show {node}"))).unwrap();
        shown["id"].as_str().unwrap().to_owned()
    }
}

fn look_below(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_below(&path, text, found);
        } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn what_is_erased_is_unknown_from_then_on_and_what_was_proven_holds() {
    let desk = Desk::new();
    let id = desk.id("camera");
    desk.say("prove first -o old.bundle --profile full --no-cosign");
    desk.say("backup copy");
    let before = desk.report("old.bundle");
    for (folder, text) in [(".griptrace", SITE), ("copy", SITE), (".griptrace", RECALLED), ("copy", RECALLED)] {
        assert!(!desk.with_text(folder, text).is_empty(), "{text} in {folder}");
    }
    assert!(desk.with_text(".griptrace/hashes", RECALLED).len() == 1, "the cache of digests has it");

    let (out, err) = desk.ends(&["erase", "camera", "site", "name", "--reason", "Art. 17", "--authority", "E. M."], 0);
    assert!(out.contains("site, name") && out.contains("(name erased)"), "{out}");
    let erasure = out.split_whitespace().last().unwrap();
    assert!(desk.say(&format!("show {erasure}")).contains("took               name, site"));
    assert!(err.contains("bundles, drafts, backups"), "{err}");
    let (_, err) = desk.ends(&["erase", &id, "--file", RECALLED, "--reason", "recalled"], 0);
    assert!(err.contains("content and manifest of the node are over all its files"), "{err}");
    for text in [SITE, RECALLED] {
        assert_eq!(desk.with_text(".griptrace", text), [""; 0], "{text}");
        assert!(!desk.with_text("copy", text).is_empty());
    }
    desk.say("backup copy");
    assert_eq!([desk.with_text("copy", SITE), desk.with_text("copy", RECALLED)].concat(), [""; 0]);
    desk.say("fsck");

    // Unknown everywhere, and said.
    let shown = desk.say(&format!("show {id} --files"));
    assert!(
        shown.contains("site               erased on ") && shown.contains("files              1 erased on "),
        "{shown}"
    );
    assert!(!shown.contains(SITE) && shown.contains("1.pgm") && !shown.contains(RECALLED), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&desk.say(&format!("--json show {id}"))).unwrap();
    assert_eq!(shown["erased"], serde_json::json!({ "fields": ["name", "site"], "files": 1 }));
    assert!(desk.say("trace first").contains("dataset (name erased)"));
    desk.ends(&["show", "camera"], 2);
    let again = desk.say("record lineage.toml");
    assert!(again.contains("recorded          dataset") && !again.contains(&id[..16]), "R10: {again}");

    // The old bundle is judged as before, but for what was recorded since; a new one leaves it out.
    let after = desk.report("old.bundle");
    assert_eq!(before["verdict"], after["verdict"]);
    assert_eq!(before["findings"], after["findings"]);
    let (out, err) =
        desk.ends(&["prove", "first", "-o", "new.bundle", "--profile", "full", "--no-cosign", "--json"], 0);
    assert!(err.contains("site was erased on ") && err.contains("unknown to the buyer"), "{err}");
    let out: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["erased"][0]["fields"], serde_json::json!(["name", "site"]));
    assert_eq!(desk.report("new.bundle")["verdict"], before["verdict"]);
    let new = fs::read(desk.path().join("new.bundle")).unwrap();
    assert!(!new.windows(SITE.len()).any(|window| window == SITE.as_bytes()));

    // Once more is answered, and changes nothing.
    let (out, _) = desk.ends(&["erase", &id, "site", "--reason", "again"], 0);
    assert!(out.starts_with("already erased on "), "{out}");
    let (_, err) = desk.ends(&["erase", &id, "--file", RECALLED, "--reason", "again"], 2);
    assert!(err.contains("or it was erased before"), "{err}");
}

#[test]
fn what_can_not_be_erased_is_said() {
    let desk = Desk::new();
    let (_, err) = desk.ends(&["erase", "camera", "sites", "--reason", "x"], 2);
    assert!(err.contains("did you mean \"site\"?"), "{err}");
    let (_, err) = desk.ends(&["erase", "camera", "bias", "--reason", "x"], 2);
    assert!(err.contains("has no bias"), "{err}");
    let (_, err) = desk.ends(&["erase", "camera", "--reason", "x"], 2);
    assert!(err.contains("FIELD"), "{err}");
    let (_, err) = desk.ends(&["erase", "camera", "site", "--reason", " "], 2);
    assert!(err.contains("needs a reason"), "{err}");
    let (_, err) = desk.ends(&["--server", "http://127.0.0.1:9", "erase", "camera", "site", "--reason", "x"], 2);
    assert!(err.contains("erasing needs the store itself") && err.contains("end the servers"), "{err}");
    // Files of what ships: no bundle of it opens them any more, and it says so.
    desk.say("erase model:grasp --file grasp.bin --reason recalled");
    let (_, err) = desk.ends(&["prove", "first", "-o", "new.bundle", "--no-cosign"], 0);
    assert!(err.contains("1 of its files were erased on ") && err.contains("can't compare"), "{err}");
    assert_eq!(desk.with_text(".griptrace", SITE).len(), 1, "nothing else was erased");
}
