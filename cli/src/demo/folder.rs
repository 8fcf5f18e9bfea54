//! The demo's folder: what an earlier demo wrote there is removed, and nothing else.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::digest::{Digest, file_digest};

use crate::{context::read_file, error::CommandError};

/// The file that marks a folder as a demo's, and lists what the demo wrote.
const MARKER: &str = ".griptrace-demo";
const BEGINS: &str =
    "Written by `griptrace demo`, which removes these files, and all of store/, when it is run again.\n";
/// A log's folder, which changes whenever it is asked: it is the demo's as a whole.
const STORE: &str = "store";
/// Files that a complaint names.
const TOLD: usize = 3;

/// Makes the folder, without what an earlier demo left; refuses one in which anything else is.
pub(super) fn prepare(dir: &Path) -> Result<(), CommandError> {
    let other =
        |text: String| CommandError::failed(text).with_hint("name another folder with --dir, or remove this one");
    if dir.exists() {
        let is_empty = fs::read_dir(dir)?.next().is_none();
        let listed = listed(&dir.join(MARKER))?;
        if listed.is_none() && !is_empty {
            let text = format!("{} is there, and no demo has written down that it is its own", dir.display());
            return Err(other(text));
        }
        let foreign = foreign(dir, &listed.unwrap_or_default())?;
        if !foreign.is_empty() {
            let named: Vec<String> =
                foreign.iter().take(TOLD).map(|path| dir.join(path).display().to_string()).collect();
            let more = foreign.len().saturating_sub(TOLD);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (named, dir) = (named.join(", "), dir.display());
            return Err(other(format!("{dir} has what no demo left so, and it is not emptied: {named}{more}")));
        }
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    Ok(())
}

/// Writes down what is in the folder now as the demo's.
pub(super) fn own(dir: &Path) -> Result<(), CommandError> {
    let mut text = BEGINS.to_owned();
    for path in files(dir)? {
        let digest = file_digest(&read_file(&dir.join(&path))?);
        text.extend([digest.to_string(), "  ".to_owned(), path.display().to_string(), "\n".to_owned()]);
    }
    let path = dir.join(MARKER);
    fs::write(&path, text).map_err(|e| CommandError::file("write", &path, e))
}

/// Reads what an earlier demo wrote down; `None` if none did.
fn listed(marker: &Path) -> Result<Option<BTreeMap<PathBuf, Digest>>, CommandError> {
    if !marker.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(marker).map_err(|e| CommandError::file("read", marker, e))?;
    let line = |line: &str| {
        let (digest, path) = line.split_once("  ")?;
        Some((PathBuf::from(path), Digest::from_hex(digest)?))
    };
    Ok(text.strip_prefix(BEGINS).map(|list| list.lines().filter_map(line).collect()))
}

/// Returns the files that are not as the demo left them.
fn foreign(dir: &Path, listed: &BTreeMap<PathBuf, Digest>) -> Result<Vec<PathBuf>, CommandError> {
    let mut foreign = Vec::new();
    for path in files(dir)? {
        let whole = dir.join(&path);
        let is_own = match listed.get(&path) {
            Some(digest) if whole.symlink_metadata()?.is_file() => file_digest(&read_file(&whole)?) == *digest,
            Some(_) | None => false,
        };
        if !is_own {
            foreign.push(path);
        }
    }
    Ok(foreign)
}

/// Returns all that is below a folder and no folder, but for logs and the list itself.
fn files(dir: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let (mut found, mut todo) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(dir.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                found.push(path);
            } else if entry.file_name() != STORE {
                todo.push(path);
            }
        }
    }
    found.retain(|path| path != Path::new(MARKER));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second demo removed the folder with whatever somebody had put there since.
    #[test]
    fn what_the_demo_did_not_write_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("demo");
        prepare(&dir).unwrap();
        fs::create_dir_all(dir.join("model")).unwrap();
        fs::create_dir_all(dir.join("lies/expired/store")).unwrap();
        for name in ["trust.toml", "model/grasp.bin", "lies/expired/store/config.toml"] {
            fs::write(dir.join(name), name).unwrap();
        }
        own(&dir).unwrap();
        fs::write(dir.join("lies/expired/store/index"), "made by a question").unwrap();
        prepare(&dir).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);

        let said = |dir: &Path| prepare(dir).unwrap_err().lines().join("\n");
        fs::write(dir.join("trust.toml"), "of the demo").unwrap();
        own(&dir).unwrap();
        for (name, text) in [("trust.toml", "edited"), ("mine.txt", "mine")] {
            let old = fs::read(dir.join(name)).ok();
            fs::write(dir.join(name), text).unwrap();
            let said = said(&dir);
            assert!(said.contains("is not emptied") && said.contains(name) && said.contains("--dir"), "{said}");
            assert_eq!(fs::read(dir.join(name)).unwrap(), text.as_bytes());
            old.map_or_else(|| fs::remove_file(dir.join(name)), |old| fs::write(dir.join(name), old)).unwrap();
        }
        // One that was stopped has written nothing down.
        fs::remove_file(dir.join(MARKER)).unwrap();
        assert!(said(&dir).contains("no demo has written down"));
    }
}
