//! The mirror of a log in a bucket, served as files: another implementation reads the whole tree from it, the crate
//! `tlog_tiles`, a port of Go's.

mod forward;
mod plants;

use std::{io, path::Path, sync::Arc};

use griptrace_core::{checkpoint::Checkpoint, note::Note, tile::entry_bundles};
use griptrace_store::{
    Store,
    bucket::{Bucket, MemoryBucket},
};
use griptrace_tests::seed::Seed;
use griptrace_witness::{
    mirror::{Mirror, PUBLISHED},
    shelf::Folder,
    tiles::{Resources, Tiles},
};
use tlog_tiles::{
    Error, Hash, HashReader as _, Tile, TileHashReader, TileReader, check_tree, prove_tree, record_hash,
    stored_hash_index, tree_hash,
};

use crate::holding::factory::{self, Factory};

/// What a log publishes in its bucket.
#[derive(Debug)]
struct InBucket(Arc<MemoryBucket>);

impl Resources for InBucket {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(path, None)?.map(|part| part.bytes))
    }
}

/// A folder as a web server would serve it.
struct Served<'a>(&'a Path);

impl Served<'_> {
    fn fetch(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.0.join(PUBLISHED).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Returns the published size and root, as the other implementation reads them.
    fn checkpoint(&self) -> (u64, Hash) {
        let note = Note::parse(&self.fetch("checkpoint")).unwrap();
        note.verify(&[factory::log_signer().verifier().clone()]).unwrap();
        let theirs = tlog_tiles::Checkpoint::from_bytes(note.text().as_bytes()).unwrap();
        (theirs.size(), *theirs.hash())
    }
}

impl TileReader for Served<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(tiles.iter().map(|tile| self.fetch(&tile.path().replacen("tile/8/", "tile/", 1))).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// Reads the whole tree, from tiles and from entries.
fn read_again(served: &Served<'_>) -> (u64, Hash) {
    let (size, root) = served.checkpoint();
    let reader = TileHashReader::new(size, root, served);
    assert_eq!(tree_hash(size, &reader).unwrap(), root, "the tiles lead to the root at {size}");
    let leaves: Vec<u64> = (0..size).map(|leaf| stored_hash_index(0, leaf)).collect();
    let hashes = reader.read_hashes(&leaves).unwrap();
    let mut entries = Vec::new();
    for bundle in entry_bundles(size) {
        let bytes = served.fetch(&bundle.path());
        let mut rest = bytes.as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            entries.push(record_hash(entry));
            rest = after;
        }
    }
    assert!(entries == hashes, "the tiles are of the entries at {size}");
    (size, root)
}

/// Waits until the bucket has the newest checkpoint: it is published within a second.
fn published(bucket: &MemoryBucket, size: u64) {
    for _ in 0..200 {
        let part = bucket.get("checkpoint", None).unwrap();
        let note = part.and_then(|part| Note::parse(&part.bytes).ok());
        if note.is_some_and(|note| Checkpoint::parse(note.text()).is_ok_and(|found| found.size == size)) {
            return;
        }
        std::thread::sleep(core::time::Duration::from_millis(50));
    }
    panic!("{size} entries were not published");
}

#[test]
fn the_mirror_of_a_log_in_a_bucket_is_read_by_others_as_it_grows() {
    let (bucket, dirs) = (Arc::new(MemoryBucket::default()), [(); 2].map(|()| tempfile::tempdir().unwrap()));
    let shared: Arc<dyn Bucket> = bucket.clone();
    let (signer, now) = (factory::log_signer(), factory::NOW);
    let store = Store::init_in(shared, dirs[0].path(), &factory::genesis(7), signer, now).unwrap();
    let mut maker = Factory::new(store.home(), Seed::for_test("mirror of a bucket").rng());
    let keys = vec![factory::log_signer().verifier().clone()];
    let mirror = Mirror::new(Arc::new(Folder::open(dirs[1].path())), keys);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = Served(dirs[1].path());
    let mut before: Option<(u64, Hash)> = None;
    for commits in [3, 40, 100] {
        for commit in 0..commits {
            let node = maker.source(&format!("source {commit} of {commits}"));
            store.commit(vec![node], &factory::committer(), factory::ISSUER, factory::NOW).unwrap();
        }
        published(&bucket, store.size());
        let synced = runtime.block_on(mirror.sync(&Tiles::Other(Arc::new(InBucket(bucket.clone()))))).unwrap();
        let newest = read_again(&served);
        assert_eq!((newest.0, synced.checkpoint.size), (store.size(), store.size()));
        if let Some((size, root)) = before.replace(newest) {
            let proof = prove_tree(newest.0, size, &TileHashReader::new(newest.0, newest.1, &served)).unwrap();
            check_tree(&proof, newest.0, newest.1, size, root).expect("the log has only grown");
        }
    }
    assert!(before.is_some_and(|(size, _)| size > 256), "there is a full tile");
    let names: Vec<_> =
        std::fs::read_dir(dirs[1].path().join(PUBLISHED)).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing but the checkpoint and the tiles is published: {names:?}");
}
