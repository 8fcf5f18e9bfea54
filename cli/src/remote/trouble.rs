//! What a server refused, in words.

use core::{error::Error, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::error::CommandError;

/// Says what a server answered in place of an answer: who, the code in words, its message, and what may help.
pub(crate) fn trouble(url: &str, status: &Status) -> CommandError {
    let mut error = match cause(status) {
        Some(cause) => {
            let hint = way_hint(&cause);
            let error = CommandError::because(format!("the server {url} can't be reached"), cause);
            hint.into_iter().fold(error, CommandError::with_hint)
        }
        None => {
            CommandError::failed(format!("the server {url} answers: {}: {}", words(status.code()), status.message()))
        }
    };
    let details = status.get_error_details();
    for field in details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default() {
        let text = format!("{}: {}", field.field, field.description);
        error = if text == status.message() { error } else { error.with_hint(text) };
    }
    for broken in details.precondition_failure().map(|broken| broken.violations.as_slice()).unwrap_or_default() {
        error = error.with_hint(format!("{}: {}", broken.subject, broken.description));
    }
    if let Some(info) = details.error_info() {
        error = info.metadata.get("hint").into_iter().fold(error, CommandError::with_hint);
        error = error.with_hint(format!("the server's reason is {}", info.reason));
    }
    for link in details.help().map(|help| help.links.as_slice()).unwrap_or_default() {
        error = error.with_hint(link.description.clone());
    }
    if let Some(pause) = retry_after(status) {
        error = error.with_hint(format!("the server asks to be tried again in {} s", pause.as_secs_f64()));
    }
    if let Some(hint) = own_hint(status.code()) {
        error = error.with_hint(hint);
    }
    match status.metadata().get("x-request-id").and_then(|id| id.to_str().ok()) {
        Some(id) => error.with_hint(format!("the operator finds the call by its request id {id}")),
        None => error,
    }
}

/// Returns how long the server wants to be left alone.
pub(crate) fn retry_after(status: &Status) -> Option<Duration> {
    status.get_error_details().retry_info().and_then(|info| info.retry_delay)
}

/// Tells whether no server said this: the way to it is broken, or it never answered.
pub(crate) fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) || status.source().is_some()
}

/// Tells whether the server, or whatever stands before it, takes connections and says nothing.
pub(crate) fn is_silence(status: &Status) -> bool {
    cause(status).is_some_and(|cause| SILENCES.iter().any(|words| cause.contains(words)))
}

/// The words of a connection that showed no life in time, and of one that was not made in time.
const SILENCES: [&str; 2] = ["keep-alive timed out", "deadline has elapsed"];

/// Returns what kept a call from its server, the innermost cause last.
fn cause(status: &Status) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let mut cause = status.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    (!words.is_empty()).then(|| words.join(": "))
}

/// Returns what may help where the way to a server is broken, by the words of what broke.
fn way_hint(cause: &str) -> Option<&'static str> {
    const SILENT: &str = "it takes the connection and says nothing: the server may be stopped, or too busy for seconds";
    const HINTS: [(&str, &str); 7] = [
        (SILENCES[0], SILENT),
        (SILENCES[1], SILENT),
        ("UnknownIssuer", "--ca FILE or GRIPTRACE_CA name the authority that signed the server's certificate"),
        ("InvalidContentType", "the server speaks without TLS there: http:// is meant"),
        ("frame with invalid size", "the server speaks TLS there: https:// is meant"),
        ("Connection refused", "nothing listens there: is the server running, and is the address the right one?"),
        ("Expired", "the server's certificate has ended: its operator renews it"),
    ];
    HINTS.iter().find(|(words, _)| cause.contains(words)).map(|(_, hint)| *hint)
}

fn own_hint(code: Code) -> Option<&'static str> {
    const HINTS: [(Code, &str); 2] = [
        (
            Code::Unauthenticated,
            "--token-file or GRIPTRACE_TOKEN give a token, --client-cert a certificate; the operator's log says what is \
             wrong with one that was given",
        ),
        (Code::Unimplemented, "the server is another program, or older than this one"),
    ];
    HINTS.iter().find(|(of, _)| *of == code).map(|(_, hint)| *hint)
}

/// Returns a code in words.
const fn words(code: Code) -> &'static str {
    match code {
        Code::Ok => "no error",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown error",
        Code::InvalidArgument => "the request is malformed",
        Code::DeadlineExceeded => "no answer in time",
        Code::NotFound => "not found",
        Code::AlreadyExists => "there already",
        Code::PermissionDenied => "permission denied",
        Code::ResourceExhausted => "too much at once",
        Code::FailedPrecondition => "not as things stand",
        Code::Aborted => "aborted",
        Code::OutOfRange => "beyond what there is",
        Code::Unimplemented => "not implemented",
        Code::Internal => "a fault of the server",
        Code::Unavailable => "not available",
        Code::DataLoss => "the server's data is damaged",
        Code::Unauthenticated => "who calls is not known",
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_names_server_code_message_hints_and_request() {
        let mut details = ErrorDetails::with_error_info("KEY_UNKNOWN", "griptrace", [("hint".into(), "ask".into())]);
        details.add_bad_request_violation("entry", "is malformed");
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let mut status = Status::with_error_details(Code::PermissionDenied, "no such key", details);
        status.metadata_mut().insert("x-request-id", "abc".parse().unwrap());
        let expected = [
            "error: the server https://log.example answers: permission denied: no such key",
            "",
            "hint: entry: is malformed",
            "hint: ask",
            "hint: the server's reason is KEY_UNKNOWN",
            "hint: the server asks to be tried again in 1.5 s",
            "hint: the operator finds the call by its request id abc",
        ];
        assert_eq!(trouble("https://log.example", &status).lines(), expected);
    }
}
