//! What is derived can be lost, broken, or another log's: it is made again, and nobody notices.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::UNIX_EPOCH,
};

use griptrace_core::digest::file_digest;
use griptrace_store::hashing::{HashCache, HashOptions, hash_path};
use griptrace_tests::seed::{Rng, Seed};

use super::{
    answers::Answers,
    faults::{ALL, Others},
    folder::{self, Files},
    model::{check_audit, narrow},
    reader,
    rich::{self, Rich},
    rounds, told, writer,
};

/// Words in the names of what docs/store.md says can be lost at any time.
const DERIVED: [&str; 2] = ["index", "snapshot"];

/// What is done to a whole folder, or a file.
type Blow = fn(&Path, &mut Rng);

const BLOWS: [(&str, Blow); 5] = [
    ("deleted", |path, _| remove(path)),
    ("emptied", |path, _| {
        let is_folder = path.is_dir();
        remove(path);
        if is_folder { fs::create_dir(path).unwrap() } else { fs::write(path, "").unwrap() }
    }),
    ("a file for a folder, a folder for a file", |path, rng| {
        let is_folder = path.is_dir();
        remove(path);
        if is_folder { fs::write(path, rng.bytes(5000)).unwrap() } else { fs::create_dir(path).unwrap() }
    }),
    ("rubbish in every file", |path, rng| {
        if path.is_file() {
            let length = fs::metadata(path).unwrap().len();
            return fs::write(path, rng.bytes(narrow(length))).unwrap();
        }
        for (name, bytes) in folder::read(path) {
            folder::put(path, &name, Some(&rng.bytes(bytes.len())));
        }
    }),
    // Who runs as root reads it all the same.
    ("unreadable", |path, _| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap()),
];

fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

/// Returns the first part of a file's path: a folder of the store, or the file itself.
fn top(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

fn is_derived(name: &str) -> bool {
    DERIVED.iter().any(|word| top(name).contains(word))
}

struct Scene {
    rich: &'static Rich,
    /// Another log; the same log, another history of the same length; the same log, earlier.
    others: [(&'static str, &'static Files); 3],
    before: Answers,
}

impl Scene {
    fn build() -> Self {
        let rich = rich::first();
        let others = [
            ("another log's", &rich::foreign().files),
            ("a fork's", &rich::fork().files),
            ("an older one", &rich.older),
        ];
        let dir = tempfile::tempdir().unwrap();
        folder::write(dir.path(), &rich.files);
        let before = Answers::of_derived(&writer(dir.path()).unwrap(), &rich.questions);
        assert!(before.is_whole(), "{before:?}");
        Self { rich, others, before }
    }

    /// Strikes a copy of the store, and returns what anybody notices.
    fn noticed(&self, strike: impl FnOnce(&Path)) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        folder::write(dir.path(), &self.rich.files);
        strike(dir.path());
        let mut noticed = Vec::new();
        // Twice for writing: what was made again has to hold.
        for how in ["read only", "for writing", "again"] {
            let opened = if how == "read only" { reader(dir.path()) } else { writer(dir.path()) };
            let store = match opened {
                Ok(store) => store,
                Err(error) => {
                    noticed.push(format!("{how}: {}", told(&error)));
                    continue;
                }
            };
            let mut wrong =
                Answers::of_derived(&store, &self.rich.questions).compare(&self.before, "no refusal at all");
            if how == "again" {
                check_audit(&store, &mut wrong);
                // A part of the snapshot that nobody asked for is not read, but for an audit.
                wrong.retain(|what| !(what.contains("snapshots/catalogue") && what.contains("another checksum")));
            }
            noticed.extend(wrong.into_iter().map(|what| format!("{how}: {what}")));
        }
        make_readable(dir.path());
        noticed
    }

    /// Returns the folders and files that can be lost.
    fn derived(&self) -> BTreeSet<&str> {
        let found: BTreeSet<&str> =
            self.rich.files.keys().map(|name| top(name)).filter(|name| is_derived(name)).collect();
        for word in DERIVED {
            assert!(found.iter().any(|name| name.contains(word)), "the store has no {word}: {found:?}");
        }
        found
    }
}

/// So that a temporary folder can be removed.
fn make_readable(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if is_derived(&entry.file_name().to_string_lossy()) {
            let mode = if entry.path().is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

#[test]
fn what_is_derived_can_be_lost_or_broken() {
    let mut rng = Seed::for_test("can_be_lost_or_broken").rng();
    let scene = Scene::build();
    let mut wrong = Vec::new();
    for derived in scene.derived() {
        for (what, blow) in BLOWS {
            let noticed = scene.noticed(|dir| blow(&dir.join(derived), &mut rng));
            wrong.extend(noticed.into_iter().map(|noticed| format!("{derived} {what}: {noticed}")));
        }
        for (whose, files) in &scene.others {
            let noticed = scene.noticed(|dir| {
                remove(&dir.join(derived));
                files.iter().filter(|(name, _)| top(name) == derived).for_each(|(name, bytes)| {
                    folder::put(dir, name, Some(bytes));
                });
            });
            wrong.extend(noticed.into_iter().map(|noticed| format!("{derived} {whose}: {noticed}")));
        }
    }
    assert!(wrong.is_empty(), "{} things were noticed:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn damage_to_any_file_of_what_is_derived_is_not_noticed() {
    let mut rng = Seed::for_test("damage_to_any_file_of_what_is_derived").rng();
    let scene = Scene::build();
    let others = Others { files: &scene.rich.files, older: &scene.rich.older, foreign: &rich::fork().files };
    let names = scene.rich.files.keys().filter(|name| is_derived(name));
    let mut wrong = Vec::new();
    for name in names {
        for damage in ALL {
            for _ in 0..rounds(1) {
                let Some(left) = damage.plant(name, &others, &mut rng) else { continue };
                let noticed = scene.noticed(|dir| folder::put(dir, name, left.bytes()));
                wrong.extend(noticed.into_iter().map(|noticed| format!("{name} {damage:?}: {noticed}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} things were noticed:\n{}", wrong.len(), wrong.join("\n"));
}

/// The cache of file digests is nobody's truth either.
#[test]
fn a_broken_cache_of_digests_only_costs_time() {
    let mut rng = Seed::for_test("a_broken_cache_of_digests").rng();
    let dir = tempfile::tempdir().unwrap();
    let (data, cache) = (dir.path().join("data"), dir.path().join("hashes"));
    fs::create_dir(&data).unwrap();
    let old = UNIX_EPOCH + core::time::Duration::from_secs(1_000_000_000);
    for number in 0..20 {
        let path = data.join(number.to_string());
        fs::write(&path, rng.bytes(3000)).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    }
    let hash = |cache: &Path| {
        // Long after the files were made: what changed just now is not kept.
        let cache = HashCache::open(cache, 9_000_000_000);
        let options = HashOptions { cache: cache.as_ref(), ..HashOptions::default() };
        hash_path(&data, &options, &|_, _, _, _| {}).unwrap()
    };
    let (first, second) = (hash(&cache), hash(&cache));
    assert_eq!((first.cached, second.cached), (0, 20));
    let whole = folder::read(&cache);
    let others = Others { files: &whole, older: &whole, foreign: &whole };
    for name in whole.keys() {
        for damage in ALL {
            let Some(left) = damage.plant(name, &others, &mut rng) else { continue };
            fs::remove_dir_all(&cache).unwrap();
            folder::write(&cache, &whole);
            folder::put(&cache, name, left.bytes());
            for _ in 0..2 {
                let hashed = hash(&cache);
                assert_eq!(hashed.files, first.files, "{name} {damage:?}");
            }
        }
    }
    for (what, blow) in BLOWS {
        remove(&cache);
        folder::write(&cache, &whole);
        blow(&cache, &mut rng);
        assert_eq!(hash(&cache).files, first.files, "{what}");
    }
    assert_eq!(first.files[0].blake3, file_digest(&fs::read(data.join("0")).unwrap()));
}
