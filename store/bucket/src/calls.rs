//! What became of the requests of one call.
//!
//! `object_store` tells of a failed request its status, or a text. What a sentence for people needs stood in the answer: so
//! [`wire`](crate::wire) leaves it here.

use core::future::Future;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use tokio::runtime::{Builder, Runtime};

tokio::task_local! {
    static CALL: Arc<Mutex<Option<Failure>>>;
}

/// Why a request did nothing, the last of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The service said no.
    Answer(Refusal),
    /// There was no answer.
    Silence { host: String, why: Silence },
}

/// What a service said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) host: String,
    pub(crate) status: u16,
    /// The service's own name of it, such as `NoSuchBucket`; empty if it gave none.
    pub(crate) code: String,
    pub(crate) message: String,
    /// Where the bucket is.
    pub(crate) region: Option<String>,
    /// The service's clock.
    pub(crate) time: Option<String>,
}

/// Why there was no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Silence {
    /// Nothing listens there.
    Closed,
    /// No such name.
    Nameless,
    /// Its certificate is not believed, or it speaks no TLS.
    Untrusted(String),
    /// Without TLS, and that was not allowed.
    Plain,
    /// Time ran out.
    Late,
    /// The connection broke.
    Broken(String),
}

/// Leaves word of a failure to the call that this request belongs to.
pub(crate) fn report(failure: Failure) {
    // A credential may be fetched for several calls at once, outside of any.
    CALL.try_with(|call| *call.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure)).ok();
}

/// Does asynchronous work for threads that wait.
#[derive(Debug)]
pub(crate) struct Waiter(Option<Runtime>);

/// A result, and the last failure on the way to it.
pub(crate) type Outcome<T> = Result<T, (object_store::Error, Option<Failure>)>;

impl Waiter {
    pub(crate) fn new() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("griptrace-bucket").enable_all();
        Ok(Self(Some(builder.build()?)))
    }

    /// Does the work and waits for it. The thread may be anybody's, a worker of another runtime too.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> io::Result<Outcome<T>> {
        let gone = || io::Error::other("the work for the bucket ended without a result");
        let runtime = self.0.as_ref().ok_or_else(gone)?;
        let (tell, told) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            let call = Arc::new(Mutex::new(None));
            let result = CALL.scope(Arc::clone(&call), work).await;
            let failure = call.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Who asked waits until it is told.
            tell.send(result.map_err(|error| (error, failure))).ok();
        });
        told.recv().map_err(|_| gone())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Dropped within another runtime, one that waits for its threads would panic.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
