//! A connection, with or without TLS, that gives up on who says nothing and on who reads nothing.

use core::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use std::{io, sync::Arc};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::access::Presented;

/// How long the first byte may take.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(10);
/// How long nothing may be taken of what is sent.
const STALLED_MAX: Duration = Duration::from_secs(30);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The certificate that was presented, and verified.
    pub(crate) certificate: Option<Arc<Presented>>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    peer: Peer,
    /// Until the first byte was read.
    silent: Option<Pin<Box<Sleep>>>,
    /// While nothing can be written.
    stalled: Option<Pin<Box<Sleep>>>,
    #[expect(dead_code, reason = "held until the connection is dropped")]
    open: Open,
}

/// The bytes of a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The place that a connection takes.
#[derive(Debug)]
pub(crate) struct Open {
    #[expect(dead_code, reason = "given back when the connection is dropped")]
    place: Option<OwnedSemaphorePermit>,
    open: Gauge,
}

impl Open {
    pub(crate) fn new(place: Option<OwnedSemaphorePermit>, open: Gauge) -> Self {
        open.inc();
        Self { place, open }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Connection {
    pub(crate) fn new(stream: Stream, peer: Peer, open: Open) -> Self {
        Self { stream, peer, silent: Some(Box::pin(sleep(FIRST_BYTE_MAX))), stalled: None, open }
    }

    /// Looks at the clock while a write has to wait, and forgets it when one went on.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALLED_MAX)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was read at the other end for too long")))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        };
        if read.is_ready() {
            this.silent = None;
            return read;
        }
        let Some(silent) = &mut this.silent else { return Poll::Pending };
        ready!(silent.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end said nothing")))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        };
        this.watch(written, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        };
        this.watch(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        };
        this.watch(shut, context)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::Instant,
    };

    use super::*;

    /// A connection, and its other end.
    async fn pair(open: &Gauge) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, address) = listener.accept().await.unwrap();
        let peer = Peer { address, certificate: None };
        (Connection::new(Stream::Plain(stream), peer, Open::new(None, open.clone())), other)
    }

    // The clock stands still, and jumps to the next deadline when nothing else can happen.
    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_given_up_and_who_said_something_is_not() {
        let open = Gauge::default();
        let (mut connection, mut other) = pair(&open).await;
        let begun = Instant::now();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, FIRST_BYTE_MAX));

        let (mut connection, mut speaker) = pair(&open).await;
        speaker.write_all(b"a").await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), b'a');
        let later = tokio::time::timeout(FIRST_BYTE_MAX * 100, connection.read_u8()).await;
        assert!(later.is_err(), "how long it may then be silent is another's concern");
        other.shutdown().await.ok();
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_given_up() {
        let open = Gauge::default();
        let (mut connection, other) = pair(&open).await;
        assert_eq!(open.get(), 1);
        let begun = Instant::now();
        let error = connection.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= STALLED_MAX);
        drop((connection, other));
        assert_eq!(open.get(), 0);
    }
}
