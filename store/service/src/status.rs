//! What a client is told when something does not work: a code, a sentence, and `google.rpc` details with a
//! stable reason. What only the operator may know goes into the log, under the request's id.

use core::{fmt, time::Duration};
use std::collections::HashMap;

use griptrace_core::id::NodeId;
use griptrace_store::{CommitError, ProveError, ReadError, Refusal, StorageError, record::RecordError};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::access::{Caller, KeyRefusal, Role};

/// The domain of our reasons.
pub(crate) const DOMAIN: &str = "griptrace";

/// The reason of what the store could not read or write.
const STORE_FAILED: &str = "STORE_FAILED";

/// The reason of a server that hands in commits for others and may not.
pub(crate) const FORWARD_REFUSED: &str = "FORWARD_REFUSED";

/// When it is worth trying again where nobody can tell.
const SOON: Duration = Duration::from_millis(500);

/// Makes a status with a stable reason.
pub(crate) fn status(code: Code, reason: &str, text: impl fmt::Display) -> Status {
    about(code, reason, text, HashMap::new())
}

fn about(code: Code, reason: &str, text: impl fmt::Display, what: HashMap<String, String>) -> Status {
    Status::with_error_details(code, text.to_string(), ErrorDetails::with_error_info(reason, DOMAIN, what))
}

/// Makes the status of a field that is wrong.
pub(crate) fn bad_field(field: &str, reason: &str, text: impl fmt::Display) -> Status {
    let text = text.to_string();
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.add_bad_request_violation(field, &text);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {text}"), details)
}

/// Makes the status of a room that is full.
pub(crate) fn exhausted(what: &str, retry: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info("BUSY", DOMAIN, HashMap::new());
    details.set_retry_info(Some(retry)).add_quota_failure_violation(what, "the limit is reached");
    let text = format!("too many {what}; try again in {} ms", retry.as_millis());
    Status::with_error_details(Code::ResourceExhausted, text, details)
}

/// Makes the status of what did not work, and may when it is tried again a little later.
pub(crate) fn soon(code: Code, reason: &str, text: impl fmt::Display) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_retry_info(Some(SOON));
    Status::with_error_details(code, text.to_string(), details)
}

/// Makes the status of a commit at a server that does not write, with the address of the one that does, if that is known.
pub(crate) fn not_writer(writer: &str) -> Status {
    if writer.is_empty() {
        return soon(
            Code::Unavailable,
            "NO_WRITER",
            "no server writes to the log just now; sending this again is safe",
        );
    }
    let what = HashMap::from([("writer".to_owned(), writer.to_owned())]);
    let text = format!("this server does not write to the log; {writer} does, and takes commits");
    let mut details = ErrorDetails::with_error_info("NOT_WRITER", DOMAIN, what);
    details.set_retry_info(Some(SOON));
    Status::with_error_details(Code::Unavailable, text, details)
}

/// Makes the status of what can't be done at a server whose bucket does not answer.
pub(crate) fn silent() -> Status {
    let text = "the bucket has not answered for some seconds; sending this again is safe, best to another server";
    soon(Code::Unavailable, "BUCKET_SILENT", text)
}

/// Makes the status of a call at a server that has not yet held the bucket's snapshot against the log.
pub(crate) fn unchecked() -> Status {
    let text = "the bucket's snapshot is being held against the log, and nothing is answered before; sending this again is safe, best to another server";
    soon(Code::Unavailable, "SNAPSHOT_UNCHECKED", text)
}

/// Makes the status of a question at a server that has not followed the log far enough, with both sizes.
pub(crate) fn behind(size: u64, least: u64, is_newest: bool) -> Status {
    let what = [("size", size), ("min_size", least)].map(|(key, value)| (key.to_owned(), value.to_string()));
    let (code, reason) = if is_newest { (Code::OutOfRange, "BEYOND_LOG") } else { (Code::Unavailable, "BEHIND") };
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::from(what));
    if !is_newest {
        details.set_retry_info(Some(SOON));
    }
    let has = if is_newest { "the log has" } else { "this server has followed the log to" };
    Status::with_error_details(code, format!("{has} {size} entries, and {least} are asked for at least"), details)
}

/// Makes the status of a server that hands in commits for others and may not.
pub(crate) fn forward_refused(text: impl fmt::Display) -> Status {
    status(Code::PermissionDenied, FORWARD_REFUSED, text)
}

/// Makes the status of a role that is missing.
pub(crate) fn role_missing(caller: &Caller, role: Role) -> Status {
    let text = format!("the client {} does not have the role {role}", caller.name);
    status(Code::PermissionDenied, "ROLE_MISSING", text)
}

/// Makes the status of a name outside of what a client is held to.
pub(crate) fn out_of_scope(caller: &Caller, what: &str) -> Status {
    let text = format!("the client {} is held to {:?}, and {what} is not among them", caller.name, caller.prefixes);
    status(Code::PermissionDenied, "OUT_OF_SCOPE", text)
}

/// Makes the status of a key that may not commit.
pub(crate) fn key_refused(error: KeyRefusal) -> Status {
    let reason = match &error {
        KeyRefusal::Unknown { .. } => "KEY_UNKNOWN",
        KeyRefusal::NotTheirs { .. } => "KEY_OF_ANOTHER_CLIENT",
        KeyRefusal::Retired { .. } => "KEY_OUT_OF_DATE",
    };
    status(Code::PermissionDenied, reason, error)
}

/// Makes the status of a time limit that was reached.
pub(crate) fn late() -> Status {
    status(Code::DeadlineExceeded, "DEADLINE", "the deadline passed before the answer was complete")
}

/// Makes the status of an answer that nobody read for too long.
pub(crate) fn stalled(patience: Duration) -> Status {
    let text = format!("the answer is not whole: nobody read on for {} s", patience.as_secs());
    status(Code::Aborted, "STALLED", text)
}

/// Makes the status of work that ended without an answer.
pub(crate) fn broken(error: impl fmt::Display) -> Status {
    tracing::error!(%error, "a call ended without an answer");
    status(Code::Internal, "INTERNAL", "the call failed; the operator's log says why, under this request's id")
}

/// Makes the status of a disk or of data that failed. Where they lie is not the client's business.
#[expect(clippy::needless_pass_by_value, reason = "handed over by map_err")]
pub(crate) fn storage(error: StorageError) -> Status {
    tracing::error!(error = ?error, "the store failed: {error}");
    match error {
        StorageError::Corrupt { .. } => status(
            Code::DataLoss,
            "STORE_DAMAGED",
            "the store is damaged where this is; the operator's log says where, under this request's id",
        ),
        // `Io`, and what a later version adds.
        StorageError::Io { .. } | _ => status(
            Code::Unavailable,
            STORE_FAILED,
            "the store could not read or write; the operator's log says why, under this request's id",
        ),
    }
}

/// Tells whether a status says that the store could not read or write.
pub(crate) fn is_store_failed(status: &Status) -> bool {
    status.get_error_details().error_info().is_some_and(|info| info.reason == STORE_FAILED)
}

/// Makes the status of a record that can't be read.
pub(crate) fn record(field: &str, error: RecordError) -> Status {
    bad_field(field, "RECORD_MALFORMED", error)
}

/// Makes the status of a question that was not answered.
pub(crate) fn read(error: ReadError) -> Status {
    match error {
        ReadError::NoNode { .. } => status(Code::NotFound, "NO_NODE", error),
        ReadError::Beyond { .. } => status(Code::OutOfRange, "BEYOND_LOG", error),
        ReadError::NoCheckpoint { .. } | ReadError::Cosignature { .. } => {
            status(Code::FailedPrecondition, "NO_CHECKPOINT", error)
        }
        ReadError::Prefix { .. } => bad_field("hex_prefix", "PREFIX_MALFORMED", error),
        ReadError::Record(error) => record("unit", error),
        ReadError::Storage(error) => storage(error),
        other => broken(other),
    }
}

/// Makes the status of a bundle that was not made.
pub(crate) fn prove(error: ProveError) -> Status {
    match error {
        ProveError::NoNode { .. } => status(Code::NotFound, "NO_NODE", error),
        ProveError::RootKind { .. } => bad_field("id", "NOT_SHIPPABLE", error),
        ProveError::NoCheckpoint { .. } => status(Code::FailedPrecondition, "NO_CHECKPOINT", error),
        ProveError::Limit { .. } => status(Code::FailedPrecondition, "BUNDLE_TOO_LARGE", error),
        ProveError::Apart { .. } | ProveError::NotHere { .. } => {
            status(Code::FailedPrecondition, "SUPPLIER_EVIDENCE", error)
        }
        ProveError::Storage(error) => storage(error),
        // What a later version adds.
        _ => broken(error),
    }
}

/// Makes the status of a commit that was refused; `place` finds a node's place in the request.
pub(crate) fn commit(error: CommitError, place: impl Fn(&NodeId) -> Option<usize>) -> Status {
    match error {
        CommitError::Refused { id, why } => refused(&id, place(&id), &why),
        CommitError::Commit(_) | CommitError::EntryTooLarge { .. } => {
            bad_field("entry", "COMMIT_MALFORMED", chain(&error))
        }
        CommitError::Home { .. } => bad_field("entry", "OTHER_LOG", error),
        CommitError::Ahead { .. } => bad_field("entry", "AHEAD_OF_CLOCK", error),
        CommitError::Nodes { .. } => bad_field("nodes", "NOT_WHAT_WAS_SIGNED", error),
        CommitError::Statuses(_) => bad_field("entry", "STATUS_LINES", error),
        CommitError::KeyRetired { .. } => status(Code::FailedPrecondition, "KEY_RETIRED", error),
        CommitError::Full { .. } => status(Code::ResourceExhausted, "LOG_FULL", error),
        CommitError::ReadOnly => status(Code::FailedPrecondition, "READ_ONLY", error),
        CommitError::Poisoned => status(
            Code::Unavailable,
            "STORE_CLOSED",
            "an earlier write failed, and the store takes nothing until it is opened again; sending this again is safe",
        ),
        CommitError::Stopped => not_writer(""),
        CommitError::Storage(error) => storage(error),
        CommitError::RootsDiffer { .. } | _ => broken(error),
    }
}

fn refused(id: &NodeId, place: Option<usize>, why: &Refusal) -> Status {
    let field = place.map_or_else(|| "nodes".to_owned(), |place| format!("nodes[{place}]"));
    let text = format!("node {id} is refused: {}", chain(why));
    let (code, reason) = match why {
        Refusal::Recorded => (Code::AlreadyExists, "RECORDED"),
        Refusal::EdgeMissing { .. } => (Code::FailedPrecondition, "EDGE_MISSING"),
        Refusal::OutputApart { .. } => (Code::FailedPrecondition, "OUTPUT_APART"),
        Refusal::TooManyStatuses { .. } => (Code::FailedPrecondition, "TOO_MANY_STATUSES"),
        Refusal::Decode { .. }
        | Refusal::Statement { .. }
        | Refusal::Home { .. }
        | Refusal::Details { .. }
        | Refusal::Manifest { .. }
        | Refusal::Collision { .. }
        | Refusal::Subjects { .. }
        | Refusal::EdgeKind { .. }
        | _ => (Code::InvalidArgument, "NODE_REFUSED"),
    };
    let what = HashMap::from([("node".to_owned(), id.to_string())]);
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, what);
    if code == Code::InvalidArgument {
        details.add_bad_request_violation(&field, &text);
    }
    Status::with_error_details(code, text, details)
}

/// Returns an error with what caused it, in one line.
pub(crate) fn chain(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
