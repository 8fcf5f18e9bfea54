//! What every command is given, and what it answers.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use griptrace_core::{date::Date, limits::BUNDLE_BYTES_MAX};

use crate::{clock, error::CommandError, output::Output, remote::ServerArgs, workspace::Workspace};

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) output: Output,
    store: Option<PathBuf>,
    /// The server that was named, and how to get in.
    pub(crate) server: ServerArgs,
}

/// The exit code of a command that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer(pub(crate) u8);

impl Answer {
    /// Done, or the answer is yes.
    pub(crate) const YES: Self = Self(0);
    /// Checked, and the answer is no.
    pub(crate) const NO: Self = Self(1);
    /// Part of what was asked could not be checked.
    pub(crate) const COULD_NOT: Self = Self(2);
}

impl Context {
    /// Makes the context of a run: JSON or words, and the store and the server that were named.
    pub(crate) fn new(json: bool, store: Option<PathBuf>, mut server: ServerArgs) -> Self {
        server.is_store_named = store.is_some();
        Self { output: Output::new(json), store, server }
    }

    /// Opens the store, or goes to the server, for questions; no key is read.
    pub(crate) fn workspace(&self) -> Result<Workspace, CommandError> {
        Workspace::open(self, false)
    }

    /// Opens the store for recording, with the log's key; or goes to the server, with that of a committer.
    pub(crate) fn workspace_for_recording(&self) -> Result<Workspace, CommandError> {
        Workspace::open(self, true)
    }

    /// Returns the store that was named.
    pub(crate) fn named_store(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    /// Returns the folder of the store, unopened.
    pub(crate) fn store_folder(&self) -> Result<PathBuf, CommandError> {
        Workspace::find(self.store.as_deref())
    }
}

/// Returns the day given, or today.
pub(crate) fn or_today(date: Option<Date>) -> Date {
    date.unwrap_or_else(clock::today)
}

/// Reads a whole file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    fs::read(path).map_err(|e| CommandError::file("read", path, e))
}

/// Reads a bundle, unless it is larger than any bundle.
pub(crate) fn read_bundle(path: &Path) -> Result<Vec<u8>, CommandError> {
    let size = fs::metadata(path).map_err(|e| CommandError::file("read", path, e))?.len();
    if usize::try_from(size).map_or(true, |size| size > BUNDLE_BYTES_MAX) {
        let path = path.display();
        return Err(CommandError::failed(format!(
            "{path} has {size} bytes, and a bundle has {BUNDLE_BYTES_MAX} at most"
        )));
    }
    read_file(path)
}

/// Writes a whole file, which may replace another.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    fs::write(path, bytes).map_err(|e| CommandError::file("write", path, e))
}

/// Writes the file that a command was asked for. It replaces only a file that begins with the same
/// `magic`, and never one of the command's own inputs.
pub(crate) fn write_output(
    path: &Path,
    bytes: &[u8],
    (kind, magic): (&str, &[u8]),
    inputs: &[&Path],
) -> Result<(), CommandError> {
    let shown = path.display();
    let hint = "choose another name, or move the old file away";
    if inputs.iter().any(|input| is_same_file(path, input)) {
        let text = format!("{shown} is an input of this command, and is not replaced");
        return Err(CommandError::failed(text).with_hint(hint));
    }
    if path.is_file() {
        let mut begin = Vec::new();
        let limit = u64::try_from(magic.len()).unwrap_or(u64::MAX);
        let read = fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut begin));
        read.map_err(|e| CommandError::file("read", path, e))?;
        if begin != magic {
            let text = format!("{shown} is there already and is no {kind}, so that it is not replaced");
            return Err(CommandError::failed(text).with_hint(hint));
        }
    }
    write_file(path, bytes)
}

/// Tells whether two paths lead to one file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let place = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        place(one).is_some_and(|found| place(other) == Some(found))
    }
    #[cfg(not(unix))]
    {
        fs::canonicalize(one).is_ok_and(|found| fs::canonicalize(other).is_ok_and(|other| other == found))
    }
}
