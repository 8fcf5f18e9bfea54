//! One log, from 10^4 to 10^7 nodes: what a commit, a proof, opening and the index cost on the way.

use std::path::Path;

use griptrace_core::id::NodeId;
use serde_json::{Value as Json, json};

use crate::{
    Failure,
    bulk::Layers,
    child::{self, peak_bytes, told},
    figure::{Figure, Runs},
    measure::{bytes, number, timed},
    report::{Report, progress},
    setup::Setup,
    svg::Curve,
    world::{Log, prove},
};

/// Nodes at which the log is measured.
const MARKS: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const SMOKE_MARKS: [usize; 3] = [40, 80, 160];
/// Nodes of a commit while it grows.
const EACH: usize = 1_000;
/// Commits of one node, and proofs, at each mark.
const COMMITS: usize = 200;
const PROOFS: usize = 50;
/// Steps behind each model that is proved: the same at every mark.
const STEPS: usize = 50;
const OPENINGS: usize = 5;

/// What was measured at one mark.
struct Mark {
    nodes: usize,
    /// Seconds.
    commit: Runs,
    proof: Runs,
    opening: Runs,
    memory: f64,
    index: f64,
}

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let folder = setup.folder()?;
    let path = folder.path().join("log");
    let marks: &[usize] = if setup.smoke { &SMOKE_MARKS } else { &MARKS };
    let (mut found, mut all) = (Vec::new(), 0.0);
    for (before, nodes) in [0].iter().chain(marks).zip(marks) {
        progress(&format!("growing a log from {before} to {nodes} nodes"));
        let (each, commits, proofs) = (setup.size(EACH, 20), setup.size(COMMITS, 3), setup.size(PROOFS, 2));
        let words = [before, nodes, &each, &commits, &proofs].map(ToString::to_string);
        let mut arguments = vec![path.as_os_str()];
        arguments.extend(words.iter().map(std::ffi::OsStr::new));
        let answer = child::ask("scale-grow", &arguments)?;
        all += told(&answer, "made")?;
        found.push(mark(setup, &path, *nodes, all, &answer)?);
    }
    tell(report, &found)
}

/// Measures a log that has grown to `nodes`, and to `all` with those that were measured with.
fn mark(setup: &Setup, path: &Path, nodes: usize, all: f64, answer: &Json) -> Result<Mark, Failure> {
    let model = answer.get("model").and_then(Json::as_str).ok_or("no model was told")?;
    let (mut opening, mut memory) = (Vec::new(), 0.0_f64);
    for _ in 0..setup.size(OPENINGS, 1) {
        let answer = child::ask("scale-open", &[path.as_os_str(), model.as_ref()])?;
        opening.push(told(&answer, "opening")?);
        memory = memory.max(told(&answer, "peak_bytes").unwrap_or(f64::NAN));
    }
    let index = length_of(&path.join("store/snapshots"))? + length_of(&path.join("store/index"))?;
    let seconds = |name| -> Result<Runs, Failure> {
        let values = answer.get(name).and_then(Json::as_array).ok_or("no times were told")?;
        Ok(Runs::new(values.iter().filter_map(Json::as_f64).collect()))
    };
    let (commit, proof) = (seconds("commit")?, seconds("proof")?);
    let index = bytes(index) / all;
    Ok(Mark { nodes, commit, proof, opening: Runs::new(opening), memory, index })
}

fn tell(report: &mut Report, marks: &[Mark]) -> Result<(), Failure> {
    for mark in marks {
        let nodes = mark.nodes;
        let micros = |runs: &Runs| runs.map(|seconds| seconds * 1e6);
        let name = format!("{nodes} nodes: a commit of one node");
        report.add(Figure::new(name, micros(&mark.commit), "us"));
        let name = format!("{nodes} nodes: the bundle of a model behind {STEPS} steps");
        report.add(Figure::new(name, micros(&mark.proof), "us"));
        let name = format!("{nodes} nodes: Store::open, and a question");
        report.add(Figure::new(name, mark.opening.clone(), "s").at_most(1.0, 0.1));
        let name = format!("{nodes} nodes: most memory of that");
        report.add(Figure::new(name, Runs::one(mark.memory / 1_048_576.0), "MiB"));
        let name = format!("{nodes} nodes: index and snapshot");
        report.add(Figure::new(name, Runs::one(mark.index), "bytes a node").at_most(120.0, None));
    }
    let (Some(first), Some(last)) = (marks.first(), marks.last()) else { return Err("no mark".into()) };
    let flat = |name: &str, of: fn(&Mark) -> &Runs| {
        let ends = [last, first].map(|mark| Runs::one(of(mark).median() * 1e6));
        let [last_runs, first_runs] = ends;
        let name = format!("{name}, at {} nodes", last.nodes);
        Figure::new(name, last_runs, "us").beside(format!("at {}", first.nodes), first_runs).ratio_at_most(2.0, 1.2)
    };
    report.add(flat("a commit of one node", |mark| &mark.commit));
    report.add(flat("the bundle of a model", |mark| &mark.proof));
    let points = |of: &dyn Fn(&Mark) -> f64| marks.iter().map(|mark| (number(mark.nodes), of(mark))).collect();
    report.curve(Curve {
        file: "scale-by-nodes",
        title: "A commit, a bundle and opening, as the log grows",
        x: "nodes in the log",
        y: "ms",
        series: vec![
            ("a commit of one node".to_owned(), points(&|mark| mark.commit.median() * 1e3)),
            (format!("the bundle of a model behind {STEPS} steps"), points(&|mark| mark.proof.median() * 1e3)),
            ("Store::open, and a question".to_owned(), points(&|mark| mark.opening.median() * 1e3)),
        ],
    })
}

/// Returns the length of all files in a folder, in bytes; a small log has no snapshot.
fn length_of(folder: &Path) -> Result<u64, Failure> {
    let mut length = 0;
    if !folder.exists() {
        return Ok(0);
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        length += if entry.file_type()?.is_dir() { length_of(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(length)
}

/// The job `scale-grow FOLDER FROM TO EACH COMMITS PROOFS`: grows a log to a number of nodes, and measures commits and proofs
/// there.
pub(crate) fn grown(words: &[String]) -> Result<Json, Failure> {
    let [folder, numbers @ ..] = words else { return Err("scale-grow FOLDER FROM TO EACH COMMITS PROOFS".into()) };
    let numbers: Vec<usize> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [from, to, each, commits, proofs] = *numbers else { return Err("five numbers".into()) };
    let log = if from == 0 { Log::make(folder.as_ref())? } else { Log::open(folder.as_ref())? };
    // Others in every process, so that no name comes twice.
    let mut layers = Layers::new(log.maker(["first", "second", "third", "fourth"][from.to_string().len() % 4]));
    for _ in 0..(to - from) / each {
        log.commit(layers.next(each, false)?.0)?;
    }
    let mut maker = log.maker(["a", "b", "c", "d"][from.to_string().len() % 4]);
    let mut commit = Vec::new();
    for nodes in maker.singles(commits)? {
        commit.push(timed(|| log.commit(nodes))?.0);
    }
    let mut proof = Vec::new();
    let mut newest = None;
    for _ in 0..proofs {
        let model = model(&log, &mut maker)?;
        proof.push(timed(|| prove(&log.store, &model))?.0);
        newest = Some(model);
    }
    // What the index costs shows when it is asked.
    log.store.by_name("a-00000001")?;
    let made = to - from + commits + proofs * (2 * STEPS + 1);
    Ok(json!({ "made": made, "commit": commit, "proof": proof, "model": newest.ok_or("no proof")?.to_string() }))
}

/// Commits a model behind a chain of steps.
fn model(log: &Log, maker: &mut crate::world::Maker) -> Result<NodeId, Failure> {
    let source = maker.dataset(None)?;
    let mut last = source.id();
    let mut nodes = vec![source];
    for _ in 1..STEPS {
        let step = maker.step(&[last])?;
        let made = maker.dataset(Some(step.id()))?;
        last = made.id();
        nodes.extend([step, made]);
    }
    let step = maker.step(&[last])?;
    let made = maker.model(step.id())?;
    let id = made.id();
    nodes.extend([step, made]);
    log.commit(nodes)?;
    Ok(id)
}

/// The job `scale-open FOLDER ID`: opens a log and asks for the ancestors of a node.
pub(crate) fn opened(words: &[String]) -> Result<Json, Failure> {
    let [folder, id] = words else { return Err("scale-open FOLDER ID".into()) };
    let id = NodeId::from_hex(id).ok_or("no id")?;
    let (opening, found) = timed(|| Ok(Log::read(folder.as_ref())?.ancestors(&id, None)?))?;
    if found.len() != STEPS * 2 {
        return Err(format!("{} ancestors were found, and there are {}", found.len(), STEPS * 2).into());
    }
    Ok(json!({ "opening": opening, "peak_bytes": peak_bytes() }))
}
