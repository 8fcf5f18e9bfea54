//! A real pipeline on real gripper recordings: 14 steps, 604 input edges, three int8 models.
//!
//! The record of what was run is `../shared/data/pipeline_demo/out/lineage.json`. This test makes a
//! lineage file of it, lets the program hash every file that is held, and proves each model. None
//! of the data is known to come from a Chinese factory: grades, countries, licences and the
//! assessment are INVENTED here, and say so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use griptrace_tests::{paths, skipped};
use serde_json::Value;

/// The log that is recorded in.
pub(crate) const ORIGIN: &str = "pipeline.example/test";
pub(crate) const INVENTED: &str = "INVENTED for a test";
pub(crate) const PURPOSE: &str = "train-adaptive-grasp-control";

/// The record, and where its files are.
pub(crate) struct Pipeline {
    data: PathBuf,
    steps: Vec<Value>,
}

impl Pipeline {
    pub(crate) fn read() -> Option<Self> {
        let data = paths::shared_data()?;
        let text = fs::read_to_string(data.join("pipeline_demo/out/lineage.json")).ok()?;
        let record: Value = serde_json::from_str(&text).expect("the record is JSON");
        Some(Self { data, steps: record["steps"].as_array().expect("it has steps").clone() })
    }

    /// Finds a file of the record; `None` for raw videos that never left their site.
    pub(crate) fn file(&self, path: &str) -> Option<PathBuf> {
        let place = path
            .strip_prefix("out/")
            .map_or_else(|| self.data.join(path), |p| self.data.join("pipeline_demo/out").join(p));
        place.exists().then_some(place)
    }

    fn inputs(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.steps.iter().flat_map(|step| files(step, "inputs").iter().map(move |file| (step, file)))
    }

    /// Paths that a step made.
    fn made(&self) -> BTreeSet<&str> {
        self.steps.iter().flat_map(|step| files(step, "outputs")).map(path).collect()
    }
}

fn files<'v>(step: &'v Value, which: &str) -> &'v [Value] {
    step[which].as_array().map_or(&[], Vec::as_slice)
}

fn path(file: &Value) -> &str {
    file["path"].as_str().expect("a file has a path")
}

fn is_model(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|ending| ending == "onnx" || ending == "safetensors")
}

fn modality(path: &str) -> &'static str {
    let force = ["uci_", "force"].iter().any(|word| path.contains(word));
    let tactile = ["icub", "tactile"].iter().any(|word| path.contains(word));
    let visual = [".mp4", "anon_thumbs", "vision"].iter().any(|word| path.contains(word));
    match (force, tactile, visual) {
        (true, ..) => "force-torque",
        (_, true, _) => "tactile",
        (.., true) => "visual",
        _ => "proprioception",
    }
}

fn activity(kind: &str) -> &str {
    match kind {
        "feature-extraction" => "feature",
        "synthetic-generation" => "synthetic",
        same => same,
    }
}

/// Writes the sources, a table each: every input that no step made.
pub(crate) fn sources(pipeline: &Pipeline) -> Vec<String> {
    let made = pipeline.made();
    let mut seen = BTreeSet::new();
    let mut tables = Vec::new();
    for (_, file) in pipeline.inputs() {
        let name = path(file);
        if made.contains(name) || !seen.insert(name) {
            continue;
        }
        let bytes = match pipeline.file(name) {
            Some(place) => format!("path = {:?}", place.display().to_string()),
            None => format!("digest = \"sha256:{}\"\ncontent_held = \"origin-only\"", file["sha256"].as_str().unwrap()),
        };
        tables.push(format!(
            "[[dataset]]\nname = {name:?}\norigin = \"external\"\n{bytes}\nmodality = [\"{}\"]\npurpose = [\"{PURPOSE}\"]\n\
             grade = {{ value = \"important\", basis = \"{INVENTED}\", by = \"{INVENTED}\", on = 2026-04-02 }}\ncountry = \"CN\"\n\
             detail = {{ licence = {{ name = \"{INVENTED}\", allows = true }}, persons = \"not examined by a detector\", note = \"{INVENTED}\" }}\n\n",
            modality(name),
        ));
    }
    tables
}

/// Writes the steps, each under its name. Training and what follows is said to have run in DE: an invented crossing.
pub(crate) fn steps(pipeline: &Pipeline, with_upstream: bool) -> Vec<(&str, String)> {
    let (prepared, trained) = (days_ago(4), days_ago(2));
    let mut tables = Vec::new();
    for step in &pipeline.steps {
        let kind = activity(step["kind"].as_str().unwrap());
        let abroad = matches!(kind, "training" | "quantisation" | "packaging");
        let (country, date) = if abroad { ("DE", &trained) } else { ("CN", &prepared) };
        let mut used: Vec<String> = files(step, "inputs").iter().map(|f| reference(path(f))).collect();
        if with_upstream && kind == "training" {
            used.push("model:grconvnet".into());
        }
        let generated: Vec<String> = files(step, "outputs").iter().map(|f| output(pipeline, f, kind)).collect();
        let name = step["step"].as_str().unwrap();
        let table = format!(
            "[[transformation]]\nname = {name:?}\nkind = \"{kind}\"\nused = {used:?}\ncountry = \"{country}\"\ndate = {date}\n\
             generated = [{}]\ndetail = {{ parameters = {:?} }}\n\n",
            generated.join(", "),
            step["params"].to_string(),
        );
        tables.push((name, table));
    }
    tables
}

/// Writes the model that somebody else trained, and of which no data is recorded.
pub(crate) fn upstream(pipeline: &Pipeline) -> String {
    let place = pipeline.file("grconvnet_model_bsd3").expect("the upstream model is held").display().to_string();
    format!("[[model]]\nname = \"grconvnet\"\npath = {place:?}\ncountry = \"DE\"\n\n")
}

fn reference(name: &str) -> String {
    format!("{}:{name}", if is_model(name) { "model" } else { "dataset" })
}

fn output(pipeline: &Pipeline, file: &Value, kind: &str) -> String {
    let name = path(file);
    let place = pipeline.file(name).expect("every output is held").display().to_string();
    if is_model(name) {
        return format!("{{ model = {name:?}, path = {place:?} }}");
    }
    let origin = if kind == "synthetic" { "synthetic" } else { "derived" };
    format!("{{ dataset = {name:?}, origin = \"{origin}\", path = {place:?}, modality = [\"{}\"] }}", modality(name))
}

/// The program, in a folder of its own.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> String {
        let finished = self.start(env!("CARGO_BIN_EXE_griptrace-under-test"), args);
        assert!(finished.status.success(), "griptrace {args:?}\n{}", said(&finished));
        String::from_utf8(finished.stdout).expect("output is text")
    }

    /// Gives the folder away.
    pub(crate) fn into_folder(self) -> tempfile::TempDir {
        self.folder
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn ship(&self, model: &str) -> String {
        ship(|args| drop(self.run(args)), model)
    }

    pub(crate) fn verify(&self, bundle: &str, model: &Path) -> (i32, Value) {
        verify(self.folder.path(), bundle, model, &[])
    }

    fn start(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.folder.path()).output().expect("the program starts")
    }
}

/// Runs the verifier in a buyer's folder, with `trust.toml` and `policy.toml`.
pub(crate) fn verify(folder: &Path, bundle: &str, model: &Path, more: &[&str]) -> (i32, Value) {
    let model = model.display().to_string();
    let finished = verifier(folder, &[&[bundle, "--model", &model, "--json"], more].concat());
    let report = serde_json::from_slice(&finished.stdout).unwrap_or_else(|_| panic!("{}", said(&finished)));
    (finished.status.code().expect("it ended by itself"), report)
}

fn verifier(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_griptrace-verify-under-test"))
        .args(args)
        .args(["--trust", "trust.toml", "--policy", "policy.toml", "--destination", "DE"])
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

fn said(finished: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr))
}

/// Records the pipeline, has its sources assessed by an invented office, and returns the desk.
pub(crate) fn record(pipeline: &Pipeline, with_upstream: bool) -> Desk {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    desk.run(&["init", "--origin", ORIGIN, "--name", "Invented Maker"]);
    fs::write(desk.path("sources.toml"), sources(pipeline).concat()).unwrap();
    desk.run(&["record", "sources.toml", "--draft", "sources.draft"]);
    desk.run(&["key", "new", "office.key"]);
    let sign = [&["assess", "sign", "--draft", "sources.draft"].map(str::to_owned)[..], &terms()].concat();
    desk.run(&sign.iter().map(String::as_str).collect::<Vec<_>>());
    desk.run(&["record", "--from-draft", "sources.draft"]);
    desk.run(&["assess", "record", "office.statement", "--reference", INVENTED]);
    let mut text = if with_upstream { upstream(pipeline) } else { String::new() };
    text.extend(steps(pipeline, with_upstream).into_iter().map(|(_, table)| table));
    fs::write(desk.path("steps.toml"), text).unwrap();
    desk.run(&["record", "steps.toml"]);
    desk.run(&["trust", "init", "-o", "own.toml"]);
    let trust = confirmed(&fs::read_to_string(desk.path("own.toml")).unwrap());
    write_buyer_files(desk.folder.path(), &trust);
    desk
}

/// Returns what the office signs with, and what it says: `office.key` makes `office.statement`.
pub(crate) fn terms() -> Vec<String> {
    let (from, to) = (days_ago(10), days_ahead(365));
    let mut terms = vec!["--key", "office.key", "--issuer", "Invented Office", "--scheme", "security-assessment"];
    terms.extend(["--grade", "important", "--purpose", PURPOSE, "--destination", "DE"]);
    for modality in ["visual", "force-torque", "tactile", "proprioception"] {
        terms.extend(["--modality", modality]);
    }
    terms.extend(["--valid-from", &from, "--valid-to", &to, "-o", "office.statement"]);
    terms.into_iter().map(str::to_owned).collect()
}

/// Takes the `# ` away from the assessors, as who has confirmed their keys.
pub(crate) fn confirmed(trust: &str) -> String {
    let confirmed = ["# [[assessor", "# name =", "# key =", "# schemes ="];
    let confirm = |line: &str| {
        if confirmed.iter().any(|c| line.starts_with(c)) { format!("{}\n", &line[2..]) } else { format!("{line}\n") }
    };
    trust.lines().map(confirm).collect()
}

/// Writes what a buyer believes, and the policy that is asked for.
pub(crate) fn write_buyer_files(folder: &Path, trust: &str) {
    fs::write(folder.join("trust.toml"), trust).unwrap();
    fs::copy(paths::workspace_root().join("policies/cn-industrial-reference.toml"), folder.join("policy.toml"))
        .unwrap();
}

pub(crate) fn days_ago(days: i64) -> String {
    civil(-days)
}

pub(crate) fn days_ahead(days: i64) -> String {
    civil(days)
}

#[expect(clippy::disallowed_methods, reason = "the programs under test read the clock; their dates must fit")]
fn civil(days: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let today = griptrace_core::date::Date::from_unix(now).days();
    let day = u32::try_from(i64::from(today) + days).unwrap();
    griptrace_core::date::Date::from_days(day).unwrap().to_string()
}

/// Ships a model, proves it, and returns the bundle's file.
pub(crate) fn ship(run: impl Fn(&[&str]), model: &str) -> String {
    let bundle = bundle_of(model);
    let (name, today, what) = (format!("shipment of {model}"), days_ago(0), format!("model:{model}"));
    let to = ["--to", "Invented Buyer", "--country", "DE", "--date", &today, "--purpose", PURPOSE, "--name", &name];
    run(&[&["ship", &what][..], &to].concat());
    run(&["prove", &name, "-o", &bundle, "--profile", "full"]);
    bundle
}

fn bundle_of(model: &str) -> String {
    format!("{}.griptrace", model.replace('/', "_"))
}

pub(crate) const INT8: [&str; 3] = [
    "out/models/force_contact_state.int8.onnx",
    "out/models/tactile_object.int8.onnx",
    "out/models/vision_grasp_phase.int8.onnx",
];

#[test]
fn each_real_int8_model_traces_to_its_real_sources() {
    let Some(pipeline) = Pipeline::read() else {
        skipped!("../shared/data, with the real recordings, is not there");
    };
    assert_eq!(pipeline.steps.len(), 14);
    assert_eq!(pipeline.inputs().count(), 604);
    let desk = record(&pipeline, false);
    let expected = source_counts(&pipeline);
    for model in INT8 {
        let bundle = desk.ship(model);
        let (code, report) = desk.verify(&bundle, &pipeline.file(model).unwrap());
        assert_eq!((code, &report["verdict"]), (0, &"TRACED_ASSESSED".into()), "{model}: {report:#}");
        assert_eq!(report["model"]["matched"], true);
        assert_eq!(report["sources"].as_array().unwrap().len(), expected[model], "{model}");
        let other = INT8.iter().find(|other| **other != model).unwrap();
        let (code, report) = desk.verify(&bundle, &pipeline.file(other).unwrap());
        assert_eq!((code, &report["verdict"]), (1, &"MISMATCH".into()));
    }
    raw_videos_are_known_by_digest_only(desk.folder.path(), &bundle_of(INT8[2]));
}

/// Counts the sources behind each int8 model, from the record itself.
pub(crate) fn source_counts(pipeline: &Pipeline) -> BTreeMap<&'static str, usize> {
    let maker = |name: &str| pipeline.steps.iter().find(|step| files(step, "outputs").iter().any(|f| path(f) == name));
    let count = |model: &str| {
        let (mut seen, mut todo, mut sources) = (BTreeSet::new(), vec![model.to_owned()], 0);
        while let Some(name) = todo.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            match maker(&name) {
                Some(step) => todo.extend(files(step, "inputs").iter().map(|f| path(f).to_owned())),
                None => sources += 1,
            }
        }
        sources
    };
    INT8.iter().map(|model| (*model, count(model))).collect()
}

/// Asserts that the report says of the raw videos that they never left their site.
pub(crate) fn raw_videos_are_known_by_digest_only(folder: &Path, bundle: &str) {
    let words = said(&verifier(folder, &[bundle]));
    assert!(words.contains("Never left its site, known by digest only"), "{words}");
}

#[test]
fn an_upstream_model_without_data_records_is_upstream_unknown() {
    let Some(pipeline) = Pipeline::read() else {
        skipped!("../shared/data, with the real recordings, is not there");
    };
    let desk = record(&pipeline, true);
    let bundle = desk.ship(INT8[0]);
    let (code, report) = desk.verify(&bundle, &pipeline.file(INT8[0]).unwrap());
    assert_eq!((code, &report["verdict"]), (1, &"UPSTREAM_UNKNOWN".into()), "{report:#}");
    let codes: Vec<&Value> = report["findings"].as_array().unwrap().iter().map(|f| &f["code"]).collect();
    assert!(codes.contains(&&"upstream-unknown".into()), "{codes:?}");
}
