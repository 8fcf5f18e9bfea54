//! A person's request and a recalled recording, from the command to what a buyer still sees.

use core::{ops::Deref, time::Duration};
use std::{fs, path::Path, thread};

use crate::support::{Folder, Serving, Words};

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
        fs::write(desk.path().join("raw").join(RECALLED), "another frame").unwrap();
        fs::write(desk.path().join("out/grasp.bin"), "weights").unwrap();
        fs::write(desk.path().join("lineage.toml"), LINEAGE).unwrap();
        let policy = include_str!("../../policies/cn-industrial-reference.toml");
        fs::write(desk.path().join("policy.toml"), policy).unwrap();
        desk.say("init --origin maker.example/2026 --name Maker");
        // So that the digests of the files are kept: they have to be two seconds old.
        thread::sleep(Duration::from_secs(3));
        desk.say("record lineage.toml");
        desk.say(
            "ship model:grasp --to Buyer --country DE --serial S-1 --name first --purpose train-adaptive-grasp-control",
        );
        let trust = desk.say("trust init").replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
        fs::write(desk.path().join("trust.toml"), trust.replace("# schemes", "schemes")).unwrap();
        desk
    }

    /// Serves the log, and returns where.
    fn serve(&self) -> (Serving, String) {
        Serving::start(self.path(), "")
    }

    #[track_caller]
    fn tells(&self, args: &(impl Words + ?Sized), code: i32) -> (String, String) {
        let output = self.run(args);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "griptrace {:?}: {out}{err}", args.words());
        (out, err)
    }

    fn report(&self, bundle: &str) -> serde_json::Value {
        let args = format!(
            "verify {bundle} --trust trust.toml --policy policy.toml --destination DE --model out/grasp.bin --at 2026-12-01 --json"
        );
        let output = self.run(&args);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Returns the files below a folder in which a text stands.
    fn with_text(&self, folder: &str, text: &str) -> Vec<String> {
        self.with_bytes(folder, text.as_bytes())
    }

    fn with_bytes(&self, folder: &str, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        look_below(&self.path().join(folder), bytes, &mut found);
        found
    }

    fn id(&self, node: &str) -> String {
        let shown: serde_json::Value = serde_json::from_str(&self.say(&format!("--json show {node}"))).unwrap();
        shown["id"].as_str().unwrap().to_owned()
    }
}

fn look_below(folder: &Path, bytes: &[u8], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_below(&path, bytes, found);
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
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

    let (out, err) = desk.tells(&["erase", "camera", "site", "name", "--reason", "Art. 17", "--authority", "E. M."], 0);
    assert!(out.contains("site, name") && out.contains("(name erased)"), "{out}");
    let erasure = out.split_whitespace().last().unwrap();
    assert!(desk.say(&format!("show {erasure}")).contains("took               name, site"));
    assert!(err.contains("bundles, drafts, backups"), "{err}");
    let (_, err) = desk.tells(&["erase", &id, "--file", RECALLED, "--reason", "recalled"], 0);
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
    desk.tells(&["show", "camera"], 2);
    let (_, err) = desk.tells("record lineage.toml", 2);
    assert!(err.contains("of which name, site, files was erased on "), "{err}");
    let again = desk.say("record lineage.toml --despite-erasure");
    assert!(again.contains("recorded          dataset") && !again.contains(&id[..16]), "R10: {again}");

    // The old bundle is judged as before, but for what was recorded since; a new one leaves it out.
    let after = desk.report("old.bundle");
    assert_eq!(before["verdict"], after["verdict"]);
    assert_eq!(before["findings"], after["findings"]);
    let (out, err) =
        desk.tells(&["prove", "first", "-o", "new.bundle", "--profile", "full", "--no-cosign", "--json"], 0);
    assert!(err.contains("site was erased on ") && err.contains("unknown to the buyer"), "{err}");
    let out: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["erased"][0]["fields"], serde_json::json!(["name", "site"]));
    assert_eq!(desk.report("new.bundle")["verdict"], before["verdict"]);
    let new = fs::read(desk.path().join("new.bundle")).unwrap();
    assert!(!new.windows(SITE.len()).any(|window| window == SITE.as_bytes()));

    // Once more is answered, and changes nothing.
    let (out, _) = desk.tells(&["erase", &id, "site", "--reason", "again"], 0);
    assert!(out.starts_with("already erased on "), "{out}");
    let (_, err) = desk.tells(&["erase", &id, "--file", RECALLED, "--reason", "again"], 2);
    assert!(err.contains("or it was erased before"), "{err}");
}

#[test]
fn what_can_not_be_erased_is_said() {
    let desk = Desk::new();
    let (_, err) = desk.tells(&["erase", "camera", "sites", "--reason", "x"], 2);
    assert!(err.contains("did you mean \"site\"?"), "{err}");
    let (_, err) = desk.tells(&["erase", "camera", "bias", "--reason", "x"], 2);
    assert!(err.contains("has no bias"), "{err}");
    let (_, err) = desk.tells(&["erase", "camera", "--reason", "x"], 2);
    assert!(err.contains("FIELD"), "{err}");
    let (_, err) = desk.tells(&["erase", "camera", "site", "--reason", " "], 2);
    assert!(err.contains("needs a reason"), "{err}");
    let (_, err) = desk.tells(&["--server", "http://127.0.0.1:9", "erase", "camera", "site", "--reason", "x"], 2);
    assert!(err.contains("erasing needs the store itself") && err.contains("end the servers"), "{err}");
    let (_, err) = desk.tells(&["erase", "camera", "slot-32", "--reason", "x"], 2);
    assert!(err.contains("is no detail"), "{err}");
    let (_, err) = desk.tells(&["erase", "model:grasp", "slot-31", "--reason", "x"], 2);
    assert!(err.contains("has no slot-31"), "{err}");
    let (_, err) = desk.tells(&["erase", "camera", "--files", "--file", RECALLED, "--reason", "x"], 2);
    assert!(err.contains("cannot be used with"), "{err}");
    let (_, err) = desk.tells(&["erase", "first", "--files", "--reason", "x"], 2);
    assert!(err.contains("has no files"), "{err}");
    assert_eq!(desk.with_text(".griptrace", SITE).len(), 1, "nothing was erased");
}

#[test]
fn a_model_whose_files_were_erased_ships_with_a_warning_and_an_older_bundle_keeps_them() {
    let desk = Desk::new();
    desk.say("prove first -o old.bundle --no-cosign");
    let before = desk.report("old.bundle");
    let (_, err) = desk.tells(&["erase", "model:grasp", "--file", "grasp.bin", "--reason", "recalled"], 0);
    assert!(err.contains("is BROKEN to its buyer (model-not-opened)") && err.contains("prove --update-of"), "{err}");
    let (_, err) = desk.tells(&["prove", "first", "-o", "new.bundle", "--no-cosign"], 0);
    assert!(err.contains("1 of its files were erased on ") && err.contains("BROKEN to every buyer"), "{err}");
    // The file in hand is the genuine one: nothing is claimed of it.
    let report = desk.report("new.bundle");
    assert_eq!((&report["verdict"], &report["model"]["matched"]), (&"BROKEN".into(), &serde_json::Value::Null));
    let codes = report["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]);
    assert!(!codes.clone().any(|code| code == "model-mismatch"), "{report:#}");
    assert!(codes.clone().any(|code| code == "model-not-opened"), "{report:#}");
    let asked = "--trust trust.toml --policy policy.toml --destination DE --model out/grasp.bin --at 2026-12-01";
    desk.tells(&format!("dossier new.bundle -o new.html {asked}").split(' ').collect::<Vec<_>>(), 1);
    let page = fs::read_to_string(desk.path().join("new.html")).unwrap();
    assert!(page.contains("nothing was compared") && !page.contains("NOT what shipped"), "{page}");
    assert!(page.contains("no file can be compared with it") && !page.contains("did not ship"), "{page}");
    let ship = "ship model:grasp --to Other --country DE --serial S-2 --name second";
    let (_, err) = desk.tells(&ship.split_whitespace().collect::<Vec<_>>(), 0);
    assert!(err.contains("1 of its files were erased: ") && err.contains("BROKEN to every buyer"), "{err}");

    // An update keeps what the older bundle opened, and nothing is warned of.
    let update = ["prove", "first", "-o", "first.update", "--update-of", "old.bundle", "--no-cosign"];
    let (_, err) = desk.tells(&update, 0);
    assert!(!err.contains("erased"), "{err}");
    let verify = "verify old.bundle --update first.update --trust trust.toml --policy policy.toml --destination DE \
                  --model out/grasp.bin --at 2026-12-01 --json";
    let output = desk.run(&verify.split_whitespace().collect::<Vec<_>>());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["findings"]), (&before["verdict"], &before["findings"]));
}

#[test]
fn digests_over_files_go_with_all_files_and_the_proofs_hold() {
    let desk = Desk::new();
    let shown: serde_json::Value = serde_json::from_str(&desk.say("--json show model:grasp --files")).unwrap();
    let content = shown["details"]["content"].as_str().unwrap().to_owned();
    let digest = shown["files"][0]["blake3"].as_str().unwrap();
    let raw: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap()).collect();
    for field in ["content", "manifest"] {
        let (_, err) = desk.tells(&["erase", "model:grasp", field, "--reason", "recalled"], 2);
        assert!(err.contains("would still stand in its list of files") && err.contains("--files"), "{err}");
        let (_, err) = desk.tells(&["erase", "camera", field, "--file", RECALLED, "--reason", "recalled"], 2);
        assert!(err.contains("of which 1 stay"), "{err}");
    }
    assert!(!desk.with_bytes(".griptrace", &raw).is_empty() && !desk.with_text(".griptrace", &content).is_empty());
    desk.say("erase model:grasp content manifest --files --reason recalled");
    assert_eq!(desk.with_bytes(".griptrace", &raw), [""; 0], "nor in the cache of digests");
    assert_eq!(desk.with_text(".griptrace", &content), [""; 0]);
    desk.say("fsck");

    let (_, err) = desk.tells(&["prove", "first", "-o", "new.bundle", "--no-cosign"], 0);
    assert!(err.contains("content was erased on ") && err.contains("BROKEN to every buyer"), "{err}");
    let verify = "verify new.bundle --trust trust.toml --policy policy.toml --destination DE --at 2026-12-01 --json";
    let output = desk.run(&verify.split_whitespace().collect::<Vec<_>>());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // Its proofs hold; that nothing is there to compare files with is said, and breaks it by the verifier's own rule.
    let codes = report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap());
    let codes: Vec<&str> = codes.collect();
    assert!(codes.contains(&"model-not-opened") && !codes.contains(&"manifest-mismatch"), "{codes:?}");

    // All of it again, and a data set's files one by one.
    let (out, _) = desk.tells(&["erase", "model:grasp", "content", "--files", "--reason", "again"], 0);
    assert!(out.starts_with("already erased on "), "{out}");
    let each = ["erase", "camera", "manifest", "content", "--file", RECALLED, "--file", "1.pgm", "--reason", "all"];
    let (out, _) = desk.tells(&each, 0);
    assert!(out.contains("manifest, content, 2 files"), "{out}");
}

#[test]
fn the_same_command_again_ends_well_and_takes_what_is_left() {
    let desk = Desk::new();
    let twice = ["erase", "camera", "site", "slot-3", "--file", RECALLED, "--file", RECALLED, "--reason", "recalled"];
    let (out, _) = desk.tells(&[&twice[..], &["--json"]].concat(), 0);
    let out: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["fields"], &out["files"]), (&serde_json::json!(["site"]), &serde_json::json!(1)));
    let commits = || desk.say("log --json").lines().count();
    let before = commits();
    let (out, err) = desk.tells(&twice, 0);
    assert!(out.starts_with("already erased on ") && out.lines().count() == 1, "{out}");
    assert!(err.contains("known to nobody"), "{err}");
    assert_eq!(commits(), before);
    // Another reason, or more files than went, is another command: it may be a slip.
    desk.tells(&["erase", "camera", "--file", RECALLED, "--reason", "other"], 2);
    desk.tells(&["erase", "camera", "--file", RECALLED, "--file", "slip", "--reason", "recalled"], 2);

    let (out, err) = desk.tells(&["erase", "camera", "site", "persons", "--file", "1.pgm", "--reason", "recalled"], 0);
    assert!(out.contains("erased            persons, 1 file") && err.contains("already erased on "), "{out}{err}");
    let shown: serde_json::Value = serde_json::from_str(&desk.say("--json show camera")).unwrap();
    assert_eq!(shown["erased"]["files"], 2);
    // By its id, since its name goes.
    let id = desk.id("camera");
    let (_, err) = desk.tells(&["erase", "camera", "name", "--reason", "asked"], 0);
    assert!(err.contains(&format!("give the same with the id: {id}")), "{err}");
    assert!(desk.say(&format!("erase {id} name --reason asked")).starts_with("already erased on "));
}

#[test]
fn clients_of_a_server_believe_it_after_an_erasure() {
    let desk = Desk::new();
    let (id, model) = (desk.id("camera"), desk.id("model:grasp"));
    desk.say("erase camera site --reason asked");
    desk.say(&format!("erase {id} --file {RECALLED} --reason recalled"));
    desk.say("erase model:grasp --file grasp.bin --reason recalled");
    let (_serving, url) = desk.serve();
    let said = |args: &str| desk.say(&format!("--server {url} {args}"));
    let shown = said("show camera --files");
    assert!(shown.contains("1.pgm") && !shown.contains(RECALLED) && !shown.contains(SITE), "{shown}");
    assert!(said(&format!("show {model} --files")).contains("files              1 erased"));
    assert!(said("trace first").contains("camera"));
    assert!(said("impact camera").contains("grasp"));
    assert!(said("inventory").contains("camera"));
    assert!(said("log").contains("erasure"));
    said("prove first -o served.bundle --profile full");
    assert!(desk.report("served.bundle")["verdict"].is_string());
}
