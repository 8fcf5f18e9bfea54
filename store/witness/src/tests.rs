//! The witness from outside: bytes in, bytes out, and what is on the shelf in between.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    thread,
};

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    note::{Cosigner, Note, NoteSigner, NoteVerifier},
    tree::{Rfc9162, TreeSize, prove_consistency, root},
};

use crate::{
    Cosigners, Witness,
    judge::Answer,
    log::{self, LogError, origin_hash},
    shelf::{Folder, Shelf},
    wire::{AddCheckpoint, REQUEST_BYTES_MAX, SIZE_TYPE},
};

const NOW: u64 = 1_790_000_000;
const ORIGIN: &str = "log.example/2026";

/// A shelf in memory that fails when it is told to; clones are the same shelf.
#[derive(Clone, Debug, Default)]
struct Board(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    files: BTreeMap<String, Vec<u8>>,
    writes: usize,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nothing is written.
    Lost,
    /// It is written, and the caller is told that it is not.
    Persisted,
}

impl Board {
    fn fail(&self, fault: Option<Fault>) {
        self.0.lock().unwrap().fault = fault;
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    fn state(&self) -> String {
        let name = format!("logs/{}/state", origin_hash(ORIGIN));
        String::from_utf8(self.read(&name).unwrap().unwrap()).unwrap()
    }
}

impl Shelf for Board {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().files.get(name).cloned())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap();
        contents.writes += 1;
        if !matches!(contents.fault, Some(Fault::Lost)) {
            contents.files.insert(name.to_owned(), bytes.to_vec());
        }
        if contents.fault.is_some() { Err(io::Error::other("injected")) } else { Ok(()) }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let contents = self.0.lock().unwrap();
        let below = contents.files.keys().filter_map(|name| name.strip_prefix(folder)?.strip_prefix('/'));
        let mut names: Vec<String> = below.filter_map(|name| name.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }

    fn remove(&self, folder: &str) -> io::Result<()> {
        self.0.lock().unwrap().files.retain(|name, _| !name.starts_with(&format!("{folder}/")));
        Ok(())
    }
}

fn cosigners() -> Cosigners {
    let plain = vec![Cosigner::new("w.example", &[2; 32]).unwrap(), Cosigner::subtree("w.example", &[3; 32]).unwrap()];
    Cosigners { plain, map: None }
}

fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[1; 32]).unwrap()
}

fn open(board: &Board) -> Result<Witness, LogError> {
    Witness::open(Box::new(board.clone()), cosigners())
}

/// A witness that knows the log.
fn witness() -> (Board, Witness) {
    let board = Board::default();
    log::add(&board, &signer().verifier().to_vkey(), None).unwrap();
    let witness = open(&board).unwrap();
    (board, witness)
}

/// The leaves of the log; `other` is another history.
fn leaves(size: u64, other: bool) -> Vec<Digest> {
    (0..size).map(|leaf| Rfc9162::leaf_hash(&[leaf.to_be_bytes().as_slice(), &[u8::from(other)]].concat())).collect()
}

fn checkpoint(size: u64, other: bool) -> Checkpoint {
    let root = root(&Rfc9162, &leaves(size, other)).unwrap_or(Rfc9162::EMPTY_ROOT);
    Checkpoint { origin: ORIGIN.to_owned(), size, root }
}

fn note(checkpoint: &Checkpoint, signer: &NoteSigner) -> Note {
    let text = checkpoint.to_text();
    Note::new(&text, vec![signer.sign(&text)]).unwrap()
}

fn request(old: u64, size: u64) -> AddCheckpoint {
    let proof = if old == 0 || old >= size {
        Vec::new()
    } else {
        prove_consistency(&Rfc9162, &leaves(size, false), TreeSize::new(old)).unwrap()
    };
    AddCheckpoint { old, proof, note: note(&checkpoint(size, false), &signer()) }
}

fn send(witness: &Witness, request: &AddCheckpoint, now: u64) -> Answer {
    witness.add_checkpoint(&request.to_bytes(), now)
}

/// Verifies an answer as a log would, and returns the times.
fn times(request: &AddCheckpoint, answer: &Answer) -> Vec<Option<u64>> {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let text = format!("{}\n{}", request.note.text(), String::from_utf8(answer.body.clone()).unwrap());
    let keys: Vec<NoteVerifier> = cosigners().verifiers();
    let found = Note::parse(text.as_bytes()).unwrap().verify(&keys).unwrap();
    assert_eq!(found.iter().map(|line| line.key).collect::<Vec<_>>(), [0, 1], "every key cosigned");
    found.iter().map(|line| line.timestamp).collect()
}

#[test]
fn a_log_that_grows_is_cosigned_at_every_size() {
    let (_, witness) = witness();
    let mut old = 0;
    for (step, size) in [0_u64, 0, 1, 1, 2, 7, 8, 300].into_iter().enumerate() {
        let now = NOW + u64::try_from(step).unwrap();
        let request = request(old, size);
        assert_eq!(times(&request, &send(&witness, &request, now)), [Some(now), Some(now)], "from {old} to {size}");
        old = size;
    }
    let read = witness.checkpoint(&origin_hash(ORIGIN));
    let note = Note::parse(&read.body).unwrap();
    assert_eq!((read.status, note.signatures().len()), (200, 3), "the log's line and both of the witness");
    assert_eq!(Checkpoint::parse(note.text()).unwrap().size, 300);
}

/// Every status of tlog-witness, `add-checkpoint`.
#[test]
fn every_refusal_has_the_status_of_the_protocol() {
    let (_, witness) = witness();
    let status = |request: &AddCheckpoint| send(&witness, request, NOW + 1).status;
    let stranger = NoteSigner::new(ORIGIN, &[9; 32]).unwrap();
    let elsewhere = NoteSigner::new("other.example", &[1; 32]).unwrap();
    let with = |request: AddCheckpoint, note: Note| AddCheckpoint { note, ..request };

    assert_eq!(witness.checkpoint(&origin_hash(ORIGIN)).status, 404, "nothing yet");
    assert_eq!(status(&AddCheckpoint { old: 0, proof: vec![Digest::ZERO], ..request(0, 8) }), 422, "a needless proof");
    let empty = Checkpoint { root: Digest::ZERO, ..checkpoint(0, false) };
    let text = empty.to_text();
    let signed = Note::new(&text, vec![signer().sign(&text)]).unwrap();
    assert_eq!(status(&with(request(0, 0), signed)), 422, "another root of nothing");

    assert_eq!(status(&request(0, 8)), 200);
    assert_eq!(witness.add_checkpoint(b"old 8\n", NOW).status, 400);
    assert_eq!(status(&AddCheckpoint { old: 9, ..request(0, 8) }), 400, "old beyond the checkpoint");
    let other = Checkpoint { origin: "other.example".to_owned(), ..checkpoint(9, false) };
    assert_eq!(status(&with(request(8, 9), note(&other, &elsewhere))), 404);
    assert_eq!(status(&with(request(8, 9), note(&checkpoint(9, false), &stranger))), 403, "no known key");
    let mut forged = request(8, 9).note.to_text();
    forged = forged.replacen("\n9\n", "\n10\n", 1);
    assert_eq!(status(&with(request(8, 9), Note::parse(forged.as_bytes()).unwrap())), 403, "a bad signature");
    let conflict = send(&witness, &request(7, 9), NOW + 1);
    assert_eq!((conflict.status, conflict.kind, conflict.body.as_slice()), (409, SIZE_TYPE, b"8\n".as_slice()));
    assert_eq!(status(&request(0, 9)), 409);
    assert_eq!(status(&AddCheckpoint { proof: vec![Digest::ZERO], ..request(8, 9) }), 422, "a bad proof");
    assert_eq!(status(&AddCheckpoint { proof: Vec::new(), ..request(8, 9) }), 422, "no proof");
    let split = with(request(8, 8), note(&checkpoint(8, true), &signer()));
    assert_eq!(status(&split), 422, "another root of the same size");
    assert_eq!(status(&AddCheckpoint { proof: vec![Digest::ZERO], ..request(8, 8) }), 422, "a proof of nothing");
    assert_eq!(send(&witness, &request(8, 9), NOW).status, 503, "the clock went back");
    assert_eq!(status(&request(8, 8)), 200, "the same again is cosigned again");
    assert_eq!(status(&request(8, 9)), 200);
    assert_eq!(witness.checkpoint("../../etc/passwd").status, 404);
}

#[test]
fn two_roots_of_one_size_are_kept_as_evidence_whatever_old_size_came_with_them() {
    let (board, witness) = witness();
    assert_eq!(send(&witness, &request(0, 8), NOW).status, 200);
    let split = note(&checkpoint(8, true), &signer());
    for old in [8, 3] {
        let request = AddCheckpoint { old, proof: Vec::new(), note: split.clone() };
        assert_ne!(send(&witness, &request, NOW + 1).status, 200);
    }
    let kept = log::evidence(&board, ORIGIN).unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let name = format!("logs/{}/evidence/{}", origin_hash(ORIGIN), kept[0]);
    let evidence = String::from_utf8(board.read(&name).unwrap().unwrap()).unwrap();
    for size in [checkpoint(8, false), checkpoint(8, true)] {
        assert!(evidence.contains(&size.to_text()), "both checkpoints are in it");
    }
    // A failed proof alone shows nothing: anybody can send one.
    assert_eq!(send(&witness, &AddCheckpoint { proof: Vec::new(), ..request(8, 9) }, NOW + 1).status, 422);
    assert_eq!(log::evidence(&board, ORIGIN).unwrap().len(), 1);
}

/// Nobody is told of a cosignature that is not durable, and after a failed write nothing is cosigned at all.
#[test]
fn what_is_not_kept_is_not_told() {
    for fault in [Fault::Lost, Fault::Persisted] {
        let (board, witness) = witness();
        assert_eq!(send(&witness, &request(0, 4), NOW).status, 200);
        board.fail(Some(fault));
        let answer = send(&witness, &request(4, 8), NOW + 1);
        assert_eq!(answer.status, 503);
        assert!(!String::from_utf8(answer.body).unwrap().contains('\u{2014}'), "no line leaves");
        board.fail(None);
        assert_eq!(send(&witness, &request(4, 8), NOW + 2).status, 503, "{fault:?}: until it is opened again");
        let again = open(&board).unwrap();
        let expected = match fault {
            Fault::Lost => 4,
            Fault::Persisted => 8,
        };
        assert_eq!(send(&again, &request(1, 9), NOW + 3).body, format!("{expected}\n").into_bytes());
        assert_eq!(send(&again, &request(expected, 9), NOW + 3).status, 200);
    }
}

#[test]
fn what_was_cosigned_is_on_the_shelf_before_the_answer_and_after_a_restart() {
    let (board, witness) = witness();
    let answer = send(&witness, &request(0, 5), NOW);
    let said = String::from_utf8(answer.body).unwrap();
    assert!(board.state().ends_with(&said), "every line of the answer is in the state");
    drop(witness);
    let again = open(&board).unwrap();
    assert_eq!(send(&again, &request(0, 9), NOW + 1).body, b"5\n");
    assert_eq!(send(&again, &request(5, 5), NOW - 1).status, 503, "its time is remembered too");
}

/// A state that was lost, torn, exchanged or set back to `never` by hand is not cosigned from.
#[test]
fn a_witness_that_can_not_tell_what_it_cosigned_does_not_open() {
    let (board, witness) = witness();
    assert_eq!(send(&witness, &request(0, 5), NOW).status, 200);
    drop(witness);
    let name = format!("logs/{}/state", origin_hash(ORIGIN));
    let good = board.read(&name).unwrap().unwrap();
    let refused = |bytes: Option<Vec<u8>>| {
        let mut contents = board.0.lock().unwrap();
        match bytes {
            Some(bytes) => contents.files.insert(name.clone(), bytes),
            None => contents.files.remove(&name),
        };
        drop(contents);
        matches!(open(&board), Err(LogError::Damaged { .. }))
    };
    assert!(refused(None), "a lost state");
    assert!(refused(Some(Vec::new())), "an empty state");
    for end in 0..good.len() {
        assert!(refused(Some(good[..end].to_vec())), "cut at {end}");
    }
    for at in 0..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        assert!(refused(Some(damaged)), "byte {at}");
    }
    let note = request(0, 5).note.to_text();
    let unsigned = format!("griptrace-witness-state-v1 {}\n{note}", origin_hash(&note));
    assert!(refused(Some(unsigned.into_bytes())), "a checkpoint that this witness did not cosign");
    assert!(!refused(Some(good)));
}

/// What races for one old size: one wins each size, and nothing goes back.
#[test]
fn requests_for_one_log_go_one_by_one() {
    let (board, witness) = witness();
    let won: Vec<u64> = thread::scope(|scope| {
        let tries: Vec<_> = (1..=16_u64)
            .map(|size| {
                let witness = &witness;
                scope.spawn(move || (send(witness, &request(0, size), NOW).status == 200).then_some(size))
            })
            .collect();
        tries.into_iter().filter_map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(won.len(), 1, "{won:?}");
    let told = send(&witness, &request(17, 20), NOW).body;
    assert_eq!(told, format!("{}\n", won[0]).into_bytes());
    assert!(board.state().contains(&checkpoint(won[0], false).to_text()));
}

/// Anybody can send a checkpoint again: within the second it costs neither a write nor a second time.
#[test]
fn the_same_within_a_second_is_the_same_answer_without_a_write() {
    let (board, witness) = witness();
    let first = send(&witness, &request(0, 5), NOW);
    let writes = board.writes();
    assert_eq!(send(&witness, &request(5, 5), NOW), first);
    assert_eq!(board.writes(), writes);
    assert_ne!(send(&witness, &request(5, 5), NOW + 1), first);
    // Weeks later it says of the same checkpoint, with a new time, that nothing came since.
    let later = send(&witness, &request(5, 5), NOW + 3_000_000);
    assert_eq!(times(&request(5, 5), &later), [Some(NOW + 3_000_000); 2]);
}

#[test]
fn a_log_that_is_added_while_it_runs_is_known_at_once() {
    let board = Board::default();
    let witness = open(&board).unwrap();
    assert_eq!(send(&witness, &request(0, 5), NOW).status, 404);
    log::add(&board, &signer().verifier().to_vkey(), Some("https://tiles.example")).unwrap();
    assert_eq!(send(&witness, &request(0, 5), NOW).status, 200);
    let again = log::add(&board, &signer().verifier().to_vkey(), None);
    assert!(matches!(again, Err(LogError::Exists { .. })));
    let cosigner = Cosigner::new("w.example", &[2; 32]).unwrap();
    assert!(matches!(log::add(&board, &cosigner.verifier().to_vkey(), None), Err(LogError::Key { .. })));
}

/// Whoever stole a log's key that retired neither has another history cosigned nor accuses the log.
#[test]
fn a_key_that_another_followed_is_not_cosigned_any_more() {
    let (board, _) = witness();
    let next = NoteSigner::new(ORIGIN, &[4; 32]).unwrap();
    log::add(&board, &next.verifier().to_vkey(), None).unwrap();
    let witness = open(&board).unwrap();
    let by_next = |old, size| AddCheckpoint { note: note(&checkpoint(size, false), &next), ..request(old, size) };
    assert_eq!(send(&witness, &request(0, 5), NOW).status, 200, "the first key until the log uses the next");
    assert_eq!(send(&witness, &request(5, 6), NOW + 1).status, 200);
    assert_eq!(send(&witness, &by_next(6, 8), NOW + 2).status, 200);
    assert_eq!(send(&witness, &request(8, 9), NOW + 3).status, 403, "not after that");
    let split = AddCheckpoint { note: note(&checkpoint(8, true), &signer()), ..request(8, 8) };
    assert_eq!(send(&witness, &split, NOW + 3).status, 403);
    assert_eq!(log::evidence(&board, ORIGIN).unwrap(), Vec::<String>::new());
    let witness = open(&board).unwrap();
    assert_eq!(send(&witness, &request(8, 9), NOW + 4).status, 403, "nor after a restart");
    assert_eq!(send(&witness, &by_next(8, 9), NOW + 4).status, 200);
}

#[test]
fn one_process_at_a_time_cosigns_from_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Folder::lock(dir.path()).unwrap();
    assert_eq!(Folder::lock(dir.path()).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    log::add(&first, &signer().verifier().to_vkey(), None).unwrap();
    let witness = Witness::open(Box::new(first), cosigners()).unwrap();
    assert_eq!(send(&witness, &request(0, 3), NOW).status, 200);
    drop(witness);
    let again = Witness::open(Box::new(Folder::lock(dir.path()).unwrap()), cosigners()).unwrap();
    assert_eq!(send(&again, &request(0, 3), NOW).body, b"3\n");
}

/// No changed request is cosigned otherwise than an unchanged one would be, and none makes the witness panic.
#[test]
fn no_mutation_is_cosigned() {
    let (board, witness) = witness();
    assert_eq!(send(&witness, &request(0, 5), NOW).status, 200);
    let good = request(5, 9).to_bytes();
    let before = board.state();
    for at in 0..good.len() {
        for change in [1_u8, 0x20, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            assert_ne!(witness.add_checkpoint(&bytes, NOW + 1).status, 200, "byte {at} by {change:#x}");
        }
        assert_ne!(witness.add_checkpoint(&good[..at], NOW + 1).status, 200, "cut at {at}");
        let doubled = [&good[..at], &good[at.saturating_sub(1)..]].concat();
        assert!(at == 0 || witness.add_checkpoint(&doubled, NOW + 1).status != 200, "doubled at {at}");
    }
    assert_eq!(witness.add_checkpoint(&vec![b'\n'; REQUEST_BYTES_MAX], NOW + 1).status, 400);
    assert_eq!(board.state(), before, "nothing was kept");
    assert_eq!(witness.add_checkpoint(&good, NOW + 1).status, 200);
}
