//! The index behind a bulk load: how fast it catches up, and what memory it takes.

use core::time::Duration;
use std::time::Instant;

use griptrace_core::digest::file_digest;
use serde_json::{Value as Json, json};

use crate::{
    Failure, bulk,
    child::{self, peak_bytes, told},
    figure::{Figure, Runs},
    measure::{number, timed},
    report::{Report, progress},
    setup::Setup,
    world::Log,
};

/// Keys that are written at once, as the index does.
const BATCH: usize = 4_096;
/// Bytes of memory that sled may take for what it read, as the index lets it.
const SLED_CACHE_BYTES: u64 = 32 << 20;
/// How long sled alone is given.
const SLED_SECONDS_MAX: u64 = 20;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let million = setup.million()?;
    let nodes = number(million.nodes);
    load_figures(&million.loaded, nodes, report)?;
    let indexed = million.indexed()?;
    progress("sled alone with as many keys");
    let rival = child::ask("sled", &[setup.temp().join("sled").as_os_str(), million.nodes.to_string().as_ref()])?;
    let rate = Runs::one(nodes / told(indexed, "seconds")?);
    let theirs = Runs::one(told(&rival, "nodes")? / told(&rival, "seconds")?);
    report.add(
        Figure::new(format!("index of {nodes} nodes, filled from nothing"), rate, "nodes/s")
            .beside("sled 0.34 alone, three keys a node", theirs)
            .at_least(50_000.0, 150_000.0),
    );
    let sled_peak = peak(&rival);
    match peak(indexed) {
        Some(peak) => {
            let figure = Figure::new("most memory of the process that fills it", peak, "MiB");
            let figure = match sled_peak {
                Some(beside) => figure.beside("sled alone", beside),
                None => figure,
            };
            report.add(figure.at_most(500.0, None));
        }
        None => report.add(Figure::skipped("most memory of the process that fills it", &"this system does not tell")),
    }
    Ok(())
}

fn load_figures(loaded: &Json, nodes: f64, report: &mut Report) -> Result<(), Failure> {
    let one = |value| Runs::one(value);
    let whole = nodes / told(loaded, "seconds")?;
    report.add(Figure::new(format!("loading {nodes} nodes, making them on another thread"), one(whole), "nodes/s"));
    let committing = nodes / told(loaded, "committing")?;
    report.add(Figure::new("the same, time in commits only", one(committing), "nodes/s"));
    let last = told(loaded, "last_nodes")? / told(loaded, "last_seconds")?;
    report.add(Figure::new("the same, the last tenth of the commits", one(last), "nodes/s"));
    if let Some(peak) = peak(loaded) {
        report.add(Figure::new("most memory of the process that loads", peak, "MiB"));
    }
    Ok(())
}

/// Returns the most memory that a child took, in MiB.
pub(crate) fn peak(answer: &Json) -> Option<Runs> {
    told(answer, "peak_bytes").ok().map(|bytes| Runs::one(bytes / 1_048_576.0))
}

/// The job `load FOLDER NODES COMMITS,...`: makes a store with a model after each of these commits.
pub(crate) fn load(words: &[String]) -> Result<Json, Failure> {
    let [folder, each, marks] = words else { return Err("load FOLDER NODES COMMITS,...".into()) };
    let marks = marks.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let log = Log::make(folder.as_ref())?;
    let told = |nodes: usize| {
        if nodes.is_multiple_of(200_000) {
            progress(&format!("{nodes} nodes are loaded"));
        }
    };
    let loaded = bulk::load(&log, each.parse()?, &marks, told)?;
    drop(log);
    let models: Vec<Json> =
        loaded.models.iter().map(|(nodes, id)| json!({ "nodes": nodes, "id": id.to_string() })).collect();
    Ok(json!({
        "models": models, "nodes": loaded.nodes, "seconds": loaded.seconds, "committing": loaded.committing,
        "last_seconds": loaded.last_tenth.0, "last_nodes": loaded.last_tenth.1, "peak_bytes": peak_bytes(),
    }))
}

/// The job `index FOLDER`: asks for a name, for which the index is filled first.
pub(crate) fn fill(words: &[String]) -> Result<Json, Failure> {
    let [folder] = words else { return Err("index FOLDER".into()) };
    let (opening, store) = timed(|| Log::read(folder.as_ref()))?;
    let (seconds, found) = timed(|| Ok(store.by_name("bulk-00000001")?))?;
    if found.len() != 1 {
        return Err(format!("{} nodes bear the name of one", found.len()).into());
    }
    let (again, _) = timed(|| Ok(store.by_name("bulk-00000002")?))?;
    Ok(json!({ "opening": opening, "seconds": seconds, "again": again, "peak_bytes": peak_bytes() }))
}

/// The job `sled FOLDER NODES`: three keys a node into sled, and nothing else.
pub(crate) fn sled_alone(words: &[String]) -> Result<Json, Failure> {
    let [folder, nodes] = words else { return Err("sled FOLDER NODES".into()) };
    let nodes: usize = nodes.parse()?;
    let config = sled::Config::new().path(folder).cache_capacity(SLED_CACHE_BYTES).flush_every_ms(None);
    let db = config.open()?;
    let limit = Duration::from_secs(SLED_SECONDS_MAX);
    let begun = Instant::now();
    let (mut batch, mut pending, mut done) = (sled::Batch::default(), 0, 0);
    while done < nodes && begun.elapsed() < limit {
        let id = *file_digest(&done.to_le_bytes()).as_bytes();
        let place = done.to_be_bytes();
        let name = [b"n".as_slice(), &13_u64.to_be_bytes(), format!("bulk-{done:08}").as_bytes(), &place].concat();
        let content = [b"c".as_slice(), file_digest(&name).as_bytes(), &place].concat();
        let unit = [b"u".as_slice(), file_digest(&content).as_bytes(), &place].concat();
        for key in [name, content, unit] {
            batch.insert(key, id.as_slice());
        }
        done += 1;
        pending += 3;
        if pending >= BATCH {
            db.apply_batch(core::mem::take(&mut batch))?;
            pending = 0;
        }
    }
    db.apply_batch(batch)?;
    db.flush()?;
    let seconds = begun.elapsed().as_secs_f64();
    drop(db);
    Ok(json!({ "nodes": done, "seconds": seconds, "peak_bytes": peak_bytes() }))
}
