//! Readers of what rests on disk, for fuzzing and nothing else: each reads bytes as if they lay in a
//! store and returns what it would write for what it accepted.

use std::{io, sync::Arc};

use griptrace_core::{
    digest::Digest,
    entry::Genesis,
    id::{GenesisHash, NodeId},
    key::{Algorithm, SecretKey, Signer as _},
};

use crate::{
    catalogue::Catalogue,
    disk::DiskFile,
    head::{Signature, Slot, slot_bytes},
    index,
    log_keys::LogKeys,
    number::narrow,
    record::NodeRecord,
    segment::{Groups, check_header, header, name},
    snapshot::Snapshot,
};

const HOME: GenesisHash = GenesisHash::new(Digest::ZERO);

/// Reads a segment, and returns as much of it as groups take up.
pub fn segment(bytes: &[u8]) -> Option<Vec<u8>> {
    // The header and the checksums would keep everything out: the groups are read by themselves too.
    let begin = check_header(&HOME, 0, bytes).unwrap_or(0);
    let name = name(0);
    let mut groups = Groups::new(&name, 0, bytes.get(narrow(begin)..)?, begin, 0);
    let mut end = begin;
    while let Ok(Some(group)) = groups.next() {
        if group.end <= end {
            return None;
        }
        end = group.end;
    }
    bytes.get(..narrow(end)).map(<[u8]>::to_vec)
}

/// Returns the header of a segment, for seeds.
pub fn segment_header() -> Vec<u8> {
    header(&HOME, 0)
}

/// Reads a slot of the head, signed by a key that everybody knows.
pub fn head(bytes: &[u8]) -> Option<Vec<u8>> {
    let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32]).ok()?.public_key();
    let genesis = Genesis { origin: "fuzz.example".into(), key, time: 0, nonce: [0; 16], revokers: Vec::new() };
    let keys = LogKeys::of(&genesis, Vec::new()).ok()?;
    match (Signature { keys: &keys }).slot(bytes) {
        Slot::Signed(signed) => slot_bytes(&signed.note).ok(),
        Slot::Empty | Slot::Bad(_) => None,
    }
}

/// Reads a snapshot, whose head is made to fit, and asks it about everything that it claims to hold.
pub fn snapshot(bytes: &[u8]) -> bool {
    let (head, blocks) = bytes.split_at_checked(bytes.len().min(4096)).unwrap_or_default();
    let body = [Snapshot::MAGIC, HOME.as_bytes(), head].concat();
    let head = [blake3::hash(&body).as_bytes().as_slice(), &body].concat();
    let file = Arc::new(Bytes(blocks.to_vec()));
    let Some(snapshot) = Snapshot::parse(&head, 0, file, &HOME) else { return false };
    let catalogue = Catalogue::on(HOME, snapshot);
    for number in catalogue.numbers().take(64).chain([u32::MAX]) {
        let id = catalogue.id(number);
        let found = catalogue.number(&id).is_some();
        let edges = catalogue.edges_of(number).take(64).chain(catalogue.edges_of(number).take(64)).count();
        let incoming = catalogue.incoming(number).take(64).count();
        let places = catalogue.segment_of(catalogue.leaf(number)).max(u64::from(catalogue.node(number).commit));
        core::hint::black_box((found, edges, incoming, places, catalogue.status_key(number)));
    }
    let size = catalogue.size();
    let (least, greatest) = (NodeId::new(Digest::ZERO), NodeId::new(Digest::from_bytes([0xff; 32])));
    let ids = catalogue.ids_between(&least, &greatest, catalogue.len(), 64);
    core::hint::black_box((ids, catalogue.map().len(), catalogue.checkpoint(size), catalogue.first_head(size / 2)));
    true
}

/// Reads a node as it rests.
pub fn record(bytes: &[u8]) -> Option<Vec<u8>> {
    NodeRecord::from_bytes(bytes).ok().map(|record| record.to_bytes())
}

/// Reads how far the index is; bincode has several spellings, and only must not panic.
pub fn index_meta(bytes: &[u8]) -> bool {
    index::is_meta(bytes)
}

/// A file that is these bytes.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl DiskFile for Bytes {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.get(narrow(offset)..).unwrap_or_default();
        Ok(buffer.iter_mut().zip(rest).map(|(to, from)| *to = *from).count())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(crate::number::wide(self.0.len()))
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
