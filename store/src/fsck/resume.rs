//! Going on with an audit that was stopped: which segments and full tiles were checked, each by the digest of its bytes.
//!
//! A segment is read again all the same, and takes its place in the tree again: only the details of its nodes are not
//! hashed a second time, if its bytes are those whose nodes were. A tile that was found to be what the segments give is not
//! read a second time.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use griptrace_core::{digest::Digest, id::GenesisHash};

use crate::{error::StorageError, segment};

/// The segments whose nodes were checked, and the tiles that were compared.
#[derive(Debug)]
pub(super) struct Checked {
    path: PathBuf,
    file: File,
    known: HashMap<String, Digest>,
}

impl Checked {
    /// Opens what an audit left that was stopped, of this log and by this version; or begins anew.
    pub(super) fn open(path: &Path, home: &GenesisHash) -> Result<Self, StorageError> {
        let header = format!("griptrace fsck {} {home}", env!("CARGO_PKG_VERSION"));
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let goes_on = lines.next() == Some(&*header) && text.ends_with('\n');
        let known = if goes_on { lines.filter_map(line).collect() } else { HashMap::new() };
        let opened = if goes_on {
            OpenOptions::new().append(true).open(path)
        } else {
            File::create(path).and_then(|mut file| writeln!(file, "{header}").map(|()| file))
        };
        let failed = |source| StorageError::Io { doing: "write", path: path.to_owned(), source };
        Ok(Self { path: path.to_owned(), file: opened.map_err(failed)?, known })
    }

    /// Tells whether these bytes of an object were checked.
    pub(super) fn has(&self, name: &str, digest: &Digest) -> bool {
        self.known.get(name) == Some(digest)
    }

    /// Returns the first entry of the last segment whose nodes were checked, by an audit that was stopped.
    pub(super) fn reached(&self) -> Option<u64> {
        self.known.keys().filter_map(|name| segment::first_of(name)).max()
    }

    /// Keeps that they were, and nothing was wrong.
    pub(super) fn add(&mut self, name: &str, digest: &Digest) {
        // What can't be kept is checked again.
        drop(writeln!(self.file, "{name} {digest}"));
    }

    /// Ends: the next audit checks everything anew.
    pub(super) fn end(self) -> io::Result<()> {
        drop(self.file);
        fs::remove_file(self.path)
    }
}

fn line(line: &str) -> Option<(String, Digest)> {
    let (name, digest) = line.split_once(' ')?;
    Some((name.to_owned(), Digest::from_hex(digest)?))
}
