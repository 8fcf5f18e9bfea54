//! The commands of the README and of docs/fleet.md, run in their order in an empty folder, as a newcomer would.
//!
//! Lines in `sh` fences are commands. `cargo run --release -- X` stands for `griptrace X`. A line
//! that ends in `# exit N` must leave with N; all others with 0. The server's port is a free one.

use core::time::Duration;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use griptrace_tests::paths;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The two programs under their own names, in a folder of their own.
pub(crate) fn programs(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_griptrace-under-test"), bin.join("griptrace")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_griptrace-verify-under-test"), bin.join("griptrace-verify")).unwrap();
    bin
}

/// Runs one command in a folder and returns its exit code and what it said.
///
/// What it leaves running writes elsewhere and is not waited for.
pub(crate) fn run(bin: &Path, folder: &Path, command: &str) -> (i32, String) {
    let path = format!("{}:{}", bin.display(), std::env::var_os("PATH").unwrap_or_default().to_string_lossy());
    let said = bin.join("said");
    let file = fs::File::create(&said).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(folder).stdin(Stdio::null());
    shell.env("PATH", path).env("XDG_STATE_HOME", bin.join("state"));
    for name in ["GRIPTRACE_STORE", "GRIPTRACE_SERVER", "GRIPTRACE_TOKEN", "GRIPTRACE_CA"] {
        shell.env_remove(name);
    }
    let mut running = shell.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            running.kill().unwrap();
            panic!("$ {command}\ndoes not end:\n{}", fs::read_to_string(&said).unwrap());
        }
        thread::sleep(Duration::from_millis(10));
    };
    (status.code().unwrap_or(-1), String::from_utf8_lossy(&fs::read(&said).unwrap()).into_owned())
}

/// The server that the commands start. It is killed if they don't come to its end.
struct Started(PathBuf);

impl Drop for Started {
    fn drop(&mut self) {
        if let Ok(id) = fs::read_to_string(&self.0) {
            // It has ended by itself where all went well.
            Command::new("kill").args(["-KILL", id.trim()]).stderr(Stdio::null()).status().ok();
        }
    }
}

/// The commands of every `sh` fence.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let (mut inside, mut here) = (false, false);
    let mut open = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
            continue;
        }
        if !inside || (open.is_empty() && line.trim().is_empty()) {
            continue;
        }
        open.push_str(line);
        open.push('\n');
        // A command goes on after a backslash, and to the end of a here-document.
        here = (here && line != "EOF") || line.contains("<<EOF") || line.contains("<<'EOF'");
        if !here && !line.ends_with('\\') {
            commands.push(core::mem::take(&mut open).trim_end().to_owned());
        }
    }
    commands
}

/// Runs a command, which has to end with the code that it says, and returns what it said.
fn ends_as_it_says(bin: &Path, desk: &Path, command: &str) -> String {
    let (line, expected) =
        command.rsplit_once("# exit ").map_or((command, 0), |(line, code)| (line, code.trim().parse().unwrap()));
    let (code, said) = run(bin, desk, line);
    assert_eq!(code, expected, "$ {line}\n{said}");
    said
}

/// Returns the commands of a page, the programs, and an empty folder but for the policies.
fn prepared(page: &str, folder: &Path) -> (Vec<String>, PathBuf, PathBuf) {
    let commands = commands(&fs::read_to_string(paths::workspace_root().join(page)).unwrap());
    assert!(commands.len() > 12, "{page} has {} commands", commands.len());
    let (bin, desk) = (programs(folder), folder.join("desk"));
    fs::create_dir(&desk).unwrap();
    std::os::unix::fs::symlink(paths::workspace_root().join("policies"), desk.join("policies")).unwrap();
    (commands, bin, desk)
}

#[test]
fn the_commands_of_the_readme_work() {
    let folder = tempfile::tempdir().unwrap();
    let (commands, bin, desk) = prepared("README.md", folder.path());
    let _started = Started(desk.join("serve.pid"));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut starts = 0;
    for command in commands {
        if command.starts_with("cargo test") || command.starts_with("cargo build") || command.starts_with("git clone") {
            continue; // What runs this test, and what comes before it.
        }
        let command = command.replace("cargo run --release -- ", "griptrace ").replace("7400", &port);
        starts += usize::from(command.contains(" serve --config "));
        ends_as_it_says(&bin, &desk, &command);
    }
    assert_eq!(starts, 1, "the README starts a server");
    let log = fs::read_to_string(desk.join("serve.log")).unwrap();
    assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");
}

#[test]
fn the_commands_about_many_logs_work() {
    let folder = tempfile::tempdir().unwrap();
    let (commands, bin, desk) = prepared("docs/fleet.md", folder.path());
    let said: Vec<(&String, String)> =
        commands.iter().map(|command| (command, ends_as_it_says(&bin, &desk, command))).collect();
    for (part, expected) in [
        ("fleet status", "consistent"),
        ("fleet show", "training"),
        ("fleet trace", "wrist"),
        ("fleet impact", "grasp"),
        ("fleet refresh", "withdrawn"),
        ("griptrace verify", "WITHDRAWN"),
    ] {
        let (_, last) = said.iter().rfind(|(command, _)| command.contains(part)).expect(part);
        assert!(last.contains(expected), "{part}: {last}");
    }
}

#[test]
fn the_demo_leaves_what_it_says_and_its_own_command_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let bin = programs(folder.path());
    let (code, said) = run(&bin, folder.path(), "griptrace demo");
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches("refused  ").count(), 9, "nine lies, each refused for its own reason:\n{said}");
    for left in [
        "shipment.griptrace",
        "trust.toml",
        "policy.toml",
        "model/grasp.int8.safetensors",
        "store/.griptrace/store/checkpoint",
    ] {
        assert!(folder.path().join("demo").join(left).exists(), "{left}");
    }
    assert!(said.contains("SIMULATED"));
    let last = said.lines().rev().find(|line| line.contains("griptrace-verify ")).expect("the demo prints the command");
    let (code, said) = run(&bin, folder.path(), last.trim().trim_start_matches("$ "));
    assert_eq!(code, 0, "{last}\n{said}");
    assert!(said.contains("TRACED_ASSESSED"), "{said}");
}
