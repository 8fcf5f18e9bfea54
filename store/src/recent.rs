//! What was used lately, in bounded memory.

use core::hash::Hash;
use std::collections::HashMap;

/// Values by key: when half of the bytes are taken, what was not used since the last time goes.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Bytes of the young ones.
    bytes: u64,
    bytes_max: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Recent<K, V> {
    /// Begins with nothing; holds about so many bytes at most.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), bytes: 0, bytes_max }
    }

    /// Returns a value, whose bytes are told by `weight`.
    pub(crate) fn get(&mut self, key: K, weight: impl Fn(&V) -> u64) -> Option<V> {
        if let Some(value) = self.young.get(&key) {
            return Some(value.clone());
        }
        let value = self.old.remove(&key)?;
        self.put(key, value.clone(), weight(&value));
        Some(value)
    }

    /// Keeps a value of so many bytes.
    pub(crate) fn put(&mut self, key: K, value: V, bytes: u64) {
        if self.bytes.saturating_add(bytes) > self.bytes_max / 2 {
            self.old = core::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut recent = Recent::new(20);
        for key in 0..100_u32 {
            recent.put(key, key, 1);
            assert_eq!(recent.get(0, |_| 1), Some(0), "used at {key}");
        }
        assert_eq!(recent.get(99, |_| 1), Some(99));
        assert_eq!(recent.get(50, |_| 1), None, "not used for long");
        assert!(recent.young.len() + recent.old.len() <= 20);
    }
}
