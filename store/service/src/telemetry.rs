//! Logs to stderr, and spans to a collector.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{FILTER, Log, LogFormat};

/// The spans that are sent.
const SPANS: &str = "off,griptrace_service=info";

type Boxed = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

/// What has to be flushed at the end.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Begins to log. Where the process has a subscriber already, that one stays.
pub(crate) fn start(log: &Log, otlp: Option<&str>) -> Result<Telemetry, ExporterBuildError> {
    let filter = || EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new(FILTER));
    let written: Boxed = match log.format {
        LogFormat::Text => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter()).boxed(),
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true);
            layer.with_span_list(false).with_writer(std::io::stderr).with_filter(filter()).boxed()
        }
    };
    let provider = otlp.map(provider).transpose()?;
    let mut layers = vec![written];
    if let Some(provider) = &provider {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("griptrace"));
        // Ours alone, whatever is logged: the sending of spans would make spans of its own.
        layers.push(layer.with_filter(EnvFilter::new(SPANS)).boxed());
    }
    tracing_subscriber::registry().with(layers).try_init().ok();
    Ok(Telemetry { provider })
}

/// Begins to log to stderr, as text, for a program that serves something else than a store.
pub fn log_to_stderr() {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(layer.with_filter(EnvFilter::new(FILTER))).try_init().ok();
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name("griptrace").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Telemetry {
    /// Sends what waits. Blocks.
    pub(crate) fn flush(self) {
        if let Some(Err(error)) = self.provider.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Ten lines a second said that a bucket was asked again.
    #[test]
    fn of_what_asks_a_bucket_errors_alone_are_logged() {
        let lines = Lines::default();
        let kept = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || kept.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(EnvFilter::new(FILTER)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "object_store::client::retry", "asked again");
            tracing::warn!(target: "object_store::client::retry", "asked again");
            tracing::error!(target: "object_store::client::retry", "given up");
            tracing::info!(target: "griptrace_service::standing", "this server writes");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("asked again"), "{text}");
        assert!(text.contains("given up") && text.contains("this server writes"), "{text}");
    }
}
