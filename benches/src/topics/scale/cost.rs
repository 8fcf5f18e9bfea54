//! What an operator pays: requests for 10^6 commits, by how many commit at once.

use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::{sync::Arc, thread, time::Instant};

use griptrace_store::bucket::MemoryBucket;

use crate::{
    Failure,
    bucket::Far,
    figure::{Figure, Runs},
    measure::{bytes, number},
    report::{Report, progress},
    setup::Setup,
    world::{Log, Maker},
};

/// How many commit at once.
const CLIENTS: [usize; 3] = [1, 64, 1_000];
/// What a bucket takes to answer: about what S3 takes in the same region.
const PUT: Duration = Duration::from_millis(20);
const GET: Duration = Duration::from_millis(10);

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    for clients in CLIENTS {
        let clients = setup.size(clients, clients.min(4));
        progress(&format!("{clients} clients and a bucket that answers in {} ms", PUT.as_millis()));
        one(setup, report, clients, Duration::from_millis(setup.size(20_000, 1_500).try_into()?))?;
    }
    Ok(())
}

fn one(setup: &Setup, report: &mut Report, clients: usize, time: Duration) -> Result<(), Failure> {
    let folder = setup.folder()?;
    let far = Arc::new(Far::new(MemoryBucket::default(), PUT, GET));
    let log = Log::in_bucket(far.clone(), folder.path())?;
    let (before, done) = (far.requests(), AtomicUsize::new(0));
    let begun = Instant::now();
    let mut latencies = thread::scope(|scope| {
        let work = |client: usize| commit_until(&log, client, begun + time, &done);
        let running: Vec<_> = (0..clients).map(|client| scope.spawn(move || work(client))).collect();
        let all = running.into_iter().map(|one| one.join().map_err(|_| Failure::from("a client stopped"))?);
        Ok::<Vec<f64>, Failure>(all.collect::<Result<Vec<_>, _>>()?.concat())
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let (after, commits) = (far.requests(), number(done.load(Ordering::Relaxed)));
    let of_million = |count: u64| Runs::one(bytes(count) * 1e6 / commits);
    let name = |what: &str| format!("{clients} clients: {what}");
    report.add(Figure::new(
        name("writes and lists for 10^6 commits"),
        of_million(after.puts - before.puts),
        "requests",
    ));
    report.add(Figure::new(name("reads for 10^6 commits"), of_million(after.gets - before.gets), "requests"));
    report.add(Figure::new(name("commits of one node"), Runs::one(commits / seconds), "commits/s"));
    latencies.sort_by(f64::total_cmp);
    let slow = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    report.add(Figure::new(name("a commit"), Runs::new(latencies).map(|seconds| seconds * 1e3), "ms"));
    report.add(Figure::new(name("a commit, the slowest of 100"), Runs::one(slow * 1e3), "ms"));
    Ok(())
}

/// Commits until the time is over; returns how long each commit took.
fn commit_until(log: &Log, client: usize, end: Instant, done: &AtomicUsize) -> Result<Vec<f64>, Failure> {
    let mut maker = Maker::for_client(log.store.home(), client);
    let mut took = Vec::new();
    while Instant::now() < end {
        let nodes = vec![maker.dataset(None)?];
        let begun = Instant::now();
        log.commit(nodes)?;
        took.push(begun.elapsed().as_secs_f64());
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(took)
}
