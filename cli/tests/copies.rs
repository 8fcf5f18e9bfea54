//! Backups and what is made of them: nothing good is lost to a copy, and no second log comes to be beside one that lives.

use std::{fs, path::PathBuf};

use griptrace_core::digest::file_digest;

use super::support::{Folder, command};

/// A log in the folder `one` with a dataset, and a backup of it.
fn log() -> Folder {
    let folder = Folder::new();
    folder.write("data.bin", "data");
    folder.say("init one --origin maker.example/2026 --name Maker");
    add(&folder, "one", "first");
    folder.say("--store one backup kept --check");
    folder
}

fn add(folder: &Folder, store: &str, name: &str) {
    folder.say(&["--store", store, "add", "dataset", "data.bin", "--origin", "collected", "--name", name]);
}

fn keys_to(folder: &Folder, machine: &str) {
    fs::create_dir_all(folder.path().join(machine).join(".griptrace")).unwrap();
    folder.copy("one/.griptrace/keys", &format!("{machine}/.griptrace/"));
}

/// Settings could be made only of a log that was there, and the log only where there were settings.
#[test]
fn a_log_is_restored_where_nothing_is_but_its_keys() {
    let folder = log();
    let entries = folder.say("--store one log --json");
    keys_to(&folder, "new");
    fs::rename(folder.path().join("one"), folder.path().join("lost")).unwrap();
    let said = folder.say("restore kept --into new --name Maker");
    assert!(said.contains("restored to") && said.contains(": 4 entries"), "{said}");
    assert_eq!(folder.say("--store new log --json"), entries);
    let (old, new) = (folder.read("lost/.griptrace/config.toml"), folder.read("new/.griptrace/config.toml"));
    assert_eq!(old, new, "the settings are those that were lost");
    add(&folder, "new", "second");
    assert!(folder.say("--store new fsck").contains("holds together"));
    let again = folder.complain("restore kept --into new");
    assert!(again.contains("would fork the log") && !again.contains("empty"), "{again}");

    // Another key is told, and nothing is left.
    folder.say("key new other.key");
    let wrong = folder.complain("restore kept --into wrong --log-key other.key");
    assert!(wrong.contains("and the log's key is") && wrong.contains("--log-key"), "{wrong}");
    assert!(!folder.path().join("wrong/.griptrace/config.toml").exists());
}

/// It was told that "nothing here could tell of it", while the log was there; the next commit forked it.
#[test]
fn no_second_log_is_made_beside_one_that_is_there() {
    let folder = log();
    keys_to(&folder, "two");
    let beside = folder.complain("restore kept --into two");
    assert!(beside.contains("with 4 entries") && beside.contains("a second history"), "{beside}");
    assert!(beside.contains("--drill") && beside.contains("--original-is-gone"), "{beside}");
    assert!(!folder.path().join("two/.griptrace/config.toml").exists(), "nothing is left of it");
    assert!(!folder.path().join("two/.griptrace/store/head").exists());

    // To look at it there is a way that nobody can write by.
    folder.say("restore kept --into look --drill");
    assert_eq!(folder.say("--store look log --json"), folder.say("--store one log --json"));
    assert!(folder.say("--store look fsck").contains("holds together"));
    keys_to(&folder, "look");
    let closed = folder.complain("--store look add dataset data.bin --origin collected --name x --country DE");
    assert!(closed.contains("names no log key"), "{closed}");
    folder.say("restore kept --into keyed --drill --log-key one/.griptrace/keys/log.key");
    let closed = folder.complain("--store keyed add dataset data.bin --origin collected --name x");
    assert!(closed.contains("it is a backup of"), "{closed}");
    // A drill leads to the log that the backup is of.
    let beside = folder.complain("restore look/.griptrace/store --into two");
    assert!(beside.contains("with 4 entries") && beside.contains("one/.griptrace/store"), "{beside}");

    // With more entries it is certain, whatever anybody says.
    add(&folder, "one", "more");
    let behind = folder.complain("restore kept --into two --original-is-gone");
    assert!(behind.contains("6 entries, and the backup has 4") && behind.contains("would fork"), "{behind}");
    folder.say("--store one backup kept");
    folder.say("restore kept --into two --original-is-gone");
    add(&folder, "two", "goes on");
}

/// Of another machine nobody here can tell.
#[test]
fn who_cannot_look_for_the_original_has_to_say_that_it_is_gone() {
    let folder = log();
    keys_to(&folder, "two");
    folder.write("kept/state", "griptrace state v1\nbackup /srv/log on elsewhere\n");
    let unknown = folder.complain("restore kept --into two");
    assert!(unknown.contains("nobody here can tell") && unknown.contains("that is another machine"), "{unknown}");
    folder.say("restore kept --into two --original-is-gone");
    assert!(folder.say("--store two fsck").contains("holds together"));
}

/// A rotten object went over the good one in the backup, with exit code 0.
#[test]
fn a_backup_keeps_what_the_log_has_no_more_and_says_which_side_is_damaged() {
    let folder = log();
    // A cosigned checkpoint, before anybody cosigned it.
    let store = |name: &str| folder.path().join("one/.griptrace/store").join(name);
    let note = fs::read_to_string(store("checkpoint")).unwrap();
    let cosigned = "cosigned/0000000000000004";
    fs::create_dir(store("cosigned")).unwrap();
    fs::write(store(cosigned), format!("{}\n{note}", file_digest(note.as_bytes()))).unwrap();
    assert!(folder.say("--store one fsck").contains("holds together"));
    folder.say("--store one backup kept --check");
    let whole = folder.read(&format!("kept/{cosigned}"));

    fs::write(store(cosigned), whole.replace("maker", "taker")).unwrap();
    add(&folder, "one", "second");
    let said = folder.ends(1, "--store one backup kept --check");
    let fault = format!(
        "FAULT  {cosigned}: it has another checksum than its bytes (where it comes from; the copy has a whole one, and keeps it)"
    );
    assert!(said.contains(&fault) && said.contains("6 entries, 2 of them new"), "{said}");
    assert!(said.contains("put each back from") && said.contains("kept"), "{said}");
    assert_eq!(folder.read(&format!("kept/{cosigned}")), whole);

    fs::remove_file(store(cosigned)).unwrap();
    let said = folder.ends(1, "--store one backup kept");
    assert!(said.contains(&format!("FAULT  {cosigned}: the copy has it")) && said.contains("on purpose"), "{said}");
    fs::write(store(cosigned), &whole).unwrap();
    folder.say("--store one backup kept --check");

    // Damage in the copy is told as such, and what can be is mended.
    fs::write(folder.path().join("kept").join(cosigned), "rot").unwrap();
    let tile: PathBuf = folder.path().join("kept/tile/entries/000.p/6");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[9] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let said = folder.ends(1, "--store one backup kept --check");
    assert!(said.contains("FAULT  tile/entries/000.p/6") && said.contains("(in the copy in"), "{said}");
    assert!(!said.contains(cosigned) && said.contains("in another place"), "{said}");
    assert_eq!(folder.read(&format!("kept/{cosigned}")), whole);

    // A restore leaves what is damaged, and says so.
    fs::write(folder.path().join("kept").join(cosigned), "rot").unwrap();
    let said = folder.ends(1, "restore kept --into back --original-is-gone");
    assert!(said.contains("without what is damaged in the backup") && said.contains(cosigned), "{said}");
    assert!(folder.say("--store back fsck").contains("holds together"));
}

/// It was taken, and a thread panicked at the first request.
#[test]
fn an_endpoint_that_is_no_address_is_refused_by_name() {
    let folder = Folder::new();
    let said = folder.complain("init one --store s3://logs/maker --origin maker.example/1 --endpoint 127.0.0.1:18333");
    assert!(said.contains("\"127.0.0.1:18333\" is not the address of a service, http://HOST:PORT"), "{said}");
    let mut asked = command(folder.path(), "init one --store s3://logs/maker --origin maker.example/1");
    let asked = asked.env("AWS_ENDPOINT_URL", "localhost:9000").output().unwrap();
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(said.contains("AWS_ENDPOINT_URL") && !said.contains("panicked"), "{said}");
    assert_eq!(asked.status.code(), Some(2));
}
