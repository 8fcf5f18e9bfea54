//! A body that notices how the call ended.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tracing::Span;

use super::{Call, code::code_of};

/// What the code is of a call that nobody waited for.
const CANCELLED: &str = "CANCELLED";

/// A body, and the call that it ends.
#[derive(Debug)]
pub(super) struct Ending {
    body: Body,
    /// Taken when the call ended.
    call: Option<Call>,
}

impl Ending {
    pub(super) fn new(body: Body, call: Call) -> Self {
        Self { body, call: Some(call) }
    }

    fn end(&mut self, code: &'static str) {
        if let Some(call) = self.call.take() {
            call.ended(code);
        }
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let span = this.call.as_ref().map_or_else(Span::none, |call| call.span.clone());
        // What a handler logs while its answer is read belongs to the call too.
        let frame = ready!(span.in_scope(|| Pin::new(&mut this.body).poll_frame(context)));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.end(code_of(trailers).unwrap_or("UNKNOWN"));
                }
            }
            Some(Err(_)) | None => this.end("UNKNOWN"),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end(CANCELLED);
    }
}
