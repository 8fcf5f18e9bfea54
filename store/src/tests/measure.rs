//! Figures, not judgements: `cargo test --release -p griptrace-store measure -- --ignored --nocapture`.

use std::time::Instant;

use griptrace_core::id::NodeId;

use super::world::{World, open};
use crate::ProveOptions;

#[test]
#[ignore = "a measurement: it takes long and judges nothing"]
fn measure_commits_and_proofs() {
    let world = World::new();
    let mut times: Vec<u128> = Vec::new();
    for i in 0..300 {
        let node = world.source(&format!("{i}"), "CN");
        let start = Instant::now();
        world.add(node);
        times.push(start.elapsed().as_micros());
    }
    times.sort_unstable();
    println!("commit of one node: p50 {} us, p99 {} us", times[150], times[297]);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for i in 0..20 {
                    world.add(world.source(&format!("t{i}"), "CN"));
                }
            });
        }
    });
    println!("640 commits by 32 threads: {:?}", start.elapsed());

    let mut last: Vec<NodeId> = vec![world.add(world.source("root", "CN"))];
    let start = Instant::now();
    for round in 0..100 {
        let nodes =
            (0..50).flat_map(|i| world.derive(&format!("{round}-{i}"), &[last[i % last.len()]], "CN")).collect();
        let ids = world.commit(nodes);
        last = ids.into_iter().skip(1).step_by(2).collect();
    }
    println!("100 commits of 100 nodes: {:?}", start.elapsed());
    let model = world.commit(world.train("grasp", &last, "DE", &["grasp.onnx"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    for _ in 0..3 {
        let start = Instant::now();
        let file = world.store.prove(&shipment, &ProveOptions::default()).unwrap();
        println!("prove: {:?}, {} bytes", start.elapsed(), file.len());
    }
    let found = world.store.ancestors(&shipment, None).unwrap().len();
    println!("{found} ancestors");
    let start = Instant::now();
    assert!(world.store.fsck(&|_, _, _| {}).unwrap().is_clean());
    println!("fsck: {:?}", start.elapsed());
    let World { dir, store, .. } = world;
    drop(store);
    let start = Instant::now();
    drop(open(dir.path()));
    println!("open with a snapshot: {:?}", start.elapsed());
    std::fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    let start = Instant::now();
    drop(open(dir.path()));
    println!("open without: {:?}", start.elapsed());
}
