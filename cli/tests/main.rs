//! The program as people meet it. All of it is one test program: it links once, and a test is named by its module.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod again;
mod audit;
mod copies;
mod dossier;
mod end_to_end;
mod erase;
mod fleet;
mod history;
mod inventory;
mod keys;
mod lineage_file;
mod log_key;
mod names;
mod said;
mod support;
mod waiting;

/// A file in this folder that no `mod` line names would compile nowhere and pass forever.
#[test]
fn no_file_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        let is_named = include_str!("main.rs").lines().any(|line| line == format!("mod {name};"));
        assert!(is_named || name == "main", "not in tests/main.rs: {name}");
    }
}
