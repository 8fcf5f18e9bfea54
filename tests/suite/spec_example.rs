//! docs/spec/example.md is what the code makes, byte by byte.
//!
//! `UPDATE_EXPECTED=1 cargo test -p griptrace-tests spec_example` writes the page anew.

mod dump;
mod tables;
mod world;

use core::fmt::Write as _;

use griptrace_core::assessment::{status_key_of_payload, subject_leaf};
use griptrace_core::bundle::{Bundle, MAGIC};
use griptrace_core::cose::COMMIT_TYPE;
use griptrace_core::details;
use griptrace_core::digest::Digest;
use griptrace_core::id::NodeId;
use griptrace_core::key::Signer as _;
use griptrace_core::manifest;
use griptrace_core::node::Kind;
use griptrace_core::status_map::{StatusMap, status_position, verify_status_proof};
use griptrace_core::tree::Rfc9162;
use griptrace_tests::paths::workspace_root;
use griptrace_tests::source::document;

use self::dump::{Labels, cbor, hex, raw};
use self::world::{Made, World, model_files};

const PAGE: &str = "docs/spec/example.md";

#[test]
fn the_page_is_what_the_code_makes() {
    let made = page();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(workspace_root().join(PAGE), &made).expect("the page can be written");
    }
    let first = document(PAGE).lines().zip(made.lines()).position(|(old, new)| old != new);
    assert_eq!(first.map(|line| line + 1), None, "line of {PAGE} that differs; UPDATE_EXPECTED=1 writes it anew");
    assert_eq!(document(PAGE).len(), made.len(), "{PAGE}");
}

#[test]
fn the_bundle_of_the_page_can_be_read() {
    let world = World::new();
    let bundle = Bundle::from_bytes(&world.bundle).expect("a bundle");
    assert_eq!(bundle.logs[0].commits[0].cores.len(), 4);
    assert_eq!(bundle.to_bytes(), world.bundle);
}

const INTRO: &str = "# A worked example

A log with one commit, which holds a dataset, the training step, the model and its shipment; the bundle for that
shipment; and, apart from it, an assessment and a status map. Every seed, salt, nonce and key here is fixed so that an
implementation can make the same bytes, and so none of them is a secret.

Left of `#` are the bytes as hexadecimal digits, in their order; right of it what they are. A map's key stands before its
value's head in the same line. This page is made by `tests/suite/spec_example.rs`, and a test fails where it differs from
what the code makes.
";

fn page() -> String {
    let world = World::new();
    let mut out = String::from(INTRO);
    keys(&mut out, &world);
    genesis(&mut out, &world);
    dataset(&mut out, &world);
    model(&mut out);
    commit(&mut out, &world);
    log(&mut out, &world);
    bundle(&mut out, &world);
    assessment(&mut out, &world);
    status_map(&mut out);
    out
}

fn section(out: &mut String, title: &str, text: &str) {
    write!(out, "\n## {title}\n\n{text}\n").expect("a String takes it");
}

fn code(out: &mut String, text: &str) {
    write!(out, "\n```text\n{text}```\n").expect("a String takes it");
}

/// Writes pairs of a name and a value below each other.
fn list(out: &mut String, pairs: &[(&str, String)]) {
    let mut lines = String::new();
    for (name, value) in pairs {
        writeln!(lines, "{name:<28}{value}").expect("a String takes it");
    }
    code(out, &lines);
}

fn keys(out: &mut String, world: &World) {
    section(out, "Keys", "The secret keys are 32 equal bytes. The key id is [hashes.md](hashes.md#keys).");
    let committer = world.committer_key.public_key();
    let assessor = world.assessor_key.public_key();
    list(
        out,
        &[
            ("log, secret", "01 (32 times), Ed25519".into()),
            ("log, vkey", world.log_key.verifier().to_vkey()),
            ("committer, secret", "02 (32 times), Ed25519".into()),
            ("committer, public", committer.to_string()),
            ("committer, key id", committer.id().to_string()),
            ("assessor, secret", "04 (32 times), P-256".into()),
            ("assessor, public", assessor.to_string()),
            ("assessor, key id", assessor.id().to_string()),
            ("witness, secret", "05 (32 times), Ed25519".into()),
            ("witness, vkey", world.witness_key.verifier().to_vkey()),
        ],
    );
}

const GENESIS: Labels<'_> = &[
    ("0", "kind of entry, genesis"),
    ("1.0", "version"),
    ("1.1", "origin"),
    ("1.2", "key"),
    ("1.3", "time"),
    ("1.4", "nonce"),
    ("1.5", "revokers"),
    ("1.5.0", "key id"),
];

fn genesis(out: &mut String, world: &World) {
    section(out, "Genesis", "Leaf 0 of the log ([log.md](log.md#genesis)).");
    code(out, &cbor(&world.genesis, GENESIS));
    list(out, &[("genesis hash (home)", world.home.to_string())]);
}

const CORE: Labels<'_> = &[
    ("0", "version"),
    ("1", "kind"),
    ("2", "home"),
    ("3", "nonce"),
    ("4", "details root"),
    ("5", "edges"),
    ("6", "modality"),
    ("7", "purpose"),
    ("8", "grade"),
    ("9", "country"),
    ("11", "origin, collected"),
    ("12", "held, here"),
    ("13", "strength, strong"),
    ("16", "persons, none-found"),
];

fn dataset(out: &mut String, world: &World) {
    let Made { core, id, kind, seed, values } = &world.dataset;
    section(out, "Dataset core", "[node.md](node.md).");
    code(out, &cbor(core, CORE));
    list(out, &[("node id", id.to_string())]);
    section(
        out,
        "Dataset details",
        "Seed `1b` (32 times). Slots 0, 1 and 8 have values, the other 29 are absent ([node.md](node.md#details)).",
    );
    let mut lines = String::new();
    for slot in [0, 1, 2, 8] {
        let name = details::slot_name(*kind, slot).expect("a slot with a name");
        let salt = details::salt(seed, slot);
        let value = values.get(&slot).map(Vec::as_slice);
        let shown = value.map_or_else(|| "absent".into(), hex);
        let leaf = details::leaf(*kind, slot, &salt, value);
        write!(lines, "slot {slot}, {name}\n  salt   {}\n  value  {shown}\n  leaf   {leaf}\n", hex(&salt))
            .expect("a String takes it");
    }
    code(out, &lines);
    list(out, &[("details root", details::root(*kind, seed, values).to_string())]);
}

fn model(out: &mut String) {
    section(out, "Manifest", "Of the model: one file with the bytes `model` ([node.md](node.md#manifest)).");
    let files = model_files();
    let record = griptrace_core::cbor::encode(&files[0]);
    let labels = [("0", "path (`grasp.onnx`)"), ("1", "size"), ("2", "BLAKE3"), ("3", "SHA-256")];
    code(out, &cbor(&record, &labels));
    let salt = manifest::salt(&world::MANIFEST_SEED, 0);
    let root = manifest::root(&world::MANIFEST_SEED, &files).expect("a file");
    list(
        out,
        &[
            ("seed", "3f (32 times)".into()),
            ("salt of leaf 0", hex(&salt)),
            ("leaf 0, and the root", root.to_string()),
            ("content digest as `tree:`", manifest::content_digest(&files).to_string()),
            ("content as recorded", format!("blake3:{}", files[0].blake3)),
        ],
    );
}

const PROTECTED: Labels<'_> = &[
    ("1", "alg"),
    ("3", "content type"),
    ("4", "kid"),
    ("15", "claims"),
    ("15.1", "issuer"),
    ("15.2", "home genesis"),
];
const SIGN1: Labels<'_> = &[("0", "protected"), ("1", "unprotected"), ("2", "payload"), ("3", "signature")];
const COMMIT: Labels<'_> =
    &[("0", "version"), ("1", "home"), ("2", "root"), ("3", "count"), ("4", "time"), ("5", "status lines")];

/// Takes protected header and payload out of a `COSE_Sign1` that the code made.
fn parts(signed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = griptrace_core::cbor::Reader::new(&signed[1..]);
    reader.tuple(4).expect("four items");
    let protected = reader.bytes("protected", usize::MAX).expect("a header").to_vec();
    assert_eq!(reader.map("unprotected", 0), Ok(0));
    (protected, reader.bytes("payload", usize::MAX).expect("a payload").to_vec())
}

fn commit(out: &mut String, world: &World) {
    section(out, "Commit", "The nodes of the commit, by id ([commit.md](commit.md#tree)).");
    let nodes: Vec<(&str, String)> = world.nodes.iter().map(|made| (made.kind.word(), made.id.to_string())).collect();
    list(out, &nodes);
    list(out, &[("root", world.payload.root.to_string())]);
    out.push_str("\nThe entry:\n");
    assert_eq!(world.commit[0], 0xd2);
    code(out, &format!("{}{}", raw(&world.commit[..1], 0, "tag 18, COSE_Sign1"), cbor(&world.commit[1..], SIGN1)));
    let (protected, payload) = parts(&world.commit);
    out.push_str("\nIts protected header:\n");
    code(out, &cbor(&protected, PROTECTED));
    assert!(String::from_utf8_lossy(&protected).contains(COMMIT_TYPE));
    out.push_str("\nIts payload:\n");
    code(out, &cbor(&payload, COMMIT));
}

fn log(out: &mut String, world: &World) {
    section(out, "Status head", "Leaf 2 of the log. The status map is empty ([log.md](log.md#status-head)).");
    let head = [
        ("0", "kind of entry, status head"),
        ("1.0", "version"),
        ("1.1", "index"),
        ("1.2", "map root"),
        ("1.3", "time"),
    ];
    code(out, &cbor(&world.head, &head));
    let text = "The tree over the three entries, and the note with the log's signature and a cosignature
([log.md](log.md#checkpoint)).";
    section(out, "Checkpoint", text);
    let leaf = |entry: &[u8]| Rfc9162::leaf_hash(entry).to_string();
    list(
        out,
        &[
            ("leaf 0", leaf(&world.genesis)),
            ("leaf 1", leaf(&world.commit)),
            ("leaf 2", leaf(&world.head)),
            ("root of size 3", world.root.to_string()),
        ],
    );
    code(out, &world.note);
}

const BUNDLE: Labels<'_> = &[
    ("0", "version"),
    ("1", "root, ordinal of the shipment"),
    ("2", "logs"),
    ("2.*.0", "entries"),
    ("2.*.0.*.0", "leaf index"),
    ("2.*.0.0.1", "genesis"),
    ("2.*.0.1.1", "commit"),
    ("2.*.0.2.1", "status head"),
    ("2.*.1", "inclusion proof"),
    ("2.*.2", "anchors"),
    ("2.*.2.*.0", "note"),
    ("2.*.2.*.1", "consistency proof"),
    ("2.*.2.*.2", "statuses"),
    ("2.*.2.*.2.0", "keys with statuses"),
    ("2.*.2.*.2.1", "batch proof, nothing in the map"),
    ("2.*.3", "commits"),
    ("2.*.3.*.0", "place in the list of entries"),
    ("2.*.3.*.1", "places of the nodes"),
    ("2.*.3.*.2", "cores"),
    ("2.*.3.*.3", "proof"),
    ("3", "opened assessments"),
    ("4", "disclosures"),
    ("4.*.0", "ordinal"),
    ("4.*.1", "slots"),
    ("4.*.1.*.0", "slot"),
    ("4.*.1.*.1", "salt"),
    ("4.*.1.*.2", "value"),
    ("4.*.2", "proof"),
    ("5", "manifests"),
    ("5.*.0", "ordinal"),
    ("5.*.1", "seed"),
    ("5.*.2", "files"),
    ("5.*.2.*.0", "path"),
    ("5.*.2.*.1", "size"),
    ("5.*.2.*.2", "BLAKE3"),
    ("5.*.2.*.3", "SHA-256"),
];

fn bundle(out: &mut String, world: &World) {
    let text = "The evidence for the shipment ([bundle.md](bundle.md)). Disclosed are name, content and manifest of the model and
the consignee of the shipment.";
    section(out, "Bundle", text);
    let (map, digest) = world.bundle[MAGIC.len()..].split_at(world.bundle.len() - MAGIC.len() - 32);
    let whole =
        [raw(MAGIC, 0, "\"griptrace bundle v1\\n\""), cbor(map, BUNDLE), raw(digest, 0, "digest of all before it")];
    code(out, &whole.concat());
    let file = griptrace_core::bundle::bundle_digest(&world.bundle);
    let ordinals: Vec<String> =
        (0..).zip(&world.nodes).map(|(i, made): (u8, _)| format!("{i} {}", made.kind)).collect();
    list(
        out,
        &[
            ("bytes", world.bundle.len().to_string()),
            ("ordinals", ordinals.join(", ")),
            ("bundle digest", file.to_string()),
        ],
    );
}

const ASSESSMENT: Labels<'_> = &[
    ("0", "version"),
    ("1", "scheme"),
    ("2", "result, passed"),
    ("3", "grade"),
    ("4", "purposes"),
    ("5", "modalities"),
    ("6", "streams"),
    ("7", "issued"),
    ("8", "valid from"),
    ("9", "valid to"),
    ("10", "destinations"),
    ("11", "subjects"),
    ("12", "subjects root"),
];

fn assessment(out: &mut String, world: &World) {
    let assessed = world.assessed();
    let text = "Of the dataset above and two nodes with the ids `71` and `72` (32 times), so that there are three subjects and one
decoy ([assessment.md](assessment.md)). Not part of the bundle above. The payload:";
    section(out, "Assessment", text);
    code(out, &cbor(&assessed.payload, ASSESSMENT));
    let mut subjects: Vec<(String, String)> =
        (0..).zip(&assessed.leaves).map(|(i, leaf): (u8, _)| (format!("leaf {i}"), leaf.to_string())).collect();
    assert_eq!(
        assessed.leaves[usize::try_from(assessed.index).expect("small")],
        subject_leaf(&assessed.salt, &world.dataset.id)
    );
    subjects.push(("root".into(), assessed.root.to_string()));
    subjects.push(("the dataset's salt".into(), hex(&assessed.salt)));
    subjects.push(("the dataset's leaf".into(), assessed.index.to_string()));
    subjects.extend(assessed.proof.iter().map(|hash| ("proof".into(), hash.to_string())));
    subjects.push(("status key".into(), status_key_of_payload(&assessed.payload).to_string()));
    let subjects: Vec<(&str, String)> = subjects.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    list(out, &subjects);
    out.push_str("\nAs signed (ES256):\n");
    code(out, &raw(&assessed.signed, 0, ""));
}

/// Nodes `80`, `81` and `82` are marked; asked are `81`, which is there, and `90`, which is not.
fn status_map(out: &mut String) {
    let id = |byte| Digest::from_bytes([byte; 32]);
    let mut map = StatusMap::new();
    for (key, status) in [(0x80, 0xa0), (0x81, 0xa1), (0x82, 0xa2), (0x81, 0xa3)] {
        map.append(&id(key), &id(status));
    }
    let asked = [id(0x81), id(0x90)];
    let proof = map.prove(&asked);
    let claims = asked.map(|key| (key, map.value(&key)));
    assert_eq!(verify_status_proof(&map.root(), &claims, proof.as_bytes()), Ok(()));
    let text = "Statuses in log order: `a0` on key `80`, `a1` on `81`, `a2` on `82`, `a3` on `81`; each stands for 32 such bytes. Asked
are `81`, which has statuses, and `90`, which has none ([trees.md](trees.md#status-map)).";
    section(out, "Status map", text);
    let mut lines: Vec<(String, String)> = Vec::new();
    for byte in [0x80, 0x81, 0x82, 0x90] {
        lines.push((format!("position of {byte:02x}"), status_position(&id(byte)).to_string()));
    }
    lines.push(("value of 81".into(), map.value(&id(0x81)).expect("it is there").to_string()));
    lines.push(("root".into(), map.root().to_string()));
    let lines: Vec<(&str, String)> = lines.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    list(out, &lines);
    out.push_str("\nThe batch proof:\n");
    let mut shown = String::new();
    let rest = show_proof(proof.as_bytes(), 0, &mut shown);
    assert!(rest.is_empty());
    code(out, &shown);
}

/// Writes the nodes of a batch proof and returns what follows.
fn show_proof<'a>(proof: &'a [u8], depth: usize, out: &mut String) -> &'a [u8] {
    let (tag, rest) = proof.split_first().expect("a tag");
    let (remark, hashes) = match tag {
        0 => ("nothing", 0),
        1 => ("entry of another key: position, value", 2),
        2 => ("inner node: left, right", 0),
        3 => ("hash of what nobody asked for", 1),
        _ => ("the entry that was asked for", 0),
    };
    out.push_str(&raw(&[*tag], depth, remark));
    let (hashes, mut rest) = rest.split_at(hashes * 32);
    hashes.chunks(32).for_each(|hash| out.push_str(&raw(hash, depth + 1, "")));
    if *tag == 2 {
        rest = show_proof(rest, depth + 1, out);
        rest = show_proof(rest, depth + 1, out);
    }
    rest
}

#[test]
fn nodes_of_the_example_are_the_four_kinds() {
    let world = World::new();
    let mut kinds: Vec<Kind> = world.nodes.iter().map(|made| made.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [Kind::Dataset, Kind::Transformation, Kind::Model, Kind::Shipment]);
    let ids: Vec<NodeId> = world.nodes.iter().map(|made| made.id).collect();
    assert!(ids.is_sorted());
}
