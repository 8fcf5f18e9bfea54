//! Which checkpoints of a bundle witnesses have cosigned.

use core::cell::RefCell;
use std::collections::BTreeMap;

use crate::{
    State, Witnesses,
    cosigned::{Cosigned, Downwards, Upwards, cosigned_at},
    error::StorageError,
    store::Inner,
};

/// Cosigned checkpoints, each read once.
pub(super) struct CosignedAnchors<'a> {
    witnesses: &'a Witnesses,
    /// The sizes of which anything is kept, as far as they were asked for.
    sizes: RefCell<Upwards>,
    read: RefCell<BTreeMap<u64, Option<Cosigned>>>,
}

impl<'a> CosignedAnchors<'a> {
    pub(super) fn new(witnesses: &'a Witnesses) -> Self {
        Self { witnesses, sizes: RefCell::default(), read: RefCell::default() }
    }

    /// Returns the first size above a leaf, and up to `most`, whose checkpoint a quorum cosigned.
    pub(super) fn first(
        &self,
        inner: &Inner,
        state: &State,
        leaf: u64,
        most: u64,
    ) -> Result<Option<u64>, StorageError> {
        if !self.witnesses.ask_for_a_quorum() {
            return Ok(None);
        }
        let mut from = leaf.saturating_add(1);
        loop {
            let next = self.sizes.borrow_mut().next(&inner.objects, from)?;
            let Some(size) = next.filter(|size| *size <= most) else { return Ok(None) };
            if self.is_complete(inner, state, size)? {
                return Ok(Some(size));
            }
            from = size.saturating_add(1);
        }
    }

    /// Returns the last size above a leaf, and up to `most`, whose checkpoint a quorum cosigned.
    pub(super) fn newest(
        &self,
        inner: &Inner,
        state: &State,
        leaf: u64,
        most: u64,
    ) -> Result<Option<u64>, StorageError> {
        if !self.witnesses.ask_for_a_quorum() {
            return Ok(None);
        }
        let mut down = Downwards::new(&inner.objects, most.saturating_add(1), || most)?;
        while let Some(size) = down.next()?.filter(|size| *size > leaf) {
            if self.is_complete(inner, state, size)? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    /// Returns the checkpoint of a size with its cosignatures, if there are any.
    pub(super) fn note(&self, inner: &Inner, state: &State, size: u64) -> Result<Option<String>, StorageError> {
        if self.witnesses.keys.is_empty() {
            return Ok(None);
        }
        self.at(inner, state, size, |cosigned| cosigned.note.clone())
    }

    fn is_complete(&self, inner: &Inner, state: &State, size: u64) -> Result<bool, StorageError> {
        Ok(self.at(inner, state, size, |cosigned| cosigned.completed)?.flatten().is_some())
    }

    fn at<T>(
        &self,
        inner: &Inner,
        state: &State,
        size: u64,
        pick: impl FnOnce(&Cosigned) -> T,
    ) -> Result<Option<T>, StorageError> {
        if let Some(known) = self.read.borrow().get(&size) {
            return Ok(known.as_ref().map(pick));
        }
        let found = cosigned_at(inner, state, size, self.witnesses)?;
        let picked = found.as_ref().map(pick);
        self.read.borrow_mut().insert(size, found);
        Ok(picked)
    }
}
