//! Notes, lines and keys of every kind.

use alloc::string::ToString as _;
use alloc::vec;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::digest::Digest;
use crate::key::{Algorithm, PublicKey};

const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn parse_code(note: &str) -> &'static str {
    Note::parse(note.as_bytes()).unwrap_err().code()
}

/// The example of C2SP signed-note.
#[test]
fn the_example_of_the_specification_verifies() {
    let verifier = NoteVerifier::parse(VKEY).unwrap();
    assert_eq!(verifier.to_vkey(), VKEY);
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.to_text(), NOTE);
    assert_eq!(note.text(), "This is an example message.\n");
    let known = [verifier];
    assert_eq!(note.verify(&known), Ok(vec![VerifiedSignature { key: 0, timestamp: None }]));

    let other = Note::parse(NOTE.replace("example message", "exampel message").as_bytes()).unwrap();
    assert_eq!(other.verify(&known).unwrap_err().code(), "note-signature-invalid");
    assert_eq!(other.verify(&[]), Ok(vec![]));

    let (_, line) = NOTE.split_once("\n\n").unwrap();
    let twice = Note::parse((NOTE.to_string() + line).as_bytes()).unwrap();
    assert_eq!(twice.verify(&known).unwrap_err().code(), "note-signature-duplicate");
}

#[test]
fn logs_and_witnesses_sign_side_by_side() {
    let log = NoteSigner::new("log.example/1", &[1; 32]).unwrap();
    let witness = Cosigner::new("w1.example", &[2; 32]).unwrap();
    let text = "log.example/1\n0\nroot\n\nwith a blank line\n";
    let signatures = vec![log.sign(text), witness.sign(text, 1_679_315_147).unwrap()];
    let note = Note::new(text, signatures).unwrap();
    let parsed = Note::parse(note.to_text().as_bytes()).unwrap();
    assert_eq!(parsed, note);
    let keys = [witness.verifier().clone(), log.verifier().clone()];
    let keys = keys.map(|key| NoteVerifier::parse(&key.to_vkey()).unwrap());
    let found = parsed.verify(&keys).unwrap();
    let expected = [(1, None), (0, Some(1_679_315_147))];
    assert_eq!(found.iter().map(|found| (found.key, found.timestamp)).collect::<Vec<_>>(), expected);

    // What the witness says again, later, stands beside what it said first; more than that does not, nor does the same.
    let again = |times: &[u64]| {
        let lines = times.iter().map(|time| witness.sign(text, *time).unwrap());
        Note::new(text, lines.collect()).unwrap().verify(&keys).map(|found| found.len())
    };
    assert_eq!((again(&[5, 9]), again(&[9, 5])), (Ok(2), Ok(2)));
    for times in [&[5, 5][..], &[5, 9, 5], &[5, 9, 9], &[5, 9, 7]] {
        assert_eq!(again(times).unwrap_err().code(), "note-signature-duplicate", "{times:?}");
    }

    let mut moved = parsed.clone();
    moved.signatures[1].signature[7] ^= 1;
    assert_eq!(moved.verify(&keys).unwrap_err().code(), "note-signature-invalid");
    for timestamp in [0, u64::MAX] {
        assert_eq!(witness.sign(text, timestamp).unwrap_err().code(), "note-timestamp-invalid");
    }
    assert!(!format!("{log:?}{witness:?}").contains("SigningKey"));
}

#[test]
fn malformed_notes_have_their_codes() {
    assert_eq!(parse_code(""), "note-separator-missing");
    assert_eq!(parse_code("text\n"), "note-separator-missing");
    assert_eq!(parse_code("text\n\n"), "note-separator-missing");
    assert_eq!(parse_code(NOTE.trim_end()), "note-separator-missing");
    assert_eq!(parse_code(&NOTE.replace('\n', "\r\n")), "note-control-character");
    assert_eq!(parse_code(&(NOTE.to_string() + "\n")), "note-separator-missing");
    assert_eq!(parse_code(&(NOTE.to_string() + "more\n")), "note-signature-malformed");
    assert_eq!(parse_code(&NOTE.replace('\u{2014}', "-")), "note-signature-malformed");
    assert_eq!(parse_code(&NOTE.replace("example.com/foo", "")), "note-signature-malformed");
    assert_eq!(parse_code(&NOTE.replace("example.com/foo", "a+b")), "note-signature-malformed");
    assert_eq!(parse_code(&NOTE.replace("example.com/foo", "a\u{a0}b")), "note-signature-malformed");
    assert_eq!(parse_code(&NOTE.replace("QM=", "QM")), "note-signature-malformed");
    assert_eq!(parse_code(&NOTE.replace("QM=", "QN=")), "note-signature-malformed");
    assert_eq!(parse_code(&NOTE.replace("QM=", "QM=\u{20}")), "note-signature-malformed");
    assert_eq!(parse_code("text\n\n\u{2014} name AAAAAA==\n"), "note-signature-malformed");
    assert_eq!(Note::parse(b"\xff\n\n").unwrap_err(), NoteError::Encoding { at: 0 });
    assert_eq!(Note::parse(&vec![b'a'; NOTE_BYTES_MAX + 1]).unwrap_err().code(), "note-too-long");
    let (_, line) = NOTE.split_once("\n\n").unwrap();
    assert_eq!(parse_code(&(NOTE.to_string() + &line.repeat(100))), "note-too-many-signatures");
    assert!(Note::parse((NOTE.to_string() + &line.repeat(99)).as_bytes()).is_ok());
}

#[test]
fn a_text_that_would_be_read_otherwise_is_refused() {
    let log = NoteSigner::new("log", &[1; 32]).unwrap();
    for text in ["", "no newline", "text\n\n\u{2014} name AAAAAAA="] {
        assert!(Note::new(text, vec![log.sign(text)]).is_err(), "{text:?}");
    }
    assert!(Note::new("text\n", vec![]).is_err());
}

#[test]
fn malformed_vkeys_have_their_codes() {
    let code = |vkey: &str| NoteVerifier::parse(vkey).unwrap_err().code();
    assert_eq!(code(""), "vkey-malformed");
    assert_eq!(code("a+b"), "vkey-malformed");
    assert_eq!(code(&VKEY.replace("530d903a", "530D903A")), "vkey-malformed");
    assert_eq!(code(&VKEY.replace("530d903a", "530d903b")), "vkey-key-id-mismatch");
    assert_eq!(code(&VKEY.replace("foo", "bar")), "vkey-key-id-mismatch");
    assert_eq!(code(&VKEY.replace("example.com", "a b")), "note-name-invalid");
    assert_eq!(code(&VKEY.replace("+Aek", "+Bek")), "vkey-type-unsupported");
    assert_eq!(code("a+00000000+AQAA"), "vkey-key-invalid");
    assert_eq!(NoteVerifier::new("a", KeyKind::Ed25519, &[0; 32]).unwrap_err().code(), "vkey-key-invalid");
}

/// The key and checkpoint of `cmd/litewitness/testdata/mldsa.txt` in filippo.io/torchwood (ISC), made with another
/// ML-DSA in Go from this seed: an ML-DSA-44 line at the timestamp 0.
const TORCHWOOD: &str = include_str!("torchwood.txt");
const TORCHWOOD_SEED: &str = "2886adc2b0eabfce67c0472939127998bf886cf256bfee8ba76a253fce1146e0";

fn unhex(text: &str) -> [u8; 32] {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(byte).collect::<Vec<_>>().try_into().unwrap()
}

fn checkpoint(size: u64) -> String {
    Checkpoint::new("log.example/1", size, Digest::from_bytes([7; 32])).unwrap().to_text()
}

/// The cosigners of every kind, under one name.
fn cosigners() -> [Cosigner; 3] {
    [
        Cosigner::new("w1.example", &[2; 32]).unwrap(),
        Cosigner::subtree("w1.example", &[3; 32]).unwrap(),
        Cosigner::status_map("w1.example", &[4; 32]).unwrap(),
    ]
}

#[test]
fn the_ml_dsa_line_that_others_made_verifies() {
    let (vkey, note) = TORCHWOOD.split_once("\n\n").unwrap();
    let verifier = NoteVerifier::parse(vkey).unwrap();
    assert_eq!((verifier.kind(), verifier.key_id()), (KeyKind::SubtreeV1, 0xb5df_45c5));
    assert_eq!(verifier.to_vkey(), vkey);
    let ours = Cosigner::subtree("example.com/mldsa-log", &unhex(TORCHWOOD_SEED)).unwrap();
    assert_eq!(*ours.verifier(), verifier, "the seed makes the same key");
    let note = Note::parse(note.as_bytes()).unwrap();
    let known = [verifier];
    let unstated = VerifiedSignature { key: 0, timestamp: None };
    assert_eq!(note.verify(&known), Ok(vec![unstated]), "no time is no time");

    let mut moved = note.clone();
    moved.signatures[0].signature[7] = 1;
    assert_eq!(moved.verify(&known).unwrap_err().code(), "note-signature-invalid");
    let other = Note::parse(note.to_text().replace("\n1\n", "\n2\n").as_bytes()).unwrap();
    assert_eq!(other.verify(&known).unwrap_err().code(), "note-signature-invalid");
}

/// Each byte of `cosigned_message` as tlog-cosignature v1.1.0-rc.1 lays it out.
#[test]
fn the_message_of_ml_dsa_is_that_of_the_specification() {
    let message = subtree_message("w1", &checkpoint(0x0102), 0x6471_a1ff).unwrap();
    let expected: Vec<u8> = [
        b"subtree/v1\n\0".as_slice(),
        b"\x02w1",
        b"\0\0\0\0\x64\x71\xa1\xff",
        b"\x0dlog.example/1",
        b"\0\0\0\0\0\0\0\0",
        b"\0\0\0\0\0\0\x01\x02",
        &[7; 32],
    ]
    .concat();
    assert_eq!(message, expected);
    assert!(subtree_message(&"n".repeat(255), &checkpoint(1), MAX_TIMESTAMP).is_ok());
    let code = |name: &str, text: &str, time| subtree_message(name, text, time).unwrap_err().code();
    assert_eq!(code("", &checkpoint(1), 1), "note-name-invalid");
    assert_eq!(code(&"n".repeat(256), &checkpoint(1), 1), "note-name-invalid");
    assert_eq!(code("w1", &checkpoint(1), MAX_TIMESTAMP + 1), "note-timestamp-invalid");
    assert_eq!(code("w1", &(checkpoint(1) + "extension\n"), 1), "note-not-a-checkpoint");
}

#[test]
fn every_kind_of_cosignature_verifies_under_its_own_key_only() {
    let text = checkpoint(9);
    let (lines, keys): (Vec<_>, Vec<_>) = cosigners()
        .iter()
        .map(|cosigner| (cosigner.sign(&text, 1_679_315_147).unwrap(), cosigner.verifier().clone()))
        .unzip();
    assert_eq!(lines.iter().map(|line| line.signature().len()).collect::<Vec<_>>(), [72, 2_428, 72]);
    let note = Note::new(&text, lines.clone()).unwrap();
    let found = note.verify(&keys).unwrap();
    assert_eq!(found, [0, 1, 2].map(|key| VerifiedSignature { key, timestamp: Some(1_679_315_147) }));
    let hashes = keys.iter().map(NoteVerifier::key_hash);
    let ed25519 = |key: &NoteVerifier| PublicKey::new(Algorithm::Ed25519, key.public_key()).ok().map(|key| key.id());
    let expected = keys.iter().map(ed25519);
    assert_eq!(hashes.zip(expected).map(|(is, of)| Some(is) == of).collect::<Vec<_>>(), [true, false, true]);
    for key in &keys {
        assert_eq!(NoteVerifier::parse(&key.to_vkey()).as_ref(), Ok(key));
        assert_eq!(key.public_key().len(), key.kind().public_key_bytes());
    }
    // A signature of one kind does not pass for another, whatever id it is given.
    for (line, key) in lines.iter().flat_map(|line| keys.iter().map(move |key| (line, key))) {
        let renamed = NoteSignature::new(key.name(), key.key_id(), line.signature().to_vec()).unwrap();
        let verified = Note::new(&text, vec![renamed]).unwrap().verify(core::slice::from_ref(key));
        assert_eq!(verified.is_ok(), line.key_id() == key.key_id());
    }
}

/// An Ed25519 key that stands under both types still signs two different things.
#[test]
fn one_secret_does_not_make_one_statement_of_two() {
    let (seen, recomputed) = (Cosigner::new("w1", &[5; 32]).unwrap(), Cosigner::status_map("w1", &[5; 32]).unwrap());
    assert_eq!(seen.verifier().public_key(), recomputed.verifier().public_key());
    assert_ne!(seen.verifier().key_id(), recomputed.verifier().key_id());
    assert_ne!(cosignature_message("text\n", 5).unwrap(), status_map_message("text\n", 5).unwrap());
    assert!(status_map_message("text\n", 5).unwrap().starts_with("griptrace-status-map/v1\ntime 5\ntext\n"));
    assert_eq!(status_map_message("text\n", 0).unwrap_err().code(), "note-timestamp-invalid");
}

#[test]
fn ml_dsa_lines_that_were_changed_are_refused() {
    let (text, cosigner) = (checkpoint(9), Cosigner::subtree("w1.example", &[3; 32]).unwrap());
    let line = cosigner.sign(&text, 77).unwrap();
    let known = [cosigner.verifier().clone()];
    let verify = |signature: Vec<u8>, text: &str| {
        let line = NoteSignature::new("w1.example", cosigner.verifier().key_id(), signature).unwrap();
        Note::new(text, vec![line]).unwrap().verify(&known).map(|found| found.len()).map_err(|e| e.code())
    };
    assert_eq!(verify(line.signature().to_vec(), &text), Ok(1));
    for at in [0, 7, 8, 100, 2_400, 2_427] {
        let mut changed = line.signature().to_vec();
        changed[at] ^= 0x80;
        let code = if at == 0 { "note-timestamp-invalid" } else { "note-signature-invalid" };
        assert_eq!(verify(changed, &text), Err(code), "byte {at}");
    }
    for length in [1, 7, 8, 72, 2_427] {
        assert_eq!(verify(line.signature()[..length].to_vec(), &text), Err("note-signature-invalid"), "{length}");
    }
    assert_eq!(verify([line.signature(), &[0]].concat(), &text), Err("note-signature-invalid"));
    assert_eq!(verify(line.signature().to_vec(), &checkpoint(8)), Err("note-signature-invalid"));
    let extended = text.clone() + "extension\n";
    assert_eq!(verify(line.signature().to_vec(), &extended), Err("note-not-a-checkpoint"));
    // The name is signed: the same key under another name is another cosigner.
    let other = Cosigner::subtree("w2.example", &[3; 32]).unwrap();
    let line = NoteSignature::new("w2.example", other.verifier().key_id(), line.signature().to_vec()).unwrap();
    let verified = Note::new(&text, vec![line]).unwrap().verify(&[other.verifier().clone()]);
    assert_eq!(verified.unwrap_err().code(), "note-signature-invalid");
}

#[test]
fn a_hundred_ml_dsa_lines_fit_into_a_note() {
    let line = Cosigner::subtree("w1.example", &[3; 32]).unwrap().sign(&checkpoint(9), 77).unwrap();
    let named = |number: u32| NoteSignature::new("w1.example", number, line.signature().to_vec()).unwrap();
    let note = Note::new(&checkpoint(9), (0..100).map(named).collect()).unwrap();
    assert_eq!(note.verify(&[]), Ok(vec![]));
}

#[test]
fn keys_of_witnesses_that_are_none_are_refused() {
    let code = |kind, key: &[u8]| NoteVerifier::new("a", kind, key).map_err(|error| error.code()).map(|_| ());
    assert_eq!(code(KeyKind::SubtreeV1, &[1; 1_312]), Ok(()));
    assert_eq!(code(KeyKind::SubtreeV1, &[1; 1_311]), Err("vkey-key-invalid"));
    assert_eq!(code(KeyKind::SubtreeV1, &[1; 1_313]), Err("vkey-key-invalid"));
    assert_eq!(code(KeyKind::SubtreeV1, &[]), Err("vkey-key-invalid"));
    let zero = [[1_u8; 32].as_slice(), &[0; 1_280]].concat();
    assert_eq!(code(KeyKind::SubtreeV1, &zero), Err("vkey-key-invalid"), "anybody could sign");
    assert_eq!(code(KeyKind::StatusMapV1, &[0; 32]), Err("vkey-key-invalid"));
    assert_eq!(
        NoteVerifier::new(&"n".repeat(256), KeyKind::Ed25519, &[1; 32]).unwrap_err().code(),
        "note-name-invalid"
    );
    let split = |bytes: &[u8]| KeyKind::split(bytes).map(|(kind, key)| (kind, key.len())).map_err(|e| e.code());
    assert_eq!(split(b"\xffgriptrace/status-map/v1key"), Ok((KeyKind::StatusMapV1, 3)));
    assert_eq!(split(b"\xffgriptrace/status-map/v2key"), Err("vkey-type-unsupported"));
    assert_eq!(split(b"\xff"), Err("vkey-type-unsupported"));
    assert_eq!(split(b""), Err("vkey-malformed"));
}
