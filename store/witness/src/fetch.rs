//! A small HTTP client: one request a connection, http and https, answers of limited size.
//!
//! It has no clock: who calls sets the deadline around it.

use core::fmt::Display;
use std::{io, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Uri,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// What an answer holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The content type, or nothing.
    pub kind: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address is not one of http or https.
    #[error("{url:?} is not an address that begins with http:// or https://")]
    Url {
        /// The address.
        url: String,
    },
    /// There is no connection.
    #[error("cannot connect to {host}")]
    Connect {
        /// Where to.
        host: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The exchange broke off.
    #[error("{url} does not answer as HTTP does: {why}")]
    Http {
        /// The address.
        url: String,
        /// What went wrong.
        why: String,
    },
}

/// Asks over HTTP.
#[derive(Clone)]
pub struct Fetcher {
    tls: TlsConnector,
}

impl core::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

/// Where a request goes.
struct Target {
    host: String,
    port: u16,
    is_tls: bool,
    path: String,
}

fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A system without any is told by the first https address, and not by those that need none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Fetcher {
    /// Makes a client that believes the certificates that the system believes.
    ///
    /// # Errors
    /// What is wrong with the versions of TLS that were built in.
    pub fn new() -> Result<Self, rustls::Error> {
        Self::with_roots(of_system())
    }

    /// Makes a client that believes these authorities too, in PEM.
    ///
    /// # Errors
    /// What is wrong with the certificates, or that there is none.
    pub fn also_believing(authorities: &[u8]) -> Result<Self, rustls::Error> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(authorities)
            .collect::<Result<_, _>>()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        if certificates.is_empty() {
            return Err(rustls::Error::General("it holds no certificate".to_owned()));
        }
        let mut roots = of_system();
        certificates.into_iter().try_for_each(|certificate| roots.add(certificate))?;
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Reads a resource of `limit` bytes at most.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn get(&self, url: &str, limit: usize) -> Result<Fetched, FetchError> {
        self.send(Method::GET, url, Bytes::new(), limit).await
    }

    /// Sends a body, and reads an answer of `limit` bytes at most.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn post(&self, url: &str, body: Vec<u8>, limit: usize) -> Result<Fetched, FetchError> {
        self.send(Method::POST, url, body.into(), limit).await
    }

    async fn send(&self, method: Method, url: &str, body: Bytes, limit: usize) -> Result<Fetched, FetchError> {
        let target = Target::parse(url).ok_or_else(|| FetchError::Url { url: url.to_owned() })?;
        let http = |why: &dyn Display| FetchError::Http { url: url.to_owned(), why: why.to_string() };
        let stream = self.connect(&target).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| http(&e))?;
        // It ends with the exchange: what fails on it fails the exchange too.
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(&target.path)
            .header(HOST, target.authority())
            .header(USER_AGENT, concat!("griptrace/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(body))
            .map_err(|e| http(&e))?;
        let answer = sender.send_request(request).await.map_err(|e| http(&e))?;
        let status = answer.status().as_u16();
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let body = Limited::new(answer.into_body(), limit).collect().await;
        connection.abort();
        Ok(Fetched { status, kind, body: body.map_err(|e| http(&e))?.to_bytes().to_vec() })
    }

    async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, FetchError> {
        let failed = |source| FetchError::Connect { host: target.authority(), source };
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(failed)?;
        // A system that can't send at once sends a little later.
        stream.set_nodelay(true).ok();
        if !target.is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|e| failed(io::Error::other(e)))?;
        let stream = self.tls.connect(name, stream).await.map_err(failed)?;
        Ok(Box::new(stream))
    }
}

impl Target {
    fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let (is_tls, standard) = match uri.scheme_str()? {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return None,
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        // The brackets of an IPv6 address belong to the URL, and not to the address.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        (!host.is_empty()).then_some(Self { host, port: authority.port_u16().unwrap_or(standard), is_tls, path })
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let of = |url: &str| Target::parse(url).map(|t| (t.authority(), t.is_tls, t.path));
        assert_eq!(of("http://a.example/w1/add"), Some(("a.example:80".into(), false, "/w1/add".into())));
        assert_eq!(of("https://a.example"), Some(("a.example:443".into(), true, "/".into())));
        assert_eq!(of("http://[::1]:8080/x"), Some(("[::1]:8080".into(), false, "/x".into())));
        for url in ["", "a.example", "ftp://a.example", "http:///x", "http://u:p@a.example/", "file:///etc/passwd"] {
            assert_eq!(of(url), None, "{url}");
        }
    }
}
