//! The loop that takes connections in.

use core::{net::SocketAddr, time::Duration};
use std::sync::Arc;

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    CurrentTls,
    connection::{Connection, Open, Peer, Stream},
};
use crate::{
    access::Presented,
    metrics::{ListenerName, Metrics},
};

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long to wait when the system gives no connection, mostly since there are too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// One listener.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) name: ListenerName,
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<CurrentTls>,
    /// Connections open at once; the others wait in the system's queue.
    pub(crate) open_max: usize,
    pub(crate) metrics: Arc<Metrics>,
    /// Becomes true when no more are to be taken.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Takes connections in, until it is closing. Each is yielded when its handshake is over; none waits
/// for another's.
pub(crate) fn accept(listening: Listening) -> mpsc::Receiver<Connection> {
    let (ready, connections) = mpsc::channel(16);
    tokio::spawn(run(listening, ready));
    connections
}

async fn run(mut listening: Listening, ready: mpsc::Sender<Connection>) {
    let places = Arc::new(Semaphore::new(listening.open_max.min(Semaphore::MAX_PERMITS)));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listening.listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            _ = listening.closing.wait_for(|closing| *closing) => return,
            () = ready.closed() => return,
        };
        match accepted {
            Ok((stream, address)) => welcome(&listening, stream, address, place, &ready),
            Err(error) => {
                tracing::warn!(listener = %listening.name, %error, "cannot take a connection in");
                sleep(PAUSE).await;
            }
        }
    }
}

fn welcome(
    listening: &Listening,
    stream: TcpStream,
    address: SocketAddr,
    place: Option<OwnedSemaphorePermit>,
    ready: &mpsc::Sender<Connection>,
) {
    let open = Open::new(place, listening.metrics.open_connections(listening.name));
    let (tls, ready, name) = (listening.tls.clone(), ready.clone(), listening.name);
    tokio::spawn(async move {
        // A system that can't send at once sends a little later.
        stream.set_nodelay(true).ok();
        match timeout(HANDSHAKE_MAX, shake_hands(stream, address, tls)).await {
            // The service is closing if nobody takes it.
            Ok(Ok((stream, peer))) => drop(ready.send(Connection::new(stream, peer, open)).await),
            Ok(Err(error)) => tracing::info!(listener = %name, peer = %address, %error, "the handshake failed"),
            Err(_) => tracing::info!(listener = %name, peer = %address, "the handshake took too long"),
        }
    });
}

async fn shake_hands(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<CurrentTls>,
) -> std::io::Result<(Stream, Peer)> {
    let Some(tls) = tls else { return Ok((Stream::Plain(stream), Peer { address, certificate: None })) };
    let stream = TlsAcceptor::from(tls.config()).accept(stream).await?;
    let certificate = match stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()) {
        None => None,
        Some(first) => {
            let unread = || std::io::Error::other("the client's certificate was verified, and its names can't be read");
            Some(Arc::new(Presented::read(first).ok_or_else(unread)?))
        }
    };
    Ok((Stream::Tls(Box::new(stream)), Peer { address, certificate }))
}
