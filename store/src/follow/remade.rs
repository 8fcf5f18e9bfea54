//! A head that was lost or damaged, and is made anew from the newest checkpoint.

use core::time::Duration;
use std::sync::{Arc, PoisonError};

use super::Watch;
use crate::{
    bucket::{Bucket, Put, Version, When},
    error::{OpenError, StorageError},
    head::{HEAD, Head, Signature, Signed},
    lease::{SharedHead, Turn, new_writer},
    store::Inner,
};

/// Numbers of turns from here on are of heads that were made anew, and of what followed them.
const REMADE: u64 = 1 << 32;
/// How long a head that was made anew may tell of less than is known, until who made it takes in what came after.
const REMADE_PATIENCE: Duration = Duration::from_secs(5);

impl Inner {
    /// Tells whether the head tells of less than is known because it was made anew from what was published: who did that takes in the
    /// rest at once. A bucket that was set back stays like this, and is told a little later.
    pub(super) fn is_short(&self, head: &SharedHead, watch: &mut Watch, now: Duration) -> bool {
        let seen = *self.head_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = head.turn.number.abs_diff(seen.turn) > 1;
        let is_new = head.turn.number >= REMADE && (is_other || watch.short.is_some());
        if !is_new || head.head.size >= self.read().catalogue.size() {
            watch.short = None;
            return false;
        }
        now.saturating_sub(*watch.short.get_or_insert(now)) < REMADE_PATIENCE
    }

    /// Tells whether a head that was made anew, and under which nobody writes, tells of less than is published: whoever had the turn may have
    /// published since. Nobody could take the turn then. Made anew once more, it is as if that had come first.
    pub(super) fn lags(&self, head: &SharedHead) -> Result<bool, StorageError> {
        if self.candidate.is_none() || head.turn.writer.is_some() || head.turn.number < REMADE {
            return Ok(false);
        }
        match (Signature { keys: &self.keys().log }).published(&self.objects) {
            Ok(published) => Ok(published.is_some_and(|published| published.head.size > head.head.size)),
            Err(StorageError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn remake(
        &self,
        bucket: &Arc<dyn Bucket>,
        there: Option<Version>,
        damage: StorageError,
    ) -> Result<(SharedHead, Version), OpenError> {
        let mut newest = self.newest(&self.keys().log)?;
        let state = self.read();
        if state.catalogue.size() > newest.head.size {
            // What was followed here may be newer than what is published.
            let head = Head { size: state.catalogue.size(), root: state.catalogue.root() };
            newest = Signed { object: HEAD, head, note: state.note.clone() };
        }
        drop(state);
        // Of a number that there never was: no two heads have the same bytes.
        let number = new_writer()?.as_bytes().first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        let number = number.saturating_add(REMADE);
        let turn = Turn { number, writer: None, beat: 0, address: String::new() };
        let made = SharedHead { head: newest.head, turn, note: newest.note };
        let when = there.map_or(When::Absent, When::Is);
        let put = bucket.put(HEAD, &made.to_bytes(), &when).map_err(self.objects.failed("write", HEAD))?;
        match put {
            Put::Done(version) => {
                let why = format!("{damage}; it was made anew, with {} entries", made.head.size);
                *self.remade.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                Ok((made, version))
            }
            // Another one was faster: the next look shows it.
            Put::Refused => Err(damage.into()),
        }
    }
}
