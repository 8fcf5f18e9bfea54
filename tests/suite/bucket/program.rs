//! The program with its log in a bucket: begun, joined from another machine, recorded in from both.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use griptrace_bucket::BucketStore;
use griptrace_store::bucket::{Bucket, When};
use griptrace_tests::skipped;
use serde_json::Value;

use crate::{
    bucket::open,
    process::{program, said},
    seaweed::{BUCKET, KEY, SECRET, Seaweed},
};

const ORIGIN: &str = "maker.example/2026";

/// A folder with two machines' folders in it, and the bucket that both reach.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) seaweed: std::sync::Arc<Seaweed>,
    pub(super) address: String,
    prefix: String,
}

impl World {
    pub(super) fn new(seaweed: std::sync::Arc<Seaweed>, prefix: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["camera", "force"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("1.bin"), name).unwrap();
        }
        let address = format!("s3://{BUCKET}/{prefix}");
        Self { folder, seaweed, address, prefix: prefix.to_owned() }
    }

    pub(super) fn at(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn bucket(&self) -> BucketStore {
        open(&self.seaweed, &self.prefix)
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(self.at(), args);
        command.env("AWS_ENDPOINT_URL", self.seaweed.endpoint()).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what has to work, and returns what it prints.
    pub(super) fn works(&self, args: &[&str]) -> String {
        let finished = self.run(args);
        assert!(finished.status.success(), "griptrace {args:?}\n{}", said(&finished));
        String::from_utf8(finished.stdout).unwrap()
    }

    /// Runs what has to be refused with this exit code, and returns what it says.
    pub(super) fn fails(&self, code: i32, args: &[&str]) -> String {
        let finished = self.run(args);
        assert_eq!(finished.status.code(), Some(code), "griptrace {args:?}\n{}", said(&finished));
        said(&finished)
    }

    pub(super) fn init(&self) -> Value {
        let made = self.works(&["--json", "init", "one", "--store", &self.address, "--origin", ORIGIN]);
        serde_json::from_str(&made).unwrap()
    }

    /// Makes the folder of a second machine, to which the keys were copied.
    pub(super) fn join(&self) -> Value {
        let keys = ["--log-key", "one/.griptrace/keys/log.key", "--committer-key", "one/.griptrace/keys/committer.key"];
        let join = ["--json", "init", "two", "--store", &self.address, "--join"];
        serde_json::from_str(&self.works(&[&join[..], &keys].concat())).unwrap()
    }

    pub(super) fn add(&self, machine: &str, name: &str) -> String {
        self.works(&["--store", machine, "add", "dataset", name, "--origin", "collected", "--country", "CN"])
    }
}

#[test]
fn a_log_in_a_bucket_is_begun_joined_and_recorded_in_from_both_machines() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "joined");
    let made = world.init();
    assert_eq!(made["store"], world.address);
    let settings = fs::read_to_string(world.at().join("one/.griptrace/config.toml")).unwrap();
    assert!(settings.contains(&format!("store = \"{}\"", world.address)), "{settings}");
    assert!(!settings.contains(SECRET), "{settings}");
    world.add("one", "camera");
    let joined = world.join();
    assert_eq!((&joined["home"], &joined["vkey"]), (&made["home"], &made["vkey"]));
    world.add("two", "force");
    for machine in ["one", "two"] {
        let log = world.works(&["--store", machine, "log"]);
        let trace = world.works(&["--store", machine, "show", "force"]);
        assert!(trace.contains("force"), "{trace}");
        assert_eq!(log.lines().filter(|line| line.starts_with("leaf ")).count(), 2, "{log}");
        assert!(world.works(&["--store", machine, "fsck"]).contains("holds together"));
    }
    let names = world.bucket().list("probe", None, 9).unwrap();
    assert_eq!(names, [""; 0], "what the probe wrote is gone");
}

#[test]
fn another_log_in_the_bucket_is_refused_by_name() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "pinned");
    let made = world.init();
    let again = world.fails(2, &["init", "again", "--store", &world.address, "--origin", ORIGIN]);
    assert!(again.contains("holds a log already") && again.contains("--join"), "{again}");
    let genesis = "0".repeat(64);
    let other = world.fails(1, &["init", "two", "--store", &world.address, "--join", "--genesis", &genesis]);
    assert!(other.contains("has the genesis") && other.contains(made["home"].as_str().unwrap()), "{other}");
    assert!(!world.at().join("two/.griptrace/config.toml").exists());
    let direct = world.fails(2, &["--store", &world.address, "log"]);
    assert!(direct.contains("--join"), "{direct}");

    // Somebody puts another log in its place.
    let bucket = world.bucket();
    let other = World::new(world.seaweed.clone(), "pinned-other");
    other.init();
    for name in ["genesis", "head", "checkpoint", "keys", "segments/0000000000000000"] {
        let bytes = other.bucket().get(name, None).unwrap().map(|part| part.bytes).unwrap_or_default();
        bucket.put(name, &bytes, &When::Always).unwrap();
    }
    let replaced = world.fails(2, &["--store", "one", "log"]);
    assert!(replaced.contains("seen") && replaced.contains("another log"), "{replaced}");
    // On a machine that never asked it, or lost its folder, the settings tell.
    fs::remove_dir_all(world.at().join("one/.griptrace/store")).unwrap();
    let replaced = world.fails(2, &["--store", "one", "log"]);
    assert!(replaced.contains("pins") && replaced.contains("another log"), "{replaced}");
}

#[test]
fn a_log_inside_another_one_is_refused_and_both_show_their_key() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "outer");
    let made = world.init();
    world.add("one", "camera");
    for inside in ["segments", "a/b"] {
        let inner = format!("{}/{inside}", world.address);
        let refused = world.fails(2, &["init", "inner", "--store", &inner, "--origin", "other.example/1"]);
        assert!(refused.contains("is inside s3://") && refused.contains("another log"), "{refused}");
        let backup = world.fails(2, &["--store", "one", "backup", &inner]);
        assert!(backup.contains("another log"), "{backup}");
    }
    assert!(world.works(&["--store", "one", "fsck"]).contains("holds together"));
    let (vkey, shown) = (made["vkey"].as_str().unwrap(), world.works(&["--store", "one", "log"]));
    assert!(shown.contains(&format!("log key {vkey}")), "{shown}");
    let listed: Value = serde_json::from_str(world.works(&["--store", "one", "--json", "log"]).trim()).unwrap();
    assert_eq!((&listed["vkey"], &listed["home"]), (&made["vkey"], &made["home"]));
}

#[test]
fn a_log_is_moved_into_a_bucket_and_back_backed_up_and_restored() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "moved");
    world.works(&["init", "one", "--origin", ORIGIN, "--name", "Maker"]);
    world.add("one", "camera");
    let shown = world.works(&["--store", "one", "show", "camera"]);
    let entries = world.works(&["--store", "one", "--json", "log"]);
    let moved = world.works(&["--store", "one", "migrate", "--to", &world.address]);
    assert!(moved.contains("moved to s3://"), "{moved}");
    let again = world.works(&["--store", "one", "migrate", "--to", &world.address]);
    assert!(again.starts_with("already there, s3://"), "{again}");
    assert_eq!(world.works(&["--store", "one", "show", "camera"]), shown);
    assert_eq!(world.works(&["--store", "one", "--json", "log"]), entries);
    world.add("one", "force");
    let first = world.works(&["--store", "one", "backup", "kept", "--check"]);
    assert!(first.contains("backed up to"), "{first}");
    let again = world.works(&["--store", "one", "backup", "kept"]);
    assert!(again.contains("0 of them new"), "{again}");
    let elsewhere = format!("s3://{BUCKET}/moved-backup");
    world.works(&["--store", "one", "backup", &elsewhere, "--check"]);
    let log = world.works(&["--store", "one", "--json", "log"]);

    // The machine is lost with its folder; keys and settings were kept apart.
    let (config, keys) = ("one/.griptrace/config.toml", "one/.griptrace/keys");
    fs::create_dir_all(world.at().join("new/.griptrace")).unwrap();
    fs::copy(world.at().join(config), world.at().join("new/.griptrace/config.toml")).unwrap();
    let copied = Command::new("cp").arg("-a").args([keys, "new/.griptrace/"]).current_dir(world.at()).status().unwrap();
    assert!(copied.success());
    assert_eq!(world.works(&["--store", "new", "--json", "log"]), log, "the bucket has all of it");

    // The bucket is lost too.
    let lost = world.bucket();
    empty(&lost);
    for asked in ["log", "fsck"] {
        let gone = world.fails(2, &["--store", "new", asked]);
        assert!(gone.contains("holds no store") && !gone.contains("FAULT"), "{gone}");
    }
    // A restore that was cut off.
    lost.put("state", b"griptrace state v1\nunfinished elsewhere\n", &When::Absent).unwrap();
    for asked in ["log", "fsck"] {
        let cut = world.fails(2, &["--store", "new", asked]);
        assert!(cut.contains("an unfinished restore or move is here: give the same command again"), "{cut}");
    }
    lost.remove("state").unwrap();
    let restored = world.works(&["--store", "new", "restore", &elsewhere]);
    assert!(restored.contains("restored to s3://"), "{restored}");
    assert_eq!(world.works(&["--store", "new", "--json", "log"]), log);
    let there = world.fails(2, &["--store", "new", "restore", "kept"]);
    assert!(there.contains("holds a log"), "{there}");

    let home = world.works(&["--store", "one", "migrate", "--to", "folder"]);
    assert!(home.contains(" 2 of them new"), "{home}");
    assert_eq!(world.works(&["--store", "one", "--json", "log"]), log);
    let closed =
        world.fails(2, &["--store", "new", "add", "dataset", "camera", "--origin", "collected", "--name", "x"]);
    assert!(closed.contains("was moved to") && !closed.contains("--join"), "it is a folder now: {closed}");
    for read in [&["log"][..], &["show", "camera"], &["fsck"]] {
        let told = said(&world.run(&[&["--store", "new"][..], read].concat()));
        assert!(told.contains("warning: the log was moved to /"), "{read:?}: {told}");
    }
    let stale = world.fails(2, &["--store", "new", "backup", "stale"]);
    assert!(stale.contains("was moved to") && stale.contains("where it is now"), "{stale}");
    assert!(world.works(&["--store", "one", "fsck"]).contains("holds together"));
}

/// Removes every object.
pub(super) fn empty(bucket: &BucketStore) {
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let inside = |name: &String| if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let names = if folder.is_empty() {
            ["head", "checkpoint", "genesis", "keys", "state", "segments", "blocks", "tile", "cosigned", "snapshots"]
                .map(str::to_owned)
                .to_vec()
        } else {
            bucket.list(&folder, None, 1000).unwrap()
        };
        for name in names.iter().map(inside) {
            bucket.remove(&name).unwrap();
            if !bucket.list(&name, None, 1).unwrap().is_empty() {
                folders.push(name);
            }
        }
    }
}
