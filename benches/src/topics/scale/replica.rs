//! Read replicas: how fast one catches up from nothing, and whether two answer twice as much.

use core::time::Duration;
use std::{sync::Arc, thread, time::Instant};

use griptrace_core::id::NodeId;
use griptrace_store::{OpenOptions, Store, bucket::MemoryBucket};

use crate::{
    Failure,
    bucket::Far,
    bulk::{Dice, Layers},
    figure::Figure,
    measure::{number, repeat, timed},
    report::{Report, progress},
    setup::Setup,
    world::Log,
};

const RUNS: usize = 3;
const GET: Duration = Duration::from_millis(10);
/// Nodes of the log, and of a commit.
const NODES: usize = 1_000_000;
const EACH: usize = 200;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let folder = setup.folder()?;
    let bucket = MemoryBucket::default();
    let (nodes, each) = (setup.size(NODES, 2_000), setup.size(EACH, 20));
    progress(&format!("a log of {nodes} nodes in a bucket"));
    let ids = {
        let log = Log::in_bucket(Arc::new(bucket.clone()), folder.path())?;
        let mut layers = Layers::new(log.maker("bulk"));
        let mut ids = Vec::new();
        for _ in 0..nodes / each {
            ids.extend(log.commit(layers.next(each, false)?.0)?.ids);
        }
        log.store.merge_segments()?;
        ids
    };
    let catch_up = |far: bool| {
        repeat(setup.size(RUNS, 1), || {
            // From the segments alone: the snapshot would spare it nearly everything.
            griptrace_store::bucket::Bucket::remove(&bucket, "snapshots/catalogue")?;
            let seconds = timed(|| replica(setup, &bucket, far, nodes))?.0;
            Ok(number(nodes) / seconds)
        })
    };
    report.add(
        Figure::new("a replica takes in a log, from memory", catch_up(false)?, "nodes/s").at_least(50_000.0, None),
    );
    let name = format!("the same, from a bucket that answers in {} ms", GET.as_millis());
    report.add(Figure::new(name, catch_up(true)?, "nodes/s").at_least(50_000.0, None));
    let first = replica(setup, &bucket, false, nodes)?;
    let second = replica(setup, &bucket, false, nodes)?;
    let time = Duration::from_millis(setup.size(5_000, 100).try_into()?);
    let alone = repeat(setup.size(RUNS, 1), || asked(&[&first.0], &ids, time))?;
    let both = repeat(setup.size(RUNS, 1), || asked(&[&first.0, &second.0], &ids, time))?;
    report.add(
        Figure::new("questions to two replicas, a thread each", both, "answers/s")
            .beside("to one replica, one thread", alone)
            .ratio_at_least(1.6, 1.9),
    );
    Ok(())
}

type Replica = (Store, tempfile::TempDir);

fn replica(setup: &Setup, bucket: &MemoryBucket, far: bool, nodes: usize) -> Result<Replica, Failure> {
    let local = setup.folder()?;
    let get = if far { GET } else { Duration::ZERO };
    let far = Far::new(bucket.clone(), get, get);
    let store = Store::join_in(Arc::new(far), local.path(), OpenOptions::default())?;
    let found = store.size();
    if usize::try_from(found)? * 2 < nodes / 1_000 {
        return Err(format!("a replica has {found} entries").into());
    }
    Ok((store, local))
}

/// Asks replicas for nodes at random, a thread each; returns the answers a second of all.
fn asked(replicas: &[&Store], ids: &[NodeId], time: Duration) -> Result<f64, Failure> {
    let begun = Instant::now();
    let ask = |place: usize, store: &Store| -> Result<usize, Failure> {
        let mut dice = Dice::new(u64::try_from(place)?);
        let mut count = 0;
        while begun.elapsed() < time {
            let at = usize::try_from(dice.below(u64::try_from(ids.len())?))?;
            let id = ids.get(at).ok_or("no id")?;
            store.node(id)?.ok_or("a node is missing")?;
            count += 1;
        }
        Ok(count)
    };
    let counts = thread::scope(|scope| {
        let ask = &ask;
        let running: Vec<_> =
            replicas.iter().enumerate().map(|(place, store)| scope.spawn(move || ask(place, store))).collect();
        let joined = running.into_iter().map(|one| one.join().map_err(|_| Failure::from("a reader stopped"))?);
        joined.collect::<Result<Vec<usize>, Failure>>()
    })?;
    Ok(number(counts.iter().sum()) / begun.elapsed().as_secs_f64())
}
