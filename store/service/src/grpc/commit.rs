//! `CommitService`.

use std::sync::Arc;

use bytes::Bytes;
use griptrace_core::id::NodeId;
use griptrace_proto::v1::{self, commit_service_server::CommitService};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt as _;
use tracing::Instrument as _;

use super::nodes::digest;
use crate::{
    access::{Caller, Role},
    call::{Answers, Call, Maker, answer},
    committing::records,
    scope::check_scope,
    sequencing::commit,
    shared::Shared,
    status,
};

/// Receipts that may wait for the reader of a stream.
const RECEIPTS_AHEAD: usize = 4;

#[derive(Debug)]
pub(crate) struct Handlers(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl CommitService for Handlers {
    async fn commit(&self, request: Request<v1::CommitRequest>) -> Result<Response<v1::CommitResponse>, Status> {
        let call = Call::of(&request, Role::Commit, &self.0.limits)?;
        let receipt = commit(&self.0, &call, request.into_inner()).await?;
        Ok(Response::new(v1::CommitResponse { receipt: Some(receipt) }))
    }

    type CommitStreamStream = Answers<v1::CommitStreamResponse>;

    async fn commit_stream(
        &self,
        request: Request<Streaming<v1::CommitRequest>>,
    ) -> Result<Response<Self::CommitStreamStream>, Status> {
        // A bulk load goes on for as long as commits come.
        let call = Call::of(&request, Role::Commit, &self.0.limits)?.without_deadline(request.metadata());
        let place = self.0.admission.ask(&call.caller.name).await?;
        let (maker, answers) = answer(RECEIPTS_AHEAD);
        let shared = Arc::clone(&self.0);
        let taking = async move {
            let _place = place;
            take_all(&shared, &call, request.into_inner(), maker).await;
        };
        tokio::spawn(taking.in_current_span());
        Ok(Response::new(answers))
    }

    async fn find_recorded(
        &self,
        request: Request<v1::FindRecordedRequest>,
    ) -> Result<Response<v1::FindRecordedResponse>, Status> {
        let call = Call::of(&request, Role::Commit, &self.0.limits)?;
        let place = self.0.admission.ask(&call.caller.name).await?;
        let (shared, caller) = (Arc::clone(&self.0), Arc::clone(&call.caller));
        let unit = request.into_inner().unit;
        let (found, _place) = call.work(place, move || find(&shared, &caller, &unit)).await?;
        let ids = found.iter().map(|id| digest(id.digest())).collect();
        Ok(Response::new(v1::FindRecordedResponse { ids }))
    }
}

/// Takes the commits of a stream, one after the other.
async fn take_all(
    shared: &Arc<Shared>,
    call: &Call,
    mut commits: Streaming<v1::CommitRequest>,
    maker: Maker<v1::CommitStreamResponse>,
) {
    let mut closing = shared.closing.clone();
    let idle_max = shared.limits.call_max();
    for sequence in 0.. {
        // Nothing new is begun while closing: what was acknowledged is, and the rest can be sent again.
        let next = tokio::select! {
            next = call.in_time(timeout(idle_max, commits.next())) => next.and_then(|next| next.map_err(|_| idle())),
            _ = closing.wait_for(|closing| *closing) => Err(closed()),
            () = maker.closed() => return,
        };
        let message = match next {
            Ok(Some(Ok(request))) => {
                let outcome = match commit(shared, call, request).await {
                    Ok(receipt) => v1::commit_stream_response::Outcome::Receipt(receipt),
                    Err(status) => v1::commit_stream_response::Outcome::Refused(refusal(&status)),
                };
                Ok(v1::CommitStreamResponse { sequence, outcome: Some(outcome) })
            }
            Ok(None) => return maker.finish(),
            Ok(Some(Err(status))) | Err(status) => Err(status),
        };
        let is_last = message.is_err();
        if !call.send(&maker, message).await || is_last {
            return;
        }
    }
}

fn idle() -> Status {
    status::status(Code::DeadlineExceeded, "IDLE", "no commit came for too long; what has a receipt is in the log")
}

fn closed() -> Status {
    status::status(Code::Unavailable, "CLOSING", "the service is closing; what has no receipt is to be sent again")
}

/// Writes a status as an answer within a stream.
fn refusal(status: &Status) -> v1::CommitRefusal {
    let details = status.get_error_details();
    let (info, retry) = (details.error_info(), details.retry_info().and_then(|info| info.retry_delay));
    let node = info.and_then(|info| NodeId::from_hex(info.metadata.get("node")?));
    v1::CommitRefusal {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        reason: info.map_or_else(String::new, |info| info.reason.clone()),
        node: node.map_or_else(Bytes::new, |id| digest(id.digest())),
        retry_after_ms: retry.map_or(0, |delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn find(shared: &Shared, caller: &Caller, unit: &[Bytes]) -> Result<Vec<NodeId>, Status> {
    let unit = records("unit", unit)?;
    // Whoever knows all of a unit learns only that it is there; but not outside of its own names.
    check_scope(&shared.store, caller, &unit)?;
    Ok(shared.store.find_recorded(&unit).map_err(status::read)?.unwrap_or_default())
}
