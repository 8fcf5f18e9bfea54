//! What cosigners sign: bytes with a beginning of their own for each kind of key.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::NoteError;
use crate::checkpoint::Checkpoint;
use crate::limits::NAME_BYTES_MAX;

/// The latest timestamp of a cosignature, in seconds (tlog-cosignature: 2^63 - 1).
pub const MAX_TIMESTAMP: u64 = u64::MAX >> 1;

/// What a `cosigned_message` begins with (tlog-cosignature v1.1.0-rc.1).
const SUBTREE_LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// Returns what an Ed25519 witness signs (tlog-cosignature, `cosignature/v1`).
///
/// Errors: [`NoteError::Timestamp`] unless it is from 1 to 2^63 - 1.
pub fn cosignature_message(text: &str, timestamp: u64) -> Result<String, NoteError> {
    timed_message("cosignature/v1", text, timestamp)
}

/// Returns what a witness signs that recomputed the status map (docs/spec/log.md, `griptrace-status-map/v1`).
///
/// Errors: [`NoteError::Timestamp`] unless it is from 1 to 2^63 - 1.
pub fn status_map_message(text: &str, timestamp: u64) -> Result<String, NoteError> {
    timed_message("griptrace-status-map/v1", text, timestamp)
}

fn timed_message(header: &str, text: &str, timestamp: u64) -> Result<String, NoteError> {
    if timestamp == 0 || timestamp > MAX_TIMESTAMP {
        return Err(NoteError::Timestamp { timestamp });
    }
    Ok(format!("{header}\ntime {timestamp}\n{text}"))
}

/// Returns what an ML-DSA-44 witness signs of a checkpoint: a `cosigned_message` over the whole tree
/// (tlog-cosignature v1.1.0-rc.1). At the timestamp 0 it states no time.
///
/// Errors: [`NoteError::Checkpoint`] for a text that is no checkpoint, [`NoteError::Timestamp`] above 2^63 - 1,
/// [`NoteError::Name`] for a cosigner whose name has no byte, or more than 255.
pub fn subtree_message(cosigner: &str, text: &str, timestamp: u64) -> Result<Vec<u8>, NoteError> {
    let checkpoint = Checkpoint::parse(text).map_err(NoteError::Checkpoint)?;
    if timestamp > MAX_TIMESTAMP {
        return Err(NoteError::Timestamp { timestamp });
    }
    let length = |name: &str| {
        let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
        length.ok_or_else(|| NoteError::Name { name: String::from(name) })
    };
    const { assert!(NAME_BYTES_MAX == 255, "a name's length is one byte") };
    let parts: [&[u8]; 8] = [
        SUBTREE_LABEL,
        &[length(cosigner)?],
        cosigner.as_bytes(),
        &timestamp.to_be_bytes(),
        &[length(&checkpoint.origin)?],
        checkpoint.origin.as_bytes(),
        &[0_u64.to_be_bytes(), checkpoint.size.to_be_bytes()].concat(),
        checkpoint.root.as_bytes(),
    ];
    Ok(parts.concat())
}
