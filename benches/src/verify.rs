//! How long verification takes.

use griptrace_verifier::{finding::Verdict, verify::verify};

use crate::{
    figure::{Figure, median_ms},
    world::{Failure, World, number},
};

/// 10^2, 10^4 and 10^5 nodes on one core.
pub(crate) fn figures(smoke: bool) -> Result<Vec<Figure>, Failure> {
    let sizes: &[(usize, usize)] = if smoke { &[(2, 50)] } else { &[(2, 50), (100, 100), (100, 1_000)] };
    let mut figures = Vec::new();
    let mut last: Option<(f64, f64)> = None;
    for (commits, each) in sizes {
        let world = World::new()?;
        let model = world.chain(*commits, *each)?;
        let file = world.prove(&model)?;
        let (trust, policy, question) = world.buyer()?;
        let nodes = number(commits * each);
        let runs = if commits * each > 50_000 { 5 } else { 15 };
        let mut verdict = Verdict::Broken;
        let (ms, spread) = median_ms(runs, || {
            verdict = verify(&file, &trust, &policy, &question).map_or(Verdict::Broken, |report| report.verdict);
        });
        if verdict == Verdict::Broken {
            return Err("the bundle did not verify".into());
        }
        let bar = (commits * each == 10_000).then_some(150.0);
        let name = format!("verify {nodes} nodes in {commits} commits, {:.1} MB", number(file.len()) / 1e6);
        figures.push(Figure { name, value: ms, unit: "ms", spread: Some(spread), at_most: bar });
        if let Some((before, took)) = last.filter(|_| nodes > 1_000.0) {
            let ratio = (ms / nodes) / (took / before);
            let name = format!("time a node at {nodes} nodes, over that at {before}");
            figures.push(Figure { name, value: ratio, unit: "x", spread: None, at_most: Some(2.0) });
        }
        last = Some((nodes, ms));
    }
    Ok(figures)
}
