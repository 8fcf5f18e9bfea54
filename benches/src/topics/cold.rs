//! Cold starts: the program, from nothing to its answer, on a large store; files are in the
//! system's memory, as they are on a machine that is in use.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use griptrace_core::id::NodeId;
use serde_json::{Value as Json, json};

use crate::{
    Failure, bulk,
    child::{self, peak_bytes, told},
    figure::{Figure, Runs},
    measure::{Turn, by_turns, number, repeat, repeat_within, timed},
    report::{Report, progress},
    rivals,
    setup::{AT_1E4, AT_1E6, Setup},
    svg::Curve,
    world::Log,
};

const RUNS: usize = 15;
const LONG_RUNS: usize = 3;
/// What takes longer than this is not run again.
const LONG_SECONDS_MAX: f64 = 20.0;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let million = setup.million()?;
    million.indexed()?;
    let nodes = number(million.nodes);
    let (some, middle) = million.model(AT_1E4)?;
    let (all, newest) = million.model(AT_1E6)?;
    let store = million.folder.as_path();
    library(setup, report, store, &[(some, middle), (all, newest)])?;
    let name = format!("griptrace show, a store of {nodes} nodes");
    let program = match rivals::griptrace(setup) {
        Ok(program) => program,
        Err(why) => {
            report.add(Figure::skipped(name, &why));
            return Ok(());
        }
    };
    let (middle, newest) = (middle.to_string(), newest.to_string());
    let mut start = || run(&program, store, &["show", &middle]);
    let mut short = || run(&program, store, &["trace", "--ids", &middle]);
    start()?;
    let turns: [Turn<'_>; 2] = [&mut start, &mut short];
    let [start, short] = by_turns(setup.size(RUNS, 1), turns)?;
    report.add(Figure::new(name, ms(&start), "ms").at_most(50.0, 20.0));
    let beyond = |runs: &Runs| runs.map(|seconds| (seconds - start.median()) * 1e3);
    let name = |how, nodes| format!("griptrace trace --json {how} of {nodes} nodes, beyond the start");
    report.add(Figure::new(name("--ids", some), beyond(&short), "ms").at_most(20.0, 5.0));
    progress(&format!("griptrace trace of {all} nodes"));
    let words = ["trace", "--ids", &newest];
    let long = repeat_within(LONG_SECONDS_MAX, setup.size(LONG_RUNS, 1), || run(&program, store, &words))?;
    report.add(Figure::new(name("--ids", all), beyond(&long), "ms").at_most(1_500.0, 500.0));
    let whole = repeat(setup.size(LONG_RUNS, 1), || run(&program, store, &["trace", &middle]))?;
    report.add(Figure::new(name("with every node's details", some), beyond(&whole), "ms"));
    by_nodes(setup, report, &program, (nodes, start.median()))
}

fn ms(seconds: &Runs) -> Runs {
    seconds.map(|seconds| seconds * 1e3)
}

fn run(program: &Path, store: &Path, words: &[&str]) -> Result<f64, Failure> {
    let mut command = Command::new(program);
    command.arg("--store").arg(store).arg("--json").args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let (seconds, status) = timed(|| Ok(command.status()?))?;
    if status.success() { Ok(seconds) } else { Err(format!("griptrace {} left with {status}", words.join(" ")).into()) }
}

/// What of it is the library's: opening and walking, in a process of its own.
fn library(setup: &Setup, report: &mut Report, store: &Path, models: &[(usize, NodeId)]) -> Result<(), Failure> {
    for (nodes, model) in models {
        let model = model.to_string();
        let (mut opening, mut walking, mut peak) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..setup.size(5, 1) {
            let answer = child::ask("ancestors", &[store.as_os_str(), model.as_ref()])?;
            let found = told(&answer, "found")?;
            if (found + 1.0 - number(*nodes)).abs() > 0.5 {
                return Err(format!("{found} ancestors were found, and there are {}", nodes - 1).into());
            }
            opening.push(told(&answer, "opening")? * 1e3);
            walking.push(told(&answer, "walking")? * 1e3);
            peak.push(told(&answer, "peak_bytes").unwrap_or(f64::NAN) / 1_048_576.0);
        }
        report.add(Figure::new("the library alone: Store::open", Runs::new(opening), "ms"));
        let name = format!("the library alone: Store::ancestors of {nodes} nodes");
        report.add(Figure::new(name, Runs::new(walking), "ms"));
        report.add(Figure::new("the library alone: most memory", Runs::new(peak), "MiB"));
    }
    Ok(())
}

/// The job `ancestors FOLDER ID`: opens a store and walks up from a node.
pub(crate) fn ancestors(words: &[String]) -> Result<Json, Failure> {
    let [folder, id] = words else { return Err("ancestors FOLDER ID".into()) };
    let id = NodeId::from_hex(id).ok_or("no id")?;
    let (opening, store) = timed(|| Log::read(folder.as_ref()))?;
    let (walking, found) = timed(|| Ok(store.ancestors(&id, None)?))?;
    Ok(json!({ "opening": opening, "walking": walking, "found": found.len(), "peak_bytes": peak_bytes() }))
}

fn by_nodes(setup: &Setup, report: &mut Report, program: &Path, last: (f64, f64)) -> Result<(), Failure> {
    let mut points = Vec::new();
    for commits in [1, 10, 100] {
        let folder = setup.folder()?;
        let path = folder.path().join("log");
        let log = Log::make(&path)?;
        let loaded = bulk::load(&log, setup.size(1_000, 10), &[commits], |_| {})?;
        log.store.by_name("bulk-00000001")?;
        drop(log);
        let model = loaded.models.last().ok_or("no model")?.1.to_string();
        let seconds = repeat(setup.size(RUNS, 1), || run(program, &path, &["show", &model]))?;
        points.push((number(loaded.nodes), seconds.median() * 1e3));
    }
    points.push((last.0, last.1 * 1e3));
    report.curve(Curve {
        file: "start-by-nodes",
        title: "Start of the program and one answer, by nodes of the store",
        x: "nodes in the store",
        y: "ms",
        series: vec![("griptrace show".to_owned(), points)],
    })
}
