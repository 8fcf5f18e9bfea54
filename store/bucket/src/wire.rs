//! HTTP for `object_store`: kept connections, one deadline a request, everything counted.

use core::error::Error;
use std::{io, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{DATE, USER_AGENT},
    response::Parts,
};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector as Tcp},
    rt::{TokioExecutor, TokioTimer},
};
use object_store::{
    ClientConfigKey, ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
    },
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::timeout;

use crate::{
    calls::{Failure, Refusal, Silence, report},
    counted::{Counter, Sort},
    options::Limits,
};

/// Connections that were not used for so long are closed: services close theirs not much later.
const IDLE_SECONDS: u64 = 15;

/// Makes clients.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    tls: Arc<ClientConfig>,
    limits: Limits,
    pub(crate) counter: Arc<Counter>,
}

#[derive(Debug)]
struct Line {
    client: Client<HttpsConnector<Tcp>, HttpRequestBody>,
    may_be_plain: bool,
    limits: Limits,
    counter: Arc<Counter>,
}

impl Wire {
    /// Believes the certificates that the system believes, and these, as PEM.
    pub(crate) fn new(authorities: &[u8], limits: Limits) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        // A system without any is told by the first https address, and not by those that need none.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let provider = Arc::new(ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), limits, counter: Arc::default() })
    }
}

fn unusable(error: &dyn Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the certificates for the bucket can't be used: {error}"))
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.limits.connect));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(core::time::Duration::from_secs(IDLE_SECONDS))
            .build(HttpsConnector::from((tcp, Arc::clone(&self.tls))));
        let may_be_plain = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|value| value == "true");
        let counter = Arc::clone(&self.counter);
        Ok(HttpClient::new(Line { client, may_be_plain, limits: self.limits.clone(), counter }))
    }
}

#[async_trait]
impl HttpService for Line {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        if !self.may_be_plain && request.uri().scheme_str() == Some("http") {
            return Err(silent(host, Silence::Plain, HttpErrorKind::Unknown));
        }
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(concat!("griptrace/", env!("CARGO_PKG_VERSION"))));
        let sent = u64::try_from(request.body().content_length()).unwrap_or(u64::MAX);
        self.counter.request(sort(request.method(), request.uri()));
        self.counter.moved(0, sent);
        // Whatever got no answer is sent again: what that means for a condition is said at the crate's head.
        let lost = |why| silent(host.clone(), why, HttpErrorKind::Request);
        let answer = timeout(self.limits.whole(sent), self.client.request(request)).await;
        let answer = answer.map_err(|_| lost(Silence::Late))?.map_err(|error| lost(silence(&error)))?;
        let (parts, body) = answer.into_parts();
        let patience = self.limits.whole(body.size_hint().lower());
        let body = timeout(patience, body.collect()).await.map_err(|_| lost(Silence::Late))?;
        let body = body.map_err(|error| lost(silence(&error)))?.to_bytes();
        self.counter.moved(u64::try_from(body.len()).unwrap_or(u64::MAX), 0);
        if !parts.status.is_success() {
            report(Failure::Answer(refusal(host, &parts, &body)));
        }
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

fn silent(host: String, why: Silence, kind: HttpErrorKind) -> HttpError {
    let error = io::Error::other(format!("no answer: {why:?}"));
    report(Failure::Silence { host, why });
    HttpError::new(kind, error)
}

/// Returns what a request is paid as.
fn sort(method: &Method, uri: &Uri) -> Sort {
    let query = uri.query().unwrap_or_default();
    match *method {
        Method::DELETE => Sort::Remove,
        Method::GET if query.contains("list-type=2") || query.contains("comp=list") => Sort::List,
        Method::GET | Method::HEAD => Sort::Get,
        _ => Sort::Put,
    }
}

fn silence(error: &(dyn Error + 'static)) -> Silence {
    let mut last = error;
    let mut kinds = Vec::new();
    let mut is_name = false;
    let mut is_tls = false;
    loop {
        let system = last.downcast_ref::<io::Error>();
        kinds.extend(system.map(io::Error::kind));
        // The name's failure has no kind of its own.
        is_name |= last.to_string().starts_with("dns error");
        is_tls |= last.is::<rustls::Error>();
        // An error of the system that wraps another one names that one's source as its own.
        let wrapped = system.and_then(io::Error::get_ref).map(|wrapped| -> &(dyn Error + 'static) { wrapped });
        match wrapped.or_else(|| last.source()) {
            Some(cause) => last = cause,
            None => break,
        }
    }
    if kinds.contains(&io::ErrorKind::ConnectionRefused) {
        Silence::Closed
    } else if kinds.contains(&io::ErrorKind::TimedOut) {
        Silence::Late
    } else if is_name {
        Silence::Nameless
    } else if is_tls {
        Silence::Untrusted(last.to_string())
    } else {
        Silence::Broken(last.to_string())
    }
}

/// Reads what a service says in XML, and in headers where there is no body.
fn refusal(host: String, parts: &Parts, body: &Bytes) -> Refusal {
    let body = String::from_utf8_lossy(body);
    let message = element(&body, "Message").unwrap_or_default();
    let region = element(&body, "Region").or_else(|| header(&parts.headers, "x-amz-bucket-region"));
    Refusal {
        host,
        status: parts.status.as_u16(),
        code: element(&body, "Code").or_else(|| header(&parts.headers, "x-ms-error-code")).unwrap_or_default(),
        region: region.or_else(|| expected_region(&message)),
        message,
        time: element(&body, "ServerTime").or_else(|| header(&parts.headers, DATE.as_str())),
    }
}

/// Returns the text of the first element of a name; on one line, and not long.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&apos;", "'").replace("&#39;", "'").replace("&quot;", "\"");
    Some(text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Returns the region of "the region 'us-east-1' is wrong; expecting 'eu-west-1'".
fn expected_region(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("expecting '")?;
    rest.split_once('\'').map(|(region, _)| region.to_owned())
}
