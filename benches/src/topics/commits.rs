//! Commits: one committer, many of them, and many nodes a commit; beside the bare disk.

use core::cell::RefCell;
use std::{sync::Barrier, thread, time::Instant};

use griptrace_core::key::SecretKey;
use griptrace_store::record::NodeRecord;

use crate::{
    Failure,
    bulk::Layers,
    figure::{Figure, Runs},
    measure::{Turn, by_turns, number, repeat, timed},
    raw,
    report::{Report, progress},
    setup::Setup,
    svg::Curve,
    world::{Log, committer},
};

const RUNS: usize = 5;
/// Runs of each point of a curve.
const CURVE_RUNS: usize = 3;
/// Numbers of committers along the curve.
const COMMITTERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Nodes of a commit along the curve.
const COMMIT_NODES: [usize; 7] = [1, 3, 10, 30, 100, 300, 1_000];
/// Nodes of a large commit.
const LARGE: usize = 1_000;

/// Commits, as one committer makes them one after the other.
type Line = Vec<Vec<NodeRecord>>;

/// One committer, one node a commit.
pub(crate) fn one(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let folder = setup.folder()?;
    let log = Log::make(&folder.path().join("log"))?;
    let mut maker = log.maker("one");
    let count = setup.size(500, 10);
    let pieces = pieces(&maker.singles(count)?);
    let mut ours = || {
        let line = maker.singles(count)?;
        Ok(committed(&log, vec![line], &[&log.committer])? / number(count))
    };
    let mut bare = || Ok(raw::append(folder.path(), &pieces)? / number(count));
    let [ours, bare] = by_turns(setup.size(RUNS, 1), [&mut ours, &mut bare])?;
    report.add(Figure::new("one committer, one node of 400 bytes a commit, as a rate", ours.rate(1.0), "commits/s"));
    let micros = |runs: &Runs| runs.map(|seconds| seconds * 1e6);
    report.add(
        Figure::new("one committer, one node of 400 bytes a commit", micros(&ours), "us")
            .beside("append + fdatasync of the record", micros(&bare))
            .ratio_at_most(8.0, 4.0),
    );
    Ok(())
}

/// Many committers, one node a commit.
pub(crate) fn many(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let folder = setup.folder()?;
    let log = Log::make(&folder.path().join("log"))?;
    let mut maker = log.maker("many");
    let (threads, each) = (64, setup.size(200, 2));
    let pieces = pieces(&maker.singles(setup.size(500, 10))?);
    let keys: Vec<SecretKey> = (0..64).map(committer).collect::<Result<_, _>>()?;
    let (own, same): (Vec<&SecretKey>, Vec<&SecretKey>) = keys.iter().map(|key| (key, &log.committer)).unzip();
    let maker = RefCell::new(maker);
    let rate = |keys: &[&SecretKey]| -> Result<f64, Failure> {
        let lines = (0..threads).map(|_| maker.borrow_mut().singles(each)).collect::<Result<Vec<Line>, _>>()?;
        Ok(number(threads * each) / committed(&log, lines, keys)?)
    };
    let (mut with_own, mut with_same) = (|| rate(&own), || rate(&same));
    let mut bare = || Ok(number(pieces.len()) / raw::append(folder.path(), &pieces)?);
    let turns: [Turn<'_>; 3] = [&mut with_same, &mut with_own, &mut bare];
    let [with_same, with_own, bare] = by_turns(setup.size(RUNS, 1), turns)?;
    let beside = "append + fdatasync of one record, one thread";
    for (name, runs) in [("64 committers, one key", with_same), ("64 committers, a key each", with_own)] {
        report.add(
            Figure::new(format!("{name}, one node a commit"), runs, "commits/s")
                .beside(beside, bare.clone())
                .at_least(12_000.0, 20_000.0),
        );
    }
    by_committers(setup, report)
}

fn by_committers(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let mut points = Vec::new();
    for committers in COMMITTERS {
        progress(&format!("{committers} committers"));
        let folder = setup.folder()?;
        let log = Log::make(&folder.path().join("log"))?;
        let mut maker = log.maker("curve");
        let each = setup.size((6_400 / committers).clamp(100, 600), 2);
        let runs = repeat(setup.size(CURVE_RUNS, 1), || {
            let lines = (0..committers).map(|_| maker.singles(each)).collect::<Result<Vec<Line>, _>>()?;
            Ok(number(committers * each) / committed(&log, lines, &[&log.committer])?)
        })?;
        points.push((number(committers), runs.median()));
    }
    report.curve(Curve {
        file: "commits-by-committers",
        title: "Commits of one node, by committers at once",
        x: "committers",
        y: "commits/s",
        series: vec![("durable, signed, published".to_owned(), points)],
    })
}

/// One committer and two, many nodes a commit.
pub(crate) fn bulk(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let folder = setup.folder()?;
    let log = Log::make(&folder.path().join("log"))?;
    let layers = RefCell::new(Layers::new(log.maker("large")));
    let building = RefCell::new(Vec::new());
    let (half, each) = (setup.size(30, 1), setup.size(LARGE, 10));
    let nodes = number(2 * half * each);
    let built = |commits: usize| -> Result<Line, Failure> {
        let (seconds, line) = timed(|| line(&mut layers.borrow_mut(), commits, each))?;
        building.borrow_mut().push(number(commits * each) / seconds);
        Ok(line)
    };
    let pieces = pieces(&flat(&log, 2 * half, each)?);
    let mut by_one = || Ok(nodes / committed(&log, vec![built(2 * half)?], &[&log.committer])?);
    // What a layer stands on has to be there first: the second committer's nodes stand on nothing.
    let mut by_two = || Ok(nodes / committed(&log, vec![built(half)?, flat(&log, half, each)?], &[&log.committer])?);
    let mut bare = || Ok(nodes / raw::append(folder.path(), &pieces)?);
    let turns: [Turn<'_>; 3] = [&mut by_one, &mut by_two, &mut bare];
    let [by_one, by_two, bare] = by_turns(setup.size(RUNS, 1), turns)?;
    let beside = "append + fdatasync of the same records, one thread";
    for (name, runs) in [("one committer", by_one), ("two committers", by_two)] {
        report.add(
            Figure::new(format!("{name}, commits of {each} nodes of 400 bytes"), runs, "nodes/s")
                .beside(beside, bare.clone())
                .at_least(150_000.0, 300_000.0),
        );
    }
    let building = Runs::new(building.into_inner());
    report.add(Figure::new("building the records (salts, details root), which is the caller's", building, "nodes/s"));
    by_nodes(setup, report)
}

fn by_nodes(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for each in COMMIT_NODES {
        progress(&format!("commits of {each} nodes"));
        let folder = setup.folder()?;
        let log = Log::make(&folder.path().join("log"))?;
        let commits = setup.size((60_000 / each).clamp(60, 400), 2);
        let nodes = number(commits * each);
        let pieces = pieces(&flat(&log, commits, each)?);
        let mut durable = || Ok(nodes / committed(&log, vec![flat(&log, commits, each)?], &[&log.committer])?);
        let mut appended = || Ok(nodes / raw::append(folder.path(), &pieces)?);
        let turns: [Turn<'_>; 2] = [&mut durable, &mut appended];
        let [durable, appended] = by_turns(setup.size(CURVE_RUNS, 1), turns)?;
        ours.push((number(each), durable.median()));
        bare.push((number(each), appended.median()));
    }
    report.curve(Curve {
        file: "nodes-by-commit-size",
        title: "Nodes a second, by nodes of a commit",
        x: "nodes of a commit",
        y: "nodes/s",
        series: vec![("one committer".to_owned(), ours), ("append + fdatasync of the same records".to_owned(), bare)],
    })
}

/// Makes commits that stand on one another.
fn line(layers: &mut Layers, commits: usize, each: usize) -> Result<Line, Failure> {
    (0..commits).map(|_| Ok(layers.next(each, false)?.0)).collect()
}

/// Makes commits of data sets that stand on nothing.
fn flat(log: &Log, commits: usize, each: usize) -> Result<Line, Failure> {
    let mut maker = log.maker("flat");
    (0..commits).map(|_| (0..each).map(|_| maker.dataset(None)).collect()).collect()
}

/// Returns what of each commit must be on the disk at least: the bytes of its records.
fn pieces(line: &Line) -> Vec<Vec<u8>> {
    line.iter().map(|nodes| nodes.iter().flat_map(NodeRecord::to_bytes).collect()).collect()
}

/// Has every line committed by a thread of its own, all at once. Returns the seconds from the
/// first to the last.
fn committed(log: &Log, lines: Vec<Line>, keys: &[&SecretKey]) -> Result<f64, Failure> {
    let start = Barrier::new(lines.len() + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = lines
            .into_iter()
            .zip(keys.iter().cycle())
            .map(|(line, key)| {
                let start = &start;
                scope.spawn(move || -> Result<(), Failure> {
                    start.wait();
                    line.into_iter().try_for_each(|nodes| log.commit_by(key, nodes).map(drop))
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        for worker in workers {
            worker.join().map_err(|_| "a committer panicked")??;
        }
        Ok(begun.elapsed().as_secs_f64())
    })
}
