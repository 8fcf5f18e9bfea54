//! Signed notes, checkpoints and their keys.

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use griptrace_core::{
    checkpoint::Checkpoint,
    limits::NOTE_SIGNATURES_MAX,
    note::{Cosigner, KeyKind, Note, NoteSignature, NoteSigner, NoteVerifier, cosignature_message},
};

use super::{guard::bounded, input::Input};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 5 {
        0 => note(input.rest()),
        1 => checkpoint(input.rest()),
        2 => vkey(input.rest()),
        3 => line(input.rest()),
        _ => signed(&mut input),
    }
}

/// A log's key, and a witness's of each kind.
fn known() -> (NoteSigner, [Cosigner; 3]) {
    let signer = NoteSigner::new("maker.example/2026", &[1; 32]).expect("it is a name");
    let name = "w1.example";
    let cosigners =
        [Cosigner::new(name, &[2; 32]), Cosigner::subtree(name, &[3; 32]), Cosigner::status_map(name, &[4; 32])];
    (signer, cosigners.map(|cosigner| cosigner.expect("it is a name")))
}

/// What is known of them.
fn verifiers(signer: &NoteSigner, cosigners: &[Cosigner]) -> Vec<NoteVerifier> {
    let cosigners = cosigners.iter().map(Cosigner::verifier);
    core::iter::once(signer.verifier()).chain(cosigners).cloned().collect()
}

fn note(bytes: &[u8]) {
    match bounded(bytes.len(), || Note::parse(bytes)) {
        Ok(note) => {
            assert_eq!(note.to_text().as_bytes(), bytes);
            assert!(note.text().ends_with('\n'));
            assert!((1..=NOTE_SIGNATURES_MAX).contains(&note.signatures().len()));
            assert_eq!(Note::new(note.text(), note.signatures().to_vec()).as_ref(), Ok(&note));
            verify(&note);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}

/// What verifies does so by the key alone, over the bytes that the specification names.
fn verify(note: &Note) {
    let (signer, cosigners) = known();
    let known = verifiers(&signer, &cosigners);
    let Ok(verified) = note.verify(&known) else { return };
    for (key, verifier) in known.iter().enumerate() {
        let lines = verified.iter().filter(|found| found.key == key).count();
        assert!(lines <= if verifier.kind().is_cosigner() { 2 } else { 1 });
    }
    for found in verified {
        let key = &known[found.key];
        let is_at = |line: &NoteSignature| {
            !key.kind().is_cosigner() || line.signature()[..8] == found.timestamp.unwrap_or(0).to_be_bytes()
        };
        let is_of = |line: &&NoteSignature| line.name() == key.name() && line.key_id() == key.key_id() && is_at(line);
        let line = note.signatures().iter().find(is_of).expect("somebody signed");
        let (message, signature) = match (key.kind(), found.timestamp) {
            (KeyKind::Ed25519, None) => (note.text().to_owned(), line.signature()),
            (KeyKind::CosignatureV1, Some(time)) => {
                (format!("cosignature/v1\ntime {time}\n{}", note.text()), &line.signature()[8..])
            }
            (KeyKind::StatusMapV1, Some(time)) => {
                (format!("griptrace-status-map/v1\ntime {time}\n{}", note.text()), &line.signature()[8..])
            }
            (KeyKind::SubtreeV1, _) => {
                assert!(Checkpoint::parse(note.text()).is_ok() && line.signature().len() == 8 + 2_420);
                continue;
            }
            other => panic!("{other:?}"),
        };
        let signature = Signature::from_slice(signature).expect("it has 64 bytes");
        let bytes = key.public_key().try_into().expect("it has 32 bytes");
        let key = VerifyingKey::from_bytes(bytes).expect("it is a key");
        assert!(key.verify(message.as_bytes(), &signature).is_ok());
    }
}

fn checkpoint(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    match bounded(bytes.len(), || Checkpoint::parse(text)) {
        Ok(checkpoint) => {
            assert_eq!(checkpoint.to_text(), text);
            let again = Checkpoint::new(&checkpoint.origin, checkpoint.size, checkpoint.root);
            assert_eq!(again.as_ref(), Ok(&checkpoint));
            let lines: Vec<&str> = text.split('\n').collect();
            assert_eq!((lines.len(), lines[0], lines[3]), (4, checkpoint.origin.as_str(), ""));
            assert_eq!(lines[1], checkpoint.size.to_string());
            assert_eq!(lines[2].len(), 44);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}

fn vkey(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    match bounded(bytes.len(), || NoteVerifier::parse(text)) {
        Ok(key) => {
            assert_eq!(key.to_vkey(), text);
            assert_eq!(NoteVerifier::new(key.name(), key.kind(), key.public_key()).as_ref(), Ok(&key));
            let parts: Vec<&str> = text.splitn(3, '+').collect();
            assert_eq!((parts[0], parts[1]), (key.name(), format!("{:08x}", key.key_id()).as_str()));
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}

fn line(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let Some(line) = bounded(bytes.len(), || NoteSignature::parse(text)) else { return };
    assert_eq!(line.to_line(), format!("{text}\n"));
    assert!(!line.signature().is_empty());
    assert!(!line.name().contains([' ', '\n', '+']));
}

/// Signs a text, changes the note in one place, and asks whether it still says what was signed.
fn signed(input: &mut Input<'_>) {
    let (signer, cosigners) = known();
    let [cosigner, subtree, map] = &cosigners;
    let time = input.number();
    let text = String::from_utf8_lossy(input.bytes(200)).into_owned() + "\n";
    assert_eq!(cosignature_message(&text, time).is_ok(), (1..1 << 63).contains(&time));
    let Ok(line) = cosigner.sign(&text, time) else { return };
    // A text may be none that can be signed: then nothing comes of it.
    let mut lines = vec![signer.sign(&text), line, map.sign(&text, time).expect("it is a time")];
    lines.extend(subtree.sign(&text, time).ok());
    assert_eq!(lines.len() == 4, Checkpoint::parse(&text).is_ok());
    let Ok(note) = Note::new(&text, lines) else { return };
    let known = verifiers(&signer, &cosigners);
    let verified = note.verify(&known).expect("all signed");
    assert!(verified.iter().all(|found| found.timestamp == (found.key > 0).then_some(time)));
    assert_eq!(verified.len(), note.signatures().len());
    let mut bytes = note.to_text().into_bytes();
    let place = input.place(bytes.len());
    bytes[place] ^= input.byte();
    let Ok(other) = Note::parse(&bytes) else { return };
    if let Ok(verified) = other.verify(&known)
        && !verified.is_empty()
    {
        assert_eq!(other.text(), note.text());
        assert!(verified.iter().all(|found| found.timestamp.is_none_or(|found| found == time)));
    }
}
