//! What happens around every gRPC call: its id, who makes it, a span, a line in the log, figures.

mod body;
mod code;
mod context;

use core::{
    future::{Future, ready},
    mem,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use std::sync::Arc;

use tokio::time::Instant;

use tonic::{
    Status,
    body::Body,
    codegen::{
        Service,
        http::{HeaderMap, HeaderValue, Request, Response},
    },
    metadata::MetadataMap,
};
use tower::Layer;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    access::{Caller, Credentials, Gate, Refused, Registry as _, Role},
    call::{TIMEOUT, deadline, timeout},
    config::Clock,
    forward::ON_BEHALF_OF,
    metrics::Metrics,
    shared::Shared,
    status::{bad_field, forward_refused, late, role_missing, unchecked},
    tls::Peer,
};

use body::Ending;
use code::code_of;
pub(crate) use context::REQUEST_ID;
use context::{request_id, trace_context};

/// The id of a request: the caller's, or one that was drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// Says that another server hands this in for the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded;

/// When a call began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(pub(crate) Instant);

/// The header with the number of entries that the log has to have at least where a question is answered, or a commit taken.
pub(crate) const MIN_SIZE: &str = "griptrace-min-size";

/// How many entries the log has to have at least where a commit is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinSize(pub(crate) u64);

/// How long before its deadline a caller who waits for a size is told that it was not reached, so that it is told at all.
const TO_TELL: Duration = Duration::from_millis(100);

/// The call that another server may make for a client.
const COMMIT: &str = "/griptrace.v1.CommitService/Commit";

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
    pub(crate) shared: Arc<Shared>,
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
        let least = match self.layer.let_in(&mut request, &call) {
            Ok(least) => least,
            Err(refused) => return Box::pin(ready(Ok(call.answered(refused.into_http())))),
        };
        // The one that said that it is ready.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let Some((least, end)) = least else {
            let answer = inner.call(request).instrument(call.span.clone());
            return Box::pin(async move { Ok(call.answered(answer.await?)) });
        };
        let shared = Arc::clone(&self.layer.shared);
        Box::pin(async move {
            if let Err(behind) = shared.at_least(least, end).await {
                return Ok(call.answered(behind.into_http()));
            }
            let answer = inner.call(request).instrument(call.span.clone()).await?;
            Ok(call.answered(answer))
        })
    }
}

impl CallLayer {
    fn begin(&self, request: &Request<Body>) -> Call {
        let request_id = request_id(request.headers());
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!("call", method = path, request_id = request_id.0, client = Empty, by = Empty);
        trace_context(&span, request.headers());
        let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
        Call { path, peer, request_id, span, begun: Instant::now(), metrics: Arc::clone(&self.metrics) }
    }

    /// Notes in a request who calls, and returns how many entries the log has to have for it, and until when that is waited for.
    fn let_in(&self, request: &mut Request<Body>, call: &Call) -> Result<Option<(u64, Instant)>, Status> {
        let caller = self.admit(request, call).map_err(|refused| {
            tracing::info!(parent: &call.span, why = %refused, "a caller was not let in");
            Status::unauthenticated(refused.told())
        })?;
        let begun = Instant::now();
        request.extensions_mut().insert(call.request_id.clone());
        request.extensions_mut().insert(Begun(begun));
        let Some(caller) = caller else { return Ok(None) };
        if !self.shared.post.is_checked() {
            return Err(unchecked());
        }
        let caller = match self.on_behalf_of(request, call, &caller)? {
            Some(other) => {
                request.extensions_mut().insert(Forwarded);
                other
            }
            None => caller,
        };
        if call.path.starts_with(COMMITS) && !caller.may(Role::Commit) {
            return Err(role_missing(&caller, Role::Commit));
        }
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(self.shared.post.silence());
        let Some(least) = min_size(request.headers())? else { return Ok(None) };
        if call.path.starts_with(COMMIT) {
            // It goes to who writes, which has it all, or finds out that it does not write any more.
            request.extensions_mut().insert(MinSize(least));
            return Ok(None);
        }
        let text = request.headers().get(TIMEOUT).and_then(|value| value.to_str().ok());
        let end = deadline(begun, text.and_then(timeout), &self.shared.limits).ok_or_else(late)?;
        Ok(Some((least, end.checked_sub(TO_TELL).unwrap_or(end))))
    }

    /// Returns the client for whom another server hands in a commit. What that client may do is judged here as if it
    /// called itself: the other server can give nobody more rights than they have.
    fn on_behalf_of(
        &self,
        request: &Request<Body>,
        call: &Call,
        server: &Caller,
    ) -> Result<Option<Arc<Caller>>, Status> {
        if !request.headers().contains_key(ON_BEHALF_OF) {
            return Ok(None);
        }
        if call.path != COMMIT || !server.may(Role::Forward) {
            let (name, path, role) = (&server.name, &call.path, Role::Forward);
            return Err(forward_refused(format_args!(
                "the client {name} may not call {path} for others, which takes the role {role}"
            )));
        }
        let headers = MetadataMap::from_headers(request.headers().clone());
        let name = headers.get_bin(ON_BEHALF_OF).and_then(|value| value.to_bytes().ok());
        let name = name.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()).unwrap_or_default();
        let client = self.gate.named(&name, (self.clock)()).map_err(forward_refused)?;
        call.span.record("client", &client.name);
        call.span.record("by", &server.name);
        Ok(Some(client))
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

/// Reads how many entries the log has to have at least.
fn min_size(headers: &HeaderMap) -> Result<Option<u64>, Status> {
    let Some(value) = headers.get(MIN_SIZE) else { return Ok(None) };
    let size = value.to_str().ok().and_then(|text| text.parse().ok());
    let wrong = || bad_field(MIN_SIZE, "SIZE_MALFORMED", "a size is a number of entries, in digits");
    size.map(Some).ok_or_else(wrong)
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
