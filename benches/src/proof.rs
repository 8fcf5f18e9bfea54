//! How many bytes a bundle adds to the nodes' own.

use griptrace_core::bundle::Bundle;

use crate::{
    figure::Figure,
    world::{Failure, World, number},
};

/// 10^4 nodes in 100 commits, 10^5 statuses in the map.
pub(crate) fn figures(smoke: bool) -> Result<Vec<Figure>, Failure> {
    let (commits, each, statuses) = if smoke { (10, 20, 500) } else { (100, 100, 100_000) };
    let world = World::new()?;
    world.mark_others(statuses)?;
    let model = world.chain(commits, each)?;
    let file = world.prove(&model)?;
    let bundle = Bundle::from_bytes(&file)?;
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|part| &part.cores);
    let (nodes, own) = cores.fold((0_usize, 0_usize), |(n, bytes), core| (n + 1, bytes + core.len()));
    let status: usize = bundle
        .logs
        .iter()
        .flat_map(|log| &log.anchors)
        .filter_map(|anchor| anchor.status.as_ref())
        .map(|part| part.proof.len() + part.present.iter().map(|(_, ids)| 34 + 34 * ids.len()).sum::<usize>())
        .sum();
    let anchors = bundle.logs.iter().map(|log| log.anchors.len()).sum::<usize>();
    let a_node = |bytes: usize| number(bytes) / number(nodes);
    let figure =
        |name: &str, value, bar| Figure { name: name.into(), value, unit: "bytes", spread: None, at_most: bar };
    Ok(vec![
        figure(&format!("bundle of {nodes} nodes, {anchors} anchor(s)"), number(file.len()), None),
        figure("a node's own bytes", a_node(own), None),
        figure("beyond its own, a node, without statuses", a_node(file.len() - own - status), Some(120.0)),
        figure(&format!("status proof, a node, {statuses} statuses in the map"), a_node(status), Some(250.0)),
    ])
}
