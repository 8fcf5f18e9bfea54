//! The program over a store that is damaged, or held by another process.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use griptrace_tests::seed::Seed;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    child::Child,
    faults::{Damage, Others},
    folder::{self, kind},
    rich,
};
use crate::served::write_settings;

/// A folder with a store in it, as `griptrace init` would have made it with our keys.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let folder = desk.0.path().join(".griptrace");
        write_settings(&folder);
        folder::write(&desk.store(), &rich::first().files);
        desk
    }

    fn store(&self) -> PathBuf {
        self.0.path().join(".griptrace").join("store")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace-under-test"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_remove("GRIPTRACE_STORE").env_remove("GRIPTRACE_PASSPHRASE").output().unwrap()
    }

    /// Puts a file back, or damages it.
    fn put(&self, name: &str, bytes: Option<&[u8]>) {
        folder::put(Path::new(&self.store()), name, bytes);
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns what `fsck --json` said: its faults' objects, and whether all is well.
fn parse(output: &Output) -> (Vec<String>, bool) {
    let lines: Vec<Value> =
        out(output).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let objects = lines.iter().filter_map(|line| line["object"].as_str().map(str::to_owned)).collect();
    let clean = lines.last().and_then(|last| last["clean"].as_bool()).expect("the last line tells");
    (objects, clean)
}

#[test]
fn fsck_of_a_whole_store_says_so() {
    let desk = Desk::new();
    let said = desk.run(&["fsck"]);
    assert_eq!(said.status.code(), Some(0), "{}{}", out(&said), err(&said));
    assert!(out(&said).contains("holds together"), "{}", out(&said));
    let said = desk.run(&["fsck", "--json"]);
    assert_eq!((said.status.code(), parse(&said)), (Some(0), (Vec::new(), true)));
}

#[test]
fn fsck_names_what_is_damaged_and_leaves_with_1() {
    let mut rng = Seed::for_test("fsck_names_what_is_damaged").rng();
    let desk = Desk::new();
    let rich = rich::first();
    let others = Others { files: &rich.files, older: &rich.older, foreign: &rich::foreign().files };
    let mut wrong = Vec::new();
    for name in newest_of_each_kind() {
        for damage in [Damage::FlippedMiddle, Damage::CutInHalf, Damage::Deleted] {
            let Some(left) = damage.plant(name, &others, &mut rng) else { continue };
            desk.put(name, left.bytes());
            let (words, json) = (desk.run(&["fsck"]), desk.run(&["fsck", "--json"]));
            let (objects, clean) = parse(&json);
            let is_told = out(&words).lines().any(|line| line.starts_with("FAULT") && line.contains(name));
            let is_named = objects.iter().any(|object| object.contains(name));
            let codes = (words.status.code(), json.status.code());
            if codes != (Some(1), Some(1)) || !is_told || !is_named || clean {
                wrong.push(format!("{name} {damage:?}: left with {codes:?}: {}{}", out(&words), err(&words)));
            }
            desk.put(name, rich.files.get(name).map(Vec::as_slice));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let said = desk.run(&["fsck"]);
    assert_eq!(said.status.code(), Some(0), "with every file put back: {}", out(&said));
}

/// A full tile is never read by who writes: it stayed damaged, and the audit said that the next writer makes it again.
#[test]
fn fsck_puts_back_what_can_be_made_again_if_it_is_told_to() {
    let desk = Desk::new();
    let tile = "tile/0/000";
    let whole = rich::first().files[tile].clone();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    desk.put(tile, Some(&damaged));
    let said = desk.run(&["fsck"]);
    assert_eq!(said.status.code(), Some(1), "{}", out(&said));
    assert!(out(&said).contains("FAULT  tile/0/000") && out(&said).contains("`griptrace fsck --mend` makes it again"));
    assert_eq!(fs::read(desk.store().join(tile)).unwrap(), damaged, "an audit changes nothing");
    let said = desk.run(&["fsck", "--mend"]);
    assert_eq!(said.status.code(), Some(0), "{}{}", out(&said), err(&said));
    assert!(out(&said).contains("MENDED tile/0/000"), "{}", out(&said));
    assert_eq!(fs::read(desk.store().join(tile)).unwrap(), whole);
    assert_eq!(desk.run(&["fsck"]).status.code(), Some(0));
}

/// Chooses the newest file of each kind that nothing can make again. Older ones may be superseded, as
/// partial tiles are.
fn newest_of_each_kind() -> Vec<&'static String> {
    let scratch = ["lock", "tmp", "index", "snapshot"];
    let mut newest: BTreeMap<String, &String> = BTreeMap::new();
    for name in rich::first().files.keys().filter(|name| !scratch.iter().any(|word| name.starts_with(word))) {
        let chosen = newest.entry(kind(name)).or_insert(name);
        if (name.len(), name) > (chosen.len(), chosen) {
            *chosen = name;
        }
    }
    newest.into_values().collect()
}

#[test]
fn a_second_program_is_told_who_writes_and_goes_on_after_it() {
    let desk = Desk::new();
    let lineage = "[[dataset]]\nname = \"late\"\norigin = \"external\"\ncontent_held = \"destroyed\"\n";
    fs::write(desk.0.path().join("lineage.toml"), lineage).unwrap();
    let mut first = Child::commit(&desk.store(), 1, 2, 20, &[]);
    first.wait_until_open();
    let said = desk.run(&["record", "lineage.toml"]);
    assert_eq!(said.status.code(), Some(2), "{}", err(&said));
    assert!(err(&said).contains(&first.id().to_string()), "it does not name {}: {}", first.id(), err(&said));
    assert_eq!(desk.run(&["show", "camera"]).status.code(), Some(0), "reading needs no lock");
    drop(first.kill());
    let said = desk.run(&["record", "lineage.toml"]);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    assert_eq!(desk.run(&["fsck"]).status.code(), Some(0));
}
