//! A flipped bit in every kind of object of a bucket: named by the audit and by the read that touches it, never served as
//! good, and made again where that is possible. Which kinds there are, the bucket itself tells.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use griptrace_core::{
    id::NodeId,
    key_change::KeyUse,
    note::{Cosigner, Note, NoteSigner},
    quorum::Quorum,
    tile::TilePath,
};
use tempfile::TempDir;

use super::{
    keys::{key, rotation},
    world::{NOW, ORIGIN, World},
};
use crate::{
    Disclose, OpenError, OpenOptions, Place, ProveOptions, Standing, Store, Witnesses,
    bucket::{Bucket, MemoryBucket, When, blocks::BLOCK_ENTRIES},
    segment,
};

/// In how many places of each object a bit is flipped: the first byte, the last one, and some between.
const PLACES: usize = 7;
const PLACES_VARIABLE: &str = "GRIPTRACE_ROUNDS";

/// What becomes of a damaged object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    /// All is answered as before. Who takes the turn to write makes it again.
    MadeAgain,
    /// All is answered as before. Who writes makes it again when it is read.
    MadeAgainWhenRead,
    /// Who asks for what is in it is refused, by its name; the rest is answered as before.
    RefusedByName,
    /// Reading goes on, and nobody takes the turn to write: that is refused by its name.
    ClosedByName,
}

/// Every kind of object of a bucket.
const KINDS: [(&str, Then); 16] = [
    ("adopted/DIGEST", Then::RefusedByName),
    ("adopted/names", Then::RefusedByName),
    ("adopted/sizes", Then::RefusedByName),
    ("blocks/B", Then::RefusedByName),
    ("checkpoint", Then::MadeAgain),
    ("cosigned/N", Then::RefusedByName),
    ("genesis", Then::MadeAgain),
    ("head", Then::MadeAgain),
    ("keys", Then::MadeAgain),
    ("segments/N", Then::RefusedByName),
    ("snapshots/catalogue", Then::MadeAgainWhenRead),
    ("state", Then::ClosedByName),
    ("tile/L/N", Then::MadeAgainWhenRead),
    ("tile/L/N.p/W", Then::MadeAgainWhenRead),
    ("tile/entries/N", Then::MadeAgainWhenRead),
    ("tile/entries/N.p/W", Then::MadeAgainWhenRead),
];

/// Tells of which kind an object is; of one that nobody knows, its name.
fn kind(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let known = match parts.as_slice() {
        ["segments", first] if is_number(first) => "segments/N",
        ["blocks", block] if is_number(block) => "blocks/B",
        ["cosigned", size] if is_number(size) => "cosigned/N",
        ["adopted", digest] if digest.len() == 64 => "adopted/DIGEST",
        ["tile", ..] => match TilePath::parse(name) {
            Ok(TilePath::Hashes(tile)) if tile.is_partial() => "tile/L/N.p/W",
            Ok(TilePath::Hashes(_)) => "tile/L/N",
            Ok(TilePath::Entries(_)) if name.contains(".p/") => "tile/entries/N.p/W",
            Ok(TilePath::Entries(_)) => "tile/entries/N",
            Err(_) => name,
        },
        _ => name,
    };
    known.to_owned()
}

/// A log in a bucket that has an object of every kind.
struct Log {
    bucket: MemoryBucket,
    ids: Vec<NodeId>,
    shipment: NodeId,
    cosigned: [u64; 2],
    /// Another company's shipment, to be adopted, and its model.
    other: (Vec<u8>, NodeId),
}

fn quiet(_: &str, _: u64, _: u64) {}

/// The signer of the log's second key.
fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[11; 32]).unwrap()
}

fn witnesses() -> Witnesses {
    let keys = vec![Cosigner::new("w.example", &[201; 32]).unwrap().verifier().clone()];
    Witnesses { keys, quorum: Some(Quorum::of_witnesses([0], 1)) }
}

fn cosign(store: &Store) -> u64 {
    let size = store.size();
    let text = Note::parse(store.checkpoint().as_bytes()).unwrap().text().to_owned();
    let line = Cosigner::new("w.example", &[201; 32]).unwrap().sign(&text, NOW).unwrap();
    store.keep_cosignatures(size, &[line], &witnesses()).unwrap();
    size
}

/// A bundle of another company, and the node that is meant.
fn supplied(name: &str) -> (Vec<u8>, World, NodeId) {
    let supplier = World::called(&format!("{name}.example/1"));
    let source = supplier.add(supplier.source("camera", "DE"));
    let model = supplier.commit(supplier.train(name, &[source], "DE", &["b.onnx"]))[1];
    let shipment = supplier.add(supplier.shipment(&[model], "DE"));
    let options = ProveOptions { disclose: Disclose::All, ..ProveOptions::default() };
    (supplier.store.prove(&shipment, &options).unwrap(), supplier, model)
}

impl Log {
    fn new() -> Self {
        let world = World::new();
        let mut ids: Vec<NodeId> = (0..12).map(|i| world.add(world.source(&format!("s{i}"), "CN"))).collect();
        let change = rotation(world.home(), KeyUse::Log, &key(1), &key(11));
        world.store.change_key(&change, Some(signer()), NOW).unwrap();
        let (bundle, supplier, backbone) = supplied("backbone");
        world.store.adopt(&bundle, &backbone, None).unwrap();
        let first = cosign(&world.store);
        let model = world.commit(world.tune("tuned", &ids[..2], &[(supplier.home(), backbone)]))[1];
        let shipment = world.add(world.shipment(&[model], "DE"));
        ids.extend((0..120).map(|i| world.add(world.source(&format!("t{i}"), "CN"))));
        let cosigned = [first, cosign(&world.store)];
        let bucket = MemoryBucket::default();
        let local = tempfile::tempdir().unwrap();
        world.store.move_to(&Place::Bucket(Arc::new(bucket.clone()), local.path().to_owned()), &quiet).unwrap();
        let (other, _, model) = supplied("another");
        let log = Self { bucket, ids, shipment, cosigned, other: (other, model) };
        // Commits that stand in no block yet, and a snapshot of them all.
        let (writer, _local) = log.join();
        assert_eq!(writer.tend(Duration::ZERO).unwrap(), Standing::Writer);
        let last = ["u", "v"].map(|name| World::at(&writer).add(World::at(&writer).source(name, "CN")));
        let catalogue = writer.0.read().catalogue.clone();
        catalogue.write_snapshot(&writer.0.objects).unwrap();
        drop(writer);
        Self { ids: [&log.ids[..], &last].concat(), ..log }
    }

    /// Copies the bucket, so that it is damaged once.
    fn copy(&self) -> Self {
        let bucket = MemoryBucket::default();
        for name in self.bucket.names() {
            bucket.put(&name, &self.bytes(&name), &When::Always).unwrap();
        }
        let other = self.other.clone();
        Self { bucket, ids: self.ids.clone(), other, ..*self }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.bucket.get(name, None).unwrap().unwrap().bytes
    }

    fn try_join(&self) -> (Result<Store, OpenError>, TempDir) {
        let local = tempfile::tempdir().unwrap();
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        (Store::join_in(Arc::new(self.bucket.clone()), local.path(), options), local)
    }

    fn join(&self) -> (Store, TempDir) {
        let (store, local) = self.try_join();
        (store.unwrap(), local)
    }

    /// What the audit names, of an open store or of one that can't be opened: the object, and whether it heals.
    fn faults(&self) -> Vec<(String, bool)> {
        let (opened, local) = self.try_join();
        let report = match opened {
            Ok(store) => store.fsck(&quiet).unwrap(),
            Err(_) => Store::fsck_closed_in(Arc::new(self.bucket.clone()), local.path(), &quiet).unwrap(),
        };
        report.faults.into_iter().map(|fault| (fault.object, fault.heals)).collect()
    }

    /// Asks everything; an answer is its digest, or what was said in its place.
    fn answers(&self) -> BTreeMap<String, Result<String, String>> {
        let (opened, _local) = self.try_join();
        match opened {
            Ok(store) => self.ask(&store),
            Err(error) => [("opening".to_owned(), Err(error.to_string()))].into(),
        }
    }

    fn ask(&self, store: &Store) -> BTreeMap<String, Result<String, String>> {
        let mut answers = BTreeMap::new();
        let mut told = |question: &str, answer: Result<String, String>| {
            answers.insert(question.to_owned(), answer.map(|text| blake3::hash(text.as_bytes()).to_hex().to_string()));
        };
        told("opening", Ok(String::new()));
        told("nodes", self.ids.iter().map(|id| said(store.node(id))).collect());
        told("entries", said(store.entries(0..store.size())));
        told("the checkpoint", Ok(store.checkpoint()));
        let sizes = [2, self.cosigned[0], self.cosigned[1]];
        told("checkpoints", sizes.map(|size| said(store.checkpoint_at(size))).into_iter().collect());
        told("proofs", said(store.inclusion(3, store.size())));
        told("growth", said(store.consistency(sizes[1], store.size())));
        for size in self.cosigned {
            told(&format!("cosignatures of {size}"), said(store.cosigned(size, &witnesses())));
        }
        let options = ProveOptions { witnesses: witnesses(), disclose: Disclose::All, ..ProveOptions::default() };
        told("a bundle", said(store.prove(&self.shipment, &options)));
        told("adopted bundles", said(store.adopted()));
        told("names of adopted nodes", said(store.foreign_nodes()));
        told("the records to audit", said(store.records(1 << 20).map(|records| records.size())));
        told("keys", Ok(format!("{:?} {:?}", store.key_changes(), store.verifiers())));
        answers
    }

    /// Takes the turn to write and reads everything; tells what refused that.
    fn write(&self) -> Result<(), String> {
        let (writer, _local) = self.try_join();
        let writer = writer.map_err(|error| error.to_string())?;
        let standing = writer.tend(Duration::ZERO).map_err(|error| error.to_string())?;
        assert_eq!(standing, Standing::Writer);
        self.ask(&writer);
        writer.check_snapshot().map_err(|error| error.to_string())?;
        for name in self.bucket.names() {
            if let Ok(path) = TilePath::parse(&name) {
                writer.published(path).map_err(|error| error.to_string())?;
            }
        }
        writer.0.publish();
        Ok(())
    }
}

fn said<T: core::fmt::Debug, E: core::fmt::Display>(answer: Result<T, E>) -> Result<String, String> {
    answer.map(|answer| format!("{answer:?}")).map_err(|error| error.to_string())
}

/// Tells whether an error names an object, or a segment that is in this block.
fn is_named(name: &str, why: &str) -> bool {
    let said = why.split(' ').next().unwrap();
    let block = segment::first_of(said).map(|first| format!("blocks/{:016}", first / BLOCK_ENTRIES));
    said == name || block.as_deref() == Some(name)
}

/// Where bits are flipped, the same each time.
fn places(length: usize) -> Vec<(usize, u8)> {
    let drawn = |number: usize| {
        let hash = blake3::hash(format!("{number} of {length}").as_bytes());
        let word = u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap());
        usize::try_from(word).unwrap() % length
    };
    let most = std::env::var_os(PLACES_VARIABLE)
        .map_or(PLACES, |text| text.to_str().unwrap().parse().unwrap())
        .min(length * 4);
    let places = [0, length - 1].into_iter().chain((2..most).map(drawn)).collect::<BTreeSet<_>>();
    places.into_iter().zip((0..8).cycle()).collect()
}

#[test]
fn a_flipped_bit_in_any_object_is_named_and_never_served() {
    let whole = Log::new();
    assert_eq!(whole.faults(), []);
    let answers = whole.answers();
    assert!(answers.values().all(Result::is_ok), "{answers:#?}");
    let mut by_kind: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in whole.bucket.names() {
        by_kind.entry(kind(&name)).or_default().push(name);
    }
    assert_eq!(by_kind.keys().map(String::as_str).collect::<Vec<_>>(), KINDS.map(|(kind, _)| kind), "a kind is new");
    let mut wrong = Vec::new();
    for (kind, then) in KINDS {
        let names = &by_kind[kind];
        // The first and the last of many.
        for name in names.iter().take(1).chain(names.iter().skip(1).last()) {
            let mut refused = 0;
            let places = places(whole.bytes(name).len());
            for (at, bit) in &places {
                let log = whole.copy();
                let mut bytes = log.bytes(name);
                bytes[*at] ^= 1 << bit;
                log.bucket.put(name, &bytes, &When::Always).unwrap();
                let what = format!("{name}, bit {bit} of byte {at} of {}", bytes.len());
                let found = judge(&log, &answers, name, then, &mut refused);
                wrong.extend(found.into_iter().map(|why| format!("{what}: {why}")));
            }
            if then == Then::RefusedByName && refused == 0 {
                wrong.push(format!("{name}: nobody was refused"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A block that was removed was told of as a segment that nobody can put back.
#[test]
fn a_lost_block_or_segment_is_named_as_the_object_to_put_back() {
    let whole = Log::new();
    let answers = whole.answers();
    let names = whole.bucket.names();
    let of = |folder: &str| names.iter().filter(|name| name.starts_with(folder)).cloned().collect::<Vec<_>>();
    let (blocks, segments) = (of("blocks/"), of("segments/"));
    assert!(blocks.len() > 2 && segments.len() > 1, "{names:?}");
    for name in [&blocks[0], &blocks[1], blocks.last().unwrap(), &segments[0]] {
        let log = whole.copy();
        log.bucket.remove(name).unwrap();
        let faults = log.faults();
        assert!(
            !faults.is_empty() && faults.iter().all(|(object, heals)| object == name && !heals),
            "{name}: {faults:?}"
        );
        for (question, answer) in log.answers() {
            match answer {
                Ok(_) => assert_eq!(answer, answers[&question], "{name}: {question}"),
                Err(why) => assert!(why.contains(&**name), "{name}: {question}: {why}"),
            }
        }
        // Without the snapshot the whole log is read.
        log.bucket.remove("snapshots/catalogue").unwrap();
        let error = log.try_join().0.err().map(|error| error.to_string()).unwrap();
        assert!(error.starts_with(&**name), "{name}: {error}");
        log.bucket.put(name, &whole.bytes(name), &When::Absent).unwrap();
        assert_eq!(log.faults(), []);
    }
}

/// Says what is wrong with what is told of a log of which one object is damaged.
fn judge(
    log: &Log,
    answers: &BTreeMap<String, Result<String, String>>,
    name: &str,
    then: Then,
    refused: &mut usize,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let faults = log.faults();
    let heals = matches!(then, Then::MadeAgain | Then::MadeAgainWhenRead);
    if faults.is_empty() || faults.iter().any(|(object, _)| object != name) {
        wrong.push(format!("the audit names {faults:?}"));
    }
    if faults.iter().any(|(_, told)| *told != heals) {
        wrong.push(format!("the audit says whether it heals: {faults:?}"));
    }
    for (question, answer) in log.answers() {
        match answer {
            Ok(_) if answer == answers[&question] => {}
            Ok(_) => wrong.push(format!("{question}: another answer")),
            Err(why) if then == Then::RefusedByName && is_named(name, &why) => *refused += 1,
            Err(why) => wrong.push(format!("{question}: {why}")),
        }
    }
    match (log.write(), then) {
        (Ok(()), Then::MadeAgain | Then::MadeAgainWhenRead) => {
            let faults = log.faults();
            if !faults.is_empty() {
                wrong.push(format!("once somebody wrote: {faults:?}"));
            }
        }
        (Ok(()), Then::RefusedByName) => {}
        (Err(why), Then::RefusedByName | Then::ClosedByName) if is_named(name, &why) => {}
        (done, _) => wrong.push(format!("who takes the turn: {done:?}")),
    }
    wrong
}
