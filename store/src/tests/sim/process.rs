//! A simulated process: the store's own code, called as a server calls it.

use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use griptrace_core::{id::NodeId, tree::Rfc9162};
use tempfile::TempDir;

use super::{
    beside::{Beside, key_of, signer},
    clients::Clients,
    dice::Dice,
    ledger::Ledger,
    port::Port,
};
use crate::{
    Fault, Found, OpenError, OpenOptions, ReadError, Standing, Store, commit::Writer, lease::WriterId,
    publish::Publication, tests::world::NOW,
};

/// What stood on a node at a size; `None` where it was not there yet.
type Answers = HashMap<(NodeId, u64), Option<Vec<Found>>>;

/// What everybody shares. One thread goes at a time, so that nobody ever waits for a lock here.
#[derive(Debug)]
pub(super) struct SharedWorld {
    pub(super) ledger: Mutex<Ledger>,
    pub(super) clients: Mutex<Clients>,
    pub(super) beside: Mutex<Beside>,
    /// What each process does, if it is open, and how many entries it shows.
    pub(super) standings: Mutex<Vec<Option<(Standing, u64)>>>,
    /// What readers were answered at pinned sizes.
    pub(super) answers: Mutex<Answers>,
    /// Whether things go wrong.
    pub(super) is_stormy: AtomicBool,
    /// Everybody looks at everything once more, and ends.
    pub(super) is_over: AtomicBool,
    /// Whether something is erased now and then.
    pub(super) has_erasures: bool,
    /// When a process was last given another key of the log.
    pub(super) key_came: AtomicU64,
}

/// A process that lives, crashes, and lives again.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: usize,
    pub(super) port: Arc<Port>,
    pub(super) shared: Arc<SharedWorld>,
    pub(super) dice: Dice,
    pub(super) local: TempDir,
    /// Whether it may write.
    pub(super) is_candidate: bool,
    /// How fast its clock goes, in hundredths.
    pub(super) rate: u64,
    /// Which of the log's keys it has, as far as it knows the newest.
    pub(super) key: u8,
    /// Whether it has to begin again with another one.
    pub(super) has_old_key: bool,
}

/// When what is to be done next, by the process' own clock in microseconds.
#[derive(Default)]
struct Due {
    tend: u64,
    publish: u64,
    merge: u64,
    /// What is being published meanwhile, as a server does it from another thread, and by whom.
    publication: Option<(Arc<Writer>, Publication)>,
}

impl Due {
    /// Ends what is being published.
    fn publish_now(&mut self, store: &Store) {
        if let Some((writer, publication)) = self.publication.take() {
            writer.write_publication(&store.0.objects, publication);
        }
    }
}

impl Process {
    pub(super) fn run(mut self) {
        while let Some(is_fresh) = self.port.begin() {
            if is_fresh {
                self.local = tempfile::tempdir().unwrap();
            }
            while let Some(store) = self.open() {
                if self.live(&store) {
                    break;
                }
                self.shared.standings.lock().unwrap()[self.number] = None;
            }
            self.shared.standings.lock().unwrap()[self.number] = None;
            self.port.end();
        }
    }

    pub(super) fn who(&self) -> String {
        format!("process {}", self.number)
    }

    fn clock(&self) -> Duration {
        Duration::from_micros(self.port.now() * self.rate / 100)
    }

    pub(super) fn ledger<T>(&self, tell: impl FnOnce(&mut Ledger) -> T) -> T {
        tell(&mut self.shared.ledger.lock().unwrap())
    }

    pub(super) fn error(&self, error: &dyn core::error::Error) {
        // What a process hears when it is dead is not the world's doing.
        if !self.port.is_dead() {
            self.ledger(|ledger| ledger.error(error, &self.who()));
        }
    }

    fn open(&mut self) -> Option<Store> {
        while !self.port.is_dead() {
            let signer = self.is_candidate.then(|| signer(self.key));
            let mut writer = [0; 32];
            self.dice.fill(&mut writer);
            let options = OpenOptions { signer, address: self.number.to_string(), ..OpenOptions::default() };
            match Store::join_as(WriterId::from_bytes(writer), self.port.clone(), self.local.path(), options) {
                Ok(store) => return Some(store),
                Err(error) => self.error(&error),
            }
            self.port.sleep(Duration::from_millis(300));
        }
        None
    }

    /// Goes on with a store; `false` if it has to be opened with another key.
    fn live(&mut self, store: &Store) -> bool {
        let mut due = Due::default();
        self.has_old_key = false;
        while !self.port.is_dead() {
            if self.shared.is_over.load(Ordering::SeqCst) {
                self.port.still();
                due.publish_now(store);
                self.audit(store);
                return true;
            }
            self.round(store, &mut due);
            if self.has_old_key {
                due.publish_now(store);
                return false;
            }
            let size = self.ledger(|ledger| ledger.shown(store, &format!("process {}", self.number)));
            if let Some((_, shown)) = &mut self.shared.standings.lock().unwrap()[self.number] {
                *shown = size;
            }
            if !self.shared.clients.lock().unwrap().has_mail(self.number) {
                self.port.sleep(Duration::from_micros(self.dice.between(5_000, 60_000)));
            }
        }
        true
    }

    fn round(&mut self, store: &Store, due: &mut Due) {
        let now = u64::try_from(self.clock().as_micros()).unwrap();
        // A server does both from threads of their own: who was stopped for long may come to either first.
        let is_late = self.dice.hits(5_000);
        if is_late {
            self.commit(store);
        }
        if now >= due.tend {
            self.tend(store);
            due.tend = now + self.dice.between(200_000, 300_000);
        }
        if !is_late {
            self.commit(store);
        }
        if now >= due.publish {
            if due.publication.is_none() && self.dice.hits(5_000) {
                due.publication = store.0.writer().and_then(|writer| {
                    let publication = writer.take_publication()?;
                    Some((writer, publication))
                });
            } else {
                due.publish_now(store);
                store.0.publish();
            }
            due.publish = now + self.dice.between(500_000, 1_500_000);
        }
        if now >= due.merge {
            if let Err(error) = store.merge_segments() {
                self.error(&error);
            }
            due.merge = now + self.dice.between(500_000, 5_000_000);
        }
        if self.dice.hits(1_000) {
            self.look(store);
        }
        // A process has one thread here: not while it is measured how soon commits go on.
        if self.shared.is_stormy.load(Ordering::SeqCst) {
            self.go_beside(store);
            // Whoever keeps the servers gives them the new key sooner or later.
            let newest = store.verifiers()[0].to_vkey();
            if self.is_candidate && self.dice.hits(200) && key_of(&newest) > Some(self.key) {
                self.hear_of(&newest, store);
            }
            if self.dice.hits(5) {
                // It publishes first, which waits its turn.
                due.publish_now(store);
                self.check(store);
            }
        }
    }

    fn tend(&mut self, store: &Store) {
        let tended = store.tend(self.clock());
        let standing = match tended {
            Ok(standing) => {
                if let Some(OpenError::WrongKey { expected, .. }) = store.wrong_key() {
                    self.hear_of(&expected, store);
                }
                standing
            }
            Err(error) => {
                self.error(&error);
                Standing::Reader(String::new())
            }
        };
        self.shared.standings.lock().unwrap()[self.number] = Some((standing, store.size()));
    }

    /// Hears that the log has another key than this process. It may be an older one only as long as the change to its own, which was
    /// acknowledged, is not signed for all to see.
    fn hear_of(&mut self, expected: &str, store: &Store) {
        match key_of(expected).filter(|key| *key > self.key) {
            Some(key) => (self.key, self.has_old_key) = (key, true),
            None if store.size() < store.head_seen().size => {}
            None => self.ledger(|l| l.fail(format!("{} has key {}, and hears of {expected}", self.who(), self.key))),
        }
    }

    fn commit(&self, store: &Store) {
        let mail = self.shared.clients.lock().unwrap().take(self.number);
        if mail.is_empty() {
            return;
        }
        let begun = self.port.now();
        let commits = {
            let clients = self.shared.clients.lock().unwrap();
            mail.iter().map(|(_, number)| clients.commit(*number)).collect()
        };
        let told = store.commit_signed(commits, NOW);
        if self.port.is_dead() {
            return;
        }
        let writer = match &self.shared.standings.lock().unwrap()[self.number] {
            Some((Standing::Reader(address), _)) => address.parse().ok(),
            _ => None,
        };
        let mut clients = self.shared.clients.lock().unwrap();
        for (from, told) in mail.into_iter().zip(told) {
            match &told {
                Ok(receipt) => self.ledger(|l| l.receipt(from.1, clients.entry(from.1), receipt, &self.who())),
                Err(error) => self.error(error),
            }
            clients.told(from, (begun, self.port.now()), &told, writer);
        }
    }

    /// Asks as a reader does, at sizes that were signed before.
    fn look(&mut self, store: &Store) {
        if let Err(error) = self.try_look(store) {
            self.error(&error);
        }
    }

    fn try_look(&mut self, store: &Store) -> Result<(), ReadError> {
        let who = self.who();
        let (one, two, three) = (self.dice.next(), self.dice.next(), self.dice.next());
        let size = store.size();
        let [old, new] = {
            let mut sizes = self.ledger(|ledger| [one, two].map(|chance| ledger.a_size(size, chance)));
            sizes.sort_unstable();
            sizes
        };
        if old == 0 {
            return Ok(());
        }
        let index = three % old;
        let proof = store.inclusion(index, new)?;
        self.ledger(|ledger| ledger.inclusion(index, new, proof.leaf_hash, &proof.path, &who));
        let proof = store.consistency(old, new)?;
        self.ledger(|ledger| ledger.consistency(old, new, &proof, &who));
        for entry in store.entries(index..index + 3)? {
            self.ledger(|ledger| ledger.leaf(entry.index, Rfc9162::leaf_hash(&entry.bytes), &who));
        }
        if let Some(note) = store.checkpoint_at(old)? {
            self.ledger(|ledger| ledger.note(&note, &who));
        }
        let data = self.shared.clients.lock().unwrap().some_data(three % 16);
        if let Some(id) = data {
            self.pinned(store, id, new)?;
        }
        Ok(())
    }

    /// Asks what stands on a node in a log of some size: it is answered as it was before.
    fn pinned(&self, store: &Store, id: NodeId, size: u64) -> Result<(), ReadError> {
        let found = match store.descendants(&id, Some(size)) {
            Ok(found) => Some(found),
            Err(ReadError::NoNode { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut answers = self.shared.answers.lock().unwrap();
        let before = answers.entry((id, size)).or_insert_with(|| found.clone());
        if *before != found {
            let why = format!("what stands on {id} at size {size} was {before:?}, and is {found:?}");
            self.ledger(|ledger| ledger.fail(why));
        }
        drop(answers);
        let node = store.node(&id)?;
        if let (Some(_), Some(stored)) = (found, node) {
            self.ledger(|ledger| {
                if stored.index >= size || stored.id != id {
                    ledger.fail(format!("node {id} was there at size {size}, and is in entry {}", stored.index));
                }
            });
        }
        Ok(())
    }

    fn check(&self, store: &Store) {
        match store.fsck(&|_, _, _| {}) {
            // What is being erased, or came late beside a block, is taken out when everything has come to rest.
            Ok(report) if report.faults.iter().all(Fault::is_erased) => {}
            Ok(report) => self.ledger(|l| l.fail(format!("process {} finds {:?}", self.number, report.faults))),
            Err(error) => self.error(&error),
        }
    }

    /// Looks at everything when the simulation is over, and nothing fails any more.
    fn audit(&mut self, store: &Store) {
        let tended = store.tend(self.clock() + Duration::from_secs(1));
        if let Some(OpenError::WrongKey { expected, .. }) = store.wrong_key() {
            self.hear_of(&expected, store);
        }
        if let Err(error) = tended {
            self.ledger(|ledger| ledger.fail(format!("process {} can't be tended at the end: {error}", self.number)));
        }
        store.0.publish();
        self.check(store);
        if let Err(error) = self.look_beside(store) {
            self.error(&error);
        }
        self.ledger(|ledger| ledger.shown(store, &self.who()));
        let clients = self.shared.clients.lock().unwrap();
        for chance in 0..64 {
            let lost = clients.some_data(chance).filter(|id| !store.node(id).is_ok_and(|node| node.is_some()));
            if let Some(id) = lost {
                self.ledger(|ledger| ledger.fail(format!("process {} does not have node {id}", self.number)));
            }
        }
    }
}
