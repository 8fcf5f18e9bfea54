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

use crate::{
    asked::Asked,
    request::{Named, Request},
};

/// Nodes of the graph that a page is given: more can't be drawn.
const GRAPH_NODES_MAX: usize = 20_000;
/// Characters of one message: names of files may be others'.
const TEXT_MAX: usize = 2_000;

/// Why something could not be checked, and what may help. The words are those of `griptrace-verify`; what it is with, and
/// what of it is wrong, the page says in its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trouble {
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
    /// The field of the request, or the kind of file.
    of: &'static str,
    /// A word for what is wrong: a reason code, or one of the page's.
    why: &'static str,
}

impl Trouble {
    /// Makes a trouble with a field or file of a sentence and a word.
    pub(crate) fn new(of: &'static str, why: &'static str, text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref(), TEXT_MAX), hint: None, of, why }
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

/// Verifies, and returns the answer: `report`, exactly as `griptrace-verify --json` writes it on a line, `graph`, and
/// `asked`, the question that it answers; or `error` with what could not be checked, a `hint` if there is one, and `of`
/// and `why` for the page's own words.
pub(crate) fn answer(parts: Vec<Vec<u8>>) -> String {
    match judge(parts) {
        Ok(Judged { mut report, graph, asked, name }) => {
            if let Some(fields) = report.as_object_mut() {
                fields.insert("file".into(), name.into());
            }
            json!({ "report": json_text(&report), "graph": graph, "asked": asked }).to_string()
        }
        Err((trouble, name)) => {
            let report = name.map(|name| json_text(&could_not_check(&name, &trouble.text)));
            let Trouble { text, hint, of, why } = trouble;
            json!({ "error": text, "hint": hint, "of": of, "why": why, "report": report }).to_string()
        }
    }
}

/// What was judged.
struct Judged {
    report: Value,
    graph: Value,
    asked: Value,
    name: String,
}

/// A trouble, and the name of the bundle if it is with that one.
type Failed = (Trouble, Option<String>);

fn judge(parts: Vec<Vec<u8>>) -> Result<Judged, Failed> {
    let own = |trouble| (trouble, None);
    let mut parts = parts.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    let request = Request::read(&next()).map_err(own)?;
    let mut asked = Asked::default();
    let (trust, policy, bundle) = (next(), next(), next());
    asked.file("trust", &request.trust, &trust);
    asked.file("policy", &request.policy, &policy);
    let trust = config(&request.trust, ("trust", "trust file"), trust, trust::parse).map_err(own)?;
    let policy = config(&request.policy, ("policy", "policy"), policy, policy::parse).map_err(own)?;
    let updates: Vec<Vec<u8>> = request.updates.iter().map(|_| next()).collect();
    let against: Vec<Vec<u8>> = request.against.iter().map(|_| next()).collect();
    let histories = histories(&request.against, &against, &trust).map_err(own)?;
    asked.question(&request, &trust);
    asked.bundle(&request.bundle, &bundle);
    asked.files("updates", &request.updates, &updates);
    asked.files("against", &request.against, &against);
    let mut question = Question {
        now: request.now,
        destination: request.destination,
        consignee: request.consignee,
        purposes: request.purposes,
        model: request.model,
        known: Known { histories, ..Known::default() },
    };
    for (file, bytes) in request.updates.iter().zip(&updates) {
        within("updates", file, bytes, UPDATE_BYTES_MAX).map_err(own)?;
    }
    let name = request.bundle.name.clone();
    let of_bundle = |trouble| (trouble, Some(name.clone()));
    within("bundle", &request.bundle, &bundle, BUNDLE_BYTES_MAX).map_err(of_bundle)?;
    let newest = bring_up_to_date(bundle, &updates, &trust, &mut question.known).map_err(|error| {
        let update = error.number().and_then(|number| request.updates.get(number));
        let of = if update.is_some() { "updates" } else { "bundle" };
        let file = update.unwrap_or(&request.bundle);
        of_bundle(Trouble::new(of, error.code(), format!("{}: {error}", file.name)))
    })?;
    let (report, graph) = verify_with_graph(&newest, &trust, &policy, &question, GRAPH_NODES_MAX)
        .map_err(|error| of_bundle(Trouble::new("bundle", error.code(), format!("{name}: {error}"))))?;
    Ok(Judged { report: json(&report), graph: graph_json(&graph), asked: asked.finish(), name })
}

/// Refuses a file above its limit, which the page need not have read.
fn within(of: &'static str, file: &Named, bytes: &[u8], limit: usize) -> Result<(), Trouble> {
    let size = file.size.max(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    if size > u64::try_from(limit).unwrap_or(u64::MAX) {
        let text = format!("{}: {size} bytes or more are above the limit of {limit}", file.name);
        return Err(Trouble::new(of, "too-large", text));
    }
    Ok(())
}

fn config<T>(
    file: &Named,
    (of, what): (&'static str, &str),
    bytes: Vec<u8>,
    parse: impl FnOnce(&str, &str) -> Result<T, ConfigError>,
) -> Result<T, Trouble> {
    let own = || Some(format!("the {what} is the buyer's own, and not part of the evidence"));
    within(of, file, &bytes, CONFIG_BYTES_MAX).map_err(|trouble| trouble.with_hint(own()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let text = format!("{}: is not UTF-8 at byte {}", file.name, error.utf8_error().valid_up_to());
        Trouble::new(of, "not-text", text)
    })?;
    parse(&file.name, &text).map_err(|error| Trouble::new(of, "config", error.to_string()).with_hint(error.hint))
}

fn histories(files: &[Named], parts: &[Vec<u8>], trust: &Trust) -> Result<Vec<History>, Trouble> {
    let read = |(file, bytes): (&Named, &Vec<u8>)| {
        within("against", file, bytes, BUNDLE_BYTES_MAX)?;
        let is_bundle = bytes.starts_with(b"griptrace bundle ");
        let history = if is_bundle { History::of_bundle(bytes, trust) } else { History::of_checkpoint(bytes, trust) };
        let hint = "an older bundle, or a checkpoint as the log signed it, is expected";
        history.map_err(|error| {
            Trouble::new("against", error.code(), format!("{}: {error}", file.name)).with_hint(Some(hint.into()))
        })
    };
    files.iter().zip(parts).map(read).collect()
}
