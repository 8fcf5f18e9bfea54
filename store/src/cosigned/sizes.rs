//! Which sizes have a cosigned checkpoint.
//!
//! A log that is cosigned each minute has half a million of them in a year, and a bucket lists a thousand names at
//! once, ascending. So whoever needs a few of them looks from where these are, and does not list the rest.

use std::collections::BTreeMap;

use super::{COSIGNED, in_folder, size_of};
use crate::{error::StorageError, objects::Objects};

/// How far below a size others are looked for first: a page of a bucket, if each size was cosigned.
const NEAR: u64 = 1000;

/// Sizes in a row, ascending, as they were listed at once.
struct Page {
    from: u64,
    sizes: Vec<u64>,
    is_last: bool,
}

impl Page {
    /// Lists sizes from one on; none only if there are none.
    fn read(objects: &Objects, from: u64) -> Result<Self, StorageError> {
        let mut after = from.checked_sub(1).map(in_folder);
        loop {
            let (names, is_last) = objects.list_after(COSIGNED, after.as_deref())?;
            let sizes: Vec<u64> = names.iter().filter_map(|name| size_of(name)).collect();
            if is_last || !sizes.is_empty() {
                return Ok(Self { from, sizes, is_last });
            }
            after = names.into_iter().last();
        }
    }

    /// Tells whether the next size from one on, or that there is none, is seen here.
    fn reaches(&self, from: u64) -> bool {
        self.is_last || self.sizes.last().is_some_and(|last| *last >= from)
    }

    fn next(&self, from: u64) -> Option<u64> {
        self.sizes.get(self.sizes.partition_point(|size| *size < from)).copied()
    }
}

/// Returns all sizes of which anything is kept, ascending.
pub(crate) fn sizes(objects: &Objects) -> Result<Vec<u64>, StorageError> {
    Ok(objects.list(COSIGNED)?.iter().filter_map(|name| size_of(name)).collect())
}

/// Returns the names there that are no sizes, which nothing reads.
pub(crate) fn strays(objects: &Objects) -> Result<Vec<String>, StorageError> {
    let mut names = objects.list(COSIGNED)?;
    names.retain(|name| size_of(name).is_none());
    Ok(names)
}

/// Walks up from any size, and lists nothing twice.
#[derive(Default)]
pub(crate) struct Upwards(BTreeMap<u64, Page>);

impl Upwards {
    /// Returns the first size from one on.
    pub(crate) fn next(&mut self, objects: &Objects, from: u64) -> Result<Option<u64>, StorageError> {
        let below = self.0.range(..=from).next_back().map(|(_, page)| page);
        if let Some(page) = below.filter(|page| page.reaches(from)) {
            return Ok(page.next(from));
        }
        let page = Page::read(objects, from)?;
        let next = page.next(from);
        self.0.insert(page.from, page);
        Ok(next)
    }
}

/// Walks down through all sizes, from the largest below one on.
pub(crate) struct Downwards<'a> {
    objects: &'a Objects,
    /// What was listed and not returned yet, ascending.
    listed: Vec<u64>,
    /// All sizes from this one on were listed.
    from: u64,
    /// How far below `near` is listed next.
    near: u64,
    step: u64,
}

impl<'a> Downwards<'a> {
    /// Begins at the largest below a size. Where there are many, it is looked for above the size that is asked for, and then below it.
    pub(crate) fn new(objects: &'a Objects, below: u64, near: impl FnOnce() -> u64) -> Result<Self, StorageError> {
        let mut page = Page::read(objects, 0)?;
        if page.is_last {
            page.sizes.retain(|size| *size < below);
            return Ok(Self { objects, listed: page.sizes, from: 0, near: 0, step: NEAR });
        }
        Ok(Self { objects, listed: Vec::new(), from: below, near: near().min(below), step: NEAR })
    }

    /// Lists the sizes below those that were listed, back to `step` below `near`.
    fn list_more(&mut self) -> Result<(), StorageError> {
        let from = self.near.saturating_sub(self.step);
        let (mut next, mut up) = (from, Upwards::default());
        while let Some(size) = up.next(self.objects, next)?.filter(|size| *size < self.from) {
            self.listed.push(size);
            next = size.saturating_add(1);
        }
        (self.from, self.near) = (from, from);
        self.step = self.step.saturating_mul(2);
        Ok(())
    }

    /// Returns the next one.
    pub(crate) fn next(&mut self) -> Result<Option<u64>, StorageError> {
        while self.listed.is_empty() && self.from > 0 {
            self.list_more()?;
        }
        Ok(self.listed.pop())
    }
}
