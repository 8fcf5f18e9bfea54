//! How long verification takes, and what memory.

use std::{fs, path::Path};

use griptrace_verifier::{finding::Verdict, verify::verify};
use serde_json::{Value as Json, json};

use crate::{
    Failure,
    child::{self, peak_bytes, told},
    figure::{Figure, Runs},
    measure::{bytes, number, timed},
    report::{Report, progress},
    setup::{AT_1E4, AT_1E5, AT_1E6, Setup},
    svg::Curve,
    world::{Log, buyer, prove},
};

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let million = setup.million()?;
    let folder = setup.folder()?;
    let mut points = Vec::new();
    for (place, (nodes, model)) in million.models().enumerate() {
        let file = folder.path().join("bundle.griptrace");
        progress(&format!("verifying {nodes} nodes"));
        // The store is closed again before memory is measured, and is not in the process that is.
        fs::write(&file, prove(&Log::read(&million.folder)?, &model)?)?;
        let length = bytes(fs::metadata(&file)?.len());
        let runs = setup.size(if nodes > 50_000 { 3 } else { 9 }, 1);
        let answer = child::ask("verify", &[file.as_os_str(), runs.to_string().as_ref()])?;
        let ms = times(&answer)?;
        points.push((number(nodes), ms.median()));
        report.add(figure(place, nodes, length, ms));
        if place == AT_1E6 {
            report.add(memory(&answer, &file, length));
        }
    }
    report.curve(Curve {
        file: "verify-by-nodes",
        title: "Verifying a bundle, by the nodes in it",
        x: "nodes of the bundle",
        y: "ms",
        series: vec![("verify".to_owned(), points)],
    })
}

fn times(answer: &Json) -> Result<Runs, Failure> {
    let times = answer.get("ms").and_then(Json::as_array).ok_or("no times were told")?;
    Ok(Runs::new(times.iter().filter_map(Json::as_f64).collect()))
}

fn figure(place: usize, nodes: usize, length: f64, ms: Runs) -> Figure {
    let figure = Figure::new(format!("verify {nodes} nodes, {:.1} MB", length / 1e6), ms, "ms");
    match place {
        AT_1E4 => figure.at_most(100.0, 40.0),
        AT_1E5 => figure.at_most(1_000.0, 400.0),
        AT_1E6 => figure.at_most(12_000.0, 4_000.0),
        _ => figure,
    }
}

fn memory(answer: &Json, file: &Path, length: f64) -> Figure {
    let name = "most memory of the process that verifies, over the bundle's bytes";
    match told(answer, "peak_bytes") {
        Ok(peak) if file.exists() => Figure::new(name, Runs::one(peak / length), "x").at_most(3.0, None),
        Ok(_) | Err(_) => Figure::skipped(name, &"this system does not tell"),
    }
}

/// The job `verify FILE RUNS`: reads a bundle and verifies it so many times.
pub(crate) fn verified(words: &[String]) -> Result<Json, Failure> {
    let [file, runs] = words else { return Err("verify FILE RUNS".into()) };
    let file = fs::read(file)?;
    let (trust, policy, question) = buyer()?;
    let mut ms = Vec::new();
    for _ in 0..runs.parse::<usize>()? {
        let (seconds, report) = timed(|| Ok(verify(&file, &trust, &policy, &question)?))?;
        if report.verdict == Verdict::Broken {
            return Err("the bundle did not verify".into());
        }
        ms.push(seconds * 1e3);
    }
    Ok(json!({ "ms": ms, "peak_bytes": peak_bytes() }))
}
