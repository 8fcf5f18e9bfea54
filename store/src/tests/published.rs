//! What the world may read of a log.

use std::{thread, time::Instant};

use core::time::Duration;

use griptrace_core::tile::{EntryBundle, Tile, TilePath, decode_entries, decode_hashes, entry_bundles, tiles};
use griptrace_core::tree::Rfc9162;

use griptrace_core::{key_change::KeyUse, note::NoteSigner};

use super::{
    bucket::{init, look},
    keys::{key, rotation},
    weather::Weather,
    world::{NOW, ORIGIN, World, object, open, put},
};
use crate::{
    Store,
    bucket::{Bucket as _, When},
    publish::size_of,
};

/// A store of more than 256 entries, closed and opened again, so that all is published.
fn large() -> (tempfile::TempDir, Store) {
    let world = World::new();
    for i in 0..130 {
        world.add(world.source(&format!("{i}"), "CN"));
    }
    let World { dir, store, .. } = world;
    drop(store);
    let store = open(dir.path());
    assert!(store.size() > 256);
    (dir, store)
}

fn all(size: u64) -> Vec<TilePath> {
    tiles(size).map(TilePath::Hashes).chain(entry_bundles(size).map(TilePath::Entries)).collect()
}

#[test]
fn tiles_that_are_gone_or_cut_short_are_the_same_again() {
    let (dir, store) = large();
    let whole: Vec<_> =
        all(store.size()).into_iter().map(|path| (path, store.published(path).unwrap().unwrap())).collect();
    assert_eq!(whole.len(), 5);
    for (path, bytes) in &whole {
        let name = path.path();
        assert_eq!(object(dir.path(), &name).as_ref(), Some(bytes), "{name}");
        put(dir.path(), &name, Some(&bytes[..bytes.len() - 1]));
        assert_eq!(store.published(*path).unwrap().as_ref(), Some(bytes), "{}: cut", path.path());
        if object(dir.path(), &name).is_some() {
            put(dir.path(), &name, None);
        }
        assert_eq!(store.published(*path).unwrap().as_ref(), Some(bytes), "{}: gone", path.path());
    }
    let note = store.published_checkpoint().unwrap();
    put(dir.path(), "checkpoint", None);
    assert_eq!(store.published_checkpoint().unwrap(), note);
}

#[test]
fn a_tile_is_there_at_each_of_its_widths_and_at_no_other() {
    let (_dir, store) = large();
    let size = store.size();
    let widest = u16::try_from(size - 256).unwrap();
    let entries = |index, width| store.published(TilePath::Entries(EntryBundle::new(index, width).unwrap())).unwrap();
    let hashes = |index, width| store.published(TilePath::Hashes(Tile::new(0, index, width).unwrap())).unwrap();
    for (index, width) in [(0, 1), (0, 2), (0, 255), (0, 256), (1, 1), (1, widest)] {
        let entries = entries(index, width).unwrap();
        let leaves: Vec<_> = decode_entries(&entries, width).unwrap().into_iter().map(Rfc9162::leaf_hash).collect();
        assert_eq!(decode_hashes(&hashes(index, width).unwrap(), width).unwrap(), leaves, "{index} {width}");
    }
    for (index, width) in [(1, widest + 1), (1, 256), (2, 1), (u64::MAX, 1)] {
        assert_eq!((entries(index, width), hashes(index, width)), (None, None), "{index} {width}");
    }
    let above = |level, index| store.published(TilePath::Hashes(Tile::new(level, index, 1).unwrap())).unwrap();
    assert!(above(1, 0).is_some());
    assert_eq!((above(1, 1), above(2, 0), above(63, 0)), (None, None, None));
}

#[test]
fn nothing_is_there_before_its_checkpoint_is_published() {
    let world = World::new();
    let begun = Instant::now();
    // The first of these is published at once, and the last ones wait for the next publication.
    for i in 0..8 {
        world.add(world.source(&format!("{i}"), "CN"));
    }
    let store = &world.store;
    let entries = |size: u64| {
        let width = u16::try_from(size).unwrap();
        store.published(TilePath::Entries(EntryBundle::new(0, width).unwrap())).unwrap()
    };
    let checkpoint = || {
        let note = griptrace_core::note::Note::parse(&store.published_checkpoint().unwrap()).unwrap();
        griptrace_core::checkpoint::Checkpoint::parse(note.text()).unwrap().size
    };
    while checkpoint() < store.size() {
        let before = checkpoint();
        let beyond = entries(before + 1);
        // It may have been published between the two questions, and then only.
        assert!(beyond.is_none() || checkpoint() > before);
        assert!(begun.elapsed() < Duration::from_secs(20), "the last checkpoint is never published");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(entries(store.size()).is_some());
}

super::world::in_a_bucket_too! {
    tiles_that_are_gone_or_cut_short_are_the_same_again,
    a_tile_is_there_at_each_of_its_widths_and_at_no_other,
    nothing_is_there_before_its_checkpoint_is_published,
}

/// Whoever did not know the key yet answered with the older checkpoint that it had: what was published seemed to shrink.
#[test]
fn a_checkpoint_under_a_key_that_came_since_is_what_is_published() {
    let writer = init(&Weather::default());
    let reader = look(&writer.weather.bucket);
    drop(writer.commit(vec![writer.source("one")]).unwrap());
    writer.store.0.publish();
    let published = || size_of(&reader.store.published_checkpoint().unwrap());
    assert_eq!((reader.store.size(), published()), (2, writer.store.size()));
    let entry = rotation(writer.store.home(), KeyUse::Log, &key(1), &key(11));
    let successor = NoteSigner::new(ORIGIN, &[11; 32]).unwrap();
    drop(writer.store.change_key(&entry, Some(successor), NOW).unwrap());
    writer.store.0.publish();
    assert_eq!((reader.store.size(), published()), (2, writer.store.size()));
    // What no key of the log signed is no checkpoint.
    let damaged = writer.store.checkpoint().replace('\u{2014}', "-");
    drop(writer.weather.bucket.put("checkpoint", damaged.as_bytes(), &When::Always).unwrap());
    assert_eq!(published(), 2);
}
