//! The turn of this process: how it goes on, and ends.

use core::time::Duration;
use std::sync::PoisonError;

use super::Watch;
use crate::{commit::Writer, lease::BEAT_EVERY, store::Inner};

impl Inner {
    /// Goes on writing; `false` if the turn is over.
    pub(super) fn goes_on(&self, writer: &Writer, watch: &mut Watch, now: Duration) -> bool {
        let Some(lease) = writer.lease() else { return true };
        if writer.is_poisoned() || lease.is_lost() {
            return false;
        }
        if lease.beats() != watch.beats {
            // By a commit, and at any time since: this process may have been stopped for long after it. None was under way when
            // was looked, since looking waits for it.
            (watch.beats, watch.moved) = (lease.beats(), watch.looked);
        }
        watch.looked = now;
        if now.saturating_sub(watch.moved) >= BEAT_EVERY {
            // A beat that fails has lost the turn.
            drop(lease.beat(&self.objects));
            (watch.beats, watch.moved) = (lease.beats(), now);
        }
        !lease.is_lost()
    }

    /// Stops writing; whoever waits for a commit is told so.
    pub(super) fn step_down(&self, writer: &Writer) {
        writer.poison();
        // What moved the head is shown here before anything else is taken in.
        writer.wait_for_leader();
        self.objects.set_writer(false);
        *self.writer.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.end_turn_of(writer);
    }

    /// Ends the turn to write, if this process has it.
    pub(crate) fn end_turn(&self) {
        if let Some(writer) = self.writer() {
            self.end_turn_of(&writer);
        }
    }

    fn end_turn_of(&self, writer: &Writer) {
        if let Some(lease) = writer.lease().filter(|lease| !lease.is_lost()) {
            // If it fails, others wait for some seconds.
            drop(lease.release(&self.objects));
        }
    }
}
