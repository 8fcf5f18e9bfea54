//! A service of one page: it keeps what it was asked, and answers as the test says.

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

/// What it was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Method and path, such as `PUT /logs/maker/a?uploads`.
    pub(super) line: String,
    /// In lower case, without values' spaces.
    pub(super) headers: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|header| header.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

/// What it does.
#[derive(Clone, Debug)]
pub(super) enum Does {
    /// Answers: status, headers, body.
    Says(u16, &'static str, String),
    /// Closes the connection.
    Breaks,
    /// Says nothing, for longer than anybody waits.
    Waits,
}

/// Answers with an error as S3 writes it.
pub(super) fn error(status: u16, code: &str, more: &str) -> Does {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>It is so.</Message>{more}</Error>");
    Does::Says(status, "", body)
}

/// Answers that it is done.
pub(super) fn done() -> Does {
    Does::Says(200, "ETag: \"e\"\r\n", String::new())
}

/// Runs until it is dropped.
pub(super) struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Wraps a connection, or refuses it.
pub(super) type Wrap = Box<dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send>;

pub(super) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Fake {
    /// Answers each request by its number, from 0 on.
    pub(super) fn new(answers: impl Fn(usize, &Asked) -> Does + Send + 'static) -> Self {
        Self::wrapped(Box::new(|stream| Some(Box::new(stream))), answers)
    }

    pub(super) fn wrapped(wrap: Wrap, answers: impl Fn(usize, &Asked) -> Does + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, is_over) = (Arc::clone(&asked), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let mut waiting = Vec::new();
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Some(mut stream) = wrap(stream.unwrap()) else { continue };
                let Some(request) = read(&mut *stream) else { continue };
                let number = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(request.clone());
                    kept.len() - 1
                };
                match answers(number, &request) {
                    Does::Breaks => {}
                    Does::Waits => waiting.push(stream),
                    Does::Says(status, headers, body) => {
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n{headers}\r\n"
                        );
                        // Who asked may have gone.
                        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok();
                        stream.flush().ok();
                    }
                }
            }
        });
        Self { port, asked, ended, thread: Some(thread) }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the first lines of all requests.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        self.thread.take().unwrap().join().ok();
    }
}

fn read(stream: &mut dyn Stream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let line = line.trim_end().strip_suffix(" HTTP/1.1")?.to_owned();
    let mut asked = Asked { line, ..Asked::default() };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        asked.headers.push(format!("{}:{value}", name.to_ascii_lowercase()));
    }
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    asked.body = vec![0; length];
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}
