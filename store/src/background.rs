//! What a store does beside its callers: it publishes what was signed, writes snapshots, and in a bucket is tended.
//!
//! Each of these has a thread, and none of them outlives the last handle of the store: whoever drops that one waits for them,
//! and then closes the store itself. So a program that ends leaves nothing undone, and the next writer need not wait for it.

use core::{ops::Deref, time::Duration};
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crate::store::Inner;

/// What the handles of a store share. When the last of them goes, the threads are ended, and the store is closed.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Arc<Inner>,
    /// They publish, and write snapshots: each does one thing, and ends.
    pub(crate) errands: Crew,
    /// They tend a store in a bucket, and go on until they are ended.
    pub(crate) tending: Crew,
}

impl Shared {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), errands: Crew::default(), tending: Crew::default() }
    }

    /// Returns what threads may hold on to: not what keeps the store open.
    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }
}

impl Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // In this order: the turn is kept until what was begun is done.
        self.errands.end();
        self.tending.end();
        self.inner.close();
    }
}

/// Threads that are ended together.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    end: Arc<End>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Crew {
    /// Has something done by a thread, which looks now and then whether it is to end. `false` if no thread can be had.
    pub(crate) fn send(&self, name: &str, work: impl FnOnce(&End) + Send + 'static) -> bool {
        let end = Arc::clone(&self.end);
        let Ok(thread) = thread::Builder::new().name(name.to_owned()).spawn(move || work(&end)) else { return false };
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        true
    }

    /// Ends all of them, and waits for it.
    fn end(&self) {
        self.end.come();
        self.wait();
    }

    /// Waits until each has done its work.
    pub(crate) fn wait(&self) {
        let threads = core::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // One that panicked has done no harm: what it was to do is done again, or at the end.
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Tells threads that they are to end.
#[derive(Debug, Default)]
pub(crate) struct End {
    has_come: Mutex<bool>,
    comes: Condvar,
}

impl End {
    fn come(&self) {
        *self.has_come.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.comes.notify_all();
    }

    pub(crate) fn has_come(&self) -> bool {
        *self.has_come.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a time, or until the end; tells whether that has come.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let has_come = self.has_come.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.comes.wait_timeout_while(has_come, time, |has_come| !*has_come);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
