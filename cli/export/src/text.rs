//! Names and times as the formats write them.

use core::fmt::Display;

use griptrace_core::{
    date::{DAY_SECONDS, Date},
    digest::Digest,
    value::Value,
};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

/// Returns the URN of something of a kind that a hash names. The namespace is ours, and registered nowhere.
pub(crate) fn urn(kind: &str, hash: impl Display) -> String {
    format!("urn:griptrace:{kind}:{hash}")
}

/// Returns a Unix time in seconds as RFC 3339 writes it.
pub(crate) fn timestamp(seconds: u64) -> String {
    let of_day = seconds % DAY_SECONDS;
    let (hours, minutes, rest) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{}T{hours:02}:{minutes:02}:{rest:02}Z", Date::from_unix(seconds))
}

/// Returns the SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// Returns a detail as JSON; bytes as hexadecimal digits.
pub(crate) fn json_value(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Int(number) => json!(number),
        Value::Bytes(_) => json!(value.to_string()),
        Value::Bool(value) => json!(value),
        Value::List(items) => Json::Array(items.iter().map(json_value).collect()),
        Value::Map(pairs) => Json::Object(pairs.iter().map(|(key, item)| (key.clone(), json_value(item))).collect()),
    }
}
