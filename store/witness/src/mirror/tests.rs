//! Logs that grow, and logs that do what none may do.

use std::{collections::BTreeMap, sync::Mutex};

use griptrace_core::{
    note::NoteSigner,
    tile::{encode_entries, entry_bundles, tiles},
    tree,
};

use super::*;

const ORIGIN: &str = "plant.example/2026";
/// Entries: two full tiles and a part of a third.
const SIZE: u64 = 700;

/// What a log publishes, and how often each of it was read.
#[derive(Debug, Default)]
struct Site {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    reads: Mutex<Vec<String>>,
}

impl Resources for Site {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.reads.lock().unwrap().push(path.to_owned());
        Ok(self.files.lock().unwrap().get(path).cloned())
    }
}

/// A folder in memory, in which a number of writes succeed.
#[derive(Debug)]
struct Disk {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    writes: Mutex<usize>,
}

impl Shelf for Disk {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.lock().unwrap().get(name).cloned())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut left = self.writes.lock().unwrap();
        *left = left.checked_sub(1).ok_or_else(|| io::Error::other("killed"))?;
        self.files.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let files = self.files.lock().unwrap();
        let below = files.keys().filter_map(|name| name.strip_prefix(folder)?.strip_prefix('/'));
        Ok(below.map(str::to_owned).collect())
    }

    fn remove(&self, folder: &str) -> io::Result<()> {
        self.files.lock().unwrap().retain(|name, _| !name.starts_with(&format!("{folder}/")));
        Ok(())
    }
}

struct World {
    site: Arc<Site>,
    disk: Arc<Disk>,
    signer: NoteSigner,
    mirror: Mirror,
}

fn entry(index: u64, history: u8) -> Vec<u8> {
    [index.to_be_bytes().as_slice(), &[history]].concat()
}

impl World {
    fn new() -> Self {
        let signer = NoteSigner::new(ORIGIN, &[1; 32]).unwrap();
        let disk = Arc::new(Disk { files: Mutex::default(), writes: Mutex::new(usize::MAX) });
        let mirror = Mirror::new(disk.clone(), vec![signer.verifier().clone()]);
        Self { site: Arc::default(), disk, signer, mirror }
    }

    /// Publishes a log of a size, whose entries from the fork on are of another history.
    fn publish(&self, size: u64, fork: u64, history: u8) -> Checkpoint {
        let entries: Vec<Vec<u8>> = (0..size).map(|at| entry(at, if at < fork { 0 } else { history })).collect();
        let leaves: Vec<Digest> = entries.iter().map(|entry| Rfc9162::leaf_hash(entry)).collect();
        let mut files = self.site.files.lock().unwrap();
        for bundle in entry_bundles(size) {
            let first = usize::try_from(bundle.index() * 256).unwrap();
            let some: Vec<&[u8]> = entries[first..].iter().take(bundle.width().into()).map(Vec::as_slice).collect();
            files.insert(bundle.path(), encode_entries(&some).unwrap());
        }
        for tile in tiles(size) {
            let width = 1_u64 << (8 * tile.level());
            let hashes = (0..u64::from(tile.width())).map(|at| {
                let first = (tile.index() * 256 + at) * width;
                let range = usize::try_from(first).unwrap()..usize::try_from(first + width).unwrap();
                tree::root(&Rfc9162, &leaves[range]).unwrap()
            });
            files.insert(tile.path(), encode_hashes(&hashes.collect::<Vec<_>>()).unwrap());
        }
        let root = tree::root(&Rfc9162, &leaves).unwrap();
        let checkpoint = Checkpoint::new(ORIGIN, size, root).unwrap();
        let text = checkpoint.to_text();
        let note = Note::new(&text, vec![self.signer.sign(&text)]).unwrap();
        files.insert("checkpoint".to_owned(), note.to_text().into_bytes());
        checkpoint
    }

    fn sync(&self) -> Result<Synced, MirrorError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.mirror.sync(&Tiles::Other(self.site.clone())))
    }

    fn root_at(&self, size: u64) -> Option<Digest> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.mirror.root_at(size)).unwrap()
    }

    /// Compares what the mirror publishes with what the log publishes at this size.
    fn assert_whole(&self, size: u64) {
        let (there, here) = (self.site.files.lock().unwrap(), self.disk.files.lock().unwrap());
        let paths = tiles(size).map(Tile::path).chain(entry_bundles(size).map(EntryBundle::path));
        for path in paths.chain(["checkpoint".to_owned()]) {
            assert_eq!(here.get(&published(&path)), there.get(&path), "{path}");
        }
    }
}

#[test]
fn a_log_is_mirrored_as_it_grows() {
    let world = World::new();
    for (before, size) in [(0, 1), (1, 255), (255, 256), (256, 257), (257, SIZE), (SIZE, SIZE), (SIZE, 66_000)] {
        let checkpoint = world.publish(size, size, 0);
        let synced = world.sync().unwrap();
        assert_eq!(synced, Synced { checkpoint: checkpoint.clone(), before });
        world.assert_whole(size);
        assert_eq!(world.mirror.seen().unwrap().unwrap().checkpoint, checkpoint);
        assert_eq!(world.root_at(size), Some(checkpoint.root));
    }
    let (older, mut files) = (World::new(), world.disk.files.lock().unwrap().clone());
    assert_eq!(world.root_at(300), Some(older.publish(300, 300, 0).root));
    assert_eq!(world.root_at(66_001), None);
    files.retain(|name, _| name.contains("tile/0/000.p") || name.contains("tile/entries/000.p"));
    assert_eq!(files, BTreeMap::new(), "where the full tile stands, the partial ones are gone");
}

#[test]
fn a_log_that_shrinks_or_forks_is_refused_with_evidence_and_the_mirror_stays() {
    let cases = [
        (300, 300, 0, Lie::Shrank, "txt"),
        (SIZE, 500, 1, Lie::TwoRoots, "fork"),
        (900, 500, 1, Lie::NotExtended, "txt"),
        (900, 0, 1, Lie::NotExtended, "txt"),
    ];
    for (size, fork, history, expected, ending) in cases {
        let world = World::new();
        world.publish(SIZE, SIZE, 0);
        world.sync().unwrap();
        let before = world.disk.files.lock().unwrap().clone();
        world.publish(size, fork, history);
        for _ in 0..2 {
            let Err(MirrorError::Lie { lie, seen, shown, evidence, .. }) = world.sync() else { panic!("{expected}") };
            assert_eq!((lie, seen, shown), (expected, SIZE, size));
            assert_eq!(world.mirror.evidence().unwrap(), core::slice::from_ref(&evidence), "kept once");
            assert!(evidence.ends_with(ending), "{evidence}");
            let mut after = world.disk.files.lock().unwrap().clone();
            let kept = after.remove(&evidence).unwrap();
            assert_eq!(after, before, "nothing else was written");
            if ending == "fork" {
                let forked = Fork::parse(&kept).unwrap().check(world.signer.verifier()).unwrap();
                assert_eq!(forked.size, SIZE);
            }
        }
    }
}

#[test]
fn whatever_is_damaged_is_named_and_nothing_is_written_of_it() {
    let world = World::new();
    world.publish(SIZE, SIZE, 0);
    let sound = world.site.files.lock().unwrap().clone();
    for (path, bytes) in sound.iter().filter(|(path, _)| *path != "checkpoint") {
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let world = World::new();
            let mut files = sound.clone();
            files.get_mut(path).unwrap()[at] ^= 1;
            *world.site.files.lock().unwrap() = files;
            let error = world.sync().unwrap_err();
            assert!(matches!(&error, MirrorError::Damaged { path: named, .. } if named == path), "{path}: {error}");
            assert!(!world.disk.files.lock().unwrap().contains_key(&published(path)));
            assert_eq!(world.mirror.mirrored().unwrap(), None);
            *world.site.files.lock().unwrap() = sound.clone();
            world.sync().unwrap();
            world.assert_whole(SIZE);
        }
        let mut files = sound.clone();
        files.remove(path);
        let world = World::new();
        *world.site.files.lock().unwrap() = files;
        assert!(world.sync().unwrap_err().to_string().starts_with(path), "{path}");
    }
}

#[test]
fn a_sync_that_was_killed_goes_on_where_it_was_and_forgets_nothing() {
    let world = World::new();
    world.publish(300, 300, 0);
    world.sync().unwrap();
    world.publish(SIZE, SIZE, 0);
    let mut tries = 0;
    let entries = entry_bundles(SIZE).map(EntryBundle::path).collect::<Vec<_>>();
    loop {
        // One more write succeeds each time, so that it is killed at every one.
        *world.disk.writes.lock().unwrap() = tries;
        tries += 1;
        match world.sync() {
            Ok(_) => break,
            Err(MirrorError::Io { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let mirrored = world.mirror.mirrored().unwrap().unwrap().checkpoint.size;
        assert_eq!(mirrored, 300, "it is published when everything is there");
        if tries > 1 {
            assert_eq!(world.mirror.seen().unwrap().unwrap().checkpoint.size, SIZE);
        }
    }
    assert!(tries > 4, "{tries}");
    world.assert_whole(SIZE);
    let reads = world.site.reads.lock().unwrap();
    let of = |path: &String| reads.iter().filter(|read| *read == path).count();
    assert_eq!(of(&entries[0]), 1, "what was there is not read again");
    assert!(of(&entries[1]) < tries && of(&entries[2]) < tries, "nor what was copied before it was killed");
    drop(reads);
    // What was seen before it was killed is held against the log.
    let world = World::new();
    world.publish(SIZE, SIZE, 0);
    *world.disk.writes.lock().unwrap() = 2;
    world.sync().unwrap_err();
    *world.disk.writes.lock().unwrap() = usize::MAX;
    world.publish(SIZE, 300, 1);
    assert!(matches!(world.sync(), Err(MirrorError::Lie { lie: Lie::TwoRoots, .. })));
}

#[test]
fn only_this_log_under_its_keys_is_followed() {
    let world = World::new();
    world.publish(5, 5, 0);
    let other = |key: u8, origin: &str| NoteSigner::new(origin, &[key; 32]).unwrap().verifier().clone();
    let sync = |keys: Vec<NoteVerifier>| {
        let stranger = World { mirror: Mirror::new(world.disk.clone(), keys), ..World::new() };
        World { site: world.site.clone(), ..stranger }.sync()
    };
    assert!(matches!(sync(vec![other(2, ORIGIN)]), Err(MirrorError::Refused(Refusal::Unsigned))));
    assert!(matches!(sync(vec![other(1, "other.example/1")]), Err(MirrorError::Origin { .. })));
    sync(vec![world.signer.verifier().clone()]).unwrap();
    // Once a later key has signed, the one before it signs nothing more.
    let keys = vec![world.signer.verifier().clone(), other(2, ORIGIN)];
    sync(keys.clone()).unwrap();
    let later = World { signer: NoteSigner::new(ORIGIN, &[2; 32]).unwrap(), site: world.site.clone(), ..World::new() };
    later.publish(6, 6, 0);
    sync(keys.clone()).unwrap();
    world.publish(7, 7, 0);
    assert!(matches!(sync(keys), Err(MirrorError::Refused(Refusal::Retired))));
}

#[test]
fn what_was_kept_and_is_damaged_is_not_forgotten() {
    for name in [SEEN, "log/checkpoint"] {
        let world = World::new();
        world.publish(5, 5, 0);
        world.sync().unwrap();
        world.disk.files.lock().unwrap().get_mut(name).unwrap()[3] ^= 1;
        assert!(matches!(world.sync(), Err(MirrorError::Kept { name: named, .. }) if named == name));
        world.disk.files.lock().unwrap().remove(name);
        world.publish(4, 4, 0);
        assert!(matches!(world.sync(), Err(MirrorError::Lie { lie: Lie::Shrank, .. })), "the other one is left");
    }
}
