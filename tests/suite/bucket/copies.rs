//! Places for logs in a bucket: none in or around another one's, none half begun, and a log restored where nothing is.

use std::fs;

use griptrace_store::bucket::{Bucket, When};
use griptrace_tests::skipped;

use super::program::{World, empty};
use crate::seaweed::{BUCKET, Seaweed};

/// A log around others was begun, and from then on none of them could be backed up or restored.
#[test]
fn a_log_is_not_begun_around_another_one() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "around/plant/maker");
    world.init();
    world.add("one", "camera");
    for outer in ["around/plant", "around"] {
        let outer = format!("s3://{BUCKET}/{outer}");
        let refused = world.fails(2, &["init", "outer", "--store", &outer, "--origin", "other.example/1"]);
        assert!(refused.contains(&format!("{} has a log already", world.address)), "{refused}");
        assert!(refused.contains(&format!("{outer}/NAME")), "{refused}");
    }
    let all = world.fails(2, &["init", "outer", "--store", &format!("s3://{BUCKET}"), "--origin", "other.example/1"]);
    assert!(all.contains("has a log already"), "{all}");
    world.works(&["init", "outer", "--store", &format!("s3://{BUCKET}/around/other"), "--origin", "other.example/1"]);
    world.works(&["--store", "one", "backup", &format!("s3://{BUCKET}/around/kept")]);
    world.works(&["--store", "one", "backup", &format!("s3://{BUCKET}/around/kept")]);
}

/// Who lost a race was told to empty the place, in which the winner's log was whole a moment later.
#[test]
fn who_finds_a_log_half_begun_looks_again_before_anything_is_removed() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "half");
    let half = "segments/0000000000000000";
    world.bucket().put(half, b"half", &When::Absent).unwrap();
    let begin = ["init", "late", "--store", &world.address, "--origin", "maker.example/2026"];
    let told = world.fails(2, &begin);
    assert!(told.contains("another `init` is at work, or one was cut off"), "{told}");
    let (again, remove) = (told.find("give the same command again").unwrap(), told.find("remove that").unwrap());
    assert!(again < remove && told.contains("minutes later"), "{told}");
    world.bucket().remove(half).unwrap();
    world.init();
    let log = world.works(&["--store", "one", "--json", "log"]);
    let told = world.fails(2, &begin);
    assert!(told.contains("is there already") && told.contains("--join"), "{told}");
    assert_eq!(world.works(&["--store", "one", "--json", "log"]), log);
}

#[test]
fn a_log_is_restored_into_a_bucket_from_a_machine_that_has_only_its_keys() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "fresh");
    world.init();
    world.add("one", "camera");
    let kept = format!("s3://{BUCKET}/fresh-kept");
    world.works(&["--store", "one", "backup", &kept]);
    let log = world.works(&["--store", "one", "--json", "log"]);

    // While it is there, no other one is made: but one to look at.
    let elsewhere = format!("s3://{BUCKET}/fresh-elsewhere");
    let keys = ["--log-key", "one/.griptrace/keys/log.key", "--committer-key", "one/.griptrace/keys/committer.key"];
    let restore = [&["restore", kept.as_str(), "--into", "drill", "--store", elsewhere.as_str()][..], &keys].concat();
    let beside = world.fails(2, &restore);
    assert!(beside.contains(&format!("the log is in {}, with", world.address)), "{beside}");
    assert!(beside.contains("--drill"), "{beside}");
    world.works(&[&restore[..], &["--drill"]].concat());
    assert_eq!(world.works(&["--store", "drill", "--json", "log"]), log);
    assert!(world.works(&["--store", "drill", "fsck"]).contains("holds together"));
    let closed = world.fails(2, &["--store", "drill", "add", "dataset", "force", "--origin", "collected"]);
    assert!(closed.contains("it is a backup of"), "{closed}");

    fs::rename(world.at().join("one"), world.at().join("lost")).unwrap();
    empty(&world.bucket());
    fs::create_dir_all(world.at().join("new/.griptrace")).unwrap();
    fs::rename(world.at().join("lost/.griptrace/keys"), world.at().join("new/.griptrace/keys")).unwrap();
    // Into another bucket than it was in: what is there tells that it is gone.
    let moved = format!("s3://{BUCKET}/fresh-new");
    let said = world.works(&["restore", &kept, "--into", "new", "--store", &moved]);
    assert!(said.contains(&format!("restored to {moved}")), "{said}");
    assert_eq!(world.works(&["--store", "new", "--json", "log"]), log);
    world.add("new", "force");
    let settings = fs::read_to_string(world.at().join("new/.griptrace/config.toml")).unwrap();
    let lost = fs::read_to_string(world.at().join("lost/.griptrace/config.toml")).unwrap();
    assert_eq!(settings, lost.replace(&world.address, &moved));
    assert!(world.works(&["--store", "new", "fsck"]).contains("holds together"));
}
