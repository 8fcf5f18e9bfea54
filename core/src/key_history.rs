//! Which key counted when, by the key changes of a log (docs/spec/log.md).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    entry::Genesis,
    id::{GenesisHash, KeyId},
    key::PublicKey,
    key_change::{KeyChange, KeyUse},
};

/// Steps along a chain of key changes that are followed.
const CHAIN_MAX: usize = 64;

/// The keys of a log's checkpoints and committers over its entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyHistory {
    /// Keys of the log: each signs checkpoints larger than the number beside it, up to the next one's.
    log: Vec<(u64, PublicKey)>,
    committers: BTreeMap<KeyId, Life>,
}

/// What is known of a committer's key.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Life {
    key: PublicKey,
    /// The leaf index from which on it does not count.
    end: Option<u64>,
    /// The leaf index of the first change that took it out of use, whether or not that has an effect.
    retired: Option<u64>,
    /// The key that followed it.
    successor: Option<KeyId>,
    /// The key that it followed.
    predecessor: Option<Followed>,
}

/// How a key came to follow another.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Followed {
    /// The key that it followed.
    key: KeyId,
    /// The leaf index of the change.
    leaf: u64,
    /// The revoker who said so in the place of that key.
    revoker: Option<KeyId>,
    /// The leaf index of the revocation by which this never had an effect.
    void: Option<u64>,
}

/// What is asked of a chain of keys ([`KeyHistory::chain`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// By all that is known: what a thief changed has no effect.
    Now,
    /// As the log stood at the leaf that is asked about: what was revoked afterwards still stood then.
    Then,
}

/// Why a key change has no place where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// It is for another log.
    Home {
        /// The log that it names.
        found: GenesisHash,
    },
    /// It is signed by a revoker that the genesis does not name.
    Revoker {
        /// The key.
        key: KeyId,
    },
    /// It retires a key that is not the log's, or that retired before.
    NotInUse {
        /// The key.
        key: KeyId,
    },
    /// Its successor is a key that the log has seen before.
    Known {
        /// The key.
        key: KeyId,
    },
    /// It revokes since a leaf after its own.
    Since {
        /// The leaf that it names.
        since: u64,
        /// Its own index.
        index: u64,
    },
    /// Changes do not stand in the order of their indices.
    Order {
        /// The index that is not above the one before.
        index: u64,
    },
}

impl core::fmt::Display for HistoryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Home { found } => write!(f, "the key change is for log {found}"),
            Self::Revoker { key } => write!(f, "the genesis does not name key {key} to revoke others"),
            Self::NotInUse { key } => write!(f, "key {key} is not in use there: it retired before, or never was"),
            Self::Known { key } => write!(f, "key {key} can't follow another: the log has seen it before"),
            Self::Since { since, index } => write!(f, "the change at leaf {index} revokes since leaf {since}"),
            Self::Order { index } => write!(f, "the change at leaf {index} stands behind a later one"),
        }
    }
}

impl core::error::Error for HistoryError {}

impl KeyHistory {
    /// Begins with the key of the genesis.
    pub fn new(genesis: &Genesis) -> Self {
        Self { log: Vec::from([(0, genesis.key.clone())]), committers: BTreeMap::new() }
    }

    /// Works out the history from key changes by ascending leaf index, whose signatures were verified.
    ///
    /// # Errors
    /// [`HistoryError`] for a change that has no place there. One that was signed by a key which somebody revoked
    /// afterwards since an earlier leaf is no error: it has no effect.
    pub fn of<'c>(
        genesis: &Genesis,
        home: &GenesisHash,
        changes: impl IntoIterator<Item = (u64, &'c KeyChange)>,
    ) -> Result<Self, HistoryError> {
        let changes: Vec<(u64, &KeyChange)> = changes.into_iter().collect();
        let mut history = Self::new(genesis);
        for (at, (index, change)) in changes.iter().enumerate() {
            history.check(genesis, home, *index, change)?;
            if at.checked_sub(1).and_then(|before| changes.get(before)).is_some_and(|(before, _)| before >= index) {
                return Err(HistoryError::Order { index: *index });
            }
            match change.of {
                KeyUse::Log => history.change_log(*index, change)?,
                KeyUse::Committer => history.change_committer(*index, change, &changes)?,
            }
        }
        Ok(history)
    }

    fn check(&self, genesis: &Genesis, home: &GenesisHash, index: u64, change: &KeyChange) -> Result<(), HistoryError> {
        if change.home != *home {
            return Err(HistoryError::Home { found: change.home });
        }
        if let Some(revoker) = change.revoker.as_ref().map(PublicKey::id)
            && !genesis.revokers.contains(&revoker)
        {
            return Err(HistoryError::Revoker { key: revoker });
        }
        if let Some(since) = change.since.filter(|since| *since > index) {
            return Err(HistoryError::Since { since, index });
        }
        match change.successor.as_ref().map(PublicKey::id).filter(|key| self.has_seen(key)) {
            Some(key) => Err(HistoryError::Known { key }),
            None => Ok(()),
        }
    }

    fn has_seen(&self, key: &KeyId) -> bool {
        self.committers.contains_key(key) || self.log.iter().any(|(_, known)| known.id() == *key)
    }

    fn change_log(&mut self, index: u64, change: &KeyChange) -> Result<(), HistoryError> {
        let current = self.log.last().map(|(_, key)| key);
        match &change.successor {
            Some(successor) if current == Some(&change.retired) => self.log.push((index, successor.clone())),
            Some(_) | None => return Err(HistoryError::NotInUse { key: change.retired.id() }),
        }
        Ok(())
    }

    fn change_committer(
        &mut self,
        index: u64,
        change: &KeyChange,
        all: &[(u64, &KeyChange)],
    ) -> Result<(), HistoryError> {
        let retired = change.retired.id();
        let is_rotation = change.revoker.is_none();
        // A revocation that comes later in the log may reach back before this.
        let of_key = all.iter().filter(|(_, other)| other.retired == change.retired);
        let mut reaching = of_key.filter(|(_, other)| other.since.is_some_and(|since| since <= index));
        let void = reaching.next().map(|(at, _)| *at).filter(|_| is_rotation);
        let is_void = void.is_some();
        let life = self.committers.entry(retired).or_insert_with(|| Life::of(change.retired.clone()));
        life.retired = life.retired.or(Some(index));
        if is_rotation && !is_void {
            if life.end.is_some() {
                return Err(HistoryError::NotInUse { key: retired });
            }
            life.end = Some(index);
        }
        if let Some(since) = change.since {
            life.end = Some(life.end.map_or(since, |end| end.min(since)));
        }
        if !is_void {
            // The first one stays: whoever revokes a key later does not take it from the key that it named itself.
            life.successor = life.successor.or_else(|| change.successor.as_ref().map(PublicKey::id));
        }
        if let Some(successor) = &change.successor {
            let revoker = change.revoker.as_ref().map(PublicKey::id);
            let predecessor = Some(Followed { key: retired, leaf: index, revoker, void });
            self.committers.insert(successor.id(), Life { predecessor, ..Life::of(successor.clone()) });
        }
        Ok(())
    }

    /// Returns the key that signs checkpoints of a size.
    pub fn log_key(&self, size: u64) -> Option<&PublicKey> {
        self.log.iter().rev().find(|(from, _)| *from < size || *from == 0).map(|(_, key)| key)
    }

    /// Returns every key of the log, with the size above which it signs, the first one first.
    pub fn log_keys(&self) -> impl Iterator<Item = (u64, &PublicKey)> {
        self.log.iter().map(|(from, key)| (*from, key))
    }

    /// Returns the leaf index from which on a committer's key does not count, if it retired or was revoked.
    pub fn end(&self, key: &KeyId) -> Option<u64> {
        self.committers.get(key)?.end
    }

    /// Returns a committer's key that a change names.
    pub fn key(&self, key: &KeyId) -> Option<&PublicKey> {
        Some(&self.committers.get(key)?.key)
    }

    /// Returns the key that a committer's key followed by a revoker's word alone, and that revoker.
    pub fn follows_by_word_of(&self, key: &KeyId) -> Option<(KeyId, KeyId)> {
        let followed = self.committers.get(key)?.predecessor.as_ref()?;
        Some((followed.key, followed.revoker?))
    }

    /// Tells whether a committer's key counted at a leaf as the log stood there: no change before it took it out of use.
    /// A revocation that came later may reach back before that leaf ([`Self::end`]).
    pub fn counted_then(&self, key: &KeyId, leaf: u64) -> bool {
        self.committers.get(key).and_then(|life| life.retired).is_none_or(|retired| leaf < retired)
    }

    /// Returns the keys for which `key` stands or that stand for it, in a commit at `leaf`: itself, the keys that it
    /// followed by then, and those that followed it, which have signed that they did.
    ///
    /// A key that was revoked did not sign who follows it. Its successor stands for it only by the word of the revoker, if
    /// that is one of the `revokers` whom the reader believes.
    pub fn chain(&self, key: &KeyId, leaf: u64, as_of: AsOf, revokers: &[KeyId]) -> Vec<KeyId> {
        let believed = |followed: &&Followed| {
            let stood = followed.void.is_none_or(|void| as_of == AsOf::Then && leaf < void);
            let said = followed.revoker.is_none_or(|revoker| revokers.contains(&revoker));
            followed.leaf < leaf && stood && said
        };
        let mut chain = Vec::from([*key]);
        let mut at = *key;
        while let Some(followed) = self.committers.get(&at).and_then(|life| life.predecessor.as_ref()).filter(believed)
        {
            if chain.len() > CHAIN_MAX || chain.contains(&followed.key) {
                break;
            }
            chain.push(followed.key);
            at = followed.key;
        }
        at = *key;
        while let Some(after) = self.committers.get(&at).and_then(|life| life.successor) {
            if chain.len() > CHAIN_MAX.saturating_mul(2) || chain.contains(&after) {
                break;
            }
            chain.push(after);
            at = after;
        }
        chain
    }
}

/// Tells which of the changes concern any of the `keys`, and adds to these every key that such a change names: of what a
/// bundle rests on, all that its reader may have to know.
pub fn concerned(keys: &mut BTreeSet<KeyId>, changes: &[&KeyChange]) -> Vec<bool> {
    let mut found: Vec<bool> = changes.iter().map(|_| false).collect();
    // A chain is found from its end in as many rounds as it has changes: each key is hashed once, not in each round.
    let named = |change: &&KeyChange| [Some(change.retired.id()), change.successor.as_ref().map(PublicKey::id)];
    let named: Vec<[Option<KeyId>; 2]> = changes.iter().map(named).collect();
    loop {
        let before = keys.len();
        for (named, found) in named.iter().zip(&mut found) {
            if *found {
                continue;
            }
            if named.iter().flatten().any(|key| keys.contains(key)) {
                keys.extend(named.iter().flatten());
                *found = true;
            }
        }
        if keys.len() == before {
            return found;
        }
    }
}

impl Life {
    const fn of(key: PublicKey) -> Self {
        Self { key, end: None, retired: None, successor: None, predecessor: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        key::{Algorithm, SecretKey, Signer as _},
    };

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap().public_key()
    }

    fn home() -> GenesisHash {
        GenesisHash::new(Digest::from_bytes([7; 32]))
    }

    /// Key 1 is the log's, key 9 may revoke.
    fn genesis() -> Genesis {
        let revokers = Vec::from([key(9).id()]);
        Genesis { origin: "log.example/1".into(), key: key(1), time: 9, nonce: [1; 16], revokers }
    }

    fn rotation(of: KeyUse, retired: u8, successor: u8) -> KeyChange {
        let (retired, successor) = (key(retired), Some(key(successor)));
        KeyChange { home: home(), of, retired, successor, revoker: None, since: None, time: 0 }
    }

    fn revocation(retired: u8, successor: Option<u8>, since: u64) -> KeyChange {
        let (revoker, since) = (Some(key(9)), Some(since));
        let change = rotation(KeyUse::Committer, retired, 0);
        KeyChange { successor: successor.map(key), revoker, since, ..change }
    }

    fn history(changes: &[(u64, KeyChange)]) -> Result<KeyHistory, HistoryError> {
        KeyHistory::of(&genesis(), &home(), changes.iter().map(|(index, change)| (*index, change)))
    }

    #[test]
    fn a_log_key_is_good_up_to_its_size() {
        let lost = KeyChange { revoker: Some(key(9)), ..rotation(KeyUse::Log, 2, 3) };
        let history = history(&[(5, rotation(KeyUse::Log, 1, 2)), (8, lost)]).unwrap();
        let signs = |size| history.log_key(size).cloned();
        assert_eq!([0, 1, 5, 6, 8, 9, 99].map(signs), [1, 1, 1, 2, 2, 3, 3].map(|seed| Some(key(seed))));
    }

    #[test]
    fn a_committers_key_ends_where_it_was_rotated_or_revoked() {
        let history = history(&[
            (5, rotation(KeyUse::Committer, 2, 3)),
            (8, rotation(KeyUse::Committer, 3, 4)),
            (12, revocation(4, Some(5), 10)),
        ])
        .unwrap();
        assert_eq!([2, 3, 4, 5].map(|seed| history.end(&key(seed).id())), [Some(5), Some(8), Some(10), None]);
        let chain = |seed: u8, leaf| -> Vec<KeyId> { history.chain(&key(seed).id(), leaf, AsOf::Now, &[key(9).id()]) };
        let ids = |seeds: &[u8]| -> Vec<KeyId> { seeds.iter().map(|seed| key(*seed).id()).collect() };
        assert_eq!(chain(2, 1), ids(&[2, 3, 4, 5]), "those that followed it vouch for it");
        assert_eq!(chain(5, 13), ids(&[5, 4, 3, 2]), "it stands for those that it followed");
        assert_eq!(chain(5, 12), ids(&[5]), "but not before it did");
        assert_eq!(chain(4, 9), ids(&[4, 3, 2, 5]));
        assert_eq!(chain(6, 9), ids(&[6]), "a key that no change names stands for itself");
        let by_nobody = |seed: u8, leaf| history.chain(&key(seed).id(), leaf, AsOf::Now, &[key(8).id()]);
        assert_eq!(by_nobody(5, 13), ids(&[5]), "a revoker whom nobody believes says in vain whom it stands for");
        assert_eq!(by_nobody(2, 1), ids(&[2, 3, 4, 5]), "but itself it says whom it follows");
    }

    #[test]
    fn what_a_thief_changed_since_the_theft_has_no_effect() {
        // Key 2 was stolen before leaf 6; the thief made key 3 follow it, and 4 follow that.
        let history = history(&[
            (6, rotation(KeyUse::Committer, 2, 3)),
            (7, rotation(KeyUse::Committer, 3, 4)),
            (9, revocation(2, Some(5), 6)),
        ])
        .unwrap();
        let ids = |seeds: &[u8]| -> Vec<KeyId> { seeds.iter().map(|seed| key(*seed).id()).collect() };
        assert_eq!(history.end(&key(2).id()), Some(6));
        let chain = |seed: u8, leaf, as_of| history.chain(&key(seed).id(), leaf, as_of, &[key(9).id()]);
        assert_eq!(chain(4, 8, AsOf::Now), ids(&[4, 3]), "the thief's keys lead to nobody");
        assert_eq!(chain(4, 8, AsOf::Then), ids(&[4, 3, 2]), "though it looked so before the revocation");
        assert_eq!(chain(4, 10, AsOf::Then), ids(&[4, 3]));
        assert_eq!(chain(5, 10, AsOf::Now), ids(&[5, 2]));
        assert_eq!(chain(2, 3, AsOf::Now), ids(&[2, 5]));
        let counted = |seed: u8, leaf| history.counted_then(&key(seed).id(), leaf);
        assert_eq!([counted(2, 5), counted(2, 6)], [true, false], "the thief retired it at leaf 6");
        assert_eq!([counted(3, 6), counted(3, 7), counted(4, 99)], [true, false, true]);
    }

    #[test]
    fn a_key_that_named_its_successor_keeps_it_whoever_revokes_it_later() {
        let history = history(&[(6, rotation(KeyUse::Committer, 2, 3)), (9, revocation(2, Some(4), 8))]).unwrap();
        assert_eq!(history.end(&key(2).id()), Some(6));
        let chain = history.chain(&key(2).id(), 3, AsOf::Now, &[]);
        assert_eq!(chain, [key(2).id(), key(3).id()], "who knows only the next key goes on believing the first");
    }

    #[test]
    fn a_change_that_has_no_place_is_refused() {
        let good = rotation(KeyUse::Committer, 2, 3);
        let refused = |changes: &[(u64, KeyChange)]| history(changes).unwrap_err();
        let other = KeyChange { home: GenesisHash::new(Digest::ZERO), ..good.clone() };
        assert!(matches!(refused(&[(5, other)]), HistoryError::Home { .. }));
        let stranger = KeyChange { revoker: Some(key(8)), ..revocation(2, None, 4) };
        assert_eq!(refused(&[(5, stranger)]), HistoryError::Revoker { key: key(8).id() });
        assert_eq!(refused(&[(5, revocation(2, None, 6))]), HistoryError::Since { since: 6, index: 5 });
        let twice = [(5, good.clone()), (6, rotation(KeyUse::Committer, 2, 4))];
        assert_eq!(refused(&twice), HistoryError::NotInUse { key: key(2).id() });
        let back = [(5, good.clone()), (6, rotation(KeyUse::Committer, 3, 2))];
        assert_eq!(refused(&back), HistoryError::Known { key: key(2).id() });
        let not_the_logs = [(5, rotation(KeyUse::Log, 2, 3))];
        assert_eq!(refused(&not_the_logs), HistoryError::NotInUse { key: key(2).id() });
        let retired = [(5, rotation(KeyUse::Log, 1, 2)), (6, rotation(KeyUse::Log, 1, 3))];
        assert_eq!(refused(&retired), HistoryError::NotInUse { key: key(1).id() });
        assert_eq!(
            refused(&[(5, good.clone()), (5, rotation(KeyUse::Committer, 4, 5))]),
            HistoryError::Order { index: 5 }
        );
    }
}
