//! Which checkpoints of a bundle witnesses have cosigned.

use core::cell::RefCell;
use std::collections::BTreeMap;

use crate::{
    State, Witnesses,
    cosigned::{self, Cosigned, cosigned_at},
    error::StorageError,
    store::Inner,
};

/// Cosigned checkpoints, each read once.
pub(super) struct CosignedAnchors<'a> {
    witnesses: &'a Witnesses,
    /// The sizes of which anything is kept, listed when first asked for.
    sizes: RefCell<Option<Vec<u64>>>,
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
        self.find(inner, state, self.between(inner, leaf, most)?.into_iter())
    }

    /// Returns the last size above a leaf, and up to `most`, whose checkpoint a quorum cosigned.
    pub(super) fn newest(
        &self,
        inner: &Inner,
        state: &State,
        leaf: u64,
        most: u64,
    ) -> Result<Option<u64>, StorageError> {
        self.find(inner, state, self.between(inner, leaf, most)?.into_iter().rev())
    }

    /// Returns the checkpoint of a size with its cosignatures, if there are any.
    pub(super) fn note(&self, inner: &Inner, state: &State, size: u64) -> Result<Option<String>, StorageError> {
        if self.witnesses.keys.is_empty() {
            return Ok(None);
        }
        self.at(inner, state, size, |cosigned| cosigned.note.clone())
    }

    fn between(&self, inner: &Inner, leaf: u64, most: u64) -> Result<Vec<u64>, StorageError> {
        if !self.witnesses.ask_for_a_quorum() {
            return Ok(Vec::new());
        }
        let mut listed = self.sizes.borrow_mut();
        let sizes = match &mut *listed {
            Some(sizes) => sizes,
            none => none.insert(cosigned::sizes(&inner.objects)?),
        };
        Ok(sizes.iter().copied().filter(|size| *size > leaf && *size <= most).collect())
    }

    fn find(
        &self,
        inner: &Inner,
        state: &State,
        sizes: impl Iterator<Item = u64>,
    ) -> Result<Option<u64>, StorageError> {
        for size in sizes {
            if self.at(inner, state, size, |cosigned| cosigned.completed)?.flatten().is_some() {
                return Ok(Some(size));
            }
        }
        Ok(None)
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
