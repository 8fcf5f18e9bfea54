//! TLS, and the connections under both listeners.

mod accept;
mod connection;

use core::fmt::Display;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

pub(crate) use accept::{Listening, accept};
pub(crate) use connection::{Connection, Peer};

/// Where certificates and keys are.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
}

/// What the files hold.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) grpc: Arc<ServerConfig>,
    pub(crate) http: Arc<ServerConfig>,
    asks: Asks,
}

/// Whether callers are asked for a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asks {
    Never,
    Optional,
    Required,
}

/// Why certificates and keys can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{} {what}", path.display())]
pub(crate) struct TlsError {
    path: PathBuf,
    what: String,
}

impl TlsError {
    fn new(path: &Path, what: impl Display) -> Self {
        Self { path: path.to_path_buf(), what: what.to_string() }
    }
}

impl Tls {
    /// Reads certificates and keys. With a `client_ca` callers are asked for a certificate, which some
    /// may lack if so said.
    pub(crate) fn load(files: &TlsFiles, may_lack_one: bool) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&files.cert)?;
        let read = fs::read(&files.key).map_err(|e| TlsError::new(&files.key, format!("cannot be read: {e}")))?;
        let key = PrivateKeyDer::from_pem_slice(&read)
            .map_err(|e| TlsError::new(&files.key, format!("holds no key: {e}")))?;
        let asks = match (&files.client_ca, may_lack_one) {
            (None, _) => Asks::Never,
            (Some(_), true) => Asks::Optional,
            (Some(_), false) => Asks::Required,
        };
        let verifier = files.client_ca.as_deref().map(|path| verifier(path, asks, &provider)).transpose()?;
        let make = |verifier, protocol: &[u8]| {
            let mut config = server_config(&provider, verifier, chain.clone(), key.clone_key())
                .map_err(|e| TlsError::new(&files.cert, format!("does not go with {}: {e}", files.key.display())))?;
            config.alpn_protocols = vec![protocol.to_vec()];
            Ok(Arc::new(config))
        };
        Ok(Self { grpc: make(verifier, b"h2")?, http: make(None, b"http/1.1")?, asks })
    }

    /// Says whether callers are asked for a certificate.
    pub(crate) const fn describe(&self) -> &'static str {
        match self.asks {
            Asks::Never => "on, without client certificates",
            Asks::Optional => "on, client certificates are verified where they are given",
            Asks::Required => "on, client certificates are required",
        }
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier).with_single_cert(chain, key),
        None => builder.with_no_client_auth().with_single_cert(chain, key),
    }
}

fn verifier(path: &Path, asks: Asks, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|e| TlsError::new(path, format!("holds a certificate that is no authority's: {e}")))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if asks == Asks::Optional { builder.allow_unauthenticated() } else { builder };
    let built = builder.build().map_err(|e| TlsError::new(path, e))?;
    Ok(built)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = fs::read(path).map_err(|e| TlsError::new(path, format!("cannot be read: {e}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|e| TlsError::new(path, format!("is no PEM file: {e}")))?;
    if found.is_empty() { Err(TlsError::new(path, "holds no certificate")) } else { Ok(found) }
}

/// The TLS settings that the next connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct CurrentTls(Arc<RwLock<Arc<ServerConfig>>>);

impl CurrentTls {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    pub(crate) fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn files_that_can_not_be_used_are_named_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let ((cert, key), (_, other)) = (pair(), pair());
        let (cert, key, other) = (file("cert", &cert), file("key", &key), file("other", &other));
        let (text, gone) = (file("text", "no certificate"), dir.path().join("gone"));
        let load = |cert: &Path, key: &Path, client_ca: Option<&Path>| {
            let files = TlsFiles {
                cert: cert.to_path_buf(),
                key: key.to_path_buf(),
                client_ca: client_ca.map(Path::to_path_buf),
            };
            Tls::load(&files, false).map(|tls| tls.asks).map_err(|error| error.to_string())
        };
        assert_eq!(load(&cert, &key, None), Ok(Asks::Never));
        assert_eq!(load(&cert, &key, Some(&cert)), Ok(Asks::Required));
        for (cert, key, client_ca, expected) in [
            (&cert, &other, None, "cert does not go with "),
            (&text, &key, None, "text holds no certificate"),
            (&cert, &cert, None, "cert holds no key"),
            (&gone, &key, None, "gone cannot be read"),
            (&cert, &key, Some(text.as_path()), "text holds no certificate"),
            (&cert, &key, Some(gone.as_path()), "gone cannot be read"),
        ] {
            let error = load(cert, key, client_ca).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
