//! Which keys counted when: the key changes that a log part brings, and that these are all.
//!
//! A change is signed by whom it concerns, so that it can be read before it is known where it stands; that its index is
//! the one it claims is proven with the other entries. That none is left out the status map proves: a key that retired
//! has a line there.

use alloc::{collections::BTreeSet, format, vec::Vec};

use griptrace_core::{
    bundle::LogPart,
    digest::Digest,
    entry::{Entry, Genesis},
    id::{GenesisHash, KeyId, NodeId, StatusKey},
    key_change::{KeyChange, KeyUse, key_line, key_status},
    key_history::{KeyHistory, concerned},
    limits::KEY_CHANGES_MAX,
    status_map::status_value,
};

use super::{Broken, CheckedCommit, Log, broken};
use crate::finding::Code;

/// The first bytes of a key change: an array of two, and its number among entries.
const CHANGE_BEGINS: &[u8] = &[0x82, 0x01];

/// The keys of a log, as far as a bundle tells.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) history: KeyHistory,
    /// The changes with what each adds to the status map, by leaf index.
    changes: Vec<(KeyChange, Digest)>,
    /// The keys that the evidence rests on, and all that a change leads to or from them.
    concerned: BTreeSet<KeyId>,
}

impl Keys {
    /// Returns the keys of the status map that have to be answered for.
    pub(super) fn asked(&self) -> impl Iterator<Item = Digest> + '_ {
        self.concerned.iter().map(|key| *key_status(key).digest())
    }

    /// Tells whether a key of the log signed one of its changes.
    pub(super) fn has_signed(&self, key: &[u8]) -> bool {
        let of_log = self.changes.iter().map(|(change, _)| change).filter(|change| change.of == KeyUse::Log);
        of_log.flat_map(KeyChange::signers).any(|signer| signer.as_bytes() == key)
    }

    /// Returns them with the lines that the changes of each add to the status map.
    pub(super) fn lines(&self) -> impl Iterator<Item = (StatusKey, impl Iterator<Item = NodeId>)> {
        self.concerned.iter().map(|key| {
            let of_key = self.changes.iter().filter(|(change, _)| change.retired.id() == *key);
            (key_status(key), of_key.map(|(_, line)| NodeId::new(*line)))
        })
    }

    /// Returns those of them that have something, with its value.
    pub(super) fn present(&self) -> Vec<(Digest, Digest)> {
        let values = |key: &KeyId| -> Vec<Digest> {
            let of_key = self.changes.iter().filter(|(change, _)| change.retired.id() == *key);
            of_key.map(|(_, line)| *line).collect()
        };
        let lines = self.concerned.iter().map(|key| (*key_status(key).digest(), values(key)));
        lines.filter(|(_, values)| !values.is_empty()).map(|(key, values)| (key, status_value(&values))).collect()
    }
}

/// Step 2: reads the key changes of a log part.
pub(super) fn read_keys(part: &LogPart<&[u8]>, genesis: &Genesis, home: &GenesisHash) -> Result<Keys, Broken> {
    let mut found: Vec<(u64, KeyChange, Digest)> = Vec::new();
    for (index, bytes) in part.entries.iter().filter(|(_, bytes)| bytes.starts_with(CHANGE_BEGINS)) {
        // What can't be read is reported with the other entries.
        let Ok(Entry::KeyChange(signed)) = Entry::parse(bytes) else { continue };
        if found.len() >= KEY_CHANGES_MAX {
            let text = format!("log {} brings more than {KEY_CHANGES_MAX} key changes", genesis.origin);
            return Err(broken(Code::LimitExceeded, None, text));
        }
        signed.verify().map_err(|error| invalid(*index, &error))?;
        let line = key_line(&signed.change, bytes);
        found.push((*index, signed.change, *line.status.digest()));
    }
    let history = KeyHistory::of(genesis, home, found.iter().map(|(index, change, _)| (*index, change)));
    let history = history.map_err(|error| invalid(found.last().map_or(0, |(index, ..)| *index), &error))?;
    let changes = found.into_iter().map(|(_, change, line)| (change, line)).collect();
    Ok(Keys { history, changes, concerned: BTreeSet::new() })
}

fn invalid(index: u64, error: &dyn core::fmt::Display) -> Broken {
    broken(Code::KeyChangeInvalid, None, format!("key changes up to leaf {index}: {error}"))
}

/// Step 6: every key change of the bundle concerns a key that it rests on.
pub(super) fn settle_keys(logs: &mut [Log], commits: &[CheckedCommit]) -> Result<(), Broken> {
    for (number, log) in logs.iter_mut().enumerate() {
        let signed = commits.iter().filter(|commit| commit.log == number).map(|commit| commit.key);
        let mut keys: BTreeSet<KeyId> = signed.chain([log.genesis.key.id()]).collect();
        let changes: Vec<&KeyChange> = log.keys.changes.iter().map(|(change, _)| change).collect();
        let is_concerned = concerned(&mut keys, &changes);
        if let Some((change, _)) = changes.iter().zip(is_concerned).find(|(_, concerned)| !concerned) {
            let text = format!("a change of key {}, on which nothing in the bundle rests", change.retired.id());
            return Err(broken(Code::Extraneous, None, text));
        }
        log.keys.concerned = keys;
    }
    Ok(())
}
