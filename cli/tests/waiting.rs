//! Servers that say nothing: nobody waits for one without a word, or for long.

use core::time::Duration;
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Stdio,
    thread,
    time::Instant,
};

use super::support::{Folder, command, told};

/// Asks a port at which connections are taken and nothing is ever answered, as of a server that was stopped.
fn asked(scheme: &str) -> (i32, String, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let (folder, begun) = (Folder::new(), Instant::now());
    let (code, said) = told(folder.path(), &["log", "--server", &url]);
    drop(listener);
    (code, said, begun.elapsed())
}

/// A client waited ten minutes, and said nothing.
#[test]
fn a_server_that_takes_connections_and_never_answers_is_told_and_given_up() {
    let asking = ["http", "https"].map(|scheme| thread::spawn(move || asked(scheme)));
    for asking in asking {
        let (code, said, took) = asking.join().unwrap();
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("still waiting for http"), "{said}");
        assert!(said.contains("it takes the connection and says nothing"), "{said}");
        assert!(took < Duration::from_secs(40), "{took:?}: {said}");
    }
}

/// Returns what is answered at a path, if anybody is there.
fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// A server ended when its bucket was away at its start, and whoever started it anew had to see to it that it goes on.
#[test]
fn a_server_whose_bucket_is_away_when_it_starts_waits_for_it_and_is_not_ready() {
    let folder = Folder::new();
    folder.say("init --origin maker.example/2026");
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (nobody, http) = (port(), port().to_string());
    let settings = folder.read(".griptrace/config.toml");
    let place = format!("store = \"s3://logs/maker\"\nendpoint = \"http://{nobody}\"\n");
    folder.write(".griptrace/config.toml", &format!("{place}{settings}"));
    let mut command = command(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--http", &http]);
    for (name, value) in [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_ALLOW_HTTP", "true")] {
        command.env(name, value);
    }
    let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    let ready = loop {
        if let Some(ready) = get(&http, "/readyz") {
            break ready;
        }
        let is_over = server.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(60);
        assert!(!is_over, "nobody is there");
        thread::sleep(Duration::from_millis(50));
    };
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("could not be opened yet"), "{ready}");
    assert!(get(&http, "/healthz").unwrap().starts_with("HTTP/1.1 200"));
    // Until it was tried again, and failed.
    thread::sleep(Duration::from_secs(12));
    assert_eq!(server.try_wait().unwrap(), None);
    server.kill().unwrap();
    let said = String::from_utf8(server.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains("cannot open the log; nothing is answered"), "{said}");
    assert!(said.contains(&nobody.to_string()), "{said}");
}
