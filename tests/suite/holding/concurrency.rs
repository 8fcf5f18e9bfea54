//! Everybody at once: on one handle, through other handles, and from other processes.

use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::Instant,
};

use griptrace_core::{
    date::Date,
    entry::Entry,
    id::NodeId,
    key::Signer as _,
    node::Kind,
    tree::{LeafIndex, Rfc9162, TreeSize, verify_inclusion},
};
use griptrace_store::{LogEntry, OpenError, ProveOptions, Receipt, Store};
use griptrace_tests::seed::{Rng, Seed};
use griptrace_verifier::{
    finding::Verdict,
    known::Known,
    policy::{self, Policy},
    question::{ModelInHand, Question},
    trust::{self, Trust},
    verify::verify,
};

use super::{
    child::Child,
    factory::{Factory, ISSUER, NOW, ORIGIN, assessor, committer, genesis, log_signer},
    model::{check_audit, narrow, parse_note},
    quiet, reader, rounds, told, writer,
};

const THREADS: u64 = 64;

/// Whether a thread had anything to do, or what was wrong.
type Did = Result<bool, String>;
type Act = fn(&Crowd, &mut Rng, &mut Factory) -> Did;

const POLICY: &str = r#"id = "test"
version = "1"
status = "reference"
judge = "both"
[vocabulary]
grades = ["general", "important", "core"]
modality = ["visual"]
purpose = ["train"]
schemes = ["security-assessment"]
"#;

/// What the threads share.
struct Crowd {
    dir: PathBuf,
    store: Store,
    /// Nodes of each acknowledged commit, and its receipt's size.
    commits: Mutex<Vec<(Vec<NodeId>, u64)>>,
    /// Nodes of commits that are under way, or were.
    begun: Mutex<Vec<Vec<NodeId>>>,
    /// Models that were committed.
    models: Mutex<Vec<NodeId>>,
    wrong: Mutex<Vec<String>>,
    is_over: AtomicBool,
    done: [AtomicU64; 8],
    trust: Trust,
    policy: Policy,
}

/// What a thread does, one of these over and over. Each tells whether there was anything to do.
const WORK: [(&str, Act); 8] = [
    ("commits", Crowd::commit),
    ("commits again", Crowd::commit),
    ("whole or not at all", Crowd::find_whole),
    ("pinned ancestors", Crowd::pinned),
    ("names", Crowd::names),
    ("entries", Crowd::entries),
    ("bundles", Crowd::bundle),
    ("audits and other handles", Crowd::others),
];

fn some<T: Clone>(list: &Mutex<Vec<T>>, rng: &mut Rng) -> Option<T> {
    let list = list.lock().unwrap();
    if list.is_empty() { None } else { Some(list[rng.index(list.len())].clone()) }
}

impl Crowd {
    fn new(dir: &Path) -> Self {
        let store = Store::init(dir, &genesis(3), log_signer(), NOW).unwrap();
        Self {
            dir: dir.to_path_buf(),
            store,
            commits: Mutex::default(),
            begun: Mutex::default(),
            models: Mutex::default(),
            wrong: Mutex::default(),
            is_over: AtomicBool::new(false),
            done: Default::default(),
            trust: trust::parse("trust.toml", &trust_text()).unwrap(),
            policy: policy::parse("policy.toml", POLICY).unwrap(),
        }
    }

    fn work(&self, thread: u64, mut rng: Rng) {
        let mut factory = Factory::new(self.store.home(), Seed::from_number(rng.next_u64()).rng());
        let place = narrow(thread) % WORK.len();
        let (what, act) = WORK[place];
        while !self.is_over.load(Ordering::Acquire) {
            match act(self, &mut rng, &mut factory) {
                Ok(true) => drop(self.done[place].fetch_add(1, Ordering::Relaxed)),
                Ok(false) => thread::sleep(Duration::from_millis(5)),
                Err(error) => {
                    self.wrong.lock().unwrap().push(format!("{what}: {error}"));
                    return;
                }
            }
        }
    }

    /// Commits, and compares the receipt with the log.
    fn commit(&self, rng: &mut Rng, factory: &mut Factory) -> Did {
        let known: Vec<NodeId> = some(&self.commits, rng).map(|(ids, _)| ids).unwrap_or_default();
        let data =
            |id: &NodeId| Ok(Some(Kind::Dataset)) == self.store.node(id).map(|n| n.map(|n| n.core.kind)).map_err(drop);
        let known: Vec<NodeId> = known.into_iter().filter(data).collect();
        let mut nodes = factory.batch(&format!("name-{}", rng.below(50)), 1 + rng.index(12), &known);
        let source = factory.source("source");
        let trained = factory.train("model", &[source.id()], &["model.onnx"]);
        let model = trained[1].id();
        nodes.push(source);
        nodes.extend(trained);
        let ids: Vec<NodeId> = nodes.iter().map(griptrace_store::record::NodeRecord::id).collect();
        self.begun.lock().unwrap().push(ids.clone());
        let receipt = self.store.commit(nodes, &committer(), ISSUER, NOW).map_err(|error| told(&error))?;
        self.check_receipt(&receipt, &ids)?;
        self.commits.lock().unwrap().push((ids, receipt.size));
        self.models.lock().unwrap().push(model);
        Ok(true)
    }

    fn check_receipt(&self, receipt: &Receipt, ids: &[NodeId]) -> Result<(), String> {
        let head = parse_note(&receipt.checkpoint)?;
        if head.size != receipt.size || receipt.ids != ids || self.store.size() < receipt.size {
            return Err(format!("a receipt of {} for {} nodes under size {}", receipt.size, ids.len(), head.size));
        }
        let entries = self.store.entries(receipt.index..receipt.index + 1).map_err(|error| told(&error))?;
        let Ok(Entry::Commit(commit)) = Entry::parse(&entries[0].bytes) else {
            return Err(format!("entry {} is no commit", receipt.index));
        };
        if narrow(commit.payload.count) != ids.len() {
            return Err(format!("commit {} is of {} nodes, not {}", receipt.index, commit.payload.count, ids.len()));
        }
        let (leaf, at) = (Rfc9162::leaf_hash(&entries[0].bytes), LeafIndex::new(receipt.index));
        verify_inclusion(&Rfc9162, at, TreeSize::new(head.size), &leaf, &receipt.inclusion, &head.root)
            .map_err(|error| told(&error))
    }

    /// Looks for a commit that may be under way: once one node of it is there, all are.
    fn find_whole(&self, rng: &mut Rng, _: &mut Factory) -> Did {
        let begun = self.begun.lock().unwrap();
        // The newest ones are those that may just be coming.
        let from = begun.len().saturating_sub(40);
        let Some(ids) = begun.get(from + rng.index(40.min(begun.len()).max(1))).cloned() else { return Ok(false) };
        drop(begun);
        let mut index = None;
        // The last one first: what is published node by node shows it.
        let mut order: Vec<&NodeId> = ids.iter().collect();
        rng.shuffle(&mut order);
        for id in order {
            let found = self.store.node(id).map_err(|error| told(&error))?;
            match (index, found) {
                (None, None) => return Ok(true),
                (Some(_), None) => return Err(format!("torn: {id} is not there, and others of its commit are")),
                (None, Some(node)) if node.record.id() == *id => index = Some(node.index),
                (Some(index), Some(node)) if node.record.id() == *id && node.index == index => {}
                (_, Some(_)) => return Err(format!("node {id} is another, or elsewhere")),
            }
        }
        Ok(true)
    }

    /// Asks for ancestors and descendants in the log as it was, which never change.
    fn pinned(&self, rng: &mut Rng, _: &mut Factory) -> Did {
        let Some((ids, size)) = some(&self.commits, rng) else { return Ok(false) };
        let id = ids[rng.index(ids.len())];
        let ask = || {
            let up = self.store.ancestors(&id, Some(size)).map_err(|error| told(&error))?;
            let down = self.store.descendants(&id, Some(size)).map_err(|error| told(&error))?;
            Ok::<_, String>((up, down))
        };
        let before = ask()?;
        thread::sleep(Duration::from_millis(rng.below(30)));
        if before != ask()? {
            return Err(format!("what {id} came from, or what stands on it, at size {size} has changed"));
        }
        Ok(true)
    }

    fn names(&self, rng: &mut Rng, _: &mut Factory) -> Did {
        let name = format!("name-{}/0", rng.below(50));
        let before = self.store.by_name(&name).map_err(|error| told(&error))?;
        let after = self.store.by_name(&name).map_err(|error| told(&error))?;
        if after.starts_with(&before) {
            Ok(!after.is_empty())
        } else {
            Err(format!("the history of {name} is another"))
        }
    }

    /// Reads entries and the checkpoint; the one stands under the other.
    fn entries(&self, rng: &mut Rng, _: &mut Factory) -> Did {
        let head = parse_note(&self.store.checkpoint())?;
        let size = self.store.size();
        if head.size > size {
            return Err(format!("a checkpoint over {} entries, and {size} are there", head.size));
        }
        let from = rng.below(size);
        let entries = self.store.entries(from..from + 20).map_err(|error| told(&error))?;
        let places = entries.iter().map(|entry| entry.index);
        if !places.eq((from..).take(entries.len())) || entries.is_empty() {
            return Err(format!("entries from {from} of {size}: {} came", entries.len()));
        }
        let read = |entry: &LogEntry| Entry::parse(&entry.bytes).map(drop).map_err(|error| told(&error));
        entries.iter().try_for_each(read).map(|()| true)
    }

    fn bundle(&self, rng: &mut Rng, _: &mut Factory) -> Did {
        let Some(model) = some(&self.models, rng) else { return Ok(false) };
        let bundle = self.store.prove(&model, &ProveOptions::default()).map_err(|error| told(&error))?;
        let question = Question {
            now: Date::from_unix(NOW),
            destination: None,
            consignee: None,
            purposes: Vec::new(),
            model: ModelInHand::NotGiven,
            known: Known::default(),
        };
        let report = verify(&bundle, &self.trust, &self.policy, &question).map_err(|error| told(&error))?;
        let broken = report.findings.iter().find(|finding| finding.code.verdict() == Verdict::Broken);
        broken.map_or(Ok(true), |finding| Err(format!("the bundle of {model}: {} {}", finding.code, finding.text)))
    }

    fn others(&self, rng: &mut Rng, _: &mut Factory) -> Did {
        if rng.one_in(4) {
            let report = self.store.fsck(&quiet).map_err(|error| told(&error))?;
            return if report.is_clean() { Ok(true) } else { Err(format!("fsck: {:?}", report.faults)) };
        }
        let Some((ids, size)) = some(&self.commits, rng) else { return Ok(false) };
        let other = reader(&self.dir).map_err(|error| told(&error))?;
        if other.size() < size {
            return Err(format!("another handle sees {} entries after {size} were acknowledged", other.size()));
        }
        let id = ids[rng.index(ids.len())];
        let (here, there) = (self.store.node(&id), other.node(&id));
        match (here, there) {
            (Ok(Some(here)), Ok(Some(there))) if here == there => Ok(true),
            (here, there) => Err(format!("node {id} is {here:?} here and {there:?} there")),
        }
    }
}

fn trust_text() -> String {
    let (log, committer, assessor) =
        (log_signer().verifier().to_vkey(), committer().public_key(), assessor().public_key());
    format!(
        "max_age = \"30d\"\n[[log]]\norigin = \"{ORIGIN}\"\nvkey = \"{log}\"\n\
         [[committer]]\nname = \"maker\"\nkey = \"{committer}\"\nfrom = 2026-01-01\nroles = [\"commit\", \"grade\", \"ship\"]\n\
         [[assessor]]\nname = \"office\"\nkey = \"{assessor}\"\nschemes = [\"security-assessment\"]\n"
    )
}

#[test]
fn nobody_sees_anything_torn() {
    let mut rng = Seed::for_test("nobody_sees_anything_torn").rng();
    let dir = tempfile::tempdir().unwrap();
    let crowd = Crowd::new(dir.path());
    let time = Duration::from_secs(rounds(4));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let rng = Seed::from_number(rng.next_u64()).rng();
            let crowd = &crowd;
            scope.spawn(move || crowd.work(thread, rng));
        }
        let start = Instant::now();
        while start.elapsed() < time && crowd.wrong.lock().unwrap().is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
        crowd.is_over.store(true, Ordering::Release);
    });
    let mut wrong = crowd.wrong.into_inner().unwrap();
    let done = WORK.iter().zip(&crowd.done).map(|((what, _), done)| (*what, done.load(Ordering::Relaxed)));
    let done: Vec<(&str, u64)> = done.collect();
    println!("{} entries, {done:?}", crowd.store.size());
    check_audit(&crowd.store, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(done.iter().all(|(_, done)| *done > 0), "somebody never came to it: {done:?}");
    let size = crowd.store.size();
    drop(crowd.store);
    let store = writer(dir.path()).unwrap();
    assert_eq!(store.size(), size);
    for (ids, _) in crowd.commits.into_inner().unwrap() {
        assert!(ids.iter().all(|id| store.node(id).unwrap().is_some()), "a commit is there after all");
    }
}

#[test]
fn other_processes_read_a_whole_log_while_one_writes() {
    let mut rng = Seed::for_test("other_processes_read").rng();
    let dir = tempfile::tempdir().unwrap();
    drop(Store::init(dir.path(), &genesis(3), log_signer(), NOW).unwrap());
    let readers = [Child::read(dir.path()), Child::read(dir.path())];
    for _ in 0..rounds(2) {
        let mut committer = Child::commit(dir.path(), rng.next_u64(), 4, 30, &[]);
        committer.wait_until_open();
        thread::sleep(Duration::from_millis(500 + rng.below(700)));
        // What a killed writer left is there for readers as well.
        assert!(!committer.kill().is_empty());
        thread::sleep(Duration::from_millis(rng.below(100)));
    }
    for reader in readers {
        let sizes: Vec<u64> =
            reader.finish().iter().filter_map(|line| line.strip_prefix("read ")?.parse().ok()).collect();
        println!("read {} times, up to {:?} entries", sizes.len(), sizes.last());
        assert!(sizes.is_sorted() && sizes.len() > 2, "{sizes:?}");
    }
}

#[test]
fn a_second_process_is_told_who_writes_and_gets_the_store_after_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::init(dir.path(), &genesis(3), log_signer(), NOW).unwrap());
    // Busy all the while, and killed rather than closed.
    let mut first = Child::commit(dir.path(), 1, 3, 20, &[]);
    first.wait_until_open();
    let id = first.id().to_string();
    let error = writer(dir.path()).expect_err("two processes write");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(told(&error).contains(&id), "{error}, and it was {id}");
    assert!(reader(dir.path()).is_ok(), "reading needs no lock");
    let start = Instant::now();
    drop(first.kill());
    let store = writer(dir.path()).expect("a killed process holds nothing");
    assert!(start.elapsed() < Duration::from_secs(60), "it took {:?}", start.elapsed());
    let mut wrong = Vec::new();
    check_audit(&store, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
