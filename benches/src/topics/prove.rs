//! How long it takes to write a bundle, out of the large store.

use crate::{
    Failure,
    figure::{Figure, Runs},
    measure::{bytes, number, repeat_within, timed},
    report::{Report, progress},
    setup::{AT_1E4, AT_1E5, Setup},
    svg::Curve,
    world::{Log, prove},
};

/// What takes longer than this is not run again.
const SECONDS_MAX: f64 = 20.0;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let million = setup.million()?;
    let store = Log::read(&million.folder)?;
    let mut points = Vec::new();
    for (place, (nodes, model)) in million.models().enumerate() {
        progress(&format!("proving {nodes} nodes"));
        let mut length = 0;
        let runs = setup.size(if nodes > 50_000 { 3 } else { 7 }, 1);
        let seconds = repeat_within(SECONDS_MAX, runs, || {
            let (seconds, bundle) = timed(|| prove(&store, &model))?;
            length = bundle.len();
            Ok(seconds)
        })?;
        points.push((number(nodes), seconds.median() * 1e3));
        report.add(figure(place, nodes, length, seconds));
    }
    report.curve(Curve {
        file: "prove-by-nodes",
        title: "Writing a bundle, by the nodes in it",
        x: "nodes of the bundle",
        y: "ms",
        series: vec![(format!("Store::prove, in a log of {} nodes", number(million.nodes)), points)],
    })
}

fn figure(place: usize, nodes: usize, length: usize, seconds: Runs) -> Figure {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let name = format!("prove {nodes} nodes, {:.1} MB", bytes(length) / 1e6);
    let figure = Figure::new(name, seconds, "s");
    match place {
        AT_1E4 => figure.at_most(0.5, 0.15),
        AT_1E5 => figure.at_most(5.0, 1.5),
        _ => figure,
    }
}
