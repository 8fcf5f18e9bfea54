use super::*;
use griptrace_core::digest::file_digest;

const QUIET: HashProgress<'static> = &|_, _, _, _| {};

#[test]
fn a_folder_is_hashed_in_order_of_its_paths() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("b/x"), "one").unwrap();
    fs::write(dir.path().join("b.txt"), "two").unwrap();
    fs::write(dir.path().join("a"), "").unwrap();
    let options = HashOptions { sha256: true, ..HashOptions::default() };
    let hashed = hash_path(dir.path(), &options, QUIET).unwrap();
    let paths: Vec<&[u8]> = hashed.files.iter().map(|file| file.path.as_slice()).collect();
    assert_eq!(paths, [b"a".as_slice(), b"b.txt", b"b/x"]);
    assert_eq!(hashed.files[2].blake3, file_digest(b"one"));
    assert_eq!(hashed.files[2].sha256, Some(Digest::from_bytes(Sha256::digest(b"one").into())));
    assert_eq!((hashed.total_bytes, hashed.is_single_file, hashed.cached), (6, false, 0));
}

#[test]
fn a_large_file_has_the_digest_of_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.bin");
    let bytes: Vec<u8> = (0..17_u32 << 20).map(|i| i.to_le_bytes()[1]).collect();
    fs::write(&path, &bytes).unwrap();
    let hashed = hash_path(&path, &HashOptions { sha256: true, ..HashOptions::default() }, QUIET).unwrap();
    assert_eq!(hashed.files[0].path, b"large.bin");
    assert_eq!(hashed.files[0].blake3, file_digest(&bytes));
    assert_eq!(hashed.files[0].sha256, Some(Digest::from_bytes(Sha256::digest(&bytes).into())));
    assert!(hashed.is_single_file);
}

#[test]
fn colliding_and_missing_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let none = hash_path(dir.path(), &HashOptions::default(), QUIET);
    assert!(matches!(none, Err(HashError::Empty { .. })));
    fs::write(dir.path().join("Read"), "").unwrap();
    fs::write(dir.path().join("READ"), "").unwrap();
    let error = hash_path(dir.path(), &HashOptions::default(), QUIET).unwrap_err().to_string();
    assert!(error.contains("Read") && error.contains("READ"), "{error}");
    assert!(hash_path(&dir.path().join("absent"), &HashOptions::default(), QUIET).is_err());
}

#[test]
fn a_file_that_changes_meanwhile_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "one").unwrap();
    let change = |_, _, _, _| fs::write(&path, "longer than before").unwrap();
    let error = hash_path(&path, &HashOptions::default(), &change).unwrap_err();
    assert!(matches!(error, HashError::Changed { .. }), "{error}");
}

#[test]
fn stores_are_left_out_and_never_hashed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("in/.griptrace/keys")).unwrap();
    fs::write(dir.path().join("in/.griptrace/keys/log.key"), "secret").unwrap();
    fs::write(dir.path().join("in/file"), "x").unwrap();
    let hashed = hash_path(&dir.path().join("in"), &HashOptions::default(), QUIET).unwrap();
    assert_eq!(hashed.files.len(), 1);
    assert_eq!(hashed.left_out, [dir.path().join("in/.griptrace")]);
    for inside in ["in/.griptrace", "in/.griptrace/keys", "in/.griptrace/keys/log.key"] {
        let refused = hash_path(&dir.path().join(inside), &HashOptions::default(), QUIET);
        assert!(matches!(refused, Err(HashError::Store { .. })), "{inside}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_files_and_not_to_folders() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::write(dir.path().join("outside"), "x").unwrap();
    std::os::unix::fs::symlink(dir.path().join("outside"), dir.path().join("in/file")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("in/folder")).unwrap();
    let hashed = hash_path(&dir.path().join("in"), &HashOptions::default(), QUIET).unwrap();
    assert_eq!(hashed.files.len(), 1);
    assert_eq!(hashed.passed_over, [dir.path().join("in/folder")]);
    let name = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe");
    fs::write(dir.path().join("in").join(name), "y").unwrap();
    let hashed = hash_path(&dir.path().join("in"), &HashOptions::default(), QUIET).unwrap();
    assert_eq!(hashed.files[1].path, b"\xff\xfe", "names need not be Unicode");
}

#[test]
fn the_cache_spares_unchanged_files_and_distrusts_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "one").unwrap();
    let old = UNIX_EPOCH + core::time::Duration::from_secs(1_000_000_000);
    File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    let hash = |cache: &HashCache, sha256| {
        let options = HashOptions { sha256, cache: Some(cache), ignore_cache: false };
        hash_path(&path, &options, QUIET).unwrap()
    };
    let cache = HashCache::open(&dir.path().join("cache"), 1_000_000_001).unwrap();
    assert_eq!((hash(&cache, false).cached, hash(&cache, false).cached), (0, 0), "changed a second ago");
    drop(cache);
    let cache = HashCache::open(&dir.path().join("cache"), 1_000_000_100).unwrap();
    assert_eq!((hash(&cache, false).cached, hash(&cache, false).cached), (0, 1));
    assert_eq!(hash(&cache, true).cached, 0, "SHA-256 was not made yet");
    let known = hash(&cache, true);
    assert_eq!((known.cached, known.files[0].blake3), (1, file_digest(b"one")));
    fs::write(&path, "two").unwrap();
    assert_eq!(hash(&cache, false).files[0].blake3, file_digest(b"two"));
}
