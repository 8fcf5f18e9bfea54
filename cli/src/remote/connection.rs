//! The way to a server: TLS, who calls, a deadline on every call, and calls that wait for their answer.

use core::{
    fmt,
    future::Future,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{fs, path::Path, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use hyper_util::client::legacy::connect::HttpConnector;
use prost::Message;
use tokio::{runtime::Runtime, time};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    settings::Target,
    trouble::{is_lost, is_silence, retry_after, trouble},
};
use crate::{error::CommandError, output::Output};

/// What the generated clients call through.
pub(crate) type Caller = InterceptedService<Channel, Bearer>;

/// How long one question may take, a bundle of many nodes too.
const QUESTION_MAX: Duration = Duration::from_secs(600);
/// After which silence, while a call runs, the server has to show that it is there; and how long it has for that.
const ALIVE_AFTER: Duration = Duration::from_secs(4);
const ALIVE_WITHIN: Duration = Duration::from_secs(6);
/// After which time people are told what is waited for.
const TELL_AFTER: Duration = Duration::from_secs(5);
/// How often a server that has too much to do is waited for.
const BUSY_MAX: u32 = 100;
/// For how long at a time, whatever it asks for.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Bytes of the largest answer of many messages.
const ANSWER_BYTES_MAX: u64 = 4 << 30;
/// Bytes that a message takes at least, however empty it is.
const MESSAGE_BYTES_MIN: u64 = 64;
/// How long connecting may take, TLS and all.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Pauses before a question is asked again: while files were hashed the server may have closed the connection.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// Bytes of the largest message that is taken: a record holds up to a million files.
const MESSAGE_BYTES_MAX: usize = 512 << 20;

/// A server, and the thread's own runtime to call it with.
pub(crate) struct Connection {
    output: Output,
    url: String,
    runtime: Runtime,
    caller: Caller,
    least: Arc<AtomicU64>,
}

/// Says with every call who calls, and how much of the log has to be there where it is answered.
#[derive(Clone)]
pub(crate) struct Bearer {
    token: Option<MetadataValue<Ascii>>,
    least: Arc<AtomicU64>,
}

/// The header with the number of entries that the log has to have at least: one of several servers may have followed it less far
/// than the one that was asked before.
const MIN_SIZE: &str = "griptrace-min-size";

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        let least = self.least.load(Ordering::Relaxed);
        if least > 0 {
            request.metadata_mut().insert(MIN_SIZE, least.into());
        }
        Ok(request)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes the way to a server; the first call connects.
    pub(crate) fn new(output: &Output, target: &Target) -> Result<Self, CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| CommandError::because("the system gives no runtime for the network", e))?;
        let url = target.url.clone();
        let wrong = |e: tonic::transport::Error| {
            let cause = core::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            CommandError::because(format!("cannot call the server {url}"), cause)
        };
        let mut endpoint = Endpoint::from_shared(url.clone()).map_err(wrong)?;
        endpoint = endpoint.connect_timeout(CONNECT_MAX).tcp_nodelay(true);
        endpoint = endpoint.http2_keep_alive_interval(ALIVE_AFTER).keep_alive_timeout(ALIVE_WITHIN);
        if url.starts_with("https:") {
            endpoint = endpoint.tls_config(tls(target)?).map_err(wrong)?;
        }
        let channel = {
            let _inside = runtime.enter();
            // With one that is given, the time to connect goes for TLS too.
            let mut connector = HttpConnector::new();
            connector.enforce_http(false);
            connector.set_nodelay(true);
            endpoint.connect_with_connector_lazy(connector)
        };
        let least = Arc::<AtomicU64>::default();
        let caller = InterceptedService::new(channel, Bearer { token: bearer(target)?, least: Arc::clone(&least) });
        Ok(Self { output: output.clone(), url, runtime, caller, least })
    }

    /// From now on asks where the log has so many entries at least.
    pub(crate) fn ask_beyond(&self, size: u64) {
        self.least.store(size, Ordering::Relaxed);
    }

    /// Returns the server's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks a question; again where the way to the server broke, or it asks to be left alone for a while.
    pub(crate) fn ask<T, F: Future<Output = Result<T, Status>>>(
        &self,
        question: impl Fn(Caller) -> F,
    ) -> Result<T, CommandError> {
        self.ask_status(question).map_err(|status| trouble(&self.url, &status))
    }

    /// Asks a question, and returns the status where the server has no answer.
    pub(crate) fn ask_status<T, F: Future<Output = Result<T, Status>>>(
        &self,
        question: impl Fn(Caller) -> F,
    ) -> Result<T, Status> {
        let (mut pauses, mut busy) = (PAUSES.into_iter(), 0_u32);
        loop {
            let status = match self.call(QUESTION_MAX, question(self.caller.clone())) {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let is_late = status.code() == Code::DeadlineExceeded;
            let pause = match busy_for(&status, busy) {
                Some(pause) => Some(pause),
                // It was waited for long enough: once more, since a connection that was left alone may be dead.
                None if is_silence(&status) => pauses.by_ref().last(),
                None if is_lost(&status) && !is_late => pauses.next(),
                None => None,
            };
            busy = busy.saturating_add(1);
            self.pause(pause.ok_or(status)?);
        }
    }

    /// Makes one call, with a deadline over all of it. Where it takes long, people are told what is waited for.
    pub(crate) fn call<T>(&self, limit: Duration, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let late = |_| Err(Status::deadline_exceeded(format!("nothing came within {} s", limit.as_secs())));
        let waited = self.runtime.block_on(async {
            let mut call = pin!(time::timeout(limit, call));
            if let Ok(done) = time::timeout(TELL_AFTER, &mut call).await {
                return done;
            }
            self.output.talk(format_args!("still waiting for {}", self.url));
            call.await
        });
        waited.unwrap_or_else(late)
    }

    /// Returns what calls go through.
    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Waits.
    pub(crate) fn pause(&self, pause: Duration) {
        // A timer can be made inside of the runtime only.
        self.runtime.block_on(async { time::sleep(pause).await });
    }
}

/// Returns how long a server that has too much to do wants to be left alone, unless it was waited for often.
pub(crate) fn busy_for(status: &Status, times: u32) -> Option<Duration> {
    let is_busy = status.code() == Code::ResourceExhausted && times < BUSY_MAX;
    retry_after(status).filter(|_| is_busy).map(|pause| pause.min(BUSY_PAUSE_MAX))
}

/// Makes a request that tells the server how long anybody waits for it.
pub(crate) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(QUESTION_MAX);
    request
}

/// Reads a whole stream.
pub(crate) async fn drain<T: Message>(response: Response<Streaming<T>>) -> Result<Vec<T>, Status> {
    gather(response.into_inner()).await
}

/// Gathers messages, which may go on without end.
async fn gather<T: Message>(mut messages: impl Stream<Item = Result<T, Status>> + Unpin) -> Result<Vec<T>, Status> {
    let (mut all, mut bytes) = (Vec::new(), 0_u64);
    while let Some(message) = messages.next().await.transpose()? {
        bytes = bytes.saturating_add(u64::try_from(message.encoded_len()).unwrap_or(u64::MAX).max(MESSAGE_BYTES_MIN));
        if bytes > ANSWER_BYTES_MAX {
            let text = format!("an answer has {ANSWER_BYTES_MAX} bytes at most here, and more came");
            return Err(Status::out_of_range(text));
        }
        all.push(message);
    }
    Ok(all)
}

/// Sets up a generated client, whose answers may be large.
macro_rules! client {
    ($client:ident, $caller:expr) => {
        $client::new($caller).max_decoding_message_size($crate::remote::connection::message_bytes_max())
    };
}
pub(crate) use client;

/// Returns how large a message may be.
pub(crate) const fn message_bytes_max() -> usize {
    MESSAGE_BYTES_MAX
}

fn tls(target: &Target) -> Result<ClientTlsConfig, CommandError> {
    let config = match &target.ca {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    match (&target.client_cert, &target.client_key) {
        (Some(cert), Some(key)) => Ok(config.identity(Identity::from_pem(pem(cert)?, pem(key)?))),
        (None, None) => Ok(config),
        (Some(_), None) => Err(CommandError::failed("a client certificate needs --client-key too")),
        (None, Some(_)) => Err(CommandError::failed("a client key needs --client-cert too")),
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, CommandError> {
    fs::read(path).map_err(|e| CommandError::file("read", path, e))
}

fn bearer(target: &Target) -> Result<Option<MetadataValue<Ascii>>, CommandError> {
    let Some(token) = &target.token else { return Ok(None) };
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.as_str())
        .parse()
        .map_err(|_| CommandError::failed("the token has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use griptrace_proto::v1::ListEntriesResponse;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    /// A client waited for as long as a server said, which may be for ever.
    #[test]
    fn nobody_is_waited_for_longer_than_a_while() {
        let busy = |pause| {
            let details = ErrorDetails::with_retry_info(Some(pause));
            busy_for(&Status::with_error_details(Code::ResourceExhausted, "busy", details), 0)
        };
        assert_eq!(busy(Duration::from_millis(20)), Some(Duration::from_millis(20)));
        assert_eq!(busy(Duration::from_secs(1 << 40)), Some(BUSY_PAUSE_MAX));
    }

    /// A client gathered whatever came, until its memory was full.
    #[test]
    fn an_answer_without_end_is_given_up() {
        let large = ListEntriesResponse { begin: 0, entries: vec![Bytes::from(vec![0; 1 << 20]); 512] };
        let endless = stream::repeat_with(|| Ok(large.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let refused = runtime.block_on(gather(endless)).unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange);
        let whole = runtime.block_on(gather(stream::iter([Ok(large.clone()), Ok(large)]))).unwrap();
        assert_eq!(whole.len(), 2);
    }
}
