//! A program for the suite to kill, stop and starve: it holds a store open.
//!
//! `griptrace-held commit STORE SEED THREADS NODES` opens the store for writing and commits from
//! several threads, 1 to NODES nodes at a time, until it is killed. It tells on its standard output,
//! each time in one line, what it is about to commit, and that a commit has returned:
//!
//! ```text
//! open SIZE
//! try NUMBER ID:HASH ID:HASH ...
//! ack NUMBER INDEX SIZE CHECKPOINT
//! ```
//!
//! HASH is of the record's bytes; CHECKPOINT is the note in hexadecimal digits. With
//! `GRIPTRACE_HELD_LIES` set it says `ack` *before* it commits: so the suite shows that it would
//! notice.
//!
//! `griptrace-held steps STORE FILE,FILE... FILE,FILE...` commits the nodes in files, several at once, and says `ack` as
//! above, or `old NUMBER` of those that are in the log already. With `lie` at the end it says
//! `ack` too early. It leaves with 2 if that fails.
//!
//! `griptrace-held read STORE` opens the store for reading, again and again, until it is killed or
//! its standard input ends; reads the whole log and compares it with its checkpoint. It prints `read
//! SIZE` each time, or what is wrong and leaves with 1.
#![expect(clippy::print_stderr, reason = "what it prints is what it is for")]

use core::{
    error::Error,
    fmt::Write as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
};

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::file_digest,
    id::NodeId,
    node::Kind,
    note::Note,
    tree::{Frontier, Rfc9162},
};
use griptrace_store::{CommitError, OpenOptions, Receipt, Refusal, Store, record::NodeRecord};
use griptrace_tests::seed::{Rng, Seed};

use crate::factory::{Factory, ISSUER, NOW, committer, log_signer};

#[path = "../support/factory.rs"]
#[allow(dead_code, reason = "the suite uses all of it")]
mod factory;

type Failure = Box<dyn Error + Send + Sync>;

/// Data sets that a thread remembers, to build upon.
const KNOWN_MAX: usize = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["commit", store, seed, threads, nodes] => commit(Path::new(store), seed, threads, nodes),
        ["steps", store, steps @ ..] => commit_steps(Path::new(store), steps),
        ["read", store] => read(Path::new(store)),
        other => Err(format!("it knows commit, steps and read, not {other:?}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", told(&*error));
            if words.first() == Some(&"steps") { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn told(error: &(dyn Error + 'static)) -> String {
    let causes = core::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Prints one line, whole and at once.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody listens any more: whoever started this is gone, and it ends too.
    if out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::abort();
    }
}

// --- Committing. ---

/// What the threads share.
struct Work {
    store: Store,
    nodes: usize,
    lies: bool,
    next: AtomicU64,
    /// Data sets of every thread's commits.
    known: Mutex<Vec<NodeId>>,
}

fn commit(dir: &Path, seed: &str, threads: &str, nodes: &str) -> Result<(), Failure> {
    let (seed, threads, nodes): (u64, u64, usize) = (seed.parse()?, threads.parse()?, nodes.parse()?);
    let options = OpenOptions { signer: Some(log_signer()), ..OpenOptions::default() };
    let store = Store::open(dir, options)?;
    say(&format!("open {}", store.size()));
    let lies = env::var_os("GRIPTRACE_HELD_LIES").is_some();
    let work = Work { store, nodes, lies, next: AtomicU64::new(0), known: Mutex::new(Vec::new()) };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || work.go_on(Seed::from_number(seed.wrapping_add(thread << 32)).rng(), thread))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| Failure::from("a thread panicked"))?)
    })
}

impl Work {
    /// Commits until it fails; it never ends otherwise.
    fn go_on(&self, mut rng: Rng, thread: u64) -> Result<(), Failure> {
        let mut factory = Factory::new(self.store.home(), Seed::from_number(rng.next_u64()).rng());
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            // Mostly few, now and then as many as are allowed.
            let most = if rng.one_in(4) { self.nodes } else { 1 + self.nodes / 10 };
            let count = 1 + rng.index(most);
            let known = self.known();
            let nodes = factory.batch(&format!("{thread}/{number}"), count, &known);
            say(&format!("try {number} {}", listed(&nodes)));
            if self.lies {
                say(&format!("ack {number} 0 0 00"));
            }
            let data = nodes.iter().filter(|node| node.core().is_ok_and(|core| core.kind == Kind::Dataset));
            let data: Vec<NodeId> = data.map(NodeRecord::id).collect();
            let receipt = self.store.commit(nodes, &committer(), ISSUER, NOW)?;
            if !self.lies {
                say(&acknowledged(number, &receipt));
            }
            self.learn(data);
        }
    }

    fn known(&self) -> Vec<NodeId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, data: Vec<NodeId>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(data);
        let old = known.len().saturating_sub(KNOWN_MAX);
        known.drain(..old);
    }
}

fn read_node(file: &str) -> Result<NodeRecord, Failure> {
    let bytes = fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    Ok(NodeRecord::from_bytes(&bytes)?)
}

fn acknowledged(number: u64, receipt: &Receipt) -> String {
    let Receipt { index, size, checkpoint, .. } = receipt;
    format!("ack {number} {index} {size} {}", hex(checkpoint.as_bytes()))
}

// --- Committing what was given. ---

fn commit_steps(dir: &Path, steps: &[&str]) -> Result<(), Failure> {
    let (steps, lies) = steps.strip_suffix(&["lie"]).map_or((steps, false), |steps| (steps, true));
    let store = Store::open(dir, OpenOptions { signer: Some(log_signer()), ..OpenOptions::default() })?;
    for (number, files) in (0_u64..).zip(steps) {
        let nodes = files.split(',').map(read_node).collect::<Result<Vec<_>, _>>()?;
        if lies {
            answer(&format!("ack {number} 0 0 00"))?;
        }
        match store.commit(nodes, &committer(), ISSUER, NOW) {
            Ok(_) if lies => {}
            Ok(receipt) => answer(&acknowledged(number, &receipt))?,
            Err(CommitError::Refused { why: Refusal::Recorded, .. }) => answer(&format!("old {number}"))?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Prints one line, as [`say`] does, where it is no reason to end at once that nobody listens.
fn answer(line: &str) -> Result<(), Failure> {
    let written = io::stdout().lock().write_all(format!("{line}\n").as_bytes());
    Ok(written.map_err(|error| format!("cannot write to standard output: {error}"))?)
}

fn listed(nodes: &[NodeRecord]) -> String {
    let each = |node: &NodeRecord| format!("{}:{}", node.id(), file_digest(&node.to_bytes()));
    nodes.iter().map(each).collect::<Vec<_>>().join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes everything");
        digits
    })
}

// --- Reading. ---

fn read(dir: &Path) -> Result<(), Failure> {
    static ENDED: AtomicBool = AtomicBool::new(false);
    thread::spawn(|| {
        let mut nothing = Vec::new();
        drop(io::stdin().read_to_end(&mut nothing));
        ENDED.store(true, Ordering::Release);
    });
    let mut size = 0;
    while !ENDED.load(Ordering::Acquire) {
        size = read_all(dir, size)?;
        say(&format!("read {size}"));
    }
    Ok(())
}

/// Opens the store, reads everything, and returns how large it is.
fn read_all(dir: &Path, least: u64) -> Result<u64, Failure> {
    let store = Store::open(dir, OpenOptions::default())?;
    let checkpoint = Checkpoint::parse(Note::parse(store.checkpoint().as_bytes())?.text())?;
    if checkpoint.size != store.size() || store.size() < least {
        let (size, signed) = (store.size(), checkpoint.size);
        return Err(format!("it has {size} entries, {signed} are signed, and {least} were there").into());
    }
    let mut tree = Frontier::new(Rfc9162);
    for entry in store.entries(0..store.size())? {
        tree.push(Rfc9162::leaf_hash(&entry.bytes))?;
    }
    if tree.root() != Some(checkpoint.root) {
        return Err("the entries do not lead to the checkpoint's root".into());
    }
    for id in store.of_kind(Kind::Dataset)?.iter().rev().take(20) {
        let node = store.node(id)?.ok_or("a node that is listed is not there")?;
        if node.record.id() != *id {
            return Err(format!("node {id} is another").into());
        }
        store.ancestors(id, None)?;
    }
    Ok(store.size())
}
