//! What a call brings along for those who follow it: its id, and the trace that it is part of.

use griptrace_core::digest::Digest;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::RequestId;

pub(crate) const REQUEST_ID: &str = "x-request-id";
/// Letters of the longest id that is taken from a caller.
const REQUEST_ID_LETTERS_MAX: usize = 64;

/// Returns the caller's id for the request, if it is one that can stand in a log, or else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> RequestId {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    let is_sane = |id: &&str| (1..=REQUEST_ID_LETTERS_MAX).contains(&id.len()) && id.bytes().all(is_letter);
    RequestId(given.filter(is_sane).map_or_else(drawn, str::to_owned))
}

fn drawn() -> String {
    let mut bytes = [0; 32];
    match griptrace_store::random(&mut bytes) {
        Ok(()) => Digest::from_bytes(bytes).to_string().chars().take(REQUEST_ID_LETTERS_MAX / 2).collect(),
        // An id is a convenience: the call goes on without one of its own.
        Err(_) => "none".to_owned(),
    }
}

/// Makes a span part of the trace that the header `traceparent` names.
pub(super) fn trace_context(span: &Span, headers: &HeaderMap) {
    if headers.contains_key("traceparent") {
        let context = TraceContextPropagator::new().extract(&Headers(headers));
        // Without a collector there is no trace to be part of.
        span.set_parent(context).ok();
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value: &HeaderValue| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_call_is_part_of_the_trace_that_its_header_names() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("griptrace"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let of = |headers: &HeaderMap| {
                let span = tracing::info_span!("call");
                trace_context(&span, headers);
                span.context().span().span_context().trace_id().to_string()
            };
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_str(&format!("00-{trace}-b7ad6b7169203331-01")).unwrap());
            assert_eq!(of(&headers), trace);
            headers.insert("traceparent", HeaderValue::from_static("00-nonsense"));
            assert_ne!(of(&headers), trace);
        });
    }

    #[test]
    fn an_id_is_the_callers_if_it_is_sane() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(value).unwrap());
            request_id(&headers).0
        };
        assert_eq!(of("Build-7_a.1"), "Build-7_a.1");
        for other in ["", "two words", "a\"b", "{}", &"a".repeat(65)] {
            let drawn = of(other);
            assert_eq!(drawn.len(), 32, "{other:?} gave {drawn:?}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
