//! Names and times as the formats write them.

use core::fmt::Display;

use griptrace_core::{
    date::{DAY_SECONDS, Date},
    digest::Digest,
};
use sha2::{Digest as _, Sha256};

/// Returns the URN of something of a kind that a hash names. The namespace is ours, and registered nowhere.
pub(crate) fn urn(kind: &str, hash: impl Display) -> String {
    format!("urn:griptrace:{kind}:{hash}")
}

/// Returns free text as a URN may hold it (RFC 3986, 2.1).
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_free_text_are_written_as_others_read_them() {
        assert_eq!(timestamp(1_790_000_000), "2026-09-21T14:13:20Z");
        assert_eq!(escaped("own policy/1 ä"), "own%20policy%2F1%20%C3%A4");
    }
}
