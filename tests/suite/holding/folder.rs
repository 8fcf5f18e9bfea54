//! The files of a store, found by walking its folder: no test here knows a layout.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Every file below a folder with what it holds, by its path from there, `/`-separated.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Reads all files of a folder.
pub(super) fn read(root: &Path) -> Files {
    let mut found = Files::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                todo.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().expect("a store's names are text").to_owned();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// Writes all files into a folder.
pub(super) fn write(root: &Path, files: &Files) {
    for (name, bytes) in files {
        put(root, name, Some(bytes));
    }
}

/// Writes one file, or takes it away.
pub(super) fn put(root: &Path, name: &str, bytes: Option<&[u8]>) {
    let path: PathBuf = root.join(name);
    match bytes {
        Some(bytes) => {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        None => fs::remove_file(&path).unwrap(),
    }
}

/// Returns the kind of a file: its path with a `#` for each number in it, so that
/// `segments/0000000000000002` and `segments/0000000000000004` are of one kind.
pub(super) fn kind(name: &str) -> String {
    let mut kind = String::new();
    for part in name.split_inclusive(['/', '.']) {
        let (word, end) = part.strip_suffix(['/', '.']).map_or((part, ""), |word| (word, &part[word.len()..]));
        let is_number = word.bytes().any(|byte| byte.is_ascii_digit())
            && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'x');
        kind.push_str(if is_number { "#" } else { word });
        kind.push_str(end);
    }
    kind
}

#[test]
fn kinds_are_paths_without_numbers() {
    let names = ["segments/0000000000000002", "tile/entries/x001/234.p/4", "index/snap.00000000000042E6", "head"];
    assert_eq!(names.map(kind), ["segments/#", "tile/entries/#/#.p/#", "index/snap.#", "head"]);
}
