//! What a node takes on the disk, with all that the store keeps.

use crate::{
    Failure, bulk,
    figure::{Figure, Runs},
    measure::{bytes, number},
    raw::disk_bytes,
    report::{Report, progress},
    setup::Setup,
    svg::Curve,
    world::{Log, RECORD_BYTES},
};

/// Everything in the store's folder counts, after closing: segments, tiles, checkpoints, snapshot,
/// index. Allocated are the blocks of all files and folders; apparent are their lengths.
pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let million = setup.million()?;
    million.indexed()?;
    let store = million.folder.join("store");
    let (allocated, apparent) = disk_bytes(&store)?;
    let a_node = |count: u64| Runs::one(bytes(count) / number(million.nodes));
    let nodes = number(million.nodes);
    let name = format!("allocated on disk, a node of {RECORD_BYTES} bytes, {nodes} nodes, index and snapshot counted");
    report.add(Figure::new(name, a_node(allocated), "bytes").at_most(900.0, 650.0));
    report.add(Figure::new("the same, apparent", a_node(apparent), "bytes"));
    for part in std::fs::read_dir(&store)? {
        let part = part?;
        if part.metadata()?.is_dir() {
            let (allocated, _) = disk_bytes(&part.path())?;
            let name = format!("of that, allocated in {}/", part.file_name().to_string_lossy());
            report.add(Figure::new(name, a_node(allocated), "bytes"));
        }
    }
    by_commit_size(setup, report, (1_000.0, bytes(allocated) / nodes))
}

fn by_commit_size(setup: &Setup, report: &mut Report, last: (f64, f64)) -> Result<(), Failure> {
    let mut points = Vec::new();
    for (each, commits) in [(1, 2_000), (3, 2_000), (10, 1_000), (30, 1_000), (100, 500), (300, 200)] {
        progress(&format!("disk of commits of {each} nodes"));
        let folder = setup.folder()?;
        let path = folder.path().join("log");
        let log = Log::make(&path)?;
        let commits = setup.size(commits, 10);
        let nodes = load(&log, each, commits)?;
        log.store.by_name("flat-00000001")?;
        drop(log);
        let (allocated, _) = disk_bytes(&path.join("store"))?;
        points.push((number(each), bytes(allocated) / number(nodes)));
    }
    points.push(last);
    report.curve(Curve {
        file: "disk-by-commit-size",
        title: "Allocated on disk a node, by nodes of a commit",
        x: "nodes of a commit",
        y: "bytes a node",
        series: vec![(format!("records of {RECORD_BYTES} bytes, everything counted"), points)],
    })
}

fn load(log: &Log, each: usize, commits: usize) -> Result<usize, Failure> {
    if each >= 10 {
        return Ok(bulk::load(log, each, &[commits], |_| {})?.nodes);
    }
    let mut maker = log.maker("flat");
    for _ in 0..commits {
        log.commit((0..each).map(|_| maker.dataset(None)).collect::<Result<_, _>>()?)?;
    }
    Ok(each * commits)
}
