//! Requests to a witness, byte by byte, and a site that publishes a log.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    digest::Digest,
    tile::{encode_entries, entry_bundles},
};

use super::*;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Got {
    /// Nobody listened.
    Nobody,
    /// It was sent, and the connection broke before the answer was whole.
    Cut,
    /// The status, and the body.
    Answer(u16, String),
}

/// Writes the body of `add-checkpoint`: `note` is the text with the log's line.
pub(super) fn body(old: u64, proof: &[Digest], note: &str) -> String {
    let hashes: String = proof.iter().map(|hash| STANDARD.encode(hash.as_bytes()) + "\n").collect();
    format!("old {old}\n{hashes}\n{note}")
}

/// Sends `add-checkpoint` to the witness at an address.
pub(super) fn add_checkpoint(url: &str, body: &str) -> Got {
    let head = format!("POST /add-checkpoint HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    ask(url, &head, body)
}

/// Reads a resource.
pub(super) fn fetch(url: &str, path: &str) -> Got {
    ask(url, &format!("GET {path} HTTP/1.1\r\n"), "")
}

fn ask(url: &str, head: &str, body: &str) -> Got {
    let Ok(mut stream) = TcpStream::connect(url.strip_prefix("http://").unwrap()) else { return Got::Nobody };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("{head}host: w\r\nconnection: close\r\n\r\n{body}");
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
        return Got::Cut;
    }
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return Got::Cut };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if length.and_then(|length| length.parse().ok()) != Some(body.len()) {
        return Got::Cut;
    }
    Got::Answer(head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A folder over HTTP, and what was asked for.
pub(super) struct Site {
    pub(super) url: String,
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Self { url, folder: tempfile::tempdir().unwrap(), asked: Arc::default() };
        let (folder, asked) = (site.folder.path().to_owned(), Arc::clone(&site.asked));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let mut head =
                    BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                let first = head.next().unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                head.for_each(drop);
                let found = fs::read(folder.join(path.trim_start_matches('/')));
                asked.lock().unwrap().push(path);
                let status = if found.is_ok() { "200 OK" } else { "404 Not Found" };
                let body = found.unwrap_or_default();
                let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                drop((&stream).write_all(&[head.as_bytes(), &body].concat()));
            }
        });
        site
    }

    /// Publishes entries as tlog-tiles does.
    pub(super) fn publish(&self, entries: &[Vec<u8>]) {
        for bundle in entry_bundles(u64::try_from(entries.len()).unwrap()) {
            let first = usize::try_from(bundle.index() * 256).unwrap();
            let part: Vec<&[u8]> = entries[first..].iter().take(bundle.width().into()).map(Vec::as_slice).collect();
            let path = self.folder.path().join(bundle.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, encode_entries(&part).unwrap()).unwrap();
        }
    }

    /// Tells whether entries were asked for.
    pub(super) fn was_read(&self) -> bool {
        self.asked.lock().unwrap().iter().any(|path| path.starts_with("/tile/entries/"))
    }
}
