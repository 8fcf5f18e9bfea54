//! A log on a server, over TLS, and those who record in it: each in a folder of their own, with a key and a token.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use griptrace_core::{
    checkpoint::Checkpoint,
    key::PublicKey,
    note::{Note, NoteVerifier},
    tree::{Rfc9162, TreeSize, verify_consistency},
};
use griptrace_store::{OpenOptions, Store};
use serde_json::Value;

use crate::{
    process::{Running, program, works},
    served::{Authority, Counts, committer_lines},
};

/// How long others may take to record what is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who keeps the log: a folder with its store, the server's process, and what everybody is given.
pub(crate) struct Operator {
    folder: tempfile::TempDir,
    process: Running,
    /// Where the server is.
    pub(crate) url: String,
}

impl Operator {
    /// Makes a log, lets each party in with a token and a committer key, one more with a token to read, and serves.
    pub(crate) fn new(origin: &str, parties: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let authority = Authority::new();
        let (certificate, key) = authority.sign("the server", &["localhost", "127.0.0.1"], Counts::Now);
        for (name, text) in [("ca.pem", authority.pem()), ("server.pem", certificate), ("server.key", key)] {
            fs::write(at.join(name), text).unwrap();
        }
        works(at, &["init", "server", "--origin", origin, "--name", "Operator"]);
        let mut settings =
            "listen = \"127.0.0.1:0\"\nhttp = \"off\"\n[tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n".to_owned();
        for party in parties {
            settings.push_str(&let_in(at, party, "\"read\", \"commit\", \"prove\""));
        }
        settings.push_str(&let_in(at, "reader", "\"read\""));
        for party in parties {
            let file = format!("{party}.key");
            let made: Value = serde_json::from_str(&works(at, &["key", "new", &file, "--json"])).unwrap();
            let key = PublicKey::parse(made["public_key"].as_str().unwrap()).unwrap();
            settings.push_str(&committer_lines(party, &key, &[party]));
        }
        fs::write(at.join("serve.toml"), settings).unwrap();
        let (process, url) = serve(at);
        Self { folder, process, url }
    }

    pub(crate) fn at(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the folder of a party that is let in, held to the log's key as the operator reads it.
    pub(crate) fn client(&self, party: &str) -> Client {
        let (at, vkey) = (self.at(), vkey(self.at()));
        let (key, token) = (format!("{party}.key"), format!("{party}.token"));
        let server = ["init", party, "--server", &self.url, "--ca", "ca.pem", "--log", &vkey];
        works(at, &[&server[..], &["--issuer", party, "--committer-key", &key, "--token-file", &token]].concat());
        Client { party: party.to_owned(), folder: at.join(party) }
    }

    /// Asks the server to end, which it has to do by itself; then asserts that its store holds together, and that
    /// what each client has seen of the log is the beginning of it.
    pub(crate) fn end(&mut self, clients: &[Client]) {
        assert_eq!(self.process.end(), Some(0), "{}", self.process.said());
        let checked = works(self.at(), &["--store", "server", "fsck"]);
        assert!(checked.starts_with("the store holds together: "), "{checked}");
        let store = Store::open(&self.at().join("server/.griptrace/store"), OpenOptions::default()).unwrap();
        let log = NoteVerifier::parse(&vkey(self.at())).unwrap();
        let whole = checkpoint(&log, &store.checkpoint());
        for client in clients {
            let seen = checkpoint(&log, &client.seen());
            let proof = store.consistency(seen.size, whole.size).unwrap();
            let (from, to) = (TreeSize::new(seen.size), TreeSize::new(whole.size));
            verify_consistency(&Rfc9162, from, &seen.root, to, &whole.root, &proof)
                .unwrap_or_else(|error| panic!("{} has seen another log: {error}", client.party));
        }
    }
}

/// Reads a checkpoint that the log signed.
fn checkpoint(log: &NoteVerifier, text: &str) -> Checkpoint {
    let note = Note::parse(text.as_bytes()).unwrap();
    assert_eq!(note.verify(core::slice::from_ref(log)).unwrap().len(), 1, "the log signed it");
    Checkpoint::parse(note.text()).unwrap()
}

/// Makes a token, and returns the lines of the settings that let its holder in.
pub(crate) fn let_in(at: &Path, party: &str, roles: &str) -> String {
    let line = works(at, &["key", "token", "-o", &format!("{party}.token")]);
    format!("[[client]]\nname = \"{party}\"\nroles = [{roles}]\n{line}")
}

/// Returns the log's key as the operator reads it from the store.
pub(crate) fn vkey(at: &Path) -> String {
    let trust = works(at, &["--store", "server", "trust", "init"]);
    let line = trust.lines().find_map(|line| line.strip_prefix("vkey = ")).expect("it names the log's key");
    line.trim_matches('"').to_owned()
}

/// Starts the server of a folder's `serve.toml`, and waits until it listens.
pub(crate) fn serve(at: &Path) -> (Running, String) {
    let ready = at.join("ready.json");
    // One that ran before left its address behind.
    fs::remove_file(&ready).unwrap_or_default();
    let args = ["--store", "server", "serve", "--config", "serve.toml", "--ready-file", "ready.json"];
    let mut server = Running::start(program(at, &args), &at.join("serve.log"));
    let url = format!("https://{}", server.told(&ready)["grpc"].as_str().unwrap());
    (server, url)
}

/// Who records in the log, from a folder of their own.
pub(crate) struct Client {
    pub(crate) party: String,
    pub(crate) folder: PathBuf,
}

impl Client {
    /// Runs the program here, which has to do what it was asked for, and returns what it prints.
    pub(crate) fn works(&self, args: &[&str]) -> String {
        works(&self.folder, args)
    }

    /// Records tables of a lineage file, and returns the id of each node by its name.
    pub(crate) fn records(&self, name: &str, lineage: &str) -> Vec<(String, String)> {
        fs::write(self.folder.join(name), lineage).unwrap();
        let told = self.works(&["record", name, "--json"]);
        let read = |line: &str| -> Option<(String, String)> {
            let node: Value = serde_json::from_str(line).expect("it prints JSON");
            Some((node["name"].as_str()?.to_owned(), node["id"].as_str()?.to_owned()))
        };
        told.lines().filter_map(read).collect()
    }

    /// Waits until the log holds this many commits.
    pub(crate) fn waits_for_commits(&self, count: usize) {
        let so_far = || self.works(&["log", "--json"]).lines().count();
        self.waits_for(&format!("{count} commits"), || so_far() >= count);
    }

    /// Waits until the log has a node.
    pub(crate) fn waits_for_node(&self, node: &str) {
        self.waits_for(node, || program(&self.folder, &["show", node]).output().unwrap().status.success());
    }

    fn waits_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_there() {
            assert!(begun.elapsed() < PATIENCE, "{} waits for {what}", self.party);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the newest checkpoint that this folder has seen of the log, as the server signed it.
    fn seen(&self) -> String {
        let inner = self.folder.join(".griptrace");
        assert!(!inner.join("evidence").exists(), "{} has seen the log do what none may do", self.party);
        let files = fs::read_dir(inner.join("seen")).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "seen")).collect();
        let [file] = files.as_slice() else { panic!("{} has seen one log: {files:?}", self.party) };
        let text = fs::read_to_string(file).unwrap();
        text.split_once("\n\n").expect("a note follows").1.to_owned()
    }
}

/// Lets each client do its part, all at once, and returns what they return.
pub(crate) fn at_once<T: Send>(clients: &[Client], part: impl Fn(usize, &Client) -> T + Sync) -> Vec<T> {
    let part = &part;
    thread::scope(|scope| {
        let running: Vec<_> =
            clients.iter().enumerate().map(|(number, client)| scope.spawn(move || part(number, client))).collect();
        running.into_iter().map(|running| running.join().expect("each does its part")).collect()
    })
}

/// Returns a buyer's trust file that names the log and every one of these clients.
pub(crate) fn trust(clients: &[Client]) -> String {
    let all: Vec<String> = clients.iter().map(|client| client.works(&["trust", "init"])).collect();
    let log = all.iter().take(1).flat_map(|text| tables(text, "log"));
    log.chain(all.iter().flat_map(|text| tables(text, "committer"))).collect()
}

/// Returns the tables `[[head]]` of a TOML text.
pub(crate) fn tables(text: &str, head: &str) -> Vec<String> {
    let head = format!("{head}]]");
    let all = text.split("[[").skip(1).filter(|table| table.starts_with(&head));
    all.map(|table| format!("[[{table}\n")).collect()
}
