//! Key changes of the small world.

use std::collections::BTreeSet;

use griptrace_core::{
    bundle::LogPart,
    cbor::{Writer, encode},
    commit::Commit,
    cose::{self, KEY_CHANGE_TYPE},
    digest::Digest,
    entry::Entry,
    id::{GenesisHash, KeyId},
    key::Signer as _,
    key_change::{KeyChange, KeyUse, key_status},
    key_history::concerned,
};

use super::{Step, World, key};

/// A key change before it is signed. Keys go by their names.
#[derive(Clone)]
pub(crate) struct KeySpec {
    pub(crate) of: KeyUse,
    pub(crate) retired: &'static str,
    pub(crate) successor: Option<&'static str>,
    pub(crate) revoker: Option<&'static str>,
    pub(crate) since: Option<u64>,
    /// Who signs, in place of who has to.
    pub(crate) signers: Option<Vec<&'static str>>,
    /// The log that it names, in place of its own.
    pub(crate) home: Option<GenesisHash>,
    /// Whether the exporter leaves it out of the bundle.
    pub(crate) hidden: bool,
}

impl KeySpec {
    /// One key follows another.
    pub(crate) fn rotation(of: KeyUse, retired: &'static str, successor: &'static str) -> Self {
        let successor = Some(successor);
        Self { of, retired, successor, revoker: None, since: None, signers: None, home: None, hidden: false }
    }

    /// A revoker takes a committer's key out of use.
    pub(crate) fn revocation(revoker: &'static str, retired: &'static str, since: u64) -> Self {
        let change = Self::rotation(KeyUse::Committer, retired, retired);
        Self { successor: None, revoker: Some(revoker), since: Some(since), ..change }
    }

    /// Returns the entry, whoever may sign it.
    pub(super) fn entry(&self, home: GenesisHash) -> Vec<u8> {
        let public = |name: &str| key(name).public_key();
        let home = self.home.unwrap_or(home);
        let change = KeyChange {
            home,
            of: self.of,
            retired: public(self.retired),
            successor: self.successor.map(public),
            revoker: self.revoker.map(public),
            since: self.since,
            time: 0,
        };
        let due = || [Some(self.revoker.unwrap_or(self.retired)), self.successor].into_iter().flatten().collect();
        let signers: Vec<&str> = self.signers.clone().unwrap_or_else(due);
        let mut out = Writer::new();
        out.array(2).uint(1).array(signers.len());
        for name in signers {
            let signed = cose::sign(&key(name), KEY_CHANGE_TYPE, name, &home, encode(&change)).expect("it fits");
            out.bytes(&signed);
        }
        out.into_bytes()
    }
}

impl World {
    /// Changes a key before the `before_head`-th status head of the first log.
    pub(crate) fn change_key(&mut self, before_head: usize, change: KeySpec) {
        let heads = self.logs[0].steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Head(_)));
        let places: Vec<usize> = heads.map(|(place, _)| place).collect();
        self.logs[0].steps.insert(places[before_head], Step::Key(change));
    }

    /// Has another key sign the checkpoints of the first log from the `first`-th on.
    pub(crate) fn sign_from(&mut self, first: usize, name: &'static str) {
        for head in self.heads().into_iter().skip(first) {
            head.log_signers.iter_mut().for_each(|(signer, _)| *signer = name);
        }
    }
}

/// Returns the keys of the status map that the evidence of a log asks about public keys.
pub(super) fn asked_of_keys(part: &LogPart) -> Vec<Digest> {
    let mut keys: BTreeSet<KeyId> = BTreeSet::new();
    let mut changes = Vec::new();
    for (_, bytes) in &part.entries {
        match Entry::parse(bytes) {
            Ok(Entry::Genesis(genesis)) => keys.extend([genesis.key.id()]),
            Ok(Entry::KeyChange(signed)) => changes.push(signed.change),
            Ok(Entry::Commit(commit)) => keys.extend([Commit::key(&commit)]),
            Ok(Entry::StatusHead(_)) | Err(_) => {}
        }
    }
    concerned(&mut keys, &changes.iter().collect::<Vec<_>>());
    keys.iter().map(|key| *key_status(key).digest()).collect()
}
