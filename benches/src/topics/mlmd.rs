//! The same lineage in ml-metadata, which is neither signed nor provable.

use std::{
    process::Command,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use griptrace_core::id::NodeId;
use griptrace_store::record::NodeRecord;
use serde_json::Value as Json;

use crate::{
    Failure,
    bulk::Dice,
    child::told,
    figure::{Figure, Runs},
    measure::{Turn, by_turns, number, repeat, timed},
    report::{Report, progress},
    rivals,
    setup::Setup,
    world::{Log, Maker},
};

/// Data sets that a step uses, two different ones; with the one that it generates, three events.
const USED: usize = 2;
/// Steps of one large commit.
const LARGE: usize = 500;
const COMMITTERS: usize = 64;
const RUNS: usize = 3;

/// 10^4 executions with an output each and 3 10^4 events: one by one, and in large pieces.
pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let count = setup.size(10_000, 20);
    let runs = setup.size(RUNS, 1);
    let events = count * (USED + 1);
    let mut single = || ours(setup, count, 1);
    let mut many = || by_many(setup, count);
    let mut large = || ours(setup, count, LARGE);
    let (lone, alone, together) = (
        format!("{count} steps, their outputs and {events} events, one commit a step, one committer"),
        format!("the same, one commit a step, {COMMITTERS} committers"),
        format!("the same in commits of {LARGE} steps"),
    );
    let python = match rivals::mlmd_python() {
        Ok(python) => python,
        Err(why) => {
            report.add(Figure::new(lone, repeat(runs, single)?, "steps/s"));
            report.add(Figure::new(alone, repeat(runs, many)?, "steps/s"));
            report.add(Figure::new(together, repeat(runs, large)?, "steps/s"));
            report.add(Figure::skipped("the same, beside ml-metadata", &why));
            return Ok(());
        }
    };
    let theirs = |how: &str| -> Result<f64, Failure> {
        progress(&format!("ml-metadata, {how}"));
        let folder = setup.folder()?;
        let output = Command::new(&python)
            .args(["-c", include_str!("../../rivals/mlmd.py"), how, &count.to_string()])
            .arg(folder.path().join("mlmd.sqlite"))
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it failed").into());
        }
        let answer: Json = serde_json::from_slice(&output.stdout)?;
        Ok(told(&answer, "executions")? / told(&answer, "seconds")?)
    };
    let (mut one_by_one, mut calls, mut subgraph) = (|| theirs("per-item"), || theirs("calls"), || theirs("subgraph"));
    let turns: [Turn<'_>; 3] = [&mut single, &mut many, &mut one_by_one];
    let [single, many, one_by_one] = by_turns(setup.size(2, 1), turns)?;
    let beside = "ml-metadata 1.17.1, put_execution one by one";
    // A SQLite file has one writer, so that theirs gains nothing from more.
    report.add(Figure::new(lone, single, "steps/s").beside(beside, one_by_one.clone()));
    report.add(Figure::new(alone, many, "steps/s").beside(beside, one_by_one).ratio_at_least(20.0, None));
    let turns: [Turn<'_>; 3] = [&mut large, &mut calls, &mut subgraph];
    let [large, calls, subgraph] = by_turns(runs, turns)?;
    let (best, other) =
        best_of(("put_artifacts, put_executions, put_events", calls), ("put_lineage_subgraph", subgraph));
    report.add(Figure::new(format!("ml-metadata 1.17.1, its other way: {}", other.0), other.1, "steps/s"));
    let beside = format!("ml-metadata 1.17.1, {}", best.0);
    report.add(Figure::new(together, large, "steps/s").beside(beside, best.1).ratio_at_least(3.0, None));
    Ok(())
}

/// A way of theirs: its name, and how fast it was.
type Way = (&'static str, Runs);

fn best_of(one: Way, other: Way) -> (Way, Way) {
    if one.1.median() >= other.1.median() { (one, other) } else { (other, one) }
}

/// As [`ours`], by many committers at once, a step a commit.
fn by_many(setup: &Setup, count: usize) -> Result<f64, Failure> {
    let folder = setup.folder()?;
    let log = Log::make(&folder.path().join("log"))?;
    let mut maker = log.maker("step");
    let sources = (0..USED).map(|_| maker.dataset(None)).collect::<Result<Vec<NodeRecord>, _>>()?;
    let begun: Vec<NodeId> = sources.iter().map(NodeRecord::id).collect();
    log.commit(sources)?;
    let each = count.div_ceil(COMMITTERS);
    let work = |seed: u64| -> Result<(), String> {
        let (mut maker, mut dice, mut made) = (log.maker("step"), Dice::new(seed), begun.clone());
        for _ in 0..each {
            let nodes = together(&mut maker, &mut dice, &mut made, 1).map_err(|e| e.to_string())?;
            log.commit(nodes).map_err(|e| e.to_string())?;
        }
        Ok(())
    };
    let (seconds, ()) = timed(|| {
        thread::scope(|scope| {
            let committers: Vec<_> =
                (0..COMMITTERS).zip(1..).map(|(_, seed)| scope.spawn(move || work(seed))).collect();
            committers.into_iter().try_for_each(|committer| committer.join().map_err(|_| "a committer panicked")?)
        })
        .map_err(Failure::from)
    })?;
    Ok(number(each * COMMITTERS) / seconds)
}

/// Records the steps in a new store and returns how many a second: making, signing and checking
/// the nodes included, the next ones being made while a commit becomes durable.
fn ours(setup: &Setup, count: usize, steps: usize) -> Result<f64, Failure> {
    let folder = setup.folder()?;
    let log = Log::make(&folder.path().join("log"))?;
    let mut maker = log.maker("step");
    let mut dice = Dice::new(7);
    let sources = (0..USED).map(|_| maker.dataset(None)).collect::<Result<Vec<NodeRecord>, _>>()?;
    let mut made: Vec<NodeId> = sources.iter().map(NodeRecord::id).collect();
    log.commit(sources)?;
    let mut work = move |sender: &SyncSender<Vec<NodeRecord>>| -> Result<(), String> {
        let mut left = count;
        while left > 0 {
            let now = left.min(steps);
            left -= now;
            let nodes = together(&mut maker, &mut dice, &mut made, now).map_err(|e| e.to_string())?;
            sender.send(nodes).map_err(|e| e.to_string())?;
        }
        Ok(())
    };
    let (seconds, ()) = timed(|| {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(2);
            let making = scope.spawn(move || work(&sender));
            for nodes in receiver {
                log.commit(nodes)?;
            }
            making.join().map_err(|_| "the maker panicked")?.map_err(Failure::from)
        })
    })?;
    Ok(number(count) / seconds)
}

fn together(
    maker: &mut Maker,
    dice: &mut Dice,
    made: &mut Vec<NodeId>,
    steps: usize,
) -> Result<Vec<NodeRecord>, Failure> {
    let mut nodes = Vec::with_capacity(2 * steps);
    for _ in 0..steps {
        let used = dice.two_of(made);
        let step = maker.step(&used)?;
        let dataset = maker.dataset(Some(step.id()))?;
        made.push(dataset.id());
        nodes.extend([step, dataset]);
    }
    Ok(nodes)
}
