//! One call: who calls, until when, and how its answer is made without holding anybody else up.

use core::{future::Future, pin::Pin, time::Duration};
use std::sync::{Arc, OnceLock};

use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{self as stream, Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};
use tracing::Instrument as _;

use crate::{
    access::{Caller, Role},
    layer::{Begun, Forwarded, MinSize, REQUEST_ID, RequestId},
    limits::Limits,
    standing::Silence,
    status::{broken, is_store_failed, late, role_missing, silent, stalled},
};

/// The stream of an answer.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Who calls, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) caller: Arc<Caller>,
    pub(crate) id: String,
    /// Whether another server hands this in for the caller.
    pub(crate) is_forwarded: bool,
    /// How many entries the log has to have at least where a commit is taken.
    pub(crate) min_size: u64,
    deadline: Instant,
    stalled_max: Duration,
    /// Tells whether the bucket answers.
    silence: Option<Silence>,
}

/// How long work may take while the bucket does not answer: what needs nothing of it is done by then.
const WITHOUT_BUCKET_MAX: Duration = Duration::from_secs(1);
/// Messages that are made before the reader has taken the last one.
const AHEAD: usize = 2;
/// How much earlier than the client's our deadline is: at that itself the transport cuts the call off without a reason.
const MARGIN: Duration = Duration::from_millis(2);

/// The making end of an answer. If it is dropped without having said that the answer is whole, the reader is told
/// that it is not.
#[derive(Debug)]
pub(crate) struct Maker<T> {
    messages: mpsc::Sender<Result<T, Status>>,
    end: Arc<OnceLock<End>>,
}

/// How an answer ended.
#[derive(Debug)]
enum End {
    Whole,
    GivenUp(Status),
}

/// Returns both ends of an answer; so many messages may wait for the reader.
pub(crate) fn answer<T: Send + 'static>(ahead: usize) -> (Maker<T>, Answers<T>) {
    let (messages, receiver) = mpsc::channel(ahead);
    let end = Arc::<OnceLock<End>>::default();
    let last = {
        let end = Arc::clone(&end);
        // Made when all messages were taken: the maker is gone then.
        stream::iter(0..1).filter_map(move |_| match end.get() {
            Some(End::Whole) => None,
            Some(End::GivenUp(status)) => Some(Err(status.clone())),
            None => Some(Err(broken("an answer that nobody ended"))),
        })
    };
    (Maker { messages, end }, Box::pin(ReceiverStream::new(receiver).chain(last)))
}

impl<T> Maker<T> {
    /// Says that the answer is whole.
    pub(crate) fn finish(self) {
        // Nobody else ends it.
        self.end.set(End::Whole).unwrap_or_default();
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.messages.closed().await;
    }
}

impl Call {
    /// Takes a request's caller, who must have a role.
    pub(crate) fn of<T>(request: &Request<T>, role: Role, limits: &Limits) -> Result<Self, Status> {
        let extensions = request.extensions();
        let caller = extensions.get::<Arc<Caller>>().ok_or_else(|| broken("a call without a caller"))?;
        if !caller.may(role) {
            return Err(role_missing(caller, role));
        }
        let id = extensions.get::<RequestId>().map_or_else(String::new, |id| id.0.clone());
        let is_forwarded = extensions.get::<Forwarded>().is_some();
        let min_size = extensions.get::<MinSize>().map_or(0, |least| least.0);
        let begun = extensions.get::<Begun>().map_or_else(Instant::now, |begun| begun.0);
        let deadline = deadline(begun, timeout_of(request.metadata()), limits).ok_or_else(late)?;
        let (silence, stalled_max) = (extensions.get::<Silence>().cloned(), limits.stalled_max());
        Ok(Self { caller: Arc::clone(caller), id, is_forwarded, min_size, deadline, stalled_max, silence })
    }

    /// Returns until when one of the commits of this call may take, which itself may go on for ever.
    pub(crate) fn end_of_one(&self, limits: &Limits) -> Instant {
        deadline(Instant::now(), None, limits).map_or(self.deadline, |end| end.min(self.deadline))
    }

    /// Returns the same call without the service's own limit of time: only the client's counts.
    pub(crate) fn without_deadline(mut self, metadata: &MetadataMap) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        let time = timeout_of(metadata).unwrap_or(YEAR).min(YEAR);
        self.deadline = Instant::now().checked_add(time).unwrap_or(self.deadline);
        self
    }

    /// Does blocking work, until the deadline, or until it shows that it waits for a bucket that does not answer. `place` is held
    /// until the work has ended, though nobody may wait for it any more, and comes back with what it gave.
    pub(crate) async fn work<T: Send + 'static, P: Send + 'static>(
        &self,
        place: P,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, P), Status> {
        let done = self.in_time(blocking(move || work().map(|done| (done, place))));
        let Some(mut silence) = self.silence.clone() else { return done.await? };
        let is_over = async {
            silence.comes().await;
            tokio::time::sleep(WITHOUT_BUCKET_MAX).await;
        };
        let done = tokio::select! {
            done = done => done?,
            () = is_over => Err(silent()),
        };
        done.map_err(|status| self.unless_silent(status))
    }

    /// Returns why something failed: the bucket's silence, if that is known to be why.
    fn unless_silent(&self, status: Status) -> Status {
        let is_silent = self.silence.as_ref().is_some_and(Silence::is_now);
        if is_silent && is_store_failed(&status) { silent() } else { status }
    }

    /// Waits for something, until the deadline.
    pub(crate) async fn in_time<T>(&self, what: impl Future<Output = T>) -> Result<T, Status> {
        tokio::time::timeout_at(self.deadline, what).await.map_err(|_| late())
    }

    /// Makes an answer message by message: each in blocking work of its own, no further ahead than the
    /// reader follows, until the deadline. `place` is held as long as it is made.
    pub(crate) fn stream<T: Send + 'static>(
        &self,
        mut place: impl Send + 'static,
        mut next: impl FnMut() -> Result<Option<T>, Status> + Send + 'static,
    ) -> Answers<T> {
        let (maker, answers) = answer(AHEAD);
        let call = self.clone();
        let make = async move {
            loop {
                let made = call.work(place, move || Ok((next(), next))).await;
                let (message, again) = match made {
                    Ok(((Ok(Some(message)), again), held)) => (Ok(message), Some((again, held))),
                    Ok(((Ok(None), _), _)) => return maker.finish(),
                    Ok(((Err(status), _), _)) | Err(status) => (Err(call.unless_silent(status)), None),
                };
                let is_taken = call.send(&maker, message).await;
                match again {
                    Some(again) if is_taken => (next, place) = again,
                    Some(_) | None => return,
                }
            }
        };
        // What fails is looked for in the log under the request's id, which stands in the span.
        tokio::spawn(make.in_current_span());
        answers
    }

    /// Names the request in why an answer ended: its reader may have gone past the headers, where the id stands as well.
    fn named(&self, mut status: Status) -> Status {
        if let Ok(id) = self.id.parse::<MetadataValue<Ascii>>() {
            status.metadata_mut().insert(REQUEST_ID, id);
        }
        status
    }

    /// Hands a message to its reader; tells whether there still is one.
    pub(crate) async fn send<T>(&self, maker: &Maker<T>, message: Result<T, Status>) -> bool {
        let patience = Instant::now().checked_add(self.stalled_max).map_or(self.deadline, |end| end.min(self.deadline));
        let message = message.map_err(|status| self.named(status));
        let Ok(sent) = tokio::time::timeout_at(patience, maker.messages.send(message)).await else {
            let why = if patience == self.deadline { late() } else { stalled(self.stalled_max) };
            maker.end.set(End::GivenUp(self.named(why))).unwrap_or_default();
            return false;
        };
        sent.is_ok()
    }
}

/// Does blocking work on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(broken)?
}

fn timeout_of(metadata: &MetadataMap) -> Option<Duration> {
    timeout(metadata.get(TIMEOUT)?.to_str().ok()?)
}

/// Returns the deadline of a call, a little before the client's own; `None` if there is no such time.
pub(crate) fn deadline(begun: Instant, timeout: Option<Duration>, limits: &Limits) -> Option<Instant> {
    let time = timeout.map_or(Duration::MAX, |time| time.saturating_sub(MARGIN));
    begun.checked_add(time.min(limits.call_max()))
}

/// The header with the time that a client gives a call (the gRPC protocol over HTTP/2).
pub(crate) const TIMEOUT: &str = "grpc-timeout";

/// Reads the value of that header.
pub(crate) fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let time = match unit {
        "H" => Duration::from_secs(value.saturating_mul(3600)),
        "M" => Duration::from_secs(value.saturating_mul(60)),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    };
    Some(time)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Work that nobody waited for any more went on without a place, so that there was no bound to it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_place_is_held_until_its_work_has_ended() {
        let caller = Caller { name: "one".to_owned(), roles: Vec::new(), prefixes: Vec::new(), sees_details: true };
        let call = || Call {
            min_size: 0,
            caller: Arc::new(caller.clone()),
            id: String::new(),
            is_forwarded: false,
            deadline: Instant::now() + Duration::from_millis(20),
            stalled_max: Duration::from_secs(1),
            silence: None,
        };
        let place = Arc::new(());
        let (go_on, wait) = mpsc::channel::<()>();
        let late = call().work(Arc::clone(&place), move || wait.recv().map_err(broken)).await.unwrap_err();
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(Arc::strong_count(&place), 2, "the work goes on");
        go_on.send(()).unwrap();
        let (go_on_again, wait) = mpsc::channel::<()>();
        let mut answers = call().stream(Arc::clone(&place), move || wait.recv().map(|()| Some(())).map_err(broken));
        let late = tokio_stream::StreamExt::next(&mut answers).await.unwrap().unwrap_err();
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(Arc::strong_count(&place), 2, "the stream's work goes on, and the first one has ended");
        go_on_again.send(()).unwrap();
        while Arc::strong_count(&place) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whoever asked was sent to the operator's log with an id that nobody had told.
    #[tokio::test]
    async fn an_answer_that_fails_names_its_request() {
        let caller = Caller { name: "one".to_owned(), roles: Vec::new(), prefixes: Vec::new(), sees_details: true };
        let call = Call {
            caller: Arc::new(caller),
            id: "build-7".to_owned(),
            is_forwarded: false,
            deadline: Instant::now() + Duration::from_secs(60),
            stalled_max: Duration::from_secs(1),
            silence: None,
            min_size: 0,
        };
        let mut sent = 0;
        let mut answers = call.stream((), move || {
            sent += 1;
            if sent == 1 { Ok(Some(sent)) } else { Err(broken("a damaged entry")) }
        });
        assert_eq!(answers.next().await.unwrap().unwrap(), 1);
        let failed = answers.next().await.unwrap().unwrap_err();
        assert_eq!(failed.metadata().get(REQUEST_ID).unwrap(), "build-7");
    }

    #[test]
    fn a_timeout_is_read_as_the_protocol_writes_it() {
        let read = timeout;
        assert_eq!(read("5S"), Some(Duration::from_secs(5)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        for wrong in ["", "S", "5", "5x", "-5S", "123456789S", "5 S"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    /// An answer that was given up ended like one that was whole.
    #[tokio::test]
    async fn only_what_was_finished_looks_whole() {
        let (maker, mut answers) = answer(2);
        maker.messages.send(Ok(7)).await.unwrap();
        maker.finish();
        assert_eq!(answers.next().await.unwrap().unwrap(), 7);
        assert!(answers.next().await.is_none());
        let (maker, mut answers) = answer(2);
        maker.messages.send(Ok(7)).await.unwrap();
        drop(maker);
        assert_eq!(answers.next().await.unwrap().unwrap(), 7);
        assert_eq!(answers.next().await.unwrap().unwrap_err().code(), tonic::Code::Internal);
        assert!(answers.next().await.is_none());
    }
}
