//! Manifests: the files of a dataset or model, as a salted Merkle tree.
//!
//! Rule R12: a path is bytes as given, `/`-separated, relative, never normalised, and a manifest's
//! files stand in bytewise order of their paths. One file's membership can be shown alone.

use alloc::vec::Vec;

use crate::{
    cbor::{DecodeError, Next, Reader, Record, Writer, bad_field, encode, within},
    details::{Kept, Salt, first_half},
    digest::{CONTENT, Digest, MANIFEST_LEAF, MANIFEST_SALT, MANIFEST_TREE},
    limits::{MANIFEST_FILES_MAX, PATH_BYTES_MAX},
    tree,
};

/// One file of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRecord {
    /// The path as given.
    pub path: Vec<u8>,
    /// Bytes of the file.
    pub size: u64,
    /// Plain BLAKE3 of the file.
    pub blake3: Digest,
    /// SHA-256 of the file, beside BLAKE3 for models, so that other tools can check it.
    pub sha256: Option<Digest>,
}

impl Record for FileRecord {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(4).bytes(&self.path).uint(self.size).bytes(self.blake3.as_bytes());
        match &self.sha256 {
            Some(digest) => out.bytes(digest.as_bytes()),
            None => out.null(),
        };
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.tuple(4)?;
        let path = input.bytes("bytes of a path", PATH_BYTES_MAX)?.to_vec();
        let size = input.uint()?;
        let blake3 = input.digest()?;
        let sha256 = if input.next()? == Next::Null { input.null().map(|()| None)? } else { Some(input.digest()?) };
        Ok(Self { path, size, blake3, sha256 })
    }
}

/// Checks that files may stand in one manifest, in this order.
///
/// # Errors
/// `Field` for a path that is not relative or not in order, `Limit` for too many or too long.
pub fn check_files(files: &[FileRecord]) -> Result<(), DecodeError> {
    within("files of a manifest", files.len(), MANIFEST_FILES_MAX)?;
    if files.is_empty() {
        return Err(bad_field("manifest", "has no file"));
    }
    files.iter().try_for_each(|file| check_path(&file.path))?;
    let ordered = files.windows(2).all(|pair| match pair {
        [a, b] => a.path < b.path,
        _ => true,
    });
    if ordered { Ok(()) } else { Err(bad_field("manifest", "paths are not in bytewise order, or one stands twice")) }
}

/// Checks one path.
///
/// # Errors
/// `Field` if it is empty, absolute, has an empty, `.` or `..` part, or a NUL; `Limit` if too long.
pub fn check_path(path: &[u8]) -> Result<(), DecodeError> {
    within("bytes of a path", path.len(), PATH_BYTES_MAX)?;
    let part_ok = |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
    if path.split(|b| *b == b'/').all(part_ok) {
        return Ok(());
    }
    Err(bad_field("path", "is not relative with plain parts"))
}

/// Derives a leaf's salt from the manifest's secret seed.
pub fn salt(seed: &[u8; 32], index: u64) -> Salt {
    first_half(&MANIFEST_SALT.hash(&salted(seed, index)))
}

/// The bytes that a leaf's salt is the hash of.
fn salted(seed: &[u8; 32], index: u64) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes.iter_mut().zip(seed.iter().copied().chain(index.to_be_bytes())).for_each(|(to, from)| *to = from);
    bytes
}

/// Hashes one file of a manifest.
pub fn leaf(salt: &Salt, file: &FileRecord) -> Digest {
    MANIFEST_LEAF.hash_parts(&[salt, &encode(file)])
}

/// Returns the manifest's root; `None` without files.
pub fn root(seed: &[u8; 32], files: &[FileRecord]) -> Option<Digest> {
    let mut salts = Vec::with_capacity(files.len());
    MANIFEST_SALT.hash_short((0_u64..).zip(files).map(|(index, _)| salted(seed, index)), &mut salts);
    let leaves: Vec<Digest> = salts.iter().zip(files).map(|(salt, file)| leaf(&first_half(salt), file)).collect();
    tree::root(&MANIFEST_TREE, &leaves)
}

/// Derives the salts of a manifest of `count` files, as they are kept once its seed is gone.
pub fn kept(seed: &[u8; 32], count: usize) -> Vec<Kept> {
    (0_u64..).take(count).map(|index| Kept::Salt(salt(seed, index))).collect()
}

/// Returns the manifest's root by what is kept of it: one entry a file of the whole, and the files whose salts are kept, in
/// their order. It is what [`root`] gives. `None` without entries, or if there are not as many files as salts.
pub fn root_of_kept(kept: &[Kept], files: &[FileRecord]) -> Option<Digest> {
    let mut files = files.iter();
    let leaf_of = |kept: &Kept| match kept {
        Kept::Salt(salt) => files.next().map(|file| leaf(salt, file)),
        Kept::Leaf(leaf) => Some(*leaf),
    };
    let leaves: Vec<Digest> = kept.iter().map(leaf_of).collect::<Option<_>>()?;
    files.next().is_none().then_some(leaves).and_then(|leaves| tree::root(&MANIFEST_TREE, &leaves))
}

/// Returns the content digest of a set of files: the same for the same paths and bytes, whoever
/// recorded them.
pub fn content_digest(files: &[FileRecord]) -> Digest {
    let mut out = Writer::new();
    out.array(files.len());
    for file in files {
        out.array(3).bytes(&file.path).uint(file.size).bytes(file.blake3.as_bytes());
    }
    CONTENT.hash(&out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::file_digest;

    fn file(path: &str) -> FileRecord {
        FileRecord { path: path.into(), size: 3, blake3: file_digest(b"abc"), sha256: None }
    }

    #[test]
    fn paths_that_could_escape_or_repeat_are_refused() {
        for path in ["", "/a", "a//b", "a/../b", ".", "a/.", "a/", "a\0b"] {
            assert!(check_path(path.as_bytes()).is_err(), "{path:?}");
        }
        assert!(check_files(&[file("a"), file("b/c")]).is_ok());
        assert!(check_files(&[file("b"), file("a")]).is_err());
        assert!(check_files(&[file("a"), file("a")]).is_err());
        assert!(check_files(&[]).is_err());
    }

    #[test]
    fn the_root_is_over_the_leaves_one_by_one() {
        let files: Vec<FileRecord> = (0..70).map(|i| file(&alloc::format!("f{i:02}"))).collect();
        let seed = [5; 32];
        let leaves: Vec<Digest> = (0_u64..)
            .zip(&files)
            .map(|(i, file)| {
                let salt = first_half(&MANIFEST_SALT.hash_parts(&[&seed, &i.to_be_bytes()]));
                assert_eq!(salt, super::salt(&seed, i));
                leaf(&salt, file)
            })
            .collect();
        assert_eq!(root(&seed, &files), tree::root(&MANIFEST_TREE, &leaves));
    }

    #[test]
    fn what_is_kept_gives_the_root_that_the_seed_gives() {
        let mut files: Vec<FileRecord> = (0..20).map(|i| file(&alloc::format!("f{i:02}"))).collect();
        let expected = root(&[5; 32], &files);
        let mut kept = kept(&[5; 32], files.len());
        assert_eq!(root_of_kept(&kept, &files), expected);
        for (index, number) in [(19, 19), (0, 0), (7, 7)] {
            let at = kept[..index].iter().filter(|kept| matches!(kept, Kept::Salt(_))).count();
            let gone = files.remove(at);
            assert_eq!(root_of_kept(&kept, &files), None, "a salt without its file");
            kept[index] = Kept::Leaf(leaf(&salt(&[5; 32], number), &gone));
            assert_eq!(root_of_kept(&kept, &files), expected);
        }
        files.push(file("one too many"));
        assert_eq!(root_of_kept(&kept, &files), None);
        assert_eq!(root_of_kept(&[], &[]), None);
    }

    #[test]
    fn the_root_binds_path_size_digest_and_salt() {
        let root_of = |seed, f: FileRecord| root(&[seed; 32], &[f]);
        let base = root_of(1, file("a"));
        assert_ne!(base, root_of(2, file("a")));
        assert_ne!(base, root_of(1, file("b")));
        assert_ne!(base, root_of(1, FileRecord { size: 4, ..file("a") }));
        assert_ne!(base, root_of(1, FileRecord { blake3: file_digest(b"x"), ..file("a") }));
        assert_ne!(base, root_of(1, FileRecord { sha256: Some(file_digest(b"x")), ..file("a") }));
    }
}
