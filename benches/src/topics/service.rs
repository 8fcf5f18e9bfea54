//! The service over loopback TLS, its clients in other processes on the same processors.

pub(crate) mod clients;

use core::time::Duration;
use std::ffi::OsStr;

use griptrace_core::{id::NodeId, node::Kind};
use griptrace_store::ScanOptions;
use serde_json::Value as Json;

use crate::{
    Failure,
    child::{self, told},
    figure::{Figure, Runs},
    measure::{bytes, number},
    report::{Report, progress},
    serving::{Service, while_sampled},
    setup::{AT_1E6, Setup},
    svg::Curve,
    world::Log,
};

const CLIENTS: usize = 64;
const SECONDS: usize = 60;
const RUNS: usize = 5;
/// Commits of a bulk stream, and nodes of each.
const BULK: (usize, usize) = (100, 1_000);
/// How often the memory of the service is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    load(setup, report)?;
    bulk(setup, report)?;
    questions(setup, report)
}

fn job(service: &Service, name: &str, words: &[&str]) -> Result<Json, Failure> {
    let mut all: Vec<&OsStr> = vec![service.address.as_ref(), service.certificate.as_os_str()];
    all.extend(words.iter().map(OsStr::new));
    child::ask(name, &all)
}

/// Many clients, one node a commit.
fn load(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let folder = setup.folder()?;
    let path = folder.path().join("log");
    drop(Log::make(&path)?);
    let service = Service::start(&path)?;
    let (clients, seconds) = (setup.size(CLIENTS, 4).to_string(), setup.size(SECONDS, 1).to_string());
    progress(&format!("{clients} clients for {seconds} s"));
    let (answer, samples) =
        while_sampled(&service, SAMPLE_EVERY, || job(&service, "service-commits", &[&clients, &seconds, "0"]))?;
    let what = format!("{clients} clients, one node a commit, {seconds} s, every receipt verified");
    let one = |name: &str| Ok::<_, Failure>(Runs::one(told(&answer, name)?));
    let wire = job(&service, "service-wire", &[&clients, &setup.size(SECONDS / 6, 1).to_string()])?;
    let wire = Runs::one(told(&wire, "rate")?);
    let beside = "the same clients asking whether the service lives";
    report.add(Figure::new(what, one("rate")?, "commits/s").beside(beside, wire).at_least(5_000.0, None));
    let ms = |name: &str| Ok::<_, Failure>(one(name)?.map(|micros| micros / 1e3));
    report.add(Figure::new("the same, half of the receipts within", ms("p50")?, "ms"));
    report.add(Figure::new("the same, 99 of 100 receipts within", ms("p99")?, "ms").at_most(100.0, None));
    report.add(Figure::new("the same, the last receipt within", ms("max")?, "ms"));
    memory(report, &samples, told(&answer, "commits")?)?;
    resent(setup, report, &service, &clients)
}

/// Commits that are there already: what the service holds for its clients, when the log does not grow.
fn resent(setup: &Setup, report: &mut Report, service: &Service, clients: &str) -> Result<(), Failure> {
    let seconds = setup.size(SECONDS / 3, 1).to_string();
    let (answer, samples) =
        while_sampled(service, SAMPLE_EVERY, || job(service, "service-commits", &[clients, &seconds, "1"]))?;
    let name = format!("{clients} clients that send one commit again and again, {seconds} s");
    report.add(Figure::new(name, Runs::one(told(&answer, "rate")?), "commits/s"));
    let (Some(begin), Some(last)) = (samples.get(samples.len() / 4), samples.last()) else { return Ok(()) };
    let grown = (bytes(last.1) - bytes(begin.1)) / 1_048_576.0;
    let name = "memory that came meanwhile, after the first quarter";
    report.add(Figure::new(name, Runs::one(grown), "MiB").at_most(8.0, 1.0));
    Ok(())
}

/// What the service holds, half way and at the end.
fn memory(report: &mut Report, samples: &[(f64, u64)], commits: f64) -> Result<(), Failure> {
    let (Some(half), Some(last)) = (samples.get(samples.len() / 2), samples.last()) else {
        report.add(Figure::skipped("memory of the service", &"this system does not tell"));
        return Ok(());
    };
    let most = samples.iter().map(|(_, held)| *held).max().unwrap_or(0);
    report.add(Figure::new("memory of the service at most", Runs::one(bytes(most) / 1_048_576.0), "MiB"));
    let grown = bytes(last.1) - bytes(half.1);
    let name = "memory that came in the second half, a commit of that half";
    report.add(Figure::new(name, Runs::one(grown / (commits / 2.0)), "bytes"));
    let points = samples.iter().map(|(seconds, held)| (*seconds, bytes(*held) / 1_048_576.0)).collect();
    report.curve(Curve {
        file: "service-memory",
        title: "Memory of the service under 64 committing clients",
        x: "seconds",
        y: "MiB",
        series: vec![("resident".to_owned(), points)],
    })
}

/// Streams of large commits.
fn bulk(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let (commits, each) = (setup.size(BULK.0, 2), setup.size(BULK.1, 10));
    for streams in [1, 2] {
        let mut rates = Vec::new();
        for _ in 0..setup.size(RUNS, 1) {
            let folder = setup.folder()?;
            let path = folder.path().join("log");
            drop(Log::make(&path)?);
            let service = Service::start(&path)?;
            let words = [streams.to_string(), (commits / streams).to_string(), each.to_string()];
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            rates.push(told(&job(&service, "service-bulk", &words)?, "rate")?);
        }
        let name = format!("{streams} bulk streams, commits of {each} nodes of 400 bytes, made on the way");
        let figure = Figure::new(name, Runs::new(rates), "nodes/s");
        report.add(if streams == 1 { figure } else { figure.at_least(60_000.0, None) });
    }
    Ok(())
}

/// Questions about a large graph.
fn questions(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let million = setup.million()?;
    let (nodes, newest) = million.model(AT_1E6)?;
    let source = most_used(&million.folder)?;
    let service = Service::start(&million.folder)?;
    for (what, id) in [("ancestors", newest), ("impact", source), ("descendants", source)] {
        progress(&format!("{what} over the wire"));
        let id = id.to_string();
        let (mut first, mut all, mut found) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..setup.size(RUNS, 1) {
            let answer = job(&service, "service-ask", &[what, &id])?;
            first.push(told(&answer, "first")? * 1e3);
            all.push(told(&answer, "seconds")?);
            found = told(&answer, "found")?;
        }
        let name = format!("{what}, {found} nodes found, in a store of {}", number(nodes));
        report.add(Figure::new(&name, Runs::new(all), "s").at_most(1.0, None));
        report.add(Figure::new(format!("{what}, the first of them"), Runs::new(first), "ms").at_most(20.0, None));
    }
    Ok(())
}

/// Returns the source, of the first hundred, on which most stands.
fn most_used(folder: &std::path::Path) -> Result<NodeId, Failure> {
    let store = Log::read(folder)?;
    let options = ScanOptions { kind: Some(Kind::Dataset), at: None };
    let first = store.scan(0, 100, options)?.nodes;
    let mut best: Option<(usize, NodeId)> = None;
    for (_, node) in first.iter().take(10) {
        let count = store.descendants(&node.id, None)?.len();
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, node.id));
        }
    }
    best.map(|(_, id)| id).ok_or_else(|| "the store has no source".into())
}
