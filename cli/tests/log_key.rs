//! A log's key that changes, as the clients of its server meet it.

use std::{fs, path::PathBuf};

use crate::support::{Folder, Serving, say, told};

/// An operator's store in `op`, made with a revoker, and clients in folders of their own.
struct Desk {
    dir: Folder,
    home: String,
    /// The log's keys, the first one first.
    keys: Vec<String>,
}

impl Desk {
    fn new() -> Self {
        let dir = Folder::new();
        let guard = dir.new_key("guard.key");
        let made = dir.json(&["init", "op", "--origin", "maker.example/2026", "--name", "Maker", "--revoker", &guard]);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let desk = Self { home: text("home"), keys: vec![text("vkey")], dir };
        fs::write(desk.op().join("raw.bin"), "frames").unwrap();
        say(&desk.op(), "add dataset raw.bin --origin collected --name camera");
        desk
    }

    fn op(&self) -> PathBuf {
        self.dir.path().join("op")
    }

    /// Notes the log's key of now.
    fn changed(&mut self) {
        let log = say(&self.op(), "log");
        let key = log.lines().find_map(|line| line.strip_prefix("log key ")).unwrap().to_owned();
        assert!(!self.keys.contains(&key), "{log}");
        self.keys.push(key);
    }

    fn rotate(&mut self) {
        say(&self.op(), "key rotate log");
        self.changed();
    }

    fn revoke(&mut self) {
        let last = self.dir.json(&["key", "show", self.keys.last().unwrap()]);
        let last = last["public_key"].as_str().unwrap();
        self.dir.new_key("next.key");
        let change = ["key", "change", "log", "--genesis", &self.home, "--revoke", last, "--by", "guard.key"];
        self.dir.say(&[&change[..], &["--new", "next.key", "-o", "log.change"]].concat());
        self.dir.say("--store op key record log.change --new next.key");
        self.changed();
    }

    /// Makes a client's folder, with the committer's key that the server knows.
    fn client(&self, name: &str, url: &str, log: &str) {
        let key = self.op().join(".griptrace/keys/committer.key");
        let key = ["--committer-key", key.to_str().unwrap()];
        self.dir.say(&[&["init", name, "--server", url, "--issuer", "Plant", "--log", log][..], &key].concat());
    }

    /// Has a client ask, record and prove, and returns what it said of the log's key.
    #[track_caller]
    fn works(&self, name: &str, url: &str) -> String {
        let folder = self.dir.path().join(name);
        // Ports are the system's to choose: the settings, with the key that they pin, stay those of the one server.
        let settings = folder.join(".griptrace/config.toml");
        let text = fs::read_to_string(&settings).unwrap();
        let at = text.lines().find(|line| line.starts_with("url = ")).unwrap();
        fs::write(&settings, text.replace(at, &format!("url = \"{url}\""))).unwrap();
        let now = self.keys.last().unwrap();
        let (code, said) = told(&folder, "log --limit 1");
        assert!(code == 0 && said.contains(&format!("\nlog key {now}\n")), "{said}");
        fs::write(folder.join("more.bin"), format!("{name} {now}")).unwrap();
        say(&folder, "add dataset more.bin --origin collected");
        let trust = say(&folder, "trust init");
        assert!(trust.contains(&format!("vkey = \"{now}\"")), "{trust}");
        let earlier = self.keys.iter().filter(|key| trust.contains(&format!("{{ vkey = \"{key}\", size = "))).count();
        assert_eq!(earlier, self.keys.len() - 1, "{trust}");
        said
    }
}

/// From the first change on no client could use the log: the server went on naming its first key, and the newest checkpoint is
/// signed by another.
#[test]
fn clients_go_on_after_every_change_of_the_logs_key() {
    let mut desk = Desk::new();
    let (serving, url) = Serving::start(&desk.op(), "");
    desk.client("old", &url, &desk.keys[0]);
    desk.works("old", &url);
    drop(serving);
    let changes: [fn(&mut Desk); 3] = [Desk::rotate, Desk::rotate, Desk::revoke];
    for (round, change) in changes.iter().enumerate() {
        change(&mut desk);
        let (_serving, url) = Serving::start(&desk.op(), "");
        // The folder that was made under the first key is used as it is: nothing has to be done in it.
        let said = desk.works("old", &url);
        let (before, now) = (&desk.keys[round], &desk.keys[round + 1]);
        assert!(said.contains("note: the key of the log maker.example/2026 changed at leaf "), "{said}");
        assert!(said.contains(&format!(": {now} followed {before}; ")), "{said}");
        assert!(!desk.works("old", &url).contains("note: "), "it is said once");
        for (place, key) in desk.keys.iter().enumerate() {
            let name = format!("made-{round}-{place}");
            desk.client(&name, &url, key);
            desk.works(&name, &url);
        }
        let again = ["init", "old", "--server", &url, "--issuer", "Plant", "--log", now];
        assert!(
            desk.dir
                .ends(2, &again)
                .contains("hint: it is a client's, with the committer's key: it goes on being used")
        );
        // Who pins nothing is told the key of now.
        let state = desk.dir.path().join(format!("state-{round}"));
        let mut ask = crate::support::command(desk.dir.path(), &["--server", &url, "log", "--limit", "1"]);
        let output = ask.env("XDG_STATE_HOME", &state).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(&format!("held to its key {now}")), "{said}");
    }
    assert_eq!(desk.keys.len(), 4);
}

/// Both keys were named, and not the file that holds the wrong one.
#[test]
fn a_wrong_file_for_the_logs_key_is_named() {
    let desk = Desk::new();
    let file = desk.op().join(".griptrace/keys/log.key");
    fs::remove_file(&file).unwrap();
    desk.dir.new_key("op/.griptrace/keys/log.key");
    let said = desk.dir.ends(2, "--store op add dataset op/raw.bin --origin collected");
    let shown = std::path::Path::new("op/.griptrace/keys/log.key").display().to_string();
    assert!(said.contains(&desk.keys[0]) && said.contains(&shown), "{said}");
    assert!(said.contains("hint: ") && said.contains("griptrace key show FILE tells which key a file holds"), "{said}");
}

/// A server that has a log of the same name, with a key that no change leads to.
#[test]
fn a_server_with_another_key_and_no_proven_change_is_refused() {
    let desk = Desk::new();
    let (serving, url) = Serving::start(&desk.op(), "");
    desk.client("seen", &url, &desk.keys[0]);
    drop(serving);
    desk.dir.say("init thief --origin maker.example/2026 --name Maker");
    let (_serving, url) = Serving::start(&desk.dir.path().join("thief"), "");
    let (code, said) = told(&desk.dir.path().join("seen"), &format!("--server {url} log"));
    assert!(code == 2 && said.contains("another log under the name maker.example/2026"), "{said}");
    let said = desk.dir.ends(2, &["init", "new", "--server", &url, "--issuer", "Plant", "--log", &desk.keys[0]]);
    assert!(said.contains(&format!("and {} is the one that is pinned", desk.keys[0])), "{said}");
    assert!(said.contains("hint: ask the operator which key the log has; if it changed, a server shows the change"));
    assert!(!desk.dir.path().join("new/.griptrace/config.toml").exists());
}
