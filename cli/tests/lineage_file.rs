//! The example of docs/lineage-file.md, recorded as it stands there.

use std::fs;

use crate::support::{Folder, objects};

const PAGE: &str = include_str!("../../docs/lineage-file.md");

/// Returns the example, and makes the files and folders that it names.
fn example(folder: &Folder) -> &'static str {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    for path in example.split("path = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let path = folder.path().join(path);
        let file = if path.extension().is_some() { path.clone() } else { path.join("1.bin") };
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("bytes of {}", path.display())).unwrap();
    }
    example
}

#[test]
fn the_pages_example_is_recorded_whole_and_once() {
    let folder = Folder::new();
    folder.say(&["init", "--origin", "maker.example/2026", "--name", "Maker"]);
    folder.write("lineage.toml", example(&folder));
    let recorded = objects(&folder.say(&["--json", "record", "lineage.toml"]));
    let names: Vec<&str> = recorded.iter().filter_map(|node| node["name"].as_str()).collect();
    let all = [
        "plant-7-wrist-camera",
        "supplier-force-logs",
        "upstream-backbone",
        "anonymise",
        "camera-anonymised",
        "train",
        "grasp-int8",
        "evaluation",
    ];
    assert!(all.iter().all(|name| names.contains(name)), "{names:?}");
    let again = folder.say(&["record", "lineage.toml"]);
    assert_eq!(again.matches("already recorded").count(), all.len(), "{again}");
    let traced = folder.say(&["trace", "model:grasp-int8"]);
    assert!(traced.contains("plant-7-wrist-camera") && traced.contains("upstream-backbone"), "{traced}");
    let shown = folder.say(&["show", "plant-7-wrist-camera"]);
    for said in ["wrist-rgb", "none found (two reviewers", "Plant 7 data office", "2026-03-20"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}
