//! What an erasure takes is gone, from every file and object, and what it leaves still leads to the same roots.

use core::time::Duration;
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use griptrace_core::{
    bundle::Bundle,
    date::Date,
    details::{self, Values, slot},
    digest::Digest,
    entry::Genesis,
    id::NodeId,
    key::{Algorithm, SecretKey, Signer as _},
    manifest,
    node::Kind,
    value::Value,
};
use tempfile::TempDir;

use super::{
    sea::{Fault, Sea},
    weather::{Storm, Weather},
    world::{NOW, ORIGIN, World, open, reader, signer, values},
};
use crate::{
    CommitError, Disclose, Erase, EraseError, Erased, OpenOptions, Place, ProveOptions, Refusal, Standing, Store,
    bucket::{Bucket, MemoryBucket, When, blocks::BLOCK_ENTRIES},
    index::Index,
    objects::Objects,
    open::{init_on, open_on},
    record::{NodeRecord, Remains, Secret},
    segment,
};

pub(super) const NAME: &str = "a person in the picture, by name";
pub(super) const FILES: [&str; 4] =
    ["recordings/of-the-person-0001.mcap", "weights.bin", "z/also-recalled-file.mcap", "zz"];

pub(super) fn committer() -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap()
}

pub(super) fn request(target: NodeId, slots: &[u8], files: &[&str]) -> Erase {
    Erase {
        target,
        slots: slots.to_vec(),
        files: files.iter().map(|path| path.as_bytes().to_vec()).collect(),
        date: Date::parse("2026-06-02").unwrap(),
        values: values(Kind::Erasure, &[("reason", Value::text("a request"))]),
    }
}

pub(super) fn erase(store: &Store, target: NodeId, slots: &[u8], files: &[&str]) -> Result<Erased, EraseError> {
    store.erase(request(target, slots, files), &committer(), "Maker", NOW)
}

/// What must not be found: the name of each, and its bytes.
pub(super) type Needles = Vec<(String, Vec<u8>)>;

/// All that would give away these slots and files of a node.
pub(super) fn needles(node: &NodeRecord, slots: &[u8], files: &[&str]) -> Needles {
    let kind = node.core().unwrap().kind;
    let mut needles = Vec::new();
    if let Some(seed) = node.secret.seed().filter(|_| !slots.is_empty()) {
        needles.push(("the seed".to_owned(), seed.to_vec()));
        for slot in slots {
            needles.push((format!("the salt of slot {slot}"), details::salt(seed, *slot).to_vec()));
        }
    }
    for slot in slots {
        needles.push((format!("the value of slot {slot} of a {kind}"), node.values[slot][2..].to_vec()));
    }
    let Some(manifest) = node.manifest.as_ref().filter(|_| !files.is_empty()) else { return needles };
    let seed = manifest.secret.seed().unwrap();
    needles.push(("the manifest's seed".to_owned(), seed.to_vec()));
    for (index, file) in
        (0..).zip(&manifest.files).filter(|(_, file)| files.iter().any(|path| path.as_bytes() == file.path))
    {
        needles.push((format!("the path of file {index}"), file.path.clone()));
        needles.push((format!("the salt of file {index}"), manifest::salt(seed, index).to_vec()));
        needles.push((format!("the digest of file {index}"), file.blake3.as_bytes().to_vec()));
    }
    needles
}

fn files_below(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
}

fn below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    files_below(folder, &mut found);
    found
}

pub(super) fn objects(bucket: &MemoryBucket) -> BTreeMap<String, Vec<u8>> {
    bucket.names().into_iter().map(|name| (name.clone(), bucket.get(&name, None).unwrap().unwrap().bytes)).collect()
}

/// Returns which needles are found where.
pub(super) fn found(places: &BTreeMap<String, Vec<u8>>, needles: &Needles) -> Vec<String> {
    let mut found = Vec::new();
    for (place, bytes) in places {
        for (what, needle) in needles {
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(format!("{what} in {place}"));
            }
        }
    }
    found
}

pub(super) fn assert_clean(store: &Store) {
    let report = store.fsck(&|_, _, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
}

pub(super) fn name_of(kind: Kind) -> u8 {
    slot(kind, "name").unwrap()
}

/// What a log has of one person: a data set with a name, and a model with files, shipped.
pub(super) struct Person {
    pub(super) set: NodeRecord,
    pub(super) model: NodeRecord,
    pub(super) shipment: NodeId,
}

pub(super) fn record(store: &Store) -> Person {
    let world = World::at(store);
    let set = world.source(NAME, "CN");
    world.add(set.clone());
    let nodes = world.train("grasp", &[set.id()], "DE", &FILES);
    let model = nodes.iter().find(|node| node.manifest.is_some()).unwrap().clone();
    world.commit(nodes);
    world.add(world.assessment(&[set.id()]));
    let shipment = world.add(world.shipment(&[model.id()], "DE"));
    Person { set, model, shipment }
}

fn bundle(store: &Store, root: &NodeId) -> Vec<u8> {
    store.prove(root, &ProveOptions { disclose: Disclose::All, ..ProveOptions::default() }).unwrap()
}

/// What a bundle opens of a node: its slots, after the proof was held against its core.
fn opened(bundle: &Bundle, id: &NodeId) -> Values {
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
    let (ordinal, core) = (0_u64..).zip(cores).find(|(_, core)| griptrace_core::node::node_id(core) == *id).unwrap();
    let core = griptrace_core::node::Core::from_bytes(core).unwrap();
    let Some(disclosure) = bundle.disclosures.iter().find(|disclosure| disclosure.node == ordinal) else {
        return Values::new();
    };
    assert_eq!(disclosure.opening.root(core.kind), Ok(core.details));
    disclosure.opening.slots.iter().map(|(slot, _, value)| (*slot, value.clone())).collect()
}

#[test]
fn what_is_erased_is_in_no_file_of_the_folder() {
    let world = World::new();
    let Person { set, model, shipment } = record(&world.store);
    for i in 0..200 {
        world.add(world.source(&format!("more-{i}"), "DE"));
    }
    assert_eq!(world.store.by_name(NAME).unwrap(), [set.id()], "so that the index has it");
    let recorded = world.store.find_recorded(core::slice::from_ref(&set)).unwrap();
    assert_eq!(recorded, Some(vec![set.id()]));
    let before = bundle(&world.store, &shipment);
    assert_clean(&world.store);
    let (name, licence) = (name_of(Kind::Dataset), slot(Kind::Dataset, "licence").unwrap());
    let mut needles = needles(&set, &[name], &[]);
    let there = found(&below(world.dir.path()), &needles);
    assert!(there.iter().any(|found| found.contains("value")) && there.iter().any(|found| found.contains("seed")));

    let erased = erase(&world.store, set.id(), &[name], &[]).unwrap();
    assert_eq!(erased.objects, ["segments/0000000000000000"]);
    assert_eq!(found(&below(world.dir.path()), &needles), [""; 0]);
    let node = world.store.node(&set.id()).unwrap().unwrap();
    assert_eq!(node.record.secret.erased(), [name]);
    assert_eq!(node.record.values, Values::from([(licence, set.values[&licence].clone())]));
    assert_eq!(world.store.by_name(NAME).unwrap(), []);
    assert_eq!(world.store.find_recorded(core::slice::from_ref(&set)).unwrap(), None, "R10");
    assert_clean(&world.store);
    let after = Bundle::from_bytes(&bundle(&world.store, &shipment)).unwrap();
    assert_eq!(opened(&after, &set.id()).into_keys().collect::<Vec<_>>(), [licence]);
    let before = Bundle::from_bytes(&before).unwrap();
    assert_eq!(opened(&before, &set.id()).into_keys().collect::<Vec<_>>(), [name, licence]);

    // Files, of a node in another segment or the same; and the log goes on, here and when it is opened again.
    let gone = [FILES[0], FILES[2]];
    needles.extend(self::needles(&model, &[], &gone));
    erase(&world.store, model.id(), &[], &gone).unwrap();
    assert_eq!(found(&below(world.dir.path()), &needles), [""; 0]);
    let left = world.store.node(&model.id()).unwrap().unwrap().record.manifest.unwrap();
    assert_eq!((left.erased(), left.count()), (2, 4));
    assert_eq!(left.root(), model.manifest.as_ref().unwrap().root());
    world.add(world.source("afterwards", "DE"));
    let World { dir, store, .. } = world;
    drop(store);
    let store = open(dir.path());
    World::at(&store).add(World::at(&store).source("and again", "DE"));
    assert_clean(&store);
    let after = Bundle::from_bytes(&bundle(&store, &shipment)).unwrap();
    assert_eq!(after.manifests, [], "it can't be opened whole");
    drop(store);
    assert_eq!(found(&below(dir.path()), &needles), [""; 0]);
    assert_eq!(reader(dir.path()).node(&set.id()).unwrap().unwrap().record.secret.erased(), [name]);
}

#[test]
fn what_is_erased_again_only_gets_less() {
    let world = World::new();
    let Person { set, model, .. } = record(&world.store);
    let kind = |node: &NodeRecord| node.core().unwrap().kind;
    let (name, licence) = (name_of(Kind::Dataset), slot(Kind::Dataset, "licence").unwrap());
    erase(&world.store, set.id(), &[name], &[]).unwrap();
    let again = erase(&world.store, set.id(), &[name], &[]);
    assert!(matches!(again, Err(EraseError::Gone { slot }) if slot == name), "{again:?}");
    let nothing = erase(&world.store, set.id(), &[31], &[]);
    assert!(matches!(nothing, Err(EraseError::NoValue { slot: 31 })), "{nothing:?}");
    let left = world.store.node(&set.id()).unwrap().unwrap().record;
    let Secret::Kept(kept) = &left.secret else { panic!("the seed is there") };
    let details::Kept::Salt(salt) = kept[usize::from(licence)] else { panic!("the salt is gone") };
    erase(&world.store, set.id(), &[licence], &[]).unwrap();
    let mut gone = needles(&set, &[name, licence], &[]);
    gone.push(("the salt that was kept at first".to_owned(), salt.to_vec()));
    assert_eq!(found(&below(world.dir.path()), &gone), [""; 0], "of the older Erasure too");
    let twice = world.store.node(&set.id()).unwrap().unwrap().record;
    assert_eq!((twice.secret.erased(), twice.values.len()), (vec![name, licence], 0));
    assert_eq!(twice.secret.root(kind(&set), &twice.values), Some(set.core().unwrap().details));

    // A field, then a file, then both; and the details of an Erasure itself.
    let content = slot(Kind::Model, "content").unwrap();
    erase(&world.store, model.id(), &[name_of(Kind::Model)], &[]).unwrap();
    let erasure = erase(&world.store, model.id(), &[], &FILES[..1]).unwrap();
    erase(&world.store, model.id(), &[content], &FILES[2..3]).unwrap();
    let reason = slot(Kind::Erasure, "reason").unwrap();
    erase(&world.store, erasure.id, &[reason], &[]).unwrap();
    // Its name is that of the step too.
    let gone = needles(&model, &[content], &[FILES[0], FILES[2]]);
    assert_eq!(found(&below(world.dir.path()), &gone), [""; 0]);
    let left = world.store.node(&model.id()).unwrap().unwrap().record;
    assert_eq!(left.manifest.unwrap().erased(), 2);
    assert_eq!(world.store.node(&erasure.id).unwrap().unwrap().record.secret.erased(), [reason]);
    let missing = erase(&world.store, model.id(), &[], &FILES[..1]);
    assert!(matches!(missing, Err(EraseError::NoFile { .. })), "{missing:?}");
    assert_clean(&world.store);
}

pub(super) fn init(bucket: &MemoryBucket, local: &TempDir) -> Store {
    init_over(Arc::new(bucket.clone()), local)
}

pub(super) fn init_over(bucket: Arc<dyn Bucket>, local: &TempDir) -> Store {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
    let genesis = Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [3; 16], revokers: Vec::new() };
    let objects = Objects::in_bucket(bucket, local.path());
    Store::from_opened(init_on(objects, &genesis, signer(), NOW).unwrap())
}

/// Opens a log for writing that was left by a writer which is gone.
pub(super) fn in_bucket_after(bucket: &MemoryBucket, local: &TempDir) -> Store {
    let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
    let store = Store::join_in(Arc::new(bucket.clone()), local.path(), options).unwrap();
    for at in 0..100 {
        if store.tend(Duration::from_secs(at)).unwrap() == Standing::Writer {
            return store;
        }
    }
    panic!("nobody gets the turn");
}

#[test]
fn what_is_erased_is_in_no_object_of_the_bucket_and_in_nothing_that_a_reader_keeps() {
    let (bucket, local, other) = (MemoryBucket::default(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let writer = init(&bucket, &local);
    let Person { set, model, shipment } = record(&writer);
    let reader = Store::join_in(Arc::new(bucket.clone()), other.path(), OpenOptions::default()).unwrap();
    let follow = |at: u64| {
        writer.0.publish();
        writer.tend(Duration::from_secs(at)).unwrap();
        assert!(matches!(reader.tend(Duration::from_secs(at)).unwrap(), Standing::Reader(_)));
        assert_eq!(reader.size(), writer.size());
    };
    follow(2);
    assert_eq!(reader.by_name(NAME).unwrap(), [set.id()]);
    assert!(reader.node(&set.id()).unwrap().unwrap().record.values.contains_key(&0), "so that it keeps the segment");
    let before = bundle(&writer, &shipment);
    let gone = needles(&set, &[0], &[]);
    assert!(found(&objects(&bucket), &gone).iter().all(|found| found.contains("segments/")));

    // From the tail.
    let erased = erase(&writer, set.id(), &[0], &[]).unwrap();
    assert_eq!(erased.objects, ["segments/0000000000000002"]);
    assert_eq!(found(&objects(&bucket), &gone), [""; 0]);
    follow(4);
    assert_eq!(reader.node(&set.id()).unwrap().unwrap().record.secret.erased(), [0]);
    assert!(!other.path().join("index").exists(), "the reader's index has a fingerprint of it");
    assert_eq!(reader.by_name(NAME).unwrap(), []);
    assert_clean(&writer);
    assert_clean(&reader);

    // From a block, beside which a writer that lost its turn left what it had.
    let old = bucket.get("segments/0000000000000004", None).unwrap().unwrap().bytes;
    for i in 0..BLOCK_ENTRIES {
        World::at(&writer).add(World::at(&writer).source(&format!("more-{i}"), "DE"));
    }
    assert!(writer.merge_segments().unwrap() > 0);
    assert_eq!(bucket.get("segments/0000000000000004", None).unwrap(), None);
    bucket.put("segments/0000000000000004", &old, &When::Absent).unwrap();
    let gone = needles(&model, &[], &[FILES[0], FILES[2]]);
    let there = found(&objects(&bucket), &gone);
    assert!(
        there.iter().any(|found| found.contains("blocks/")) && there.iter().any(|found| found.contains("segments/"))
    );
    let erased = erase(&writer, model.id(), &[], &[FILES[0], FILES[2]]).unwrap();
    assert_eq!(erased.objects, ["blocks/0000000000000000", "segments/0000000000000004"]);
    assert_eq!(writer.erased_objects(&model.id()).unwrap(), erased.objects, "whoever asks again is told");
    let before_the_block = writer.erased_objects(&set.id()).unwrap();
    assert_eq!(before_the_block, ["blocks/0000000000000000", "segments/0000000000000002"]);
    assert_eq!(writer.erased_objects(&shipment).unwrap(), [""; 0]);
    assert_eq!(found(&objects(&bucket), &gone), [""; 0]);
    follow(6);
    let left = reader.node(&model.id()).unwrap().unwrap().record.manifest.unwrap();
    assert_eq!((left.erased(), left.root()), (2, model.manifest.as_ref().unwrap().root()));
    for store in [&writer, &reader] {
        assert_clean(store);
        assert_eq!(opened(&Bundle::from_bytes(&bundle(store, &shipment)).unwrap(), &set.id()).len(), 1);
    }
    assert_eq!(opened(&Bundle::from_bytes(&before).unwrap(), &set.id()).len(), 2);
}

/// A writer erases while it loses the turn to one that reads the log meanwhile: the other one carries it out.
#[test]
fn who_takes_the_turn_carries_out_what_the_last_one_began() {
    for storm in [Storm::Crash, Storm::Persisted, Storm::Lost] {
        for at in 0.. {
            let (bucket, local, other) =
                (MemoryBucket::default(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let weather = Weather::over(&bucket);
            let writer = init_over(Arc::new(weather.clone()), &local);
            let Person { set, shipment, .. } = record(&writer);
            let before = bundle(&writer, &shipment);
            for i in 0..BLOCK_ENTRIES {
                World::at(&writer).add(World::at(&writer).source(&format!("more-{i}"), "DE"));
            }
            let gone = needles(&set, &[0], &[]);
            weather.brew(at, storm);
            let begun = weather.writes();
            let erased = erase(&writer, set.id(), &[0], &[]);
            let is_over = weather.writes() - begun <= at;
            let what = format!("{storm:?} at write {at}: {erased:?}");
            if erased.is_ok() {
                assert_eq!(found(&objects(&bucket), &gone), [""; 0], "{what}");
            }
            weather.cut_off(true);
            drop(writer);
            let store = in_bucket_after(&bucket, &other);
            assert!(!store.is_erasing().unwrap(), "{what}");
            assert_whole(&store, &set, &gone, &objects(&bucket), &what);
            erase_if_there(&store, &set);
            assert_eq!(found(&objects(&bucket), &gone), [""; 0], "{what}, and once more");
            assert_clean(&store);
            assert_eq!(opened(&Bundle::from_bytes(&before).unwrap(), &set.id()).len(), 2);
            if is_over {
                assert!(at > 4, "only {at} writes");
                break;
            }
        }
    }
}

/// Either all is gone, and the log says so; or all is there.
fn assert_whole(store: &Store, set: &NodeRecord, gone: &Needles, places: &BTreeMap<String, Vec<u8>>, what: &str) {
    let found = found(places, gone);
    let erasures = store.of_kind(Kind::Erasure).unwrap();
    let node = store.node(&set.id()).unwrap().unwrap();
    if erasures.is_empty() {
        assert_eq!(node.record, *set, "{what}");
    } else {
        assert_eq!((found, node.record.secret.erased()), (Vec::new(), vec![0]), "{what}");
    }
    let report = store.fsck(&|_, _, _| {}).unwrap();
    assert!(report.is_clean(), "{what}: {:?}", report.faults);
}

fn erase_if_there(store: &Store, set: &NodeRecord) {
    if store.of_kind(Kind::Erasure).unwrap().is_empty() {
        erase(store, set.id(), &[0], &[]).unwrap();
    }
    assert_eq!(store.node(&set.id()).unwrap().unwrap().record.secret.erased(), [0]);
}

/// A crash at every change that an erasure makes of a folder, and a power cut behind it.
#[test]
fn a_crash_anywhere_in_an_erasure_leaves_the_value_or_none_of_it() {
    let (sea, folder) = (Sea::default(), tempfile::tempdir().unwrap());
    let on = |sea: &Sea| Objects::on(Box::new(sea.clone()), folder.path());
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
    let genesis = Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [3; 16], revokers: Vec::new() };
    let store = Store::from_opened(init_on(on(&sea), &genesis, signer(), NOW).unwrap());
    let Person { set, .. } = record(&store);
    for i in 0..12 {
        World::at(&store).add(World::at(&store).source(&format!("more-{i}"), "DE"));
    }
    drop(store);
    let gone = needles(&set, &[0], &[]);
    let open = |sea: &Sea| {
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        Store::from_opened(open_on(on(sea), options).unwrap())
    };
    let mut met = 0;
    for fault in [Fault::Crash, Fault::Lost, Fault::Persisted, Fault::Torn, Fault::Full] {
        for at in 0.. {
            let sea = sea.copy();
            let store = open(&sea);
            sea.fail(at, fault);
            let erased = erase(&store, set.id(), &[0], &[]);
            let is_met = sea.mend();
            let what = format!("{fault:?} at change {at}: {erased:?}");
            if erased.is_ok() {
                assert_eq!(found(&sea.files(), &gone), [""; 0], "{what}");
            }
            let cut = sea.power_cut(|| (at + met) % 3 == 0);
            drop(store);
            for sea in [sea, cut] {
                let store = open(&sea);
                assert!(!store.is_erasing().unwrap(), "{what}");
                assert_whole(&store, &set, &gone, &sea.files(), &what);
                erase_if_there(&store, &set);
                World::at(&store).add(World::at(&store).source("afterwards", "DE"));
                assert_clean(&store);
                drop(store);
                assert_eq!(found(&sea.files(), &gone), [""; 0], "{what}, and once more");
            }
            if !is_met {
                break;
            }
            met += 1;
        }
    }
    assert!(met > 40, "only {met} faults were met");
}

#[test]
fn what_an_erasure_left_is_damaged_by_name() {
    let world = World::new();
    let Person { set, .. } = record(&world.store);
    let licence = slot(Kind::Dataset, "licence").unwrap();
    erase(&world.store, set.id(), &[0], &[]).unwrap();
    let World { dir, store, .. } = world;
    let left = store.node(&set.id()).unwrap().unwrap().record;
    let Secret::Kept(kept) = &left.secret else { panic!("the seed is there") };
    let details::Kept::Salt(salt) = kept[usize::from(licence)] else { panic!("the salt is gone") };
    let details::Kept::Leaf(leaf) = kept[0] else { panic!("the salt is there") };
    drop(store);
    let name = "segments/0000000000000000";
    let path = dir.path().join(name);
    let whole = fs::read(&path).unwrap();
    for needle in [&salt[..], leaf.as_bytes()] {
        let at = whole.windows(needle.len()).position(|window| window == needle).unwrap();
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        let report = Store::fsck_closed(dir.path(), &|_, _, _| {}).unwrap();
        assert!(report.faults.iter().any(|fault| fault.object == name && !fault.heals), "{:?}", report.faults);
    }
    // As somebody would who makes the checksums anew, and leaves the value's place as it is.
    for (needle, other) in [(&salt[..], &[7; 16][..]), (leaf.as_bytes(), &[7; 32])] {
        let at = whole.windows(needle.len()).position(|window| window == needle).unwrap();
        let mut forged = whole.clone();
        forged[at..at + needle.len()].copy_from_slice(other);
        segment::sum_again(name, &mut forged);
        fs::write(&path, &forged).unwrap();
        let report = Store::fsck_closed(dir.path(), &|_, _, _| {}).unwrap();
        let why = report.faults.iter().find(|fault| fault.object == name).map(|fault| fault.why.clone());
        assert!(why.is_some_and(|why| why.contains("does not lead to its details root")), "{:?}", report.faults);
    }
    fs::write(&path, &whole).unwrap();
    assert_clean(&reader(dir.path()));
}

/// What an Erasure leaves is what stood there, less what it says, and nothing else.
#[test]
fn an_erasure_that_leaves_anything_else_is_refused() {
    let world = World::new();
    let Person { set, model, .. } = record(&world.store);
    let made = |slots: &[u8], files: &[&str], target: &NodeRecord| {
        world.store.erasure(request(target.id(), slots, files)).unwrap()
    };
    let refused = |erasure: NodeRecord, what: &str| {
        let error = world.store.commit(vec![erasure], &committer(), "Maker", NOW).unwrap_err();
        let is_it = matches!(&error, CommitError::Refused { why: Refusal::Remains { .. }, .. });
        assert!(is_it, "{what}: {error:?}");
    };
    let changed = |erasure: &NodeRecord, change: &dyn Fn(&mut Remains)| {
        let mut erasure = erasure.clone();
        change(erasure.remains.as_mut().unwrap());
        erasure
    };
    let good = made(&[0], &[], &set);
    let licence = slot(Kind::Dataset, "licence").unwrap();
    refused(NodeRecord { remains: None, ..good.clone() }, "nothing");
    refused(changed(&good, &|remains| remains.details = None), "no details");
    refused(changed(&good, &|remains| drop(remains.details.as_mut().unwrap().1.remove(&licence))), "a value less");
    let other = details::Kept::Leaf(Digest::from_bytes([7; 32]));
    refused(changed(&good, &|remains| remains.details.as_mut().unwrap().0[0] = other), "another leaf");
    refused(changed(&good, &|remains| remains.details.as_mut().unwrap().0[9] = other), "a leaf for a salt");
    let salt = details::Kept::Salt(details::salt(set.secret.seed().unwrap(), 0));
    refused(changed(&good, &|remains| remains.details.as_mut().unwrap().0[0] = salt), "the salt of what is erased");
    let (value, two) = (set.values[&0].clone(), made(&[0, licence], &[], &set));
    let kept = changed(&good, &|remains| drop(remains.details.as_mut().unwrap().1.insert(0, value.clone())));
    refused(kept, "the value");
    refused(NodeRecord { remains: two.remains, ..good.clone() }, "a slot more than it says");
    let files = made(&[], &FILES[..1], &model);
    refused(changed(&files, &|remains| remains.manifest = None), "no files");
    refused(changed(&files, &|remains| drop(remains.manifest.as_mut().unwrap().files.pop())), "a file less");
    let manifest = model.manifest.clone();
    refused(changed(&files, &|remains| remains.manifest.clone_from(&manifest)), "all files");
    refused(NodeRecord { remains: files.remains.clone(), ..good.clone() }, "another node's");
    // That of an older state: what was erased meanwhile would come back.
    let older = made(&[licence], &[], &set);
    erase(&world.store, set.id(), &[0], &[]).unwrap();
    refused(older, "what was erased meanwhile");
    assert_eq!(world.store.of_kind(Kind::Erasure).unwrap().len(), 1);
    assert_clean(&world.store);
}

#[test]
fn a_backup_carries_an_erasure_over() {
    let world = World::new();
    let Person { set, model, .. } = record(&world.store);
    for i in 0..120 {
        world.add(world.source(&format!("more-{i}"), "DE"));
    }
    let (folder, bucket, local) = (tempfile::tempdir().unwrap(), MemoryBucket::default(), tempfile::tempdir().unwrap());
    let places =
        [Place::Folder(folder.path().to_owned()), Place::Bucket(Arc::new(bucket.clone()), local.path().to_owned())];
    let mut gone = needles(&set, &[0], &[]);
    let look = |gone: &Needles| [found(&below(folder.path()), gone), found(&objects(&bucket), gone)].concat();
    for place in &places {
        world.store.back_up(place, &|_, _, _| {}).unwrap();
        // So that the copy has an index.
        assert_eq!(place.open().unwrap().by_name(NAME).unwrap(), [set.id()]);
    }
    assert!(look(&gone).len() >= 4);
    erase(&world.store, set.id(), &[0], &[]).unwrap();
    for place in &places {
        let copied = world.store.back_up(place, &|_, _, _| {}).unwrap();
        assert!(copied.erased.iter().any(|object| object.starts_with("segments/")), "{:?}", copied.erased);
        // Nothing is left to do.
        assert_eq!(world.store.back_up(place, &|_, _, _| {}).unwrap().erased, [""; 0]);
    }
    assert_eq!(look(&gone), [""; 0]);
    gone.extend(needles(&model, &[], &FILES[..1]));
    erase(&world.store, model.id(), &[], &FILES[..1]).unwrap();
    for place in &places {
        world.store.back_up(place, &|_, _, _| {}).unwrap();
        let copy = place.open().unwrap();
        assert_eq!(copy.node(&set.id()).unwrap(), world.store.node(&set.id()).unwrap());
        assert_eq!(copy.node(&model.id()).unwrap(), world.store.node(&model.id()).unwrap());
        assert_eq!(copy.by_name(NAME).unwrap(), []);
        assert_clean(&copy);
    }
    assert_eq!(look(&gone), [""; 0]);
}

/// How many fingerprints an index at rest has that lead to a node.
fn fingerprints(store: &Store, local: &TempDir, id: &NodeId) -> usize {
    *store.0.index() = None;
    let state = store.0.read();
    let index = Index::inspect(local.path(), &state.catalogue).unwrap().expect("an index is there");
    let number = state.catalogue.number(id).unwrap();
    index.pairs().unwrap().iter().filter(|(_, found)| *found == number).count()
}

/// A reader that hears of an Erasure before it is carried out, and one that was closed meanwhile, keep no fingerprint.
#[test]
fn an_index_is_sifted_once_an_erasure_is_carried_out() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let weather = Weather::over(&bucket);
    let writer = init_over(Arc::new(weather.clone()), &local);
    let Person { set, .. } = record(&writer);
    writer.0.publish();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let join = |at: usize| {
        let store = Store::join_in(Arc::new(bucket.clone()), folders[at].path(), OpenOptions::default()).unwrap();
        store.tend(Duration::ZERO).unwrap();
        store
    };
    let [reader, closed] = [join(0), join(1)];
    for store in [&reader, &closed] {
        assert_eq!(store.by_name(NAME).unwrap(), [set.id()]);
    }
    assert_eq!(fingerprints(&reader, &folders[0], &set.id()), 2, "of its name, and of all that it says");
    assert_eq!(fingerprints(&closed, &folders[1], &set.id()), 2);
    drop(closed);

    // The Erasure is committed and told, and nobody carries it out for a while.
    weather.brew(3, Storm::Crash);
    erase(&writer, set.id(), &[0], &[]).unwrap_err();
    weather.cut_off(false);
    writer.0.publish();
    weather.cut_off(true);
    reader.tend(Duration::from_secs(1)).unwrap();
    assert_eq!(reader.size(), writer.size());
    assert_eq!(reader.of_kind(Kind::Erasure).unwrap().len(), 1);
    assert_eq!(reader.node(&set.id()).unwrap().unwrap().record, set, "nobody is told that it is gone, for it is not");
    assert_eq!(reader.by_name(NAME).unwrap(), [set.id()]);
    let report = reader.fsck(&|_, _, _| {}).unwrap();
    let faults: Vec<_> = report.faults.iter().map(|fault| (fault.object.as_str(), fault.heals)).collect();
    assert_eq!(faults, [("erasing", true)], "{:?}", report.faults);

    // Somebody takes the turn.
    drop(writer);
    let other = tempfile::tempdir().unwrap();
    let writer = in_bucket_after(&bucket, &other);
    writer.0.publish();
    reader.tend(Duration::from_secs(9)).unwrap();
    assert_eq!(reader.node(&set.id()).unwrap().unwrap().record.secret.erased(), [0]);
    let again = join(1);
    for (store, folder) in [(&reader, &folders[0]), (&again, &folders[1])] {
        assert_eq!(store.by_name(NAME).unwrap(), []);
        assert_eq!(fingerprints(store, folder, &set.id()), 1, "of what is left of it");
        assert_clean(store);
    }
}

/// Returns the frame of a node in a folder's segment 0, and where it ends.
fn frame_of(store: &Store, id: &NodeId) -> core::ops::Range<usize> {
    let state = store.0.read();
    let number = state.catalogue.number(id).unwrap();
    assert_eq!(state.catalogue.commit_of(number).segment, 0);
    let frame = state.catalogue.node(number).frame;
    usize::try_from(frame.offset).unwrap()..usize::try_from(frame.end()).unwrap()
}

const FIRST: &str = "segments/0000000000000000";

#[test]
fn what_stands_there_again_is_told_and_erased_again() {
    let world = World::new();
    let Person { set, .. } = record(&world.store);
    let path = world.dir.path().join(FIRST);
    let before = fs::read(&path).unwrap();
    let erased = erase(&world.store, set.id(), &[0], &[]).unwrap();
    let (frame, attachment) = (frame_of(&world.store, &set.id()), frame_of(&world.store, &erased.id).end);
    let World { dir, store, .. } = world;
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes[frame.clone()].copy_from_slice(&before[frame]);
    fs::write(&path, &bytes).unwrap();
    let faults = || Store::fsck_closed(dir.path(), &|_, _, _| {}).unwrap().faults;
    let found = faults();
    assert!(found.len() == 1 && found[0].heals && found[0].why.contains("still stands there"), "{found:?}");

    // And what the Erasure has is said to be with what is none: nothing is lost by saying so, and it is told.
    let mut forged = bytes.clone();
    segment::take(FIRST, &mut forged, u64::try_from(attachment).unwrap(), &set.id(), |_| true).unwrap();
    fs::write(&path, &forged).unwrap();
    let found = faults();
    assert!(found.iter().any(|fault| !fault.heals && fault.why.contains("no later Erasure")), "{found:?}");
    assert_eq!(reader(dir.path()).by_name(NAME).unwrap(), [set.id()], "no look-up fails");

    fs::write(&path, &bytes).unwrap();
    let store = open(dir.path());
    let report = store.fsck(&|_, _, _| {}).unwrap();
    assert_eq!(store.mend(&report).unwrap(), report.faults);
    assert_eq!(found_below(dir.path(), &set), [""; 0]);
    assert_clean(&store);
    drop(store);
    fs::write(&path, &bytes).unwrap();
    let store = open(dir.path());
    let again = erase(&store, set.id(), &[0], &[]);
    assert!(matches!(again, Err(EraseError::Gone { slot: 0 })), "{again:?}");
    assert_eq!(found_below(dir.path(), &set), [""; 0]);
    assert_clean(&store);
}

fn found_below(folder: &Path, set: &NodeRecord) -> Vec<String> {
    found(&below(folder), &needles(set, &[0], &[]))
}

#[test]
fn what_is_left_of_another_node_is_damage_by_name() {
    let world = World::new();
    let Person { set, .. } = record(&world.store);
    let victim = world.source("the other one", "DE");
    world.add(victim.clone());
    let erased = erase(&world.store, set.id(), &[0], &[]).unwrap();
    let frame = frame_of(&world.store, &victim.id());
    let World { dir, store, .. } = world;
    drop(store);
    let path = dir.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    segment::take(FIRST, &mut bytes, u64::try_from(frame.start).unwrap(), &erased.id, |_| true).unwrap();
    fs::write(&path, &bytes).unwrap();
    let store = reader(dir.path());
    let error = store.node(&victim.id()).unwrap_err().to_string();
    assert!(error.contains("no Erasure of it"), "{error}");
    let found = store.fsck(&|_, _, _| {}).unwrap().faults;
    assert!(found.iter().any(|fault| fault.object == FIRST && !fault.heals), "{found:?}");
}

#[test]
fn an_audit_that_is_behind_tells_of_no_damage() {
    let (bucket, local, other) = (MemoryBucket::default(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let writer = init(&bucket, &local);
    let Person { set, model, .. } = record(&writer);
    writer.0.publish();
    let reader = Store::join_in(Arc::new(bucket.clone()), other.path(), OpenOptions::default()).unwrap();
    reader.tend(Duration::from_secs(1)).unwrap();
    erase(&writer, set.id(), &[0], &[]).unwrap();
    erase(&writer, model.id(), &[name_of(Kind::Model)], &[FILES[0]]).unwrap();
    assert_clean(&reader);
    writer.0.publish();
    reader.tend(Duration::from_secs(2)).unwrap();
    assert_clean(&reader);
    // And behind the second of two, whose first it knows.
    erase(&writer, set.id(), &[slot(Kind::Dataset, "licence").unwrap()], &[]).unwrap();
    assert_clean(&reader);
}
