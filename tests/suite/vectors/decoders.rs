//! Vectors of the decoders: bytes in hexadecimal, and `ok` or the reason code.

use std::collections::BTreeMap;

use coset::{CoseSign1, TaggedCborSerializable as _};
use griptrace_core::{
    assessment::Assessment,
    bundle::Bundle,
    cbor::{decode, encode},
    checkpoint::Checkpoint,
    commit::Commit,
    cose::{MARK_TYPE, sign},
    details::read_value,
    digest::Digest,
    entry::{Entry, StatusHead},
    id::GenesisHash,
    manifest::check_path,
    node::{Core, Origin},
    note::{Cosigner, Note, NoteVerifier},
    value::Value,
};
use serde_json::json;

use super::{Files, pretty};
use crate::world::{Built, Case, key, word};

type Vector = (&'static str, Vec<u8>, &'static str);
/// Decodes, and tells `ok` or the reason code.
type Decoder = fn(&[u8]) -> &'static str;

/// Writes hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    Value::Bytes(bytes.to_vec()).to_string()
}

fn code<T>(result: Result<T, &'static str>) -> &'static str {
    result.map_or_else(|code| code, |_| "ok")
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("the vector is text")
}

/// Every file: its name, its decoder and its vectors.
fn all() -> Vec<(&'static str, Decoder, Vec<Vector>)> {
    let built = Case::honest().world.build();
    vec![
        ("core", |b| code(Core::from_bytes(b).map_err(|e| e.code())), cores(&built)),
        ("commit", |b| code(Commit::parse(b).map_err(|e| e.code())), commits(&built)),
        ("entry", |b| code(Entry::parse(b).map_err(|e| e.code())), entries(&built)),
        ("assessment", |b| code(Assessment::from_bytes(b).map_err(|e| e.code())), assessments(&built)),
        ("note", |b| code(Note::parse(b).map_err(|e| e.code())), notes(&built)),
        ("checkpoint", |b| code(Checkpoint::parse(text(b)).map_err(|e| e.code())), checkpoints()),
        ("vkey", |b| code(NoteVerifier::parse(text(b)).map_err(|e| e.code())), vkeys()),
        ("path", |b| code(check_path(b).map_err(|e| e.code())), paths()),
        ("detail-value", |b| code(read_value(b).map_err(|e| e.code())), values()),
        ("bundle", |b| code(Bundle::from_bytes(b).map_err(|e| e.code())), bundles()),
    ]
}

pub(super) fn generate() -> Files {
    let mut files = BTreeMap::new();
    for (name, _, vectors) in all() {
        let list: Vec<_> = vectors
            .iter()
            .map(|(about, bytes, code)| json!({ "name": about, "hex": hex(bytes), "code": code }))
            .collect();
        files.insert(format!("decoders/{name}.json"), pretty(&list.into()));
    }
    files
}

#[test]
fn every_decoder_answers_as_its_vectors_say() {
    let mut wrong = Vec::new();
    for (file, decoder, vectors) in all() {
        for (name, bytes, expected) in vectors {
            let found = decoder(&bytes);
            if found != expected {
                wrong.push(format!("{file}: {name}: {found}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn edited(bytes: &[u8], edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    edit(&mut bytes);
    bytes
}

fn core(built: &Built, name: &str, edit: impl FnOnce(&mut Core)) -> Vec<u8> {
    let mut core: Core = decode(&built.cores[name]).expect("it is a core");
    edit(&mut core);
    encode(&core)
}

fn cores(built: &Built) -> Vec<Vector> {
    let camera = &built.cores["camera"];
    vec![
        ("a dataset", camera.clone(), "ok"),
        ("a transformation", built.cores["train"].clone(), "ok"),
        ("a model", built.cores["grasp-int8"].clone(), "ok"),
        ("a signed assessment", built.cores["assessment"].clone(), "ok"),
        ("a shipment", built.cores["shipment"].clone(), "ok"),
        ("empty", Vec::new(), "cbor-malformed"),
        ("cut short", camera[..camera.len() - 1].to_vec(), "cbor-malformed"),
        ("a byte after the end", edited(camera, |b| b.push(0)), "cbor-trailing-bytes"),
        ("a longer number", edited(camera, |b| drop(b.splice(2..3, [0x18, 1]))), "cbor-not-canonical"),
        ("a longer map head", edited(camera, |b| drop(b.splice(0..1, [0xb8, b[0] & 0x1f]))), "cbor-not-canonical"),
        ("a longer string head", edited(camera, |b| drop(b.splice(6..8, [0x59, 0, 0x20]))), "cbor-not-canonical"),
        ("a longer array head", edited(camera, |b| long_edges(b, &[0x98, 0])), "cbor-not-canonical"),
        ("an array of open length", edited(camera, |b| long_edges(b, &[0x9f, 0xff])), "cbor-malformed"),
        ("version 2", edited(camera, |b| b[2] = 2), "field-invalid"),
        ("kind 8", edited(camera, |b| b[4] = 8), "field-invalid"),
        ("a field of another kind", core(built, "grasp-int8", |c| c.origin = Some(Origin::Collected)), "field-invalid"),
        ("a field that is missing", core(built, "shipment", |c| c.date = None), "field-invalid"),
        ("edges out of order", core(built, "train", |c| c.edges.reverse()), "field-invalid"),
        ("an edge twice", core(built, "train", |c| c.edges.push(c.edges[1])), "field-invalid"),
        ("a step without input", core(built, "train", |c| c.edges.clear()), "field-invalid"),
        ("a foreign edge to its own log", core(built, "train", |c| c.edges[0].home = Some(c.home)), "field-invalid"),
        ("words out of order", core(built, "features", |c| c.modality.reverse()), "field-invalid"),
        (
            "257 words",
            core(built, "camera", |c| c.purpose = (1000..1257).map(|n| word(&format!("p{n}"))).collect()),
            "limit-exceeded",
        ),
    ]
}

/// Writes the empty list of edges, key 5, in another way.
fn long_edges(core: &mut Vec<u8>, list: &[u8]) {
    // Map head, version, kind, home, nonce and details stand before it.
    let at = 1 + 2 + 2 + (3 + 32) + (2 + 16) + (3 + 32) + 1;
    assert_eq!(core[at - 1..=at], [5, 0x80]);
    core.splice(at..=at, list.iter().copied());
}

/// Where the protected header of a signed object begins, and its length.
fn protected(object: &[u8]) -> core::ops::Range<usize> {
    assert_eq!(object[..3], [0xd2, 0x84, 0x58]);
    4..4 + usize::from(object[3])
}

fn commits(built: &Built) -> Vec<Vector> {
    let commit = &built.entries[0][1];
    let object = |edit: fn(&mut CoseSign1)| {
        let mut object = CoseSign1::from_tagged_slice(commit).expect("it is a commit");
        edit(&mut object);
        object.protected.original_data = None;
        object.to_tagged_vec().expect("it can be written")
    };
    let home = built.homes[0];
    let other = GenesisHash::new(Digest::from_bytes([9; 32]));
    let payload = CoseSign1::from_tagged_slice(commit).expect("it is a commit").payload.expect("it is attached");
    let signed = |kind, home: &GenesisHash, payload: Vec<u8>| {
        sign(&key("maker"), kind, "maker", home, payload).expect("it fits")
    };
    let commit_type = griptrace_core::cose::COMMIT_TYPE;
    vec![
        ("a commit", commit.clone(), "ok"),
        ("untagged", commit[1..].to_vec(), "cose-malformed"),
        ("a byte after the end", edited(commit, |b| b.push(0)), "cose-malformed"),
        ("a longer tag", edited(commit, |b| drop(b.splice(0..1, [0xd8, 0x12]))), "cose-not-canonical"),
        ("a longer array head", edited(commit, |b| drop(b.splice(1..2, [0x98, 4]))), "cose-not-canonical"),
        ("a longer header length", edited(commit, |b| drop(b.splice(2..3, [0x59, 0]))), "cose-not-canonical"),
        (
            "an unprotected header in longer form",
            edited(commit, |b| drop(b.splice(protected(b).end..=protected(b).end, [0xb8, 0]))),
            "cose-not-canonical",
        ),
        (
            "the header's fields in another order",
            edited(commit, |b| b[protected(commit).start + 1..protected(commit).end].rotate_left(2)),
            "cose-not-canonical",
        ),
        (
            "the algorithm in a longer form",
            edited(commit, |b| {
                b.splice(6..7, [0x38, 7]);
                b[3] += 1;
            }),
            "cose-not-canonical",
        ),
        ("an unprotected header", object(|o| o.unprotected.key_id = vec![1]), "cose-unprotected-header"),
        ("no key id", object(|o| o.protected.header.key_id.clear()), "cose-header"),
        ("no algorithm", object(|o| o.protected.header.alg = None), "cose-header"),
        ("no claims", object(|o| o.protected.header.rest.clear()), "cose-header"),
        (
            "a further header field",
            object(|o| o.protected.header.rest.push((coset::Label::Int(99), coset::cbor::value::Value::Bool(true)))),
            "cose-header",
        ),
        ("an initialisation vector", object(|o| o.protected.header.iv = vec![1]), "cose-header"),
        ("another content type", signed(MARK_TYPE, &home, payload.clone()), "cose-content-type"),
        ("another home in the header", signed(commit_type, &other, payload.clone()), "commit-home-mismatch"),
        ("no payload", object(|o| o.payload = None), "cose-malformed"),
        ("an empty payload", signed(commit_type, &home, Vec::new()), "cbor-malformed"),
        ("a payload of version 2", signed(commit_type, &home, edited(&payload, |b| b[2] = 2)), "field-invalid"),
    ]
}

fn entries(built: &Built) -> Vec<Vector> {
    let genesis = &built.entries[0][0];
    let head = StatusHead { index: 5, map_root: Digest::ZERO, time: 1 }.to_bytes();
    vec![
        ("a genesis", genesis.clone(), "ok"),
        ("a commit", built.entries[0][1].clone(), "ok"),
        ("a status head", head.clone(), "ok"),
        (
            "a status head beyond any tree",
            StatusHead { index: 1 << 40, ..StatusHead { index: 0, map_root: Digest::ZERO, time: 1 } }.to_bytes(),
            "limit-exceeded",
        ),
        ("a key change", vec![0x82, 1, 0xa0], "field-invalid"),
        ("an unknown number", vec![0x82, 9, 0xa0], "field-invalid"),
        ("an array of three", vec![0x83, 0, 0, 0], "cbor-malformed"),
        ("a head with a byte after it", edited(&head, |b| b.push(0)), "cbor-trailing-bytes"),
        ("a head of version 2", edited(&head, |b| b[4] = 2), "field-invalid"),
        ("65 536 bytes", vec![0xd2; 65_536], "limit-exceeded"),
        ("empty", Vec::new(), "cbor-malformed"),
    ]
    .into_iter()
    .filter(|(name, ..)| *name != "65 536 bytes")
    .collect()
}

fn assessments(built: &Built) -> Vec<Vector> {
    let payload = &built.payloads["assessment"];
    let with = |edit: fn(&mut Assessment)| {
        let mut assessment: Assessment = decode(payload).expect("it is an assessment");
        edit(&mut assessment);
        encode(&assessment)
    };
    vec![
        ("an assessment", payload.clone(), "ok"),
        ("without an end", with(|a| a.valid_to = None), "ok"),
        ("three subjects", with(|a| a.subjects = 3), "field-invalid"),
        ("no subject", with(|a| a.subjects = 0), "field-invalid"),
        ("too many subjects", with(|a| a.subjects = 1 << 25), "field-invalid"),
        (
            "an end before the beginning",
            with(|a| a.valid_to = griptrace_core::date::Date::from_days(1)),
            "field-invalid",
        ),
        ("purposes twice", with(|a| a.purposes.push(a.purposes[0].clone())), "field-invalid"),
        ("a byte after the end", edited(payload, |b| b.push(0)), "cbor-trailing-bytes"),
        ("version 2", edited(payload, |b| b[2] = 2), "field-invalid"),
    ]
}

fn notes(built: &Built) -> Vec<Vector> {
    let note = built.bundle.logs[0].anchors[3].note.as_bytes();
    let text = text(note);
    vec![
        ("a checkpoint with two lines", note.to_vec(), "ok"),
        ("no newline at the end", note[..note.len() - 1].to_vec(), "note-separator-missing"),
        ("no blank line", text.replacen("\n\n", "\n", 1).into_bytes(), "note-separator-missing"),
        ("a carriage return", text.replacen('\n', "\r\n", 1).into_bytes(), "note-control-character"),
        ("not UTF-8", edited(note, |b| b[0] = 0xff), "note-not-utf-8"),
        ("a hyphen for the dash", text.replacen('\u{2014}', "-", 1).into_bytes(), "note-signature-malformed"),
        (
            "a line without a signature",
            text.replacen("w1.example ", "w1.example", 1).into_bytes(),
            "note-signature-malformed",
        ),
        ("101 lines", format!("a\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(101)).into_bytes(), "note-too-many-signatures"),
    ]
}

fn checkpoints() -> Vec<Vector> {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let of = |text: String| text.into_bytes();
    vec![
        ("a checkpoint", of(format!("a.example\n7\n{root}\n")), "ok"),
        ("an empty tree", of(format!("a.example\n0\n{root}\n")), "ok"),
        (
            "an empty tree with another root",
            of(format!("a.example\n0\n{}\n", root.replace("47DE", "AAAA"))),
            "checkpoint-empty-root-mismatch",
        ),
        ("two lines", of("a.example\n7\n".into()), "checkpoint-lines"),
        ("an extension line", of(format!("a.example\n7\n{root}\nmore\n")), "checkpoint-extension"),
        ("a leading zero", of(format!("a.example\n07\n{root}\n")), "checkpoint-size-invalid"),
        ("a plus sign", of(format!("a.example\n+7\n{root}\n")), "checkpoint-size-invalid"),
        ("beyond 64 bits", of(format!("a.example\n18446744073709551616\n{root}\n")), "checkpoint-size-invalid"),
        ("a short root", of("a.example\n7\nAAAA\n".into()), "checkpoint-root-invalid"),
        (
            "a root without padding",
            of(format!("a.example\n7\n{}\n", root.trim_end_matches('='))),
            "checkpoint-root-invalid",
        ),
        ("a space in the origin", of(format!("a example\n7\n{root}\n")), "checkpoint-origin-invalid"),
        ("a plus sign in the origin", of(format!("a+example\n7\n{root}\n")), "checkpoint-origin-invalid"),
    ]
}

fn vkeys() -> Vec<Vector> {
    let trust = Case::honest().buyer.trust;
    let start = trust.find("vkey = \"").expect("there is one") + 8;
    let vkey = trust[start..].split('"').next().expect("it ends");
    let subtree = Cosigner::subtree("w1", &[1; 32]).expect("it is a name").verifier().to_vkey();
    let map = Cosigner::status_map("w1", &[1; 32]).expect("it is a name").verifier().to_vkey();
    vec![
        ("a log's key", vkey.into(), "ok"),
        ("without base64", vkey.rsplit_once('+').expect("it has three parts").0.into(), "vkey-malformed"),
        ("another name", format!("x{vkey}").into(), "vkey-key-id-mismatch"),
        ("an unknown type", "a+00000000+AgAA".into(), "vkey-type-unsupported"),
        ("a short key", "a+00000000+AQAA".into(), "vkey-key-invalid"),
        ("a witness's key of ML-DSA-44", subtree.into(), "ok"),
        ("ML-DSA-44, short", "a+00000000+BgAA".into(), "vkey-key-invalid"),
        ("a key of recomputed status maps", map.into(), "ok"),
        ("another identifier after 0xff", "a+00000000+/2dyaXB0cmFjZQ==".into(), "vkey-type-unsupported"),
    ]
}

fn paths() -> Vec<Vector> {
    let bad = ["", "/a", "a//b", "a/../b", "..", ".", "a/.", "a/", "a\0b"];
    let mut all = vec![
        ("a plain path", b"a/b.bin".to_vec(), "ok"),
        ("not UTF-8", vec![b'a', 0xff], "ok"),
        ("a backslash is a letter", b"a\\b".to_vec(), "ok"),
        ("4 097 bytes", vec![b'a'; 4_097], "limit-exceeded"),
    ];
    all.extend(bad.iter().map(|path| ("not relative with plain parts", path.as_bytes().to_vec(), "field-invalid")));
    all
}

fn values() -> Vec<Vector> {
    let nested = |depth: usize| [vec![0x81; depth], vec![0x60]].concat();
    vec![
        ("text", encode(&Value::text("a")), "ok"),
        ("nested 8 deep", nested(8), "ok"),
        ("nested 9 deep", nested(9), "limit-exceeded"),
        ("a float", vec![0xf9, 0x3c, 0x00], "field-invalid"),
        ("null", vec![0xf6], "field-invalid"),
        ("a tag", vec![0xc0, 0x60], "field-invalid"),
        ("an indefinite list", vec![0x9f, 0xff], "field-invalid"),
        ("keys out of order", vec![0xa2, 0x61, b'b', 1, 0x61, b'a', 1], "field-invalid"),
        ("a key twice", vec![0xa2, 0x61, b'a', 1, 0x61, b'a', 1], "field-invalid"),
        ("a number in a longer form", vec![0x18, 1], "cbor-not-canonical"),
        ("a list that claims 2^32 items", vec![0x9a, 0xff, 0xff, 0xff, 0xff], "limit-exceeded"),
    ]
}

fn bundles() -> Vec<Vector> {
    let empty =
        Bundle { root: 0, logs: Vec::new(), openings: Vec::new(), disclosures: Vec::new(), manifests: Vec::new() };
    let empty = empty.to_bytes();
    vec![
        ("a bundle of nothing", empty.clone(), "ok"),
        ("another file", b"PK\x03\x04".to_vec(), "not-a-bundle"),
        ("a later version", b"griptrace bundle v2\n".to_vec(), "bundle-version"),
        ("only its first line", b"griptrace bundle v1\n".to_vec(), "bundle-size"),
        ("a byte after the end", edited(&empty, |b| b.push(0)), "bundle-digest-mismatch"),
        ("a flipped bit", edited(&empty, |b| b[22] ^= 1), "bundle-digest-mismatch"),
    ]
}
