//! The limit of every durable write: bytes appended to a file and flushed, with nothing else.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::Instant,
};

use crate::Failure;

/// Appends each piece to a new file in a folder and has it flushed to the disk before the next.
/// Returns the seconds of all.
pub(crate) fn append(folder: &Path, pieces: &[Vec<u8>]) -> Result<f64, Failure> {
    let path = folder.join("raw");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let begun = Instant::now();
    for piece in pieces {
        file.write_all(piece)?;
        file.sync_data()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    drop(file);
    fs::remove_file(&path)?;
    Ok(seconds)
}

/// Returns the allocated and the apparent bytes of everything in a folder.
pub(crate) fn disk_bytes(folder: &Path) -> Result<(u64, u64), Failure> {
    let (mut allocated, mut apparent) = (0, 0);
    let mut todo = vec![folder.to_path_buf()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            allocated += blocks(&metadata);
            apparent += metadata.len();
            if metadata.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    Ok((allocated, apparent))
}

#[cfg(unix)]
fn blocks(metadata: &fs::Metadata) -> u64 {
    // By its definition a block of `st_blocks` has 512 bytes, whatever the file system's have.
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn blocks(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
