//! How long the audit of everything takes.

use serde_json::{Value as Json, json};

use crate::{
    Failure,
    child::{self, peak_bytes, told},
    figure::{Figure, Runs},
    measure::{number, timed},
    report::{Report, progress},
    setup::Setup,
    topics::index::peak,
    world::Log,
};

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let million = setup.million()?;
    million.indexed()?;
    progress("checking the large store");
    let answer = child::ask("fsck", &[million.folder.as_os_str()])?;
    let seconds = Runs::one(told(&answer, "seconds")?);
    report.add(Figure::new(format!("fsck of {} nodes", number(million.nodes)), seconds, "s").at_most(20.0, None));
    if let Some(peak) = peak(&answer) {
        report.add(Figure::new("most memory of the process that checks", peak, "MiB"));
    }
    Ok(())
}

/// The job `fsck FOLDER`: checks a whole store.
pub(crate) fn checked(words: &[String]) -> Result<Json, Failure> {
    let [folder] = words else { return Err("fsck FOLDER".into()) };
    let store = Log::read(folder.as_ref())?;
    let (seconds, report) = timed(|| Ok(store.fsck(&|_, _, _| {})?))?;
    match report.faults.first() {
        Some(fault) => Err(format!("{}: {}", fault.object, fault.why).into()),
        None => Ok(json!({ "seconds": seconds, "nodes": report.nodes, "peak_bytes": peak_bytes() })),
    }
}
