//! Logs that are honest about their status map, and logs that are not.

use griptrace_core::{
    commit::{Commit, CommitPayload, StatusLine},
    entry::Genesis,
    id::{GenesisHash, NodeId, StatusKey},
    key::{Algorithm, SecretKey, Signer as _},
    tile::{encode_entries, entry_bundles},
    tree,
};

use super::*;
use crate::fetch::Fetcher;

/// Log entries in a folder of tiles.
struct Published {
    dir: tempfile::TempDir,
    entries: Vec<Vec<u8>>,
    map: StatusMap,
}

impl Published {
    fn new() -> Self {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).unwrap().public_key();
        let origin = "log.example/2026".to_owned();
        let genesis = Genesis { origin, key, time: 9, nonce: [1; 16], revokers: Vec::new() };
        let entries = vec![genesis.to_bytes().unwrap()];
        Self { dir: tempfile::tempdir().unwrap(), entries, map: StatusMap::new() }
    }

    /// A commit that marks a node.
    fn mark(&mut self, node: u64) {
        let digest = |salt: u8| {
            let bytes = [node.to_be_bytes().as_slice(), &[salt; 24]].concat();
            Digest::from_slice(&bytes).unwrap()
        };
        let line = StatusLine { key: StatusKey::of_node(NodeId::new(digest(1))), status: NodeId::new(digest(2)) };
        let home = GenesisHash::new(Digest::ZERO);
        let payload = CommitPayload::over(home, &mut [line.status], 9, vec![line]).unwrap();
        let signer = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        self.entries.push(Commit::sign(&payload, &signer, "Maker").unwrap());
        self.map.append(line.key.digest(), line.status.digest());
    }

    /// A status head that states this root, and the checkpoint over it, published.
    fn head(&mut self, map_root: Digest) -> Checkpoint {
        let index = u64::try_from(self.entries.len()).unwrap();
        self.entries.push(StatusHead { index, map_root, time: 9 }.to_bytes());
        self.publish()
    }

    fn publish(&self) -> Checkpoint {
        let size = u64::try_from(self.entries.len()).unwrap();
        for bundle in entry_bundles(size) {
            let first = usize::try_from(bundle.index() * 256).unwrap();
            let entries: Vec<&[u8]> =
                self.entries[first..].iter().take(bundle.width().into()).map(Vec::as_slice).collect();
            let path = self.dir.path().join(bundle.path());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, encode_entries(&entries).unwrap()).unwrap();
        }
        let leaves: Vec<Digest> = self.entries.iter().map(|entry| Rfc9162::leaf_hash(entry)).collect();
        Checkpoint { origin: "log.example/2026".into(), size, root: tree::root(&Rfc9162, &leaves).unwrap() }
    }

    fn honest(&mut self) -> Checkpoint {
        self.head(self.map.root())
    }

    fn advance(&self, recount: &mut Recount, checkpoint: &Checkpoint) -> Result<(), RecountError> {
        let tiles = Tiles::at(self.dir.path().to_str().unwrap(), &Fetcher::new().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(recount.advance(&tiles, checkpoint))
    }
}

#[test]
fn an_honest_map_is_vouched_for_as_the_log_grows_over_bundles() {
    let (mut log, mut recount) = (Published::new(), Recount::default());
    for step in 0..300 {
        log.mark(step);
        log.mark(1);
        let checkpoint = log.honest();
        if step % 37 == 0 || step == 299 {
            log.advance(&mut recount, &checkpoint).unwrap();
            log.advance(&mut recount, &checkpoint).unwrap();
            assert_eq!(recount.size(), checkpoint.size);
        }
    }
}

#[test]
fn a_map_that_hides_a_mark_is_a_lie_and_stays_one() {
    let (mut log, mut recount) = (Published::new(), Recount::default());
    let before = log.map.root();
    log.mark(1);
    let checkpoint = log.head(before);
    let error = log.advance(&mut recount, &checkpoint).unwrap_err();
    let computed = log.map.root();
    let expected = Lie::MapRoot { index: 2, stated: before, computed };
    assert!(matches!(&error, RecountError::Lie(lie) if *lie == expected), "{error}");
    let later = log.honest();
    assert!(matches!(log.advance(&mut recount, &later), Err(RecountError::Lie(lie)) if lie == expected));
}

#[test]
fn a_checkpoint_over_anything_else_than_a_right_status_head_is_not_vouched_for() {
    let mut log = Published::new();
    log.mark(1);
    let checkpoint = log.publish();
    let error = log.advance(&mut Recount::default(), &checkpoint).unwrap_err();
    assert!(matches!(error, RecountError::Lie(Lie::NoHead { size: 2 })), "{error}");

    let mut log = Published::new();
    log.entries.push(StatusHead { index: 7, map_root: log.map.root(), time: 9 }.to_bytes());
    let error = log.advance(&mut Recount::default(), &log.publish()).unwrap_err();
    assert!(matches!(error, RecountError::Lie(Lie::Place { index: 1, stated: 7 })), "{error}");

    let mut log = Published::new();
    log.entries.push(b"another kind of log".to_vec());
    let checkpoint = log.honest();
    let error = log.advance(&mut Recount::default(), &checkpoint).unwrap_err();
    assert!(matches!(error, RecountError::Lie(Lie::Entry { index: 1, .. })), "{error}");
}

/// Who serves other entries is believed nothing, and what is wrong with them is no lie of the log.
#[test]
fn entries_that_do_not_lead_to_the_checkpoint_are_no_lie_and_change_nothing() {
    let (mut log, mut recount) = (Published::new(), Recount::default());
    let first = log.honest();
    log.advance(&mut recount, &first).unwrap();
    log.mark(1);
    let good = log.honest();
    let bad = Checkpoint { root: Digest::ZERO, ..good.clone() };
    assert!(matches!(log.advance(&mut recount, &bad), Err(RecountError::Root { .. })));
    assert_eq!(recount.size(), first.size);
    let path = log.dir.path().join(entry_bundles(good.size).next().unwrap().path());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(log.advance(&mut recount, &good), Err(RecountError::Tiles(TilesError::Malformed { .. }))));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(log.advance(&mut recount, &good), Err(RecountError::Tiles(TilesError::Missing { .. }))));
    std::fs::write(&path, bytes).unwrap();
    log.advance(&mut recount, &good).unwrap();
    assert!(matches!(log.advance(&mut recount, &first), Err(RecountError::Behind { reached: 4, size: 2 })));
}
