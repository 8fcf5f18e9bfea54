//! A flipped bit in every kind of object of a bucket: named by the audit, never served as good, and made again where that is
//! possible.

use core::time::Duration;
use std::sync::Arc;

use griptrace_core::{
    id::NodeId,
    key::{Algorithm, SecretKey},
};
use tempfile::TempDir;

use super::world::{NOW, World, signer};
use crate::{
    OpenError, OpenOptions, Place, Standing, Store,
    bucket::{Bucket, MemoryBucket, When},
};

struct Log {
    bucket: MemoryBucket,
    ids: Vec<NodeId>,
}

fn quiet(_: &str, _: u64, _: u64) {}

impl Log {
    /// A log with a block, single segments, full and partial tiles, and a snapshot.
    fn new() -> Self {
        let world = World::new();
        let mut ids: Vec<NodeId> = (0..200).map(|i| world.add(world.source(&format!("s{i}"), "CN"))).collect();
        let bucket = MemoryBucket::default();
        let local = tempfile::tempdir().unwrap();
        world.store.move_to(&Place::Bucket(Arc::new(bucket.clone()), local.path().to_owned()), &quiet).unwrap();
        let log = Self { bucket, ids: Vec::new() };
        let (writer, _local) = log.join();
        assert_eq!(writer.tend(Duration::ZERO).unwrap(), Standing::Writer);
        let committer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        let node = World::at(&writer).source("last", "CN");
        ids.extend(writer.commit(vec![node], &committer, "Maker", NOW).unwrap().ids);
        let catalogue = writer.0.read().catalogue.clone();
        catalogue.write_snapshot(&writer.0.objects).unwrap();
        drop(writer);
        Self { ids, ..log }
    }

    fn join(&self) -> (Store, TempDir) {
        let local = tempfile::tempdir().unwrap();
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        (Store::join_in(Arc::new(self.bucket.clone()), local.path(), options).unwrap(), local)
    }

    fn try_join(&self) -> (Result<Store, OpenError>, TempDir) {
        let local = tempfile::tempdir().unwrap();
        let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
        (Store::join_in(Arc::new(self.bucket.clone()), local.path(), options), local)
    }

    fn flip(&self, name: &str, at: usize) {
        let mut bytes = self.bucket.get(name, None).unwrap().unwrap().bytes;
        bytes[at] ^= 1;
        self.bucket.put(name, &bytes, &When::Always).unwrap();
    }

    fn length(&self, name: &str) -> usize {
        self.bucket.get(name, None).unwrap().unwrap().bytes.len()
    }

    /// What the audit names, of an open store or of one that can't be opened.
    fn faults(&self) -> Vec<String> {
        let (opened, local) = self.try_join();
        let report = match opened {
            Ok(store) => store.fsck(&quiet).unwrap(),
            Err(_) => Store::fsck_closed_in(Arc::new(self.bucket.clone()), local.path(), &quiet).unwrap(),
        };
        report.faults.into_iter().map(|fault| fault.object).collect()
    }

    fn first(&self, folder: &str) -> String {
        self.bucket.names().into_iter().find(|name| name.starts_with(folder)).unwrap()
    }

    /// Asserts that whatever is answered is true, and tells whether all was.
    fn answers(&self) -> bool {
        let (opened, _local) = self.try_join();
        let Ok(store) = opened else { return false };
        let whole = self.ids.iter().all(|id| match store.node(id) {
            Ok(Some(node)) => {
                assert_eq!(node.record.id(), *id, "served under another name");
                true
            }
            Ok(None) | Err(_) => false,
        });
        whole
    }
}

#[test]
fn a_flipped_bit_in_any_object_is_named_and_never_served() {
    let log = Log::new();
    assert_eq!(log.faults(), [""; 0]);
    assert!(log.answers());
    let (block, segment) = (log.first("blocks/"), log.first("segments/"));
    let (tile, entries) = (log.first("tile/0/"), log.first("tile/entries/"));
    let derived = ["head", "checkpoint", "genesis", "keys", "snapshots/catalogue", &tile, &entries];
    for name in derived {
        for at in [0, log.length(name) / 2, log.length(name) - 1] {
            log.flip(name, at);
            assert!(log.faults().iter().any(|fault| fault == name), "{name}, byte {at}: {:?}", log.faults());
            assert!(log.answers(), "{name}, byte {at}: what is left tells everything");
            // Who writes next makes it again.
            let (writer, _local) = log.join();
            assert_eq!(writer.tend(Duration::ZERO).unwrap(), Standing::Writer, "{name}");
            writer.0.publish();
            drop(writer);
            log.flip_back_if_needed(name, at);
            assert_eq!(log.faults(), [""; 0], "{name}, byte {at}");
        }
    }
    let table = 27;
    let places: Vec<(&str, usize)> = [table, table + 40, log.length(&block) / 2, log.length(&block) - 1]
        .map(|at| (block.as_str(), at))
        .into_iter()
        .chain([5, log.length(&segment) / 2, log.length(&segment) - 1].map(|at| (segment.as_str(), at)))
        .collect();
    for (name, at) in places {
        log.flip(name, at);
        let faults = log.faults();
        assert!(!faults.is_empty(), "{name}, byte {at}");
        assert!(faults.iter().any(|fault| fault.starts_with("segments/") || fault.starts_with("blocks/")), "{faults:?}");
        assert!(!log.answers(), "{name}, byte {at}: the damaged part was served");
        log.flip(name, at);
        assert_eq!(log.faults(), [""; 0]);
    }
}

impl Log {
    /// Where nobody makes an object again by itself, the bit is put back.
    fn flip_back_if_needed(&self, name: &str, at: usize) {
        if self.faults().iter().any(|fault| fault == name) {
            self.flip(name, at);
        }
    }
}
