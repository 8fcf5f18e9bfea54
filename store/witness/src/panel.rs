//! The witnesses that a log asks: a C2SP tlog-policy, and keys for recomputed status maps, which such a policy has
//! no place for.

use griptrace_core::{
    note::{KeyKind, NoteVerifier},
    quorum::Quorum,
    tlog_policy::{TlogPolicy, TlogPolicyError},
};

use crate::client::Address;

/// The witnesses of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panel {
    policy: TlogPolicy,
    maps: Vec<NoteVerifier>,
}

/// Why witnesses can't be asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PanelError {
    /// The policy is malformed.
    #[error("{0}")]
    Policy(TlogPolicyError),
    /// The policy names other logs.
    #[error("the policy names logs, and {origin} is not among them")]
    OtherLog {
        /// The log's origin.
        origin: String,
    },
    /// The key is not one for status maps.
    #[error("{vkey} is not a key for status maps: {why}")]
    MapKey {
        /// The key.
        vkey: String,
        /// Why not.
        why: String,
    },
    /// No witness of the policy has the name of a key for status maps.
    #[error("no witness of the policy has the name of the key for status maps {vkey}")]
    MapName {
        /// The key.
        vkey: String,
    },
}

impl Panel {
    /// Reads a policy, for the log with these keys, and keys for status maps (vkeys). A policy that names no log is for
    /// every one.
    ///
    /// # Errors
    /// [`PanelError`].
    pub fn parse(policy: &[u8], maps: &[&str], log: &[NoteVerifier]) -> Result<Self, PanelError> {
        let policy = TlogPolicy::parse(policy).map_err(PanelError::Policy)?;
        if !policy.logs.is_empty() && !policy.logs.iter().any(|named| log.contains(&named.key)) {
            return Err(PanelError::OtherLog {
                origin: log.first().map_or_else(String::new, |key| key.name().to_owned()),
            });
        }
        let mut read = Vec::with_capacity(maps.len());
        for vkey in maps {
            let wrong = |why: String| PanelError::MapKey { vkey: (*vkey).to_owned(), why };
            let key = NoteVerifier::parse(vkey).map_err(|e| wrong(e.to_string()))?;
            if key.kind() != KeyKind::StatusMapV1 {
                return Err(wrong("it is of another kind".to_owned()));
            }
            if !policy.witnesses.iter().any(|witness| witness.key.name() == key.name()) {
                return Err(PanelError::MapName { vkey: (*vkey).to_owned() });
            }
            read.push(key);
        }
        Ok(Self { policy, maps: read })
    }

    /// Returns all keys; those that the quorum is about first, in its order.
    pub fn keys(&self) -> Vec<NoteVerifier> {
        self.policy.witnesses.iter().map(|witness| &witness.key).chain(&self.maps).cloned().collect()
    }

    /// Returns the keys for recomputed status maps.
    pub fn maps(&self) -> &[NoteVerifier] {
        &self.maps
    }

    /// Returns the quorum, if one is asked for.
    pub const fn quorum(&self) -> Option<&Quorum> {
        self.policy.quorum.as_ref()
    }

    /// Tells whether the quorum is met, given when each of [`Self::keys`] cosigned; where none is asked for, whether
    /// anybody cosigned.
    pub fn is_met(&self, times: &[Option<u64>]) -> bool {
        match self.quorum() {
            Some(quorum) => quorum.completed(times).is_some(),
            None => times.iter().any(Option::is_some),
        }
    }

    /// Tells the same of status-map keys alone, which is what a verifier's `map-unwitnessed` is about; `None` where no such
    /// key is known.
    pub fn is_map_met(&self, times: &[Option<u64>]) -> Option<bool> {
        if self.maps.is_empty() {
            return None;
        }
        let maps = times.get(self.policy.witnesses.len()..).unwrap_or_default();
        let vouched = |name: &str| {
            let said = self.maps.iter().zip(maps).filter(|(map, _)| map.name() == name);
            said.filter_map(|(_, time)| *time).min()
        };
        let vouched: Vec<Option<u64>> =
            self.policy.witnesses.iter().map(|witness| vouched(witness.key.name())).collect();
        Some(self.is_met(&vouched))
    }

    /// Returns whom to ask: each address once, with all keys that are known of who is there.
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = Vec::new();
        for witness in &self.policy.witnesses {
            let Some(url) = &witness.url else { continue };
            let url = url.trim_end_matches('/');
            match addresses.iter_mut().find(|address| address.url == url) {
                Some(address) => address.keys.push(witness.key.clone()),
                None => addresses.push(Address { url: url.to_owned(), keys: vec![witness.key.clone()], last: 0 }),
            }
        }
        for address in &mut addresses {
            let is_there = |map: &&NoteVerifier| address.keys.iter().any(|key| key.name() == map.name());
            let maps: Vec<NoteVerifier> = self.maps.iter().filter(is_there).cloned().collect();
            address.keys.extend(maps);
        }
        addresses
    }

    /// Returns the names of the witnesses that have no address, so that nobody can ask them.
    pub fn unreachable(&self) -> impl Iterator<Item = &str> {
        self.policy.witnesses.iter().filter(|witness| witness.url.is_none()).map(|witness| witness.key.name())
    }
}

#[cfg(test)]
mod tests {
    use griptrace_core::note::{Cosigner, NoteSigner};

    use super::*;

    #[test]
    fn the_keys_of_one_address_are_asked_for_together() {
        let log = [NoteSigner::new("log.example", &[1; 32]).unwrap().verifier().clone()];
        let plain = Cosigner::new("w1.example", &[2; 32]).unwrap().verifier().clone();
        let subtree = Cosigner::subtree("w1.example", &[3; 32]).unwrap().verifier().clone();
        let other = Cosigner::new("w2.example", &[4; 32]).unwrap().verifier().clone();
        let map = Cosigner::status_map("w1.example", &[5; 32]).unwrap().verifier().clone();
        let policy = format!(
            "witness a {} https://w1.example/x/\nwitness b {} https://w1.example/x\nwitness c {}\ngroup q 2 a b c\nquorum q\n",
            plain.to_vkey(),
            subtree.to_vkey(),
            other.to_vkey()
        );
        let panel = Panel::parse(policy.as_bytes(), &[&map.to_vkey()], &log).unwrap();
        let addresses = panel.addresses();
        assert_eq!(addresses.len(), 1);
        assert_eq!(addresses[0].keys, [plain.clone(), subtree.clone(), map.clone()]);
        assert_eq!(panel.keys(), [plain.clone(), subtree, other, map.clone()]);
        assert_eq!(panel.unreachable().collect::<Vec<_>>(), ["w2.example"]);

        assert!(panel.is_met(&[Some(1), None, Some(1), None]) && !panel.is_met(&[Some(1), None, None, Some(1)]));
        // The map key speaks for both lines of its name.
        assert_eq!(panel.is_map_met(&[Some(1), Some(1), Some(1), None]), Some(false));
        assert_eq!(panel.is_map_met(&[None, None, None, Some(1)]), Some(true));
        let three = policy.replace("q 2", "q all");
        let panel = Panel::parse(three.as_bytes(), &[&map.to_vkey()], &log).unwrap();
        assert_eq!(panel.is_map_met(&[Some(1), Some(1), Some(1), Some(1)]), Some(false), "w2 has no such key");
        let panel = Panel::parse(three.as_bytes(), &[], &log).unwrap();
        assert_eq!(panel.is_map_met(&[Some(1), Some(1), Some(1)]), None);

        let error = |policy: &str, maps: &[&str]| Panel::parse(policy.as_bytes(), maps, &log).unwrap_err();
        let elsewhere = NoteSigner::new("log.example", &[9; 32]).unwrap();
        let of_other = format!("log {}\n{policy}", elsewhere.verifier().to_vkey());
        assert!(matches!(error(&of_other, &[]), PanelError::OtherLog { .. }));
        assert!(matches!(error(&policy, &[&plain.to_vkey()]), PanelError::MapKey { .. }));
        assert!(matches!(error("quorum none\n", &[&map.to_vkey()]), PanelError::MapName { .. }));
        assert!(matches!(error("quorum q\n", &[]), PanelError::Policy(_)));
    }
}
