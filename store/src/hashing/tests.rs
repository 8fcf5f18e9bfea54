use core::time::Duration;
use std::{
    fs::{self, File},
    io::Write as _,
    sync::Mutex,
    time::UNIX_EPOCH,
};

use griptrace_core::digest::file_digest;
use sha2::{Digest as _, Sha256};

use super::{stamp::Stamp, *};

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

/// Bytes that differ from place to place: what repeats does so at no boundary.
fn pattern(length: usize) -> Vec<u8> {
    let period: Vec<u8> = (0_u64..12_497).flat_map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    let mut bytes = period.repeat(length / period.len() + 1);
    bytes.truncate(length);
    bytes
}

#[test]
fn large_files_have_the_digest_of_their_bytes_around_every_boundary() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let bytes = pattern(13 << 20);
    let mib = 1 << 20;
    let mut lengths = vec![0, 1, 1023, 1024, 1025, (128 << 10) - 1, 128 << 10, (128 << 10) + 1];
    for subtrees in [1, 2, 3, 4, 5, 7, 8, 11, 12] {
        lengths.extend([subtrees * mib - 1, subtrees * mib, subtrees * mib + 1, subtrees * mib + 1025]);
    }
    let progress = Progress::new(QUIET, 0, 0);
    for length in lengths {
        fs::write(&path, &bytes[..length]).unwrap();
        for with_sha256 in [false, true] {
            let (stamp, digests) = large::hash(&path, with_sha256, &progress).unwrap();
            assert_eq!(stamp.size, wide(length));
            assert_eq!(digests.blake3, file_digest(&bytes[..length]), "{length} bytes");
            let sha256 = with_sha256.then(|| Digest::from_bytes(Sha256::digest(&bytes[..length]).into()));
            assert_eq!(digests.sha256, sha256, "{length} bytes");
            let small = small::hash(&path, Stamp::default(), with_sha256, &mut Meter::new(&progress)).unwrap();
            assert_eq!(small, (stamp, digests), "{length} bytes");
        }
    }
}

/// Hashes a file of so many bytes that is changed as soon as some of it was read.
fn hash_while(length: usize, sha256: bool, change: impl Fn(&File) + Sync) -> Result<Hashed, HashError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, pattern(length)).unwrap();
    let progress = |bytes, _, _, _| {
        if bytes > 0 {
            change(&File::options().append(true).open(&path).unwrap());
        }
    };
    hash_path(&path, &HashOptions { sha256, ..HashOptions::default() }, &progress)
}

#[test]
fn a_file_that_changes_meanwhile_is_refused() {
    for (length, sha256) in [(9 << 20, false), (9 << 20, true), (40 << 20, false), (40 << 20, true)] {
        let grown = hash_while(length, sha256, |mut file| file.write_all(b"more").unwrap()).unwrap_err();
        assert!(matches!(grown, HashError::Changed { .. }), "{length} {sha256}: {grown}");
        let next = Mutex::new(wide(length));
        let shrink = |file: &File| {
            let mut length = next.lock().unwrap();
            *length -= 1000;
            file.set_len(*length).unwrap();
        };
        let shorter = hash_while(length, sha256, shrink).unwrap_err();
        assert!(matches!(shorter, HashError::Changed { .. }), "{length} {sha256}: {shorter}");
        let emptied = hash_while(length, sha256, |file| file.set_len(0).unwrap());
        // A small one is read once more, and is empty then.
        assert!(!matches!(emptied, Ok(ref hashed) if hashed.total_bytes > 0), "{length} {sha256}");
    }
}

#[test]
fn a_file_that_changed_since_it_was_found_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let progress = Progress::new(QUIET, 0, 0);
    for (before, after) in [("one", "longer than before"), ("longer than before", "one"), ("same", "size"), ("", "x")] {
        fs::write(&path, before).unwrap();
        let found = Stamp::of(&fs::metadata(&path).unwrap());
        fs::write(&path, after).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        let (stamp, digests) = small::hash(&path, found, false, &mut Meter::new(&progress)).unwrap();
        assert_eq!((stamp.size, digests.blake3), (wide(after.len()), file_digest(after.as_bytes())));
    }
}

#[test]
fn progress_is_told_regularly_and_ends_with_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..1000 {
        fs::write(dir.path().join(format!("{i}")), "12345").unwrap();
    }
    fs::write(dir.path().join("large"), pattern(33 << 20)).unwrap();
    let told = Mutex::new(Vec::new());
    let listener = |bytes, total, files, all| told.lock().unwrap().push((bytes, total, files, all));
    hash_path(dir.path(), &HashOptions::default(), &listener).unwrap();
    let told = told.into_inner().unwrap();
    let total = 5000 + (33 << 20);
    assert_eq!(told.last(), Some(&(total, total, 1001, 1001)));
    assert!(told.len() >= 8 && told.len() < 200, "{}", told.len());
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    // A link to nowhere can't be read, whoever asks.
    std::os::unix::fs::symlink(dir.path().join("absent"), dir.path().join("link")).unwrap();
    let error = hash_path(dir.path(), &HashOptions::default(), QUIET).unwrap_err();
    assert!(matches!(&error, HashError::Io { path, .. } if path.ends_with("link")), "{error}");
    fs::remove_file(dir.path().join("link")).unwrap();
    fs::write(dir.path().join("locked"), "x").unwrap();
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o0);
    fs::set_permissions(dir.path().join("locked"), mode).unwrap();
    match hash_path(dir.path(), &HashOptions::default(), QUIET) {
        Ok(hashed) => assert_eq!(hashed.files.len(), 1, "the superuser reads everything"),
        Err(error) => assert!(matches!(&error, HashError::Io { path, .. } if path.ends_with("locked")), "{error}"),
    }
    let absent =
        small::hash(&dir.path().join("absent"), Stamp::default(), false, &mut Meter::new(&Progress::new(QUIET, 0, 0)));
    assert!(matches!(absent, Err(HashError::Io { doing: "open", .. })));
    assert!(matches!(
        large::hash(&dir.path().join("absent"), false, &Progress::new(QUIET, 0, 0)),
        Err(HashError::Io { .. })
    ));
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
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe");
    fs::write(dir.path().join("in").join(name), "y").unwrap();
    let hashed = hash_path(&dir.path().join("in"), &HashOptions::default(), QUIET).unwrap();
    assert_eq!(hashed.files[1].path, b"\xff\xfe", "names need not be Unicode");
}

/// Seconds since 1970 at which the file system made a file.
fn time_of(path: &Path) -> u64 {
    fs::metadata(path).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Opens a cache that trusts what there is now.
fn settled_cache(dir: &Path) -> HashCache {
    fs::write(dir.join("clock"), "").unwrap();
    let now = time_of(&dir.join("clock"));
    HashCache::open(&dir.join("cache"), now + 100).unwrap()
}

fn hash_with(cache: &HashCache, path: &Path, sha256: bool) -> Hashed {
    hash_path(path, &HashOptions { sha256, cache: Some(cache), ignore_cache: false }, QUIET).unwrap()
}

#[test]
fn the_cache_spares_unchanged_files_and_distrusts_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "one").unwrap();
    let now = time_of(&path);
    let old = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for is_set_back in [false, true] {
        if is_set_back {
            // Only its time of change is old: somebody changed it just now, and set that back.
            File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        }
        let cache = HashCache::open(&dir.path().join("cache"), now + 1).unwrap();
        let cached = (hash_with(&cache, &path, false).cached, hash_with(&cache, &path, false).cached);
        assert_eq!(cached, (0, 0), "changed a second ago");
    }
    let cache = HashCache::open(&dir.path().join("cache"), now + 100).unwrap();
    assert_eq!((hash_with(&cache, &path, false).cached, hash_with(&cache, &path, false).cached), (0, 1));
    assert_eq!(hash_with(&cache, &path, true).cached, 0, "SHA-256 was not made yet");
    let known = hash_with(&cache, &path, true);
    assert_eq!((known.cached, known.files[0].blake3), (1, file_digest(b"one")));
    assert_eq!(known.files[0].sha256, Some(Digest::from_bytes(Sha256::digest(b"one").into())));
    let without = hash_with(&cache, &path, false);
    assert_eq!((without.cached, without.files[0].sha256), (1, None), "nobody asked for it");
    let options = HashOptions { sha256: false, cache: Some(&cache), ignore_cache: true };
    assert_eq!(hash_path(&path, &options, QUIET).unwrap().cached, 0);
    fs::write(&path, "two").unwrap();
    assert_eq!(hash_with(&cache, &path, false).files[0].blake3, file_digest(b"two"));
}

/// Makes a folder of many small files and a large one.
fn many(dir: &Path) -> PathBuf {
    let folder = dir.join("many");
    fs::create_dir_all(folder.join("below")).unwrap();
    for i in 0..3000 {
        fs::write(folder.join(format!("below/{i:05}")), format!("{i}")).unwrap();
    }
    fs::write(folder.join("large"), pattern(17 << 20)).unwrap();
    folder
}

#[test]
fn a_folder_of_many_files_is_hashed_again_only_where_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = many(dir.path());
    let cache = settled_cache(dir.path());
    let first = hash_with(&cache, &folder, false);
    assert_eq!(first.cached, 0);
    let again = hash_with(&cache, &folder, false);
    assert_eq!((again.cached, &again.files), (3001, &first.files));
    let alone = hash_with(&cache, &folder.join("large"), false);
    assert_eq!(
        (alone.cached, alone.files[0].blake3),
        (1, file_digest(&pattern(17 << 20))),
        "large files are found alone"
    );
    // One comes, one goes, one is renamed, one is written again.
    fs::write(folder.join("below/00000a"), "new").unwrap();
    fs::remove_file(folder.join("below/00001")).unwrap();
    fs::rename(folder.join("below/01500"), folder.join("below/renamed")).unwrap();
    fs::write(folder.join("below/02000"), "other").unwrap();
    let fresh = hash_path(&folder, &HashOptions::default(), QUIET).unwrap();
    let changed = hash_with(&cache, &folder, false);
    assert_eq!(changed.files, fresh.files);
    assert!(changed.cached < 2999 && changed.cached > 1000, "{}", changed.cached);
    assert_eq!(hash_with(&cache, &folder, false).cached, 3001);
}

#[cfg(unix)]
#[test]
fn a_file_that_was_replaced_or_set_back_is_hashed_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    let old = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let write = |path: &Path, text: &str| {
        fs::write(path, text).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    };
    let path = folder.join("file");
    write(&path, "one");
    let cache = settled_cache(dir.path());
    hash_with(&cache, &folder, false);
    assert_eq!(hash_with(&cache, &folder, false).cached, 1);
    // Of the same size and time of change, but another file.
    write(&dir.path().join("other"), "two");
    fs::rename(dir.path().join("other"), &path).unwrap();
    let replaced = hash_with(&cache, &folder, false);
    assert_eq!((replaced.cached, replaced.files[0].blake3), (0, file_digest(b"two")));
    // The same file, of the same size, whose time of change was set back; the system notes that
    // only as finely as its clock ticks.
    std::thread::sleep(Duration::from_millis(20));
    write(&path, "six");
    let set_back = hash_with(&cache, &folder, false);
    assert_eq!((set_back.cached, set_back.files[0].blake3), (0, file_digest(b"six")));
}

#[test]
fn whatever_stands_in_the_cache_no_digest_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    (0..20).for_each(|i| fs::write(folder.join(format!("{i}")), format!("{i}")).unwrap());
    let cache = settled_cache(dir.path());
    let first = hash_with(&cache, &folder, false).files;
    let (key, item) = cache.shelf().scan(b"").unwrap().first().unwrap().clone();
    let mut spoiled: Vec<Vec<u8>> = vec![Vec::new(), vec![0], vec![0xff; 31], vec![0xff; 32], vec![0; 5000]];
    spoiled.extend((0..item.len()).step_by(7).map(|at| {
        let mut flipped = item.clone();
        flipped[at] ^= 1;
        flipped
    }));
    spoiled.extend([1, 32, 33, 100].map(|length| item[..length].to_vec()));
    spoiled.push([item.as_slice(), b"0"].concat());
    for value in spoiled {
        cache.shelf().write(vec![(key.clone(), value)]).unwrap();
        let hashed = hash_with(&cache, &folder, false);
        assert_eq!((hashed.cached, hashed.files), (0, first.clone()));
        assert_eq!(hash_with(&cache, &folder, false).cached, 20, "it is good again");
    }
    // An item that belongs elsewhere is as wrong as a spoiled one.
    let other = dir.path().join("other");
    fs::rename(&folder, &other).unwrap();
    assert_eq!(hash_with(&cache, &other, false).cached, 0);
    let keys = cache.shelf().scan(b"").unwrap().into_iter().map(|(key, _)| key);
    cache.shelf().write(keys.map(|key| (key, item.clone())).collect()).unwrap();
    assert_eq!(hash_with(&cache, &other, false).cached, 0);
}

#[test]
fn a_damaged_cache_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    (0..50).for_each(|i| fs::write(folder.join(format!("{i}")), format!("{i}")).unwrap());
    let files = hash_with(&settled_cache(dir.path()), &folder, false).files;
    let cache = dir.path().join("cache");
    for name in ["db", "conf"] {
        assert_eq!(hash_with(&settled_cache(dir.path()), &folder, false).cached, 50);
        let mut bytes = fs::read(cache.join(name)).unwrap();
        bytes.iter_mut().step_by(3).for_each(|byte| *byte ^= 0x55);
        fs::write(cache.join(name), bytes).unwrap();
        assert_eq!(hash_with(&settled_cache(dir.path()), &folder, false).files, files, "{name}");
        hash_with(&settled_cache(dir.path()), &folder, false);
    }
    fs::remove_dir_all(&cache).unwrap();
    assert_eq!(hash_with(&settled_cache(dir.path()), &folder, false).cached, 0);
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "a file").unwrap();
    assert!(HashCache::open(&cache, 0).is_none(), "what is no folder is left alone");
}
