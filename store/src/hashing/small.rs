//! Hashes small files, each by one thread.

use core::cell::RefCell;
use std::{fs::File, io, path::Path};

use griptrace_core::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::{Digests, HashError, io_error, progress::Meter, stamp::Stamp};
use crate::number::{narrow, wide};

/// Bytes read at a time: what stays in the second cache of a processor.
const READ_BYTES: usize = 128 << 10;

thread_local! {
    /// One buffer for all files of a thread.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Hashes a file that had this stamp when it was found, and returns the stamp it really had.
///
/// Two questions to the system are spared for every file: the stamp with which it was found is the
/// one before, and a read that ends where the file should end is the last one. Only where the stamp
/// afterwards differs is the file read once more, with a stamp taken just before.
///
/// # Errors
/// `Io`, or `Changed` if the file did change while it was read for the second time.
pub(super) fn hash(
    path: &Path,
    found: Stamp,
    with_sha256: bool,
    meter: &mut Meter<'_>,
) -> Result<(Stamp, Digests), HashError> {
    let file = File::open(path).map_err(io_error("open", path))?;
    let stamp = || file.metadata().map(|metadata| Stamp::of(&metadata)).map_err(io_error("read", path));
    let mut before = found;
    let mut is_again = false;
    loop {
        let (read, digests) = with_buffer(|buffer| read(&file, before.size, buffer, with_sha256, meter))
            .map_err(io_error("read", path))?;
        let after = stamp()?;
        if before == after && read == before.size {
            return Ok((after, digests));
        }
        if is_again {
            return Err(changed(path, before, after, read));
        }
        is_again = true;
        before = stamp()?;
    }
}

/// Lends this thread's buffer.
pub(super) fn with_buffer<T>(borrow: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| borrow(buffer))
}

/// Says how a file changed.
pub(super) fn changed(path: &Path, before: Stamp, after: Stamp, read: u64) -> HashError {
    let (before, after) = (before.to_string(), format!("{after}, {read} bytes read"));
    HashError::Changed { path: path.to_path_buf(), before, after }
}

/// Reads and hashes a file that should have so many bytes, and returns how many it had; of one that
/// grew, not all are read.
fn read(
    file: &File,
    size: u64,
    buffer: &mut [u8],
    with_sha256: bool,
    meter: &mut Meter<'_>,
) -> io::Result<(u64, Digests)> {
    let mut blake3 = blake3::Hasher::new();
    let mut sha256 = with_sha256.then(Sha256::new);
    let mut offset = 0_u64;
    while offset <= size {
        // One byte more than there should be, so that a full read means that the file grew.
        let room = buffer.len().min(narrow(size.saturating_sub(offset)).saturating_add(1));
        let length = read_at(file, buffer.get_mut(..room).unwrap_or_default(), offset)?;
        let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
        blake3.update(chunk);
        sha256.iter_mut().for_each(|sha256| sha256.update(chunk));
        offset = offset.saturating_add(wide(length));
        meter.add_bytes(wide(length));
        if offset == size && length < room {
            break;
        }
    }
    let blake3 = Digest::from_bytes(*blake3.finalize().as_bytes());
    let sha256 = sha256.map(|sha256| Digest::from_bytes(sha256.finalize().into()));
    Ok((offset, Digests { blake3, sha256 }))
}

/// Reads from a place in a file, whatever other threads read from it; 0 at its end.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, buffer, offset);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset);
        match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
