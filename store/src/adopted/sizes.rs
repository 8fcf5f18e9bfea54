//! When bundles were adopted, by the size that the own log had: what shipped is judged by what was there when it did.

use std::collections::BTreeMap;

use griptrace_core::digest::Digest;

use super::{FOLDER, parse_lines, write_lines};
use crate::{error::StorageError, objects::Objects};

/// The list of sizes, beside the bundles.
pub(super) const SIZES: &str = "sizes";

/// The size of the own log when each bundle was adopted. One that is not in it came after everything, for all that is known.
pub(crate) type Sizes = BTreeMap<Digest, u64>;

/// Notes the size at which a bundle is adopted. One that is there keeps the size that it has.
///
/// It is noted before the bundle is put there: after a crash between the two it is noted anew, with the bundle. Where another
/// process adopts it at the same time, the later size stays.
pub(super) fn note_size(objects: &Objects, digest: &Digest, is_there: bool, size: u64) -> Result<(), StorageError> {
    objects.change(&object(), |there| {
        let mut sizes = parse(there)?;
        if is_there && sizes.contains_key(digest) {
            return Ok(None);
        }
        let noted = sizes.entry(*digest).or_insert(size);
        *noted = size.max(*noted);
        Ok(Some(write(&sizes)))
    })
}

pub(super) fn write(sizes: &Sizes) -> Vec<u8> {
    let lines: Vec<String> = sizes.iter().map(|(digest, size)| format!("{digest} {size}\n")).collect();
    write_lines(&lines.concat())
}

pub(super) fn parse(bytes: Option<&[u8]>) -> Result<Sizes, StorageError> {
    Ok(parse_lines(bytes, &object(), read_size)?.into_iter().collect())
}

/// Reads when each bundle was adopted.
pub(crate) fn read_sizes(objects: &Objects) -> Result<Sizes, StorageError> {
    parse(objects.read(&object())?.as_deref())
}

fn read_size(line: &str) -> Option<(Digest, u64)> {
    let (digest, size) = line.split_once(' ')?;
    Some((Digest::from_hex(digest)?, size.parse().ok()?))
}

/// Returns the object that holds them.
pub(super) fn object() -> String {
    format!("{FOLDER}/{SIZES}")
}
