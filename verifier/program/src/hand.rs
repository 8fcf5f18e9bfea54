//! The model as the buyer has it: files, hashed.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path},
};

use griptrace_core::{
    digest::Digest,
    limits::MANIFEST_FILES_MAX,
    manifest::{FileRecord, check_files},
};
use griptrace_verifier::question::ModelInHand;
use sha2::{Digest as _, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::{
    arguments::{Args, Asked},
    opening::open,
    trouble::Trouble,
};

/// Bytes that are read at once: enough for BLAKE3 to use all processors.
const CHUNK: usize = 1 << 20;

/// Returns what the buyer has in hand.
pub(crate) fn model_in_hand(asked: &Asked) -> Result<ModelInHand, Trouble> {
    if let Some(digest) = asked.digest {
        return Ok(ModelInHand::Digest(digest));
    }
    let Some(path) = &asked.model else { return Ok(ModelInHand::NotGiven) };
    let kind = path.metadata().map_err(|error| cannot_read(path, &error))?;
    if kind.is_dir() {
        return Ok(ModelInHand::Folder(read_folder(path)?));
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).as_encoded_bytes().to_vec();
    Ok(ModelInHand::File(hash_file(path, name)?))
}

/// Tells whether a file lies in a folder, or would if it was written: a link where it leads to.
pub fn is_inside(file: &Path, folder: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = file.canonicalize().or_else(|_| parent.canonicalize());
    let folder = folder.canonicalize().ok().filter(|folder| folder.is_dir());
    place.is_ok_and(|place| folder.is_some_and(|folder| place.starts_with(folder)))
}

/// Refuses to write into the model's folder, whose files are compared.
pub(crate) fn refuse_inside(args: &Args) -> Result<(), Trouble> {
    let Some(folder) = &args.asked.model else { return Ok(()) };
    match args.write_updated.iter().chain(&args.fork_evidence).find(|file| is_inside(file, folder)) {
        None => Ok(()),
        Some(file) => {
            let text = format!("{} would be one of the model's files, and the model another one", file.display());
            Err(Trouble::new(text).with_hint(Some("write the file outside the model's folder".into())))
        }
    }
}

fn cannot_read(path: &Path, error: &dyn core::fmt::Display) -> Trouble {
    Trouble::new(format!("cannot read {}: {error}", path.display()))
}

/// Reads exactly the files of a folder, sorted by the bytes of their paths (Rule R12).
fn read_folder(folder: &Path) -> Result<Vec<FileRecord>, Trouble> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry.map_err(|error| cannot_read(error.path().unwrap_or(folder), &error))?;
        if entry.file_type().is_dir() {
            continue;
        }
        if files.len() == MANIFEST_FILES_MAX {
            return Err(Trouble::new(format!("{}: more than {MANIFEST_FILES_MAX} files", folder.display())));
        }
        files.push(read_entry(folder, &entry)?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    if files.is_empty() {
        return Err(Trouble::new(format!("{}: the folder has no files", folder.display())));
    }
    check_files(&files).map_err(|error| Trouble::new(format!("{}: {error}", folder.display())))?;
    Ok(files)
}

fn read_entry(folder: &Path, entry: &DirEntry) -> Result<FileRecord, Trouble> {
    let path = entry.path();
    let kind = entry.file_type();
    if !kind.is_file() {
        let what = if kind.is_symlink() { "a symbolic link" } else { "neither a file nor a folder" };
        let trouble = Trouble::new(format!("{}: is {what}", path.display()));
        return Err(
            trouble.with_hint(Some("a model is files only: what a link leads to may be another tomorrow".into()))
        );
    }
    let relative = path.strip_prefix(folder).unwrap_or(path);
    let mut name = Vec::new();
    for part in relative.components() {
        let Component::Normal(part) = part else { continue };
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(part.as_encoded_bytes());
    }
    hash_file(path, name)
}

/// Hashes a file with both hashes in one reading, so that both are of the same bytes.
fn hash_file(path: &Path, name: Vec<u8>) -> Result<FileRecord, Trouble> {
    let mut file = open(path).map_err(|error| cannot_read(path, &error))?;
    let mut blake3 = blake3::Hasher::new();
    let mut sha256 = Sha256::new();
    let mut size: u64 = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = read_chunk(&mut file, &mut chunk).map_err(|error| cannot_read(path, &error))?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else { break };
        blake3.update_rayon(read);
        sha256.update(read);
        size = size.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(FileRecord {
        path: name,
        size,
        blake3: Digest::from_bytes(*blake3.finalize().as_bytes()),
        sha256: Some(Digest::from_bytes(sha256.finalize().into())),
    })
}

/// Fills the chunk unless the file ends before.
fn read_chunk(file: &mut File, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = chunk.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use griptrace_core::digest::file_digest;

    use super::*;

    #[test]
    fn a_folder_is_exactly_its_files_by_the_bytes_of_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/empty")).unwrap();
        for (name, text) in [("b/x", "1"), ("b.c", "2"), ("a", "abc")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let files = read_folder(folder.path()).unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.as_slice()).collect();
        assert_eq!(paths, [b"a".as_slice(), b"b.c", b"b/x"]);
        assert_eq!((files[0].size, files[0].blake3), (3, file_digest(b"abc")));
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(files[0].sha256, Digest::from_hex(sha256));
    }

    #[test]
    fn a_file_larger_than_a_chunk_is_hashed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let bytes: Vec<u8> = (0..=250).cycle().take(CHUNK * 2 + 17).collect();
        fs::write(&path, &bytes).unwrap();
        let record = hash_file(&path, b"model".to_vec()).unwrap();
        assert_eq!(record.blake3, file_digest(&bytes));
        assert_eq!(usize::try_from(record.size), Ok(bytes.len()));
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_folder(folder.path()).unwrap_err().text().ends_with("the folder has no files"));
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
        let trouble = read_folder(folder.path()).unwrap_err();
        assert!(trouble.text().ends_with("link: is a symbolic link"), "{trouble:?}");
    }
}
