//! Servers that say nothing: nobody waits for one without a word, or for long.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use super::support::{Folder, told};

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
