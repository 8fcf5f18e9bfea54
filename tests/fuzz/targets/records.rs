//! Every decoder of a record: whatever is accepted has one encoding, and that is what was read.

use core::fmt::{Debug, Display};

use coset::{CoseSign1, TaggedCborSerializable as _};
use griptrace_core::{
    assessment::{Assessment, AssessorMark, assessed},
    bundle::{ManifestOpening, SubjectOpening},
    cbor::{Record, decode, encode},
    commit::{Commit, CommitPayload},
    cose::{ASSESSMENT_TYPE, COMMIT_TYPE, MARK_TYPE, Signed},
    date::Date,
    details::read_value,
    digest::Digest,
    entry::Entry,
    key::PublicKey,
    key_change::SignedKeyChange,
    limits::VALUE_DEPTH_MAX,
    manifest::{FileRecord, check_files, check_path, content_digest},
    node::{Core, Edge, Kind, node_id},
    receipt::{Receipt, registered, transparent},
    value::Value,
    word::{Country, Word, is_note_name},
};

use super::{guard::bounded, lax::is_deterministic};

type Decoder = fn(&[u8]);

/// Every decoder by its name; a case's first byte is its place.
pub(crate) const DECODERS: &[(&str, Decoder)] = &[
    ("core", core),
    ("edge", record::<Edge>),
    ("detail-value", detail_value),
    ("commit", commit),
    ("signed-assessment", |b| signed(b, ASSESSMENT_TYPE)),
    ("signed-mark", |b| signed(b, MARK_TYPE)),
    ("entry", entry),
    ("assessment", assessment),
    ("mark", record::<AssessorMark>),
    ("files", files),
    ("payload", record::<CommitPayload>),
    ("path", path),
    ("text", text),
    ("bundle", super::bundle::run),
    ("subjects", record::<SubjectOpening>),
    ("edge-of-a-core", record::<Edge>),
    ("manifest", record::<ManifestOpening>),
    ("receipt", receipt),
    ("transparent-statement", transparent_statement),
];

pub(crate) fn run(data: &[u8]) {
    let Some((place, bytes)) = data.split_first() else { return };
    DECODERS[usize::from(*place) % DECODERS.len()].1(bytes);
}

/// Passes on what was accepted; an error can at least be told.
fn told<T, E: Display>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

fn read<T: Record + Debug>(bytes: &[u8]) -> Option<T> {
    let record: T = told(bounded(bytes.len(), || decode(bytes)))?;
    assert_eq!(encode(&record), bytes);
    is_deterministic(bytes);
    Some(record)
}

fn record<T: Record + Debug>(bytes: &[u8]) {
    read::<T>(bytes);
}

fn core(bytes: &[u8]) {
    let Some(core) = told(bounded(bytes.len(), || Core::from_bytes(bytes))) else {
        // What is refused as a node may still be a well-formed record; writing checks it too.
        if let Some(core) = read::<Core>(bytes) {
            assert!(core.check().is_err() && core.to_bytes().is_err());
        }
        return;
    };
    assert_eq!(core.to_bytes().as_deref(), Ok(bytes));
    is_deterministic(bytes);
    assert!(core.edges.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(core.parents().count() <= core.edges.len());
    let id = node_id(bytes);
    if core.kind == Kind::Assessment
        && let Some(found) = told(assessed(id, &core))
    {
        assert_eq!(found.signed.is_some(), core.statement.is_some());
        assert!(found.assessment.to_bytes().is_ok());
    }
}

fn detail_value(bytes: &[u8]) {
    let Some(value) = told(bounded(bytes.len(), || read_value(bytes))) else { return };
    assert_eq!(encode(&value), bytes);
    is_deterministic(bytes);
    assert!(depth(&value) <= VALUE_DEPTH_MAX);
    assert!(!value.to_string().contains(char::is_control), "shown on one line");
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Text(_) | Value::Int(_) | Value::Bytes(_) | Value::Bool(_) => 0,
        Value::List(items) => items.iter().map(|item| depth(item) + 1).max().unwrap_or(0),
        Value::Map(pairs) => pairs.iter().map(|(_, item)| depth(item) + 1).max().unwrap_or(0),
    }
}

/// What is accepted as signed is what another writer makes of its parts.
fn is_written_so(bytes: &[u8], content_type: &str) {
    let mut object = CoseSign1::from_tagged_slice(bytes).expect("another reader reads what ours accepts");
    assert!(object.unprotected.is_empty() && object.payload.is_some());
    assert_eq!(object.protected.header.content_type, Some(coset::ContentType::Text(content_type.into())));
    object.protected.original_data = None;
    assert_eq!(object.to_tagged_vec().expect("it can be written"), bytes);
}

fn signed(bytes: &[u8], content_type: &'static str) {
    let Some(signed) = told(bounded(bytes.len(), || Signed::parse(bytes, content_type))) else { return };
    is_written_so(bytes, content_type);
    let others = [COMMIT_TYPE, ASSESSMENT_TYPE, MARK_TYPE].into_iter().filter(|other| *other != content_type);
    others.for_each(|other| assert!(Signed::parse(bytes, other).is_err(), "also read as {other}"));
    is_signed_by_nobody(|key| signed.verify(key).is_ok());
}

fn commit(bytes: &[u8]) {
    let Some(commit) = told(bounded(bytes.len(), || Commit::parse(bytes))) else { return };
    is_written_so(bytes, COMMIT_TYPE);
    let object = CoseSign1::from_tagged_slice(bytes).expect("it was read above");
    let payload = object.payload.expect("it was there above");
    assert_eq!(encode(&commit.payload), payload);
    is_deterministic(&payload);
    is_signed_by_nobody(|key| commit.verify(key).is_ok());
}

fn receipt(bytes: &[u8]) {
    let Some(receipt) = told(bounded(bytes.len(), || Receipt::parse(bytes))) else { return };
    let mut object = CoseSign1::from_tagged_slice(bytes).expect("another reader reads what ours accepts");
    assert!(object.payload.is_none(), "the root is the reader's to compute");
    object.protected.original_data = None;
    assert_eq!(object.to_tagged_vec().expect("it can be written"), bytes);
    is_signed_by_nobody(|key| receipt.verify(b"entry", key).is_ok());
}

fn transparent_statement(bytes: &[u8]) {
    let Some((entry, receipts)) = told(bounded(bytes.len(), || registered(bytes))) else { return };
    assert!(!receipts.is_empty() && registered(&entry).is_err());
    assert_eq!(transparent(&entry, &receipts).as_deref(), Ok(bytes));
}

/// Nothing that is not signed by a key verifies with it. No seed is signed by these.
fn is_signed_by_nobody(verifies: impl Fn(&PublicKey) -> bool) {
    let strangers = ["ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="];
    for stranger in strangers {
        let key = PublicKey::parse(stranger).expect("it is a key (RFC 8032, 7.1)");
        assert!(!verifies(&key));
    }
}

fn entry(bytes: &[u8]) {
    match told(bounded(bytes.len(), || Entry::parse(bytes))) {
        Some(Entry::Genesis(genesis)) => {
            assert!(is_note_name(&genesis.origin));
            assert_eq!(genesis.to_bytes().as_deref(), Ok(bytes));
            is_deterministic(bytes);
        }
        Some(Entry::StatusHead(head)) => {
            assert_eq!(head.to_bytes(), bytes);
            is_deterministic(bytes);
        }
        Some(Entry::Commit(commit)) => assert_eq!(Commit::parse(bytes), Ok(commit)),
        Some(Entry::KeyChange(signed)) => {
            // Each signature stands over the change as it was read.
            drop(signed.verify());
            assert_eq!(SignedKeyChange::parse(bytes), Ok(signed));
        }
        None => {}
    }
}

fn assessment(bytes: &[u8]) {
    let Some(assessment) = told(bounded(bytes.len(), || Assessment::from_bytes(bytes))) else { return };
    assert_eq!(assessment.to_bytes().as_deref(), Ok(bytes));
    is_deterministic(bytes);
    assert!(assessment.valid_to.is_none_or(|end| end >= assessment.valid_from));
}

/// Records of files, one after the other, as a manifest.
fn files(bytes: &[u8]) {
    let list = bytes.chunks(64).filter_map(read::<FileRecord>);
    let list: Vec<FileRecord> = list.chain(read::<FileRecord>(bytes)).collect();
    if told(check_files(&list)).is_some() {
        assert!(list.windows(2).all(|pair| pair[0].path < pair[1].path));
        list.iter().for_each(|file| assert!(is_plain(&file.path)));
        assert_ne!(content_digest(&list), content_digest(&[]));
    }
}

fn path(bytes: &[u8]) {
    let plain = is_plain(bytes);
    assert_eq!(told(check_path(bytes)).is_some(), plain);
}

/// The same rule in other words: it leads nowhere but down.
fn is_plain(path: &[u8]) -> bool {
    let framed = [b"/", path, b"/"].concat();
    let has = |part: &[u8]| framed.windows(part.len()).any(|window| window == part);
    path.len() <= 4_096 && !has(b"//") && !has(b"/./") && !has(b"/../") && !has(b"\0")
}

/// What people write: each has one spelling.
fn text(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Some(key) = told(PublicKey::parse(text)) {
        assert_eq!(key.to_string(), text);
        assert_eq!(PublicKey::new(key.algorithm(), key.as_bytes()).as_ref(), Ok(&key));
        assert!(key.verify(b"", &[0; 64]).is_err());
    }
    if let Some(date) = Date::parse(text) {
        assert_eq!(date.to_string(), text);
        assert_eq!(Date::from_days(date.days()), Some(date));
        assert!(date.plus_days(1) >= date && date.plus_months(1) >= date);
    }
    if let Some(word) = Word::parse(text) {
        assert_eq!(word.as_str(), text);
    }
    if let Some(country) = Country::parse(text) {
        assert_eq!(country.as_str(), text);
    }
    if let Some(digest) = Digest::from_hex(text) {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
    }
}
