//! How many bytes bring a bundle up to date.

use griptrace_core::{
    bundle::Bundle,
    update::{Part, Patch, Update},
};
use griptrace_store::ProveOptions;

use super::proof_size::mark_others;
use crate::{
    Failure, bulk,
    figure::{Figure, Runs},
    measure::number,
    report::{Report, progress},
    setup::Setup,
    world::{Log, prove},
};

/// What a status update may take.
const UPDATE_BYTES: f64 = 32.0 * 1024.0;

/// 10^2 nodes in 20 commits, in a log that comes to 10^5 statuses and 10^4 entries.
pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let (statuses, entries) = (setup.size(100_000, 2_000), setup.size(10_000, 200));
    let folder = setup.folder()?;
    let log = Log::make(&folder.path().join("log"))?;
    let loaded = bulk::load(&log, 5, &[20], |_| {})?;
    let root = loaded.models.last().ok_or("no model")?.1;
    // Each older bundle was made when the map had this part of the statuses.
    let mut older = Vec::new();
    let mut marked = 0;
    for share in [50, 90, 99] {
        let wanted = statuses * share / 100;
        progress(&format!("{wanted} statuses on other nodes"));
        mark_others(&log, wanted - marked)?;
        marked = wanted;
        older.push((100 - share, log.store.size(), prove(&log.store, &root)?));
        fill(&log, entries * share / 100)?;
    }
    mark_others(&log, statuses - marked)?;
    fill(&log, entries)?;
    for (since, size, base) in older {
        let options = ProveOptions { since: vec![size], ..ProveOptions::default() };
        let newer = log.store.prove(&root, &options)?;
        let patch = Patch::between(&base, &newer);
        if patch.apply(&base)? != newer {
            return Err("the update does not make the newer bundle".into());
        }
        let copied = patch.parts.iter().filter(|part| matches!(part, Part::Copy { .. })).count();
        let update = Update { patch: Some(patch), withdrawals: Vec::new() }.to_bytes();
        let bundle = Bundle::from_bytes(&newer)?;
        let name = format!(
            "update of {} nodes, {since} % of {statuses} statuses later, log of {} entries, {copied} copies",
            bundle.node_count()?,
            log.store.size(),
        );
        let figure = Figure::new(name, Runs::one(number(update.len())), "bytes");
        // Where the map doubled, little of any proof has stayed: what that takes is told, and held to nothing.
        let figure = if since > 10 { figure } else { figure.at_most(UPDATE_BYTES, None) };
        report.add(figure.beside("the whole bundle", Runs::one(number(newer.len()))));
    }
    Ok(())
}

/// Commits single data sets until the log has so many entries.
fn fill(log: &Log, entries: usize) -> Result<(), Failure> {
    let mut maker = log.maker("filler");
    while log.store.size() < u64::try_from(entries)? {
        log.commit(vec![maker.dataset(None)?])?;
    }
    Ok(())
}
