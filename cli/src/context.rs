//! What every command is given, and what it answers.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use griptrace_core::{
    date::Date,
    limits::{BUNDLE_BYTES_MAX, CONFIG_BYTES_MAX},
};
use griptrace_verify::open;

use crate::{clock, error::CommandError, output::Output, remote::ServerArgs, workspace::Workspace};

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) output: Output,
    store: Option<PathBuf>,
    /// The server that was named, and how to get in.
    pub(crate) server: ServerArgs,
}

/// Tells by the bytes of a file whether it is such a one as a command writes.
pub(crate) type IsOwn<'a> = &'a dyn Fn(&[u8]) -> bool;

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
    let mut bytes = Vec::new();
    let read = open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|e| CommandError::file("read", path, e))
}

/// Reads the text of a trust file or policy, which is small: of a file that has no end, no more than that.
pub(crate) fn read_config(path: &Path) -> Result<String, CommandError> {
    let cannot = |e| CommandError::file("read", path, e);
    let mut text = String::new();
    let max = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX);
    open(path).map_err(cannot)?.take(max.saturating_add(1)).read_to_string(&mut text).map_err(cannot)?;
    if text.len() > CONFIG_BYTES_MAX {
        let text = format!("{} has more than {CONFIG_BYTES_MAX} bytes, which is the limit", path.display());
        return Err(CommandError::failed(text));
    }
    Ok(text)
}

/// How what is large here begins: bundles and updates.
const OWN_BEGINS: &[u8] = b"griptrace ";
/// Bytes that are read of what does not begin so.
const BEGIN_BYTES: u64 = 1 << 20;

/// Reads a bundle, unless it is larger than any bundle: of a file that has no end, no more than that; of one that does not
/// begin like a file of this program, the begin.
pub(crate) fn read_bundle(path: &Path) -> Result<Vec<u8>, CommandError> {
    read_limited(path, BUNDLE_BYTES_MAX)
}

fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, CommandError> {
    let cannot = |e| CommandError::file("read", path, e);
    let max = u64::try_from(limit).unwrap_or(u64::MAX);
    let file = open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    let mut bytes = Vec::new();
    if size <= max {
        let mut file = file.take(max.saturating_add(1));
        (&mut file).take(BEGIN_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.starts_with(OWN_BEGINS) || u64::try_from(bytes.len()).is_ok_and(|read| read < BEGIN_BYTES) {
            file.read_to_end(&mut bytes).map_err(cannot)?;
        } else {
            let text = format!("{} does not begin like a bundle, which has {limit} bytes at most", path.display());
            return Err(CommandError::failed(text));
        }
    }
    if size.max(u64::try_from(bytes.len()).unwrap_or(u64::MAX)) <= max {
        return Ok(bytes);
    }
    let path = path.display();
    let found = if size > max { format!("{size} bytes") } else { format!("more than {limit} bytes") };
    Err(CommandError::failed(format!("{path} has {found}, and a bundle has {limit} at most")))
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
    let limit = u64::try_from(magic.len()).unwrap_or(u64::MAX);
    replace(path, bytes, (kind, limit, &|begin| begin == magic), inputs)
}

/// Writes the file that a command was asked for. It replaces only a file that `is_own`, looked at as a whole, and never one
/// of the command's own inputs.
pub(crate) fn write_recognised(
    path: &Path,
    bytes: &[u8],
    (kind, is_own): (&str, IsOwn<'_>),
    inputs: &[&Path],
) -> Result<(), CommandError> {
    replace(path, bytes, (kind, u64::try_from(BUNDLE_BYTES_MAX).unwrap_or(u64::MAX), is_own), inputs)
}

fn replace(
    path: &Path,
    bytes: &[u8],
    (kind, limit, is_own): (&str, u64, IsOwn<'_>),
    inputs: &[&Path],
) -> Result<(), CommandError> {
    let shown = path.display();
    let hint = "choose another name, or move the old file away";
    if inputs.iter().any(|input| is_same_file(path, input)) {
        let text = format!("{shown} is an input of this command, and is not replaced");
        return Err(CommandError::failed(text).with_hint(hint));
    }
    if !path.is_file() {
        // What is there and no file, such as a pipe, can't be replaced by one.
        return if path.exists() { write_file(path, bytes) } else { put(path, bytes, None) };
    }
    let mut old = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut old));
    read.map_err(|e| CommandError::file("read", path, e))?;
    if !is_own(&old) {
        let text = format!("{shown} is there already and is no {kind}, so that it is not replaced");
        return Err(CommandError::failed(text).with_hint(hint));
    }
    let place = fs::canonicalize(path).map_err(|e| CommandError::file("find", path, e))?;
    let permissions = fs::metadata(&place).map_err(|e| CommandError::file("read", path, e))?.permissions();
    put(&place, bytes, Some(permissions))
}

/// Writes a file beside its place and moves it there: a crash leaves the old one or the new one.
fn put(path: &Path, bytes: &[u8], permissions: Option<fs::Permissions>) -> Result<(), CommandError> {
    let cannot = |e| CommandError::file("write", path, e);
    let name = path.file_name().ok_or_else(|| cannot(io::Error::other("it names no file")))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(temporary);
    // Made new: what is there already under this name is another's.
    let mut file = fs::File::create_new(&temporary).map_err(cannot)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| permissions.map_or(Ok(()), |permissions| file.set_permissions(permissions)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|e| {
        fs::remove_file(&temporary).ok();
        cannot(e)
    })
}

/// Refuses a file that would lie in a folder whose files are compared: it would be one of them, and the folder another.
pub(crate) fn refuse_inside<P: AsRef<Path>>(path: &Path, folders: &[P]) -> Result<(), CommandError> {
    if folders.iter().any(|folder| griptrace_verify::is_inside(path, folder.as_ref())) {
        let text = format!("{} would be one of the model's files, and the model another one", path.display());
        return Err(CommandError::failed(text).with_hint("write the file outside the model's folder"));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_without_end_is_not_read_and_a_large_one_up_to_the_limit() {
        let endless = Path::new("/dev/zero");
        let refused = "cannot read /dev/zero";
        assert_eq!(read_limited(endless, BUNDLE_BYTES_MAX).unwrap_err().source.to_string(), refused);
        assert_eq!(read_config(endless).unwrap_err().source.to_string(), refused);
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        fs::File::create(&large).unwrap().set_len(1 << 30).unwrap();
        let said = read_config(&large).unwrap_err().source.to_string();
        assert!(said.ends_with("large has more than 1048576 bytes, which is the limit"), "{said}");
        // Not a gigabyte of it, where that is the limit.
        let said = read_limited(&large, BUNDLE_BYTES_MAX).unwrap_err().source.to_string();
        assert!(said.ends_with("large does not begin like a bundle, which has 1073741824 bytes at most"), "{said}");
        let own = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/context.rs"));
        let bytes = read_limited(own, 1 << 20).unwrap();
        assert!(read_limited(own, bytes.len()).is_ok());
        let said = read_limited(own, bytes.len() - 1).unwrap_err().source.to_string();
        assert!(said.contains(&format!("context.rs has {} bytes, and a bundle has ", bytes.len())), "{said}");
    }
}
