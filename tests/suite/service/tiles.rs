//! The log over HTTP, read by another implementation: the crate `tlog_tiles`, a port of Go's.

use core::cell::RefCell;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use griptrace_core::{
    note::Note,
    tile::{EntryBundle, Tile as OurTile, entry_bundles, tiles},
    tree::{Frontier, Rfc9162},
};
use griptrace_tests::seed::Seed;
use tlog_tiles::{
    Checkpoint, Error, Hash, HashReader as _, Tile, TileHashReader, TileReader, check_tree, prove_tree, record_hash,
    stored_hash_index, tree_hash,
};

use crate::{
    holding::factory::ORIGIN,
    served::{Desk, Endpoints, Http, Maker, block_on, checkpoint},
};

/// What is planted in details: names, and so file names too.
const PLANTED: &str = "planted-detail-7";
/// Committers, and commits of each: the log gets full tiles of two levels' hashes.
const COMMITTERS: u64 = 4;
const COMMITS: u64 = 120;

/// A reader that remembers all that it was ever given: a path never holds other bytes.
struct Mirror {
    site: Http,
    seen: RefCell<HashMap<String, Vec<u8>>>,
}

impl Mirror {
    fn fetch(&self, path: &str) -> Vec<u8> {
        let body = self.site.body(&format!("/{path}"));
        let mut seen = self.seen.borrow_mut();
        let first = seen.entry(path.to_owned()).or_insert_with(|| body.clone());
        assert!(*first == body, "{path} changed");
        body
    }

    /// Returns the newest checkpoint: the log's signature is verified by us, its text read by them.
    fn checkpoint(&self) -> (u64, Hash) {
        let body = self.site.body("/checkpoint");
        let text = String::from_utf8(body.clone()).unwrap();
        let ours = checkpoint(&text);
        let note = Note::parse(&body).unwrap();
        let theirs = Checkpoint::from_bytes(note.text().as_bytes()).unwrap();
        assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), (ORIGIN, ours.size, *ours.root.as_bytes()));
        (theirs.size(), *theirs.hash())
    }

    /// Returns all entries of the log of a size.
    fn entries(&self, size: u64) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        for bundle in entry_bundles(size) {
            let bytes = self.fetch(&bundle.path());
            let mut rest = bytes.as_slice();
            // Each stands behind its length, in two bytes (C2SP tlog-tiles).
            while let Some((length, after)) = rest.split_first_chunk::<2>() {
                let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
                entries.push(entry.to_vec());
                rest = after;
            }
            assert!(rest.is_empty());
        }
        entries
    }
}

impl TileReader for Mirror {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        // They write the height into the path, where the C2SP format has none.
        Ok(tiles.iter().map(|tile| self.fetch(&tile.path().replacen("tile/8/", "tile/", 1))).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// Reads the whole tree anew, from tiles and from entries, and compares both with the signed checkpoint.
fn read_again(mirror: &Mirror, (size, root): (u64, Hash)) {
    let reader = TileHashReader::new(size, root, mirror);
    assert_eq!(tree_hash(size, &reader).unwrap(), root, "the tiles lead to the root at {size}");
    let leaves: Vec<u64> = (0..size).map(|leaf| stored_hash_index(0, leaf)).collect();
    let hashes = reader.read_hashes(&leaves).unwrap();
    let entries = mirror.entries(size);
    assert!(entries.iter().map(|entry| record_hash(entry)).eq(hashes), "the tiles are of the entries at {size}");
    let mut tree = Frontier::new(Rfc9162);
    for entry in &entries {
        tree.push(Rfc9162::leaf_hash(entry)).unwrap();
    }
    assert_eq!(*tree.root().unwrap().as_bytes(), root.0, "the entries lead to the root at {size}");
}

#[test]
fn the_tree_is_read_again_by_others_while_it_grows() {
    let mut rng = Seed::for_test("read_again_by_others").rng();
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let committers: Vec<_> = (0..COMMITTERS)
            .map(|number| {
                let mut maker = Maker::new(&desk, Seed::from_number(rng.next_u64()).rng());
                let address = server.grpc;
                tokio::spawn(async move {
                    let client = Endpoints::plain(address).connect().await.unwrap();
                    for commit in 0..COMMITS {
                        let nodes = maker.nodes.batch(&format!("{PLANTED}/{number}/{commit}"), 2, &[]);
                        maker.commit(&client, &nodes).await;
                    }
                })
            })
            .collect();
        let site = server.site();
        let committing = Arc::new(committers);
        let is_over = {
            let committing = Arc::clone(&committing);
            move || committing.iter().all(tokio::task::JoinHandle::is_finished)
        };
        let read = tokio::task::spawn_blocking(move || {
            let mirror = Mirror { site, seen: RefCell::default() };
            let mut checkpoints = vec![mirror.checkpoint()];
            loop {
                let is_last = is_over();
                let newest = mirror.checkpoint();
                let (old_size, old_root) = checkpoints[checkpoints.len() - 1];
                assert!(newest.0 >= old_size, "it goes back from {old_size} to {}", newest.0);
                read_again(&mirror, newest);
                let reader = TileHashReader::new(newest.0, newest.1, &mirror);
                let proof = prove_tree(newest.0, old_size, &reader).unwrap();
                check_tree(&proof, newest.0, newest.1, old_size, old_root).expect("the log has only grown");
                checkpoints.push(newest);
                if is_last {
                    return (checkpoints, mirror.seen.into_inner());
                }
            }
        });
        let (mut checkpoints, mut seen) = read.await.unwrap();
        checkpoints.dedup();
        assert!(checkpoints.len() > 3, "the tree was read at {} sizes", checkpoints.len());
        // The checkpoint is published a little after the commit. What was ever served is still what it was.
        tokio::time::sleep(core::time::Duration::from_millis(500)).await;
        let mirror = Mirror { site, seen: RefCell::new(core::mem::take(&mut seen)) };
        let newest = mirror.checkpoint();
        assert_eq!(newest.0, desk.store().size(), "everything is published in the end");
        read_again(&mirror, newest);
        assert!(newest.0 > 256, "there is a full tile");
        let paths: Vec<String> = mirror.seen.borrow().keys().cloned().collect();
        paths.iter().for_each(|path| drop(mirror.fetch(path)));
    });
}

/// The log tells who, when and how many, and nothing of what is recorded: whatever is asked for.
#[test]
fn nothing_of_a_detail_is_served_over_http() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let client = server.client().await;
        let mut maker = Maker::new(&desk, Seed::for_test("nothing_of_a_detail").rng());
        let mut seeds: HashSet<[u8; 32]> = HashSet::new();
        let first = maker.nodes.source(PLANTED);
        maker.commit(&client, core::slice::from_ref(&first)).await;
        let mut ids = vec![first.id()];
        for number in 0..150 {
            let nodes = maker.nodes.train(&format!("{PLANTED}/{number}"), &[first.id()], &[&format!("{PLANTED}.onnx")]);
            let nodes = if number % 2 == 0 { nodes } else { vec![maker.nodes.source(PLANTED)] };
            seeds.extend(nodes.iter().map(|node| *node.secret.seed().expect("nothing was erased")));
            ids.extend(nodes.iter().map(griptrace_store::record::NodeRecord::id));
            maker.commit(&client, &nodes).await;
        }
        tokio::time::sleep(core::time::Duration::from_millis(500)).await;
        let (http, end) = (server.site(), desk.store().size());
        let mut there = 0;
        for path in paths(&desk, end).chain(ids.iter().flat_map(|id| [format!("/{id}"), format!("/node/{id}")])) {
            let (code, body) = http.get(&path);
            there += usize::from(code == 200);
            assert!(code == 200 || code == 404, "{path}: {code}");
            let text = String::from_utf8_lossy(&body);
            assert!(!text.contains(PLANTED) && !text.contains("proprietary"), "{path} tells a detail");
            let is_told = body.windows(32).any(|window| seeds.contains(window));
            assert!(!is_told, "{path} tells a seed, and with that every salt");
        }
        assert!(there > 600, "{there} resources were there");
        let found = desk.store().by_name(PLANTED).unwrap();
        assert!(!found.is_empty(), "what was planted is there");
    });
}

/// Every path that is served, and many that lead to where something private lies.
fn paths(desk: &Desk, size: u64) -> impl Iterator<Item = String> {
    let mut paths: Vec<String> = ["/checkpoint", "/metrics", "/healthz", "/readyz"].map(str::to_owned).to_vec();
    for width in 1..=256_u16 {
        for index in 0..=size / 256 {
            paths.extend(OurTile::new(0, index, width).ok().map(|tile| format!("/{}", tile.path())));
            paths.extend(EntryBundle::new(index, width).ok().map(|bundle| format!("/{}", bundle.path())));
        }
    }
    paths.extend(tiles(size).map(|tile| format!("/{}", tile.path())));
    let store = desk.folder().join(".griptrace/store");
    let names: Vec<String> =
        walk(&store).iter().map(|path| path.strip_prefix(&store).unwrap().display().to_string()).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        paths.push(format!("/{name}"));
        paths.push(format!("/tile/../{name}"));
        paths.push(format!("/tile/entries/..%2f..%2f{name}"));
        paths.push(format!("//{name}"));
    }
    paths.extend(
        ["/", "/head", "/segments", "/audit.jsonl", "/serve.toml", "/..%2fserve.toml", "/tile/entries/000?x"]
            .map(str::to_owned),
    );
    paths.into_iter()
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() { found.extend(walk(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}
