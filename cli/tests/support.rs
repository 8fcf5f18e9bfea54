//! The program, run in a folder as a person runs it, that knows nothing but what it is told there.

use core::time::Duration;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Instant,
};

use serde_json::Value as Json;
use tempfile::TempDir;

/// The words of a command line: one text that is split at its spaces, or each by itself.
pub(crate) trait Words {
    fn words(&self) -> Vec<&str>;
}

impl Words for str {
    fn words(&self) -> Vec<&str> {
        self.split_whitespace().collect()
    }
}

impl Words for String {
    fn words(&self) -> Vec<&str> {
        self.as_str().words()
    }
}

impl Words for [&str] {
    fn words(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl<const N: usize> Words for [&str; N] {
    fn words(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl Words for Vec<&str> {
    fn words(&self) -> Vec<&str> {
        self.clone()
    }
}

/// Returns the program as it is run in a folder.
pub(crate) fn command(folder: &Path, args: &(impl Words + ?Sized)) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace"));
    command.args(args.words()).current_dir(folder).stdin(Stdio::null());
    for name in ["GRIPTRACE_STORE", "GRIPTRACE_PASSPHRASE", "GRIPTRACE_SERVER"] {
        command.env_remove(name);
    }
    command
}

/// Runs the program in a folder.
pub(crate) fn run(folder: &Path, args: &(impl Words + ?Sized)) -> Output {
    command(folder, args).output().unwrap()
}

/// Runs a command, and returns its exit code and all that it said, on both ways.
pub(crate) fn told(folder: &Path, args: &(impl Words + ?Sized)) -> (i32, String) {
    let output = run(folder, args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), format!("{out}{err}"))
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
pub(crate) fn say(folder: &Path, args: &(impl Words + ?Sized)) -> String {
    let output = run(folder, args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "griptrace {:?}: {}\n{out}{err}", args.words(), output.status);
    out.into_owned()
}

/// Returns the objects of a text that has one in each line.
pub(crate) fn objects(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder that is there as long as its test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        let copied = Command::new("cp").args(["-r", from, to]).current_dir(self.path()).status().unwrap();
        assert!(copied.success());
    }

    pub(crate) fn run(&self, args: &(impl Words + ?Sized)) -> Output {
        run(self.path(), args)
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn say(&self, args: &(impl Words + ?Sized)) -> String {
        say(self.path(), args)
    }

    /// Runs a command that must succeed, and returns the one object that it printed.
    #[track_caller]
    pub(crate) fn json(&self, args: &(impl Words + ?Sized)) -> Json {
        let args = [&args.words()[..], &["--json"]].concat();
        serde_json::from_str(&self.say(&args)).unwrap()
    }

    /// Runs a command that must end with this code, and returns what it said, on both ways.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, args: &(impl Words + ?Sized)) -> String {
        let (found, said) = told(self.path(), args);
        assert_eq!(found, code, "griptrace {:?}: {said}", args.words());
        said
    }

    /// Runs a command that could not be done, and returns what it complained of.
    #[track_caller]
    pub(crate) fn complain(&self, args: &(impl Words + ?Sized)) -> String {
        let output = self.run(args);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "griptrace {:?}: {err}", args.words());
        err
    }

    /// Returns the day, in UTC, on which the log here was begun, as the program wrote it: today.
    #[track_caller]
    pub(crate) fn today(&self) -> String {
        let trust = self.say("trust init");
        trust.lines().find_map(|line| line.strip_prefix("from = ")).unwrap().to_owned()
    }

    /// Makes a key, and returns its public half.
    #[track_caller]
    pub(crate) fn new_key(&self, file: &str) -> String {
        self.json(&["key", "new", file])["public_key"].as_str().unwrap().to_owned()
    }

    /// Returns the id of the node that `text` names.
    #[track_caller]
    pub(crate) fn id(&self, text: &str) -> String {
        self.json(&["show", text])["id"].as_str().unwrap().to_owned()
    }
}

/// A server on this machine, until it is dropped.
pub(crate) struct Serving(Child);

impl Serving {
    /// Serves the store in a folder, and returns at which address it may be called.
    pub(crate) fn start(folder: &Path, more: &str) -> (Self, String) {
        let ready = folder.join("ready.json");
        fs::remove_file(&ready).unwrap_or_default();
        let args = format!("serve --listen 127.0.0.1:0 --http off --ready-file ready.json {more}");
        let mut command = command(folder, &args);
        let mut serving = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let begun = Instant::now();
        loop {
            let told = fs::read(&ready).ok().and_then(|told| serde_json::from_slice::<Json>(&told).ok());
            if let Some(told) = told {
                return (serving, format!("http://{}", told["grpc"].as_str().unwrap()));
            }
            let has_ended = serving.0.try_wait().unwrap();
            assert!(has_ended.is_none() && begun.elapsed() < Duration::from_secs(120), "it does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}
