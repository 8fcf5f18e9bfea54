//! `griptrace serve`, the program: it starts, serves, is asked to end, and ends.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Output,
};

use crate::process::{Running, program, said};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder, arguments).output().unwrap()
}

/// A folder with a store.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = run(dir.path(), &["init", ".", "--origin", "log.example/2026"]);
    assert!(made.status.success(), "{}", said(&made));
    dir
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn it_serves_until_it_is_asked_to_end() {
    let dir = store();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-file", "ready.json"];
    let mut command = program(dir.path(), &arguments);
    command.env("GRIPTRACE_SERVE__LOG__FILTER", "off");
    let mut serving = Running::start(command, &dir.path().join("serve.log"));
    let addresses = serving.told(&dir.path().join("ready.json"));
    let http = addresses["http"].as_str().unwrap();
    assert!(get(http, "/checkpoint").contains("log.example/2026\n2\n"));
    let other = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(other.status.code(), Some(2), "one writer at a time");
    assert!(said(&other).contains("open for writing already"), "{}", said(&other));

    assert_eq!(serving.end(), Some(0));
    let after = run(dir.path(), &["log"]);
    assert!(after.status.success(), "the store is closed: {}", said(&after));
}

#[test]
fn settings_are_checked_without_serving() {
    let dir = store();
    let check = |arguments: &[&str]| run(dir.path(), &[&["serve", "--check-config"], arguments].concat());
    let good = check(&["--listen", "[::1]:7400"]);
    assert_eq!(good.status.code(), Some(0), "{}", said(&good));
    assert!(said(&good).contains("listen      [::1]:7400\n"), "{}", said(&good));
    let open = check(&["--listen", "0.0.0.0:7400", "--http", "here"]);
    assert_eq!(open.status.code(), Some(2));
    let text = said(&open);
    assert!(text.contains("`listen` is 0.0.0.0:7400") && text.contains("`http` is \"here\""), "{text}");
    assert!(text.contains("hint: set [tls] and a [[client]], or give --insecure-open-to-everyone"), "{text}");
    let open = check(&["--listen", "0.0.0.0:7400", "--insecure-open-to-everyone"]);
    assert_eq!(open.status.code(), Some(0), "{}", said(&open));

    // The file beside the store's own is taken without being named.
    fs::write(dir.path().join(".griptrace/serve.toml"), "http = \"off\"\n").unwrap();
    assert!(said(&check(&[])).contains("http        off\n"));
}

#[test]
fn a_token_is_in_its_file_alone_and_the_line_is_for_the_settings() {
    let dir = store();
    let made = run(dir.path(), &["key", "token", "-o", "robot.token"]);
    assert!(made.status.success(), "{}", said(&made));
    let line = String::from_utf8(made.stdout).unwrap();
    let token = fs::read_to_string(dir.path().join("robot.token")).unwrap();
    assert_eq!(token.trim_end().len(), 43, "32 bytes");
    assert!(!line.contains(token.trim_end()));
    let settings = format!("[[client]]\nname = \"robot\"\nroles = [\"commit\"]\n{line}");
    fs::write(dir.path().join("serve.toml"), settings).unwrap();
    let check = run(dir.path(), &["serve", "--check-config", "--config", "serve.toml"]);
    assert!(said(&check).contains("client      robot: commit by a token\n"), "{}", said(&check));
    let again = run(dir.path(), &["key", "token", "-o", "robot.token"]);
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(fs::read_to_string(dir.path().join("robot.token")).unwrap(), token, "it is never replaced");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(dir.path().join("robot.token")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
