//! A reader of HTTP: one request, one connection.

use core::{net::SocketAddr, time::Duration};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// Where to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http(SocketAddr);

impl Http {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// Returns the status code and the body.
    pub(crate) fn get(self, path: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        assert!(!head.contains("transfer-encoding"), "every answer tells its length: {head}");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("an answer has a code");
        (code, answer.split_off(end + 4))
    }

    /// Returns the body, which has to be there.
    pub(crate) fn body(self, path: &str) -> Vec<u8> {
        let (code, body) = self.get(path);
        assert_eq!(code, 200, "{path}");
        body
    }
}
