//! Keys that end, as a person meets it: revoked, put in use, shown, and what they recorded recorded again.

use core::ops::Deref;
use std::fs;

use serde_json::Value;

use crate::support::Folder;

const LINEAGE: &str = r#"
[[dataset]]
name = "wrist-camera"
origin = "collected"
path = "raw.bin"
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
generated = [{ model = "grasp", path = "grasp.bin", country = "CN" }]
detail = { tool = "train.py" }
"#;

/// A store that was made with a revoker, `guard.key`; a lineage file and the files that it names.
struct Desk {
    dir: Folder,
    home: String,
    committer: String,
}

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.dir
    }
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self { dir: Folder::new(), home: String::new(), committer: String::new() };
        fs::write(desk.path().join("raw.bin"), "frames").unwrap();
        fs::write(desk.path().join("grasp.bin"), "weights").unwrap();
        let guard = desk.new_key("guard.key");
        let made = ["--json", "init", "--origin", "maker.example/2026", "--name", "Maker", "--revoker", &guard];
        let made: Value = serde_json::from_str(&desk.say(&made)).unwrap();
        made["home"].as_str().unwrap().clone_into(&mut desk.home);
        made["committer"].as_str().unwrap().clone_into(&mut desk.committer);
        desk.write("lineage.toml", &LINEAGE.replace("@TODAY@", &desk.today()));
        desk
    }

    /// Signs the revocation of the committer's first key since a leaf; `new` follows it, if there is one.
    fn revoke(&self, since: &str, new: Option<&str>) -> &'static str {
        let change = ["key", "change", "committer", "--genesis", &self.home, "--revoke", &self.committer];
        let how = ["--since", since, "--by", "guard.key", "-o", "stolen.change"];
        let new: Vec<&str> = new.into_iter().flat_map(|new| ["--new", new]).collect();
        self.say(&[&change[..], &how, &new].concat());
        "stolen.change"
    }

    fn config(&self) -> String {
        fs::read_to_string(self.path().join(".griptrace/config.toml")).unwrap()
    }

    fn keys(&self) -> Vec<String> {
        let names = fs::read_dir(self.path().join(".griptrace/keys")).unwrap();
        let mut names: Vec<String> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn ship(&self) {
        let to = ["--to", "Buyer GmbH", "--country", "DE", "--name", "first", "--document", "lineage.toml"];
        self.say(&[&["ship", "model:grasp", "--purpose", "train-adaptive-grasp-control"][..], &to].concat());
    }

    /// Asks as a buyer who believes the keys of this trust file; the policy asks for no assessment.
    fn verify(&self, trust: &str) -> Value {
        self.verify_of("s.griptrace", trust)
    }

    fn verify_of(&self, bundle: &str, trust: &str) -> Value {
        fs::write(self.path().join("policy.toml"), include_str!("../../policies/cn-industrial-reference.toml"))
            .unwrap();
        let verify = ["--json", "verify", bundle, "--trust", trust, "--policy", "policy.toml"];
        let of = ["--destination", "DE", "--model", "grasp.bin", "--consignee", "Buyer GmbH"];
        let output = self.run(&[&verify[..], &of].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The code of every finding but that no assessment is there.
fn found(report: &Value) -> Vec<&str> {
    let codes = report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap());
    codes.filter(|code| !matches!(*code, "assessment-missing" | "time-self-declared" | "policy-reference")).collect()
}

/// The dead key stayed in the settings, `--new` was passed over, and `trust init` went on naming the dead key.
#[test]
fn a_revocation_puts_the_key_that_follows_in_use() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let next = desk.new_key("next.key");
    let other = desk.new_key("other.key");
    let change = desk.revoke("4", Some("next.key"));
    let before = desk.config();
    let said = desk.ends(2, &["key", "record", change, "--new", "other.key"]);
    assert!(said.contains(&format!("holds the key {other}, and the change names {next}")), "{said}");
    assert_eq!((desk.config(), desk.keys().len()), (before.clone(), 2), "nothing is written");
    let said = desk.say(&["key", "record", change, "--new", "next.key"]);
    assert!(said.contains("in use     keys/committer-2.key"), "{said}");
    assert_eq!(desk.keys(), ["committer-2.key", "committer.key", "log.key"]);
    let copy = desk.path().join(".griptrace/keys/committer-2.key");
    assert_eq!(fs::read(&copy).unwrap(), fs::read(desk.path().join("next.key")).unwrap());
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&copy).unwrap().permissions()) & 0o7777, 0o600);
    assert!(desk.config().contains(&format!("committer = \"{next}\"")), "{}", desk.config());
    // The old file may be lost, and so may the new one's first place.
    fs::remove_file(desk.path().join("next.key")).unwrap();
    fs::remove_file(desk.path().join(".griptrace/keys/committer.key")).unwrap();
    // As if it had been cut off after the change, and before the settings were written again: the log tells.
    let after = desk.config();
    let pending = "committer = \"keys/committer.key\"\nnext_committer = \"keys/committer-2.key\"";
    let cut_off = before.replace("committer = \"keys/committer.key\"", pending);
    fs::write(desk.path().join(".griptrace/config.toml"), cut_off).unwrap();
    desk.ship();
    assert_eq!(desk.config(), after);
    let trust = desk.say(&["trust", "init"]);
    assert!(trust.contains(&next) && !trust.contains(&desk.committer), "{trust}");
}

/// A change that was recorded without its key file left no way to go on but the settings.
#[test]
fn settings_that_name_a_key_that_ended_say_so_and_how_to_go_on() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let next = desk.new_key("next.key");
    let change = desk.revoke("4", Some("next.key"));
    let said = desk.ends(0, &["key", "record", change]);
    assert!(said.contains("which does not count from leaf 4 on: nothing can be recorded with it"), "{said}");
    assert!(said.contains("hint: `griptrace key record CHANGE --new KEYFILE`") && said.contains(&next), "{said}");
    let trust = desk.say(&["trust", "init"]);
    assert!(trust.contains(&next) && !trust.contains(&desk.committer), "the key of now: {trust}");
    fs::write(desk.path().join("more.bin"), "more").unwrap();
    let add = ["add", "dataset", "more.bin", "--origin", "collected"];
    let said = desk.ends(2, &add);
    assert!(said.contains("does not count from leaf 4 on") && said.contains("hint: `griptrace key record"), "{said}");
    let said = desk.ends(2, &["key", "rotate", "committer"]);
    assert!(said.contains("can't be rotated any more") && said.contains("hint: `griptrace key record"), "{said}");
    assert!(!said.contains("damaged"), "{said}");
    assert_eq!(desk.keys().len(), 2, "no key was made for it");
    // Said again with the key file, the change that is in the log already only puts it in use.
    let size = desk.say(&["log"]).lines().count();
    let said = desk.say(&["key", "record", change, "--new", "next.key"]);
    assert!(said.contains(", already recorded") && said.contains("in use     keys/committer-2.key"), "{said}");
    assert_eq!(desk.say(&["log"]).lines().count(), size);
    assert_eq!(desk.say(&["key", "record", change, "--new", "next.key"]), said, "and does nothing twice");
    assert_eq!(desk.keys().len(), 3);
    desk.say(&add);
    desk.say(&["key", "rotate", "committer"]);
}

#[test]
fn a_key_that_nothing_follows_is_named_to_no_buyer() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.ship();
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let change = desk.revoke("6", None);
    desk.say(&["key", "record", change]);
    let said = desk.ends(2, &["trust", "init"]);
    assert!(said.contains("a trust file names keys of now") && said.contains("hint: no key follows it"), "{said}");
    // What was recorded before is proven still, and says of whom until when.
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let keys = desk.say(&["inspect", "s.griptrace", "--keys"]);
    assert!(keys.contains("revoked      counts before leaf 6 only, and no key follows it"), "{keys}");
    let trust = desk.say(&["trust", "init", "--from-bundle", "s.griptrace"]);
    assert!(trust.contains("# IT COUNTS BEFORE LEAF 6 ONLY"), "{trust}");
    // A file that lies among the others already is taken as it lies.
    let fresh = ".griptrace/keys/fresh.key";
    desk.new_key(fresh);
    assert!(desk.say(&["key", "record", change, "--new", fresh]).contains("in use     keys/fresh.key"));
    assert_eq!(desk.keys(), ["committer.key", "fresh.key", "log.key"]);
    desk.ship();
    let trust = desk.say(&["trust", "init"]);
    let (now, before) = trust.split_once("# An earlier key of the same party: it counts before leaf 6 only").unwrap();
    assert!(!now.contains(&desk.committer) && before.contains(&desk.committer), "{trust}");
}

/// `trust init` named the fresh key only, so that whatever rested on older records was for nobody; so did the own keys of
/// `check` and `audit`, which sent the maker to a supplier.
#[test]
fn earlier_keys_of_the_same_party_are_named_where_no_chain_leads_to_them() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.ship();
    desk.say(&["prove", "first", "-o", "old.griptrace"]);
    let change = desk.revoke("6", None);
    desk.say(&["key", "record", change]);
    let fresh = desk.new_key("fresh.key");
    desk.say(&["key", "record", change, "--new", "fresh.key"]);
    desk.say(&["prove", "first", "-o", "between.griptrace"]);
    let to = ["--to", "Buyer GmbH", "--country", "DE", "--name", "second", "--document", "lineage.toml"];
    desk.say(&[&["ship", "model:grasp", "--purpose", "train-adaptive-grasp-control"][..], &to].concat());
    desk.say(&["prove", "second", "-o", "s.griptrace"]);
    let trust = desk.say(&["trust", "init"]);
    let (now, before) = trust.split_once("# An earlier key of the same party: it counts before leaf 6 only").unwrap();
    assert!(now.contains(&fresh) && !now.contains(&desk.committer), "{trust}");
    assert!(before.contains(&format!("name = \"Maker\"\nkey = \"{}\"", desk.committer)), "{trust}");
    assert_eq!(trust.matches("# The log's first day; a later one would leave out older commits.\nfrom = ").count(), 2);
    fs::write(desk.path().join("trust.toml"), &trust).unwrap();
    for bundle in ["old.griptrace", "between.griptrace", "s.griptrace"] {
        let report = desk.verify_of(bundle, "trust.toml");
        assert_eq!(report["verdict"], "TRACED_UNASSESSED", "{bundle}: {report}");
        assert_eq!(found(&report), ["map-unwitnessed", "source-hidden"], "{bundle}: {report}");
    }
    let check = ["check", "second", "--policy", "policy.toml"];
    let audit = ["audit", "--shipped", "--policy", "policy.toml", "--all"];
    assert!(!desk.ends(1, &check).contains("committer-untrusted"));
    let audited = desk.ends(0, &audit);
    assert!(!audited.contains("committer-untrusted") && audited.contains("2 shipments"), "{audited}");
    fs::write(desk.path().join("now.toml"), now).unwrap();
    for command in [&check[..], &audit] {
        let said = desk.ends(1, &[command, &["--trust", "now.toml"]].concat());
        assert!(said.contains("committer-untrusted") && said.contains("to clear: it is of this log"), "{said}");
        assert!(!said.contains("supplier"), "{said}");
    }
}

/// A line of keys that followed one another ended in one that nobody followed.
#[test]
fn a_line_of_keys_that_ended_is_named_whole() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.ship();
    desk.say(&["prove", "first", "-o", "old.griptrace"]);
    let rotated: Value = serde_json::from_str(&desk.say(&["--json", "key", "rotate", "committer"])).unwrap();
    let second = rotated["successor"].as_str().unwrap();
    fs::write(desk.path().join("more.bin"), "more").unwrap();
    desk.say(&["add", "dataset", "more.bin", "--origin", "collected"]);
    let since = rotated["size"].to_string();
    let change = ["key", "change", "committer", "--genesis", &desk.home, "--revoke", second, "--since", &since];
    desk.say(&[&change[..], &["--by", "guard.key", "-o", "c.change"]].concat());
    let fresh = desk.new_key("fresh.key");
    desk.say(&["key", "record", "c.change", "--new", "fresh.key"]);
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let trust = desk.say(&["trust", "init"]);
    let keys: Vec<&str> = trust.lines().filter_map(|line| line.strip_prefix("key = ")).collect();
    assert_eq!(keys, [&*fresh, &*desk.committer, second].map(|key| format!("\"{key}\"")), "{trust}");
    fs::write(desk.path().join("trust.toml"), &trust).unwrap();
    for bundle in ["old.griptrace", "s.griptrace"] {
        let report = desk.verify_of(bundle, "trust.toml");
        assert_eq!(report["verdict"], "TRACED_UNASSESSED", "{bundle}: {report}");
    }
}

/// Whoever stole a key could have been named among the earlier keys of its owner.
#[test]
fn what_a_thief_made_follow_is_no_earlier_key_of_the_party() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let config = desk.config();
    let thief = desk.new_key("thief.key");
    let stolen = ["key", "change", "committer", "--genesis", &desk.home, "--old", ".griptrace/keys/committer.key"];
    desk.say(&[&stolen[..], &["--new", "thief.key", "-o", "thief.change"]].concat());
    desk.say(&["key", "record", "thief.change", "--new", "thief.key"]);
    desk.ship();
    desk.say(&["key", "rotate", "committer"]);
    // The own machine was the thief's for a while, and its settings name what was in use.
    let after = desk.config();
    let earlier = after.split_once("earlier = ").unwrap().1.split_once(']').unwrap().0;
    assert!(earlier.contains(&thief), "{after}");
    fs::write(desk.path().join(".griptrace/config.toml"), format!("earlier = {earlier}]\n{config}")).unwrap();
    let fresh = desk.new_key("fresh.key");
    let change = desk.revoke("4", None);
    desk.say(&["key", "record", change, "--new", "fresh.key"]);
    let trust = desk.say(&["trust", "init"]);
    assert!(trust.contains(&fresh) && trust.contains(&desk.committer) && !trust.contains(&thief), "{trust}");
    assert_eq!(trust.matches("[[committer]]").count(), 2, "{trust}");
}

/// A mistyped key would stand in the log for ever, and the stolen one stay good.
#[test]
fn a_key_that_signed_nothing_is_revoked_only_if_that_is_meant() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let other = desk.new_key("other.key");
    let change = ["key", "change", "committer", "--genesis", &desk.home, "--revoke", &other, "--since", "4"];
    desk.say(&[&change[..], &["--by", "guard.key", "-o", "c.change"]].concat());
    let before = desk.say(&["log"]);
    let said = desk.ends(2, &["key", "record", "c.change"]);
    assert!(
        said.contains(&format!("{other}, which signed nothing in this log")) && said.contains("--unused"),
        "{said}"
    );
    assert_eq!(desk.say(&["log"]), before);
    desk.say(&["key", "record", "c.change", "--unused"]);
    assert!(desk.say(&["key", "record", "c.change"]).contains(", already recorded"), "which is said no more");
    // The key in use signed something, and one that followed it is known though it did not.
    desk.say(&["key", "rotate", "committer"]);
    let said = desk.say(&["--json", "key", "rotate", "committer"]);
    let unused: Value = serde_json::from_str(&said).unwrap();
    for (key, since) in [(desk.committer.as_str(), "4"), (unused["successor"].as_str().unwrap(), "6")] {
        let change = ["key", "change", "committer", "--genesis", &desk.home, "--revoke", key, "--since", since];
        desk.say(&[&change[..], &["--by", "guard.key", "-o", "d.change"]].concat());
        desk.say(&["key", "record", "d.change"]);
        fs::remove_file(desk.path().join("d.change")).unwrap();
    }
}

/// What was withdrawn before a revocation came back without a word, assessed by nobody, and was proven as if it counted.
#[test]
fn what_a_revocation_leaves_of_marks_assessments_and_shipments_is_said() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.new_key("office.key");
    let terms =
        "--subject wrist-camera --issuer Office --scheme security-assessment --grade important --modality visual";
    let more = "--purpose train-adaptive-grasp-control --destination DE --key office.key -o a.statement";
    desk.say(&["assess", "sign"].into_iter().chain(terms.split(' ')).chain(more.split(' ')).collect::<Vec<_>>());
    desk.ship();
    assert!(!desk.ends(0, &["prove", "first", "-o", "s.griptrace"]).contains("does not count"));
    desk.say(&["mark", "withdraw", "wrist-camera", "--reason", "a person in the picture"]);
    desk.new_key("next.key");
    let change = desk.revoke("2", Some("next.key"));
    desk.say(&["key", "record", change, "--new", "next.key"]);
    let said = desk.ends(0, &["prove", "first", "-o", "s.griptrace"]);
    assert_eq!(said.matches("the key that recorded it does not count from leaf 2 on").count(), 4, "{said}");
    assert!(said.contains("hint: nobody believes what such a key recorded: record it again"), "{said}");
    let said = desk.ends(0, &["assess", "record", "a.statement"]);
    assert!(said.contains("the assessment covers nothing in use"), "{said}");
    let said = desk.ends(0, &["record", "lineage.toml"]);
    assert!(
        said.contains("with a key that did not count there and has the mark withdraw (a person in the picture): this"),
        "{said}"
    );
    desk.ship();
    let said = desk.ends(0, &["prove", "first", "-o", "s.griptrace"]);
    assert!(!said.contains("does not count"), "{said}");
}

/// A buyer had to write the witnesses of the log into a trust file by hand.
#[test]
fn the_witnesses_of_the_log_stand_in_a_trust_file_to_be_confirmed() {
    let desk = Desk::new();
    assert!(!desk.say(&["trust", "init"]).contains("witness"));
    let made: Value =
        serde_json::from_str(&desk.say(&["--json", "witness", "init", "w1", "--name", "w1.example"])).unwrap();
    let vkey = made["vkeys"][0].as_str().unwrap();
    fs::write(desk.path().join("policy"), format!("witness a {vkey} https://w1.example\nquorum a\n")).unwrap();
    desk.say(&["log", "witnesses", "policy"]);
    let trust = desk.say(&["trust", "init"]);
    let quorum = trust.find("# quorum = { of = [\"w1.example\"], at_least = 1 }").unwrap();
    assert!(quorum < trust.find("[[log]]").unwrap(), "{trust}");
    assert!(trust.contains(&format!("# [[witness]]\n# name = \"w1.example\"\n# vkey = [\"{vkey}\"]\n")), "{trust}");
}

/// A change of somebody else's key is none of the own key's business.
#[test]
fn a_change_of_another_key_leaves_the_own_one_in_use() {
    let desk = Desk::new();
    desk.new_key("plant.key");
    desk.new_key("plant-2.key");
    let change = ["key", "change", "committer", "--genesis", &desk.home, "--old", "plant.key", "--new", "plant-2.key"];
    desk.say(&[&change[..], &["-o", "plant.change"]].concat());
    let said = desk.ends(2, &["key", "record", "plant.change", "--new", "plant-2.key"]);
    assert!(said.contains("which goes on") && said.contains("hint: leave --new out"), "{said}");
    let before = desk.config();
    let said = desk.ends(0, &["key", "record", "plant.change"]);
    assert!(said.contains("in use     keys/committer.key") && !said.contains("warning"), "{said}");
    assert_eq!(desk.config(), before);
    desk.say(&["record", "lineage.toml"]);
}

/// A refused change said that the log's key changes are damaged, and left the new key named in the settings.
#[test]
fn a_refused_change_says_what_is_wrong_with_it_and_leaves_nothing_behind() {
    let desk = Desk::new();
    desk.say(&["key", "rotate", "log"]);
    desk.new_key("next.key");
    let before = (desk.config(), desk.keys());
    let sign = |args: &[&str]| {
        let change = ["key", "change", "log", "--genesis", &desk.home, "--new", "next.key", "-o", "log.change"];
        desk.say(&[&change[..], args].concat());
        desk.ends(2, &["key", "record", "log.change", "--new", "next.key"])
    };
    let said = sign(&["--old", ".griptrace/keys/log.key"]);
    assert!(said.contains("is not in use there") && !said.contains("damaged"), "{said}");
    assert_eq!((desk.config(), desk.keys()), before);
    desk.say(&["record", "lineage.toml"]);
    sign(&["--old", "guard.key"]);
    assert_eq!((desk.config(), desk.keys()), before);
    let change = ["key", "change", "log", "--genesis", &desk.home, "--new", "next.key", "-o", "log.change"];
    desk.say(&[&change[..], &["--old", ".griptrace/keys/log-2.key"]].concat());
    let said = desk.say(&["key", "record", "log.change", "--new", "next.key"]);
    assert!(said.contains("in use     keys/log-3.key"), "{said}");
    fs::remove_file(desk.path().join("next.key")).unwrap();
    desk.ship();
}

/// What the thief's commits had recorded was "already recorded", and nobody could ever ship what came of it.
#[test]
fn what_counts_for_nobody_is_recorded_again_and_a_buyer_believes_it() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml", "--draft", "d.draft"]);
    desk.say(&["record", "--from-draft", "d.draft"]);
    desk.ship();
    let old = desk.id("wrist-camera");
    let next = desk.new_key("next.key");
    let change = desk.revoke("2", Some("next.key"));
    desk.say(&["key", "record", change, "--new", "next.key"]);
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    fs::write(desk.path().join("trust.toml"), desk.say(&["trust", "init"])).unwrap();
    assert!(found(&desk.verify("trust.toml")).contains(&"key-retired"));
    assert!(desk.say(&["show", &old]).contains("for nobody: the key does not count from leaf 2 on"));
    assert!(desk.say(&["log"]).contains("Maker [key ended]"));
    assert!(desk.say(&["trace", "model:grasp"]).lines().all(|line| line.contains("[key ended]")));
    assert!(desk.say(&["inventory"]).contains("key ended: record it again"));
    let said = desk.ends(2, &["ship", "model:grasp", "--to", "B", "--country", "DE"]);
    assert!(said.contains("can't ship: the key that recorded it") && said.contains("hint: record it again"), "{said}");
    let lineage = fs::read_to_string(desk.path().join("lineage.toml")).unwrap();
    fs::write(
        desk.path().join("step.toml"),
        lineage.split_once("[[trans").unwrap().1.replacen("formation", "[[transformation", 1),
    )
    .unwrap();
    let said = desk.ends(2, &["record", "step.toml"]);
    assert!(said.contains("hint: record it again first"), "{said}");
    let said = desk.ends(2, &["record", "--from-draft", "d.draft"]);
    assert!(said.contains("hint: a node stands in one commit"), "{said}");
    let said = desk.ends(0, &["record", "lineage.toml"]);
    assert_eq!(said.lines().filter(|line| line.starts_with("recorded ")).count(), 3, "{said}");
    assert!(said.contains("with a key that did not count there: this is a new record"), "{said}");
    let again = desk.ends(0, &["record", "lineage.toml"]);
    assert_eq!(again.lines().filter(|line| line.starts_with("already recorded")).count(), 3, "{again}");
    let new: Value = serde_json::from_str(&desk.say(&["--json", "show", "wrist-camera"])).unwrap();
    assert_ne!(new["id"].as_str().unwrap(), old, "a name means what counts");
    assert_ne!(desk.id("raw.bin"), old, "and so does a file");
    let shown = desk.say(&["key", "show", &next]);
    assert!(shown.contains(new["committer"].as_str().unwrap()), "{shown}: {new}");
    desk.ship();
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let report = desk.verify("trust.toml");
    assert!(!found(&report).iter().any(|code| code.starts_with("key") || code.starts_with("committer")), "{report}");
    assert!(report["verdict"].as_str().unwrap().starts_with("TRACED"), "{report}");
}

/// A signed assessment that was recorded too late counts as recorded for nobody, and is recorded again as it was signed.
#[test]
fn an_assessment_that_counts_for_nobody_is_recorded_again() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.new_key("office.key");
    let terms =
        "--subject wrist-camera --issuer Office --scheme security-assessment --grade important --modality visual";
    let more = "--purpose train-adaptive-grasp-control --destination DE --key office.key -o a.statement";
    let sign: Vec<&str> = ["assess", "sign"].into_iter().chain(terms.split(' ')).chain(more.split(' ')).collect();
    desk.say(&sign);
    desk.say(&["assess", "record", "a.statement"]);
    assert!(desk.say(&["assess", "record", "a.statement"]).starts_with("already recorded"));
    desk.new_key("next.key");
    let change = desk.revoke("4", Some("next.key"));
    desk.say(&["key", "record", change, "--new", "next.key"]);
    assert!(desk.say(&["assess", "record", "a.statement"]).starts_with("recorded"));
    assert!(desk.say(&["assess", "record", "a.statement"]).starts_with("already recorded"));
    // Both records of it stand in the bundle, and the buyer finds it once.
    desk.ship();
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let trust = desk.say(&["trust", "init"]);
    let confirmed: Vec<&str> = trust.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    let confirmed = confirmed.into_iter().filter(|line| line.starts_with('[') || line.contains(" = "));
    fs::write(desk.path().join("trust.toml"), confirmed.collect::<Vec<_>>().join("\n")).unwrap();
    let report = desk.verify("trust.toml");
    assert_eq!(report["verdict"], "TRACED_ASSESSED", "{report}");
}

/// A buyer saw the keys of long ago, and nothing of those that followed.
#[test]
fn the_keys_of_now_and_those_before_are_shown_and_believed() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    desk.ship();
    desk.say(&["prove", "first", "-o", "old.griptrace"]);
    let first = desk.say(&["trust", "init"]);
    assert!(!first.contains("earlier"), "{first}");
    let vkey = |trust: &str| {
        let line = trust.lines().find_map(|line| line.trim_start_matches("# ").strip_prefix("vkey = "));
        line.unwrap().trim_matches('"').to_owned()
    };
    let rotated: Value = serde_json::from_str(&desk.say(&["--json", "key", "rotate", "log"])).unwrap();
    desk.say(&["key", "rotate", "committer"]);
    let said = desk.say(&["key", "rotate", "committer"]);
    let committer = said.lines().find_map(|line| line.strip_prefix("successor  ")).unwrap();
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let trust = desk.say(&["trust", "init"]);
    let earlier = format!("earlier = [{{ vkey = \"{}\", size = {} }}]", vkey(&first), rotated["index"]);
    assert!(trust.contains(&earlier) && vkey(&trust) != vkey(&first), "{trust}");
    let start = desk.say(&["trust", "init", "--from-bundle", "s.griptrace"]);
    assert!(start.contains(&format!("# {earlier}")) && vkey(&start) == vkey(&trust), "{start}");
    assert!(start.contains(&format!("# key = \"{committer}\"")), "{start}");
    assert_eq!(start.matches("# [[committer]]").count(), 1, "one party: {start}");
    assert_eq!(start.matches("# It followed this one").count(), 2, "{start}");
    let keys = desk.say(&["inspect", "s.griptrace", "--keys"]);
    for part in [
        format!("genesis      {}", desk.home),
        format!("vkey         {}", vkey(&trust)),
        format!("earlier      {} up to size {}", vkey(&first), rotated["index"]),
        format!("key          {committer}"),
    ] {
        assert!(keys.contains(&part), "{part}: {keys}");
    }
    assert!(desk.say(&["log"]).starts_with(&format!("log maker.example/2026, genesis {}\n", desk.home)));
    let listed: Value = serde_json::from_str(desk.say(&["--json", "log"]).lines().next().unwrap()).unwrap();
    assert_eq!(listed["home"], desk.home.as_str());
    // The file of now believes the newer bundle, and so does what a buyer started with. What was made before the changes
    // shows none of them: of that day's keys, the committer's has to stand beside the new one, under the same name.
    let start: Vec<&str> = start.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    let tables = start.into_iter().skip_while(|line| *line != "[[log]]");
    let started: Vec<&str> = tables.filter(|line| line.starts_with('[') || line.contains(" = ")).collect();
    let old = format!(
        "[[committer]]\nname = \"Maker\"\nkey = \"{}\"\nroles = [\"commit\", \"grade\", \"ship\"]\n",
        desk.committer
    );
    for trust in [trust, started.join("\n")] {
        let judged = |bundle: &str, trust: &str| {
            fs::write(desk.path().join("judged.toml"), trust).unwrap();
            desk.verify_of(bundle, "judged.toml")["verdict"].as_str().unwrap().to_owned()
        };
        let with_old = format!("{trust}\n{old}");
        assert!(judged("s.griptrace", &trust).starts_with("TRACED"), "{trust}");
        assert!(
            judged("s.griptrace", &with_old).starts_with("TRACED"),
            "{with_old} {}",
            desk.verify_of("s.griptrace", "judged.toml")
        );
        assert!(
            judged("old.griptrace", &with_old).starts_with("TRACED"),
            "{}",
            desk.verify_of("old.griptrace", "judged.toml")
        );
        assert_eq!(judged("old.griptrace", &trust), "BROKEN");
    }
}

/// A revoker, whom the maker chose, could have named any key as the one that follows the maker's.
#[test]
fn whom_a_revoker_names_counts_for_a_buyer_who_believes_that_revoker() {
    let desk = Desk::new();
    desk.say(&["record", "lineage.toml"]);
    let believing = desk.say(&["trust", "init"]);
    let line = believing.lines().find(|line| line.starts_with("revokers = ")).unwrap();
    let doubting = believing.replace(&format!("{line}\n"), "");
    let next = desk.new_key("next.key");
    let change = desk.revoke("4", Some("next.key"));
    desk.say(&["key", "record", change, "--new", "next.key"]);
    desk.ship();
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let named = doubting.replace(&desk.committer, &next);
    for (trust, expected) in [(&believing, false), (&doubting, true), (&named, false)] {
        fs::write(desk.path().join("t.toml"), trust).unwrap();
        let report = desk.verify("t.toml");
        assert_eq!(found(&report) == ["committer-untrusted"], expected, "{trust}\n{report}");
        assert_eq!(report["verdict"] == "TRACED_UNASSESSED", !expected, "{trust}\n{report}");
    }
    // What a buyer starts from names the revoker, and says what that means.
    let start = desk.say(&["trust", "init", "--from-bundle", "s.griptrace"]);
    assert!(
        start.contains(&format!("may say which key follows a revoked one of any committer.\n# {line}\n")),
        "{start}"
    );
    let id = line.split('"').nth(1).unwrap();
    let keys: Vec<Value> = desk
        .say(&["--json", "inspect", "s.griptrace", "--keys"])
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(keys[0]["revokers"], serde_json::json!([id]));
}
