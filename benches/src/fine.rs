//! What the large figures are made of, measured one by one: for who looks for what takes long.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

use core::hint::black_box;
use std::{process::ExitCode, time::Instant};

use griptrace_core::{
    digest::{Digest, file_digest},
    node::{Core, Kind},
    status_map::StatusMap,
    tree::{LeafIndex, Rfc9162, TreeSize, prove_leaves, root, verify_inclusion},
};
use griptrace_store::record::NodeRecord;
use griptrace_verifier::verify::verify;

use crate::{
    Failure, bulk,
    figure::{Runs, shown},
    measure::number,
    world::{Log, Maker, buyer, prove},
};

/// Runs of one thing, whose median and spread are told.
const RUNS: usize = 9;
/// Seconds of one run, for which the thing is repeated.
const RUN_SECONDS: f64 = 0.05;
/// Leaves of the tree whose proofs are measured.
const LEAVES: usize = 1 << 16;
/// Nodes of the store that is asked, in commits of a hundred.
const COMMITS: usize = 100;
const COMMIT_NODES: usize = 100;

/// Measures everything whose name holds one of the words given; everything if there are none.
pub fn fine() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let bench = Bench { words };
    let measured = hashes(&bench).and_then(|()| trees(&bench)).and_then(|()| store(&bench));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is wanted.
struct Bench {
    words: Vec<String>,
}

impl Bench {
    fn is_wanted(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// Repeats a piece of work and prints what one of it takes.
    fn time<T>(&self, name: &str, mut work: impl FnMut() -> Result<T, Failure>) -> Result<(), Failure> {
        if !self.is_wanted(name) {
            return Ok(());
        }
        let mut often = |times: usize| -> Result<f64, Failure> {
            let begun = Instant::now();
            for _ in 0..times {
                black_box(work()?);
            }
            Ok(begun.elapsed().as_secs_f64())
        };
        let mut times = 1;
        while often(times)? < RUN_SECONDS / 2.0 {
            times *= 2;
        }
        let one = |_| Ok(often(times)? / number(times) * 1e6);
        let runs = Runs::new((0..RUNS).map(one).collect::<Result<_, Failure>>()?);
        let (least, greatest) = (shown(runs.least()), shown(runs.greatest()));
        println!("{name:<52} {:>10} us  ({least} to {greatest})", shown(runs.median()));
        Ok(())
    }
}

fn hashes(bench: &Bench) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let log = Log::make(&folder.path().join("log"))?;
    let mut maker = log.maker("fine");
    let record = maker.dataset(None)?;
    bench.time("details root", || Ok(record.secret.root(Kind::Dataset, &record.values)))?;
    bench.time("core decode", || Ok(Core::from_bytes(&record.core)?))?;
    bench.time("node id", || Ok(record.id()))?;
    let bytes = record.to_bytes();
    bench.time("record decode", || Ok(NodeRecord::from_bytes(&bytes)?))?;
    bench.time("record, made", || maker.dataset(None))
}

fn trees(bench: &Bench) -> Result<(), Failure> {
    let leaves: Vec<Digest> = (0..LEAVES).map(|at| file_digest(&at.to_le_bytes())).collect();
    let size = u64::try_from(LEAVES)?;
    let whole = root(&Rfc9162, &leaves).ok_or("no root")?;
    let at = size / 3;
    let leaf = *leaves.get(LEAVES / 3).ok_or("no leaf")?;
    let proof = prove_leaves(&Rfc9162, &leaves, &[at])?;
    bench.time("inclusion proof, made from 65 536 leaves", || Ok(prove_leaves(&Rfc9162, &leaves, &[at])?))?;
    bench.time("inclusion proof, verified", || {
        Ok(verify_inclusion(&Rfc9162, LeafIndex::new(at), TreeSize::new(size), &leaf, &proof, &whole)?)
    })?;
    let mut map = StatusMap::new();
    for key in leaves.iter().take(10_000) {
        map.append(key, key);
    }
    let mut keys = leaves.iter().cycle();
    bench.time("status map, one appended to 10 000 and the root", || {
        let mut map = map.clone();
        let key = keys.next().ok_or("no key")?;
        map.append(key, key);
        Ok(map.root())
    })
}

fn store(bench: &Bench) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let log = Log::make(&folder.path().join("log"))?;
    let loaded = bulk::load(&log, COMMIT_NODES, &[1, COMMITS], |_| {})?;
    let [(_, first), (_, last)] = loaded.models.as_slice() else { return Err("two models were to be made".into()) };
    log.store.by_name("bulk-00000001")?;
    bench.time("node by its id", || Ok(log.store.node(last)?))?;
    bench.time("id by its first digits", || Ok(log.store.resolve("0123", None)?))?;
    bench.time("node by its name", || Ok(log.store.by_name("bulk-00000007")?))?;
    bench.time("ancestors, 10 000", || Ok(log.store.ancestors(last, None)?))?;
    let bundle = prove(&log.store, first)?;
    bench.time("bundle of 100 nodes, made", || prove(&log.store, first))?;
    let (trust, policy, question) = buyer()?;
    bench.time("bundle of 100 nodes, verified", || Ok(verify(&bundle, &trust, &policy, &question)?))?;
    let mut maker = log.maker("append");
    bench.time("commit of one node, making it included", || log.commit(vec![maker.dataset(None)?]))?;
    let hundred = |maker: &mut Maker| (0..100).map(|_| maker.dataset(None)).collect::<Result<_, _>>();
    bench.time("commit of 100 nodes, making them included", || log.commit(hundred(&mut maker)?))
}
