//! Erasing in a bucket, as docs/operations.md says it: who writes is told, the value goes from every object, and the other machine follows.

use core::time::Duration;
use std::{sync::Arc, thread};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use griptrace_store::{OpenOptions, Standing, Store, bucket::Bucket};
use griptrace_tests::skipped;
use serde_json::Value;

use super::program::World;
use crate::{process::said, seaweed::Seaweed};

const NAME: &str = "the-kitchen-of-erika-mustermann";

/// Returns the objects in which the name stands.
fn with_name(bucket: &dyn Bucket) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["segments", "blocks", "erasing", "snapshots"] {
        for name in bucket.list(folder, None, 1000).unwrap() {
            let name = format!("{folder}/{name}");
            let bytes = bucket.get(&name, None).unwrap().unwrap().bytes;
            if bytes.windows(NAME.len()).any(|window| window == NAME.as_bytes()) {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn who_erases_in_a_bucket_waits_for_the_turn_and_the_other_machine_follows() {
    let Some(seaweed) = Seaweed::shared() else { skipped!(not_installed "weed") };
    let world = World::new(seaweed, "erasing");
    world.init();
    world.add("one", "camera");
    world.join();
    world.works(&["--store", "two", "add", "dataset", "force", "--origin", "collected", "--name", NAME]);
    let shown: Value = serde_json::from_str(&world.works(&["--store", "one", "--json", "show", NAME])).unwrap();
    let id = shown["id"].as_str().unwrap();
    let bucket = world.bucket();
    assert_eq!(with_name(&bucket).len(), 1);

    // While another one writes, it is told who, and what to do.
    let line = std::fs::read_to_string(world.at().join("one/.griptrace/keys/log.key")).unwrap();
    let secret = STANDARD.decode(line.trim().rsplit(' ').next().unwrap()).unwrap();
    let signer = griptrace_core::note::NoteSigner::new("maker.example/2026", &secret.try_into().unwrap()).unwrap();
    let local = tempfile::tempdir().unwrap();
    let address = "https://log.example:7400".to_owned();
    let options = OpenOptions { signer: Some(signer), address, ..OpenOptions::default() };
    let store = Store::join_in(Arc::new(world.bucket()), local.path(), options).unwrap();
    assert_eq!(store.tend(Duration::ZERO).unwrap(), Standing::Writer);
    let erase = ["--store", "one", "erase", NAME, "name", "--reason", "a request"];
    let mut erasing = world.command(&erase);
    let mut erasing =
        erasing.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let begin = std::time::Instant::now();
    while erasing.try_wait().unwrap().is_none() {
        store.tend(begin.elapsed()).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    let told = said(&erasing.wait_with_output().unwrap());
    assert!(
        told.contains("https://log.example:7400 writes to") && told.contains("start it again with --replica"),
        "{told}"
    );
    drop(store);
    assert_eq!(with_name(&bucket).len(), 1, "nothing was erased");

    let finished = world.run(&erase);
    let told = said(&finished);
    assert!(
        finished.status.success() && told.contains("old versions of objects, remove those of: segments/"),
        "{told}"
    );
    assert_eq!(with_name(&bucket), [""; 0]);
    assert_eq!(bucket.list("erasing", None, 9).unwrap(), [""; 0]);
    let shown = world.works(&["--store", "two", "show", id]);
    assert!(shown.contains("name               erased on "), "{shown}");
    world.fails(2, &["--store", "two", "show", NAME]);
    for machine in ["one", "two"] {
        assert!(world.works(&["--store", machine, "fsck"]).contains("holds together"));
    }
    world.add("two", "camera");
}
