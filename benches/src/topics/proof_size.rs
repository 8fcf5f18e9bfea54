//! How many bytes a bundle adds to the nodes' own.

use griptrace_core::bundle::Bundle;

use crate::{
    Failure, bulk,
    figure::{Figure, Runs},
    measure::number,
    report::{Report, progress},
    setup::Setup,
    world::{Log, prove},
};

/// Nodes of one commit that mark others: the entry has room for no more.
const MARKS: usize = 800;
/// What the bundle may take with the fewest details open.
const BUNDLE_BYTES: f64 = 5.0 * 1024.0 * 1024.0;

/// 10^4 nodes in 100 commits, 10^5 statuses in the map.
pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let (commits, each, statuses) = (setup.size(100, 10), setup.size(100, 20), setup.size(100_000, 500));
    let folder = setup.folder()?;
    let log = Log::make(&folder.path().join("log"))?;
    progress(&format!("{statuses} statuses on other nodes"));
    mark_others(&log, statuses)?;
    let loaded = bulk::load(&log, each, &[commits], |_| {})?;
    let file = prove(&log.store, &loaded.models.last().ok_or("no model")?.1)?;
    let bundle = Bundle::from_bytes(&file)?;
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|part| &part.cores);
    let (nodes, own) = cores.fold((0_usize, 0_usize), |(n, bytes), core| (n + 1, bytes + core.len()));
    let parts = bundle.logs.iter().flat_map(|log| &log.anchors).filter_map(|anchor| anchor.status.as_ref());
    let present = |ids: usize| 34 + 34 * ids;
    let status: usize = parts
        .map(|part| part.proof.len() + part.present.iter().map(|(_, ids)| present(ids.len())).sum::<usize>())
        .sum();
    let anchors = bundle.logs.iter().map(|log| log.anchors.len()).sum::<usize>();
    let a_node = |bytes: usize| Runs::one(number(bytes) / number(nodes));
    let name = format!("bundle of {nodes} nodes in {commits} commits, {anchors} anchor(s)");
    report.add(Figure::new(name, Runs::one(number(file.len())), "bytes").at_most(BUNDLE_BYTES, None));
    report.add(Figure::new("a node's own bytes", a_node(own), "bytes"));
    report.add(
        Figure::new("beyond its own, a node, without statuses", a_node(file.len() - own - status), "bytes")
            .at_most(100.0, 40.0),
    );
    let name = format!("status proof, a node, {statuses} statuses in the map");
    report.add(Figure::new(name, a_node(status), "bytes").at_most(250.0, None));
    // What each node would cost if it travelled alone: the proof of its commit, and the checkpoint.
    let receipt = log.commit(vec![log.maker("alone").dataset(None)?])?;
    let alone = Runs::one(number(receipt.inclusion.len() * 32 + receipt.checkpoint.len()));
    report.add(
        Figure::new("all of it beyond its own, a node", a_node(file.len() - own), "bytes")
            .beside("inclusion proof and checkpoint of one commit", alone),
    );
    Ok(())
}

/// Puts statuses on data sets that no model stands on.
pub(super) fn mark_others(log: &Log, statuses: usize) -> Result<(), Failure> {
    let mut maker = log.maker("other");
    let mut left = statuses;
    while left > 0 {
        let count = left.min(MARKS);
        left -= count;
        let others = (0..count).map(|_| maker.dataset(None)).collect::<Result<Vec<_>, _>>()?;
        let marks = others.iter().map(|other| maker.mark(other.id())).collect::<Result<Vec<_>, _>>()?;
        log.commit(others.into_iter().chain(marks).collect())?;
    }
    Ok(())
}
