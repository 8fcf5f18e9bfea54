//! A real pipeline on real gripper recordings: 14 steps, 604 input edges, three int8 models.
//!
//! The record of what was run is `../shared/data/pipeline_demo/out/lineage.json`. This test makes a
//! lineage file of it, lets the program hash every file that is held, and proves each model. None
//! of the data is known to come from a Chinese factory: grades, countries, licences and the
//! assessment are INVENTED here, and say so.

use core::fmt::Write as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use griptrace_tests::{paths, skipped};
use serde_json::Value;

const INVENTED: &str = "INVENTED for a test";
const PURPOSE: &str = "train-adaptive-grasp-control";

/// The record, and where its files are.
struct Pipeline {
    data: PathBuf,
    steps: Vec<Value>,
}

impl Pipeline {
    fn read() -> Option<Self> {
        let data = paths::shared_data()?;
        let text = fs::read_to_string(data.join("pipeline_demo/out/lineage.json")).ok()?;
        let record: Value = serde_json::from_str(&text).expect("the record is JSON");
        Some(Self { data, steps: record["steps"].as_array().expect("it has steps").clone() })
    }

    /// Finds a file of the record; `None` for raw videos that never left their site.
    fn file(&self, path: &str) -> Option<PathBuf> {
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

/// Writes the sources: every input that no step made.
fn sources(pipeline: &Pipeline) -> String {
    let made = pipeline.made();
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for (_, file) in pipeline.inputs() {
        let name = path(file);
        if made.contains(name) || !seen.insert(name) {
            continue;
        }
        let bytes = match pipeline.file(name) {
            Some(place) => format!("path = {:?}", place.display().to_string()),
            None => format!("digest = \"sha256:{}\"\ncontent_held = \"origin-only\"", file["sha256"].as_str().unwrap()),
        };
        write!(
            text,
            "[[dataset]]\nname = {name:?}\norigin = \"external\"\n{bytes}\nmodality = [\"{}\"]\npurpose = [\"{PURPOSE}\"]\n\
             grade = {{ value = \"important\", basis = \"{INVENTED}\", by = \"{INVENTED}\", on = 2026-04-02 }}\ncountry = \"CN\"\n\
             detail = {{ licence = {{ name = \"{INVENTED}\", allows = true }}, persons = \"not examined by a detector\", note = \"{INVENTED}\" }}\n\n",
            modality(name),
        )
        .unwrap();
    }
    text
}

/// Writes the steps. Training and what follows is said to have run in DE: an invented crossing.
fn steps(pipeline: &Pipeline, prepared: &str, trained: &str, with_upstream: bool) -> String {
    let mut text = String::new();
    for step in &pipeline.steps {
        let kind = activity(step["kind"].as_str().unwrap());
        let abroad = matches!(kind, "training" | "quantisation" | "packaging");
        let (country, date) = if abroad { ("DE", trained) } else { ("CN", prepared) };
        let mut used: Vec<String> = files(step, "inputs").iter().map(|f| reference(path(f))).collect();
        if with_upstream && kind == "training" {
            used.push("model:grconvnet".into());
        }
        let generated: Vec<String> = files(step, "outputs").iter().map(|f| output(pipeline, f, kind)).collect();
        write!(
            text,
            "[[transformation]]\nname = {:?}\nkind = \"{kind}\"\nused = {used:?}\ncountry = \"{country}\"\ndate = {date}\n\
             generated = [{}]\ndetail = {{ parameters = {:?} }}\n\n",
            step["step"].as_str().unwrap(),
            generated.join(", "),
            step["params"].to_string(),
        )
        .unwrap();
    }
    text
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
struct Desk {
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

    fn verify(&self, bundle: &str, model: &Path) -> (i32, Value) {
        let model = model.display().to_string();
        let (trust, policy) = (self.path("trust.toml"), self.path("policy.toml"));
        let args = [bundle, "--trust", &trust, "--policy", &policy, "--model", &model, "--destination", "DE", "--json"];
        let finished = self.start(env!("CARGO_BIN_EXE_griptrace-verify-under-test"), &args);
        let report = serde_json::from_slice(&finished.stdout).unwrap_or_else(|_| panic!("{}", said(&finished)));
        (finished.status.code().expect("it ended by itself"), report)
    }

    fn start(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.folder.path()).output().expect("the program starts")
    }
}

fn said(finished: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr))
}

/// Records the pipeline, has its sources assessed by an invented office, and returns the desk.
fn record(pipeline: &Pipeline, with_upstream: bool) -> Desk {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    let (prepared, trained) = (days_ago(4), days_ago(2));
    desk.run(&["init", "--origin", "pipeline.example/test", "--name", "Invented Maker"]);
    let draft = desk.path("sources.draft");
    fs::write(desk.path("sources.toml"), sources(pipeline)).unwrap();
    desk.run(&["record", "sources.toml", "--draft", &draft]);
    desk.run(&["key", "new", "office.key"]);
    let (from, to) = (days_ago(10), days_ahead(365));
    let mut sign = vec!["assess", "sign", "--draft", &draft, "--key", "office.key", "--issuer", "Invented Office"];
    sign.extend([
        "--scheme",
        "security-assessment",
        "--grade",
        "important",
        "--purpose",
        PURPOSE,
        "--destination",
        "DE",
    ]);
    for modality in ["visual", "force-torque", "tactile", "proprioception"] {
        sign.extend(["--modality", modality]);
    }
    sign.extend(["--valid-from", &from, "--valid-to", &to, "-o", "office.statement"]);
    desk.run(&sign);
    desk.run(&["record", "--from-draft", &draft]);
    desk.run(&["assess", "record", "office.statement", "--reference", INVENTED]);
    let mut text = String::new();
    if with_upstream {
        let place = pipeline.file("grconvnet_model_bsd3").expect("the upstream model is held");
        write!(text, "[[model]]\nname = \"grconvnet\"\npath = {:?}\ncountry = \"DE\"\n\n", place.display().to_string())
            .unwrap();
    }
    text.push_str(&steps(pipeline, &prepared, &trained, with_upstream));
    fs::write(desk.path("steps.toml"), text).unwrap();
    desk.run(&["record", "steps.toml"]);
    write_buyer_files(&desk);
    desk
}

fn write_buyer_files(desk: &Desk) {
    desk.run(&["trust", "init", "-o", "trust.toml"]);
    let trust = fs::read_to_string(desk.path("trust.toml")).unwrap();
    let confirmed = ["# [[assessor", "# name =", "# key =", "# schemes ="];
    let confirm =
        |line: &str| if confirmed.iter().any(|c| line.starts_with(c)) { line[2..].to_owned() } else { line.to_owned() };
    let trust: Vec<String> = trust.lines().map(confirm).collect();
    fs::write(
        desk.path("trust.toml"),
        trust.join(
            "
",
        ),
    )
    .unwrap();
    fs::copy(paths::workspace_root().join("policies/cn-industrial-reference.toml"), desk.path("policy.toml")).unwrap();
}

fn days_ago(days: i64) -> String {
    civil(-days)
}

fn days_ahead(days: i64) -> String {
    civil(days)
}

#[expect(clippy::disallowed_methods, reason = "the programs under test read the clock; their dates must fit")]
fn civil(days: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let today = griptrace_core::date::Date::from_unix(now).days();
    let day = u32::try_from(i64::from(today) + days).unwrap();
    griptrace_core::date::Date::from_days(day).unwrap().to_string()
}

fn ship(desk: &Desk, model: &str) -> String {
    let bundle = format!("{}.griptrace", model.replace('/', "_"));
    let name = format!("shipment of {model}");
    let today = days_ago(0);
    desk.run(&[
        "ship",
        &format!("model:{model}"),
        "--to",
        "Invented Buyer",
        "--country",
        "DE",
        "--date",
        &today,
        "--purpose",
        PURPOSE,
        "--name",
        &name,
    ]);
    desk.run(&["prove", &name, "-o", &bundle, "--disclose", "all"]);
    bundle
}

const INT8: [&str; 3] = [
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
        let bundle = ship(&desk, model);
        let (code, report) = desk.verify(&bundle, &pipeline.file(model).unwrap());
        assert_eq!((code, &report["verdict"]), (0, &"TRACED_ASSESSED".into()), "{model}: {report:#}");
        assert_eq!(report["model"]["matched"], true);
        assert_eq!(report["sources"].as_array().unwrap().len(), expected[model], "{model}");
        let other = INT8.iter().find(|other| **other != model).unwrap();
        let (code, report) = desk.verify(&bundle, &pipeline.file(other).unwrap());
        assert_eq!((code, &report["verdict"]), (1, &"MISMATCH".into()));
    }
    raw_videos_are_known_by_digest_only(&desk);
}

/// Counts the sources behind each int8 model, from the record itself.
fn source_counts(pipeline: &Pipeline) -> BTreeMap<&'static str, usize> {
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

fn raw_videos_are_known_by_digest_only(desk: &Desk) {
    let bundle = "out_models_vision_grasp_phase.int8.onnx.griptrace";
    let (trust, policy) = (desk.path("trust.toml"), desk.path("policy.toml"));
    let args = [bundle, "--trust", &trust, "--policy", &policy, "--destination", "DE"];
    let words = said(&desk.start(env!("CARGO_BIN_EXE_griptrace-verify-under-test"), &args));
    assert!(words.contains("Never left its site, known by digest only"), "{words}");
}

#[test]
fn an_upstream_model_without_data_records_is_upstream_unknown() {
    let Some(pipeline) = Pipeline::read() else {
        skipped!("../shared/data, with the real recordings, is not there");
    };
    let desk = record(&pipeline, true);
    let bundle = ship(&desk, INT8[0]);
    let (code, report) = desk.verify(&bundle, &pipeline.file(INT8[0]).unwrap());
    assert_eq!((code, &report["verdict"]), (1, &"UPSTREAM_UNKNOWN".into()), "{report:#}");
    let codes: Vec<&Value> = report["findings"].as_array().unwrap().iter().map(|f| &f["code"]).collect();
    assert!(codes.contains(&&"upstream-unknown".into()), "{codes:?}");
}
