//! What became of the requests of one call.
//!
//! `object_store` tells of a failed request its status, or a text. What a sentence for people needs stood in the answer: so
//! [`wire`](crate::wire) leaves it here.

use core::{any::Any, future::Future, panic::AssertUnwindSafe};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use futures_util::FutureExt as _;
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
            // What broke is used by nobody any more.
            let result = AssertUnwindSafe(CALL.scope(Arc::clone(&call), work)).catch_unwind().await;
            let failure = call.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Who asked waits until it is told.
            tell.send(match result {
                Ok(Ok(done)) => Ok(Ok(done)),
                Ok(Err(error)) => Ok(Err((error, failure))),
                Err(panic) => Err(panic),
            })
            .ok();
        });
        told.recv().map_err(|_| gone())?.map_err(|panic| {
            let why = said(&*panic);
            io::Error::other(format!("the work for the bucket broke, which is a fault of this program: {why}"))
        })
    }
}

/// Returns the message of a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why")
}

/// Tells whether this thread works for a call to a bucket. A panic there is told by the call, as its error: a program that says
/// so in its panic hook need not print it.
pub fn is_within_a_call() -> bool {
    CALL.try_with(|_| ()).is_ok()
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Dropped within another runtime, one that waits for its threads would panic.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
