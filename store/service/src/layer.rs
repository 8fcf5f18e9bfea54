//! What happens around every gRPC call: its id, who makes it, a span, a line in the log, figures.

mod body;
mod code;
mod context;

use core::{
    future::{Future, ready},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};
use std::{sync::Arc, time::Instant};

use tonic::{
    Status,
    body::Body,
    codegen::{
        Service,
        http::{HeaderValue, Request, Response},
    },
};
use tower::Layer;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    access::{Caller, Credentials, Gate, Refused, Role},
    config::Clock,
    metrics::Metrics,
    status::role_missing,
    tls::Peer,
};

use body::Ending;
use code::code_of;
use context::{REQUEST_ID, request_id, trace_context};

/// The id of a request: the caller's, or one that was drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// What may be called by anybody: whether the service lives.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// What takes large messages: who may not commit is sent away before any of them is read.
const COMMITS: &str = "/griptrace.v1.CommitService/";

/// Wraps every call.
#[derive(Clone, Debug)]
pub(crate) struct CallLayer {
    pub(crate) gate: Arc<Gate>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, layer: self.clone() }
    }
}

/// A service whose calls are wrapped.
#[derive(Clone, Debug)]
pub(crate) struct Calls<S> {
    inner: S,
    layer: CallLayer,
}

/// One call, until its last byte.
#[derive(Debug)]
struct Call {
    path: String,
    peer: Option<SocketAddr>,
    request_id: RequestId,
    span: Span,
    begun: Instant,
    metrics: Arc<Metrics>,
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let call = self.layer.begin(&request);
        match self.layer.admit(&request, &call) {
            Ok(Some(caller)) if call.path.starts_with(COMMITS) && !caller.may(Role::Commit) => {
                let response = role_missing(&caller, Role::Commit).into_http();
                Box::pin(ready(Ok(call.answered(response))))
            }
            Ok(caller) => {
                request.extensions_mut().insert(call.request_id.clone());
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                let answer = self.inner.call(request).instrument(call.span.clone());
                Box::pin(async move { Ok(call.answered(answer.await?)) })
            }
            Err(refused) => {
                tracing::info!(parent: &call.span, why = %refused, "a caller was not let in");
                let response = Status::unauthenticated(refused.told()).into_http();
                Box::pin(ready(Ok(call.answered(response))))
            }
        }
    }
}

impl CallLayer {
    fn begin(&self, request: &Request<Body>) -> Call {
        let request_id = request_id(request.headers());
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!("call", method = path, request_id = request_id.0, client = Empty);
        trace_context(&span, request.headers());
        let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
        Call { path, peer, request_id, span, begun: Instant::now(), metrics: Arc::clone(&self.metrics) }
    }

    /// Tells who calls; `None` for who may call without being known.
    fn admit(&self, request: &Request<Body>, call: &Call) -> Result<Option<Arc<Caller>>, Refused> {
        let peer = request.extensions().get::<Peer>();
        let credentials = Credentials {
            certificate: peer.and_then(|peer| peer.certificate.as_deref()),
            authorization: request.headers().get("authorization").map(HeaderValue::as_bytes),
        };
        if request.headers().get_all("authorization").iter().nth(1).is_some() {
            return Err(Refused::Header);
        }
        if call.path.starts_with(HEALTH) {
            return Ok(None);
        }
        let caller = self.gate.admit(credentials, (self.clock)())?;
        call.span.record("client", &caller.name);
        Ok(Some(caller))
    }
}

impl Call {
    /// Gives the answer the request's id, and waits for its end: the code comes last where there is a
    /// body.
    fn answered(self, mut response: Response<Body>) -> Response<Body> {
        if let Ok(id) = HeaderValue::from_str(&self.request_id.0) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        match code_of(response.headers()) {
            Some(code) => {
                self.ended(code);
                response
            }
            None => response.map(|body| Body::new(Ending::new(body, self))),
        }
    }

    fn ended(&self, code: &'static str) {
        let took = self.begun.elapsed();
        self.metrics.call(&self.path, code, took);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let peer = self.peer.map(tracing::field::display);
        // Method, client and request id stand in the span.
        tracing::info!(parent: &self.span, peer, code, ms, "call ended");
    }
}
