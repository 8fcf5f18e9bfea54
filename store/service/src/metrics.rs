//! Figures for a monitoring system, in the text format of `OpenMetrics`.

use core::{fmt, sync::atomic::Ordering, time::Duration};
use std::{collections::BTreeSet, fs};

use griptrace_store::bucket::Requests;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Which listener a connection came in by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ListenerName {
    /// gRPC.
    Grpc,
    /// The log over HTTP.
    Http,
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        })
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CallLabels {
    method: String,
    code: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct MethodLabel {
    method: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ListenerLabel {
    listener: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct DirectionLabel {
    direction: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct HttpLabels {
    resource: &'static str,
    status: u16,
}

/// The figures.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    methods: BTreeSet<String>,
    calls: Family<CallLabels, Counter>,
    seconds: Family<MethodLabel, Histogram>,
    http: Family<HttpLabels, Counter>,
    open: Family<ListenerLabel, Gauge>,
    reloads_failed: Counter,
    reload_is_broken: Gauge,
    log_size: Gauge,
    behind: Gauge,
    is_writer: Gauge,
    is_silent: Gauge,
    key_is_wrong: Gauge,
    may_write: Gauge,
    unwritable: Gauge,
    is_unchecked: Gauge,
    turn: Gauge,
    turns_taken: Counter,
    turns_lost: Counter,
    forwarded: Family<OutcomeLabel, Counter>,
    bucket_requests: Family<KindLabel, Counter>,
    bucket_bytes: Family<DirectionLabel, Counter>,
    resident: Gauge,
}

impl Metrics {
    /// Makes figures that are all zero.
    pub(crate) fn new() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("griptrace"),
            methods: methods(),
            calls: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            http: Family::default(),
            open: Family::default(),
            reloads_failed: Counter::default(),
            reload_is_broken: Gauge::default(),
            log_size: Gauge::default(),
            behind: Gauge::default(),
            is_writer: Gauge::default(),
            is_silent: Gauge::default(),
            key_is_wrong: Gauge::default(),
            may_write: Gauge::default(),
            unwritable: Gauge::default(),
            is_unchecked: Gauge::default(),
            turn: Gauge::default(),
            turns_taken: Counter::default(),
            turns_lost: Counter::default(),
            forwarded: Family::default(),
            bucket_requests: Family::default(),
            bucket_bytes: Family::default(),
            resident: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("grpc_calls", "Calls that ended, by method and code", self.calls.clone());
        registry.register("grpc_call_seconds", "How long calls took", self.seconds.clone());
        registry.register("http_requests", "Requests of the log over HTTP, by what was asked for", self.http.clone());
        registry.register("open_connections", "Connections that are open", self.open.clone());
        registry.register(
            "config_reloads_failed",
            "Changed configurations that were refused",
            self.reloads_failed.clone(),
        );
        let broken = "1 while the configuration on disk is refused and an older one is in force";
        registry.register("config_is_refused", broken, self.reload_is_broken.clone());
        registry.register("log_size", "Entries of the log under the newest signed checkpoint", self.log_size.clone());
        let behind = "Entries that the log was last seen to have beyond those known here";
        registry.register("log_behind", behind, self.behind.clone());
        registry.register("is_writer", "1 while this server writes to the log", self.is_writer.clone());
        let silent = "1 while the bucket has not answered for some seconds";
        registry.register("bucket_is_silent", silent, self.is_silent.clone());
        let wrong = "1 while this server can't take the turn to write, since the log's key is another one than its own";
        registry.register("log_key_is_wrong", wrong, self.key_is_wrong.clone());
        let may = "1 while this server may take the turn to write: it is no replica, and has the log's key";
        registry.register("may_write", may, self.may_write.clone());
        let unwritable =
            "1 while this machine's folder of the bucket takes nothing, and the newest checkpoint is not kept there";
        registry.register("folder_is_unwritable", unwritable, self.unwritable.clone());
        let unchecked = "1 while the bucket's snapshot was not yet held against the log, and nothing is answered";
        registry.register("snapshot_is_unchecked", unchecked, self.is_unchecked.clone());
        registry.register(
            "turn",
            "How often the turn to write was taken, by any server, when last seen",
            self.turn.clone(),
        );
        registry.register("turns_taken", "How often this server took the turn to write", self.turns_taken.clone());
        let lost = "How often this server stopped writing before its end: another one took the turn, or a write failed";
        registry.register("turns_lost", lost, self.turns_lost.clone());
        registry.register(
            "forwarded_commits",
            "Commits sent to the server that writes, by outcome",
            self.forwarded.clone(),
        );
        let requests = "Requests to the bucket as it bills them, each try and each page of names, by kind";
        registry.register("bucket_requests", requests, self.bucket_requests.clone());
        let bytes = "Bytes that these moved, without headers, by direction";
        registry.register("bucket_bytes", bytes, self.bucket_bytes.clone());
        registry.register("resident_memory_bytes", "Resident memory of the process", self.resident.clone());
    }

    /// Counts a call that ended.
    pub(crate) fn call(&self, path: &str, code: &'static str, took: Duration) {
        // Callers choose the path: one that is no method must not become a label.
        let method = self.methods.get(path).map_or("other", String::as_str);
        self.calls.get_or_create(&CallLabels { method: method.to_owned(), code: code.to_owned() }).inc();
        self.seconds.get_or_create(&MethodLabel { method: method.to_owned() }).observe(took.as_secs_f64());
    }

    /// Counts a request of the log over HTTP.
    pub(crate) fn http_request(&self, resource: &'static str, status: u16) {
        self.http.get_or_create(&HttpLabels { resource, status }).inc();
    }

    /// Notes what this server is to the log.
    pub(crate) fn stands(&self, is_writer: bool, is_silent: bool, turn: u64) {
        self.is_writer.set(i64::from(is_writer));
        self.is_silent.set(i64::from(is_silent));
        self.turn.set(i64::try_from(turn).unwrap_or(i64::MAX));
    }

    /// Notes whether this server may ever write.
    pub(crate) fn may_write(&self, may: bool) {
        self.may_write.set(i64::from(may));
    }

    /// Notes whether the log has another key than this server, which is to write.
    pub(crate) fn key_is_wrong(&self, is_wrong: bool) {
        self.key_is_wrong.set(i64::from(is_wrong));
        self.may_write(!is_wrong);
    }

    /// Notes whether this machine's folder takes nothing.
    pub(crate) fn folder_is_unwritable(&self, is_unwritable: bool) {
        self.unwritable.set(i64::from(is_unwritable));
    }

    /// Notes whether the bucket's snapshot was held against the log.
    pub(crate) fn snapshot_is_checked(&self, is_checked: bool) {
        self.is_unchecked.set(i64::from(!is_checked));
    }

    /// Counts a turn that this server took.
    pub(crate) fn turn_taken(&self) {
        self.turns_taken.inc();
    }

    /// Counts a turn that it lost.
    pub(crate) fn turn_lost(&self) {
        self.turns_lost.inc();
    }

    /// Counts a commit that was sent to the server that writes: `receipt`, `refused`, `denied`, `unanswered`.
    pub(crate) fn forwarded(&self, outcome: &'static str) {
        self.forwarded.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Returns the gauge of a listener's open connections.
    pub(crate) fn open_connections(&self, listener: ListenerName) -> Gauge {
        self.open.get_or_create_owned(&ListenerLabel { listener: listener.to_string() })
    }

    /// Notes whether the configuration on disk is in force.
    pub(crate) fn reloaded(&self, went_well: bool) {
        if !went_well {
            self.reloads_failed.inc();
        }
        self.reload_is_broken.set(i64::from(!went_well));
    }

    /// Notes how much was asked of the bucket so far.
    fn asked_of_bucket(&self, asked: Requests) {
        let kinds = [("get", asked.gets), ("put", asked.puts), ("list", asked.lists), ("remove", asked.removes)];
        for (kind, count) in kinds {
            raise(&self.bucket_requests.get_or_create(&KindLabel { kind }), count);
        }
        for (direction, count) in [("in", asked.bytes_in), ("out", asked.bytes_out)] {
            raise(&self.bucket_bytes.get_or_create(&DirectionLabel { direction }), count);
        }
    }

    /// Writes all figures; `asked` of the bucket, if the log is in one.
    ///
    /// # Errors
    /// None that is known of; the writer's.
    pub(crate) fn text(&self, log_size: u64, behind: u64, asked: Option<Requests>) -> Result<String, fmt::Error> {
        self.log_size.set(i64::try_from(log_size).unwrap_or(i64::MAX));
        self.behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
        if let Some(asked) = asked {
            self.asked_of_bucket(asked);
        }
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Brings a counter to what another one counts.
fn raise(counter: &Counter, count: u64) {
    counter.inner().fetch_max(count, Ordering::Relaxed);
}

/// Returns the paths of all methods that are served.
fn methods() -> BTreeSet<String> {
    let sets = [
        griptrace_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut found = BTreeSet::new();
    // A set that can't be read only costs its methods their names.
    for file in sets.iter().filter_map(|set| FileDescriptorSet::decode(*set).ok()).flat_map(|set| set.file) {
        for service in &file.service {
            let path = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            found.extend(service.method.iter().map(|method| path(method.name())));
        }
    }
    found
}

/// Returns the resident memory of the process, where the system says it in a file.
fn resident_bytes() -> Option<i64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_labels_and_strangers_paths_have_none() {
        let metrics = Metrics::new();
        metrics.call("/grpc.health.v1.Health/Check", "OK", Duration::from_millis(3));
        metrics.call("/griptrace.v1.ProofService/Prove", "PERMISSION_DENIED", Duration::from_millis(3));
        metrics.call("/made/Up", "UNIMPLEMENTED", Duration::from_millis(3));
        metrics.http_request("tile", 404);
        metrics.reloaded(false);
        let open = metrics.open_connections(ListenerName::Grpc);
        open.inc();
        let asked = Requests { gets: 5, puts: 4, lists: 3, removes: 2, bytes_in: 1000, bytes_out: 900 };
        let text = metrics.text(7, 3, Some(asked)).unwrap();
        for line in [
            "griptrace_grpc_calls_total{method=\"/grpc.health.v1.Health/Check\",code=\"OK\"} 1",
            "griptrace_grpc_calls_total{method=\"/griptrace.v1.ProofService/Prove\",code=\"PERMISSION_DENIED\"} 1",
            "griptrace_grpc_calls_total{method=\"other\",code=\"UNIMPLEMENTED\"} 1",
            "griptrace_http_requests_total{resource=\"tile\",status=\"404\"} 1",
            "griptrace_config_reloads_failed_total 1",
            "griptrace_config_is_refused 1",
            "griptrace_open_connections{listener=\"grpc\"} 1",
            "griptrace_log_size 7",
            "griptrace_log_behind 3",
            "griptrace_bucket_requests_total{kind=\"put\"} 4",
            "griptrace_bucket_bytes_total{direction=\"out\"} 900",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("made"), "{text}");
        let more = Requests { puts: 6, ..asked };
        assert!(metrics.text(7, 3, Some(more)).unwrap().contains("bucket_requests_total{kind=\"put\"} 6\n"));
        assert!(!Metrics::new().text(7, 3, None).unwrap().contains("kind="), "a log in a folder asks nothing");
    }
}
