//! A witness that is killed at any moment never cosigns what does not fit to what it cosigned before.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::Mutex;

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    note::{NoteSigner, NoteVerifier},
    tree::{Rfc9162, TreeSize, prove_consistency, root},
};
use griptrace_tests::seed::{Rng, Seed};

use super::{
    wire::{Got, add_checkpoint, body, fetch},
    *,
};

const ORIGIN: &str = "log.example/killed";
const NAME: &str = "w1.example";
const ROUNDS: u64 = 14;
/// Clients that send what the log grew by, and that send other histories of it.
const HONEST: u64 = 4;
const LIARS: u64 = 2;
/// The history that never turns off.
const TRUE: u64 = u64::MAX;

fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[7; 32]).unwrap()
}

/// The checkpoint of a size in the history that turns off from the true one at a leaf, with the leaves.
fn checkpoint(size: u64, turn: u64) -> (Checkpoint, Vec<Digest>) {
    let leaf = |leaf: u64| Rfc9162::leaf_hash(&[leaf.to_be_bytes().as_slice(), &[u8::from(leaf >= turn)]].concat());
    let leaves: Vec<Digest> = (0..size).map(leaf).collect();
    let root = root(&Rfc9162, &leaves).unwrap_or(Rfc9162::EMPTY_ROOT);
    (Checkpoint { origin: ORIGIN.to_owned(), size, root }, leaves)
}

/// Asks for a cosignature with a proof that holds in that history. Returns the text of the checkpoint too.
fn submit(url: &str, (old, size): (u64, u64), turn: u64) -> (String, Got) {
    let (checkpoint, leaves) = checkpoint(size, turn);
    let is_proven = old > 0 && old < size;
    let proof = if is_proven { prove_consistency(&Rfc9162, &leaves, TreeSize::new(old)).unwrap() } else { Vec::new() };
    let text = checkpoint.to_text();
    let note = Note::new(&text, vec![signer().sign(&text)]).unwrap().to_text();
    let got = add_checkpoint(url, &body(old, &proof, &note));
    (text, got)
}

/// What is known from outside, over all rounds.
struct Seen {
    key: NoteVerifier,
    /// The largest size that was cosigned, as far as anybody was told.
    told: AtomicU64,
    cosigned: AtomicU64,
    cut: AtomicU64,
    refused: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Seen {
    /// Sends what the log grew by, and sometimes what it had, until the witness is gone.
    fn grow(&self, url: &str, mut rng: Rng, is_over: &AtomicBool) {
        while !is_over.load(SeqCst) {
            let old = self.told.load(SeqCst);
            let size = old + rng.below(3);
            let (text, got) = submit(url, (old, size.max(1)), TRUE);
            match got {
                Got::Answer(200, lines) => {
                    let note = Note::parse(format!("{text}\n{lines}").as_bytes()).unwrap();
                    if note.verify(core::slice::from_ref(&self.key)).map(|found| found.len()) != Ok(1) {
                        self.wrong.lock().unwrap().push(format!("not cosigned: {lines}"));
                    }
                    self.told.fetch_max(size.max(1), SeqCst);
                    self.cosigned.fetch_add(1, SeqCst);
                }
                Got::Answer(409, told) => drop(self.told.fetch_max(told.trim().parse().unwrap(), SeqCst)),
                Got::Answer(503, _) => {}
                Got::Answer(status, said) => {
                    self.wrong.lock().unwrap().push(format!("{old} to {size}: {status} {said}"));
                }
                Got::Cut => drop(self.cut.fetch_add(1, SeqCst)),
                Got::Nobody => return,
            }
        }
    }

    /// Sends histories that turn off below what was cosigned: a witness that forgot that would take one.
    fn lie(&self, url: &str, mut rng: Rng, is_over: &AtomicBool) {
        while !is_over.load(SeqCst) {
            let told = self.told.load(SeqCst);
            if told == 0 {
                continue;
            }
            // Mostly what it would have forgotten last.
            let turn = told - 1 - rng.below(told.min(3)) * u64::from(!rng.one_in(4));
            if let (_, Got::Nobody) = self.lie_once(url, turn, told + rng.below(3)) {
                return;
            }
        }
    }

    fn lie_once(&self, url: &str, turn: u64, size: u64) -> (String, Got) {
        let (text, got) = submit(url, (turn, size), turn);
        match &got {
            Got::Answer(200, _) => self.wrong.lock().unwrap().push(format!("another history from {turn} on: {text}")),
            Got::Answer(..) => drop(self.refused.fetch_add(1, SeqCst)),
            Got::Nobody | Got::Cut => {}
        }
        (text, got)
    }

    /// Looks at a witness that was started again.
    fn check(&self, url: &str) {
        let least = self.told.load(SeqCst);
        let (_, got) = submit(url, (0, least + 1), TRUE);
        let Got::Answer(409, told) = got else { panic!("an old size of 0 after {least} were cosigned: {got:?}") };
        let size: u64 = told.trim().parse().unwrap();
        assert!(size >= least, "{least} entries were cosigned, and it remembers {size}");
        let hash = <sha2::Sha256 as sha2::Digest>::digest(ORIGIN);
        let hash = Digest::from_bytes(hash.into());
        let Got::Answer(200, kept) = fetch(url, &format!("/{hash}/checkpoint")) else { panic!("it shows nothing") };
        let kept = Checkpoint::parse(Note::parse(kept.as_bytes()).unwrap().text()).unwrap();
        assert_eq!(kept, checkpoint(size, TRUE).0, "it remembers the one history");
        for turn in (0..least).rev().take(8).chain([0]) {
            self.lie_once(url, turn, size + 1);
        }
    }
}

/// `kill -9` in the middle of many requests, again and again. What was answered was kept before; what was kept and not
/// answered is of the one history too.
#[test]
fn a_witness_that_is_killed_cosigns_one_history() {
    let mut rng = Seed::for_test("a_witness_that_is_killed_cosigns_one_history").rng();
    let desk = Desk::new();
    let vkey = make(&desk, NAME, &[]).remove(0);
    desk.say(&["witness", "add-log", NAME, &signer().verifier().to_vkey()]);
    let (key, zero) = (NoteVerifier::parse(&vkey).unwrap(), AtomicU64::default);
    let seen = Seen { key, told: zero(), cosigned: zero(), cut: zero(), refused: zero(), wrong: Mutex::default() };
    for round in 0..ROUNDS {
        let mut running = Witness::start(&desk, NAME);
        // On a busy machine nothing may be cosigned before it is killed for the first time.
        if seen.told.load(SeqCst) > 0 {
            seen.check(&running.url);
        }
        let is_over = AtomicBool::new(false);
        let delay = Duration::from_micros(20_000 + rng.below(130_000));
        let mut seeds = || Seed::from_number(rng.next_u64()).rng();
        thread::scope(|scope| {
            let (seen, url, is_over) = (&seen, running.url.clone(), &is_over);
            for client in 0..HONEST + LIARS {
                let (url, rng) = (url.clone(), seeds());
                scope.spawn(
                    move || {
                        if client < HONEST { seen.grow(&url, rng, is_over) } else { seen.lie(&url, rng, is_over) }
                    },
                );
            }
            thread::sleep(delay);
            running.process.kill();
            is_over.store(true, SeqCst);
        });
        assert_eq!(*seen.wrong.lock().unwrap(), [""; 0], "round {round}");
    }
    let last = Witness::start(&desk, NAME);
    seen.check(&last.url);
    assert_eq!(*seen.wrong.lock().unwrap(), [""; 0]);
    let counts = [&seen.cosigned, &seen.refused, &seen.cut].map(|count| count.load(SeqCst));
    assert!(counts[0] > 2 * ROUNDS && counts[1] > 8 * ROUNDS && counts[2] > 0, "too little happened: {counts:?}");
}
