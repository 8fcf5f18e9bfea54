//! What is derived can be damaged in any way, and the answers stay the same.

use std::{fs, path::Path};

use griptrace_core::{
    digest::Digest,
    id::{GenesisHash, NodeId},
    node::Kind,
};

use super::world::{NOW, World, object, open, put, reader};
use crate::{
    Disclose, Found, LogEntry, ProveOptions, Store,
    catalogue::Catalogue,
    delta::Delta,
    objects::Objects,
    snapshot::{NAME as SNAPSHOT, blocks_of},
};

/// What a store answers.
#[derive(PartialEq, Debug)]
struct Answers {
    ancestors: Vec<Found>,
    descendants: Vec<Found>,
    models: Vec<NodeId>,
    entries: Vec<LogEntry>,
    bundle: Vec<u8>,
    by_name: Vec<NodeId>,
}

fn ask(store: &Store, source: &NodeId) -> Answers {
    let models = store.of_kind(Kind::Model).unwrap();
    let options = ProveOptions { disclose: Disclose::All, ..ProveOptions::default() };
    Answers {
        ancestors: store.ancestors(&models[0], None).unwrap(),
        descendants: store.descendants(source, None).unwrap(),
        entries: store.entries(0..store.size()).unwrap(),
        bundle: store.prove(&models[0], &options).unwrap(),
        by_name: store.by_name("camera 1").unwrap(),
        models,
    }
}

/// A store whose snapshot has several blocks in some columns, and a model on all of it.
fn large() -> (tempfile::TempDir, NodeId) {
    let world = World::new();
    let mut used = Vec::new();
    for round in 0..3 {
        let sources: Vec<_> = (0..700).map(|i| world.source(&format!("camera {}", round * 700 + i), "CN")).collect();
        used.extend(world.commit(sources));
    }
    world.commit(world.train("grasp", &used, "DE", &["weights"]));
    let World { dir, store, .. } = world;
    drop(store);
    (dir, used[0])
}

type Damage = (&'static str, fn(&mut Vec<u8>));

const DAMAGES: [Damage; 8] = [
    ("cut by one byte", |bytes| bytes.truncate(bytes.len() - 1)),
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("empty", Vec::clear),
    ("a bit at the beginning", |bytes| bytes[9] ^= 1),
    ("a bit in the middle", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 64;
    }),
    ("a bit at the end", |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 128;
    }),
    ("a page of zeros", |bytes| {
        let from = (bytes.len() / 3).min(bytes.len().saturating_sub(4096));
        let to = (from + 4096).min(bytes.len());
        bytes[from..to].fill(0);
    }),
    ("rubbish", |bytes| bytes.iter_mut().zip(0_u32..).for_each(|(byte, i)| *byte = i.to_le_bytes()[0] ^ 0x5a)),
];

#[test]
fn a_damaged_snapshot_answers_the_same() {
    let (dir, source) = large();
    let whole = object(dir.path(), SNAPSHOT).unwrap();
    let blocks = blocks_of(&whole);
    assert!(blocks.len() > 6 && blocks[0].len() == 32 << 10, "{blocks:?}");
    let expected = ask(&reader(dir.path()), &source);
    assert_eq!(expected.ancestors.len(), 2101);
    for (what, damage) in DAMAGES {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        put(dir.path(), SNAPSHOT, Some(&bytes));
        assert!(ask(&reader(dir.path()), &source) == expected, "{what}");
        let faults = reader(dir.path()).fsck(&|_, _, _| {}).unwrap().faults;
        assert!(faults.iter().any(|fault| fault.object == SNAPSHOT), "{what}: {faults:?}");
    }
    // The head, and every block, one by one.
    for at in [40, blocks[0].start - 1].into_iter().chain(blocks.iter().map(|block| block.end - 1)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        put(dir.path(), SNAPSHOT, Some(&bytes));
        assert!(ask(&reader(dir.path()), &source) == expected, "byte {at}");
    }
    // A writer makes it anew.
    let store = open(dir.path());
    assert!(ask(&store, &source) == expected);
    drop(store);
    assert!(reader(dir.path()).fsck(&|_, _, _| {}).unwrap().is_clean());
    put(dir.path(), SNAPSHOT, None);
    assert!(ask(&reader(dir.path()), &source) == expected, "deleted");
}

#[test]
fn a_writer_over_a_damaged_snapshot_records_nothing_twice() {
    let (dir, _) = large();
    let whole = object(dir.path(), SNAPSHOT).unwrap();
    for at in (0..whole.len()).step_by(24 * 1024) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        put(dir.path(), SNAPSHOT, Some(&bytes));
        let store = open(dir.path());
        let size = store.size();
        let some = store.of_kind(Kind::Dataset).unwrap()[5];
        let record = store.node(&some).unwrap().unwrap().record;
        let world = World::at(&store);
        let again = store.commit(vec![record], &world.committer, "Maker", NOW);
        assert!(again.unwrap_err().to_string().contains("recorded already"), "byte {at}");
        assert_eq!(store.size(), size);
        // What nobody asked for is only seen by an audit.
        let faults = store.fsck(&|_, _, _| {}).unwrap().faults;
        assert!(faults.iter().all(|fault| fault.object == SNAPSHOT), "byte {at}: {faults:?}");
    }
}

#[test]
fn another_logs_or_an_older_snapshot_is_not_believed() {
    let (dir, source) = large();
    let (other, _) = large();
    let expected = ask(&reader(dir.path()), &source);
    let own = object(dir.path(), SNAPSHOT).unwrap();
    // Two logs of one genesis, as it happens: the nodes differ.
    put(dir.path(), SNAPSHOT, Some(&object(other.path(), SNAPSHOT).unwrap()));
    assert!(ask(&reader(dir.path()), &source) == expected);
    put(dir.path(), SNAPSHOT, Some(&own));
    let world = World::at(&open(dir.path()));
    let late = world.add(world.source("late", "CN"));
    drop(world);
    put(dir.path(), SNAPSHOT, Some(&own));
    assert!(reader(dir.path()).node(&late).unwrap().is_some());
}

/// An upgrade is no damage: what an older version derived is derived again, and an audit has nothing to say of it.
#[test]
fn what_another_version_derived_is_made_again_without_a_word() {
    let (dir, source) = large();
    let expected = ask(&reader(dir.path()), &source);
    let (snapshot, index) = (dir.path().join("snapshots/catalogue"), dir.path().join("index"));
    let magic = |version: u8| [b"griptrace snapshot v".as_slice(), &[version]].concat();
    let mut bytes = fs::read(&snapshot).unwrap();
    let begin = blocks_of(&bytes)[0].start;
    assert_eq!(bytes[40..][..21], magic(b'4'));
    bytes[40..][..21].copy_from_slice(&magic(b'3'));
    let sum = blake3::hash(&bytes[40..begin]);
    bytes[8..40].copy_from_slice(sum.as_bytes());
    fs::write(&snapshot, &bytes).unwrap();
    fs::remove_dir_all(&index).unwrap();
    fs::create_dir_all(index.join("blobs")).unwrap();
    for name in ["conf", "db", "snap.0000000000000100", "blobs/12"] {
        fs::write(index.join(name), "of an older version").unwrap();
    }
    let audit = || assert_eq!(reader(dir.path()).fsck(&|_, _, _| {}).unwrap().faults, []);
    audit();
    assert!(ask(&reader(dir.path()), &source) == expected);
    audit();
    let mut names: Vec<_> = files_below(&index).iter().map(|p| p.file_name().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["0.run", "lock", "meta-4"]);
    assert_eq!(fs::read(&snapshot).unwrap(), bytes, "a reader leaves it");
    drop(open(dir.path()));
    assert_eq!(fs::read(&snapshot).unwrap()[40..][..21], magic(b'4'));
    audit();
    // A head that does not fit its checksum is damage, whatever it says.
    bytes[60] ^= 1;
    fs::write(&snapshot, &bytes).unwrap();
    assert_eq!(reader(dir.path()).fsck(&|_, _, _| {}).unwrap().faults.len(), 1);
}

/// Ids that begin alike are in their order all the same: a list of ids between two is cut where it should be.
#[test]
fn ids_that_begin_alike_stand_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::new(dir.path());
    let id = |first: u32, last: u8| {
        let mut bytes = [last; 32];
        bytes[..4].copy_from_slice(&first.to_be_bytes());
        bytes[4..8].fill(0);
        NodeId::new(Digest::from_bytes(bytes))
    };
    let home = GenesisHash::new(Digest::ZERO);
    let mut catalogue = Catalogue::new(home);
    let mut all = Vec::new();
    // The second and the third snapshot are merged with the one before.
    for lasts in [[9, 3, 6], [2, 8, 4], [7, 1, 5]] {
        let ids: Vec<NodeId> =
            lasts.iter().flat_map(|last| [1, 1 << 20, u32::MAX].map(|first| id(first, *last))).collect();
        all.extend(ids.iter().copied());
        catalogue.apply(Delta::of_ids(&catalogue, ids));
        assert!((0..).zip(&all).all(|(number, id)| catalogue.number(id) == Some(number)), "not in the snapshot yet");
        let snapshot = catalogue.write_snapshot(&objects).unwrap().unwrap();
        catalogue.rebase(snapshot);
    }
    let numbers: Vec<_> = all.iter().map(|id| catalogue.number(id)).collect();
    assert_eq!(numbers, (0..27).map(Some).collect::<Vec<_>>());
    assert_eq!(catalogue.number(&id(1, 10)), None);
    let (least, greatest) = (id(1 << 20, 2), id(1 << 20, 8));
    let expected: Vec<_> = (2..=8).map(|last| id(1 << 20, last)).collect();
    for limit in 0..9 {
        let found = catalogue.ids_between(&least, &greatest, 27, limit);
        assert_eq!(found, expected[..limit.min(7)], "{limit}");
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = walkdir::WalkDir::new(folder).into_iter().flatten();
    all.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn damaged_tiles_are_derived_again() {
    let world = World::new();
    let source = world.add(world.source("camera 1", "CN"));
    for i in 0..130 {
        world.add(world.source(&format!("{i}"), "CN"));
    }
    world.commit(world.train("grasp", &[source], "DE", &["weights"]));
    let World { dir, store, .. } = world;
    assert!(store.size() > 256);
    drop(store);
    let expected = ask(&reader(dir.path()), &source);
    let mut tiles = files_below(&dir.path().join("tile"));
    // Of the partial ones at the edge only the widest is of this tree.
    let last = format!("{}", expected.entries.len() % 256);
    tiles.retain(|tile| !tile.to_string_lossy().contains("001.p/") || tile.ends_with(&last));
    assert_eq!(tiles.len(), 5, "{tiles:?}");
    for tile in &tiles {
        let whole = fs::read(tile).unwrap();
        for (what, damage) in DAMAGES {
            let mut bytes = whole.clone();
            damage(&mut bytes);
            fs::write(tile, &bytes).unwrap();
            assert!(ask(&reader(dir.path()), &source) == expected, "{}: {what}", tile.display());
        }
        fs::remove_file(tile).unwrap();
        assert!(ask(&reader(dir.path()), &source) == expected, "{}: deleted", tile.display());
        let named = |object: &str| dir.path().join(object) == *tile;
        let faults = reader(dir.path()).fsck(&|_, _, _| {}).unwrap().faults;
        assert!(faults.iter().any(|fault| named(&fault.object)), "{}: {faults:?}", tile.display());
        // A writer that reads it puts it back.
        drop(ask(&open(dir.path()), &source));
        assert_eq!(fs::read(tile).unwrap(), whole, "{}", tile.display());
    }
    fs::remove_dir_all(dir.path().join("tile")).unwrap();
    assert!(open(dir.path()).fsck(&|_, _, _| {}).unwrap().is_clean(), "all of them");
}

/// Whoever recorded for the first time, which asks the index of a log that has nothing yet, was told by the audit that
/// the index is damaged.
#[test]
fn an_index_that_took_nothing_in_yet_is_no_fault() {
    let world = World::new();
    assert!(world.store.by_name("camera").unwrap().is_empty());
    world.commit(vec![world.source("camera", "CN")]);
    let World { dir, store, .. } = world;
    drop(store);
    assert!(dir.path().join("index").exists());
    let report = reader(dir.path()).fsck(&|_, _, _| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
}

super::world::in_a_bucket_too! {
    a_damaged_snapshot_answers_the_same,
    a_writer_over_a_damaged_snapshot_records_nothing_twice,
    another_logs_or_an_older_snapshot_is_not_believed,
    an_index_that_took_nothing_in_yet_is_no_fault,
}
