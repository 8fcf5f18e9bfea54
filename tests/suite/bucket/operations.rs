//! What docs/operations.md says of each failure, tried: what is seen, and what helps.

use core::time::Duration;
use std::{fs, process::Command};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use griptrace_store::{
    OpenOptions, Standing, Store,
    bucket::{Bucket, When},
};
use griptrace_tests::skipped;

use super::program::World;
use crate::{
    bucket::open,
    process::said,
    seaweed::{BUCKET, Seaweed},
};

/// A log in a bucket with two commits, and a second machine that may write too.
fn world(prefix: &str) -> Option<World> {
    let world = World::new(Seaweed::shared()?, prefix);
    world.init();
    world.add("one", "camera");
    world.join();
    world.add("two", "force");
    Some(world)
}

#[test]
fn a_bucket_that_is_gone_or_does_not_let_in_is_told_with_what_helps() {
    let Some(world) = world("ops-gone") else { skipped!(not_installed "weed") };
    let nowhere = world.fails(2, &["init", "no", "--store", "s3://no-such-bucket/x", "--origin", "a.example/1"]);
    assert!(nowhere.contains("no-such-bucket") && nowhere.contains("NoSuchBucket"), "{nowhere}");
    assert!(!world.at().join("no/.griptrace/keys").exists(), "nothing was made");
    let mut command = world.command(&["--store", "one", "log"]);
    let wrong = said(&command.env("AWS_SECRET_ACCESS_KEY", "wrong").output().unwrap());
    assert!(wrong.contains("AWS_SECRET_ACCESS_KEY"), "{wrong}");
    let mut command = world.command(&["--store", "one", "log"]);
    let silent = said(&command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").output().unwrap());
    assert!(silent.contains("127.0.0.1:9"), "{silent}");
}

#[test]
fn a_damaged_or_lost_head_is_made_again_by_whoever_writes_next() {
    let Some(world) = world("ops-head") else { skipped!(not_installed "weed") };
    let bucket = world.bucket();
    for lost in [false, true] {
        let log = world.works(&["--store", "one", "--json", "log"]);
        if lost {
            bucket.remove("head").unwrap();
        } else {
            bucket.put("head", b"rubbish", &When::Always).unwrap();
        }
        let told = world.fails(1, &["--store", "one", "fsck"]);
        assert!(told.contains("FAULT  head") && told.contains("the next writer makes it again"), "{told}");
        assert_eq!(world.works(&["--store", "two", "--json", "log"]), log, "reading goes on");
        world.works(&[
            "--store",
            "two",
            "add",
            "dataset",
            "camera",
            "--origin",
            "collected",
            "--name",
            &format!("n-{lost}"),
        ]);
        assert!(world.works(&["--store", "one", "fsck"]).contains("holds together"));
        assert_ne!(world.works(&["--store", "one", "--json", "log"]), log);
    }
}

#[test]
fn a_damaged_or_lost_segment_is_named_and_comes_back_from_a_backup() {
    let Some(world) = world("ops-segment") else { skipped!(not_installed "weed") };
    world.works(&["--store", "one", "backup", "kept"]);
    let elsewhere = format!("s3://{BUCKET}/ops-segment-kept");
    world.works(&["--store", "one", "backup", &elsewhere]);
    let (bucket, kept) = (world.bucket(), open(&world.seaweed, "ops-segment-kept"));
    let name = format!("segments/{}", bucket.list("segments", None, 9).unwrap()[1]);
    let whole = bucket.get(&name, None).unwrap().unwrap().bytes;
    assert_eq!(kept.get(&name, None).unwrap().unwrap().bytes, whole, "a backup in a bucket has the same objects");
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    bucket.put(&name, &changed, &When::Always).unwrap();
    let damaged = world.fails(1, &["--store", "two", "fsck"]);
    assert!(damaged.contains(&format!("FAULT  {name}")) && damaged.contains("damaged"), "{damaged}");
    bucket.remove(&name).unwrap();
    let missing = world.fails(2, &["--store", "two", "log"]);
    assert!(missing.contains(&name) && missing.contains("missing"), "{missing}");
    assert!(
        missing.contains(&format!("hint: griptrace fsck tells what else is damaged; put {name} back")),
        "{missing}"
    );
    bucket.put(&name, &kept.get(&name, None).unwrap().unwrap().bytes, &When::Absent).unwrap();
    assert!(world.works(&["--store", "two", "fsck"]).contains("holds together"));
    assert!(world.works(&["--store", "two", "fsck", "--sample", "5"]).contains("holds together"));
}

/// The recipe of docs/operations.md: a backup in a folder has other objects than a bucket, until it is copied into one.
#[test]
fn one_object_comes_back_from_a_backup_in_a_folder_by_way_of_another_prefix() {
    let Some(world) = world("ops-recipe") else { skipped!(not_installed "weed") };
    world.works(&["--store", "one", "backup", "kept"]);
    let bucket = world.bucket();
    let name = format!("segments/{}", bucket.list("segments", None, 9).unwrap()[1]);
    let whole = bucket.get(&name, None).unwrap().unwrap().bytes;
    bucket.remove(&name).unwrap();
    assert!(world.fails(1, &["--store", "one", "fsck"]).contains(&format!("FAULT  {name}")));

    fs::create_dir_all(world.at().join("scratch/.griptrace")).unwrap();
    let settings = fs::read_to_string(world.at().join("one/.griptrace/config.toml")).unwrap();
    let is_place = |line: &&str| ["store =", "endpoint =", "region ="].iter().any(|name| line.starts_with(name));
    let settings: Vec<&str> = settings.lines().filter(|line| !is_place(line)).collect();
    fs::write(world.at().join("scratch/.griptrace/config.toml"), settings.join("\n")).unwrap();
    let copied = Command::new("cp").args(["-r", "kept", "scratch/.griptrace/store"]).current_dir(world.at()).status();
    assert!(copied.unwrap().success());
    world.works(&["--store", "scratch", "backup", &format!("s3://{BUCKET}/ops-recipe-scratch")]);

    let scratch = open(&world.seaweed, "ops-recipe-scratch");
    let back = scratch.get(&name, None).unwrap().unwrap().bytes;
    assert_eq!(back, whole, "the same object");
    bucket.put(&name, &back, &When::Absent).unwrap();
    assert!(world.works(&["--store", "one", "fsck"]).contains("holds together"));
}

#[test]
fn of_two_writers_the_second_is_told_who_writes_and_how_to_commit_through_it() {
    let Some(world) = world("ops-two") else { skipped!(not_installed "weed") };
    let line = fs::read_to_string(world.at().join("one/.griptrace/keys/log.key")).unwrap();
    let secret = STANDARD.decode(line.trim().rsplit(' ').next().unwrap()).unwrap();
    let signer = griptrace_core::note::NoteSigner::new("maker.example/2026", &secret.try_into().unwrap()).unwrap();
    let local = tempfile::tempdir().unwrap();
    let address = "https://log.example:7400".to_owned();
    let options = OpenOptions { signer: Some(signer), address, ..OpenOptions::default() };
    let store = Store::join_in(std::sync::Arc::new(world.bucket()), local.path(), options).unwrap();
    assert_eq!(store.tend(Duration::ZERO).unwrap(), Standing::Writer);
    let mut adding =
        world.command(&["--store", "two", "add", "dataset", "camera", "--origin", "collected", "--name", "x"]);
    let mut adding = adding.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let begin = std::time::Instant::now();
    while adding.try_wait().unwrap().is_none() {
        store.tend(begin.elapsed()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let told = said(&adding.wait_with_output().unwrap());
    assert!(told.contains("https://log.example:7400 writes to"), "{told}");
    assert!(told.contains("griptrace --server https://log.example:7400"), "{told}");
    drop(store);
    world.works(&["--store", "two", "add", "dataset", "camera", "--origin", "collected", "--name", "x"]);
}

#[test]
fn a_stale_backup_is_refused_and_a_lost_folder_or_key_is_told() {
    let Some(world) = world("ops-stale") else { skipped!(not_installed "weed") };
    world.works(&["--store", "one", "backup", "kept"]);
    world.works(&["--store", "one", "add", "dataset", "camera", "--origin", "collected", "--name", "later"]);
    let log = world.works(&["--store", "one", "--json", "log"]);
    let bucket = world.bucket();
    let segments = bucket.list("segments", None, 100).unwrap();
    let all: Vec<(String, Vec<u8>)> = segments
        .iter()
        .map(|name| format!("segments/{name}"))
        .map(|name| (name.clone(), bucket.get(&name, None).unwrap().unwrap().bytes))
        .collect();
    all.iter().for_each(|(name, _)| bucket.remove(name).unwrap());
    let stale = world.fails(2, &["--store", "one", "restore", "kept"]);
    assert!(stale.contains("were signed") && stale.contains("would fork the log"), "{stale}");
    all.iter().for_each(|(name, bytes)| drop(bucket.put(name, bytes, &When::Absent).unwrap()));
    assert_eq!(world.works(&["--store", "one", "--json", "log"]), log);

    // This machine's folder of the bucket: nothing in it is needed.
    fs::remove_dir_all(world.at().join("one/.griptrace/store")).unwrap();
    assert_eq!(world.works(&["--store", "one", "--json", "log"]), log);

    fs::remove_file(world.at().join("one/.griptrace/keys/log.key")).unwrap();
    let add = ["--store", "two", "add", "dataset", "camera", "--origin", "collected", "--name", "y"];
    let told = world.fails(2, &add);
    assert!(told.contains("log.key"), "{told}");
    assert_eq!(world.works(&["--store", "two", "--json", "log"]), log, "reading needs no key");
}

#[test]
#[cfg(unix)]
fn a_full_disk_stops_no_question_and_loses_nothing() {
    let Some(world) = world("ops-full") else { skipped!(not_installed "weed") };
    let log = world.works(&["--store", "one", "--json", "log"]);
    let program = world.command(&[]);
    // No file may grow: what a full disk answers to every write.
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {} \"$@\"", program.get_program().to_str().unwrap());
    let full = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).args(args).current_dir(world.at());
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.output().unwrap()
    };
    fs::remove_dir_all(world.at().join("one/.griptrace/store")).unwrap();
    let asked = full(&["--store", "one", "--json", "log"]);
    assert_eq!(String::from_utf8_lossy(&asked.stdout), log, "{}", said(&asked));
    let add = ["--store", "one", "add", "dataset", "camera", "--origin", "collected", "--name", "z"];
    let recorded = full(&add);
    let after = world.works(&["--store", "two", "--json", "log"]);
    assert_eq!(recorded.status.success(), after != log, "told and done are one: {}", said(&recorded));
    world.works(&add);
    assert!(world.works(&["--store", "two", "fsck"]).contains("holds together"));
}
