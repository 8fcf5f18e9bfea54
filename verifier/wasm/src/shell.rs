//! From the parts that the page handed over to the answer: what `griptrace-verify` does around the same verifier.

use griptrace_core::limits::{BUNDLE_BYTES_MAX, CONFIG_BYTES_MAX, UPDATE_BYTES_MAX};
use griptrace_verifier::{
    known::{History, Known},
    policy,
    question::Question,
    render::{could_not_check, graph_json, json, json_text, plain},
    trust::{self, ConfigError, Trust},
    update::bring_up_to_date,
    verify::verify_with_graph,
};
use serde_json::{Value, json};

use crate::request::{Named, Request};

/// Nodes of the graph that a page is given: more can't be drawn.
const GRAPH_NODES_MAX: usize = 20_000;
/// Characters of one message: names of files may be others'.
const TEXT_MAX: usize = 2_000;

/// Why something could not be checked, and what may help. The words are those of `griptrace-verify`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trouble {
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

impl Trouble {
    /// Makes a trouble of a sentence.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref(), TEXT_MAX), hint: None }
    }

    fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.map(|hint| plain(&hint, TEXT_MAX));
        self
    }
}

/// Returns what has to be known before a file is read.
pub(crate) fn about() -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "bundle_bytes_max": BUNDLE_BYTES_MAX,
        "config_bytes_max": CONFIG_BYTES_MAX,
        "update_bytes_max": UPDATE_BYTES_MAX,
    })
}

/// Verifies, and returns the answer: `report`, exactly as `griptrace-verify --json` writes it on a line, and `graph`; or
/// `error` with what could not be checked, and a `hint` if there is one.
pub(crate) fn answer(parts: Vec<Vec<u8>>) -> String {
    match judge(parts) {
        Ok(Judged { mut report, graph, name }) => {
            if let Some(fields) = report.as_object_mut() {
                fields.insert("file".into(), name.into());
            }
            json!({ "report": json_text(&report), "graph": graph }).to_string()
        }
        Err((trouble, name)) => {
            let report = name.map(|name| json_text(&could_not_check(&name, &trouble.text)));
            json!({ "error": trouble.text, "hint": trouble.hint, "report": report }).to_string()
        }
    }
}

/// What was judged.
struct Judged {
    report: Value,
    graph: Value,
    name: String,
}

/// A trouble, and the name of the bundle if it is with that one.
type Failed = (Trouble, Option<String>);

fn judge(parts: Vec<Vec<u8>>) -> Result<Judged, Failed> {
    let own = |trouble| (trouble, None);
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    let request = Request::read(&next()).map_err(own)?;
    let trust = config(&request.trust, "trust file", next(), trust::parse).map_err(own)?;
    let policy = config(&request.policy, "policy", next(), policy::parse).map_err(own)?;
    let bundle = next();
    let updates: Vec<Vec<u8>> = request.updates.iter().map(|_| next()).collect();
    let against: Vec<Vec<u8>> = request.against.iter().map(|_| next()).collect();
    let mut question = Question {
        now: request.now,
        destination: request.destination,
        consignee: request.consignee,
        purposes: request.purposes,
        model: request.model,
        known: Known { histories: histories(&request.against, &against, &trust).map_err(own)?, ..Known::default() },
    };
    for (file, bytes) in request.updates.iter().zip(&updates) {
        within(file, bytes, UPDATE_BYTES_MAX).map_err(own)?;
    }
    let name = request.bundle.name.clone();
    let of_bundle = |trouble| (trouble, Some(name.clone()));
    within(&request.bundle, &bundle, BUNDLE_BYTES_MAX).map_err(of_bundle)?;
    let newest = bring_up_to_date(bundle, &updates, &trust, &mut question.known).map_err(|error| {
        let of = error.number().and_then(|number| request.updates.get(number)).unwrap_or(&request.bundle);
        of_bundle(Trouble::new(format!("{}: {error}", of.name)))
    })?;
    let (report, graph) = verify_with_graph(&newest, &trust, &policy, &question, GRAPH_NODES_MAX)
        .map_err(|error| of_bundle(Trouble::new(format!("{name}: {error}"))))?;
    Ok(Judged { report: json(&report), graph: graph_json(&graph), name })
}

/// Refuses a file above its limit, which the page need not have read.
fn within(file: &Named, bytes: &[u8], limit: usize) -> Result<(), Trouble> {
    let size = file.size.max(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    if size > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(Trouble::new(format!("{}: {size} bytes or more are above the limit of {limit}", file.name)));
    }
    Ok(())
}

fn config<T>(
    file: &Named,
    what: &str,
    bytes: Vec<u8>,
    parse: impl FnOnce(&str, &str) -> Result<T, ConfigError>,
) -> Result<T, Trouble> {
    let own = || Some(format!("the {what} is the buyer's own, and not part of the evidence"));
    within(file, &bytes, CONFIG_BYTES_MAX).map_err(|trouble| trouble.with_hint(own()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Trouble::new(format!("{}: is not UTF-8 at byte {}", file.name, error.utf8_error().valid_up_to()))
    })?;
    parse(&file.name, &text).map_err(|error| Trouble::new(error.to_string()).with_hint(error.hint))
}

fn histories(files: &[Named], parts: &[Vec<u8>], trust: &Trust) -> Result<Vec<History>, Trouble> {
    let read = |(file, bytes): (&Named, &Vec<u8>)| {
        within(file, bytes, BUNDLE_BYTES_MAX)?;
        let is_bundle = bytes.starts_with(b"griptrace bundle ");
        let history = if is_bundle { History::of_bundle(bytes, trust) } else { History::of_checkpoint(bytes, trust) };
        let hint = "an older bundle, or a checkpoint as the log signed it, is expected";
        history.map_err(|error| Trouble::new(format!("{}: {error}", file.name)).with_hint(Some(hint.into())))
    };
    files.iter().zip(parts).map(read).collect()
}
