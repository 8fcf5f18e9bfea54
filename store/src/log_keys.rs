//! Which keys signed and sign: the log's own over its sizes, and the committers' that retired.
//!
//! Key changes are entries of the log. Those of the log's own key stand in the object `keys` too: without them nobody
//! could tell whether the newest checkpoint is the log's, and read the rest. Should it be lost, the segments have them.

use griptrace_core::{
    cbor::{Reader, Writer},
    entry::{Entry, Genesis, genesis_hash},
    id::GenesisHash,
    key::PublicKey,
    key_change::{KeyChange, KeyChangeError, KeyUse, SignedKeyChange},
    key_history::KeyHistory,
    limits::{ENTRY_BYTES_MAX, KEY_CHANGES_MAX},
    note::{KeyKind, NoteVerifier},
};

use crate::{
    catalogue::Catalogue,
    error::{CommitError, KeyChangeRefusal, StorageError},
    head::{Signature, Slot},
    number::narrow,
    objects::Objects,
    segment::{self, Groups},
    tiles::TileReader,
};

pub(crate) const KEYS: &str = "keys";
/// The first bytes of a key change's entry: an array of two, and its number.
const CHANGE_BEGINS: &[u8] = &[0x82, 0x01];

/// The keys that sign a log's checkpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogKeys {
    /// Keys by the size above which they sign, the first one first.
    keys: Vec<(u64, NoteVerifier)>,
    /// The entries that changed them, with their leaf indices.
    changes: Vec<(u64, Vec<u8>)>,
}

/// A key change in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PlacedChange {
    pub(crate) index: u64,
    pub(crate) change: KeyChange,
    pub(crate) entry: Vec<u8>,
}

/// Every key change of a log, and what follows from them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KnownKeys {
    pub(crate) log: LogKeys,
    pub(crate) changes: Vec<PlacedChange>,
    pub(crate) history: KeyHistory,
}

impl LogKeys {
    /// Works out the keys from the changes of a log's own key.
    pub(crate) fn of(genesis: &Genesis, changes: Vec<(u64, Vec<u8>)>) -> Result<Self, StorageError> {
        let home = genesis.to_bytes().map_err(|e| StorageError::corrupt("genesis", e))?;
        let history = history(genesis, &genesis_hash(&home), &read_changes(&changes)?)?;
        let verifier = |(from, key): (u64, &PublicKey)| Ok((from, note_key(&genesis.origin, key)?));
        let keys = history.log_keys().map(verifier).collect::<Result<_, StorageError>>()?;
        Ok(Self { keys, changes })
    }

    /// Reads the keys of a log. What the object is, the signatures in it tell; if it is lost or damaged, or does not lead to the
    /// key of any checkpoint that is there, the segments are read.
    ///
    /// # Errors
    /// `Io` if anything could not be read: keys that lack a change would be taken for all of them.
    pub(crate) fn read(objects: &Objects, genesis: &Genesis, home: &GenesisHash) -> Result<Self, StorageError> {
        let stored = objects.read(KEYS)?;
        let stored = stored.as_deref().map(|bytes| decode(bytes).and_then(|changes| Self::of(genesis, changes)));
        let Some(Ok(keys)) = stored else { return Self::of(genesis, find_log_changes(objects, home)?) };
        if keys.verify(objects)? {
            return Ok(keys);
        }
        let found = Self::of(genesis, find_log_changes(objects, home)?)?;
        Ok(if found.verify(objects)? { found } else { keys })
    }

    /// Tells whether the newest checkpoint verifies, or none is there: in a bucket every one has to, in a folder a slot of the head may
    /// be torn.
    fn verify(&self, objects: &Objects) -> Result<bool, StorageError> {
        let signature = Signature { keys: self };
        let (mut good, mut bad) = (0_u32, 0_u32);
        match signature.published(objects) {
            Ok(Some(_)) => good += 1,
            Ok(None) => {}
            Err(StorageError::Corrupt { .. }) => bad += 1,
            Err(error) => return Err(error),
        }
        for slot in signature.slots(objects)? {
            match slot {
                Slot::Signed(_) => good += 1,
                Slot::Bad(_) => bad += 1,
                Slot::Empty => {}
            }
        }
        Ok(bad == 0 || good > 0 && objects.bucket().is_none())
    }

    /// Tells whether the object holds exactly these keys.
    pub(crate) fn is_written(&self, objects: &Objects) -> Result<bool, StorageError> {
        Ok(objects.read(KEYS)?.is_some_and(|bytes| bytes == self.to_bytes()))
    }

    /// Tells whether an object holds exactly these keys of a log of `size` entries, and perhaps later ones.
    pub(crate) fn begin(&self, genesis: &Genesis, object: &[u8], size: u64) -> bool {
        let stored = decode(object).and_then(|changes| Self::of(genesis, changes));
        stored.is_ok_and(|stored| {
            let known = stored.changes.iter().take_while(|(index, _)| *index < size);
            stored.to_bytes() == object && known.eq(&self.changes)
        })
    }

    /// Tells whether these have all the changes of other ones that stand in the first entries of the log, so many.
    pub(crate) fn go_on_from(&self, others: &Self, entries: u64) -> bool {
        let known =
            |keys: &Self| -> Vec<_> { keys.changes.iter().filter(|(index, _)| *index < entries).cloned().collect() };
        known(self) == known(others)
    }

    /// Returns the keys with one more change.
    pub(crate) fn with(&self, genesis: &Genesis, index: u64, entry: &[u8]) -> Result<Self, StorageError> {
        let known = self.changes.iter().filter(|(other, _)| *other < index).cloned();
        Self::of(genesis, known.chain([(index, entry.to_vec())]).collect())
    }

    /// Writes the keys, durably, unless more are there: a change that is under the head stays, and who lost its turn takes
    /// back none.
    pub(crate) fn write(&self, objects: &Objects) -> Result<(), StorageError> {
        let bytes = self.to_bytes();
        objects.change(KEYS, |there| {
            let known = there.and_then(|there| decode(there).ok());
            let is_older = known.is_none_or(|known| known.len() <= self.changes.len());
            Ok((is_older && there != Some(&*bytes)).then(|| bytes.clone()))
        })
    }

    /// Returns every key that the log has had, the newest first.
    pub(crate) fn verifiers(&self) -> Vec<NoteVerifier> {
        self.keys.iter().rev().map(|(_, key)| key.clone()).collect()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(self.changes.len());
        for (index, entry) in &self.changes {
            out.array(2).uint(*index).bytes(entry);
        }
        out.into_bytes()
    }

    /// Returns the key that signs checkpoints of a size.
    pub(crate) fn verifier(&self, size: u64) -> Option<&NoteVerifier> {
        self.keys.iter().rev().find(|(from, _)| *from < size || *from == 0).map(|(_, key)| key)
    }

    /// Returns the newest key.
    pub(crate) fn newest(&self) -> Option<&NoteVerifier> {
        self.keys.last().map(|(_, key)| key)
    }

    /// Returns the origin.
    pub(crate) fn origin(&self) -> &str {
        self.keys.first().map_or("", |(_, key)| key.name())
    }
}

impl KnownKeys {
    /// Reads every key change of a log.
    pub(crate) fn read(objects: &Objects, catalogue: &Catalogue, genesis: &Genesis) -> Result<Self, StorageError> {
        let mut tiles = TileReader::new(objects, catalogue);
        let entries: Vec<(u64, Vec<u8>)> =
            catalogue.changes().map(|index| Ok((index, tiles.entry(index)?))).collect::<Result<_, StorageError>>()?;
        Self::of(genesis, &catalogue.home, entries)
    }

    fn of(genesis: &Genesis, home: &GenesisHash, entries: Vec<(u64, Vec<u8>)>) -> Result<Self, StorageError> {
        let read = read_changes(&entries)?;
        let history = history(genesis, home, &read)?;
        let own = |(_, (_, change)): &(&(u64, Vec<u8>), &(u64, KeyChange))| change.of == KeyUse::Log;
        let own = entries.iter().zip(&read).filter(own).map(|(entry, _)| entry.clone()).collect();
        let changes = entries.into_iter().zip(read);
        let changes = changes.map(|((index, entry), (_, change))| PlacedChange { index, change, entry }).collect();
        Ok(Self { log: LogKeys::of(genesis, own)?, changes, history })
    }

    /// Returns what is known with one more change, or why that has no place.
    pub(crate) fn with(
        &self,
        genesis: &Genesis,
        home: &GenesisHash,
        index: u64,
        entry: &[u8],
    ) -> Result<Self, CommitError> {
        self.check(genesis, home, index, entry).map_err(|why| CommitError::KeyChange { why })?;
        let known = self.changes.iter().map(|change| (change.index, change.entry.clone()));
        Ok(Self::of(genesis, home, known.chain([(index, entry.to_vec())]).collect())?)
    }

    /// Tells whether one more change has a place. What is wrong is wrong with the change: those before it have theirs.
    fn check(&self, genesis: &Genesis, home: &GenesisHash, index: u64, entry: &[u8]) -> Result<(), KeyChangeRefusal> {
        if self.changes.len() >= KEY_CHANGES_MAX {
            return Err(KeyChangeRefusal::TooMany { limit: KEY_CHANGES_MAX });
        }
        let change = read_change(entry).map_err(KeyChangeRefusal::Malformed)?;
        // A rotation of a revoked key would stand in the log without effect, and its owner would take it for one.
        let key = change.retired.id();
        if let Some(since) = self.history.end(&key).filter(|_| change.revoker.is_none()) {
            return Err(KeyChangeRefusal::Ended { key, since });
        }
        let known = self.changes.iter().map(|placed| (placed.index, &placed.change));
        let history = KeyHistory::of(genesis, home, known.chain([(index, &change)]));
        history.map(drop).map_err(KeyChangeRefusal::Place)
    }
}

/// Tells whether an entry is a key change.
pub(crate) fn is_change(entry: &[u8]) -> bool {
    entry.starts_with(CHANGE_BEGINS)
}

fn note_key(origin: &str, key: &PublicKey) -> Result<NoteVerifier, StorageError> {
    let wrong = |why: &dyn core::fmt::Display| StorageError::corrupt("the log's key", why);
    NoteVerifier::new(origin, KeyKind::Ed25519, key.as_bytes()).map_err(|e| wrong(&e))
}

fn decode(bytes: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
    let mut input = Reader::new(bytes);
    let changes = input.list("key changes", KEY_CHANGES_MAX, |i| {
        i.tuple(2)?;
        Ok((i.uint()?, i.bytes("bytes of a log entry", ENTRY_BYTES_MAX)?.to_vec()))
    });
    let changes = changes.and_then(|changes| input.finish().map(|()| changes));
    changes.map_err(|e| StorageError::corrupt(KEYS, e))
}

fn read_changes(entries: &[(u64, Vec<u8>)]) -> Result<Vec<(u64, KeyChange)>, StorageError> {
    let read = |(index, entry): &(u64, Vec<u8>)| {
        let wrong = |why: &dyn core::fmt::Display| StorageError::corrupt(format!("entry {index}"), why);
        Ok((*index, read_change(entry).map_err(|e| wrong(&e))?))
    };
    entries.iter().map(read).collect()
}

fn read_change(entry: &[u8]) -> Result<KeyChange, KeyChangeError> {
    let signed = SignedKeyChange::parse(entry)?;
    signed.verify()?;
    Ok(signed.change)
}

fn history(genesis: &Genesis, home: &GenesisHash, changes: &[(u64, KeyChange)]) -> Result<KeyHistory, StorageError> {
    let changes = changes.iter().map(|(index, change)| (*index, change));
    KeyHistory::of(genesis, home, changes).map_err(|e| StorageError::corrupt("the log's key changes", e))
}

/// Looks for the changes of the log's own key in all segments, as far as they are whole: what is found has still to
/// lead to the key of the newest checkpoint.
///
/// # Errors
/// `Io` if one could not be read.
fn find_log_changes(objects: &Objects, home: &GenesisHash) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
    let mut found = Vec::new();
    for first in objects.list(segment::FOLDER)?.iter().filter_map(|name| segment::first_in_folder(name)) {
        let name = segment::name(first);
        let bytes = match objects.read(&name) {
            Ok(Some(bytes)) => bytes,
            Ok(None) | Err(StorageError::Corrupt { .. }) => continue,
            Err(error) => return Err(error),
        };
        let Ok(begin) = segment::check_header(home, first, &bytes) else { continue };
        let mut groups = Groups::new(&name, first, bytes.get(narrow(begin)..).unwrap_or_default(), begin, first);
        while let Ok(Some(group)) = groups.next() {
            for (index, entry) in (group.first..).zip(&group.entries).filter(|(_, entry)| is_change(entry.bytes)) {
                if matches!(Entry::parse(entry.bytes), Ok(Entry::KeyChange(signed)) if signed.change.of == KeyUse::Log)
                {
                    found.push((index, entry.bytes.to_vec()));
                }
            }
        }
    }
    Ok(found)
}
