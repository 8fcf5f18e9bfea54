//! Maps and sets over ordinals, which are small numbers without gaps: plain vectors.

use alloc::vec::Vec;

use crate::evidence::Ordinal;

/// A map from ordinals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Map<T>(Vec<Option<T>>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Map<T> {
    /// Sets a value. Ordinals are below the number of the bundle's nodes, so that memory is bounded
    /// by the bundle.
    pub(crate) fn insert(&mut self, ordinal: Ordinal, value: T) {
        if self.0.len() <= ordinal {
            self.0.resize_with(ordinal.saturating_add(1), || None);
        }
        if let Some(place) = self.0.get_mut(ordinal) {
            *place = Some(value);
        }
    }

    /// Returns a value.
    pub(crate) fn get(&self, ordinal: Ordinal) -> Option<&T> {
        self.0.get(ordinal)?.as_ref()
    }

    /// Returns a value, to be changed.
    pub(crate) fn get_mut(&mut self, ordinal: Ordinal) -> Option<&mut T> {
        self.0.get_mut(ordinal)?.as_mut()
    }

    /// Returns every value, to be changed.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }
}

/// A set of ordinals.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Set(Map<()>);

impl Set {
    /// Adds an ordinal, and tells whether it is new.
    pub(crate) fn insert(&mut self, ordinal: Ordinal) -> bool {
        let new = !self.contains(ordinal);
        self.0.insert(ordinal, ());
        new
    }

    /// Tells whether it holds an ordinal.
    pub(crate) fn contains(&self, ordinal: Ordinal) -> bool {
        self.0.get(ordinal).is_some()
    }

    /// Returns its ordinals, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Ordinal> + '_ {
        self.0.0.iter().enumerate().filter(|(_, value)| value.is_some()).map(|(ordinal, _)| ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_between() {
        let mut set = Set::default();
        assert!(set.insert(5) && set.insert(2) && !set.insert(5));
        assert_eq!(set.iter().collect::<Vec<_>>(), [2, 5]);
        assert!(!set.contains(3) && !set.contains(9));
    }
}
